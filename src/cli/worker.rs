//! `zkvouch worker`

use super::{Context, opts::Queue};
use crate::{
    engine::EngineConfig,
    fleet::{Worker, WorkerOptions},
};
use clap::Args;
use eyre::Result;
use serde_json::json;
use std::{path::PathBuf, time::Duration};

/// zkvouch worker
#[derive(Args, Debug)]
pub(super) struct WorkerCommand {
    #[command(flatten)]
    queue: Queue,
    #[command(flatten)]
    work: Work,
    /// End when nothing waits and nothing runs any more.
    #[arg(long)]
    until_idle: bool,
}

/// How a worker works.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Worker options")]
pub(super) struct Work {
    /// MiB of memory for a proof; jobs that are expected to take more are left to others. Nine tenths of the
    /// machine's if absent.
    #[arg(long, value_name = "MIB")]
    memory: Option<u64>,
    /// The folder for circuits, which workers of a machine may share; one in the cache folder if absent.
    #[arg(long, value_name = "FOLDER")]
    circuits: Option<PathBuf>,
    /// GiB that the folder for circuits may hold.
    #[arg(long, default_value_t = 20, value_name = "GIB")]
    circuits_limit: u64,
    /// Seconds at most between two questions for a job.
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS", value_parser = poll)]
    poll: f64,
    /// Seconds that a proof may go on after the signal to end, before the job is given back.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    grace: u64,
}

fn poll(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (0.01..=600.0).contains(&number) => Ok(number),
        _ => Err("give seconds from 0.01 to 600".to_owned()),
    }
}

impl Work {
    /// For one of `workers` on this machine, which share its memory.
    pub(super) fn options(&self, until_idle: bool, workers: u64) -> Result<WorkerOptions> {
        let memory = self.memory.map(|mebibytes| mebibytes.saturating_mul(1 << 20));
        Ok(WorkerOptions {
            memory: Some(memory.unwrap_or_else(|| crate::fleet::machine_memory() / workers.max(1))),
            cache: self.circuits.clone(),
            cache_limit: self.circuits_limit.saturating_mul(1 << 30),
            poll: Duration::from_secs_f64(self.poll),
            until_idle,
            grace: Duration::from_secs(self.grace),
            engine: EngineConfig::from_env()?,
        })
    }
}

impl WorkerCommand {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let project = context.maybe_project()?;
        let url = self.queue.url(project.as_ref())?;
        let blobs = self.queue.blobs(project.as_ref())?;
        let options = self.work.options(self.until_idle, 1)?;
        let mut worker = Worker::new(&url, self.queue.options(2), blobs, options).await?;
        let name = worker.name().to_owned();
        context.ui.note(format_args!("{name} waits for jobs; Ctrl-C ends it"));
        let worked = worker.run(context.ending.clone()).await?;
        let text =
            format!("{} proved, {} failed, {} lost", worked.proved, worked.failed, worked.lost);
        context.ui.result(text, &json!({ "worker": name, "worked": worked }))
    }
}
