//! Why a source is not verified.

use super::Explorer;
use crate::{error::ErrorKind, verifier::solc};
use alloy::primitives::Address;
use std::time::Duration;

/// A source could not be verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No explorer sees the chain.
    #[error(
        "chain {chain_id} is local, so no common explorer sees it; leave out --verify, or name one of your own \
         with --verifier-url"
    )]
    LocalChain {
        /// The id of the chain, which is declared local.
        chain_id: u64,
    },
    /// Blockscout runs on many hosts.
    #[error(
        "blockscout has no common address; give --verifier-url, as in https://eth.blockscout.com/api/"
    )]
    NoUrl,
    /// Etherscan wants a key.
    #[error(
        "etherscan needs a key: set ETHERSCAN_API_KEY, or use --verifier sourcify, which needs none"
    )]
    NoKey,
    /// The address is no URL. It is left out: it may hold a key.
    #[error("--verifier-url is not valid: {0}; give an http:// or https:// URL")]
    BadUrl(String),
    /// It could not be reached.
    #[error("cannot reach {explorer} at {endpoint}: {message}")]
    Unreachable {
        /// The explorer that was asked; its display is `etherscan`, `sourcify` or `blockscout`.
        explorer: Explorer,
        /// Scheme, host and port of the API, without what may be a key.
        endpoint: String,
        /// What the network said.
        message: String,
    },
    /// It has no time.
    #[error("{explorer} at {endpoint} is busy (HTTP {status}): {body}")]
    Busy {
        /// The explorer that was asked.
        explorer: Explorer,
        /// Scheme, host and port of the API, without what may be a key.
        endpoint: String,
        /// The HTTP status: 429 or 5xx.
        status: u16,
        /// The beginning of the body.
        body: String,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// It sends us elsewhere, where the key would go along.
    #[error(
        "{explorer} at {endpoint} answers with a redirect (HTTP {status}), which is not followed; give the \
         final address with --verifier-url"
    )]
    Redirect {
        /// The explorer that was asked.
        explorer: Explorer,
        /// Scheme, host and port of the API, without what may be a key.
        endpoint: String,
        /// The HTTP status, a 3xx.
        status: u16,
    },
    /// More than any answer has.
    #[error("{explorer} at {endpoint} answers more than {} KiB; check --verifier-url", limit >> 10)]
    TooLong {
        /// The explorer that was asked.
        explorer: Explorer,
        /// Scheme, host and port of the API, without what may be a key.
        endpoint: String,
        /// How much is read, in bytes.
        limit: usize,
    },
    /// It answered something else than its protocol says.
    #[error(
        "{explorer} at {endpoint} answers what its protocol does not have (HTTP {status}): {body}; check \
         --verifier and --verifier-url"
    )]
    Garbage {
        /// The explorer that was asked.
        explorer: Explorer,
        /// Scheme, host and port of the API, without what may be a key.
        endpoint: String,
        /// The HTTP status of the answer; it may be 200.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
    /// It does not accept the source.
    #[error("{explorer} does not verify {contract} at {address}: {message}")]
    Rejected {
        /// The explorer that was asked.
        explorer: Explorer,
        /// `file:Name`, the file as in the standard JSON input.
        contract: String,
        /// The address whose source was to be verified.
        address: Address,
        /// Why, in the explorer's words: one line, at most 300 characters, keys replaced.
        message: String,
    },
    /// It took too long.
    #[error(
        "{explorer} has not decided after {questions} questions{}; ask it again later, or raise --retries",
        if said.is_empty() { String::new() } else { format!(" ({said})") }
    )]
    Undecided {
        /// The explorer that was asked.
        explorer: Explorer,
        /// How often it was asked.
        questions: u32,
        /// What it said last.
        said: String,
    },
    /// The source is not here.
    #[error("the source of {contract} at {address} is not here: {why}")]
    NoSource {
        /// The contract's name in the deployments file.
        contract: String,
        /// Its address in the deployments file.
        address: Address,
        /// What is here instead, and what to do.
        why: &'static str,
    },
    /// The compiler does not state its build.
    #[error(transparent)]
    Solc(#[from] solc::Error),
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Solc(inner) => inner.kind(),
            Self::LocalChain { .. }
            | Self::NoUrl
            | Self::NoKey
            | Self::BadUrl(..)
            | Self::NoSource { .. } => ErrorKind::BadInput,
            Self::Rejected { .. } => ErrorKind::Invalid,
            Self::Unreachable { .. }
            | Self::Busy { .. }
            | Self::Redirect { .. }
            | Self::TooLong { .. }
            | Self::Garbage { .. }
            | Self::Undecided { .. } => ErrorKind::Chain,
        }
    }
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// How long to wait before asking again, where that may help. An explorer that asks for more than a
    /// minute is not waited for so long.
    pub(super) fn wait(&self) -> Option<Duration> {
        match self {
            Self::Unreachable { .. } => Some(Duration::ZERO),
            Self::Busy { retry_after, .. } => {
                Some(retry_after.unwrap_or_default().min(Duration::from_secs(60)))
            }
            _ => None,
        }
    }
}
