//! `zkvouch tune`

use super::{
    Context,
    exit::{Code, Coded},
    steps::Places,
};
use crate::{
    accuracy::ErrorBound,
    artifacts::{observations, run_args::RunArgs},
    engine::EnginePool,
    evm::Hardfork,
    files,
    project::{
        Project,
        config::{CircuitConfig, FILE_NAME, Target},
    },
    toolchain,
    tune::{
        self, Calibration, ChainLimits, CostModel, Objective, Progress, Prove, TuneReport,
        TuneRequest,
    },
};
use clap::Args;
use eyre::{Result, WrapErr};
use std::{
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::Duration,
};

/// zkvouch tune
#[derive(Args, Debug)]
pub(super) struct Tune {
    /// The ONNX file.
    #[arg(short = 'M', long)]
    model: Option<PathBuf>,
    /// Representative inputs: .json, .jsonl, .csv, .npy or .npz.
    #[arg(short = 'D', long, num_args = 1.., value_name = "FILES")]
    data: Vec<PathBuf>,
    /// Where to write the settings of the choice.
    #[arg(short = 'O', long = "settings-path", visible_alias = "settings", value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Leave zkvouch.toml as it is. By default the choice is written into it, with its reasons.
    #[arg(long)]
    no_write: bool,
    #[command(flatten)]
    options: TuneOptions,
    #[command(flatten)]
    circuit: CircuitConfig,
}

/// What `tune` and `bench tune` have in common.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Tuning options")]
pub(super) struct TuneOptions {
    /// What to minimise: balanced (time, at no more gas than ezkl's calibration, if that can be made),
    /// prove-time, gas, memory or proof-size.
    #[arg(long, default_value_t)]
    pub(super) objective: Objective,
    /// The largest error: 0.01, 0.5%, mean:0.01 or mean:0.5%. By default that of ezkl's calibration,
    /// else 1 % of the range of the model's outputs.
    #[arg(long, value_name = "ERROR")]
    pub(super) max_error: Option<ErrorBound>,
    /// How much to search, as the time that it takes on a usual machine, such as 60s or 2m. Counted in
    /// work, so that all machines choose alike.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub(super) budget: Duration,
    /// Inputs at the ends of what you expect, which must be provable.
    #[arg(long, num_args = 1.., value_name = "FILES")]
    pub(super) corners: Vec<PathBuf>,
    /// The largest circuit to consider, as log2 of its rows.
    #[arg(long, value_name = "K", default_value_t = 26, value_parser = clap::value_parser!(u32).range(6..=26))]
    pub(super) tune_max_logrows: u32,
    /// By what factor the range of values exceeds what the inputs need, at least 2.
    #[arg(long, value_name = "FACTOR", default_value_t = 256.0, value_parser = at_least::<2>)]
    pub(super) range_margin: f64,
    /// By what factor lookup tables exceed what the inputs need, at least 1.
    #[arg(long, value_name = "FACTOR", default_value_t = 2.0, value_parser = at_least::<1>)]
    pub(super) lookup_margin: f64,
    /// The seed of the inputs that are drawn beside yours.
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// Make no real proofs: neither of the choice nor to decide between circuits that are close.
    #[arg(long)]
    pub(super) no_proof: bool,
    /// What proofs cost on this machine, from `bench machine`. By default the file that it wrote, if
    /// it did.
    #[arg(long, value_name = "FILE")]
    pub(super) cost_model: Option<PathBuf>,
    /// Search even if the result is known.
    #[arg(long)]
    pub(super) no_cache: bool,
}

impl TuneOptions {
    /// The cost model to search with. A file that was named must fit, another is left out if it doesn't.
    pub(super) fn costs(&self, context: &Context, engine: &str) -> Result<CostModel> {
        if let Some(path) = &self.cost_model {
            return Ok(Calibration::read(path, engine)?.costs);
        }
        let (costs, unused) = CostModel::of_this_machine(engine);
        if let Some(error) = unused {
            context.ui.warn(format_args!("the measured costs are not used: {error}"));
        }
        Ok(costs)
    }

    /// The request for one model.
    pub(super) fn request(
        &self,
        model: PathBuf,
        data: Vec<PathBuf>,
        run_args: RunArgs,
        settings: PathBuf,
        costs: CostModel,
    ) -> Result<TuneRequest> {
        let cache =
            (!self.no_cache).then(|| toolchain::cache_dir().map(|folder| folder.join("tune")));
        Ok(TuneRequest {
            corners: self.corners.clone(),
            run_args,
            objective: self.objective,
            max_error: self.max_error,
            time: self.budget,
            max_logrows: self.tune_max_logrows,
            range_margin: self.range_margin,
            lookup_margin: self.lookup_margin,
            seed: self.seed,
            prove: if self.no_proof { Prove::Never } else { Prove::Always },
            cache: cache.transpose()?,
            costs,
            ..TuneRequest::new(model, data, settings)
        })
    }
}

/// A finite number that is not below a limit.
fn at_least<const LIMIT: u32>(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number
        .filter(|number| number.is_finite() && *number >= f64::from(LIMIT))
        .ok_or_else(|| format!("`{text}` is not a number of at least {LIMIT}"))
}

/// A number with `s`, `m` or `h`; seconds without.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time such as 60s, 2m or 1h");
    let (number, unit) = match text.find(|c: char| c.is_ascii_alphabetic()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let factor = match unit {
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * factor).map_err(|_| wrong())
}

impl Tune {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let places = Places::new(context)?;
        let mut run_args = match places.project() {
            Some(project) => project.config().circuit.run_args(),
            None => RunArgs::default(),
        };
        self.circuit.apply(&mut run_args);
        // What an earlier choice has left there is not the user's own.
        let config = places.project().map(Project::config);
        let tuned = config.is_some_and(|it| it.calibration.target != Target::Tune);
        let set = config.filter(|_| !tuned).is_some_and(|it| it.circuit.sets_decomposition());
        let decomposition = (set || self.circuit.sets_decomposition())
            .then_some((run_args.decomp_base, run_args.decomp_legs));
        let source = config.map(|it| it.srs.source.clone()).unwrap_or_default();
        let source = source.within(places.project().map_or(Path::new("."), Project::root));
        let chain = config.map_or(Some(ChainLimits::default()), |it| it.verifier.chain_limits());
        let engine = context.engine(places.project())?;
        // Settings that are not kept must not take the place of those that are built.
        let scratch = files::Scratch::new()?;
        let data = places.data(&self.data);
        // What does not fit is told before ezkl looks at a model that may be large.
        let original = places.original(&self.model, &[])?;
        let slots = original.slots(&run_args.variables)?;
        for path in data.iter().chain(&self.options.corners) {
            observations::read_inputs(path, &slots)?;
        }
        let model = places.prepared(&self.model, &run_args.variables, scratch.path()).await?;
        let mut request = self.options.request(
            model,
            data,
            run_args,
            scratch.path().join("settings.json"),
            self.options.costs(context, engine.version())?,
        )?;
        request.batch = original.batch();
        request.decomposition = decomposition;
        request.srs = Some((source, toolchain::cache_dir()?));
        request.chain = chain;
        request.costs.hardfork = config.map_or_else(Hardfork::default, |it| it.verifier.hardfork);
        let pool = pool(context, places.project())?;
        let bar = context.ui.spinner("tune");
        let ui = context.ui.clone();
        let progress = {
            let bar = bar.clone();
            move |progress: Progress| {
                let message = progress.to_string();
                if bar.is_hidden() {
                    ui.note(format_args!("tune           {message}"));
                }
                bar.set_message(message);
            }
        };
        let report = tune::run(&request, &pool, &context.stop, &progress).await?;
        let to_write = places.project().filter(|_| !self.no_write);
        let known = match to_write {
            Some(project) => known(project, &report, &request, &pool).await?,
            None => None,
        };
        bar.finish_and_clear();
        pool.shutdown().await;
        let interrupted = context.stop.load(Ordering::Relaxed);
        if !report.complete && !interrupted {
            context.ui.warn("the search was cut short; this is the best so far");
        }
        if let Some(more) = &report.more_gas {
            context.ui.warn(more);
        }
        let mut text = report.table();
        for reason in &report.reasons {
            text.push_str(&format!("\n- {reason}"));
        }
        if known.is_none() || self.settings.is_some() {
            let settings = places.settings(&self.settings);
            files::write_atomic(&settings, &files::read(&request.settings)?)?;
            text.push_str(&format!("\nsettings     {}", settings.display()));
        }
        match (to_write, known) {
            (Some(_), Some(known)) => {
                context.ui.warn(format_args!("{FILE_NAME} is left as it is: {known}"));
            }
            (Some(project), None) => {
                let path = write_choice(project, &report)?;
                text.push_str(&format!("\nproject      {}", path.display()));
            }
            (None, _) => {}
        }
        if interrupted {
            let message = "interrupted; this is the best so far";
            context.ui.failed_result(text, &report, Code::Interrupted, message)?;
            return Err(Coded::interrupted().into());
        }
        context.ui.result(text, &report)
    }
}

/// Why the choice need not be written into zkvouch.toml: what the file has is as good. Where its
/// `[circuit]` is to be taken as it is, that is its circuit, else ezkl's calibration.
async fn known(
    project: &Project,
    report: &TuneReport,
    request: &TuneRequest,
    pool: &EnginePool,
) -> Result<Option<&'static str>> {
    let config = project.config();
    if config.calibration.target != Target::Manual {
        return Ok(report.keeps_baseline().then_some("nothing beats ezkl's own calibration"));
    }
    let args = config.circuit.run_args();
    let beaten = match tune::measure(request, &args, pool).await? {
        Some(candidate) => report.beats(&candidate),
        None => true,
    };
    Ok((!beaten).then_some("its circuit is as good as the best that was found"))
}

/// A worker for each CPU with a thread of its own, which is fastest for many forward passes.
pub(super) fn pool(context: &Context, project: Option<&Project>) -> Result<EnginePool> {
    let config = context.engine(project)?.config().clone();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(EnginePool::new(config, cpus))
}

/// Puts the choice into zkvouch.toml, so that `build` makes this circuit. All else in the file stays.
fn write_choice(project: &Project, report: &TuneReport) -> Result<PathBuf> {
    let path = project.root().join(FILE_NAME);
    let text = files::read_to_string(&path)?;
    let mut document: toml_edit::DocumentMut =
        text.parse().wrap_err_with(|| format!("cannot change {}", path.display()))?;
    let args = &report.choice.run_args;
    let circuit = document["circuit"].or_insert(toml_edit::table());
    let values: [(&str, toml_edit::Value); 9] = [
        ("input_scale", i64::from(args.input_scale.0).into()),
        ("param_scale", i64::from(args.param_scale.0).into()),
        ("scale_rebase_multiplier", i64::from(args.scale_rebase_multiplier).into()),
        ("logrows", i64::from(args.logrows).into()),
        ("num_inner_cols", (args.num_inner_cols as i64).into()),
        ("decomp_base", (args.decomp_base as i64).into()),
        ("decomp_legs", i64::from(args.decomp_legs).into()),
        ("disable_freivalds", args.disable_freivalds.into()),
        ("lookup_range", {
            let range = [args.lookup_range.0, args.lookup_range.1];
            range.into_iter().map(|end| end as i64).collect::<toml_edit::Array>().into()
        }),
    ];
    for (key, value) in values {
        circuit[key] = toml_edit::value(value);
    }
    // The reasons go above the first value, in place of those of an earlier run.
    let mut comment = String::from("\n# Chosen by `zkvouch tune`:\n");
    for reason in &report.reasons {
        comment.push_str(&format!("# - {reason}\n"));
    }
    if let Some(mut key) = circuit.as_table_mut().and_then(|table| table.key_mut("input_scale")) {
        key.leaf_decor_mut().set_prefix(comment);
    }
    let calibration = document["calibration"].or_insert(toml_edit::table());
    calibration["target"] = toml_edit::value("manual");
    files::write_atomic(&path, document.to_string().as_bytes())?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_and_margins_a_limit() {
        assert_eq!(duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        assert_eq!((at_least::<2>("2"), at_least::<1>("1.5")), (Ok(2.0), Ok(1.5)));
        for text in ["1.9", "nan", "inf", "x", ""] {
            assert!(at_least::<2>(text).is_err(), "{text}");
        }
        for text in ["", "s", "-1s", "1d", "nan"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
