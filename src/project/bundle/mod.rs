//! What a stranger needs to check a verifier: one file, the same bytes each time.
//!
//! A bundle is a gzipped tar. `statement.json` in it, an in-toto statement with a SLSA provenance, has the SHA-256 of every
//! other file and says what the verifier was made from; a signature is about its SHA-256. `model.onnx` may be left out:
//! then its hash is all that is said of it.

mod statement;

pub use statement::{Dependency, Statement, Subject};

use super::{Built, Error, Result};
use crate::{
    artifacts::proof::ProofFile,
    files,
    model::{
        identity::{ModelId, ModelIdentity},
        proof::Proof,
    },
    prepare::Original,
    srs::SrsFile,
    verifier::VerifierMetadata,
};
use alloy::primitives::{B256, keccak256};
use std::{
    collections::BTreeMap,
    io::{self, Read as _},
    path::Path,
};

/// The statement's name in a bundle.
pub const STATEMENT: &str = "statement.json";
/// The model's name in a bundle that has it.
pub const MODEL: &str = "model.onnx";
/// The model as ezkl took it, in a bundle that has the model.
pub const PREPARED: &str = "prepared.onnx";
const SETTINGS: &str = "settings.json";
const VK: &str = "vk.key";
const SRS: &str = "srs-k1.srs";
const PROOF: &str = "proof.json";
const DESCRIPTOR: &str = "descriptor.hex";
const METADATA: &str = "verifier/verifier.json";
const RUNTIME_CODE: &str = "verifier/runtime.hex";
const INIT_CODE: &str = "verifier/init.hex";
const STANDARD_JSON: &str = "verifier/standard-input.json";

/// The most bytes that a bundle may unpack to: a model of ezkl's size with its keys is far smaller.
const MOST: u64 = 4 << 30;

/// A bundle, whose files are those of its statement.
#[derive(Clone, Debug)]
pub struct Bundle {
    statement: Statement,
    /// SHA-256 of the statement's bytes, which a signature is about.
    digest: B256,
    files: BTreeMap<String, Vec<u8>>,
}

impl Built {
    /// Everything that a stranger needs to check what is built. With `with_model` the ONNX file itself is in it, and the
    /// weights that lie beside it are put inside.
    ///
    /// # Errors
    /// A file that can't be read.
    pub fn bundle(&self, with_model: bool) -> Result<Bundle> {
        let artifacts = self.artifacts();
        let mut contents = BTreeMap::new();
        let mut put = |name: &str, bytes: Vec<u8>| drop(contents.insert(name.to_owned(), bytes));
        put(SETTINGS, files::read(&artifacts.settings)?);
        put(VK, files::read(&artifacts.vk)?);
        put(PROOF, files::read(&artifacts.proof)?);
        // [τ]₂ is all that verifying takes of an SRS; the statement has the whole one's hash.
        let scratch = files::Scratch::new()?;
        let reduced = scratch.path().join(SRS);
        let srs = SrsFile::open(&artifacts.srs)?;
        srs.reduced(&reduced)?;
        put(SRS, files::read(&reduced)?);
        put(DESCRIPTOR, hex(&self.descriptor().encode()));
        let verifier = self.verifier();
        put(METADATA, pretty(verifier.metadata())?);
        put(RUNTIME_CODE, hex(verifier.runtime_code()));
        put(INIT_CODE, hex(verifier.init_code()));
        put(STANDARD_JSON, pretty(&verifier.standard_json())?);
        put(&format!("verifier/{}", verifier.source_name()), verifier.source().into());
        if with_model {
            put(PREPARED, files::read(&artifacts.prepared)?);
            let original = Original::read(self.model_path(), &[])?;
            match original.weights().is_empty() {
                true => put(MODEL, files::read(self.model_path())?),
                false => put("model-with-weights.onnx", original.to_bytes()),
            }
        }
        Ok(Bundle::of(Statement::new(self, srs.k(), &contents), contents))
    }
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    (alloy::hex::encode_prefixed(bytes) + "\n").into_bytes()
}

fn pretty(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::Bundle { path: METADATA.into(), message: error.to_string() })?;
    bytes.push(b'\n');
    Ok(bytes)
}

impl Bundle {
    fn of(statement: Statement, files: BTreeMap<String, Vec<u8>>) -> Self {
        let digest = files::sha256(&statement.bytes());
        Self { statement, digest, files }
    }

    /// What the bundle says.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// SHA-256 of the statement's bytes, which a signature is about.
    pub fn digest(&self) -> B256 {
        self.digest
    }

    /// The bytes of a file in it.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(Vec::as_slice)
    }

    /// The names of its files, but for the statement.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The whole as a gzipped tar: files in the order of their names, without times, owners and modes of anybody's.
    ///
    /// # Errors
    /// Only where memory ends.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let gzip = flate2::GzBuilder::new().mtime(0).operating_system(255);
        let mut tar = tar::Builder::new(gzip.write(Vec::new(), flate2::Compression::best()));
        let statement = self.statement.bytes();
        let first = std::iter::once((STATEMENT, &statement[..]));
        let rest = self.files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..]));
        for (name, bytes) in first.chain(rest) {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(0);
            header.set_uid(0);
            header.set_gid(0);
            tar.append_data(&mut header, name, bytes)?;
        }
        tar.into_inner()?.finish()
    }

    /// Writes it.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let bytes = self.to_bytes().map_err(files::Error::at("write", path))?;
        Ok(files::write_atomic(path, &bytes)?)
    }

    /// Reads a bundle, and holds each file against the statement.
    ///
    /// # Errors
    /// [`Error::Bundle`] for a file that is none, one that is missing, added or another than the statement says, and for a
    /// model id that doesn't follow from what it is made of.
    pub fn read(path: &Path) -> Result<Self> {
        let fault = |message: String| Error::Bundle { path: path.to_owned(), message };
        let bytes = files::read(path)?;
        let unpacked = flate2::read::GzDecoder::new(&bytes[..]).take(MOST);
        let mut contents = BTreeMap::new();
        let damaged =
            |error: io::Error| fault(format!("it is no bundle, or a damaged one: {error}"));
        let mut archive = tar::Archive::new(unpacked);
        for entry in archive.entries().map_err(damaged)? {
            let mut entry = entry.map_err(damaged)?;
            let name = entry.path().map_err(damaged)?.to_string_lossy().into_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(damaged)?;
            if contents.insert(name.clone(), bytes).is_some() {
                return Err(fault(format!("{name} stands in it twice")));
            }
        }
        let text = contents
            .remove(STATEMENT)
            .ok_or_else(|| fault(format!("there is no {STATEMENT} in it")))?;
        let statement: Statement = serde_json::from_slice(&text)
            .map_err(|error| fault(format!("{STATEMENT}: {error}")))?;
        if statement.bytes() != text {
            return Err(fault(format!("{STATEMENT} is not as zkvouch writes it")));
        }
        statement.check_files(&contents).map_err(fault)?;
        let bundle = Self::of(statement, contents);
        bundle.check_identity().map_err(fault)?;
        Ok(bundle)
    }

    /// What the model's identity is made of.
    ///
    /// # Errors
    /// A file that the statement doesn't have.
    pub fn identity(&self) -> Result<ModelIdentity, String> {
        self.statement.identity()
    }

    /// The id that the chain knows the model by.
    pub fn model_id(&self) -> ModelId {
        self.statement.model_id()
    }

    /// The instances' descriptor, as the contracts have it.
    ///
    /// # Errors
    /// If there are no hexadecimal digits.
    pub fn descriptor(&self) -> Result<Vec<u8>, String> {
        self.hex(DESCRIPTOR)
    }

    /// The code that stands at the verifier's address.
    ///
    /// # Errors
    /// If there are no hexadecimal digits.
    pub fn runtime_code(&self) -> Result<Vec<u8>, String> {
        self.hex(RUNTIME_CODE)
    }

    /// What a creating transaction carries.
    ///
    /// # Errors
    /// If there are no hexadecimal digits.
    pub fn init_code(&self) -> Result<Vec<u8>, String> {
        self.hex(INIT_CODE)
    }

    /// What is known of the verifier besides its code.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn metadata(&self) -> Result<VerifierMetadata, String> {
        let bytes = self.file(METADATA).unwrap_or_default();
        serde_json::from_slice(bytes).map_err(|error| format!("{METADATA}: {error}"))
    }

    /// The proof that the verifier accepts.
    ///
    /// # Errors
    /// If it is none.
    pub fn proof(&self) -> Result<Proof> {
        let bytes = self.file(PROOF).unwrap_or_default();
        Ok(ProofFile::from_json(bytes, Path::new(PROOF))?.proof)
    }

    fn hex(&self, name: &str) -> Result<Vec<u8>, String> {
        let text = String::from_utf8_lossy(self.file(name).unwrap_or_default()).into_owned();
        alloy::hex::decode(text.trim()).map_err(|error| format!("{name}: {error}"))
    }

    /// Writes its files into a folder, with the names that a step takes.
    ///
    /// # Errors
    /// If a file can't be written.
    pub fn unpack(&self, folder: &Path) -> Result<()> {
        for (name, bytes) in &self.files {
            files::write_atomic(&folder.join(name), bytes)?;
        }
        Ok(())
    }

    /// That the parts of the bundle belong together: identity, descriptor, code.
    fn check_identity(&self) -> Result<(), String> {
        let identity = self.identity()?;
        if identity.model_id() != self.model_id() {
            return Err(format!(
                "its model id is {}, but what it is made of has {}",
                self.model_id(),
                identity.model_id()
            ));
        }
        let descriptor = keccak256(self.descriptor()?);
        if descriptor != identity.descriptor_keccak256 {
            return Err(format!("{DESCRIPTOR} is not the one of the model id"));
        }
        let metadata = self.metadata()?;
        let code = [
            (RUNTIME_CODE, self.runtime_code()?, metadata.runtime_code_hash),
            (INIT_CODE, self.init_code()?, metadata.init_code_hash),
        ];
        for (name, code, hash) in code {
            if keccak256(code) != hash {
                return Err(format!("{name} is not the code that {METADATA} is about"));
            }
        }
        Ok(())
    }
}
