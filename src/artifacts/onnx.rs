//! A look into an ONNX file: what goes in and comes out, its axes, what binds its inputs.

use super::{
    Kind, Result, invalid,
    slot::{Slot, Takes},
    takes::Uses,
};
use crate::onnx::{
    proto::{GraphProto, ModelProto, NodeProto, ValueInfoProto, tensor_shape_proto::dimension},
    tensor::element,
};
use prost::bytes::Bytes;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::{Path, PathBuf},
};

const KIND: Kind = Kind { what: "an ONNX model", remedy: "export the model again", limit: 2 << 30 };

/// What a first axis without a name is called: that of the run arguments' default variable.
const BATCH: &str = "batch_size";

/// One axis of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// A length that the model fixes.
    Fixed(usize),
    /// Named, such as `batch_size`; a value for it goes into the run arguments' `variables`. An input's
    /// axis that has no name in the model has one here: `batch_size` if it is the first, else
    /// `<input>_axis_<number>`.
    Symbol(String),
    /// Neither a length nor a name, or a length of zero or less; of outputs only.
    Unknown,
}

/// An input or an output of the model.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OnnxTensor {
    /// Its name in the graph.
    pub name: String,
    /// The number of its type in ONNX's `TensorProto.DataType`: 1 is float, 7 is int64.
    pub elem_type: i32,
    /// Its axes; `None` where the model does not tell its shape.
    pub dims: Option<Vec<Dim>>,
    /// Which numbers it takes, if it is an input.
    takes: Takes,
}

/// What an ONNX file says about itself.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OnnxFile {
    /// The version of the format.
    pub ir_version: i64,
    /// The program that wrote it.
    pub producer: String,
    /// The inputs that a caller has to give (weights left out).
    pub inputs: Vec<OnnxTensor>,
    /// The outputs, in the graph's order.
    pub outputs: Vec<OnnxTensor>,
    /// The operators in use.
    pub operators: BTreeSet<String>,
    /// The inputs whose values no output depends on: a proof says nothing of them.
    pub unbound: Vec<String>,
    path: PathBuf,
}

impl OnnxFile {
    /// Reads and checks a model file.
    ///
    /// # Errors
    /// If the file is missing, cut short, no ONNX, or has no operators.
    pub fn read(path: &Path) -> Result<Self> {
        Self::of(&parse(path)?, path)
    }

    /// As [`read`](Self::read), of a model that is in memory.
    pub(crate) fn of(model: &ModelProto, path: &Path) -> Result<Self> {
        let fault = |message: &str| invalid(path, "", format!("{message}; {}", KIND.remedy));
        let graph = match &model.graph {
            Some(graph) if model.ir_version > 0 => graph,
            _ => return Err(fault("no ONNX model: it has no format version or no graph")),
        };
        if graph.node.is_empty() {
            return Err(fault("the model has no operators"));
        }
        if let Some((node, name)) = undefined(graph) {
            let message = format!(
                "the {} that makes `{}` reads `{name}`, which is no input, no weight and no node's output; {}",
                node.op_type,
                node.output.first().map_or("nothing", String::as_str),
                KIND.remedy
            );
            return Err(invalid(path, "graph.node", message));
        }
        let is_unnamed = |dim: &Dim| *dim == Dim::Unknown;
        let uses = Uses::of(graph);
        let input =
            |info: &ValueInfoProto| OnnxTensor { takes: uses.takes(info), ..OnnxTensor::of(info) };
        let mut inputs: Vec<_> = inputs(graph).map(input).collect();
        if inputs.is_empty() {
            return Err(fault("the model has no inputs"));
        }
        for OnnxTensor { name, dims, .. } in &mut inputs {
            for (axis, dim) in dims.iter_mut().flatten().enumerate() {
                if is_unnamed(dim) {
                    *dim = Dim::Symbol(axis_name(name, axis));
                }
            }
        }
        let read = bound(graph);
        let names = inputs.iter().map(|input| input.name.clone());
        Ok(Self {
            ir_version: model.ir_version,
            producer: model.producer_name.clone(),
            unbound: names.filter(|name| !read.contains(name.as_str())).collect(),
            outputs: graph.output.iter().map(OnnxTensor::of).collect(),
            operators: graph.node.iter().map(|node| node.op_type.clone()).collect(),
            inputs,
            path: path.to_owned(),
        })
    }

    /// The path that the model was read from, for errors.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of axes without a length, in order and once each: what the run arguments'
    /// `variables` must give values for.
    pub fn symbols(&self) -> Vec<&str> {
        let mut symbols = Vec::new();
        for dim in self.inputs.iter().flat_map(|input| input.dims.iter().flatten()) {
            if let Dim::Symbol(name) = dim
                && !symbols.contains(&name.as_str())
            {
                symbols.push(name);
            }
        }
        symbols
    }

    /// The inputs with their shapes, the axes' variables set.
    ///
    /// # Errors
    /// An axis that no variable is for, with the line that sets it; an input whose shape the model
    /// does not tell.
    pub fn slots(&self, variables: &[(String, usize)]) -> Result<Vec<Slot>> {
        self.inputs.iter().map(|input| self.slot(input, variables)).collect()
    }

    fn slot(&self, input: &OnnxTensor, variables: &[(String, usize)]) -> Result<Slot> {
        let name = &input.name;
        if input.elem_type == element::STRING {
            let message = format!(
                "its input `{name}` takes text, and a circuit has numbers only; export the model from after the step \
                 that makes numbers of `{name}` (an encoder), and do that step to the data before it goes in"
            );
            return Err(invalid(&self.path, "graph.input", message));
        }
        let Some(dims) = &input.dims else {
            let message = format!(
                "it does not tell the shape of its input `{name}`; export the model with the shapes of its inputs"
            );
            return Err(invalid(&self.path, "graph.input", message));
        };
        let size = |(axis, dim): (usize, &Dim)| match dim {
            Dim::Fixed(length) => Ok(*length),
            Dim::Symbol(symbol) => {
                let value = variables.iter().find(|(variable, _)| variable == symbol);
                value
                    .map(|(_, value)| *value)
                    .ok_or_else(|| self.unset(name, axis, symbol, variables))
            }
            // An input's axis has a name by now.
            Dim::Unknown => Ok(1),
        };
        let shape = dims.iter().enumerate().map(size).collect::<Result<_>>()?;
        Ok(Slot { name: name.clone(), shape, takes: input.takes.clone() })
    }

    /// An axis that no variable is for.
    fn unset(
        &self,
        input: &str,
        axis: usize,
        symbol: &str,
        variables: &[(String, usize)],
    ) -> super::Error {
        let symbols = self.symbols();
        let (known, others): (Vec<_>, Vec<_>) =
            variables.iter().partition(|(name, _)| symbols.contains(&name.as_str()));
        let value =
            |symbol: &str| known.iter().find(|(name, _)| name == symbol).map_or(1, |it| it.1);
        let all: Vec<_> =
            symbols.iter().map(|symbol| format!("{} = {}", key(symbol), value(symbol))).collect();
        // The default is nobody's misspelling.
        let others: Vec<_> = others
            .iter()
            .filter(|(name, _)| name != BATCH)
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        let others = match others.as_slice() {
            [] => String::new(),
            others => format!(" ({} names no axis of the model)", others.join(", ")),
        };
        let message = format!(
            "axis {axis} of input `{input}` has no length; it is called `{symbol}`, and no variable is{others}. \
             Set it in zkvouch.toml, [circuit]: variables = {{ {} }}",
            all.join(", ")
        );
        invalid(&self.path, "graph.input", message)
    }

    /// Makes an input's value the model's own: it is none of the circuit's inputs any more, and data need not have it.
    pub(crate) fn fix(&mut self, name: &str, shape: &[usize], values: &[f64]) {
        for input in self.inputs.iter_mut().filter(|input| input.name == name) {
            input.takes.fixed = Some(values.to_vec());
            input.dims = Some(shape.iter().copied().map(Dim::Fixed).collect());
        }
    }

    /// Whether an input's value is the model's own.
    pub fn is_fixed(&self, name: &str) -> bool {
        self.inputs.iter().any(|input| input.name == name && input.takes.fixed.is_some())
    }

    /// The shape of each input with values for its symbols; `None` if one is not to be known.
    pub fn input_shapes(&self, variables: &[(String, usize)]) -> Option<Vec<Vec<usize>>> {
        let slots = self.slots(variables).ok()?;
        Some(slots.into_iter().map(|slot| slot.shape).collect())
    }
}

/// Reads a file's messages.
pub(crate) fn parse(path: &Path) -> Result<ModelProto> {
    from_bytes(KIND.read(path)?.into(), path)
}

fn from_bytes(bytes: Bytes, path: &Path) -> Result<ModelProto> {
    let fault = |message: &str| invalid(path, "", format!("{message}; {}", KIND.remedy));
    if bytes.is_empty() {
        return Err(fault("the file is empty"));
    }
    ModelProto::from_bytes(bytes).map_err(|error| {
        let error = error.to_string();
        let error = error.strip_prefix("failed to decode Protobuf message: ").unwrap_or(&error);
        fault(&format!("{error}: the file is cut short or is no ONNX model"))
    })
}

/// The inputs that a caller has to give: older files list weights among them, too.
fn inputs(graph: &GraphProto) -> impl Iterator<Item = &ValueInfoProto> {
    let sparse = graph.sparse_initializer.iter().filter_map(|tensor| tensor.values.as_ref());
    let weights: HashSet<_> =
        graph.initializer.iter().chain(sparse).map(|tensor| tensor.name.as_str()).collect();
    graph.input.iter().filter(move |input| !weights.contains(input.name.as_str()))
}

/// The first value that a node reads although there is none, as in a model that was cut apart by hand.
fn undefined(graph: &GraphProto) -> Option<(&NodeProto, &str)> {
    let sparse = graph.sparse_initializer.iter().filter_map(|tensor| tensor.values.as_ref());
    let weights = graph.initializer.iter().chain(sparse).map(|tensor| tensor.name.as_str());
    let inputs = graph.input.iter().map(|input| input.name.as_str());
    let made = graph.node.iter().flat_map(|node| node.output.iter().map(String::as_str));
    let there: HashSet<_> = weights.chain(inputs).chain(made).collect();
    // An optional input that is left out has an empty name.
    let missing = |name: &&String| !name.is_empty() && !there.contains(name.as_str());
    graph.node.iter().find_map(|node| Some((node, node.input.iter().find(missing)?.as_str())))
}

/// The values that some output depends on; a shape alone doesn't depend on values.
fn bound(graph: &GraphProto) -> HashSet<&str> {
    let makers: HashMap<&str, &NodeProto> = graph
        .node
        .iter()
        .flat_map(|node| node.output.iter().map(move |output| (output.as_str(), node)))
        .collect();
    let mut open: Vec<&str> = graph.output.iter().map(|output| output.name.as_str()).collect();
    let mut read = HashSet::new();
    while let Some(name) = open.pop() {
        if read.insert(name)
            && let Some(node) = makers.get(name)
            && !["Shape", "Size"].contains(&node.op_type.as_str())
        {
            values(node, &mut open);
        }
    }
    read
}

/// The values that a node reads, those in the bodies of loops and branches with them.
fn values<'a>(node: &'a NodeProto, into: &mut Vec<&'a str>) {
    into.extend(node.input.iter().map(String::as_str));
    for attribute in &node.attribute {
        for body in attribute.g.iter().chain(&attribute.graphs) {
            into.extend(body.output.iter().map(|output| output.name.as_str()));
            body.node.iter().for_each(|node| values(node, into));
        }
    }
}

fn axis_name(input: &str, axis: usize) -> String {
    if axis == 0 { BATCH.to_owned() } else { format!("{input}_axis_{axis}") }
}

/// A name as a key in TOML.
pub(crate) fn key(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(plain) {
        true => name.to_owned(),
        false => toml::Value::from(name).to_string(),
    }
}

impl OnnxTensor {
    fn of(info: &ValueInfoProto) -> Self {
        let dims = info.dims().map(|dims| dims.iter().map(|dim| Dim::of(&dim.value)).collect());
        let elem_type = info.elem_type().unwrap_or_default();
        Self { name: info.name.clone(), elem_type, dims, takes: Takes::default() }
    }
}

impl Dim {
    fn of(value: &Option<dimension::Value>) -> Self {
        match value {
            // Exporters write an unknown length as 0 or -1, too.
            Some(dimension::Value::DimValue(length @ 1..)) => Self::Fixed(*length as usize),
            Some(dimension::Value::DimParam(name)) if !name.is_empty() => {
                Self::Symbol(name.clone())
            }
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests;
