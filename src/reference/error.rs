//! Why a model can't be run.

use crate::{
    error::ErrorKind,
    files,
    toolchain::{self, wheel},
};
use std::path::PathBuf;

/// The float model could not be read or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] files::Error),
    /// ONNX Runtime could not be had.
    #[error(transparent)]
    Wheel(#[from] wheel::Error),
    /// The cache folder is not known or cannot be locked.
    #[error(transparent)]
    Toolchain(#[from] toolchain::Error),
    /// The library does not load.
    #[error(
        "ONNX Runtime in {} does not load: {message}; set ZKVOUCH_ONNXRUNTIME to a libonnxruntime \
         (1.22 or newer) of this machine", path.display()
    )]
    Library {
        /// The library.
        path: PathBuf,
        /// What the loader said.
        message: String,
    },
    /// The file is not ONNX, or is cut short.
    #[error("{} is not an ONNX model: {message}", path.display())]
    NotOnnx {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        message: String,
    },
    /// A dynamic axis has no size.
    #[error(
        "{}: axis {axis} of `{tensor}` is dynamic ({}); set its size in `variables`, such as \
         {}=1", path.display(), symbol.as_deref().unwrap_or("without a name"),
        symbol.as_deref().unwrap_or("batch_size")
    )]
    UnboundAxis {
        /// The model.
        path: PathBuf,
        /// The input or output.
        tensor: String,
        /// The axis, from 0.
        axis: usize,
        /// The axis's name in the model.
        symbol: Option<String>,
    },
    /// An input or output that is no tensor of numbers.
    #[error(
        "{}: `{tensor}` is {found}, but a circuit takes and gives tensors of numbers only; export the \
         model without it", path.display()
    )]
    NotNumbers {
        /// The model.
        path: PathBuf,
        /// The input or output.
        tensor: String,
        /// What it is instead.
        found: String,
    },
    /// ONNX Runtime does not take the model.
    #[error(
        "{}: ONNX Runtime can't load the model: {}; circuits are compared with its answers, so give the model \
         a form that it takes", path.display(), plain(message)
    )]
    Load {
        /// The model.
        path: PathBuf,
        /// ONNX Runtime's own words.
        message: String,
    },
    /// The number of input tensors is wrong.
    #[error("the model has {expected} inputs but {found} were given")]
    InputCount {
        /// The model's.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// An input tensor has the wrong number of elements.
    #[error("input `{name}` has {expected} elements (shape {shape:?}) but {found} were given")]
    InputLength {
        /// The input's name.
        name: String,
        /// The model's shape, with variables bound.
        shape: Vec<usize>,
        /// The number of elements of that shape.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// A value does not fit the input's element type.
    #[error("input `{name}`, element {index}: {value} is not a value of type {element}")]
    InputValue {
        /// The input's name.
        name: String,
        /// The position in the flattened tensor.
        index: usize,
        /// The value.
        value: f64,
        /// The element type.
        element: &'static str,
    },
    /// ONNX Runtime failed while running the model.
    #[error("{}: ONNX Runtime can't run the model on this input: {}", path.display(), plain(message))]
    Run {
        /// The model.
        path: PathBuf,
        /// ONNX Runtime's own words.
        message: String,
    },
    /// An output has another shape than for other inputs, which no circuit can have.
    #[error(
        "{}: output `{name}` has {found} elements for this input and {expected} for another; a circuit's outputs \
         have one shape", path.display()
    )]
    OutputLength {
        /// The model.
        path: PathBuf,
        /// The output's name.
        name: String,
        /// How many there are for an input of zeros.
        expected: usize,
        /// How many there are now.
        found: usize,
    },
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::File(inner) => inner.kind(),
            Self::Wheel(inner) => inner.kind(),
            Self::Toolchain(inner) => inner.kind(),
            Self::Library { .. } => ErrorKind::Tool,
            Self::NotOnnx { .. }
            | Self::UnboundAxis { .. }
            | Self::NotNumbers { .. }
            | Self::Load { .. }
            | Self::InputCount { .. }
            | Self::InputLength { .. }
            | Self::InputValue { .. }
            | Self::Run { .. }
            | Self::OutputLength { .. } => ErrorKind::BadInput,
        }
    }
}

/// ONNX Runtime's words without the condition in its source that was not met, and where that stands.
fn plain(message: &str) -> &str {
    let words = message.rsplit_once(" was false. ").map_or(message, |(_, words)| words);
    words.split(" If you need support").next().unwrap_or(words).trim().trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn onnx_runtimes_words_are_told_without_its_source() {
        let message = "Exception during initialization: /onnxruntime_src/onnxruntime/core/providers/cpu/rnn/lstm_base.h:53 \
                       onnxruntime::LSTMBase::LSTMBase(const onnxruntime::OpKernelInfo&) layout_ == 0 was false. \
                       Batchwise recurrent operations (layout == 1) are not supported. If you need support create a \
                       github issue with justification.";
        let error = Error::Load { path: "m.onnx".into(), message: message.into() }.to_string();
        let start = "m.onnx: ONNX Runtime can't load the model: Batchwise recurrent operations (layout == 1) are not \
                     supported; ";
        assert!(error.starts_with(start), "{error}");
        assert_eq!(plain("Could not find an implementation"), "Could not find an implementation");
    }
}
