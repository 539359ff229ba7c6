//! Transactions: simulated first, sent with an explicit nonce, watched until they are confirmed
//! and replaced with a higher fee when they are stuck.
//!
//! One rule stands above all: a hash that was ever handed over is never forgotten before the chain
//! has answered for its nonce. Until then nothing else is sent in its place, by this run or any
//! other, but a replacement with the same nonce, of which the chain can take only one.

mod call;
mod error;
pub mod fees;
pub mod journal;
mod options;
pub mod price;
mod receipt;
pub mod revert;
pub mod run_file;
mod send;
mod sender;
mod watch;

pub use call::{About, Call};
pub use error::{Error, NotMined, Result};
pub use options::TxOptions;
pub use receipt::{Receipt, Simulation};
pub use sender::Sender;
