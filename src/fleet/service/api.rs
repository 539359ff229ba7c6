//! The handlers, and the document that describes them.

use super::{
    Shared,
    access::only_operators,
    answer::{Failed, Problem},
    views::{JobView, Jobs, PathView, Predictions, ReceiptView},
};
use crate::{
    artifacts::input::InputData,
    chain::contracts::tree,
    fleet::{
        Error, Wanted,
        job::{Job, JobId, State as JobState},
        store::{Filter, Token},
    },
};
use axum::{
    Extension, Json,
    extract::{Path, Query, State, rejection::JsonRejection},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::Value;
use std::{path::PathBuf, sync::Arc};
use utoipa::IntoParams;

type Answer<T> = Result<T, Failed>;
type Service = State<Arc<Shared>>;

/// The header by which a request is known again.
const KEY: &str = "idempotency-key";
const KEY_LENGTH: usize = 200;

/// Ask for predictions.
///
/// All inputs are looked at before the first is taken. With an `Idempotency-Key` the same request is the same jobs.
#[utoipa::path(post, path = "/v1/predictions", request_body = Predictions,
    params(("Idempotency-Key" = Option<String>, Header, description = "your name for the request")),
    responses((status = 202, body = Jobs, description = "queued"), (status = 200, body = Jobs, description = "known already"),
              (status = 400, body = Problem), (status = 401, body = Problem), (status = 409, body = Problem),
              (status = 413, description = "too large"), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn predict(
    State(shared): Service,
    Extension(token): Extension<Token>,
    headers: HeaderMap,
    body: Result<Json<Predictions>, JsonRejection>,
) -> Answer<Response> {
    let Json(asked) = match body {
        Ok(body) => body,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            return Ok(rejection.into_response());
        }
        Err(rejection) => return Err(Failed::bad_request(rejection.body_text())),
    };
    let most = shared.options.max_inputs;
    if asked.inputs.is_empty() || asked.inputs.len() > most {
        let found = asked.inputs.len();
        return Err(Failed::bad_request(format!("inputs: from 1 to {most}, not {found}")));
    }
    if !(-100..=100).contains(&asked.priority) {
        return Err(Failed::bad_request("priority: from -100 to 100"));
    }
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let key = text(KEY);
    let is_key = |key: &str| !key.is_empty() && key.len() <= KEY_LENGTH;
    if key.is_some_and(|key| !is_key(key)) {
        return Err(Failed::bad_request("Idempotency-Key: from 1 to 200 visible ASCII characters"));
    }
    let mut inputs = Vec::with_capacity(asked.inputs.len());
    for (number, input) in asked.inputs.iter().enumerate() {
        let name = PathBuf::from(format!("inputs[{number}]"));
        let bytes = input.to_string();
        inputs.push(InputData::from_json(bytes.as_bytes(), &name).map_err(Error::from)?);
    }
    let intake = &shared.intake;
    let wanted = Wanted {
        key: key.map(str::to_owned),
        owner: token.name,
        priority: asked.priority,
        record: asked.record,
        context: asked.context,
        trace: text("traceparent").map(|trace| trace.chars().take(100).collect()),
        ..Wanted::default()
    };
    intake.within_quota(&wanted, token.quota, inputs.len()).await?;
    let submitted = intake.submit(&inputs, &wanted).await?;
    let known = submitted.iter().all(|it| it.known);
    let status = if known { StatusCode::OK } else { StatusCode::ACCEPTED };
    let jobs = submitted.iter().map(|it| JobView::from(&it.job)).collect();
    Ok((status, Json(Jobs { jobs })).into_response())
}

/// Which jobs to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Only jobs in this state.
    state: Option<String>,
    /// Only jobs that are older than this one.
    before: Option<String>,
    /// How many at most, up to 1000; 50 if absent.
    limit: Option<u32>,
}

/// List jobs, the newest first.
#[utoipa::path(get, path = "/v1/jobs", params(Which), responses((status = 200, body = Jobs)))]
pub(super) async fn jobs(
    State(shared): Service,
    Extension(token): Extension<Token>,
    Query(which): Query<Which>,
) -> Answer<Json<Jobs>> {
    let state = which.state.map(|text| text.parse::<JobState>()).transpose();
    let filter = Filter {
        state: state.map_err(Failed::bad_request)?,
        before: which.before.map(|text| text.parse()).transpose().map_err(Error::from)?,
        limit: which.limit.unwrap_or(50).min(1000),
        owner: (!token.operator).then_some(token.name),
    };
    let jobs = shared.intake.store().jobs(&filter).await?;
    Ok(Json(Jobs { jobs: jobs.iter().map(JobView::from).collect() }))
}

/// The job, if the token may see it.
pub(super) async fn find(shared: &Shared, token: &Token, id: &str) -> Answer<Job> {
    let id: JobId = id.parse().map_err(Error::from)?;
    let job = shared.intake.store().job(id).await?;
    // Whether others have a job of that name is none of a client's business.
    if token.operator || job.owner == token.name { Ok(job) } else { Err(Error::NoJob(id).into()) }
}

/// A job.
#[utoipa::path(get, path = "/v1/jobs/{id}", params(("id" = String, Path)),
    responses((status = 200, body = JobView), (status = 404, body = Problem)))]
pub(super) async fn job(
    State(shared): Service,
    Extension(token): Extension<Token>,
    Path(id): Path<String>,
) -> Answer<Json<JobView>> {
    Ok(Json(JobView::from(&find(&shared, &token, &id).await?)))
}

/// A job's proof, as `zkvouch prove` writes it.
#[utoipa::path(get, path = "/v1/jobs/{id}/proof", params(("id" = String, Path)),
    responses((status = 200, description = "proof.json"), (status = 404, body = Problem)))]
pub(super) async fn proof(
    State(shared): Service,
    Extension(token): Extension<Token>,
    Path(id): Path<String>,
) -> Answer<Response> {
    let job = find(&shared, &token, &id).await?;
    let Some(hash) = job.proof else {
        return Err(Failed::not_yet(format!("the job is {} and has no proof yet", job.state)));
    };
    let bytes = shared.intake.blobs().get(hash).await?;
    Ok(([(CONTENT_TYPE, "application/json")], bytes).into_response())
}

/// The transaction that a job's prediction is recorded by.
#[utoipa::path(get, path = "/v1/jobs/{id}/receipt", params(("id" = String, Path)),
    responses((status = 200, body = ReceiptView), (status = 404, body = Problem)))]
pub(super) async fn receipt(
    State(shared): Service,
    Extension(token): Extension<Token>,
    Path(id): Path<String>,
) -> Answer<Json<ReceiptView>> {
    let job = find(&shared, &token, &id).await?;
    let submission = match &job.submission {
        Some(id) => shared.intake.store().submission(id).await?,
        None => None,
    };
    let missing = || Failed::not_yet(format!("the job is {} and in no transaction", job.state));
    Ok(Json(ReceiptView::from(&submission.ok_or_else(missing)?)))
}

/// A recorded prediction's path, for the ledger's `isVerified`.
#[utoipa::path(get, path = "/v1/jobs/{id}/path", params(("id" = String, Path)),
    responses((status = 200, body = PathView), (status = 404, body = Problem)))]
pub(super) async fn path(
    State(shared): Service,
    Extension(token): Extension<Token>,
    Path(id): Path<String>,
) -> Answer<Json<PathView>> {
    let job = find(&shared, &token, &id).await?;
    let recorded = matches!(job.state, JobState::Recorded | JobState::Done);
    let (Some(prediction), true) = (job.prediction, recorded) else {
        return Err(Failed::not_yet(format!("the job is {} and not recorded", job.state)));
    };
    let store = shared.intake.store();
    let submission = match &job.submission {
        Some(id) => store.submission(id).await?,
        None => None,
    };
    let mut view = PathView { prediction_id: prediction.to_string(), root: None, path: Vec::new() };
    if let Some(submission) = submission
        && let Some(root) = submission.root
    {
        // A twin that was not in the transaction itself points to it, too.
        let jobs = store.jobs_of(&submission.id).await?;
        let mut ids: Vec<_> = jobs.iter().filter_map(|job| job.prediction).collect();
        let mut seen = std::collections::HashSet::new();
        ids.retain(|id| seen.insert(*id));
        let at = ids.iter().position(|id| *id == prediction);
        if let Some(path) = at.and_then(|at| tree::path(&ids, at))
            && tree::root(&ids) == Some(root)
        {
            view.root = Some(root.to_string());
            view.path = path.iter().map(ToString::to_string).collect();
        }
    }
    Ok(Json(view))
}

/// Try a job again that is dead or was cancelled.
#[utoipa::path(post, path = "/v1/jobs/{id}/retry", params(("id" = String, Path)),
    responses((status = 200, body = JobView), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn retry(
    State(shared): Service,
    Extension(token): Extension<Token>,
    Path(id): Path<String>,
) -> Answer<Json<JobView>> {
    let job = find(&shared, &token, &id).await?;
    Ok(Json(JobView::from(&shared.intake.store().retry(job.id).await?)))
}

/// Cancel a job that is in no transaction yet.
#[utoipa::path(post, path = "/v1/jobs/{id}/cancel", params(("id" = String, Path)),
    responses((status = 200, body = JobView), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn cancel(
    State(shared): Service,
    Extension(token): Extension<Token>,
    Path(id): Path<String>,
) -> Answer<Json<JobView>> {
    let job = find(&shared, &token, &id).await?;
    Ok(Json(JobView::from(&shared.intake.store().cancel(job.id).await?)))
}

/// The circuit that predictions are asked of.
#[utoipa::path(get, path = "/v1/circuit", responses((status = 200, description = "its manifest")))]
pub(super) async fn circuit(State(shared): Service) -> Json<Value> {
    Json(serde_json::to_value(shared.intake.circuit()).unwrap_or_default())
}

/// The queue at a glance; for operators.
#[utoipa::path(get, path = "/v1/overview",
    responses((status = 200, description = "as `zkvouch fleet status --json`"), (status = 403, body = Problem)))]
pub(super) async fn overview(
    State(shared): Service,
    Extension(token): Extension<Token>,
) -> Answer<Json<Value>> {
    only_operators(&token)?;
    let overview = shared.intake.store().overview().await?;
    Ok(Json(serde_json::to_value(overview).unwrap_or_default()))
}

/// The newest submissions; for operators.
#[utoipa::path(get, path = "/v1/submissions",
    responses((status = 200, body = Vec<ReceiptView>), (status = 403, body = Problem)))]
pub(super) async fn submissions(
    State(shared): Service,
    Extension(token): Extension<Token>,
) -> Answer<Json<Vec<ReceiptView>>> {
    only_operators(&token)?;
    let submissions = shared.intake.store().submissions(50).await?;
    Ok(Json(submissions.iter().map(ReceiptView::from).collect()))
}
