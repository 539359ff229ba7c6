//! zkvouch prepare

use super::Places;
use crate::{
    cli::{Context, exit::Coded},
    prepare,
    project::config::CircuitConfig,
};
use clap::Args;
use eyre::Result;
use serde_json::json;
use std::path::PathBuf;

/// zkvouch prepare
#[derive(Args, Debug)]
pub(in crate::cli) struct Prepare {
    /// The ONNX file.
    #[arg(short = 'M', long)]
    model: Option<PathBuf>,
    /// Inputs, the first of which is the sample; ones in a project without data.
    #[arg(short = 'D', long)]
    data: Option<PathBuf>,
    /// The outputs to keep, by their names; all of them if absent.
    #[arg(long = "output-name", value_name = "NAME")]
    outputs: Vec<String>,
    /// Values for the model's symbolic axes, such as batch_size=1.
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = crate::project::config::parse_variable)]
    variables: Vec<(String, usize)>,
    /// Where to write the model for ezkl.
    #[arg(short = 'O', long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Prepare {
    pub(in crate::cli) async fn run(self, context: &Context) -> Result<()> {
        let places = Places::new(context)?;
        let original = places.original(&self.model, &self.outputs)?;
        let config = places.project().map(|project| &project.config().circuit);
        let mut args = config.map(CircuitConfig::run_args).unwrap_or_default();
        if !self.variables.is_empty() {
            args.variables.clone_from(&self.variables);
        }
        args.validate().map_err(|error| Coded::bad_input(error.to_string()))?;
        let sample = places.project().filter(|_| self.model.is_none()).map(|it| it.sample());
        let data = self.data.or(sample);
        let output = places.prepared_file(&self.output);
        let prepared = prepare::to_file(&original, &args.variables, data.as_deref(), &output);
        let notes = prepared.await?.notes;
        let mut text = format!("prepared: {}", output.display());
        for line in notes.outputs.iter().chain(&notes.changes) {
            text.push_str(&format!("\n  {line}"));
        }
        let data = json!({
            "prepared": output, "outputs": notes.outputs, "changes": notes.changes,
        });
        context.ui.result(text, &data)
    }
}
