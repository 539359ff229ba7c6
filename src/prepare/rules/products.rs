//! Convolutions as products of matrices, which ezkl checks by Freivalds' method instead of laying each one out.
//!
//! Every window becomes a row of a matrix: taking places is wiring, which costs no rows. The form is another one for
//! the same numbers, and whether it is the cheaper depends on the model.

use super::windows;
use crate::{
    onnx::proto::{GraphProto, NodeProto},
    prepare::{
        facts::Facts,
        rewriter::{Outcome, Rewriter},
    },
};

/// A product must have so many times the multiplications that checking it has, or it stays as it is. Depthwise ones
/// never have.
const WORTH: usize = 3;
/// In a whole model so many multiplications must be saved, about twice the rows: the check has columns of its own,
/// whatever it checks, which take gas. Where fewer are saved it doesn't pay (57,000 rows for 63,000, and a quarter
/// more gas).
const LEAST: usize = 1 << 17;

/// A convolution by a constant kernel, as products of matrices.
struct Product {
    batch: usize,
    groups: usize,
    /// Places of a window in all, for each observation.
    windows: usize,
    /// Products in a sum: rows of the kernel's matrix, and its columns, for each group.
    taps: usize,
    outputs: usize,
    axes: Vec<windows::Axis>,
}

impl Product {
    fn of(facts: &Facts, node: &NodeProto) -> Option<Self> {
        let shape = |input: usize| Some(&facts.get(node.input_name(input)?)?.shape[..]);
        let constant = |input: usize| match node.input_name(input) {
            Some(name) => facts.get(name).is_some_and(|fact| fact.constant.is_some()),
            None => input == 2,
        };
        if node.operator() != ("", "Conv") || !constant(1) || !constant(2) {
            return None;
        }
        let (shape, kernel) = (shape(0)?, shape(1)?);
        let axes = windows::axes(node, shape, kernel.get(2..)?)?;
        let groups = usize::try_from(node.int("group").unwrap_or(1)).ok().filter(|it| *it > 0)?;
        let of_axes =
            |count: fn(&windows::Axis) -> usize| axes.iter().map(count).product::<usize>();
        let product = Self {
            batch: shape[0],
            groups,
            windows: of_axes(|it| it.out),
            taps: kernel[1] * of_axes(|it| it.kernel),
            outputs: kernel[0] / groups,
            axes,
        };
        (product.multiplications() >= WORTH * product.checked()).then_some(product)
    }

    /// In each group.
    fn multiplications(&self) -> usize {
        self.batch * self.windows * self.taps * self.outputs
    }

    /// What is multiplied to check them: each matrix by a vector.
    fn checked(&self) -> usize {
        let rows = self.batch * self.windows;
        rows * self.taps + self.taps * self.outputs + rows * self.outputs
    }

    fn saved(&self) -> usize {
        self.groups * (self.multiplications() - self.checked())
    }
}

/// Whether the model has convolutions enough.
pub(super) fn is_worth_it(graph: &GraphProto, facts: &Facts) -> bool {
    let products = graph.node.iter().filter_map(|node| Product::of(facts, node));
    products.map(|product| product.saved()).sum::<usize>() >= LEAST
}

pub(super) fn rule(
    rewriter: &mut Rewriter<'_>,
    facts: &Facts,
    node: &NodeProto,
) -> Option<Outcome> {
    let Product { batch, groups, windows, taps, outputs, axes } = Product::of(facts, node)?;
    let value = node.input_name(0)?;
    let shape = rewriter.shape(value)?;
    let kernel = rewriter.numbers(node.input_name(1)?)?;
    let bias = match node.input_name(2) {
        Some(bias) => Some(rewriter.numbers(bias)?),
        None => None,
    };
    let channels = shape[1] / groups;
    // With its padding, each observation in a row.
    let around = |count: fn(&windows::Axis) -> usize| -> Vec<usize> {
        [0, 0].into_iter().chain(axes.iter().map(count)).collect()
    };
    let value = rewriter.pad(value, &around(|it| it.before), &around(|it| it.after));
    let lengths: Vec<_> = axes.iter().map(|it| it.before + it.length + it.after).collect();
    let size: usize = lengths.iter().product();
    let flat = rewriter.reshape(&value, &[batch, shape[1] * size]);
    let mut parts = Vec::new();
    for group in 0..groups {
        let places = places(&axes, &lengths, group * channels..(group + 1) * channels);
        let taken = rewriter.gather(&flat, &places, 1);
        let rows = rewriter.reshape(&taken, &[batch * windows, taps]);
        // The kernel's rows become columns.
        let first = group * outputs * taps;
        let weights: Vec<f32> = (0..taps * outputs)
            .map(|at| kernel[first + at % outputs * taps + at / outputs] as f32)
            .collect();
        let weights = rewriter.floats(&[taps, outputs], &weights);
        let mut sums = rewriter.join("MatMul", &rows, &weights);
        if let Some(bias) = &bias {
            let own = bias.get(group * outputs..(group + 1) * outputs)?;
            let own: Vec<f32> = own.iter().map(|it| *it as f32).collect();
            let own = rewriter.floats(&[1, outputs], &own);
            sums = rewriter.join("Add", &sums, &own);
        }
        let apart = rewriter.reshape(&sums, &[batch, windows, outputs]);
        parts.push(rewriter.transpose(&apart, &[0, 2, 1]));
    }
    let whole = match &parts[..] {
        [only] => only.clone(),
        parts => rewriter.concat(&parts.iter().map(String::as_str).collect::<Vec<_>>(), 1),
    };
    let mut result = vec![batch, groups * outputs];
    result.extend(axes.iter().map(|it| it.out));
    Some(Outcome::one(rewriter.reshape(&whole, &result)))
}

/// Where the taps of each window lie in an observation of these channels: window by window, in the kernel's order.
fn places(axes: &[windows::Axis], lengths: &[usize], channels: std::ops::Range<usize>) -> Vec<i64> {
    let out: Vec<_> = axes.iter().map(|it| it.out).collect();
    let kernel: Vec<_> = axes.iter().map(|it| it.kernel).collect();
    let mut all = Vec::new();
    for window in steps(&out) {
        for channel in channels.clone() {
            for tap in steps(&kernel) {
                let mut place = channel;
                for (at, axis) in axes.iter().enumerate() {
                    let along = window[at] * axis.stride + tap[at] * axis.dilation;
                    place = place * lengths[at] + along;
                }
                all.push(place as i64);
            }
        }
    }
    all
}

/// All places of a box, the last axis first.
fn steps(lengths: &[usize]) -> Vec<Vec<usize>> {
    lengths.iter().fold(vec![Vec::new()], |places, length| {
        let longer = |place: &Vec<usize>| {
            (0..*length).map(|at| place.iter().copied().chain([at]).collect()).collect::<Vec<_>>()
        };
        places.iter().flat_map(longer).collect()
    })
}
