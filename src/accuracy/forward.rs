//! The circuit's answers: ezkl's forward pass on many observations, in several workers.

use super::Observation;
use crate::{
    artifacts::{
        settings::{InputType, Settings},
        witness::Witness,
    },
    engine::{self, EnginePool},
};
use serde_json::{Value, json};
use std::path::Path;

/// What the circuit makes of one observation.
#[derive(Clone, Debug)]
pub(crate) struct Forward {
    /// Each output's elements.
    pub(crate) outputs: Vec<Vec<f64>>,
    /// The smallest and the largest value that was looked up.
    pub(crate) lookups: (i128, i128),
    /// Why the circuit can't prove this observation, although it has an answer.
    pub(crate) unprovable: Option<String>,
}

/// An observation as ezkl reads it.
pub(crate) fn input_json(observation: &Observation, settings: &Settings) -> Value {
    let kinds = settings.input_types.as_deref().unwrap_or_default();
    let tensors: Vec<Value> = observation
        .iter()
        .enumerate()
        .map(|(number, tensor)| match kinds.get(number) {
            Some(InputType::Bool) => tensor.iter().map(|value| *value != 0.0).collect(),
            _ => tensor.iter().copied().collect(),
        })
        .collect();
    json!({ "input_data": tensors })
}

/// Runs the circuit on each observation, as many at a time as the pool has workers. The inner error
/// is ezkl's refusal of one observation (a value beyond the range of its decomposition, as a rule).
///
/// # Errors
/// What is wrong with the engine rather than with an observation.
pub(crate) async fn forward_all(
    pool: &EnginePool,
    compiled: &Path,
    settings: &Settings,
    observations: &[Observation],
) -> engine::Result<Vec<Result<Forward, String>>> {
    let inputs = observations.iter().map(|one| input_json(one, settings)).collect();
    let answers = pool.forward_many(inputs, compiled).await;
    answers
        .into_iter()
        .map(|answer| match answer {
            Ok(witness) => Ok(decode(&witness, settings)),
            Err(engine::Error::Python { message, .. } | engine::Error::Panic { message, .. }) => {
                Ok(Err(format!("the circuit has no answer: {}", message.trim())))
            }
            Err(error) => Err(error),
        })
        .collect()
}

fn decode(witness: &Value, settings: &Settings) -> Result<Forward, String> {
    let bytes = witness.to_string();
    let witness = Witness::from_json(bytes.as_bytes(), Path::new("the circuit's answer"))
        .map_err(|error| error.to_string())?;
    let outputs = witness
        .outputs
        .iter()
        .zip(&settings.model_output_scales)
        .map(|(output, scale)| output.iter().map(|felt| felt.to_f64(*scale)).collect())
        .collect::<Result<Vec<Vec<f64>>, _>>()
        .map_err(|error| error.to_string())?;
    Ok(Forward {
        outputs,
        lookups: (witness.min_lookup_inputs, witness.max_lookup_inputs),
        unprovable: witness.check_ranges(settings).err().map(|error| error.to_string()),
    })
}
