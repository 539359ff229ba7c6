//! Exit codes.

use crate::{
    accuracy, artifacts,
    chain::{self, explorer},
    engine, evm, files, project, srs, toolchain, tune, verifier,
};
use std::io;

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
        if is_full(report) {
            return Self::Failure;
        }
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
            project::Error => |error| Some(project_code(error));
            chain::Error => |error| Some(chain_code(error));
            explorer::Error => |error| Some(explorer_code(error));
            engine::Error => |error| Some(engine_code(error));
            srs::Error => |error| Some(srs_code(error));
            verifier::Error => |error| Some(verifier_code(error));
            files::Error => |error| Some(file_code(error));
            artifacts::Error => |error| Some(artifact_code(error));
            accuracy::float_model::Error => |error| Some(float_model_code(error));
            accuracy::observations::Error => |error| Some(observations_code(error));
            accuracy::Error => |error| Some(accuracy_code(error));
            tune::Error => |error| Some(tune_code(error));
            tune::trial::Error => |error| Some(trial_code(error));
            tune::calibration::Error => |error| Some(calibration_code(error));
            chain::node::endpoint::Error => |error| Some(endpoint_code(error));
            chain::account::Error => |_| Some(Self::BadInput);
            chain::deployments::Error => |error| Some(deployments_code(error));
            chain::tx::journal::Error => |error| Some(journal_code(error));
            chain::node::rpc::Error => |_| Some(Self::Chain);
            chain::tx::Error => |error| Some(transaction_code(error));
            chain::node::anvil::Error => |error| Some(anvil_code(error));
            verifier::guard::Error => |_| Some(Self::Tool);
            verifier::solc::Error => |error| Some(solc_code(error));
            toolchain::Error => |error| Some(toolchain_code(error));
            engine::EnvironmentError => |error| Some(environment_code(error));
            evm::Error => |_| Some(Self::Failure);
        }
        None
    }
}

fn project_code(error: &project::Error) -> Code {
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
        | project::Error::TuneElsewhere => Code::BadInput,
        project::Error::Artifact(inner) => artifact_code(inner),
        project::Error::ProofRejected(_) => Code::Invalid,
        project::Error::Engine(inner) => engine_code(inner),
        project::Error::Srs(inner) => srs_code(inner),
        project::Error::Verifier(inner) => verifier_code(inner),
        project::Error::Chain(inner) => chain_code(inner),
        project::Error::Tune(inner) => tune_code(inner),
        project::Error::Toolchain(inner) => toolchain_code(inner),
        project::Error::File(inner) => file_code(inner),
    }
}

fn accuracy_code(error: &accuracy::Error) -> Code {
    match error {
        accuracy::Error::Engine(inner) => engine_code(inner),
        accuracy::Error::File(inner) => file_code(inner),
        accuracy::Error::Artifact(inner) => artifact_code(inner),
        accuracy::Error::Model(inner) => float_model_code(inner),
        accuracy::Error::Observations(inner) => observations_code(inner),
        _ => Code::BadInput,
    }
}

fn tune_code(error: &tune::Error) -> Code {
    match error {
        tune::Error::Engine(inner) => engine_code(inner),
        tune::Error::File(inner) => file_code(inner),
        tune::Error::Trial(inner) => trial_code(inner),
        tune::Error::Artifact(inner) => artifact_code(inner),
        tune::Error::Model(inner) => float_model_code(inner),
        tune::Error::Observations(inner) => observations_code(inner),
        tune::Error::NothingProves { .. } => Code::Failure,
        tune::Error::Stopped => Code::Interrupted,
        _ => Code::BadInput,
    }
}

fn calibration_code(error: &tune::calibration::Error) -> Code {
    match error {
        tune::calibration::Error::File(inner) => file_code(inner),
        tune::calibration::Error::Engine(inner) => engine_code(inner),
        tune::calibration::Error::Trial(inner) => trial_code(inner),
        tune::calibration::Error::Artifact(inner) => artifact_code(inner),
        _ => Code::BadInput,
    }
}

fn trial_code(error: &tune::trial::Error) -> Code {
    match error {
        tune::trial::Error::Engine(inner) => engine_code(inner),
        tune::trial::Error::File(inner) => file_code(inner),
        tune::trial::Error::Artifact(inner) => artifact_code(inner),
        tune::trial::Error::Invalid { .. } => Code::Invalid,
    }
}

fn chain_code(error: &chain::Error) -> Code {
    match error {
        chain::Error::Signer(_) | chain::Error::SamePrediction { .. } => Code::BadInput,
        chain::Error::Endpoint(inner) => endpoint_code(inner),
        chain::Error::Deployments(inner) => deployments_code(inner),
        chain::Error::Broadcast(inner) => journal_code(inner),
        chain::Error::Transaction(inner) => transaction_code(inner),
        chain::Error::Anvil(inner) => anvil_code(inner),
        chain::Error::VerifySource(inner) => explorer_code(inner),
        _ => Code::Chain,
    }
}

fn explorer_code(error: &explorer::Error) -> Code {
    match error {
        explorer::Error::LocalChain { .. }
        | explorer::Error::NoUrl
        | explorer::Error::NoKey
        | explorer::Error::BadUrl(_)
        | explorer::Error::NoSource { .. } => Code::BadInput,
        explorer::Error::Rejected { .. } => Code::Invalid,
        explorer::Error::Solc(inner) => solc_code(inner),
        _ => Code::Chain,
    }
}

fn verifier_code(error: &verifier::Error) -> Code {
    match error {
        verifier::Error::Golden(_) | verifier::Error::OtherSetup { .. } => Code::Invalid,
        verifier::Error::TooLarge { .. } | verifier::Error::Artifact { .. } => Code::BadInput,
        verifier::Error::File(inner) => file_code(inner),
        verifier::Error::Solc(inner) => solc_code(inner),
        _ => Code::Tool,
    }
}

fn engine_code(error: &engine::Error) -> Code {
    match error {
        engine::Error::Python { .. }
        | engine::Error::Panic { .. }
        | engine::Error::Config { .. }
        | engine::Error::Path { .. } => Code::BadInput,
        engine::Error::Environment(inner) => environment_code(inner),
        engine::Error::File(inner) => file_code(inner),
        _ => Code::Tool,
    }
}

fn environment_code(error: &engine::EnvironmentError) -> Code {
    match error {
        engine::EnvironmentError::File(inner) => file_code(inner),
        engine::EnvironmentError::Toolchain(inner) => toolchain_code(inner),
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
        srs::Error::File(inner) => file_code(inner),
        srs::Error::Toolchain(inner) => toolchain_code(inner),
        _ => Code::Tool,
    }
}

fn toolchain_code(error: &toolchain::Error) -> Code {
    match error {
        toolchain::Error::NotOurs(_) => Code::BadInput,
        toolchain::Error::File(inner) => file_code(inner),
        _ => Code::Tool,
    }
}

fn solc_code(error: &verifier::solc::Error) -> Code {
    match error {
        verifier::solc::Error::Request(_) | verifier::solc::Error::TooOld(_) => Code::BadInput,
        verifier::solc::Error::File(inner) => file_code(inner),
        verifier::solc::Error::Toolchain(inner) => toolchain_code(inner),
        _ => Code::Tool,
    }
}

fn anvil_code(error: &chain::node::anvil::Error) -> Code {
    match error {
        chain::node::anvil::Error::Toolchain(inner) => toolchain_code(inner),
        _ => Code::Tool,
    }
}

fn transaction_code(error: &chain::tx::Error) -> Code {
    match error {
        chain::tx::Error::Signer(_) => Code::BadInput,
        chain::tx::Error::Broadcast(inner) => journal_code(inner),
        chain::tx::Error::Lock(inner) => toolchain_code(inner),
        _ => Code::Chain,
    }
}

/// For errors that are of what the user gave, unless a file could not be read or written.
macro_rules! input_codes {
    ($($name:ident($error:path);)*) => {
        $(fn $name(error: &$error) -> Code {
            use $error as Error;
            match error {
                Error::File(inner) => file_code(inner),
                _ => Code::BadInput,
            }
        })*
    };
}

input_codes! {
    artifact_code(artifacts::Error);
    float_model_code(accuracy::float_model::Error);
    observations_code(accuracy::observations::Error);
    endpoint_code(chain::node::endpoint::Error);
    deployments_code(chain::deployments::Error);
    journal_code(chain::tx::journal::Error);
}

/// A file that is not there, or not what it should be, or where none can be written, is the user's. A
/// broken disk is not, and neither is a full one.
fn file_code(error: &files::Error) -> Code {
    use std::io::ErrorKind::{
        InvalidData, InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound,
        PermissionDenied, ReadOnlyFilesystem, UnexpectedEof,
    };
    match error.source.kind() {
        InvalidData | InvalidFilename | InvalidInput | IsADirectory | NotADirectory | NotFound
        | PermissionDenied | ReadOnlyFilesystem | UnexpectedEof => Code::BadInput,
        _ => Code::Failure,
    }
}

/// Whether the disk is full, whoever met with it: we, ezkl, npm, pip, a compiler or Anvil.
fn is_full(report: &eyre::Report) -> bool {
    const WORDS: [&str; 6] = [
        "No space left on device",
        "os error 28",
        "ENOSPC",
        "Disk quota exceeded",
        "not enough space on the disk",
        "File too large (os error 27)",
    ];
    report.chain().any(|cause| {
        let text = cause.to_string();
        cause.downcast_ref::<io::Error>().is_some_and(files::is_full)
            || WORDS.iter().any(|words| text.contains(words))
    })
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
        Self::reported_as(Code::Invalid, message)
    }

    /// The same with another code.
    pub(super) fn reported_as(code: Code, message: impl Into<String>) -> Self {
        Self { reported: true, ..Self::new(code, message) }
    }

    /// An end by a signal of which the result, printed already, tells.
    pub(super) fn interrupted() -> Self {
        Self { reported: true, ..Self::new(Code::Interrupted, "interrupted") }
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

#[cfg(test)]
mod tests {
    use super::*;
    use io::ErrorKind;
    use std::path::Path;

    fn file(kind: ErrorKind) -> files::Error {
        files::Error::at("write", "a.json")(kind.into())
    }

    /// The same error of a file as each module and each command has it.
    fn everywhere(kind: ErrorKind) -> Vec<(&'static str, eyre::Report)> {
        use chain::{deployments, node, tx};
        let tool = || toolchain::Error::File(file(kind));
        let engine = || engine::Error::File(file(kind));
        let environment = || engine::EnvironmentError::File(file(kind));
        let artifact = || artifacts::Error::File(file(kind));
        let model = || accuracy::float_model::Error::File(file(kind));
        let observations = || accuracy::observations::Error::File(file(kind));
        let trial = || tune::trial::Error::from(file(kind));
        let solc = || verifier::solc::Error::File(file(kind));
        let journal = || tx::journal::Error::File(file(kind));
        let endpoint = || node::endpoint::Error::File(file(kind));
        let chain = || chain::Error::Deployments(deployments::Error::File(file(kind)));
        macro_rules! reports {
            ($($error:expr;)*) => { vec![$((stringify!($error), eyre::Report::new($error)),)*] };
        }
        reports! {
            file(kind);
            tool();
            engine();
            environment();
            engine::Error::Environment(environment());
            engine::Error::Environment(engine::EnvironmentError::Toolchain(tool()));
            artifact();
            model();
            observations();
            accuracy::Error::File(file(kind));
            accuracy::Error::Artifact(artifact());
            accuracy::Error::Model(model());
            accuracy::Error::Observations(observations());
            accuracy::Error::Engine(engine());
            trial();
            tune::trial::Error::Engine(engine());
            tune::trial::Error::Artifact(artifact());
            tune::Error::File(file(kind));
            tune::Error::Model(model());
            tune::Error::Observations(observations());
            tune::Error::Trial(trial());
            tune::calibration::Error::File(file(kind));
            tune::calibration::Error::Artifact(artifact());
            tune::calibration::Error::Trial(trial());
            srs::Error::File(file(kind));
            srs::Error::Toolchain(tool());
            solc();
            verifier::solc::Error::Toolchain(tool());
            verifier::Error::File(file(kind));
            verifier::Error::Solc(solc());
            endpoint();
            journal();
            chain();
            node::anvil::Error::Toolchain(tool());
            tx::Error::Lock(Box::new(tool()));
            tx::Error::Broadcast(journal());
            chain::Error::Anvil(node::anvil::Error::Toolchain(tool()));
            chain::Error::Endpoint(endpoint());
            chain::Error::Broadcast(journal());
            chain::Error::from(tx::Error::Broadcast(journal()));
            project::Error::File(file(kind));
            project::Error::Artifact(artifact());
            project::Error::Engine(engine());
            project::Error::Srs(srs::Error::File(file(kind)));
            project::Error::Toolchain(tool());
            project::Error::from(chain());
            project::Error::from(tune::Error::File(file(kind)));
            project::Error::from(verifier::Error::Solc(solc()));
        }
    }

    #[test]
    fn one_cause_has_one_code_whoever_met_with_it() {
        let causes = [
            (ErrorKind::StorageFull, Code::Failure),
            (ErrorKind::QuotaExceeded, Code::Failure),
            (ErrorKind::FileTooLarge, Code::Failure),
            (ErrorKind::Other, Code::Failure),
            (ErrorKind::NotFound, Code::BadInput),
            (ErrorKind::PermissionDenied, Code::BadInput),
            (ErrorKind::ReadOnlyFilesystem, Code::BadInput),
            (ErrorKind::InvalidData, Code::BadInput),
            (ErrorKind::UnexpectedEof, Code::BadInput),
            (ErrorKind::IsADirectory, Code::BadInput),
        ];
        for (kind, code) in causes {
            for (error, report) in everywhere(kind) {
                assert_eq!(Code::of(&report), code, "{kind:?} as {error}");
                assert_eq!(Code::of(&report.wrap_err("in a command")), code, "{kind:?} as {error}");
            }
        }
    }

    #[test]
    fn a_full_disk_is_known_by_the_words_of_others() {
        let python = |message: &str| {
            eyre::Report::new(engine::Error::Python {
                operation: "setup",
                class: "RuntimeError".into(),
                message: message.into(),
            })
        };
        let npm = |message: &str| {
            eyre::Report::new(toolchain::Error::Npm {
                package: "solc@0.8.37".into(),
                message: message.into(),
            })
        };
        let pip = eyre::Report::new(engine::EnvironmentError::Fetch {
            program: "pip",
            version: "23.0.5",
            message: "ERROR: Could not install: [Errno 28] No space left on device".into(),
            wheel: "ezkl.whl",
        });
        let solc = eyre::Report::new(verifier::solc::Error::Run {
            path: Path::new("solc").into(),
            message: "ENOSPC: no space left on device, write".into(),
        });
        for full in [
            python("[io] No space left on device (os error 28)"),
            python("[io] File too large (os error 27)"),
            npm("npm ERR! code ENOSPC npm ERR! syscall write"),
            npm("npm error nospc ENOSPC: no space left on device, write"),
            pip,
            solc,
        ] {
            assert_eq!(Code::of(&full), Code::Failure, "{full}");
        }
        assert_eq!(Code::of(&python("[graph] no such operator")), Code::BadInput);
        assert_eq!(Code::of(&npm("npm ERR! code E404")), Code::Tool);
    }
}
