//! The ONNX model that ezkl reads right, made from the user's.
//!
//! ezkl leaves out attributes without a word, refuses what is not written out, and knows part of ONNX. Preparing
//! gives every axis its length, puts weights from other files inside, works out what no input decides, and writes
//! operators by those that ezkl computes right. What comes out is run beside the original by ONNX Runtime before
//! anything is made of it.

mod bodies;
mod check;
mod error;
mod external;
mod facts;
mod functions;
mod graph;
mod normal;
mod original;
mod rewriter;
mod rules;
mod types;

pub use error::Error;
pub use original::Original;

use crate::{
    artifacts::{observations, onnx},
    files,
    onnx::{
        proto::{
            GraphProto, ModelProto, TensorShapeProto, TypeProto, ValueInfoProto,
            tensor_shape_proto::{Dimension, dimension},
            type_proto,
        },
        tensor::element,
    },
    reference,
};
use facts::Facts;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Rewriting ends after so many rounds; each makes the graph plainer, and none yet needed more than a handful.
const ROUNDS: usize = 16;

/// The operator set that prepared models are written in.
const OPSET: i64 = 17;

/// What was done to a model, in words for its owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// What became of outputs: left out, or numbers in place of names.
    pub outputs: Vec<String>,
    /// What else was changed.
    pub changes: Vec<String>,
}

/// A model for ezkl.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(crate) model: ModelProto,
    /// What was done.
    pub notes: Notes,
}

impl Prepared {
    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.model.to_bytes()
    }
}

/// What a model holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Each operator with how often it is there.
    pub operators: BTreeMap<String, usize>,
    /// Elements of weights and other constants.
    pub parameters: usize,
}

impl Summary {
    /// Reads a model file.
    ///
    /// # Errors
    /// A file that is missing or no ONNX.
    pub fn read(path: &Path) -> Result<Self> {
        let model = onnx::parse(path)?;
        let mut summary = Self::default();
        if let Some(graph) = &model.graph {
            summary.parameters = graph.initializer.iter().map(|tensor| tensor.elements()).sum();
            for node in &graph.node {
                *summary.operators.entry(node.op_type.clone()).or_default() += 1;
            }
        }
        Ok(summary)
    }
}

/// An input of a model as it is given to ONNX Runtime.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) name: String,
    pub(crate) element: i32,
    pub(crate) shape: Vec<usize>,
    /// Row-major.
    pub(crate) data: Vec<f64>,
}

/// Prepares a model. `inputs` are the model's own, each with its shape and a sample's numbers.
///
/// # Errors
/// What ONNX Runtime can't run; an operator that no circuit has, by its node; a result that differs from the
/// original's.
pub async fn prepare(
    original: &Original,
    inputs: &[(String, Vec<usize>, Vec<f64>)],
) -> Result<Prepared> {
    let path = original.path();
    let mut model = original.model.clone();
    let mut notes = Notes { outputs: original.notes().to_vec(), changes: Vec::new() };
    let mut told = BTreeMap::new();
    set_shapes(&mut model, inputs);
    if types::single(&mut model) {
        notes.changes.push("floats of 16 and 64 bits became floats of 32".to_owned());
    }
    normal::name_sets(&mut model);
    for _ in 0..ROUNDS {
        let given = given(&model, inputs);
        let facts = look(&model, &given, path).await?;
        let opset = opset(&model);
        let graph = model.graph.get_or_insert_default();
        if bodies::inline(graph, &facts, opset).map_err(|it| it.at(path))? {
            graph::sweep(graph);
            continue;
        }
        let mut changed = graph::fold(graph, &facts) > 0;
        changed |= normal::raise(&mut model, opset, &facts).map_err(|it| it.at(path))?;
        let graph = model.graph.get_or_insert_default();
        changed |= rules::apply(graph, &facts, &mut told).map_err(|it| it.at(path))?;
        changed |= graph::pass_on(graph) > 0;
        graph::sweep(graph);
        set_outputs(graph, &facts);
        if !changed {
            break;
        }
    }
    normal::name_sets(&mut model);
    for ((from, to), count) in told {
        let times = if count == 1 { String::new() } else { format!(" ({count} times)") };
        notes.changes.push(format!("{from} became {to}{times}"));
    }
    let prepared = Prepared { model, notes };
    check::same(original, &prepared, inputs).await?;
    Ok(prepared)
}

/// Prepares a model and writes it to `copy`. The sample is the first observation of
/// `data`; without it, ones.
///
/// # Errors
/// As [`prepare`]; data that does not fit the model; a file that can't be written.
pub async fn to_file(
    original: &Original,
    variables: &[(String, usize)],
    data: Option<&Path>,
    copy: &Path,
) -> Result<Notes> {
    let slots = original.slots(variables)?;
    let sample = match data {
        Some(path) => observations::read(path, &slots)?.into_iter().next(),
        None => None,
    };
    let sample =
        sample.unwrap_or_else(|| slots.iter().map(|slot| vec![1.0; slot.elements()]).collect());
    let inputs: Vec<_> =
        slots.into_iter().zip(sample).map(|(slot, data)| (slot.name, slot.shape, data)).collect();
    let prepared = prepare(original, &inputs).await?;
    files::write_atomic(copy, &prepared.to_bytes())?;
    Ok(prepared.notes)
}

/// What one run of the model on the sample tells.
async fn look(model: &ModelProto, given: &[Given], path: &Path) -> Result<Facts> {
    let data = given.iter().map(|it| (it.shape.clone(), it.data.clone())).collect();
    let values = reference::evaluate(model.clone(), data, path).await?;
    Ok(Facts::new(model.graph.as_ref().unwrap_or(&GraphProto::default()), given, values))
}

fn given(model: &ModelProto, inputs: &[(String, Vec<usize>, Vec<f64>)]) -> Vec<Given> {
    let graph = model.graph.iter();
    graph
        .flat_map(|graph| &graph.input)
        .filter_map(|info| {
            let (name, shape, data) = inputs.iter().find(|(name, ..)| *name == info.name)?;
            Some(Given {
                name: name.clone(),
                element: elem_type(info),
                shape: shape.clone(),
                data: data.clone(),
            })
        })
        .collect()
}

fn elem_type(info: &ValueInfoProto) -> i32 {
    match info.r#type.as_ref().and_then(|kind| kind.value.as_ref()) {
        Some(type_proto::Value::TensorType(tensor)) => tensor.elem_type,
        _ => element::FLOAT,
    }
}

/// The version of ONNX's own operators that the model is written in.
fn opset(model: &ModelProto) -> i64 {
    let own = |set: &&crate::onnx::proto::OperatorSetIdProto| {
        set.domain.is_empty() || set.domain == "ai.onnx"
    };
    model.opset_import.iter().find(own).map_or(1, |set| set.version)
}

/// Gives each input its shape, and forgets those of all other values, which follow.
fn set_shapes(model: &mut ModelProto, inputs: &[(String, Vec<usize>, Vec<f64>)]) {
    let Some(graph) = &mut model.graph else { return };
    graph.value_info.clear();
    for info in &mut graph.input {
        if let Some((_, shape, _)) = inputs.iter().find(|(name, ..)| *name == info.name) {
            *info = typed(&info.name, elem_type(info), shape);
        }
    }
    for info in &mut graph.output {
        info.r#type = None;
    }
}

/// Tells the outputs' types and shapes, which ezkl's loader wants to be told.
fn set_outputs(graph: &mut GraphProto, facts: &Facts) {
    for info in &mut graph.output {
        if let Some(fact) = facts.get(&info.name) {
            *info = typed(&info.name, fact.element, &fact.shape);
        }
    }
}

fn typed(name: &str, element: i32, shape: &[usize]) -> ValueInfoProto {
    let dim = |size: &usize| Dimension {
        value: Some(dimension::Value::DimValue(*size as i64)),
        denotation: String::new(),
    };
    let tensor = type_proto::Tensor {
        elem_type: element,
        shape: Some(TensorShapeProto { dim: shape.iter().map(dim).collect() }),
    };
    let value = Some(type_proto::Value::TensorType(tensor));
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { value }) }
}

#[cfg(test)]
mod tests;
