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
mod lab;
pub mod objective;
mod reasons;
pub mod report;
mod sample;
mod search;
mod shape;
mod store;
pub mod trial;

pub use calibration::Calibration;
pub use candidate::{Candidate, Errors};
pub use choose::Prove;
pub use cost::{Cost, CostModel};
pub use objective::{Objective, pareto_front};
pub use report::{Headroom, ProofCheck, ProofTrial, TuneReport};
pub use shape::Shape;
pub use trial::Trial;

use crate::{
    accuracy::{ErrorBound, FloatModel, Observation, float_model, observations},
    artifacts::{self, run_args::RunArgs},
    engine::{self, EnginePool},
    error::ErrorKind,
    files,
};
use choose::Choice;
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
    /// A real proof.
    #[error(transparent)]
    Trial(#[from] trial::Error),
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
    /// Somebody asked to stop before there was anything to choose.
    #[error("stopped before any circuit was found; nothing was written")]
    Stopped,
    /// No circuit was found in the time allowed.
    #[error("the time was over before any circuit was found; allow more with `--budget`")]
    OutOfTime,
    /// No circuit has few enough rows.
    #[error(
        "no circuit with k ≤ {max_logrows} holds this model; allow a larger k (`--tune-max-logrows`, or \
         `max_logrows` in [calibration])"
    )]
    TooTall {
        /// The largest k allowed.
        max_logrows: u32,
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
    /// No set of scales has an answer for all inputs.
    #[error("no circuit has an answer for all of the inputs; leave out those at the extremes")]
    NoAnswer,
    /// Nothing that was found could be proved.
    #[error("none of the {tried} best circuits could be proved and verified: {message}")]
    NothingProves {
        /// How many were tried.
        tried: usize,
        /// What was wrong with the last.
        message: String,
    },
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Model(inner) => inner.kind(),
            Self::Observations(inner) => inner.kind(),
            Self::Artifact(inner) => inner.kind(),
            Self::Engine(inner) => inner.kind(),
            Self::File(inner) => inner.kind(),
            Self::Trial(inner) => inner.kind(),
            Self::RunArgs(..)
            | Self::Unmet { .. }
            | Self::OutOfTime
            | Self::TooTall { .. }
            | Self::TooLarge { .. }
            | Self::NoBaseline
            | Self::NoAnswer => ErrorKind::BadInput,
            Self::NothingProves { .. } => ErrorKind::Failure,
            Self::Stopped => ErrorKind::Interrupted,
        }
    }
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
    /// When to make real proofs.
    pub prove: Prove,
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
            prove: Prove::default(),
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
    /// Proving the choice, or one of those that are close.
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

/// Tunes a model and writes the settings of the chosen circuit. Setting `stop` ends the search with
/// the best so far, or with [`Error::Stopped`] where that is no better than ezkl's own. With the same request and cost model the choice is the same, unless time ran out
/// or real proofs had to decide between circuits that take nearly the same time.
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
    let measured = lab.unless_stopped(async {
        let (settings, baseline) = baseline::calibrate(&lab, request, &data).await?;
        let error = baseline::error(&lab, &settings, &mut sample).await?;
        Ok::<_, Error>((settings, Candidate { error, ..baseline }))
    });
    let (baseline_settings, baseline) = measured.await.ok_or(Error::Stopped)??;
    let baseline_error = baseline.error;
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
    if stop.load(Ordering::Relaxed) && found.candidates.is_empty() {
        return Err(Error::Stopped);
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
    let choice = Choice {
        lab: &lab,
        request,
        sample: &sample,
        model: &model,
        limits: &limits,
        baseline: (&baseline_settings, &baseline),
        progress,
    };
    let chosen = match choice.among(&candidates).await {
        Err(error) if stop.load(Ordering::Relaxed) => {
            tracing::debug!("stopped: {error}");
            return Err(Error::Stopped);
        }
        other => other?,
    };
    let keeps_baseline = chosen.candidate.run_args == baseline.run_args;
    if stop.load(Ordering::Relaxed) && keeps_baseline {
        return Err(Error::Stopped);
    }
    let mut report = TuneReport {
        front: pareto_front(&candidates),
        headroom: chosen.headroom,
        proof: chosen.proof,
        trials: chosen.trials,
        choice: chosen.candidate,
        reasons: Vec::new(),
        baseline,
        objective: request.objective,
        bound,
        bound_from_baseline,
        inputs: sample.inputs.len() + sample.corners.len(),
        forwards: lab.forwards(),
        seconds: started.elapsed().as_secs_f64(),
        complete: found.complete && !stop.load(Ordering::Relaxed),
        cached: false,
    };
    if let Some(need) = need_of(&found.needs, &report.choice.run_args) {
        report.headroom.range = holds(&report.choice.run_args) / need.range;
        if !chosen.settings.required_lookups.is_empty() {
            report.headroom.lookup = Some(limits.lookup_margin);
        }
    }
    report.reasons = reasons::reasons(&report, limits.min_scales.is_some());
    chosen.settings.write(&request.settings)?;
    store::save(request, &key, &report, &chosen.settings);
    Ok(report)
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
    let data = read_all(&request.data, &model)?;
    let never = AtomicBool::new(false);
    let lab = Lab::new(pool, &request.model, Instant::now() + request.time, &never)?;
    let mut sample = Sample::choose(&model, &data, Vec::new(), request.seed)?;
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
        Some((closest, _)) if *closest <= bound.value && found.complete => {
            Error::TooTall { max_logrows: limits.max_logrows }
        }
        Some((closest, args)) if *closest > bound.value => Error::Unmet {
            bound,
            closest: *closest,
            input_scale: args.input_scale.0,
            param_scale: args.param_scale.0,
            multiplier: args.scale_rebase_multiplier,
        },
        None if found.complete => Error::NoAnswer,
        _ => Error::OutOfTime,
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
        assert!(matches!(nothing(&Found::default(), &limits), Error::OutOfTime));
        found.closest = found.closest.map(|(_, args)| (0.25, args));
        assert!(
            matches!(nothing(&found, &limits), Error::OutOfTime),
            "within the bound, but no more"
        );
        found.complete = true;
        assert!(nothing(&found, &limits).to_string().contains("k ≤ 17"));
        found.least_memory = Some(20_000_000_001);
        let message = nothing(&found, &limits).to_string();
        assert!(message.contains("20001 MB") && message.contains("8000 MB"), "{message}");
    }
}
