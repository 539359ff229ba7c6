//! A worker: takes jobs, proves them, hands the proofs in.

use super::{
    Blobs, Error, Result, Store,
    cache::Cache,
    circuit::{Circuit, Fetched, machine_memory},
    heart::Heart,
    job::{Job, Lease, Phase, State},
    store::{Attempt, Failure, StoreOptions, WorkerCard},
};
use crate::{
    artifacts::{self, input::InputData},
    engine::{self, Engine, EngineConfig},
    files,
    model::batch::Predictions,
    project::{
        self,
        steps::{make_witness, prove_witness},
    },
    toolchain,
};
use alloy::primitives::B256;
use rand::Rng;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// How a worker works.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// The memory that it may take for a proof, in bytes; without it nine tenths of the machine's.
    pub memory: Option<u64>,
    /// The folder for circuits, which several may share; without it one in zkvouch's cache folder.
    pub cache: Option<PathBuf>,
    /// What that folder may hold, in bytes.
    pub cache_limit: u64,
    /// How long it waits at most before it asks for a job again.
    pub poll: Duration,
    /// Whether it ends when nothing is left to do.
    pub until_idle: bool,
    /// How long a proof that runs may go on when the worker is told to end, before it is given back.
    pub grace: Duration,
    /// How ezkl is run; the version is the circuit's.
    pub engine: EngineConfig,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            memory: None,
            cache: None,
            cache_limit: 20 << 30,
            poll: Duration::from_secs(2),
            until_idle: false,
            grace: Duration::from_secs(10),
            engine: EngineConfig::default(),
        }
    }
}

/// What a worker did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Worked {
    /// Jobs that it proved.
    pub proved: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Jobs that somebody else got meanwhile, or that were cancelled.
    pub lost: u64,
}

/// A worker.
#[derive(Debug)]
pub struct Worker {
    store: Store,
    blobs: Blobs,
    cache: Cache,
    card: WorkerCard,
    heart: Heart,
    options: WorkerOptions,
    warm: Option<Warm>,
}

/// The circuit that was used last, and the engine for it.
#[derive(Debug)]
struct Warm {
    hash: B256,
    fetched: Arc<Fetched>,
    engine: Engine,
}

impl Worker {
    /// A worker on the queue at `url`.
    ///
    /// # Errors
    /// The queue or the cache folder is not to be had.
    pub async fn new(
        url: &str,
        store: StoreOptions,
        blobs: Blobs,
        options: WorkerOptions,
    ) -> Result<Self> {
        let folder = match &options.cache {
            Some(folder) => folder.clone(),
            None => toolchain::cache_dir()?.join("fleet"),
        };
        let memory = options.memory.unwrap_or_else(machine_memory);
        let card = WorkerCard::new(memory);
        Ok(Self {
            cache: Cache::open(&folder, options.cache_limit)?,
            heart: Heart::start(url.to_owned(), store, card.clone())?,
            store: Store::open(url, store).await?,
            blobs,
            card,
            options,
            warm: None,
        })
    }

    /// Its name, which no other has.
    pub fn name(&self) -> &str {
        &self.card.name
    }

    /// Works until `stop` says true, or nothing is left to do if that is enough.
    ///
    /// # Errors
    /// What no waiting mends. A database or a store that is away is waited for.
    pub async fn run(&mut self, mut stop: watch::Receiver<bool>) -> Result<Worked> {
        let mut worked = Worked::default();
        let mut pause = Duration::from_millis(20);
        let mut reaped: Option<Instant> = None;
        let reap_every = self.store.options().lease / 4;
        while !*stop.borrow() {
            let step = async {
                if reaped.is_none_or(|at| at.elapsed() >= reap_every) {
                    let back = self.store.reap().await?;
                    if back > 0 {
                        tracing::info!(back, "took back jobs of workers that gave no sign of life");
                    }
                    reaped = Some(Instant::now());
                }
                let warm = self.warm.as_ref().map(|warm| warm.hash);
                let claimed = self.store.claim(&self.card.name, self.card.memory, warm).await?;
                let is_over =
                    claimed.is_none() && self.options.until_idle && self.is_idle().await?;
                Ok::<_, Error>((claimed, is_over))
            };
            let wait = match step.await {
                Ok((Some(job), _)) => {
                    self.work(&job, &mut stop, &mut worked).await?;
                    pause = Duration::from_millis(20);
                    continue;
                }
                Ok((None, true)) => break,
                Ok((None, false)) => pause,
                Err(error) if error.is_outage() => {
                    tracing::warn!(%error, "waiting for the queue");
                    Duration::from_secs(1)
                }
                Err(error) => return Err(error),
            };
            // Many idle workers must not ask at the same moment.
            let wait = wait.mul_f64(rand::thread_rng().gen_range(0.75..1.25));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
            pause = (pause * 2).min(self.options.poll);
        }
        if let Some(warm) = self.warm.take() {
            warm.engine.shutdown().await;
        }
        let left = self.store.leave(&self.card.name).await;
        if let Err(error) = left {
            tracing::debug!(%error, "the queue does not know that the worker ended");
        }
        Ok(worked)
    }

    /// Whether nothing waits and nothing runs, anywhere.
    async fn is_idle(&self) -> Result<bool> {
        let counts = self.store.counts().await?;
        Ok(![State::Queued, State::Running].iter().any(|state| counts.contains_key(state)))
    }

    /// One attempt, from the claim to what became of it.
    async fn work(
        &mut self,
        job: &Job,
        stop: &mut watch::Receiver<bool>,
        worked: &mut Worked,
    ) -> Result<()> {
        let (lease, grace) = (job.lease(), self.options.grace);
        tracing::info!(job = %job.id, attempt = job.attempts, "proving");
        let mut kept = self.heart.keep(lease);
        let mut told = stop.clone();
        let ended = async {
            let _ = told.wait_for(|stop| *stop).await;
            tokio::time::sleep(grace).await;
        };
        // What is dropped here ends ezkl, too.
        let outcome = tokio::select! {
            outcome = self.attempt(job) => Some(outcome),
            () = kept.lost() => None,
            () = ended => Some(Err(Stumble::Given)),
        };
        let failure = match outcome {
            None => {
                tracing::warn!(job = %job.id, "lost: its lease ended, or it was cancelled");
                worked.lost += 1;
                return Ok(());
            }
            Some(Ok(attempt)) => {
                return self.deliver(lease, &Outcome::Proved(attempt), worked).await;
            }
            Some(Err(Stumble::Given)) => Failure::Given,
            Some(Err(Stumble::Error(error))) => failure_of(&error, job),
        };
        if let Failure::Final(reason) | Failure::Again(reason) | Failure::Memory(reason, _) =
            &failure
        {
            tracing::warn!(job = %job.id, attempt = job.attempts, reason, "failed");
            worked.failed += 1;
        }
        self.deliver(lease, &Outcome::Failed(failure), worked).await
    }

    /// Says what came of a job, however long it takes until the database is there: a proof is not thrown away.
    async fn deliver(&self, lease: Lease, outcome: &Outcome, worked: &mut Worked) -> Result<()> {
        let mut pause = Duration::from_millis(200);
        loop {
            let said = match outcome {
                Outcome::Proved(attempt) => self.store.finish(lease, attempt).await,
                Outcome::Failed(failure) => self.store.fail(lease, failure).await,
            };
            match said {
                Ok(()) => {
                    worked.proved += u64::from(matches!(outcome, Outcome::Proved(_)));
                    return Ok(());
                }
                Err(Error::Lost(job)) => {
                    tracing::warn!(%job, "came too late: it is somebody else's, or was cancelled");
                    worked.lost += 1;
                    return Ok(());
                }
                Err(error) if error.is_outage() => {
                    tracing::warn!(%error, "waiting for the queue to take what was done");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn attempt(&mut self, job: &Job) -> Result<Attempt, Stumble> {
        let lease = job.lease();
        let (fetched, engine) = self.circuit(job).await?;
        let bytes = self.blobs.get(job.input).await?;
        let name = PathBuf::from(format!("the input of job {}", job.id));
        let input = InputData::from_json(&bytes, &name).map_err(Error::from)?;
        let scratch = files::Scratch::new().map_err(Error::from)?;
        let (witness, output) =
            (scratch.path().join("witness.json"), scratch.path().join("proof.json"));

        self.enter(lease, Phase::Witness).await?;
        let made = make_witness(&engine, &fetched.files, &input, &witness).await;
        made.map_err(Error::from)?;

        self.enter(lease, Phase::Prove).await?;
        let (from, one) = ((&*witness, &*name), Predictions::ONE);
        let proved = prove_witness(&engine, &fetched.files, from, one, &output).await;
        let (_, usage) = proved.map_err(Error::from)?;

        self.enter(lease, Phase::Store).await?;
        let proof = self.store_proof(&output).await?;
        Ok(Attempt { proof, cpu: usage.cpu.unwrap_or(usage.elapsed) })
    }

    /// Stores a proof, waiting for a store that is away: proving again would take longer.
    async fn store_proof(&self, path: &Path) -> Result<B256> {
        let bytes = files::read(path)?;
        let mut tries = 0;
        loop {
            match self.blobs.put(bytes.clone()).await {
                Err(error) if error.is_outage() && tries < 6 => {
                    tracing::warn!(%error, "waiting for the store of blobs");
                    tokio::time::sleep(Duration::from_millis(500 << tries)).await;
                    tries += 1;
                }
                other => return other,
            }
        }
    }

    /// Says what the worker is at. Only that the job is lost matters: it is the lease that counts.
    async fn enter(&self, lease: Lease, phase: Phase) -> Result<()> {
        match self.store.enter(lease, phase).await {
            Err(error) if error.is_outage() => {
                tracing::debug!(%error, "the queue does not know the phase");
                Ok(())
            }
            other => other,
        }
    }

    /// The job's circuit, fetched unless it is the last one's.
    async fn circuit(&mut self, job: &Job) -> Result<(Arc<Fetched>, Engine)> {
        if let Some(warm) = &self.warm
            && warm.hash == job.circuit
        {
            return Ok((warm.fetched.clone(), warm.engine.clone()));
        }
        let circuit = Circuit::read(&self.blobs, job.circuit).await?;
        let fetched = Arc::new(circuit.fetch(&self.blobs, &self.cache).await?);
        let engine = match self.warm.take() {
            Some(warm) if warm.engine.version() == circuit.engine => warm.engine,
            other => {
                if let Some(other) = other {
                    other.engine.shutdown().await;
                }
                Engine::new(EngineConfig {
                    version: circuit.engine.clone(),
                    ..self.options.engine.clone()
                })
            }
        };
        let warm = Warm { hash: job.circuit, fetched: fetched.clone(), engine: engine.clone() };
        self.warm = Some(warm);
        Ok((fetched, engine))
    }
}

/// What came of an attempt.
enum Outcome {
    Proved(Attempt),
    Failed(Failure),
}

/// Why an attempt came to nothing.
enum Stumble {
    Given,
    Error(Error),
}

impl From<Error> for Stumble {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// What to do about an error.
fn failure_of(error: &Error, job: &Job) -> Failure {
    use engine::Error as Ezkl;
    let reason = error.to_string();
    match error {
        // A file that can't be read or written is this machine's, and not the input's.
        Error::Artifact(inner) | Error::Project(project::Error::Artifact(inner)) => match inner {
            artifacts::Error::File(_) => Failure::Again(reason),
            _ => Failure::Final(reason),
        },
        Error::Circuit { .. } | Error::Project(project::Error::ProofRejected(_)) => {
            Failure::Final(reason)
        }
        Error::Project(project::Error::TooLarge(too_large)) => {
            Failure::Memory(reason, too_large.needed.saturating_mul(1_000_000))
        }
        Error::Engine(ezkl) | Error::Project(project::Error::Engine(ezkl)) => match ezkl {
            _ if ["No space left", "Disk quota", "File too large"]
                .iter()
                .any(|words| reason.contains(words)) =>
            {
                Failure::Again(reason)
            }
            Ezkl::Python { .. } | Ezkl::Panic { .. } | Ezkl::Stalled { .. } | Ezkl::At { .. } => {
                Failure::Final(reason)
            }
            Ezkl::Killed { out_of_memory: true, peak_bytes, .. } => {
                let had = peak_bytes.unwrap_or_default().max(job.memory).max(1 << 28);
                Failure::Memory(reason, had.saturating_mul(2))
            }
            _ => Failure::Again(reason),
        },
        _ => Failure::Again(reason),
    }
}

impl WorkerCard {
    /// A card with a name that no other worker has or had.
    pub fn new(memory: u64) -> Self {
        let host = hostname();
        let pid = std::process::id();
        let random: u32 = rand::thread_rng().r#gen();
        Self { name: format!("{host}-{pid}-{random:08x}"), host, pid, memory }
    }
}

/// The machine's name, for people.
fn hostname() -> String {
    let told = ["HOSTNAME", "COMPUTERNAME"].iter().find_map(|name| std::env::var(name).ok());
    let kernel = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = told.or_else(kernel).unwrap_or_default();
    let name: String =
        name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || "-._".contains(*c)).collect();
    if name.is_empty() { "machine".to_owned() } else { name }
}
