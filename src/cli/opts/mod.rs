//! The flags that the commands share which talk to a chain.

#[cfg(feature = "fleet")]
mod queue;
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
#[cfg(feature = "fleet")]
pub(super) use queue::Queue;
use rpc::{BroadcastFlags, RpcFlags};
use std::path::Path;

/// Who simulates where no account is named. Not the zero address, which can own nothing.
const NOBODY: Address = Address::new(*b"zkvouch: nobody here");

/// Which node to ask.
#[derive(Args, Debug)]
pub(super) struct Node {
    #[command(flatten)]
    rpc: RpcFlags,
    /// The chain is a local one, although its id is not Anvil's
    #[arg(long, help_heading = "Rpc options")]
    local: bool,
}

impl Node {
    /// Connects and checks the chain id. A project may name networks.
    pub(super) async fn connect(&self, project: Option<&Project>) -> Result<Rpc> {
        let networks = project.map(|project| &project.config().networks);
        let named = |name: &str| {
            let network = networks?.get(name)?;
            Some((network.rpc_url.as_str(), network.chain_id))
        };
        Ok(self.rpc.connect(root(project), named).await?)
    }

    /// Whether a node was named, on the command line or by the environment.
    pub(super) fn is_named(&self) -> bool {
        self.rpc.rpc_url.is_some()
    }

    /// Whose chain the node serves.
    pub(super) fn class(&self, rpc: &Rpc) -> ChainClass {
        ChainClass::of(rpc.chain_id(), self.local, false)
    }
}

/// The project's folder, else the current one.
fn root(project: Option<&Project>) -> &Path {
    project.map_or(Path::new("."), Project::root)
}

/// Where to and how.
#[derive(Args, Debug)]
pub(super) struct Network {
    #[command(flatten)]
    node: Node,
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
        ChainClass::of(rpc.chain_id(), self.node.local, self.allow_unknown_srs)
    }

    /// Connects and checks the chain id.
    pub(super) async fn connect<'p>(&self, project: impl Into<Option<&'p Project>>) -> Result<Rpc> {
        self.node.connect(project.into()).await
    }

    /// The sender of transactions, with its journal of them if they are really sent: in the project's
    /// folder, else in the current one.
    pub(super) async fn sender<'p>(
        &self,
        context: &Context,
        project: impl Into<Option<&'p Project>>,
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
        let root = root(project.into());
        sender(rpc, account, &self.tx, root, command, self.mode(), self.broadcast.resume)
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
