//! Packages of the npm registry, pinned by version and hash.

use super::{
    Error, Result, find_on_path, lock_cache,
    seal::{self, State},
};
use crate::{
    files::{self, Scratch},
    task::blocking,
};
use sha2::{Digest, Sha512};
use std::{
    fs, io,
    path::{Component, Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::process::Command;

const FETCH_TIME: Duration = Duration::from_secs(1800);

/// A package of the npm registry, pinned.
#[derive(Clone, Debug)]
pub struct NpmPackage {
    /// The name, with its scope.
    pub name: String,
    /// The exact version, with no range: it is pinned.
    pub version: String,
    /// `sha512-<base64>` of the archive, as npm writes it.
    pub integrity: String,
}

impl NpmPackage {
    /// A package with the `sha512-<base64>` that npm gives for its archive.
    pub fn new(name: impl Into<String>, version: impl Into<String>, integrity: &str) -> Self {
        Self { name: name.into(), version: version.into(), integrity: integrity.to_owned() }
    }

    /// Where [`install`](Self::install) puts the package's files under the cache folder.
    pub fn folder(&self, cache: &Path) -> PathBuf {
        cache.join("npm").join(format!("{}-{}", self.name.replace('/', "+"), self.version))
    }

    /// Fetches the package with `npm pack` unless it is there as it was unpacked, checks its hash and
    /// unpacks it. Returns the folder that holds its `package.json`.
    ///
    /// # Errors
    /// If npm is missing, or the package can't be fetched or is not the pinned one;
    /// [`Error::Damaged`] where that happens because a cached file is not what was unpacked.
    pub async fn install(&self, cache: &Path) -> Result<PathBuf> {
        let folder = self.folder(cache);
        if self.state(&folder).await? == State::Whole {
            return Ok(folder);
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let _lock = lock_cache(folder.with_file_name(format!("{name}.lock"))).await?;
        match self.state(&folder).await? {
            State::Whole => Ok(folder),
            State::Absent => self.fetch(folder).await,
            State::Damaged(path) => {
                tracing::warn!(path = %path.display(), "a cached file is damaged; fetching it again");
                let damaged = |error| Error::Damaged { path, source: Box::new(error) };
                self.fetch(folder).await.map_err(damaged)
            }
        }
    }

    async fn state(&self, folder: &Path) -> Result<State> {
        let folder = folder.to_owned();
        blocking(move || Ok(seal::check(&folder))).await
    }

    async fn fetch(&self, folder: PathBuf) -> Result<PathBuf> {
        let label = format!("{}@{}", self.name, self.version);
        let npm = find_on_path("npm").ok_or(Error::NotFound {
            program: "npm",
            remedy: "install Node.js (20 or newer), which brings npm",
        })?;
        tracing::info!(package = label, "fetching from the npm registry");
        let scratch = Scratch::within(folder.parent().unwrap_or(Path::new(".")))?;
        let failed = |message: String| Error::Npm { package: label.clone(), message };
        let output = Command::new(npm)
            .args(["pack", &label, "--ignore-scripts", "--prefer-offline", "--loglevel=error"])
            .arg("--pack-destination")
            .arg(scratch.path())
            .current_dir(scratch.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(FETCH_TIME, output)
            .await
            .map_err(|_| failed(format!("no answer within {FETCH_TIME:?}")))?
            .map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            return Err(failed(message.lines().take(4).collect::<Vec<_>>().join(" ")));
        }
        let package = self.clone();
        blocking(move || package.unpack(&scratch, &folder, label)).await
    }

    fn unpack(&self, scratch: &Scratch, folder: &Path, label: String) -> Result<PathBuf> {
        let unpack_error = |source| Error::Unpack { package: label.clone(), source };
        let archive = fs::read_dir(scratch.path())
            .map_err(unpack_error)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|end| end == "tgz"))
            .ok_or_else(|| unpack_error(io::Error::other("npm pack left no archive")))?;
        let bytes = files::read(&archive)?;
        let found = integrity(&bytes);
        if found != self.integrity {
            let expected = self.integrity.clone();
            return Err(Error::Integrity { package: label, expected, found });
        }
        let unpacked = scratch.path().join("unpacked");
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
        for entry in archive.entries().map_err(unpack_error)? {
            let mut entry = entry.map_err(unpack_error)?;
            let path = entry.path().map_err(unpack_error)?.into_owned();
            // npm archives have one top folder, whatever its name.
            let inner: PathBuf = path.components().skip(1).collect();
            if inner.components().any(|part| !matches!(part, Component::Normal(_))) {
                return Err(unpack_error(io::Error::other("a path leaves the archive")));
            }
            let target = unpacked.join(inner);
            if entry.header().entry_type().is_file() {
                files::create_dir_all(target.parent().unwrap_or(&unpacked))?;
                let is_program = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
                // Not by the archive's own modes: the umask says who may read it.
                let mut file = new_file(&target, is_program).map_err(unpack_error)?;
                io::copy(&mut entry, &mut file).map_err(unpack_error)?;
            }
        }
        seal::seal(&unpacked)?;
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(files::Error::at("replace", folder))?;
        }
        fs::rename(&unpacked, folder).map_err(unpack_error)?;
        Ok(folder.to_owned())
    }
}

fn new_file(path: &Path, is_program: bool) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(if is_program { 0o777 } else { 0o666 });
    }
    #[cfg(not(unix))]
    let _ = is_program;
    options.open(path)
}

/// The hash of an archive as npm writes it.
fn integrity(bytes: &[u8]) -> String {
    use base64::Engine as _;
    let digest = base64::engine::general_purpose::STANDARD.encode(Sha512::digest(bytes));
    format!("sha512-{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_package_is_fetched_once_and_its_hash_is_checked() {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let mut package = NpmPackage::new("is-number", "7.0.0", "sha512-AAAA");
        let error = package.install(cache.path()).await.expect_err("the hash is wrong");
        let Error::Integrity { found, .. } = error else { panic!("{error}") };
        assert!(!package.folder(cache.path()).exists());
        package.integrity = found;
        let folder = package.install(cache.path()).await.expect("fetched");
        let index = folder.join("index.js");
        let fetched = fs::metadata(&index).expect("there").modified().expect("known");
        assert_eq!(package.install(cache.path()).await.expect("cached"), folder);
        assert_eq!(fs::metadata(&index).expect("there").modified().expect("known"), fetched);
        let left = fs::read_dir(cache.path().join("npm")).expect("readable").count();
        assert_eq!(left, 2, "the package and its lock");
    }

    #[tokio::test]
    async fn a_flipped_byte_a_missing_file_and_a_new_one_are_healed() {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let integrity = "sha512-41Cifkg6e8TylSpdtTpeLVMqvSBEVzTttHvERD741+pnZ8ANv0004MRL43QKPDlK9cGvNp6NZWZUBlbGXYxxng==";
        let package = NpmPackage::new("is-number", "7.0.0", integrity);
        let folder = package.install(cache.path()).await.expect("fetched");
        let index = folder.join("index.js");
        let right = files::read(&index).expect("readable");
        let install = async || package.install(cache.path()).await.expect("healed");

        let mut flipped = right.clone();
        flipped[100] ^= 1;
        let times = fs::metadata(&index).expect("there");
        fs::write(&index, &flipped).expect("written");
        // As a damaged disk would, which changes no time.
        let file = fs::File::options().write(true).open(&index).expect("opened");
        file.set_modified(times.modified().expect("known")).expect("set");
        install().await;
        assert_eq!(files::read(&index).expect("readable"), right);

        fs::remove_file(&index).expect("removed");
        install().await;
        assert_eq!(files::read(&index).expect("readable"), right);

        fs::write(folder.join("evil.js"), "").expect("written");
        install().await;
        assert!(!folder.join("evil.js").exists());

        // Copied with its cache, it is what it was: only its times differ.
        fs::write(&index, &right).expect("written");
        let inode = |path: &Path| fs::metadata(path).expect("there").created().ok();
        let made = inode(&folder.join("package.json"));
        install().await;
        assert_eq!(inode(&folder.join("package.json")), made);

        fs::write(&index, &flipped).expect("written");
        let unreachable =
            NpmPackage { version: "7.0.0".into(), integrity: "sha512-AAAA".into(), ..package };
        let error = unreachable.install(cache.path()).await.expect_err("another hash");
        assert!(error.to_string().contains("index.js is not what was fetched"), "{error}");
    }
}
