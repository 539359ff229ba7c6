//! A softmax over a few scores, such as a classifier's, that never looks a number up far below the largest.
//!
//! ezkl looks up the power of each score's distance from the largest, in a table as long as the greatest distance. A
//! score that far below has no part in the sum, and cut off there the table has one length for all inputs: it is
//! short, and no input is beyond it.

use super::super::rewriter::{Outcome, Rewriter, axis};
use crate::onnx::proto::NodeProto;

/// A power of this distance is below half a step at any scale that a search tries, and below a float's own steps by so
/// little that no answer shows it.
const FAR: f32 = 11.9;
/// Elements: cutting takes rows for each, which many scores, as attention has, would feel more than the table.
const FEW: usize = 64;

pub(super) fn softmax(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    if node.operator() != ("", "Softmax") {
        return None;
    }
    let value = node.input_name(0)?;
    let shape = rewriter.shape(value)?;
    let place = axis(node.int("axis").unwrap_or(-1), shape.len())?;
    if shape.iter().product::<usize>() > FEW || is_cut(rewriter, value) {
        return None;
    }
    let most = rewriter.reduce("ReduceMax", value, &[place], true);
    let below = rewriter.join("Sub", value, &most);
    let above = rewriter.plus(&below, FAR);
    let seen = rewriter.apply("Relu", &above);
    let cut = rewriter.plus(&seen, -FAR);
    Some(Outcome::one(rewriter.softmax("Softmax", &cut, place as i64)))
}

/// Whether the value is what this rule has made.
fn is_cut(rewriter: &Rewriter<'_>, value: &str) -> bool {
    let Some(sum) = rewriter.maker(value).filter(|it| it.op_type == "Add") else { return false };
    let seen = sum.input_name(0).and_then(|name| rewriter.maker(name));
    let by = sum.input_name(1).and_then(|name| rewriter.numbers(name));
    seen.is_some_and(|it| it.op_type == "Relu") && by == Some(vec![f64::from(-FAR)])
}
