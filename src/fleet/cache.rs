//! Blobs kept on a worker's machine: looked at before they are used, the oldest removed where they grow too many.

use super::{Blobs, Result};
use crate::{files, task::blocking};
use alloy::primitives::{B256, hex};
use std::{
    collections::HashSet,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

/// A folder of blobs, which several workers may share.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    /// Bytes at most, but for what is in use.
    limit: u64,
    /// What this process has compared with its hash.
    seen: Arc<Mutex<HashSet<B256>>>,
}

impl Cache {
    pub(super) fn open(folder: &Path, limit: u64) -> Result<Self> {
        files::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned(), limit, seen: Arc::default() })
    }

    /// A blob's file, and what keeps it from being removed.
    pub(super) async fn get(&self, blobs: &Blobs, hash: B256) -> Result<(PathBuf, File)> {
        let path = self.folder.join(hex::encode(hash));
        if let Some(file) = self.hold(hash, &path).await {
            return Ok((path, file));
        }
        blobs.get_to(hash, &path).await?;
        let file = File::open(&path).map_err(files::Error::at("read", &path))?;
        file.lock_shared().map_err(files::Error::at("lock", &path))?;
        self.seen().insert(hash);
        let cache = self.clone();
        blocking(move || cache.shrink()).await;
        Ok((path, file))
    }

    /// The file, if it is there and right.
    async fn hold(&self, hash: B256, path: &Path) -> Option<File> {
        let file = File::open(path).ok()?;
        file.lock_shared().ok()?;
        if !self.seen().contains(&hash) {
            let of = path.to_owned();
            if !blocking(move || is_right(&of, hash)).await {
                return None;
            }
            self.seen().insert(hash);
        }
        // What was used last goes last. Where that can't be noted, it goes earlier.
        let _ = file.set_modified(SystemTime::now());
        // Another worker may have removed it before the lock.
        path.exists().then_some(file)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, HashSet<B256>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes what was not used for longest and is in nobody's use, until there is not too much.
    fn shrink(&self) {
        let Ok(folder) = fs::read_dir(&self.folder) else { return };
        let mut all: Vec<_> = folder
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let data = entry.metadata().ok()?;
                let is_blob = entry.file_name().len() == 64 && data.is_file();
                is_blob.then_some((data.modified().ok()?, data.len(), entry.path()))
            })
            .collect();
        all.sort();
        let mut total: u64 = all.iter().map(|(_, length, _)| length).sum();
        for (_, length, path) in all {
            if total <= self.limit {
                return;
            }
            let Ok(file) = File::open(&path) else { continue };
            match file.try_lock() {
                Ok(()) if fs::remove_file(&path).is_ok() => {
                    tracing::debug!(path = %path.display(), "removed from the cache");
                    total -= length;
                }
                Ok(()) | Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
            }
        }
    }
}

/// Whether a file is there and what it should be.
fn is_right(path: &Path, hash: B256) -> bool {
    matches!(files::sha256_file(path), Ok(found) if found == hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_goes_unless_it_is_in_use_and_what_was_changed_is_fetched_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = folder.path().join("store");
        let blobs = Blobs::open(&store.display().to_string(), []).expect("opened");
        let cache = Cache::open(&folder.path().join("cache"), 250).expect("opened");
        let mut hashes = Vec::new();
        for number in 0..4 {
            hashes.push(blobs.put(vec![number; 100]).await.expect("stored"));
        }
        let (first, in_use) = cache.get(&blobs, hashes[0]).await.expect("fetched");
        let (second, file) = cache.get(&blobs, hashes[1]).await.expect("fetched");
        drop(file);
        cache.get(&blobs, hashes[2]).await.expect("fetched");
        assert!(first.exists() && !second.exists());
        drop(in_use);
        cache.get(&blobs, hashes[3]).await.expect("fetched");
        assert!(!first.exists());

        let (path, _file) = cache.get(&blobs, hashes[3]).await.expect("there");
        fs::write(&path, b"changed").expect("written");
        let other = Cache::open(&folder.path().join("cache"), 250).expect("opened");
        let (path, _file) = other.get(&blobs, hashes[3]).await.expect("fetched again");
        assert_eq!(fs::read(path).expect("read"), vec![3; 100]);
    }
}
