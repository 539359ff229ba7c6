//! zkvouch get-srs

use super::Places;
use crate::{artifacts::settings::Settings, cli::Context, srs, toolchain};
use clap::Args;
use eyre::Result;
use serde_json::json;
use std::path::PathBuf;

/// zkvouch get-srs
#[derive(Args, Debug)]
pub(in crate::cli) struct GetSrs {
    /// Take the size from these settings.
    #[arg(short = 'S', long = "settings-path", visible_alias = "settings")]
    settings: Option<PathBuf>,
    /// The size, as log2 of the number of powers.
    #[arg(long, conflicts_with = "settings")]
    logrows: Option<u32>,
    /// Where to write the SRS.
    #[arg(long)]
    srs_path: Option<PathBuf>,
    /// Where to take it from: ceremony, ceremony:URL, unsafe-dev, or the path of a file.
    #[arg(long, value_name = "SOURCE")]
    srs: Option<srs::Source>,
}

impl GetSrs {
    pub(in crate::cli) async fn run(self, context: &Context) -> Result<()> {
        let places = Places::new(context)?;
        let k = match self.logrows {
            Some(k) => k,
            None => Settings::read(&places.made_settings(&self.settings)?)?.run_args.logrows,
        };
        let source = match (self.srs, &places.project) {
            (Some(source), _) => source,
            (None, Some(project)) => project.config().srs.source.within(project.root()),
            (None, None) => srs::Source::default(),
        };
        let destination = places.srs(&self.srs_path);
        let obtained = srs::obtain(&source, k, &toolchain::cache_dir()?, &destination).await?;
        if obtained.provenance.is_unsafe() {
            context.ui.warn("the secret of this SRS is known: anybody could forge a proof");
        }
        let text = format!("srs: {} (k = {k}, {})", destination.display(), obtained.provenance);
        let data = json!({
            "srs": destination,
            "logrows": obtained.k,
            "provenance": obtained.provenance,
            "sha256": obtained.sha256,
        });
        context.ui.result(text, &data)
    }
}
