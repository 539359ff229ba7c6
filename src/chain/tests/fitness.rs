//! A chain on which no proof can be verified.

use super::proxy::{Act, through};
use crate::chain::{
    fitness::{Missing, missing},
    node::anvil::{AnvilNode, AnvilOptions},
};
use serde_json::json;

#[tokio::test]
async fn a_precompile_that_answers_nothing_or_something_else_is_missing() {
    let node = AnvilNode::spawn(AnvilOptions::default()).await.expect("Anvil");
    assert_eq!(missing(node.rpc()).await.expect("asked"), []);
    for (number, address) in [5, 6, 7, 8].into_iter().enumerate() {
        for answer in ["0x", "0x01"] {
            let (rpc, _) = through(&node, move |method, asked| {
                match method == "eth_call" && asked == number {
                    true => Act::Answer(false, json!({ "result": answer })),
                    false => Act::Pass,
                }
            })
            .await;
            let found = missing(&rpc).await.expect("asked");
            let [Missing::Precompile { address: found, .. }] = found[..] else {
                panic!("{address}: {found:?}");
            };
            assert_eq!(found, address);
        }
    }
}
