//! Observations: many inputs for one model.

use super::TensorInfo;
use crate::artifacts::{layout::Slot, observations};
use std::path::Path;

pub use observations::{Error, Observation, Result};

/// Reads every observation of `path` for a model with these inputs; see [`observations::read`].
pub fn read(path: &Path, inputs: &[TensorInfo]) -> Result<Vec<Observation>> {
    let slot = |input: &TensorInfo| Slot { name: input.name.clone(), shape: input.shape.clone() };
    observations::read(path, &inputs.iter().map(slot).collect::<Vec<_>>())
}
