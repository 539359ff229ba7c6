//! The functions that take packed instances.

use super::*;
use crate::{field::SCALAR_MODULUS, verifier::golden};

#[tokio::test]
async fn packed_instances_pass_and_everything_near_them_is_refused() {
    for (name, form) in MODELS.into_iter().flat_map(|name| FORMS.map(|form| (name, form))) {
        let mut d = Deployed::of(name, form).await;
        let (proof, instances) = (d.fixture.proof.clone(), d.fixture.instances.clone());
        let packing = d.lean.packing().clone();
        let gas = golden::check_packed(&mut d.evm, d.at, &packing, &proof, &instances);
        assert!(packing.pack(&instances).is_some(), "{name}");
        assert!(gas.expect("as it should be").is_some(), "{name}");
    }
}

/// Runs of every width, with instances at their bounds: the golden proofs have few such.
#[tokio::test]
async fn every_width_gives_the_words_that_the_transcript_hashes() {
    let fixture = Fixture::load("credit").await;
    let (vk, k) = key("credit");
    let count = fixture.instances.len();
    let expected = Expected { num_instances: count, k, vk: Some(&vk) };
    let width = |bytes| Width::try_from(bytes).expect("a width");
    let mixed = [(1, 9), (2, 1), (32, 2), (4, 8), (16, 3), (8, 5)].map(|(w, n)| (width(w), n));
    let rest = count - mixed.iter().map(|(_, n)| n).sum::<usize>();
    let mut all = vec![Packing::of(mixed.into_iter().chain([(width(1), rest)]))];
    all.extend([1, 2, 4, 8, 16, 32].map(|bytes| Packing::of([(width(bytes), count)])));
    for (packing, form) in all.into_iter().flat_map(|it| FORMS.map(|form| (it.clone(), form))) {
        // It compares random packed calls, with the bounds of each width among them, with ezkl's
        // contract on the words.
        let lean = generate(&fixture.solidity, &expected, &packing, form).expect("equivalent");
        let run = |calldata: Vec<u8>| lean.run(calldata);
        let mut bytes = vec![0; packing.len()];
        let call = |bytes: &[u8]| equivalence::calldata_packed(&fixture.proof, bytes);
        assert!(run(call(&bytes)).is_ok(), "{packing:?}");
        // One word that is no scalar, in 32 bytes.
        let mut at = 0;
        for (width, count) in packing.runs() {
            if width.bytes() == 32 {
                bytes[at..at + 32].copy_from_slice(&SCALAR_MODULUS.to_be_bytes::<32>());
                assert!(run(call(&bytes)).is_err(), "{packing:?}");
                bytes[at..at + 32].fill(0);
            }
            at += width.bytes() * count;
        }
        // Padding, length.
        for (what, calldata) in [
            ("a byte more", call(&[&bytes[..], &[0]].concat())),
            ("a byte less", call(&bytes[1..])),
            ("nothing", call(&[])),
        ] {
            assert!(run(calldata).is_err(), "{what} {packing:?}");
        }
        let mut calldata = call(&bytes);
        if !packing.len().is_multiple_of(32) {
            *calldata.last_mut().expect("padding") = 1;
            assert!(run(calldata).is_err(), "dirty padding {packing:?}");
        }
    }
}

#[tokio::test]
async fn packed_and_plain_calls_decide_alike() {
    let mut d = Deployed::new("tree").await;
    let (proof, instances) = (d.fixture.proof.clone(), d.fixture.instances.clone());
    let packing = d.lean.packing().clone();
    let packed = packing.pack(&instances).expect("it fits");
    let one = d.call(d.at, encode_verify_packed(&proof, &packed));
    assert!(one.success && crate::calldata::is_true(&one.output));
    // Wrong instances are another error than wrong bytes.
    for index in 0..packed.len() {
        let mut other = packed.clone();
        other[index] ^= 1;
        let result = d.call(d.at, encode_verify_packed(&proof, &other));
        assert_eq!(result.output.to_vec(), selector("ProofRejected"), "{index}");
        let felts = packing.unpack(&other).expect("the right length");
        assert_eq!(packing.pack(&felts), Some(other));
    }
    let error = selector("CalldataNotCanonical");
    // The packed bytes as instances and the words as packed bytes.
    let words = d.words();
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes::<32>()).collect();
    let result = d.call(d.at, encode_verify_packed(&proof, &bytes));
    assert_eq!((result.success, result.output.to_vec()), (false, error.clone()));
    // In a batch, in each place.
    let batch = |count: usize| vec![(&proof[..], &packed[..]); count];
    let mut each = Vec::new();
    for count in [1, 2, 16] {
        let result = d.call(d.at, encode_verify_many_packed(batch(count)));
        assert!(result.success, "{count}");
        each.push(result.gas_used / count as u64);
    }
    assert!(each.windows(2).all(|pair| pair[1] < pair[0]), "{each:?}");
    let mut wrong = packed.clone();
    wrong[0] ^= 1;
    for place in 0..3 {
        let mut batch = batch(3);
        batch[place] = (&proof, &wrong);
        let result = d.call(d.at, encode_verify_many_packed(batch));
        assert_eq!(result.output.to_vec(), selector("ProofRejected"), "{place}");
    }
    let none: [(&[u8], &[u8]); 0] = [];
    let result = d.call(d.at, encode_verify_many_packed(none));
    assert_eq!(result.output.to_vec(), selector("EmptyBatch"));
}
