//! Nodes: where one is, how to talk to it, and a local one of one's own.

pub mod anvil;
pub mod endpoint;
pub(crate) mod http;
pub mod rpc;
mod rules;
