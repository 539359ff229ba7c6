//! One number of an input, in the forms that ezkl reads.

use crate::field::{Felt, Scale};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, IntoDeserializer as _},
};
use std::fmt;

/// One element of an input tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element {
    /// A finite number; ezkl, too, reads integers as 64-bit floats.
    Number(f64),
    /// A boolean.
    Bool(bool),
    /// A value that is scaled already.
    Felt(Felt),
}

impl Element {
    /// The real number that stands for the element at `scale`; `None` for a scalar that is no
    /// fixed-point number.
    pub fn to_f64(self, scale: Scale) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Bool(bool) => Some(f64::from(u8::from(bool))),
            Self::Felt(felt) => felt.to_f64(scale).ok(),
        }
    }
}

/// The same number as a 64-bit float, which is how ezkl reads it.
pub(in crate::artifacts) fn exact(integer: i128) -> Result<f64, String> {
    let number = integer as f64;
    if number as i128 == integer {
        return Ok(number);
    }
    Err(format!("{integer} is beyond 2^53 and no 64-bit float, as which ezkl reads it"))
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Element;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Element, E> {
                if number.is_finite() {
                    Ok(Element::Number(number))
                } else {
                    Err(E::custom(format!("{number} is not a finite number")))
                }
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Element, E> {
                exact(number.into()).map(Element::Number).map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Element, E> {
                exact(number.into()).map(Element::Number).map_err(E::custom)
            }

            fn visit_bool<E: de::Error>(self, bool: bool) -> Result<Element, E> {
                Ok(Element::Bool(bool))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Element, E> {
                Err(E::custom(
                    "null is not a number; many programs write NaN and infinity as null, so look \
                     for those where the data comes from",
                ))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Element, E> {
                if text.len() == 64 {
                    return Felt::from_le_hex(text).map(Element::Felt).map_err(E::custom);
                }
                let shown: String = text.chars().take(40).collect();
                Err(E::custom(format!(
                    "{shown:?} is a string; write numbers without quotes (a scalar is 64 \
                     hexadecimal digits, little endian, without 0x)"
                )))
            }

            // How serde_json hands out numbers where some crate in the build has switched its
            // `arbitrary_precision` on.
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Element, A::Error> {
                serde_json::Number::deserialize(de::value::MapAccessDeserializer::new(map))
                    .map_err(|_| de::Error::custom("an object is not a number"))?
                    .as_f64()
                    .filter(|number| number.is_finite())
                    .map(Element::Number)
                    .ok_or_else(|| de::Error::custom("number out of range"))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for Element {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Bool(bool) => serializer.serialize_bool(*bool),
            Self::Felt(felt) => serializer.serialize_str(&felt.to_le_hex()),
        }
    }
}

/// A tensor, nested or not, read with an error of its own where the tensor level is missing.
pub(super) struct Tensor(pub(super) Vec<Element>);

/// What stands in a tensor: an element, or a row of them.
struct Part<'a>(&'a mut Vec<Element>);

impl<'de> de::DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        struct Visitor<'a>(&'a mut Vec<Element>);
        macro_rules! elements {
            ($($visit:ident($value:ty)),*) => {
                $(fn $visit<E: de::Error>(self, value: $value) -> Result<(), E> {
                    self.0.push(Element::deserialize(value.into_deserializer())?);
                    Ok(())
                })*
            };
        }
        impl<'de> de::Visitor<'de> for Visitor<'_> {
            type Value = ();

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            elements!(
                visit_f64(f64),
                visit_i64(i64),
                visit_u64(u64),
                visit_bool(bool),
                visit_str(&str)
            );

            fn visit_unit<E: de::Error>(self) -> Result<(), E> {
                self.0.push(Element::deserialize(().into_deserializer())?);
                Ok(())
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
                let number = de::value::MapAccessDeserializer::new(map);
                self.0.push(Element::deserialize(number)?);
                Ok(())
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
                while seq.next_element_seed(Part(&mut *self.0))?.is_some() {}
                Ok(())
            }
        }
        deserializer.deserialize_any(Visitor(self.0))
    }
}

impl<'de> Deserialize<'de> for Tensor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Tensor;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of numbers for each input tensor, [[…]]")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Tensor, A::Error> {
                let mut elements = Vec::new();
                while seq.next_element_seed(Part(&mut elements))?.is_some() {}
                Ok(Tensor(elements))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
