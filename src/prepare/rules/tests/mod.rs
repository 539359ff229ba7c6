//! Each rule on a small model. That the answers stay is checked by [`prepare`](crate::prepare::prepare) itself, with
//! ONNX Runtime on the sample and on other inputs; here it is the operators that are left.

mod bodies;
mod networks;
mod numbers;
mod places;
mod products;
mod refusals;
mod shorter;

use crate::{
    onnx::{
        proto::{
            AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
            ValueInfoProto,
        },
        tensor::element,
    },
    prepare::{Convolutions, Error, Original, Prepared, prepare},
};

/// One node, `y` (and `y1`, `y2` …) made of `x0`, `x1` …, and what becomes of it.
struct Case {
    node: NodeProto,
    opset: i64,
    inputs: Vec<Input>,
    weights: Vec<TensorProto>,
    /// The operators that are left, sorted.
    left: &'static str,
    /// The inputs are none of the node's own, for its body alone.
    bare: bool,
    /// The model shows the first output and no other.
    alone: bool,
}

struct Input {
    element: i32,
    shape: Vec<usize>,
    data: Vec<f64>,
}

/// Floats of either sign, no two of them alike.
fn floats(shape: &[usize]) -> Input {
    let count: usize = shape.iter().product();
    let data = (0..count).map(|it| ((it * 37 + 11) % (2 * count + 1)) as f64 / count as f64 - 1.0);
    Input { element: element::FLOAT, shape: shape.to_vec(), data: data.collect() }
}

fn integers(kind: i32, shape: &[usize], data: &[i64]) -> Input {
    let data = data.iter().map(|it| *it as f64).collect();
    Input { element: kind, shape: shape.to_vec(), data }
}

impl Case {
    fn new(operator: &str, inputs: Vec<Input>, left: &'static str) -> Self {
        let node = NodeProto::new(operator, &[], &["y"], []);
        Self { node, opset: 17, inputs, weights: Vec::new(), left, bare: false, alone: false }
    }

    fn with(mut self, attribute: AttributeProto) -> Self {
        self.node.set(attribute);
        self
    }

    fn opset(self, opset: i64) -> Self {
        Self { opset, ..self }
    }

    /// A constant after the inputs; an empty name stands for one that is left out.
    fn weight(mut self, tensor: TensorProto) -> Self {
        self.weights.push(tensor);
        self
    }

    fn list(self, list: &[i64]) -> Self {
        self.weight(TensorProto::integers(&[list.len()], list))
    }

    fn scalar(self, value: i64) -> Self {
        self.weight(TensorProto::integers(&[], &[value]))
    }

    fn none(self) -> Self {
        self.weight(TensorProto::default())
    }

    fn outputs(mut self, count: usize) -> Self {
        self.node.output.extend((1..count).map(|number| format!("y{number}")));
        self
    }

    fn model(&self) -> ModelProto {
        let mut node = self.node.clone();
        let input = |number: usize| format!("x{number}");
        let values: Vec<ValueInfoProto> = self
            .inputs
            .iter()
            .enumerate()
            .map(|(number, it)| ValueInfoProto::tensor(&input(number), it.element, &it.shape))
            .collect();
        if !self.bare {
            node.input = (0..values.len()).map(input).collect();
        }
        let mut weights = Vec::new();
        for (number, tensor) in self.weights.iter().enumerate() {
            let name = if tensor.data_type == 0 { String::new() } else { format!("w{number}") };
            if !name.is_empty() {
                weights.push(tensor.clone().named(&name));
            }
            node.input.push(name);
        }
        let shown = if self.alone { 1 } else { node.output.len() };
        let output = |name: &String| ValueInfoProto { name: name.clone(), r#type: None };
        let graph = GraphProto {
            name: "graph".to_owned(),
            output: node.output.iter().take(shown).map(output).collect(),
            node: vec![node],
            initializer: weights,
            input: values,
            ..GraphProto::default()
        };
        ModelProto {
            ir_version: 10,
            graph: Some(graph),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: self.opset }],
            ..ModelProto::default()
        }
    }

    async fn prepared(&self) -> Result<Prepared, Error> {
        self.prepared_with(Convolutions::Auto).await
    }

    async fn prepared_with(&self, convolutions: Convolutions) -> Result<Prepared, Error> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("network.onnx");
        std::fs::write(&path, self.model().to_bytes()).expect("written");
        let original = Original::read(&path, &[]).expect("a model").with(convolutions);
        let inputs: Vec<_> = self
            .inputs
            .iter()
            .enumerate()
            .map(|(number, it)| (format!("x{number}"), it.shape.clone(), it.data.clone()))
            .collect();
        prepare(&original, &inputs).await
    }
}

/// Prepares each and compares what is left.
async fn all(cases: Vec<Case>) {
    let mut wrong = Vec::new();
    for case in cases {
        let name = case.node.op_type.clone();
        match case.prepared().await {
            Ok(prepared) => {
                let left = prepared.model.operators().join(" ");
                if left != case.left {
                    wrong.push(format!("{name}: {left:?} and not {:?}", case.left));
                }
            }
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
