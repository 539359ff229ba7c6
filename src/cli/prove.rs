//! `zkvouch prove`

use super::{
    Context, show,
    steps::{Places, took},
};
use crate::{
    artifacts::settings::Settings,
    files,
    project::steps::{ProvingFiles, expected, make_witness, prove_witness},
    tune::machine::Work,
};
use clap::Args;
use eyre::Result;
use serde_json::json;
use std::path::PathBuf;

/// zkvouch prove
#[derive(Args, Debug)]
pub(super) struct Prove {
    /// The input, one observation: .json, .jsonl, .csv, .npy or .npz.
    #[arg(required_unless_present = "witness")]
    input: Option<PathBuf>,
    /// A witness to prove instead of an input.
    #[arg(short = 'W', long, conflicts_with = "input")]
    witness: Option<PathBuf>,
    /// Where to write the proof.
    #[arg(short, long, visible_alias = "proof-path", default_value = "proof.json")]
    output: PathBuf,
    #[command(flatten)]
    keys: Keys,
    /// The compiled circuit.
    #[arg(short = 'M', long)]
    compiled_circuit: Option<PathBuf>,
    /// The proving key.
    #[arg(long)]
    pk_path: Option<PathBuf>,
}

/// The artefacts that proving and verifying share.
#[derive(Args, Debug)]
#[command(next_help_heading = "Artefacts (the project's by default)")]
pub(super) struct Keys {
    /// The settings.
    #[arg(short = 'S', long = "settings-path", visible_alias = "settings")]
    pub(super) settings: Option<PathBuf>,
    /// The verifying key.
    #[arg(long)]
    pub(super) vk_path: Option<PathBuf>,
    /// The SRS.
    #[arg(long)]
    pub(super) srs_path: Option<PathBuf>,
}

impl Prove {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let places = Places::new(context)?;
        let Keys { settings, vk_path, srs_path } = &self.keys;
        let named = [settings, vk_path, srs_path, &self.compiled_circuit, &self.pk_path];
        let _built = places.built(context, &named).await?;
        let settings_path = places.made_settings(settings)?;
        let settings = Settings::read(&settings_path)?;
        let files = ProvingFiles {
            settings: settings.clone(),
            settings_path,
            compiled: places.compiled(&self.compiled_circuit),
            srs: places.srs(srs_path),
            vk: places.vk(vk_path),
            pk: places.pk(&self.pk_path),
        };
        let engine = places.engine(context)?;
        let expected = expected(&settings, Work::Proof, engine.version())?;
        if let Some(expected) = &expected {
            context.ui.expected(Work::Proof, expected);
        }
        let spinner = context.ui.spinner("prove");
        let scratch = files::Scratch::new()?;
        let (witness, input) = match (&self.witness, &self.input) {
            (Some(witness), _) => (witness.clone(), witness.clone()),
            (None, input) => {
                let witness = scratch.path().join("witness.json");
                let input = input.clone().unwrap_or_default();
                let data = places.read_input(&input, &settings)?;
                make_witness(&engine, &files, &data, &witness).await?;
                (witness, input)
            }
        };
        let (proof, usage) =
            prove_witness(&engine, &files, (&witness, &input), &self.output).await?;
        engine.shutdown().await;
        spinner.finish_and_clear();
        let decoded = proof.decode(&settings.instance_layout())?;
        let text = format!("{}\nproof        {}", show::decoded(&decoded), self.output.display());
        let data = json!({
            "proof": self.output,
            "proof_bytes": proof.proof.bytes.len(),
            "num_instances": proof.proof.instances.len(),
            "decoded": decoded,
            "expected": expected,
            "took": took(&usage),
        });
        context.ui.result(text, &data)
    }
}
