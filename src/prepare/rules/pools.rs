//! Pools. ezkl wants their attributes written out, leaves dilations out, and pads with zeros whatever it pools.

use super::windows::{self, Axis};
use crate::{
    onnx::{
        proto::{AttributeProto, NodeProto},
        tensor::element,
    },
    prepare::rewriter::{Outcome, Rewriter},
};

/// Operators whose results are never negative, so that a zero beside them is never the largest.
const NEVER_NEGATIVE: [&str; 7] =
    ["Relu", "Sigmoid", "HardSigmoid", "Softmax", "Abs", "Exp", "Softplus"];

pub(super) fn rule(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let shape = rewriter.shape(value)?;
    let axes = windows::axes(node, shape, &windows::lengths(node, "kernel_shape")?)?;
    match node.op_type.as_str() {
        "MaxPool" => most(rewriter, node, value, shape, &axes),
        "AveragePool" => {
            if windows::is_written(node, &axes) && !is_padded(&axes) {
                return None;
            }
            let include = node.int("count_include_pad") == Some(1);
            Some(Outcome::one(mean(rewriter, value, shape, &axes, include)?))
        }
        "LpPool" => {
            let power = node.int("p").unwrap_or(2);
            let sizes = match power {
                1 => rewriter.apply("Abs", value),
                2 => rewriter.join("Mul", value, value),
                power => {
                    let sizes = rewriter.apply("Abs", value);
                    let power = rewriter.float(power as f32);
                    rewriter.join("Pow", &sizes, &power)
                }
            };
            // A mean that counts every tap is the sum but for its number.
            let sum = sum(rewriter, &sizes, shape, &axes)?;
            Some(Outcome::one(match power {
                1 => sum,
                2 => rewriter.apply("Sqrt", &sum),
                power => {
                    let root = rewriter.float(1.0 / power as f32);
                    rewriter.join("Pow", &sum, &root)
                }
            }))
        }
        _ => None,
    }
}

fn is_padded(axes: &[Axis]) -> bool {
    axes.iter().any(|axis| axis.before > 0 || axis.touched() > 0)
}

fn has_gaps(axes: &[Axis]) -> bool {
    axes.iter().any(|axis| axis.dilation > 1)
}

/// With zeros around it, as far as windows reach.
fn padded(rewriter: &mut Rewriter<'_>, value: &str, axes: &[Axis]) -> String {
    let list = |count: fn(&Axis) -> usize| -> Vec<usize> {
        [0, 0].into_iter().chain(axes.iter().map(count)).collect()
    };
    rewriter.pad(value, &list(|it| it.before), &list(Axis::touched))
}

fn result_shape(shape: &[usize], axes: &[Axis]) -> Vec<usize> {
    shape[..2].iter().copied().chain(axes.iter().map(|it| it.out)).collect()
}

fn most(
    rewriter: &mut Rewriter<'_>,
    node: &NodeProto,
    value: &str,
    shape: &[usize],
    axes: &[Axis],
) -> Option<Outcome> {
    let places_too = rewriter.is_read(node, 1);
    let maker = rewriter.maker(value);
    let zeros_fit = maker.is_some_and(|it| NEVER_NEGATIVE.contains(&&*it.op_type));
    if !places_too && !has_gaps(axes) && (zeros_fit || !is_padded(axes)) {
        if windows::is_written(node, axes) && !is_padded(axes) {
            return None;
        }
        let kind = rewriter.element(value)?;
        let value = rewriter.as_float(value);
        let value = padded(rewriter, &value, axes);
        let pooled = rewriter.node("MaxPool", &[&value], windows::written(axes));
        return Some(Outcome::one(rewriter.as_whole(&pooled, kind)));
    }
    let kind = rewriter.element(value)?;
    let windows = windows::windows(axes);
    let float = rewriter.as_float(value);
    let taken = windows.gather(rewriter, &float, shape)?;
    let most = rewriter.reduce("ReduceMax", &taken, &[2], false);
    let most = rewriter.reshape(&most, &result_shape(shape, axes));
    let mut outputs = vec![rewriter.as_whole(&most, kind)];
    if places_too {
        let (channels, size) = (shape[0] * shape[1], shape[2..].iter().product::<usize>());
        let lengths = &shape[2..];
        let columns = node.int("storage_order") == Some(1);
        let number = |place: usize| if columns { by_column(place, lengths) } else { place };
        let taps = windows.places.first()?.len();
        let table: Vec<f32> = windows
            .places
            .iter()
            .flat_map(|window| {
                let within = window.iter().flatten().next().copied().unwrap_or_default();
                window.iter().map(move |place| place.unwrap_or(within))
            })
            .map(|place| number(place) as f32)
            .collect();
        let attributes = [AttributeProto::int("axis", 2), AttributeProto::int("keepdims", 1)];
        let first = rewriter.node("ArgMax", &[&taken], attributes);
        let range: Vec<i64> = (0..taps as i64).collect();
        let range = rewriter.integer_tensor(&[1, 1, taps], &range);
        let same = rewriter.join("Equal", &first, &range);
        let same = rewriter.cast(&same, element::FLOAT);
        let table = rewriter.floats(&[1, windows.places.len(), taps], &table);
        let chosen = rewriter.join("Mul", &same, &table);
        let chosen = rewriter.reduce("ReduceSum", &chosen, &[2], false);
        let starts: Vec<f32> = (0..channels).map(|it| (it * size) as f32).collect();
        let starts = rewriter.floats(&[channels, 1], &starts);
        let chosen = rewriter.join("Add", &chosen, &starts);
        let chosen = rewriter.reshape(&chosen, &result_shape(shape, axes));
        outputs.push(rewriter.as_whole(&chosen, element::INT64));
    }
    Some(Outcome::Replace(outputs))
}

/// A place among elements that are counted along the first axis first.
fn by_column(place: usize, lengths: &[usize]) -> usize {
    let (mut place, mut parts) = (place, Vec::new());
    for length in lengths.iter().rev() {
        parts.push(place % length);
        place /= length;
    }
    parts.iter().zip(lengths.iter().rev()).fold(0, |sum, (part, length)| sum * length + part)
}

fn mean(
    rewriter: &mut Rewriter<'_>,
    value: &str,
    shape: &[usize],
    axes: &[Axis],
    include: bool,
) -> Option<String> {
    if !is_padded(axes) && !has_gaps(axes) {
        return Some(rewriter.node("AveragePool", &[value], windows::written(axes)));
    }
    let windows = windows::windows(axes);
    let counts: Vec<f32> = windows
        .places
        .iter()
        .zip(&windows.padded)
        .map(|(window, padded)| {
            let counted = if include { *padded } else { window.iter().flatten().count() };
            counted as f32
        })
        .collect();
    let sum = sum(rewriter, value, shape, axes)?;
    let mut along = result_shape(shape, axes);
    along[..2].fill(1);
    let shares: Vec<f32> = counts.iter().map(|count| 1.0 / count).collect();
    let (first, all) = (*shares.first()?, shares.iter().all(|it| Some(it) == shares.first()));
    let shares = if all { rewriter.float(first) } else { rewriter.floats(&along, &shares) };
    Some(rewriter.join("Mul", &sum, &shares))
}

/// The sum of each window, what lies outside as zero.
fn sum(rewriter: &mut Rewriter<'_>, value: &str, shape: &[usize], axes: &[Axis]) -> Option<String> {
    let value = padded(rewriter, value, axes);
    let taps: usize = axes.iter().map(|axis| axis.kernel).product();
    if !has_gaps(axes) {
        // Before the division, which would leave few digits of a small number in fixed point.
        let value = rewriter.times(&value, taps as f32);
        return Some(rewriter.node("AveragePool", &[&value], windows::written(axes)));
    }
    let whole: Vec<Axis> = axes
        .iter()
        .map(|axis| Axis {
            length: axis.length + axis.before + axis.touched(),
            before: 0,
            after: 0,
            ..*axis
        })
        .collect();
    let padded: Vec<usize> =
        shape[..2].iter().copied().chain(whole.iter().map(|axis| axis.length)).collect();
    let taken = windows::windows(&whole).gather(rewriter, &value, &padded)?;
    let sum = rewriter.reduce("ReduceSum", &taken, &[2], false);
    Some(rewriter.reshape(&sum, &result_shape(shape, axes)))
}
