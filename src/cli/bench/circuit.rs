//! What `bench gas` and `bench fuzz` look at: a circuit of a folder's model, built for the purpose.

use crate::{
    artifacts::{proof::ProofFile, run_args::RunArgs},
    cli::Context,
    engine::Engine,
    files,
    project::{
        self, BuildOptions, Built, Project,
        config::{CircuitConfig, FILE_NAME, Target, VerifierConfig},
        steps::{MadeVerifier, MakeVerifier, make_verifier},
    },
    srs, tune,
    verifier::Kind,
};
use clap::Args;
use eyre::{Result, WrapErr, eyre};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The largest k that a calibration may come to here, where any SRS will do.
const MAX_LOGROWS: i64 = 20;

#[derive(Args, Clone, Debug)]
pub(super) struct CircuitOptions {
    /// Who chooses the circuit: ezkl's calibration from ezkl's own defaults (resources, accuracy),
    /// zkvouch's tuner (tune), or the circuit options alone (manual).
    #[arg(long, value_enum, default_value_t = Target::Resources)]
    target: Target,
    #[command(flatten)]
    circuit: CircuitConfig,
}

/// Looks at one model after the other, with a line for each as soon as it is known.
pub(super) async fn each<T>(
    context: &Context,
    folders: &[PathBuf],
    look: impl AsyncFn(&Path) -> Result<T>,
    line: fn(&T) -> String,
) -> Result<Vec<T>> {
    let mut models = Vec::new();
    for folder in folders {
        let model = look(folder).await.wrap_err_with(|| format!("in {}", folder.display()))?;
        context.ui.note(line(&model));
        models.push(model);
    }
    Ok(models)
}

/// A model is called by its folder.
pub(super) fn name(folder: &Path) -> String {
    folder.file_name().map_or_else(String::new, |name| name.display().to_string())
}

/// A built project in a folder of its own, which goes with it.
pub(super) struct Circuit {
    pub(super) project: Project,
    pub(super) built: Built,
    /// The sample.
    pub(super) proof: ProofFile,
    pub(super) engine: Engine,
    pub(super) input: PathBuf,
    scratch: files::Scratch,
}

impl CircuitOptions {
    /// Builds the model of `folder`, which has model.onnx or network.onnx and input.json.
    pub(super) async fn build(
        &self,
        context: &Context,
        folder: &Path,
        batch_size: usize,
    ) -> Result<Circuit> {
        let find = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
        let model = find("model.onnx")
            .or_else(|| find("network.onnx"))
            .ok_or_else(|| eyre!("neither model.onnx nor network.onnx"))?;
        let input = find("input.json").ok_or_else(|| eyre!("no input.json"))?;
        let absolute = |path: &Path| path.canonicalize().map_err(files::Error::at("read", path));
        let (model, input) = (absolute(&model)?, absolute(&input)?);
        let scratch = files::Scratch::new()?;
        let file = scratch.path().join(FILE_NAME);
        files::write_atomic(&file, self.project_file(&model, &input, batch_size)?.as_bytes())?;
        let project = Project::open(&file)?;
        project.build(BuildOptions::default(), context.ui.observer()).await?;
        let built = project.built(&context.ui.observer()).await?;
        let proof = ProofFile::read(&built.artifacts().proof)?;
        let engine = context.engine(Some(&project))?;
        Ok(Circuit { project, built, proof, engine, input, scratch })
    }

    fn project_file(&self, model: &Path, input: &Path, batch_size: usize) -> Result<String> {
        let mut circuit = self.circuit.clone();
        if matches!(self.target, Target::Resources | Target::Accuracy) {
            let ezkl = tune::baseline::baseline_args(&RunArgs::default());
            circuit.decomp_base.get_or_insert(ezkl.decomp_base);
            circuit.decomp_legs.get_or_insert(ezkl.decomp_legs);
            circuit.num_inner_cols.get_or_insert(ezkl.num_inner_cols);
        }
        // The chain of a benchmark is nobody's, so any SRS of the right size does.
        let (data, srs) = ([input.to_owned()], srs::Source::UnsafeDev);
        let text = project::config::template(&project::config::Template {
            model,
            data: &data,
            outputs: &[],
            constants: &Default::default(),
            batch_size,
            circuit: &circuit,
            srs: &srs,
        });
        let mut document: toml_edit::DocumentMut = text.parse()?;
        let target = json!(self.target);
        document["calibration"]["target"] = toml_edit::value(target.as_str().unwrap_or_default());
        document["calibration"]["max_logrows"] = toml_edit::value(MAX_LOGROWS);
        // What is only looked at need not be deployable.
        document["verifier"]["allow_oversize"] = toml_edit::value(true);
        Ok(document.to_string())
    }
}

impl Circuit {
    /// A verifier that has accepted the sample.
    pub(super) async fn verifier(&self, config: &VerifierConfig) -> Result<MadeVerifier> {
        let artifacts = self.built.artifacts();
        let request = MakeVerifier {
            settings: self.built.settings(),
            settings_path: &artifacts.settings,
            layout: Some(self.built.layout()),
            vk: &artifacts.vk,
            srs: &artifacts.srs,
            proof: Some(&self.proof),
            config,
            made_from: self.built.made_from().clone(),
        };
        Ok(make_verifier(&self.engine, &request).await?)
    }

    /// The options of a verifier of this kind.
    pub(super) fn options(&self, kind: Kind) -> VerifierConfig {
        VerifierConfig { kind, ..self.project.config().verifier.clone() }
    }

    /// Another proof of the sample's input.
    pub(super) async fn another_proof(&self) -> Result<ProofFile> {
        let output = self.scratch.path().join("another.proof.json");
        Ok(self.built.prove(&self.engine, &self.input, &output).await?)
    }
}
