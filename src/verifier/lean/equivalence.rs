//! The comparison that every generated contract must pass: on the same calldata, ezkl's contract
//! and the lean one must bring the same equation to the pairing, every scalar of every point.
//!
//! Calldata is random: points k·G and scalars, some of them 0, 1 or r − 1; in some rounds the hashes
//! (the challenges, for both contracts alike) lie next to multiples of r. Both texts are run as they
//! are printed, so that a value left unreduced, a slot used twice or a wrong offset shows.

use super::{
    Error, Result,
    concrete::{Concrete, Equation, Hashing},
    field::{self, Stream},
    generate::Generated,
    interp::{Interpreter, Stop},
    layout::CONSTANTS,
    protocol::{PROOF_OFFSET, Protocol},
    yul,
};
use crate::{calldata::MANY_SELECTOR, field::SCALAR_MODULUS};
use alloy::primitives::U256;
use ark_bn254::{Fr, G1Affine};
use ark_ec::AffineRepr;
use std::collections::HashMap;

/// Comparisons of the one contract.
const ROUNDS: u64 = 6;

fn differs(round: u64, what: impl Into<String>) -> Error {
    Error::Different { round, what: what.into() }
}

/// A proof of random points and scalars.
pub(crate) fn random_proof(protocol: &Protocol, stream: &mut Stream) -> Vec<u8> {
    let mut proof = vec![0; protocol.proof_len];
    for at in &protocol.points {
        let (x, y) = field::coordinates(field::mul(G1Affine::generator(), stream.scalar()));
        proof[*at..at + 32].copy_from_slice(&x.to_be_bytes::<32>());
        proof[at + 32..at + 64].copy_from_slice(&y.to_be_bytes::<32>());
    }
    for at in &protocol.scalars {
        proof[*at..at + 32].copy_from_slice(&random_scalar(stream).to_be_bytes::<32>());
    }
    proof
}

fn random_scalar(stream: &mut Stream) -> U256 {
    match stream.below(8) {
        0 => U256::ZERO,
        1 => U256::ONE,
        2 => SCALAR_MODULUS - U256::ONE,
        _ => field::word(stream.scalar()),
    }
}

pub(crate) fn random_instances(protocol: &Protocol, stream: &mut Stream) -> Vec<U256> {
    (0..protocol.num_instances).map(|_| random_scalar(stream)).collect()
}

/// The canonical calldata of `verifyProof`, of words that need not be scalars.
pub(crate) fn calldata_one(proof: &[u8], instances: &[U256]) -> Vec<u8> {
    let word = |value: usize| U256::from(value).to_be_bytes::<32>();
    let mut calldata = vec![0x1e, 0x8e, 0x1e, 0x13];
    calldata.extend(word(0x40));
    calldata.extend(word(0x60 + proof.len()));
    calldata.extend(word(proof.len()));
    calldata.extend(proof);
    calldata.extend(word(instances.len()));
    instances.iter().for_each(|value| calldata.extend(value.to_be_bytes::<32>()));
    calldata
}

/// Calldata of `verifyMany`, selector included.
pub(crate) fn calldata_many(selector: [u8; 4], batch: &[(Vec<u8>, Vec<U256>)]) -> Vec<u8> {
    let word = |value: usize| U256::from(value).to_be_bytes::<32>();
    let dynamic = |elements: Vec<Vec<u8>>| {
        let mut bytes = word(elements.len()).to_vec();
        let mut at = 32 * elements.len();
        for element in &elements {
            bytes.extend(word(at));
            at += element.len();
        }
        bytes.extend(elements.concat());
        bytes
    };
    let proofs = batch.iter().map(|(proof, _)| [word(proof.len()).as_slice(), proof].concat());
    let instances = batch.iter().map(|(_, instances)| {
        let mut bytes = word(instances.len()).to_vec();
        instances.iter().for_each(|value| bytes.extend(value.to_be_bytes::<32>()));
        bytes
    });
    let (proofs, instances) = (dynamic(proofs.collect()), dynamic(instances.collect()));
    let mut calldata = selector.to_vec();
    calldata.extend(word(0x40));
    calldata.extend(word(0x40 + proofs.len()));
    calldata.extend(proofs);
    calldata.extend(instances);
    calldata
}

/// Runs ezkl's contract as it is printed, up to its pairing.
fn run_ezkl(
    contract: &yul::Contract<'_>,
    protocol: &Protocol,
    calldata: Vec<u8>,
    hashing: Hashing,
) -> Result<Concrete, Stop> {
    let mut globals: HashMap<String, U256> =
        contract.constants.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    for (name, value) in [
        ("proof.offset", PROOF_OFFSET),
        ("proof.length", protocol.proof_len),
        ("instances.offset", PROOF_OFFSET + protocol.proof_len + 32),
        ("instances.length", protocol.num_instances),
    ] {
        globals.insert(name.to_owned(), U256::from(value));
    }
    let mut run = Interpreter::new(Concrete::new(calldata, hashing), globals);
    finish(run.run(&contract.assembly))?;
    Ok(run.machine)
}

/// An entry of the lean contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    One,
    Many,
}

/// Runs the lean contract's assembly, as one of its functions does.
pub(crate) fn run_lean(
    protocol: &Protocol,
    generated: &Generated,
    entry: Entry,
    calldata: Vec<u8>,
    hashing: Hashing,
) -> Result<Concrete, Stop> {
    let fault = |error: yul::SyntaxError| Stop::fault(error.to_string());
    let length = protocol.num_instances;
    let stride = U256::from(0x20 + 0x20 * length);
    let (guard, variables) = match entry {
        Entry::One => (&generated.single, ""),
        Entry::Many => (&generated.many, "let count let proof let inputs"),
    };
    let guard = format!("{{{variables}\n{guard}}}");
    let guard = yul::parse_block(&guard).map_err(fault)?;
    let arguments = [("length", U256::from(length)), ("stride", stride)];
    let mut globals: HashMap<String, U256> =
        arguments.map(|(name, value)| (name.to_owned(), value)).into();
    let mut run = Interpreter::new(Concrete::new(calldata, hashing), globals.clone());
    run.run(&guard)?;
    let first = [1, 0x64, PROOF_OFFSET + protocol.proof_len + 0x20];
    for (name, value) in ["count", "proof", "inputs"].into_iter().zip(first) {
        let value = run.variable(name).copied().unwrap_or(U256::from(value));
        globals.insert(name.to_owned(), value);
    }
    let mut machine = run.machine;
    let constants: Vec<u8> =
        generated.layout.constants.iter().flat_map(|word| word.to_be_bytes::<32>()).collect();
    machine.preset(0x40, &U256::from(CONSTANTS + constants.len()).to_be_bytes::<32>())?;
    machine.preset(CONSTANTS - 32, &U256::from(constants.len()).to_be_bytes::<32>())?;
    machine.preset(CONSTANTS, &constants)?;
    let body = format!("{{\n{}}}", generated.body);
    let body = yul::parse_block(&body).map_err(fault)?;
    globals.insert("constants".to_owned(), U256::from(CONSTANTS - 32));
    let mut run = Interpreter::new(machine, globals);
    finish(run.run(&body))?;
    Ok(run.machine)
}

fn finish(result: Result<(), Stop>) -> Result<(), Stop> {
    match result {
        Err(Stop::Return(0, 0x20)) => Ok(()),
        Ok(()) => Err(Stop::fault("it does not return")),
        Err(stop) => Err(stop),
    }
}

fn only(machine: Concrete, round: u64, whose: &str) -> Result<Equation> {
    let [equation] = <[Equation; 1]>::try_from(machine.equations)
        .map_err(|_| differs(round, format!("{whose} contract has not one pairing")))?;
    Ok(equation)
}

/// Compares; nothing may be emitted unless this is `Ok`.
pub(crate) fn check(ezkl_solidity: &str, protocol: &Protocol, generated: &Generated) -> Result<()> {
    let contract = yul::parse_contract(ezkl_solidity)?;
    let mut batch: Vec<(Vec<u8>, Vec<U256>)> = Vec::new();
    let mut equations = Vec::new();
    for round in 0..ROUNDS {
        let mut stream = Stream::new(1000 + round);
        let proof = random_proof(protocol, &mut stream);
        let instances = random_instances(protocol, &mut stream);
        let hashing = if round % 2 == 0 { Hashing::Keccak } else { Hashing::Extreme(round) };
        let calldata = calldata_one(&proof, &instances);
        let ezkl = run_ezkl(&contract, protocol, calldata.clone(), hashing)
            .map_err(|stop| differs(round, format!("ezkl's contract stops: {stop:?}")))?;
        let lean = run_lean(protocol, generated, Entry::One, calldata, hashing)
            .map_err(|stop| differs(round, format!("the lean contract stops: {stop:?}")))?;
        let (ezkl, lean) = (only(ezkl, round, "ezkl's")?, only(lean, round, "the lean")?);
        compare(round, &ezkl, &lean)?;
        if hashing == Hashing::Keccak {
            batch.push((proof, instances));
            equations.push(ezkl);
        }
    }
    let round = ROUNDS;
    let calldata = calldata_many(MANY_SELECTOR, &batch);
    let lean = run_lean(protocol, generated, Entry::Many, calldata, Hashing::Keccak)
        .map_err(|stop| differs(round, format!("the lean contract stops at a batch: {stop:?}")))?;
    let lean = only(lean, round, "the lean")?;
    let weights = batch_weights(protocol, &batch);
    let mut sum = Equation { lhs: [].into(), rhs: [].into(), g2: equations[0].g2.clone() };
    for (equation, weight) in equations.iter().zip(weights) {
        for (side, terms) in [(&mut sum.lhs, &equation.lhs), (&mut sum.rhs, &equation.rhs)] {
            for (point, scalar) in terms {
                *side.entry(*point).or_insert_with(|| Fr::from(0u64)) += weight * scalar;
            }
        }
    }
    compare(round, &sum, &lean)
}

/// The weights of a batch by their definition: ρ_0 = 1, ρ_i = H_i mod r with
/// H_i = keccak256(H_(i−1) ‖ last hash of proof i ‖ W′ of proof i) and H_(−1) = 0.
pub(crate) fn batch_weights(protocol: &Protocol, batch: &[(Vec<u8>, Vec<U256>)]) -> Vec<Fr> {
    let mut running = U256::ZERO;
    let mut weights = Vec::new();
    for (index, (proof, instances)) in batch.iter().enumerate() {
        let (_, last) = super::reference::transcript(protocol, proof, instances);
        let mut bytes = running.to_be_bytes::<32>().to_vec();
        bytes.extend(last.to_be_bytes::<32>());
        bytes.extend(&proof[protocol.proof_len - 0x40..]);
        running = U256::from_be_bytes(alloy::primitives::keccak256(&bytes).0);
        weights.push(if index == 0 { Fr::from(1u64) } else { field::fr(running) });
    }
    weights
}

fn compare(round: u64, expected: &Equation, found: &Equation) -> Result<()> {
    if expected.g2 != found.g2 {
        return Err(differs(round, "the points in G2 differ"));
    }
    for (side, expected, found) in
        [("left", &expected.lhs, &found.lhs), ("right", &expected.rhs, &found.rhs)]
    {
        for (point, scalar) in expected {
            if found.get(point) != Some(scalar) {
                let found = found.get(point).map(|scalar| field::word(*scalar));
                return Err(differs(
                    round,
                    format!(
                        "on the {side}, point {:#x}: {:#x} in ezkl's contract, {found:x?} here",
                        point.0,
                        field::word(*scalar)
                    ),
                ));
            }
        }
        if expected.len() != found.len() {
            return Err(differs(round, format!("on the {side} there are other points")));
        }
    }
    Ok(())
}
