//! Recording predictions.

use super::{
    ask,
    bindings::{ModelRouter, PredictionLedger},
    schema::{DecodedTensor, Schema},
};
use crate::{
    chain::{
        Error, Mode, Result,
        broadcast::About,
        deploy::Outcome,
        deployments::{Deployments, ModelId, Role},
        policy,
        submit::{check_code, check_shape},
        tx::{self, Call, Receipt, Sender, Simulation},
    },
    field::Felt,
};
use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    sol_types::{SolCall, SolEvent, SolValue},
};

/// A prediction to record.
#[derive(Clone, Debug)]
pub struct LedgerRequest {
    /// The ledger.
    pub ledger: Address,
    /// keccak256 of the ledger's runtime code.
    pub ledger_code_hash: B256,
    /// The router that the ledger asks.
    pub router: Address,
    /// The model.
    pub model: ModelId,
    /// What the router must point to for that model.
    pub route: Address,
    /// keccak256 of the route's runtime code.
    pub route_code_hash: B256,
    /// Chosen by the submitter: one prediction can be recorded once in each context.
    pub context: B256,
    /// The proof.
    pub proof: Bytes,
    /// The public instances.
    pub instances: Vec<Felt>,
    /// The length that the verifying key gives a proof, in bytes.
    pub proof_length: usize,
    /// The number of instances that the settings give.
    pub instance_count: usize,
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
        local: bool,
        (proof, proof_length): (Bytes, usize),
        (instances, instance_count): (Vec<Felt>, usize),
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
            policy::check_srs(&model.srs, chain_id, local)?;
        }
        Ok(Self {
            ledger: ledger.address,
            ledger_code_hash: ledger.runtime_code_hash,
            router: router.address,
            model,
            route: route.address,
            route_code_hash: route.runtime_code_hash,
            context,
            proof,
            instances,
            proof_length,
            instance_count,
        })
    }
}

/// What became of a submission.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// The prediction's id.
    pub id: B256,
    /// The prediction, by the scales that the chain has.
    pub prediction: Vec<DecodedTensor>,
    /// Simulated or mined.
    pub outcome: Outcome,
    /// The ledger's event, if it was mined.
    pub recorded: Option<Recorded>,
}

/// The ledger's event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The model.
    pub model: ModelId,
    /// The prediction's id.
    pub id: B256,
    /// Who recorded it.
    pub submitter: Address,
    /// The submitter's context.
    pub context: B256,
    /// keccak256 of the instances before the outputs, 32 bytes each.
    pub inputs_hash: B256,
    /// The outputs.
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

/// Checks, simulates and, if told to broadcast, records a prediction. The sender should know the
/// errors of [`super::decoder`].
pub async fn submit_to_ledger(
    sender: &Sender,
    request: &LedgerRequest,
    mode: Mode,
) -> Result<Submitted> {
    let LedgerRequest { proof, instances, .. } = request;
    check_shape(proof, request.proof_length, instances, request.instance_count)?;
    check_code(sender, request.ledger, request.ledger_code_hash).await?;
    check_code(sender, request.route, request.route_code_hash).await?;
    check_routes(sender, request).await?;
    let call = call(request);
    let simulation = sender.simulate(&call).await?;
    let (id, prediction) = answer(sender, request, &simulation)?;
    let (outcome, recorded) = match mode {
        Mode::DryRun => (Outcome::Simulated(Box::new(simulation)), None),
        Mode::Broadcast => {
            let receipt = sender.send(&call).await?;
            let recorded = event(request, &receipt)
                .filter(|recorded| recorded.id == id)
                .ok_or(Error::NoEvent { ledger: request.ledger, hash: receipt.hash })?;
            (Outcome::Mined(Box::new(receipt)), Some(recorded))
        }
    };
    Ok(Submitted { id, prediction, outcome, recorded })
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
    let instances: Vec<U256> = request.instances.iter().map(|felt| felt.to_u256()).collect();
    let text = vec![
        request.model.to_string(),
        request.context.to_string(),
        request.proof.to_string(),
        format!("{instances:?}"),
    ];
    let input = PredictionLedger::recordCall {
        modelId: request.model.0,
        context: request.context,
        proof: request.proof.clone(),
        instances,
    };
    let about = About {
        contract_name: Some("PredictionLedger".into()),
        contract_address: Some(request.ledger),
        function: Some(PredictionLedger::recordCall::SIGNATURE.into()),
        arguments: Some(text),
        create2: false,
    };
    Call::new(request.ledger, input.abi_encode().into(), "recording the prediction").about(about)
}

/// What the ledger says that it would record.
fn answer(
    sender: &Sender,
    request: &LedgerRequest,
    simulation: &Simulation,
) -> Result<(B256, Vec<DecodedTensor>)> {
    let odd = || Error::NotOurs {
        address: request.ledger,
        function: PredictionLedger::recordCall::SIGNATURE,
    };
    let answer =
        PredictionLedger::recordCall::abi_decode_returns(&simulation.output).map_err(|_| odd())?;
    let expected = prediction_id(
        request.model,
        &request.instances,
        sender.rpc().chain_id(),
        sender.address(),
        request.context,
    );
    if answer.id != expected {
        return Err(odd());
    }
    let schema = Schema::read(&answer.schema).ok_or_else(odd)?;
    let prediction = schema.decode(&request.instances).ok_or_else(odd)?;
    Ok((answer.id, prediction))
}

fn event(request: &LedgerRequest, receipt: &Receipt) -> Option<Recorded> {
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
    .find(|recorded| recorded.model == request.model)
}

/// Whether an error says that this account recorded this prediction before.
pub fn is_already_recorded(error: &Error) -> bool {
    let Error::Transaction(error) = error else { return false };
    let (tx::Error::WouldRevert { revert, .. } | tx::Error::Failed { revert: Some(revert), .. }) =
        error.as_ref()
    else {
        return false;
    };
    revert.name() == Some("AlreadyRecorded")
}
