//! Nodes with a body.

use super::*;

fn graph(input: Vec<ValueInfoProto>, nodes: Vec<NodeProto>, outputs: &[&str]) -> GraphProto {
    let info = |name: &&str| ValueInfoProto { name: (*name).to_owned(), r#type: None };
    let output = outputs.iter().map(info).collect();
    GraphProto { name: "body".to_owned(), node: nodes, input, output, ..GraphProto::default() }
}

fn body(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: 5, g: Some(graph), ..AttributeProto::default() }
}

fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto::new(operator, inputs, &[output], [])
}

/// Each round adds `x0`, which lies outside of the body, to what is carried, and shows its double.
fn rounds(count: i64) -> Case {
    let nodes = vec![
        node("Identity", &["on"], "goes_on"),
        node("Add", &["carried", "x0"], "next"),
        node("Add", &["next", "next"], "shown"),
    ];
    let inputs = vec![
        ValueInfoProto::tensor("round", element::INT64, &[]),
        ValueInfoProto::tensor("on", element::BOOL, &[]),
        ValueInfoProto::tensor("carried", element::FLOAT, &[2]),
    ];
    let body = body("body", graph(inputs, nodes, &["goes_on", "next", "shown"]));
    let mut case = Case::new("Loop", vec![floats(&[2])], "Add Concat Unsqueeze")
        .outputs(2)
        .with(body)
        .scalar(count)
        .none()
        .weight(TensorProto::floats(&[2], &[0.5, -0.5]));
    case.bare = true;
    case
}

#[tokio::test]
async fn loops_and_branches_are_written_out() {
    let branches = |taken: bool| {
        let mut case = Case::new("If", vec![floats(&[3])], if taken { "Neg" } else { "Exp" })
            .weight(TensorProto::booleans(&[], &[taken]))
            .with(body("then_branch", graph(vec![], vec![node("Neg", &["x0"], "a")], &["a"])))
            .with(body("else_branch", graph(vec![], vec![node("Exp", &["x0"], "a")], &["a"])));
        case.bare = true;
        case
    };
    // Names of nodes, which each round would repeat.
    let named = |node: NodeProto| NodeProto { name: format!("the {}", node.op_type), ..node };
    let sums = graph(
        vec![
            ValueInfoProto::tensor("sum", element::FLOAT, &[2]),
            ValueInfoProto::tensor("next", element::FLOAT, &[2]),
        ],
        vec![named(node("Add", &["sum", "next"], "more")), named(node("Neg", &["more"], "shown"))],
        &["more", "shown"],
    );
    all(vec![
        rounds(3),
        branches(true),
        branches(false),
        Case::new("Scan", vec![floats(&[2]), floats(&[3, 2])], "Add Concat Gather Neg Unsqueeze")
            .outputs(2)
            .with(AttributeProto::int("num_scan_inputs", 1))
            .with(AttributeProto::ints("scan_input_directions", [1]))
            .with(AttributeProto::ints("scan_output_directions", [1]))
            .with(body("body", sums)),
    ])
    .await;
}

#[tokio::test]
async fn a_body_that_an_input_steers_is_refused() {
    let branch = |operator| graph(vec![], vec![node(operator, &["x1"], "a")], &["a"]);
    let choice = Case::new("If", vec![integers(element::BOOL, &[], &[1]), floats(&[3])], "")
        .with(body("then_branch", branch("Neg")))
        .with(body("else_branch", branch("Exp")));
    let mut choice = choice;
    choice.node.input = vec!["x0".to_owned()];
    choice.bare = true;
    let error = choice.prepared().await.expect_err("refused").to_string();
    assert!(error.contains("operator If") && error.contains("choose by Where"), "{error}");
}
