//! Figures for Prometheus.

use super::{Shared, answer::Failed};
use crate::fleet::job::State as JobState;
use axum::{
    extract::{Request, State},
    http::header::CONTENT_TYPE,
    middleware::Next,
    response::{IntoResponse, Response},
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use std::sync::{Arc, atomic::AtomicU64};

/// The requests of this process, by the status of their answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests(Family<StatusLabel, Counter>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

/// Counts a request.
pub(super) async fn count(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    let status = u32::from(response.status().as_u16());
    shared.requests.0.get_or_create(&StatusLabel { status }).inc();
    response
}

/// The figures: those of the queue are the database's, whichever process answers.
pub(super) async fn metrics(State(shared): State<Arc<Shared>>) -> Result<Response, Failed> {
    let overview = shared.intake.store().overview().await?;
    let mut registry = Registry::with_prefix("zkvouch");
    let jobs = Family::<StateLabel, Gauge>::default();
    for state in JobState::ALL {
        let count = overview.jobs.get(&state).copied().unwrap_or_default();
        jobs.get_or_create(&StateLabel { state: state.name() }).set(count as i64);
    }
    registry.register("jobs", "Jobs in each state", jobs);
    let figures = [
        ("attempts", "Attempts of all jobs", overview.attempts),
        ("predictions_done", "Predictions of jobs that are done", overview.predictions),
        ("workers", "Workers seen within two leases", overview.workers.len() as u64),
        ("gas_used", "Gas of all that was recorded", overview.gas),
        ("predictions_recorded", "Predictions recorded for it", overview.recorded),
    ];
    for (name, help, value) in figures {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    }
    let seconds = [
        (
            "oldest_queued_seconds",
            "How long the oldest job in the queue has waited",
            overview.oldest_ms,
        ),
        ("proof_cpu_seconds_mean", "The mean CPU time of a proof", overview.cpu_ms),
    ];
    for (name, help, millis) in seconds {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(millis.unwrap_or_default() as f64 / 1e3);
        registry.register(name, help, gauge);
    }
    registry.register(
        "http_requests",
        "Requests by the status of the answer",
        shared.requests.0.clone(),
    );
    let mut text = String::new();
    if encode(&mut text, &registry).is_err() {
        return Err(Failed::unavailable("the figures can't be written"));
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, kind)], text).into_response())
}
