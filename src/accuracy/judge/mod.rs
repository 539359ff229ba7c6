//! The judge: whether a circuit says what the model says.
//!
//! The model's word is ONNX Runtime's, the circuit's is ezkl's own forward pass. They are compared on the data,
//! on inputs next to the data and on inputs drawn from the data's range. See [`run`] for what is refused.

mod error;
mod inputs;
mod parting;
mod ties;

pub use error::{Disagreement, Error};

use super::{
    FloatModel, Observation,
    forward::{Forward, forward_each},
    observations,
    stats::{ErrorBound, REFUSED_SHARE, Statistic, percent_error},
};
use crate::{
    artifacts::{extents::Extents, settings::Settings},
    engine::EnginePool,
    prepare::Original,
    task::blocking,
};
use inputs::{Asked, Origin, ask};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Of this many observations of the data one may fall to the other side of a tie.
const TIES_OF_DATA: usize = 100;

/// From here on a 32-bit float, which ezkl reads integers as, leaves some of them out.
const EXACT_INTEGERS: f64 = 16_777_216.0;

/// What to judge.
#[derive(Clone, Debug)]
pub struct JudgeRequest<'a> {
    /// The original ONNX model.
    pub original: &'a Original,
    /// The model that the circuit was compiled from, which says the same.
    pub prepared: &'a Path,
    /// One file of observations or several.
    pub data: &'a [PathBuf],
    /// The compiled circuit.
    pub compiled: &'a Path,
    /// Its settings.
    pub settings: &'a Settings,
    /// The largest error on the data; [`REFUSED_SHARE`] if absent. On other inputs the laxer of both counts.
    pub max_error: Option<ErrorBound>,
}

/// What a circuit was found to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Observations of the data that were compared.
    pub observations: usize,
    /// Inputs next to the data and drawn from its range that were compared.
    pub drawn: usize,
    /// Drawn inputs to which the circuit has no answer that could be proved.
    pub unanswered: usize,
    /// Inputs so near to a tie or a threshold that the circuit's step decides.
    pub ties: usize,
    /// The bound, in words.
    pub bound: String,
    /// Each output.
    pub outputs: Vec<JudgedOutput>,
}

/// How far a circuit's output is from the model's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgedOutput {
    /// The output's name in the ONNX file.
    pub name: String,
    /// The largest error, ties left out.
    pub max_error: f64,
    /// The largest value of the model less the smallest.
    pub range: f64,
}

type Result<T, E = Error> = std::result::Result<T, E>;

/// Compares a circuit with its model. Returns with the judgement how large the circuit's numbers got.
///
/// A float output may be off by [`REFUSED_SHARE`] of the range of the model's answers (of their size, where
/// they are all the same or the data is one observation), an integer output (a class, a label) not at all. An answer beyond that passes as
/// a tie if the model itself gives it within the bound for an input that is one step of the circuit's
/// fixed-point grid away, and jumps in between (where its answers only grow, the grid is too coarse), or if
/// the model's scores of the two classes differ by less than the same share of their range; of the data only
/// one observation in a hundred may be such a tie.
///
/// # Errors
/// [`Error::Wrong`] for the first disagreement; whatever keeps the two from being compared.
pub async fn run(request: &JudgeRequest<'_>, pool: &EnginePool) -> Result<(Judgement, Extents)> {
    let settings = request.settings;
    let model =
        request.original.float_model(&settings.run_args.variables).await.map_err(Box::new)?;
    let mut data = Vec::new();
    for path in request.data {
        data.extend(observations::read(path, model.slots())?);
    }
    let batch = request.original.batch();
    let asked = {
        let (model, rows) = (model.clone(), settings.num_rows / batch.size());
        blocking(move || ask(&model, rows, &data)).await?
    };
    let order = order(asked.len(), batch.size());
    let observations: Vec<_> = order.iter().map(|number| &asked[*number].input).collect();
    let mut answers =
        forward_each(pool, request.compiled, settings, batch, &observations, |_| {}).await?;
    // What fills the places of a batch up is answered again there.
    let again = answers.split_off(asked.len().min(answers.len()));
    let scores = ties::Scores::load(request.original, &model, settings).await;
    let lone = asked.iter().filter(|one| one.is_data()).count() < 2;
    let court = Court { request, model: &model, scores, ranges: ranges(&model, &asked), lone };
    let extents = extents(settings, &asked, &answers);
    let repeated = order[answers.len()..].iter().map(|number| &asked[*number]);
    let judged = court.judge(&asked, answers).and_then(|judgement| {
        court.judge(repeated, again)?;
        Ok((judgement, extents))
    });
    let together = |one: &Asked| batch.join(&[&one.input]);
    match judged {
        Err(Error::Wrong(mut wrong)) => {
            let one = asked.iter().find(|one| one.to_string() == wrong.input);
            if let Some(one) = one {
                wrong.operator =
                    parting::find(pool, request.prepared, settings, &together(one)).await;
            }
            Err(Error::Wrong(wrong))
        }
        Err(Error::Outputs { model: path, expected, found, .. }) => {
            let operator = match asked.first() {
                Some(one) => parting::find(pool, request.prepared, settings, &together(one)).await,
                None => None,
            };
            Err(Error::Outputs { model: path, expected, found, operator })
        }
        judged => judged,
    }
}

/// The largest numbers of all that the circuit was asked and answered.
fn extents(settings: &Settings, asked: &[Asked], answers: &[Result<Forward, String>]) -> Extents {
    let mut extents = Extents::default();
    for (one, answer) in asked.iter().zip(answers) {
        let Ok(answer) = answer else { continue };
        extents.saw_inputs(&settings.model_input_scales, &one.input);
        extents.saw_outputs(&settings.model_output_scales, &answer.outputs);
    }
    extents
}

/// The numbers of those that are asked, in the order in which they fill batches: each of them, then again until no
/// batch has a place left and each place has had two. They shift each time, so that a place has another.
fn order(asked: usize, size: usize) -> Vec<usize> {
    if size == 1 || asked == 0 {
        return (0..asked).collect();
    }
    let places = asked.div_ceil(size).max(2) * size;
    (0..places).map(|place| (place + place / asked) % asked).collect()
}

/// The smallest and the largest value of each of the model's outputs.
fn ranges(model: &FloatModel, asked: &[Asked]) -> Vec<(f64, f64)> {
    (0..model.outputs().len())
        .map(|output| {
            let values = asked.iter().flat_map(|one| &one.expected[output]);
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(*value), high.max(*value))
            })
        })
        .collect()
}

struct Court<'a> {
    request: &'a JudgeRequest<'a>,
    model: &'a FloatModel,
    scores: Option<ties::Scores>,
    ranges: Vec<(f64, f64)>,
    /// Whether the data has one observation only.
    lone: bool,
}

impl Court<'_> {
    fn judge<'a>(
        &self,
        asked: impl IntoIterator<Item = &'a Asked>,
        answers: Vec<Result<Forward, String>>,
    ) -> Result<Judgement> {
        let asked: Vec<_> = asked.into_iter().collect();
        let outputs = self.model.outputs();
        let mut judgement = Judgement {
            observations: asked.iter().filter(|one| one.is_data()).count(),
            drawn: 0,
            unanswered: 0,
            ties: 0,
            bound: self.bound(),
            outputs: outputs
                .iter()
                .zip(&self.ranges)
                .map(|(info, (low, high))| JudgedOutput {
                    name: info.name.clone(),
                    max_error: 0.0,
                    range: high - low,
                })
                .collect(),
        };
        let (mut tied, mut ties) = (None, 0);
        let mut errors: Vec<f64> = Vec::new();
        for (one, answer) in asked.into_iter().zip(answers) {
            let answer = answer.and_then(|it| it.unprovable.clone().map_or(Ok(it.outputs), Err));
            let found = match answer {
                Ok(found) => found,
                Err(message) if one.is_data() => {
                    let (model, input) = (self.request.original.path().to_owned(), one.to_string());
                    return Err(Error::Unanswered { model, input, message });
                }
                Err(_) => {
                    judgement.unanswered += 1;
                    continue;
                }
            };
            judgement.drawn += usize::from(!one.is_data());
            self.check_lengths(&found)?;
            if let Some((output, element)) = self.first_beyond(one.is_data(), &one.expected, &found)
            {
                let wrong = || self.wrong(one, output, element, found[output][element]);
                if !self.is_tie(one, (output, element), &found) {
                    return Err(wrong());
                }
                judgement.ties += 1;
                ties += usize::from(one.is_data());
                if one.is_data() && tied.is_none() {
                    tied = Some(wrong());
                }
                continue;
            }
            for (number, (expected, found)) in one.expected.iter().zip(&found).enumerate() {
                let output = &mut judgement.outputs[number];
                for (expected, found) in expected.iter().zip(found) {
                    output.max_error = output.max_error.max((expected - found).abs());
                    if one.is_data() {
                        errors.extend(self.mean_error(number, *expected, *found));
                    }
                }
            }
        }
        if let Some(tied) = tied.filter(|_| ties * TIES_OF_DATA > judgement.observations) {
            return Err(tied);
        }
        if let Some(bound) = self.request.max_error.filter(|it| it.statistic == Statistic::Mean) {
            let mean = errors.iter().sum::<f64>() / errors.len().max(1) as f64;
            if mean > bound.value {
                let model = self.request.original.path().to_owned();
                return Err(Error::Mean { model, mean, bound });
            }
        }
        Ok(judgement)
    }

    fn check_lengths(&self, found: &[Vec<f64>]) -> Result<()> {
        let expected: Vec<_> = self.model.outputs().iter().map(|output| output.len()).collect();
        let found: Vec<_> = found.iter().map(Vec::len).collect();
        if expected == found {
            return Ok(());
        }
        Err(Error::Outputs {
            model: self.request.original.path().to_owned(),
            expected,
            found,
            operator: None,
        })
    }

    fn bound(&self) -> String {
        match self.request.max_error {
            Some(bound) => format!("{bound}"),
            None => format!(
                "{} % of the range of the model's answers, and no other integer or class",
                REFUSED_SHARE * 100.0
            ),
        }
    }

    fn step(&self, output: usize) -> f64 {
        let first = self.request.original.batch().first_output(output);
        let scale = self.request.settings.model_output_scales.get(first);
        scale.map_or(1.0, |scale| f64::from(-scale.0).exp2())
    }

    /// Whether an element is within the bound.
    fn is_within(&self, is_data: bool, output: usize, expected: f64, found: f64) -> bool {
        let error = (expected - found).abs();
        let (low, high) = self.ranges[output];
        let size = match () {
            // How far answers range, one observation and what is next to it don't show.
            () if self.lone => (high - low).max(low.abs()).max(high.abs()),
            () if high > low => high - low,
            () => low.abs(),
        };
        let default = match self.model.outputs()[output].is_label() {
            true => 0.0,
            false if size > 0.0 => REFUSED_SHARE * size,
            // Nothing but zeros, which the circuit has exactly or within its rounding.
            false => self.step(output),
        };
        let given = self.request.max_error.map(|bound| match (bound.statistic, bound.percent) {
            (Statistic::Mean, _) => true,
            (_, false) => error <= bound.value,
            (_, true) => percent_error(expected, found, self.step(output))
                .map_or(error <= self.step(output), |percent| percent <= bound.value),
        });
        match given {
            Some(given) if is_data => given,
            Some(true) => true,
            _ => error <= default,
        }
    }

    fn mean_error(&self, output: usize, expected: f64, found: f64) -> Option<f64> {
        let bound = self.request.max_error?;
        match bound.percent {
            true => percent_error(expected, found, self.step(output)),
            false => Some((expected - found).abs()),
        }
    }

    fn first_beyond(
        &self,
        is_data: bool,
        expected: &[Vec<f64>],
        found: &[Vec<f64>],
    ) -> Option<(usize, usize)> {
        expected.iter().zip(found).enumerate().find_map(|(output, (expected, found))| {
            let mut pairs = expected.iter().zip(found);
            let beyond = |(expected, found): (&f64, &f64)| {
                !self.is_within(is_data, output, *expected, *found)
            };
            pairs.position(beyond).map(|element| (output, element))
        })
    }

    /// Whether the circuit's answer is the model's own to an input one step away, or the model all but
    /// chose it.
    fn is_tie(&self, one: &Asked, (output, element): (usize, usize), found: &[Vec<f64>]) -> bool {
        let (is_data, settings) = (one.is_data(), self.request.settings);
        if let (Some(scores), [found], [expected]) =
            (&self.scores, &*found[output], &*one.expected[output])
            && scores.are_near(output, &one.input, *expected, *found)
        {
            return true;
        }
        let near = |answers: &[Vec<f64>]| self.first_beyond(is_data, answers, found).is_none();
        // A class is one or the other.
        let jumps = |neighbour| {
            self.model.outputs()[output].is_label()
                || ties::jumps(self.model, &one.input, neighbour, near, |answers| {
                    answers[output][element]
                })
        };
        ties::neighbours(self.model, (settings, self.request.original.batch()), &one.input)
            .any(|(neighbour, answers)| near(&answers) && jumps(neighbour))
    }

    fn wrong(&self, one: &Asked, output: usize, element: usize, found: f64) -> Error {
        let expected = one.expected[output][element];
        let cause = (self.model.outputs()[output].is_label() && expected.abs() > EXACT_INTEGERS)
            .then(|| {
                "ezkl reads integers as 32-bit floats, which leave some out beyond 2^24 = 16777216"
                    .to_owned()
            });
        Error::Wrong(Box::new(Disagreement {
            model: self.request.original.path().to_owned(),
            output: self.model.outputs()[output].name.clone(),
            element,
            expected,
            found,
            input: one.to_string(),
            bound: self.bound(),
            operator: None,
            cause,
        }))
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin {
            Origin::Data(number) => write!(f, "observation {number} of the data"),
            Origin::Near(number) => write!(f, "an input next to the data (number {number})"),
            Origin::Drawn(number) => {
                write!(f, "an input drawn from the data's range (number {number})")
            }
        }
    }
}

#[cfg(test)]
mod tests;
