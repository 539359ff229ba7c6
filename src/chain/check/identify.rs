//! What the code at an address is.

use super::state::ChainState;
use crate::{
    calldata,
    chain::{
        Error, Result,
        contracts::{ModelArgs, Name, artifact, bindings::ModelRouter, former, read_clone},
        node::rpc::{Rpc, is_account},
    },
    model::{identity::ModelId, proof::Proof},
    srs::ceremony,
    verifier::ceremony_words,
};
use alloy::primitives::{Address, B256, Bytes, keccak256};
use serde::Serialize;

/// What stands at an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Identified {
    /// No code: an account, or nothing.
    Account,
    /// This release's `ModelRouter`.
    Router {
        /// Its owner.
        owner: Address,
    },
    /// This release's `PredictionLedger`.
    Ledger,
    /// This release's `ModelVerifier`, of which models are clones; it is no model itself.
    Implementation,
    /// OpenZeppelin's timelock, as this release deploys it.
    Timelock,
    /// A clone, which is a model.
    Model {
        /// The model's id, worked out from the arguments in its code.
        model_id: ModelId,
        /// What it is a clone of.
        implementation: Address,
        /// Whether that is this release's `ModelVerifier`.
        genuine: bool,
        /// The verifier that it calls.
        verifier: Address,
    },
    /// A contract of zkvouch before models were clones.
    Former,
    /// A verifier of this project's own generator.
    LeanVerifier {
        /// The ceremony, or the unsafe setup, that its code shows.
        ceremony: Option<String>,
        /// keccak256 of its code.
        code_hash: B256,
    },
    /// A verifier with a function of ezkl's, of which only a proof shows whether it takes canonical calldata alone.
    OtherVerifier {
        /// The ceremony, or the unsafe setup, that its code shows.
        ceremony: Option<String>,
        /// keccak256 of its code.
        code_hash: B256,
        /// Whether it refuses other encodings of a proof; unknown without one that it accepts.
        guarded: Option<bool>,
    },
    /// None of these.
    Unknown {
        /// keccak256 of its code.
        code_hash: B256,
    },
}

/// Says what is at an address. With a proof that a verifier there accepts it is tried whether it is guarded.
///
/// # Errors
/// If the node does not answer.
pub async fn identify(rpc: &Rpc, address: Address, proof: Option<&Proof>) -> Result<Identified> {
    let chain = ChainState::newest(rpc).await?;
    let code = chain.code(address).await?;
    if is_account(&code) {
        return Ok(Identified::Account);
    }
    if let Some((implementation, packed)) = read_clone(&code)
        && let Some(args) = ModelArgs::read(packed)
    {
        let genuine = artifact(Name::ModelVerifier).is_code(&chain.code(implementation).await?);
        let (model_id, verifier) = (args.model_id(), args.verifier);
        return Ok(Identified::Model { model_id, implementation, genuine, verifier });
    }
    let is = |name| artifact(name).is_code(&code);
    if is(Name::ModelRouter) {
        let owner = chain.ask_ours(address, &ModelRouter::ownerCall {}).await?;
        return Ok(Identified::Router { owner });
    }
    let code_hash = keccak256(&code);
    Ok(match () {
        () if is(Name::PredictionLedger) => Identified::Ledger,
        () if is(Name::ModelVerifier) => Identified::Implementation,
        () if is(Name::TimelockController) => Identified::Timelock,
        () if code_hash == former::ROUTER_CODE_HASH => Identified::Former,
        () if pushes(&code, &selector("ProofRejected()")) && verifies(&code) => {
            Identified::LeanVerifier { ceremony: setup(&code), code_hash }
        }
        () if verifies(&code) => Identified::OtherVerifier {
            ceremony: setup(&code),
            code_hash,
            guarded: guarded(&chain, address, proof).await?,
        },
        () => Identified::Unknown { code_hash },
    })
}

fn selector(signature: &str) -> [u8; 4] {
    let hash = keccak256(signature);
    [hash[0], hash[1], hash[2], hash[3]]
}

/// Whether the code has these four bytes as a constant.
fn pushes(code: &[u8], constant: &[u8; 4]) -> bool {
    const PUSH4: u8 = 0x63;
    code.windows(5).any(|it| it[0] == PUSH4 && it[1..] == constant[..])
}

fn verifies(code: &[u8]) -> bool {
    pushes(code, &selector(calldata::Function::One.signature()))
}

fn setup(code: &[u8]) -> Option<String> {
    let words = ceremony_words(code).ok()?;
    ceremony::by_neg_s_g2(words).map(|found| found.name.clone())
}

/// Whether it accepts the canonical call alone.
async fn guarded(
    chain: &ChainState<'_>,
    address: Address,
    proof: Option<&Proof>,
) -> Result<Option<bool>> {
    let Some(proof) = proof else { return Ok(None) };
    let accepts = async |input: Bytes| {
        let output = chain.call(address, input).await?;
        Ok::<_, Error>(output.is_some_and(|output| calldata::is_true(&output)))
    };
    if !accepts(calldata::encode_verify_proof(&proof.bytes, &proof.instances)).await? {
        return Ok(None);
    }
    for mutant in calldata::mutants(&proof.bytes, &proof.instances) {
        if accepts(mutant.calldata).await? {
            return Ok(Some(false));
        }
    }
    Ok(Some(true))
}
