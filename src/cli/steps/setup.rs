//! zkvouch setup

use super::{Places, wrote};
use crate::{cli::Context, engine::SetupRequest, srs};
use clap::Args;
use eyre::Result;
use std::path::PathBuf;

/// zkvouch setup
#[derive(Args, Debug)]
pub(in crate::cli) struct Setup {
    /// The compiled circuit.
    #[arg(short = 'M', long)]
    compiled_circuit: Option<PathBuf>,
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
        let request = SetupRequest {
            compiled: &places.compiled(&self.compiled_circuit),
            srs: &srs,
            vk: &vk,
            pk: &pk,
            witness: self.witness.as_deref(),
            compress_selectors: !self.disable_selector_compression,
        };
        places.engine(context)?.setup(request).await?;
        wrote(context, "key", &[("vk", &vk), ("pk", &pk)])
    }
}
