//! What an engine reports while it works.

use std::{fmt, sync::Arc, time::Duration};

/// Something happened in an engine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A step of the installation that takes long.
    Preparing {
        /// What is being done.
        step: String,
    },
    /// ezkl began an operation.
    Started {
        /// Such as `prove`.
        operation: &'static str,
    },
    /// ezkl logged a line: the operation's phase, or a warning.
    Log {
        /// The operation it belongs to.
        operation: &'static str,
        /// How important it is.
        level: tracing::Level,
        /// The part of ezkl it comes from, such as `ezkl.pfsys`.
        target: String,
        /// The text, without colours; it may have several lines.
        message: String,
    },
    /// The operation ended.
    Finished {
        /// Such as `prove`.
        operation: &'static str,
        /// Whether it succeeded.
        success: bool,
        /// What it took.
        usage: Usage,
    },
}

/// What an operation took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Usage {
    /// Wall-clock time.
    pub elapsed: Duration,
    /// CPU time of all threads; unknown after a failure.
    pub cpu: Option<Duration>,
    /// The most resident memory, in bytes; unknown after a failure.
    pub peak_bytes: Option<u64>,
}

/// Who hears of events; called on the task that awaits the operation, so it should return at once.
pub type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// The listeners of an engine.
#[derive(Default)]
pub(super) struct Listeners(std::sync::Mutex<Vec<Listener>>);

impl Listeners {
    pub(super) fn add(&self, listener: Listener) {
        self.lock().push(listener);
    }

    pub(super) fn emit(&self, event: &Event) {
        let listeners = self.lock().clone();
        listeners.iter().for_each(|listener| listener(event));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Listener>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listeners").field(&self.lock().len()).finish()
    }
}
