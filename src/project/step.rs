//! The steps of a build, and why one runs again.

use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf};

/// A step of the build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[non_exhaustive]
pub enum Step {
    /// The model as ezkl takes it, made from the user's.
    Prepare,
    /// ezkl's settings for the model.
    Settings,
    /// Scales, ranges and shape, tuned or calibrated.
    Calibrate,
    /// The circuit that ezkl compiles from model and settings.
    Compile,
    /// The circuit beside the model that it was made from.
    Judge,
    /// The SRS of the circuit's size.
    Srs,
    /// The verifying and the proving key.
    Setup,
    /// The sample input's witness.
    Witness,
    /// The sample input's proof.
    Proof,
    /// The verifiers: source, compiler's input, bytecode, metadata.
    Verifier,
}

impl Step {
    /// Its name, as in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Settings => "settings",
            Self::Calibrate => "calibrate",
            Self::Compile => "compile",
            Self::Judge => "judge",
            Self::Srs => "srs",
            Self::Setup => "setup",
            Self::Witness => "witness",
            Self::Proof => "proof",
            Self::Verifier => "verifier",
        }
    }
}

/// Why a step is out of date.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Everything is to run.
    Forced,
    /// The step never ran to its end.
    NotBuilt(Step),
    /// An input file is another one than the step ran on.
    File {
        /// What it is to the step.
        name: String,
        /// The path that it is read from.
        path: PathBuf,
    },
    /// An option, or the samples, are others than the step ran on.
    Option {
        /// Its name in messages, as in `logrows`.
        name: String,
    },
    /// A file that the step made is gone.
    Missing(PathBuf),
    /// A file that the step made is not as it was written.
    Altered(PathBuf),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forced => f.write_str("forced"),
            Self::NotBuilt(step) => write!(f, "{} is not built yet", step.name()),
            Self::File { name, path } => write!(f, "{} ({name}) changed", path.display()),
            Self::Option { name } => write!(f, "{name} changed"),
            Self::Missing(path) => write!(f, "{} is missing", path.display()),
            Self::Altered(path) => write!(f, "{} is not as the build wrote it", path.display()),
        }
    }
}
