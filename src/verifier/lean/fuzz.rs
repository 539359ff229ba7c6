//! Differential fuzzing: ezkl's verifier and the lean one decide the same mutated proofs in the
//! in-process EVM, and must refuse each. A case is only what differs from every sample: were it
//! accepted by both, one proof could be made from another without the witness (malleability).
//!
//! The arguments are encoded canonically here; what the lean verifier refuses beyond that is tested
//! for itself.

use super::{
    Protocol,
    field::{self, Stream},
};
use crate::{
    calldata::MANY_SELECTOR,
    evm::{Error, Evm},
    field::{BASE_MODULUS, SCALAR_MODULUS},
    verifier::Sample,
};
use alloy::primitives::{Address, Bytes, U256};
use ark_bn254::G1Affine;
use ark_ec::AffineRepr;
use serde::Serialize;

/// One case in so many is tried in a batch as well.
const BATCH_EVERY: usize = 4;

/// The verifiers of one circuit, deployed in one EVM.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// ezkl's, guarded or not.
    pub ezkl: Address,
    /// The lean one for single proofs, of the same circuit and setup.
    pub lean: Address,
    /// The lean one for batches: it must take a batch with a case in it if, and only if, the other
    /// takes the case.
    pub batch: Option<Address>,
}

/// How many mutated proofs to try, and which.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Number of cases, each of them other than every sample.
    pub cases: usize,
    /// Runs with the same seed try the same cases.
    pub seed: u64,
}

/// A case that a verifier accepted.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What was changed in the sample, in words.
    pub mutation: String,
    /// Whether ezkl's verifier accepted.
    pub ezkl: bool,
    /// Whether the lean one did.
    pub lean: bool,
    /// Whether a batch with this case in it was accepted, where that was tried.
    pub batch: Option<bool>,
    /// The calldata, for a single proof.
    pub calldata: Bytes,
}

/// What was tried, and what was accepted that should not be.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Cases that were tried; each differs from every sample.
    pub cases: usize,
    /// Cases of which a batch was tried, too.
    pub batches: usize,
    /// Cases that all verifiers accepted although they are no sample: there must be none.
    pub malleable: Vec<Finding>,
    /// Cases on which they differ: there must be none.
    pub disagreements: Vec<Finding>,
    /// The most gas that the lean verifier took to reject.
    pub dearest_rejection: u64,
}

impl Report {
    /// Adds what another run found.
    pub fn merge(&mut self, other: Self) {
        self.cases += other.cases;
        self.batches += other.batches;
        self.malleable.extend(other.malleable);
        self.disagreements.extend(other.disagreements);
        self.dearest_rejection = self.dearest_rejection.max(other.dearest_rejection);
    }
}

/// Runs `plan` over the proofs in `samples`, which must not be empty.
///
/// # Errors
/// If the EVM refuses a transaction.
pub fn run(
    evm: &mut Evm,
    pair: Pair,
    protocol: &Protocol,
    samples: &[Sample<'_>],
    plan: Plan,
) -> Result<Report, Error> {
    let mut report = Report::default();
    let mut stream = Stream::new(plan.seed);
    if samples.is_empty() {
        return Ok(report);
    }
    let originals: Vec<_> = samples.iter().map(Case::of).collect();
    while report.cases < plan.cases {
        let mut case = originals[stream.below(samples.len())].clone();
        let mut mutation = case.mutate(protocol, samples, &mut stream);
        if stream.below(8) == 0 {
            mutation.push_str(", ");
            mutation.push_str(&case.mutate(protocol, samples, &mut stream));
        }
        // Zero replaced by zero, say: that is no case.
        if originals.contains(&case) {
            continue;
        }
        let calldata = Bytes::from(super::equivalence::calldata_one(&case.proof, &case.instances));
        let limit = evm.gas_limit();
        let ezkl = evm.call(pair.ezkl, calldata.clone(), limit)?;
        let lean = evm.call(pair.lean, calldata.clone(), limit)?;
        let yes = |result: &crate::evm::CallResult| {
            result.success && crate::calldata::is_true(&result.output)
        };
        let (ezkl, accepted) = (yes(&ezkl), yes(&lean));
        report.cases += 1;
        let batch = match pair.batch.filter(|_| stream.below(BATCH_EVERY) == 0) {
            Some(address) => {
                report.batches += 1;
                let calldata = case.in_a_batch(samples, &mut stream);
                Some(yes(&evm.call(address, calldata, limit)?))
            }
            None => None,
        };
        if !accepted {
            report.dearest_rejection = report.dearest_rejection.max(lean.gas_used);
        }
        let agree = ezkl == accepted && batch.is_none_or(|batch| batch == accepted);
        if !agree || accepted {
            let found = Finding { mutation, ezkl, lean: accepted, batch, calldata };
            if agree { &mut report.malleable } else { &mut report.disagreements }.push(found);
        }
    }
    Ok(report)
}

#[derive(Clone, PartialEq, Eq)]
struct Case {
    proof: Vec<u8>,
    instances: Vec<U256>,
}

impl Case {
    fn of(sample: &Sample<'_>) -> Self {
        let instances = sample.instances.iter().map(|felt| felt.to_u256()).collect();
        Self { proof: sample.proof.to_vec(), instances }
    }

    /// A batch of up to three good proofs and this one, in any place.
    fn in_a_batch(&self, samples: &[Sample<'_>], stream: &mut Stream) -> Bytes {
        let mut batch: Vec<(Vec<u8>, Vec<U256>)> = (0..stream.below(4))
            .map(|_| samples[stream.below(samples.len())])
            .map(|sample| {
                let instances = sample.instances.iter().map(|felt| felt.to_u256()).collect();
                (sample.proof.to_vec(), instances)
            })
            .collect();
        let place = stream.below(batch.len() + 1);
        batch.insert(place, (self.proof.clone(), self.instances.clone()));
        super::equivalence::calldata_many(MANY_SELECTOR, &batch).into()
    }

    fn word(&self, at: usize) -> U256 {
        U256::from_be_slice(&self.proof[at..at + 32])
    }

    fn set(&mut self, at: usize, word: U256) {
        self.proof[at..at + 32].copy_from_slice(&word.to_be_bytes::<32>());
    }

    fn mutate(
        &mut self,
        protocol: &Protocol,
        samples: &[Sample<'_>],
        stream: &mut Stream,
    ) -> String {
        // A second mutation may meet a proof that the first has cut.
        if self.proof.len() != protocol.proof_len {
            return "nothing more".into();
        }
        let other = samples[stream.below(samples.len())];
        match stream.below(11) {
            0 => {
                let (at, bit) = (stream.below(self.proof.len()), stream.below(8));
                self.proof[at] ^= 1 << bit;
                format!("bit {bit} of byte {at}")
            }
            1 | 2 if !self.instances.is_empty() => {
                let index = stream.below(self.instances.len());
                let from = other.instances.get(index).map_or(U256::ZERO, |felt| felt.to_u256());
                let swap = stream.below(self.instances.len());
                if stream.below(6) == 0 {
                    self.instances.swap(index, swap);
                    return format!("instances {index} and {swap} swapped");
                }
                let (value, how) = change(self.instances[index], SCALAR_MODULUS, from, stream);
                self.instances[index] = value;
                format!("instance {index} {how}")
            }
            3 => {
                match stream.below(4) {
                    0 => self.proof.truncate(self.proof.len() - 32),
                    1 => self.proof.extend([0; 32]),
                    2 => self.instances.push(U256::ZERO),
                    _ => drop(self.instances.pop()),
                }
                "another length".into()
            }
            4..=7 => {
                let at = protocol.points[stream.below(protocol.points.len())];
                let how = self.change_point(at, protocol, other, stream);
                format!("point at {at} {how}")
            }
            _ if !protocol.scalars.is_empty() => {
                let at = protocol.scalars[stream.below(protocol.scalars.len())];
                let swap = protocol.scalars[stream.below(protocol.scalars.len())];
                if stream.below(6) == 0 {
                    let (a, b) = (self.word(at), self.word(swap));
                    self.set(at, b);
                    self.set(swap, a);
                    return format!("scalars at {at} and {swap} swapped");
                }
                let from = U256::from_be_slice(&other.proof[at..at + 32]);
                let (value, how) = change(self.word(at), SCALAR_MODULUS, from, stream);
                self.set(at, value);
                format!("scalar at {at} {how}")
            }
            _ => "nothing".into(),
        }
    }

    fn change_point(
        &mut self,
        at: usize,
        protocol: &Protocol,
        other: Sample<'_>,
        stream: &mut Stream,
    ) -> &'static str {
        let (x, y) = (self.word(at), self.word(at + 32));
        let (x, y, how) = match stream.below(9) {
            0 => (x, BASE_MODULUS.wrapping_sub(y), "negated"),
            1 => match field::point(x, y) {
                Some(point) => {
                    let (x, y) = field::coordinates(field::add(point, G1Affine::generator()));
                    (x, y, "plus the generator")
                }
                None => (x, y, "unchanged"),
            },
            2 => (U256::ZERO, U256::ZERO, "set to (0, 0)"),
            3 => (U256::ONE, U256::from(2), "set to the generator"),
            4 => (x.wrapping_add(BASE_MODULUS), y, "x plus q"),
            5 => (x, y.wrapping_add(BASE_MODULUS), "y plus q"),
            6 => {
                let from = protocol.points[stream.below(protocol.points.len())];
                (self.word(from), self.word(from + 32), "replaced by another point")
            }
            7 => {
                let word = |at: usize| U256::from_be_slice(&other.proof[at..at + 32]);
                (word(at), word(at + 32), "replaced by another proof's")
            }
            _ => (x.wrapping_add(U256::ONE), y, "x plus one"),
        };
        self.set(at, x);
        self.set(at + 32, y);
        how
    }
}

/// A value near `value` or at an edge of the field, and how it came about.
fn change(value: U256, modulus: U256, other: U256, stream: &mut Stream) -> (U256, &'static str) {
    match stream.below(8) {
        0 => (value.wrapping_add(U256::ONE), "plus one"),
        1 => (modulus.wrapping_sub(value), "negated"),
        2 => (value.wrapping_add(modulus), "plus the modulus"),
        3 => (modulus, "set to the modulus"),
        4 => (U256::ZERO, "set to zero"),
        5 => (stream.word(), "random bytes"),
        6 => (modulus - U256::ONE, "set to minus one"),
        _ => (other, "replaced by another proof's"),
    }
}
