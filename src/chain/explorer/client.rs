//! HTTP for explorers: no redirect, no answer without end, no key in a message.

use super::{Error, Explorer, Result};
use crate::chain::{
    account::Secret,
    node::{endpoint::Endpoint, http::install_tls, rpc::deepest},
};
use reqwest::{Method, StatusCode, header::RETRY_AFTER, redirect::Policy};
use serde_json::Value;
use std::time::Duration;
use url::Url;

/// The most that is read of one answer, in bytes. Sourcify repeats the contract's code several times
/// where it does not match, 48 KiB each at most, in hex.
const ANSWER_LIMIT: usize = 4 << 20;

/// The longest of an explorer's words that are shown.
const SHOWN_CHARS: usize = 300;

/// A connection to one explorer.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) explorer: Explorer,
    pub(super) key: Option<Secret>,
    endpoint: Endpoint,
    http: reqwest::Client,
}

/// An answer in JSON.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Value,
}

impl Client {
    pub(super) fn new(explorer: Explorer, endpoint: Endpoint, key: Option<Secret>) -> Result<Self> {
        install_tls();
        let mut builder = reqwest::Client::builder()
            .timeout(Duration::from_secs(60))
            .connect_timeout(Duration::from_secs(15))
            .redirect(Policy::none())
            .user_agent(concat!("zkvouch/", env!("CARGO_PKG_VERSION")));
        if endpoint.is_loopback() {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| Error::BadUrl(error.to_string()))?;
        Ok(Self { explorer, key, endpoint, http })
    }

    /// The API's address, with whatever the user has in it.
    pub(super) fn url(&self) -> Url {
        self.endpoint.url().clone()
    }

    /// One request, with a body and its type if it is a POST.
    pub(super) async fn send(
        &self,
        url: Url,
        post: Option<(&'static str, String)>,
    ) -> Result<Reply> {
        let request = match post {
            Some((kind, body)) => {
                self.http.request(Method::POST, url).header("content-type", kind).body(body)
            }
            None => self.http.request(Method::GET, url),
        };
        let mut answer = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = answer.status();
        if status.is_redirection() {
            let (explorer, endpoint) = (self.explorer, self.endpoint.to_string());
            return Err(Error::Redirect { explorer, endpoint, status: status.as_u16() });
        }
        let retry_after = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.unreachable(error))? {
            if body.len() + chunk.len() > ANSWER_LIMIT {
                let (explorer, endpoint) = (self.explorer, self.endpoint.to_string());
                return Err(Error::TooLong { explorer, endpoint, limit: ANSWER_LIMIT });
            }
            body.extend_from_slice(&chunk);
        }
        let text = String::from_utf8_lossy(&body);
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            return Err(self.busy(status, &text, retry_after));
        }
        match serde_json::from_str(&text) {
            Ok(body) => Ok(Reply { status, body }),
            Err(_) => Err(self.garbage(status, &text)),
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> Error {
        // The innermost cause says why, and is free of the URL, which may hold a key.
        let message = self.tidy(&deepest(&error.without_url()));
        Error::Unreachable { explorer: self.explorer, endpoint: self.endpoint.to_string(), message }
    }

    pub(super) fn busy(
        &self,
        status: StatusCode,
        body: &str,
        retry_after: Option<Duration>,
    ) -> Error {
        Error::Busy {
            explorer: self.explorer,
            endpoint: self.endpoint.to_string(),
            status: status.as_u16(),
            body: self.tidy(body),
            retry_after,
        }
    }

    pub(super) fn garbage(&self, status: StatusCode, body: &str) -> Error {
        Error::Garbage {
            explorer: self.explorer,
            endpoint: self.endpoint.to_string(),
            status: status.as_u16(),
            body: self.tidy(body),
        }
    }

    /// Somebody else's words: without the key and other secrets, without control characters, on one line
    /// of limited length.
    pub(super) fn tidy(&self, text: &str) -> String {
        let text = self.endpoint.redact(text);
        let text = match &self.key {
            Some(key) => text.replace(key.expose().trim(), "…"),
            None => text,
        };
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        line.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect()
    }
}
