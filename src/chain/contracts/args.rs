//! What a model's contract is made with: the immutable arguments at the end of its clone's code.

use super::bindings;
use crate::model::{
    identity::{ModelId, ModelIdentity},
    schema::{Descriptor, Schema},
};
use alloy::primitives::{Address, B256, Bytes, hex, keccak256};

/// The code of OpenZeppelin's clones, which delegate to the implementation whose address stands between these two.
const CODE: ([u8; 10], [u8; 15]) =
    (hex!("363d3d373d3d3d363d73"), hex!("5af43d82803e903d91602b57fd5bf3"));

/// What a model's contract is made with. Its address commits to all of it, and to the router that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelArgs {
    /// The files that the model is; its descriptor's hash is that of `descriptor`.
    pub identity: ModelIdentity,
    /// The bare verifier.
    pub verifier: Address,
    /// keccak256 of its runtime code.
    pub verifier_code_hash: B256,
    /// What the bare verifier has beside `verifyProof`; see [`Capabilities`].
    pub capabilities: Capabilities,
    /// The length of a proof in bytes.
    pub proof_length: u32,
    /// The gas that the bare verifier gets for each proof.
    pub gas_cap: u64,
    /// Who may stop the model for good.
    pub guardian: Option<Address>,
    /// What the instances of a proof stand for.
    pub descriptor: Descriptor,
}

/// The functions of a bare verifier beside `verifyProof`, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(pub u8);

impl Capabilities {
    /// `verifyMany`.
    pub const MANY: u8 = 1;
    /// `verifyPacked`.
    pub const PACKED: u8 = 2;
    /// `verifyManyPacked`.
    pub const MANY_PACKED: u8 = 4;

    /// Whether it has the function of this bit.
    pub fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }
}

/// What its code, one after the other without lengths, begins with: six words and numbers of a fixed size.
#[derive(Debug)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn word(&mut self) -> Option<B256> {
        self.take(32).map(B256::from_slice)
    }

    fn address(&mut self) -> Option<Address> {
        self.take(20).map(Address::from_slice)
    }

    fn number(&mut self, bytes: usize) -> Option<u64> {
        Some(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

impl ModelArgs {
    /// The id of the model.
    pub fn model_id(&self) -> ModelId {
        self.identity.model_id()
    }

    /// As the router packs them: `onnx 32 ‖ settings 32 ‖ srs 32 ‖ vk 32 ‖ verifier 20 ‖ verifier code hash 32 ‖
    /// capabilities 1 ‖ proof length 4 ‖ gas cap 8 ‖ guardian 20 ‖ instance count 4 ‖ engine length 1 ‖ engine ‖
    /// schema length 2 ‖ schema ‖ descriptor`, big endian.
    pub fn pack(&self) -> Vec<u8> {
        let ModelIdentity { onnx_sha256, settings_sha256, srs_sha256, vk_sha256, .. } =
            &self.identity;
        let mut bytes = Vec::new();
        for word in [onnx_sha256, settings_sha256, srs_sha256, vk_sha256] {
            bytes.extend(word);
        }
        bytes.extend(self.verifier);
        bytes.extend(self.verifier_code_hash);
        bytes.push(self.capabilities.0);
        bytes.extend(self.proof_length.to_be_bytes());
        bytes.extend(self.gas_cap.to_be_bytes());
        bytes.extend(self.guardian.unwrap_or_default());
        bytes.extend((self.descriptor.count() as u32).to_be_bytes());
        let (engine, schema) =
            (self.identity.engine_version.as_bytes(), self.descriptor.schema().encode());
        bytes.push(engine.len() as u8);
        bytes.extend(engine);
        bytes.extend((schema.len() as u16).to_be_bytes());
        bytes.extend(schema);
        bytes.extend(self.descriptor.encode());
        bytes
    }

    /// Reads what [`pack`](Self::pack) writes. Nothing for other bytes, those included whose schema or number of
    /// instances is not the descriptor's.
    pub fn read(packed: &[u8]) -> Option<Self> {
        let mut reader = Reader(packed);
        let [onnx_sha256, settings_sha256, srs_sha256, vk_sha256] =
            [reader.word()?, reader.word()?, reader.word()?, reader.word()?];
        let (verifier, verifier_code_hash) = (reader.address()?, reader.word()?);
        let capabilities = Capabilities(reader.number(1)? as u8);
        let (proof_length, gas_cap) = (reader.number(4)? as u32, reader.number(8)?);
        let guardian = Some(reader.address()?).filter(|guardian| !guardian.is_zero());
        let instances = reader.number(4)?;
        let engine = reader.number(1)? as usize;
        let engine = std::str::from_utf8(reader.take(engine)?).ok()?;
        let schema = reader.number(2)? as usize;
        let schema = Schema::read(reader.take(schema)?)?;
        let descriptor = Descriptor::read(reader.0)?;
        if *descriptor.schema() != schema || descriptor.count() != instances {
            return None;
        }
        let identity = ModelIdentity {
            onnx_sha256,
            settings_sha256,
            srs_sha256,
            vk_sha256,
            engine_version: engine.to_owned(),
            descriptor_keccak256: keccak256(reader.0),
        };
        Some(Self {
            identity,
            verifier,
            verifier_code_hash,
            capabilities,
            proof_length,
            gas_cap,
            guardian,
            descriptor,
        })
    }

    /// The runtime code of the model's contract.
    pub fn code(&self, implementation: Address) -> Bytes {
        let (before, after) = CODE;
        [&before[..], &implementation[..], &after, &self.pack()].concat().into()
    }

    /// The creation code with which the router makes it.
    pub fn init_code(&self, implementation: Address) -> Bytes {
        let code = self.code(implementation);
        // push2 length, then return all that stands behind these ten bytes.
        let length = (code.len() as u16).to_be_bytes();
        [&[0x61][..], &length, &hex!("3d81600a3d39f3"), &code].concat().into()
    }

    /// Where a router with this implementation makes it: by CREATE2, with the model's id as salt.
    pub fn address(&self, router: Address, implementation: Address) -> Address {
        router.create2(self.model_id().0, keccak256(self.init_code(implementation)))
    }

    /// As the router takes them.
    pub(crate) fn to_abi(&self) -> bindings::ModelArgs {
        let identity = &self.identity;
        bindings::ModelArgs {
            parts: bindings::ModelParts {
                onnxHash: identity.onnx_sha256,
                settingsHash: identity.settings_sha256,
                srsHash: identity.srs_sha256,
                vkHash: identity.vk_sha256,
                engine: identity.engine_version.clone(),
            },
            verifier: self.verifier,
            verifierCodeHash: self.verifier_code_hash,
            capabilities: self.capabilities.0,
            proofLength: self.proof_length,
            gasCap: self.gas_cap,
            guardian: self.guardian.unwrap_or_default(),
            descriptor: self.descriptor.encode().into(),
        }
    }
}

/// What stands in the code of a clone: the address of its implementation, and its immutable arguments. Nothing for
/// other code.
pub fn read_clone(code: &[u8]) -> Option<(Address, &[u8])> {
    let rest = code.strip_prefix(&CODE.0)?;
    let (implementation, rest) = rest.split_at_checked(20)?;
    Some((Address::from_slice(implementation), rest.strip_prefix(&CODE.1)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        field::Scale,
        model::{
            packing::Width,
            schema::{Tensor, TensorKind},
        },
    };

    fn args() -> ModelArgs {
        let width = Width::try_from(2).expect("a width");
        let tensor = Tensor { kind: TensorKind::Output, scale: Scale(7), width, shape: vec![3] };
        let descriptor = Descriptor::new(1, vec![tensor]).expect("fits");
        let descriptor_keccak256 = keccak256(descriptor.encode());
        ModelArgs {
            identity: ModelIdentity { descriptor_keccak256, ..ModelIdentity::of_bytes(1) },
            verifier: Address::repeat_byte(6),
            verifier_code_hash: B256::repeat_byte(7),
            capabilities: Capabilities(7),
            proof_length: 2976,
            gas_cap: 900_000,
            guardian: Some(Address::repeat_byte(8)),
            descriptor,
        }
    }

    #[test]
    fn arguments_are_read_from_the_code_that_they_stand_in() {
        let implementation = Address::repeat_byte(9);
        for guardian in [None, Some(Address::repeat_byte(8))] {
            let args = ModelArgs { guardian, ..args() };
            let code = args.code(implementation);
            let (found, packed) = read_clone(&code).expect("a clone");
            assert_eq!((found, ModelArgs::read(packed)), (implementation, Some(args)));
        }
        let packed = args().pack();
        for cut in 0..packed.len() {
            assert_eq!(ModelArgs::read(&packed[..cut]), None, "{cut}");
        }
        // The number of instances stands behind 6 words, 2 addresses and 13 bytes.
        let at = 32 * 5 + 20 * 2 + 13;
        let other = [&packed[..at], &[0, 0, 0, 4], &packed[at + 4..]].concat();
        assert_eq!(ModelArgs::read(&other), None, "another number of instances");
        let code = args().code(implementation);
        for bad in [&code[1..], &code[..40], &[]] {
            assert_eq!(read_clone(bad), None);
        }
    }
}
