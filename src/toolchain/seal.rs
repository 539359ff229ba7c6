//! What a folder of the cache held when it was filled, so that damage is found when it is used.
//!
//! Each file's hash stands in [`SEAL`] with what tells cheaply that the file was not touched since; only
//! where that differs is it hashed again. This is against damage and half-done work: whoever can write
//! to the cache can write the seal, too.

use crate::files;
use alloy::primitives::B256;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The seal's name in the folder.
pub(crate) const SEAL: &str = "seal.json";

/// What became of a sealed folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is not there, or was never sealed.
    Absent,
    /// It holds what was sealed and nothing else.
    Whole,
    /// This file is another, missing, or one too many.
    Damaged(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sealed {
    sha256: B256,
    stamp: Stamp,
}

/// What changes with a file's content, as long as nobody turns back the system's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    size: u64,
    /// The modification time, in nanoseconds since 1970; 0 where it isn't known.
    modified: u64,
    /// When the inode last changed, which no program can set; 0 where the system doesn't tell.
    changed: i64,
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        let modified = metadata
            .modified()
            .ok()
            .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
            .map_or(0, |age| age.as_nanos() as u64);
        #[cfg(unix)]
        let changed = {
            use std::os::unix::fs::MetadataExt;
            metadata.ctime().wrapping_mul(1_000_000_000).wrapping_add(metadata.ctime_nsec())
        };
        #[cfg(not(unix))]
        let changed = 0;
        Self { size: metadata.len(), modified, changed }
    }
}

/// By path within the folder.
type Seal = BTreeMap<PathBuf, Sealed>;

/// Seals a folder as it is.
pub(crate) fn seal(folder: &Path) -> files::Result<()> {
    let mut seal = Seal::new();
    for (name, metadata) in walk(folder)? {
        let sha256 = files::sha256_file(&folder.join(&name))?;
        seal.insert(name, Sealed { sha256, stamp: Stamp::of(&metadata) });
    }
    write(folder, &seal)
}

/// Compares a folder with its seal. What can't be read is as good as damaged.
pub(crate) fn check(folder: &Path) -> State {
    compare(folder).unwrap_or_else(|error| State::Damaged(error.path))
}

fn compare(folder: &Path) -> files::Result<State> {
    let Ok(bytes) = fs::read(folder.join(SEAL)) else { return Ok(State::Absent) };
    let Ok(mut seal) = serde_json::from_slice::<Seal>(&bytes) else {
        return Ok(State::Damaged(folder.join(SEAL)));
    };
    let found = walk(folder)?;
    if let Some(name) = seal.keys().find(|name| !found.contains_key(*name)) {
        return Ok(State::Damaged(folder.join(name)));
    }
    let mut is_touched = false;
    for (name, metadata) in found {
        let path = folder.join(&name);
        let Some(sealed) = seal.get_mut(&name) else { return Ok(State::Damaged(path)) };
        let stamp = Stamp::of(&metadata);
        if sealed.stamp == stamp {
            continue;
        }
        if sealed.stamp.size != stamp.size || files::sha256_file(&path)? != sealed.sha256 {
            return Ok(State::Damaged(path));
        }
        (sealed.stamp, is_touched) = (stamp, true);
    }
    if is_touched && let Err(error) = write(folder, &seal) {
        tracing::debug!(%error, "it is hashed again the next time");
    }
    Ok(State::Whole)
}

fn write(folder: &Path, seal: &Seal) -> files::Result<()> {
    files::write_atomic(&folder.join(SEAL), serde_json::json!(seal).to_string().as_bytes())
}

/// Everything below a folder that is no folder itself, but for the seal, be it in the making.
fn walk(folder: &Path) -> files::Result<BTreeMap<PathBuf, fs::Metadata>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(inner) = folders.pop() {
        let error = || files::Error::at("read", folder.join(&inner));
        for entry in fs::read_dir(folder.join(&inner)).map_err(error())? {
            let entry = entry.map_err(error())?;
            let name = inner.join(entry.file_name());
            if name == Path::new(SEAL) || files::is_temporary(&name) {
                continue;
            }
            let metadata = entry.metadata().map_err(error())?;
            if metadata.is_dir() {
                folders.push(name);
            } else {
                found.insert(name, metadata);
            }
        }
    }
    Ok(found)
}
