//! What jobs are about, under its own hash: circuits, keys, inputs, proofs.
//!
//! A blob never changes, so whatever is read is compared with its name.

use super::{Error, Result};
use crate::files::{self, Pending};
use alloy::primitives::{B256, hex};
use futures_util::StreamExt;
use object_store::{
    Error as StoreError, ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart,
    local::LocalFileSystem, path::Path as Key, prefix::PrefixStore,
};
use sha2::{Digest, Sha256};
use std::{
    fmt,
    io::{Read, Write},
    path::Path,
    sync::Arc,
};
use url::Url;

/// Read and written at once.
const BLOCK: usize = 1 << 20;

/// A store of blobs. Cheap to clone.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    name: String,
}

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blobs").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Blobs {
    /// Opens the store at a folder's path or a URL: `file:///FOLDER`, `s3://BUCKET/PREFIX`. What S3 needs beside
    /// comes from `variable`, which has the environment's `AWS_…`.
    ///
    /// # Errors
    /// The URL means nothing, or the folder can't be made.
    pub fn open(
        location: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self> {
        let bad = |message: String| Error::BlobUrl { url: location.to_owned(), message };
        let name = location.to_owned();
        let folder = match Url::parse(location) {
            // A Windows drive looks like a scheme of one letter.
            Ok(url) if url.scheme() == "file" => {
                url.to_file_path().map_err(|()| bad("no path of a folder".to_owned()))?
            }
            Ok(url) if url.scheme().len() > 1 => {
                let options = variables.into_iter().filter_map(|(name, value)| {
                    let prefixes = ["AWS_", "GOOGLE_", "AZURE_"];
                    let known = prefixes.iter().any(|prefix| name.starts_with(prefix));
                    known.then(|| (name.to_lowercase(), value))
                });
                let (store, prefix) = object_store::parse_url_opts(&url, options)
                    .map_err(|error| bad(error.to_string()))?;
                let store: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(store, prefix));
                return Ok(Self { store, name });
            }
            _ => location.into(),
        };
        files::create_dir_all(&folder)?;
        let store = LocalFileSystem::new_with_prefix(&folder)
            .map_err(|error| bad(error.to_string()))?
            .with_fsync(true);
        Ok(Self { store: Arc::new(store), name })
    }

    /// Where it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Stores bytes and returns their SHA-256. What is there already is written anew: it may have changed.
    ///
    /// # Errors
    /// The store is away, full or read-only.
    pub async fn put(&self, bytes: Vec<u8>) -> Result<B256> {
        let hash = files::sha256(&bytes);
        self.store.put(&key(hash), PutPayload::from(bytes)).await.map_err(failed("write", hash))?;
        Ok(hash)
    }

    /// Stores a file and returns its SHA-256.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn put_file(&self, path: &Path) -> Result<B256> {
        let of = path.to_owned();
        let hash = crate::task::blocking(move || files::sha256_file(&of)).await?;
        let length = std::fs::metadata(path).map_err(files::Error::at("read", path))?.len();
        // A key is large: where one of its length lies, it is read instead of sent.
        if let Ok(found) = self.store.head(&key(hash)).await
            && found.size == length
            && self.check(hash).await.is_ok()
        {
            return Ok(hash);
        }
        let upload = self.store.put_multipart(&key(hash)).await.map_err(failed("write", hash))?;
        let mut upload = WriteMultipart::new(upload);
        let mut file = std::fs::File::open(path).map_err(files::Error::at("read", path))?;
        let mut block = vec![0; BLOCK];
        loop {
            match file.read(&mut block).map_err(files::Error::at("read", path))? {
                0 => break,
                n => {
                    upload.wait_for_capacity(4).await.map_err(failed("write", hash))?;
                    upload.write(&block[..n]);
                }
            }
        }
        upload.finish().await.map_err(failed("write", hash))?;
        Ok(hash)
    }

    /// The bytes stored under a hash.
    ///
    /// # Errors
    /// [`Error::BlobChanged`] where they are others; and where there are none.
    pub async fn get(&self, hash: B256) -> Result<Vec<u8>> {
        let got = self.store.get(&key(hash)).await.map_err(failed("read", hash))?;
        let bytes = got.bytes().await.map_err(failed("read", hash))?;
        same(hash, files::sha256(&bytes))?;
        Ok(bytes.into())
    }

    /// Writes the bytes stored under a hash to a file, which is there only if they are right.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_to(&self, hash: B256, path: &Path) -> Result<()> {
        let mut pending = Pending::private(path)?;
        let got = self.store.get(&key(hash)).await.map_err(failed("read", hash))?;
        let (mut stream, mut hasher) = (got.into_stream(), Sha256::new());
        while let Some(bytes) = stream.next().await {
            let bytes = bytes.map_err(failed("read", hash))?;
            hasher.update(&bytes);
            let written = pending.file().write_all(&bytes);
            written.map_err(files::Error::at("write", path))?;
        }
        same(hash, B256::from_slice(&hasher.finalize()))?;
        Ok(pending.commit()?)
    }

    async fn check(&self, hash: B256) -> Result<()> {
        let got = self.store.get(&key(hash)).await.map_err(failed("read", hash))?;
        let (mut stream, mut hasher) = (got.into_stream(), Sha256::new());
        while let Some(bytes) = stream.next().await {
            hasher.update(bytes.map_err(failed("read", hash))?);
        }
        same(hash, B256::from_slice(&hasher.finalize()))
    }

    /// Whether the store answers. That a blob which nobody stored is not there is an answer.
    ///
    /// # Errors
    /// It is away.
    pub async fn ping(&self) -> Result<()> {
        let nothing = files::sha256(b"zkvouch: is anybody there?");
        match self.store.head(&key(nothing)).await {
            Ok(_) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("read", nothing)(error)),
        }
    }
}

fn same(hash: B256, found: B256) -> Result<()> {
    if found == hash { Ok(()) } else { Err(Error::BlobChanged { hash, found }) }
}

/// `sha256/ab/abcd…`: folders stay small.
fn key(hash: B256) -> Key {
    let hash = hex::encode(hash);
    Key::from_iter(["sha256", &hash[..2], &hash])
}

fn failed(action: &'static str, hash: B256) -> impl Fn(StoreError) -> Error {
    move |source| Error::Blobs { action, hash, source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_stored_comes_back_and_what_was_changed_does_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let blobs = Blobs::open(&folder.path().display().to_string(), []).expect("opened");
        blobs.ping().await.expect("there");
        let hash = blobs.put(b"seven".to_vec()).await.expect("stored");
        assert_eq!(blobs.get(hash).await.expect("there"), b"seven");

        let file = folder.path().join("large");
        std::fs::write(&file, vec![7; 3 * BLOCK + 5]).expect("written");
        let large = blobs.put_file(&file).await.expect("stored");
        let copy = folder.path().join("copy");
        blobs.get_to(large, &copy).await.expect("there");
        assert_eq!(files::sha256_file(&copy).expect("read"), large);

        for hash in [hash, large] {
            let stored = folder.path().join(key(hash).to_string());
            let mut bytes = std::fs::read(&stored).expect("stored there");
            bytes[3] ^= 1;
            std::fs::write(&stored, bytes).expect("changed");
            let error = blobs.get(hash).await.expect_err("changed");
            assert!(matches!(error, Error::BlobChanged { .. }), "{error}");
            std::fs::remove_file(&copy).ok();
            blobs.get_to(hash, &copy).await.expect_err("changed");
            assert!(!copy.exists());
        }
        // To store it again mends it.
        blobs.put(b"seven".to_vec()).await.expect("stored");
        blobs.put_file(&file).await.expect("stored");
        blobs.get(hash).await.expect("mended");
        blobs.get(large).await.expect("mended");
    }

    #[test]
    fn a_url_of_nothing_is_refused_with_what_may_stand_there() {
        let error = Blobs::open("gopher://x/y", []).expect_err("none").to_string();
        assert!(error.contains("s3://BUCKET"), "{error}");
    }
}
