//! Input for a model in ezkl's form: `{"input_data": [[…], …]}`, one flat row-major array for each
//! input tensor.
//!
//! ezkl takes numbers, booleans (for boolean tensors) and scalars as 64 hexadecimal digits, little
//! endian. Much of what it cannot use makes it panic, and some it silently cuts (a fraction for an
//! integer tensor) or ignores (a tensor too many); all of it is an error here.

mod check;
mod element;

pub use element::Element;
pub(super) use element::exact;

use super::{
    Error, Kind, Result, invalid,
    settings::{InputType, Settings},
    slot::Slot,
};
use crate::{field::Scale, files, model::batch::Batching};
use element::Tensor;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The largest input file that is read: 256 MiB.
pub const MAX_FILE_BYTES: u64 = 256 << 20;

const KIND: Kind = Kind {
    what: "an input file",
    remedy: "write one flat array of numbers for each input tensor: {\"input_data\": [[…]]}",
    limit: MAX_FILE_BYTES,
};

#[derive(Deserialize)]
struct RawInput {
    input_data: Vec<Tensor>,
}

/// Input for one run of a model, or for several, one after the other in each tensor.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct InputData {
    /// Each input tensor, flat in row-major order.
    pub tensors: Vec<Vec<Element>>,
    path: PathBuf,
}

impl InputData {
    /// Reads an input file.
    ///
    /// # Errors
    /// The file, the tensor and the element that is NaN, infinite, null, a string, an array, …; a
    /// file over [`MAX_FILE_BYTES`].
    pub fn read(path: &Path) -> Result<Self> {
        Self::from_json(&KIND.read(path)?, path)
    }

    /// As [`read`](Self::read), from bytes; `path` is for errors.
    pub fn from_json(bytes: &[u8], path: &Path) -> Result<Self> {
        // A derived reader would take a bare array for the object's fields in order.
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
            return Err(Error::Malformed {
                path: path.to_owned(),
                what: KIND.what,
                field: String::new(),
                message: "a bare array, not an object with `input_data`".to_owned(),
                remedy: KIND.remedy,
            });
        }
        let raw: RawInput = KIND.parse(bytes, path).map_err(|error| explain(error, bytes))?;
        let tensors: Vec<_> = raw.input_data.into_iter().map(|tensor| tensor.0).collect();
        if tensors.is_empty() {
            let message = format!("no tensors; {}", KIND.remedy);
            return Err(invalid(path, "input_data", message));
        }
        Ok(Self { tensors, path: path.to_owned() })
    }

    /// From numbers in memory.
    ///
    /// # Errors
    /// The first number that is not finite.
    pub fn from_tensors(tensors: &[Vec<f64>]) -> Result<Self> {
        let path = PathBuf::from("the input");
        for (tensor, values) in tensors.iter().enumerate() {
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                let message = format!("{} is not a finite number", values[at]);
                return Err(invalid(&path, field(tensor, at), message));
            }
        }
        let tensor = |values: &Vec<f64>| values.iter().copied().map(Element::Number).collect();
        Ok(Self { tensors: tensors.iter().map(tensor).collect(), path })
    }

    /// One observation that is finite, as its reader has seen to.
    pub(super) fn of(tensors: &[Vec<f64>], path: &Path) -> Self {
        let tensor = |values: &Vec<f64>| values.iter().copied().map(Element::Number).collect();
        Self { tensors: tensors.iter().map(tensor).collect(), path: path.to_owned() }
    }

    /// The observations, which lie one after the other in each tensor.
    ///
    /// # Errors
    /// Where the numbers of elements are no whole number of observations, the same in each tensor.
    pub(super) fn split(self, inputs: &[Slot]) -> Result<Vec<Self>> {
        self.check_tensor_count(inputs.len())?;
        let mut count = None;
        for (tensor, input) in inputs.iter().enumerate() {
            let (found, length) = (self.tensors[tensor].len(), input.elements());
            if input.is_fixed() && found == length && length == 0 {
                continue;
            }
            let whole = length > 0 && found.is_multiple_of(length);
            if found == 0 {
                let message = no_values(&input.name);
                return Err(invalid(&self.path, format!("input_data[{tensor}]"), message));
            }
            if !whole || count.is_some_and(|count| count * length != found) {
                let message = format!(
                    "`{}` has {found} values; the model takes {length} (shape {:?}) or a multiple of that, the \
                     same for each input",
                    input.name, input.shape
                );
                return Err(invalid(&self.path, format!("input_data[{tensor}]"), message));
            }
            count = Some(found / length);
        }
        for (tensor, (input, elements)) in inputs.iter().zip(&self.tensors).enumerate() {
            for (at, element) in elements.iter().enumerate() {
                let Element::Number(number) = element else { continue };
                let admitted = input.admit(at % input.elements(), *number);
                admitted.map_err(|message| invalid(&self.path, field(tensor, at), message))?;
            }
        }
        let one = |number: usize| {
            let part = |(input, all): (&Slot, &Vec<Element>)| {
                let length = input.elements();
                all[number * length..][..length].to_vec()
            };
            let tensors = inputs.iter().zip(&self.tensors).map(part).collect();
            Self { tensors, path: self.path.clone() }
        };
        Ok((0..count.unwrap_or(0)).map(one).collect())
    }

    /// The input of a circuit that takes several observations; where there are too few, the last stands in their
    /// place.
    pub fn together(observations: &[Self], batch: Batching) -> Self {
        let path =
            observations.first().map_or_else(|| PathBuf::from("no input"), |it| it.path.clone());
        let tensors: Vec<_> = observations.iter().map(|it| &it.tensors[..]).collect();
        Self { tensors: batch.join(&tensors), path }
    }

    /// Several inputs one after the other, tensor by tensor: what calibration takes.
    ///
    /// # Errors
    /// If one has another number of tensors than the first.
    pub fn concat(items: &[Self]) -> Result<Self> {
        let Some(first) = items.first() else {
            return Ok(Self { tensors: Vec::new(), path: PathBuf::from("no input") });
        };
        let mut all = first.clone();
        for item in &items[1..] {
            if item.tensors.len() != all.tensors.len() {
                let message = format!(
                    "{} tensors, but {} has {}",
                    item.tensors.len(),
                    first.path.display(),
                    all.tensors.len()
                );
                return Err(invalid(&item.path, "input_data", message));
            }
            for (tensor, more) in all.tensors.iter_mut().zip(&item.tensors) {
                tensor.extend_from_slice(more);
            }
        }
        Ok(all)
    }

    /// The file that the input came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// As ezkl reads it for a circuit: booleans where the model has them.
    pub fn to_json_for(&self, settings: &Settings) -> serde_json::Value {
        let types = settings.input_types.as_deref().unwrap_or_default();
        let mut input = self.clone();
        for (tensor, _) in
            input.tensors.iter_mut().zip(types).filter(|(_, kind)| **kind == InputType::Bool)
        {
            for element in tensor {
                if let Element::Number(number) = *element {
                    *element = Element::Bool(number != 0.0);
                }
            }
        }
        input.to_json()
    }

    /// As ezkl reads it.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "input_data": self.tensors })
    }

    /// Writes the input as ezkl reads it.
    pub fn write(&self, path: &Path) -> Result<()> {
        Ok(files::write_private(path, self.to_json().to_string().as_bytes())?)
    }

    /// The numbers of each tensor, scalars read at the scales given.
    ///
    /// # Errors
    /// A scalar that is no fixed-point number.
    pub fn numbers(&self, scales: &[Scale]) -> Result<Vec<Vec<f64>>> {
        let number = |tensor: usize, at: usize, element: &Element| {
            let scale = scales.get(tensor).copied().unwrap_or_default();
            element.to_f64(scale).ok_or_else(|| {
                invalid(&self.path, field(tensor, at), "a scalar that is no fixed-point number")
            })
        };
        let tensors = self.tensors.iter().enumerate();
        tensors
            .map(|(tensor, values)| {
                values.iter().enumerate().map(|(at, value)| number(tensor, at, value)).collect()
            })
            .collect()
    }
}

fn field(tensor: usize, at: usize) -> String {
    format!("input_data[{tensor}][{at}]")
}

/// Says NaN and infinity where the JSON reader, which knows neither, says "expected value".
fn explain(error: Error, bytes: &[u8]) -> Error {
    let Error::Malformed { path, what, field, message, remedy } = error else { return error };
    let place = message
        .rsplit_once(" at line ")
        .and_then(|(_, place)| place.split_once(" column "))
        .and_then(|(line, column)| {
            let line: usize = line.parse().ok()?;
            let column: usize = column.parse().ok()?;
            bytes.split(|byte| *byte == b'\n').nth(line.checked_sub(1)?)?.get(..column.max(1)).map(
                |before| {
                    // Back to the start of the word at which the reader stopped.
                    let start = before
                        .iter()
                        .rposition(|byte| !byte.is_ascii_alphabetic() && *byte != b'-')
                        .map_or(0, |at| at + 1);
                    (line - 1, start)
                },
            )
        });
    let word: String = place
        .and_then(|(line, start)| bytes.split(|byte| *byte == b'\n').nth(line)?.get(start..))
        .map(|rest| {
            let word = rest.iter().take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'-');
            word.take(20).map(|byte| char::from(*byte)).collect()
        })
        .unwrap_or_default();
    let lower = word.trim_start_matches('-').to_ascii_lowercase();
    let message = if ["nan", "inf", "infinity"].contains(&lower.as_str()) {
        format!("{word} is not a finite number ({message})")
    } else if message.starts_with("number out of range") {
        format!("the number is too large, infinite in 64 bits ({message})")
    } else {
        message
    };
    Error::Malformed { path, what, field, message, remedy }
}

/// What is wrong with an input that is there and holds nothing.
pub(super) fn no_values(name: &str) -> String {
    format!(
        "`{name}` has no values, and a circuit takes no input without elements; give its values, or init with \
         --fix {name} where the empty list is meant"
    )
}

#[cfg(test)]
mod tests;
