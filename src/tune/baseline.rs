//! ezkl's own `resources` calibration: the circuit to beat.

use super::{
    Error, TuneRequest,
    candidate::{Candidate, Errors},
    lab::Lab,
    sample::Sample,
    shape::Shape,
};
use crate::{
    accuracy::{Observation, forward::input_json},
    artifacts::{run_args::RunArgs, settings::Settings},
    engine::CalibrateRequest,
    files,
};
use std::time::{Duration, Instant};

/// Observations that ezkl's calibration gets: it runs each of them at every scale.
const CALIBRATE_WITH: usize = 8;

/// Calibrates from ezkl's own defaults.
pub(super) async fn calibrate(
    lab: &Lab<'_>,
    request: &TuneRequest,
    data: &[Observation],
) -> Result<(Settings, Candidate), Error> {
    let (path, file) = (lab.path("baseline.json"), lab.path("data.json"));
    let args = baseline_args(&request.run_args);
    let engine = lab.pool.get().await;
    engine.gen_settings(&request.model, &path, &args.to_engine()).await?;
    let every = data.len().div_ceil(CALIBRATE_WITH).max(1);
    let first = Settings::read(&path)?;
    write_concatenated(&file, data.iter().step_by(every), &first)?;
    engine.calibrate(&CalibrateRequest::new(&file, &request.model, &path)).await?;
    let settings = Settings::read(&path)?;
    let cost = Shape::of(&settings).map(|shape| request.costs.cost(&shape));
    let cost = cost.ok_or(Error::NoBaseline)?;
    let candidate = Candidate { run_args: settings.run_args.clone(), cost, error: None };
    Ok((settings, candidate))
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

/// A model whose forward pass takes longer than this gets fewer inputs.
const SLOW_FORWARD: Duration = Duration::from_millis(400);

/// The error of ezkl's calibration on the sample; `None` when it has no answer for any input.
/// Inputs that it has no answer for leave the sample, since nothing can be compared there.
pub(super) async fn error(
    lab: &Lab<'_>,
    settings: &Settings,
    sample: &mut Sample,
) -> Result<Option<Errors>, Error> {
    let started = Instant::now();
    let first = lab.forward(settings, &sample.inputs[..1]).await?;
    if first.is_some() && started.elapsed() > SLOW_FORWARD {
        sample.shrink(6, 1);
    }
    if started.elapsed() > 4 * SLOW_FORWARD {
        sample.shrink(2, 1);
    }
    let Some(answers) = lab.forward(settings, &sample.inputs).await? else { return Ok(None) };
    let steps: Vec<_> =
        settings.model_output_scales.iter().map(|scale| 1.0 / scale.multiplier()).collect();
    let (float, circuit): (Vec<_>, Vec<_>) = sample
        .float
        .iter()
        .zip(&answers)
        .filter_map(|(float, answer)| Some((float.clone(), answer.as_ref()?.outputs.clone())))
        .unzip();
    let mut answered = answers.iter().map(Option::is_some);
    sample.inputs.retain(|_| answered.next().unwrap_or(false));
    sample.few = sample.few.min(float.len());
    let errors = Errors::of(&float, &circuit, &steps);
    if errors.is_some() {
        sample.float = float;
    }
    Ok(errors)
}
