//! What a build's owner must know before others rely on its proofs.

use super::graph::{Manifest, Step};
use crate::{
    artifacts::{run_args::Visibility, settings::Settings},
    prepare,
    tune::MoreGas,
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use std::{fmt, path::PathBuf};

/// Something about a build or its proofs that one might think otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Caveat {
    /// A proof is of any weights.
    UnboundParameters,
    /// No output depends on this input.
    UnboundInput(String),
    /// The circuit's scales and ranges come from one observation.
    OneObservation,
    /// Verification takes more gas than with ezkl's own calibration, which can't be made here.
    MoreGas(MoreGas),
}

impl fmt::Display for Caveat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnboundParameters => f.write_str(
                "the parameters are not bound: a proof does not show which weights were used, so whoever proves \
                 may have others; param_visibility = \"fixed\" binds them",
            ),
            Self::UnboundInput(name) => write!(
                f,
                "no output depends on the input `{name}`: a proof says nothing of its values, so leave it out of \
                 the model"
            ),
            Self::OneObservation => f.write_str(
                "the circuit was fitted to one observation: others may lie outside its ranges, or come out \
                 less accurate; name more in zkvouch.toml, [model] data",
            ),
            Self::MoreGas(more) => more.fmt(f),
        }
    }
}

/// What preparing leaves in the manifest.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ModelNotes {
    /// Files beside the model that hold weights.
    pub(super) weights: Vec<PathBuf>,
    /// What was done to the model.
    pub(super) prepared: prepare::Notes,
    /// Inputs that no output depends on.
    pub(super) unbound: Vec<String>,
}

/// What every calibration leaves in the manifest.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CalibrationNotes<T> {
    /// Observations that it was given; none where it took none.
    pub(super) observations: Option<usize>,
    /// What it takes beyond ezkl's own calibration, which can't be made here.
    #[serde(default)]
    pub(super) more_gas: Option<MoreGas>,
    /// Which calibration, and what it has to say.
    pub(super) how: T,
}

fn notes<'m, T: Deserialize<'m>>(manifest: &'m Manifest, step: Step) -> Option<T> {
    T::deserialize(&manifest.steps.get(&step)?.notes).ok()
}

/// What became of the model before anything was made of it.
pub(super) fn prepared(manifest: &Manifest) -> Option<ModelNotes> {
    notes(manifest, Step::Prepare)
}

/// The caveats of what is built.
pub(super) fn of(settings: &Settings, manifest: &Manifest) -> Vec<Caveat> {
    let mut caveats = Vec::new();
    let bound = [Visibility::Fixed, Visibility::hashed()];
    if !bound.contains(&settings.run_args.param_visibility) {
        caveats.push(Caveat::UnboundParameters);
    }
    caveats
        .extend(prepared(manifest).into_iter().flat_map(|it| it.unbound).map(Caveat::UnboundInput));
    let calibrated: Option<CalibrationNotes<IgnoredAny>> = notes(manifest, Step::Calibrate);
    if let Some(CalibrationNotes { observations, more_gas, .. }) = calibrated {
        if observations == Some(1) {
            caveats.push(Caveat::OneObservation);
        }
        caveats.extend(more_gas.map(Caveat::MoreGas));
    }
    caveats
}
