//! The nouns: a job, its states, a worker's claim to it.

use crate::model::identity::ModelId;
use alloy::primitives::{B256, hex};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};

/// A job's name: 16 bytes, the first six the time of its making in milliseconds, so that they sort by age; 32
/// hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId([u8; 16]);

impl JobId {
    /// A new one.
    pub fn random() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut bytes = [0; 16];
        rand::thread_rng().fill_bytes(&mut bytes);
        bytes[..6].copy_from_slice(&(since.as_millis() as u64).to_be_bytes()[2..]);
        Self(bytes)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A name of a job that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no job's id, which has 32 hexadecimal digits")]
pub struct BadJobId(String);

impl FromStr for JobId {
    type Err = BadJobId;

    fn from_str(text: &str) -> Result<Self, BadJobId> {
        let bytes = (text.len() == 32).then(|| hex::decode(text).ok()).flatten();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| BadJobId(text.to_owned()))
    }
}

impl Serialize for JobId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Waits for a worker.
    Queued,
    /// A worker has it.
    Running,
    /// Proved; waits for the submitter.
    Proved,
    /// In a transaction that was, or is about to be, handed over.
    Sending,
    /// Recorded on chain, in a block that is not final yet.
    Recorded,
    /// All that was asked for is done.
    Done,
    /// Given up, with a reason.
    Dead,
    /// Somebody wanted it no longer.
    Cancelled,
}

impl State {
    /// All, in the order in which a job comes through them.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Running,
        Self::Proved,
        Self::Sending,
        Self::Recorded,
        Self::Done,
        Self::Dead,
        Self::Cancelled,
    ];

    /// As the database and the command have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Proved => "proved",
            Self::Sending => "sending",
            Self::Recorded => "recorded",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more happens by itself.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Dead | Self::Cancelled)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|state| state.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("{text:?} is no state of a job; there are {names}")
        })
    }
}

/// What a worker is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Fetching the circuit and the input.
    Fetch,
    /// Running the circuit.
    Witness,
    /// Proving.
    Prove,
    /// Storing the proof.
    Store,
}

impl Phase {
    /// As the database has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Witness => "witness",
            Self::Prove => "prove",
            Self::Store => "store",
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// The client's key: a second job of the owner with the same key is the first one.
    pub key: Option<String>,
    /// Whose it is: a token's name, or empty for whoever has the database.
    pub owner: String,
    /// The hash of the circuit's manifest.
    pub circuit: B256,
    /// The id of the model.
    pub model: ModelId,
    /// The hash of the input, as ezkl reads it.
    pub input: B256,
    /// How many predictions the input is of.
    pub observations: u32,
    /// Those of a higher one go first.
    pub priority: i32,
    /// Whether the prediction is to be recorded on chain.
    pub record: bool,
    /// The ledger's context to record it in.
    pub context: B256,
    /// The memory that proving is expected to take, in bytes; 0 where nobody knows.
    pub memory: u64,
    /// How often it may be tried.
    pub max_attempts: u32,
    /// The trace that it belongs to: W3C's `traceparent`.
    pub trace: Option<String>,
}

/// A job as the queue has it. Times are milliseconds since 1970 by the database's clock.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// Whose it is.
    pub owner: String,
    /// The client's key, if there is one.
    pub key: Option<String>,
    /// The hash of the circuit's manifest.
    pub circuit: B256,
    /// The id of the model.
    pub model: ModelId,
    /// The hash of the input.
    pub input: B256,
    /// How many predictions the input is of.
    pub observations: u32,
    /// Those of a higher one go first.
    pub priority: i32,
    /// Whether the prediction is to be recorded on chain.
    pub record: bool,
    /// The ledger's context.
    pub context: B256,
    /// The memory that it is expected to take, in bytes.
    pub memory: u64,
    /// Where it stands.
    pub state: State,
    /// What the worker is at, or was at last.
    pub phase: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// How often it may be.
    pub max_attempts: u32,
    /// The number of its last lease: each that was given has another.
    #[serde(skip)]
    pub token: i64,
    /// Who has it, or had it last.
    pub worker: Option<String>,
    /// The hash of the proof.
    pub proof: Option<B256>,
    /// The ledger's id of the prediction.
    pub prediction: Option<B256>,
    /// The submission that it is in.
    #[serde(skip)]
    pub submission: Option<String>,
    /// Why it is dead, or what went wrong last.
    pub reason: Option<String>,
    /// When it was submitted.
    pub created: i64,
    /// When it was tried first.
    pub started: Option<i64>,
    /// When it was proved.
    pub proved: Option<i64>,
    /// When it came to its end.
    pub ended: Option<i64>,
    /// CPU time of the proof, in milliseconds.
    pub cpu_ms: Option<u64>,
    /// The trace that it belongs to.
    pub trace: Option<String>,
}

/// A worker's right to a job, until its lease ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// Its number: what a worker says counts only with the newest.
    pub token: i64,
}

impl Job {
    /// The lease that it was last given.
    pub fn lease(&self) -> Lease {
        Lease { job: self.id, token: self.token }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_sort_by_age() {
        let first = JobId::random();
        std::thread::sleep(std::time::Duration::from_millis(3));
        assert!(first < JobId::random());
    }

    proptest! {
        #[test]
        fn ids_are_read_as_they_are_written(bytes: [u8; 16], text in ".{0,40}") {
            let id = JobId(bytes);
            prop_assert_eq!(id.to_string().parse::<JobId>().expect("its own text"), id);
            if let Ok(read) = text.parse::<JobId>() {
                prop_assert_eq!(read.to_string(), text.to_lowercase());
            }
        }
    }

    #[test]
    fn states_are_read_as_they_are_written() {
        for state in State::ALL {
            assert_eq!(state.name().parse(), Ok(state));
        }
        assert!("asleep".parse::<State>().expect_err("none").contains("queued, running"));
    }
}
