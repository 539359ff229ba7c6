//! One circuit's answers to all observations.

use super::{
    Observation,
    batch::Batching,
    error::Error,
    forward::{Forward, forward_each},
    report::{CircuitReport, CircuitRun, FloatRun, LookupUse},
};
use crate::{artifacts::settings::Settings, engine::EnginePool, files, prepare::Original};
use std::path::PathBuf;

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

/// Of this many observations one is run by itself, too, beside those with the largest errors.
const SPOT_CHECK: usize = 64;

/// A circuit and what it is to answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    pub(super) pool: &'a EnginePool,
    pub(super) original: &'a Original,
    pub(super) circuit: &'a Circuit,
    pub(super) settings: &'a Settings,
    pub(super) all: &'a [Observation],
}

/// The answers in the observations' order.
#[derive(Debug)]
pub(super) struct Answers {
    all: Vec<Result<Forward, String>>,
    /// Whether some are from a circuit for a batch.
    pub(super) batched: bool,
}

impl Run<'_> {
    /// Answers in batches, where a first one gives the very answers that the circuit itself gives,
    /// else one by one; `done` hears how many there are.
    pub(super) async fn answers(&self, mut done: impl FnMut(usize)) -> Result<Answers, Error> {
        let folder = files::Scratch::new()?;
        let (pool, settings) = (self.pool, self.settings);
        let batch =
            Batching::new(pool, self.original, settings, self.all.len(), folder.path()).await?;
        let Some(batch) = batch else { return self.one_by_one(done).await };
        let (head, tail) = self.all.split_at(batch.size);
        let mut all = self.singly(head.iter(), &mut done).await?;
        let together = batch.forward(pool, settings, head, |_| {}).await?;
        let mut batched = all.iter().zip(&together).all(|(one, other)| {
            one.as_ref().ok().zip(other.as_ref()).is_some_and(|(one, other)| {
                one.unprovable.is_none() && one.outputs == other.outputs
            })
        });
        if !batched {
            let rest = self.singly(tail.iter(), |count| done(head.len() + count)).await?;
            all.extend(rest);
            return Ok(Answers { all, batched });
        }
        let answers = batch.forward(pool, settings, tail, |count| done(head.len() + count)).await?;
        batched = answers.iter().any(Option::is_some);
        // One observation without an answer takes its whole batch along.
        let left = tail.iter().zip(&answers).filter(|(_, answer)| answer.is_none());
        let mut left = self.singly(left.map(|(one, _)| one), |_| {}).await?.into_iter();
        all.extend(answers.into_iter().filter_map(|answer| match answer {
            Some(answer) => Some(Ok(answer)),
            None => left.next(),
        }));
        Ok(Answers { all, batched })
    }

    /// Answers one by one.
    pub(super) async fn one_by_one(&self, done: impl FnMut(usize)) -> Result<Answers, Error> {
        Ok(Answers { all: self.singly(self.all.iter(), done).await?, batched: false })
    }

    async fn singly(
        &self,
        observations: impl Iterator<Item = &Observation>,
        done: impl FnMut(usize),
    ) -> Result<Vec<Result<Forward, String>>, Error> {
        let (compiled, batch) = (&self.circuit.compiled, self.original.batch());
        let all: Vec<_> = observations.collect();
        Ok(forward_each(self.pool, compiled, self.settings, batch, &all, done).await?)
    }

    /// Whether the circuit by itself gives the reported answers to the worst observations and to a
    /// few others.
    pub(super) async fn holds(&self, report: &CircuitReport) -> Result<bool, Error> {
        let spots = (0..self.all.len()).step_by(SPOT_CHECK);
        let numbers: Vec<_> =
            report.worst.iter().map(|worst| worst.observation).chain(spots).collect();
        let checked = self.singly(numbers.iter().map(|number| &self.all[*number]), |_| {}).await?;
        Ok(numbers.iter().zip(checked).all(|(number, answer)| {
            let answer = answer.ok().filter(|answer| answer.unprovable.is_none());
            answer.map(|answer| answer.outputs) == report.values[*number]
        }))
    }

    /// Compares the answers with the float model's.
    pub(super) fn report(
        &self,
        answers: &Answers,
        float: &FloatRun,
        worst: usize,
    ) -> CircuitReport {
        let args = &self.settings.run_args;
        let all = &self.settings.model_output_scales;
        let scales: Vec<_> = (0..all.len())
            .map_while(|output| all.get(self.original.batch().first_output(output)).copied())
            .collect();
        let lookups = answers.all.iter().flatten().map(|answer| answer.lookups);
        let lookups = lookups.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let run = CircuitRun {
            label: &self.circuit.label,
            logrows: args.logrows,
            scales: (args.input_scale.0, args.param_scale.0, args.scale_rebase_multiplier),
            output_scales: &scales,
            outcomes: answers
                .all
                .iter()
                .map(|answer| {
                    let answer = answer.as_ref().map_err(String::clone)?;
                    answer.unprovable.clone().map_or(Ok(answer.outputs.clone()), Err)
                })
                .collect(),
            lookups: lookups.filter(|_| !self.settings.required_lookups.is_empty()).map(
                |(min, max)| LookupUse {
                    min,
                    max,
                    low: args.lookup_range.0,
                    high: args.lookup_range.1,
                },
            ),
        };
        CircuitReport::new(run, float, self.all, worst)
    }
}
