//! `zkvouch fleet run`

use crate::{
    cli::{Context, opts::Queue, worker::Work},
    fleet::{Worked, Worker},
};
use clap::Args;
use eyre::Result;
use serde_json::json;

/// zkvouch fleet run
#[derive(Args, Debug)]
pub(super) struct Run {
    /// How many workers; none for the submitter alone.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=256))]
    workers: u64,
    /// End when nothing is left to do.
    #[arg(long)]
    until_idle: bool,
    #[command(flatten)]
    work: Work,
    #[command(flatten)]
    queue: Queue,
}

impl Run {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let project = context.project()?;
        let url = self.queue.url(Some(&project))?;
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..self.workers {
            let options = self.work.options(self.until_idle, self.workers)?;
            let blobs = self.queue.blobs(Some(&project))?;
            let mut worker = Worker::new(&url, self.queue.options(2), blobs, options).await?;
            let ending = context.ending.clone();
            workers.spawn(async move { worker.run(ending).await });
        }
        let mut all = Worked::default();
        while let Some(worked) = workers.join_next().await {
            let worked = worked??;
            all.proved += worked.proved;
            all.failed += worked.failed;
            all.lost += worked.lost;
        }
        let text = format!("{} proved, {} failed, {} lost", all.proved, all.failed, all.lost);
        context.ui.result(text, &json!({ "worked": all }))
    }
}
