//! Models that end at one of their operators.

use super::FloatModel;
use crate::{
    files,
    onnx::{
        data_type,
        proto::{AttributeProto, ModelProto, NodeProto, ValueInfoProto},
    },
};
use std::path::Path;

/// Beyond this many operators a search would take longer than it is worth.
const MOST_NODES: usize = 4096;

/// The first operator at which something happens, in words, found by bisection: what has happened once stays so,
/// and it has at the last one. `happened` tells whether it has at the operator with a number; `None` where that one
/// can't be asked.
pub(super) async fn first(
    model: &ModelProto,
    happened: impl AsyncFn(usize) -> Option<bool>,
) -> Option<String> {
    let nodes = &model.graph.as_ref()?.node;
    if nodes.is_empty() || nodes.len() > MOST_NODES {
        return None;
    }
    let (mut low, mut high) = (0, nodes.len() - 1);
    // Invariant: it has happened at `high`.
    while low < high {
        let middle = usize::midpoint(low, high);
        let mut at = middle;
        let found = loop {
            match happened(at).await {
                Some(found) => break Some(found),
                None if at > low => at -= 1,
                None => break None,
            }
        };
        match found {
            Some(true) => high = at,
            _ => low = middle + 1,
        }
    }
    Some(describe(&nodes[high], high))
}

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
    write(ValueInfoProto::tensor(&name, data_type(&info.element)?, &info.shape))?;
    Some(reference)
}

/// A node in words: what it is, its name or its number, and the attributes that are numbers and words.
fn describe(node: &NodeProto, number: usize) -> String {
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
