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
        /// The chain.
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
        /// Which explorer.
        explorer: Explorer,
        /// Its host.
        endpoint: String,
        /// What the network said.
        message: String,
    },
    /// It has no time.
    #[error("{explorer} at {endpoint} is busy (HTTP {status}): {body}")]
    Busy {
        /// Which explorer.
        explorer: Explorer,
        /// Its host.
        endpoint: String,
        /// The HTTP status.
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
        /// Which explorer.
        explorer: Explorer,
        /// Its host.
        endpoint: String,
        /// The HTTP status.
        status: u16,
    },
    /// More than any answer has.
    #[error("{explorer} at {endpoint} answers more than {} KiB; check --verifier-url", limit >> 10)]
    TooLong {
        /// Which explorer.
        explorer: Explorer,
        /// Its host.
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
        /// Which explorer.
        explorer: Explorer,
        /// Its host.
        endpoint: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
    /// It does not accept the source.
    #[error("{explorer} does not verify {contract} at {address}: {message}")]
    Rejected {
        /// Which explorer.
        explorer: Explorer,
        /// `file:Name`.
        contract: String,
        /// Its address.
        address: Address,
        /// The explorer's words.
        message: String,
    },
    /// It took too long.
    #[error(
        "{explorer} has not decided after {questions} questions{}; ask it again later, or raise --retries",
        if said.is_empty() { String::new() } else { format!(" ({said})") }
    )]
    Undecided {
        /// Which explorer.
        explorer: Explorer,
        /// How often it was asked.
        questions: u32,
        /// What it said last.
        said: String,
    },
    /// The source is not here.
    #[error("the source of {contract} at {address} is not here: {why}")]
    NoSource {
        /// The contract.
        contract: String,
        /// Its address.
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
