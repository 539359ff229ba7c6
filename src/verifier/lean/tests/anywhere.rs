//! The source under the settings that other people's tools have.

use super::*;
use crate::verifier::solc::CompilerOptions;

/// solc as it is, Remix, Hardhat, Foundry, and by way of Yul with and without the optimizer.
fn settings() -> Vec<CompilerOptions> {
    let set = |optimizer, runs, via_ir| CompilerOptions {
        optimizer,
        runs,
        via_ir,
        yul_steps: None,
        ..CompilerOptions::default()
    };
    vec![
        set(false, 200, false),
        set(true, 200, false),
        set(true, 1, false),
        set(false, 200, true),
        set(true, 200, true),
    ]
}

#[tokio::test]
async fn the_source_compiles_and_verifies_under_any_settings() {
    for (name, form) in [("tree", FORMS[0]), ("credit", FORMS[1])] {
        let fixture = Fixture::load(name).await;
        let lean = generate_as(name, &fixture, form);
        let (source, compiler) = (lean.source(), compiler().await);
        let sample = (&fixture.proof[..], &fixture.instances[..]);
        let words: Vec<U256> = fixture.instances.iter().map(|felt| felt.to_u256()).collect();
        let packed = lean.packing().pack(&fixture.instances).expect("it fits");
        for options in settings() {
            let contract =
                compiler.compile_contract(&source.sources(), &options, source.contract()).await;
            let contract = contract.unwrap_or_else(|error| panic!("{name} {options}: {error}"));
            // By way of Yul the body is there twice, which is more than a chain takes before Amsterdam.
            let mut evm = Evm::new(Hardfork::default()).without_limits();
            let at = evm.deploy(contract.init_code).expect("deployed").address;
            let mut wrong = words.clone();
            wrong[0] = (wrong[0] + U256::ONE) % crate::field::SCALAR_MODULUS;
            for (calldata, good) in [
                (equivalence::calldata_one(&fixture.proof, &words).into(), true),
                (encode_verify_many([sample; 2]), true),
                (encode_verify_packed(&fixture.proof, &packed), true),
                (encode_verify_many_packed([(&fixture.proof[..], &packed[..]); 2]), true),
                (equivalence::calldata_one(&fixture.proof, &wrong).into(), false),
            ] {
                let result = evm.call(at, calldata, 1 << 30).expect("a transaction");
                assert_eq!(result.success, good, "{name} {options}");
            }
        }
    }
}
