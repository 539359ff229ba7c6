//! Results kept by the hash of everything that they depend on.

use super::{Error, TuneRequest, report::TuneReport};
use crate::{accuracy::Observation, artifacts::settings::Settings, files};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Changed whenever the search does.
const GENERATION: u32 = 6;

#[derive(Serialize, Deserialize)]
struct Stored {
    report: TuneReport,
    /// settings.json as it was: ezkl does not make the same bytes twice.
    settings: Value,
}

/// The key of a request's result.
pub(super) fn key(
    request: &TuneRequest,
    data: &[Observation],
    corners: &[Observation],
    version: &str,
) -> Result<String, Error> {
    let mut parts = json!({
        "generation": GENERATION,
        "engine": version,
        "model": files::sha256_file(&request.model)?,
        "data": files::sha256(json!([data, corners]).to_string().as_bytes()),
        "run_args": request.run_args,
        "objective": request.objective,
        "max_error": request.max_error,
        "time": request.time.as_secs_f64(),
        "max_logrows": request.max_logrows,
        "margins": [request.range_margin, request.lookup_margin],
        "seed": request.seed,
        "costs": request.costs,
        "hardfork": request.costs.hardfork,
        "prove": request.prove,
        "decomposition": request.decomposition,
        "chain": request.chain,
        "srs": request.srs.as_ref().map(|(source, _)| source.to_string()),
    });
    if !request.batch.is_one() {
        parts["batch"] = json!(request.batch);
    }
    Ok(format!("{:x}", files::sha256(parts.to_string().as_bytes())))
}

fn path(request: &TuneRequest, key: &str) -> Option<PathBuf> {
    request.cache.as_ref().map(|folder| folder.join(format!("tune-{key}.json")))
}

/// The stored result, its settings written where the request wants them. A file that can't be read, or
/// is not as it was written, counts as absent.
pub(super) fn load(request: &TuneRequest, key: &str) -> Result<Option<TuneReport>, Error> {
    let Some(path) = path(request, key) else { return Ok(None) };
    let Some(bytes) = files::read_checked(&path) else { return Ok(None) };
    let Ok(stored) = serde_json::from_slice::<Stored>(&bytes) else { return Ok(None) };
    let settings = stored.settings.to_string();
    let Ok(settings) = Settings::from_json(settings.as_bytes(), &path) else { return Ok(None) };
    settings.write(&request.settings)?;
    Ok(Some(TuneReport { cached: true, ..stored.report }))
}

/// Stores a result, unless the search was cut short: the next one may get further.
pub(super) fn save(request: &TuneRequest, key: &str, report: &TuneReport, settings: &Settings) {
    let Some(path) = path(request, key).filter(|_| report.complete) else { return };
    let stored = json!({ "report": report, "settings": settings });
    // It is in the request's own place already; without a copy it is searched for again.
    if let Err(error) = files::write_checked(&path, stored.to_string().as_bytes()) {
        tracing::debug!(%error, "the result is not kept");
    }
}
