//! What is built, as the chain module wants it.

use super::{Built, Error, Result};
use crate::{
    artifacts::proof::ProofFile,
    chain::{
        ChainClass, Entries,
        contracts::{
            AddModel, Capabilities, Claims, Core, LedgerRequest, ModelArgs, default_gas_cap,
        },
        deploy::{Contract, Method, VerifierRequest},
        deployments::{Compiler, Deployments, Entry, ModelRecord},
        submit::SubmitRequest,
    },
    model::{packing::Packing, proof::Proof},
};
use alloy::primitives::{Address, B256, Bytes};
use serde_json::json;

impl Built {
    /// The model as a deployments file records it.
    pub fn model_record(&self) -> ModelRecord {
        let waived = self
            .findings()
            .iter()
            .filter_map(|finding| Some((finding.rule.to_owned(), finding.waived.clone()?)));
        ModelRecord {
            waived: waived.collect(),
            ..ModelRecord::new(self.name(), self.identity().clone(), self.provenance().clone())
        }
    }

    /// What it takes to deploy the verifier. With `batches` it is to show that it takes those, too, if it does.
    pub fn verifier_request(
        &self,
        method: Method,
        batches: bool,
        class: ChainClass,
    ) -> VerifierRequest {
        let verifier = self.verifier();
        let metadata = verifier.metadata();
        VerifierRequest {
            contract: Contract {
                name: metadata.contract.clone(),
                init_code: verifier.init_code().clone(),
                runtime_code: Some(verifier.runtime_code().clone()),
                arguments: None,
                encoded_arguments: Bytes::new(),
            },
            entries: self.entries(batches),
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

    /// The functions of the verifier beside that for one proof. ezkl's has none.
    fn entries(&self, batches: bool) -> Entries {
        let many = batches && self.batch_verifier().is_some();
        Entries { many, packing: self.verifier().metadata().packing.clone() }
    }

    /// What the model's contract is made with, over a deployed verifier.
    ///
    /// # Errors
    /// [`Error::NotMeasured`] where the build measured no gas, from which the cap follows.
    pub fn model_args(
        &self,
        verifier: Address,
        batches: bool,
        guardian: Option<Address>,
    ) -> Result<ModelArgs> {
        let entries = self.entries(batches);
        let metadata = self.verifier().metadata();
        let gas = &metadata.gas;
        let mut verify_gas = gas.verify_gas.ok_or(Error::NotMeasured)?;
        let mut refusal_gas = gas.refusal_gas.ok_or(Error::NotMeasured)?;
        if entries.many
            && let Some(batch) = self.batch_verifier()
        {
            // A batch of one takes a little more, and the cap is for each proof of either.
            let gas = &batch.metadata().gas;
            verify_gas = verify_gas.max(gas.verify_gas.unwrap_or_default());
            refusal_gas = refusal_gas.max(gas.refusal_gas.unwrap_or_default());
        }
        // What the router is told that the verifier has, it tries with the golden proof.
        let fits = |packing: &Packing| packing.pack(&self.golden().instances).is_some();
        let (many, packed) = (entries.many, entries.packing.as_ref().is_some_and(fits));
        let bits = [
            (Capabilities::MANY, many),
            (Capabilities::PACKED, packed),
            (Capabilities::MANY_PACKED, many && packed),
        ];
        let capabilities =
            bits.into_iter().filter(|(_, has)| *has).fold(0, |bits, (bit, _)| bits | bit);
        Ok(ModelArgs {
            identity: self.identity().clone(),
            verifier,
            verifier_code_hash: metadata.runtime_code_hash,
            capabilities: Capabilities(capabilities),
            // A proof is some kilobytes.
            proof_length: metadata.shape.proof_len as u32,
            gas_cap: default_gas_cap(verify_gas, refusal_gas),
            guardian,
            descriptor: self.descriptor().clone(),
        })
    }

    /// What it takes to give the deployed verifier its model's name in the router.
    ///
    /// # Errors
    /// As [`model_args`](Self::model_args).
    pub fn add_model_request(
        &self,
        core: Core,
        verifier: Address,
        batches: bool,
        guardian: Option<Address>,
        class: ChainClass,
    ) -> Result<AddModel> {
        Ok(AddModel {
            core,
            model: self.model_record(),
            args: self.model_args(verifier, batches, guardian)?,
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
        let counts = proofs.iter().map(|proof| proof.predictions.count as usize).collect();
        let proofs = self.claims(proofs)?;
        let claims = Claims {
            model: self.model_id(),
            former_ids: self.former_ids().to_vec(),
            descriptor: self.descriptor().clone(),
            counts,
            proofs,
            shape: self.verifier().metadata().shape,
        };
        Ok(LedgerRequest::for_model(deployments, claims, context, class)?)
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
            self.check(proof)?;
            Ok(proof.proof.clone())
        };
        proofs.iter().map(checked).collect()
    }
}
