//! Source verification: explorers recompile a contract's source and compare it with the chain.
//!
//! Two protocols cover them: Sourcify's v2 API (`/v2/verify/<chain>/<address>`, then a job to ask
//! for), and Etherscan's (`module=contract&action=verifysourcecode`, then `checkverifystatus`),
//! which Blockscout speaks too.

use super::{
    account::Secret,
    node::{anvil::ANVIL_CHAIN_ID, endpoint::Endpoint, http::install_tls},
};
use alloy::primitives::{Address, Bytes, TxHash};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use std::{fmt, time::Duration};
use url::{Url, form_urlencoded};

const SOURCIFY_URL: &str = "https://sourcify.dev/server";
const ETHERSCAN_URL: &str = "https://api.etherscan.io/v2/api";

/// A source could not be verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No explorer knows the chain.
    #[error(
        "chain {chain_id} is local, so no explorer can verify there; drop --verify, or give --verifier-url"
    )]
    LocalChain {
        /// The chain.
        chain_id: u64,
    },
    /// Blockscout runs on many hosts.
    #[error(
        "blockscout has no common address; give --verifier-url, as in https://eth.blockscout.com/api/"
    )]
    NoUrl,
    /// Etherscan wants a key.
    #[error(
        "etherscan needs a key: set VERIFIER_API_KEY, or use --verifier sourcify, which needs none"
    )]
    NoKey,
    /// The address is no URL.
    #[error("--verifier-url is not valid: {0}")]
    BadUrl(String),
    /// It could not be reached.
    #[error(
        "cannot reach {explorer} at {host}: {message}; verification can be repeated at any time"
    )]
    Unreachable {
        /// Which explorer.
        explorer: Explorer,
        /// Its host.
        host: String,
        /// What the network said.
        message: String,
    },
    /// It answered something else than its protocol says.
    #[error(
        "{explorer} at {host} answered strangely (HTTP {status}): {body}; check --verifier-url"
    )]
    Garbage {
        /// Which explorer.
        explorer: Explorer,
        /// Its host.
        host: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
    /// It does not accept the source.
    #[error("{explorer} does not verify {contract} at {address}: {message}")]
    Rejected {
        /// Which explorer.
        explorer: Explorer,
        /// The contract.
        contract: String,
        /// Its address.
        address: Address,
        /// The explorer's words.
        message: String,
    },
    /// It took too long.
    #[error(
        "{explorer} has not decided after {} s (job {job}); ask it again later", after.as_secs()
    )]
    Slow {
        /// Which explorer.
        explorer: Explorer,
        /// Its name of the job.
        job: String,
        /// How long we waited.
        after: Duration,
    },
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Who verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Explorer {
    /// Etherscan's V2 API, one key for all its explorers.
    Etherscan,
    /// Sourcify, without a key.
    Sourcify,
    /// Any Blockscout.
    Blockscout,
}

impl fmt::Display for Explorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Etherscan => "etherscan",
            Self::Sourcify => "sourcify",
            Self::Blockscout => "blockscout",
        })
    }
}

/// Where to verify: Foundry's flags and variables.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
#[cfg_attr(feature = "cli", command(next_help_heading = "Verifier options"))]
pub struct ExplorerOptions {
    /// Verify the sources on an explorer after deploying
    #[cfg_attr(feature = "cli", arg(long))]
    pub verify: bool,
    /// The explorer; etherscan if there is a key, else sourcify
    #[cfg_attr(feature = "cli", arg(long, value_name = "VERIFIER"))]
    pub verifier: Option<Explorer>,
    /// The explorer's API, where it is not the common one
    #[cfg_attr(feature = "cli", arg(long, env = "VERIFIER_URL", value_name = "VERIFIER_URL"))]
    pub verifier_url: Option<String>,
    /// The explorer's key
    #[cfg_attr(
        feature = "cli",
        arg(long, env = "VERIFIER_API_KEY", hide_env_values = true, value_name = "KEY")
    )]
    pub verifier_api_key: Option<Secret>,
}

/// A contract to verify.
#[derive(Clone, Debug)]
pub struct SourceRequest {
    /// The chain.
    pub chain_id: u64,
    /// The contract's address.
    pub address: Address,
    /// `path/in/the/input.sol:Name`.
    pub contract: String,
    /// solc's version with its commit, as in `0.8.30+commit.73712a01`.
    pub compiler_version: String,
    /// The compiler's standard JSON input.
    pub standard_input: Value,
    /// The constructor's arguments, ABI-encoded.
    pub constructor_arguments: Bytes,
    /// The transaction that created it, if known.
    pub transaction: Option<TxHash>,
}

/// How well source and chain agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// It had been verified before.
    Already,
    /// It is verified now.
    Now,
}

/// How often and how long an explorer is asked for its decision.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Between two questions.
    pub pause: Duration,
    /// In all.
    pub limit: Duration,
}

impl Default for Patience {
    /// Every 5 s for 5 minutes.
    fn default() -> Self {
        Self { pause: Duration::from_secs(5), limit: Duration::from_secs(300) }
    }
}

/// Has a contract's source verified and waits for the outcome.
pub async fn verify_source(
    options: &ExplorerOptions,
    request: &SourceRequest,
    patience: Patience,
) -> Result<Verified> {
    let api = Api::new(options, request.chain_id)?;
    let submitted = match api.explorer {
        Explorer::Sourcify => api.sourcify_submit(request).await?,
        _ => api.etherscan_submit(request).await?,
    };
    let Some(job) = submitted else { return Ok(Verified::Already) };
    tracing::info!(explorer = %api.explorer, job, "waiting for {}", request.contract);
    let start = std::time::Instant::now();
    while start.elapsed() < patience.limit {
        let decided = match api.explorer {
            Explorer::Sourcify => api.sourcify_check(request, &job).await?,
            _ => api.etherscan_check(request, &job).await?,
        };
        if let Some(decided) = decided {
            return Ok(decided);
        }
        tokio::time::sleep(patience.pause).await;
    }
    Err(Error::Slow { explorer: api.explorer, job, after: patience.limit })
}

struct Api<'a> {
    explorer: Explorer,
    url: Url,
    key: Option<&'a Secret>,
    chain_id: u64,
    client: Client,
}

impl<'a> Api<'a> {
    fn new(options: &'a ExplorerOptions, chain_id: u64) -> Result<Self> {
        let key = options.verifier_api_key.as_ref().filter(|key| !key.expose().trim().is_empty());
        let explorer = options.verifier.unwrap_or(match key {
            Some(_) => Explorer::Etherscan,
            None => Explorer::Sourcify,
        });
        if chain_id == ANVIL_CHAIN_ID && options.verifier_url.is_none() {
            return Err(Error::LocalChain { chain_id });
        }
        let common = match explorer {
            Explorer::Sourcify => Some(SOURCIFY_URL),
            Explorer::Etherscan => Some(ETHERSCAN_URL),
            Explorer::Blockscout => None,
        };
        let url = options.verifier_url.as_deref().or(common).ok_or(Error::NoUrl)?;
        let url = Url::parse(url).map_err(|error| Error::BadUrl(error.to_string()))?;
        let endpoint = Endpoint::new(url).map_err(|error| Error::BadUrl(error.to_string()))?;
        if explorer == Explorer::Etherscan && key.is_none() {
            return Err(Error::NoKey);
        }
        install_tls();
        let mut builder = Client::builder()
            .timeout(Duration::from_secs(60))
            .user_agent(concat!("zkvouch/", env!("CARGO_PKG_VERSION")));
        if endpoint.is_loopback() {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| Error::BadUrl(error.to_string()))?;
        Ok(Self { explorer, url: endpoint.url().clone(), key, chain_id, client })
    }

    fn host(&self) -> String {
        self.url.host_str().unwrap_or_default().to_owned()
    }

    fn rejected(&self, request: &SourceRequest, message: &str) -> Error {
        Error::Rejected {
            explorer: self.explorer,
            contract: request.contract.clone(),
            address: request.address,
            message: self.tidy(message),
        }
    }

    /// Without the key, on one line of limited length.
    fn tidy(&self, text: &str) -> String {
        let text = match self.key {
            Some(key) => text.replace(key.expose().trim(), "…"),
            None => text.to_owned(),
        };
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        line.chars().take(300).collect()
    }

    /// One request, repeated where the server is busy. The answer must be JSON.
    async fn send(
        &self,
        method: Method,
        url: Url,
        kind: &'static str,
        body: String,
    ) -> Result<(StatusCode, Value)> {
        let unreachable = |error: reqwest::Error| Error::Unreachable {
            explorer: self.explorer,
            host: self.host(),
            // The URL may hold the key.
            message: self.tidy(&error.without_url().to_string()),
        };
        let mut tries = 0;
        loop {
            tries += 1;
            let request = self.client.request(method.clone(), url.clone());
            let response = request.header("content-type", kind).body(body.clone()).send().await;
            let response = match response {
                Err(error) if tries < 3 && (error.is_connect() || error.is_timeout()) => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
                response => response.map_err(unreachable)?,
            };
            let status = response.status();
            let busy = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
            let text = response.text().await.map_err(unreachable)?;
            return match serde_json::from_str(&text) {
                Ok(value) => Ok((status, value)),
                Err(_) if busy && tries < 3 => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
                Err(_) => Err(self.garbage(status, &text)),
            };
        }
    }

    fn garbage(&self, status: StatusCode, body: &str) -> Error {
        Error::Garbage {
            explorer: self.explorer,
            host: self.host(),
            status: status.as_u16(),
            body: self.tidy(body),
        }
    }

    fn sourcify_url(&self, rest: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/v2/verify/{rest}", self.url.path().trim_end_matches('/')));
        url
    }

    async fn sourcify_submit(&self, request: &SourceRequest) -> Result<Option<String>> {
        let mut body = json!({
            "stdJsonInput": request.standard_input,
            "compilerVersion": request.compiler_version,
            "contractIdentifier": request.contract,
        });
        if let Some(hash) = request.transaction {
            body["creationTransactionHash"] = json!(hash);
        }
        let url = self.sourcify_url(&format!("{}/{}", self.chain_id, request.address));
        let (status, answer) =
            self.send(Method::POST, url, "application/json", body.to_string()).await?;
        if let Some(job) = answer["verificationId"].as_str() {
            return Ok(Some(job.to_owned()));
        }
        match (answer["customCode"].as_str(), answer["message"].as_str()) {
            (Some("already_verified"), _) => Ok(None),
            (Some(_), Some(message)) => Err(self.rejected(request, message)),
            _ => Err(self.garbage(status, &answer.to_string())),
        }
    }

    async fn sourcify_check(&self, request: &SourceRequest, job: &str) -> Result<Option<Verified>> {
        let url = self.sourcify_url(job);
        let (status, answer) =
            self.send(Method::GET, url, "application/json", String::new()).await?;
        if answer["isJobCompleted"].as_bool() == Some(false) {
            return Ok(None);
        }
        if let Some(message) = answer["error"]["message"].as_str() {
            return match answer["error"]["customCode"].as_str() {
                Some("already_verified") => Ok(Some(Verified::Already)),
                _ => Err(self.rejected(request, message)),
            };
        }
        match answer["contract"]["match"].as_str() {
            Some("exact_match" | "match") => Ok(Some(Verified::Now)),
            _ if answer["isJobCompleted"].as_bool() == Some(true) => {
                Err(self.rejected(request, "source and chain do not match"))
            }
            _ => Err(self.garbage(status, &answer.to_string())),
        }
    }

    /// Etherscan wants the chain in the URL even of a POST.
    fn etherscan_url(&self, query: &[(&str, &str)]) -> Url {
        let mut url = self.url.clone();
        let chain = self.chain_id.to_string();
        if self.explorer == Explorer::Etherscan {
            url.query_pairs_mut().append_pair("chainid", &chain);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    async fn etherscan_submit(&self, request: &SourceRequest) -> Result<Option<String>> {
        let address = request.address.to_string();
        let input = request.standard_input.to_string();
        let version = format!("v{}", request.compiler_version.trim_start_matches('v'));
        let arguments = alloy::hex::encode(&request.constructor_arguments);
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs([
            ("module", "contract"),
            ("action", "verifysourcecode"),
            ("codeformat", "solidity-standard-json-input"),
            ("contractaddress", address.as_str()),
            ("contractname", &request.contract),
            ("compilerversion", &version),
            ("sourceCode", &input),
            // The API has always spelt it so; its newer documentation does not.
            ("constructorArguements", &arguments),
            ("constructorArguments", &arguments),
        ]);
        if let Some(key) = self.key {
            form.append_pair("apikey", key.expose().trim());
        }
        let kind = "application/x-www-form-urlencoded";
        let (status, answer) =
            self.send(Method::POST, self.etherscan_url(&[]), kind, form.finish()).await?;
        let result = answer["result"].as_str().unwrap_or_default();
        let message = answer["message"].as_str().unwrap_or_default();
        match answer["status"].as_str() {
            Some("1") => Ok(Some(result.to_owned())),
            Some("0") if already(result) || already(message) => Ok(None),
            Some("0") => {
                let words = if result.is_empty() { message } else { result };
                Err(self.rejected(request, words))
            }
            _ => Err(self.garbage(status, &answer.to_string())),
        }
    }

    async fn etherscan_check(
        &self,
        request: &SourceRequest,
        job: &str,
    ) -> Result<Option<Verified>> {
        let mut query =
            vec![("module", "contract"), ("action", "checkverifystatus"), ("guid", job)];
        if let Some(key) = self.key {
            query.push(("apikey", key.expose().trim()));
        }
        let kind = "application/x-www-form-urlencoded";
        let url = self.etherscan_url(&query);
        let (status, answer) = self.send(Method::GET, url, kind, String::new()).await?;
        let Some(result) = answer["result"].as_str() else {
            return Err(self.garbage(status, &answer.to_string()));
        };
        let lower = result.to_lowercase();
        if already(result) {
            Ok(Some(Verified::Already))
        } else if lower.starts_with("pass") {
            Ok(Some(Verified::Now))
        } else if lower.contains("pending")
            || lower.contains("in progress")
            || lower.contains("rate limit")
        {
            Ok(None)
        } else {
            Err(self.rejected(request, result))
        }
    }
}

fn already(text: &str) -> bool {
    text.to_lowercase().contains("already verified")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    /// A server with the next answer for each request: status and body. Keeps the requests.
    async fn server(answers: &[(u16, &str)]) -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let url = format!("http://{}/api", listener.local_addr().expect("bound"));
        let answers: Vec<_> = answers.iter().map(|(s, b)| (*s, (*b).to_owned())).collect();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = requests.clone();
        tokio::spawn(async move {
            for (status, body) in answers {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                let mut request = Vec::new();
                loop {
                    let mut block = [0; 4096];
                    let read = stream.read(&mut block).await.unwrap_or(0);
                    request.extend_from_slice(&block[..read]);
                    let text = String::from_utf8_lossy(&request);
                    let length: usize = text
                        .lines()
                        .find_map(|line| {
                            line.to_lowercase().strip_prefix("content-length: ")?.parse().ok()
                        })
                        .unwrap_or(0);
                    let head = text.find("\r\n\r\n").map(|at| at + 4);
                    if read == 0 || head.is_some_and(|head| request.len() >= head + length) {
                        break;
                    }
                }
                kept.lock().expect("free").push(String::from_utf8_lossy(&request).into_owned());
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                );
                let _ = stream.write_all((head + &body).as_bytes()).await;
            }
        });
        (url, requests)
    }

    fn request() -> SourceRequest {
        SourceRequest {
            chain_id: 11155111,
            address: Address::repeat_byte(1),
            contract: "contracts/ModelRouter.sol:ModelRouter".into(),
            compiler_version: "0.8.30+commit.73712a01".into(),
            standard_input: json!({"language": "Solidity", "sources": {}}),
            constructor_arguments: vec![0xab; 32].into(),
            transaction: Some(TxHash::repeat_byte(2)),
        }
    }

    async fn verify(
        explorer: Explorer,
        answers: &[(u16, &str)],
    ) -> (Result<Verified>, Vec<String>) {
        let (url, requests) = server(answers).await;
        let options = ExplorerOptions {
            verify: true,
            verifier: Some(explorer),
            verifier_url: Some(url),
            verifier_api_key: Some(Secret::new("k3y-of-mine".into())),
        };
        let patience =
            Patience { pause: Duration::from_millis(10), limit: Duration::from_millis(400) };
        let outcome = verify_source(&options, &request(), patience).await;
        let requests = requests.lock().expect("free").clone();
        (outcome, requests)
    }

    #[tokio::test]
    async fn sourcify_takes_a_job_and_decides_later() {
        let (outcome, requests) = verify(
            Explorer::Sourcify,
            &[
                (202, r#"{"verificationId":"j-1"}"#),
                (200, r#"{"isJobCompleted":false,"contract":{"match":null}}"#),
                (200, r#"{"isJobCompleted":true,"contract":{"match":"exact_match"}}"#),
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
    }

    #[tokio::test]
    async fn sourcify_may_know_it_or_refuse_it() {
        let known = [(409, r#"{"customCode":"already_verified","message":"x","errorId":"y"}"#)];
        let (outcome, _) = verify(Explorer::Sourcify, &known).await;
        assert_eq!(outcome.expect("known"), Verified::Already);
        let refused = [
            (202, r#"{"verificationId":"j"}"#),
            (
                200,
                r#"{"isJobCompleted":true,"error":{"customCode":"no_match","message":"no match"}}"#,
            ),
        ];
        let (outcome, _) = verify(Explorer::Sourcify, &refused).await;
        assert!(matches!(outcome, Err(Error::Rejected { .. })), "{outcome:?}");
        let unsupported = [(400, r#"{"customCode":"unsupported_chain","message":"chain"}"#)];
        let (outcome, _) = verify(Explorer::Sourcify, &unsupported).await;
        assert!(matches!(outcome, Err(Error::Rejected { .. })), "{outcome:?}");
    }

    #[tokio::test]
    async fn etherscan_and_blockscout_take_a_form_and_a_guid() {
        for explorer in [Explorer::Etherscan, Explorer::Blockscout] {
            let (outcome, requests) = verify(
                explorer,
                &[
                    (200, r#"{"status":"1","message":"OK","result":"guid7"}"#),
                    (200, r#"{"status":"0","message":"NOTOK","result":"Pending in queue"}"#),
                    (200, r#"{"status":"1","message":"OK","result":"Pass - Verified"}"#),
                ],
            )
            .await;
            assert_eq!(outcome.expect("verified"), Verified::Now);
            let with_chain = requests[0].starts_with("POST /api?chainid=11155111 ");
            assert_eq!(with_chain, explorer == Explorer::Etherscan, "{}", requests[0]);
            for part in [
                "action=verifysourcecode",
                "codeformat=solidity-standard-json-input",
                "compilerversion=v0.8.30%2Bcommit.73712a01",
                "contractname=contracts%2FModelRouter.sol%3AModelRouter",
                "constructorArguements=abab",
                "apikey=k3y-of-mine",
            ] {
                assert!(requests[0].contains(part), "{part}: {}", requests[0]);
            }
            assert!(requests[1].contains("action=checkverifystatus&guid=guid7"), "{}", requests[1]);
        }
    }

    #[tokio::test]
    async fn refusals_garbage_and_slowness_never_show_the_key() {
        let refused =
            [(200, r#"{"status":"0","message":"NOTOK","result":"Invalid API Key k3y-of-mine"}"#)];
        let garbage = [(200, "<html>k3y-of-mine</html>")];
        let failed = [
            (200, r#"{"status":"1","message":"OK","result":"g"}"#),
            (200, r#"{"status":"0","message":"NOTOK","result":"Fail - Unable to verify"}"#),
        ];
        let known = [(
            200,
            r#"{"status":"0","message":"NOTOK","result":"Contract source code already verified"}"#,
        )];
        let (outcome, _) = verify(Explorer::Etherscan, &known).await;
        assert_eq!(outcome.expect("known"), Verified::Already);
        for answers in [&refused[..], &garbage[..], &failed[..], &[]] {
            let (outcome, _) = verify(Explorer::Etherscan, answers).await;
            let error = outcome.expect_err("not verified");
            assert!(!format!("{error} {error:?}").contains("k3y-of-mine"), "{error:?}");
        }
        let pending = r#"{"status":"0","message":"NOTOK","result":"Pending in queue"}"#;
        let mut slow = vec![(200, r#"{"status":"1","message":"OK","result":"g"}"#)];
        slow.resize(200, (200, pending));
        let (outcome, _) = verify(Explorer::Etherscan, &slow).await;
        assert!(matches!(outcome, Err(Error::Slow { .. })), "{outcome:?}");
    }

    #[tokio::test]
    async fn what_is_missing_is_told_before_anything_is_sent() {
        let check = async |explorer, chain_id| {
            let options = ExplorerOptions { verifier: explorer, ..Default::default() };
            let request = SourceRequest { chain_id, ..request() };
            verify_source(&options, &request, Patience::default()).await.expect_err("incomplete")
        };
        assert!(matches!(check(None, 31337).await, Error::LocalChain { .. }));
        assert!(matches!(check(Some(Explorer::Etherscan), 1).await, Error::NoKey));
        assert!(matches!(check(Some(Explorer::Blockscout), 1).await, Error::NoUrl));
    }
}
