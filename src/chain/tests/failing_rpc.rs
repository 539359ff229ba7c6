//! Nodes that are down, slow, wrong or no nodes at all.

use super::*;
use crate::chain::node::{
    endpoint::Endpoint,
    rpc::{Error, RpcOptions},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

/// What the server does with each connection, by its number.
type Answer = fn(usize) -> Option<String>;

/// A server that answers with whatever bytes it is told to, or not at all.
struct Server {
    endpoint: Endpoint,
    requests: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let port = listener.local_addr().expect("bound").port();
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = requests.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let number = counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    let _ = stream.read(&mut request).await;
                    match answer(number) {
                        Some(text) => {
                            let _ = stream.write_all(text.as_bytes()).await;
                            let _ = stream.shutdown().await;
                        }
                        None => tokio::time::sleep(Duration::from_secs(60)).await,
                    }
                });
            }
        });
        let url =
            format!("http://user:pa55word@127.0.0.1:{port}/v3/0123456789abcdef?key=s3cr3tkey");
        let endpoint = Endpoint::new(url.parse().expect("a URL")).expect("http");
        Self { endpoint, requests, task }
    }

    async fn connect(&self, chain_id: Option<u64>) -> Result<Rpc, Error> {
        let timeout = Duration::from_millis(400);
        let options = RpcOptions { timeout, retries: 2, chain_id };
        Rpc::connect(self.endpoint.clone(), options).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn http(status: &str, body: &str) -> Option<String> {
    let length = body.len();
    Some(format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    ))
}

async fn error_of(answer: Answer) -> (Error, usize) {
    let server = Server::start(answer).await;
    let error = server.connect(None).await.expect_err("no node");
    for text in [error.to_string(), format!("{error:?}")] {
        for secret in ["pa55word", "0123456789abcdef", "s3cr3tkey"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    (error, server.requests.load(Ordering::SeqCst))
}

#[tokio::test]
async fn nothing_listens() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        listener.local_addr().expect("bound").port()
    };
    let url = format!("http://127.0.0.1:{port}").parse().expect("a URL");
    let options = RpcOptions { retries: 1, ..Default::default() };
    let error = Rpc::connect(Endpoint::new(url).expect("http"), options).await;
    let error = error.expect_err("nothing is there");
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("zkvouch anvil"), "{error}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let start = Instant::now();
    let (error, requests) = error_of(|_| None).await;
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    assert_eq!(requests, 2, "a hung server gets one more chance");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[tokio::test]
async fn answers_that_are_no_json_rpc() {
    let cases: [Answer; 6] = [
        |_| Some("220 smtp.example ESMTP\r\n".into()),
        |_| http("200 OK", "<html>It works!</html>"),
        |_| http("200 OK", "{}"),
        |_| http("200 OK", ""),
        |_| http("200 OK", r#"{"jsonrpc":"2.0","id":0,"result":"banana"}"#),
        |_| Some("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"jsonrpc\"".into()),
    ];
    for (number, answer) in cases.into_iter().enumerate() {
        let (error, _) = error_of(answer).await;
        let garbage = matches!(error, Error::Garbage { .. } | Error::Unreachable { .. });
        assert!(garbage, "case {number}: {error:?}");
    }
}

#[tokio::test]
async fn statuses_that_are_no_success() {
    let status = |error: &Error| match error {
        Error::Http { status, .. } => *status,
        other => panic!("{other:?}"),
    };
    let (error, requests) = error_of(|_| http("401 Unauthorized", "key s3cr3tkey is bad")).await;
    assert_eq!((status(&error), requests), (401, 1));
    assert!(error.to_string().contains("check the key"), "{error}");
    let (error, requests) = error_of(|_| http("503 Service Unavailable", "later")).await;
    assert_eq!((status(&error), requests), (503, 3));
    let redirect: Answer = |_| {
        Some(
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
                .into(),
        )
    };
    let (error, requests) = error_of(redirect).await;
    assert_eq!((status(&error), requests), (302, 1));
}

#[tokio::test]
async fn a_passing_failure_is_repeated_and_a_refusal_is_not() {
    let server = Server::start(|number| match number {
        0 => http("503 Service Unavailable", ""),
        1 => http("200 OK", r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32005,"message":"slow"}}"#),
        _ => http("200 OK", r#"{"jsonrpc":"2.0","id":0,"result":"0x5"}"#),
    })
    .await;
    // The client numbers its requests, so the fixed id 0 fits the first of a client only; what is
    // refused here for another reason would be `Garbage`.
    let outcome = server.connect(None).await;
    assert!(server.requests.load(Ordering::SeqCst) >= 3, "{outcome:?}");
    let refusal: Answer = |_| {
        http("200 OK", r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32601,"message":"no such"}}"#)
    };
    let (error, requests) = error_of(refusal).await;
    assert!(matches!(error, Error::Refused { code: -32601, .. }), "{error:?}");
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn another_chain_than_configured_is_refused() {
    let server =
        Server::start(|_| http("200 OK", r#"{"jsonrpc":"2.0","id":0,"result":"0x5"}"#)).await;
    let error = server.connect(Some(11155111)).await.expect_err("another chain");
    let Error::WrongChain { expected: 11155111, found: 5, .. } = error else { panic!("{error:?}") };
    assert_eq!(server.connect(Some(5)).await.expect("the chain").chain_id(), 5);
}
