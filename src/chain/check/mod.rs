//! What a stranger can find out about a model from the chain alone.
//!
//! A contract's word counts for as much as its code: what is said by code that is not this release's own
//! is no evidence. Whatever can be worked out anew is, and compared.

mod adapter;
mod claims;
mod identify;
mod run;
mod state;

pub use claims::{Claim, ModelCheck, Topic, Verdict};
pub use identify::{Identified, identify};
pub use run::check_model;
