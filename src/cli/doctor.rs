//! `zkvouch doctor`

use super::{
    Context,
    exit::{Code, Coded},
};
use crate::{
    chain::node::anvil::AnvilBinary,
    engine::{Engine, EngineConfig},
    files, toolchain,
    verifier::solc::{self, SolcRequest},
};
use clap::Args;
use eyre::Result;
use serde::Serialize;
use serde_json::json;
use std::{fmt::Display, process::Stdio};
use tokio::process::Command;

/// zkvouch doctor
#[derive(Args, Debug)]
pub(super) struct Doctor {}

/// One thing that zkvouch needs.
#[derive(Debug, Serialize)]
struct Finding {
    name: &'static str,
    ok: bool,
    /// The version and where it is, or what is wrong and what to do about it.
    detail: String,
}

impl Finding {
    fn of<E: Display>(name: &'static str, outcome: Result<String, E>) -> Self {
        match outcome {
            Ok(detail) => Self { name, ok: true, detail },
            Err(error) => Self { name, ok: false, detail: error.to_string() },
        }
    }
}

impl Doctor {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let project = context.maybe_project()?;
        let config = match &project {
            Some(project) => project.engine_config()?,
            None => EngineConfig::from_env()?,
        };
        let request =
            project.as_ref().map(|p| p.config().verifier.solc.clone()).unwrap_or_default();
        let spinner = context.ui.spinner("doctor");
        spinner.set_message("looking; what is missing is fetched");
        let findings = vec![
            Finding::of("cache", cache()),
            Finding::of("node", version("node").await),
            Finding::of("npm", version("npm").await),
            Finding::of("ezkl", ezkl(config).await),
            Finding::of("solc", compiler(&request).await),
            Finding::of("anvil", anvil().await),
        ];
        spinner.finish_and_clear();
        let missing: Vec<_> = findings.iter().filter(|f| !f.ok).map(|f| f.name).collect();
        let text = findings
            .iter()
            .map(|finding| {
                let mark = if finding.ok { "ok" } else { "missing" };
                format!("{:<6} {mark:<8} {}", finding.name, finding.detail)
            })
            .collect::<Vec<_>>()
            .join("\n");
        if missing.is_empty() {
            return context.ui.result(text, &json!({ "findings": findings }));
        }
        context.ui.note(text);
        Err(Coded::new(Code::Tool, format!("missing: {}", missing.join(", "))).into())
    }
}

fn cache() -> Result<String> {
    let folder = toolchain::cache_dir()?;
    match files::write_atomic(&folder.join("doctor"), b"") {
        // What it lacks is told below.
        Err(error) if files::is_read_only(&error.source) && folder.is_dir() => {
            Ok(format!("{} (read-only: what is in it serves)", folder.display()))
        }
        result => Ok(result.map(|()| folder.display().to_string())?),
    }
}

async fn version(program: &'static str) -> Result<String> {
    let remedy = "install Node.js 20 or newer, which brings npm";
    let path =
        toolchain::find_on_path(program).ok_or(toolchain::Error::NotFound { program, remedy })?;
    let output = Command::new(&path).arg("--version").stdin(Stdio::null()).output().await?;
    let version = String::from_utf8_lossy(&output.stdout);
    Ok(format!("{} at {}", version.trim(), path.display()))
}

async fn ezkl(config: EngineConfig) -> Result<String> {
    let environment = Engine::new(config).prepare().await?;
    let python = environment.python.display();
    Ok(format!("{} in {} (python: {python})", environment.version, environment.folder.display()))
}

async fn compiler(request: &SolcRequest) -> Result<String> {
    let solc = solc::resolve(request).await?;
    Ok(format!("{} at {} ({})", solc.version, solc.path.display(), solc.origin))
}

async fn anvil() -> Result<String> {
    let anvil = AnvilBinary::resolve(None).await?;
    Ok(format!("{} at {} ({})", anvil.version, anvil.path.display(), anvil.origin))
}
