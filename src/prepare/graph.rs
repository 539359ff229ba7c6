//! Rewriting that changes no answer: what is known already, what nobody reads, what passes a value on.

use super::{facts::Facts, told::Told};
use crate::onnx::proto::{GraphProto, NodeProto};
use std::collections::{HashMap, HashSet};

/// Puts each value that no input decides among the weights, in place of the nodes that make it. Returns how many
/// nodes went.
pub(super) fn fold(graph: &mut GraphProto, facts: &Facts) -> usize {
    let before = graph.node.len();
    let shown: HashSet<_> = graph.output.iter().map(|output| output.name.clone()).collect();
    let mut weights = Vec::new();
    graph.node.retain(|node| {
        let constants: Option<Vec<_>> = node
            .output
            .iter()
            .filter(|name| !name.is_empty())
            .map(|name| facts.get(name)?.constant.clone().filter(|_| !shown.contains(name)))
            .collect();
        match constants {
            Some(constants) if !constants.is_empty() => {
                weights.extend(constants);
                false
            }
            _ => true,
        }
    });
    graph.initializer.extend(weights);
    before - graph.node.len()
}

/// Drops nodes and weights that no output depends on.
pub(super) fn sweep(graph: &mut GraphProto) {
    let mut read: HashSet<String> = graph.output.iter().map(|output| output.name.clone()).collect();
    let mut kept = Vec::new();
    for node in std::mem::take(&mut graph.node).into_iter().rev() {
        if node.output.iter().any(|name| read.contains(name)) {
            reads(&node, &mut read);
            kept.push(node);
        }
    }
    kept.reverse();
    graph.node = kept;
    graph.initializer.retain(|tensor| read.contains(&tensor.name));
}

/// The names that a node reads, those in its bodies with them.
pub(super) fn reads(node: &NodeProto, into: &mut impl Extend<String>) {
    into.extend(node.input.iter().cloned());
    for body in node.attribute.iter().flat_map(|it| it.g.iter().chain(&it.graphs)) {
        into.extend(body.output.iter().map(|output| output.name.clone()));
        body.node.iter().for_each(|node| reads(node, into));
    }
}

/// Takes out nodes that pass their input on. Returns how many went.
pub(super) fn pass_on(graph: &mut GraphProto, told: &mut Told) -> usize {
    let before = graph.node.len();
    let shown: HashSet<String> = graph.output.iter().map(|output| output.name.clone()).collect();
    let made: HashSet<String> =
        graph.node.iter().flat_map(|node| node.output.iter().cloned()).collect();
    let mut names: HashMap<String, String> = HashMap::new();
    let find = |names: &HashMap<String, String>, name: &String| {
        let mut name = name.clone();
        while let Some(next) = names.get(&name) {
            name.clone_from(next);
        }
        name
    };
    let mut renamed: HashSet<String> = HashSet::new();
    let mut kept = Vec::new();
    for node in std::mem::take(&mut graph.node) {
        let (Some(input), Some(output)) = (node.input_name(0), node.output_name(0)) else {
            kept.push(node);
            continue;
        };
        let more = node.output.iter().skip(1).any(|name| !name.is_empty());
        // A Dropout that is told whether it trains is for a rule.
        let passes = match node.operator() {
            ("", "Identity") => true,
            ("", "Dropout") => node.input_name(2).is_none(),
            _ => false,
        };
        let passes = passes && !more;
        if !passes {
            kept.push(node);
            continue;
        }
        let input = find(&names, &input.to_owned());
        if !shown.contains(output) {
            names.insert(output.to_owned(), input);
        } else if made.contains(&input) && !shown.contains(&input) && renamed.insert(input.clone())
        {
            // An output has its name from the node that makes it.
            told.renamed(&input, output);
            names.insert(input, output.to_owned());
        } else {
            kept.push(NodeProto::new("Identity", &[&input], &[output], []));
        }
    }
    for node in &mut kept {
        rename(node, &|name| find(&names, name));
    }
    graph.node = kept;
    before - graph.node.len()
}

/// Gives each name that a node reads or makes, those in its bodies with them, another.
pub(super) fn rename(node: &mut NodeProto, name: &impl Fn(&String) -> String) {
    for value in node.input.iter_mut().chain(&mut node.output) {
        *value = name(value);
    }
    for attribute in &mut node.attribute {
        for body in attribute.g.iter_mut().chain(&mut attribute.graphs) {
            body.node.iter_mut().for_each(|node| rename(node, name));
            body.output.iter_mut().for_each(|output| output.name = name(&output.name));
        }
    }
}
