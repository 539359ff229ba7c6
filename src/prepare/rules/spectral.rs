//! Transforms between times and frequencies, and determinants: sums of products with numbers that are known.

use crate::{
    onnx::proto::NodeProto,
    prepare::rewriter::{Outcome, Rewriter, axis},
};
use std::f64::consts::TAU;

/// Beyond this a determinant's expansion has more terms than a circuit should.
const LARGEST_DETERMINANT: usize = 4;

pub(super) fn rule(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    match node.op_type.as_str() {
        "DFT" => transform(rewriter, node),
        _ => frames(rewriter, node),
    }
}

/// The matrix of a transform from `given` numbers of `parts` parts each to `out` complex ones, or to real ones where
/// half of a spectrum goes back to what it came from.
struct Transform {
    length: usize,
    given: usize,
    parts: usize,
    out: usize,
    out_parts: usize,
    inverse: bool,
}

impl Transform {
    fn matrix(&self) -> Vec<f32> {
        let columns = self.out * self.out_parts;
        let mut matrix = vec![0f32; self.given * self.parts * columns];
        let share = if self.inverse { 1.0 / self.length as f64 } else { 1.0 };
        let halved = self.inverse && self.out_parts == 1;
        for from in 0..self.given.min(self.length) {
            // Each frequency but the first and the middle one stands for two.
            let twice = halved && from != 0 && 2 * from != self.length;
            let share = if twice { 2.0 * share } else { share };
            for to in 0..self.out {
                let turn = TAU * ((from * to) % self.length) as f64 / self.length as f64;
                let sine = if self.inverse { turn.sin() } else { -turn.sin() };
                let mut put = |part: usize, out_part: usize, weight: f64| {
                    if part < self.parts && out_part < self.out_parts {
                        let place = (from * self.parts + part) * columns;
                        matrix[place + to * self.out_parts + out_part] = (weight * share) as f32;
                    }
                };
                put(0, 0, turn.cos());
                put(1, 0, -sine);
                put(0, 1, sine);
                put(1, 1, turn.cos());
            }
        }
        matrix
    }
}

fn transform(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let shape = rewriter.shape(value)?;
    let result = rewriter.shape(node.output_name(0)?)?;
    let rank = shape.len();
    let place = axis(node.int("axis").unwrap_or(1), rank)?;
    let inverse = node.int("inverse").unwrap_or(0) != 0;
    let out_parts = *result.last()?;
    let length = match node.input_name(1) {
        Some(length) => *rewriter.numbers(length)?.first()? as usize,
        None if inverse && out_parts == 1 => result[place],
        None => shape[place],
    };
    let transform = Transform {
        length,
        given: shape[place],
        parts: *shape.last()?,
        out: result[place],
        out_parts,
        inverse,
    };
    // The axis beside the parts, then both as one.
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(place, rank - 2);
    let turned = rewriter.transpose(value, &order);
    let mut lengths: Vec<usize> = order.iter().map(|it| shape[*it]).collect();
    lengths.truncate(rank - 2);
    let with = |ends: &[usize]| -> Vec<usize> { lengths.iter().chain(ends).copied().collect() };
    let flat = rewriter.reshape(&turned, &with(&[transform.given * transform.parts]));
    let (rows, columns) = (transform.given * transform.parts, transform.out * out_parts);
    let matrix = rewriter.floats(&[rows, columns], &transform.matrix());
    let product = rewriter.join("MatMul", &flat, &matrix);
    let parts = rewriter.reshape(&product, &with(&[transform.out, out_parts]));
    Some(Outcome::one(rewriter.transpose(&parts, &order)))
}

/// The transforms of pieces that begin at even steps.
fn frames(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let [batch, _, parts] = *rewriter.shape(value)? else { return None };
    let [_, count, out, _] = *rewriter.shape(node.output_name(0)?)? else { return None };
    let step = *rewriter.numbers(node.input_name(1)?)?.first()? as usize;
    let length = match (node.input_name(3), node.input_name(2)) {
        (Some(length), _) => *rewriter.numbers(length)?.first()? as usize,
        (None, Some(window)) => *rewriter.shape(window)?.first()?,
        _ => return None,
    };
    let places: Vec<i64> =
        (0..count * length).map(|it| ((it / length) * step + it % length) as i64).collect();
    let taken = rewriter.gather(value, &places, 1);
    let mut taken = rewriter.reshape(&taken, &[batch, count, length, parts]);
    if let Some(window) = node.input_name(2) {
        let window = rewriter.as_float(window);
        let window = rewriter.reshape(&window, &[1, 1, length, 1]);
        taken = rewriter.join("Mul", &taken, &window);
    }
    let transform = Transform { length, given: length, parts, out, out_parts: 2, inverse: false };
    let flat = rewriter.reshape(&taken, &[batch, count, length * parts]);
    let matrix = rewriter.floats(&[length * parts, out * 2], &transform.matrix());
    let product = rewriter.join("MatMul", &flat, &matrix);
    Some(Outcome::one(rewriter.reshape(&product, &[batch, count, out, 2])))
}

/// By expansion along rows.
pub(super) fn determinant(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    let shape = rewriter.shape(value)?;
    let size = *shape.last()?;
    if size > LARGEST_DETERMINANT {
        return Some(Outcome::Refuse(format!(
            "a determinant of more than {LARGEST_DETERMINANT} rows has no circuit here; work it out from a factorisation \
             that the model is given"
        )));
    }
    let place = shape.len() - 2;
    let mut elements = Vec::new();
    for row in 0..size {
        let line = rewriter.pick(value, row as i64, place);
        for column in 0..size {
            elements.push(rewriter.pick(&line, column as i64, place));
        }
    }
    let columns: Vec<usize> = (0..size).collect();
    Some(Outcome::one(expand(rewriter, &elements, size, 0, &columns)?))
}

fn expand(
    rewriter: &mut Rewriter<'_>,
    elements: &[String],
    size: usize,
    row: usize,
    columns: &[usize],
) -> Option<String> {
    let mut sum: Option<String> = None;
    for (number, column) in columns.iter().enumerate() {
        let element = elements.get(row * size + column)?.clone();
        let term = if row + 1 == size {
            element
        } else {
            let rest: Vec<usize> = columns.iter().copied().filter(|it| it != column).collect();
            let minor = expand(rewriter, elements, size, row + 1, &rest)?;
            rewriter.join("Mul", &element, &minor)
        };
        sum = Some(match sum {
            None => term,
            Some(sum) => rewriter.join(if number % 2 == 0 { "Add" } else { "Sub" }, &sum, &term),
        });
    }
    sum
}
