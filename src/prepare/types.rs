//! Floats of 16 and 64 bits as floats of 32.

use crate::onnx::{
    proto::{GraphProto, ModelProto, TensorProto, ValueInfoProto, type_proto},
    tensor::element,
};

/// Makes every float in the model one of 32 bits: inputs, weights, casts, outputs. Returns whether there was
/// another.
pub(super) fn single(model: &mut ModelProto) -> bool {
    model.graph.as_mut().is_some_and(graph)
}

fn graph(graph: &mut GraphProto) -> bool {
    let mut changed = false;
    for tensor in &mut graph.initializer {
        changed |= weight(tensor);
    }
    for info in graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info) {
        changed |= value(info);
    }
    for node in &mut graph.node {
        for attribute in &mut node.attribute {
            for tensor in attribute.t.iter_mut().chain(&mut attribute.tensors) {
                changed |= weight(tensor);
            }
            for body in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                changed |= self::graph(body);
            }
            // The attributes by which an operator's result has its type.
            if ["to", "dtype", "output_dtype", "output_datatype"].contains(&&*attribute.name)
                && let Some(kind) = &mut attribute.i
                && is_other(i32::try_from(*kind).unwrap_or_default())
            {
                *kind = i64::from(element::FLOAT);
                changed = true;
            }
        }
    }
    changed
}

fn is_other(kind: i32) -> bool {
    element::is_float(kind) && kind != element::FLOAT
}

fn weight(tensor: &mut TensorProto) -> bool {
    if !is_other(tensor.data_type) {
        return false;
    }
    let Some(numbers) = tensor.numbers() else { return false };
    let floats: Vec<f32> = numbers.iter().map(|number| *number as f32).collect();
    *tensor = TensorProto::floats(&tensor.shape(), &floats).named(tensor.name.clone());
    true
}

fn value(info: &mut ValueInfoProto) -> bool {
    let Some(type_proto::Value::TensorType(tensor)) =
        info.r#type.as_mut().and_then(|kind| kind.value.as_mut())
    else {
        return false;
    };
    let other = is_other(tensor.elem_type);
    if other {
        tensor.elem_type = element::FLOAT;
    }
    other
}
