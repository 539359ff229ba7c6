//! Inputs so near to a tie or a threshold that the circuit's rounding decides.

use super::Observation;
use crate::{
    accuracy::{FloatModel, stats::REFUSED_SHARE},
    artifacts::settings::Settings,
    model::batch::Batching,
    onnx::proto::{GraphProto, ValueInfoProto},
    prepare::Original,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

/// Elements that are moved one by one at most.
const ONE_BY_ONE: usize = 256;
const TOGETHER: usize = 64;

/// Halvings of the way to a neighbour: a thousandth of a step is left.
const HALVINGS: usize = 10;

/// Inputs that are one step of the circuit's grid away, with the model's answers to them.
pub(super) fn neighbours<'a>(
    model: &'a FloatModel,
    (settings, batch): (&'a Settings, Batching),
    input: &'a Observation,
) -> impl Iterator<Item = (Observation, Vec<Vec<f64>>)> + 'a {
    let param = settings.run_args.param_scale.0;
    let steps: Vec<f64> = (0..input.len())
        .map(|number| {
            let scale = settings.model_input_scales.get(batch.first_input(number));
            let scale = scale.map_or(param, |scale| scale.0);
            match model.inputs()[number].is_label() {
                true => 0.0,
                // A constant that the input is compared with is rounded, too.
                false => f64::from(-scale.min(param)).exp2(),
            }
        })
        .collect();
    let rounded: Observation = input
        .iter()
        .zip(&steps)
        .map(|(tensor, step)| match *step > 0.0 {
            true => tensor.iter().map(|value| (value / step).round() * step).collect(),
            false => tensor.clone(),
        })
        .collect();
    let places: Vec<(usize, usize)> = input
        .iter()
        .enumerate()
        .filter(|(number, _)| steps[*number] > 0.0)
        .flat_map(|(number, tensor)| (0..tensor.len()).map(move |element| (number, element)))
        .collect();
    let mut random = StdRng::seed_from_u64(0);
    let single_steps = steps.clone();
    let singles: Vec<_> = match places.len() <= ONE_BY_ONE {
        true => places.iter().flat_map(|place| [(*place, 1.0), (*place, -1.0)]).collect(),
        false => Vec::new(),
    };
    let singles = singles.into_iter().map(move |((number, element), sign)| {
        let mut moved = input.clone();
        moved[number][element] += sign * single_steps[number];
        moved
    });
    let together = (0..TOGETHER).map(move |_| {
        let mut moved = input.clone();
        for (tensor, step) in moved.iter_mut().zip(&steps) {
            if *step > 0.0 {
                tensor.iter_mut().for_each(|value| *value += step * random.gen_range(-1.0..=1.0));
            }
        }
        moved
    });
    std::iter::once(rounded)
        .chain(singles)
        .chain(together)
        .filter_map(|moved| model.run(&moved).ok().map(|answers| (moved, answers)))
}

/// Whether the model jumps on the way from an input to a neighbour whose answers are `near` the circuit's: whether
/// half of what is between both ends lies within a thousandth of the way. Where it does not, the circuit's grid is too
/// coarse for the model, and no threshold is to blame.
pub(super) fn jumps(
    model: &FloatModel,
    input: &Observation,
    neighbour: Observation,
    near: impl Fn(&[Vec<f64>]) -> bool,
    value: impl Fn(&[Vec<f64>]) -> f64,
) -> bool {
    let (mut far, mut close) = (input.clone(), neighbour);
    let (Ok(mut before), Ok(mut after)) = (model.run(&far), model.run(&close)) else {
        return false;
    };
    let whole = (value(&before) - value(&after)).abs();
    for _ in 0..HALVINGS {
        let mut middle = far.clone();
        for (middle, close) in middle.iter_mut().flatten().zip(close.iter().flatten()) {
            *middle = f64::midpoint(*middle, *close);
        }
        let Ok(answers) = model.run(&middle) else { return false };
        match near(&answers) {
            true => (close, after) = (middle, answers),
            false => (far, before) = (middle, answers),
        }
    }
    (value(&before) - value(&after)).abs() >= whole / 2.0
}

/// The scores from which an output chooses its class.
pub(super) struct Scores {
    model: FloatModel,
    /// For each output of the model, the score tensor among the outputs of `model` and whether the smallest wins.
    of: Vec<Option<usize>>,
}

impl Scores {
    /// `None` where no output is a choice, or its scores can't be had.
    pub(super) async fn load(
        original: &Original,
        model: &FloatModel,
        settings: &Settings,
    ) -> Option<Self> {
        let mut proto = original.model.clone();
        let graph = proto.graph.as_mut()?;
        let mut names: Vec<String> = Vec::new();
        let of = model
            .outputs()
            .iter()
            .map(|output| {
                let name = scores_of(graph, &output.name)?;
                names.push(name);
                Some(names.len() - 1)
            })
            .collect();
        if names.is_empty() {
            return None;
        }
        graph.output =
            names.into_iter().map(|name| ValueInfoProto { name, r#type: None }).collect();
        let slots = original.slots(&settings.run_args.variables).ok()?;
        let shapes: Vec<_> = slots.into_iter().map(|slot| (slot.name, slot.shape)).collect();
        let model = FloatModel::of(&proto, original.path(), &shapes).await.ok()?;
        Some(Self { model, of })
    }

    /// Whether the model's scores of both classes are nearly the same.
    pub(super) fn are_near(
        &self,
        output: usize,
        input: &Observation,
        expected: f64,
        found: f64,
    ) -> bool {
        let Some(number) = self.of[output] else { return false };
        let Ok(mut scores) = self.model.run(input) else { return false };
        let scores = scores.swap_remove(number);
        let score = |class: f64| (class >= 0.0).then(|| scores.get(class as usize)).flatten();
        let (Some(expected), Some(found)) = (score(expected), score(found)) else { return false };
        let low = scores.iter().copied().fold(f64::INFINITY, f64::min);
        let high = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (expected - found).abs() <= REFUSED_SHARE * (high - low)
    }
}

/// The input of the ArgMax or ArgMin that makes an output, perhaps by way of operators that change no value.
fn scores_of(graph: &GraphProto, output: &str) -> Option<String> {
    const SAME: [&str; 6] = ["Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"];
    let mut name = output;
    for _ in 0..graph.node.len() {
        let node = graph.node.iter().find(|node| node.output.iter().any(|it| it == name))?;
        match node.op_type.as_str() {
            "ArgMax" | "ArgMin" => return node.input.first().cloned(),
            kind if SAME.contains(&kind) => name = node.input.first()?,
            _ => return None,
        }
    }
    None
}
