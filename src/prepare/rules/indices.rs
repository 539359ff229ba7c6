//! What is taken from, or put at, places that a list names.

use crate::{
    onnx::{
        proto::{AttributeProto, NodeProto},
        tensor::element,
    },
    prepare::rewriter::{Outcome, Rewriter, axis},
};

/// Scattered sums are products with a matrix; one larger than this is left alone.
const MOST_ELEMENTS: usize = 1 << 18;

pub(super) fn rule(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    match node.op_type.as_str() {
        "Gather" | "GatherElements" | "GatherND" => from_the_end(rewriter, node),
        "Compress" => compress(rewriter, node),
        "ReverseSequence" => reverse(rewriter, node),
        "ScatterND" | "ScatterElements" => scatter(rewriter, node),
        _ => None,
    }
}

/// Places that count from the end become those from the start.
fn from_the_end(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let (value, places) = (node.input_name(0)?, node.input_name(1)?);
    let shape = rewriter.shape(value)?;
    let own = rewriter.shape(places)?;
    let lengths = if node.op_type == "GatherND" {
        let first = usize::try_from(node.int("batch_dims").unwrap_or(0)).ok()?;
        shape.get(first..first + own.last()?)?
    } else {
        let place = axis(node.int("axis").unwrap_or(0), shape.len())?;
        std::slice::from_ref(&shape[place])
    };
    // A single place has no axis along which a length could lie.
    let places = match own {
        [] => {
            let list = rewriter.whole(places)?;
            let [place] = list[..] else { return None };
            let length = i64::try_from(lengths[0]).ok()?;
            (place < 0).then(|| rewriter.integer_tensor(&[], &[place + length]))?
        }
        _ => from_start(rewriter, places, lengths)?,
    };
    let attributes = node.attribute.clone();
    Some(Outcome::one(rewriter.node(&node.op_type, &[value, &places], attributes)))
}

fn compress(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let shape = rewriter.shape(value)?;
    let chosen: Vec<i64> = rewriter
        .numbers(node.input_name(1)?)?
        .iter()
        .enumerate()
        .filter(|(_, it)| **it != 0.0)
        .map(|(place, _)| place as i64)
        .collect();
    Some(Outcome::one(match node.int("axis") {
        Some(place) => rewriter.gather(value, &chosen, axis(place, shape.len())?),
        None => {
            let flat = rewriter.reshape(value, &[shape.iter().product()]);
            rewriter.gather(&flat, &chosen, 0)
        }
    }))
}

/// The first so many of each sequence in the other order.
fn reverse(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let shape = rewriter.shape(value)?;
    let lengths = rewriter.whole(node.input_name(1)?)?;
    let batch_first = node.int("batch_axis").unwrap_or(1) == 0;
    let (rows, columns) = (*shape.first()?, *shape.get(1)?);
    let mut places = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        for column in 0..columns {
            let (batch, time) = if batch_first { (row, column) } else { (column, row) };
            let length = usize::try_from(*lengths.get(batch)?).ok()?;
            let time = if time < length { length - 1 - time } else { time };
            let (row, column) = if batch_first { (batch, time) } else { (time, batch) };
            places.push((row * columns + column) as i64);
        }
    }
    let rest: usize = shape[2..].iter().product();
    let flat = rewriter.reshape(value, &[rows * columns, rest]);
    let turned = rewriter.gather(&flat, &places, 0);
    Some(Outcome::one(rewriter.reshape(&turned, shape)))
}

/// ezkl puts updates in and leaves out how they are to be joined with what is there.
fn scatter(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let reduction = node.string("reduction").unwrap_or("none");
    if reduction == "none" {
        return negative_places(rewriter, node);
    }
    let (value, updates) = (node.input_name(0)?, node.input_name(2)?);
    let kind = rewriter.element(value)?;
    let shape = rewriter.shape(value)?;
    let (blocks, block, count, places) = flat_places(rewriter, node, shape)?;
    if blocks * count * block > MOST_ELEMENTS {
        return None;
    }
    let value = rewriter.as_float(value);
    let flat = rewriter.reshape(&value, &[blocks, 1, block]);
    let updates = rewriter.as_float(updates);
    let updates = rewriter.reshape(&updates, &[1, count, block]);
    let range: Vec<i64> = (0..blocks as i64).collect();
    let range = rewriter.integer_tensor(&[blocks, 1, 1], &range);
    // Products and sums of integers are integers as well.
    let here = rewriter.same(node.input_name(1)?, &places, &range);
    let joined = match reduction {
        "add" => {
            let parts = rewriter.join("Mul", &here, &updates);
            let sum = rewriter.reduce("ReduceSum", &parts, &[1], true);
            rewriter.join("Add", &flat, &sum)
        }
        "mul" => {
            let less = rewriter.plus(&updates, -1.0);
            let parts = rewriter.join("Mul", &here, &less);
            let parts = rewriter.plus(&parts, 1.0);
            let product = rewriter.reduce("ReduceProd", &parts, &[1], true);
            rewriter.join("Mul", &flat, &product)
        }
        other => {
            // What stands there already, moved towards an update where there is one.
            let step = rewriter.join("Sub", &updates, &flat);
            let step = rewriter.join("Mul", &here, &step);
            let candidates = rewriter.join("Add", &flat, &step);
            let operator = if other == "max" { "ReduceMax" } else { "ReduceMin" };
            let best = rewriter.reduce(operator, &candidates, &[1], true);
            rewriter.join(if other == "max" { "Max" } else { "Min" }, &flat, &best)
        }
    };
    let result = rewriter.reshape(&joined, shape);
    Some(Outcome::one(rewriter.as_whole(&result, kind)))
}

/// Blocks of the value, their size, how many updates there are, and the block of each as a tensor [1, count, 1].
fn flat_places(
    rewriter: &mut Rewriter<'_>,
    node: &NodeProto,
    shape: &[usize],
) -> Option<(usize, usize, usize, String)> {
    let given = node.input_name(1)?;
    let own = rewriter.shape(given)?;
    let strides: Vec<usize> =
        (0..shape.len()).map(|place| shape[place + 1..].iter().product()).collect();
    let total: usize = shape.iter().product();
    if node.op_type == "ScatterND" {
        let width = *own.last()?;
        let count: usize = own[..own.len() - 1].iter().product();
        let block = shape.get(width..)?.iter().product();
        let whole = from_start(rewriter, given, shape.get(..width)?);
        let whole = whole.unwrap_or_else(|| rewriter.cast(given, element::INT64));
        let steps: Vec<i64> = strides[..width].iter().map(|it| (it / block) as i64).collect();
        let steps = rewriter.integers(&steps);
        let parts = rewriter.join("Mul", &whole, &steps);
        let places = rewriter.reduce("ReduceSum", &parts, &[own.len() - 1], false);
        return Some((total / block, block, count, rewriter.reshape(&places, &[1, count, 1])));
    }
    let place = axis(node.int("axis").unwrap_or(0), shape.len())?;
    let count: usize = own.iter().product();
    let whole = from_start(rewriter, given, &[shape[place]]);
    let whole = whole.unwrap_or_else(|| rewriter.cast(given, element::INT64));
    let base: Vec<i64> = (0..count)
        .map(|number| {
            let (mut rest, mut base) = (number, 0);
            for at in (0..own.len()).rev() {
                let coordinate = rest % own[at];
                rest /= own[at];
                base += if at == place { 0 } else { coordinate * strides[at] };
            }
            base as i64
        })
        .collect();
    let step = rewriter.integer_tensor(&[], &[strides[place] as i64]);
    let scaled = rewriter.join("Mul", &whole, &step);
    let base = rewriter.integer_tensor(own, &base);
    let places = rewriter.join("Add", &scaled, &base);
    Some((total, 1, count, rewriter.reshape(&places, &[1, count, 1])))
}

/// A scatter's places that count from the end.
fn negative_places(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let given = node.input_name(1)?;
    let own = rewriter.shape(given)?;
    let shape = rewriter.shape(node.input_name(0)?)?;
    let lengths = match node.op_type.as_str() {
        "ScatterND" => shape.get(..*own.last()?)?,
        _ => std::slice::from_ref(shape.get(axis(node.int("axis").unwrap_or(0), shape.len())?)?),
    };
    let places = from_start(rewriter, given, lengths)?;
    let inputs = [node.input_name(0)?, &places, node.input_name(2)?];
    let attributes: Vec<AttributeProto> = node.attribute.clone();
    Some(Outcome::one(rewriter.node(&node.op_type, &inputs, attributes)))
}

/// Places from the start, where some count from the end: of axes with these lengths, one after the other. `None`
/// where none does.
///
/// Of places that an input gives only the sample can tell: a comparison for each is no small thing.
fn from_start(rewriter: &mut Rewriter<'_>, given: &str, lengths: &[usize]) -> Option<String> {
    if let Some(numbers) = rewriter.whole(given) {
        if numbers.iter().all(|it| *it >= 0) {
            return None;
        }
        let length = lengths.iter().cycle();
        let numbers: Vec<i64> = numbers
            .iter()
            .zip(length)
            .map(|(it, length)| if *it < 0 { it + *length as i64 } else { *it })
            .collect();
        let shape = rewriter.shape(given)?;
        return Some(rewriter.integer_tensor(shape, &numbers));
    }
    if !rewriter.fact(given)?.below_zero {
        return None;
    }
    let lengths: Vec<i64> = lengths.iter().map(|it| *it as i64).collect();
    let lengths = rewriter.integers(&lengths);
    let whole = rewriter.cast(given, element::INT64);
    let zero = rewriter.integer_tensor(&[], &[0]);
    let below = rewriter.join("Less", &whole, &zero);
    let below = rewriter.cast(&below, element::INT64);
    let more = rewriter.join("Mul", &below, &lengths);
    Some(rewriter.join("Add", &whole, &more))
}
