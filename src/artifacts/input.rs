//! Input for a model in ezkl's form: `{"input_data": [[…], …]}`, one flat row-major array for each
//! input tensor.
//!
//! ezkl takes numbers, booleans (for boolean tensors) and scalars as 64 hexadecimal digits, little
//! endian. Much of what it cannot use makes it panic, and some it silently cuts (a fraction for an
//! integer tensor) or ignores (a tensor too many); all of it is an error here.

use super::{
    Error, Kind, Result, invalid,
    layout::{Slot, elements},
    run_args::Visibility,
    settings::{InputType, Settings},
};
use crate::{
    field::{Felt, Scale},
    files,
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, IntoDeserializer as _},
};
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// The largest input file that is read: 256 MiB.
pub const MAX_FILE_BYTES: u64 = 256 << 20;

const KIND: Kind = Kind {
    what: "an input file",
    remedy: "write one flat array of numbers for each input tensor: {\"input_data\": [[…]]}",
    limit: MAX_FILE_BYTES,
};

/// One element of an input tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element {
    /// A finite number; ezkl, too, reads integers as 64-bit floats.
    Number(f64),
    /// A boolean.
    Bool(bool),
    /// A value that is scaled already.
    Felt(Felt),
}

impl Element {
    /// The real number that stands for the element at `scale`; `None` for a scalar that is no
    /// fixed-point number.
    pub fn to_f64(self, scale: Scale) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Bool(bool) => Some(f64::from(u8::from(bool))),
            Self::Felt(felt) => felt.to_f64(scale).ok(),
        }
    }
}

/// The same number as a 64-bit float, which is how ezkl reads it.
pub(super) fn exact(integer: i128) -> Result<f64, String> {
    let number = integer as f64;
    if number as i128 == integer {
        return Ok(number);
    }
    Err(format!("{integer} is beyond 2^53 and no 64-bit float, as which ezkl reads it"))
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Element;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Element, E> {
                if number.is_finite() {
                    Ok(Element::Number(number))
                } else {
                    Err(E::custom(format!("{number} is not a finite number")))
                }
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Element, E> {
                exact(number.into()).map(Element::Number).map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Element, E> {
                exact(number.into()).map(Element::Number).map_err(E::custom)
            }

            fn visit_bool<E: de::Error>(self, bool: bool) -> Result<Element, E> {
                Ok(Element::Bool(bool))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Element, E> {
                Err(E::custom(
                    "null is not a number; many programs write NaN and infinity as null, so look \
                     for those where the data comes from",
                ))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Element, E> {
                if text.len() == 64 {
                    return Felt::from_le_hex(text).map(Element::Felt).map_err(E::custom);
                }
                let shown: String = text.chars().take(40).collect();
                Err(E::custom(format!(
                    "{shown:?} is a string; write numbers without quotes (a scalar is 64 \
                     hexadecimal digits, little endian, without 0x)"
                )))
            }

            // How serde_json hands out numbers where some crate in the build has switched its
            // `arbitrary_precision` on.
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Element, A::Error> {
                serde_json::Number::deserialize(de::value::MapAccessDeserializer::new(map))
                    .map_err(|_| de::Error::custom("an object is not a number"))?
                    .as_f64()
                    .filter(|number| number.is_finite())
                    .map(Element::Number)
                    .ok_or_else(|| de::Error::custom("number out of range"))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for Element {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Bool(bool) => serializer.serialize_bool(*bool),
            Self::Felt(felt) => serializer.serialize_str(&felt.to_le_hex()),
        }
    }
}

/// A tensor, nested or not, read with an error of its own where the tensor level is missing.
struct Tensor(Vec<Element>);

/// What stands in a tensor: an element, or a row of them.
struct Part<'a>(&'a mut Vec<Element>);

impl<'de> de::DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        struct Visitor<'a>(&'a mut Vec<Element>);
        macro_rules! elements {
            ($($visit:ident($value:ty)),*) => {
                $(fn $visit<E: de::Error>(self, value: $value) -> Result<(), E> {
                    self.0.push(Element::deserialize(value.into_deserializer())?);
                    Ok(())
                })*
            };
        }
        impl<'de> de::Visitor<'de> for Visitor<'_> {
            type Value = ();

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            elements!(
                visit_f64(f64),
                visit_i64(i64),
                visit_u64(u64),
                visit_bool(bool),
                visit_str(&str)
            );

            fn visit_unit<E: de::Error>(self) -> Result<(), E> {
                self.0.push(Element::deserialize(().into_deserializer())?);
                Ok(())
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
                let number = de::value::MapAccessDeserializer::new(map);
                self.0.push(Element::deserialize(number)?);
                Ok(())
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
                while seq.next_element_seed(Part(&mut *self.0))?.is_some() {}
                Ok(())
            }
        }
        deserializer.deserialize_any(Visitor(self.0))
    }
}

impl<'de> Deserialize<'de> for Tensor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Tensor;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of numbers for each input tensor, [[…]]")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Tensor, A::Error> {
                let mut elements = Vec::new();
                while seq.next_element_seed(Part(&mut elements))?.is_some() {}
                Ok(Tensor(elements))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

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

    /// Checks one input against a model's settings: the number of tensors, their lengths where the
    /// settings tell (public and committed inputs), and that each element fits its type, its scale
    /// and the decomposition.
    ///
    /// # Errors
    /// The file, the tensor, the element and what to do.
    pub fn check(&self, settings: &Settings) -> Result<()> {
        self.check_tensor_count(settings.model_input_scales.len())?;
        if let Some(lengths) = input_lengths(settings) {
            for (tensor, (length, name)) in lengths.into_iter().enumerate() {
                self.check_length(tensor, length, &name)?;
            }
        }
        self.check_elements(settings)
    }

    /// Checks the number of tensors and their lengths against shapes known from elsewhere, such as
    /// the model itself.
    ///
    /// # Errors
    /// The file, the tensor and both lengths.
    pub fn check_shapes(&self, shapes: &[Vec<usize>]) -> Result<()> {
        self.check_tensor_count(shapes.len())?;
        shapes.iter().enumerate().try_for_each(|(tensor, shape)| {
            self.check_length(tensor, elements(shape), &format!("its shape is {shape:?}"))
        })
    }

    /// Checks data for calibration, in which each tensor holds one observation or several, one
    /// after the other, and tells how many; 1 where the settings don't tell the shape.
    ///
    /// # Errors
    /// As [`check`](Self::check), and where the tensors hold different numbers of observations.
    pub fn check_observations(&self, settings: &Settings) -> Result<usize> {
        self.check_tensor_count(settings.model_input_scales.len())?;
        let mut observations = None;
        for (tensor, (length, name)) in
            input_lengths(settings).unwrap_or_default().into_iter().enumerate()
        {
            let found = self.tensors[tensor].len();
            if found == 0 || !found.is_multiple_of(length) {
                let message = format!(
                    "{found} elements are no whole number of observations of {length} ({name})"
                );
                return Err(invalid(&self.path, format!("input_data[{tensor}]"), message));
            }
            let count = found / length;
            if *observations.get_or_insert(count) != count {
                let message = format!(
                    "{count} observations, but the first tensor has {}; they go together",
                    observations.unwrap_or_default()
                );
                return Err(invalid(&self.path, format!("input_data[{tensor}]"), message));
            }
        }
        self.check_elements(settings)?;
        Ok(observations.unwrap_or(1))
    }

    fn check_tensor_count(&self, expected: usize) -> Result<()> {
        let found = self.tensors.len();
        if found == expected {
            return Ok(());
        }
        let message = format!(
            "{found} tensors, but the model has {expected} inputs; {}",
            "write one flat array for each, in the model's order"
        );
        Err(invalid(&self.path, "input_data", message))
    }

    fn check_length(&self, tensor: usize, expected: usize, why: &str) -> Result<()> {
        let found = self.tensors[tensor].len();
        if found == expected {
            return Ok(());
        }
        let message =
            format!("{found} elements, but the model's input {tensor} has {expected} ({why})");
        Err(invalid(&self.path, format!("input_data[{tensor}]"), message))
    }

    fn check_elements(&self, settings: &Settings) -> Result<()> {
        let args = &settings.run_args;
        let bound = args.decomposition_bound().unwrap_or(i128::MAX);
        for (tensor, (values, scale)) in
            self.tensors.iter().zip(&settings.model_input_scales).enumerate()
        {
            let types = settings.input_types.as_ref();
            let input_type = types.and_then(|types| types.get(tensor)).copied();
            for (at, element) in values.iter().enumerate() {
                let fault = |message: String| Err(invalid(&self.path, field(tensor, at), message));
                if let Err(message) = check_type(*element, input_type) {
                    return fault(message);
                }
                // What is checked against the table is the scaled integer.
                let felt = match *element {
                    Element::Number(number) => Felt::from_f64(number, *scale),
                    Element::Bool(bool) => Some(Felt::from_i128(bool.into())),
                    Element::Felt(felt) => Some(felt),
                };
                let within = felt
                    .and_then(|felt| felt.to_i128().ok())
                    .is_some_and(|integer| integer.unsigned_abs() < bound.unsigned_abs());
                if !within && !args.ignore_range_check_inputs_outputs {
                    let shown = match element {
                        Element::Number(number) => format!("{number}"),
                        Element::Bool(bool) => format!("{bool}"),
                        Element::Felt(felt) => felt.to_be_hex(),
                    };
                    return fault(format!(
                        "{shown} at scale {scale} is not below decomp_base^decomp_legs = {}^{}, the \
                         largest value of this circuit; scale the data down, or raise `decomp_legs` \
                         and build again",
                        args.decomp_base, args.decomp_legs
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The number of elements of each input tensor, with the reason, where the settings tell.
fn input_lengths(settings: &Settings) -> Option<Vec<(usize, String)>> {
    if let Some(shapes) = settings.input_shapes() {
        let length = |shape: &Vec<usize>| (elements(shape), format!("its shape is {shape:?}"));
        return Some(shapes.iter().map(length).collect());
    }
    if settings.run_args.input_visibility == Visibility::KzgCommit {
        let lengths = settings.module_sizes.polycommit.get(..settings.model_input_scales.len())?;
        let length = |length: &usize| (*length, "the length of its commitment".to_owned());
        return Some(lengths.iter().map(length).collect());
    }
    None
}

fn check_type(element: Element, input_type: Option<InputType>) -> Result<(), String> {
    match (element, input_type) {
        (Element::Bool(_), Some(InputType::Bool)) => Ok(()),
        (Element::Bool(bool), _) => Err(format!(
            "{bool} is a boolean, but the tensor's type is {}; write {}",
            input_type.map_or("not boolean".to_owned(), |name| format!("{name:?}")),
            u8::from(bool)
        )),
        (Element::Number(number), Some(InputType::Bool)) if number != 0.0 && number != 1.0 => {
            Err(format!("{number} is neither 0 nor 1, and the tensor is boolean"))
        }
        (Element::Number(number), Some(InputType::Int | InputType::TDim))
            if number.fract() != 0.0 =>
        {
            Err(format!(
                "{number} is not an integer, but the tensor's type is; ezkl would cut the fraction"
            ))
        }
        _ => Ok(()),
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
        "`{name}` has no values, and a circuit takes no input without elements; give its values, or export the \
         model without it"
    )
}

#[cfg(test)]
mod tests;
