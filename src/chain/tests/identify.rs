//! What is at an address, for each kind of code.

use super::*;
use crate::{
    chain::check::{Identified, identify},
    verifier::{
        BuildRequest, VerifierSource, build,
        lean::{self, Expected, OptimizeFor},
        solc::{CompilerOptions, SourceSet},
        testing::{Fixture, compiler},
    },
};
use serde_json::json;

#[tokio::test]
async fn verifiers_are_told_apart_and_a_missing_guard_is_seen() {
    let node = node().await;
    let compiler = compiler().await;
    let fixture = Fixture::load("tree").await;
    let proof = Proof { bytes: fixture.proof.clone().into(), instances: fixture.instances.clone() };

    // ezkl's own Solidity, as its users deploy it.
    let options = CompilerOptions::for_generated_solidity();
    let sources = SourceSet::solidity("Halo2Verifier.sol", fixture.solidity.clone());
    let mut bare = None;
    for options in &options {
        bare = compiler.compile_contract(&sources, options, "Halo2Verifier").await.ok();
        if bare.is_some() {
            break;
        }
    }
    let bare = bare.expect("it compiles under one of them").runtime_code;
    let guarded = VerifierSource::from_ezkl(&fixture.solidity, None, None).expect("guarded");
    let guarded = build(&compiler, BuildRequest::new(guarded)).await.expect("built");
    let expected = Expected { num_instances: 7, k: 9, vk: None };
    let packing = crate::model::packing::Packing::words(7);
    let lean = lean::generate(&fixture.solidity, &expected, &packing, OptimizeFor::Calls)
        .expect("generated");
    let lean = build(&compiler, BuildRequest::new(lean.source())).await.expect("built");

    let at = Address::repeat_byte(0x77);
    let put = async |code: &[u8]| {
        ask(node.rpc(), "anvil_setCode", json!([at, alloy::hex::encode_prefixed(code)])).await;
    };
    let said = async |proof: Option<&Proof>| identify(node.rpc(), at, proof).await.expect("asked");

    assert_eq!(said(None).await, Identified::Account);
    put(&bare).await;
    let found = said(None).await;
    assert!(matches!(&found, Identified::OtherVerifier { guarded: None, .. }), "{found:?}");
    let found = said(Some(&proof)).await;
    assert!(matches!(&found, Identified::OtherVerifier { guarded: Some(false), .. }), "{found:?}");
    put(guarded.runtime_code()).await;
    let found = said(Some(&proof)).await;
    assert!(matches!(&found, Identified::OtherVerifier { guarded: Some(true), .. }), "{found:?}");
    // A proof that it doesn't accept shows nothing.
    let mut other = proof.clone();
    other.instances[0] = Felt::from_i128(12345);
    let found = said(Some(&other)).await;
    assert!(matches!(&found, Identified::OtherVerifier { guarded: None, .. }), "{found:?}");
    put(lean.runtime_code()).await;
    let found = said(None).await;
    assert!(matches!(&found, Identified::LeanVerifier { .. }), "{found:?}");
    put(&[0x60, 0x00, 0x60, 0x00, 0xf3]).await;
    assert!(matches!(said(None).await, Identified::Unknown { .. }));
    // An account that lends itself code.
    put(&[&[0xef, 0x01, 0x00], &[0x11; 20][..]].concat()).await;
    assert_eq!(said(None).await, Identified::Account);
}
