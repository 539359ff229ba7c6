//! What can go wrong in a fleet.

use super::job::{BadJobId, JobId, State};
use crate::{artifacts, chain, engine, error::ErrorKind, files, project, toolchain};
use alloy::primitives::B256;

/// A queue, a store of blobs, a worker, the submitter or the service failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A circuit that takes several observations.
    #[error(
        "the project's proofs are of {0} predictions each, and a job of a fleet is one; leave batch_size out of \
         zkvouch.toml, [model], or prove with `zkvouch prove --batch inputs.jsonl`"
    )]
    Batches(usize),
    /// The database's URL is of no database that a queue can be in.
    #[error(
        "{url}: {message}; give sqlite:PATH for a queue on this machine, or \
         postgres://USER@HOST/DATABASE for one that several machines share"
    )]
    DatabaseUrl {
        /// What was given, without its password.
        url: String,
        /// What is wrong with it.
        message: String,
    },
    /// The database could not be opened or asked.
    #[error(
        "the queue's database ({database}) could not {action}: {source}{}",
        unreachable(source)
    )]
    Database {
        /// Which one, without its password.
        database: String,
        /// What was tried.
        action: &'static str,
        /// What it said.
        #[source]
        source: sqlx::Error,
    },
    /// The tables are of another version.
    #[error(
        "the queue's tables are of version {found}, and this zkvouch knows up to {known}; use the zkvouch that \
         made them, or a newer one"
    )]
    NewerTables {
        /// The version found.
        found: i64,
        /// The newest version that is known.
        known: i64,
    },
    /// The URL of the blobs means nothing.
    #[error(
        "{url}: {message}; give a folder, file:///FOLDER, or s3://BUCKET/PREFIX with AWS_ENDPOINT, AWS_REGION, \
         AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
    )]
    BlobUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        message: String,
    },
    /// The store of blobs failed.
    #[error("the store of blobs could not {action} {hash}: {source}")]
    Blobs {
        /// What was tried.
        action: &'static str,
        /// The blob's hash.
        hash: B256,
        /// What it said.
        #[source]
        source: Box<object_store::Error>,
    },
    /// A blob is not what was stored under its hash.
    #[error(
        "the blob {hash} has changed since it was stored (its bytes hash to {found}); have its store checked, \
         and submit or publish again, which writes it anew"
    )]
    BlobChanged {
        /// The hash that it is stored under.
        hash: B256,
        /// The hash of what is there.
        found: B256,
    },
    /// A circuit's manifest can't be read.
    #[error("the circuit {circuit} can't be used: {message}")]
    Circuit {
        /// The hash of its manifest.
        circuit: B256,
        /// What is wrong.
        message: String,
    },
    /// No such job.
    #[error("there is no job {0}; `zkvouch fleet ls` has those that there are")]
    NoJob(JobId),
    /// A name of a job that is none.
    #[error(transparent)]
    BadJobId(#[from] BadJobId),
    /// An idempotency key was used for something else.
    #[error(
        "the key {key:?} was used before, for the job {job}, with another input or other options; use a new key \
         for a new prediction"
    )]
    KeyUsed {
        /// The client's key.
        key: String,
        /// The job that has it.
        job: JobId,
    },
    /// What was asked for does not go with the job's state.
    #[error("the job {job} is {state}, and {wanted}")]
    WrongState {
        /// The job.
        job: JobId,
        /// Its state.
        state: State,
        /// What would have to be so.
        wanted: &'static str,
    },
    /// Somebody else has the attempt, or the job was cancelled.
    #[error("the job {0} is no longer this worker's: its lease ended, or it was cancelled")]
    Lost(JobId),
    /// Another submitter has the account.
    #[error(
        "the account {account} on chain {chain_id} has a submitter already, {holder}; stop that one, or wait \
         until its lease ends"
    )]
    Held {
        /// The signer.
        account: alloy::primitives::Address,
        /// The chain.
        chain_id: u64,
        /// Who has it.
        holder: String,
    },
    /// A submitter whose lease went to another.
    #[error("this submitter's lease went to another one; nothing more is signed by it")]
    SubmitterLost,
    /// More jobs than the owner may have.
    #[error(
        "{owner:?} has had {used} of {quota} predictions of a day; wait, or have the quota raised"
    )]
    Quota {
        /// The token's name.
        owner: String,
        /// Jobs in the last 24 hours.
        used: u64,
        /// Jobs that it may have in 24 hours.
        quota: u64,
    },
    /// No such token.
    #[error("there is no token {0:?}; `zkvouch fleet token ls` has those that there are")]
    NoToken(String),
    /// A name that a token has.
    #[error("there is a token {0:?} already; revoke it first, or take another name")]
    TokenExists(String),
    /// The service could not listen.
    #[error("cannot listen on {address}: {source}; take another address with --listen")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// A thread could not be started.
    #[error("a thread for the heartbeats could not be started: {0}")]
    Thread(#[source] std::io::Error),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] files::Error),
    /// Proving failed.
    #[error(transparent)]
    Project(#[from] project::Error),
    /// ezkl failed.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// An artefact is malformed or does not fit.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// The chain refuses.
    #[error(transparent)]
    Chain(Box<chain::Error>),
    /// The cache folder is not to be had.
    #[error(transparent)]
    Toolchain(#[from] toolchain::Error),
}

impl From<chain::Error> for Error {
    fn from(error: chain::Error) -> Self {
        Self::Chain(Box::new(error))
    }
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::File(inner) => inner.kind(),
            Self::Project(inner) => inner.kind(),
            Self::Engine(inner) => inner.kind(),
            Self::Artifact(inner) => inner.kind(),
            Self::Chain(inner) => inner.kind(),
            Self::Toolchain(inner) => inner.kind(),
            Self::DatabaseUrl { .. }
            | Self::BlobUrl { .. }
            | Self::NoJob(..)
            | Self::BadJobId(..)
            | Self::KeyUsed { .. }
            | Self::WrongState { .. }
            | Self::Held { .. }
            | Self::Quota { .. }
            | Self::NoToken(..)
            | Self::TokenExists(..)
            | Self::Listen { .. }
            | Self::Batches(..) => ErrorKind::BadInput,
            Self::BlobChanged { .. } | Self::Circuit { .. } => ErrorKind::Invalid,
            Self::Database { .. }
            | Self::NewerTables { .. }
            | Self::Blobs { .. }
            | Self::Lost(..)
            | Self::SubmitterLost
            | Self::Thread(..) => ErrorKind::Failure,
        }
    }

    /// Whether the same may go through a little later, with nothing changed by anybody: the database or the
    /// store is away.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Database { source, .. } => is_outage(source),
            Self::Blobs { source, .. } => !matches!(
                **source,
                object_store::Error::NotFound { .. } | object_store::Error::InvalidPath { .. }
            ),
            _ => false,
        }
    }
}

/// Whether an error of the database's is about the connection to it, or that it is starting or ending.
fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(inner) => {
            let code = inner.code().unwrap_or_default();
            // PostgreSQL: connections, resources, an operator's doing, a conflict; SQLite: busy, locked.
            code.starts_with("08")
                || code.starts_with("53")
                || code.starts_with("57P")
                || code.starts_with("40")
                || matches!(&*code, "5" | "6" | "261" | "262" | "517")
        }
        _ => false,
    }
}

fn unreachable(error: &sqlx::Error) -> &'static str {
    if is_outage(error) {
        "; start it, or correct its URL (--database, ZKVOUCH_DATABASE)"
    } else {
        ""
    }
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;
