//! Heartbeats, on a thread of their own: a runtime that is busy, or a proof that takes all CPUs, doesn't stop them.

use super::{
    Error, Result, Store,
    job::{JobId, Lease},
    store::{StoreOptions, WorkerCard},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};
use tokio::sync::{Notify, watch};

/// How many beats there are to a lease.
const BEATS: u32 = 5;

/// The heartbeats of a worker, until it is dropped.
#[derive(Debug)]
pub(super) struct Heart {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    leases: Mutex<BTreeMap<JobId, (i64, watch::Sender<bool>)>>,
    stop: Notify,
}

impl Shared {
    fn leases(&self) -> MutexGuard<'_, BTreeMap<JobId, (i64, watch::Sender<bool>)>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lease that is kept alive until this is dropped.
#[derive(Debug)]
pub(super) struct Kept {
    shared: Arc<Shared>,
    lease: Lease,
    lost: watch::Receiver<bool>,
}

impl Heart {
    /// Starts beating, over a connection of its own.
    pub(super) fn start(url: String, options: StoreOptions, card: WorkerCard) -> Result<Self> {
        let shared = Arc::<Shared>::default();
        let beating = shared.clone();
        let every = options.lease / BEATS;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::Thread)?;
        let thread = std::thread::Builder::new()
            .name("heartbeats".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = beat(&beating, &url, options, &card, every) => {}
                        () = beating.stop.notified() => {}
                    }
                });
            })
            .map_err(Error::Thread)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Keeps a lease alive.
    pub(super) fn keep(&self, lease: Lease) -> Kept {
        let (sender, lost) = watch::channel(false);
        self.shared.leases().insert(lease.job, (lease.token, sender));
        Kept { shared: self.shared.clone(), lease, lost }
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.shared.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Kept {
    /// Waits until the lease is somebody else's, or the job is cancelled.
    pub(super) async fn lost(&mut self) {
        if self.lost.wait_for(|lost| *lost).await.is_err() {
            std::future::pending().await
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.shared.leases().remove(&self.lease.job);
    }
}

async fn beat(
    shared: &Shared,
    url: &str,
    options: StoreOptions,
    card: &WorkerCard,
    every: Duration,
) {
    let mut store = None;
    loop {
        if let Err(error) = beat_once(shared, &mut store, url, options, card, every).await {
            // The lease goes on until the database says otherwise; the next beat may get through.
            tracing::warn!(%error, "a heartbeat did not get through");
            tokio::time::sleep(every.min(Duration::from_secs(1))).await;
            continue;
        }
        tokio::time::sleep(every).await;
    }
}

async fn beat_once(
    shared: &Shared,
    store: &mut Option<Store>,
    url: &str,
    options: StoreOptions,
    card: &WorkerCard,
    every: Duration,
) -> Result<()> {
    let opened = match store {
        Some(store) => store,
        None => store.insert(Store::open(url, StoreOptions { connections: 1, ..options }).await?),
    };
    let leases: Vec<_> = shared.leases().iter().map(|(job, (token, _))| (*job, *token)).collect();
    for (job, token) in leases {
        // A connection that hangs must not hang the next beat, too.
        let beat = tokio::time::timeout(every * 2, opened.beat(Lease { job, token }));
        let Ok(alive) = beat.await else {
            *store = None;
            return Ok(());
        };
        if !alive?
            && let Some((known, lost)) = shared.leases().get(&job)
            && *known == token
        {
            lost.send_replace(true);
        }
    }
    opened.present(card).await
}
