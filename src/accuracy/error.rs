//! What can go wrong when answers are compared.

use super::{float_model, observations};
use crate::{artifacts, engine, error::ErrorKind, files, prepare};
use std::path::PathBuf;

/// The comparison could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The float model.
    #[error(transparent)]
    Model(#[from] float_model::Error),
    /// The original's inputs.
    #[error(transparent)]
    Original(#[from] prepare::Error),
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
    /// An observation that the float model can't take.
    #[error("observation {observation}: {source}")]
    Observation {
        /// Which, from 0.
        observation: usize,
        /// What the float model said.
        #[source]
        source: float_model::Error,
    },
    /// The circuit is of another model.
    #[error(
        "{} has outputs of {found:?} elements but the model has {expected:?}; it was made from \
         another model or with other variables", settings.display()
    )]
    OtherModel {
        /// The settings file.
        settings: PathBuf,
        /// The float model's.
        expected: Vec<usize>,
        /// The circuit's.
        found: Vec<usize>,
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
            Self::Observation { .. } | Self::OtherModel { .. } => ErrorKind::BadInput,
        }
    }
}
