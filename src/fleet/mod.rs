//! Many predictions, proved on as many machines as it takes.
//!
//! A [`Store`] has the jobs, in SQLite or PostgreSQL; [`Blobs`] have what they are about, by its hash. A [`Worker`]
//! takes a job, proves it and hands the proof in.
//!
//! What holds it together:
//!
//! - a worker has a job on a lease that it prolongs by heartbeats; each lease has a number, and what a worker
//!   says counts only with the newest, so that nothing is done twice by a worker that was frozen;
//! - a job whose worker dies goes back, and after its last attempt it is dead, with a reason;
//! - what is stored is named by its SHA-256 and compared with it whenever it is read.

mod blobs;
mod cache;
mod circuit;
mod error;
mod heart;
mod intake;
pub mod job;
mod service;
pub mod store;
mod submitter;
mod worker;

pub use blobs::Blobs;
pub use circuit::{Circuit, machine_memory};
pub use error::{Error, Result};
pub use intake::{Intake, Wanted};
pub use service::{Service, ServiceOptions, openapi};
pub use store::{Store, StoreOptions};
pub use submitter::{Payer, Submitted as Recorded, Submitter, SubmitterOptions};
pub use worker::{Worked, Worker, WorkerOptions};
