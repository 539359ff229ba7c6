//! What a circuit costs, told from its [`Shape`].
//!
//! The time to prove is a sum of what grows with the shape. The coefficients were fitted on 60 circuits
//! with k from 8 to 16; on circuits not fitted the median error is 6 % and the largest 14 %. README.md has the errors
//! of memory and time, of setup and proof, over all sizes (`benches/estimates.py`).

use super::shape::{BLINDING, Shape};
use crate::evm::Hardfork;
use serde::{Deserialize, Serialize};

/// What code and gas of a lean verifier are linear in: 1, advice columns, fixed columns, lookups,
/// whether something is hashed, instances.
type Features = [f64; 6];

// Fitted on 33 circuits of 13 models with k from 7 to 15, one to three columns and one to 18 blocks,
// hashed and plain, every one of them made, proved and compiled. Each circuit against a fit without
// it:
//
// | estimate | median error | largest, too low | largest, too high |
// |---|---|---|---|
// | code | 2.0 % | 10.4 % | 7.7 % |
// | code of the batch verifier | 2.2 % | 12.5 % | 9.5 % |
// | gas | 1.2 % | 5.9 % | 4.9 % |
// | memory of setup | 1.0 % | 7.5 % | 4.2 % |
// | memory of prove | 2.8 % | 10.1 % | 14.3 % |
/// Bytes of runtime code.
const CODE: Features = [3971.2, 404.53, 136.81, 112.25, 316.05, 0.0];
/// The same for many proofs at once.
const BATCH_CODE: Features = [4401.8, 423.15, 184.94, 105.52, 342.32, 0.0];
/// Gas of a transaction, under the rules of Osaka.
const LEAN_GAS: Features = [234_462.0, 14_814.8, 6217.5, 18_617.0, 25_470.1, 282.33];
/// Bytes of memory, and those for each byte of the proving key.
const SETUP_MEMORY: (u64, f64) = (34_250_000, 1.42);
const PROVE_MEMORY: (u64, f64) = (34_850_000, 2.4);
/// The CPU time of setup over that of a proof: 0.46 to 0.98, on 55 circuits.
const SETUP_TIME: f64 = 0.75;

// Fitted on 12 circuits with proofs of 2,272 to 10,240 bytes: within 4 % of each, the longest and the hashed one, which
// decide a coefficient each, within 15 % of a fit without it.
/// Bytes of the code of ezkl's verifier: 1, bytes of the proof, their square, whether something is hashed.
const EZKL_CODE: [f64; 4] = [6131.6, 0.947_22, 4.1219e-5, 1519.6];

// Hashing, by how far three hashed circuits were beyond the rest of the model.
/// CPU seconds for each million of extended rows: Poseidon's gates are on every row, used or not.
const POSEIDON_GATES: f64 = 6.3;
/// CPU seconds for each million of rows that hashes fill.
const POSEIDON_ROWS: f64 = 130.0;

fn ezkl_code(shape: &Shape) -> u64 {
    let proof = shape.proof_bytes() as f64;
    let hashes = f64::from(u8::from(shape.hashes()));
    let features = [1.0, proof, proof * proof, hashes];
    EZKL_CODE.iter().zip(features).map(|(a, b)| a * b).sum::<f64>() as u64
}

fn features(shape: &Shape) -> Features {
    let hashes = usize::from(shape.hashes());
    [1, shape.advice, shape.fixed, shape.lookups, hashes, shape.instances].map(|count| count as f64)
}

fn sum(coefficients: &Features, features: &Features) -> u64 {
    coefficients.iter().zip(features).map(|(a, b)| a * b).sum::<f64>() as u64
}

fn memory((base, share): (u64, f64), pk_bytes: u64) -> u64 {
    base.saturating_add((share * pk_bytes as f64) as u64)
}

/// What a transaction that takes `osaka` gas under Osaka's rules takes under others: its base differs,
/// and it takes at least the floor of its calldata, of which few bytes are zero. Verifiers write nothing
/// and use no precompile that another fork prices otherwise, but Osaka's ModExp, a few hundred gas.
pub fn charged(hardfork: Hardfork, osaka: u64, calldata_bytes: u64) -> u64 {
    let rules = hardfork.rules();
    let base = Hardfork::Osaka.rules().call - rules.call;
    (osaka - base.min(osaka)).max(rules.floor + rules.floor_byte * calldata_bytes)
}

/// What a transaction is estimated to take under some rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkEstimate {
    /// The rules.
    pub hardfork: Hardfork,
    /// In units of gas.
    pub gas: u64,
}

/// What a verification that takes `osaka` gas with `calldata_bytes` of calldata would take, under each reported fork,
/// if of its instances `words` fewer were public and inputs were hashed in their place. The columns that hashing adds
/// to a circuit are not in it.
pub fn hashed(osaka: u64, calldata_bytes: usize, words: usize) -> Vec<ForkEstimate> {
    let [.., hashing, instance] = LEAN_GAS;
    let saved = instance * words as f64 - hashing;
    let gas = (osaka as f64 - saved).max(0.0) as u64;
    let bytes = calldata_bytes.saturating_sub(32 * words) as u64;
    let under = |hardfork| ForkEstimate { hardfork, gas: charged(hardfork, gas, bytes) };
    Hardfork::REPORTED.map(under).to_vec()
}

/// Turns a shape into seconds, bytes and gas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostModel {
    /// CPU seconds of any proof.
    pub base: f64,
    /// CPU seconds for each commitment, whatever its length.
    pub commitment: f64,
    /// For each million of rows over k and dense polynomial: multi-scalar multiplications.
    pub dense: f64,
    /// The same for the filled part of advice columns.
    pub advice: f64,
    /// For each million of extended rows and gate expression.
    pub gate: f64,
    /// For each million of extended rows and lookup input.
    pub lookup: f64,
    /// For each million of rows and lookup polynomial: making tables and multiplicities.
    pub lookup_preparation: f64,
    /// For each million of cells: filling them in.
    pub cell: f64,
    /// The machine's CPU seconds over those of the machine on which the coefficients were fitted.
    pub machine: f64,
    /// CPUs that one proof keeps busy: CPU seconds over wall-clock seconds.
    pub cpus: f64,
    /// The rules that gas is predicted under: no property of the machine, so in no file.
    #[serde(skip)]
    pub hardfork: Hardfork,
}

impl Default for CostModel {
    fn default() -> Self {
        Self {
            base: 0.002_878,
            commitment: 0.001_077_8,
            dense: 152.627_4,
            advice: 47.548_5,
            gate: 0.130_233_6,
            lookup: 2.952_844,
            lookup_preparation: 1.365_286,
            cell: 1.956_413,
            machine: 1.0,
            // Nearly everything runs on all CPUs: 1.9 times faster on two.
            cpus: (available_cpus() as f64 * 0.95).max(1.0),
            hardfork: Hardfork::default(),
        }
    }
}

/// What a circuit is expected to cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// CPU seconds to prove.
    pub prove_cpu_seconds: f64,
    /// Wall-clock seconds to prove on an idle machine.
    pub prove_seconds: f64,
    /// The most resident memory while proving, in bytes.
    pub peak_bytes: u64,
    /// The proving key's length in bytes.
    pub pk_bytes: u64,
    /// The proof's length in bytes.
    pub proof_bytes: u64,
    /// Gas of a transaction to ezkl's verifier, within 1 %.
    pub verify_gas: u64,
    /// Gas of a transaction to the lean verifier.
    pub lean_gas: u64,
    /// Bytes of the lean verifier's runtime code.
    pub code_bytes: u64,
    /// Bytes of the runtime code of the lean verifier of many proofs.
    pub batch_code_bytes: u64,
    /// Bytes of the runtime code of ezkl's verifier.
    #[serde(default)]
    pub ezkl_code_bytes: u64,
    /// Bytes of a call's calldata.
    pub calldata_bytes: u64,
    /// CPU seconds to make the keys.
    pub setup_cpu_seconds: f64,
    /// The most resident memory while making the keys, in bytes.
    pub setup_peak_bytes: u64,
}

impl CostModel {
    /// Predicts the cost of a circuit of this shape.
    pub fn cost(&self, shape: &Shape) -> Cost {
        let rows = shape.rows();
        let million = rows / 1e6;
        let extended = million * shape.extension as f64;
        let dense = shape.lookups + shape.permutation_sets + shape.degree + 2;
        let capacity = (shape.blocks * shape.inner_columns) as f64 * (rows - BLINDING as f64);
        let fill = (shape.cells as f64 / capacity).min(1.0);
        let gates = 9 * shape.blocks * shape.inner_columns + shape.fixed;
        let inputs = shape.lookup_inputs as f64;
        let cpu = self.base
            + self.commitment * shape.commitments as f64
            + self.dense * million * dense as f64 / f64::from(shape.logrows)
            + self.advice * million * shape.advice as f64 * fill / f64::from(shape.logrows)
            + self.gate * extended * gates as f64
            + self.lookup * extended * inputs
            + self.lookup_preparation * million * (inputs + 2.0 * shape.lookups as f64)
            + self.cell * shape.cells as f64 / 1e6
            + POSEIDON_ROWS * shape.hashed_rows as f64 / 1e6
            + if shape.hashes() { POSEIDON_GATES * extended } else { 0.0 };
        let cpu = cpu * self.machine;
        let (pk_bytes, proof_bytes) = (shape.pk_bytes(), shape.proof_bytes());
        let features = features(shape);
        // Selector, two offsets, two lengths, the proof padded to words, the instances.
        let calldata_bytes =
            4 + 4 * 32 + proof_bytes.next_multiple_of(32) + 32 * shape.instances as u64;
        let gas = |osaka: u64| charged(self.hardfork, osaka, calldata_bytes);
        Cost {
            prove_cpu_seconds: cpu,
            prove_seconds: cpu / self.cpus,
            peak_bytes: memory(PROVE_MEMORY, pk_bytes),
            pk_bytes,
            proof_bytes,
            verify_gas: gas(184_000 + 3_690 * proof_bytes / 32 + 990 * shape.instances as u64),
            lean_gas: gas(sum(&LEAN_GAS, &features)),
            code_bytes: sum(&CODE, &features),
            batch_code_bytes: sum(&BATCH_CODE, &features),
            ezkl_code_bytes: ezkl_code(shape),
            calldata_bytes,
            setup_cpu_seconds: SETUP_TIME * cpu,
            setup_peak_bytes: memory(SETUP_MEMORY, pk_bytes),
        }
    }

    /// The gas of a transaction to the lean verifier under each reported fork.
    pub fn forks(&self, shape: &Shape) -> Vec<ForkEstimate> {
        let gas = |hardfork| Self { hardfork, ..self.clone() }.cost(shape).lean_gas;
        Hardfork::REPORTED.map(|hardfork| ForkEstimate { hardfork, gas: gas(hardfork) }).to_vec()
    }

    /// Scales the model to a machine by the CPU and wall-clock seconds of proofs measured on it: the
    /// machine's factor is the geometric mean of measured over predicted, the CPUs follow from the
    /// sums. Single coefficients stay: a handful of proofs does not tell them apart.
    pub fn fit(&self, measured: &[(Shape, f64, f64)]) -> Self {
        let mut model = Self { machine: 1.0, ..self.clone() };
        if !measured.is_empty() {
            let ratio = |(shape, cpu, _): &(Shape, f64, f64)| {
                (cpu.max(1e-6) / model.cost(shape).prove_cpu_seconds).ln()
            };
            let mean = measured.iter().map(ratio).sum::<f64>() / measured.len() as f64;
            model.machine = mean.exp();
            let sum = |part: fn(&(Shape, f64, f64)) -> f64| measured.iter().map(part).sum::<f64>();
            let cpus = sum(|(_, cpu, _)| *cpu) / sum(|(_, _, wall)| wall.max(1e-6));
            // Below 1 under a quota, or where other programs want the CPUs, too.
            model.cpus = cpus.clamp(0.01, available_cpus() as f64);
        }
        model
    }
}

/// The CPUs that this process may use.
pub(super) fn available_cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::{super::shape::tests::settings, *};

    /// The base that examples/credit saves under Amsterdam, and the bytes of an image that bind there:
    /// gas measured on real verifiers, in units of gas.
    #[test]
    fn other_rules_charge_another_base_and_the_bytes() {
        assert_eq!(charged(Hardfork::Osaka, 375_245, 4_708), 375_245);
        assert_eq!(charged(Hardfork::Amsterdam, 375_245, 4_708), 369_245);
        assert_eq!(charged(Hardfork::Amsterdam, 676_918, 28_500), 15_000 + 64 * 28_500);
        let shape = Shape::of(&settings("credit")).expect("a shape");
        let osaka = CostModel::default().cost(&shape);
        let amsterdam =
            CostModel { hardfork: Hardfork::Amsterdam, ..CostModel::default() }.cost(&shape);
        assert_eq!(amsterdam.lean_gas, osaka.lean_gas - 6_000);
        let forks = CostModel::default().forks(&shape).into_iter().map(|fork| fork.gas);
        assert_eq!(forks.collect::<Vec<_>>(), [osaka.lean_gas, amsterdam.lean_gas]);
    }

    /// An image that is hashed costs its pairing under any rules, and a few values are not worth a hash.
    #[test]
    fn hashing_saves_bytes_or_does_not_pay() {
        let image = hashed(676_918, 28_500, 783);
        assert!(image.iter().all(|fork| (450_000..490_000).contains(&fork.gas)), "{image:?}");
        let few = hashed(472_322, 3_332, 3);
        assert!(few[0].gas > 472_322, "{few:?}");
    }

    #[test]
    fn the_machine_factor_is_what_was_measured() {
        let shapes = ["credit", "xgboost"].map(|name| Shape::of(&settings(name)).expect("shape"));
        let model = CostModel::default();
        let slow = shapes.clone().map(|shape| {
            let seconds = 3.0 * model.cost(&shape).prove_cpu_seconds;
            (shape, seconds, seconds)
        });
        let fitted = model.fit(&slow);
        assert!((fitted.machine - 3.0).abs() < 1e-9 && fitted.cpus == 1.0, "{fitted:?}");
        let cost = fitted.cost(&shapes[0]);
        assert!((cost.prove_seconds - slow[0].2).abs() < 1e-9, "{cost:?}");
        assert_eq!(model.fit(&[]), model);
        // More rows never get cheaper.
        let mut larger = settings("credit");
        larger.run_args.logrows += 3;
        let larger = model.cost(&Shape::of(&larger).expect("shape"));
        assert!(larger.prove_cpu_seconds > 2.0 * model.cost(&shapes[0]).prove_cpu_seconds);
    }
}
