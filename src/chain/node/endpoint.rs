//! Which node to talk to: a URL, or a name from foundry.toml's `[rpc_endpoints]`.

use crate::{error::ErrorKind, files};
use std::{
    fmt,
    path::{Path, PathBuf},
};
use url::Url;

/// Where Anvil listens unless told otherwise.
pub const LOCAL_URL: &str = "http://127.0.0.1:8545";

/// An endpoint could not be worked out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither a URL nor a known alias.
    #[error(
        "`{alias}` is neither an http(s) URL nor an alias in [rpc_endpoints] of {}; {}",
        file.as_ref().map_or("any foundry.toml here".into(), |file| file.display().to_string()),
        known_aliases(known)
    )]
    UnknownAlias {
        /// What was asked for, if it is no URL (then only its scheme is kept).
        alias: String,
        /// The foundry.toml that was read.
        file: Option<PathBuf>,
        /// The aliases it has.
        known: Vec<String>,
    },
    /// An alias refers to an environment variable that is not set.
    #[error(
        "[rpc_endpoints] {alias} in {} needs the variable {variable}; export it or put it into .env",
        file.display()
    )]
    MissingVariable {
        /// The alias, as the user gave it.
        alias: String,
        /// The variable's name, without `${}`.
        variable: String,
        /// The foundry.toml that has the alias.
        file: PathBuf,
    },
    /// A URL that cannot be used. The URL itself is left out: it may hold a key.
    #[error(
        "the RPC URL{} is not valid: {reason}; give an http:// or https:// URL",
        of_alias(alias)
    )]
    BadUrl {
        /// The alias that led to it.
        alias: Option<String>,
        /// Why: the parser's words, or that the scheme or the host is unusable.
        reason: String,
    },
    /// foundry.toml is not readable as such.
    #[error("{}: {field}: {message}", file.display())]
    FoundryToml {
        /// The nearest foundry.toml at or above the folder.
        file: PathBuf,
        /// The field, as in `rpc_endpoints.mainnet`; `TOML` where the file can't be parsed.
        field: String,
        /// What is wrong, in the parser's words or ours.
        message: String,
    },
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] files::Error),
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::File(inner) => inner.kind(),
            Self::UnknownAlias { .. }
            | Self::MissingVariable { .. }
            | Self::BadUrl { .. }
            | Self::FoundryToml { .. } => ErrorKind::BadInput,
        }
    }
}

fn known_aliases(known: &[String]) -> String {
    if known.is_empty() {
        "no alias is defined there".into()
    } else {
        format!("it has {}", known.join(", "))
    }
}

fn of_alias(alias: &Option<String>) -> String {
    alias.as_ref().map(|alias| format!(" of {alias}")).unwrap_or_default()
}

/// The URL of a node. Its display form leaves out whatever may be a credential: user, password,
/// path and query.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: Url,
    alias: Option<String>,
}

impl Endpoint {
    /// From a URL, which must be http or https and name a host.
    pub fn new(url: Url) -> Result<Self, Error> {
        Self::checked(url, None)
    }

    fn checked(url: Url, alias: Option<String>) -> Result<Self, Error> {
        if !matches!(url.scheme(), "http" | "https") {
            let reason = format!("the scheme {} is not supported", url.scheme());
            return Err(Error::BadUrl { alias, reason });
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(Error::BadUrl { alias, reason: "it names no host".into() });
        }
        Ok(Self { url, alias })
    }

    /// Resolves what a user gave to `--rpc-url` (or has in `ETH_RPC_URL`): a URL, or an alias from
    /// the nearest foundry.toml at or above `folder`. `${VAR}` in an alias's value is taken from
    /// the environment, else from the `.env` beside foundry.toml. `localhost` and `anvil` mean
    /// [`LOCAL_URL`] unless foundry.toml defines them.
    pub fn resolve(text: &str, folder: &Path) -> Result<Self, Error> {
        Self::resolve_with(text, folder, &|name| std::env::var(name).ok())
    }

    fn resolve_with(
        text: &str,
        folder: &Path,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let text = text.trim();
        if text.contains("://") {
            return Self::parse(text, None);
        }
        let file = find_foundry_toml(folder);
        let mut known = Vec::new();
        if let Some(file) = &file {
            let aliases = read_aliases(file)?;
            if let Some(value) = aliases.get(text) {
                let value = alias_value(file, text, value)?;
                let dotenv = || files::read_to_string(&file.with_file_name(".env")).ok();
                let lookup = |name: &str| env(name).or_else(|| from_dotenv(&dotenv()?, name));
                let expanded = expand(value, &lookup).map_err(|variable| {
                    Error::MissingVariable { alias: text.into(), variable, file: file.clone() }
                })?;
                return Self::parse(&expanded, Some(text.into()));
            }
            known = aliases.keys().cloned().collect();
        }
        if matches!(text, "localhost" | "anvil") {
            return Self::parse(LOCAL_URL, Some(text.into()));
        }
        if text.starts_with("localhost:") || text.starts_with("127.0.0.1:") {
            return Self::parse(&format!("http://{text}"), None);
        }
        Err(Error::UnknownAlias { alias: text.into(), file, known })
    }

    fn parse(text: &str, alias: Option<String>) -> Result<Self, Error> {
        match Url::parse(text) {
            Ok(url) => Self::checked(url, alias),
            Err(error) => Err(Error::BadUrl { alias, reason: error.to_string() }),
        }
    }

    /// The whole URL, credentials included: for the connection only.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whether the host is this machine.
    pub fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Replaces what may be a credential of this endpoint in somebody else's message.
    pub fn redact(&self, message: &str) -> String {
        let mut text = message.replace(self.url.as_str(), &self.to_string());
        let values: Vec<String> =
            self.url.query_pairs().map(|(_, value)| value.into_owned()).collect();
        let mut secrets: Vec<&str> = values.iter().map(String::as_str).collect();
        secrets.extend(self.url.password());
        secrets.extend(Some(self.url.username()));
        secrets.extend(self.url.query());
        secrets.push(self.url.path());
        secrets.extend(self.url.path_segments().into_iter().flatten());
        // Short pieces (`v3`, `rpc`) are no secrets, and replacing them would garble the message.
        for secret in secrets.into_iter().filter(|secret| secret.len() >= 6) {
            text = text.replace(secret, "…");
        }
        text
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.url.scheme(), self.url.host_str().unwrap_or_default())?;
        if let Some(port) = self.url.port() {
            write!(f, ":{port}")?;
        }
        if self.url.path().len() > 1 || self.url.query().is_some() {
            f.write_str("/…")?;
        }
        match &self.alias {
            Some(alias) => write!(f, " ({alias})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

fn find_foundry_toml(folder: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(folder).ok()?;
    absolute.ancestors().map(|folder| folder.join("foundry.toml")).find(|file| file.is_file())
}

fn read_aliases(file: &Path) -> Result<toml::Table, Error> {
    let bad = |field: &str, message: String| Error::FoundryToml {
        file: file.to_owned(),
        field: field.into(),
        message,
    };
    let text = files::read_to_string(file)?;
    let mut document: toml::Table =
        text.parse().map_err(|error: toml::de::Error| bad("TOML", error.message().into()))?;
    match document.remove("rpc_endpoints") {
        None => Ok(toml::Table::new()),
        Some(toml::Value::Table(table)) => Ok(table),
        Some(_) => Err(bad("rpc_endpoints", "expected a table".into())),
    }
}

/// The value is a string, or a table with `endpoint` (older: `url`) and retry settings.
fn alias_value<'a>(file: &Path, alias: &str, value: &'a toml::Value) -> Result<&'a str, Error> {
    let text = match value {
        toml::Value::String(text) => Some(text.as_str()),
        toml::Value::Table(table) => {
            table.get("endpoint").or_else(|| table.get("url")).and_then(toml::Value::as_str)
        }
        _ => None,
    };
    text.ok_or_else(|| Error::FoundryToml {
        file: file.to_owned(),
        field: format!("rpc_endpoints.{alias}"),
        message: "expected a URL, or a table with the key `endpoint`".into(),
    })
}

/// Replaces `${NAME}`; an unknown name is the error.
fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else { break };
        expanded.push_str(before);
        expanded.push_str(&lookup(name.trim()).ok_or_else(|| name.trim().to_owned())?);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn from_dotenv(text: &str, name: &str) -> Option<String> {
    text.lines().rev().find_map(|line| {
        let line = line.trim().strip_prefix("export ").unwrap_or(line.trim());
        let (key, value) = line.split_once('=')?;
        let value = value.trim();
        let unquoted = ['"', '\'']
            .iter()
            .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
            .unwrap_or(value);
        (key.trim() == name).then(|| unquoted.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(toml: &str, dotenv: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("foundry.toml"), toml).expect("written");
        std::fs::write(folder.path().join(".env"), dotenv).expect("written");
        std::fs::create_dir_all(folder.path().join("a/b")).expect("made");
        folder
    }

    fn resolve(text: &str, folder: &Path) -> Result<Endpoint, Error> {
        Endpoint::resolve_with(text, folder, &|name| {
            (name == "FROM_ENV").then(|| "k3y-of-env".into())
        })
    }

    #[test]
    fn aliases_come_from_the_nearest_foundry_toml() {
        let folder = project(
            "[rpc_endpoints]\nmain = \"https://eth.example/v3/${FROM_ENV}\"\n\
             sepolia = { endpoint = \"https://s.example/${ FROM_DOTENV }\", retries = 2 }\n\
             lost = \"${NOWHERE}\"\nodd = 5\nws = \"wss://x.example\"\n",
            "# comment\nexport FROM_DOTENV=\"dotenv-key\"\n",
        );
        let deep = folder.path().join("a/b");
        let main = resolve("main", &deep).expect("resolved");
        assert_eq!(main.url().as_str(), "https://eth.example/v3/k3y-of-env");
        assert_eq!(main.to_string(), "https://eth.example/… (main)");
        let sepolia = resolve("sepolia", &deep).expect("resolved");
        assert_eq!(sepolia.url().path(), "/dotenv-key");
        let error = |alias: &str| resolve(alias, &deep).expect_err("no endpoint").to_string();
        assert!(error("lost").contains("NOWHERE"), "{}", error("lost"));
        assert!(error("odd").contains("rpc_endpoints.odd"), "{}", error("odd"));
        assert!(error("ws").contains("wss is not supported"), "{}", error("ws"));
        assert!(
            error("goerli").contains("it has lost, main, odd, sepolia, ws"),
            "{}",
            error("goerli")
        );
    }

    #[test]
    fn a_broken_foundry_toml_is_named() {
        let folder = project("rpc_endpoints = 3", "");
        let error = resolve("main", folder.path()).expect_err("no table");
        assert!(error.to_string().contains("foundry.toml: rpc_endpoints: expected a table"));
        let folder = project("[rpc_endpoints", "");
        assert!(matches!(resolve("main", folder.path()), Err(Error::FoundryToml { .. })));
    }

    #[test]
    fn urls_are_taken_as_they_are_and_shown_without_credentials() {
        let nowhere = Path::new("/");
        let url = "https://user:hunter22@node.example:8443/v3/0123456789abcdef?key=s3cr3t!";
        let endpoint = resolve(url, nowhere).expect("a URL");
        assert_eq!(endpoint.url().as_str(), url);
        assert_eq!(format!("{endpoint:?}"), "Endpoint(https://node.example:8443/…)");
        let redacted = endpoint.redact(&format!("error for url ({url}), key=s3cr3t! hunter22"));
        for secret in ["hunter22", "0123456789abcdef", "s3cr3t"] {
            assert!(!redacted.contains(secret), "{redacted}");
        }
        let local = resolve("localhost:8545", nowhere).expect("host and port");
        assert!(local.is_loopback());
        assert_eq!(resolve("anvil", nowhere).expect("known").url().port(), Some(8545));
        assert!(matches!(resolve("ftp://x", nowhere), Err(Error::BadUrl { .. })));
        assert!(matches!(resolve("https://", nowhere), Err(Error::BadUrl { .. })));
        assert!(matches!(resolve("x", nowhere), Err(Error::UnknownAlias { .. })));
    }
}
