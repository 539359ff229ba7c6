//! The service: the queue over HTTP.

mod access;
mod answer;
mod api;
mod document;
mod events;
mod health;
mod metrics;
mod views;

pub use document::openapi;

use super::{Error, Intake, Result};
use access::Limiter;
use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    response::Html,
    routing::{get, post},
};
use std::{net::SocketAddr, num::NonZeroU32, sync::Arc};
use tokio::{net::TcpListener, sync::watch};

/// How the service works.
#[derive(Clone, Copy, Debug)]
pub struct ServiceOptions {
    /// Where it listens; port 0 for any free one.
    pub listen: SocketAddr,
    /// Bytes that a request may have.
    pub max_body: usize,
    /// Predictions that one request may ask for.
    pub max_inputs: usize,
    /// Requests a second of one token; for a short while ten times as many.
    pub rate: NonZeroU32,
    /// Whether /metrics needs no token.
    pub open_metrics: bool,
}

/// What the handlers share.
#[derive(Debug)]
struct Shared {
    intake: Intake,
    options: ServiceOptions,
    limiter: Limiter,
    requests: metrics::Requests,
    stop: watch::Receiver<bool>,
}

/// A service that listens and does not answer yet.
#[derive(Debug)]
pub struct Service {
    listener: TcpListener,
    shared: Arc<Shared>,
}

impl Service {
    /// Listens.
    ///
    /// # Errors
    /// [`Error::Listen`].
    pub async fn bind(
        intake: Intake,
        options: ServiceOptions,
        stop: watch::Receiver<bool>,
    ) -> Result<Self> {
        let address = options.listen;
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| Error::Listen { address, source })?;
        let shared = Shared {
            limiter: Limiter::new(options.rate),
            requests: metrics::Requests::default(),
            intake,
            options,
            stop,
        };
        Ok(Self { listener, shared: Arc::new(shared) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap_or(self.shared.options.listen)
    }

    /// Answers until it is told to stop; what was begun is brought to its end.
    ///
    /// # Errors
    /// The listener fails.
    pub async fn run(self) -> Result<()> {
        let mut stop = self.shared.stop.clone();
        let address = self.address();
        let stopped = async move {
            let _ = stop.wait_for(|stop| *stop).await;
        };
        let serve = axum::serve(self.listener, router(self.shared));
        let served = serve.with_graceful_shutdown(stopped).await;
        served.map_err(|source| Error::Listen { address, source })
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let clients = Router::new()
        .route("/v1/predictions", post(api::predict))
        .route("/v1/jobs", get(api::jobs))
        .route("/v1/jobs/{id}", get(api::job))
        .route("/v1/jobs/{id}/proof", get(api::proof))
        .route("/v1/jobs/{id}/receipt", get(api::receipt))
        .route("/v1/jobs/{id}/path", get(api::path))
        .route("/v1/jobs/{id}/events", get(events::events))
        .route("/v1/jobs/{id}/retry", post(api::retry))
        .route("/v1/jobs/{id}/cancel", post(api::cancel))
        .route("/v1/circuit", get(api::circuit))
        .route("/v1/overview", get(api::overview))
        .route("/v1/submissions", get(api::submissions))
        .layer(middleware::from_fn_with_state(shared.clone(), access::only_with_token));
    let metrics = Router::new().route("/metrics", get(metrics::metrics));
    let metrics = match shared.options.open_metrics {
        true => metrics,
        false => {
            metrics.layer(middleware::from_fn_with_state(shared.clone(), access::only_with_token))
        }
    };
    Router::new()
        .route("/", get(|| async { Html(include_str!("page.html")) }))
        .route("/openapi.json", get(|| async { axum::Json(openapi()) }))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .merge(clients)
        .merge(metrics)
        .fallback(answer::no_such_path)
        .layer(DefaultBodyLimit::max(shared.options.max_body))
        .layer(middleware::from_fn_with_state(shared.clone(), metrics::count))
        .with_state(shared)
}
