//! What may be a credential is never shown: whatever the verbosity, in whatever goes wrong, in
//! whatever file is left.

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
};
use support::{Node, Sandbox, zkvouch};

const SECRETS: [&str; 4] = ["hunter2pass", "0123pathkey4567", "s3cr3tquerykey", "ac0974bec39a17e3"];
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// The node's URL with a user, a password, a key in the path and one in the query.
fn with_secrets(url: &str) -> String {
    let rest = url.strip_prefix("http://").expect("http").trim_end_matches('/');
    format!("http://me:hunter2pass@{rest}/v3/0123pathkey4567?key=s3cr3tquerykey")
}

/// Passes requests on to a node whatever their path, since Anvil answers on `/` only.
fn behind_a_path(url: &str) -> String {
    let target = url.strip_prefix("http://").expect("http").trim_end_matches('/').to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, target) = (client.expect("accepted"), target.clone());
            std::thread::spawn(move || {
                let mut reader = BufReader::new(client.try_clone().expect("cloned"));
                let mut length = 0;
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                        length = value.trim().parse().expect("a length");
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                if length == 0 || reader.read_exact(&mut body).is_err() {
                    return;
                }
                let mut server = TcpStream::connect(target).expect("the node");
                let head = format!(
                    "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                     content-length: {length}\r\nconnection: close\r\n\r\n"
                );
                server.write_all(head.as_bytes()).expect("sent");
                server.write_all(&body).expect("sent");
                let mut answer = Vec::new();
                let _ = server.read_to_end(&mut answer);
                let _ = client.write_all(&answer);
                let _ = client.shutdown(std::net::Shutdown::Write);
            });
        }
    });
    format!("http://127.0.0.1:{port}")
}

fn holds_none(what: &str, text: &str) {
    for secret in SECRETS {
        if let Some(at) = text.find(secret) {
            let start = text[..at].rfind('\n').map_or(0, |line| line + 1);
            panic!("{what} shows {secret}: {}", &text[start..text.len().min(at + 60)]);
        }
    }
}

fn no_file_holds_any(folder: &std::path::Path) {
    for entry in fs::read_dir(folder).expect("read") {
        let path = entry.expect("read").path();
        if path.is_dir() {
            no_file_holds_any(&path);
        } else {
            let text = String::from_utf8_lossy(&fs::read(&path).expect("read")).into_owned();
            holds_none(&path.display().to_string(), &text);
        }
    }
}

#[test]
fn no_log_error_or_file_shows_a_credential() {
    let project = Sandbox::built("credit");
    let node = Node::start(&[]);
    let url = with_secrets(&behind_a_path(&node.url));
    project.data(&["prove", "input.json"]);
    let run = |url: &str, arguments: &[&str], log: Option<&str>| {
        let mut command = zkvouch();
        command.args(arguments).args(["--rpc-url", url]).current_dir(project.path());
        match log {
            Some(filter) => command.env("ZKVOUCH_LOG", filter),
            None => command.arg("-vvv"),
        };
        let output = command.output().expect("zkvouch runs");
        let text = [&output.stdout[..], &output.stderr[..]].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        holds_none(&format!("{arguments:?}"), &text);
        (output.status.success(), text)
    };
    let send = ["--broadcast", "--private-key", KEY];
    let commands: [(&[&str], bool); 9] = [
        (&["deploy"], false),
        (&["deploy"], true),
        (&["submit"], false),
        (&["submit"], true),
        (&["submit", "--direct"], true),
        (&["model", "ls"], false),
        (&["model", "add"], true),
        (&["model", "transfer-ownership", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"], true),
        (&["model", "retire"], true),
    ];
    for (arguments, sends) in commands {
        let arguments = if sends { [arguments, &send].concat() } else { arguments.to_vec() };
        for log in [None, Some("trace"), Some("hyper=trace,reqwest=trace,h2=trace,alloy=trace")] {
            let (ok, text) = run(&url, &arguments, log);
            if log.is_none() {
                assert!(ok, "{arguments:?}: {text}");
                assert!(text.contains("TRACE") || text.contains("DEBUG"), "{text}");
            }
        }
    }
    // Nothing listens, nothing is there, something else answers.
    for broken in [with_secrets("http://127.0.0.1:9"), with_secrets("http://nowhere.invalid")] {
        for log in [None, Some("trace")] {
            let (ok, text) = run(&broken, &["deploy"], log);
            assert!(!ok && text.contains("no node answers"), "{text}");
        }
    }
    no_file_holds_any(&project.file("broadcast"));
    no_file_holds_any(&project.file("deployments"));
}

#[test]
fn a_key_on_the_command_line_is_warned_of_at_every_verbosity() {
    let project = Sandbox::built("credit");
    let node = Node::start(&["--chain-id", "4242"]);
    let other = format!("0x{}", "22".repeat(32));
    let deploy = ["deploy", "--direct", "--rpc-url", &node.url, "--private-key", &other];
    let outcome = project.run(deploy);
    assert!(outcome.stderr().contains("warning: --private-key stays in shell histories"));
    let outcome = project.run(deploy.iter().copied().chain(["--json"]));
    let warnings = outcome.envelope()["warnings"].to_string();
    assert!(warnings.contains("--private-key stays"), "{warnings}");
    assert!(outcome.stderr().contains("warning: --private-key stays"), "{}", outcome.stderr());
}
