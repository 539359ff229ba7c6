//! A new project file.

use super::CircuitConfig;
use crate::{
    artifacts::{onnx, run_args::RunArgs},
    prepare::Constants,
    srs,
};
use std::path::{Path, PathBuf};

/// What a new project file says.
#[derive(Clone, Copy, Debug)]
pub struct Template<'a> {
    /// The ONNX file.
    pub model: &'a Path,
    /// Inputs, representative ones.
    pub data: &'a [PathBuf],
    /// The outputs that a proof shows; all of them if empty.
    pub outputs: &'a [String],
    /// Inputs that decide a shape or an order, with their values.
    pub constants: &'a Constants,
    /// How many observations a proof is of.
    pub batch_size: usize,
    /// What is set of the circuit.
    pub circuit: &'a CircuitConfig,
    /// Where the SRS comes from.
    pub srs: &'a srs::Source,
}

/// The text of a new project file.
pub fn template(new: &Template<'_>) -> String {
    let Template { model, data, outputs, constants, batch_size, circuit, srs } = *new;
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
    let batch = match batch_size {
        1 => "# batch_size = 32         # predictions in one proof, which cost far less each",
        _ => "# Predictions in one proof.",
    };
    let batch = match batch_size {
        1 => batch.to_owned(),
        size => format!("{batch}\nbatch_size = {size}"),
    };
    // Who puts many predictions into a proof has the gas of each in mind.
    let objective = match batch_size {
        1 => "# objective = \"balanced\"",
        _ => "objective = \"gas\"       ",
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
{constants}{batch}
# convolutions = "auto"   # or plain, products: how the circuit computes them

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
{objective}   # or prove-time, gas, memory, proof-size
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

# [policy.waive]
# a-rule-of-docs-policy-md = "why it may be broken here"

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
