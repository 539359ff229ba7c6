//! What is built: one snapshot, read once and checked once, that everything said of it on chain or
//! in a report comes from.

use super::{
    Artifacts, Error, Input, Observer, Project, Result, caveat,
    graph::{self, Manifest, Step},
    names, plan,
    policy::Finding,
    steps::{self, ProvingFiles, make_witness, prove_witness},
};
use crate::{
    artifacts::{layout::InstanceLayout, proof::ProofFile, settings::Settings},
    engine::Engine,
    files,
    model::{
        batch::Batching,
        identity::{ModelId, ModelIdentity},
        proof::Proof,
        provenance::Provenance,
        schema::{Descriptor, descriptor_v1},
    },
    prepare::{Constants, Original},
    srs::{SrsFile, ceremony},
    verifier::{self, MadeFrom, VerifierArtifact, batch, is_made_with},
};
use alloy::primitives::keccak256;
use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A built project. While one exists, no build changes the files that it speaks of.
#[derive(Clone, Debug)]
pub struct Built {
    name: String,
    identity: ModelIdentity,
    made_from: MadeFrom,
    settings: Settings,
    layout: InstanceLayout,
    descriptor: Descriptor,
    verifier: VerifierArtifact,
    batch_verifier: Option<VerifierArtifact>,
    golden: Proof,
    provenance: Provenance,
    findings: Vec<Finding>,
    artifacts: Artifacts,
    model: PathBuf,
    batch: Batching,
    /// Inputs of the model that are none of the circuit's, with their values.
    constants: Constants,
    deployments: PathBuf,
    _lock: Arc<File>,
}

impl Project {
    /// What is built, waiting while a build is running.
    ///
    /// Every file is compared with what the build wrote or ran on, by its size and time, and by its
    /// hash where one of these differs; so is every option. Only the sample inputs may have changed.
    ///
    /// # Errors
    /// [`Error::NotBuilt`] before the first build, [`Error::OutOfDate`] where something is no longer
    /// what was built, [`Error::OtherSetup`] where code and SRS disagree about τ.
    pub async fn built(&self, observer: &Observer) -> Result<Built> {
        let lock = graph::lock_shared(&self.artifacts().folder, observer).await?;
        Built::read(self, lock)
    }

    /// Whose verifier it is, by the manifest's own hashes.
    pub(super) fn made_from(&self, manifest: &Manifest, folder: &Path) -> Result<MadeFrom> {
        let output = |step, file: &str| {
            manifest.output(step, file).ok_or_else(|| Error::NotBuilt(folder.join(file)))
        };
        Ok(MadeFrom {
            onnx_sha256: manifest.input(Step::Prepare, plan::MODEL),
            settings_sha256: output(Step::Calibrate, names::SETTINGS)?,
            srs_sha256: output(Step::Srs, names::SRS)?,
            vk_sha256: output(Step::Setup, names::VK)?,
            proof_sha256: Some(output(Step::Proof, names::PROOF)?),
            engine_version: self.config().engine.version.clone(),
            zkvouch_version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }
}

impl Built {
    pub(super) fn read(project: &Project, lock: File) -> Result<Self> {
        let artifacts = project.artifacts();
        let folder = &artifacts.folder;
        let manifest = Manifest::read(folder)?;
        let check = |spec: &graph::Spec| match manifest.stale(folder, spec)? {
            None => Ok(()),
            Some(graph::Change::NotBuilt(_)) => {
                let file = spec.outputs.first().map(|file| folder.join(file));
                Err(Error::NotBuilt(file.unwrap_or_else(|| folder.clone())))
            }
            Some(change) => Err(Error::OutOfDate { change }),
        };
        let weights = caveat::prepared(&manifest).map(|it| it.weights).unwrap_or_default();
        project.first_steps(&weights).iter().try_for_each(check)?;
        let settings = Settings::read(&artifacts.settings)?;
        project.later_steps(&settings).iter().try_for_each(check)?;

        let verifier = VerifierArtifact::read(&artifacts.verifier)?;
        let batch_verifier = batch::read(&artifacts.verifier)?;
        let made_from = project.made_from(&manifest, folder)?;
        let metadata_file = artifacts.verifier.join(verifier::METADATA_FILE);
        for artifact in std::iter::once(&verifier).chain(&batch_verifier) {
            if artifact.metadata().made_from.as_ref() != Some(&made_from) {
                return Err(Error::OutOfDate { change: graph::Change::Altered(metadata_file) });
            }
        }
        let file = ProofFile::read(&artifacts.proof)?;
        file.check(&settings)?;
        let layout = project.layout(&settings)?;
        let descriptor = layout.descriptor()?;
        if verifier.metadata().packing.as_ref().is_some_and(|it| *it != descriptor.packing()) {
            return Err(Error::OutOfDate { change: graph::Change::Altered(metadata_file) });
        }
        let srs = SrsFile::open(&artifacts.srs)?;
        for artifact in std::iter::once(&verifier).chain(&batch_verifier) {
            if !is_made_with(artifact.runtime_code(), srs.neg_tau_g2_words()) {
                let (verifier, srs) = (artifacts.verifier.clone(), artifacts.srs.clone());
                return Err(Error::OtherSetup { verifier, srs });
            }
        }
        let identity = ModelIdentity {
            onnx_sha256: made_from.onnx_sha256.ok_or_else(|| Error::NotBuilt(metadata_file))?,
            settings_sha256: made_from.settings_sha256,
            srs_sha256: made_from.srs_sha256,
            vk_sha256: made_from.vk_sha256,
            engine_version: made_from.engine_version.clone(),
            descriptor_keccak256: keccak256(descriptor.encode()),
        };
        let provenance = ceremony::provenance(ceremony::by_neg_s_g2(srs.neg_tau_g2_words()));
        let mut caveats = caveat::of(&settings, &manifest, &made_from.engine_version);
        caveats.extend(caveat::of_srs(&provenance));
        caveats.extend(caveat::of_verifier(&verifier.metadata().gas));
        Ok(Self {
            name: project.name(),
            identity,
            made_from,
            findings: project.config().policy.judge(caveats),
            settings,
            layout,
            descriptor,
            provenance,
            verifier,
            batch_verifier,
            golden: file.proof,
            model: project.model(),
            batch: project.config().batch(),
            constants: project.config().model.constants.clone(),
            deployments: project.deployments(),
            artifacts,
            _lock: Arc::new(lock),
        })
    }

    /// The model's name as its owner has it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the model's identity is made of.
    pub fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    /// What the verifier was made from.
    pub fn made_from(&self) -> &MadeFrom {
        &self.made_from
    }

    /// The id under which the chain knows it: [`ModelIdentity::model_id`] of
    /// [`identity`](Self::identity).
    pub fn model_id(&self) -> ModelId {
        self.identity.model_id()
    }

    /// The settings that the circuit is bound to.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Which instance of a proof is what.
    pub fn layout(&self) -> &InstanceLayout {
        &self.layout
    }

    /// What the contracts say of a proof's instances.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The ids that contracts of earlier releases know the same model by, the newest first: before there were
    /// widths, and before the descriptor was part of the id.
    pub fn former_ids(&self) -> [ModelId; 2] {
        let former = ModelIdentity {
            descriptor_keccak256: keccak256(descriptor_v1(self.descriptor.tensors())),
            ..self.identity.clone()
        };
        [former.model_id(), former.model_id_v1()]
    }

    /// How many observations a proof is of, and how they lie in the circuit's tensors.
    pub fn batch(&self) -> Batching {
        self.batch
    }

    /// Whether a proof may be one of this circuit, and is of as many predictions as it takes.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self, proof: &ProofFile) -> Result<()> {
        proof.check(&self.settings)?;
        let (found, size) = (proof.predictions.size, self.layout.predictions);
        match found == size {
            true => Ok(()),
            false => {
                let path = proof.path().to_owned();
                Err(Error::OtherPredictions { path, found, size })
            }
        }
    }

    /// The verifier of one proof.
    pub fn verifier(&self) -> &VerifierArtifact {
        &self.verifier
    }

    /// The verifier of many proofs at once; none where the circuit has none that a chain takes.
    pub fn batch_verifier(&self) -> Option<&VerifierArtifact> {
        self.batch_verifier.as_ref()
    }

    /// The sample proof, which a verifier must accept before and after it is deployed.
    pub fn golden(&self) -> &Proof {
        &self.golden
    }

    /// Who may know τ, by the `[τ]₂` in the verifier's code.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// What its owner must know of it before others rely on it: what errors and what surprises first.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The model's file as its owner has it.
    pub fn model_path(&self) -> &Path {
        &self.model
    }

    /// Where the files of this snapshot lie.
    pub fn artifacts(&self) -> &Artifacts {
        &self.artifacts
    }

    /// The folder of the deployments files.
    pub fn deployments(&self) -> &Path {
        &self.deployments
    }

    /// The same with its deployments files elsewhere.
    #[must_use]
    pub fn with_deployments(&self, folder: &Path) -> Self {
        Self { deployments: folder.to_owned(), ..self.clone() }
    }

    /// The files that proving takes.
    pub fn proving_files(&self) -> ProvingFiles {
        self.artifacts.proving_files(&self.settings)
    }

    /// Proves the prediction on `input`, and writes the proof to `output`. The input is checked
    /// against the circuit before ezkl sees it, and the proof is verified before it is written. Of a batch, up to as
    /// many observations as the circuit takes.
    pub async fn prove(&self, engine: &Engine, input: &Path, output: &Path) -> Result<ProofFile> {
        let original = Original::with_constants(&self.model, &[], &self.constants)?;
        let slots = original.slots(&self.settings.run_args.variables)?;
        let Input { data, predictions } =
            steps::read_input(input, Some(slots), (&self.settings, self.batch))?;
        // A witness holds the inputs, which may be nobody's business.
        let scratch = files::Scratch::new()?;
        let witness = scratch.path().join("witness.json");
        let files = self.proving_files();
        make_witness(engine, &files, &data, &witness).await?;
        Ok(prove_witness(engine, &files, (&witness, input), predictions, output).await?.0)
    }
}
