//! A proof and what it shows.

use crate::field::Felt;
use alloy::primitives::Bytes;

/// A proof of a circuit with the public values that it is to show. Whether it is valid is a
/// verifier's matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Curve points and scalars, 32 bytes a coordinate or scalar, big endian.
    pub bytes: Bytes,
    /// The public values (instances), in the order of the circuit's layout.
    pub instances: Vec<Felt>,
}
