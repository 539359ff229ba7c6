//! Submitting proofs to a bare verifier.
//!
//! Whatever can be checked without the chain is checked first, so that a doomed transaction is
//! never sent.

use super::{
    ChainClass, Error, Mode, Result,
    deploy::Outcome,
    deployments::Entry,
    golden::check_rules,
    tx::{self, About, Call, Sender, revert::RevertDecoder},
};
use crate::{
    calldata::{self, Function, Shape, is_true},
    field::Felt,
    model::{identity::ModelId, proof::Proof},
};
use alloy::{
    json_abi::JsonAbi,
    primitives::{Address, B256, Bytes, keccak256},
};

impl Proof {
    /// Proofs like this valid one that every verifier must reject.
    pub fn mutants(&self) -> Vec<Self> {
        calldata::changed(&self.bytes, &self.instances)
            .into_iter()
            .map(|it| Self { bytes: it.proof.into(), instances: it.instances })
            .collect()
    }

    /// Checks the lengths. That each instance is below the modulus is in its type.
    pub fn check(&self, shape: Shape) -> Result<()> {
        let (found, expected) = (self.bytes.len(), shape.proof_len);
        if found != expected {
            return Err(Error::ProofLength { found, expected });
        }
        let (found, expected) = (self.instances.len(), shape.n_instances);
        if found != expected {
            return Err(Error::InstanceCount { found, expected });
        }
        Ok(())
    }

    fn parts(&self) -> (&[u8], &[Felt]) {
        (&self.bytes, &self.instances)
    }
}

/// Proofs of one model for a bare verifier.
#[derive(Clone, Debug)]
pub struct SubmitRequest {
    /// The verifier's address in the deployments file.
    pub verifier: Address,
    /// The contract's name in its source.
    pub contract: String,
    /// keccak256 of the code that must be there.
    pub code_hash: B256,
    /// Which of the two functions it has: one proof, or many.
    pub function: Function,
    /// The proofs; one for [`Function::One`].
    pub claims: Vec<Proof>,
    /// What the verifying key and the settings give a proof.
    pub shape: Shape,
}

impl SubmitRequest {
    /// A request for the verifier of the deployments file.
    ///
    /// # Errors
    /// The proofs belong to another model, the entry's SRS is not for this chain, or the entry is
    /// no verifier of that many.
    pub fn for_entry(
        entry: &Entry,
        model: ModelId,
        chain_id: u64,
        class: ChainClass,
        claims: Vec<Proof>,
        shape: Shape,
        has_both: bool,
    ) -> Result<Self> {
        if let Some(deployed) = &entry.model {
            if deployed.id != model {
                return Err(Error::OtherModel {
                    address: entry.address,
                    deployed: deployed.id,
                    proved: model,
                });
            }
            class.check_srs(&deployed.srs, chain_id)?;
        }
        let function = match entry.role.function() {
            Some(Function::One) if claims.len() == 1 => Function::One,
            Some(Function::Many) if !claims.is_empty() => Function::Many,
            Some(Function::One) if has_both && !claims.is_empty() => Function::Many,
            _ => {
                let (address, proofs) = (entry.address, claims.len());
                return Err(Error::NotForBatch { address, proofs });
            }
        };
        Ok(Self {
            verifier: entry.address,
            contract: entry.name.clone(),
            code_hash: entry.runtime_code_hash,
            function,
            claims,
            shape,
        })
    }

    /// Checks every claim's lengths.
    pub fn check(&self) -> Result<()> {
        self.claims.iter().try_for_each(|claim| claim.check(self.shape))
    }

    fn calldata(&self) -> Bytes {
        match (self.function, self.claims.as_slice()) {
            (Function::One, [claim]) => {
                calldata::encode_verify_proof(&claim.bytes, &claim.instances)
            }
            _ => calldata::encode_verify_many(self.claims.iter().map(Proof::parts)),
        }
    }
}

/// The errors of the lean verifiers; ezkl's has none but an empty revert.
const ERRORS: [&str; 6] = [
    "CalldataNotCanonical",
    "EmptyBatch",
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

/// Checks, simulates and, if told to broadcast, sends proofs to a bare verifier. The sender should know
/// [`decoder`]'s errors.
pub async fn submit_proof(sender: &Sender, request: &SubmitRequest, mode: Mode) -> Result<Outcome> {
    request.check()?;
    let call = call(request);
    if mode == Mode::Broadcast
        && let Some(receipt) = sender.earlier(&call).await?
    {
        return Ok(Outcome::Mined(Box::new(receipt)));
    }
    check_code(sender, request.verifier, request.code_hash).await?;
    let simulation = match sender.simulate(&call).await {
        Err(error @ tx::Error::WouldRevert { .. }) => {
            let code = sender.rpc().code(request.verifier).await?;
            check_rules(sender.rpc(), &code).await?;
            return Err(error.into());
        }
        other => other?,
    };
    if !is_true(&simulation.output) {
        return Err(Error::NotTrue { address: request.verifier, output: simulation.output });
    }
    match mode {
        Mode::DryRun => Ok(Outcome::Simulated(Box::new(simulation))),
        Mode::Broadcast => Ok(Outcome::Mined(Box::new(sender.send(&call).await?))),
    }
}

fn call(request: &SubmitRequest) -> Call {
    let proofs: Vec<_> = request.claims.iter().map(|claim| claim.bytes.to_string()).collect();
    let instances: Vec<_> =
        request.claims.iter().map(|claim| words_text(&claim.instances)).collect();
    let (label, proofs, instances) = match request.function {
        Function::One => ("the submission of the proof", proofs.concat(), instances.concat()),
        Function::Many => (
            "the submission of the proofs",
            format!("[{}]", proofs.join(", ")),
            format!("[{}]", instances.join(", ")),
        ),
    };
    Call::new(request.verifier, request.calldata(), label).about(About {
        contract_name: Some(request.contract.clone()),
        contract_address: Some(request.verifier),
        function: Some(request.function.signature().into()),
        arguments: Some(vec![proofs, instances]),
        create2: false,
    })
}

/// Instances as a list of decimal numbers.
pub(crate) fn words_text(instances: &[Felt]) -> String {
    let words: Vec<_> = instances.iter().map(|felt| felt.to_u256().to_string()).collect();
    format!("[{}]", words.join(", "))
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
