//! What the contracts cost under today's rules and the next, as whole transactions in the in-process EVM.

use super::contracts::{fixture_args, fixture_descriptor, fixture_model, fixture_proof};
use crate::{
    calldata,
    chain::{
        contracts::{
            Core, ModelArgs, bindings::ModelRouter, bindings::PredictionLedger,
            implementation_contract, ledger_contract, router_contract,
        },
        create2,
        deploy::{Contract, Deployed, Outcome},
    },
    evm::{Evm, Hardfork, SENDER},
    files,
    model::proof::Proof,
};
use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    sol_types::SolCall,
};
use std::{collections::BTreeMap, path::Path};

/// Gas of a transaction each, or of one prediction of a batch.
type Costs = BTreeMap<&'static str, u64>;

const BATCH: usize = 16;

struct Chain {
    evm: Evm,
    costs: Costs,
}

impl Chain {
    fn new(hardfork: Hardfork) -> Self {
        let mut evm = Evm::new(hardfork);
        evm.set_code(create2::PROXY, Bytes::from_static(create2::PROXY_CODE));
        Self { evm, costs: Costs::new() }
    }

    /// Deploys a contract as the command does.
    fn put(&mut self, what: &'static str, contract: &Contract) -> Address {
        let input = create2::calldata(create2::SALT, &contract.init_code);
        let result = self.evm.transact(create2::PROXY, input, self.evm.gas_limit()).expect("run");
        assert!(result.success, "{what}: {result:?}");
        self.costs.insert(what, result.gas_used);
        Address::from_slice(&result.output)
    }

    /// What a transaction costs that leaves no trace.
    fn cost(&mut self, what: &'static str, to: Address, input: Vec<u8>, of: u64) {
        let result = self.evm.call(to, input.into(), self.evm.gas_limit()).expect("run");
        assert!(result.success && result.halt.is_none(), "{what}: {}", result.output);
        self.costs.insert(what, result.gas_used / of);
    }
}

fn words(proof: &Proof) -> Vec<U256> {
    proof.instances.iter().map(|felt| felt.to_u256()).collect()
}

fn costs(name: &str, verifier: &Contract, hardfork: Hardfork) -> Costs {
    let mut chain = Chain::new(hardfork);
    let implementation = chain.put("deploy the implementation", &implementation_contract());
    let router = chain.put("deploy the router", &router_contract(SENDER));
    let ledger = chain.put("deploy the ledger", &ledger_contract(router));
    let core = Core::of(SENDER);
    assert_eq!((implementation, router, ledger), (core.implementation, core.router, core.ledger));
    let bare = chain.put("deploy the bare verifier", verifier);
    let deployed = Deployed {
        name: verifier.name.clone(),
        address: Some(bare),
        runtime_code_hash: Some(keccak256(chain.evm.code(bare))),
        init_code_hash: B256::ZERO,
        outcome: Outcome::AlreadyDone,
    };
    let golden = fixture_proof(name, "proof-0");
    let args: ModelArgs = fixture_args(name, &deployed, None);
    let add = ModelRouter::addModelCall {
        args: args.to_abi(),
        proof: golden.bytes.clone(),
        instances: words(&golden),
    };
    let limit = chain.evm.gas_limit();
    let added = chain.evm.transact(router, add.abi_encode().into(), limit).expect("run");
    assert!(added.success, "{}", added.output);
    chain.costs.insert("add the model", added.gas_used);
    let own = chain.costs["deploy the bare verifier"] + added.gas_used;
    chain.costs.insert("a model's own deployment", own);
    let route = args.address(router, implementation);
    assert_eq!(chain.evm.code(route), args.code(implementation));

    let packing = fixture_descriptor(name).packing();
    let model_id = fixture_model(name).id.0;
    let context = B256::ZERO;
    let (proof, instances) = (golden.bytes.clone(), words(&golden));
    let packed = Bytes::from(packing.pack(&golden.instances).expect("fits"));
    chain.cost(
        "verify, bare",
        bare,
        calldata::encode_verify_proof(&proof, &golden.instances).to_vec(),
        1,
    );
    chain.cost(
        "verify packed, bare",
        bare,
        calldata::encode_verify_packed(&proof, &packed).to_vec(),
        1,
    );
    let call = PredictionLedger::recordCall {
        modelId: model_id,
        context,
        proof: proof.clone(),
        instances: instances.clone(),
    };
    chain.cost("record", ledger, call.abi_encode(), 1);
    let call = PredictionLedger::recordPackedCall {
        modelId: model_id,
        context,
        proof: proof.clone(),
        packed: packed.clone(),
    };
    chain.cost("record packed", ledger, call.abi_encode(), 1);
    let (count, of) = (U256::from(BATCH), BATCH as u64);
    let call = PredictionLedger::recordBatchCall {
        modelId: model_id,
        context,
        count,
        proofs: vec![proof.clone(); BATCH],
        instances: vec![instances; BATCH],
    };
    chain.cost("record a batch of 16, each", ledger, call.abi_encode(), of);
    let call = PredictionLedger::recordBatchPackedCall {
        modelId: model_id,
        context,
        count,
        proofs: vec![proof; BATCH],
        packed: vec![packed; BATCH],
    };
    chain.cost("record a batch of 16 packed, each", ledger, call.abi_encode(), of);
    let gate = ModelRouter::gateCall {
        modelId: model_id,
        proof: golden.bytes.clone(),
        instances: words(&golden),
    };
    // Free, but a node gives a call so much gas and no more.
    chain.cost("the gate, by eth_call", router, gate.abi_encode(), 1);
    chain.costs
}

/// Compared with snapshots/forks.json, which contracts/README.md has its table from. With `SNAPSHOTS=overwrite` it is
/// written anew.
#[test]
fn every_contract_costs_what_the_snapshot_says_under_both_forks() {
    let models = [("credit", super::credit_verifier()), ("tree", super::tree_verifier())];
    let mut found: BTreeMap<&str, BTreeMap<&str, Costs>> = BTreeMap::new();
    for (name, verifier) in &models {
        for hardfork in Hardfork::REPORTED {
            let costs = costs(name, verifier, hardfork);
            found.entry(name).or_default().insert(hardfork.name(), costs);
        }
    }
    // Nothing that a chain takes is too much for one transaction's execution.
    for costs in found.values() {
        let osaka = &costs[Hardfork::Osaka.name()];
        assert!(osaka["add the model"] < Hardfork::Osaka.rules().transaction_gas);
        assert!(osaka["the gate, by eth_call"] < 30_000_000, "{osaka:?}");
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
