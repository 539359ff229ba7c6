//! A watch sees what happens, once, wherever it is stopped, and says what a reorganisation undid.

use super::{
    contracts::{submit, submit_many},
    fixture::{core_sender, deploy_all, tree_model},
    proxy::{Act, error, through},
    *,
};
use crate::chain::{
    ChainClass, Mode,
    contracts::{retire_model, stop_model, transfer_ownership},
    watch::{Event, Position, Seen, Watch},
};
use alloy::primitives::B256;
use serde_json::json;

fn names(seen: &[Seen]) -> Vec<String> {
    let name = |seen: &Seen| {
        let value = serde_json::to_value(seen).expect("JSON");
        value["event"].as_str().expect("a name").to_owned()
    };
    seen.iter().map(name).collect()
}

#[tokio::test]
async fn a_watch_tells_what_happened_and_goes_on_where_it_stopped() {
    let node = node().await;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let sender = core_sender(&node, 0);
    let guardian = account(0).address();
    let (core, added) =
        deploy_all(&sender, folder, Some(guardian), Mode::Broadcast).await.expect("deployed");
    let rpc = node.rpc().clone();
    let mut watch = Watch::new(rpc.clone(), core.router, core.ledger, 0).await.expect("begun");
    let seen = watch.step(0).await.expect("seen");
    assert_eq!(names(&seen), ["ownership_transferred", "model_added"], "{seen:#?}");
    let Event::ModelAdded { model_id, verifier } = seen[1].event else { panic!("{seen:?}") };
    assert_eq!((model_id, verifier), (tree_model().id, added.route));
    assert!(seen.iter().all(|one| one.alert.is_some()));
    assert_eq!(watch.step(0).await.expect("seen"), []);

    // Two looks and a restart in between see each thing once.
    let send = async |index: usize, context: u8| {
        let context = B256::repeat_byte(context);
        submit(&sender, folder, tree_proof(index), context, Mode::Broadcast).await.expect("sent");
    };
    send(0, 1).await;
    let first = watch.step(0).await.expect("seen");
    send(1, 2).await;
    let claims = vec![tree_proof(0), tree_proof(2)];
    submit_many(&sender, folder, claims, B256::repeat_byte(3), Mode::Broadcast)
        .await
        .expect("sent");
    let kept = serde_json::to_vec(watch.position()).expect("JSON");
    let kept: Position = serde_json::from_slice(&kept).expect("read back");
    let mut watch = Watch::resume(rpc.clone(), kept);
    let second = watch.step(0).await.expect("seen");
    assert_eq!(names(&first), ["prediction"]);
    assert_eq!(names(&second), ["prediction", "batch"]);
    let Event::Batch { count, .. } = second[1].event else { panic!("{second:?}") };
    assert_eq!(count, 2);
    assert!(first.iter().chain(&second).all(|one| one.alert.is_none()));

    // Blocks that others must build on first.
    send(2, 4).await;
    assert_eq!(watch.step(3).await.expect("seen"), []);
    for _ in 0..3 {
        mine(&rpc).await;
    }
    assert_eq!(names(&watch.step(3).await.expect("seen")), ["prediction"]);

    let to = Some(Address::repeat_byte(9));
    transfer_ownership(&sender, core.router, to, ChainClass::Local, Mode::Broadcast)
        .await
        .expect("offered");
    stop_model(&sender, core.router, tree_model().id, Mode::Broadcast).await.expect("stopped");
    retire_model(&sender, core.router, tree_model().id, Mode::Broadcast).await.expect("retired");
    let seen = watch.step(0).await.expect("seen");
    assert_eq!(names(&seen), ["ownership_offered", "model_stopped", "model_retired"]);
    assert!(seen.iter().all(|one| one.alert.is_some()), "{seen:#?}");

    // One that begins at the end knows what is retired, and one from the beginning sees all of it at once.
    let newest = rpc.block_number().await.expect("answered");
    let late = Watch::new(rpc.clone(), core.router, core.ledger, newest).await.expect("begun");
    assert_eq!(late.position().next, newest);
    let mut again = Watch::new(rpc.clone(), core.router, core.ledger, 0).await.expect("begun");
    let all = again.step(0).await.expect("seen");
    assert_eq!(
        names(&all),
        [
            "ownership_transferred",
            "model_added",
            "prediction",
            "prediction",
            "batch",
            "prediction",
            "ownership_offered",
            "model_stopped",
            "model_retired",
        ]
    );
}

#[tokio::test]
async fn a_watch_says_what_a_reorganisation_undid() {
    let node = node().await;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let sender = core_sender(&node, 0);
    let (core, _) = deploy_all(&sender, folder, None, Mode::Broadcast).await.expect("deployed");
    let rpc = node.rpc().clone();
    let from = rpc.block_number().await.expect("answered") + 1;
    let mut watch = Watch::new(rpc.clone(), core.router, core.ledger, from).await.expect("begun");
    for index in 0..2u8 {
        let (proof, context) = (tree_proof(index.into()), B256::repeat_byte(index));
        submit(&sender, folder, proof, context, Mode::Broadcast).await.expect("sent");
    }
    let before = watch.step(0).await.expect("seen");
    assert_eq!(names(&before), ["prediction", "prediction"]);

    // The last block is replaced by one with nothing in it.
    ask(&rpc, "anvil_reorg", json!([1, []])).await;
    let seen = watch.step(0).await.expect("seen");
    let Event::Reorganised { stays } = seen[0].event else { panic!("{seen:?}") };
    assert_eq!(stays, before[0].block);
    assert_eq!(seen.len(), 1, "{seen:#?}");
    assert!(seen[0].alert.is_some());
    assert_eq!(watch.step(0).await.expect("seen"), [], "it is told once");

    // Deeper than anything that it remembers: it begins again.
    let depth = rpc.block_number().await.expect("answered") - from + 1;
    ask(&rpc, "anvil_reorg", json!([depth, []])).await;
    let seen = watch.step(0).await.expect("seen");
    assert_eq!(seen[0].event, Event::Reorganised { stays: from - 1 }, "{seen:#?}");
}

#[tokio::test]
async fn a_node_that_gives_little_at_a_time_is_asked_often_and_nothing_is_lost() {
    let node = node().await;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let sender = core_sender(&node, 0);
    let (core, _) = deploy_all(&sender, folder, None, Mode::Broadcast).await.expect("deployed");
    submit(&sender, folder, tree_proof(0), B256::ZERO, Mode::Broadcast).await.expect("sent");
    for _ in 0..20 {
        mine(node.rpc()).await;
    }
    let whole = {
        let rpc = node.rpc().clone();
        let mut watch = Watch::new(rpc, core.router, core.ledger, 0).await.expect("begun");
        watch.step(0).await.expect("seen")
    };
    // Some answers are refused as too wide, one is lost.
    let (rpc, _) = through(&node, |method, asked| match (method, asked) {
        ("eth_getLogs", 0..=4) => Act::Answer(false, error(-32602, "block range too wide")),
        ("eth_getLogs", 6) => Act::Lose,
        _ => Act::Pass,
    })
    .await;
    let mut watch = Watch::new(rpc, core.router, core.ledger, 0).await.expect("begun");
    let mut seen = Vec::new();
    let mut failures = 0;
    while watch.position().next <= node.rpc().block_number().await.expect("answered") {
        match watch.step(0).await {
            Ok(more) => seen.extend(more),
            Err(_) => failures += 1,
        }
    }
    assert_eq!(failures, 1);
    assert_eq!(seen, whole);
}
