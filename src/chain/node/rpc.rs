//! A connection to a node over HTTP: typed requests, typed failures, retries for reads.

use super::{
    endpoint::Endpoint,
    http::{Http, TooLong},
};
use crate::error::ErrorKind;
use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    network::AnyTransactionReceipt,
    primitives::{Address, B256, Bytes, TxHash, U64, U256},
    providers::RootProvider,
    rpc::{
        client::RpcClient,
        json_rpc::{RpcError, RpcRecv, RpcSend},
        types::{Block, FeeHistory, Transaction, TransactionRequest, state::StateOverride},
    },
    transports::{TransportError, TransportErrorKind},
};
use std::{fmt, time::Duration};

/// What went wrong between us and a node.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No connection came about, or the request broke off.
    #[error(
        "no node answers at {endpoint} ({message}); start one (`zkvouch anvil`) or correct --rpc-url"
    )]
    Unreachable {
        /// The node, without credentials.
        endpoint: String,
        /// What the network said.
        message: String,
    },
    /// The answer did not come in time.
    #[error(
        "{endpoint} did not answer {method} within {} s; try again, use another node or raise \
         --rpc-timeout",
        after.as_secs_f64()
    )]
    Timeout {
        /// The node, without credentials.
        endpoint: String,
        /// The JSON-RPC method, as in `eth_call`.
        method: String,
        /// How long we waited.
        after: Duration,
    },
    /// An HTTP status that is not success.
    #[error("{endpoint} answered {method} with HTTP status {status}: {body}; {}", status_remedy(*status))]
    Http {
        /// The node, without credentials.
        endpoint: String,
        /// The JSON-RPC method, as in `eth_call`.
        method: String,
        /// The HTTP status, not a 2xx.
        status: u16,
        /// The beginning of the body.
        body: String,
        /// How long the node wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// Something that is no JSON-RPC answer to the request.
    #[error(
        "{endpoint} answered {method} with something that is no valid JSON-RPC ({message}); check \
         that --rpc-url is an Ethereum node's HTTP endpoint"
    )]
    Garbage {
        /// The node, without credentials.
        endpoint: String,
        /// The JSON-RPC method, as in `eth_call`.
        method: String,
        /// What is wrong with the answer.
        message: String,
    },
    /// The node refused the request. A revert is one of these, with `data`.
    #[error("{endpoint} refused {method}: {message} (code {code})")]
    Refused {
        /// The node, without credentials.
        endpoint: String,
        /// The JSON-RPC method, as in `eth_call`.
        method: String,
        /// JSON-RPC's error code; 3 is usual for a revert, -32601 for an unknown method.
        code: i64,
        /// The node's message, without credentials.
        message: String,
        /// The data that a revert came with.
        data: Option<Bytes>,
    },
    /// The node serves another chain than the one asked for.
    #[error(
        "{endpoint} serves chain {found} but chain {expected} is configured; correct --rpc-url or \
         --chain"
    )]
    WrongChain {
        /// The node, without credentials.
        endpoint: String,
        /// The chain asked for.
        expected: u64,
        /// The chain that the node says it serves.
        found: u64,
    },
    /// The HTTP client could not be made.
    #[error("cannot set up HTTP: {0}")]
    Client(String),
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Http { .. }
            | Self::Garbage { .. }
            | Self::Refused { .. }
            | Self::WrongChain { .. }
            | Self::Client(..) => ErrorKind::Chain,
        }
    }
}

fn status_remedy(status: u16) -> &'static str {
    match status {
        401 | 403 => "check the key in --rpc-url",
        404 | 405 => "check the path of --rpc-url",
        413 => "the node limits the size of a request; use another node",
        429 => "the node limits the rate of requests; wait or use another node",
        300..=399 => "give the address that it redirects to",
        _ => "try again or use another node",
    }
}

impl Error {
    /// Whether a repeated read may succeed.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } => true,
            Self::Http { status, .. } => matches!(status, 408 | 425 | 429 | 500 | 502..=504),
            // -32005 is "limit exceeded"; several providers answer 429 inside JSON.
            Self::Refused { code, .. } => matches!(code, -32005 | 429),
            _ => false,
        }
    }

    /// Whether the call itself failed: it reverted, ran out of gas or met what is no instruction.
    pub(crate) fn is_revert(&self) -> bool {
        let Self::Refused { code, message, data, .. } = self else { return false };
        let message = message.to_lowercase();
        *code == 3
            || data.is_some()
            || ["revert", "out of gas", "outofgas", "invalid opcode", "invalidfeopcode"]
                .iter()
                .any(|word| message.contains(word))
    }

    /// Whether the node does not know, or does not offer, the method.
    pub(crate) fn is_missing_method(&self) -> bool {
        match self {
            Self::Refused { code, message, .. } => {
                let message = message.to_lowercase();
                matches!(code, -32601 | -32004)
                    || [
                        "not found",
                        "not supported",
                        "unsupported",
                        "does not exist",
                        "not available",
                    ]
                    .iter()
                    .any(|word| message.contains(word))
            }
            Self::Http { status, .. } => matches!(status, 404 | 405 | 501),
            // An answer of another shape than the method's.
            Self::Garbage { .. } => true,
            _ => false,
        }
    }

    /// How long the node wants to be left alone, as far as that is reasonable.
    pub(crate) fn pause(&self) -> Option<Duration> {
        match self {
            Self::Http { retry_after, .. } => retry_after.map(|wanted| wanted.min(MAX_PAUSE)),
            _ => None,
        }
    }
}

/// The longest that a node's `Retry-After` is obeyed.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whether an address with this code is an account that somebody's key acts for: it has none, or lends itself some
/// (EIP-7702).
pub(crate) fn is_account(code: &[u8]) -> bool {
    code.is_empty() || code.starts_with(&[0xef, 0x01, 0x00])
}

/// How to talk to a node.
#[derive(Clone, Debug)]
pub struct RpcOptions {
    /// How long to wait for one answer.
    pub timeout: Duration,
    /// How often a read that failed for a passing reason is repeated.
    pub retries: u32,
    /// The chain that the node must serve.
    pub chain_id: Option<u64>,
}

impl Default for RpcOptions {
    /// 45 s, as Foundry has it, and three retries.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(45), retries: 3, chain_id: None }
    }
}

/// A connected node whose chain id is known. Cheap to clone.
#[derive(Clone)]
pub struct Rpc {
    client: RpcClient,
    endpoint: Endpoint,
    options: RpcOptions,
    chain_id: u64,
}

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rpc({}, chain {})", self.endpoint, self.chain_id)
    }
}

impl Rpc {
    /// Connects, asks for the chain id and checks it.
    pub async fn connect(endpoint: Endpoint, options: RpcOptions) -> Result<Self> {
        let transport = Http::new(endpoint.clone(), options.timeout)
            .map_err(|error| Error::Client(deepest(&error)))?;
        let client = RpcClient::new(transport, endpoint.is_loopback());
        let mut rpc = Self { client, endpoint, options, chain_id: 0 };
        let found: U64 = rpc.read("eth_chainId", ()).await?;
        rpc.chain_id = found.to();
        if rpc.chain_id == 0 {
            return Err(rpc.garbage("eth_chainId", "the chain 0".into()));
        }
        match rpc.options.chain_id {
            Some(expected) if expected != rpc.chain_id => Err(Error::WrongChain {
                endpoint: rpc.endpoint.to_string(),
                expected,
                found: rpc.chain_id,
            }),
            _ => Ok(rpc),
        }
    }

    /// The node's chain id.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The node's address; its display form is free of credentials.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// An alloy provider on the same connection, for what this type has no method for. Its errors
    /// may repeat what a node or the network said of the URL.
    pub fn provider(&self) -> RootProvider {
        RootProvider::new(self.client.clone())
    }

    /// One request without retry.
    pub async fn request<P: RpcSend, R: RpcRecv>(
        &self,
        method: &'static str,
        params: P,
    ) -> Result<R> {
        let answer = self.client.request(method, params);
        // The client's own deadline does not cover a name server that hangs.
        let limit = self.options.timeout + Duration::from_secs(5);
        match tokio::time::timeout(limit, answer).await {
            Ok(answer) => answer.map_err(|error| self.error(method, error)),
            Err(_) => Err(self.timeout(method)),
        }
    }

    /// One request that changes nothing, repeated a few times when it fails for a passing reason.
    pub async fn read<P: RpcSend, R: RpcRecv>(&self, method: &'static str, params: P) -> Result<R> {
        let mut pause = Duration::from_millis(200);
        let mut left = self.options.retries;
        loop {
            match self.request(method, params.clone()).await {
                Err(error) if left > 0 && error.is_transient() => {
                    // A node that hung for the whole deadline gets one more chance only.
                    let hung = matches!(error, Error::Timeout { .. });
                    left = if hung { left.min(1) - 1 } else { left - 1 };
                    tracing::debug!(%error, method, "repeating the request");
                    tokio::time::sleep(error.pause().unwrap_or(pause)).await;
                    pause *= 2;
                }
                other => return other,
            }
        }
    }

    /// The newest block's number.
    pub async fn block_number(&self) -> Result<u64> {
        Ok(self.read::<_, U64>("eth_blockNumber", ()).await?.to())
    }

    /// The newest block, without its transactions.
    pub async fn latest_block(&self) -> Result<Block> {
        self.block(BlockNumberOrTag::Latest).await
    }

    /// A block without its transactions; an error if the node lacks it.
    pub async fn block(&self, number: BlockNumberOrTag) -> Result<Block> {
        let block: Option<Block> = self.read("eth_getBlockByNumber", (number, false)).await?;
        block.ok_or_else(|| self.garbage("eth_getBlockByNumber", format!("no block {number}")))
    }

    /// An account's balance in wei.
    pub async fn balance(&self, address: Address) -> Result<U256> {
        self.read("eth_getBalance", (address, BlockNumberOrTag::Latest)).await
    }

    /// The number of transactions of an account: mined ones at `Latest`, with those that wait in
    /// the node's pool at `Pending`.
    pub async fn transaction_count(&self, address: Address, at: BlockNumberOrTag) -> Result<u64> {
        Ok(self.read::<_, U64>("eth_getTransactionCount", (address, at)).await?.to())
    }

    /// The runtime code at an address; empty if there is none.
    pub async fn code(&self, address: Address) -> Result<Bytes> {
        self.read("eth_getCode", (address, BlockNumberOrTag::Latest)).await
    }

    /// `eth_call` at the newest block.
    ///
    /// # Errors
    /// A revert is [`Error::Refused`] with its data.
    pub async fn call(&self, transaction: &TransactionRequest) -> Result<Bytes> {
        self.call_at(transaction, BlockId::latest(), None).await
    }

    /// `eth_call` at a block, with replaced state if wanted.
    pub async fn call_at(
        &self,
        transaction: &TransactionRequest,
        block: BlockId,
        overrides: Option<&StateOverride>,
    ) -> Result<Bytes> {
        match overrides {
            Some(overrides) => self.read("eth_call", (transaction, block, overrides)).await,
            None => self.read("eth_call", (transaction, block)).await,
        }
    }

    /// The gas that the node thinks a transaction needs.
    pub async fn estimate_gas(&self, transaction: &TransactionRequest) -> Result<u64> {
        let gas: U64 =
            self.read("eth_estimateGas", (transaction, BlockNumberOrTag::Latest)).await?;
        Ok(gas.to())
    }

    /// The base fees and tips of the newest blocks.
    pub async fn fee_history(&self, blocks: u64, percentile: f64) -> Result<FeeHistory> {
        let params = (U64::from(blocks), BlockNumberOrTag::Latest, [percentile]);
        self.read("eth_feeHistory", params).await
    }

    /// The gas price that the node suggests for a legacy transaction, in wei.
    pub async fn gas_price(&self) -> Result<u128> {
        Ok(self.read::<_, U256>("eth_gasPrice", ()).await?.saturating_to())
    }

    /// The receipt of a mined transaction, of whatever type the chain calls it.
    ///
    /// # Errors
    /// [`Error::Garbage`] where the node answers with another transaction's.
    pub async fn receipt(&self, hash: TxHash) -> Result<Option<AnyTransactionReceipt>> {
        const METHOD: &str = "eth_getTransactionReceipt";
        let receipt: Option<AnyTransactionReceipt> = self.read(METHOD, (hash,)).await?;
        match &receipt {
            Some(other) if other.transaction_hash != hash => {
                let other = other.transaction_hash;
                Err(self.garbage(METHOD, format!("the receipt of {other} for {hash}")))
            }
            _ => Ok(receipt),
        }
    }

    /// A transaction that is mined or waits in the node's pool.
    pub async fn transaction(&self, hash: TxHash) -> Result<Option<Transaction>> {
        self.read("eth_getTransactionByHash", (hash,)).await
    }

    /// Whether the node knows a transaction, mined or waiting, of whatever type.
    pub async fn knows(&self, hash: TxHash) -> Result<bool> {
        #[derive(Debug, serde::Deserialize)]
        struct Brief {
            hash: TxHash,
        }
        let found: Option<Brief> = self.read("eth_getTransactionByHash", (hash,)).await?;
        Ok(found.is_some_and(|found| found.hash == hash))
    }

    /// The hash of the account's transaction with this nonce, if the block has it.
    pub async fn transaction_in(
        &self,
        block: u64,
        account: Address,
        nonce: u64,
    ) -> Result<Option<TxHash>> {
        /// What is needed of a transaction, of whatever type.
        #[derive(Debug, serde::Deserialize)]
        struct Brief {
            hash: TxHash,
            from: Address,
            nonce: U64,
        }
        #[derive(Debug, serde::Deserialize)]
        struct Full {
            transactions: Vec<Brief>,
        }
        let params = (BlockNumberOrTag::Number(block), true);
        let block: Option<Full> = self.read("eth_getBlockByNumber", params).await?;
        let transactions = block.into_iter().flat_map(|block| block.transactions);
        let mut ours =
            transactions.filter(|it| it.from == account && it.nonce.to::<u64>() == nonce);
        Ok(ours.next().map(|it| it.hash))
    }

    /// The number of transactions that an account had sent when a block was mined. Nodes forget old
    /// states, and then this is an error.
    pub async fn transaction_count_at(&self, address: Address, block: u64) -> Result<u64> {
        let at = BlockNumberOrTag::Number(block);
        Ok(self.request::<_, U64>("eth_getTransactionCount", (address, at)).await?.to())
    }

    /// The tip that the node suggests, in wei per gas.
    pub async fn max_priority_fee(&self) -> Result<u128> {
        Ok(self.read::<_, U256>("eth_maxPriorityFeePerGas", ()).await?.saturating_to())
    }

    /// Hands a signed transaction to the node.
    pub async fn send_raw(&self, transaction: &Bytes) -> Result<B256> {
        self.request("eth_sendRawTransaction", (transaction,)).await
    }

    /// The deadline has passed.
    fn timeout(&self, method: &str) -> Error {
        Error::Timeout {
            endpoint: self.endpoint.to_string(),
            method: method.into(),
            after: self.options.timeout,
        }
    }

    fn garbage(&self, method: &str, message: String) -> Error {
        Error::Garbage { endpoint: self.endpoint.to_string(), method: method.into(), message }
    }

    fn error(&self, method: &str, error: TransportError) -> Error {
        let endpoint = self.endpoint.to_string();
        let tidy = |text: &str| shorten(&self.endpoint.redact(text));
        match error {
            RpcError::ErrorResp(payload) => Error::Refused {
                endpoint,
                method: method.into(),
                code: payload.code,
                message: tidy(&payload.message),
                data: payload.data.as_deref().and_then(|raw| revert_data(raw.get())),
            },
            RpcError::Transport(TransportErrorKind::HttpError(http)) => {
                let (status, body) = (http.status, tidy(&http.body));
                Error::Http { endpoint, method: method.into(), status, body, retry_after: None }
            }
            RpcError::Transport(TransportErrorKind::HttpErrorWithRetryAfter {
                error: http,
                retry_after,
            }) => Error::Http {
                endpoint,
                method: method.into(),
                status: http.status,
                body: tidy(&http.body),
                retry_after: Some(retry_after),
            },
            RpcError::Transport(TransportErrorKind::Custom(cause)) => {
                if let Some(error) = cause.downcast_ref::<TooLong>() {
                    return self.garbage(method, error.to_string());
                }
                let Some(http) = cause.downcast_ref::<reqwest::Error>() else {
                    return Error::Unreachable { endpoint, message: tidy(&cause.to_string()) };
                };
                if http.is_timeout() {
                    return self.timeout(method);
                }
                let message = tidy(&deepest(http));
                if http.is_connect() || http.is_request() {
                    Error::Unreachable { endpoint, message }
                } else {
                    self.garbage(method, message)
                }
            }
            RpcError::DeserError { err, text } => {
                self.garbage(method, format!("{err}: {}", tidy(&text)))
            }
            RpcError::NullResp => self.garbage(method, "null".into()),
            other => self.garbage(method, tidy(&other.to_string())),
        }
    }
}

/// The innermost cause: reqwest's own words only repeat the URL.
pub(crate) fn deepest(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Nodes put a revert's data into `data` as a string, or deeper inside an object.
fn revert_data(json: &str) -> Option<Bytes> {
    fn find(value: &serde_json::Value) -> Option<Bytes> {
        match value {
            serde_json::Value::String(text) if text.starts_with("0x") => text.parse().ok(),
            serde_json::Value::Object(object) => object.values().find_map(find),
            _ => None,
        }
    }
    find(&serde_json::from_str(json).ok()?)
}

/// One line of at most 300 characters.
fn shorten(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
