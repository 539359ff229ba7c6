//! JSON-RPC over HTTP as alloy's client wants it, with two things that alloy's own transport lacks:
//! an answer is read up to a limit, and no part of the URL is ever logged.

use super::endpoint::Endpoint;
use alloy::{
    rpc::json_rpc::{RequestPacket, ResponsePacket},
    transports::{TransportError, TransportErrorKind, TransportFut},
};
use reqwest::header::RETRY_AFTER;
use std::{
    task::{Context, Poll},
    time::Duration,
};
use tower_service::Service;

/// The most that is read of one answer, in bytes. The largest that we ask for, a block with its
/// transactions, has a few MiB.
const ANSWER_LIMIT: usize = 32 << 20;

/// An answer that is longer than any that we ask for.
#[derive(Debug, thiserror::Error)]
#[error("the answer is longer than {} MiB", ANSWER_LIMIT >> 20)]
pub(super) struct TooLong;

/// A connection to one endpoint.
#[derive(Clone)]
pub(super) struct Http {
    client: reqwest::Client,
    endpoint: Endpoint,
}

impl Http {
    /// Redirects are not followed: a POST would become a GET, and the credentials would go along.
    pub(super) fn new(endpoint: Endpoint, timeout: Duration) -> reqwest::Result<Self> {
        install_tls();
        let mut builder = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(15)))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("zkvouch/", env!("CARGO_PKG_VERSION")));
        if endpoint.is_loopback() {
            builder = builder.no_proxy();
        }
        Ok(Self { client: builder.build()?, endpoint })
    }

    async fn ask(self, request: RequestPacket) -> Result<ResponsePacket, TransportError> {
        // User and password of the URL go into a header that reqwest marks as sensitive.
        let answer = self.client.post(self.endpoint.url().clone()).json(&request).send();
        let mut answer = answer.await.map_err(TransportErrorKind::custom)?;
        let status = answer.status();
        let retry_after = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| Some(Duration::from_secs(value.to_str().ok()?.trim().parse().ok()?)));
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(TransportErrorKind::custom)? {
            if body.len() + chunk.len() > ANSWER_LIMIT {
                return Err(TransportErrorKind::custom(TooLong));
            }
            body.extend_from_slice(&chunk);
        }
        let text = || String::from_utf8_lossy(&body).into_owned();
        if !status.is_success() {
            // Some nodes put a JSON-RPC error under a status that is none.
            if let Ok(answer) = serde_json::from_slice::<ResponsePacket>(&body)
                && answer.is_error()
                && status.is_client_error()
                && !matches!(status.as_u16(), 401 | 403 | 408 | 425 | 429)
            {
                return Ok(answer);
            }
            return Err(TransportErrorKind::http_error_with_retry_after(
                status.as_u16(),
                text(),
                retry_after,
            ));
        }
        serde_json::from_slice(&body).map_err(|error| TransportError::deser_err(error, text()))
    }
}

impl Service<RequestPacket> for Http {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        Box::pin(self.clone().ask(request))
    }
}

/// TLS by `ring`; installing it twice is harmless.
pub(crate) fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
