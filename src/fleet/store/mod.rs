//! The queue's tables, in SQLite or PostgreSQL, by the same statements.
//!
//! Time is the database's own: no worker's clock counts. Every lease has a number, and what a worker says of a
//! job counts only while that is the newest (`WHERE id = … AND token = …`), so that a worker which was frozen
//! past its lease can't undo what another one did.
//!
//! Why not apalis 1.0: by its own statements a job whose worker dies is handed out again for ever (`reenqueue_orphaned`
//! and `fetch_next` don't look at `max_attempts`), a second worker locks what is queued for the first (`lock.sql` has no
//! owner), an acknowledgement carries no attempt, so that a late failure of the first attempt is taken for the
//! second's, and a worker can't ask for jobs that fit its memory. Here all of that is one `WHERE`.

mod chain;
mod queue;
mod read;
mod rows;
mod schema;
mod submission;
mod tokens;

pub use chain::Held;
pub use queue::{Attempt, Failure, Submitted, WorkerCard};
pub use read::{Counts, Filter, Overview, WorkerRow};
pub use submission::{NewSubmission, Submission, SubmissionState};
pub use tokens::{NewToken, Token};

use super::{Error, Result};
use sqlx::{
    AnyPool, AssertSqlSafe, Executor,
    any::{AnyPoolOptions, AnyQueryResult},
};
use std::{path::Path, sync::Once, time::Duration};

/// What a URL of a database begins with.
const SQLITE: &str = "sqlite:";
const POSTGRES: [&str; 2] = ["postgres:", "postgresql:"];

/// How a queue hands out jobs.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// Connections at most.
    pub connections: u32,
    /// How long a worker keeps a job without a sign of life.
    pub lease: Duration,
    /// How long a job waits after its first failure; after its n-th, n² times as long.
    pub backoff: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { connections: 4, lease: Duration::from_secs(60), backoff: Duration::from_secs(5) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// The database's clock, in milliseconds since 1970.
    fn now(self) -> &'static str {
        match self {
            Self::Sqlite => "CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER)",
            Self::Postgres => "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
        }
    }

    /// What lets several take rows at once without waiting for each other. SQLite has one writer at a time.
    fn skip(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "FOR UPDATE SKIP LOCKED",
        }
    }
}

/// The queue. Cheap to clone; clones share the connections.
#[derive(Clone, Debug)]
pub struct Store {
    pool: AnyPool,
    dialect: Dialect,
    name: String,
    options: StoreOptions,
}

impl Store {
    /// Opens the queue at `url` (`sqlite:PATH`, `postgres://USER@HOST/DATABASE`), and makes its tables unless
    /// they are there.
    ///
    /// # Errors
    /// A URL of something else, a database that is not to be had, tables of a newer zkvouch.
    pub async fn open(url: &str, options: StoreOptions) -> Result<Self> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        let name = without_password(url);
        let bad = |message: String| Error::DatabaseUrl { url: without_password(url), message };
        let (dialect, url) = if let Some(path) = url.strip_prefix(SQLITE) {
            let path = path.trim_start_matches("//");
            let file = path.split('?').next().unwrap_or_default();
            if file.is_empty() || file == ":memory:" {
                return Err(bad("a queue has to be in a file, for other processes".to_owned()));
            }
            if let Some(folder) = Path::new(file).parent().filter(|it| !it.as_os_str().is_empty()) {
                crate::files::create_dir_all(folder)?;
            }
            (Dialect::Sqlite, format!("{SQLITE}{file}?mode=rwc"))
        } else if POSTGRES.iter().any(|scheme| url.starts_with(scheme)) {
            (Dialect::Postgres, url.to_owned())
        } else {
            return Err(bad("not a database that a queue can be in".to_owned()));
        };
        let pool = AnyPoolOptions::new()
            .max_connections(options.connections)
            .acquire_timeout(Duration::from_secs(10))
            .idle_timeout(Duration::from_secs(60))
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if dialect == Dialect::Sqlite {
                        // A reader never waits for a writer; a writer waits for another; what is committed
                        // outlives a loss of power.
                        let pragmas = "PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 20000; \
                                       PRAGMA synchronous = FULL;";
                        connection.execute(pragmas).await?;
                    }
                    Ok(())
                })
            })
            .connect_lazy(&url)
            .map_err(|error| bad(error.to_string()))?;
        let store = Self { pool, dialect, name, options };
        store.set_up().await?;
        Ok(store)
    }

    /// Where it is, without a password.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it hands out jobs.
    pub fn options(&self) -> &StoreOptions {
        &self.options
    }

    /// Whether several machines can share it.
    pub fn is_shared(&self) -> bool {
        self.dialect == Dialect::Postgres
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// Where it doesn't.
    pub async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(&self.pool).await.map_err(self.failed("answer"))?;
        Ok(())
    }

    /// Ends the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// A statement in this database's words: `{now}` is its clock, `{skip}` what passes over locked rows.
    fn sql(&self, text: &str) -> AssertSqlSafe<String> {
        // Only constants of this module come here; values are bound.
        AssertSqlSafe(
            text.replace("{now}", self.dialect.now())
                .replace("{skip}", self.dialect.skip())
                .replace("{job}", rows::JOB)
                .replace("{submission}", rows::SUBMISSION),
        )
    }

    fn failed(&self, action: &'static str) -> impl Fn(sqlx::Error) -> Error {
        let database = self.name.clone();
        move |source| Error::Database { database: database.clone(), action, source }
    }

    fn lease_ms(&self) -> i64 {
        millis(self.options.lease)
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Whether a statement changed anything.
fn changed(result: &AnyQueryResult) -> bool {
    result.rows_affected() > 0
}

/// A URL as messages may show it.
fn without_password(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() => {
            let _ = parsed.set_password(Some("***"));
            parsed.into()
        }
        _ => url.to_owned(),
    }
}
