//! Recording predictions.

mod present;

use super::{
    ask,
    bindings::{ModelRouter, PredictionLedger},
    events::Recorded,
    former, ledger_of, tree,
};
use crate::{
    calldata::Shape,
    chain::{
        ChainClass, Error, Mode, Result, create2,
        deploy::Outcome,
        deployments::{Deployments, Entry, Role},
        node::rpc::Rpc,
        submit::check_code,
        tx::{self, Call, Receipt, Sender},
    },
    field::Felt,
    model::{
        identity::ModelId,
        proof::Proof,
        schema::{DecodedTensor, Descriptor, Schema},
    },
};
use alloy::{
    primitives::{Address, B256, U256, keccak256},
    sol_types::{SolCall, SolValue},
};

/// Proofs of one model.
#[derive(Clone, Debug)]
pub struct Claims {
    /// The model's id, and those by which contracts of earlier releases know it.
    pub model: ModelId,
    /// The newest first.
    pub former_ids: Vec<ModelId>,
    /// What the instances of a proof stand for.
    pub descriptor: Descriptor,
    /// The proofs; several are verified together.
    pub proofs: Vec<Proof>,
    /// How many predictions each is of. The last proof may be of fewer than the others; what it has beyond is never
    /// recorded.
    pub counts: Vec<usize>,
    /// What the verifying key and the settings give a proof.
    pub shape: Shape,
}

impl Claims {
    /// All of them together.
    fn count(&self) -> usize {
        self.counts.iter().sum()
    }

    /// Each prediction's instances, in order.
    ///
    /// # Errors
    /// There is no proof, or one has another shape, or another than the last is of fewer predictions.
    fn predictions(&self) -> Result<Vec<Vec<Felt>>> {
        self.proofs.iter().try_for_each(|proof| proof.check(self.shape))?;
        if self.proofs.is_empty() {
            return Err(Error::NoProof);
        }
        let each = self.descriptor.predictions() as usize;
        let mut predictions = Vec::new();
        for (index, proof) in self.proofs.iter().enumerate() {
            let count = self.counts.get(index).copied().unwrap_or(each);
            let is_last = index + 1 == self.proofs.len();
            if !(1..=each).contains(&count) || (count < each && !is_last) {
                return Err(Error::ShortProof { number: index + 1, count, each });
            }
            let (found, expected) = (proof.instances.len(), self.shape.n_instances);
            let parts = self.descriptor.parts(&proof.instances);
            let parts = parts.ok_or(Error::InstanceCount { found, expected })?;
            predictions.extend(parts.into_iter().take(count));
        }
        Ok(predictions)
    }
}

/// Which release's contracts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Generation {
    /// A model is a clone, by the router that made it.
    Present,
    /// A model is an adapter that was deployed by itself.
    Former,
}

/// Predictions of one model to record, in one transaction.
#[derive(Clone, Debug)]
pub struct LedgerRequest {
    /// The ledger's address in the deployments file.
    pub ledger: Address,
    /// keccak256 of the ledger's runtime code.
    pub ledger_code_hash: B256,
    /// The router that the ledger asks.
    pub router: Address,
    /// What the router must point to for that model.
    pub route: Address,
    /// keccak256 of the route's runtime code.
    pub route_code_hash: B256,
    /// Chosen by the submitter: one prediction can be recorded once in each context.
    pub context: B256,
    /// The proofs; their model is the one that the router knows.
    pub claims: Claims,
    generation: Generation,
}

impl LedgerRequest {
    /// A request from what the deployments file says about the model: its clone, or else what an earlier release
    /// deployed for it.
    ///
    /// # Errors
    /// The file has no ledger or not that model, or the model's SRS is not for this chain.
    pub fn for_model(
        deployments: &Deployments,
        mut claims: Claims,
        context: B256,
        class: ChainClass,
    ) -> Result<Self> {
        let (model, chain_id) = (claims.model, deployments.chain_id);
        let missing = |what: &'static str| Error::NotDeployed { what, model, chain_id };
        let present = deployments.of_model(Role::ModelVerifier, model);
        let (route, router, ledger, generation) =
            match present.and_then(|it| Some((it, it.router?))) {
                Some((route, router)) => {
                    let ledger = ledger_of(router);
                    let ledger = deployments.at(ledger).ok_or_else(|| missing("ledger"))?;
                    (route, router, ledger, Generation::Present)
                }
                None => {
                    let (route, id) = former_route(deployments, &claims).ok_or(missing("model"))?;
                    claims.model = id;
                    let of_role = |role| {
                        let mut entries = deployments.contracts.iter().rev();
                        entries.find(|it| it.role == role && it.salt != Some(create2::SALT))
                    };
                    let router = of_role(Role::Router).ok_or_else(|| missing("router"))?;
                    let ledger = of_role(Role::Ledger).ok_or_else(|| missing("ledger"))?;
                    (route, router.address, ledger, Generation::Former)
                }
            };
        if let Some(model) = &route.model {
            class.check_srs(&model.srs, chain_id)?;
        }
        Ok(Self {
            ledger: ledger.address,
            ledger_code_hash: ledger.runtime_code_hash,
            router,
            route: route.address,
            route_code_hash: route.runtime_code_hash,
            context,
            claims,
            generation,
        })
    }
}

/// What an earlier release deployed for the model, and the id that it gave it.
fn former_route<'d>(deployments: &'d Deployments, claims: &Claims) -> Option<(&'d Entry, ModelId)> {
    let ids = std::iter::once(&claims.model).chain(&claims.former_ids);
    ids.filter(|_| claims.descriptor.predictions() == 1).find_map(|id| {
        let stop = deployments.of_model(Role::EmergencyStop, *id);
        Some((stop.or_else(|| deployments.of_model(Role::ModelVerifier, *id))?, *id))
    })
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
    /// What the ledger's event says of it, if it was mined.
    pub recorded: Option<Recorded>,
}

/// `keccak256(abi.encode(model id, keccak256(instances), chain id, submitter, context))`, the
/// instances of the one prediction as 32-byte big-endian words.
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
    let predictions = request.claims.predictions()?;
    let ids = ids(sender, request, &predictions)?;
    let call = present::call(request, request.generation == Generation::Former);
    if mode == Mode::Broadcast
        && let Some(receipt) = sender.earlier(&call).await?
    {
        // What the state says now would be this very transaction's doing: recorded already.
        let schema = match request.generation {
            Generation::Present => request.claims.descriptor.schema().clone(),
            Generation::Former => former::schema(sender.rpc(), request.route).await?,
        };
        let predictions = decoded(&schema, &predictions, &ids).unwrap_or_default();
        return recorded(request, &schema, predictions, receipt);
    }
    check_code(sender, request.ledger, request.ledger_code_hash).await?;
    check_code(sender, request.route, request.route_code_hash).await?;
    check_routes(sender, request).await?;
    let simulation = sender.simulate(&call).await?;
    let function = PredictionLedger::recordBatchCall::SIGNATURE;
    let odd = || Error::NotOurs { address: request.ledger, function };
    let answer = answer(request, &simulation.output).ok_or_else(odd)?;
    if answer.ids != ids || answer.root.is_some_and(|root| tree::root(&ids) != Some(root)) {
        return Err(odd());
    }
    let mut predictions = decoded(&answer.schema, &predictions, &ids).ok_or_else(odd)?;
    match mode {
        Mode::DryRun => {
            if answer.root.is_some() {
                set_paths(&mut predictions);
            }
            let outcome = Outcome::Simulated(Box::new(simulation));
            Ok(Submitted { predictions, root: answer.root, outcome })
        }
        Mode::Broadcast => {
            recorded(request, &answer.schema, predictions, sender.send(&call).await?)
        }
    }
}

/// What the ledger says that it would record, and under which root.
struct Answer {
    ids: Vec<B256>,
    schema: Schema,
    root: Option<B256>,
}

/// Nothing for what no ledger of that generation answers; and the schema is what the model's id commits to.
fn answer(request: &LedgerRequest, output: &[u8]) -> Option<Answer> {
    let is_single = present::is_single(&request.claims);
    let former = request.generation == Generation::Former;
    let (ids, schema, root) = match (is_single, former) {
        (true, _) => {
            let answer = PredictionLedger::recordCall::abi_decode_returns(output).ok()?;
            let read = if former { Schema::read_v1 } else { Schema::read };
            (vec![answer.id], read(&answer.schema)?, None)
        }
        (false, true) => former::batch_answer(output)?,
        (false, false) => {
            let answer = PredictionLedger::recordBatchCall::abi_decode_returns(output).ok()?;
            (answer.ids, Schema::read(&answer.schema)?, Some(answer.root))
        }
    };
    let known = former || schema == *request.claims.descriptor.schema();
    known.then_some(Answer { ids, schema, root })
}

fn decoded(schema: &Schema, predictions: &[Vec<Felt>], ids: &[B256]) -> Option<Vec<Prediction>> {
    let one = |(instances, id): (&Vec<Felt>, &B256)| {
        let decoded = schema.decode(instances)?;
        Some(Prediction { id: *id, path: Vec::new(), decoded, recorded: None })
    };
    predictions.iter().zip(ids).map(one).collect()
}

/// The predictions with what the ledger's events say of each.
fn recorded(
    request: &LedgerRequest,
    schema: &Schema,
    mut predictions: Vec<Prediction>,
    receipt: Receipt,
) -> Result<Submitted> {
    let missing = || Error::NoEvent { ledger: request.ledger, hash: receipt.hash };
    let (events, roots) = match request.generation {
        Generation::Present => present::events(request.ledger, schema, &receipt),
        Generation::Former => former::events(request.ledger, &receipt),
    };
    let of_model = |event: &&Recorded| event.model == request.claims.model;
    let events: Vec<_> = events.iter().filter(of_model).collect();
    for prediction in &mut predictions {
        let event = events.iter().find(|event| event.id == prediction.id);
        prediction.recorded = Some((*event.ok_or_else(missing)?).clone());
    }
    let mut root = None;
    if !present::is_single(&request.claims) && !roots.is_empty() {
        let ids: Vec<_> = predictions.iter().map(|prediction| prediction.id).collect();
        root = tree::root(&ids).filter(|root| roots.contains(root));
        root.ok_or_else(missing)?;
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

/// The ids that the predictions will have. One that is paid for twice is a mistake, unless a proof is of many
/// observations, of which some may be alike.
fn ids(sender: &Sender, request: &LedgerRequest, predictions: &[Vec<Felt>]) -> Result<Vec<B256>> {
    let (chain_id, submitter) = (sender.rpc().chain_id(), sender.address());
    let model = request.claims.model;
    let mut ids = Vec::new();
    for instances in predictions {
        let id = prediction_id(model, instances, chain_id, submitter, request.context);
        let twin = ids.iter().position(|known| *known == id);
        if let Some(first) = twin.filter(|_| request.claims.descriptor.predictions() == 1) {
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
    let model = request.claims.model;
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

/// Whether the ledger has a prediction of this id by itself, and not under a root of several.
///
/// # Errors
/// If the node does not answer, or no ledger is there.
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
