//! The tuner: run args that make a model's circuit cheapest while its error stays within a bound.
//!
//! ezkl's own calibration tries scales but leaves the decomposition at base 16384 with two legs, so
//! that the smallest model gets k = 15. [`run`] also chooses the base, the legs, the columns and the
//! multiplier at which intermediate values are brought back. Nearly all of it needs no key: forward
//! passes tell the error and the range that values need, a [`CostModel`] the rest. Real proofs at the
//! end show that the choice proves and verifies, and decide between candidates, ezkl's own
//! calibration among them, that the model can't tell apart.
//!
//! Visibilities, variables, `epsilon`, check modes and the SRS are the caller's and are never touched;
//! run args that skip range checks are refused.

pub(crate) mod baseline;
pub mod calibration;
mod candidate;
mod choose;
pub mod cost;
pub mod deploy;
mod error;
mod lab;
pub mod machine;
pub mod objective;
mod outcome;
mod outlook;
mod prepare;
mod reach;
mod reasons;
pub mod report;
mod request;
mod sample;
mod scales;
mod search;
mod shape;
mod store;
pub mod trial;

pub use calibration::Calibration;
pub use candidate::{Candidate, Errors};
pub use cost::{Cost, CostModel, ForkEstimate, charged, hashed};
pub use deploy::ChainLimits;
pub use error::Error;
pub use objective::{Objective, pareto_front};
pub use outlook::{Cheap, Outlook, outlook};
pub use report::{BoundFrom, Headroom, MoreGas, PassedOver, ProofCheck, ProofTrial, TuneReport};
pub use request::{Progress, Prove, TuneRequest};
pub use shape::{BeyondField, Shape, within_field};
pub use trial::Trial;

use crate::{
    accuracy::{ErrorBound, FloatModel, Observation, TensorInfo, observations},
    artifacts::run_args::RunArgs,
    engine::EnginePool,
    model::batch::Batching,
    srs,
};
use choose::Choice;
use lab::Lab;
use outcome::nothing;
use prepare::{Prepared, bound, prepare};
use reach::Selected;
use sample::Sample;
use search::{Found, Limits, Need, RANGE_AT_ONCE, Search};
use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

/// Tunes a model and writes the settings of the chosen circuit. Setting `stop` ends the search with the
/// best so far, or with [`Error::Stopped`] where that is no better than ezkl's own. With the same
/// request and cost model the choice is the same on every machine, unless one is over four times slower
/// than the budget says, has too little memory, or real proofs were to decide between circuits that take
/// nearly the same time.
///
/// # Errors
/// Input that can't be used; a bound that nothing meets; a model too large for the machine.
pub async fn run(
    request: &TuneRequest,
    pool: &EnginePool,
    stop: &AtomicBool,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<TuneReport, Error> {
    let started = Instant::now();
    request.run_args.validate()?;
    let request = &TuneRequest { run_args: callers(&request.run_args), ..request.clone() };
    let model = FloatModel::load(&request.model, &request.run_args.variables).await?;
    let singles = read_all(&request.data, &model, request.batch)?;
    let corners = read_all(&request.corners, &model, request.batch)?;
    let version = pool.get().await.version().to_owned();
    let key = store::key(request, &singles, &corners, &version)?;
    if let Some(report) = store::load(request, &key)? {
        return Ok(report);
    }

    let lab = Lab::new(pool, &request.model, request.time, stop)?;
    let mut sample = Sample::choose(&model, &singles, corners, request.batch, request.seed)?;
    let data: Vec<_> = sample::batches(&singles, request.batch).collect();
    let prepared = lab.unless_stopped(prepare(&lab, request, &data, &mut sample, progress));
    let Prepared { cells, baseline, gas_limit } = prepared.await.ok_or(Error::Stopped)??;
    let (bound, bound_from) = bound(request, &baseline, &sample);
    let known = baseline.as_ref().ok().map(|baseline| &baseline.candidate);
    let mut limits = Limits {
        bound,
        range_margin: request.range_margin.max(2.0),
        lookup_margin: request.lookup_margin.max(1.0),
        max_logrows: request.max_logrows,
        min_scales: known.filter(|_| decides(&model)).map(|known| {
            let args = &known.run_args;
            (args.input_scale.0, args.param_scale.0)
        }),
        known: known.map(|known| {
            let args = &known.run_args;
            (args.input_scale.0, args.param_scale.0, args.scale_rebase_multiplier)
        }),
        max_memory: machine::memory().unwrap_or(u64::MAX),
        least_range: request.decomposition.map_or(0.0, |(base, legs)| power(base, legs)),
        chain: request.chain,
    };
    let mut bound_from = bound_from;
    let mut found = Found::default();
    let candidates = loop {
        let search = Search {
            lab: &lab,
            sample: &sample,
            inputs: model.inputs(),
            base: &request.run_args,
            limits: &limits,
            costs: &request.costs,
            cells,
            progress,
        };
        match search.run(&mut found).await {
            // Whoever asked to stop may have stopped the workers, too.
            Err(error) if stop.load(Ordering::Relaxed) => tracing::debug!("stopped: {error}"),
            other => other?,
        }
        if stop.load(Ordering::Relaxed) && found.candidates.is_empty() {
            return Err(Error::Stopped);
        }
        let mut candidates = std::mem::take(&mut found.candidates);
        candidates.extend(known.filter(|it| is_choice(it, &limits)).cloned());
        if !candidates.is_empty() {
            break candidates;
        }
        // A bound that nobody has set is no reason to go without a circuit.
        match &found.closest {
            Some((closest, _)) if request.max_error.is_none() && *closest > limits.bound.value => {
                limits.bound = ErrorBound::absolute(closest * (1.0 + 1e-7));
                bound_from = BoundFrom::Closest;
                found = Found::default();
            }
            _ => return Err(nothing(&found, &limits, lab.refusal())),
        }
    };
    let Selected { candidates, passed_over, unkept } =
        reach::select(request, gas_limit, candidates).await?;
    let choice = Choice {
        lab: &lab,
        request,
        sample: &sample,
        model: &model,
        limits: &limits,
        baseline: baseline.as_ref().ok(),
        progress,
    };
    let chosen = match choice.among(&candidates).await {
        Err(error) if stop.load(Ordering::Relaxed) => {
            tracing::debug!("stopped: {error}");
            return Err(Error::Stopped);
        }
        other => other?,
    };
    let keeps_baseline = known.is_some_and(|known| chosen.candidate.run_args == known.run_args);
    if stop.load(Ordering::Relaxed) && keeps_baseline {
        return Err(Error::Stopped);
    }
    let at_hand = |k: &u32| match &request.srs {
        Some((source, cache)) => srs::is_at_hand(source, *k, cache),
        None => true,
    };
    let mut report = TuneReport {
        front: pareto_front(&candidates),
        headroom: chosen.headroom,
        proof: chosen.proof,
        trials: chosen.trials,
        choice: chosen.candidate,
        reasons: Vec::new(),
        baseline: known.cloned(),
        without_baseline: baseline.as_ref().err().cloned(),
        objective: request.objective,
        bound: limits.bound,
        bound_from,
        observations: (sample.observations * request.batch.size()).min(singles.len()),
        drawn: (sample.inputs.len() - sample.observations) * request.batch.size(),
        unprovable: chosen.unprovable,
        corners: sample.corners.len(),
        passed_over,
        more_gas: None,
        at_hand: (1..=request.max_logrows).rev().find(at_hand).unwrap_or(0),
        forwards: lab.forwards(),
        seconds: started.elapsed().as_secs_f64(),
        complete: found.complete && !stop.load(Ordering::Relaxed),
        cached: false,
    };
    let args = &report.choice.run_args;
    let need = need_of(&found.needs, args).map_or(RANGE_AT_ONCE, |need| need.range);
    report.headroom.range = power(args.decomp_base, args.decomp_legs) / need;
    if !chosen.settings.required_lookups.is_empty() {
        report.headroom.lookup = Some(limits.lookup_margin);
    }
    let verify_gas = report.choice.cost.verify_gas;
    report.more_gas =
        unkept.map(|limit| MoreGas { verify_gas, ezkl: limit.gas, logrows: limit.logrows });
    report.reasons = reasons::reasons(&report, limits.min_scales.is_some());
    report.reasons.extend(each(&report.choice.cost, request.batch.size()));
    chosen.settings.write(&request.settings)?;
    // With a network there may be a better one the next time.
    if !out_of_reach(&report) {
        store::save(request, &key, &report, &chosen.settings);
    }
    Ok(report)
}

/// What a prediction takes where a proof is of several.
fn each(cost: &Cost, size: usize) -> Option<String> {
    let part = |whole: u64| whole.div_ceil(size as u64);
    (size > 1).then(|| {
        format!(
            "each of the {size} predictions of a proof takes about {} gas to verify (by the lean verifier), {} bytes \
             of calldata before packing and {:.3} CPU seconds to prove",
            part(cost.lean_gas),
            part(cost.calldata_bytes),
            cost.prove_cpu_seconds / size as f64
        )
    })
}

/// Whether ezkl's own calibration may be chosen.
fn is_choice(baseline: &Candidate, limits: &Limits) -> bool {
    let meets = baseline.error.is_some_and(|it| it.measure(&limits.bound) <= limits.bound.value);
    meets
        && baseline.cost.peak_bytes <= limits.max_memory
        && baseline.run_args.logrows <= limits.max_logrows
        && limits.chain.is_none_or(|chain| chain.excess(&baseline.cost).is_none())
        && power(baseline.run_args.decomp_base, baseline.run_args.decomp_legs) >= limits.least_range
}

/// Whether an SRS that can't be had kept the search from a better circuit.
fn out_of_reach(report: &TuneReport) -> bool {
    report.more_gas.is_some() || report.passed_over.is_some_and(|it| !it.can_be_had)
}

/// What a circuit with these run args costs, and its error on inputs that [`run`] tries; `None` where ezkl
/// refuses it, or it answers none of them.
///
/// # Errors
/// Input that can't be used, and what goes wrong with ezkl.
pub async fn measure(
    request: &TuneRequest,
    run_args: &RunArgs,
    pool: &EnginePool,
) -> Result<Option<Candidate>, Error> {
    let model = FloatModel::load(&request.model, &run_args.variables).await?;
    let data = read_all(&request.data, &model, request.batch)?;
    let never = AtomicBool::new(false);
    let lab = Lab::new(pool, &request.model, request.time, &never)?;
    let mut sample = Sample::choose(&model, &data, Vec::new(), request.batch, request.seed)?;
    let Some(settings) = lab.settings(run_args).await? else { return Ok(None) };
    let Some(shape) = Shape::of(&settings) else { return Ok(None) };
    let Some(error) = baseline::error(&lab, &settings, &mut sample).await? else { return Ok(None) };
    let (run_args, cost) = (run_args.clone(), request.costs.cost(&shape));
    Ok(Some(Candidate { run_args, cost, error: Some(error) }))
}

/// The part of the run args that is the caller's. The rest is chosen here, so that an earlier choice
/// in it must not make this a request of its own.
fn callers(args: &RunArgs) -> RunArgs {
    RunArgs {
        variables: args.variables.clone(),
        input_visibility: args.input_visibility.clone(),
        output_visibility: args.output_visibility.clone(),
        param_visibility: args.param_visibility.clone(),
        rebase_frac_zero_constants: args.rebase_frac_zero_constants,
        check_mode: args.check_mode,
        bounded_log_lookup: args.bounded_log_lookup,
        epsilon: args.epsilon,
        ..RunArgs::default()
    }
}

/// The observations, one by one.
fn read_all(
    paths: &[PathBuf],
    model: &FloatModel,
    batch: Batching,
) -> Result<Vec<Observation>, Error> {
    let slots = sample::single_slots(model.slots(), batch);
    let mut all = Vec::new();
    for path in paths {
        all.extend(observations::read(path, &slots)?);
    }
    Ok(all)
}

/// Whether the model chooses between branches by comparing, so that a coarser scale can change an
/// answer altogether although no input of the sample shows it.
fn decides(model: &FloatModel) -> bool {
    const STEPS: [&str; 15] = [
        "ArgMax",
        "ArgMin",
        "Ceil",
        "Equal",
        "Floor",
        "Greater",
        "GreaterOrEqual",
        "Less",
        "LessOrEqual",
        "Not",
        "Round",
        "Sign",
        "TopK",
        "Where",
        "HardMax",
    ];
    model.operators().iter().any(|operator| STEPS.contains(&operator.as_str()))
        || model.outputs().iter().all(TensorInfo::is_label)
}

fn need_of<'a>(needs: &'a [Need], args: &RunArgs) -> Option<&'a Need> {
    let scales = (args.input_scale.0, args.param_scale.0, args.scale_rebase_multiplier);
    needs.iter().find(|need| need.scales == scales)
}

fn power(base: u64, legs: u32) -> f64 {
    (base as f64).powf(f64::from(legs))
}
