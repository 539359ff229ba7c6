//! What nodes of different forks take, Amsterdam's on Hardhat's EVM.

use super::{
    proxy::{Act, error, through},
    *,
};
use crate::{
    chain::{
        Error, Mode,
        deploy::{Method, deploy_contract},
        node::{endpoint::Endpoint, rpc::RpcOptions},
        tx,
    },
    evm::Hardfork,
    toolchain::{self, NpmPackage},
};
use serde_json::json;
use std::process::Stdio;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// Ends with its stdin, so also with this process.
struct Amsterdam {
    rpc: Rpc,
    _node: Child,
}

/// A node that charges for state and calldata as Amsterdam does.
async fn amsterdam() -> Amsterdam {
    let package = NpmPackage::new(
        "@nomicfoundation/edr-linux-x64-gnu",
        "0.22.0",
        "sha512-oYbYDXYIof+/ZKegmwxugGYhoGfnVFLrVqxmW0po9KETuUnNBg7hKn9SzlOLRAIQGoKUUUfiBjvZdp1gzHKMWQ==",
    );
    let cache = toolchain::cache_dir().expect("a cache folder");
    let folder = package.install(&cache).await.expect("EDR's package");
    let mut node = Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/amsterdam-node.cjs"))
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("node runs");
    let mut lines = BufReader::new(node.stdout.take().expect("piped")).lines();
    let url = lines.next_line().await.expect("read").expect("its URL");
    let endpoint = Endpoint::new(url.parse().expect("a URL")).expect("http");
    let rpc = Rpc::connect(endpoint, RpcOptions::default()).await.expect("connected");
    Amsterdam { rpc, _node: node }
}

/// A contract of so many zero bytes.
fn zeros(length: usize) -> Contract {
    let length = u32::try_from(length).expect("short").to_be_bytes();
    let code = [&[0x62][..], &length[1..], &[0x5f, 0xf3]].concat();
    contract("Zeros", &alloy::hex::encode(code))
}

fn sender_of(rpc: &Rpc) -> Sender {
    Sender::new(rpc.clone(), account(0), TxOptions::default()).expect("Anvil's own chain")
}

fn sized(length: usize) -> Contract {
    Contract { runtime_code: Some(vec![0; length].into()), ..zeros(length) }
}

#[tokio::test]
async fn where_state_has_a_gas_of_its_own_more_than_2_to_the_24_is_sent() {
    let node = amsterdam().await;
    assert_eq!(node.rpc.hardfork().await.ok(), Some(Hardfork::Amsterdam));
    let sender = sender_of(&node.rpc);
    let cap = Hardfork::Osaka.rules().transaction_gas;
    // 13 kB as a verifier has, and more than a chain of today takes.
    for length in [13_000, 26_000] {
        let deployed = deploy_contract(&sender, &sized(length), Method::default(), Mode::Broadcast)
            .await
            .unwrap_or_else(|error| panic!("{length}: {error}"));
        let receipt = deployed.outcome.receipt().expect("mined").clone();
        assert!(receipt.gas_used > cap && receipt.gas_used > 1_530 * length as u64, "{receipt:?}");
        let code = node.rpc.code(deployed.address.expect("known")).await.expect("answered");
        assert_eq!(code.len(), length);
    }
    let error = deploy_contract(&sender, &sized(65_537), Method::default(), Mode::Broadcast).await;
    assert!(matches!(error, Err(Error::CodeSize { limit: 65_536, .. })), "{error:?}");
}

#[tokio::test]
async fn a_chain_of_today_keeps_its_limits() {
    let node = node().await;
    assert_eq!(node.rpc().hardfork().await.ok(), Some(Hardfork::Osaka));
    let error =
        deploy_contract(&sender_of(node.rpc()), &sized(24_577), Method::default(), Mode::Broadcast)
            .await;
    assert!(matches!(error, Err(Error::CodeSize { limit: 24_576, .. })), "{error:?}");
}

#[tokio::test]
async fn eth_config_is_believed_where_a_node_has_it() {
    let node = node().await;
    let config = |contracts: serde_json::Value| {
        let fork = json!({
            "activationTime": 1, "chainId": "0x7a69", "forkId": "0x00000000", "precompiles": {},
            "blobSchedule": { "baseFeeUpdateFraction": 5007716, "max": 9, "target": 6 },
            "systemContracts": contracts,
        });
        json!({ "result": { "current": fork, "next": null, "last": null } })
    };
    let there = "0x000000000000000000000000000000000000000a";
    let amsterdam = config(json!({ "BUILDER_DEPOSIT_CONTRACT_ADDRESS": there }));
    let osaka = config(json!({ "HISTORY_STORAGE_ADDRESS": there }));
    let cases = [
        (amsterdam, Hardfork::Amsterdam),
        (osaka, Hardfork::Osaka),
        (error(-32601, "method not found"), Hardfork::Osaka),
        (json!({ "result": "nothing of the kind" }), Hardfork::Osaka),
    ];
    for (answer, expected) in cases {
        let told = answer.clone();
        let (rpc, _) = through(&node, move |method, _| match method {
            "eth_config" => Act::Answer(false, answer.clone()),
            _ => Act::Pass,
        })
        .await;
        assert_eq!(rpc.hardfork().await.ok(), Some(expected), "{told}");
    }
}

/// What is executed is capped everywhere; only the node knows how much of its estimate that is.
#[tokio::test]
async fn a_node_of_today_that_estimates_more_is_not_sent_more() {
    let node = node().await;
    let (rpc, asked) = through(&node, |method, _| match method {
        "eth_estimateGas" => Act::Answer(false, json!({ "result": "0xf42400" })),
        _ => Act::Pass,
    })
    .await;
    // 16,000,000, and 30 % more is over the cap.
    let call = Call::new(Address::repeat_byte(1), Bytes::new(), "a call");
    let simulation = sender_of(&rpc).simulate(&call).await.expect("simulated");
    assert_eq!(simulation.gas_limit, 1 << 24);
    assert_eq!(asked.lock().expect("free").get("eth_config"), Some(&1));
    let (rpc, _) = through(&node, |method, _| match method {
        "eth_estimateGas" => Act::Answer(false, json!({ "result": "0x1036640" })),
        _ => Act::Pass,
    })
    .await;
    let refused = sender_of(&rpc).simulate(&call).await;
    assert!(matches!(refused, Err(tx::Error::TooMuchGas { gas: 17_000_000, .. })), "{refused:?}");
}
