//! zkvouch proves that a prediction came from one particular ONNX model and lets an EVM contract
//! check it.
//!
//! The library is complete without the command line: [`project::Project`] runs the whole flow,
//! and each step is there on its own in the modules below.
//!
//! ```no_run
//! use std::{path::Path, sync::Arc};
//! use zkvouch::{
//!     engine::Engine,
//!     project::{BuildOptions, Observer, Project},
//! };
//!
//! # async fn run() -> Result<(), zkvouch::project::Error> {
//! let project = Project::open(Path::new("examples/credit"))?;
//! let observer: Observer = Arc::new(|event| eprintln!("{event:?}"));
//! let report = project.build(BuildOptions::default(), observer.clone()).await?;
//! println!("model {} has {} public values", report.model_id, report.num_instances);
//!
//! let built = project.built(&observer).await?;
//! let engine = Engine::new(project.engine_config()?);
//! let proof = built.prove(&engine, Path::new("input.json"), Path::new("proof.json")).await?;
//! let prediction = proof.decode(built.layout())?;
//! println!("outputs {:?}", prediction.outputs().collect::<Vec<_>>());
//! # Ok(())
//! # }
//! ```
//!
//! [`project::Built::verifier_request`] and its siblings turn what is built into what
//! [`chain::deploy`] and [`chain::contracts`] take; [`verifier::VerifierArtifact::verify`] asks the compiled
//! verifier in an in-process EVM.

pub mod accuracy;
pub mod artifacts;
pub mod calldata;
pub mod chain;
#[cfg(feature = "cli")]
pub mod cli;
pub mod engine;
pub mod error;
pub mod evm;
pub mod field;
pub mod files;
#[cfg(feature = "fleet")]
pub mod fleet;
pub mod model;
mod onnx;
pub mod points;
pub mod prepare;
pub mod project;
pub mod reference;
pub mod srs;
mod task;
pub mod toolchain;
pub mod tune;
pub mod verifier;
