//! The journal's second place: the database, under the number of the lease.

use crate::{
    chain::tx::journal::Keeper,
    fleet::{Error, Result, Store, StoreOptions, store::Held},
    task::blocking,
};
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};
use tokio::runtime::Runtime;

/// Keeps the journal in the database. It is asked from code that can't wait, hence a runtime of its own.
#[derive(Debug)]
pub(super) struct DatabaseKeeper {
    inner: Mutex<Option<(Runtime, Store)>>,
    held: Held,
    lost: AtomicBool,
}

impl DatabaseKeeper {
    pub(super) async fn open(url: String, options: StoreOptions, held: Held) -> Result<Self> {
        let opened = blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(Error::Thread)?;
            let options = StoreOptions { connections: 1, ..options };
            let store = runtime.block_on(Store::open(&url, options))?;
            Ok::<_, Error>((runtime, store))
        });
        let inner = Mutex::new(Some(opened.await?));
        Ok(Self { inner, held, lost: AtomicBool::new(false) })
    }

    /// Whether the lease went to another.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Keeper for DatabaseKeeper {
    fn keep(&self, text: &str) -> Result<(), String> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((runtime, store)) = &*inner else { return Err("it is ending".to_owned()) };
        // A runtime can't be waited for on a thread of another one.
        let kept = std::thread::scope(|scope| {
            let work = scope.spawn(|| runtime.block_on(store.keep_journal(&self.held, text)));
            work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        kept.map_err(|error| {
            if matches!(error, Error::SubmitterLost) {
                self.lost.store(true, Ordering::Relaxed);
            }
            error.to_string()
        })
    }
}

impl Drop for DatabaseKeeper {
    fn drop(&mut self) {
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((runtime, store)) = inner {
            drop(store);
            // It may be dropped on a thread of another runtime, which must not wait.
            runtime.shutdown_background();
        }
    }
}
