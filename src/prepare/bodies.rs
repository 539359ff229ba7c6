//! Nodes with a body, written out: the branch that is taken, the rounds of a loop whose number is known.
//!
//! This comes before all other rewriting, in the model's own operator set: what lies in a body is as old as the rest.

use super::{error::Refusal, facts::Facts, graph::rename};
use crate::onnx::{
    proto::{AttributeProto, GraphProto, NodeProto, TensorProto},
    tensor::element,
};
use std::collections::HashMap;

/// Longer loops than this are left to ezkl.
const MOST_ROUNDS: usize = 1024;

/// Writes out each `If`, `Loop` and `Scan` that no input steers. Returns whether there was one.
///
/// # Errors
/// A branch or an end that depends on an input.
pub(super) fn inline(graph: &mut GraphProto, facts: &Facts, opset: i64) -> Result<bool, Refusal> {
    let mut changed = false;
    let mut kept = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node) {
        let mut copies =
            Copies { node: &node, facts, opset, nodes: Vec::new(), weights: Vec::new() };
        let done = match node.operator() {
            ("", "If") => copies.branch()?,
            ("", "Loop") => copies.rounds()?,
            ("", "Scan") if opset >= 9 => copies.scan(),
            _ => None,
        };
        let Copies { nodes, weights, .. } = copies;
        match done {
            Some(()) => {
                changed = true;
                kept.extend(nodes);
                graph.initializer.extend(weights);
            }
            None => kept.push(node),
        }
    }
    graph.node = kept;
    Ok(changed)
}

/// What stands for one node.
struct Copies<'a> {
    node: &'a NodeProto,
    facts: &'a Facts,
    opset: i64,
    nodes: Vec<NodeProto>,
    weights: Vec<TensorProto>,
}

impl Copies<'_> {
    fn numbers(&self, name: &str) -> Option<Vec<f64>> {
        self.facts.get(name)?.constant.as_ref()?.numbers()
    }

    /// The body once more, its own values under names of their own; `given` are its inputs. Returns its outputs.
    fn copy(&mut self, body: &GraphProto, given: &[String], round: usize) -> Vec<String> {
        let prefix = self.node.output.iter().find(|name| !name.is_empty());
        let prefix = format!("{}/{round}", prefix.map_or("", String::as_str));
        let mut names: HashMap<String, String> = HashMap::new();
        let own = body.node.iter().flat_map(|node| &node.output);
        for name in own.chain(body.initializer.iter().map(|tensor| &tensor.name)) {
            if !name.is_empty() {
                names.insert(name.clone(), format!("{prefix}/{name}"));
            }
        }
        for (inner, outer) in body.input.iter().zip(given) {
            names.insert(inner.name.clone(), outer.clone());
        }
        let find = |name: &String| names.get(name).unwrap_or(name).clone();
        for node in &body.node {
            let mut node = node.clone();
            // No two nodes of a graph may have one name.
            if !node.name.is_empty() {
                node.name = format!("{prefix}/{}", node.name);
            }
            rename(&mut node, &find);
            self.nodes.push(node);
        }
        let weights = body.initializer.iter().map(|it| it.clone().named(find(&it.name)));
        self.weights.extend(weights);
        body.output.iter().map(|output| find(&output.name)).collect()
    }

    /// The node's outputs are these values.
    fn finish(&mut self, values: &[String]) {
        for (value, output) in values.iter().zip(&self.node.output) {
            if !output.is_empty() {
                self.nodes.push(NodeProto::new("Identity", &[value], &[output], []));
            }
        }
    }

    fn body(&self, name: &str) -> Option<GraphProto> {
        self.node.attribute(name)?.g.clone()
    }

    fn constant(&mut self, tensor: TensorProto, what: &str) -> String {
        let output = self.node.output.iter().find(|name| !name.is_empty());
        let name = format!("{}/{what}_{}", output.map_or("", String::as_str), self.weights.len());
        self.weights.push(tensor.named(&name));
        name
    }

    fn branch(&mut self) -> Result<Option<()>, Refusal> {
        let Some(condition) = self.node.input_name(0) else { return Ok(None) };
        let Some(taken) = self.numbers(condition).and_then(|it| it.first().copied()) else {
            return Err(Refusal::of(
                self.node,
                "which of its branches is taken depends on an input, and a circuit is the same for all; compute both and \
                 choose by Where",
            ));
        };
        let name = if taken != 0.0 { "then_branch" } else { "else_branch" };
        let Some(body) = self.body(name) else { return Ok(None) };
        let outputs = self.copy(&body, &[], 0);
        self.finish(&outputs);
        Ok(Some(()))
    }

    fn rounds(&mut self) -> Result<Option<()>, Refusal> {
        let Some(body) = self.body("body") else { return Ok(None) };
        let open = |name: Option<&str>| name.is_some_and(|name| self.numbers(name).is_none());
        let count = self.node.input_name(0);
        if count.is_none() || open(count) || open(self.node.input_name(1)) || !runs_on(&body) {
            return Err(Refusal::of(
                self.node,
                "how often it runs depends on an input, and a circuit is the same for all; export the model with a loop \
                 of a fixed number of rounds and no condition",
            ));
        }
        let first = |place| {
            let numbers = self.node.input_name(place).map(|name| self.numbers(name));
            numbers.flatten().and_then(|it| it.first().copied())
        };
        let runs = first(1).is_none_or(|it| it != 0.0);
        let rounds = if runs { first(0).unwrap_or_default().max(0.0) as usize } else { 0 };
        let mut carried: Vec<String> = self.node.input.iter().skip(2).cloned().collect();
        let shown = body.output.len().saturating_sub(1 + carried.len());
        if rounds > MOST_ROUNDS || (rounds == 0 && shown > 0) {
            return Ok(None);
        }
        let mut lists = vec![Vec::new(); shown];
        for round in 0..rounds {
            let number = TensorProto::integers(&[], &[round as i64]);
            let number = self.constant(number, "round");
            let on = self.constant(TensorProto::booleans(&[], &[true]), "on");
            let given: Vec<String> = [number, on].into_iter().chain(carried.clone()).collect();
            let mut outputs = self.copy(&body, &given, round).into_iter().skip(1);
            carried = outputs.by_ref().take(carried.len()).collect();
            lists.iter_mut().zip(outputs).for_each(|(list, value)| list.push(value));
        }
        for list in &lists {
            let stacked = self.stack(list, 0);
            carried.push(stacked);
        }
        self.finish(&carried);
        Ok(Some(()))
    }

    fn scan(&mut self) -> Option<()> {
        let body = self.body("body")?;
        let count = usize::try_from(self.node.int("num_scan_inputs")?).ok()?;
        let states = self.node.input.len().checked_sub(count)?;
        let list =
            |name: &str, place: usize| self.node.ints(name).get(place).copied().unwrap_or_default();
        let axis =
            |place: usize, rank: usize| super::rewriter::axis(list("scan_input_axes", place), rank);
        let shape = |place: usize| {
            let name = self.node.input.get(states + place)?;
            Some(self.facts.get(name)?.shape.clone())
        };
        let mut axes = Vec::new();
        for place in 0..count {
            axes.push(axis(place, shape(place)?.len())?);
        }
        let rounds = *shape(0)?.get(*axes.first()?)?;
        if rounds == 0 || rounds > MOST_ROUNDS {
            return None;
        }
        let back: Vec<bool> = (0..count).map(|it| list("scan_input_directions", it) == 1).collect();
        let shown = body.output.len().checked_sub(states)?;
        let ends: Vec<(i64, bool)> = (0..shown)
            .map(|it| (list("scan_output_axes", it), list("scan_output_directions", it) == 1))
            .collect();
        let mut carried: Vec<String> = self.node.input[..states].to_vec();
        let mut lists = vec![Vec::new(); shown];
        for round in 0..rounds {
            let mut given = carried.clone();
            for (place, axis) in axes.iter().enumerate() {
                let at = if back[place] { rounds - 1 - round } else { round };
                let at = self.constant(TensorProto::integers(&[], &[at as i64]), "at");
                let slice = format!("{at}/slice");
                let value = self.node.input[states + place].as_str();
                let axis = [AttributeProto::int("axis", *axis as i64)];
                self.nodes.push(NodeProto::new("Gather", &[value, &at], &[&slice], axis));
                given.push(slice);
            }
            let mut outputs = self.copy(&body, &given, round).into_iter();
            carried = outputs.by_ref().take(states).collect();
            lists.iter_mut().zip(outputs).for_each(|(list, value)| list.push(value));
        }
        for (list, (axis, back)) in lists.iter_mut().zip(ends) {
            if back {
                list.reverse();
            }
            carried.push(self.stack(list, axis));
        }
        self.finish(&carried);
        Some(())
    }

    /// Values of one shape along a new axis.
    fn stack(&mut self, values: &[String], axis: i64) -> String {
        let mut wide = Vec::new();
        for value in values {
            let output = format!("{value}/wide_{}", self.nodes.len());
            let node = if self.opset < 13 {
                let axes = [AttributeProto::ints("axes", [axis])];
                NodeProto::new("Unsqueeze", &[value], &[&output], axes)
            } else {
                let axes = self.constant(TensorProto::integers(&[1], &[axis]), "axes");
                NodeProto::new("Unsqueeze", &[value, &axes], &[&output], [])
            };
            self.nodes.push(node);
            wide.push(output);
        }
        let output =
            format!("{}/all_{}", wide.first().map_or("", String::as_str), self.nodes.len());
        let wide: Vec<&str> = wide.iter().map(String::as_str).collect();
        let axis = [AttributeProto::int("axis", axis)];
        self.nodes.push(NodeProto::new("Concat", &wide, &[&output], axis));
        output
    }
}

/// Whether a loop's body never ends it: its condition is a constant or what came in.
fn runs_on(body: &GraphProto) -> bool {
    let Some(mut name) = body.output.first().map(|output| output.name.as_str()) else {
        return false;
    };
    let holds = |tensor: &TensorProto| {
        tensor.data_type == element::BOOL && tensor.numbers().is_some_and(|it| it == [1.0])
    };
    for _ in 0..=body.node.len() {
        if body.input.get(1).is_some_and(|input| input.name == name) {
            return true;
        }
        if let Some(tensor) = body.initializer.iter().find(|tensor| tensor.name == name) {
            return holds(tensor);
        }
        let maker = body.node.iter().find(|node| node.output.iter().any(|it| it == name));
        match maker {
            Some(node) if ["Identity", "Cast"].contains(&&*node.op_type) => {
                name = node.input_name(0).unwrap_or_default();
            }
            Some(node) if node.op_type == "Constant" => {
                return node.attribute("value").and_then(|it| it.t.as_ref()).is_some_and(holds);
            }
            _ => return false,
        }
    }
    false
}
