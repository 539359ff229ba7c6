//! The Solidity compiler: which one is used, and running it.
//!
//! A version is always exact, since another compiler makes other bytecode. It is looked for in this
//! order: the program that the user names; the npm package `solc`, the compiler in WebAssembly run by
//! Node, whose hash is pinned here for every version; and where that can't be had what merely states the
//! version: svm's folder (`~/.svm`, which Foundry fills too), `solc` on PATH, and, with the cargo
//! feature `svm`, a download. A version newer than the hashes here is never taken from npm.

mod compile;
mod contract;
mod kept;
mod npm;
mod pinned;

pub use compile::{Compiler, Language, SourceSet};
pub use contract::{CompiledContract, CompilerOptions};
pub use npm::shim;

use crate::{error::ErrorKind, files, toolchain};
use alloy::primitives::B256;
use semver::Version;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    path::{Path, PathBuf},
    process::Stdio,
    str::FromStr,
    time::Duration,
};
use tokio::process::Command;

/// The version that is used unless the user asks for another.
pub const DEFAULT_VERSION: Version = Version::new(0, 8, 37);

/// Older compilers lack what the generated verifiers ask for (`pragma solidity ^0.8.0`).
const OLDEST_VERSION: Version = Version::new(0, 8, 0);

/// For `--version`; Node takes a second on a busy machine.
const VERSION_DEADLINE: Duration = Duration::from_secs(60);

/// No compiler, or a compiler that did not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither a file nor a version.
    #[error("{0:?} is neither a version such as 0.8.37 nor the path of a solc program")]
    Request(String),
    /// Older than what the generated sources' pragma takes.
    #[error("solc {0} is older than 0.8.0, which the verifiers need; ask for a newer one")]
    TooOld(Version),
    /// The program that the user named does not work.
    #[error("{} is no working solc: {message}; correct --solc", path.display())]
    Broken {
        /// The program that was asked for its version.
        path: PathBuf,
        /// What happened when it was asked for its version.
        message: String,
    },
    /// The npm package holds another version than its name says.
    #[error("{} is solc {found}, not {expected}; remove it and try again", path.display())]
    WrongVersion {
        /// The folder that the package was unpacked into.
        path: PathBuf,
        /// The version that the compiler in it states.
        found: Version,
        /// What it should be.
        expected: Version,
    },
    /// Neither the npm package, nor svm, nor PATH, nor a download has it.
    #[error(
        "solc {version} was not found: {tried}; install Node.js with npm, or the compiler (`svm install \
         {version}`), or name a program: --solc PATH, or solc = \"PATH\" under [verifier] in zkvouch.toml"
    )]
    NotFound {
        /// The version asked for, or the default one.
        version: Version,
        /// The places, each with what was there.
        tried: String,
    },
    /// npm's package of this version can't be checked.
    #[error(
        "the hash of npm's solc {0} is not known to this zkvouch ({OLDEST_VERSION} to {DEFAULT_VERSION} are)"
    )]
    Unpinned(Version),
    /// The npm package lacks the compiler.
    #[error("the npm package solc {version} in {} has no soljson.js; remove it and try again",
        folder.display())]
    Package {
        /// The version that the package is of.
        version: Version,
        /// Where it was unpacked.
        folder: PathBuf,
    },
    /// The program could not be run, was killed or left no answer.
    #[error("solc at {} failed: {message}", path.display())]
    Run {
        /// The program, or for npm's compiler our shim of it.
        path: PathBuf,
        /// The exit status and what it wrote to stderr.
        message: String,
    },
    /// The code needs more of the stack than the EVM reaches.
    #[error(
        "the stack is too deep for solc {version} with these options ({options}); leave them to \
         zkvouch or try others: {message}"
    )]
    StackTooDeep {
        /// The version of the compiler that gave up.
        version: Version,
        /// The options, as [`CompilerOptions`] displays them.
        options: String,
        /// The first line of its message.
        message: String,
    },
    /// It took too long.
    #[error("solc at {} was stopped after {seconds} s without an answer", path.display())]
    Deadline {
        /// The program, or for npm's compiler our shim of it; it was killed.
        path: PathBuf,
        /// How long it was given, in seconds.
        seconds: u64,
    },
    /// The source has errors.
    #[error("solc {version} refuses the source:\n{}", messages.join("\n"))]
    Source {
        /// The version of the compiler that refuses.
        version: Version,
        /// Its messages, formatted with file, line and excerpt.
        messages: Vec<String>,
    },
    /// The compiler reported success and left no code.
    #[error("solc {version} left no bytecode for {contract}, an interface or a compiler's defect")]
    EmptyBytecode {
        /// The version of the compiler that left nothing.
        version: Version,
        /// The contract's name; the names of the files if none of their contracts has code.
        contract: String,
    },
    /// The code has placeholders for libraries.
    #[error("{contract} must be linked with a library, which a verifier never needs")]
    Unlinked {
        /// The name of the contract with the placeholders.
        contract: String,
    },
    /// The sources have no such contract.
    #[error("the sources hold no contract {wanted}; they hold {found}")]
    NoSuchContract {
        /// What was asked for.
        wanted: String,
        /// The names of the contracts that have code, separated by commas.
        found: String,
    },
    /// npm or Node is missing or the package could not be fetched.
    #[error(transparent)]
    Toolchain(#[from] toolchain::Error),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] files::Error),
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Toolchain(inner) => inner.kind(),
            Self::File(inner) => inner.kind(),
            Self::Request(..) | Self::TooOld(..) => ErrorKind::BadInput,
            Self::Broken { .. }
            | Self::WrongVersion { .. }
            | Self::NotFound { .. }
            | Self::Unpinned(..)
            | Self::Package { .. }
            | Self::Run { .. }
            | Self::StackTooDeep { .. }
            | Self::Deadline { .. }
            | Self::Source { .. }
            | Self::EmptyBytecode { .. }
            | Self::Unlinked { .. }
            | Self::NoSuchContract { .. } => ErrorKind::Tool,
        }
    }
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the user says about the compiler; the default leaves it to zkvouch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum SolcRequest {
    /// [`DEFAULT_VERSION`], from wherever it is found.
    #[default]
    Default,
    /// This version, from wherever it is found.
    Version(Version),
    /// This program, whatever its version.
    Path(PathBuf),
}

impl FromStr for SolcRequest {
    type Err = Error;

    /// A version (`0.8.30`, `v0.8.30`), the empty string or `default`, else a path.
    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.is_empty() || text == "default" {
            return Ok(Self::Default);
        }
        if let Ok(version) = text.strip_prefix('v').unwrap_or(text).parse::<Version>() {
            return Ok(Self::Version(short(&version)));
        }
        // `0.8` or `^0.8.20`: an inexact version is not a file name that anybody means.
        if text.chars().all(|c| c.is_ascii_digit() || ".^~<>=* ".contains(c)) {
            return Err(Error::Request(text.to_owned()));
        }
        Ok(Self::Path(PathBuf::from(text)))
    }
}

impl TryFrom<String> for SolcRequest {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<SolcRequest> for String {
    fn from(request: SolcRequest) -> Self {
        request.to_string()
    }
}

impl fmt::Display for SolcRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Version(version) => version.fmt(f),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

/// Where a compiler came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Origin {
    /// The user named the program.
    Explicit,
    /// svm's folder, `~/.svm` or `$XDG_DATA_HOME/svm`.
    Svm,
    /// A program called `solc` on PATH, of the version asked for.
    Path,
    /// The npm package, run by Node.
    Npm,
    /// Downloaded by svm just now.
    Download,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Explicit => "named by you",
            Self::Svm => "svm",
            Self::Path => "PATH",
            Self::Npm => "npm",
            Self::Download => "downloaded",
        })
    }
}

/// A compiler that works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedSolc {
    /// The program; what `FOUNDRY_SOLC` takes too.
    pub path: PathBuf,
    /// Its version without the build.
    pub version: Version,
    /// The SHA-256 of the program, or of `soljson.js` where the program is our shim.
    pub sha256: B256,
    /// Where it was found.
    pub origin: Origin,
}

/// The places to look in; [`Places::from_env`] has the machine's.
#[derive(Clone, Debug)]
pub struct Places {
    /// svm's folders, which hold `<version>/solc-<version>`.
    pub svm: Vec<PathBuf>,
    /// The `solc` on PATH.
    pub on_path: Option<PathBuf>,
    /// zkvouch's cache folder, into which the npm package goes; `None` rules npm out.
    pub cache: Option<PathBuf>,
}

impl Places {
    /// The machine's own: `~/.svm` or `$XDG_DATA_HOME/svm`, PATH and zkvouch's cache folder.
    ///
    /// # Errors
    /// If no cache folder is known.
    pub fn from_env() -> Result<Self> {
        let home = dirs::home_dir().map(|home| home.join(".svm"));
        let data = dirs::data_dir().map(|data| data.join("svm"));
        Ok(Self {
            svm: home.into_iter().chain(data).collect(),
            on_path: toolchain::find_on_path("solc"),
            cache: Some(toolchain::cache_dir()?),
        })
    }
}

impl ResolvedSolc {
    /// The version with the commit, as explorers name it: `0.8.37+commit.f401782d`.
    ///
    /// # Errors
    /// [`Error::Broken`] where the program states none.
    pub async fn version_with_commit(&self) -> Result<String> {
        let stated = stated_version(&self.path).await?;
        let mut parts = stated.split('.');
        let named: Vec<_> = parts.by_ref().take(4).collect();
        if named.len() == 4 && named[2].ends_with("+commit") {
            return Ok(named.join("."));
        }
        let message = format!("it calls its version {stated:?}, without a commit");
        Err(Error::Broken { path: self.path.clone(), message })
    }
}

/// Finds the compiler that `request` means on this machine, fetching it where it must be.
///
/// # Errors
/// [`Error::NotFound`] with all places that were tried; [`Error::Broken`] if the user named a
/// program that does not work.
pub async fn resolve(request: &SolcRequest) -> Result<ResolvedSolc> {
    resolve_in(request, &Places::from_env()?).await
}

/// [`resolve`] with other places than the machine's own.
///
/// # Errors
/// As [`resolve`].
pub async fn resolve_in(request: &SolcRequest, places: &Places) -> Result<ResolvedSolc> {
    let version = match request {
        SolcRequest::Path(path) => return explicit(path).await,
        SolcRequest::Version(version) => version.clone(),
        SolcRequest::Default => DEFAULT_VERSION,
    };
    if version < OLDEST_VERSION {
        return Err(Error::TooOld(version));
    }
    let mut tried = Vec::new();
    if let Some(cache) = &places.cache {
        match npm::resolve(&version, cache).await {
            Ok(solc) => return Ok(solc),
            // Something else than what is pinned must not be passed over in silence.
            Err(error) if is_foreign(&error) => return Err(error),
            Err(error) => tried.push(error.to_string()),
        }
    }
    let candidates = places
        .svm
        .iter()
        .map(|folder| (folder.join(version.to_string()), Origin::Svm))
        .map(|(folder, origin)| (folder.join(format!("solc-{version}")), origin))
        .chain(places.on_path.clone().map(|path| (path, Origin::Path)));
    for (path, origin) in candidates {
        if !path.is_file() {
            tried.push(format!("{} is absent", path.display()));
            continue;
        }
        match program_version(&path).await {
            Ok(found) if found == version => {
                tracing::debug!(?tried);
                tracing::warn!(
                    path = %path.display(),
                    "no hash is known of this compiler, only the version that it states"
                );
                return resolved(path, version, origin).await;
            }
            Ok(found) => tried.push(format!("{} is {found}", path.display())),
            Err(error) => tried.push(error.to_string()),
        }
    }
    if places.on_path.is_none() {
        tried.push("no solc on PATH".to_owned());
    }
    #[cfg(feature = "svm")]
    match download(version.clone()).await {
        Ok(path) => return resolved(path, version, Origin::Download).await,
        Err(message) => tried.push(format!("download: {message}")),
    }
    Err(Error::NotFound { version, tried: tried.join("; ") })
}

/// Whether the registry served something else than what is pinned, now or when it was to heal a cache.
fn is_foreign(error: &Error) -> bool {
    let mut error = match error {
        Error::Toolchain(error) => error,
        _ => return false,
    };
    while let toolchain::Error::Damaged { source, .. } = error {
        error = source;
    }
    matches!(error, toolchain::Error::Integrity { .. })
}

/// Takes the program at `path`, whatever its version.
async fn explicit(path: &Path) -> Result<ResolvedSolc> {
    // A bare name means a program on PATH, as a shell has it.
    let path = match path.components().count() {
        1 if !path.exists() => {
            path.to_str().and_then(toolchain::find_on_path).unwrap_or_else(|| path.to_owned())
        }
        _ => std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
    };
    let version = program_version(&path).await?;
    if version < OLDEST_VERSION {
        return Err(Error::TooOld(version));
    }
    resolved(path, version, Origin::Explicit).await
}

async fn resolved(path: PathBuf, version: Version, origin: Origin) -> Result<ResolvedSolc> {
    let sha256 = match npm::behind(&path) {
        Some(soljson) => files::sha256_file(&soljson)?,
        None => files::sha256_file(&path)?,
    };
    tracing::debug!(path = %path.display(), %version, ?origin, "solc found");
    Ok(ResolvedSolc { path, version, sha256, origin })
}

/// The version that the program states, without its build.
async fn program_version(path: &Path) -> Result<Version> {
    let stated = stated_version(path).await?;
    let release = stated.split('+').next().unwrap_or_default();
    release.parse().map_err(|_| Error::Broken {
        path: path.to_owned(),
        message: format!("it calls its version {stated:?}"),
    })
}

/// The version that the program states, as in `0.8.37+commit.f401782d.Linux.g++`; npm's `solcjs` and
/// `--version` of the shim have it so, too.
async fn stated_version(path: &Path) -> Result<String> {
    let broken = |message: String| Error::Broken { path: path.to_owned(), message };
    let output =
        Command::new(path).arg("--version").stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(VERSION_DEADLINE, output)
        .await
        .map_err(|_| broken("it did not state its version in time".into()))?
        .map_err(|error| broken(error.to_string()))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(broken(format!("{}: {}", output.status, stderr.trim())));
    }
    // Behind `Version: `, or alone.
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    Ok(line.trim().trim_start_matches("Version: ").to_owned())
}

fn short(version: &Version) -> Version {
    Version::new(version.major, version.minor, version.patch)
}

#[cfg(feature = "svm")]
async fn download(version: Version) -> Result<PathBuf, String> {
    tracing::info!(%version, "downloading solc");
    crate::task::blocking(move || foundry_compilers::solc::Solc::find_or_install(&version))
        .await
        .map(|solc| solc.solc)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
