//! Takes the selector out of what a lookup looks up.
//!
//! Where a row looks nothing up, its selector s puts the table's default in the place of the value,
//! column by column: ezkl's contract computes s·a + c·(K − s) + θ·(s·b + d·(K − s)), five
//! multiplications. It is s·((a + θ·b) − (c + θ·d)) + K·(c + θ·d): the first sum in brackets is the
//! same for all tables, the second for all inputs of one, so that an input takes one or two.

use super::dag::{Dag, Id, Op};
use ark_bn254::Fr;
use ark_ff::{Field, One, Zero};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Challenges of a monomial, in order.
type Powers = Vec<Id>;

/// coefficient · Π challenges · node, without a node for what is constant.
#[derive(Clone, Debug)]
struct Monomial {
    coefficient: Fr,
    powers: Powers,
    node: Option<Id>,
}

/// The terms with their selectors taken out, if that makes them cheaper.
pub(crate) fn rewrite(dag: &mut Dag, terms: &[Id], challenges: &[Id]) -> Vec<Id> {
    let challenges: BTreeSet<Id> = challenges.iter().copied().collect();
    let mut rewritten = Rewriter { dag, challenges, known: HashMap::new() };
    let new: Vec<Id> = terms.iter().map(|term| rewritten.node(*term)).collect();
    if cost(dag, &new) < cost(dag, terms) { new } else { terms.to_vec() }
}

/// Gas of all operations, each node once.
fn cost(dag: &Dag, roots: &[Id]) -> usize {
    let (mut seen, mut open, mut cost) = (BTreeSet::new(), roots.to_vec(), 0);
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            open.extend(dag.op(id).operands());
            cost += match dag.op(id) {
                Op::Mul(..) | Op::Inv(_) => 11,
                Op::Sub(..) => 9,
                Op::Neg(_) => 6,
                Op::Add(..) => 3,
                Op::Const(_) | Op::Var(_) => 0,
            };
        }
    }
    cost
}

struct Rewriter<'d> {
    dag: &'d mut Dag,
    challenges: BTreeSet<Id>,
    known: HashMap<Id, Id>,
}

impl Rewriter<'_> {
    fn node(&mut self, id: Id) -> Id {
        if let Some(known) = self.known.get(&id) {
            return *known;
        }
        let new = match self.dag.op(id) {
            Op::Const(_) | Op::Var(_) => id,
            Op::Mul(a, b) => {
                let (a, b) = (self.node(a), self.node(b));
                self.dag.mul(a, b)
            }
            Op::Inv(a) => {
                let a = self.node(a);
                self.dag.raw_inv(a)
            }
            Op::Add(..) | Op::Sub(..) | Op::Neg(_) => match self.without_selector(id) {
                Some(new) => new,
                None => self.sum(id),
            },
        };
        self.known.insert(id, new);
        new
    }

    /// A sum as it stands, over new operands.
    fn sum(&mut self, id: Id) -> Id {
        match self.dag.op(id) {
            Op::Add(a, b) => {
                let (a, b) = (self.node(a), self.node(b));
                self.dag.add(a, b)
            }
            Op::Sub(a, b) => {
                let (a, b) = (self.node(a), self.node(b));
                self.dag.sub(a, b)
            }
            Op::Neg(a) => {
                let a = self.node(a);
                self.dag.neg(a)
            }
            _ => id,
        }
    }

    /// The monomials of a sum. Products with a constant or a challenge are multiplied out.
    fn monomials(&self, id: Id, coefficient: Fr, powers: &Powers, all: &mut Vec<Monomial>) {
        let mut push = |coefficient: Fr, powers: Powers, node: Option<Id>| {
            all.push(Monomial { coefficient, powers, node });
        };
        let with = |challenge: Id| {
            let mut powers = powers.clone();
            powers.push(challenge);
            powers.sort_unstable();
            powers
        };
        match self.dag.op(id) {
            Op::Const(value) => push(coefficient * value, powers.clone(), None),
            Op::Add(a, b) => {
                self.monomials(a, coefficient, powers, all);
                self.monomials(b, coefficient, powers, all);
            }
            Op::Sub(a, b) => {
                self.monomials(a, coefficient, powers, all);
                self.monomials(b, -coefficient, powers, all);
            }
            Op::Neg(a) => self.monomials(a, -coefficient, powers, all),
            Op::Mul(a, b) => match (self.dag.as_const(a), self.dag.as_const(b)) {
                (Some(value), _) => self.monomials(b, coefficient * value, powers, all),
                (_, Some(value)) => self.monomials(a, coefficient * value, powers, all),
                _ if self.challenges.contains(&a) => {
                    self.monomials(b, coefficient, &with(a), all);
                }
                _ if self.challenges.contains(&b) => {
                    self.monomials(a, coefficient, &with(b), all);
                }
                _ => push(coefficient, powers.clone(), Some(id)),
            },
            Op::Var(_) if self.challenges.contains(&id) => push(coefficient, with(id), None),
            Op::Var(_) | Op::Inv(_) => push(coefficient, powers.clone(), Some(id)),
        }
    }

    /// rest + s·(A − C) + K·C for a sum that has this form with a C of constants and challenges.
    fn without_selector(&mut self, id: Id) -> Option<Id> {
        let mut all = Vec::new();
        self.monomials(id, Fr::one(), &Vec::new(), &mut all);
        let free = coefficients(all.iter().filter(|it| it.node.is_none()));
        let selectors: BTreeSet<Id> = all.iter().filter_map(|it| it.node).collect();
        let (selector, minus_c, k) = selectors.into_iter().find_map(|selector| {
            let alone = coefficients(all.iter().filter(|it| it.node == Some(selector)));
            let ratio = |(powers, coefficient): (&Powers, &Fr)| {
                Some(-*free.get(powers)? * coefficient.inverse()?)
            };
            let k = ratio(alone.iter().next()?)?;
            let times =
                |it: &&Monomial| it.node.is_some_and(|id| self.over(id, selector).is_some());
            // One product with a constant alone is as cheap as it stands.
            let gains = all.iter().filter(times).count() > 1;
            (gains && alone.iter().all(|entry| ratio(entry) == Some(k)))
                .then_some((selector, alone, k))
        })?;
        let c = minus_c.iter().map(|(powers, it)| (powers.clone(), -*it)).collect();
        let c = self.of_challenges(&c);
        let (mut selected, mut rest) = (Vec::new(), Vec::new());
        for monomial in all {
            match monomial.node {
                None if minus_c.contains_key(&monomial.powers) => {}
                Some(node) => match self.over(node, selector) {
                    Some(None) => {}
                    Some(node) => selected.push(Monomial { node, ..monomial }),
                    None => rest.push(monomial),
                },
                None => rest.push(monomial),
            }
        }
        let selected = self.polynomial(selected);
        let rest = self.polynomial(rest);
        let selector = self.node(selector);
        let difference = self.dag.sub(selected, c);
        let product = self.dag.mul(selector, difference);
        let k = self.dag.constant(k);
        let default = self.dag.mul(k, c);
        let sum = self.dag.add(product, default);
        Some(self.dag.add(rest, sum))
    }

    /// A node divided by one of its two factors, or by itself, which leaves nothing.
    fn over(&self, node: Id, factor: Id) -> Option<Option<Id>> {
        match self.dag.op(node) {
            _ if node == factor => Some(None),
            Op::Mul(a, b) if a == factor => Some(Some(b)),
            Op::Mul(a, b) if b == factor => Some(Some(a)),
            _ => None,
        }
    }

    /// Σ coefficient · Π challenges.
    fn of_challenges(&mut self, coefficients: &BTreeMap<Powers, Fr>) -> Id {
        let mut sum = self.dag.constant(Fr::zero());
        for (powers, coefficient) in coefficients {
            let product = self.dag.product(powers.iter().copied());
            let coefficient = self.dag.constant(*coefficient);
            let product = self.dag.mul(coefficient, product);
            sum = self.dag.add(sum, product);
        }
        sum
    }

    /// Σ of monomials, those with the same challenges together; the same for the same monomials,
    /// however they were ordered.
    fn polynomial(&mut self, mut monomials: Vec<Monomial>) -> Id {
        monomials.sort_unstable_by(|a, b| (&a.powers, a.node).cmp(&(&b.powers, b.node)));
        let mut sum = self.dag.constant(Fr::zero());
        for alike in monomials.chunk_by(|a, b| a.powers == b.powers) {
            let mut inner = self.dag.constant(Fr::zero());
            for monomial in alike {
                let one = self.dag.constant(Fr::one());
                let product = monomial.node.map_or(one, |node| self.node(node));
                if (-monomial.coefficient).is_one() {
                    inner = self.dag.sub(inner, product);
                } else {
                    let coefficient = self.dag.constant(monomial.coefficient);
                    let product = self.dag.mul(coefficient, product);
                    inner = self.dag.add(inner, product);
                }
            }
            let powers = self.dag.product(alike[0].powers.iter().copied());
            let product = self.dag.mul(powers, inner);
            sum = self.dag.add(sum, product);
        }
        sum
    }
}

/// Coefficients by challenges, without those that are zero.
fn coefficients<'m>(monomials: impl Iterator<Item = &'m Monomial>) -> BTreeMap<Powers, Fr> {
    let mut all: BTreeMap<Powers, Fr> = BTreeMap::new();
    for monomial in monomials {
        *all.entry(monomial.powers.clone()).or_insert_with(Fr::zero) += monomial.coefficient;
    }
    all.retain(|_, coefficient| !coefficient.is_zero());
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifier::lean::field::Stream;
    use proptest::prelude::*;

    /// s·a + c·(k − s) + θ·(s·b + d·(k − s)) + β
    fn looked_up(dag: &mut Dag, [s, a, b, theta, beta]: [Id; 5], [c, d, k]: [u64; 3]) -> Id {
        let column = |dag: &mut Dag, value: Id, default: u64| {
            let product = dag.mul(s, value);
            let k = dag.constant(Fr::from(k));
            let not = dag.sub(k, s);
            let default = dag.constant(Fr::from(default));
            let default = dag.mul(default, not);
            dag.add(product, default)
        };
        let (first, second) = (column(dag, a, c), column(dag, b, d));
        let second = dag.mul(theta, second);
        let sum = dag.add(first, second);
        dag.add(beta, sum)
    }

    fn muls(dag: &Dag, roots: &[Id]) -> usize {
        let (mut seen, mut open) = (BTreeSet::new(), roots.to_vec());
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(dag.op(id).operands());
            }
        }
        seen.iter().filter(|id| matches!(dag.op(**id), Op::Mul(..))).count()
    }

    #[test]
    fn tables_and_inputs_share_what_they_can() {
        let mut dag = Dag::default();
        let [theta, beta] = [0, 1].map(|i| dag.var(i));
        let inputs = [[2, 3], [4, 5]].map(|[a, b]| [dag.var(a), dag.var(b)]);
        let mut terms = Vec::new();
        for (table, defaults) in [[3, 5, 1], [7, 11, 1], [13, 17, 24]].into_iter().enumerate() {
            for (column, [a, b]) in inputs.into_iter().enumerate() {
                let selector = dag.var((10 + 2 * table + column) as u32);
                terms.push(looked_up(&mut dag, [selector, a, b, theta, beta], defaults));
            }
        }
        assert_eq!(muls(&dag, &terms), 6 * 5);
        let new = rewrite(&mut dag, &terms, &[theta, beta]);
        // One a term; θ·b for each input; θ·d for each table; K·C for the one with K = 24.
        assert_eq!(muls(&dag, &new), 6 + 2 + 3 + 1);
    }

    #[test]
    fn what_has_no_selector_stays() {
        let mut dag = Dag::default();
        let [theta, a, b] = [0, 1, 2].map(|i| dag.var(i));
        let product = dag.mul(theta, b);
        let sum = dag.add(a, product);
        let other = dag.mul(a, b);
        let difference = dag.sub(sum, other);
        let terms = [sum, difference];
        assert_eq!(rewrite(&mut dag, &terms, &[theta]), terms);
    }

    proptest! {
        #[test]
        fn rewriting_keeps_the_value(
            shapes in proptest::collection::vec((0u32..6, 0u32..6, 0u32..6, 0u64..4, 0u64..4, 0u64..4), 1..12),
            seed: u64,
        ) {
            let mut dag = Dag::default();
            let [theta, beta] = [20, 21].map(|i| dag.var(i));
            let mut terms = Vec::new();
            for (s, a, b, c, d, k) in shapes {
                // A selector may be a product, or stand in its own value.
                let [s, a, b] = [s, a, b].map(|i| dag.var(i));
                let s = dag.mul(s, a);
                let term = looked_up(&mut dag, [s, a, b, theta, beta], [c, d, k]);
                let other = looked_up(&mut dag, [a, s, a, beta, theta], [d, k, c]);
                terms.push(dag.mul(term, other));
                terms.push(dag.sub(other, term));
            }
            let new = rewrite(&mut dag, &terms, &[theta, beta]);
            let mut stream = Stream::new(seed);
            let values: Vec<Fr> = (0..22).map(|_| stream.scalar()).collect();
            let old = dag.evaluate(&terms, |index| values[index as usize]);
            prop_assert_eq!(dag.evaluate(&new, |index| values[index as usize]), old);
        }
    }
}
