//! JSON, JSON Lines.

use super::{Observation, Reader, Result};
use crate::artifacts::{
    input::{exact, no_values},
    slot::Slot,
};
use serde_json::{Map, Value};
use std::borrow::Cow;

impl Reader<'_> {
    pub(super) fn json(&self, bytes: &[u8]) -> Result<Vec<Observation>> {
        let value: Value = serde_json::from_slice(&nulls(bytes)).map_err(|error| {
            self.wrong(
                format!("line {}, column {}", error.line(), error.column()),
                not_json(&error, bytes),
            )
        })?;
        match &value {
            Value::Array(items) => {
                let mut all = Vec::new();
                for (number, item) in items.iter().enumerate() {
                    all.extend(self.json_item(item, &format!("observation {number}"))?);
                }
                Ok(all)
            }
            item => self.json_item(item, "input_data"),
        }
    }

    pub(super) fn json_lines(&self, bytes: &[u8]) -> Result<Vec<Observation>> {
        let mut all = Vec::new();
        for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let place = format!("line {}", number + 1);
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let item: Value = serde_json::from_slice(&nulls(line)).map_err(|error| {
                let place = format!("{place}, column {}", error.column());
                self.wrong(place, not_json(&error, line))
            })?;
            all.extend(self.json_item(&item, &place)?);
        }
        Ok(all)
    }

    /// `{"input_data": [[…], …]}` with one or more observations, or one plain row.
    fn json_item(&self, item: &Value, place: &str) -> Result<Vec<Observation>> {
        match item {
            Value::Object(fields) => {
                let tensors = match fields.get("input_data") {
                    Some(Value::Array(tensors)) => tensors.iter().collect(),
                    Some(Value::Object(fields)) => self.by_name(fields, place)?,
                    _ => self.by_name(fields, place)?,
                };
                let tensors =
                    tensors.iter().map(|t| self.numbers(t, place)).collect::<Result<Vec<_>>>()?;
                self.concatenated(tensors, place)
            }
            Value::Array(_) => {
                let row = self.numbers(item, place)?;
                if row.len() != self.width() {
                    let message =
                        format!("it has {} values; the model takes {}", row.len(), self.width());
                    return Err(self.wrong(place, message));
                }
                Ok(vec![self.admitted(self.split(&row), place)?])
            }
            _ => Err(self.wrong(place, "neither an object nor a list".to_owned())),
        }
    }

    /// The inputs of an object that has them by their names.
    fn by_name<'v>(&self, fields: &'v Map<String, Value>, place: &str) -> Result<Vec<&'v Value>> {
        let values = self.inputs.iter().map(|input| fields.get(&input.name)).collect();
        Option::<Vec<_>>::ok_or_else(values, || {
            let names: Vec<_> = self.inputs.iter().map(|input| input.name.as_str()).collect();
            let message = format!(
                "it has no list `input_data`, and not every input by its name ({})",
                names.join(", ")
            );
            self.wrong(place, message)
        })
    }

    /// A list of numbers, nested or not, flattened; a single number is a list of one.
    fn numbers(&self, value: &Value, place: &str) -> Result<Vec<f64>> {
        fn flatten(value: &Value, out: &mut Vec<f64>) -> std::result::Result<(), String> {
            match value {
                Value::Array(items) => items.iter().try_for_each(|item| flatten(item, out)),
                Value::Bool(flag) => {
                    out.push(f64::from(u8::from(*flag)));
                    Ok(())
                }
                // Many programs write what is no number as null.
                Value::Null => {
                    out.push(f64::NAN);
                    Ok(())
                }
                other => {
                    let integer = other.as_i64().map(i128::from).or(other.as_u64().map(i128::from));
                    out.push(match integer {
                        Some(integer) => exact(integer)?,
                        None => other.as_f64().ok_or_else(|| not_a_number(other))?,
                    });
                    Ok(())
                }
            }
        }
        let mut out = Vec::new();
        flatten(value, &mut out)
            .map_err(|message| self.wrong(place, format!("element {}: {message}", out.len())))?;
        Ok(out)
    }

    /// One list for each input, in it one observation after the other.
    pub(super) fn concatenated(
        &self,
        tensors: Vec<Vec<f64>>,
        place: &str,
    ) -> Result<Vec<Observation>> {
        if tensors.len() != self.inputs.len() {
            let message = format!(
                "it has {} lists; the model has {} inputs",
                tensors.len(),
                self.inputs.len()
            );
            return Err(self.wrong(place, message));
        }
        let mut count = None;
        for (input, data) in self.inputs.iter().zip(&tensors) {
            if data.is_empty() && input.is_fixed() && input.elements() == 0 {
                continue;
            }
            if data.is_empty() {
                return Err(self.wrong(place, no_values(&input.name)));
            }
            let whole = input.elements() > 0 && data.len().is_multiple_of(input.elements());
            let observations = if whole { data.len() / input.elements() } else { 0 };
            if !whole || count.is_some_and(|count| count != observations) {
                let message = format!(
                    "`{}` has {} values; the model takes {} (shape {:?}) or a multiple of that, \
                     the same for each input",
                    input.name,
                    data.len(),
                    input.elements(),
                    input.shape
                );
                return Err(self.wrong(place, message));
            }
            count = Some(observations);
        }
        let observation = |number: usize| {
            let part = |(input, data): (&Slot, &Vec<f64>)| {
                data[number * input.elements()..][..input.elements()].to_vec()
            };
            let tensors = self.inputs.iter().zip(&tensors).map(part).collect();
            let place = match place {
                "input_data" | "the array" | "the archive" => format!("observation {number}"),
                place => place.to_owned(),
            };
            self.admitted(tensors, &place)
        };
        (0..count.unwrap_or(0)).map(observation).collect()
    }
}

fn not_a_number(value: &Value) -> String {
    match value {
        Value::String(text) => format!(
            "{text:?} is not a number but text, and a circuit has numbers only; give the number that the model was \
             trained with in its place, without quotes"
        ),
        value => format!("{value} is not a number"),
    }
}

/// Writes null for each NaN that stands outside of a string: Python writes that, and JSON has none.
pub(super) fn nulls(bytes: &[u8]) -> Cow<'_, [u8]> {
    const WORD: &[u8] = b"NaN";
    if !bytes.windows(WORD.len()).any(|window| window == WORD) {
        return Cow::Borrowed(bytes);
    }
    let mut written = Vec::with_capacity(bytes.len());
    let (mut in_string, mut place) = (false, 0);
    while let Some(byte) = bytes.get(place) {
        if !in_string && bytes[place..].starts_with(WORD) {
            written.extend_from_slice(b"null");
            place += WORD.len();
            continue;
        }
        // What follows a backslash ends no string.
        let length = if in_string && *byte == b'\\' { 2 } else { 1 };
        in_string ^= *byte == b'"';
        written.extend(bytes[place..].iter().take(length));
        place += length;
    }
    Cow::Owned(written)
}

/// What is wrong, without the place, which is told before.
fn not_json(error: &serde_json::Error, bytes: &[u8]) -> String {
    let text = error.to_string();
    let text = text.split_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    let infinite = bytes.windows(8).any(|window| window == b"Infinity");
    let hint = if infinite { "; JSON has no infinity" } else { "" };
    format!("not JSON: {text}{hint}")
}
