//! What should work.

use super::*;
use crate::files;
use std::sync::Mutex as StdMutex;

#[tokio::test]
async fn the_whole_flow_makes_a_proof_that_verifies_and_a_verifier() {
    let circuit = Circuit::make("model.onnx", 8).await;
    let engine = &circuit.engine;
    assert!(circuit.report.text.contains("max_abs_error"), "{:?}", circuit.report);
    let untouched = read(&circuit.at("raw.json"));
    assert_ne!(untouched, read(&circuit.at("settings.json")), "calibrated into another file");
    engine.mock(&circuit.at("witness.json"), &circuit.at("model.ezkl")).await.expect("satisfied");

    let events = Arc::new(StdMutex::new(Vec::new()));
    let heard = events.clone();
    engine.on_event(move |event| heard.lock().expect("unpoisoned").push(event.clone()));
    circuit.prove(engine, "witness.json", "proof.json").await.expect("a proof");
    let events = events.lock().expect("unpoisoned").clone();
    assert!(matches!(events.first(), Some(Event::Started { operation: "prove" })));
    assert!(events.iter().any(|event| matches!(event, Event::Log { level, message, .. }
        if *level == tracing::Level::INFO && message.contains("proof started"))));
    let Some(Event::Finished { operation: "prove", success: true, usage }) = events.last() else {
        panic!("{events:?}")
    };
    assert!(usage.cpu > Some(Duration::ZERO) && usage.peak_bytes > Some(1 << 20), "{usage:?}");

    assert!(circuit.verify("proof.json").await.expect("readable"));
    let (vk, settings, srs) =
        (circuit.at("vk.key"), circuit.at("settings.json"), circuit.at("kzg.srs"));
    let solidity = circuit.at("verifier.sol");
    engine.create_evm_verifier(&vk, &settings, &srs, &solidity).await.expect("a verifier");
    let source = files::read_to_string(&solidity).expect("readable");
    assert!(source.contains("contract Halo2Verifier") && source.contains("function verifyProof"));
    assert_eq!(circuit.litter(), [""; 0]);
}

#[tokio::test]
async fn a_reduced_srs_verifies() {
    let circuit = Circuit::make("model.onnx", 8).await;
    circuit.prove(&circuit.engine, "witness.json", "proof.json").await.expect("a proof");
    let full = files::read(&circuit.at("kzg.srs")).expect("readable");
    let g_lagrange = 4 + 64 * 256;
    let reduced = [&1u32.to_le_bytes(), &full[4..132], &full[g_lagrange..g_lagrange + 128]]
        .concat()
        .into_iter()
        .chain(full[full.len() - 256..].iter().copied())
        .collect::<Vec<_>>();
    files::write_atomic(&circuit.at("kzg.srs"), &reduced).expect("written");
    assert!(circuit.verify("proof.json").await.expect("readable"));
}

#[tokio::test]
async fn keys_are_the_same_every_time_and_compression_changes_them() {
    let circuit = Circuit::make("sigmoid.onnx", 10).await;
    let (compiled, srs) = (circuit.at("model.ezkl"), circuit.at("kzg.srs"));
    let mut hashes = Vec::new();
    // Another worker makes its lookup tables anew; the same one reads those that it saved.
    for (engine, compress) in
        [(&Engine::new(config()), true), (&circuit.engine, true), (&circuit.engine, false)]
    {
        let (vk, pk) = (circuit.at("vk2.key"), circuit.at("pk2.key"));
        let request = SetupRequest {
            compiled: &compiled,
            srs: &srs,
            vk: &vk,
            pk: &pk,
            witness: None,
            compress_selectors: compress,
        };
        engine.setup(request).await.expect("keys");
        hashes.push(files::sha256_file(&vk).expect("readable"));
        let pk = files::read(&pk).expect("readable");
        assert!(pk.starts_with(&files::read(&vk).expect("readable")));
    }
    assert_eq!(hashes[0], files::sha256_file(&circuit.at("vk.key")).expect("readable"));
    assert_eq!(hashes[0], hashes[1]);
    assert_ne!(hashes[0], hashes[2]);
}

#[tokio::test]
async fn one_bad_input_of_many_costs_no_other_its_answer() {
    let circuit = Circuit::make("model.onnx", 8).await;
    let pool = EnginePool::new(config(), 2);
    let good = json!({"input_data": [[0.5, -0.25, 1.0]]});
    let mut inputs = vec![good; 60];
    // ezkl panics on the one and refuses the other.
    (inputs[17], inputs[40]) = (json!({"input_data": []}), json!({"input_data": [[1.0]]}));
    let mut counts = Vec::new();
    let compiled = circuit.at("model.ezkl");
    let answers = pool.forward_many(inputs, &compiled, |count| counts.push(count)).await;
    let answers = answers.expect("the engine is well");
    let witness = read(&circuit.at("witness.json"));
    for (number, answer) in answers.iter().enumerate() {
        match (number, answer) {
            (17, Err(Error::Panic { .. })) | (40, Err(Error::Python { .. })) => {}
            (_, Ok(answer)) => assert_eq!(answer["outputs"], witness["outputs"], "{number}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(counts.last(), Some(&60));
    pool.shutdown().await;
}

#[tokio::test]
async fn two_engines_work_at_the_same_time() {
    let circuit = Circuit::make("model.onnx", 8).await;
    let other = Engine::new(config());
    let (first, second) = tokio::join!(
        circuit.prove(&circuit.engine, "witness.json", "a.json"),
        circuit.prove(&other, "witness.json", "b.json"),
    );
    first.and(second).expect("both");
    assert_ne!(circuit.engine.worker_pid(), other.worker_pid());
    assert!(circuit.verify("a.json").await.expect("readable"));
    assert!(circuit.verify("b.json").await.expect("readable"));
}

#[tokio::test]
async fn a_pool_hands_each_engine_to_one_holder() {
    let pool = EnginePool::new(config(), 2);
    let (a, b) = (pool.get().await, pool.get().await);
    let third = tokio::time::timeout(Duration::from_millis(20), pool.get()).await;
    assert!(third.is_err(), "both are held");
    assert!(!Arc::ptr_eq(&a.shared, &b.shared));
    drop(a);
    pool.get().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn shutdown_ends_the_worker_and_the_next_request_starts_another() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = Engine::new(config());
    assert_eq!(engine.worker_pid(), None, "lazy");
    engine.gen_unsafe_srs(4, &folder.path().join("a")).await.expect("an SRS");
    let pid = engine.worker_pid().expect("a worker");
    // SAFETY: a system call without pointers.
    let group = unsafe { libc::getpgid(pid as libc::pid_t) };
    assert_eq!(group as u32, pid, "the terminal's Ctrl-C must not reach it");
    engine.shutdown().await;
    assert!(!is_running(pid));
    assert_eq!(engine.worker_pid(), None);
    engine.gen_unsafe_srs(4, &folder.path().join("a")).await.expect("an SRS");
    let second = engine.worker_pid().expect("a worker");
    drop(engine);
    wait_until_gone(second).await;
}

#[tokio::test]
async fn nothing_of_the_users_environment_reaches_the_worker() {
    // SAFETY: this test has its process to itself under nextest, and no other test reads these.
    unsafe {
        std::env::set_var("PYTHONPATH", "/nonexistent");
        std::env::set_var("PYTHONHOME", "/nonexistent");
        std::env::set_var("EZKL_KEY_FORMAT", "nonsense");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = Engine::new(config());
    engine.gen_unsafe_srs(4, &folder.path().join("a")).await.expect("an SRS");
    #[cfg(target_os = "linux")]
    {
        let pid = engine.worker_pid().expect("a worker");
        let environment = std::fs::read(format!("/proc/{pid}/environ")).expect("readable");
        let environment = String::from_utf8_lossy(&environment);
        assert!(!environment.contains("nonexistent") && !environment.contains("nonsense"));
        assert!(environment.contains("EZKL_KEY_FORMAT=raw-bytes"), "{environment}");
    }
}
