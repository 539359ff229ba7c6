//! Deploying and submitting.

use super::*;
use crate::chain::{
    ChainClass, Error, Mode, create2,
    deploy::{Method, Outcome, VerifierRequest, deploy_contract, deploy_verifier},
    deployments::{Deployments, ModelRecord, Role},
    node::rpc,
    submit::{self, SubmitRequest, submit_proof},
    tx,
};
use crate::{
    chain::Entries,
    model::packing::{Packing, Width},
};
use alloy::primitives::{B256, address, keccak256};
use serde_json::json;
use std::{path::Path, sync::Arc};

fn salt(number: u8) -> Method {
    Method::Create2 { salt: B256::with_last_byte(number) }
}

fn tree_model(srs: Provenance) -> ModelRecord {
    ModelRecord::new("tree", ModelIdentity::of_bytes(1), srs)
}

/// The tree's verifier with its runtime code, as the compiler would give it.
pub(super) async fn tree_request(sender: &Sender, folder: &Path) -> VerifierRequest {
    let mut contract = tree_verifier();
    let call = Call::create(contract.init_code.clone(), "the verifier");
    contract.runtime_code = Some(sender.call(&call).await.expect("runs"));
    VerifierRequest {
        contract,
        entries: tree_entries(),
        compiler: None,
        model: tree_model(Provenance::UnsafeDev),
        method: Method::default(),
        golden: tree_proof(0),
        deployments: folder.to_owned(),
        class: ChainClass::of(sender.rpc().chain_id(), false, false),
    }
}

fn tree_entries() -> Entries {
    Entries { many: true, packing: Some(super::fixture::tree_descriptor().packing()) }
}

fn plain_sender(node: &AnvilNode) -> Sender {
    sender(node, TxOptions::default()).with_decoder(submit::decoder())
}

#[tokio::test]
async fn a_contract_lands_where_forge_puts_it_and_only_once() {
    let node = node().await;
    let sender = sender(&node, TxOptions::default());
    let dry = deploy_contract(&sender, &counter(), salt(5), Mode::DryRun).await.expect("a dry run");
    let there = address!("c528ffe94f3649d44f1672529c3c02a8b65662bc");
    assert_eq!(dry.address, Some(there));
    assert!(matches!(dry.outcome, Outcome::Simulated(_)));
    assert!(node.rpc().code(there).await.expect("answered").is_empty());
    let first =
        deploy_contract(&sender, &counter(), salt(5), Mode::Broadcast).await.expect("deployed");
    assert_eq!(first.address, Some(there));
    // Forge's own transaction used this much.
    assert_eq!(first.outcome.receipt().expect("mined").gas_used, 0x29f7a);
    let code = node.rpc().code(there).await.expect("answered");
    assert_eq!(Some(keccak256(code)), first.runtime_code_hash);
    let again =
        deploy_contract(&sender, &counter(), salt(5), Mode::Broadcast).await.expect("a no-op");
    assert!(matches!(again.outcome, Outcome::AlreadyDone));
    let other =
        deploy_contract(&sender, &counter(), salt(6), Mode::Broadcast).await.expect("deployed");
    assert_ne!(other.address, Some(there));
}

#[tokio::test]
async fn other_code_a_missing_proxy_and_too_much_code_are_refused() {
    let node = node().await;
    let sender = sender(&node, TxOptions::default());
    let deploy = async |contract: &Contract, method| {
        deploy_contract(&sender, contract, method, Mode::Broadcast).await
    };
    let there = create2::address(B256::ZERO, &counter().init_code);
    ask(node.rpc(), "anvil_setCode", json!([there, "0x00"])).await;
    let error = deploy(&counter(), salt(0)).await;
    assert!(matches!(error, Err(Error::OtherCode { .. })), "{error:?}");

    ask(node.rpc(), "anvil_setCode", json!([create2::PROXY, "0x"])).await;
    let error = deploy(&counter(), salt(1)).await.expect_err("no proxy");
    assert!(error.to_string().contains("lacks the CREATE2 proxy"), "{error}");
    ask(node.rpc(), "anvil_setCode", json!([create2::PROXY, "0x60"])).await;
    let error = deploy(&counter(), salt(1)).await.expect_err("another contract");
    assert!(matches!(error, Error::NoProxy { other_code: true, .. }), "{error}");
    let created = deploy(&counter(), Method::Create).await.expect("a plain creation");
    let address = created.address.expect("known afterwards");
    assert!(!node.rpc().code(address).await.expect("answered").is_empty());

    let sized = |init: usize, runtime: usize| Contract {
        init_code: vec![0; init].into(),
        runtime_code: Some(vec![0; runtime].into()),
        ..counter()
    };
    for (init, runtime, kind) in [(49_153, 1, "init"), (0, 1, "init"), (9, 24_577, "runtime")] {
        let error = deploy(&sized(init, runtime), salt(0)).await.expect_err("the size");
        assert!(error.to_string().contains(&format!("bytes of {kind} code")), "{error}");
    }
}

#[tokio::test]
async fn a_verifier_is_deployed_recorded_and_takes_proofs() {
    let node = node().await;
    let folder = tempfile::tempdir().expect("a folder");
    let sender = plain_sender(&node);
    let request = tree_request(&sender, folder.path()).await;
    let dry = deploy_verifier(&sender, &request, Mode::DryRun).await.expect("a dry run");
    assert!(matches!(dry.outcome, Outcome::Simulated(_)));
    assert!(!Deployments::path(folder.path(), 31337).exists());
    deploy_verifier(&sender, &request, Mode::Broadcast).await.expect("deployed");
    let again = deploy_verifier(&sender, &request, Mode::Broadcast).await.expect("a no-op");
    assert!(matches!(again.outcome, Outcome::AlreadyDone));
    let file = Deployments::read(folder.path(), 31337).expect("written");
    let entry = file.of_model(Role::Verifier, request.model.id).expect("recorded");
    assert_eq!((file.contracts.len(), Some(entry.address)), (1, dry.address));
    assert!(entry.transaction.as_ref().is_some_and(|transaction| transaction.gas_used > 1_000_000));

    let submit = async |claim: Proof, mode| {
        let id = request.model.id;
        let request = SubmitRequest::for_entry(
            entry,
            id,
            31337,
            ChainClass::Local,
            vec![claim],
            TREE_SHAPE,
            false,
        )?;
        submit_proof(&sender, &request, mode).await
    };
    for index in 0..3 {
        let Outcome::Mined(receipt) =
            submit(tree_proof(index), Mode::Broadcast).await.expect("accepted")
        else {
            panic!("not mined")
        };
        assert!(receipt.gas_used > 300_000, "{}", receipt.gas_used);
    }
    let before = node.rpc().block_number().await.expect("answered");
    for mutant in tree_proof(2).mutants() {
        let error = submit(mutant, Mode::Broadcast).await.expect_err("a changed proof");
        assert!(
            matches!(&error, Error::Transaction(it) if matches!(**it, tx::Error::WouldRevert { .. })),
            "{error:?}"
        );
        assert!(error.to_string().contains("the verifier rejects the proof"), "{error}");
    }
    let Proof { bytes: proof, mut instances } = tree_proof(0);
    let short = Proof { bytes: proof.slice(..proof.len() - 32), instances: instances.clone() };
    let error = submit(short, Mode::DryRun).await.expect_err("short");
    assert!(matches!(error, Error::ProofLength { found: 2944, expected: 2976 }), "{error}");
    instances.pop();
    let error = submit(Proof { bytes: proof, instances }, Mode::DryRun).await.expect_err("too few");
    assert!(matches!(error, Error::InstanceCount { found: 6, expected: 7 }), "{error}");
    assert_eq!(node.rpc().block_number().await.expect("answered"), before);
}

#[tokio::test]
async fn a_verifier_takes_several_proofs() {
    let node = node().await;
    let folder = tempfile::tempdir().expect("a folder");
    let sender = plain_sender(&node);
    let request = tree_request(&sender, folder.path()).await;
    deploy_verifier(&sender, &request, Mode::Broadcast).await.expect("deployed");
    let file = Deployments::read(folder.path(), 31337).expect("written");
    let entry = file.of_model(Role::Verifier, request.model.id).expect("recorded");
    let submit = async |claims: Vec<Proof>, mode| {
        let id = request.model.id;
        let request = SubmitRequest::for_entry(
            entry,
            id,
            31337,
            ChainClass::Local,
            claims,
            TREE_SHAPE,
            true,
        )?;
        submit_proof(&sender, &request, mode).await
    };
    let mut gas = Vec::new();
    for count in [1, 2, 3] {
        let claims = (0..count).map(tree_proof).collect();
        let outcome = submit(claims, Mode::Broadcast).await.expect("accepted");
        gas.push(outcome.receipt().expect("mined").gas_used);
    }
    assert!(gas[1] - gas[0] < gas[0] / 2, "a further proof is cheaper than the first: {gas:?}");
    let before = node.rpc().block_number().await.expect("answered");
    for mutant in tree_proof(2).mutants() {
        let claims = vec![tree_proof(0), mutant, tree_proof(1)];
        let error = submit(claims, Mode::Broadcast).await.expect_err("a changed proof");
        assert!(
            matches!(&error, Error::Transaction(it) if matches!(**it, tx::Error::WouldRevert { .. })),
            "{error:?}"
        );
        assert!(error.to_string().contains("the verifier rejects the proof"), "{error}");
    }
    let error = submit(Vec::new(), Mode::DryRun).await;
    assert!(matches!(error, Err(Error::NotForBatch { proofs: 0, .. })), "{error:?}");
    assert_eq!(node.rpc().block_number().await.expect("answered"), before);

    // What has other functions than it is said to have is not deployed.
    let width = |bytes: u8| Width::try_from(bytes).expect("a width");
    let wider = Entries { many: true, packing: Some(Packing::of([(width(4), 7)])) };
    let wrong = VerifierRequest { entries: wider, method: salt(1), ..request.clone() };
    let error = deploy_verifier(&sender, &wrong, Mode::Broadcast).await;
    assert!(matches!(error, Err(Error::GoldenRejected { .. })), "{error:?}");
}

#[tokio::test]
async fn a_proof_of_another_model_or_another_contract_is_not_sent() {
    let node = node().await;
    let folder = tempfile::tempdir().expect("a folder");
    let sender = plain_sender(&node);
    let request = tree_request(&sender, folder.path()).await;
    deploy_verifier(&sender, &request, Mode::Broadcast).await.expect("deployed");
    let file = Deployments::read(folder.path(), 31337).expect("written");
    let entry = file.of_role(Role::Verifier).expect("recorded");
    let claims = |count| vec![tree_proof(0); count];
    let other = ModelRecord::new("x", ModelIdentity::of_bytes(0), Provenance::UnsafeDev).id;
    let of = |id, chain, count| {
        SubmitRequest::for_entry(
            entry,
            id,
            chain,
            ChainClass::of(chain, false, false),
            claims(count),
            TREE_SHAPE,
            false,
        )
    };
    assert!(matches!(of(other, 31337, 1), Err(Error::OtherModel { .. })));
    assert!(matches!(of(request.model.id, 1, 1), Err(Error::UnsafeSrs { chain_id: 1 })));
    for count in [0, 2] {
        let error = of(request.model.id, 31337, count);
        assert!(matches!(error, Err(Error::NotForBatch { .. })), "{error:?}");
    }
    let good = of(request.model.id, 31337, 1).expect("its own");
    ask(node.rpc(), "anvil_setCode", json!([entry.address, "0x60015f5260205ff3"])).await;
    let error = submit_proof(&sender, &good, Mode::Broadcast).await;
    assert!(matches!(error, Err(Error::OtherCode { .. })), "{error:?}");
    // A chain that was started afresh has nothing there.
    ask(node.rpc(), "anvil_setCode", json!([entry.address, "0x"])).await;
    let error = submit_proof(&sender, &good, Mode::Broadcast).await.expect_err("nothing there");
    assert!(error.to_string().contains("zkvouch deploy"), "{error}");
    let says_two = Address::repeat_byte(0x22);
    ask(node.rpc(), "anvil_setCode", json!([says_two, "0x60025f5260205ff3"])).await;
    let code_hash = keccak256(node.rpc().code(says_two).await.expect("answered"));
    let odd = SubmitRequest { verifier: says_two, code_hash, ..good };
    let error = submit_proof(&sender, &odd, Mode::Broadcast).await;
    assert!(matches!(error, Err(Error::NotTrue { .. })), "{error:?}");
}

#[tokio::test]
async fn code_that_fails_the_golden_proof_is_never_deployed() {
    let node = node().await;
    let folder = tempfile::tempdir().expect("a folder");
    let sender = plain_sender(&node);
    let genuine = tree_request(&sender, folder.path()).await;
    let runs = async |runtime: &str| {
        let code: Bytes = runtime.parse().expect("hex");
        // codecopy(0, 9, size) and return it.
        let size = u8::try_from(code.len()).expect("short");
        let init = [&[0x60, size, 0x80, 0x60, 9, 0x5f, 0x39, 0x5f, 0xf3][..], &code].concat();
        let contract = Contract {
            init_code: init.into(),
            runtime_code: Some(code),
            ..genuine.contract.clone()
        };
        let request = VerifierRequest { contract, ..genuine.clone() };
        deploy_verifier(&sender, &request, Mode::Broadcast).await
    };
    let error = runs("0x60015f5260205ff3").await;
    assert!(matches!(error, Err(Error::MutantAccepted { .. })), "{error:?}");
    let error = runs("0x5f5ffd").await;
    assert!(matches!(error, Err(Error::GoldenRejected { .. })), "{error:?}");
    let error = runs("0x60025f5260205ff3").await;
    assert!(matches!(error, Err(Error::GoldenRejected { .. })), "{error:?}");
    let wrong = VerifierRequest { golden: tree_proof(0).mutants().remove(3), ..genuine.clone() };
    let error = deploy_verifier(&sender, &wrong, Mode::Broadcast).await;
    assert!(matches!(error, Err(Error::GoldenRejected { .. })), "{error:?}");
    assert_eq!(node.rpc().block_number().await.expect("answered"), 0);
}

#[tokio::test]
async fn a_development_srs_stays_local() {
    let options = AnvilOptions { chain_id: 11155111, ..Default::default() };
    let node = AnvilNode::spawn(options).await.expect("anvil runs");
    let folder = tempfile::tempdir().expect("a folder");
    let key = crate::chain::account::Secret::new("22".repeat(32));
    let wallet = Wallet::from_private_key(&key).expect("a key");
    let rich = json!([wallet.address(), "0xde0b6b3a7640000"]);
    ask(node.rpc(), "anvil_setBalance", rich).await;
    let account = Account::Signer(wallet);
    let sender = Sender::new(node.rpc().clone(), account, TxOptions::default()).expect("a sender");
    let request = tree_request(&sender, folder.path()).await;
    for mode in [Mode::DryRun, Mode::Broadcast] {
        let error = deploy_verifier(&sender, &request, mode).await;
        assert!(matches!(error, Err(Error::UnsafeSrs { chain_id: 11155111 })), "{error:?}");
    }
    let ceremony = Provenance::Ceremony("ppot-0078".into());
    let genuine = VerifierRequest { model: tree_model(ceremony), ..request.clone() };
    deploy_verifier(&sender, &genuine, Mode::Broadcast).await.expect("a ceremony's");
    let declared = VerifierRequest { class: ChainClass::Local, ..request };
    deploy_verifier(&sender, &declared, Mode::Broadcast).await.expect("declared local");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_deployments_at_once_end_with_one_contract_and_one_entry() {
    let node = node().await;
    let folder = tempfile::tempdir().expect("a folder");
    let request = Arc::new(tree_request(&plain_sender(&node), folder.path()).await);
    for account_of_second in [0, 1] {
        let tasks = [0, account_of_second].map(|index| {
            let rpc = node.rpc().clone();
            let sender = Sender::new(rpc, account(index), TxOptions::default()).expect("a sender");
            let request =
                VerifierRequest { method: salt(account_of_second as u8), ..(*request).clone() };
            tokio::spawn(async move { deploy_verifier(&sender, &request, Mode::Broadcast).await })
        });
        for task in tasks {
            task.await.expect("no panic").expect("deployed by one of them");
        }
    }
    let file = Deployments::read(folder.path(), 31337).expect("written");
    assert_eq!(file.contracts.len(), 2);
    assert!(file.contracts.iter().all(|entry| entry.transaction.is_some()), "{file:?}");
}

#[tokio::test]
async fn a_plain_creation_is_not_repeated() {
    let node = node().await;
    let folder = tempfile::tempdir().expect("a folder");
    let sender = plain_sender(&node);
    let request =
        VerifierRequest { method: Method::Create, ..tree_request(&sender, folder.path()).await };
    let first = deploy_verifier(&sender, &request, Mode::Broadcast).await.expect("deployed");
    let again = deploy_verifier(&sender, &request, Mode::Broadcast).await.expect("a no-op");
    assert!(matches!(again.outcome, Outcome::AlreadyDone));
    assert_eq!(again.address, first.address);
    // A file that says that other code is the verifier's is not believed.
    let other = deploy_contract(&sender, &counter(), Method::Create, Mode::Broadcast).await;
    let other = other.expect("deployed");
    Deployments::update(folder.path(), 31337, move |file| {
        file.contracts[0].address = other.address.expect("there");
        file.contracts[0].runtime_code_hash = other.runtime_code_hash.expect("known");
    })
    .await
    .expect("written");
    let third = deploy_verifier(&sender, &request, Mode::Broadcast).await.expect("deployed");
    assert!(matches!(third.outcome, Outcome::Mined(_)), "{third:?}");
    assert_ne!(third.address, other.address);
}

#[tokio::test]
async fn a_malformed_deployments_file_stops_before_money_is_spent() {
    let node = node().await;
    let folder = tempfile::tempdir().expect("a folder");
    let sender = plain_sender(&node);
    let request = tree_request(&sender, folder.path()).await;
    std::fs::write(Deployments::path(folder.path(), 31337), "{\"schema_version\": 1").expect("x");
    let error = deploy_verifier(&sender, &request, Mode::Broadcast).await;
    assert!(matches!(error, Err(Error::Deployments(_))), "{error:?}");
    assert_eq!(node.rpc().block_number().await.expect("answered"), 0);
}

#[tokio::test]
async fn a_node_that_goes_away_is_an_error_and_no_hang() {
    let node = node().await;
    let sender = plain_sender(&node);
    let rpc = node.rpc().clone();
    node.stop().await;
    let error = rpc.block_number().await;
    assert!(matches!(error, Err(rpc::Error::Unreachable { .. })), "{error:?}");
    let error = sender.send(&Call::new(Address::ZERO, Bytes::new(), "nothing")).await;
    assert!(matches!(error, Err(tx::Error::Rpc(_))), "{error:?}");
}
