//! The npm package `solc`: the Solidity compiler in WebAssembly, made to look like the program.
//!
//! Only its `soljson.js` is used, which is the compiler itself and needs no other package.

use super::{Error, Origin, ResolvedSolc, Result, pinned};
use crate::{
    files,
    toolchain::{self, NpmPackage},
};
use semver::Version;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The file beside a shim that names the `soljson.js` behind it.
const MARKER: &str = "soljson-path";

const SHIM: &str = include_str!("shim.js");

/// Keeps Node from reading the shim as an ES module.
const PACKAGE_JSON: &[u8] = b"{ \"type\": \"commonjs\" }\n";

/// Installs the npm compiler of that version under `cache` and returns the program: something to
/// give to Foundry as `FOUNDRY_SOLC`. It understands `--version` and `--standard-json`.
///
/// # Errors
/// If Node or npm is missing, or the package cannot be fetched or is not the pinned one.
pub async fn shim(version: &Version, cache: &Path) -> Result<PathBuf> {
    resolve(version, cache).await.map(|solc| solc.path)
}

pub(super) async fn resolve(version: &Version, cache: &Path) -> Result<ResolvedSolc> {
    if toolchain::find_on_path("node").is_none() {
        return Err(Error::Toolchain(toolchain::Error::NotFound {
            program: "node",
            remedy: "install Node.js (20 or newer), which runs the compiler of the npm package",
        }));
    }
    let integrity = pinned::npm(version).ok_or_else(|| Error::Unpinned(version.clone()))?;
    let package = NpmPackage::new("solc", version.to_string(), integrity);
    // The shim names soljson.js by an absolute path, for it runs in any folder.
    let cache = std::path::absolute(cache).map_err(files::Error::at("find", cache))?;
    let folder = package.install(&cache).await?;
    let soljson = folder.join("soljson.js");
    if !soljson.is_file() {
        return Err(Error::Package { version: version.clone(), folder });
    }
    let path = shim_path(&cache, version);
    let is_whole = fs::read(path.with_file_name("package.json")).is_ok_and(|it| it == PACKAGE_JSON);
    if !is_whole || behind(&path).as_deref() != Some(&*soljson) {
        install_shim(&path, version, &soljson)?;
        let found = super::program_version(&program(&path)).await?;
        if found != *version {
            return Err(Error::WrongVersion { path: folder, found, expected: version.clone() });
        }
        // It marks a shim that works.
        let target = soljson.to_string_lossy();
        files::write_atomic(&path.with_file_name(MARKER), target.as_bytes())?;
    }
    let path = program(&path);
    let sha256 = files::sha256_file(&soljson)?;
    Ok(ResolvedSolc { path, version: version.clone(), sha256, origin: Origin::Npm })
}

/// Where the shim for that version stands. Its folder is its own, with a `package.json`, so that
/// no other one above it can make Node read the program as an ES module.
fn shim_path(cache: &Path, version: &Version) -> PathBuf {
    cache.join("solc").join(version.to_string()).join(format!("solc-{version}"))
}

/// The `soljson.js` that the program at `path` runs, if it is a shim of ours.
pub(super) fn behind(path: &Path) -> Option<PathBuf> {
    let source = path.with_file_name(MARKER);
    let soljson = PathBuf::from(fs::read_to_string(source).ok()?);
    let script = fs::read_to_string(path).ok()?;
    (script == shim_source(&soljson)).then_some(soljson)
}

fn shim_source(soljson: &Path) -> String {
    // JSON strings are JavaScript strings.
    let quoted = serde_json::Value::from(soljson.to_string_lossy().into_owned()).to_string();
    SHIM.replace("\r\n", "\n")
        .replace("const soljson = @SOLJSON@;", &format!("const soljson = {quoted};"))
}

fn install_shim(path: &Path, version: &Version, soljson: &Path) -> Result<()> {
    files::write_atomic(&path.with_file_name("package.json"), PACKAGE_JSON)?;
    if cfg!(windows) {
        let batch = format!("@node \"%~dp0solc-{version}\" %*\r\n");
        files::write_atomic(&program(path), batch.as_bytes())?;
    }
    let source = shim_source(soljson);
    Ok(files::write_executable(path, source.as_bytes())?)
}

/// What can be executed: the script itself, and on Windows a batch file beside it.
fn program(script: &Path) -> PathBuf {
    let mut name = script.as_os_str().to_owned();
    if cfg!(windows) {
        name.push(".cmd");
    }
    name.into()
}
