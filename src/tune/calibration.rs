//! The cost model of this machine: measured by a few proofs of small circuits, kept in a file.

use super::{
    cost::{Cost, CostModel, available_cpus},
    shape::Shape,
    trial::{self, Times, Trial},
};
use crate::{
    artifacts::{self, run_args::RunArgs, settings::Settings},
    engine::{self, Engine},
    error::ErrorKind,
    files, toolchain,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// A cost model could not be measured or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file.
    #[error(transparent)]
    File(#[from] files::Error),
    /// ezkl.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// An artefact.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// A proof.
    #[error(transparent)]
    Trial(#[from] trial::Error),
    /// The file is no cost model.
    #[error("{} is not a cost model: {message}; make it again with `zkvouch bench machine`", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The file is of another engine, machine or version of the cost model.
    #[error("{} is {what}; make it again with `zkvouch bench machine`", path.display())]
    Stale {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        what: String,
    },
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::File(inner) => inner.kind(),
            Self::Engine(inner) => inner.kind(),
            Self::Artifact(inner) => inner.kind(),
            Self::Trial(inner) => inner.kind(),
            Self::Malformed { .. } | Self::Stale { .. } => ErrorKind::BadInput,
        }
    }
}

/// Changed whenever the cost model's formula does.
const GENERATION: u32 = 2;
/// Fewer circuits say too little, so these are proved in any case: they are the quickest.
const LEAST: usize = 3;
/// Proofs with each circuit; the fastest counts, since other work on the machine only adds to it.
const PROOFS: usize = 2;

/// A machine's cost model and what it was measured from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    generation: u32,
    /// The version of ezkl.
    pub engine: String,
    /// The CPUs that the machine had.
    pub available_cpus: usize,
    /// The fitted model.
    pub costs: CostModel,
    /// The circuits that were proved.
    pub circuits: Vec<MeasuredCircuit>,
}

/// A circuit that was proved, and what was expected of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeasuredCircuit {
    /// The model.
    pub model: String,
    /// log2 of the circuit's rows.
    pub logrows: u32,
    /// Inner columns.
    pub columns: usize,
    /// CPU seconds of a proof.
    pub cpu_seconds: f64,
    /// Wall-clock seconds of a proof.
    pub seconds: f64,
    /// What the model that ships with zkvouch expects it to cost.
    pub expected_before: Cost,
    /// What the fitted model expects.
    pub expected_after: Cost,
}

/// The built-in circuits, by rising time to prove: models of this repository with run args that vary
/// in what the model's terms are about.
struct Circuit {
    model: &'static str,
    onnx: &'static [u8],
    input: &'static str,
    logrows: u32,
    columns: usize,
    legs: u32,
}

const fn credit(logrows: u32, columns: usize, legs: u32) -> Circuit {
    Circuit {
        model: "credit",
        onnx: include_bytes!("../../examples/credit/model.onnx"),
        input: include_str!("../../examples/credit/input.json"),
        logrows,
        columns,
        legs,
    }
}

const fn tree(logrows: u32, columns: usize, legs: u32) -> Circuit {
    Circuit {
        model: "decision_tree",
        onnx: include_bytes!("../../examples/decision_tree/model.onnx"),
        input: include_str!("../../examples/decision_tree/input.json"),
        logrows,
        columns,
        legs,
    }
}

const CIRCUITS: [Circuit; 8] = [
    credit(8, 1, 5),
    tree(9, 2, 4),
    credit(10, 2, 4),
    tree(11, 1, 3),
    credit(12, 1, 3),
    tree(12, 2, 3),
    credit(13, 3, 3),
    tree(13, 1, 3),
];

/// How far a calibration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The circuit being proved, from 0.
    pub number: usize,
    /// Of so many.
    pub of: usize,
    /// Its k.
    pub logrows: u32,
}

impl Calibration {
    /// Proves the built-in circuits on this machine, as many as the time allows but at least three,
    /// and fits the model to them. The machine should be idle.
    ///
    /// # Errors
    /// What ezkl says.
    pub async fn measure(
        engine: &Engine,
        budget: Duration,
        progress: impl Fn(Step),
    ) -> Result<Self, Error> {
        let started = Instant::now();
        let folder = files::Scratch::new()?;
        let mut measured = Vec::new();
        for (number, circuit) in CIRCUITS.iter().enumerate() {
            // A circuit takes longer than the one before.
            let spent = started.elapsed();
            if number >= LEAST && spent + spent / number as u32 > budget {
                break;
            }
            progress(Step { number, of: CIRCUITS.len(), logrows: circuit.logrows });
            let place = folder.path().join(number.to_string());
            measured.push((circuit, circuit.prove(engine, &place).await?));
            let _ = std::fs::remove_dir_all(&place);
        }
        let points: Vec<_> = measured.iter().map(|(_, point)| point.clone()).collect();
        let before = CostModel::default();
        let costs = before.fit(&points);
        let circuits = measured
            .into_iter()
            .map(|(circuit, (shape, cpu_seconds, seconds))| MeasuredCircuit {
                model: circuit.model.to_owned(),
                logrows: circuit.logrows,
                columns: circuit.columns,
                cpu_seconds,
                seconds,
                expected_before: before.cost(&shape),
                expected_after: costs.cost(&shape),
            })
            .collect();
        Ok(Self {
            generation: GENERATION,
            engine: engine.version().to_owned(),
            available_cpus: available_cpus(),
            costs,
            circuits,
        })
    }

    /// Where `tune` and `build` look for a machine's cost model.
    ///
    /// # Errors
    /// Where no cache folder is known.
    pub fn default_path() -> Result<PathBuf, toolchain::Error> {
        Ok(toolchain::cache_dir()?.join("cost-model.json"))
    }

    /// Writes the file.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let json = serde_json::to_vec_pretty(self).map_err(|error| Error::Malformed {
            path: path.to_owned(),
            message: error.to_string(),
        })?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            files::create_dir_all(folder)?;
        }
        Ok(files::write_atomic(path, &json)?)
    }

    /// Reads a file that was made with this version of ezkl and as many CPUs.
    ///
    /// # Errors
    /// [`Error::Stale`] for another ezkl, number of CPUs or cost model; a file that can't be read.
    pub fn read(path: &Path, engine: &str) -> Result<Self, Error> {
        let bytes = files::read(path)?;
        let malformed = |message: String| Error::Malformed { path: path.to_owned(), message };
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        let stale = |what: String| Err(Error::Stale { path: path.to_owned(), what });
        // Before the rest: another generation may have other fields.
        match value["generation"].as_u64() {
            Some(generation) if generation == u64::from(GENERATION) => {}
            Some(_) => return stale("of another version of zkvouch".to_owned()),
            None => return Err(malformed("it has no field `generation`".to_owned())),
        }
        let calibration: Self =
            serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        if calibration.engine != engine {
            return stale(format!("for ezkl {}, but this is {engine}", calibration.engine));
        }
        let (then, now) = (calibration.available_cpus, available_cpus());
        if then != now {
            return stale(format!("for {then} CPUs, but there are {now}"));
        }
        let CostModel { machine, cpus, .. } = calibration.costs;
        if ![machine, cpus].iter().all(|value| value.is_finite() && *value > 0.0) {
            return Err(malformed(format!("machine {machine} or cpus {cpus} is impossible")));
        }
        Ok(calibration)
    }
}

impl CostModel {
    /// The cost model that was measured on this machine, else the one that ships with zkvouch; with
    /// it why a file that is there was not used.
    pub fn of_this_machine(engine: &str) -> (Self, Option<Error>) {
        let Ok(path) = Calibration::default_path() else { return (Self::default(), None) };
        if !path.exists() {
            return (Self::default(), None);
        }
        match Calibration::read(&path, engine) {
            Ok(calibration) => (calibration.costs, None),
            Err(error) => (Self::default(), Some(error)),
        }
    }
}

impl Circuit {
    /// Its shape, and the CPU and wall-clock seconds of its fastest proof.
    async fn prove(&self, engine: &Engine, folder: &Path) -> Result<(Shape, f64, f64), Error> {
        files::create_dir_all(folder)?;
        let (model, path) = (folder.join("model.onnx"), folder.join("raw.json"));
        files::write_atomic(&model, self.onnx)?;
        let args = RunArgs {
            logrows: self.logrows,
            num_inner_cols: self.columns,
            decomp_base: (1 << self.logrows) - 8,
            decomp_legs: self.legs,
            ..RunArgs::default()
        };
        engine.gen_settings(&model, &path, &args.to_engine()).await?;
        let settings = Settings::read(&path)?;
        let malformed = |message: String| Error::Malformed { path: path.clone(), message };
        let shape = Shape::of(&settings).ok_or_else(|| malformed("too few rows".to_owned()))?;
        let input: Value =
            serde_json::from_str(self.input).map_err(|error| malformed(error.to_string()))?;
        let trial = Trial::new(engine, &model, settings, &input, folder.join("trial")).await?;
        let mut times = Times::default();
        for _ in 0..PROOFS {
            times.0.push(trial.prove(engine).await?);
        }
        let fastest = |part: &dyn Fn(&engine::Usage) -> f64| {
            times.0.iter().map(part).fold(f64::INFINITY, f64::min)
        };
        let seconds = fastest(&|usage| usage.elapsed.as_secs_f64());
        let cpu = fastest(&|usage| usage.cpu.unwrap_or(usage.elapsed).as_secs_f64());
        Ok((shape, cpu, seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_or_broken_file_is_told_apart_from_a_good_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/cost-model.json");
        let costs = CostModel { machine: 1.7, ..CostModel::default() };
        let good = Calibration {
            generation: GENERATION,
            engine: "23.0.5".to_owned(),
            available_cpus: available_cpus(),
            costs,
            circuits: Vec::new(),
        };
        good.write(&path).expect("written");
        assert_eq!(Calibration::read(&path, "23.0.5").expect("good"), good);
        let refusal = |calibration: &Calibration, engine: &str| {
            calibration.write(&path).expect("written");
            Calibration::read(&path, engine).expect_err("refused").to_string()
        };
        let other = refusal(&good, "24.0.0");
        assert!(other.contains("for ezkl 23.0.5, but this is 24.0.0"), "{other}");
        assert!(other.contains("bench machine"), "{other}");
        let cpus = Calibration { available_cpus: available_cpus() + 1, ..good.clone() };
        assert!(refusal(&cpus, "23.0.5").contains("CPUs"));
        let old = Calibration { generation: GENERATION + 1, ..good.clone() };
        assert!(refusal(&old, "23.0.5").contains("another version of zkvouch"));
        let mut impossible = good;
        impossible.costs.machine = 0.0;
        assert!(refusal(&impossible, "23.0.5").contains("impossible"));
        files::write_atomic(&path, b"{}").expect("written");
        assert!(matches!(Calibration::read(&path, "23.0.5"), Err(Error::Malformed { .. })));
    }
}
