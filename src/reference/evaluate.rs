//! Every value inside a model, from one run of it.

use super::{
    Error, Result, library,
    model::{in_memory, numbers_of, value},
    values,
};
use crate::{
    onnx::{
        data_type,
        proto::{ModelProto, TensorProto, ValueInfoProto},
    },
    task::blocking,
};
use ort::value::DynValue;
use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
};

/// Runs a model of which every input's axis has a length, and returns each value that its nodes make, by name:
/// its type, its shape and its elements. Strings, sequences and maps are left out.
///
/// `inputs` has the row-major numbers of each input, in the graph's order. `path` is what errors name.
pub(crate) async fn evaluate(
    model: ModelProto,
    inputs: Vec<(Vec<usize>, Vec<f64>)>,
    path: &Path,
) -> Result<BTreeMap<String, TensorProto>> {
    let environment = library::environment().await?;
    let path = path.to_owned();
    blocking(move || run(environment, model, &inputs, &path)).await
}

fn run(
    environment: &ort::environment::Environment,
    mut model: ModelProto,
    inputs: &[(Vec<usize>, Vec<f64>)],
    path: &Path,
) -> Result<BTreeMap<String, TensorProto>> {
    if let Some(graph) = &mut model.graph {
        let known: HashSet<_> = graph.output.iter().map(|output| output.name.clone()).collect();
        let made = graph.node.iter().flat_map(|node| &node.output);
        let more: Vec<_> = made
            .filter(|name| !name.is_empty() && !known.contains(*name))
            .map(|name| ValueInfoProto { name: name.clone(), r#type: None })
            .collect();
        graph.output.extend(more);
    }
    let mut session = in_memory(environment, &model, path)?;
    let mut given = Vec::new();
    for (outlet, (shape, data)) in session.inputs().iter().zip(inputs) {
        let element = numbers_of(outlet, path)?;
        let value = value(outlet.name(), element, shape, data, path)?;
        given.push((outlet.name().to_owned(), value));
    }
    let outputs = session.run(given).map_err(|error| Error::Run {
        path: path.to_owned(),
        message: error.message().to_owned(),
    })?;
    let tensors =
        outputs.iter().filter_map(|(name, value)| Some((name.to_owned(), proto(&value)?)));
    Ok(tensors.collect())
}

/// `None` where the value is no tensor of numbers.
fn proto(value: &DynValue) -> Option<TensorProto> {
    let element = values::name(value.dtype().tensor_type()?)?;
    let shape: Vec<usize> =
        value.dtype().tensor_shape()?.iter().map(|axis| *axis as usize).collect();
    let bytes = values::bytes(value).ok()?;
    Some(TensorProto::raw(data_type(element)?, &shape, bytes))
}
