//! ONNX files: the protobuf message, as much of it as says what a model computes.

mod proto;

pub use proto::*;

use prost::Message as _;
use std::collections::BTreeSet;

/// The element types of ONNX's `TensorProto.DataType`.
pub mod data_type {
    /// The number of a type of numbers by its short name, such as `f32` or `i64`.
    pub fn number(element: &str) -> Option<i32> {
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
}

/// Bytes that are no ONNX model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotOnnx(String);

impl ModelProto {
    /// Decodes a model.
    ///
    /// # Errors
    /// Where the bytes are cut short, are something else, or hold no graph.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotOnnx> {
        let model = Self::decode(bytes).map_err(|error| NotOnnx(error.to_string()))?;
        match &model.graph {
            Some(graph) if !graph.node.is_empty() => Ok(model),
            Some(_) => Err(NotOnnx("its graph has no operators".to_owned())),
            None => Err(NotOnnx("it has no graph".to_owned())),
        }
    }

    /// The graph; an empty one where there is none.
    pub fn graph(&self) -> std::borrow::Cow<'_, GraphProto> {
        self.graph.as_ref().map_or_else(Default::default, std::borrow::Cow::Borrowed)
    }

    /// The operators in use outside of subgraphs, each once, sorted.
    pub fn operators(&self) -> Vec<String> {
        let graph = self.graph();
        let names: BTreeSet<_> = graph.node.iter().map(|node| node.op_type().to_owned()).collect();
        names.into_iter().collect()
    }
}

impl GraphProto {
    /// The inputs that a caller has to give: not those that an initializer gives already.
    pub fn free_inputs(&self) -> impl Iterator<Item = &ValueInfoProto> {
        let given: BTreeSet<_> = self.initializer.iter().map(TensorProto::name).collect();
        self.input.iter().filter(move |input| !given.contains(input.name()))
    }
}

impl ValueInfoProto {
    /// The axes of a tensor whose shape is told.
    pub fn dims(&self) -> Option<&[Dimension]> {
        match self.r#type.as_ref()?.value.as_ref()? {
            type_proto::Value::TensorType(tensor) => Some(&tensor.shape.as_ref()?.dim),
            _ => None,
        }
    }
}
