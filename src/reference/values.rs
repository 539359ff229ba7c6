//! Numbers as ONNX Runtime's element types have them.

use half::{bf16, f16};
use ort::value::{DynValue, Tensor, TensorElementType as Element};

/// Why an element can't be had.
pub(super) enum Fault {
    /// The number at that place is none of the type.
    Value(usize),
    /// ONNX Runtime's own words.
    Ort(ort::Error),
}

impl From<ort::Error> for Fault {
    fn from(error: ort::Error) -> Self {
        Self::Ort(error)
    }
}

/// An element as ONNX's `raw_data` has it.
trait Raw {
    fn put(&self, bytes: &mut Vec<u8>);
}

macro_rules! raw {
    ($($rust:ty)*) => {
        $(impl Raw for $rust {
            fn put(&self, bytes: &mut Vec<u8>) {
                bytes.extend(self.to_le_bytes());
            }
        })*
    };
}

raw! { f32 f64 f16 bf16 i8 i16 i32 i64 u8 u16 u32 u64 }

impl Raw for bool {
    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(*self));
    }
}

/// For every type of numbers: its name, its Rust type, whether a number is one of it, the number as one of
/// it, and the way back.
macro_rules! elements {
    ($($kind:ident $name:literal $rust:ty: $holds:expr, $from:expr, $to:expr;)*) => {
        /// The type's name, such as `f32` or `i64`; `None` where its elements are no numbers.
        pub(super) fn name(element: Element) -> Option<&'static str> {
            match element {
                $(Element::$kind => Some($name),)*
                _ => None,
            }
        }

        /// A tensor of that type.
        pub(super) fn tensor(element: Element, shape: &[usize], data: &[f64]) -> Result<DynValue, Fault> {
            match element {
                $(Element::$kind => {
                    let holds: fn(f64) -> bool = $holds;
                    if let Some(index) = data.iter().position(|value| !value.is_finite() || !holds(*value)) {
                        return Err(Fault::Value(index));
                    }
                    let from: fn(f64) -> $rust = $from;
                    let data: Vec<$rust> = data.iter().map(|value| from(*value)).collect();
                    Ok(Tensor::from_array((shape, data))?.into_dyn())
                })*
                other => Err(ort::Error::new(format!("{other:?} is no number")).into()),
            }
        }

        /// A tensor's elements in row-major order, little endian.
        pub(super) fn bytes(value: &DynValue) -> Result<Vec<u8>, ort::Error> {
            match value.dtype().tensor_type() {
                $(Some(Element::$kind) => {
                    let elements = value.try_extract_tensor::<$rust>()?.1;
                    let mut bytes = Vec::with_capacity(size_of_val(elements));
                    elements.iter().for_each(|element| element.put(&mut bytes));
                    Ok(bytes)
                })*
                other => Err(ort::Error::new(format!("{other:?} is no number"))),
            }
        }

        /// A tensor's numbers in row-major order.
        pub(super) fn numbers(value: &DynValue) -> Result<Vec<f64>, ort::Error> {
            match value.dtype().tensor_type() {
                $(Some(Element::$kind) => {
                    let to: fn(&$rust) -> f64 = $to;
                    Ok(value.try_extract_tensor::<$rust>()?.1.iter().map(to).collect())
                })*
                other => Err(ort::Error::new(format!("{other:?} is no number"))),
            }
        }
    };
}

/// Whether the number is whole and within an integer type. 2^63 and 2^64 themselves are not within.
macro_rules! whole {
    ($type:ty) => {
        |value| {
            value.fract() == 0.0
                && value as $type as f64 == value
                && value < <$type>::MAX as f64 + if <$type>::BITS < 64 { 1.0 } else { 0.0 }
        }
    };
}

elements! {
    Float32 "f32" f32: |value| (value as f32).is_finite(), |value| value as f32, |value| f64::from(*value);
    Float64 "f64" f64: |_| true, |value| value, |value| *value;
    Float16 "f16" f16: |value| f16::from_f64(value).is_finite(), f16::from_f64, |value| value.to_f64();
    Bfloat16 "bf16" bf16: |value| bf16::from_f64(value).is_finite(), bf16::from_f64, |value| value.to_f64();
    Int8 "i8" i8: whole!(i8), |value| value as i8, |value| f64::from(*value);
    Int16 "i16" i16: whole!(i16), |value| value as i16, |value| f64::from(*value);
    Int32 "i32" i32: whole!(i32), |value| value as i32, |value| f64::from(*value);
    Int64 "i64" i64: whole!(i64), |value| value as i64, |value| *value as f64;
    Uint8 "u8" u8: whole!(u8), |value| value as u8, |value| f64::from(*value);
    Uint16 "u16" u16: whole!(u16), |value| value as u16, |value| f64::from(*value);
    Uint32 "u32" u32: whole!(u32), |value| value as u32, |value| f64::from(*value);
    Uint64 "u64" u64: whole!(u64), |value| value as u64, |value| *value as f64;
    Bool "bool" bool: |value| value == 0.0 || value == 1.0, |value| value != 0.0, |value| f64::from(u8::from(*value));
}
