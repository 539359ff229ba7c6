//! One large file over HTTP: retries with growing pauses, and continues where a connection broke.

use super::{Error, Result};
use crate::{files, task::blocking, toolchain};
use alloy::primitives::B256;
use reqwest::{
    Client, Response, StatusCode,
    header::{CONTENT_RANGE, RANGE},
};
use std::{fs, io, path::Path, time::Duration};
use tokio::{fs::OpenOptions, io::AsyncWriteExt as _};
use url::Url;

/// Who publishes files, in the order in which they are asked: a ceremony's name and the address of its files. ezkl's
/// own host was refused to users for days in 2026.
pub const MIRRORS: [(&str, &str); 2] = [
    ("ppot-0071", "https://kzg.ezkl.xyz/kzg{k}.srs"),
    (
        "ppot-challenge-0085",
        "https://axiom-crypto.s3.amazonaws.com/challenge_0085/kzg_bn254_{k}.srs",
    ),
];

/// How patient a download is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpOptions {
    /// For one connection to be made.
    pub connect_timeout: Duration,
    /// For some bytes to come.
    pub read_timeout: Duration,
    /// Attempts that bring nothing, before it gives up. One that brought bytes does not count.
    pub attempts: u32,
    /// The pause after the first attempt; it doubles each time, up to 16 times itself.
    pub backoff: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            attempts: 4,
            backoff: Duration::from_millis(500),
        }
    }
}

/// The address of the file for k.
pub(super) fn address(template: &str, k: u32) -> Result<Url> {
    let fault = |message: String| Error::Url { url: template.to_owned(), message };
    let text = if template.contains("{k}") {
        template.replace("{k}", &k.to_string())
    } else {
        format!("{}/kzg{k}.srs", template.trim_end_matches('/'))
    };
    let url = Url::parse(&text).map_err(|error| fault(error.to_string()))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(fault(format!("{scheme} is neither http nor https"))),
    }
}

/// Why a download failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The partial file could not be read or written.
    File(files::Error),
    /// The server or the way to it.
    Http(String),
}

impl From<files::Error> for Failure {
    fn from(error: files::Error) -> Self {
        Self::File(error)
    }
}

/// The end of one attempt.
enum Attempt {
    /// Every byte is there.
    Complete,
    /// It may go better next time.
    Retry(String),
}

fn client(options: &HttpOptions) -> reqwest::Result<Client> {
    toolchain::install_crypto_provider();
    Client::builder()
        .connect_timeout(options.connect_timeout)
        .read_timeout(options.read_timeout)
        .user_agent(concat!("zkvouch/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Whether there is a file at an address, by one question without patience.
pub(super) async fn answers(url: &Url) -> bool {
    let soon = Duration::from_secs(5);
    let options =
        HttpOptions { connect_timeout: soon, read_timeout: soon, ..HttpOptions::default() };
    let Ok(client) = client(&options) else { return false };
    client.head(url.clone()).send().await.is_ok_and(|answer| answer.status().is_success())
}

/// Downloads to `part`, continuing what is there, until it has `len` bytes; returns their SHA-256.
/// On a failure the part stays, for the next time.
pub(super) async fn download(
    url: &Url,
    part: &Path,
    len: u64,
    options: &HttpOptions,
) -> Result<B256, Failure> {
    let client = client(options).map_err(|error| Failure::Http(reasons(&error)))?;
    tracing::info!(%url, bytes = len, "fetching the SRS");
    let mut failures = 0;
    let mut had = size(part);
    loop {
        let message = match attempt(&client, url, part, len).await? {
            Attempt::Complete => break,
            Attempt::Retry(message) => message,
        };
        let has = size(part);
        failures = if has > had { 1 } else { failures + 1 };
        had = has;
        if failures >= options.attempts {
            let attempts = options.attempts;
            return Err(Failure::Http(format!("{message} (gave up after {attempts} attempts)")));
        }
        let pause = options.backoff * (1 << (failures - 1).min(4));
        tracing::info!(%url, message, ?pause, have = has, "trying again");
        tokio::time::sleep(pause).await;
    }
    let part = part.to_owned();
    Ok(blocking(move || files::sha256_file(&part)).await?)
}

fn size(part: &Path) -> u64 {
    fs::metadata(part).map_or(0, |metadata| metadata.len())
}

async fn attempt(client: &Client, url: &Url, part: &Path, len: u64) -> Result<Attempt, Failure> {
    let mut have = size(part);
    if have > len {
        truncate(part)?;
        have = 0;
    }
    if have == len {
        return Ok(Attempt::Complete);
    }
    let mut request = client.get(url.clone());
    if have > 0 {
        request = request.header(RANGE, format!("bytes={have}-"));
    }
    let mut response = match request.send().await {
        Ok(response) => response,
        // A wrong name or a refused port may be a network that is just coming up.
        Err(error) => return Ok(Attempt::Retry(reasons(&error))),
    };
    let status = response.status();
    match status {
        // The whole file, asked for or not.
        StatusCode::OK => {
            if have > 0 {
                truncate(part)?;
            }
            have = 0;
        }
        StatusCode::PARTIAL_CONTENT if range_start(&response) == Some(have) => {}
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
            truncate(part)?;
            return Ok(Attempt::Retry(format!("{url} cannot continue at byte {have}")));
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            return Ok(Attempt::Retry(format!("{url} answers {status}")));
        }
        status if status.is_server_error() => {
            return Ok(Attempt::Retry(format!("{url} answers {status}")));
        }
        status => return Err(Failure::Http(format!("{url} answers {status}"))),
    }
    if let Some(more) = response.content_length()
        && have.saturating_add(more) != len
    {
        let whole = have.saturating_add(more);
        let message = format!("{url} serves {whole} bytes, but the file has {len}");
        return Err(Failure::Http(message));
    }
    let io_error = |error| files::Error::at("write", part)(error);
    if let Some(folder) = part.parent() {
        files::create_dir_all(folder)?;
    }
    let mut file =
        OpenOptions::new().create(true).append(true).open(part).await.map_err(io_error)?;
    let outcome = loop {
        match response.chunk().await {
            Ok(Some(bytes)) => {
                have += bytes.len() as u64;
                if have > len {
                    drop(file);
                    truncate(part)?;
                    let message = format!("{url} serves more than the file's {len} bytes");
                    return Err(Failure::Http(message));
                }
                file.write_all(&bytes).await.map_err(io_error)?;
            }
            Ok(None) if have == len => break Attempt::Complete,
            Ok(None) => break Attempt::Retry(format!("{url} stopped after {have} of {len} bytes")),
            Err(error) => break Attempt::Retry(reasons(&error)),
        }
    };
    file.sync_all().await.map_err(io_error)?;
    Ok(outcome)
}

fn truncate(part: &Path) -> Result<(), files::Error> {
    match fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(files::Error::at("remove", part)(error))
        }
        _ => Ok(()),
    }
}

/// The first byte of `Content-Range: bytes <first>-<last>/<length>`.
fn range_start(response: &Response) -> Option<u64> {
    let value = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    value.strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok()
}

/// An error with its causes: reqwest's own text leaves out what matters.
fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
