//! Instances in few bytes, as `verifyPacked` takes them: each tensor's in a width of its own.
//!
//! One after the other without padding, big endian. In 1 to 16 bytes stands a signed number in two's
//! complement, and a negative −x is the scalar r − x; in 32 bytes stands the scalar itself. So a
//! vector of scalars has one packed form at most.

use crate::field::{Felt, SCALAR_MODULUS};
use alloy::primitives::U256;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The bytes of one packed instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Width(u8);

/// Widths of signed numbers, ascending.
const NUMBERS: [u8; 5] = [1, 2, 4, 8, 16];

impl Width {
    /// A scalar as it is.
    pub const WORD: Self = Self(32);

    /// The smallest width for signed numbers up to `largest` in absolute value.
    pub fn of(largest: u128) -> Self {
        let fits = |bytes: &&u8| largest < 1 << (8 * u32::from(**bytes) - 1);
        NUMBERS.iter().find(fits).map_or(Self::WORD, |bytes| Self(*bytes))
    }

    /// In bytes.
    pub fn bytes(self) -> usize {
        self.0.into()
    }

    fn is_word(self) -> bool {
        self == Self::WORD
    }
}

impl TryFrom<u8> for Width {
    type Error = String;

    fn try_from(bytes: u8) -> Result<Self, String> {
        let known = NUMBERS.contains(&bytes) || bytes == Self::WORD.0;
        known
            .then_some(Self(bytes))
            .ok_or(format!("a width of {bytes} bytes; use 1, 2, 4, 8, 16 or 32"))
    }
}

impl From<Width> for u8 {
    fn from(width: Width) -> Self {
        width.0
    }
}

impl fmt::Display for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The widths of a proof's instances: runs of neighbours of one width.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packing {
    runs: Vec<(Width, usize)>,
}

impl Packing {
    /// All instances as they are.
    pub fn words(count: usize) -> Self {
        Self::of([(Width::WORD, count)])
    }

    /// Runs in order; empty ones are left out, and neighbours of one width become one.
    pub fn of(all: impl IntoIterator<Item = (Width, usize)>) -> Self {
        let mut runs: Vec<(Width, usize)> = Vec::new();
        for (width, count) in all.into_iter().filter(|(_, count)| *count > 0) {
            match runs.last_mut() {
                Some((before, sum)) if *before == width => *sum += count,
                _ => runs.push((width, count)),
            }
        }
        Self { runs }
    }

    /// Width and number of instances of each run.
    pub fn runs(&self) -> &[(Width, usize)] {
        &self.runs
    }

    /// The number of instances.
    pub fn count(&self) -> usize {
        self.runs.iter().map(|(_, count)| count).sum()
    }

    /// The number of packed bytes.
    pub fn len(&self) -> usize {
        self.runs.iter().map(|(width, count)| width.bytes() * count).sum()
    }

    /// Whether there is no instance.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The one packed form of these instances. Nothing if their number is another, or one does not fit
    /// its width.
    pub fn pack(&self, instances: &[Felt]) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.len());
        let mut rest = instances;
        for (width, count) in &self.runs {
            let (run, after) = rest.split_at_checked(*count)?;
            rest = after;
            for felt in run {
                let value = felt.to_u256();
                if width.is_word() {
                    bytes.extend(value.to_be_bytes::<32>());
                    continue;
                }
                let half = U256::ONE << (8 * width.bytes() - 1);
                let negative = SCALAR_MODULUS - value;
                let word = match () {
                    () if value < half => value,
                    () if negative <= half => U256::ZERO.wrapping_sub(negative),
                    () => return None,
                };
                bytes.extend(&word.to_be_bytes::<32>()[32 - width.bytes()..]);
            }
        }
        rest.is_empty().then_some(bytes)
    }

    /// The instances in packed bytes. Nothing for another length or a word that is no scalar.
    pub fn unpack(&self, bytes: &[u8]) -> Option<Vec<Felt>> {
        if bytes.len() != self.len() {
            return None;
        }
        let mut rest = bytes;
        let mut instances = Vec::with_capacity(self.count());
        for (width, count) in &self.runs {
            let (run, after) = rest.split_at_checked(width.bytes() * count)?;
            rest = after;
            for bytes in run.chunks_exact(width.bytes()) {
                let value = U256::from_be_slice(bytes);
                let negative = !width.is_word() && bytes[0] >= 0x80;
                let value = match negative {
                    true => SCALAR_MODULUS - ((U256::ONE << (8 * width.bytes())) - value),
                    false => value,
                };
                instances.push(Felt::new(value).ok()?);
            }
        }
        Some(instances)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn width(bytes: u8) -> Width {
        Width::try_from(bytes).expect("a width")
    }

    #[test]
    fn the_smallest_width_is_taken() {
        for (largest, bytes) in [
            (0, 1),
            (127, 1),
            (128, 2),
            (32_767, 2),
            (32_768, 4),
            (1 << 31, 8),
            (1 << 63, 16),
            ((1 << 127) - 1, 16),
            (1 << 127, 32),
            (u128::MAX, 32),
        ] {
            assert_eq!(Width::of(largest).bytes(), bytes, "{largest}");
        }
        for bytes in [0, 3, 31, 33, 255] {
            assert!(Width::try_from(bytes).is_err(), "{bytes}");
        }
    }

    #[test]
    fn the_bounds_of_each_width_are_exact() {
        for bytes in NUMBERS {
            let packing = Packing::of([(width(bytes), 1)]);
            let half = U256::ONE << (8 * usize::from(bytes) - 1);
            let felt = |value| Felt::new(value).expect("a scalar");
            for inside in [U256::ZERO, half - U256::ONE, SCALAR_MODULUS - half] {
                let packed = packing.pack(&[felt(inside)]).expect("it fits");
                assert_eq!(packed.len(), usize::from(bytes));
                assert_eq!(packing.unpack(&packed), Some(vec![felt(inside)]));
            }
            for outside in [half, SCALAR_MODULUS - half - U256::ONE, SCALAR_MODULUS / U256::from(2)]
            {
                assert_eq!(packing.pack(&[felt(outside)]), None, "{bytes} {outside}");
            }
        }
        let word = Packing::words(1);
        assert_eq!(word.unpack(&SCALAR_MODULUS.to_be_bytes::<32>()), None);
        let largest = SCALAR_MODULUS - U256::ONE;
        assert_eq!(
            word.unpack(&largest.to_be_bytes::<32>()),
            Some(vec![Felt::new(largest).expect("r - 1")])
        );
    }

    #[test]
    fn neighbours_of_one_width_are_one_run() {
        let packing = Packing::of([(width(2), 3), (width(2), 1), (width(1), 0), (Width::WORD, 1)]);
        assert_eq!(packing.runs(), [(width(2), 4), (Width::WORD, 1)]);
        assert_eq!((packing.count(), packing.len()), (5, 40));
        assert_eq!(packing.pack(&[Felt::ZERO; 4]), None);
        assert_eq!(packing.pack(&[Felt::ZERO; 6]), None);
        assert_eq!(packing.unpack(&[0; 39]), None);
        assert_eq!(packing.unpack(&[0; 41]), None);
    }

    proptest! {
        /// Both ways: bytes of the right length have one meaning, and it has no other bytes.
        #[test]
        fn packed_bytes_and_scalars_are_one_to_one(
            runs in proptest::collection::vec((0usize..6, 0usize..4), 0..5), seed in any::<[u8; 32]>(),
        ) {
            let widths = [1, 2, 4, 8, 16, 32].map(width);
            let packing = Packing::of(runs.into_iter().map(|(at, count)| (widths[at], count)));
            let bytes: Vec<u8> = seed.iter().cycle().take(packing.len()).copied().collect();
            if let Some(instances) = packing.unpack(&bytes) {
                prop_assert_eq!(packing.pack(&instances), Some(bytes));
            }
        }
    }
}
