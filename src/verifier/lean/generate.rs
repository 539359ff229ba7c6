//! Prints the assembly of a lean verifier, phase by phase.

mod denominators;
mod expressions;
mod input;
mod points;

use super::{
    dag::{Dag, Id},
    emit::{Code, Literals, Lower, Piece, Slots, address, load},
    field::{self, pow},
    layout::Layout,
    msm::{Chain, Msm, ROLLED},
    protocol::{Commitment, Evaluation, Input, OpeningSet, PROOF_OFFSET, Protocol},
    quotient, selected,
};
use crate::{
    field::SCALAR_MODULUS,
    model::packing::{Packing, Width},
};
use alloy::primitives::{U256, keccak256};
use ark_bn254::Fr;
use ark_ff::{Field, One};
use std::collections::{BTreeMap, HashMap};

/// Instances that are evaluated one after the other in the text; more go through a loop.
const STRAIGHT: usize = 24;
/// The same where code is dearer: up to here the loop has one instance a round.
const STRAIGHT_LOOP: usize = 100;
/// Instances in one round of the loop, at least and at most.
const BLOCKS: std::ops::RangeInclusive<usize> = 8..=32;

/// What `block` instances a round cost, code against gas: an instance in the text takes about 75
/// bytes, a round 87 gas.
fn loop_cost(total: usize, block: usize) -> usize {
    150 * (block + total % block) + 87 * (total / block)
}

/// Comparisons in one statement.
const CHECKS: usize = 24;

/// The errors of the contracts, in the order in which they are checked.
pub(crate) const ERRORS: [(&str, &str); 7] = [
    (
        "OtherCompilerSettings",
        "The compiler keeps more in memory than is left for it: use the settings above.",
    ),
    ("EmptyBatch", "There is no proof in the batch."),
    (
        "CalldataNotCanonical",
        "An offset, a length or the size of the calldata is not what the ABI encoder writes.",
    ),
    (
        "InputNotCanonical",
        "An instance or a scalar of the proof is not below r, or a point is (0, 0).",
    ),
    (
        "DegenerateChallenge",
        "A denominator is zero. It happens with negligible probability: prove again.",
    ),
    ("InvalidPoint", "A point of the proof is not on the curve, or a coordinate is not below q."),
    ("ProofRejected", "The pairing does not hold: the proof is not one for these instances."),
];

/// `{ mstore(0, selector) revert(0x1c, 4) }`, with the reason.
pub(crate) fn revert(error: &str) -> String {
    let hash = keccak256(format!("{error}()"));
    format!(
        "{{ mstore(0, 0x{}) revert(0x1c, 4) }} // {error}()",
        alloy::primitives::hex::encode(&hash[..4])
    )
}

/// The assembly of the contract, with the memory that it expects.
#[derive(Clone, Debug)]
pub(crate) struct Generated {
    /// Checks the ABI encoding of one proof; `length` is the length word of its instances, and `stride`
    /// their bytes with that word.
    pub(crate) single: String,
    /// The same for many proofs; assigns `count`, `proof` and `inputs`.
    pub(crate) many: String,
    /// Verifies, over the constants in memory, `count` proofs. The first lies at `proof` in the
    /// calldata and its instances at `inputs`, the next ones' `stride` further.
    pub(crate) body: String,
    pub(crate) layout: Layout,
    /// The widths of `verifyPacked`, which the body unpacks where `packed` is not zero.
    pub(crate) packing: Packing,
}

pub(crate) fn generate(protocol: &Protocol, packing: &Packing, small: bool) -> Generated {
    // Twice: the first time shows which numbers occur often.
    let mut counted = Literals::default();
    generate_with(protocol, packing, small, &[], &mut counted);
    let often: Vec<U256> =
        counted.seen.into_iter().filter(|(_, count)| *count > 1).map(|(value, _)| value).collect();
    generate_with(protocol, packing, small, &often, &mut Literals::default())
}

fn generate_with(
    protocol: &Protocol,
    packing: &Packing,
    small: bool,
    often: &[U256],
    seen: &mut Literals,
) -> Generated {
    let layout = Layout::new(protocol, often);
    let stored =
        often.iter().enumerate().map(|(i, value)| (*value, layout.literals + 32 * i)).collect();
    let mut slots = Slots::new(layout.end);
    let batch = Batch::new(&mut slots, &layout);
    let generator = Generator {
        p: protocol,
        packing: packing.clone(),
        small,
        dag: Dag::default(),
        lower: Lower::new(Literals { stored, ..Literals::default() }),
        code: Code::new(3),
        slots,
        layout,
        vars: 0,
        challenges: Vec::new(),
        challenge_ids: Vec::new(),
        x_n: 0,
        batch,
    };
    generator.run(seen)
}

/// Slots of what outlives one proof of a batch.
#[derive(Clone, Debug)]
struct Batch {
    /// The place of the proof in the calldata, and of its instances, and after the last proof.
    proof: usize,
    inputs: usize,
    end: usize,
    stride: usize,
    /// Whether the instances are packed.
    packed: usize,
    /// Whether there are several proofs.
    many: usize,
    /// Whether this proof is not the first.
    later: usize,
    /// The running hash, which the weights are; zero before the first proof.
    running: usize,
    /// The weight of this proof.
    rho: usize,
    /// Σ ρ·left side, with a product before it.
    left: usize,
    /// Σ ρ·scalar for the commitments of the key, in the layout's order, and for the generator.
    key: Vec<usize>,
    generator: usize,
}

impl Batch {
    fn new(slots: &mut Slots, layout: &Layout) -> Self {
        Self {
            proof: slots.take(),
            inputs: slots.take(),
            end: slots.take(),
            stride: slots.take(),
            packed: slots.take(),
            many: slots.take(),
            later: slots.take(),
            running: slots.take(),
            rho: slots.take(),
            left: {
                let product = [0; 4].map(|_| slots.take());
                product[2]
            },
            key: layout.key.iter().map(|_| slots.take()).collect(),
            generator: slots.take(),
        }
    }
}

/// Inputs that were stored while the denominators were computed.
#[derive(Clone, Debug, Default)]
struct Stored {
    /// xⁿ − 1, the vanishing polynomial of the domain at x.
    xn1: Option<Id>,
    /// Π (ωⁱ·x − 1) over the blinding rows, the same with the last row, and Σ of the inverses times
    /// that.
    d_blind: Option<Id>,
    d_rows: Option<Id>,
    n_rows: Option<Id>,
    /// x − 1, where it is not a factor of e.
    u0: Option<Id>,
    /// Few instances: n/e is their sum, e a product over all rows, e_rest the same without row 0.
    /// Many: e = y·Π (y − ω^j) in blocks, and y·n/e − s is their sum.
    e: Option<Id>,
    e_rest: Option<Id>,
    n: Option<Id>,
    s: Option<Id>,
    y: Option<Id>,
    /// rotation → μ − x·ω^rotation, of which the opening divides by products.
    m: BTreeMap<i64, Id>,
}

/// What the quotient and the opening are computed from.
struct Nodes {
    /// What is inverted, and where its inverse goes.
    product: Id,
    inverse_at: usize,
    /// The Lagrange and instance evaluations: input, definition, slot.
    lagrange: Vec<(Id, Id, usize)>,
    quotient: Id,
    r: Id,
    /// ν^i·D_0/D_i for each set.
    weights: Vec<Id>,
    /// −D_0, the scalar of W.
    w: Id,
}

struct Generator<'p> {
    p: &'p Protocol,
    packing: Packing,
    /// Whether loops stand for what is alike: less code and more gas.
    small: bool,
    dag: Dag,
    lower: Lower,
    code: Code,
    slots: Slots,
    layout: Layout,
    vars: u32,
    /// Slots of the challenges.
    challenges: Vec<usize>,
    challenge_ids: Vec<Id>,
    /// The address of the slot with xⁿ.
    x_n: usize,
    batch: Batch,
}

impl Generator<'_> {
    fn run(mut self, seen: &mut Literals) -> Generated {
        let (single, many) = (self.single(), self.many());
        self.code
            .line("// The modulus comes from memory, so that the compiler keeps it on the stack.");
        self.code.line("let r := mload(add(constants, 0x20))");
        self.code.line("let ok := 1");
        self.open_batch();
        self.transcript();
        self.canonical();
        let elements = self.denominators();
        let nodes = self.nodes(&elements);
        self.evaluate(&nodes);
        self.combine(&nodes);
        *seen = self.lower.literals().clone();
        let body = self.code.into_text();
        Generated { single, many, body, layout: self.layout, packing: self.packing }
    }

    /// A new input of the graph with its text.
    fn input(&mut self, text: String, bound: u64) -> Id {
        let id = self.dag.var(self.vars);
        self.vars += 1;
        self.lower.know(id, Piece::leaf(text, bound));
        id
    }

    /// The text of a constant.
    fn literal(&mut self, value: Fr) -> String {
        self.lower.literals().text(field::word(value))
    }

    fn challenge(&self, index: usize) -> String {
        load(self.challenges[index])
    }

    // ---- quotient and opening

    fn evaluate(&mut self, nodes: &Nodes) {
        let mut roots = vec![nodes.product, nodes.quotient, nodes.r, nodes.w];
        roots.extend(&nodes.weights);
        roots.extend(nodes.lagrange.iter().map(|(_, node, _)| *node));
        // The factors of the inverses are used after the product.
        self.lower.plan(&self.dag, &roots);
        self.code.phase("one inversion for all denominators");
        let product = self.lower.reduced(&self.dag, &mut self.code, &mut self.slots, nodes.product);
        let inverse = address(nodes.inverse_at);
        let [base, length, modulus, number, exponent] =
            [0, 32, 64, 96, 128].map(|at| address(self.layout.accumulator + at));
        self.code
            .line(format!("mstore({base}, 0x20) mstore({length}, 0x20) mstore({modulus}, 0x20)"));
        self.code.line(format!("mstore({number}, {product})"));
        self.code.line(format!(
            "mstore({exponent}, sub(r, 2)) // and r follows, the first of the constants"
        ));
        self.code.line(format!(
            "if iszero(mul(mload({inverse}), staticcall(gas(), 5, {base}, 0xc0, {inverse}, 0x20))) {}",
            revert("DegenerateChallenge")
        ));
        self.code.phase("l_last, l_last + l_blind, l_0 and the instance polynomial at x");
        for (id, node, slot) in &nodes.lagrange {
            if id != node {
                let piece = self.lower.lower(&self.dag, &mut self.code, &mut self.slots, *node);
                self.code.line(format!("mstore({}, {})", address(*slot), piece.text));
                self.lower.know(*id, Piece::leaf(load(*slot), piece.bound));
            }
        }
        self.code.phase("quotient: numerator by Horner's rule in y, over x^n - 1");
        let c = self.p.challenges;
        self.with_variables(&[("y", c.y), ("beta", c.beta), ("gamma", c.gamma)], |generator| {
            generator.lower.store(
                &generator.dag,
                &mut generator.code,
                &mut generator.slots,
                nodes.quotient,
            );
        });
        self.code.phase("the combined evaluation R, and the weights of the sets");
        self.with_variables(&[("zeta", c.zeta)], |generator| {
            generator.lower.store(
                &generator.dag,
                &mut generator.code,
                &mut generator.slots,
                nodes.r,
            );
        });
    }

    /// Runs `print` with challenges in variables of a block.
    fn with_variables(&mut self, names: &[(&str, usize)], print: impl FnOnce(&mut Self)) {
        let mut before = Vec::new();
        self.code.open("");
        for (name, index) in names {
            let text = self.challenge(*index);
            let id = self.challenge_ids[*index];
            self.code.line(format!("let {name} := {text}"));
            self.lower.know(id, Piece::leaf(*name, 1));
            before.push((id, Piece::leaf(text, 1)));
        }
        print(self);
        for (id, piece) in before {
            self.lower.know(id, piece);
        }
        self.code.close();
    }
}
