//! How far the circuit's answers are from the float model's.
//!
//! The float model is run by ONNX Runtime ([`FloatModel`]); the circuit's answers are ezkl's witnesses.
//! [`AccuracyReport`] compares them output by output.

#[cfg(feature = "accuracy")]
mod answers;
#[cfg(feature = "accuracy")]
mod batch;
pub mod blame;
#[cfg(feature = "accuracy")]
mod error;
pub(crate) mod forward;
#[cfg(feature = "accuracy")]
pub mod html;
pub mod judge;
#[cfg(feature = "accuracy")]
mod notes;
mod part;
#[cfg(feature = "accuracy")]
pub mod plots;
#[cfg(feature = "accuracy")]
pub mod png;
#[cfg(feature = "accuracy")]
pub mod report;
#[cfg(feature = "accuracy")]
mod run;
pub mod stats;
#[cfg(feature = "accuracy")]
mod tables;

pub use crate::artifacts::observations::{self, Observation};
pub use crate::reference::{self as float_model, FloatModel, TensorInfo};
#[cfg(feature = "accuracy")]
pub use answers::Circuit;
#[cfg(feature = "accuracy")]
pub use error::Error;
#[cfg(feature = "accuracy")]
pub use report::{AccuracyReport, CircuitReport};
#[cfg(feature = "accuracy")]
pub use run::{AccuracyRequest, Progress, run};
pub use stats::{ErrorBound, Summary};
