//! The models in tests/fixtures, with real proofs, and what it takes to put them on a chain.

use super::*;
use crate::{
    chain::{
        ChainClass, Entries, Error, Mode,
        contracts::{
            AddModel, AddedModel, Capabilities, Core, CoreRequest, ModelArgs, add_model, decoder,
            default_gas_cap, deploy_core,
        },
        deploy::{Deployed, Deployer, VerifierRequest},
        deployments::ModelRecord,
    },
    files,
    model::{identity::ModelIdentity, provenance::Provenance},
};
use alloy::primitives::keccak256;
use std::path::Path;

/// The lean verifier of a model, as `zkvouch create-verifier` makes it from the settings, the key, the SRS
/// and proof-0 there.
pub(super) fn lean_verifier(name: &str) -> Contract {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/chain/testdata");
    let path = root.join(format!("lean-verifier-{name}.hex"));
    contract("LeanVerifier", &files::read_to_string(&path).expect("a fixture"))
}

/// A file of one of the models in tests/fixtures.
fn fixture(name: &str, file: &str) -> serde_json::Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
    let text = files::read_to_string(&root.join(name).join(file)).expect("a fixture");
    serde_json::from_str(&text).expect("JSON")
}

/// A real proof of that model.
pub(super) fn fixture_proof(name: &str, proof: &str) -> Proof {
    let proof = fixture(name, &format!("{proof}.json"));
    let bytes: Vec<u8> = serde_json::from_value(proof["proof"].clone()).expect("bytes");
    let instances: Vec<Vec<String>> =
        serde_json::from_value(proof["instances"].clone()).expect("hex");
    Proof {
        bytes: Bytes::from(bytes),
        instances: instances[0].iter().map(|hex| Felt::from_le_hex(hex).expect("a felt")).collect(),
    }
}

/// What its instances stand for.
pub(super) fn fixture_descriptor(name: &str) -> Descriptor {
    let bytes = fixture(name, "model.json")["descriptor"].clone();
    let bytes: Bytes = serde_json::from_value(bytes).expect("hex");
    Descriptor::read(&bytes).expect("a descriptor")
}

/// Its identity.
pub(super) fn fixture_model(name: &str) -> ModelRecord {
    let parts = &fixture(name, "model.json")["parts"];
    let hash = |name: &str| parts[name].as_str().expect("hex").parse().expect("32 bytes");
    let identity = ModelIdentity {
        onnx_sha256: hash("onnxHash"),
        settings_sha256: hash("settingsHash"),
        srs_sha256: hash("srsHash"),
        vk_sha256: hash("vkHash"),
        engine_version: parts["engine"].as_str().expect("text").to_owned(),
        descriptor_keccak256: keccak256(fixture_descriptor(name).encode()),
    };
    ModelRecord::new(name, identity, Provenance::UnsafeDev)
}

pub(super) fn tree_model() -> ModelRecord {
    fixture_model("tree")
}

/// Four inputs and three outputs at scale 7.
pub(super) fn tree_descriptor() -> Descriptor {
    fixture_descriptor("tree")
}

/// What a model's contract is made with.
pub(super) fn args_of(
    model: &ModelRecord,
    descriptor: Descriptor,
    proof_length: usize,
    bare: &Deployed,
    guardian: Option<Address>,
) -> ModelArgs {
    ModelArgs {
        identity: ModelIdentity {
            onnx_sha256: model.onnx_sha256,
            settings_sha256: model.settings_sha256,
            srs_sha256: model.srs_sha256,
            vk_sha256: model.vk_sha256,
            engine_version: model.engine_version.clone(),
            descriptor_keccak256: keccak256(descriptor.encode()),
        },
        verifier: bare.address.expect("by CREATE2"),
        verifier_code_hash: bare.runtime_code_hash.expect("known beforehand"),
        capabilities: Capabilities(7),
        proof_length: proof_length as u32,
        gas_cap: default_gas_cap(600_000, 600_000),
        guardian,
        descriptor,
    }
}

/// That of a model in tests/fixtures.
pub(super) fn fixture_args(name: &str, bare: &Deployed, guardian: Option<Address>) -> ModelArgs {
    let length = fixture_proof(name, "proof-0").bytes.len();
    args_of(&fixture_model(name), fixture_descriptor(name), length, bare, guardian)
}

pub(super) fn tree_args(
    model: &ModelRecord,
    bare: &Deployed,
    guardian: Option<Address>,
) -> ModelArgs {
    args_of(model, tree_descriptor(), 2976, bare, guardian)
}

pub(super) fn core_sender(node: &AnvilNode, index: usize) -> Sender {
    Sender::new(node.rpc().clone(), account(index), TxOptions::default())
        .expect("Anvil's own chain")
        .with_decoder(decoder())
}

/// Everything that `zkvouch deploy` puts in place for the tree.
pub(super) async fn deploy_all(
    sender: &Sender,
    folder: &Path,
    guardian: Option<Address>,
    mode: Mode,
) -> Result<(Core, AddedModel), Error> {
    deploy_fixture(sender, folder, "tree", guardian, mode).await
}

/// The same for any of the models in tests/fixtures.
pub(super) async fn deploy_fixture(
    sender: &Sender,
    folder: &Path,
    name: &str,
    guardian: Option<Address>,
    mode: Mode,
) -> Result<(Core, AddedModel), Error> {
    let mut contract = lean_verifier(name);
    let call = Call::create(contract.init_code.clone(), "the verifier");
    contract.runtime_code = Some(sender.call(&call).await.expect("runs"));
    let (model, golden) = (fixture_model(name), fixture_proof(name, "proof-0"));
    let verifier = VerifierRequest {
        contract,
        entries: Entries { many: true, packing: Some(fixture_descriptor(name).packing()) },
        compiler: None,
        model: model.clone(),
        method: Default::default(),
        golden: golden.clone(),
        deployments: folder.to_owned(),
        class: ChainClass::Local,
    };
    let mut deployer = Deployer::new(sender, mode);
    let bare = deployer.verifier(&verifier).await?;
    let request = CoreRequest {
        owner: sender.address(),
        timelock_delay: None,
        deployments: folder.to_owned(),
        class: ChainClass::Local,
    };
    let deployed = deploy_core(&mut deployer, &request).await?;
    let add = AddModel {
        core: deployed.core,
        model,
        args: fixture_args(name, &bare, guardian),
        golden,
        deployments: folder.to_owned(),
        class: ChainClass::Local,
    };
    Ok((deployed.core, add_model(&mut deployer, &add).await?))
}
