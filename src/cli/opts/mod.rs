//! The flags that the commands share which talk to a chain.

mod rpc;

use super::Context;
use crate::{
    chain::{
        ChainClass, Mode,
        account::{Account, SignerOptions, terminal_prompt},
        contracts,
        node::rpc::Rpc,
        tx::{Sender, TxOptions, journal::Journal},
    },
    project::Project,
};
use alloy::primitives::Address;
use clap::Args;
use eyre::Result;
use rpc::{BroadcastFlags, RpcFlags};
use std::path::Path;

/// Who simulates where no account is named. Not the zero address, which can own nothing.
const NOBODY: Address = Address::new(*b"zkvouch: nobody here");

/// Where to and how.
#[derive(Args, Debug)]
pub(super) struct Network {
    #[command(flatten)]
    rpc: RpcFlags,
    /// The chain is a local one, although its id is not Anvil's
    #[arg(long, help_heading = "Rpc options")]
    local: bool,
    /// Accept an SRS that belongs to no known ceremony off a local chain: you trust its maker
    #[arg(long, help_heading = "Rpc options")]
    allow_unknown_srs: bool,
    #[command(flatten)]
    pub(super) signer: SignerOptions,
    #[command(flatten)]
    pub(super) tx: TxOptions,
    #[command(flatten)]
    broadcast: BroadcastFlags,
}

impl Network {
    /// Whether to send.
    pub(super) fn mode(&self) -> Mode {
        self.broadcast.mode()
    }

    /// Whether nothing is sent.
    pub(super) fn is_dry(&self) -> bool {
        self.mode() == Mode::DryRun
    }

    /// Whose chain the node serves.
    pub(super) fn class(&self, rpc: &Rpc) -> ChainClass {
        ChainClass::of(rpc.chain_id(), self.local, self.allow_unknown_srs)
    }

    /// Connects and checks the chain id.
    pub(super) async fn connect(&self, project: &Project) -> Result<Rpc> {
        let networks = &project.config().networks;
        let named = |name: &str| {
            networks.get(name).map(|network| (network.rpc_url.as_str(), network.chain_id))
        };
        Ok(self.rpc.connect(project.root(), named).await?)
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
                context.ui.warn(format_args!(
                    "no account is named (--account, --private-key, --from …); simulated as \
                     {NOBODY}, so addresses that depend on the owner will be others"
                ));
                Account::Watched(NOBODY)
            }
            (None, Mode::Broadcast) => {
                return Err(super::exit::Coded::bad_input(
                    "no account to send from: name one with --account, --keystore, --interactive, \
                     --ledger or --private-key",
                )
                .into());
            }
        };
        sender(rpc, account, &self.tx, project.root(), command, self.mode(), self.broadcast.resume)
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
    let sender = Sender::new(rpc, account, options.clone())?.with_decoder(contracts::decoder());
    Ok(match mode {
        Mode::DryRun => sender,
        Mode::Broadcast => sender.with_journal(Journal::start(root, command, chain_id, resume)?),
    })
}
