//! zkvouch proves that a prediction came from one particular ONNX model and lets an EVM contract
//! check it.
//!
//! The library is complete without the command line: [`project::Project`] runs the whole flow,
//! and each step is there on its own in the modules below.

pub mod accuracy;
pub mod artifacts;
pub mod chain;
pub mod cli;
pub mod engine;
pub mod evm;
pub mod field;
pub mod files;
pub mod identity;
pub mod project;
pub mod srs;
pub mod toolchain;
pub mod tune;
pub mod verifier;
