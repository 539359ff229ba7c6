//! What a build's owner must know before others rely on its proofs.

use super::graph::{Manifest, Step};
use crate::{
    accuracy::{judge::Judgement, stats::REFUSED_SHARE},
    artifacts::{run_args::Visibility, settings::Settings},
    engine,
    evm::Hardfork,
    model::provenance::Provenance,
    prepare,
    tune::{MoreGas, deploy},
    verifier::GasReport,
};
use alloy::primitives::Address;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use std::{fmt, path::PathBuf};

/// Something about a build, its proofs or a chain that one might think otherwise.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Caveat {
    /// A proof is of any weights.
    UnboundParameters,
    /// No output depends on this input.
    UnboundInput(String),
    /// A proof says nothing of its input.
    PrivateInput,
    /// A proof says nothing of its output.
    PrivateOutput,
    /// Inputs, outputs or parameters that a contract sees a commitment of, which it can't compare.
    Committed(&'static str),
    /// So many values are shown as hashes.
    Hashed(usize),
    /// Somebody knows the secret of the SRS.
    TestSrs,
    /// The SRS is of no known ceremony.
    UnknownSrs,
    /// The circuit's scales and ranges come from one observation.
    OneObservation,
    /// Inputs within the data's range that can't be proved.
    Unprovable {
        /// How many.
        unanswered: usize,
        /// Of how many that were drawn.
        drawn: usize,
    },
    /// An output is further from the model's than the default bound, which the project has widened.
    Inaccurate {
        /// The output.
        output: String,
        /// The largest error, as a share of the range of the model's answers.
        share: f64,
    },
    /// A version of ezkl that zkvouch doesn't know.
    Engine {
        /// The version.
        version: String,
    },
    /// Verification takes more gas than with ezkl's own calibration, which can't be made here.
    MoreGas(MoreGas),
    /// The code is near the limit.
    CodeSize(Near),
    /// A verification is near what a transaction may take.
    TransactionGas(Near),
    /// The calldata is near what nodes pass on.
    Calldata(Near),
    /// The chain lacks a precompile.
    NoPrecompile {
        /// Its address.
        address: u8,
        /// What it computes.
        name: &'static str,
    },
    /// The chain lacks an opcode.
    NoOpcode {
        /// Its mnemonic.
        name: &'static str,
    },
    /// One key can add and retire models at once.
    OwnerIsAccount {
        /// The account.
        owner: Address,
    },
    /// Nobody can stop the model.
    NoGuardian,
}

/// How near something is to a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Near {
    /// Under whose rules.
    pub hardfork: Hardfork,
    /// What there is: bytes, or gas.
    pub has: u64,
    /// What there may be at most.
    pub limit: u64,
}

impl Near {
    /// Where it has more than nine tenths of the limit.
    fn to(hardfork: Hardfork, has: u64, limit: u64) -> Option<Self> {
        (has > limit / 10 * 9).then_some(Self { hardfork, has, limit })
    }
}

impl fmt::Display for Near {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of at most {} under {}", self.has, self.limit, self.hardfork)
    }
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
            Self::PrivateInput => f.write_str(
                "inputs are private: a proof shows that there is an input with this output, and not which; \
                 input_visibility = \"public\" or \"hashed\" shows it",
            ),
            Self::PrivateOutput => f.write_str(
                "outputs are private: a proof shows no prediction; output_visibility = \"public\" shows it",
            ),
            Self::Committed(what) => write!(
                f,
                "the {what} are committed to by a KZG commitment, which no contract of ours compares with \
                 anything; {what}_visibility = \"hashed\" shows a hash that can be compared",
                what = what.trim_end_matches('s'),
            ),
            Self::Hashed(count) => write!(
                f,
                "{count} values are shown as hashes: a contract that consumes a prediction must compare them with \
                 hashes that it trusts, and values of few possibilities can be guessed from them"
            ),
            Self::TestSrs => f.write_str(
                "this build uses an SRS whose secret is known: anybody could forge a proof, so deploying is \
                 refused off a local chain",
            ),
            Self::UnknownSrs => f.write_str(
                "the SRS belongs to no ceremony that zkvouch knows: whoever made it may forge proofs, so \
                 deploying off a local chain takes --allow-unknown-srs",
            ),
            Self::OneObservation => f.write_str(
                "the circuit was fitted to one observation: others may lie outside its ranges, or come out \
                 less accurate; name more in zkvouch.toml, [model] data",
            ),
            Self::Unprovable { unanswered, drawn } => write!(
                f,
                "{unanswered} of {} inputs drawn from the data's range can't be proved with this circuit; name more \
                 data in zkvouch.toml, [model] data, and build again",
                unanswered + drawn
            ),
            Self::Inaccurate { output, share } => write!(
                f,
                "output `{output}` is off by up to {:.1} % of the range of the model's answers, which max_error \
                 allows; without it 2 % are",
                share * 100.0
            ),
            Self::Engine { version } => write!(
                f,
                "zkvouch was not tested with ezkl {version}; version = \"{}\" under [engine] is",
                engine::DEFAULT_VERSION
            ),
            Self::MoreGas(more) => more.fmt(f),
            Self::CodeSize(near) => write!(
                f,
                "the verifier's code has {near} bytes; optimize_for = \"deployment\" under [verifier], or hashed \
                 inputs, make it smaller"
            ),
            Self::TransactionGas(near) => {
                write!(f, "a verification takes {near} gas; hashed inputs or fewer outputs take less")
            }
            Self::Calldata(near) => write!(
                f,
                "a call has {near} bytes of calldata; hashed inputs or fewer outputs need less"
            ),
            Self::NoPrecompile { address, name } => write!(
                f,
                "the chain has no precompile {address:#04x}, {name}, so no proof can be verified there; \
                 deploy on another chain"
            ),
            Self::NoOpcode { name } => write!(
                f,
                "the chain has no {name}, which the code needs; deploy on a chain with Cancun's rules"
            ),
            Self::OwnerIsAccount { owner } => write!(
                f,
                "{owner}, which is to own the router, is a plain account: whoever has its key adds and retires \
                 models at once; --timelock-delay puts a timelock between, or name a multisig by --owner"
            ),
            Self::NoGuardian => f.write_str(
                "nobody can stop the model if its verifier turns out to be flawed; name somebody by --guardian",
            ),
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

/// The caveats of a circuit and of how it came about.
pub(super) fn of(settings: &Settings, manifest: &Manifest, engine_version: &str) -> Vec<Caveat> {
    let mut caveats = Vec::new();
    let args = &settings.run_args;
    let bound = [Visibility::Fixed, Visibility::hashed()];
    match &args.param_visibility {
        Visibility::KzgCommit => caveats.push(Caveat::Committed("params")),
        visibility if !bound.contains(visibility) => caveats.push(Caveat::UnboundParameters),
        _ => {}
    }
    match args.input_visibility {
        Visibility::Private => caveats.push(Caveat::PrivateInput),
        Visibility::KzgCommit => caveats.push(Caveat::Committed("inputs")),
        _ => {}
    }
    match args.output_visibility {
        Visibility::Private => caveats.push(Caveat::PrivateOutput),
        Visibility::KzgCommit => caveats.push(Caveat::Committed("outputs")),
        _ => {}
    }
    let groups = settings.instance_layout().groups;
    let hashes = groups.iter().filter(|group| group.scale.is_none()).map(|group| group.len());
    let hashes: usize = hashes.sum();
    if hashes > 0 {
        caveats.push(Caveat::Hashed(hashes));
    }
    if !engine::versions().any(|known| known == engine_version) {
        caveats.push(Caveat::Engine { version: engine_version.to_owned() });
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
    let judged: Option<Judgement> = notes(manifest, Step::Judge);
    caveats.extend(judged.iter().flat_map(of_judgement));
    caveats
}

fn of_judgement(judgement: &Judgement) -> Vec<Caveat> {
    let &Judgement { unanswered, drawn, .. } = judgement;
    let unprovable = (unanswered > 0).then_some(Caveat::Unprovable { unanswered, drawn });
    let inaccurate = judgement.outputs.iter().filter_map(|output| {
        let share = output.max_error / output.range;
        (share.is_finite() && share > REFUSED_SHARE && judgement.observations > 1)
            .then(|| Caveat::Inaccurate { output: output.name.clone(), share })
    });
    unprovable.into_iter().chain(inaccurate).collect()
}

/// The caveats of an SRS.
pub(super) fn of_srs(provenance: &Provenance) -> Option<Caveat> {
    match provenance {
        Provenance::UnsafeDev => Some(Caveat::TestSrs),
        Provenance::Unrecognized => Some(Caveat::UnknownSrs),
        Provenance::Ceremony(_) => None,
    }
}

/// The caveats of a verifier's sizes and gas, under today's rules and the next ones.
pub(super) fn of_verifier(report: &GasReport) -> Vec<Caveat> {
    let mut caveats = Vec::new();
    for fork in &report.forks {
        let rules = fork.hardfork.rules();
        let near = |has: u64, limit: u64| Near::to(fork.hardfork, has, limit);
        let code = near(report.runtime_size as u64, rules.runtime_code as u64);
        caveats.extend(code.map(Caveat::CodeSize));
        let gas = fork.verify_gas.and_then(|gas| near(gas, rules.transaction_gas));
        caveats.extend(gas.map(Caveat::TransactionGas));
    }
    let calldata = Near::to(report.hardfork, report.calldata_len as u64, deploy::TRANSACTION);
    caveats.extend(calldata.map(Caveat::Calldata));
    caveats
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_a_limit_is_told_under_each_fork() {
        let near = |has, limit| Near::to(Hardfork::Osaka, has, limit).is_some();
        assert!(!near(22_000, 24_576) && near(22_120, 24_576) && near(30_000, 24_576));
    }
}
