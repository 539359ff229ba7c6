//! What the queue has to say.

use super::{Error, Result, Store, rows, submission::Submission};
use crate::fleet::job::{Job, JobId, State};
use serde::Serialize;
use std::collections::BTreeMap;

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those in this state alone.
    pub state: Option<State>,
    /// Those of this owner alone.
    pub owner: Option<String>,
    /// Those that are older than this one.
    pub before: Option<JobId>,
    /// At most so many.
    pub limit: u32,
}

/// How many jobs there are in each state.
pub type Counts = BTreeMap<State, u64>;

/// A worker as the queue knows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorkerRow {
    /// Its name.
    pub name: String,
    /// The machine's.
    pub host: String,
    /// The version of zkvouch that it is.
    pub version: String,
    /// The memory that it has for a proof, in bytes.
    pub memory: u64,
    /// When it was seen last, in milliseconds ago.
    pub seen_ms_ago: u64,
    /// The job that it has.
    pub job: Option<JobId>,
    /// What it is at.
    pub phase: Option<String>,
}

/// The queue at a glance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Overview {
    /// Jobs in each state.
    pub jobs: Counts,
    /// Attempts that all jobs took together.
    pub attempts: u64,
    /// Predictions of jobs that are done.
    pub predictions: u64,
    /// The mean CPU time of a proof, in milliseconds.
    pub cpu_ms: Option<u64>,
    /// How long the oldest that waits has waited, in milliseconds.
    pub oldest_ms: Option<u64>,
    /// The workers that were seen within the last two leases.
    pub workers: Vec<WorkerRow>,
    /// Gas of all that was recorded.
    pub gas: u64,
    /// Predictions that were recorded for it.
    pub recorded: u64,
}

impl Store {
    /// A job.
    ///
    /// # Errors
    /// [`Error::NoJob`] where there is none of that name.
    pub async fn job(&self, id: JobId) -> Result<Job> {
        let failed = self.failed("look up a job");
        let row = sqlx::query(self.sql("SELECT {job} FROM jobs WHERE id = $1"))
            .bind(id.to_string())
            .fetch_optional(&self.pool)
            .await
            .map_err(&failed)?;
        rows::job(&row.ok_or(Error::NoJob(id))?).map_err(failed)
    }

    /// Jobs, the newest first.
    pub async fn jobs(&self, filter: &Filter) -> Result<Vec<Job>> {
        let failed = self.failed("list jobs");
        let list = "SELECT {job} FROM jobs WHERE ($1 = '' OR state = $1) AND ($2 = 0 OR owner = $3) \
                    AND ($4 = '' OR id < $4) ORDER BY id DESC LIMIT $5";
        let listed = sqlx::query(self.sql(list))
            .bind(filter.state.map(State::name).unwrap_or_default())
            .bind(i64::from(filter.owner.is_some()))
            .bind(filter.owner.as_deref().unwrap_or_default())
            .bind(filter.before.map(|id| id.to_string()).unwrap_or_default())
            .bind(i64::from(filter.limit))
            .fetch_all(&self.pool)
            .await
            .map_err(&failed)?;
        listed.iter().map(rows::job).collect::<Result<_, _>>().map_err(failed)
    }

    /// The database's time, in milliseconds since 1970.
    pub async fn now(&self) -> Result<i64> {
        let row = sqlx::query(self.sql("SELECT {now} AS now")).fetch_one(&self.pool).await;
        row.and_then(|row| rows::get(&row, "now")).map_err(self.failed("tell the time"))
    }

    /// How many jobs there are in each state; states without any are left out.
    pub async fn counts(&self) -> Result<Counts> {
        let failed = self.failed("count jobs");
        let count = "SELECT state, CAST(count(*) AS BIGINT) AS jobs FROM jobs GROUP BY state";
        let counted = sqlx::query(count).fetch_all(&self.pool).await.map_err(&failed)?;
        let pair = |row| Ok((rows::parsed(row, "state")?, rows::count(row, "jobs")?));
        counted.iter().map(pair).collect::<Result<_, sqlx::Error>>().map_err(failed)
    }

    /// Jobs of an owner in the last 24 hours.
    pub async fn used(&self, owner: &str) -> Result<u64> {
        let failed = self.failed("count an owner's jobs");
        let count = "SELECT CAST(coalesce(sum(observations), 0) AS BIGINT) AS used FROM jobs \
                     WHERE owner = $1 AND created > {now} - 86400000";
        let row = sqlx::query(self.sql(count)).bind(owner).fetch_one(&self.pool).await;
        row.and_then(|row| rows::count(&row, "used")).map_err(failed)
    }

    /// The queue at a glance.
    pub async fn overview(&self) -> Result<Overview> {
        let failed = self.failed("sum up the queue");
        let sums = "SELECT CAST(coalesce(sum(attempts), 0) AS BIGINT) AS attempts, \
                    CAST(coalesce(sum(CASE WHEN state = 'done' THEN observations ELSE 0 END), 0) AS BIGINT) \
                    AS predictions, CAST(avg(cpu_ms) AS BIGINT) AS cpu_ms, \
                    CAST({now} - min(CASE WHEN state = 'queued' THEN created END) AS BIGINT) AS oldest \
                    FROM jobs";
        let sums = sqlx::query(self.sql(sums)).fetch_one(&self.pool).await.map_err(&failed)?;
        let list = "SELECT w.name, w.host, w.version, w.memory, {now} - w.seen AS ago, j.id AS job, j.phase \
                    FROM workers w LEFT JOIN jobs j ON j.worker = w.name AND j.state = 'running' \
                    WHERE w.seen > {now} - 2 * $1 ORDER BY w.name";
        let workers = sqlx::query(self.sql(list)).bind(self.lease_ms()).fetch_all(&self.pool);
        let workers = workers.await.map_err(&failed)?;
        let spent = "SELECT CAST(coalesce(sum(gas), 0) AS BIGINT) AS gas, \
                     CAST(coalesce(sum(jobs), 0) AS BIGINT) AS jobs FROM submissions WHERE gas IS NOT NULL";
        let spent = sqlx::query(spent).fetch_one(&self.pool).await.map_err(&failed)?;
        let worker = |row| {
            Ok(WorkerRow {
                name: rows::get(row, "name")?,
                host: rows::get(row, "host")?,
                version: rows::get(row, "version")?,
                memory: rows::count(row, "memory")?,
                seen_ms_ago: rows::count(row, "ago").unwrap_or_default(),
                job: rows::maybe(row, "job")?,
                phase: rows::get(row, "phase")?,
            })
        };
        let sum_up = || {
            Ok::<_, sqlx::Error>(Overview {
                jobs: Counts::new(),
                attempts: rows::count(&sums, "attempts")?,
                predictions: rows::count(&sums, "predictions")?,
                cpu_ms: rows::maybe_count(&sums, "cpu_ms")?,
                oldest_ms: rows::maybe_count(&sums, "oldest")?,
                workers: workers.iter().map(worker).collect::<Result<_, sqlx::Error>>()?,
                gas: rows::count(&spent, "gas")?,
                recorded: rows::count(&spent, "jobs")?,
            })
        };
        Ok(Overview { jobs: self.counts().await?, ..sum_up().map_err(failed)? })
    }

    /// The newest submissions.
    pub async fn submissions(&self, limit: u32) -> Result<Vec<Submission>> {
        let failed = self.failed("list submissions");
        let list = "SELECT {submission} FROM submissions ORDER BY created DESC, id LIMIT $1";
        let listed = sqlx::query(self.sql(list)).bind(i64::from(limit)).fetch_all(&self.pool);
        let listed = listed.await.map_err(&failed)?;
        listed.iter().map(rows::submission).collect::<Result<_, _>>().map_err(failed)
    }
}
