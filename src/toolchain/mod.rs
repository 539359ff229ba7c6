//! The programs that zkvouch drives and the folder in which it keeps what it fetched.
//!
//! Whatever a machine lacks comes from the npm registry as a package pinned by version and hash,
//! fetched by the machine's own `npm` and unpacked here; no install script of a package is run. What
//! lies in the cache is compared with what was unpacked whenever it is used.

mod npm;
pub(crate) mod seal;
pub mod wheel;

pub use npm::NpmPackage;

use crate::{error::ErrorKind, files, task::blocking};
use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

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
        /// The program's name, without a path or an ending.
        program: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },
    /// `npm pack` failed or took too long.
    #[error(
        "npm could not fetch {package}: {message}; check the network and the registry that npm uses"
    )]
    Npm {
        /// `name@version` of the package that was asked for.
        package: String,
        /// The first lines of npm's own words, or why there are none.
        message: String,
    },
    /// A package's bytes are not the ones that were pinned.
    #[error(
        "the package {package} has the hash {found} but {expected} is pinned; the registry serves \
         something else, so it was not used"
    )]
    Integrity {
        /// `name@version` of the package that arrived.
        package: String,
        /// The pinned hash, in npm's form (`sha512-<base64>`).
        expected: String,
        /// The hash of what arrived.
        found: String,
    },
    /// A package archive could not be unpacked.
    #[error("cannot unpack {package}: {source}")]
    Unpack {
        /// `name@version` of the package that was to be unpacked.
        package: String,
        /// What the archive or the disk said.
        #[source]
        source: io::Error,
    },
    /// A cached file is not what was fetched, and could not be fetched again.
    #[error("{} is not what was fetched, so it was not used; fetching it again failed: {source}", path.display())]
    Damaged {
        /// The file in the cache that differs, is missing or is one too many.
        path: PathBuf,
        /// Why there is no other.
        #[source]
        source: Box<Self>,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] files::Error),
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::File(inner) => inner.kind(),
            Self::NotOurs(..) => ErrorKind::BadInput,
            Self::NoCacheDir
            | Self::NotFound { .. }
            | Self::Npm { .. }
            | Self::Integrity { .. }
            | Self::Unpack { .. }
            | Self::Damaged { .. } => ErrorKind::Tool,
        }
    }
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
const CACHED: [&str; 10] = [
    "cost-model.json",
    "doctor",
    "engine",
    "locks",
    "npm",
    "onnxruntime",
    "solc",
    "solc-output",
    "srs",
    "tune",
];

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
    blocking(move || {
        files::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let file = File::create(&path).map_err(files::Error::at("write", &path))?;
        file.lock().map_err(files::Error::at("lock", &path))?;
        Ok(file)
    })
    .await
}

/// As [`lock`], for what is only read where it can't be written. `None` where nobody has made the
/// lock's file and we can't: there is no need of it then.
pub(crate) async fn lock_cache(path: PathBuf) -> Result<Option<File>> {
    blocking(move || {
        let made = fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))
            .and_then(|()| OpenOptions::new().write(true).create(true).truncate(false).open(&path))
            .or_else(|error| match files::is_read_only(&error) {
                true => File::open(&path),
                false => Err(error),
            });
        let file = match made {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if files::is_read_only(&error) => return Ok(None),
            Err(error) => return Err(files::Error::at("write", &path)(error).into()),
        };
        file.lock().map_err(files::Error::at("lock", &path))?;
        Ok(Some(file))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_on_path() {
        assert!(find_on_path("cargo").is_some_and(|path| path.is_absolute()));
        assert_eq!(find_on_path("no-such-program-of-zkvouch"), None);
    }
}
