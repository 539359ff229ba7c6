//! Constants of a model to reckon with.

use super::arithmetic::broadcast;
use crate::{
    onnx::tensor::element,
    prepare::{facts::Fact, rewriter::Rewriter},
};

/// Larger ones are left alone.
const MOST_ELEMENTS: usize = 1 << 24;

/// Numbers, row-major.
#[derive(Clone, Debug)]
pub(super) struct Constant {
    pub(super) shape: Vec<usize>,
    pub(super) data: Vec<f64>,
}

impl Constant {
    /// Floats that no input decides.
    pub(super) fn of(fact: &Fact) -> Option<Self> {
        let tensor = fact.constant.as_ref()?;
        if fact.element != element::FLOAT || tensor.elements() > MOST_ELEMENTS {
            return None;
        }
        Some(Self { shape: fact.shape.clone(), data: tensor.numbers()? })
    }

    pub(super) fn scalar(value: f64) -> Self {
        Self { shape: Vec::new(), data: vec![value] }
    }

    pub(super) fn map(&self, number: impl Fn(f64) -> f64) -> Self {
        let data = self.data.iter().map(|it| number(*it)).collect();
        Self { shape: self.shape.clone(), data }
    }

    pub(super) fn is_all(&self, value: f64) -> bool {
        self.data.iter().all(|it| *it == value)
    }

    /// The smallest size of a number, zeros left out.
    pub(super) fn least(&self) -> f64 {
        let sizes = self.data.iter().map(|it| it.abs()).filter(|it| *it > 0.0);
        sizes.fold(f64::INFINITY, f64::min)
    }

    /// Whether all of it fits in a float of 32 bits.
    pub(super) fn is_finite(&self) -> bool {
        self.data.iter().all(|it| (*it as f32).is_finite())
    }

    pub(super) fn times(&self, other: &Self) -> Option<Self> {
        self.join(other, |one, other| one * other)
    }

    pub(super) fn plus(&self, other: &Self) -> Option<Self> {
        self.join(other, |one, other| one + other)
    }

    fn join(&self, other: &Self, number: impl Fn(f64, f64) -> f64) -> Option<Self> {
        let shape = broadcast(&self.shape, &other.shape)?;
        let count: usize = shape.iter().product();
        if count > MOST_ELEMENTS {
            return None;
        }
        let place = |it: &Self, flat: usize| {
            let (mut rest, mut place, mut step) = (flat, 0, 1);
            for (axis, length) in shape.iter().enumerate().rev() {
                let at = rest % length;
                rest /= length;
                let Some(own) = (axis + it.shape.len()).checked_sub(shape.len()) else { continue };
                if it.shape[own] != 1 {
                    place += at * step;
                }
                step *= it.shape[own];
            }
            it.data[place]
        };
        let data = (0..count).map(|flat| number(place(self, flat), place(other, flat))).collect();
        Some(Self { shape, data })
    }

    /// With axes of length 1 before its own, up to a rank.
    pub(super) fn extended(&self, rank: usize) -> Option<Self> {
        let more = rank.checked_sub(self.shape.len())?;
        let shape = std::iter::repeat_n(1, more).chain(self.shape.iter().copied()).collect();
        Some(Self { shape, data: self.data.clone() })
    }

    /// One number a channel, laid along axis 1.
    pub(super) fn along_channels(&self, rank: usize) -> Option<Self> {
        let mut shape = vec![1; rank];
        *shape.get_mut(1)? = self.data.len();
        Some(Self { shape, data: self.data.clone() })
    }

    /// The numbers along one axis, where they depend on no other.
    pub(super) fn along(&self, axis: usize, length: usize) -> Option<Vec<f64>> {
        if let [number] = self.data[..] {
            return Some(vec![number; length]);
        }
        (self.data.len() == length && self.shape.get(axis) == Some(&length))
            .then(|| self.data.clone())
    }

    pub(super) fn transposed(&self) -> Option<Self> {
        let [rows, columns] = self.shape[..] else { return None };
        let data = (0..rows * columns).map(|it| self.data[it % rows * columns + it / rows]);
        Some(Self { shape: vec![columns, rows], data: data.collect() })
    }

    pub(super) fn matrix_product(&self, other: &Self) -> Option<Self> {
        let ([rows, inner], [same, columns]) = (&self.shape[..], &other.shape[..]) else {
            return None;
        };
        if inner != same {
            return None;
        }
        let mut data = vec![0.0; rows * columns];
        for row in 0..*rows {
            for place in 0..*inner {
                let factor = self.data[row * inner + place];
                let line = &other.data[place * columns..][..*columns];
                let sums = &mut data[row * columns..][..*columns];
                sums.iter_mut().zip(line).for_each(|(sum, it)| *sum += factor * it);
            }
        }
        Some(Self { shape: vec![*rows, *columns], data })
    }

    /// As a weight; `None` where a number has no float of 32 bits.
    pub(super) fn written(&self, rewriter: &mut Rewriter<'_>) -> Option<String> {
        let numbers: Vec<f32> = self.data.iter().map(|it| *it as f32).collect();
        self.is_finite().then(|| rewriter.floats(&self.shape, &numbers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn constant(shape: &[usize], data: &[f64]) -> Constant {
        Constant { shape: shape.to_vec(), data: data.to_vec() }
    }

    #[test]
    fn shapes_are_broadcast() {
        let column = constant(&[2, 1], &[1.0, 2.0]);
        let row = constant(&[3], &[10.0, 20.0, 30.0]);
        let sum = column.plus(&row).expect("fit");
        assert_eq!(sum.shape, [2, 3]);
        assert_eq!(sum.data, [11.0, 21.0, 31.0, 12.0, 22.0, 32.0]);
        assert!(row.plus(&constant(&[2], &[0.0, 0.0])).is_none());
    }

    #[test]
    fn matrices_are_multiplied_and_turned() {
        let matrix = constant(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let turned = matrix.transposed().expect("a matrix");
        assert_eq!(turned.data, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let product = matrix.matrix_product(&turned).expect("fit");
        assert_eq!(product.data, [14.0, 32.0, 32.0, 77.0]);
        assert!(matrix.matrix_product(&matrix).is_none());
    }

    #[test]
    fn only_what_depends_on_one_axis_lies_along_it() {
        let row = constant(&[1, 3], &[1.0, 2.0, 3.0]);
        assert_eq!(row.along(1, 3), Some(vec![1.0, 2.0, 3.0]));
        assert_eq!(row.along(0, 3), None);
        assert_eq!(Constant::scalar(2.0).along(0, 2), Some(vec![2.0, 2.0]));
    }
}
