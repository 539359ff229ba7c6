//! What a build has to say when it is done.

use super::{Artifacts, Caveat, batches::EachMeasured, step::Step};
use crate::{
    accuracy::judge::Judgement,
    artifacts::layout::InstanceLayout,
    evm::Hardfork,
    model::{
        identity::{ModelId, ModelIdentity},
        provenance::Provenance,
        schema::TensorKind,
    },
    tune::{self, ForkEstimate},
    verifier::{
        GasReport,
        batch::{Batch, BatchGas},
        lean::{Breakdown, OptimizeFor},
    },
};
use serde::{Deserialize, Serialize};

/// What a build made.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct BuildReport {
    /// The model's name as its owner has it.
    pub name: String,
    /// [`ModelIdentity::model_id`] of `identity`, under which the chain knows the model.
    pub model_id: ModelId,
    /// What the identity is made of.
    pub identity: ModelIdentity,
    /// log2 of the circuit's rows.
    pub logrows: u32,
    /// The number of public values in a proof.
    pub num_instances: usize,
    /// Who may know the SRS's secret.
    pub srs: Provenance,
    /// How far the circuit's answers are from the model's.
    pub judgement: Judgement,
    /// What one might think otherwise of the build and its proofs.
    pub caveats: Vec<Caveat>,
    /// Sizes and gas of the verifier.
    pub verifier: GasReport,
    /// The lean verifier beside ezkl's.
    pub comparison: Option<Comparison>,
    /// The verifier of many proofs at once, if there is one.
    pub batch: Option<BatchReport>,
    /// What hashed inputs would come to; none where inputs are not public, or no more than their hashes.
    pub hashing: Option<Hashing>,
    /// What one prediction takes, where a proof is of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each: Option<EachMeasured>,
    /// Where the files lie, those not remade included.
    pub artifacts: Artifacts,
    /// Steps that ran, in the order of their end.
    pub ran: Vec<&'static str>,
    /// Steps that were up to date.
    pub skipped: Vec<&'static str>,
}

/// What a verification would take if inputs that are public were hashed: one word for each tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hashing {
    /// Public input values of a proof.
    pub values: usize,
    /// Words that they would be hashed to.
    pub hashes: usize,
    /// Bytes of a call's calldata then.
    pub calldata_bytes: usize,
    /// The gas then, without that of the columns which hashing adds to a circuit; `zkvouch inspect` has those in its
    /// estimates.
    pub forks: Vec<ForkEstimate>,
}

impl Hashing {
    /// For a verifier with this report.
    pub fn of(layout: &InstanceLayout, gas: &GasReport) -> Option<Self> {
        let inputs: Vec<_> = layout.of_kind(TensorKind::Input).collect();
        let values = inputs.iter().map(|group| group.len()).sum::<usize>();
        // Each observation's tensor has its own hash.
        let hashes = inputs.len() * layout.predictions as usize;
        let words = values.checked_sub(hashes).filter(|words| *words > 0)?;
        let osaka = gas.forks.iter().find(|fork| fork.hardfork == Hardfork::Osaka)?.verify_gas?;
        Some(Self {
            values,
            hashes,
            calldata_bytes: gas.calldata_len.saturating_sub(32 * words),
            forks: tune::hashed(osaka, gas.calldata_len, words),
        })
    }
}

/// What a build up to some step made.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct PartReport {
    /// The step that was asked for.
    pub until: Step,
    /// The model's outputs that a proof shows, by their names.
    pub outputs: Vec<String>,
    /// How far the circuit's answers are from the model's; none where the step comes before that.
    pub judgement: Option<Judgement>,
    /// Where everything lies, or will.
    pub artifacts: Artifacts,
    /// Steps that ran, in the order of their end.
    pub ran: Vec<&'static str>,
    /// Steps that were up to date.
    pub skipped: Vec<&'static str>,
}

/// What a build says of the verifier of many proofs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BatchReport {
    /// Sizes, and the gas of a batch of one.
    pub verifier: GasReport,
    /// What batches of some sizes cost.
    pub gas: Vec<BatchGas>,
}

impl BatchReport {
    /// The report on a batch verifier.
    pub fn of(batch: &Batch) -> Self {
        Self { verifier: batch.artifact.metadata().gas.clone(), gas: batch.gas.clone() }
    }
}

/// A lean verifier beside ezkl's for the same proof.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// ezkl's verifier with the guard, measured under the same rules.
    pub ezkl: GasReport,
    /// Where the lean verifier's gas goes.
    pub breakdown: Breakdown,
    /// What the lean verifier is cheap in.
    pub optimized_for: OptimizeFor,
    /// The same verifier, made cheap in the other.
    pub other: OtherForm,
}

/// The lean verifier in its other form.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OtherForm {
    /// What it is cheap in.
    pub optimized_for: OptimizeFor,
    /// The gas of a transaction that verifies the sample.
    pub verify_gas: Option<u64>,
    /// The gas of the transaction that creates it.
    pub deploy_gas: u64,
    /// Bytes of its code.
    pub runtime_size: usize,
    /// After this many calls the form that is cheap in calls has earned what it costs more to deploy. None if it
    /// never does.
    pub break_even_calls: Option<u64>,
}

impl OtherForm {
    /// With `gas`, beside a verifier of the report `of`.
    pub fn new(optimized_for: OptimizeFor, gas: &GasReport, of: &GasReport) -> Self {
        let (calls, deployment) = match optimized_for {
            OptimizeFor::Calls => (gas, of),
            _ => (of, gas),
        };
        let saved =
            |calls: u64, deployment: u64| deployment.checked_sub(calls).filter(|it| *it > 0);
        let each = calls.verify_gas.zip(deployment.verify_gas);
        let each = each.and_then(|(calls, deployment)| saved(calls, deployment));
        let more = calls.deploy_gas.saturating_sub(deployment.deploy_gas);
        Self {
            optimized_for,
            verify_gas: gas.verify_gas,
            deploy_gas: gas.deploy_gas,
            runtime_size: gas.runtime_size,
            break_even_calls: each.map(|each| more.div_ceil(each)),
        }
    }
}
