//! Runs the comparison.

use super::{
    FloatModel, Observation,
    answers::{Circuit, Run},
    error::Error,
    html, notes, observations, png,
    report::{AccuracyReport, FloatRun},
};
use crate::{
    artifacts::{self, settings::Settings},
    engine::EnginePool,
    prepare::Original,
    task::blocking,
};
use std::{path::PathBuf, sync::Arc, time::Instant};

/// What to compare.
#[derive(Clone, Debug)]
pub struct AccuracyRequest {
    /// The ONNX model.
    pub original: Original,
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
    let model = request.original.float_model(&variables).await?;
    let mut all: Vec<Observation> = Vec::new();
    for path in &request.data {
        all.extend(observations::read(path, model.slots())?);
    }
    let all = Arc::new(all);
    let total = all.len();
    progress(Progress { what: "float model", done: 0, total });
    // The float model runs on while the workers are at the circuits.
    let float = float_run(&model, all.clone());
    let answers = async {
        let mut answers = Vec::new();
        for (circuit, settings) in &circuits {
            let started = Instant::now();
            let done = |done| progress(Progress { what: &circuit.label, done, total });
            done(0);
            let run = Run { pool, original: &request.original, circuit, settings, all: &all };
            answers.push((run.answers(done).await?, started.elapsed()));
        }
        Ok::<_, Error>(answers)
    };
    let (float, answers) = tokio::try_join!(float, answers)?;
    let mut reports = Vec::new();
    for ((circuit, settings), (mut answers, mut elapsed)) in circuits.iter().zip(answers) {
        let started = Instant::now();
        let run = Run { pool, original: &request.original, circuit, settings, all: &all };
        let mut report = run.report(&answers, &float, request.worst);
        check_outputs(&circuit.settings, &model, &report.values)?;
        if answers.batched && !run.holds(&report).await? {
            let done = |done| progress(Progress { what: &circuit.label, done, total });
            answers = run.one_by_one(done).await?;
            report = run.report(&answers, &float, request.worst);
        }
        elapsed += started.elapsed();
        report.seconds = elapsed.as_secs_f64();
        reports.push(report);
    }
    Ok(AccuracyReport {
        model: request.original.path().to_owned(),
        observations: all.len(),
        notes: notes::notes(&float, &all),
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
    blocking(move || {
        let values = observations
            .iter()
            .enumerate()
            .map(|(observation, inputs)| {
                model.run(inputs).map_err(|source| Error::Observation { observation, source })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(FloatRun { outputs: model.outputs().to_vec(), values })
    })
    .await
}

fn check_outputs(
    settings: &std::path::Path,
    model: &FloatModel,
    values: &[Option<Vec<Vec<f64>>>],
) -> Result<(), Error> {
    let expected: Vec<_> = model.outputs().iter().map(|output| output.len()).collect();
    let Some(outputs) = values.iter().flatten().next() else { return Ok(()) };
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
