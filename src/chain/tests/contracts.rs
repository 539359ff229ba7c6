//! The contracts in the binary, with real proofs.

use super::{deploying::tree_request, fixture::*, *};
use crate::{
    calldata::encode_verify_proof,
    chain::{
        ChainClass, Error, Mode,
        contracts::{
            AddModel, Claims, Core, CoreRequest, LedgerRequest, ModelInfo, Prediction, Recorded,
            Status, Submitted, add_model, ask as ask_contract, bindings::PredictionLedger,
            deploy_core, is_already_recorded, list_models, prediction_id, retire_model, stop_model,
            submit_to_ledger, transfer_ownership, tree,
        },
        deploy::{Deployer, Outcome, VerifierRequest},
        deployments::{Deployments, ModelRecord, Role},
        tx::journal::Journal,
    },
    model::schema::descriptor_v1,
};
use alloy::primitives::{B256, keccak256};
use serde_json::json;
use std::path::Path;

pub(super) async fn submit(
    sender: &Sender,
    folder: &Path,
    claim: Proof,
    context: B256,
    mode: Mode,
) -> Result<(Prediction, Outcome), Error> {
    let Submitted { mut predictions, outcome, .. } =
        submit_many(sender, folder, vec![claim], context, mode).await?;
    assert_eq!(predictions.len(), 1);
    Ok((predictions.remove(0), outcome))
}

/// Proofs of the tree, by the id of the present contracts and by that of the former ones.
pub(super) fn tree_claims(proofs: Vec<Proof>) -> Claims {
    let former = keccak256(descriptor_v1(tree_descriptor().tensors()));
    let former = ModelRecord { descriptor_keccak256: Some(former), ..tree_model() };
    Claims {
        model: tree_model().id,
        former_ids: vec![former.identity()],
        descriptor: tree_descriptor(),
        counts: vec![1; proofs.len()],
        proofs,
        shape: TREE_SHAPE,
    }
}

pub(super) async fn submit_many(
    sender: &Sender,
    folder: &Path,
    claims: Vec<Proof>,
    context: B256,
    mode: Mode,
) -> Result<Submitted, Error> {
    let deployments = Deployments::read(folder, 31337).expect("written");
    let claims = tree_claims(claims);
    let request = LedgerRequest::for_model(&deployments, claims, context, ChainClass::Local)?;
    submit_to_ledger(sender, &request, mode).await
}

#[tokio::test]
async fn a_prediction_is_recorded_once() {
    let node = node().await;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let journal = Journal::start(folder, "Deploy", 31337, false).expect("a journal");
    let sender = core_sender(&node, 0).with_journal(journal);

    let (_, dry) = deploy_all(&sender, folder, None, Mode::DryRun).await.expect("a dry run");
    let Outcome::Simulated(simulation) = &dry.outcome else { panic!("{:?}", dry.outcome) };
    // The golden gate verifies a proof, alone and with a mutant.
    assert!(simulation.gas > 600_000, "{}", simulation.gas);
    assert_eq!(node.rpc().block_number().await.expect("answered"), 0);

    let (core, added) = deploy_all(&sender, folder, None, Mode::Broadcast).await.expect("deployed");
    assert_eq!(core, Core::of(sender.address()));
    assert_eq!(added.route, dry.route);
    let run = sender.journal().expect("there").run();
    let names: Vec<_> =
        run.transactions.iter().filter_map(|it| it.contract_name.as_deref()).collect();
    let all = ["LeanVerifier", "ModelVerifier", "ModelRouter", "PredictionLedger", "ModelRouter"];
    assert_eq!(names, all);
    assert_eq!((run.receipts.len(), run.pending.len()), (5, 0));
    let blocks = node.rpc().block_number().await.expect("answered");
    let (_, again) = deploy_all(&sender, folder, None, Mode::Broadcast).await.expect("a no-op");
    assert!(matches!(again.outcome, Outcome::AlreadyDone));
    assert_eq!(node.rpc().block_number().await.expect("answered"), blocks);
    let file = Deployments::read(folder, 31337).expect("written");
    assert_eq!(file.contracts.len(), 5);

    let context = B256::ZERO;
    let (dry, _) =
        submit(&sender, folder, tree_proof(0), context, Mode::DryRun).await.expect("valid");
    assert!(dry.recorded.is_none());
    let (submitted, outcome) =
        submit(&sender, folder, tree_proof(0), context, Mode::Broadcast).await.expect("recorded");
    let instances = tree_proof(0).instances;
    let id = prediction_id(tree_model().id, &instances, 31337, sender.address(), context);
    let words: Vec<u8> = instances[..4].iter().flat_map(|felt| felt.to_be_bytes()).collect();
    let expected = Recorded {
        model: tree_model().id,
        id,
        submitter: sender.address(),
        context,
        inputs_hash: Some(keccak256(words)),
        outputs: instances[4..].to_vec(),
    };
    assert_eq!((submitted.id, submitted.recorded), (id, Some(expected)));
    assert_eq!(submitted.decoded[0].values, Some(vec![5.5, 2.3984375, 3.703125, 1.0]));
    assert_eq!(submitted.decoded[1].values, Some(vec![0.0, 1.0, 0.0]));

    // What ledger, router and adapter cost over the bare verifier, storage write and event included.
    let bare = file.of_role(Role::Verifier).expect("deployed").address;
    let Proof { bytes: proof, instances } = tree_proof(0);
    let direct = encode_verify_proof(&proof, &instances);
    let direct = Call::new(bare, direct, "the proof");
    let direct = sender.send(&direct).await.expect("valid").gas_used;
    let recorded = outcome.receipt().expect("mined").gas_used;
    #[allow(clippy::print_stderr)]
    {
        eprintln!("direct {direct} gas, recorded {recorded} gas");
    }
    assert!(recorded - direct < 60_000, "{recorded} against {direct}");

    // Another proof of the same prediction is no other prediction.
    for index in [0, 1] {
        let error = submit(&sender, folder, tree_proof(index), context, Mode::Broadcast).await;
        let error = error.expect_err("recorded before");
        assert!(is_already_recorded(&error), "{error}");
        assert!(error.to_string().contains("AlreadyRecorded(id: 0x"), "{error}");
    }
    let other = B256::with_last_byte(1);
    submit(&sender, folder, tree_proof(1), other, Mode::Broadcast).await.expect("another context");
    submit(&sender, folder, tree_proof(2), context, Mode::Broadcast).await.expect("another one");
    for mutant in tree_proof(2).mutants() {
        let error = submit(&sender, folder, mutant, other, Mode::Broadcast).await;
        let error = error.expect_err("changed").to_string();
        assert!(error.contains("InvalidProof(modelId: 0x"), "{error}");
    }
}

#[tokio::test]
async fn several_predictions_are_recorded_in_one_transaction() {
    let node = node().await;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let sender = core_sender(&node, 0);
    let (core, _) = deploy_all(&sender, folder, None, Mode::Broadcast).await.expect("deployed");
    let models = list_models(node.rpc(), core.router).await.expect("listed");
    let file = Deployments::read(folder, 31337).expect("written");
    assert!(models[0].takes_batches && models[0].takes_packed);

    let claims = vec![tree_proof(2), tree_proof(0)];
    let context = B256::ZERO;
    let send = async |claims: &[Proof], context, mode| {
        submit_many(&sender, folder, claims.to_vec(), context, mode).await
    };
    let dry = send(&claims, context, Mode::DryRun).await.expect("valid");
    assert!(dry.outcome.is_dry());
    let before = node.rpc().block_number().await.expect("answered");
    let submitted = send(&claims, context, Mode::Broadcast).await.expect("recorded");
    assert_eq!(node.rpc().block_number().await.expect("answered"), before + 1);
    assert_eq!(submitted.predictions.len(), 2);
    for ((prediction, claim), dry) in
        submitted.predictions.iter().zip(&claims).zip(&dry.predictions)
    {
        let id = prediction_id(tree_model().id, &claim.instances, 31337, sender.address(), context);
        let recorded = prediction.recorded.as_ref().expect("mined");
        assert_eq!((prediction.id, dry.id, recorded.id), (id, id, id));
        assert_eq!(recorded.outputs, claim.instances[4..]);
        assert_eq!((recorded.context, recorded.inputs_hash), (context, None));
        assert_eq!(prediction.decoded, dry.decoded);
        assert!(dry.recorded.is_none());
        assert_eq!(prediction.path, dry.path);
    }
    let ids: Vec<_> = submitted.predictions.iter().map(|prediction| prediction.id).collect();
    assert_eq!(submitted.root, tree::root(&ids));
    assert_eq!(dry.root, submitted.root);
    let ledger = file.of_role(Role::Ledger).expect("deployed").address;
    for (index, id) in ids.iter().enumerate() {
        let path = submitted.predictions[index].path.clone();
        assert_eq!(path.len(), 1);
        let root = submitted.root.expect("a root");
        let call = PredictionLedger::isVerified_1Call { id: *id, root, path };
        assert!(ask_contract(node.rpc(), ledger, &call).await.expect("answered"));
        let call = PredictionLedger::isVerified_0Call { id: *id };
        assert!(!ask_contract(node.rpc(), ledger, &call).await.expect("answered"));
    }
    assert_eq!(submitted.predictions[1].decoded[1].values, Some(vec![0.0, 1.0, 0.0]));
    let both = submitted.outcome.receipt().expect("mined").gas_used;
    let other = B256::with_last_byte(1);
    let (_, single) =
        submit(&sender, folder, tree_proof(0), other, Mode::Broadcast).await.expect("recorded");
    let single = single.receipt().expect("mined").gas_used;
    assert!(both < 2 * single * 4 / 5, "{both} for both, {single} for one");

    // What is there already, twins, a bad one among good ones: nothing is recorded.
    let error = send(&claims, context, Mode::Broadcast).await.expect_err("recorded before");
    assert!(is_already_recorded(&error), "{error}");
    let third = B256::with_last_byte(2);
    let twins = [tree_proof(2), tree_proof(0), tree_proof(1)];
    let error = send(&twins, third, Mode::Broadcast).await;
    assert!(matches!(error, Err(Error::SamePrediction { first: 2, second: 3 })), "{error:?}");
    for mutant in tree_proof(2).mutants() {
        let error = send(&[tree_proof(0), mutant], third, Mode::Broadcast).await;
        let error = error.expect_err("changed").to_string();
        assert!(error.contains("InvalidProof(modelId: 0x"), "{error}");
    }
    let error = send(&[], third, Mode::Broadcast).await;
    assert!(matches!(error, Err(Error::NoProof)), "{error:?}");
    send(&claims, third, Mode::Broadcast).await.expect("nothing was recorded before");
}

#[tokio::test]
async fn a_race_that_is_lost_on_chain_is_decoded_too() {
    let node = node().await;
    let folder = tempfile::tempdir().expect("a folder");
    let sender = core_sender(&node, 0);
    deploy_all(&sender, folder.path(), None, Mode::Broadcast).await.expect("deployed");
    ask(node.rpc(), "evm_setAutomine", json!([false])).await;
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let (sender, folder) = (core_sender(&node, 0), folder.path().to_owned());
            tokio::spawn(async move {
                submit(&sender, &folder, tree_proof(0), B256::ZERO, Mode::Broadcast).await
            })
        })
        .collect();
    let rpc = node.rpc();
    for _ in 0..200 {
        let at = alloy::eips::BlockNumberOrTag::Pending;
        if rpc.transaction_count(account(0).address(), at).await.expect("answered") == 7 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    mine(rpc).await;
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.expect("no panic"));
    }
    let lost: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert_eq!(lost.len(), 1, "{outcomes:?}");
    assert!(is_already_recorded(lost[0]), "{}", lost[0]);
    assert!(lost[0].to_string().contains("in block"), "{}", lost[0]);
}

#[tokio::test]
async fn a_stopped_and_a_retired_model_take_nothing_any_more() {
    let node = node().await;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let owner = core_sender(&node, 0);
    let guardian = core_sender(&node, 1);
    let id = tree_model().id;
    let (core, added) =
        deploy_all(&owner, folder, Some(guardian.address()), Mode::Broadcast).await.expect("done");
    let rpc = node.rpc();
    let models = list_models(rpc, core.router).await.expect("listed");
    let ModelInfo { status: Status::Active, stopped: Some(false), route, .. } = &models[0] else {
        panic!("{models:?}")
    };
    assert_eq!((models.len(), *route), (1, Some(added.route)));
    assert_eq!(models[0].adapter, Some(added.route));
    assert_eq!((models[0].proof_length, models[0].instance_count), (Some(2976), Some(7)));
    let file = Deployments::read(folder, 31337).expect("written");
    assert_eq!(models[0].verifier, file.of_role(Role::Verifier).map(|entry| entry.address));
    submit(&owner, folder, tree_proof(0), B256::ZERO, Mode::Broadcast).await.expect("recorded");

    let error = stop_model(&owner, core.router, id, Mode::Broadcast).await;
    assert!(matches!(error, Err(Error::NotOwner { .. })), "{error:?}");
    let dry = stop_model(&guardian, core.router, id, Mode::DryRun).await.expect("simulated");
    assert!(matches!(dry, Outcome::Simulated(_)));
    stop_model(&guardian, core.router, id, Mode::Broadcast).await.expect("stopped");
    let again = stop_model(&guardian, core.router, id, Mode::Broadcast).await.expect("a no-op");
    assert!(matches!(again, Outcome::AlreadyDone));
    let error = submit(&owner, folder, tree_proof(2), B256::ZERO, Mode::Broadcast).await;
    let error = error.expect_err("stopped").to_string();
    assert!(error.contains("ModelStopped(") && error.contains("for good"), "{error}");

    let error = retire_model(&guardian, core.router, id, Mode::Broadcast).await;
    assert!(matches!(error, Err(Error::NotOwner { .. })), "{error:?}");
    retire_model(&owner, core.router, id, Mode::Broadcast).await.expect("retired");
    let again = retire_model(&owner, core.router, id, Mode::Broadcast).await.expect("a no-op");
    assert!(matches!(again, Outcome::AlreadyDone));
    let error = submit(&owner, folder, tree_proof(2), B256::ZERO, Mode::Broadcast).await;
    let error = error.expect_err("retired").to_string();
    assert!(error.contains("ModelRetired(") && error.contains("for good"), "{error}");
    let models = list_models(rpc, core.router).await.expect("listed");
    assert_eq!((models[0].status, models[0].route), (Status::Retired, None));
    let error = deploy_all(&owner, folder, Some(guardian.address()), Mode::Broadcast).await;
    assert!(matches!(error, Err(Error::Retired { .. })), "{error:?}");
    let unknown = crate::model::identity::ModelId(B256::ZERO);
    let error = retire_model(&owner, core.router, unknown, Mode::Broadcast).await;
    assert!(matches!(error, Err(Error::UnknownModel { .. })), "{error:?}");
}

#[tokio::test]
async fn routes_are_the_owners_and_are_never_repointed() {
    let node = node().await;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let owner = core_sender(&node, 0);
    let (core, _) = deploy_all(&owner, folder, None, Mode::Broadcast).await.expect("deployed");
    // The same model with a guardian is another route.
    let error = deploy_all(&owner, folder, Some(owner.address()), Mode::Broadcast).await;
    assert!(matches!(error, Err(Error::RoutedElsewhere { .. })), "{error:?}");
    let error = stop_model(&owner, core.router, tree_model().id, Mode::Broadcast).await;
    assert!(matches!(error, Err(Error::NoStop { .. })), "{error:?}");

    let heir = core_sender(&node, 2);
    let router = core.router;
    let error =
        transfer_ownership(&heir, router, Some(heir.address()), ChainClass::Local, Mode::Broadcast)
            .await;
    assert!(matches!(error, Err(Error::NotOwner { .. })), "{error:?}");
    transfer_ownership(&owner, router, Some(heir.address()), ChainClass::Local, Mode::Broadcast)
        .await
        .expect("offered");
    let error = transfer_ownership(&owner, router, None, ChainClass::Local, Mode::Broadcast)
        .await
        .expect_err("not it");
    assert!(error.to_string().contains("OwnableUnauthorizedAccount"), "{error}");
    transfer_ownership(&heir, router, None, ChainClass::Local, Mode::Broadcast)
        .await
        .expect("accepted");
    retire_model(&heir, router, tree_model().id, Mode::Broadcast).await.expect("its owner now");
}

#[tokio::test]
async fn behind_a_timelock_the_owner_gets_the_call_to_make() {
    let node = node().await;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let sender = core_sender(&node, 0);
    let mut deployer = Deployer::new(&sender, Mode::Broadcast);
    let verifier = VerifierRequest { model: tree_model(), ..tree_request(&sender, folder).await };
    let bare = deployer.verifier(&verifier).await.expect("deployed");
    let request = CoreRequest {
        owner: sender.address(),
        timelock_delay: Some(3600),
        deployments: folder.to_owned(),
        class: ChainClass::Local,
    };
    let deployed = deploy_core(&mut deployer, &request).await.expect("deployed");
    let timelock = deployed.timelock.expect("wanted").address.expect("by CREATE2");
    assert_eq!(deployed.core.owner, timelock);
    let add = AddModel {
        core: deployed.core,
        model: tree_model(),
        args: tree_args(&tree_model(), &bare, None),
        golden: tree_proof(0),
        deployments: folder.to_owned(),
        class: ChainClass::Local,
    };
    let error = add_model(&mut deployer, &add).await.expect_err("not the owner");
    let Error::NotOwner { owner, contract, call, .. } = error else { panic!("{error:?}") };
    assert_eq!((owner, contract), (timelock, deployed.core.router));
    // The call does what it says when the timelock makes it.
    ask(node.rpc(), "anvil_impersonateAccount", json!([timelock])).await;
    ask(node.rpc(), "anvil_setBalance", json!([timelock, "0xde0b6b3a7640000"])).await;
    let transaction = json!([{ "from": timelock, "to": call.to, "input": call.input }]);
    ask(node.rpc(), "eth_sendTransaction", transaction).await;
    mine(node.rpc()).await;
    let added = add_model(&mut deployer, &add).await.expect("there");
    assert!(matches!(added.outcome, Outcome::AlreadyDone));
    let models = list_models(node.rpc(), contract).await.expect("listed");
    assert_eq!(models[0].route, Some(added.route));
}

#[tokio::test]
async fn a_submission_goes_to_the_contracts_of_the_file_only() {
    let node = node().await;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let sender = core_sender(&node, 0);
    let none = submit(&sender, folder, tree_proof(0), B256::ZERO, Mode::DryRun).await;
    assert!(matches!(none, Err(Error::NotDeployed { .. })), "{none:?}");
    deploy_all(&sender, folder, None, Mode::Broadcast).await.expect("deployed");
    let file = Deployments::read(folder, 31337).expect("written");
    let ledger = file.of_role(Role::Ledger).expect("deployed").address;
    let route = file.of_role(Role::ModelVerifier).expect("deployed").address;
    for address in [ledger, route] {
        let code = node.rpc().code(address).await.expect("answered");
        ask(node.rpc(), "anvil_setCode", json!([address, "0x60015f5260205ff3"])).await;
        let error = submit(&sender, folder, tree_proof(0), B256::ZERO, Mode::Broadcast).await;
        assert!(matches!(error, Err(Error::OtherCode { .. })), "{error:?}");
        ask(node.rpc(), "anvil_setCode", json!([address, code])).await;
    }
    submit(&sender, folder, tree_proof(0), B256::ZERO, Mode::Broadcast).await.expect("as it was");
}
