//! `zkvouch demo`: the main job.

use super::{
    Context, build, deploy::DeployOptions, exit::Coded, opts, show, submit::SubmitOptions,
};
use crate::{
    artifacts::{proof::ProofFile, settings::Settings},
    chain::{
        ChainClass, Mode,
        account::{SignerOptions, terminal_prompt},
        deploy::Deployer,
        node::anvil::{AnvilNode, AnvilOptions},
        tx::TxOptions,
    },
    files,
    project::{BuildOptions, Built, Project},
};
use clap::Args;
use eyre::{Result, eyre};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The example that the main job runs on.
const EXAMPLE: &str = "examples/credit";

/// zkvouch demo
#[derive(Args, Debug)]
pub(super) struct Demo {
    /// The project's folder.
    #[arg(default_value = EXAMPLE)]
    path: PathBuf,
    /// The input to predict on; the project's sample if absent.
    #[arg(long)]
    input: Option<PathBuf>,
}

impl Demo {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let project = self.project()?;
        let input = self.input.clone().unwrap_or_else(|| project.data().swap_remove(0));
        let report = project.build(BuildOptions::default(), context.ui.observer()).await?;
        build::warn_about(context, &report.findings);
        let built = project.built(&context.ui.observer()).await?;
        let proof = prove(context, &project, &built, &input).await?;
        let float = float_answer(&project, built.settings(), &input).await?;

        let node = AnvilNode::spawn(AnvilOptions::default()).await?;
        let account = SignerOptions::default()
            .resolve(node.rpc().chain_id(), &terminal_prompt)
            .await?
            .ok_or_else(|| eyre!("Anvil has no default account"))?;
        let options = TxOptions::default();
        // A chain that ends with this process leaves no record in the project: its files would
        // name addresses at which there is nothing.
        let records = files::Scratch::new()?;
        let sender = opts::sender(
            node.rpc().clone(),
            account,
            &options,
            records.path(),
            "demo",
            Mode::Broadcast,
            false,
        )?;
        // A folder of its own, since a scratch folder is itself locked while it lives.
        let built = built.with_deployments(&records.path().join("deployments"));
        let mut deployer = Deployer::new(&sender, Mode::Broadcast);
        let deployed =
            DeployOptions::default().run(&built, &mut deployer, ChainClass::Local).await?;
        let (submitted, submission) = SubmitOptions::default()
            .run(&built, &[proof], &sender, Mode::Broadcast, ChainClass::Local)
            .await?;
        node.stop().await;

        let float_text = float
            .iter()
            .map(|values| format!("float model  {}", show::numbers(values)))
            .collect::<Vec<_>>()
            .join("\n");
        let text = format!(
            "{}\n\n{}\n\n{submitted}\n{float_text}",
            build::summary(&report),
            deployed.text(),
        );
        let data = json!({
            "build": report,
            "float_outputs": float,
            "deployment": deployed.data(&sender),
            "submission": submission,
        });
        context.ui.result(text, &data)
    }

    fn project(&self) -> Result<Project> {
        if self.path == Path::new(EXAMPLE) && !self.path.exists() {
            return Err(Coded::bad_input(format!(
                "{EXAMPLE} is not here; run this in zkvouch's repository, or name a project's folder"
            ))
            .into());
        }
        Ok(Project::open(&self.path)?)
    }
}

/// The proof of `input`; the build's own if the input is the sample.
async fn prove(
    context: &Context,
    project: &Project,
    built: &Built,
    input: &Path,
) -> Result<ProofFile> {
    let artifacts = built.artifacts();
    if project.data().first().is_some_and(|sample| sample == input) {
        return Ok(ProofFile::read(&artifacts.proof)?);
    }
    let engine = context.engine(Some(project))?;
    let output = artifacts.folder.join("demo.proof.json");
    let proof = built.prove(&engine, input, &output).await?;
    engine.shutdown().await;
    Ok(proof)
}

/// What the float model says to the same input, of several observations one after the other.
async fn float_answer(
    project: &Project,
    settings: &Settings,
    input: &Path,
) -> Result<Vec<Vec<f64>>> {
    let model = project.original()?.float_model(&settings.run_args.variables).await?;
    let input = match *input == project.sample() {
        true => project.read_sample(settings)?,
        false => project.read_input(input, settings)?,
    };
    let inputs = input.data.numbers(&settings.model_input_scales)?;
    let mut answers: Vec<Vec<f64>> = Vec::new();
    let observations = project.config().batch().split_inputs(&inputs).unwrap_or_default();
    for observation in observations.iter().take(input.predictions.count as usize) {
        let outputs = model.run(observation)?;
        answers.resize(outputs.len(), Vec::new());
        answers.iter_mut().zip(outputs).for_each(|(all, more)| all.extend(more));
    }
    Ok(answers)
}
