//! The flags that the commands share which talk to a chain.

use super::Context;
use crate::{
    chain::{
        Mode,
        broadcast::Journal,
        core,
        endpoint::{Endpoint, LOCAL_URL},
        rpc::{Rpc, RpcOptions},
        signer::{Account, SignerOptions, terminal_prompt},
        tx::{Sender, TxOptions},
    },
    project::Project,
};
use alloy::primitives::Address;
use clap::Args;
use eyre::Result;
use std::{path::Path, time::Duration};

/// Where to and how.
#[derive(Args, Debug)]
pub(super) struct Network {
    #[command(flatten)]
    rpc: RpcArgs,
    #[command(flatten)]
    pub(super) signer: SignerOptions,
    #[command(flatten)]
    pub(super) tx: TxOptions,
    /// Send the transactions; without it everything is simulated and nothing is sent.
    #[arg(long)]
    pub(super) broadcast: bool,
    /// Go on with the latest run's transactions.
    #[arg(long, requires = "broadcast")]
    resume: bool,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "RPC options")]
struct RpcArgs {
    /// The node: a URL, or a name from zkvouch.toml's [networks] or foundry.toml's [rpc_endpoints].
    #[arg(short, long, env = "ETH_RPC_URL", value_name = "URL")]
    rpc_url: Option<String>,
    /// The chain id that must be found there.
    #[arg(long, alias = "chain-id", env = "CHAIN", value_name = "CHAIN_ID")]
    chain: Option<u64>,
    /// Seconds for one request.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    rpc_timeout: u64,
    /// The chain is a local one, although its id is not Anvil's.
    #[arg(long)]
    pub(super) local: bool,
}

impl Network {
    /// Whether to send.
    pub(super) fn mode(&self) -> Mode {
        if self.broadcast { Mode::Broadcast } else { Mode::DryRun }
    }

    /// Whether the user says that the chain is local.
    pub(super) fn local(&self) -> bool {
        self.rpc.local
    }

    /// Connects and checks the chain id.
    pub(super) async fn connect(&self, project: &Project) -> Result<Rpc> {
        let text = self.rpc.rpc_url.clone().unwrap_or_else(|| LOCAL_URL.to_owned());
        let named = project.config().networks.get(&text);
        let url = named.map_or(&text, |network| &network.rpc_url);
        let endpoint = Endpoint::resolve(url, project.root())?;
        let options = RpcOptions {
            chain_id: self.rpc.chain.or_else(|| named?.chain_id),
            timeout: Duration::from_secs(self.rpc.rpc_timeout),
            ..RpcOptions::default()
        };
        Ok(Rpc::connect(endpoint, options).await?)
    }

    /// The sender of transactions, with its journal of them if they are really sent.
    pub(super) async fn sender(
        &self,
        context: &Context,
        project: &Project,
        rpc: Rpc,
        command: &str,
    ) -> Result<Sender> {
        let chain_id = rpc.chain_id();
        let account = self.signer.resolve(chain_id, &terminal_prompt).await?;
        let account = match (account, self.mode()) {
            (Some(account), _) => account,
            (None, Mode::DryRun) => {
                context.ui.warn(
                    "no account is named (--account, --private-key, --from …); simulated as the \
                     zero address",
                );
                Account::Watched(Address::ZERO)
            }
            (None, Mode::Broadcast) => {
                return Err(super::exit::Coded::bad_input(
                    "no account to send from: name one with --account, --keystore, --interactive, \
                     --ledger or --private-key",
                )
                .into());
            }
        };
        sender(rpc, account, &self.tx, project.root(), command, self.mode(), self.resume)
    }
}

/// A sender with the verifier's errors and, if transactions are really sent, their journal.
pub(super) fn sender(
    rpc: Rpc,
    account: Account,
    options: &TxOptions,
    root: &Path,
    command: &str,
    mode: Mode,
    resume: bool,
) -> Result<Sender> {
    let chain_id = rpc.chain_id();
    let sender = Sender::new(rpc, account, options.clone())?.with_decoder(core::decoder());
    Ok(match mode {
        Mode::DryRun => sender,
        Mode::Broadcast => sender.with_journal(Journal::start(root, command, chain_id, resume)?),
    })
}
