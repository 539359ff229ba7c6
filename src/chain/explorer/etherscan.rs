//! Etherscan's API, which Blockscout speaks too: `action=verifysourcecode` names a job, and
//! `action=checkverifystatus` decides. An answer has `status` "1" or "0" and its words in `result`.

use super::{Answer, Connection, Explorer, Result, SourceRequest, Verified};
use url::{Url, form_urlencoded};

const FORM: &str = "application/x-www-form-urlencoded";

/// What passes by itself, in lower case: a queue, a limit of requests a second, and an index that is
/// behind the chain.
const PASSING: [&str; 5] = [
    "pending in queue",
    "in progress",
    "rate limit",
    "unable to locate contractcode",
    "does not have bytecode",
];

pub(super) async fn submit(connection: &Connection, request: &SourceRequest) -> Result<Answer> {
    let address = request.address.to_string();
    let input = request.standard_input.to_string();
    let version = format!("v{}", request.compiler_version);
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
    if let Some(key) = &connection.client.key {
        form.append_pair("apikey", key.expose().trim());
    }
    let reply = connection.client.send(url(connection, &[]), Some((FORM, form.finish()))).await?;
    let (result, message) = (reply.body["result"].as_str(), reply.body["message"].as_str());
    match (reply.body["status"].as_str(), result.or(message)) {
        (Some("1"), Some(job)) => Ok(Answer::Job(job.to_owned())),
        (Some("0"), Some(words)) => undecided(connection, request, words),
        _ => Err(connection.garbage(&reply)),
    }
}

pub(super) async fn check(
    connection: &Connection,
    request: &SourceRequest,
    job: &str,
) -> Result<Answer> {
    let mut query = vec![("module", "contract"), ("action", "checkverifystatus"), ("guid", job)];
    if let Some(key) = &connection.client.key {
        query.push(("apikey", key.expose().trim()));
    }
    let reply = connection.client.send(url(connection, &query), None).await?;
    match (reply.body["status"].as_str(), reply.body["result"].as_str()) {
        (Some("1"), Some(words)) if words.starts_with("Pass") => Ok(Answer::Done(Verified::Now)),
        (Some("0" | "1"), Some(words)) => undecided(connection, request, words),
        _ => Err(connection.garbage(&reply)),
    }
}

/// What words other than "Pass" mean.
fn undecided(connection: &Connection, request: &SourceRequest, words: &str) -> Result<Answer> {
    let lower = words.to_lowercase();
    if lower.contains("already verified") {
        Ok(Answer::Done(Verified::Already))
    } else if PASSING.iter().any(|passing| lower.contains(passing)) {
        Ok(Answer::NotYet(connection.client.tidy(words)))
    } else {
        Err(connection.rejected(request, words))
    }
}

/// Etherscan wants the chain in the query even of a POST.
fn url(connection: &Connection, query: &[(&str, &str)]) -> Url {
    let mut url = connection.client.url();
    let chain = connection.chain_id.to_string();
    if connection.explorer() == Explorer::Etherscan {
        url.query_pairs_mut().append_pair("chainid", &chain);
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url
}
