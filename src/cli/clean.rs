//! `zkvouch clean`

use super::Context;
use crate::toolchain;
use clap::Args;
use eyre::Result;
use serde_json::json;

/// zkvouch clean
#[derive(Args, Debug)]
pub(super) struct Clean {
    /// Remove what was fetched for all projects as well: engines, tools, SRS files.
    #[arg(long)]
    cache: bool,
}

impl Clean {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let (mut removed, mut kept) = (Vec::new(), Vec::new());
        if let Some(project) = context.maybe_project()? {
            let cleaned = project.clean(&context.ui.observer()).await?;
            removed.extend(cleaned.removed);
            kept.extend(cleaned.kept);
        } else if !self.cache {
            context.project()?;
        }
        if self.cache {
            removed.extend(toolchain::clean_cache(&toolchain::cache_dir()?)?);
        }
        for path in &kept {
            context.ui.warn(format_args!("{} is left: no build made it", path.display()));
        }
        let lines: Vec<_> =
            removed.iter().map(|folder| format!("removed {}", folder.display())).collect();
        context.ui.result(lines.join("\n"), &json!({ "removed": removed, "kept": kept }))
    }
}
