//! What can go wrong with ezkl, in its own words, and what to do about it.

use super::environment::EnvironmentError;
use crate::{error::ErrorKind, files};
use std::{path::PathBuf, time::Duration};

/// An operation of the engine failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// ezkl refused: a Python exception.
    #[error("ezkl's {operation} failed: {message}{}", hint(message))]
    Python {
        /// What was tried, such as `prove`.
        operation: &'static str,
        /// The exception's class.
        class: String,
        /// ezkl's own words.
        message: String,
    },
    /// A panic inside ezkl. The worker is replaced, so the engine goes on.
    #[error("{}", panicked(operation, message, tail))]
    Panic {
        /// What was tried.
        operation: &'static str,
        /// The panic's own words.
        message: String,
        /// The last lines of the worker's stderr, which name the place.
        tail: String,
    },
    /// A signal ended the worker.
    #[error("{}", killed(operation, *signal, *out_of_memory, *peak_bytes, tail))]
    Killed {
        /// What was tried.
        operation: &'static str,
        /// The signal's number.
        signal: i32,
        /// Whether the kernel killed a process for want of memory meanwhile, or ezkl said that it
        /// got no more.
        out_of_memory: bool,
        /// The most memory that the worker was seen to use, in bytes.
        peak_bytes: Option<u64>,
        /// The last lines of the worker's stderr.
        tail: String,
    },
    /// The worker ended by itself.
    #[error("ezkl's process ended in {operation} ({status}){}", said(tail))]
    Died {
        /// What was tried.
        operation: &'static str,
        /// The exit status.
        status: String,
        /// The last lines of the worker's stderr.
        tail: String,
    },
    /// The operation took longer than it may.
    #[error(
        "ezkl did not finish {operation} within {deadline:?} and was stopped; allow more with \
         ZKVOUCH_DEADLINE (seconds, 0 for no limit) or make the circuit smaller"
    )]
    Deadline {
        /// What was tried.
        operation: &'static str,
        /// The time allowed.
        deadline: Duration,
    },
    /// The worker waits for itself and will never go on. ezkl logs through Python while it holds
    /// Python's lock; when one of its threads has something to log, both wait for ever. That is how
    /// `prove` meets a witness with a value outside a lookup table.
    #[error(
        "ezkl blocked itself in {operation} (no CPU time used for {idle:?}) and was \
         stopped; the usual reason is a value outside the circuit's lookup range: compare the \
         witness's max_lookup_inputs and min_lookup_inputs with lookup_range in the settings, and \
         calibrate with data that spans the real inputs or with a larger margin"
    )]
    Stalled {
        /// What was tried.
        operation: &'static str,
        /// How long it had used no CPU time.
        idle: Duration,
    },
    /// Somebody stopped the worker and nobody let it go on.
    #[error(
        "ezkl's process was stopped (SIGSTOP) in {operation} for {time:?} and nothing let it go on, so it \
         was ended; run the command again"
    )]
    Stopped {
        /// What was tried.
        operation: &'static str,
        /// How long it was stopped.
        time: Duration,
    },
    /// What the worker said is not the protocol.
    #[error("ezkl's worker process answered {operation} with something unexpected: {message}")]
    Protocol {
        /// What was tried.
        operation: &'static str,
        /// What was wrong.
        message: String,
    },
    /// A variable of the environment has a value that means nothing.
    #[error("{variable}={value}: expected {expected}")]
    Config {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A path cannot be handed to ezkl.
    #[error("the path {} is not UTF-8, which ezkl requires; move or rename the file", path.display())]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// ezkl or Python is missing, or could not be installed or started.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] files::Error),
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Environment(inner) => inner.kind(),
            Self::File(inner) => inner.kind(),
            Self::Python { .. } | Self::Panic { .. } | Self::Config { .. } | Self::Path { .. } => {
                ErrorKind::BadInput
            }
            Self::Killed { .. }
            | Self::Died { .. }
            | Self::Deadline { .. }
            | Self::Stalled { .. }
            | Self::Stopped { .. }
            | Self::Protocol { .. } => ErrorKind::Tool,
        }
    }
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the same request may succeed when repeated as it is.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Killed { .. } | Self::Died { .. } | Self::Stopped { .. } | Self::Protocol { .. }
        )
    }
}

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
        &["Unknown op: ", "unsupported operation in graph"],
        "the model uses an operator that has no form in ezkl's circuits, named here as ezkl's ONNX reader calls \
         it (Rem is Mod, for instance); export the model without it",
    ),
    (
        &["Undetermined symbol in expression"],
        "the length of an axis within the model is open: it depends on the input's values, as after NonZero or \
         Unique, and a circuit has fixed shapes; export the model without that",
    ),
    (
        &["Failed analyse for node"],
        "the shapes that meet at the node named here don't fit each other, be it in the model itself or by the \
         lengths in `variables`",
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

/// Panics of ezkl's that are its way to refuse an input.
const REFUSALS: &[(&str, &str)] = &[(
    "self.dims[i] > indices[i]",
    "a value of the input is an index outside of the table that the model looks it up in, such as a token beyond \
     the vocabulary; change the input",
)];

fn hint(message: &str) -> String {
    let fits = |patterns: &[&str]| patterns.iter().any(|pattern| message.contains(pattern));
    let cause = CAUSES.iter().find(|(patterns, _)| fits(patterns));
    cause.map(|(_, remedy)| format!(" ({remedy})")).unwrap_or_default()
}

fn panicked(operation: &str, message: &str, tail: &str) -> String {
    let place = location(tail);
    match REFUSALS.iter().find(|(pattern, _)| message.contains(pattern)) {
        Some((_, reason)) => {
            format!("ezkl's {operation} failed: {reason} (in ezkl's words: {message}{place})")
        }
        None => format!(
            "ezkl crashed in {operation}: {message}{place}; this is a bug in ezkl, mostly met with input that it \
             does not expect, so check the input's shape and values"
        ),
    }
}

fn said(tail: &str) -> String {
    if tail.is_empty() { String::new() } else { format!("; its last words: {tail}") }
}

/// The line of a panic's report that names its place in ezkl's source.
fn location(tail: &str) -> String {
    tail.lines()
        .rev()
        .find_map(|line| Some(line.split_once("panicked at ")?.1.trim_end_matches(':')))
        .map(|place| format!(" ({place})"))
        .unwrap_or_default()
}

fn killed(
    operation: &str,
    signal: i32,
    out_of_memory: bool,
    peak_bytes: Option<u64>,
    tail: &str,
) -> String {
    let used = peak_bytes
        .map(|bytes| format!(" after using {} MiB of memory", bytes.div_ceil(1 << 20)))
        .unwrap_or_default();
    let start = format!("ezkl's process was ended by signal {signal}{used} in {operation}");
    const LESS: &str = "free memory, use a machine with more, or make the circuit smaller (fewer \
                        rows or columns)";
    match signal {
        _ if out_of_memory => format!("{start}: the machine ran out of memory; {LESS}"),
        9 => format!(
            "{start}: somebody killed it, or the machine or its container ran out of memory; {LESS}"
        ),
        _ => format!("{start}{}", said(tail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_to_do() {
        let error = Error::Python {
            operation: "gen_settings",
            class: "RuntimeError".into(),
            message: "Failed to generate settings: [graph] [tract] Reading proto model".into(),
        };
        assert!(error.to_string().contains("not an ONNX model"), "{error}");
        let killed = |signal, out_of_memory| {
            let (peak_bytes, tail) = (Some(3 << 20), "Segmentation fault".into());
            Error::Killed { operation: "prove", signal, out_of_memory, peak_bytes, tail }
                .to_string()
        };
        assert!(killed(9, true).contains("ran out of memory"));
        assert!(killed(9, false).contains("3 MiB") && killed(9, false).contains("somebody"));
        assert!(killed(11, false).ends_with("last words: Segmentation fault"));
        let tail = "log\nthread 'main' (7) panicked at src/tensor/mod.rs:9:1:\nindex out of bounds";
        assert_eq!(location(tail), " (src/tensor/mod.rs:9:1)");
    }
}
