//! What the ledger's events say.

use super::bindings::PredictionLedger::{BatchRecorded, PredictionRecorded};
use crate::{
    field::Felt,
    model::{identity::ModelId, packing::Packing, schema::Schema},
};
use alloy::{
    primitives::{Address, B256, Log},
    sol_types::SolEvent,
};

/// A prediction in an event of the ledger, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The id of the model that predicts.
    pub model: ModelId,
    /// The id that the ledger computed; see [`prediction_id`](super::prediction_id).
    pub id: B256,
    /// The account that called the ledger.
    pub submitter: Address,
    /// The submitter's choice; see [`LedgerRequest::context`](super::LedgerRequest::context).
    pub context: B256,
    /// keccak256 of the instances before the outputs, 32 bytes each. The event of a batch does not have it.
    pub inputs_hash: Option<B256>,
    /// The outputs' scalars as in the proof; the model's schema has their scales.
    pub outputs: Vec<Felt>,
}

/// The prediction of an event of its own.
pub(super) fn prediction(log: &Log) -> Option<Recorded> {
    let event = PredictionRecorded::decode_log(log).ok()?.data;
    let outputs = event.outputs.iter().map(|output| Felt::new(*output).ok());
    Some(Recorded {
        model: ModelId(event.modelId),
        id: event.id,
        submitter: event.submitter,
        context: event.context,
        inputs_hash: Some(event.inputsHash),
        outputs: outputs.collect::<Option<_>>()?,
    })
}

/// The predictions of a batch's event, and their root. The outputs stand there one prediction after the other, packed
/// in the widths of the model's schema, or as words if one of them does not fit.
pub(super) fn batch(log: &Log, schema: &Schema) -> Option<(Vec<Recorded>, B256)> {
    let event = BatchRecorded::decode_log(log).ok()?.data;
    let (packed, count) = (schema.outputs().packing(), event.ids.len());
    let words = Packing::words(packed.count());
    let fits = |packing: &&Packing| event.outputs.len() == packing.len() * count;
    let packing = [&words, &packed].into_iter().find(fits)?;
    let recorded = event.ids.iter().enumerate().map(|(index, id)| {
        Some(Recorded {
            model: ModelId(event.modelId),
            id: *id,
            submitter: event.submitter,
            context: event.context,
            inputs_hash: None,
            outputs: packing.unpack(&event.outputs[index * packing.len()..][..packing.len()])?,
        })
    });
    Some((recorded.collect::<Option<_>>()?, event.root))
}
