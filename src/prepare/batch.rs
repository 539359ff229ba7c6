//! A model for several observations at a time, each of which it answers as the model answers it alone.
//!
//! Where the first axis of all inputs and outputs is the model's own batch axis, it gets that length. Where there is
//! none, where it means something else (a sequence, say) or where observations on it would meet (in a reduction, a
//! state), the circuit holds the graph so many times, on the same weights.

use super::{
    Error, Extent, Original, Prepared, Result,
    check::{MOST_ELEMENTS, Tolerance, near},
    inputs,
    joined::Joined,
    rewritten, set_shapes,
};
use crate::{
    artifacts::{observations::Observation, slot::Slot},
    model::batch::{Batching, Form},
    onnx::proto::{GraphProto, ModelProto, tensor_shape_proto::dimension},
    reference::FloatModel,
};
use rand::{SeedableRng as _, rngs::StdRng};

/// A batch is tried on at least so many observations.
const TRIES: usize = 24;
/// How much larger some are than the data: what meets on an axis shows.
const LOUD: f64 = 1e3;
const SEED: u64 = 0x6261_7463;

/// Prepares a model for a batch. `samples` are observations of its data, of which at least one.
///
/// # Errors
/// As [`prepare`](super::prepare).
pub(super) async fn prepare(
    original: &Original,
    slots: &[Slot],
    samples: &[Observation],
) -> Result<Prepared> {
    let size = original.batch().size();
    let single = super::prepare(original, &inputs(slots, &samples[0])).await?;
    let trials = Trials::new(original, slots, samples).await?;
    let prepared = match through_axis(original, slots, samples, &trials).await {
        Ok(mut prepared) => {
            let words = format!("{size} observations a proof, along the model's own batch axis");
            prepared.notes.changes.push(words);
            prepared
        }
        Err(reason) => {
            tracing::debug!(%reason, "no batch axis");
            let mut prepared = Prepared {
                model: Joined::new(original.batch(), slots).copies(single.model),
                notes: single.notes,
            };
            let words = format!(
                "{size} observations a proof, by {size} copies of the graph on the same weights: {reason}"
            );
            prepared.notes.changes.push(words);
            trials.check(&prepared.model, original.batch()).await?;
            prepared
        }
    };
    Ok(prepared)
}

/// The model with the batch's size on the first axis of its inputs, or why it has no batch axis there.
async fn through_axis(
    original: &Original,
    slots: &[Slot],
    samples: &[Observation],
    trials: &Trials,
) -> Result<Prepared, String> {
    let batch = original.batch();
    let outputs = trials.model.outputs();
    let mut shapes = slots.iter().map(|it| (&it.name, &it.shape));
    let mut all = shapes.by_ref().chain(outputs.iter().map(|it| (&it.name, &it.shape)));
    if let Some((name, shape)) = all.find(|(_, shape)| shape.first() != Some(&1)) {
        return Err(format!("`{name}` of shape {shape:?} has no batch axis"));
    }
    let joined = Batching::new(batch.size(), Form::Joined, Form::Joined);
    let together: Vec<_> = inputs(slots, &joined.join(samples))
        .into_iter()
        .map(|(name, mut shape, data)| {
            shape[0] = batch.size();
            (name, shape, data)
        })
        .collect();
    let mut model = original.model.clone();
    set_shapes(&mut model, &together);
    let meets = |error: Error| match error {
        Error::Differs { output, .. } => {
            format!("on the first axis observations would meet (in output `{output}`)")
        }
        _ => "it takes one observation only".to_owned(),
    };
    trials.check(&model, joined).await.map_err(meets)?;
    let mut last = String::new();
    for extent in [Extent::Shortest, Extent::Needed] {
        let made = async {
            let Prepared { model, notes } = rewritten(original, &together, extent).await?;
            let model = Joined::new(batch, slots).along_axis(model);
            trials.check(&model, batch).await?;
            Ok::<_, Error>(Prepared { model, notes })
        };
        match made.await {
            Ok(prepared) => return Ok(prepared),
            Err(error) => last = format!("rewritten so it is not the model ({error})"),
        }
    }
    Err(last)
}

/// Observations with the model's own answer to each alone.
struct Trials {
    model: FloatModel,
    tolerance: Tolerance,
    observations: Vec<Observation>,
    answers: Vec<Vec<Vec<f64>>>,
}

impl Trials {
    /// The samples, others next to them, and some much larger.
    async fn new(original: &Original, slots: &[Slot], samples: &[Observation]) -> Result<Self> {
        let shapes: Vec<_> = slots.iter().map(|it| (it.name.clone(), it.shape.clone())).collect();
        let model = FloatModel::of(&original.model, original.path(), &shapes).await?;
        let tolerance = Tolerance::of(original);
        let mut trials = Self { model, tolerance, observations: Vec::new(), answers: Vec::new() };
        let size = original.batch().size();
        let elements: usize = slots.iter().map(Slot::elements).sum();
        let most = (MOST_ELEMENTS / elements.max(1)).max(size);
        let count = (2 * size).max(TRIES).min(most);
        let mut random = StdRng::seed_from_u64(SEED);
        let sample = |number: usize| &samples[number % samples.len()];
        for number in 0..count {
            let infos = || sample(number).iter().zip(trials.model.inputs());
            let observation: Observation = match number {
                _ if number < samples.len().min(size) => sample(number).clone(),
                // One at a time, so that what is large has neighbours that are not.
                _ if number % size == size / 2 => infos()
                    .map(|(data, info)| match info.is_label() {
                        true => data.clone(),
                        false => data.iter().map(|value| value * LOUD).collect(),
                    })
                    .collect(),
                _ => infos().map(|(data, info)| near(&mut random, data, info.is_label())).collect(),
            };
            match trials.model.run(&observation) {
                Ok(answer) => {
                    trials.observations.push(observation);
                    trials.answers.push(answer);
                }
                Err(error) if number == 0 => return Err(error.into()),
                // An input that the original itself can't take says nothing.
                Err(_) => {}
            }
        }
        Ok(trials)
    }

    /// Refuses a model of a batch that does not answer each observation as the model does alone.
    async fn check(&self, model: &ModelProto, batch: Batching) -> Result<()> {
        let path = self.model.path();
        let together = FloatModel::of(model, path, &shapes(model.graph.as_ref())).await?;
        let (count, size) = (self.observations.len(), batch.size());
        for round in 0..count.div_ceil(size) {
            let places: Vec<_> = (0..size).map(|slot| (round * size + slot) % count).collect();
            let input: Vec<_> = places.iter().map(|place| &self.observations[*place]).collect();
            let found = together.run(&batch.join(&input))?;
            let differs = |output: usize, element, expected, found| Error::Differs {
                path: path.to_owned(),
                output: self.model.outputs()[output].name.clone(),
                element,
                expected,
                found,
                operators: self.model.operators().join(", "),
            };
            let parts = batch.split(&found);
            let parts = parts.ok_or_else(|| differs(0, 0, size as f64, found.len() as f64))?;
            for (place, found) in places.iter().zip(&parts) {
                let infos = self.model.outputs().iter();
                let pairs = infos.zip(&self.answers[*place]).zip(found).enumerate();
                for (output, ((info, expected), found)) in pairs {
                    if let Some(element) = self.tolerance.first_other(info, expected, found) {
                        let other = found.get(element).copied().unwrap_or(f64::NAN);
                        return Err(differs(output, element, expected[element], other));
                    }
                }
            }
        }
        Ok(())
    }
}

/// The shapes of a graph's inputs, by name.
fn shapes(graph: Option<&GraphProto>) -> Vec<(String, Vec<usize>)> {
    let inputs = graph.into_iter().flat_map(|graph| &graph.input);
    inputs
        .filter_map(|info| {
            let length = |value: &Option<dimension::Value>| match value {
                Some(dimension::Value::DimValue(length)) => usize::try_from(*length).ok(),
                _ => None,
            };
            let shape = info.dims()?.iter().map(|dim| length(&dim.value)).collect::<Option<_>>()?;
            Some((info.name.clone(), shape))
        })
        .collect()
}

#[cfg(test)]
mod tests;
