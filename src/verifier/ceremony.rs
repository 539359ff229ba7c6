//! Which trusted setup a verifier was made with, read from its bytecode.

use crate::field::{BASE_MODULUS, G2_GENERATOR};
use alloy::primitives::U256;
use ark_bn254::{Fq, Fq2, G2Affine};
use ark_ff::{BigInt, PrimeField};

const WORD: usize = 32;

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
/// the pairing precompile has it (x imaginary, x real, y imaginary, y real). ezkl's verifiers push
/// its words one after another; the lean ones keep them as data behind the code, at no particular
/// alignment.
///
/// The words say what an honest build was made with; whether the code is an honest build is for
/// comparing bytecode.
///
/// # Errors
/// Unless the code holds the generator and exactly one other point of G2.
pub fn ceremony_words(runtime: &[u8]) -> Result<[U256; 4], Error> {
    let mut points: Vec<[U256; 4]> = Vec::new();
    let mut generator = false;
    let mut see = |words: [U256; 4]| {
        let [a, b, c, d] = words;
        for point in [words, [d, c, b, a]] {
            generator |= point == G2_GENERATOR;
            if point != G2_GENERATOR && !points.contains(&point) && is_g2_point(&point) {
                points.push(point);
            }
        }
    };
    for words in constants(runtime).windows(4) {
        see([words[0], words[1], words[2], words[3]]);
    }
    for bytes in runtime.windows(4 * WORD) {
        see(std::array::from_fn(|i| U256::from_be_slice(&bytes[i * WORD..(i + 1) * WORD])));
    }
    match points[..] {
        _ if !generator => Err(Error::NoGenerator),
        [point] => Ok(point),
        _ => Err(Error::Points(points.len())),
    }
}

/// Whether the code was made with this setup: `−[tau]₂` as [`ceremony_words`] has it. Where a
/// compiler scattered the words, so that no point can be read, each of them must be there.
pub fn is_made_with(runtime: &[u8], neg_s_g2: [U256; 4]) -> bool {
    match ceremony_words(runtime) {
        Ok(words) => words == neg_s_g2,
        // Some point is there in one piece, and it is another one.
        Err(Error::Points(2..)) => false,
        Err(_) => G2_GENERATOR.iter().chain(&neg_s_g2).all(|word| holds(runtime, *word)),
    }
}

/// Whether the word stands anywhere in the code, without its leading zeros.
fn holds(code: &[u8], word: U256) -> bool {
    let bytes = word.to_be_bytes_trimmed_vec();
    !bytes.is_empty() && code.windows(bytes.len()).any(|window| window == bytes)
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
    // Most windows of code fail here, without any arithmetic.
    if words.iter().any(|word| *word >= BASE_MODULUS) {
        return false;
    }
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
    }

    #[test]
    fn data_is_found_at_any_alignment_and_in_either_order() {
        let tau = words((G2Affine::generator() * ark_bn254::Fr::from(11u64)).into_affine());
        let data = |words: &[U256]| -> Vec<u8> {
            words.iter().flat_map(|word| word.to_be_bytes::<32>()).collect()
        };
        for offset in 0..33 {
            let mut code = vec![0x7f; offset];
            code.extend(data(&G2_GENERATOR));
            // As the lean verifier has it: the points of G1 between them are filled in later.
            code.extend([0; 64]);
            code.extend(data(&tau));
            assert_eq!(ceremony_words(&code), Ok(tau), "{offset}");
            let pushed = [vec![0x5b; offset], pushes(&G2_GENERATOR), data(&tau)].concat();
            assert_eq!(ceremony_words(&pushed), Ok(tau), "{offset}");
        }
        let mut reversed = tau;
        reversed.reverse();
        let code = [data(&reversed), data(&G2_GENERATOR)].concat();
        assert_eq!(ceremony_words(&code), Ok(tau));
    }

    #[test]
    fn scattered_words_are_confirmed_and_never_another_setup() {
        let point = |scalar: u64| {
            words((G2Affine::generator() * ark_bn254::Fr::from(scalar)).into_affine())
        };
        let (tau, other) = (point(11), point(12));
        let mut scattered = Vec::new();
        for word in G2_GENERATOR.iter().chain(&tau).rev() {
            scattered.extend(pushes(&[*word]));
            scattered.extend(pushes(&[U256::MAX]));
        }
        assert!(ceremony_words(&scattered).is_err());
        assert!(is_made_with(&scattered, tau));
        assert!(!is_made_with(&scattered, other));
        let whole = pushes(&[&G2_GENERATOR[..], &other[..]].concat());
        assert!(is_made_with(&whole, other));
        // Even if the words that are asked for were put beside it.
        let both = [whole.clone(), scattered].concat();
        assert!(!is_made_with(&both, tau));
        assert!(!is_made_with(&[], tau));
    }

    #[test]
    fn the_lean_verifiers_in_the_tests_tell_their_setup() {
        for (name, code) in [
            ("tree", include_str!("../chain/testdata/lean-verifier-tree.hex")),
            ("credit", include_str!("../chain/testdata/lean-verifier-credit.hex")),
        ] {
            let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/models");
            let srs = format!("{root}/{name}/kzg-verify.srs");
            let srs = crate::srs::SrsFile::open(srs.as_ref()).expect("an SRS");
            let code = alloy::hex::decode(code.trim()).expect("hex");
            assert_eq!(ceremony_words(&code), Ok(srs.neg_tau_g2_words()));
        }
    }
}
