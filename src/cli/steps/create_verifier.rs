//! zkvouch create-verifier

use super::Places;
use crate::{
    artifacts::extents::Extents, artifacts::proof::ProofFile, artifacts::settings::Settings,
    cli::Context, cli::show, files, project::BatchReport, project::steps,
    project::steps::MakeVerifier, verifier, verifier::MadeFrom, verifier::solc::CompilerOptions,
    verifier::solc::SolcRequest,
};
use clap::Args;
use eyre::Result;
use serde_json::json;
use std::path::PathBuf;

/// zkvouch create-verifier
#[derive(Args, Debug)]
pub(in crate::cli) struct CreateVerifier {
    /// The verifying key.
    #[arg(long)]
    vk_path: Option<PathBuf>,
    /// The settings.
    #[arg(short = 'S', long = "settings-path", visible_alias = "settings")]
    settings: Option<PathBuf>,
    /// The SRS.
    #[arg(long)]
    srs_path: Option<PathBuf>,
    /// The folder to write source, ABI, bytecode and metadata to.
    #[arg(short = 'O', long)]
    output: Option<PathBuf>,
    /// How large public numbers get, from which the widths of packed ones follow: the widths.json of a build. By
    /// default the project's, else as large as in --proof.
    #[arg(long)]
    widths_path: Option<PathBuf>,
    /// Check the verifier with this proof, and measure its gas.
    #[arg(long)]
    proof: Option<PathBuf>,
    /// Whose Solidity.
    #[arg(long, value_enum)]
    kind: Option<verifier::Kind>,
    /// solc: a version or a path.
    #[arg(long)]
    solc: Option<SolcRequest>,
    /// The compiler's options as JSON, such as {"optimizer":true,"runs":1,"via_ir":false}.
    #[arg(long, value_name = "JSON", value_parser = compiler_options)]
    compiler: Option<CompilerOptions>,
    /// Build even what no public chain takes.
    #[arg(long)]
    allow_oversize: bool,
}

fn compiler_options(text: &str) -> Result<CompilerOptions, serde_json::Error> {
    serde_json::from_str(text)
}

impl CreateVerifier {
    pub(in crate::cli) async fn run(self, context: &Context) -> Result<()> {
        let places = Places::new(context)?;
        let (vk, srs) = (places.vk(&self.vk_path), places.srs(&self.srs_path));
        let settings_path = places.made_settings(&self.settings)?;
        let settings = Settings::read(&settings_path)?;
        let proof = self.proof.as_deref().map(ProofFile::read).transpose()?;
        if let Some(proof) = &proof {
            proof.check(&settings)?;
        }
        let configured = places.project.as_ref().map(|project| &project.config().verifier);
        let mut config = configured.cloned().unwrap_or_default();
        config.kind = self.kind.unwrap_or(config.kind);
        config.solc = self.solc.unwrap_or(config.solc);
        config.compiler = self.compiler.or(config.compiler);
        config.allow_oversize |= self.allow_oversize;
        let widths = places.widths(&self.widths_path, &self.settings);
        let extents = widths.as_deref().map(Extents::read).transpose()?;
        let layout = extents.map(|extents| settings.instance_layout().with_extents(&extents));
        let engine = places.engine(context)?;
        let made_from = MadeFrom {
            proof_sha256: self.proof.as_deref().map(files::sha256_file).transpose()?,
            ..MadeFrom::of_files(&settings_path, &srs, &vk, &settings.version)?
        };
        let request = MakeVerifier {
            settings: &settings,
            settings_path: &settings_path,
            layout: layout.as_ref(),
            vk: &vk,
            srs: &srs,
            proof: proof.as_ref(),
            config: &config,
            made_from,
        };
        let made = steps::make_verifier(&engine, &request).await?;
        let artifact = &made.artifact;
        let output = places.verifier(&self.output);
        let files = artifact.write(&output)?;
        let batch_files = verifier::batch::write(&output, made.batch.as_ref())?;
        let batch = made.batch.as_ref().map(BatchReport::of);
        let gas = &artifact.metadata().gas;
        if gas.verify_gas.is_none() {
            context.ui.warn("no --proof was given, so the verifier has accepted none yet");
        }
        let text = format!(
            "{}\nverifier     {}",
            show::gas(gas, made.comparison.as_ref(), batch.as_ref()),
            files.source.display()
        );
        context.ui.result(
            text,
            &json!({
                "files": files,
                "metadata": artifact.metadata(),
                "comparison": made.comparison,
                "batch": made.batch.as_ref().map(|batch| json!({
                    "files": batch_files,
                    "metadata": batch.artifact.metadata(),
                    "gas": batch.gas,
                })),
            }),
        )
    }
}
