//! Short forms for what most rules write.

use crate::{
    onnx::{
        proto::{AttributeProto, NodeProto, TensorProto},
        tensor::element,
    },
    prepare::rewriter::Rewriter,
};

/// What the name of a node ends with that a rule has made of one of the same operator, and that is to stay.
const DONE: &str = "/done";

/// How far back it is asked what a value is made of.
const PLAIN_STEPS: usize = 12;

impl Rewriter<'_> {
    /// An operator with one input and no attribute.
    pub(super) fn apply(&mut self, operator: &str, value: &str) -> String {
        self.node(operator, &[value], [])
    }

    /// An operator with two inputs and no attribute.
    pub(super) fn join(&mut self, operator: &str, left: &str, right: &str) -> String {
        self.node(operator, &[left, right], [])
    }

    pub(super) fn times(&mut self, value: &str, factor: f32) -> String {
        match factor {
            1.0 => value.to_owned(),
            factor => {
                let factor = self.float(factor);
                self.join("Mul", value, &factor)
            }
        }
    }

    pub(super) fn plus(&mut self, value: &str, term: f32) -> String {
        match term {
            0.0 => value.to_owned(),
            term => {
                let term = self.float(term);
                self.join("Add", value, &term)
            }
        }
    }

    /// `term - value`.
    pub(super) fn from(&mut self, term: f32, value: &str) -> String {
        let term = self.float(term);
        self.join("Sub", &term, value)
    }

    /// Numbers as floats, whatever type they have.
    pub(super) fn as_float(&mut self, value: &str) -> String {
        match self.element(value) {
            Some(element::FLOAT) => value.to_owned(),
            _ => self.cast(value, element::FLOAT),
        }
    }

    /// Whole numbers as a type of integers or booleans, of which it is known that nothing is cut off.
    pub(super) fn as_whole(&mut self, value: &str, to: i32) -> String {
        match to {
            element::FLOAT => return value.to_owned(),
            // A choice by a number that has a scale would not be one of two.
            element::BOOL => {
                let half = self.float(0.5);
                return self.join("Greater", value, &half);
            }
            _ => {}
        }
        let output = self.cast(value, to);
        if let Some(node) = self.nodes.last_mut() {
            node.name = format!("{output}{DONE}");
        }
        output
    }

    /// Without what is left of multiples of 2^-bits.
    ///
    /// ezkl splits a number into digits of its scale's size, and a product with a power of two has a small scale, so
    /// that few digits hold little. A term that is no power of two gives it the scale of all others.
    pub(super) fn floor(&mut self, value: &str, bits: u32) -> String {
        let more = match bits {
            ..9 => self.plus(value, 0.1 / 2f32.powi(bits as i32)),
            _ => value.to_owned(),
        };
        self.apply("Floor", &more)
    }

    /// One where whole numbers are the same, else zero.
    ///
    /// `source` is what `value` is made of: ezkl's own Equal is right for integers that come straight from an input,
    /// and gives a number of another scale for what has a scale.
    pub(super) fn same(&mut self, source: &str, value: &str, other: &str) -> String {
        if self.is_plain(source) {
            let same = self.join("Equal", value, other);
            return self.cast(&same, element::FLOAT);
        }
        let less = self.join("Less", value, other);
        let more = self.join("Greater", value, other);
        let less = self.cast(&less, element::FLOAT);
        let more = self.cast(&more, element::FLOAT);
        let other = self.join("Add", &less, &more);
        self.from(1.0, &other)
    }

    /// Whether a value holds integers as an input has them, or booleans.
    pub(super) fn is_plain(&self, name: &str) -> bool {
        self.is_plain_within(name, PLAIN_STEPS)
    }

    fn is_plain_within(&self, name: &str, steps: usize) -> bool {
        let Some(fact) = self.fact(name) else { return false };
        if element::is_float(fact.element) {
            return false;
        }
        let (Some(maker), None) = (self.maker(name), &fact.constant) else { return true };
        let Some(steps) = steps.checked_sub(1) else { return false };
        let plain = |name: &String| name.is_empty() || self.is_plain_within(name, steps);
        match maker.op_type.as_str() {
            _ if fact.element == element::BOOL => true,
            "ArgMax" | "ArgMin" => true,
            "Add" | "Cast" | "Concat" | "Expand" | "Gather" | "Identity" | "Max" | "Min"
            | "Mul" | "Neg" | "ReduceSum" | "Reshape" | "Slice" | "Squeeze" | "Sub"
            | "Transpose" | "Unsqueeze" => maker.input.iter().all(plain),
            _ => false,
        }
    }

    /// A constant of 64-bit integers with any shape.
    pub(super) fn integer_tensor(&mut self, shape: &[usize], values: &[i64]) -> String {
        self.weight(TensorProto::integers(shape, values))
    }

    /// Between two bounds.
    pub(super) fn clip(&mut self, value: &str, least: f32, most: f32) -> String {
        let (least, most) = (self.float(least), self.float(most));
        self.node("Clip", &[value, &least, &most], [])
    }

    pub(super) fn softmax(&mut self, operator: &str, value: &str, axis: i64) -> String {
        self.node(operator, &[value], [AttributeProto::int("axis", axis)])
    }

    pub(super) fn unsqueeze(&mut self, value: &str, axes: &[i64]) -> String {
        let axes = self.integers(axes);
        self.node("Unsqueeze", &[value, &axes], [])
    }

    /// Takes places of an axis, whatever the type, and drops the axis.
    pub(super) fn pick(&mut self, value: &str, place: i64, axis: usize) -> String {
        let place = self.integer_tensor(&[], &[place]);
        self.node("Gather", &[value, &place], [AttributeProto::int("axis", axis as i64)])
    }

    /// Zeros around a value of floats: for each axis how many before and after.
    pub(super) fn pad(&mut self, value: &str, before: &[usize], after: &[usize]) -> String {
        if before.iter().chain(after).all(|count| *count == 0) {
            return value.to_owned();
        }
        let pads: Vec<_> = before.iter().chain(after).map(|count| *count as i64).collect();
        let pads = self.integers(&pads);
        let zero = self.float(0.0);
        self.node("Pad", &[value, &pads, &zero], [])
    }

    /// The value with its shape repeated to another, which it fits by ONNX's broadcasting.
    pub(super) fn expand(&mut self, value: &str, shape: &[usize]) -> String {
        let shape: Vec<_> = shape.iter().map(|axis| *axis as i64).collect();
        let shape = self.integers(&shape);
        self.join("Expand", value, &shape)
    }
}

/// Whether a rule has made the node and it is to stay.
pub(super) fn is_done(node: &NodeProto) -> bool {
    node.name.ends_with(DONE)
}

/// The two shapes' common one, by ONNX's broadcasting.
pub(super) fn broadcast(one: &[usize], other: &[usize]) -> Option<Vec<usize>> {
    let rank = one.len().max(other.len());
    let at = |shape: &[usize], place: usize| match (place + shape.len()).checked_sub(rank) {
        Some(place) => shape[place],
        None => 1,
    };
    (0..rank)
        .map(|place| match (at(one, place), at(other, place)) {
            (one, other) if one == other => Some(one),
            (1, other) => Some(other),
            (one, 1) => Some(one),
            _ => None,
        })
        .collect()
}
