use super::*;
use alloy::primitives::{Address, TxHash};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const SEPOLIA: u64 = 11_155_111;
const PUBLIC: ChainClass = ChainClass::Public { unknown_srs: false };
const KEY: &str = "k3y-of-mine";

/// What the server says to one request: status, further header lines, body.
type Said<'a> = (u16, &'a str, &'a str);

/// A server with the next answer for each request; the last one is given again and again. Keeps the
/// requests.
async fn server(answers: &[Said<'_>]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let url = format!("http://{}/api", listener.local_addr().expect("bound"));
    let answers: Vec<_> = answers
        .iter()
        .map(|(status, head, body)| (*status, (*head).to_owned(), (*body).to_owned()))
        .collect();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let kept = requests.clone();
    tokio::spawn(async move {
        for index in 0.. {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let request = read_request(&mut stream).await;
            kept.lock().expect("free").push(request);
            let Some((status, head, body)) = answers.get(index).or(answers.last()) else {
                continue;
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} X\r\n{head}content-length: {length}\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all((head + body).as_bytes()).await;
        }
    });
    (url, requests)
}

async fn read_request(stream: &mut tokio::net::TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let mut block = [0; 4096];
        let read = stream.read(&mut block).await.unwrap_or(0);
        request.extend_from_slice(&block[..read]);
        let text = String::from_utf8_lossy(&request);
        let length: usize = text
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok())
            .unwrap_or(0);
        let head = text.find("\r\n\r\n").map(|at| at + 4);
        if read == 0 || head.is_some_and(|head| request.len() >= head + length) {
            return text.into_owned();
        }
    }
}

fn request() -> SourceRequest {
    SourceRequest {
        address: Address::repeat_byte(1),
        contract: "contracts/ModelRouter.sol:ModelRouter".into(),
        compiler_version: "0.8.30+commit.73712a01".into(),
        standard_input: json!({"language": "Solidity", "sources": {}}),
        constructor_arguments: vec![0xab; 32].into(),
        transaction: Some(TxHash::repeat_byte(2)),
    }
}

fn secret(text: &str) -> Option<Secret> {
    Some(Secret::new(text.to_owned()))
}

async fn verify(explorer: Explorer, answers: &[Said<'_>]) -> (Result<Verified>, Vec<String>) {
    let (url, requests) = server(answers).await;
    let options = ExplorerOptions {
        verifier: Some(explorer),
        verifier_url: secret(&url.replace("//", "//user:pa55word@")),
        verifier_api_key: secret(KEY),
        retries: 8,
        ..Default::default()
    };
    let connection = options.connect(SEPOLIA, PUBLIC).expect("complete");
    assert!(!format!("{options:?} {connection:?}").contains(KEY));
    let outcome = connection.with_pause(Duration::from_millis(2)).verify(&request()).await;
    let requests = requests.lock().expect("free").clone();
    (outcome, requests)
}

#[tokio::test]
async fn sourcify_takes_a_job_and_decides_later() {
    let (outcome, requests) = verify(
        Explorer::Sourcify,
        &[
            (202, "", r#"{"verificationId":"j-1"}"#),
            (200, "", r#"{"isJobCompleted":false,"contract":{"match":null}}"#),
            (200, "", r#"{"isJobCompleted":true,"contract":{"match":"match"}}"#),
        ],
    )
    .await;
    assert_eq!(outcome.expect("verified"), Verified::Now);
    let address = Address::repeat_byte(1);
    let first = format!("POST /api/v2/verify/11155111/{address} HTTP/1.1");
    assert!(requests[0].starts_with(&first), "{}", requests[0]);
    let body = requests[0].split_once("\r\n\r\n").expect("a body").1;
    let body: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["compilerVersion"], "0.8.30+commit.73712a01");
    assert_eq!(body["contractIdentifier"], "contracts/ModelRouter.sol:ModelRouter");
    assert_eq!(body["stdJsonInput"]["language"], "Solidity");
    assert!(body["creationTransactionHash"].as_str().is_some_and(|hash| hash.len() == 66));
    assert!(requests[2].starts_with("GET /api/v2/verify/j-1 "), "{}", requests[2]);
    for request in requests {
        assert!(!request.contains(KEY), "Sourcify has no key: {request}");
        assert!(request.to_lowercase().contains("authorization: basic "), "{request}");
    }
}

#[tokio::test]
async fn sourcify_may_know_it_or_refuse_it() {
    let error = |status, code: &str| {
        (status, format!(r#"{{"customCode":"{code}","message":"words of {code}","errorId":"e"}}"#))
    };
    let (status, known) = error(409, "already_verified");
    let (outcome, _) = verify(Explorer::Sourcify, &[(status, "", &known)]).await;
    assert_eq!(outcome.expect("known"), Verified::Already);
    // The node that Sourcify asks is behind, then the same is being verified, then it is.
    for code in ["cannot_fetch_bytecode", "duplicate_verification_request"] {
        let (_, passing) = error(400, code);
        let answers = [(400, "", &*passing), (400, "", &*passing), (409, "", &*known)];
        let (outcome, requests) = verify(Explorer::Sourcify, &answers).await;
        assert_eq!((outcome.expect("in the end"), requests.len()), (Verified::Already, 3));
    }
    let (_, unsupported) = error(400, "unsupported_chain");
    let (outcome, requests) = verify(Explorer::Sourcify, &[(400, "", &unsupported)]).await;
    let error = outcome.expect_err("refused").to_string();
    assert!(error.contains("words of unsupported_chain"), "{error}");
    assert_eq!(requests.len(), 1);
    for reason in [
        r#"{"customCode":"no_match","message":"no match"}"#,
        r#"{"customCode":"compiler_error","message":"ParserError: Expected ';'"}"#,
    ] {
        let body = format!(r#"{{"isJobCompleted":true,"error":{reason}}}"#);
        let answers = [(202, "", r#"{"verificationId":"j"}"#), (200, "", &*body)];
        let (outcome, _) = verify(Explorer::Sourcify, &answers).await;
        let error = outcome.expect_err("refused");
        assert!(matches!(error, Error::Rejected { .. }), "{error:?}");
        let words = reason.split('"').nth(7).expect("a message");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn etherscan_and_blockscout_take_a_form_and_a_guid() {
    for explorer in [Explorer::Etherscan, Explorer::Blockscout] {
        let (outcome, requests) = verify(
            explorer,
            &[
                (200, "", r#"{"status":"0","message":"NOTOK","result":"Unable to locate ContractCode at 0x01"}"#),
                (200, "", r#"{"status":"1","message":"OK","result":"guid7"}"#),
                (200, "", r#"{"status":"0","message":"NOTOK","result":"Pending in queue"}"#),
                (200, "", r#"{"status":"0","message":"NOTOK","result":"Max calls per sec rate limit reached"}"#),
                (200, "", r#"{"status":"1","message":"OK","result":"Pass - Verified"}"#),
            ],
        )
        .await;
        assert_eq!(outcome.expect("verified"), Verified::Now);
        let with_chain = requests[1].starts_with("POST /api?chainid=11155111 ");
        assert_eq!(with_chain, explorer == Explorer::Etherscan, "{}", requests[1]);
        for part in [
            "action=verifysourcecode",
            "codeformat=solidity-standard-json-input",
            "compilerversion=v0.8.30%2Bcommit.73712a01",
            "contractname=contracts%2FModelRouter.sol%3AModelRouter",
            "constructorArguements=abab",
            "apikey=k3y-of-mine",
        ] {
            assert!(requests[1].contains(part), "{part}: {}", requests[1]);
        }
        assert!(requests[2].contains("action=checkverifystatus&guid=guid7"), "{}", requests[2]);
    }
    for words in ["Contract source code already verified", "Smart-contract already verified."] {
        let body = format!(r#"{{"status":"0","message":"NOTOK","result":"{words}"}}"#);
        let (outcome, _) = verify(Explorer::Blockscout, &[(200, "", &body)]).await;
        assert_eq!(outcome.expect("known"), Verified::Already);
    }
    // A refusal that only begins like a success.
    let passed = r#"{"status":"0","message":"NOTOK","result":"Pass the constructor's arguments"}"#;
    let (outcome, _) = verify(Explorer::Etherscan, &[(200, "", passed)]).await;
    assert!(matches!(outcome, Err(Error::Rejected { .. })), "{outcome:?}");
}

#[tokio::test]
async fn whatever_goes_wrong_is_bounded_and_never_shows_a_secret() {
    let job = (200, "", r#"{"status":"1","message":"OK","result":"g"}"#);
    let compiler =
        r#"{"status":"0","message":"NOTOK","result":"Fail - ParserError: k3y-of-mine \u001b[2J"}"#;
    let key = r#"{"status":"0","message":"NOTOK","result":"Invalid API Key k3y-of-mine"}"#;
    let pending = (200, "", r#"{"status":"0","message":"NOTOK","result":"Pending in queue"}"#);
    let moved = (302, "location: http://127.0.0.1:1/k3y-of-mine\r\n", "");
    let huge = format!(r#"{{"status":"1","result":"{}"}}"#, "g".repeat(5 << 20));
    let busy = (429, "retry-after: 0\r\n", "k3y-of-mine pa55word: slow down");
    type Is = fn(&Error) -> bool;
    let cases: [(&str, &[Said<'_>], usize, Is); 9] = [
        ("a compiler error", &[job, (200, "", compiler)], 2, |e| {
            matches!(e, Error::Rejected { .. })
        }),
        ("a bad key", &[(200, "", key)], 1, |e| matches!(e, Error::Rejected { .. })),
        ("HTML", &[(200, "", "<html>k3y-of-mine</html>")], 1, |e| {
            matches!(e, Error::Garbage { .. })
        }),
        ("JSON of another API", &[(404, "", r#"{"k3y-of-mine":1}"#)], 1, |e| {
            matches!(e, Error::Garbage { status: 404, .. })
        }),
        ("a redirect", &[moved], 1, |e| matches!(e, Error::Redirect { status: 302, .. })),
        ("a redirect later", &[job, moved], 2, |e| matches!(e, Error::Redirect { .. })),
        ("a huge reply", &[(200, "", &huge)], 1, |e| matches!(e, Error::TooLong { .. })),
        ("always busy", &[busy], 4, |e| matches!(e, Error::Busy { status: 429, .. })),
        ("never decided", &[job, pending], 8, |e| matches!(e, Error::Undecided { .. })),
    ];
    for (what, answers, asked, is) in cases {
        let (outcome, requests) = verify(Explorer::Etherscan, answers).await;
        let error = outcome.expect_err(what);
        assert!(is(&error), "{what}: {error:?}");
        assert_eq!(requests.len(), asked, "{what}");
        let text = format!("{error} {error:?}");
        for secret in [KEY, "pa55word", "\u{1b}"] {
            assert!(!text.contains(secret), "{what}: {text}");
        }
        assert!(text.len() < 1500, "{what}: {} bytes", text.len());
    }
    // Busy for a while.
    let done = (200, "", r#"{"status":"1","message":"OK","result":"Pass - Verified"}"#);
    let (outcome, _) =
        verify(Explorer::Etherscan, &[busy, busy, (503, "", "x"), job, busy, done]).await;
    assert_eq!(outcome.expect("in the end"), Verified::Now);
    // Nobody there.
    let port = TcpListener::bind("127.0.0.1:0").await.and_then(|it| it.local_addr());
    let options = ExplorerOptions {
        verifier_url: secret(&format!("http://user:pa55word@{}/", port.expect("bound"))),
        ..Default::default()
    };
    let connection = options.connect(SEPOLIA, PUBLIC).expect("complete");
    let error = connection.with_pause(Duration::ZERO).verify(&request()).await;
    let error = error.expect_err("nobody").to_string();
    assert!(error.starts_with("cannot reach sourcify at http://127.0.0.1:"), "{error}");
    assert!(!error.contains("pa55word"), "{error}");
}

#[test]
fn a_key_goes_only_to_whose_it_is_and_local_chains_to_nobody() {
    let all = ExplorerOptions {
        verifier_url: secret("http://127.0.0.1:1/api"),
        etherscan_api_key: secret("etherscans"),
        ..Default::default()
    };
    let with = |verifier| ExplorerOptions { verifier: Some(verifier), ..all.clone() };
    let key = |options: &ExplorerOptions| {
        let connection = options.connect(SEPOLIA, PUBLIC).expect("complete");
        let key = connection.client.key.as_ref().map(|key| key.expose().to_owned());
        (connection.explorer(), key)
    };
    let etherscans = Some("etherscans".to_owned());
    assert_eq!(key(&all), (Explorer::Etherscan, etherscans.clone()));
    assert_eq!(key(&with(Explorer::Blockscout)), (Explorer::Blockscout, None));
    assert_eq!(key(&with(Explorer::Sourcify)), (Explorer::Sourcify, None));
    let both = ExplorerOptions { verifier_api_key: secret("own"), ..all.clone() };
    assert_eq!(key(&both), (Explorer::Etherscan, Some("own".into())));
    assert_eq!(key(&ExplorerOptions::default()), (Explorer::Sourcify, None));

    let error =
        |options: &ExplorerOptions, class| options.connect(SEPOLIA, class).expect_err("incomplete");
    let none = ExplorerOptions::default();
    assert!(matches!(error(&none, ChainClass::Local), Error::LocalChain { .. }));
    assert!(all.connect(31337, ChainClass::Local).is_ok(), "one's own explorer");
    let verifier = |verifier| ExplorerOptions { verifier: Some(verifier), ..Default::default() };
    assert!(matches!(error(&verifier(Explorer::Etherscan), PUBLIC), Error::NoKey));
    assert!(matches!(error(&verifier(Explorer::Blockscout), PUBLIC), Error::NoUrl));
    for url in ["ftp://user:pa55word@host/", "pa55word", "http://:pa55word@"] {
        let options = ExplorerOptions { verifier_url: secret(url), ..Default::default() };
        let error = error(&options, PUBLIC);
        assert!(matches!(error, Error::BadUrl(_)), "{error:?}");
        assert!(!error.to_string().contains("pa55word"), "{error}");
    }
}
