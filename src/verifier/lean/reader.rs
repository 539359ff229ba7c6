//! Reads a [`Protocol`] from the meaning of ezkl's contract, by symbolic execution: the assembly has
//! a fixed sequence of blocks, whose text may differ but not what they compute. Everything that can
//! be is checked against an independent formula on the way: the constants of the verifying key, the
//! Lagrange evaluations and, in [`super::opening`], the batched opening.

use super::{
    Error, Expected, Result,
    dag::{Id, Op},
    field::{self, Stream, fr, pow},
    interp::{Interpreter, Stop},
    opening,
    protocol::{Challenges, Input, Lagrange, PROOF_OFFSET, Phase, Protocol},
    symbolic::{Check, Symbol, Symbolic, Value},
    yul::{self, Contract, Statement, StatementKind},
};
use crate::field::G2_GENERATOR;
use alloy::primitives::{U256, hex, keccak256};
use ark_bn254::Fr;
use ark_ff::{Field, One, Zero};
use std::{collections::HashMap, ops::Range};

/// keccak256 of the helper functions' tokens, in the one template that is understood.
const KNOWN_FUNCTIONS: &str = "56fece78af35c26168a13e5412fe992cb5f301239fc82f5afc7383e49dca8a5c";

/// A disagreement with what this program knows; `line` 0 is the file as a whole.
fn template(line: usize, what: impl Into<String>) -> Error {
    Error::Template { line, what: what.into() }
}

impl Protocol {
    /// Reads the protocol out of the Solidity that ezkl's `create_evm_verifier` writes.
    ///
    /// # Errors
    /// If anything in it is not understood, or contradicts `expected`.
    pub fn read(ezkl_solidity: &str, expected: &Expected<'_>) -> Result<Self> {
        let contract = yul::parse_contract(ezkl_solidity)?;
        Reader::new(&contract)?.read(expected)
    }
}

struct Reader<'b, 'a> {
    contract: &'b Contract<'a>,
    constants: HashMap<&'a str, usize>,
    proof_len: usize,
}

impl<'b, 'a> Reader<'b, 'a> {
    pub(crate) fn new(contract: &'b Contract<'a>) -> Result<Self> {
        if contract.name != "Halo2Verifier" {
            return Err(template(0, format!("the contract is called {}", contract.name)));
        }
        let constants = contract
            .constants
            .iter()
            .filter_map(|(name, value)| Some((*name, u32::try_from(*value).ok()? as usize)))
            .collect();
        // eq(0x…, proof.length), once.
        let lengths: Vec<_> = contract
            .tokens
            .windows(5)
            .filter(|w| w[0].text == "eq" && w[1].text == "(" && w[4].text == "proof.length")
            .collect();
        let [length] = lengths[..] else {
            return Err(template(0, "the proof's length is not checked exactly once"));
        };
        let proof_len = length[2]
            .text
            .strip_prefix("0x")
            .and_then(|digits| usize::from_str_radix(digits, 16).ok())
            .filter(|length| length % 32 == 0 && (0x80..1 << 24).contains(length))
            .ok_or_else(|| template(length[2].line, "the proof's length is not understood"))?;
        Ok(Self { contract, constants, proof_len })
    }

    fn constant(&self, name: &str) -> Result<usize> {
        self.constants
            .get(name)
            .copied()
            .ok_or_else(|| template(0, format!("there is no constant {name}")))
    }

    /// The blocks between the functions and the end, whose sequence is fixed.
    fn statements(&self) -> Result<(&'b [Statement<'a>], &'b [Statement<'a>])> {
        let all = &self.contract.assembly.statements;
        let functions =
            all.iter().take_while(|s| matches!(s.kind, StatementKind::Function(_))).count();
        let (functions, rest) = all.split_at(functions);
        let shape: String = rest
            .iter()
            .map(|statement| match statement.kind {
                StatementKind::Let(..) => 'l',
                StatementKind::Block(_) => 'b',
                StatementKind::If(..) => 'i',
                StatementKind::Assign(..) => 'a',
                StatementKind::Expr(_) => 'e',
                StatementKind::For(_) | StatementKind::Function(_) => '?',
            })
            .collect();
        if shape != "lllbibbbbiaiee" {
            return Err(template(
                rest.first().map_or(0, |statement| statement.line),
                format!("the sequence of blocks is {shape}"),
            ));
        }
        Ok((functions, rest))
    }

    fn check_functions(&self, first: usize) -> Result<()> {
        let mut joined = String::new();
        for token in self.contract.tokens.iter().take_while(|token| token.line < first) {
            joined.push_str(token.text);
            joined.push(' ');
        }
        let hash = hex::encode(keccak256(joined));
        if hash == KNOWN_FUNCTIONS {
            Ok(())
        } else {
            Err(template(1, format!("the helper functions are not known (hash {hash})")))
        }
    }

    pub(crate) fn read(&self, expected: &Expected<'_>) -> Result<Protocol> {
        let (_, statements) = self.statements()?;
        self.check_functions(statements[0].line)?;
        let num_instances_at = self.constant("NUM_INSTANCES_MPTR")?;
        let mut globals: HashMap<String, U256> = self
            .contract
            .constants
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect();
        for (name, value) in [
            ("proof.offset", PROOF_OFFSET),
            ("proof.length", self.proof_len),
            ("instances.offset", PROOF_OFFSET + self.proof_len + 32),
            ("instances.length", expected.num_instances),
        ] {
            globals.insert(name.to_owned(), U256::from(value));
        }
        let stopped = |stop: Stop| match stop {
            Stop::Fault { line, what } => template(line, what),
            stop => template(0, format!("it ends early: {stop:?}")),
        };
        let mut run = Interpreter::new(Symbolic::default(), globals);
        run.declare(&self.contract.assembly);
        // Modulus, modulus, success; then the transcript, which loads the verifying key too.
        for statement in &statements[..4] {
            run.statement(statement).map_err(stopped)?;
        }
        let known = match run.machine.memory.get(&num_instances_at) {
            Some(Value::Word(word)) => *word,
            _ => return Err(template(0, "there is no number of instances")),
        };
        if known != U256::from(expected.num_instances) {
            return Err(Error::Contradiction {
                what: "number of instances".into(),
                contract: known.to_string(),
                expected: expected.num_instances.to_string(),
            });
        }
        let header = self.header(&run.machine, expected)?;
        let key = self.key(&mut run.machine, expected)?;
        run.statement(&statements[4]).map_err(stopped)?;
        let challenges = self.challenges(&run.machine)?;
        run.statement(&statements[5]).map_err(stopped)?;
        self.lagrange(&mut run.machine, &header, challenges.x, expected.num_instances)?;
        run.statement(&statements[6]).map_err(stopped)?;
        let at = self.constant("QUOTIENT_EVAL_MPTR")?;
        let Some(Value::Field(quotient)) = run.machine.memory.get(&at).copied() else {
            return Err(template(statements[6].line, "there is no quotient"));
        };
        let name = run.machine.symbol(Symbol::Named("QUOTIENT_EVAL"));
        run.machine.memory.insert(at, Value::Field(name));
        for statement in &statements[7..13] {
            run.statement(statement).map_err(stopped)?;
        }
        match run.statement(&statements[13]) {
            Err(Stop::Return(0, 0x20)) => {}
            other => return Err(template(statements[13].line, format!("it ends with {other:?}"))),
        }
        let machine = run.machine;
        let phases = self.phases(&machine, header.vk_digest, expected.num_instances)?;
        let (points, scalars) = self.checked_inputs(&machine, expected.num_instances)?;
        let terms = quotient_terms(&machine, quotient, challenges.y)
            .ok_or_else(|| template(statements[6].line, "the quotient is no sum of powers of y"))?;
        let recognized = opening::recognize(&opening::Question {
            machine: &machine,
            omega: header.omega,
            k: header.k,
            challenges: &challenges,
            proof_len: self.proof_len,
            scalars: &scalars,
            scratch_end: self.constant("VK_MPTR")?,
            neg_s_g2: header.neg_s_g2,
        })?;
        let commitments = self.key_range()?.start;
        let protocol = Protocol {
            k: header.k,
            num_instances: expected.num_instances,
            proof_len: self.proof_len,
            vk_digest: header.vk_digest,
            omega: header.omega,
            last: header.last,
            neg_s_g2: header.neg_s_g2,
            key,
            phases,
            challenges,
            points,
            scalars,
            quotient: recognized.quotient.clone(),
            sets: recognized.sets(commitments),
            terms,
            inputs: inputs(&machine)?,
            dag: machine.dag,
        };
        protocol.check_complete().map_err(|what| template(0, format!("in the opening {what}")))?;
        Ok(protocol)
    }

    /// Words of the verifying key but its commitments.
    fn header(&self, machine: &Symbolic, expected: &Expected<'_>) -> Result<Header> {
        let word = |name: &str| -> Result<U256> {
            match machine.memory.get(&self.constant(name)?) {
                Some(Value::Word(word)) => Ok(*word),
                _ => Err(template(0, format!("{name} is no constant"))),
            }
        };
        let wrong =
            |what: &str| template(0, format!("{what} is not what the other constants imply"));
        let k = u32::try_from(word("K_MPTR")?).ok().filter(|k| (1..=28).contains(k));
        let k = k.ok_or_else(|| wrong("k"))?;
        if k != expected.k {
            return Err(Error::Contradiction {
                what: "k".into(),
                contract: k.to_string(),
                expected: expected.k.to_string(),
            });
        }
        let omega = fr(word("OMEGA_MPTR")?);
        let half = omega.pow([1 << (k - 1)]);
        if half + Fr::one() != Fr::zero() {
            return Err(wrong("omega"));
        }
        if fr(word("OMEGA_INV_MPTR")?) * omega != Fr::one() {
            return Err(wrong("omega_inv"));
        }
        if fr(word("N_INV_MPTR")?) * Fr::from(1u64 << k) != Fr::one() {
            return Err(wrong("n_inv"));
        }
        let to_last = fr(word("OMEGA_INV_TO_L_MPTR")?);
        let last = (2..64).find(|last| pow(omega, -i64::from(*last)) == to_last);
        let last = last.ok_or_else(|| wrong("omega_inv_to_l"))? as usize;
        if !word("HAS_ACCUMULATOR_MPTR")?.is_zero() {
            return Err(template(0, "an accumulator (aggregation), which ezkl no longer makes"));
        }
        if (word("G1_X_MPTR")?, word("G1_Y_MPTR")?) != (U256::ONE, U256::from(2)) {
            return Err(wrong("the generator of G1"));
        }
        let mut words = [U256::ZERO; 8];
        for (index, slot) in words.iter_mut().enumerate() {
            let (group, part) = (["G2", "NEG_S_G2"][index / 4], ["X_1", "X_2", "Y_1", "Y_2"]);
            *slot = word(&format!("{group}_{}_MPTR", part[index % 4]))?;
        }
        if words[..4] != G2_GENERATOR {
            return Err(wrong("the generator of G2"));
        }
        let neg_s_g2 = [words[4], words[5], words[6], words[7]];
        Ok(Header { k, omega, last, vk_digest: word("VK_DIGEST_MPTR")?, neg_s_g2 })
    }

    /// Addresses of the commitments of the verifying key.
    fn key_range(&self) -> Result<Range<usize>> {
        Ok(self.constant("NEG_S_G2_Y_2_MPTR")? + 32..self.constant("CHALLENGE_MPTR")?)
    }

    /// Takes the commitments out of memory and puts symbols in their place.
    fn key(&self, machine: &mut Symbolic, expected: &Expected<'_>) -> Result<Vec<(U256, U256)>> {
        let range = self.key_range()?;
        if range.is_empty() || range.len() % 64 != 0 {
            return Err(template(0, "the commitments of the key have no even number of words"));
        }
        let mut key = Vec::new();
        for at in range.step_by(64) {
            let (Some(Value::Word(x)), Some(Value::Word(y))) =
                (machine.memory.get(&at), machine.memory.get(&(at + 32)))
            else {
                return Err(template(0, format!("no commitment at {at:#x}")));
            };
            let (x, y) = (*x, *y);
            if field::point(x, y).is_none() {
                return Err(template(0, format!("the commitment at {at:#x} is no point")));
            }
            key.push((x, y));
            machine.memory.insert(at, Value::Key(at));
            machine.memory.insert(at + 32, Value::Key(at + 32));
        }
        if let Some(bytes) = expected.vk {
            super::key::check(bytes, expected.k, &key)?;
        }
        Ok(key)
    }

    fn challenges(&self, machine: &Symbolic) -> Result<Challenges> {
        let find = |name: &str| -> Result<usize> {
            let at = self.constant(&format!("{name}_MPTR"))?;
            match machine.memory.get(&at) {
                Some(Value::Field(id)) => match machine.symbol_of(*id) {
                    Some(Symbol::Challenge(index)) => Ok(index),
                    _ => Err(template(0, format!("{name} is no challenge"))),
                },
                _ => Err(template(0, format!("there is no {name}"))),
            }
        };
        Ok(Challenges {
            theta: find("THETA")?,
            beta: find("BETA")?,
            gamma: find("GAMMA")?,
            y: find("Y")?,
            x: find("X")?,
            zeta: find("ZETA")?,
            nu: find("NU")?,
            mu: find("MU")?,
        })
    }

    /// Compares the Lagrange and instance evaluations with their definitions at a random point,
    /// and puts names in their place.
    fn lagrange(
        &self,
        machine: &mut Symbolic,
        header: &Header,
        x_index: usize,
        num_instances: usize,
    ) -> Result<()> {
        let names = ["X_N", "X_N_MINUS_1_INV", "L_LAST", "L_BLIND", "L_0", "INSTANCE_EVAL"];
        let mut found = Vec::new();
        for name in names {
            let value = machine.memory.get(&self.constant(&format!("{name}_MPTR"))?).copied();
            let value = value.ok_or_else(|| template(0, format!("there is no {name}")))?;
            let id = machine.field(value);
            found.push(id.map_err(|_| template(0, format!("{name} is no scalar")))?);
        }
        let first_instance = PROOF_OFFSET + self.proof_len + 32;
        let mut stream = Stream::new(1);
        let x = stream.scalar();
        let instances: Vec<Fr> = (0..num_instances).map(|_| stream.scalar()).collect();
        let values = machine.dag.evaluate(&found, |index| match machine.symbols[index as usize] {
            Symbol::Challenge(index) if index == x_index => x,
            Symbol::Calldata(offset) if offset >= first_instance => {
                instances.get((offset - first_instance) / 32).copied().unwrap_or_else(Fr::zero)
            }
            _ => Fr::zero(),
        });
        let lagrange = Lagrange::at(x, header.omega, header.k, header.last, &instances)
            .ok_or_else(|| template(0, "a random point hit the domain"))?;
        let expected = [
            lagrange.x_n,
            lagrange.x_n_minus_1_inv,
            lagrange.l_last,
            lagrange.l_blind,
            lagrange.l_0,
            lagrange.instance,
        ];
        for (index, name) in names.into_iter().enumerate() {
            if values[index] != expected[index] {
                return Err(template(0, format!("{name} is not computed as expected")));
            }
            let symbol = machine.symbol(Symbol::Named(name));
            machine.memory.insert(self.constant(&format!("{name}_MPTR"))?, Value::Field(symbol));
        }
        Ok(())
    }

    fn phases(&self, machine: &Symbolic, digest: U256, instances: usize) -> Result<Vec<Phase>> {
        let offset_of = |value: &Value| match value {
            Value::Field(id) => match machine.symbol_of(*id) {
                Some(Symbol::Calldata(offset)) => Some(offset),
                _ => None,
            },
            _ => None,
        };
        let wrong = |what: &str| template(0, format!("in the transcript {what}"));
        let (mut phases, mut at, mut before): (Vec<Phase>, usize, Option<usize>) =
            (Vec::new(), PROOF_OFFSET, None);
        for &hash in &machine.challenges {
            let words = &machine.hashes[hash].words;
            let mut rest = match before {
                None => {
                    let first = PROOF_OFFSET + self.proof_len + 32;
                    let absorbed = words.len() > instances
                        && words[0] == Value::Word(digest)
                        && (0..instances).all(|i| offset_of(&words[1 + i]) == Some(first + 32 * i));
                    if !absorbed {
                        return Err(wrong("the digest and the instances do not come first"));
                    }
                    &words[1 + instances..]
                }
                Some(before) => {
                    if words.first() != Some(&Value::Hash(before)) {
                        return Err(wrong("a hash does not begin with the one before"));
                    }
                    &words[1..]
                }
            };
            before = Some(hash);
            if rest == [Value::Byte] {
                phases.last_mut().ok_or_else(|| wrong("nothing is absorbed"))?.challenges += 1;
                continue;
            }
            let start = at;
            while let [word, more @ ..] = rest {
                if offset_of(word) != Some(at) {
                    return Err(wrong("the proof is not absorbed in order"));
                }
                at += 32;
                rest = more;
            }
            phases.push(Phase { absorbs: start - PROOF_OFFSET..at - PROOF_OFFSET, challenges: 1 });
        }
        if at + 0x40 != PROOF_OFFSET + self.proof_len || phases.is_empty() {
            return Err(wrong("something else than W' is left over"));
        }
        Ok(phases)
    }

    /// Which bytes of the proof are points and which are scalars, from the checks.
    fn checked_inputs(
        &self,
        machine: &Symbolic,
        instances: usize,
    ) -> Result<(Vec<usize>, Vec<usize>)> {
        let mut checks = machine.checks.clone();
        checks.sort_unstable();
        checks.dedup();
        let (mut points, mut scalars) = (Vec::new(), Vec::new());
        for word in (0..self.proof_len).step_by(32) {
            let at = PROOF_OFFSET + word;
            let on_curve = |x: usize| checks.binary_search(&Check::OnCurve(x)).is_ok();
            let below_q = checks.binary_search(&Check::Coordinate(at)).is_ok();
            if on_curve(at) && below_q {
                points.push(word);
            } else if checks.binary_search(&Check::Scalar(at)).is_ok() {
                scalars.push(word);
            } else if !(below_q && on_curve(at - 32)) {
                return Err(template(0, format!("word {word:#x} of the proof is not checked")));
            }
        }
        let first = PROOF_OFFSET + self.proof_len + 32;
        let all =
            (0..instances).all(|i| checks.binary_search(&Check::Scalar(first + 32 * i)).is_ok());
        let number = points.len() * 3 + scalars.len() + instances;
        if !all || checks.len() != number {
            return Err(template(0, "the checks of the input are not those that are known"));
        }
        Ok((points, scalars))
    }
}

struct Header {
    k: u32,
    omega: Fr,
    last: usize,
    vk_digest: U256,
    neg_s_g2: [U256; 4],
}

/// The terms of (Σ yⁱ·term) / (xⁿ − 1), highest power first.
fn quotient_terms(machine: &Symbolic, quotient: Id, y: usize) -> Option<Vec<Id>> {
    let dag = &machine.dag;
    let is = |id: Id, symbol: Symbol| machine.symbol_of(id) == Some(symbol);
    let split = |id: Id, symbol: Symbol| match dag.op(id) {
        Op::Mul(a, b) if is(b, symbol) => Some(a),
        Op::Mul(a, b) if is(a, symbol) => Some(b),
        _ => None,
    };
    let y = Symbol::Challenge(y);
    let mut rest = split(quotient, Symbol::Named("X_N_MINUS_1_INV"))?;
    let mut terms = Vec::new();
    loop {
        if let Op::Add(higher, term) = dag.op(rest)
            && let Some(higher) = split(higher, y)
        {
            terms.push(Some(term));
            rest = higher;
        } else if let Some(higher) = split(rest, y) {
            terms.push(None);
            rest = higher;
        } else {
            terms.push(Some(rest));
            break;
        }
    }
    // A term that is the constant 0 was dropped by the graph; any node that is zero will do.
    let zero = dag.find_zero();
    terms.reverse();
    terms.into_iter().map(|term| term.or(zero)).collect()
}

fn inputs(machine: &Symbolic) -> Result<Vec<Input>> {
    let first_instance = usize::MAX;
    Ok(machine
        .symbols
        .iter()
        .map(|symbol| match *symbol {
            Symbol::Calldata(offset) => Input::Evaluation(offset.wrapping_sub(PROOF_OFFSET)),
            Symbol::Challenge(index) => Input::Challenge(index),
            Symbol::Named("L_LAST") => Input::LLast,
            Symbol::Named("L_BLIND") => Input::LBlind,
            Symbol::Named("L_0") => Input::L0,
            Symbol::Named("INSTANCE_EVAL") => Input::Instance,
            // Never in a term: checked when the terms are used.
            Symbol::Named(_) => Input::Evaluation(first_instance),
        })
        .collect())
}
