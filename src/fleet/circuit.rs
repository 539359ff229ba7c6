//! A circuit as workers get it: a manifest that names its files by their hashes, and is named by its own.

use super::{Blobs, Error, Result, cache::Cache};
use crate::{
    artifacts::settings::Settings,
    model::identity::ModelId,
    project::{Built, steps::ProvingFiles},
    tune::{CostModel, Shape},
};
use alloy::primitives::B256;
use serde::{Deserialize, Serialize};
use std::fs::File;

const SCHEMA_VERSION: u32 = 1;

/// What a worker needs to know of a circuit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Circuit {
    schema_version: u32,
    /// The model's name as its owner has it.
    pub name: String,
    /// The model's id.
    pub model: ModelId,
    /// The version of ezkl that made it.
    pub engine: String,
    /// How many predictions one proof is of.
    pub observations: u32,
    /// The memory that a proof is expected to take, in bytes; 0 where the circuit is not understood.
    pub memory: u64,
    /// SHA-256 of settings.json.
    pub settings: B256,
    /// SHA-256 of the compiled circuit.
    pub compiled: B256,
    /// SHA-256 of the SRS.
    pub srs: B256,
    /// SHA-256 of the verifying key.
    pub vk: B256,
    /// SHA-256 of the proving key.
    pub pk: B256,
}

impl Circuit {
    /// Stores what is built, and returns the hash by which workers find it.
    ///
    /// # Errors
    /// A file can't be read, or the store is away.
    pub async fn publish(built: &Built, blobs: &Blobs) -> Result<(B256, Self)> {
        let artifacts = built.artifacts();
        let settings = built.settings();
        let engine = built.identity().engine_version.clone();
        let (costs, _) = CostModel::of_this_machine(&engine);
        let memory = Shape::of(settings).map_or(0, |shape| costs.cost(&shape).peak_bytes);
        let circuit = Self {
            schema_version: SCHEMA_VERSION,
            name: built.name().to_owned(),
            model: built.model_id(),
            engine,
            observations: 1,
            memory,
            settings: blobs.put_file(&artifacts.settings).await?,
            compiled: blobs.put_file(&artifacts.compiled).await?,
            srs: blobs.put_file(&artifacts.srs).await?,
            vk: blobs.put_file(&artifacts.vk).await?,
            pk: blobs.put_file(&artifacts.pk).await?,
        };
        let text = serde_json::to_vec_pretty(&circuit).unwrap_or_default();
        Ok((blobs.put(text).await?, circuit))
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// It is not there, has changed, or is of a newer zkvouch.
    pub async fn read(blobs: &Blobs, hash: B256) -> Result<Self> {
        let bytes = blobs.get(hash).await?;
        let bad = |message: String| Error::Circuit { circuit: hash, message };
        let circuit: Self = serde_json::from_slice(&bytes).map_err(|error| {
            bad(format!("{error}; use the zkvouch that published it, or publish it again"))
        })?;
        if circuit.schema_version != SCHEMA_VERSION {
            let found = circuit.schema_version;
            return Err(bad(format!(
                "its manifest is of version {found}, not {SCHEMA_VERSION}; use the zkvouch that published it"
            )));
        }
        Ok(circuit)
    }

    /// Fetches its files.
    ///
    /// # Errors
    /// One is not there or has changed, or there is no room for it.
    pub(super) async fn fetch(&self, blobs: &Blobs, cache: &Cache) -> Result<Fetched> {
        let mut held = Vec::new();
        let mut paths = Vec::new();
        for hash in [self.settings, self.compiled, self.srs, self.vk, self.pk] {
            let (path, file) = cache.get(blobs, hash).await?;
            paths.push(path);
            held.push(file);
        }
        let [settings_path, compiled, srs, vk, pk] = <[_; 5]>::try_from(paths).unwrap_or_default();
        let settings = Settings::read(&settings_path)?;
        let files = ProvingFiles { settings, settings_path, compiled, srs, vk, pk };
        Ok(Fetched { files, _held: held })
    }
}

/// A circuit's files on this machine, kept there while this is.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) files: ProvingFiles,
    _held: Vec<File>,
}

/// The memory that this machine has for proofs, in bytes.
pub fn machine_memory() -> u64 {
    crate::tune::machine::memory().unwrap_or(i64::MAX as u64)
}
