//! What the tuner found.

use super::{cost::Cost, objective::Objective};
use crate::{
    accuracy::stats::{self, ErrorBound, Summary},
    artifacts::run_args::RunArgs,
};
use serde::{Deserialize, Serialize};

/// A circuit that was considered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// How to make it.
    pub run_args: RunArgs,
    /// What it is expected to cost.
    pub cost: Cost,
    /// Its error on the inputs that the tuner tried.
    pub error: Option<Errors>,
}

/// The error of a circuit over all outputs and inputs tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// The largest absolute error.
    pub max: f64,
    /// The mean absolute error.
    pub mean: f64,
    /// The largest percent error, where one is defined.
    pub max_percent: Option<f64>,
    /// The mean percent error, where one is defined.
    pub mean_percent: Option<f64>,
}

impl Errors {
    /// Compares outputs: for each observation, each output's elements; `steps` has the fixed-point
    /// step of each output. `None` without any value.
    pub(super) fn of(
        float: &[Vec<Vec<f64>>],
        circuit: &[Vec<Vec<f64>>],
        steps: &[f64],
    ) -> Option<Self> {
        let (mut absolute, mut percent) = (Vec::new(), Vec::new());
        for (float, circuit) in float.iter().zip(circuit) {
            for ((float, circuit), step) in float.iter().zip(circuit).zip(steps) {
                for (float, circuit) in float.iter().zip(circuit) {
                    absolute.push(stats::absolute_error(*float, *circuit));
                    percent.extend(stats::percent_error(*float, *circuit, *step));
                }
            }
        }
        let absolute = Summary::of(absolute)?;
        let percent = Summary::of(percent);
        Some(Self {
            max: absolute.max,
            mean: absolute.mean,
            max_percent: percent.map(|summary| summary.max),
            mean_percent: percent.map(|summary| summary.mean),
        })
    }

    /// The error that a bound is about. An undefined percentage counts as none: every output is
    /// next to 0, and so is the circuit's error.
    pub fn measure(&self, bound: &ErrorBound) -> f64 {
        match (bound.percent, bound.statistic) {
            (false, stats::Statistic::Max) => self.max,
            (false, stats::Statistic::Mean) => self.mean,
            (true, stats::Statistic::Max) => self.max_percent.unwrap_or(0.0),
            (true, stats::Statistic::Mean) => self.mean_percent.unwrap_or(0.0),
        }
    }
}

/// The result of tuning.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TuneReport {
    /// The circuit to use; its settings are in the file that was asked for.
    pub choice: Candidate,
    /// Why, a sentence each.
    pub reasons: Vec<String>,
    /// ezkl's `resources` calibration of the same model.
    pub baseline: Candidate,
    /// The candidates that nothing beats, by rising time to prove.
    pub front: Vec<Candidate>,
    /// What was minimised.
    pub objective: Objective,
    /// The bound on the error.
    pub bound: ErrorBound,
    /// Whether the bound is the baseline's own error.
    pub bound_from_baseline: bool,
    /// How far inputs may go.
    pub headroom: Headroom,
    /// The proof that was made and verified with the choice.
    pub proof: Option<ProofCheck>,
    /// The circuits between which real proofs decided, where the cost model could not.
    pub trials: Vec<ProofTrial>,
    /// Inputs tried: observations, drawn ones included.
    pub inputs: usize,
    /// Forward passes.
    pub forwards: usize,
    /// Wall-clock seconds; those of the first time when `cached`.
    pub seconds: f64,
    /// Whether the search ran to its end, rather than into its time or a request to stop.
    pub complete: bool,
    /// Whether the result was there already.
    pub cached: bool,
}

/// How far inputs may go beyond those that were calibrated with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Headroom {
    /// The factor between the values that range checks hold and the largest that the inputs needed.
    pub range: f64,
    /// The factor by which the lookup table exceeds what the inputs looked up; absent without
    /// lookups.
    pub lookup: Option<f64>,
    /// The largest of 1.5, 2, 4 and 10 by which every sample could be multiplied and still be
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
        add("ezkl", &self.baseline);
        table.to_string()
    }

    /// Whether the choice is ezkl's calibration itself.
    pub fn keeps_baseline(&self) -> bool {
        self.choice.run_args == self.baseline.run_args
    }

    /// How much shorter the time to prove is expected to be than with ezkl's calibration.
    pub fn speedup(&self) -> f64 {
        self.baseline.cost.prove_cpu_seconds / self.choice.cost.prove_cpu_seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_over_all_outputs() {
        let float = [vec![vec![1.0, 0.001], vec![2.0]]];
        let circuit = [vec![vec![1.1, 0.101], vec![1.5]]];
        let errors = Errors::of(&float, &circuit, &[0.01, 0.01]).expect("values");
        assert!((errors.max - 0.5).abs() < 1e-12 && (errors.mean - 0.7 / 3.0).abs() < 1e-12);
        assert!(errors.max_percent.is_some_and(|percent| (percent - 25.0).abs() < 1e-9));
        assert!(errors.mean_percent.is_some_and(|percent| (percent - 17.5).abs() < 1e-9));
        let bound: ErrorBound = "mean:20%".parse().expect("a bound");
        assert!((errors.measure(&bound) - 17.5).abs() < 1e-9);
        assert_eq!(Errors::of(&[], &[], &[]), None);
    }
}
