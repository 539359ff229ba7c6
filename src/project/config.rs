//! `zkvouch.toml`: what a project's circuit is made from, and where it is deployed.

use super::{Error, Result, policy::Policy};
use crate::{
    accuracy::ErrorBound,
    artifacts::{
        onnx,
        run_args::{MAX_LOGROWS, RunArgs, Visibility},
    },
    evm::Hardfork,
    field::Scale,
    files,
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
    fmt::Display,
    path::{Path, PathBuf},
    str::FromStr,
};

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

/// `[circuit]`: ezkl's run arguments. What is absent has zkvouch's default.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
#[cfg_attr(feature = "cli", command(next_help_heading = "Circuit options"))]
pub struct CircuitConfig {
    /// Who sees the inputs: public, private, fixed, hashed, hashed/public, hashed/private/OUTPUTS,
    /// polycommit.
    #[cfg_attr(feature = "cli", arg(long, value_name = "VISIBILITY"))]
    pub input_visibility: Option<Visibility>,
    /// Who sees the outputs.
    #[cfg_attr(feature = "cli", arg(long, value_name = "VISIBILITY"))]
    pub output_visibility: Option<Visibility>,
    /// Who sees the parameters. Only fixed, or hashed to the public, binds a proof to the weights.
    #[cfg_attr(feature = "cli", arg(long, value_name = "VISIBILITY"))]
    pub param_visibility: Option<Visibility>,
    /// Values for the model's symbolic axes, such as batch_size=1.
    #[cfg_attr(feature = "cli", arg(long = "variable", value_name = "NAME=VALUE", value_parser = parse_variable))]
    #[serde(deserialize_with = "variables_from_table", serialize_with = "variables_to_table")]
    pub variables: Vec<(String, usize)>,
    /// Fractional bits of the inputs.
    #[cfg_attr(feature = "cli", arg(long, allow_negative_numbers = true))]
    pub input_scale: Option<i32>,
    /// Fractional bits of the parameters.
    #[cfg_attr(feature = "cli", arg(long, allow_negative_numbers = true))]
    pub param_scale: Option<i32>,
    /// When a value's scale exceeds the input scale this many times, it is divided down.
    #[cfg_attr(feature = "cli", arg(long))]
    pub scale_rebase_multiplier: Option<u32>,
    /// The circuit has 2^logrows rows.
    #[cfg_attr(feature = "cli", arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_LOGROWS))))]
    pub logrows: Option<u32>,
    /// Columns per block of advice.
    #[cfg_attr(feature = "cli", arg(long))]
    pub num_inner_cols: Option<usize>,
    /// The base in which values are decomposed for range checks.
    #[cfg_attr(feature = "cli", arg(long))]
    pub decomp_base: Option<u64>,
    /// The digits of a decomposed value; its range is base^legs.
    #[cfg_attr(feature = "cli", arg(long))]
    pub decomp_legs: Option<u32>,
    /// The integers that lookup tables cover, as MIN..MAX.
    #[cfg_attr(feature = "cli", arg(long, value_name = "MIN..MAX", value_parser = parse_range, allow_hyphen_values = true))]
    pub lookup_range: Option<(i128, i128)>,
    /// Round constants to zero where the rebase scale makes fractions of them.
    #[cfg_attr(feature = "cli", arg(long))]
    pub rebase_frac_zero_constants: Option<bool>,
    /// Bounded logarithm lookups.
    #[cfg_attr(feature = "cli", arg(long))]
    pub bounded_log_lookup: Option<bool>,
    /// What is added to a denominator that may be zero.
    #[cfg_attr(feature = "cli", arg(long))]
    pub epsilon: Option<f64>,
    /// Multiply matrices in full instead of by Freivalds' check.
    #[cfg_attr(feature = "cli", arg(long))]
    pub disable_freivalds: Option<bool>,
}

impl CircuitConfig {
    /// zkvouch's defaults with what is set here.
    pub fn run_args(&self) -> RunArgs {
        let mut args = RunArgs::default();
        self.apply(&mut args);
        args
    }

    /// Whether the range of decomposed values is set here.
    pub fn sets_decomposition(&self) -> bool {
        self.decomp_base.is_some() || self.decomp_legs.is_some()
    }

    /// Puts what is set here over `args`.
    pub fn apply(&self, args: &mut RunArgs) {
        macro_rules! set {
            ($($field:ident),*) => {
                $(if let Some(value) = self.$field.clone() { args.$field = value; })*
            };
        }
        args.input_scale = self.input_scale.map_or(args.input_scale, Scale);
        args.param_scale = self.param_scale.map_or(args.param_scale, Scale);
        set!(
            input_visibility,
            output_visibility,
            param_visibility,
            scale_rebase_multiplier,
            logrows,
            num_inner_cols,
            decomp_base,
            decomp_legs,
            lookup_range,
            rebase_frac_zero_constants,
            bounded_log_lookup,
            epsilon,
            disable_freivalds
        );
        if !self.variables.is_empty() {
            args.variables.clone_from(&self.variables);
        }
    }
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
        config.policy.validate().map_err(|error| error.to_string())?;
        config.circuit.run_args().validate().map_err(|error| format!("circuit.{error}"))?;
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

/// The text of a new project file.
pub fn template(
    model: &Path,
    data: &[PathBuf],
    (outputs, constants): (&[String], &Constants),
    circuit: &CircuitConfig,
    srs: &srs::Source,
) -> String {
    let string = |text: &str| toml::Value::from(text).to_string();
    let list =
        data.iter().map(|path| string(&path.to_string_lossy())).collect::<Vec<_>>().join(", ");
    let outputs = match outputs {
        [] => "# outputs = [\"…\"]   # the outputs that a proof shows; all of them by default"
            .to_owned(),
        names => {
            let names: Vec<_> = names.iter().map(|name| string(name)).collect();
            format!("# The outputs that a proof shows.\noutputs = [{}]", names.join(", "))
        }
    };
    let constants: String = match constants.is_empty() {
        true => String::new(),
        false => {
            let all =
                constants.iter().map(|(name, values)| format!("{} = {values:?}", onnx::key(name)));
            let all: Vec<_> = all.collect();
            format!(
                "# Inputs that decide shapes or orders: in the circuit they have these values, and no others.\n\
                 constants = {{ {} }}\n",
                all.join(", ")
            )
        }
    };
    let args = circuit.run_args();
    let variables = args
        .variables
        .iter()
        .map(|(name, value)| format!("{} = {value}", onnx::key(name)))
        .collect::<Vec<_>>()
        .join(", ");
    format!(
        r#"# A zkvouch project. Paths are relative to this file.
# `zkvouch build` makes everything below build_dir; `zkvouch prove input.json` proves a prediction.

build_dir = "build"

[model]
path = {model}
# Inputs, representative ones, for calibration: .json (also ezkl's, {{"input_data": [[…]]}}), .jsonl,
# .csv, .npy or .npz. The first observation is also the sample that the gas report proves.
data = [{list}]
{outputs}
{constants}# convolutions = "auto"   # or plain, products: how the circuit computes them

[circuit]
# public: in the proof, for all to see.   private: only the prover knows it.
# fixed: part of the circuit (parameters).   hashed: the proof shows a Poseidon hash of it.
input_visibility = "{input}"
output_visibility = "{output}"
# Anything but fixed (or hashed) parameters leaves a proof unbound to the model's weights.
param_visibility = "{param}"
# Axes of the inputs that the model gives no length.
variables = {{ {variables} }}
# Leave these out unless you know better; calibration chooses the scales.
{shape}

[calibration]
# tune: the cheapest circuit that is as accurate as ezkl's own calibration (or max_error) on the data,
# and on inputs drawn beside it.
# resources, accuracy: ezkl's calibration, which fits scales only.   manual: the values above.
target = "tune"
# objective = "balanced"   # or prove-time, gas, memory, proof-size
# max_error = "0.01"       # or "0.5%", "mean:0.01"; what is further from the model isn't built
# budget_secs = 60         # of a usual machine: all machines choose alike
lookup_safety_margin = 2.0
# scales = [7, 10]         # for resources and accuracy
# max_logrows = 14         # with tune every k is allowed whose SRS can be had

[srs]
# "ceremony": a public ceremony's file; "ceremony:https://host/kzg{{k}}.srs" names where from.
# "path/to/kzg.srs": a file of yours, which is only read.
# "unsafe-dev": its secret is public, so anybody could forge a proof; for a local chain only.
source = {srs}

[engine]
# Keys and proofs are bound to ezkl's version.
version = "{version}"

[verifier]
# kind = "lean"              # or "ezkl": ezkl's own Solidity, with the guard put into it
# solc = "0.8.37"            # a version or a path
# hardfork = "osaka"         # the rules that the verifier has to keep and gas is measured under; or "amsterdam"
# optimize_for = "calls"     # or "deployment": less code for some more gas a call; taken by itself where the other does not fit
# allow_oversize = false     # build even what no public chain takes

# [verifier.matrix]          # what else to try; the cheapest verification is taken
# solc = ["0.8.30", "0.8.37"]
# evm_version = ["cancun", "osaka"]
# optimizer = [true, false]
# runs = [1, 1000000]
# via_ir = [true, false]

# [verifier.compiler]        # or these options and no others
# optimizer = true
# runs = 1
# via_ir = false
# evm_version = "cancun"

[networks.anvil]
rpc_url = "http://127.0.0.1:8545"
chain_id = 31337

# [networks.sepolia]
# rpc_url = "${{SEPOLIA_RPC_URL}}"
# chain_id = 11155111
"#,
        model = string(&model.to_string_lossy()),
        input = args.input_visibility,
        output = args.output_visibility,
        param = args.param_visibility,
        srs = string(&srs.to_string()),
        shape = shape_lines(circuit, &args),
        version = crate::engine::DEFAULT_VERSION,
    )
}

/// The circuit's shape: what is set, and as comments the usual ones with their defaults.
fn shape_lines(circuit: &CircuitConfig, args: &RunArgs) -> String {
    let (low, high) = args.lookup_range;
    let usual = [
        ("input_scale", args.input_scale.0.to_string(), circuit.input_scale.is_some()),
        ("param_scale", args.param_scale.0.to_string(), circuit.param_scale.is_some()),
        ("num_inner_cols", args.num_inner_cols.to_string(), circuit.num_inner_cols.is_some()),
        ("decomp_base", args.decomp_base.to_string(), circuit.decomp_base.is_some()),
        ("decomp_legs", args.decomp_legs.to_string(), circuit.decomp_legs.is_some()),
        ("lookup_range", format!("[{low}, {high}]"), circuit.lookup_range.is_some()),
    ];
    let mut lines: Vec<String> = usual
        .into_iter()
        .map(|(name, value, set)| format!("{}{name} = {value}", if set { "" } else { "# " }))
        .collect();
    macro_rules! further {
        ($($field:ident),*) => {
            $(if let Some(value) = circuit.$field {
                lines.push(format!("{} = {value:?}", stringify!($field)));
            })*
        };
    }
    further!(
        scale_rebase_multiplier,
        logrows,
        rebase_frac_zero_constants,
        bounded_log_lookup,
        epsilon,
        disable_freivalds
    );
    lines.join("\n")
}

#[cfg(feature = "cli")]
pub(crate) fn parse_variable(text: &str) -> Result<(String, usize), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| "expected NAME=VALUE, such as batch_size=1".to_owned())?;
    let value = value.trim().parse().map_err(|error| format!("{value:?}: {error}"))?;
    Ok((name.trim().to_owned(), value))
}

#[cfg(feature = "cli")]
fn parse_range(text: &str) -> Result<(i128, i128), String> {
    let (low, high) = text.split_once("..").ok_or("expected MIN..MAX, such as -32768..32768")?;
    let parse =
        |part: &str| part.trim().parse::<i128>().map_err(|error| format!("{part:?}: {error}"));
    let range = (parse(low)?, parse(high)?);
    if range.0 > range.1 { Err("MIN is greater than MAX".to_owned()) } else { Ok(range) }
}

fn from_text<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

fn some_from_text<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    from_text(deserializer).map(Some)
}

fn some_to_text<S, T>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error>
where
    S: serde::Serializer,
    T: Display,
{
    value.as_ref().map(ToString::to_string).serialize(serializer)
}

fn to_text<S: serde::Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn variables_from_table<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<(String, usize)>, D::Error> {
    Ok(BTreeMap::<String, usize>::deserialize(deserializer)?.into_iter().collect())
}

/// Numbers, booleans and lists of them, nested or not.
fn constants_from_table<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Constants, D::Error> {
    fn flatten(value: &toml::Value, into: &mut Vec<f64>) -> Result<(), String> {
        match value {
            toml::Value::Integer(whole) => into.push(*whole as f64),
            toml::Value::Float(number) => into.push(*number),
            toml::Value::Boolean(flag) => into.push(f64::from(u8::from(*flag))),
            toml::Value::Array(list) => list.iter().try_for_each(|it| flatten(it, into))?,
            other => return Err(format!("{other} is no number and no list of numbers")),
        }
        Ok(())
    }
    let table = BTreeMap::<String, toml::Value>::deserialize(deserializer)?;
    let values = table.into_iter().map(|(name, value)| {
        let mut values = Vec::new();
        flatten(&value, &mut values).map_err(serde::de::Error::custom)?;
        Ok((name, values))
    });
    values.collect()
}

fn variables_to_table<S: serde::Serializer>(
    variables: &[(String, usize)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(variables.iter().map(|(name, value)| (name, value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "[model]\npath = \"m.onnx\"\ndata = [\"i.json\"]\n";

    #[test]
    fn the_template_reads_back_as_the_defaults() {
        let circuit =
            CircuitConfig { variables: vec![("batch_size".into(), 3)], ..Default::default() };
        let text = template(
            Path::new("a \"b\".onnx"),
            &["i.json".into()],
            (&["y".into()], &[("k".to_owned(), vec![2.0, 3.0])].into()),
            &circuit,
            &srs::Source::default(),
        );
        let config = Config::parse(&text).expect("the template is valid");
        assert_eq!(config.model.path, Path::new("a \"b\".onnx"));
        assert_eq!(config.model.outputs, ["y"]);
        assert_eq!(config.model.constants["k"], [2.0, 3.0]);
        assert_eq!(config.circuit.run_args(), circuit.run_args());
        assert_eq!(config.calibration, CalibrationConfig::default());
        assert_eq!(config.srs, SrsConfig::default());
        assert_eq!(config.engine, EngineSection::default());
    }

    #[test]
    fn what_is_set_stands_in_the_template_and_is_no_comment() {
        let circuit = CircuitConfig {
            input_visibility: Some(Visibility::Private),
            variables: vec![("batch_size".into(), 1)],
            input_scale: Some(5),
            param_scale: Some(-2),
            scale_rebase_multiplier: Some(2),
            logrows: Some(9),
            num_inner_cols: Some(3),
            decomp_base: Some(16384),
            decomp_legs: Some(2),
            lookup_range: Some((-10, 20)),
            rebase_frac_zero_constants: Some(true),
            bounded_log_lookup: Some(true),
            epsilon: Some(1e-6),
            disable_freivalds: Some(true),
            ..Default::default()
        };
        let none = (&[][..], &Constants::new());
        let text = template(Path::new("m"), &["i".into()], none, &circuit, &srs::Source::default());
        let config = Config::parse(&text).expect("the template is valid");
        assert_eq!(config.circuit.run_args(), circuit.run_args());
    }

    #[test]
    fn mistakes_are_named() {
        for (addition, expected) in [
            ("colour = 1", "unknown field `colour`"),
            ("[circuit]\ninput_visibility = \"publc\"", "publc"),
            ("constants = { k = \"two\" }", "no number and no list of numbers"),
            ("[circuit]\ndecomp_base = \"x\"", "decomp_base"),
            ("[srs]\nsource = 1", "source"),
            ("[calibration]\nlookup_safety_margin = 0.5", "lookup_safety_margin"),
            ("[calibration]\ntarget = \"speed\"", "speed"),
            ("[calibration]\nmax_logrows = 27", "calibration.max_logrows is 27"),
            ("[circuit]\nlogrows = 27", "circuit.logrows: must lie in 1..=26"),
            ("[circuit]\nparam_visibility = \"public\"", "circuit.param_visibility"),
            ("[verifier.matrix]\nevm_version = [\"atlantis\"]", "atlantis"),
            ("[verifier.compiler]\nruns = 1\n[verifier.matrix]\nruns = [1]", "exclude each other"),
        ] {
            let error = Config::parse(&format!("{MINIMAL}{addition}")).expect_err(addition);
            assert!(error.contains(expected), "{addition}: {error}");
        }
        assert!(Config::parse("[model]\npath = \"m\"\ndata = []").is_err());
        assert!(Config::parse(MINIMAL).is_ok());
    }

    #[test]
    fn ranges_and_variables_are_parsed() {
        assert_eq!(parse_range("-5..7"), Ok((-5, 7)));
        assert!(parse_range("7..-5").is_err());
        assert!(parse_range("7").is_err());
        assert_eq!(parse_variable("n = 3"), Ok(("n".into(), 3)));
        assert!(parse_variable("n").is_err());
    }
}
