//! What was handed over to a chain, kept until the chain has answered for it.
//!
//! `broadcast/journal/<chain id>.json` has an entry for each call, with its nonce and every
//! transaction that was ever signed for it. It is written before anything is handed over, and it
//! outlives the run: whichever command comes to the same call next goes on with the entry. Beside it
//! each run has a file in the shape of `forge script`'s.

use super::{
    Call,
    run_file::{Result, Run, RunFile},
};
use crate::files;
use alloy::{
    network::AnyTransactionReceipt,
    primitives::{Address, B256, Bytes, TxHash, U256, keccak256},
    rpc::types::TransactionRequest,
};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use super::run_file::Error;

const SCHEMA_VERSION: u32 = 1;

/// A call that was signed for, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The command whose run it was.
    pub command: String,
    /// The account that the nonce belongs to.
    pub from: Address,
    /// The receiver; none for a creation.
    pub to: Option<Address>,
    /// What is sent along, in wei.
    pub value: U256,
    /// keccak256 of the calldata or init code.
    pub input_hash: B256,
    /// The nonce of all that was signed for it.
    pub nonce: u64,
    /// The newest block before the first was handed over.
    pub since: u64,
    /// The hash of the chain's first block, where the node told it.
    pub genesis: Option<B256>,
    /// Everything that was signed, oldest first.
    pub sent: Vec<Sent>,
    /// What the chain said.
    pub answer: Answer,
}

/// A transaction that was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// keccak256 of `raw`, by which the chain knows it.
    pub hash: TxHash,
    /// Its bytes, to hand over again.
    pub raw: Bytes,
}

/// The chain's answer for a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Answer {
    /// Nothing is known yet: neither a receipt nor another transaction with the nonce.
    Pending,
    /// One of ours was mined.
    Mined {
        /// The hash of the one that was mined.
        hash: TxHash,
    },
    /// Another transaction of the account has the nonce.
    Replaced {
        /// The hash of the transaction that has it.
        by: TxHash,
    },
}

impl Entry {
    /// The hashes of all that was signed, oldest first.
    pub fn hashes(&self) -> Vec<TxHash> {
        self.sent.iter().map(|sent| sent.hash).collect()
    }

    fn is_of(&self, from: Address, call: &Call) -> bool {
        (self.from, self.to, self.value) == (from, call.to, call.value)
            && self.input_hash == keccak256(&call.input)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Entries {
    schema_version: u32,
    entries: Vec<Entry>,
}

/// Who keeps the journal in a second place, from which another machine can go on.
pub trait Keeper: std::fmt::Debug + Send + Sync {
    /// Keeps the whole text, or says why not; then nothing that is new in it is handed over.
    fn keep(&self, text: &str) -> std::result::Result<(), String>;
}

/// The journal of one chain, and the file of one run.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    keeper: Option<Arc<dyn Keeper>>,
    command: String,
    resume: bool,
    state: Mutex<State>,
}

fn journal_path(root: &Path, chain: u64) -> PathBuf {
    root.join("broadcast/journal").join(format!("{chain}.json"))
}

#[derive(Debug)]
struct State {
    file: RunFile,
    /// Nonces of entries that this run has come to: each is handed out once.
    seen: Vec<(Address, u64)>,
}

impl Journal {
    /// Opens `<root>/broadcast/journal/<chain>.json` and starts a run of the command `name` in
    /// `<root>/broadcast/<name>/<chain>/`. With `resume` what the command's latest run finished
    /// counts, too.
    ///
    /// # Errors
    /// A file is malformed or of another chain.
    pub fn start(root: &Path, name: &str, chain: u64, resume: bool) -> Result<Self> {
        Self::open(root, name, chain, resume, None)
    }

    /// As [`start`](Self::start), going on from what `keeper` kept last, if it kept anything; it gets every
    /// change before it counts. What the chain has answered for stays until [`forget`](Self::forget).
    ///
    /// # Errors
    /// What was kept is malformed.
    pub fn kept(
        root: &Path,
        name: &str,
        chain: u64,
        keeper: Arc<dyn Keeper>,
        last: Option<&str>,
    ) -> Result<Self> {
        if let Some(last) = last {
            files::write_atomic(&journal_path(root, chain), last.as_bytes())?;
        }
        Self::open(root, name, chain, false, Some(keeper))
    }

    fn open(
        root: &Path,
        name: &str,
        chain: u64,
        resume: bool,
        keeper: Option<Arc<dyn Keeper>>,
    ) -> Result<Self> {
        let file = RunFile::start(root, name, chain, resume)?;
        let journal = Self {
            path: journal_path(root, chain),
            keeper,
            command: name.to_owned(),
            resume,
            state: Mutex::new(State { file, seen: Vec::new() }),
        };
        // What is settled and not to be gone on with has no more to say.
        let old = |entry: &Entry| entry.command == name && entry.answer != Answer::Pending;
        if !resume && journal.keeper.is_none() && journal.read()?.iter().any(old) {
            journal.change(|entries| entries.retain(|entry| !old(entry)))?;
        }
        Ok(journal)
    }

    /// The run's file, which tools read.
    pub fn path(&self) -> PathBuf {
        self.guard().file.path().to_owned()
    }

    /// What the run's file holds now.
    pub fn run(&self) -> Run {
        self.guard().file.run().clone()
    }

    /// All entries of the chain.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        self.read()
    }

    /// Takes the chain's answer back, which a reorganisation undid: the same bytes are to be handed over again.
    pub fn undone(&self, hash: TxHash) -> Result<()> {
        self.guard().seen.clear();
        self.settle(&[hash], Answer::Pending)
    }

    /// Drops what was signed for a transaction that is so deep in the chain that it stays.
    pub fn forget(&self, hash: TxHash) -> Result<()> {
        self.change(|entries| {
            entries.retain(|entry| entry.sent.iter().all(|sent| sent.hash != hash));
        })
    }

    /// The entry of a call that the chain has not answered for; when resuming, also one that it has,
    /// each once.
    pub(super) fn find(
        &self,
        from: Address,
        call: &Call,
        genesis: Option<B256>,
    ) -> Result<Option<Entry>> {
        let mut state = self.guard();
        let found = self.read()?.into_iter().find(|entry| {
            let answered = entry.answer != Answer::Pending;
            let seen = state.seen.contains(&(from, entry.nonce));
            let ours = !answered || (self.resume && entry.command == self.command && !seen);
            // A local chain that was started afresh knows nothing of the old one's.
            let chain = entry.genesis.is_none() || genesis.is_none() || entry.genesis == genesis;
            ours && chain && entry.is_of(from, call)
        });
        if let Some(entry) = &found {
            state.seen.push((from, entry.nonce));
        }
        Ok(found)
    }

    /// Writes down what is about to be handed over.
    pub(super) fn sending(
        &self,
        call: &Call,
        request: &TransactionRequest,
        (since, genesis): (u64, Option<B256>),
        sent: &Sent,
    ) -> Result<()> {
        let (from, nonce) = (request.from.unwrap_or_default(), request.nonce.unwrap_or_default());
        self.change(|entries| {
            let known = entries.iter_mut().find(|entry| {
                (entry.nonce, entry.answer, entry.genesis) == (nonce, Answer::Pending, genesis)
                    && entry.is_of(from, call)
            });
            match known {
                Some(entry) => entry.sent.push(sent.clone()),
                None => entries.push(Entry {
                    command: self.command.clone(),
                    from,
                    to: call.to,
                    value: call.value,
                    input_hash: keccak256(&call.input),
                    nonce,
                    since,
                    genesis,
                    sent: vec![sent.clone()],
                    answer: Answer::Pending,
                }),
            }
        })?;
        let mut state = self.guard();
        state.seen.push((from, nonce));
        state.file.sending(call, request, sent.hash)
    }

    /// The chain has one of these hashes, of one call.
    pub(super) fn mined(&self, receipt: &AnyTransactionReceipt, hashes: &[TxHash]) -> Result<()> {
        self.settle(hashes, Answer::Mined { hash: receipt.transaction_hash })?;
        self.guard().file.mined(receipt, hashes)
    }

    /// The chain has another transaction in the place of these, of one call.
    pub(super) fn replaced(&self, hashes: &[TxHash], by: TxHash) -> Result<()> {
        self.settle(hashes, Answer::Replaced { by })?;
        self.guard().file.gone(hashes)
    }

    fn settle(&self, hashes: &[TxHash], answer: Answer) -> Result<()> {
        self.change(|entries| {
            for entry in entries.iter_mut() {
                if entry.sent.iter().any(|sent| hashes.contains(&sent.hash)) {
                    entry.answer = answer;
                }
            }
        })
    }

    fn read(&self) -> Result<Vec<Entry>> {
        if !self.path.is_file() {
            return Ok(Vec::new());
        }
        let text = files::read_to_string(&self.path)?;
        let reader = &mut serde_json::Deserializer::from_str(&text);
        let bad = |field: String, message: String| Error::Malformed {
            path: self.path.clone(),
            field,
            message,
        };
        let read: Entries = serde_path_to_error::deserialize(reader)
            .map_err(|error| bad(error.path().to_string(), error.inner().to_string()))?;
        if read.schema_version != SCHEMA_VERSION {
            let message = format!(
                "expected {SCHEMA_VERSION}, found {}; use the zkvouch that wrote it",
                read.schema_version
            );
            return Err(bad("schema_version".into(), message));
        }
        Ok(read.entries)
    }

    /// Applies a change to what other processes wrote meanwhile.
    fn change(&self, change: impl FnOnce(&mut Vec<Entry>)) -> Result<()> {
        let lock = self.path.with_extension("lock");
        if let Some(folder) = lock.parent() {
            files::create_dir_all(folder)?;
        }
        let file = File::create(&lock).map_err(files::Error::at("write", &lock))?;
        // Held for a read and a write of a small file only.
        file.lock().map_err(files::Error::at("lock", &lock))?;
        let mut entries = self.read()?;
        change(&mut entries);
        let entries = Entries { schema_version: SCHEMA_VERSION, entries };
        let text = serde_json::to_string_pretty(&entries).unwrap_or_default();
        if let Some(keeper) = &self.keeper {
            keeper.keep(&text).map_err(Error::NotKept)?;
        }
        Ok(files::write_atomic(&self.path, text.as_bytes())?)
    }

    /// The lock that one run of an account holds from the simulation until a transaction is handed
    /// over.
    pub(super) fn lock_path(&self, from: Address) -> PathBuf {
        self.path.with_extension(format!("{from}.lock"))
    }

    fn guard(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
