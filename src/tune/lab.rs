//! Circuits tried out without keys: settings, compilation, forward passes.

use super::Error;
use crate::{
    accuracy::{
        Observation,
        forward::{Forward, forward_all},
    },
    artifacts::{run_args::RunArgs, settings::Settings},
    engine::{self, EnginePool},
    files::Scratch,
};
use std::{
    cell::Cell,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// A base that holds any value with one leg, for finding out what a model needs.
pub(super) const WIDE_BASE: u64 = 1 << 50;

/// Where the tuner tries circuits.
#[derive(Debug)]
pub(super) struct Lab<'a> {
    pub(super) pool: &'a EnginePool,
    pub(super) model: &'a Path,
    pub(super) folder: Scratch,
    /// When the time is over.
    pub(super) deadline: Instant,
    pub(super) stop: &'a AtomicBool,
    forwards: Cell<usize>,
}

impl<'a> Lab<'a> {
    pub(super) fn new(
        pool: &'a EnginePool,
        model: &'a Path,
        deadline: Instant,
        stop: &'a AtomicBool,
    ) -> Result<Self, Error> {
        Ok(Self { pool, model, folder: Scratch::new()?, deadline, stop, forwards: Cell::new(0) })
    }

    /// A file in the lab's folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whether the time is over or somebody asked to stop.
    pub(super) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || Instant::now() >= self.deadline
    }

    /// Gives up what is under way when somebody asks to stop.
    pub(super) async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let stopped = async {
            while !self.stop.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            result = work => Some(result),
            () = stopped => None,
        }
    }

    /// How many forward passes there were.
    pub(super) fn forwards(&self) -> usize {
        self.forwards.get()
    }

    /// The run args for finding out what a model needs: tables that hold everything.
    pub(super) fn wide(args: &RunArgs) -> RunArgs {
        RunArgs {
            decomp_base: WIDE_BASE,
            decomp_legs: 1,
            logrows: 20,
            lookup_range: (-(1 << 60), 1 << 60),
            ..args.clone()
        }
    }

    /// The settings of a circuit with these run args; `None` where ezkl refuses them.
    pub(super) async fn settings(&self, args: &RunArgs) -> Result<Option<Settings>, Error> {
        let path = self.path("settings.json");
        let engine = self.pool.get().await;
        match engine.gen_settings(self.model, &path, &args.to_engine()).await {
            Ok(()) => Ok(Some(Settings::read(&path)?)),
            Err(error) if refuses(&error) => {
                tracing::debug!("ezkl refuses {args:?}: {error}");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Runs a circuit with these settings on each observation. The inner `None` stands for an
    /// observation that the circuit has no answer for.
    pub(super) async fn forward(
        &self,
        settings: &Settings,
        observations: &[Observation],
    ) -> Result<Option<Vec<Option<Forward>>>, Error> {
        let (path, compiled) = (self.path("forward.json"), self.path("forward.ezkl"));
        settings.write(&path)?;
        let made = {
            let engine = self.pool.get().await;
            engine.compile_circuit(self.model, &path, &compiled).await
        };
        match made {
            Ok(()) => {}
            Err(error) if refuses(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        self.forwards.set(self.forwards.get() + observations.len());
        let answers = forward_all(self.pool, &compiled, settings, observations, |_| {}).await?;
        Ok(Some(answers.into_iter().map(Result::ok).collect()))
    }

    /// As [`forward`](Self::forward) with run args; `None` unless every observation has an answer.
    pub(super) async fn answers(
        &self,
        args: &RunArgs,
        observations: &[Observation],
    ) -> Result<Option<(Settings, Vec<Forward>)>, Error> {
        let Some(settings) = self.settings(args).await? else { return Ok(None) };
        let Some(answers) = self.forward(&settings, observations).await? else { return Ok(None) };
        let answers: Option<Vec<_>> = answers.into_iter().collect();
        Ok(answers.map(|answers| (settings, answers)))
    }
}

/// Whether ezkl said no to what it was asked, rather than something being wrong with it.
fn refuses(error: &engine::Error) -> bool {
    matches!(error, engine::Error::Python { .. } | engine::Error::Panic { .. })
}
