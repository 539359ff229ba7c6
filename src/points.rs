//! Curve points as halo2 writes them raw: affine coordinates of 32 bytes, little endian, in
//! Montgomery form with R = 2^256 (the number on disk is `x · 2^256 mod q`). A G1 point is x, y; a
//! G2 point is x.c0, x.c1, y.c0, y.c1. The point at infinity is all zeros.

use ark_bn254::{Fq, Fq2, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ff::{BigInt, PrimeField};

/// Bytes of a G1 point.
pub const G1_BYTES: usize = 64;
/// Bytes of a G2 point.
pub const G2_BYTES: usize = 128;

const COORDINATE_BYTES: usize = 32;

/// Why bytes are no point; reads on from the name of the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PointError {
    /// Not 64 or 128 bytes.
    #[error("has the wrong number of bytes")]
    Length,
    /// A coordinate is not below q.
    #[error("has a coordinate that is not below the base field's modulus")]
    NotCanonical,
    /// The equation does not hold.
    #[error("is not on the curve")]
    NotOnCurve,
    /// On the twist, but not in the group of order r.
    #[error("is not in the subgroup of prime order")]
    NotInSubgroup,
}

/// The generator (1, 2).
pub fn g1_generator() -> G1Affine {
    G1Affine::generator()
}

/// Reads a G1 point; all zeros are the point at infinity.
pub fn g1_from_raw(bytes: &[u8]) -> Result<G1Affine, PointError> {
    if bytes.len() != G1_BYTES {
        return Err(PointError::Length);
    }
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(G1Affine::identity());
    }
    let (x, y) = bytes.split_at(COORDINATE_BYTES);
    let point = G1Affine::new_unchecked(coordinate(x)?, coordinate(y)?);
    // The curve's group has prime order, so there is no subgroup to check.
    if point.is_on_curve() { Ok(point) } else { Err(PointError::NotOnCurve) }
}

/// Reads a G2 point, and checks that it is in the subgroup; all zeros are the point at infinity.
pub fn g2_from_raw(bytes: &[u8]) -> Result<G2Affine, PointError> {
    if bytes.len() != G2_BYTES {
        return Err(PointError::Length);
    }
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(G2Affine::identity());
    }
    let mut coordinates = bytes.chunks_exact(COORDINATE_BYTES).map(coordinate);
    let mut next = || coordinates.next().unwrap_or(Err(PointError::Length));
    let x = Fq2::new(next()?, next()?);
    let y = Fq2::new(next()?, next()?);
    let point = G2Affine::new_unchecked(x, y);
    if !point.is_on_curve() {
        return Err(PointError::NotOnCurve);
    }
    if !point.is_in_correct_subgroup_assuming_on_curve() {
        return Err(PointError::NotInSubgroup);
    }
    Ok(point)
}

/// Writes a G1 point.
pub fn g1_to_raw(point: &G1Affine) -> [u8; G1_BYTES] {
    let mut bytes = [0; G1_BYTES];
    if let Some((x, y)) = point.xy() {
        put(&mut bytes, [x, y]);
    }
    bytes
}

/// Writes a G2 point.
pub fn g2_to_raw(point: &G2Affine) -> [u8; G2_BYTES] {
    let mut bytes = [0; G2_BYTES];
    if let Some((x, y)) = point.xy() {
        put(&mut bytes, [x.c0, x.c1, y.c0, y.c1]);
    }
    bytes
}

fn coordinate(bytes: &[u8]) -> Result<Fq, PointError> {
    let mut limbs = [0u64; 4];
    for (limb, bytes) in limbs.iter_mut().zip(bytes.chunks_exact(8)) {
        *limb = u64::from_le_bytes(bytes.try_into().map_err(|_| PointError::Length)?);
    }
    let montgomery = BigInt(limbs);
    if montgomery >= Fq::MODULUS {
        return Err(PointError::NotCanonical);
    }
    // Montgomery form with R = 2^256 is how arkworks keeps an element, too.
    Ok(Fq::new_unchecked(montgomery))
}

fn put<const N: usize>(bytes: &mut [u8], coordinates: [Fq; N]) {
    let limbs = coordinates.iter().flat_map(|coordinate| coordinate.0.0);
    for (bytes, limb) in bytes.chunks_exact_mut(8).zip(limbs) {
        bytes.copy_from_slice(&limb.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_bn254::Fr;
    use ark_ec::CurveGroup as _;
    use ark_ff::Field as _;
    use proptest::prelude::*;

    #[test]
    fn the_generator_is_what_halo2_writes() {
        // 2^256 mod q: the Montgomery form of one.
        let one = "9d0d8fc58d435dd33d0bc7f528eb780a2c4679786fa36e662fdf079ac1770a0e";
        assert_eq!(alloy::hex::encode(&g1_to_raw(&g1_generator())[..32]), one);
    }

    #[test]
    fn what_is_no_point_is_refused() {
        let raw = g1_to_raw(&g1_generator());
        assert_eq!(g1_from_raw(&raw[..63]), Err(PointError::Length));
        let mut off = raw;
        off[0] ^= 1;
        assert_eq!(g1_from_raw(&off), Err(PointError::NotOnCurve));
        let mut aliased = raw;
        aliased[..32].copy_from_slice(&[0xff; 32]);
        assert_eq!(g1_from_raw(&aliased), Err(PointError::NotCanonical));
        assert_eq!(g1_from_raw(&[0; 64]), Ok(G1Affine::identity()));
        // On the twist y² = x³ + 3/(9+u), most points lie outside the group of order r.
        let b = <ark_bn254::g2::Config as ark_ec::short_weierstrass::SWCurveConfig>::COEFF_B;
        let outside = (1u64..)
            .find_map(|x| {
                let x = Fq2::new(Fq::from(x), Fq::from(0));
                Some(G2Affine::new_unchecked(x, (x * x * x + b).sqrt()?))
            })
            .expect("half of all x are on the curve");
        assert_eq!(g2_from_raw(&g2_to_raw(&outside)), Err(PointError::NotInSubgroup));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn points_round_trip(scalar: [u8; 32]) {
            let scalar = Fr::from_le_bytes_mod_order(&scalar);
            let g1 = (G1Affine::generator() * scalar).into_affine();
            prop_assert_eq!(g1_from_raw(&g1_to_raw(&g1)), Ok(g1));
            let g2 = (G2Affine::generator() * scalar).into_affine();
            prop_assert_eq!(g2_from_raw(&g2_to_raw(&g2)), Ok(g2));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..140)) {
            let _ = g1_from_raw(&bytes);
            let _ = g2_from_raw(&bytes);
        }
    }
}
