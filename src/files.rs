//! Files that are either whole or absent: atomic writes and content hashes.

mod temporary;

pub(crate) use temporary::is_temporary;
pub use temporary::{Pending, Scratch, sweep};

use crate::error::ErrorKind;
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
    /// What kind of failure this is. A file that is not there, or not what it should be, or where none can be
    /// written, is the caller's. A broken disk is not, and neither is a full one.
    pub fn kind(&self) -> ErrorKind {
        use io::ErrorKind::{
            InvalidData, InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound,
            PermissionDenied, ReadOnlyFilesystem, UnexpectedEof,
        };
        match self.source.kind() {
            InvalidData | InvalidFilename | InvalidInput | IsADirectory | NotADirectory
            | NotFound | PermissionDenied | ReadOnlyFilesystem | UnexpectedEof => {
                ErrorKind::BadInput
            }
            _ => ErrorKind::Failure,
        }
    }

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

/// Says so where the bytes are not a file's own but what Git LFS leaves in its place until it is fetched.
pub(crate) fn lfs_pointer(bytes: &[u8]) -> Option<&'static str> {
    bytes.starts_with(b"version https://git-lfs.").then_some(
        "this is a Git LFS pointer, which stands for the file; fetch the file itself with \
         `git lfs pull`",
    )
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
    write_with(Pending::new(path)?, bytes)
}

/// As [`write_atomic`], for a program.
pub fn write_executable(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(Pending::executable(path)?, bytes)
}

/// As [`write_atomic`], for the owner's eyes alone: what holds inputs that a proof keeps secret.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(Pending::private(path)?, bytes)
}

fn write_with(mut pending: Pending, bytes: &[u8]) -> Result<()> {
    let result = pending.file().write_all(bytes);
    result.map_err(Error::at("write", pending.destination()))?;
    pending.commit()
}

/// As [`write_atomic`], with the content's hash before it: see [`read_checked`].
pub fn write_checked(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomic(path, &[format!("{:x}\n", sha256(bytes)).as_bytes(), bytes].concat())
}

/// What [`write_checked`] wrote; `None` where nothing is, or something else.
pub fn read_checked(path: &Path) -> Option<Vec<u8>> {
    let bytes = fs::read(path).ok()?;
    let at = bytes.iter().position(|byte| *byte == b'\n')?;
    let (hash, content) = (&bytes[..at], &bytes[at + 1..]);
    (hash == format!("{:x}", sha256(content)).as_bytes()).then(|| content.to_vec())
}

/// Whether nobody like us can write there, whatever the reason.
pub fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Whether the disk, the quota or the largest file allowed is used up.
pub fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
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
