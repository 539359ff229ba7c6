//! The build: every step that is out of date, independent ones side by side.

use super::{
    Error, Event, Observer, Project, ProvingFiles, Result,
    config::{CalibrationConfig, Target, VerifierConfig},
    graph::{self, Graph, Input, MANIFEST_FILE, Spec},
    make_witness, needs_keys, prove_witness,
};
use crate::{
    artifacts::{
        input::InputData,
        onnx::OnnxFile,
        proof::ProofFile,
        run_args::{DEFAULT_MAX_LOGROWS, Visibility},
        settings::Settings,
        vk::VkHeader,
    },
    engine::{self, CalibrateRequest, Engine, EnginePool, PooledEngine},
    files,
    model::{
        identity::{ModelId, ModelIdentity},
        provenance::Provenance,
    },
    srs, toolchain,
    tune::{self, CostModel, TuneRequest},
    verifier::{
        self, BuildRequest, GasReport, METADATA_FILE, Sample, VerifierArtifact, VerifierSource,
        batch::{self, Batch, BatchGas},
        lean::{self, Breakdown, Expected, LeanVerifier},
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    time::Duration,
};

/// How to build.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuildOptions {
    /// Run every step, changed or not.
    pub force: bool,
}

/// What a build made.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct BuildReport {
    /// The project's name.
    pub name: String,
    /// [`ModelIdentity::model_id`].
    pub model_id: ModelId,
    /// What the identity is made of.
    pub identity: ModelIdentity,
    /// log2 of the circuit's rows.
    pub logrows: u32,
    /// The number of public values in a proof.
    pub num_instances: usize,
    /// Who may know the SRS's secret.
    pub srs: Provenance,
    /// Whether this build ever used an SRS whose secret somebody may know.
    pub unsafe_srs: bool,
    /// Sizes and gas of the verifier.
    pub report: GasReport,
    /// The lean verifier beside ezkl's.
    pub comparison: Option<Comparison>,
    /// The verifier of many proofs at once, if there is one.
    pub batch: Option<BatchReport>,
    /// Where everything lies.
    pub artifacts: super::Artifacts,
    /// Steps that ran, in the order of their end.
    pub ran: Vec<&'static str>,
    /// Steps that were up to date.
    pub skipped: Vec<&'static str>,
}

impl Project {
    /// Builds what is out of date.
    pub async fn build(&self, options: BuildOptions, observer: Observer) -> Result<BuildReport> {
        let tally = Arc::new(Mutex::new((Vec::new(), Vec::new())));
        let observer: Observer = {
            let tally = Arc::clone(&tally);
            Arc::new(move |event: Event| {
                let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                match &event {
                    Event::Finished { step, .. } => tally.0.push(*step),
                    Event::Skipped { step } => tally.1.push(*step),
                    _ => {}
                }
                observer(event);
            })
        };
        let folder = self.artifacts().folder;
        let graph = Graph::open(&folder, Arc::clone(&observer), options.force).await?;
        let engines = self.engines()?;
        let phases = Arc::clone(&observer);
        engines.on_event(move |event| {
            if let Some(message) = phase(event) {
                phases(Event::Phase { message });
            }
        });
        let build = Build { project: self, graph, engines, observer };
        let Outcome { settings, srs, report, comparison, batch } = build.run().await?;
        build.engines.shutdown().await;
        let identity = self.identity()?;
        let (ran, skipped) = tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(BuildReport {
            name: self.name(),
            model_id: identity.model_id(),
            identity,
            logrows: settings.run_args.logrows,
            num_instances: settings.instance_layout().len,
            srs,
            unsafe_srs: build.graph.snapshot().unsafe_srs,
            report,
            comparison,
            batch,
            artifacts: self.artifacts(),
            ran,
            skipped,
        })
    }
}

struct Outcome {
    settings: Settings,
    srs: Provenance,
    report: GasReport,
    comparison: Option<Comparison>,
    batch: Option<BatchReport>,
}

struct Build<'a> {
    project: &'a Project,
    graph: Graph,
    engines: EnginePool,
    observer: Observer,
}

fn fixes_input(settings: &Settings) -> bool {
    settings.run_args.input_visibility == Visibility::Fixed
}

/// What a person waiting wants to see of the engine's events.
fn phase(event: &engine::Event) -> Option<String> {
    match event {
        engine::Event::Preparing { step } => Some(step.clone()),
        engine::Event::Log { message, .. } => message.lines().next().map(str::to_owned),
        _ => None,
    }
}

impl Build<'_> {
    async fn engine(&self) -> PooledEngine {
        self.engines.get().await
    }

    async fn run(&self) -> Result<Outcome> {
        self.settings().await?;
        self.calibrate().await?;
        let settings = Settings::read(&self.project.artifacts().settings)?;
        // The SRS may be long in coming and the circuit in compiling; neither needs the other.
        let ((), provenance) = tokio::try_join!(self.compile(), self.srs(&settings))?;
        if fixes_input(&settings) {
            // The keys hold the inputs, which setup takes from the witness.
            self.witness(&settings).await?;
            self.setup(&settings).await?;
        } else {
            tokio::try_join!(self.setup(&settings), self.witness(&settings))?;
        }
        self.proof(&settings).await?;
        let (report, comparison, batch) = self.verifier(&settings).await?;
        Ok(Outcome { settings, srs: provenance, report, comparison, batch })
    }

    fn engine_version(&self) -> Input {
        Input::Value("engine version", self.project.config().engine.version.clone().into())
    }

    async fn settings(&self) -> Result<()> {
        let (project, artifacts) = (self.project, self.project.artifacts());
        let args = project.config().circuit.run_args().to_engine();
        let spec = Spec {
            name: "settings",
            inputs: vec![
                Input::File("model", project.model()),
                Input::Value("circuit options", args.clone().into()),
                self.engine_version(),
            ],
            outputs: vec!["settings.raw.json".into()],
        };
        self.graph
            .step(spec, || async {
                OnnxFile::read(&project.model())?;
                let engine = self.engine().await;
                engine.gen_settings(&project.model(), &artifacts.raw_settings, &args).await?;
                Settings::read(&artifacts.raw_settings)?;
                Ok(Value::Null)
            })
            .await?;
        Ok(())
    }

    async fn calibrate(&self) -> Result<()> {
        let (project, artifacts) = (self.project, self.project.artifacts());
        let options = &project.config().calibration;
        let mut inputs = vec![
            Input::File("model", project.model()),
            Input::File("settings", artifacts.raw_settings.clone()),
            Input::Value("calibration options", json!(options)),
            self.engine_version(),
        ];
        if options.target != Target::Manual {
            inputs.push(Input::Value("data", self.data_hashes()?));
        }
        let spec = Spec { name: "calibrate", inputs, outputs: vec!["settings.json".into()] };
        self.graph
            .step(spec, || async {
                if options.target == Target::Tune {
                    return self.tune(options).await;
                }
                let report = calibrate(
                    &*self.engine().await,
                    &project.model(),
                    &project.data(),
                    (&artifacts.raw_settings, &artifacts.settings),
                    options,
                )
                .await?;
                Ok(json!({ "report": report }))
            })
            .await?;
        Ok(())
    }

    /// Searches for the cheapest circuit that is accurate enough, instead of ezkl's calibration.
    async fn tune(&self, options: &CalibrationConfig) -> Result<Value> {
        let project = self.project;
        let mut request =
            TuneRequest::new(project.model(), project.data(), project.artifacts().settings);
        request.run_args = project.config().circuit.run_args();
        request.objective = options.objective;
        request.max_error = options.max_error;
        request.time = Duration::from_secs(options.budget_secs);
        request.max_logrows = options.max_logrows.unwrap_or(DEFAULT_MAX_LOGROWS);
        request.lookup_margin = options.lookup_safety_margin;
        // The build proves the sample itself.
        request.prove = tune::Prove::WhereClose;
        request.cache = Some(toolchain::cache_dir()?.join("tune"));
        let (costs, unused) = CostModel::of_this_machine(self.engine().await.version());
        request.costs = costs;
        if let Some(error) = unused {
            (self.observer)(Event::Phase { message: format!("measured costs not used: {error}") });
        }
        let observer = Arc::clone(&self.observer);
        let progress =
            move |step: tune::Progress| observer(Event::Phase { message: step.to_string() });
        let report = tune::run(&request, &self.engines, &AtomicBool::new(false), &progress).await?;
        Ok(json!({ "reasons": report.reasons, "run_args": report.choice.run_args }))
    }

    fn data_hashes(&self) -> Result<Value> {
        let hashes: Result<Vec<_>> = self
            .project
            .data()
            .iter()
            .map(|path| Ok(Value::from(files::sha256_file(path)?.to_string())))
            .collect();
        Ok(hashes?.into())
    }

    async fn compile(&self) -> Result<()> {
        let (project, artifacts) = (self.project, self.project.artifacts());
        let spec = Spec {
            name: "compile",
            inputs: vec![
                Input::File("model", project.model()),
                Input::File("settings", artifacts.settings.clone()),
                self.engine_version(),
            ],
            outputs: vec!["model.compiled".into()],
        };
        self.graph
            .step(spec, || async {
                let engine = self.engine().await;
                engine
                    .compile_circuit(&project.model(), &artifacts.settings, &artifacts.compiled)
                    .await?;
                Ok(Value::Null)
            })
            .await?;
        Ok(())
    }

    async fn srs(&self, settings: &Settings) -> Result<Provenance> {
        let (project, artifacts) = (self.project, self.project.artifacts());
        let (config, k) = (&project.config().srs, settings.run_args.logrows);
        let source = srs_source(&config.source, &project.root);
        let mut inputs =
            vec![Input::Value("logrows", k.into()), Input::Value("srs options", json!(config))];
        if let srs::Source::Path(path) = &source {
            inputs.push(Input::File("srs file", path.clone()));
        }
        let spec = Spec { name: "srs", inputs, outputs: vec!["kzg.srs".into()] };
        let notes = self
            .graph
            .step(spec, || async {
                let obtained =
                    srs::obtain(&source, k, &toolchain::cache_dir()?, &artifacts.srs).await?;
                if obtained.provenance.is_unsafe() {
                    self.graph.mark_unsafe_srs()?;
                }
                Ok(json!({ "provenance": obtained.provenance }))
            })
            .await?;
        self.note(&notes["provenance"])
    }

    async fn setup(&self, settings: &Settings) -> Result<()> {
        let artifacts = self.project.artifacts();
        let mut inputs = vec![
            Input::File("circuit", artifacts.compiled.clone()),
            Input::File("srs", artifacts.srs.clone()),
            self.engine_version(),
        ];
        let witness = fixes_input(settings).then_some(&*artifacts.witness);
        if witness.is_some() {
            inputs.push(Input::File("witness", artifacts.witness.clone()));
        }
        let spec = Spec { name: "setup", inputs, outputs: vec!["vk.key".into(), "pk.key".into()] };
        self.graph
            .step(spec, || async {
                let engine = self.engine().await;
                engine
                    .setup(
                        &artifacts.compiled,
                        &artifacts.srs,
                        &artifacts.vk,
                        &artifacts.pk,
                        witness,
                        true,
                    )
                    .await?;
                Ok(Value::Null)
            })
            .await?;
        Ok(())
    }

    /// The sample's witness. Where it needs the keys it is made with the proof instead.
    async fn witness(&self, settings: &Settings) -> Result<()> {
        if needs_keys(settings) { Ok(()) } else { self.make_witness(settings).await }
    }

    async fn make_witness(&self, settings: &Settings) -> Result<()> {
        let artifacts = self.project.artifacts();
        let sample = self.project.data().swap_remove(0);
        let mut inputs = vec![
            Input::File("circuit", artifacts.compiled.clone()),
            Input::File("sample input", sample.clone()),
            self.engine_version(),
        ];
        if needs_keys(settings) {
            inputs.push(Input::File("verifying key", artifacts.vk.clone()));
        }
        let spec = Spec { name: "witness", inputs, outputs: vec!["sample.witness.json".into()] };
        self.graph
            .step(spec, || async {
                let engine = self.engine().await;
                let files = self.proving_files(settings, &artifacts);
                self.project.check_input(&sample)?;
                make_witness(&engine, &files, &sample, &artifacts.witness).await?;
                Ok(Value::Null)
            })
            .await?;
        Ok(())
    }

    fn proving_files<'a>(
        &self,
        settings: &'a Settings,
        artifacts: &'a super::Artifacts,
    ) -> ProvingFiles<'a> {
        ProvingFiles {
            settings,
            settings_path: &artifacts.settings,
            compiled: &artifacts.compiled,
            srs: &artifacts.srs,
            vk: &artifacts.vk,
            pk: &artifacts.pk,
        }
    }

    async fn proof(&self, settings: &Settings) -> Result<()> {
        if needs_keys(settings) {
            self.make_witness(settings).await?;
        }
        let artifacts = self.project.artifacts();
        let spec = Spec {
            name: "proof",
            inputs: vec![
                Input::File("witness", artifacts.witness.clone()),
                Input::File("circuit", artifacts.compiled.clone()),
                Input::File("proving key", artifacts.pk.clone()),
                self.engine_version(),
            ],
            outputs: vec!["sample.proof.json".into()],
        };
        self.graph
            .step(spec, || async {
                let engine = self.engine().await;
                let files = self.proving_files(settings, &artifacts);
                prove_witness(&engine, &files, &artifacts.witness, &artifacts.proof).await?;
                Ok(Value::Null)
            })
            .await?;
        Ok(())
    }

    /// Written only if it accepts the sample proof and rejects mutants of it.
    async fn verifier(
        &self,
        settings: &Settings,
    ) -> Result<(GasReport, Option<Comparison>, Option<BatchReport>)> {
        let artifacts = self.project.artifacts();
        let config = &self.project.config().verifier;
        let spec = Spec {
            name: "verifier",
            inputs: vec![
                Input::File("verifying key", artifacts.vk.clone()),
                Input::File("settings", artifacts.settings.clone()),
                Input::File("srs", artifacts.srs.clone()),
                Input::File("proof", artifacts.proof.clone()),
                Input::Value("verifier options", json!(config)),
                Input::Value("zkvouch version", env!("CARGO_PKG_VERSION").into()),
                self.engine_version(),
            ],
            outputs: [METADATA_FILE, batch::METADATA_FILE]
                .map(|file| Path::new("verifier").join(file))
                .to_vec(),
        };
        let notes = self
            .graph
            .step(spec, || async {
                let proof = ProofFile::read(&artifacts.proof)?;
                proof.check(settings)?;
                let request = VerifierRequest {
                    settings,
                    settings_path: &artifacts.settings,
                    vk: &artifacts.vk,
                    srs: &artifacts.srs,
                    proof: Some(&proof),
                    config,
                };
                let made = make_verifier(&*self.engine().await, &request).await?;
                made.artifact.write(&artifacts.verifier)?;
                batch::write(&artifacts.verifier, made.batch.as_ref())?;
                Ok(json!({
                    "metadata": made.artifact.metadata(),
                    "comparison": made.comparison,
                    "batch": made.batch.as_ref().map(BatchReport::of),
                }))
            })
            .await?;
        Ok((
            self.note(&notes["metadata"]["gas"])?,
            self.note(&notes["comparison"])?,
            self.note(&notes["batch"])?,
        ))
    }

    /// Reads back what a step left in the manifest.
    fn note<T: DeserializeOwned>(&self, note: &Value) -> Result<T> {
        let path = || self.project.artifacts().folder.join(MANIFEST_FILE);
        T::deserialize(note).map_err(|error| graph::broken(path(), error))
    }
}

/// Fits `settings_in` to the data and writes `settings_out`. Several input files are taken one after
/// another. Returns ezkl's report.
pub async fn calibrate(
    engine: &Engine,
    model: &Path,
    data: &[PathBuf],
    (settings_in, settings_out): (&Path, &Path),
    options: &CalibrationConfig,
) -> Result<String> {
    let target = match options.target {
        Target::Tune => return Err(Error::TuneElsewhere),
        Target::Resources => engine::Target::Resources,
        Target::Accuracy => engine::Target::Accuracy,
        Target::Manual => {
            files::write_atomic(settings_out, &files::read(settings_in)?)?;
            return Ok(String::new());
        }
    };
    let settings = Settings::read(settings_in)?;
    let inputs = data.iter().map(|path| InputData::read(path)).collect::<Result<Vec<_>, _>>()?;
    for input in &inputs {
        input.check_observations(&settings)?;
    }
    let scratch = scratch()?;
    let together = scratch.path().join("data.json");
    InputData::concat(&inputs)?.write(&together)?;
    let mut request = CalibrateRequest::new(&together, model, settings_in);
    request.settings_out = settings_out.to_owned();
    request.target = target;
    request.margin = options.lookup_safety_margin;
    request.scales.clone_from(&options.scales);
    request.scale_rebase_multipliers.clone_from(&options.scale_rebase_multipliers);
    // Beyond this no ceremony's file can be had without the internet.
    request.max_logrows = options.max_logrows.or(Some(DEFAULT_MAX_LOGROWS));
    let report = engine.calibrate(&request).await?;
    Settings::read(settings_out)?;
    Ok(report.text)
}

/// A folder for files that nobody keeps.
fn scratch() -> Result<tempfile::TempDir> {
    let folder = std::env::temp_dir();
    Ok(tempfile::tempdir().map_err(files::Error::at("write", folder))?)
}

/// The source with a path relative to `root` made absolute.
pub fn srs_source(source: &srs::Source, root: &Path) -> srs::Source {
    match source {
        srs::Source::Path(path) => srs::Source::Path(root.join(path)),
        other => other.clone(),
    }
}

/// What a verifier is made from.
#[derive(Clone, Copy, Debug)]
pub struct VerifierRequest<'a> {
    /// The settings, read.
    pub settings: &'a Settings,
    /// Their file.
    pub settings_path: &'a Path,
    /// The verifying key.
    pub vk: &'a Path,
    /// The SRS.
    pub srs: &'a Path,
    /// A proof of the circuit, which the verifier must accept. Without one nothing is measured.
    pub proof: Option<&'a ProofFile>,
    /// Whose Solidity, the compiler and its options.
    pub config: &'a VerifierConfig,
}

/// A verifier, and for a lean one what it is compared with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MadeVerifier {
    /// The verifier.
    pub artifact: VerifierArtifact,
    /// What a lean verifier was compiled from; its batch contract comes from here, too.
    pub lean: Option<LeanVerifier>,
    /// For a lean verifier that has verified a proof.
    pub comparison: Option<Comparison>,
    /// The lean verifier of many proofs, where the circuit has one that a chain takes.
    pub batch: Option<Batch>,
}

/// What a build says of the verifier of many proofs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BatchReport {
    /// Sizes, and the gas of a batch of one.
    pub report: GasReport,
    /// What batches of some sizes cost.
    pub gas: Vec<BatchGas>,
}

impl BatchReport {
    /// The report on a batch verifier.
    pub fn of(batch: &Batch) -> Self {
        Self { report: batch.artifact.metadata().gas.clone(), gas: batch.gas.clone() }
    }
}

/// A lean verifier beside ezkl's for the same proof.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// ezkl's verifier with the guard, measured under the same rules.
    pub ezkl: GasReport,
    /// Where the lean verifier's gas goes.
    pub breakdown: Breakdown,
}

/// Has ezkl write its Solidity, puts the guard into it or generates the lean verifier from it, and
/// compiles. The unguarded source is not kept.
pub async fn make_verifier(engine: &Engine, request: &VerifierRequest<'_>) -> Result<MadeVerifier> {
    VkHeader::read(request.vk)?.check(request.settings)?;
    let scratch = scratch()?;
    let raw = scratch.path().join("raw.sol");
    engine.create_evm_verifier(request.vk, request.settings_path, request.srs, &raw).await?;
    let raw = files::read_to_string(&raw)?;
    let config = request.config;
    let num_instances = request.settings.instance_layout().len;
    let proof_len = request.proof.map(|proof| proof.proof.bytes.len());
    let guarded = VerifierSource::from_ezkl(&raw, proof_len, Some(num_instances))?;
    let compilers = config.matrix.compilers(&config.solc).await?;
    let build = |source| BuildRequest {
        options: config.compiler.clone(),
        matrix: Some(config.matrix.clone()),
        sample: request
            .proof
            .map(|proof| Sample { proof: &proof.proof.bytes, instances: &proof.proof.instances }),
        hardfork: config.hardfork,
        allow_oversize: config.allow_oversize,
        ..BuildRequest::new(source)
    };
    if config.kind != verifier::Kind::Lean {
        let artifact = verifier::build_among(&compilers, build(guarded)).await?;
        return Ok(MadeVerifier { artifact, lean: None, comparison: None, batch: None });
    }
    let vk = files::read(request.vk)?;
    let k = request.settings.run_args.logrows;
    // The comparison with ezkl's verifier at random points takes a second or two of one CPU.
    let generated = tokio::task::spawn_blocking(move || {
        lean::generate(&raw, &Expected { num_instances, k, vk: Some(&vk) })
    });
    let generated = generated
        .await
        .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
        .map_err(verifier::Error::from)?;
    let artifact = verifier::build_among(&compilers, build(generated.source())).await?;
    let batch = match generated.batch_source() {
        Some(source) => {
            let proven = &artifact.metadata().compiler;
            let chosen = compilers.iter().find(|it| it.solc().sha256 == proven.sha256);
            let chosen = chosen.unwrap_or(&compilers[0]);
            batch::build(chosen, build(source), &proven.options).await?
        }
        None => None,
    };
    let comparison = match request.proof {
        None => None,
        Some(proof) => {
            // For its gas only: its size does not matter, and the first settings that do are good.
            let beside = BuildRequest { matrix: None, allow_oversize: true, ..build(guarded) };
            let ezkl = verifier::build_among(&compilers, beside).await?;
            let breakdown = generated
                .breakdown(&proof.proof.bytes, &proof.proof.instances)
                .map_err(verifier::Error::from)?;
            Some(Comparison { ezkl: ezkl.metadata().gas.clone(), breakdown })
        }
    };
    Ok(MadeVerifier { artifact, lean: Some(generated), comparison, batch })
}
