//! What the tuner found.

use super::{candidate::Candidate, objective::Objective};
use crate::{accuracy::stats::ErrorBound, artifacts::run_args::RunArgs};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The result of tuning.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TuneReport {
    /// The circuit to use; its settings are in the file that was asked for.
    pub choice: Candidate,
    /// Why, a sentence each.
    pub reasons: Vec<String>,
    /// ezkl's `resources` calibration of the same model; absent where it has no answer, or would take
    /// too long.
    pub baseline: Option<Candidate>,
    /// Why there is no baseline.
    pub without_baseline: Option<String>,
    /// The candidates that nothing beats, by rising time to prove.
    pub front: Vec<Candidate>,
    /// What was minimised.
    pub objective: Objective,
    /// The bound on the error.
    pub bound: ErrorBound,
    /// Where the bound is from.
    pub bound_from: BoundFrom,
    /// How far inputs may go.
    pub headroom: Headroom,
    /// The proof that was made and verified with the choice.
    pub proof: Option<ProofCheck>,
    /// The circuits between which real proofs decided, where the cost model could not.
    pub trials: Vec<ProofTrial>,
    /// Inputs over which the error was measured: observations,
    pub observations: usize,
    /// and inputs drawn beside them.
    pub drawn: usize,
    /// Of those that were drawn, how many can't be proved: where no circuit proves them all, one that proves
    /// the observations is taken.
    #[serde(default)]
    pub unprovable: usize,
    /// Inputs at the ends of what is expected, which have an answer; their error doesn't count.
    pub corners: usize,
    /// The largest k whose SRS is at hand, or can be made.
    pub at_hand: u32,
    /// The circuit that is better, but whose SRS is not at hand.
    pub passed_over: Option<PassedOver>,
    /// What the choice takes beyond ezkl's calibration, which can't be made here.
    pub more_gas: Option<MoreGas>,
    /// Forward passes.
    pub forwards: usize,
    /// Wall-clock seconds; those of the first time when `cached`.
    pub seconds: f64,
    /// Whether the search ran to its end, rather than into its time or a request to stop.
    pub complete: bool,
    /// Whether the result was there already.
    pub cached: bool,
}

/// A circuit that is better than the choice, but whose SRS is not at hand.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PassedOver {
    /// Its k.
    pub logrows: u32,
    /// By what factor it is better, as far as the objective goes.
    pub gain: f64,
    /// Whether the gain was only too little to fetch an SRS for; else it can't be fetched.
    pub can_be_had: bool,
}

/// More gas than ezkl's own calibration takes. That is an error wherever ezkl's circuit could be made; where
/// its SRS can't be had the comparison is with nothing, and the circuit of the least gas is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoreGas {
    /// What the choice takes, by ezkl's verifier.
    pub verify_gas: u64,
    /// What ezkl's calibration would take.
    pub ezkl: u64,
    /// The k of ezkl's circuit.
    pub logrows: u32,
}

impl fmt::Display for MoreGas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verify_gas, ezkl, logrows } = self;
        write!(
            f,
            "verification takes about {verify_gas} gas, and a circuit as ezkl calibrates it {ezkl} (both by \
             ezkl's verifier), but its SRS (k = {logrows}) is not at hand and can't be fetched: go online, \
             or name a file with `source` under [srs], and search again (`zkvouch build --budget 60s`)"
        )
    }
}

/// Where a bound on the error is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoundFrom {
    /// The caller.
    Caller,
    /// The error of ezkl's own calibration.
    Baseline,
    /// A share of the range of the model's outputs.
    OutputRange,
    /// Nothing keeps to the bound that was to be kept, which nobody had set: the least error there is.
    Closest,
}

/// How far inputs may go beyond those that were calibrated with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Headroom {
    /// The factor between the values that range checks hold and the largest that the inputs needed.
    pub range: f64,
    /// The factor by which the lookup table exceeds what the inputs looked up; absent without
    /// lookups.
    pub lookup: Option<f64>,
    /// The largest of 1.5, 2, 4 and 10 by which the given inputs could be multiplied and still be
    /// proved; absent where the model takes no float inputs, 1 where not even 1.5 holds.
    pub inputs: Option<f64>,
}

/// Real proofs with one of the circuits between which they decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProofTrial {
    /// How the circuit was made.
    pub run_args: RunArgs,
    /// How many proofs, in turn with the other circuits'.
    pub proofs: usize,
    /// Median wall-clock seconds of a proof.
    pub prove_seconds: f64,
    /// Median CPU seconds of a proof; absent where the system does not tell.
    pub prove_cpu_seconds: Option<f64>,
}

/// A real proof with the chosen circuit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProofCheck {
    /// Wall-clock seconds of a proof with all CPUs, the median where there were several.
    pub prove_seconds: f64,
    /// The proof's length in bytes.
    pub proof_bytes: u64,
    /// The proving key's length in bytes.
    pub pk_bytes: u64,
}

impl TuneReport {
    /// The front as a table for a terminal; the choice is marked `*`, ezkl's calibration comes last.
    #[cfg(feature = "accuracy")]
    pub fn table(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
        table.set_header([
            "",
            "k",
            "columns",
            "base^legs",
            "scales",
            "prove",
            "memory",
            "proof",
            "verify gas",
            "max error",
        ]);
        let mut add = |mark: &str, candidate: &Candidate| {
            let args = &candidate.run_args;
            let cost = &candidate.cost;
            table.add_row([
                mark.to_owned(),
                args.logrows.to_string(),
                args.num_inner_cols.to_string(),
                format!("{}^{}", args.decomp_base, args.decomp_legs),
                format!(
                    "{}/{}×{}",
                    args.input_scale.0, args.param_scale.0, args.scale_rebase_multiplier
                ),
                format!("{:.2} s", cost.prove_seconds),
                format!("{:.0} MB", cost.peak_bytes as f64 / 1e6),
                format!("{} B", cost.proof_bytes),
                cost.verify_gas.to_string(),
                candidate.error.map_or("–".to_owned(), |error| format!("{:.2e}", error.max)),
            ]);
        };
        for candidate in &self.front {
            add(if *candidate == self.choice { "*" } else { "" }, candidate);
        }
        if !self.front.contains(&self.choice) {
            add("*", &self.choice);
        }
        if let Some(baseline) = &self.baseline {
            add("ezkl", baseline);
        }
        table.to_string()
    }

    /// Whether the choice is better than another circuit: nearer to the objective, or within the bound
    /// where the other is not.
    pub fn beats(&self, other: &Candidate) -> bool {
        if !other.error.is_some_and(|error| error.measure(&self.bound) <= self.bound.value) {
            return true;
        }
        let mut both = [other.clone(), self.choice.clone()];
        self.objective.rank(&mut both, self.gas_limit());
        self.choice.cost != other.cost && both[0] == self.choice
    }

    fn gas_limit(&self) -> Option<u64> {
        self.baseline.as_ref().map(|baseline| baseline.cost.verify_gas)
    }

    /// Whether the choice is ezkl's calibration itself.
    pub fn keeps_baseline(&self) -> bool {
        self.baseline.as_ref().is_some_and(|baseline| self.choice.run_args == baseline.run_args)
    }

    /// How much shorter the time to prove is expected to be than with ezkl's calibration.
    pub fn speedup(&self) -> Option<f64> {
        let baseline = self.baseline.as_ref()?;
        Some(baseline.cost.prove_cpu_seconds / self.choice.cost.prove_cpu_seconds)
    }
}
