//! `broadcast/<name>/<chain id>/run-latest.json`, in the shape that `forge script` writes and that
//! wagmi's CLI and others read.

use super::Call;
use crate::{error::ErrorKind, files};
use alloy::{
    network::AnyTransactionReceipt,
    primitives::{Address, Bytes, TxHash, U256},
    rpc::types::TransactionRequest,
};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// The broadcast file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is not what Foundry or zkvouch writes.
    #[error(
        "{}: {field}: {message}; correct it, or move it away to start afresh", path.display()
    )]
    Malformed {
        /// The path of `run-latest.json` or of the journal's file.
        path: PathBuf,
        /// Its path in the JSON, as in `transactions[0].transaction.gas`.
        field: String,
        /// What the parser or the check says about the field.
        message: String,
    },
    /// It belongs to another chain.
    #[error("{} is of chain {found}, not of chain {expected}", path.display())]
    Chain {
        /// The path of `run-latest.json`.
        path: PathBuf,
        /// The chain in use.
        expected: u64,
        /// The chain in the file.
        found: u64,
    },
    /// Who keeps the journal elsewhere did not take it.
    #[error("what was signed could not be kept, so it was not handed over: {0}")]
    NotKept(String),
    /// It could not be read or written.
    #[error(transparent)]
    File(#[from] files::Error),
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::File(inner) => inner.kind(),
            Self::Malformed { .. } | Self::Chain { .. } => ErrorKind::BadInput,
            Self::NotKept(..) => ErrorKind::Failure,
        }
    }
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The content of `run-latest.json`, as `forge script` writes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// The transactions in the order of sending.
    pub transactions: Vec<RunTransaction>,
    /// The receipts of those that are mined, as the node gave them.
    pub receipts: Vec<serde_json::Value>,
    /// Linked libraries; none of ours.
    pub libraries: Vec<String>,
    /// Hashes of transactions that were sent and are not mined.
    pub pending: Vec<TxHash>,
    /// What a script returns; empty.
    pub returns: serde_json::Map<String, serde_json::Value>,
    /// When the run began, in milliseconds since 1970.
    pub timestamp: u64,
    /// The id of the chain that the run sends to.
    pub chain: u64,
    /// The commit of the project, if known.
    pub commit: Option<String>,
}

/// One transaction of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunTransaction {
    /// The hash of what was sent last.
    pub hash: Option<TxHash>,
    /// `CREATE`, `CREATE2` or `CALL`.
    pub transaction_type: String,
    /// The name of what is made or called; none where the call doesn't tell.
    pub contract_name: Option<String>,
    /// The contract that is made or called.
    pub contract_address: Option<Address>,
    /// Its signature, as in `set(uint256)`; none for a deployment.
    pub function: Option<String>,
    /// The arguments as text.
    pub arguments: Option<Vec<String>>,
    /// What was signed last, without fees.
    pub transaction: RunRequest,
    /// Contracts that the transaction makes by itself.
    pub additional_contracts: Vec<serde_json::Value>,
    /// Whether the gas limit was given by the user.
    pub is_fixed_gas_limit: bool,
}

/// The part of a transaction that the file keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRequest {
    /// The account that signs.
    pub from: Address,
    /// The receiver; none for a creation.
    pub to: Option<Address>,
    /// The gas limit; `0x…` in the file.
    #[serde(with = "alloy::serde::quantity")]
    pub gas: u64,
    /// What is sent along, in wei.
    pub value: U256,
    /// The calldata or init code.
    pub input: Bytes,
    /// The account's nonce; `0x…` in the file.
    #[serde(with = "alloy::serde::quantity")]
    pub nonce: u64,
    /// The chain's id; `0x…` in the file.
    #[serde(with = "alloy::serde::quantity")]
    pub chain_id: u64,
}

/// A run's transactions, kept in its file from before they are sent.
#[derive(Debug)]
pub(super) struct RunFile {
    latest: PathBuf,
    dated: PathBuf,
    run: Run,
}

impl RunFile {
    /// A run in `<root>/broadcast/<name>/<chain id>/`. With `resume` the latest run there is gone
    /// on with.
    pub(super) fn start(root: &Path, name: &str, chain: u64, resume: bool) -> Result<Self> {
        let folder = root.join("broadcast").join(name).join(chain.to_string());
        let latest = folder.join("run-latest.json");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let earlier = match resume && latest.is_file() {
            true => Some(Run::read(&latest)?),
            false => None,
        };
        if let Some(found) = earlier.as_ref().map(|run| run.chain)
            && found != chain
        {
            return Err(Error::Chain { path: latest, expected: chain, found });
        }
        let run = earlier.unwrap_or_else(|| Run {
            transactions: Vec::new(),
            receipts: Vec::new(),
            libraries: Vec::new(),
            pending: Vec::new(),
            returns: serde_json::Map::new(),
            timestamp,
            chain,
            commit: commit(root),
        });
        let dated = folder.join(format!("run-{}.json", run.timestamp));
        Ok(Self { latest, dated, run })
    }

    pub(super) fn path(&self) -> &Path {
        &self.latest
    }

    pub(super) fn run(&self) -> &Run {
        &self.run
    }

    /// Writes down what is about to be sent. It takes the place of what had the same nonce.
    pub(super) fn sending(
        &mut self,
        call: &Call,
        request: &TransactionRequest,
        hash: TxHash,
    ) -> Result<()> {
        let run = &mut self.run;
        let chain = run.chain;
        let request = RunRequest {
            from: request.from.unwrap_or_default(),
            to: call.to,
            gas: request.gas.unwrap_or_default(),
            value: call.value,
            input: call.input.clone(),
            nonce: request.nonce.unwrap_or_default(),
            chain_id: chain,
        };
        let kind = match (call.to, call.about.create2) {
            (None, _) => "CREATE",
            (Some(_), true) => "CREATE2",
            (Some(_), false) => "CALL",
        };
        let contract_address = match call.to {
            None => Some(request.from.create(request.nonce)),
            Some(_) => call.about.contract_address,
        };
        let transaction = RunTransaction {
            hash: Some(hash),
            transaction_type: kind.into(),
            contract_name: call.about.contract_name.clone(),
            contract_address,
            function: call.about.function.clone(),
            arguments: call.about.arguments.clone(),
            transaction: request,
            additional_contracts: Vec::new(),
            is_fixed_gas_limit: false,
        };
        let same = |other: &RunTransaction| {
            other.transaction.nonce == transaction.transaction.nonce
                && other.transaction.input == transaction.transaction.input
        };
        match run.transactions.iter().position(same) {
            Some(index) => run.transactions[index] = transaction,
            None => run.transactions.push(transaction),
        }
        if !run.pending.contains(&hash) {
            run.pending.push(hash);
        }
        self.write()
    }

    /// These hashes, of one transaction, will never be mined.
    pub(super) fn gone(&mut self, hashes: &[TxHash]) -> Result<()> {
        let gone = |hash: &TxHash| hashes.contains(hash);
        self.run.pending.retain(|pending| !gone(pending));
        self.run.transactions.retain(|transaction| !transaction.hash.as_ref().is_some_and(gone));
        self.write()
    }

    /// One of these hashes, of one transaction, is mined; the others never will be.
    pub(super) fn mined(
        &mut self,
        receipt: &AnyTransactionReceipt,
        hashes: &[TxHash],
    ) -> Result<()> {
        let mined = receipt.transaction_hash;
        let ours = |hash: TxHash| hash == mined || hashes.contains(&hash);
        let known = |transaction: &&mut RunTransaction| transaction.hash.is_some_and(ours);
        if let Some(transaction) = self.run.transactions.iter_mut().find(known) {
            transaction.hash = Some(mined);
        }
        self.run.pending.retain(|pending| !ours(*pending));
        let value = serde_json::to_value(receipt).unwrap_or_default();
        self.run.receipts.retain(|other| other["transactionHash"] != value["transactionHash"]);
        self.run.receipts.push(value);
        self.write()
    }

    fn write(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.run).unwrap_or_default();
        files::write_atomic(&self.dated, text.as_bytes())?;
        Ok(files::write_atomic(&self.latest, text.as_bytes())?)
    }
}

impl Run {
    /// Reads a broadcast file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = files::read_to_string(path)?;
        let reader = &mut serde_json::Deserializer::from_str(&text);
        serde_path_to_error::deserialize(reader).map_err(|error| Error::Malformed {
            path: path.to_owned(),
            field: error.path().to_string(),
            message: error.inner().to_string(),
        })
    }
}

/// The short hash of the project's commit, read from `.git` without running git.
fn commit(root: &Path) -> Option<String> {
    let absolute = std::path::absolute(root).ok()?;
    let git = absolute.ancestors().map(|folder| folder.join(".git")).find(|git| git.is_dir())?;
    let head = std::fs::read_to_string(git.join("HEAD")).ok()?;
    let hash = match head.trim().strip_prefix("ref: ") {
        Some(reference) => std::fs::read_to_string(git.join(reference)).ok()?,
        None => head,
    };
    let hash = hash.trim();
    (hash.len() >= 40 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .then(|| hash[..7].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORGE: &str = include_str!("../testdata/forge-run-latest.json");

    #[test]
    fn the_shape_is_the_one_that_forge_writes() {
        let run: Run = serde_json::from_str(FORGE).expect("forge's own file");
        let theirs: serde_json::Value = serde_json::from_str(FORGE).expect("JSON");
        let ours = serde_json::to_value(&run).expect("JSON");
        let keys = |value: &serde_json::Value| {
            value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(keys(&ours), keys(&theirs));
        assert_eq!(ours["transactions"], theirs["transactions"]);
        assert_eq!(keys(&ours["transactions"][0]), keys(&theirs["transactions"][0]));
        let receipt: AnyTransactionReceipt =
            serde_json::from_value(theirs["receipts"][1].clone()).expect("a receipt");
        let receipt = serde_json::to_value(receipt).expect("JSON");
        for (key, value) in theirs["receipts"][1].as_object().expect("an object") {
            assert_eq!(&receipt[key], value, "{key}");
        }
    }

    #[test]
    fn a_malformed_file_is_named_with_its_field() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("broadcast/Deploy/5/run-latest.json");
        files::write_atomic(&path, FORGE.replace("0x3d608", "lots").as_bytes()).expect("written");
        let error = RunFile::start(folder.path(), "Deploy", 5, true).expect_err("malformed");
        let text = error.to_string();
        assert!(text.contains("transactions[0].transaction.gas"), "{text}");
        files::write_atomic(&path, FORGE.as_bytes()).expect("written");
        let error = RunFile::start(folder.path(), "Deploy", 5, true).expect_err("another chain");
        assert!(matches!(error, Error::Chain { found: 31337, .. }), "{error}");
        assert!(RunFile::start(folder.path(), "Deploy", 5, false).is_ok());
    }
}
