//! ezkl's published wheel, pinned by hash and unpacked into the cache folder.
//!
//! The wheel depends on nothing, so it needs no virtual environment: unpacked and put on
//! `sys.path` of an isolated interpreter it works with every Python that it supports, whatever
//! else the user has installed there. An environment is a folder
//!
//! ```text
//! <cache>/engine/ezkl-<version>-<system>-<machine>-<lock hash>/
//!   environment.json    which wheel, and which interpreter fetched it
//!   site/               the wheel's content
//!   seal.json           what all that was when it was made, with which it is compared at each start
//! ```
//!
//! made under a lock and put in place by one rename. What each worker needs besides, its script and a
//! HOME, is its own: see [`equip`].

mod error;

pub use error::EnvironmentError;

use super::{
    config::EngineConfig,
    release::{Platform, Release, Wheel},
};
use crate::{
    files::{self, Scratch},
    toolchain::{
        find_on_path, lock_cache,
        seal::{self, State},
    },
};
use serde::{Deserialize, Serialize};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::process::Command;

const WORKER: &str = include_str!("../worker.py");
const SOLC_STUB: &str = include_str!("../solc-stub.sh");
/// Where ezkl looks for the compiler, under HOME.
const SOLC_PATH: &str = ".svm/0.8.20/solc-0.8.20";
/// Changes when environments of the same lock must be made anew.
const LAYOUT: &str = "2";
const PROBE_TIME: Duration = Duration::from_secs(60);
const FETCH_TIME: Duration = Duration::from_secs(1800);

type Result<T, E = EnvironmentError> = std::result::Result<T, E>;

/// An interpreter and what it said of itself.
#[derive(Clone, Debug, Deserialize)]
struct Python {
    executable: PathBuf,
    version: String,
    #[serde(flatten)]
    platform: Platform,
}

const PROBE: &str = "\
import json, platform, struct, sys
print(json.dumps({'executable': sys.executable, 'version': platform.python_version(),
                  'system': sys.platform, 'machine': platform.machine(),
                  'libc': platform.libc_ver()[0], 'bits': 8 * struct.calcsize('P')}))";

/// What is kept of an installation. Python's path is remembered so that a later start need not ask
/// a version manager's shim, which takes longer than ezkl's import.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    version: String,
    wheel: String,
    sha256: String,
    requested: PathBuf,
    python: PathBuf,
    python_version: String,
}

/// A usable installation of ezkl.
#[derive(Clone, Debug)]
pub struct Environment {
    /// ezkl's version.
    pub version: &'static str,
    /// The interpreter.
    pub python: PathBuf,
    /// The folder of this environment.
    pub folder: PathBuf,
}

impl Environment {
    pub(super) fn site(&self) -> PathBuf {
        self.folder.join("site")
    }

    /// Finds the environment for that configuration, or makes it; `report` hears about each step
    /// that takes long.
    pub(super) async fn prepare(
        config: &EngineConfig,
        report: &(dyn Fn(String) + Sync),
    ) -> Result<Self> {
        let release = Release::find(&config.version).ok_or_else(|| {
            let known = Release::versions().collect::<Vec<_>>().join(", ");
            EnvironmentError::UnknownVersion { asked: config.version.clone(), known }
        })?;
        let parent = config.folder()?;
        let name = folder_name(release);
        let folder = parent.join(&name);
        let candidates = candidates(config, release)?;
        let is_whole = check(&folder).await == State::Whole;
        let python = match recorded(&folder, &candidates).filter(|_| is_whole) {
            Some(python) => python,
            None => {
                let (requested, python) = probe_all(&candidates, release).await?;
                let _lock = lock_cache(parent.join(format!("{name}.lock"))).await?;
                let state = check(&folder).await;
                if let State::Damaged(path) = &state {
                    tracing::warn!(path = %path.display(), "a cached file is damaged; fetching it again");
                }
                if state != State::Whole {
                    let made =
                        install(config, release, &parent, &folder, &requested, &python, report);
                    made.await.map_err(|error| match state {
                        State::Damaged(path) => {
                            EnvironmentError::Damaged { path, source: Box::new(error) }
                        }
                        _ => error,
                    })?;
                }
                python.executable
            }
        };
        Ok(Self { version: release.version, python, folder })
    }
}

async fn check(folder: &Path) -> State {
    let folder = folder.to_owned();
    crate::task::blocking(move || seal::check(&folder)).await
}

/// Puts into a worker's own folder what it needs besides ezkl: the script that it runs, and a HOME in
/// which nothing is the user's.
pub(super) fn equip(folder: &Path) -> files::Result<Equipment> {
    let (script, home) = (folder.join("worker.py"), folder.join("home"));
    files::write_atomic(&script, WORKER.as_bytes())?;
    files::write_executable(&home.join(SOLC_PATH), SOLC_STUB.as_bytes())?;
    files::write_atomic(&home.join(".svm/.global-version"), b"0.8.20")?;
    Ok(Equipment { script, home })
}

/// See [`equip`].
pub(super) struct Equipment {
    pub(super) script: PathBuf,
    pub(super) home: PathBuf,
}

fn folder_name(release: &Release) -> String {
    let content = format!("{LAYOUT}\n{}", release.lock());
    let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
    let hash = format!("{:x}", files::sha256(content.as_bytes()));
    format!("ezkl-{}-{system}-{machine}-{}", release.version, &hash[..12])
}

/// The interpreters to try, in order.
fn candidates(config: &EngineConfig, release: &Release) -> Result<Vec<PathBuf>> {
    let missing =
        |tried: String| EnvironmentError::PythonMissing { tried, minimum: release.python };
    if let Some(python) = &config.python {
        let is_name = python.components().count() == 1 && !python.is_file();
        let path = if is_name { find_on_path(&python.to_string_lossy()) } else { None };
        let path = path.unwrap_or_else(|| python.clone());
        let path = std::path::absolute(&path).unwrap_or(path);
        if !path.is_file() {
            return Err(missing(format!("ZKVOUCH_PYTHON={}", python.display())));
        }
        return Ok(vec![path]);
    }
    let found: Vec<_> = ["python3", "python"].into_iter().filter_map(find_on_path).collect();
    if found.is_empty() { Err(missing("python3 and python on PATH".into())) } else { Ok(found) }
}

/// The interpreter that made the environment, if it is still there and still asked for.
fn recorded(folder: &Path, candidates: &[PathBuf]) -> Option<PathBuf> {
    let record = std::fs::read(folder.join("environment.json")).ok()?;
    let record: Record = serde_json::from_slice(&record).ok()?;
    let usable = candidates.contains(&record.requested) && record.python.is_file();
    usable.then_some(record.python)
}

async fn probe_all(candidates: &[PathBuf], release: &Release) -> Result<(PathBuf, Python)> {
    let mut first_error = None;
    for path in candidates {
        match probe(path, release).await {
            Ok(python) => return Ok((path.clone(), python)),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.unwrap_or_else(|| EnvironmentError::PythonMissing {
        tried: "python3".into(),
        minimum: release.python,
    }))
}

async fn probe(path: &Path, release: &Release) -> Result<Python> {
    let broken =
        |message: String| EnvironmentError::PythonBroken { path: path.to_owned(), message };
    let too_old = |found: &str| EnvironmentError::PythonTooOld {
        path: path.to_owned(),
        found: found.trim().to_owned(),
        minimum: release.python,
    };
    // Without -I at first: Python 2 does not know it.
    let version = "import sys; print('.'.join(map(str, sys.version_info[:3])))";
    let version = run(command(path).args(["-c", version]), PROBE_TIME).await.map_err(broken)?;
    let mut numbers = version.trim().split('.').map_while(|part| part.parse().ok());
    let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else {
        return Err(broken(format!("it answered {:?}", version.trim())));
    };
    if (major, minor) < release.python {
        return Err(too_old(&version));
    }
    let answer =
        run(command(path).args(["-I", "-S", "-c", PROBE]), PROBE_TIME).await.map_err(broken)?;
    serde_json::from_str(&answer).map_err(|error| broken(format!("{error} in {answer:?}")))
}

/// A Python command that none of the user's Python variables changes.
fn command(python: &Path) -> Command {
    let mut command = Command::new(python);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PYTHON") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command and returns its stdout, or the end of what it said when it failed.
async fn run(command: &mut Command, time: Duration) -> Result<String, String> {
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

async fn install(
    config: &EngineConfig,
    release: &'static Release,
    parent: &Path,
    folder: &Path,
    requested: &Path,
    python: &Python,
    report: &(dyn Fn(String) + Sync),
) -> Result<()> {
    let wheel = release.wheel(&python.platform).ok_or_else(|| EnvironmentError::Platform {
        version: release.version,
        platform: python.platform.clone(),
        available: release.platforms(),
    })?;
    let scratch = Scratch::within(parent)?;
    let made = scratch.path().join("environment");
    let site = made.join("site");
    let fetched = match &config.wheels {
        Some(wheels) => Some(local_wheel(wheels, wheel)?),
        None => {
            report(format!("fetching ezkl {} (40 MB, once)", release.version));
            fetch(release, wheel, scratch.path(), &site, python).await?
        }
    };
    if let Some(file) = fetched {
        check_wheel(&file, wheel)?;
        report(format!("unpacking ezkl {}", release.version));
        run(
            command(&python.executable)
                .args([OsStr::new("-I"), OsStr::new("-S"), OsStr::new("-m"), OsStr::new("zipfile")])
                .args([OsStr::new("-e"), file.as_os_str(), site.as_os_str()])
                .current_dir(scratch.path()),
            FETCH_TIME,
        )
        .await
        .map_err(|message| unusable(folder, &python.executable, message))?;
    }
    load(&python.executable, &site, scratch.path())
        .await
        .map_err(|message| unusable(folder, &python.executable, message))?;
    let record = Record {
        version: release.version.to_owned(),
        wheel: wheel.file.to_owned(),
        sha256: wheel.sha256.to_owned(),
        requested: requested.to_owned(),
        python: python.executable.clone(),
        python_version: python.version.clone(),
    };
    let record = serde_json::to_vec_pretty(&record).unwrap_or_default();
    files::write_atomic(&made.join("environment.json"), &record)?;
    seal::seal(&made)?;
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(files::Error::at("replace", folder))?;
    }
    std::fs::rename(&made, folder).map_err(files::Error::at("write", folder))?;
    tracing::debug!(folder = %folder.display(), "ezkl installed");
    Ok(())
}

fn local_wheel(folder: &Path, wheel: &Wheel) -> Result<PathBuf> {
    let path = folder.join(wheel.file);
    let path = std::path::absolute(&path).unwrap_or(path);
    if path.is_file() {
        return Ok(path);
    }
    Err(EnvironmentError::WheelMissing { folder: folder.to_owned(), wheel: wheel.file })
}

/// Fetches the wheel by pip, which leaves a file, or by uv, which unpacks into `site` and checks
/// the hash itself.
async fn fetch(
    release: &'static Release,
    wheel: &'static Wheel,
    scratch: &Path,
    site: &Path,
    python: &Python,
) -> Result<Option<PathBuf>> {
    let lock = scratch.join("ezkl.lock");
    files::write_atomic(&lock, release.lock().as_bytes())?;
    let failed = |program, message: String| {
        if message.contains("DO NOT MATCH THE HASHES") || message.contains("Hash mismatch") {
            let (wheel, expected) = (wheel.file.to_owned(), wheel.sha256.to_owned());
            return EnvironmentError::Integrity { wheel, expected, found: message };
        }
        EnvironmentError::Fetch { program, version: release.version, message, wheel: wheel.file }
    };
    let asks = ["-m", "pip", "--version"];
    if run(command(&python.executable).args(asks), PROBE_TIME).await.is_ok() {
        let folder = scratch.join("wheel");
        run(
            command(&python.executable)
                .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:"])
                .args(["--require-hashes", "--no-input", "--disable-pip-version-check", "--quiet"])
                .args([OsStr::new("--dest"), folder.as_os_str()])
                .args([OsStr::new("--requirement"), lock.as_os_str()])
                // A virtual environment is not needed to download a file.
                .env("PIP_REQUIRE_VIRTUALENV", "0")
                .current_dir(scratch),
            FETCH_TIME,
        )
        .await
        .map_err(|message| failed("pip", message))?;
        let file = folder.join(wheel.file);
        return if file.is_file() {
            Ok(Some(file))
        } else {
            Err(failed("pip", "it chose a wheel for another platform; is it very old?".into()))
        };
    }
    let uv = find_on_path("uv").ok_or_else(|| EnvironmentError::PipMissing {
        path: python.executable.clone(),
        wheel: wheel.file,
    })?;
    run(
        Command::new(uv)
            .args(["pip", "install", "--no-deps", "--only-binary=:all:", "--require-hashes"])
            .args(["--quiet", "--link-mode=copy"])
            .args([OsStr::new("--python"), python.executable.as_os_str()])
            .args([OsStr::new("--target"), site.as_os_str()])
            .args([OsStr::new("--requirement"), lock.as_os_str()])
            .current_dir(scratch),
        FETCH_TIME,
    )
    .await
    .map_err(|message| failed("uv", message))?;
    Ok(None)
}

fn check_wheel(file: &Path, wheel: &Wheel) -> Result<()> {
    let found = format!("{:x}", files::sha256_file(file)?);
    if found == wheel.sha256 {
        return Ok(());
    }
    let (file, expected) = (file.display().to_string(), wheel.sha256.to_owned());
    Err(EnvironmentError::Integrity { wheel: file, expected, found })
}

/// Why ezkl does not load, from what Python said or how it ended.
pub(super) fn unusable(folder: &Path, python: &Path, message: String) -> EnvironmentError {
    const NO_MEMORY: [&str; 5] = [
        "MemoryError",
        "annot allocate memory",
        "failed to map segment",
        "memory allocation of",
        "signal: 9",
    ];
    if NO_MEMORY.iter().any(|words| message.contains(words)) {
        return EnvironmentError::Memory { message };
    }
    EnvironmentError::Broken { folder: folder.to_owned(), python: python.to_owned(), message }
}

/// Imports ezkl once, so that a wheel which does not fit the machine is never put in place.
async fn load(python: &Path, site: &Path, home: &Path) -> Result<(), String> {
    let script = "import sys; sys.path.insert(0, sys.argv[1]); import ezkl";
    run(
        command(python)
            .args(["-I", "-S", "-B", "-c", script])
            .arg(site)
            .env("HOME", home)
            .current_dir(home),
        PROBE_TIME,
    )
    .await
    .map(drop)
}
