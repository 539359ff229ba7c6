//! The prepared model beside the original, both run by ONNX Runtime.

use super::{Error, Original, Prepared, Result};
use crate::{
    onnx::{proto::ValueInfoProto, tensor::element},
    reference::{FloatModel, TensorInfo},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

/// Inputs that are tried besides the sample.
const TRIES: usize = 24;
/// A large model is asked less.
pub(super) const MOST_ELEMENTS: usize = 1 << 18;
/// How far the answers may be from each other, as a share of the largest: a float of 32 bits has 24 binary digits,
/// and sums in another order lose some of them.
const SHARE: f64 = 1e-3;
/// The same where the original works in floats of 16 bits, which have 11 digits or 8.
const HALF_SHARE: f64 = 1e-2;
/// The same where the original rounds to integers of 8 bits, of which what lies halfway may become either.
const STEP_SHARE: f64 = 2e-2;
const SEED: u64 = 0x7072_6570;

/// Refuses a prepared model whose answers are not the original's.
pub(super) async fn same(
    original: &Original,
    prepared: &Prepared,
    inputs: &[(String, Vec<usize>, Vec<f64>)],
) -> Result<()> {
    let shapes: Vec<_> =
        inputs.iter().map(|(name, shape, _)| (name.clone(), shape.clone())).collect();
    let before = FloatModel::of(&original.model, original.path(), &shapes).await?;
    let after = FloatModel::of(&prepared.model, original.path(), &shapes).await?;
    let sample: Vec<Vec<f64>> = before
        .inputs()
        .iter()
        .map(|input| {
            let given = inputs.iter().find(|(name, ..)| *name == input.name);
            given.map(|(.., data)| data.clone()).unwrap_or_default()
        })
        .collect();
    let tolerance = Tolerance::of(original);
    let size: usize = sample.iter().map(Vec::len).sum();
    let tries = TRIES.min(MOST_ELEMENTS / size.max(1));
    let mut random = StdRng::seed_from_u64(SEED);
    for number in 0..=tries {
        let input: Vec<Vec<f64>> = match number {
            0 => sample.clone(),
            _ => sample
                .iter()
                .zip(before.inputs())
                .map(|(data, info)| near(&mut random, data, info.is_label()))
                .collect(),
        };
        // An input that the original itself can't take says nothing.
        let expected = match before.run(&input) {
            Ok(expected) => expected,
            Err(error) if number == 0 => return Err(error.into()),
            Err(_) => continue,
        };
        let found = after.run(&input)?;
        for ((info, expected), found) in before.outputs().iter().zip(&expected).zip(&found) {
            if let Some(element) = tolerance.first_other(info, expected, found) {
                return Err(Error::Differs {
                    path: original.path().to_owned(),
                    output: info.name.clone(),
                    element,
                    expected: expected[element],
                    found: found.get(element).copied().unwrap_or(f64::NAN),
                    operators: before.operators().join(", "),
                });
            }
        }
    }
    Ok(())
}

/// How far answers may be from the original's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerance {
    share: f64,
    rounds: bool,
}

impl Tolerance {
    pub(super) fn of(original: &Original) -> Self {
        let rounds = rounds(original);
        let share = match has_halves(original) {
            _ if rounds => STEP_SHARE,
            true => HALF_SHARE,
            false => SHARE,
        };
        Self { share, rounds }
    }

    /// The first element that is another.
    pub(super) fn first_other(
        &self,
        info: &TensorInfo,
        expected: &[f64],
        found: &[f64],
    ) -> Option<usize> {
        let bound = match (info.is_label(), self.rounds && info.is_small()) {
            (false, _) => Bound::Share(self.share),
            (true, small) => Bound::Steps(f64::from(u8::from(small))),
        };
        first_other(expected, found, bound)
    }
}

/// Other numbers of the sample's size: of labels some of the sample's own, which the model surely takes.
pub(super) fn near(random: &mut StdRng, data: &[f64], labels: bool) -> Vec<f64> {
    let largest = data.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let one = |random: &mut StdRng, value: f64| match labels {
        true if data.is_empty() => value,
        true => data[random.gen_range(0..data.len())],
        false => value + random.gen_range(-1.0..=1.0) * largest,
    };
    data.iter().map(|value| one(random, *value)).collect()
}

fn has_halves(original: &Original) -> bool {
    let half = |kind: i32| matches!(kind, element::FLOAT16 | element::BFLOAT16);
    let Some(graph) = &original.model.graph else { return false };
    let casts = graph.node.iter().filter_map(|node| i32::try_from(node.int("to")?).ok());
    let weights = graph.initializer.iter().map(|tensor| tensor.data_type);
    let inputs = graph.input.iter().filter_map(ValueInfoProto::elem_type);
    casts.chain(weights).chain(inputs).any(half)
}

/// Whether floats are rounded to small integers: what lies halfway between two may become either.
fn rounds(original: &Original) -> bool {
    let nodes = original.model.graph.iter().flat_map(|graph| &graph.node);
    nodes
        .map(|node| node.op_type.as_str())
        .any(|operator| operator.contains("QuantizeLinear") || operator.starts_with("QLinear"))
}

#[derive(Clone, Copy)]
enum Bound {
    /// As a share of the largest.
    Share(f64),
    /// Whole numbers.
    Steps(f64),
}

fn first_other(expected: &[f64], found: &[f64], bound: Bound) -> Option<usize> {
    if expected.len() != found.len() {
        return Some(expected.len().min(found.len()).saturating_sub(1));
    }
    let finite = expected.iter().filter(|value| value.is_finite());
    let largest = finite.fold(0.0f64, |largest, value| largest.max(value.abs()));
    let allowed = match bound {
        Bound::Share(share) => share * largest + 1e-6,
        Bound::Steps(steps) => steps,
    };
    expected.iter().zip(found).position(|(expected, found)| {
        // Where the original has no number, the circuit is judged elsewhere.
        expected.is_finite() && (found.is_nan() || (expected - found).abs() > allowed)
    })
}
