//! The inputs of a model, as data is read for them.

use super::layout::elements;
use crate::onnx::tensor::element;

/// An input of a model, as data is read for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slot {
    /// Its name in the model.
    pub name: String,
    /// Its shape, every axis with a length; empty for a scalar.
    pub shape: Vec<usize>,
    /// Which numbers it takes.
    pub takes: Takes,
}

/// Which numbers an input takes; all that are finite by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Takes {
    /// Its type as in ONNX's `TensorProto.DataType`; 0 where it isn't known.
    pub(crate) element: i32,
    /// The places of a table that it names.
    pub(crate) table: Option<Table>,
    /// What stands for a missing value in each column; empty where the model takes none.
    pub(crate) missing: Vec<Option<f64>>,
    /// The value that the model has for it, so that it is none of the circuit's inputs.
    pub(crate) fixed: Option<Vec<f64>>,
}

/// A table of the model from which rows are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) rows: usize,
}

impl Slot {
    /// An input that takes every number.
    pub fn new(name: impl Into<String>, shape: Vec<usize>) -> Self {
        Self { name: name.into(), shape, takes: Takes::default() }
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        elements(&self.shape)
    }

    /// Whether the model has its value already.
    pub fn is_fixed(&self) -> bool {
        self.takes.fixed.is_some()
    }

    /// The number that the circuit is given for one of the data, NaN being a missing one. `at` is its place among the
    /// elements.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub(crate) fn admit(&self, at: usize, number: f64) -> Result<f64, String> {
        if number.is_nan() && !self.takes.missing.is_empty() {
            return self.stand_in(at);
        }
        if number.is_nan() {
            return Err("NaN is not a finite number, and the model does nothing with missing values here (as an \
                        Imputer or trees at its inputs do); fill it in"
                .to_owned());
        }
        if !number.is_finite() {
            return Err(format!("{number} is not a finite number"));
        }
        if let Some((least, most)) = range(self.takes.element) {
            if number.fract() != 0.0 {
                return Err(format!(
                    "{number} is no whole number, and the model takes {} here; nothing is rounded for you",
                    type_name(self.takes.element)
                ));
            }
            if number < least || number > most {
                return Err(format!(
                    "{number} is no {}, which the model takes here ({least} to {most})",
                    type_name(self.takes.element)
                ));
            }
        }
        if let Some(Table { name, rows }) = &self.takes.table {
            let rows = *rows as f64;
            if number < -rows || number >= rows {
                return Err(format!(
                    "{number} names no row of the model's table `{name}`, which has {rows} (0 to {})",
                    rows - 1.0
                ));
            }
        }
        Ok(number)
    }

    fn stand_in(&self, at: usize) -> Result<f64, String> {
        let missing = &self.takes.missing;
        missing[at % missing.len()].ok_or_else(|| {
            "a value is missing, and no one number goes the way of a missing one at each branch of the model's trees; \
             fill it in"
                .to_owned()
        })
    }
}

/// The whole numbers of a type; `None` for floats.
fn range(kind: i32) -> Option<(f64, f64)> {
    let signed = |bits: i32| Some((-(2f64.powi(bits - 1)), 2f64.powi(bits - 1) - 1.0));
    let unsigned = |bits: i32| Some((0.0, 2f64.powi(bits) - 1.0));
    match kind {
        element::UINT8 => unsigned(8),
        element::INT8 => signed(8),
        4 => unsigned(16),
        5 => signed(16),
        element::INT32 => signed(32),
        element::INT64 => signed(64),
        element::BOOL => Some((0.0, 1.0)),
        12 => unsigned(32),
        13 => unsigned(64),
        _ => None,
    }
}

fn type_name(kind: i32) -> &'static str {
    match kind {
        element::UINT8 => "uint8",
        element::INT8 => "int8",
        4 => "uint16",
        5 => "int16",
        element::INT32 => "int32",
        element::INT64 => "int64",
        element::BOOL => "boolean",
        12 => "uint32",
        13 => "uint64",
        _ => "float",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(takes: Takes) -> Slot {
        Slot { takes, ..Slot::new("x", vec![1, 2]) }
    }

    #[test]
    fn numbers_of_another_type_are_refused() {
        for (kind, number, reason) in [
            (element::INT64, 3.5, "3.5 is no whole number, and the model takes int64"),
            (element::UINT8, -1.0, "-1 is no uint8"),
            (element::INT8, 128.0, "128 is no int8"),
            (element::BOOL, 2.0, "2 is no boolean"),
            (element::FLOAT, f64::INFINITY, "inf is not a finite number"),
            (element::FLOAT, f64::NAN, "nothing with missing values"),
        ] {
            let slot = slot(Takes { element: kind, ..Takes::default() });
            let error = slot.admit(0, number).expect_err(reason);
            assert!(error.contains(reason), "{error}");
            assert_eq!(slot.admit(0, 1.0), Ok(1.0));
        }
    }

    #[test]
    fn rows_that_a_table_has_not_are_refused() {
        let table = Some(Table { name: "words".to_owned(), rows: 20 });
        let slot = slot(Takes { element: element::INT64, table, ..Takes::default() });
        assert!([-20.0, 0.0, 19.0].iter().all(|it| slot.admit(0, *it) == Ok(*it)));
        for outside in [-21.0, 20.0] {
            let error = slot.admit(0, outside).expect_err("outside");
            assert!(error.contains("names no row of the model's table `words`"), "{error}");
        }
    }

    #[test]
    fn a_missing_value_is_what_the_model_makes_of_it() {
        let slot = slot(Takes { missing: vec![Some(7.5), None], ..Takes::default() });
        assert_eq!(slot.admit(0, f64::NAN), Ok(7.5));
        assert_eq!(slot.admit(2, f64::NAN), Ok(7.5));
        let error = slot.admit(1, f64::NAN).expect_err("none");
        assert!(error.contains("no one number"), "{error}");
    }
}
