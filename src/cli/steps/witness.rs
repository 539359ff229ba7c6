//! zkvouch witness

use super::{Places, wrote};
use crate::{artifacts::settings::Settings, artifacts::witness, cli::Context, project::steps};
use clap::Args;
use eyre::Result;
use std::path::{Path, PathBuf};

/// zkvouch witness
#[derive(Args, Debug)]
pub(in crate::cli) struct Witness {
    /// The input file.
    #[arg(short = 'D', long)]
    data: Option<PathBuf>,
    /// The compiled circuit.
    #[arg(short = 'M', long)]
    compiled_circuit: Option<PathBuf>,
    /// The settings, which the input is checked against.
    #[arg(short = 'S', long = "settings-path", visible_alias = "settings")]
    settings: Option<PathBuf>,
    /// Where to write the witness.
    #[arg(short = 'O', long)]
    output: Option<PathBuf>,
    /// The verifying key, which committed values need.
    #[arg(long)]
    vk_path: Option<PathBuf>,
    /// The SRS, which committed values need.
    #[arg(long)]
    srs_path: Option<PathBuf>,
}

impl Witness {
    pub(in crate::cli) async fn run(self, context: &Context) -> Result<()> {
        let places = Places::new(context)?;
        let settings = Settings::read(&places.made_settings(&self.settings)?)?;
        let input = match (&self.data, &places.project) {
            (None, Some(project)) => project.read_sample(&settings)?,
            (None, None) => places.read_input(Path::new("input.json"), &settings)?,
            (Some(data), _) => places.read_input(data, &settings)?,
        };
        let input = input.data;
        input.check(&settings)?;
        let output = places.witness(&self.output);
        let keys = steps::needs_keys(&settings);
        let (vk, srs) = (places.vk(&self.vk_path), places.srs(&self.srs_path));
        places
            .engine(context)?
            .gen_witness(
                &input.to_json_for(&settings),
                &places.compiled(&self.compiled_circuit),
                &output,
                keys.then_some(&vk),
                keys.then_some(&srs),
            )
            .await?;
        witness::Witness::read(&output)?.check_ranges(&settings)?;
        wrote(context, "witness", &[("witness", &output)])
    }
}
