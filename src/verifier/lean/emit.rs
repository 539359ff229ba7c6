//! Prints expressions as Yul.
//!
//! Values are kept unreduced where they may be: every piece of text has a bound b and its value
//! is at most b·r, so that sums need a reduction only when they would pass 5·r (6·r is beyond
//! 2^256), and a difference adds as many r as its subtrahend may have. Text is nested rather than
//! assigned, because nested expressions compile to stack code without a swap; what is used more
//! than once goes to a slot of memory if that is cheaper.

use super::{
    dag::{Dag, Id, Op},
    field,
};
use crate::field::SCALAR_MODULUS;
use alloy::primitives::U256;
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
};

/// 5·r is the largest multiple of r below 2^256.
const MAX_BOUND: u64 = 5;
/// Operands that lie deeper than this are stored: 16 words of the stack can be reached, and a
/// phase has up to seven variables.
const MAX_DEPTH: usize = 10;

/// Yul that is being printed, line by line, at an indentation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Code {
    text: String,
    indent: usize,
}

impl Code {
    pub(crate) fn new(indent: usize) -> Self {
        Self { text: String::new(), indent }
    }

    pub(crate) fn line(&mut self, text: impl AsRef<str>) {
        let _ = writeln!(self.text, "{:1$}{2}", "", 4 * self.indent, text.as_ref());
    }

    pub(crate) fn comment(&mut self, text: &str) {
        self.line(format!("// {text}"));
    }

    /// Begins a phase: the comment is what the gas breakdown goes by.
    pub(crate) fn phase(&mut self, text: &str) {
        self.text.push('\n');
        self.line(format!("// ---- {text}"));
    }

    pub(crate) fn open(&mut self, text: &str) {
        self.line(format!("{text}{{"));
        self.indent += 1;
    }

    pub(crate) fn close(&mut self) {
        self.indent -= 1;
        self.line("}");
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

/// A number as the source has it.
pub(crate) fn number(value: U256) -> String {
    if value < U256::from(10) { value.to_string() } else { format!("{value:#x}") }
}

/// An address as the source has it.
pub(crate) fn address(value: usize) -> String {
    format!("{value:#06x}")
}

/// `mload` of an address.
pub(crate) fn load(at: usize) -> String {
    format!("mload({})", address(at))
}

/// Text with what is known of its value.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) text: String,
    /// The value is at most `bound`·r.
    pub(crate) bound: u64,
    /// Words of the stack that its evaluation takes.
    depth: usize,
}

impl Piece {
    /// A variable or one load.
    pub(crate) fn leaf(text: impl Into<String>, bound: u64) -> Self {
        Self { text: text.into(), bound, depth: 2 }
    }
}

/// Words of memory for intermediate values.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    next: usize,
}

impl Slots {
    pub(crate) fn new(start: usize) -> Self {
        Self { next: start }
    }

    pub(crate) fn take(&mut self) -> usize {
        let at = self.next;
        self.next += 32;
        at
    }
}

/// Prints nodes of a graph.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lower {
    /// Inputs, and nodes that are stored.
    known: HashMap<Id, Piece>,
    uses: HashMap<Id, usize>,
    cost: HashMap<Id, usize>,
    literals: Literals,
}

/// Large numbers: one that occurs often is cheaper to keep in the constants (a load takes 4 bytes
/// of code and 6 gas, a push 33 bytes and 3 gas).
#[derive(Clone, Debug, Default)]
pub(crate) struct Literals {
    /// Where those are that stand in the constants.
    pub(crate) stored: HashMap<U256, usize>,
    /// How often each occurred.
    pub(crate) seen: BTreeMap<U256, usize>,
}

impl Literals {
    /// The text of a number.
    pub(crate) fn text(&mut self, value: U256) -> String {
        if value.bit_len() <= 64 {
            return number(value);
        }
        *self.seen.entry(value).or_default() += 1;
        self.stored.get(&value).map_or_else(|| number(value), |at| load(*at))
    }
}

impl Lower {
    pub(crate) fn new(literals: Literals) -> Self {
        Self { literals, ..Self::default() }
    }

    /// The large numbers that were printed.
    pub(crate) fn literals(&mut self) -> &mut Literals {
        &mut self.literals
    }

    /// Makes an input, or a value that the code already has, known.
    pub(crate) fn know(&mut self, id: Id, piece: Piece) {
        self.known.insert(id, piece);
    }

    /// What is known of a node.
    pub(crate) fn known(&self, id: Id) -> Option<&Piece> {
        self.known.get(&id)
    }

    /// Says which nodes will be printed from now on, so that shared ones are found.
    pub(crate) fn plan(&mut self, dag: &Dag, roots: &[Id]) {
        self.uses.clear();
        self.cost.clear();
        let mut open = roots.to_vec();
        while let Some(id) = open.pop() {
            let count = self.uses.entry(id).or_default();
            *count += 1;
            if *count == 1 && !self.known.contains_key(&id) {
                open.extend(dag.op(id).operands());
            }
        }
    }

    /// Gas of the text of a node, everything below it included.
    fn cost(&mut self, dag: &Dag, id: Id) -> usize {
        if let Some(piece) = self.known.get(&id) {
            return if piece.text.contains('(') { 6 } else { 3 };
        }
        if let Some(cost) = self.cost.get(&id) {
            return *cost;
        }
        let own = match dag.op(id) {
            Op::Const(_) | Op::Var(_) => 3,
            Op::Add(..) => 3,
            Op::Sub(..) => 9,
            Op::Neg(_) => 6,
            Op::Mul(..) | Op::Inv(_) => 11,
        };
        let operands: Vec<Id> = dag.op(id).operands().collect();
        let cost = own + operands.into_iter().map(|operand| self.cost(dag, operand)).sum::<usize>();
        self.cost.insert(id, cost);
        cost
    }

    /// Stores a piece in a slot and gives the text that loads it.
    fn spill(&mut self, code: &mut Code, slots: &mut Slots, piece: &Piece) -> Piece {
        let at = slots.take();
        code.line(format!("mstore({}, {})", address(at), piece.text));
        Piece::leaf(load(at), piece.bound)
    }

    /// The text of a node; lines that store shared values go to `code` first.
    pub(crate) fn lower(&mut self, dag: &Dag, code: &mut Code, slots: &mut Slots, id: Id) -> Piece {
        if let Some(piece) = self.known.get(&id) {
            return piece.clone();
        }
        let piece = self.fresh(dag, code, slots, id);
        let uses = self.uses.get(&id).copied().unwrap_or(1);
        let cost = self.cost(dag, id);
        // Stored: once the value, a store, and a load for each use.
        if uses < 2 || (uses - 1) * cost <= 6 + 6 * uses || dag.as_const(id).is_some() {
            return piece;
        }
        let stored = self.spill(code, slots, &piece);
        self.known.insert(id, stored.clone());
        stored
    }

    /// Like [`Self::lower`], and makes the value at most r.
    pub(crate) fn reduced(
        &mut self,
        dag: &Dag,
        code: &mut Code,
        slots: &mut Slots,
        id: Id,
    ) -> String {
        let piece = self.lower(dag, code, slots, id);
        if piece.bound > 1 { format!("mod({}, r)", piece.text) } else { piece.text }
    }

    /// Stores a node in a slot, which is known from then on.
    pub(crate) fn store(&mut self, dag: &Dag, code: &mut Code, slots: &mut Slots, id: Id) {
        let piece = self.lower(dag, code, slots, id);
        if !self.known.contains_key(&id) {
            let stored = self.spill(code, slots, &piece);
            self.known.insert(id, stored);
        }
    }

    fn fresh(&mut self, dag: &Dag, code: &mut Code, slots: &mut Slots, id: Id) -> Piece {
        match dag.op(id) {
            Op::Const(value) => {
                Piece { text: self.literals.text(field::word(value)), bound: 1, depth: 1 }
            }
            Op::Add(a, b) => {
                let (a, b) = (self.lower(dag, code, slots, a), self.lower(dag, code, slots, b));
                let (a, b) = self.deeper_last(code, slots, a, b, 1);
                let depth = b.depth.max(a.depth + 1);
                if a.bound + b.bound <= MAX_BOUND {
                    let text = format!("add({}, {})", a.text, b.text);
                    Piece { text, bound: a.bound + b.bound, depth }
                } else {
                    // addmod takes any words.
                    let depth = (b.depth + 1).max(a.depth + 2);
                    Piece { text: format!("addmod({}, {}, r)", a.text, b.text), bound: 1, depth }
                }
            }
            Op::Mul(a, b) => {
                let (a, b) = (self.lower(dag, code, slots, a), self.lower(dag, code, slots, b));
                let (a, b) = self.deeper_last(code, slots, a, b, 2);
                let depth = (b.depth + 1).max(a.depth + 2);
                Piece { text: format!("mulmod({}, {}, r)", a.text, b.text), bound: 1, depth }
            }
            Op::Neg(a) => {
                let a = self.lower(dag, code, slots, a);
                self.minus(U256::ZERO, &a)
            }
            Op::Sub(a, b) => {
                let constant = dag.as_const(a);
                let b = self.lower(dag, code, slots, b);
                match constant {
                    Some(constant) => self.minus(field::word(constant), &b),
                    None => {
                        let a = self.lower(dag, code, slots, a);
                        let minus = self.minus(U256::ZERO, &b);
                        let (a, b) = self.deeper_last(code, slots, a, minus, 1);
                        let depth = b.depth.max(a.depth + 1);
                        if a.bound + b.bound <= MAX_BOUND {
                            let text = format!("add({}, {})", a.text, b.text);
                            Piece { text, bound: a.bound + b.bound, depth }
                        } else {
                            let depth = (b.depth + 1).max(a.depth + 2);
                            let text = format!("addmod({}, {}, r)", a.text, b.text);
                            Piece { text, bound: 1, depth }
                        }
                    }
                }
            }
            // Inversions are the caller's: it makes them known.
            Op::Var(_) | Op::Inv(_) => Piece { text: "invalid()".into(), bound: 1, depth: 1 },
        }
    }

    /// `constant − b` as a number between 0 and a multiple of r.
    fn minus(&mut self, constant: U256, b: &Piece) -> Piece {
        let depth = b.depth + 1;
        let extra = u64::from(!constant.is_zero());
        if constant.is_zero() && b.bound == 1 {
            return Piece { text: format!("sub(r, {})", b.text), bound: 1, depth };
        }
        if b.bound + extra <= MAX_BOUND {
            let from = self.literals.text(SCALAR_MODULUS * U256::from(b.bound) + constant);
            let text = format!("sub({from}, {})", b.text);
            return Piece { text, bound: b.bound + extra, depth };
        }
        let from = self.literals.text(SCALAR_MODULUS + constant);
        Piece {
            text: format!("sub({from}, mod({}, r))", b.text),
            bound: 1 + extra,
            depth: depth + 1,
        }
    }

    /// Arguments are evaluated last to first: the deeper one goes last, where less lies below it.
    /// `below` is how many words lie below the first.
    fn deeper_last(
        &mut self,
        code: &mut Code,
        slots: &mut Slots,
        a: Piece,
        b: Piece,
        below: usize,
    ) -> (Piece, Piece) {
        let (a, mut b) = if a.depth > b.depth { (b, a) } else { (a, b) };
        if b.depth.max(a.depth + below) > MAX_DEPTH {
            b = self.spill(code, slots, &b);
        }
        if a.depth + below > MAX_DEPTH {
            let a = self.spill(code, slots, &a);
            return (a, b);
        }
        (a, b)
    }
}
