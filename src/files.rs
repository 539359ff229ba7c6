//! Files that are either whole or absent: atomic writes and content hashes.

use alloy::primitives::B256;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// A file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct Error {
    /// What was tried: `read`, `write`, `create the folder`.
    pub action: &'static str,
    /// The file or folder concerned.
    pub path: PathBuf,
    /// What the operating system said.
    #[source]
    pub source: io::Error,
}

impl Error {
    /// An error about `path`, for use in `map_err`.
    pub fn at(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self { action, path, source }
    }
}

/// A result whose error is about one file.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(Error::at("read", path))
}

/// Reads a whole UTF-8 file.
pub fn read_to_string(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(Error::at("read", path))
}

/// Creates a folder and its parents.
pub fn create_dir_all(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(Error::at("create the folder", path))
}

/// Writes `bytes` to a temporary file beside `path` and renames it, so that a killed process leaves
/// the old file or the new one and never half of either. Missing parent folders are created.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut pending = Pending::new(path)?;
    pending.file.write_all(bytes).map_err(Error::at("write", path))?;
    pending.commit()
}

/// A temporary file beside its destination; removed on drop unless [`Pending::commit`] was called.
#[derive(Debug)]
pub struct Pending {
    file: tempfile::NamedTempFile,
    destination: PathBuf,
}

impl Pending {
    /// Opens a temporary file in the folder of `destination`, which is created where missing.
    pub fn new(destination: &Path) -> Result<Self> {
        let folder = parent(destination);
        create_dir_all(folder)?;
        let file = tempfile::Builder::new()
            .prefix(TEMPORARY)
            .tempfile_in(folder)
            .map_err(Error::at("write", destination))?;
        Ok(Self { file, destination: destination.to_owned() })
    }

    /// Where to write; another process may do so too.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The open temporary file.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Flushes to disk and renames to the destination.
    pub fn commit(self) -> Result<()> {
        let destination = self.destination;
        // Reopened by path: a worker process may have replaced the file rather than written into it.
        File::open(self.file.path())
            .and_then(|file| file.sync_all())
            .map_err(Error::at("write", &destination))?;
        let temporary = self.file.into_temp_path();
        set_default_mode(&temporary);
        temporary.persist(&destination).map_err(|error| Error {
            action: "write",
            path: destination,
            source: error.error,
        })
    }
}

/// The beginning of the names of temporary files and folders.
pub const TEMPORARY: &str = ".zkvouch-";

/// Whether it is a temporary file or folder of a run, killed perhaps.
pub fn is_temporary(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(TEMPORARY))
}

/// Temporary files are private; an artefact has the mode that an ordinary new file has.
fn set_default_mode(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // A failure leaves the file private, which loses nothing.
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o644));
    }
    #[cfg(not(unix))]
    let _ = path;
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The SHA-256 of a byte string.
pub fn sha256(bytes: &[u8]) -> B256 {
    B256::from_slice(&Sha256::digest(bytes))
}

/// The SHA-256 of a file's bytes, read in blocks.
pub fn sha256_file(path: &Path) -> Result<B256> {
    let mut file = File::open(path).map_err(Error::at("read", path))?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block).map_err(Error::at("read", path))? {
            0 => return Ok(B256::from_slice(&hasher.finalize())),
            n => hasher.update(&block[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uncommitted_write_leaves_the_old_file_and_no_litter() -> Result<()> {
        let folder = tempfile::tempdir().map_err(Error::at("create", "temporary folder"))?;
        let path = folder.path().join("deep/er/a.json");
        write_atomic(&path, b"old")?;
        let mut pending = Pending::new(&path)?;
        pending.file().write_all(b"half").map_err(Error::at("write", &path))?;
        drop(pending);
        assert_eq!(read(&path)?, b"old");
        assert_eq!(fs::read_dir(parent(&path)).map(Iterator::count).ok(), Some(1));
        write_atomic(&path, b"new")?;
        assert_eq!(read(&path)?, b"new");
        assert_eq!(sha256_file(&path)?, sha256(b"new"));
        Ok(())
    }

    #[test]
    fn an_error_names_the_file() {
        let error = read(Path::new("/nonexistent/x.json")).expect_err("no such file");
        assert!(error.to_string().starts_with("cannot read /nonexistent/x.json: "), "{error}");
    }
}
