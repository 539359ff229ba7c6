//! Convolutions. ezkl wants their attributes written out and has neither gaps in kernels nor all of the forms of a
//! transposed one.

use super::windows;
use crate::{
    onnx::proto::{AttributeProto, NodeProto},
    prepare::rewriter::{Outcome, Rewriter},
};

pub(super) fn rule(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let kernel = node.input_name(1)?;
    let shape = rewriter.shape(value)?;
    let kernel_shape = rewriter.shape(kernel)?;
    if node.op_type == "ConvTranspose" {
        return transposed(rewriter, node, shape, kernel_shape);
    }
    let axes = windows::axes(node, shape, kernel_shape.get(2..)?)?;
    // A bias that is no constant is added afterwards: ezkl adds it at another scale.
    let (bias, outputs) = (node.input_name(2), kernel_shape[0]);
    let apart = bias.is_some_and(|bias| rewriter.numbers(bias).is_none());
    if windows::is_written(node, &axes) && !apart {
        return None;
    }
    let mut kernel = kernel.to_owned();
    let mut lengths = kernel_shape.to_vec();
    for (place, axis) in axes.iter().enumerate() {
        kernel = stuffed(rewriter, &kernel, &mut lengths, place + 2, axis.dilation);
    }
    let list = |value: fn(&windows::Axis) -> usize| -> Vec<i64> {
        axes.iter().map(|it| value(it) as i64).collect()
    };
    let mut pads = list(|it| it.before);
    pads.extend(list(|it| it.after));
    let kernel_shape: Vec<i64> = lengths[2..].iter().map(|it| *it as i64).collect();
    let attributes = vec![
        AttributeProto::ints("kernel_shape", kernel_shape),
        AttributeProto::ints("strides", list(|it| it.stride)),
        AttributeProto::ints("pads", pads),
        AttributeProto::int("group", node.int("group").unwrap_or(1)),
    ];
    let mut inputs = vec![value, kernel.as_str()];
    inputs.extend(bias.filter(|_| !apart));
    let sum = rewriter.node("Conv", &inputs, attributes);
    Some(Outcome::one(match bias.filter(|_| apart) {
        Some(bias) => {
            let mut along = vec![1; shape.len()];
            along[1] = outputs;
            let bias = rewriter.reshape(bias, &along);
            rewriter.join("Add", &sum, &bias)
        }
        None => sum,
    }))
}

/// Puts `step - 1` zeros between the elements of an axis.
fn stuffed(
    rewriter: &mut Rewriter<'_>,
    value: &str,
    shape: &mut [usize],
    axis: usize,
    step: usize,
) -> String {
    let length = shape[axis];
    if step == 1 || length == 1 {
        return value.to_owned();
    }
    let mut apart = shape.to_vec();
    apart.insert(axis + 1, 1);
    let split = rewriter.reshape(value, &apart);
    let none = vec![0; apart.len()];
    let mut after = none.clone();
    after[axis + 1] = step - 1;
    let padded = rewriter.pad(&split, &none, &after);
    shape[axis] = length * step;
    let joined = rewriter.reshape(&padded, shape);
    shape[axis] = (length - 1) * step + 1;
    rewriter.slice(&joined, axis, 0, shape[axis])
}

/// As a convolution with the kernel turned round, over the input with zeros in between.
fn transposed(
    rewriter: &mut Rewriter<'_>,
    node: &NodeProto,
    shape: &[usize],
    kernel_shape: &[usize],
) -> Option<Outcome> {
    let rank = shape.len().checked_sub(2)?;
    let group = usize::try_from(node.int("group").unwrap_or(1)).ok()?;
    let list = |name: &str, default: usize| match windows::lengths(node, name) {
        Some(list) if list.is_empty() => Some(vec![default; rank]),
        list => list,
    };
    let (strides, dilations) = (list("strides", 1)?, list("dilations", 1)?);
    let (extra, pads) = (list("output_padding", 0)?, node.ints("pads"));
    let wanted = windows::lengths(node, "output_shape")?;
    let auto = node.string("auto_pad").unwrap_or("NOTSET");
    // The kernel: [in, out / group, …] becomes [out, in / group, …].
    let mut lengths = kernel_shape.to_vec();
    let mut kernel = node.input_name(1)?.to_owned();
    for at in 0..rank {
        let length = lengths[at + 2];
        let back: Vec<i64> = (0..length as i64).rev().collect();
        if length > 1 {
            kernel = rewriter.gather(&kernel, &back, at + 2);
        }
        kernel = stuffed(rewriter, &kernel, &mut lengths, at + 2, dilations[at]);
    }
    let (inputs, outputs) = (lengths[0] / group.max(1), lengths[1]);
    let spatial = lengths[2..].to_vec();
    let with = |first: &[usize]| -> Vec<usize> { first.iter().chain(&spatial).copied().collect() };
    let grouped = rewriter.reshape(&kernel, &with(&[group, inputs, outputs]));
    let order: Vec<usize> = [0, 2, 1].into_iter().chain(3..3 + rank).collect();
    let turned = rewriter.transpose(&grouped, &order);
    let kernel = rewriter.reshape(&turned, &with(&[group * outputs, inputs]));
    // The input, with zeros between and around.
    let mut value = node.input_name(0)?.to_owned();
    let mut now = shape.to_vec();
    let (mut before, mut after) = (vec![0; rank + 2], vec![0; rank + 2]);
    for at in 0..rank {
        let reach = spatial[at] as i64;
        let (stride, length) = (strides[at] as i64, shape[at + 2] as i64);
        let full = stride * (length - 1) + extra[at] as i64 + reach;
        let wanted =
            match wanted.get(wanted.len().checked_sub(rank).map_or(usize::MAX, |it| it + at)) {
                Some(wanted) => Some(*wanted as i64),
                None if auto.starts_with("SAME") => Some(stride * length),
                None => None,
            };
        let (start, end) = match wanted {
            Some(wanted) => {
                let total = (full - wanted).max(0);
                let (less, more) = (total / 2, total - total / 2);
                if auto == "SAME_UPPER" { (less, more) } else { (more, less) }
            }
            None if auto == "VALID" || pads.is_empty() => (0, 0),
            None => (*pads.get(at)?, *pads.get(rank + at)?),
        };
        let short = wanted.map_or(0, |wanted| (wanted - full).max(0));
        value = stuffed(rewriter, &value, &mut now, at + 2, strides[at]);
        let (mut first, mut last) = (0, now[at + 2] as i64);
        let (lead, tail) = (reach - 1 - start, reach - 1 - end + extra[at] as i64 + short);
        first -= lead.min(0);
        last += tail.min(0);
        if lead < 0 || tail < 0 {
            let (first, last) = (usize::try_from(first).ok()?, usize::try_from(last).ok()?);
            value = rewriter.slice(&value, at + 2, first, last);
            now[at + 2] = last.checked_sub(first)?;
        }
        before[at + 2] = usize::try_from(lead.max(0)).ok()?;
        after[at + 2] = usize::try_from(tail.max(0)).ok()?;
    }
    let value = rewriter.pad(&value, &before, &after);
    let attributes = vec![
        AttributeProto::ints(
            "kernel_shape",
            spatial.iter().map(|it| *it as i64).collect::<Vec<_>>(),
        ),
        AttributeProto::ints("strides", vec![1; rank]),
        AttributeProto::ints("pads", vec![0; 2 * rank]),
        AttributeProto::int("group", group as i64),
    ];
    let mut inputs = vec![value.as_str(), kernel.as_str()];
    inputs.extend(node.input_name(2));
    Some(Outcome::one(rewriter.node("Conv", &inputs, attributes)))
}
