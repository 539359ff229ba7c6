//! Many observations in one forward pass, which costs far less than one pass for each: most of a
//! pass's time goes into what does not depend on the size of its tensors.
//!
//! A circuit is for one batch size, so another circuit with the same run args takes the batch. It
//! stands in for the first only where its answers are seen to be the same, bit for bit.

use super::{
    Observation,
    forward::{Forward, forward_all},
};
use crate::{
    artifacts::{
        onnx::{Dim, OnnxFile},
        run_args::RunArgs,
        settings::Settings,
    },
    engine::{self, EnginePool},
    prepare::{self, Original},
};
use std::path::{Path, PathBuf};

/// The most observations in a batch: beyond it there is little left to save.
const LARGEST: usize = 64;
/// Fewer aren't worth another circuit.
const SMALLEST: usize = 4;
/// Batches that there should be for each worker, lest one of them waits for the other.
const FOR_EACH_WORKER: usize = 4;
/// Cells of a batch's circuit, which bounds its memory.
const MOST_CELLS: usize = 1 << 20;
/// The tallest circuit, so that gen-settings never runs out of rows.
const LOGROWS: u32 = 20;

/// A circuit that takes several observations at a time.
#[derive(Debug)]
pub(super) struct Batching {
    compiled: PathBuf,
    settings: Settings,
    pub(super) size: usize,
}

impl Batching {
    /// A circuit like that of `settings` for several of `observations`; `None` where the model has
    /// no batch axis or ezkl won't make it.
    pub(super) async fn new(
        pool: &EnginePool,
        original: &Original,
        settings: &Settings,
        observations: usize,
        folder: &Path,
    ) -> engine::Result<Option<Self>> {
        if !original.batch().is_one() {
            return Ok(None);
        }
        let by_cells = MOST_CELLS / settings.total_assignments.max(1);
        let by_count = observations / (FOR_EACH_WORKER * pool.workers());
        let size = LARGEST.min(by_cells).min(by_count);
        let variables = &settings.run_args.variables;
        let axis = axis(original.file(), variables);
        let Some(axis) = axis.filter(|_| size >= SMALLEST) else { return Ok(None) };
        let mut args = RunArgs { logrows: LOGROWS, ..settings.run_args.clone() };
        args.variables[axis].1 = size;
        let (path, compiled) = (folder.join("batch.json"), folder.join("batch.ezkl"));
        let model = folder.join("batch.onnx");
        // A model that takes no batch has its observations run one by one.
        if prepare::to_file(original, &args.variables, None, &model).await.is_err() {
            return Ok(None);
        }
        let model = &model;
        let engine = pool.get().await;
        let made = async {
            engine.gen_settings(model, &path, &args.to_engine()).await?;
            engine.compile_circuit(model, &path, &compiled).await
        };
        match made.await {
            Ok(()) => {}
            Err(engine::Error::Python { .. } | engine::Error::Panic { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
        let Ok(settings) = Settings::read(&path) else { return Ok(None) };
        Ok(Some(Self { compiled, settings, size }))
    }

    /// Runs full batches of observations, the last one filled up. An observation has no answer here
    /// where anything is wrong with its batch. `single` has the original circuit's settings, and
    /// lookups are those of the whole batch.
    pub(super) async fn forward(
        &self,
        pool: &EnginePool,
        single: &Settings,
        observations: &[Observation],
        mut done: impl FnMut(usize),
    ) -> engine::Result<Vec<Option<Forward>>> {
        if self.settings.model_output_scales != single.model_output_scales
            || self.settings.model_input_scales != single.model_input_scales
        {
            return Ok(vec![None; observations.len()]);
        }
        let joined: Vec<Observation> =
            observations.chunks(self.size).map(|chunk| self.join(chunk)).collect();
        let total = observations.len();
        let count = |batches: usize| done((batches * self.size).min(total));
        let answers = forward_all(pool, &self.compiled, single, &joined, count).await?;
        let mut all: Vec<_> = answers
            .into_iter()
            .flat_map(|answer| self.split(answer.ok().filter(|it| it.unprovable.is_none())))
            .collect();
        all.truncate(total);
        Ok(all)
    }

    fn join(&self, observations: &[Observation]) -> Observation {
        let last = observations.iter().rev().take(1).cycle();
        let filled: Vec<_> = observations.iter().chain(last).take(self.size).collect();
        let tensors = filled.first().map_or(0, |one| one.len());
        (0..tensors)
            .map(|tensor| filled.iter().flat_map(|one| one[tensor].iter().copied()).collect())
            .collect()
    }

    /// A batch's answer, observation by observation.
    fn split(&self, batch: Option<Forward>) -> Vec<Option<Forward>> {
        let Some(batch) = batch.filter(|batch| {
            batch.outputs.iter().all(|output| !output.is_empty() && output.len() % self.size == 0)
        }) else {
            return vec![None; self.size];
        };
        let part = |number: usize| {
            let part = |output: &Vec<f64>| {
                let length = output.len() / self.size;
                output[number * length..(number + 1) * length].to_vec()
            };
            batch.outputs.iter().map(part).collect()
        };
        (0..self.size)
            .map(|number| Some(Forward { outputs: part(number), ..batch.clone() }))
            .collect()
    }
}

/// Which of the variables is the batch axis: the first axis of every input and no other, of size 1.
fn axis(file: &OnnxFile, variables: &[(String, usize)]) -> Option<usize> {
    let first = |dims: &Option<Vec<Dim>>| match dims.as_deref() {
        Some([Dim::Symbol(name), rest @ ..])
            if !rest.iter().any(|dim| *dim == Dim::Symbol(name.clone())) =>
        {
            Some(name.clone())
        }
        _ => None,
    };
    let names: Vec<_> =
        file.inputs.iter().map(|input| first(&input.dims)).collect::<Option<_>>()?;
    let name = names.first().filter(|first| names.iter().all(|name| name == *first))?;
    variables.iter().position(|(variable, size)| variable == name && *size == 1)
}
