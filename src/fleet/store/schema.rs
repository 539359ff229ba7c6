//! The tables, and how they come to be.

use super::{Dialect, Error, Result, Store};
use sqlx::Row;

/// The statements that lead from one version of the tables to the next. What is here is never changed: others
/// have run it. Types and words are those that SQLite and PostgreSQL share.
const VERSIONS: &[&[&str]] = &[&[
    "CREATE TABLE jobs (
        id TEXT PRIMARY KEY,
        owner TEXT NOT NULL,
        key TEXT NOT NULL,
        has_key BIGINT NOT NULL,
        circuit TEXT NOT NULL,
        model TEXT NOT NULL,
        input TEXT NOT NULL,
        observations BIGINT NOT NULL,
        priority BIGINT NOT NULL,
        record BIGINT NOT NULL,
        context TEXT NOT NULL,
        memory BIGINT NOT NULL,
        state TEXT NOT NULL,
        phase TEXT,
        attempts BIGINT NOT NULL,
        max_attempts BIGINT NOT NULL,
        raises BIGINT NOT NULL,
        token BIGINT NOT NULL,
        worker TEXT,
        lease_until BIGINT NOT NULL,
        not_before BIGINT NOT NULL,
        proof TEXT,
        prediction TEXT,
        submission TEXT,
        alone BIGINT NOT NULL,
        reason TEXT,
        created BIGINT NOT NULL,
        started BIGINT,
        proved BIGINT,
        ended BIGINT,
        cpu_ms BIGINT,
        trace TEXT,
        UNIQUE (owner, key)
    )",
    // What waits, in the order in which it is taken; what has ended is in neither.
    "CREATE INDEX jobs_waiting ON jobs (priority DESC, id) WHERE state = 'queued'",
    "CREATE INDEX jobs_warm ON jobs (circuit, priority DESC, id) WHERE state = 'queued'",
    "CREATE INDEX jobs_leased ON jobs (lease_until) WHERE state = 'running'",
    "CREATE INDEX jobs_state ON jobs (state, id)",
    "CREATE INDEX jobs_submission ON jobs (submission)",
    "CREATE INDEX jobs_owner ON jobs (owner, created)",
    "CREATE TABLE workers (
        name TEXT PRIMARY KEY,
        host TEXT NOT NULL,
        pid BIGINT NOT NULL,
        version TEXT NOT NULL,
        memory BIGINT NOT NULL,
        started BIGINT NOT NULL,
        seen BIGINT NOT NULL
    )",
    "CREATE TABLE signers (
        chain_id BIGINT NOT NULL,
        account TEXT NOT NULL,
        holder TEXT NOT NULL,
        token BIGINT NOT NULL,
        lease_until BIGINT NOT NULL,
        journal TEXT,
        PRIMARY KEY (chain_id, account)
    )",
    "CREATE TABLE submissions (
        id TEXT PRIMARY KEY,
        chain_id BIGINT NOT NULL,
        account TEXT NOT NULL,
        model TEXT NOT NULL,
        jobs BIGINT NOT NULL,
        state TEXT NOT NULL,
        hash TEXT,
        block BIGINT,
        block_hash TEXT,
        root TEXT,
        gas BIGINT,
        cost TEXT,
        reason TEXT,
        created BIGINT NOT NULL,
        ended BIGINT
    )",
    "CREATE INDEX submissions_state ON submissions (chain_id, account, state)",
    "CREATE TABLE tokens (
        name TEXT PRIMARY KEY,
        hash TEXT NOT NULL UNIQUE,
        quota BIGINT,
        operator BIGINT NOT NULL,
        created BIGINT NOT NULL,
        revoked BIGINT
    )",
]];

impl Store {
    /// Makes the tables, or brings them to this version. Several may try at once.
    pub(super) async fn set_up(&self) -> Result<()> {
        let failed = self.failed("make the queue's tables");
        let begin = match self.dialect {
            Dialect::Sqlite => "BEGIN IMMEDIATE",
            Dialect::Postgres => "BEGIN",
        };
        let mut transaction = self.pool.begin_with(begin).await.map_err(&failed)?;
        let connection = &mut *transaction;
        if self.dialect == Dialect::Postgres {
            // One at a time; given back with the transaction. The number is zkvouch's own.
            sqlx::query("SELECT pg_advisory_xact_lock(8312747165498)")
                .execute(&mut *connection)
                .await
                .map_err(&failed)?;
        }
        let table = "CREATE TABLE IF NOT EXISTS fleet_version (version BIGINT NOT NULL)";
        sqlx::query(table).execute(&mut *connection).await.map_err(&failed)?;
        let found = sqlx::query("SELECT max(version) AS version FROM fleet_version")
            .fetch_one(&mut *connection)
            .await
            .and_then(|row| row.try_get::<Option<i64>, _>("version"))
            .map_err(&failed)?
            .unwrap_or_default();
        let known = VERSIONS.len() as i64;
        if found > known {
            return Err(Error::NewerTables { found, known });
        }
        for (number, statements) in VERSIONS.iter().enumerate().skip(found as usize) {
            for statement in *statements {
                sqlx::query(*statement).execute(&mut *connection).await.map_err(&failed)?;
            }
            sqlx::query("INSERT INTO fleet_version (version) VALUES ($1)")
                .bind(number as i64 + 1)
                .execute(&mut *connection)
                .await
                .map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)
    }
}
