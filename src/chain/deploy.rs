//! Deploying contracts, verifiers above all: to the same address everywhere, once, and only if the
//! code does what it is meant to do.

use super::{
    ChainClass, Error, Mode, Result, create2,
    deployments::{self, Compiler, Deployments, Entry, ModelRecord, Role},
    golden::{Entries, Golden, check_golden},
    tx::{self, About, Call, Receipt, Sender, Simulation},
};
use crate::{
    evm::{Hardfork, Rules},
    model::proof::Proof,
};
use alloy::primitives::{Address, B256, Bytes, keccak256};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// A contract to deploy.
#[derive(Clone, Debug)]
pub struct Contract {
    /// Its name in the source.
    pub name: String,
    /// Init code with the constructor's arguments.
    pub init_code: Bytes,
    /// The runtime code, if it is known beforehand (no immutables). Otherwise the node is asked
    /// what the init code would leave.
    pub runtime_code: Option<Bytes>,
    /// The constructor's arguments as text, for the broadcast file.
    pub arguments: Option<Vec<String>>,
    /// The end of `init_code` that is the constructor's arguments, ABI-encoded.
    pub encoded_arguments: Bytes,
}

/// How a contract gets its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Through the common proxy: the address depends on init code and salt only, and deploying
    /// again is a no-op.
    Create2 {
        /// The proxy's salt; [`create2::SALT`] unless somebody wants another address.
        salt: B256,
    },
    /// By a plain creation: the address depends on account and nonce.
    Create,
}

impl Default for Method {
    /// CREATE2 with [`create2::SALT`], so that an address is the same on every chain.
    fn default() -> Self {
        Self::Create2 { salt: create2::SALT }
    }
}

/// What a deployment came to.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// The contract's name in its source.
    pub name: String,
    /// Where the contract is, or in a dry run would be. A plain creation's address is known only
    /// afterwards.
    pub address: Option<Address>,
    /// keccak256 of the runtime code. Unknown in a dry run when the constructor needs a contract
    /// that is only planned.
    pub runtime_code_hash: Option<B256>,
    /// keccak256 of the init code.
    pub init_code_hash: B256,
    /// How it came about.
    pub outcome: Outcome,
}

impl Deployed {
    fn after<T>(&self, result: Result<T>) -> Result<T> {
        self.outcome.after(result)
    }

    /// Waits until the node has the code that a mined transaction left.
    pub(crate) async fn await_code(&self, sender: &Sender) -> Result<()> {
        let (Some(address), Some(expected)) = (self.address, self.runtime_code_hash) else {
            return Ok(());
        };
        self.after(await_code(sender, address, expected).await)
    }
}

/// How a step on chain ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It had been done before; no transaction was needed.
    AlreadyDone,
    /// A dry run: this is what would happen.
    Simulated(Box<Simulation>),
    /// A dry run, of a step that builds on others which the node can't simulate together.
    Planned,
    /// It was sent and mined.
    Mined(Box<Receipt>),
}

impl Outcome {
    /// The receipt, if a transaction was mined.
    pub fn receipt(&self) -> Option<&Receipt> {
        match self {
            Self::Mined(receipt) => Some(receipt),
            _ => None,
        }
    }

    /// An error with the hash of the transaction that was mined before it, if one was.
    pub(crate) fn after<T>(&self, result: Result<T>) -> Result<T> {
        match self.receipt() {
            Some(receipt) => result.map_err(|error| Error::AfterMining {
                hash: receipt.hash,
                source: Box::new(error),
            }),
            None => result,
        }
    }

    /// Whether nothing was done yet.
    pub fn is_dry(&self) -> bool {
        matches!(self, Self::Simulated(_) | Self::Planned)
    }
}

/// Deploys contracts that build on one another. In a dry run it remembers what would have been
/// sent, so that later steps are simulated on top of it.
#[derive(Debug)]
pub struct Deployer<'a> {
    sender: &'a Sender,
    mode: Mode,
    planned: Vec<Call>,
}

impl<'a> Deployer<'a> {
    /// Deploys from the sender's account.
    pub fn new(sender: &'a Sender, mode: Mode) -> Self {
        Self { sender, mode, planned: Vec::new() }
    }

    /// The sender whose account deploys.
    pub fn sender(&self) -> &'a Sender {
        self.sender
    }

    /// Whether anything is sent.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether a dry run has planned transactions that the chain does not know.
    pub fn has_plans(&self) -> bool {
        !self.planned.is_empty()
    }

    /// Sends or simulates one transaction.
    pub async fn run(&mut self, call: &Call) -> Result<Outcome, tx::Error> {
        match self.mode {
            Mode::Broadcast => Ok(Outcome::Mined(Box::new(self.sender.send(call).await?))),
            Mode::DryRun => {
                let simulation = self.sender.simulate_after(&self.planned, call).await?;
                self.planned.push(call.clone());
                Ok(simulation.map_or(Outcome::Planned, |it| Outcome::Simulated(Box::new(it))))
            }
        }
    }

    /// Deploys a contract unless the same code is there already.
    ///
    /// # Errors
    /// Other code at the address, code over the size limits, no proxy on the chain, or whatever
    /// the transaction came to.
    pub async fn contract(&mut self, contract: &Contract, method: Method) -> Result<Deployed> {
        let sender = self.sender;
        check_sizes(sender, contract).await?;
        let known = contract.runtime_code.as_ref().map(keccak256);
        let deployed = |address, hash, outcome| Deployed {
            name: contract.name.clone(),
            address,
            runtime_code_hash: hash,
            init_code_hash: keccak256(&contract.init_code),
            outcome,
        };
        let (call, address) = match method {
            Method::Create2 { salt } => {
                let address = create2::address(salt, &contract.init_code);
                if let Some(hash) = there(sender, contract, address, known).await? {
                    sender.settle().await?;
                    return Ok(deployed(Some(address), Some(hash), Outcome::AlreadyDone));
                }
                check_proxy(sender).await?;
                let input = create2::calldata(salt, &contract.init_code);
                (Call::new(create2::PROXY, input, label(contract)), Some(address))
            }
            Method::Create => (Call::create(contract.init_code.clone(), label(contract)), None),
        };
        let call = call.about(About {
            contract_name: Some(contract.name.clone()),
            contract_address: address,
            function: None,
            arguments: contract.arguments.clone(),
            create2: address.is_some(),
        });
        let expected = match known {
            // What it builds on may only be planned, and then the node can't run its constructor.
            None if self.has_plans() => None,
            None => Some(runtime_hash(sender, contract).await?),
            known => known,
        };
        let outcome = match self.run(&call).await {
            Ok(outcome) => outcome,
            // Somebody else, a second run perhaps, deployed the same meanwhile.
            Err(error @ (tx::Error::WouldRevert { .. } | tx::Error::Failed { .. })) => {
                let found = match address {
                    Some(address) => there(sender, contract, address, expected).await?,
                    None => None,
                };
                return match found {
                    Some(hash) => Ok(deployed(address, Some(hash), Outcome::AlreadyDone)),
                    None => Err(error.into()),
                };
            }
            Err(error) => return Err(error.into()),
        };
        let address = address.or(outcome.receipt().and_then(|receipt| receipt.contract_address));
        let deployed = deployed(address, expected, outcome);
        if deployed.outcome.receipt().is_some() {
            deployed.await_code(sender).await?;
        }
        Ok(deployed)
    }

    /// Deploys a verifier and puts it into the deployments file.
    ///
    /// # Errors
    /// An SRS that somebody may know off a local chain, code that fails the golden proof, and all of
    /// [`contract`](Self::contract).
    pub async fn verifier(&mut self, request: &VerifierRequest) -> Result<Deployed> {
        let sender = self.sender;
        let chain_id = sender.rpc().chain_id();
        request.class.check_srs(&request.model.srs, chain_id)?;
        // A malformed file is found before money is spent.
        let known = Deployments::read(&request.deployments, chain_id)?;
        let code = request.contract.runtime_code.as_ref();
        let golden = Golden {
            entries: &request.entries,
            proof: &request.golden,
            code: code.map(|code| &code[..]).unwrap_or_default(),
        };
        if code.is_some() {
            check_golden(sender, TRIAL, code, &golden).await?;
        }
        let before = match request.method {
            Method::Create => created_before(sender, request, &known).await?,
            Method::Create2 { .. } => None,
        };
        let deployed = match before {
            Some(deployed) => deployed,
            None => self.contract(&request.contract, request.method).await?,
        };
        if let (Some(address), false) = (deployed.address, deployed.outcome.is_dry()) {
            deployed.after(check_golden(sender, address, None, &golden).await)?;
        }
        let kind = Kind {
            model: Some(request.model.clone()),
            compiler: request.compiler.clone(),
            ..Kind::of(Role::Verifier, request.method)
        };
        self.record(&request.deployments, &deployed, kind).await?;
        Ok(deployed)
    }

    /// Puts a contract that is deployed into the deployments file; a dry run writes nothing.
    pub(crate) async fn record(
        &self,
        folder: &Path,
        deployed: &Deployed,
        kind: Kind,
    ) -> Result<()> {
        let (Mode::Broadcast, Some(address), Some(runtime_code_hash)) =
            (self.mode, deployed.address, deployed.runtime_code_hash)
        else {
            return Ok(());
        };
        let entry = Entry {
            role: kind.role,
            name: deployed.name.clone(),
            address,
            runtime_code_hash,
            init_code_hash: deployed.init_code_hash,
            salt: match kind.method {
                Method::Create2 { salt } => Some(salt),
                Method::Create => None,
            },
            model: kind.model,
            router: kind.router,
            compiler: kind.compiler,
            constructor_arguments: kind.constructor_arguments,
            transaction: deployed.outcome.receipt().map(|receipt| deployments::Transaction {
                hash: receipt.hash,
                block: receipt.block,
                deployer: receipt.from,
                gas_used: receipt.gas_used,
                timestamp: receipt.timestamp,
            }),
        };
        let chain_id = self.sender.rpc().chain_id();
        let updated = Deployments::update(folder, chain_id, move |file| file.put(entry)).await;
        deployed.after(updated.map(drop).map_err(Error::from))
    }
}

/// Deploys one contract; see [`Deployer::contract`].
pub async fn deploy_contract(
    sender: &Sender,
    contract: &Contract,
    method: Method,
    mode: Mode,
) -> Result<Deployed> {
    Deployer::new(sender, mode).contract(contract, method).await
}

/// Deploys one verifier; see [`Deployer::verifier`].
pub async fn deploy_verifier(
    sender: &Sender,
    request: &VerifierRequest,
    mode: Mode,
) -> Result<Deployed> {
    Deployer::new(sender, mode).verifier(request).await
}

/// What the deployments file says about a contract beside its code.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) role: Role,
    pub(crate) method: Method,
    pub(crate) model: Option<ModelRecord>,
    pub(crate) router: Option<Address>,
    pub(crate) compiler: Option<Compiler>,
    pub(crate) constructor_arguments: Option<Bytes>,
}

impl Kind {
    pub(crate) fn of(role: Role, method: Method) -> Self {
        Self {
            role,
            method,
            model: None,
            router: None,
            compiler: None,
            constructor_arguments: None,
        }
    }
}

/// Where a verifier is tried before it is deployed.
const TRIAL: Address = Address::repeat_byte(0x5a);

fn label(contract: &Contract) -> String {
    format!("the deployment of {}", contract.name)
}

/// The node is asked for its limits only where the tightest ones are broken.
async fn check_sizes(sender: &Sender, contract: &Contract) -> Result<()> {
    let (init, runtime) = (contract.init_code.len(), contract.runtime_code.as_ref());
    let sizes = |rules: &Rules| {
        let sizes = [("init", Some(init), rules.init_code)];
        sizes.into_iter().chain([("runtime", runtime.map(|code| code.len()), rules.runtime_code)])
    };
    let beyond = |rules: &Rules| {
        sizes(rules).find_map(|(kind, size, limit)| {
            size.filter(|size| !(1..=limit).contains(size)).map(|size| (kind, size, limit))
        })
    };
    if beyond(Hardfork::Osaka.rules()).is_none() {
        return Ok(());
    }
    match beyond(sender.rpc().hardfork().await?.rules()) {
        Some((kind, size, limit)) => {
            Err(Error::CodeSize { name: contract.name.clone(), kind, size, limit })
        }
        None => Ok(()),
    }
}

/// The hash of the code that the node says the init code leaves.
async fn runtime_hash(sender: &Sender, contract: &Contract) -> Result<B256> {
    let call = Call::create(contract.init_code.clone(), label(contract));
    Ok(keccak256(sender.call(&call).await?))
}

/// The hash of the code at the address, if there is any; code other than expected is an error.
/// Without an expectation the node is asked what the init code leaves.
async fn there(
    sender: &Sender,
    contract: &Contract,
    address: Address,
    expected: Option<B256>,
) -> Result<Option<B256>> {
    let code = sender.rpc().code(address).await?;
    if code.is_empty() {
        return Ok(None);
    }
    let expected = match expected {
        Some(expected) => expected,
        None => runtime_hash(sender, contract).await?,
    };
    match keccak256(&code) {
        found if found == expected => Ok(Some(found)),
        found => Err(Error::OtherCode { address, expected, found }),
    }
}

/// Nodes behind one address may lag behind each other.
async fn await_code(sender: &Sender, address: Address, expected: B256) -> Result<()> {
    for pause in [100, 500, 1000, 2000, 4000] {
        let code = sender.rpc().code(address).await?;
        if !code.is_empty() {
            return match keccak256(&code) {
                found if found == expected => Ok(()),
                found => Err(Error::OtherCode { address, expected, found }),
            };
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    Err(Error::NoCode { address, chain_id: sender.rpc().chain_id() })
}

async fn check_proxy(sender: &Sender) -> Result<()> {
    let code = sender.rpc().code(create2::PROXY).await?;
    if *code == *create2::PROXY_CODE {
        return Ok(());
    }
    Err(Error::NoProxy { chain_id: sender.rpc().chain_id(), other_code: !code.is_empty() })
}

/// A verifier to deploy.
#[derive(Clone, Debug)]
pub struct VerifierRequest {
    /// The compiled verifier; its runtime code must be known.
    pub contract: Contract,
    /// What it has beside the function for one proof.
    pub entries: Entries,
    /// How it was compiled.
    pub compiler: Option<Compiler>,
    /// The model that it stands for.
    pub model: ModelRecord,
    /// How it gets its address.
    pub method: Method,
    /// A fresh proof of that model. The code must accept it and reject mutants of it, before it
    /// is deployed and after.
    pub golden: Proof,
    /// The folder of the deployments files.
    pub deployments: PathBuf,
    /// Whose chain it is.
    pub class: ChainClass,
}

/// A plain creation is no no-op by itself, so the deployments file is asked whether the same was
/// created before and is still there.
async fn created_before(
    sender: &Sender,
    request: &VerifierRequest,
    known: &Deployments,
) -> Result<Option<Deployed>> {
    let init_code_hash = keccak256(&request.contract.init_code);
    for entry in known.contracts.iter().filter(|entry| entry.init_code_hash == init_code_hash) {
        let code = sender.rpc().code(entry.address).await?;
        // By what was built: the file may say anything.
        let built = request.contract.runtime_code.as_ref().map(keccak256);
        if Some(keccak256(&code)) == built {
            return Ok(Some(Deployed {
                name: entry.name.clone(),
                address: Some(entry.address),
                runtime_code_hash: built,
                init_code_hash,
                outcome: Outcome::AlreadyDone,
            }));
        }
    }
    Ok(None)
}
