//! `zkvouch clean`

use super::{Context, exit::Coded};
use crate::{files, project::graph, toolchain};
use clap::Args;
use eyre::Result;
use serde_json::json;
use std::{fs, io};

/// zkvouch clean
#[derive(Args, Debug)]
pub(super) struct Clean {
    /// Remove what was fetched for all projects as well: engines, tools, SRS files.
    #[arg(long)]
    cache: bool,
}

impl Clean {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let mut folders = Vec::new();
        if let Some(project) = context.maybe_project()? {
            let folder = project.artifacts().folder;
            // A mistyped build_dir must not cost anybody a folder that no build has made.
            if folder.exists() && !folder.join(graph::MANIFEST_FILE).exists() {
                return Err(Coded::bad_input(format!(
                    "{} holds no {}, so no build made it; remove it by hand",
                    folder.display(),
                    graph::MANIFEST_FILE
                ))
                .into());
            }
            folders.push(folder);
        } else if !self.cache {
            context.project()?;
        }
        if self.cache {
            folders.push(toolchain::cache_dir()?);
        }
        for folder in &folders {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => result.map_err(files::Error::at("remove", folder))?,
            }
        }
        let text = folders
            .iter()
            .map(|folder| format!("removed {}", folder.display()))
            .collect::<Vec<_>>()
            .join("\n");
        context.ui.result(text, &json!({ "removed": folders }))
    }
}
