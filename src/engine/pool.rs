//! Several engines side by side, for many operations at once.

use super::{
    Engine, EngineConfig, Event, WitnessJob,
    error::{Error, Result},
};
use std::{
    collections::VecDeque,
    ops::Deref,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};

/// A fixed number of workers. Cheap to clone; clones share the workers.
#[derive(Clone, Debug)]
pub struct EnginePool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    engines: Vec<Engine>,
    /// Indices of the engines that nobody holds; the last one returned is used first, so that a
    /// pool larger than the work starts no more workers than it needs.
    idle: Mutex<Vec<usize>>,
    permits: Arc<Semaphore>,
}

impl EnginePool {
    /// A pool of `workers` engines, at least one, which share the CPUs unless the configuration
    /// sets the threads of each.
    pub fn new(mut config: EngineConfig, workers: usize) -> Self {
        let workers = workers.max(1);
        if config.threads.is_none() && workers > 1 {
            let cpus = std::thread::available_parallelism().map_or(1, usize::from);
            config.threads = Some((cpus / workers).max(1));
        }
        let engines = (0..workers).map(|_| Engine::new(config.clone())).collect();
        let idle = Mutex::new((0..workers).rev().collect());
        let permits = Arc::new(Semaphore::new(workers));
        Self { shared: Arc::new(Shared { engines, idle, permits }) }
    }

    /// The number of workers.
    pub fn workers(&self) -> usize {
        self.shared.engines.len()
    }

    /// Calls `listener` on everything that the pool's engines do from now on.
    pub fn on_event(&self, listener: impl Fn(&Event) + Send + Sync + 'static) {
        let listener = Arc::new(listener);
        for engine in &self.shared.engines {
            let listener = listener.clone();
            engine.on_event(move |event| listener(event));
        }
    }

    /// Waits for an engine that nobody else holds.
    pub async fn get(&self) -> PooledEngine {
        let permit = self.shared.permits.clone().acquire_owned().await;
        let index = self.shared.idle().pop().unwrap_or(0);
        let engine = self.shared.engines[index].clone();
        PooledEngine { engine, index, shared: self.shared.clone(), _permit: permit.ok() }
    }

    /// Makes many witnesses of one circuit, several at a time. The results are in the jobs' order;
    /// one that fails does not stop the others. Dropping the future ends the workers.
    pub async fn gen_witness_many(
        &self,
        jobs: Vec<WitnessJob>,
        compiled: &Path,
    ) -> Vec<Result<()>> {
        let total = jobs.len();
        let queue = Arc::new(Mutex::new(jobs.into_iter().enumerate().collect::<VecDeque<_>>()));
        let compiled: Arc<PathBuf> = Arc::new(compiled.to_owned());
        let mut tasks = JoinSet::new();
        for _ in 0..self.workers().min(total) {
            let (pool, queue, compiled) = (self.clone(), queue.clone(), compiled.clone());
            tasks.spawn(async move {
                let engine = pool.get().await;
                let mut results = Vec::new();
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some((index, job)) = next else { return results };
                    results.push((index, engine.gen_witness_job(&job, &compiled).await));
                }
            });
        }
        let mut results: Vec<_> = (0..total).map(|_| None).collect();
        while let Some(done) = tasks.join_next().await {
            match done {
                Ok(done) => done.into_iter().for_each(|(index, it)| results[index] = Some(it)),
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(_) => {}
            }
        }
        let lost = || Error::Protocol { operation: "gen_witness", message: "cancelled".into() };
        results.into_iter().map(|result| result.unwrap_or_else(|| Err(lost()))).collect()
    }

    /// Lets running operations end, then ends the workers.
    pub async fn shutdown(&self) {
        for engine in &self.shared.engines {
            engine.shutdown().await;
        }
    }
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<usize>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An engine of a pool, returned to it on drop.
#[derive(Debug)]
pub struct PooledEngine {
    engine: Engine,
    index: usize,
    shared: Arc<Shared>,
    // Dropped after the index is back, so that whoever it lets in finds one.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Deref for PooledEngine {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}

impl Drop for PooledEngine {
    fn drop(&mut self) {
        self.shared.idle().push(self.index);
    }
}
