//! ONNX model files.

pub(crate) mod proto;
pub(crate) mod tensor;
#[cfg(test)]
pub(crate) mod testing;

use proto::{
    GraphProto, ModelProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};
use std::collections::BTreeSet;

/// The number of a type of numbers in ONNX's `TensorProto.DataType` by its short name, such as `f32` or `i64`.
pub(crate) fn data_type(element: &str) -> Option<i32> {
    const NAMES: [(&str, i32); 13] = [
        ("f32", 1),
        ("u8", 2),
        ("i8", 3),
        ("u16", 4),
        ("i16", 5),
        ("i32", 6),
        ("i64", 7),
        ("bool", 9),
        ("f16", 10),
        ("f64", 11),
        ("u32", 12),
        ("u64", 13),
        ("bf16", 16),
    ];
    NAMES.iter().find(|(name, _)| *name == element).map(|(_, number)| *number)
}

impl ModelProto {
    /// The operators in use outside of subgraphs, each once, sorted.
    pub(crate) fn operators(&self) -> Vec<String> {
        let nodes = self.graph.iter().flat_map(|graph| &graph.node);
        let names: BTreeSet<_> = nodes.map(|node| node.op_type.clone()).collect();
        names.into_iter().collect()
    }
}

impl GraphProto {
    /// The inputs that a caller has to give: not those that an initializer gives already.
    pub(crate) fn free_inputs(&self) -> impl Iterator<Item = &ValueInfoProto> {
        let name = |tensor: &TensorProto| tensor.name.clone();
        let given: BTreeSet<_> = self.initializer.iter().map(name).collect();
        self.input.iter().filter(move |input| !given.contains(&input.name))
    }
}

impl ValueInfoProto {
    /// A tensor of that type (as `TensorProto.data_type`) and shape.
    pub(crate) fn tensor(name: &str, element: i32, shape: &[usize]) -> Self {
        let dim = |size: &usize| Dimension {
            value: Some(dimension::Value::DimValue(*size as i64)),
            denotation: String::new(),
        };
        let shape = Some(TensorShapeProto { dim: shape.iter().map(dim).collect() });
        let tensor = type_proto::Tensor { elem_type: element, shape };
        let value = Some(type_proto::Value::TensorType(tensor));
        Self { name: name.to_owned(), r#type: Some(TypeProto { value }) }
    }

    /// The type of a tensor's elements; `None` where it is no tensor, or its type is not told.
    pub(crate) fn elem_type(&self) -> Option<i32> {
        match self.r#type.as_ref()?.value.as_ref()? {
            type_proto::Value::TensorType(tensor) => Some(tensor.elem_type),
            _ => None,
        }
    }

    /// The axes of a tensor whose shape is told.
    pub(crate) fn dims(&self) -> Option<&[Dimension]> {
        match self.r#type.as_ref()?.value.as_ref()? {
            type_proto::Value::TensorType(tensor) => Some(&tensor.shape.as_ref()?.dim),
            _ => None,
        }
    }
}
