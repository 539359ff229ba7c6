//! What can go wrong with ezkl, in its own words, and what to do about it.

use super::{
    causes::{self, hint, panicked},
    environment::EnvironmentError,
};
use crate::{error::ErrorKind, files};
use std::{path::PathBuf, time::Duration};

/// An operation of the engine failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// ezkl refused: a Python exception.
    #[error("ezkl's {operation} failed: {message}{}", hint(message))]
    Python {
        /// What was tried, such as `prove`.
        operation: &'static str,
        /// The exception's class.
        class: String,
        /// ezkl's own words.
        message: String,
    },
    /// A panic inside ezkl. The worker is replaced, so the engine goes on.
    #[error("{}", panicked(operation, message, tail))]
    Panic {
        /// What was tried.
        operation: &'static str,
        /// The panic's own words.
        message: String,
        /// The last lines of the worker's stderr, which name the place.
        tail: String,
    },
    /// ezkl refused the model, or failed, at one of its operators.
    #[error("at {operator}: {error}")]
    At {
        /// The operator and its attributes, in words.
        operator: String,
        /// What it said.
        error: Box<Error>,
    },
    /// A signal ended the worker.
    #[error("{}", killed(operation, *signal, *out_of_memory, *peak_bytes, tail))]
    Killed {
        /// What was tried.
        operation: &'static str,
        /// The signal's number.
        signal: i32,
        /// Whether the kernel killed a process for want of memory meanwhile, or ezkl said that it
        /// got no more.
        out_of_memory: bool,
        /// The most memory that the worker was seen to use, in bytes.
        peak_bytes: Option<u64>,
        /// The last lines of the worker's stderr.
        tail: String,
    },
    /// The worker ended by itself.
    #[error("ezkl's process ended in {operation} ({status}){}", said(tail))]
    Died {
        /// What was tried.
        operation: &'static str,
        /// The exit status.
        status: String,
        /// The last lines of the worker's stderr.
        tail: String,
    },
    /// The operation took longer than it may.
    #[error(
        "ezkl did not finish {operation} within {deadline:?} and was stopped; allow more with \
         ZKVOUCH_DEADLINE (seconds, 0 for no limit) or make the circuit smaller"
    )]
    Deadline {
        /// What was tried.
        operation: &'static str,
        /// The time allowed.
        deadline: Duration,
    },
    /// The worker waits for itself and will never go on. ezkl logs through Python while it holds
    /// Python's lock; when one of its threads has something to log, both wait for ever. That is how
    /// `prove` meets a witness with a value outside a lookup table.
    #[error(
        "ezkl blocked itself in {operation} (no CPU time used for {idle:?}) and was \
         stopped; the usual reason is a value outside the circuit's lookup range: compare the \
         witness's max_lookup_inputs and min_lookup_inputs with lookup_range in the settings, and \
         calibrate with data that spans the real inputs or with a larger margin"
    )]
    Stalled {
        /// What was tried.
        operation: &'static str,
        /// How long it had used no CPU time.
        idle: Duration,
    },
    /// Somebody stopped the worker and nobody let it go on.
    #[error(
        "ezkl's process was stopped (SIGSTOP) in {operation} for {time:?} and nothing let it go on, so it \
         was ended; run the command again"
    )]
    Stopped {
        /// What was tried.
        operation: &'static str,
        /// How long it was stopped.
        time: Duration,
    },
    /// What the worker said is not the protocol.
    #[error("ezkl's worker process answered {operation} with something unexpected: {message}")]
    Protocol {
        /// What was tried.
        operation: &'static str,
        /// What was wrong.
        message: String,
    },
    /// A variable of the environment has a value that means nothing.
    #[error("{variable}={value}: expected {expected}")]
    Config {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A path cannot be handed to ezkl.
    #[error("the path {} is not UTF-8, which ezkl requires; move or rename the file", path.display())]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// ezkl or Python is missing, or could not be installed or started.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] files::Error),
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Environment(inner) => inner.kind(),
            Self::File(inner) => inner.kind(),
            Self::At { error, .. } => error.kind(),
            Self::Python { .. } | Self::Panic { .. } | Self::Config { .. } | Self::Path { .. } => {
                ErrorKind::BadInput
            }
            Self::Killed { .. }
            | Self::Died { .. }
            | Self::Deadline { .. }
            | Self::Stalled { .. }
            | Self::Stopped { .. }
            | Self::Protocol { .. } => ErrorKind::Tool,
        }
    }
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What ezkl said, without what it was asked for.
    pub fn reason(&self) -> String {
        match self {
            Self::Python { message, .. } => format!("{}{}", message.trim(), hint(message)),
            Self::Panic { operation, message, tail } => causes::panic(operation, message, tail)
                .unwrap_or_else(|| format!("ezkl crashed: {message}")),
            other => other.to_string(),
        }
    }

    /// Whether the same request may succeed when repeated as it is.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Killed { .. } | Self::Died { .. } | Self::Stopped { .. } | Self::Protocol { .. }
        )
    }
}

fn said(tail: &str) -> String {
    if tail.is_empty() { String::new() } else { format!("; its last words: {tail}") }
}

fn killed(
    operation: &str,
    signal: i32,
    out_of_memory: bool,
    peak_bytes: Option<u64>,
    tail: &str,
) -> String {
    let used = peak_bytes
        .map(|bytes| format!(" after using {} MiB of memory", bytes.div_ceil(1 << 20)))
        .unwrap_or_default();
    let start = format!("ezkl's process was ended by signal {signal}{used} in {operation}");
    const LESS: &str = "free memory, use a machine with more, or make the circuit smaller (fewer \
                        rows or columns)";
    match signal {
        _ if out_of_memory => format!("{start}: the machine ran out of memory; {LESS}"),
        9 => format!(
            "{start}: somebody killed it, or the machine or its container ran out of memory; {LESS}"
        ),
        _ => format!("{start}{}", said(tail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_to_do() {
        let error = Error::Python {
            operation: "gen_settings",
            class: "RuntimeError".into(),
            message: "Failed to generate settings: [graph] [tract] Reading proto model".into(),
        };
        assert!(error.to_string().contains("not an ONNX model"), "{error}");
        let killed = |signal, out_of_memory| {
            let (peak_bytes, tail) = (Some(3 << 20), "Segmentation fault".into());
            Error::Killed { operation: "prove", signal, out_of_memory, peak_bytes, tail }
                .to_string()
        };
        assert!(killed(9, true).contains("ran out of memory"));
        assert!(killed(9, false).contains("3 MiB") && killed(9, false).contains("somebody"));
        assert!(killed(11, false).ends_with("last words: Segmentation fault"));
    }
}
