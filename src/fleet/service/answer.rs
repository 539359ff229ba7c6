//! Failures as answers.

use crate::{error::ErrorKind, fleet::Error};
use axum::{
    Json,
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

/// What a request failed by.
#[derive(Debug)]
pub(super) struct Failed {
    status: StatusCode,
    code: &'static str,
    message: String,
}

/// The body of an answer that is a failure.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// The failure.
    error: ProblemDetail,
}

/// What failed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProblemDetail {
    /// For programs.
    code: &'static str,
    /// For people: what is wrong and what to do.
    message: String,
}

impl Failed {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(super) fn no_token() -> Self {
        let message = "no valid token; send one that `zkvouch fleet token add` made, as `Authorization: Bearer …`";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    pub(super) fn not_allowed() -> Self {
        let message = "this takes an operator's token (`zkvouch fleet token add NAME --operator`)";
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub(super) fn too_many() -> Self {
        let message = "too many requests of this token in a short time; wait a second";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message)
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_input", message)
    }

    pub(super) fn not_yet(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_yet", message)
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        if error.is_outage() {
            // What the database says of itself is the operator's business.
            tracing::warn!(%error, "a request could not be served");
            return Self::unavailable("the queue or its store is away; try again in a while");
        }
        let (status, code) = match &error {
            Error::NoJob(_) => (StatusCode::NOT_FOUND, "no_job"),
            Error::BadJobId(_) => (StatusCode::BAD_REQUEST, "bad_input"),
            Error::KeyUsed { .. } => (StatusCode::CONFLICT, "key_used"),
            Error::WrongState { .. } => (StatusCode::CONFLICT, "wrong_state"),
            Error::Quota { .. } => (StatusCode::TOO_MANY_REQUESTS, "quota"),
            Error::Artifact(inner) if inner.kind() == ErrorKind::BadInput => {
                (StatusCode::BAD_REQUEST, "bad_input")
            }
            _ => {
                tracing::error!(%error, "a request failed");
                let message = "the service failed; its log says why";
                return Self::new(StatusCode::INTERNAL_SERVER_ERROR, "failure", message);
            }
        };
        Self::new(status, code, error.to_string())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let Self { status, code, message } = self;
        let body = Json(Problem { error: ProblemDetail { code, message } });
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                (status, [(RETRY_AFTER, "1")], body).into_response()
            }
            _ => (status, body).into_response(),
        }
    }
}

pub(super) async fn no_such_path() -> Failed {
    let message = "no such path; /openapi.json describes those that there are";
    Failed::new(StatusCode::NOT_FOUND, "no_path", message)
}
