//! The verification equation in arkworks arithmetic, written down from its definition and not from
//! either contract: where the two disagree, its intermediate values say which is wrong, and where.

use super::{
    dag::Id,
    field::{self, fr, pow},
    protocol::{Commitment, Evaluation, Input, Lagrange, Protocol},
};
use crate::field::Felt;
use alloy::primitives::{U256, keccak256};
use ark_bn254::{Bn254, Fq2, Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::{AffineRepr, CurveGroup, pairing::Pairing};
use ark_ff::{BigInt, Field, One, PrimeField, Zero};

/// Why a proof has no trace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The proof has another length.
    #[error("the proof has {found} bytes, {expected} were expected")]
    Length {
        /// Bytes of this circuit's proofs.
        expected: usize,
        /// Bytes of this proof.
        found: usize,
    },
    /// There are more or fewer instances.
    #[error("there are {found} instances, {expected} were expected")]
    Instances {
        /// Instances of this circuit.
        expected: usize,
        /// Instances that came with this proof.
        found: usize,
    },
    /// A scalar is not below r.
    #[error("the scalar at byte {0} of the proof is not below the order of the scalar field")]
    Scalar(usize),
    /// A point is not on the curve, or the identity.
    #[error("the point at byte {0} of the proof is not on the curve")]
    Point(usize),
    /// x lies in the domain or coincides with another point.
    #[error("a challenge makes a denominator zero")]
    Degenerate,
}

/// Everything on the way from a proof to the verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trace {
    /// Challenges in the order of the transcript.
    pub challenges: Vec<Fr>,
    /// The Lagrange polynomials and the instances' at x.
    pub lagrange: Lagrange,
    /// The quotient's value at x.
    pub quotient: Fr,
    /// The combined evaluation R.
    pub r: Fr,
    /// D_0 = Π (μ − x·ω^rotation) over the first set: minus the scalar of W.
    pub d0: Fr,
    /// The pairing's left point.
    pub lhs: G1Affine,
    /// The pairing's right point, W′.
    pub rhs: G1Affine,
    /// Whether the pairing holds.
    pub accepted: bool,
}

/// The challenges, and the last hash.
pub(crate) fn transcript(protocol: &Protocol, proof: &[u8], instances: &[U256]) -> (Vec<Fr>, U256) {
    let mut challenges = Vec::new();
    let mut hash = protocol.vk_digest;
    for (index, phase) in protocol.phases.iter().enumerate() {
        let mut bytes = hash.to_be_bytes::<32>().to_vec();
        if index == 0 {
            instances.iter().for_each(|value| bytes.extend(value.to_be_bytes::<32>()));
        }
        bytes.extend(proof.get(phase.absorbs.clone()).unwrap_or_default());
        hash = U256::from_be_bytes(keccak256(&bytes).0);
        challenges.push(fr(hash));
        for _ in 1..phase.challenges {
            let mut bytes = hash.to_be_bytes::<32>().to_vec();
            bytes.push(1);
            hash = U256::from_be_bytes(keccak256(&bytes).0);
            challenges.push(fr(hash));
        }
    }
    (challenges, hash)
}

fn g2(words: [U256; 4]) -> Option<G2Affine> {
    let element = |word: U256| ark_bn254::Fq::from_bigint(BigInt::new(word.into_limbs()));
    let x = Fq2::new(element(words[1])?, element(words[0])?);
    let y = Fq2::new(element(words[3])?, element(words[2])?);
    let point = G2Affine::new_unchecked(x, y);
    point.is_on_curve().then_some(point)
}

/// Verifies a proof and keeps every intermediate value.
///
/// # Errors
/// If the proof or the instances are not of this circuit's form. A proof that is well-formed and
/// wrong is `accepted: false`.
pub fn verify(protocol: &Protocol, proof: &[u8], instances: &[Felt]) -> Result<Trace, Malformed> {
    if proof.len() != protocol.proof_len {
        return Err(Malformed::Length { expected: protocol.proof_len, found: proof.len() });
    }
    if instances.len() != protocol.num_instances {
        let (expected, found) = (protocol.num_instances, instances.len());
        return Err(Malformed::Instances { expected, found });
    }
    let word = |at: usize| U256::from_be_slice(&proof[at..at + 32]);
    let scalar = |at: usize| {
        let value = word(at);
        Felt::new(value).map(|_| fr(value)).map_err(|_| Malformed::Scalar(at))
    };
    let point = |at: usize| {
        let found = field::point(word(at), word(at + 32));
        found.filter(|point| !point.is_zero()).ok_or(Malformed::Point(at))
    };
    protocol.scalars.iter().try_for_each(|at| scalar(*at).map(drop))?;
    protocol.points.iter().try_for_each(|at| point(*at).map(drop))?;

    let words: Vec<U256> = instances.iter().map(|felt| felt.to_u256()).collect();
    let (challenges, _) = transcript(protocol, proof, &words);
    let c = &protocol.challenges;
    let (x, zeta, nu, mu) =
        (challenges[c.x], challenges[c.zeta], challenges[c.nu], challenges[c.mu]);
    let values: Vec<Fr> = words.iter().map(|word| fr(*word)).collect();
    let lagrange = Lagrange::at(x, protocol.omega, protocol.k, protocol.last, &values)
        .ok_or(Malformed::Degenerate)?;

    let terms: &[Id] = &protocol.terms;
    let terms = protocol.dag.evaluate(terms, |index| match protocol.inputs[index as usize] {
        // The graph has inputs that no term uses.
        Input::Evaluation(at) if protocol.scalars.contains(&at) => fr(word(at)),
        Input::Evaluation(_) => Fr::zero(),
        Input::Challenge(index) => challenges[index],
        Input::LLast => lagrange.l_last,
        Input::LBlind => lagrange.l_blind,
        Input::L0 => lagrange.l_0,
        Input::Instance => lagrange.instance,
    });
    let numerator = terms.iter().fold(Fr::zero(), |sum, term| sum * challenges[c.y] + term);
    let quotient = numerator * lagrange.x_n_minus_1_inv;

    // L = Σ νⁱ·(D_0/D_i)·Σ ζʲ·C_ij − R·[1] − D_0·W + μ·W′.
    let at = |rotation: i64| x * pow(protocol.omega, rotation);
    let d =
        |rotations: &[i64]| rotations.iter().fold(Fr::one(), |product, r| product * (mu - at(*r)));
    let d0 = d(&protocol.sets[0].rotations);
    let mut lhs = G1Projective::zero();
    let mut r = Fr::zero();
    let mut nu_power = Fr::one();
    for set in &protocol.sets {
        let weight = nu_power * d0 * d(&set.rotations).inverse().ok_or(Malformed::Degenerate)?;
        let basis: Vec<Fr> = set
            .rotations
            .iter()
            .map(|rotation| {
                let others = set.rotations.iter().filter(|other| *other != rotation);
                others.into_iter().try_fold(Fr::one(), |product, other| {
                    let inverse = (at(*rotation) - at(*other)).inverse()?;
                    Some(product * (mu - at(*other)) * inverse)
                })
            })
            .collect::<Option<_>>()
            .ok_or(Malformed::Degenerate)?;
        let mut power = weight;
        for opening in &set.openings {
            let commitment = match opening.commitment {
                Commitment::Proof(at) => point(at)?.into_group(),
                Commitment::Key(index) => {
                    let (x, y) = protocol.key[index];
                    field::point(x, y).ok_or(Malformed::Point(index))?.into_group()
                }
                Commitment::Quotient => {
                    let mut sum = G1Projective::zero();
                    for piece in protocol.quotient.iter().rev() {
                        sum = sum * lagrange.x_n + point(*piece)?;
                    }
                    sum
                }
            };
            lhs += commitment * power;
            for (evaluation, basis) in opening.evaluations.iter().zip(&basis) {
                let value = match evaluation {
                    Evaluation::Proof(at) => scalar(*at)?,
                    Evaluation::Quotient => quotient,
                };
                r += power * basis * value;
            }
            power *= zeta;
        }
        nu_power *= nu;
    }
    let rhs = point(protocol.w() + 0x40)?;
    lhs -= G1Affine::generator() * r;
    lhs -= point(protocol.w())? * d0;
    lhs += rhs * mu;
    let lhs = lhs.into_affine();
    let neg_s_g2 = g2(protocol.neg_s_g2).ok_or(Malformed::Degenerate)?;
    let accepted = Bn254::multi_pairing([lhs, rhs], [G2Affine::generator(), neg_s_g2]).0.is_one();
    Ok(Trace { challenges, lagrange, quotient, r, d0, lhs, rhs, accepted })
}
