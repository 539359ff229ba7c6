//! What no circuit has is refused by name, with what to do, and docs/refusals.md has each reason.

use super::*;
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../../docs/refusals.md");

/// The reasons that a section of the page lists.
fn reasons(section: &str) -> BTreeSet<&'static str> {
    let rows = PAGE.split("\n## ").find_map(|part| part.strip_prefix(section)).expect("a section");
    let rows = rows.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.map(|(reason, _)| reason).collect()
}

fn steered(operator: &str, inputs: Vec<Input>, bodies: &[&str]) -> Case {
    let output = |name: &str| ValueInfoProto { name: name.to_owned(), r#type: None };
    let body = |name: &&str| {
        let node = NodeProto::new("Neg", &["x1"], &["a"], []);
        let graph = GraphProto {
            name: "body".to_owned(),
            node: vec![node],
            output: vec![output("a")],
            ..GraphProto::default()
        };
        let name = (*name).to_owned();
        AttributeProto { name, r#type: 5, g: Some(graph), ..AttributeProto::default() }
    };
    let mut case = Case::new(operator, inputs, "");
    case.node.attribute = bodies.iter().map(body).collect();
    case.node.input = vec!["x0".to_owned()];
    case.bare = true;
    case
}

/// Ends when a condition that an input gives does.
fn open_loop() -> Case {
    let output = |name: &str| ValueInfoProto { name: name.to_owned(), r#type: None };
    let graph = GraphProto {
        name: "body".to_owned(),
        node: vec![
            NodeProto::new("Identity", &["on"], &["goes_on"], []),
            NodeProto::new("Neg", &["carried"], &["next"], []),
        ],
        input: vec![
            ValueInfoProto::tensor("round", element::INT64, &[]),
            ValueInfoProto::tensor("on", element::BOOL, &[]),
            ValueInfoProto::tensor("carried", element::FLOAT, &[3]),
        ],
        output: vec![output("goes_on"), output("next")],
        ..GraphProto::default()
    };
    let body = AttributeProto {
        name: "body".to_owned(),
        r#type: 5,
        g: Some(graph),
        ..AttributeProto::default()
    };
    let inputs = vec![integers(element::INT64, &[], &[2]), floats(&[3])];
    let mut case = Case::new("Loop", inputs, "").with(body);
    case.node.input = vec!["x0".to_owned(), String::new(), "x1".to_owned()];
    case.bare = true;
    case
}

#[tokio::test]
async fn what_no_circuit_has_is_named_with_what_to_do() {
    let whole = |data: &[i64]| integers(element::INT64, &[data.len()], data);
    let narrow = |data: &[i64]| integers(12, &[data.len()], data);
    let norm = |value: f32| TensorProto::floats(&[2], &[value, value]);
    let cases = [
        (
            Case::new("Reshape", vec![floats(&[2, 3]), whole(&[3, 2])], ""),
            "decides a shape or an order, which a circuit has fixed",
            "give `x1` the value of the data for good: init with --fix x1",
        ),
        (
            Case::new("NonZero", vec![floats(&[2, 3])], ""),
            "how much it returns depends on the numbers",
            "leave it",
        ),
        (
            steered(
                "If",
                vec![integers(element::BOOL, &[], &[1]), floats(&[3])],
                &["then_branch", "else_branch"],
            ),
            "which of its branches is taken depends on an input",
            "choose by Where",
        ),
        (open_loop(), "how often it runs depends on an input", "a fixed number of rounds"),
        (
            Case::new("MaxUnpool", vec![floats(&[1, 1, 1, 2]), unpooled()], "")
                .with(AttributeProto::ints("kernel_shape", [1, 2]))
                .with(AttributeProto::ints("strides", [1, 2])),
            "where it puts its numbers is data",
            "use ConvTranspose or Resize",
        ),
        (sequence(), "a circuit has tensors only", "without sequences"),
        (
            Case::new("RandomNormalLike", vec![floats(&[3])], ""),
            "a circuit has no random numbers",
            "for inference",
        ),
        (
            Case::new("BatchNormalization", vec![floats(&[2, 2])], "")
                .outputs(3)
                .with(AttributeProto::int("training_mode", 1))
                .weight(norm(1.0))
                .weight(norm(0.0))
                .weight(norm(0.5))
                .weight(norm(1.5)),
            "it is in training mode",
            "for inference",
        ),
        (
            Case::new("BitwiseAnd", vec![whole(&[1, 2]), whole(&[3, 4])], "").opset(18),
            "use a narrower type",
            "more than 16 bits",
        ),
        (
            Case::new("BitShift", vec![narrow(&[1 << 30, 1]), narrow(&[1, 31])], "")
                .with(AttributeProto::string("direction", "LEFT")),
            "shifts bits out of a number of 32 bits",
            "use a wider or a narrower type",
        ),
        (Case::new("Det", vec![floats(&[5, 5])], ""), "a determinant of more than 4 rows", ""),
    ];
    let mut listed = reasons("Models");
    for (case, reason, remedy) in cases {
        let error = case.prepared().await.expect_err(reason).to_string();
        assert!(error.contains(&case.node.op_type), "{error}");
        assert!(error.contains(reason) && error.contains(remedy), "{error}");
        assert!(listed.remove(reason), "docs/refusals.md has no line for: {reason}");
    }
    // Others are tried where they can be: a model with text can't be run on numbers, and not every runtime shifts
    // numbers with a sign.
    let elsewhere =
        ["shifts by a negative number of places", "takes text, and a circuit has numbers only"];
    assert_eq!(listed, elsewhere.into(), "lines of docs/refusals.md that no test tries");
}

fn unpooled() -> Input {
    integers(element::INT64, &[1, 1, 1, 2], &[0, 3])
}

/// A list that is put together again.
fn sequence() -> Case {
    let mut case = Case::new("SplitToSequence", vec![floats(&[2, 3])], "");
    case.node.set(AttributeProto::int("axis", 0));
    case
}

#[test]
fn an_input_of_text_is_refused_by_its_name() {
    let node = NodeProto::new("Identity", &["home"], &["y"], []);
    let graph = GraphProto {
        name: "graph".to_owned(),
        node: vec![node],
        input: vec![ValueInfoProto::tensor("home", element::STRING, &[1, 1])],
        output: vec![ValueInfoProto { name: "y".to_owned(), r#type: None }],
        ..GraphProto::default()
    };
    let model = ModelProto { ir_version: 10, graph: Some(graph), ..ModelProto::default() };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("network.onnx");
    std::fs::write(&path, model.to_bytes()).expect("written");
    let original = Original::read(&path, &[]).expect("a model");
    let error = original.slots(&[]).expect_err("text").to_string();
    assert!(error.contains("`home` takes text, and a circuit has numbers only"), "{error}");
}
