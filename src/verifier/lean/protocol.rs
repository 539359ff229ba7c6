//! What one verifier verifies, as a typed description. [`Protocol::read`] takes it from ezkl's contract.

use super::{
    dag::{Dag, Id, Op},
    field::pow,
};
use alloy::primitives::U256;
use ark_bn254::Fr;
use ark_ff::{Field, One, Zero};
use std::{collections::BTreeSet, ops::Range};

/// Where the bytes of the proof begin in the calldata of `verifyProof(bytes,uint256[])`.
pub(crate) const PROOF_OFFSET: usize = 0x64;

/// A stretch of the transcript: what is absorbed from the proof, and how many challenges follow.
/// The first phase absorbs the VK's digest and the instances before; each later one the hash of
/// the one before. A further challenge hashes `hash ‖ 0x01`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Phase {
    /// Bytes of the proof.
    pub absorbs: Range<usize>,
    /// Challenges squeezed after it.
    pub challenges: usize,
}

/// Positions of the named challenges in the order in which the transcript yields them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
#[non_exhaustive]
pub struct Challenges {
    pub theta: usize,
    pub beta: usize,
    pub gamma: usize,
    pub y: usize,
    pub x: usize,
    pub zeta: usize,
    pub nu: usize,
    pub mu: usize,
}

/// A commitment that is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Commitment {
    /// A point of the proof, at this byte.
    Proof(usize),
    /// The n-th commitment of the verifying key (fixed columns, then permutation columns).
    Key(usize),
    /// The quotient, combined from [`Protocol::quotient`].
    Quotient,
}

/// The value that a polynomial is claimed to have at a point of the opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Evaluation {
    /// A scalar of the proof, at this byte.
    Proof(usize),
    /// The quotient's, which the verifier computes.
    Quotient,
}

/// A commitment with one evaluation for each rotation of its set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opening {
    /// The commitment to the polynomial that is opened.
    pub commitment: Commitment,
    /// Its values at the points x·ω^rotation, in the order of the set's rotations.
    pub evaluations: Vec<Evaluation>,
}

/// Commitments that are opened at the same points; the i-th set is weighted with ν^i, and in a set
/// the j-th opening with ζ^j.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpeningSet {
    /// Exponents r of the points x·ω^r, ascending.
    pub rotations: Vec<i64>,
    /// Openings by power of ζ.
    pub openings: Vec<Opening>,
}

/// What an expression of the quotient refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Input {
    /// A scalar of the proof, at this byte.
    Evaluation(usize),
    /// The n-th challenge that the transcript yields, from 0.
    Challenge(usize),
    /// The Lagrange polynomial of the last usable row, at x.
    LLast,
    /// The sum of the Lagrange polynomials of the blinding rows, at x.
    LBlind,
    /// The Lagrange polynomial of the first row, at x.
    L0,
    /// The instance polynomial, at x.
    Instance,
}

/// A verifier of halo2-KZG proofs on BN254 with SHPLONK openings, for one circuit.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Protocol {
    /// log2 of the number of rows.
    pub k: u32,
    /// Number of public inputs.
    pub num_instances: usize,
    /// Bytes of a proof.
    pub proof_len: usize,
    /// What the transcript begins with.
    pub vk_digest: U256,
    /// A generator of the domain of size 2^k.
    pub omega: Fr,
    /// The last usable row is −last: rows −last+1 … −1 are blinding.
    pub last: usize,
    /// −[τ]₂ of the setup: x imaginary, x real, y imaginary, y real.
    pub neg_s_g2: [U256; 4],
    /// The verifying key's commitments: fixed columns, then permutation columns.
    pub key: Vec<(U256, U256)>,
    /// The transcript; the last phase absorbs W. W′ is not absorbed.
    pub phases: Vec<Phase>,
    /// Which challenge is which.
    pub challenges: Challenges,
    /// Bytes of the proof at which its points begin.
    pub points: Vec<usize>,
    /// Bytes of the proof at which its scalars begin.
    pub scalars: Vec<usize>,
    /// The pieces of the quotient, lowest power of xⁿ first: bytes of the proof.
    pub quotient: Vec<usize>,
    /// The opening sets by power of ν; the first has the quotient.
    pub sets: Vec<OpeningSet>,
    /// The terms of the quotient's numerator: Σ yⁱ·term, highest power first.
    pub(crate) terms: Vec<Id>,
    pub(crate) dag: Dag,
    /// What the graph's variables are.
    pub(crate) inputs: Vec<Input>,
}

impl Protocol {
    /// All rotations that occur, ascending.
    pub fn rotations(&self) -> Vec<i64> {
        let mut all: Vec<i64> =
            self.sets.iter().flat_map(|set| set.rotations.iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// How many challenges the transcript yields, over all phases.
    pub fn num_challenges(&self) -> usize {
        self.phases.iter().map(|phase| phase.challenges).sum()
    }

    /// Where W stands in the proof; W′ follows.
    pub fn w(&self) -> usize {
        self.proof_len - 0x80
    }

    /// That everything in the proof and the key is opened exactly once, and nothing else is.
    ///
    /// # Errors
    /// What is not.
    pub(crate) fn check_complete(&self) -> Result<(), &'static str> {
        let openings: Vec<_> = self.sets.iter().flat_map(|set| &set.openings).collect();
        let mut opened: Vec<Commitment> =
            openings.iter().map(|opening| opening.commitment).collect();
        opened.extend(self.quotient.iter().map(|at| Commitment::Proof(*at)));
        opened.extend([self.w(), self.w() + 0x40].map(Commitment::Proof));
        opened.sort_unstable();
        let mut expected: Vec<Commitment> =
            self.points.iter().map(|at| Commitment::Proof(*at)).collect();
        expected.extend((0..self.key.len()).map(Commitment::Key));
        expected.push(Commitment::Quotient);
        expected.sort_unstable();
        if opened != expected {
            return Err("some commitment is not opened, or twice");
        }
        let mut evaluated: Vec<Evaluation> =
            openings.iter().flat_map(|opening| opening.evaluations.iter().copied()).collect();
        evaluated.sort_unstable();
        let mut expected: Vec<Evaluation> =
            self.scalars.iter().map(|at| Evaluation::Proof(*at)).collect();
        expected.push(Evaluation::Quotient);
        expected.sort_unstable();
        let whole = self.sets.iter().all(|set| {
            let rotations = set.rotations.len();
            set.openings.iter().all(|opening| opening.evaluations.len() == rotations)
        });
        if evaluated != expected || !whole {
            return Err("some evaluation is not used, or twice");
        }
        // The quotient's terms know nothing but evaluations, challenges and Lagrange evaluations.
        let mut open = self.terms.clone();
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            if let Op::Var(index) = self.dag.op(id)
                && let Input::Evaluation(at) = self.inputs[index as usize]
                && !self.scalars.contains(&at)
            {
                return Err("the quotient depends on something else");
            }
            if matches!(self.dag.op(id), Op::Inv(_)) {
                return Err("the quotient divides");
            }
            open.extend(self.dag.op(id).operands());
        }
        Ok(())
    }
}

/// The Lagrange evaluations at a point outside of the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
#[non_exhaustive]
pub struct Lagrange {
    pub x_n: Fr,
    pub x_n_minus_1_inv: Fr,
    pub l_last: Fr,
    pub l_blind: Fr,
    pub l_0: Fr,
    pub instance: Fr,
}

impl Lagrange {
    /// By the definition L_i(x) = ωⁱ(xⁿ − 1) / (n(x − ωⁱ)). `None` if x lies in the domain.
    pub(crate) fn at(x: Fr, omega: Fr, k: u32, last: usize, instances: &[Fr]) -> Option<Self> {
        let n = Fr::from(1u64 << k);
        let x_n = x.pow([1u64 << k]);
        let x_n_minus_1_inv = (x_n - Fr::one()).inverse()?;
        let common = (x_n - Fr::one()) * n.inverse()?;
        let l = |row: i64| {
            let root = pow(omega, row);
            (x - root).inverse().map(|inverse| common * root * inverse)
        };
        let mut l_blind = Fr::zero();
        for row in 1..last as i64 {
            l_blind += l(-row)?;
        }
        let mut instance = Fr::zero();
        for (row, value) in instances.iter().enumerate() {
            instance += l(row as i64)? * value;
        }
        Some(Self {
            x_n,
            x_n_minus_1_inv,
            l_last: l(-(last as i64))?,
            l_blind,
            l_0: l(0)?,
            instance,
        })
    }
}
