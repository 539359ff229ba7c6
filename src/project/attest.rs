//! What holds of a bundle: each claim worked out anew from what is in it, and none taken on its word.

use super::{
    Result,
    bundle::{Bundle, PREPARED},
    plan,
};
use crate::{
    artifacts::{settings::Settings, vk::VkHeader},
    chain::check::Verdict,
    engine::{Engine, SetupRequest},
    files,
    model::{packing::Packing, provenance::Provenance, schema::Descriptor},
    srs::SrsFile,
    task::blocking_deep,
    verifier::{
        self, BuildRequest, Kind, Sample, VerifierSource, is_made_with,
        lean::{self, Expected, OptimizeFor},
        solc::{self, Compiler, SolcRequest},
    },
};
use alloy::primitives::{B256, keccak256};
use serde::Serialize;
use std::path::Path;

/// What a claim about a bundle is about; in JSON its name in snake case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// Each file is the one of the statement, and the model id follows from them.
    Statement,
    /// Nobody is known to know the secret of the setup that the code is made with.
    Setup,
    /// The verifying key is one of a circuit with these settings.
    VerifyingKey,
    /// The verifier's source follows from the verifying key and the settings.
    Source,
    /// The compiler makes the code of the source.
    Code,
    /// The code accepts the bundle's proof, and refuses mutants of it.
    GoldenProof,
    /// The verifying key follows from the model, the settings and the SRS.
    Circuit,
    /// The code is what the chain has.
    Deployed,
    /// Who signed the statement.
    Signature,
}

impl Topic {
    /// A few words for it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Statement => "statement",
            Self::Setup => "trusted setup",
            Self::VerifyingKey => "verifying key",
            Self::Source => "source",
            Self::Code => "code",
            Self::GoldenProof => "golden proof",
            Self::Circuit => "circuit",
            Self::Deployed => "deployed",
            Self::Signature => "signature",
        }
    }
}

/// A claim with its verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// What the claim is about.
    pub claim: Topic,
    /// What became of it.
    pub verdict: Verdict,
    /// What was found, in words for people.
    pub detail: String,
}

impl Claim {
    /// A claim with its verdict.
    pub fn new(claim: Topic, verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { claim, verdict, detail: detail.into() }
    }
}

/// Goes through the claims that need no chain. With an SRS of the circuit's size the keys are made again, too, which takes
/// what a setup takes.
///
/// # Errors
/// If ezkl or the compiler can't be run; whatever is wrong with the bundle is a verdict.
pub async fn attest(bundle: &Bundle, engine: &Engine, srs: Option<&Path>) -> Result<Vec<Claim>> {
    let folder = files::Scratch::new()?;
    bundle.unpack(folder.path())?;
    let mut claims = vec![Claim::new(
        Topic::Statement,
        Verdict::Holds,
        format!("{} files, SHA-256 {}", bundle.names().count(), bundle.digest()),
    )];
    let at = |name: &str| folder.path().join(name);
    let (reduced, code) = (SrsFile::open(&at("srs-k1.srs")), bundle.runtime_code());
    claims.push(setup(reduced.as_ref().ok(), code.as_deref().unwrap_or_default()));
    let settings = Settings::read(&at("settings.json"));
    let key = settings.as_ref().map_err(ToString::to_string).and_then(|settings| {
        let header = VkHeader::read(&at("vk.key")).map_err(|error| error.to_string())?;
        header.check(settings).map_err(|error| error.to_string())
    });
    claims.push(match &key {
        Ok(()) => Claim::new(Topic::VerifyingKey, Verdict::Holds, "it fits the settings"),
        Err(message) => Claim::new(Topic::VerifyingKey, Verdict::Fails, message),
    });
    let (Ok(settings), Ok(())) = (settings, key) else { return Ok(claims) };
    claims.extend(verifier_of(bundle, engine, folder.path(), &settings).await?);
    claims.push(circuit(bundle, engine, folder.path(), srs, plan::fixes_input(&settings)).await?);
    Ok(claims)
}

/// Whose secret it is, by the code and by the SRS's first point.
fn setup(srs: Option<&SrsFile>, code: &[u8]) -> Claim {
    let (verdict, detail) = match srs {
        None => (Verdict::Fails, "srs-k1.srs is no SRS".to_owned()),
        Some(srs) if srs.verify().is_err() => {
            (Verdict::Fails, "srs-k1.srs has points that don't belong together".to_owned())
        }
        Some(srs) if !is_made_with(code, srs.neg_tau_g2_words()) => {
            (Verdict::Fails, "the code was made with another setup than srs-k1.srs".to_owned())
        }
        Some(srs) => match srs.provenance() {
            Provenance::Ceremony(name) => (Verdict::Holds, format!("{name}, in the code, too")),
            Provenance::Unrecognized => {
                (Verdict::Unknown, "no known ceremony has this setup".to_owned())
            }
            Provenance::UnsafeDev => {
                (Verdict::Fails, "its secret is public: anybody can forge a proof".to_owned())
            }
        },
    };
    Claim::new(Topic::Setup, verdict, detail)
}

/// Source, code and golden proof.
async fn verifier_of(
    bundle: &Bundle,
    engine: &Engine,
    folder: &Path,
    settings: &Settings,
) -> Result<Vec<Claim>> {
    let at = |name: &str| folder.join(name);
    let fails = |topic: Topic, detail: String| vec![Claim::new(topic, Verdict::Fails, detail)];
    let metadata = match bundle.metadata() {
        Ok(metadata) => metadata,
        Err(message) => return Ok(fails(Topic::Source, message)),
    };
    let descriptor = bundle.descriptor().ok().and_then(|bytes| Descriptor::read(&bytes));
    let Some(descriptor) = descriptor else {
        return Ok(fails(Topic::Source, "descriptor.hex describes no instances".into()));
    };
    let raw = at("raw.sol");
    engine
        .create_evm_verifier(&at("vk.key"), &at("settings.json"), &at("srs-k1.srs"), &raw)
        .await?;
    let raw = files::read_to_string(&raw)?;
    let name = format!("verifier/{}.sol", metadata.contract);
    let said = String::from_utf8_lossy(bundle.file(&name).unwrap_or_default()).into_owned();
    let vk = files::read(&at("vk.key"))?;
    let shape = metadata.shape;
    let sources = match metadata.kind {
        Kind::Lean => {
            let k = settings.run_args.logrows;
            lean_sources(raw, vk, k, shape.n_instances, descriptor.packing()).await?
        }
        _ => {
            let made =
                VerifierSource::from_ezkl(&raw, Some(shape.proof_len), Some(shape.n_instances));
            made.into_iter().collect()
        }
    };
    let Some(source) = sources.into_iter().find(|source| source.text() == said) else {
        let detail = "verifying key, settings and descriptor give another source with this zkvouch";
        return Ok(fails(Topic::Source, detail.into()));
    };
    let mut claims = vec![Claim::new(
        Topic::Source,
        Verdict::Holds,
        format!("{name} follows from the verifying key, the settings and the descriptor"),
    )];
    let proof = match bundle.proof() {
        Ok(proof) => proof,
        Err(error) => {
            claims.extend(fails(Topic::GoldenProof, error.to_string()));
            return Ok(claims);
        }
    };
    let compiler = &metadata.compiler;
    let solc = solc::resolve(&SolcRequest::Version(compiler.version.clone())).await;
    let compiler = match solc.and_then(Compiler::cached) {
        Ok(found) => found,
        Err(error) => {
            let detail = format!("solc {} is not to be had: {error}", compiler.version);
            claims.push(Claim::new(Topic::Code, Verdict::Unknown, detail));
            return Ok(claims);
        }
    };
    let request = BuildRequest {
        options: Some(metadata.compiler.options.clone()),
        sample: Some(Sample { proof: &proof.bytes, instances: &proof.instances }),
        hardfork: metadata.gas.hardfork,
        allow_oversize: true,
        ..BuildRequest::new(source)
    };
    match verifier::build(&compiler, request).await {
        Ok(artifact) => {
            let hashes = |runtime: &[u8], init: &[u8]| [keccak256(runtime), keccak256(init)];
            let made = hashes(artifact.runtime_code(), artifact.init_code());
            let (runtime, init) = (bundle.runtime_code(), bundle.init_code());
            let same = made == hashes(&runtime.unwrap_or_default(), &init.unwrap_or_default());
            let solc = &artifact.metadata().compiler.version;
            claims.push(match same {
                true => Claim::new(
                    Topic::Code,
                    Verdict::Holds,
                    format!("solc {solc} makes it of the source, keccak256 {}", made[0]),
                ),
                false => Claim::new(
                    Topic::Code,
                    Verdict::Fails,
                    format!("solc {solc} makes other code of the source, keccak256 {}", made[0]),
                ),
            });
            claims.push(Claim::new(
                Topic::GoldenProof,
                Verdict::Holds,
                "proof.json is accepted in an in-process EVM, and mutants of it are refused",
            ));
        }
        Err(verifier::Error::Golden(error)) => {
            claims.extend(fails(Topic::GoldenProof, error.to_string()));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(claims)
}

/// The source in either form, where one can be generated.
async fn lean_sources(
    raw: String,
    vk: Vec<u8>,
    k: u32,
    num_instances: usize,
    packing: Packing,
) -> Result<Vec<VerifierSource>> {
    let sources = blocking_deep(move || {
        let expected = Expected { num_instances, k, vk: Some(&vk) };
        [OptimizeFor::Calls, OptimizeFor::Deployment]
            .into_iter()
            .filter_map(|form| lean::generate(&raw, &expected, &packing, form).ok())
            .map(|lean| lean.source())
            .collect()
    });
    Ok(sources.await)
}

async fn circuit(
    bundle: &Bundle,
    engine: &Engine,
    folder: &Path,
    srs: Option<&Path>,
    fixes_input: bool,
) -> Result<Claim> {
    let at = |name: &str| folder.join(name);
    let say = |verdict, detail: String| Ok(Claim::new(Topic::Circuit, verdict, detail));
    if fixes_input {
        let detail = "the key holds a fixed input, which is not in the bundle";
        return say(Verdict::Unknown, detail.into());
    }
    let Some(srs) = srs else {
        return say(Verdict::Unknown, "the keys were not made again; --srs makes them".into());
    };
    if bundle.file(PREPARED).is_none() {
        return say(
            Verdict::Unknown,
            "the model is not in the bundle; the hash of its file is".into(),
        );
    }
    let expected: Option<B256> = bundle.identity().ok().map(|identity| identity.srs_sha256);
    if Some(files::sha256_file(srs)?) != expected {
        let detail = "the SRS at hand is another than the one that the id names, by its SHA-256";
        return say(Verdict::Unknown, detail.into());
    }
    let (compiled, vk, pk) = (at("model.compiled"), at("again.vk"), at("again.pk"));
    engine.compile_circuit(&at(PREPARED), &at("settings.json"), &compiled).await?;
    let request = SetupRequest {
        compiled: &compiled,
        srs,
        vk: &vk,
        pk: &pk,
        witness: None,
        compress_selectors: true,
    };
    engine.setup(request).await?;
    match files::read(&vk)? == files::read(&at("vk.key"))? {
        true => say(
            Verdict::Holds,
            "compiling prepared.onnx with the settings, and the SRS, give this verifying key"
                .into(),
        ),
        false => {
            say(Verdict::Fails, "the model and the settings give another verifying key".into())
        }
    }
}
