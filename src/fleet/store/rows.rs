//! Rows as the nouns that they are.

use super::submission::{Submission, SubmissionState};
use crate::{
    fleet::job::{Job, State},
    model::identity::ModelId,
};
use alloy::primitives::{Address, B256, U256};
use sqlx::{Decode, Error, Row, Type, any::AnyRow};
use std::{fmt::Display, str::FromStr};

/// The columns of a job.
pub(super) const JOB: &str = "id, owner, key, has_key, circuit, model, input, observations, priority, record, \
                              context, memory, state, phase, attempts, max_attempts, token, worker, proof, \
                              prediction, submission, reason, created, started, proved, ended, cpu_ms, trace";

/// The columns of a submission.
pub(super) const SUBMISSION: &str = "id, chain_id, account, model, jobs, state, hash, block, block_hash, root, gas, cost, reason, created, ended";

/// A column as it is.
pub(super) fn get<'r, T: Decode<'r, sqlx::Any> + Type<sqlx::Any>>(
    row: &'r AnyRow,
    name: &str,
) -> Result<T, Error> {
    row.try_get(name)
}

/// A number that is never negative.
pub(super) fn count<T: TryFrom<i64>>(row: &AnyRow, name: &str) -> Result<T, Error> {
    T::try_from(get::<i64>(row, name)?).map_err(|_| bad(name, "a number out of its range"))
}

/// The same where there may be none.
pub(super) fn maybe_count<T: TryFrom<i64>>(row: &AnyRow, name: &str) -> Result<Option<T>, Error> {
    let number: Option<i64> = get(row, name)?;
    let number = number.map(T::try_from).transpose();
    number.map_err(|_| bad(name, "a number out of its range"))
}

/// Text that stands for something.
pub(super) fn parsed<T: FromStr<Err: Display>>(row: &AnyRow, name: &str) -> Result<T, Error> {
    let text: String = get(row, name)?;
    text.parse().map_err(|error: T::Err| bad(name, error))
}

/// The same where there may be none.
pub(super) fn maybe<T: FromStr<Err: Display>>(
    row: &AnyRow,
    name: &str,
) -> Result<Option<T>, Error> {
    let text: Option<String> = get(row, name)?;
    let value = text.map(|text| text.parse()).transpose();
    value.map_err(|error: T::Err| bad(name, error))
}

fn bad(name: &str, message: impl Display) -> Error {
    Error::ColumnDecode { index: name.to_owned(), source: message.to_string().into() }
}

pub(super) fn job(row: &AnyRow) -> Result<Job, Error> {
    let has_key = get::<i64>(row, "has_key")? != 0;
    Ok(Job {
        id: parsed(row, "id")?,
        owner: get(row, "owner")?,
        key: if has_key { Some(get(row, "key")?) } else { None },
        circuit: parsed::<B256>(row, "circuit")?,
        model: ModelId(parsed(row, "model")?),
        input: parsed(row, "input")?,
        observations: count(row, "observations")?,
        priority: count(row, "priority")?,
        record: get::<i64>(row, "record")? != 0,
        context: parsed(row, "context")?,
        memory: count(row, "memory")?,
        state: parsed::<State>(row, "state")?,
        phase: get(row, "phase")?,
        attempts: count(row, "attempts")?,
        max_attempts: count(row, "max_attempts")?,
        token: get(row, "token")?,
        worker: get(row, "worker")?,
        proof: maybe(row, "proof")?,
        prediction: maybe(row, "prediction")?,
        submission: get(row, "submission")?,
        reason: get(row, "reason")?,
        created: get(row, "created")?,
        started: get(row, "started")?,
        proved: get(row, "proved")?,
        ended: get(row, "ended")?,
        cpu_ms: maybe_count(row, "cpu_ms")?,
        trace: get(row, "trace")?,
    })
}

pub(super) fn submission(row: &AnyRow) -> Result<Submission, Error> {
    Ok(Submission {
        id: get(row, "id")?,
        chain_id: count(row, "chain_id")?,
        account: parsed::<Address>(row, "account")?,
        model: ModelId(parsed(row, "model")?),
        jobs: count(row, "jobs")?,
        state: parsed::<SubmissionState>(row, "state")?,
        hash: maybe(row, "hash")?,
        block: maybe_count(row, "block")?,
        block_hash: maybe(row, "block_hash")?,
        root: maybe(row, "root")?,
        gas: maybe_count(row, "gas")?,
        cost: maybe::<U256>(row, "cost")?,
        reason: get(row, "reason")?,
        created: get(row, "created")?,
        ended: get(row, "ended")?,
    })
}
