//! What a proof is made of: an observation, or as many as the circuit takes.

use crate::{
    artifacts::input::InputData,
    model::batch::{Batching, Predictions},
};

/// Input of a circuit.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Input {
    /// As the circuit takes it.
    pub data: InputData,
    /// How many observations it holds.
    pub predictions: Predictions,
}

impl Input {
    /// Of one observation, or of at most as many as the circuit takes; the last one fills it up.
    pub(super) fn of(observations: &[InputData], batch: Batching) -> Self {
        // The configuration has no batch beyond 16 bits.
        let (size, count) = (batch.size() as u32, observations.len() as u32);
        let data = InputData::together(observations, batch);
        Self { data, predictions: Predictions { size, count } }
    }
}

/// All observations in the order in which they are, as many at a time as the circuit takes.
pub(super) fn batches(observations: &[InputData], batch: Batching) -> Vec<Input> {
    observations.chunks(batch.size()).map(|some| Input::of(some, batch)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::batch::Form;

    #[test]
    fn a_short_last_batch_is_filled_up_and_says_how_many_it_has() {
        let one = |number: f64| InputData::from_tensors(&[vec![number, -number]]).expect("finite");
        let all: Vec<_> = (1..=5).map(|number| one(f64::from(number))).collect();
        let inputs = batches(&all, Batching::new(4, Form::Joined, Form::Joined));
        let predictions: Vec<_> = inputs.iter().map(|it| it.predictions).collect();
        let of = |count| Predictions { size: 4, count };
        assert_eq!(predictions, [of(4), of(1)]);
        let numbers = inputs[1].data.numbers(&[]).expect("numbers");
        assert_eq!(numbers, [[5.0, -5.0, 5.0, -5.0, 5.0, -5.0, 5.0, -5.0]]);
        let singles = batches(&all, Batching::ONE);
        assert_eq!(singles.len(), 5);
        assert!(singles.iter().all(|it| it.predictions == Predictions::ONE));
        assert_eq!(singles[2].data, all[2]);
    }
}
