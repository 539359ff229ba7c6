//! zkvouch compile

use super::{Places, wrote};
use crate::{artifacts::settings::Settings, cli::Context, files, project::steps::within_field};
use clap::Args;
use eyre::Result;
use std::path::PathBuf;

/// zkvouch compile
#[derive(Args, Debug)]
pub(in crate::cli) struct Compile {
    /// The ONNX file.
    #[arg(short = 'M', long)]
    model: Option<PathBuf>,
    /// The settings.
    #[arg(short = 'S', long = "settings-path", visible_alias = "settings")]
    settings: Option<PathBuf>,
    /// Where to write the circuit.
    #[arg(long)]
    compiled_circuit: Option<PathBuf>,
}

impl Compile {
    pub(in crate::cli) async fn run(self, context: &Context) -> Result<()> {
        let places = Places::new(context)?;
        let settings = places.made_settings(&self.settings)?;
        let scratch = files::Scratch::new()?;
        let read = Settings::read(&settings)?;
        within_field(&read)?;
        let variables = read.run_args.variables;
        let compiled = places.compiled(&self.compiled_circuit);
        let model = places.prepared(&self.model, &variables, scratch.path()).await?;
        places.engine(context)?.compile_circuit(&model, &settings, &compiled).await?;
        wrote(context, "circuit", &[("compiled_circuit", &compiled)])
    }
}
