//! Pictures at another size, or looked at through a grid: each axis by a matrix that is worked out beforehand.

use crate::{
    onnx::{
        proto::{NodeProto, TensorProto},
        tensor::element,
    },
    prepare::rewriter::{Outcome, Rewriter, axis},
};

/// How an axis is drawn out.
struct Axis {
    length: usize,
    out: usize,
    scale: f64,
    /// Which part of the axis is shown, where the mode cuts it.
    part: (f64, f64),
}

pub(super) fn rule(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let shape = rewriter.shape(value)?;
    let result = rewriter.shape(node.output_name(0)?)?;
    let kind = rewriter.element(value)?;
    let axes = axes(rewriter, node, shape, result)?;
    if node.string("coordinate_transformation_mode") == Some("align_corners")
        && axes.iter().any(|axis| (axis.scale * axis.length as f64 - axis.out as f64).abs() > 1e-3)
    {
        return Some(Outcome::Refuse(
            "ONNX and ONNX Runtime part over align_corners with scales that make no whole size; give it sizes".into(),
        ));
    }
    let mut now = rewriter.as_float(value);
    let mut outside: Vec<Vec<bool>> = Vec::new();
    for (place, axis) in axes.iter().enumerate() {
        let origins: Vec<f64> = (0..axis.out).map(|it| axis.origin(node, it)).collect();
        let last = axis.length as f64 - 1.0;
        let cut = node.string("coordinate_transformation_mode") == Some("tf_crop_and_resize");
        outside.push(origins.iter().map(|it| cut && !(0.0..=last).contains(it)).collect());
        if axis.length == axis.out && origins.iter().enumerate().all(|(it, at)| *at == it as f64) {
            continue;
        }
        if node.string("mode").unwrap_or("nearest") == "nearest" {
            let places: Vec<i64> = origins.iter().map(|it| axis.nearest(node, *it)).collect();
            now = rewriter.gather(&now, &places, place);
            continue;
        }
        let mut matrix = vec![0f32; axis.length * axis.out];
        for (out, origin) in origins.iter().enumerate() {
            for (place, weight) in axis.weights(node, *origin) {
                matrix[place * axis.out + out] += weight as f32;
            }
        }
        let matrix = rewriter.floats(&[axis.length, axis.out], &matrix);
        now = along(rewriter, &now, shape.len(), place, &matrix);
    }
    if outside.iter().flatten().any(|it| *it) {
        now = extrapolated(rewriter, node, &now, result, &outside);
    }
    if !element::is_float(kind) && node.string("mode").unwrap_or("nearest") != "nearest" {
        return None;
    }
    Some(Outcome::one(rewriter.as_whole(&now, kind)))
}

/// Multiplies an axis by a matrix.
pub(super) fn along(
    rewriter: &mut Rewriter<'_>,
    value: &str,
    rank: usize,
    place: usize,
    matrix: &str,
) -> String {
    if place + 1 == rank {
        return rewriter.join("MatMul", value, matrix);
    }
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(place, rank - 1);
    let turned = rewriter.transpose(value, &order);
    let product = rewriter.join("MatMul", &turned, matrix);
    rewriter.transpose(&product, &order)
}

/// With a number of its own where the grid lies beyond the picture.
fn extrapolated(
    rewriter: &mut Rewriter<'_>,
    node: &NodeProto,
    value: &str,
    shape: &[usize],
    outside: &[Vec<bool>],
) -> String {
    let count: usize = shape.iter().product();
    let is_outside = |mut place: usize| {
        shape.iter().zip(outside).rev().any(|(length, outside)| {
            let at = place % length;
            place /= length;
            outside[at]
        })
    };
    let outside: Vec<bool> = (0..count).map(is_outside).collect();
    let fill = node.float("extrapolation_value").unwrap_or(0.0);
    let kept: Vec<f32> = outside.iter().map(|it| if *it { 0.0 } else { 1.0 }).collect();
    let filled: Vec<f32> = outside.iter().map(|it| if *it { fill } else { 0.0 }).collect();
    let kept = rewriter.floats(shape, &kept);
    let value = rewriter.join("Mul", value, &kept);
    let filled = rewriter.floats(shape, &filled);
    rewriter.join("Add", &value, &filled)
}

fn axes(
    rewriter: &Rewriter<'_>,
    node: &NodeProto,
    shape: &[usize],
    result: &[usize],
) -> Option<Vec<Axis>> {
    let rank = shape.len();
    let places: Vec<usize> = match node.ints("axes") {
        [] => (0..rank).collect(),
        list => list.iter().map(|it| axis(*it, rank)).collect::<Option<_>>()?,
    };
    let list = |place| {
        let numbers = node.input_name(place).map(|name| rewriter.numbers(name));
        numbers.unwrap_or_else(|| Some(Vec::new()))
    };
    let (region, scales, sizes) = (list(1)?, list(2)?, list(3)?);
    let mut axes: Vec<Axis> = shape
        .iter()
        .zip(result)
        .map(|(length, out)| Axis {
            length: *length,
            out: *out,
            scale: *out as f64 / *length as f64,
            part: (0.0, 1.0),
        })
        .collect();
    let policy = node.string("keep_aspect_ratio_policy").unwrap_or("stretch");
    let wanted = |number: usize, place: usize| Some(sizes.get(number)? / shape[place] as f64);
    let all: Vec<f64> =
        places.iter().enumerate().filter_map(|(number, place)| wanted(number, *place)).collect();
    let common = match policy {
        "not_larger" => all.iter().copied().reduce(f64::min),
        "not_smaller" => all.iter().copied().reduce(f64::max),
        _ => None,
    };
    for (number, place) in places.iter().enumerate() {
        let axis = axes.get_mut(*place)?;
        if let Some(scale) = scales.get(number).or(common.as_ref()) {
            axis.scale = *scale;
        }
        if let (Some(start), Some(end)) = (region.get(number), region.get(places.len() + number)) {
            axis.part = (*start, *end);
        }
    }
    Some(axes)
}

impl Axis {
    /// The place in the input that an element of the result shows.
    fn origin(&self, node: &NodeProto, place: usize) -> f64 {
        let (place, scale) = (place as f64, self.scale);
        let (length, out) = (self.length as f64, self.out as f64);
        match node.string("coordinate_transformation_mode").unwrap_or("half_pixel") {
            "asymmetric" => place / scale,
            "align_corners" if self.out == 1 => 0.0,
            "align_corners" => place * (length - 1.0) / (out - 1.0),
            "pytorch_half_pixel" if self.out == 1 => 0.0,
            "tf_half_pixel_for_nn" => (place + 0.5) / scale,
            "half_pixel_symmetric" => {
                let share = out / (scale * length);
                length / 2.0 * (1.0 - share) + (place + 0.5) / scale - 0.5
            }
            "tf_crop_and_resize" => {
                let (start, end) = self.part;
                match self.out {
                    1 => 0.5 * (start + end) * (length - 1.0),
                    _ => {
                        start * (length - 1.0)
                            + place * (end - start) * (length - 1.0) / (out - 1.0)
                    }
                }
            }
            _ => (place + 0.5) / scale - 0.5,
        }
    }

    fn nearest(&self, node: &NodeProto, origin: f64) -> i64 {
        // ONNX Runtime works in floats of 32 bits, by which a half is one or not.
        let origin = f64::from(origin as f32);
        let nearest = match node.string("nearest_mode").unwrap_or("round_prefer_floor") {
            "floor" => origin.floor(),
            "ceil" => origin.ceil(),
            "round_prefer_ceil" => (origin + 0.5).floor(),
            _ => (origin - 0.5).ceil(),
        };
        nearest.clamp(0.0, self.length as f64 - 1.0) as i64
    }

    /// The places of the input that make an element of the result, with their weights.
    fn weights(&self, node: &NodeProto, origin: f64) -> Vec<(usize, f64)> {
        let cubic = node.string("mode") == Some("cubic");
        let a = f64::from(node.float("cubic_coeff_a").unwrap_or(-0.75));
        let antialias = node.int("antialias") == Some(1) && self.scale < 1.0;
        let narrow = if antialias { self.scale } else { 1.0 };
        let reach = if cubic { 2.0 } else { 1.0 } / narrow;
        let last = self.length as i64 - 1;
        // Without a smoothing filter a line between two places ends at the border.
        let origin = if cubic || antialias { origin } else { origin.clamp(0.0, last as f64) };
        let (first, end) = ((origin - reach).floor() as i64, (origin + reach).ceil() as i64);
        let exclude = node.int("exclude_outside") == Some(1);
        let curve = |distance: f64| {
            let distance = distance.abs();
            match (cubic, distance) {
                (false, distance) => (1.0 - distance).max(0.0),
                (true, d) if d < 1.0 => ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0,
                (true, d) if d < 2.0 => ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a,
                _ => 0.0,
            }
        };
        let taps: Vec<(i64, f64)> = (first..=end)
            .map(|place| (place, curve((place as f64 - origin) * narrow)))
            .filter(|(place, weight)| *weight != 0.0 && (!exclude || (0..=last).contains(place)))
            .collect();
        let sum: f64 = taps.iter().map(|(_, weight)| weight).sum();
        let whole = if (exclude || antialias) && sum != 0.0 { sum } else { 1.0 };
        taps.into_iter()
            .map(|(place, weight)| (place.clamp(0, last) as usize, weight / whole))
            .collect()
    }
}

/// Each point of a grid as a mix of the picture's elements: how near it lies to each.
pub(super) fn grid_sample(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let (value, grid) = (node.input_name(0)?, node.input_name(1)?);
    let (shape, grid_shape) = (rewriter.shape(value)?, rewriter.shape(grid)?);
    let padding = node.string("padding_mode").unwrap_or("zeros");
    let mode = node.string("mode").unwrap_or("linear");
    let cubic = ["cubic", "bicubic"].contains(&mode);
    if cubic && padding != "zeros" {
        return Some(Outcome::Refuse(format!(
            "mode cubic with padding_mode {padding} has no circuit; use padding_mode zeros, or mode linear"
        )));
    }
    let rank = shape.len().checked_sub(2)?;
    let (batch, channels) = (shape[0], shape[1]);
    let points: usize = grid_shape.get(1..=rank)?.iter().product();
    let corners = node.int("align_corners").unwrap_or(0) != 0;
    let mut weights: Option<String> = None;
    let mut width = 1;
    for place in 0..rank {
        let length = shape[place + 2];
        // The last axis comes first in a grid.
        let at = rewriter.pick(grid, (rank - 1 - place) as i64, rank + 1);
        let at = rewriter.reshape(&at, &[batch, points, 1]);
        let (factor, term) = if corners {
            ((length as f32 - 1.0) / 2.0, (length as f32 - 1.0) / 2.0)
        } else {
            (length as f32 / 2.0, (length as f32 - 1.0) / 2.0)
        };
        let at = rewriter.times(&at, factor);
        let mut at = rewriter.plus(&at, term);
        match padding {
            "border" => at = rewriter.clip(&at, 0.0, length as f32 - 1.0),
            "reflection" => at = reflected(rewriter, &at, length, corners),
            _ => {}
        }
        let range: Vec<f32> = (0..length).map(|it| it as f32).collect();
        let range = rewriter.floats(&[1, 1, length], &range);
        if mode == "nearest" {
            at = rewriter.apply("Round", &at);
        }
        let apart = rewriter.join("Sub", &at, &range);
        let apart = rewriter.apply("Abs", &apart);
        let near = if cubic {
            cubic_share(rewriter, &apart)
        } else {
            let near = rewriter.from(1.0, &apart);
            rewriter.apply("Relu", &near)
        };
        weights = Some(match weights {
            None => near,
            Some(weights) => {
                let weights = rewriter.reshape(&weights, &[batch, points, width, 1]);
                let near = rewriter.reshape(&near, &[batch, points, 1, length]);
                let both = rewriter.join("Mul", &weights, &near);
                rewriter.reshape(&both, &[batch, points, width * length])
            }
        });
        width *= length;
    }
    let weights = rewriter.transpose(&weights?, &[0, 2, 1]);
    let flat = rewriter.reshape(value, &[batch, channels, width]);
    let mixed = rewriter.join("MatMul", &flat, &weights);
    let result: Vec<usize> =
        [batch, channels].into_iter().chain(grid_shape[1..=rank].iter().copied()).collect();
    Some(Outcome::one(rewriter.reshape(&mixed, &result)))
}

/// A place held within an axis by turning back at its ends as often as need be.
fn reflected(rewriter: &mut Rewriter<'_>, at: &str, length: usize, corners: bool) -> String {
    let (first, span) = if corners { (0.0, length as f32 - 1.0) } else { (-0.5, length as f32) };
    if span <= 0.0 {
        return rewriter.times(at, 0.0);
    }
    let from = rewriter.plus(at, -first);
    let turns = rewriter.times(&from, 0.5 / span);
    let whole = rewriter.apply("Floor", &turns);
    let rest = rewriter.join("Sub", &turns, &whole);
    // Up to the far end and back: span - |rest - span|.
    let rest = rewriter.times(&rest, 2.0 * span);
    let rest = rewriter.plus(&rest, -span);
    let rest = rewriter.apply("Abs", &rest);
    let within = rewriter.from(span + first, &rest);
    rewriter.clip(&within, 0.0, length as f32 - 1.0)
}

/// How much a place so far away counts, by two cubic pieces that end two places away.
fn cubic_share(rewriter: &mut Rewriter<'_>, apart: &str) -> String {
    const A: f32 = -0.75;
    let mut piece = |reach: f32, cube: f32, square: f32| {
        let end = rewriter.from(reach, apart);
        let end = rewriter.apply("Relu", &end);
        let sum = rewriter.times(&end, cube);
        let sum = rewriter.plus(&sum, square);
        let sum = rewriter.join("Mul", &sum, &end);
        rewriter.join("Mul", &sum, &end)
    };
    // The outer piece, seen from where it ends, and what the inner one has beside it, seen from where that ends.
    let far = piece(2.0, -A, A);
    let near = piece(1.0, -2.0, 3.0 + 4.0 * A);
    rewriter.join("Add", &far, &near)
}

/// A grid's points, each moved by a matrix.
pub(super) fn affine_grid(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let matrix = node.input_name(0)?;
    let size: Vec<usize> = rewriter
        .whole(node.input_name(1)?)?
        .iter()
        .map(|it| usize::try_from(*it).ok())
        .collect::<Option<_>>()?;
    let (batch, lengths) = (*size.first()?, size.get(2..)?);
    let rank = lengths.len();
    let corners = node.int("align_corners").unwrap_or(0) != 0;
    let at = |place: usize, length: usize| match (corners, length) {
        (true, 1) => 0.0,
        (true, length) => 2.0 * place as f32 / (length as f32 - 1.0) - 1.0,
        (false, length) => (2.0 * place as f32 + 1.0) / length as f32 - 1.0,
    };
    let points: usize = lengths.iter().product();
    // [rank + 1, points]: the last axis first, ones at the end.
    let mut base = vec![1f32; (rank + 1) * points];
    for point in 0..points {
        let mut rest = point;
        for (row, length) in lengths.iter().rev().enumerate() {
            base[row * points + point] = at(rest % length, *length);
            rest /= length;
        }
    }
    let base = rewriter.weight(TensorProto::floats(&[rank + 1, points], &base));
    let rows = rewriter.reshape(matrix, &[batch * rank, rank + 1]);
    let moved = rewriter.join("MatMul", &rows, &base);
    let moved = rewriter.reshape(&moved, &[batch, rank, points]);
    let moved = rewriter.transpose(&moved, &[0, 2, 1]);
    let result: Vec<usize> =
        [batch].into_iter().chain(lengths.iter().copied()).chain([rank]).collect();
    Some(Outcome::one(rewriter.reshape(&moved, &result)))
}
