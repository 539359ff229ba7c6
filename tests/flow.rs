//! The whole flow, through the command, against a real ezkl, solc and Anvil.

mod support;

use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader},
};
use support::{Node, Sandbox};

fn ran(report: &Value) -> Vec<&str> {
    report["ran"].as_array().expect("a list").iter().filter_map(Value::as_str).collect()
}

#[test]
fn a_build_runs_what_is_out_of_date_and_nothing_else() {
    let project = Sandbox::project("credit");
    let first = project.data(&["build"]);
    assert_eq!(ran(&first).len(), 10, "{first:#}");
    assert_eq!(first["srs"]["kind"], "ceremony");
    assert!(first["verifier"]["verify_gas"].as_u64().expect("measured") > 300_000);

    let second = project.data(&["build"]);
    assert_eq!(ran(&second), [""; 0]);
    assert_eq!(second["model_id"], first["model_id"]);

    let file = project.file("zkvouch.toml");
    let text = fs::read_to_string(&file).expect("read");
    fs::write(&file, text.replace("[verifier]", "[verifier]\nhardfork = \"prague\""))
        .expect("written");
    let third = project.data(&["build"]);
    assert_eq!(ran(&third), ["verifier"]);
    assert_eq!(third["model_id"], first["model_id"], "the verifier's options are not the model");

    fs::remove_file(project.file("build/model.compiled")).expect("removed");
    let fourth = project.data(&["build"]);
    // ezkl writes the same circuit in other bytes, so all that reads the file runs again.
    let mut again = ran(&fourth);
    again.sort_unstable();
    assert_eq!(again, ["compile", "judge", "proof", "setup", "verifier", "witness"]);
    assert_eq!(
        fourth["model_id"], first["model_id"],
        "the same settings and SRS give the same key"
    );

    fs::write(project.file("build/sample.proof.json"), "{}").expect("written");
    let fifth = project.data(&["build"]);
    assert_eq!(ran(&fifth), ["proof", "verifier"]);

    project.run(["clean"]).success();
    assert!(!project.file("build").exists());
    assert!(project.file("model.onnx").exists());
}

#[test]
fn from_proof_to_ledger() {
    let project = Sandbox::built("credit");
    let node = Node::start(&[]);
    let rpc = ["--rpc-url", node.url.as_str()];
    let with = |arguments: &[&str]| project.data(&[arguments, &rpc].concat());
    let refused = |arguments: &[&str], code, words: &[&str]| {
        project.run([arguments, &rpc].concat()).failure(code, words);
    };

    let proved = project.data(&["prove", "input.json"]);
    let verified = project.data(&["verify", "--evm"]);
    assert_eq!(verified["valid"], true);
    assert_eq!(verified["decoded"], proved["decoded"]);
    let evm_gas = verified["gas"].as_u64().expect("measured");

    refused(&["submit"], 5, &["no model", "zkvouch deploy"]);
    let dry = with(&["deploy"]);
    assert!(!project.file("deployments").exists(), "a dry run leaves no record");
    assert_eq!(dry["contracts"][0]["outcome"]["status"], "simulated");
    let first = with(&["deploy", "--broadcast"]);
    assert_eq!(first["contracts"][0]["outcome"]["status"], "mined");
    assert_eq!(first["contracts"][0]["address"], dry["contracts"][0]["address"]);
    assert!(project.file("deployments/31337.json").is_file());
    let again = with(&["deploy", "--broadcast"]);
    for contract in again["contracts"].as_array().expect("a list") {
        assert_eq!(contract["outcome"], json!({ "status": "already_done" }));
    }
    assert_eq!(again["route"]["outcome"], json!({ "status": "already_done" }));

    let bare = with(&["submit", "--direct", "--broadcast"]);
    assert_eq!(bare["outcome"]["gas_used"], evm_gas, "the in-process EVM has Anvil's gas");
    let dry = with(&["submit"]);
    let recorded = with(&["submit", "--broadcast"]);
    assert_eq!(recorded["prediction_id"], dry["prediction_id"]);
    assert_eq!(recorded["event"]["prediction_id"], recorded["prediction_id"]);
    assert_eq!(recorded["decoded"], proved["decoded"]);
    let overhead = recorded["outcome"]["gas_used"].as_u64().expect("gas") - evm_gas;
    assert!(overhead < 60_000, "ledger, router and the model's contract take {overhead} gas");
    refused(&["submit", "--broadcast"], 5, &["AlreadyRecorded"]);
    let context = format!("0x{}", "07".repeat(32));
    let other = with(&["submit", "--broadcast", "--context", &context]);
    assert_ne!(other["prediction_id"], recorded["prediction_id"]);

    let models = with(&["model", "ls"]);
    assert_eq!(models["models"][0]["status"], "active");
    assert_eq!(models["models"][0]["model_id"], recorded["model_id"]);
    assert_eq!(models["models"][0]["takes_packed"], true);
    refused(&["model", "stop", "--broadcast"], 5, &["has no guardian"]);
    with(&["model", "retire", "--broadcast"]);
    let models = with(&["model", "ls"]);
    assert_eq!(models["models"][0]["status"], "retired");
    refused(
        &["submit", "--broadcast", "--context", &format!("0x{}", "08".repeat(32))],
        5,
        &["retired"],
    );
}

#[test]
fn several_predictions_in_one_transaction() {
    let project = Sandbox::built("credit");
    let node = Node::start(&[]);
    let rpc = ["--rpc-url", node.url.as_str()];
    let with = |arguments: &[&str]| project.data(&[arguments, &rpc].concat());
    let refused = |arguments: &[&str], code, words: &[&str]| {
        project.run([arguments, &rpc].concat()).failure(code, words);
    };
    // Two more of the observations, which stand one behind the other in data.json.
    let read = |name: &str| -> Value {
        let text = fs::read_to_string(project.file(name)).expect("read");
        serde_json::from_str(&text).expect("JSON")
    };
    let width = read("input.json")["input_data"][0].as_array().expect("a row").len();
    let rows = read("data.json")["input_data"][0].as_array().expect("rows").clone();
    let mut proved = vec![project.data(&["prove", "input.json", "--output", "a.json"])];
    for (name, row) in [("b", 1), ("c", 2)] {
        let row = &rows[row * width..][..width];
        let input = format!("{name}.input.json");
        fs::write(project.file(&input), json!({ "input_data": [row] }).to_string())
            .expect("written");
        let output = format!("{name}.json");
        proved.push(project.data(&["prove", &input, "--output", &output]));
    }

    let deployed = with(&["deploy", "--broadcast"]);
    let verifier = &deployed["contracts"][0];
    assert_eq!(verifier["name"], "LeanVerifier");
    let batch = &verifier["address"];
    assert_eq!(with(&["model", "ls"])["models"][0]["takes_batches"], true);

    fn submit<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&["submit", "a.json", "b.json", "c.json"], more].concat()
    }
    let dry = with(&submit(&[]));
    let sent = with(&submit(&["--broadcast"]));
    let gas = sent["outcome"]["gas_used"].as_u64().expect("gas");
    assert_eq!(sent["gas_per_prediction"], gas / 3);
    let context = format!("0x{}", "07".repeat(32));
    let single = with(&["submit", "a.json", "--broadcast", "--context", &context]);
    let one = single["outcome"]["gas_used"].as_u64().expect("gas");
    assert!(gas / 3 < one * 3 / 4, "{gas} for three, {one} for one");
    for (index, proved) in proved.iter().enumerate() {
        let prediction = &sent["predictions"][index];
        assert_eq!(prediction["decoded"], proved["decoded"], "{index}");
        assert_eq!(prediction["prediction_id"], dry["predictions"][index]["prediction_id"]);
        assert_eq!(prediction["event"]["prediction_id"], prediction["prediction_id"]);
        assert_eq!(prediction["event"]["inputs_hash"], Value::Null, "a batch's event has none");
        assert_eq!(prediction["path"], dry["predictions"][index]["path"]);
        assert_eq!(prediction["path"].as_array().expect("a list").len(), 2 - index / 2);
    }
    assert!(sent["root"].is_string() && sent["root"] == dry["root"], "{sent}");
    assert_ne!(sent["predictions"][0]["prediction_id"], single["prediction_id"]);
    let direct = with(&submit(&["--direct", "--broadcast"]));
    assert_eq!(&direct["verifier"], batch);
    assert!(direct["gas_per_prediction"].as_u64().expect("gas") < gas / 3);
    let text = project.run([&submit(&["--direct"])[..], &rpc].concat()).success().stdout();
    assert_eq!(text.matches("output ").count(), 3, "{text}");
    assert!(text.contains("each "), "{text}");

    // Recorded before, twice in one batch, one that is none.
    refused(&submit(&["--broadcast"]), 5, &["BatchAlreadyRecorded"]);
    refused(&["submit", "a.json", "--broadcast", "--context", &context], 5, &["AlreadyRecorded"]);
    refused(&["submit", "a.json", "c.json", "a.json"], 3, &["number 1 and 3"]);
    let other = read("c.json");
    let mut forged = read("b.json");
    forged["proof"] = other["proof"].clone();
    forged["hex_proof"] = other["hex_proof"].clone();
    fs::write(project.file("forged.json"), forged.to_string()).expect("written");
    for more in [&["--context", &context][..], &["--direct"]] {
        let arguments = [&["submit", "c.json", "forged.json", "--broadcast"], more].concat();
        refused(&arguments, 5, &["the proof"]);
    }
}

#[test]
fn with_no_batch_several_are_verified_one_by_one() {
    let project = Sandbox::built("credit");
    let node = Node::start(&[]);
    let rpc = ["--rpc-url", node.url.as_str()];
    let with = |arguments: &[&str]| project.data(&[arguments, &rpc].concat());
    project.data(&["prove", "input.json", "--output", "a.json"]);
    let deployed = with(&["deploy", "--no-batch", "--broadcast"]);
    assert_eq!(deployed["contracts"].as_array().expect("a list").len(), 4, "{deployed:#}");
    assert_eq!(with(&["model", "ls"])["models"][0]["takes_batches"], false);
    let again = ["submit", "a.json", "a.json", "--direct"];
    assert_eq!(with(&again)["verifier"], deployed["contracts"][0]["address"]);
    // The same model with another verifier would be another route.
    let deploy = ["deploy", "--broadcast"];
    project.run([&deploy[..], &rpc].concat()).failure(5, &["never re-pointed"]);
}

#[test]
fn every_step_on_its_own() {
    let folder = Sandbox::of("credit");
    let step = |arguments: &[&str]| folder.data(arguments);
    step(&["gen-settings", "--model", "model.onnx", "--variable", "batch_size=1"]);
    step(&["calibrate", "--model", "model.onnx", "--data", "input.json", "data.json"]);
    step(&["compile", "--model", "model.onnx"]);
    let srs = step(&["get-srs"]);
    assert_eq!(srs["provenance"]["kind"], "ceremony");
    // Before anything is made: what no machine has the memory for, and what no field has room for.
    let text = fs::read_to_string(folder.file("settings.json")).expect("read");
    let mut huge: Value = serde_json::from_str(&text).expect("JSON");
    huge["run_args"]["logrows"] = 26.into();
    fs::write(folder.file("huge.json"), huge.to_string()).expect("written");
    let setup = ["setup", "--settings-path", "huge.json"];
    folder.run(setup).failure(1, &["setup with this circuit (k = 26) needs about"]);
    huge["run_args"]["num_inner_cols"] = 7.into();
    fs::write(folder.file("huge.json"), huge.to_string()).expect("written");
    folder.run(setup).failure(3, &["beyond the field", "to 25 or less"]);
    let estimated = |result: &Value| {
        let bytes = |of: &str| result[of]["peak_bytes"].as_f64().expect("bytes");
        let off = bytes("expected") / bytes("took");
        assert!((0.5..2.0).contains(&off), "{result:#}");
    };
    estimated(&step(&["setup"]));
    step(&["witness", "--data", "input.json"]);
    assert_eq!(step(&["mock"])["satisfied"], true);
    estimated(&step(&["prove", "--witness", "witness.json"]));
    let told = folder.run(["prove", "--witness", "witness.json"]).success().stderr();
    assert!(told.contains("a proof        is expected to take about"), "{told}");
    assert_eq!(step(&["verify"])["valid"], true);
    let verifier = step(&["create-verifier", "--proof", "proof.json"]);
    assert!(verifier["metadata"]["gas"]["verify_gas"].as_u64().is_some());
    assert!(folder.file("verifier/verifier.json").is_file());
    assert!(step(&["verify", "--evm"])["gas"].as_u64().is_some());
}

#[test]
fn an_unsafe_srs_stays_on_local_chains() {
    let project = Sandbox::built("credit");
    let file = project.file("zkvouch.toml");
    let text = fs::read_to_string(&file).expect("read");
    fs::write(&file, text.replace("source = \"ceremony\"", "source = \"unsafe-dev\""))
        .expect("written");
    let report = project.json(&["build"]);
    assert_eq!(report["data"]["srs"]["kind"], "unsafe-dev");
    assert!(report["warnings"][0].as_str().expect("a warning").contains("forge"));

    let key = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    let node = Node::start(&["--chain-id", "4242"]);
    let deploy = ["deploy", "--direct", "--rpc-url", &node.url];
    project.run(deploy).failure(5, &["SRS", "4242"]);
    // Copied under another name and given as a file, it is still known by its tau.
    fs::copy(project.file("build/kzg.srs"), project.file("mine.srs")).expect("copied");
    fs::write(&file, text.replace("source = \"ceremony\"", "source = \"mine.srs\""))
        .expect("written");
    assert_eq!(project.data(&["build"])["srs"]["kind"], "unsafe-dev");
    project.run(deploy).failure(5, &["SRS", "4242"]);
    // Anvil's public keys are refused there whatever is deployed.
    project
        .run(deploy.iter().copied().chain(["--local", "--broadcast", "--private-key", key]))
        .failure(3, &["Anvil", "public"]);
    project.run(["clean"]).success();
}

#[test]
fn what_changed_since_the_build_is_refused() {
    let project = Sandbox::built("credit");
    project.data(&["prove", "input.json"]);
    let commands: [&[&str]; 8] = [
        &["deploy"],
        &["deploy", "--direct", "--broadcast"],
        &["model", "add"],
        &["model", "retire"],
        &["submit"],
        &["prove", "input.json"],
        &["verify", "--evm"],
        &["accuracy"],
    ];
    let refused = |what: &str| {
        for command in commands {
            project.run(command).failure(3, &[what, "zkvouch build"]);
        }
    };
    let changed = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let path = project.file(name);
        let before = fs::read(&path).expect("read");
        let mut bytes = before.clone();
        change(&mut bytes);
        fs::write(&path, bytes).expect("written");
        refused(path.file_name().and_then(|name| name.to_str()).expect("a name"));
        fs::remove_file(&path).expect("removed");
        refused(path.file_name().and_then(|name| name.to_str()).expect("a name"));
        fs::write(&path, before).expect("written");
    };
    let flip = |bytes: &mut Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    };
    // One that still is the same network: a producer's name of another length would be enough.
    changed("model.onnx", &|bytes| bytes.extend([0x12, 0x01, b'x']));
    for name in [
        "build/settings.json",
        "build/kzg.srs",
        "build/vk.key",
        "build/pk.key",
        "build/model.compiled",
        "build/sample.proof.json",
        "build/verifier/verifier.json",
        "build/verifier/batch.json",
    ] {
        changed(name, &flip);
    }
    // The code itself, whose hash stands in verifier.json.
    let path = project.file("build/verifier/LeanVerifier.json");
    let before = fs::read_to_string(&path).expect("read");
    fs::write(&path, before.replace("0x60", "0x61")).expect("written");
    project.run(["deploy"]).failure(3, &["LeanVerifier.json", "hash"]);
    fs::write(&path, before).expect("written");

    let file = project.file("zkvouch.toml");
    let text = fs::read_to_string(&file).expect("read");
    for (from, to, what) in [
        ("version = \"23.0.5\"", "version = \"23.0.4\"", "engine version"),
        ("param_visibility = \"fixed\"", "param_visibility = \"private\"", "circuit options"),
        ("[verifier]", "[verifier]\nkind = \"ezkl\"", "verifier options"),
        ("source = \"ceremony\"", "source = \"unsafe-dev\"", "SRS options"),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(&file, text.replace(from, to)).expect("written");
        refused(what);
    }
    fs::write(&file, text).expect("written");

    // Another input is what proofs are for.
    let other = fs::read_to_string(project.file("input.json")).expect("read").replace("0.", "1.");
    fs::write(project.file("input.json"), other).expect("written");
    for command in [&["prove", "input.json"][..], &["verify", "--evm"], &["accuracy"]] {
        project.run(command).success();
    }
    project.run(["clean"]).success();
    project.run(["deploy"]).failure(3, &["build", "zkvouch build"]);
}

#[test]
fn what_is_built_is_not_seen_half_way() {
    let project = Sandbox::built("credit");
    let lock = fs::File::open(project.file("build/.lock")).expect("there");
    lock.lock().expect("free");
    let mut verify = support::zkvouch()
        .args(["verify", "build/sample.proof.json"])
        .current_dir(project.path())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("zkvouch runs");
    let mut told = String::new();
    let stderr = verify.stderr.take().expect("piped");
    BufReader::new(stderr).read_line(&mut told).expect("a line");
    assert!(told.contains("waiting") && told.contains(".lock"), "{told}");
    assert!(verify.try_wait().expect("a child").is_none(), "it waits");
    lock.unlock().expect("unlocked");
    assert!(verify.wait().expect("ended").success());
}

#[test]
fn clean_removes_what_was_made_and_nothing_else() {
    let project = Sandbox::built("credit");
    // A note of one's own among the artefacts.
    fs::write(project.file("build/notes.txt"), "mine").expect("written");
    fs::write(project.file("build/verifier/mine.sol"), "mine").expect("written");
    fs::create_dir(project.file("build/.zkvouch-killed")).expect("made");
    let outcome = project.json(&["clean"]);
    assert_eq!(outcome["data"]["kept"].as_array().expect("a list").len(), 2, "{outcome:#}");
    assert!(outcome["warnings"].to_string().contains("notes.txt"), "{outcome:#}");
    assert!(
        project.file("build/notes.txt").exists()
            && project.file("build/verifier/mine.sol").exists()
    );
    for gone in ["vk.key", "pk.key", "manifest.json", ".zkvouch-killed", "verifier/verifier.json"] {
        assert!(!project.file("build").join(gone).exists(), "{gone}");
    }

    // Folders that are no build's: the project itself, above it, behind a link, somebody's web page.
    let file = project.file("zkvouch.toml");
    let text = fs::read_to_string(&file).expect("read");
    let outside = tempfile::tempdir().expect("a folder");
    fs::write(outside.path().join("manifest.json"), r#"{"schema_version":2,"steps":{}}"#)
        .expect("written");
    let page = r#"{"name":"page","start_url":"/"}"#;
    fs::create_dir(project.file("web")).expect("made");
    fs::write(project.file("web/manifest.json"), page).expect("written");
    fs::write(project.file("manifest.json"), r#"{"schema_version":2,"steps":{}}"#)
        .expect("written");
    std::os::unix::fs::symlink(outside.path(), project.file("link")).expect("linked");
    let absolute = outside.path().display().to_string();
    for folder in [".", "..", "web/..", "web", "link", &absolute] {
        let changed = text.replace("build_dir = \"build\"", &format!("build_dir = \"{folder}\""));
        fs::write(&file, changed).expect("written");
        project.run(["clean"]).failure(3, &["left alone", "build_dir"]);
    }
    assert!(project.file("model.onnx").exists() && project.file("web/manifest.json").exists());
    assert!(outside.path().join("manifest.json").exists());
}

#[test]
fn clean_leaves_a_cache_folder_of_somebody_elses_alone() {
    let sandbox = Sandbox::of("credit");
    let clean = |cache: &std::path::Path| {
        let mut command = support::zkvouch();
        command.args(["clean", "--cache"]).env("ZKVOUCH_CACHE_DIR", cache);
        support::Outcome::of(command.current_dir(sandbox.path()))
    };
    let home = tempfile::tempdir().expect("a folder");
    fs::write(home.path().join("thesis.tex"), "years").expect("written");
    fs::create_dir(home.path().join("npm")).expect("made");
    clean(home.path()).failure(3, &["left alone"]);
    assert!(home.path().join("thesis.tex").exists() && home.path().join("npm").exists());
    // A new one is zkvouch's own.
    let own = home.path().join("cache");
    let doctor = support::zkvouch().arg("doctor").env("ZKVOUCH_CACHE_DIR", &own).output();
    doctor.expect("zkvouch runs");
    assert!(own.join("CACHEDIR.TAG").is_file());
    fs::create_dir_all(own.join("srs")).expect("made");
    clean(&own).success();
    assert!(!own.exists() && home.path().join("thesis.tex").exists());
    // Even that keeps what somebody put into it.
    fs::create_dir_all(own.join("srs")).expect("made");
    fs::write(own.join("CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55\n")
        .expect("written");
    fs::write(own.join("letter"), "mine").expect("written");
    clean(&own).failure(3, &["left alone"]);
    assert!(own.join("letter").exists());
}

/// Three observations in a proof of four: the fourth fills it up, and no more is said of it.
#[test]
fn a_proof_of_several_predictions() {
    let project = Sandbox::empty();
    let mlp = support::repository().join("tests/fixtures/mlp");
    fs::copy(mlp.join("mlp4.onnx"), project.file("model.onnx")).expect("copied");
    let rows = fs::read_to_string(mlp.join("mlp4.jsonl")).expect("read");
    fs::write(project.file("data.jsonl"), &rows).expect("written");
    let init = ["init", "model.onnx", "--no-inspect", "--batch", "4", "--data", "data.jsonl"];
    project.run([&init[..], &["--srs", "unsafe-dev"]].concat()).success();
    let built = project.data(&["build"]);
    assert_eq!(built["num_instances"], 4 * 4 + 4, "{built:#}");
    for fork in built["verifier"]["forks"].as_array().expect("a list") {
        let gas = |name: &str| fork[name].as_u64().expect("measured");
        let least = gas("verify_gas").min(gas("packed_gas"));
        let name = fork["hardfork"].as_str().expect("a name");
        assert_eq!(built["each"]["verify_gas"][name], least.div_ceil(4));
    }
    assert_eq!(built["each"]["size"], 4);

    let lines: Vec<_> = rows.lines().take(7).collect();
    fs::write(project.file("seven.jsonl"), lines.join("\n")).expect("written");
    project.run(["prove", "seven.jsonl"]).failure(3, &["7 observations", "--batch seven.jsonl"]);
    let proved = project.data(&["prove", "--batch", "seven.jsonl"]);
    let proofs = proved["proofs"].as_array().expect("a list");
    assert_eq!(proofs.len(), 2);
    let row = |number: usize| -> Vec<f64> { serde_json::from_str(lines[number]).expect("a row") };
    for (number, (proof, count)) in proofs.iter().zip([4, 3]).enumerate() {
        let name = format!("proof-{number}.json");
        assert_eq!(proof["proof"], *name);
        let predictions = &proof["predictions"];
        assert_eq!((&predictions["size"], &predictions["count"]), (&json!(4), &json!(count)));
        let decoded = predictions["decoded"].as_array().expect("a list");
        assert_eq!(decoded.len(), count);
        for (place, one) in decoded.iter().enumerate() {
            let input = one["groups"][0]["values"].as_array().expect("numbers");
            for (found, given) in input.iter().zip(row(4 * number + place)) {
                let found = found.as_f64().expect("a number");
                assert!((found - given).abs() < 0.1, "{number} {place}: {found} {given}");
            }
        }
        let verified = project.data(&["verify", &name, "--evm"]);
        assert_eq!(verified["predictions"], *predictions);
        assert!(verified["gas"].as_u64().expect("measured") > 200_000);
    }

    // The ledger takes the seven under one root, and the eighth place is nobody's.
    let node = Node::start(&[]);
    let rpc = ["--rpc-url", node.url.as_str()];
    let with = |arguments: &[&str]| project.data(&[arguments, &rpc].concat());
    with(&["deploy", "--broadcast"]);
    let swapped = [&["submit", "proof-1.json", "proof-0.json"], &rpc[..]].concat();
    project.run(swapped).failure(3, &["the proof number 1 is of 3 predictions", "put it last"]);
    let sent = with(&["submit", "proof-0.json", "proof-1.json", "--broadcast"]);
    let recorded = sent["predictions"].as_array().expect("a list");
    assert_eq!(recorded.len(), 7, "{sent:#}");
    assert!(sent["root"].is_string());
    let all = proofs.iter().flat_map(|it| it["predictions"]["decoded"].as_array().expect("a list"));
    for (prediction, decoded) in recorded.iter().zip(all) {
        assert_eq!(prediction["decoded"], *decoded);
        assert_eq!(prediction["event"]["prediction_id"], prediction["prediction_id"]);
        assert!((2..=3).contains(&prediction["path"].as_array().expect("a path").len()));
    }
    let gas_used = sent["outcome"]["gas_used"].as_u64().expect("gas");
    assert_eq!(sent["gas_per_prediction"], gas_used / 7);
    let short = with(&["submit", "proof-1.json", "--broadcast"]);
    assert_eq!(short["predictions"].as_array().expect("a list").len(), 3);

    let text = project.run(["verify", "proof-1.json"]).success().stdout();
    assert!(text.contains("prediction   2") && !text.contains("prediction   3"), "{text}");
    assert!(text.contains("padding      1 of 4"), "{text}");

    // Which of them are meant is the prover's word, but how many there are is the circuit's.
    let path = project.file("proof-1.json");
    let proof = fs::read_to_string(&path).expect("read");
    for (other, words) in [
        (r#""size":4,"count":5"#, "count is 5"),
        (r#""size":0,"count":0"#, "size is 0"),
        (r#""size":3,"count":3"#, "not those of 3 predictions"),
    ] {
        fs::write(&path, proof.replace(r#""size":4,"count":3"#, other)).expect("written");
        project.run(["verify", "proof-1.json"]).failure(3, &["`predictions`", words]);
    }

    // As one of a circuit of one, or of two.
    for (other, words) in [
        ("{", "of 1 predictions, and the project's circuit is for 4"),
        (r#"{"predictions":{"size":2,"count":2},"#, "not those of 2 predictions"),
    ] {
        let whole = r#"{"predictions":{"size":4,"count":3},"#;
        fs::write(&path, proof.replace(whole, other)).expect("written");
        project.run(["verify", "proof-1.json"]).failure(3, &[words]);
        project.run(["submit", "proof-1.json", "--direct"]).failure(3, &[words]);
    }
    let accuracy = project.data(&["accuracy"]);
    assert_eq!(accuracy["report"]["observations"], rows.lines().count());
    assert_eq!(accuracy["report"]["circuits"][0]["refused"], json!([]));

    // One observation fills all places.
    fs::write(project.file("one.jsonl"), lines[0]).expect("written");
    let one = project.data(&["prove", "one.jsonl"]);
    assert_eq!(one["predictions"]["count"], 1);
}

/// Each observation of a proof has a hash of its own, the same for the same numbers in whatever place.
#[test]
fn hashed_inputs_of_several_predictions() {
    let project = Sandbox::empty();
    let mlp = support::repository().join("tests/fixtures/mlp");
    fs::copy(mlp.join("mlp4.onnx"), project.file("model.onnx")).expect("copied");
    let rows = fs::read_to_string(mlp.join("mlp4.jsonl")).expect("read");
    fs::write(project.file("data.jsonl"), &rows).expect("written");
    let init = ["init", "model.onnx", "--no-inspect", "--batch", "3", "--data", "data.jsonl"];
    let hashed = ["--srs", "unsafe-dev", "--input-visibility", "hashed"];
    project.run([&init[..], &hashed].concat()).success();
    support::calibrate_only(project.path());
    let built = project.data(&["build"]);
    assert_eq!(built["num_instances"], 3 + 3, "{built:#}");
    let lines: Vec<_> = rows.lines().take(2).collect();
    let [first, second] = lines[..] else { panic!("two rows") };
    fs::write(project.file("three.jsonl"), [first, second, first].join("\n")).expect("written");
    let proved = project.data(&["prove", "three.jsonl"]);
    let decoded = proved["predictions"]["decoded"].as_array().expect("a list");
    let groups: Vec<_> = decoded.iter().map(|one| &one["groups"]).collect();
    let kinds = |groups: &Value| {
        let groups = groups.as_array().expect("a list").iter();
        groups.map(|it| it["kind"].as_str().expect("a kind").to_owned()).collect::<Vec<_>>()
    };
    assert!(groups.iter().all(|it| kinds(it) == ["processed_input", "output"]), "{groups:?}");
    for place in [0, 1] {
        let values = |number: usize| &groups[number][place]["values"];
        assert_eq!(values(0), values(2), "the same observation");
        assert_ne!(values(0), values(1), "another");
    }
    assert_eq!(project.data(&["verify", "--evm"])["predictions"], proved["predictions"]);
}
