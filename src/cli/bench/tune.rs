//! `zkvouch bench`

use super::circuit;
use crate::cli::{
    Context,
    exit::{Code, Coded},
    tune::{TuneOptions, pool},
};
use crate::{
    artifacts::{run_args::RunArgs, settings::Settings},
    engine::{Engine, EnginePool},
    files,
    project::{
        config::VerifierConfig,
        steps::{MakeVerifier, make_verifier},
    },
    tune::{self, Candidate, Prove, Trial, TuneReport, trial::Times},
    verifier::{Kind, MadeFrom},
};
use clap::Args;
use eyre::{Result, bail};
use serde::Serialize;
use serde_json::json;
use std::path::{Path, PathBuf};

/// zkvouch bench tune
#[derive(Args, Debug)]
pub(super) struct BenchTune {
    /// Folders with model.onnx or network.onnx and data.json or input.json.
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// Proofs with each circuit, in turn; the median counts.
    #[arg(long, default_value_t = 3)]
    proofs: usize,
    #[command(flatten)]
    options: TuneOptions,
}

/// A folder's files.
#[derive(Clone, Debug)]
struct Folder {
    name: String,
    model: PathBuf,
    data: PathBuf,
    input: PathBuf,
}

impl Folder {
    fn find(folder: &Path) -> Result<Self> {
        let find = |names: [&str; 2]| {
            let found = names.map(|name| folder.join(name)).into_iter().find(|path| path.is_file());
            let missing = || {
                Coded::new(
                    Code::BadInput,
                    format!("{} has neither {} nor {}", folder.display(), names[0], names[1]),
                )
            };
            found.ok_or_else(missing)
        };
        Ok(Self {
            name: circuit::name(folder),
            model: find(["model.onnx", "network.onnx"])?,
            data: find(["data.json", "input.json"])?,
            input: find(["input.json", "data.json"])?,
        })
    }
}

/// What was measured of one circuit.
#[derive(Clone, Debug, Serialize)]
struct Measured {
    k: u32,
    /// Median wall-clock seconds of a proof.
    prove_seconds: f64,
    /// Median CPU seconds of a proof; absent where the system does not tell.
    prove_cpu_seconds: Option<f64>,
    pk_bytes: u64,
    proof_bytes: usize,
    verify_gas: Option<u64>,
    /// The largest error on the tuner's inputs.
    max_error: Option<f64>,
    peak_bytes: Option<u64>,
    run_args: RunArgs,
}

#[derive(Clone, Debug, Serialize)]
struct Model {
    name: String,
    ezkl: Measured,
    tuned: Measured,
    /// Wall-clock time of ezkl's circuit over that of the tuned one.
    ratio: f64,
    /// The same in CPU time, which other work on the machine disturbs less.
    cpu_ratio: Option<f64>,
    /// What the cost model expected it to be.
    expected_ratio: f64,
    tuning_seconds: f64,
}

impl BenchTune {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let folders: Vec<_> =
            self.folders.iter().map(|path| Folder::find(path)).collect::<Result<_>>()?;
        let search = pool(context, None)?;
        // Proofs get all CPUs.
        let mut config = context.engine(None)?.config().clone();
        config.threads = std::thread::available_parallelism().ok().map(usize::from);
        let engine = Engine::new(config);
        let (mut models, mut failed) = (Vec::new(), Vec::new());
        for folder in folders {
            let name = folder.name.clone();
            let model = match self.model(context, &search, &engine, folder).await {
                Ok(model) => model,
                // What the others took is not to be lost.
                Err(error) if self.folders.len() > 1 => {
                    context.ui.warn(format_args!("{name}: {error:#}"));
                    failed.push(json!({ "name": name, "message": format!("{error:#}") }));
                    continue;
                }
                Err(error) => return Err(error.wrap_err(name)),
            };
            context.ui.note(format_args!(
                "{name:<24} k {} → {}, {:.2} s → {:.2} s: {:.1} times",
                model.ezkl.k,
                model.tuned.k,
                model.ezkl.prove_seconds,
                model.tuned.prove_seconds,
                model.ratio
            ));
            models.push(model);
        }
        search.shutdown().await;
        engine.shutdown().await;
        let mean = |ratio: &dyn Fn(&Model) -> Option<f64>| -> Option<f64> {
            let logs: Option<Vec<f64>> = models.iter().map(|m| ratio(m).map(f64::ln)).collect();
            logs.map(|logs| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
        };
        let wall = mean(&|model| Some(model.ratio));
        let cpu = mean(&|model| model.cpu_ratio);
        if models.is_empty() {
            return Err(Coded::new(Code::Failure, "none of the models could be compared").into());
        }
        let text = format!(
            "{}\ngeometric mean of the time ratios: {:.2} (CPU time: {})",
            table(&models),
            wall.unwrap_or(1.0),
            cpu.map_or("unknown".to_owned(), |cpu| format!("{cpu:.2}"))
        );
        let data = json!({
            "objective": self.options.objective,
            "proofs": self.proofs,
            "models": models,
            "failed": failed,
            "geometric_mean": wall,
            "geometric_mean_cpu": cpu,
        });
        if failed.is_empty() {
            return context.ui.result(text, &data);
        }
        let message = format!("{} of {} models failed", failed.len(), self.folders.len());
        context.ui.failed_result(text, &data, Code::Invalid, &message)?;
        Err(Coded::reported(message).into())
    }

    async fn model(
        &self,
        context: &Context,
        search: &EnginePool,
        engine: &Engine,
        folder: Folder,
    ) -> Result<Model> {
        let Folder { name, model, data, input } = folder;
        let scratch = files::Scratch::new()?;
        let tuned = scratch.path().join("tuned.json");
        let args = RunArgs::default();
        let costs = self.options.costs(context, engine.version())?;
        let mut request =
            self.options.request(model.clone(), vec![data], args, tuned.clone(), costs)?;
        // The proofs below show more than the tuner's own; where it needs some to decide, it makes them.
        request.prove = request.prove.min(Prove::WhereClose);
        let bar = context.ui.spinner(name.clone());
        let report = tune::run(&request, search, &context.stop, &|progress| {
            bar.set_message(progress.to_string());
        })
        .await?;
        let ezkl = scratch.path().join("ezkl.json");
        let Some(baseline) = report.baseline.clone() else {
            let why = report.without_baseline.as_deref().unwrap_or_default();
            bail!(
                "there is nothing to compare with, since ezkl's own calibration is left out: {why}"
            );
        };
        let args = baseline.run_args.to_engine();
        engine.gen_settings(&model, &ezkl, &args).await?;
        let input: serde_json::Value = serde_json::from_slice(&files::read(&input)?)?;
        let mut circuits = Vec::new();
        // Where the tuner keeps ezkl's circuit there is only one to measure.
        let kept = report.keeps_baseline();
        for (folder, settings) in [("ezkl", &ezkl), ("tuned", &tuned)] {
            if kept && folder == "tuned" {
                continue;
            }
            bar.set_message(format!("keys, {folder}"));
            let (settings, folder) = (Settings::read(settings)?, scratch.path().join(folder));
            let trial = Trial::new(engine, &model, settings, &input, folder).await?;
            circuits.push((trial, Times::default()));
        }
        for round in 0..self.proofs.max(1) {
            bar.set_message(format!("proof {} of {}", round + 1, self.proofs));
            for (trial, times) in &mut circuits {
                times.0.push(trial.prove(engine).await?);
            }
        }
        let mut both = Vec::new();
        for ((trial, times), candidate) in circuits.iter().zip([&baseline, &report.choice]) {
            both.push(measured(engine, trial, times, candidate).await?);
        }
        bar.finish_and_clear();
        let (first, last) = (both.first().cloned(), both.last().cloned());
        let (Some(ezkl), Some(tuned)) = (first, last) else { bail!("nothing was measured") };
        Ok(model_of(name, ezkl, tuned, &report))
    }
}

fn model_of(name: String, ezkl: Measured, tuned: Measured, report: &TuneReport) -> Model {
    let cpu = |measured: &Measured| measured.prove_cpu_seconds;
    Model {
        ratio: ezkl.prove_seconds / tuned.prove_seconds,
        cpu_ratio: cpu(&ezkl).zip(cpu(&tuned)).map(|(ezkl, tuned)| ezkl / tuned),
        expected_ratio: report.speedup().unwrap_or(1.0),
        name,
        ezkl,
        tuned,
        tuning_seconds: report.seconds,
    }
}

/// A circuit's proofs together with what its proof and verifier weigh.
async fn measured(
    engine: &Engine,
    trial: &Trial,
    times: &Times,
    candidate: &Candidate,
) -> Result<Measured> {
    let proof = trial.proof()?;
    let config =
        VerifierConfig { kind: Kind::Ezkl, allow_oversize: true, ..VerifierConfig::default() };
    let (settings_path, vk, srs) = (trial.settings_path(), trial.vk(), trial.srs());
    let request = MakeVerifier {
        settings: &trial.settings,
        settings_path: &settings_path,
        layout: None,
        vk: &vk,
        srs: &srs,
        proof: Some(&proof),
        config: &config,
        made_from: MadeFrom::of_files(&settings_path, &srs, &vk, &trial.settings.version)?,
    };
    let verifier = make_verifier(engine, &request).await?;
    Ok(Measured {
        k: trial.settings.run_args.logrows,
        prove_seconds: times.seconds(),
        prove_cpu_seconds: times.cpu_seconds(),
        pk_bytes: trial.pk_bytes()?,
        proof_bytes: proof.proof.bytes.len(),
        verify_gas: verifier.artifact.metadata().gas.verify_gas,
        max_error: candidate.error.map(|error| error.max),
        peak_bytes: times.peak_bytes(),
        run_args: trial.settings.run_args.clone(),
    })
}

fn table(models: &[Model]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "model",
        "k",
        "prove",
        "CPU",
        "pk",
        "proof",
        "verify gas",
        "max error",
        "tuning",
        "ratio",
        "CPU ratio",
    ]);
    for model in models {
        let (ezkl, tuned) = (&model.ezkl, &model.tuned);
        let both = |text: &dyn Fn(&Measured) -> String| format!("{} → {}", text(ezkl), text(tuned));
        table.add_row([
            model.name.clone(),
            both(&|m| m.k.to_string()),
            both(&|m| format!("{:.2}", m.prove_seconds)),
            both(&|m| m.prove_cpu_seconds.map_or("?".to_owned(), |s| format!("{s:.2}"))),
            both(&|m| format!("{:.1} MB", m.pk_bytes as f64 / 1e6)),
            both(&|m| m.proof_bytes.to_string()),
            both(&|m| m.verify_gas.map_or("?".to_owned(), |gas| gas.to_string())),
            both(&|m| m.max_error.map_or("?".to_owned(), |error| format!("{error:.1e}"))),
            format!("{:.0} s", model.tuning_seconds),
            format!("{:.1}", model.ratio),
            model.cpu_ratio.map_or("?".to_owned(), |ratio| format!("{ratio:.1}")),
        ]);
    }
    table.to_string()
}
