//! What is built, as the chain module wants it.

use super::{Built, Error, Result};
use crate::{
    artifacts::proof::ProofFile,
    calldata::Function,
    chain::{
        ChainClass,
        contracts::{AddModel, Core, LedgerRequest, default_gas_cap},
        deploy::{Contract, Method, VerifierRequest},
        deployments::{Compiler, Deployments, Entry, ModelRecord},
        submit::SubmitRequest,
    },
    model::proof::Proof,
    verifier::VerifierArtifact,
};
use alloy::primitives::{Address, B256, Bytes};
use serde_json::json;

impl Built {
    /// The model as a deployments file records it.
    pub fn model_record(&self) -> ModelRecord {
        ModelRecord::new(self.name(), self.identity().clone(), self.provenance().clone())
    }

    /// What it takes to deploy the verifier.
    pub fn verifier_request(&self, method: Method, class: ChainClass) -> VerifierRequest {
        self.request_of(self.verifier(), Function::One, method, class)
    }

    /// What it takes to check the verifier's function for batches, if it has one.
    pub fn batch_verifier_request(
        &self,
        method: Method,
        class: ChainClass,
    ) -> Option<VerifierRequest> {
        Some(self.request_of(self.batch_verifier()?, Function::Many, method, class))
    }

    fn request_of(
        &self,
        verifier: &VerifierArtifact,
        function: Function,
        method: Method,
        class: ChainClass,
    ) -> VerifierRequest {
        let metadata = verifier.metadata();
        VerifierRequest {
            contract: Contract {
                name: metadata.contract.clone(),
                init_code: verifier.init_code().clone(),
                runtime_code: Some(verifier.runtime_code().clone()),
                arguments: None,
                encoded_arguments: Bytes::new(),
            },
            function,
            compiler: Some(Compiler {
                language: format!("{:?}", metadata.language),
                version: metadata.compiler.version.to_string(),
                settings: json!(metadata.compiler.options),
                source_sha256: metadata.source_sha256,
            }),
            model: self.model_record(),
            method,
            golden: self.golden().clone(),
            deployments: self.deployments().to_owned(),
            class,
        }
    }

    /// What it takes to give the deployed verifier, and what verifies its batches if anything does,
    /// its model's name in the router.
    ///
    /// # Errors
    /// [`Error::NotMeasured`] where the build measured no gas, from which the cap follows.
    pub fn add_model_request(
        &self,
        core: Core,
        verifier: Address,
        batch_verifier: Option<(Address, B256)>,
        guardian: Option<Address>,
        class: ChainClass,
    ) -> Result<AddModel> {
        let metadata = self.verifier().metadata();
        let gas = &metadata.gas;
        let mut verify_gas = gas.verify_gas.ok_or(Error::NotMeasured)?;
        let mut refusal_gas = gas.refusal_gas.ok_or(Error::NotMeasured)?;
        if batch_verifier.is_some()
            && let Some(batch) = self.batch_verifier()
        {
            // A batch of one takes a little more, and the cap is for each proof of either.
            let gas = &batch.metadata().gas;
            verify_gas = verify_gas.max(gas.verify_gas.unwrap_or_default());
            refusal_gas = refusal_gas.max(gas.refusal_gas.unwrap_or_default());
        }
        Ok(AddModel {
            core,
            model: self.model_record(),
            verifier,
            verifier_code_hash: metadata.runtime_code_hash,
            batch_verifier,
            proof_length: metadata.shape.proof_len,
            gas_cap: default_gas_cap(verify_gas, refusal_gas),
            descriptor: self.descriptor().clone(),
            guardian,
            golden: self.golden().clone(),
            deployments: self.deployments().to_owned(),
            class,
        })
    }

    /// What it takes to record predictions in the ledger, in one transaction.
    ///
    /// # Errors
    /// A proof is of another circuit, or the deployments file does not have the model.
    pub fn ledger_request(
        &self,
        proofs: &[ProofFile],
        deployments: &Deployments,
        context: B256,
        class: ChainClass,
    ) -> Result<LedgerRequest> {
        let (claims, shape) = (self.claims(proofs)?, self.verifier().metadata().shape);
        let model = self.model_id();
        Ok(LedgerRequest::for_model(deployments, model, context, class, claims, shape)?)
    }

    /// What it takes to submit proofs to a deployed verifier, in one transaction.
    ///
    /// # Errors
    /// A proof is of another circuit, or the verifier is another model's.
    pub fn submit_request(
        &self,
        proofs: &[ProofFile],
        entry: &Entry,
        chain_id: u64,
        class: ChainClass,
    ) -> Result<SubmitRequest> {
        let (claims, shape) = (self.claims(proofs)?, self.verifier().metadata().shape);
        let model = self.model_id();
        let both = self.has_both(entry);
        Ok(SubmitRequest::for_entry(entry, model, chain_id, class, claims, shape, both)?)
    }

    /// Whether a deployed verifier takes single proofs and batches, as what was built does.
    pub fn has_both(&self, entry: &Entry) -> bool {
        let batch = self.batch_verifier().map(|it| it.metadata().runtime_code_hash);
        batch == Some(entry.runtime_code_hash)
            && self.verifier().metadata().runtime_code_hash == entry.runtime_code_hash
    }

    fn claims(&self, proofs: &[ProofFile]) -> Result<Vec<Proof>> {
        let checked = |proof: &ProofFile| {
            proof.check(self.settings())?;
            Ok(proof.proof.clone())
        };
        proofs.iter().map(checked).collect()
    }
}
