//! Inputs that decide shapes or orders, given the value that they are to have in the circuit.

use crate::{
    artifacts::onnx::{Dim, OnnxFile},
    onnx::{
        proto::{ModelProto, TensorProto},
        tensor::element,
    },
};
use std::collections::BTreeMap;

/// Values of the model's inputs by their names, row-major.
pub type Constants = BTreeMap<String, Vec<f64>>;

/// Makes weights of these inputs. Returns what is to be said of them.
///
/// # Errors
/// An input that the model has not, or that a value does not fit; no input that is left.
pub(super) fn fix(
    model: &mut ModelProto,
    file: &mut OnnxFile,
    constants: &Constants,
) -> Result<Vec<String>, String> {
    let mut notes = Vec::new();
    let Some(graph) = &mut model.graph else { return Ok(notes) };
    for (name, values) in constants {
        let input = file.inputs.iter().find(|input| input.name == *name).ok_or_else(|| {
            let names: Vec<_> = file.inputs.iter().map(|it| format!("`{}`", it.name)).collect();
            format!(
                "the model has no input `{name}`, which zkvouch.toml, [model] constants gives a value; it has {}",
                names.join(", ")
            )
        })?;
        let shape = shape(input.dims.as_deref(), values.len()).ok_or_else(|| {
            format!(
                "zkvouch.toml, [model] constants gives `{name}` {} numbers, which do not fit its shape {:?}",
                values.len(),
                input.dims.as_deref().unwrap_or_default()
            )
        })?;
        let tensor = tensor(input.elem_type, &shape, values).ok_or_else(|| {
            format!(
                "zkvouch.toml, [model] constants gives `{name}` numbers that its type does not hold: {values:?}"
            )
        })?;
        graph.initializer.push(tensor.named(name));
        graph.input.retain(|input| input.name != *name);
        file.fix(name, &shape, values);
        notes.push(format!("input `{name}` is part of the circuit, with the value {values:?}"));
    }
    if file.inputs.iter().all(|input| file.is_fixed(&input.name)) {
        return Err("zkvouch.toml, [model] constants gives every input a value, and nothing is left to prove".to_owned());
    }
    Ok(notes)
}

/// The shape of so many numbers, for an input with these axes.
fn shape(dims: Option<&[Dim]>, count: usize) -> Option<Vec<usize>> {
    let Some(dims) = dims else { return Some(if count == 1 { Vec::new() } else { vec![count] }) };
    let fixed = dims.iter().map(|dim| match dim {
        Dim::Fixed(length) => *length,
        Dim::Symbol(_) | Dim::Unknown => 1,
    });
    let mut shape: Vec<usize> = fixed.collect();
    let rest: usize = shape.iter().product();
    // What one open axis must be long for the numbers to fit.
    if let Some(open) = dims.iter().rposition(|dim| !matches!(dim, Dim::Fixed(_))) {
        shape[open] = count.checked_div(rest)?;
    }
    (shape.iter().product::<usize>() == count).then_some(shape)
}

fn tensor(kind: i32, shape: &[usize], values: &[f64]) -> Option<TensorProto> {
    macro_rules! numbers {
        ($element:ty) => {{
            let numbers: Option<Vec<$element>> = values
                .iter()
                .map(|it| (*it as $element as f64 == *it).then_some(*it as $element))
                .collect();
            numbers?.iter().flat_map(|it| it.to_le_bytes()).collect()
        }};
    }
    let bytes: Vec<u8> = match kind {
        element::FLOAT => values.iter().flat_map(|it| (*it as f32).to_le_bytes()).collect(),
        element::DOUBLE => values.iter().flat_map(|it| it.to_le_bytes()).collect(),
        element::FLOAT16 => {
            values.iter().flat_map(|it| half::f16::from_f64(*it).to_le_bytes()).collect()
        }
        element::UINT8 => numbers!(u8),
        element::INT8 => numbers!(i8),
        4 => numbers!(u16),
        5 => numbers!(i16),
        element::INT32 => numbers!(i32),
        element::INT64 => numbers!(i64),
        12 => numbers!(u32),
        13 => numbers!(u64),
        element::BOOL => {
            let flags = values.iter().map(|it| [0.0, 1.0].contains(it).then_some(*it as u8));
            flags.collect::<Option<_>>()?
        }
        _ => return None,
    };
    Some(TensorProto::raw(kind, shape, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_axis_has_the_length_that_the_numbers_ask_for() {
        let open = Dim::Symbol("n".to_owned());
        assert_eq!(shape(Some(&[]), 1), Some(vec![]));
        assert_eq!(shape(Some(&[Dim::Fixed(2)]), 2), Some(vec![2]));
        assert_eq!(shape(Some(&[Dim::Fixed(2)]), 3), None);
        assert_eq!(shape(Some(std::slice::from_ref(&open)), 4), Some(vec![4]));
        assert_eq!(shape(Some(&[open, Dim::Fixed(3)]), 6), Some(vec![2, 3]));
    }

    #[test]
    fn numbers_that_a_type_does_not_hold_are_refused() {
        assert!(tensor(element::INT64, &[1], &[2.5]).is_none());
        assert!(tensor(element::UINT8, &[1], &[256.0]).is_none());
        assert!(tensor(element::BOOL, &[1], &[2.0]).is_none());
        let whole = tensor(element::INT64, &[2], &[-2.0, 3.0]).expect("whole numbers");
        assert_eq!(whole.whole(), Some(vec![-2, 3]));
    }
}
