//! What can go wrong while tuning.

use super::{deploy::Excess, trial};
use crate::{
    accuracy::{ErrorBound, float_model, observations},
    artifacts, engine,
    error::ErrorKind,
    files,
    srs::dev,
};

/// Tuning failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The float model.
    #[error(transparent)]
    Model(#[from] float_model::Error),
    /// The inputs.
    #[error(transparent)]
    Observations(#[from] observations::Error),
    /// An artefact.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// The run args to start from.
    #[error("the run args to start from can't be used: {0}")]
    RunArgs(#[from] artifacts::run_args::Error),
    /// ezkl.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// A file.
    #[error(transparent)]
    File(#[from] files::Error),
    /// A real proof.
    #[error(transparent)]
    Trial(#[from] trial::Error),
    /// No circuit is accurate enough.
    #[error(
        "no circuit keeps the error within {bound}: the closest came to {closest:.3e}{}, with input \
         scale {input_scale}, parameter scale {param_scale} and rebase multiplier {multiplier}; allow \
         that much (`--max-error`)", if bound.percent { "%" } else { "" }
    )]
    Unmet {
        /// The bound.
        bound: ErrorBound,
        /// The smallest error that was reached.
        closest: f64,
        /// With this input scale,
        input_scale: i32,
        /// this parameter scale
        param_scale: i32,
        /// and this multiplier.
        multiplier: u32,
    },
    /// Somebody asked to stop before there was anything to choose.
    #[error("stopped before any circuit was found; nothing was written")]
    Stopped,
    /// Every circuit is more than a chain takes.
    #[error(
        "no circuit of this model can be deployed: the nearest has {0} (for a local chain without the \
         limits: `allow_oversize = true` under [verifier])"
    )]
    Undeployable(Excess),
    /// The objective's promise can't be kept.
    #[error(
        "no circuit that is accurate enough verifies for {limit} gas, what ezkl's own calibration takes: \
         the least is {least} (both by ezkl's verifier){}. Allow a larger error (`--max-error`) or k, or \
         choose an objective that promises nothing of gas, such as `objective = \"gas\"` in \
         [calibration]",
        out_of_reach.map(|k| format!(
            "; one of k = {k} does, but its SRS is not at hand and can't be fetched, so go online or name \
             a file with `source` under [srs]"
        )).unwrap_or_default()
    )]
    MoreGas {
        /// The least there is.
        least: u64,
        /// That of ezkl's calibration.
        limit: u64,
        /// The k of a circuit that keeps the promise, whose SRS can't be had.
        out_of_reach: Option<u32>,
    },
    /// No SRS for any circuit.
    #[error(
        "no circuit of this model fits an SRS that is at hand (k ≤ {at_hand}): the smallest that can be \
         deployed needs k = {least}, the best k = {best}, with about {megabytes} MB of memory and {seconds:.0} s \
         to prove, and neither can be fetched (`{source_of}`); go online, or name a file of your own with \
         `source` under [srs]{}; or make the model smaller",
        if *least <= dev::MAX_K {
            " (`source = \"unsafe-dev\"` makes one that will do for a local chain)"
        } else {
            ""
        }
    )]
    NoSrs {
        /// The largest k at hand; 0 where there is none.
        at_hand: u32,
        /// The least k of any circuit.
        least: u32,
        /// The k of the best circuit.
        best: u32,
        /// Megabytes that the best takes to prove.
        megabytes: u64,
        /// Seconds that the best takes to prove.
        seconds: f64,
        /// Where an SRS was to come from.
        source_of: String,
    },
    /// No circuit has few enough rows.
    #[error(
        "no circuit with k ≤ {max_logrows} holds this model; allow a larger k (`--tune-max-logrows`, or \
         `max_logrows` in [calibration])"
    )]
    TooTall {
        /// The largest k allowed.
        max_logrows: u32,
    },
    /// No circuit fits into memory.
    #[error(
        "the smallest circuit that is accurate enough needs about {needed} MB of memory to prove and \
         this machine has {available} MB; allow a larger error, or use a larger machine"
    )]
    TooLarge {
        /// Megabytes.
        needed: u64,
        /// Megabytes.
        available: u64,
    },
    /// No set of scales has an answer for all inputs.
    #[error(
        "no circuit has an answer for all of the inputs{}",
        reason.as_ref().map_or("; leave out those at the extremes".to_owned(), |reason| format!(": {reason}"))
    )]
    NoAnswer {
        /// ezkl's own reason for one of them.
        reason: Option<String>,
    },
    /// Nothing that was found could be proved.
    #[error("none of the {tried} best circuits could be proved and verified: {message}")]
    NothingProves {
        /// How many were tried.
        tried: usize,
        /// What was wrong with the last.
        message: String,
    },
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Model(inner) => inner.kind(),
            Self::Observations(inner) => inner.kind(),
            Self::Artifact(inner) => inner.kind(),
            Self::Engine(inner) => inner.kind(),
            Self::File(inner) => inner.kind(),
            Self::Trial(inner) => inner.kind(),
            Self::RunArgs(..)
            | Self::Unmet { .. }
            | Self::TooTall { .. }
            | Self::TooLarge { .. }
            | Self::Undeployable(..)
            | Self::MoreGas { .. }
            | Self::NoAnswer { .. } => ErrorKind::BadInput,
            Self::NoSrs { .. } => ErrorKind::Tool,
            Self::NothingProves { .. } => ErrorKind::Failure,
            Self::Stopped => ErrorKind::Interrupted,
        }
    }
}
