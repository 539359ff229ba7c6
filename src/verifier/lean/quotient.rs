//! Arranges the quotient's numerator Σ yᵉ·term so that it takes few multiplications.
//!
//! ezkl's verifier computes term after term and runs Horner's rule over them. Here common factors
//! go outside first: all of (1 − l_last − l_blind)·…, of l_0·…, of one selector's gates. A factor of
//! n terms saves n − 1 multiplications; Horner's rule takes one step a term wherever the term stands,
//! with a power of y for each gap.

use super::dag::{Dag, Id, Op};
use ark_bn254::Fr;
use ark_ff::{One, Zero};
use std::collections::{BTreeMap, HashMap};

/// coefficient · Π factors · y^exponent.
#[derive(Clone, Debug)]
struct Term {
    exponent: usize,
    coefficient: Fr,
    factors: Vec<Id>,
}

/// Σ y^(len − 1 − i)·terms[i].
pub(crate) fn arrange(dag: &mut Dag, terms: &[Id], y: Id) -> Id {
    let parsed: Vec<Term> = terms
        .iter()
        .rev()
        .enumerate()
        .filter_map(|(exponent, id)| split(dag, exponent, *id))
        .collect();
    let merged = merge_alike(dag, parsed, y);
    let grouped = group(dag, merged, y);
    let shift = grouped.keys().next().copied().unwrap_or(0);
    let sum = horner(dag, &grouped, y);
    times_power(dag, sum, y, shift)
}

fn split(dag: &Dag, exponent: usize, id: Id) -> Option<Term> {
    let mut term = Term { exponent, coefficient: Fr::one(), factors: Vec::new() };
    let mut open = vec![id];
    while let Some(id) = open.pop() {
        match dag.op(id) {
            Op::Mul(a, b) => open.extend([a, b]),
            Op::Neg(a) => {
                term.coefficient = -term.coefficient;
                open.push(a);
            }
            Op::Const(value) => term.coefficient *= value,
            _ => term.factors.push(id),
        }
    }
    term.factors.sort_unstable();
    (!term.coefficient.is_zero()).then_some(term)
}

fn without(factors: &[Id], factor: Id) -> Vec<Id> {
    let mut rest = factors.to_vec();
    if let Some(at) = rest.iter().position(|id| *id == factor) {
        rest.remove(at);
    }
    rest
}

/// Factors that occur with the same companions (a lookup's sum under l_0 and l_last, for every
/// lookup) get one combined companion.
fn merge_alike(dag: &mut Dag, mut terms: Vec<Term>, y: Id) -> Vec<Term> {
    type Signature = Vec<(usize, Fr, Vec<Id>)>;
    let mut places: BTreeMap<Id, Vec<usize>> = BTreeMap::new();
    for (index, term) in terms.iter().enumerate() {
        let mut factors = term.factors.clone();
        factors.dedup();
        for factor in factors {
            places.entry(factor).or_default().push(index);
        }
    }
    let mut alike: HashMap<Signature, Vec<(Id, Vec<usize>)>> = HashMap::new();
    for (factor, indices) in places.into_iter().filter(|(_, indices)| indices.len() > 1) {
        let lowest = indices.iter().map(|i| terms[*i].exponent).min().unwrap_or(0);
        let mut signature: Signature = indices
            .iter()
            .map(|i| &terms[*i])
            .map(|t| (t.exponent - lowest, t.coefficient, without(&t.factors, factor)))
            .collect();
        signature.sort_by_key(|(exponent, ..)| *exponent);
        alike.entry(signature).or_default().push((factor, indices));
    }
    let mut groups: Vec<_> = alike.into_iter().filter(|(_, places)| places.len() > 1).collect();
    groups.sort_by_key(|(_, places)| places[0].0);
    let mut dropped = vec![false; terms.len()];
    let mut added = Vec::new();
    for (signature, places) in groups {
        let fresh = places.iter().all(|(_, indices)| indices.iter().all(|i| !dropped[*i]));
        if !fresh {
            continue;
        }
        let companions: BTreeMap<usize, Id> = signature
            .into_iter()
            .map(|(exponent, coefficient, factors)| {
                let product = dag.product(factors);
                let coefficient = dag.constant(coefficient);
                (exponent, dag.mul(coefficient, product))
            })
            .collect();
        let companion = horner(dag, &companions, y);
        for (factor, indices) in places {
            let exponent = indices.iter().map(|i| terms[*i].exponent).min().unwrap_or(0);
            indices.iter().for_each(|i| dropped[*i] = true);
            let mut factors = vec![factor, companion];
            factors.sort_unstable();
            added.push(Term { exponent, coefficient: Fr::one(), factors });
        }
    }
    let mut index = 0;
    terms.retain(|_| {
        index += 1;
        !dropped[index - 1]
    });
    terms.extend(added);
    terms.sort_by_key(|term| term.exponent);
    terms
}

/// Takes the most frequent factor out, again and again.
fn group(dag: &mut Dag, terms: Vec<Term>, y: Id) -> BTreeMap<usize, Id> {
    let mut counts: BTreeMap<Id, usize> = BTreeMap::new();
    for term in &terms {
        let mut factors = term.factors.clone();
        factors.dedup();
        for factor in factors {
            *counts.entry(factor).or_default() += 1;
        }
    }
    let best = counts.into_iter().max_by_key(|(id, count)| (*count, std::cmp::Reverse(*id)));
    let mut sum: BTreeMap<usize, Id> = BTreeMap::new();
    let mut insert = |dag: &mut Dag, exponent: usize, id: Id| {
        let id = match sum.get(&exponent) {
            Some(other) => dag.add(*other, id),
            None => id,
        };
        sum.insert(exponent, id);
    };
    match best {
        Some((factor, count)) if count > 1 => {
            let (with, rest): (Vec<_>, Vec<_>) =
                terms.into_iter().partition(|term| term.factors.contains(&factor));
            let inner: Vec<Term> = with
                .into_iter()
                .map(|term| Term { factors: without(&term.factors, factor), ..term })
                .collect();
            let inner = group(dag, inner, y);
            let lowest = inner.keys().next().copied().unwrap_or(0);
            let value = horner(dag, &inner, y);
            let value = dag.mul(factor, value);
            insert(dag, lowest, value);
            for (exponent, id) in group(dag, rest, y) {
                insert(dag, exponent, id);
            }
        }
        _ => {
            for term in terms {
                let product = dag.product(term.factors);
                let coefficient = dag.constant(term.coefficient);
                let value = dag.mul(coefficient, product);
                insert(dag, term.exponent, value);
            }
        }
    }
    sum
}

/// base^exponent by repeated squaring, every power one node.
pub(crate) fn power(dag: &mut Dag, base: Id, exponent: usize) -> Id {
    match exponent {
        0 => dag.constant(Fr::one()),
        1 => base,
        _ => {
            let half = power(dag, base, exponent / 2);
            let other = power(dag, base, exponent - exponent / 2);
            dag.mul(half, other)
        }
    }
}

fn times_power(dag: &mut Dag, value: Id, base: Id, exponent: usize) -> Id {
    let power = power(dag, base, exponent);
    dag.mul(value, power)
}

/// Σ y^(exponent − lowest)·value.
pub(crate) fn horner(dag: &mut Dag, terms: &BTreeMap<usize, Id>, y: Id) -> Id {
    let mut terms = terms.iter().rev();
    let Some((mut at, mut sum)) = terms.next().map(|(e, id)| (*e, *id)) else {
        return dag.constant(Fr::zero());
    };
    for (exponent, value) in terms {
        sum = times_power(dag, sum, y, at - exponent);
        sum = dag.add(sum, *value);
        at = *exponent;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifier::lean::field::Stream;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arranging_keeps_the_value(
            shapes in proptest::collection::vec(
                (proptest::collection::vec(0u32..6, 1..5), -2i8..3), 1..40),
            seed: u64,
        ) {
            let mut dag = Dag::default();
            let y = dag.var(99);
            let terms: Vec<Id> = shapes
                .iter()
                .map(|(factors, coefficient)| {
                    let magnitude = Fr::from(coefficient.unsigned_abs());
                    let coefficient = if *coefficient < 0 { -magnitude } else { magnitude };
                    let mut id = dag.constant(coefficient);
                    for factor in factors {
                        let factor = dag.var(*factor);
                        id = dag.raw_mul(id, factor);
                    }
                    id
                })
                .collect();
            let arranged = arrange(&mut dag, &terms, y);
            let mut stream = Stream::new(seed);
            let inputs: Vec<Fr> = (0..100).map(|_| stream.scalar()).collect();
            let values = dag.evaluate(&terms, |index| inputs[index as usize]);
            let expected = values.iter().fold(Fr::zero(), |sum, value| sum * inputs[99] + value);
            let found = dag.evaluate(&[arranged], |index| inputs[index as usize])[0];
            prop_assert_eq!(found, expected);
        }
    }
}
