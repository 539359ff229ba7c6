//! Several engines side by side, for many operations at once.

use super::{
    Engine, EngineConfig, Event,
    error::{Error, Result},
};
use std::{
    collections::VecDeque,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
};

/// A fixed number of workers. Cheap to clone; clones share the workers.
#[derive(Clone, Debug)]
pub struct EnginePool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// What the pool was made from.
    config: EngineConfig,
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
        let whole = config.clone();
        if config.threads.is_none() && workers > 1 {
            let cpus = std::thread::available_parallelism().map_or(1, usize::from);
            config.threads = Some((cpus / workers).max(1));
        }
        let engines = (0..workers).map(|_| Engine::new(config.clone())).collect();
        let idle = Mutex::new((0..workers).rev().collect());
        let permits = Arc::new(Semaphore::new(workers));
        Self { shared: Arc::new(Shared { config: whole, engines, idle, permits }) }
    }

    /// An engine outside of the pool with all CPUs to itself, unless the pool's configuration says
    /// otherwise: for what is no faster side by side.
    pub fn whole_machine(&self) -> Engine {
        Engine::new(self.shared.config.clone())
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

    /// Does jobs in all engines, `at_once` at a time in each, and returns the results in the jobs'
    /// order. `work` returns the results of the first of its jobs, at least one, and the rest, which
    /// is done later; its error stops everything. `done` hears how many jobs have a result.
    pub(super) async fn each<J, T, W, F>(
        &self,
        jobs: Vec<J>,
        at_once: usize,
        work: W,
        mut done: impl FnMut(usize),
    ) -> Result<Vec<T>>
    where
        J: Send + 'static,
        T: Send + 'static,
        W: Fn(Engine, Vec<J>) -> F + Clone + Send + 'static,
        F: Future<Output = Result<(Vec<T>, Vec<J>)>> + Send,
    {
        let total = jobs.len();
        let queue = Arc::new(Mutex::new(jobs.into_iter().enumerate().collect::<VecDeque<_>>()));
        let (to, mut from) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        for _ in 0..self.workers().min(total) {
            let (pool, queue, work, to) = (self.clone(), queue.clone(), work.clone(), to.clone());
            tasks.spawn(async move {
                let engine = pool.get().await;
                let queue = || queue.lock().unwrap_or_else(PoisonError::into_inner);
                loop {
                    let (numbers, jobs): (Vec<usize>, Vec<J>) = {
                        let mut queue = queue();
                        let count = at_once.min(queue.len());
                        queue.drain(..count).unzip()
                    };
                    if jobs.is_empty() {
                        return;
                    }
                    let answer = work(engine.clone(), jobs).await.map(|(results, rest)| {
                        for job in numbers[results.len()..].iter().copied().zip(rest).rev() {
                            queue().push_front(job);
                        }
                        (numbers, results)
                    });
                    if to.send(answer).is_err() {
                        return;
                    }
                }
            });
        }
        drop(to);
        let mut results: Vec<_> = (0..total).map(|_| None).collect();
        let mut count = 0;
        while let Some(answer) = from.recv().await {
            let (numbers, answers) = answer?;
            count += answers.len();
            numbers.into_iter().zip(answers).for_each(|(number, it)| results[number] = Some(it));
            done(count);
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        let lost = || Error::Protocol { operation: "pool", message: "cancelled".into() };
        results.into_iter().collect::<Option<_>>().ok_or_else(lost)
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
