//! The JSON Schemas of `docs/schema`, one a command for its data, and one for the envelope.

use super::repository;
use clap::CommandFactory;
use jsonschema::{Registry, Validator};
use serde_json::Value;
use std::{ffi::OsString, fs};

/// The schema of this name.
pub fn read(name: &str) -> Value {
    let path = repository().join("docs/schema").join(format!("{name}.json"));
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A validator of this name's schema. What the schemas refer to lies in the same folder.
pub fn validator(name: &str) -> Validator {
    let base = |name: &str| format!("file:///docs/schema/{name}.json");
    let others: Vec<_> = ["common", "model-check", "srs-verify", "submit"]
        .iter()
        .map(|name| (base(name), read(name)))
        .collect();
    let others = others.iter().map(|(uri, schema)| (uri.as_str(), schema));
    let registry =
        Registry::new().extend(others).and_then(|it| it.prepare()).expect("schemas that resolve");
    jsonschema::draft202012::options()
        .with_registry(&registry)
        .with_base_uri(base(name))
        .offline()
        .build(&read(name))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The name of the schema for the command that has these arguments; `None` for a wrong command line.
pub fn of_command(arguments: &[OsString]) -> Option<String> {
    let program = OsString::from("zkvouch");
    let all = std::iter::once(&program).chain(arguments);
    let matches = zkvouch::cli::Cli::command().try_get_matches_from(all).ok()?;
    let (mut words, mut at) = (Vec::new(), &matches);
    while let Some((name, inner)) = at.subcommand() {
        words.push(name);
        at = inner;
    }
    Some(words.join("-"))
}

/// Asserts that a command's document is as the schemas say.
#[track_caller]
pub fn check(name: &str, document: &Value) {
    assert_valid("envelope", document);
    if !document["data"].is_null() {
        assert_valid(name, &document["data"]);
    }
}

#[track_caller]
fn assert_valid(name: &str, value: &Value) {
    let errors: Vec<_> = validator(name)
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "docs/schema/{name}.json: {}\n{value:#}", errors.join("\n"));
}
