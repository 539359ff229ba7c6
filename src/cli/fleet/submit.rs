//! `zkvouch fleet submit`

use crate::{
    cli::{Context, opts::Queue},
    fleet::{Intake, Wanted},
};
use alloy::primitives::B256;
use clap::Args;
use eyre::Result;
use serde_json::json;
use std::path::PathBuf;

/// zkvouch fleet submit
#[derive(Args, Debug)]
pub(super) struct Submit {
    /// The inputs, one observation or many: .json, .jsonl, .csv, .npy or .npz.
    inputs: PathBuf,
    /// Your name for the request: repeated with the same key, it is the same jobs. Of several observations each
    /// has the key with / and its number, from 0.
    #[arg(long)]
    key: Option<String>,
    /// Jobs of a higher priority go first.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    priority: i32,
    /// Record the predictions in the ledger, too.
    #[arg(long)]
    record: bool,
    /// The context to record them in; 32 bytes of your choosing.
    #[arg(long, value_name = "BYTES32", default_value_t, requires = "record")]
    context: B256,
    /// How often each may be tried.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    attempts: u32,
    #[command(flatten)]
    queue: Queue,
}

impl Submit {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let project = context.project()?;
        let built = project.built(&context.ui.observer()).await?;
        let store = self.queue.open(Some(&project)).await?;
        let blobs = self.queue.blobs(Some(&project))?;
        let intake = Intake::open(&project, &built, store, blobs).await?;
        let inputs = intake.read(&self.inputs)?;
        let wanted = Wanted {
            key: self.key,
            priority: self.priority,
            record: self.record,
            context: self.context,
            max_attempts: self.attempts,
            ..Wanted::default()
        };
        let submitted = intake.submit(&inputs, &wanted).await?;
        let lines: Vec<_> = submitted
            .iter()
            .map(|it| format!("{}{}", it.job.id, if it.known { "  known" } else { "" }))
            .collect();
        let data = json!({ "model_id": built.model_id(), "jobs": submitted });
        context.ui.result(lines.join("\n"), &data)
    }
}
