//! `zkvouch verify-source`, and `--verify` of the commands that deploy.

use super::{
    Context,
    exit::{Code, Coded},
    opts::Node,
};
use crate::{
    chain::{
        ChainClass, Error,
        deployments::{Deployments, Entry},
        explorer::{self, Connection, ExplorerOptions, Verified, source_of},
        node::rpc::Rpc,
    },
    project::Project,
    verifier::{self, VerifierArtifact},
};
use alloy::primitives::{Address, keccak256};
use clap::Args;
use eyre::{Report, Result};
use serde_json::{Value, json};

/// zkvouch verify-source
#[derive(Args, Debug)]
pub(super) struct VerifySource {
    /// The contracts; all of the chain's deployments file if absent.
    addresses: Vec<Address>,
    #[command(flatten)]
    explorer: ExplorerOptions,
    #[command(flatten)]
    node: Node,
}

/// For the commands that deploy.
#[derive(Args, Debug)]
pub(super) struct VerifyOptions {
    /// Have an explorer verify the sources of what was deployed
    #[arg(long, help_heading = "Verifier options")]
    verify: bool,
    #[command(flatten)]
    explorer: ExplorerOptions,
}

impl VerifyOptions {
    /// The explorer to ask, if one is to be asked.
    pub(super) fn connect(
        &self,
        chain_id: u64,
        class: ChainClass,
    ) -> Result<Option<Connection>, explorer::Error> {
        self.verify.then(|| self.explorer.connect(chain_id, class)).transpose()
    }
}

impl VerifySource {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let project = context.project()?;
        let rpc = self.node.connect(Some(&project)).await?;
        let chain_id = rpc.chain_id();
        let explorer = self.explorer.connect(chain_id, self.node.class(&rpc))?;
        let folder = project.deployments();
        let deployments = Deployments::read(&folder, chain_id)?;
        let file = Deployments::path(&folder, chain_id);
        let entries = if self.addresses.is_empty() {
            // Clones have no source of their own.
            deployments.contracts.iter().filter(|entry| !entry.is_clone()).collect()
        } else {
            let entry = |address: &Address| {
                deployments.at(*address).ok_or_else(|| {
                    Coded::bad_input(format!(
                        "{address} is not in {}, where zkvouch writes down what it deploys",
                        file.display()
                    ))
                })
            };
            self.addresses.iter().map(entry).collect::<Result<Vec<_>, _>>()?
        };
        if entries.is_empty() {
            let message = format!(
                "{} has no contracts; deploy some with `zkvouch deploy --broadcast`",
                file.display()
            );
            return Err(Coded::bad_input(message).into());
        }
        let built = built(context, &project);
        let built: Vec<_> = built.iter().collect();
        let sources = verify(context, &rpc, &explorer, &entries, &built).await;
        let data = json!({ "chain_id": chain_id, "sources": sources.data() });
        let text = sources.text();
        sources.result(context, text, &data)
    }
}

/// The verifiers in the build folder. That they are up to date with the model does not matter here: only
/// what is the deployed one is used.
fn built(context: &Context, project: &Project) -> Vec<VerifierArtifact> {
    let folder = project.artifacts().verifier;
    if !folder.is_dir() {
        return Vec::new();
    }
    let read = || {
        let one = VerifierArtifact::read(&folder)?;
        Ok::<_, verifier::Error>(
            std::iter::once(one).chain(verifier::batch::read(&folder)?).collect(),
        )
    };
    read().unwrap_or_else(|error| {
        context.ui.warn(format_args!("the verifiers that are built can't be used: {error}"));
        Vec::new()
    })
}

/// What became of the sources of some contracts.
pub(super) struct Sources<'e> {
    explorer: &'e Connection,
    outcomes: Vec<(&'e Entry, Result<Verified, Error>)>,
}

/// Has an explorer verify the sources of contracts, one after the other.
pub(super) async fn verify<'e>(
    context: &Context,
    rpc: &Rpc,
    explorer: &'e Connection,
    entries: &[&'e Entry],
    built: &[&VerifierArtifact],
) -> Sources<'e> {
    let mut outcomes = Vec::new();
    for entry in entries {
        context.ui.note(format_args!(
            "{:<17} {}  asking {}",
            entry.name,
            entry.address,
            explorer.explorer()
        ));
        outcomes.push((*entry, verify_one(rpc, explorer, entry, built).await));
    }
    Sources { explorer, outcomes }
}

async fn verify_one(
    rpc: &Rpc,
    explorer: &Connection,
    entry: &Entry,
    built: &[&VerifierArtifact],
) -> Result<Verified, Error> {
    let code = rpc.code(entry.address).await?;
    if code.is_empty() {
        return Err(Error::NoCode { address: entry.address, chain_id: rpc.chain_id() });
    }
    let (expected, found) = (entry.runtime_code_hash, keccak256(&code));
    if found != expected {
        return Err(Error::OtherCode { address: entry.address, expected, found });
    }
    Ok(explorer.verify(&source_of(entry, built).await?).await?)
}

impl Sources<'_> {
    /// A line a contract.
    pub(super) fn text(&self) -> String {
        let line = |(entry, outcome): &(&Entry, Result<Verified, Error>)| {
            let outcome = match outcome {
                Ok(Verified::Now) => format!("source verified by {}", self.explorer.explorer()),
                Ok(Verified::Already) => format!("source known to {}", self.explorer.explorer()),
                Err(error) => format!("source not verified: {error}"),
            };
            format!("{:<17} {}  {outcome}", entry.name, entry.address)
        };
        self.outcomes.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// As JSON.
    pub(super) fn data(&self) -> Value {
        let one = |(entry, outcome): &(&Entry, Result<Verified, Error>)| {
            let status = match outcome {
                Ok(Verified::Now) => "verified",
                Ok(Verified::Already) => "already_verified",
                Err(_) => "not_verified",
            };
            json!({
                "name": entry.name,
                "address": entry.address,
                "explorer": self.explorer.explorer().to_string(),
                "status": status,
                "message": outcome.as_ref().err().map(ToString::to_string),
            })
        };
        self.outcomes.iter().map(one).collect()
    }

    /// Prints the result; a failure if a source is not verified.
    pub(super) fn result(self, context: &Context, text: String, data: &Value) -> Result<()> {
        let all = self.outcomes.len();
        let mut failed: Vec<_> = self.outcomes.into_iter().filter_map(|(_, it)| it.err()).collect();
        if failed.is_empty() {
            return context.ui.result(text, data);
        }
        let message = format!(
            "{} of {all} sources are not verified; the contracts are deployed all the same, and `zkvouch verify-source` \
             asks again",
            failed.len()
        );
        let code = Code::of(&Report::new(failed.swap_remove(0)));
        context.ui.failed_result(text, data, code, &message)?;
        Err(Coded::reported_as(code, message).into())
    }
}
