use super::*;
use crate::{
    calldata::{encode_verify_many, encode_verify_many_packed, encode_verify_packed},
    evm::{CallResult, Evm, Hardfork},
    model::packing::{Packing, Width},
    verifier::{
        BuildRequest, Sample, build,
        testing::{Fixture, compiler},
    },
};
use alloy::primitives::{Address, Bytes, keccak256};
use ark_bn254::G1Affine;
use ark_ec::AffineRepr as _;

mod anywhere;
mod forms;
mod packed;

const MODELS: [&str; 4] = ["credit", "hashed", "sibling", "tree"];

/// The factor between long and short runs: `ZKVOUCH_FUZZ_CASES` for a long one.
fn cases(default: usize) -> usize {
    std::env::var("ZKVOUCH_FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

fn key(name: &str) -> (Vec<u8>, u32) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/models/");
    let vk = std::fs::read(format!("{folder}{name}/vk.key")).expect("a key");
    let k = u32::from(vk[1]);
    (vk, k)
}

const FORMS: [OptimizeFor; 2] = [OptimizeFor::Calls, OptimizeFor::Deployment];

fn generate_for(name: &str, fixture: &Fixture) -> LeanVerifier {
    generate_as(name, fixture, OptimizeFor::Calls)
}

fn generate_as(name: &str, fixture: &Fixture, form: OptimizeFor) -> LeanVerifier {
    let (vk, k) = key(name);
    let expected = Expected { num_instances: fixture.instances.len(), k, vk: Some(&vk) };
    generate(&fixture.solidity, &expected, &packing(fixture), form).expect("a lean verifier")
}

/// All but the last instance in as few bytes as hold them, and the last in 16.
fn packing(fixture: &Fixture) -> Packing {
    let Some((_, others)) = fixture.instances.split_last() else { return Packing::default() };
    let sizes = others.iter().map(|it| it.to_i128().map_or(u128::MAX, i128::unsigned_abs));
    let width = Width::of(sizes.max().unwrap_or_default());
    let last = Width::try_from(16).expect("a width");
    Packing::of([(width, others.len()), (last, 1)])
}

struct Deployed {
    fixture: Fixture,
    lean: LeanVerifier,
    evm: Evm,
    at: Address,
    ezkl: Address,
}

impl Deployed {
    async fn new(name: &str) -> Self {
        Self::of(name, OptimizeFor::Calls).await
    }

    async fn of(name: &str, form: OptimizeFor) -> Self {
        let fixture = Fixture::load(name).await;
        let lean = generate_as(name, &fixture, form);
        let compiler = compiler().await;
        let mut evm = Evm::new(Hardfork::default());
        let mut addresses = Vec::new();
        let ezkl = VerifierSource::from_ezkl(&fixture.solidity, None, None).expect("guarded");
        for source in [lean.source(), ezkl] {
            let options = source.options[0].clone();
            let contract = compiler
                .compile_contract(&source.sources(), &options, source.contract())
                .await
                .expect("compiled");
            addresses.push(evm.deploy(contract.init_code).expect("deployed").address);
        }
        let [lean_address, ezkl] = addresses[..] else { unreachable!("two contracts") };
        Self { fixture, lean, evm, at: lean_address, ezkl }
    }

    fn call(&mut self, to: Address, calldata: impl Into<Bytes>) -> CallResult {
        let limit = self.evm.gas_limit();
        self.evm.call(to, calldata.into(), limit).expect("a transaction")
    }

    fn words(&self) -> Vec<U256> {
        self.fixture.instances.iter().map(|felt| felt.to_u256()).collect()
    }

    /// The four bytes with which the lean verifier rejects.
    fn rejection(&mut self, proof: &[u8], instances: &[U256]) -> (Vec<u8>, u64) {
        let result = self.call(self.at, equivalence::calldata_one(proof, instances));
        assert!(!result.success);
        (result.output.to_vec(), result.gas_used)
    }
}

fn selector(error: &str) -> Vec<u8> {
    keccak256(format!("{error}()"))[..4].to_vec()
}

#[tokio::test]
async fn real_proofs_pass_for_less_gas_and_everything_else_about_them_is_refused() {
    for name in MODELS {
        let fixture = Fixture::load(name).await;
        let lean = generate_for(name, &fixture);
        let compiler = compiler().await;
        let mut reports = Vec::new();
        let ezkl = VerifierSource::from_ezkl(&fixture.solidity, None, None).expect("guarded");
        for source in [lean.source(), ezkl] {
            // The build runs the golden-proof gate over the sample and its mutants.
            let mut request = BuildRequest::new(source);
            request.sample = Some(fixture.sample());
            let artifact = build(&compiler, request).await.expect("built");
            // Of a setup that both kinds show, pushed or as data.
            assert_eq!(artifact.metadata().neg_s_g2, Some(lean.protocol().neg_s_g2), "{name}");
            reports.push(artifact.metadata().gas.clone());
        }
        let (lean_gas, ezkl_gas) = (&reports[0], &reports[1]);
        let verify = |gas: &crate::verifier::report::GasReport| gas.verify_gas.expect("verified");
        // ezkl's is compiled with the best settings here, not with ezkl's own.
        let ratio = verify(lean_gas) as f64 / verify(ezkl_gas) as f64;
        assert!(ratio < 0.93, "{name}: {lean_gas:?} {ezkl_gas:?}");
        // It has four functions where ezkl's has one, and is no fifth longer for it.
        let size = lean_gas.runtime_size as f64 / ezkl_gas.runtime_size as f64;
        assert!(size < 1.2, "{name}: {lean_gas:?} {ezkl_gas:?}");

        // The phases explain the measured gas but for the compiler's own part.
        let breakdown = lean.breakdown(&fixture.proof, &fixture.instances).expect("a breakdown");
        let (total, measured) = (breakdown.total(), verify(lean_gas));
        assert!(total < measured && measured - total < 2_000, "{name}: {total} {measured}");
        assert!(breakdown.floor < total);

        // The reference, from the definitions alone, agrees.
        let trace = reference::verify(lean.protocol(), &fixture.proof, &fixture.instances);
        let trace = trace.expect("well-formed");
        assert!(trace.accepted, "{name}");
        let mut wrong = fixture.proof.clone();
        let scalar = lean.protocol().scalars[0];
        wrong[scalar + 31] ^= 1;
        let trace = reference::verify(lean.protocol(), &wrong, &fixture.instances);
        assert!(!trace.expect("well-formed").accepted, "{name}");
    }
}

#[tokio::test]
async fn the_reference_agrees_with_the_contract_on_the_pairing() {
    let fixture = Fixture::load("tree").await;
    let lean = generate_for("tree", &fixture);
    let words: Vec<U256> = fixture.instances.iter().map(|felt| felt.to_u256()).collect();
    let trace = reference::verify(lean.protocol(), &fixture.proof, &fixture.instances);
    let trace = trace.expect("well-formed");
    let calldata = equivalence::calldata_one(&fixture.proof, &words);
    let run = lean.run(calldata).expect("runs");
    let equation = &run.equations[0];
    let at = |offset: usize| U256::from_be_slice(&fixture.proof[offset..offset + 32]);
    let w = lean.protocol().w();
    let scalar = |x, y| equation.lhs.get(&(x, y)).copied().expect("a scalar");
    assert_eq!(scalar(at(w), at(w + 32)), -trace.d0);
    assert_eq!(scalar(at(w + 64), at(w + 96)), trace.challenges[lean.protocol().challenges.mu]);
    assert_eq!(scalar(U256::from(1), U256::from(2)), -trace.r);
    let mut lhs = G1Affine::default();
    for ((x, y), scalar) in &equation.lhs {
        let point = field::point(*x, *y).expect("a point");
        lhs = field::add(lhs, field::mul(point, *scalar));
    }
    assert_eq!(lhs, trace.lhs);
}

#[tokio::test]
async fn only_the_canonical_encoding_is_accepted() {
    let mut d = Deployed::new("tree").await;
    let words = d.words();
    let proof = d.fixture.proof.clone();
    let good = equivalence::calldata_one(&proof, &words);
    assert!(d.call(d.at, good.clone()).success);
    let error = selector("CalldataNotCanonical");
    let put = |at: usize, value: U256| {
        let mut bytes = good.clone();
        bytes[at..at + 32].copy_from_slice(&value.to_be_bytes::<32>());
        bytes
    };
    let instances_at = 0x64 + proof.len();
    let mut shifted = good.clone();
    shifted.extend([0; 32]);
    let mut variants = vec![
        ("a trailing byte", [good.clone(), vec![0]].concat()),
        ("a trailing word", shifted),
        ("a byte less", good[..good.len() - 1].to_vec()),
        ("offset of the proof", put(0x04, U256::from(0x60))),
        ("offset of the proof wraps", put(0x04, U256::from(0x40) + (U256::ONE << 255))),
        ("offset of the instances", put(0x24, U256::from(0x40))),
        ("length of the proof", put(0x44, U256::from(proof.len() - 32))),
        ("number of instances", put(instances_at, U256::from(words.len() + 1))),
        ("no arguments", good[..4].to_vec()),
    ];
    // The same arguments the other way round in the calldata: valid ABI, not canonical.
    let mut reordered = good[..4].to_vec();
    let word = |value: usize| U256::from(value).to_be_bytes::<32>();
    let instances = &good[instances_at..];
    reordered.extend(word(0x40 + instances.len()));
    reordered.extend(word(0x40));
    reordered.extend(instances);
    reordered.extend(&good[0x44..instances_at]);
    variants.push(("instances first", reordered));
    for (what, calldata) in variants {
        let result = d.call(d.at, calldata);
        // Solidity itself rejects what does not even decode.
        let reason = result.output.to_vec();
        assert!(!result.success && (reason == error || reason.is_empty()), "{what}");
        assert!(result.gas_used < 150_000, "{what}: {}", result.gas_used);
    }
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let mut d = Deployed::new("credit").await;
    let (words, proof) = (d.words(), d.fixture.proof.clone());
    let good = d.call(d.at, equivalence::calldata_one(&proof, &words));
    assert!(good.success);
    let protocol = d.lean.protocol().clone();
    let put = |at: usize, value: U256| {
        let mut bytes = proof.clone();
        bytes[at..at + 32].copy_from_slice(&value.to_be_bytes::<32>());
        bytes
    };
    let word = |at: usize| U256::from_be_slice(&proof[at..at + 32]);
    use crate::field::{BASE_MODULUS, SCALAR_MODULUS};

    let input = selector("InputNotCanonical");
    for at in &protocol.scalars {
        let aliased = put(*at, word(*at) + SCALAR_MODULUS);
        assert_eq!(d.rejection(&aliased, &words).0, input, "scalar at {at}");
        assert_eq!(d.rejection(&put(*at, SCALAR_MODULUS), &words).0, input);
    }
    for index in 0..words.len() {
        let mut aliased = words.clone();
        aliased[index] += SCALAR_MODULUS;
        assert_eq!(d.rejection(&proof, &aliased).0, input, "instance {index}");
    }
    let mut dearest = 0;
    for at in &protocol.points {
        let mut identity = put(*at, U256::ZERO);
        identity[at + 32..at + 64].fill(0);
        assert_eq!(d.rejection(&identity, &words).0, input, "point at {at}");
        for bad in [
            put(*at, word(*at) + U256::ONE),
            put(*at, word(*at).wrapping_add(BASE_MODULUS)),
            put(at + 32, word(at + 32).wrapping_add(BASE_MODULUS)),
            put(*at, U256::MAX),
        ] {
            let (reason, gas) = d.rejection(&bad, &words);
            assert_eq!(reason, selector("InvalidPoint"), "point at {at}");
            dearest = dearest.max(gas);
        }
    }
    // A precompile that fails takes its cap and not all gas.
    assert!(dearest < good.gas_used + 35_000, "{dearest} {}", good.gas_used);
    let rejected = selector("ProofRejected");
    for at in &protocol.scalars {
        let value = if word(*at).is_zero() { U256::ONE } else { word(*at) - U256::ONE };
        assert_eq!(d.rejection(&put(*at, value), &words).0, rejected, "scalar at {at}");
    }
    for at in &protocol.points {
        let negated = put(at + 32, BASE_MODULUS - word(at + 32));
        assert_eq!(d.rejection(&negated, &words).0, rejected, "point at {at}");
    }
}

#[tokio::test]
async fn batches_pass_and_one_bad_proof_spoils_them() {
    let mut d = Deployed::new("credit").await;
    let (proof, instances) = (d.fixture.proof.clone(), d.fixture.instances.clone());
    let sample = (&proof[..], &instances[..]);
    let mut per_proof = Vec::new();
    for count in [1, 2, 4, 16] {
        let result = d.call(d.at, encode_verify_many(vec![sample; count]));
        assert!(result.success, "{count}");
        assert_eq!(U256::from_be_slice(&result.output), U256::ONE);
        per_proof.push(result.gas_used / count as u64);
    }
    assert!(per_proof.windows(2).all(|pair| pair[1] < pair[0]), "{per_proof:?}");

    // Empty.
    let result = d.call(d.at, encode_verify_many([]));
    assert_eq!((result.success, result.output.to_vec()), (false, selector("EmptyBatch")));
    // One bad among four, in every place; swapped instances.
    let mut wrong = proof.clone();
    let scalar = d.lean.protocol().scalars[3];
    wrong[scalar + 31] ^= 1;
    let mut other = instances.clone();
    other[0] = Felt::from_i128(77);
    for place in 0..4 {
        for bad in [(&wrong[..], &instances[..]), (&proof[..], &other[..])] {
            let mut batch = vec![sample; 4];
            batch[place] = bad;
            let result = d.call(d.at, encode_verify_many(batch));
            assert_eq!(
                (result.success, result.output.to_vec()),
                (false, selector("ProofRejected")),
                "{place}"
            );
        }
    }
    // Points off the curve, in any proof.
    let mut off = proof.clone();
    off[31] ^= 1;
    for place in 0..2 {
        let mut batch = vec![sample; 2];
        batch[place] = (&off[..], &instances[..]);
        let result = d.call(d.at, encode_verify_many(batch));
        assert_eq!(result.output.to_vec(), selector("InvalidPoint"), "{place}");
    }
}

#[tokio::test]
async fn batches_are_accepted_in_the_canonical_encoding_only() {
    let mut d = Deployed::new("tree").await;
    let (proof, instances) = (d.fixture.proof.clone(), d.fixture.instances.clone());
    let sample = (&proof[..], &instances[..]);
    let good = encode_verify_many([sample; 3]).to_vec();
    assert!(d.call(d.at, good.clone()).success);
    // Every head and length, one more and one less word; and more or less bytes.
    let mut at = vec![0x04, 0x24, 0x44, 0x64, 0x84, 0xa4];
    let element = 32 + proof.len();
    at.extend((0..3).map(|i| 0xc4 + i * element));
    let inputs = 0xc4 + 3 * element;
    at.extend([inputs, inputs + 0x20, inputs + 0x40, inputs + 0x60]);
    at.extend((0..3).map(|i| inputs + 0x80 + i * (32 + 32 * instances.len())));
    for at in at {
        for change in [U256::from(32), U256::from(1), U256::MAX, U256::ONE << 255] {
            let mut bytes = good.clone();
            let word = U256::from_be_slice(&bytes[at..at + 32]).wrapping_add(change);
            bytes[at..at + 32].copy_from_slice(&word.to_be_bytes::<32>());
            let result = d.call(d.at, bytes);
            assert!(!result.success, "{at:#x} {change:#x}");
            assert!(result.gas_used < 1_500_000);
        }
    }
    assert!(!d.call(d.at, [good.clone(), vec![0]].concat()).success);
    assert!(!d.call(d.at, good[..good.len() - 1].to_vec()).success);
}

/// Two different proofs, each of them wrong, whose equations add up to a true one: only weights that
/// depend on the proofs tell them from good ones.
#[tokio::test]
async fn wrong_proofs_that_would_cancel_do_not() {
    let mut d = Deployed::new("credit").await;
    let (proof, instances) = (d.fixture.proof.clone(), d.fixture.instances.clone());
    let at = d.lean.protocol().w() + 0x40;
    let word = |at: usize| U256::from_be_slice(&proof[at..at + 32]);
    let last = field::point(word(at), word(at + 32)).expect("a point");
    // No challenge depends on the last point, W': moved up in one proof and down in the other, it
    // moves both sides of the two equations by opposite amounts.
    let moved = |by: G1Affine| {
        let (x, y) = field::coordinates(field::add(last, by));
        let mut proof = proof.clone();
        proof[at..at + 32].copy_from_slice(&x.to_be_bytes::<32>());
        proof[at + 32..at + 64].copy_from_slice(&y.to_be_bytes::<32>());
        proof
    };
    let (up, down) = (moved(G1Affine::generator()), moved(-G1Affine::generator()));
    let trace = |proof: &[u8]| {
        reference::verify(d.lean.protocol(), proof, &instances).expect("well-formed")
    };
    let (good, one, other) = (trace(&proof), trace(&up), trace(&down));
    assert!(good.accepted && !one.accepted && !other.accepted);
    assert_eq!(field::add(one.lhs, other.lhs), field::add(good.lhs, good.lhs));
    assert_eq!(field::add(one.rhs, other.rhs), field::add(good.rhs, good.rhs));

    let [good, up, down] = [&proof, &up, &down].map(|proof| (&proof[..], &instances[..]));
    assert!(d.call(d.at, encode_verify_many([good, good])).success);
    for batch in [vec![up, down], vec![down, up], vec![up, good, down], vec![good, down, up]] {
        let result = d.call(d.at, encode_verify_many(batch));
        assert_eq!((result.success, result.output.to_vec()), (false, selector("ProofRejected")));
    }
}

#[tokio::test]
async fn both_verifiers_decide_alike() {
    for (name, form) in MODELS.into_iter().flat_map(|name| FORMS.map(|form| (name, form))) {
        let mut d = Deployed::of(name, form).await;
        let pair = fuzz::Pair { ezkl: d.ezkl, lean: d.at, batch: Some(d.at) };
        let plan = fuzz::Plan { cases: cases(150), seed: 7 };
        let samples = [Sample { proof: &d.fixture.proof, instances: &d.fixture.instances }];
        let report =
            fuzz::run(&mut d.evm, pair, d.lean.protocol(), &samples, plan).expect("transactions");
        assert_eq!(report.cases, plan.cases);
        assert!(report.batches > 0);
        assert!(report.malleable.is_empty(), "{name}: {:?}", report.malleable[0].mutation);
        assert!(report.disagreements.is_empty(), "{name}: {:?}", report.disagreements[0].mutation);
    }
}

/// Verifiers that agree with each other and accept what is no sample are found out, too.
#[tokio::test]
async fn what_both_accept_wrongly_is_malleability() {
    let mut d = Deployed::new("tree").await;
    // mstore(0, 1) return(0, 32), left by codecopy.
    let yes = alloy::hex::decode("600a600c600039600a6000f3600160005260206000f3").expect("hex");
    let yes = d.evm.deploy(yes.into()).expect("deployed").address;
    let samples = [Sample { proof: &d.fixture.proof, instances: &d.fixture.instances }];
    let plan = fuzz::Plan { cases: 40, seed: 7 };
    for (ezkl, lean, malleable) in [(yes, yes, true), (yes, d.at, false), (d.ezkl, yes, false)] {
        let pair = fuzz::Pair { ezkl, lean, batch: None };
        let report =
            fuzz::run(&mut d.evm, pair, d.lean.protocol(), &samples, plan).expect("transactions");
        assert_eq!(report.cases, plan.cases);
        let (all, none) = (report.malleable.len(), report.disagreements.len());
        assert_eq!((all, none), if malleable { (plan.cases, 0) } else { (0, plan.cases) });
    }
}

#[tokio::test]
async fn a_contract_that_is_not_understood_has_no_lean_verifier() {
    let fixture = Fixture::load("tree").await;
    let (vk, k) = key("tree");
    let expected = Expected { num_instances: fixture.instances.len(), k, vk: Some(&vk) };
    let text = &fixture.solidity;
    let refused = |text: &str| {
        generate(text, &expected, &packing(&fixture), OptimizeFor::Calls).expect_err("refused")
    };
    // The wrong key, number of rows, number of instances.
    let (other_vk, _) = key("credit");
    for expected in [
        Expected { num_instances: expected.num_instances + 1, ..expected },
        Expected { k: k + 1, ..expected },
        Expected { vk: Some(&other_vk), ..expected },
        Expected { vk: Some(&vk[..100]), ..expected },
    ] {
        let error =
            generate(text, &expected, &packing(&fixture), OptimizeFor::Calls).expect_err("refused");
        assert!(matches!(error, Error::Contradiction { .. } | Error::Key(_)), "{error}");
    }
    // Another helper function, another name, another block, another constant of the domain.
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    };
    for text in [
        changed("let gp_mptr := mptr_end", "let gp_mptr := add(mptr_end, 0)"),
        changed("contract Halo2Verifier", "contract Halo3Verifier"),
        changed("            // Perform pairing", "            pop(0)"),
        changed(
            "let x_n_minus_1 := addmod(x_n, sub(r, 1), r)",
            "let x_n_minus_1 := addmod(x_n, sub(r, 2), r)",
        ),
        changed("success := and(success, lt(eval, r))", "success := and(success, success)"),
        changed("mulmod(r_eval, mload(NU_MPTR), R)", "mulmod(r_eval, mload(MU_MPTR), R)"),
        changed("ec_mul_acc(success, x_n)", "ec_mul_acc(success, mload(ZETA_MPTR))"),
        changed("let quotient_eval := mulmod(", "let quotient_eval := addmod("),
    ] {
        let error = refused(&text);
        assert!(matches!(error, Error::Template { .. } | Error::Syntax(_)), "{error}");
        assert!(error.to_string().contains("template"), "{error}");
    }
    // A line that is missing never goes unnoticed, but for the circuit's own constraints: their text
    // is free, and the golden proof fails without one of them.
    let lines: Vec<&str> = text.lines().collect();
    let find = |what: &str| lines.iter().position(|line| line.contains(what)).expect("there");
    let free = find("let quotient_eval_numer")..find("// Compute quotient commitment");
    let code: Vec<usize> = (0..lines.len())
        .filter(|i| !free.contains(i))
        .filter(|i| lines[*i].contains(":=") || lines[*i].contains("mstore"))
        .collect();
    let same = generate_for("tree", &fixture).source();
    for index in code.iter().step_by(code.len() / 25) {
        let mut lines = lines.clone();
        lines.remove(*index);
        if let Ok(lean) =
            generate(&lines.join("\n"), &expected, &packing(&fixture), OptimizeFor::Calls)
        {
            // The digest and the number of instances are stored twice.
            assert_eq!(lean.source(), same, "{}", text.lines().nth(*index).unwrap_or_default());
        }
    }
}
