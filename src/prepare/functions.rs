//! Operators that a model defines itself, put in place.

use crate::onnx::proto::{FunctionProto, ModelProto, NodeProto};
use std::collections::HashMap;

/// Deeper than exporters nest them; a function that calls itself ends here.
const DEPTH: usize = 16;

/// Puts the body of each of the model's own functions in the place of its calls.
pub(super) fn inline(model: &mut ModelProto) {
    let functions: HashMap<(String, String), FunctionProto> = model
        .functions
        .drain(..)
        .map(|function| ((function.domain.clone(), function.name.clone()), function))
        .collect();
    if functions.is_empty() {
        return;
    }
    for set in functions.values().flat_map(|function| &function.opset_import) {
        if !model.opset_import.iter().any(|known| known.domain == set.domain) {
            model.opset_import.push(set.clone());
        }
    }
    let Some(graph) = &mut model.graph else { return };
    let mut calls = 0;
    for _ in 0..DEPTH {
        let mut found = false;
        for node in std::mem::take(&mut graph.node) {
            match functions.get(&(node.domain.clone(), node.op_type.clone())) {
                Some(function) => {
                    calls += 1;
                    found = true;
                    graph.node.extend(body(function, &node, calls));
                }
                None => graph.node.push(node),
            }
        }
        if !found {
            break;
        }
    }
}

/// The nodes of one call, its own values under names of their own.
fn body(function: &FunctionProto, call: &NodeProto, number: usize) -> Vec<NodeProto> {
    let mut names: HashMap<&str, String> = HashMap::new();
    for (place, inner) in function.input.iter().enumerate() {
        names.insert(inner, call.input.get(place).cloned().unwrap_or_default());
    }
    for (inner, outer) in function.output.iter().zip(&call.output) {
        if !outer.is_empty() {
            names.insert(inner, outer.clone());
        }
    }
    let rename = |name: &str| match names.get(name) {
        Some(outer) => outer.clone(),
        None if name.is_empty() => String::new(),
        None => format!("{}.{number}/{name}", function.name),
    };
    let mut nodes = Vec::new();
    for node in &function.node {
        let mut node = node.clone();
        node.input.iter_mut().chain(&mut node.output).for_each(|name| *name = rename(name));
        let attributes = std::mem::take(&mut node.attribute).into_iter();
        node.attribute = attributes
            .filter_map(|attribute| match attribute.ref_attr_name.as_str() {
                "" => Some(attribute),
                wanted => {
                    let default = function.attribute_proto.iter().find(|it| it.name == wanted);
                    let mut value = call.attribute(wanted).or(default)?.clone();
                    value.name = attribute.name;
                    Some(value)
                }
            })
            .collect();
        nodes.push(node);
    }
    nodes
}
