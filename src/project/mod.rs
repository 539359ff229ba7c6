//! A project: one model, its settings and everything that is built from them.
//!
//! ```text
//! settings ─ calibrate ─┬─ compile ─┬─ setup ─┬─ verifier ── report
//!                       └─ srs ─────┘         │                │
//!                                   └─ witness┴─ sample proof ─┘
//! ```

pub mod config;
pub mod graph;

mod build;
mod onchain;

pub use build::{
    BatchReport, BuildOptions, BuildReport, Comparison, MadeVerifier, VerifierRequest, calibrate,
    make_verifier, srs_source,
};
pub use graph::{Manifest, read_manifest};

use crate::{
    artifacts::{
        self, input::InputData, onnx::OnnxFile, proof::ProofFile, run_args::Visibility,
        settings::Settings, witness::Witness,
    },
    chain,
    engine::{self, Engine, EngineConfig, EnginePool},
    files,
    model::identity::ModelIdentity,
    srs, toolchain, tune, verifier,
};
use config::Config;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Something that a build has to tell while it runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Another process holds the build folder.
    Waiting {
        /// The lock file.
        path: PathBuf,
    },
    /// A step's inputs and outputs are as they were.
    Skipped {
        /// The step's name.
        step: &'static str,
    },
    /// A step has begun.
    Started {
        /// The step's name.
        step: &'static str,
        /// Why it is out of date.
        reason: String,
    },
    /// ezkl says what it is doing.
    Phase {
        /// In its own words.
        message: String,
    },
    /// A step has ended well.
    Finished {
        /// The step's name.
        step: &'static str,
        /// How long it took.
        elapsed: Duration,
    },
    /// A step has failed; its error follows as the build's result.
    Failed {
        /// The step's name.
        step: &'static str,
    },
}

/// Receives a build's events, from whichever thread.
pub type Observer = Arc<dyn Fn(Event) + Send + Sync>;

/// A project could not be read, built or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No project file.
    #[error(
        "no zkvouch.toml in {} or above it; run `zkvouch init model.onnx --data input.json` to make \
         one",
        .0.display()
    )]
    NoProject(PathBuf),
    /// The project file is wrong.
    #[error("{}: {message}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What and where.
        message: String,
    },
    /// The manifest is broken or of another version.
    #[error("{}: {message}; run `zkvouch clean` and build again", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// An artefact that a build makes is not there or out of date.
    #[error("{} is not there; run `zkvouch build` to make it", .0.display())]
    NotBuilt(PathBuf),
    /// The verifier was built without a proof.
    #[error("the verifier has accepted no proof yet, so its gas is not known; run `zkvouch build`")]
    NotMeasured,
    /// The tuner is no calibration of ezkl's.
    #[error("calibrate takes resources, accuracy or manual; run `zkvouch tune` to tune")]
    TuneElsewhere,
    /// Tuning failed.
    #[error(transparent)]
    Tune(Box<tune::Error>),
    /// What was proved does not verify.
    #[error(
        "the proof of {} does not verify, although proving went through; the witness does not satisfy \
         the circuit (run `zkvouch mock` to see which constraint fails)",
        .0.display()
    )]
    ProofRejected(PathBuf),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] files::Error),
    /// ezkl failed.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// An artefact is malformed or does not fit.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// No SRS.
    #[error(transparent)]
    Srs(#[from] srs::Error),
    /// The verifier could not be made.
    #[error(transparent)]
    Verifier(Box<verifier::Error>),
    /// The chain refuses, or a proof is not for what is deployed there.
    #[error(transparent)]
    Chain(Box<chain::Error>),
    /// A tool is missing.
    #[error(transparent)]
    Toolchain(#[from] toolchain::Error),
}

macro_rules! boxed {
    ($($variant:ident($error:ty)),*) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::$variant(Box::new(error))
            }
        })*
    };
}

// The large ones are boxed, so that a result that is nearly always `Ok` stays small.
boxed!(Chain(chain::Error), Tune(tune::Error), Verifier(verifier::Error));

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A project folder with its `zkvouch.toml`.
#[derive(Clone, Debug)]
pub struct Project {
    root: PathBuf,
    config: Config,
    deployments: PathBuf,
}

/// Where a project's artefacts lie.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Artifacts {
    /// The build folder.
    pub folder: PathBuf,
    /// Settings as ezkl generated them, before calibration.
    pub raw_settings: PathBuf,
    /// Calibrated settings; the circuit is bound to these bytes.
    pub settings: PathBuf,
    /// The compiled circuit.
    pub compiled: PathBuf,
    /// The SRS, truncated to the circuit's size.
    pub srs: PathBuf,
    /// The verifying key.
    pub vk: PathBuf,
    /// The proving key.
    pub pk: PathBuf,
    /// The sample input's witness.
    pub witness: PathBuf,
    /// The sample input's proof.
    pub proof: PathBuf,
    /// The folder of the verifier: source, ABI, bytecode, compiler input, metadata.
    pub verifier: PathBuf,
}

impl Project {
    /// Opens a project by its file or its folder.
    pub fn open(path: &Path) -> Result<Self> {
        let file = if path.is_dir() { path.join(config::FILE_NAME) } else { path.to_owned() };
        if !file.is_file() {
            return Err(Error::NoProject(path.to_owned()));
        }
        let config = Config::read(&file)?;
        let file = std::path::absolute(&file).map_err(files::Error::at("read", &file))?;
        let root = file.parent().map(Path::to_owned).unwrap_or_default();
        Ok(Self { deployments: root.join("deployments"), root, config })
    }

    /// Opens the project that `folder` lies in: the nearest `zkvouch.toml` in it or above it.
    pub fn discover(folder: &Path) -> Result<Self> {
        let start = std::path::absolute(folder).map_err(files::Error::at("read", folder))?;
        start
            .ancestors()
            .map(|folder| folder.join(config::FILE_NAME))
            .find(|file| file.is_file())
            .map_or_else(|| Err(Error::NoProject(start.clone())), |file| Self::open(&file))
    }

    /// The project's folder, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What zkvouch.toml says.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The project's name.
    pub fn name(&self) -> String {
        let folder = || self.root.file_name().map(|name| name.to_string_lossy().into_owned());
        self.config.model.name.clone().or_else(folder).unwrap_or_else(|| "model".to_owned())
    }

    /// The ONNX file.
    pub fn model(&self) -> PathBuf {
        self.root.join(&self.config.model.path)
    }

    /// The calibration inputs; the first is the sample.
    pub fn data(&self) -> Vec<PathBuf> {
        self.config.model.data.iter().map(|path| self.root.join(path)).collect()
    }

    /// Where the artefacts lie, built or not.
    pub fn artifacts(&self) -> Artifacts {
        let folder = self.root.join(&self.config.build_dir);
        let file = |name: &str| folder.join(name);
        Artifacts {
            raw_settings: file("settings.raw.json"),
            settings: file("settings.json"),
            compiled: file("model.compiled"),
            srs: file("kzg.srs"),
            vk: file("vk.key"),
            pk: file("pk.key"),
            witness: file("sample.witness.json"),
            proof: file("sample.proof.json"),
            verifier: file("verifier"),
            folder,
        }
    }

    /// The engine's configuration: the environment's, with the version and deadline of this project.
    pub fn engine_config(&self) -> Result<EngineConfig> {
        let mut config = EngineConfig::from_env()?;
        config.version.clone_from(&self.config.engine.version);
        if let Some(seconds) = self.config.engine.deadline_secs {
            config.deadline = Some(Duration::from_secs(seconds));
        }
        Ok(config)
    }

    /// Workers for this project.
    pub fn engines(&self) -> Result<EnginePool> {
        let mut config = self.engine_config()?;
        // Two workers seldom compute at once in a build, so each may have all CPUs.
        config.threads =
            config.threads.or(std::thread::available_parallelism().ok().map(usize::from));
        Ok(EnginePool::new(config, 2))
    }

    /// The identity of the model as built.
    ///
    /// # Errors
    /// [`Error::NotBuilt`] where an artefact is missing.
    pub fn identity(&self) -> Result<ModelIdentity> {
        let artifacts = self.artifacts();
        let hash = |path: &Path| -> Result<_> {
            if path.is_file() {
                Ok(files::sha256_file(path)?)
            } else {
                Err(Error::NotBuilt(path.to_owned()))
            }
        };
        Ok(ModelIdentity {
            onnx_sha256: hash(&self.model())?,
            settings_sha256: hash(&artifacts.settings)?,
            srs_sha256: hash(&artifacts.srs)?,
            vk_sha256: hash(&artifacts.vk)?,
            engine_version: self.config.engine.version.clone(),
        })
    }

    /// Reads the built settings.
    pub fn settings(&self) -> Result<Settings> {
        let path = self.artifacts().settings;
        if path.is_file() { Ok(Settings::read(&path)?) } else { Err(Error::NotBuilt(path)) }
    }

    /// Checks the input's shape against the model's. The settings know it only of public inputs.
    pub fn check_input(&self, input: &Path) -> Result<()> {
        let model = OnnxFile::read(&self.model())?;
        if let Some(shapes) = model.input_shapes(&self.settings()?.run_args.variables) {
            InputData::read(input)?.check_shapes(&shapes)?;
        }
        Ok(())
    }

    /// Proves the prediction on `input`, and writes the proof to `output`. The witness is kept in
    /// the build folder. The input is checked against the circuit before ezkl sees it, and the proof
    /// is verified before it is written.
    pub async fn prove(&self, engine: &Engine, input: &Path, output: &Path) -> Result<ProofFile> {
        let artifacts = self.artifacts();
        self.check_input(input)?;
        let settings = self.settings()?;
        let scratch = tempfile::Builder::new()
            .prefix(".prove-")
            .tempdir_in(&artifacts.folder)
            .map_err(files::Error::at("write", &artifacts.folder))?;
        let witness = scratch.path().join("witness.json");
        let files = ProvingFiles {
            settings: &settings,
            settings_path: &artifacts.settings,
            compiled: &artifacts.compiled,
            srs: &artifacts.srs,
            vk: &artifacts.vk,
            pk: &artifacts.pk,
        };
        make_witness(engine, &files, input, &witness).await?;
        prove_witness(engine, &files, &witness, output).await
    }
}

/// The artefacts that proving needs.
#[derive(Clone, Copy, Debug)]
pub struct ProvingFiles<'a> {
    /// The settings, read.
    pub settings: &'a Settings,
    /// Their file.
    pub settings_path: &'a Path,
    /// The compiled circuit.
    pub compiled: &'a Path,
    /// The SRS.
    pub srs: &'a Path,
    /// The verifying key.
    pub vk: &'a Path,
    /// The proving key.
    pub pk: &'a Path,
}

/// Whether making a witness takes the verifying key and the SRS: only a commitment does.
pub(crate) fn needs_keys(settings: &Settings) -> bool {
    let args = &settings.run_args;
    [&args.input_visibility, &args.output_visibility, &args.param_visibility]
        .contains(&&Visibility::KzgCommit)
}

/// Checks an input file against the settings and makes its witness.
pub async fn make_witness(
    engine: &Engine,
    files: &ProvingFiles<'_>,
    input: &Path,
    witness: &Path,
) -> Result<()> {
    InputData::read(input)?.check(files.settings)?;
    let keys = needs_keys(files.settings);
    engine
        .gen_witness(
            input,
            files.compiled,
            witness,
            keys.then_some(files.vk),
            keys.then_some(files.srs),
        )
        .await?;
    Ok(())
}

/// Proves a witness and verifies the proof before it is written to `output`.
///
/// ezkl proves whatever it is given without complaint and hangs on values outside its lookup tables,
/// hence a check of the ranges before and a verification after.
pub async fn prove_witness(
    engine: &Engine,
    files: &ProvingFiles<'_>,
    witness: &Path,
    output: &Path,
) -> Result<ProofFile> {
    for path in [files.compiled, files.srs, files.vk, files.pk] {
        if !path.is_file() {
            return Err(Error::NotBuilt(path.to_owned()));
        }
    }
    Witness::read(witness)?.check_ranges(files.settings)?;
    let pending = files::Pending::new(output)?;
    engine.prove(witness, files.compiled, files.pk, files.srs, pending.path()).await?;
    let proof = ProofFile::read(pending.path())?;
    proof.check(files.settings)?;
    if !engine.verify(pending.path(), files.settings_path, files.vk, files.srs).await? {
        return Err(Error::ProofRejected(witness.to_owned()));
    }
    pending.commit()?;
    Ok(proof)
}
