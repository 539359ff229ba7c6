//! Quantised arithmetic, on floats without a fraction.

use crate::{
    onnx::{proto::NodeProto, tensor::element},
    prepare::rewriter::{Outcome, Rewriter, axis},
};

/// The least and the largest number of a type of small integers.
fn range(kind: i32) -> Option<(f32, f32)> {
    match kind {
        element::UINT8 => Some((0.0, 255.0)),
        element::INT8 => Some((-128.0, 127.0)),
        4 => Some((0.0, 65_535.0)),
        5 => Some((-32_768.0, 32_767.0)),
        _ => None,
    }
}

pub(super) fn rule(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let input = |place| node.input_name(place);
    let result = match node.op_type.as_str() {
        "QuantizeLinear" => {
            let kind = match (input(2), node.int("output_dtype")) {
                (Some(zero), _) => rewriter.element(zero)?,
                (None, Some(kind)) if kind != 0 => i32::try_from(kind).ok()?,
                _ => element::UINT8,
            };
            let Some(range) = range(kind) else { return Some(unknown_type(node)) };
            let value = rewriter.as_float(input(0)?);
            let shape = rewriter.shape(input(0)?)?;
            let scale = rewriter.as_float(input(1)?);
            let scale = along(rewriter, node, &scale, input(1)?, shape)?;
            let zero = zero_point(rewriter, node, input(2), shape)?;
            let scaled = rewriter.join("Div", &value, &scale);
            quantise(rewriter, &scaled, zero.as_deref(), kind, range)
        }
        "DequantizeLinear" => {
            range_or_wide(rewriter.element(input(0)?)?)?;
            let shape = rewriter.shape(input(0)?)?;
            let value = rewriter.as_float(input(0)?);
            let scale = along(rewriter, node, input(1)?, input(1)?, shape)?;
            let zero = zero_point(rewriter, node, input(2), shape)?;
            let value = less(rewriter, &value, zero.as_deref());
            rewriter.join("Mul", &value, &scale)
        }
        "DynamicQuantizeLinear" => return dynamic(rewriter, input(0)?),
        "MatMulInteger" => {
            let left = shifted(rewriter, input(0)?, input(2), false)?;
            let right = shifted(rewriter, input(1)?, input(3), true)?;
            let product = rewriter.join("MatMul", &left, &right);
            rewriter.as_whole(&product, element::INT32)
        }
        "ConvInteger" => {
            let left = shifted(rewriter, input(0)?, input(2), false)?;
            let right = kernel(rewriter, input(1)?, input(3))?;
            let product = rewriter.node("Conv", &[&left, &right], node.attribute.clone());
            rewriter.as_whole(&product, element::INT32)
        }
        "QLinearMatMul" => {
            let left = shifted(rewriter, input(0)?, input(2), false)?;
            let right = shifted(rewriter, input(3)?, input(5), true)?;
            let product = rewriter.join("MatMul", &left, &right);
            // One number a column lies along the last axis as it is.
            let scales = [input(1)?, input(4)?, input(6)?].map(str::to_owned);
            requantise(rewriter, &product, &scales, input(7)?)?
        }
        "QLinearConv" => {
            let left = shifted(rewriter, input(0)?, input(2), false)?;
            let right = kernel(rewriter, input(3)?, input(5))?;
            let mut inputs = vec![left.as_str(), right.as_str()];
            let bias = input(8).map(|bias| rewriter.cast(bias, element::FLOAT));
            inputs.extend(bias.as_deref());
            let product = rewriter.node("Conv", &inputs, node.attribute.clone());
            let rank = rewriter.shape(input(0)?)?.len();
            let mut shape = vec![1; rank - 1];
            shape[0] = rewriter.shape(input(4)?)?.iter().product();
            let weights = rewriter.reshape(input(4)?, &shape);
            let scales = [input(1)?.to_owned(), weights, input(6)?.to_owned()];
            requantise(rewriter, &product, &scales, input(7)?)?
        }
        _ => return None,
    };
    Some(Outcome::one(result))
}

fn unknown_type(node: &NodeProto) -> Outcome {
    Outcome::Refuse(format!(
        "{} to this type has no circuit; quantise to integers of 8 or 16 bits",
        node.op_type
    ))
}

fn range_or_wide(kind: i32) -> Option<()> {
    (range(kind).is_some() || kind == element::INT32).then_some(())
}

/// Rounded to the nearest, halves to the even one, and held within the type.
fn quantise(
    rewriter: &mut Rewriter<'_>,
    scaled: &str,
    zero: Option<&str>,
    kind: i32,
    (least, most): (f32, f32),
) -> String {
    let mut whole = rewriter.apply("Round", scaled);
    if let Some(zero) = zero {
        whole = rewriter.join("Add", &whole, zero);
    }
    let held = rewriter.clip(&whole, least, most);
    rewriter.as_whole(&held, kind)
}

/// A scale or zero point as it lies along the value: one for all, one for each place of an axis, or one a block.
fn along(
    rewriter: &mut Rewriter<'_>,
    node: &NodeProto,
    list: &str,
    given: &str,
    shape: &[usize],
) -> Option<String> {
    let own = rewriter.shape(given)?;
    let count: usize = own.iter().product();
    if count == 1 {
        return Some(rewriter.reshape(list, &[]));
    }
    let place = axis(node.int("axis").unwrap_or(1), shape.len())?;
    if own.len() == 1 && own[0] == shape[place] {
        let mut wide = vec![1; shape.len()];
        wide[place] = count;
        return Some(rewriter.reshape(list, &wide));
    }
    let block = node.int("block_size").unwrap_or(0);
    if block <= 0 || own.len() != shape.len() {
        return None;
    }
    let places: Vec<_> = (0..shape[place] as i64).map(|it| it / block).collect();
    Some(rewriter.gather(list, &places, place))
}

fn zero_point(
    rewriter: &mut Rewriter<'_>,
    node: &NodeProto,
    zero: Option<&str>,
    shape: &[usize],
) -> Option<Option<String>> {
    let Some(given) = zero else { return Some(None) };
    if rewriter.numbers(given).is_some_and(|numbers| numbers.iter().all(|it| *it == 0.0)) {
        return Some(None);
    }
    let zero = rewriter.as_float(given);
    Some(Some(along(rewriter, node, &zero, given, shape)?))
}

fn less(rewriter: &mut Rewriter<'_>, value: &str, zero: Option<&str>) -> String {
    match zero {
        Some(zero) => rewriter.join("Sub", value, zero),
        None => value.to_owned(),
    }
}

/// A matrix less its zero point, which is one for all, one a row of the left factor, or one a column of the right.
fn shifted(
    rewriter: &mut Rewriter<'_>,
    value: &str,
    zero: Option<&str>,
    columns: bool,
) -> Option<String> {
    let Some(given) = zero else { return Some(rewriter.as_float(value)) };
    let (value, zero) = (rewriter.as_float(value), rewriter.as_float(given));
    let shape = rewriter.shape(given)?;
    let zero = match shape {
        [] | [1] => rewriter.reshape(&zero, &[]),
        [rows] if !columns => rewriter.reshape(&zero, &[*rows, 1]),
        _ => zero,
    };
    Some(rewriter.join("Sub", &value, &zero))
}

/// A kernel less its zero point, which is one for all or one an output channel.
fn kernel(rewriter: &mut Rewriter<'_>, value: &str, zero: Option<&str>) -> Option<String> {
    let Some(given) = zero else { return Some(rewriter.as_float(value)) };
    let mut shape = vec![1; rewriter.shape(value)?.len()];
    shape[0] = rewriter.shape(given)?.iter().product();
    let (value, zero) = (rewriter.as_float(value), rewriter.as_float(given));
    let zero = rewriter.reshape(&zero, &shape);
    Some(rewriter.join("Sub", &value, &zero))
}

/// A sum of products with the scales of both factors, in that of the result.
fn requantise(
    rewriter: &mut Rewriter<'_>,
    product: &str,
    [left, right, result]: &[String; 3],
    zero: &str,
) -> Option<String> {
    let kind = rewriter.element(zero)?;
    let range = range(kind)?;
    let known = |name: &str| Some(*rewriter.numbers(name)?.first()?);
    let fixed = known(left).zip(known(result)).map(|(left, result)| left / result);
    let scaled = match fixed {
        Some(factor) => {
            // In two steps: one constant so small would have few digits left in fixed point.
            let first = 2f64.powi(-8);
            let part = rewriter.times(product, first as f32);
            let part = rewriter.times(&part, (factor / first) as f32);
            rewriter.join("Mul", &part, right)
        }
        None => {
            let part = rewriter.join("Mul", product, left);
            let part = rewriter.join("Div", &part, result);
            rewriter.join("Mul", &part, right)
        }
    };
    let zero = rewriter.as_float(zero);
    let zero = rewriter.reshape(&zero, &[]);
    Some(quantise(rewriter, &scaled, Some(&zero), kind, range))
}

/// With the range of what comes in, which always holds zero.
fn dynamic(rewriter: &mut Rewriter<'_>, value: &str) -> Option<Outcome> {
    let rank = rewriter.shape(value)?.len();
    let axes: Vec<_> = (0..rank).collect();
    let most = rewriter.reduce("ReduceMax", value, &axes, false);
    let most = rewriter.apply("Relu", &most);
    let least = rewriter.apply("Neg", value);
    let least = rewriter.reduce("ReduceMax", &least, &axes, false);
    let least = rewriter.apply("Relu", &least);
    let width = rewriter.join("Add", &most, &least);
    let scale = rewriter.times(&width, 1.0 / 255.0);
    // Divided by the width and not by the scale, which has 255 times fewer digits in fixed point.
    let zero = rewriter.times(&least, 255.0);
    let zero = rewriter.join("Div", &zero, &width);
    let zero = rewriter.apply("Round", &zero);
    let scaled = rewriter.times(value, 255.0);
    let scaled = rewriter.join("Div", &scaled, &width);
    let result = quantise(rewriter, &scaled, Some(&zero), element::UINT8, (0.0, 255.0));
    let zero = rewriter.as_whole(&zero, element::UINT8);
    Some(Outcome::Replace(vec![result, scale, zero]))
}
