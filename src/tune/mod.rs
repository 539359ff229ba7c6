//! The tuner: run args that make a model's circuit cheapest while its error stays within a bound.
//!
//! ezkl's own calibration tries scales but leaves the decomposition at base 16384 with two legs, so
//! that the smallest model gets k = 15. [`run`] also chooses the base, the legs, the columns and the
//! multiplier at which intermediate values are brought back. Nearly all of it needs no key: forward
//! passes tell the error and the range that values need, a [`CostModel`] the rest, and one real proof
//! at the end shows that the choice proves and verifies.
//!
//! Visibilities, variables, `epsilon`, check modes and the SRS are the caller's and are never touched;
//! run args that skip range checks are refused.

pub mod cost;
mod lab;
pub mod objective;
mod proof;
pub mod report;
mod sample;
mod search;
mod store;

pub use cost::{Cost, CostModel, Shape};
pub use objective::{Objective, pareto_front};
pub use report::{Candidate, Errors, Headroom, ProofCheck, TuneReport};

use crate::{
    accuracy::{ErrorBound, FloatModel, Observation, float_model, observations},
    artifacts::{self, run_args::RunArgs, settings::Settings},
    engine::{self, CalibrateRequest, EnginePool},
    files,
};
use lab::Lab;
use sample::Sample;
use search::{Found, Limits, Need, Search};
use std::{
    fmt,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// Tuning failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The float model.
    #[error(transparent)]
    Model(#[from] float_model::Error),
    /// The inputs.
    #[error(transparent)]
    Observations(#[from] observations::Error),
    /// An artefact.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// The run args to start from.
    #[error("the run args to start from can't be used: {0}")]
    RunArgs(#[from] artifacts::run_args::Error),
    /// ezkl.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// A file.
    #[error(transparent)]
    File(#[from] files::Error),
    /// No circuit is accurate enough.
    #[error(
        "no circuit keeps the error within {bound}: the closest came to {closest:.3e}{}, with input \
         scale {input_scale}, parameter scale {param_scale} and rebase multiplier {multiplier}; allow \
         that much (`--max-error`)", if bound.percent { "%" } else { "" }
    )]
    Unmet {
        /// The bound.
        bound: ErrorBound,
        /// The smallest error that was reached.
        closest: f64,
        /// With this input scale,
        input_scale: i32,
        /// this parameter scale
        param_scale: i32,
        /// and this multiplier.
        multiplier: u32,
    },
    /// No circuit fits into memory.
    #[error(
        "the smallest circuit that is accurate enough needs about {needed} MB of memory to prove and \
         this machine has {available} MB; allow a larger error, or use a larger machine"
    )]
    TooLarge {
        /// Megabytes.
        needed: u64,
        /// Megabytes.
        available: u64,
    },
    /// ezkl's own calibration has no answer for any input, so that there is no error to match.
    #[error(
        "ezkl's own calibration gives no answer for any of the inputs, so there is no error to match; \
         set one with `--max-error`"
    )]
    NoBaseline,
    /// Nothing that was found could be proved.
    #[error("none of the {tried} best circuits could be proved and verified: {message}")]
    NothingProves {
        /// How many were tried.
        tried: usize,
        /// What was wrong with the last.
        message: String,
    },
}

/// What to tune, and for what.
#[derive(Clone, Debug)]
pub struct TuneRequest {
    /// The ONNX model.
    pub model: PathBuf,
    /// Representative inputs, in any form that [`observations::read`] reads.
    pub data: Vec<PathBuf>,
    /// Inputs at the ends of what is expected: they must be provable, but their error doesn't count.
    pub corners: Vec<PathBuf>,
    /// Visibilities, variables, `epsilon`; all else in here is what the tuner chooses.
    pub run_args: RunArgs,
    /// What to minimise.
    pub objective: Objective,
    /// The largest error allowed; by default that of ezkl's own calibration.
    pub max_error: Option<ErrorBound>,
    /// The longest that the search may take; baseline and proof come on top.
    pub time: Duration,
    /// The largest k, as far as an SRS is to be had.
    pub max_logrows: u32,
    /// How much larger than needed the range of values must be.
    pub range_margin: f64,
    /// How much larger than needed lookup tables must be.
    pub lookup_margin: f64,
    /// The seed of the inputs that are drawn.
    pub seed: u64,
    /// What circuits cost.
    pub costs: CostModel,
    /// Whether to prove and verify the choice.
    pub prove: bool,
    /// A folder for results, by the hash of everything that they depend on.
    pub cache: Option<PathBuf>,
    /// Where to write the settings of the choice.
    pub settings: PathBuf,
}

impl TuneRequest {
    /// A request with the defaults: `balanced`, ezkl's own error, a minute, k ≤ 17, a 256-fold margin
    /// for ranges and a twofold one for lookups.
    pub fn new(model: PathBuf, data: Vec<PathBuf>, settings: PathBuf) -> Self {
        Self {
            model,
            data,
            corners: Vec::new(),
            run_args: RunArgs::default(),
            objective: Objective::default(),
            max_error: None,
            time: Duration::from_secs(60),
            max_logrows: 17,
            range_margin: 256.0,
            lookup_margin: 2.0,
            seed: 0,
            costs: CostModel::default(),
            prove: true,
            cache: None,
            settings,
        }
    }
}

/// What the tuner is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Running ezkl's own calibration.
    Baseline,
    /// Looking for the scales that are accurate enough.
    Scales {
        /// With this rebase multiplier.
        multiplier: u32,
    },
    /// Looking for the range that values need.
    Range {
        /// Input scale, parameter scale, multiplier.
        scales: (i32, i32, u32),
    },
    /// So many circuits so far.
    Candidates {
        /// How many.
        count: usize,
    },
    /// Proving the choice.
    Proof {
        /// Its k.
        logrows: u32,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Baseline => f.write_str("ezkl's own calibration, for comparison"),
            Self::Scales { multiplier } => write!(f, "scales, rebase multiplier {multiplier}"),
            Self::Range { scales: (input, param, multiplier) } => {
                write!(f, "ranges at scales {input}/{param}×{multiplier}")
            }
            Self::Candidates { count } => write!(f, "{count} circuits so far"),
            Self::Proof { logrows } => write!(f, "proving with k = {logrows}"),
        }
    }
}

/// How many of the best candidates may fail the last check.
const ATTEMPTS: usize = 5;

/// Tunes a model and writes the settings of the chosen circuit. Setting `stop` ends the search with
/// the best so far. With the same request and cost model the choice is the same, unless time ran out.
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
    let model = FloatModel::load(&request.model, &request.run_args.variables)?;
    let data = read_all(&request.data, &model)?;
    let corners = read_all(&request.corners, &model)?;
    let version = pool.get().await.version().to_owned();
    let key = store::key(request, &data, &corners, &version)?;
    if let Some(report) = store::load(request, &key)? {
        return Ok(report);
    }

    progress(Progress::Baseline);
    let mut lab = Lab::new(pool, &request.model, started + request.time, stop)?;
    let mut sample = Sample::choose(&model, &data, corners, request.seed)?;
    let (baseline_settings, mut baseline) = calibrate(&lab, request, &data).await?;
    let baseline_error = baseline_error(&lab, &baseline_settings, &mut sample).await?;
    baseline.error = baseline_error;
    let bound_from_baseline = request.max_error.is_none();
    let bound = match (request.max_error, baseline_error) {
        (Some(bound), _) => bound,
        (None, Some(error)) => ErrorBound::absolute(error.max * (1.0 + 1e-7)),
        (None, None) => return Err(Error::NoBaseline),
    };
    let limits = Limits {
        bound,
        range_margin: request.range_margin.max(2.0),
        lookup_margin: request.lookup_margin.max(1.0),
        max_logrows: request.max_logrows,
        min_scales: decides(&model).then(|| {
            let args = &baseline.run_args;
            (args.input_scale.0, args.param_scale.0)
        }),
        max_memory: memory().unwrap_or(u64::MAX),
    };
    lab.deadline = Instant::now() + request.time;
    let mut found = Found::default();
    let search = Search {
        lab: &lab,
        sample: &sample,
        inputs: model.inputs(),
        base: &request.run_args,
        limits: &limits,
        costs: &request.costs,
        progress,
    };
    match search.run(&mut found).await {
        // Whoever asked to stop may have stopped the workers, too.
        Err(error) if stop.load(Ordering::Relaxed) => tracing::debug!("stopped: {error}"),
        other => other?,
    }

    let mut candidates = std::mem::take(&mut found.candidates);
    let meets = baseline.error.is_some_and(|error| error.measure(&bound) <= bound.value);
    let affordable = baseline.cost.peak_bytes <= limits.max_memory;
    if meets && affordable && baseline.run_args.logrows <= request.max_logrows {
        candidates.push(baseline.clone());
    }
    if candidates.is_empty() {
        return Err(nothing(&found, &limits));
    }
    request.objective.rank(&mut candidates, Some(baseline.cost.verify_gas));
    let chosen =
        check(&lab, request, &sample, &model, &limits, &candidates, &baseline_settings, progress)
            .await?;
    let mut report = TuneReport {
        front: pareto_front(&candidates),
        headroom: chosen.headroom,
        proof: chosen.proof,
        choice: chosen.candidate,
        reasons: Vec::new(),
        baseline,
        objective: request.objective,
        bound,
        bound_from_baseline,
        inputs: sample.inputs.len() + sample.corners.len(),
        forwards: lab.forwards(),
        seconds: started.elapsed().as_secs_f64(),
        complete: found.complete,
        cached: false,
    };
    if let Some(need) = need_of(&found.needs, &report.choice.run_args) {
        report.headroom.range = holds(&report.choice.run_args) / need.range;
        if !chosen.settings.required_lookups.is_empty() {
            report.headroom.lookup = Some(limits.lookup_margin);
        }
    }
    report.reasons = reasons(&report, limits.min_scales.is_some());
    chosen.settings.write(&request.settings)?;
    store::save(request, &key, &report, &chosen.settings)?;
    Ok(report)
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

fn read_all(paths: &[PathBuf], model: &FloatModel) -> Result<Vec<Observation>, Error> {
    let mut all = Vec::new();
    for path in paths {
        all.extend(observations::read(path, model.inputs())?);
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
        || model.outputs().iter().all(|output| !sample::is_float(output))
}

/// Observations that ezkl's calibration gets: it runs each of them at every scale.
const CALIBRATE_WITH: usize = 8;

/// ezkl's own `resources` calibration from its own defaults: the circuit to beat.
async fn calibrate(
    lab: &Lab<'_>,
    request: &TuneRequest,
    data: &[Observation],
) -> Result<(Settings, Candidate), Error> {
    let (path, file) = (lab.path("baseline.json"), lab.path("data.json"));
    let args = baseline_args(&request.run_args);
    let engine = lab.pool.get().await;
    engine.gen_settings(&request.model, &path, &args.to_engine()).await?;
    let every = data.len().div_ceil(CALIBRATE_WITH).max(1);
    let first = Settings::read(&path)?;
    write_concatenated(&file, data.iter().step_by(every), &first)?;
    engine.calibrate(&CalibrateRequest::new(&file, &request.model, &path)).await?;
    let settings = Settings::read(&path)?;
    let cost = Shape::of(&settings).map(|shape| request.costs.cost(&shape));
    let cost = cost.ok_or(Error::NoBaseline)?;
    let candidate = Candidate { run_args: settings.run_args.clone(), cost, error: None };
    Ok((settings, candidate))
}

/// ezkl's own decomposition and columns, with the caller's visibilities and variables.
pub(crate) fn baseline_args(args: &RunArgs) -> RunArgs {
    RunArgs { decomp_base: 16384, decomp_legs: 2, num_inner_cols: 2, ..args.clone() }
}

/// Observations one after the other, tensor by tensor, as calibration takes them.
pub(crate) fn write_concatenated<'a>(
    path: &std::path::Path,
    observations: impl Iterator<Item = &'a Observation>,
    settings: &Settings,
) -> Result<(), Error> {
    let mut all: Observation = Vec::new();
    for observation in observations {
        all.resize(observation.len(), Vec::new());
        for (tensor, more) in all.iter_mut().zip(observation) {
            tensor.extend(more);
        }
    }
    let json = crate::accuracy::forward::input_json(&all, settings);
    Ok(files::write_atomic(path, json.to_string().as_bytes())?)
}

/// A model whose forward pass takes longer than this gets fewer inputs.
const SLOW_FORWARD: Duration = Duration::from_millis(400);

/// The error of ezkl's calibration on the sample; `None` when it has no answer for any input.
/// Inputs that it has no answer for leave the sample, since nothing can be compared there.
async fn baseline_error(
    lab: &Lab<'_>,
    settings: &Settings,
    sample: &mut Sample,
) -> Result<Option<Errors>, Error> {
    let started = Instant::now();
    let first = lab.forward(settings, &sample.inputs[..1]).await?;
    if first.is_some() && started.elapsed() > SLOW_FORWARD {
        sample.shrink(6, 1);
    }
    if started.elapsed() > 4 * SLOW_FORWARD {
        sample.shrink(2, 1);
    }
    let Some(answers) = lab.forward(settings, &sample.inputs).await? else { return Ok(None) };
    let steps: Vec<_> =
        settings.model_output_scales.iter().map(|scale| 1.0 / scale.multiplier()).collect();
    let (float, circuit): (Vec<_>, Vec<_>) = sample
        .float
        .iter()
        .zip(&answers)
        .filter_map(|(float, answer)| Some((float.clone(), answer.as_ref()?.outputs.clone())))
        .unzip();
    let mut answered = answers.iter().map(Option::is_some);
    sample.inputs.retain(|_| answered.next().unwrap_or(false));
    sample.few = sample.few.min(float.len());
    let errors = Errors::of(&float, &circuit, &steps);
    if errors.is_some() {
        sample.float = float;
    }
    Ok(errors)
}

fn nothing(found: &Found, limits: &Limits) -> Error {
    if let Some(needed) = found.least_memory {
        let megabytes = |bytes: u64| bytes.div_ceil(1_000_000);
        return Error::TooLarge {
            needed: megabytes(needed),
            available: megabytes(limits.max_memory),
        };
    }
    let bound = limits.bound;
    match &found.closest {
        Some((closest, args)) => Error::Unmet {
            bound,
            closest: *closest,
            input_scale: args.input_scale.0,
            param_scale: args.param_scale.0,
            multiplier: args.scale_rebase_multiplier,
        },
        None => Error::NoBaseline,
    }
}

/// What is left of the machine's memory for a proof, in bytes; unknown outside Linux.
fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024 / 10 * 9)
}

fn need_of<'a>(needs: &'a [Need], args: &RunArgs) -> Option<&'a Need> {
    let scales = (args.input_scale.0, args.param_scale.0, args.scale_rebase_multiplier);
    needs.iter().find(|need| need.scales == scales)
}

fn holds(args: &RunArgs) -> f64 {
    (args.decomp_base as f64).powi(args.decomp_legs as i32)
}

/// A circuit that passed the last check.
struct Chosen {
    candidate: Candidate,
    settings: Settings,
    headroom: Headroom,
    proof: Option<ProofCheck>,
}

/// Makes the best candidate for real: its own settings, every input and every corner, a proof. Goes
/// on to the next where something fails.
#[allow(clippy::too_many_arguments)]
async fn check(
    lab: &Lab<'_>,
    request: &TuneRequest,
    sample: &Sample,
    model: &FloatModel,
    limits: &Limits,
    candidates: &[Candidate],
    baseline: &Settings,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Chosen, Error> {
    let mut last = String::new();
    let mut tried = 0;
    for candidate in candidates.iter().take(ATTEMPTS) {
        tried += 1;
        let settings = if candidate.run_args == baseline.run_args {
            Some(baseline.clone())
        } else {
            lab.settings(&candidate.run_args).await?
        };
        let Some(settings) = settings else {
            last = "ezkl refuses its settings".to_owned();
            continue;
        };
        let inputs: Vec<_> = sample.inputs.iter().chain(&sample.corners).cloned().collect();
        let answers = lab.forward(&settings, &inputs).await?.unwrap_or_default();
        let refused = answers
            .iter()
            .position(|answer| answer.as_ref().is_none_or(|answer| answer.unprovable.is_some()));
        if answers.is_empty() || refused.is_some() {
            last = format!("input {} can't be proved", refused.unwrap_or(0));
            continue;
        }
        let steps: Vec<_> =
            settings.model_output_scales.iter().map(|scale| 1.0 / scale.multiplier()).collect();
        let outputs: Vec<_> = answers.into_iter().flatten().map(|answer| answer.outputs).collect();
        let error = Errors::of(&sample.float, &outputs[..sample.inputs.len()], &steps);
        let error = error.filter(|error| error.measure(&limits.bound) <= limits.bound.value);
        let Some(error) = error else {
            last = "its error is above the bound after all".to_owned();
            continue;
        };
        let headroom = Headroom {
            inputs: headroom(lab, &settings, sample, model).await?,
            ..Headroom::default()
        };
        let mut proof = None;
        if request.prove && !lab.stop.load(Ordering::Relaxed) {
            progress(Progress::Proof { logrows: settings.run_args.logrows });
            match proof::check(lab, &settings, &sample.inputs[0], candidate).await? {
                Ok(check) => proof = Some(check),
                Err(message) => {
                    last = message;
                    continue;
                }
            }
        }
        let cost = Shape::of(&settings).map_or(candidate.cost, |shape| request.costs.cost(&shape));
        let candidate = Candidate { run_args: settings.run_args.clone(), cost, error: Some(error) };
        return Ok(Chosen { candidate, settings, headroom, proof });
    }
    Err(Error::NothingProves { tried, message: last })
}

/// The largest factor by which the first inputs can be multiplied and still be proved.
async fn headroom(
    lab: &Lab<'_>,
    settings: &Settings,
    sample: &Sample,
    model: &FloatModel,
) -> Result<Option<f64>, Error> {
    if !model.inputs().iter().any(sample::is_float) {
        return Ok(None);
    }
    let mut reached = 1.0;
    for factor in [1.5, 2.0, 4.0, 10.0] {
        let inputs: Vec<_> = sample.inputs[..sample.few]
            .iter()
            .map(|input| sample::scaled(input, model.inputs(), factor))
            .collect();
        let answers = lab.forward(settings, &inputs).await?.unwrap_or_default();
        let provable = |answer: &Option<crate::accuracy::forward::Forward>| {
            answer.as_ref().is_some_and(|answer| answer.unprovable.is_none())
        };
        if answers.is_empty() || !answers.iter().all(provable) {
            break;
        }
        reached = factor;
    }
    Ok(Some(reached))
}

fn reasons(report: &TuneReport, scales_kept: bool) -> Vec<String> {
    let (choice, baseline) = (&report.choice, &report.baseline);
    let args = &choice.run_args;
    let mut reasons = vec![format!(
        "k = {} instead of {}: base {}^{} instead of {}^{} holds what values need with a {:.0}-fold \
         margin; proving is expected to take {:.2} s instead of {:.2} s ({:.1} times faster)",
        args.logrows,
        baseline.run_args.logrows,
        args.decomp_base,
        args.decomp_legs,
        baseline.run_args.decomp_base,
        baseline.run_args.decomp_legs,
        report.headroom.range,
        choice.cost.prove_seconds,
        baseline.cost.prove_seconds,
        report.speedup()
    )];
    let source = if report.bound_from_baseline { "ezkl's own calibration's" } else { "the given" };
    if let Some(error) = &choice.error {
        reasons.push(format!(
            "the largest error on {} inputs is {:.3e}, within {source} bound of {}",
            report.inputs, error.max, report.bound
        ));
    }
    let more = choice.cost.verify_gas > baseline.cost.verify_gas;
    reasons.push(format!(
        "verification takes about {} gas, {} ezkl's calibration's {}",
        choice.cost.verify_gas,
        if more { "more than" } else { "not more than" },
        baseline.cost.verify_gas
    ));
    if let Some(factor) = report.headroom.inputs {
        let text = if factor >= 2.0 {
            format!("inputs up to {factor} times those tried still prove")
        } else {
            format!(
                "inputs more than {factor} times those tried may not prove; give inputs at the ends \
                 of what you expect as corners"
            )
        };
        reasons.push(text);
    }
    if scales_kept {
        reasons.push(
            "the model decides by comparing, so scales were not taken below ezkl's calibration's"
                .to_owned(),
        );
    }
    if !report.complete {
        reasons.push("the search was cut short; this is the best so far".to_owned());
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Scale;

    #[test]
    fn what_is_missing_is_said_with_its_figure() {
        let limits = Limits {
            bound: "0.5%".parse().expect("a bound"),
            range_margin: 256.0,
            lookup_margin: 2.0,
            max_logrows: 17,
            min_scales: None,
            max_memory: 8_000_000_000,
        };
        let args = RunArgs { input_scale: Scale(14), ..RunArgs::default() };
        let mut found = Found { closest: Some((0.75, args)), ..Found::default() };
        let message = nothing(&found, &limits).to_string();
        assert!(message.contains("within 0.5%") && message.contains("7.500e-1%"), "{message}");
        assert!(message.contains("input scale 14"), "{message}");
        found.least_memory = Some(20_000_000_001);
        let message = nothing(&found, &limits).to_string();
        assert!(message.contains("20001 MB") && message.contains("8000 MB"), "{message}");
    }
}
