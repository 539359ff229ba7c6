//! Why a circuit was not judged, or is not what its model is.

use crate::{
    accuracy::{float_model, observations, stats::ErrorBound},
    artifacts, engine,
    error::ErrorKind,
    files, prepare,
};
use std::{fmt, path::PathBuf};

/// The circuit and the model disagree.
#[derive(Clone, Debug, PartialEq)]
pub struct Disagreement {
    /// The model.
    pub model: PathBuf,
    /// The output's name.
    pub output: String,
    /// The element of the flattened output.
    pub element: usize,
    /// What the model says.
    pub expected: f64,
    /// What the circuit says.
    pub found: f64,
    /// Which input.
    pub input: String,
    /// The bound, in words.
    pub bound: String,
    /// The operator at which they part, where that was found.
    pub operator: Option<String>,
    /// What is known of the cause.
    pub cause: Option<String>,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { output, element, expected, found, input, bound, .. } = self;
        write!(
            f,
            "{}: the circuit says {found} for element {element} of output `{output}` on {input}, the model says \
             {expected}; allowed is {bound}",
            self.model.display()
        )?;
        if let Some(operator) = &self.operator {
            write!(f, "; they part at {operator}")?;
        }
        if let Some(cause) = &self.cause {
            write!(f, "; {cause}")?;
        }
        let error = (expected - found).abs();
        let advice = "express the operator by others, or raise input_scale and param_scale";
        // An error as large as the answer is no rounding, and no bound makes it right.
        if self.cause.is_some() || error > expected.abs() / 2.0 {
            return write!(f, "; {advice}");
        }
        // Rounded up, so that it lets this error pass.
        let unit = 10f64.powi(error.log10().floor() as i32 - 1);
        let allow = (error / unit).ceil() * unit;
        write!(
            f,
            "; {advice}, or where such an error is good enough allow it with `zkvouch build --max-error {allow:.2e}`"
        )
    }
}

/// The circuit could not be judged, or is not what the model is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model.
    #[error(transparent)]
    Model(#[from] float_model::Error),
    /// The original's inputs.
    #[error(transparent)]
    Original(#[from] Box<prepare::Error>),
    /// The observations.
    #[error(transparent)]
    Observations(#[from] observations::Error),
    /// A settings file.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// ezkl.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// A file.
    #[error(transparent)]
    File(#[from] files::Error),
    /// They disagree.
    #[error("{0}")]
    Wrong(Box<Disagreement>),
    /// The mean error is beyond the bound.
    #[error(
        "{}: the mean error on the data is {mean}; allowed is {bound}; raise input_scale and param_scale, or give \
         a laxer bound with `zkvouch build --max-error mean:{mean:.2e}`", model.display()
    )]
    Mean {
        /// The model.
        model: PathBuf,
        /// What was measured.
        mean: f64,
        /// What is allowed.
        bound: ErrorBound,
    },
    /// The circuit has no answer to an observation of the data.
    #[error("{}: {input}: {message}; give data that the model is meant for, or widen lookup_range", model.display())]
    Unanswered {
        /// The model.
        model: PathBuf,
        /// Which input.
        input: String,
        /// Why.
        message: String,
    },
    /// The circuit has other outputs.
    #[error(
        "{} has outputs of {expected:?} elements, but its circuit of {found:?}{}; the model can't be proved as it \
         is", model.display(),
        operator.as_ref().map(|operator| format!("; they part at {operator}")).unwrap_or_default()
    )]
    Outputs {
        /// The model.
        model: PathBuf,
        /// The model's.
        expected: Vec<usize>,
        /// The circuit's.
        found: Vec<usize>,
        /// The operator at which they part, where that was found.
        operator: Option<String>,
    },
    /// The model has no finite answer to an observation of the data.
    #[error(
        "{}: {input}: the model says {value} for output `{output}`, which no circuit can hold; give data that \
         it is defined for", model.display()
    )]
    NotFinite {
        /// The model.
        model: PathBuf,
        /// Which input.
        input: String,
        /// The output.
        output: String,
        /// NaN or an infinity.
        value: f64,
    },
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Model(inner) => inner.kind(),
            Self::Original(inner) => inner.kind(),
            Self::Observations(inner) => inner.kind(),
            Self::Artifact(inner) => inner.kind(),
            Self::Engine(inner) => inner.kind(),
            Self::File(inner) => inner.kind(),
            Self::Wrong(..) | Self::Mean { .. } => ErrorKind::Invalid,
            Self::Unanswered { .. } | Self::Outputs { .. } | Self::NotFinite { .. } => {
                ErrorKind::BadInput
            }
        }
    }
}
