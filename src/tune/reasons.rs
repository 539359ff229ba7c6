//! Why a circuit was chosen, in sentences.

use super::{
    objective::Objective,
    report::{ProofTrial, TuneReport},
};

pub(super) fn reasons(report: &TuneReport, scales_kept: bool) -> Vec<String> {
    let (choice, baseline) = (&report.choice, &report.baseline);
    let args = &choice.run_args;
    let mut reasons = Vec::new();
    if report.keeps_baseline() {
        reasons.push(
            "nothing that was found proves faster than ezkl's own calibration, so it is kept"
                .to_owned(),
        );
    } else {
        reasons.push(format!(
            "k = {} instead of {}: base {}^{} instead of {}^{} holds what values need with a {:.0}-fold \
             margin; proving is expected to take {:.2} s instead of {:.2} s ({:.1} times faster)",
            args.logrows,
            baseline.run_args.logrows,
            args.decomp_base,
            args.decomp_legs,
            baseline.run_args.decomp_base,
            baseline.run_args.decomp_legs,
            report.headroom.range,
            choice.cost.prove_seconds,
            baseline.cost.prove_seconds,
            report.speedup()
        ));
        let by_time = matches!(report.objective, Objective::Balanced | Objective::ProveTime);
        if by_time && report.trials.is_empty() && report.speedup() < 1.0 {
            reasons.push(
                "ezkl's own calibration is no choice: it does not prove every input and corner, or \
                 exceeds a limit"
                    .to_owned(),
            );
        }
    }
    if !report.trials.is_empty() {
        let each = |trial: &ProofTrial| {
            let whose =
                match (trial.run_args == choice.run_args, trial.run_args == baseline.run_args) {
                    (true, _) => "the choice",
                    (_, true) => "ezkl's",
                    _ => "another",
                };
            format!("{whose} (k = {}) {:.2} s", trial.run_args.logrows, trial.prove_seconds)
        };
        let proofs = report.trials.iter().map(|trial| trial.proofs).max().unwrap_or(0);
        let times: Vec<_> = report.trials.iter().map(each).collect();
        reasons.push(format!("{proofs} proofs in turn decided between {}", times.join(", ")));
    }
    if let Some(error) = &choice.error {
        let bound = match report.bound_from_baseline {
            true => format!("ezkl's own calibration's {:.3e}", report.bound.value),
            false => format!("the bound {}", report.bound),
        };
        reasons.push(format!(
            "the largest error on {} inputs is {:.3e}, within {bound}",
            report.inputs, error.max
        ));
    }
    let more = choice.cost.verify_gas > baseline.cost.verify_gas;
    reasons.push(format!(
        "verification takes about {} gas, {} ezkl's calibration's {}",
        choice.cost.verify_gas,
        if more { "more than" } else { "not more than" },
        baseline.cost.verify_gas
    ));
    if let Some(factor) = report.headroom.inputs {
        let text = if factor >= 2.0 {
            format!("inputs up to {factor} times those tried still prove")
        } else {
            format!(
                "inputs more than {factor} times those tried may not prove; give inputs at the ends \
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
