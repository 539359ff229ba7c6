//! What the contracts cost under today's rules and the next.

use super::fixture::{fixture_args, fixture_proof, lean_verifier};
use crate::{
    chain::{
        costs::{Costs, measure},
        deploy::{Deployed, Outcome},
    },
    evm::Hardfork,
    files,
};
use alloy::primitives::{Address, B256};
use std::{collections::BTreeMap, path::Path};

/// Compared with snapshots/forks.json and with README.md's table. With `SNAPSHOTS=overwrite` both are written anew.
#[test]
fn every_contract_costs_what_the_snapshot_says_under_both_forks() {
    let models = ["credit", "tree", "batch"].map(|name| (name, lean_verifier(name)));
    let nobodys = Deployed {
        name: "LeanVerifier".into(),
        address: Some(Address::ZERO),
        runtime_code_hash: Some(B256::ZERO),
        init_code_hash: B256::ZERO,
        outcome: Outcome::AlreadyDone,
    };
    let mut found: BTreeMap<&str, BTreeMap<&str, Costs>> = BTreeMap::new();
    for (name, verifier) in &models {
        let (args, golden) = (fixture_args(name, &nobodys, None), fixture_proof(name, "proof-0"));
        for hardfork in Hardfork::REPORTED {
            let costs = measure(hardfork, &verifier.init_code, &args, &golden).expect("measured");
            found.entry(name).or_default().insert(hardfork.name(), costs);
        }
    }
    for costs in found.values() {
        let osaka = &costs[Hardfork::Osaka.name()];
        // One transaction each, and a call such as nodes take.
        for gas in [osaka.implementation, osaka.router, osaka.ledger, osaka.add_model] {
            assert!(gas < Hardfork::Osaka.rules().transaction_gas, "{osaka:?}");
        }
        assert!(osaka.gate < 30_000_000, "{osaka:?}");
        assert!(osaka.batch < osaka.record && osaka.record_packed.is_some(), "{osaka:?}");
    }
    let mut text = serde_json::to_string_pretty(&found).expect("JSON");
    text.push('\n');
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    is_as_written(&root.join("snapshots/forks.json"), |_| text);
    is_as_written(&root.join("README.md"), |readme| with_table(&readme, &table(&found)));
}

/// Compares a file with what it should be, or makes it so.
fn is_as_written(path: &Path, expected: impl FnOnce(String) -> String) {
    let known = files::read_to_string(path).unwrap_or_default();
    let expected = expected(known.clone());
    if std::env::var("SNAPSHOTS").is_ok_and(|value| value == "overwrite") {
        return files::write_atomic(path, expected.as_bytes()).expect("written");
    }
    let path = path.display();
    assert_eq!(known, expected, "{path}: SNAPSHOTS=overwrite writes it anew");
}

/// A table in place of that between README's markers.
fn with_table(readme: &str, table: &str) -> String {
    let (before, rest) = readme.split_once("<!-- gas of the contracts").expect("a marker");
    let (marker, rest) = rest.split_once("-->\n").expect("its end");
    let (_, after) = rest.split_once("<!-- end -->").expect("the other marker");
    format!("{before}<!-- gas of the contracts{marker}-->\n\n{table}\n<!-- end -->{after}")
}

/// A column for each model and fork, in the order of the snapshot, today's rules first.
fn table(found: &BTreeMap<&str, BTreeMap<&str, Costs>>) -> String {
    type Cell = fn(&Costs) -> Option<u64>;
    let rows: [(&str, Cell); 8] = [
        ("deploy the verifier and add the model", |it| Some(it.model)),
        ("of which the router's call, with the golden proof", |it| Some(it.add_model)),
        ("verify a proof, by the bare verifier", |it| Some(it.verify)),
        ("the same, public values packed", |it| it.verify_packed),
        ("record the predictions of a proof, each", |it| Some(it.record)),
        ("the same, packed", |it| it.record_packed),
        ("record those of 16 proofs at once, each", |it| Some(it.batch)),
        ("the same, packed", |it| it.batch_packed),
    ];
    let columns: Vec<(String, &Costs)> = found
        .iter()
        .flat_map(|(name, costs)| {
            Hardfork::REPORTED.map(|fork| (format!("{name}, {fork}"), &costs[fork.name()]))
        })
        .collect();
    let names: Vec<_> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let mut lines = vec![format!("| | {} |", names.join(" | "))];
    lines.push(format!("|---|{}", "--:|".repeat(columns.len())));
    for (what, cell) in rows {
        let cells: Vec<_> = columns.iter().map(|(_, costs)| grouped(cell(costs))).collect();
        lines.push(format!("| {what} | {} |", cells.join(" | ")));
    }
    lines.join("\n") + "\n"
}

/// With a comma between thousands.
fn grouped(gas: Option<u64>) -> String {
    let digits = gas.map_or_else(String::new, |gas| gas.to_string());
    let first = digits.len() % 3;
    let mut groups = vec![&digits[..first]];
    groups.extend((first..digits.len()).step_by(3).map(|at| &digits[at..at + 3]));
    groups.retain(|group| !group.is_empty());
    groups.join(",")
}
