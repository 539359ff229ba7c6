//! Models for several observations at a time. That each is answered as the model answers it alone is checked by
//! [`prepare`] itself; here it is the way and the tensors.

use super::*;
use crate::{
    artifacts::onnx,
    onnx::{
        proto::{AttributeProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto},
        tensor::element,
    },
};
use std::path::{Path, PathBuf};

const AXIS: &str = "along the model's own batch axis";
const COPIES: &str = "copies of the graph";

fn root(folder: &str, name: &str, file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name).join(file)
}

/// Inputs and outputs with their shapes, and what was said.
async fn batched(path: &Path, batch: Batching) -> Result<(ModelProto, Vec<String>)> {
    let original = Original::read(path, &[])?.in_batches(batch);
    let variables: Vec<_> =
        original.file().symbols().iter().map(|name| ((*name).to_owned(), 1)).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("prepared.onnx");
    let prepared = crate::prepare::to_file(&original, &variables, None, &copy).await?;
    Ok((onnx::parse(&copy)?, prepared.notes.changes))
}

fn described(infos: &[ValueInfoProto]) -> Vec<(String, Vec<usize>)> {
    let graph = GraphProto { input: infos.to_vec(), ..GraphProto::default() };
    shapes(Some(&graph))
}

fn written(folder: &Path, inputs: &[(&str, i32, &[usize])], nodes: Vec<NodeProto>) -> PathBuf {
    written_with(folder, inputs, nodes, Vec::new())
}

fn written_with(
    folder: &Path,
    inputs: &[(&str, i32, &[usize])],
    nodes: Vec<NodeProto>,
    initializer: Vec<TensorProto>,
) -> PathBuf {
    let info =
        |(name, kind, shape): &(&str, i32, &[usize])| ValueInfoProto::tensor(name, *kind, shape);
    let graph = GraphProto {
        name: "graph".to_owned(),
        node: nodes,
        initializer,
        input: inputs.iter().map(info).collect(),
        output: vec![ValueInfoProto { name: "y".to_owned(), r#type: None }],
        ..GraphProto::default()
    };
    let model = ModelProto {
        ir_version: 10,
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        ..ModelProto::default()
    };
    let path = folder.join("network.onnx");
    std::fs::write(&path, model.to_bytes()).expect("written");
    path
}

fn joined(size: usize) -> Batching {
    Batching::new(size, Form::Joined, Form::Joined)
}

#[tokio::test]
async fn models_take_a_batch_by_their_own_axis_or_by_copies() {
    for (path, way) in [
        (root("examples", "credit", "model.onnx"), AXIS),
        (root("examples", "decision_tree", "model.onnx"), AXIS),
        (root("examples", "xgboost", "model.onnx"), AXIS),
        (root("tests/cases", "prelu_7ch", "network.onnx"), AXIS),
        (root("tests/cases", "two_outputs_one_is_input", "network.onnx"), AXIS),
        // The first axis is that of time.
        (root("tests/cases", "lstm_reverse", "network.onnx"), COPIES),
        (root("tests/cases", "scalar_rank0", "network.onnx"), COPIES),
    ] {
        let (model, notes) = batched(&path, joined(3)).await.expect("prepared");
        let note = notes.last().expect("a note");
        assert!(note.contains(way), "{}: {notes:?}", path.display());
        let graph = model.graph.expect("a graph");
        for (name, shape) in described(&graph.input).iter().chain(&described(&graph.output)) {
            assert_eq!(shape.first(), Some(&3), "{}: {name} {shape:?}", path.display());
        }
    }
}

/// What the first observation says depends on the others, however the axis is called.
#[tokio::test]
async fn observations_that_would_meet_get_copies() {
    let folder = tempfile::tempdir().expect("a folder");
    let mean = |keep| {
        let axes = AttributeProto::ints("axes", [0]);
        NodeProto::new(
            "ReduceMean",
            &["x"],
            &["mean"],
            [axes, AttributeProto::int("keepdims", keep)],
        )
    };
    let nodes = vec![
        mean(1),
        NodeProto::new("Mul", &["x", "mean"], &["square"], []),
        NodeProto::new("Relu", &["square"], &["y"], []),
    ];
    let path = written(folder.path(), &[("x", element::FLOAT, &[1, 3])], nodes);
    let (model, notes) = batched(&path, joined(4)).await.expect("prepared");
    let note = notes.last().expect("a note");
    assert!(note.contains("observations would meet (in output `y`)"), "{note}");
    let graph = model.graph.expect("a graph");
    assert_eq!(described(&graph.input), [("x".to_owned(), vec![4, 3])]);
    assert_eq!(graph.node.iter().filter(|node| node.op_type == "Relu").count(), 4);
}

#[tokio::test]
async fn a_first_axis_that_is_no_batch_becomes_the_second() {
    let folder = tempfile::tempdir().expect("a folder");
    let weight = TensorProto::floats(&[2, 2], &[1.0, -2.0, 0.5, 3.0]).named("w");
    let nodes = vec![
        NodeProto::new("MatMul", &["x", "w"], &["h"], []),
        NodeProto::new("Relu", &["h"], &["y"], []),
    ];
    let inputs: &[(&str, i32, &[usize])] = &[("x", element::FLOAT, &[3, 2])];
    let path = written_with(folder.path(), inputs, nodes, vec![weight]);
    let (model, notes) = batched(&path, joined(2)).await.expect("prepared");
    assert!(notes.last().expect("a note").contains("`x` of shape [3, 2] has no batch axis"));
    let graph = model.graph.expect("a graph");
    assert_eq!(described(&graph.input), [("x".to_owned(), vec![2, 3, 2])]);
    assert_eq!(described(&graph.output), [("y".to_owned(), vec![2, 3, 2])]);
    assert_eq!(graph.initializer.iter().filter(|it| it.name == "w").count(), 1, "shared");
}

/// Each observation has its own tensor where each is to have its own hash: all of the first input, then all of the
/// second.
#[tokio::test]
async fn hashed_tensors_lie_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    // By the axis, and, where what is added along the first axis meets, by copies.
    for (meets, way) in [(false, AXIS), (true, COPIES)] {
        let mut nodes = vec![NodeProto::new("Mul", &["a#b", "k"], &["p"], [])];
        if meets {
            let keep = AttributeProto::int("keepdims", 1);
            nodes.push(NodeProto::new(
                "ReduceMax",
                &["p"],
                &["q"],
                [AttributeProto::ints("axes", [0]), keep],
            ));
        } else {
            nodes.push(NodeProto::new("Relu", &["p"], &["q"], []));
        }
        nodes.push(NodeProto::new("Add", &["p", "q"], &["y"], []));
        let inputs: &[(&str, i32, &[usize])] =
            &[("a#b", element::FLOAT, &[1, 2]), ("k", element::FLOAT, &[1, 1])];
        let path = written(folder.path(), inputs, nodes);
        let apart = Batching::new(3, Form::Apart, Form::Apart);
        let (model, notes) = batched(&path, apart).await.expect("prepared");
        assert!(notes.last().expect("a note").contains(way), "{notes:?}");
        let graph = model.graph.expect("a graph");
        let names: Vec<_> = described(&graph.input);
        let info = |name: &str, shape: &[usize]| (name.to_owned(), shape.to_vec());
        let expected = [
            info("a#b##0", &[1, 2]),
            info("a#b##1", &[1, 2]),
            info("a#b##2", &[1, 2]),
            info("k##0", &[1, 1]),
            info("k##1", &[1, 1]),
            info("k##2", &[1, 1]),
        ];
        assert_eq!(names, expected);
        let outputs: Vec<_> =
            described(&graph.output).into_iter().map(|(_, shape)| shape).collect();
        assert_eq!(outputs, [[1, 2]; 3]);
    }
}

/// A model that is wrong for one observation of a batch only is seen.
#[tokio::test]
async fn another_answer_in_one_place_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let nodes = vec![NodeProto::new("Relu", &["x"], &["y"], [])];
    let path = written(folder.path(), &[("x", element::FLOAT, &[1, 2])], nodes);
    let original = Original::read(&path, &[]).expect("a model").in_batches(joined(3));
    let slots = [Slot::new("x", vec![1, 2])];
    let trials = Trials::new(&original, &slots, &[vec![vec![0.5, -0.5]]]).await.expect("runs");
    let mut model = original.model.clone();
    set_shapes(&mut model, &[("x".to_owned(), vec![3, 2], Vec::new())]);
    trials.check(&model, joined(3)).await.expect("the same");
    let graph = model.graph.as_mut().expect("a graph");
    graph.node[0] = NodeProto::new("Mul", &["x", "m"], &["h"], []);
    graph.node.push(NodeProto::new("Relu", &["h"], &["y"], []));
    let factors = TensorProto::floats(&[3, 1], &[1.0, 1.0, 1.1]).named("m");
    graph.initializer.push(factors);
    let error = trials.check(&model, joined(3)).await.expect_err("another");
    assert!(matches!(error, Error::Differs { .. }), "{error}");
}
