use super::{
    calldata::mutants,
    golden::Verdict,
    solc::{CompilerOptions, Language, SourceSet},
    testing::{Fixture, anvil, compiler},
    *,
};
use crate::evm::{CallResult, Evm, SENDER};
use alloy::{
    primitives::{Address, Bytes, U256},
    providers::{Provider, ProviderBuilder, ext::AnvilApi},
    rpc::types::TransactionRequest,
};
use std::time::Instant;

/// The compiler options that ezkl itself uses: no IR, runs = 1.
fn legacy() -> CompilerOptions {
    CompilerOptions { via_ir: false, yul_steps: None, runs: 1, ..<_>::default() }
}

fn source(fixture: &Fixture) -> VerifierSource {
    let (proof, instances) = (fixture.proof.len(), fixture.instances.len());
    VerifierSource::from_ezkl(&fixture.solidity, Some(proof), Some(instances)).expect("guarded")
}

async fn build_default(compiler: &Compiler, fixture: &Fixture) -> VerifierArtifact {
    let sample = Some(fixture.sample());
    let request = BuildRequest { sample, ..BuildRequest::new(source(fixture)) };
    build(compiler, request).await.expect("built")
}

#[tokio::test]
async fn built_verifiers_accept_the_canonical_call_and_nothing_else() {
    let compiler = compiler().await;
    for name in ["tree", "credit", "hashed"] {
        let fixture = Fixture::load(name).await;
        let artifact = build_default(&compiler, &fixture).await;
        let metadata = artifact.metadata();
        assert_eq!(metadata.compiler.options, CompilerOptions::default());
        assert!(metadata.gas.is_deployable());

        // The words that the source names are those that the code shows.
        let words = metadata.neg_s_g2.expect("found");
        for (word, comment) in words.iter().zip(["x_1", "x_2", "y_1", "y_2"]) {
            let line = format!("{:#066x}) // neg_s_g2_{comment}", word);
            assert!(fixture.solidity.contains(&line), "{name}: {line}");
        }

        let (verdict, result) =
            artifact.verify(&fixture.proof, &fixture.instances, Hardfork::Osaka).expect("runs");
        assert_eq!(verdict, Verdict::Accepted);
        assert_eq!(Some(result.gas_used), metadata.gas.verify_gas);

        // Another model's proof, and this one with two instances exchanged.
        let mut instances = fixture.instances.clone();
        let last = instances.len() - 1;
        if instances[0] != instances[last] {
            instances.swap(0, last);
            let (verdict, _) =
                artifact.verify(&fixture.proof, &instances, Hardfork::Osaka).expect("runs");
            assert!(matches!(verdict, Verdict::Rejected(_)), "{name}: {verdict:?}");
        }

        // Any flipped bit, anywhere.
        let mut evm = Evm::default();
        let address = evm.deploy(artifact.init_code().clone()).expect("deployed").address;
        let canonical = calldata::encode_verify_proof(&fixture.proof, &fixture.instances);
        let gas = evm.gas_limit();
        for step in 0..64 {
            let at = 4 + step * (canonical.len() - 4) / 64 + step % 7;
            let mut flipped = canonical.to_vec();
            flipped[at] ^= 1 << (step % 8);
            let result = evm.call(address, flipped.into(), gas).expect("runs");
            assert!(matches!(Verdict::of(&result), Verdict::Rejected(_)), "{name}: byte {at}");
        }
    }
}

#[tokio::test]
async fn the_guard_is_what_rejects_other_layouts() {
    let compiler = compiler().await;
    let fixture = Fixture::load("tree").await;
    let accepted = async |text: &str, options: &CompilerOptions| {
        let sources = SourceSet::solidity("Halo2Verifier.sol", text);
        let contract =
            compiler.compile_contract(&sources, options, guard::CONTRACT).await.expect("compiles");
        let mut evm = Evm::default();
        let address = evm.deploy(contract.init_code).expect("deployed").address;
        let gas = evm.gas_limit();
        let mut verdict = |calldata: Bytes| {
            Verdict::of(&evm.call(address, calldata, gas).expect("runs")) == Verdict::Accepted
        };
        let canonical = calldata::encode_verify_proof(&fixture.proof, &fixture.instances);
        assert!(verdict(canonical), "{options}");
        let mutants = mutants(&fixture.proof, &fixture.instances);
        assert!(mutants.len() > 20);
        let accepted = mutants.into_iter().filter(|mutant| verdict(mutant.calldata.clone()));
        accepted.map(|mutant| mutant.what).collect::<Vec<_>>()
    };
    // Were none of the mutants accepted here, the test would say nothing about the guard.
    let unguarded = accepted(&fixture.solidity, &CompilerOptions::default()).await;
    for what in ["a trailing byte", "a second proof behind", "second instances used"] {
        assert!(unguarded.contains(&what), "{what} is not in {unguarded:?}");
    }
    for options in CompilerOptions::for_generated_solidity() {
        let guarded = accepted(source(&fixture).text(), &options).await;
        assert_eq!(guarded, [] as [&str; 0], "{options}");
    }
}

#[tokio::test]
async fn gas_is_anvils_to_the_unit() {
    let compiler = compiler().await;
    let fixture = Fixture::load("tree").await;
    let artifact = build_default(&compiler, &fixture).await;
    let canonical = calldata::encode_verify_proof(&fixture.proof, &fixture.instances);
    let mut wrong = fixture.instances.clone();
    wrong[0] = Felt::from_i128(12345);
    let rejected = calldata::encode_verify_proof(&fixture.proof, &wrong);
    // Of Amsterdam Anvil has but the name.
    for hardfork in [Hardfork::Cancun, Hardfork::Prague, Hardfork::Osaka] {
        let mut evm = Evm::new(hardfork);
        let deployed = evm.deploy(artifact.init_code().clone()).expect("deployed");
        let node = anvil(hardfork).await;
        let provider =
            ProviderBuilder::new().disable_recommended_fillers().connect_http(node.endpoint_url());
        let gas_limit = evm.gas_limit();
        let send = async |to: Option<Address>, input: &Bytes| {
            let mut request =
                TransactionRequest::default().from(SENDER).input(input.clone().into());
            request.to = Some(to.into());
            request.gas = Some(gas_limit);
            let pending = provider.send_transaction(request).await.expect("sent");
            pending.get_receipt().await.expect("a receipt")
        };
        let receipt = send(None, artifact.init_code()).await;
        assert_eq!(receipt.gas_used, deployed.gas_used, "deploying on {hardfork}");
        assert_eq!(receipt.contract_address, Some(deployed.address));
        let code = provider.get_code_at(deployed.address).await.expect("code");
        assert_eq!(code, *artifact.runtime_code());

        for (calldata, valid) in [(&canonical, true), (&rejected, false)] {
            let here: CallResult =
                evm.transact(deployed.address, calldata.clone(), gas_limit).expect("runs");
            let receipt = send(Some(deployed.address), calldata).await;
            assert_eq!((here.success, receipt.status()), (valid, valid), "{hardfork}");
            assert_eq!(receipt.gas_used, here.gas_used, "verifying ({valid}) on {hardfork}");
        }
        let info = provider.anvil_node_info().await.expect("information");
        assert!(info.hard_fork.eq_ignore_ascii_case(hardfork.name()), "{}", info.hard_fork);
    }
}

#[tokio::test]
async fn an_artifact_is_deterministic_and_survives_its_files() {
    let compiler = compiler().await;
    let fixture = Fixture::load("hashed").await;
    let artifact = build_default(&compiler, &fixture).await;
    assert_eq!(artifact, build_default(&compiler, &fixture).await);
    let folder = tempfile::tempdir().expect("a folder");
    let files = artifact.write(folder.path()).expect("written");
    assert_eq!(VerifierArtifact::read(folder.path()).expect("read"), artifact);
    let source = files::read_to_string(&files.source).expect("read");
    assert!(source.contains("calldatasize()"));
    let abi: alloy::json_abi::JsonAbi =
        serde_json::from_slice(&files::read(&files.abi).expect("read")).expect("an ABI");
    assert_eq!(abi.function("verifyProof").map(|f| f[0].selector().0), Some(calldata::SELECTOR));
    let input = files::read_to_string(&files.standard_json).expect("read");
    assert!(input.contains("\"optimizerSteps\": \"Tmu:\"") && input.contains("\"none\""));

    files::write_atomic(&files.source, source.replace("0x40", "0x41").as_bytes()).expect("written");
    let error = VerifierArtifact::read(folder.path()).expect_err("altered").to_string();
    assert!(error.contains("Halo2Verifier.sol") && error.contains("hash"), "{error}");
    files::write_atomic(&files.metadata, b"{").expect("written");
    assert!(matches!(VerifierArtifact::read(folder.path()), Err(Error::Artifact { .. })));
}

/// A contract with the interface of a verifier and `body`, in place of a real one.
fn pretend(body: &str) -> VerifierSource {
    let text = format!(
        "// SPDX-License-Identifier: MIT\npragma solidity ^0.8.0; contract V {{ function \
         verifyProof(bytes calldata p, uint256[] calldata) external returns (bool) {{ {body} }} }}"
    );
    let shape = Shape { proof_len: 64, n_instances: 1 };
    let options = CompilerOptions::for_generated_solidity();
    VerifierSource::lean(Language::Solidity, "V".into(), text, shape, None, options)
}

#[tokio::test]
async fn what_does_not_verify_is_not_built() {
    let compiler = compiler().await;
    let (proof, instances) = (vec![1; 64], vec![Felt::ZERO]);
    let sample = Some(Sample { proof: &proof, instances: &instances });
    let outcome = async |body: &str| {
        let request = BuildRequest { sample, ..BuildRequest::new(pretend(body)) };
        build(&compiler, request).await.expect_err(body).to_string()
    };
    assert!(outcome("return true;").await.contains("accepts a call that it must reject"));
    assert!(outcome("revert();").await.contains("rejects the sample proof"));
    assert!(outcome("return false;").await.contains("returned 0x00"));
    assert!(outcome("assembly { invalid() }").await.contains("16777216 gas"));
    let short = Some(Sample { proof: &proof[..32], instances: &instances });
    let request = BuildRequest { sample: short, ..BuildRequest::new(pretend("return true;")) };
    let error = build(&compiler, request).await.expect_err("short").to_string();
    assert!(error.contains("32 bytes and 1 instances"), "{error}");

    // Compilers' errors are for the user, whatever the options.
    let error = build(&compiler, BuildRequest::new(pretend("nonsense"))).await.expect_err("no");
    assert!(matches!(error, Error::Solc(solc::Error::Source { .. })), "{error}");
}

#[tokio::test]
async fn code_over_the_limit_is_refused_or_measured() {
    let compiler = compiler().await;
    // Words without a pattern, which no optimizer makes smaller.
    let filler: String = (0..Hardfork::Osaka.rules().runtime_code / 32)
        .map(|word| alloy::hex::encode(files::sha256(&word.to_be_bytes())))
        .collect();
    let body = format!("bytes memory b = hex\"{filler}\"; return b[p.length] == 0;");
    // The other pipeline takes minutes for so large a literal.
    let request = || BuildRequest { options: Some(legacy()), ..BuildRequest::new(pretend(&body)) };
    let error = build(&compiler, request()).await.expect_err("too large");
    let Error::TooLarge { what: "runtime", size, limit: 24_576, .. } = error else {
        panic!("{error}");
    };
    assert!(size > 24_576);
    assert!(error.to_string().contains("24576") && error.to_string().contains("osaka"));
    let artifact = build(&compiler, BuildRequest { allow_oversize: true, ..request() })
        .await
        .expect("measured");
    assert_eq!(artifact.metadata().gas.runtime_size, size);
    assert!(!artifact.metadata().gas.is_deployable());
    assert_eq!(artifact.metadata().gas.verify_gas, None);
}

#[tokio::test]
async fn options_that_run_out_of_stack_are_passed_over() {
    let compiler = compiler().await;
    let fixture = Fixture::load("tree").await;
    let sound = legacy();
    let deep = CompilerOptions { yul_steps: None, ..<_>::default() };
    let mut source = source(&fixture);
    source.options = vec![deep.clone(), sound.clone()];
    let artifact = build(&compiler, BuildRequest::new(source.clone())).await.expect("built");
    assert_eq!(artifact.metadata().compiler.options, sound);
    let request = BuildRequest { options: Some(deep), ..BuildRequest::new(source) };
    let error = build(&compiler, request).await.expect_err("too deep");
    assert!(matches!(error, Error::Solc(solc::Error::StackTooDeep { .. })), "{error}");
    assert!(error.to_string().len() < 500, "{error}");
}

#[tokio::test]
async fn the_cheapest_of_the_matrix_is_taken_whatever_its_place() {
    let compiler = compiler().await;
    let fixture = Fixture::load("tree").await;
    let deep = CompilerOptions { yul_steps: None, ..<_>::default() };
    let cheap = CompilerOptions::default();
    let mut taken = Vec::new();
    for options in
        [vec![legacy(), deep.clone(), cheap.clone()], vec![cheap.clone(), legacy(), deep]]
    {
        let mut source = source(&fixture);
        source.options = options.clone();
        let sample = Some(fixture.sample());
        let request =
            BuildRequest { matrix: Some(Matrix::default()), sample, ..BuildRequest::new(source) };
        let artifact = build(&compiler, request).await.expect("built");
        let record = &artifact.metadata().compiler;
        assert_eq!(record.tried.len(), 3);
        for (attempt, options) in record.tried.iter().zip(&options) {
            assert_eq!(attempt.options, *options);
            let works = options.yul_steps.is_some() || !options.via_ir;
            assert_eq!(attempt.verify_gas.is_some(), works, "{attempt:?}");
            assert_eq!(attempt.failure.is_none(), works, "{attempt:?}");
        }
        let gas = |o: &CompilerOptions| {
            record.tried.iter().find(|attempt| attempt.options == *o).and_then(|it| it.verify_gas)
        };
        assert!(gas(&cheap) < gas(&legacy()), "{record:?}");
        assert_eq!(artifact.metadata().gas.verify_gas, gas(&cheap));
        taken.push(record.options.clone());
    }
    assert_eq!(taken, [cheap.clone(), cheap]);
    // Without a sample there is nothing to compare: the first that compiles.
    let mut source = source(&fixture);
    source.options = vec![legacy(), CompilerOptions::default()];
    let request = BuildRequest { matrix: Some(Matrix::default()), ..BuildRequest::new(source) };
    let artifact = build(&compiler, request).await.expect("built");
    assert_eq!(artifact.metadata().compiler.options, legacy());
    assert!(artifact.metadata().compiler.tried.is_empty());
}

/// The numbers behind [`CompilerOptions::for_generated_solidity`] and the time of a verification:
/// `cargo test --lib -- --ignored --nocapture measure_verifiers`. Further folders with a
/// `verifier.sol` and a `proof.json` can be given in `ZKVOUCH_MEASURE`, separated as in PATH.
#[tokio::test]
#[ignore = "measures"]
#[allow(clippy::print_stderr, reason = "its output is the point")]
async fn measure_verifiers() {
    let compiler = compiler().await;
    let mut fixtures = Vec::new();
    for name in ["tree", "credit", "hashed"] {
        fixtures.push((name.to_owned(), Fixture::load(name).await));
    }
    let further = std::env::var_os("ZKVOUCH_MEASURE").unwrap_or_default();
    for folder in std::env::split_paths(&further).filter(|folder| !folder.as_os_str().is_empty()) {
        let fixture = Fixture::read(&folder.join("verifier.sol"), &folder.join("proof.json"));
        fixtures.push((folder.display().to_string(), fixture));
    }
    for (name, fixture) in fixtures {
        let (bytes, instances) = (fixture.proof.len(), fixture.instances.len());
        eprintln!("{name}: proof {bytes} bytes, {instances} instances");
        let start = Instant::now();
        let outcome = build(&compiler, BuildRequest::new(source(&fixture))).await;
        let outcome = outcome.map(|artifact| artifact.metadata().compiler.options.to_string());
        eprintln!("  by default {outcome:?}, {:.1} s", start.elapsed().as_secs_f64());
        if outcome.is_err() {
            continue;
        }
        for options in CompilerOptions::for_generated_solidity() {
            let request = BuildRequest {
                sample: Some(fixture.sample()),
                options: Some(options.clone()),
                allow_oversize: true,
                ..BuildRequest::new(source(&fixture))
            };
            let start = Instant::now();
            match build(&compiler, request).await {
                Ok(artifact) => eprintln!(
                    "  {options}: {:?}, {:.1} s",
                    artifact.metadata().gas,
                    start.elapsed().as_secs_f64()
                ),
                Err(error) => eprintln!("  {options}: {error}"),
            }
        }
        let sources = SourceSet::solidity("v.sol", fixture.solidity.as_str());
        let unguarded = compiler
            .compile_contract(&sources, &CompilerOptions::default(), guard::CONTRACT)
            .await
            .expect("compiles");
        let mut evm = Evm::default().without_limits();
        let plain = evm.deploy(unguarded.init_code).expect("deployed");
        let canonical = calldata::encode_verify_proof(&fixture.proof, &fixture.instances);
        let gas = evm.gas_limit();
        let result = evm.call(plain.address, canonical.clone(), gas).expect("runs");
        eprintln!(
            "  without the guard: {} bytes, {} gas",
            plain.runtime_code.len(),
            result.gas_used
        );

        let sample = Some(fixture.sample());
        let request =
            BuildRequest { sample, allow_oversize: true, ..BuildRequest::new(source(&fixture)) };
        let artifact = build(&compiler, request).await.expect("built");
        let address = evm.deploy(artifact.init_code().clone()).expect("deployed").address;
        let node = anvil(Hardfork::Osaka).await;
        let provider =
            ProviderBuilder::new().disable_recommended_fillers().connect_http(node.endpoint_url());
        provider.anvil_set_code(address, artifact.runtime_code().clone()).await.expect("set");
        let request = TransactionRequest::default().to(address).input(canonical.clone().into());
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..20 {
            let start = Instant::now();
            assert!(evm.call(address, canonical.clone(), gas).expect("runs").success);
            times[0].push(start.elapsed().as_secs_f64() * 1e3);
            let start = Instant::now();
            let output = provider.call(request.clone()).await.expect("called");
            times[1].push(start.elapsed().as_secs_f64() * 1e3);
            assert_eq!(U256::from_be_slice(&output), U256::ONE);
        }
        let [here, there] = times.map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        });
        eprintln!("  revm {here:.2} ms, eth_call to Anvil {there:.2} ms (medians of 20)");
    }
}
