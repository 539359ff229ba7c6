//! A project: one model, its settings and everything that is built from them.
//!
//! ```text
//! settings ─ calibrate ─┬─ compile ─┬─ setup ─┬─ verifier ── report
//!                       └─ srs ─────┘         │                │
//!                                   └─ witness┴─ sample proof ─┘
//! ```
//!
//! [`Project`] says what is to be built; [`Project::build`] builds what is out of date; [`Built`] is what
//! was built, and everything said on chain or in a report comes from there.

pub mod batches;
pub mod config;
pub mod graph;
pub mod inspect;
pub mod steps;

mod build;
mod built;
mod caveat;
mod clean;
mod error;
mod event;
mod inputs;
mod plan;
mod report;
mod requests;
mod step;

pub use build::BuildOptions;
pub use built::Built;
pub use caveat::Caveat;
pub use clean::Cleaned;
pub use error::{Error, Result};
pub use event::{Event, Observer};
pub use inputs::Input;
pub use report::{BatchReport, BuildReport, Comparison, Hashing, OtherForm, PartReport};
pub use step::Step;

use crate::{
    artifacts::{extents::Extents, layout::InstanceLayout, settings::Settings},
    engine::{EngineConfig, EnginePool},
    files,
    model::batch::Predictions,
    prepare::{self, Original},
};
use config::Config;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use steps::ProvingFiles;

/// What the artefacts are called in the build folder.
pub(crate) mod names {
    pub(crate) const RAW_SETTINGS: &str = "settings.raw.json";
    pub(crate) const SETTINGS: &str = "settings.json";
    pub(crate) const COMPILED: &str = "model.compiled";
    pub(crate) const SRS: &str = "kzg.srs";
    pub(crate) const VK: &str = "vk.key";
    pub(crate) const PK: &str = "pk.key";
    pub(crate) const WITNESS: &str = "sample.witness.json";
    pub(crate) const PROOF: &str = "sample.proof.json";
    pub(crate) const VERIFIER: &str = "verifier";
    /// The model as ezkl takes it.
    pub(crate) const PREPARED: &str = "prepared.onnx";
    /// How large the circuit's public numbers get.
    pub(crate) const WIDTHS: &str = "widths.json";
    /// The sample as ezkl was given it.
    pub(crate) const INPUT: &str = "sample.input.json";
}

/// A project folder with its `zkvouch.toml`.
#[derive(Clone, Debug)]
pub struct Project {
    root: PathBuf,
    config: Config,
}

/// Where a project's artefacts lie.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Artifacts {
    /// The build folder, which all the others are in.
    pub folder: PathBuf,
    /// Settings as ezkl generated them, before calibration.
    pub raw_settings: PathBuf,
    /// The model as ezkl takes it.
    pub prepared: PathBuf,
    /// Calibrated settings; the circuit is bound to these bytes.
    pub settings: PathBuf,
    /// The compiled circuit, in ezkl's own format.
    pub compiled: PathBuf,
    /// How large the circuit's public numbers get, from which the widths of packed instances follow.
    pub widths: PathBuf,
    /// The SRS, truncated to the circuit's size.
    pub srs: PathBuf,
    /// The verifying key, from which a verifier is generated.
    pub vk: PathBuf,
    /// The proving key, made together with the verifying key.
    pub pk: PathBuf,
    /// The sample input's witness.
    pub witness: PathBuf,
    /// The sample input's proof.
    pub proof: PathBuf,
    /// The folder of the verifier: source, ABI, bytecode, compiler input, metadata.
    pub verifier: PathBuf,
}

impl Artifacts {
    fn new(folder: PathBuf) -> Self {
        let file = |name: &str| folder.join(name);
        Self {
            raw_settings: file(names::RAW_SETTINGS),
            prepared: file(names::PREPARED),
            settings: file(names::SETTINGS),
            compiled: file(names::COMPILED),
            widths: file(names::WIDTHS),
            srs: file(names::SRS),
            vk: file(names::VK),
            pk: file(names::PK),
            witness: file(names::WITNESS),
            proof: file(names::PROOF),
            verifier: file(names::VERIFIER),
            folder,
        }
    }

    fn proving_files(&self, settings: &Settings) -> ProvingFiles {
        ProvingFiles {
            settings: settings.clone(),
            settings_path: self.settings.clone(),
            compiled: self.compiled.clone(),
            srs: self.srs.clone(),
            vk: self.vk.clone(),
            pk: self.pk.clone(),
        }
    }
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
        Ok(Self { root, config })
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

    /// What zkvouch.toml says, with defaults for what it doesn't.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// `model.name` of zkvouch.toml; without it the name of the project's folder.
    pub fn name(&self) -> String {
        let folder = || self.root.file_name().map(|name| name.to_string_lossy().into_owned());
        self.config.model.name.clone().or_else(folder).unwrap_or_else(|| "model".to_owned())
    }

    /// The ONNX file's path; a relative one is taken from the project's folder.
    pub fn model(&self) -> PathBuf {
        self.root.join(&self.config.model.path)
    }

    /// The model, read with the weights that lie beside it, and with the outputs that zkvouch.toml asks for.
    pub fn original(&self) -> Result<Original> {
        let model = &self.config.model;
        Ok(Original::with_constants(&self.model(), &model.outputs, &model.constants)?
            .with(model.convolutions)
            .in_batches(self.config.batch()))
    }

    /// Writes the model as ezkl takes it to `copy`. What is built stays as it is.
    pub async fn prepare_to(&self, copy: &Path) -> Result<prepare::Prepared> {
        let variables = self.config.circuit.run_args().variables;
        let sample = self.sample();
        Ok(prepare::to_file(&self.original()?, &variables, Some(&sample), copy).await?)
    }

    /// The calibration inputs; the first is the sample.
    pub fn data(&self) -> Vec<PathBuf> {
        self.config.model.data.iter().map(|path| self.root.join(path)).collect()
    }

    /// The folder of the deployments files, `deployments` in the project's folder.
    pub fn deployments(&self) -> PathBuf {
        self.root.join("deployments")
    }

    /// Where the artefacts lie, built or not.
    pub fn artifacts(&self) -> Artifacts {
        Artifacts::new(self.root.join(&self.config.build_dir))
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

    /// The sample: the first observation of the project's data, or as many of them as the circuit takes.
    pub fn read_sample(&self, settings: &Settings) -> Result<Input> {
        let (original, batch) = (self.original()?, self.config.batch());
        let slots = original.slots(&settings.run_args.variables)?;
        let mut inputs = Vec::new();
        for path in self.samples() {
            inputs.extend(steps::read_inputs(&path, Some(slots.clone()), settings)?);
        }
        inputs.truncate(batch.size());
        Ok(Input::of(&inputs, batch))
    }

    /// Which instance of a proof is what, with the widths that the build found.
    fn layout(&self, settings: &Settings) -> Result<InstanceLayout> {
        let layout = settings.instance_layout();
        let layout = layout.with_extents(&Extents::read(&self.artifacts().widths)?);
        // The configuration takes no more than the contracts count.
        Ok(InstanceLayout { predictions: self.config.batch().size() as u32, ..layout })
    }

    /// How many predictions the sample proof is of.
    fn sample_predictions(&self, settings: &Settings) -> Result<Predictions> {
        match self.config.batch().is_one() {
            true => Ok(Predictions::ONE),
            false => Ok(self.read_sample(settings)?.predictions),
        }
    }

    /// The one observation in a file, in any form that [`observations`](crate::artifacts::observations) reads,
    /// checked against the model's shapes; or as many as the circuit takes at a time.
    pub fn read_input(&self, path: &Path, settings: &Settings) -> Result<Input> {
        let slots = self.original()?.slots(&settings.run_args.variables)?;
        steps::read_input(path, Some(slots), (settings, self.config.batch()))
    }

    /// All observations in a file, as many at a time as the circuit takes.
    pub fn read_batches(&self, path: &Path, settings: &Settings) -> Result<Vec<Input>> {
        let slots = self.original()?.slots(&settings.run_args.variables)?;
        let inputs = steps::read_inputs(path, Some(slots), settings)?;
        Ok(inputs::batches(&inputs, self.config.batch()))
    }
}
