//! Real proofs with circuits that are being tried out.

use crate::{
    artifacts::{self, proof::ProofFile, settings::Settings, witness::Witness},
    engine::{self, Engine, SetupRequest, Usage},
    error::ErrorKind,
    files,
};
use serde_json::Value;
use std::{
    cmp::Ordering,
    path::{Path, PathBuf},
};

/// A trial could not be made, or showed that its circuit is no good.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// ezkl.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// A file of the trial's.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// A file that could not be read or written.
    #[error(transparent)]
    File(#[from] files::Error),
    /// ezkl also "proves" a witness that doesn't satisfy its circuit.
    #[error("the proof in {} does not verify; choose other run args", proof.display())]
    Invalid {
        /// The proof.
        proof: PathBuf,
    },
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Engine(inner) => inner.kind(),
            Self::Artifact(inner) => inner.kind(),
            Self::File(inner) => inner.kind(),
            Self::Invalid { .. } => ErrorKind::Invalid,
        }
    }
}

impl Error {
    /// Whether the circuit is to blame rather than the machine.
    pub(super) fn is_the_circuits(&self) -> bool {
        use engine::Error::{Environment, File};
        !matches!(self, Self::File(_) | Self::Engine(File(_) | Environment(_)))
    }
}

/// A circuit with all that a proof of one input needs, in a folder of its own.
///
/// The SRS is made for the purpose and thrown away: a proof's cost and validity don't depend on whose
/// it is.
#[derive(Debug)]
pub struct Trial {
    /// The circuit's settings.
    pub settings: Settings,
    folder: PathBuf,
}

impl Trial {
    /// Compiles the model, makes the keys and the witness of an input `{"input_data": [[..]]}`.
    ///
    /// # Errors
    /// What ezkl says; a witness with a value outside the circuit's tables, from which ezkl's prover
    /// would not return.
    pub async fn new(
        engine: &Engine,
        model: &Path,
        settings: Settings,
        input: &Value,
        folder: PathBuf,
    ) -> Result<Self, Error> {
        files::create_dir_all(&folder)?;
        let trial = Self { settings, folder };
        let (compiled, srs) = (trial.file("circuit.ezkl"), trial.srs());
        let witness = trial.file("witness.json");
        trial.settings.write(&trial.settings_path())?;
        engine.compile_circuit(model, &trial.settings_path(), &compiled).await?;
        engine.gen_unsafe_srs(trial.settings.run_args.logrows, &srs).await?;
        let request = SetupRequest {
            compiled: &compiled,
            srs: &srs,
            vk: &trial.vk(),
            pk: &trial.file("pk.key"),
            witness: None,
            compress_selectors: true,
        };
        engine.setup(request).await?;
        engine.gen_witness(input, &compiled, &witness, Some(&trial.vk()), Some(&srs)).await?;
        Witness::read(&witness)?.check_ranges(&trial.settings)?;
        Ok(trial)
    }

    /// Proves the input, checks the proof and says what proving took.
    ///
    /// # Errors
    /// What ezkl says; a proof that does not verify.
    pub async fn prove(&self, engine: &Engine) -> Result<Usage, Error> {
        let (srs, proof) = (self.srs(), self.file("proof.json"));
        let (witness, compiled) = (self.file("witness.json"), self.file("circuit.ezkl"));
        let usage = engine.prove(&witness, &compiled, &self.file("pk.key"), &srs, &proof).await?;
        if !engine.verify(&proof, &self.settings_path(), &self.vk(), &srs).await? {
            return Err(Error::Invalid { proof });
        }
        Ok(usage)
    }

    /// The last proof.
    ///
    /// # Errors
    /// Where there is none yet.
    pub fn proof(&self) -> Result<ProofFile, Error> {
        Ok(ProofFile::read(&self.file("proof.json"))?)
    }

    /// The proving key's length in bytes.
    ///
    /// # Errors
    /// Where the file is gone.
    pub fn pk_bytes(&self) -> Result<u64, Error> {
        let path = self.file("pk.key");
        Ok(std::fs::metadata(&path).map_err(files::Error::at("read", &path))?.len())
    }

    /// Where the settings are.
    pub fn settings_path(&self) -> PathBuf {
        self.file("settings.json")
    }

    /// Where the verifying key is.
    pub fn vk(&self) -> PathBuf {
        self.file("vk.key")
    }

    /// Where the SRS is, of which the maker knew the secret.
    pub fn srs(&self) -> PathBuf {
        self.file("kzg.srs")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// What several proofs with one circuit took.
#[derive(Clone, Debug, Default)]
pub struct Times(pub Vec<Usage>);

impl Times {
    /// Median wall-clock seconds; NaN without any proof.
    pub fn seconds(&self) -> f64 {
        median(self.0.iter().map(|usage| usage.elapsed.as_secs_f64()).collect())
    }

    /// Median CPU seconds; `None` where the system does not tell.
    pub fn cpu_seconds(&self) -> Option<f64> {
        let cpu: Option<Vec<f64>> =
            self.0.iter().map(|usage| Some(usage.cpu?.as_secs_f64())).collect();
        cpu.filter(|cpu| !cpu.is_empty()).map(median)
    }

    /// The most memory that a proof took, in bytes.
    pub fn peak_bytes(&self) -> Option<u64> {
        self.0.iter().filter_map(|usage| usage.peak_bytes).max()
    }

    /// By what factor these proofs were faster than `other`'s, which were made in turn with them: the
    /// median over the rounds, and of wall-clock and CPU time the smaller one.
    pub fn gain_over(&self, other: &Self) -> f64 {
        let rounds = || self.0.iter().zip(&other.0);
        let wall = median(
            rounds().map(|(a, b)| b.elapsed.as_secs_f64() / a.elapsed.as_secs_f64()).collect(),
        );
        let cpu: Option<Vec<f64>> =
            rounds().map(|(a, b)| Some(b.cpu?.as_secs_f64() / a.cpu?.as_secs_f64())).collect();
        cpu.filter(|cpu| !cpu.is_empty()).map_or(wall, |cpu| wall.min(median(cpu)))
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn times(seconds: &[(f64, f64)]) -> Times {
        let usage = |(wall, cpu): &(f64, f64)| Usage {
            elapsed: Duration::from_secs_f64(*wall),
            cpu: Some(Duration::from_secs_f64(*cpu)),
            peak_bytes: None,
        };
        Times(seconds.iter().map(usage).collect())
    }

    #[test]
    fn a_gain_is_pairwise_and_the_smaller_of_wall_and_cpu() {
        // The machine got slower in between; both circuits saw that.
        let a = times(&[(1.0, 2.0), (4.0, 2.0), (1.0, 2.0)]);
        let b = times(&[(2.0, 3.0), (8.0, 3.0), (2.0, 3.0)]);
        assert!((a.gain_over(&b) - 1.5).abs() < 1e-9);
        assert!((b.gain_over(&a) - 0.5).abs() < 1e-9);
        assert_eq!((a.seconds(), a.cpu_seconds()), (1.0, Some(2.0)));
        assert!(Times::default().seconds().is_nan() && Times::default().cpu_seconds().is_none());
    }
}
