//! Observations: many inputs for one model.

pub use crate::artifacts::observations::{Error, Observation, Result, read};
