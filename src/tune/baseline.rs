//! ezkl's own `resources` calibration: the circuit to beat.

use super::{
    Error, TuneRequest,
    candidate::{Candidate, Errors},
    lab::{Lab, hides_outputs, with_outputs},
    sample::Sample,
    shape::Shape,
};
use crate::{
    accuracy::{Observation, forward::input_json},
    artifacts::{run_args::RunArgs, settings::Settings},
    engine::{self, CalibrateRequest},
    files,
};
use std::time::Duration;

/// Observations that ezkl's calibration gets: it runs each of them at every scale.
const CALIBRATE_WITH: usize = 8;
/// A calibration of the affordable size takes seconds; beyond this, and the budget, it hangs.
const HANGS_AFTER: Duration = Duration::from_secs(120);

/// ezkl's calibration, with its error on the sample.
#[derive(Debug)]
pub(super) struct Baseline {
    pub(super) settings: Settings,
    pub(super) candidate: Candidate,
}

/// Trials of a calibration: scales and multipliers, each on every observation.
const TRIALS: usize = 20;

/// Calibrates from ezkl's own defaults and measures the error on the sample. The inner error says why
/// there is no such circuit, which is no reason to have none: it is only what the others are compared
/// with. Left out, too, where it would take most of the budget: that is told from the circuit's
/// size, so that all machines do the same.
pub(super) async fn measure(
    lab: &Lab<'_>,
    request: &TuneRequest,
    data: &[Observation],
    sample: &mut Sample,
    cells: usize,
) -> Result<Result<Baseline, String>, Error> {
    let passes = TRIALS * data.len().min(CALIBRATE_WITH);
    if !lab.budget.affords(passes, cells) {
        return Ok(Err(format!(
            "with {cells} cells it would take most of the budget (`--budget`)"
        )));
    }
    let (settings, candidate) = match calibrate(lab, request, data).await {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(Err("its circuit is larger than any chain takes".to_owned())),
        Err(Error::Engine(error)) if !is_the_machines(&error) => return Ok(Err(error.to_string())),
        Err(error) => return Err(error),
    };
    let Some(error) = error(lab, &settings, sample).await? else {
        return Ok(Err("it has an answer for none of the inputs".to_owned()));
    };
    Ok(Ok(Baseline { settings, candidate: Candidate { error: Some(error), ..candidate } }))
}

/// Whether ezkl can't be run at all.
fn is_the_machines(error: &engine::Error) -> bool {
    matches!(error, engine::Error::File(_) | engine::Error::Environment(_))
}

async fn calibrate(
    lab: &Lab<'_>,
    request: &TuneRequest,
    data: &[Observation],
) -> Result<Option<(Settings, Candidate)>, Error> {
    let (path, file) = (lab.path("baseline.json"), lab.path("data.json"));
    let mut args = baseline_args(&request.run_args);
    if let Some((base, legs)) = request.decomposition {
        (args.decomp_base, args.decomp_legs) = (base, legs);
    }
    let engine = lab.pool.get().await;
    // A calibration that hangs is no end of the search.
    let engine = engine.with_deadline(Some(HANGS_AFTER + request.time.saturating_mul(4)));
    engine.gen_settings(&request.model, &path, &args.to_engine()).await?;
    let every = data.len().div_ceil(CALIBRATE_WITH).max(1);
    let first = Settings::read(&path)?;
    write_concatenated(&file, data.iter().step_by(every), &first)?;
    engine.calibrate(&CalibrateRequest::new(&file, &request.model, &path)).await?;
    let settings = Settings::read(&path)?;
    let Some(shape) = Shape::of(&settings) else { return Ok(None) };
    let cost = request.costs.cost(&shape);
    let candidate = Candidate { run_args: settings.run_args.clone(), cost, error: None };
    Ok(Some((settings, candidate)))
}

/// ezkl's own decomposition and columns, with the caller's visibilities and variables.
pub(crate) fn baseline_args(args: &RunArgs) -> RunArgs {
    RunArgs { decomp_base: 16384, decomp_legs: 2, num_inner_cols: 2, ..args.clone() }
}

/// Observations one after the other, tensor by tensor, as calibration takes them.
fn write_concatenated<'a>(
    path: &std::path::Path,
    observations: impl Iterator<Item = &'a Observation>,
    settings: &Settings,
) -> Result<(), Error> {
    let mut all: Observation = Vec::new();
    for observation in observations {
        all.resize(observation.len(), Vec::new());
        for (tensor, more) in all.iter_mut().zip(observation) {
            tensor.extend(more);
        }
    }
    let json = input_json(&all, settings);
    Ok(files::write_atomic(path, json.to_string().as_bytes())?)
}

/// The error of a circuit on the sample; `None` when it has no answer for any input. Inputs that it
/// has no answer for leave the sample, since nothing can be compared there.
pub(super) async fn error(
    lab: &Lab<'_>,
    settings: &Settings,
    sample: &mut Sample,
) -> Result<Option<Errors>, Error> {
    let seen = match hides_outputs(&settings.run_args) {
        true => lab.settings(&with_outputs(&settings.run_args)).await?,
        false => Some(settings.clone()),
    };
    let Some(settings) = seen else { return Ok(None) };
    let Some(answers) = lab.forward(&settings, &sample.inputs).await? else { return Ok(None) };
    let steps: Vec<_> =
        settings.model_output_scales.iter().map(|scale| 1.0 / scale.multiplier()).collect();
    let (float, circuit): (Vec<_>, Vec<_>) = sample
        .float
        .iter()
        .zip(&answers)
        .filter_map(|(float, answer)| Some((float.clone(), answer.as_ref()?.outputs.clone())))
        .unzip();
    let errors = Errors::of(&float, &circuit, &steps);
    if errors.is_some() {
        let answered: Vec<_> = answers.iter().map(Option::is_some).collect();
        sample.retain(&answered);
    }
    Ok(errors)
}
