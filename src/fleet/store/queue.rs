//! Jobs in and out: what is submitted, taken, kept alive, finished and failed.

use super::{Error, Result, Store, changed, millis, rows};
use crate::fleet::job::{Job, JobId, Lease, NewJob, Phase};
use alloy::primitives::B256;
use serde::Serialize;
use std::time::Duration;

/// How often a job's memory is raised before it is given up.
const MAX_RAISES: i64 = 8;

/// A job that was submitted, and whether it is the same as an earlier one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Submitted {
    /// The job.
    pub job: Job,
    /// Whether the key was known and this is the job that has it.
    pub known: bool,
}

/// What came of an attempt that went well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The hash of the proof.
    pub proof: B256,
    /// CPU time of the proof.
    pub cpu: Duration,
}

/// What an attempt failed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No attempt will do better: bad input, a circuit that can't be used.
    Final(String),
    /// Another attempt may do better.
    Again(String),
    /// It got too little memory: another attempt, which does not count, where there is this much, in bytes.
    Memory(String, u64),
    /// The worker is told to end: another attempt, at once, which does not count.
    Given,
}

/// What a worker says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerCard {
    /// Its name, which no other has or had.
    pub name: String,
    /// The machine's.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// The memory that it has for a proof, in bytes.
    pub memory: u64,
}

impl Store {
    /// Puts a job into the queue, once for each key of an owner.
    ///
    /// # Errors
    /// [`Error::KeyUsed`] where the key was used for something else.
    pub async fn submit(&self, new: &NewJob) -> Result<Submitted> {
        let failed = self.failed("take a job");
        let id = JobId::random();
        let key = new.key.clone().unwrap_or_else(|| id.to_string());
        let insert = "INSERT INTO jobs (id, owner, key, has_key, circuit, model, input, observations, priority, \
                      record, context, memory, max_attempts, trace, state, attempts, raises, token, \
                      alone, lease_until, not_before, created) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'queued', 0, 0, 0, 0, \
                      0, 0, {now}) ON CONFLICT (owner, key) DO NOTHING RETURNING {job}";
        let row = sqlx::query(self.sql(insert))
            .bind(id.to_string())
            .bind(&new.owner)
            .bind(&key)
            .bind(i64::from(new.key.is_some()))
            .bind(new.circuit.to_string())
            .bind(new.model.to_string())
            .bind(new.input.to_string())
            .bind(i64::from(new.observations))
            .bind(i64::from(new.priority))
            .bind(i64::from(new.record))
            .bind(new.context.to_string())
            .bind(i64::try_from(new.memory).unwrap_or(i64::MAX))
            .bind(i64::from(new.max_attempts))
            .bind(&new.trace)
            .fetch_optional(&self.pool)
            .await
            .map_err(&failed)?;
        if let Some(row) = row {
            return Ok(Submitted { job: rows::job(&row).map_err(failed)?, known: false });
        }
        let row = sqlx::query(self.sql("SELECT {job} FROM jobs WHERE owner = $1 AND key = $2"))
            .bind(&new.owner)
            .bind(&key)
            .fetch_one(&self.pool)
            .await
            .map_err(&failed)?;
        let job = rows::job(&row).map_err(failed)?;
        let same = (job.circuit, job.input, job.record, job.context, job.observations)
            == (new.circuit, new.input, new.record, new.context, new.observations);
        if same {
            Ok(Submitted { job, known: true })
        } else {
            Err(Error::KeyUsed { key, job: job.id })
        }
    }

    /// Whether an owner has used a key.
    pub async fn has_key(&self, owner: &str, key: &str) -> Result<bool> {
        let row = sqlx::query("SELECT id FROM jobs WHERE owner = $1 AND key = $2")
            .bind(owner)
            .bind(key)
            .fetch_optional(&self.pool)
            .await;
        Ok(row.map_err(self.failed("look up a key"))?.is_some())
    }

    /// Takes the job that is next for a worker with this much memory: of the highest priority, of those first
    /// the `warm` circuit's, then the oldest.
    pub async fn claim(
        &self,
        worker: &str,
        memory: u64,
        warm: Option<B256>,
    ) -> Result<Option<Job>> {
        let failed = self.failed("hand out a job");
        // Both by an index, however many wait: an order by the circuit would sort them all.
        let one = |of: &str| {
            format!(
                "SELECT * FROM (SELECT id, priority, {of} AS cold FROM jobs WHERE state = 'queued' \
                 AND not_before <= {{now}} AND memory <= $3 {} ORDER BY priority DESC, id LIMIT 1 {{skip}}) AS it{of}",
                if of == "0" { "AND circuit = $4" } else { "" }
            )
        };
        let claim = format!(
            "UPDATE jobs SET state = 'running', phase = 'fetch', token = token + 1, attempts = attempts + 1, \
             worker = $1, lease_until = {{now}} + $2, started = coalesce(started, {{now}}) \
             WHERE id = (SELECT id FROM ({} UNION ALL {}) AS both_kinds ORDER BY priority DESC, cold, id LIMIT 1) \
             AND state = 'queued' RETURNING {{job}}",
            one("0"),
            one("1")
        );
        let row = sqlx::query(self.sql(&claim))
            .bind(worker)
            .bind(self.lease_ms())
            .bind(i64::try_from(memory).unwrap_or(i64::MAX))
            .bind(warm.map(|hash| hash.to_string()).unwrap_or_default())
            .fetch_optional(&self.pool)
            .await
            .map_err(&failed)?;
        row.map(|row| rows::job(&row)).transpose().map_err(failed)
    }

    /// Takes jobs back whose worker gave no sign of life for a lease: into the queue, or dead where that was the
    /// last attempt. How many.
    pub async fn reap(&self) -> Result<u64> {
        let reap = "UPDATE jobs SET state = CASE WHEN attempts >= max_attempts THEN 'dead' ELSE 'queued' END, \
                    ended = CASE WHEN attempts >= max_attempts THEN {now} ELSE ended END, \
                    not_before = {now} + $1 * (attempts * attempts), lease_until = 0, \
                    reason = 'the worker ' || coalesce(worker, '') || ' gave no sign of life in the phase ' || \
                    coalesce(phase, '') || ' of attempt ' || attempts || ' of ' || max_attempts \
                    WHERE state = 'running' AND lease_until < {now}";
        let done = sqlx::query(self.sql(reap))
            .bind(millis(self.options.backoff))
            .execute(&self.pool)
            .await
            .map_err(self.failed("take back jobs"))?;
        Ok(done.rows_affected())
    }

    /// Prolongs a lease; whether it was still one.
    pub async fn beat(&self, lease: Lease) -> Result<bool> {
        let beat = "UPDATE jobs SET lease_until = {now} + $3 WHERE id = $1 AND token = $2 AND state = 'running'";
        let done = sqlx::query(self.sql(beat))
            .bind(lease.job.to_string())
            .bind(lease.token)
            .bind(self.lease_ms())
            .execute(&self.pool)
            .await
            .map_err(self.failed("prolong a lease"))?;
        Ok(changed(&done))
    }

    /// Says what a worker is at.
    ///
    /// # Errors
    /// [`Error::Lost`] where the job is no longer its.
    pub async fn enter(&self, lease: Lease, phase: Phase) -> Result<()> {
        let enter = "UPDATE jobs SET phase = $3, lease_until = {now} + $4 \
                     WHERE id = $1 AND token = $2 AND state = 'running'";
        let done = sqlx::query(self.sql(enter))
            .bind(lease.job.to_string())
            .bind(lease.token)
            .bind(phase.name())
            .bind(self.lease_ms())
            .execute(&self.pool)
            .await
            .map_err(self.failed("note a job's phase"))?;
        if changed(&done) { Ok(()) } else { Err(Error::Lost(lease.job)) }
    }

    /// Hands in a proof. To hand in the same again is no error: an answer may have been lost.
    ///
    /// # Errors
    /// [`Error::Lost`] where the job is no longer this lease's.
    pub async fn finish(&self, lease: Lease, attempt: &Attempt) -> Result<()> {
        let finish = "UPDATE jobs SET state = CASE WHEN record = 1 THEN 'proved' ELSE 'done' END, \
                      proof = $3, cpu_ms = $4, proved = {now}, reason = NULL, lease_until = 0, \
                      ended = CASE WHEN record = 1 THEN NULL ELSE {now} END \
                      WHERE id = $1 AND token = $2 AND state = 'running'";
        let done = sqlx::query(self.sql(finish))
            .bind(lease.job.to_string())
            .bind(lease.token)
            .bind(attempt.proof.to_string())
            .bind(millis(attempt.cpu))
            .execute(&self.pool)
            .await
            .map_err(self.failed("take in a proof"))?;
        if changed(&done) {
            return Ok(());
        }
        let job = self.job(lease.job).await?;
        let again = job.lease() == lease && job.proof == Some(attempt.proof);
        if again { Ok(()) } else { Err(Error::Lost(lease.job)) }
    }

    /// Says that an attempt failed.
    ///
    /// # Errors
    /// [`Error::Lost`] where the job is no longer this lease's.
    pub async fn fail(&self, lease: Lease, failure: &Failure) -> Result<()> {
        let (reason, memory, counts, ends) = match failure {
            Failure::Final(reason) => (Some(reason), 0, 1, 1),
            Failure::Again(reason) => (Some(reason), 0, 1, 0),
            Failure::Memory(reason, memory) => (Some(reason), *memory, 0, 0),
            Failure::Given => (None, 0, 0, 0),
        };
        let memory = i64::try_from(memory).unwrap_or(i64::MAX);
        // `$5`: whether the attempt counts; `$6`: whether it was the last. A raise counts by itself.
        let over = "($6 = 1 OR ($5 = 1 AND attempts >= max_attempts) OR ($4 > 0 AND raises >= $8))";
        let fail = format!(
            "UPDATE jobs SET state = CASE WHEN {over} THEN 'dead' ELSE 'queued' END, \
             ended = CASE WHEN {over} THEN {{now}} ELSE NULL END, reason = coalesce($3, reason), \
             raises = raises + CASE WHEN $4 > 0 THEN 1 ELSE 0 END, \
             memory = CASE WHEN $4 > memory THEN $4 ELSE memory END, \
             not_before = {{now}} + $5 * $7 * (attempts * attempts), \
             attempts = attempts - (1 - $5), lease_until = 0 \
             WHERE id = $1 AND token = $2 AND state = 'running'"
        );
        let done = sqlx::query(self.sql(&fail))
            .bind(lease.job.to_string())
            .bind(lease.token)
            .bind(reason)
            .bind(memory)
            .bind(counts as i64)
            .bind(ends as i64)
            .bind(millis(self.options.backoff))
            .bind(MAX_RAISES)
            .execute(&self.pool)
            .await
            .map_err(self.failed("note a failure"))?;
        if changed(&done) { Ok(()) } else { Err(Error::Lost(lease.job)) }
    }

    /// Puts a dead or cancelled job back, as new; one that was proved keeps its proof.
    ///
    /// # Errors
    /// It is neither dead nor cancelled.
    pub async fn retry(&self, id: JobId) -> Result<Job> {
        let retry = "UPDATE jobs SET state = CASE WHEN proof IS NULL THEN 'queued' ELSE 'proved' END, \
                     attempts = 0, raises = 0, not_before = 0, ended = NULL, submission = NULL \
                     WHERE id = $1 AND state IN ('dead', 'cancelled') RETURNING {job}";
        self.put(id, retry, "only what is dead or cancelled can be tried again").await
    }

    /// Cancels a job that is not in a transaction yet.
    ///
    /// # Errors
    /// It has ended, or a transaction for it may be on its way.
    pub async fn cancel(&self, id: JobId) -> Result<Job> {
        let cancel = "UPDATE jobs SET state = 'cancelled', ended = {now}, lease_until = 0 \
                      WHERE id = $1 AND state IN ('queued', 'running', 'proved') RETURNING {job}";
        self.put(id, cancel, "only what waits, runs or is proved can be cancelled").await
    }

    async fn put(&self, id: JobId, sql: &str, wanted: &'static str) -> Result<Job> {
        let failed = self.failed("change a job");
        let row = sqlx::query(self.sql(sql)).bind(id.to_string()).fetch_optional(&self.pool);
        if let Some(row) = row.await.map_err(&failed)? {
            return rows::job(&row).map_err(failed);
        }
        let job = self.job(id).await?;
        Err(Error::WrongState { job: id, state: job.state, wanted })
    }

    /// Says that a worker lives.
    pub async fn present(&self, card: &WorkerCard) -> Result<()> {
        let present = "INSERT INTO workers (name, host, pid, version, memory, started, seen) \
                       VALUES ($1, $2, $3, $4, $5, {now}, {now}) \
                       ON CONFLICT (name) DO UPDATE SET seen = {now}";
        sqlx::query(self.sql(present))
            .bind(&card.name)
            .bind(&card.host)
            .bind(i64::from(card.pid))
            .bind(env!("CARGO_PKG_VERSION"))
            .bind(i64::try_from(card.memory).unwrap_or(i64::MAX))
            .execute(&self.pool)
            .await
            .map_err(self.failed("note a worker"))?;
        Ok(())
    }

    /// Says that a worker ended, and forgets those that were not seen for a day.
    pub async fn leave(&self, name: &str) -> Result<()> {
        sqlx::query(self.sql("DELETE FROM workers WHERE name = $1 OR seen < {now} - 86400000"))
            .bind(name)
            .execute(&self.pool)
            .await
            .map_err(self.failed("note a worker's end"))?;
        Ok(())
    }
}
