//! The build: the steps that are out of date, in their order, independent ones side by side.

use super::{
    Artifacts, Built, Event, Observer, Project, Result,
    batches::EachMeasured,
    caveat::{CalibrationNotes, ModelNotes},
    config::{CalibrationConfig, Target},
    graph::Graph,
    names, plan,
    report::{BatchReport, BuildReport, Comparison, Hashing, PartReport},
    step::Step,
    steps::{
        MadeVerifier, MakeVerifier, calibrate, deployable, expected, make_verifier, make_witness,
        needs_keys, prove_witness,
    },
};
use crate::{
    accuracy::{
        ErrorBound, blame,
        judge::{self, JudgeRequest, Judgement},
    },
    artifacts::{
        observations,
        proof::ProofFile,
        run_args::{MAX_LOGROWS, RunArgs},
        settings::Settings,
    },
    engine::{self, EnginePool, PooledEngine, SetupRequest},
    files,
    prepare::{self, Original},
    srs, toolchain,
    tune::{self, CostModel, MoreGas, TuneRequest, machine::Work, within_field},
    verifier::{GasReport, batch},
};
use serde::{Deserialize, Serialize};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Duration,
};

/// What a caller can say about a build beyond the project file.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuildOptions {
    /// Run every step, changed or not.
    pub force: bool,
    /// The largest error of the circuit on the data, before that of zkvouch.toml.
    pub max_error: Option<ErrorBound>,
    /// Search for a circuit again, so much, in place of what the project says.
    pub budget: Option<Duration>,
}

impl Project {
    /// Builds what is out of date.
    pub async fn build(&self, options: BuildOptions, observer: Observer) -> Result<BuildReport> {
        let tally = Tally::default();
        let build = self.start(options, tally.observer(observer)).await?;
        let (judgement, VerifierNotes { verifier, comparison, batch }) = build.run().await?;
        build.engines.shutdown().await;
        // Read back, so that the report is of what lies there for everybody else to use.
        let built = Built::read(self, build.graph.finish())?;
        let (ran, skipped) = tally.take();
        Ok(BuildReport {
            name: self.name(),
            model_id: built.model_id(),
            identity: built.identity().clone(),
            logrows: built.settings().run_args.logrows,
            num_instances: built.layout().len,
            srs: built.provenance().clone(),
            judgement,
            caveats: built.caveats().to_vec(),
            hashing: Hashing::of(built.layout(), &verifier),
            each: EachMeasured::of(built.batch().size(), &verifier),
            verifier,
            comparison,
            batch,
            artifacts: build.artifacts,
            ran,
            skipped,
        })
    }

    /// Builds `step` and what it needs, where that is out of date, and nothing after it. What the whole
    /// build needs besides stays as it is.
    pub async fn build_until(
        &self,
        step: Step,
        options: BuildOptions,
        observer: Observer,
    ) -> Result<PartReport> {
        let tally = Tally::default();
        let build = self.start(options, tally.observer(observer)).await?;
        let judgement = build.run_until(step).await?;
        build.engines.shutdown().await;
        build.graph.finish();
        let (ran, skipped) = tally.take();
        let outputs = build.original.outputs();
        Ok(PartReport { until: step, outputs, judgement, artifacts: build.artifacts, ran, skipped })
    }

    async fn start(&self, options: BuildOptions, observer: Observer) -> Result<Build<'_>> {
        let artifacts = self.artifacts();
        let graph = Graph::open(&artifacts.folder, Arc::clone(&observer), options.force).await?;
        let engines = self.engines()?;
        let phases = Arc::clone(&observer);
        engines.on_event(move |event| {
            if let Some(message) = phase(event) {
                phases(Event::Phase { message });
            }
        });
        let BuildOptions { max_error, budget, .. } = options;
        let original = self.original()?;
        Ok(Build {
            project: self,
            original,
            artifacts,
            graph,
            engines,
            observer,
            max_error,
            budget,
        })
    }
}

/// The steps that ran and those that were up to date.
#[derive(Clone, Default)]
struct Tally(Arc<Mutex<(Vec<&'static str>, Vec<&'static str>)>>);

impl Tally {
    fn observer(&self, observer: Observer) -> Observer {
        let tally = self.clone();
        Arc::new(move |event: Event| {
            match &event {
                Event::Finished { step, .. } => tally.lock().0.push(*step),
                Event::Skipped { step } => tally.lock().1.push(*step),
                _ => {}
            }
            observer(event);
        })
    }

    fn take(&self) -> (Vec<&'static str>, Vec<&'static str>) {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, (Vec<&'static str>, Vec<&'static str>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the calibration step leaves in the manifest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Calibrated {
    /// zkvouch's own search, with its reasons and the run arguments that it chose.
    Tuned { reasons: Vec<String>, run_args: Box<RunArgs> },
    /// ezkl's calibration, with its report.
    Calibrated { report: String },
}

/// What the verifier step leaves in the manifest.
#[derive(Debug, Serialize, Deserialize)]
struct VerifierNotes {
    verifier: GasReport,
    comparison: Option<Comparison>,
    batch: Option<BatchReport>,
}

struct Build<'a> {
    project: &'a Project,
    original: Original,
    artifacts: Artifacts,
    graph: Graph,
    engines: EnginePool,
    observer: Observer,
    max_error: Option<ErrorBound>,
    budget: Option<Duration>,
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

    /// Says what a step is expected to take, before it starts.
    async fn announce(&self, settings: &Settings, work: Work) -> Result<()> {
        if let Some(expected) = expected(settings, work, self.engine().await.version())? {
            (self.observer)(Event::Expected { work, expected });
        }
        Ok(())
    }

    async fn run(&self) -> Result<(Judgement, VerifierNotes)> {
        self.prepare().await?;
        self.settings().await?;
        self.calibrate().await?;
        let settings = Settings::read(&self.artifacts.settings)?;
        within_field(&settings)?;
        // The SRS may be long in coming and the circuit in compiling; neither needs the other.
        let (judgement, ()) = tokio::try_join!(
            async {
                self.compile().await?;
                self.judge(&settings).await
            },
            self.srs(&settings)
        )?;
        if plan::fixes_input(&settings) {
            // The keys hold the inputs, which setup takes from the witness.
            self.witness(&settings).await?;
            self.setup(&settings).await?;
        } else if needs_keys(&settings) {
            self.setup(&settings).await?;
            self.witness(&settings).await?;
        } else {
            tokio::try_join!(self.setup(&settings), self.witness(&settings))?;
        }
        self.proof(&settings).await?;
        Ok((judgement, self.verifier(&settings).await?))
    }

    /// `step` and what it needs, one after the other. Returns what was judged, if it comes to that.
    async fn run_until(&self, step: Step) -> Result<Option<Judgement>> {
        self.prepare().await?;
        if step == Step::Prepare {
            return Ok(None);
        }
        self.settings().await?;
        if step == Step::Settings {
            return Ok(None);
        }
        self.calibrate().await?;
        let settings = Settings::read(&self.artifacts.settings)?;
        within_field(&settings)?;
        // For each step whether it needs the keys, which need the SRS.
        let (fixed, committed) = (plan::fixes_input(&settings), needs_keys(&settings));
        let setup = step >= Step::Proof
            || step == Step::Setup
            || (step == Step::Witness && committed && !fixed);
        let witness = step >= Step::Witness || (setup && fixed);
        if step != Step::Calibrate && step != Step::Srs {
            self.compile().await?;
        }
        let mut judgement = None;
        if step >= Step::Judge && step != Step::Srs {
            judgement = Some(self.judge(&settings).await?);
        }
        if setup || step == Step::Srs {
            self.srs(&settings).await?;
        }
        if witness && fixed {
            self.witness(&settings).await?;
        }
        if setup {
            self.setup(&settings).await?;
        }
        if witness && !fixed {
            self.witness(&settings).await?;
        }
        if step >= Step::Proof {
            self.proof(&settings).await?;
        }
        if step >= Step::Verifier {
            self.verifier(&settings).await?;
        }
        Ok(judgement)
    }

    async fn prepare(&self) -> Result<()> {
        let variables = self.project.config().circuit.run_args().variables;
        let weights = self.original.weights();
        self.graph
            .step(self.project.prepare_step(weights), || async {
                // Data that does not fit is told before anything looks at a model that may be large.
                self.observations()?;
                let (sample, copy) = (self.project.sample(), &self.artifacts.prepared);
                let prepared =
                    prepare::to_file(&self.original, &variables, Some(&sample), copy).await?;
                let unbound = self.original.file().unbound.clone();
                let (weights, prepared) = (weights.to_vec(), prepared.notes);
                Ok(ModelNotes { weights, prepared, unbound })
            })
            .await?;
        Ok(())
    }

    async fn settings(&self) -> Result<()> {
        let args = self.project.config().circuit.run_args();
        self.graph
            .step(self.project.settings_step(), || async {
                let Artifacts { prepared, raw_settings, .. } = &self.artifacts;
                let engine = self.engine().await;
                let made = engine.gen_settings(prepared, raw_settings, &args.to_engine()).await;
                if let Err(error) = made {
                    return Err(blame::explain(&engine, prepared, &args, error).await.into());
                }
                let settings = Settings::read(raw_settings)?;
                // The others choose the rows themselves.
                if self.project.config().calibration.target == Target::Manual {
                    within_field(&settings)?;
                }
                Ok(())
            })
            .await?;
        Ok(())
    }

    /// The number of observations in the project's data, all of which fit the model's shapes.
    fn observations(&self) -> Result<usize> {
        let variables = self.project.config().circuit.run_args().variables;
        let slots = self.original.slots(&variables)?;
        let mut count = 0;
        for path in self.project.data() {
            count += observations::read_inputs(&path, &slots)?.len();
        }
        Ok(count)
    }

    async fn calibrate(&self) -> Result<()> {
        let options = &self.project.config().calibration;
        let again = self.budget.is_some() && options.target == Target::Tune;
        self.graph
            .step_anew(again, self.project.calibrate_step(), || async {
                let observations = match options.target {
                    Target::Manual => None,
                    _ => Some(self.observations()?),
                };
                if options.target == Target::Tune {
                    let (how, more_gas) = self.tune(options).await?;
                    return Ok(CalibrationNotes { observations, more_gas, how });
                }
                let variables = self.project.config().circuit.run_args().variables;
                let slots = self.original.slots(&variables)?;
                let report = calibrate(
                    &*self.engine().await,
                    &self.artifacts.prepared,
                    (&self.project.data(), &slots, self.original.batch()),
                    (&self.artifacts.raw_settings, &self.artifacts.settings),
                    options,
                )
                .await?;
                let how = Calibrated::Calibrated { report };
                Ok(CalibrationNotes { observations, more_gas: None, how })
            })
            .await?;
        Ok(())
    }

    /// Searches for the cheapest circuit that is accurate enough, instead of ezkl's calibration.
    async fn tune(&self, options: &CalibrationConfig) -> Result<(Calibrated, Option<MoreGas>)> {
        let project = self.project;
        let mut request = TuneRequest::new(
            self.artifacts.prepared.clone(),
            project.data(),
            project.artifacts().settings,
        );
        request.run_args = project.config().circuit.run_args();
        request.batch = self.original.batch();
        request.objective = options.objective;
        request.max_error = options.max_error;
        request.time = self.budget.unwrap_or(Duration::from_secs(options.budget_secs));
        request.max_logrows = options.max_logrows.unwrap_or(MAX_LOGROWS);
        request.lookup_margin = options.lookup_safety_margin;
        // The build proves the sample itself, and proofs that are timed choose otherwise on each machine.
        request.prove = tune::Prove::Never;
        let config = project.config();
        request.decomposition = (config.circuit.sets_decomposition())
            .then_some((request.run_args.decomp_base, request.run_args.decomp_legs));
        request.chain = config.verifier.chain_limits();
        request.srs = Some((config.srs.source.within(project.root()), toolchain::cache_dir()?));
        request.cache = Some(toolchain::cache_dir()?.join("tune"));
        let (costs, unused) = CostModel::of_this_machine(self.engine().await.version());
        request.costs = CostModel { hardfork: config.verifier.hardfork, ..costs };
        if let Some(error) = unused {
            (self.observer)(Event::Phase { message: format!("measured costs not used: {error}") });
        }
        let observer = Arc::clone(&self.observer);
        let progress =
            move |step: tune::Progress| observer(Event::Phase { message: step.to_string() });
        let report = tune::run(&request, &self.engines, &AtomicBool::new(false), &progress).await?;
        let run_args = Box::new(report.choice.run_args);
        Ok((Calibrated::Tuned { reasons: report.reasons, run_args }, report.more_gas))
    }

    async fn compile(&self) -> Result<()> {
        let artifacts = &self.artifacts;
        self.graph
            .step(self.project.compile_step(), || async {
                let engine = self.engine().await;
                engine
                    .compile_circuit(&artifacts.prepared, &artifacts.settings, &artifacts.compiled)
                    .await?;
                Ok(())
            })
            .await
    }

    /// Before anything is made of a circuit that says something else than its model.
    async fn judge(&self, settings: &Settings) -> Result<Judgement> {
        self.graph
            .step(self.project.judge_step(self.max_error), || async {
                let request = JudgeRequest {
                    original: &self.original,
                    prepared: &self.artifacts.prepared,
                    data: &self.project.data(),
                    compiled: &self.artifacts.compiled,
                    settings,
                    max_error: self.max_error.or(self.project.config().calibration.max_error),
                };
                let (judgement, extents) = judge::run(&request, &self.engines).await?;
                extents.write(&self.artifacts.widths)?;
                Ok(judgement)
            })
            .await
    }

    async fn srs(&self, settings: &Settings) -> Result<()> {
        let source = self.project.config().srs.source.within(self.project.root());
        self.graph
            .step(self.project.srs_step(settings), || async {
                let k = settings.run_args.logrows;
                let cache = toolchain::cache_dir()?;
                Ok(srs::obtain(&source, k, &cache, &self.artifacts.srs).await?.provenance)
            })
            .await?;
        Ok(())
    }

    async fn setup(&self, settings: &Settings) -> Result<()> {
        let Artifacts { compiled, srs, vk, pk, witness, .. } = &self.artifacts;
        let witness = plan::fixes_input(settings).then_some(&**witness);
        self.graph
            .step(self.project.setup_step(settings), || async {
                deployable(settings, &self.project.config().verifier)?;
                self.announce(settings, Work::Setup).await?;
                let request =
                    SetupRequest { compiled, srs, vk, pk, witness, compress_selectors: true };
                self.engine().await.setup(request).await?;
                Ok(())
            })
            .await
    }

    async fn witness(&self, settings: &Settings) -> Result<()> {
        let copy = self.artifacts.folder.join(names::INPUT);
        self.graph
            .step(self.project.witness_step(settings), || async {
                let input = self.project.read_sample(settings)?.data;
                let json = input.to_json_for(settings).to_string();
                files::write_private(&copy, json.as_bytes())?;
                let files = self.artifacts.proving_files(settings);
                make_witness(&*self.engine().await, &files, &input, &self.artifacts.witness).await
            })
            .await
    }

    async fn proof(&self, settings: &Settings) -> Result<()> {
        self.graph
            .step(self.project.proof_step(), || async {
                self.announce(settings, Work::Proof).await?;
                let files = self.artifacts.proving_files(settings);
                let Artifacts { witness, proof, .. } = &self.artifacts;
                let predictions = self.project.sample_predictions(settings)?;
                let engine = &*self.engine().await;
                prove_witness(engine, &files, (witness, witness), predictions, proof).await?;
                Ok(())
            })
            .await
    }

    /// Written only if it accepts the sample proof and rejects mutants of it.
    async fn verifier(&self, settings: &Settings) -> Result<VerifierNotes> {
        let artifacts = &self.artifacts;
        self.graph
            .step(self.project.verifier_step(), || async {
                let proof = ProofFile::read(&artifacts.proof)?;
                proof.check(settings)?;
                let layout = self.project.layout(settings)?;
                let request = MakeVerifier {
                    settings,
                    layout: Some(&layout),
                    settings_path: &artifacts.settings,
                    vk: &artifacts.vk,
                    srs: &artifacts.srs,
                    proof: Some(&proof),
                    config: &self.project.config().verifier,
                    made_from: self.project.made_from(&self.graph.snapshot(), &artifacts.folder)?,
                };
                let MadeVerifier { artifact, comparison, batch, .. } =
                    make_verifier(&*self.engine().await, &request).await?;
                artifact.write(&artifacts.verifier)?;
                batch::write(&artifacts.verifier, batch.as_ref())?;
                Ok(VerifierNotes {
                    verifier: artifact.metadata().gas.clone(),
                    comparison,
                    batch: batch.as_ref().map(BatchReport::of),
                })
            })
            .await
    }
}
