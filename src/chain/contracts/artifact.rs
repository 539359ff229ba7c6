//! The contracts' ABIs and code, from contracts/artifacts/.

use crate::chain::{deploy::Contract, submit, tx::revert::RevertDecoder};
use alloy::{
    json_abi::JsonAbi,
    primitives::{B256, Bytes},
};
use serde::Deserialize;
use std::{collections::BTreeMap, ops::Range, sync::LazyLock};

/// Typed bindings. A test compares them with the compiled ABIs.
#[allow(missing_docs)]
pub mod bindings {
    alloy::sol! {
        #[derive(Debug, PartialEq)]
        struct ModelParts {
            bytes32 onnxHash;
            bytes32 settingsHash;
            bytes32 srsHash;
            bytes32 vkHash;
            string engine;
        }

        #[derive(Debug, PartialEq)]
        struct Record {
            address submitter;
            uint48 timestamp;
            uint48 blockNumber;
        }

        #[derive(Debug, PartialEq)]
        struct ModelArgs {
            ModelParts parts;
            address verifier;
            bytes32 verifierCodeHash;
            uint8 capabilities;
            uint32 proofLength;
            uint64 gasCap;
            address guardian;
            bytes descriptor;
        }

        interface ModelRouter {
            event ModelAdded(bytes32 indexed modelId, address indexed verifier);
            event ModelRetiredForGood(bytes32 indexed modelId, address indexed verifier);

            function addModel(ModelArgs args, bytes proof, uint256[] instances)
                external
                returns (bytes32 modelId, address verifier);
            function gate(bytes32 modelId, bytes proof, uint256[] instances) external view;
            function retireModel(bytes32 modelId) external;
            function statusOf(bytes32 modelId) external view returns (uint8);
            function verifierOf(bytes32 modelId) external view returns (address);
            function modelCount() external view returns (uint256);
            function modelAt(uint256 index) external view returns (bytes32);
            function IMPLEMENTATION() external view returns (address);
            function owner() external view returns (address);
            function pendingOwner() external view returns (address);
            function transferOwnership(address newOwner) external;
            function acceptOwnership() external;
        }

        interface PredictionLedger {
            #[derive(Debug, PartialEq)]
            event PredictionRecorded(
                bytes32 indexed modelId,
                bytes32 indexed id,
                address indexed submitter,
                bytes32 context,
                bytes32 inputsHash,
                uint256[] outputs
            );
            #[derive(Debug, PartialEq)]
            event BatchRecorded(
                bytes32 indexed root,
                bytes32 indexed modelId,
                address indexed submitter,
                bytes32 context,
                bytes32[] ids,
                bytes outputs
            );

            function record(bytes32 modelId, bytes32 context, bytes proof, uint256[] instances)
                external
                returns (bytes32 id, bytes schema);
            function recordPacked(bytes32 modelId, bytes32 context, bytes proof, bytes packed)
                external
                returns (bytes32 id, bytes schema);
            function recordBatch(
                bytes32 modelId,
                bytes32 context,
                uint256 count,
                bytes[] proofs,
                uint256[][] instances
            ) external returns (bytes32[] ids, bytes schema, bytes32 root);
            function recordBatchPacked(
                bytes32 modelId,
                bytes32 context,
                uint256 count,
                bytes[] proofs,
                bytes[] packed
            ) external returns (bytes32[] ids, bytes schema, bytes32 root);
            function idOf(bytes32 modelId, uint256[] instances, address submitter, bytes32 context)
                external
                view
                returns (bytes32);
            function isVerified(bytes32 id) external view returns (bool);
            function isVerified(bytes32 id, bytes32 root, bytes32[] path)
                external
                view
                returns (bool);
            function recordOf(bytes32 id) external view returns (Record);
            function router() external view returns (address);
        }

        interface ModelVerifier {
            function verify(bytes proof, uint256[] instances) external view returns (bytes schema);
            function selector() external view returns (bytes4);
            function guardian() external view returns (address);
            function pendingGuardian() external view returns (address);
            function stopped() external view returns (bool);
            function stop() external;
        }

        interface TimelockController {
            function getMinDelay() external view returns (uint256);
        }
    }
}

/// The contracts whose code is in the binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// Model id to verifier.
    ModelRouter,
    /// The record of predictions.
    PredictionLedger,
    /// The implementation of every model's contract, which gives its verifier id and schema.
    ModelVerifier,
    /// OpenZeppelin's timelock, to own a router.
    TimelockController,
}

/// A contract of ours as solc left it.
#[derive(Debug)]
pub struct Artifact {
    /// The contract's name in its source.
    pub name: String,
    /// Its source's path in [`standard_input`].
    pub source: String,
    /// The ABI, constructor and errors included.
    pub abi: JsonAbi,
    /// Its creation code without constructor arguments.
    pub creation_code: Bytes,
    /// Its runtime code, with zeros where the constructor writes the immutables.
    pub runtime_code: Bytes,
    immutables: Vec<Range<usize>>,
}

impl Artifact {
    /// Whether this is its runtime code, whatever the immutables.
    pub fn is_code(&self, code: &[u8]) -> bool {
        let mut code = code.to_vec();
        for place in &self.immutables {
            code.get_mut(place.clone()).unwrap_or_default().fill(0);
        }
        code == *self.runtime_code
    }

    /// Its runtime code with this word in place of each immutable.
    pub(super) fn code_with(&self, word: B256) -> Bytes {
        let mut code = self.runtime_code.to_vec();
        for place in &self.immutables {
            if let Some(place) = code.get_mut(place.clone()).filter(|it| it.len() == 32) {
                place.copy_from_slice(&word[..]);
            }
        }
        code.into()
    }

    /// The contract with its constructor's arguments: ABI-encoded, and as text.
    pub fn contract(&self, arguments: Vec<u8>, text: Vec<String>) -> Contract {
        Contract {
            name: self.name.clone(),
            init_code: [self.creation_code.as_ref(), &arguments].concat().into(),
            // Immutables are filled in by the constructor.
            runtime_code: None,
            arguments: Some(text),
            encoded_arguments: arguments.into(),
        }
    }
}

macro_rules! artifact_text {
    ($name:literal) => {
        include_str!(concat!("../../../contracts/artifacts/", $name, ".json"))
    };
}

/// A contract's artefact, parsed once from the binary's own copy.
pub fn artifact(name: Name) -> &'static Artifact {
    static ARTIFACTS: LazyLock<[Artifact; 4]> = LazyLock::new(|| {
        [
            artifact_text!("ModelRouter"),
            artifact_text!("PredictionLedger"),
            artifact_text!("ModelVerifier"),
            artifact_text!("TimelockController"),
        ]
        .map(parse)
    });
    &ARTIFACTS[name as usize]
}

fn parse(text: &str) -> Artifact {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct File {
        contract_name: String,
        source_name: String,
        abi: JsonAbi,
        bytecode: Code,
        deployed_bytecode: Code,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Code {
        object: Bytes,
        #[serde(default)]
        immutable_references: BTreeMap<u32, Vec<Place>>,
    }
    #[derive(Deserialize)]
    struct Place {
        start: usize,
        length: usize,
    }
    let file: File = serde_json::from_str(text).expect("the artefacts in the binary are tested");
    let places = file.deployed_bytecode.immutable_references.into_values().flatten();
    Artifact {
        name: file.contract_name,
        source: file.source_name,
        abi: file.abi,
        creation_code: file.bytecode.object,
        runtime_code: file.deployed_bytecode.object,
        immutables: places.map(|it| it.start..it.start + it.length).collect(),
    }
}

/// The compiler of all of them, as explorers name it.
pub const COMPILER: &str = "0.8.37+commit.f401782d";

/// The compiler's input for all of them, for source verification.
pub fn standard_input() -> &'static str {
    artifact_text!("standard-input")
}

/// Knows every error of these contracts and of a bare verifier, and what it means to a user.
pub fn decoder() -> RevertDecoder {
    let names =
        [Name::ModelRouter, Name::PredictionLedger, Name::ModelVerifier, Name::TimelockController];
    let known = names
        .into_iter()
        .fold(submit::decoder(), |decoder, name| decoder.with_abi(&artifact(name).abi))
        .with_abi(&former_errors());
    MEANINGS.iter().fold(known, |decoder, (error, text)| decoder.explain(error, text))
}

/// Errors that only the contracts have that were deployed before models were clones.
fn former_errors() -> JsonAbi {
    JsonAbi::parse(["error EnforcedPause()"]).unwrap_or_default()
}

const MEANINGS: [(&str, &str); 29] = [
    ("AlreadyRecorded", "this account recorded this prediction before, in the same context"),
    ("BatchAlreadyRecorded", "this account recorded these predictions together before"),
    ("BatchLengthMismatch", "each proof of a batch needs its instances and its context"),
    (
        "ContextReserved",
        "contexts with this prefix are a feed's positions; choose another --context",
    ),
    ("EmptyBatch", "a batch needs a proof"),
    ("InsufficientGas", "send the transaction with a higher --gas-limit"),
    ("InstanceCountMismatch", "the proof is of another model or build"),
    ("InstanceOutOfField", "the bytes of an instance were read in the wrong order"),
    (
        "InvalidProof",
        "the proof does not show these instances for this model; check it with `zkvouch verify`",
    ),
    ("ModelAlreadyAdded", "a route is never re-pointed; another build has another model id"),
    ("ModelRetired", "it was retired for good; another build has another model id"),
    ("ModelUnknown", "the router has no such model; run `zkvouch deploy --broadcast`"),
    ("MutantAccepted", "the verifier lets a changed proof pass: it must not be used; report this"),
    ("MutantRefusedOtherwise", "the verifier's gas cap may be too low"),
    ("OwnableUnauthorizedAccount", "only the owner may do this; use --account with its key"),
    ("ProofLengthMismatch", "the proof is truncated, or of another model or build"),
    ("SelectorRefused", "it is a mock, or no verifier of ours"),
    ("EnforcedPause", "the model's verifier was stopped for good by its guardian"),
    ("VerifierCodeMismatch", "the bare verifier is missing or is not the one that was built"),
    ("VerifierOutOfGas", "the gas cap of the model's adapter is too low for this chain"),
    (
        "GoldenNotPacked",
        "the sample's values don't fit the widths that its proofs are packed in; build again",
    ),
    ("ModelStopped", "its guardian stopped it for good"),
    ("NotOnePrediction", "a proof of several predictions is recorded as a batch"),
    ("NotTheGuardian", "only the model's guardian may do this; use --account with its key"),
    ("PackedLengthMismatch", "the proof is of another model or build"),
    ("PredictionCountMismatch", "only the last proof may be of fewer predictions than the others"),
    ("WrongPosition", "the feed goes on where the ledger's nextPosition says"),
    ("InvalidArgument", "the constructor refuses it"),
    ("UnexpectedVerifierReturn", "the bare verifier is none of ours"),
];

#[cfg(test)]
mod tests {
    use super::{bindings::*, *};
    use alloy::{
        primitives::keccak256,
        sol_types::{SolCall, SolEvent},
    };

    macro_rules! has_calls {
        ($name:expr, $($call:ty),+ $(,)?) => {$(
            let signature = <$call>::SIGNATURE;
            let found = artifact($name).abi.functions().any(|f| f.signature() == signature);
            assert!(found, "{signature} is not in the ABI");
        )+};
    }

    #[test]
    fn the_bindings_agree_with_the_compiled_abis() {
        has_calls!(
            Name::ModelRouter,
            ModelRouter::addModelCall,
            ModelRouter::gateCall,
            ModelRouter::IMPLEMENTATIONCall,
            ModelRouter::retireModelCall,
            ModelRouter::statusOfCall,
            ModelRouter::verifierOfCall,
            ModelRouter::modelCountCall,
            ModelRouter::modelAtCall,
            ModelRouter::ownerCall,
            ModelRouter::pendingOwnerCall,
            ModelRouter::transferOwnershipCall,
            ModelRouter::acceptOwnershipCall,
        );
        has_calls!(
            Name::PredictionLedger,
            PredictionLedger::recordCall,
            PredictionLedger::recordPackedCall,
            PredictionLedger::recordBatchCall,
            PredictionLedger::recordBatchPackedCall,
            PredictionLedger::idOfCall,
            PredictionLedger::isVerified_0Call,
            PredictionLedger::isVerified_1Call,
            PredictionLedger::recordOfCall,
            PredictionLedger::routerCall,
        );
        has_calls!(
            Name::ModelVerifier,
            ModelVerifier::verifyCall,
            ModelVerifier::selectorCall,
            ModelVerifier::guardianCall,
            ModelVerifier::pendingGuardianCall,
            ModelVerifier::stoppedCall,
            ModelVerifier::stopCall,
        );
        has_calls!(Name::TimelockController, TimelockController::getMinDelayCall);
        let topic = |name: Name, event: &str| {
            artifact(name).abi.event(event).expect("an event")[0].selector()
        };
        assert_eq!(topic(Name::ModelRouter, "ModelAdded"), ModelRouter::ModelAdded::SIGNATURE_HASH);
        assert_eq!(
            topic(Name::ModelRouter, "ModelRetiredForGood"),
            ModelRouter::ModelRetiredForGood::SIGNATURE_HASH
        );
        assert_eq!(
            topic(Name::PredictionLedger, "PredictionRecorded"),
            PredictionLedger::PredictionRecorded::SIGNATURE_HASH
        );
        assert_eq!(
            topic(Name::PredictionLedger, "BatchRecorded"),
            PredictionLedger::BatchRecorded::SIGNATURE_HASH
        );
    }

    #[test]
    fn every_explained_error_exists() {
        for (name, _) in MEANINGS {
            let known = [Name::ModelRouter, Name::PredictionLedger, Name::ModelVerifier]
                .into_iter()
                .any(|contract| artifact(contract).abi.error(name).is_some())
                || former_errors().error(name).is_some();
            assert!(known, "{name}");
        }
    }

    #[test]
    fn the_code_is_what_its_hash_says() {
        for (name, text) in [
            (Name::ModelRouter, artifact_text!("ModelRouter")),
            (Name::PredictionLedger, artifact_text!("PredictionLedger")),
            (Name::ModelVerifier, artifact_text!("ModelVerifier")),
            (Name::TimelockController, artifact_text!("TimelockController")),
        ] {
            let file: serde_json::Value = serde_json::from_str(text).expect("JSON");
            assert_eq!(format!("{name:?}"), artifact(name).name);
            let hash = keccak256(&artifact(name).creation_code).to_string();
            assert_eq!(file["initCodeHash"], hash.as_str(), "{name:?}");
        }
    }
}
