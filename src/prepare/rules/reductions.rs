//! Products along axes, and the largest few of an axis.

use crate::{
    onnx::{
        proto::{AttributeProto, NodeProto},
        tensor::element,
    },
    prepare::rewriter::{Outcome, Rewriter, axis},
};

/// More of the largest than this would need too many comparisons.
const MOST: usize = 64;

/// A product of pairs, and of their products: ezkl multiplies all at once, at a scale that is theirs together.
pub(super) fn rule(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let mut shape = rewriter.shape(value)?.to_vec();
    let kind = rewriter.element(value)?;
    let axes: Vec<usize> = match node.ints("axes") {
        [] => (0..shape.len()).collect(),
        axes => axes.iter().map(|it| axis(*it, shape.len())).collect::<Option<_>>()?,
    };
    let result = rewriter.shape(node.output_name(0)?)?;
    let count: usize = axes.iter().map(|place| shape[*place]).product();
    if count <= 2 || !element::is_float(kind) {
        return None;
    }
    let mut now = value.to_owned();
    for place in axes {
        while shape[place] > 1 {
            let (half, length) = (shape[place] / 2, shape[place]);
            let one = rewriter.slice(&now, place, 0, half);
            let other = rewriter.slice(&now, place, half, 2 * half);
            let product = rewriter.join("Mul", &one, &other);
            now = if length % 2 == 1 {
                let last = rewriter.slice(&now, place, length - 1, length);
                rewriter.concat(&[&product, &last], place)
            } else {
                product
            };
            shape[place] = length.div_ceil(2);
        }
    }
    Some(Outcome::one(rewriter.reshape(&now, result)))
}

/// The largest, then the largest of the rest: ezkl has the numbers of a `TopK` and not their places.
pub(super) fn largest(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let shape = rewriter.shape(value)?;
    let kind = rewriter.element(value)?;
    let place = axis(node.int("axis").unwrap_or(-1), shape.len())?;
    let count = *rewriter.numbers(node.input_name(1)?)?.first()? as usize;
    if !rewriter.is_read(node, 1) {
        return None;
    }
    if count > MOST {
        return Some(Outcome::Refuse(format!(
            "the places of more than {MOST} of the largest have no circuit; ask for fewer, or for their numbers alone"
        )));
    }
    let smallest = node.int("largest") == Some(0);
    let mut rest = rewriter.as_float(value);
    if smallest {
        rest = rewriter.apply("Neg", &rest);
    }
    let mut along = vec![1; shape.len()];
    along[place] = shape[place];
    let range: Vec<i64> = (0..shape[place] as i64).collect();
    let range = rewriter.integer_tensor(&along, &range);
    let least = rewriter.reduce("ReduceMin", &rest, &[place], true);
    let least = rewriter.plus(&least, -1.0);
    let (mut values, mut places) = (Vec::new(), Vec::new());
    for number in 0..count {
        let attributes =
            [AttributeProto::int("axis", place as i64), AttributeProto::int("keepdims", 1)];
        let first = rewriter.node("ArgMax", &[&rest], attributes);
        values.push(rewriter.reduce("ReduceMax", &rest, &[place], true));
        places.push(first.clone());
        if number + 1 < count {
            // What has been taken goes below all others.
            let taken = rewriter.join("Equal", &first, &range);
            let taken = rewriter.cast(&taken, element::FLOAT);
            let fall = rewriter.join("Sub", &least, &rest);
            let fall = rewriter.join("Mul", &fall, &taken);
            rest = rewriter.join("Add", &rest, &fall);
        }
    }
    let join = |rewriter: &mut Rewriter<'_>, parts: &[String]| {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        rewriter.concat(&parts, place)
    };
    let mut numbers = join(rewriter, &values);
    if smallest {
        numbers = rewriter.apply("Neg", &numbers);
    }
    let numbers = rewriter.as_whole(&numbers, kind);
    let places = join(rewriter, &places);
    Some(Outcome::Replace(vec![numbers, places]))
}
