//! Classes and probabilities from scores.

use super::{super::super::rewriter::Rewriter, ensemble::Post};
use crate::onnx::{
    proto::{AttributeProto, TensorProto},
    tensor::element,
};

/// Floats, an observation a row.
#[derive(Clone, Debug)]
pub(super) struct Scores {
    pub(super) name: String,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Scores {
    /// One column.
    pub(super) fn column(&self, rewriter: &mut Rewriter<'_>, place: usize) -> Self {
        let name = match self.columns {
            1 => self.name.clone(),
            _ => rewriter.gather(&self.name, &[place as i64], 1),
        };
        Self { name, rows: self.rows, columns: 1 }
    }

    /// Columns beside each other.
    pub(super) fn beside(&self, rewriter: &mut Rewriter<'_>, other: &Self) -> Self {
        let name = rewriter.concat(&[&self.name, &other.name], 1);
        Self { name, rows: self.rows, columns: self.columns + other.columns }
    }

    pub(super) fn plus(&self, rewriter: &mut Rewriter<'_>, values: &[f32]) -> Self {
        if values.iter().all(|value| *value == 0.0) {
            return self.clone();
        }
        let values = rewriter.floats(&[1, values.len()], values);
        Self { name: rewriter.node("Add", &[&self.name, &values], []), ..self.clone() }
    }

    pub(super) fn negative(&self, rewriter: &mut Rewriter<'_>) -> Self {
        Self { name: rewriter.node("Neg", &[&self.name], []), ..self.clone() }
    }

    /// 1 less them.
    pub(super) fn rest(&self, rewriter: &mut Rewriter<'_>) -> Self {
        let one = rewriter.floats(&[1, 1], &[1.0]);
        Self { name: rewriter.node("Sub", &[&one, &self.name], []), ..self.clone() }
    }

    pub(super) fn logistic(&self, rewriter: &mut Rewriter<'_>) -> Self {
        Self { name: rewriter.node("Sigmoid", &[&self.name], []), ..self.clone() }
    }

    /// What an operator does to scores at its end.
    pub(super) fn post(&self, rewriter: &mut Rewriter<'_>, post: Post) -> Self {
        match post {
            Post::Nothing => self.clone(),
            Post::Logistic => self.logistic(rewriter),
            // Of two scores only the difference counts, and a Sigmoid is one lookup.
            Post::Softmax if self.columns == 2 => {
                let (first, second) = (self.column(rewriter, 0), self.column(rewriter, 1));
                let name = rewriter.node("Sub", &[&second.name, &first.name], []);
                let second = Self { name, ..second }.logistic(rewriter);
                second.rest(rewriter).beside(rewriter, &second)
            }
            Post::Softmax => {
                let last = [AttributeProto::int("axis", 1)];
                Self { name: rewriter.node("Softmax", &[&self.name], last), ..self.clone() }
            }
        }
    }

    /// The class of two: the second where a single score is more than `bound`.
    pub(super) fn above(
        &self,
        rewriter: &mut Rewriter<'_>,
        bound: f32,
        labels: [i64; 2],
    ) -> String {
        let bound = rewriter.floats(&[1, 1], &[bound]);
        let above = rewriter.node("Greater", &[&self.name, &bound], []);
        let place = rewriter.cast(&above, element::INT64);
        let place = rewriter.reshape(&place, &[self.rows]);
        class(rewriter, &place, &labels)
    }

    /// The class with the largest score, the first of several.
    pub(super) fn largest(&self, rewriter: &mut Rewriter<'_>, labels: &[i64]) -> String {
        if let ([first, second], 2) = (labels, self.columns) {
            let (one, other) = (self.column(rewriter, 0), self.column(rewriter, 1));
            let more = rewriter.node("Greater", &[&other.name, &one.name], []);
            let place = rewriter.cast(&more, element::INT64);
            let place = rewriter.reshape(&place, &[self.rows]);
            return class(rewriter, &place, &[*first, *second]);
        }
        let attributes = [AttributeProto::int("axis", 1), AttributeProto::int("keepdims", 0)];
        let place = rewriter.node("ArgMax", &[&self.name], attributes);
        class(rewriter, &place, labels)
    }
}

/// The classes at these places of a list, in the simplest form.
pub(super) fn class(rewriter: &mut Rewriter<'_>, place: &str, labels: &[i64]) -> String {
    let Some((first, step)) = steps(labels) else {
        let table = rewriter.weight(TensorProto::integers(&[labels.len()], labels));
        return rewriter.node("Gather", &[&table, place], [AttributeProto::int("axis", 0)]);
    };
    let mut value = place.to_owned();
    if step != 1 {
        let step = rewriter.weight(TensorProto::integers(&[1], &[step]));
        value = rewriter.node("Mul", &[&value, &step], []);
    }
    if first != 0 {
        let first = rewriter.weight(TensorProto::integers(&[1], &[first]));
        value = rewriter.node("Add", &[&value, &first], []);
    }
    value
}

/// The first of equally spaced numbers, and the space.
fn steps(labels: &[i64]) -> Option<(i64, i64)> {
    let first = *labels.first()?;
    let step = labels.get(1).map_or(Some(1), |second| second.checked_sub(first))?;
    let spaced = labels.windows(2).all(|pair| pair[1].checked_sub(pair[0]) == Some(step));
    spaced.then_some((first, step))
}
