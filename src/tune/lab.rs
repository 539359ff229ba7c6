//! Circuits tried out without keys: settings, compilation, forward passes.

use super::Error;
use crate::{
    accuracy::{
        Observation,
        forward::{Forward, forward_all},
    },
    artifacts::{
        run_args::{RunArgs, Visibility},
        settings::Settings,
    },
    engine::{self, EnginePool},
    files::Scratch,
};
use std::{
    cell::{Cell, RefCell},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// A base that holds any value with [`WIDE_LEGS`], for finding out what a model needs.
pub(super) const WIDE_BASE: u64 = 1 << 25;
/// With one leg ezkl's rounding has no answer.
pub(super) const WIDE_LEGS: u32 = 2;

/// What any operation costs, in cells of a circuit.
const OVERHEAD: u64 = 15_000;
/// The work of a second: cells that a forward pass, or making settings, goes through on two CPUs of a
/// usual machine.
const CELLS_A_SECOND: f64 = 1e6;
/// A slow or busy machine gets so many times the budget, so that it chooses as a fast and idle one does.
const PATIENCE: u32 = 4;

/// How far the search may go. It is counted in work, so that all machines choose alike; the clock only
/// ends what would take far longer than expected. Neither ends a search without a circuit.
#[derive(Debug)]
pub(super) struct Budget {
    cells: u64,
    deadline: Instant,
    spent: Cell<u64>,
    found: Cell<bool>,
}

impl Budget {
    /// What a usual machine does in `time`.
    pub(super) fn new(time: Duration) -> Self {
        let deadline = Instant::now().checked_add(time.saturating_mul(PATIENCE));
        Self {
            cells: (time.as_secs_f64() * CELLS_A_SECOND) as u64,
            deadline: deadline.unwrap_or_else(|| Instant::now() + Duration::from_secs(1 << 30)),
            spent: Cell::new(0),
            found: Cell::new(false),
        }
    }

    /// Counts `times` operations on a circuit of so many cells.
    fn spend(&self, times: usize, cells: usize) {
        let work = (times as u64).saturating_mul(OVERHEAD.saturating_add(cells as u64));
        self.spent.set(self.spent.get().saturating_add(work));
    }

    /// From now on there is something to lose.
    pub(super) fn found_one(&self) {
        self.found.set(true);
    }

    /// Whether `times` operations on a circuit of so many cells are within the whole budget.
    pub(super) fn affords(&self, times: usize, cells: usize) -> bool {
        (times as u64).saturating_mul(OVERHEAD.saturating_add(cells as u64)) <= self.cells
    }

    fn is_spent(&self) -> bool {
        self.found.get() && (self.spent.get() >= self.cells || Instant::now() >= self.deadline)
    }
}

/// Where the tuner tries circuits.
#[derive(Debug)]
pub(super) struct Lab<'a> {
    pub(super) pool: &'a EnginePool,
    pub(super) model: &'a Path,
    pub(super) folder: Scratch,
    pub(super) budget: Budget,
    pub(super) stop: &'a AtomicBool,
    forwards: Cell<usize>,
    refusal: RefCell<Option<String>>,
}

impl<'a> Lab<'a> {
    pub(super) fn new(
        pool: &'a EnginePool,
        model: &'a Path,
        time: Duration,
        stop: &'a AtomicBool,
    ) -> Result<Self, Error> {
        let budget = Budget::new(time);
        let (folder, forwards, refusal) = (Scratch::new()?, Cell::new(0), RefCell::new(None));
        Ok(Self { pool, model, folder, budget, stop, forwards, refusal })
    }

    /// A file in the lab's folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whether the budget is spent or somebody asked to stop.
    pub(super) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.budget.is_spent()
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

    /// Why a circuit had no answer, the last time.
    pub(super) fn refusal(&self) -> Option<String> {
        self.refusal.borrow().clone()
    }

    /// The run args for finding out what a model needs: tables that hold everything.
    pub(super) fn wide(args: &RunArgs) -> RunArgs {
        RunArgs {
            decomp_base: WIDE_BASE,
            decomp_legs: WIDE_LEGS,
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
            Ok(()) => {
                let settings = Settings::read(&path)?;
                self.budget.spend(1, settings.total_assignments);
                Ok(Some(settings))
            }
            Err(error) if refuses(&error) => {
                tracing::debug!("ezkl refuses {args:?}: {error}");
                self.refusal.replace(Some(error.reason()));
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
            Err(error) if refuses(&error) => {
                self.refusal.replace(Some(error.reason()));
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
        self.forwards.set(self.forwards.get() + observations.len());
        self.budget.spend(1 + observations.len(), settings.total_assignments);
        let answers = forward_all(self.pool, &compiled, settings, observations, |_| {}).await?;
        if let Some(error) = answers.iter().find_map(|answer| answer.as_ref().err()) {
            self.refusal.replace(Some(error.clone()));
        }
        Ok(Some(answers.into_iter().map(Result::ok).collect()))
    }

    /// As [`forward`](Self::forward) with run args, the outputs themselves where the circuit has only
    /// their hash; `None` unless every observation has an answer.
    pub(super) async fn answers(
        &self,
        args: &RunArgs,
        observations: &[Observation],
    ) -> Result<Option<(Settings, Vec<Forward>)>, Error> {
        let Some(settings) = self.settings(&with_outputs(args)).await? else { return Ok(None) };
        let Some(answers) = self.forward(&settings, observations).await? else { return Ok(None) };
        let answers: Option<Vec<_>> = answers.into_iter().collect();
        Ok(answers.map(|answers| (settings, answers)))
    }
}

/// The same circuit with outputs that can be compared: a `hashed/private` one would only be a hash.
pub(super) fn with_outputs(args: &RunArgs) -> RunArgs {
    let hidden = hides_outputs(args);
    let visibility = if hidden { Visibility::Public } else { args.output_visibility.clone() };
    RunArgs { output_visibility: visibility, ..args.clone() }
}

/// Whether a witness has hashes in the place of outputs.
pub(super) fn hides_outputs(args: &RunArgs) -> bool {
    matches!(args.output_visibility, Visibility::Hashed { hash_is_public: false, .. })
}

/// Whether ezkl said no to what it was asked, rather than something being wrong with it.
fn refuses(error: &engine::Error) -> bool {
    matches!(error, engine::Error::Python { .. } | engine::Error::Panic { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A busy machine must not choose otherwise, and nobody goes home without a circuit.
    #[test]
    fn work_is_counted_and_ends_nothing_before_there_is_a_circuit() {
        let budget = Budget::new(Duration::from_secs(1));
        assert!(budget.affords(50, 1000) && !budget.affords(5, 1_000_000));
        budget.spend(usize::MAX, usize::MAX);
        assert!(!budget.is_spent(), "there is no circuit yet");
        budget.found_one();
        assert!(budget.is_spent());
        let idle = Budget::new(Duration::from_secs(3600));
        idle.found_one();
        idle.spend(10, 1000);
        assert!(!idle.is_spent());
        let none = Budget::new(Duration::ZERO);
        assert!(!none.is_spent());
        none.found_one();
        assert!(none.is_spent());
        Budget::new(Duration::MAX).found_one();
    }

    #[test]
    fn outputs_are_seen_while_they_are_measured_and_hidden_in_the_circuit() {
        let hidden: Visibility = "hashed/private/0".parse().expect("a visibility");
        let args = RunArgs { output_visibility: hidden, ..RunArgs::default() };
        assert!(hides_outputs(&args));
        assert_eq!(with_outputs(&args), RunArgs::default());
        let shown = RunArgs { output_visibility: Visibility::hashed(), ..RunArgs::default() };
        assert_eq!(with_outputs(&shown), shown, "the outputs stand in the witness");
    }
}
