//! Lengths for the axes that a model leaves open, values for inputs that decide shapes.

use super::exit::Coded;
use crate::{
    artifacts::{
        observations,
        onnx::{Dim, OnnxFile},
    },
    prepare::Constants,
};
use eyre::Result;
use std::path::{Path, PathBuf};

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
    // Data need not have what is fixed.
    let open = onnx.inputs.iter().filter(|input| !onnx.is_fixed(&input.name)).count();
    let only_open = lengths.as_ref().is_some_and(|lengths| lengths.len() != onnx.inputs.len());
    let place = |number: usize| match only_open && open < onnx.inputs.len() {
        true => onnx.inputs[..number].iter().filter(|it| !onnx.is_fixed(&it.name)).count(),
        false => number,
    };
    let mut values: Vec<(String, usize)> = given.to_vec();
    for (number, input) in onnx.inputs.iter().enumerate() {
        let dims = input.dims.as_deref().unwrap_or_default();
        let length = lengths.as_ref().and_then(|lengths| lengths.get(place(number)).copied());
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

/// The first observation's values of the inputs that are to be fixed.
pub(super) fn constants(
    model: &Path,
    names: &[String],
    data: &[PathBuf],
    given: &[(String, usize)],
) -> Result<Constants> {
    if names.is_empty() {
        return Ok(Constants::new());
    }
    let mut onnx = OnnxFile::read(model)?;
    let Some(sample) = data.first() else {
        let message = "--fix takes an input's value from the data; name some with --data";
        return Err(Coded::bad_input(message.to_owned()).into());
    };
    // A list of axes may have no numbers, where no other input may.
    for (number, length) in
        observations::lengths(sample).unwrap_or_default().into_iter().enumerate()
    {
        let name = onnx.inputs.get(number).map(|input| input.name.clone()).unwrap_or_default();
        if length == 0 && names.contains(&name) {
            onnx.fix(&name, &[0], &[]);
        }
    }
    let slots = onnx.slots(&variables(&onnx, given, Some(sample))?)?;
    let free: Vec<_> = slots.iter().filter(|slot| !slot.is_fixed()).collect();
    let first = observations::read(sample, &slots)?.swap_remove(0);
    let value = |name: &String| {
        if onnx.is_fixed(name) {
            return Ok((name.clone(), Vec::new()));
        }
        let place = free.iter().position(|slot| slot.name == *name).ok_or_else(|| {
            let names: Vec<_> = slots.iter().map(|slot| format!("`{}`", slot.name)).collect();
            Coded::bad_input(format!(
                "{}: no input `{name}` to fix; it has {}",
                model.display(),
                names.join(", ")
            ))
        })?;
        Ok((name.clone(), first[place].clone()))
    };
    names.iter().map(value).collect()
}

/// Whether the first axis of the model's inputs has no length of its own, and none is given.
pub(super) fn is_one_of_several(onnx: &OnnxFile, given: &[(String, usize)]) -> bool {
    let first = |dims: &Vec<Dim>| match dims.first() {
        Some(Dim::Symbol(name)) => given.iter().all(|(known, _)| known != name),
        _ => false,
    };
    onnx.inputs.iter().any(|input| input.dims.as_ref().is_some_and(first))
}
