//! Exit codes.

use crate::{
    accuracy, artifacts, chain, engine, evm, files, project, srs, toolchain, tune, verifier,
};

/// What the process ends with. The numbers are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Anything that has no code of its own.
    Failure = 1,
    /// The command line is wrong (clap's own code).
    Usage = 2,
    /// A file or value that the user gave is missing, malformed or does not fit.
    BadInput = 3,
    /// A proof does not verify, or a check found what it looked for.
    Invalid = 4,
    /// The chain, the node or the transaction failed.
    Chain = 5,
    /// ezkl, solc, npm, Python or another tool is missing or failed.
    Tool = 6,
    /// Interrupted by Ctrl-C or a termination signal.
    Interrupted = 130,
}

impl Code {
    /// The name in the JSON envelope.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Usage => "usage",
            Self::BadInput => "bad_input",
            Self::Invalid => "invalid",
            Self::Chain => "chain",
            Self::Tool => "tool",
            Self::Interrupted => "interrupted",
        }
    }

    /// The code of an error: that of the first cause that has one.
    pub fn of(report: &eyre::Report) -> Self {
        report.chain().find_map(Self::of_cause).unwrap_or(Self::Failure)
    }

    fn of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Self> {
        macro_rules! by_type {
            ($($error:ty => $code:expr;)*) => {
                $(if let Some(error) = cause.downcast_ref::<$error>() {
                    let code: fn(&$error) -> Option<Self> = $code;
                    return code(error);
                })*
            };
        }
        // An error that is transparent to another hides it from the chain of causes, so each
        // function below looks inside.
        by_type! {
            Coded => |error| Some(error.code);
            project::Error => project_code;
            chain::Error => |error| Some(chain_code(error));
            engine::Error => |error| Some(engine_code(error));
            srs::Error => |error| Some(srs_code(error));
            verifier::Error => |error| Some(verifier_code(error));
            files::Error => file_code;
            artifacts::Error => |_| Some(Self::BadInput);
            accuracy::float_model::Error => |_| Some(Self::BadInput);
            accuracy::observations::Error => |_| Some(Self::BadInput);
            accuracy::Error => |error| Some(accuracy_code(error));
            tune::Error => tune_code;
            tune::trial::Error => trial_code;
            tune::calibration::Error => calibration_code;
            chain::node::endpoint::Error => |_| Some(Self::BadInput);
            chain::account::Error => |_| Some(Self::BadInput);
            chain::deployments::Error => |_| Some(Self::BadInput);
            chain::tx::journal::Error => |_| Some(Self::BadInput);
            chain::node::rpc::Error => |_| Some(Self::Chain);
            chain::tx::Error => |_| Some(Self::Chain);
            chain::node::anvil::Error => |_| Some(Self::Tool);
            verifier::guard::Error => |_| Some(Self::Tool);
            verifier::solc::Error => |_| Some(Self::Tool);
            toolchain::Error => toolchain_code;
            evm::Error => |_| Some(Self::Failure);
        }
        None
    }
}

fn project_code(error: &project::Error) -> Option<Code> {
    match error {
        project::Error::NoProject(_)
        | project::Error::Config { .. }
        | project::Error::Manifest { .. }
        | project::Error::NotBuilt(_)
        | project::Error::OutOfDate { .. }
        | project::Error::NotOurs { .. }
        | project::Error::OtherSetup { .. }
        | project::Error::NotMeasured
        | project::Error::Schema(_)
        | project::Error::TuneElsewhere
        | project::Error::Artifact(_) => Some(Code::BadInput),
        project::Error::ProofRejected(_) => Some(Code::Invalid),
        project::Error::Engine(inner) => Some(engine_code(inner)),
        project::Error::Srs(inner) => Some(srs_code(inner)),
        project::Error::Verifier(inner) => Some(verifier_code(inner)),
        project::Error::Chain(inner) => Some(chain_code(inner)),
        project::Error::Tune(inner) => tune_code(inner),
        project::Error::Toolchain(inner) => toolchain_code(inner),
        project::Error::File(inner) => file_code(inner),
    }
}

fn accuracy_code(error: &accuracy::Error) -> Code {
    match error {
        accuracy::Error::Engine(inner) => engine_code(inner),
        accuracy::Error::File(inner) => file_code(inner).unwrap_or(Code::Failure),
        _ => Code::BadInput,
    }
}

fn tune_code(error: &tune::Error) -> Option<Code> {
    match error {
        tune::Error::Engine(inner) => Some(engine_code(inner)),
        tune::Error::File(inner) => file_code(inner),
        tune::Error::Trial(inner) => trial_code(inner),
        tune::Error::NothingProves { .. } => Some(Code::Failure),
        _ => Some(Code::BadInput),
    }
}

fn calibration_code(error: &tune::calibration::Error) -> Option<Code> {
    match error {
        tune::calibration::Error::File(inner) => file_code(inner),
        tune::calibration::Error::Engine(inner) => Some(engine_code(inner)),
        tune::calibration::Error::Trial(inner) => trial_code(inner),
        _ => Some(Code::BadInput),
    }
}

fn trial_code(error: &tune::trial::Error) -> Option<Code> {
    match error {
        tune::trial::Error::Engine(inner) => Some(engine_code(inner)),
        tune::trial::Error::File(inner) => file_code(inner),
        tune::trial::Error::Artifact(_) => Some(Code::BadInput),
        tune::trial::Error::Invalid { .. } => Some(Code::Invalid),
    }
}

fn chain_code(error: &chain::Error) -> Code {
    match error {
        chain::Error::Endpoint(_)
        | chain::Error::Signer(_)
        | chain::Error::Deployments(_)
        | chain::Error::Broadcast(_)
        | chain::Error::SamePrediction { .. } => Code::BadInput,
        chain::Error::Anvil(_) => Code::Tool,
        _ => Code::Chain,
    }
}

fn verifier_code(error: &verifier::Error) -> Code {
    match error {
        verifier::Error::Golden(_) | verifier::Error::OtherSetup { .. } => Code::Invalid,
        verifier::Error::TooLarge { .. } | verifier::Error::Artifact { .. } => Code::BadInput,
        verifier::Error::File(inner) => file_code(inner).unwrap_or(Code::Failure),
        _ => Code::Tool,
    }
}

fn engine_code(error: &engine::Error) -> Code {
    match error {
        engine::Error::Python { .. } | engine::Error::Panic { .. } => Code::BadInput,
        _ => Code::Tool,
    }
}

fn srs_code(error: &srs::Error) -> Code {
    match error {
        srs::Error::Invalid { .. }
        | srs::Error::TooSmall { .. }
        | srs::Error::NoCeremony { .. }
        | srs::Error::DevTooLarge { .. }
        | srs::Error::Url { .. } => Code::BadInput,
        srs::Error::File(inner) => file_code(inner).unwrap_or(Code::Failure),
        _ => Code::Tool,
    }
}

fn toolchain_code(error: &toolchain::Error) -> Option<Code> {
    match error {
        toolchain::Error::NotOurs(_) => Some(Code::BadInput),
        toolchain::Error::File(inner) => file_code(inner),
        _ => Some(Code::Tool),
    }
}

/// A file that is not there is the user's; a full disk is not.
fn file_code(error: &files::Error) -> Option<Code> {
    use std::io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied};
    matches!(error.source.kind(), NotFound | PermissionDenied | NotADirectory | IsADirectory)
        .then_some(Code::BadInput)
}

/// An error of the command line's own, with its code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Coded {
    code: Code,
    message: String,
    reported: bool,
}

/// Whether the result already says what is wrong.
pub(super) fn is_reported(report: &eyre::Report) -> bool {
    report.downcast_ref::<Coded>().is_some_and(|error| error.reported)
}

impl Coded {
    /// An error with a code.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), reported: false }
    }

    /// A check that failed and whose result, printed already, says so.
    pub(super) fn reported(message: impl Into<String>) -> Self {
        Self { reported: true, ..Self::invalid(message) }
    }

    /// A proof or a check that failed.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::Invalid, message)
    }

    /// Something that the user gave is wrong.
    pub fn bad_input(message: impl Into<String>) -> Self {
        Self::new(Code::BadInput, message)
    }
}
