//! What a circuit costs, told from its settings alone.
//!
//! The shape of ezkl's circuit (columns, lookup arguments, degree) follows from settings.json; the
//! proof's and the proving key's sizes follow from the shape exactly or nearly so, and the time to
//! prove is a sum of what grows with it. The coefficients were fitted on 60 circuits with k from 8 to
//! 16; on circuits not fitted the median error is 6 % and the largest 14 %.

use crate::artifacts::settings::Settings;
use serde::{Deserialize, Serialize};

/// Rows of a column that blinding takes.
const BLINDING: usize = 6;
/// Rows of a column that a table can't use.
const TABLE_RESERVED: u64 = 8;

/// The structure of a circuit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shape {
    /// log2 of the number of rows.
    pub logrows: u32,
    /// Blocks of columns, one after the other, over which the model's rows are spread.
    pub blocks: usize,
    /// Advice columns.
    pub advice: usize,
    /// Fixed columns: constants, tables and selectors.
    pub fixed: usize,
    /// Columns under the permutation argument.
    pub permuted: usize,
    /// Columns of the permutation's grand product.
    pub permutation_sets: usize,
    /// Lookup arguments.
    pub lookups: usize,
    /// Input expressions of all lookup arguments.
    pub lookup_inputs: usize,
    /// Columns of the tallest table.
    pub table_columns: u64,
    /// The degree of the constraints.
    pub degree: usize,
    /// The extended domain's size over the number of rows.
    pub extension: usize,
    /// Commitments in a proof.
    pub commitments: usize,
    /// Instances of a proof.
    pub instances: usize,
    /// Cells that the model takes.
    pub cells: usize,
    inner_columns: usize,
}

/// The number of blocks for `cells` cells at `per` a block; each block has a row of slack.
fn blocks(cells: usize, per: usize) -> usize {
    let slack = cells / per + 1;
    (cells + slack) / per + 1
}

struct Group {
    table_degree: usize,
    inputs: usize,
    input_degree: usize,
}

impl Shape {
    /// The shape of the circuit that these settings describe; `None` where 2^k has too few rows for
    /// any.
    pub fn of(settings: &Settings) -> Option<Self> {
        let args = &settings.run_args;
        let rows = 1_usize.checked_shl(args.logrows)?;
        let inner = args.num_inner_cols;
        let usable = rows.checked_sub(BLINDING).filter(|usable| *usable > 2)?;
        let height = u128::from((rows as u64).checked_sub(TABLE_RESERVED).filter(|h| *h > 0)?);
        let cells = settings.total_assignments;
        let model_blocks = blocks(cells, usable * inner);
        let (dynamic, shuffle) = (settings.num_dynamic_lookups > 0, settings.num_shuffles > 0);
        let table_cells = settings.total_dynamic_col_size + settings.total_shuffle_col_size;
        let dynamic_blocks = if dynamic || shuffle { blocks(table_cells, usable) } else { 0 };
        let einsum = settings.einsum_params.total_einsum_col_size;
        let einsum_blocks = if einsum > 0 { blocks(einsum, usable * inner) } else { 0 };
        let advice = 3 * model_blocks * inner + 3 * dynamic_blocks + 6 * einsum_blocks * inner;
        let constants = match settings.total_const_size {
            0 => 0,
            count => blocks(count, usable),
        };

        let columns = |(low, high): (i128, i128)| (high.abs_diff(low) / height + 1) as usize;
        let inputs = model_blocks * inner;
        let mut groups = Vec::new();
        let mut tables = 0;
        let mut complex_selectors = 0;
        let mut gate_degree = 3.max(inner + 2);
        let mut table_columns = 0;
        let operations = settings.required_lookups.len();
        if operations > 0 {
            let count = columns(args.lookup_range);
            tables += count * (1 + operations);
            complex_selectors += operations * inputs;
            groups.extend((0..operations * count).map(|_| Group {
                table_degree: 1,
                inputs,
                input_degree: count + 1,
            }));
            if count > 1 {
                gate_degree = gate_degree.max(count + 1);
            }
            table_columns = count;
        }
        for range in &settings.required_range_checks {
            let count = columns(*range);
            tables += count;
            complex_selectors += inputs;
            groups.extend((0..count).map(|_| Group {
                table_degree: 1,
                inputs,
                input_degree: count + 1,
            }));
            if count > 1 {
                gate_degree = gate_degree.max(count + 1);
            }
            table_columns = table_columns.max(count);
        }
        for present in [dynamic, shuffle] {
            if present {
                complex_selectors += dynamic_blocks * (1 + inputs);
                groups.extend((0..dynamic_blocks).map(|_| Group {
                    table_degree: 2,
                    inputs,
                    input_degree: 2,
                }));
            }
        }
        // Inputs share an argument as far as the degree that is there anyway allows.
        let single = groups
            .iter()
            .map(|group| 3.max(group.table_degree + 2) + group.input_degree)
            .max()
            .unwrap_or(0);
        let available = gate_degree.max(single);
        let (mut lookups, mut lookup_inputs, mut required) = (0, 0, 0);
        for group in &groups {
            let room = available.saturating_sub(group.table_degree + 2) / group.input_degree;
            let shared = room.max(1);
            lookups += group.inputs.div_ceil(shared);
            lookup_inputs += group.inputs;
            let together = shared.min(group.inputs);
            let own = group.table_degree + group.input_degree * together + 2;
            required = required.max(own.max(3 + together));
        }
        let degree = 3.max(gate_degree).max(required);
        let extension = (degree - 1).next_power_of_two();
        let permuted = advice + 1 + constants;
        let permutation_sets = permuted.div_ceil(degree - 2);
        let simple_selectors = compressed_selectors(model_blocks, inner, degree);
        let fixed = constants + tables + complex_selectors + simple_selectors;
        let commitments = advice + 2 * lookups + permutation_sets + degree + 2;
        Some(Self {
            logrows: args.logrows,
            blocks: model_blocks,
            advice,
            fixed,
            permuted,
            permutation_sets,
            lookups,
            lookup_inputs,
            table_columns: table_columns as u64,
            degree,
            extension,
            commitments,
            instances: settings.instance_layout().len,
            cells,
            inner_columns: inner,
        })
    }

    fn rows(&self) -> f64 {
        (1_u64 << self.logrows) as f64
    }

    /// The length of a proof in bytes: 64 for each commitment and 32 for each evaluation.
    pub fn proof_bytes(&self) -> u64 {
        let evaluations = self.advice + self.blocks + self.fixed + self.permuted;
        let evaluations = evaluations + 3 * self.permutation_sets + 3 * self.lookups;
        (64 * self.commitments + 32 * evaluations) as u64
    }

    /// The length of the proving key in bytes, within 2 %.
    pub fn pk_bytes(&self) -> u64 {
        let columns = (self.fixed + self.permuted) * (2 + self.extension) + 3 * self.extension;
        (32.0 * self.rows()) as u64 * columns as u64
    }
}

/// The number of fixed columns into which the selectors of the gates fit: two share one unless some
/// row may use both, as far as the degree allows. In the order in which ezkl makes them.
fn compressed_selectors(blocks: usize, inner: usize, degree: usize) -> usize {
    #[derive(Clone, Copy)]
    struct Selector {
        block: usize,
        /// The inner column, or `None` for a selector over the whole block.
        column: Option<usize>,
        degree: usize,
        /// ezkl makes it, but no row of a model uses it.
        unused: bool,
    }
    let mut selectors = Vec::new();
    for block in 0..blocks {
        for column in 0..inner {
            selectors.extend([2, 2, 3].map(|degree| Selector {
                block,
                column: Some(column),
                degree,
                unused: false,
            }));
        }
    }
    for block in 0..blocks {
        let dot = [(3, false), (3, false)];
        let others = [(inner + 2, true), (inner + 1, true), (2, true), (2, true)];
        selectors.extend(dot.into_iter().chain(others).map(|(degree, unused)| Selector {
            block,
            column: None,
            degree,
            unused,
        }));
    }
    let conflict = |a: &Selector, b: &Selector| {
        let columns = matches!((a.column, b.column), (Some(a), Some(b)) if a != b);
        !a.unused && !b.unused && (a.block != b.block || columns)
    };
    let mut placed = vec![false; selectors.len()];
    let mut columns = 0;
    for first in 0..selectors.len() {
        if placed[first] {
            continue;
        }
        columns += 1;
        let mut together = vec![selectors[first]];
        let mut highest = selectors[first].degree - 1;
        for next in first + 1..selectors.len() {
            if highest + together.len() == degree {
                break;
            }
            let candidate = selectors[next];
            if placed[next] || together.iter().any(|other| conflict(&candidate, other)) {
                continue;
            }
            let raised = highest.max(candidate.degree - 1);
            if raised + together.len() + 1 > degree {
                continue;
            }
            highest = raised;
            together.push(candidate);
            placed[next] = true;
        }
    }
    columns
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
            peak_bytes: 25_000_000 + (2.5 * pk_bytes as f64) as u64,
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
    use super::*;
    use std::path::Path;

    pub(crate) fn settings(name: &str) -> Settings {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tune");
        Settings::read(&folder.join(format!("{name}.settings.json"))).expect("settings")
    }

    /// Proof and proving key sizes of ezkl 23.0.5 for these very settings.
    #[test]
    fn sizes_are_those_of_real_circuits() {
        for (name, proof, pk) in [
            ("credit", 3136, 4_526_691),
            ("decision_tree", 2976, 14_685_451),
            ("random_forest", 2976, 14_685_451),
            ("xgboost", 3296, 33_302_035),
            ("relu", 3072, 2_165_515),
            ("sigmoid", 2272, 7_082_411),
        ] {
            let shape = Shape::of(&settings(name)).expect("a shape");
            assert_eq!(shape.proof_bytes(), proof, "{name}: {shape:?}");
            let off = shape.pk_bytes() as f64 / f64::from(pk);
            assert!((0.98..1.02).contains(&off), "{name}: pk off by {off}");
        }
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

    #[test]
    fn too_few_rows_have_no_shape() {
        let mut small = settings("credit");
        small.run_args.logrows = 3;
        assert_eq!(Shape::of(&small), None);
    }
}
