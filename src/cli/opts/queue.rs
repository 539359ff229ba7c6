//! Which queue, and which store of blobs.

use crate::{
    cli::{Context, exit::Coded},
    fleet::{Blobs, Store, StoreOptions},
    project::Project,
};
use clap::Args;
use eyre::Result;
use std::time::Duration;

/// Which queue, and which store of blobs.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Queue options")]
pub(in crate::cli) struct Queue {
    /// The queue: sqlite:PATH, or postgres://USER@HOST/DATABASE for several machines; fleet/queue.db in the
    /// project's folder if absent.
    #[arg(long, env = "ZKVOUCH_DATABASE", hide_env_values = true, value_name = "URL")]
    database: Option<String>,
    /// The store of circuits, inputs and proofs: a folder, or s3://BUCKET/PREFIX (AWS_… in the environment);
    /// fleet/blobs in the project's folder if absent.
    #[arg(long, env = "ZKVOUCH_STORE", value_name = "URL")]
    store: Option<String>,
    /// Seconds that a worker keeps a job without a sign of life; the same for all of a queue.
    #[arg(long, env = "ZKVOUCH_LEASE", default_value_t = 60.0, value_name = "SECONDS", value_parser = seconds)]
    lease: f64,
    /// Seconds that a job waits after its first failure; after its n-th, n² times as long.
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS", value_parser = seconds)]
    backoff: f64,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (0.05..=86_400.0).contains(&number) => Ok(number),
        _ => Err("give seconds from 0.05 to 86400".to_owned()),
    }
}

impl Queue {
    /// The queue's URL: the flag's, else the project's.
    pub(in crate::cli) fn url(&self, project: Option<&Project>) -> Result<String> {
        let own =
            || project.map(|it| format!("sqlite:{}", it.root().join("fleet/queue.db").display()));
        self.database.clone().or_else(own).ok_or_else(|| {
            let message = "no queue: name one with --database or ZKVOUCH_DATABASE, or work in a project's folder";
            Coded::bad_input(message).into()
        })
    }

    /// How jobs are handed out.
    pub(in crate::cli) fn options(&self, connections: u32) -> StoreOptions {
        let (lease, backoff) =
            (Duration::from_secs_f64(self.lease), Duration::from_secs_f64(self.backoff));
        StoreOptions { connections, lease, backoff }
    }

    /// Opens the queue.
    pub(in crate::cli) async fn open(&self, project: Option<&Project>) -> Result<Store> {
        Ok(Store::open(&self.url(project)?, self.options(4)).await?)
    }

    /// Opens the queue of the project that `--project` or the current folder names, or that the flags name.
    pub(in crate::cli) async fn of(&self, context: &Context) -> Result<Store> {
        self.open(context.maybe_project()?.as_ref()).await
    }

    /// Opens the store of blobs.
    pub(in crate::cli) fn blobs(&self, project: Option<&Project>) -> Result<Blobs> {
        let own = || project.map(|it| it.root().join("fleet/blobs").display().to_string());
        let location = self.store.clone().or_else(own).ok_or_else(|| {
            let message = "no store of blobs: name one with --store or ZKVOUCH_STORE, or work in a project's folder";
            Coded::bad_input(message)
        })?;
        Ok(Blobs::open(&location, std::env::vars())?)
    }
}
