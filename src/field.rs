//! Scalars of BN254, their encodings, and fixed-point numbers; the curve's constants.
//!
//! A circuit computes in the scalar field of BN254. A real number `x` at scale `s` stands there as
//! the integer `round(x · 2^s)`, and a negative integer `-n` as `r − n`. Two encodings are about:
//! ezkl's JSON writes 32 bytes **little** endian without `0x`; the EVM (and ezkl's "pretty" fields,
//! with `0x`) uses 32 bytes **big** endian. Every function here says which in its name.

use alloy::primitives::{B256, U256, uint};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The order `r` of the scalar field of BN254.
pub const SCALAR_MODULUS: U256 =
    uint!(21888242871839275222246405745257275088548364400416034343698204186575808495617_U256);

/// The order `q` of the base field of BN254, in which curve coordinates live.
pub const BASE_MODULUS: U256 =
    uint!(21888242871839275222246405745257275088696311157297823662689037894645226208583_U256);

/// log2 of the field's largest multiplicative subgroup whose order is a power of two. A circuit's extended
/// domain, its rows times a factor that its degree asks for, must lie in it.
pub const TWO_ADICITY: u32 = 28;

/// The generator of G2 as the pairing precompile has it: x imaginary, x real, y imaginary, y real.
pub const G2_GENERATOR: [U256; 4] = uint!([
    0x198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2_U256,
    0x1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed_U256,
    0x090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b_U256,
    0x12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa_U256,
]);

/// The largest integer that reads as positive, as ezkl has it: 2^127 − 1.
pub const MAX_POSITIVE: i128 = i128::MAX;

/// A byte string or number that is no scalar, or a scalar that is no fixed-point number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not 64 hexadecimal digits.
    #[error("expected 64 hexadecimal digits, found {0:?}")]
    Hex(String),
    /// The value is not below the modulus.
    #[error("{0:#x} is not below the scalar modulus; a canonical scalar is")]
    NotCanonical(U256),
    /// Neither below 2^127 nor within 2^127 of the modulus.
    #[error("{0:#x} does not fit a signed 128-bit integer, so it is not a fixed-point number")]
    NotFixedPoint(U256),
}

/// A scalar of BN254, always canonical (below [`SCALAR_MODULUS`]).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Felt(U256);

impl Felt {
    /// The scalar 0, which is the fixed-point number 0 at every scale.
    pub const ZERO: Self = Self(U256::ZERO);

    /// From an integer below the modulus.
    pub fn new(value: U256) -> Result<Self, Error> {
        if value < SCALAR_MODULUS { Ok(Self(value)) } else { Err(Error::NotCanonical(value)) }
    }

    /// From a signed integer; `-n` becomes `r − n`.
    pub fn from_i128(value: i128) -> Self {
        let magnitude = U256::from(value.unsigned_abs());
        if value < 0 { Self(SCALAR_MODULUS - magnitude) } else { Self(magnitude) }
    }

    /// To a signed integer: values up to 2^127 − 1 are positive, `r − n` reads as `-n`.
    ///
    /// # Errors
    /// [`Error::NotFixedPoint`] for what lies between, a hash for instance.
    pub fn to_i128(self) -> Result<i128, Error> {
        if let Ok(value) = i128::try_from(self.0) {
            return Ok(value);
        }
        i128::try_from(SCALAR_MODULUS - self.0)
            .map(|magnitude| -magnitude)
            .map_err(|_| Error::NotFixedPoint(self.0))
    }

    /// From 32 bytes, least significant first.
    pub fn from_le_bytes(bytes: [u8; 32]) -> Result<Self, Error> {
        Self::new(U256::from_le_bytes(bytes))
    }

    /// From 32 bytes, most significant first.
    pub fn from_be_bytes(bytes: [u8; 32]) -> Result<Self, Error> {
        Self::new(U256::from_be_bytes(bytes))
    }

    /// From 64 hexadecimal digits, least significant byte first, as in ezkl's `instances`.
    pub fn from_le_hex(text: &str) -> Result<Self, Error> {
        Self::from_le_bytes(decode_hex(text)?)
    }

    /// From 64 hexadecimal digits with or without `0x`, most significant byte first.
    pub fn from_be_hex(text: &str) -> Result<Self, Error> {
        Self::from_be_bytes(decode_hex(text.strip_prefix("0x").unwrap_or(text))?)
    }

    /// 32 bytes, least significant first.
    pub fn to_le_bytes(self) -> [u8; 32] {
        self.0.to_le_bytes()
    }

    /// 32 bytes, most significant first: the EVM's word.
    pub fn to_be_bytes(self) -> [u8; 32] {
        self.0.to_be_bytes()
    }

    /// 64 hexadecimal digits, least significant byte first.
    pub fn to_le_hex(self) -> String {
        alloy::hex::encode(self.to_le_bytes())
    }

    /// `0x` and 64 hexadecimal digits, most significant byte first.
    pub fn to_be_hex(self) -> String {
        B256::from(self.to_be_bytes()).to_string()
    }

    /// The integer, below the modulus.
    pub fn to_u256(self) -> U256 {
        self.0
    }

    /// The real number that this scalar stands for at `scale`: `integer / 2^scale`.
    ///
    /// # Errors
    /// [`Error::NotFixedPoint`] if the scalar is no signed 128-bit integer.
    pub fn to_f64(self, scale: Scale) -> Result<f64, Error> {
        Ok(self.to_i128()? as f64 / scale.multiplier())
    }

    /// The nearest fixed-point number, ties away from zero as ezkl rounds. `None` if `value` is not
    /// finite or too large for 127 bits.
    pub fn from_f64(value: f64, scale: Scale) -> Option<Self> {
        let scaled = (value * scale.multiplier()).round();
        // 2^127 is exact in an f64, and the comparison is false for NaN.
        (scaled.abs() < 2f64.powi(127)).then(|| Self::from_i128(scaled as i128))
    }
}

impl fmt::Debug for Felt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Felt({:#x})", self.0)
    }
}

impl fmt::Display for Felt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_be_hex())
    }
}

impl TryFrom<U256> for Felt {
    type Error = Error;

    fn try_from(value: U256) -> Result<Self, Error> {
        Self::new(value)
    }
}

impl From<Felt> for U256 {
    fn from(value: Felt) -> Self {
        value.0
    }
}

fn decode_hex(text: &str) -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    if text.len() != 64 || alloy::hex::decode_to_slice(text, &mut bytes).is_err() {
        return Err(Error::Hex(text.chars().take(80).collect()));
    }
    Ok(bytes)
}

/// The number of fractional bits of a fixed-point number: a value is `integer / 2^scale`. Negative
/// scales (coarser than one) occur in ezkl.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Scale(pub i32);

impl Scale {
    /// 2^scale: what a real number is multiplied by, before it is rounded to an integer.
    pub fn multiplier(self) -> f64 {
        2f64.powi(self.0)
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_modulus_and_what_lies_beyond_are_refused() {
        assert_eq!(Felt::new(SCALAR_MODULUS), Err(Error::NotCanonical(SCALAR_MODULUS)));
        assert!(Felt::new(SCALAR_MODULUS - U256::ONE).is_ok());
        assert!(Felt::from_be_bytes([0xff; 32]).is_err());
        let half = Felt::new(SCALAR_MODULUS >> 1).expect("below the modulus");
        assert!(matches!(half.to_i128(), Err(Error::NotFixedPoint(_))));
    }

    #[test]
    fn hex_of_the_wrong_length_or_alphabet_is_refused() {
        for text in ["", "00", "0x", &"zz".repeat(32), &"0".repeat(63), &"é".repeat(32)] {
            assert!(matches!(Felt::from_le_hex(text), Err(Error::Hex(_))), "{text}");
        }
    }

    #[test]
    fn numbers_that_ezkl_wrote() {
        let one = Felt::from_le_hex(&format!("c5{}", "0".repeat(62))).expect("a scalar");
        assert_eq!(one.to_f64(Scale(7)), Ok(1.5390625));
        assert_eq!(Felt::from_f64(1.5390625, Scale(7)), Some(one));
        assert_eq!(Felt::from_f64(f64::NAN, Scale(7)), None);
        assert_eq!(Felt::from_f64(f64::INFINITY, Scale(7)), None);
        assert_eq!(Felt::from_f64(-0.5, Scale(1)), Some(Felt::from_i128(-1)));
    }

    proptest! {
        #[test]
        fn integers_round_trip(value in (i128::MIN + 1)..) {
            prop_assert_eq!(Felt::from_i128(value).to_i128(), Ok(value));
        }

        #[test]
        fn encodings_round_trip(bytes: [u8; 32]) {
            if let Ok(felt) = Felt::from_le_bytes(bytes) {
                prop_assert_eq!(felt.to_le_bytes(), bytes);
                prop_assert_eq!(Felt::from_le_hex(&felt.to_le_hex()), Ok(felt));
                prop_assert_eq!(Felt::from_be_hex(&felt.to_be_hex()), Ok(felt));
                let mut reversed = bytes;
                reversed.reverse();
                prop_assert_eq!(Felt::from_be_bytes(reversed), Ok(felt));
            } else {
                prop_assert!(U256::from_le_bytes(bytes) >= SCALAR_MODULUS);
            }
        }

        #[test]
        fn fixed_point_is_within_half_a_unit(value in -1e6f64..1e6, scale in 0i32..24) {
            let felt = Felt::from_f64(value, Scale(scale)).expect("small");
            let back = felt.to_f64(Scale(scale)).expect("small");
            prop_assert!((back - value).abs() <= 0.5 / Scale(scale).multiplier());
        }
    }
}
