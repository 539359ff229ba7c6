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

/// Compared with snapshots/forks.json, which contracts/README.md has its table from. With `SNAPSHOTS=overwrite` it is
/// written anew.
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
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots/forks.json");
    if std::env::var("SNAPSHOTS").is_ok_and(|value| value == "overwrite") {
        files::write_atomic(&path, text.as_bytes()).expect("written");
    }
    let known =
        files::read_to_string(&path).expect("the snapshot; make it with SNAPSHOTS=overwrite");
    assert_eq!(known, text, "SNAPSHOTS=overwrite writes snapshots/forks.json anew");
}
