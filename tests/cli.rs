//! The command's own words, held by golden files (`SNAPSHOTS=overwrite` renews them).

mod support;

use clap::CommandFactory;
use snapbox::{Assert, Data, data::DataFormat};
use std::{collections::BTreeSet, fs};
use support::{Sandbox, repository, zkvouch};

fn golden(name: &str, found: String) {
    let path = repository().join("tests/golden/cli").join(name);
    Assert::new()
        .action_env("SNAPSHOTS")
        .eq(found, Data::read_from(&path, Some(DataFormat::Text)).raw());
}

/// The words that come before `-h`, for the command itself and all of clap's commands and subcommands.
fn commands() -> Vec<Vec<String>> {
    fn walk(command: &clap::Command, words: Vec<String>, found: &mut Vec<Vec<String>>) {
        for part in command.get_subcommands() {
            walk(part, [&words[..], &[part.get_name().to_owned()]].concat(), found);
        }
        found.push(words);
    }
    let mut found = Vec::new();
    walk(&zkvouch::cli::Cli::command(), Vec::new(), &mut found);
    found
}

#[test]
fn help() {
    let mut names = BTreeSet::new();
    for words in commands() {
        let name = if words.is_empty() { "zkvouch".to_owned() } else { words.join("-") };
        let output =
            zkvouch().args(&words).arg("-h").env("COLUMNS", "100").output().expect("zkvouch runs");
        assert!(output.status.success(), "{words:?}");
        let found = String::from_utf8(output.stdout).expect("UTF-8");
        golden(&format!("help/{name}.txt"), found);
        names.insert(format!("{name}.txt"));
    }
    // One that no command has is left over from a command that is gone.
    let folder = fs::read_dir(repository().join("tests/golden/cli/help")).expect("the folder");
    let files: BTreeSet<_> = folder
        .map(|entry| entry.expect("read").file_name().into_string().expect("UTF-8"))
        .collect();
    assert_eq!(files, names);
}

#[test]
fn the_project_file_that_init_writes() {
    let sandbox = Sandbox::of("credit");
    sandbox
        .run(["init", "model.onnx", "--no-inspect", "--data", "input.json", "data.json"])
        .success();
    let text = fs::read_to_string(sandbox.file("zkvouch.toml")).expect("read");
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
