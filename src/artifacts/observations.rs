//! Observations: one or many inputs for one model, read from JSON, JSON Lines, CSV, .npy or .npz.

mod arrays;
mod csv;
mod json;
#[cfg(test)]
mod tests;

use super::{input::InputData, slot::Slot};
use crate::{error::ErrorKind, files};
use std::path::{Path, PathBuf};

/// The observations could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] files::Error),
    /// The file's ending is not one that has a reader.
    #[error(
        "{}: observations are read from .json, .jsonl, .csv, .npy and .npz files", path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing in the file.
    #[error("{} holds no observation", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Something in the file is wrong.
    #[error("{}, {place}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Where: a line, an observation or an array.
        place: String,
        /// What is wrong and what to do.
        message: String,
    },
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::File(inner) => inner.kind(),
            Self::Format { .. } | Self::Empty { .. } | Self::Content { .. } => ErrorKind::BadInput,
        }
    }
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One observation: a flattened (row-major) tensor for each input of the model.
pub type Observation = Vec<Vec<f64>>;

/// The largest file that is read whole.
const MAX_BYTES: u64 = 2 << 30;

/// Reads every observation of `path` for a model with these inputs.
///
/// | ending | content |
/// |---|---|
/// | `.json` | `{"input_data": [[…], …]}`, one list for each input and in it one observation after the other; `{"<input>": …, …}` with the inputs by name; or an array of such objects, or of plain rows |
/// | `.jsonl`, `.ndjson` | such an object, or a plain row, a line |
/// | `.csv` | an observation a line, the inputs' elements side by side; a first line without any number is a header. Where it names every input of a model whose inputs are single numbers, it tells their order, and other columns are left out |
/// | `.npy` | shape `[observations, …]`, for a model with one input |
/// | `.npz` | such an array for each input, by the input's name or, failing that, in the file's order |
///
/// NaN, null and an empty cell stand for a missing value where the model takes one. An input that the model has fixed may
/// be there, with the value that it is fixed to, or be left out.
pub fn read(path: &Path, inputs: &[Slot]) -> Result<Vec<Observation>> {
    let bytes = load(path)?;
    without_fixed(path, inputs, |inputs| of_bytes(&bytes, path, inputs), Observation::clone, keep)
}

/// As [`read`], as ezkl takes them: of ezkl's own form scalars and booleans are kept as they are.
pub fn read_inputs(path: &Path, inputs: &[Slot]) -> Result<Vec<InputData>, super::Error> {
    let bytes = load(path)?;
    let observations = |inputs: &[Slot]| -> Result<Vec<InputData>, super::Error> {
        if ending(path) == "json" && is_ezkls(&bytes) && !has_missing(&bytes, inputs) {
            return InputData::from_json(&bytes, path)?.split(inputs);
        }
        let observations = of_bytes(&bytes, path, inputs)?;
        Ok(observations.iter().map(|tensors| InputData::of(tensors, path)).collect())
    };
    let numbers = |input: &InputData| input.numbers(&[]).unwrap_or_default();
    without_fixed(path, inputs, observations, numbers, |mut input, free| {
        input.tensors = keep(input.tensors, free);
        input
    })
}

/// Reads for all inputs, or for those alone that the model has not fixed, and leaves these out.
fn without_fixed<T, E: From<Error>>(
    path: &Path,
    inputs: &[Slot],
    read: impl Fn(&[Slot]) -> Result<Vec<T>, E>,
    numbers: impl Fn(&T) -> Observation,
    free: impl Fn(T, &[bool]) -> T,
) -> Result<Vec<T>, E> {
    if !inputs.iter().any(Slot::is_fixed) {
        return read(inputs);
    }
    let given = match read(inputs) {
        Ok(given) => given,
        Err(error) => {
            let free: Vec<_> = inputs.iter().filter(|it| !it.is_fixed()).cloned().collect();
            return read(&free).map_err(|_| error);
        }
    };
    for (number, observation) in given.iter().enumerate() {
        for (input, tensor) in inputs.iter().zip(numbers(observation)) {
            if let Some(fixed) = input.takes.fixed.as_ref().filter(|fixed| **fixed != tensor) {
                let message = format!(
                    "`{}` is {tensor:?}, and the model has it fixed to {fixed:?} (zkvouch.toml, [model] constants): \
                     what it decides is part of the circuit; leave it out, or make another project for this value",
                    input.name
                );
                let place = format!("observation {number}");
                return Err(Error::Content { path: path.to_owned(), place, message }.into());
            }
        }
    }
    let is_free: Vec<bool> = inputs.iter().map(|input| !input.is_fixed()).collect();
    Ok(given.into_iter().map(|observation| free(observation, &is_free)).collect())
}

/// The tensors that are to be kept.
fn keep<T>(tensors: Vec<T>, free: &[bool]) -> Vec<T> {
    tensors.into_iter().zip(free).filter(|(_, free)| **free).map(|(tensor, _)| tensor).collect()
}

/// How many numbers each input has in a file of ezkl's own form; nothing is told of any other.
pub fn lengths(path: &Path) -> Option<Vec<usize>> {
    let bytes = load(path).ok().filter(|bytes| ending(path) == "json" && is_ezkls(bytes))?;
    Some(InputData::from_json(&bytes, path).ok()?.tensors.iter().map(Vec::len).collect())
}

/// Whether it is an object whose `input_data` is no object itself, valid or not.
fn is_ezkls(bytes: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Probe {
        #[serde(rename = "input_data")]
        _input_data: serde::de::IgnoredAny,
    }
    #[derive(serde::Deserialize)]
    struct ByName {
        #[serde(rename = "input_data")]
        _input_data: std::collections::BTreeMap<String, serde::de::IgnoredAny>,
    }
    let bytes = json::nulls(bytes);
    bytes.trim_ascii_start().starts_with(b"{")
        && serde_json::from_slice::<ByName>(&bytes).is_err()
        && match serde_json::from_slice::<Probe>(&bytes) {
            Ok(_) => true,
            Err(error) => error.is_syntax() || error.is_eof(),
        }
}

/// Whether a missing value stands where the model takes one, which ezkl's own form has none of.
fn has_missing(bytes: &[u8], inputs: &[Slot]) -> bool {
    inputs.iter().any(|input| !input.takes.missing.is_empty())
        && json::nulls(bytes).windows(4).any(|window| window == b"null")
}

fn ending(path: &Path) -> String {
    path.extension().and_then(|end| end.to_str()).unwrap_or("").to_ascii_lowercase()
}

fn load(path: &Path) -> Result<Vec<u8>> {
    let size = std::fs::metadata(path).map_err(files::Error::at("read", path))?.len();
    let wrong = |message: &str| Error::Content {
        path: path.to_owned(),
        place: "the file".to_owned(),
        message: message.to_owned(),
    };
    if size > MAX_BYTES {
        return Err(wrong("it is larger than 2 GiB; split it"));
    }
    let bytes = files::read(path)?;
    match files::lfs_pointer(&bytes) {
        Some(message) => Err(wrong(message)),
        None => Ok(bytes),
    }
}

fn of_bytes(bytes: &[u8], path: &Path, inputs: &[Slot]) -> Result<Vec<Observation>> {
    let reader = Reader { path, inputs };
    let observations = match ending(path).as_str() {
        "json" => reader.json(bytes)?,
        "jsonl" | "ndjson" => reader.json_lines(bytes)?,
        "csv" => reader.csv(bytes)?,
        "npy" => reader.npy(bytes)?,
        "npz" => reader.npz(bytes)?,
        _ => return Err(Error::Format { path: path.to_owned() }),
    };
    if observations.is_empty() {
        return Err(Error::Empty { path: path.to_owned() });
    }
    Ok(observations)
}

struct Reader<'a> {
    path: &'a Path,
    inputs: &'a [Slot],
}

impl Reader<'_> {
    fn wrong(&self, place: impl Into<String>, message: String) -> Error {
        Error::Content { path: self.path.to_owned(), place: place.into(), message }
    }

    fn width(&self) -> usize {
        self.inputs.iter().map(Slot::elements).sum()
    }

    /// Cuts a row of all inputs' elements into the inputs.
    fn split(&self, row: &[f64]) -> Observation {
        let mut rest = row;
        let mut tensors = Vec::new();
        for input in self.inputs {
            let (tensor, after) = rest.split_at(input.elements());
            tensors.push(tensor.to_vec());
            rest = after;
        }
        tensors
    }

    /// One observation as the model takes it.
    fn admitted(&self, observation: Observation, place: &str) -> Result<Observation> {
        let tensors = self.inputs.iter().zip(observation).map(|(input, tensor)| {
            let number = |(at, number): (usize, f64)| {
                input.admit(at, number).map_err(|message| {
                    self.wrong(place, format!("element {at} of `{}`: {message}", input.name))
                })
            };
            tensor.into_iter().enumerate().map(number).collect()
        });
        tensors.collect()
    }
}
