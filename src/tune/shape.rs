//! The structure of ezkl's circuit, told from its settings alone.
//!
//! The columns, lookup arguments and degree follow from settings.json; the proof's and the proving
//! key's sizes follow from them exactly or nearly so. Everything here is arithmetic on numbers that
//! anybody may have written: nothing is allocated by their size, and what no machine could make has
//! no shape.

use crate::{artifacts::settings::Settings, field::TWO_ADICITY};
use serde::Serialize;

/// Rows of a column that blinding takes.
pub(super) const BLINDING: usize = 6;
/// Rows of a column that a table can't use.
pub(super) const TABLE_RESERVED: u64 = 8;

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
    /// Blocks of the columns in which products of matrices are checked by Freivalds' algorithm.
    pub freivalds: usize,
    /// Rows that are filled by hashing, which takes columns of its own.
    pub hashed_rows: usize,
    pub(super) inner_columns: usize,
}

/// More columns of one kind than this have no shape: the proof alone would be longer than the 128 KiB
/// that a transaction may be.
const MAX_COLUMNS: usize = 256;

/// A circuit whose constraints are beyond the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "2^{logrows} rows with constraints of degree {degree} are beyond the field: they need 2^{extended}, and it \
     has room for 2^{TWO_ADICITY}; {}",
    match fits {
        Some(fits) => format!("set `logrows` under [circuit] to {fits} or less"),
        None => "use fewer columns (`num_inner_cols` under [circuit]), a narrower `lookup_range` or a \
                 smaller `decomp_base`"
            .to_owned(),
    }
)]
pub struct BeyondField {
    /// log2 of the rows.
    pub logrows: u32,
    /// The degree of the constraints.
    pub degree: usize,
    /// log2 of the rows of the extended domain.
    pub extended: u32,
    /// The largest k with which the circuit is within the field.
    pub fits: Option<u32>,
}

/// Refuses a circuit that no key can be made for, however large the machine. The degree depends on what the
/// model looks up, so that this is known once there are settings.
///
/// # Errors
/// [`BeyondField`].
pub fn within_field(settings: &Settings) -> Result<(), BeyondField> {
    let Some(shape) = Shape::of_any(settings).filter(|shape| shape.extended() > TWO_ADICITY) else {
        return Ok(());
    };
    let fits = |k: &u32| {
        let mut settings = settings.clone();
        settings.run_args.logrows = *k;
        Shape::of(&settings).is_some()
    };
    Err(BeyondField {
        logrows: shape.logrows,
        degree: shape.degree,
        extended: shape.extended(),
        fits: (1..shape.logrows).rev().find(fits),
    })
}

/// What hashing adds, whatever is hashed. Found with ezkl 23.0.5: sizes of proofs and keys of five
/// circuits, one with two hashes, are exactly those that follow.
const POSEIDON_ADVICE: usize = 3;
const POSEIDON_FIXED: usize = 6;
const POSEIDON_ROTATIONS: usize = 4;
const POSEIDON_DEGREE: usize = 6;
/// What a block of Freivalds' checks adds beside its advice, and a column for each inner one. Exact for
/// three circuits of four; the fourth has a block more than its cells fill.
const FREIVALDS_FIXED: usize = 7;
const FREIVALDS_ROTATIONS: usize = 2;

/// The number of blocks for `cells` cells at `per` a block; each block has a row of slack. `None` for
/// more than a circuit can have.
fn blocks(cells: usize, per: usize) -> Option<usize> {
    let slack = (cells / per).checked_add(1)?;
    let blocks = cells.checked_add(slack)? / per + 1;
    (blocks <= MAX_COLUMNS).then_some(blocks)
}

/// Lookup arguments of one kind.
struct Group {
    count: usize,
    table_degree: usize,
    inputs: usize,
    input_degree: usize,
}

impl Shape {
    /// The shape of the circuit that these settings describe; `None` where 2^k has too few rows for
    /// any, and for what no machine could make.
    pub fn of(settings: &Settings) -> Option<Self> {
        Self::of_any(settings).filter(|shape| shape.extended() <= TWO_ADICITY)
    }

    /// As [`of`](Self::of), within the field or not.
    fn of_any(settings: &Settings) -> Option<Self> {
        let args = &settings.run_args;
        let rows = 1_usize.checked_shl(args.logrows).filter(|_| args.logrows <= TWO_ADICITY)?;
        let inner = args.num_inner_cols;
        let usable = rows.checked_sub(BLINDING).filter(|usable| *usable > 2)?;
        let height = u128::from((rows as u64).checked_sub(TABLE_RESERVED).filter(|h| *h > 0)?);
        let few = |columns: usize| (columns <= MAX_COLUMNS).then_some(columns);
        let cells = settings.total_assignments;
        let per_block = few(inner)?.checked_mul(usable).filter(|per| *per > 0)?;
        let model_blocks = blocks(cells, per_block)?;
        let inputs = few(model_blocks * inner)?;
        let (dynamic, shuffle) = (settings.num_dynamic_lookups > 0, settings.num_shuffles > 0);
        let table_cells =
            settings.total_dynamic_col_size.checked_add(settings.total_shuffle_col_size)?;
        let dynamic_blocks = if dynamic || shuffle { blocks(table_cells, usable)? } else { 0 };
        let einsum = settings.einsum_params.total_einsum_col_size;
        let einsum_blocks = if einsum > 0 { blocks(einsum, per_block)? } else { 0 };
        // All hashes are made in the same columns, one after the other.
        let poseidon = settings.module_sizes.poseidon.0;
        if poseidon > usable {
            return None;
        }
        let hashing = usize::from(poseidon > 0);
        let advice = 3 * inputs
            + 3 * dynamic_blocks
            + 6 * few(einsum_blocks * inner)?
            + POSEIDON_ADVICE * hashing;
        let constants = match settings.total_const_size {
            0 => 0,
            count => blocks(count, usable)?,
        };

        let columns = |(low, high): (i128, i128)| {
            let count = high.abs_diff(low) / height + 1;
            usize::try_from(count).ok().and_then(few)
        };
        let mut groups = Vec::new();
        let mut tables = 0;
        let mut complex_selectors = 0;
        let mut gate_degree = 3.max(inner + 2);
        let mut table_columns = 0;
        let operations = few(settings.required_lookups.len())?;
        if operations > 0 {
            let count = columns(args.lookup_range)?;
            tables += count * (1 + operations);
            complex_selectors += operations * inputs;
            groups.push(Group {
                count: operations * count,
                table_degree: 1,
                inputs,
                input_degree: count + 1,
            });
            if count > 1 {
                gate_degree = gate_degree.max(count + 1);
            }
            table_columns = count;
        }
        for range in &settings.required_range_checks {
            let count = columns(*range)?;
            tables = few(tables + count)?;
            complex_selectors += inputs;
            groups.push(Group { count, table_degree: 1, inputs, input_degree: count + 1 });
            if count > 1 {
                gate_degree = gate_degree.max(count + 1);
            }
            table_columns = table_columns.max(count);
        }
        for present in [dynamic, shuffle] {
            if present {
                complex_selectors += dynamic_blocks * (1 + inputs);
                groups.push(Group {
                    count: dynamic_blocks,
                    table_degree: 2,
                    inputs,
                    input_degree: 2,
                });
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
            lookups += group.count * group.inputs.div_ceil(shared);
            lookup_inputs += group.count * group.inputs;
            let together = shared.min(group.inputs);
            let own = group.table_degree + group.input_degree * together + 2;
            required = required.max(own.max(3 + together));
        }
        let degree = 3.max(gate_degree).max(required).max(POSEIDON_DEGREE * hashing);
        let extension = (degree - 1).next_power_of_two();
        // Two of the hashes' three columns, and two of their constants'.
        let permuted = advice + 1 + constants + hashing;
        let permutation_sets = permuted.div_ceil(degree - 2);
        let simple_selectors = compressed_selectors(model_blocks, inner, degree);
        let fixed = constants + tables + complex_selectors + simple_selectors;
        let fixed = fixed + POSEIDON_FIXED * hashing + (FREIVALDS_FIXED + inner) * einsum_blocks;
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
            freivalds: einsum_blocks,
            hashed_rows: poseidon,
            inner_columns: inner,
        })
    }

    /// Whether something is hashed.
    pub fn hashes(&self) -> bool {
        self.hashed_rows > 0
    }

    /// log2 of the rows of the extended domain.
    fn extended(&self) -> u32 {
        self.logrows + self.extension.trailing_zeros()
    }

    pub(super) fn rows(&self) -> f64 {
        (1_u64 << self.logrows) as f64
    }

    /// The length of a proof in bytes: 64 for each commitment and 32 for each evaluation.
    pub fn proof_bytes(&self) -> u64 {
        let evaluations = self.advice + self.blocks + self.fixed + self.permuted;
        let evaluations = evaluations
            + POSEIDON_ROTATIONS * usize::from(self.hashes())
            + FREIVALDS_ROTATIONS * self.freivalds;
        let evaluations = evaluations + 3 * self.permutation_sets + 3 * self.lookups;
        (64 * self.commitments + 32 * evaluations) as u64
    }

    /// The length of the proving key in bytes, within 2 %.
    pub fn pk_bytes(&self) -> u64 {
        let columns = (self.fixed + self.permuted) * (2 + self.extension) + 3 * self.extension;
        (32_u64 << self.logrows).saturating_mul(columns as u64)
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    pub(in crate::tune) fn settings(name: &str) -> Settings {
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
    fn too_few_rows_have_no_shape() {
        let mut small = settings("credit");
        small.run_args.logrows = 3;
        assert_eq!(Shape::of(&small), None);
    }

    /// The most address space that this process ever had, in kilobytes: what is reserved and never
    /// touched counts, too.
    #[cfg(target_os = "linux")]
    fn peak_kilobytes() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("status");
        let line = status.lines().find(|line| line.starts_with("VmPeak:")).expect("VmPeak");
        line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
    }

    /// iris_softmax's candidates looked values up over 2^50 and more at k = 6: 26 GB were reserved.
    #[test]
    fn a_range_beyond_any_table_is_refused_by_arithmetic() {
        let mut huge = settings("sigmoid");
        huge.run_args.logrows = 6;
        huge.run_args.lookup_range = (-(1 << 60), 1 << 60);
        assert_eq!(Shape::of(&huge), None);
        // As far as the extended domain still is in the field.
        huge.run_args.logrows = 20;
        huge.run_args.lookup_range = (0, 40 << 20);
        assert!(Shape::of(&huge).is_some_and(|shape| shape.table_columns == 41));
        huge.run_args.logrows = 24;
        huge.run_args.lookup_range = (0, 40 << 24);
        assert_eq!(Shape::of(&huge), None, "2^24 rows and an extension of 64 are beyond 2^28");
        let error = within_field(&huge).expect_err("beyond the field");
        assert_eq!((error.logrows, error.extended), (24, 30));
        assert_eq!(error.fits, None, "fewer rows make more columns of such a range: {error}");
        assert!(error.to_string().contains("`lookup_range`"), "{error}");
        let mut wide = settings("credit");
        (wide.run_args.logrows, wide.run_args.num_inner_cols) = (26, 7);
        let error = within_field(&wide).expect_err("a degree of 9 on 2^26 rows");
        assert_eq!((error.degree, error.extended, error.fits), (9, 29, Some(25)));
        wide.run_args.logrows = 25;
        assert_eq!(within_field(&wide), Ok(()));
    }

    fn size() -> impl Strategy<Value = usize> {
        prop_oneof![0_usize..5000, any::<u32>().prop_map(|n| n as usize), Just(usize::MAX)]
    }

    fn bound() -> impl Strategy<Value = i128> {
        prop_oneof![
            -5000_i128..5000,
            any::<i64>().prop_map(i128::from),
            Just(i128::MIN),
            Just(i128::MAX)
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// Whatever the settings say, the answer takes no memory by it, and no arithmetic fails.
        #[test]
        fn hostile_candidates_allocate_nothing(
            logrows in 0_u32..80, inner in size(), cells in size(), constants in size(),
            dynamic in (size(), 0_usize..3), shuffle in (size(), 0_usize..3), einsum in size(),
            lookup in (bound(), bound()), ranges in prop::collection::vec((bound(), bound()), 0..4),
        ) {
            let mut hostile = settings("sigmoid");
            hostile.run_args.logrows = logrows;
            hostile.run_args.num_inner_cols = inner;
            hostile.run_args.lookup_range = lookup;
            hostile.total_assignments = cells;
            hostile.total_const_size = constants;
            (hostile.total_dynamic_col_size, hostile.num_dynamic_lookups) = dynamic;
            (hostile.total_shuffle_col_size, hostile.num_shuffles) = shuffle;
            hostile.einsum_params.total_einsum_col_size = einsum;
            hostile.required_range_checks = ranges;
            #[cfg(target_os = "linux")]
            let before = peak_kilobytes();
            if let Some(shape) = Shape::of(&hostile) {
                let cost = super::super::CostModel::default().cost(&shape);
                prop_assert!(cost.prove_cpu_seconds.is_finite() && cost.pk_bytes > 0);
            }
            #[cfg(target_os = "linux")]
            prop_assert!(peak_kilobytes() - before < 256 << 10, "over 256 MB reserved");
        }
    }
}
