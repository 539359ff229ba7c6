//! The search: scales that are accurate enough, the range that values need, and the cheapest circuit
//! for both.

use super::{
    Error, Progress,
    candidate::{Candidate, Errors},
    cost::CostModel,
    deploy::{ChainLimits, Excess},
    lab::{Lab, WIDE_BASE, WIDE_LEGS},
    sample::Sample,
    shape::Shape,
};
use crate::{
    accuracy::{ErrorBound, Observation, TensorInfo},
    artifacts::{run_args::RunArgs, settings::Settings},
    field::Scale,
};
use std::ops::RangeInclusive;

/// Scales that are tried.
pub(super) const SCALES: RangeInclusive<i32> = 4..=16;
/// Multipliers at which intermediate values are brought back to the scale; 2 is best for most, and large
/// networks take the fewest rows with 4.
const MULTIPLIERS: [u32; 4] = [2, 1, 3, 4];
/// Hardly ever brings one back: the most accurate, and the dearest.
const LAST_MULTIPLIER: u32 = 10;
/// Passes of a search through to its end, more or less. A circuit of which the budget does not
/// allow so many gets the cheapest sound settings first.
const PASSES: usize = 300;
/// Scales that are tried for a circuit at once.
const AT_ONCE: [i32; 3] = [7, 10, 13];
/// Multipliers that are tried for it: bringing values back is most of a large network's rows, but without it
/// they may grow too large.
const MULTIPLIERS_AT_ONCE: [u32; 3] = [4, 2, 1];
/// The range of values for a circuit at once: more than ezkl's own 2^28.
pub(super) const RANGE_AT_ONCE: f64 = (1_u64 << 30) as f64;
/// Inner columns: 4 or more double the extended domain.
const INNER_COLUMNS: RangeInclusive<usize> = 1..=3;
const COLUMNS_AT_ONCE: RangeInclusive<usize> = 1..=2;
/// Rows of a column that a table can't use.
const TABLE_RESERVED: u64 = 8;
/// The tallest range check table.
const MAX_BASE: u64 = 1 << 16;
/// Decompositions hold at most this, far below the field's size.
const MAX_RANGE: f64 = (1_u64 << 63) as f64 * 2.0;
const MIN_LOGROWS: u32 = 6;

/// What the search must keep to.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) bound: ErrorBound,
    pub(super) range_margin: f64,
    pub(super) lookup_margin: f64,
    pub(super) max_logrows: u32,
    /// Scales below which a model that decides between branches isn't taken.
    pub(super) min_scales: Option<(i32, i32)>,
    /// The scales and the multiplier of ezkl's own calibration, whose error is the bound unless one is set.
    pub(super) known: Option<(i32, i32, u32)>,
    /// Bytes of memory.
    pub(super) max_memory: u64,
    /// The range that values must have in any case: the caller's own decomposition.
    pub(super) least_range: f64,
    /// What a chain takes, unless the circuit need not be deployed.
    pub(super) chain: Option<ChainLimits>,
}

/// What the search has found so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) candidates: Vec<Candidate>,
    /// The smallest error that was reached, whether or not within the bound, and how.
    pub(super) closest: Option<(f64, RunArgs)>,
    /// The least memory that a circuit within the error bound takes.
    pub(super) least_memory: Option<u64>,
    /// What speaks against deploying the circuit that is nearest to deployable.
    pub(super) excess: Option<Excess>,
    /// Whether some set of scales had an answer for the inputs, however far off.
    pub(super) answered: bool,
    /// What each accepted set of scales needs: see [`Need`].
    pub(super) needs: Vec<Need>,
    /// Whether the search ended by itself.
    pub(super) complete: bool,
}

/// The range that a set of scales needs on the sample.
#[derive(Clone, Debug)]
pub(super) struct Need {
    pub(super) scales: (i32, i32, u32),
    /// The least base^legs with which every input has an answer, within 2^(1/8).
    pub(super) range: f64,
}

/// A set of scales with what was measured with it.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) args: RunArgs,
    pub(super) error: Errors,
    pub(super) lookups: (i128, i128),
    pub(super) settings: Settings,
}

pub(super) struct Search<'a> {
    pub(super) lab: &'a Lab<'a>,
    pub(super) sample: &'a Sample,
    pub(super) inputs: &'a [TensorInfo],
    pub(super) base: &'a RunArgs,
    pub(super) limits: &'a Limits,
    pub(super) costs: &'a CostModel,
    /// Cells that the model takes, more or less.
    pub(super) cells: usize,
    pub(super) progress: &'a (dyn Fn(Progress) + Send + Sync),
}

impl Search<'_> {
    /// Fills `found`, as far as the time allows.
    pub(super) async fn run(&self, found: &mut Found) -> Result<(), Error> {
        if !self.lab.budget.affords(PASSES, self.cells) {
            self.at_once(found).await?;
            if self.lab.is_over() {
                return Ok(());
            }
        }
        let mut seen: Vec<(usize, i32, Vec<Scale>)> = Vec::new();
        for multiplier in MULTIPLIERS.into_iter().chain([LAST_MULTIPLIER]) {
            if multiplier == LAST_MULTIPLIER {
                self.known(found).await?;
                if !found.candidates.is_empty() || self.lab.is_over() {
                    break;
                }
            }
            (self.progress)(Progress::Scales { multiplier });
            let Some(scale) = self.least_scale(multiplier, found).await? else {
                if self.lab.is_over() {
                    return Ok(());
                }
                // Values are smallest with multiplier 1: what has no answer there has none at all.
                if multiplier == 1 && !found.answered {
                    break;
                }
                continue;
            };
            let mut points = Vec::new();
            if let Some(point) = self.point(scale, scale, multiplier, true, found).await? {
                // A larger multiplier often changes nothing.
                let key = (
                    point.settings.total_assignments,
                    scale,
                    point.settings.model_output_scales.clone(),
                );
                if seen.contains(&key) {
                    continue;
                }
                seen.push(key);
                let looks_up = !point.settings.required_lookups.is_empty();
                points.push(point);
                // One lower scale alone makes tables smaller; without tables it saves nothing.
                if looks_up {
                    points.extend(self.lowered(scale, multiplier, true, found).await?);
                    points.extend(self.lowered(scale, multiplier, false, found).await?);
                }
            }
            for point in points {
                self.enumerate(&point, found).await?;
                if self.lab.is_over() {
                    return Ok(());
                }
            }
        }
        found.complete = !self.lab.is_over();
        Ok(())
    }

    /// The scales of ezkl's own calibration, with decompositions of ours. An error need not fall as a scale
    /// rises (a tree's jumps where a threshold is rounded past an input), and there it keeps the bound.
    async fn known(&self, found: &mut Found) -> Result<(), Error> {
        let Some(scales) = self.limits.known else { return Ok(()) };
        let (input, param, multiplier) = scales;
        if found.needs.iter().any(|need| need.scales == scales) || self.lab.is_over() {
            return Ok(());
        }
        if let Some(point) = self.point(input, param, multiplier, true, found).await? {
            self.enumerate(&point, found).await?;
        }
        Ok(())
    }

    /// The cheapest circuit of a few scales, without a search for the range that it needs: two or three
    /// passes for each scale.
    async fn at_once(&self, found: &mut Found) -> Result<(), Error> {
        (self.progress)(Progress::AtOnce);
        for scale in AT_ONCE.into_iter().filter(|scale| self.allowed(*scale, *scale)) {
            for multiplier in MULTIPLIERS_AT_ONCE {
                if let Some(point) = self.point(scale, scale, multiplier, true, found).await?
                    && let Some(range) = self.range_at_once(&point.args).await?
                {
                    // The range has its margin in it.
                    let range = range / self.limits.range_margin;
                    self.circuits(&point, range, COLUMNS_AT_ONCE, found).await?;
                    // With tables a smaller one may be far better: they grow with the values.
                    if !found.candidates.is_empty() && point.settings.required_lookups.is_empty() {
                        return Ok(());
                    }
                }
                if self.lab.is_over() {
                    return Ok(());
                }
            }
            if !found.candidates.is_empty() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// [`RANGE_AT_ONCE`], or more where the inputs need it.
    async fn range_at_once(&self, args: &RunArgs) -> Result<Option<f64>, Error> {
        let inputs: Vec<_> =
            self.sample.inputs.iter().chain(&self.sample.corners).cloned().collect();
        let mut range = RANGE_AT_ONCE;
        while range < (WIDE_BASE as f64).powi(WIDE_LEGS as i32) {
            if self.lab.answers(&with_range(args, range), &inputs).await?.is_some() {
                return Ok(Some(range));
            }
            range *= 1024.0;
        }
        Ok(None)
    }

    /// The least base^legs with which every input has an answer, to within an eighth of a bit.
    async fn range_needed(&self, args: &RunArgs) -> Result<Option<f64>, Error> {
        let few = &self.sample.inputs[..self.sample.few];
        let holds = async |range: f64, inputs: &[Observation]| -> Result<bool, Error> {
            Ok(self.lab.answers(&with_range(args, range), inputs).await?.is_some())
        };
        let (mut low, mut high) = (1.0_f64, f64::from(WIDE_LEGS) * (WIDE_BASE as f64).log2());
        while high - low > 1.0 {
            if self.lab.is_over() {
                return Ok(None);
            }
            let middle = ((low + high) / 2.0).floor();
            if holds(middle.exp2(), few).await? { high = middle } else { low = middle }
        }
        while high < 50.0 && !holds(high.exp2(), &self.sample.inputs).await? {
            high += 1.0;
        }
        if !self.sample.corners.is_empty() {
            while high < 50.0 && !holds(high.exp2(), &self.sample.corners).await? {
                high += 1.0;
            }
        }
        Ok(Some(high.exp2()))
    }

    /// Adds every sensible circuit with a point's scales.
    async fn enumerate(&self, point: &Point, found: &mut Found) -> Result<(), Error> {
        let args = &point.args;
        let scales = (args.input_scale.0, args.param_scale.0, args.scale_rebase_multiplier);
        (self.progress)(Progress::Range { scales });
        let Some(range) = self.range_needed(args).await? else { return Ok(()) };
        found.needs.push(Need { scales, range });
        self.circuits(point, range, INNER_COLUMNS, found).await
    }

    /// Adds every sensible circuit with a point's scales that holds values of a range.
    async fn circuits(
        &self,
        point: &Point,
        range: f64,
        columns: RangeInclusive<usize>,
        found: &mut Found,
    ) -> Result<(), Error> {
        let args = &point.args;
        // At most what a decomposition may hold, but never less than twice what is needed.
        let wanted = (range * self.limits.range_margin).min(MAX_RANGE / 2.0).max(range * 2.0);
        let wanted = wanted.max(self.limits.least_range);
        let freivalds = point.settings.einsum_params.total_einsum_col_size > 0;
        for disable_freivalds in [false, true] {
            if disable_freivalds && !freivalds {
                break;
            }
            for legs in 1..=8_u32 {
                // Some operations need two; one input shows it.
                if legs == 1 && !self.works_with_one_leg(args).await? {
                    continue;
                }
                let leg = wanted.powf(1.0 / f64::from(legs)).ceil() as u64;
                // With the smallest table there is, a leg fewer would do as well.
                let fewer = (legs > 1)
                    .then(|| wanted.powf(1.0 / f64::from(legs - 1)).ceil() as u64)
                    .filter(|fewer| *fewer <= table(MIN_LOGROWS));
                if fewer.is_some() || leg > table(self.limits.max_logrows).min(MAX_BASE) {
                    continue;
                }
                for columns in columns.clone() {
                    if self.lab.is_over() {
                        return Ok(());
                    }
                    let args = RunArgs {
                        decomp_base: leg.max(4),
                        decomp_legs: legs,
                        num_inner_cols: columns,
                        logrows: 20,
                        lookup_range: point.lookups,
                        disable_freivalds: disable_freivalds || self.base.disable_freivalds,
                        ..args.clone()
                    };
                    if let Some(settings) = self.lab.settings(&args).await? {
                        self.heights(&settings, wanted, &point.error, found);
                    }
                }
            }
        }
        // Not before: the first circuits of a point are those of many rows.
        if !found.candidates.is_empty() {
            self.lab.budget.found_one();
        }
        (self.progress)(Progress::Candidates { count: found.candidates.len() });
        Ok(())
    }

    async fn works_with_one_leg(&self, args: &RunArgs) -> Result<bool, Error> {
        let base = WIDE_BASE.pow(WIDE_LEGS);
        let args = RunArgs { decomp_base: base, decomp_legs: 1, ..args.clone() };
        Ok(self.lab.answers(&args, &self.sample.inputs[..1]).await?.is_some())
    }

    /// Adds a circuit for each k. What gen-settings found does not depend on k but for the base,
    /// which is as large as the table can be.
    fn heights(&self, settings: &Settings, wanted: f64, error: &Errors, found: &mut Found) {
        let args = &settings.run_args;
        for logrows in MIN_LOGROWS..=self.limits.max_logrows {
            let base = table(logrows).min(MAX_BASE);
            let holds = |legs: u32| (base as f64).powi(legs as i32);
            let spare = args.decomp_legs > 1 && holds(args.decomp_legs - 1) >= wanted;
            if base < args.decomp_base || spare || holds(args.decomp_legs) > MAX_RANGE {
                continue;
            }
            let mut at = settings.clone();
            at.run_args.logrows = logrows;
            at.run_args.decomp_base = base;
            for range in &mut at.required_range_checks {
                if range.1 == i128::from(args.decomp_base) - 1 {
                    range.1 = i128::from(base) - 1;
                }
            }
            let Some(shape) = Shape::of(&at) else { continue };
            let rows = (1_u64 << logrows) - TABLE_RESERVED;
            if shape.instances as u64 > rows || shape.table_columns > 4 || shape.extension > 16 {
                continue;
            }
            let cost = self.costs.cost(&shape);
            if let Some(excess) = self.limits.chain.and_then(|chain| chain.excess(&cost)) {
                let least = found.excess.map_or(f64::INFINITY, |least| least.factor());
                found.excess = if excess.factor() < least { Some(excess) } else { found.excess };
                continue;
            }
            found.least_memory =
                Some(found.least_memory.map_or(cost.peak_bytes, |m| m.min(cost.peak_bytes)));
            if cost.peak_bytes <= self.limits.max_memory {
                let candidate = Candidate { run_args: at.run_args, cost, error: Some(*error) };
                found.candidates.push(candidate);
            }
        }
    }
}

/// The same with decompositions that hold a range, and hardly more.
fn with_range(args: &RunArgs, range: f64) -> RunArgs {
    let base = range.powf(1.0 / f64::from(WIDE_LEGS)).ceil().max(2.0) as u64;
    RunArgs { decomp_base: base, decomp_legs: WIDE_LEGS, ..args.clone() }
}

/// The tallest table that fits into one column.
fn table(logrows: u32) -> u64 {
    (1_u64 << logrows) - TABLE_RESERVED
}
