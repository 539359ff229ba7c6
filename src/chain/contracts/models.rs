//! Models: their contracts, their routes, their end.

use super::{
    Core,
    args::{Capabilities, ModelArgs, read_clone},
    ask,
    bindings::{ModelRouter, ModelVerifier},
    former,
};
use crate::{
    chain::{
        ChainClass, Error, Mode, Result,
        deploy::{Deployed, Deployer, Kind, Method, Outcome},
        deployments::{ModelRecord, Role},
        node::rpc::Rpc,
        submit::words_text,
        tx::{About, Call, Sender},
    },
    model::{identity::ModelId, proof::Proof},
};
use alloy::{
    primitives::{Address, U256, keccak256},
    sol_types::SolCall,
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
    /// What the deployments file is to say of the model.
    pub model: ModelRecord,
    /// What its contract is made with.
    pub args: ModelArgs,
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
    /// The model's contract, which the router makes and points to.
    pub route: Address,
    /// What became of the router's call that makes it and adds the route.
    pub outcome: Outcome,
}

/// Has the router make a model's contract and add the route, unless it is there. The router tries the golden proof and
/// a mutant in the same transaction, and everything else of its gate after it, in a call that costs nothing.
///
/// # Errors
/// A model that is retired or goes elsewhere, and everything that a transaction can come to. If the
/// account is not the router's owner, the error has the call that the owner, a timelock perhaps, has to make.
pub async fn add_model(deployer: &mut Deployer<'_>, request: &AddModel) -> Result<AddedModel> {
    let sender = deployer.sender();
    let chain_id = sender.rpc().chain_id();
    let AddModel { core, args, model, .. } = request;
    request.class.check_srs(&model.srs, chain_id)?;
    if let Some(guardian) = args.guardian {
        request.class.check_power(guardian, "guardian", chain_id)?;
    }
    let route = args.address(core.router, core.implementation);
    let outcome = match present_route(sender, request, route).await? {
        true => Outcome::AlreadyDone,
        false => {
            let call = add_call(request);
            if !deployer.has_plans() || is_deployed(sender, core.router).await? {
                check_owner(sender, core.router, &call).await?;
            }
            match deployer.run(&call).await {
                Ok(outcome) => outcome,
                // A second run may have added it meanwhile.
                Err(error) if !deployer.has_plans() => {
                    match route_of(sender.rpc(), core.router, args.model_id()).await {
                        Ok(Some(found)) if found == route => Outcome::AlreadyDone,
                        _ => return Err(error.into()),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    };
    let deployed = Deployed {
        name: "ModelVerifier".into(),
        address: Some(route),
        runtime_code_hash: Some(keccak256(args.code(core.implementation))),
        init_code_hash: keccak256(args.init_code(core.implementation)),
        outcome,
    };
    if deployed.outcome.receipt().is_some() {
        deployed.await_code(sender).await?;
    }
    if !deployed.outcome.is_dry() {
        deployed.outcome.after(gate(sender, request).await)?;
    }
    let method = Method::Create2 { salt: args.model_id().0 };
    let kind = Kind {
        model: Some(model.clone()),
        router: Some(core.router),
        ..Kind::of(Role::ModelVerifier, method)
    };
    deployer.record(&request.deployments, &deployed, kind).await?;
    Ok(AddedModel { route, outcome: deployed.outcome })
}

/// Has the router try everything on a model that it serves, without a transaction.
async fn gate(sender: &Sender, request: &AddModel) -> Result<()> {
    let Proof { bytes: proof, instances } = &request.golden;
    let instances = instances.iter().map(|instance| instance.to_u256()).collect();
    let model_id = request.args.model_id().0;
    let input = ModelRouter::gateCall { modelId: model_id, proof: proof.clone(), instances };
    let label = format!("the gate of the model {}", request.model.name);
    sender.call(&Call::new(request.core.router, input.abi_encode().into(), label)).await?;
    Ok(())
}

/// Whether the router points there already; an error if it points elsewhere, or never will.
async fn present_route(sender: &Sender, request: &AddModel, route: Address) -> Result<bool> {
    let (rpc, router, model) = (sender.rpc(), request.core.router, request.args.model_id());
    if !is_deployed(sender, router).await? {
        // A dry run before the core is there.
        return Ok(false);
    }
    match status(rpc, router, model).await? {
        Status::Retired => Err(Error::Retired { model }),
        Status::Active => {
            let found = ask(rpc, router, &ModelRouter::verifierOfCall { modelId: model.0 }).await?;
            match found == route {
                true => Ok(true),
                false => Err(Error::RoutedElsewhere { model, found, wanted: route }),
            }
        }
        Status::Unknown => Ok(false),
    }
}

async fn is_deployed(sender: &Sender, contract: Address) -> Result<bool> {
    Ok(!sender.rpc().code(contract).await?.is_empty())
}

/// Only the owner may send this.
async fn check_owner(sender: &Sender, contract: Address, call: &Call) -> Result<()> {
    let owner = ask(sender.rpc(), contract, &ModelRouter::ownerCall {}).await?;
    belongs_to(sender, contract, owner, call)
}

fn belongs_to(sender: &Sender, contract: Address, owner: Address, call: &Call) -> Result<()> {
    let account = sender.address();
    if owner == account {
        return Ok(());
    }
    Err(Error::NotOwner { contract, owner, account, call: Box::new(call.clone()) })
}

/// The transaction that adds the model; only the router's owner may send it.
fn add_call(request: &AddModel) -> Call {
    let Proof { bytes: proof, instances } = &request.golden;
    let args = request.args.to_abi();
    let parts = &args.parts;
    let parts = format!(
        "({}, {}, {}, {}, {})",
        parts.onnxHash, parts.settingsHash, parts.srsHash, parts.vkHash, parts.engine
    );
    let text = format!(
        "({parts}, {}, {}, {}, {}, {}, {}, {})",
        args.verifier,
        args.verifierCodeHash,
        args.capabilities,
        args.proofLength,
        args.gasCap,
        args.guardian,
        args.descriptor
    );
    let text = vec![text, proof.to_string(), words_text(instances)];
    let instances = instances.iter().map(|instance| instance.to_u256()).collect();
    let input = ModelRouter::addModelCall { args, proof: proof.clone(), instances };
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
    /// Whether somebody can stop it, and if so whether it is stopped.
    pub stopped: Option<bool>,
    /// The contract that gives the verifier id and shape: the route itself, or what stands behind an earlier release's
    /// emergency stop. None unless the model is served.
    pub adapter: Option<Address>,
    /// The bare verifier that the adapter calls; none unless it is served.
    pub verifier: Option<Address>,
    /// Whether the bare verifier takes several proofs in one call.
    pub takes_batches: bool,
    /// Whether the bare verifier takes packed instances.
    pub takes_packed: bool,
    /// How many predictions a proof is of.
    pub predictions: u32,
    /// ezkl's version, as in `23.0.5`; none unless the model is served.
    pub engine_version: Option<String>,
    /// The length of a proof in bytes.
    pub proof_length: Option<u64>,
    /// The number of instances of a proof.
    pub instance_count: Option<u64>,
    /// The gas that the bare verifier gets for a proof.
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
        takes_batches: false,
        takes_packed: false,
        predictions: 1,
        engine_version: None,
        proof_length: None,
        instance_count: None,
        gas_cap: None,
    };
    let Some(route) = route_of(rpc, router, id).await? else { return Ok(info) };
    info.route = Some(route);
    let code = rpc.code(route).await?;
    let Some((_, args)) = read_clone(&code) else {
        let model = former::model(rpc, route).await?;
        let number = |number: U256| u64::try_from(number).ok();
        return Ok(ModelInfo {
            stopped: model.stopped,
            adapter: Some(model.adapter),
            verifier: Some(model.verifier),
            takes_batches: model.takes_batches,
            engine_version: Some(model.engine_version),
            proof_length: number(model.proof_length),
            instance_count: number(model.instance_count),
            gas_cap: number(model.gas_cap),
            ..info
        });
    };
    let function = ModelVerifier::selectorCall::SIGNATURE;
    let args = ModelArgs::read(args).ok_or(Error::NotOurs { address: route, function })?;
    if args.guardian.is_some() {
        info.stopped = Some(ask(rpc, route, &ModelVerifier::stoppedCall {}).await?);
    }
    Ok(ModelInfo {
        adapter: Some(route),
        verifier: Some(args.verifier),
        takes_batches: args.capabilities.has(Capabilities::MANY),
        takes_packed: args.capabilities.has(Capabilities::PACKED),
        predictions: args.descriptor.predictions(),
        engine_version: Some(args.identity.engine_version),
        proof_length: Some(args.proof_length.into()),
        instance_count: Some(args.descriptor.count()),
        gas_cap: Some(args.gas_cap),
        ..info
    })
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

/// Stops a model for good, as its guardian. A no-op if it is stopped.
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
    // Both have the function in the same form, and ask who calls.
    let (contract, guardian) = match info.adapter == Some(route) {
        true => ("ModelVerifier", ask(sender.rpc(), route, &ModelVerifier::guardianCall {}).await?),
        false => ("EmergencyStop", former::guardian(sender.rpc(), route).await?),
    };
    let call = owner_call(route, contract, &ModelVerifier::stopCall {}, label, Vec::new());
    belongs_to(sender, route, guardian, &call)?;
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
