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

use super::{config::EngineConfig, release};
use crate::{
    files::{self, Scratch},
    toolchain::{
        lock_cache,
        seal::{self, State},
        wheel::{
            FETCH_TIME, Fetched, Platform, Python, Release,
            python::{PROBE_TIME, candidates, command, probe_all, run},
        },
    },
};
use serde::{Deserialize, Serialize};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

const WORKER: &str = include_str!("../worker.py");
const SOLC_STUB: &str = include_str!("../solc-stub.sh");
/// Where ezkl looks for the compiler, under HOME.
const SOLC_PATH: &str = ".svm/0.8.20/solc-0.8.20";
/// Changes when environments of the same lock must be made anew.
const LAYOUT: &str = "2";

type Result<T, E = EnvironmentError> = std::result::Result<T, E>;

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
        let release = release::find(&config.version).ok_or_else(|| {
            let known = release::versions().collect::<Vec<_>>().join(", ");
            EnvironmentError::UnknownVersion { asked: config.version.clone(), known }
        })?;
        let parent = config.folder()?;
        let name = folder_name(release);
        let folder = parent.join(&name);
        let candidates = candidates(config.python.as_deref(), release.python)?;
        let is_whole = check(&folder).await == State::Whole;
        let python = match recorded(&folder, &candidates).filter(|_| is_whole) {
            Some(python) => python,
            None => {
                let (requested, python) =
                    probe_all(&candidates, release.package, release.python).await?;
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

/// The interpreter that made the environment, if it is still there and still asked for.
fn recorded(folder: &Path, candidates: &[PathBuf]) -> Option<PathBuf> {
    let record = std::fs::read(folder.join("environment.json")).ok()?;
    let record: Record = serde_json::from_slice(&record).ok()?;
    let usable = candidates.contains(&record.requested) && record.python.is_file();
    usable.then_some(record.python)
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
    let wheel = release.wheel(&python.platform, platform_remedy(&python.platform))?;
    let scratch = Scratch::within(parent)?;
    let made = scratch.path().join("environment");
    let site = made.join("site");
    let wheels = config.wheels.as_deref();
    if wheels.is_none() {
        report(format!("fetching ezkl {} (40 MB, once)", release.version));
    }
    let fetched = release.fetch(wheel, wheels, &python.executable, scratch.path(), &site).await?;
    if let Fetched::File(file) = fetched {
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

fn platform_remedy(platform: &Platform) -> &'static str {
    if platform.system == "linux" && platform.bits == 64 {
        "use a container with a C library and processor from that list (on Arm: Alpine Linux)"
    } else {
        "use a machine, a container or a 64-bit Python from that list"
    }
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
