//! The Python that wheels are fetched with, and run with.

use super::{Error, Platform, Result};
use crate::toolchain::find_on_path;
use serde::Deserialize;
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::process::Command;

pub(crate) const PROBE_TIME: Duration = Duration::from_secs(60);

/// An interpreter and what it said of itself.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Python {
    pub(crate) executable: PathBuf,
    pub(crate) version: String,
    #[serde(flatten)]
    pub(crate) platform: Platform,
}

const PROBE: &str = "\
import json, platform, struct, sys
print(json.dumps({'executable': sys.executable, 'version': platform.python_version(),
                  'system': sys.platform, 'machine': platform.machine(),
                  'libc': platform.libc_ver()[0], 'bits': 8 * struct.calcsize('P')}))";

/// The interpreters to try, in order: the one asked for, else what PATH has.
pub(crate) fn candidates(asked: Option<&Path>, minimum: (u32, u32)) -> Result<Vec<PathBuf>> {
    let missing = |tried: String| Error::PythonMissing { tried, minimum };
    if let Some(python) = asked {
        let is_name = python.components().count() == 1 && !python.is_file();
        let path = if is_name { find_on_path(&python.to_string_lossy()) } else { None };
        let path = path.unwrap_or_else(|| python.to_owned());
        let path = std::path::absolute(&path).unwrap_or(path);
        if !path.is_file() {
            return Err(missing(format!("ZKVOUCH_PYTHON={}", python.display())));
        }
        return Ok(vec![path]);
    }
    let found: Vec<_> = ["python3", "python"].into_iter().filter_map(find_on_path).collect();
    if found.is_empty() { Err(missing("python3 and python on PATH".into())) } else { Ok(found) }
}

/// The first of the candidates that will do for the package, and what it says of itself.
pub(crate) async fn probe_all(
    candidates: &[PathBuf],
    package: &'static str,
    minimum: (u32, u32),
) -> Result<(PathBuf, Python)> {
    let mut first_error = None;
    for path in candidates {
        match probe(path, package, minimum).await {
            Ok(python) => return Ok((path.clone(), python)),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.unwrap_or_else(|| Error::PythonMissing { tried: "python3".into(), minimum }))
}

async fn probe(path: &Path, package: &'static str, minimum: (u32, u32)) -> Result<Python> {
    let broken = |message: String| Error::PythonBroken { path: path.to_owned(), message };
    // Without -I at first: Python 2 does not know it.
    let version = "import sys; print('.'.join(map(str, sys.version_info[:3])))";
    let version = run(command(path).args(["-c", version]), PROBE_TIME).await.map_err(broken)?;
    let mut numbers = version.trim().split('.').map_while(|part| part.parse().ok());
    let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else {
        return Err(broken(format!("it answered {:?}", version.trim())));
    };
    if (major, minor) < minimum {
        let (path, found) = (path.to_owned(), version.trim().to_owned());
        return Err(Error::PythonTooOld { path, found, package, minimum });
    }
    let answer =
        run(command(path).args(["-I", "-S", "-c", PROBE]), PROBE_TIME).await.map_err(broken)?;
    serde_json::from_str(&answer).map_err(|error| broken(format!("{error} in {answer:?}")))
}

/// A Python command that none of the user's Python variables changes.
pub(crate) fn command(python: &Path) -> Command {
    let mut command = Command::new(python);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PYTHON") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command and returns its stdout, or the end of what it said when it failed.
pub(crate) async fn run(command: &mut Command, time: Duration) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = match tokio::time::timeout(time, output).await {
        Ok(output) => output.map_err(|error| error.to_string())?,
        Err(_) => return Err(format!("no answer within {time:?}")),
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let end = lines[lines.len().saturating_sub(6)..].join(" | ");
    // An exit code says nothing that Python has not said; a signal does.
    Err(match output.status.code() {
        Some(_) if !end.is_empty() => end,
        _ => format!("{} {end}", output.status).trim_end().to_owned(),
    })
}
