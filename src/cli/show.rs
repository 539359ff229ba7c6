//! How values are shown to people.

use crate::{
    artifacts::layout::{DecodedInstances, Values},
    model::{batch::Predictions, schema::TensorKind},
    project::{BatchReport, Comparison, Hashing},
    tune::ForkEstimate,
    verifier::{ForkGas, GasReport},
};
use serde_json::{Value, json};

/// Elements shown of a long tensor.
const SHOWN: usize = 8;

/// A proof's public values, a line a tensor.
pub(super) fn decoded(decoded: &DecodedInstances) -> String {
    decoded
        .groups
        .iter()
        .map(|group| {
            let name = match group.group.kind {
                TensorKind::ProcessedInput => "input hash",
                TensorKind::ProcessedParam => "param hash",
                TensorKind::Input => "input",
                TensorKind::Output => "output",
                TensorKind::ProcessedOutput => "output hash",
            };
            let values = match &group.values {
                Values::Numbers(values) => numbers(values),
                Values::Hashes(hashes) => {
                    hashes.iter().map(|hash| hash.to_be_hex()).collect::<Vec<_>>().join(", ")
                }
            };
            format!("{name:<12} {values}")
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// The same of a proof of several predictions, one after the other; what only fills the circuit up is left out.
pub(super) fn each(all: &DecodedInstances, predictions: Predictions) -> String {
    let Some(each) = several(all, predictions) else { return decoded(all) };
    let mut lines = Vec::new();
    for (number, one) in each.iter().enumerate() {
        lines.push(format!("prediction   {number}"));
        lines.extend(decoded(one).lines().map(|line| format!("  {line}")));
    }
    let Predictions { size, count } = predictions;
    if count < size {
        lines.push(format!("padding      {} of {size}, no predictions", size - count));
    }
    lines.join("\n")
}

/// Puts the predictions of a proof of several into a result.
pub(super) fn add_predictions(data: &mut Value, all: &DecodedInstances, predictions: Predictions) {
    if let Some(each) = several(all, predictions) {
        let Predictions { size, count } = predictions;
        data["predictions"] = json!({ "size": size, "count": count, "decoded": each });
    }
}

/// The predictions of a proof, without what only fills the circuit up.
pub(super) fn predictions(
    all: &DecodedInstances,
    predictions: Predictions,
) -> Vec<DecodedInstances> {
    several(all, predictions).unwrap_or_else(|| vec![all.clone()])
}

fn several(all: &DecodedInstances, predictions: Predictions) -> Option<Vec<DecodedInstances>> {
    let Predictions { size, count } = predictions;
    let mut each = all.predictions(size as usize).filter(|_| size > 1)?;
    each.truncate(count as usize);
    Some(each)
}

/// What another hardfork charges, state apart from execution.
fn fork_line(fork: &ForkGas) -> String {
    let mut line = format!("{:<12} ", fork.hardfork.name());
    if let Some(gas) = fork.verify_gas {
        line.push_str(&format!("{gas} gas to verify, "));
    }
    line.push_str(&format!("{} to deploy", fork.deploy_gas));
    if fork.deploy_state_gas > 0 {
        line.push_str(&format!(" ({} of it for state)", fork.deploy_state_gas));
    }
    if !fork.deployable {
        line.push_str(", too long to deploy");
    }
    line
}

/// What packed instances save of the calldata, and what that comes to.
fn packed_line(report: &GasReport) -> Option<String> {
    let length = report.packed_calldata_len?;
    let gas: Vec<_> = report
        .forks
        .iter()
        .filter_map(|fork| Some(format!("{} gas ({})", fork.packed_gas?, fork.hardfork)))
        .collect();
    let plain = report.calldata_len;
    let gas = gas.join(", ");
    Some(format!("\npacked       {length} bytes of calldata in place of {plain}: {gas}"))
}

/// Gas under each fork, as estimated.
pub(super) fn estimates(forks: &[ForkEstimate]) -> String {
    let gas: Vec<_> =
        forks.iter().map(|fork| format!("{} gas ({})", fork.gas, fork.hardfork)).collect();
    gas.join(", ")
}

/// What hashing the inputs would save, in a line of its own.
pub(super) fn hashing(hashing: &Hashing, report: &GasReport) -> String {
    let Hashing { values, hashes, calldata_bytes, forks } = hashing;
    let words = if *hashes == 1 { "word" } else { "words" };
    format!(
        "\nhashed       {values} input values as {hashes} {words}: {calldata_bytes} bytes of calldata in place of {}; \
         about {}, and more for the columns that hashing takes",
        report.calldata_len,
        estimates(forks)
    )
}

/// The first few numbers, and how many there are.
pub(super) fn numbers(values: &[f64]) -> String {
    let shown =
        values.iter().take(SHOWN).map(|value| format!("{value}")).collect::<Vec<_>>().join(", ");
    if values.len() > SHOWN {
        format!("[{shown}, … {} values]", values.len())
    } else {
        format!("[{shown}]")
    }
}

/// Sizes and gas; for a lean verifier beside ezkl's, by phase, and of its batches.
pub(super) fn gas(
    report: &GasReport,
    comparison: Option<&Comparison>,
    batch: Option<&BatchReport>,
) -> String {
    let verify = report.verify_gas.map_or("not measured".to_owned(), |gas| format!("{gas} gas"));
    let mut text = format!(
        "verify       {verify} ({})\ndeploy       {} gas\ncode         {} bytes of {}",
        report.hardfork,
        report.deploy_gas,
        report.runtime_size,
        report.hardfork.rules().runtime_code
    );
    for fork in report.forks.iter().filter(|fork| fork.hardfork != report.hardfork) {
        text.push_str(&format!("\n{}", fork_line(fork)));
    }
    text.extend(packed_line(report));
    if let Some(Comparison { optimized_for, other, .. }) = comparison {
        let from = match other.break_even_calls {
            Some(calls) => format!("\"calls\" pays from {calls} calls on"),
            None => "\"calls\" never pays".to_owned(),
        };
        text.push_str(&format!(
            "\ncheap in     {optimized_for}; optimize_for = \"{}\": {} gas to verify, {} to deploy, {} bytes; {from}",
            other.optimized_for,
            other.verify_gas.unwrap_or_default(),
            other.deploy_gas,
            other.runtime_size,
        ));
    }
    if let Some(Comparison { ezkl, breakdown, .. }) = comparison {
        let percent = |lean: u64, ezkl: u64| 100.0 * lean as f64 / ezkl.max(1) as f64;
        let verify = ezkl.verify_gas.unwrap_or_default();
        text.push_str(&format!(
            "\nezkl's own   {verify} gas to verify ({:.1} %), {} to deploy ({:.1} %), {} bytes",
            percent(report.verify_gas.unwrap_or_default(), verify),
            ezkl.deploy_gas,
            percent(report.deploy_gas, ezkl.deploy_gas),
            ezkl.runtime_size,
        ));
        let phases: Vec<_> =
            breakdown.phases.iter().map(|phase| format!("{} {}", phase.phase, phase.gas)).collect();
        text.push_str(&format!(
            "\nof which     {}, points {}, pairing {}, calldata {} (floor {})",
            phases.join(", "),
            breakdown.points,
            breakdown.pairing,
            breakdown.calldata,
            breakdown.floor
        ));
    }
    if let Some(BatchReport { verifier: report, gas }) = batch {
        let gas: Vec<_> =
            gas.iter().map(|it| format!("{} × {}", it.proofs, it.gas_per_proof)).collect();
        text.push_str(&format!(
            "\nbatches      {} gas to verify, {} to deploy, {} bytes",
            gas.join(", "),
            report.deploy_gas,
            report.runtime_size
        ));
    }
    text
}
