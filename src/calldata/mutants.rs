//! What is nearly a valid call and must be rejected.

use super::{
    Shape, encode_many, encode_verify_many, encode_verify_many_packed, encode_verify_packed,
    encode_verify_proof, encode_words,
};
use crate::field::{BASE_MODULUS, Felt, SCALAR_MODULUS};
use alloy::primitives::{Bytes, U256};

/// A call that a verifier must reject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// What is wrong with it.
    pub what: &'static str,
    /// The whole calldata, selector included.
    pub calldata: Bytes,
}

/// A proof with instances, one of them a little off: the right shape, and no proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// What is wrong with it.
    pub what: &'static str,
    /// As many bytes as the valid proof has.
    pub proof: Vec<u8>,
    /// As many as the valid proof has.
    pub instances: Vec<Felt>,
}

/// Proofs and instances that differ from these valid ones in a bit, or by one.
pub fn changed(proof: &[u8], instances: &[Felt]) -> Vec<Changed> {
    let mut all = Vec::new();
    for (what, at, bit) in [
        ("the proof's first bit", 0, 0x80),
        ("a point's last bit", 0x1f, 1),
        ("a bit in the middle", (proof.len() / 2) | 0x1f, 1),
        ("the proof's last bit", usize::MAX, 1),
    ] {
        let mut proof = proof.to_vec();
        let last = proof.len().saturating_sub(1);
        if let Some(byte) = proof.get_mut(at.min(last)) {
            *byte ^= bit;
            all.push(Changed { what, proof, instances: instances.to_vec() });
        }
    }
    let mut instances = instances.to_vec();
    if let Some(last) = instances.last_mut()
        && let Ok(next) = Felt::new((last.to_u256() + U256::ONE) % SCALAR_MODULUS)
    {
        *last = next;
        all.push(Changed { what: "another instance", proof: proof.to_vec(), instances });
    }
    all
}

/// The proof with its first point off the curve, with its first two, and so on to all of them: a
/// verifier whose precompiles fail without ending it pays for each.
pub fn bad_points(proof: &[u8]) -> Vec<Vec<u8>> {
    let mut bad = proof.to_vec();
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(coordinates) = proof.get(at..at + 64) {
        if !is_g1_point(coordinates) {
            at += 32;
            continue;
        }
        bad[at + 63] ^= 1;
        all.push(bad.clone());
        at += 64;
    }
    all
}

/// Whether two big-endian words are the coordinates of a point: y² = x³ + 3 over BN254's base field.
fn is_g1_point(words: &[u8]) -> bool {
    let [x, y] = [0, 32].map(|at| U256::from_be_slice(&words[at..at + 32]));
    let q = BASE_MODULUS;
    x < q && y < q && y.mul_mod(y, q) == x.mul_mod(x, q).mul_mod(x, q).add_mod(U256::from(3), q)
}

/// The calldata with another word somewhere.
fn with_word(base: &[u8], at: usize, value: U256) -> Vec<u8> {
    let mut bytes = base.to_vec();
    bytes[at..at + 32].copy_from_slice(&value.to_be_bytes::<32>());
    bytes
}

fn word(value: usize) -> U256 {
    U256::from(value)
}

/// Calls that differ a little from the canonical one with this valid proof; all must be rejected.
/// Needs a proof of one word or more; without instances there are fewer mutants.
pub fn mutants(proof: &[u8], instances: &[Felt]) -> Vec<Mutant> {
    let canonical = encode_verify_proof(proof, instances);
    let shape = Shape { proof_len: proof.len(), n_instances: instances.len() };
    let count_at = 4 + shape.instances_offset();
    let mut mutants = Vec::new();
    let mut add = |what, calldata: Vec<u8>| {
        mutants.push(Mutant { what, calldata: calldata.into() });
    };
    let proof_part = &canonical[0x44..count_at];
    let instance_part = &canonical[count_at..];

    // Other layouts of the same arguments.
    let behind = word(canonical.len() - 4);
    let second_proof = [&canonical, proof_part].concat();
    add("a second proof behind", second_proof.clone());
    add("a second proof used", with_word(&second_proof, 0x04, behind));
    let second_instances = [&canonical, instance_part].concat();
    add("second instances used", with_word(&second_instances, 0x24, behind));
    let swapped = [&canonical[..0x44], instance_part, proof_part].concat();
    let swapped = with_word(&swapped, 0x04, word(0x40 + instance_part.len()));
    add("instances before the proof", with_word(&swapped, 0x24, word(0x40)));
    let gap = [&canonical[..0x44], &[0; 32], &canonical[0x44..]].concat();
    let gap = with_word(&gap, 0x04, word(0x60));
    add("a gap before the proof", with_word(&gap, 0x24, word(shape.instances_offset() + 0x20)));
    let gap = [&canonical[..count_at], &[0; 32], instance_part].concat();
    add("a gap between", with_word(&gap, 0x24, word(shape.instances_offset() + 0x20)));
    for (what, at) in [("dirty first offset", 0x04), ("dirty second offset", 0x24)] {
        let mut dirty = canonical.to_vec();
        dirty[at] |= 0x80;
        add(what, dirty);
    }
    add("a trailing byte", [&canonical[..], &[0]].concat());
    add("a trailing word", [&canonical[..], &[0; 32]].concat());

    // Lengths.
    add("no arguments", canonical[..4].to_vec());
    add("cut by a byte", canonical[..canonical.len() - 1].to_vec());
    add("cut by a word", canonical[..canonical.len() - 32].to_vec());
    for (what, length) in
        [("a shorter proof", proof.len() - 32), ("a longer proof", proof.len() + 32)]
    {
        let mut resized = proof.to_vec();
        resized.resize(length, 0);
        add(what, encode_verify_proof(&resized, instances).to_vec());
    }
    add("a length less one", with_word(&canonical, 0x44, word(proof.len() - 1)));
    let mut one_more = instances.to_vec();
    one_more.push(Felt::ZERO);
    add("an instance more", encode_verify_proof(proof, &one_more).to_vec());

    // Values.
    for Changed { what, proof, instances } in changed(proof, instances) {
        add(what, encode_verify_proof(&proof, &instances).to_vec());
    }
    if let Some((last, others)) = instances.split_last() {
        add("an instance less", encode_verify_proof(proof, others).to_vec());
        let over = last.to_u256() + SCALAR_MODULUS;
        let words = others.iter().map(|instance| instance.to_u256()).chain([over]);
        add("an instance and the modulus", encode_words(proof, words.collect()).to_vec());
    }
    mutants
}

/// Calls of `verifyMany` that differ a little from the canonical one with this valid proof twice;
/// all must be rejected. Needs a proof of one word or more.
pub fn batch_mutants(proof: &[u8], instances: &[Felt]) -> Vec<Mutant> {
    let canonical = encode_verify_many([(proof, instances); 2]);
    // Where the arrays begin: their lengths, then the offsets of their elements.
    let proofs_at = 0x44;
    let element = 0x20 + proof.len();
    let instances_at = proofs_at + 0x60 + 2 * element;
    let second = 0x20 + 32 * instances.len();
    let mut mutants = Vec::new();
    let mut add = |what, calldata: Vec<u8>| {
        mutants.push(Mutant { what, calldata: calldata.into() });
    };

    // Other layouts of the same arguments.
    for (what, array) in
        [("proofs' offsets exchanged", proofs_at), ("instances' offsets exchanged", instances_at)]
    {
        let word_at = |at: usize| U256::from_be_slice(&canonical[at..at + 32]);
        let exchanged = with_word(&canonical, array + 0x20, word_at(array + 0x40));
        add(what, with_word(&exchanged, array + 0x40, word_at(array + 0x20)));
    }
    let shared = [&canonical[..instances_at - element], &canonical[instances_at..]].concat();
    let shared = with_word(&shared, 0x24, word(instances_at - element - 4));
    add("one proof for both", with_word(&shared, proofs_at + 0x40, word(0x40)));
    let shared = canonical[..canonical.len() - second].to_vec();
    add("one array of instances for both", with_word(&shared, instances_at + 0x40, word(0x40)));
    let gap = [&canonical[..instances_at], &[0; 32], &canonical[instances_at..]].concat();
    add("a gap between", with_word(&gap, 0x24, word(instances_at - 4 + 0x20)));
    for (what, at) in [
        ("dirty first offset", 0x04),
        ("dirty second offset", 0x24),
        ("dirty offset of a proof", proofs_at + 0x40),
        ("dirty offset of instances", instances_at + 0x40),
        ("dirty number of proofs", proofs_at),
        ("dirty number of instances' arrays", instances_at),
        ("dirty length of a proof", proofs_at + 0x60 + element),
        ("dirty length of instances", instances_at + 0x60 + second),
    ] {
        let mut dirty = canonical.to_vec();
        dirty[at] |= 0x80;
        add(what, dirty);
    }
    add("a trailing byte", [&canonical[..], &[0]].concat());
    add("a trailing word", [&canonical[..], &[0; 32]].concat());

    // Lengths.
    add("no arguments", canonical[..4].to_vec());
    add("no proofs", encode_verify_many([]).to_vec());
    add("cut by a byte", canonical[..canonical.len() - 1].to_vec());
    add("cut by a word", canonical[..canonical.len() - 32].to_vec());
    add("a proof less", with_word(&canonical, proofs_at, word(1)));
    add("an array of instances less", with_word(&canonical, instances_at, word(1)));
    let short = &proof[..proof.len() - 32];
    add("a shorter proof", encode_verify_many([(proof, instances), (short, instances)]).to_vec());
    if let Some((last, others)) = instances.split_last() {
        let fewer = encode_verify_many([(proof, others), (proof, instances)]);
        add("an instance less", fewer.to_vec());
        let words = |of: &[Felt]| of.iter().map(|felt| felt.to_u256()).collect::<Vec<_>>();
        let mut over = words(others);
        over.push(last.to_u256() + SCALAR_MODULUS);
        let batch = [(proof, words(instances)), (proof, over)];
        add("an instance and the modulus", encode_many(batch.into_iter()).to_vec());
    }

    // Values, first and last.
    for Changed { what, proof: other, instances: others } in changed(proof, instances) {
        let (good, bad) = ((proof, instances), (&other[..], &others[..]));
        add(what, encode_verify_many([bad, good]).to_vec());
        add(what, encode_verify_many([good, bad]).to_vec());
    }
    mutants
}

/// Calls of `verifyPacked` and `verifyManyPacked` that differ a little from the canonical ones with this
/// valid proof and its packed instances; all must be rejected.
pub fn packed_mutants(proof: &[u8], packed: &[u8]) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    let mut add = |what, calldata: Vec<u8>| {
        mutants.push(Mutant { what, calldata: calldata.into() });
    };
    let one = encode_verify_packed(proof, packed);
    let two = encode_verify_many_packed([(proof, packed); 2]);
    let (element, second) = (0x20 + proof.len(), 0x20 + packed.len().next_multiple_of(32));
    let instances_at = 0x44 + 0x60 + 2 * element;
    for (call, places) in [
        (&one, vec![0x04, 0x24, 0x44, 0x64 + proof.len()]),
        (
            &two,
            vec![0x04, 0x24, 0x44, 0x84, instances_at, instances_at + 0x40, instances_at + 0x60],
        ),
        (&two, vec![0x44 + 0x60 + element, instances_at + 0x60 + second]),
    ] {
        for at in places {
            let mut dirty = call.to_vec();
            dirty[at] |= 0x80;
            add("a dirty offset or length of a packed call", dirty);
            let mut near = call.to_vec();
            near[at + 31] ^= 1;
            add("an offset or length of a packed call one off", near);
        }
        add("a packed call with a trailing byte", [&call[..], &[0]].concat());
        add("a packed call with a trailing word", [&call[..], &[0; 32]].concat());
        add("a packed call cut by a byte", call[..call.len() - 1].to_vec());
        add("a packed call without arguments", call[..4].to_vec());
    }
    add("no packed proofs", encode_verify_many_packed([]).to_vec());
    // What fills the last word of the packed bytes.
    let padding = packed.len().next_multiple_of(32) - packed.len();
    for at in 0..padding {
        for call in [&one, &two] {
            let mut dirty = call.to_vec();
            let last = dirty.len() - 1 - at;
            dirty[last] = 1;
            add("dirty padding", dirty);
        }
        let mut dirty = two.to_vec();
        dirty[instances_at + 0x60 + second - 1 - at] = 1;
        add("dirty padding before another element", dirty);
    }
    let mut others: Vec<(&'static str, Vec<u8>)> = vec![
        ("a packed byte more", [packed, &[0]].concat()),
        ("a packed word more", [packed, &[0; 32]].concat()),
    ];
    if let Some((_, fewer)) = packed.split_last() {
        others.push(("a packed byte less", fewer.to_vec()));
        others.push(("no packed bytes", Vec::new()));
    }
    // Every bit of the instances, up to some.
    let step = packed.len().div_ceil(64).max(1);
    for at in (0..packed.len()).step_by(step) {
        for bit in [0x01, 0x80] {
            let mut changed = packed.to_vec();
            changed[at] ^= bit;
            others.push(("another packed instance", changed));
        }
    }
    for (what, other) in others {
        add(what, encode_verify_packed(proof, &other).to_vec());
        add(what, encode_verify_many_packed([(proof, packed), (proof, &other)]).to_vec());
        add(what, encode_verify_many_packed([(proof, &other[..]), (proof, packed)]).to_vec());
    }
    for Changed { what, proof: other, .. } in changed(proof, &[]) {
        add(what, encode_verify_packed(&other, packed).to_vec());
        add(what, encode_verify_many_packed([(proof, packed), (&other, packed)]).to_vec());
    }
    mutants
}

/// Calls of `verifyMany` with this valid proof twice and a [changed](changed) one before, between or
/// behind: all must be rejected, and only the one between shows a verifier that looks at both ends.
pub fn batch_place_mutants(proof: &[u8], instances: &[Felt]) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for Changed { what, proof: other, instances: others } in changed(proof, instances) {
        for place in 0..3 {
            let mut batch = [(proof, instances); 3];
            batch[place] = (&other[..], &others[..]);
            mutants.push(Mutant { what, calldata: encode_verify_many(batch) });
        }
    }
    mutants
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// None is the canonical call, and no two are the same.
    #[test]
    fn mutants_differ() {
        let proof = vec![7; 96];
        let instances = [1, 2].map(Felt::from_i128);
        let one = encode_verify_proof(&proof, &instances);
        let many = encode_verify_many([(&proof[..], &instances[..]); 2]);
        for (canonical, mutants) in
            [(one, mutants(&proof, &instances)), (many, batch_mutants(&proof, &instances))]
        {
            assert!(mutants.len() > 20, "{}", mutants.len());
            let calls: HashSet<_> =
                mutants.iter().map(|mutant| &mutant.calldata).chain([&canonical]).collect();
            assert_eq!(calls.len(), mutants.len() + 1);
        }
        assert_eq!(changed(&proof, &instances).len(), 5);
        assert_eq!(changed(&[], &[]), []);
    }
}
