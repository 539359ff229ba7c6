//! What each step of the build reads and writes.
//!
//! Both the build and [`built`](super::Project::built) go by these, so that what one calls up to date
//! is what the other takes for built.

use super::{
    Project,
    config::Target,
    graph::{Input, Spec, Step},
    names,
    steps::needs_keys,
};
use crate::{
    accuracy::ErrorBound,
    artifacts::{run_args::Visibility, settings::Settings},
    srs, verifier,
};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The names under which inputs are looked up again.
pub(super) const MODEL: &str = "model";

/// Whether the keys hold the inputs, which setup then takes from the witness.
pub(super) fn fixes_input(settings: &Settings) -> bool {
    settings.run_args.input_visibility == Visibility::Fixed
}

impl Project {
    fn engine_version(&self) -> Input {
        Input::Option("the engine version", self.config.engine.version.clone().into())
    }

    /// The steps whose outputs decide the settings, in order.
    /// `weights` are the files beside the model that hold weights.
    pub(super) fn first_steps(&self, weights: &[PathBuf]) -> [Spec; 3] {
        [self.prepare_step(weights), self.settings_step(), self.calibrate_step()]
    }

    /// The other steps, in an order in which each follows those that it needs.
    pub(super) fn later_steps(&self, settings: &Settings) -> [Spec; 7] {
        [
            self.compile_step(),
            self.judge_step(None),
            self.srs_step(settings),
            self.setup_step(settings),
            self.witness_step(settings),
            self.proof_step(),
            self.verifier_step(),
        ]
    }

    pub(super) fn prepare_step(&self, weights: &[PathBuf]) -> Spec {
        let variables = self.config.circuit.run_args().variables;
        let mut inputs = vec![
            Input::File(MODEL, self.model()),
            Input::Option("variables", json!(variables)),
            Input::Option("outputs", json!(self.config.model.outputs)),
            Input::Option("convolutions", json!(self.config.model.convolutions)),
            Input::Option("zkvouch's version", env!("CARGO_PKG_VERSION").into()),
        ];
        if !weights.is_empty() {
            inputs.push(Input::Files("weights", weights.to_vec()));
        }
        if !self.config.model.constants.is_empty() {
            inputs.push(Input::Option("constants", json!(self.config.model.constants)));
        }
        let batch = self.config.batch();
        if !batch.is_one() {
            inputs.push(Input::Option("batch_size", json!(batch)));
        }
        Spec { step: Step::Prepare, inputs, outputs: vec![names::PREPARED.into()] }
    }

    pub(super) fn settings_step(&self) -> Spec {
        let args = self.config.circuit.run_args().to_engine();
        Spec {
            step: Step::Settings,
            inputs: vec![
                Input::File("prepared model", self.artifacts().prepared),
                Input::Option("the circuit options", args.into()),
                self.engine_version(),
            ],
            outputs: vec![names::RAW_SETTINGS.into()],
        }
    }

    pub(super) fn calibrate_step(&self) -> Spec {
        let options = &self.config.calibration;
        let mut inputs = vec![
            Input::File("prepared model", self.artifacts().prepared),
            Input::File("settings before calibration", self.artifacts().raw_settings),
            Input::Option("the calibration options", json!(options)),
            self.engine_version(),
        ];
        if options.target != Target::Manual {
            inputs.push(Input::Samples("data", self.data()));
        }
        Spec { step: Step::Calibrate, inputs, outputs: vec![names::SETTINGS.into()] }
    }

    pub(super) fn compile_step(&self) -> Spec {
        Spec {
            step: Step::Compile,
            inputs: vec![
                Input::File("prepared model", self.artifacts().prepared),
                Input::File("settings", self.artifacts().settings),
                self.engine_version(),
            ],
            outputs: vec![names::COMPILED.into()],
        }
    }

    /// `max_error` is the command's, before that of zkvouch.toml.
    pub(super) fn judge_step(&self, max_error: Option<ErrorBound>) -> Spec {
        let artifacts = self.artifacts();
        Spec {
            step: Step::Judge,
            inputs: vec![
                Input::File(MODEL, self.model()),
                Input::File("settings", artifacts.settings),
                Input::File("circuit", artifacts.compiled),
                Input::Samples("data", self.data()),
                Input::Option("max_error", json!(self.config.calibration.max_error)),
                Input::Given("--max-error", json!(max_error)),
                self.engine_version(),
            ],
            outputs: vec![names::WIDTHS.into()],
        }
    }

    pub(super) fn srs_step(&self, settings: &Settings) -> Spec {
        let config = &self.config.srs;
        let mut inputs = vec![
            Input::Option("logrows", settings.run_args.logrows.into()),
            Input::Option("the SRS options", json!(config)),
        ];
        if let srs::Source::Path(path) = config.source.within(&self.root) {
            inputs.push(Input::File("SRS", path));
        }
        Spec { step: Step::Srs, inputs, outputs: vec![names::SRS.into()] }
    }

    pub(super) fn setup_step(&self, settings: &Settings) -> Spec {
        let artifacts = self.artifacts();
        let mut inputs = vec![
            Input::File("circuit", artifacts.compiled),
            Input::File("SRS", artifacts.srs),
            self.engine_version(),
        ];
        if fixes_input(settings) {
            inputs.push(Input::File("witness", artifacts.witness));
        }
        Spec { step: Step::Setup, inputs, outputs: vec![names::VK.into(), names::PK.into()] }
    }

    pub(super) fn witness_step(&self, settings: &Settings) -> Spec {
        let artifacts = self.artifacts();
        let mut inputs = vec![
            Input::File("circuit", artifacts.compiled),
            Input::Samples("sample input", self.samples()),
            self.engine_version(),
        ];
        if needs_keys(settings) {
            inputs.push(Input::File("verifying key", artifacts.vk));
        }
        Spec {
            step: Step::Witness,
            inputs,
            outputs: vec![names::WITNESS.into(), names::INPUT.into()],
        }
    }

    pub(super) fn proof_step(&self) -> Spec {
        let artifacts = self.artifacts();
        Spec {
            step: Step::Proof,
            inputs: vec![
                Input::File("witness", artifacts.witness),
                Input::File("circuit", artifacts.compiled),
                Input::File("proving key", artifacts.pk),
                self.engine_version(),
            ],
            outputs: vec![names::PROOF.into()],
        }
    }

    pub(super) fn verifier_step(&self) -> Spec {
        let artifacts = self.artifacts();
        Spec {
            step: Step::Verifier,
            inputs: vec![
                Input::File("verifying key", artifacts.vk),
                Input::File("settings", artifacts.settings),
                Input::File("SRS", artifacts.srs),
                Input::File("sample proof", artifacts.proof),
                Input::File("widths", artifacts.widths),
                Input::File(MODEL, self.model()),
                Input::Option("the verifier options", json!(self.config.verifier)),
                Input::Option("zkvouch's version", env!("CARGO_PKG_VERSION").into()),
                self.engine_version(),
            ],
            outputs: [verifier::METADATA_FILE, verifier::batch::METADATA_FILE]
                .map(|file| Path::new(names::VERIFIER).join(file))
                .to_vec(),
        }
    }

    /// The files that the sample proof's observations are in: the first, or where it takes several of them all.
    pub(super) fn samples(&self) -> Vec<PathBuf> {
        match self.config.batch().is_one() {
            true => vec![self.sample()],
            false => self.data(),
        }
    }

    /// The input that the sample proof is of: the first of the calibration inputs.
    pub fn sample(&self) -> PathBuf {
        // A configuration without data is refused when it is read.
        self.data().swap_remove(0)
    }
}
