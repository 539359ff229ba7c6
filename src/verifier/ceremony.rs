//! Which trusted setup a verifier was made with, read from its bytecode.

use alloy::primitives::{U256, uint};
use ark_bn254::{Fq, Fq2, G2Affine};
use ark_ff::{BigInt, PrimeField};

/// The generator of G2 as the pairing precompile has it: x imaginary, x real, y imaginary, y real.
pub const G2_GENERATOR: [U256; 4] = uint!([
    0x198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2_U256,
    0x1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed_U256,
    0x090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b_U256,
    0x12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa_U256,
]);

/// Constants shorter than this are addresses and the like. A coordinate is shorter only with a
/// probability of 2^-48.
const SHORTEST_COORDINATE: usize = 26;

/// The code does not say which setup it was made with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The generator of G2 is missing.
    #[error("the code does not hold the generator of G2; it is no verifier that zkvouch knows")]
    NoGenerator,
    /// No second point of G2, or several.
    #[error("the code holds {0} points of G2 besides the generator, where one is expected")]
    Points(usize),
}

/// The trusted setup in a verifier's runtime code: −[tau]₂, its second constant point of G2, as
/// the pairing precompile has it (x imaginary, x real, y imaginary, y real). It stands there as
/// constants, next to the generator.
///
/// The words say what an honest build was made with; whether the code is an honest build is for
/// comparing bytecode.
///
/// # Errors
/// Unless the code holds the generator and exactly one other point of G2.
pub fn ceremony_words(runtime: &[u8]) -> Result<[U256; 4], Error> {
    let words = constants(runtime);
    let mut points: Vec<[U256; 4]> = Vec::new();
    let mut generator = false;
    for window in words.windows(4) {
        let forward = [window[0], window[1], window[2], window[3]];
        let backward = [window[3], window[2], window[1], window[0]];
        for point in [forward, backward] {
            generator |= point == G2_GENERATOR;
            if point != G2_GENERATOR && !points.contains(&point) && is_g2_point(&point) {
                points.push(point);
            }
        }
    }
    match points[..] {
        _ if !generator => Err(Error::NoGenerator),
        [point] => Ok(point),
        _ => Err(Error::Points(points.len())),
    }
}

/// The long constants that the code pushes, in order.
fn constants(code: &[u8]) -> Vec<U256> {
    const PUSH0: u8 = 0x5f;
    const PUSH32: u8 = 0x7f;
    let mut words = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let length = match code[at] {
            opcode @ PUSH0..=PUSH32 => usize::from(opcode - PUSH0),
            _ => 0,
        };
        at += 1;
        if length >= SHORTEST_COORDINATE && at + length <= code.len() {
            words.push(U256::from_be_slice(&code[at..at + length]));
        }
        at += length;
    }
    words
}

fn is_g2_point(words: &[U256; 4]) -> bool {
    let coordinate = |word: U256| Fq::from_bigint(BigInt(word.into_limbs()));
    let [Some(x1), Some(x0), Some(y1), Some(y0)] = words.map(coordinate) else { return false };
    let point = G2Affine::new_unchecked(Fq2::new(x0, x1), Fq2::new(y0, y1));
    point.is_on_curve() && point.is_in_correct_subgroup_assuming_on_curve()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ec::{AffineRepr, CurveGroup};

    fn words(point: G2Affine) -> [U256; 4] {
        let (x, y) = point.xy().expect("finite");
        [x.c1, x.c0, y.c1, y.c0].map(|c| U256::from_limbs(c.into_bigint().0))
    }

    fn pushes(words: &[U256]) -> Vec<u8> {
        // Each as the compiler writes `mstore(0x40, word)`, in as few bytes as it takes.
        let one = |word: &U256| {
            let bytes = word.to_be_bytes_trimmed_vec();
            [vec![0x5f + bytes.len() as u8], bytes, vec![0x60, 0x40, 0x52]].concat()
        };
        words.iter().flat_map(one).collect()
    }

    #[test]
    fn the_second_point_is_found() {
        assert_eq!(words(G2Affine::generator()), G2_GENERATOR);
        let mut scalar = 2u64;
        let short = loop {
            let point = (G2Affine::generator() * ark_bn254::Fr::from(scalar)).into_affine();
            if words(point).iter().any(|word| word.byte_len() < 32) {
                break words(point);
            }
            scalar += 1;
        };
        let code = pushes(&[&G2_GENERATOR[..], &short[..]].concat());
        assert_eq!(ceremony_words(&code), Ok(short));
        let reversed: Vec<_> = [&short[..], &G2_GENERATOR[..]].concat().into_iter().rev().collect();
        assert_eq!(ceremony_words(&pushes(&reversed)), Ok(short));

        assert_eq!(ceremony_words(&pushes(&short)), Err(Error::NoGenerator));
        assert_eq!(ceremony_words(&pushes(&G2_GENERATOR)), Err(Error::Points(0)));
        let other = words((G2Affine::generator() * ark_bn254::Fr::from(7u64)).into_affine());
        let three = pushes(&[&G2_GENERATOR[..], &short[..], &other[..]].concat());
        assert_eq!(ceremony_words(&three), Err(Error::Points(2)));
        // In the middle of another instruction's operand it is no constant.
        let hidden = [vec![0x61], code].concat();
        assert_eq!(ceremony_words(&hidden), Err(Error::NoGenerator));
    }
}
