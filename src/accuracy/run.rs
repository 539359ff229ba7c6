//! Runs the comparison.

use super::{
    FloatModel, Observation, float_model, forward, html, observations, png,
    report::{AccuracyReport, CircuitReport, CircuitRun, FloatRun, LookupUse},
};
use crate::{
    artifacts::{self, settings::Settings},
    engine::{self, EnginePool},
};
use std::{path::PathBuf, sync::Arc, time::Instant};

/// The comparison could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The float model.
    #[error(transparent)]
    Model(#[from] float_model::Error),
    /// The observations.
    #[error(transparent)]
    Observations(#[from] observations::Error),
    /// A settings file.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// ezkl.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// An observation that the float model can't take.
    #[error("observation {observation}: {source}")]
    Observation {
        /// Which, from 0.
        observation: usize,
        /// What the float model said.
        #[source]
        source: float_model::Error,
    },
    /// The circuit is of another model.
    #[error(
        "{} has outputs of {found:?} elements but the model has {expected:?}; it was made from \
         another model or with other variables", settings.display()
    )]
    OtherModel {
        /// The settings file.
        settings: PathBuf,
        /// The float model's.
        expected: Vec<usize>,
        /// The circuit's.
        found: Vec<usize>,
    },
}

/// A compiled circuit and its settings.
#[derive(Clone, Debug)]
pub struct Circuit {
    /// What to call it in the report.
    pub label: String,
    /// The compiled circuit.
    pub compiled: PathBuf,
    /// Its settings.json.
    pub settings: PathBuf,
}

/// What to compare.
#[derive(Clone, Debug)]
pub struct AccuracyRequest {
    /// The ONNX model.
    pub model: PathBuf,
    /// One file of observations or several.
    pub data: Vec<PathBuf>,
    /// The circuit, and those to set beside it.
    pub circuits: Vec<Circuit>,
    /// How many of the worst observations to show with their inputs.
    pub worst: usize,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The circuit's label, or `float model`.
    pub what: &'a str,
    /// Observations done.
    pub done: usize,
    /// Of so many.
    pub total: usize,
}

/// Observations that one call of the pool gets, so that progress shows.
const BATCH: usize = 64;

/// Compares the circuits with the float model on all observations.
///
/// # Errors
/// Input that can't be read or does not fit the model, and whatever stops ezkl; an observation that
/// a circuit refuses is part of the report instead.
pub async fn run(
    request: &AccuracyRequest,
    pool: &EnginePool,
    progress: impl Fn(Progress<'_>),
) -> Result<AccuracyReport, Error> {
    let circuits = request
        .circuits
        .iter()
        .map(|circuit| Ok((circuit, Settings::read(&circuit.settings)?)))
        .collect::<Result<Vec<_>, artifacts::Error>>()?;
    let variables = circuits
        .first()
        .map(|(_, settings)| settings.run_args.variables.clone())
        .unwrap_or_default();
    let model = FloatModel::load(&request.model, &variables)?;
    let mut all: Vec<Observation> = Vec::new();
    for path in &request.data {
        all.extend(observations::read(path, model.inputs())?);
    }
    let all = Arc::new(all);
    progress(Progress { what: "float model", done: 0, total: all.len() });
    let float = float_run(&model, all.clone()).await?;
    let mut reports = Vec::new();
    for (circuit, settings) in &circuits {
        let started = Instant::now();
        let mut outcomes = Vec::new();
        let mut lookups: Option<(i128, i128)> = None;
        progress(Progress { what: &circuit.label, done: 0, total: all.len() });
        for batch in all.chunks(BATCH * pool.workers()) {
            for answer in forward::forward_all(pool, &circuit.compiled, settings, batch).await? {
                outcomes.push(answer.and_then(|answer| {
                    let (low, high) = answer.lookups;
                    let (min, max) = lookups.unwrap_or((low, high));
                    lookups = Some((min.min(low), max.max(high)));
                    answer.unprovable.map_or(Ok(answer.outputs), Err)
                }));
            }
            progress(Progress { what: &circuit.label, done: outcomes.len(), total: all.len() });
        }
        check_outputs(&circuit.settings, &model, &outcomes)?;
        let args = &settings.run_args;
        let run = CircuitRun {
            label: &circuit.label,
            logrows: args.logrows,
            scales: (args.input_scale.0, args.param_scale.0, args.scale_rebase_multiplier),
            output_scales: &settings.model_output_scales,
            outcomes,
            lookups: lookups.filter(|_| !settings.required_lookups.is_empty()).map(|(min, max)| {
                LookupUse { min, max, low: args.lookup_range.0, high: args.lookup_range.1 }
            }),
            seconds: started.elapsed().as_secs_f64(),
        };
        reports.push(CircuitReport::new(run, &float, &all, request.worst));
    }
    Ok(AccuracyReport {
        model: request.model.clone(),
        observations: all.len(),
        circuits: reports,
        float,
    })
}

/// The float model's answers, computed off the async threads.
pub(crate) async fn float_run(
    model: &FloatModel,
    observations: Arc<Vec<Observation>>,
) -> Result<FloatRun, Error> {
    let model = model.clone();
    let task = tokio::task::spawn_blocking(move || {
        let values = observations
            .iter()
            .enumerate()
            .map(|(observation, inputs)| {
                model.run(inputs).map_err(|source| Error::Observation { observation, source })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(FloatRun { outputs: model.outputs().to_vec(), values })
    });
    task.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

fn check_outputs(
    settings: &std::path::Path,
    model: &FloatModel,
    outcomes: &[Result<Vec<Vec<f64>>, String>],
) -> Result<(), Error> {
    let expected: Vec<_> = model.outputs().iter().map(|output| output.len()).collect();
    let Some(outputs) = outcomes.iter().find_map(|outcome| outcome.as_ref().ok()) else {
        return Ok(());
    };
    let found: Vec<_> = outputs.iter().map(Vec::len).collect();
    if found == expected {
        return Ok(());
    }
    Err(Error::OtherModel { settings: settings.to_owned(), expected, found })
}

impl AccuracyReport {
    /// The report as one HTML file; see [`html::html`].
    ///
    /// # Errors
    /// What the plots' library says.
    pub fn html(&self) -> Result<String, String> {
        html::html(self)
    }

    /// The plots as PNG; see [`png::png`].
    ///
    /// # Errors
    /// What the drawing libraries say.
    pub fn png(&self) -> Result<Vec<u8>, String> {
        png::png(self)
    }
}
