//! The user's model, whole in memory, with the outputs that a proof is to show.
//!
//! It still is what ONNX Runtime takes for the model: its own operators, types and weights. Only what is no number
//! is gone: a ZipMap gives way to the tensor that it spreads out, a name to the number of its class.

use super::{
    Error, Result,
    constants::{self, Constants},
    external, functions,
};
use crate::{
    artifacts::{
        onnx::{self, OnnxFile},
        slot::Slot,
    },
    model::batch::Batching,
    onnx::{
        proto::{AttributeProto, ModelProto, TensorProto, ValueInfoProto},
        tensor::element,
    },
    reference::FloatModel,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::{Path, PathBuf},
};

/// How a circuit computes convolutions.
///
/// As products they take no more rows than as they are even where each product is laid out
/// (`disable_freivalds`), so that who searches for a circuit weighs both ways with one model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Convolutions {
    /// As products, where the model has enough of them.
    #[default]
    Auto,
    /// As they are, product by product.
    Plain,
    /// As products of matrices, which ezkl checks by Freivalds' method.
    Products,
}

/// A model as its maker wrote it.
#[derive(Clone, Debug)]
pub struct Original {
    pub(crate) model: ModelProto,
    convolutions: Convolutions,
    batch: Batching,
    file: OnnxFile,
    path: PathBuf,
    notes: Vec<String>,
    /// Files beside the model that hold weights.
    weights: Vec<PathBuf>,
}

impl Original {
    /// Reads a model with the weights that lie in files beside it, and takes these of its outputs; all of them where
    /// none is named.
    ///
    /// # Errors
    /// A file that is missing, cut short, no ONNX or outside the model's folder; an output that the model has not;
    /// no output that holds numbers.
    pub fn read(path: &Path, outputs: &[String]) -> Result<Self> {
        Self::with_constants(path, outputs, &Constants::new())
    }

    /// As [`read`](Self::read), with values of the model's own for some of its inputs: what decides a shape or an order
    /// can't be an input of a circuit.
    ///
    /// # Errors
    /// As [`read`](Self::read); an input that the model has not, or that a value does not fit; no input that is left.
    pub fn with_constants(path: &Path, outputs: &[String], constants: &Constants) -> Result<Self> {
        let fault = |message: String| Error::Model { path: path.to_owned(), message };
        let mut model = onnx::parse(path)?;
        let mut file = OnnxFile::of(&model, path)?;
        let weights = external::inline(&mut model, path)?;
        functions::inline(&mut model);
        let mut notes = Vec::new();
        if let Some(graph) = &mut model.graph {
            let given: HashSet<_> =
                graph.initializer.iter().map(|tensor| tensor.name.clone()).collect();
            graph.input.retain(|input| !given.contains(&input.name));
        }
        let fixed = constants::fix(&mut model, &mut file, constants).map_err(fault)?;
        notes.extend(fixed);
        let maps = zip_maps(&mut model, &mut notes);
        class_names(&mut model, &mut notes);
        let asked: Vec<_> =
            outputs.iter().map(|name| maps.get(name).unwrap_or(name).clone()).collect();
        choose(&mut model, &asked, &mut notes).map_err(fault)?;
        let (convolutions, batch) = (Convolutions::default(), Batching::ONE);
        Ok(Self { model, convolutions, batch, file, path: path.to_owned(), notes, weights })
    }

    /// The same, to be prepared with its convolutions in another form.
    #[must_use]
    pub fn with(self, convolutions: Convolutions) -> Self {
        Self { convolutions, ..self }
    }

    /// The same, to be prepared for several observations at a time. What is said of the model itself, its inputs,
    /// outputs and answers, stays that of one.
    #[must_use]
    pub fn in_batches(self, batch: Batching) -> Self {
        Self { batch, ..self }
    }

    /// How many observations its circuit is to take.
    pub fn batch(&self) -> Batching {
        self.batch
    }

    /// The form that its convolutions are to have.
    pub fn convolutions(&self) -> Convolutions {
        self.convolutions
    }

    /// Its inputs with their shapes, the axes' variables set, and those that are fixed among them.
    ///
    /// # Errors
    /// As [`OnnxFile::slots`].
    pub fn slots(&self, variables: &[(String, usize)]) -> Result<Vec<Slot>> {
        Ok(self.file.slots(variables)?)
    }

    /// The model as ONNX Runtime runs it.
    ///
    /// # Errors
    /// As [`slots`](Self::slots), and what ONNX Runtime does not take.
    pub async fn float_model(&self, variables: &[(String, usize)]) -> Result<FloatModel> {
        let slots = self.slots(variables)?;
        let shapes: Vec<_> =
            slots.iter().map(|slot| (slot.name.clone(), slot.shape.clone())).collect();
        Ok(FloatModel::of(&self.model, &self.path, &shapes).await?.with_slots(slots))
    }

    /// What the file says of itself.
    pub fn file(&self) -> &OnnxFile {
        &self.file
    }

    /// The file that it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the outputs that a proof is to show, in the model's order.
    pub fn outputs(&self) -> Vec<String> {
        let outputs = self.model.graph.iter().flat_map(|graph| &graph.output);
        outputs.map(|output| output.name.clone()).collect()
    }

    /// The file's bytes, weights inside.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.model.to_bytes()
    }

    /// What was done to its outputs, in words.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The files beside the model that hold weights.
    pub fn weights(&self) -> &[PathBuf] {
        &self.weights
    }
}

/// A ZipMap spreads a tensor out into maps by class: the tensor takes its place.
/// Returns the tensors' names by those of the maps.
fn zip_maps(model: &mut ModelProto, notes: &mut Vec<String>) -> HashMap<String, String> {
    let Some(graph) = &mut model.graph else { return HashMap::new() };
    let maps: HashMap<String, String> = graph
        .node
        .iter()
        .filter(|node| node.operator() == ("ai.onnx.ml", "ZipMap"))
        .filter_map(|node| Some((node.output.first()?.clone(), node.input.first()?.clone())))
        .collect();
    graph.node.retain(|node| node.operator() != ("ai.onnx.ml", "ZipMap"));
    for output in &mut graph.output {
        if let Some(tensor) = maps.get(&output.name) {
            notes.push(format!(
                "output `{}` is the tensor `{tensor}`, its columns in the order of the classes, in place of a map",
                output.name
            ));
            *output = ValueInfoProto { name: tensor.clone(), r#type: None };
        }
    }
    let mut seen = HashSet::new();
    graph.output.retain(|output| seen.insert(output.name.clone()));
    maps
}

/// Names of classes give way to their numbers: strings among the weights to their places in the list of all of
/// them, a classifier's list of names to 0, 1, 2 ….
fn class_names(model: &mut ModelProto, notes: &mut Vec<String>) {
    let Some(graph) = &mut model.graph else { return };
    let mut told = BTreeSet::new();
    for node in &mut graph.node {
        let numbers = match node.op_type.as_str() {
            "LinearClassifier" | "SVMClassifier" => "classlabels_ints",
            "TreeEnsembleClassifier" => "classlabels_int64s",
            _ => continue,
        };
        let names = node.strings("classlabels_strings").into_iter().map(str::to_owned);
        let names: Vec<String> = names.collect();
        if !names.is_empty() {
            node.unset("classlabels_strings");
            let range: Vec<i64> = (0..names.len() as i64).collect();
            node.set(AttributeProto::ints(numbers, range));
            told.insert(numbered(&names));
        }
    }
    let is_text = |tensor: &&mut TensorProto| tensor.data_type == element::STRING;
    for tensor in graph.initializer.iter_mut().filter(is_text) {
        let text = |bytes: &prost::bytes::Bytes| String::from_utf8_lossy(bytes).into_owned();
        let names: Vec<String> = tensor.string_data.iter().map(text).collect();
        let mut known: Vec<&String> = Vec::new();
        let numbers: Vec<i64> = names
            .iter()
            .map(|name| {
                let place = known.iter().position(|it| *it == name);
                place.unwrap_or_else(|| {
                    known.push(name);
                    known.len() - 1
                }) as i64
            })
            .collect();
        told.insert(numbered(&known.into_iter().cloned().collect::<Vec<_>>()));
        *tensor = TensorProto::integers(&tensor.shape(), &numbers).named(tensor.name.clone());
    }
    // A table from numbers to names at the end: what goes in is the class.
    let tables: HashMap<String, String> = graph
        .node
        .iter()
        .filter(|node| node.operator() == ("ai.onnx.ml", "LabelEncoder"))
        .filter(|node| {
            !node.strings("values_strings").is_empty() && !node.ints("keys_int64s").is_empty()
        })
        .filter_map(|node| Some((node.output.first()?.clone(), node.input.first()?.clone())))
        .collect();
    for node in graph
        .node
        .iter()
        .filter(|node| tables.contains_key(node.output.first().map_or("", String::as_str)))
    {
        let keys = node.ints("keys_int64s").iter();
        let list: Vec<_> = keys
            .zip(node.strings("values_strings"))
            .map(|(key, name)| format!("{key} is {name}"))
            .collect();
        told.insert(list.join(", "));
    }
    graph.node.retain(|node| !node.output.first().is_some_and(|name| tables.contains_key(name)));
    let place = |name: &mut String| {
        if let Some(table) = tables.get(name) {
            name.clone_from(table);
        }
    };
    graph.node.iter_mut().flat_map(|node| &mut node.input).for_each(place);
    graph.output.iter_mut().for_each(|output| place(&mut output.name));
    for names in &told {
        notes.push(format!("classes are numbers in place of names: {names}"));
    }
    if !told.is_empty() {
        let text_only = |info: &mut ValueInfoProto| {
            if info.elem_type() == Some(element::STRING) {
                info.r#type = None;
            }
        };
        graph.output.iter_mut().chain(&mut graph.value_info).for_each(text_only);
        // A cast of a class to text has nothing left to do.
        for node in graph.node.iter_mut().filter(|node| node.op_type == "Cast") {
            if node.int("to") == Some(i64::from(element::STRING)) {
                node.op_type = "Identity".to_owned();
                node.attribute.clear();
            }
        }
    }
}

fn numbered(names: &[String]) -> String {
    let list: Vec<_> =
        names.iter().enumerate().map(|(number, name)| format!("{number} is {name}")).collect();
    list.join(", ")
}

/// Keeps the outputs that are asked for, in the model's order.
fn choose(model: &mut ModelProto, asked: &[String], notes: &mut Vec<String>) -> Result<(), String> {
    let Some(graph) = &mut model.graph else { return Ok(()) };
    if asked.is_empty() {
        return Ok(());
    }
    let there: Vec<_> = graph.output.iter().map(|output| output.name.clone()).collect();
    if let Some(name) = asked.iter().find(|name| !there.contains(name)) {
        return Err(format!(
            "the model has no output `{name}`, which zkvouch.toml, [model] outputs asks for; it has {}",
            there.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        ));
    }
    let (kept, dropped): (Vec<_>, Vec<_>) =
        graph.output.drain(..).partition(|output| asked.contains(&output.name));
    graph.output = kept;
    for output in dropped {
        notes.push(format!("output `{}` is left out: outputs in zkvouch.toml", output.name));
    }
    Ok(())
}
