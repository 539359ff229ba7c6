//! Why there is no ezkl to run, and what to do about it.

use crate::{engine::release::Platform, error::ErrorKind, files, toolchain};
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
    /// An interpreter that is too old for ezkl.
    #[error(
        "{} is Python {found}, but ezkl needs {}.{} or newer; install one and set ZKVOUCH_PYTHON \
         to it", path.display(), minimum.0, minimum.1
    )]
    PythonTooOld {
        /// The interpreter.
        path: PathBuf,
        /// Its version.
        found: String,
        /// The oldest version that will do.
        minimum: (u32, u32),
    },
    /// ezkl has no wheel for this machine.
    #[error(
        "ezkl {version} is not published for {platform} but for: {available}; {}",
        platform_remedy(platform)
    )]
    Platform {
        /// ezkl's version.
        version: &'static str,
        /// What the interpreter runs on.
        platform: Platform,
        /// What there are wheels for.
        available: String,
    },
    /// Nothing is there to fetch a wheel with.
    #[error(
        "{} has no pip and uv is not on PATH, so ezkl's wheel cannot be fetched; install either \
         (Debian, Ubuntu: `apt install python3-pip`), or put {wheel} into a folder and set \
         ZKVOUCH_WHEELS to it", path.display()
    )]
    PipMissing {
        /// The interpreter.
        path: PathBuf,
        /// The file that is needed.
        wheel: &'static str,
    },
    /// pip or uv failed.
    #[error(
        "{program} could not fetch ezkl {version}: {message}; check the network and the index that \
         {program} uses, or put {wheel} into a folder and set ZKVOUCH_WHEELS to it"
    )]
    Fetch {
        /// `pip` or `uv`.
        program: &'static str,
        /// ezkl's version.
        version: &'static str,
        /// What it said.
        message: String,
        /// The file that is needed.
        wheel: &'static str,
    },
    /// The offline folder lacks the wheel.
    #[error("{} has no {wheel}, which this machine needs; put it there or unset ZKVOUCH_WHEELS",
        folder.display())]
    WheelMissing {
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
            Self::UnknownVersion { .. }
            | Self::PythonMissing { .. }
            | Self::PythonBroken { .. }
            | Self::PythonTooOld { .. }
            | Self::Platform { .. }
            | Self::PipMissing { .. }
            | Self::Fetch { .. }
            | Self::WheelMissing { .. }
            | Self::Integrity { .. }
            | Self::Broken { .. }
            | Self::Memory { .. }
            | Self::Slow { .. }
            | Self::Damaged { .. } => ErrorKind::Tool,
        }
    }
}

fn platform_remedy(platform: &Platform) -> &'static str {
    if platform.system == "linux" && platform.bits == 64 {
        "use a container with a C library and processor from that list (on Arm: Alpine Linux)"
    } else {
        "use a machine, a container or a 64-bit Python from that list"
    }
}
