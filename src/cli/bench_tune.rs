//! `zkvouch bench`

use super::{
    Context,
    bench_fuzz::BenchFuzz,
    bench_gas::BenchGas,
    tune::{TuneOptions, pool},
};
use crate::{
    artifacts::{proof::Proof, run_args::RunArgs, settings::Settings, witness::Witness},
    engine::{Engine, EnginePool, Event, Usage},
    project::{self, VerifierRequest, config::VerifierConfig},
    tune::{self, Candidate, TuneReport},
    verifier::Kind,
};
use clap::{Args, Subcommand};
use eyre::{Result, WrapErr, bail};
use serde::Serialize;
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// zkvouch bench
#[derive(Args, Debug)]
pub(super) struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Compare tuned circuits with ezkl's own calibration, model by model.
    Tune(BenchTune),
    /// Compare the lean verifier's gas with ezkl's, model by model.
    Gas(BenchGas),
    /// Let ezkl's verifier and the lean one decide mutated proofs: they must agree on each.
    Fuzz(BenchFuzz),
}

/// zkvouch bench tune
#[derive(Args, Debug)]
struct BenchTune {
    /// Folders with model.onnx or network.onnx and data.json or input.json.
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// Proofs with each circuit, in turn; the median counts.
    #[arg(long, default_value_t = 3)]
    proofs: usize,
    #[command(flatten)]
    options: TuneOptions,
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
    tuning_seconds: f64,
}

impl Bench {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        match self.what {
            What::Gas(bench) => bench.run(context).await,
            What::Fuzz(bench) => bench.run(context).await,
            What::Tune(command) => command.run(context).await,
        }
    }
}

impl BenchTune {
    async fn run(self, context: &Context) -> Result<()> {
        let search = pool(context, None)?;
        // Proofs get all CPUs.
        let mut config = context.engine(None)?.config().clone();
        config.threads = std::thread::available_parallelism().ok().map(usize::from);
        let engine = Engine::new(config);
        let last = LastProof::default();
        let seen = last.clone();
        engine.on_event(move |event| {
            if let Event::Finished { operation: "prove", usage, .. } = event {
                *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(*usage);
            }
        });
        let mut models = Vec::new();
        for folder in &self.folders {
            let name = folder.file_name().map_or_else(String::new, |n| n.display().to_string());
            let model = self.model(context, &search, (&engine, &last), folder, name.clone());
            let model = model.await.wrap_err_with(|| format!("in {}", folder.display()))?;
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
        let text = format!(
            "{}\ngeometric mean of the time ratios: {:.2} (CPU time: {})",
            table(&models),
            wall.unwrap_or(1.0),
            cpu.map_or("unknown".to_owned(), |cpu| format!("{cpu:.2}"))
        );
        context.ui.result(
            text,
            &json!({
                "objective": self.options.objective,
                "proofs": self.proofs,
                "models": models,
                "geometric_mean": wall,
                "geometric_mean_cpu": cpu,
            }),
        )
    }

    async fn model(
        &self,
        context: &Context,
        search: &EnginePool,
        (engine, last): (&Engine, &LastProof),
        folder: &Path,
        name: String,
    ) -> Result<Model> {
        let find = |names: [&str; 2]| {
            let found = names.map(|name| folder.join(name)).into_iter().find(|path| path.is_file());
            found.ok_or_else(|| eyre::eyre!("neither {} nor {}", names[0], names[1]))
        };
        let model = find(["model.onnx", "network.onnx"])?;
        let data = find(["data.json", "input.json"])?;
        let input = find(["input.json", "data.json"])?;
        let scratch = tempfile::tempdir()?;
        let tuned_settings = scratch.path().join("tuned.json");
        let args = RunArgs::default();
        let mut request =
            self.options.request(model.clone(), vec![data], args, tuned_settings.clone())?;
        // The proofs below show more than the tuner's own.
        request.prove = false;
        let bar = context.ui.spinner(name.clone());
        let report = tune::run(&request, search, &context.stop, &|progress| {
            bar.set_message(progress.to_string());
        })
        .await?;
        let ezkl_settings = scratch.path().join("ezkl.json");
        let args = report.baseline.run_args.to_engine();
        engine.gen_settings(&model, &ezkl_settings, &args).await?;
        let circuits = [
            Setup::new(engine, &model, &input, ezkl_settings, scratch.path().join("ezkl")).await?,
            Setup::new(engine, &model, &input, tuned_settings, scratch.path().join("tuned"))
                .await?,
        ];
        let mut runs: [Vec<Run>; 2] = Default::default();
        for round in 0..self.proofs.max(1) {
            bar.set_message(format!("proof {} of {}", round + 1, self.proofs));
            for (circuit, runs) in circuits.iter().zip(&mut runs) {
                runs.push(circuit.prove(engine, last).await?);
            }
        }
        let [ezkl, tuned] = &circuits;
        let ezkl = ezkl.measured(engine, &runs[0], &report.baseline).await?;
        let tuned = tuned.measured(engine, &runs[1], &report.choice).await?;
        bar.finish_and_clear();
        Ok(model_of(name, ezkl, tuned, &report))
    }
}

fn model_of(name: String, ezkl: Measured, tuned: Measured, report: &TuneReport) -> Model {
    let cpu = |measured: &Measured| measured.prove_cpu_seconds;
    Model {
        ratio: ezkl.prove_seconds / tuned.prove_seconds,
        cpu_ratio: cpu(&ezkl).zip(cpu(&tuned)).map(|(ezkl, tuned)| ezkl / tuned),
        name,
        ezkl,
        tuned,
        tuning_seconds: report.seconds,
    }
}

struct Run {
    seconds: f64,
    cpu_seconds: Option<f64>,
    peak_bytes: Option<u64>,
}

/// What the engine said of its last proof.
type LastProof = Arc<Mutex<Option<Usage>>>;

/// A circuit with everything that a proof needs.
struct Setup {
    settings: Settings,
    folder: PathBuf,
    settings_path: PathBuf,
}

impl Setup {
    async fn new(
        engine: &Engine,
        model: &Path,
        input: &Path,
        settings_path: PathBuf,
        folder: PathBuf,
    ) -> Result<Self> {
        let setup = Self { settings: Settings::read(&settings_path)?, folder, settings_path };
        let file = |name: &str| setup.folder.join(name);
        let (compiled, srs, vk) = (file("circuit.ezkl"), file("kzg.srs"), file("vk.key"));
        engine.compile_circuit(model, &setup.settings_path, &compiled).await?;
        engine.gen_unsafe_srs(setup.settings.run_args.logrows, &srs).await?;
        engine.setup(&compiled, &srs, &vk, &file("pk.key"), None, true).await?;
        engine.gen_witness(input, &compiled, &file("witness.json"), None, None).await?;
        Witness::read(&file("witness.json"))?.check_ranges(&setup.settings)?;
        Ok(setup)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    async fn prove(&self, engine: &Engine, last: &LastProof) -> Result<Run> {
        let proof = self.file("proof.json");
        let started = Instant::now();
        engine
            .prove(
                &self.file("witness.json"),
                &self.file("circuit.ezkl"),
                &self.file("pk.key"),
                &self.file("kzg.srs"),
                &proof,
            )
            .await?;
        let seconds = started.elapsed().as_secs_f64();
        let (vk, srs) = (self.file("vk.key"), self.file("kzg.srs"));
        if !engine.verify(&proof, &self.settings_path, &vk, &srs).await? {
            bail!("the proof in {} does not verify", proof.display());
        }
        let usage = last.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(Run {
            seconds: usage.map_or(seconds, |usage| usage.elapsed.as_secs_f64()),
            cpu_seconds: usage.and_then(|usage| Some(usage.cpu?.as_secs_f64())),
            peak_bytes: usage.and_then(|usage| usage.peak_bytes),
        })
    }

    async fn measured(
        &self,
        engine: &Engine,
        runs: &[Run],
        candidate: &Candidate,
    ) -> Result<Measured> {
        let proof = Proof::read(&self.file("proof.json"))?;
        let config =
            VerifierConfig { kind: Kind::Ezkl, allow_oversize: true, ..VerifierConfig::default() };
        let request = VerifierRequest {
            settings: &self.settings,
            settings_path: &self.settings_path,
            vk: &self.file("vk.key"),
            srs: &self.file("kzg.srs"),
            proof: Some(&proof),
            config: &config,
        };
        let verifier = project::make_verifier(engine, &request).await?;
        let cpu: Option<Vec<f64>> = runs.iter().map(|run| run.cpu_seconds).collect();
        Ok(Measured {
            k: self.settings.run_args.logrows,
            prove_seconds: median(runs.iter().map(|run| run.seconds).collect()),
            prove_cpu_seconds: cpu.map(median),
            pk_bytes: std::fs::metadata(self.file("pk.key"))?.len(),
            proof_bytes: proof.proof.len(),
            verify_gas: verifier.artifact.metadata().gas.verify_gas,
            max_error: candidate.error.map(|error| error.max),
            peak_bytes: runs.iter().filter_map(|run| run.peak_bytes).max(),
            run_args: self.settings.run_args.clone(),
        })
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
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
