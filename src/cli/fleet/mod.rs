//! `zkvouch fleet`: a queue of predictions.

mod jobs;
mod run;
mod submit;
mod token;
mod watch;

use super::Context;
use clap::{Args, Subcommand};
use eyre::Result;

/// zkvouch fleet
#[derive(Args, Debug)]
pub(super) struct Fleet {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Put predictions into the queue, each as a job.
    Submit(submit::Submit),
    /// Sum up the queue: jobs in each state, workers, what was recorded and for how much gas.
    Status(jobs::Status),
    /// List jobs, the newest first, or show one.
    Ls(jobs::Ls),
    /// Put jobs that are dead or were cancelled back into the queue.
    Retry(jobs::Retry),
    /// Cancel jobs that are in no transaction yet.
    Cancel(jobs::Cancel),
    /// Follow jobs until all have come to their end.
    Watch(watch::Watch),
    /// Work on the queue with everything in this process: workers and, with --broadcast, the submitter.
    Run(Box<run::Run>),
    /// Make, list and revoke the tokens of the service's clients.
    Token(token::TokenCommand),
}

impl Fleet {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        match self.command {
            Command::Submit(command) => command.run(context).await,
            Command::Status(command) => command.run(context).await,
            Command::Ls(command) => command.run(context).await,
            Command::Retry(command) => command.run(context).await,
            Command::Cancel(command) => command.run(context).await,
            Command::Watch(command) => command.run(context).await,
            Command::Run(command) => command.run(context).await,
            Command::Token(command) => command.run(context).await,
        }
    }

    /// Whether the first signal lets it end in order.
    pub(super) fn ends_in_order(&self) -> bool {
        matches!(self.command, Command::Run(_))
    }
}
