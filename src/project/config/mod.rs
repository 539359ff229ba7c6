//! `zkvouch.toml`: what a project's circuit is made from, and where it is deployed.

mod circuit;
mod template;
mod text;

pub use circuit::CircuitConfig;
pub use template::{Template, template};
#[cfg(feature = "cli")]
pub(crate) use text::parse_variable;

use super::{Error, Result, policy::Policy};
use crate::{
    accuracy::ErrorBound,
    artifacts::run_args::MAX_LOGROWS,
    evm::Hardfork,
    files,
    model::batch::Batching,
    prepare::{Constants, Convolutions},
    srs,
    tune::{ChainLimits, Objective},
    verifier::{
        self, Matrix,
        lean::OptimizeFor,
        solc::{CompilerOptions, SolcRequest},
    },
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use text::{constants_from_table, from_text, some_from_text, some_to_text, to_text};

/// The name of the project file, by which a project folder is found.
pub const FILE_NAME: &str = "zkvouch.toml";

/// The whole file. Relative paths are relative to the file's folder.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The model and its data.
    pub model: ModelConfig,
    /// Visibilities, scales and the circuit's shape.
    #[serde(default)]
    pub circuit: CircuitConfig,
    /// How scales and ranges are fitted to the data.
    #[serde(default)]
    pub calibration: CalibrationConfig,
    /// Where the SRS comes from.
    #[serde(default)]
    pub srs: SrsConfig,
    /// Which ezkl is used.
    #[serde(default)]
    pub engine: EngineSection,
    /// Which verifier is made, and by which compiler.
    #[serde(default)]
    pub verifier: VerifierConfig,
    /// Rules that are waived.
    #[serde(default)]
    pub policy: Policy,
    /// Where to deploy, by name.
    #[serde(default)]
    pub networks: BTreeMap<String, NetworkConfig>,
    /// The folder for artefacts.
    #[serde(default = "default_build_dir")]
    pub build_dir: PathBuf,
}

fn one() -> usize {
    1
}

fn default_build_dir() -> PathBuf {
    "build".into()
}

/// `[model]`: what is proved, and the data that the circuit is fitted to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The ONNX file; weights in files of their own lie beside it.
    pub path: PathBuf,
    /// The outputs that a proof shows, by their names in the model; all of them if absent.
    #[serde(default)]
    pub outputs: Vec<String>,
    /// How many observations a proof is of: so many predictions in one circuit.
    #[serde(default = "one")]
    pub batch_size: usize,
    /// How the circuit computes convolutions: `auto`, `plain` or `products` (of matrices).
    #[serde(default)]
    pub convolutions: Convolutions,
    /// Inputs that decide a shape or an order, with the value that they have in the circuit.
    #[serde(default, deserialize_with = "constants_from_table")]
    pub constants: Constants,
    /// The name used in reports and deployments; the project folder's name if absent.
    pub name: Option<String>,
    /// Inputs in any form that [`observations`](crate::artifacts::observations) reads. Calibration uses all
    /// of them; the first observation is also the sample that the gas report proves.
    pub data: Vec<PathBuf>,
}

/// `[calibration]`
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
#[cfg_attr(feature = "cli", command(next_help_heading = "Calibration options"))]
pub struct CalibrationConfig {
    /// What to fit the circuit for.
    #[cfg_attr(feature = "cli", arg(long, value_enum, default_value_t = Target::Resources))]
    pub target: Target,
    /// How much wider than the data's range lookup tables are.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FACTOR", default_value_t = 2.0))]
    pub lookup_safety_margin: f64,
    /// Input scales to try.
    #[cfg_attr(feature = "cli", arg(long, value_delimiter = ',', value_name = "SCALES"))]
    pub scales: Option<Vec<u32>>,
    /// Rebase multipliers to try.
    #[cfg_attr(feature = "cli", arg(long, value_delimiter = ',', value_name = "MULTIPLIERS"))]
    pub scale_rebase_multipliers: Option<Vec<u32>>,
    /// The largest circuit to consider, as log2 of its rows: 26 by default with `target = "tune"`, else
    /// 14.
    #[cfg_attr(feature = "cli", arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_LOGROWS))))]
    pub max_logrows: Option<u32>,
    /// With `target = "tune"`: what to minimise.
    #[cfg_attr(feature = "cli", arg(skip))]
    pub objective: Objective,
    /// The largest error on the data, as text such as `0.01` or `mean:0.5%`, that a build lets pass; 2 % of the
    /// range of the model's answers if absent. With `target = "tune"` also the search's bound; that of ezkl's
    /// own calibration if absent.
    #[cfg_attr(feature = "cli", arg(skip))]
    #[serde(deserialize_with = "some_from_text", serialize_with = "some_to_text")]
    pub max_error: Option<ErrorBound>,
    /// With `target = "tune"`: how much to search, as the seconds that it takes on a usual machine. It
    /// is counted in work, so that all machines choose alike.
    #[cfg_attr(feature = "cli", arg(skip = TUNE_SECONDS))]
    pub budget_secs: u64,
}

/// The tuner's time in a build.
const TUNE_SECONDS: u64 = 60;

impl Default for CalibrationConfig {
    fn default() -> Self {
        Self {
            target: Target::Tune,
            lookup_safety_margin: 2.0,
            scales: None,
            scale_rebase_multipliers: None,
            max_logrows: None,
            objective: Objective::default(),
            max_error: None,
            budget_secs: TUNE_SECONDS,
        }
    }
}

/// What calibration aims at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The cheapest circuit that is accurate enough, by zkvouch's own search.
    Tune,
    /// The smallest circuit.
    Resources,
    /// The smallest error.
    Accuracy,
    /// None: the scales of `[circuit]` as they are.
    Manual,
}

/// `[srs]`: where the structured reference string comes from.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct SrsConfig {
    /// `ceremony`, `ceremony:<url>`, `unsafe-dev`, or the path of a file.
    #[serde(deserialize_with = "from_text", serialize_with = "to_text")]
    pub source: srs::Source,
}

/// `[engine]`: which ezkl runs, and for how long.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct EngineSection {
    /// The version of ezkl. Keys, proofs and settings are bound to it.
    pub version: String,
    /// The longest that one request may take, in seconds.
    pub deadline_secs: Option<u64>,
}

impl Default for EngineSection {
    fn default() -> Self {
        Self { version: crate::engine::DEFAULT_VERSION.to_owned(), deadline_secs: None }
    }
}

/// `[verifier]`: the Solidity and what compiles it.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct VerifierConfig {
    /// Whose Solidity: `ezkl` or `lean`.
    pub kind: verifier::Kind,
    /// Which solc: a version or a path.
    pub solc: SolcRequest,
    /// Its options; the best of the matrix if absent.
    pub compiler: Option<CompilerOptions>,
    /// Compilers and options to choose among, by the gas of verifying the sample.
    pub matrix: Matrix,
    /// The rules that gas is measured under.
    pub hardfork: Hardfork,
    /// What the lean verifier is to be cheap in; `deployment` where the other does not fit.
    pub optimize_for: OptimizeFor,
    /// Build even what no public chain takes.
    pub allow_oversize: bool,
}

/// `[networks.<name>]`: a node and the chain that it must serve.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// A URL, or a name from foundry.toml's `[rpc_endpoints]`; `${NAME}` is taken from the environment.
    pub rpc_url: String,
    /// The chain id that must be found there.
    pub chain_id: Option<u64>,
}

impl VerifierConfig {
    /// What a chain takes of such a verifier, unless it need not be deployed on a public one.
    pub fn chain_limits(&self) -> Option<ChainLimits> {
        match self.kind {
            _ if self.allow_oversize => None,
            verifier::Kind::Lean => Some(ChainLimits::new(self.hardfork, true)),
            _ => Some(ChainLimits::new(self.hardfork, false)),
        }
    }
}

impl Config {
    /// How many observations the circuit takes, and how they lie in its tensors.
    pub fn batch(&self) -> Batching {
        // A size that no circuit has is refused when the configuration is read.
        self.circuit.run_args().batch(self.model.batch_size).unwrap_or_default()
    }

    /// Reads and checks a project file.
    ///
    /// # Errors
    /// [`Error::Config`] names the file and what is wrong in it, with its line.
    pub fn read(path: &Path) -> Result<Self> {
        let text = files::read_to_string(path)?;
        Self::parse(&text).map_err(|message| Error::Config { path: path.to_owned(), message })
    }

    /// As [`read`](Self::read), from the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        if config.model.data.is_empty() {
            return Err("model.data is empty; name at least one input file".into());
        }
        if config.verifier.compiler.is_some() && config.verifier.matrix != Matrix::default() {
            return Err(
                "verifier.compiler and verifier.matrix exclude each other; leave one out".into()
            );
        }
        let args = config.circuit.run_args();
        config.policy.validate().map_err(|error| error.to_string())?;
        args.validate().map_err(|error| format!("circuit.{error}"))?;
        args.batch(config.model.batch_size).map_err(|error| format!("model.{error}"))?;
        if let Some(k) = config.calibration.max_logrows.filter(|k| !(1..=MAX_LOGROWS).contains(k)) {
            return Err(format!(
                "calibration.max_logrows is {k}, but must lie in 1..={MAX_LOGROWS}"
            ));
        }
        if config.calibration.lookup_safety_margin < 1.0 {
            return Err("calibration.lookup_safety_margin is below 1".into());
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests;
