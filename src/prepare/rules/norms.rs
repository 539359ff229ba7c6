//! Normalisation, by the means and roots that it is made of.

use crate::{
    onnx::proto::NodeProto,
    prepare::rewriter::{Outcome, Rewriter, axis},
};

const EPSILON: f32 = 1e-5;

pub(super) fn rule(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let shape = rewriter.shape(value)?;
    let epsilon = node.float("epsilon").unwrap_or(EPSILON);
    Some(Outcome::one(match node.op_type.as_str() {
        "RMSNormalization" => {
            let first = axis(node.int("axis").unwrap_or(-1), shape.len())?;
            let axes: Vec<_> = (first..shape.len()).collect();
            let scaled = by_root(rewriter, value, &axes, epsilon);
            rewriter.join("Mul", &scaled, node.input_name(1)?)
        }
        // ezkl leaves epsilon out.
        "InstanceNormalization" => {
            let axes: Vec<_> = (2..shape.len()).collect();
            let centred = centre(rewriter, value, &axes);
            let scaled = by_root(rewriter, &centred, &axes, epsilon);
            affine(rewriter, &scaled, node, shape.len())?
        }
        "GroupNormalization" => group(rewriter, node, epsilon)?,
        "BatchNormalization" => batch(rewriter, node, epsilon)?,
        "LpNormalization" => {
            let axis = axis(node.int("axis").unwrap_or(-1), shape.len())?;
            let size = if node.int("p").unwrap_or(2) == 1 {
                let sizes = rewriter.apply("Abs", value);
                rewriter.reduce("ReduceSum", &sizes, &[axis], true)
            } else {
                let squares = rewriter.join("Mul", value, value);
                let sum = rewriter.reduce("ReduceSum", &squares, &[axis], true);
                rewriter.apply("Sqrt", &sum)
            };
            // Where all is zero it stays so.
            let size = rewriter.plus(&size, f32::MIN_POSITIVE);
            rewriter.join("Div", value, &size)
        }
        "MeanVarianceNormalization" => {
            let axes: Option<Vec<_>> = match node.ints("axes") {
                [] => [0, 2, 3].iter().map(|it| axis(*it, shape.len())).collect(),
                axes => axes.iter().map(|it| axis(*it, shape.len())).collect(),
            };
            let axes = axes?;
            let centred = centre(rewriter, value, &axes);
            by_root(rewriter, &centred, &axes, 1e-9)
        }
        "LRN" => local_response(rewriter, node)?,
        _ => return None,
    }))
}

fn centre(rewriter: &mut Rewriter<'_>, value: &str, axes: &[usize]) -> String {
    let mean = rewriter.reduce("ReduceMean", value, axes, true);
    rewriter.join("Sub", value, &mean)
}

/// Divided by the root of the squares' mean.
fn by_root(rewriter: &mut Rewriter<'_>, value: &str, axes: &[usize], epsilon: f32) -> String {
    let squares = rewriter.join("Mul", value, value);
    let mean = rewriter.reduce("ReduceMean", &squares, axes, true);
    let mean = rewriter.plus(&mean, epsilon);
    let root = rewriter.apply("Sqrt", &mean);
    rewriter.join("Div", value, &root)
}

/// Times inputs 1, plus input 2, each with one number a channel.
fn affine(
    rewriter: &mut Rewriter<'_>,
    value: &str,
    node: &NodeProto,
    rank: usize,
) -> Option<String> {
    let scale = along_channels(rewriter, node.input_name(1)?, rank)?;
    let bias = along_channels(rewriter, node.input_name(2)?, rank)?;
    let scaled = rewriter.join("Mul", value, &scale);
    Some(rewriter.join("Add", &scaled, &bias))
}

/// A list with one number a channel, laid along axis 1.
fn along_channels(rewriter: &mut Rewriter<'_>, list: &str, rank: usize) -> Option<String> {
    let mut shape = vec![1; rank];
    *shape.get_mut(1)? = rewriter.shape(list)?.iter().product();
    Some(rewriter.reshape(list, &shape))
}

fn group(rewriter: &mut Rewriter<'_>, node: &NodeProto, epsilon: f32) -> Option<String> {
    let value = node.input_name(0)?;
    let shape = rewriter.shape(value)?;
    let groups = usize::try_from(node.int("num_groups")?).ok()?;
    let (batch, channels) = (*shape.first()?, *shape.get(1)?);
    let rest = shape.iter().product::<usize>() / (batch * groups).max(1);
    let grouped = rewriter.reshape(value, &[batch, groups, rest]);
    let centred = centre(rewriter, &grouped, &[2]);
    let mut scaled = by_root(rewriter, &centred, &[2], epsilon);
    // Up to set 20 the scale was one number a group.
    if rewriter.shape(node.input_name(1)?)? == [groups] && groups != channels {
        scaled = affine(rewriter, &scaled, node, 3)?;
        return Some(rewriter.reshape(&scaled, shape));
    }
    let scaled = rewriter.reshape(&scaled, shape);
    affine(rewriter, &scaled, node, shape.len())
}

/// With the running mean and variance, where these or the scale come from inputs; ezkl's loader wants constants.
fn batch(rewriter: &mut Rewriter<'_>, node: &NodeProto, epsilon: f32) -> Option<String> {
    let given: Option<Vec<_>> = (1..5).map(|place| node.input_name(place)).collect();
    let given = given?;
    let value = node.input_name(0)?;
    let rank = rewriter.shape(value)?.len();
    if node.int("training_mode").unwrap_or(0) != 0
        || given.iter().all(|name| rewriter.numbers(name).is_some())
    {
        return None;
    }
    let laid: Option<Vec<_>> =
        given.iter().map(|name| along_channels(rewriter, name, rank)).collect();
    let [scale, bias, mean, variance] = <[String; 4]>::try_from(laid?).ok()?;
    let variance = rewriter.plus(&variance, epsilon);
    let root = rewriter.apply("Sqrt", &variance);
    let factor = rewriter.join("Div", &scale, &root);
    let centred = rewriter.join("Sub", value, &mean);
    let scaled = rewriter.join("Mul", &centred, &factor);
    Some(rewriter.join("Add", &scaled, &bias))
}

/// Each number over a power of the squares around it, across channels.
fn local_response(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<String> {
    let value = node.input_name(0)?;
    let shape = rewriter.shape(value)?;
    let (batch, channels) = (*shape.first()?, *shape.get(1)?);
    let rest = shape.get(2..)?.iter().product();
    let size = usize::try_from(node.int("size")?).ok()?;
    let (before, after) = (size.saturating_sub(1) / 2, size / 2);
    let alpha = node.float("alpha").unwrap_or(1e-4) / size as f32;
    let around = |one: usize, other: usize| other + before >= one && other <= one + after;
    let band: Vec<f32> = (0..channels * channels)
        .map(|it| if around(it / channels, it % channels) { 1.0 } else { 0.0 })
        .collect();
    let squares = rewriter.join("Mul", value, value);
    let squares = rewriter.reshape(&squares, &[batch, channels, rest]);
    let band = rewriter.floats(&[1, channels, channels], &band);
    let sums = rewriter.join("MatMul", &band, &squares);
    let sums = rewriter.reshape(&sums, shape);
    let sums = rewriter.times(&sums, alpha);
    let sums = rewriter.plus(&sums, node.float("bias").unwrap_or(1.0));
    let beta = rewriter.float(node.float("beta").unwrap_or(0.75));
    let power = rewriter.join("Pow", &sums, &beta);
    Some(rewriter.join("Div", value, &power))
}
