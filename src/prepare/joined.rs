//! Graphs whose inputs and outputs are those of several observations, one tensor for all or one for each.

use super::graph::{rename, sweep};
use crate::{
    artifacts::slot::Slot,
    model::batch::{Batching, Form},
    onnx::{
        proto::{
            AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto,
            tensor_shape_proto::dimension,
        },
        tensor::element,
    },
};
use std::collections::HashSet;

/// What puts observations together and takes them apart again.
pub(super) struct Joined<'a> {
    batch: Batching,
    slots: &'a [Slot],
    /// What stands before an observation's number in names; in no name of the model.
    mark: String,
    nodes: Vec<NodeProto>,
    weights: Vec<TensorProto>,
}

impl<'a> Joined<'a> {
    pub(super) fn new(batch: Batching, slots: &'a [Slot]) -> Self {
        Self { batch, slots, mark: String::new(), nodes: Vec::new(), weights: Vec::new() }
    }

    /// A graph whose tensors have the observations on their first axis, with those in place that are to lie so.
    pub(super) fn along_axis(mut self, mut model: ModelProto) -> ModelProto {
        let Some(graph) = &mut model.graph else { return model };
        self.start(graph);
        if self.batch.inputs() == Form::Apart {
            let inputs = std::mem::take(&mut graph.input);
            for info in inputs {
                let shape = self.shape_of(&info);
                let parts = self.infos(&info, &shape);
                let names: Vec<_> = parts.iter().map(|part| part.name.as_str()).collect();
                self.concat(&names, &info.name);
                graph.input.extend(parts);
            }
            // What makes a value stands before what reads it.
            let nodes = std::mem::take(&mut graph.node);
            graph.node = std::mem::take(&mut self.nodes);
            graph.node.extend(nodes);
        }
        if self.batch.outputs() == Form::Apart {
            let outputs = std::mem::take(&mut graph.output);
            for info in outputs {
                let mut shape = lengths(&info);
                if let Some(first) = shape.first_mut() {
                    *first = 1;
                }
                for (number, part) in self.infos(&info, &shape).into_iter().enumerate() {
                    self.slice(&info.name, number, &part.name);
                    graph.output.push(part);
                }
            }
        }
        self.end(graph);
        model
    }

    /// So many copies of the graph of one observation, on the same weights.
    pub(super) fn copies(mut self, mut model: ModelProto) -> ModelProto {
        let Some(graph) = &mut model.graph else { return model };
        self.start(graph);
        let single = std::mem::take(&mut graph.node);
        let inputs = std::mem::take(&mut graph.input);
        let outputs = std::mem::take(&mut graph.output);
        for info in &inputs {
            let shape = self.shape_of(info);
            match self.batch.inputs() {
                Form::Apart => graph.input.extend(self.infos(info, &shape)),
                Form::Joined => {
                    let kind = info.elem_type().unwrap_or(element::FLOAT);
                    graph.input.push(ValueInfoProto::tensor(&info.name, kind, &self.all(&shape)));
                    for number in 0..self.batch.size() {
                        let part = self.name(&info.name, number);
                        if shape.first() == Some(&1) {
                            self.slice(&info.name, number, &part);
                        } else {
                            let sliced = self.name(&part, number);
                            self.slice(&info.name, number, &sliced);
                            self.reshape(&sliced, &shape, &part);
                        }
                    }
                }
            }
        }
        let own: HashSet<String> = inputs
            .iter()
            .map(|info| &info.name)
            .chain(single.iter().flat_map(|node| &node.output))
            .filter(|name| !name.is_empty())
            .cloned()
            .collect();
        for number in 0..self.batch.size() {
            for node in &single {
                let mut node = node.clone();
                rename(&mut node, &|name| match own.contains(name) {
                    true => self.name(name, number),
                    false => name.clone(),
                });
                if !node.name.is_empty() {
                    node.name = self.name(&node.name, number);
                }
                self.nodes.push(node);
            }
        }
        for info in &outputs {
            let shape = lengths(info);
            let parts = self.infos(info, &shape);
            if self.batch.outputs() == Form::Apart {
                graph.output.extend(parts);
                continue;
            }
            let kind = info.elem_type().unwrap_or(element::FLOAT);
            graph.output.push(ValueInfoProto::tensor(&info.name, kind, &self.all(&shape)));
            let mut names: Vec<String> = parts.into_iter().map(|part| part.name).collect();
            if shape.first() != Some(&1) {
                let one: Vec<usize> = std::iter::once(1).chain(shape).collect();
                for (number, name) in names.iter_mut().enumerate() {
                    let longer = self.name(name, number);
                    self.reshape(name, &one, &longer);
                    *name = longer;
                }
            }
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            self.concat(&names, &info.name);
        }
        self.end(graph);
        model
    }

    fn start(&mut self, graph: &GraphProto) {
        let nodes = graph.node.iter().flat_map(|node| {
            node.output.iter().chain(&node.input).chain(std::iter::once(&node.name))
        });
        let weights = graph.initializer.iter().map(|tensor| &tensor.name);
        let names: Vec<&String> =
            nodes.chain(weights).chain(graph.input.iter().map(|info| &info.name)).collect();
        self.mark = "#".to_owned();
        while names.iter().any(|name| name.contains(&self.mark)) {
            self.mark.push('#');
        }
        for place in 0..=self.batch.size() {
            let name = self.name("place", place);
            self.weights.push(TensorProto::integers(&[1], &[place as i64]).named(name));
        }
    }

    fn end(self, graph: &mut GraphProto) {
        graph.node.extend(self.nodes);
        graph.initializer.extend(self.weights);
        graph.value_info.clear();
        sweep(graph);
    }

    fn name(&self, name: &str, number: usize) -> String {
        format!("{name}{}{number}", self.mark)
    }

    /// The shape of an input of the model, for one observation.
    fn shape_of(&self, info: &ValueInfoProto) -> Vec<usize> {
        let slot = self.slots.iter().find(|slot| slot.name == info.name);
        slot.map_or_else(|| lengths(info), |slot| slot.shape.clone())
    }

    /// The shape of all observations' tensors in one.
    fn all(&self, shape: &[usize]) -> Vec<usize> {
        let rest = if shape.first() == Some(&1) { &shape[1..] } else { shape };
        std::iter::once(self.batch.size()).chain(rest.iter().copied()).collect()
    }

    /// A tensor for each observation.
    fn infos(&self, info: &ValueInfoProto, shape: &[usize]) -> Vec<ValueInfoProto> {
        let kind = info.elem_type().unwrap_or(element::FLOAT);
        let one = |number| ValueInfoProto::tensor(&self.name(&info.name, number), kind, shape);
        (0..self.batch.size()).map(one).collect()
    }

    fn concat(&mut self, names: &[&str], output: &str) {
        let axis = AttributeProto::int("axis", 0);
        self.nodes.push(NodeProto::new("Concat", names, &[output], [axis]));
    }

    /// One observation of several.
    fn slice(&mut self, value: &str, number: usize, output: &str) {
        let [start, end, axis] = [number, number + 1, 0].map(|place| self.name("place", place));
        self.nodes.push(NodeProto::new("Slice", &[value, &start, &end, &axis], &[output], []));
    }

    fn reshape(&mut self, value: &str, shape: &[usize], output: &str) {
        let name = self.name(&format!("shape of {output}"), 0);
        let lengths: Vec<_> = shape.iter().map(|axis| *axis as i64).collect();
        self.weights.push(TensorProto::integers(&[lengths.len()], &lengths).named(&name));
        self.nodes.push(NodeProto::new("Reshape", &[value, &name], &[output], []));
    }
}

/// The axes' lengths that a prepared graph tells.
fn lengths(info: &ValueInfoProto) -> Vec<usize> {
    let length = |value: &Option<dimension::Value>| match value {
        Some(dimension::Value::DimValue(length)) => usize::try_from(*length).unwrap_or_default(),
        _ => 0,
    };
    let dims = info.dims().unwrap_or_default();
    dims.iter().map(|dim| length(&dim.value)).collect()
}
