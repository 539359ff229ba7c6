//! What to minimise, and which candidates nothing else beats.

use super::{candidate::Candidate, cost::Cost};
use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, fmt, str::FromStr};

/// What the tuner minimises among circuits that keep to the error bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// The time to prove, among circuits whose verification costs no more gas than that of ezkl's
    /// own calibration. Where that can't be made for want of an SRS, and nothing else keeps to it, the
    /// gas to verify.
    #[default]
    Balanced,
    /// The time to prove, whatever the length of the proof.
    ProveTime,
    /// The gas to verify.
    Gas,
    /// The memory to prove.
    Memory,
    /// The length of the proof.
    ProofSize,
}

impl Objective {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Balanced, "balanced"),
        (Self::ProveTime, "prove-time"),
        (Self::Gas, "gas"),
        (Self::Memory, "memory"),
        (Self::ProofSize, "proof-size"),
    ];

    /// Compares two costs; ties of the first go to the shorter time, then to less gas.
    pub fn compare(self, a: &Cost, b: &Cost) -> Ordering {
        let time = a.prove_cpu_seconds.total_cmp(&b.prove_cpu_seconds);
        let gas = a.verify_gas.cmp(&b.verify_gas);
        match self {
            Self::Balanced | Self::ProveTime => time.then(gas),
            Self::Gas => gas.then(time),
            Self::Memory => a.peak_bytes.cmp(&b.peak_bytes).then(time).then(gas),
            Self::ProofSize => a.proof_bytes.cmp(&b.proof_bytes).then(time).then(gas),
        }
    }

    /// Sorts the candidates, best first, those over the limit of gas last. The order is total, so
    /// that it does not depend on the order in which they were found.
    pub fn rank(self, candidates: &mut [Candidate], gas_limit: Option<u64>) {
        let over = |candidate: &Candidate| {
            self == Self::Balanced
                && gas_limit.is_some_and(|limit| candidate.cost.verify_gas > limit)
        };
        candidates.sort_by(|a, b| {
            let both = over(a) && over(b);
            over(a)
                .cmp(&over(b))
                .then_with(|| {
                    // Over the limit what matters is how far.
                    let objective = if both { Self::Gas } else { self };
                    objective.compare(&a.cost, &b.cost)
                })
                .then_with(|| key(a).cmp(&key(b)))
        });
    }
}

fn key(candidate: &Candidate) -> impl Ord + use<> {
    let args = &candidate.run_args;
    (
        args.logrows,
        args.num_inner_cols,
        args.decomp_legs,
        args.decomp_base,
        args.scale_rebase_multiplier,
        args.input_scale.0,
        args.param_scale.0,
        args.disable_freivalds,
    )
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(objective, _)| objective == self);
        f.write_str(name.map_or("", |(_, name)| name))
    }
}

impl FromStr for Objective {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, name)| *name == text);
        found.map(|(objective, _)| *objective).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|(_, name)| *name).collect();
            format!("`{text}` is none of {}", names.join(", "))
        })
    }
}

/// The candidates than which no other is better in one of time, memory and gas and at least as good
/// in the rest, by rising time.
pub fn pareto_front(candidates: &[Candidate]) -> Vec<Candidate> {
    let axes =
        |cost: &Cost| [cost.prove_cpu_seconds, cost.peak_bytes as f64, cost.verify_gas as f64];
    let beats = |a: &Cost, b: &Cost| {
        let (a, b) = (axes(a), axes(b));
        a.iter().zip(&b).all(|(a, b)| a <= b) && a != b
    };
    let mut front: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        let beaten = candidates.iter().any(|other| beats(&other.cost, &candidate.cost));
        let known = front.iter().any(|other| axes(&other.cost) == axes(&candidate.cost));
        if !beaten && !known {
            front.push(candidate.clone());
        }
    }
    front.sort_by(|a, b| Objective::ProveTime.compare(&a.cost, &b.cost));
    front
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::run_args::RunArgs;
    use proptest::prelude::*;

    fn candidate(seconds: f64, gas: u64, pk: u64) -> Candidate {
        Candidate {
            run_args: RunArgs { decomp_base: pk + 2, ..RunArgs::default() },
            cost: Cost {
                prove_cpu_seconds: seconds,
                prove_seconds: seconds / 2.0,
                peak_bytes: pk * 5 / 2,
                pk_bytes: pk,
                proof_bytes: gas / 100,
                verify_gas: gas,
                ..Cost::default()
            },
            error: None,
        }
    }

    #[test]
    fn balanced_is_the_fastest_that_costs_no_more_gas() {
        let mut all = vec![
            candidate(1.0, 900, 5),
            candidate(2.0, 500, 9),
            candidate(3.0, 400, 1),
            candidate(0.5, 700, 7),
        ];
        let first = |all: &mut Vec<Candidate>, objective: Objective, limit| {
            objective.rank(all, limit);
            (all[0].cost.prove_cpu_seconds, all[0].cost.verify_gas)
        };
        assert_eq!(first(&mut all, Objective::Balanced, Some(500)), (2.0, 500));
        assert_eq!(first(&mut all, Objective::Balanced, Some(100)), (3.0, 400));
        assert_eq!(first(&mut all, Objective::Balanced, None), (0.5, 700));
        assert_eq!(first(&mut all, Objective::ProveTime, Some(500)), (0.5, 700));
        assert_eq!(first(&mut all, Objective::Gas, Some(1)), (3.0, 400));
        assert_eq!(first(&mut all, Objective::Memory, None), (3.0, 400));
        assert_eq!(first(&mut all, Objective::ProofSize, None), (3.0, 400));
    }

    #[test]
    fn names_round_trip() {
        for (objective, name) in Objective::ALL {
            assert_eq!(name.parse(), Ok(objective));
            assert_eq!(objective.to_string(), name);
            assert_eq!(serde_json::to_value(objective).expect("JSON"), name);
        }
        assert!("speed".parse::<Objective>().is_err_and(|message| message.contains("prove-time")));
    }

    proptest! {
        #[test]
        fn nothing_on_the_front_is_beaten_and_all_else_is(
            points in prop::collection::vec((1_u8..9, 1_u8..9, 1_u8..9), 1..30)
        ) {
            let all: Vec<_> = points
                .iter()
                .map(|(s, g, p)| candidate(f64::from(*s), u64::from(*g), u64::from(*p)))
                .collect();
            let front = pareto_front(&all);
            let beats = |a: &Cost, b: &Cost| {
                a.prove_cpu_seconds <= b.prove_cpu_seconds && a.verify_gas <= b.verify_gas
                    && a.peak_bytes <= b.peak_bytes
                    && (a.prove_cpu_seconds, a.verify_gas, a.peak_bytes)
                        != (b.prove_cpu_seconds, b.verify_gas, b.peak_bytes)
            };
            for one in &front {
                prop_assert!(!all.iter().any(|other| beats(&other.cost, &one.cost)));
            }
            for one in &all {
                let on_front = front.iter().any(|other| other.cost == one.cost);
                prop_assert!(on_front || front.iter().any(|other| beats(&other.cost, &one.cost)));
            }
        }

        #[test]
        fn ranking_does_not_depend_on_the_order(
            points in prop::collection::vec((1_u8..5, 1_u8..5, 1_u8..5), 1..12), by in 0_usize..12
        ) {
            let mut all: Vec<_> = points
                .iter()
                .map(|(s, g, p)| candidate(f64::from(*s), u64::from(*g), u64::from(*p)))
                .collect();
            let mut turned = all.clone();
            turned.rotate_left(by % all.len());
            Objective::Balanced.rank(&mut all, Some(3));
            Objective::Balanced.rank(&mut turned, Some(3));
            prop_assert_eq!(all, turned);
        }
    }
}
