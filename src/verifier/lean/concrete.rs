//! The machine that runs Yul on numbers, with the precompiles of BN254.
//!
//! It remembers of each point from which points of the input it was combined and with which
//! scalars, so that two verifiers can be compared scalar by scalar. Its pairing notes its arguments
//! and says yes: what is compared is the equation, not whether it holds.

use super::{
    field::{self, fr},
    interp::{Machine, Stop},
};
use crate::field::SCALAR_MODULUS;
use alloy::primitives::{U256, keccak256};
use ark_bn254::Fr;
use ark_ff::{One, Zero};
use std::collections::{BTreeMap, HashMap};

/// Memory beyond this is not touched by any verifier.
const MAX_MEMORY: usize = 1 << 24;

/// Coordinates of a point.
pub(crate) type Point = (U256, U256);

/// Scalars by the point that they multiply.
pub(crate) type Combination = BTreeMap<Point, Fr>;

/// The pairing's two points as combinations of the input's, and its G2 words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Equation {
    pub(crate) lhs: Combination,
    pub(crate) rhs: Combination,
    pub(crate) g2: Vec<U256>,
}

/// How hashes are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hashing {
    /// keccak256, as the EVM has it.
    Keccak,
    /// keccak256, but every n-th hash is next to a multiple of r, where sloppy reductions fail.
    Extreme(u64),
}

#[derive(Clone, Debug)]
pub(crate) struct Concrete {
    calldata: Vec<u8>,
    memory: Vec<u8>,
    hashing: Hashing,
    hashes: u64,
    combinations: HashMap<Point, Combination>,
    pub(crate) equations: Vec<Equation>,
    line: usize,
    /// Gas by line, as the EVM of Osaka charges.
    pub(crate) gas: BTreeMap<usize, Gas>,
}

/// Gas that was spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gas {
    /// On ecMul and ecAdd, with their calls.
    pub(crate) points: u64,
    /// On the pairing, with its call.
    pub(crate) pairing: u64,
    /// On opcodes, memory and the other precompiles.
    pub(crate) other: u64,
}

impl Concrete {
    pub(crate) fn new(calldata: Vec<u8>, hashing: Hashing) -> Self {
        Self {
            calldata,
            memory: Vec::new(),
            hashing,
            hashes: 0,
            combinations: HashMap::new(),
            equations: Vec::new(),
            line: 0,
            gas: BTreeMap::new(),
        }
    }

    /// Puts bytes into memory, as code outside of the assembly does.
    pub(crate) fn preset(&mut self, at: usize, bytes: &[u8]) -> Result<(), Stop> {
        self.range(at, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    fn range(&mut self, at: usize, length: usize) -> Result<&mut [u8], Stop> {
        let end = at.checked_add(length).filter(|end| *end <= MAX_MEMORY);
        let end = end.ok_or_else(|| Stop::fault("memory beyond 16 MiB"))?;
        if self.memory.len() < end {
            let cost = |bytes: usize| {
                let words = bytes as u64 / 32;
                3 * words + words * words / 512
            };
            let before = cost(self.memory.len());
            self.memory.resize(end.next_multiple_of(32), 0);
            let after = cost(self.memory.len());
            self.charge(after - before);
        }
        Ok(&mut self.memory[at..end])
    }

    fn word(&mut self, at: usize) -> Result<U256, Stop> {
        Ok(U256::from_be_slice(self.range(at, 32)?))
    }

    fn calldata_word(&self, at: U256) -> U256 {
        let mut word = [0; 32];
        if let Ok(at) = usize::try_from(at) {
            for (index, byte) in word.iter_mut().enumerate() {
                *byte = at
                    .checked_add(index)
                    .and_then(|at| self.calldata.get(at))
                    .copied()
                    .unwrap_or_default();
            }
        }
        U256::from_be_bytes(word)
    }

    /// A point in memory with its history; a point without one stands for itself.
    fn point(&mut self, at: usize) -> Result<Option<(ark_bn254::G1Affine, Combination)>, Stop> {
        let coordinates = (self.word(at)?, self.word(at + 32)?);
        let Some(point) = field::point(coordinates.0, coordinates.1) else { return Ok(None) };
        let own = || match coordinates {
            (x, y) if x.is_zero() && y.is_zero() => Combination::new(),
            _ => Combination::from([(coordinates, Fr::one())]),
        };
        let combination = self.combinations.get(&coordinates).cloned().unwrap_or_else(own);
        Ok(Some((point, combination)))
    }

    fn store_point(
        &mut self,
        at: usize,
        point: ark_bn254::G1Affine,
        mut combination: Combination,
    ) -> Result<(), Stop> {
        let (x, y) = field::coordinates(point);
        combination.retain(|_, scalar| !scalar.is_zero());
        self.range(at, 32)?.copy_from_slice(&x.to_be_bytes::<32>());
        self.range(at + 32, 32)?.copy_from_slice(&y.to_be_bytes::<32>());
        self.combinations.entry((x, y)).or_insert(combination);
        Ok(())
    }

    fn precompile(&mut self, arguments: [usize; 5]) -> Result<bool, Stop> {
        let [address, input, length, output, output_length] = arguments;
        match (address, length, output_length) {
            (5, 0xc0, 0x20) => {
                let mut words = [U256::ZERO; 6];
                for (index, word) in words.iter_mut().enumerate() {
                    *word = self.word(input + 32 * index)?;
                }
                if words[..3] != [U256::from(32); 3] || words[5] != SCALAR_MODULUS {
                    return Err(Stop::fault("a modexp of other sizes"));
                }
                let result = words[3].pow_mod(words[4], words[5]);
                self.range(output, 32)?.copy_from_slice(&result.to_be_bytes::<32>());
            }
            (6, 0x80, 0x40) => {
                let (Some((a, mut sum)), Some((b, other))) =
                    (self.point(input)?, self.point(input + 0x40)?)
                else {
                    return Ok(false);
                };
                for (point, scalar) in other {
                    *sum.entry(point).or_insert_with(Fr::zero) += scalar;
                }
                self.store_point(output, field::add(a, b), sum)?;
            }
            (7, 0x60, 0x40) => {
                let Some((point, mut combination)) = self.point(input)? else { return Ok(false) };
                let scalar = fr(self.word(input + 0x40)?);
                combination.values_mut().for_each(|factor| *factor *= scalar);
                self.store_point(output, field::mul(point, scalar), combination)?;
            }
            (8, 0x180, 0x20) => {
                let (Some((_, lhs)), Some((_, rhs))) =
                    (self.point(input)?, self.point(input + 0xc0)?)
                else {
                    return Ok(false);
                };
                let mut g2 = Vec::new();
                for index in [2, 3, 4, 5, 8, 9, 10, 11] {
                    g2.push(self.word(input + 32 * index)?);
                }
                self.equations.push(Equation { lhs, rhs, g2 });
                self.range(output, 32)?.copy_from_slice(&U256::ONE.to_be_bytes::<32>());
            }
            _ => return Err(Stop::fault(format!("a call of address {address}"))),
        }
        Ok(true)
    }

    /// What an operation costs besides new memory.
    fn price(&mut self, name: &str, arguments: &[U256]) {
        let words = |at: usize| {
            arguments.get(at).map_or(0, |length| length.saturating_to::<u64>().div_ceil(32))
        };
        let gas = match name {
            "gas" | "calldatasize" | "pop" => 2,
            "mul" | "mod" => 5,
            "addmod" | "mulmod" => 8,
            "keccak256" => 30 + 6 * words(1),
            "mcopy" | "calldatacopy" => 3 + 3 * words(2),
            "return" | "revert" => 0,
            "staticcall" => {
                let gas = self.gas.entry(self.line).or_default();
                match arguments.get(1).map(|address| address.saturating_to::<u64>()) {
                    // EIP-7883 for a modexp of one word with an exponent of 254 bits.
                    Some(5) => gas.other += 100 + 16 * 253,
                    Some(6) => gas.points += 100 + 150,
                    Some(7) => gas.points += 100 + 6000,
                    _ => gas.pairing += 100 + 45_000 + 2 * 34_000,
                }
                0
            }
            _ => 3,
        };
        self.charge(gas);
    }

    fn hash(&mut self, at: usize, length: usize) -> Result<U256, Stop> {
        let hash = U256::from_be_bytes(keccak256(self.range(at, length)?).0);
        self.hashes += 1;
        let hash = match self.hashing {
            // A few units beside a small multiple of r, and no two the same: 0, ±1 and equal
            // challenges make denominators zero.
            Hashing::Extreme(seed) if (self.hashes + seed).is_multiple_of(3) => {
                let multiple = SCALAR_MODULUS * U256::from(1 + (self.hashes + seed) % 4);
                let offset = U256::from(1 + self.hashes);
                if hash.bit(0) { multiple + offset } else { multiple - offset }
            }
            _ => hash,
        };
        Ok(hash)
    }
}

fn small(word: U256) -> Result<usize, Stop> {
    u32::try_from(word).map(|word| word as usize).map_err(|_| Stop::fault("an address beyond 2^32"))
}

impl Machine for Concrete {
    type Value = U256;

    fn literal(&mut self, word: U256) -> U256 {
        word
    }

    fn at(&mut self, line: usize) {
        self.line = line;
    }

    fn charge(&mut self, gas: u64) {
        self.gas.entry(self.line).or_default().other += gas;
    }

    fn truth(&mut self, value: &U256) -> Result<bool, Stop> {
        Ok(!value.is_zero())
    }

    fn operation(&mut self, name: &str, arguments: &[U256]) -> Result<Option<U256>, Stop> {
        self.price(name, arguments);
        let value = match (name, arguments) {
            ("add", [a, b]) => a.wrapping_add(*b),
            ("sub", [a, b]) => a.wrapping_sub(*b),
            ("mul", [a, b]) => a.wrapping_mul(*b),
            ("mod", [a, b]) => a.checked_rem(*b).unwrap_or_default(),
            ("addmod", [a, b, m]) => a.add_mod(*b, *m),
            ("mulmod", [a, b, m]) => a.mul_mod(*b, *m),
            ("lt", [a, b]) => U256::from(a < b),
            ("gt", [a, b]) => U256::from(a > b),
            ("eq", [a, b]) => U256::from(a == b),
            ("iszero", [a]) => U256::from(a.is_zero()),
            ("and", [a, b]) => *a & *b,
            ("or", [a, b]) => *a | *b,
            ("xor", [a, b]) => *a ^ *b,
            ("shl", [shift, a]) => usize::try_from(*shift).map_or(U256::ZERO, |s| *a << s),
            ("sar", [shift, a]) => {
                usize::try_from(*shift).map_or(U256::ZERO, |shift| a.arithmetic_shr(shift))
            }
            ("shr", [shift, a]) => usize::try_from(*shift).map_or(U256::ZERO, |s| *a >> s),
            ("gas", []) => U256::from(10_000_000),
            ("calldatasize", []) => U256::from(self.calldata.len()),
            ("calldataload", [at]) => self.calldata_word(*at),
            ("mload", [at]) => self.word(small(*at)?)?,
            ("keccak256", [at, length]) => self.hash(small(*at)?, small(*length)?)?,
            ("staticcall", [_, address, input, length, output, output_length]) => {
                let mut numbers = [0; 5];
                for (number, word) in
                    numbers.iter_mut().zip([address, input, length, output, output_length])
                {
                    *number = small(*word)?;
                }
                U256::from(self.precompile(numbers)?)
            }
            ("mstore", [at, word]) => {
                self.range(small(*at)?, 32)?.copy_from_slice(&word.to_be_bytes::<32>());
                return Ok(None);
            }
            ("mstore8", [at, byte]) => {
                self.range(small(*at)?, 1)?[0] = byte.byte(0);
                return Ok(None);
            }
            ("mcopy", [to, from, length]) => {
                let (to, from, length) = (small(*to)?, small(*from)?, small(*length)?);
                let bytes = self.range(from, length)?.to_vec();
                self.range(to, length)?.copy_from_slice(&bytes);
                return Ok(None);
            }
            ("calldatacopy", [to, from, length]) => {
                let (to, from, length) = (small(*to)?, small(*from)?, small(*length)?);
                let bytes: Vec<u8> = (from..from + length)
                    .map(|at| self.calldata.get(at).copied().unwrap_or_default())
                    .collect();
                self.range(to, length)?.copy_from_slice(&bytes);
                return Ok(None);
            }
            ("pop", [_]) => return Ok(None),
            ("invalid", []) => return Err(Stop::fault("invalid()")),
            ("return", [at, length]) => return Err(Stop::Return(small(*at)?, small(*length)?)),
            ("revert", [at, length]) => return Err(Stop::Revert(small(*at)?, small(*length)?)),
            _ => return Err(Stop::fault(format!("`{name}` of {} arguments", arguments.len()))),
        };
        Ok(Some(value))
    }
}
