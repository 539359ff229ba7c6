//! The machine of the symbolic execution: calldata and challenges are symbols, everything else is
//! computed. What comes out is the meaning of a verifier and not its text.

use super::{
    dag::{Dag, Id},
    interp::{Machine, Stop},
};
use crate::field::{BASE_MODULUS, SCALAR_MODULUS};
use alloy::primitives::U256;
use std::collections::BTreeMap;

/// What a variable of the graph stands for; variables are numbered in the order in which they are
/// met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Symbol {
    /// The word of the calldata at this offset.
    Calldata(usize),
    /// The n-th challenge that the transcript yields, from 0.
    Challenge(usize),
    /// A word of memory that the driver has named.
    Named(&'static str),
}

/// A point that ends up in the multi-scalar multiplication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Base {
    /// From the proof: offset of its x in the calldata.
    Proof(usize),
    /// A commitment of the verifying key: address of its x in ezkl's memory.
    Key(usize),
    /// A point whose coordinates x and y stand in the text.
    Constant(U256, U256),
}

/// A linear combination of points.
pub(crate) type Combination = BTreeMap<Base, Id>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Word(U256),
    Field(Id),
    /// A coordinate of the n-th computed point: 0 for x.
    Point(usize, usize),
    /// A word of a commitment of the verifying key, at this address.
    Key(usize),
    /// The n-th hash that was computed, before it is reduced to a challenge.
    Hash(usize),
    /// The byte 1, as `mstore8` writes it.
    Byte,
    /// An expression over the base field.
    Base(usize),
    /// A check, not yet demanded.
    Check(Check),
    /// That all demanded checks hold.
    Success,
}

/// What the verifier demands of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Check {
    /// The word at this offset is below r.
    Scalar(usize),
    /// The word at this offset is below q.
    Coordinate(usize),
    /// The point at this offset satisfies y² = x³ + 3.
    OnCurve(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BaseOp {
    Mul(Value, Value),
    Add(Value, Value),
}

/// What one hash absorbed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hash {
    pub(crate) words: Vec<Value>,
}

/// The arguments of the pairing: two points, each with the four words of a point in G2.
#[derive(Clone, Debug)]
pub(crate) struct Pairing {
    pub(crate) lhs: Combination,
    pub(crate) lhs_g2: [U256; 4],
    pub(crate) rhs: Combination,
    pub(crate) rhs_g2: [U256; 4],
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Symbolic {
    pub(crate) dag: Dag,
    pub(crate) symbols: Vec<Symbol>,
    pub(crate) memory: BTreeMap<usize, Value>,
    pub(crate) hashes: Vec<Hash>,
    /// Hashes in the order in which they became challenges.
    pub(crate) challenges: Vec<usize>,
    pub(crate) checks: Vec<Check>,
    pub(crate) pairing: Option<Pairing>,
    points: Vec<Combination>,
    base: Vec<BaseOp>,
}

impl Symbolic {
    pub(crate) fn symbol(&mut self, symbol: Symbol) -> Id {
        let index = self.symbols.iter().position(|known| *known == symbol).unwrap_or_else(|| {
            self.symbols.push(symbol);
            self.symbols.len() - 1
        });
        self.dag.var(index as u32)
    }

    /// Which symbol a node is.
    pub(crate) fn symbol_of(&self, id: Id) -> Option<Symbol> {
        match self.dag.op(id) {
            super::dag::Op::Var(index) => self.symbols.get(index as usize).copied(),
            _ => None,
        }
    }

    /// An element of the scalar field.
    pub(crate) fn field(&mut self, value: Value) -> Result<Id, Stop> {
        match value {
            Value::Word(word) => Ok(self.dag.word(word)),
            Value::Field(id) => Ok(id),
            other => Err(Stop::fault(format!("{other:?} where a scalar belongs"))),
        }
    }

    fn load(&self, address: usize) -> Value {
        self.memory.get(&address).copied().unwrap_or(Value::Word(U256::ZERO))
    }

    fn calldata(&self, value: Value) -> Option<usize> {
        match value {
            Value::Field(id) => match self.symbol_of(id) {
                Some(Symbol::Calldata(offset)) => Some(offset),
                _ => None,
            },
            _ => None,
        }
    }

    fn point(&mut self, x: Value, y: Value) -> Result<Combination, Stop> {
        let one = self.dag.word(U256::ONE);
        let base = match (x, y) {
            (Value::Point(a, 0), Value::Point(b, 1)) if a == b => return Ok(self.points[a].clone()),
            (Value::Word(x), Value::Word(y)) if x.is_zero() && y.is_zero() => {
                return Ok(Combination::new());
            }
            (Value::Word(x), Value::Word(y)) => Base::Constant(x, y),
            (Value::Key(x), Value::Key(y)) if y == x + 32 => Base::Key(x),
            _ => match (self.calldata(x), self.calldata(y)) {
                (Some(x), Some(y)) if y == x + 32 => Base::Proof(x),
                _ => return Err(Stop::fault("coordinates that do not belong together")),
            },
        };
        Ok(Combination::from([(base, one)]))
    }

    fn store_point(&mut self, at: usize, point: Combination) {
        let index = self.points.len();
        self.points.push(point);
        self.memory.insert(at, Value::Point(index, 0));
        self.memory.insert(at + 32, Value::Point(index, 1));
    }

    fn precompile(&mut self, arguments: [usize; 5]) -> Result<(), Stop> {
        let [address, input, input_length, output, output_length] = arguments;
        let word = |machine: &Self, index: usize| machine.load(input + 32 * index);
        match (address, input_length, output_length) {
            (5, 0xc0, 0x20) => {
                let expected = [32u64, 32, 32].map(U256::from);
                let exponent = SCALAR_MODULUS - U256::from(2);
                let fixed = expected.map(Value::Word);
                if (0..3).any(|i| word(self, i) != fixed[i])
                    || word(self, 4) != Value::Word(exponent)
                    || word(self, 5) != Value::Word(SCALAR_MODULUS)
                {
                    return Err(Stop::fault("a modexp that is no inversion"));
                }
                let value = word(self, 3);
                let value = self.field(value)?;
                let inverse = self.dag.raw_inv(value);
                self.memory.insert(output, Value::Field(inverse));
            }
            (6, 0x80, 0x40) => {
                let mut sum = self.point(word(self, 0), word(self, 1))?;
                for (base, scalar) in self.point(word(self, 2), word(self, 3))? {
                    let scalar = match sum.get(&base) {
                        Some(other) => self.dag.raw_add(*other, scalar),
                        None => scalar,
                    };
                    sum.insert(base, scalar);
                }
                self.store_point(output, sum);
            }
            (7, 0x60, 0x40) => {
                let point = self.point(word(self, 0), word(self, 1))?;
                let scalar = word(self, 2);
                let scalar = self.field(scalar)?;
                let scaled = point
                    .into_iter()
                    .map(|(base, factor)| (base, self.dag.raw_mul(factor, scalar)))
                    .collect();
                self.store_point(output, scaled);
            }
            (8, 0x180, 0x20) if self.pairing.is_none() => {
                let constants = |machine: &Self, from: usize| -> Result<[U256; 4], Stop> {
                    let mut words = [U256::ZERO; 4];
                    for (index, slot) in words.iter_mut().enumerate() {
                        match machine.load(input + 32 * (from + index)) {
                            Value::Word(word) => *slot = word,
                            _ => return Err(Stop::fault("a point in G2 that is no constant")),
                        }
                    }
                    Ok(words)
                };
                self.pairing = Some(Pairing {
                    lhs: self.point(word(self, 0), word(self, 1))?,
                    lhs_g2: constants(self, 2)?,
                    rhs: self.point(word(self, 6), word(self, 7))?,
                    rhs_g2: constants(self, 8)?,
                });
                self.memory.insert(output, Value::Word(U256::ONE));
            }
            _ => return Err(Stop::fault(format!("a call of address {address}"))),
        }
        Ok(())
    }

    /// `y² = x³ + 3` for a point of the calldata.
    fn curve_check(&self, left: usize, right: usize) -> Option<Check> {
        let op = |value: Value| match value {
            Value::Base(index) => self.base.get(index).copied(),
            _ => None,
        };
        let BaseOp::Mul(y, y_again) = self.base[left] else { return None };
        let BaseOp::Add(cube, Value::Word(three)) = self.base[right] else { return None };
        let BaseOp::Mul(x, square) = op(cube)? else { return None };
        let BaseOp::Mul(x2, x3) = op(square)? else { return None };
        let (at_x, at_y) = (self.calldata(x)?, self.calldata(y)?);
        let known = y == y_again && x == x2 && x == x3 && three == U256::from(3);
        (known && at_y == at_x + 32).then_some(Check::OnCurve(at_x))
    }

    fn modular(&mut self, name: &str, a: Value, b: Value, modulus: U256) -> Result<Value, Stop> {
        if let (Value::Word(a), Value::Word(b)) = (a, b) {
            let result =
                if name == "addmod" { a.add_mod(b, modulus) } else { a.mul_mod(b, modulus) };
            return Ok(Value::Word(result));
        }
        if modulus == BASE_MODULUS {
            let op = if name == "addmod" { BaseOp::Add(a, b) } else { BaseOp::Mul(a, b) };
            self.base.push(op);
            return Ok(Value::Base(self.base.len() - 1));
        }
        if modulus != SCALAR_MODULUS {
            return Err(Stop::fault("an unknown modulus"));
        }
        let (a, b) = (self.field(a)?, self.field(b)?);
        let id = if name == "addmod" { self.dag.raw_add(a, b) } else { self.dag.raw_mul(a, b) };
        Ok(Value::Field(id))
    }

    fn conjunction(&mut self, a: Value, b: Value) -> Result<Value, Stop> {
        let mut all = true;
        for value in [a, b] {
            match value {
                Value::Success => {}
                Value::Check(check) => self.checks.push(check),
                Value::Word(word) if word == U256::ONE => {}
                Value::Word(word) if word.is_zero() => all = false,
                other => return Err(Stop::fault(format!("{other:?} as a condition"))),
            }
        }
        Ok(if all { Value::Success } else { Value::Word(U256::ZERO) })
    }
}

fn small(word: U256) -> Result<usize, Stop> {
    u32::try_from(word).map(|word| word as usize).map_err(|_| Stop::fault("an address beyond 2^32"))
}

fn plain(value: Value) -> Result<U256, Stop> {
    match value {
        Value::Word(word) => Ok(word),
        other => Err(Stop::fault(format!("{other:?} where a known number belongs"))),
    }
}

fn aligned(value: Value) -> Result<usize, Stop> {
    let address = small(plain(value)?)?;
    if address % 32 == 0 { Ok(address) } else { Err(Stop::fault("memory that is not aligned")) }
}

impl Machine for Symbolic {
    type Value = Value;

    fn literal(&mut self, word: U256) -> Value {
        Value::Word(word)
    }

    fn truth(&mut self, value: &Value) -> Result<bool, Stop> {
        plain(*value).map(|word| !word.is_zero())
    }

    fn operation(&mut self, name: &str, arguments: &[Value]) -> Result<Option<Value>, Stop> {
        let flag = |flag: bool| Value::Word(U256::from(flag));
        let value = match (name, arguments) {
            ("addmod" | "mulmod", [a, b, modulus]) => {
                self.modular(name, *a, *b, plain(*modulus)?)?
            }
            ("sub", [Value::Word(a), Value::Word(b)]) => Value::Word(a.wrapping_sub(*b)),
            ("sub", [Value::Word(a), b]) if *a == SCALAR_MODULUS => {
                let b = self.field(*b)?;
                Value::Field(self.dag.raw_neg(b))
            }
            ("add", [Value::Word(a), Value::Word(b)]) => Value::Word(a.wrapping_add(*b)),
            ("mul", [Value::Word(a), Value::Word(b)]) => Value::Word(a.wrapping_mul(*b)),
            ("lt", [Value::Word(a), Value::Word(b)]) => flag(a < b),
            ("eq", [Value::Word(a), Value::Word(b)]) => flag(a == b),
            ("lt", [value, Value::Word(bound)]) => {
                let offset =
                    self.calldata(*value).ok_or_else(|| Stop::fault("a comparison of no input"))?;
                if *bound == SCALAR_MODULUS {
                    Value::Check(Check::Scalar(offset))
                } else if *bound == BASE_MODULUS {
                    Value::Check(Check::Coordinate(offset))
                } else {
                    return Err(Stop::fault("an unknown bound"));
                }
            }
            ("eq", [Value::Base(left), Value::Base(right)]) => Value::Check(
                self.curve_check(*left, *right)
                    .ok_or_else(|| Stop::fault("an equation that is not the curve's"))?,
            ),
            ("and", [a, b]) => self.conjunction(*a, *b)?,
            ("iszero", [Value::Word(word)]) => flag(word.is_zero()),
            ("iszero", [Value::Success]) => flag(false),
            ("mod", [Value::Hash(hash), Value::Word(modulus)]) if *modulus == SCALAR_MODULUS => {
                if self.challenges.contains(hash) {
                    return Err(Stop::fault("a challenge that is taken twice"));
                }
                self.challenges.push(*hash);
                Value::Field(self.symbol(Symbol::Challenge(self.challenges.len() - 1)))
            }
            ("calldataload", [offset]) => {
                let offset = small(plain(*offset)?)?;
                Value::Field(self.symbol(Symbol::Calldata(offset)))
            }
            ("mload", [address]) => self.load(aligned(*address)?),
            ("mstore", [address, value]) => {
                self.memory.insert(aligned(*address)?, *value);
                return Ok(None);
            }
            ("mstore8", [address, Value::Word(byte)]) if *byte == U256::ONE => {
                self.memory.insert(aligned(*address)?, Value::Byte);
                return Ok(None);
            }
            ("keccak256", [start, length]) => {
                let (start, length) = (aligned(*start)?, small(plain(*length)?)?);
                let mut words: Vec<Value> =
                    (0..length / 32).map(|i| self.load(start + 32 * i)).collect();
                match length % 32 {
                    0 => {}
                    1 if self.load(start + length - 1) == Value::Byte => words.push(Value::Byte),
                    _ => return Err(Stop::fault("a hash of half a word")),
                }
                self.hashes.push(Hash { words });
                Value::Hash(self.hashes.len() - 1)
            }
            ("gas", []) => Value::Word(U256::MAX),
            ("staticcall", [_, address, input, input_length, output, output_length]) => {
                let mut numbers = [0; 5];
                for (number, value) in
                    numbers.iter_mut().zip([address, input, input_length, output, output_length])
                {
                    *number = small(plain(*value)?)?;
                }
                self.precompile(numbers)?;
                Value::Success
            }
            ("pop", [_]) => return Ok(None),
            ("return", [offset, length]) => {
                return Err(Stop::Return(small(plain(*offset)?)?, small(plain(*length)?)?));
            }
            ("revert", [offset, length]) => {
                return Err(Stop::Revert(small(plain(*offset)?)?, small(plain(*length)?)?));
            }
            _ => return Err(Stop::fault(format!("`{name}` of {arguments:?}"))),
        };
        Ok(Some(value))
    }
}
