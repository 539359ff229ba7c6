//! Tensors and attributes of a model as plain numbers.

use super::proto::{AttributeProto, NodeProto, TensorProto};
use half::{bf16, f16};
use prost::bytes::Bytes;

/// Numbers of ONNX's `TensorProto.DataType`.
pub(crate) mod element {
    pub(crate) const FLOAT: i32 = 1;
    pub(crate) const UINT8: i32 = 2;
    pub(crate) const INT8: i32 = 3;
    pub(crate) const INT32: i32 = 6;
    pub(crate) const INT64: i32 = 7;
    pub(crate) const STRING: i32 = 8;
    pub(crate) const BOOL: i32 = 9;
    pub(crate) const FLOAT16: i32 = 10;
    pub(crate) const DOUBLE: i32 = 11;
    pub(crate) const BFLOAT16: i32 = 16;

    /// Whether it is a type of floats.
    pub(crate) fn is_float(element: i32) -> bool {
        matches!(element, FLOAT | FLOAT16 | DOUBLE | BFLOAT16)
    }
}

impl TensorProto {
    /// Floats, row-major.
    pub(crate) fn floats(shape: &[usize], values: &[f32]) -> Self {
        Self::raw(element::FLOAT, shape, values.iter().flat_map(|it| it.to_le_bytes()).collect())
    }

    /// 64-bit integers, row-major.
    pub(crate) fn integers(shape: &[usize], values: &[i64]) -> Self {
        Self::raw(element::INT64, shape, values.iter().flat_map(|it| it.to_le_bytes()).collect())
    }

    /// Booleans, row-major.
    pub(crate) fn booleans(shape: &[usize], values: &[bool]) -> Self {
        Self::raw(element::BOOL, shape, values.iter().map(|it| u8::from(*it)).collect())
    }

    /// Bytes as `raw_data` holds them: little endian, row-major.
    pub(crate) fn raw(data_type: i32, shape: &[usize], bytes: Vec<u8>) -> Self {
        let dims = shape.iter().map(|axis| *axis as i64).collect();
        Self { dims, data_type, raw_data: Some(Bytes::from(bytes)), ..Self::default() }
    }

    pub(crate) fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// The axes' lengths; none for a scalar.
    pub(crate) fn shape(&self) -> Vec<usize> {
        self.dims.iter().map(|axis| usize::try_from(*axis).unwrap_or_default()).collect()
    }

    /// The number of elements.
    pub(crate) fn elements(&self) -> usize {
        self.shape().iter().product()
    }

    /// The elements as numbers, row-major; `None` where they are none, or where there are not as many as the shape
    /// says. Integers beyond 2^53 are rounded.
    pub(crate) fn numbers(&self) -> Option<Vec<f64>> {
        let numbers: Vec<f64> = match (self.data_type, &self.raw_data) {
            (element::FLOAT, None) => self.float_data.iter().map(|it| f64::from(*it)).collect(),
            (element::DOUBLE, None) => self.double_data.clone(),
            (element::INT64, None) => self.int64_data.iter().map(|it| *it as f64).collect(),
            (12 | 13, None) => self.uint64_data.iter().map(|it| *it as f64).collect(),
            (element::FLOAT16, None) => {
                self.int32_data.iter().map(|it| f16::from_bits(*it as u16).to_f64()).collect()
            }
            (element::BFLOAT16, None) => {
                self.int32_data.iter().map(|it| bf16::from_bits(*it as u16).to_f64()).collect()
            }
            (2..=6 | element::BOOL, None) => {
                self.int32_data.iter().map(|it| f64::from(*it)).collect()
            }
            (element::FLOAT, Some(raw)) => each(raw, |it| f64::from(f32::from_le_bytes(it))),
            (element::DOUBLE, Some(raw)) => each(raw, f64::from_le_bytes),
            (element::UINT8 | element::BOOL, Some(raw)) => each(raw, |[it]| f64::from(it)),
            (element::INT8, Some(raw)) => each(raw, |it| f64::from(i8::from_le_bytes(it))),
            (4, Some(raw)) => each(raw, |it| f64::from(u16::from_le_bytes(it))),
            (5, Some(raw)) => each(raw, |it| f64::from(i16::from_le_bytes(it))),
            (element::INT32, Some(raw)) => each(raw, |it| f64::from(i32::from_le_bytes(it))),
            (element::INT64, Some(raw)) => each(raw, |it| i64::from_le_bytes(it) as f64),
            (element::FLOAT16, Some(raw)) => each(raw, |it| f16::from_le_bytes(it).to_f64()),
            (12, Some(raw)) => each(raw, |it| f64::from(u32::from_le_bytes(it))),
            (13, Some(raw)) => each(raw, |it| u64::from_le_bytes(it) as f64),
            (element::BFLOAT16, Some(raw)) => each(raw, |it| bf16::from_le_bytes(it).to_f64()),
            _ => return None,
        };
        (numbers.len() == self.elements()).then_some(numbers)
    }

    /// The elements as 64-bit integers, exactly; `None` where they are of another type than int64 and int32.
    pub(crate) fn whole(&self) -> Option<Vec<i64>> {
        let numbers: Vec<i64> = match (self.data_type, &self.raw_data) {
            (element::INT64, None) => self.int64_data.clone(),
            (element::INT64, Some(raw)) => each(raw, i64::from_le_bytes),
            (element::INT32, None) => self.int32_data.iter().map(|it| i64::from(*it)).collect(),
            (element::INT32, Some(raw)) => each(raw, |it| i64::from(i32::from_le_bytes(it))),
            _ => return None,
        };
        (numbers.len() == self.elements()).then_some(numbers)
    }
}

fn each<const N: usize, T>(raw: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    raw.as_chunks::<N>().0.iter().map(|bytes| read(*bytes)).collect()
}

impl AttributeProto {
    fn of(name: &str, kind: i32) -> Self {
        Self { name: name.to_owned(), r#type: kind, ..Self::default() }
    }

    pub(crate) fn float(name: &str, value: f32) -> Self {
        Self { f: Some(value), ..Self::of(name, 1) }
    }

    pub(crate) fn int(name: &str, value: i64) -> Self {
        Self { i: Some(value), ..Self::of(name, 2) }
    }

    pub(crate) fn string(name: &str, value: &str) -> Self {
        Self { s: Some(Bytes::copy_from_slice(value.as_bytes())), ..Self::of(name, 3) }
    }

    pub(crate) fn ints(name: &str, values: impl Into<Vec<i64>>) -> Self {
        Self { ints: values.into(), ..Self::of(name, 7) }
    }
}

impl NodeProto {
    /// A node of ONNX's own operators.
    pub(crate) fn new(
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: impl Into<Vec<AttributeProto>>,
    ) -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            op_type: operator.to_owned(),
            input: owned(inputs),
            output: owned(outputs),
            attribute: attributes.into(),
            ..Self::default()
        }
    }

    /// The operator with its domain, where that is not ONNX's own.
    pub(crate) fn operator(&self) -> (&str, &str) {
        let domain = if self.domain == "ai.onnx" { "" } else { self.domain.as_str() };
        (domain, self.op_type.as_str())
    }

    /// The name of an input that is there; `None` where it is left out.
    pub(crate) fn input_name(&self, number: usize) -> Option<&str> {
        self.input.get(number).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The name of an output that is asked for.
    pub(crate) fn output_name(&self, number: usize) -> Option<&str> {
        self.output.get(number).map(String::as_str).filter(|name| !name.is_empty())
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.iter().find(|attribute| attribute.name == name)
    }

    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        self.attribute(name)?.i
    }

    pub(crate) fn float(&self, name: &str) -> Option<f32> {
        self.attribute(name)?.f
    }

    pub(crate) fn string(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.attribute(name)?.s.as_ref()?).ok()
    }

    /// The list; empty where the attribute is missing.
    pub(crate) fn ints(&self, name: &str) -> &[i64] {
        self.attribute(name).map(|attribute| attribute.ints.as_slice()).unwrap_or_default()
    }

    /// The list; empty where the attribute is missing.
    pub(crate) fn floats(&self, name: &str) -> &[f32] {
        self.attribute(name).map(|attribute| attribute.floats.as_slice()).unwrap_or_default()
    }

    /// The list; empty where the attribute is missing.
    pub(crate) fn strings(&self, name: &str) -> Vec<&str> {
        let strings = self.attribute(name).map(|attribute| attribute.strings.as_slice());
        let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
        strings.unwrap_or_default().iter().map(|bytes| text(bytes)).collect()
    }

    /// Sets an attribute, in place of one of its name.
    pub(crate) fn set(&mut self, attribute: AttributeProto) {
        self.unset(&attribute.name.clone());
        self.attribute.push(attribute);
    }

    pub(crate) fn unset(&mut self, name: &str) {
        self.attribute.retain(|attribute| attribute.name != name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn floats_and_integers_are_read_as_they_were_written(
            floats in proptest::collection::vec(-1e30f32..1e30, 0..9), whole in proptest::collection::vec(any::<i64>(), 0..9)
        ) {
            let tensor = TensorProto::floats(&[floats.len()], &floats);
            let expected: Vec<_> = floats.iter().map(|it| f64::from(*it)).collect();
            prop_assert_eq!(tensor.numbers(), Some(expected.clone()));
            let listed = TensorProto { raw_data: None, float_data: floats, ..tensor };
            prop_assert_eq!(listed.numbers(), Some(expected));
            let tensor = TensorProto::integers(&[1, whole.len()], &whole);
            prop_assert_eq!(tensor.whole(), Some(whole));
        }
    }

    #[test]
    fn too_few_elements_are_no_tensor() {
        let tensor = TensorProto { dims: vec![3], ..TensorProto::floats(&[2], &[1.0, 2.0]) };
        assert_eq!(tensor.numbers(), None);
    }

    #[test]
    fn half_floats_are_read_in_either_form() {
        let bits = f16::from_f32(-1.5).to_bits();
        let raw = TensorProto::raw(element::FLOAT16, &[1], bits.to_le_bytes().to_vec());
        assert_eq!(raw.numbers(), Some(vec![-1.5]));
        let listed = TensorProto { raw_data: None, int32_data: vec![i32::from(bits)], ..raw };
        assert_eq!(listed.numbers(), Some(vec![-1.5]));
    }
}
