//! Each operator in a small model. [`prepare`] itself compares with ONNX Runtime over random inputs, so that a model
//! which comes through says the same as before.

use super::DOMAIN;
use crate::{
    onnx::{
        proto::{
            AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
            ValueInfoProto,
        },
        tensor::element,
        testing::{ints, word},
    },
    prepare::{Error, Original, Prepared, prepare},
};
use proptest::prelude::*;
use prost::bytes::Bytes;

fn floats(name: &str, values: &[f32]) -> AttributeProto {
    AttributeProto { name: name.into(), floats: values.to_vec(), r#type: 6, ..<_>::default() }
}

fn strings(name: &str, values: &[&str]) -> AttributeProto {
    let strings = values.iter().map(|it| Bytes::copy_from_slice(it.as_bytes())).collect();
    AttributeProto { name: name.into(), strings, r#type: 8, ..<_>::default() }
}

fn tensor(name: &str, tensor: TensorProto) -> AttributeProto {
    AttributeProto { name: name.into(), t: Some(tensor), r#type: 4, ..<_>::default() }
}

/// An operator over `x`, with its outputs' types.
fn node(operator: &str, outputs: usize, attributes: Vec<AttributeProto>) -> NodeProto {
    let outputs = ["y", "z"][..outputs].to_vec();
    let mut node = NodeProto::new(operator, &["x"], &outputs, attributes);
    node.domain = DOMAIN.to_owned();
    node
}

/// A model of one operator over `x`, whose numbers are given row by row.
async fn prepared(
    node: NodeProto,
    kind: i32,
    types: &[i32],
    shape: &[usize],
    data: &[f64],
) -> Result<Prepared, Error> {
    let mut graph = GraphProto { name: "model".into(), ..<_>::default() };
    graph.input.push(ValueInfoProto::tensor("x", kind, shape));
    for (output, kind) in node.output.iter().zip(types) {
        let mut info = ValueInfoProto::tensor(output, *kind, &[]);
        if let Some(crate::onnx::proto::type_proto::Value::TensorType(tensor)) =
            info.r#type.as_mut().and_then(|kind| kind.value.as_mut())
        {
            tensor.shape = None;
        }
        graph.output.push(info);
    }
    let version = if node.op_type == "TreeEnsemble" { 5 } else { 3 };
    graph.node.push(node);
    let set = |domain: &str, version| OperatorSetIdProto { domain: domain.into(), version };
    let model = ModelProto {
        ir_version: 8,
        graph: Some(graph),
        opset_import: vec![set("", 17), set(DOMAIN, version)],
        ..<_>::default()
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, model.to_bytes()).expect("written");
    let original = Original::read(&path, &[]).expect("a model");
    prepare(&original, &[("x".to_owned(), shape.to_vec(), data.to_vec())]).await
}

/// The operators that are left, each as often as it is there.
fn operators(prepared: &Prepared) -> Vec<&str> {
    let nodes = prepared.model.graph.iter().flat_map(|graph| &graph.node);
    nodes.map(|node| node.op_type.as_str()).collect()
}

async fn comes_through(node: NodeProto, kind: i32, types: &[i32], shape: &[usize], data: &[f64]) {
    let told = format!("{node:?}");
    let prepared = prepared(node, kind, types, shape, data).await;
    let prepared = prepared.unwrap_or_else(|error| panic!("{error}: {told}"));
    let sets = prepared.model.opset_import.iter().map(|set| set.domain.as_str());
    assert_eq!(sets.collect::<Vec<_>>(), [""], "{told}");
}

async fn refusal(node: NodeProto, kind: i32, types: &[i32], data: &[f64]) -> String {
    let shape = [1, data.len()];
    prepared(node, kind, types, &shape, data).await.expect_err("refused").to_string()
}

const FLOAT: i32 = element::FLOAT;
const LABEL: i32 = element::INT64;
const FLOWER: [f64; 4] = [0.9, -0.3, 1.4, 0.2];

#[tokio::test]
async fn linear_models() {
    let weights = [0.5, -1.0, 0.25, 2.0, -0.75, 0.3, 1.5, -0.2, 0.1, 0.4, -0.6, 0.9];
    for post in ["NONE", "LOGISTIC", "SOFTMAX"] {
        for (labels, rows) in [(&[5, 7][..], 1), (&[5, 7], 2), (&[0, 1, 2], 3), (&[9, 4, 5], 3)] {
            let attributes = vec![
                floats("coefficients", &weights[..4 * rows]),
                floats("intercepts", &[0.1, -0.2, 0.3][..rows]),
                ints("classlabels_ints", labels),
                word("post_transform", post),
            ];
            let node = node("LinearClassifier", 2, attributes);
            comes_through(node, FLOAT, &[LABEL, FLOAT], &[2, 4], &[FLOWER, FLOWER].concat()).await;
        }
        // Two rows, one the other's negative.
        let weights = [0.5, -1.0, 0.25, 2.0, -0.5, 1.0, -0.25, -2.0];
        let attributes = vec![
            floats("coefficients", &weights),
            floats("intercepts", &[0.1, -0.1]),
            ints("classlabels_ints", &[3, 1]),
            word("post_transform", post),
        ];
        let mirrored = node("LinearClassifier", 2, attributes);
        comes_through(mirrored, FLOAT, &[LABEL, FLOAT], &[1, 4], &FLOWER).await;
        for targets in [1, 3] {
            let attributes = vec![
                floats("coefficients", &weights.repeat(2)[..4 * targets]),
                floats("intercepts", &[0.1, -0.2, 0.3][..targets]),
                AttributeProto::int("targets", targets as i64),
                word("post_transform", post),
            ];
            let node = node("LinearRegressor", 1, attributes);
            comes_through(node, FLOAT, &[FLOAT], &[1, 4], &FLOWER).await;
        }
    }
}

/// Vectors, coefficients and decisions of a machine between classes, two vectors each.
fn machine(classes: usize, kernel: &str) -> Vec<AttributeProto> {
    let numbers = |count: usize, seed: f32| -> Vec<f32> {
        (0..count).map(|place| ((place as f32 + seed) * 2.7).sin()).collect()
    };
    let vectors = 2 * classes;
    vec![
        floats("support_vectors", &numbers(2 * vectors, 0.5)),
        floats("coefficients", &numbers(vectors * (classes - 1), 3.1)),
        floats("rho", &numbers(classes * (classes - 1) / 2, 7.7)),
        floats("kernel_params", &[0.5, 0.3, 3.0]),
        word("kernel_type", kernel),
        ints("vectors_per_class", &vec![2; classes]),
        ints("classlabels_ints", &(0..classes as i64).collect::<Vec<_>>()),
    ]
}

#[tokio::test]
async fn support_vector_machines() {
    for kernel in ["LINEAR", "RBF", "POLY", "SIGMOID"] {
        for classes in [2, 3, 4] {
            for post in ["NONE", "LOGISTIC", "SOFTMAX"] {
                let mut attributes = machine(classes, kernel);
                attributes.push(word("post_transform", post));
                let node = node("SVMClassifier", 2, attributes);
                comes_through(node, FLOAT, &[LABEL, FLOAT], &[1, 2], &[0.4, -0.9]).await;
            }
        }
        for one_class in [0, 1] {
            let mut attributes = machine(2, kernel);
            attributes.retain(|it| !["vectors_per_class", "classlabels_ints"].contains(&&*it.name));
            attributes.extend([
                AttributeProto::int("n_supports", 4),
                AttributeProto::int("one_class", one_class),
            ]);
            let node = node("SVMRegressor", 1, attributes);
            comes_through(node, FLOAT, &[FLOAT], &[1, 2], &[0.4, -0.9]).await;
        }
    }
    for classes in [2, 3] {
        let mut likely = machine(classes, "RBF");
        likely.extend([floats("prob_a", &[-0.9; 3][..2 * classes - 3])]);
        likely.extend([floats("prob_b", &[0.2; 3][..2 * classes - 3])]);
        let mut likely = node("SVMClassifier", 2, likely);
        let told = refusal(likely.clone(), FLOAT, &[LABEL, FLOAT], &[0.4, -0.9]).await;
        assert!(told.contains("probability=False"), "{told}");
        // The label alone needs none.
        likely.output[1] = "unread".to_owned();
        comes_through(likely, FLOAT, &[LABEL], &[1, 2], &[0.4, -0.9]).await;
    }
}

#[tokio::test]
async fn features() {
    let scale =
        vec![floats("offset", &[0.5, 0.0, 1.0, -1.0]), floats("scale", &[2.0, 1.0, 0.5, -3.0])];
    let binary = vec![AttributeProto::float("threshold", 0.25)];
    let filled = vec![
        floats("imputed_value_floats", &[7.0, 8.0, 9.0, 10.0]),
        AttributeProto::float("replaced_value_float", 0.2f32),
    ];
    let absent = vec![floats("imputed_value_floats", &[7.0])];
    for (operator, attributes) in [
        ("Scaler", scale),
        ("Binarizer", binary),
        ("Imputer", filled),
        ("Imputer", absent),
        ("Normalizer", vec![word("norm", "MAX")]),
        ("Normalizer", vec![word("norm", "L1")]),
        ("Normalizer", vec![word("norm", "L2")]),
        ("FeatureVectorizer", vec![ints("inputdimensions", &[4])]),
    ] {
        let node = node(operator, 1, attributes);
        comes_through(node, FLOAT, &[FLOAT], &[2, 4], &[FLOWER, FLOWER].concat()).await;
    }
}

#[tokio::test]
async fn tables_between_numbers() {
    let data = [3.0, 8.0, 5.0];
    let whole = vec![
        ints("keys_int64s", &[3, 5, 7]),
        ints("values_int64s", &[30, -50, 70]),
        AttributeProto::int("default_int64", 4),
    ];
    comes_through(node("LabelEncoder", 1, whole), LABEL, &[LABEL], &[1, 3], &data).await;
    let mixed = vec![
        ints("keys_int64s", &[3, 5, 7]),
        floats("values_floats", &[0.5, -1.5, 2.0]),
        AttributeProto::float("default_float", 0.25),
    ];
    comes_through(node("LabelEncoder", 1, mixed), LABEL, &[FLOAT], &[1, 3], &data).await;
    let one_hot = vec![ints("cats_int64s", &[3, 5, 8, 9]), AttributeProto::int("zeros", 1)];
    comes_through(node("OneHotEncoder", 1, one_hot), LABEL, &[FLOAT], &[1, 3], &data).await;
    let names = vec![strings("cats_strings", &["a", "b"])];
    let told = refusal(node("OneHotEncoder", 1, names), LABEL, &[FLOAT], &data).await;
    assert!(told.contains("text"), "{told}");
}

/// A tree in lists as the older operators have it: the last node of each is a leaf.
#[derive(Clone, Debug)]
enum Part {
    Leaf(Vec<i8>),
    Branch { mode: usize, feature: usize, threshold: i8, yes: Box<Part>, no: Box<Part> },
}

const MODES: [&str; 6] =
    ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"];

#[derive(Default)]
struct Lists {
    trees: Vec<i64>,
    ids: Vec<i64>,
    features: Vec<i64>,
    modes: Vec<&'static str>,
    values: Vec<f32>,
    yes: Vec<i64>,
    no: Vec<i64>,
    leaf: (Vec<i64>, Vec<i64>, Vec<i64>, Vec<f32>),
}

impl Lists {
    fn of(trees: &[Part]) -> Self {
        let mut lists = Self::default();
        for (number, tree) in trees.iter().enumerate() {
            lists.add(number as i64, 0, tree);
        }
        lists
    }

    /// Adds a node; returns the next free number.
    fn add(&mut self, tree: i64, id: i64, part: &Part) -> i64 {
        let at = self.ids.len();
        self.trees.push(tree);
        self.ids.push(id);
        self.yes.push(0);
        self.no.push(0);
        match part {
            Part::Leaf(weights) => {
                self.features.push(0);
                self.modes.push("LEAF");
                self.values.push(0.0);
                for (target, weight) in weights.iter().enumerate() {
                    self.leaf.0.push(tree);
                    self.leaf.1.push(id);
                    self.leaf.2.push(target as i64);
                    self.leaf.3.push(f32::from(*weight) / 8.0);
                }
                id + 1
            }
            Part::Branch { mode, feature, threshold, yes, no } => {
                self.features.push(*feature as i64);
                self.modes.push(MODES[*mode]);
                self.values.push(f32::from(*threshold) / 4.0);
                self.yes[at] = id + 1;
                self.no[at] = self.add(tree, id + 1, yes);
                self.add(tree, self.no[at], no)
            }
        }
    }

    fn attributes(&self, what: &str) -> Vec<AttributeProto> {
        vec![
            ints("nodes_treeids", &self.trees),
            ints("nodes_nodeids", &self.ids),
            ints("nodes_featureids", &self.features),
            strings("nodes_modes", &self.modes),
            floats("nodes_values", &self.values),
            ints("nodes_truenodeids", &self.yes),
            ints("nodes_falsenodeids", &self.no),
            ints(&format!("{what}_treeids"), &self.leaf.0),
            ints(&format!("{what}_nodeids"), &self.leaf.1),
            ints(&format!("{what}_ids"), &self.leaf.2),
            floats(&format!("{what}_weights"), &self.leaf.3),
        ]
    }
}

fn regressor(trees: &[Part], targets: usize, aggregate: &str) -> NodeProto {
    let mut attributes = Lists::of(trees).attributes("target");
    attributes.push(AttributeProto::int("n_targets", targets as i64));
    attributes.push(word("aggregate_function", aggregate));
    node("TreeEnsembleRegressor", 1, attributes)
}

fn classifier(trees: &[Part], classes: usize, post: &str, base: &[f32]) -> NodeProto {
    let mut attributes = Lists::of(trees).attributes("class");
    let labels: Vec<i64> = (0..classes as i64).map(|class| 3 * class + 2).collect();
    attributes.push(ints("classlabels_int64s", &labels));
    attributes.push(word("post_transform", post));
    if !base.is_empty() {
        attributes.push(floats("base_values", base));
    }
    node("TreeEnsembleClassifier", 2, attributes)
}

/// A full tree, each branch with a threshold of its own where `step` is not 0.
fn full(depth: usize, next: &mut i8, step: i8, weights: usize) -> Part {
    if depth == 0 {
        *next = next.wrapping_add(step.max(1));
        let weight = |place: usize| next.wrapping_mul(7).wrapping_add(place as i8 * 5) / 2;
        return Part::Leaf((0..weights).map(weight).collect());
    }
    *next = next.wrapping_add(step);
    let threshold = if step == 0 { 1 } else { *next % 8 };
    let yes = Box::new(full(depth - 1, next, step, weights));
    let no = Box::new(full(depth - 1, next, step, weights));
    Part::Branch { mode: 0, feature: depth % 4, threshold, yes, no }
}

#[tokio::test]
async fn a_level_is_compared_once() {
    let tree = full(4, &mut 1, 3, 1);
    let made = prepared(regressor(&[tree], 1, "SUM"), FLOAT, &[FLOAT], &[1, 4], &FLOWER).await;
    let made = made.expect("prepared");
    let found = operators(&made);
    // One for the first level, and one for each of the three others, though there are fifteen branches.
    assert_eq!(found.iter().filter(|it| ["Greater", "Less"].contains(it)).count(), 4, "{found:?}");
    assert_eq!(compared(&made), 4, "{found:?}");
}

#[tokio::test]
async fn what_all_trees_ask_is_compared_once() {
    let trees = vec![full(2, &mut 1, 0, 1); 6];
    let made = prepared(regressor(&trees, 1, "SUM"), FLOAT, &[FLOAT], &[1, 4], &FLOWER).await;
    let made = made.expect("prepared");
    // Two features with one threshold.
    assert_eq!(compared(&made), 2, "{:?}", operators(&made));
}

/// How many numbers are compared: the widths of the comparisons' right sides.
fn compared(prepared: &Prepared) -> usize {
    let graph = prepared.model.graph.as_ref().expect("a graph");
    let nodes = graph.node.iter().filter(|it| ["Greater", "Less"].contains(&&*it.op_type));
    let width = |node: &NodeProto| {
        let right = graph.initializer.iter().find(|it| it.name == node.input[1]);
        right.expect("a weight").elements()
    };
    nodes.map(width).sum()
}

#[tokio::test]
async fn equal_leaves_are_one() {
    let leaf = || Box::new(Part::Leaf(vec![3]));
    let same = Part::Branch { mode: 0, feature: 0, threshold: 1, yes: leaf(), no: leaf() };
    let made = prepared(regressor(&[same], 1, "SUM"), FLOAT, &[FLOAT], &[1, 4], &FLOWER).await;
    assert_eq!(compared(&made.expect("prepared")), 0);
}

#[tokio::test]
async fn the_next_float_to_a_round_threshold_asks_for_the_round_one() {
    let leaf = |weight| Box::new(Part::Leaf(vec![weight]));
    let tree = Part::Branch { mode: 0, feature: 0, threshold: 0, yes: leaf(1), no: leaf(2) };
    let mut node = regressor(&[tree], 1, "SUM");
    node.set(floats("nodes_values", &[0.5f32.next_down(), 0.0, 0.0]));
    let made = prepared(node, FLOAT, &[FLOAT], &[1, 1], &[0.5]).await.expect("prepared");
    assert!(operators(&made).contains(&"Less"), "{:?}", operators(&made));
    let graph = made.model.graph.as_ref().expect("a graph");
    let halves = graph.initializer.iter().filter(|it| it.numbers() == Some(vec![0.5]));
    assert_eq!(halves.count(), 1);
}

#[tokio::test]
async fn classifiers_of_trees() {
    for post in ["NONE", "LOGISTIC", "SOFTMAX"] {
        for (classes, base) in
            [(2, &[][..]), (2, &[0.1]), (2, &[0.1, 0.15]), (3, &[]), (3, &[0.5, -0.25, 0.1])]
        {
            let trees = [full(2, &mut 1, 3, classes), full(3, &mut 5, 5, classes)];
            let node = classifier(&trees, classes, post, base);
            comes_through(node, FLOAT, &[LABEL, FLOAT], &[1, 4], &FLOWER).await;
        }
        // Weights of one of two classes, all positive or not.
        for (leaves, base) in
            [([1, 3], &[][..]), ([5, 2], &[0.1]), ([-3, 4], &[]), ([-4, 2], &[0.1])]
        {
            for class in [0, 1] {
                let [yes, no] = leaves.map(|weight| Box::new(Part::Leaf(vec![weight])));
                let tree = Part::Branch { mode: 1, feature: 2, threshold: 3, yes, no };
                let mut node = classifier(&[tree], 2, post, base);
                node.set(ints("class_ids", &[class, class]));
                comes_through(node, FLOAT, &[LABEL, FLOAT], &[1, 4], &FLOWER).await;
            }
        }
    }
    let trees = [full(2, &mut 1, 3, 2)];
    let told = refusal(classifier(&trees, 2, "PROBIT", &[]), FLOAT, &[LABEL, FLOAT], &FLOWER).await;
    assert!(told.contains("PROBIT"), "{told}");
}

#[tokio::test]
async fn the_newest_form_of_trees() {
    // x[0] <= 0.5 leads to x[1] among 1, 2 and to x[2] equal to 1.
    for (aggregate, post) in [(0, 0), (1, 1), (2, 2), (3, 0)] {
        let numbers = |values: &[f32]| TensorProto::floats(&[values.len()], values);
        let modes = TensorProto::raw(element::UINT8, &[3], vec![0, 6, 4]);
        let members = numbers(&[1.0, 2.0, f32::NAN]);
        let attributes = vec![
            AttributeProto::int("n_targets", 1),
            AttributeProto::int("aggregate_function", aggregate),
            AttributeProto::int("post_transform", post),
            ints("tree_roots", &[0, 0]),
            ints("nodes_featureids", &[0, 1, 2]),
            tensor("nodes_splits", numbers(&[0.5, 0.0, 1.0])),
            tensor("nodes_modes", modes),
            tensor("membership_values", members),
            ints("nodes_truenodeids", &[1, 0, 2]),
            ints("nodes_trueleafs", &[0, 1, 1]),
            ints("nodes_falsenodeids", &[2, 1, 3]),
            ints("nodes_falseleafs", &[0, 1, 1]),
            ints("leaf_targetids", &[0, 0, 0, 0]),
            tensor("leaf_weights", numbers(&[0.5, -1.0, 2.0, 0.25])),
        ];
        let data = [1.0, 2.0, 1.0, 0.0, 0.0, 1.0];
        let node = node("TreeEnsemble", 1, attributes);
        comes_through(node, FLOAT, &[FLOAT], &[2, 3], &data).await;
    }
}

fn part(targets: usize) -> impl Strategy<Value = Part> {
    let leaf = proptest::collection::vec(any::<i8>(), targets).prop_map(Part::Leaf);
    leaf.prop_recursive(4, 24, 2, move |inner| {
        (0..MODES.len(), 0..3usize, -6..7i8, inner.clone(), inner).prop_map(
            |(mode, feature, threshold, yes, no)| Part::Branch {
                mode,
                feature,
                threshold,
                yes: Box::new(yes),
                no: Box::new(no),
            },
        )
    })
}

fn forest() -> impl Strategy<Value = (usize, Vec<Part>)> {
    (1..4usize)
        .prop_flat_map(|targets| (Just(targets), proptest::collection::vec(part(targets), 1..5)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_trees_answer_as_they_did(
        (targets, trees) in forest(), aggregate in 0..4usize,
        // Quarters, as the thresholds are, so that ties are met.
        data in proptest::collection::vec((-8..9i8).prop_map(|it| f64::from(it) / 4.0), 6)
    ) {
        let aggregate = ["SUM", "AVERAGE", "MIN", "MAX"][aggregate];
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let node = regressor(&trees, targets, aggregate);
        let made = runtime.block_on(prepared(node, FLOAT, &[FLOAT], &[2, 3], &data));
        let made = made.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!(!operators(&made).contains(&"TreeEnsembleRegressor"));
    }
}
