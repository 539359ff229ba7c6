//! On chain exactly once, whatever becomes of the submitter, the node and the chain.

use crate::{
    on_both,
    proxy::{Mode, Proxy},
    site::{Process, Site, rpc},
    support::Node,
};
use alloy::{
    primitives::{Address, B256, Log},
    sol_types::SolEvent as _,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use zkvouch::{
    chain::contracts::bindings::PredictionLedger,
    fleet::job::{Job, State},
};

on_both! {
    submitters_are_killed_and_stand_in_for_each_other
    a_reorganisation_sends_it_back
}

/// A node with the contracts.
pub fn deployed(site: &Site) -> Node {
    let node = Node::start(&[]);
    site.data(&["deploy", "--broadcast", "--rpc-url", &node.url]);
    node
}

pub fn submitter(site: &Site, name: &str, url: &str, more: &[&str]) -> Process {
    let run = ["fleet", "run", "--workers", "0", "--broadcast", "--rpc-url", url, "--wait", "1"];
    site.start(name, &[&run[..], &["--bump-after", "2"], more].concat())
}

/// How often the ledger recorded each prediction, by its id.
fn recorded(site: &Site, url: &str) -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(site.project.file("deployments/31337.json")).expect("read");
    let deployments: Value = serde_json::from_str(&text).expect("JSON");
    let contracts = deployments["contracts"].as_array().expect("a list").iter();
    let mut ledgers = contracts.filter(|it| it["role"] == "ledger");
    let ledger = ledgers.next().expect("a ledger")["address"].as_str().expect("an address");
    let filter = json!([{ "fromBlock": "0x0", "address": ledger }]);
    let mut counts = BTreeMap::new();
    let mut count = |id: B256| *counts.entry(id.to_string()).or_default() += 1;
    for log in rpc(url, "eth_getLogs", filter).as_array().expect("logs") {
        let hex = |value: &Value| -> Vec<u8> {
            alloy::hex::decode(value.as_str().expect("hex")).expect("hex")
        };
        let topics = log["topics"].as_array().expect("topics").iter();
        let topics = topics.map(|topic| B256::from_slice(&hex(topic))).collect();
        let log = Log::new(Address::ZERO, topics, hex(&log["data"]).into()).expect("a log");
        // A prediction by itself has an event of its own, a batch has one for all.
        if let Ok(event) = PredictionLedger::PredictionRecorded::decode_log(&log) {
            count(event.id);
        }
        if let Ok(event) = PredictionLedger::BatchRecorded::decode_log(&log) {
            event.ids.iter().copied().for_each(&mut count);
        }
    }
    counts
}

/// Asserts that each job's prediction is recorded once, and nothing else.
#[track_caller]
pub fn each_once(site: &Site, url: &str, jobs: &[Job]) {
    let counts = recorded(site, url);
    let mut wanted = BTreeMap::new();
    for job in jobs {
        wanted.insert(job.prediction.expect("an id").to_string(), 1);
    }
    assert_eq!(counts, wanted);
}

async fn submitters_are_killed_and_stand_in_for_each_other(site: Site) {
    let node = deployed(&site);
    site.submit(16, &["--record"]);
    let _worker = site.worker("worker");
    // Blocks that come slowly leave time to be killed between what is handed over and its receipt.
    rpc(&node.url, "evm_setIntervalMining", json!([1]));
    let batch = ["--batch", "3"];
    let mut both =
        [submitter(&site, "s0", &node.url, &batch), submitter(&site, "s1", &node.url, &batch)];
    let mut kills = 0;
    for round in 0..40_u64 {
        let all = site.all().await;
        if all.iter().all(|job| job.state.is_final()) {
            break;
        }
        // At every time between two blocks, by and by.
        tokio::time::sleep(Duration::from_millis(700 + round * 137 % 900)).await;
        let which = (round % 2) as usize;
        both[which].kill();
        kills += 1;
        both[which] = submitter(&site, &format!("s{which}"), &node.url, &batch);
    }
    let done = site.until_done().await;
    each_once(&site, &node.url, &done);
    assert!(kills > 3, "{kills}");
    println!("{kills} kills");
}

async fn a_reorganisation_sends_it_back(site: Site) {
    let node = deployed(&site);
    site.submit(3, &["--record"]);
    let _worker = site.worker("worker");
    site.until("proved", |jobs| jobs.iter().all(|job| job.state == State::Proved)).await;
    let _submitter = submitter(&site, "s", &node.url, &["--confirmations", "4"]);
    let is = |state| move |jobs: &[Job]| jobs.iter().all(|job| job.state == state);
    site.until("recorded", is(State::Recorded)).await;
    rpc(&node.url, "anvil_reorg", json!([1, []]));
    assert!(recorded(&site, &node.url).is_empty(), "the chain forgot it");
    site.until("sent again", |_| recorded(&site, &node.url).len() == 3).await;
    site.until("recorded", is(State::Recorded)).await;
    rpc(&node.url, "anvil_mine", json!(["0x4"]));
    let done = site.until_done().await;
    each_once(&site, &node.url, &done);
    let status = site.data(&["fleet", "status"]);
    assert_eq!(status["recorded"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_misbehaves_delays_and_doubles_nothing() {
    let site = Site::sqlite().await;
    let node = deployed(&site);
    let proxy = Proxy::start(&node.url);
    let _worker = site.worker("worker");
    let _submitter = submitter(&site, "s", &proxy.url, &["--rpc-timeout", "5"]);
    let modes = [
        // The submitter starts meanwhile, which takes a node that answers.
        Mode::Well,
        Mode::Down,
        Mode::TooMany,
        Mode::Slow,
        Mode::Refuses("nonce too low"),
        Mode::Refuses("replacement transaction underpriced"),
        Mode::TakesAndRefuses("already known"),
        Mode::TakesAndRefuses("internal error"),
        Mode::Drops,
    ];
    let mut expected = 0;
    for (number, mode) in modes.into_iter().enumerate() {
        let x = number as f64 / 16.0;
        proxy.set(mode);
        site.submit_text(&format!("{{\"input_data\": [[{x}, 0.5, -0.5]]}}"), &["--record"]);
        expected += 1;
        tokio::time::sleep(Duration::from_secs(4)).await;
        proxy.set(Mode::Well);
        let done = site.until_done().await;
        assert_eq!(done.len(), expected, "{mode:?}");
        each_once(&site, &node.url, &done);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_spent_is_kept_to_and_twins_are_recorded_once() {
    let site = Site::sqlite().await;
    let node = deployed(&site);
    let twins = "{\"input_data\": [[0.25, 0.5, -0.5]]}\n{\"input_data\": [[0.25, 0.5, -0.5]]}";
    site.submit_text(twins, &["--record"]);
    let _worker = site.worker("worker");
    let mut poor = submitter(&site, "poor", &node.url, &["--max-cost-each", "1gwei"]);
    site.until("waiting", |jobs| jobs.iter().any(|job| job.state == State::Sending)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(recorded(&site, &node.url).is_empty());
    let why = site.store.submissions(1).await.expect("listed").remove(0).reason;
    assert!(why.as_deref().is_some_and(|why| why.contains("may cost")), "{why:?}");
    poor.signal(libc::SIGTERM);
    assert_eq!(poor.wait(), Some(0));
    let _rich = submitter(&site, "rich", &node.url, &["--max-cost-a-day", "1ether"]);
    let done = site.until_done().await;
    each_once(&site, &node.url, &done);
    assert_eq!(done[0].prediction, done[1].prediction);
}
