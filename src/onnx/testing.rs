//! Small models for tests.

use super::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
};

/// A model of one node. Tensors are float unless their name begins with `i` (int64), `u` (uint64), `b` (bool) or
/// `s` (string); a weight whose name begins with `h` is the least float, one whose name begins with `i` is 2, and others are
/// what [`any`] says.
pub(crate) fn model_of(
    operator: &str,
    domain: &str,
    inputs: &[(&str, &[i64])],
    weights: &[(&str, &[i64])],
    outputs: &[&str],
    attributes: Vec<AttributeProto>,
) -> ModelProto {
    let kind = |name: &str| match name.chars().next() {
        Some('i') => 7,
        Some('u') => 13,
        Some('b') => 9,
        Some('s') => 8,
        _ => 1,
    };
    let info = |name: &str, dims: Option<&[i64]>| {
        let dim = |length: &i64| tensor_shape_proto::Dimension {
            value: Some(tensor_shape_proto::dimension::Value::DimValue(*length)),
            ..Default::default()
        };
        let shape = dims.map(|dims| TensorShapeProto { dim: dims.iter().map(dim).collect() });
        let tensor = type_proto::Tensor { elem_type: kind(name), shape };
        let value = Some(type_proto::Value::TensorType(tensor));
        ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { value }) }
    };
    let weight = |(name, dims): &(&str, &[i64])| {
        let count = dims.iter().product::<i64>() as usize;
        let mut tensor = TensorProto {
            name: (*name).to_owned(),
            dims: dims.to_vec(),
            data_type: kind(name),
            ..Default::default()
        };
        match kind(name) {
            7 => tensor.int64_data = vec![2; count],
            _ if name.starts_with('h') => tensor.float_data = vec![f32::MIN; count],
            _ => tensor.float_data = (0..count).map(any).collect(),
        }
        tensor
    };
    let names = inputs.iter().chain(weights).map(|(name, _)| (*name).to_owned());
    let node = NodeProto {
        op_type: operator.to_owned(),
        domain: domain.to_owned(),
        input: names.collect(),
        output: outputs.iter().map(|name| (*name).to_owned()).collect(),
        attribute: attributes,
        name: "it".to_owned(),
        ..Default::default()
    };
    let graph = GraphProto {
        name: "g".to_owned(),
        node: vec![node],
        initializer: weights.iter().map(weight).collect(),
        input: inputs.iter().map(|(name, dims)| info(name, Some(dims))).collect(),
        output: outputs.iter().map(|name| info(name, None)).collect(),
        ..Default::default()
    };
    let opset = |domain: &str, version| OperatorSetIdProto { domain: domain.to_owned(), version };
    ModelProto {
        ir_version: 8,
        graph: Some(graph),
        opset_import: vec![opset("", 17), opset("ai.onnx.ml", 3)],
        ..Default::default()
    }
}

pub(crate) fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto::ints(name, ints)
}

pub(crate) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto::int(name, i)
}

pub(crate) fn word(name: &str, word: &str) -> AttributeProto {
    AttributeProto::string(name, word)
}

pub(crate) fn number(name: &str, f: f32) -> AttributeProto {
    AttributeProto::float(name, f)
}

/// Some number between -1 and 1, another for each place in a tensor.
pub(crate) fn any(place: usize) -> f32 {
    ((place * 61 + 37) % 101) as f32 / 50.0 - 1.0
}
