//! What compilers made of their inputs, kept so that the same is not compiled twice.
//!
//! One file an input in a folder of the user's cache, which holds the compilers, too: whoever can
//! write there decides what a verifier is compiled to in either case.

use super::CompiledContract;
use crate::files;
use alloy::primitives::B256;
use serde::{Deserialize, Serialize};
use std::{
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The oldest go when there are more.
const MOST: usize = 512;

/// What came out of a compiler.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Kept {
    Contracts(Vec<CompiledContract>),
    StackTooDeep(String),
}

#[derive(Clone, Debug)]
pub(super) struct Store {
    folder: PathBuf,
}

impl Store {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The name for what a program (by its hash) makes of an input.
    pub(super) fn key(program: &B256, input: &[u8]) -> String {
        format!("{:x}.json", files::sha256(&[program.as_slice(), input].concat()))
    }

    /// `None` where there is nothing usable.
    pub(super) fn get(&self, key: &str) -> Option<Kept> {
        serde_json::from_slice(&files::read_checked(&self.folder.join(key))?).ok()
    }

    /// Without a place to keep it, it is compiled again the next time.
    pub(super) fn put(&self, key: &str, kept: &Kept) {
        let bytes = serde_json::json!(kept).to_string();
        if let Err(error) = files::write_checked(&self.folder.join(key), bytes.as_bytes()) {
            tracing::debug!(%error, "the compiler's answer is not kept");
            return;
        }
        if let Err(error) = thin_out(&self.folder, MOST) {
            tracing::debug!(%error, "old compilers' answers stay");
        }
    }
}

fn thin_out(folder: &Path, most: usize) -> io::Result<()> {
    let mut all: Vec<(SystemTime, PathBuf)> = std::fs::read_dir(folder)?
        .map(|entry| entry.and_then(|it| Ok((it.metadata()?.modified()?, it.path()))))
        .collect::<io::Result<_>>()?;
    all.sort_unstable();
    for (_, old) in &all[..all.len().saturating_sub(most)] {
        match std::fs::remove_file(old) {
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_comes_back_and_nothing_else_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::new(folder.path().join("kept"));
        let key = Store::key(&B256::ZERO, b"input");
        assert_ne!(key, Store::key(&B256::repeat_byte(1), b"input"));
        assert_ne!(key, Store::key(&B256::ZERO, b"inputs"));
        assert_eq!(store.get(&key), None);
        let kept = Kept::StackTooDeep("by 3".into());
        store.put(&key, &kept);
        assert_eq!(store.get(&key), Some(kept));
        // One bit of what a contract is compiled to.
        let path = folder.path().join("kept").join(&key);
        let mut bytes = files::read(&path).expect("readable");
        let digit = bytes.iter().rposition(|byte| *byte == b'3').expect("the text's digit");
        bytes[digit] ^= 1;
        files::write_atomic(&path, &bytes).expect("written");
        assert_eq!(store.get(&key), None);
    }

    #[test]
    fn the_oldest_go_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let start = SystemTime::now();
        for age in 0..5u64 {
            let file = std::fs::File::create(folder.path().join(age.to_string())).expect("made");
            let time = start - std::time::Duration::from_secs(60 * age);
            file.set_modified(time).expect("dated");
        }
        thin_out(folder.path(), 2).expect("thinned out");
        let mut left: Vec<_> = std::fs::read_dir(folder.path())
            .expect("read")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["0", "1"]);
    }
}
