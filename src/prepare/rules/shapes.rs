//! Shapes, orders and borders.

use super::{arithmetic::broadcast, resize::along};
use crate::{
    onnx::{
        proto::{NodeProto, TensorProto},
        tensor::element,
    },
    prepare::rewriter::{Outcome, Rewriter, axis},
};

pub(super) fn rule(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    match node.op_type.as_str() {
        "MatMul" => product(rewriter, node),
        "Pad" => pad(rewriter, node),
        "Where" => choice(rewriter, node),
        "CumSum" | "CumProd" => cumulate(rewriter, node),
        "Dropout" => dropout(rewriter, node),
        "CenterCropPad" => centre(rewriter, node),
        "Col2Im" => columns(rewriter, node),
        "SpaceToDepth" => blocks(rewriter, node),
        "Tile" => tile(rewriter, node),
        "Trilu" => triangle(rewriter, node),
        "Expand" => expand(rewriter, node),
        _ => None,
    }
}

/// Matrices whose batches differ, and products of two vectors.
fn product(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let (left, right) = (node.input_name(0)?, node.input_name(1)?);
    let (one, other) = (rewriter.shape(left)?, rewriter.shape(right)?);
    if let ([length], [_]) = (one, other) {
        let row = rewriter.reshape(left, &[1, *length]);
        let column = rewriter.reshape(right, &[*length, 1]);
        let product = rewriter.join("MatMul", &row, &column);
        return Some(Outcome::one(rewriter.reshape(&product, &[])));
    }
    if one.len() < 2 || other.len() < 2 {
        return None;
    }
    let (batch, other_batch) = (&one[..one.len() - 2], &other[..other.len() - 2]);
    if batch == other_batch || other_batch.is_empty() {
        return None;
    }
    let common = broadcast(batch, other_batch)?;
    let mut wide = |name: &str, shape: &[usize]| {
        let (batch, matrix) = shape.split_at(shape.len() - 2);
        if batch == common {
            return name.to_owned();
        }
        let wanted: Vec<usize> = common.iter().chain(matrix).copied().collect();
        rewriter.expand(name, &wanted)
    };
    let (left, right) = (wide(left, one), wide(right, other));
    Some(Outcome::one(rewriter.join("MatMul", &left, &right)))
}

/// Borders that repeat what lies inside, that take away, or that are no zeros.
fn pad(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let shape = rewriter.shape(value)?;
    let kind = rewriter.element(value)?;
    let pads = rewriter.whole(node.input_name(1)?)?;
    if pads.iter().all(|it| *it == 0) {
        return Some(Outcome::one(value.to_owned()));
    }
    let (before, after) = pads.split_at_checked(shape.len())?;
    let mode = node.string("mode").unwrap_or("constant");
    let mut now = value.to_owned();
    if mode != "constant" {
        for (place, length) in shape.iter().enumerate() {
            if before[place] == 0 && after[place] == 0 {
                continue;
            }
            let length = *length as i64;
            let end = length + after[place];
            let places: Option<Vec<i64>> =
                (-before[place]..end).map(|it| mirrored(it, length, mode)).collect();
            now = rewriter.gather(&now, &places?, place);
        }
        return Some(Outcome::one(now));
    }
    let given = node.input_name(2);
    let fill = match given.map(|fill| rewriter.numbers(fill)) {
        Some(Some(fill)) => Some(*fill.first()? as f32),
        Some(None) => None,
        None => Some(0.0),
    };
    let negative = pads.iter().any(|it| *it < 0);
    if !negative && fill == Some(0.0) && kind == element::FLOAT {
        return None;
    }
    let mut lengths = shape.to_vec();
    for place in 0..shape.len() {
        let (start, end) = (before[place].min(0), after[place].min(0));
        if start < 0 || end < 0 {
            let start = usize::try_from(-start).ok()?;
            let end = usize::try_from(shape[place] as i64 + end).ok()?;
            now = rewriter.slice(&now, place, start, end);
            lengths[place] = end.checked_sub(start)?;
        }
    }
    let count =
        |list: &[i64]| -> Vec<usize> { list.iter().map(|it| (*it).max(0) as usize).collect() };
    let (before, after) = (count(before), count(after));
    let mut float = if kind == element::FLOAT { now } else { rewriter.cast(&now, element::FLOAT) };
    float = rewriter.pad(&float, &before, &after);
    if fill != Some(0.0) {
        let outer: Vec<usize> =
            (0..shape.len()).map(|it| before[it] + lengths[it] + after[it]).collect();
        let border: Vec<f32> = (0..outer.iter().product())
            .map(|place: usize| {
                let mut rest = place;
                let inside = (0..outer.len()).rev().all(|at| {
                    let here = rest % outer[at];
                    rest /= outer[at];
                    (before[at]..before[at] + lengths[at]).contains(&here)
                });
                if inside { 0.0 } else { fill.unwrap_or(1.0) }
            })
            .collect();
        let mut border = rewriter.floats(&outer, &border);
        if fill.is_none() {
            let fill = rewriter.as_float(given?);
            border = rewriter.join("Mul", &border, &fill);
        }
        float = rewriter.join("Add", &float, &border);
    }
    Some(Outcome::one(rewriter.as_whole(&float, kind)))
}

/// The place inside that a place of a border repeats.
fn mirrored(place: i64, length: i64, mode: &str) -> Option<i64> {
    match mode {
        "edge" => Some(place.clamp(0, length - 1)),
        "wrap" => Some(place.rem_euclid(length)),
        "reflect" if length == 1 => Some(0),
        "reflect" => {
            let turn = place.rem_euclid(2 * (length - 1));
            Some(turn.min(2 * (length - 1) - turn))
        }
        _ => None,
    }
}

/// A choice that no input decides.
fn choice(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let condition = rewriter.numbers(node.input_name(0)?)?;
    let first = *condition.first()?;
    if condition.iter().any(|it| (*it != 0.0) != (first != 0.0)) {
        return None;
    }
    let chosen = node.input_name(if first != 0.0 { 1 } else { 2 })?;
    let result = rewriter.shape(node.output_name(0)?)?;
    Some(Outcome::one(match rewriter.shape(chosen)? == result {
        true => chosen.to_owned(),
        false => rewriter.expand(chosen, result),
    }))
}

fn cumulate(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let shape = rewriter.shape(value)?;
    let kind = rewriter.element(value)?;
    let place = axis(*rewriter.numbers(node.input_name(1)?)?.first()? as i64, shape.len())?;
    let length = shape[place];
    let reverse = node.int("reverse") == Some(1);
    let exclusive = node.int("exclusive") == Some(1);
    let value = rewriter.as_float(value);
    let result = if node.op_type == "CumSum" {
        let counts = |from: usize, to: usize| {
            let (from, to) = if reverse { (to, from) } else { (from, to) };
            from < to || (from == to && !exclusive)
        };
        let matrix: Vec<f32> = (0..length * length)
            .map(|it| f32::from(u8::from(counts(it / length, it % length))))
            .collect();
        let matrix = rewriter.floats(&[length, length], &matrix);
        along(rewriter, &value, shape.len(), place, &matrix)
    } else {
        let mut one = shape.to_vec();
        one[place] = 1;
        let ones = vec![1f32; one.iter().product()];
        let mut product = rewriter.floats(&one, &ones);
        let mut parts = vec![String::new(); length];
        for step in 0..length {
            let at = if reverse { length - 1 - step } else { step };
            let part = rewriter.slice(&value, place, at, at + 1);
            let next = rewriter.join("Mul", &product, &part);
            parts[at] = if exclusive { product } else { next.clone() };
            product = next;
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        rewriter.concat(&parts, place)
    };
    Some(Outcome::one(rewriter.as_whole(&result, kind)))
}

fn dropout(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let number = |place: usize| node.input_name(place).map(|name| rewriter.numbers(name));
    let first = |list: Option<Option<Vec<f64>>>, usual: f64| match list {
        Some(list) => list?.first().copied(),
        None => Some(usual),
    };
    let (ratio, training) = (first(number(1), 0.5)?, first(number(2), 0.0)?);
    if training != 0.0 && ratio != 0.0 {
        return Some(Outcome::Refuse(
            "it is in training mode; export the model for inference".into(),
        ));
    }
    if !rewriter.is_read(node, 1) && node.input_name(2).is_none() {
        return None;
    }
    let shape = rewriter.shape(value)?;
    let kept = vec![true; shape.iter().product()];
    let kept = rewriter.weight(TensorProto::booleans(shape, &kept));
    Some(Outcome::Replace(vec![value.to_owned(), kept]))
}

fn tile(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let mut now = node.input_name(0)?.to_owned();
    let shape = rewriter.shape(&now)?;
    let repeats = rewriter.whole(node.input_name(1)?)?;
    for (place, (length, times)) in shape.iter().zip(repeats).enumerate() {
        if times != 1 {
            let length = *length as i64;
            let places: Vec<i64> = (0..length * times).map(|it| it % length).collect();
            now = rewriter.gather(&now, &places, place);
        }
    }
    Some(Outcome::one(now))
}

/// Zeros on one side of a diagonal; ezkl's own is right for squares alone.
fn triangle(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let shape = rewriter.shape(value)?;
    let kind = rewriter.element(value)?;
    let diagonal = match node.input_name(1) {
        Some(diagonal) => *rewriter.numbers(diagonal)?.first()? as i64,
        None => 0,
    };
    let upper = node.int("upper").unwrap_or(1) != 0;
    let [rows, columns] = *shape.get(shape.len().checked_sub(2)?..)? else { return None };
    let kept = |place: usize| {
        let after = (place % columns) as i64 - (place / columns) as i64;
        if upper { after >= diagonal } else { after <= diagonal }
    };
    let mask: Vec<i64> = (0..rows * columns).map(|it| i64::from(kept(it))).collect();
    if element::is_float(kind) {
        let mask: Vec<f32> = mask.iter().map(|it| *it as f32).collect();
        let mask = rewriter.floats(&[rows, columns], &mask);
        return Some(Outcome::one(rewriter.join("Mul", value, &mask)));
    }
    let mask = rewriter.integer_tensor(&[rows, columns], &mask);
    let whole = rewriter.cast(value, element::INT64);
    let kept = rewriter.join("Mul", &whole, &mask);
    Some(Outcome::one(rewriter.as_whole(&kept, kind)))
}

/// ezkl takes the shape that is asked for as the result's, which it is not where the value's own is longer.
fn expand(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let shape = rewriter.shape(value)?;
    let wanted = rewriter.whole(node.input_name(1)?)?;
    let result = rewriter.shape(node.output_name(0)?)?;
    if shape == result {
        return Some(Outcome::one(value.to_owned()));
    }
    let as_asked = wanted.len() == result.len()
        && wanted.iter().zip(result).all(|(wanted, result)| *wanted == *result as i64);
    if as_asked && shape.len() == result.len() {
        return None;
    }
    let mut wide = vec![1; result.len() - shape.len()];
    wide.extend(shape);
    let value = if wide == shape { value.to_owned() } else { rewriter.reshape(value, &wide) };
    Some(Outcome::one(rewriter.expand(&value, result)))
}

/// The middle of each axis, or zeros around it.
fn centre(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let shape = rewriter.shape(value)?;
    let result = rewriter.shape(node.output_name(0)?)?;
    let kind = rewriter.element(value)?;
    let mut now = rewriter.as_float(value);
    let (mut before, mut after) = (vec![0; shape.len()], vec![0; shape.len()]);
    for (place, (length, wanted)) in shape.iter().zip(result).enumerate() {
        if wanted < length {
            let start = (length - wanted) / 2;
            now = rewriter.slice(&now, place, start, start + wanted);
        } else {
            before[place] = (wanted - length) / 2;
            after[place] = wanted - length - before[place];
        }
    }
    let now = rewriter.pad(&now, &before, &after);
    Some(Outcome::one(rewriter.as_whole(&now, kind)))
}

/// Blocks laid over each other and summed.
fn columns(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let [batch, rows, blocks] = *rewriter.shape(value)? else { return None };
    let list = |place| -> Option<Vec<usize>> {
        let list = rewriter.whole(node.input_name(place)?)?;
        list.iter().map(|it| usize::try_from(*it).ok()).collect()
    };
    let (image, kernel) = (list(1)?, list(2)?);
    let mut shape = vec![1, 1];
    shape.extend(&image);
    let axes = super::windows::axes(node, &shape, &kernel)?;
    let windows = super::windows::windows(&axes);
    let taps: usize = kernel.iter().product();
    let channels = rows / taps.max(1);
    let size: usize = image.iter().product();
    if windows.places.len() != blocks {
        return None;
    }
    let mut from: Vec<Vec<i64>> = vec![Vec::new(); size];
    for (block, window) in windows.places.iter().enumerate() {
        for (tap, place) in window.iter().enumerate() {
            if let Some(place) = place {
                from[*place].push((tap * blocks + block) as i64);
            }
        }
    }
    // A zero after the blocks stands for what is not there.
    let flat = rewriter.reshape(value, &[batch * channels, taps * blocks]);
    let none = rewriter.floats(&[batch * channels, 1], &vec![0.0; batch * channels]);
    let flat = rewriter.concat(&[&flat, &none], 1);
    let most = from.iter().map(Vec::len).max().unwrap_or_default();
    let mut sum: Option<String> = None;
    for number in 0..most {
        let places: Vec<i64> = from
            .iter()
            .map(|list| list.get(number).copied().unwrap_or((taps * blocks) as i64))
            .collect();
        let part = rewriter.gather(&flat, &places, 1);
        sum = Some(match sum {
            None => part,
            Some(sum) => rewriter.join("Add", &sum, &part),
        });
    }
    let result: Vec<usize> = [batch, channels].into_iter().chain(image).collect();
    Some(Outcome::one(rewriter.reshape(&sum?, &result)))
}

/// Each block's elements one after the other, or each channel's.
fn blocks(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let [batch, channels, height, width] = *rewriter.shape(value)? else { return None };
    let size = usize::try_from(node.int("blocksize")?).ok().filter(|size| *size > 0)?;
    let order = match node.string("mode")? {
        "CRD" => [0, 1, 3, 5, 2, 4],
        _ => [0, 3, 5, 1, 2, 4],
    };
    let (rows, columns) = (height / size, width / size);
    let split = rewriter.reshape(value, &[batch, channels, rows, size, columns, size]);
    let turned = rewriter.transpose(&split, &order);
    let result = [batch, channels * size * size, rows, columns];
    Some(Outcome::one(rewriter.reshape(&turned, &result)))
}
