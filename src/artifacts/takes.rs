//! Which numbers an input takes, by what the model does with it first.

use super::slot::{Table, Takes};
use crate::onnx::{
    proto::{GraphProto, NodeProto, ValueInfoProto, tensor_shape_proto::dimension},
    tensor::element,
};
use std::collections::HashMap;

const ML: &str = "ai.onnx.ml";
/// So many nodes are looked through on the way to what uses an input.
const MOST_STEPS: usize = 16;

/// A column of some operator's input that is one of the model's own.
struct Use<'a> {
    node: &'a NodeProto,
    /// Which of the node's inputs.
    place: usize,
    /// The column at which the model's input begins.
    first: usize,
}

/// The graph by what reads each value.
pub(super) struct Uses<'a> {
    graph: &'a GraphProto,
    readers: HashMap<&'a str, Vec<(&'a NodeProto, usize)>>,
    widths: HashMap<&'a str, usize>,
}

impl<'a> Uses<'a> {
    pub(super) fn of(graph: &'a GraphProto) -> Self {
        let mut readers: HashMap<&str, Vec<_>> = HashMap::new();
        for node in &graph.node {
            for (place, name) in node.input.iter().enumerate() {
                readers.entry(name).or_default().push((node, place));
            }
        }
        let width = |info: &'a ValueInfoProto| Some((info.name.as_str(), last_length(info)?));
        Self { graph, readers, widths: graph.input.iter().filter_map(width).collect() }
    }

    /// What an input takes.
    pub(super) fn takes(&self, input: &ValueInfoProto) -> Takes {
        let kind = input.elem_type().unwrap_or_default();
        let mut uses = Vec::new();
        let whole = self.follow(&input.name, 0, 0, &mut uses);
        let table = uses.iter().filter_map(|it| self.table(it)).min_by_key(|table| table.rows);
        let missing = match (element::is_float(kind), last_length(input)) {
            (true, Some(width)) if whole => missing(&uses, width),
            _ => Vec::new(),
        };
        Takes { element: kind, table, missing, fixed: None }
    }

    /// Collects what uses a value, through what only passes it on. Returns whether that is all there is.
    fn follow(&self, name: &str, first: usize, steps: usize, uses: &mut Vec<Use<'a>>) -> bool {
        let shown = self.graph.output.iter().any(|output| output.name == name);
        let mut whole = !shown && steps < MOST_STEPS;
        for (node, place) in
            self.readers.get(name).into_iter().flatten().filter(|_| steps < MOST_STEPS)
        {
            let passes = match node.operator() {
                ("", "Cast") => node.int("to").is_some_and(|to| to != i64::from(element::BOOL)),
                ("", "Identity") => true,
                _ => false,
            };
            let offset = match node.operator() {
                _ if passes => Some(0),
                ("", "Concat") if matches!(node.int("axis"), Some(1 | -1)) => {
                    node.input[..*place].iter().map(|before| self.widths.get(before.as_str())).sum()
                }
                _ => None,
            };
            match (offset, node.output_name(0)) {
                (Some(offset), Some(output)) => {
                    whole &= self.follow(output, first + offset, steps + 1, uses);
                }
                _ => uses.push(Use { node, place: *place, first }),
            }
        }
        whole
    }

    fn table(&self, it: &Use<'_>) -> Option<Table> {
        if it.node.operator() != ("", "Gather") || it.place != 1 {
            return None;
        }
        let name = it.node.input_name(0)?;
        let weights = self.graph.initializer.iter().find(|tensor| tensor.name == name)?;
        let axis = it.node.int("axis").unwrap_or(0);
        let shape = weights.shape();
        let axis = if axis < 0 { axis + shape.len() as i64 } else { axis };
        let rows = *shape.get(usize::try_from(axis).ok()?)?;
        Some(Table { name: name.to_owned(), rows })
    }
}

/// The length of an input's last axis; 1 where it is the batch alone.
fn last_length(input: &ValueInfoProto) -> Option<usize> {
    let dims = input.dims()?;
    match &dims.last()?.value {
        _ if dims.len() < 2 => Some(1),
        Some(dimension::Value::DimValue(length @ 1..)) => usize::try_from(*length).ok(),
        _ => None,
    }
}

/// For each column what stands for a missing value, where each use of it takes one.
fn missing(uses: &[Use<'_>], width: usize) -> Vec<Option<f64>> {
    let takes = |it: &Use<'_>| match it.node.operator() {
        (ML, "Imputer") => it.node.float("replaced_value_float").is_none_or(f32::is_nan),
        (ML, operator) => operator.starts_with("TreeEnsemble"),
        _ => false,
    };
    if uses.is_empty() || !uses.iter().all(takes) {
        return Vec::new();
    }
    let columns = (0..width).map(|column| match uses {
        [it] if it.node.op_type == "Imputer" => imputed(it.node, it.first + column),
        uses if uses.iter().all(|it| it.node.op_type != "Imputer") => {
            let branches = uses.iter().map(|it| branches(it.node, it.first + column));
            goes_as_missing(branches.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
        }
        _ => None,
    });
    let columns: Vec<_> = columns.collect();
    if columns.iter().all(Option::is_none) { Vec::new() } else { columns }
}

fn imputed(node: &NodeProto, column: usize) -> Option<f64> {
    let values = node.floats("imputed_value_floats");
    let value = if values.len() == 1 { values.first() } else { values.get(column) };
    value.copied().map(f64::from)
}

/// A comparison with a threshold, and which way a missing value goes.
struct Branch {
    mode: Mode,
    threshold: f64,
    missing: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Leq,
    Lt,
    Geq,
    Gt,
    Eq,
    Neq,
}

impl Branch {
    fn is_true_of(&self, number: f64) -> bool {
        match self.mode {
            Mode::Leq => number <= self.threshold,
            Mode::Lt => number < self.threshold,
            Mode::Geq => number >= self.threshold,
            Mode::Gt => number > self.threshold,
            Mode::Eq => number == self.threshold,
            Mode::Neq => number != self.threshold,
        }
    }
}

/// The branches that ask for a column; `None` where one of them is no comparison.
fn branches(node: &NodeProto, column: usize) -> Option<Vec<Branch>> {
    let named = node.strings("nodes_modes");
    let features = node.ints("nodes_featureids");
    let numbers = number_list(node, "nodes_values");
    let numbers = if numbers.is_empty() { number_list(node, "nodes_splits") } else { numbers };
    let tracks = node.ints("nodes_missing_value_tracks_true");
    let modes: Vec<Option<Mode>> = match named.is_empty() {
        true => bytes(node, "nodes_modes")
            .iter()
            .map(|mode| MODES.get(usize::from(*mode)).copied())
            .collect(),
        false => named.iter().map(|name| mode_of(name)).collect(),
    };
    let mut all = Vec::new();
    for (place, feature) in features.iter().enumerate() {
        if usize::try_from(*feature) != Ok(column) || named.get(place) == Some(&"LEAF") {
            continue;
        }
        let (mode, threshold) = ((*modes.get(place)?)?, *numbers.get(place)?);
        // What is no number is unlike every other.
        let missing = tracks.get(place) == Some(&1) || mode == Mode::Neq;
        all.push(Branch { mode, threshold, missing });
    }
    Some(all)
}

/// As the newest form of trees numbers them.
const MODES: [Mode; 6] = [Mode::Leq, Mode::Lt, Mode::Geq, Mode::Gt, Mode::Eq, Mode::Neq];

fn mode_of(name: &str) -> Option<Mode> {
    Some(match name {
        "BRANCH_LEQ" => Mode::Leq,
        "BRANCH_LT" => Mode::Lt,
        "BRANCH_GTE" => Mode::Geq,
        "BRANCH_GT" => Mode::Gt,
        "BRANCH_EQ" => Mode::Eq,
        "BRANCH_NEQ" => Mode::Neq,
        _ => return None,
    })
}

/// A list of floats, or a tensor.
fn number_list(node: &NodeProto, name: &str) -> Vec<f64> {
    let tensor = || node.attribute(name).and_then(|it| it.t.as_ref()).and_then(|it| it.numbers());
    match node.floats(name) {
        [] => tensor().unwrap_or_default(),
        floats => floats.iter().map(|it| f64::from(*it)).collect(),
    }
}

fn bytes(node: &NodeProto, name: &str) -> Vec<u8> {
    let tensor = node.attribute(name).and_then(|it| it.t.as_ref()).and_then(|it| it.numbers());
    tensor.unwrap_or_default().iter().map(|it| *it as u8).collect()
}

/// A number that goes the way of a missing one at each branch.
fn goes_as_missing(branches: Vec<Branch>) -> Option<f64> {
    let mut thresholds: Vec<f64> = branches.iter().map(|branch| branch.threshold).collect();
    thresholds.sort_by(f64::total_cmp);
    thresholds.dedup();
    let (Some(least), Some(most)) = (thresholds.first(), thresholds.last()) else {
        // Nobody asks.
        return Some(0.0);
    };
    // Far enough from the thresholds to be told apart in fixed point, near enough to need no wider numbers.
    let beyond = ((most - least) / 4.0).max(1.0);
    let between = thresholds.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0);
    let candidates = [least - beyond, most + beyond].into_iter().chain(between);
    let same = |number: &f64| branches.iter().all(|it| it.is_true_of(*number) == it.missing);
    candidates.map(|number| f64::from(number as f32)).find(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(threshold: f64, missing: bool) -> Branch {
        Branch { mode: Mode::Leq, threshold, missing }
    }

    #[test]
    fn a_missing_value_has_a_number_that_goes_its_way() {
        let found = |branches: Vec<Branch>| goes_as_missing(branches);
        assert!(found(vec![branch(1.0, true), branch(5.0, true)]).is_some_and(|it| it < 1.0));
        assert!(found(vec![branch(1.0, false), branch(5.0, false)]).is_some_and(|it| it > 5.0));
        assert_eq!(found(vec![branch(1.0, false), branch(5.0, true)]), Some(3.0));
        assert_eq!(found(vec![branch(1.0, true), branch(5.0, false)]), None);
        assert_eq!(found(Vec::new()), Some(0.0));
    }

    fn graph(nodes: Vec<NodeProto>, widths: &[i64]) -> GraphProto {
        let input = |(number, width): (usize, &i64)| {
            ValueInfoProto::tensor(&format!("x{number}"), element::FLOAT, &[1, *width as usize])
        };
        GraphProto {
            node: nodes,
            input: widths.iter().enumerate().map(input).collect(),
            ..GraphProto::default()
        }
    }

    fn imputer(input: &str, values: &[f32]) -> NodeProto {
        let mut node = NodeProto::new("Imputer", &[input], &["y"], []);
        node.domain = ML.to_owned();
        let floats = values.to_vec();
        let name = "imputed_value_floats".to_owned();
        node.set(crate::onnx::proto::AttributeProto { name, floats, ..Default::default() });
        node
    }

    #[test]
    fn columns_that_are_put_together_keep_what_stands_for_them() {
        let mut joined = NodeProto::new("Concat", &["x0", "x1"], &["all"], []);
        joined.set(crate::onnx::proto::AttributeProto::int("axis", 1));
        let graph = graph(vec![joined, imputer("all", &[1.0, 2.0, 3.0])], &[1, 2]);
        let uses = Uses::of(&graph);
        assert_eq!(uses.takes(&graph.input[0]).missing, [Some(1.0)]);
        assert_eq!(uses.takes(&graph.input[1]).missing, [Some(2.0), Some(3.0)]);
    }

    #[test]
    fn what_something_else_reads_takes_no_missing_value() {
        let other = NodeProto::new("Neg", &["x0"], &["z"], []);
        let graph = graph(vec![imputer("x0", &[1.0]), other], &[1]);
        assert!(Uses::of(&graph).takes(&graph.input[0]).missing.is_empty());
    }

    #[test]
    fn a_table_is_found_through_what_passes_places_on() {
        let mut graph = graph(
            vec![
                NodeProto::new("Identity", &["x0"], &["places"], []),
                NodeProto::new("Gather", &["words", "places"], &["y"], []),
            ],
            &[3],
        );
        let words = crate::onnx::proto::TensorProto::floats(&[4, 2], &[0.0; 8]);
        graph.initializer.push(words.named("words"));
        let table = Uses::of(&graph).takes(&graph.input[0]).table;
        assert_eq!(table, Some(Table { name: "words".to_owned(), rows: 4 }));
    }
}
