//! Steps that become fewer, on models of several nodes. The answers are checked by [`prepare`] itself.

use super::*;

fn weight(name: &str, shape: &[usize]) -> TensorProto {
    let count: usize = shape.iter().product();
    let numbers: Vec<f32> = (0..count).map(|it| ((it * 29 + 7) % 31) as f32 / 16.0 + 0.1).collect();
    TensorProto::floats(shape, &numbers).named(name)
}

fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto::new(operator, inputs, &[output], [])
}

/// What is left of a model with the input `x`, and what is said of it.
async fn left(
    shape: &[usize],
    nodes: Vec<NodeProto>,
    weights: Vec<TensorProto>,
    outputs: &[&str],
) -> (String, Vec<String>) {
    let output = |name: &&str| ValueInfoProto { name: (*name).to_owned(), r#type: None };
    let model = ModelProto {
        ir_version: 10,
        graph: Some(GraphProto {
            name: "graph".to_owned(),
            node: nodes,
            initializer: weights,
            input: vec![ValueInfoProto::tensor("x", element::FLOAT, shape)],
            output: outputs.iter().map(output).collect(),
            ..GraphProto::default()
        }),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        ..ModelProto::default()
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("network.onnx");
    std::fs::write(&path, model.to_bytes()).expect("written");
    let original = Original::read(&path, &[]).expect("a model");
    let sample = floats(shape);
    let prepared = prepare(&original, &[("x".to_owned(), sample.shape, sample.data)]).await;
    let prepared = prepared.expect("prepared");
    let operators: Vec<_> = prepared.model.graph.iter().flat_map(|graph| &graph.node).collect();
    let operators: Vec<_> = operators.iter().map(|node| node.op_type.as_str()).collect();
    (operators.join(" "), prepared.notes.changes)
}

fn norm(value: &str, output: &str) -> NodeProto {
    node("BatchNormalization", &[value, "scale", "bias", "mean", "variance"], output)
}

fn norm_weights(channels: usize) -> Vec<TensorProto> {
    ["scale", "bias", "mean", "variance"].map(|name| weight(name, &[channels])).into()
}

fn conv(value: &str, output: &str, padded: bool) -> NodeProto {
    let mut conv = node("Conv", &[value, "kernel"], output);
    conv.set(AttributeProto::ints("pads", [i64::from(padded); 4]));
    conv
}

#[tokio::test]
async fn norms_go_into_the_layers_beside_them() {
    let kernel = weight("kernel", &[3, 2, 2, 2]);
    let with = |weights: Vec<TensorProto>| [weights, vec![kernel.clone()]].concat();
    let shape = [1, 2, 4, 4];
    let behind = vec![conv("x", "c", true), norm("c", "y")];
    let (operators, changes) = left(&shape, behind, with(norm_weights(3)), &["y"]).await;
    assert_eq!(operators, "Conv");
    assert_eq!(
        changes.last().map(String::as_str),
        Some("a sum or product after Conv went into it")
    );
    let before = |padded| vec![norm("x", "n"), conv("n", "y", padded)];
    let (operators, _) = left(&shape, before(false), with(norm_weights(2)), &["y"]).await;
    assert_eq!(operators, "Conv");
    // The zeros at the edge were not moved.
    let (operators, _) = left(&shape, before(true), with(norm_weights(2)), &["y"]).await;
    assert_eq!(operators, "BatchNormalization Conv");
    // What the model shows stays.
    let behind = vec![conv("x", "c", true), norm("c", "y")];
    let (operators, _) = left(&shape, behind, with(norm_weights(3)), &["c", "y"]).await;
    assert_eq!(operators, "Conv BatchNormalization");
}

#[tokio::test]
async fn grouped_convolutions_take_in_what_is_before_them() {
    let mut grouped = conv("m", "y", true);
    grouped.set(AttributeProto::int("group", 2));
    let weights = vec![weight("kernel", &[4, 2, 3, 3]), weight("factor", &[4, 1, 1])];
    let nodes = vec![node("Mul", &["x", "factor"], "m"), grouped];
    assert_eq!(left(&[1, 4, 4, 4], nodes, weights, &["y"]).await.0, "Conv");
}

#[tokio::test]
async fn scalers_go_into_the_first_layer_and_layers_into_each_other() {
    let weights = || vec![weight("m", &[1, 4]), weight("d", &[1, 4]), weight("w", &[4, 3])];
    let scaled = || {
        vec![
            node("Sub", &["x", "m"], "c"),
            node("Div", &["c", "d"], "s"),
            node("MatMul", &["s", "w"], "p"),
        ]
    };
    let biased = [scaled(), vec![node("Add", &["p", "b"], "y")]].concat();
    let all = [weights(), vec![weight("b", &[3])]].concat();
    assert_eq!(left(&[1, 4], biased, all, &["y"]).await.0, "MatMul Add");
    let chain = [scaled(), vec![node("MatMul", &["p", "v"], "y")]].concat();
    let all = [weights(), vec![weight("v", &[3, 2])]].concat();
    assert_eq!(left(&[1, 4], chain, all, &["y"]).await.0, "MatMul Add");
    // Through three numbers, eight become eight with fewer weights than directly.
    let narrow = vec![node("MatMul", &["x", "u"], "p"), node("MatMul", &["p", "v"], "y")];
    let all = vec![weight("u", &[8, 3]), weight("v", &[3, 8])];
    assert_eq!(left(&[1, 8], narrow, all, &["y"]).await.0, "MatMul MatMul");
    // Weights of a two-hundredth would lose their digits.
    let mut small = weights();
    small[1] = TensorProto::floats(&[1, 4], &[200.0; 4]).named("d");
    assert_eq!(left(&[1, 4], scaled(), small, &["p"]).await.0, "Sub Div MatMul");
}

#[tokio::test]
async fn sums_and_products_with_constants_become_one_of_each() {
    let all = || ["a", "b", "c", "d"].map(|name| weight(name, &[4])).to_vec();
    let nodes = vec![
        node("Add", &["x", "a"], "1"),
        node("Mul", &["1", "b"], "2"),
        node("Sub", &["c", "2"], "3"),
        node("Div", &["3", "d"], "y"),
    ];
    assert_eq!(left(&[1, 4], nodes, all(), &["y"]).await.0, "Add Mul");
    let twice =
        vec![node("Neg", &["x"], "1"), node("Neg", &["1"], "2"), node("Add", &["2", "a"], "y")];
    assert_eq!(left(&[1, 4], twice, all(), &["y"]).await.0, "Add");
    // Small factors keep their digits apart.
    let small = ["a", "b"].map(|name| TensorProto::floats(&[], &[0.01]).named(name)).to_vec();
    let twice = vec![node("Mul", &["x", "a"], "1"), node("Mul", &["1", "b"], "y")];
    assert_eq!(left(&[1, 4], twice, small, &["y"]).await.0, "Mul Mul");
    // What would make the value larger stays where it is.
    let wider = vec![node("Add", &["x", "a"], "1"), node("Add", &["1", "w"], "y")];
    let weights = vec![weight("a", &[4]), weight("w", &[3, 4])];
    assert_eq!(left(&[1, 4], wider, weights, &["y"]).await.0, "Add Add");
}

#[tokio::test]
async fn a_class_alone_needs_no_shares() {
    let with_axis = |operator: &str, value: &str, output: &str, axis: i64| {
        let mut node = node(operator, &[value], output);
        node.set(AttributeProto::int("axis", axis));
        node
    };
    let classes = |axis| {
        vec![
            node("Exp", &["x"], "e"),
            with_axis("Softmax", "e", "s", axis),
            with_axis("ArgMax", "s", "y", 1),
        ]
    };
    let (operators, changes) = left(&[2, 4], classes(1), vec![], &["y"]).await;
    assert_eq!(operators, "ArgMax");
    assert_eq!(changes, ["Exp … Softmax before ArgMax: only the class is kept"]);
    // Shares along another axis have an order of their own; of so few, those far below are cut off.
    let cut = "Exp ReduceMax Sub Add Relu Add Softmax ArgMax";
    assert_eq!(left(&[2, 4], classes(0), vec![], &["y"]).await.0, cut);
    // The shares are shown.
    assert_eq!(left(&[2, 4], classes(1), vec![], &["s", "y"]).await.0, cut);
    let above = vec![node("Sigmoid", &["x"], "s"), node("Greater", &["s", "h"], "y")];
    let half = TensorProto::floats(&[], &[0.25]).named("h");
    assert_eq!(left(&[2, 4], above, vec![half], &["y"]).await.0, "Greater");
}

#[tokio::test]
async fn what_changes_nothing_is_gone() {
    let list = |name: &str, list: &[i64]| TensorProto::integers(&[list.len()], list).named(name);
    let mut turned = node("Transpose", &["2"], "3");
    turned.set(AttributeProto::ints("perm", [1, 0, 2]));
    let nodes = vec![
        node("Reshape", &["x", "flat"], "1"),
        node("Reshape", &["1", "cube"], "2"),
        turned,
        node("Relu", &["3"], "y"),
    ];
    let lists = vec![list("flat", &[12]), list("cube", &[1, 3, 4])];
    let (operators, changes) = left(&[3, 4], nodes, lists, &["y"]).await;
    // An axis of one place moves as a shape does.
    assert_eq!(operators, "Reshape Relu");
    assert_eq!(changes, ["Transpose became Reshape"]);
}
