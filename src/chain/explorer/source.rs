//! What an explorer needs to compile a contract of the deployments file anew.

use super::{Error, Result};
use crate::{
    chain::{
        contracts::{COMPILER, Name, artifact, standard_input},
        deployments::{Entry, Role},
    },
    verifier::{
        VerifierArtifact,
        solc::{self, SolcRequest},
    },
};
use alloy::primitives::{Address, Bytes, TxHash, keccak256};
use serde_json::Value;

/// A contract to verify.
#[derive(Clone, Debug)]
pub struct SourceRequest {
    /// The address of the deployed contract.
    pub address: Address,
    /// `path/in/the/input.sol:Name`, with the path as a key of `sources`.
    pub contract: String,
    /// solc's version with its commit, as in `0.8.37+commit.f401782d`.
    pub compiler_version: String,
    /// The compiler's standard JSON input.
    pub standard_input: Value,
    /// The constructor's arguments, ABI-encoded.
    pub constructor_arguments: Bytes,
    /// The transaction that created it, if known.
    pub transaction: Option<TxHash>,
}

/// The source of a deployed contract: one of ours from this binary, a verifier from what is built. What
/// is given out compiles to the init code that was deployed.
///
/// # Errors
/// [`Error::NoSource`] where this binary or the build has another contract; no compiler of the
/// verifier's version on this machine, which says its commit.
pub async fn source_of(entry: &Entry, built: &[&VerifierArtifact]) -> Result<SourceRequest> {
    let address = entry.address;
    let missing = |why| Error::NoSource { contract: entry.name.clone(), address, why };
    let transaction = entry.transaction.as_ref().map(|transaction| transaction.hash);
    let name = match entry.role {
        Role::Verifier | Role::BatchVerifier => {
            let same =
                |it: &&&VerifierArtifact| it.metadata().init_code_hash == entry.init_code_hash;
            let verifier = built.iter().find(same).ok_or_else(|| {
                missing(
                    "what is built is another contract; run this in the project as it was deployed, built \
                     with `zkvouch build`",
                )
            })?;
            let version = verifier.metadata().compiler.version.clone();
            let solc = solc::resolve(&SolcRequest::Version(version)).await?;
            return Ok(SourceRequest {
                address,
                contract: verifier.identifier(),
                compiler_version: solc.version_with_commit().await?,
                standard_input: verifier.standard_json(),
                constructor_arguments: Bytes::new(),
                transaction,
            });
        }
        Role::Implementation => Name::ModelVerifier,
        Role::ModelVerifier if entry.is_clone() => {
            return Err(missing(
                "a model's contract is a clone, which has no source of its own; name the implementation instead",
            ));
        }
        Role::ModelVerifier | Role::EmergencyStop => {
            return Err(missing(
                "it is of a release before models were clones; verify it with that release",
            ));
        }
        Role::Router => Name::ModelRouter,
        Role::Ledger => Name::PredictionLedger,
        Role::Timelock => Name::TimelockController,
        Role::Other => return Err(missing("zkvouch did not make it; verify it with its own tool")),
    };
    let artifact = artifact(name);
    let constructor_arguments = entry.constructor_arguments.clone().unwrap_or_default();
    let init_code = [&artifact.creation_code[..], &constructor_arguments[..]].concat();
    if keccak256(init_code) != entry.init_code_hash {
        return Err(missing(
            "the contracts in this zkvouch are others, or the deployments file lacks the constructor's \
             arguments; use the release that deployed it, or write them down by `zkvouch deploy --broadcast`, \
             which sends nothing that is there",
        ));
    }
    Ok(SourceRequest {
        address,
        contract: format!("{}:{}", artifact.source, artifact.name),
        compiler_version: COMPILER.to_owned(),
        standard_input: serde_json::from_str(standard_input()).unwrap_or_default(),
        constructor_arguments,
        transaction,
    })
}
