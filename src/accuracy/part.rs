//! Models that end at one of their operators.

use super::FloatModel;
use crate::{
    files,
    onnx::{
        data_type,
        proto::{
            AttributeProto, ModelProto, NodeProto, TensorShapeProto, TypeProto, ValueInfoProto,
            tensor_shape_proto::{Dimension, dimension},
            type_proto,
        },
    },
};
use std::path::Path;

/// Writes the part of a model that ends at the node with this number and has that node's first result as its
/// output; tells what it is for ONNX Runtime. `None` where it can't be asked for.
pub(super) async fn write(
    proto: &ModelProto,
    number: usize,
    path: &Path,
    variables: &[(String, usize)],
) -> Option<FloatModel> {
    let node = proto.graph.as_ref()?.node.get(number)?;
    let name = node.output.iter().find(|name| !name.is_empty())?.clone();
    let write = |output: ValueInfoProto| {
        let mut part = proto.clone();
        let graph = part.graph.as_mut()?;
        // Each operator stands after those that it needs.
        graph.node.truncate(number + 1);
        graph.output = vec![output];
        files::write_atomic(path, &part.to_bytes()).ok()
    };
    write(ValueInfoProto { name: name.clone(), r#type: None })?;
    let reference = FloatModel::load(path, variables).await.ok()?;
    let info = reference.outputs().first()?;
    // ezkl's loader wants to be told what ONNX Runtime infers.
    write(typed(name, &info.shape, &info.element)?)?;
    Some(reference)
}

/// A node in words: what it is, its name or its number, and the attributes that are numbers and words.
pub(super) fn describe(node: &NodeProto, number: usize) -> String {
    let kind = &node.op_type;
    let operator = match node.name.is_empty() {
        true => format!("operator {kind} (number {number})"),
        false => format!("operator {kind} `{}`", node.name),
    };
    let attributes: Vec<_> = node.attribute.iter().filter_map(attribute).collect();
    match attributes.is_empty() {
        true => operator,
        false => format!("{operator} with {}", attributes.join(", ")),
    }
}

fn attribute(attribute: &AttributeProto) -> Option<String> {
    let value = match (attribute.i, attribute.f, &attribute.s) {
        (Some(i), ..) => i.to_string(),
        (_, Some(f), _) => f.to_string(),
        (.., Some(s)) => String::from_utf8(s.to_vec()).ok()?,
        _ if !attribute.ints.is_empty() => format!("{:?}", attribute.ints),
        _ => return None,
    };
    Some(format!("{} = {value}", attribute.name))
}

fn typed(name: String, shape: &[usize], element: &str) -> Option<ValueInfoProto> {
    let dim = |size: &usize| Dimension {
        value: Some(dimension::Value::DimValue(*size as i64)),
        denotation: String::new(),
    };
    let tensor = type_proto::Tensor {
        elem_type: data_type(element)?,
        shape: Some(TensorShapeProto { dim: shape.iter().map(dim).collect() }),
    };
    let value = Some(type_proto::Value::TensorType(tensor));
    Some(ValueInfoProto { name, r#type: Some(TypeProto { value }) })
}
