//! What an ONNX model says by ONNX's own reference, ONNX Runtime: the witness against which a circuit is
//! judged, and which shares no code with what made the circuit.
//!
//! The library comes out of the published wheel, pinned by hash. Sessions run with one thread and without
//! graph optimisation, so that an answer is that of the operators as the file has them and the same each
//! time.

mod error;
mod evaluate;
mod library;
mod model;
#[cfg(test)]
mod tests;
mod values;

pub use error::Error;
pub(crate) use evaluate::evaluate;
pub use library::prepare;
pub use model::{FloatModel, TensorInfo};

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;
