//! `deployments/<chain id>.json`: what is deployed on a chain, and which model it stands for.
//!
//! The file is for people and tools, and belongs into version control. Two processes may write at
//! once without losing each other's entries, and a file that cannot be read is never overwritten.

use crate::{
    calldata::Function,
    error::ErrorKind,
    files,
    model::{
        identity::{ModelId, ModelIdentity},
        provenance::Provenance,
    },
    task::blocking,
};
use alloy::primitives::{Address, B256, Bytes, TxHash};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    path::{Path, PathBuf},
};

/// The version of the file's schema. A file of version 1, of the releases before models were clones, is read, too: it
/// has no routers in its entries.
pub const SCHEMA_VERSION: u32 = 2;

/// The deployments file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is not what zkvouch writes.
    #[error("{}: {field}: {message}; correct it or restore it from version control", path.display())]
    Malformed {
        /// The chain's deployments file, `<folder>/<chain id>.json`.
        path: PathBuf,
        /// Its path in the JSON, as in `contracts[0].address`.
        field: String,
        /// What the parser or the check says about the field.
        message: String,
    },
    /// A newer zkvouch wrote it.
    #[error(
        "{} has schema version {found}, and this zkvouch knows {SCHEMA_VERSION}; update zkvouch",
        path.display()
    )]
    Newer {
        /// The chain's deployments file, which stays as it is.
        path: PathBuf,
        /// Its `schema_version`, above [`SCHEMA_VERSION`].
        found: u64,
    },
    /// It could not be read, locked or written.
    #[error(transparent)]
    File(#[from] files::Error),
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::File(inner) => inner.kind(),
            Self::Malformed { .. } | Self::Newer { .. } => ErrorKind::BadInput,
        }
    }
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a model on chain was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRecord {
    /// The name that its owner uses.
    pub name: String,
    /// keccak256 of the fields below; see [`ModelRecord::identity`].
    pub id: ModelId,
    /// SHA-256 of the ONNX file.
    pub onnx_sha256: B256,
    /// SHA-256 of settings.json's bytes, so formatting it anew changes the id.
    pub settings_sha256: B256,
    /// SHA-256 of the SRS.
    pub srs_sha256: B256,
    /// SHA-256 of the verifying key.
    pub vk_sha256: B256,
    /// ezkl's version, as in `23.0.5`.
    pub engine_version: String,
    /// keccak256 of the instances' descriptor; models of the first version of the contracts have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descriptor_keccak256: Option<B256>,
    /// Where the SRS comes from.
    pub srs: Provenance,
}

impl ModelRecord {
    /// A model of the present version of the contracts.
    pub fn new(name: impl Into<String>, identity: ModelIdentity, srs: Provenance) -> Self {
        Self {
            name: name.into(),
            id: identity.model_id(),
            onnx_sha256: identity.onnx_sha256,
            settings_sha256: identity.settings_sha256,
            srs_sha256: identity.srs_sha256,
            vk_sha256: identity.vk_sha256,
            engine_version: identity.engine_version,
            descriptor_keccak256: Some(identity.descriptor_keccak256),
            srs,
        }
    }

    /// The id that the fields above give.
    pub fn identity(&self) -> ModelId {
        let identity = ModelIdentity {
            onnx_sha256: self.onnx_sha256,
            settings_sha256: self.settings_sha256,
            srs_sha256: self.srs_sha256,
            vk_sha256: self.vk_sha256,
            engine_version: self.engine_version.clone(),
            descriptor_keccak256: self.descriptor_keccak256.unwrap_or_default(),
        };
        match self.descriptor_keccak256 {
            Some(_) => identity.model_id(),
            None => identity.model_id_v1(),
        }
    }
}

/// What a contract is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A verifier generated from a verifying key.
    Verifier,
    /// A verifier of many proofs at once, of the same verifying key; earlier releases had one by itself.
    BatchVerifier,
    /// What gives a verifier its model's name and shape: a clone of the implementation, made by the router; in earlier
    /// releases a contract of its own.
    ModelVerifier,
    /// What every model's contract is a clone of.
    Implementation,
    /// An earlier release's emergency stop in front of a model's verifier.
    EmergencyStop,
    /// The table of models.
    Router,
    /// The record of predictions.
    Ledger,
    /// The timelock that owns a router.
    Timelock,
    /// A contract that zkvouch didn't make; its source can't be verified here.
    Other,
}

impl Role {
    /// The function of a bare verifier; nothing else of ours has one.
    pub fn function(self) -> Option<Function> {
        match self {
            Self::Verifier => Some(Function::One),
            Self::BatchVerifier => Some(Function::Many),
            _ => None,
        }
    }
}

/// A deployed contract: its address, hashes of its code, and what it was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it is for.
    pub role: Role,
    /// The contract's name in its source.
    pub name: String,
    /// The address, of which a file has one entry.
    pub address: Address,
    /// keccak256 of the runtime code, as EXTCODEHASH gives it.
    pub runtime_code_hash: B256,
    /// keccak256 of the init code with the constructor's arguments.
    pub init_code_hash: B256,
    /// The salt, if it was deployed through the CREATE2 proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<B256>,
    /// The model, if it serves only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelRecord>,
    /// The router that made it, if it is a clone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<Address>,
    /// How it was compiled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compiler: Option<Compiler>,
    /// The constructor's arguments, ABI-encoded, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constructor_arguments: Option<Bytes>,
    /// The transaction that deployed it, unless somebody else's did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<Transaction>,
}

impl Entry {
    /// Whether a router made it as a clone of the implementation.
    pub fn is_clone(&self) -> bool {
        self.router.is_some()
    }
}

/// How a contract was compiled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compiler {
    /// `Solidity` or `Yul`, as the standard JSON input has it.
    pub language: String,
    /// solc's version, as in `0.8.37`.
    pub version: String,
    /// The settings of the standard JSON input.
    pub settings: serde_json::Value,
    /// SHA-256 of the source.
    pub source_sha256: B256,
}

/// The transaction that deployed a contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transaction {
    /// The hash of the transaction.
    pub hash: TxHash,
    /// The number of the block with it.
    pub block: u64,
    /// The account that sent it.
    pub deployer: Address,
    /// The gas that it used.
    pub gas_used: u64,
    /// The block's time, in seconds since 1970.
    pub timestamp: u64,
}

/// The content of a chain's file, in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployments {
    /// Always [`SCHEMA_VERSION`]; a newer file is refused, and an older one becomes one of this version.
    pub schema_version: u32,
    /// The chain's id, which is also the file's name.
    pub chain_id: u64,
    /// The contracts, oldest first.
    pub contracts: Vec<Entry>,
}

impl Deployments {
    /// The file of a chain: `<folder>/<chain id>.json`, with the id in decimal.
    pub fn path(folder: &Path, chain_id: u64) -> PathBuf {
        folder.join(format!("{chain_id}.json"))
    }

    /// Reads a chain's file; a missing one has no contracts.
    pub fn read(folder: &Path, chain_id: u64) -> Result<Self> {
        let path = Self::path(folder, chain_id);
        let text = match files::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self {
                    schema_version: SCHEMA_VERSION,
                    chain_id,
                    contracts: Vec::new(),
                });
            }
            Err(error) => return Err(error.into()),
        };
        Self::parse(&text, &path, chain_id)
    }

    fn parse(text: &str, path: &Path, chain_id: u64) -> Result<Self> {
        let bad = |field: String, message: String| Error::Malformed {
            path: path.to_owned(),
            field,
            message,
        };
        // The version first: a newer schema may have fields that this one does not know.
        if let Ok(value) = serde_json::from_str::<serde_json::Value>(text)
            && let Some(found) = value["schema_version"].as_u64()
            && found > SCHEMA_VERSION.into()
        {
            return Err(Error::Newer { path: path.to_owned(), found });
        }
        let reader = &mut serde_json::Deserializer::from_str(text);
        let mut read: Self = serde_path_to_error::deserialize(reader)
            .map_err(|error| bad(error.path().to_string(), error.inner().to_string()))?;
        if !(1..=SCHEMA_VERSION).contains(&read.schema_version) {
            let message = format!("expected {SCHEMA_VERSION}, found {}", read.schema_version);
            return Err(bad("schema_version".into(), message));
        }
        read.schema_version = SCHEMA_VERSION;
        if read.chain_id != chain_id {
            let message = format!("expected {chain_id}, found {}", read.chain_id);
            return Err(bad("chain_id".into(), message));
        }
        for (index, entry) in read.contracts.iter().enumerate() {
            let Some(model) = &entry.model else { continue };
            if model.id != model.identity() {
                let message = format!("the hashes beside it give {}", model.identity());
                return Err(bad(format!("contracts[{index}].model.id"), message));
            }
        }
        Ok(read)
    }

    /// Changes a chain's file under a lock, so that the change is applied to what other processes
    /// wrote meanwhile. Returns the new content.
    ///
    /// # Errors
    /// A malformed file is an error and stays as it is.
    pub async fn update(
        folder: &Path,
        chain_id: u64,
        change: impl FnOnce(&mut Self) + Send + 'static,
    ) -> Result<Self> {
        let folder = folder.to_owned();
        blocking(move || {
            files::create_dir_all(&folder)?;
            let _lock = lock(&folder)?;
            let mut deployments = Self::read(&folder, chain_id)?;
            change(&mut deployments);
            let mut text = serde_json::to_string_pretty(&deployments).unwrap_or_default();
            text.push('\n');
            files::write_atomic(&Self::path(&folder, chain_id), text.as_bytes())?;
            Ok(deployments)
        })
        .await
    }

    /// Adds a contract, or replaces the entry of that address. The transaction of an older entry
    /// with the same code is kept if the new one has none.
    pub fn put(&mut self, mut entry: Entry) {
        if let Some(index) = self.contracts.iter().position(|old| old.address == entry.address) {
            let old = self.contracts.remove(index);
            if old.runtime_code_hash == entry.runtime_code_hash {
                entry.transaction = entry.transaction.or(old.transaction);
            }
        }
        self.contracts.push(entry);
    }

    /// The contract at an address.
    pub fn at(&self, address: Address) -> Option<&Entry> {
        self.contracts.iter().find(|entry| entry.address == address)
    }

    /// The newest contract of that role for a model.
    pub fn of_model(&self, role: Role, model: ModelId) -> Option<&Entry> {
        let serves = |entry: &&Entry| {
            entry.role == role && entry.model.as_ref().is_some_and(|found| found.id == model)
        };
        self.contracts.iter().rev().find(serves)
    }

    /// The newest contract of that role.
    pub fn of_role(&self, role: Role) -> Option<&Entry> {
        self.contracts.iter().rev().find(|entry| entry.role == role)
    }
}

/// An exclusive lock on the folder; released on drop. On Unix the folder itself is locked, so that
/// no lock file turns up in version control.
fn lock(folder: &Path) -> Result<File> {
    let failed = files::Error::at("lock", folder);
    #[cfg(unix)]
    let opened = File::open(folder);
    #[cfg(not(unix))]
    let opened = File::create(folder.join(".lock"));
    opened.and_then(|file| file.lock().map(|()| file)).map_err(failed).map_err(Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::b256;

    fn entry(byte: u8) -> Entry {
        Entry {
            role: Role::Verifier,
            name: "Halo2Verifier".into(),
            address: Address::repeat_byte(byte),
            runtime_code_hash: B256::repeat_byte(byte),
            init_code_hash: B256::repeat_byte(byte),
            salt: Some(B256::ZERO),
            model: Some(ModelRecord::new(
                "credit",
                ModelIdentity::of_bytes(byte),
                Provenance::UnsafeDev,
            )),
            compiler: Some(Compiler {
                language: "Solidity".into(),
                version: "0.8.37".into(),
                settings: serde_json::json!({"optimizer": {"enabled": true, "runs": 1}}),
                source_sha256: B256::ZERO,
            }),
            router: None,
            constructor_arguments: Some(vec![byte; 32].into()),
            transaction: Some(Transaction {
                hash: B256::repeat_byte(byte),
                block: 7,
                deployer: Address::ZERO,
                gas_used: 3,
                timestamp: 5,
            }),
        }
    }

    #[test]
    fn models_of_the_first_version_keep_their_id() {
        // Checked with `cast keccak $(cast abi-encode "f(bytes32,bytes32,bytes32,bytes32,string)" …)`.
        let model = ModelRecord::new("x", ModelIdentity::of_bytes(1), Provenance::Unrecognized);
        let old = ModelRecord { descriptor_keccak256: None, ..model.clone() };
        assert_eq!(
            old.identity().0,
            b256!("1956a20d9f8b56c95b6b8effaef1dd541d8eb8131678bf72634ee0b195fe1c11")
        );
        assert_ne!(model.id, old.identity());
        let text = serde_json::to_value(&old).expect("JSON");
        assert!(text.get("descriptor_keccak256").is_none());
        assert_eq!(serde_json::from_value::<ModelRecord>(text).expect("read"), old);
    }

    #[tokio::test]
    async fn what_is_written_is_read_and_an_address_has_one_entry() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(Deployments::read(folder.path(), 5).expect("none yet").contracts.is_empty());
        let written = Deployments::update(folder.path(), 5, |file| file.put(entry(1))).await;
        let again = Deployments::update(folder.path(), 5, |file| {
            file.put(entry(2));
            file.put(Entry { transaction: None, ..entry(1) });
        })
        .await
        .expect("written");
        assert_eq!(again.contracts.len(), 2);
        assert_eq!(again.at(entry(1).address), written.expect("written").at(entry(1).address));
        assert_eq!(Deployments::read(folder.path(), 5).expect("read"), again);
        let id = entry(2).model.expect("a model").id;
        assert_eq!(again.of_model(Role::Verifier, id), Some(&entry(2)));
        assert_eq!(again.of_model(Role::Ledger, id), None);
        let names: Vec<_> = std::fs::read_dir(folder.path()).expect("listed").collect();
        assert_eq!(names.len(), 1, "{names:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn writers_at_once_do_not_lose_each_others_entries() {
        let folder = tempfile::tempdir().expect("a folder");
        let writers: Vec<_> = (1..=24)
            .map(|byte| {
                let folder = folder.path().to_owned();
                tokio::spawn(async move {
                    Deployments::update(&folder, 5, move |file| file.put(entry(byte))).await
                })
            })
            .collect();
        for writer in writers {
            writer.await.expect("no panic").expect("written");
        }
        assert_eq!(Deployments::read(folder.path(), 5).expect("read").contracts.len(), 24);
    }

    #[tokio::test]
    async fn a_malformed_file_is_told_with_its_field_and_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Deployments::path(folder.path(), 5);
        Deployments::update(folder.path(), 5, |file| file.put(entry(1))).await.expect("written");
        let good = files::read_to_string(&path).expect("read");
        let address = entry(1).address.to_string().to_lowercase();
        let cases = [
            ("", "EOF"),
            (&good[..good.len() / 2], "EOF"),
            (&good.replace(&address, "0x12"), "contracts[0].address"),
            (&good.replace("\"block\": 7", "\"block\": \"7\""), "contracts[0].transaction.block"),
            (
                &good.replace("\"name\": \"credit\",", ""),
                "contracts[0].model: missing field `name`",
            ),
            (&good.replace("\"role\"", "\"rôle\""), "contracts[0]"),
            (&good.replace("\"chain_id\": 5", "\"chain_id\": 6"), "chain_id: expected 5, found 6"),
            (&good.replace("23.0.5", "23.0.6"), "contracts[0].model.id: the hashes beside it"),
            (&good.replace("unsafe-dev", "safe"), "contracts[0].model.srs"),
            (&good.replace("\"schema_version\": 2", "\"schema_version\": 0"), "schema_version"),
            (&good.replace("\"schema_version\": 2", "\"schema_version\": 9"), "update zkvouch"),
        ];
        for (text, expected) in cases {
            files::write_atomic(&path, text.as_bytes()).expect("written");
            let error = Deployments::update(folder.path(), 5, |file| file.put(entry(2))).await;
            let error = error.expect_err(expected).to_string();
            assert!(error.contains(expected) && error.contains("5.json"), "{expected}: {error}");
            assert_eq!(files::read_to_string(&path).expect("read"), text);
        }
    }
}
