//! One operator set for all models, so that each rule is written for one form of an operator.
//!
//! Set 17 is the last in which ezkl's loader finds axes where it looks for them. What an older set has as an
//! attribute becomes an input or the other way round, after ONNX's own list of changes to its operators; what a
//! newer set has added is for [`rules`](super::rules).

use super::{
    OPSET,
    error::Refusal,
    facts::Facts,
    rewriter::{Outcome, Rewriter, axis, rewrite},
    told::Told,
};
use crate::onnx::{
    proto::{AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto},
    tensor::element,
};
use std::collections::BTreeSet;

/// The oldest set that is brought up to date; before it, operators broadcast by another rule.
const OLDEST: i64 = 7;

/// Writes the model in set 17. Returns whether it was in another.
///
/// # Errors
/// A form that 17 can't express.
pub(super) fn raise(model: &mut ModelProto, opset: i64, facts: &Facts) -> Result<bool, Refusal> {
    if opset == OPSET || opset < OLDEST {
        return Ok(false);
    }
    if let Some(graph) = &mut model.graph {
        rewrite(graph, facts, &mut Told::default(), |rewriter, node| {
            if !node.operator().0.is_empty() {
                return Outcome::Keep;
            }
            convert(rewriter, node, opset).unwrap_or(Outcome::Keep)
        })?;
    }
    for set in &mut model.opset_import {
        if set.domain.is_empty() || set.domain == "ai.onnx" {
            set.version = OPSET;
        }
    }
    Ok(true)
}

/// Names the operator sets that are in use, and no others.
pub(super) fn name_sets(model: &mut ModelProto) {
    let mut domains = BTreeSet::new();
    model.graph.iter().for_each(|graph| add_domains(graph, &mut domains));
    let name = |set: &OperatorSetIdProto| match set.domain.as_str() {
        "ai.onnx" => String::new(),
        domain => domain.to_owned(),
    };
    // What consists of other domains' operators alone need not name ONNX's own set, and what stands for them does.
    if !model.opset_import.iter().any(|set| name(set).is_empty()) {
        let own = OperatorSetIdProto { domain: String::new(), version: OPSET };
        model.opset_import.push(own);
    }
    model.opset_import.retain(|set| name(set).is_empty() || domains.contains(&name(set)));
}

fn add_domains(graph: &GraphProto, into: &mut BTreeSet<String>) {
    for node in &graph.node {
        into.insert(node.operator().0.to_owned());
        let bodies = node.attribute.iter().flat_map(|it| it.g.iter().chain(&it.graphs));
        bodies.for_each(|body| add_domains(body, into));
    }
}

/// A node as 17 has it; `None` where it has the same form there.
fn convert(rewriter: &mut Rewriter<'_>, node: &NodeProto, opset: i64) -> Option<Outcome> {
    let mut node = node.clone();
    match node.op_type.as_str() {
        "Squeeze" | "Unsqueeze" | "ReduceSum" if opset < 13 => {
            list_to_input(rewriter, &mut node, "axes", 1)?;
        }
        "Split" if opset < 13 => list_to_input(rewriter, &mut node, "split", 1)?,
        "Split" if opset >= 18 => {
            // Equal parts, the last one the rest.
            let parts = usize::try_from(node.int("num_outputs")?).ok()?;
            let shape = rewriter.shape(node.input_name(0)?)?;
            let length = *shape.get(axis(node.int("axis").unwrap_or(0), shape.len())?)?;
            let part = length.div_ceil(parts);
            let sizes: Vec<_> =
                (0..parts).map(|it| length.saturating_sub(it * part).min(part) as i64).collect();
            node.unset("num_outputs");
            let sizes = rewriter.integers(&sizes);
            put(&mut node, 1, sizes);
        }
        "Slice" if opset < 10 => {
            list_to_input(rewriter, &mut node, "starts", 1)?;
            list_to_input(rewriter, &mut node, "ends", 2)?;
            list_to_input(rewriter, &mut node, "axes", 3);
        }
        "TopK" if opset < 10 => {
            let k = node.int("k")?;
            node.unset("k");
            let k = rewriter.integers(&[k]);
            put(&mut node, 1, k);
        }
        "Clip" if opset < 11 => {
            for (place, name) in [(1, "min"), (2, "max")] {
                if let Some(bound) = node.float(name) {
                    node.unset(name);
                    let bound = rewriter.float(bound);
                    put(&mut node, place, bound);
                }
            }
        }
        "Pad" if opset < 11 => {
            let value = node.float("value").unwrap_or(0.0);
            node.unset("value");
            list_to_input(rewriter, &mut node, "pads", 1)?;
            let value = rewriter.float(value);
            put(&mut node, 2, value);
        }
        "Pad" if opset >= 18 && node.input_name(3).is_some() => {
            let rank = rewriter.shape(node.input_name(0)?)?.len();
            let axes = rewriter.whole(node.input_name(3)?)?;
            let given = rewriter.whole(node.input_name(1)?)?;
            let mut pads = vec![0; 2 * rank];
            for (number, place) in axes.iter().enumerate() {
                let place = axis(*place, rank)?;
                pads[place] = *given.get(number)?;
                pads[rank + place] = *given.get(axes.len() + number)?;
            }
            let pads = rewriter.integers(&pads);
            put(&mut node, 1, pads);
            node.input.truncate(3);
        }
        "Softmax" | "LogSoftmax" | "Hardmax" if opset < 13 => {
            return flattened(rewriter, &node);
        }
        "Scatter" => node.op_type = "ScatterElements".to_owned(),
        "Upsample" | "Resize" if opset < 11 => {
            node.op_type = "Resize".to_owned();
            let scales = match (opset < 9, node.input_name(1)) {
                (true, _) => {
                    let scales = node.floats("scales").to_vec();
                    rewriter.floats(&[scales.len()], &scales)
                }
                (false, scales) => scales?.to_owned(),
            };
            node.unset("scales");
            node.input.truncate(1);
            node.input.extend([String::new(), scales]);
            node.set(AttributeProto::string("coordinate_transformation_mode", "asymmetric"));
            node.set(AttributeProto::string("nearest_mode", "floor"));
        }
        "DFT" if opset >= 20 => {
            let axis = match node.input_name(2) {
                Some(axis) => *rewriter.whole(axis)?.first()?,
                None => -2,
            };
            node.input.truncate(2);
            node.set(AttributeProto::int("axis", axis));
        }
        "Cast" if opset >= 19 => {
            // About types that no model is brought to.
            node.unset("saturate");
            node.unset("round_mode");
        }
        "BatchNormalization" => {
            node.output.truncate(1);
            node.unset("spatial");
        }
        operator if opset >= 18 && operator.starts_with("Reduce") && operator != "ReduceSum" => {
            let axes = match node.input_name(1) {
                Some(axes) => rewriter.whole(axes)?,
                None => Vec::new(),
            };
            node.input.truncate(1);
            if axes.is_empty() && node.int("noop_with_empty_axes") == Some(1) {
                return Some(Outcome::one(node.input_name(0)?.to_owned()));
            }
            node.unset("noop_with_empty_axes");
            if !axes.is_empty() {
                node.set(AttributeProto::ints("axes", axes));
            }
            // From 20 on also of booleans.
            let value = node.input_name(0)?.to_owned();
            if rewriter.element(&value) == Some(element::BOOL) {
                let number = rewriter.cast(&value, element::INT32);
                let reduced = rewriter.node(&node.op_type, &[&number], node.attribute);
                return Some(Outcome::one(rewriter.cast(&reduced, element::BOOL)));
            }
        }
        _ => return None,
    }
    let attributes = std::mem::take(&mut node.attribute);
    let inputs: Vec<_> = node.input.iter().map(String::as_str).collect();
    Some(Outcome::Replace(rewriter.nodes(&node.op_type, &inputs, node.output.len(), attributes)))
}

/// Up to set 12 a softmax was over all axes from one on, as if they were one.
fn flattened(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let shape = rewriter.shape(value)?;
    let place = match node.int("axis").unwrap_or(1) {
        whole if whole == shape.len() as i64 => shape.len(),
        place => axis(place, shape.len())?,
    };
    if place + 1 == shape.len() {
        let last = [AttributeProto::int("axis", -1)];
        return Some(Outcome::one(rewriter.node(&node.op_type, &[value], last)));
    }
    let (rows, columns) = (shape[..place].iter().product(), shape[place..].iter().product());
    let flat = rewriter.reshape(value, &[rows, columns]);
    let soft = rewriter.node(&node.op_type, &[&flat], [AttributeProto::int("axis", -1)]);
    Some(Outcome::one(rewriter.reshape(&soft, shape)))
}

/// Moves a list from an attribute to an input.
fn list_to_input(
    rewriter: &mut Rewriter<'_>,
    node: &mut NodeProto,
    name: &str,
    place: usize,
) -> Option<()> {
    let list = node.attribute(name)?.ints.clone();
    node.unset(name);
    let list = rewriter.integers(&list);
    put(node, place, list);
    Some(())
}

fn put(node: &mut NodeProto, place: usize, name: String) {
    while node.input.len() <= place {
        node.input.push(String::new());
    }
    node.input[place] = name;
}
