//! Linear steps one after the other, as one: each step costs a circuit rows of its own for bringing its result back
//! to the common scale.
//!
//! Weights have a fixed number of binary digits in a circuit, so that a step that makes numbers much smaller, or
//! takes away most of them, stays before a layer whose weights would lose those digits.

use super::constants::Constant;
use crate::{
    onnx::{
        proto::{AttributeProto, NodeProto},
        tensor::element,
    },
    prepare::rewriter::{Outcome, Rewriter},
};

/// So many steps are looked back at most.
const MOST_STEPS: usize = 32;
/// A layer takes over a factor of not less than this: its weights lose no more than four binary digits.
const LEAST_FACTOR: f64 = 1.0 / 16.0;
/// And a term, by which what is scaled is moved, of not more than this.
const MOST_TERM: f64 = 16.0;
const EPSILON: f32 = 1e-5;

/// What each number of a value is multiplied with, and what is then added.
#[derive(Debug)]
struct Affine<'a> {
    value: &'a str,
    factor: Constant,
    term: Constant,
    /// Nodes that do this now.
    steps: usize,
    /// The first of them adds, so that numbers far from zero come near it before they are scaled.
    adds_first: bool,
}

/// The products and sums of a matrix or a convolution.
struct Layer<'a> {
    node: &'a NodeProto,
    value: &'a str,
    kind: Kind,
    weights: Constant,
    bias: Option<Constant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The weights have a row for each number that goes in; without a bias of its own.
    MatMul,
    /// The same with a bias.
    Gemm,
    Conv,
}

/// A product or sum with constants: joined with those before it, or taken into the layer before it.
pub(super) fn step_rule(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let affine = steps(rewriter, node)?;
    if let Some(layer) = read_once(rewriter, affine.value).and_then(|it| layer(rewriter, it))
        && let Some(outcome) = after(rewriter, &layer, &affine)
    {
        return Some(outcome);
    }
    let plain = usize::from(!affine.factor.is_all(1.0)) + usize::from(!affine.term.is_all(0.0));
    (plain < affine.steps).then(|| written(rewriter, &affine)).flatten()
}

/// A layer: with what is done to its input, or with the layer before it.
pub(super) fn layer_rule(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let layer = layer(rewriter, node)?;
    let before = read_once(rewriter, layer.value)?;
    if let Some(affine) = steps(rewriter, before) {
        let inner = read_once(rewriter, affine.value)
            .and_then(|it| self::layer(rewriter, it))
            .and_then(|inner| inner.then(rewriter, &affine));
        if let Some(inner) = inner {
            return joined(rewriter, &inner, &layer);
        }
        return taken_in(rewriter, &affine, &layer);
    }
    let inner = self::layer(rewriter, before)?;
    joined(rewriter, &inner, &layer)
}

/// The node that makes a value which nothing else reads.
fn read_once<'a>(rewriter: &Rewriter<'a>, name: &str) -> Option<&'a NodeProto> {
    (rewriter.readers(name) == 1).then(|| rewriter.maker(name)).flatten()
}

/// The chain of products and sums with constants that ends in a node.
fn steps<'a>(rewriter: &Rewriter<'a>, node: &'a NodeProto) -> Option<Affine<'a>> {
    let mut all = step(rewriter, node)?;
    while all.steps < MOST_STEPS
        && let Some(before) = read_once(rewriter, all.value).and_then(|it| step(rewriter, it))
    {
        let factor = before.factor.times(&all.factor)?;
        // Two small factors have more digits than their product.
        let least = factor.least();
        if least < LEAST_FACTOR && least < before.factor.least().min(all.factor.least()) {
            break;
        }
        all.term = before.term.times(&all.factor)?.plus(&all.term)?;
        all.factor = factor;
        all = Affine {
            value: before.value,
            steps: all.steps + 1,
            adds_first: before.adds_first,
            ..all
        };
    }
    (all.factor.is_finite() && all.term.is_finite()).then_some(all)
}

fn step<'a>(rewriter: &Rewriter<'a>, node: &'a NodeProto) -> Option<Affine<'a>> {
    if !node.operator().0.is_empty() {
        return None;
    }
    let value = node.input_name(0)?;
    let other = node.input_name(1);
    let constant = |name: Option<&str>| Constant::of(rewriter.fact(name?)?);
    let (one, none) = (Constant::scalar(1.0), Constant::scalar(0.0));
    let (value, factor, term) = match node.op_type.as_str() {
        "Neg" => (value, Constant::scalar(-1.0), none),
        "Mul" => match (constant(Some(value)), constant(other)) {
            (None, Some(factor)) => (value, factor, none),
            (Some(factor), None) => (other?, factor, none),
            _ => return None,
        },
        "Add" => match (constant(Some(value)), constant(other)) {
            (None, Some(term)) => (value, one, term),
            (Some(term), None) => (other?, one, term),
            _ => return None,
        },
        "Sub" => match (constant(Some(value)), constant(other)) {
            (None, Some(term)) => (value, one, term.map(|it| -it)),
            (Some(term), None) => (other?, Constant::scalar(-1.0), term),
            _ => return None,
        },
        "Div" => match (constant(Some(value)), constant(other)) {
            (None, Some(divisor)) => (value, divisor.map(|it| 1.0 / it), none),
            _ => return None,
        },
        "BatchNormalization" => {
            let given: Option<Vec<_>> =
                (1..5).map(|place| constant(node.input_name(place))).collect();
            let [scale, bias, mean, variance] = <[Constant; 4]>::try_from(given?).ok()?;
            let epsilon = f64::from(node.float("epsilon").unwrap_or(EPSILON));
            let root = variance.map(|it| 1.0 / (it + epsilon).sqrt());
            let rank = rewriter.shape(value)?.len();
            let factor = scale.times(&root)?;
            let term = mean.map(|it| -it).times(&factor)?.plus(&bias)?;
            (value, factor.along_channels(rank)?, term.along_channels(rank)?)
        }
        _ => return None,
    };
    let result = node.output_name(0)?;
    let same = rewriter.shape(value)? == rewriter.shape(result)?;
    let float = rewriter.element(value) == Some(element::FLOAT);
    let adds_first = matches!(node.op_type.as_str(), "Add" | "Sub");
    (same && float).then_some(Affine { value, factor, term, steps: 1, adds_first })
}

fn layer<'a>(rewriter: &Rewriter<'a>, node: &'a NodeProto) -> Option<Layer<'a>> {
    let value = node.input_name(0)?;
    if !node.operator().0.is_empty() || rewriter.element(value)? != element::FLOAT {
        return None;
    }
    let constant = |name: &str| Constant::of(rewriter.fact(name)?);
    let mut weights = constant(node.input_name(1)?)?;
    let mut bias = match node.input_name(2) {
        Some(bias) => Some(constant(bias)?),
        None => None,
    };
    let kind = match node.op_type.as_str() {
        "MatMul" => Kind::MatMul,
        "Gemm" => Kind::Gemm,
        "Conv" => Kind::Conv,
        _ => return None,
    };
    if kind == Kind::Gemm {
        if node.int("transA").unwrap_or(0) != 0 {
            return None;
        }
        if node.int("transB").unwrap_or(0) != 0 {
            weights = weights.transposed()?;
        }
        let alpha = f64::from(node.float("alpha").unwrap_or(1.0));
        let beta = f64::from(node.float("beta").unwrap_or(1.0));
        weights = weights.map(|it| it * alpha);
        bias = bias.map(|bias| bias.map(|it| it * beta));
    }
    if kind != Kind::Conv && (weights.shape.len() != 2 || rewriter.shape(value)?.len() < 2) {
        return None;
    }
    Some(Layer { node, value, kind, weights, bias })
}

impl Layer<'_> {
    /// Numbers that come out, along the channels.
    fn outputs(&self) -> usize {
        self.weights.shape[usize::from(self.kind != Kind::Conv)]
    }

    /// The bias, of one number an output.
    fn bias(&self) -> Option<Vec<f64>> {
        match &self.bias {
            None => Some(vec![0.0; self.outputs()]),
            Some(bias) => bias.along(bias.shape.len().saturating_sub(1), self.outputs()),
        }
    }

    /// A constant with one number for each channel that comes out.
    fn along_outputs(&self, rank: usize, constant: &Constant) -> Option<Vec<f64>> {
        let axis = if self.kind == Kind::Conv { 1 } else { rank.checked_sub(1)? };
        constant.extended(rank)?.along(axis, self.outputs())
    }

    /// The layer with these steps after it.
    fn then(&self, rewriter: &Rewriter<'_>, affine: &Affine<'_>) -> Option<Self> {
        let rank = rewriter.shape(affine.value)?.len();
        let factor = self.along_outputs(rank, &affine.factor)?;
        let term = self.along_outputs(rank, &affine.term)?;
        if affine.factor.least() < LEAST_FACTOR {
            return None;
        }
        let bias =
            self.bias()?.into_iter().zip(&factor).zip(&term).map(|((it, by), more)| it * by + more);
        let bias = Constant { shape: vec![self.outputs()], data: bias.collect() };
        let columns = factor.len();
        let each = self.weights.data.len() / columns.max(1);
        let mut weights = self.weights.clone();
        for (place, weight) in weights.data.iter_mut().enumerate() {
            *weight *= factor[if self.kind == Kind::Conv { place / each } else { place % columns }];
        }
        Some(Self { weights, bias: Some(bias), ..*self })
    }

    /// Writes the layer.
    fn written(&self, rewriter: &mut Rewriter<'_>) -> Option<String> {
        let weights = self.weights.written(rewriter)?;
        let bias = self.bias.as_ref().filter(|it| !it.is_all(0.0));
        let bias = match bias {
            Some(bias) => Some(bias.written(rewriter)?),
            None => None,
        };
        let attributes = match self.kind {
            Kind::Conv => self.node.attribute.clone(),
            Kind::MatMul | Kind::Gemm => Vec::<AttributeProto>::new(),
        };
        if self.kind == Kind::MatMul {
            let product = rewriter.join("MatMul", self.value, &weights);
            return Some(match bias {
                Some(bias) => rewriter.join("Add", &product, &bias),
                None => product,
            });
        }
        let mut inputs = vec![self.value, &weights];
        inputs.extend(bias.as_deref());
        Some(rewriter.node(&self.node.op_type, &inputs, attributes))
    }

    /// Nodes that the layer is written by.
    fn nodes(&self) -> usize {
        let bias = self.bias.as_ref().is_some_and(|it| !it.is_all(0.0));
        1 + usize::from(self.kind == Kind::MatMul && bias)
    }
}

/// The layer with what comes after it, if these are fewer nodes.
fn after(rewriter: &mut Rewriter<'_>, layer: &Layer<'_>, affine: &Affine<'_>) -> Option<Outcome> {
    let whole = layer.then(rewriter, affine)?;
    let fewer = whole.nodes() < 1 + affine.steps;
    rewriter.say(format!("{} after {} went into it", steps_of(affine), layer.node.op_type));
    fewer.then(|| whole.written(rewriter)).flatten().map(Outcome::one)
}

/// The layer with what is done to its input.
fn taken_in(
    rewriter: &mut Rewriter<'_>,
    affine: &Affine<'_>,
    layer: &Layer<'_>,
) -> Option<Outcome> {
    let shape = rewriter.shape(affine.value)?;
    let convolves = layer.kind == Kind::Conv;
    let axis = if convolves { 1 } else { shape.len() - 1 };
    let inputs = shape[axis];
    let factor = affine.factor.extended(shape.len())?.along(axis, inputs)?;
    let term = affine.term.extended(shape.len())?.along(axis, inputs)?;
    if affine.factor.least() < LEAST_FACTOR || term.iter().any(|it| it.abs() > MOST_TERM) {
        return None;
    }
    let group = usize::try_from(layer.node.int("group").unwrap_or(1)).ok()?;
    let moved = term.iter().any(|it| *it != 0.0);
    // At the edge a convolution has zeros, which nothing was added to.
    let padded = layer.node.ints("pads").iter().any(|it| *it != 0)
        || layer.node.string("auto_pad").is_some_and(|it| !matches!(it, "NOTSET" | "VALID"));
    if convolves && moved && padded {
        return None;
    }
    let outputs = layer.outputs();
    let mut bias = layer.bias()?;
    let mut weights = layer.weights.clone();
    let each = if convolves { weights.shape[2..].iter().product() } else { 1 };
    let across = if convolves { weights.shape[1] } else { 0 };
    for (place, weight) in weights.data.iter_mut().enumerate() {
        let (input, output) = match convolves {
            true => {
                let output = place / each / across.max(1);
                let first = output / (outputs / group.max(1)).max(1) * across;
                (first + place / each % across.max(1), output)
            }
            false => (place / outputs.max(1), place % outputs.max(1)),
        };
        bias[output] += *weight * term.get(input)?;
        *weight *= factor.get(input)?;
    }
    let bias = Constant { shape: vec![outputs], data: bias };
    let whole = Layer { value: affine.value, weights, bias: Some(bias), ..*layer };
    // A sum that moves from before a product to after it is no gain unless there are fewer numbers.
    let before = affine.steps + layer.nodes();
    let fewer = whole.nodes() < before || (whole.nodes() == before && outputs < inputs);
    rewriter.say(format!("{} before {} went into it", steps_of(affine), layer.node.op_type));
    fewer.then(|| whole.written(rewriter)).flatten().map(Outcome::one)
}

/// Two layers of matrices as one, where that has no more weights.
fn joined(rewriter: &mut Rewriter<'_>, inner: &Layer<'_>, outer: &Layer<'_>) -> Option<Outcome> {
    if inner.kind == Kind::Conv || outer.kind == Kind::Conv {
        return None;
    }
    let (inputs, between, outputs) = (inner.weights.shape[0], inner.outputs(), outer.outputs());
    if inputs * outputs > inputs * between + between * outputs {
        return None;
    }
    let weights = inner.weights.matrix_product(&outer.weights)?;
    let row = Constant { shape: vec![1, between], data: inner.bias()? };
    let moved = row.matrix_product(&outer.weights)?;
    let bias: Vec<f64> =
        moved.data.iter().zip(outer.bias()?).map(|(one, other)| one + other).collect();
    let bias = Constant { shape: vec![outputs], data: bias };
    let whole = Layer { value: inner.value, weights, bias: Some(bias), ..*outer };
    rewriter.say(format!("{} and {} became one", inner.node.op_type, outer.node.op_type));
    whole.written(rewriter).map(Outcome::one)
}

fn steps_of(affine: &Affine<'_>) -> String {
    match affine.steps {
        1 => "a sum or product".to_owned(),
        steps => format!("{steps} sums and products"),
    }
}

/// The steps in their shortest form.
fn written(rewriter: &mut Rewriter<'_>, affine: &Affine<'_>) -> Option<Outcome> {
    rewriter.say(format!("{} became fewer", steps_of(affine)));
    let mut name = affine.value.to_owned();
    let (factor, mut term) = (&affine.factor, affine.term.clone());
    let scales = !factor.is_all(1.0);
    let first = affine.adds_first && scales && factor.data.iter().all(|it| *it != 0.0);
    if first {
        term = term.times(&factor.map(|it| 1.0 / it))?;
    }
    let adds = !term.is_all(0.0);
    for scaling in [!first, first] {
        if scaling && scales {
            let factor = factor.written(rewriter)?;
            name = rewriter.join("Mul", &name, &factor);
        } else if !scaling && adds {
            let term = term.written(rewriter)?;
            name = rewriter.join("Add", &name, &term);
        }
    }
    Some(Outcome::one(name))
}
