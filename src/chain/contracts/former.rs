//! The contracts before models were clones: an adapter with a constructor for each model, a stop of its own in front of
//! it, and a ledger whose batches have a context each. What was deployed of them goes on working.

use super::{
    ask,
    events::{Recorded, prediction},
};
use crate::{
    chain::{Error, Result, node::rpc::Rpc, tx::Receipt},
    model::schema::Schema,
};
use alloy::{
    primitives::{Address, B256, U256, b256},
    sol_types::{SolCall, SolEvent},
};

/// keccak256 of the router's runtime code, which has no immutables.
pub(crate) const ROUTER_CODE_HASH: B256 =
    b256!("e02270ab946f6b0c7421300262ba1ae0d2209861c88b5f3064271c9efbd4bc79");

/// Typed bindings of what differs from the present contracts.
pub(crate) mod bindings {
    alloy::sol! {
        #[derive(Debug)]
        struct ModelParts {
            bytes32 onnxHash;
            bytes32 settingsHash;
            bytes32 srsHash;
            bytes32 vkHash;
            string engine;
        }

        interface ModelVerifier {
            function modelParts() external view returns (ModelParts);
            function schema() external view returns (bytes);
            function VERIFIER() external view returns (address);
            function BATCH_VERIFIER() external view returns (address);
            function PROOF_LENGTH() external view returns (uint256);
            function INSTANCE_COUNT() external view returns (uint256);
            function GAS_CAP() external view returns (uint256);
        }

        interface EmergencyStop {
            function stop() external;
            function paused() external view returns (bool);
            function VERIFIER() external view returns (address);
            function owner() external view returns (address);
        }

        interface PredictionLedger {
            #[derive(Debug)]
            event BatchRecorded(bytes32 indexed root, address indexed submitter, uint256 count);

            function recordBatch(
                bytes32 modelId,
                bytes32[] contexts,
                bytes[] proofs,
                uint256[][] instances
            ) external returns (bytes32[] ids, bytes schema, bytes32 root);
        }

        /// The ledger before that, which kept a slot for each prediction of a batch.
        interface PredictionLedgerV1 {
            function recordBatch(
                bytes32 modelId,
                bytes32[] contexts,
                bytes[] proofs,
                uint256[][] instances
            ) external returns (bytes32[] ids, bytes schema);
        }
    }
}

use bindings::{EmergencyStop, ModelVerifier, PredictionLedger, PredictionLedgerV1};

/// A model's contracts, as they say themselves.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// Whether a stop stands in front, and if so whether it was used.
    pub(super) stopped: Option<bool>,
    pub(super) adapter: Address,
    pub(super) verifier: Address,
    pub(super) takes_batches: bool,
    pub(super) engine_version: String,
    pub(super) proof_length: U256,
    pub(super) instance_count: U256,
    pub(super) gas_cap: U256,
}

/// Asks what a route leads to.
pub(super) async fn model(rpc: &Rpc, route: Address) -> Result<Model> {
    // An adapter has no `paused()`, so a refusal means that there is no stop.
    let (stopped, adapter) = match ask(rpc, route, &EmergencyStop::pausedCall {}).await {
        Ok(paused) => (Some(paused), ask(rpc, route, &EmergencyStop::VERIFIERCall {}).await?),
        Err(Error::Rpc(error)) if !error.is_revert() => return Err(error.into()),
        Err(_) => (None, route),
    };
    let batches = ask(rpc, adapter, &ModelVerifier::BATCH_VERIFIERCall {}).await?;
    Ok(Model {
        stopped,
        adapter,
        verifier: ask(rpc, adapter, &ModelVerifier::VERIFIERCall {}).await?,
        takes_batches: !batches.is_zero(),
        engine_version: ask(rpc, adapter, &ModelVerifier::modelPartsCall {}).await?.engine,
        proof_length: ask(rpc, adapter, &ModelVerifier::PROOF_LENGTHCall {}).await?,
        instance_count: ask(rpc, adapter, &ModelVerifier::INSTANCE_COUNTCall {}).await?,
        gas_cap: ask(rpc, adapter, &ModelVerifier::GAS_CAPCall {}).await?,
    })
}

/// Who can use the stop.
pub(super) async fn guardian(rpc: &Rpc, stop: Address) -> Result<Address> {
    ask(rpc, stop, &EmergencyStop::ownerCall {}).await
}

/// What the adapter's instances stand for.
pub(super) async fn schema(rpc: &Rpc, route: Address) -> Result<Schema> {
    let bytes = ask(rpc, route, &ModelVerifier::schemaCall {}).await?;
    let function = ModelVerifier::schemaCall::SIGNATURE;
    Schema::read_v1(&bytes).ok_or(Error::NotOurs { address: route, function })
}

/// Ids, schema and root in what a call of `recordBatch` returned.
pub(super) fn batch_answer(output: &[u8]) -> Option<(Vec<B256>, Schema, Option<B256>)> {
    // The first version's has two values, so that the first of them begins after two words.
    let is_v1 = output.get(..32).is_some_and(|word| U256::from_be_slice(word) == U256::from(64));
    let (ids, schema, root) = if is_v1 {
        let answer = PredictionLedgerV1::recordBatchCall::abi_decode_returns(output).ok()?;
        (answer.ids, answer.schema, None)
    } else {
        let answer = PredictionLedger::recordBatchCall::abi_decode_returns(output).ok()?;
        (answer.ids, answer.schema, Some(answer.root))
    };
    Some((ids, Schema::read_v1(&schema)?, root))
}

/// The predictions and the roots in the ledger's events. Each prediction has one of its own.
pub(super) fn events(ledger: Address, receipt: &Receipt) -> (Vec<Recorded>, Vec<B256>) {
    let logs = || receipt.logs.iter().filter(|log| log.address() == ledger);
    let recorded = logs().filter_map(|log| prediction(&log.inner)).collect();
    let roots = logs()
        .filter_map(|log| PredictionLedger::BatchRecorded::decode_log(&log.inner).ok())
        .map(|event| event.root)
        .collect();
    (recorded, roots)
}
