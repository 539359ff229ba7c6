//! What a softmax leaves out.
//!
//! A circuit has no infinity, and a very low number would need a table of exponents as long as it is low. What is
//! out of sight is multiplied by zero in its place.

use crate::{
    onnx::{
        proto::{AttributeProto, NodeProto, TensorProto},
        tensor::element,
    },
    prepare::rewriter::{Outcome, Rewriter},
};
use std::collections::HashSet;

/// At and below this a score is out of sight.
pub(super) const LOW: f64 = -1e4;

/// Whether all numbers of a constant are low.
pub(super) fn is_low(rewriter: &Rewriter<'_>, name: &str) -> bool {
    let numbers = rewriter.numbers(name).unwrap_or_default();
    !numbers.is_empty() && numbers.iter().all(|number| *number <= LOW)
}

pub(super) fn constant(rewriter: &mut Rewriter<'_>, shape: &[usize], seen: &[bool]) -> String {
    rewriter.weight(TensorProto::booleans(shape, seen))
}

/// Whether a term of a sum puts some of the others out of sight.
pub(super) fn hides(rewriter: &Rewriter<'_>, term: &str) -> bool {
    if let Some(numbers) = rewriter.numbers(term) {
        return numbers.iter().any(|number| *number <= LOW);
    }
    let Some(maker) = rewriter.maker(term) else { return false };
    let any = |places: &[usize]| {
        places.iter().any(|place| maker.input_name(*place).is_some_and(|it| hides(rewriter, it)))
    };
    match maker.op_type.as_str() {
        "Where" => [1, 2]
            .iter()
            .any(|place| maker.input_name(*place).is_some_and(|name| is_low(rewriter, name))),
        "Add" => any(&[0, 1]),
        "Cast" | "CastLike" | "Unsqueeze" | "Squeeze" | "Reshape" | "Expand" => any(&[0]),
        "Pad" => any(&[0, 2]),
        _ => false,
    }
}

/// Zeros and ones for what is seen: none where all is.
#[derive(Debug, Default)]
pub(super) struct Mask {
    /// As floats.
    name: Option<String>,
    /// Whether a row may see nothing.
    fallible: bool,
}

impl Mask {
    /// Leaves out what a tensor of booleans says `false` of. `known` are its shape and elements, where the rule
    /// itself has made it.
    pub(super) fn and(
        &mut self,
        rewriter: &mut Rewriter<'_>,
        seen: &str,
        known: Option<(Vec<usize>, Vec<bool>)>,
    ) {
        let constant = rewriter.fact(seen).and_then(|fact| {
            let numbers = fact.constant.as_ref()?.numbers()?;
            Some((fact.shape.clone(), numbers.iter().map(|it| *it != 0.0).collect()))
        });
        let each_row = |(shape, seen): (Vec<usize>, Vec<bool>)| {
            let width = shape.last().copied().unwrap_or(1).max(1);
            seen.chunks(width).all(|row| row.contains(&true))
        };
        let safe = known.or(constant).is_some_and(each_row);
        let seen = rewriter.cast(seen, element::FLOAT);
        self.and_float(rewriter, seen, safe);
    }

    fn and_float(&mut self, rewriter: &mut Rewriter<'_>, seen: String, safe: bool) {
        // Two masks together may leave a row without anything even where neither does.
        self.fallible |= !safe || self.name.is_some();
        self.name = Some(match &self.name {
            Some(other) => rewriter.join("Mul", other, &seen),
            None => seen,
        });
    }

    /// Zeros and ones as floats; `None` where all is seen.
    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// A term that is added to the scores and puts some out of sight. Returns the scores with what else it adds.
    pub(super) fn add(
        &mut self,
        rewriter: &mut Rewriter<'_>,
        scores: &str,
        term: &str,
    ) -> Option<String> {
        Some(match self.split(rewriter, term)? {
            Some(rest) => rewriter.join("Add", scores, &rest),
            None => scores.to_owned(),
        })
    }

    /// Leaves out what a term puts out of sight. Returns what else the term adds, if anything.
    pub(super) fn split(
        &mut self,
        rewriter: &mut Rewriter<'_>,
        term: &str,
    ) -> Option<Option<String>> {
        if let Some(numbers) = rewriter.numbers(term) {
            let shape = rewriter.shape(term)?.to_vec();
            let seen: Vec<bool> = numbers.iter().map(|number| *number > LOW).collect();
            let rest: Vec<f32> =
                numbers.iter().map(|it| if *it > LOW { *it as f32 } else { 0.0 }).collect();
            if seen.contains(&false) {
                let weight = constant(rewriter, &shape, &seen);
                self.and(rewriter, &weight, Some((shape.clone(), seen)));
            }
            let adds = rest.iter().any(|it| *it != 0.0);
            return Some(adds.then(|| rewriter.floats(&shape, &rest)));
        }
        let maker = rewriter.maker(term).filter(|_| hides(rewriter, term));
        let Some(maker) = maker else { return Some(Some(term.to_owned())) };
        let input = |place| maker.input_name(place);
        match maker.op_type.as_str() {
            "Where" => {
                let (condition, one, other) = (input(0)?, input(1)?, input(2)?);
                let kept = if is_low(rewriter, other) {
                    self.and(rewriter, condition, None);
                    one
                } else if is_low(rewriter, one) {
                    let seen = rewriter.apply("Not", condition);
                    self.and(rewriter, &seen, None);
                    other
                } else {
                    return None;
                };
                // What stands for the other choice is out of sight, so that its place may hold anything.
                self.split(rewriter, kept)
            }
            "Add" => {
                let one = self.split(rewriter, input(0)?)?;
                let other = self.split(rewriter, input(1)?)?;
                Some(match (one, other) {
                    (Some(one), Some(other)) => Some(rewriter.join("Add", &one, &other)),
                    (one, other) => one.or(other),
                })
            }
            "Pad" => {
                let mut inner = Self::default();
                let rest = inner.split(rewriter, input(0)?)?;
                let shape = rewriter.shape(input(0)?)?.to_vec();
                let seen = inner.name.unwrap_or_else(|| {
                    let ones = vec![1.0; shape.iter().product()];
                    rewriter.floats(&shape, &ones)
                });
                let zero = rewriter.float(0.0);
                let seen = rewriter.node("Pad", &[&seen, input(1)?, &zero], []);
                self.and_float(rewriter, seen, false);
                Some(match rest {
                    Some(rest) => Some(rewriter.node("Pad", &[&rest, input(1)?, &zero], [])),
                    None => None,
                })
            }
            "Cast" | "CastLike" => self.split(rewriter, input(0)?),
            // The same elements in another shape.
            operator => {
                let mut inner = Self::default();
                let (rest, shape) = (inner.split(rewriter, input(0)?)?, input(1)?);
                let seen = rewriter.join(operator, &inner.name?, shape);
                // What was a row may be none any more.
                self.and_float(rewriter, seen, false);
                Some(rest.map(|rest| rewriter.join(operator, &rest, shape)))
            }
        }
    }

    /// The softmax over the last axis, whose number and length are told, of what is seen; zero for all that is not.
    pub(super) fn softmax(
        &self,
        rewriter: &mut Rewriter<'_>,
        scores: &str,
        axis: usize,
        length: usize,
    ) -> String {
        let Some(mask) = &self.name else {
            return rewriter.softmax("Softmax", scores, -1);
        };
        // Over the row's least score nothing is negative, so that what is out of sight, as zero, is never the most.
        let least = rewriter.reduce("ReduceMin", scores, &[axis], true);
        let above = rewriter.join("Sub", scores, &least);
        let seen = rewriter.join("Mul", &above, mask);
        let most = rewriter.reduce("ReduceMax", &seen, &[axis], true);
        let below = rewriter.join("Sub", &seen, &most);
        let powers = rewriter.apply("Exp", &below);
        let powers = rewriter.join("Mul", &powers, mask);
        let mut sum = rewriter.reduce("ReduceSum", &powers, &[axis], true);
        if self.fallible {
            // A row that sees nothing has only zeros; one in place of their sum keeps them.
            let none = Self::none(rewriter, mask);
            sum = rewriter.join("Add", &sum, &none);
        }
        // One over a large number has few digits in fixed point, and so has a small number.
        let half = 2f32.powi((length.max(1).ilog2() / 2) as i32);
        let half = if length < 16 { 1.0 } else { half };
        let part = rewriter.times(&sum, 1.0 / half);
        let shares = rewriter.join("Div", &powers, &part);
        rewriter.times(&shares, 1.0 / half)
    }

    /// One for each row that sees nothing.
    fn none(rewriter: &mut Rewriter<'_>, mask: &str) -> String {
        let last = AttributeProto::ints("axes", [-1]);
        let any = rewriter.node("ReduceMax", &[mask], [last]);
        rewriter.from(1.0, &any)
    }
}

/// A comparison with infinity: which rows have nothing but terms that are out of sight. Otherwise nothing in a
/// circuit is infinite.
pub(super) fn compare(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let infinite = |name: &str| {
        let numbers = rewriter.numbers(name).unwrap_or_default();
        !numbers.is_empty() && numbers.iter().all(|it| it.is_infinite())
    };
    let (left, right) = (node.input_name(0)?, node.input_name(1)?);
    let other = match (infinite(left), infinite(right)) {
        (false, true) => left,
        (true, false) => right,
        // ezkl's own Equal gives a number of another scale for what has a scale.
        (false, false) if !rewriter.is_plain(left) || !rewriter.is_plain(right) => {
            // Infinity may have to become a constant yet.
            let infinite = |name| from_infinite(rewriter, name, &mut HashSet::new());
            if infinite(left) || infinite(right) {
                return None;
            }
            let less = rewriter.join("Less", left, right);
            let more = rewriter.join("Greater", left, right);
            let other = rewriter.join("Or", &less, &more);
            return Some(Outcome::one(rewriter.apply("Not", &other)));
        }
        _ => return None,
    };
    let shape = rewriter.shape(node.output_name(0)?)?;
    let maker = rewriter.maker(other).filter(|maker| maker.op_type == "ReduceMax");
    if let Some(maker) = maker.filter(|maker| maker.ints("axes") == [-1]) {
        let term = maker.input_name(0)?;
        if hides(rewriter, term) {
            let wide = rewriter.shape(term)?.to_vec();
            let mut mask = Mask::default();
            mask.split(rewriter, term)?;
            let seen = rewriter.expand(mask.name()?, &wide);
            let none = Mask::none(rewriter, &seen);
            let none = rewriter.as_whole(&none, element::BOOL);
            return Some(Outcome::one(rewriter.reshape(&none, shape)));
        }
    }
    if from_infinite(rewriter, other, &mut HashSet::new()) {
        return None;
    }
    let never = vec![false; shape.iter().product()];
    Some(Outcome::one(constant(rewriter, shape, &never)))
}

/// Whether a number is none or infinite, which no number in a circuit is.
pub(super) fn is_number(rewriter: &mut Rewriter<'_>, node: &NodeProto) -> Option<Outcome> {
    let value = node.input_name(0)?;
    if from_infinite(rewriter, value, &mut HashSet::new()) {
        return None;
    }
    let shape = rewriter.shape(value)?;
    let never = vec![false; shape.iter().product()];
    Some(Outcome::one(constant(rewriter, shape, &never)))
}

/// Whether an infinite constant goes into a value.
fn from_infinite<'a>(rewriter: &Rewriter<'a>, name: &'a str, seen: &mut HashSet<&'a str>) -> bool {
    if !seen.insert(name) {
        return false;
    }
    if let Some(numbers) = rewriter.numbers(name) {
        return numbers.iter().any(|it| it.is_infinite());
    }
    let Some(maker) = rewriter.maker(name) else { return false };
    maker.input.iter().any(|input| from_infinite(rewriter, input, seen))
}
