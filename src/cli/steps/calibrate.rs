//! zkvouch calibrate

use super::Places;
use crate::{
    artifacts::settings::Settings, cli::Context, files, project::config::CalibrationConfig,
    project::steps,
};
use clap::Args;
use eyre::Result;
use serde_json::json;
use std::path::PathBuf;

/// zkvouch calibrate
#[derive(Args, Debug)]
pub(in crate::cli) struct Calibrate {
    /// The ONNX file.
    #[arg(short = 'M', long)]
    model: Option<PathBuf>,
    /// Settings to fit; rewritten in place.
    #[arg(short = 'O', long = "settings-path", visible_alias = "settings")]
    settings: Option<PathBuf>,
    /// Input files; several are taken one after another.
    #[arg(short = 'D', long, num_args = 1..)]
    data: Vec<PathBuf>,
    #[command(flatten)]
    options: CalibrationConfig,
}

impl Calibrate {
    pub(in crate::cli) async fn run(self, context: &Context) -> Result<()> {
        let places = Places::new(context)?;
        let settings = places.made_settings(&self.settings)?;
        let scratch = files::Scratch::new()?;
        let variables = Settings::read(&settings)?.run_args.variables;
        let original = places.original(&self.model, &[])?;
        let report = steps::calibrate(
            &places.engine(context)?,
            &places.prepared(&self.model, &variables, scratch.path()).await?,
            (&places.data(&self.data), &original.slots(&variables)?, original.batch()),
            (&settings, &settings),
            &self.options,
        )
        .await?;
        let fitted = Settings::read(&settings)?;
        let text = format!("{report}settings: {}", settings.display());
        let data = json!({ "settings": settings, "run_args": fitted.run_args, "report": report });
        context.ui.result(text, &data)
    }
}
