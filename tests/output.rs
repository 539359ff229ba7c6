//! What commands print as their result. Text and JSON are held by golden files (`SNAPSHOTS=overwrite` renews
//! them), which leave out what differs from build to build; all JSON is held by the schemas in docs/schema.

mod support;

use clap::CommandFactory;
use regex::Regex;
use serde_json::{Map, Value, json};
use snapbox::{Assert, Data, Redactions, data::DataFormat};
use std::{collections::BTreeSet, fs, path::Path, process::Stdio};
use support::{Node, Sandbox, repository, schema, zkvouch};

/// The project's own names, and what follows from the bytes of a proof, which are others in each build.
fn redactions(project: &Path) -> Redactions {
    let mut redactions = Redactions::new();
    let folder = project.canonicalize().expect("real");
    let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
    redactions.insert("[FOLDER]", folder).expect("a placeholder");
    redactions.insert("[NAME]", name).expect("a placeholder");
    for (placeholder, pattern) in [
        ("[HASH]", r"0x[0-9a-fA-F]{64}\b"),
        ("[ADDRESS]", r"0x[0-9a-fA-F]{40}\b"),
        ("[WEI]", r#""(?<redacted>[0-9]+)""#),
        ("[PERCENT]", r"\((?<redacted>[0-9.]+) %\)"),
        ("[NUMBER]", r"(?m)[ (](?<redacted>[0-9]{3,})(?:[ ,)]|$)"),
    ] {
        let pattern = Regex::new(pattern).expect("a pattern");
        redactions.insert(placeholder, pattern).expect("a placeholder");
    }
    redactions
}

/// Gas and sizes, in a form that leaves the document JSON.
fn redact_numbers(value: &mut Value) {
    match value {
        Value::Number(number) if number.as_u64().is_some_and(|number| number >= 100) => {
            *value = json!("[NUMBER]");
        }
        Value::Array(elements) => elements.iter_mut().for_each(redact_numbers),
        Value::Object(fields) => fields.values_mut().for_each(redact_numbers),
        _ => {}
    }
}

#[test]
fn results() {
    let project = Sandbox::built("decision_tree");
    let assert = Assert::new().action_env("SNAPSHOTS").redact_with(redactions(project.path()));
    let folder = repository().join("tests/golden/output");
    let mut files = BTreeSet::new();
    let mut golden = |file: String, found: String| {
        let expected = Data::read_from(&folder.join(&file), Some(DataFormat::Text));
        assert.eq(found, expected);
        files.insert(file);
    };
    let proof = "build/sample.proof.json";
    let commands: [(&str, &[&str], bool); 7] = [
        ("build", &["build"], false),
        ("verify", &["verify", proof, "--evm"], false),
        ("deploy", &["deploy"], true),
        ("deploy-broadcast", &["deploy", "--broadcast"], true),
        ("submit", &["submit", proof], true),
        ("submit-broadcast", &["submit", proof, "--broadcast"], true),
        ("model-ls", &["model", "ls"], true),
    ];
    // Each form on a chain of its own, since what is done is not done twice.
    for json in [false, true] {
        let node = Node::start(&[]);
        for (name, arguments, on_chain) in commands {
            let rpc = ["--rpc-url", node.url.as_str()];
            let arguments = [arguments, if on_chain { &rpc } else { &[] }].concat();
            if json {
                let mut document = project.json(&arguments);
                is_strict(name.trim_end_matches("-broadcast"), &document["data"]);
                redact_numbers(&mut document);
                golden(format!("{name}.json"), format!("{document:#}\n"));
            } else {
                let outcome = project.run(&arguments).success();
                let text = format!("{}\n[on stderr]\n{}", outcome.stdout(), outcome.stderr());
                golden(format!("{name}.txt"), text);
            }
        }
        fs::remove_dir_all(project.file("deployments")).expect("removed");
    }
    let there = fs::read_dir(&folder).expect("the folder");
    let there: BTreeSet<_> =
        there.map(|entry| entry.expect("read").file_name().into_string().expect("UTF-8")).collect();
    assert_eq!(there, files, "golden files without a command");
}

/// What no other test asks for as JSON. (`bench gas`, `fuzz` and `tune` take minutes.)
#[test]
fn other_results_are_as_the_schemas_say() {
    let project = Sandbox::built("decision_tree");
    let mut anvil = zkvouch()
        .args(["anvil", "--port", "0", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("zkvouch runs");
    let stdout = anvil.stdout.take().expect("piped");
    let mut documents = serde_json::Deserializer::from_reader(stdout).into_iter();
    let document: Value = documents.next().expect("a document").expect("JSON");
    schema::check("anvil", &document);
    let url = document["data"]["rpc_url"].as_str().expect("a URL");
    let with = |arguments: &[&str]| project.data(&[arguments, &["--rpc-url", url]].concat());

    let guardian = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
    let deployed = with(&["deploy", "--guardian", guardian, "--broadcast"]);
    assert_eq!(deployed["contracts"].as_array().map(Vec::len), Some(4), "{deployed:#}");
    let added = with(&["model", "add", "--guardian", guardian]);
    assert_eq!(added["route"]["outcome"], json!({ "status": "already_done" }));
    let stopped = with(&["model", "stop", "--from", guardian]);
    assert_eq!(stopped["action"], "stopped");
    // SAFETY: the child has not been waited for, so the id is its own.
    unsafe { libc::kill(anvil.id() as i32, libc::SIGTERM) };
    anvil.wait().expect("ended");

    // On an Anvil of its own.
    let demo = project.data(&["demo", "."]);
    assert_eq!(demo["submission"]["outcome"]["status"], "mined", "{demo:#}");

    let report = project.data(&["accuracy", "--csv", "errors.csv"]);
    assert_eq!(report["written"], json!(["errors.csv"]));
    assert_eq!(project.data(&["build", "--until", "compile"])["until"], "compile");
    // The tree's answers are whole numbers, so that there is no error at all.
    let bound = &project.data(&["accuracy", "--fail-above", "mean:0%"])["bound"];
    assert_eq!(*bound, json!({ "value": 0.0, "percent": true, "statistic": "mean" }));
    let machine = ["bench", "machine", "--budget", "1s", "--cost-model", "costs.json"];
    assert!(project.data(&machine)["calibration"]["costs"]["machine"].is_number());
}

/// Every leaf of clap's tree of commands. All of them have a result as JSON.
fn commands() -> Vec<String> {
    fn walk(command: &clap::Command, words: &[&str], found: &mut Vec<String>) {
        let mut parts = command.get_subcommands().peekable();
        if parts.peek().is_none() {
            found.push(words.join("-"));
        }
        for part in parts {
            walk(part, &[words, &[part.get_name()]].concat(), found);
        }
    }
    let mut found = Vec::new();
    walk(&zkvouch::cli::Cli::command(), &[], &mut found);
    found
}

#[test]
fn every_command_has_a_schema() {
    let folder = fs::read_dir(repository().join("docs/schema")).expect("the folder");
    let files: BTreeSet<_> = folder
        .map(|entry| entry.expect("read").file_name().into_string().expect("UTF-8"))
        .collect();
    let shared = ["common", "envelope"].map(str::to_owned);
    let names: BTreeSet<_> =
        commands().into_iter().chain(shared).map(|name| format!("{name}.json")).collect();
    assert_eq!(files, names);
    for name in names.iter().filter_map(|name| name.strip_suffix(".json")) {
        // Whatever it refers to is there, too.
        schema::validator(name);
        let schema = schema::read(name);
        jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
        objects_are_closed(name, &schema);
    }
}

/// What stands in an object is said of every object in the schema.
fn objects_are_closed(name: &str, schema: &Value) {
    if schema["type"] == "object" && !schema["properties"].is_null() {
        assert_eq!(schema["additionalProperties"], false, "{name}: {schema:#}");
    }
    match schema {
        Value::Array(parts) => parts.iter().for_each(|part| objects_are_closed(name, part)),
        Value::Object(parts) => parts.values().for_each(|part| objects_are_closed(name, part)),
        _ => {}
    }
}

/// A schema that takes a document takes none with a field more or less.
fn is_strict(name: &str, document: &Value) {
    let validator = schema::validator(name);
    assert!(validator.is_valid(document), "{name}");
    let mut pointers = Vec::new();
    objects(document, String::new(), &mut pointers);
    assert!(!pointers.is_empty());
    for pointer in pointers {
        let changed = |change: &dyn Fn(&mut Map<String, Value>)| {
            let mut changed = document.clone();
            let object = changed.pointer_mut(&pointer).and_then(Value::as_object_mut);
            change(object.expect("an object"));
            validator.is_valid(&changed)
        };
        let more = changed(&|object| drop(object.insert("unheard_of".to_owned(), Value::Null)));
        assert!(!more, "{name}: one more at {pointer}");
        let fields = document.pointer(&pointer).and_then(Value::as_object).expect("an object");
        for field in fields.keys() {
            let less = changed(&|object| drop(object.shift_remove(field)));
            assert!(!less, "{name}: no {field} at {pointer}");
        }
    }
}

/// The JSON pointers of all objects.
fn objects(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                objects(element, format!("{at}/{index}"), found);
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                objects(field, format!("{at}/{key}"), found);
            }
            found.push(at);
        }
        _ => {}
    }
}
