//! Where only the order of numbers is asked for, what keeps it need not be worked out.

use crate::{
    onnx::proto::NodeProto,
    prepare::rewriter::{Outcome, Rewriter, axis},
};

/// So many steps are looked back at most.
const MOST_STEPS: usize = 16;

/// The largest or smallest place, of what goes into a Softmax, a Sigmoid and the like.
pub(super) fn place(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let along = axis(node.int("axis").unwrap_or(0), rewriter.shape(value)?.len())?;
    let mut now = value;
    let mut passed: Vec<&str> = Vec::new();
    while let Some((before, maker)) = rises_with(rewriter, now, along)
        && passed.len() < MOST_STEPS
    {
        passed.push(&maker.op_type);
        now = before;
    }
    let (first, last) = (*passed.first()?, passed.last()?);
    let names = if passed.len() == 1 { first.to_owned() } else { format!("{last} … {first}") };
    rewriter.say(format!("{names} before {}: only the class is kept", node.op_type));
    Some(Outcome::one(rewriter.node(&node.op_type, &[now], node.attribute.clone())))
}

/// What a value is made of by an operator that is larger wherever that is larger.
fn rises_with<'a>(
    rewriter: &Rewriter<'a>,
    value: &str,
    along: usize,
) -> Option<(&'a str, &'a NodeProto)> {
    let maker = rewriter.maker(value).filter(|it| it.operator().0.is_empty())?;
    let before = maker.input_name(0)?;
    let rank = rewriter.shape(before)?.len();
    let other = || maker.input_name(1).and_then(|it| rewriter.numbers(it));
    let rises = match maker.op_type.as_str() {
        "Exp" | "Identity" | "Sigmoid" | "Softplus" | "Softsign" | "Tanh" => true,
        "Softmax" | "LogSoftmax" => axis(maker.int("axis").unwrap_or(-1), rank)? == along,
        // One number for all.
        "Mul" | "Div" => matches!(other()?[..], [factor] if factor > 0.0),
        "Add" | "Sub" => matches!(other()?[..], [_]),
        _ => false,
    };
    (rises && rewriter.shape(before) == rewriter.shape(value)).then_some((before, maker))
}

/// Whether a Sigmoid is above a bound, by whether what goes into it is above another.
pub(super) fn bound(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let (value, bound) = (node.input_name(0)?, node.input_name(1)?);
    let maker = rewriter.maker(value).filter(|it| it.operator() == ("", "Sigmoid"))?;
    let bounds = rewriter.numbers(bound)?;
    let shape = rewriter.shape(bound)?;
    if bounds.iter().any(|it| *it <= 0.0 || *it >= 1.0) {
        return None;
    }
    let before: Vec<f32> = bounds.iter().map(|it| (it / (1.0 - it)).ln() as f32).collect();
    let before = rewriter.floats(shape, &before);
    rewriter.say(format!("Sigmoid before {}: only the comparison is kept", node.op_type));
    Some(Outcome::one(rewriter.join(&node.op_type, maker.input_name(0)?, &before)))
}

/// What only passes numbers on, in another shape or none.
pub(super) fn still(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let shape = rewriter.shape(value)?;
    let result = rewriter.shape(node.output_name(0)?)?;
    if node.op_type == "Expand" || !is_still(shape, node) {
        return (node.op_type == "Expand" && shape == result)
            .then(|| Outcome::one(value.to_owned()));
    }
    if shape == result {
        return Some(Outcome::one(value.to_owned()));
    }
    // One shape after another: the last counts.
    let before = rewriter.maker(value).and_then(|maker| {
        let before = maker.input_name(0)?;
        is_still(rewriter.shape(before)?, maker).then_some(before)
    });
    let turned = node.op_type == "Transpose";
    let source = before.or(turned.then_some(value))?;
    if !turned {
        rewriter.say(String::new());
    }
    Some(Outcome::one(rewriter.reshape(source, result)))
}

/// Whether all numbers stay in their order.
fn is_still(shape: &[usize], node: &NodeProto) -> bool {
    match node.op_type.as_str() {
        "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" => true,
        "Transpose" => is_in_order(shape, node),
        _ => false,
    }
}

/// Whether a Transpose leaves every axis of more than one place where it was.
fn is_in_order(shape: &[usize], node: &NodeProto) -> bool {
    let places: Vec<usize> = match node.ints("perm") {
        [] => (0..shape.len()).rev().collect(),
        places => places.iter().filter_map(|it| usize::try_from(*it).ok()).collect(),
    };
    places.iter().filter(|it| shape.get(**it).is_some_and(|length| *length > 1)).is_sorted()
}
