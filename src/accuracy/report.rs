//! The result of a comparison.

use super::{
    float_model::TensorInfo,
    stats::{self, ErrorBound, Flips, Summary},
};
use crate::field::Scale;
use serde::Serialize;
use std::path::PathBuf;

/// How a circuit, or two, agree with the float model.
#[derive(Clone, Debug, Serialize)]
pub struct AccuracyReport {
    /// The ONNX model.
    pub model: PathBuf,
    /// How many observations there were.
    pub observations: usize,
    /// Why an error that was measured here says little, in words.
    pub notes: Vec<String>,
    /// The circuit in question first, then the one that it is compared with.
    pub circuits: Vec<CircuitReport>,
    /// The float model's outputs and inputs, for plots; not part of the JSON.
    #[serde(skip)]
    pub float: FloatRun,
}

/// The float model's side.
#[derive(Clone, Debug, Default)]
pub struct FloatRun {
    /// The outputs' names and shapes.
    pub outputs: Vec<TensorInfo>,
    /// For each observation, each output's elements.
    pub values: Vec<Vec<Vec<f64>>>,
}

/// One circuit's agreement.
#[derive(Clone, Debug, Serialize)]
pub struct CircuitReport {
    /// What to call it, such as `tuned`.
    pub label: String,
    /// log2 of the circuit's rows.
    pub logrows: u32,
    /// Fractional bits of inputs, parameters and the multiplier at which values are brought back.
    pub scales: (i32, i32, u32),
    /// Each output tensor.
    pub outputs: Vec<OutputReport>,
    /// The absolute error over all float outputs; absent where there is none or every observation was
    /// refused.
    pub absolute: Option<Summary>,
    /// The percent error over all float outputs, where it is defined.
    pub percent: Option<Summary>,
    /// Output values whose percent error is undefined.
    pub percent_undefined: usize,
    /// The observations with the largest errors, worst first.
    pub worst: Vec<WorstCase>,
    /// Observations for which the circuit gives no provable answer.
    pub refused: Vec<Refusal>,
    /// How far the observations reached into the circuit's lookup table.
    pub lookups: Option<LookupUse>,
    /// Wall-clock seconds for the circuit's answers.
    pub seconds: f64,
    /// The circuit's outputs, for plots: for each observation, unless it was refused, each
    /// output's elements.
    #[serde(skip)]
    pub values: Vec<Option<Vec<Vec<f64>>>>,
}

/// The agreement of one output tensor.
#[derive(Clone, Debug, Serialize)]
pub struct OutputReport {
    /// The name in the ONNX file.
    pub name: String,
    /// The shape.
    pub shape: Vec<usize>,
    /// The type of its elements in the ONNX file, such as `f32` or `i64`.
    pub element: String,
    /// Observations that have another label, where the elements are integers or booleans and an observation
    /// was answered. Nothing else is told of labels: their difference is no quantity.
    pub label_flips: Option<Flips>,
    /// The step of the output's fixed-point grid, 2^−scale.
    pub step: f64,
    /// The absolute error.
    pub absolute: Option<Summary>,
    /// The percent error, where it is defined.
    pub percent: Option<Summary>,
    /// Values whose percent error is undefined: the float model's is nearer to 0 than `step`.
    pub percent_undefined: usize,
    /// Values whose sign differs.
    pub sign_flips: usize,
    /// Rows along the last axis of more than one element, for the class is the largest of them.
    pub argmax_rows: usize,
    /// Rows whose largest element is another one.
    pub argmax_flips: usize,
    /// The absolute error of each element, for the first [`MAX_ELEMENTS`].
    pub elements: Vec<Summary>,
}

/// The number of elements of an output that are told apart.
pub const MAX_ELEMENTS: usize = 64;

/// An observation with a large error.
#[derive(Clone, Debug, Serialize)]
pub struct WorstCase {
    /// Which observation, from 0.
    pub observation: usize,
    /// Its output with the largest absolute error.
    pub output: String,
    /// The element of that output.
    pub element: usize,
    /// The float model's value.
    pub float: f64,
    /// The circuit's.
    pub circuit: f64,
    /// |circuit − float|; absent for a label.
    pub absolute: Option<f64>,
    /// The percent error, where it is defined.
    pub percent: Option<f64>,
    /// The observation's inputs.
    pub inputs: Vec<Vec<f64>>,
}

/// An observation without a provable answer.
#[derive(Clone, Debug, Serialize)]
pub struct Refusal {
    /// Which observation, from 0.
    pub observation: usize,
    /// Why.
    pub message: String,
}

/// The part of a lookup table that was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LookupUse {
    /// The smallest value looked up.
    pub min: i128,
    /// The largest value looked up.
    pub max: i128,
    /// The table's lower end.
    pub low: i128,
    /// The table's upper end.
    pub high: i128,
}

impl LookupUse {
    /// The used part of the nearer limit: 0.5 means that values could be twice as large. Above 1
    /// no proof is possible.
    pub fn fraction(&self) -> f64 {
        let part = |value: i128, limit: i128| match (value, limit) {
            (value, limit) if value <= 0 || (limit == 0 && value == 0) => 0.0,
            (_, limit) if limit <= 0 => f64::INFINITY,
            (value, limit) => value as f64 / limit as f64,
        };
        part(self.max, self.high).max(part(-self.min, -self.low))
    }
}

/// What came of one observation.
pub(super) type Outcome = Result<Vec<Vec<f64>>, String>;

/// Everything about one circuit's run that the report is made of.
#[derive(Debug)]
pub(super) struct CircuitRun<'a> {
    pub(super) label: &'a str,
    pub(super) logrows: u32,
    pub(super) scales: (i32, i32, u32),
    pub(super) output_scales: &'a [Scale],
    pub(super) outcomes: Vec<Outcome>,
    pub(super) lookups: Option<LookupUse>,
}

impl CircuitReport {
    /// Compares a circuit's outcomes with the float model's values.
    pub(super) fn new(
        run: CircuitRun<'_>,
        float: &FloatRun,
        inputs: &[Vec<Vec<f64>>],
        worst: usize,
    ) -> Self {
        let mut all = Errors::default();
        let mut outputs = Vec::new();
        for (number, info) in float.outputs.iter().enumerate() {
            let step = run.output_scales.get(number).map_or(1.0, |scale| 1.0 / scale.multiplier());
            outputs.push(compare(info, number, step, &run.outcomes, float, &mut all));
        }
        let mut cases: Vec<_> = run
            .outcomes
            .iter()
            .enumerate()
            .filter_map(|(observation, outcome)| {
                let found = outcome.as_ref().ok()?;
                worst_case(observation, found, float, &outputs, inputs)
            })
            .collect();
        cases.sort_by(|a, b| b.size().total_cmp(&a.size()));
        cases.truncate(worst);
        let refused = run
            .outcomes
            .iter()
            .enumerate()
            .filter_map(|(observation, outcome)| {
                let message = outcome.as_ref().err()?.clone();
                Some(Refusal { observation, message })
            })
            .collect();
        Self {
            label: run.label.to_owned(),
            logrows: run.logrows,
            scales: run.scales,
            outputs,
            percent_undefined: all.undefined,
            absolute: Summary::of(all.absolute),
            percent: Summary::of(all.percent),
            worst: cases,
            refused,
            lookups: run.lookups,
            seconds: 0.0,
            values: run.outcomes.into_iter().map(Result::ok).collect(),
        }
    }

    /// Rows along the last axis of all outputs, and how many have another largest element.
    pub fn argmax(&self) -> (usize, usize) {
        let sum = |part: fn(&OutputReport) -> usize| self.outputs.iter().map(part).sum();
        (sum(|output| output.argmax_rows), sum(|output| output.argmax_flips))
    }

    /// Why the circuit does not keep to the bound, which is one on each output; `None` when it does. Of an
    /// output of labels, [`ErrorBound::flips`] may be others.
    pub fn violation(&self, bound: &ErrorBound) -> Option<String> {
        if let Some(first) = self.refused.first() {
            return Some(format!(
                "the circuit refused {} of {} observations (the first is number {}: {})",
                self.refused.len(),
                self.values.len(),
                first.observation,
                first.message
            ));
        }
        for output in &self.outputs {
            let flips = output.label_flips.filter(|flips| flips.share > bound.flips());
            if let Some(flips) = flips {
                return Some(format!(
                    "output `{}` has another label for {flips} observations, above {bound}",
                    output.name
                ));
            }
        }
        let unit = if bound.percent { "%" } else { "" };
        let errors: Vec<_> =
            self.outputs.iter().filter_map(|it| Some((it, it.measure(bound)?))).collect();
        if errors.is_empty() && self.absolute.is_some() {
            return Some(
                "the percent error is undefined: every output is next to 0; bound the absolute \
                 error instead"
                    .to_owned(),
            );
        }
        let (output, error) = errors.into_iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        (error > bound.value).then(|| {
            format!("the error of output `{}` is {error:.6}{unit}, above {bound}", output.name)
        })
    }
}

impl OutputReport {
    /// The error that `bound` is about. `None` where it is undefined, and for labels.
    fn measure(&self, bound: &ErrorBound) -> Option<f64> {
        bound.measure(self.absolute.as_ref()?, self.percent.as_ref())
    }
}

impl WorstCase {
    /// How bad it is, for comparison: another label is worse than any error.
    fn size(&self) -> f64 {
        match self.absolute {
            Some(error) => error,
            None if self.float != self.circuit => f64::INFINITY,
            None => 0.0,
        }
    }
}

/// The number of elements among which the largest says the class; 1 where there is none.
pub(super) fn row_of(shape: &[usize]) -> usize {
    shape.iter().rev().copied().find(|axis| *axis > 1).unwrap_or(1)
}

#[derive(Default)]
struct Errors {
    absolute: Vec<f64>,
    percent: Vec<f64>,
    undefined: usize,
}

fn compare(
    info: &TensorInfo,
    number: usize,
    step: f64,
    outcomes: &[Outcome],
    float: &FloatRun,
    all: &mut Errors,
) -> OutputReport {
    let mut errors = Errors::default();
    let mut elements = vec![Vec::new(); info.len().min(MAX_ELEMENTS)];
    let (mut flips, mut rows, mut row_flips) = (0, 0, 0);
    let mut labels = Vec::new();
    let row = row_of(&info.shape);
    for (expected, outcome) in float.values.iter().zip(outcomes) {
        let (Some(expected), Ok(Some(found))) =
            (expected.get(number), outcome.as_ref().map(|outputs| outputs.get(number)))
        else {
            continue;
        };
        if info.is_label() {
            labels.push(expected != found);
            continue;
        }
        for (index, (float, circuit)) in expected.iter().zip(found).enumerate() {
            let absolute = stats::absolute_error(*float, *circuit);
            errors.absolute.push(absolute);
            if let Some(element) = elements.get_mut(index) {
                element.push(absolute);
            }
            match stats::percent_error(*float, *circuit, step) {
                Some(percent) => errors.percent.push(percent),
                None => errors.undefined += 1,
            }
            flips += usize::from(stats::sign_flips(*float, *circuit));
        }
        if row > 1 {
            for (float, circuit) in expected.chunks(row).zip(found.chunks(row)) {
                rows += 1;
                row_flips += usize::from(stats::argmax_differs(float, circuit));
            }
        }
    }
    all.absolute.extend(&errors.absolute);
    all.percent.extend(&errors.percent);
    all.undefined += errors.undefined;
    OutputReport {
        name: info.name.clone(),
        shape: info.shape.clone(),
        element: info.element.clone(),
        label_flips: Flips::of(&labels),
        step,
        absolute: Summary::of(errors.absolute),
        percent: Summary::of(errors.percent),
        percent_undefined: errors.undefined,
        sign_flips: flips,
        argmax_rows: rows,
        argmax_flips: row_flips,
        elements: elements.into_iter().filter_map(Summary::of).collect(),
    }
}

fn worst_case(
    observation: usize,
    found: &[Vec<f64>],
    float: &FloatRun,
    outputs: &[OutputReport],
    inputs: &[Vec<Vec<f64>>],
) -> Option<WorstCase> {
    let expected = float.values.get(observation)?;
    let mut worst: Option<WorstCase> = None;
    for ((output, expected), found) in outputs.iter().zip(expected).zip(found) {
        let is_label = output.label_flips.is_some();
        for (element, (float, circuit)) in expected.iter().zip(found).enumerate() {
            let case = WorstCase {
                observation,
                output: output.name.clone(),
                element,
                float: *float,
                circuit: *circuit,
                absolute: (!is_label).then(|| stats::absolute_error(*float, *circuit)),
                percent: stats::percent_error(*float, *circuit, output.step).filter(|_| !is_label),
                inputs: Vec::new(),
            };
            if worst.as_ref().is_none_or(|worst| case.size() > worst.size()) {
                worst = Some(case);
            }
        }
    }
    worst.map(|worst| WorstCase {
        inputs: inputs.get(observation).cloned().unwrap_or_default(),
        ..worst
    })
}

#[cfg(test)]
pub(super) mod tests;
