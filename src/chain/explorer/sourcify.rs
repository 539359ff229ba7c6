//! Sourcify's v2 API: `POST v2/verify/<chain>/<address>` names a job, `GET v2/verify/<job>` decides.
//! An error has a `customCode` and a `message`.

use super::{Answer, Connection, Error, Result, SourceRequest, Verified};
use serde_json::{Value, json};
use url::Url;

/// What passes by itself: the chain is ahead of Sourcify's node, or the very same is being verified.
const PASSING: [&str; 3] =
    ["cannot_fetch_bytecode", "contract_not_deployed", "duplicate_verification_request"];

pub(super) async fn submit(connection: &Connection, request: &SourceRequest) -> Result<Answer> {
    let mut body = json!({
        "stdJsonInput": request.standard_input,
        "compilerVersion": request.compiler_version,
        "contractIdentifier": request.contract,
    });
    if let Some(hash) = request.transaction {
        body["creationTransactionHash"] = json!(hash);
    }
    let contract = [connection.chain_id.to_string(), request.address.to_string()];
    let url = url(connection, &[&contract[0], &contract[1]]);
    let reply = connection.client.send(url, Some(("application/json", body.to_string()))).await?;
    match reply.body["verificationId"].as_str() {
        Some(job) => Ok(Answer::Job(job.to_owned())),
        None => {
            let answer = refusal(connection, request, &reply.body);
            answer.unwrap_or_else(|| Err(connection.garbage(&reply)))
        }
    }
}

pub(super) async fn check(
    connection: &Connection,
    request: &SourceRequest,
    job: &str,
) -> Result<Answer> {
    let reply = connection.client.send(url(connection, &[job]), None).await?;
    let body = &reply.body;
    if let Some(answer) = refusal(connection, request, &body["error"]) {
        return answer;
    }
    match (body["isJobCompleted"].as_bool(), body["contract"]["match"].as_str()) {
        (Some(false), _) => Ok(Answer::NotYet("the job is running".into())),
        // An exact match has the metadata's hash too, which our code does not carry.
        (Some(true), Some("exact_match" | "match")) => Ok(Answer::Done(Verified::Now)),
        (Some(true), _) => Err(connection.rejected(request, "source and chain do not match")),
        _ => Err(connection.garbage(&reply)),
    }
}

/// What an error means; nothing if it is none.
fn refusal(
    connection: &Connection,
    request: &SourceRequest,
    error: &Value,
) -> Option<Result<Answer, Error>> {
    let code = error["customCode"].as_str()?;
    let message = error["message"].as_str().unwrap_or(code);
    Some(match code {
        "already_verified" => Ok(Answer::Done(Verified::Already)),
        _ if PASSING.contains(&code) => Ok(Answer::NotYet(connection.client.tidy(message))),
        _ => Err(connection.rejected(request, &format!("{message} ({code})"))),
    })
}

fn url(connection: &Connection, rest: &[&str]) -> Url {
    let mut url = connection.client.url();
    // An http URL can be a base, so it has segments.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(["v2", "verify"]).extend(rest);
    }
    url
}
