//! What must fail, and how.

use super::*;
use std::future::Future;

fn python_message(result: Result<()>) -> String {
    match result {
        Err(Error::Python { message, .. }) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_model_that_is_none_is_refused_in_ezkls_words() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let engine = Engine::new(config());
    let settings = |model: PathBuf| {
        let (engine, out) = (engine.clone(), at("settings.json"));
        async move { engine.gen_settings(&model, &out, &run_args()).await }
    };
    let model = crate::files::read(&fixture("model.onnx")).expect("readable");
    for (name, bytes) in [
        ("text.onnx", b"hello".as_slice()),
        ("empty.onnx", b""),
        ("truncated.onnx", &model[..model.len() / 2]),
    ] {
        crate::files::write_atomic(&at(name), bytes).expect("written");
        let error = settings(at(name)).await.expect_err("no model");
        let Error::Python { message, .. } = &error else { panic!("{error}") };
        assert!(message.contains("proto model"), "{message}");
        assert!(error.to_string().contains("export the model again"), "{error}");
    }
    let error = settings(fixture("unsupported.onnx")).await.expect_err("an operator that it lacks");
    assert!(error.to_string().contains("Det") && error.to_string().contains("lacks"), "{error}");
    let error = settings(at("absent.onnx")).await.expect_err("no file");
    assert!(matches!(error, Error::File(_)) && error.to_string().contains("absent.onnx"));
    let error = settings(folder.path().to_owned()).await.expect_err("a folder");
    assert!(matches!(error, Error::File(_)), "{error}");
    assert!(!at("settings.json").exists());
}

#[tokio::test]
async fn a_wrong_run_arg_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = Engine::new(config());
    for (name, value) in
        [("input_visibility", json!("publik")), ("logrows", json!("8")), ("no_such", json!(1))]
    {
        let mut args = run_args();
        args.insert(name.into(), value);
        let out = folder.path().join("settings.json");
        let message =
            python_message(engine.gen_settings(&fixture("model.onnx"), &out, &args).await);
        assert!(message.contains(&format!("run_args.{name}")), "{message}");
        assert!(!out.exists());
    }
}

#[tokio::test]
async fn a_tampered_proof_is_false_and_a_broken_file_is_an_error() {
    let circuit = Circuit::make("model.onnx", 8).await;
    circuit.prove(&circuit.engine, "witness.json", "proof.json").await.expect("a proof");
    let proof = read(&circuit.at("proof.json"));
    let length = proof["proof"].as_array().expect("bytes").len();
    let tampered = |change: &dyn Fn(&mut Value)| {
        let mut proof = proof.clone();
        change(&mut proof);
        write(&circuit.at("tampered.json"), &proof);
        circuit.verify("tampered.json")
    };
    for index in [0, 63, length / 2, length - 1] {
        let flip = |proof: &mut Value| {
            let byte = proof["proof"][index].as_u64().expect("a byte");
            proof["proof"][index] = (byte ^ 1).into();
        };
        assert!(!tampered(&flip).await.expect("readable"), "byte {index}");
    }
    let bytes = |proof: &mut Value, change: &dyn Fn(&mut Vec<Value>)| {
        change(proof["proof"].as_array_mut().expect("bytes"));
    };
    let instances = |proof: &mut Value, change: &dyn Fn(&mut Vec<Value>)| {
        change(proof["instances"][0].as_array_mut().expect("instances"));
    };
    let one = format!("01{}", "0".repeat(62));
    type Change<'a> = &'a dyn Fn(&mut Value);
    let changes: [(&str, Change<'_>); 7] = [
        ("short", &|proof| bytes(proof, &|it| it.truncate(length - 32))),
        ("a byte short", &|proof| bytes(proof, &|it| it.truncate(length - 1))),
        ("long", &|proof| bytes(proof, &|it| it.extend(vec![0.into(); 32]))),
        ("a byte long", &|proof| bytes(proof, &|it| it.push(7.into()))),
        ("empty", &|proof| bytes(proof, &|it| it.clear())),
        ("another instance", &|proof| instances(proof, &|it| it[0] = one.clone().into())),
        ("too few instances", &|proof| instances(proof, &|it| it.truncate(1))),
    ];
    for (what, change) in changes {
        assert!(!tampered(change).await.expect("readable"), "{what}");
    }
    let too_large = tampered(&|proof| instances(proof, &|it| it[0] = "ff".repeat(32).into()));
    assert!(matches!(too_large.await, Err(Error::Python { .. })), "an instance above the modulus");
    crate::files::write_atomic(&circuit.at("cut.json"), b"{\"proof\":").expect("written");
    let error = circuit.verify("cut.json").await.expect_err("malformed");
    assert!(error.to_string().contains("failed to load the proof"), "{error}");
    let error = circuit.verify("absent.json").await.expect_err("no file");
    assert!(matches!(error, Error::File(_)), "{error}");
    assert!(circuit.verify("proof.json").await.expect("readable"), "the real one still passes");
}

#[tokio::test]
async fn a_panic_is_its_own_error_and_the_next_request_works() {
    let circuit = Circuit::make("model.onnx", 8).await;
    let (compiled, out) = (circuit.at("model.ezkl"), circuit.at("out.json"));
    let empty = json!({"input_data": []});
    let error = circuit.engine.gen_witness(&empty, &compiled, &out, None, None).await;
    let error = error.expect_err("ezkl indexes into nothing");
    let Error::Panic { message, .. } = &error else { panic!("{error:?}") };
    assert!(message.contains("index out of bounds"), "{message}");
    assert!(error.to_string().contains(".rs:"), "names the place: {error}");
    assert!(!out.exists());
    let data = fixture("input.json");
    circuit.engine.gen_witness(&data, &compiled, &out, None, None).await.expect("a witness");
}

#[tokio::test]
async fn an_input_that_does_not_fit_is_refused() {
    let circuit = Circuit::make("model.onnx", 8).await;
    let (compiled, out) = (circuit.at("model.ezkl"), circuit.at("out.json"));
    for (data, expected) in [
        (json!({"input_data": [[1.0, 2.0]]}), "another number of values"),
        (json!({"input_data": [["a", "b", "c"]]}), "strings are no numbers"),
        (json!({"data": [[1.0]]}), "input_data"),
    ] {
        let error = circuit.engine.gen_witness(&data, &compiled, &out, None, None).await;
        let error = error.expect_err("it does not fit").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[cfg(target_os = "linux")]
mod processes {
    use super::{installation::script, *};

    /// Starts a request that never ends and returns the worker's process id with it.
    async fn blocked(
        circuit: &Circuit,
        engine: &Engine,
    ) -> (u32, impl Future<Output = Result<()>> + use<>) {
        let witness = circuit.witness_that_blocks().await;
        let paths = [witness, "model.ezkl", "pk.key", "kzg.srs", "never.json"];
        let [witness, compiled, pk, srs, proof] = paths.map(|name| circuit.at(name));
        let (copy, started) = (engine.clone(), Arc::new(tokio::sync::Notify::new()));
        let signal = started.clone();
        engine.on_event(move |event| {
            if matches!(event, Event::Log { message, .. } if message.contains("proof started")) {
                signal.notify_one();
            }
        });
        let mut request =
            Box::pin(
                async move { copy.prove(&witness, &compiled, &pk, &srs, &proof).await.map(drop) },
            );
        tokio::select! {
            result = &mut request => panic!("{result:?}"),
            () = started.notified() => {}
        }
        (engine.worker_pid().expect("a worker"), request)
    }

    #[tokio::test]
    async fn a_killed_worker_is_reported_and_replaced() {
        let circuit = Circuit::make("sigmoid.onnx", 10).await;
        let (pid, request) = blocked(&circuit, &circuit.engine).await;
        // SAFETY: a system call without pointers.
        unsafe { libc::kill(pid as libc::pid_t, libc::SIGKILL) };
        let error = request.await.expect_err("killed");
        assert!(matches!(error, Error::Killed { operation: "prove", signal: 9, .. }), "{error:?}");
        assert!(error.is_transient() && error.to_string().contains("memory"), "{error}");
        circuit.prove(&circuit.engine, "witness.json", "proof.json").await.expect("a proof");
        assert_ne!(circuit.engine.worker_pid(), Some(pid));
        // One that dies between requests goes unnoticed.
        let pid = circuit.engine.worker_pid().expect("a worker");
        // SAFETY: as above.
        unsafe { libc::kill(pid as libc::pid_t, libc::SIGKILL) };
        wait_until_gone(pid).await;
        assert!(circuit.verify("proof.json").await.expect("readable"));
        assert_eq!(circuit.litter(), [""; 0]);
    }

    #[tokio::test]
    async fn a_deadline_ends_the_worker_and_the_next_request_works() {
        let circuit = Circuit::make("sigmoid.onnx", 10).await;
        let short = circuit.engine.with_deadline(Some(Duration::from_secs(8)));
        let (pid, request) = blocked(&circuit, &short).await;
        let error = request.await.expect_err("it never ends");
        assert!(matches!(error, Error::Deadline { operation: "prove", .. }), "{error:?}");
        wait_until_gone(pid).await;
        assert!(!circuit.at("never.json").exists());
        circuit.prove(&circuit.engine, "witness.json", "proof.json").await.expect("a proof");
    }

    #[tokio::test]
    async fn a_worker_that_blocks_itself_is_found_out() {
        let circuit = Circuit::make("sigmoid.onnx", 10).await;
        let mut config = config();
        config.stall = Some(Duration::from_secs(3));
        let engine = Engine::new(config);
        let (pid, request) = blocked(&circuit, &engine).await;
        let error = request.await.expect_err("it never ends");
        assert!(matches!(error, Error::Stalled { operation: "prove", .. }), "{error:?}");
        assert!(error.to_string().contains("lookup range"), "{error}");
        wait_until_gone(pid).await;
    }

    #[tokio::test]
    async fn a_stopped_worker_is_found_out_and_one_that_goes_on_is_not() {
        let circuit = Circuit::make("model.onnx", 8).await;
        let mut config = config();
        config.stall = Some(Duration::from_secs(1));
        let engine = Engine::new(config);
        circuit.prove(&engine, "witness.json", "proof.json").await.expect("a proof");
        let pid = engine.worker_pid().expect("a worker") as libc::pid_t;
        // SAFETY: system calls without pointers.
        let signal = |signal| assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
        signal(libc::SIGSTOP);
        let pause = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            signal(libc::SIGCONT);
        };
        let (proved, ()) =
            tokio::join!(circuit.prove(&engine, "witness.json", "second.json"), pause);
        proved.expect("a pause longer than a stall is none");
        signal(libc::SIGSTOP);
        let error =
            circuit.prove(&engine, "witness.json", "third.json").await.expect_err("stopped");
        assert!(matches!(error, Error::Stopped { operation: "prove", .. }), "{error:?}");
        assert!(error.is_transient() && error.to_string().contains("SIGSTOP"), "{error}");
        wait_until_gone(pid as u32).await;
        circuit.prove(&engine, "witness.json", "third.json").await.expect("a new worker");
        // Stopped before it has said a word.
        let folder = tempfile::tempdir().expect("a temporary folder");
        let environment = engine.prepare().await.expect("ready");
        let python = script(folder.path(), "kill -STOP $$");
        let mut config = self::config();
        config.stall = Some(Duration::from_secs(1));
        let engine = Engine::new(config);
        engine.shared.environment.set(Environment { python, ..environment }).expect("unset");
        let error =
            circuit.prove(&engine, "witness.json", "proof.json").await.expect_err("stopped");
        assert!(matches!(error, Error::Stopped { operation: "start", .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_dropped_request_ends_the_worker_and_leaves_nothing() {
        let circuit = Circuit::make("sigmoid.onnx", 10).await;
        let (pid, request) = blocked(&circuit, &circuit.engine).await;
        assert!(is_running(pid));
        drop(request);
        wait_until_gone(pid).await;
        assert_eq!(circuit.engine.worker_pid(), None);
        assert_eq!(circuit.litter(), [""; 0]);
        circuit.prove(&circuit.engine, "witness.json", "proof.json").await.expect("a proof");
    }

    /// Not a test: what `a_killed_parent_leaves_no_worker` starts and kills.
    #[tokio::test]
    #[ignore = "run by another test"]
    async fn parent_that_is_killed() {
        let circuit = Circuit::make("sigmoid.onnx", 10).await;
        let (pid, request) = blocked(&circuit, &circuit.engine).await;
        let path = std::env::var_os("ZKVOUCH_TEST_PID_FILE").expect("set by the other test");
        crate::files::write_atomic(Path::new(&path), pid.to_string().as_bytes()).expect("written");
        request.await.expect("never");
    }

    #[tokio::test]
    async fn a_killed_parent_leaves_no_worker() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("pid");
        let name = "engine::tests::failures::processes::parent_that_is_killed";
        let mut parent = tokio::process::Command::new(std::env::current_exe().expect("known"))
            .args(["--exact", name, "--ignored"])
            .env("ZKVOUCH_TEST_PID_FILE", &file)
            .env("TMPDIR", folder.path())
            .stdout(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("started");
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(parent.try_wait().expect("known"), None, "it ended too early");
        }
        let pid: u32 = crate::files::read_to_string(&file).expect("read").parse().expect("a pid");
        assert!(is_running(pid));
        parent.kill().await.expect("killed");
        wait_until_gone(pid).await;
    }

    /// An engine whose Python is a shell script.
    async fn scripted(folder: &Path, script: &str) -> Engine {
        let greeting = r#"{"ready":{"ezkl":"23.0.5","python":"3","pid":'$$'}}"#;
        let path = self::script(folder, &format!("echo '{greeting}'\nread line\n{script}"));
        let engine = Engine::new(config());
        let environment = Environment { python: path, ..engine.prepare().await.expect("ready") };
        let engine = Engine::new(config());
        engine.shared.environment.set(environment).expect("unset");
        engine
    }

    #[tokio::test]
    async fn a_worker_that_talks_nonsense_is_an_error() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = folder.path().join("srs");
        for (script, expected) in [
            ("echo hello; sleep 60", "hello"),
            (r#"echo '{"done":{}}'; sleep 60"#, "missing field"),
            (
                r#"echo '{"done":{"id":9,"result":null,"cpu_seconds":0,"peak_bytes":0}}'; cat"#,
                "unexpected",
            ),
        ] {
            let engine = scripted(folder.path(), script).await;
            let error = engine.gen_unsafe_srs(4, &out).await.expect_err("nonsense");
            let Error::Protocol { message, .. } = &error else { panic!("{error:?}") };
            assert!(message.contains(expected), "{message}");
            assert!(!out.exists());
        }
    }

    #[tokio::test]
    async fn a_worker_that_ends_is_reported_with_its_last_words() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = folder.path().join("srs");
        let engine = scripted(folder.path(), "echo 'no room' >&2; exit 7").await;
        let error = engine.gen_unsafe_srs(4, &out).await.expect_err("ended");
        assert!(matches!(error, Error::Died { .. }), "{error:?}");
        assert!(error.to_string().contains("no room") && error.to_string().contains('7'));
        let script = "echo 'memory allocation of 123 bytes failed' >&2; kill -ABRT $$";
        let engine = scripted(folder.path(), script).await;
        let error = engine.gen_unsafe_srs(4, &out).await.expect_err("ended");
        assert!(matches!(error, Error::Killed { out_of_memory: true, .. }), "{error:?}");
    }
}
