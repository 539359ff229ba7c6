//! What is known before the search: the model's size, ezkl's own calibration, the bound.

use super::{
    BoundFrom, Error, Progress, TuneRequest,
    baseline::{self, Baseline},
    lab::Lab,
    reach::Limit,
    sample::Sample,
    shape::Shape,
};
use crate::{
    accuracy::{ErrorBound, Observation, stats},
    artifacts::run_args::{MAX_LOGROWS, RunArgs},
    field::Scale,
};

/// What a search starts from.
pub(super) struct Prepared {
    /// The cells of the model at a usual scale.
    pub(super) cells: usize,
    /// ezkl's own calibration, or why there is none.
    pub(super) baseline: Result<Baseline, String>,
    /// What ezkl's own calibration takes, or would take.
    pub(super) gas_limit: Option<Limit>,
}

pub(super) async fn prepare(
    lab: &Lab<'_>,
    request: &TuneRequest,
    data: &[Observation],
    sample: &mut Sample,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Prepared, Error> {
    let usual = RunArgs {
        input_scale: Scale(USUAL_SCALE),
        param_scale: Scale(USUAL_SCALE),
        ..baseline::baseline_args(&Lab::wide(&request.run_args))
    };
    let usual = lab.settings(&usual).await?;
    let cells = usual.as_ref().map_or(0, |settings| settings.total_assignments);
    // By the circuit's size, not by the time that a pass takes, which is another one on each machine.
    if cells > 4 * LARGE {
        sample.shrink(2, 1);
    } else if cells > LARGE {
        sample.shrink(6, 1);
    }
    progress(Progress::Baseline);
    let baseline = baseline::measure(lab, request, data, sample, cells).await?;
    let gas_limit = match &baseline {
        Ok(Baseline { candidate, .. }) => {
            Some(Limit { gas: candidate.cost.verify_gas, logrows: candidate.run_args.logrows })
        }
        Err(why) => {
            tracing::info!("no baseline: {why}");
            leave_out_the_unanswered(lab, request, sample).await?;
            // Its columns: all rows in one block, as ezkl's calibration has them.
            let one_block = |k: u32| {
                let mut settings = usual.clone()?;
                settings.run_args.logrows = k;
                settings.run_args.lookup_range = (-32768, 32768);
                let shape = Shape::of(&settings).filter(|shape| shape.blocks == 1)?;
                Some(Limit { gas: request.costs.cost(&shape).verify_gas, logrows: k })
            };
            (15..=MAX_LOGROWS).find_map(one_block)
        }
    };
    Ok(Prepared { cells, baseline, gas_limit })
}

/// A scale that most models come near to.
const USUAL_SCALE: i32 = 10;
/// Cells of a model whose forward pass takes long: fewer inputs are tried.
const LARGE: usize = 400_000;

/// Drawn inputs may lie where a circuit has no answer (a division by zero, say), and then none is found.
async fn leave_out_the_unanswered(
    lab: &Lab<'_>,
    request: &TuneRequest,
    sample: &mut Sample,
) -> Result<(), Error> {
    let args = RunArgs {
        input_scale: Scale(USUAL_SCALE),
        param_scale: Scale(USUAL_SCALE),
        ..Lab::wide(&request.run_args)
    };
    let Some(settings) = lab.settings(&args).await? else { return Ok(()) };
    let Some(answers) = lab.forward(&settings, &sample.inputs).await? else { return Ok(()) };
    let observations = sample.observations;
    let keep: Vec<_> = answers
        .iter()
        .enumerate()
        .map(|(number, answer)| number < observations || answer.is_some())
        .collect();
    sample.retain(&keep);
    Ok(())
}

/// The bound to keep to, and where it is from.
pub(super) fn bound(
    request: &TuneRequest,
    baseline: &Result<Baseline, String>,
    sample: &Sample,
) -> (ErrorBound, BoundFrom) {
    let of_baseline = baseline.as_ref().ok().and_then(|baseline| baseline.candidate.error);
    match (request.max_error, of_baseline) {
        (Some(bound), _) => (bound, BoundFrom::Caller),
        (None, Some(error)) => {
            (ErrorBound::absolute(error.max * (1.0 + 1e-7)), BoundFrom::Baseline)
        }
        // Where all outputs are 0 any circuit that says so will do.
        (None, None) => {
            let bound = stats::default_bound(&sample.float);
            (bound.unwrap_or(ErrorBound::absolute(0.0)), BoundFrom::OutputRange)
        }
    }
}
