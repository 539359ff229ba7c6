//! `zkvouch prove`

use super::{
    Context, show,
    steps::{Places, took},
};
use crate::{
    artifacts::{proof::ProofFile, settings::Settings},
    engine::{Engine, Usage},
    files,
    model::batch::Predictions,
    project::{
        Input,
        steps::{ProvingFiles, expected, make_witness, prove_witness},
    },
    tune::machine::Work,
};
use clap::Args;
use eyre::Result;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// zkvouch prove
#[derive(Args, Debug)]
pub(super) struct Prove {
    /// The input, one observation (of a batch, up to as many as a proof is of): .json, .jsonl, .csv, .npy or .npz.
    #[arg(required_unless_present_any = ["witness", "batch"])]
    input: Option<PathBuf>,
    /// Any number of observations, as many in a proof as it is of; the last one is filled up.
    #[arg(long, value_name = "INPUTS", conflicts_with_all = ["input", "witness"])]
    batch: Option<PathBuf>,
    /// A witness to prove instead of an input.
    #[arg(short = 'W', long, conflicts_with = "input")]
    witness: Option<PathBuf>,
    /// Where to write the proof; several have -0, -1, … before the ending.
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
        let inputs = match (&self.batch, &self.input) {
            (Some(batch), _) => places.read_batches(batch, &settings)?,
            (None, Some(input)) => vec![places.read_input(input, &settings)?],
            (None, None) => Vec::new(),
        };
        let engine = places.engine(context)?;
        let expected = expected(&settings, Work::Proof, engine.version())?;
        if let Some(expected) = &expected {
            context.ui.expected(Work::Proof, expected);
        }
        let spinner = context.ui.spinner("prove");
        let mut proofs = Vec::new();
        if let Some(witness) = &self.witness {
            let paths = (witness.as_path(), witness.as_path());
            let predictions = Predictions::ONE;
            let proof = prove_witness(&engine, &files, paths, predictions, &self.output).await?;
            proofs.push((self.output.clone(), proof));
        }
        for (number, input) in inputs.iter().enumerate() {
            let output = match inputs.len() {
                1 => self.output.clone(),
                _ => numbered(&self.output, number),
            };
            let proof = prove(&engine, &files, input, &output).await?;
            proofs.push((output, proof));
        }
        engine.shutdown().await;
        spinner.finish_and_clear();
        let (mut texts, mut all) = (Vec::new(), Vec::new());
        for (output, (proof, usage)) in &proofs {
            let decoded = proof.decode(&settings.instance_layout())?;
            let each = show::each(&decoded, proof.predictions);
            texts.push(format!("{each}\nproof        {}", output.display()));
            let mut data = json!({
                "proof": output,
                "proof_bytes": proof.proof.bytes.len(),
                "num_instances": proof.proof.instances.len(),
                "decoded": decoded,
                "expected": expected,
                "took": took(usage),
            });
            show::add_predictions(&mut data, &decoded, proof.predictions);
            all.push(data);
        }
        let data = match self.batch {
            Some(_) => json!({ "proofs": all }),
            None => all.pop().unwrap_or(Value::Null),
        };
        context.ui.result(texts.join("\n"), &data)
    }
}

/// Proves an input. Its witness holds it, which may be nobody's business, and is not kept.
async fn prove(
    engine: &Engine,
    files: &ProvingFiles,
    input: &Input,
    output: &Path,
) -> Result<(ProofFile, Usage)> {
    let scratch = files::Scratch::new()?;
    let witness = scratch.path().join("witness.json");
    make_witness(engine, files, &input.data, &witness).await?;
    let paths = (witness.as_path(), input.data.path());
    Ok(prove_witness(engine, files, paths, input.predictions, output).await?)
}

/// The path with a number at the end of its name, before the ending.
fn numbered(path: &Path, number: usize) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(end) => format!("{stem}-{number}.{}", end.to_string_lossy()),
        None => format!("{stem}-{number}"),
    };
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_are_numbered_before_the_ending() {
        assert_eq!(numbered(Path::new("a/proof.json"), 0), Path::new("a/proof-0.json"));
        assert_eq!(numbered(Path::new("proof"), 12), Path::new("proof-12"));
    }
}
