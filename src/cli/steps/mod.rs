//! The workflow's steps, each on its own. In a project the defaults are the project's artefacts;
//! elsewhere they are the file names of ezkl's documentation in the current folder.

mod calibrate;
mod compile;
mod create_verifier;
mod gen_settings;
mod get_srs;
mod mock;
mod setup;
mod witness;

pub(super) use self::{
    calibrate::Calibrate, compile::Compile, create_verifier::CreateVerifier,
    gen_settings::GenSettings, get_srs::GetSrs, mock::Mock, setup::Setup, witness::Witness,
};

use super::Context;
use crate::{
    engine::Engine,
    project::{Built, Project},
};
use eyre::Result;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Where a step reads and writes what is not named on the command line.
#[derive(Debug)]
pub(super) struct Places {
    project: Option<Project>,
}

macro_rules! places {
    ($($name:ident: $field:ident, $file:literal;)*) => {
        $(
            pub(super) fn $name(&self, given: &Option<PathBuf>) -> PathBuf {
                given.clone().unwrap_or_else(|| match &self.project {
                    Some(project) => project.artifacts().$field,
                    None => PathBuf::from($file),
                })
            }
        )*
    };
}

impl Places {
    pub(super) fn new(context: &Context) -> Result<Self> {
        Ok(Self { project: context.maybe_project()? })
    }

    places! {
        settings: settings, "settings.json";
        compiled: compiled, "model.compiled";
        srs: srs, "kzg.srs";
        vk: vk, "vk.key";
        pk: pk, "pk.key";
        verifier: verifier, "verifier";
    }

    pub(super) fn model(&self, given: &Option<PathBuf>) -> PathBuf {
        given.clone().unwrap_or_else(|| match &self.project {
            Some(project) => project.model(),
            None => "network.onnx".into(),
        })
    }

    pub(super) fn data(&self, given: &[PathBuf]) -> Vec<PathBuf> {
        match &self.project {
            _ if !given.is_empty() => given.to_vec(),
            Some(project) => project.data(),
            None => vec!["input.json".into()],
        }
    }

    fn witness(&self, given: &Option<PathBuf>) -> PathBuf {
        given.clone().unwrap_or_else(|| "witness.json".into())
    }

    /// What is built, where any of these files is the project's and not named on the command line.
    pub(super) async fn built(
        &self,
        context: &Context,
        named: &[&Option<PathBuf>],
    ) -> Result<Option<Built>> {
        match &self.project {
            Some(project) if named.iter().any(|path| path.is_none()) => {
                Ok(Some(project.built(&context.ui.observer()).await?))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn project(&self) -> Option<&Project> {
        self.project.as_ref()
    }

    pub(super) fn engine(&self, context: &Context) -> Result<Engine> {
        context.engine(self.project.as_ref())
    }
}

/// Prints what a step wrote.
fn wrote(context: &Context, what: &str, paths: &[(&str, &Path)]) -> Result<()> {
    let text = paths
        .iter()
        .map(|(_, path)| format!("{what}: {}", path.display()))
        .collect::<Vec<_>>()
        .join("\n");
    let data: serde_json::Map<_, _> =
        paths.iter().map(|(name, path)| ((*name).to_owned(), json!(path))).collect();
    context.ui.result(text, &data)
}
