//! Between EVM words and the arithmetic of arkworks.

use alloy::primitives::{U256, keccak256};
use ark_bn254::{Fq, Fr, G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{BigInt, Field, PrimeField, Zero};

/// `word mod r`, as MULMOD and ADDMOD read a word.
pub(crate) fn fr(word: U256) -> Fr {
    Fr::from_be_bytes_mod_order(&word.to_be_bytes::<32>())
}

/// The canonical integer of a scalar.
pub(crate) fn word(scalar: Fr) -> U256 {
    U256::from_limbs(scalar.into_bigint().0)
}

/// The canonical integer of a coordinate.
fn coordinate(coordinate: Fq) -> U256 {
    U256::from_limbs(coordinate.into_bigint().0)
}

/// `base^exponent`, with a negative exponent of a nonzero base.
pub(crate) fn pow(base: Fr, exponent: i64) -> Fr {
    let power = base.pow([exponent.unsigned_abs()]);
    if exponent < 0 { power.inverse().unwrap_or_else(Fr::zero) } else { power }
}

/// The point with these affine coordinates; the EVM's (0, 0) is the identity. `None` if a
/// coordinate is not below `q` or the point is not on the curve.
pub(crate) fn point(x: U256, y: U256) -> Option<G1Affine> {
    if x.is_zero() && y.is_zero() {
        return Some(G1Affine::zero());
    }
    let x = Fq::from_bigint(BigInt::new(x.into_limbs()))?;
    let y = Fq::from_bigint(BigInt::new(y.into_limbs()))?;
    let point = G1Affine::new_unchecked(x, y);
    // The curve has prime order, so that a point on it is in the group.
    point.is_on_curve().then_some(point)
}

/// Affine coordinates as the EVM has them.
pub(crate) fn coordinates(point: G1Affine) -> (U256, U256) {
    point.xy().map_or((U256::ZERO, U256::ZERO), |(x, y)| (coordinate(x), coordinate(y)))
}

/// `scalar · point`, affine as ecMul returns it.
pub(crate) fn mul(point: G1Affine, scalar: Fr) -> G1Affine {
    (point * scalar).into_affine()
}

/// `a + b`, affine as ecAdd returns it.
pub(crate) fn add(a: G1Affine, b: G1Affine) -> G1Affine {
    (G1Projective::from(a) + b).into_affine()
}

/// A reproducible stream of words: keccak256(seed ‖ counter). For comparisons at random points,
/// where a failure must be repeatable; no secret depends on it.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    seed: u64,
    counter: u64,
}

impl Stream {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, counter: 0 }
    }

    pub(crate) fn word(&mut self) -> U256 {
        self.counter += 1;
        let mut input = [0; 16];
        input[..8].copy_from_slice(&self.seed.to_be_bytes());
        input[8..].copy_from_slice(&self.counter.to_be_bytes());
        U256::from_be_bytes(keccak256(input).0)
    }

    pub(crate) fn scalar(&mut self) -> Fr {
        fr(self.word())
    }

    /// Uniform below `bound` up to a negligible bias.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.word() % U256::from(bound.max(1))).to::<usize>()
    }
}
