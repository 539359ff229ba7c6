//! zkvouch gen-settings

use super::{Places, wrote};
use crate::{
    accuracy::blame, artifacts::settings::Settings, cli::Context, cli::exit::Coded, files,
    project::config::CircuitConfig, project::steps::within_field,
};
use clap::Args;
use eyre::Result;
use std::path::PathBuf;

/// zkvouch gen-settings
#[derive(Args, Debug)]
pub(in crate::cli) struct GenSettings {
    /// The ONNX file.
    #[arg(short = 'M', long)]
    model: Option<PathBuf>,
    /// Where to write the settings.
    #[arg(short = 'O', long = "settings-path", visible_alias = "settings")]
    settings: Option<PathBuf>,
    #[command(flatten)]
    circuit: CircuitConfig,
}

impl GenSettings {
    pub(in crate::cli) async fn run(self, context: &Context) -> Result<()> {
        let places = Places::new(context)?;
        let scratch = files::Scratch::new()?;
        let settings = places.settings(&self.settings);
        let mut args = match &places.project {
            Some(project) => project.config().circuit.run_args(),
            None => Default::default(),
        };
        self.circuit.apply(&mut args);
        args.validate().map_err(|error| Coded::bad_input(error.to_string()))?;
        let model = places.prepared(&self.model, &args.variables, scratch.path()).await?;
        let engine = places.engine(context)?;
        let pending = files::Pending::new(&settings)?;
        let made = engine.gen_settings(&model, pending.path(), &args.to_engine()).await;
        if let Err(error) = made {
            return Err(blame::explain(&engine, &model, &args, error).await.into());
        }
        within_field(&Settings::read(pending.path())?)?;
        pending.commit()?;
        wrote(context, "settings", &[("settings", &settings)])
    }
}
