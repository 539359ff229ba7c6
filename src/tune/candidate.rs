//! A circuit that was considered, with its cost and its error.

use super::cost::Cost;
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
