//! Calls of the ledger, and its events.

use super::{Claims, LedgerRequest};
use crate::{
    chain::{
        contracts::{
            bindings::PredictionLedger,
            events::{self, Recorded},
            former,
        },
        submit::words_text,
        tx::{About, Call, Receipt},
    },
    model::{proof::Proof, schema::Schema},
};
use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol_types::SolCall,
};

/// From so many bytes of a proof on that packed instances save, they are sent packed. Below that the ledger's work of
/// unpacking them for a prediction's id costs more gas than the bytes, which are mostly zeros, under today's rules: by
/// snapshots/forks.json 192 bytes (`tree`) cost 2,050 gas more in a record, 576 (`batch`) cost 1,836 less and 1,280
/// (`credit`) 6,208 less.
const WORTH_PACKING: usize = 400;

/// Whether it is one prediction, which the ledger records by itself.
pub(super) fn is_single(claims: &Claims) -> bool {
    claims.proofs.len() == 1 && claims.descriptor.predictions() == 1
}

/// The packed instances of each proof, where that saves enough and all of them fit.
fn packed(claims: &Claims) -> Option<Vec<Bytes>> {
    let packing = claims.descriptor.packing();
    let saved = (32 * packing.count()).saturating_sub(packing.len());
    if saved < WORTH_PACKING {
        return None;
    }
    let pack = |proof: &Proof| packing.pack(&proof.instances).map(Bytes::from);
    claims.proofs.iter().map(pack).collect()
}

/// The transaction that records all of the request's predictions.
pub(super) fn call(request: &LedgerRequest, is_former: bool) -> Call {
    let claims = &request.claims;
    let (model_id, context) = (claims.model.0, request.context);
    let packed = if is_former { None } else { packed(claims) };
    let list = |texts: Vec<String>| format!("[{}]", texts.join(", "));
    let words =
        |proof: &Proof| -> Vec<U256> { proof.instances.iter().map(|it| it.to_u256()).collect() };
    let proofs: Vec<_> = claims.proofs.iter().map(|proof| proof.bytes.clone()).collect();
    let proofs_text = || list(proofs.iter().map(Bytes::to_string).collect());
    let instances = || claims.proofs.iter().map(words).collect();
    let instances_text = match &packed {
        Some(packed) => packed.iter().map(Bytes::to_string).collect(),
        None => claims.proofs.iter().map(|it| words_text(&it.instances)).collect::<Vec<_>>(),
    };
    let (input, signature, arguments) = if is_single(claims) {
        let proof = proofs[0].clone();
        let arguments = vec![context.to_string(), proof.to_string(), instances_text.concat()];
        match packed {
            Some(packed) => {
                let packed = packed.concat().into();
                let call = PredictionLedger::recordPackedCall {
                    modelId: model_id,
                    context,
                    proof,
                    packed,
                };
                (call.abi_encode(), PredictionLedger::recordPackedCall::SIGNATURE, arguments)
            }
            None => {
                let instances = words(&claims.proofs[0]);
                let call =
                    PredictionLedger::recordCall { modelId: model_id, context, proof, instances };
                (call.abi_encode(), PredictionLedger::recordCall::SIGNATURE, arguments)
            }
        }
    } else if is_former {
        let contexts = vec![context; proofs.len()];
        let text = list(contexts.iter().map(B256::to_string).collect());
        let arguments = vec![text, proofs_text(), list(instances_text)];
        let instances = instances();
        use former::bindings::PredictionLedger::recordBatchCall;
        let call = recordBatchCall { modelId: model_id, contexts, proofs, instances };
        (call.abi_encode(), recordBatchCall::SIGNATURE, arguments)
    } else {
        let count = U256::from(claims.count());
        let arguments =
            vec![context.to_string(), count.to_string(), proofs_text(), list(instances_text)];
        match packed {
            Some(packed) => {
                use PredictionLedger::recordBatchPackedCall;
                let call =
                    recordBatchPackedCall { modelId: model_id, context, count, proofs, packed };
                (call.abi_encode(), recordBatchPackedCall::SIGNATURE, arguments)
            }
            None => {
                use PredictionLedger::recordBatchCall;
                let instances = instances();
                let call = recordBatchCall { modelId: model_id, context, count, proofs, instances };
                (call.abi_encode(), recordBatchCall::SIGNATURE, arguments)
            }
        }
    };
    let label = match claims.count() {
        1 => "recording the prediction",
        _ => "recording the predictions",
    };
    let about = About {
        contract_name: Some("PredictionLedger".into()),
        contract_address: Some(request.ledger),
        function: Some(signature.into()),
        arguments: Some([vec![claims.model.to_string()], arguments].concat()),
        create2: false,
    };
    Call::new(request.ledger, input.into(), label).about(about)
}

/// The predictions and the roots in the ledger's events: one event for each prediction by itself, and one for a batch.
pub(super) fn events(
    ledger: Address,
    schema: &Schema,
    receipt: &Receipt,
) -> (Vec<Recorded>, Vec<B256>) {
    let (mut all, mut roots) = (Vec::new(), Vec::new());
    for log in receipt.logs.iter().filter(|log| log.address() == ledger) {
        all.extend(events::prediction(&log.inner));
        if let Some((recorded, root)) = events::batch(&log.inner, schema) {
            all.extend(recorded);
            roots.push(root);
        }
    }
    (all, roots)
}
