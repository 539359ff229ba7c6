//! What to tune, and what is told of it meanwhile.

use super::{CostModel, Objective, deploy::ChainLimits};
use crate::{
    accuracy::ErrorBound,
    artifacts::run_args::{MAX_LOGROWS, RunArgs},
    model::batch::Batching,
    srs,
};
use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf, time::Duration};

/// When to make real proofs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prove {
    /// Never: the cost model alone decides.
    Never,
    /// Where the cost model does not tell candidates apart, or the choice hardly from ezkl's own
    /// calibration; whoever asks proves the choice anyway.
    WhereClose,
    /// As before, and the choice in any case.
    #[default]
    Always,
}

/// What to tune, and for what.
#[derive(Clone, Debug)]
pub struct TuneRequest {
    /// The ONNX model.
    pub model: PathBuf,
    /// Representative inputs, in any form that [`observations::read`](crate::accuracy::observations::read) reads.
    pub data: Vec<PathBuf>,
    /// How many of them the circuit takes at a time.
    pub batch: Batching,
    /// Inputs at the ends of what is expected: they must be provable, but their error doesn't count.
    pub corners: Vec<PathBuf>,
    /// Visibilities, variables, `epsilon`; all else in here is what the tuner chooses.
    pub run_args: RunArgs,
    /// What to minimise.
    pub objective: Objective,
    /// The base and the number of digits that the caller has set: values have at least their range.
    pub decomposition: Option<(u64, u32)>,
    /// The largest error allowed; by default that of ezkl's own calibration, else a share of the
    /// range of the model's outputs ([`stats::default_bound`](crate::accuracy::stats::default_bound)).
    pub max_error: Option<ErrorBound>,
    /// The work of the search, as the time that a usual machine takes for it, so that all machines
    /// choose alike; one that is slower gets up to four times as long. It ends nothing before there
    /// is a circuit. Proofs come on top.
    pub time: Duration,
    /// The largest k.
    pub max_logrows: u32,
    /// Where the SRS is to come from and the folder with those that were fetched; without it every k
    /// counts as at hand.
    pub srs: Option<(srs::Source, PathBuf)>,
    /// What the chain takes; without it any circuit will do.
    pub chain: Option<ChainLimits>,
    /// How much larger than needed the range of values must be.
    pub range_margin: f64,
    /// How much larger than needed lookup tables must be.
    pub lookup_margin: f64,
    /// The seed of the inputs that are drawn.
    pub seed: u64,
    /// What circuits cost.
    pub costs: CostModel,
    /// When to make real proofs.
    pub prove: Prove,
    /// A folder for results, by the hash of everything that they depend on.
    pub cache: Option<PathBuf>,
    /// Where to write the settings of the choice.
    pub settings: PathBuf,
}

impl TuneRequest {
    /// A request with the defaults: `balanced`, ezkl's own error, a minute, every k, a 256-fold margin
    /// for ranges and a twofold one for lookups.
    pub fn new(model: PathBuf, data: Vec<PathBuf>, settings: PathBuf) -> Self {
        Self {
            model,
            data,
            batch: Batching::ONE,
            corners: Vec::new(),
            run_args: RunArgs::default(),
            objective: Objective::default(),
            decomposition: None,
            max_error: None,
            time: Duration::from_secs(60),
            max_logrows: MAX_LOGROWS,
            srs: None,
            chain: Some(ChainLimits::default()),
            range_margin: 256.0,
            lookup_margin: 2.0,
            seed: 0,
            costs: CostModel::default(),
            prove: Prove::default(),
            cache: None,
            settings,
        }
    }
}

/// What the tuner is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Running ezkl's own calibration.
    Baseline,
    /// Looking for a circuit at once, since the model is large.
    AtOnce,
    /// Looking for the scales that are accurate enough.
    Scales {
        /// With this rebase multiplier.
        multiplier: u32,
    },
    /// Looking for the range that values need.
    Range {
        /// Input scale, parameter scale, multiplier.
        scales: (i32, i32, u32),
    },
    /// So many circuits so far.
    Candidates {
        /// How many.
        count: usize,
    },
    /// Proving the choice, or one of those that are close.
    Proof {
        /// Its k.
        logrows: u32,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtOnce => f.write_str("a first circuit, since the model is large"),
            Self::Baseline => f.write_str("ezkl's own calibration, for comparison"),
            Self::Scales { multiplier } => write!(f, "scales, rebase multiplier {multiplier}"),
            Self::Range { scales: (input, param, multiplier) } => {
                write!(f, "ranges at scales {input}/{param}×{multiplier}")
            }
            Self::Candidates { count } => write!(f, "{count} circuits so far"),
            Self::Proof { logrows } => write!(f, "proving with k = {logrows}"),
        }
    }
}
