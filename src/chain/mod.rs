//! The chain: nodes, accounts, transactions, deployments and submissions.
//!
//! ```no_run
//! use zkvouch::chain::{
//!     node::anvil::{AnvilNode, AnvilOptions},
//!     account::{SignerOptions, terminal_prompt},
//!     tx::{Sender, TxOptions},
//! };
//!
//! # async fn run() -> Result<(), zkvouch::chain::Error> {
//! let node = AnvilNode::spawn(AnvilOptions::default()).await?;
//! let account = SignerOptions::default()
//!     .resolve(node.rpc().chain_id(), &terminal_prompt)
//!     .await?
//!     .expect("Anvil's own chain has a default account");
//! let sender = Sender::new(node.rpc().clone(), account, TxOptions::default())?;
//! assert!(!sender.rpc().balance(sender.address()).await?.is_zero());
//! # Ok(())
//! # }
//! ```

pub mod account;
pub mod check;
pub mod contracts;
pub mod costs;
pub mod create2;
pub mod deploy;
pub mod deployments;
mod error;
pub mod explorer;
mod golden;
pub mod node;
pub mod policy;
pub mod submit;
pub mod tx;

pub use error::{Error, Result};
pub use golden::Entries;
pub use policy::ChainClass;

/// Whether transactions are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Everything is simulated and nothing is sent or written.
    #[default]
    DryRun,
    /// Transactions are simulated, then sent and waited for.
    Broadcast,
}

#[cfg(test)]
mod tests;
