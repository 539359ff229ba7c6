//! Recording predictions.

use super::{
    ask,
    bindings::{ModelRouter, ModelVerifier, PredictionLedger, PredictionLedgerV1},
    tree,
};
use crate::{
    calldata::Shape,
    chain::{
        ChainClass, Error, Mode, Result,
        deploy::Outcome,
        deployments::{Deployments, Role},
        node::rpc::Rpc,
        submit::{check_code, words_text},
        tx::{self, About, Call, Receipt, Sender, Simulation},
    },
    field::Felt,
    model::{
        identity::ModelId,
        proof::Proof,
        schema::{DecodedTensor, Schema},
    },
};
use alloy::{
    primitives::{Address, B256, U256, keccak256},
    sol_types::{SolCall, SolEvent, SolValue},
};

/// Predictions of one model to record, in one transaction.
#[derive(Clone, Debug)]
pub struct LedgerRequest {
    /// The ledger's address in the deployments file.
    pub ledger: Address,
    /// keccak256 of the ledger's runtime code.
    pub ledger_code_hash: B256,
    /// The router that the ledger asks.
    pub router: Address,
    /// The id of the model that all the proofs are of.
    pub model: ModelId,
    /// What the router must point to for that model.
    pub route: Address,
    /// keccak256 of the route's runtime code.
    pub route_code_hash: B256,
    /// Chosen by the submitter: one prediction can be recorded once in each context.
    pub context: B256,
    /// The predictions; several are verified together.
    pub claims: Vec<Proof>,
    /// What the verifying key and the settings give a proof.
    pub shape: Shape,
}

impl LedgerRequest {
    /// A request from what the deployments file says about that model.
    ///
    /// # Errors
    /// The file has no ledger or not that model, or the model's SRS is not for this chain.
    pub fn for_model(
        deployments: &Deployments,
        model: ModelId,
        context: B256,
        class: ChainClass,
        claims: Vec<Proof>,
        shape: Shape,
    ) -> Result<Self> {
        let chain_id = deployments.chain_id;
        let missing = |what: &'static str| Error::NotDeployed { what, model, chain_id };
        let ledger = deployments.of_role(Role::Ledger).ok_or_else(|| missing("ledger"))?;
        let router = deployments.of_role(Role::Router).ok_or_else(|| missing("router"))?;
        let route = deployments
            .of_model(Role::EmergencyStop, model)
            .or_else(|| deployments.of_model(Role::ModelVerifier, model))
            .ok_or_else(|| missing("model"))?;
        if let Some(model) = &route.model {
            class.check_srs(&model.srs, chain_id)?;
        }
        Ok(Self {
            ledger: ledger.address,
            ledger_code_hash: ledger.runtime_code_hash,
            router: router.address,
            model,
            route: route.address,
            route_code_hash: route.runtime_code_hash,
            context,
            claims,
            shape,
        })
    }
}

/// What became of a submission.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// The predictions, in the request's order.
    pub predictions: Vec<Prediction>,
    /// What several are recorded under; a ledger of the first version records each by itself.
    pub root: Option<B256>,
    /// Simulated, or mined with the receipt.
    pub outcome: Outcome,
}

/// A prediction that was submitted.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// Its id in the ledger; see [`prediction_id`].
    pub id: B256,
    /// From its leaf up to the root of several, for the ledger's `isVerified`.
    pub path: Vec<B256>,
    /// Its numbers, by the scales that the chain has.
    pub decoded: Vec<DecodedTensor>,
    /// The ledger's event, if it was mined.
    pub recorded: Option<Recorded>,
}

/// The ledger's event `PredictionRecorded`, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The id of the model that predicts.
    pub model: ModelId,
    /// The id that the ledger computed; see [`prediction_id`].
    pub id: B256,
    /// The account that called the ledger.
    pub submitter: Address,
    /// The submitter's choice; see [`LedgerRequest::context`].
    pub context: B256,
    /// keccak256 of the instances before the outputs, 32 bytes each.
    pub inputs_hash: B256,
    /// The outputs' scalars as in the proof; the route's `schema()` has their scales.
    pub outputs: Vec<Felt>,
}

/// `keccak256(abi.encode(model id, keccak256(instances), chain id, submitter, context))`, the
/// instances as 32-byte big-endian words.
pub fn prediction_id(
    model: ModelId,
    instances: &[Felt],
    chain_id: u64,
    submitter: Address,
    context: B256,
) -> B256 {
    let words: Vec<u8> = instances.iter().flat_map(|felt| felt.to_be_bytes()).collect();
    let fields = (model.0, keccak256(words), U256::from(chain_id), submitter, context);
    keccak256(fields.abi_encode_params())
}

/// Checks, simulates and, if told to broadcast, records predictions, all or none. The sender should know the
/// errors of [`super::decoder`].
pub async fn submit_to_ledger(
    sender: &Sender,
    request: &LedgerRequest,
    mode: Mode,
) -> Result<Submitted> {
    request.claims.iter().try_for_each(|claim| claim.check(request.shape))?;
    let ids = ids(sender, request)?;
    let call = call(request);
    if mode == Mode::Broadcast
        && let Some(receipt) = sender.earlier(&call).await?
    {
        // What the state says now would be this very transaction's doing: recorded already.
        let schema = ask(sender.rpc(), request.route, &ModelVerifier::schemaCall {}).await;
        let schema = schema.ok().and_then(|bytes| Schema::read(&bytes)).unwrap_or_default();
        let predictions = request.claims.iter().zip(ids).map(|(claim, id)| {
            let decoded = schema.decode(&claim.instances).unwrap_or_default();
            Prediction { id, path: Vec::new(), decoded, recorded: None }
        });
        return recorded(request, predictions.collect(), receipt);
    }
    check_code(sender, request.ledger, request.ledger_code_hash).await?;
    check_code(sender, request.route, request.route_code_hash).await?;
    check_routes(sender, request).await?;
    let simulation = sender.simulate(&call).await?;
    let (mut predictions, root) = answer(request, &ids, &simulation)?;
    match mode {
        Mode::DryRun => {
            if root.is_some() {
                set_paths(&mut predictions);
            }
            Ok(Submitted { predictions, root, outcome: Outcome::Simulated(Box::new(simulation)) })
        }
        Mode::Broadcast => recorded(request, predictions, sender.send(&call).await?),
    }
}

/// The predictions with the ledger's event of each.
fn recorded(
    request: &LedgerRequest,
    mut predictions: Vec<Prediction>,
    receipt: Receipt,
) -> Result<Submitted> {
    let events = events(request, &receipt);
    for prediction in &mut predictions {
        let event = events.iter().find(|event| event.id == prediction.id).cloned();
        let missing = Error::NoEvent { ledger: request.ledger, hash: receipt.hash };
        prediction.recorded = Some(event.ok_or(missing)?);
    }
    let roots = roots(request, &receipt);
    let mut root = None;
    if predictions.len() > 1 && !roots.is_empty() {
        let ids: Vec<_> = predictions.iter().map(|prediction| prediction.id).collect();
        root = tree::root(&ids).filter(|root| roots.contains(root));
        if root.is_none() {
            return Err(Error::NoEvent { ledger: request.ledger, hash: receipt.hash });
        }
        set_paths(&mut predictions);
    }
    Ok(Submitted { predictions, root, outcome: Outcome::Mined(Box::new(receipt)) })
}

/// Gives each prediction its path in the tree of all.
fn set_paths(predictions: &mut [Prediction]) {
    let ids: Vec<_> = predictions.iter().map(|prediction| prediction.id).collect();
    for (index, prediction) in predictions.iter_mut().enumerate() {
        prediction.path = tree::path(&ids, index).unwrap_or_default();
    }
}

/// The ids that the predictions will have. The ledger would refuse twins as recorded before.
fn ids(sender: &Sender, request: &LedgerRequest) -> Result<Vec<B256>> {
    let (chain_id, submitter) = (sender.rpc().chain_id(), sender.address());
    let mut ids = Vec::new();
    for claim in &request.claims {
        let id =
            prediction_id(request.model, &claim.instances, chain_id, submitter, request.context);
        if let Some(first) = ids.iter().position(|known| *known == id) {
            return Err(Error::SamePrediction { first: first + 1, second: ids.len() + 1 });
        }
        ids.push(id);
    }
    Ok(ids)
}

/// The ledger asks the router that we know, and that points to the contract that we know.
async fn check_routes(sender: &Sender, request: &LedgerRequest) -> Result<()> {
    let rpc = sender.rpc();
    let router = ask(rpc, request.ledger, &PredictionLedger::routerCall {}).await?;
    if router != request.router {
        let (ledger, expected) = (request.ledger, request.router);
        return Err(Error::OtherRouter { ledger, found: router, expected });
    }
    let model = request.model;
    let call = Call::new(
        router,
        ModelRouter::verifierOfCall { modelId: model.0 }.abi_encode().into(),
        format!("the submission for the model {model}"),
    );
    let answer = sender.call(&call).await?;
    let found = ModelRouter::verifierOfCall::abi_decode_returns(&answer).map_err(|_| {
        Error::NotOurs { address: router, function: ModelRouter::verifierOfCall::SIGNATURE }
    })?;
    if found == request.route {
        Ok(())
    } else {
        Err(Error::RoutedElsewhere { model, found, wanted: request.route })
    }
}

fn call(request: &LedgerRequest) -> Call {
    let words = |claim: &Proof| claim.instances.iter().map(|felt| felt.to_u256()).collect();
    let (model_id, context) = (request.model.0, request.context);
    let (input, signature, label, arguments) = match request.claims.as_slice() {
        [claim] => {
            let (proof, instances) = (claim.bytes.clone(), words(claim));
            let call =
                PredictionLedger::recordCall { modelId: model_id, context, proof, instances };
            let arguments =
                vec![context.to_string(), claim.bytes.to_string(), words_text(&claim.instances)];
            let signature = PredictionLedger::recordCall::SIGNATURE;
            (call.abi_encode(), signature, "recording the prediction", arguments)
        }
        claims => {
            let list = |text: &dyn Fn(&Proof) -> String| {
                let texts: Vec<_> = claims.iter().map(text).collect();
                format!("[{}]", texts.join(", "))
            };
            let arguments = vec![
                list(&|_| context.to_string()),
                list(&|claim| claim.bytes.to_string()),
                list(&|claim| words_text(&claim.instances)),
            ];
            let call = PredictionLedger::recordBatchCall {
                modelId: model_id,
                contexts: vec![context; claims.len()],
                proofs: claims.iter().map(|claim| claim.bytes.clone()).collect(),
                instances: claims.iter().map(words).collect(),
            };
            let signature = PredictionLedger::recordBatchCall::SIGNATURE;
            (call.abi_encode(), signature, "recording the predictions", arguments)
        }
    };
    let about = About {
        contract_name: Some("PredictionLedger".into()),
        contract_address: Some(request.ledger),
        function: Some(signature.into()),
        arguments: Some([vec![request.model.to_string()], arguments].concat()),
        create2: false,
    };
    Call::new(request.ledger, input.into(), label).about(about)
}

/// What the ledger says that it would record, and under which root.
fn answer(
    request: &LedgerRequest,
    expected: &[B256],
    simulation: &Simulation,
) -> Result<(Vec<Prediction>, Option<B256>)> {
    let odd = |function: &'static str| Error::NotOurs { address: request.ledger, function };
    let output = &simulation.output;
    let (ids, schema, root, function) = match request.claims.as_slice() {
        [_] => {
            let function = PredictionLedger::recordCall::SIGNATURE;
            let answer = PredictionLedger::recordCall::abi_decode_returns(output);
            let answer = answer.map_err(|_| odd(function))?;
            (vec![answer.id], answer.schema, None, function)
        }
        _ if is_v1_batch(output) => {
            let function = PredictionLedgerV1::recordBatchCall::SIGNATURE;
            let answer = PredictionLedgerV1::recordBatchCall::abi_decode_returns(output);
            let answer = answer.map_err(|_| odd(function))?;
            (answer.ids, answer.schema, None, function)
        }
        _ => {
            let function = PredictionLedger::recordBatchCall::SIGNATURE;
            let answer = PredictionLedger::recordBatchCall::abi_decode_returns(output);
            let answer = answer.map_err(|_| odd(function))?;
            (answer.ids, answer.schema, Some(answer.root), function)
        }
    };
    if ids != expected || root.is_some_and(|root| tree::root(&ids) != Some(root)) {
        return Err(odd(function));
    }
    let schema = Schema::read(&schema).ok_or_else(|| odd(function))?;
    let predictions = request.claims.iter().zip(ids).map(|(claim, id)| {
        let decoded = schema.decode(&claim.instances)?;
        Some(Prediction { id, path: Vec::new(), decoded, recorded: None })
    });
    let predictions = predictions.collect::<Option<_>>().ok_or_else(|| odd(function))?;
    Ok((predictions, root))
}

/// Whether a batch's answer is of the first version: two values, so that the first of them begins after two words.
fn is_v1_batch(output: &[u8]) -> bool {
    output.get(..32).is_some_and(|word| U256::from_be_slice(word) == U256::from(64))
}

/// The roots that the ledger recorded in a transaction.
fn roots(request: &LedgerRequest, receipt: &Receipt) -> Vec<B256> {
    let logs = receipt.logs.iter().filter(|log| log.address() == request.ledger);
    logs.filter_map(|log| PredictionLedger::BatchRecorded::decode_log(&log.inner).ok())
        .map(|event| event.root)
        .collect()
}

/// The ledger's events of the model.
fn events(request: &LedgerRequest, receipt: &Receipt) -> Vec<Recorded> {
    let logs = receipt.logs.iter().filter(|log| log.address() == request.ledger);
    logs.filter_map(|log| {
        let event = PredictionLedger::PredictionRecorded::decode_log(&log.inner).ok()?.data;
        let outputs = event.outputs.iter().map(|output| Felt::new(*output).ok());
        Some(Recorded {
            model: ModelId(event.modelId),
            id: event.id,
            submitter: event.submitter,
            context: event.context,
            inputs_hash: event.inputsHash,
            outputs: outputs.collect::<Option<_>>()?,
        })
    })
    .filter(|recorded| recorded.model == request.model)
    .collect()
}

/// Whether the ledger has a prediction of this id by itself, and not under a root of several.
pub async fn is_recorded(rpc: &Rpc, ledger: Address, id: B256) -> Result<bool> {
    ask(rpc, ledger, &PredictionLedger::isVerified_0Call { id }).await
}

/// Whether an error says that this account recorded this prediction, or these together, before.
pub fn is_already_recorded(error: &Error) -> bool {
    let Error::Transaction(error) = error else { return false };
    let (tx::Error::WouldRevert { revert, .. } | tx::Error::Failed { revert: Some(revert), .. }) =
        error.as_ref()
    else {
        return false;
    };
    matches!(revert.name(), Some("AlreadyRecorded" | "BatchAlreadyRecorded"))
}
