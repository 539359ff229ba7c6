//! A node that misbehaves: a proxy before Anvil.

use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

/// How it misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It doesn't.
    Well,
    /// It hangs up.
    Down,
    /// It takes two seconds for each answer.
    Slow,
    /// Too many requests.
    TooMany,
    /// A transaction is refused with these words, and not passed on.
    Refuses(&'static str),
    /// A transaction is passed on, and the answer says that it was refused.
    TakesAndRefuses(&'static str),
    /// A transaction is taken and forgotten.
    Drops,
}

/// A proxy. It lives as long as the test's process.
pub struct Proxy {
    pub url: String,
    mode: Arc<Mutex<Mode>>,
}

impl Proxy {
    pub fn start(node: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let node = node.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let mode = Arc::new(Mutex::new(Mode::Well));
        let shared = mode.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (node, mode) = (node.clone(), shared.clone());
                std::thread::spawn(move || serve(stream, &node, &mode));
            }
        });
        Self { url, mode }
    }

    pub fn set(&self, mode: Mode) {
        *self.mode.lock().expect("not poisoned") = mode;
    }
}

fn serve(mut client: TcpStream, node: &str, mode: &Mutex<Mode>) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let question: Value = serde_json::from_slice(&body).ok()?;
        let sends = question["method"] == "eth_sendRawTransaction";
        let refused = |words: &str| {
            let error = json!({ "code": -32000, "message": words });
            json!({ "jsonrpc": "2.0", "id": question["id"], "error": error }).to_string()
        };
        let now = *mode.lock().ok()?;
        let (status, text) = match now {
            Mode::Down => return None,
            Mode::TooMany => ("429 Too Many Requests", "slow down".to_owned()),
            Mode::Refuses(words) if sends => ("200 OK", refused(words)),
            Mode::TakesAndRefuses(words) if sends => {
                pass_on(node, &body)?;
                ("200 OK", refused(words))
            }
            Mode::Drops if sends => {
                let raw = question["params"][0].as_str()?;
                let bytes = alloy::primitives::hex::decode(raw).ok()?;
                let hash = alloy::primitives::keccak256(bytes);
                (
                    "200 OK",
                    json!({ "jsonrpc": "2.0", "id": question["id"], "result": hash }).to_string(),
                )
            }
            other => {
                if other == Mode::Slow {
                    std::thread::sleep(Duration::from_secs(2));
                }
                ("200 OK", pass_on(node, &body)?)
            }
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            text.len()
        );
        client.write_all(format!("{head}{text}").as_bytes()).ok()?;
    }
}

fn pass_on(node: &str, body: &[u8]) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    let headers = [("Content-Type", "application/json")];
    Some(crate::site::http(node, "POST", "/", &headers, body).1)
}
