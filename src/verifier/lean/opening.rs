//! Recognises the SHPLONK opening in the scalars of the pairing equation.
//!
//! With sets S_i of rotations, m_r = μ − x·ω^r and D_i = Π_{r ∈ S_i} m_r, the verifier checks
//! e(L, [1]₂) = e(W′, [τ]₂) with
//!
//! L = Σ_i νⁱ·(D_0/D_i)·Σ_j ζʲ·C_ij − R·[1]₁ − D_0·W + μ·W′,
//! R = Σ_i νⁱ·(D_0/D_i)·Σ_{r ∈ S_i} ℓ_{i,r}(μ)·Σ_j ζʲ·e_{i,j,r},
//!
//! ℓ the Lagrange basis over the points x·ω^r of the set. (ezkl's contract has D_0/D_i as a quotient
//! of products over the complements.) All scalars are evaluated at one random point and looked up
//! among the possible values; anything else is refused.

use super::{
    Error, Result,
    dag::Op,
    field::{Stream, pow},
    protocol::{Challenges, Commitment, Evaluation, Opening, OpeningSet, PROOF_OFFSET, Protocol},
    symbolic::{Base, Symbol, Symbolic, Value},
};
use alloy::primitives::U256;
use ark_bn254::Fr;
use ark_ff::{Field, One, Zero};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Rotations beyond this do not occur.
const MAX_ROTATION: i64 = 256;
/// More rotations than this make the search for sets too long.
const MAX_ROTATIONS: usize = 10;
/// More pieces of the quotient than any circuit's degree gives.
const MAX_PIECES: usize = 64;

pub(crate) struct Question<'q> {
    pub(crate) machine: &'q Symbolic,
    pub(crate) omega: Fr,
    pub(crate) k: u32,
    pub(crate) challenges: &'q Challenges,
    pub(crate) proof_len: usize,
    pub(crate) scalars: &'q [usize],
    pub(crate) scratch_end: usize,
    pub(crate) g2: [U256; 4],
    pub(crate) neg_s_g2: [U256; 4],
}

/// The opening, with commitments as the symbolic execution names them.
pub(crate) struct Recognized {
    pub(crate) quotient: Vec<usize>,
    rotations: BTreeMap<usize, Vec<i64>>,
    commitments: BTreeMap<(usize, usize), Base>,
    evaluations: BTreeMap<(usize, usize, i64), Evaluation>,
}

fn unknown(what: impl Into<String>) -> Error {
    Error::Template { line: 0, what: format!("in the opening {}", what.into()) }
}

fn product(factors: impl IntoIterator<Item = Fr>) -> Fr {
    factors.into_iter().fold(Fr::one(), |a, b| a * b)
}

fn inverse(value: Fr) -> Result<Fr> {
    value.inverse().ok_or_else(|| unknown("a random value is zero"))
}

pub(crate) fn recognize(question: &Question<'_>) -> Result<Recognized> {
    let machine = question.machine;
    let pairing = machine.pairing.as_ref().ok_or_else(|| unknown("there is no pairing"))?;
    if pairing.lhs_g2 != question.g2 || pairing.rhs_g2 != question.neg_s_g2 {
        return Err(unknown("the pairing's points in G2 are others"));
    }
    let w_prime = Base::Proof(PROOF_OFFSET + question.proof_len - 0x40);
    let w = Base::Proof(PROOF_OFFSET + question.proof_len - 0x80);
    let g1 = Base::Constant(U256::ONE, U256::from(2));

    // One random point. Evaluations are zero, so that R is, until its coefficients are asked for.
    let mut stream = Stream::new(2);
    let random: Vec<Fr> = (0..machine.challenges.len()).map(|_| stream.scalar()).collect();
    let challenges = question.challenges;
    let (x, zeta, nu, mu) = (
        random[challenges.x],
        random[challenges.zeta],
        random[challenges.nu],
        random[challenges.mu],
    );
    let x_n = x.pow([1u64 << question.k]);
    let x_inverse = inverse(x)?;
    let at_zero = |index: u32| match machine.symbols[index as usize] {
        Symbol::Challenge(index) => random[index],
        Symbol::Named("X_N") => x_n,
        _ => Fr::zero(),
    };

    // Rotations: the words x·ω^r that the opening keeps in its scratch memory.
    // The domain may be smaller than the range: of two names for a rotation the shorter wins.
    let mut names: Vec<i64> = (-MAX_ROTATION..=MAX_ROTATION).collect();
    names.sort_by_key(|r| -r.abs());
    let roots: HashMap<Fr, i64> = names.into_iter().map(|r| (pow(question.omega, r), r)).collect();
    let stored: Vec<_> = machine
        .memory
        .range(..question.scratch_end)
        .filter_map(|(_, value)| match value {
            Value::Field(id) => Some(*id),
            _ => None,
        })
        .collect();
    let mut rotations: BTreeSet<i64> = machine
        .dag
        .evaluate(&stored, at_zero)
        .into_iter()
        .filter_map(|value| roots.get(&(value * x_inverse)).copied())
        .collect();
    rotations.insert(0);
    let rotations: Vec<i64> = rotations.into_iter().collect();
    if rotations.len() > MAX_ROTATIONS {
        return Err(unknown(format!("there are {} rotations", rotations.len())));
    }
    let point = |r: i64| x * pow(question.omega, r);
    let m = |r: i64| mu - point(r);
    let subsets: Vec<Vec<i64>> = (1..1usize << rotations.len())
        .map(|bits| {
            let chosen = rotations.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1);
            chosen.map(|(_, r)| *r).collect()
        })
        .collect();
    let d: Vec<Fr> = subsets.iter().map(|s| product(s.iter().map(|r| m(*r)))).collect();

    // The scalars of the left side.
    let bases: Vec<Base> = pairing.lhs.keys().copied().collect();
    let ids: Vec<_> = pairing.lhs.values().copied().collect();
    let values = machine.dag.evaluate(&ids, at_zero);
    let scalar = |base: Base| bases.iter().position(|b| *b == base).map(|i| values[i]);
    if pairing.rhs.len() != 1
        || pairing.rhs.get(&w_prime).and_then(|id| machine.dag.as_const(*id)) != Some(Fr::one())
        || scalar(w_prime) != Some(mu)
        || scalar(g1) != Some(Fr::zero())
    {
        return Err(unknown("W', or the generator, has another scalar"));
    }
    let w_scalar = scalar(w).ok_or_else(|| unknown("there is no W"))?;
    let first = d
        .iter()
        .position(|d| *d == -w_scalar)
        .ok_or_else(|| unknown("the scalar of W is no product of mu - x*omega^r"))?;
    let members = bases.len();
    let mut powers: HashMap<Fr, (usize, usize)> = HashMap::new();
    let mut x_power = Fr::one();
    for piece in 0..MAX_PIECES {
        let mut value = x_power;
        for j in 0..members {
            powers.insert(value, (j, piece));
            value *= zeta;
        }
        x_power *= x_n;
    }
    let mut factors = Vec::new();
    for (index, set) in subsets.iter().enumerate() {
        let ratio = d[index] * inverse(d[first])?;
        if index == first {
            factors.push((0, set, ratio));
            continue;
        }
        let mut inverse_weight = ratio;
        let nu_inverse = inverse(nu)?;
        for i in 1..=subsets.len().min(16) {
            inverse_weight *= nu_inverse;
            factors.push((i, set, inverse_weight));
        }
    }
    let mut rotations_of: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
    let mut commitments = BTreeMap::new();
    let mut pieces: BTreeMap<usize, usize> = BTreeMap::new();
    let mut quotient_power = None;
    let mut zero_set: BTreeMap<usize, Vec<(usize, Base)>> = BTreeMap::new();
    for (base, value) in bases.iter().zip(&values) {
        if [w, w_prime, g1].contains(base) {
            continue;
        }
        let (i, set, (j, piece)) = factors
            .iter()
            .find_map(|(i, set, inverse_factor)| {
                let (j, piece) = powers.get(&(*value * inverse_factor))?;
                (*piece == 0 || *i == 0).then_some((*i, *set, (*j, *piece)))
            })
            .ok_or_else(|| unknown(format!("the scalar of {base:?} is not known")))?;
        if *rotations_of.entry(i).or_insert_with(|| set.clone()) != *set {
            return Err(unknown(format!("set {i} has two sets of rotations")));
        }
        if i == 0 {
            zero_set.entry(j).or_default().push((piece, *base));
        } else if commitments.insert((i, j), *base).is_some() {
            return Err(unknown("two commitments have the same scalar"));
        }
    }
    // The quotient's pieces share a power of ζ; a single piece is told by its evaluation, below.
    for (j, bases) in zero_set {
        if let [(0, base)] = bases[..] {
            commitments.insert((0, j), base);
            continue;
        }
        if quotient_power.replace(j).is_some() {
            return Err(unknown("there are two quotients"));
        }
        for (piece, base) in bases {
            let Base::Proof(offset) = base else {
                return Err(unknown("a piece of the quotient is not in the proof"));
            };
            if pieces.insert(piece, offset - PROOF_OFFSET).is_some() {
                return Err(unknown("two pieces of the quotient have the same scalar"));
            }
        }
    }
    if pieces.keys().copied().ne(0..pieces.len()) {
        return Err(unknown("a piece of the quotient is missing"));
    }

    // R is linear in the evaluations: its gradient has their weights.
    let minus_r = pairing.lhs[&g1];
    let quotient_symbol = machine
        .symbols
        .iter()
        .position(|symbol| *symbol == Symbol::Named("QUOTIENT_EVAL"))
        .ok_or_else(|| unknown("the quotient is not evaluated"))?;
    let gradient = machine.dag.gradient(minus_r, at_zero);
    let mut weights = HashMap::new();
    for (i, set) in &rotations_of {
        let index = subsets.iter().position(|s| s == set).unwrap_or_default();
        let factor = pow(nu, *i as i64) * d[first] * inverse(d[index])?;
        for r in set {
            let mut basis = factor;
            for other in set.iter().filter(|other| *other != r) {
                basis *= m(*other) * inverse(point(*r) - point(*other))?;
            }
            for j in 0..members {
                weights.insert(basis, (*i, j, *r));
                basis *= zeta;
            }
        }
    }
    let mut evaluations = BTreeMap::new();
    let mut total = Fr::zero();
    let values: Vec<Fr> = machine.symbols.iter().map(|_| stream.scalar()).collect();
    for (index, symbol) in machine.symbols.iter().enumerate() {
        let evaluation = match symbol {
            Symbol::Calldata(offset)
                if question.scalars.contains(&offset.wrapping_sub(PROOF_OFFSET)) =>
            {
                Evaluation::Proof(offset - PROOF_OFFSET)
            }
            _ if index == quotient_symbol => Evaluation::Quotient,
            _ => continue,
        };
        let weight = -gradient.get(&(index as u32)).copied().unwrap_or_else(Fr::zero);
        total += weight * values[index];
        let key = weights
            .get(&weight)
            .ok_or_else(|| unknown(format!("the weight of {evaluation:?} is not known")))?;
        if evaluations.insert(*key, evaluation).is_some() {
            return Err(unknown("two evaluations have the same weight"));
        }
    }
    let value = machine.dag.evaluate(&[minus_r], |index| {
        let symbol = machine.symbols[index as usize];
        match symbol {
            Symbol::Calldata(_) | Symbol::Named("QUOTIENT_EVAL") => values[index as usize],
            _ => at_zero(index),
        }
    })[0];
    if value != -total {
        return Err(unknown("the evaluation is not linear"));
    }
    // The quotient's evaluation says where its commitment belongs.
    let at = evaluations.iter().find(|(_, e)| **e == Evaluation::Quotient).map(|(key, _)| *key);
    let (set, power) = match at {
        Some((0, j, 0)) => (0usize, j),
        _ => return Err(unknown("the quotient is opened elsewhere")),
    };
    match quotient_power {
        Some(j) if j == power => {}
        Some(_) => return Err(unknown("the quotient's commitment and evaluation differ")),
        None => match commitments.remove(&(set, power)) {
            Some(Base::Proof(offset)) => {
                pieces.insert(0, offset - PROOF_OFFSET);
            }
            _ => return Err(unknown("the quotient has no commitment")),
        },
    }
    Ok(Recognized {
        quotient: pieces.into_values().collect(),
        rotations: rotations_of,
        commitments,
        evaluations,
    })
}

impl Recognized {
    /// The sets, `key_start` being where the commitments of the key begin in ezkl's memory.
    pub(crate) fn sets(&self, key_start: usize) -> Vec<OpeningSet> {
        let set = |(i, rotations): (&usize, &Vec<i64>)| {
            let mut openings = Vec::new();
            for j in 0.. {
                let evaluations: Vec<Evaluation> = rotations
                    .iter()
                    .filter_map(|r| self.evaluations.get(&(*i, j, *r)).copied())
                    .collect();
                let commitment = match self.commitments.get(&(*i, j)) {
                    Some(Base::Proof(offset)) => Commitment::Proof(offset - PROOF_OFFSET),
                    Some(Base::Key(at)) => Commitment::Key((at - key_start) / 64),
                    _ if evaluations.contains(&Evaluation::Quotient) => Commitment::Quotient,
                    _ => break,
                };
                openings.push(Opening { commitment, evaluations });
            }
            OpeningSet { rotations: rotations.clone(), openings }
        };
        self.rotations.iter().map(set).collect()
    }
}

/// That everything in the proof and the key is opened exactly once, and nothing else is.
pub(crate) fn check_complete(protocol: &Protocol) -> Result<()> {
    let openings: Vec<_> = protocol.sets.iter().flat_map(|set| &set.openings).collect();
    let mut opened: Vec<Commitment> = openings.iter().map(|opening| opening.commitment).collect();
    opened.extend(protocol.quotient.iter().map(|at| Commitment::Proof(*at)));
    opened.extend([protocol.w(), protocol.w() + 0x40].map(Commitment::Proof));
    opened.sort_unstable();
    let mut expected: Vec<Commitment> =
        protocol.points.iter().map(|at| Commitment::Proof(*at)).collect();
    expected.extend((0..protocol.key.len()).map(Commitment::Key));
    expected.push(Commitment::Quotient);
    expected.sort_unstable();
    if opened != expected {
        return Err(unknown("some commitment is not opened, or twice"));
    }
    let mut evaluated: Vec<Evaluation> =
        openings.iter().flat_map(|opening| opening.evaluations.iter().copied()).collect();
    evaluated.sort_unstable();
    let mut expected: Vec<Evaluation> =
        protocol.scalars.iter().map(|at| Evaluation::Proof(*at)).collect();
    expected.push(Evaluation::Quotient);
    expected.sort_unstable();
    let whole = protocol.sets.iter().all(|set| {
        let rotations = set.rotations.len();
        set.openings.iter().all(|opening| opening.evaluations.len() == rotations)
    });
    if evaluated != expected || !whole {
        return Err(unknown("some evaluation is not used, or twice"));
    }
    // The quotient's terms know nothing but evaluations, challenges and Lagrange evaluations.
    let mut open = protocol.terms.clone();
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        if let Op::Var(index) = protocol.dag.op(id)
            && let super::protocol::Input::Evaluation(at) = protocol.inputs[index as usize]
            && !protocol.scalars.contains(&at)
        {
            return Err(unknown("the quotient depends on something else"));
        }
        if matches!(protocol.dag.op(id), Op::Inv(_)) {
            return Err(unknown("the quotient divides"));
        }
        open.extend(protocol.dag.op(id).operands());
    }
    Ok(())
}
