//! What the circuit and the model are asked.

use super::{Error, Observation, Result};
use crate::accuracy::{FloatModel, TensorInfo};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

/// Observations of the data that are asked at most, spread over all of it.
const OF_DATA: usize = 256;
const NEAR: usize = 64;
const DRAWN: usize = 128;
/// How far an input next to the data is from it, as a share of the data's range.
const NEAR_SHARE: f64 = 0.02;
/// A large model is asked less, and so is a large circuit: a forward pass takes some two seconds for a million
/// rows.
const MOST_ELEMENTS: usize = 1 << 20;
const MOST_ROWS: usize = 1 << 21;
/// But never less than this of the data, next to it and drawn.
const LEAST: usize = 8;
const SEED: u64 = 0x006a_7564_6765;

/// Where an input comes from, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Data(usize),
    Near(usize),
    Drawn(usize),
}

/// An input and the model's answer.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) origin: Origin,
    pub(super) input: Observation,
    pub(super) expected: Vec<Vec<f64>>,
}

impl Asked {
    pub(super) fn is_data(&self) -> bool {
        matches!(self.origin, Origin::Data(_))
    }
}

/// How many inputs of a kind are asked at most, by the number of elements of one and the circuit's rows.
fn most(elements: usize, rows: usize) -> usize {
    let by_rows = (MOST_ROWS / rows.max(1)).max(LEAST);
    (MOST_ELEMENTS / elements.max(1)).max(1).min(by_rows)
}

/// Chooses the inputs, the same each time, and asks the model. `rows` is the size of its circuit.
pub(super) fn ask(model: &FloatModel, rows: usize, data: &[Observation]) -> Result<Vec<Asked>> {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut asked = Vec::new();
    let size: usize = model.inputs().iter().map(TensorInfo::len).sum();
    let most = most(size, rows);
    let every = data.len().div_ceil(OF_DATA.min(most)).max(1);
    for (number, input) in data.iter().enumerate().step_by(every) {
        let expected = model.run(input)?;
        let origin = Origin::Data(number);
        let mut values = expected.iter().zip(model.outputs());
        let wild = values.find_map(|(values, info)| {
            let value = values.iter().find(|value| !value.is_finite())?;
            Some((*value, info.name.clone()))
        });
        let one = Asked { origin, input: input.clone(), expected };
        if let Some((value, output)) = wild {
            let (model, input) = (model.path().to_owned(), one.to_string());
            return Err(Error::NotFinite { model, input, output, value });
        }
        asked.push(one);
    }
    let extents: Vec<Vec<(f64, f64)>> =
        model.inputs().iter().enumerate().map(|(n, info)| extents(n, info, data)).collect();
    let mut push = |origin, input: Observation| {
        // It may lie outside of what the model is defined for.
        let Ok(expected) = model.run(&input) else { return };
        if expected.iter().flatten().all(|value| value.is_finite()) {
            asked.push(Asked { origin, input, expected });
        }
    };
    for number in 0..NEAR.min(most) {
        let base = &data[number % data.len().max(1)];
        let moved =
            base.iter().zip(model.inputs()).zip(&extents).map(|((tensor, info), extents)| {
                if info.is_label() {
                    return tensor.clone();
                }
                let by = |(value, (low, high)): (&f64, &(f64, f64))| {
                    let width = if high > low { high - low } else { low.abs() };
                    value + NEAR_SHARE * width * random.gen_range(-1.0..=1.0)
                };
                tensor.iter().zip(extents).map(by).collect()
            });
        let moved = moved.collect();
        push(Origin::Near(number), moved);
    }
    for number in 0..DRAWN.min(most) {
        let drawn = model.inputs().iter().zip(&extents).map(|(info, extents)| {
            let draw = |(low, high): &(f64, f64)| match info.is_label() {
                _ if low >= high => *low,
                true => random.gen_range(*low as i64..=*high as i64) as f64,
                false => random.gen_range(*low..=*high),
            };
            extents.iter().map(draw).collect()
        });
        let drawn = drawn.collect();
        push(Origin::Drawn(number), drawn);
    }
    Ok(asked)
}

/// The range of each element: its own where there are many observations, else its tensor's.
fn extents(number: usize, info: &TensorInfo, data: &[Observation]) -> Vec<(f64, f64)> {
    const MANY: usize = 8;
    let extent = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        })
    };
    if data.len() < MANY {
        let whole = extent(&mut data.iter().flat_map(|one| one[number].iter().copied()));
        return vec![whole; info.len()];
    }
    (0..info.len())
        .map(|element| extent(&mut data.iter().map(|one| one[number][element])))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_models_and_circuits_are_asked_less_and_never_nothing() {
        assert!(most(4, 8_000) >= OF_DATA, "a small one is asked all");
        assert_eq!(most(4, 1 << 20), LEAST);
        assert_eq!(most(4, usize::MAX), LEAST);
        assert!(most(4, 100_000) < NEAR);
        assert_eq!(most(1 << 21, 10), 1);
        assert_eq!(most(0, 0), MOST_ELEMENTS);
    }
}
