//! Transactions that go well, are refused, get stuck or are interrupted.

use super::*;
use crate::chain::{
    account::Secret,
    tx::{Error, fees::Fees, journal::Journal},
};
use alloy::{
    consensus::Transaction as _,
    eips::BlockNumberOrTag,
    primitives::{TxHash, uint},
    sol_types::SolEvent,
};
use serde_json::json;
use std::{sync::Arc, time::Duration};

async fn automine(rpc: &Rpc, on: bool) {
    ask(rpc, "evm_setAutomine", json!([on])).await;
}

async fn count(rpc: &Rpc, at: BlockNumberOrTag) -> u64 {
    rpc.transaction_count(account(0).address(), at).await.expect("answered")
}

/// Waits until the pool holds a transaction other than `not`.
async fn waiting(rpc: &Rpc, not: Option<TxHash>) -> TxHash {
    for _ in 0..200 {
        let pool = ask(rpc, "txpool_content", json!([])).await;
        let accounts = pool["pending"].as_object().into_iter().chain(pool["queued"].as_object());
        let found = accounts.flat_map(|accounts| accounts.values()).find_map(|transactions| {
            let mut hashes = transactions
                .as_object()?
                .values()
                .filter_map(|transaction| transaction["hash"].as_str()?.parse::<TxHash>().ok());
            hashes.rfind(|hash| Some(*hash) != not)
        });
        if let Some(hash) = found {
            return hash;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing waits")
}

#[tokio::test]
async fn a_transaction_is_simulated_sent_and_confirmed() {
    let node = node().await;
    let sender = sender(&node, TxOptions::default());
    let counter = deployed_counter(&sender).await;
    let call = set_call(counter, 9);
    let simulation = sender.simulate(&call).await.expect("simulated");
    assert!(simulation.affordable() && simulation.gas_limit == simulation.gas * 130 / 100);
    let receipt = sender.send(&call).await.expect("mined");
    assert!(receipt.success && receipt.block == 2 && receipt.gas_used <= simulation.gas);
    let event = Set::decode_log(&receipt.logs[0].inner).expect("the event");
    assert_eq!(event.x, uint!(9_U256));
    assert!(receipt.timestamp > 1_600_000_000 && !receipt.cost().is_zero());
}

#[tokio::test]
async fn a_doomed_transaction_is_not_sent_and_its_error_is_decoded() {
    let node = node().await;
    let sender = sender(&node, TxOptions::default());
    let counter = deployed_counter(&sender).await;
    let error = sender.send(&set_call(counter, 13)).await.expect_err("reverts");
    let Error::WouldRevert { revert, .. } = &error else { panic!("{error:?}") };
    assert_eq!(revert.name(), Some("Bad"));
    assert!(error.to_string().contains("Bad(got: 13)"), "{error}");
    assert_eq!(count(node.rpc(), BlockNumberOrTag::Pending).await, 1);
}

#[tokio::test]
async fn the_fee_and_gas_flags_are_obeyed() {
    let node = node().await;
    let counter = deployed_counter(&sender(&node, TxOptions::default())).await;
    let send = async |options: TxOptions| sender(&node, options).send(&set_call(counter, 1)).await;
    let defaults = TxOptions::default;
    let legacy = TxOptions { legacy: true, gas_price: Some(7_000_000_000), ..defaults() };
    let receipt = send(legacy).await.expect("mined");
    let sent = node.rpc().transaction(receipt.hash).await.expect("answered").expect("there");
    assert_eq!(Fees::of(&sent), Fees::Legacy { price: 7_000_000_000 });
    let fixed = TxOptions {
        gas_price: Some(9_000_000_000),
        priority_gas_price: Some(3),
        gas_limit: Some(99_999),
        ..defaults()
    };
    let receipt = send(fixed).await.expect("mined");
    let sent = node.rpc().transaction(receipt.hash).await.expect("answered").expect("there");
    assert_eq!(Fees::of(&sent), Fees::Eip1559 { max: 9_000_000_000, priority: 3 });
    assert_eq!(sent.gas_limit(), 99_999);
    let error = send(TxOptions { gas_limit: Some(22_000), ..defaults() }).await;
    assert!(matches!(error, Err(Error::GasLimitTooLow { given: 22_000, .. })), "{error:?}");
    let tip = TxOptions { gas_price: Some(5), priority_gas_price: Some(6), ..defaults() };
    assert!(matches!(send(tip).await, Err(Error::Fees(_))));
    let confirmations = TxOptions { confirmations: 3, timeout: 1, ..defaults() };
    let error = send(confirmations).await.expect_err("nobody mines");
    assert!(matches!(error, Error::Unconfirmed { block: 4, .. }), "{error:?}");
}

#[tokio::test]
async fn more_gas_than_a_transaction_may_have_is_refused() {
    let node = node().await;
    // mstore(0x2d6900, 1): memory for some 17.2 million gas.
    let hog = Address::repeat_byte(0x77);
    ask(node.rpc(), "anvil_setCode", json!([hog, "0x6001622d69005200"])).await;
    let error = sender(&node, TxOptions::default())
        .send(&Call::new(hog, Bytes::new(), "the hog"))
        .await
        .expect_err("too much");
    let Error::TooMuchGas { gas, limit: 16_777_216, .. } = error else { panic!("{error:?}") };
    assert!(gas > 17_000_000, "{gas}");
}

#[tokio::test]
async fn an_account_without_funds_is_told_both_figures() {
    let node = node().await;
    let counter = deployed_counter(&sender(&node, TxOptions::default())).await;
    let poor = Wallet::from_private_key(&Secret::new("11".repeat(32))).expect("a key");
    ask(node.rpc(), "anvil_setBalance", json!([poor.address(), "0x5af3107a4000"])).await;
    let options = TxOptions { gas_price: Some(100_000_000_000), ..Default::default() };
    let sender = Sender::new(node.rpc().clone(), Account::Signer(poor), options).expect("a sender");
    let error = sender.send(&set_call(counter, 1)).await.expect_err("poor");
    let Error::InsufficientFunds { balance, needed, .. } = &error else { panic!("{error:?}") };
    assert!(needed > balance);
    let text = error.to_string();
    assert!(text.contains("has 0.000100000000000000 ETH on chain 31337"), "{text}");
    assert!(text.contains("up to 0.00"), "{text}");
    // A dry run does not need the money.
    assert!(!sender.simulate(&set_call(counter, 1)).await.expect("simulated").affordable());
}

#[tokio::test]
async fn a_stuck_transaction_is_replaced_when_the_base_fee_has_risen() {
    let node = node().await;
    let rpc = node.rpc().clone();
    let options = TxOptions { bump_after: 1, timeout: 60, ..Default::default() };
    let sender = Arc::new(sender(&node, options));
    let counter = deployed_counter(&sender).await;
    automine(&rpc, false).await;
    let sending = {
        let sender = sender.clone();
        tokio::spawn(async move { sender.send(&set_call(counter, 5)).await })
    };
    let first = waiting(&rpc, None).await;
    let offered = rpc.transaction(first).await.expect("answered").expect("waits");
    // Twenty times the price: the first transaction can't be mined.
    let base_fee = offered.max_fee_per_gas() * 20;
    ask(&rpc, "anvil_setNextBlockBaseFeePerGas", json!([format!("{base_fee:#x}")])).await;
    mine(&rpc).await;
    assert!(rpc.receipt(first).await.expect("answered").is_none());
    let second = waiting(&rpc, Some(first)).await;
    let replaced = rpc.transaction(second).await.expect("answered").expect("waits");
    assert_eq!(replaced.nonce(), offered.nonce());
    assert!(replaced.max_fee_per_gas() > base_fee);
    mine(&rpc).await;
    let receipt = sending.await.expect("no panic").expect("mined");
    assert!(receipt.success && receipt.hash != first);
    assert_eq!(count(&rpc, BlockNumberOrTag::Latest).await, 2);
}

#[tokio::test]
async fn a_price_that_the_user_fixed_is_not_exceeded() {
    let node = node().await;
    let counter = deployed_counter(&sender(&node, TxOptions::default())).await;
    automine(node.rpc(), false).await;
    let options = TxOptions {
        gas_price: Some(3_000_000_000),
        bump_after: 1,
        timeout: 3,
        ..Default::default()
    };
    let error = sender(&node, options).send(&set_call(counter, 5)).await.expect_err("not mined");
    let Error::NotMined(stuck) = &error else { panic!("{error:?}") };
    assert_eq!((stuck.nonce, stuck.fees.expect("signed here").max()), (1, 3_000_000_000));
    assert!(stuck.base_fee.is_some());
    assert!(error.to_string().contains("--resume"), "{error}");
}

#[tokio::test]
async fn nonces_that_are_used_or_leave_a_gap_are_refused() {
    let node = node().await;
    let counter = deployed_counter(&sender(&node, TxOptions::default())).await;
    let send = async |nonce| {
        let options = TxOptions { nonce: Some(nonce), ..Default::default() };
        sender(&node, options).send(&set_call(counter, nonce)).await
    };
    assert!(matches!(send(0).await, Err(Error::NonceTaken { nonce: 0, .. })));
    assert!(matches!(send(6).await, Err(Error::NonceGap { nonce: 6, next: 1, .. })));
    assert!(send(1).await.expect("mined").success);
    // Several transactions of one sender count on from the nonce given.
    let options = TxOptions { nonce: Some(2), ..Default::default() };
    let sender = sender(&node, options);
    for value in 0..3 {
        sender.send(&set_call(counter, value)).await.expect("mined");
    }
    assert_eq!(count(node.rpc(), BlockNumberOrTag::Latest).await, 5);
}

#[tokio::test]
async fn a_transaction_that_waits_in_the_pool_is_not_replaced_by_the_next() {
    let node = node().await;
    let rpc = node.rpc().clone();
    let counter = deployed_counter(&sender(&node, TxOptions::default())).await;
    automine(&rpc, false).await;
    let tasks: Vec<_> = (0..2)
        .map(|value| {
            let sender = sender(&node, TxOptions::default());
            tokio::spawn(async move { sender.send(&set_call(counter, 20 + value)).await })
        })
        .collect();
    for _ in 0..100 {
        if count(&rpc, BlockNumberOrTag::Pending).await == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    mine(&rpc).await;
    for task in tasks {
        assert!(task.await.expect("no panic").expect("mined").success);
    }
}

#[tokio::test]
async fn a_transaction_that_its_owner_replaced_is_not_sent_again() {
    let node = node().await;
    let rpc = node.rpc().clone();
    let counter = deployed_counter(&sender(&node, TxOptions::default())).await;
    automine(&rpc, false).await;
    let sending = {
        let sender = sender(&node, TxOptions::default());
        tokio::spawn(async move { sender.send(&set_call(counter, 5)).await })
    };
    let first = waiting(&rpc, None).await;
    // The same account elsewhere replaces ours with something of its own.
    let rival = TxOptions {
        nonce: Some(1),
        gas_price: Some(50_000_000_000),
        priority_gas_price: Some(40_000_000_000),
        timeout: 30,
        ..Default::default()
    };
    let rival = sender(&node, rival);
    let rival = tokio::spawn(async move { rival.send(&set_call(counter, 6)).await });
    waiting(&rpc, Some(first)).await;
    automine(&rpc, true).await;
    mine(&rpc).await;
    let rival = rival.await.expect("no panic").expect("mined");
    let error = sending.await.expect("no panic").expect_err("replaced");
    let Error::Replaced { by, nonce: 1, .. } = error else { panic!("{error:?}") };
    assert_eq!(by, rival.hash);
    assert!(error.to_string().contains("not sent again"), "{error}");
    assert_eq!(count(&rpc, BlockNumberOrTag::Pending).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_senders_of_one_account_get_nonces_of_their_own() {
    let node = node().await;
    let counter = deployed_counter(&sender(&node, TxOptions::default())).await;
    let tasks: Vec<_> = (0..8)
        .map(|value| {
            let sender = sender(&node, TxOptions::default());
            tokio::spawn(async move { sender.send(&set_call(counter, 20 + value)).await })
        })
        .collect();
    for task in tasks {
        assert!(task.await.expect("no panic").expect("mined").success);
    }
    assert_eq!(count(node.rpc(), BlockNumberOrTag::Latest).await, 9);
}

#[tokio::test]
async fn an_interrupted_run_is_resumed_without_sending_twice() {
    let node = node().await;
    let rpc = node.rpc().clone();
    let folder = tempfile::tempdir().expect("a folder");
    let counter = deployed_counter(&sender(&node, TxOptions::default())).await;
    let journal = |resume| Journal::start(folder.path(), "Test", 31337, resume).expect("a journal");
    let options = TxOptions { timeout: 1, ..Default::default() };
    automine(&rpc, false).await;
    let interrupted = sender(&node, options).with_journal(journal(false));
    let error = interrupted.send(&set_call(counter, 5)).await;
    assert!(matches!(error, Err(Error::NotMined(_))), "{error:?}");
    let left = interrupted.journal().expect("there").run();
    assert_eq!((left.transactions.len(), left.pending.len(), left.receipts.len()), (1, 1, 0));

    // It still waits: it is gone on with, under the same nonce.
    let resumed = sender(&node, TxOptions::default()).with_journal(journal(true));
    let task = tokio::spawn(async move {
        let receipt = resumed.send(&set_call(counter, 5)).await;
        (receipt, resumed)
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    mine(&rpc).await;
    let (receipt, resumed) = task.await.expect("no panic");
    let receipt = receipt.expect("mined");
    assert_eq!(count(&rpc, BlockNumberOrTag::Pending).await, 2);
    let run = resumed.journal().expect("there").run();
    assert_eq!((run.transactions.len(), run.pending.len(), run.receipts.len()), (1, 0, 1));
    assert_eq!(run.transactions[0].hash, Some(receipt.hash));

    // It is mined: nothing is sent. What the earlier run had not come to is.
    automine(&rpc, true).await;
    let again = sender(&node, TxOptions::default()).with_journal(journal(true));
    let same = again.send(&set_call(counter, 5)).await.expect("known");
    assert_eq!(same.hash, receipt.hash);
    again.send(&set_call(counter, 6)).await.expect("mined");
    assert_eq!(count(&rpc, BlockNumberOrTag::Pending).await, 3);
    let run = again.journal().expect("there").run();
    assert_eq!((run.transactions.len(), run.receipts.len()), (2, 2));
    let file = Run::read(&again.journal().expect("there").path()).expect("written");
    assert_eq!(file.transactions[1].transaction.nonce, 2);
}

#[tokio::test]
async fn an_address_alone_simulates_but_does_not_send() {
    let node = node().await;
    let counter = deployed_counter(&sender(&node, TxOptions::default())).await;
    let watched = Account::Watched(Address::repeat_byte(3));
    let sender = Sender::new(node.rpc().clone(), watched, TxOptions::default()).expect("a sender");
    assert!(sender.simulate(&set_call(counter, 1)).await.is_ok());
    assert!(matches!(sender.send(&set_call(counter, 1)).await, Err(Error::CannotSign(_))));
}

#[tokio::test]
async fn anvils_accounts_are_refused_on_another_chain() {
    let options = AnvilOptions { chain_id: 1337, ..Default::default() };
    let node = AnvilNode::spawn(options).await.expect("anvil runs");
    let error = Sender::new(node.rpc().clone(), account(0), TxOptions::default());
    assert!(matches!(error, Err(Error::Signer(_))), "{error:?}");
}
