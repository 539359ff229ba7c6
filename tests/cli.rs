//! The command's own words, held by golden files (`SNAPSHOTS=overwrite` renews them).

mod support;

use snapbox::{Assert, Data, data::DataFormat};
use support::{Sandbox, repository, zkvouch};

fn golden(name: &str, found: String) {
    let path = repository().join("tests/golden/cli").join(name);
    Assert::new()
        .action_env("SNAPSHOTS")
        .eq(found, Data::read_from(&path, Some(DataFormat::Text)).raw());
}

#[test]
fn help() {
    let run = |arguments: &[&str]| {
        let output =
            zkvouch().args(arguments).env("COLUMNS", "100").output().expect("zkvouch runs");
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    golden("help.txt", run(&["-h"]));
    for command in [
        "init",
        "build",
        "prove",
        "verify",
        "deploy",
        "submit",
        "verify-source",
        "model",
        "anvil",
        "doctor",
        "clean",
        "gen-settings",
        "calibrate",
        "compile",
        "get-srs",
        "setup",
        "witness",
        "mock",
        "create-verifier",
    ] {
        golden(&format!("{command}.txt"), run(&[command, "-h"]));
    }
}

#[test]
fn the_project_file_that_init_writes() {
    let sandbox = Sandbox::of("credit");
    sandbox.run(["init", "model.onnx", "--data", "input.json", "data.json"]).success();
    let text = std::fs::read_to_string(sandbox.file("zkvouch.toml")).expect("read");
    golden("zkvouch.toml", text);
    sandbox
        .run(["init", "model.onnx", "--data", "input.json"])
        .failure(3, &["zkvouch.toml exists", "--force"]);
}

#[test]
fn errors() {
    let sandbox = Sandbox::of("credit");
    golden("no-project.txt", {
        let text = sandbox.run(["build"]).failure(3, &[]).stderr();
        text.replace(&*sandbox.path().canonicalize().expect("real").to_string_lossy(), "[FOLDER]")
    });
    golden("no-project.json", {
        let outcome = sandbox.run(["build", "--json"]);
        assert_eq!(outcome.0.status.code(), Some(3));
        let text = outcome.stdout();
        text.replace(&*sandbox.path().canonicalize().expect("real").to_string_lossy(), "[FOLDER]")
    });
    sandbox.run(["build", "--no-such-flag"]).failure(2, &["--no-such-flag"]);
    sandbox.run(["init", "model.onnx"]).failure(2, &["--data"]);
}

#[test]
fn doctor() {
    let sandbox = Sandbox::of("credit");
    let findings = sandbox.data(&["doctor"]);
    for finding in findings["findings"].as_array().expect("a list") {
        assert_eq!(finding["ok"], true, "{finding}");
    }
    let outcome = Sandbox::of("credit").run(["doctor"]).success();
    assert!(outcome.stdout().contains("ezkl"));
}
