//! Why there is no ezkl to run, and what to do about it.

use crate::{
    error::ErrorKind,
    files,
    toolchain::{self, wheel},
};
use std::{path::PathBuf, time::Duration};

/// ezkl's environment could not be made or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentError {
    /// A version of which no hash is known.
    #[error("ezkl {asked} is not known to this zkvouch, which can use {known}")]
    UnknownVersion {
        /// The version asked for.
        asked: String,
        /// The versions known.
        known: String,
    },
    /// The wheel could not be had.
    #[error(transparent)]
    Wheel(#[from] wheel::Error),
    /// The wheel was installed as it is published but does not load.
    #[error(
        "ezkl in {} is as it was published but does not load with {}: {message}; set ZKVOUCH_PYTHON to \
         another Python, or use another machine",
        folder.display(), python.display()
    )]
    Broken {
        /// The environment's folder.
        folder: PathBuf,
        /// The interpreter.
        python: PathBuf,
        /// What Python said.
        message: String,
    },
    /// There was no memory left to load it.
    #[error(
        "the machine ran out of memory while it loaded ezkl, or somebody ended that process ({message}); \
         free memory and try again"
    )]
    Memory {
        /// What Python said, or the signal that ended it.
        message: String,
    },
    /// It took too long to load.
    #[error(
        "ezkl was not loaded within {} s; the machine or its disk is overloaded, so try again later",
        limit.as_secs()
    )]
    Slow {
        /// The time allowed.
        limit: Duration,
    },
    /// The installed files are not what was installed, and could not be fetched again.
    #[error("{} is not what was fetched, so it was not used; fetching it again failed: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why there is no other.
        #[source]
        source: Box<Self>,
    },
    /// A file of the environment could not be read or written.
    #[error(transparent)]
    File(#[from] files::Error),
    /// The cache folder is not known or cannot be locked.
    #[error(transparent)]
    Toolchain(#[from] toolchain::Error),
}

impl EnvironmentError {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::File(inner) => inner.kind(),
            Self::Toolchain(inner) => inner.kind(),
            Self::Wheel(inner) => inner.kind(),
            Self::UnknownVersion { .. }
            | Self::Broken { .. }
            | Self::Memory { .. }
            | Self::Slow { .. }
            | Self::Damaged { .. } => ErrorKind::Tool,
        }
    }
}
