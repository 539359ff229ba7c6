//! Why a circuit was chosen, in sentences.

use super::{
    deploy::ChainLimits,
    objective::Objective,
    report::{BoundFrom, PassedOver, ProofTrial, TuneReport},
};
use crate::accuracy::stats::AIMED_SHARE;

pub(super) fn reasons(report: &TuneReport, scales_kept: bool) -> Vec<String> {
    let mut reasons = vec![circuit(report)];
    let by_time = matches!(report.objective, Objective::Balanced | Objective::ProveTime);
    let slower = report.speedup().is_some_and(|speedup| speedup < 1.0);
    if slower && by_time && !report.keeps_baseline() && report.trials.is_empty() {
        reasons.push(
            "ezkl's own calibration is no choice: it does not prove every input and corner, or exceeds a \
             limit"
                .to_owned(),
        );
    }
    if let Some(why) = &report.without_baseline {
        reasons.push(format!("ezkl's own calibration is not compared with: {why}"));
    }
    if !report.trials.is_empty() {
        reasons.push(decided(report));
    }
    if let Some(error) = &report.choice.error {
        reasons.push(accuracy(report, error.max));
    }
    if report.unprovable > 0 {
        reasons.push(format!(
            "no circuit proves all of the inputs that were drawn: this one proves the observations, but not {} \
             of those; if inputs reach so far, give them as observations or as corners (`--corners`)",
            report.unprovable
        ));
    }
    let cost = &report.choice.cost;
    reasons.push(match &report.baseline {
        Some(baseline) => format!(
            "verification takes about {} gas, {} ezkl's calibration's {} (both by ezkl's verifier)",
            cost.verify_gas,
            if cost.verify_gas > baseline.cost.verify_gas { "more than" } else { "not more than" },
            baseline.cost.verify_gas
        ),
        None => format!("verification takes about {} gas by ezkl's verifier", cost.verify_gas),
    });
    reasons.push(format!(
        "the lean verifier is expected to have {} bytes of code (ezkl's {}) and to take {} gas, with {} bytes \
         of calldata{}",
        cost.code_bytes,
        cost.ezkl_code_bytes,
        cost.lean_gas,
        cost.calldata_bytes,
        match ChainLimits::default().takes_batches(cost) {
            true => String::new(),
            false => format!(
                "; that of many proofs has about {} bytes, too many for a chain",
                cost.batch_code_bytes
            ),
        }
    ));
    if report.choice.run_args.logrows > report.at_hand {
        reasons.push(format!(
            "its SRS (k = {}) must be fetched: the largest at hand is k = {}, and circuits that keep \
             to it take much longer, or don't fit",
            report.choice.run_args.logrows, report.at_hand
        ));
    }
    match report.passed_over {
        Some(PassedOver { logrows, gain, can_be_had: true }) => reasons.push(format!(
            "its SRS is at hand; with a fetched one of k = {logrows} a circuit is expected to be only \
             {gain:.1} times as good"
        )),
        Some(PassedOver { logrows, .. }) if report.more_gas.is_none() => reasons.push(format!(
            "a better circuit has k = {logrows}, but its SRS is not at hand and can't be fetched: go online, \
             or name a file with `source` under [srs], and search again (`zkvouch build --budget 60s`)"
        )),
        _ => {}
    }
    if let Some(more) = &report.more_gas {
        reasons.push(format!("the least gas of what can be made here was taken: {more}"));
    }
    if let Some(factor) = report.headroom.inputs {
        let text = if factor >= 2.0 {
            format!("inputs up to {factor} times those given still prove")
        } else {
            format!(
                "inputs more than {factor} times those given may not prove; give inputs at the ends \
                 of what you expect as corners"
            )
        };
        reasons.push(text);
    }
    if scales_kept {
        reasons.push(
            "the model decides by comparing, so scales were not taken below ezkl's calibration's"
                .to_owned(),
        );
    }
    if !report.complete {
        reasons.push("the search was cut short; this is the best so far".to_owned());
    }
    reasons
}

/// Which circuit, against which.
fn circuit(report: &TuneReport) -> String {
    let (choice, args) = (&report.choice, &report.choice.run_args);
    let holds = format!(
        "base {}^{} holds what values need with a {:.0}-fold margin",
        args.decomp_base, args.decomp_legs, report.headroom.range
    );
    match &report.baseline {
        _ if report.keeps_baseline() => {
            "nothing that was found proves faster than ezkl's own calibration, so it is kept"
                .to_owned()
        }
        Some(baseline) => format!(
            "k = {} instead of {}, base {}^{} instead of {}^{}: {holds}; proving is expected to take \
             {:.2} s instead of {:.2} s ({:.1} times faster)",
            args.logrows,
            baseline.run_args.logrows,
            args.decomp_base,
            args.decomp_legs,
            baseline.run_args.decomp_base,
            baseline.run_args.decomp_legs,
            choice.cost.prove_seconds,
            baseline.cost.prove_seconds,
            report.speedup().unwrap_or(1.0)
        ),
        None => format!(
            "k = {}: {holds}; proving is expected to take {:.2} s",
            args.logrows, choice.cost.prove_seconds
        ),
    }
}

fn decided(report: &TuneReport) -> String {
    let is_baseline = |trial: &ProofTrial| {
        report.baseline.as_ref().is_some_and(|baseline| trial.run_args == baseline.run_args)
    };
    let each = |trial: &ProofTrial| {
        let whose = match (trial.run_args == report.choice.run_args, is_baseline(trial)) {
            (true, _) => "the choice",
            (_, true) => "ezkl's",
            _ => "another",
        };
        format!("{whose} (k = {}) {:.2} s", trial.run_args.logrows, trial.prove_seconds)
    };
    let proofs = report.trials.iter().map(|trial| trial.proofs).max().unwrap_or(0);
    let times: Vec<_> = report.trials.iter().map(each).collect();
    format!("{proofs} proofs in turn decided between {}", times.join(", "))
}

fn accuracy(report: &TuneReport, largest: f64) -> String {
    let bound = &report.bound;
    let within = match report.bound_from {
        BoundFrom::Caller => format!("within the bound {bound}"),
        BoundFrom::Baseline => format!("within ezkl's own calibration's {:.3e}", bound.value),
        BoundFrom::OutputRange => format!(
            "within {:.3e}, {} % of the range of the model's outputs",
            bound.value,
            AIMED_SHARE * 100.0
        ),
        BoundFrom::Closest => {
            "the least that was reached: no circuit keeps to ezkl's calibration's, or to the share of \
             the outputs' range that is the default"
                .to_owned()
        }
    };
    let drawn = match report.drawn {
        0 => String::new(),
        drawn => format!(" and {drawn} inputs drawn beside them"),
    };
    let few = match report.observations {
        0..8 if report.drawn > 0 => {
            "; observations are few, so inputs are drawn from bounds inferred from them, or from the \
             corners (`--corners`)"
        }
        _ => "",
    };
    format!(
        "the largest error on {} observations{drawn} is {largest:.3e}, {within}{few}",
        report.observations
    )
}
