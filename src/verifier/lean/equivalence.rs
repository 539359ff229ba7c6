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
    protocol::{PROOF_OFFSET, Protocol},
    yul,
};
use crate::{
    calldata::{MANY_PACKED_SELECTOR, MANY_SELECTOR, PACKED_SELECTOR, encode_verify_many_packed},
    field::{Felt, SCALAR_MODULUS},
    model::packing::{Packing, Width},
};
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

/// The canonical calldata of `verifyPacked`, of bytes that need not be a packed form.
pub(crate) fn calldata_packed(proof: &[u8], packed: &[u8]) -> Vec<u8> {
    let word = |value: usize| U256::from(value).to_be_bytes::<32>();
    let mut calldata = PACKED_SELECTOR.to_vec();
    calldata.extend(word(0x40));
    calldata.extend(word(0x60 + proof.len()));
    calldata.extend(word(proof.len()));
    calldata.extend(proof);
    calldata.extend(word(packed.len()));
    calldata.extend(packed);
    calldata.resize(calldata.len() + packed.len().next_multiple_of(32) - packed.len(), 0);
    calldata
}

/// Calldata of `verifyManyPacked`; the instances must fit.
pub(crate) fn calldata_many_packed(
    packing: &Packing,
    batch: &[(Vec<u8>, Vec<U256>)],
) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    for (proof, instances) in batch {
        all.push((proof.clone(), packed(packing, instances)?));
    }
    let parts = all.iter().map(|(proof, packed)| (&proof[..], &packed[..]));
    Ok(encode_verify_many_packed(parts).to_vec())
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

/// Runs the lean contract's assembly on a call.
pub(crate) fn run_lean(
    protocol: &Protocol,
    generated: &Generated,
    calldata: Vec<u8>,
    hashing: Hashing,
) -> Result<Concrete, Stop> {
    let fault = |error: yul::SyntaxError| Stop::fault(error.to_string());
    let called = |selector: [u8; 4]| calldata.starts_with(&selector);
    let packed = called(PACKED_SELECTOR) || called(MANY_PACKED_SELECTOR);
    let (length, bytes) = match packed {
        false => (protocol.num_instances, 0x20 * protocol.num_instances),
        true => (generated.packing.len(), generated.packing.len().next_multiple_of(32)),
    };
    let (guard, variables) = match called(MANY_SELECTOR) || called(MANY_PACKED_SELECTOR) {
        false => (&generated.single, ""),
        true => (&generated.many, "let count, proof, inputs"),
    };
    let guard = format!("{{{variables}\n{guard}}}");
    let guard = yul::parse_block(&guard).map_err(fault)?;
    let arguments = [("length", length), ("stride", 0x20 + bytes), ("packed", packed.into())];
    let mut globals: HashMap<String, U256> =
        arguments.map(|(name, value)| (name.to_owned(), U256::from(value))).into();
    let mut run = Interpreter::new(Concrete::new(calldata, hashing), globals.clone());
    run.run(&guard)?;
    let first = [1, PROOF_OFFSET, PROOF_OFFSET + protocol.proof_len + 0x20];
    for (name, value) in ["count", "proof", "inputs"].into_iter().zip(first) {
        let value = run.variable(name).copied().unwrap_or(U256::from(value));
        globals.insert(name.to_owned(), value);
    }
    let mut machine = run.machine;
    let constants: Vec<u8> =
        generated.layout.constants.iter().flat_map(|word| word.to_be_bytes::<32>()).collect();
    let start = generated.layout.start;
    machine.preset(0x40, &U256::from(start + constants.len()).to_be_bytes::<32>())?;
    machine.preset(start - 32, &U256::from(constants.len()).to_be_bytes::<32>())?;
    machine.preset(start, &constants)?;
    let body = format!("{{\n{}}}", generated.body);
    let body = yul::parse_block(&body).map_err(fault)?;
    globals.insert("constants".to_owned(), U256::from(start - 32));
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

/// Instances at random that fit their widths: the bounds, 0 and ±1 among them.
fn random_packable(packing: &Packing, stream: &mut Stream) -> Vec<U256> {
    let mut instances = Vec::new();
    for (width, count) in packing.runs() {
        for _ in 0..*count {
            if *width == Width::WORD {
                instances.push(random_scalar(stream));
                continue;
            }
            let half = U256::ONE << (8 * width.bytes() - 1);
            instances.push(match stream.below(6) {
                0 => half - U256::ONE,
                1 => SCALAR_MODULUS - half,
                2 => SCALAR_MODULUS - U256::ONE,
                3 => U256::from(stream.below(2)),
                4 => stream.word() & (half - U256::ONE),
                _ => SCALAR_MODULUS - U256::ONE - (stream.word() & (half - U256::ONE)),
            });
        }
    }
    instances
}

/// The packed form; the instances fit it.
pub(crate) fn packed(packing: &Packing, instances: &[U256]) -> Result<Vec<u8>> {
    let felts = instances.iter().map(|word| Felt::new(*word)).collect::<Result<Vec<_>, _>>();
    let bytes = felts.ok().and_then(|felts| packing.pack(&felts));
    bytes.ok_or_else(|| differs(0, "an instance does not fit its width"))
}

/// Compares; nothing may be emitted unless this is `Ok`.
pub(crate) fn check(ezkl_solidity: &str, protocol: &Protocol, generated: &Generated) -> Result<()> {
    let contract = yul::parse_contract(ezkl_solidity)?;
    let stops = |round, whose: &'static str| {
        move |stop: Stop| differs(round, format!("{whose} contract stops: {stop:?}"))
    };
    let mut batches = [Batch::default(), Batch::default()];
    for round in 0..ROUNDS {
        let mut stream = Stream::new(1000 + round);
        let proof = random_proof(protocol, &mut stream);
        // Every other round's instances have a packed form.
        let small = round % 4 >= 2;
        let instances = match small {
            false => random_instances(protocol, &mut stream),
            true => random_packable(&generated.packing, &mut stream),
        };
        let hashing = if round % 2 == 0 { Hashing::Keccak } else { Hashing::Extreme(round) };
        let calldata = calldata_one(&proof, &instances);
        let ezkl = run_ezkl(&contract, protocol, calldata.clone(), hashing)
            .map_err(stops(round, "ezkl's"))?;
        let ezkl = only(ezkl, round, "ezkl's")?;
        let mut calls = vec![calldata];
        if small {
            let packed = packed(&generated.packing, &instances)?;
            calls.push(calldata_packed(&proof, &packed));
        }
        for calldata in calls {
            let lean = run_lean(protocol, generated, calldata, hashing)
                .map_err(stops(round, "the lean"))?;
            compare(round, &ezkl, &only(lean, round, "the lean")?)?;
        }
        if hashing == Hashing::Keccak {
            let known = if small { &mut batches[..] } else { &mut batches[..1] };
            for batch in known {
                batch.proofs.push((proof.clone(), instances.clone()));
                batch.equations.push(ezkl.clone());
            }
        }
    }
    let [all, small] = batches;
    let packed = calldata_many_packed(&generated.packing, &small.proofs)?;
    for (batch, calldata) in [(&all, calldata_many(MANY_SELECTOR, &all.proofs)), (&small, packed)] {
        let lean = run_lean(protocol, generated, calldata, Hashing::Keccak)
            .map_err(stops(ROUNDS, "with many proofs the lean"))?;
        let lean = only(lean, ROUNDS, "with many proofs the lean")?;
        compare(ROUNDS, &batch.sum(protocol), &lean)?;
    }
    Ok(())
}

/// Proofs with the equations that ezkl's contract brings to the pairing.
#[derive(Default)]
struct Batch {
    proofs: Vec<(Vec<u8>, Vec<U256>)>,
    equations: Vec<Equation>,
}

impl Batch {
    /// The equations with their weights.
    fn sum(&self, protocol: &Protocol) -> Equation {
        let g2 = self.equations.first().map(|equation| equation.g2.clone()).unwrap_or_default();
        let mut sum = Equation { lhs: [].into(), rhs: [].into(), g2 };
        for (equation, weight) in self.equations.iter().zip(batch_weights(protocol, &self.proofs)) {
            for (side, terms) in [(&mut sum.lhs, &equation.lhs), (&mut sum.rhs, &equation.rhs)] {
                for (point, scalar) in terms {
                    *side.entry(*point).or_insert_with(|| Fr::from(0u64)) += weight * scalar;
                }
            }
        }
        sum
    }
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
