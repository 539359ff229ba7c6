//! From inputs to jobs: what can be known to be wrong is refused before there is a job.

use super::{Blobs, Circuit, Error, Result, Store, job::NewJob, store::Submitted};
use crate::{
    artifacts::{input::InputData, settings::Settings, slot::Slot},
    project::{Built, Project, steps},
};
use alloy::primitives::B256;
use std::path::Path;

/// How predictions are asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The client's key, by which the same request is known again. Of several inputs each has the key with
    /// `/` and its number, from 0.
    pub key: Option<String>,
    /// Whose they are: a token's name, or empty.
    pub owner: String,
    /// Those of a higher one go first.
    pub priority: i32,
    /// Whether they are to be recorded on chain.
    pub record: bool,
    /// The ledger's context to record them in.
    pub context: B256,
    /// How often each may be tried.
    pub max_attempts: u32,
    /// The trace that they belong to: W3C's `traceparent`.
    pub trace: Option<String>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            key: None,
            owner: String::new(),
            priority: 0,
            record: false,
            context: B256::ZERO,
            max_attempts: 3,
            trace: None,
        }
    }
}

/// Takes inputs for one circuit, whose files it has published.
#[derive(Clone, Debug)]
pub struct Intake {
    store: Store,
    blobs: Blobs,
    circuit: B256,
    manifest: Circuit,
    settings: Settings,
    slots: Vec<Slot>,
}

impl Intake {
    /// Publishes what is built.
    ///
    /// # Errors
    /// A file can't be read, or the store is away.
    pub async fn open(
        project: &Project,
        built: &Built,
        store: Store,
        blobs: Blobs,
    ) -> Result<Self> {
        if built.batch().size() != 1 {
            return Err(Error::Batches(built.batch().size()));
        }
        let settings = built.settings().clone();
        let original = project.original()?;
        let slots =
            original.slots(&settings.run_args.variables).map_err(crate::project::Error::from)?;
        let (circuit, manifest) = Circuit::publish(built, &blobs).await?;
        Ok(Self { store, blobs, circuit, manifest, settings, slots })
    }

    /// The queue.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The store of blobs.
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// The circuit's manifest.
    pub fn circuit(&self) -> &Circuit {
        &self.manifest
    }

    /// The observations in a file, in any form that [`observations`](crate::artifacts::observations) reads.
    ///
    /// # Errors
    /// What `prove` says of them.
    pub fn read(&self, path: &Path) -> Result<Vec<InputData>> {
        Ok(steps::read_inputs(path, Some(self.slots.clone()), &self.settings)?)
    }

    /// Puts inputs into the queue, each as a job. All are looked at before the first is put.
    ///
    /// # Errors
    /// One does not fit the circuit, with what `prove` says of it; or a key was used for something else.
    pub async fn submit(&self, inputs: &[InputData], wanted: &Wanted) -> Result<Vec<Submitted>> {
        for input in inputs {
            input.check(&self.settings)?;
        }
        let mut all = Vec::with_capacity(inputs.len());
        for (number, input) in inputs.iter().enumerate() {
            let bytes = input.to_json_for(&self.settings).to_string().into_bytes();
            let hash = self.blobs.put(bytes).await?;
            let key = wanted.key.as_deref().map(|key| key_of(key, number, inputs.len()));
            let job = NewJob {
                key,
                owner: wanted.owner.clone(),
                circuit: self.circuit,
                model: self.manifest.model,
                input: hash,
                observations: self.manifest.observations,
                priority: wanted.priority,
                record: wanted.record,
                context: wanted.context,
                memory: self.manifest.memory,
                max_attempts: wanted.max_attempts,
                trace: wanted.trace.clone(),
            };
            all.push(self.store.submit(&job).await?);
        }
        Ok(all)
    }

    /// Refuses what would be more than an owner may have in a day. What was asked for before is no more.
    ///
    /// # Errors
    /// [`Error::Quota`].
    pub async fn within_quota(
        &self,
        wanted: &Wanted,
        quota: Option<u64>,
        more: usize,
    ) -> Result<()> {
        let Some(quota) = quota else { return Ok(()) };
        let owner = &wanted.owner;
        if let Some(key) = &wanted.key
            && self.store.has_key(owner, &key_of(key, 0, more)).await?
        {
            return Ok(());
        }
        let used = self.store.used(owner).await?;
        if used.saturating_add(more as u64) <= quota {
            return Ok(());
        }
        Err(Error::Quota { owner: owner.clone(), used, quota })
    }
}

/// The key of one of several inputs.
fn key_of(key: &str, number: usize, count: usize) -> String {
    if count == 1 { key.to_owned() } else { format!("{key}/{number}") }
}
