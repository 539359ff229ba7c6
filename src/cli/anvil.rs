//! `zkvouch anvil`

use super::{
    Context,
    exit::{Code, Coded},
};
use crate::chain::node::anvil::{ANVIL_CHAIN_ID, AnvilNode, AnvilOptions};
use clap::Args;
use eyre::Result;
use serde_json::json;
use std::{ffi::OsString, path::PathBuf};

/// zkvouch anvil
#[derive(Args, Debug)]
pub(super) struct AnvilCommand {
    /// The port; 0 for any free one.
    #[arg(short, long, default_value_t = 8545)]
    port: u16,
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The chain id.
    #[arg(long, default_value_t = ANVIL_CHAIN_ID)]
    chain_id: u64,
    /// The hardfork.
    #[arg(long, default_value = "osaka")]
    hardfork: String,
    /// Seconds between blocks; a block for every transaction if absent.
    #[arg(long)]
    block_time: Option<f64>,
    /// Load the chain from this file if it exists, and save it there at the end.
    #[arg(long)]
    state: Option<PathBuf>,
    /// Further arguments for Anvil.
    #[arg(last = true)]
    extra: Vec<OsString>,
}

impl AnvilCommand {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let node = AnvilNode::spawn(AnvilOptions {
            binary: None,
            host: self.host,
            port: self.port,
            chain_id: self.chain_id,
            hardfork: self.hardfork,
            block_time: self.block_time,
            state: self.state,
            extra: self.extra,
        })
        .await?;
        let url = node.url().to_string();
        context.ui.result(&url, &json!({ "rpc_url": url, "pid": node.pid() }))?;
        context.ui.note("Ctrl-C stops it");
        // A signal drops this, which stops the node and waits until its state is saved.
        let ended = node.ended().await;
        Err(Coded::new(Code::Chain, format!("Anvil ended: {ended}")).into())
    }
}
