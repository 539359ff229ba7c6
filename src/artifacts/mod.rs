//! Typed views of the files that ezkl reads and writes.
//!
//! Every reader checks what can be checked from the file alone, and its errors name the file, the
//! field and what to do. Checks that need a second file (`check(&settings)`) are separate.

pub mod extents;
pub mod input;
pub mod layout;
mod npy;
pub mod observations;
pub mod onnx;
mod predictions;
pub mod proof;
pub mod run_args;
pub mod settings;
pub mod slot;
mod takes;
pub mod vk;
pub mod witness;

pub use self::{
    extents::Extents,
    input::InputData,
    layout::{DecodedInstances, InstanceGroup, InstanceLayout},
    onnx::OnnxFile,
    proof::ProofFile,
    run_args::{CheckMode, RunArgs, Visibility},
    settings::{InputType, Settings},
    slot::Slot,
    vk::VkHeader,
    witness::Witness,
};

use crate::{
    error::ErrorKind,
    field::{self, Felt},
    files,
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

/// The ezkl versions whose files these readers know. Circuits, keys and proofs of one version do
/// not work with another.
pub const SUPPORTED_VERSIONS: &[&str] = &["23.0.5"];

/// A file is not what it should be, or does not fit another.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] files::Error),
    /// A file is larger than anything that could be meant.
    #[error("{} is {size} bytes, over the limit of {limit} bytes for {what}", path.display())]
    TooLarge {
        /// The path, as the caller gave it.
        path: PathBuf,
        /// What the file should be.
        what: &'static str,
        /// Its size in bytes.
        size: u64,
        /// The largest size that is read.
        limit: u64,
    },
    /// Not the JSON document that it should be.
    #[error("{} is not {what}: {}{message}; {remedy}", path.display(), at(field))]
    Malformed {
        /// The path, as the caller gave it.
        path: PathBuf,
        /// What the file should be, with its article.
        what: &'static str,
        /// The path of the field in the document; empty where the document is at fault.
        field: String,
        /// What is wrong, with line and column.
        message: String,
        /// What to do: how such a file is made again, or what it has to look like.
        remedy: &'static str,
    },
    /// Written by a version of ezkl that this zkvouch does not know.
    #[error(
        "{}: field `version` is {found:?}, but this zkvouch works with ezkl {}; {remedy}",
        path.display(), SUPPORTED_VERSIONS.join(", ")
    )]
    Version {
        /// The path, as the caller gave it.
        path: PathBuf,
        /// The version found; empty if there is none.
        found: String,
        /// What to do: how such a file is made again.
        remedy: &'static str,
    },
    /// Observations could not be read.
    #[error(transparent)]
    Observations(#[from] observations::Error),
    /// A value that cannot be used, or that does not fit another file.
    #[error("{}: {}{message}", path.display(), at(field))]
    Invalid {
        /// The path of the file with the value, as the caller gave it.
        path: PathBuf,
        /// The path of the field; empty where the file as a whole is meant.
        field: String,
        /// What is wrong and what to do.
        message: String,
    },
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::File(inner) => inner.kind(),
            Self::Observations(inner) => inner.kind(),
            Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::Version { .. }
            | Self::Invalid { .. } => ErrorKind::BadInput,
        }
    }
}

fn at(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!("field `{field}`: ") }
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a kind of file is called and what to do when it is broken.
#[derive(Clone, Copy, Debug)]
struct Kind {
    what: &'static str,
    remedy: &'static str,
    limit: u64,
}

impl Kind {
    /// Reads a whole file, refusing what exceeds the limit without reading it.
    fn read(self, path: &Path) -> Result<Vec<u8>> {
        let error = || files::Error::at("read", path);
        let mut file = File::open(path).map_err(error())?;
        let metadata = file.metadata().map_err(error())?;
        if metadata.is_dir() {
            let source = std::io::Error::from(std::io::ErrorKind::IsADirectory);
            return Err(error()(source).into());
        }
        let check = |size: u64| {
            let (what, limit) = (self.what, self.limit);
            let error = || Error::TooLarge { path: path.to_owned(), what, size, limit };
            if size > limit { Err(error()) } else { Ok(size) }
        };
        let mut bytes = Vec::with_capacity(check(metadata.len())? as usize);
        // A pipe has no length, and a file may grow, so the limit holds for what is read, too.
        let read = (&mut file).take(self.limit + 1).read_to_end(&mut bytes).map_err(error())?;
        check(read as u64)?;
        match files::lfs_pointer(&bytes) {
            Some(message) => Err(invalid(path, "", message)),
            None => Ok(bytes),
        }
    }

    /// Parses JSON; an error has the path of the field in it.
    fn parse<T: DeserializeOwned>(self, bytes: &[u8], path: &Path) -> Result<T> {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let malformed = |field: String, message: String| {
            let (what, remedy) = (self.what, self.remedy);
            Error::Malformed { path: path.to_owned(), what, field, message, remedy }
        };
        let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let field = match error.path().to_string() {
                root if root == "." || root == "?" => String::new(),
                field => field,
            };
            malformed(field, error.inner().to_string())
        })?;
        deserializer.end().map_err(|error| malformed(String::new(), error.to_string()))?;
        Ok(value)
    }

    /// Refuses a document of an unknown version before anything else in it is looked at, since
    /// another version may well have other fields.
    fn check_version(self, bytes: &[u8], path: &Path) -> Result<()> {
        #[derive(Deserialize)]
        struct Probe {
            version: Option<String>,
        }
        let found = self.parse::<Probe>(bytes, path)?.version.unwrap_or_default();
        if SUPPORTED_VERSIONS.contains(&found.as_str()) {
            return Ok(());
        }
        Err(Error::Version { path: path.to_owned(), found, remedy: self.remedy })
    }
}

/// An [`Error::Invalid`]; an empty `field` means the whole file.
fn invalid(path: &Path, field: impl Into<String>, message: impl Into<String>) -> Error {
    Error::Invalid { path: path.to_owned(), field: field.into(), message: message.into() }
}

/// A scalar in ezkl's JSON: 64 hexadecimal digits, least significant byte first.
struct LeFelt(Felt);

/// A scalar in ezkl's "pretty" fields: `0x` and 64 digits, most significant byte first.
struct BeFelt(Felt);

impl<'de> Deserialize<'de> for LeFelt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        felt(deserializer, Felt::from_le_hex).map(Self)
    }
}

impl<'de> Deserialize<'de> for BeFelt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        felt(deserializer, Felt::from_be_hex).map(Self)
    }
}

fn felt<'de, D: Deserializer<'de>>(
    deserializer: D,
    decode: fn(&str) -> Result<Felt, field::Error>,
) -> Result<Felt, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    decode(&text).map_err(serde::de::Error::custom)
}

fn le_felts(tensors: Vec<Vec<LeFelt>>) -> Vec<Vec<Felt>> {
    tensors.into_iter().map(|tensor| tensor.into_iter().map(|felt| felt.0).collect()).collect()
}

fn be_felts(tensors: Vec<Vec<BeFelt>>) -> Vec<Vec<Felt>> {
    tensors.into_iter().map(|tensor| tensor.into_iter().map(|felt| felt.0).collect()).collect()
}
