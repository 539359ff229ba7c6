//! Why a model can't be prepared.

use crate::{artifacts, error::ErrorKind, files, onnx::proto::NodeProto, reference};
use std::path::{Path, PathBuf};

/// A model could not be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file.
    #[error(transparent)]
    File(#[from] files::Error),
    /// The model's file, or data for it.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// The data that the sample is taken from.
    #[error(transparent)]
    Observations(#[from] artifacts::observations::Error),
    /// ONNX Runtime can't be had, or can't run the model.
    #[error(transparent)]
    Reference(#[from] reference::Error),
    /// It can't be run on ones, which it was given for want of data.
    #[error("{error} (every input was 1, since no data was given); {}", ones_remedy(whole))]
    Ones {
        /// What ONNX Runtime says.
        error: reference::Error,
        /// Inputs of whole numbers, which may decide a shape.
        whole: Vec<String>,
    },
    /// The model file itself.
    #[error("{}: {message}", path.display())]
    Model {
        /// The model.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        message: String,
    },
    /// Weights in a file beside the model.
    #[error("{}: the weights `{tensor}`: {message}", model.display())]
    Weights {
        /// The model.
        model: PathBuf,
        /// The tensor.
        tensor: String,
        /// What is wrong with them, and what to do.
        message: String,
    },
    /// An operator that can't be put in a circuit.
    #[error("{}: {node}: {reason}", path.display())]
    Operator {
        /// The model.
        path: PathBuf,
        /// The operator and its node.
        node: String,
        /// Why, and what to do.
        reason: String,
    },
    /// What was prepared says something else.
    #[error(
        "{}: rewritten for ezkl the model says {found} for element {element} of output `{output}`, as it was it says \
         {expected}: zkvouch's rewriting is at fault; please report it, and meanwhile write the operators {operators} \
         by others", path.display()
    )]
    Differs {
        /// The model.
        path: PathBuf,
        /// The output.
        output: String,
        /// The element of the flattened output.
        element: usize,
        /// The original's answer.
        expected: f64,
        /// The prepared model's.
        found: f64,
        /// What was rewritten.
        operators: String,
    },
}

fn ones_remedy(whole: &[String]) -> String {
    match whole {
        [] => "give an observation with --data".to_owned(),
        names => format!(
            "give an observation with --data, and where one of these inputs decides a shape, init with --fix {}",
            names.join(" or --fix ")
        ),
    }
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::File(inner) => inner.kind(),
            Self::Artifact(inner) => inner.kind(),
            Self::Observations(inner) => inner.kind(),
            Self::Reference(inner) | Self::Ones { error: inner, .. } => inner.kind(),
            Self::Model { .. } | Self::Weights { .. } | Self::Operator { .. } => {
                ErrorKind::BadInput
            }
            Self::Differs { .. } => ErrorKind::Failure,
        }
    }
}

/// A node that no circuit has, before it is known whose.
#[derive(Debug)]
pub(super) struct Refusal {
    node: String,
    reason: String,
}

impl Refusal {
    pub(super) fn of(node: &NodeProto, reason: impl Into<String>) -> Self {
        let (domain, operator) = node.operator();
        let operator = match domain {
            "" => operator.to_owned(),
            domain => format!("{domain}.{operator}"),
        };
        let node = match (node.name.as_str(), node.output.first()) {
            ("", Some(output)) => format!("operator {operator} that makes `{output}`"),
            (name, _) => format!("operator {operator} `{name}`"),
        };
        Self { node, reason: reason.into() }
    }

    pub(super) fn at(self, path: &Path) -> Error {
        Error::Operator { path: path.to_owned(), node: self.node, reason: self.reason }
    }
}
