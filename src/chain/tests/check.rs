//! What a stranger finds out about a model, honest or not.

use super::{
    deploying::tree_request,
    fixture::{core_sender, deploy_all, tree_args, tree_model},
    proxy::{self, Act, through},
    *,
};
use crate::{
    chain::{
        ChainClass, Mode,
        check::{ModelCheck, Topic, Verdict, check_model},
        contracts::{
            AddModel, AddedModel, Core, CoreRequest, ModelArgs, add_model, deploy_core, read_clone,
            retire_model, stop_model, transfer_ownership,
        },
        deploy::{Deployer, VerifierRequest},
    },
    field::BASE_MODULUS,
    srs::ceremony,
    verifier::ceremony_words,
};
use Topic::*;
use Verdict::{Fails, Unknown};
use alloy::primitives::{B256, keccak256};
use serde_json::json;

const PUBLIC: ChainClass = ChainClass::Public { unknown_srs: false };

/// A chain with the tree's model on it.
struct Setting {
    node: AnvilNode,
    core: Core,
    added: AddedModel,
}

impl Setting {
    async fn new(guardian: Option<Address>) -> Self {
        let node = node().await;
        let folder = tempfile::tempdir().expect("a folder");
        let sender = core_sender(&node, 0);
        let deployed = deploy_all(&sender, folder.path(), guardian, Mode::Broadcast).await;
        let (core, added) = deployed.expect("deployed");
        Self { node, core, added }
    }

    /// The model's contract.
    fn route(&self) -> Address {
        self.added.route
    }

    /// Puts a clone with other arguments in the model's place, which no router would make.
    async fn set_args(&self, change: impl FnOnce(&mut ModelArgs)) {
        let code = self.code(self.route()).await;
        let (implementation, packed) = read_clone(&code).expect("a clone");
        let mut args = ModelArgs::read(packed).expect("arguments");
        change(&mut args);
        self.set_code(self.route(), &args.code(implementation)).await;
    }

    async fn check(&self) -> ModelCheck {
        self.check_of(self.core.router, ChainClass::Local).await
    }

    async fn check_of(&self, router: Address, class: ChainClass) -> ModelCheck {
        check_model(self.node.rpc(), router, tree_model().id, class)
            .await
            .expect("the node answers")
    }

    async fn code(&self, address: Address) -> Vec<u8> {
        self.node.rpc().code(address).await.expect("answered").to_vec()
    }

    async fn set_code(&self, address: Address, code: &[u8]) {
        let code = alloy::hex::encode_prefixed(code);
        ask(self.node.rpc(), "anvil_setCode", json!([address, code])).await;
    }
}

/// The claims with this verdict.
fn with(check: &ModelCheck, verdict: Verdict) -> Vec<Topic> {
    check.claims.iter().filter(|it| it.verdict == verdict).map(|it| it.claim).collect()
}

fn detail(check: &ModelCheck, topic: Topic) -> &str {
    &check.claims.iter().find(|it| it.claim == topic).expect("every topic").detail
}

fn replaced(code: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut code = code.to_vec();
    let places: Vec<_> =
        (0..=code.len() - from.len()).filter(|at| code[*at..].starts_with(from)).collect();
    assert!(!places.is_empty(), "nothing to replace");
    for at in places {
        code[at..at + to.len()].copy_from_slice(to);
    }
    code
}

#[tokio::test]
async fn an_honest_model_shows_all_but_its_files() {
    let setting = Setting::new(None).await;
    let check = setting.check().await;
    assert_eq!(check.claims.iter().map(|it| it.claim).collect::<Vec<_>>(), Topic::ALL);
    assert_eq!(with(&check, Fails), [], "{check:#?}");
    // The fixture's SRS was made for it alone; tests/flow.rs has one of a ceremony.
    assert_eq!(with(&check, Unknown), [Setup, Circuit], "{check:#?}");
    assert!(detail(&check, Setup).contains("no ceremony"), "{}", detail(&check, Setup));
    assert_eq!(check.route, Some(setting.route()));
    assert_eq!(check.implementation, Some(setting.core.implementation));
    assert_eq!(check.predictions, Some(1));
    assert_eq!(check.identity.as_ref().map(|it| it.model_id()), Some(tree_model().id));
    assert_eq!(check.ceremony, None);
    assert_eq!((check.owner, check.guardian), (Some(setting.core.owner), None));
    assert_eq!(
        detail(&check, Descriptor),
        "7 instances: input [1, 4] / 2^7, 2 bytes each, output [1, 3] / 2^7, 2 bytes each"
    );
    assert!(detail(&check, GoldenProof).starts_with("accepted, and "));

    // Elsewhere everybody is the owner of this one.
    let public = setting.check_of(setting.core.router, PUBLIC).await;
    assert_eq!(with(&public, Fails), [Owner]);

    // A node that has no old logs takes one claim away and no more.
    let (rpc, _) = through(&setting.node, |method, _| match method {
        "eth_getLogs" => Act::Answer(false, proxy::error(-32602, "block range too wide")),
        _ => Act::Pass,
    })
    .await;
    let check = check_model(&rpc, setting.core.router, tree_model().id, ChainClass::Local).await;
    let check = check.expect("the node answers");
    assert_eq!(
        (with(&check, Fails), with(&check, Unknown)),
        (vec![], vec![Setup, GoldenProof, Circuit])
    );
}

#[tokio::test]
async fn who_is_not_a_router_of_ours_is_not_believed() {
    let setting = Setting::new(None).await;
    let wallet = account(3).address();
    for (router, words) in [(wallet, "no contract"), (setting.route(), "not this release's")] {
        let check = setting.check_of(router, ChainClass::Local).await;
        assert_eq!(with(&check, Fails), [Router]);
        assert_eq!(with(&check, Unknown).len(), Topic::ALL.len() - 1);
        assert!(detail(&check, Router).contains(words), "{}", detail(&check, Router));
    }
    // One that answers like it, but has a byte more.
    let mut code = setting.code(setting.core.router).await;
    code.push(0);
    setting.set_code(setting.core.router, &code).await;
    assert_eq!(with(&setting.check().await, Fails), [Router]);
}

#[tokio::test]
async fn another_verifier_is_seen_by_its_code() {
    let setting = Setting::new(None).await;
    let honest = setting.check().await;
    let verifier = honest.verifier.expect("named");
    let code = setting.code(verifier).await;
    // One that accepts whatever comes; one with a byte more; none.
    let yes = alloy::hex::decode("60015f5260205ff3").expect("hex");
    for other in [&yes[..], &[&code[..], &[0]].concat(), &[]] {
        setting.set_code(verifier, other).await;
        let check = setting.check().await;
        assert_eq!(with(&check, Fails), [Verifier, GoldenProof]);
        assert_eq!(with(&check, Unknown), [Setup, Circuit]);
    }
    setting.set_code(verifier, &code).await;
    assert_eq!(with(&setting.check().await, Fails), []);
}

#[tokio::test]
async fn another_models_verifier_under_its_own_pin_is_never_called_the_models() {
    let node = node().await;
    let folder = tempfile::tempdir().expect("a folder");
    let sender = core_sender(&node, 0);
    // The tree's verifier for a model that is none: everything on chain adds up.
    let mut model = tree_model();
    model.onnx_sha256 = B256::repeat_byte(7);
    model.id = model.identity();
    let mut deployer = Deployer::new(&sender, Mode::Broadcast);
    let request =
        VerifierRequest { model: model.clone(), ..tree_request(&sender, folder.path()).await };
    let bare = deployer.verifier(&request).await.expect("deployed");
    let request = CoreRequest {
        owner: sender.address(),
        timelock_delay: None,
        deployments: folder.path().to_owned(),
        class: ChainClass::Local,
    };
    let core = deploy_core(&mut deployer, &request).await.expect("deployed").core;
    let add = AddModel {
        core,
        model: model.clone(),
        args: tree_args(&model, &bare, None),
        golden: tree_proof(0),
        deployments: folder.path().to_owned(),
        class: ChainClass::Local,
    };
    add_model(&mut deployer, &add).await.expect("added");
    let check = check_model(node.rpc(), core.router, model.id, ChainClass::Local).await;
    let check = check.expect("the node answers");
    assert_eq!((with(&check, Fails), with(&check, Unknown)), (vec![], vec![Setup, Circuit]));
    assert!(detail(&check, Circuit).contains("build the model"));
}

#[tokio::test]
async fn a_model_that_lies_is_caught_by_what_follows_from_its_words() {
    let setting = Setting::new(None).await;
    let code = setting.code(setting.route()).await;
    let schema = alloy::hex::decode("0000000102070200000004030702000000 03".replace(' ', ""));
    let schema = schema.expect("hex");

    // Another part of the id; outputs scaled otherwise.
    setting.set_args(|args| args.identity.onnx_sha256 = B256::repeat_byte(9)).await;
    let check = setting.check().await;
    assert_eq!(with(&check, Fails), [AdapterAddress, ModelId], "{check:#?}");
    setting.set_code(setting.route(), &code).await;
    let (from, to) = ("03070202", "030e0202");
    let [from, to] = [from, to].map(|it| alloy::hex::decode(it).expect("hex"));
    let lie = replaced(&code, &from, &to);
    setting.set_code(setting.route(), &lie).await;
    // The schema no longer is the descriptor's.
    assert_eq!(with(&setting.check().await, Fails), [AdapterAddress]);

    // Only the schema: inputs called outputs. Then no descriptor at all.
    let lie = alloy::hex::decode("000000010307020000000403070200000003").expect("hex");
    setting.set_code(setting.route(), &replaced(&code, &schema, &lie)).await;
    let check = setting.check().await;
    assert_eq!(with(&check, Fails), [AdapterAddress]);
    assert_eq!(check.verdict(ModelId), Some(Unknown));
    setting.set_code(setting.route(), &code[..code.len() - 1]).await;
    assert_eq!(with(&setting.check().await, Fails), [AdapterAddress]);

    // What the id does not commit to, the address does.
    setting.set_code(setting.route(), &code).await;
    setting.set_args(|args| args.gas_cap += 1).await;
    assert_eq!(with(&setting.check().await, Fails), [AdapterAddress]);
    setting.set_code(setting.route(), &code).await;
    assert_eq!(with(&setting.check().await, Fails), []);
}

#[tokio::test]
async fn a_foreign_contract_is_no_evidence() {
    let setting = Setting::new(None).await;
    let code = setting.code(setting.route()).await;
    let implementation = setting.code(setting.core.implementation).await;
    // No clone; a clone of something else; a clone of what is no longer ours.
    let other = replaced(&code, &setting.core.implementation[..], &setting.core.ledger[..]);
    for (route, implementation) in [
        (&implementation[..], &implementation[..]),
        (&other, &implementation),
        (&code, &[&implementation[..], &[0]].concat()),
    ] {
        setting.set_code(setting.route(), route).await;
        setting.set_code(setting.core.implementation, implementation).await;
        let check = setting.check().await;
        assert_eq!(with(&check, Fails), [Adapter]);
        for topic in [ModelId, Descriptor, Verifier, Setup, GoldenProof, NotStopped, Guardian] {
            assert_eq!(check.verdict(topic), Some(Unknown), "{topic:?}");
        }
    }
}

/// The verifier's code with another setup in it, and a model that pins this code.
#[tokio::test]
async fn the_setup_is_named_by_what_the_code_holds() {
    let setting = Setting::new(None).await;
    let verifier = setting.check().await.verifier.expect("named");
    for name in [ceremony::EZKL, ceremony::DEV, "unsafe-snarkjs-test15"] {
        let [x0, x1, y0, y1] = ceremony::by_name(name).expect("in the table").tau_g2;
        let words = [x1, x0, BASE_MODULUS - y1, BASE_MODULUS - y0];
        let bytes = |words: [U256; 4]| words.map(|word| word.to_be_bytes::<32>()).concat();
        let code = setting.code(verifier).await;
        let present = bytes(ceremony_words(&code).expect("found"));
        let patched = replaced(&code, &present, &bytes(words));
        setting.set_code(verifier, &patched).await;
        setting.set_args(|args| args.verifier_code_hash = keccak256(&patched)).await;
        let check = setting.check().await;
        assert_eq!(check.verdict(Verifier), Some(Verdict::Holds));
        assert_eq!(check.ceremony.as_deref(), Some(name));
        assert!(detail(&check, Setup).contains(name), "{}", detail(&check, Setup));
        // No proof is of this setup, and no router made this clone, which the chain shows, too.
        let fails = with(&check, Fails);
        match name {
            ceremony::EZKL => assert_eq!(fails, [AdapterAddress, GoldenProof]),
            _ => assert_eq!(fails, [AdapterAddress, Setup, GoldenProof], "{name}"),
        }
    }
}

#[tokio::test]
async fn what_ended_is_told_and_who_ends_it() {
    let guardian = account(1).address();
    let setting = Setting::new(Some(guardian)).await;
    let (rpc, router, id) = (setting.node.rpc(), setting.core.router, tree_model().id);
    let check = setting.check().await;
    assert_eq!((with(&check, Fails), with(&check, Unknown)), (vec![], vec![Setup, Circuit]));
    assert_eq!((check.guardian, check.route), (Some(guardian), Some(setting.added.route)));
    let public = setting.check_of(router, PUBLIC).await;
    assert_eq!(with(&public, Fails), [Owner, Guardian]);

    let heir = Address::repeat_byte(0x77);
    let owner = core_sender(&setting.node, 0);
    transfer_ownership(&owner, router, Some(heir), ChainClass::Local, Mode::Broadcast)
        .await
        .expect("offered");
    let check = setting.check().await;
    assert_eq!((check.verdict(OwnerStays), check.pending_owner), (Some(Unknown), Some(heir)));
    transfer_ownership(&owner, router, Some(guardian), ChainClass::Local, Mode::Broadcast)
        .await
        .expect("offered");
    assert!(with(&setting.check_of(router, PUBLIC).await, Fails).contains(&OwnerStays));

    stop_model(&core_sender(&setting.node, 1), router, id, Mode::Broadcast).await.expect("stopped");
    let check = setting.check().await;
    assert_eq!(with(&check, Fails), [NotStopped, GoldenProof]);
    assert!(detail(&check, NotStopped).contains("for good"));

    retire_model(&owner, router, id, Mode::Broadcast).await.expect("retired");
    let check = setting.check().await;
    assert_eq!(with(&check, Fails), [Route]);
    assert!(detail(&check, Route).contains("retired"));
    assert_eq!((check.route, check.verdict(Adapter)), (None, Some(Unknown)));
    let unknown = crate::model::identity::ModelId(B256::ZERO);
    let check = check_model(rpc, router, unknown, ChainClass::Local).await.expect("answered");
    assert!(detail(&check, Route).contains("never"), "{}", detail(&check, Route));
}

#[tokio::test]
async fn a_timelock_is_recognised_with_its_delay() {
    let node = node().await;
    let folder = tempfile::tempdir().expect("a folder");
    let sender = core_sender(&node, 0);
    let mut deployer = Deployer::new(&sender, Mode::Broadcast);
    let request = CoreRequest {
        owner: sender.address(),
        timelock_delay: Some(3600),
        deployments: folder.path().to_owned(),
        class: ChainClass::Local,
    };
    let core = deploy_core(&mut deployer, &request).await.expect("deployed").core;
    let check = check_model(node.rpc(), core.router, tree_model().id, PUBLIC).await;
    let check = check.expect("answered");
    assert_eq!((check.timelock_delay, check.owner), (Some(3600), Some(core.owner)));
    assert_eq!(with(&check, Fails), [Route]);
    assert!(detail(&check, Owner).contains("a timelock of 3600 s"));
    // Any other contract may do anything.
    let code = format!("{}00", node.rpc().code(core.owner).await.expect("answered"));
    ask(node.rpc(), "anvil_setCode", json!([core.owner, code])).await;
    let check = check_model(node.rpc(), core.router, tree_model().id, PUBLIC).await;
    let check = check.expect("answered");
    assert_eq!((check.verdict(Owner), check.timelock_delay), (Some(Unknown), None));
}
