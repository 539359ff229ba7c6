//! What a build tells while it runs.

use crate::tune::machine::{Expected, Work};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// Something that a build has to tell while it runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Another process holds the build folder.
    Waiting {
        /// The lock file that the other process holds.
        path: PathBuf,
    },
    /// A step's inputs and outputs are as they were.
    Skipped {
        /// The step's name, as in the manifest.
        step: &'static str,
    },
    /// A step has begun.
    Started {
        /// The step's name, as in the manifest.
        step: &'static str,
        /// Why it is out of date.
        reason: String,
    },
    /// ezkl says what it is doing.
    Phase {
        /// In its own words.
        message: String,
    },
    /// What the running step is expected to take of this machine.
    Expected {
        /// What it does.
        work: Work,
        /// What that takes.
        expected: Expected,
    },
    /// A step has ended well.
    Finished {
        /// The step's name, as in the manifest.
        step: &'static str,
        /// How long it took.
        elapsed: Duration,
    },
    /// A step has failed; its error follows as the build's result.
    Failed {
        /// The step's name, as in the manifest.
        step: &'static str,
    },
}

/// Receives a build's events, from whichever thread.
pub type Observer = Arc<dyn Fn(Event) + Send + Sync>;
