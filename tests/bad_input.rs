//! What goes wrong in a user's hands: a clear error with the remedy, an exit code, nothing half
//! written, no process left behind.

mod support;

use serde_json::{Value, json};
use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};
use support::{Node, Sandbox, zkvouch};

fn edit_json(sandbox: &Sandbox, name: &str, edit: impl FnOnce(&mut Value)) {
    let path = sandbox.file(name);
    let mut value: Value = serde_json::from_slice(&fs::read(&path).expect("read")).expect("JSON");
    edit(&mut value);
    fs::write(path, value.to_string()).expect("written");
}

#[test]
fn models_that_are_none() {
    let sandbox = Sandbox::of("credit");
    let init = ["init", "m.onnx", "--data", "input.json"];
    sandbox.run(init).failure(3, &["m.onnx", "cannot read"]);
    fs::write(sandbox.file("m.onnx"), "hello").expect("written");
    sandbox.run(init).failure(3, &["m.onnx", "ONNX"]);
    let whole = fs::read(sandbox.file("model.onnx")).expect("read");
    fs::write(sandbox.file("m.onnx"), &whole[..whole.len() / 2]).expect("written");
    sandbox.run(init).failure(3, &["m.onnx"]);
    fs::write(sandbox.file("m.onnx"), "").expect("written");
    sandbox.run(init).failure(3, &["m.onnx"]);
    assert!(!sandbox.file("zkvouch.toml").exists());
    sandbox.run(["build"]).failure(3, &["no zkvouch.toml", "zkvouch init"]);
}

#[test]
fn inputs_that_do_not_fit() {
    let sandbox = Sandbox::built("credit");
    let good: Value =
        serde_json::from_slice(&fs::read(sandbox.file("input.json")).expect("read")).expect("JSON");
    let mut cases = vec![
        ("{}".to_owned(), "input_data"),
        ("[1, 2".to_owned(), "bad.json"),
        (json!({ "input_data": [] }).to_string(), "input_data"),
        (json!({ "input_data": [[1.0, 2.0]] }).to_string(), "41"),
        (good.to_string().replacen("[[", "[[\"one\",", 1), "input_data[0][0]"),
        (good.to_string().replacen("[[", "[[NaN,", 1), "bad.json"),
        (good.to_string().replacen("[[", "[[1e999,", 1), "input_data[0][0]"),
        (good.to_string().replacen("[[", "[[null,", 1), "input_data[0][0]"),
    ];
    let mut huge = good.clone();
    huge["input_data"][0][3] = json!(1e12);
    cases.push((huge.to_string(), "input_data[0][3]"));
    for (text, word) in cases {
        fs::write(sandbox.file("bad.json"), &text).expect("written");
        sandbox.run(["prove", "bad.json"]).failure(3, &["bad.json", word]);
        assert!(!sandbox.file("proof.json").exists(), "{text}");
    }
    sandbox.run(["prove", "nothing.json"]).failure(3, &["nothing.json"]);
}

/// A protobuf field with bytes, and one with a number.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(content.len()).expect("short")], content].concat()
}

fn number(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

/// A folder with network.onnx, `out = operator(x, …)` of tensors with a first axis as told and three columns, and
/// with data.json.
fn sandbox_of(operator: &str, reads: &[&str], axes: &[(&str, Vec<u8>)], data: &str) -> Sandbox {
    let info = |name: &str, axis: &[u8]| {
        let shape = [field(1, axis), field(1, &number(1, 3))].concat();
        let tensor = [number(1, 1), field(2, &shape)].concat();
        [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
    };
    let mut node = [field(2, b"out"), field(4, operator.as_bytes())].concat();
    node.extend(reads.iter().flat_map(|name| field(1, name.as_bytes())));
    let mut graph = [field(1, &node), field(2, b"g"), field(12, &info("out", &[]))].concat();
    graph.extend(axes.iter().flat_map(|(name, axis)| field(11, &info(name, axis))));
    let model = [number(1, 8), field(7, &graph), field(8, &number(2, 17))].concat();
    let sandbox = Sandbox::of("credit");
    fs::write(sandbox.file("network.onnx"), model).expect("written");
    fs::write(sandbox.file("few.json"), data).expect("written");
    sandbox
}

const INIT: [&str; 6] = ["init", "network.onnx", "--data", "few.json", "--srs", "unsafe-dev"];

/// Changes zkvouch.toml.
fn configure(sandbox: &Sandbox, changes: &[(&str, &str)]) {
    let path = sandbox.file("zkvouch.toml");
    let mut text = fs::read_to_string(&path).expect("read");
    for (from, to) in changes {
        assert!(text.contains(from), "{from}: {text}");
        text = text.replace(from, to);
    }
    fs::write(path, text).expect("written");
}

const QUICK: (&str, &str) = ("target = \"tune\"", "target = \"resources\"");

#[test]
fn axes_of_any_name_are_set_and_a_misspelt_one_is_told() {
    let data = r#"{"input_data": [[1, 2, 3], [4, 5, 6]], "output_data": [[5, 7, 9]]}"#;
    let axes = [("x", field(2, b"batch")), ("y", vec![])];
    let sandbox = sandbox_of("Add", &["x", "y"], &axes, data);
    sandbox.run(INIT).success();
    let (right, wrong) = ("{ batch = 1, batch_size = 1 }", "{ bacth = 1, batch_size = 1 }");
    configure(&sandbox, &[(right, wrong), QUICK]);
    let expected = [
        "axis 0 of input `x`",
        "`bacth` names no axis",
        "variables = { batch = 1, batch_size = 1 }",
    ];
    sandbox.run(["build"]).failure(3, &expected);
    let again = [&INIT[..], &["--force", "--variable", "bacth=1"]].concat();
    sandbox.run(again).failure(3, &["no axis is called `bacth`", "batch, batch_size"]);
    configure(&sandbox, &[(wrong, right)]);
    sandbox.run(["build"]).success();
    assert!(sandbox.file("build/prepared.onnx").exists(), "the other axis had no name in the file");

    fs::write(sandbox.file("rows.csv"), "1,2,3,4,5,6\n").expect("written");
    sandbox.run(["prove", "rows.csv"]).success();
    fs::write(sandbox.file("rows.csv"), "1,2,3,4,5,6\n1,2,3,4,5,6\n").expect("written");
    sandbox.run(["prove", "rows.csv"]).failure(3, &["rows.csv holds 2 observations"]);
    fs::write(sandbox.file("rows.csv"), "1e30,2,3,4,5,6\n").expect("written");
    sandbox.run(["prove", "rows.csv"]).failure(3, &["rows.csv", "input_data[0][0]"]);
    let kept = sandbox.run(["clean"]).success();
    assert!(!sandbox.file("build").exists(), "{kept:?}");
}

#[test]
fn what_a_proof_does_not_say_is_told_at_build_and_deploy() {
    let axes = [("x", number(1, 1)), ("idle", number(1, 1))];
    let data = r#"{"input_data": [[1, -2, 3], [4, 5, 6]]}"#;
    let sandbox = sandbox_of("Relu", &["x"], &axes, data);
    let said = |outcome: Value, expected: &[&str]| {
        let warnings = outcome["warnings"].to_string();
        for part in expected {
            assert!(warnings.contains(part), "{part}: {outcome:#}");
        }
    };
    let idle = "no output depends on the input `idle`";
    said(sandbox.json(&INIT), &[idle]);
    configure(
        &sandbox,
        &[QUICK, ("param_visibility = \"fixed\"", "param_visibility = \"private\"")],
    );
    let all = [idle, "fitted to one observation", "the parameters are not bound"];
    said(sandbox.json(&["build"]), &all);
    let node = Node::start(&[]);
    said(sandbox.json(&["deploy", "--rpc-url", &node.url]), &all);

    // With what was found wanting put right, nothing is said.
    fs::write(sandbox.file("few.json"), r#"[[1, -2, 3, 4, 5, 6], [0, 2, -3, 4, 5, 6]]"#)
        .expect("written");
    configure(&sandbox, &[("param_visibility = \"private\"", "param_visibility = \"fixed\"")]);
    let warnings = sandbox.json(&["build"])["warnings"].to_string();
    assert!(!warnings.contains(all[1]) && !warnings.contains(all[2]), "{warnings}");
}

#[test]
fn before_a_build_the_remedy_is_to_build() {
    let sandbox = Sandbox::of("credit");
    sandbox.run(["init", "model.onnx", "--data", "input.json"]).success();
    for command in [
        &["prove", "input.json"][..],
        &["verify"],
        &["accuracy", "--data", "input.json"],
        &["witness"],
        &["compile"],
        &["calibrate"],
        &["setup"],
        &["deploy"],
    ] {
        sandbox.run(command.iter().copied()).failure(3, &["is not there", "zkvouch build"]);
    }
    fs::remove_file(sandbox.file("zkvouch.toml")).expect("removed");
    for command in [&["prove", "input.json"][..], &["verify"], &["setup"]] {
        sandbox.run(command.iter().copied()).failure(3, &["zkvouch build", "name the file with"]);
    }
}

#[test]
fn proofs_that_are_none() {
    let sandbox = Sandbox::built("credit");
    fs::copy(sandbox.file("build/sample.proof.json"), sandbox.file("good.json")).expect("copied");
    let node = Node::start(&[]);
    let rpc = ["--rpc-url", node.url.as_str()];
    let command = |words: &[&'static str]| [words, &rpc].concat();
    sandbox.run(command(&["deploy", "--broadcast"])).success();

    let modulus_le = "010000f093f5e1439170b97948e833285d588181b64550b829a031e1724e6430";
    type Edit = Box<dyn Fn(&mut Value)>;
    let resize = |by: i32| -> Edit {
        Box::new(move |proof| {
            let bytes = proof["proof"].as_array_mut().expect("bytes");
            for _ in 0..by.abs() {
                if by < 0 {
                    bytes.pop();
                } else {
                    bytes.push(json!(0));
                }
            }
            let hex: String =
                bytes.iter().map(|b| format!("{:02x}", b.as_u64().expect("a byte"))).collect();
            proof["hex_proof"] = json!(format!("0x{hex}"));
        })
    };
    let cases: Vec<(&str, i32, Edit)> = vec![
        (
            "a flipped byte",
            4,
            Box::new(|proof| {
                let byte = proof["proof"][100].as_u64().expect("a byte") ^ 1;
                proof["proof"][100] = json!(byte);
                let hex = proof["hex_proof"].as_str().expect("hex").to_owned();
                let at = 2 + 200;
                proof["hex_proof"] = json!(format!("{}{byte:02x}{}", &hex[..at], &hex[at + 2..]));
            }),
        ),
        (
            "an instance changed",
            3,
            Box::new(|proof| {
                proof["instances"][0][42] = json!(format!("05{}", "0".repeat(62)));
            }),
        ),
        ("shorter", 3, resize(-1)),
        ("a word shorter", 4, resize(-32)),
        ("longer", 3, resize(1)),
        (
            "an instance at the modulus",
            3,
            Box::new(move |proof| {
                proof["instances"][0][0] = json!(modulus_le);
            }),
        ),
        (
            "an instance too few",
            3,
            Box::new(|proof| {
                proof["instances"][0].as_array_mut().expect("a list").pop();
            }),
        ),
        ("another version", 3, Box::new(|proof| proof["version"] = json!("22.0.0"))),
    ];
    for (what, code, edit) in cases {
        fs::copy(sandbox.file("good.json"), sandbox.file("proof.json")).expect("copied");
        edit_json(&sandbox, "proof.json", edit);
        let outcome = sandbox.run(["verify", "proof.json"]);
        assert!(!outcome.stderr().contains("panicked"), "{what}");
        assert_eq!(outcome.0.status.code(), Some(code), "{what}: {}", outcome.stderr());
        let outcome = sandbox.run(command(&["submit", "proof.json", "--broadcast"]));
        assert!(matches!(outcome.0.status.code(), Some(3 | 5)), "{what}: {}", outcome.stderr());
    }
    let count = sandbox.run(command(&["submit", "good.json", "--broadcast"])).success();
    assert!(count.stdout().contains("prediction"));
}

#[test]
fn artefacts_of_another_circuit() {
    let sandbox = Sandbox::built("credit");
    let other = Sandbox::built("decision_tree");
    for file in ["settings.json", "vk.key", "sample.proof.json", "kzg.srs"] {
        fs::copy(other.file("build").join(file), sandbox.file(file)).expect("copied");
    }
    let proof = "build/sample.proof.json";
    sandbox.run(["verify", proof, "--settings-path", "settings.json"]).failure(3, &["instances"]);
    sandbox.run(["verify", "sample.proof.json"]).failure(3, &["sample.proof.json"]);
    let outcome = sandbox.run(["verify", proof, "--vk-path", "vk.key"]);
    assert!(matches!(outcome.0.status.code(), Some(3 | 4)), "{}", outcome.stderr());
    assert!(!outcome.stderr().contains("panicked"), "{}", outcome.stderr());
    edit_json(&sandbox, "settings.json", |settings| settings["version"] = json!("99.0.0"));
    sandbox
        .run(["verify", proof, "--settings-path", "settings.json"])
        .failure(3, &["settings.json", "version", "99.0.0"]);
    fs::write(sandbox.file("kzg.srs"), b"no srs").expect("written");
    sandbox.run(["setup", "--srs-path", "kzg.srs"]).failure(3, &["kzg.srs"]);
}

/// A server that reads a request and answers with these bytes, or not at all.
fn server(answer: Option<&'static [u8]>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 4096]);
            if let Some(answer) = answer {
                let _ = stream.write_all(answer);
            } else {
                open.push(stream);
            }
        }
    });
    url
}

#[test]
fn nodes_that_do_not_serve() {
    let sandbox = Sandbox::built("credit");
    let deploy = |url: &str, more: &[&str]| {
        let mut arguments = vec!["deploy", "--rpc-url", url];
        arguments.extend(more);
        sandbox.run(arguments)
    };
    deploy("http://127.0.0.1:9", &[]).failure(5, &["127.0.0.1:9"]);
    let garbage = server(Some(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"));
    deploy(&garbage, &[]).failure(5, &[&garbage[7..]]);
    let silent = server(None);
    let clock = Instant::now();
    deploy(&silent, &["--rpc-timeout", "1"]).failure(5, &[&silent[7..]]);
    assert!(clock.elapsed() < Duration::from_secs(60), "it gave up");
    deploy("no-such-name", &[]).failure(3, &["no-such-name"]);

    let node = Node::start(&[]);
    deploy(&node.url, &["--chain", "1"]).failure(5, &["31337", "1"]);
    // An account that nobody has funded.
    let poor = format!("0x{}", "5e".repeat(32));
    let outcome = deploy(&node.url, &["--broadcast", "-vvv", "--private-key", &poor]);
    assert!(!outcome.stderr().contains(&poor[2..]), "the key is in the log");
    outcome.failure(5, &["fund the account"]);
    assert!(!sandbox.file("deployments").exists());
}

fn processes_in(folder: &std::path::Path) -> Vec<String> {
    fs::read_dir("/proc")
        .expect("Linux")
        .flatten()
        .filter_map(|entry| {
            let command = fs::read(entry.path().join("cmdline")).ok()?;
            let environment = fs::read(entry.path().join("environ")).ok()?;
            let mark = folder.to_str()?.as_bytes();
            let has = |bytes: &[u8]| bytes.windows(mark.len()).any(|window| window == mark);
            (has(&environment) || has(&command))
                .then(|| String::from_utf8_lossy(&command).replace('\0', " "))
        })
        .collect()
}

/// Interrupts a build at many moments; what is there afterwards is whole, and the next build ends
/// well.
#[test]
#[cfg(target_os = "linux")]
fn an_interrupted_build_leaves_nothing_behind() {
    let sandbox = Sandbox::project("credit");
    for (signal, code) in
        [(libc::SIGINT, Some(130)), (libc::SIGTERM, Some(130)), (libc::SIGKILL, None)]
    {
        for milliseconds in [300, 1500, 3000] {
            let mut child = zkvouch()
                .arg("build")
                .current_dir(sandbox.path())
                .env("ZKVOUCH_TEST_MARK", sandbox.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("started");
            thread::sleep(Duration::from_millis(milliseconds));
            // SAFETY: the child has not been waited for, so the id is its own.
            unsafe { libc::kill(child.id() as i32, signal) };
            let status = child.wait().expect("waited");
            assert!(status.code() == code || status.success(), "{status:?}");
            let clock = Instant::now();
            while !processes_in(sandbox.path()).is_empty() {
                assert!(
                    clock.elapsed() < Duration::from_secs(20),
                    "left running: {:?}",
                    processes_in(sandbox.path())
                );
                thread::sleep(Duration::from_millis(50));
            }
            if signal != libc::SIGKILL
                && let Ok(entries) = fs::read_dir(sandbox.file("build"))
            {
                for entry in entries.flatten() {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    assert!(!name.starts_with(".zkvouch-"), "{name} is half a file");
                }
            }
        }
    }
    let report = sandbox.data(&["build"]);
    let left: Vec<_> = fs::read_dir(sandbox.file("build"))
        .expect("read")
        .chain(fs::read_dir(sandbox.file("build/verifier")).expect("read"))
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(".zkvouch-"))
        .collect();
    assert!(left.is_empty(), "what the killed ones left: {left:?}");
    assert!(report["verifier"]["verify_gas"].as_u64().is_some());
    assert_eq!(sandbox.data(&["build"])["ran"], json!([]));
}

/// A disk that takes no more: simulated by a limit on the size of files, which the worker inherits.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_leaves_no_half_file() {
    let sandbox = Sandbox::built("credit");
    let limited = |arguments: &str| {
        let script = format!("trap '' XFSZ; ulimit -f 4; exec \"$0\" {arguments}");
        let output = std::process::Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_zkvouch")])
            .current_dir(sandbox.path())
            .stdin(Stdio::null())
            .output()
            .expect("sh runs");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && output.stdout.is_empty(), "{stderr}");
        assert!(stderr.to_lowercase().contains("too large"), "{stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
    };
    let files = || {
        let mut names: Vec<_> = fs::read_dir(sandbox.path())
            .expect("read")
            .chain(fs::read_dir(sandbox.file("build")).expect("read"))
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        names.sort();
        names
    };
    let before = files();
    limited("prove input.json");
    limited("build --force");
    assert_eq!(files(), before);
    sandbox.run(["prove", "input.json"]).success();
}
