//! A transaction that records predictions of several jobs.

use crate::{fleet::job::JobId, model::identity::ModelId};
use alloy::primitives::{Address, B256, TxHash, U256};
use serde::Serialize;
use std::{fmt, str::FromStr};

/// What became of a transaction for several jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubmissionState {
    /// About to be handed over, or handed over.
    Sending,
    /// Mined.
    Mined,
    /// Mined so long ago that it stays.
    Final,
    /// Not mined, or in a block that a reorganisation undid.
    Failed,
}

impl SubmissionState {
    const ALL: [Self; 4] = [Self::Sending, Self::Mined, Self::Final, Self::Failed];

    /// As the database has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Mined => "mined",
            Self::Final => "final",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for SubmissionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for SubmissionState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|state| state.name() == text);
        found.ok_or_else(|| format!("{text:?} is no state of a submission"))
    }
}

/// A transaction that records predictions of several jobs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Submission {
    /// Its name.
    pub id: String,
    /// The chain.
    pub chain_id: u64,
    /// Who sends.
    pub account: Address,
    /// The model.
    pub model: ModelId,
    /// How many jobs are in it.
    pub jobs: u64,
    /// What became of it.
    pub state: SubmissionState,
    /// The transaction that was mined.
    pub hash: Option<TxHash>,
    /// The number of its block.
    pub block: Option<u64>,
    /// That block's hash.
    pub block_hash: Option<B256>,
    /// The root that several predictions are recorded under.
    pub root: Option<B256>,
    /// The gas that it took.
    pub gas: Option<u64>,
    /// What was paid for it, in wei.
    pub cost: Option<U256>,
    /// Why it failed, or waits.
    pub reason: Option<String>,
    /// When it was put together, in milliseconds since 1970.
    pub created: i64,
    /// When it failed or became final.
    pub ended: Option<i64>,
}

/// What the chain said of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSubmission {
    /// The transaction.
    pub hash: TxHash,
    /// The number of its block.
    pub block: u64,
    /// That block's hash.
    pub block_hash: B256,
    /// The root of several predictions.
    pub root: Option<B256>,
    /// Gas taken.
    pub gas: u64,
    /// What was paid, in wei.
    pub cost: U256,
    /// The ledger's id of each job's prediction.
    pub predictions: Vec<(JobId, B256)>,
}
