//! ezkl's words, and what to do about them.

/// What ezkl's words come from, as seen, and what to do about it. The first that fits counts, so what says more
/// stands before what says less.
const CAUSES: &[(&[&str], &str)] = &[
    (
        &["Reading proto model"],
        "the file is not an ONNX model, or it is damaged; export the model again",
    ),
    (
        &["Translating proto model to model"],
        "ezkl's ONNX reader can't make a graph of the file: the file is incomplete, or an attribute of some \
         operator is none that the reader knows; export the model again, with a simpler operator set if need be",
    ),
    (
        &[
            "Unimplemented(ArrayFeatureExtractor)",
            "Unimplemented(Binarizer)",
            "Unimplemented(CastMap)",
            "Unimplemented(CategoryMapper)",
            "Unimplemented(DictVectorizer)",
            "Unimplemented(FeatureVectorizer)",
            "Unimplemented(Imputer)",
            "Unimplemented(LabelEncoder)",
            "Unimplemented(LinearClassifier)",
            "Unimplemented(LinearRegressor)",
            "Unimplemented(Normalizer)",
            "Unimplemented(OneHotEncoder)",
            "Unimplemented(SVMClassifier)",
            "Unimplemented(SVMRegressor)",
            "Unimplemented(Scaler)",
            "Unimplemented(TreeEnsemble",
            "Unimplemented(ZipMap)",
        ],
        "this is one of the ai.onnx.ml operators that scikit-learn's exporters write, and ezkl has none of them; \
         convert the fitted model to plain tensor operators with the Python package hummingbird-ml, \
         convert(model, \"torch\"), and export that, without its label output",
    ),
    (
        &["Unimplemented("],
        "the model uses the operator named here, which ezkl lacks; export the model without it",
    ),
    (
        &["significant bit truncation"],
        "a constant of the model is too large for the circuit at its scale: masks are often filled with the least \
         float, -3.4e38, or an infinity, where -1e4 does as well; export the model with a smaller one",
    ),
    (
        &["ToTypedTranslator"],
        "ezkl's reader has no such form of this operator: what it takes beside its data (axes, a shape, pads, \
         scales, the parts of a split) must be constants of the model and no inputs, and some modes and types it \
         lacks; export the model otherwise there",
    ),
    (
        &["(shift left)", "(shift right)"],
        "ezkl shifts by constants only; multiply or divide by a power of two instead",
    ),
    (
        &["only supports constant"],
        "what this operator takes beside its data must be a constant of the model in ezkl, and no input",
    ),
    (
        &["(pow)"],
        "ezkl takes powers with one constant exponent only; express the power by Exp and Log, or by products",
    ),
    (&["(div)"], "ezkl divides integers by one constant only; divide floats, and round down after"),
    (
        &["dimension mismatch in tensor op: einsum"],
        "ezkl multiplies matrices with the same axes before the last two and repeats none; export the model with \
         both of one shape there",
    ),
    (
        &["misformed params"],
        "ezkl lacks the value named here of this operator's attribute; export the model without it",
    ),
    (
        &["Failed to generate settings: [graph] [tensor] dimensionality error"],
        "ezkl takes another size for the output of an operator than ONNX does, as for a pool with ceil_mode = 1; \
         pad before it instead",
    ),
    (
        &["Unknown op: ", "unsupported operation in graph"],
        "the model uses an operator that has no form in ezkl's circuits, named here as ezkl's ONNX reader calls \
         it (Rem is Mod, for instance); export the model without it",
    ),
    (
        &["Undetermined symbol in expression"],
        "the length of an axis within the model is open: it depends on the input's values, as after NonZero, \
         Unique or a TopK whose k is an input, and a circuit has fixed shapes; export the model without that",
    ),
    (
        &["Failed analyse for node"],
        "at the node named here, either the shapes don't fit each other, be it in the model itself or by the \
         lengths in `variables`, or ezkl's reader can't tell the shape that comes out of it, since it is not told \
         by constants",
    ),
    (
        &["unsupported datatype in graph"],
        "ezkl has floats, integers and booleans, and no other types such as strings; export the model without \
         the inputs and outputs of that type",
    ),
    (
        &["a requested node is missing in the graph"],
        "ezkl keeps the first output of an operator only, and the model uses another one; export the model \
         without it",
    ),
    (
        &["a node is missing required params"],
        "ezkl wants this attribute written out although ONNX has a default for it; set it where the model is \
         exported",
    ),
    (
        &["Evaluating #"],
        "the model itself fails on this input at the node named here: at a Gather, an index outside of its \
         table, such as a token beyond the vocabulary",
    ),
    (
        &["has incorrect dtype or shape"],
        "ezkl runs the model with a first axis at each input; export the model with the shape [1] for an input \
         that is a single number",
    ),
    (&["failed to load srs"], "the SRS file cannot be opened; fetch one with `zkvouch get-srs`"),
    (
        &["failed to read srs"],
        "the SRS file is truncated or not an SRS; fetch it again with `zkvouch get-srs`",
    ),
    (
        &["decomposition error"],
        "a value exceeds decomp_base ^ decomp_legs: use a larger base, more legs or smaller scales, or look for \
         very large constants and inputs",
    ),
    (
        &["could not find any suitable parameters"],
        "with none of the scales the circuit has an answer to the data: a value is too large for it, or some \
         division is by zero, or it takes more rows than max_logrows allows",
    ),
    (
        &["failed to load settings file at invalid type: null"],
        "a scale or a constant of the circuit has become infinite, as by the product of many numbers, each of which \
         adds its scale; lower input_scale and param_scale, or export the model with fewer factors",
    ),
    (
        &["General synthesis error"],
        "a value that the circuit cannot hold, as after a division by zero or beyond decomp_base ^ decomp_legs, \
         or a file that cannot be written",
    ),
    (
        &["Cannot reshape tensor"],
        "the input has another number of values than the model's input shape",
    ),
    (
        &["failed to deserialize FileSourceInner"],
        "each entry of input_data is a flat list of numbers; strings are no numbers",
    ),
    (
        &["missing field `input_data`"],
        "the input file is {\"input_data\": [[numbers of the first input], ...]}",
    ),
    (
        &["is not satisfied"],
        "the witness breaks the circuit's constraints; a lookup that fails means a value outside the lookup \
         range, so calibrate with data that spans the real inputs",
    ),
];

/// Panics that are ezkl's way to refuse something: when it reads a model, and when it computes with an input.
const MODELS: &[(&str, &str)] = &[
    (
        "onnx/src/model.rs",
        "an input of the model, or of the graph that a Loop, Scan or If repeats, is no tensor or has no stated type; \
         write the steps of the loop out, or give plain tensors",
    ),
    (
        "capacity overflow",
        "it takes a shape wrongly from this operator, as from a bidirectional LSTM, GRU or RNN; use one for each \
         direction",
    ),
    (
        "no entry found for key",
        "the model wants an output of an operator that ezkl does not keep: it has only the first; leave the output \
         out",
    ),
    ("slice index starts at", "this operator takes axes that end before they start; leave it out"),
    (
        "self.dims[i] > indices[i]",
        "it looks for an element beyond the edge of a tensor, as at a ConvTranspose with output_shape or \
         output_padding; use pads instead",
    ),
];
const INPUTS: &[(&str, &str)] = &[(
    "self.dims[i] > indices[i]",
    "a value of the input is an index outside of the table that the model looks it up in, such as a token beyond \
     the vocabulary, or one below zero, which counts from the end in ONNX but not in ezkl; change the input",
)];

/// What to do about a message of ezkl's, in brackets.
pub(super) fn hint(message: &str) -> String {
    let fits = |patterns: &[&str]| patterns.iter().any(|pattern| message.contains(pattern));
    let cause = CAUSES.iter().find(|(patterns, _)| fits(patterns));
    cause.map(|(_, remedy)| format!(" ({remedy})")).unwrap_or_default()
}

/// What a panic of ezkl's says, by its words and by its place, which `tail` tells.
pub(super) fn panicked(operation: &str, message: &str, tail: &str) -> String {
    match panic(operation, message, tail) {
        Some(reason) => format!("ezkl's {operation} failed: {reason}"),
        None => format!(
            "ezkl crashed in {operation}: {message}{}; this is a bug in ezkl, mostly met with input that it does \
             not expect, so check the input's shape and values",
            location(tail)
        ),
    }
}

/// What a panic means; `None` where it is a mere crash.
pub(super) fn panic(operation: &str, message: &str, tail: &str) -> Option<String> {
    const UNKNOWN: &str = "its reader gave up on the model: some operator has a form or a type that it does not \
                           expect; export the model with plainer operators";
    let place = location(tail);
    let reads = matches!(operation, "gen_settings" | "compile_circuit");
    let known = if reads { MODELS } else { INPUTS };
    let fits = |pattern: &str| message.contains(pattern) || place.contains(pattern);
    let found = known.iter().find(|(pattern, _)| fits(pattern)).map(|(_, reason)| *reason);
    let reason = found.or(reads.then_some(UNKNOWN))?;
    Some(format!("{reason} (in ezkl's words: {message}{place})"))
}

/// The line of a panic's report that names its place in ezkl's source, or in that of what it is built from.
fn location(tail: &str) -> String {
    let place = tail
        .lines()
        .rev()
        .find_map(|line| Some(line.split_once("panicked at ")?.1.trim_end_matches(':')));
    // The rest is a folder of the machine that ezkl was built on.
    let short = |place: &str| match place.split_once("/checkouts/") {
        Some((_, path)) => {
            let mut parts = path.splitn(3, '/');
            let name = parts.next().unwrap_or_default();
            let name = name.rsplit_once('-').map_or(name, |(name, _)| name);
            format!("{name}/{}", parts.nth(1).unwrap_or_default())
        }
        None => place.to_owned(),
    };
    place.map(|place| format!(" ({})", short(place))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_panic_is_told_without_the_folders_of_another_machine() {
        let at =
            |place: &str| location(&format!("log\nthread 'main' (7) panicked at {place}:\nwords"));
        assert_eq!(at("src/tensor/mod.rs:9:1"), " (src/tensor/mod.rs:9:1)");
        let place =
            "/root/.cargo/git/checkouts/tract-3c391e7e500bc645/37132e0/onnx/src/model.rs:87:50";
        assert_eq!(at(place), " (tract/onnx/src/model.rs:87:50)");
    }
}
