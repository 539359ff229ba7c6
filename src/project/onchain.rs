//! A built project as the chain module wants it.

use super::{Error, Project, Result};
use crate::{
    artifacts::{layout::InstanceGroup, proof::ProofFile},
    chain::{
        contracts::{AddModel, Core, LedgerRequest, default_gas_cap},
        deploy::{Contract, Method, VerifierRequest},
        deployments::{Compiler, Deployments, Entry, ModelRecord},
        submit::{Function, SubmitRequest},
    },
    model::{proof::Proof, provenance::Provenance, schema::Tensor},
    srs::SrsFile,
    verifier::{METADATA_FILE, VerifierArtifact, batch},
};
use alloy::primitives::{Address, B256};
use serde_json::json;
use std::path::{Path, PathBuf};

impl Project {
    /// The folder of the deployments files, `deployments` in the project's folder.
    pub fn deployments(&self) -> PathBuf {
        self.deployments.clone()
    }

    /// The same project with its deployments files elsewhere.
    #[must_use]
    pub fn with_deployments(&self, folder: &Path) -> Self {
        Self { deployments: folder.to_owned(), ..self.clone() }
    }

    /// The compiled verifier.
    ///
    /// # Errors
    /// [`Error::NotBuilt`] before the first build.
    pub fn verifier(&self) -> Result<VerifierArtifact> {
        let folder = self.artifacts().verifier;
        let metadata = folder.join(METADATA_FILE);
        if !metadata.is_file() {
            return Err(Error::NotBuilt(metadata));
        }
        Ok(VerifierArtifact::read(&folder)?)
    }

    /// The compiled verifier of many proofs at once; `None` where the circuit has none, or none that
    /// a chain takes.
    ///
    /// # Errors
    /// [`Error::NotBuilt`] before the first build.
    pub fn batch_verifier(&self) -> Result<Option<VerifierArtifact>> {
        let folder = self.artifacts().verifier;
        let metadata = folder.join(batch::METADATA_FILE);
        if !metadata.is_file() {
            return Err(Error::NotBuilt(metadata));
        }
        Ok(batch::read(&folder)?)
    }

    /// The model as a deployments file records it. The SRS is looked at afresh: a build that ever
    /// used an unsafe one stays unsafe.
    pub fn chain_model(&self) -> Result<ModelRecord> {
        let identity = self.identity()?;
        let artifacts = self.artifacts();
        let srs = match SrsFile::open(&artifacts.srs)?.provenance() {
            _ if super::read_manifest(&artifacts.folder)?.unsafe_srs => Provenance::UnsafeDev,
            provenance => provenance,
        };
        let hashes = [
            identity.onnx_sha256,
            identity.settings_sha256,
            identity.srs_sha256,
            identity.vk_sha256,
        ];
        Ok(ModelRecord::new(self.name(), hashes, identity.engine_version, srs))
    }

    /// The sample proof, which a verifier must accept before and after it is deployed.
    pub fn golden_proof(&self) -> Result<Proof> {
        let path = self.artifacts().proof;
        if !path.is_file() {
            return Err(Error::NotBuilt(path));
        }
        let proof = ProofFile::read(&path)?;
        proof.check(&self.settings()?)?;
        Ok(proof.proof)
    }

    /// What it takes to deploy the verifier. `local`: the chain is a local one whatever its id.
    pub fn verifier_request(&self, method: Method, local: bool) -> Result<VerifierRequest> {
        self.request_of(&self.verifier()?, Function::One, method, local)
    }

    /// What it takes to deploy the batch verifier, if there is one.
    pub fn batch_verifier_request(
        &self,
        method: Method,
        local: bool,
    ) -> Result<Option<VerifierRequest>> {
        let batch = self.batch_verifier()?;
        batch.map(|batch| self.request_of(&batch, Function::Many, method, local)).transpose()
    }

    fn request_of(
        &self,
        verifier: &VerifierArtifact,
        function: Function,
        method: Method,
        local: bool,
    ) -> Result<VerifierRequest> {
        let metadata = verifier.metadata();
        Ok(VerifierRequest {
            contract: Contract {
                name: metadata.contract.clone(),
                init_code: verifier.init_code().clone(),
                runtime_code: Some(verifier.runtime_code().clone()),
                arguments: None,
            },
            function,
            compiler: Some(Compiler {
                language: format!("{:?}", metadata.language),
                version: metadata.compiler.version.to_string(),
                settings: json!(metadata.compiler.options),
                source_sha256: metadata.source_sha256,
            }),
            model: self.chain_model()?,
            method,
            golden: self.golden_proof()?,
            deployments: self.deployments(),
            local,
        })
    }

    /// What it takes to give the deployed verifier, and the batch verifier if that is deployed too,
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
        local: bool,
    ) -> Result<AddModel> {
        let artifact = self.verifier()?;
        let metadata = artifact.metadata();
        let mut verify_gas = metadata.gas.verify_gas.ok_or(Error::NotMeasured)?;
        if batch_verifier.is_some()
            && let Some(batch) = self.batch_verifier()?
        {
            // A batch of one takes a little more, and the cap is for each proof of either.
            verify_gas = verify_gas.max(batch.metadata().gas.verify_gas.unwrap_or_default());
        }
        Ok(AddModel {
            core,
            model: self.chain_model()?,
            verifier,
            verifier_code_hash: metadata.runtime_code_hash,
            batch_verifier,
            proof_length: metadata.shape.proof_len,
            gas_cap: default_gas_cap(verify_gas),
            tensors: self.tensors()?,
            guardian,
            golden: self.golden_proof()?,
            deployments: self.deployments(),
            local,
        })
    }

    /// What the instances stand for, as the contracts have it.
    fn tensors(&self) -> Result<Vec<Tensor>> {
        let layout = self.settings()?.instance_layout();
        let tensor = |group: &InstanceGroup| Tensor {
            kind: group.kind,
            scale: group.scale.unwrap_or_default(),
            shape: group
                .shape
                .iter()
                .map(|axis| u32::try_from(*axis).unwrap_or(u32::MAX))
                .collect(),
        };
        Ok(layout.groups.iter().filter(|group| !group.is_empty()).map(tensor).collect())
    }

    /// What it takes to record predictions in the ledger, in one transaction.
    pub fn ledger_request(
        &self,
        proofs: &[ProofFile],
        deployments: &Deployments,
        context: B256,
        local: bool,
    ) -> Result<LedgerRequest> {
        let claims = self.claims(proofs)?;
        let shape = self.verifier()?.metadata().shape;
        let model = self.chain_model()?.id;
        Ok(LedgerRequest::for_model(deployments, model, context, local, claims, shape)?)
    }

    /// What it takes to submit proofs to a deployed verifier, in one transaction.
    pub fn submit_request(
        &self,
        proofs: &[ProofFile],
        entry: &Entry,
        chain_id: u64,
        local: bool,
    ) -> Result<SubmitRequest> {
        let claims = self.claims(proofs)?;
        let shape = self.verifier()?.metadata().shape;
        let model = self.chain_model()?.id;
        Ok(SubmitRequest::for_entry(entry, model, chain_id, local, claims, shape)?)
    }

    fn claims(&self, proofs: &[ProofFile]) -> Result<Vec<Proof>> {
        let settings = self.settings()?;
        proofs
            .iter()
            .map(|proof| {
                proof.check(&settings)?;
                Ok(proof.proof.clone())
            })
            .collect()
    }
}
