//! Exit codes.

use crate::{
    accuracy, artifacts,
    chain::{self, explorer},
    engine,
    error::ErrorKind,
    evm, files, project, srs, toolchain, tune, verifier,
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
        macro_rules! kind {
            ($($error:ty),* $(,)?) => {
                None$(.or_else(|| cause.downcast_ref::<$error>().map(|error| error.kind())))*
            };
        }
        if let Some(error) = cause.downcast_ref::<Coded>() {
            return Some(error.code);
        }
        // An error that is transparent to another hides it from the chain of causes; its kind is the other's.
        let kind = kind![
            project::Error,
            chain::Error,
            explorer::Error,
            engine::Error,
            engine::EnvironmentError,
            srs::Error,
            verifier::Error,
            verifier::solc::Error,
            verifier::guard::Error,
            files::Error,
            artifacts::Error,
            accuracy::Error,
            accuracy::float_model::Error,
            accuracy::judge::Error,
            crate::prepare::Error,
            accuracy::observations::Error,
            tune::Error,
            tune::trial::Error,
            tune::calibration::Error,
            chain::account::Error,
            chain::deployments::Error,
            chain::node::anvil::Error,
            chain::node::endpoint::Error,
            chain::node::rpc::Error,
            chain::tx::Error,
            chain::tx::journal::Error,
            toolchain::Error,
            toolchain::wheel::Error,
            evm::Error,
        ];
        #[cfg(feature = "fleet")]
        let kind =
            kind.or_else(|| cause.downcast_ref::<crate::fleet::Error>().map(|error| error.kind()));
        kind.map(Self::from)
    }
}

impl From<ErrorKind> for Code {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::BadInput => Self::BadInput,
            ErrorKind::Invalid => Self::Invalid,
            ErrorKind::Chain => Self::Chain,
            ErrorKind::Tool => Self::Tool,
            ErrorKind::Interrupted => Self::Interrupted,
            ErrorKind::Failure => Self::Failure,
        }
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
        let pip = eyre::Report::new(toolchain::wheel::Error::Fetch {
            program: "pip",
            package: "ezkl",
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
