//! What is on a chain, for people without the project: sources on an explorer, claims about a model, and
//! a router's commands.

mod support;

use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    thread,
};
use support::{Node, Outcome, Sandbox, zkvouch};

const KEY: &str = "k3y-of-mine";

/// An explorer of Etherscan's kind that gives one answer to everything; its URL and what it was asked.
fn explorer(answer: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("bound");
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = asked.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            kept.lock().expect("free").push(serve(stream, answer));
        }
    });
    (format!("http://user:pa55word@{address}/api"), asked)
}

fn serve(mut stream: TcpStream, answer: &str) -> String {
    let mut request = Vec::new();
    let mut block = [0; 1 << 16];
    loop {
        let read = stream.read(&mut block).unwrap_or(0);
        request.extend_from_slice(&block[..read]);
        let text = String::from_utf8_lossy(&request);
        let length = text.lines().find_map(|line| {
            line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
        });
        let head = text.find("\r\n\r\n").map(|at| at + 4);
        if read == 0 || head.is_some_and(|head| request.len() >= head + length.unwrap_or(0)) {
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
                answer.len()
            );
            return text.into_owned();
        }
    }
}

const KNOWN: &str =
    r#"{"status":"0","message":"NOTOK","result":"Contract source code already verified"}"#;
const REFUSED: &str =
    r#"{"status":"0","message":"NOTOK","result":"Fail - k3y-of-mine is no Solidity"}"#;

/// Runs the command in a folder, with a key in the environment as a user would have it.
fn run(folder: &Path, arguments: &[&str]) -> Outcome {
    let mut command = zkvouch();
    for name in ["VERIFIER_URL", "VERIFIER_API_KEY"] {
        command.env_remove(name);
    }
    Outcome::of(command.args(arguments).env("ETHERSCAN_API_KEY", KEY).current_dir(folder))
}

#[test]
fn sources_are_verified_after_deploying_and_later() {
    let project = Sandbox::built("credit");
    let node = Node::start(&[]);
    let rpc = ["--rpc-url", node.url.as_str()];
    let with = |arguments: &[&str]| run(project.path(), &[arguments, &rpc].concat());
    let (known, asked) = explorer(KNOWN);
    let (refused, _) = explorer(REFUSED);
    let count = || asked.lock().expect("free").len();

    // No common explorer sees a local chain, and that is told before anything is sent.
    for command in [&["deploy", "--verify", "--broadcast"][..], &["verify-source"]] {
        with(command).failure(3, &["chain 31337 is local", "--verifier-url"]);
    }
    assert!(!project.file("deployments").exists());
    with(&["deploy", "--verify", "--verifier-url", &known]).success();
    assert_eq!(count(), 0, "a dry run asks nobody");
    with(&["verify-source", "--verifier-url", &known]).failure(3, &["has no contracts"]);

    let failed = with(&["deploy", "--broadcast", "--verify", "--verifier-url", &refused, "--json"]);
    assert_eq!(failed.0.status.code(), Some(4), "{}", failed.stdout());
    let envelope = failed.envelope();
    let contracts = envelope["data"]["contracts"].as_array().expect("a list");
    assert_eq!(contracts.len(), 4, "what was deployed is told: {envelope:#}");
    assert_eq!(contracts[0]["outcome"]["status"], "mined");
    let message = envelope["errors"][0]["message"].as_str().expect("words");
    assert!(message.contains("4 of 4 sources") && message.contains("`zkvouch verify-source`"));
    assert_eq!(envelope["data"]["sources"][0]["status"], "not_verified");

    let later = with(&["verify-source", "--verifier-url", &known, "--json"]).success().envelope();
    let sources = later["data"]["sources"].as_array().expect("a list").clone();
    assert_eq!((sources.len(), count()), (4, 4));
    for source in &sources {
        assert_eq!(source["status"], "already_verified", "{source}");
        assert_eq!(source["explorer"], "etherscan");
    }
    let request = asked.lock().expect("free")[0].clone();
    for part in ["chainid=31337", "LeanVerifier.sol%3ALeanVerifier", "apikey=k3y-of-mine"] {
        assert!(request.contains(part), "{part}");
    }
    let router = sources.iter().find(|it| it["name"] == "ModelRouter").expect("deployed");
    let router = router["address"].as_str().expect("hex").to_owned();
    with(&["verify-source", &router, "--verifier-url", &known]).success();
    assert_eq!(count(), 5);
    let stranger = format!("0x{}", "77".repeat(20));
    with(&["verify-source", &stranger, "--verifier-url", &known])
        .failure(3, &["is not in", "31337.json"]);

    // Nothing shows a secret, at any verbosity.
    for url in [&known, &refused, "http://user:pa55word@127.0.0.1:1/k3y-of-mine"] {
        let arguments = ["-vvv", "verify-source", &router, "--verifier-url", url, "--delay", "1"];
        let outcome = with(&arguments);
        let text = outcome.stdout() + &outcome.stderr();
        for secret in [KEY, "pa55word", "dXNlcjpwYTU1d29yZA"] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
    // Of a verifier that is not the one that is built any more, there is no source.
    std::fs::remove_dir_all(project.file("build")).expect("removed");
    let outcome = with(&["verify-source", "--verifier-url", &known, "--json"]);
    assert_eq!(outcome.0.status.code(), Some(3));
    let envelope = outcome.envelope();
    let verified = envelope["data"]["sources"].as_array().expect("a list").iter();
    let missing: Vec<_> = verified.filter(|it| it["status"] == "not_verified").collect();
    assert_eq!(missing.len(), 1, "{envelope:#}");

    strangers(&node, &router, &project);
}

/// The same chain, from a folder without a project.
fn strangers(node: &Node, router: &str, project: &Sandbox) {
    let nowhere = tempfile::tempdir().expect("a folder");
    let rpc = ["--rpc-url", node.url.as_str()];
    let at = |folder: &Path, arguments: &[&str]| run(folder, &[arguments, &rpc].concat());
    let here = |arguments: &[&str]| at(nowhere.path(), arguments);
    let data = |arguments: &[&str]| -> Value {
        here(&[arguments, &["--json"]].concat()).success().envelope()["data"].take()
    };
    let models = data(&["model", "ls", "--router", router]);
    let id = models["models"][0]["model_id"].as_str().expect("an id").to_owned();
    here(&["model", "ls"]).failure(3, &["no project here", "--router"]);
    here(&["model", "retire", "--router", router]).failure(3, &["no project here", "--id"]);

    let check = data(&["model", "check", &id, "--router", router]);
    assert_eq!(check["model_id"], id.as_str());
    assert_eq!(check["ceremony"], "ppot-challenge-0078");
    for claim in check["claims"].as_array().expect("a list") {
        let expected = if claim["claim"] == "circuit" { "unknown" } else { "holds" };
        assert_eq!(claim["verdict"], expected, "{claim}");
    }
    // In the project, whose build is gone, the deployments file has the router.
    let text = at(project.path(), &["model", "check", &id]).success().stdout();
    assert!(text.contains("15 hold, 0 fail, 1 can't be known from the chain alone"), "{text}");
    let wallet = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
    let failed = here(&["model", "check", &id, "--router", wallet, "--json"]);
    assert_eq!(failed.0.status.code(), Some(4));
    assert_eq!(failed.envelope()["data"]["claims"][0]["verdict"], "fails");

    let offered = data(&["model", "transfer-ownership", wallet, "--router", router, "--broadcast"]);
    assert_eq!(offered["outcome"]["status"], "mined");
    let pending = data(&["model", "check", &id, "--router", router]);
    assert_eq!(pending["pending_owner"], json!(wallet.to_lowercase()));
    let retire = ["model", "retire", "--id", &id, "--router", router, "--broadcast"];
    assert_eq!(data(&retire)["outcome"]["status"], "mined");
    here(&["model", "stop", "--id", &id, "--router", router]).failure(5, &["does not serve"]);
    let retired = here(&["model", "check", &id, "--router", router]);
    assert_eq!(retired.0.status.code(), Some(4));
    assert!(retired.stdout().contains("retired for good"), "{}", retired.stdout());
}
