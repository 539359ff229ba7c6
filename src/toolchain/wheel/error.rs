//! Why a wheel can't be had, and what to do about it.

use super::Platform;
use crate::{error::ErrorKind, files};
use std::path::PathBuf;

/// A wheel of the Python package index could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No Python on PATH.
    #[error(
        "no Python interpreter was found (tried {tried}); install Python {}.{} or newer, or set \
         ZKVOUCH_PYTHON to one", minimum.0, minimum.1
    )]
    PythonMissing {
        /// What was looked for.
        tried: String,
        /// The oldest version that will do.
        minimum: (u32, u32),
    },
    /// An interpreter that does not run.
    #[error("{} is not a working Python: {message}; set ZKVOUCH_PYTHON to one", path.display())]
    PythonBroken {
        /// The interpreter.
        path: PathBuf,
        /// What it said.
        message: String,
    },
    /// An interpreter that is too old.
    #[error(
        "{} is Python {found}, but {package} needs {}.{} or newer; install one and set ZKVOUCH_PYTHON \
         to it", path.display(), minimum.0, minimum.1
    )]
    PythonTooOld {
        /// The interpreter.
        path: PathBuf,
        /// Its version.
        found: String,
        /// What is to be fetched.
        package: &'static str,
        /// The oldest version that will do.
        minimum: (u32, u32),
    },
    /// There is no wheel for this machine.
    #[error("{package} {version} is not published for {platform} but for: {available}; {remedy}")]
    Platform {
        /// The package.
        package: &'static str,
        /// Its version.
        version: &'static str,
        /// What it is to run on.
        platform: Box<Platform>,
        /// What there are wheels for.
        available: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Nothing is there to fetch a wheel with.
    #[error(
        "{} has no pip and uv is not on PATH, so {package}'s wheel cannot be fetched; install either \
         (Debian, Ubuntu: `apt install python3-pip`), or put {wheel} into a folder and set \
         ZKVOUCH_WHEELS to it", path.display()
    )]
    PipMissing {
        /// The interpreter.
        path: PathBuf,
        /// The package.
        package: &'static str,
        /// The file that is needed.
        wheel: &'static str,
    },
    /// pip or uv failed.
    #[error(
        "{program} could not fetch {package} {version}: {message}; check the network and the index that \
         {program} uses, or put {wheel} into a folder and set ZKVOUCH_WHEELS to it"
    )]
    Fetch {
        /// `pip` or `uv`.
        program: &'static str,
        /// The package.
        package: &'static str,
        /// Its version.
        version: &'static str,
        /// What the program said.
        message: String,
        /// The file that is needed.
        wheel: &'static str,
    },
    /// The offline folder lacks the wheel.
    #[error("{} has no {wheel}, which this machine needs; put it there or unset ZKVOUCH_WHEELS",
        folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// The file that is needed.
        wheel: &'static str,
    },
    /// A wheel's bytes are not the published ones.
    #[error(
        "{wheel} has the SHA-256 {found} but {expected} is pinned: it is damaged or not the \
         published file, so it was not used; fetch it again"
    )]
    Integrity {
        /// The file.
        wheel: String,
        /// The pinned hash.
        expected: String,
        /// The hash found, or the tool's report on it.
        found: String,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] files::Error),
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::File(inner) => inner.kind(),
            Self::PythonMissing { .. }
            | Self::PythonBroken { .. }
            | Self::PythonTooOld { .. }
            | Self::Platform { .. }
            | Self::PipMissing { .. }
            | Self::Fetch { .. }
            | Self::Missing { .. }
            | Self::Integrity { .. } => ErrorKind::Tool,
        }
    }
}
