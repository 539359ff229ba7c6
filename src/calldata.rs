//! The call of a verifier: its one canonical encoding, and calls that are nearly it.

mod mutants;

pub use mutants::{
    Changed, Mutant, bad_points, batch_mutants, batch_place_mutants, changed, mutants,
    packed_mutants,
};

use crate::field::Felt;
use alloy::{
    primitives::{Bytes, U256},
    sol,
    sol_types::SolCall,
};
use serde::{Deserialize, Serialize};

sol! {
    /// What every verifier offers, ezkl's and the lean one; and what the lean one offers beyond.
    #[derive(Debug, PartialEq, Eq)]
    interface IHalo2Verifier {
        /// True, or a revert.
        function verifyProof(bytes calldata proof, uint256[] calldata instances)
            external
            returns (bool);
        /// Of many proofs, the i-th for the i-th instances: true, or a revert.
        function verifyMany(bytes[] calldata proofs, uint256[][] calldata instances)
            external
            returns (bool);
        /// With the instances packed: true, or a revert.
        function verifyPacked(bytes calldata proof, bytes calldata instances)
            external
            returns (bool);
        /// Of many proofs, with the instances of each packed: true, or a revert.
        function verifyManyPacked(bytes[] calldata proofs, bytes[] calldata instances)
            external
            returns (bool);
    }
}

/// The four bytes with which the calldata of `verifyProof(bytes,uint256[])` begins.
pub const SELECTOR: [u8; 4] = IHalo2Verifier::verifyProofCall::SELECTOR;

/// The four bytes with which the calldata of `verifyMany(bytes[],uint256[][])` begins.
pub const MANY_SELECTOR: [u8; 4] = IHalo2Verifier::verifyManyCall::SELECTOR;

/// The four bytes with which the calldata of `verifyPacked(bytes,bytes)` begins.
pub const PACKED_SELECTOR: [u8; 4] = IHalo2Verifier::verifyPackedCall::SELECTOR;

/// The four bytes with which the calldata of `verifyManyPacked(bytes[],bytes[])` begins.
pub const MANY_PACKED_SELECTOR: [u8; 4] = IHalo2Verifier::verifyManyPackedCall::SELECTOR;

/// `verifyProof` as ABIs write it.
pub const SIGNATURE: &str = IHalo2Verifier::verifyProofCall::SIGNATURE;

/// `verifyMany` as ABIs write it.
pub const MANY_SIGNATURE: &str = IHalo2Verifier::verifyManyCall::SIGNATURE;

/// The function of a bare verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `verifyProof`, which takes one proof.
    One,
    /// `verifyMany`, which takes several of the same circuit.
    Many,
}

impl Function {
    /// As ABIs write it.
    pub fn signature(self) -> &'static str {
        match self {
            Self::One => SIGNATURE,
            Self::Many => MANY_SIGNATURE,
        }
    }
}

/// What a verifier takes. It follows from the circuit, and every proof of the circuit has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shape {
    /// The proof's length in bytes, a multiple of 32.
    pub proof_len: usize,
    /// The number of instances (public values).
    pub n_instances: usize,
}

impl Shape {
    /// The length of the calldata: selector, two offsets, and each argument behind its length.
    pub fn calldata_len(self) -> usize {
        4 + self.instances_offset() + 0x20 + 0x20 * self.n_instances
    }

    /// The second offset word, counted from behind the selector as the ABI does.
    pub fn instances_offset(self) -> usize {
        0x60 + self.proof_len
    }
}

/// The calldata of `verifyProof(proof, instances)`: the selector and the ABI encoding, numbers big
/// endian.
pub fn encode_verify_proof(proof: &[u8], instances: &[Felt]) -> Bytes {
    let instances = instances.iter().map(|instance| instance.to_u256()).collect();
    encode_words(proof, instances)
}

/// As [`encode_verify_proof`] for words that need not be scalars.
fn encode_words(proof: &[u8], instances: Vec<U256>) -> Bytes {
    let proof = Bytes::copy_from_slice(proof);
    IHalo2Verifier::verifyProofCall { proof, instances }.abi_encode().into()
}

/// The calldata of `verifyMany`, of proofs with their instances.
pub fn encode_verify_many<'a>(batch: impl IntoIterator<Item = (&'a [u8], &'a [Felt])>) -> Bytes {
    let words = |instances: &[Felt]| instances.iter().map(|felt| felt.to_u256()).collect();
    encode_many(batch.into_iter().map(|(proof, instances)| (proof, words(instances))))
}

fn encode_many<'a>(batch: impl Iterator<Item = (&'a [u8], Vec<U256>)>) -> Bytes {
    let (proofs, instances) =
        batch.map(|(proof, words)| (Bytes::copy_from_slice(proof), words)).unzip();
    IHalo2Verifier::verifyManyCall { proofs, instances }.abi_encode().into()
}

/// The calldata of `verifyPacked`, of a proof with its packed instances.
pub fn encode_verify_packed(proof: &[u8], packed: &[u8]) -> Bytes {
    let (proof, instances) = (Bytes::copy_from_slice(proof), Bytes::copy_from_slice(packed));
    IHalo2Verifier::verifyPackedCall { proof, instances }.abi_encode().into()
}

/// The calldata of `verifyManyPacked`, of proofs with their packed instances.
pub fn encode_verify_many_packed<'a>(
    batch: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
) -> Bytes {
    let copy = Bytes::copy_from_slice;
    let (proofs, instances) =
        batch.into_iter().map(|(proof, packed)| (copy(proof), copy(packed))).unzip();
    IHalo2Verifier::verifyManyPackedCall { proofs, instances }.abi_encode().into()
}

/// Whether what a verifier returned is the ABI's `true`, one word.
pub fn is_true(output: &[u8]) -> bool {
    output.len() == 32 && U256::from_be_slice(output) == U256::ONE
}

/// The proof and the instances in `calldata`; `None` unless it is the canonical encoding of a
/// call and every instance is a scalar.
pub fn decode_verify_proof(calldata: &[u8]) -> Option<(Bytes, Vec<Felt>)> {
    let call = IHalo2Verifier::verifyProofCall::abi_decode(calldata).ok()?;
    if call.abi_encode() != calldata {
        return None;
    }
    let instances = call.instances.into_iter().map(Felt::new).collect::<Result<_, _>>().ok()?;
    Some((call.proof, instances))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_selectors_are_those_of_the_verifiers() {
        assert_eq!(SELECTOR, [0x1e, 0x8e, 0x1e, 0x13]);
        assert_eq!(MANY_SELECTOR, [0x71, 0xff, 0x65, 0xff]);
    }

    proptest! {
        #[test]
        fn the_encoding_has_the_layout_that_the_guard_demands(
            words in 0usize..9, values in proptest::collection::vec(any::<u64>(), 0..5), at: prop::sample::Index,
        ) {
            let proof = vec![7; 32 * words];
            let instances: Vec<_> = values.iter().map(|v| Felt::from_i128(i128::from(*v))).collect();
            let shape = Shape { proof_len: proof.len(), n_instances: instances.len() };
            let calldata = encode_verify_proof(&proof, &instances);
            let word = |at: usize| U256::from_be_slice(&calldata[at..at + 32]).to::<usize>();
            prop_assert_eq!(calldata.len(), shape.calldata_len());
            prop_assert_eq!(word(0x04), 0x40);
            prop_assert_eq!(word(0x24), shape.instances_offset());
            prop_assert_eq!(word(0x44), shape.proof_len);
            prop_assert_eq!(word(4 + shape.instances_offset()), shape.n_instances);
            prop_assert_eq!(decode_verify_proof(&calldata), Some((proof.into(), instances)));

            let mut longer = calldata.to_vec();
            longer.push(0);
            prop_assert_eq!(decode_verify_proof(&longer), None);
            let cut = at.index(calldata.len());
            prop_assert_eq!(decode_verify_proof(&calldata[..cut]), None);
        }
    }
}
