//! The golden-proof gate: a verifier counts as one only after it has accepted a real proof and
//! rejected what is nearly one.

use super::calldata::{self, Shape};
use crate::{
    evm::{self, CallResult, Evm, Hardfork},
    field::{Felt, SCALAR_MODULUS},
};
use alloy::primitives::{Address, Bytes, U256};

/// A verifier that is none.
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
        /// The proof's length.
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
        /// The most gas.
        limit: u64,
        /// The rules.
        hardfork: Hardfork,
    },
    /// Something else was accepted.
    #[error("the verifier accepts a call that it must reject ({0}); it must not be deployed")]
    Accepted(&'static str),
    /// The transaction could not be run.
    #[error(transparent)]
    Evm(#[from] evm::Error),
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

/// Whether `output` is the ABI's `true`, one word.
pub fn is_true(output: &[u8]) -> bool {
    output.len() == 32 && U256::from_be_slice(output) == U256::ONE
}

/// A call that a verifier must reject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// What is wrong with it.
    pub what: &'static str,
    /// The call.
    pub calldata: Bytes,
}

/// Calls that differ a little from the canonical one with this valid proof; all must be rejected.
/// Needs a proof of one word or more; without instances there are fewer mutants.
pub fn mutants(proof: &[u8], instances: &[Felt]) -> Vec<Mutant> {
    let canonical = calldata::encode_verify_proof(proof, instances);
    let shape = Shape { proof_len: proof.len(), n_instances: instances.len() };
    let count_at = 4 + shape.instances_offset();
    let mut mutants = Vec::new();
    let mut add = |what, calldata: Vec<u8>| {
        mutants.push(Mutant { what, calldata: calldata.into() });
    };
    let with_word = |base: &[u8], at: usize, value: U256| {
        let mut bytes = base.to_vec();
        bytes[at..at + 32].copy_from_slice(&value.to_be_bytes::<32>());
        bytes
    };
    let word = |value: usize| U256::from(value);
    let proof_part = &canonical[0x44..count_at];
    let instance_part = &canonical[count_at..];

    // Other layouts of the same arguments.
    let behind = word(canonical.len() - 4);
    let second_proof = [&canonical, proof_part].concat();
    add("a second proof behind", second_proof.clone());
    add("a second proof used", with_word(&second_proof, 0x04, behind));
    let second_instances = [&canonical, instance_part].concat();
    add("second instances used", with_word(&second_instances, 0x24, behind));
    let swapped = [&canonical[..0x44], instance_part, proof_part].concat();
    let swapped = with_word(&swapped, 0x04, word(0x40 + instance_part.len()));
    add("instances before the proof", with_word(&swapped, 0x24, word(0x40)));
    let gap = [&canonical[..0x44], &[0; 32], &canonical[0x44..]].concat();
    let gap = with_word(&gap, 0x04, word(0x60));
    add("a gap before the proof", with_word(&gap, 0x24, word(shape.instances_offset() + 0x20)));
    let gap = [&canonical[..count_at], &[0; 32], instance_part].concat();
    add("a gap between", with_word(&gap, 0x24, word(shape.instances_offset() + 0x20)));
    for (what, at) in [("dirty first offset", 0x04), ("dirty second offset", 0x24)] {
        let mut dirty = canonical.to_vec();
        dirty[at] |= 0x80;
        add(what, dirty);
    }
    add("a trailing byte", [&canonical[..], &[0]].concat());
    add("a trailing word", [&canonical[..], &[0; 32]].concat());

    // Lengths.
    add("no arguments", canonical[..4].to_vec());
    add("cut by a byte", canonical[..canonical.len() - 1].to_vec());
    add("cut by a word", canonical[..canonical.len() - 32].to_vec());
    for (what, length) in
        [("a shorter proof", proof.len() - 32), ("a longer proof", proof.len() + 32)]
    {
        let mut resized = proof.to_vec();
        resized.resize(length, 0);
        add(what, calldata::encode_verify_proof(&resized, instances).to_vec());
    }
    add("a length less one", with_word(&canonical, 0x44, word(proof.len() - 1)));
    let mut one_more = instances.to_vec();
    one_more.push(Felt::ZERO);
    add("an instance more", calldata::encode_verify_proof(proof, &one_more).to_vec());

    // Values.
    let last = proof.len() - 1;
    for (what, at) in [
        ("the proof's first bit", 0),
        ("a point's last bit", 0x1f),
        ("a bit in the middle", (proof.len() / 2) | 0x1f),
        ("the proof's last bit", last),
    ] {
        let mut flipped = proof.to_vec();
        flipped[at.min(last)] ^= if at == 0 { 0x80 } else { 1 };
        add(what, calldata::encode_verify_proof(&flipped, instances).to_vec());
    }
    if let Some((last, others)) = instances.split_last() {
        let with_last = |value: U256| {
            let others = others.iter().map(|instance| instance.to_u256());
            calldata::encode_words(proof, others.chain([value]).collect()).to_vec()
        };
        let last = last.to_u256();
        add("an instance less", calldata::encode_verify_proof(proof, others).to_vec());
        add("an instance and the modulus", with_last(last + SCALAR_MODULUS));
        let next = (last + U256::ONE) % SCALAR_MODULUS;
        add("another instance", with_last(next));
    }
    mutants
}

/// Calls the verifier at `address` with a valid proof, then with its [`mutants`]. Returns the gas
/// of the accepted transaction.
///
/// # Errors
/// [`Error::Rejected`] or [`Error::Accepted`]: in both cases the code is not to be trusted.
pub fn check(
    evm: &mut Evm,
    address: Address,
    shape: Shape,
    proof: &[u8],
    instances: &[Felt],
) -> Result<u64> {
    if (proof.len(), instances.len()) != (shape.proof_len, shape.n_instances) {
        let (found, found_instances) = (proof.len(), instances.len());
        return Err(Error::Sample { shape, found, found_instances });
    }
    let gas_limit = evm.gas_limit();
    let canonical = calldata::encode_verify_proof(proof, instances);
    let result = evm.call(address, canonical, gas_limit)?;
    match Verdict::of(&result) {
        Verdict::Accepted => {}
        Verdict::Neither(_) if result.gas_used >= gas_limit => {
            return Err(Error::OutOfGas { limit: gas_limit, hardfork: evm.hardfork() });
        }
        Verdict::Rejected(data) => return Err(Error::Rejected(format!("reverted with {data}"))),
        Verdict::Neither(what) => return Err(Error::Rejected(what)),
    }
    for mutant in mutants(proof, instances) {
        let result = evm.call(address, mutant.calldata, gas_limit)?;
        if !matches!(Verdict::of(&result), Verdict::Rejected(_)) {
            return Err(Error::Accepted(mutant.what));
        }
    }
    Ok(result.gas_used)
}
