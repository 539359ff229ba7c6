//! `zkvouch fleet run`

use crate::{
    chain::{account::terminal_prompt, tx::price::parse_price},
    cli::{
        Context,
        exit::Coded,
        opts::{Network, Queue},
        worker::Work,
    },
    fleet::{Payer, Recorded, Submitter, SubmitterOptions, Worked, Worker},
    project::Project,
};
use alloy::primitives::U256;
use clap::Args;
use eyre::Result;
use serde_json::json;
use std::time::Duration;

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
    recording: Recording,
    #[command(flatten)]
    queue: Queue,
    #[command(flatten)]
    network: Network,
}

/// How predictions are recorded, with --broadcast.
#[derive(Args, Debug)]
#[command(next_help_heading = "Recording options")]
struct Recording {
    /// Predictions in one transaction at most.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: u32,
    /// Seconds that a prediction waits for others to go with while more are being proved.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    wait: u64,
    /// The most that the transactions of 24 hours may cost: wei, or as in 0.1ether.
    #[arg(long, value_name = "COST", value_parser = parse_price)]
    max_cost_a_day: Option<u128>,
    /// The most that a transaction may cost for each prediction in it: wei, or as in 0.001ether.
    #[arg(long, value_name = "COST", value_parser = parse_price)]
    max_cost_each: Option<u128>,
}

impl Run {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let project = context.project()?;
        let url = self.queue.url(Some(&project))?;
        let submitter = match self.network.is_dry() {
            true => None,
            false => Some(self.submitter(context, &project, &url).await?),
        };
        if self.workers == 0 && submitter.is_none() {
            let message =
                "nothing to run: with no workers, --broadcast and an account for the submitter";
            return Err(Coded::bad_input(message).into());
        }
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..self.workers {
            let options = self.work.options(self.until_idle, self.workers)?;
            let blobs = self.queue.blobs(Some(&project))?;
            let mut worker = Worker::new(&url, self.queue.options(2), blobs, options).await?;
            let ending = context.ending.clone();
            workers.spawn(async move { worker.run(ending).await });
        }
        let work = async {
            let mut all = Worked::default();
            while let Some(worked) = workers.join_next().await {
                let worked = worked??;
                all.proved += worked.proved;
                all.failed += worked.failed;
                all.lost += worked.lost;
            }
            Ok::<_, eyre::Report>(all)
        };
        let record = async {
            match submitter {
                Some(mut submitter) => Ok(submitter.run(context.ending.clone()).await?),
                None => Ok(Recorded::default()),
            }
        };
        let (worked, recorded) = tokio::try_join!(work, record)?;
        let text = format!(
            "{} proved, {} failed, {} lost; {} recorded in {} transactions for {} gas",
            worked.proved,
            worked.failed,
            worked.lost,
            recorded.predictions,
            recorded.transactions,
            recorded.gas
        );
        context.ui.result(text, &json!({ "worked": worked, "recorded": recorded }))
    }

    async fn submitter(
        &self,
        context: &Context,
        project: &Project,
        url: &str,
    ) -> Result<Submitter> {
        let built = project.built(&context.ui.observer()).await?;
        let rpc = self.network.connect(project).await?;
        let class = self.network.class(&rpc);
        let account = self.network.signer.resolve(rpc.chain_id(), &terminal_prompt).await?;
        let account = account.ok_or_else(|| {
            Coded::bad_input(
                "no account to send from: name one with --account, --keystore or --private-key",
            )
        })?;
        let options = SubmitterOptions {
            batch: self.recording.batch,
            wait: Duration::from_secs(self.recording.wait),
            poll: Duration::from_secs_f64(0.5),
            confirmations: self.network.tx.confirmations,
            max_cost_a_day: self.recording.max_cost_a_day.map(U256::from),
            max_cost_each: self.recording.max_cost_each.map(U256::from),
            until_idle: self.until_idle,
            folder: project.root().join("fleet"),
        };
        let payer = Payer { rpc, account, tx: self.network.tx.clone(), class };
        let blobs = self.queue.blobs(Some(project))?;
        Ok(Submitter::new(url, self.queue.options(4), blobs, built, payer, options).await?)
    }
}
