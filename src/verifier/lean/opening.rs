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
    field::{Stream, pow},
    protocol::{Challenges, Commitment, Evaluation, Opening, OpeningSet, PROOF_OFFSET},
    symbolic::{Base, Pairing, Symbol, Symbolic, Value},
};
use crate::field::G2_GENERATOR;
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
/// More sets besides the first than any circuit has; each makes the table of factors longer.
const MAX_SETS: usize = 16;

/// Where the opening is to be found, and what is known of it already.
pub(crate) struct Question<'q> {
    /// ezkl's contract, executed up to the pairing.
    pub(crate) machine: &'q Symbolic,
    /// The generator of the domain, of order 2^k.
    pub(crate) omega: Fr,
    /// log2 of the number of rows.
    pub(crate) k: u32,
    /// Which challenges are x, ζ, ν and μ.
    pub(crate) challenges: &'q Challenges,
    /// In bytes. The last two points of a proof are W and W′.
    pub(crate) proof_len: usize,
    /// Byte offsets of the evaluations in the proof.
    pub(crate) scalars: &'q [usize],
    /// The address in memory up to which the opening keeps its intermediate values.
    pub(crate) scratch_end: usize,
    /// −[τ]₂ as the precompile takes it.
    pub(crate) neg_s_g2: [U256; 4],
}

/// The opening, with commitments as the symbolic execution names them. i numbers the sets, j the
/// commitments of a set; a rotation is the exponent of ω.
pub(crate) struct Recognized {
    /// Byte offsets in the proof of the quotient's pieces, lowest power of xⁿ first.
    pub(crate) quotient: Vec<usize>,
    /// i → S_i, ascending.
    rotations: BTreeMap<usize, Vec<i64>>,
    /// (i, j) → C_ij, without the quotient, which is no single commitment.
    commitments: BTreeMap<(usize, usize), Base>,
    /// (i, j, rotation) → e.
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

/// Reads the opening off the pairing in four stages: which sets of rotations there can be, where each
/// commitment stands, where each evaluation stands, and which of the commitments is the quotient.
///
/// # Errors
/// [`Error::Template`] for all that is not of the form above.
pub(crate) fn recognize(question: &Question<'_>) -> Result<Recognized> {
    let pairing =
        question.machine.pairing.as_ref().ok_or_else(|| unknown("there is no pairing"))?;
    if pairing.lhs_g2 != G2_GENERATOR || pairing.rhs_g2 != question.neg_s_g2 {
        return Err(unknown("the pairing's points in G2 are others"));
    }
    // A wrong match takes a value that two different expressions share, one chance in r for each pair
    // looked up; the comparison of both contracts draws its own points later.
    let mut stream = Stream::new(2);
    let at = RandomPoint::draw(question, &mut stream);
    let candidates = candidate_sets(&at)?;
    let found = find_commitments(&at, pairing, &candidates)?;
    let evaluations = find_evaluations(&at, pairing, &candidates, &found, &mut stream)?;
    place_quotient(found, evaluations)
}

/// The point at which the scalars are compared: a value for each challenge. Evaluations are zero,
/// so that R is, until its coefficients are asked for.
struct RandomPoint<'q> {
    question: &'q Question<'q>,
    challenges: Vec<Fr>,
    x: Fr,
    zeta: Fr,
    nu: Fr,
    mu: Fr,
    x_n: Fr,
}

impl<'q> RandomPoint<'q> {
    fn draw(question: &'q Question<'q>, stream: &mut Stream) -> Self {
        let challenges: Vec<Fr> =
            question.machine.challenges.iter().map(|_| stream.scalar()).collect();
        let named = question.challenges;
        let x = challenges[named.x];
        Self {
            question,
            x,
            zeta: challenges[named.zeta],
            nu: challenges[named.nu],
            mu: challenges[named.mu],
            x_n: x.pow([1u64 << question.k]),
            challenges,
        }
    }

    /// The value of a variable of the graph.
    fn variable(&self, index: u32) -> Fr {
        match self.question.machine.symbols[index as usize] {
            Symbol::Challenge(index) => self.challenges[index],
            Symbol::Named("X_N") => self.x_n,
            _ => Fr::zero(),
        }
    }

    /// x·ω^r, where something is opened.
    fn node(&self, rotation: i64) -> Fr {
        self.x * pow(self.question.omega, rotation)
    }

    /// m_r = μ − x·ω^r, a factor of D_i.
    fn m(&self, rotation: i64) -> Fr {
        self.mu - self.node(rotation)
    }
}

/// A set of rotations that may be one of the S_i, and its D.
struct Candidate {
    rotations: Vec<i64>,
    d: Fr,
}

/// The first stage. The rotations are told by the words x·ω^r that the opening keeps in its scratch
/// memory; which of them make a set is not, hence every subset but the empty one.
fn candidate_sets(at: &RandomPoint<'_>) -> Result<Vec<Candidate>> {
    let Question { machine, omega, scratch_end, .. } = *at.question;
    // The domain may be smaller than the range: of two names for a rotation the shorter wins.
    let mut names: Vec<i64> = (-MAX_ROTATION..=MAX_ROTATION).collect();
    names.sort_by_key(|r| -r.abs());
    let roots: HashMap<Fr, i64> = names.into_iter().map(|r| (pow(omega, r), r)).collect();
    let stored: Vec<_> = machine
        .memory
        .range(..scratch_end)
        .filter_map(|(_, value)| match value {
            Value::Field(id) => Some(*id),
            _ => None,
        })
        .collect();
    let x_inverse = inverse(at.x)?;
    let mut rotations: BTreeSet<i64> = machine
        .dag
        .evaluate(&stored, |index| at.variable(index))
        .into_iter()
        .filter_map(|value| roots.get(&(value * x_inverse)).copied())
        .collect();
    // The quotient is opened at x, whether or not the scratch memory repeats it.
    rotations.insert(0);
    if rotations.len() > MAX_ROTATIONS {
        return Err(unknown(format!("there are {} rotations", rotations.len())));
    }
    let subset = |bits: usize| {
        let chosen = rotations.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1);
        let rotations: Vec<i64> = chosen.map(|(_, r)| *r).collect();
        let d = product(rotations.iter().map(|r| at.m(*r)));
        Candidate { rotations, d }
    };
    Ok((1..1usize << rotations.len()).map(subset).collect())
}

/// What the scalars of the pairing's left side say.
struct Commitments {
    /// D_0, known by the scalar of W, which is −D_0.
    d0: Fr,
    /// More than any j: the number of points on the left side.
    members: usize,
    /// i → S_i, for the sets that some commitment is in.
    rotations: BTreeMap<usize, Vec<i64>>,
    /// (i, j) → C_ij. A quotient of a single piece is still among them.
    commitments: BTreeMap<(usize, usize), Base>,
    /// The quotient's j in S_0 and the offsets of its pieces, where it has several.
    quotient: Option<(usize, Vec<usize>)>,
}

/// The second stage: the scalar of each point on the left side, νⁱ·(D_0/D_i)·ζʲ, times x^(n·piece) for
/// a piece of the quotient, looked up among all products of that form.
fn find_commitments(
    at: &RandomPoint<'_>,
    pairing: &Pairing,
    candidates: &[Candidate],
) -> Result<Commitments> {
    let dag = &at.question.machine.dag;
    let w_prime = Base::Proof(PROOF_OFFSET + at.question.proof_len - 0x40);
    let w = Base::Proof(PROOF_OFFSET + at.question.proof_len - 0x80);
    let g1 = Base::Constant(U256::ONE, U256::from(2));
    let bases: Vec<Base> = pairing.lhs.keys().copied().collect();
    let ids: Vec<_> = pairing.lhs.values().copied().collect();
    let values = dag.evaluate(&ids, |index| at.variable(index));
    let scalar = |base: Base| bases.iter().position(|b| *b == base).map(|i| values[i]);
    if pairing.rhs.len() != 1
        || pairing.rhs.get(&w_prime).and_then(|id| dag.as_const(*id)) != Some(Fr::one())
        || scalar(w_prime) != Some(at.mu)
        || scalar(g1) != Some(Fr::zero())
    {
        return Err(unknown("W', or the generator, has another scalar"));
    }
    let w_scalar = scalar(w).ok_or_else(|| unknown("there is no W"))?;
    let first = candidates
        .iter()
        .position(|set| set.d == -w_scalar)
        .ok_or_else(|| unknown("the scalar of W is no product of mu - x*omega^r"))?;
    let d0 = candidates[first].d;

    let members = bases.len();
    let mut powers: HashMap<Fr, (usize, usize)> = HashMap::new();
    let mut x_power = Fr::one();
    for piece in 0..MAX_PIECES {
        let mut value = x_power;
        for j in 0..members {
            powers.insert(value, (j, piece));
            value *= at.zeta;
        }
        x_power *= at.x_n;
    }
    // (i, S, 1/(νⁱ·D_0/D)): S_0 is known from W, any other candidate may be any S_i.
    let nu_inverse = inverse(at.nu)?;
    let mut factors = Vec::new();
    for (index, Candidate { rotations, d }) in candidates.iter().enumerate() {
        let mut inverse_weight = *d * inverse(d0)?;
        if index == first {
            factors.push((0, rotations, inverse_weight));
            continue;
        }
        for i in 1..=candidates.len().min(MAX_SETS) {
            inverse_weight *= nu_inverse;
            factors.push((i, rotations, inverse_weight));
        }
    }

    let mut rotations_of: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
    let mut commitments = BTreeMap::new();
    let mut first_set: BTreeMap<usize, Vec<(usize, Base)>> = BTreeMap::new();
    for (base, value) in bases.iter().zip(&values) {
        if [w, w_prime, g1].contains(base) {
            continue;
        }
        let (i, set, (j, piece)) = factors
            .iter()
            .find_map(|(i, set, inverse_factor)| {
                let (j, piece) = powers.get(&(*value * inverse_factor))?;
                // Only the quotient has pieces, and it is in the first set: the fourth stage insists.
                (*piece == 0 || *i == 0).then_some((*i, *set, (*j, *piece)))
            })
            .ok_or_else(|| unknown(format!("the scalar of {base:?} is not known")))?;
        if *rotations_of.entry(i).or_insert_with(|| set.clone()) != *set {
            return Err(unknown(format!("set {i} has two sets of rotations")));
        }
        if i == 0 {
            first_set.entry(j).or_default().push((piece, *base));
        } else if commitments.insert((i, j), *base).is_some() {
            return Err(unknown("two commitments have the same scalar"));
        }
    }
    // The quotient's pieces share a power of ζ; a single piece is told by its evaluation, later.
    let mut quotient = None;
    for (j, bases) in first_set {
        if let [(0, base)] = bases[..] {
            commitments.insert((0, j), base);
        } else if quotient.replace((j, pieces(&bases)?)).is_some() {
            return Err(unknown("there are two quotients"));
        }
    }
    Ok(Commitments { d0, members, rotations: rotations_of, commitments, quotient })
}

/// The offsets in the proof of all pieces from the 0-th on, each there once.
fn pieces(bases: &[(usize, Base)]) -> Result<Vec<usize>> {
    let mut pieces = BTreeMap::new();
    for (piece, base) in bases {
        let Base::Proof(offset) = base else {
            return Err(unknown("a piece of the quotient is not in the proof"));
        };
        if pieces.insert(*piece, offset - PROOF_OFFSET).is_some() {
            return Err(unknown("two pieces of the quotient have the same scalar"));
        }
    }
    if pieces.keys().copied().ne(0..pieces.len()) {
        return Err(unknown("a piece of the quotient is missing"));
    }
    Ok(pieces.into_values().collect())
}

/// The third stage: R is linear in the evaluations, so its gradient has their weights,
/// νⁱ·(D_0/D_i)·ℓ_{i,r}(μ)·ζʲ, to be looked up among all of that form.
fn find_evaluations(
    at: &RandomPoint<'_>,
    pairing: &Pairing,
    candidates: &[Candidate],
    found: &Commitments,
    stream: &mut Stream,
) -> Result<BTreeMap<(usize, usize, i64), Evaluation>> {
    let machine = at.question.machine;
    // R enters as the scalar of −[1]₁.
    let minus_r = pairing.lhs[&Base::Constant(U256::ONE, U256::from(2))];
    let quotient_symbol = machine
        .symbols
        .iter()
        .position(|symbol| *symbol == Symbol::Named("QUOTIENT_EVAL"))
        .ok_or_else(|| unknown("the quotient is not evaluated"))?;
    let mut weights = HashMap::new();
    for (i, set) in &found.rotations {
        let candidate = candidates.iter().find(|candidate| candidate.rotations == *set);
        let candidate = candidate.ok_or_else(|| unknown(format!("set {i} is not known")))?;
        let factor = pow(at.nu, *i as i64) * found.d0 * inverse(candidate.d)?;
        for r in set {
            let mut weight = factor;
            for other in set.iter().filter(|other| *other != r) {
                weight *= at.m(*other) * inverse(at.node(*r) - at.node(*other))?;
            }
            for j in 0..found.members {
                weights.insert(weight, (*i, j, *r));
                weight *= at.zeta;
            }
        }
    }

    let gradient = machine.dag.gradient(minus_r, |index| at.variable(index));
    let mut evaluations = BTreeMap::new();
    // R once more, as the sum of what was found, at random evaluations.
    let mut total = Fr::zero();
    let values: Vec<Fr> = machine.symbols.iter().map(|_| stream.scalar()).collect();
    for (index, symbol) in machine.symbols.iter().enumerate() {
        let evaluation = match symbol {
            Symbol::Calldata(offset)
                if at.question.scalars.contains(&offset.wrapping_sub(PROOF_OFFSET)) =>
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
    // A gradient at one point does not say that R is linear, nor that it depends on nothing else of
    // the calldata; this does.
    let value = machine.dag.evaluate(&[minus_r], |index| match machine.symbols[index as usize] {
        Symbol::Calldata(_) | Symbol::Named("QUOTIENT_EVAL") => values[index as usize],
        _ => at.variable(index),
    })[0];
    if value != -total {
        return Err(unknown("the evaluation is not linear"));
    }
    Ok(evaluations)
}

/// The fourth stage: the quotient's evaluation says where its commitment belongs.
fn place_quotient(
    found: Commitments,
    evaluations: BTreeMap<(usize, usize, i64), Evaluation>,
) -> Result<Recognized> {
    let Commitments { rotations, mut commitments, quotient, .. } = found;
    let at = evaluations.iter().find(|(_, e)| **e == Evaluation::Quotient).map(|(key, _)| *key);
    let Some((0, power, 0)) = at else {
        return Err(unknown("the quotient is opened elsewhere"));
    };
    let quotient = match quotient {
        Some((j, pieces)) if j == power => pieces,
        Some(_) => return Err(unknown("the quotient's commitment and evaluation differ")),
        None => match commitments.remove(&(0, power)) {
            Some(Base::Proof(offset)) => vec![offset - PROOF_OFFSET],
            _ => return Err(unknown("the quotient has no commitment")),
        },
    };
    Ok(Recognized { quotient, rotations, commitments, evaluations })
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
