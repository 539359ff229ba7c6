//! The errors of deploying and submitting.

use super::{
    account, create2, deployments, explorer,
    node::{anvil, endpoint, rpc},
    tx::{self, fees, journal},
};
use crate::{error::ErrorKind, model::identity::ModelId};
use alloy::primitives::{Address, B256, Bytes};

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Deploying or submitting failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Code over a limit of the EVM, or none.
    #[error(
        "{name} has {size} bytes of {kind} code; 1 to {limit} are allowed{}", size_remedy(*size)
    )]
    CodeSize {
        /// The contract's name in its source.
        name: String,
        /// `init` (creation code with the constructor's arguments) or `runtime`.
        kind: &'static str,
        /// The size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Other code is at the address.
    #[error(
        "the code at {address} has the hash {found}, not {expected}: it is another contract, or was \
         built with another compiler or other settings; build again, or correct the deployments file"
    )]
    OtherCode {
        /// The address whose code was read: CREATE2's, or the deployments file's.
        address: Address,
        /// keccak256 of the runtime code that was built or written down.
        expected: B256,
        /// keccak256 of the code on chain, as EXTCODEHASH gives it.
        found: B256,
    },
    /// No code is at the address.
    #[error(
        "there is no contract at {address} on chain {chain_id}; a local chain may have been started \
         afresh: run `zkvouch deploy --broadcast`"
    )]
    NoCode {
        /// Where the code should be, by a deployment just done or by the deployments file.
        address: Address,
        /// The chain id that the node gave.
        chain_id: u64,
    },
    /// The common CREATE2 proxy is missing.
    #[error(
        "chain {chain_id} {} at {}; deploy with a plain creation (--create), or have the proxy put there \
         (github.com/Arachnid/deterministic-deployment-proxy tells how)",
        if *other_code { "has something else than the CREATE2 proxy" } else { "lacks the CREATE2 proxy" },
        create2::PROXY
    )]
    NoProxy {
        /// The chain id that the node gave.
        chain_id: u64,
        /// Something else is at its address.
        other_code: bool,
    },
    /// The SRS is not for chains that others use.
    #[error(
        "the SRS is for development: its secret is public, so anybody can forge proofs; it is refused on \
         chain {chain_id}: build again with `source = \"ceremony\"` under [srs] in zkvouch.toml, or declare the chain \
         local with --local"
    )]
    UnsafeSrs {
        /// The id of a chain that isn't declared local.
        chain_id: u64,
    },
    /// Nobody is known to have made the SRS.
    #[error(
        "the SRS belongs to no ceremony that zkvouch knows, so whoever made it may forge proofs; it is refused on \
         chain {chain_id}: build again with `source = \"ceremony\"` under [srs] in zkvouch.toml, or, if you trust its \
         maker, pass --allow-unknown-srs"
    )]
    UnknownSrs {
        /// The id of a chain that isn't declared local.
        chain_id: u64,
    },
    /// The account is nobody's own.
    #[error(
        "{account} can't be the {role} on chain {chain_id}: {}", whose(*account)
    )]
    PublicAccount {
        /// The zero address, or one of Anvil's on a chain that isn't local.
        account: Address,
        /// The power that it was to have.
        role: &'static str,
        /// The chain id that the node gave.
        chain_id: u64,
    },
    /// The chain lacks what the verifier needs.
    #[error(
        "chain {chain_id} lacks {missing}, without which the verifier can't work there; use a chain with newer rules, \
         or set an older `evm_version` under [verifier.compiler] in zkvouch.toml and build again"
    )]
    OldRules {
        /// The chain id that the node gave.
        chain_id: u64,
        /// Opcodes and precompiles with the EIPs that brought them, separated by commas.
        missing: String,
    },
    /// Something went wrong after a transaction was mined.
    #[error(
        "the transaction {hash} was mined, and then: {source}. Repeat the command: what is done is not done again"
    )]
    AfterMining {
        /// The hash of the transaction that was mined before the error.
        hash: alloy::primitives::TxHash,
        /// The error that came after it.
        source: Box<Error>,
    },
    /// The verifier does not accept a proof of its model.
    #[error(
        "the verifier (at {address}) rejects a valid proof of its model, so it is not used; build \
         again and report this if it stays"
    )]
    GoldenRejected {
        /// Where the verifier is; 0x5a5a…5a where its code is tried before it is deployed.
        address: Address,
    },
    /// The verifier accepts a changed proof.
    #[error(
        "the verifier (at {address}) accepts a changed proof: it must not be used; report this"
    )]
    MutantAccepted {
        /// Where the verifier is; 0x5a5a…5a where its code is tried before it is deployed.
        address: Address,
    },
    /// A proof of the wrong length.
    #[error(
        "the proof has {found} bytes and this model's have {expected}; it is truncated, or of another \
         model or build"
    )]
    ProofLength {
        /// The length of the proof given, in bytes.
        found: usize,
        /// The length that the model's circuit gives to all its proofs, in bytes.
        expected: usize,
    },
    /// The wrong number of instances.
    #[error(
        "the proof has {found} public instances and this model's have {expected}; it is of another \
         model or build"
    )]
    InstanceCount {
        /// How many instances the proof given has.
        found: usize,
        /// How many public values the model's circuit has.
        expected: usize,
    },
    /// The proof and the verifier are of different models.
    #[error(
        "the verifier at {address} is of model {deployed} but the proof is of model {proved}; deploy \
         the current build, or prove with the deployed one"
    )]
    OtherModel {
        /// The verifier's address in the deployments file.
        address: Address,
        /// The model that the deployments file names for this verifier.
        deployed: ModelId,
        /// The model that the proof was made for.
        proved: ModelId,
    },
    /// The verifier answered neither true nor a revert.
    #[error("the contract at {address} answered {output} instead of true; it is no verifier")]
    NotTrue {
        /// Where the call went.
        address: Address,
        /// The ABI-encoded answer; from a verifier it is the word 1.
        output: Bytes,
    },
    /// A contract that should be one of ours does not answer like it.
    #[error(
        "the contract at {address} does not answer `{function}` as zkvouch's does; correct the address, \
         or deploy again"
    )]
    NotOurs {
        /// Where the call went.
        address: Address,
        /// What it was asked.
        function: &'static str,
    },
    /// The deployments file lacks something.
    #[error(
        "the deployments file of chain {chain_id} has no {what} for the model {model}; run `zkvouch deploy \
         --broadcast`"
    )]
    NotDeployed {
        /// What no entry is for, such as `ledger`, `router` or `batch verifier`.
        what: &'static str,
        /// The model that the proofs are of.
        model: ModelId,
        /// The chain whose file was read.
        chain_id: u64,
    },
    /// The verifier takes another number of proofs.
    #[error(
        "the contract at {address} does not verify {proofs} proofs in one call; give one proof to the \
         verifier, and several to a batch verifier"
    )]
    NotForBatch {
        /// The contract that was to verify them, by the deployments file.
        address: Address,
        /// How many proofs were given; none is too few even for a batch verifier.
        proofs: usize,
    },
    /// Two proofs of a batch show the same prediction.
    #[error(
        "the proofs number {first} and {second} show the same prediction, which is recorded once in a \
         context; leave one of them out"
    )]
    SamePrediction {
        /// The first, counted from one.
        first: usize,
        /// The second, counted from one, too.
        second: usize,
    },
    /// There is nothing to record.
    #[error("there is no proof to submit; name one or several")]
    NoProof,
    /// A proof that is not full stands before others.
    #[error(
        "the proof number {number} is of {count} predictions, where a proof of this model is of {each}; only the last \
         one of a transaction may be of fewer: put it last, or submit it by itself"
    )]
    ShortProof {
        /// Which one, counted from one.
        number: usize,
        /// How many predictions it is of.
        count: usize,
        /// How many a full one is of.
        each: usize,
    },
    /// The ledger asks another router.
    #[error(
        "the ledger at {ledger} asks the router {found}, not {expected}; correct the deployments file"
    )]
    OtherRouter {
        /// The ledger in the deployments file.
        ledger: Address,
        /// The router that the ledger itself names; it can't be changed.
        found: Address,
        /// The router in the deployments file.
        expected: Address,
    },
    /// The router points elsewhere, and never will point here.
    #[error(
        "the router sends the model {model} to {found}, not to {wanted}, and a route is never re-pointed; \
         use what is deployed, or build again for another model id"
    )]
    RoutedElsewhere {
        /// The model whose route was asked for.
        model: ModelId,
        /// Where the router points.
        found: Address,
        /// Where it should, by the deployments file or by the deployment under way.
        wanted: Address,
    },
    /// The model was retired.
    #[error("the model {model} was retired for good; build again for another model id")]
    Retired {
        /// The model that the router's table has as retired.
        model: ModelId,
    },
    /// The router does not serve it.
    #[error(
        "the router {router} does not serve the model {model}; `zkvouch model ls` lists what it does"
    )]
    UnknownModel {
        /// The model that was to be retired or stopped.
        model: ModelId,
        /// The router whose table was read.
        router: Address,
    },
    /// Nothing can stop it.
    #[error("the model {model} has no guardian; its owner can retire it instead")]
    NoStop {
        /// The model, which nobody can stop.
        model: ModelId,
    },
    /// The account may not do this.
    #[error(
        "{contract} belongs to {owner} and not to {account}; its owner has to send {} bytes of calldata for \
         {} to {}", call.input.len(), call.label, contract
    )]
    NotOwner {
        /// The contract that only its owner may change.
        contract: Address,
        /// The owner that the contract itself names.
        owner: Address,
        /// The account in use.
        account: Address,
        /// What the owner has to send.
        call: Box<tx::Call>,
    },
    /// The transaction succeeded without the event that it should have.
    #[error(
        "the transaction {hash} of the ledger {ledger} has no event of the prediction; report this"
    )]
    NoEvent {
        /// The ledger that the call went to.
        ledger: Address,
        /// The hash of the mined transaction.
        hash: alloy::primitives::TxHash,
    },
    /// A tensor that the contracts can't describe.
    #[error(transparent)]
    Tensor(#[from] crate::model::schema::Error),
    /// The endpoint could not be worked out.
    #[error(transparent)]
    Endpoint(#[from] endpoint::Error),
    /// The node could not be talked to.
    #[error(transparent)]
    Rpc(#[from] rpc::Error),
    /// Anvil could not be found, started or talked to.
    #[error(transparent)]
    Anvil(#[from] anvil::Error),
    /// No account was given, or the one given can't be opened or used.
    #[error(transparent)]
    Signer(#[from] account::Error),
    /// Fees are not usable.
    #[error(transparent)]
    Fees(#[from] fees::Error),
    /// The transaction would fail, failed or was not mined.
    #[error(transparent)]
    Transaction(Box<tx::Error>),
    /// The deployments file is not usable.
    #[error(transparent)]
    Deployments(#[from] deployments::Error),
    /// A source was not verified.
    #[error(transparent)]
    VerifySource(#[from] explorer::Error),
    /// The broadcast file is not usable.
    #[error(transparent)]
    Broadcast(#[from] journal::Error),
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Endpoint(inner) => inner.kind(),
            Self::Rpc(inner) => inner.kind(),
            Self::Anvil(inner) => inner.kind(),
            Self::Signer(inner) => inner.kind(),
            Self::Fees(inner) => inner.kind(),
            Self::Transaction(inner) => inner.kind(),
            Self::Deployments(inner) => inner.kind(),
            Self::VerifySource(inner) => inner.kind(),
            Self::Broadcast(inner) => inner.kind(),
            Self::CodeSize { .. }
            | Self::OtherCode { .. }
            | Self::NoCode { .. }
            | Self::NoProxy { .. }
            | Self::UnsafeSrs { .. }
            | Self::UnknownSrs { .. }
            | Self::PublicAccount { .. }
            | Self::OldRules { .. }
            | Self::AfterMining { .. }
            | Self::GoldenRejected { .. }
            | Self::MutantAccepted { .. }
            | Self::ProofLength { .. }
            | Self::InstanceCount { .. }
            | Self::OtherModel { .. }
            | Self::NotTrue { .. }
            | Self::NotOurs { .. }
            | Self::NotDeployed { .. }
            | Self::NotForBatch { .. }
            | Self::OtherRouter { .. }
            | Self::RoutedElsewhere { .. }
            | Self::Retired { .. }
            | Self::UnknownModel { .. }
            | Self::NoStop { .. }
            | Self::NotOwner { .. }
            | Self::NoEvent { .. }
            | Self::Tensor(..) => ErrorKind::Chain,
            Self::SamePrediction { .. } | Self::NoProof | Self::ShortProof { .. } => {
                ErrorKind::BadInput
            }
        }
    }
}

impl From<tx::Error> for Error {
    fn from(error: tx::Error) -> Self {
        Self::Transaction(Box::new(error))
    }
}

fn whose(account: Address) -> &'static str {
    if account.is_zero() {
        "nobody has its key; name another with --owner, --guardian or --account"
    } else {
        "it is one of Anvil's, whose keys everybody has; name another with --owner, --guardian or --account"
    }
}

fn size_remedy(size: usize) -> &'static str {
    if size == 0 {
        "; the compiler left nothing"
    } else {
        "; use fewer columns or a higher k, or the lean verifier"
    }
}
