//! A proxy that lies in front of a real Anvil.

use crate::chain::node::{
    anvil::AnvilNode,
    endpoint::Endpoint,
    rpc::{Rpc, RpcOptions},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What is done with a request.
pub(super) enum Act {
    /// It is passed on, and so is the answer.
    Pass,
    /// It is passed on, and the connection is closed without the answer.
    LoseAnswer,
    /// The connection is closed without passing it on.
    Lose,
    /// It is passed on if true, and this is answered in any case: an object with `result` or `error`.
    Answer(bool, Value),
    /// It is passed on if true, and this HTTP status is answered, with more header lines.
    Status(bool, &'static str, &'static str),
    /// It is passed on, and the answer is changed.
    Edit(fn(&mut Value)),
    /// So many bytes are answered.
    Huge(usize),
}

/// A JSON-RPC error to answer with.
pub(super) fn error(code: i64, message: &str) -> Value {
    json!({ "error": { "code": code, "message": message } })
}

type Rule = dyn Fn(&str, usize) -> Act + Send + Sync;

/// What was asked so far: each method, how often.
pub(super) type Asked = Arc<Mutex<BTreeMap<String, usize>>>;

/// A connection through a proxy that does with each request what `rule` says of its method and of
/// how often it was asked before.
pub(super) async fn through(
    node: &AnvilNode,
    rule: impl Fn(&str, usize) -> Act + Send + Sync + 'static,
) -> (Rpc, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let (asked, rule): (Asked, Arc<Rule>) = (Asked::default(), Arc::new(rule));
    let (target, seen) = (node.listens_on().to_owned(), asked.clone());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, target.clone(), seen.clone(), rule.clone()));
        }
    });
    let endpoint = Endpoint::new(url.parse().expect("a URL")).expect("http");
    let options = RpcOptions { retries: 0, ..Default::default() };
    (Rpc::connect(endpoint, options).await.expect("connected"), asked)
}

async fn serve(mut client: TcpStream, target: String, asked: Asked, rule: Arc<Rule>) {
    let Some(body) = body_of(&mut client).await else { return };
    let request: Value = serde_json::from_slice(&body).expect("JSON");
    let method = request["method"].as_str().expect("a method").to_owned();
    let before = {
        let mut asked = asked.lock().expect("free");
        let count = asked.entry(method.clone()).or_default();
        *count += 1;
        *count - 1
    };
    let forward = async || {
        let mut server = TcpStream::connect(&target).await.expect("the node");
        let head = format!(
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n",
            body.len()
        );
        server.write_all(head.as_bytes()).await.expect("sent");
        server.write_all(&body).await.expect("sent");
        let body = body_of(&mut server).await.expect("answered");
        serde_json::from_slice::<Value>(&body).expect("JSON")
    };
    let (status, more, answer) = match rule(&method, before) {
        Act::Pass => ("200 OK", "", forward().await.to_string()),
        Act::Lose => return,
        Act::LoseAnswer => {
            forward().await;
            return;
        }
        Act::Answer(pass, mut answer) => {
            if pass {
                forward().await;
            }
            answer["jsonrpc"] = json!("2.0");
            answer["id"] = request["id"].clone();
            ("200 OK", "", answer.to_string())
        }
        Act::Status(pass, status, more) => {
            if pass {
                forward().await;
            }
            (status, more, "busy".to_owned())
        }
        Act::Edit(edit) => {
            let mut answer = forward().await;
            edit(&mut answer["result"]);
            ("200 OK", "", answer.to_string())
        }
        Act::Huge(bytes) => ("200 OK", "", " ".repeat(bytes)),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n{more}connection: close\r\n\r\n",
        answer.len()
    );
    let _ = client.write_all(head.as_bytes()).await;
    let _ = client.write_all(answer.as_bytes()).await;
    let _ = client.shutdown().await;
}

/// The body of one HTTP message.
async fn body_of(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    let mut block = [0; 1 << 16];
    loop {
        let read = stream.read(&mut block).await.ok()?;
        message.extend_from_slice(&block[..read]);
        let head = message.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&message[..head]).to_lowercase();
            let length = text.lines().find_map(|line| {
                line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok()
            });
            let body = &message[head + 4..];
            if length.is_some_and(|length| body.len() >= length) || read == 0 {
                return Some(body.to_vec());
            }
        } else if read == 0 {
            return None;
        }
    }
}
