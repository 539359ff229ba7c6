//! Our own contracts: the router, the ledger, and what stands between them and a bare verifier.
//!
//! Their code is in the binary, so deploying them needs no compiler. All go through the CREATE2
//! proxy with [`SALT`]: an address depends on the constructor's arguments
//! alone, whoever deploys.

mod args;
mod artifact;
mod events;
pub(crate) mod former;
mod ledger;
mod models;
pub mod tree;

pub use args::{Capabilities, ModelArgs, read_clone};
pub use artifact::{Artifact, COMPILER, Name, artifact, bindings, decoder, standard_input};
pub use events::Recorded;
pub use ledger::{
    Claims, LedgerRequest, Prediction, Submitted, is_already_recorded, is_recorded, prediction_id,
    submit_to_ledger,
};
pub use models::{
    AddModel, AddedModel, ModelInfo, Status, add_model, default_gas_cap, list_models, model_info,
    retire_model, stop_model, transfer_ownership,
};

use super::{
    ChainClass, Error, Result,
    create2::{self, SALT},
    deploy::{Contract, Deployed, Deployer, Kind, Method},
    deployments::Role,
    node::rpc::Rpc,
};
use alloy::{
    network::TransactionBuilder,
    primitives::{Address, U256},
    rpc::types::TransactionRequest,
    sol_types::{SolCall, SolValue},
};
use std::path::{Path, PathBuf};

/// Where the core of one owner is, on every chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Core {
    /// The account, or its timelock, that adds and retires models.
    pub owner: Address,
    /// The address of the `ModelVerifier` that every model is a clone of; one for all owners.
    pub implementation: Address,
    /// The address of the `ModelRouter`, worked out from its owner.
    pub router: Address,
    /// The address of the `PredictionLedger`, worked out from its router.
    pub ledger: Address,
}

impl Core {
    /// Works the addresses out.
    pub fn of(owner: Address) -> Self {
        let implementation = create2::address(SALT, &implementation_contract().init_code);
        let router = create2::address(SALT, &router_contract(owner).init_code);
        let ledger = ledger_of(router);
        Self { owner, implementation, router, ledger }
    }
}

/// The core to deploy.
#[derive(Clone, Debug)]
pub struct CoreRequest {
    /// Who owns the router, or with a delay proposes to its timelock and executes.
    pub owner: Address,
    /// With a delay, in seconds, a timelock owns the router.
    pub timelock_delay: Option<u64>,
    /// The folder of the deployments files.
    pub deployments: PathBuf,
    /// Whose chain it is.
    pub class: ChainClass,
}

/// What became of the core.
#[derive(Clone, Debug)]
pub struct DeployedCore {
    /// Owner and addresses, the same in a dry run.
    pub core: Core,
    /// The timelock's deployment, if one is wanted.
    pub timelock: Option<Deployed>,
    /// What the deployment of the models' implementation came to.
    pub implementation: Deployed,
    /// What the router's deployment came to.
    pub router: Deployed,
    /// What the ledger's deployment came to.
    pub ledger: Deployed,
}

/// Deploys timelock, implementation, router and ledger unless they are there.
pub async fn deploy_core(
    deployer: &mut Deployer<'_>,
    request: &CoreRequest,
) -> Result<DeployedCore> {
    let folder = &request.deployments;
    // With a delay it is the owner who proposes to the timelock and executes.
    let chain_id = deployer.sender().rpc().chain_id();
    request.class.check_power(request.owner, "owner", chain_id)?;
    let (owner, timelock) = match request.timelock_delay {
        None => (request.owner, None),
        Some(delay) => {
            let contract = timelock_contract(request.owner, delay);
            let deployed = put(deployer, folder, &contract, Role::Timelock).await?;
            (create2::address(SALT, &contract.init_code), Some(deployed))
        }
    };
    let core = Core::of(owner);
    let implementation = implementation_contract();
    let implementation = put(deployer, folder, &implementation, Role::Implementation).await?;
    let router = put(deployer, folder, &router_contract(core.owner), Role::Router).await?;
    let ledger = put(deployer, folder, &ledger_contract(core.router), Role::Ledger).await?;
    Ok(DeployedCore { core, timelock, implementation, router, ledger })
}

/// Deploys one of our contracts and puts it into the deployments file.
async fn put(
    deployer: &mut Deployer<'_>,
    folder: &Path,
    contract: &Contract,
    role: Role,
) -> Result<Deployed> {
    let method = Method::default();
    let deployed = deployer.contract(contract, method).await?;
    let arguments = Some(contract.encoded_arguments.clone()).filter(|it| !it.is_empty());
    let kind = Kind { constructor_arguments: arguments, ..Kind::of(role, method) };
    deployer.record(folder, &deployed, kind).await?;
    Ok(deployed)
}

/// A timelock that `account` proposes to and executes, and that only it administers itself.
fn timelock_contract(account: Address, delay: u64) -> Contract {
    let arguments = (U256::from(delay), vec![account], vec![account], Address::ZERO);
    let text = [
        delay.to_string(),
        format!("[{account}]"),
        format!("[{account}]"),
        Address::ZERO.to_string(),
    ];
    artifact(Name::TimelockController).contract(arguments.abi_encode_params(), text.to_vec())
}

pub(crate) fn implementation_contract() -> Contract {
    let artifact = artifact(Name::ModelVerifier);
    let contract = artifact.contract(Vec::new(), Vec::new());
    // The only immutable is its own address, by which it knows that it is no clone.
    let address = create2::address(SALT, &contract.init_code);
    Contract { runtime_code: Some(artifact.code_with(address.into_word())), ..contract }
}

pub(crate) fn router_contract(owner: Address) -> Contract {
    let implementation = create2::address(SALT, &implementation_contract().init_code);
    artifact(Name::ModelRouter).contract(
        (owner, implementation).abi_encode_params(),
        vec![owner.to_string(), implementation.to_string()],
    )
}

/// Where a router's ledger is, on every chain.
pub fn ledger_of(router: Address) -> Address {
    create2::address(SALT, &ledger_contract(router).init_code)
}

pub(crate) fn ledger_contract(router: Address) -> Contract {
    artifact(Name::PredictionLedger)
        .contract((router,).abi_encode_params(), vec![router.to_string()])
}

/// Asks a contract of ours. An answer that does not decode means that it is another contract.
pub(crate) async fn ask<C: SolCall>(rpc: &Rpc, contract: Address, call: &C) -> Result<C::Return> {
    let request = TransactionRequest::default().with_to(contract).with_input(call.abi_encode());
    let answer = rpc.call(&request).await?;
    C::abi_decode_returns(&answer)
        .map_err(|_| Error::NotOurs { address: contract, function: C::SIGNATURE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_that_the_forge_scripts_get() {
        let text = include_str!("../../../contracts/artifacts/addresses.json");
        let file: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let address =
            |name: &str| file[name].as_str().expect("hex").parse::<Address>().expect("20");
        let core = Core::of(address("owner"));
        assert_eq!(core.implementation, address("ModelVerifier"));
        assert_eq!(core.router, address("ModelRouter"));
        assert_eq!(core.ledger, address("PredictionLedger"));
        assert_eq!(create2::PROXY, address("proxy"));
        assert_eq!(file["salt"], SALT.to_string());
    }
}
