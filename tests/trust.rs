//! What a stranger can check: the rules, and bundles.

mod support;

use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, io::Read as _, path::Path, process::Command};
use support::{Node, Outcome, Sandbox, schema, zkvouch};
use zkvouch::project::bundle::{Bundle, STATEMENT};

fn configure(sandbox: &Sandbox, change: impl Fn(String) -> String) {
    let file = sandbox.file("zkvouch.toml");
    let text = fs::read_to_string(&file).expect("read");
    fs::write(&file, change(text)).expect("written");
}

fn rules(document: &Value) -> Vec<&str> {
    let findings = document["data"]["findings"].as_array().expect("findings");
    findings.iter().map(|finding| finding["rule"].as_str().expect("an id")).collect()
}

#[test]
fn check_names_what_is_wrong_and_deploy_refuses_it_off_a_local_chain() {
    let sandbox = Sandbox::built("decision_tree");
    let document = sandbox.json(&["check"]);
    schema::check("check", &document);
    assert_eq!(document["success"], true, "{document:#}");
    assert!(!rules(&document).contains(&"unbound-parameters"));

    // The same model with weights that nothing binds.
    configure(&sandbox, |text| {
        let bound = "param_visibility = \"fixed\"";
        assert!(text.contains(bound), "{text}");
        text.replace(bound, "param_visibility = \"private\"")
    });
    sandbox.run(["build"]).success();
    let sarif = sandbox.file("check.sarif");
    let outcome = sandbox.run(["check", "--json", "--sarif", "check.sarif"]);
    assert_eq!(outcome.0.status.code(), Some(4), "{outcome:?}");
    let document = outcome.envelope();
    schema::check("check", &document);
    assert_eq!(rules(&document)[0], "unbound-parameters");
    let document: Value = serde_json::from_slice(&fs::read(&sarif).expect("made")).expect("JSON");
    assert_eq!(document["runs"][0]["results"][0]["ruleId"], "unbound-parameters");

    let public = Node::start(&["--chain-id", "424242"]);
    let deploy = [
        "deploy",
        "--rpc-url",
        &public.url,
        "--from",
        "0x00000000000000000000000000000000000000aa",
    ];
    sandbox.run(deploy).failure(4, &["not deployed off a local chain", "unbound-parameters"]);

    configure(&sandbox, |text| {
        text + "\n[policy.waive]\nunbound-parameters = \"the weights are published\"\n"
    });
    let document = sandbox.json(&["check", "--rpc-url", &public.url]);
    assert_eq!(document["success"], true, "{document:#}");
    let waived = &document["data"]["findings"][0];
    assert_eq!(waived["waived"], "the weights are published");
    assert!(rules(&document).contains(&"guardian"), "{document:#}");
    let strict = sandbox.json(&["check", "--strict", "--rpc-url", &public.url]);
    assert_eq!(strict["success"], false);
    sandbox.run(deploy).success();
    // Whoever reads the deployments file reads the reason, too.
    let local = Node::start(&[]);
    sandbox.run(["deploy", "--direct", "--broadcast", "--rpc-url", &local.url]).success();
    let file = fs::read(sandbox.file("deployments/31337.json")).expect("written");
    let file: Value = serde_json::from_slice(&file).expect("JSON");
    let waived = &file["contracts"][0]["model"]["waived"]["unbound-parameters"];
    assert_eq!(waived, "the weights are published");

    configure(&sandbox, |text| text.replace("unbound-parameters =", "unbound-parameter ="));
    sandbox.run(["check"]).failure(3, &["zkvouch.toml", "unbound-parameter", "unbound-parameters"]);
}

fn bundle(folder: &Path, out: &str, arguments: &[&str]) -> Value {
    let all = [&["bundle", "--out", out, "--json"], arguments].concat();
    let document = Outcome::of(zkvouch().args(&all).current_dir(folder)).success().envelope();
    schema::check("bundle", &document);
    document["data"].clone()
}

#[test]
fn a_bundle_is_the_same_bytes_anywhere_and_nothing_in_it_can_be_changed() {
    let sandbox = Sandbox::built("decision_tree");
    let data = bundle(sandbox.path(), "a.tar.gz", &[]);
    let one = fs::read(sandbox.file("a.tar.gz")).expect("made");

    // Another folder, another locale, another umask.
    let other = Sandbox::built("decision_tree");
    let script = format!(
        "umask 077; LC_ALL=tr_TR.UTF-8 TZ=Asia/Tokyo exec {} bundle --out b.tar.gz --quiet",
        env!("CARGO_BIN_EXE_zkvouch")
    );
    let name = sandbox.path().file_name().expect("a name").to_string_lossy().into_owned();
    configure(&other, |text| match text.contains("\nname = ") {
        true => text,
        false => text.replace("[model]\n", &format!("[model]\nname = \"{name}\"\n")),
    });
    let status = Command::new("sh").args(["-c", &script]).current_dir(other.path()).status();
    assert!(status.expect("run").success());
    assert_eq!(fs::read(other.file("b.tar.gz")).expect("made"), one);

    let path = sandbox.file("a.tar.gz");
    let read = Bundle::read(&path).expect("sound");
    assert_eq!(json!(read.model_id()), data["model_id"]);
    assert_eq!(json!(read.digest()), data["statement_sha256"]);
    let onnx = fs::read(sandbox.file("model.onnx")).expect("read");
    assert_eq!(read.file("model.onnx"), Some(&onnx[..]));
    let lean = bundle(sandbox.path(), "c.tar.gz", &["--hash-only"]);
    let names: BTreeSet<_> =
        lean["files"].as_array().expect("names").iter().filter_map(Value::as_str).collect();
    assert!(!names.contains("model.onnx") && names.contains("vk.key"), "{names:?}");

    // Each file in turn: changed, left out; and one that nobody speaks of.
    let mut files = Vec::new();
    let unpacked = flate2::read::GzDecoder::new(&one[..]);
    let mut archive = tar::Archive::new(unpacked);
    for entry in archive.entries().expect("a tar") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a name").to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("read");
        files.push((name, bytes));
    }
    let write = |files: &[(String, Vec<u8>)]| {
        let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(gzip);
        for (name, bytes) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o600);
            tar.append_data(&mut header, name, &bytes[..]).expect("added");
        }
        let bytes = tar.into_inner().expect("a tar").finish().expect("a gzip");
        fs::write(&path, bytes).expect("written");
        Bundle::read(&path).map(drop)
    };
    write(&files).expect("modes don't matter");
    for at in 0..files.len() {
        let mut changed = files.clone();
        let middle = changed[at].1.len() / 2;
        changed[at].1[middle] ^= 1;
        let error = write(&changed).expect_err(&files[at].0).to_string();
        assert!(error.contains("a.tar.gz"), "{error}");
        let mut less = files.clone();
        less.remove(at);
        write(&less).expect_err(&files[at].0);
    }
    let mut more = files.clone();
    more.push(("more.txt".to_owned(), b"x".to_vec()));
    assert!(write(&more).expect_err("one more").to_string().contains("more.txt"));
    more.pop();
    more.push(files[0].clone());
    assert!(write(&more).expect_err("twice").to_string().contains("twice"));
    assert_eq!(files[0].0, STATEMENT);
    fs::write(&path, &one[..one.len() / 2]).expect("written");
    Bundle::read(&path).expect_err("cut short");
    fs::write(&path, b"nothing").expect("written");
    Bundle::read(&path).expect_err("no bundle");
}

fn verdict<'a>(claims: &'a Value, claim: &str) -> &'a str {
    let claims = claims.as_array().expect("claims");
    let found = claims.iter().find(|it| it["claim"] == claim);
    found.unwrap_or_else(|| panic!("{claim}: {claims:#?}"))["verdict"].as_str().expect("a verdict")
}

fn attest(sandbox: &Sandbox, arguments: &[&str], code: i32) -> Value {
    let all = [&["attest", "--json"], arguments].concat();
    let outcome = sandbox.run(&all);
    assert_eq!(outcome.0.status.code(), Some(code), "{all:?}: {outcome:?}");
    let document = outcome.envelope();
    schema::check("attest", &document);
    document["data"].clone()
}

/// Anvil's second account's.
const KEY: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

#[test]
fn attest_works_everything_out_again_and_sees_what_is_not_so() {
    let sandbox = Sandbox::built("decision_tree");
    let everything = attest(&sandbox, &["--srs", "build/kzg.srs"], 0);
    for claim in
        ["statement", "setup", "verifying_key", "source", "code", "golden_proof", "circuit"]
    {
        assert_eq!(verdict(&everything["claims"], claim), "holds", "{claim}: {everything:#}");
    }
    bundle(sandbox.path(), "a.tar.gz", &[]);
    let without = attest(&sandbox, &["--bundle", "a.tar.gz"], 0);
    assert_eq!(verdict(&without["claims"], "circuit"), "unknown");
    assert_eq!(without["statement_sha256"], everything["statement_sha256"]);

    // Signed by a key of somebody's own: Anvil's are refused, and everybody else's address is told.
    let sign = ["bundle", "--out", "a.tar.gz", "--sign", "--private-key", KEY];
    sandbox.run(sign).failure(3, &["Anvil"]);
    let own = alloy::signers::local::PrivateKeySigner::random().to_bytes().to_string();
    let sign = ["bundle", "--out", "a.tar.gz", "--sign", "--private-key", &own, "--json"];
    let signed = sandbox.run(sign).success().envelope()["data"].clone();
    let signer = signed["signer"].as_str().expect("an address").to_owned();
    let data = attest(&sandbox, &["--bundle", "a.tar.gz", "--signed-by", &signer], 0);
    assert_eq!(verdict(&data["claims"], "signature"), "holds");
    let stranger = "0x00000000000000000000000000000000000000aa";
    let data = attest(&sandbox, &["--bundle", "a.tar.gz", "--signed-by", stranger], 4);
    assert_eq!(verdict(&data["claims"], "signature"), "fails");
    bundle(sandbox.path(), "b.tar.gz", &["--hash-only"]);
    let lent = ["--bundle", "b.tar.gz", "--signature", "a.tar.gz.sig.json"];
    assert_eq!(verdict(&attest(&sandbox, &lent, 4)["claims"], "signature"), "fails");

    // On a chain: honest, then another byte in the verifier, then retired.
    let node = Node::start(&[]);
    let rpc = ["--rpc-url", node.url.as_str()];
    let deployed = sandbox.data(&[&["deploy", "--broadcast"], &rpc[..]].concat());
    let id = everything["model_id"].as_str().expect("an id").to_owned();
    let honest = attest(&sandbox, &[&[id.as_str()], &rpc[..]].concat(), 0);
    assert_eq!(verdict(&honest["claims"], "deployed"), "holds", "{honest:#}");
    for claim in ["router", "route", "adapter", "verifier", "descriptor"] {
        assert_eq!(verdict(&honest["chain"]["claims"], claim), "holds", "{claim}: {honest:#}");
    }
    let contracts = deployed["contracts"].as_array().expect("contracts");
    let named = |name: &str| {
        let found = contracts.iter().find(|it| it["name"] == name);
        found.unwrap_or_else(|| panic!("{name}: {contracts:#?}"))["address"]
            .as_str()
            .expect("an address")
            .to_owned()
    };
    let kind = |address: &str, code: i32| {
        let data = attest(&sandbox, &[&[address], &rpc[..]].concat(), code);
        data["identified"]["kind"].as_str().expect("a kind").to_owned()
    };
    let verifier = named("LeanVerifier");
    assert_eq!(kind(&verifier, 0), "lean_verifier");
    assert_eq!(kind(&named("ModelRouter"), 4), "router", "it is no verifier of the bundle's");
    assert_eq!(kind(stranger, 4), "account");

    let code = read_code(&node.url, &verifier);
    let mut changed = code.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    write_code(&node.url, &verifier, &changed);
    let data = attest(&sandbox, &[&[id.as_str()], &rpc[..]].concat(), 4);
    assert_eq!(verdict(&data["chain"]["claims"], "verifier"), "fails");
    assert_ne!(verdict(&data["claims"], "deployed"), "holds");
    write_code(&node.url, &verifier, &code);
    let retire = ["model", "retire", "--id", &id, "--broadcast"];
    sandbox.run([&retire[..], &rpc[..]].concat()).success();
    let data = attest(&sandbox, &[&[id.as_str()], &rpc[..]].concat(), 4);
    assert_eq!(verdict(&data["chain"]["claims"], "route"), "fails");
}

fn request(url: &str, method: &str, parameters: &Value) -> Value {
    use std::{io::Write as _, net::TcpStream};
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters });
    let body = body.to_string();
    let mut stream = TcpStream::connect(host).expect("the node");
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    let start = answer.find('{').expect("JSON");
    let end = answer.rfind('}').expect("JSON");
    let document: Value = serde_json::from_str(&answer[start..=end]).expect("JSON");
    document["result"].clone()
}

fn read_code(url: &str, address: &str) -> Vec<u8> {
    let code = request(url, "eth_getCode", &json!([address, "latest"]));
    alloy::hex::decode(code.as_str().expect("code")).expect("hex")
}

fn write_code(url: &str, address: &str, code: &[u8]) {
    request(url, "anvil_setCode", &json!([address, alloy::hex::encode_prefixed(code)]));
}

/// What docs/security.md promises, a test holds: each one that it names is there.
#[test]
fn the_tests_that_the_threat_model_names_exist() {
    fn collect(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).expect("read") {
            let path = entry.expect("read").path();
            if path.is_dir() {
                collect(&path, text);
            } else if path.extension().is_some_and(|it| it == "rs" || it == "sol") {
                text.push_str(&fs::read_to_string(&path).expect("text"));
            }
        }
    }
    let root = support::repository();
    let mut sources = String::new();
    collect(&root.join("src"), &mut sources);
    collect(&root.join("tests"), &mut sources);
    let page = fs::read_to_string(root.join("docs/security.md")).expect("the page");
    let mut named = 0;
    // The table of what each could try has four columns.
    for row in page.lines().filter(|line| line.matches(" | ").count() == 3) {
        let Some(last) = row.trim_end_matches(" |").rsplit(" | ").next() else { continue };
        for name in last.split('`').skip(1).step_by(2).filter(|name| !name.contains(' ')) {
            named += 1;
            let there = [format!("fn {name}("), format!("function {name}(")];
            assert!(there.iter().any(|it| sources.contains(it)), "{name} is nowhere");
        }
    }
    assert!(named > 40, "{named}");
}
