//! Submitting a proof to a bare verifier.
//!
//! Whatever can be checked without the chain is checked first, so that a doomed transaction is
//! never sent.

use super::{
    Error, Mode, Result,
    broadcast::About,
    deploy::Outcome,
    deployments::{Entry, ModelId},
    policy,
    revert::RevertDecoder,
    rpc,
    tx::{self, Call, Sender},
};
use crate::field::Felt;
use alloy::{
    json_abi::JsonAbi,
    primitives::{Address, B256, Bytes, U256, keccak256},
    sol,
    sol_types::SolCall,
};

sol! {
    /// The verifier that ezkl generates. It returns true or reverts.
    function verifyProof(bytes proof, uint256[] instances) external returns (bool);
}

/// The canonical ABI encoding of a call of `verifyProof(bytes,uint256[])`.
pub fn calldata(proof: &[u8], instances: &[Felt]) -> Bytes {
    let instances = instances.iter().map(|instance| instance.to_u256()).collect();
    verifyProofCall { proof: proof.to_vec().into(), instances }.abi_encode().into()
}

/// A proof for a bare verifier.
#[derive(Clone, Debug)]
pub struct SubmitRequest {
    /// The verifier.
    pub verifier: Address,
    /// keccak256 of the code that must be there.
    pub code_hash: B256,
    /// The proof.
    pub proof: Bytes,
    /// The public instances.
    pub instances: Vec<Felt>,
    /// The length that the verifying key gives a proof, in bytes.
    pub proof_length: usize,
    /// The number of instances that the settings give.
    pub instance_count: usize,
}

impl SubmitRequest {
    /// A request for the verifier of the deployments file.
    ///
    /// # Errors
    /// The proof belongs to another model, or the entry's SRS is not for this chain.
    pub fn for_entry(
        entry: &Entry,
        model: ModelId,
        chain_id: u64,
        local: bool,
        (proof, proof_length): (Bytes, usize),
        (instances, instance_count): (Vec<Felt>, usize),
    ) -> Result<Self> {
        if let Some(deployed) = &entry.model {
            if deployed.id != model {
                return Err(Error::OtherModel {
                    address: entry.address,
                    deployed: deployed.id,
                    proved: model,
                });
            }
            policy::check_srs(&deployed.srs, chain_id, local)?;
        }
        Ok(Self {
            verifier: entry.address,
            code_hash: entry.runtime_code_hash,
            proof,
            instances,
            proof_length,
            instance_count,
        })
    }

    /// Checks lengths. That each instance is below the modulus is in its type.
    pub fn check(&self) -> Result<()> {
        check_shape(&self.proof, self.proof_length, &self.instances, self.instance_count)
    }
}

pub(crate) fn check_shape(
    proof: &[u8],
    proof_length: usize,
    instances: &[Felt],
    instance_count: usize,
) -> Result<()> {
    if proof.len() != proof_length {
        return Err(Error::ProofLength { found: proof.len(), expected: proof_length });
    }
    if instances.len() != instance_count {
        return Err(Error::InstanceCount { found: instances.len(), expected: instance_count });
    }
    Ok(())
}

/// The errors of the lean verifier; ezkl's has none but an empty revert.
const ERRORS: [&str; 5] = [
    "CalldataNotCanonical",
    "InputNotCanonical",
    "DegenerateChallenge",
    "InvalidPoint",
    "ProofRejected",
];

/// Knows the errors of a bare verifier.
pub fn decoder() -> RevertDecoder {
    let rejected = "the verifier rejects the proof; it is not valid for these instances, or belongs \
                    to another verifying key (check with `zkvouch verify`)";
    let abi =
        JsonAbi::parse(ERRORS.map(|name| format!("error {name}()")).iter().map(String::as_str));
    let known = RevertDecoder::new().with_abi(&abi.unwrap_or_default()).explain_empty(rejected);
    ERRORS.iter().fold(known, |decoder, name| decoder.explain(name, rejected))
}

/// Checks, simulates and, if told to broadcast, sends a proof. The sender should know
/// [`decoder`]'s errors.
pub async fn submit_proof(sender: &Sender, request: &SubmitRequest, mode: Mode) -> Result<Outcome> {
    request.check()?;
    check_code(sender, request.verifier, request.code_hash).await?;
    let call = call(request);
    let simulation = sender.simulate(&call).await?;
    if !says_true(&simulation.output) {
        return Err(Error::NotTrue { address: request.verifier, output: simulation.output });
    }
    match mode {
        Mode::DryRun => Ok(Outcome::Simulated(Box::new(simulation))),
        Mode::Broadcast => Ok(Outcome::Mined(Box::new(sender.send(&call).await?))),
    }
}

fn call(request: &SubmitRequest) -> Call {
    let input = calldata(&request.proof, &request.instances);
    Call::new(request.verifier, input, "the submission of the proof").about(About {
        contract_name: Some("Halo2Verifier".into()),
        contract_address: Some(request.verifier),
        function: Some(verifyProofCall::SIGNATURE.into()),
        arguments: Some(vec![
            request.proof.to_string(),
            format!("[{}]", text_of(&request.instances).join(", ")),
        ]),
        create2: false,
    })
}

fn text_of(instances: &[Felt]) -> Vec<String> {
    instances.iter().map(|instance| instance.to_u256().to_string()).collect()
}

/// Refuses an address without code, or with other code than expected.
pub async fn check_code(sender: &Sender, address: Address, expected: B256) -> Result<()> {
    let code = sender.rpc().code(address).await?;
    if code.is_empty() {
        return Err(Error::NoCode { address, chain_id: sender.rpc().chain_id() });
    }
    match keccak256(&code) {
        found if found == expected => Ok(()),
        found => Err(Error::OtherCode { address, expected, found }),
    }
}

/// Exactly one ABI word that is 1.
pub(crate) fn says_true(output: &[u8]) -> bool {
    output.len() == 32 && U256::from_be_slice(output) == U256::ONE
}

pub(crate) fn is_revert(error: &rpc::Error) -> bool {
    match error {
        rpc::Error::Refused { code, message, data, .. } => {
            let message = message.to_lowercase();
            *code == 3
                || data.is_some()
                || ["revert", "out of gas", "outofgas", "invalid opcode", "invalidfeopcode"]
                    .iter()
                    .any(|word| message.contains(word))
        }
        _ => false,
    }
}

/// Whether an error is the contract's own refusal.
pub fn is_rejection(error: &Error) -> bool {
    match error {
        Error::NotTrue { .. } => true,
        Error::Transaction(error) => {
            matches!(**error, tx::Error::WouldRevert { .. } | tx::Error::Failed { .. })
        }
        _ => false,
    }
}
