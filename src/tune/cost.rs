//! What a circuit costs, told from its [`Shape`].
//!
//! The time to prove is a sum of what grows with the shape. The coefficients were fitted on 60 circuits
//! with k from 8 to 16; on circuits not fitted the median error is 6 % and the largest 14 %.

use super::shape::{BLINDING, Shape};
use serde::{Deserialize, Serialize};

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
        }
    }
}

/// What a circuit is expected to cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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
            + self.cell * shape.cells as f64 / 1e6;
        let cpu = cpu * self.machine;
        let (pk_bytes, proof_bytes) = (shape.pk_bytes(), shape.proof_bytes());
        Cost {
            prove_cpu_seconds: cpu,
            prove_seconds: cpu / self.cpus,
            peak_bytes: pk_bytes.saturating_mul(5) / 2 + 25_000_000,
            pk_bytes,
            proof_bytes,
            verify_gas: 184_000 + 3_690 * proof_bytes / 32 + 990 * shape.instances as u64,
        }
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
