//! The inputs on which circuits are tried.

use crate::accuracy::{FloatModel, Observation, TensorInfo};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// How many of the observations are used.
const OBSERVATIONS: usize = 24;
/// How many inputs are drawn beside them.
const DRAWN: usize = 12;

/// The inputs on which circuits are tried, with the float model's answers.
#[derive(Debug)]
pub(super) struct Sample {
    /// The first ones are observations, spread evenly over all; then come the drawn ones.
    pub(super) inputs: Vec<Observation>,
    /// The float model's outputs for each.
    pub(super) float: Vec<Vec<Vec<f64>>>,
    /// Inputs at the ends of what is expected; only their range counts.
    pub(super) corners: Vec<Observation>,
    /// How many of `inputs` to try first.
    pub(super) few: usize,
}

impl Sample {
    /// Takes some observations and draws inputs within their range, element by element where there
    /// are many observations and tensor by tensor where there are few. Integer tensors are taken from
    /// an observation as they are, since an index is not a quantity.
    pub(super) fn choose(
        model: &FloatModel,
        observations: &[Observation],
        corners: Vec<Observation>,
        seed: u64,
    ) -> Result<Self, crate::accuracy::float_model::Error> {
        let every = observations.len().div_ceil(OBSERVATIONS).max(1);
        let mut inputs: Vec<_> = observations.iter().step_by(every).cloned().collect();
        let mut float = Vec::new();
        for input in &inputs {
            float.push(model.run(input)?);
        }
        let mut random = StdRng::seed_from_u64(seed);
        if model.inputs().iter().any(is_float) {
            for _ in 0..DRAWN {
                let input = draw(model.inputs(), observations, &mut random);
                // A drawn input may lie outside of what the model is defined for.
                let Ok(output) = model.run(&input) else { continue };
                if output.iter().flatten().all(|value| value.is_finite()) {
                    inputs.push(input);
                    float.push(output);
                }
            }
        }
        let few = inputs.len().min(3);
        Ok(Self { inputs, float, corners, few })
    }

    /// Keeps only the first inputs, for a model whose forward pass takes long.
    pub(super) fn shrink(&mut self, inputs: usize, few: usize) {
        self.inputs.truncate(inputs.max(1));
        self.float.truncate(inputs.max(1));
        self.few = few.clamp(1, self.inputs.len());
    }
}

/// Whether a tensor holds quantities rather than indices or flags.
pub(super) fn is_float(info: &TensorInfo) -> bool {
    matches!(info.element.as_str(), "f16" | "f32" | "f64" | "bf16")
}

/// Multiplies the quantities of an observation.
pub(super) fn scaled(input: &Observation, infos: &[TensorInfo], factor: f64) -> Observation {
    input
        .iter()
        .zip(infos)
        .map(|(tensor, info)| match is_float(info) {
            true => tensor.iter().map(|value| value * factor).collect(),
            false => tensor.clone(),
        })
        .collect()
}

fn draw(infos: &[TensorInfo], observations: &[Observation], random: &mut StdRng) -> Observation {
    const MANY: usize = 8;
    let taken = random.gen_range(0..observations.len());
    infos
        .iter()
        .enumerate()
        .map(|(number, info)| {
            if !is_float(info) {
                return observations[taken][number].clone();
            }
            let whole = extent(observations.iter().flat_map(|one| one[number].iter().copied()));
            (0..info.len())
                .map(|element| {
                    let (low, high) = match observations.len() {
                        MANY.. => extent(observations.iter().map(|one| one[number][element])),
                        _ => whole,
                    };
                    if low < high { random.gen_range(low..=high) } else { low }
                })
                .collect()
        })
        .collect()
}

fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(element: &str, len: usize) -> TensorInfo {
        TensorInfo { name: "x".to_owned(), shape: vec![1, len], element: element.to_owned() }
    }

    #[test]
    fn drawn_inputs_stay_within_the_data_and_integers_are_not_invented() {
        let infos = [info("f32", 2), info("i64", 1)];
        let observations: Vec<Observation> =
            (0..10).map(|n| vec![vec![f64::from(n), -1.0], vec![f64::from(n * 10)]]).collect();
        let mut random = StdRng::seed_from_u64(1);
        for _ in 0..50 {
            let drawn = draw(&infos, &observations, &mut random);
            assert!((0.0..=9.0).contains(&drawn[0][0]) && drawn[0][1] == -1.0);
            assert_eq!(drawn[1][0] % 10.0, 0.0);
        }
        assert_eq!(scaled(&observations[3], &infos, 2.0), [vec![6.0, -2.0], vec![30.0]]);
    }
}
