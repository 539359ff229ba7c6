//! Lengths for the axes that a model leaves open.

use super::exit::Coded;
use crate::artifacts::{
    observations,
    onnx::{Dim, OnnxFile},
};
use eyre::Result;
use std::path::Path;

/// A value for each axis without a length: the one given, else 1, except that a tensor's own data tells the length
/// of its one open axis that is not the first (where observations lie one after the other).
pub(super) fn variables(
    onnx: &OnnxFile,
    given: &[(String, usize)],
    sample: Option<&Path>,
) -> Result<Vec<(String, usize)>> {
    let symbols = onnx.symbols();
    if let Some((name, _)) = given.iter().find(|(name, _)| !symbols.contains(&name.as_str())) {
        let axes = match symbols.as_slice() {
            [] => "none of its inputs' axes has a name".to_owned(),
            symbols => format!("its axes are {}", symbols.join(", ")),
        };
        let message = format!("{}: no axis is called `{name}`; {axes}", onnx.path().display());
        return Err(Coded::bad_input(message).into());
    }
    let lengths = sample.and_then(observations::lengths);
    let mut values: Vec<(String, usize)> = given.to_vec();
    for (number, input) in onnx.inputs.iter().enumerate() {
        let dims = input.dims.as_deref().unwrap_or_default();
        let length = lengths.as_ref().and_then(|lengths| lengths.get(number).copied());
        for (axis, dim) in dims.iter().enumerate() {
            let Dim::Symbol(symbol) = dim else { continue };
            if values.iter().any(|(name, _)| name == symbol) {
                continue;
            }
            let others = dims.iter().enumerate().filter(|(other, _)| *other != axis);
            let rest: Option<usize> = others
                .map(|(other, dim)| match dim {
                    Dim::Fixed(length) => Some(*length),
                    Dim::Symbol(name) => match values.iter().find(|(known, _)| known == name) {
                        Some((_, value)) => Some(*value),
                        None => (other == 0).then_some(1),
                    },
                    Dim::Unknown => None,
                })
                .product();
            let whole = |length: usize, rest: usize| {
                (axis > 0 && length > 0 && length.is_multiple_of(rest)).then(|| length / rest)
            };
            let told = length.zip(rest.filter(|rest| *rest > 0));
            let value = told.and_then(|(length, rest)| whole(length, rest)).unwrap_or(1);
            values.push((symbol.clone(), value));
        }
    }
    Ok(values)
}
