//! A verifier that was built, and its files.

use super::{
    Attempt, CompiledContract, Error, GasReport, Kind, Result, Shape, VerifierSource,
    ceremony_words,
    golden::Verdict,
    is_made_with,
    solc::{CompilerOptions, Language, Origin, ResolvedSolc, SourceSet},
};
use crate::{
    evm::{self, CallResult, Evm, Hardfork},
    field::Felt,
    files,
    model::packing::Packing,
    srs::SrsFile,
};
use alloy::{
    json_abi::JsonAbi,
    primitives::{B256, Bytes, U256, keccak256},
};
use semver::Version;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The name of the file with the [`VerifierMetadata`]; written last.
pub const METADATA_FILE: &str = "verifier.json";

/// The version of [`VerifierMetadata`]'s JSON.
const SCHEMA: u32 = 2;

/// How a verifier was compiled: enough to do it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompilerRecord {
    /// The exact version of solc.
    pub version: Version,
    /// The SHA-256 of the program (or of `soljson.js`).
    pub sha256: B256,
    /// Where it was found.
    pub origin: Origin,
    /// The options that reproduce the code: optimizer, pipeline, EVM version.
    pub options: CompilerOptions,
    /// What was tried, if this was chosen among several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<Attempt>,
}

/// What a verifier was made from, by content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeFrom {
    /// SHA-256 of the ONNX file; none where a verifier was made from keys alone.
    pub onnx_sha256: Option<B256>,
    /// SHA-256 of settings.json, byte for byte.
    pub settings_sha256: B256,
    /// SHA-256 of the SRS.
    pub srs_sha256: B256,
    /// SHA-256 of the verifying key.
    pub vk_sha256: B256,
    /// SHA-256 of the file of the proof that it was checked with; none where there was none.
    pub proof_sha256: Option<B256>,
    /// The version of ezkl.
    pub engine_version: String,
    /// The version of zkvouch.
    pub zkvouch_version: String,
}

impl MadeFrom {
    /// By hashing files, where it is not known which model they are from.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn of_files(
        settings: &Path,
        srs: &Path,
        vk: &Path,
        engine_version: &str,
    ) -> files::Result<Self> {
        Ok(Self {
            onnx_sha256: None,
            settings_sha256: files::sha256_file(settings)?,
            srs_sha256: files::sha256_file(srs)?,
            vk_sha256: files::sha256_file(vk)?,
            proof_sha256: None,
            engine_version: engine_version.to_owned(),
            zkvouch_version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }
}

/// What is known of a verifier besides its code; written as JSON beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerifierMetadata {
    /// The version of this JSON's form.
    pub schema: u32,
    /// Whether ezkl's generator or the lean one wrote the source.
    pub kind: Kind,
    /// The name of the contract in the source; the files are called by it.
    pub contract: String,
    /// Solidity or Yul, for the source's file name and the compiler's input.
    pub language: Language,
    /// The proof's length and the number of instances that it accepts.
    pub shape: Shape,
    /// The widths of packed instances, where it takes any.
    #[serde(default)]
    pub packing: Option<Packing>,
    /// The compiler and its options.
    pub compiler: CompilerRecord,
    /// What it was made from, where that is known.
    pub made_from: Option<MadeFrom>,
    /// The SHA-256 of the source's text.
    pub source_sha256: B256,
    /// keccak256 of the init code.
    pub init_code_hash: B256,
    /// keccak256 of the runtime code: what `EXTCODEHASH` says of a deployed one.
    pub runtime_code_hash: B256,
    /// −[tau]₂ of the trusted setup, as the code has it: x imaginary, x real, y imaginary, y real. `None`
    /// if it cannot be read there and nobody named the SRS.
    pub neg_s_g2: Option<[U256; 4]>,
    /// Bytes of code and gas, under the rules of one hardfork.
    pub gas: GasReport,
}

/// A verifier that was built, with its guard, and checked in the in-process EVM.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifierArtifact {
    source: String,
    abi: JsonAbi,
    init_code: Bytes,
    runtime_code: Bytes,
    metadata: VerifierMetadata,
}

/// Where an artifact's files are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ArtifactFiles {
    /// The source with its guard, such as `Halo2Verifier.sol`.
    pub source: PathBuf,
    /// The interface as a JSON array, `Halo2Verifier.abi.json`.
    pub abi: PathBuf,
    /// Interface and bytecode in Foundry's form, `Halo2Verifier.json`.
    pub artifact: PathBuf,
    /// The compiler's input, for source verification, `Halo2Verifier.input.json`.
    pub standard_json: PathBuf,
    /// The [`VerifierMetadata`], `verifier.json`; written last.
    pub metadata: PathBuf,
}

impl ArtifactFiles {
    fn new(folder: &Path, contract: &str, language: Language, metadata: &str) -> Self {
        let file = |ending: &str| folder.join(format!("{contract}.{ending}"));
        Self {
            source: file(match language {
                Language::Solidity => "sol",
                Language::Yul => "yul",
            }),
            abi: file("abi.json"),
            artifact: file("json"),
            standard_json: file("input.json"),
            metadata: folder.join(metadata),
        }
    }
}

impl VerifierArtifact {
    pub(super) fn new(
        source: VerifierSource,
        contract: CompiledContract,
        runtime_code: Bytes,
        solc: &ResolvedSolc,
        tried: Vec<Attempt>,
        gas: GasReport,
        made_from: Option<MadeFrom>,
    ) -> Self {
        let ResolvedSolc { version, sha256, origin, .. } = solc.clone();
        let metadata = VerifierMetadata {
            schema: SCHEMA,
            kind: source.kind,
            contract: source.contract,
            language: source.language,
            shape: source.shape,
            packing: source.packing,
            compiler: CompilerRecord { version, sha256, origin, options: contract.options, tried },
            made_from,
            source_sha256: files::sha256(source.text.as_bytes()),
            init_code_hash: keccak256(&contract.init_code),
            runtime_code_hash: keccak256(&runtime_code),
            neg_s_g2: ceremony_words(&runtime_code).ok(),
            gas,
        };
        let abi = if contract.abi.is_empty() { interface() } else { contract.abi };
        let init_code = contract.init_code;
        Self { source: source.text, abi, init_code, runtime_code, metadata }
    }

    /// The source with its guard.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The JSON ABI; of Yul, which has none, that of `verifyProof`.
    pub fn abi(&self) -> &JsonAbi {
        &self.abi
    }

    /// What a creating transaction carries; the constructor takes nothing.
    pub fn init_code(&self) -> &Bytes {
        &self.init_code
    }

    /// What stands at the address of a deployed one.
    pub fn runtime_code(&self) -> &Bytes {
        &self.runtime_code
    }

    /// The compiler's whole input as JSON, from which it makes this very code: what explorers and
    /// Sourcify verify sources by. The contract is [`identifier`](Self::identifier) in it.
    pub fn standard_json(&self) -> serde_json::Value {
        let name = self.file_name();
        let files = [(name, self.source.clone())].into();
        let sources = SourceSet { language: self.metadata.language, files };
        sources.standard_json(&self.metadata.compiler.options)
    }

    /// `file:Name`, as explorers name a contract of the standard JSON input.
    pub fn identifier(&self) -> String {
        format!("{}:{}", self.file_name().display(), self.metadata.contract)
    }

    /// The name of the source's file, such as `LeanVerifier.sol`.
    pub fn source_name(&self) -> String {
        self.file_name().display().to_string()
    }

    fn file_name(&self) -> PathBuf {
        let VerifierMetadata { contract, language, .. } = &self.metadata;
        let files = ArtifactFiles::new(Path::new(""), contract, *language, METADATA_FILE);
        files.source
    }

    /// All else that is known.
    pub fn metadata(&self) -> &VerifierMetadata {
        &self.metadata
    }

    /// Deploys it in an in-process EVM of its own and calls it: the verdict and the transaction.
    ///
    /// # Errors
    /// If the EVM refuses one of the two transactions.
    pub fn verify(
        &self,
        proof: &[u8],
        instances: &[Felt],
        hardfork: Hardfork,
    ) -> evm::Result<(Verdict, CallResult)> {
        let mut evm = Evm::new(hardfork);
        if !self.metadata.gas.is_deployable() {
            evm = evm.without_limits();
        }
        let address = evm.deploy(self.init_code.clone())?.address;
        let calldata = super::calldata::encode_verify_proof(proof, instances);
        let result = evm.call(address, calldata, evm.gas_limit())?;
        Ok((Verdict::of(&result), result))
    }

    /// Makes sure that the code was made with this SRS, and keeps `−[tau]₂` in the metadata.
    ///
    /// # Errors
    /// [`Error::OtherSetup`].
    pub fn confirm_setup(&mut self, srs: &SrsFile) -> Result<()> {
        let words = srs.neg_tau_g2_words();
        if !is_made_with(&self.runtime_code, words) {
            let contract = self.metadata.contract.clone();
            return Err(Error::OtherSetup { contract, srs: srs.path().to_owned() });
        }
        self.metadata.neg_s_g2 = Some(words);
        Ok(())
    }

    /// Writes all files into `folder`, each atomically and the metadata last.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<ArtifactFiles> {
        self.write_as(folder, METADATA_FILE)
    }

    /// As [`write`](Self::write), with another name for the metadata.
    pub(super) fn write_as(&self, folder: &Path, name: &str) -> Result<ArtifactFiles> {
        let metadata = &self.metadata;
        let files = ArtifactFiles::new(folder, &metadata.contract, metadata.language, name);
        let artifact = json!({
            "abi": self.abi,
            "bytecode": { "object": self.init_code },
            "deployedBytecode": { "object": self.runtime_code },
        });
        files::write_atomic(&files.source, self.source.as_bytes())?;
        write_json(&files.abi, &json!(self.abi))?;
        write_json(&files.artifact, &artifact)?;
        write_json(&files.standard_json, &self.standard_json())?;
        write_json(&files.metadata, &json!(metadata))?;
        Ok(files)
    }

    /// Reads what [`write`](Self::write) wrote and compares the hashes.
    ///
    /// # Errors
    /// [`Error::Artifact`] with the file that is not what the metadata says.
    pub fn read(folder: &Path) -> Result<Self> {
        Self::read_as(folder, METADATA_FILE)
    }

    /// As [`read`](Self::read), with another name for the metadata.
    pub(super) fn read_as(folder: &Path, name: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Code {
            object: Bytes,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Artifact {
            abi: JsonAbi,
            bytecode: Code,
            deployed_bytecode: Code,
        }
        let path = folder.join(name);
        let metadata: VerifierMetadata = read_json(&path)?;
        if metadata.schema != SCHEMA {
            let message = format!("its schema is {}, not {SCHEMA}", metadata.schema);
            return Err(Error::Artifact { path, message });
        }
        let files = ArtifactFiles::new(folder, &metadata.contract, metadata.language, name);
        let source = files::read_to_string(&files.source)?;
        let Artifact { abi, bytecode, deployed_bytecode } = read_json(&files.artifact)?;
        let (init_code, runtime_code) = (bytecode.object, deployed_bytecode.object);
        for (path, same, what) in [
            (&files.source, files::sha256(source.as_bytes()) == metadata.source_sha256, "source"),
            (&files.artifact, keccak256(&init_code) == metadata.init_code_hash, "init code"),
            (&files.artifact, keccak256(&runtime_code) == metadata.runtime_code_hash, "code"),
        ] {
            if !same {
                let message = format!("the {what} has another hash than {name} says");
                return Err(Error::Artifact { path: path.clone(), message });
            }
        }
        Ok(Self { source, abi, init_code, runtime_code, metadata })
    }
}

/// `verifyProof` for a verifier whose compiler knows no ABI.
fn interface() -> JsonAbi {
    let function = "function verifyProof(bytes proof, uint256[] instances) returns (bool)";
    JsonAbi::parse([function]).unwrap_or_default()
}

fn write_json(path: &Path, value: &serde_json::Value) -> Result<()> {
    Ok(files::write_atomic(path, format!("{value:#}\n").as_bytes())?)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_slice(&files::read(path)?).map_err(|error| Error::Artifact {
        path: path.to_owned(),
        message: format!("not the expected JSON: {error}"),
    })
}
