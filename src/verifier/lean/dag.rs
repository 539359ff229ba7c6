//! Expressions over the scalar field as a hash-consed graph.
//!
//! The symbolic execution makes nodes with [`Dag::raw_add`] and its like, which keep what the
//! verifier computes as it stands; the generator uses [`Dag::add`] and its like, which simplify.
//! A node's operands always have smaller ids, so that one pass in order evaluates a graph.

use super::field::fr;
use alloy::primitives::U256;
use ark_bn254::Fr;
use ark_ff::{Field, One, Zero};
use std::collections::HashMap;

/// Products are taken apart into at most this many factors.
const MAX_FACTORS: usize = 8;

/// A node of a [`Dag`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id(u32);

/// What a node computes, modulo `r`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    Const(Fr),
    /// An input; what it means is its user's affair.
    Var(u32),
    Add(Id, Id),
    Sub(Id, Id),
    Mul(Id, Id),
    Neg(Id),
    /// The inverse, and 0 for 0 as the EVM's modexp has it.
    Inv(Id),
}

impl Op {
    /// The nodes that it is computed from, none for a leaf.
    pub(crate) fn operands(self) -> impl Iterator<Item = Id> {
        let (a, b) = match self {
            Op::Const(_) | Op::Var(_) => (None, None),
            Op::Neg(a) | Op::Inv(a) => (Some(a), None),
            Op::Add(a, b) | Op::Sub(a, b) | Op::Mul(a, b) => (Some(a), Some(b)),
        };
        a.into_iter().chain(b)
    }
}

/// A graph of expressions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dag {
    ops: Vec<Op>,
    ids: HashMap<Op, Id>,
    /// Whether sums take common factors out. It helps with gates and lookups and hurts where the
    /// products are shared.
    factoring: bool,
}

impl Dag {
    pub(crate) fn op(&self, id: Id) -> Op {
        self.ops[id.0 as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.ops.len()
    }

    pub(crate) fn push(&mut self, op: Op) -> Id {
        *self.ids.entry(op).or_insert_with(|| {
            self.ops.push(op);
            Id(self.ops.len() as u32 - 1)
        })
    }

    pub(crate) fn constant(&mut self, value: Fr) -> Id {
        self.push(Op::Const(value))
    }

    pub(crate) fn word(&mut self, value: U256) -> Id {
        self.constant(fr(value))
    }

    pub(crate) fn var(&mut self, index: u32) -> Id {
        self.push(Op::Var(index))
    }

    pub(crate) fn as_const(&self, id: Id) -> Option<Fr> {
        match self.op(id) {
            Op::Const(value) => Some(value),
            _ => None,
        }
    }

    // ---- as it stands: only constants are folded, and 0 and 1 dropped

    pub(crate) fn raw_add(&mut self, a: Id, b: Id) -> Id {
        match (self.as_const(a), self.as_const(b)) {
            (Some(a), Some(b)) => self.constant(a + b),
            (Some(zero), _) if zero.is_zero() => b,
            (_, Some(zero)) if zero.is_zero() => a,
            _ => self.push(Op::Add(a, b)),
        }
    }

    pub(crate) fn raw_mul(&mut self, a: Id, b: Id) -> Id {
        match (self.as_const(a), self.as_const(b)) {
            (Some(a), Some(b)) => self.constant(a * b),
            (Some(zero), _) | (_, Some(zero)) if zero.is_zero() => self.constant(zero),
            (Some(one), _) if one.is_one() => b,
            (_, Some(one)) if one.is_one() => a,
            _ => self.push(Op::Mul(a, b)),
        }
    }

    pub(crate) fn raw_neg(&mut self, a: Id) -> Id {
        match self.as_const(a) {
            Some(a) => self.constant(-a),
            None => self.push(Op::Neg(a)),
        }
    }

    pub(crate) fn raw_inv(&mut self, a: Id) -> Id {
        match self.as_const(a) {
            Some(a) => self.constant(a.inverse().unwrap_or_else(Fr::zero)),
            None => self.push(Op::Inv(a)),
        }
    }

    // ---- simplifying

    pub(crate) fn neg(&mut self, a: Id) -> Id {
        match self.op(a) {
            Op::Const(a) => self.constant(-a),
            Op::Neg(a) => a,
            Op::Sub(a, b) => self.sub(b, a),
            _ => self.push(Op::Neg(a)),
        }
    }

    pub(crate) fn add(&mut self, a: Id, b: Id) -> Id {
        match (self.op(a), self.op(b)) {
            (Op::Const(a), Op::Const(b)) => return self.constant(a + b),
            (Op::Const(zero), _) if zero.is_zero() => return b,
            (_, Op::Const(zero)) if zero.is_zero() => return a,
            (Op::Neg(a), Op::Neg(b)) => {
                let sum = self.add(a, b);
                return self.neg(sum);
            }
            (Op::Neg(a), _) => return self.sub(b, a),
            (_, Op::Neg(b)) => return self.sub(a, b),
            // a + (b − a) = b
            (_, Op::Sub(c, d)) if d == a => return c,
            (Op::Sub(c, d), _) if d == b => return c,
            // A constant moves in to the constant that is already there.
            (Op::Const(constant), _) => {
                if let Some(sum) = self.add_const(constant, b) {
                    return sum;
                }
            }
            (_, Op::Const(constant)) => {
                if let Some(sum) = self.add_const(constant, a) {
                    return sum;
                }
            }
            _ => {}
        }
        if let Some((factor, c, d)) = self.common(a, b) {
            let sum = self.add(c, d);
            return self.mul(factor, sum);
        }
        let (a, b) = self.ordered(a, b);
        self.push(Op::Add(a, b))
    }

    /// Factors of a product of products.
    fn factors(&self, id: Id) -> Vec<Id> {
        let (mut factors, mut open) = (Vec::new(), vec![id]);
        while let Some(id) = open.pop() {
            match self.op(id) {
                Op::Mul(a, b) if factors.len() + open.len() < MAX_FACTORS => open.extend([a, b]),
                _ => factors.push(id),
            }
        }
        factors
    }

    /// f, c, d with a = f·c and b = f·d, if there are such: one multiplication instead of two.
    fn common(&mut self, a: Id, b: Id) -> Option<(Id, Id, Id)> {
        let products = matches!((self.op(a), self.op(b)), (Op::Mul(..), Op::Mul(..)));
        if !products || !self.factoring {
            return None;
        }
        let (mut left, mut right) = (self.factors(a), self.factors(b));
        let (i, j) = left.iter().enumerate().find_map(|(i, factor)| {
            let j = right.iter().position(|other| other == factor)?;
            self.as_const(*factor).is_none().then_some((i, j))
        })?;
        let factor = left.remove(i);
        right.remove(j);
        let (c, d) = (self.product(left), self.product(right));
        Some((factor, c, d))
    }

    fn add_const(&mut self, constant: Fr, to: Id) -> Option<Id> {
        match self.op(to) {
            Op::Add(a, rest) => {
                let sum = constant + self.as_const(a)?;
                let sum = self.constant(sum);
                Some(self.add(sum, rest))
            }
            Op::Sub(a, rest) => {
                let sum = constant + self.as_const(a)?;
                let sum = self.constant(sum);
                Some(self.sub(sum, rest))
            }
            _ => None,
        }
    }

    pub(crate) fn sub(&mut self, a: Id, b: Id) -> Id {
        if a == b {
            return self.constant(Fr::zero());
        }
        match (self.op(a), self.op(b)) {
            (Op::Const(a), Op::Const(b)) => return self.constant(a - b),
            (_, Op::Const(constant)) => {
                let minus = self.constant(-constant);
                return self.add(a, minus);
            }
            (Op::Const(zero), _) if zero.is_zero() => return self.neg(b),
            (_, Op::Neg(b)) => return self.add(a, b),
            (Op::Neg(a), _) => {
                let sum = self.add(a, b);
                return self.neg(sum);
            }
            _ => {}
        }
        // a − a·c = a·(1 − c), and the other way round.
        if let Some(c) = self.cofactor(b, a) {
            let one = self.constant(Fr::one());
            let factor = self.sub(one, c);
            return self.mul(a, factor);
        }
        if let Some(c) = self.cofactor(a, b) {
            let one = self.constant(Fr::one());
            let factor = self.sub(c, one);
            return self.mul(b, factor);
        }
        if let Some((factor, c, d)) = self.common(a, b) {
            let difference = self.sub(c, d);
            return self.mul(factor, difference);
        }
        if let (Some(a), Op::Sub(c, d)) = (self.as_const(a), self.op(b))
            && let Some(c) = self.as_const(c)
        {
            let constant = self.constant(a - c);
            return self.add(constant, d);
        }
        self.push(Op::Sub(a, b))
    }

    /// `c` if `product` is `factor · c`.
    fn cofactor(&self, product: Id, factor: Id) -> Option<Id> {
        match self.op(product) {
            Op::Mul(a, b) if a == factor => Some(b),
            Op::Mul(a, b) if b == factor => Some(a),
            _ => None,
        }
    }

    pub(crate) fn mul(&mut self, a: Id, b: Id) -> Id {
        match (self.op(a), self.op(b)) {
            (Op::Const(a), Op::Const(b)) => return self.constant(a * b),
            (Op::Const(zero), _) | (_, Op::Const(zero)) if zero.is_zero() => {
                return self.constant(zero);
            }
            (Op::Const(one), _) if one.is_one() => return b,
            (_, Op::Const(one)) if one.is_one() => return a,
            (Op::Const(minus), _) if (-minus).is_one() => return self.neg(b),
            (_, Op::Const(minus)) if (-minus).is_one() => return self.neg(a),
            (Op::Neg(a), _) => {
                let product = self.mul(a, b);
                return self.neg(product);
            }
            (_, Op::Neg(b)) => {
                let product = self.mul(a, b);
                return self.neg(product);
            }
            (Op::Const(c), Op::Mul(d, rest)) | (Op::Mul(d, rest), Op::Const(c)) => {
                if let Some(d) = self.as_const(d) {
                    let constant = self.constant(c * d);
                    return self.mul(constant, rest);
                }
            }
            _ => {}
        }
        let (a, b) = self.ordered(a, b);
        self.push(Op::Mul(a, b))
    }

    /// `Π factors`, one for none.
    pub(crate) fn product(&mut self, factors: impl IntoIterator<Item = Id>) -> Id {
        let one = self.constant(Fr::one());
        factors.into_iter().fold(one, |product, factor| self.mul(product, factor))
    }

    /// Constants first, then by age: so that equal sums and products are one node.
    fn ordered(&self, a: Id, b: Id) -> (Id, Id) {
        match (self.as_const(a), self.as_const(b)) {
            (Some(_), _) => (a, b),
            (_, Some(_)) => (b, a),
            _ if a <= b => (a, b),
            _ => (b, a),
        }
    }

    // ---- evaluation

    /// The values of all nodes up to and including `last`.
    pub(crate) fn evaluate_to(&self, last: Id, mut var: impl FnMut(u32) -> Fr) -> Vec<Fr> {
        let mut values: Vec<Fr> = Vec::with_capacity(last.0 as usize + 1);
        for op in &self.ops[..=last.0 as usize] {
            let value = |id: Id| values[id.0 as usize];
            let result = match *op {
                Op::Const(value) => value,
                Op::Var(index) => var(index),
                Op::Add(a, b) => value(a) + value(b),
                Op::Sub(a, b) => value(a) - value(b),
                Op::Mul(a, b) => value(a) * value(b),
                Op::Neg(a) => -value(a),
                Op::Inv(a) => value(a).inverse().unwrap_or_else(Fr::zero),
            };
            values.push(result);
        }
        values
    }

    /// The values of `ids`.
    pub(crate) fn evaluate(&self, ids: &[Id], var: impl FnMut(u32) -> Fr) -> Vec<Fr> {
        let Some(last) = ids.iter().max() else { return Vec::new() };
        let values = self.evaluate_to(*last, var);
        ids.iter().map(|id| values[id.0 as usize]).collect()
    }

    /// Copies `roots` out of `source` into this graph with simplification, common factors of sums
    /// included; `var` says what becomes of an input.
    pub(crate) fn import(
        &mut self,
        source: &Dag,
        roots: &[Id],
        mut var: impl FnMut(&mut Self, u32) -> Id,
    ) -> Vec<Id> {
        let mut needed = vec![false; source.len()];
        for root in roots {
            needed[root.0 as usize] = true;
        }
        for (index, op) in source.ops.iter().enumerate().rev() {
            if needed[index] {
                op.operands().for_each(|operand| needed[operand.0 as usize] = true);
            }
        }
        self.factoring = true;
        let mut copies: Vec<Option<Id>> = vec![None; source.len()];
        for (index, op) in source.ops.iter().enumerate() {
            if !needed[index] {
                continue;
            }
            let copy = |id: Id| copies[id.0 as usize].expect("operands come first");
            let made = match *op {
                Op::Const(value) => self.constant(value),
                Op::Var(index) => var(self, index),
                Op::Add(a, b) => self.add(copy(a), copy(b)),
                Op::Sub(a, b) => self.sub(copy(a), copy(b)),
                Op::Mul(a, b) => self.mul(copy(a), copy(b)),
                Op::Neg(a) => self.neg(copy(a)),
                Op::Inv(a) => self.raw_inv(copy(a)),
            };
            copies[index] = Some(made);
        }
        self.factoring = false;
        roots.iter().map(|root| copies[root.0 as usize].expect("copied")).collect()
    }

    /// The constant 0, if the graph has it.
    pub(crate) fn find_zero(&self) -> Option<Id> {
        self.ids.get(&Op::Const(Fr::zero())).copied()
    }

    /// The partial derivatives of `root` by the variables on which it depends.
    pub(crate) fn gradient(&self, root: Id, var: impl FnMut(u32) -> Fr) -> HashMap<u32, Fr> {
        let values = self.evaluate_to(root, var);
        let mut adjoints = vec![Fr::zero(); values.len()];
        adjoints[root.0 as usize] = Fr::one();
        let mut gradient = HashMap::new();
        for index in (0..values.len()).rev() {
            let adjoint = adjoints[index];
            if adjoint.is_zero() {
                continue;
            }
            match self.ops[index] {
                Op::Const(_) => {}
                Op::Var(var) => {
                    gradient.insert(var, adjoint);
                }
                Op::Add(a, b) => {
                    adjoints[a.0 as usize] += adjoint;
                    adjoints[b.0 as usize] += adjoint;
                }
                Op::Sub(a, b) => {
                    adjoints[a.0 as usize] += adjoint;
                    adjoints[b.0 as usize] -= adjoint;
                }
                Op::Mul(a, b) => {
                    let (to_a, to_b) =
                        (adjoint * values[b.0 as usize], adjoint * values[a.0 as usize]);
                    adjoints[a.0 as usize] += to_a;
                    adjoints[b.0 as usize] += to_b;
                }
                Op::Neg(a) => adjoints[a.0 as usize] -= adjoint,
                Op::Inv(a) => adjoints[a.0 as usize] -= adjoint * values[index].square(),
            }
        }
        gradient
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifier::lean::field::Stream;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Const(i8),
        Var(u32),
        Add(usize, usize),
        Sub(usize, usize),
        Mul(usize, usize),
        Neg(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (-3i8..4).prop_map(Step::Const),
            (0u32..4).prop_map(Step::Var),
            (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Step::Add(a, b)),
            (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Step::Sub(a, b)),
            (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Step::Mul(a, b)),
            any::<usize>().prop_map(Step::Neg),
        ];
        proptest::collection::vec(step, 1..80)
    }

    fn small(value: i8) -> Fr {
        let magnitude = Fr::from(value.unsigned_abs());
        if value < 0 { -magnitude } else { magnitude }
    }

    proptest! {
        #[test]
        fn simplification_keeps_the_value(steps in steps(), seed: u64) {
            let (mut simple, mut raw) = (Dag::default(), Dag::default());
            let (mut left, mut right): (Vec<Id>, Vec<Id>) = (Vec::new(), Vec::new());
            for step in steps {
                let n = left.len();
                let (a, b) = match step {
                    Step::Const(value) => (simple.constant(small(value)), raw.constant(small(value))),
                    Step::Var(index) => (simple.var(index), raw.var(index)),
                    Step::Add(..) | Step::Sub(..) | Step::Mul(..) | Step::Neg(_) if n == 0 => continue,
                    Step::Add(a, b) => (
                        simple.add(left[a % n], left[b % n]),
                        raw.raw_add(right[a % n], right[b % n]),
                    ),
                    Step::Sub(a, b) => {
                        let minus = raw.raw_neg(right[b % n]);
                        (simple.sub(left[a % n], left[b % n]), raw.raw_add(right[a % n], minus))
                    }
                    Step::Mul(a, b) => (
                        simple.mul(left[a % n], left[b % n]),
                        raw.raw_mul(right[a % n], right[b % n]),
                    ),
                    Step::Neg(a) => (simple.neg(left[a % n]), raw.raw_neg(right[a % n])),
                };
                left.push(a);
                right.push(b);
            }
            let mut stream = Stream::new(seed);
            let inputs: Vec<Fr> = (0..4).map(|_| stream.scalar()).collect();
            let expected = raw.evaluate(&right, |index| inputs[index as usize]);
            prop_assert_eq!(simple.evaluate(&left, |index| inputs[index as usize]), expected.clone());
            // Copying simplifies as well.
            let mut copy = Dag::default();
            let copies = copy.import(&raw, &right, |dag, index| dag.var(index));
            prop_assert_eq!(copy.evaluate(&copies, |index| inputs[index as usize]), expected);
        }
    }
}
