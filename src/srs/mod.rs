//! The structured reference string (SRS): the public parameters of KZG commitments, from a
//! ceremony in which it is enough that one participant was honest.

pub mod ceremony;
pub mod dev;
mod fetch;
mod file;
mod import;
mod sums;

pub use self::{
    ceremony::Ceremony,
    fetch::{HttpOptions, MIRRORS},
    file::{MAX_K, SrsFile, file_len},
    import::{Import, import},
};

use crate::{
    error::ErrorKind,
    files::{self, Pending},
    model::provenance::Provenance,
    task::blocking,
    toolchain::{self, NpmPackage},
};
use alloy::primitives::B256;
use base64::Engine as _;
use std::{
    fmt, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    str::FromStr,
};

/// The k for which the npm registry has ceremony files, and smaller ones can be made.
pub const NPM_MAX_K: u32 = 14;

const NPM_MIN_K: u32 = 6;
const NPM_INTEGRITY: &str = "sha512-ImSTukq/ErEGIv1is6A+eSmJwGjwW6R1XzXaX/pv43wdW+B10u0Kf4l5zD5k1aQ5lhfV1vO3rpzl3rcY8VyPog==";

/// An SRS is unusable or could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] files::Error),
    /// A file is no SRS, or a damaged or dishonest one.
    #[error("{} is not a usable SRS (halo2 ParamsKZG, raw): {message}", path.display())]
    Invalid {
        /// The path of the file that was checked.
        path: PathBuf,
        /// What is wrong, as in `τ is zero`.
        message: String,
    },
    /// A user's file is too small for the circuit.
    #[error(
        "{} has k={found}, but the circuit needs k={needed}; give a larger file with --srs, or make \
         the circuit smaller (lower `logrows`, or `zkvouch tune`)",
        path.display()
    )]
    TooSmall {
        /// The path of the user's file.
        path: PathBuf,
        /// The file's k: it has 2^k points.
        found: u32,
        /// The k that the circuit needs, its `logrows`.
        needed: u32,
    },
    /// No ceremony has published a file for this k.
    #[error(
        "there is no public SRS for k={k} (1 to 26 exist); make the circuit smaller: lower \
         `logrows`, or `zkvouch tune`"
    )]
    NoCeremony {
        /// The k asked for, the circuit's `logrows`.
        k: u32,
    },
    /// The ceremony's file could not be fetched.
    #[error(
        "cannot get the ceremony SRS for k={k}: {message}. Remedies: go online or set another \
         address with --srs ceremony:<url> (now {url}); give a file of your own with --srs <path>; make the \
         circuit fit k <= {NPM_MAX_K}, for which the npm registry has a ceremony (lower `logrows`, \
         a smaller `decomp_base` with more `decomp_legs`, or `zkvouch tune`); or, for a local chain \
         only, --srs unsafe-dev"
    )]
    Unavailable {
        /// The k asked for, the circuit's `logrows`.
        k: u32,
        /// Where it was looked for.
        url: String,
        /// What went wrong, with every way that was tried.
        message: String,
    },
    /// What was fetched is not the ceremony's file.
    #[error(
        "{url} serves a file with SHA-256 {found}, which is no known ceremony's for k={k}; it was \
         not used. Set another address with --srs ceremony:<url> or give a file of your own with --srs <path>"
    )]
    Hash {
        /// The address of the file, `{k}` filled in.
        url: String,
        /// The k asked for, the circuit's `logrows`.
        k: u32,
        /// The hash of what came.
        found: B256,
    },
    /// An unsafe SRS of this size is not made.
    #[error("an unsafe-dev SRS is made for k from 1 to {}, not k={k}; lower `logrows`", dev::MAX_K)]
    DevTooLarge {
        /// The k asked for, the circuit's `logrows`.
        k: u32,
    },
    /// The address is no URL.
    #[error("{url:?} is no address for SRS files: {message}; write https://host/path/kzg{{k}}.srs")]
    Url {
        /// The address or template that was given.
        url: String,
        /// What is wrong with it.
        message: String,
    },
    /// A tool or the cache folder is missing.
    #[error(transparent)]
    Toolchain(#[from] toolchain::Error),
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::File(inner) => inner.kind(),
            Self::Toolchain(inner) => inner.kind(),
            Self::Invalid { .. }
            | Self::TooSmall { .. }
            | Self::NoCeremony { .. }
            | Self::DevTooLarge { .. }
            | Self::Url { .. } => ErrorKind::BadInput,
            Self::Unavailable { .. } | Self::Hash { .. } => ErrorKind::Tool,
        }
    }
}

impl Error {
    fn invalid(path: &Path, message: String) -> Self {
        Self::Invalid { path: path.to_owned(), message }
    }
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Where an SRS is to come from. As text: `ceremony`, `ceremony:<url>[,<url>…]`, `unsafe-dev`, or a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A ceremony's file. Without an address: from the npm registry for k up to 14, else from the first of
    /// [`MIRRORS`] that answers. With addresses: from the first of them that does, and nowhere else.
    Ceremony {
        /// `https://host/path/kzg{k}.srs`; without `{k}`, `/kzg{k}.srs` is appended.
        urls: Vec<String>,
    },
    /// A file of the user's own, which is never changed or deleted.
    Path(PathBuf),
    /// With a public τ: anybody can forge proofs. For a local chain only.
    UnsafeDev,
}

impl Default for Source {
    fn default() -> Self {
        Self::Ceremony { urls: Vec::new() }
    }
}

impl Source {
    /// The same with a relative path taken from `folder`.
    #[must_use]
    pub fn within(&self, folder: &Path) -> Self {
        match self {
            Self::Path(path) => Self::Path(folder.join(path)),
            other => other.clone(),
        }
    }
}

impl FromStr for Source {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "ceremony" => Self::default(),
            "unsafe-dev" => Self::UnsafeDev,
            other => match other.strip_prefix("ceremony:") {
                Some(urls) => Self::Ceremony {
                    urls: urls.split(',').map(|url| url.trim().to_owned()).collect(),
                },
                None => Self::Path(PathBuf::from(other)),
            },
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ceremony { urls } if urls.is_empty() => f.write_str("ceremony"),
            Self::Ceremony { urls } => write!(f, "ceremony:{}", urls.join(",")),
            Self::Path(path) => path.display().fmt(f),
            Self::UnsafeDev => f.write_str("unsafe-dev"),
        }
    }
}

/// An SRS in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obtained {
    /// The file: the destination that was asked for.
    pub path: PathBuf,
    /// log2 of its number of points.
    pub k: u32,
    /// Who may know τ.
    pub provenance: Provenance,
    /// The SHA-256 of the file.
    pub sha256: B256,
}

/// Puts an SRS for `k` at `destination`. What was fetched or made is kept in `cache/srs` and used
/// again.
///
/// # Errors
/// Why none is to be had, with the remedies. Never a file that was not checked: a ceremony's
/// against its published hash, a user's own point by point.
pub async fn obtain(source: &Source, k: u32, cache: &Path, destination: &Path) -> Result<Obtained> {
    obtain_with(source, k, cache, destination, &HttpOptions::default()).await
}

/// As [`obtain`], with limits of one's own for HTTP.
pub async fn obtain_with(
    source: &Source,
    k: u32,
    cache: &Path,
    destination: &Path,
    http: &HttpOptions,
) -> Result<Obtained> {
    let folder = cache.join("srs");
    let _lock = toolchain::lock_cache(folder.join("lock")).await?;
    match source {
        Source::Ceremony { urls } => {
            let (cached, hash) = from_ceremony(urls, k, cache, http).await?;
            blocking({
                let destination = destination.to_owned();
                move || place(&cached, hash, k, &destination)
            })
            .await
        }
        Source::Path(path) => {
            let (path, destination) = (path.clone(), destination.to_owned());
            blocking(move || from_path(&path, k, &folder, &destination)).await
        }
        Source::UnsafeDev => {
            let destination = destination.to_owned();
            blocking(move || {
                let cached = folder.join(format!("unsafe-dev-k{k}.srs"));
                // One of an older zkvouch has a τ of its own.
                let usable = |file: &SrsFile| file.k() == k && file.provenance().is_unsafe();
                let hash = usable_hash(&cached, usable);
                let hash = match hash {
                    Some(hash) => hash,
                    None => {
                        dev::generate(k, &cached)?;
                        files::sha256_file(&cached)?
                    }
                };
                place(&cached, hash, k, &destination)
            })
            .await
        }
    }
}

/// Whether an SRS for `k` is there, can be made, or comes from a package registry rather than from an
/// address of its own: whether it costs little to have. A file counts by its name; [`obtain`] checks it.
pub fn is_at_hand(source: &Source, k: u32, cache: &Path) -> bool {
    match source {
        Source::UnsafeDev => (1..=dev::MAX_K).contains(&k),
        Source::Path(path) => SrsFile::open(path).is_ok_and(|file| file.check_k(k).is_ok()),
        Source::Ceremony { urls } if urls.is_empty() && (1..=NPM_MAX_K).contains(&k) => true,
        Source::Ceremony { urls } => addresses(urls, k).is_ok_and(|addresses| {
            addresses.iter().any(|address| fetched_path(address, k, cache).exists())
        }),
    }
}

/// Whether an address of a ceremony's files answers for `k`. Nothing is fetched.
pub async fn can_be_fetched(source: &Source, k: u32) -> bool {
    let Source::Ceremony { urls } = source else { return false };
    let Ok(addresses) = addresses(urls, k) else { return false };
    if !(1..=26).contains(&k) {
        return false;
    }
    for address in addresses {
        if fetch::answers(&address).await {
            return true;
        }
    }
    false
}

/// Where the file for k is looked for, in order: at the addresses given, or at those mirrors that have a file for k
/// whose hash is known.
fn addresses(urls: &[String], k: u32) -> Result<Vec<url::Url>> {
    if !urls.is_empty() {
        return urls.iter().map(|url| fetch::address(url, k)).collect();
    }
    let known = |name: &str| ceremony::by_name(name).is_some_and(|it| it.sha256.contains_key(&k));
    let mirrors = MIRRORS.iter().filter(|(ceremony, _)| known(ceremony));
    mirrors.map(|(_, url)| fetch::address(url, k)).collect()
}

/// Where what was fetched is kept. Which ceremony an address has cannot be known before it has answered
/// once.
fn fetched_path(address: &url::Url, k: u32, cache: &Path) -> PathBuf {
    let key = files::sha256(address.as_str().as_bytes()).to_string();
    cache.join("srs").join(format!("url-{}-k{k}.srs", &key[2..18]))
}

/// The hash of a cached file that was made here, if it is usable and every point of it right.
fn usable_hash(cached: &Path, usable: impl Fn(&SrsFile) -> bool) -> Option<B256> {
    let hash = files::sha256_file(cached).ok()?;
    let file = SrsFile::open(cached).ok().filter(usable)?;
    file.verify().is_ok().then_some(hash)
}

/// The cached file of a ceremony for this k and its hash, fetched or derived where it is not there.
async fn from_ceremony(
    urls: &[String],
    k: u32,
    cache: &Path,
    http: &HttpOptions,
) -> Result<(PathBuf, B256)> {
    let folder = cache.join("srs");
    if !(1..=26).contains(&k) {
        return Err(Error::NoCeremony { k });
    }
    let mut npm_failure = None;
    if urls.is_empty() && k <= NPM_MAX_K {
        let path = folder.join(format!("{}-k{k}.srs", ceremony::NPM));
        if let Some(hash) = published(&path, k).await? {
            return Ok((path, hash));
        }
        match from_npm(k, cache, &path).await {
            Ok(hash) => return Ok((path, hash)),
            Err(error @ Error::File(_)) => return Err(error),
            Err(error) => {
                tracing::info!(%error, "no ceremony SRS from the npm registry; trying HTTP");
                npm_failure = Some(error);
            }
        }
    }
    let addresses = addresses(urls, k)?;
    for address in &addresses {
        let path = fetched_path(address, k, cache);
        if let Some(hash) = published(&path, k).await? {
            return Ok((path, hash));
        }
    }
    let mut failure = None;
    for address in &addresses {
        match from_address(address, k, cache, http).await {
            // What this machine lacks, the next address can't give.
            Err(error @ Error::File(_)) => return Err(error),
            Err(error) => {
                tracing::info!(%error, "no SRS from there");
                failure = Some(failure.unwrap_or(error));
            }
            found => return found,
        }
    }
    let failure = failure.unwrap_or(Error::NoCeremony { k });
    Err(match (failure, npm_failure) {
        (Error::Unavailable { k, url, message }, Some(npm)) => {
            Error::Unavailable { k, url, message: format!("{npm}; and {message}") }
        }
        (failure, _) => failure,
    })
}

async fn from_address(
    address: &url::Url,
    k: u32,
    cache: &Path,
    http: &HttpOptions,
) -> Result<(PathBuf, B256)> {
    let path = fetched_path(address, k, cache);
    let part = path.with_extension("part");
    let found = match fetch::download(address, &part, file_len(k), http).await {
        Ok(found) => found,
        Err(fetch::Failure::File(error)) => return Err(error.into()),
        Err(fetch::Failure::Http(message)) => {
            return Err(Error::Unavailable { k, url: address.to_string(), message });
        }
    };
    if published_k(found) == Some(k) {
        fs::rename(&part, &path).map_err(files::Error::at("write", &path))?;
        return Ok((path, found));
    }
    fs::remove_file(&part).map_err(files::Error::at("remove", &part))?;
    Err(Error::Hash { url: address.to_string(), k, found })
}

/// The k of a ceremony's file with this hash.
fn published_k(hash: B256) -> Option<u32> {
    ceremony::by_sha256(hash).map(|(_, k)| k)
}

/// The hash of the file, if it is there and has a published one for this k. A file that is something
/// else was damaged in the cache, and the one that is fetched takes its place.
async fn published(path: &Path, k: u32) -> Result<Option<B256>> {
    if !path.exists() {
        return Ok(None);
    }
    let path = path.to_owned();
    blocking(move || {
        let hash = files::sha256_file(&path)?;
        if published_k(hash) == Some(k) {
            return Ok(Some(hash));
        }
        tracing::warn!(path = %path.display(), "damaged in the cache; getting it again");
        Ok(None)
    })
    .await
}

/// The package that carries a ceremony's files.
fn npm_package() -> NpmPackage {
    NpmPackage::new("@axiom-crypto/halo2-js", "0.1.81", NPM_INTEGRITY)
}

async fn from_npm(k: u32, cache: &Path, destination: &Path) -> Result<B256> {
    let folder = npm_package().install(cache).await?;
    let destination = destination.to_owned();
    let source_k = k.max(NPM_MIN_K);
    blocking(move || {
        let module = folder.join(format!("kzg/bin/kzg_bn254_{source_k}_b64.js"));
        let text = files::read_to_string(&module)?;
        // `exports.srs = "<base64>";` is the one long string in the module.
        let encoded = text.split('"').max_by_key(|piece| piece.len()).unwrap_or_default();
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(encoded)
            .map_err(|error| Error::invalid(&module, format!("no base64: {error}")))?;
        let hash = files::sha256(&bytes);
        if published_k(hash) != Some(source_k) {
            let message = format!("SHA-256 {hash} is no ceremony's for k={source_k}");
            return Err(Error::invalid(&module, message));
        }
        if source_k == k {
            files::write_atomic(&destination, &bytes)?;
            return Ok(hash);
        }
        let mut larger = Pending::new(&destination)?;
        larger.file().write_all(&bytes).map_err(files::Error::at("write", &destination))?;
        SrsFile::open(larger.path())?.truncate_to(k, &destination)?;
        Ok(files::sha256_file(&destination)?)
    })
    .await
}

/// A user's own file: checked point by point unless its hash is published, and cut to size.
fn from_path(path: &Path, k: u32, folder: &Path, destination: &Path) -> Result<Obtained> {
    let file = SrsFile::open(path)?;
    file.check_k(k)?;
    let hash = files::sha256_file(path)?;
    if file.k() == k {
        if published_k(hash) != Some(k) {
            tracing::info!(path = %path.display(), k, "checking every point of the SRS");
            file.verify()?;
        }
        return place(path, hash, k, destination);
    }
    // Cutting costs seconds, so what was cut is kept, under the hash of what it was cut from.
    let cached = folder.join(format!("{}-k{k}.srs", &hash.to_string()[2..]));
    let usable = |cut: &SrsFile| cut.k() == k && cut.tau_g2() == file.tau_g2();
    let cut_hash = match usable_hash(&cached, usable) {
        Some(hash) => hash,
        None => {
            tracing::info!(from = file.k(), to = k, "cutting the SRS to the circuit's size");
            file.truncate_to(k, &cached)?;
            files::sha256_file(&cached)?
        }
    };
    place(&cached, cut_hash, k, destination)
}

/// Copies a file to its destination, where it must be the one that was checked, by its hash.
fn place(from: &Path, hash: B256, k: u32, destination: &Path) -> Result<Obtained> {
    let changed = || Error::invalid(from, "it changed after it was checked".to_owned());
    let there = fs::canonicalize(destination).ok();
    if there.is_none() || there != fs::canonicalize(from).ok() {
        let mut pending = Pending::new(destination)?;
        let mut source = fs::File::open(from).map_err(files::Error::at("read", from))?;
        // Not by `fs::copy`, which takes over the mode of what may be private or read-only.
        io::copy(&mut source, pending.file()).map_err(files::Error::at("write", destination))?;
        if files::sha256_file(pending.path())? != hash {
            return Err(changed());
        }
        pending.commit()?;
    } else if files::sha256_file(destination)? != hash {
        return Err(changed());
    }
    let provenance = SrsFile::open(destination)?.provenance();
    Ok(Obtained { path: destination.to_owned(), k, provenance, sha256: hash })
}

#[cfg(test)]
mod tests;
