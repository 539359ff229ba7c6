//! What was deployed before models were clones goes on working.

use super::{
    contracts::{submit, submit_many, tree_claims},
    fixture::{core_sender, tree_descriptor, tree_model},
    *,
};
use crate::{
    chain::{
        ChainClass, Error, Mode,
        check::{Topic, Verdict, check_model},
        contracts::{
            Status, ask as ask_contract, bindings::PredictionLedger, is_already_recorded,
            list_models, stop_model,
        },
        create2::{self, FORMER_SALT},
        deployments::Deployments,
    },
    files,
    model::{identity::ModelId, schema::descriptor_v1},
};
use alloy::{
    primitives::{B256, keccak256},
    sol_types::SolValue,
};
use serde_json::{Value, json};
use std::path::Path;

sol! {
    struct FormerParts {
        bytes32 onnxHash;
        bytes32 settingsHash;
        bytes32 srsHash;
        bytes32 vkHash;
        string engine;
    }

    function addModel(address verifier, bytes proof, uint256[] instances) external;
}

/// The contracts of that release with the tree's model, and the deployments file that it wrote.
struct Former {
    node: AnvilNode,
    folder: tempfile::TempDir,
    model: ModelId,
    router: Address,
    ledger: Address,
}

async fn create2(sender: &Sender, init_code: Vec<u8>) -> Address {
    let call = Call::new(create2::PROXY, create2::calldata(FORMER_SALT, &init_code), "a contract");
    sender.send(&call).await.expect("deployed");
    create2::address(FORMER_SALT, &init_code)
}

impl Former {
    async fn new(guardian: Option<Address>) -> Self {
        let node = node().await;
        let sender = core_sender(&node, 0);
        let codes = include_str!("../testdata/former-contracts.json");
        let codes: Value = serde_json::from_str(codes).expect("JSON");
        let code = |name: &str, arguments: Vec<u8>| -> Vec<u8> {
            let code: Bytes = serde_json::from_value(codes[name].clone()).expect("hex");
            [&code[..], &arguments].concat()
        };
        let put = async |code| create2(&sender, code).await;
        let bare = put(tree_verifier().init_code.to_vec()).await;
        let owner = sender.address();
        let router = put(code("ModelRouter", (owner,).abi_encode_params())).await;
        let ledger = put(code("PredictionLedger", (router,).abi_encode_params())).await;
        let model = tree_model();
        let parts = FormerParts {
            onnxHash: model.onnx_sha256,
            settingsHash: model.settings_sha256,
            srsHash: model.srs_sha256,
            vkHash: model.vk_sha256,
            engine: model.engine_version.clone(),
        };
        let descriptor = descriptor_v1(tree_descriptor().tensors());
        let hash = keccak256(node.rpc().code(bare).await.expect("answered"));
        let numbers = [2976, 900_000].map(U256::from);
        let descriptor_bytes = Bytes::from(descriptor.clone());
        let arguments = (parts, bare, hash, bare, hash, numbers[0], numbers[1], descriptor_bytes);
        let adapter = put(code("ModelVerifier", arguments.abi_encode_params())).await;
        let route = match guardian {
            None => adapter,
            Some(guardian) => {
                put(code("EmergencyStop", (adapter, guardian).abi_encode_params())).await
            }
        };
        let Proof { bytes: proof, instances } = tree_proof(0);
        let instances = instances.iter().map(|felt| felt.to_u256()).collect();
        let call = addModelCall { verifier: route, proof, instances }.abi_encode();
        sender.send(&Call::new(router, call.into(), "the model")).await.expect("added");

        // As that release wrote it.
        let [former] = &tree_claims(Vec::new()).former_ids[..] else { panic!("one former id") };
        let record = json!({
            "name": "tree", "id": former, "onnx_sha256": model.onnx_sha256,
            "settings_sha256": model.settings_sha256, "srs_sha256": model.srs_sha256,
            "vk_sha256": model.vk_sha256, "engine_version": model.engine_version,
            "descriptor_keccak256": keccak256(descriptor), "srs": { "kind": "unsafe-dev" },
        });
        let mut contracts = Vec::new();
        let mut entries = vec![
            ("verifier", "LeanVerifier", bare, Some(&record)),
            ("router", "ModelRouter", router, None),
            ("ledger", "PredictionLedger", ledger, None),
            ("model-verifier", "ModelVerifier", adapter, Some(&record)),
        ];
        if guardian.is_some() {
            entries.push(("emergency-stop", "EmergencyStop", route, Some(&record)));
        }
        for (role, name, address, model) in entries {
            let code = keccak256(node.rpc().code(address).await.expect("answered"));
            let mut entry = json!({
                "role": role, "name": name, "address": address, "runtime_code_hash": code,
                "init_code_hash": B256::ZERO, "salt": FORMER_SALT,
            });
            if let Some(model) = model {
                entry["model"] = model.clone();
            }
            contracts.push(entry);
        }
        let file = json!({ "schema_version": 1, "chain_id": 31337, "contracts": contracts });
        let folder = tempfile::tempdir().expect("a folder");
        let path = Deployments::path(folder.path(), 31337);
        files::write_atomic(&path, file.to_string().as_bytes()).expect("written");
        Self { node, model: *former, router, ledger, folder }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }
}

#[tokio::test]
async fn predictions_are_still_recorded_by_the_contracts_of_a_former_release() {
    let former = Former::new(None).await;
    let sender = core_sender(&former.node, 0);
    let (one, _) = submit(&sender, former.folder(), tree_proof(0), B256::ZERO, Mode::Broadcast)
        .await
        .expect("recorded");
    assert_eq!(one.decoded[1].values, Some(vec![0.0, 1.0, 0.0]));
    let recorded = one.recorded.expect("an event");
    assert_eq!((recorded.id, recorded.model), (one.id, former.model));
    let both = vec![tree_proof(2), tree_proof(0)];
    let context = B256::with_last_byte(1);
    let batch = submit_many(&sender, former.folder(), both.clone(), context, Mode::Broadcast);
    let batch = batch.await.expect("recorded");
    let root = batch.root.expect("a root");
    for prediction in &batch.predictions {
        assert!(prediction.recorded.as_ref().is_some_and(|it| it.inputs_hash.is_some()));
        let (id, path) = (prediction.id, prediction.path.clone());
        let call = PredictionLedger::isVerified_1Call { id, root, path };
        let there = ask_contract(former.node.rpc(), former.ledger, &call).await;
        assert!(there.expect("answered"));
    }
    let again = submit_many(&sender, former.folder(), both, context, Mode::Broadcast).await;
    assert!(is_already_recorded(&again.expect_err("recorded before")));
}

#[tokio::test]
async fn a_former_model_is_listed_stopped_and_told_apart() {
    let guardian = account(1).address();
    let former = Former::new(Some(guardian)).await;
    let rpc = former.node.rpc();
    let models = list_models(rpc, former.router).await.expect("listed");
    let [model] = &models[..] else { panic!("{models:?}") };
    assert_eq!(
        (model.id, model.status, model.stopped),
        (former.model, Status::Active, Some(false))
    );
    assert_eq!((model.proof_length, model.instance_count), (Some(2976), Some(7)));
    assert!(model.takes_batches && !model.takes_packed && model.adapter != model.route);

    let check = check_model(rpc, former.router, former.model, ChainClass::Local).await;
    let check = check.expect("answered");
    assert_eq!(check.count(Verdict::Unknown), Topic::ALL.len());
    let router = &check.claims[0].detail;
    assert!(router.contains("before models were clones"), "{router}");

    let owner = core_sender(&former.node, 0);
    let error = stop_model(&owner, former.router, former.model, Mode::Broadcast).await;
    assert!(matches!(error, Err(Error::NotOwner { .. })), "{error:?}");
    let guardian = core_sender(&former.node, 1);
    stop_model(&guardian, former.router, former.model, Mode::Broadcast).await.expect("stopped");
    let error = submit(&owner, former.folder(), tree_proof(0), B256::ZERO, Mode::Broadcast).await;
    let error = error.expect_err("stopped").to_string();
    assert!(error.contains("EnforcedPause()"), "{error}");
}

/// Both may stand in one file: a model that is deployed anew has another id, and its own ledger.
#[tokio::test]
async fn former_and_present_deployments_share_a_file() {
    let former = Former::new(None).await;
    let sender = core_sender(&former.node, 0);
    let deployed = super::fixture::deploy_all(&sender, former.folder(), None, Mode::Broadcast);
    let (core, _) = deployed.await.expect("deployed");
    let (present, outcome) =
        submit(&sender, former.folder(), tree_proof(0), B256::ZERO, Mode::Broadcast)
            .await
            .expect("recorded");
    assert_eq!(present.recorded.expect("an event").model, tree_model().id);
    let logs = &outcome.receipt().expect("mined").logs;
    assert!(logs.iter().all(|log| log.address() == core.ledger));
    let file = Deployments::read(former.folder(), 31337).expect("read");
    assert!(file.at(former.ledger).is_some() && file.at(core.ledger).is_some());
    let text = files::read_to_string(&Deployments::path(former.folder(), 31337)).expect("read");
    assert!(text.contains("\"schema_version\": 2"), "{text}");
}
