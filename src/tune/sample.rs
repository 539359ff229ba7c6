//! The inputs on which circuits are tried.

use crate::{
    accuracy::{FloatModel, Observation, TensorInfo},
    artifacts::slot::Slot,
    model::batch::{Batching, Form},
};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// How many of the observations are used.
const OBSERVATIONS: usize = 24;
/// How many inputs are drawn beside them,
const DRAWN: usize = 12;
/// and beside fewer observations than [`MANY`], which say little by themselves.
const DRAWN_BESIDE_FEW: usize = 32;
/// Observations enough to tell each element's range by itself.
const MANY: usize = 8;

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
    /// How many of `inputs` are observations.
    pub(super) observations: usize,
    /// Whether the drawn inputs go further than the observations, by a margin of their own.
    pub(super) reaches_out: bool,
}

impl Sample {
    /// Takes some observations and draws inputs within their range; see [`Ranges`]. Integer tensors are taken from
    /// an observation as they are, since an index is not a quantity. Where the model takes several at a time, an input
    /// is of so many, and there are fewer.
    pub(super) fn choose(
        model: &FloatModel,
        observations: &[Observation],
        corners: Vec<Observation>,
        batch: Batching,
        seed: u64,
    ) -> Result<Self, crate::accuracy::float_model::Error> {
        let size = batch.size();
        let every = observations.len().div_ceil(OBSERVATIONS.next_multiple_of(size)).max(1);
        let taken: Vec<_> = observations.iter().step_by(every).cloned().collect();
        let mut inputs: Vec<_> = batches(&taken, batch).collect();
        let mut float = Vec::new();
        for input in &inputs {
            float.push(model.run(input)?);
        }
        let taken = inputs.len();
        let mut random = StdRng::seed_from_u64(seed);
        let reaches_out = corners.is_empty() && observations.len() < MANY;
        let infos = single_infos(model.inputs(), batch);
        if infos.iter().any(|input| !input.is_label()) {
            let ranges = Ranges::of(&infos, observations, &corners);
            let count = if observations.len() < MANY { DRAWN_BESIDE_FEW } else { DRAWN };
            for _ in 0..count.div_ceil(size) {
                let drawn: Vec<_> =
                    (0..size).map(|_| ranges.draw(&infos, observations, &mut random)).collect();
                let input = batch.join(&drawn);
                // A drawn input may lie outside of what the model is defined for.
                let Ok(output) = model.run(&input) else { continue };
                if output.iter().flatten().all(|value| value.is_finite()) {
                    inputs.push(input);
                    float.push(output);
                }
            }
        }
        let few = inputs.len().min(3);
        let corners = batches(&corners, batch).collect();
        Ok(Self { inputs, float, corners, few, observations: taken, reaches_out })
    }

    /// The inputs beyond which there is to be a margin: the first so many. That of those which reach out is
    /// already in them.
    pub(super) fn given(&self) -> usize {
        let given = if self.reaches_out { self.observations } else { self.inputs.len() };
        given.max(1)
    }

    /// Some of those that are [`given`](Self::given).
    pub(super) fn few_given(&self) -> &[Observation] {
        &self.inputs[..self.few.min(self.given())]
    }

    /// Keeps only the first inputs, for a model whose forward pass takes long.
    pub(super) fn shrink(&mut self, inputs: usize, few: usize) {
        self.inputs.truncate(inputs.max(1));
        self.float.truncate(inputs.max(1));
        self.few = few.clamp(1, self.inputs.len());
        self.observations = self.observations.min(self.inputs.len());
    }

    /// Leaves out those inputs of which `keep` says no, by their position.
    pub(super) fn retain(&mut self, keep: &[bool]) {
        let kept = |number: usize| keep.get(number).copied().unwrap_or(false);
        self.observations = (0..self.observations).filter(|number| kept(*number)).count();
        let mut number = 0..;
        self.inputs.retain(|_| number.next().is_some_and(kept));
        let mut number = 0..;
        self.float.retain(|_| number.next().is_some_and(kept));
        self.few = self.few.min(self.inputs.len());
    }
}

/// The observations as the model takes them, so many at a time; the last ones are filled up with the first.
pub(super) fn batches(
    observations: &[Observation],
    batch: Batching,
) -> impl Iterator<Item = Observation> + '_ {
    let (size, count) = (batch.size(), observations.len());
    (0..count).step_by(size).map(move |start| {
        let some: Vec<_> =
            (start..start + size).map(|number| &observations[number % count]).collect();
        batch.join(&some)
    })
}

/// A model's inputs as data for one observation is read for them.
pub(super) fn single_slots(slots: &[Slot], batch: Batching) -> Vec<Slot> {
    let one = |slot: &Slot| match batch.inputs() {
        _ if batch.is_one() => slot.clone(),
        Form::Joined => {
            let rest = slot.shape.iter().skip(1).copied();
            Slot { shape: std::iter::once(1).chain(rest).collect(), ..slot.clone() }
        }
        Form::Apart => {
            let name = slot.name.rsplit_once('#').map_or(&*slot.name, |(name, _)| name);
            Slot { name: name.trim_end_matches('#').to_owned(), ..slot.clone() }
        }
    };
    slots.iter().step_by(batch.first_input(1)).map(one).collect()
}

fn single_infos(infos: &[TensorInfo], batch: Batching) -> Vec<TensorInfo> {
    let one = |info: &TensorInfo| match batch.inputs() {
        Form::Joined if !batch.is_one() => {
            let rest = info.shape.iter().skip(1).copied();
            TensorInfo { shape: std::iter::once(1).chain(rest).collect(), ..info.clone() }
        }
        _ => info.clone(),
    };
    infos.iter().step_by(batch.first_input(1)).map(one).collect()
}

/// Multiplies the quantities of an observation.
pub(super) fn scaled(input: &Observation, infos: &[TensorInfo], factor: f64) -> Observation {
    input
        .iter()
        .zip(infos)
        .map(|(tensor, info)| match info.is_label() {
            true => tensor.clone(),
            false => tensor.iter().map(|value| value * factor).collect(),
        })
        .collect()
}

/// Where drawn inputs lie, for each tensor and element.
struct Ranges(Vec<Vec<(f64, f64)>>);

impl Ranges {
    /// The range of the observations and of the corners, which say how far inputs go: element by element
    /// where there are many, else tensor by tensor and with room, since the next input will lie beyond
    /// what the few have shown.
    fn of(infos: &[TensorInfo], observations: &[Observation], corners: &[Observation]) -> Self {
        let all = || observations.iter().chain(corners);
        let many = observations.len() >= MANY;
        let tensor = |(number, info): (usize, &TensorInfo)| -> Vec<(f64, f64)> {
            let whole = extent(all().flat_map(|one| one[number].iter().copied()));
            let whole = if corners.is_empty() && !many { inferred(whole) } else { whole };
            let element = |element: usize| match many {
                true => extent(all().map(|one| one[number][element])),
                false => whole,
            };
            (0..info.len()).map(element).collect()
        };
        Self(infos.iter().enumerate().map(tensor).collect())
    }

    fn draw(
        &self,
        infos: &[TensorInfo],
        observations: &[Observation],
        random: &mut StdRng,
    ) -> Observation {
        let taken = &observations[random.gen_range(0..observations.len())];
        let mut one = |(low, high): (f64, f64)| {
            if low < high { random.gen_range(low..=high) } else { low }
        };
        let tensors = infos.iter().zip(taken).zip(&self.0);
        tensors
            .map(|((info, taken), ranges)| match info.is_label() {
                true => taken.clone(),
                false => ranges.iter().map(|range| one(*range)).collect(),
            })
            .collect()
    }
}

/// The range of inputs of which a few reach from `low` to `high`. Shares and pixels have their own;
/// anything else may go twice as far, and below zero only where one did.
fn inferred((low, high): (f64, f64)) -> (f64, f64) {
    match low >= 0.0 {
        true if high <= 1.0 => (0.0, 1.0),
        true if high <= 255.0 && high > 127.0 => (0.0, 255.0),
        true => (0.0, 2.0 * high),
        false => {
            let reach = 2.0 * high.abs().max(low.abs());
            (-reach, reach)
        }
    }
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
        let ranges = Ranges::of(&infos, &observations, &[]);
        let mut random = StdRng::seed_from_u64(1);
        for _ in 0..50 {
            let drawn = ranges.draw(&infos, &observations, &mut random);
            assert!((0.0..=9.0).contains(&drawn[0][0]) && drawn[0][1] == -1.0);
            assert_eq!(drawn[1][0] % 10.0, 0.0);
        }
        assert_eq!(scaled(&observations[3], &infos, 2.0), [vec![6.0, -2.0], vec![30.0]]);
    }

    /// One observation says nothing of the next two hundred but its size.
    #[test]
    fn beside_few_observations_inputs_are_drawn_from_inferred_or_stated_bounds() {
        let infos = [info("f32", 2)];
        let reach = |observation: [f64; 2], corners: &[Observation]| {
            let observations = [vec![observation.to_vec()]];
            let ranges = Ranges::of(&infos, &observations, corners);
            let mut random = StdRng::seed_from_u64(1);
            let drawn = (0..200).map(|_| ranges.draw(&infos, &observations, &mut random));
            extent(drawn.flatten().flatten().collect::<Vec<_>>().into_iter())
        };
        let near = |(low, high): (f64, f64), (a, b): (f64, f64)| {
            let slack = (b - a) / 20.0;
            (a..a + slack).contains(&low) && (b - slack..=b).contains(&high)
        };
        assert!(near(reach([0.2, 0.3], &[]), (0.0, 1.0)), "shares");
        assert!(near(reach([0.0, 200.0], &[]), (0.0, 255.0)), "pixels");
        assert!(near(reach([3.0, 5.0], &[]), (0.0, 10.0)));
        assert!(near(reach([-3.0, 1.0], &[]), (-6.0, 6.0)));
        let corners = [vec![vec![-8.0, 0.0]], vec![vec![0.0, 8.0]]];
        assert!(
            near(reach([0.2, 0.3], &corners), (-8.0, 8.0)),
            "stated bounds are taken as they are"
        );
    }

    #[test]
    fn what_is_left_out_is_left_out_everywhere() {
        let tensor = |value: f64| vec![vec![value]];
        let mut sample = Sample {
            inputs: vec![tensor(0.0), tensor(1.0), tensor(2.0)],
            float: vec![tensor(0.5), tensor(1.5), tensor(2.5)],
            corners: Vec::new(),
            few: 3,
            observations: 2,
            reaches_out: true,
        };
        assert_eq!((sample.given(), sample.few_given().len()), (2, 2), "the third has its margin");
        sample.retain(&[false, true, true]);
        assert_eq!((sample.inputs[0][0][0], sample.float[0][0][0]), (1.0, 1.5));
        assert_eq!((sample.inputs.len(), sample.few, sample.observations), (2, 2, 1));
        assert_eq!((sample.given(), sample.few_given().len()), (1, 1));
        sample.reaches_out = false;
        assert_eq!((sample.given(), sample.few_given().len()), (2, 2));
    }
}
