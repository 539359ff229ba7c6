//! Whatever a node answers, and whenever a run is killed: a call happens once.

use super::{
    proxy::{Act, Asked, error, through},
    *,
};
use crate::chain::tx::{
    Error,
    journal::{Answer, Journal},
};
use alloy::{eips::BlockNumberOrTag, primitives::TxHash};
use serde_json::{Value, json};

const SEND: &str = "eth_sendRawTransaction";
const RECEIPT: &str = "eth_getTransactionReceipt";
const LOOK: &str = "eth_getTransactionByHash";

/// A node with a counter, the account having sent one transaction, and a folder for journals.
struct Scene {
    node: AnvilNode,
    folder: tempfile::TempDir,
    counter: Address,
}

impl Scene {
    async fn new() -> Self {
        let node = node().await;
        let counter = deployed_counter(&sender(&node, TxOptions::default())).await;
        Self { node, folder: tempfile::tempdir().expect("a folder"), counter }
    }

    fn journal(&self, resume: bool) -> Journal {
        Journal::start(self.folder.path(), "Test", 31337, resume).expect("a journal")
    }

    fn over(&self, rpc: Rpc, resume: bool) -> Sender {
        let options = TxOptions { timeout: 3, bump_after: 1, ..Default::default() };
        let sender = Sender::new(rpc, account(0), options).expect("a sender");
        sender.with_journal(self.journal(resume))
    }

    /// Sends through a proxy.
    async fn send(
        &self,
        rule: impl Fn(&str, usize) -> Act + Send + Sync + 'static,
    ) -> (Result<crate::chain::tx::Receipt, Error>, Asked) {
        let (rpc, asked) = through(&self.node, rule).await;
        (self.over(rpc, false).send(&self.call()).await, asked)
    }

    /// Sends without one, as the next run of the same command would.
    async fn again(&self, resume: bool) -> Result<crate::chain::tx::Receipt, Error> {
        self.over(self.node.rpc().clone(), resume).send(&self.call()).await
    }

    fn call(&self) -> Call {
        set_call(self.counter, 5)
    }

    async fn automine(&self, on: bool) {
        ask(self.node.rpc(), "evm_setAutomine", json!([on])).await;
    }

    /// How many transactions were mined, and how many wait, after the first.
    async fn sent(&self) -> (u64, u64) {
        let count = async |at| {
            let count = self.node.rpc().transaction_count(account(0).address(), at).await;
            count.expect("answered") - 1
        };
        let mined = count(BlockNumberOrTag::Latest).await;
        (mined, count(BlockNumberOrTag::Pending).await - mined)
    }

    fn answers(&self) -> Vec<Answer> {
        let entries = self.journal(true).entries().expect("read");
        entries.into_iter().map(|entry| entry.answer).collect()
    }

    /// The hashes in the journal.
    fn hashes(&self) -> Vec<TxHash> {
        let entries = self.journal(true).entries().expect("read");
        entries.iter().flat_map(|entry| entry.hashes()).collect()
    }
}

fn is_one(act: Act, named: &'static str, method: &str, before: usize) -> Act {
    if method == named && before == 0 { act } else { Act::Pass }
}

#[tokio::test]
async fn an_error_answer_does_not_mean_that_it_was_not_sent() {
    let answers: [fn(bool) -> Act; 9] = [
        |pass| Act::Answer(pass, error(-32603, "Internal error")),
        |pass| Act::Answer(pass, error(-32000, "request timed out")),
        |pass| Act::Answer(pass, error(-32005, "limit exceeded")),
        |pass| Act::Answer(pass, error(-32000, "nonce too low")),
        |pass| Act::Answer(pass, error(-32000, "already known")),
        |pass| Act::Status(pass, "408 Request Timeout", ""),
        |pass| Act::Status(pass, "429 Too Many Requests", "retry-after: 1\r\n"),
        |pass| Act::Status(pass, "502 Bad Gateway", ""),
        |pass| if pass { Act::LoseAnswer } else { Act::Lose },
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        // The node had it: it is found, whatever was answered.
        let scene = Scene::new().await;
        let rule = move |method: &str, before| is_one(answer(true), SEND, method, before);
        let (outcome, _) = scene.send(rule).await;
        assert!(outcome.unwrap_or_else(|error| panic!("{number}: {error}")).success);
        assert_eq!(scene.sent().await, (1, 0), "{number}");

        // The node did not have it: the same bytes are handed over until it does. Where it lies that
        // it has them, a replacement with the same nonce follows after a while.
        let scene = Scene::new().await;
        let rule = move |method: &str, before| is_one(answer(false), SEND, method, before);
        if let (Err(error), _) = scene.send(rule).await {
            assert!([3, 4].contains(&number), "{number}: {error}");
            assert!(error.to_string().contains(&scene.hashes()[0].to_string()), "{error}");
            scene.again(false).await.expect("the same bytes");
        }
        assert_eq!(scene.sent().await, (1, 0), "{number}");
        assert!(scene.hashes().len() == 1 || [3, 4].contains(&number), "{number}");
    }
}

#[tokio::test]
async fn answers_that_are_all_lost_leave_it_to_the_next_run() {
    for passes in [true, false] {
        let scene = Scene::new().await;
        let rule = move |method: &str, _| match method {
            SEND => Act::Answer(passes, error(-32603, "oops")),
            LOOK => Act::Lose,
            _ => Act::Pass,
        };
        let (outcome, _) = scene.send(rule).await;
        let Err(error @ Error::MaybeSent { .. }) = outcome else { panic!("{outcome:?}") };
        assert!(error.to_string().contains("--resume"), "{error}");
        assert!(error.to_string().contains(&scene.hashes()[0].to_string()), "{error}");
        assert_eq!(scene.answers(), [Answer::Pending]);
        let receipt = scene.again(!passes).await.expect("gone on with");
        assert_eq!([receipt.hash], scene.hashes()[..]);
        assert_eq!(scene.sent().await, (1, 0));
    }
}

#[tokio::test]
async fn a_refusal_of_its_content_is_told_at_once_and_kept() {
    let scene = Scene::new().await;
    let message = "insufficient funds for gas * price + value";
    let rule = move |method: &str, before| {
        is_one(Act::Answer(false, error(-32000, message)), SEND, method, before)
    };
    let (outcome, _) = scene.send(rule).await;
    let Err(error @ Error::Refused { .. }) = outcome else { panic!("{outcome:?}") };
    assert!(error.to_string().contains(message), "{error}");
    assert_eq!(scene.answers(), [Answer::Pending]);
    scene.again(false).await.expect("sent");
    assert_eq!(scene.sent().await, (1, 0));
    let hash = scene.hashes()[0];
    assert_eq!(scene.answers(), [Answer::Mined { hash }]);
}

#[tokio::test]
async fn a_pending_transaction_of_a_killed_run_is_gone_on_with() {
    for resume in [false, true] {
        let scene = Scene::new().await;
        scene.automine(false).await;
        let left = scene.again(false).await;
        assert!(matches!(left, Err(Error::NotMined(_))), "{left:?}");
        assert_eq!(scene.sent().await, (0, 1));
        let before = scene.hashes().len();
        let second = scene.again(resume).await;
        assert!(matches!(second, Err(Error::NotMined(_))), "{second:?}");
        assert_eq!(scene.sent().await, (0, 1), "a replacement at most");
        assert!(scene.hashes().len() >= before, "nothing is forgotten");
        scene.automine(true).await;
        mine(scene.node.rpc()).await;
        let receipt = scene.again(resume).await.expect("mined meanwhile");
        assert!(scene.hashes().contains(&receipt.hash));
        assert_eq!(scene.sent().await, (1, 0));
        // What is done is reported again when resuming, and else it is a wish of its own.
        let same = scene.again(true).await.expect("known");
        assert_eq!(same.hash, receipt.hash);
        let other = scene.again(false).await.expect("sent");
        assert_ne!(other.hash, receipt.hash);
        assert_eq!(scene.sent().await, (2, 0));
    }
}

#[tokio::test]
async fn a_block_between_the_receipt_and_the_nonce_changes_nothing() {
    let scene = Scene::new().await;
    scene.automine(false).await;
    assert!(scene.again(false).await.is_err());
    // The receipt is asked for, then a block comes, then the nonce is asked for.
    let rule = |method: &str, before| match method {
        RECEIPT if before < 4 => Act::Answer(false, json!({ "result": null })),
        _ => Act::Pass,
    };
    mine(scene.node.rpc()).await;
    let (rpc, _) = through(&scene.node, rule).await;
    let receipt = scene.over(rpc, true).send(&scene.call()).await.expect("found in the end");
    assert!(scene.hashes().contains(&receipt.hash));
    assert_eq!(scene.sent().await, (1, 0));
}

#[tokio::test]
async fn receipts_that_stay_away_never_make_it_happen_again() {
    let scene = Scene::new().await;
    let rule = |method: &str, _| match method {
        RECEIPT => Act::Answer(false, json!({ "result": null })),
        _ => Act::Pass,
    };
    for run in 0..3 {
        let (rpc, _) = through(&scene.node, rule).await;
        let outcome = scene.over(rpc, run > 0).send(&scene.call()).await;
        let Err(error @ Error::NoReceipt { .. }) = outcome else { panic!("{outcome:?}") };
        assert!(error.to_string().contains(&scene.hashes()[0].to_string()), "{error}");
        assert_eq!((scene.sent().await, scene.answers()), ((1, 0), vec![Answer::Pending]));
    }
    // Nor where the node doesn't tell which transaction has the nonce, either.
    let blind = |method: &str, before: usize| match method {
        RECEIPT => Act::Answer(false, json!({ "result": null })),
        "eth_getBlockByNumber" if before > 0 => Act::Answer(false, error(-32000, "pruned")),
        _ => Act::Pass,
    };
    let (rpc, _) = through(&scene.node, blind).await;
    let outcome = scene.over(rpc, true).send(&scene.call()).await;
    assert!(matches!(outcome, Err(Error::NonceUsed { .. })), "{outcome:?}");
    let receipt = scene.again(true).await.expect("a node that tells");
    assert_eq!((scene.hashes(), scene.sent().await), (vec![receipt.hash], (1, 0)));
}

#[tokio::test]
async fn a_receipt_of_another_transaction_is_not_taken() {
    fn other(receipt: &mut Value) {
        if receipt.is_object() {
            receipt["transactionHash"] = json!(TxHash::repeat_byte(0xab));
        }
    }
    let scene = Scene::new().await;
    let rule = |method: &str, before| match method {
        RECEIPT if before < 3 => Act::Edit(other),
        _ => Act::Pass,
    };
    let (outcome, asked) = scene.send(rule).await;
    assert_eq!(outcome.expect("its own, in the end").hash, scene.hashes()[0]);
    assert!(asked.lock().expect("free")[RECEIPT] > 3);
    assert_eq!(scene.sent().await, (1, 0));
}

#[tokio::test]
async fn a_receipt_of_a_type_that_nobody_knows_is_read() {
    for kind in ["0x7e", "0x71"] {
        let scene = Scene::new().await;
        let rule = move |method: &str, _| match (method, kind) {
            (RECEIPT, "0x7e") => Act::Edit(|it| it["type"] = json!("0x7e")),
            (RECEIPT, _) => Act::Edit(|it| it["type"] = json!("0x71")),
            _ => Act::Pass,
        };
        let (outcome, _) = scene.send(rule).await;
        let receipt = outcome.expect("read");
        assert!(receipt.success && receipt.gas_used > 21_000 && receipt.logs.len() == 1);
    }
}

#[tokio::test]
async fn a_transaction_that_was_replaced_stays_replaced_when_resumed() {
    let scene = Scene::new().await;
    scene.automine(false).await;
    assert!(scene.again(false).await.is_err());
    // Its owner cancels it in a wallet.
    let cancel = TxOptions {
        nonce: Some(1),
        gas_price: Some(90_000_000_000),
        priority_gas_price: Some(80_000_000_000),
        timeout: 20,
        ..Default::default()
    };
    let wallet = sender(&scene.node, cancel);
    let cancelled =
        tokio::spawn(
            async move { wallet.send(&Call::new(wallet.address(), Bytes::new(), "it")).await },
        );
    while ask(scene.node.rpc(), "txpool_status", json!([])).await["pending"] == "0x0" {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    mine(scene.node.rpc()).await;
    let by = cancelled.await.expect("no panic").expect("mined").hash;
    scene.automine(true).await;
    for resume in [true, true] {
        let outcome = scene.again(resume).await;
        assert!(
            matches!(&outcome, Err(Error::Replaced { by: it, .. }) if *it == by),
            "{outcome:?}"
        );
    }
    assert_eq!((scene.sent().await, scene.answers()), ((1, 0), vec![Answer::Replaced { by }]));
    // Asked for anew, it is.
    scene.again(false).await.expect("sent");
    assert_eq!(scene.sent().await, (2, 0));
}

#[tokio::test]
async fn nothing_is_signed_for_a_nonce_ahead_of_the_account() {
    let scene = Scene::new().await;
    scene.automine(false).await;
    // Another transaction of the account waits, and ours behind it.
    let first = sender(&scene.node, TxOptions { timeout: 1, ..Default::default() });
    assert!(first.send(&set_call(scene.counter, 1)).await.is_err());
    assert!(scene.again(false).await.is_err());
    assert_eq!(scene.sent().await, (0, 2));
    ask(scene.node.rpc(), "anvil_dropAllTransactions", json!([])).await;
    let before = scene.hashes();
    let outcome = scene.again(true).await;
    assert!(matches!(outcome, Err(Error::Waiting { nonce: 2, next: 1, .. })), "{outcome:?}");
    assert_eq!((scene.hashes(), scene.sent().await), (before, (0, 0)));
    // Dropped, and the nonce free: the same bytes again.
    scene.automine(true).await;
    sender(&scene.node, TxOptions::default())
        .send(&set_call(scene.counter, 1))
        .await
        .expect("mined");
    let receipt = scene.again(true).await.expect("mined");
    assert!(scene.hashes().contains(&receipt.hash));
    assert_eq!(scene.sent().await, (2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_at_once_are_one() {
    let scene = Scene::new().await;
    scene.automine(false).await;
    let options = TxOptions { timeout: 20, ..Default::default() };
    let runs: Vec<_> = (0..3)
        .map(|_| {
            let run = sender(&scene.node, options.clone()).with_journal(scene.journal(false));
            let call = scene.call();
            tokio::spawn(async move { run.send(&call).await })
        })
        .collect();
    while scene.sent().await == (0, 0) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(scene.sent().await, (0, 1));
    mine(scene.node.rpc()).await;
    let mut hashes = Vec::new();
    for run in runs {
        hashes.push(run.await.expect("no panic").expect("mined").hash);
    }
    hashes.dedup();
    assert_eq!((hashes.len(), scene.sent().await), (1, (1, 0)));
}

#[tokio::test]
async fn a_reorganisation_does_not_double_it() {
    let scene = Scene::new().await;
    let receipt = scene.again(false).await.expect("mined");
    ask(scene.node.rpc(), "anvil_reorg", json!([1, []])).await;
    let same = scene.again(true).await;
    // Anvil forgets what it takes out of a block: the same bytes are handed over again.
    assert_eq!(same.expect("mined again").hash, receipt.hash);
    assert_eq!(scene.sent().await, (1, 0));
}

#[tokio::test]
async fn another_chain_with_the_same_id_owes_nothing() {
    let scene = Scene::new().await;
    scene.automine(false).await;
    assert!(scene.again(false).await.is_err());
    let afresh = Scene { folder: scene.folder, ..Scene::new().await };
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    afresh.again(false).await.expect("sent");
    assert_eq!(afresh.sent().await, (1, 0));
}

#[tokio::test]
async fn nodes_that_know_less_of_fees_are_enough() {
    let missing = || Act::Answer(false, error(-32601, "the method does not exist"));
    fn no_base_fee(block: &mut Value) {
        block.as_object_mut().expect("a block").remove("baseFeePerGas");
    }
    for level in 0..3 {
        let scene = Scene::new().await;
        let rule = move |method: &str, _| match method {
            "eth_feeHistory" => missing(),
            "eth_maxPriorityFeePerGas" if level > 0 => missing(),
            "eth_getBlockByNumber" if level > 1 => Act::Edit(no_base_fee),
            _ => Act::Pass,
        };
        let (outcome, _) = scene.send(rule).await;
        assert!(outcome.unwrap_or_else(|error| panic!("{level}: {error}")).success);
    }
}

#[tokio::test]
async fn nothing_costs_more_than_the_user_allows() {
    let scene = Scene::new().await;
    let options = TxOptions { max_cost: Some(1_000_000_000), ..Default::default() };
    let error = sender(&scene.node, options).send(&scene.call()).await.expect_err("too dear");
    assert!(matches!(error, Error::TooExpensive { .. }), "{error:?}");
    assert_eq!(scene.sent().await, (0, 0));
    // Replacements stop at the ceiling, too.
    scene.automine(false).await;
    let cost = sender(&scene.node, TxOptions::default()).simulate(&scene.call()).await;
    let ceiling = cost.expect("simulated").max_cost.saturating_to::<u128>() * 5 / 4;
    let options =
        TxOptions { max_cost: Some(ceiling), bump_after: 1, timeout: 5, ..Default::default() };
    let stuck = sender(&scene.node, options).with_journal(scene.journal(false));
    assert!(matches!(stuck.send(&scene.call()).await, Err(Error::NotMined(_))));
    assert_eq!(scene.hashes().len(), 2, "one replacement fits, a second does not");
}

#[tokio::test]
async fn answers_are_read_up_to_a_limit() {
    let scene = Scene::new().await;
    let rule = |method: &str, _| match method {
        "eth_blockNumber" => Act::Huge(64 << 20),
        _ => Act::Pass,
    };
    let (rpc, _) = through(&scene.node, rule).await;
    let error = rpc.block_number().await.expect_err("too long");
    assert!(error.to_string().contains("longer than 32 MiB"), "{error}");
}

#[tokio::test]
async fn errors_after_sending_name_the_transaction() {
    let scene = Scene::new().await;
    let folder = scene.folder.path().join("broadcast");
    // The disk fails between the hand-over and the receipt.
    let rule = move |method: &str, before| {
        if method == RECEIPT && before == 0 {
            std::fs::remove_dir_all(&folder).expect("removed");
            std::fs::write(&folder, "no folder").expect("written");
        }
        Act::Pass
    };
    let (rpc, _) = through(&scene.node, rule).await;
    let error = scene.over(rpc, false).send(&scene.call()).await.expect_err("no journal any more");
    assert!(matches!(error, Error::AfterSending { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("0x") && text.contains("--resume"), "{text}");
    assert_eq!(scene.sent().await, (1, 0));
}
