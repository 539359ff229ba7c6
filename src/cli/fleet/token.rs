//! `zkvouch fleet token`

use crate::cli::{Context, opts::Queue};
use clap::{Args, Subcommand};
use eyre::Result;
use serde_json::json;

/// zkvouch fleet token
#[derive(Args, Debug)]
pub(super) struct TokenCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a token, which is shown this once.
    Add {
        /// What to call it; its jobs are listed under this name.
        name: String,
        /// Predictions that it may have in 24 hours.
        #[arg(long)]
        quota: Option<u64>,
        /// It may see and change the jobs of all, and not only its own.
        #[arg(long)]
        operator: bool,
        #[command(flatten)]
        queue: Queue,
    },
    /// List tokens, without their secrets, which nobody has.
    Ls {
        #[command(flatten)]
        queue: Queue,
    },
    /// Revoke a token, at once.
    Revoke {
        /// What it is called.
        name: String,
        #[command(flatten)]
        queue: Queue,
    },
}

impl TokenCommand {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        match self.command {
            Command::Add { name, quota, operator, queue } => {
                let token = queue.of(context).await?.add_token(&name, quota, operator).await?;
                context.ui.note("keep it: only its hash is stored");
                context.ui.result(&token.secret, &json!({ "name": name, "token": token.secret }))
            }
            Command::Ls { queue } => {
                let tokens = queue.of(context).await?.tokens().await?;
                let lines: Vec<_> = tokens
                    .iter()
                    .map(|token| {
                        let quota =
                            token.quota.map_or("no quota".to_owned(), |it| format!("{it} a day"));
                        let operator = if token.operator { "  operator" } else { "" };
                        let revoked = if token.revoked.is_some() { "  revoked" } else { "" };
                        format!("{:<16} {quota}{operator}{revoked}", token.name)
                    })
                    .collect();
                context.ui.result(lines.join("\n"), &json!({ "tokens": tokens }))
            }
            Command::Revoke { name, queue } => {
                queue.of(context).await?.revoke_token(&name).await?;
                context.ui.result(format_args!("{name} revoked"), &json!({ "name": name }))
            }
        }
    }
}
