//! Several observations in one circuit, whose proof is one of so many predictions.

use serde::{Deserialize, Serialize};

/// The most predictions that one proof may be of: the contracts count them in 16 bits.
pub const MOST: usize = 65_535;

/// How the tensors of the observations of a batch lie in a circuit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// One tensor for all, observation after observation along its first axis.
    #[default]
    Joined,
    /// A tensor for each observation, so that each has a hash of its own: those of the model's first tensor in the
    /// order of the observations, then those of its second.
    Apart,
}

/// How many observations a circuit takes, and how they lie in its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Batching {
    size: usize,
    inputs: Form,
    outputs: Form,
}

impl Batching {
    /// One observation, as the model takes it.
    pub const ONE: Self = Self { size: 1, inputs: Form::Joined, outputs: Form::Joined };

    /// `size` observations, at least one.
    pub fn new(size: usize, inputs: Form, outputs: Form) -> Self {
        match size {
            0 | 1 => Self::ONE,
            size => Self { size, inputs, outputs },
        }
    }

    /// The number of observations.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether a circuit takes one observation.
    pub fn is_one(&self) -> bool {
        self.size == 1
    }

    /// How inputs lie.
    pub fn inputs(&self) -> Form {
        self.inputs
    }

    /// How outputs lie.
    pub fn outputs(&self) -> Form {
        self.outputs
    }

    /// The number of the circuit's first tensor for an input of the model.
    pub fn first_input(&self, input: usize) -> usize {
        input * self.tensors_each(self.inputs)
    }

    /// The number of the circuit's first tensor for an output of the model.
    pub fn first_output(&self, output: usize) -> usize {
        output * self.tensors_each(self.outputs)
    }

    fn tensors_each(&self, form: Form) -> usize {
        match form {
            Form::Joined => 1,
            Form::Apart => self.size,
        }
    }

    /// The circuit's input from its observations, tensor by tensor; where there are too few, the last stands in
    /// their place. Nothing where there is none.
    pub fn join<T: Clone, O: AsRef<[Vec<T>]>>(&self, observations: &[O]) -> Vec<Vec<T>> {
        let Some(last) = observations.last() else { return Vec::new() };
        let all = || observations.iter().chain(std::iter::repeat(last)).take(self.size);
        let tensors = last.as_ref().len();
        match self.inputs {
            Form::Joined => (0..tensors)
                .map(|tensor| all().flat_map(|one| one.as_ref()[tensor].iter().cloned()).collect())
                .collect(),
            Form::Apart => (0..tensors)
                .flat_map(|tensor| all().map(move |one| one.as_ref()[tensor].clone()))
                .collect(),
        }
    }

    /// A circuit's outputs, observation by observation. Nothing where they don't fall into so many equal parts.
    pub fn split<T: Clone>(&self, outputs: &[Vec<T>]) -> Option<Vec<Vec<Vec<T>>>> {
        self.parts(outputs, self.outputs)
    }

    /// A circuit's input, observation by observation: what was [joined](Self::join).
    pub fn split_inputs<T: Clone>(&self, inputs: &[Vec<T>]) -> Option<Vec<Vec<Vec<T>>>> {
        self.parts(inputs, self.inputs)
    }

    fn parts<T: Clone>(&self, tensors: &[Vec<T>], form: Form) -> Option<Vec<Vec<Vec<T>>>> {
        let size = self.size;
        let of = |number: usize| match form {
            Form::Joined => tensors
                .iter()
                .map(|tensor| {
                    let length = tensor.len().is_multiple_of(size).then(|| tensor.len() / size)?;
                    Some(tensor[number * length..][..length].to_vec())
                })
                .collect::<Option<Vec<_>>>(),
            Form::Apart => tensors
                .len()
                .is_multiple_of(size)
                .then(|| tensors.iter().skip(number).step_by(size).cloned().collect()),
        };
        (0..size).map(of).collect()
    }
}

impl Default for Batching {
    fn default() -> Self {
        Self::ONE
    }
}

/// How many predictions a proof is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predictions {
    /// The number of observations that the circuit takes.
    pub size: u32,
    /// How many of them are meant; those after them fill the circuit up and are no predictions.
    pub count: u32,
}

impl Predictions {
    /// One, of a circuit that takes one.
    pub const ONE: Self = Self { size: 1, count: 1 };

    /// Whether the circuit takes one observation.
    pub fn is_one(&self) -> bool {
        self.size == 1
    }

    /// What is wrong with the numbers.
    pub fn check(&self) -> Result<(), String> {
        let Self { size, count } = self;
        if *size == 0 || *size as usize > MOST {
            return Err(format!("size is {size}, and a proof is of 1 to {MOST} predictions"));
        }
        match (1..=*size).contains(count) {
            true => Ok(()),
            false => Err(format!("count is {count}, and the proof is of 1 to {size} predictions")),
        }
    }
}

impl Default for Predictions {
    fn default() -> Self {
        Self::ONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn observation(number: i32) -> Vec<Vec<i32>> {
        vec![vec![number, number + 1], vec![-number]]
    }

    #[test]
    fn observations_lie_along_the_first_axis_or_apart() {
        let all = [observation(10), observation(20), observation(30)];
        let joined = Batching::new(3, Form::Joined, Form::Joined);
        assert_eq!(joined.join(&all), [vec![10, 11, 20, 21, 30, 31], vec![-10, -20, -30]]);
        let apart = Batching::new(3, Form::Apart, Form::Joined);
        let each: [&[i32]; 6] = [&[10, 11], &[20, 21], &[30, 31], &[-10], &[-20], &[-30]];
        assert_eq!(apart.join(&all), each);
        assert_eq!((apart.first_input(1), apart.first_output(1)), (3, 1));
        assert_eq!(joined.join(&all[..1])[1], [-10, -10, -10], "the last fills up");
        assert_eq!(joined.join::<i32, Vec<Vec<i32>>>(&[]), Vec::<Vec<i32>>::new());
    }

    #[test]
    fn what_has_no_equal_parts_is_not_split() {
        let joined = Batching::new(2, Form::Joined, Form::Joined);
        assert_eq!(joined.split(&[vec![1, 2, 3]]), None);
        let apart = Batching::new(2, Form::Joined, Form::Apart);
        assert_eq!(apart.split(&[vec![1], vec![2], vec![3]]), None);
    }

    #[test]
    fn a_proof_is_of_one_to_as_many_as_there_are() {
        for (size, count, fine) in [(1, 1, true), (4, 4, true), (4, 0, false), (4, 5, false)] {
            assert_eq!(Predictions { size, count }.check().is_ok(), fine, "{size} {count}");
        }
        assert!(Predictions { size: 0, count: 0 }.check().is_err());
        assert!(Predictions { size: 65_536, count: 1 }.check().is_err());
    }

    proptest! {
        #[test]
        fn what_was_joined_is_split_again(size in 1usize..9, apart: bool) {
            let form = if apart { Form::Apart } else { Form::Joined };
            let batch = Batching::new(size, form, form);
            let all: Vec<_> = (0..size as i32).map(observation).collect();
            prop_assert_eq!(batch.split(&batch.join(&all)), Some(all.clone()));
            let inputs = Batching::new(size, form, Form::Joined);
            prop_assert_eq!(inputs.split_inputs(&inputs.join(&all)), Some(all));
        }
    }
}
