//! What is known of each value in a graph whose inputs have fixed shapes: its type, its shape, and its elements
//! where no input decides them.

use super::Given;
use crate::onnx::proto::{GraphProto, NodeProto, TensorProto};
use std::collections::{BTreeMap, HashMap, HashSet};

/// A value.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    /// As ONNX's `TensorProto.DataType`.
    pub(super) element: i32,
    pub(super) shape: Vec<usize>,
    /// The value, where it is the same for every input.
    pub(super) constant: Option<TensorProto>,
    /// Whether the sample's run has a negative integer here.
    pub(super) below_zero: bool,
    /// The size of the largest integer that the sample's run has here.
    pub(super) largest: f64,
}

/// All that is known, by the values' names.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts(HashMap<String, Fact>);

impl Facts {
    /// `values` is what one run of the model found, `inputs` what goes in.
    pub(super) fn new(
        graph: &GraphProto,
        inputs: &[Given],
        values: BTreeMap<String, TensorProto>,
    ) -> Self {
        let constants = constants(graph);
        let mut facts = HashMap::new();
        for input in inputs {
            let fact = Fact {
                element: input.element,
                shape: input.shape.clone(),
                constant: None,
                below_zero: input.data.iter().any(|it| *it < 0.0),
                largest: input.data.iter().fold(0.0, |most, it| it.abs().max(most)),
            };
            facts.insert(input.name.clone(), fact);
        }
        for (name, tensor) in values {
            let constant = constants.contains(name.as_str()).then(|| tensor.clone().named(&name));
            let whole = tensor.whole().unwrap_or_default();
            let below_zero = whole.iter().any(|it| *it < 0);
            let largest = whole.iter().fold(0.0f64, |most, it| (*it as f64).abs().max(most));
            let fact = Fact {
                element: tensor.data_type,
                shape: tensor.shape(),
                constant,
                below_zero,
                largest,
            };
            facts.insert(name, fact);
        }
        for tensor in &graph.initializer {
            let (element, shape) = (tensor.data_type, tensor.shape());
            let constant = Some(tensor.clone());
            let fact = Fact { element, shape, constant, below_zero: false, largest: 0.0 };
            facts.insert(tensor.name.clone(), fact);
        }
        Self(facts)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Fact> {
        self.0.get(name)
    }
}

/// The values that no input decides, those of shapes with them.
fn constants(graph: &GraphProto) -> HashSet<&str> {
    let mut known: HashSet<&str> =
        graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    for node in &graph.node {
        let given = |name: &String| name.is_empty() || known.contains(name.as_str());
        let fixed = match node.op_type.as_str() {
            // Every shape is fixed.
            "Shape" | "Size" => true,
            _ if is_random(node) => false,
            // A body may read values that are none of the node's inputs.
            _ if has_body(node) => false,
            _ => node.input.iter().all(given),
        };
        if fixed {
            known.extend(node.output.iter().map(String::as_str));
        }
    }
    known
}

fn is_random(node: &NodeProto) -> bool {
    node.op_type.starts_with("Random") || ["Multinomial", "Bernoulli"].contains(&&*node.op_type)
}

fn has_body(node: &NodeProto) -> bool {
    node.attribute.iter().any(|attribute| attribute.g.is_some() || !attribute.graphs.is_empty())
}
