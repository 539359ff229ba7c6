//! The circuit's answers: ezkl's forward pass on many observations, in several workers.

use super::Observation;
use crate::{
    artifacts::{
        settings::{InputType, Settings},
        witness::Reach,
    },
    engine::{self, EnginePool},
    field::Felt,
    model::batch::Batching,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{ops::Range, path::Path};

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

/// Runs the circuit on each observation, several at a time; `done` hears how many have an answer. The
/// inner error is ezkl's refusal of one observation (a value beyond the range of its decomposition,
/// as a rule).
///
/// # Errors
/// What is wrong with the engine rather than with an observation.
pub(crate) async fn forward_all<'a>(
    pool: &EnginePool,
    compiled: &Path,
    settings: &Settings,
    observations: impl IntoIterator<Item = &'a Observation>,
    done: impl FnMut(usize),
) -> engine::Result<Vec<Result<Forward, String>>> {
    let inputs = observations.into_iter().map(|one| input_json(one, settings)).collect();
    let answers = pool.forward_many(inputs, compiled, done).await?;
    Ok(answers
        .into_iter()
        .map(|answer| match answer {
            Ok(computed) => decode(&computed, settings),
            Err(error @ (engine::Error::Python { .. } | engine::Error::Panic { .. })) => {
                Err(format!("the circuit has no answer: {}", error.reason()))
            }
            Err(error) => Err(error.to_string()),
        })
        .collect())
}

/// As [`forward_all`] where the circuit takes several observations at a time: each observation's answer by itself,
/// in their order.
///
/// What can't be answered takes those along that it is with; so they are asked again in halves until it is by
/// itself, with its own copies beside it.
pub(crate) async fn forward_each(
    pool: &EnginePool,
    compiled: &Path,
    settings: &Settings,
    batch: Batching,
    observations: &[&Observation],
    mut done: impl FnMut(usize),
) -> engine::Result<Vec<Result<Forward, String>>> {
    if batch.is_one() {
        let all = observations.iter().copied();
        return forward_all(pool, compiled, settings, all, done).await;
    }
    let (total, size) = (observations.len(), batch.size());
    let mut answers: Vec<Option<Result<Forward, String>>> = vec![None; total];
    let mut groups: Vec<Range<usize>> =
        (0..total).step_by(size).map(|start| start..(start + size).min(total)).collect();
    let mut first = true;
    while !groups.is_empty() {
        let inputs: Vec<_> =
            groups.iter().map(|group| batch.join(&observations[group.clone()])).collect();
        let count = |groups: usize| {
            if first {
                done((groups * size).min(total))
            }
        };
        let found = forward_all(pool, compiled, settings, &inputs, count).await?;
        first = false;
        let mut halves = Vec::new();
        for (group, answer) in groups.into_iter().zip(found) {
            let whole = answer.as_ref().is_ok_and(|answer| answer.unprovable.is_none());
            if group.len() > 1 && !whole {
                let middle = group.start + group.len() / 2;
                halves.extend([group.start..middle, middle..group.end]);
                continue;
            }
            let parts = answer.map(|answer| {
                let parts = batch.split(&answer.outputs).unwrap_or_default();
                (answer, parts)
            });
            for (slot, place) in group.enumerate() {
                answers[place] = Some(match &parts {
                    // What has no equal parts is of another model, which its whole length tells.
                    Ok((answer, parts)) => Ok(Forward {
                        outputs: parts.get(slot).unwrap_or(&answer.outputs).clone(),
                        ..answer.clone()
                    }),
                    Err(message) => Err(message.clone()),
                });
            }
        }
        groups = halves;
    }
    Ok(answers.into_iter().flatten().collect())
}

#[derive(Deserialize)]
struct Computed {
    outputs: Vec<Vec<String>>,
    max_lookup_inputs: i128,
    min_lookup_inputs: i128,
    max_range_size: i128,
}

fn decode(computed: &Value, settings: &Settings) -> Result<Forward, String> {
    // As text: an i128 does not survive within a value.
    let computed: Computed =
        serde_json::from_str(&computed.to_string()).map_err(|error| error.to_string())?;
    let scales = &settings.model_output_scales;
    if computed.outputs.len() != scales.len() {
        let found = computed.outputs.len();
        return Err(format!(
            "{found} outputs, but the circuit's settings tell of {}",
            scales.len()
        ));
    }
    let value = |felt: &String, scale| {
        let felt = Felt::from_le_hex(felt).map_err(|error| error.to_string())?;
        felt.to_f64(scale).map_err(|error| error.to_string())
    };
    let outputs = computed
        .outputs
        .iter()
        .zip(scales)
        .map(|(output, scale)| output.iter().map(|felt| value(felt, *scale)).collect())
        .collect::<Result<Vec<Vec<f64>>, String>>()?;
    let reach = Reach {
        max_lookup_inputs: computed.max_lookup_inputs,
        min_lookup_inputs: computed.min_lookup_inputs,
        max_range_size: computed.max_range_size,
    };
    Ok(Forward {
        outputs,
        lookups: (computed.min_lookup_inputs, computed.max_lookup_inputs),
        unprovable: reach
            .check(settings, Path::new("the circuit's answer"))
            .err()
            .map(|error| error.to_string()),
    })
}
