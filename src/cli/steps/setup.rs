//! zkvouch setup

use super::{Places, took};
use crate::{
    artifacts::settings::Settings,
    cli::Context,
    engine::SetupRequest,
    project::steps::{expected, within_field},
    srs,
    tune::machine::Work,
};
use clap::Args;
use eyre::Result;
use serde_json::json;
use std::path::PathBuf;

/// zkvouch setup
#[derive(Args, Debug)]
pub(in crate::cli) struct Setup {
    /// The compiled circuit.
    #[arg(short = 'M', long)]
    compiled_circuit: Option<PathBuf>,
    /// The settings, from which memory and time are estimated before the keys are made.
    #[arg(short = 'S', long = "settings-path", visible_alias = "settings")]
    settings: Option<PathBuf>,
    /// The SRS.
    #[arg(long)]
    srs_path: Option<PathBuf>,
    /// Where to write the verifying key.
    #[arg(long)]
    vk_path: Option<PathBuf>,
    /// Where to write the proving key.
    #[arg(long)]
    pk_path: Option<PathBuf>,
    /// A witness, which some models need for overriding fixed columns.
    #[arg(short = 'W', long)]
    witness: Option<PathBuf>,
    /// Do not merge selectors into fewer columns.
    #[arg(long)]
    disable_selector_compression: bool,
}

impl Setup {
    pub(in crate::cli) async fn run(self, context: &Context) -> Result<()> {
        let places = Places::new(context)?;
        let (vk, pk) = (places.vk(&self.vk_path), places.pk(&self.pk_path));
        let srs = places.made(&self.srs_path, places.srs(&self.srs_path), "srs-path")?;
        srs::SrsFile::open(&srs)?;
        let engine = places.engine(context)?;
        let settings = places.settings(&self.settings);
        let expected = match self.settings.is_some() || settings.exists() {
            true => {
                let settings = Settings::read(&settings)?;
                within_field(&settings)?;
                expected(&settings, Work::Setup, engine.version())?
            }
            false => {
                let path = settings.display();
                context.ui.note(format_args!(
                    "memory and time are not estimated: {path} is not here (`--settings-path`)"
                ));
                None
            }
        };
        if let Some(expected) = &expected {
            context.ui.expected(Work::Setup, expected);
        }
        let request = SetupRequest {
            compiled: &places.compiled(&self.compiled_circuit),
            srs: &srs,
            vk: &vk,
            pk: &pk,
            witness: self.witness.as_deref(),
            compress_selectors: !self.disable_selector_compression,
        };
        let usage = engine.setup(request).await?;
        let text = format!("key: {}\nkey: {}", vk.display(), pk.display());
        let data = json!({ "vk": vk, "pk": pk, "expected": expected, "took": took(&usage) });
        context.ui.result(text, &data)
    }
}
