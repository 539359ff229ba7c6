//! What clients see.

use crate::fleet::{
    job::{Job, State},
    store::Submission,
};
use alloy::primitives::B256;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Predictions that are asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Predictions {
    /// The inputs, each `{"input_data": [[…], …]}`: one flat row-major array for each of the model's inputs.
    #[schema(value_type = Vec<Object>, example = json!([{"input_data": [[0.5, -0.25, 1.0]]}]))]
    pub(super) inputs: Vec<Value>,
    /// Those of a higher priority go first; from -100 to 100.
    #[serde(default)]
    #[schema(minimum = -100, maximum = 100)]
    pub(super) priority: i32,
    /// Whether they are to be recorded on chain.
    #[serde(default)]
    pub(super) record: bool,
    /// The ledger's context to record them in: 32 bytes, hexadecimal.
    #[serde(default)]
    #[schema(value_type = String)]
    pub(super) context: B256,
}

/// A job.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobView {
    /// Its name.
    id: String,
    /// The client's key, if there is one.
    key: Option<String>,
    /// Where it stands: queued, running, proved, sending, recorded, done, dead, cancelled.
    state: String,
    /// What the worker is at: fetch, witness, prove, store.
    phase: Option<String>,
    /// The id of the model.
    model_id: String,
    /// How many predictions it is of.
    observations: u32,
    /// Those of a higher priority go first.
    priority: i32,
    /// Whether it is to be recorded on chain.
    record: bool,
    /// How often it was tried.
    attempts: u32,
    /// How often it may be.
    max_attempts: u32,
    /// Why it is dead, or what went wrong last.
    reason: Option<String>,
    /// SHA-256 of the proof, once there is one.
    proof: Option<String>,
    /// The ledger's id of the prediction, once it is known.
    prediction_id: Option<String>,
    /// When it was submitted, in milliseconds since 1970.
    created: i64,
    /// When it was proved.
    proved: Option<i64>,
    /// When it came to its end.
    ended: Option<i64>,
}

impl From<&Job> for JobView {
    fn from(job: &Job) -> Self {
        Self {
            id: job.id.to_string(),
            key: job.key.clone(),
            state: job.state.to_string(),
            phase: job.phase.clone().filter(|_| job.state == State::Running),
            model_id: job.model.to_string(),
            observations: job.observations,
            priority: job.priority,
            record: job.record,
            attempts: job.attempts,
            max_attempts: job.max_attempts,
            reason: job.reason.clone(),
            proof: job.proof.map(|hash| hash.to_string()),
            prediction_id: job.prediction.map(|id| id.to_string()),
            created: job.created,
            proved: job.proved,
            ended: job.ended,
        }
    }
}

/// Jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Jobs {
    /// The jobs.
    pub(super) jobs: Vec<JobView>,
}

/// The transaction that a prediction is recorded by.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReceiptView {
    /// sending, mined, final or failed.
    state: String,
    /// The chain.
    chain_id: u64,
    /// Who sends.
    account: String,
    /// How many predictions are in it.
    predictions: u64,
    /// The transaction, once it is mined.
    transaction: Option<String>,
    /// The number of its block.
    block: Option<u64>,
    /// That block's hash.
    block_hash: Option<String>,
    /// The root that several predictions are recorded under.
    root: Option<String>,
    /// The gas that it took.
    gas: Option<u64>,
    /// What was paid for it, in wei, decimal.
    cost_wei: Option<String>,
    /// Why it failed, or waits.
    reason: Option<String>,
}

impl From<&Submission> for ReceiptView {
    fn from(it: &Submission) -> Self {
        Self {
            state: it.state.to_string(),
            chain_id: it.chain_id,
            account: it.account.to_string(),
            predictions: it.jobs,
            transaction: it.hash.map(|hash| hash.to_string()),
            block: it.block,
            block_hash: it.block_hash.map(|hash| hash.to_string()),
            root: it.root.map(|root| root.to_string()),
            gas: it.gas,
            cost_wei: it.cost.map(|cost| cost.to_string()),
            reason: it.reason.clone(),
        }
    }
}

/// What the ledger's `isVerified` takes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PathView {
    /// The ledger's id of the prediction.
    pub(super) prediction_id: String,
    /// The root that it is recorded under; without one it is recorded by itself.
    pub(super) root: Option<String>,
    /// From its leaf up to the root.
    pub(super) path: Vec<String>,
}
