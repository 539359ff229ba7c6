//! Everything that needs a node, on real Anvil.

mod batches;
mod check;
mod contracts;
mod costs;
mod deploying;
mod failing_rpc;
mod fixture;
mod forks;
mod former;
mod once;
mod proxy;
mod sending;
mod sources;

use super::{
    account::{Account, Wallet},
    deploy::Contract,
    node::{
        anvil::{AnvilNode, AnvilOptions},
        rpc::Rpc,
    },
    tx::{Call, Sender, TxOptions, revert::RevertDecoder, run_file::Run},
};
use crate::{
    calldata::Shape,
    field::Felt,
    model::{identity::ModelIdentity, proof::Proof, provenance::Provenance, schema::Descriptor},
};
use alloy::{
    json_abi::JsonAbi,
    primitives::{Address, Bytes, U256},
    sol,
    sol_types::SolCall,
};

sol! {
    /// The contract in testdata/forge-run-latest.json.
    function set(uint256 v) external;
    event Set(uint256 indexed x);
}

async fn node() -> AnvilNode {
    AnvilNode::spawn(AnvilOptions::default()).await.expect("anvil runs")
}

fn account(index: usize) -> Account {
    Account::Signer(Wallet::anvil(index).expect("one of ten"))
}

fn sender(node: &AnvilNode, options: TxOptions) -> Sender {
    let abi = JsonAbi::parse(["error Bad(uint256 got)"]).expect("an ABI");
    Sender::new(node.rpc().clone(), account(0), options)
        .expect("Anvil's own chain")
        .with_decoder(RevertDecoder::new().with_abi(&abi))
}

/// Any method of the node.
async fn ask(rpc: &Rpc, method: &'static str, params: serde_json::Value) -> serde_json::Value {
    rpc.request(method, params).await.unwrap_or_else(|error| panic!("{method}: {error}"))
}

async fn mine(rpc: &Rpc) {
    ask(rpc, "evm_mine", serde_json::json!([])).await;
}

/// The contract `C` with one number, which forge deployed with the salt 5.
fn counter() -> Contract {
    let run: Run = serde_json::from_str(include_str!("../testdata/forge-run-latest.json"))
        .expect("forge's file");
    Contract {
        name: "C".into(),
        init_code: run.transactions[0].transaction.input[32..].to_vec().into(),
        runtime_code: None,
        arguments: Some(vec!["7".into()]),
        encoded_arguments: Bytes::new(),
    }
}

fn set_call(counter: Address, value: u64) -> Call {
    let input = setCall { v: U256::from(value) }.abi_encode();
    Call::new(counter, input.into(), "the call of set")
}

/// A `C` to call.
async fn deployed_counter(sender: &Sender) -> Address {
    let receipt = sender.send(&Call::create(counter().init_code, "C")).await.expect("deployed");
    receipt.contract_address.expect("created")
}

/// The lean verifier of the decision tree.
fn tree_verifier() -> Contract {
    fixture::lean_verifier("tree")
}

fn contract(name: &str, code: &str) -> Contract {
    Contract {
        name: name.into(),
        init_code: code.trim().parse().expect("hex"),
        runtime_code: None,
        arguments: None,
        encoded_arguments: Bytes::new(),
    }
}

/// What a proof of the tree has.
const TREE_SHAPE: Shape = Shape { proof_len: 2976, n_instances: 7 };

/// One of the tree's proofs.
fn tree_proof(index: usize) -> Proof {
    fixture::fixture_proof("tree", ["proof-0", "proof-0-again", "proof-1"][index.min(2)])
}
