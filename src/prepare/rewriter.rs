//! What a rule has at hand: the facts, and new nodes and weights to put in a node's place.

use super::{
    error::Refusal,
    facts::{Fact, Facts},
    graph::reads,
    told::Told,
};
use crate::onnx::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use std::collections::{HashMap, HashSet};

/// What a rule makes of a node.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The node stays as it is.
    Keep,
    /// These values, in the order of the node's outputs, are in the place of its own. Outputs that nobody asks for
    /// may be missing at the end.
    Replace(Vec<String>),
    /// No circuit has it, for this reason, with what to do.
    Refuse(String),
}

impl Outcome {
    pub(super) fn one(name: String) -> Self {
        Self::Replace(vec![name])
    }
}

/// New nodes in the place of one, in the normal form's operator set (17): ONNX's own operators, axes and bounds as
/// inputs where 17 has them so.
#[derive(Debug)]
pub(super) struct Rewriter<'a> {
    facts: &'a Facts,
    /// The node that makes each value.
    makers: &'a HashMap<&'a str, &'a NodeProto>,
    /// How often nodes and outputs read each value.
    readers: &'a HashMap<String, usize>,
    /// What new names begin with.
    prefix: String,
    pub(super) nodes: Vec<NodeProto>,
    pub(super) weights: Vec<TensorProto>,
    /// What is to be said of the change, in place of the operators' names.
    said: Option<String>,
}

impl<'a> Rewriter<'a> {
    pub(super) fn new(
        facts: &'a Facts,
        makers: &'a HashMap<&'a str, &'a NodeProto>,
        readers: &'a HashMap<String, usize>,
        prefix: String,
    ) -> Self {
        let (nodes, weights) = (Vec::new(), Vec::new());
        Self { facts, makers, readers, prefix, nodes, weights, said: None }
    }

    /// The node of the graph that makes a value; `None` for inputs and weights.
    pub(super) fn maker(&self, name: &str) -> Option<&'a NodeProto> {
        self.makers.get(name).copied()
    }

    /// Whether anything reads an output of the node.
    pub(super) fn is_read(&self, node: &NodeProto, output: usize) -> bool {
        node.output_name(output).is_some_and(|name| self.readers(name) > 0)
    }

    /// How often a value is read, by nodes and as an output.
    pub(super) fn readers(&self, name: &str) -> usize {
        self.readers.get(name).copied().unwrap_or_default()
    }

    /// Says this of the change, in place of the operators' names.
    pub(super) fn say(&mut self, words: String) {
        self.said = Some(words);
    }

    /// What is known of a value of the graph; not of one that the rule itself has made.
    pub(super) fn fact(&self, name: &str) -> Option<&'a Fact> {
        self.facts.get(name)
    }

    pub(super) fn shape(&self, name: &str) -> Option<&'a [usize]> {
        Some(&self.fact(name)?.shape)
    }

    pub(super) fn element(&self, name: &str) -> Option<i32> {
        Some(self.fact(name)?.element)
    }

    /// The numbers of a value that is the same for every input.
    pub(super) fn numbers(&self, name: &str) -> Option<Vec<f64>> {
        self.fact(name)?.constant.as_ref()?.numbers()
    }

    /// The whole numbers of a value that is the same for every input.
    pub(super) fn whole(&self, name: &str) -> Option<Vec<i64>> {
        self.fact(name)?.constant.as_ref()?.whole()
    }

    fn name(&self, what: &str) -> String {
        format!("{}/{what}_{}", self.prefix, self.nodes.len() + self.weights.len())
    }

    /// A node with one output; returns the output's name. An empty input is one that is left out.
    pub(super) fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: impl Into<Vec<AttributeProto>>,
    ) -> String {
        let output = self.name(operator);
        self.nodes.push(NodeProto::new(operator, inputs, &[&output], attributes));
        output
    }

    /// A node with several outputs.
    pub(super) fn nodes(
        &mut self,
        operator: &str,
        inputs: &[&str],
        outputs: usize,
        attributes: impl Into<Vec<AttributeProto>>,
    ) -> Vec<String> {
        let name = self.name(operator);
        let names: Vec<_> = (0..outputs).map(|number| format!("{name}.{number}")).collect();
        let outputs: Vec<_> = names.iter().map(String::as_str).collect();
        self.nodes.push(NodeProto::new(operator, inputs, &outputs, attributes));
        names
    }

    /// A constant; returns its name.
    pub(super) fn weight(&mut self, tensor: TensorProto) -> String {
        let name = self.name("weight");
        self.weights.push(tensor.named(&name));
        name
    }

    pub(super) fn floats(&mut self, shape: &[usize], values: &[f32]) -> String {
        self.weight(TensorProto::floats(shape, values))
    }

    pub(super) fn integers(&mut self, values: &[i64]) -> String {
        self.weight(TensorProto::integers(&[values.len()], values))
    }

    /// A float with no axis.
    pub(super) fn float(&mut self, value: f32) -> String {
        self.floats(&[], &[value])
    }

    pub(super) fn reshape(&mut self, value: &str, shape: &[usize]) -> String {
        let shape: Vec<_> = shape.iter().map(|axis| *axis as i64).collect();
        let shape = self.integers(&shape);
        self.node("Reshape", &[value, &shape], [])
    }

    pub(super) fn transpose(&mut self, value: &str, order: &[usize]) -> String {
        if order.is_sorted() {
            return value.to_owned();
        }
        let order: Vec<_> = order.iter().map(|axis| *axis as i64).collect();
        self.node("Transpose", &[value], [AttributeProto::ints("perm", order)])
    }

    /// Takes places of an axis. With a list of several the axis stays, with one place and no list it goes.
    pub(super) fn gather(&mut self, value: &str, places: &[i64], axis: usize) -> String {
        let places = self.integers(places);
        self.node("Gather", &[value, &places], [AttributeProto::int("axis", axis as i64)])
    }

    pub(super) fn cast(&mut self, value: &str, element: i32) -> String {
        self.node("Cast", &[value], [AttributeProto::int("to", i64::from(element))])
    }

    pub(super) fn concat(&mut self, values: &[&str], axis: usize) -> String {
        self.node("Concat", values, [AttributeProto::int("axis", axis as i64)])
    }

    /// `ReduceSum` takes its axes as an input in 17, the others as an attribute.
    pub(super) fn reduce(
        &mut self,
        operator: &str,
        value: &str,
        axes: &[usize],
        keep: bool,
    ) -> String {
        let axes: Vec<_> = axes.iter().map(|axis| *axis as i64).collect();
        let keep = AttributeProto::int("keepdims", i64::from(keep));
        match operator {
            "ReduceSum" => {
                let axes = self.integers(&axes);
                self.node(operator, &[value, &axes], [keep])
            }
            _ => self.node(operator, &[value], [AttributeProto::ints("axes", axes), keep]),
        }
    }

    /// Part of an axis, from `start` to before `end`.
    pub(super) fn slice(&mut self, value: &str, axis: usize, start: usize, end: usize) -> String {
        let (start, end) = (self.integers(&[start as i64]), self.integers(&[end as i64]));
        let axis = self.integers(&[axis as i64]);
        self.node("Slice", &[value, &start, &end, &axis], [])
    }
}

/// An axis as a place from 0; `None` where it lies outside.
pub(super) fn axis(axis: i64, rank: usize) -> Option<usize> {
    let rank = rank as i64;
    (-rank..rank).contains(&axis).then(|| axis.rem_euclid(rank.max(1)) as usize)
}

/// Asks `rule` for each node and puts what it makes in the node's place. Returns whether anything changed.
///
/// # Errors
/// The first node that is refused.
pub(super) fn rewrite(
    graph: &mut GraphProto,
    facts: &Facts,
    told: &mut Told,
    rule: impl Fn(&mut Rewriter<'_>, &NodeProto) -> Outcome,
) -> Result<bool, Refusal> {
    let mut changed = false;
    let mut kept = Vec::with_capacity(graph.node.len());
    let nodes = std::mem::take(&mut graph.node);
    let mut makers = HashMap::new();
    for node in &nodes {
        makers.extend(node.output.iter().map(|name| (name.as_str(), node)));
    }
    let mut read: Vec<String> = graph.output.iter().map(|output| output.name.clone()).collect();
    nodes.iter().for_each(|node| reads(node, &mut read));
    let mut readers = HashMap::new();
    for name in read {
        *readers.entry(name).or_default() += 1;
    }
    // What an earlier round has made of a node of the same name.
    let before: HashSet<String> = nodes
        .iter()
        .flat_map(|node| &node.output)
        .chain(graph.initializer.iter().map(|tensor| &tensor.name))
        .filter_map(|name| Some(name.rsplit_once('/')?.0.to_owned()))
        .collect();
    for node in &nodes {
        let name = node.output.iter().find(|name| !name.is_empty()).cloned().unwrap_or_default();
        let mut prefix = name.clone();
        for number in 2.. {
            if !before.contains(&prefix) {
                break;
            }
            prefix = format!("{name}.{number}");
        }
        let mut rewriter = Rewriter::new(facts, &makers, &readers, prefix);
        match rule(&mut rewriter, node) {
            Outcome::Keep => kept.push(node.clone()),
            Outcome::Refuse(reason) => return Err(Refusal::of(node, reason)),
            Outcome::Replace(outputs) => {
                changed = true;
                let Rewriter { mut nodes, weights, said, prefix, .. } = rewriter;
                for (old, new) in node.output.iter().zip(&outputs) {
                    if !old.is_empty() && !new.is_empty() {
                        nodes.push(NodeProto::new("Identity", &[new], &[old], []));
                    }
                }
                let words =
                    said.unwrap_or_else(|| format!("{} became {}", node.op_type, names(&nodes)));
                told.say(words, prefix, node.output.clone());
                kept.extend(nodes);
                graph.initializer.extend(weights);
            }
        }
    }
    graph.node = kept;
    Ok(changed)
}

/// The operators of new nodes, each once, in order.
fn names(nodes: &[NodeProto]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for node in nodes.iter().filter(|node| node.op_type != "Identity") {
        if !names.contains(&node.op_type.as_str()) {
            names.push(&node.op_type);
        }
    }
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
