//! The workflow's steps, each on its own. In a project the defaults are the project's artefacts;
//! elsewhere they are the file names of ezkl's documentation in the current folder.

mod calibrate;
mod compile;
mod create_verifier;
mod gen_settings;
mod get_srs;
mod mock;
mod prepare;
mod setup;
mod witness;

pub(super) use self::{
    calibrate::Calibrate, compile::Compile, create_verifier::CreateVerifier,
    gen_settings::GenSettings, get_srs::GetSrs, mock::Mock, prepare::Prepare, setup::Setup,
    witness::Witness,
};

use super::{Context, exit::Coded};
use crate::{
    artifacts::settings::Settings,
    engine::{Engine, Usage},
    model::batch::Batching,
    prepare::Original,
    project::{self, Built, Input, Project, steps},
};
use eyre::Result;
use serde_json::{Value, json};
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
        prepared_file: prepared, "prepared.onnx";
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

    /// The settings to go by, which are there.
    pub(super) fn made_settings(&self, given: &Option<PathBuf>) -> Result<PathBuf> {
        self.made(given, self.settings(given), "settings-path")
    }

    /// A file that is there: one that was named, or one that an earlier step made.
    fn made(&self, given: &Option<PathBuf>, path: PathBuf, flag: &str) -> Result<PathBuf> {
        match (&self.project, given) {
            (_, Some(_)) => Ok(path),
            _ if path.exists() => Ok(path),
            (Some(_), None) => Err(project::Error::NotBuilt(path).into()),
            (None, None) => Err(Coded::bad_input(format!(
                "{} is not here, nor is a project's zkvouch.toml; run `zkvouch build` in a project, or name the \
                 file with --{flag}",
                path.display()
            ))
            .into()),
        }
    }

    /// The model as its maker wrote it, with these of its outputs; with the project's, or all of them, where none is
    /// named.
    pub(super) fn original(&self, given: &Option<PathBuf>, outputs: &[String]) -> Result<Original> {
        Ok(match (&self.project, given) {
            (Some(project), None) if outputs.is_empty() => project.original()?,
            _ => Original::read(&self.model(given), outputs)?,
        })
    }

    /// The model as ezkl takes it, made in `scratch`.
    pub(super) async fn prepared(
        &self,
        given: &Option<PathBuf>,
        variables: &[(String, usize)],
        scratch: &Path,
    ) -> Result<PathBuf> {
        let copy = scratch.join("prepared.onnx");
        match (&self.project, given) {
            (Some(project), None) => project.prepare_to(&copy).await?,
            _ => {
                crate::prepare::to_file(&self.original(given, &[])?, variables, None, &copy).await?
            }
        };
        Ok(copy)
    }

    /// The one observation in a file, or as many as the project's circuit takes.
    pub(super) fn read_input(&self, path: &Path, settings: &Settings) -> Result<Input> {
        Ok(match &self.project {
            Some(project) => project.read_input(path, settings)?,
            None => steps::read_input(path, None, (settings, Batching::ONE))?,
        })
    }

    /// How large the circuit's public numbers get: what was named, else what the project's build found, unless the
    /// settings are somebody else's.
    fn widths(&self, given: &Option<PathBuf>, settings: &Option<PathBuf>) -> Option<PathBuf> {
        let built = self.project.as_ref().filter(|_| settings.is_none());
        let built = built.map(|project| project.artifacts().widths);
        given.clone().or(built.filter(|path| path.exists()))
    }

    /// All observations in a file, as many at a time as the project's circuit takes.
    pub(super) fn read_batches(&self, path: &Path, settings: &Settings) -> Result<Vec<Input>> {
        let Some(project) = &self.project else {
            let message = "--batch reads the observations for a project's circuit, and no zkvouch.toml is here; \
                           change to the project's folder";
            return Err(Coded::bad_input(message.to_owned()).into());
        };
        Ok(project.read_batches(path, settings)?)
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

/// What an operation took, beside what it was expected to take.
pub(super) fn took(usage: &Usage) -> Value {
    json!({
        "seconds": usage.elapsed.as_secs_f64(),
        "cpu_seconds": usage.cpu.map(|cpu| cpu.as_secs_f64()),
        "peak_bytes": usage.peak_bytes,
    })
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
