//! `zkvouch attest`

use super::{
    Context,
    bundle::signer,
    exit::{Code, Coded},
    model::RouterArg,
    opts::Node,
};
use crate::{
    chain::{
        check::{Identified, ModelCheck, Topic as Pinned, Verdict, check_model, identify},
        node::rpc::Rpc,
    },
    files,
    model::identity::ModelId,
    project::{
        attest::{self, Claim, Topic},
        bundle::Bundle,
    },
};
use alloy::primitives::{Address, B256, keccak256};
use clap::Args;
use eyre::{Result, eyre};
use serde::Deserialize;
use serde_json::json;
use std::{path::PathBuf, str::FromStr};

/// zkvouch attest
#[derive(Args, Debug)]
pub(super) struct Attest {
    /// A model's id, or the address of a contract, on the chain; without it only the bundle, or the project, is gone through.
    #[arg(value_name = "MODEL_ID|ADDRESS")]
    target: Option<Target>,
    /// The bundle to go through; the project's own build if absent.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// The signature of the bundle; FILE.sig.json beside it if that is there.
    #[arg(long, value_name = "FILE", requires = "bundle")]
    signature: Option<PathBuf>,
    /// Who has to have signed it.
    #[arg(long, value_name = "ADDRESS", requires = "bundle")]
    signed_by: Option<Address>,
    /// Make the keys again with this SRS, which takes what a setup takes.
    #[arg(long, value_name = "FILE")]
    srs: Option<PathBuf>,
    #[command(flatten)]
    router: RouterArg,
    #[command(flatten)]
    node: Node,
}

/// What is asked about on the chain.
#[derive(Clone, Copy, Debug)]
enum Target {
    Model(ModelId),
    Address(Address),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self::Model).or_else(|_| text.parse().map(Self::Address)).map_err(|_| {
            "it is neither a model's id (64 hexadecimal digits) nor an address (40)".to_owned()
        })
    }
}

impl Attest {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let project = context.maybe_project()?;
        let bundle = match (&self.bundle, &project) {
            (Some(path), _) => Some(Bundle::read(path)?),
            (None, Some(project)) => {
                Some(project.built(&context.ui.observer()).await?.bundle(true)?)
            }
            (None, None) if self.target.is_some() => None,
            (None, None) => return Err(eyre!("name a bundle by --bundle, or what is on a chain")),
        };
        let mut claims = Vec::new();
        if let Some(bundle) = &bundle {
            let engine = context.engine(project.as_ref())?;
            let spinner = context.ui.spinner("attest");
            spinner.set_message("working out source and code again");
            claims = attest::attest(bundle, &engine, self.srs.as_deref()).await?;
            engine.shutdown().await;
            spinner.finish_and_clear();
            claims.extend(self.signature(bundle)?);
        }
        let (mut check, mut found) = (None, None);
        if let Some(target) = self.target {
            let rpc = self.node.connect(project.as_ref()).await?;
            let class = self.node.class(&rpc);
            match target {
                Target::Model(model) => {
                    let router = self.router.address(project.as_ref(), rpc.chain_id())?;
                    let model = check_model(&rpc, router, model, class).await?;
                    if let Some(bundle) = &bundle {
                        claims.push(deployed(&model, bundle));
                    }
                    check = Some(model);
                }
                Target::Address(address) => {
                    let proof = bundle.as_ref().map(Bundle::proof).transpose()?;
                    let identified = identify(&rpc, address, proof.as_ref()).await?;
                    if let Some(bundle) = &bundle {
                        claims.push(code_at(&rpc, address, &identified, bundle).await?);
                    }
                    found = Some((address, identified));
                }
            }
        }
        self.show(context, bundle.as_ref(), &claims, check.as_ref(), found.as_ref())
    }

    fn show(
        &self,
        context: &Context,
        bundle: Option<&Bundle>,
        claims: &[Claim],
        check: Option<&ModelCheck>,
        found: Option<&(Address, Identified)>,
    ) -> Result<()> {
        let mut lines = Vec::new();
        let mut failed = claims.iter().filter(|it| it.verdict == Verdict::Fails).count();
        if let Some(bundle) = bundle {
            lines.push(format!("model    {} ({})", bundle.statement().name(), bundle.model_id()));
        }
        lines.extend(claims.iter().map(|it| it.verdict.line(it.claim.title(), &it.detail)));
        if let Some(check) = check {
            lines.push(format!("chain    {}, block {}", check.chain_id, check.block));
            lines.extend(
                check.claims.iter().map(|it| it.verdict.line(it.claim.title(), &it.detail)),
            );
            failed += check.count(Verdict::Fails);
        }
        if let Some((address, identified)) = found {
            let (verdict, detail) = describe(identified);
            failed += usize::from(verdict == Verdict::Fails);
            lines.push(verdict.line("address", &format!("{address} is {detail}")));
        }
        let data = json!({
            "model_id": bundle.map(Bundle::model_id),
            "statement_sha256": bundle.map(Bundle::digest),
            "claims": claims,
            "chain": check,
            "address": found.map(|(address, _)| address),
            "identified": found.map(|(_, identified)| identified),
        });
        let text = lines.join("\n");
        if failed == 0 {
            return context.ui.result(text, &data);
        }
        let message = format!("{failed} claims fail");
        context.ui.failed_result(text, &data, Code::Invalid, &message)?;
        Err(Coded::reported(message).into())
    }

    /// Who signed the bundle, if anybody did.
    fn signature(&self, bundle: &Bundle) -> Result<Option<Claim>> {
        #[derive(Deserialize)]
        struct File {
            statement_sha256: B256,
            signature: String,
        }
        let say = |verdict, detail: String| Some(Claim::new(Topic::Signature, verdict, detail));
        let beside =
            self.bundle.as_ref().map(|path| PathBuf::from(format!("{}.sig.json", path.display())));
        let Some(path) = self.signature.clone().or(beside.filter(|path| path.exists())) else {
            return Ok(self.signed_by.and_then(|wanted| {
                say(
                    Verdict::Fails,
                    format!("there is no signature, and {wanted} was to have signed"),
                )
            }));
        };
        let file: File = serde_json::from_slice(&files::read(&path)?)
            .map_err(|error| Coded::bad_input(format!("{}: {error}", path.display())))?;
        if file.statement_sha256 != bundle.digest() {
            let other = file.statement_sha256;
            return Ok(say(Verdict::Fails, format!("it is of another statement, {other}")));
        }
        let Ok(found) = signer(bundle.digest(), &file.signature) else {
            return Ok(say(Verdict::Fails, "it is no signature".into()));
        };
        Ok(match self.signed_by {
            Some(wanted) if wanted != found => {
                say(Verdict::Fails, format!("{found} signed, and {wanted} was to have"))
            }
            Some(_) => say(Verdict::Holds, format!("{found} signed")),
            None => say(Verdict::Unknown, format!("{found} signed; --signed-by says who was to")),
        })
    }
}

/// Whether the model's verifier on the chain is the bundle's.
fn deployed(check: &ModelCheck, bundle: &Bundle) -> Claim {
    let say = |verdict, detail: String| Claim::new(Topic::Deployed, verdict, detail);
    if check.model_id != bundle.model_id() {
        return say(Verdict::Fails, format!("the bundle is of {}", bundle.model_id()));
    }
    let expected = keccak256(bundle.runtime_code().unwrap_or_default());
    if check.verdict(Pinned::Verifier) == Some(Verdict::Fails) {
        return say(Verdict::Fails, "the model's verifier is not the one that is pinned".into());
    }
    match (check.verifier, check.verifier_code_hash) {
        (Some(address), Some(found)) if found == expected => {
            say(Verdict::Holds, format!("the bundle's code is at {address}"))
        }
        (Some(address), Some(found)) => say(
            Verdict::Fails,
            format!("the code at {address} has keccak256 {found}, and the bundle's {expected}"),
        ),
        _ => say(Verdict::Unknown, "the chain names no verifier of the model".into()),
    }
}

/// Whether the code at an address, or of the verifier behind it, is the bundle's.
async fn code_at(
    rpc: &Rpc,
    address: Address,
    identified: &Identified,
    bundle: &Bundle,
) -> Result<Claim> {
    let say = |verdict, detail: String| Ok(Claim::new(Topic::Deployed, verdict, detail));
    let verifier = match identified {
        Identified::Model { verifier, model_id, .. } => {
            if *model_id != bundle.model_id() {
                return say(
                    Verdict::Fails,
                    format!("{address} is of {model_id}, and the bundle of another"),
                );
            }
            *verifier
        }
        Identified::LeanVerifier { .. }
        | Identified::OtherVerifier { .. }
        | Identified::Unknown { .. } => address,
        _ => return say(Verdict::Fails, format!("{address} is no verifier")),
    };
    let (found, expected) = (rpc.code(verifier).await?, bundle.runtime_code().unwrap_or_default());
    match found[..] == expected[..] {
        true => say(Verdict::Holds, format!("the bundle's code is at {verifier}")),
        false => say(
            Verdict::Fails,
            format!(
                "the code at {verifier} has keccak256 {}, and the bundle's {}",
                keccak256(&found),
                keccak256(&expected)
            ),
        ),
    }
}

/// What is at an address, in words, and whether that is as it should be.
fn describe(identified: &Identified) -> (Verdict, String) {
    let setup = |ceremony: &Option<String>| match ceremony {
        Some(name) => format!("made with {name}"),
        None => "made with a setup of no known ceremony".to_owned(),
    };
    let unsafe_setup = |ceremony: &Option<String>| {
        ceremony.as_deref().is_some_and(|name| name.starts_with("unsafe"))
    };
    match identified {
        Identified::Account => (Verdict::Fails, "no contract: an account, or nothing".into()),
        Identified::Router { owner } => {
            (Verdict::Holds, format!("this release's ModelRouter, owned by {owner}"))
        }
        Identified::Ledger => (Verdict::Holds, "this release's PredictionLedger".into()),
        Identified::Implementation => (
            Verdict::Holds,
            "this release's ModelVerifier, of which models are clones; it is no model".into(),
        ),
        Identified::Timelock => (Verdict::Holds, "a timelock of this release".into()),
        Identified::Model { model_id, implementation, genuine, verifier } => match genuine {
            true => (
                Verdict::Holds,
                format!(
                    "the model {model_id}, a clone of {implementation}, whose verifier is {verifier}"
                ),
            ),
            false => (
                Verdict::Fails,
                format!("a clone of {implementation}, which is not this release's ModelVerifier"),
            ),
        },
        Identified::Former => {
            (Verdict::Unknown, "a router of zkvouch before models were clones".into())
        }
        Identified::LeanVerifier { ceremony, code_hash } => (
            if unsafe_setup(ceremony) { Verdict::Fails } else { Verdict::Holds },
            format!("a lean verifier, {}, keccak256 {code_hash}", setup(ceremony)),
        ),
        Identified::OtherVerifier { ceremony, code_hash, guarded } => {
            let (verdict, guard) = match guarded {
                Some(true) => (Verdict::Holds, "with a guard"),
                Some(false) => {
                    (Verdict::Fails, "WITHOUT a guard: it accepts other encodings of a proof")
                }
                None => (
                    Verdict::Unknown,
                    "of which only a proof that it accepts shows whether it has a guard",
                ),
            };
            let verdict = if unsafe_setup(ceremony) { Verdict::Fails } else { verdict };
            (
                verdict,
                format!(
                    "a verifier of ezkl's, {guard}, {}, keccak256 {code_hash}",
                    setup(ceremony)
                ),
            )
        }
        Identified::Unknown { code_hash } => {
            (Verdict::Unknown, format!("a contract that is none of ours, keccak256 {code_hash}"))
        }
    }
}
