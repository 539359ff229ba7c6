//! Verifiers: the Solidity that ezkl generates, guarded, compiled, checked and measured.
//!
//! [`build`] takes a [`VerifierSource`], which exists only with the guard in it, and returns a
//! [`VerifierArtifact`] that has accepted a real proof and rejected mutants of it.

mod artifact;
pub mod batch;
mod ceremony;
pub mod golden;
pub mod guard;
pub mod lean;
mod lexer;
mod matrix;
pub mod report;
pub mod solc;

pub use crate::calldata;
pub use artifact::{
    ArtifactFiles, CompilerRecord, METADATA_FILE, MadeFrom, VerifierArtifact, VerifierMetadata,
};
pub use calldata::Shape;
pub use ceremony::{Error as CeremonyError, ceremony_words, is_made_with};
pub use matrix::{Attempt, Matrix};
pub use report::{ForkGas, GasReport};
pub use solc::CompiledContract;

use crate::{
    error::ErrorKind,
    evm::{self, Evm, Hardfork},
    field::Felt,
    files,
    model::packing::Packing,
    task::blocking,
};
use serde::{Deserialize, Serialize};
use solc::{Compiler, CompilerOptions, Language, SourceSet};
use std::{fmt, path::PathBuf};

/// A verifier could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The guard could not be placed.
    #[error(transparent)]
    Guard(#[from] guard::Error),
    /// The lean verifier could not be generated.
    #[error(transparent)]
    Lean(#[from] lean::Error),
    /// No compiler, or it refused.
    #[error(transparent)]
    Solc(#[from] solc::Error),
    /// The in-process EVM refused.
    #[error(transparent)]
    Evm(#[from] evm::Error),
    /// It does not verify.
    #[error(transparent)]
    Golden(#[from] golden::Error),
    /// No public chain takes the code.
    #[error(
        "the {contract} has {size} bytes of {what} code, {} more than the {limit} that a chain takes under {hardfork}; use \
         fewer columns (`objective = \"gas\"` in [calibration], or a larger `max_logrows`), a smaller \
         model{}, or `allow_oversize = true` under [verifier] for a local chain without the limit",
        size.saturating_sub(*limit),
        if contract == guard::CONTRACT { ", the lean verifier (`kind = \"lean\"` under [verifier])" } else { "" }
    )]
    TooLarge {
        /// The name of the contract.
        contract: String,
        /// Which code is over the limit: `runtime` or `init`.
        what: &'static str,
        /// Bytes of that code.
        size: usize,
        /// The most bytes that a chain takes of it.
        limit: usize,
        /// The rules that set the limit.
        hardfork: Hardfork,
    },
    /// The code does not hold the SRS's `[tau]₂`.
    #[error(
        "the {contract}'s code was not made with the SRS {}: it does not hold that setup's [tau]_2; run `zkvouch \
         build --force`", srs.display()
    )]
    OtherSetup {
        /// The name of the contract whose code it is.
        contract: String,
        /// The file whose `[tau]₂` the code should hold.
        srs: PathBuf,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] files::Error),
    /// A file is not the one that was written.
    #[error("{}: {message}; build the verifier again", path.display())]
    Artifact {
        /// The file of the verifier that cannot be used.
        path: PathBuf,
        /// How it differs from what was written.
        message: String,
    },
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Solc(inner) => inner.kind(),
            Self::File(inner) => inner.kind(),
            Self::Guard(inner) => inner.kind(),
            Self::Lean(inner) => inner.kind(),
            Self::Evm(inner) => inner.kind(),
            Self::Golden(inner) => inner.kind(),
            Self::OtherSetup { .. } => ErrorKind::Invalid,
            Self::TooLarge { .. } | Self::Artifact { .. } => ErrorKind::BadInput,
        }
    }
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose generator writes the verifier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// ezkl's own Solidity with the guard.
    Ezkl,
    /// zkvouch's, for the same proofs and less gas.
    #[default]
    Lean,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ezkl => "ezkl",
            Self::Lean => "lean",
        })
    }
}

/// The source of a verifier that accepts the canonical encoding of its arguments only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierSource {
    kind: Kind,
    language: Language,
    contract: String,
    text: String,
    shape: Shape,
    packing: Option<Packing>,
    options: Vec<CompilerOptions>,
}

impl From<guard::GuardedSource> for VerifierSource {
    fn from(source: guard::GuardedSource) -> Self {
        Self {
            kind: Kind::Ezkl,
            language: Language::Solidity,
            contract: guard::CONTRACT.to_owned(),
            text: source.text().to_owned(),
            shape: source.shape(),
            packing: None,
            options: CompilerOptions::for_generated_solidity(),
        }
    }
}

impl VerifierSource {
    /// ezkl's Solidity with the guard put into it; see [`guard::insert`].
    ///
    /// # Errors
    /// If the source is not what ezkl writes, or its lengths are not the expected ones.
    pub fn from_ezkl(
        solidity: &str,
        proof_len: Option<usize>,
        n_instances: Option<usize>,
    ) -> Result<Self> {
        Ok(guard::insert(solidity, proof_len, n_instances)?.into())
    }

    /// A source of zkvouch's own generator, which writes the guard itself. `options` are tried in
    /// this order.
    pub(crate) fn lean(
        language: Language,
        contract: String,
        text: String,
        shape: Shape,
        packing: Option<Packing>,
        options: Vec<CompilerOptions>,
    ) -> Self {
        Self { kind: Kind::Lean, language, contract, text, shape, packing, options }
    }

    /// Which verifier it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The Solidity or Yul that the compiler gets.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The name of the one contract in the text.
    pub fn contract(&self) -> &str {
        &self.contract
    }

    /// The proof's length and the number of instances that it accepts.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The widths of packed instances, where it takes any.
    pub fn packing(&self) -> Option<&Packing> {
        self.packing.as_ref()
    }

    /// For the compiler: the one file.
    pub fn sources(&self) -> SourceSet {
        let ending = match self.language {
            Language::Solidity => "sol",
            Language::Yul => "yul",
        };
        let name = PathBuf::from(format!("{}.{ending}", self.contract));
        SourceSet { language: self.language, files: [(name, self.text.clone())].into() }
    }
}

/// A real proof of the circuit, for the golden-proof gate and the gas.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The proof's bytes, as the verifier takes them.
    pub proof: &'a [u8],
    /// The public values, in the order of the instance column.
    pub instances: &'a [Felt],
}

/// A source with how to compile, check and measure it.
#[derive(Clone, Debug)]
pub struct BuildRequest<'a> {
    /// The guarded source, of either kind.
    pub source: VerifierSource,
    /// How to compile it; `None` leaves it to `matrix`.
    pub options: Option<CompilerOptions>,
    /// With a sample: what to try, to take the cheapest. `None` takes the first of the kind's own
    /// options that compiles and fits.
    pub matrix: Option<Matrix>,
    /// A proof to check it with. Without one the artifact says that nothing was verified.
    pub sample: Option<Sample<'a>>,
    /// The rules to measure under.
    pub hardfork: Hardfork,
    /// Build even what no public chain takes, for measuring or a local chain without the limit.
    pub allow_oversize: bool,
    /// What the source was made from, for the artifact's metadata.
    pub made_from: Option<MadeFrom>,
}

impl BuildRequest<'_> {
    /// With every default and no sample.
    pub fn new(source: VerifierSource) -> Self {
        Self {
            source,
            options: None,
            matrix: None,
            sample: None,
            hardfork: Hardfork::default(),
            allow_oversize: false,
            made_from: None,
        }
    }
}

/// Compiles a verifier, deploys it in the in-process EVM, lets it decide the sample proof and its
/// mutants, and measures it.
///
/// # Errors
/// [`Error::TooLarge`] over the size limits, unless allowed; [`Error::Golden`] if it rejects the
/// sample or accepts a mutant.
pub async fn build(compiler: &Compiler, request: BuildRequest<'_>) -> Result<VerifierArtifact> {
    build_among(std::slice::from_ref(compiler), request).await
}

/// [`build`] with several compilers, at least one, for `request.matrix` to choose among; without a
/// matrix the first is used.
///
/// # Errors
/// As [`build`].
pub async fn build_among(
    compilers: &[Compiler],
    request: BuildRequest<'_>,
) -> Result<VerifierArtifact> {
    let matrix::Choice { contract, compiler, attempts } =
        matrix::choose(compilers, &request).await?;
    let BuildRequest { source, sample, hardfork, allow_oversize, made_from, .. } = request;
    let shape = source.shape;
    let (runtime_size, init_size) = (contract.runtime_code.len(), contract.init_code.len());
    if !allow_oversize {
        let rules = hardfork.rules();
        for (what, size, limit) in
            [("runtime", runtime_size, rules.runtime_code), ("init", init_size, rules.init_code)]
        {
            if size > limit {
                let contract = source.contract;
                return Err(Error::TooLarge { contract, what, size, limit, hardfork });
            }
        }
    }
    let mut evm = Evm::new(hardfork);
    if allow_oversize {
        evm = evm.without_limits();
    }
    let code = contract.init_code.clone();
    let sample = sample.map(|sample| (sample.proof.to_vec(), sample.instances.to_vec()));
    let packing = source.packing.clone();
    let measure = move || {
        let deployed = evm.deploy(code.clone())?;
        let packed = packing.zip(sample.as_ref()).and_then(|(packing, (proof, instances))| {
            Some(calldata::encode_verify_packed(proof, &packing.pack(instances)?))
        });
        let gas = match &sample {
            Some((proof, instances)) => {
                let gas = golden::check(&mut evm, deployed.address, shape, proof, instances)?;
                Some((gas, calldata::encode_verify_proof(proof, instances)))
            }
            None => None,
        };
        let calldata = gas.as_ref().map(|(_, calldata)| calldata);
        let forks = ForkGas::measure(&code, calldata, packed.as_ref())?;
        Ok::<_, Error>((
            deployed,
            gas.map(|(gas, calldata)| (gas, report::calldata_gas(&calldata))),
            packed.map(|packed| packed.len()),
            forks,
        ))
    };
    let (deployed, measured, packed_calldata_len, forks) = blocking(measure).await?;
    let gas = GasReport {
        hardfork,
        verify_gas: measured.map(|(gas, _)| gas.accepted),
        refusal_gas: measured.map(|(gas, _)| gas.refused),
        calldata_gas: measured.map(|(_, gas)| gas),
        deploy_gas: deployed.gas_used,
        runtime_size: deployed.runtime_code.len(),
        init_size,
        calldata_len: shape.calldata_len(),
        packed_calldata_len,
        forks,
    };
    tracing::info!(kind = %source.kind, ?gas, options = %contract.options, "verifier built");
    let solc = compiler.solc();
    let code = deployed.runtime_code;
    Ok(VerifierArtifact::new(source, contract, code, solc, attempts, gas, made_from))
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
