//! The golden-proof gate: a verifier counts as one only after it has accepted a real proof and
//! rejected what is nearly one.

use super::calldata::{self, Mutant, Shape, is_true};
use crate::{
    error::ErrorKind,
    evm::{self, CallResult, Evm, Hardfork},
    field::Felt,
    model::packing::Packing,
};
use alloy::primitives::{Address, Bytes};

/// The gate stays shut: the code is no verifier of this circuit, or nothing could be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The sample is not of this circuit.
    #[error(
        "the sample proof has {found} bytes and {found_instances} instances, but the verifier \
         takes {} and {}; prove again with the same key and settings",
        shape.proof_len, shape.n_instances
    )]
    Sample {
        /// What the verifier takes.
        shape: Shape,
        /// The sample proof's length in bytes.
        found: usize,
        /// The number of its instances.
        found_instances: usize,
    },
    /// The real proof was not accepted.
    #[error(
        "the verifier rejects the sample proof ({0}); it was made with another key, settings or \
         SRS, or the compiler miscompiled it, so it must not be deployed"
    )]
    Rejected(String),
    /// More gas than a transaction can have.
    #[error(
        "verifying takes more than the {limit} gas that a transaction can have on {hardfork}; \
         use fewer columns or fewer public values, or the lean verifier"
    )]
    OutOfGas {
        /// The most gas that a transaction may execute.
        limit: u64,
        /// The rules that set this limit.
        hardfork: Hardfork,
    },
    /// Something else was accepted.
    #[error("the verifier accepts a call that it must reject ({0}); it must not be deployed")]
    Accepted(&'static str),
    /// The transaction could not be run.
    #[error(transparent)]
    Evm(#[from] evm::Error),
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Sample { .. } | Self::Rejected(_) | Self::OutOfGas { .. } | Self::Accepted(_) => {
                ErrorKind::Invalid
            }
            Self::Evm(inner) => inner.kind(),
        }
    }
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a verifier said. It either returns the word 1 or reverts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The proof is valid for the instances.
    Accepted,
    /// A revert, with its data.
    Rejected(Bytes),
    /// Neither, which no verifier does: a halt, or another return value.
    Neither(String),
}

impl Verdict {
    /// The verdict in the result of a call.
    pub fn of(result: &CallResult) -> Self {
        match &result.halt {
            Some(reason) => Self::Neither(format!("it halted: {reason}")),
            None if !result.success => Self::Rejected(result.output.clone()),
            None if is_true(&result.output) => Self::Accepted,
            None => Self::Neither(format!("it returned {}", result.output)),
        }
    }
}

/// The gas of whole transactions that a verifier decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Of the accepted proof.
    pub accepted: u64,
    /// Of the dearest refusal that was found.
    pub refused: u64,
}

/// Calls the verifier at `address` with a valid proof, then with its [mutants](calldata::mutants).
///
/// # Errors
/// [`Error::Rejected`] or [`Error::Accepted`]: in both cases the code is not to be trusted.
pub fn check(
    evm: &mut Evm,
    address: Address,
    shape: Shape,
    proof: &[u8],
    instances: &[Felt],
) -> Result<Decided> {
    check_shape(shape, proof, instances)?;
    let accepted = accepted(evm, address, calldata::encode_verify_proof(proof, instances))?;
    let mut mutants = calldata::mutants(proof, instances);
    mutants.extend(calldata::bad_points(proof).into_iter().map(|proof| Mutant {
        what: BAD_POINTS,
        calldata: calldata::encode_verify_proof(&proof, instances),
    }));
    let refused = rejected(evm, address, mutants)?;
    Ok(Decided { accepted, refused })
}

/// As [`check`] for a verifier of many: batches of one, two and three of the proof, and the mutants of
/// [two](calldata::batch_mutants) and of [three](calldata::batch_place_mutants), where a transaction has
/// the gas for three. What is returned is of batches of one.
///
/// # Errors
/// As [`check`].
pub fn check_batch(
    evm: &mut Evm,
    address: Address,
    shape: Shape,
    proof: &[u8],
    instances: &[Felt],
) -> Result<Decided> {
    check_shape(shape, proof, instances)?;
    let one = accepted(evm, address, calldata::encode_verify_many([(proof, instances)]))?;
    accepted(evm, address, calldata::encode_verify_many([(proof, instances); 2]))?;
    rejected(evm, address, calldata::batch_mutants(proof, instances))?;
    match accepted(evm, address, calldata::encode_verify_many([(proof, instances); 3])) {
        Ok(_) => drop(rejected(evm, address, calldata::batch_place_mutants(proof, instances))?),
        // Then no more than two can be verified at all.
        Err(Error::OutOfGas { .. }) => {}
        Err(error) => return Err(error),
    }
    let bad = calldata::bad_points(proof).into_iter().map(|proof| Mutant {
        what: BAD_POINTS,
        calldata: calldata::encode_verify_many([(&proof[..], instances)]),
    });
    let refused = rejected(evm, address, bad.collect())?;
    Ok(Decided { accepted: one, refused })
}

/// As [`check`] for packed instances, one proof and two, and their [mutants](calldata::packed_mutants). `None` where
/// the instances don't fit their widths; else the gas of one.
///
/// # Errors
/// As [`check`].
pub fn check_packed(
    evm: &mut Evm,
    address: Address,
    packing: &Packing,
    proof: &[u8],
    instances: &[Felt],
) -> Result<Option<u64>> {
    let Some(packed) = packing.pack(instances) else { return Ok(None) };
    let one = accepted(evm, address, calldata::encode_verify_packed(proof, &packed))?;
    let many = calldata::encode_verify_many_packed([(proof, &packed[..]); 2]);
    accepted(evm, address, many)?;
    rejected(evm, address, calldata::packed_mutants(proof, &packed))?;
    Ok(Some(one))
}

const BAD_POINTS: &str = "points that are not on the curve";

fn check_shape(shape: Shape, proof: &[u8], instances: &[Felt]) -> Result<()> {
    if (proof.len(), instances.len()) == (shape.proof_len, shape.n_instances) {
        return Ok(());
    }
    let (found, found_instances) = (proof.len(), instances.len());
    Err(Error::Sample { shape, found, found_instances })
}

/// The gas of a call that must be accepted.
fn accepted(evm: &mut Evm, address: Address, calldata: Bytes) -> Result<u64> {
    let limit = evm.execution_gas_limit();
    let result = evm.call(address, calldata, limit)?;
    match Verdict::of(&result) {
        Verdict::Accepted => Ok(result.gas_used),
        Verdict::Neither(_) if result.gas_used >= limit => {
            Err(Error::OutOfGas { limit, hardfork: evm.hardfork() })
        }
        Verdict::Rejected(data) => Err(Error::Rejected(format!("reverted with {data}"))),
        Verdict::Neither(what) => Err(Error::Rejected(what)),
    }
}

/// The gas of the dearest of these calls, all of which must be refused.
fn rejected(evm: &mut Evm, address: Address, mutants: Vec<Mutant>) -> Result<u64> {
    let mut dearest = 0;
    for mutant in mutants {
        let result = evm.call(address, mutant.calldata, evm.execution_gas_limit())?;
        if !matches!(Verdict::of(&result), Verdict::Rejected(_)) {
            return Err(Error::Accepted(mutant.what));
        }
        dearest = dearest.max(result.gas_used);
    }
    Ok(dearest)
}
