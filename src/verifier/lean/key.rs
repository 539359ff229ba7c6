//! The commitments in ezkl's verifying key file, to compare with the contract's.
//!
//! `u8 version ‖ u8 k ‖ u8 compress_selectors ‖ u32 LE number of fixed columns ‖ points of the fixed
//! columns ‖ points of the permutation columns ‖ selectors`; a point is x ‖ y, each 32 bytes, little
//! endian, in Montgomery form.

use super::{Error, Result, field};
use alloy::primitives::U256;
use ark_bn254::{Fq, G1Affine};
use ark_ff::{BigInt, PrimeField};

const HEADER: usize = 7;

fn coordinate(bytes: &[u8]) -> Option<Fq> {
    let word = U256::try_from_le_slice(bytes)?;
    if word >= U256::from_limbs(Fq::MODULUS.0) {
        return None;
    }
    Some(Fq::new_unchecked(BigInt::new(word.into_limbs())))
}

fn point(bytes: &[u8]) -> Option<(U256, U256)> {
    let (x, y) = (coordinate(bytes.get(..32)?)?, coordinate(bytes.get(32..64)?)?);
    let zero = Fq::from(0u64);
    if x == zero && y == zero {
        return Some((U256::ZERO, U256::ZERO));
    }
    Some(field::coordinates(G1Affine::new_unchecked(x, y)))
}

/// Compares the commitments of a key file with `key`.
pub(crate) fn check(bytes: &[u8], k: u32, key: &[(U256, U256)]) -> Result<()> {
    let contradiction = |what: String, contract: String, expected: String| {
        Err(Error::Contradiction { what, contract, expected })
    };
    let header = bytes.get(..HEADER).ok_or_else(|| Error::Key("it is too short".into()))?;
    if u32::from(header[1]) != k {
        return contradiction("k".into(), k.to_string(), header[1].to_string());
    }
    let fixed = u32::from_le_bytes([header[3], header[4], header[5], header[6]]) as usize;
    if fixed > key.len() {
        return contradiction(
            "number of commitments".into(),
            key.len().to_string(),
            fixed.to_string(),
        );
    }
    for (index, expected) in key.iter().enumerate() {
        let at = HEADER + 64 * index;
        let found = bytes
            .get(at..at + 64)
            .and_then(point)
            .ok_or_else(|| Error::Key(format!("commitment {index} at byte {at} is no point")))?;
        if found != *expected {
            return contradiction(
                format!("commitment {index} of the verifying key"),
                format!("{:#x}", expected.0),
                format!("{:#x}", found.0),
            );
        }
    }
    Ok(())
}
