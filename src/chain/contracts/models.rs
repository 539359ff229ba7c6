//! Models: their adapters, their routes, their end.

use super::{
    Core, Name, artifact, ask,
    bindings::{EmergencyStop, ModelParts, ModelRouter, ModelVerifier},
    put,
};
use crate::{
    chain::{
        ChainClass, Error, Mode, Result, create2,
        deploy::{Deployed, Deployer, Outcome},
        deployments::{ModelRecord, Role},
        node::rpc::Rpc,
        submit::words_text,
        tx::{About, Call, Sender},
    },
    model::{
        identity::ModelId,
        proof::Proof,
        schema::{Tensor, descriptor},
    },
};
use alloy::{
    primitives::{Address, B256, U256},
    sol_types::{SolCall, SolValue},
};
use std::path::PathBuf;

/// The gas that a bare verifier is given, from what whole transactions take: half as much again as a
/// verification, against repricings, and a quarter more than the dearest refusal, which has to be
/// told apart from a lack of gas by what is left. In steps of 50,000, so that small differences
/// between compilers do not move the adapter's address.
pub fn default_gas_cap(verify_gas: u64, refusal_gas: u64) -> u64 {
    let success = verify_gas.saturating_mul(3) / 2;
    let refusal = refusal_gas.saturating_mul(5) / 4;
    success.max(refusal).next_multiple_of(50_000)
}

/// A model to add.
#[derive(Clone, Debug)]
pub struct AddModel {
    /// Owner, router and ledger; the owner has to send the call that adds.
    pub core: Core,
    /// What the deployments file is to say of the model; its id is the router's key.
    pub model: ModelRecord,
    /// The address of the verifier that the adapter calls.
    pub verifier: Address,
    /// keccak256 of the bare verifier's runtime code.
    pub verifier_code_hash: B256,
    /// The bare batch verifier and keccak256 of its runtime code; without one, several proofs are
    /// verified one by one.
    pub batch_verifier: Option<(Address, B256)>,
    /// The length of a proof in bytes.
    pub proof_length: usize,
    /// The gas that a bare verifier gets for each proof; see [`default_gas_cap`].
    pub gas_cap: u64,
    /// What the instances stand for, in their order.
    pub tensors: Vec<Tensor>,
    /// Who may stop the model's verifier for good; without one there is no stop.
    pub guardian: Option<Address>,
    /// A proof that the verifier must accept, and mutants of which it must refuse.
    pub golden: Proof,
    /// The folder of the deployments files.
    pub deployments: PathBuf,
    /// Whose chain it is.
    pub class: ChainClass,
}

/// What became of a model.
#[derive(Clone, Debug)]
pub struct AddedModel {
    /// The deployment of the model's adapter.
    pub adapter: Deployed,
    /// The stop in front of it, if wanted.
    pub stop: Option<Deployed>,
    /// What the router points to.
    pub route: Address,
    /// What became of the router's call that adds the route.
    pub outcome: Outcome,
}

/// Deploys a model's adapter, and the stop in front of it, and adds the route. Whatever is there
/// already is left alone. The router tries the golden proof and mutants in the same transaction.
///
/// # Errors
/// A model that is retired or goes elsewhere, and everything that a deployment can come to. If the
/// account is not the router's owner, everything else is deployed and the error has the call that
/// the owner, a timelock perhaps, has to make.
pub async fn add_model(deployer: &mut Deployer<'_>, request: &AddModel) -> Result<AddedModel> {
    let sender = deployer.sender();
    let chain_id = sender.rpc().chain_id();
    request.class.check_srs(&request.model.srs, chain_id)?;
    if let Some(guardian) = request.guardian {
        request.class.check_power(guardian, "guardian", chain_id)?;
    }
    let (init, text) = adapter_arguments(request)?;
    let adapter = artifact(Name::ModelVerifier).contract(init, text);
    let (folder, model) = (&request.deployments, Some(request.model.clone()));
    let route = create2::address(create2::SALT, &adapter.init_code);
    let stop = request.guardian.map(|guardian| {
        let text = vec![route.to_string(), guardian.to_string()];
        artifact(Name::EmergencyStop).contract((route, guardian).abi_encode_params(), text)
    });
    let (adapter_at, route) =
        (route, stop.as_ref().map_or(route, |it| create2::address(create2::SALT, &it.init_code)));
    let id = request.model.id;
    let routed = present_route(sender, request, route).await?;
    tracing::debug!(%adapter_at, %route, routed, "the model's contracts");

    let adapter = put(deployer, folder, &adapter, Role::ModelVerifier, model.clone()).await?;
    let stop = match stop {
        Some(stop) => Some(put(deployer, folder, &stop, Role::EmergencyStop, model).await?),
        None => None,
    };
    if routed {
        return Ok(AddedModel { adapter, stop, route, outcome: Outcome::AlreadyDone });
    }
    let call = add_call(request, route);
    if !deployer.has_plans() || is_deployed(sender, request.core.router).await? {
        check_owner(sender, request.core.router, &call).await?;
    }
    let outcome = match deployer.run(&call).await {
        Ok(outcome) => outcome,
        // A second run may have added it meanwhile.
        Err(error) if !deployer.has_plans() => {
            match route_of(sender.rpc(), request.core.router, id).await {
                Ok(Some(found)) if found == route => Outcome::AlreadyDone,
                _ => return Err(error.into()),
            }
        }
        Err(error) => return Err(error.into()),
    };
    Ok(AddedModel { adapter, stop, route, outcome })
}

/// Whether the router points there already; an error if it points elsewhere, or never will.
async fn present_route(sender: &Sender, request: &AddModel, route: Address) -> Result<bool> {
    let (rpc, router, model) = (sender.rpc(), request.core.router, request.model.id);
    if !is_deployed(sender, router).await? {
        // A dry run before the core is there.
        return Ok(false);
    }
    match status(rpc, router, model).await? {
        Status::Retired => return Err(Error::Retired { model }),
        Status::Active => {
            let found = ask(rpc, router, &ModelRouter::verifierOfCall { modelId: model.0 }).await?;
            return if found == route {
                Ok(true)
            } else {
                Err(Error::RoutedElsewhere { model, found, wanted: route })
            };
        }
        Status::Unknown => {}
    }
    Ok(false)
}

async fn is_deployed(sender: &Sender, contract: Address) -> Result<bool> {
    Ok(!sender.rpc().code(contract).await?.is_empty())
}

/// Only the owner may send this.
async fn check_owner(sender: &Sender, contract: Address, call: &Call) -> Result<()> {
    let owner = ask(sender.rpc(), contract, &ModelRouter::ownerCall {}).await?;
    let account = sender.address();
    if owner == account {
        return Ok(());
    }
    Err(Error::NotOwner { contract, owner, account, call: Box::new(call.clone()) })
}

fn adapter_arguments(request: &AddModel) -> Result<(Vec<u8>, Vec<String>)> {
    let model = &request.model;
    let parts = ModelParts {
        onnxHash: model.onnx_sha256,
        settingsHash: model.settings_sha256,
        srsHash: model.srs_sha256,
        vkHash: model.vk_sha256,
        engine: model.engine_version.clone(),
    };
    let descriptor = descriptor(&request.tensors)?;
    let (batch, batch_hash) = request.batch_verifier.unwrap_or_default();
    let text = vec![
        format!(
            "({}, {}, {}, {}, {})",
            parts.onnxHash, parts.settingsHash, parts.srsHash, parts.vkHash, parts.engine
        ),
        request.verifier.to_string(),
        request.verifier_code_hash.to_string(),
        batch.to_string(),
        batch_hash.to_string(),
        request.proof_length.to_string(),
        request.gas_cap.to_string(),
        alloy::hex::encode_prefixed(&descriptor),
    ];
    let arguments = (
        parts,
        request.verifier,
        request.verifier_code_hash,
        batch,
        batch_hash,
        U256::from(request.proof_length),
        U256::from(request.gas_cap),
        alloy::primitives::Bytes::from(descriptor),
    );
    Ok((arguments.abi_encode_params(), text))
}

/// The transaction that adds the route; only the router's owner may send it.
fn add_call(request: &AddModel, route: Address) -> Call {
    let Proof { bytes: proof, instances } = &request.golden;
    let text = vec![route.to_string(), proof.to_string(), words_text(instances)];
    let instances = instances.iter().map(|instance| instance.to_u256()).collect();
    let input = ModelRouter::addModelCall { verifier: route, proof: proof.clone(), instances };
    let label = format!("adding the model {}", request.model.name);
    owner_call(request.core.router, "ModelRouter", &input, label, text)
}

fn owner_call<C: SolCall>(
    to: Address,
    contract: &str,
    call: &C,
    label: String,
    arguments: Vec<String>,
) -> Call {
    Call::new(to, call.abi_encode().into(), label).about(About {
        contract_name: Some(contract.into()),
        contract_address: Some(to),
        function: Some(C::SIGNATURE.into()),
        arguments: Some(arguments),
        create2: false,
    })
}

/// Where a model stands with a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It was never added.
    Unknown,
    /// It was added, and the router calls its verifier.
    Active,
    /// It was retired for good.
    Retired,
}

async fn status(rpc: &Rpc, router: Address, model: ModelId) -> Result<Status> {
    let call = ModelRouter::statusOfCall { modelId: model.0 };
    match ask(rpc, router, &call).await? {
        0 => Ok(Status::Unknown),
        1 => Ok(Status::Active),
        2 => Ok(Status::Retired),
        _ => {
            Err(Error::NotOurs { address: router, function: ModelRouter::statusOfCall::SIGNATURE })
        }
    }
}

async fn route_of(rpc: &Rpc, router: Address, model: ModelId) -> Result<Option<Address>> {
    match status(rpc, router, model).await? {
        Status::Active => {
            let call = ModelRouter::verifierOfCall { modelId: model.0 };
            ask(rpc, router, &call).await.map(Some)
        }
        _ => Ok(None),
    }
}

/// A model as the chain knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInfo {
    /// The id that the router knows it by.
    pub id: ModelId,
    /// Whether the router serves it, never did, or no longer does.
    pub status: Status,
    /// What the router points to; none once it is retired.
    pub route: Option<Address>,
    /// Whether an emergency stop stands in front, and if so whether it was used.
    pub stopped: Option<bool>,
    /// Its adapter, behind the stop if there is one; none unless it is served.
    pub adapter: Option<Address>,
    /// The bare verifier that the adapter calls; none unless it is served.
    pub verifier: Option<Address>,
    /// The bare verifier of many proofs, if it has one.
    pub batch_verifier: Option<Address>,
    /// ezkl's version, as in `23.0.5`; none unless the model is served.
    pub engine_version: Option<String>,
    /// The length of a proof in bytes.
    pub proof_length: Option<u64>,
    /// The number of instances.
    pub instance_count: Option<u64>,
    /// The gas that the bare verifier gets.
    pub gas_cap: Option<u64>,
}

/// Every model that was ever added to a router, in order.
pub async fn list_models(rpc: &Rpc, router: Address) -> Result<Vec<ModelInfo>> {
    let count: U256 = ask(rpc, router, &ModelRouter::modelCountCall {}).await?;
    let mut models = Vec::new();
    let mut index = U256::ZERO;
    while index < count {
        let id = ask(rpc, router, &ModelRouter::modelAtCall { index }).await?;
        models.push(model_info(rpc, router, ModelId(id)).await?);
        index += U256::ONE;
    }
    Ok(models)
}

/// One model as the chain knows it.
pub async fn model_info(rpc: &Rpc, router: Address, id: ModelId) -> Result<ModelInfo> {
    let status = status(rpc, router, id).await?;
    let mut info = ModelInfo {
        id,
        status,
        route: None,
        stopped: None,
        adapter: None,
        verifier: None,
        batch_verifier: None,
        engine_version: None,
        proof_length: None,
        instance_count: None,
        gas_cap: None,
    };
    let Some(route) = route_of(rpc, router, id).await? else { return Ok(info) };
    info.route = Some(route);
    // An adapter has no `paused()`, so a refusal means that there is no stop.
    let paused = ask(rpc, route, &EmergencyStop::pausedCall {}).await;
    let adapter = match paused {
        Ok(paused) => {
            info.stopped = Some(paused);
            ask(rpc, route, &EmergencyStop::VERIFIERCall {}).await?
        }
        Err(Error::Rpc(error)) if !error.is_revert() => return Err(error.into()),
        Err(_) => route,
    };
    let number = |number: U256| u64::try_from(number).ok();
    info.adapter = Some(adapter);
    info.verifier = Some(ask(rpc, adapter, &ModelVerifier::VERIFIERCall {}).await?);
    let batch = ask(rpc, adapter, &ModelVerifier::BATCH_VERIFIERCall {}).await?;
    info.batch_verifier = Some(batch).filter(|batch| !batch.is_zero());
    let parts = ask(rpc, adapter, &ModelVerifier::modelPartsCall {}).await?;
    info.engine_version = Some(parts.engine);
    info.proof_length = number(ask(rpc, adapter, &ModelVerifier::PROOF_LENGTHCall {}).await?);
    info.instance_count = number(ask(rpc, adapter, &ModelVerifier::INSTANCE_COUNTCall {}).await?);
    info.gas_cap = number(ask(rpc, adapter, &ModelVerifier::GAS_CAPCall {}).await?);
    Ok(info)
}

/// Retires a model for good. A no-op if it is.
pub async fn retire_model(
    sender: &Sender,
    router: Address,
    model: ModelId,
    mode: Mode,
) -> Result<Outcome> {
    match status(sender.rpc(), router, model).await? {
        Status::Retired => return Ok(Outcome::AlreadyDone),
        Status::Unknown => return Err(Error::UnknownModel { model, router }),
        Status::Active => {}
    }
    let call = ModelRouter::retireModelCall { modelId: model.0 };
    let label = format!("retiring the model {model}");
    let call = owner_call(router, "ModelRouter", &call, label, vec![model.to_string()]);
    check_owner(sender, router, &call).await?;
    Ok(Deployer::new(sender, mode).run(&call).await?)
}

/// Stops a model's verifier for good, by the stop in front of it. A no-op if it is stopped.
pub async fn stop_model(
    sender: &Sender,
    router: Address,
    model: ModelId,
    mode: Mode,
) -> Result<Outcome> {
    let info = model_info(sender.rpc(), router, model).await?;
    let Some(route) = info.route else { return Err(Error::UnknownModel { model, router }) };
    match info.stopped {
        None => return Err(Error::NoStop { model }),
        Some(true) => return Ok(Outcome::AlreadyDone),
        Some(false) => {}
    }
    let label = format!("stopping the model {model}");
    let call = owner_call(route, "EmergencyStop", &EmergencyStop::stopCall {}, label, Vec::new());
    check_owner(sender, route, &call).await?;
    Ok(Deployer::new(sender, mode).run(&call).await?)
}

/// Offers a router to a new owner, who then accepts it; with `accept` the sender accepts it.
pub async fn transfer_ownership(
    sender: &Sender,
    router: Address,
    to: Option<Address>,
    class: ChainClass,
    mode: Mode,
) -> Result<Outcome> {
    let call = match to {
        Some(to) => {
            class.check_power(to, "new owner", sender.rpc().chain_id())?;
            let call = ModelRouter::transferOwnershipCall { newOwner: to };
            let label = format!("offering the router to {to}");
            let call = owner_call(router, "ModelRouter", &call, label, vec![to.to_string()]);
            check_owner(sender, router, &call).await?;
            call
        }
        None => {
            let label = "accepting the router".to_owned();
            let call = ModelRouter::acceptOwnershipCall {};
            owner_call(router, "ModelRouter", &call, label, Vec::new())
        }
    };
    Ok(Deployer::new(sender, mode).run(&call).await?)
}
