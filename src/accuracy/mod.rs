//! How far the circuit's answers are from the float model's.
//!
//! The float model is run by tract ([`FloatModel`]); the circuit's answers are ezkl's witnesses.
//! [`AccuracyReport`] compares them output by output.

mod answers;
mod batch;
pub mod float_model;
pub(crate) mod forward;
pub mod html;
mod npy;
pub mod observations;
pub mod plots;
pub mod png;
pub mod report;
mod run;
pub mod stats;
mod tables;

pub use float_model::{FloatModel, TensorInfo};
pub use observations::Observation;
pub use report::{AccuracyReport, CircuitReport};
pub use run::{AccuracyRequest, Circuit, Error, Progress, run};
pub use stats::{ErrorBound, Summary};
