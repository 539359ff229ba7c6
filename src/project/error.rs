//! What can go wrong in a project.

use super::step::Change;
use crate::{
    accuracy::judge, artifacts, chain, engine, error::ErrorKind, files, model::schema, prepare,
    srs, toolchain, tune, verifier,
};
use std::path::{Path, PathBuf};

/// A project could not be read, built or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither the folder nor one above it has a project file.
    #[error(
        "no zkvouch.toml in {} or above it; run `zkvouch init model.onnx --data input.json` to make \
         one",
        .0.display()
    )]
    NoProject(PathBuf),
    /// The project file is wrong.
    #[error("{}: {message}", path.display())]
    Config {
        /// The path of zkvouch.toml.
        path: PathBuf,
        /// What is wrong, with line and column where the parser has them.
        message: String,
    },
    /// A file is no bundle, or not the one that its statement is about.
    #[error("{}: {message}; have it sent again", path.display())]
    Bundle {
        /// The path of the bundle.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A waiver in the project file waives nothing.
    #[error("[policy] waive.{rule}: {message}")]
    Waiver {
        /// The rule that it names.
        rule: String,
        /// What is wrong with it.
        message: String,
    },
    /// The manifest is broken or of another version.
    #[error("{}: {message}; run `zkvouch clean` and build again", path.display())]
    Manifest {
        /// The path of manifest.json.
        path: PathBuf,
        /// What the parser says, or which version was found.
        message: String,
    },
    /// An artefact that a build makes is not there.
    #[error("{} is not there; run `zkvouch build` to make it", .0.display())]
    NotBuilt(PathBuf),
    /// More than one observation where there must be one.
    #[error(
        "{} holds {count} observations, and a proof is of {}; put {} to prove into a file of {} own, or make \
         several proofs with `zkvouch prove --batch {}`", path.display(),
        if *size == 1 { "one".to_owned() } else { size.to_string() },
        if *size == 1 { "the one" } else { "those" },
        if *size == 1 { "its" } else { "their" },
        path.display()
    )]
    SeveralInputs {
        /// The file.
        path: PathBuf,
        /// How many it holds.
        count: usize,
        /// How many the circuit takes.
        size: usize,
    },
    /// A proof of another number of predictions than the circuit's.
    #[error(
        "{} says that it is of {found} predictions, and the project's circuit is for {size}; prove again with \
         `zkvouch prove`", path.display()
    )]
    OtherPredictions {
        /// The proof.
        path: PathBuf,
        /// What it says.
        found: u32,
        /// What the circuit takes.
        size: u32,
    },
    /// A folder that no build made is not removed.
    #[error("{} is left alone: {why}; remove it by hand, or correct build_dir in zkvouch.toml", folder.display())]
    NotOurs {
        /// The build folder by zkvouch.toml.
        folder: PathBuf,
        /// What speaks against it.
        why: &'static str,
    },
    /// Something is no longer what the build was made from, or what it made.
    #[error("{change}; what is built no longer stands for it, so run `zkvouch build` first")]
    OutOfDate {
        /// The file or the option, and what became of it.
        change: Change,
    },
    /// The verifier's code was made with another trusted setup than the SRS beside it.
    #[error(
        "the verifier's code in {} was made with another trusted setup ([tau]_2) than {}; run `zkvouch build \
         --force`", verifier.display(), srs.display()
    )]
    OtherSetup {
        /// The folder of the verifier.
        verifier: PathBuf,
        /// The path of the SRS in the build folder.
        srs: PathBuf,
    },
    /// The verifier was built without a proof.
    #[error("the verifier has accepted no proof yet, so its gas is not known; run `zkvouch build`")]
    NotMeasured,
    /// The tuner is no calibration of ezkl's.
    #[error("calibrate takes resources, accuracy or manual; run `zkvouch tune` to tune")]
    TuneElsewhere,
    /// The tuner found no circuit, or could not search.
    #[error(transparent)]
    Tune(Box<tune::Error>),
    /// No chain takes the circuit's verifier.
    #[error(
        "this circuit can't be deployed: its verifier has {0} (for a local chain without the limits: \
         `allow_oversize = true` under [verifier])"
    )]
    Undeployable(tune::deploy::Excess),
    /// The circuit is too large for any machine.
    #[error(transparent)]
    BeyondField(#[from] tune::BeyondField),
    /// The circuit is too large for this machine.
    #[error(transparent)]
    TooLarge(#[from] tune::machine::TooLarge),
    /// The circuit does not say what the model says, or can't be compared with it.
    #[error(transparent)]
    Judge(Box<judge::Error>),
    /// The model could not be prepared.
    #[error(transparent)]
    Prepare(Box<prepare::Error>),
    /// What was proved does not verify.
    #[error(
        "the proof of {} does not verify, although proving went through; the witness does not satisfy \
         the circuit (run `zkvouch mock` to see which constraint fails)",
        .0.display()
    )]
    ProofRejected(PathBuf),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] files::Error),
    /// ezkl refused, failed or could not be set up.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// An artefact is malformed or does not fit.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// The contracts can't describe the circuit's public values.
    #[error(transparent)]
    Schema(#[from] schema::Error),
    /// The SRS could not be had or isn't usable.
    #[error(transparent)]
    Srs(#[from] srs::Error),
    /// The verifier could not be made.
    #[error(transparent)]
    Verifier(Box<verifier::Error>),
    /// The chain refuses, or a proof is not for what is deployed there.
    #[error(transparent)]
    Chain(Box<chain::Error>),
    /// A tool is missing.
    #[error(transparent)]
    Toolchain(#[from] toolchain::Error),
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Tune(inner) => inner.kind(),
            Self::Judge(inner) => inner.kind(),
            Self::Prepare(inner) => inner.kind(),
            Self::File(inner) => inner.kind(),
            Self::Engine(inner) => inner.kind(),
            Self::Artifact(inner) => inner.kind(),
            Self::Srs(inner) => inner.kind(),
            Self::Verifier(inner) => inner.kind(),
            Self::Chain(inner) => inner.kind(),
            Self::Toolchain(inner) => inner.kind(),
            Self::NoProject(..)
            | Self::Config { .. }
            | Self::Waiver { .. }
            | Self::Bundle { .. }
            | Self::Manifest { .. }
            | Self::NotBuilt(..)
            | Self::SeveralInputs { .. }
            | Self::OtherPredictions { .. }
            | Self::NotOurs { .. }
            | Self::OutOfDate { .. }
            | Self::OtherSetup { .. }
            | Self::NotMeasured
            | Self::TuneElsewhere
            | Self::Schema(..) => ErrorKind::BadInput,
            Self::Undeployable(..) | Self::BeyondField(..) => ErrorKind::BadInput,
            Self::TooLarge(..) => ErrorKind::Failure,
            Self::ProofRejected(..) => ErrorKind::Invalid,
        }
    }
}

impl Error {
    pub(super) fn broken_manifest(path: &Path, message: impl ToString) -> Self {
        Self::Manifest { path: path.to_owned(), message: message.to_string() }
    }
}

macro_rules! boxed {
    ($($variant:ident($error:ty)),*) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::$variant(Box::new(error))
            }
        })*
    };
}

// The large ones are boxed, so that a result that is nearly always `Ok` stays small.
boxed!(
    Chain(chain::Error),
    Judge(judge::Error),
    Prepare(prepare::Error),
    Tune(tune::Error),
    Verifier(verifier::Error)
);

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;
