//! The programs that zkvouch drives and the folder in which it keeps what it fetched.
//!
//! Whatever a machine lacks comes from the npm registry as a package pinned by version and hash,
//! fetched by the machine's own `npm` and unpacked here; no install script of a package is run.

use crate::files;
use sha2::{Digest, Sha512};
use std::{
    fs::{self, File},
    io,
    path::{Component, Path, PathBuf},
    process::Stdio,
};
use tokio::process::Command;

/// A tool is missing or could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No folder for caches is known.
    #[error("no cache folder is known for this user; set ZKVOUCH_CACHE_DIR to a writable folder")]
    NoCacheDir,
    /// A cache folder that is somebody else's is not removed.
    #[error(
        "{} holds more than zkvouch's own files and was not made by it, so it is left alone; remove what you no \
         longer want by hand", .0.display()
    )]
    NotOurs(PathBuf),
    /// A program is not on PATH.
    #[error("`{program}` is not on PATH; {remedy}")]
    NotFound {
        /// The program's name.
        program: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },
    /// `npm pack` failed.
    #[error(
        "npm could not fetch {package}: {message}; check the network and the registry that npm uses"
    )]
    Npm {
        /// `name@version`.
        package: String,
        /// npm's own words.
        message: String,
    },
    /// A package's bytes are not the ones that were pinned.
    #[error(
        "the package {package} has the hash {found} but {expected} is pinned; the registry serves \
         something else, so it was not used"
    )]
    Integrity {
        /// `name@version`.
        package: String,
        /// The pinned hash, in npm's form (`sha512-<base64>`).
        expected: String,
        /// The hash of what arrived.
        found: String,
    },
    /// A package archive could not be unpacked.
    #[error("cannot unpack {package}: {source}")]
    Unpack {
        /// `name@version`.
        package: String,
        /// What was wrong.
        #[source]
        source: io::Error,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] files::Error),
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The folder for everything that is fetched or derived and can be fetched again:
/// `ZKVOUCH_CACHE_DIR`, else `zkvouch` in the user's cache folder.
pub fn cache_dir() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("ZKVOUCH_CACHE_DIR").filter(|value| !value.is_empty()) {
        let folder = PathBuf::from(folder);
        tag_cache(&folder);
        return Ok(folder);
    }
    let folder = dirs::cache_dir().ok_or(Error::NoCacheDir)?.join("zkvouch");
    tag_cache(&folder);
    Ok(folder)
}

/// Tells a folder of ours, and to backup programs a folder that they may leave out
/// (bford.info/cachedir).
const CACHE_TAG: &str = "CACHEDIR.TAG";
const CACHE_TAG_TEXT: &str = "Signature: 8a477f597d28d172789f06886806bc55
# zkvouch keeps here what it fetched and can fetch again; `zkvouch clean --cache` removes it.
";

/// What is kept in the cache folder.
const CACHED: [&str; 9] =
    ["cost-model.json", "doctor", "engine", "locks", "npm", "solc", "solc-output", "srs", "tune"];

/// Tags a cache folder that is new, or empty.
fn tag_cache(folder: &Path) {
    let empty = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => fs::create_dir_all(folder).is_ok(),
    };
    if empty {
        // Where it can't be written nothing can be kept either, which is told when it is tried.
        let _ = files::write_atomic(&folder.join(CACHE_TAG), CACHE_TAG_TEXT.as_bytes());
    }
}

/// Removes the cache folder: what is ours in it, and the folder itself where nothing is left.
///
/// # Errors
/// [`Error::NotOurs`] for a folder that was somebody's before zkvouch kept anything in it.
pub fn clean_cache(folder: &Path) -> Result<Option<PathBuf>> {
    let at = || files::Error::at("read", folder);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries.map_err(at())?.collect::<io::Result<Vec<_>>>().map_err(at())?,
    };
    let is_known = |entry: &fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        CACHED.contains(&&*name) || name == CACHE_TAG || files::is_temporary(&entry.path())
    };
    let tag = fs::read_to_string(folder.join(CACHE_TAG)).unwrap_or_default();
    // One of an older zkvouch has no tag, and nothing of anybody else's either.
    if tag != CACHE_TAG_TEXT && !entries.iter().all(is_known) {
        return Err(Error::NotOurs(folder.to_owned()));
    }
    for entry in entries.iter().filter(|entry| is_known(entry)) {
        let path = entry.path();
        let removed = match path.is_dir() && !path.is_symlink() {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
        removed.map_err(files::Error::at("remove", &path))?;
    }
    // It stays where somebody put something else into it.
    Ok(fs::remove_dir(folder).is_ok().then(|| folder.to_owned()))
}

/// Makes `ring` the process's TLS implementation unless it has one. Must come before the first
/// HTTPS request, since reqwest is built without one of its own.
pub fn install_crypto_provider() {
    // An error means that somebody installed one before, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The first executable file of that name on PATH (with `.exe` or `.cmd` on Windows).
pub fn find_on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let endings: &[&str] = if cfg!(windows) { &[".exe", ".cmd"] } else { &[""] };
    std::env::split_paths(&path)
        .flat_map(|folder| endings.iter().map(move |end| folder.join(format!("{program}{end}"))))
        .find(|candidate| is_executable(candidate))
}

fn is_executable(path: &Path) -> bool {
    let Ok(metadata) = fs::metadata(path) else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
    }
    #[cfg(not(unix))]
    metadata.is_file()
}

/// Waits for the exclusive lock on `path`, a file made for the purpose; released on drop.
pub async fn lock(path: PathBuf) -> Result<File> {
    tokio::task::spawn_blocking(move || {
        files::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let file = File::create(&path).map_err(files::Error::at("write", &path))?;
        file.lock().map_err(files::Error::at("lock", &path))?;
        Ok(file)
    })
    .await
    .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// A package of the npm registry, pinned.
#[derive(Clone, Debug)]
pub struct NpmPackage {
    /// The name, with its scope.
    pub name: String,
    /// The exact version.
    pub version: String,
    /// `sha512-<base64>` of the archive, as npm writes it. Without it npm's own check against the
    /// registry's hash is all there is.
    pub integrity: Option<String>,
}

impl NpmPackage {
    /// A pinned package.
    pub fn new(name: impl Into<String>, version: impl Into<String>, integrity: &str) -> Self {
        Self { name: name.into(), version: version.into(), integrity: Some(integrity.to_owned()) }
    }

    /// Where [`install`](Self::install) puts the package's files under the cache folder.
    pub fn folder(&self, cache: &Path) -> PathBuf {
        cache.join("npm").join(format!("{}-{}", self.name.replace('/', "+"), self.version))
    }

    /// Fetches the package with `npm pack` unless it is there, checks its hash and unpacks it.
    /// Returns the folder that holds its `package.json`.
    pub async fn install(&self, cache: &Path) -> Result<PathBuf> {
        let folder = self.folder(cache);
        if folder.join("package.json").is_file() {
            return Ok(folder);
        }
        let label = format!("{}@{}", self.name, self.version);
        let npm = find_on_path("npm").ok_or(Error::NotFound {
            program: "npm",
            remedy: "install Node.js (20 or newer), which brings npm",
        })?;
        let parent = cache.join("npm");
        files::create_dir_all(&parent)?;
        let _lock = lock(folder.with_extension("lock")).await?;
        if folder.join("package.json").is_file() {
            return Ok(folder);
        }
        tracing::info!(package = label, "fetching from the npm registry");
        let scratch = tempfile::Builder::new()
            .prefix(".fetch-")
            .tempdir_in(&parent)
            .map_err(files::Error::at("write", &parent))?;
        let output = Command::new(npm)
            .args(["pack", &label, "--ignore-scripts", "--prefer-offline", "--loglevel=error"])
            .arg("--pack-destination")
            .arg(scratch.path())
            .current_dir(scratch.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| Error::Npm { package: label.clone(), message: error.to_string() })?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            let message = message.lines().take(4).collect::<Vec<_>>().join(" ");
            return Err(Error::Npm { package: label, message });
        }
        let package = self.clone();
        tokio::task::spawn_blocking(move || package.unpack(scratch, &folder, label))
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    fn unpack(&self, scratch: tempfile::TempDir, folder: &Path, label: String) -> Result<PathBuf> {
        let unpack_error = |source| Error::Unpack { package: label.clone(), source };
        let archive = fs::read_dir(scratch.path())
            .map_err(unpack_error)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|end| end == "tgz"))
            .ok_or_else(|| unpack_error(io::Error::other("npm pack left no archive")))?;
        let bytes = files::read(&archive)?;
        if let Some(expected) = &self.integrity {
            use base64::Engine as _;
            let digest = base64::engine::general_purpose::STANDARD.encode(Sha512::digest(&bytes));
            let found = format!("sha512-{digest}");
            if found != *expected {
                let expected = expected.clone();
                return Err(Error::Integrity { package: label, expected, found });
            }
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
                entry.unpack(&target).map_err(unpack_error)?;
            }
        }
        fs::rename(&unpacked, folder).map_err(unpack_error)?;
        Ok(folder.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_on_path() {
        assert!(find_on_path("cargo").is_some_and(|path| path.is_absolute()));
        assert_eq!(find_on_path("no-such-program-of-zkvouch"), None);
    }

    #[tokio::test]
    async fn a_package_is_fetched_once_and_its_hash_is_checked() {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let mut package = NpmPackage::new("is-number", "7.0.0", "sha512-AAAA");
        let error = package.install(cache.path()).await.expect_err("the hash is wrong");
        let Error::Integrity { found, .. } = error else { panic!("{error}") };
        assert!(!package.folder(cache.path()).exists());
        package.integrity = Some(found);
        let folder = package.install(cache.path()).await.expect("fetched");
        assert!(folder.join("index.js").is_file());
        assert_eq!(package.install(cache.path()).await.expect("cached"), folder);
    }
}
