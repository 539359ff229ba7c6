//! The ONNX model that ezkl reads right, made from the user's.
//!
//! ezkl leaves out attributes without a word, refuses what is not written out, and knows part of ONNX. Preparing
//! gives every axis its length, puts weights from other files inside, works out what no input decides, and writes
//! operators by those that ezkl computes right. What comes out is run beside the original by ONNX Runtime before
//! anything is made of it.

mod batch;
mod bodies;
mod check;
mod constants;
mod error;
mod external;
mod facts;
mod functions;
mod graph;
mod joined;
mod normal;
mod original;
mod rewriter;
mod rules;
mod told;
mod types;

pub use constants::Constants;
pub use error::Error;
pub use original::{Convolutions, Original};

use crate::{
    artifacts::{
        observations::{self, Observation},
        slot::Slot,
    },
    files,
    onnx::{
        proto::{GraphProto, ModelProto, OperatorSetIdProto, ValueInfoProto},
        tensor::element,
    },
    reference,
};
use facts::Facts;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};
use told::Told;

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Rewriting ends after so many rounds; each makes the graph plainer, and none yet needed more than a handful.
const ROUNDS: usize = 32;

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

    /// Each operator with how often it is there.
    pub fn operators(&self) -> BTreeMap<String, usize> {
        let mut operators = BTreeMap::new();
        for node in self.model.graph.iter().flat_map(|graph| &graph.node) {
            *operators.entry(node.op_type.clone()).or_default() += 1;
        }
        operators
    }

    /// Elements of weights and other constants.
    pub fn parameters(&self) -> usize {
        let weights = self.model.graph.iter().flat_map(|graph| &graph.initializer);
        weights.map(|tensor| tensor.elements()).sum()
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
    let prepared = rewritten(original, inputs, Extent::Shortest).await?;
    let checked = check::same(original, &prepared, inputs).await;
    let Err(Error::Differs { .. }) = checked else { return checked.map(|()| prepared) };
    // What is shorter but for rounding may still part from the original where numbers lie on a threshold.
    let prepared = rewritten(original, inputs, Extent::Needed).await?;
    check::same(original, &prepared, inputs).await?;
    Ok(prepared)
}

/// How much is rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// What ezkl lacks or gets wrong, and steps that become fewer.
    Shortest,
    /// What ezkl lacks or gets wrong.
    Needed,
}

async fn rewritten(
    original: &Original,
    inputs: &[(String, Vec<usize>, Vec<f64>)],
    extent: Extent,
) -> Result<Prepared> {
    let path = original.path();
    let mut model = original.model.clone();
    let mut notes = Notes { outputs: original.notes().to_vec(), changes: Vec::new() };
    let mut told = Told::default();
    set_shapes(&mut model, inputs);
    if types::single(&mut model) {
        notes.changes.push("floats of 16 and 64 bits became floats of 32".to_owned());
    }
    normal::name_sets(&mut model);
    let given = given(&model, inputs);
    // What was seen of the model as it is in the end.
    let mut settled = None;
    for _ in 0..ROUNDS {
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
        if !changed && extent == Extent::Shortest {
            // Only once nothing else is left to do, on what ezkl will have.
            changed |= rules::shorten(graph, &facts, &mut told).map_err(|it| it.at(path))?;
        }
        changed |= graph::pass_on(graph, &mut told) > 0;
        graph::sweep(graph);
        set_outputs(graph, &facts);
        if !changed {
            settled = Some(facts);
            break;
        }
    }
    if extent == Extent::Shortest {
        let facts = match settled {
            Some(facts) => facts,
            None => look(&model, &given, path).await?,
        };
        let graph = model.graph.get_or_insert_default();
        let convolutions = original.convolutions();
        if rules::lessen(graph, &facts, &mut told, convolutions).map_err(|it| it.at(path))? {
            graph::pass_on(graph, &mut told);
            graph::sweep(graph);
        }
    }
    normal::name_sets(&mut model);
    notes.changes.extend(model.graph.iter().flat_map(|graph| told.words(graph)));
    Ok(Prepared { model, notes })
}

/// Prepares a model, for as many observations at a time as its [batch](Original::batch) has, and writes it to `copy`.
/// The samples are the first observations of `data`; without it, ones.
///
/// # Errors
/// As [`prepare`]; data that does not fit the model; a file that can't be written.
pub async fn to_file(
    original: &Original,
    variables: &[(String, usize)],
    data: Option<&Path>,
    copy: &Path,
) -> Result<Prepared> {
    let slots = original.slots(variables)?;
    let mut samples = match data {
        Some(path) => observations::read(path, &slots)?,
        None => Vec::new(),
    };
    let slots: Vec<_> = slots.into_iter().filter(|slot| !slot.is_fixed()).collect();
    if samples.is_empty() {
        samples.push(slots.iter().map(|slot| vec![1.0; slot.elements()]).collect());
    }
    let prepared = match original.batch().is_one() {
        true => prepare(original, &inputs(&slots, &samples[0])).await,
        false => batch::prepare(original, &slots, &samples).await,
    };
    let prepared = match prepared {
        Err(Error::Reference(error)) if data.is_none() => {
            let graph = original.model.graph.iter();
            let infos = graph.flat_map(|graph| &graph.input);
            let whole = infos.filter(|it| it.elem_type() == Some(element::INT64));
            return Err(Error::Ones { error, whole: whole.map(|it| it.name.clone()).collect() });
        }
        prepared => prepared?,
    };
    files::write_atomic(copy, &prepared.to_bytes())?;
    Ok(prepared)
}

/// An observation as [`prepare`] takes it.
fn inputs(slots: &[Slot], observation: &Observation) -> Vec<(String, Vec<usize>, Vec<f64>)> {
    let input =
        |(slot, data): (&Slot, &Vec<f64>)| (slot.name.clone(), slot.shape.clone(), data.clone());
    slots.iter().zip(observation).map(input).collect()
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
                element: info.elem_type().unwrap_or(element::FLOAT),
                shape: shape.clone(),
                data: data.clone(),
            })
        })
        .collect()
}

/// The version of ONNX's own operators that the model is written in.
fn opset(model: &ModelProto) -> i64 {
    let own = |set: &&OperatorSetIdProto| set.domain.is_empty() || set.domain == "ai.onnx";
    model.opset_import.iter().find(own).map_or(1, |set| set.version)
}

/// Gives each input its shape, and forgets those of all other values, which follow.
fn set_shapes(model: &mut ModelProto, inputs: &[(String, Vec<usize>, Vec<f64>)]) {
    let Some(graph) = &mut model.graph else { return };
    graph.value_info.clear();
    for info in &mut graph.input {
        if let Some((_, shape, _)) = inputs.iter().find(|(name, ..)| *name == info.name) {
            let element = info.elem_type().unwrap_or(element::FLOAT);
            *info = ValueInfoProto::tensor(&info.name, element, shape);
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
            *info = ValueInfoProto::tensor(&info.name, fact.element, &fact.shape);
        }
    }
}

#[cfg(test)]
mod tests;
