//! ezkl, driven in a worker process.
//!
//! ezkl is published as a Python wheel. An [`Engine`] fetches it once, pinned by hash, into the
//! cache folder and runs it in a process of its own, started when it is first needed. Each method
//! is one operation of ezkl; an [`Engine`] does one at a time, an [`EnginePool`] several.
//!
//! - Every output is written beside its destination and renamed when the operation has succeeded.
//! - Dropping a method's future ends the worker; the next operation starts another.
//! - An operation has a deadline, and is also ended when ezkl blocks itself ([`Error::Stalled`]).
//! - A Python exception, a panic, a killed process and a protocol error are each their own
//!   [`Error`], with ezkl's words in it.
//! - ezkl's log goes to [`tracing`] under the target `ezkl`, and to [`Engine::on_event`].
//!
//! ```no_run
//! use std::path::Path;
//! use zkvouch::engine::{Engine, EngineConfig};
//!
//! # async fn example() -> Result<(), zkvouch::engine::Error> {
//! let engine = Engine::new(EngineConfig::from_env()?);
//! let (compiled, srs) = (Path::new("model.ezkl"), Path::new("kzg.srs"));
//! engine.gen_witness(Path::new("input.json"), compiled, Path::new("witness.json"), None, None).await?;
//! let (witness, proof) = (Path::new("witness.json"), Path::new("proof.json"));
//! engine.prove(witness, compiled, Path::new("pk.key"), srs, proof).await?;
//! assert!(engine.verify(proof, Path::new("settings.json"), Path::new("vk.key"), srs).await?);
//! # Ok(())
//! # }
//! ```

mod causes;
mod config;
mod environment;
mod error;
mod event;
mod forward;
mod operations;
mod pool;
mod process;
mod protocol;
mod release;
mod vitals;

#[cfg(test)]
mod tests;

pub use config::{EngineConfig, LogLevel};
pub use environment::{Environment, EnvironmentError};
pub use error::{Error, Result};
pub use event::{Event, Listener, Usage};
pub use operations::{CalibrateRequest, CalibrationReport, Data, SetupRequest, Target};
pub use pool::{EnginePool, PooledEngine};
pub use release::{DEFAULT_VERSION, versions};

use event::Listeners;
use process::{Call, Worker};
use serde_json::Value;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{Mutex, OnceCell};

/// One worker process and the queue for it. Cheap to make and to clone; clones share the worker.
#[derive(Clone, Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    deadline: Option<Duration>,
}

#[derive(Debug)]
struct Shared {
    config: EngineConfig,
    environment: OnceCell<Environment>,
    worker: Mutex<Option<Worker>>,
    /// The worker's process id, 0 where there is none.
    pid: AtomicU32,
    listeners: Listeners,
}

impl Engine {
    /// An engine that installs and starts nothing until it is asked to.
    pub fn new(config: EngineConfig) -> Self {
        let deadline = config.deadline;
        let shared = Shared {
            config,
            environment: OnceCell::new(),
            worker: Mutex::new(None),
            pid: AtomicU32::new(0),
            listeners: Listeners::default(),
        };
        Self { shared: Arc::new(shared), deadline }
    }

    /// The same engine with another deadline for what is asked through the returned handle.
    #[must_use]
    pub fn with_deadline(&self, deadline: Option<Duration>) -> Self {
        Self { shared: self.shared.clone(), deadline }
    }

    /// How the engine was configured.
    pub fn config(&self) -> &EngineConfig {
        &self.shared.config
    }

    /// ezkl's version.
    pub fn version(&self) -> &str {
        &self.shared.config.version
    }

    /// Calls `listener` on everything that the engine and its clones do from now on.
    pub fn on_event(&self, listener: impl Fn(&Event) + Send + Sync + 'static) {
        self.shared.listeners.add(Arc::new(listener));
    }

    /// The process id of the worker, where one is running.
    pub fn worker_pid(&self) -> Option<u32> {
        Some(self.shared.pid.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
    }

    /// Installs ezkl unless it is installed. The other methods do so by themselves.
    ///
    /// # Errors
    /// [`Error::Environment`] where Python or a wheel is missing or does not fit.
    pub async fn prepare(&self) -> Result<Environment> {
        let shared = &self.shared;
        let report = |step: String| {
            tracing::info!("{step}");
            shared.listeners.emit(&Event::Preparing { step });
        };
        let environment = shared
            .environment
            .get_or_try_init(|| Environment::prepare(&shared.config, &report))
            .await?;
        Ok(environment.clone())
    }

    /// Lets a running operation end, then ends the worker. A later operation starts another.
    pub async fn shutdown(&self) {
        let worker = self.shared.worker.lock().await.take();
        self.shared.pid.store(0, Ordering::Relaxed);
        if let Some(worker) = worker {
            worker.stop().await;
        }
    }

    async fn request(&self, operation: &'static str, arguments: Value) -> Result<Value> {
        self.measured(operation, arguments).await.map(|(result, _)| result)
    }

    async fn measured(&self, operation: &'static str, arguments: Value) -> Result<(Value, Usage)> {
        let shared = &self.shared;
        let mut slot = shared.worker.lock().await;
        let running = slot.take().and_then(|mut worker| worker.is_alive().then_some(worker));
        // Where this future is dropped from here on, so is the worker.
        let mut worker = match running {
            Some(worker) => worker,
            None => Worker::start(&self.prepare().await?, &shared.config).await?,
        };
        let _pid = ShownPid::new(&shared.pid, worker.pid());
        shared.listeners.emit(&Event::Started { operation });
        let started = Instant::now();
        let call = Call {
            operation,
            arguments: &arguments,
            deadline: self.deadline,
            stall: shared.config.stall,
            listeners: &shared.listeners,
        };
        let answer = worker.call(&call).await;
        let usage = match &answer {
            Ok((_, usage)) => *usage,
            Err(_) => Usage { elapsed: started.elapsed(), ..Usage::default() },
        };
        let success = answer.is_ok();
        tracing::debug!(operation, success, elapsed = ?usage.elapsed, "ezkl answered");
        if matches!(answer, Ok(_) | Err(Error::Python { .. })) {
            _pid.keep();
            *slot = Some(worker);
        }
        shared.listeners.emit(&Event::Finished { operation, success, usage });
        answer
    }
}

/// Shows a worker's process id until it is dropped with the worker.
struct ShownPid<'a>(&'a AtomicU32);

impl<'a> ShownPid<'a> {
    fn new(cell: &'a AtomicU32, pid: u32) -> Self {
        cell.store(pid, Ordering::Relaxed);
        Self(cell)
    }

    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for ShownPid<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}
