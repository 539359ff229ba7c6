//! Source verification: explorers recompile a contract's source and compare it with the chain.
//!
//! Two protocols cover them: Sourcify's v2 API, and Etherscan's, which Blockscout speaks too. Both take
//! the compiler's standard JSON input and name a job, which is asked for until it is decided.

mod client;
mod error;
mod etherscan;
mod source;
mod sourcify;

pub use error::{Error, Result};
pub use source::{SourceRequest, source_of};

use super::{ChainClass, account::Secret, node::endpoint::Endpoint};
use client::{Client, Reply};
use std::{fmt, time::Duration};

const SOURCIFY_URL: &str = "https://sourcify.dev/server";
const ETHERSCAN_URL: &str = "https://api.etherscan.io/v2/api";

/// How often in a row an explorer may be busy or not to be reached.
const FAILURES: u32 = 4;

/// The service that compiles a source and compares the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Explorer {
    /// Etherscan's V2 API, one key for all its explorers.
    Etherscan,
    /// Sourcify, without a key.
    Sourcify,
    /// Any Blockscout.
    Blockscout,
}

impl fmt::Display for Explorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Etherscan => "etherscan",
            Self::Sourcify => "sourcify",
            Self::Blockscout => "blockscout",
        })
    }
}

/// Where to verify: Foundry's flags and variables.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
#[cfg_attr(feature = "cli", command(next_help_heading = "Verifier options"))]
pub struct ExplorerOptions {
    /// The explorer; etherscan if there is a key, else sourcify
    #[cfg_attr(feature = "cli", arg(long, value_name = "VERIFIER"))]
    pub verifier: Option<Explorer>,
    /// The explorer's API, where it is not the common one
    #[cfg_attr(
        feature = "cli",
        arg(long, env = "VERIFIER_URL", hide_env_values = true, value_name = "VERIFIER_URL")
    )]
    pub verifier_url: Option<Secret>,
    /// The explorer's key
    #[cfg_attr(
        feature = "cli",
        arg(long, env = "VERIFIER_API_KEY", hide_env_values = true, value_name = "KEY")
    )]
    pub verifier_api_key: Option<Secret>,
    /// Etherscan's key, if there is no --verifier-api-key
    #[cfg_attr(
        feature = "cli",
        arg(long, env = "ETHERSCAN_API_KEY", hide_env_values = true, value_name = "KEY")
    )]
    pub etherscan_api_key: Option<Secret>,
    /// How often the explorer is asked for its decision
    #[cfg_attr(feature = "cli", arg(long, default_value_t = 60, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=10_000)))]
    pub retries: u32,
    /// Seconds between two questions
    #[cfg_attr(feature = "cli", arg(long, default_value_t = 5, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600)))]
    pub delay: u64,
}

impl Default for ExplorerOptions {
    fn default() -> Self {
        Self {
            verifier: None,
            verifier_url: None,
            verifier_api_key: None,
            etherscan_api_key: None,
            retries: 60,
            delay: 5,
        }
    }
}

impl ExplorerOptions {
    /// Works out whom to ask, without asking yet.
    ///
    /// # Errors
    /// No address, no key, an address that is no URL, or a local chain, which no explorer but one's own
    /// can see.
    pub fn connect(&self, chain_id: u64, class: ChainClass) -> Result<Connection> {
        let given =
            |key: &Option<Secret>| key.clone().filter(|key| !key.expose().trim().is_empty());
        let (own, etherscans) = (given(&self.verifier_api_key), given(&self.etherscan_api_key));
        let explorer = self.verifier.unwrap_or(match (&own, &etherscans) {
            (None, None) => Explorer::Sourcify,
            _ => Explorer::Etherscan,
        });
        let url = given(&self.verifier_url);
        if class == ChainClass::Local && url.is_none() {
            return Err(Error::LocalChain { chain_id });
        }
        let common = match explorer {
            Explorer::Sourcify => Some(SOURCIFY_URL),
            Explorer::Etherscan => Some(ETHERSCAN_URL),
            Explorer::Blockscout => None,
        };
        let url = url.as_ref().map(|url| url.expose().trim()).or(common).ok_or(Error::NoUrl)?;
        let url = url.parse().map_err(|error: url::ParseError| Error::BadUrl(error.to_string()))?;
        let endpoint = Endpoint::new(url).map_err(|error| Error::BadUrl(error.to_string()))?;
        // A key is for the one whose it is.
        let key = match explorer {
            Explorer::Etherscan => Some(own.or(etherscans).ok_or(Error::NoKey)?),
            Explorer::Blockscout => own,
            Explorer::Sourcify => None,
        };
        Ok(Connection {
            client: Client::new(explorer, endpoint, key)?,
            chain_id,
            pause: Duration::from_secs(self.delay),
            questions: self.retries,
        })
    }
}

/// How a source came to be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// It had been verified before.
    Already,
    /// It is verified now.
    Now,
}

/// An explorer that sources can be given to.
#[derive(Clone, Debug)]
pub struct Connection {
    client: Client,
    chain_id: u64,
    pause: Duration,
    questions: u32,
}

/// What an explorer says, to a source or about a job.
enum Answer {
    /// The source is taken; ask for this job.
    Job(String),
    /// Not decided, or it can't be yet.
    NotYet(String),
    /// The explorer takes the source for that of the contract.
    Done(Verified),
}

impl Connection {
    /// The explorer that this connection asks.
    pub fn explorer(&self) -> Explorer {
        self.client.explorer
    }

    /// The same with another pause between two questions.
    #[cfg(test)]
    fn with_pause(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// Has a contract's source verified and waits for the outcome.
    ///
    /// # Errors
    /// [`Error::Rejected`] with the explorer's words; where nothing was decided, what stood in the way.
    pub async fn verify(&self, request: &SourceRequest) -> Result<Verified> {
        let mut job: Option<String> = None;
        let mut failures = 0;
        let mut said = String::new();
        for _ in 0..self.questions {
            let answer = match (self.explorer(), &job) {
                (Explorer::Sourcify, None) => sourcify::submit(self, request).await,
                (Explorer::Sourcify, Some(job)) => sourcify::check(self, request, job).await,
                (_, None) => etherscan::submit(self, request).await,
                (_, Some(job)) => etherscan::check(self, request, job).await,
            };
            let mut pause = self.pause;
            match answer {
                Ok(Answer::Done(verified)) => return Ok(verified),
                Ok(Answer::Job(taken)) => {
                    tracing::info!(explorer = %self.explorer(), job = taken, contract = request.contract, "waiting");
                    job = Some(taken);
                }
                Ok(Answer::NotYet(words)) => said = words,
                Err(error) => {
                    failures += 1;
                    let Some(wait) = error.wait().filter(|_| failures < FAILURES) else {
                        return Err(error);
                    };
                    tracing::debug!(%error, "asking again");
                    pause = pause.max(wait);
                    tokio::time::sleep(pause).await;
                    continue;
                }
            }
            failures = 0;
            tokio::time::sleep(pause).await;
        }
        Err(Error::Undecided { explorer: self.explorer(), questions: self.questions, said })
    }

    fn rejected(&self, request: &SourceRequest, message: &str) -> Error {
        Error::Rejected {
            explorer: self.explorer(),
            contract: request.contract.clone(),
            address: request.address,
            message: self.client.tidy(message),
        }
    }

    fn garbage(&self, reply: &Reply) -> Error {
        self.client.garbage(reply.status, &reply.body.to_string())
    }
}

#[cfg(test)]
mod tests;
