//! The result of a comparison.

use super::{
    float_model::TensorInfo,
    stats::{self, ErrorBound, Summary},
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
    /// The absolute error over all outputs; absent when every observation was refused.
    pub absolute: Option<Summary>,
    /// The percent error over all outputs, where it is defined.
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
    /// Rows along the last axis, where it has at least two elements.
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
    /// |circuit − float|.
    pub absolute: f64,
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
        cases.sort_by(|a, b| b.absolute.total_cmp(&a.absolute));
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

    /// The error that `bound` is about, over all outputs. `None` where it is undefined.
    pub fn measure(&self, bound: &ErrorBound) -> Option<f64> {
        bound.measure(self.absolute.as_ref()?, self.percent.as_ref())
    }

    /// Why the circuit does not keep to the bound; `None` when it does.
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
        let unit = if bound.percent { "%" } else { "" };
        match self.measure(bound) {
            None => Some(
                "the percent error is undefined: every output is next to 0; bound the absolute \
                 error instead"
                    .to_owned(),
            ),
            Some(error) if error > bound.value => {
                Some(format!("the error is {error:.6}{unit}, above {bound}"))
            }
            Some(_) => None,
        }
    }
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
    let row = info.shape.last().copied().unwrap_or(1);
    for (expected, outcome) in float.values.iter().zip(outcomes) {
        let (Some(expected), Ok(Some(found))) =
            (expected.get(number), outcome.as_ref().map(|outputs| outputs.get(number)))
        else {
            continue;
        };
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
        for (element, (float, circuit)) in expected.iter().zip(found).enumerate() {
            let absolute = stats::absolute_error(*float, *circuit);
            if worst.as_ref().is_none_or(|worst| absolute > worst.absolute) {
                worst = Some(WorstCase {
                    observation,
                    output: output.name.clone(),
                    element,
                    float: *float,
                    circuit: *circuit,
                    absolute,
                    percent: stats::percent_error(*float, *circuit, output.step),
                    inputs: Vec::new(),
                });
            }
        }
    }
    worst.map(|worst| WorstCase {
        inputs: inputs.get(observation).cloned().unwrap_or_default(),
        ..worst
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two circuits of a model with two outputs on four observations, one of which the second
    /// circuit refuses.
    pub(crate) fn sample() -> AccuracyReport {
        let info = |name: &str, shape: &[usize]| TensorInfo {
            name: name.to_owned(),
            shape: shape.to_vec(),
            element: "f32".to_owned(),
        };
        let float = FloatRun {
            outputs: vec![info("logits", &[1, 2]), info("score", &[1])],
            values: (0..4)
                .map(|n| {
                    let n = f64::from(n);
                    vec![vec![n - 1.5, 0.25], vec![n / 4.0]]
                })
                .collect(),
        };
        let inputs: Vec<_> = (0..4).map(|n| vec![vec![f64::from(n), 7.0]]).collect();
        let circuit = |label: &'static str, shift: f64, refuse: Option<usize>| {
            let outcomes = float.values.iter().enumerate().map(|(number, values)| {
                if refuse == Some(number) {
                    return Err("a value is beyond the circuit's range".to_owned());
                }
                let moved = |tensor: &Vec<f64>| tensor.iter().map(|v| v + shift).collect();
                Ok(values.iter().map(moved).collect())
            });
            let run = CircuitRun {
                label,
                logrows: 8,
                scales: (7, 7, 1),
                output_scales: &[Scale(7), Scale(7)],
                outcomes: outcomes.collect(),
                lookups: Some(LookupUse { min: -3, max: 50, low: -100, high: 100 }),
            };
            CircuitReport::new(run, &float, &inputs, 2)
        };
        AccuracyReport {
            model: PathBuf::from("model.onnx"),
            observations: 4,
            circuits: vec![circuit("tuned", 0.25, None), circuit("ezkl", -0.5, Some(3))],
            float,
        }
    }

    #[test]
    fn errors_flips_and_refusals_are_counted() {
        let report = sample();
        let [tuned, ezkl] = &report.circuits[..] else { panic!("two circuits") };
        let absolute = tuned.absolute.expect("errors");
        // 0.3 + 0.25 is not exact.
        let quarter = |value: f64| (value - 0.25).abs() < 1e-12;
        assert_eq!(absolute.count, 12);
        assert!(quarter(absolute.min) && quarter(absolute.max), "{absolute:?}");
        // Only the score of observation 0 is 0.
        assert_eq!((tuned.percent_undefined, tuned.outputs[1].percent_undefined), (1, 1));
        // −1.5, −0.5, 0.5, 1.5: none crosses 0 by +0.25; the 0.25 beside them does by −0.5.
        assert_eq!(tuned.outputs[0].sign_flips, 0);
        assert_eq!(ezkl.outputs[0].sign_flips, 3);
        assert_eq!((tuned.argmax(), ezkl.argmax()), ((4, 0), (3, 0)));
        assert_eq!(tuned.worst.len(), 2);
        assert_eq!(tuned.worst[0].inputs[0].len(), 2);
        assert_eq!(ezkl.refused.len(), 1);
        assert_eq!(ezkl.refused[0].observation, 3);
        assert_eq!(ezkl.values[3], None);
        assert_eq!(tuned.outputs[0].elements.len(), 2);
    }

    #[test]
    fn bounds_hold_or_say_why_not() {
        let report = sample();
        let [tuned, ezkl] = &report.circuits[..] else { panic!("two circuits") };
        let bound = |text: &str| text.parse::<ErrorBound>().expect(text);
        assert_eq!(tuned.violation(&bound("0.25")), None);
        assert!(tuned.violation(&bound("0.2")).is_some_and(|why| why.contains("above 0.2")));
        assert!(tuned.violation(&bound("mean:0.2")).is_some());
        assert!(tuned.violation(&bound("1%")).is_some_and(|why| why.contains('%')));
        assert!(ezkl.violation(&bound("9")).is_some_and(|why| why.contains("refused 1 of 4")));
    }

    #[test]
    fn lookup_use_is_a_part_of_the_nearer_limit() {
        let part = |min, max, low, high| LookupUse { min, max, low, high }.fraction();
        assert_eq!(part(-3, 50, -100, 100), 0.5);
        assert_eq!(part(-90, 50, -100, 100), 0.9);
        assert_eq!(part(-5, 0, -10, 0), 0.5);
        assert_eq!(part(0, 1, -10, 0), f64::INFINITY);
        assert_eq!(part(0, 0, 0, 0), 0.0);
    }

    #[test]
    fn the_table_and_the_csv_hold_every_value() {
        let report = sample();
        let table = report.table();
        assert!(table.contains("logits") && table.contains("undefined"), "{table}");
        let csv = report.csv();
        assert_eq!(csv.lines().count(), 1 + 2 * 4 * 3);
        assert!(csv.contains("tuned,0,logits,0,-1.5,-1.25,0.25,16.66"), "{csv}");
        assert!(csv.contains("ezkl,3,score,0,0.75,,,"), "{csv}");
        let json = serde_json::to_value(&report).expect("JSON");
        let max = json["circuits"][0]["absolute"]["max"].as_f64().expect("a number");
        assert!((max - 0.25).abs() < 1e-12, "{max}");
        assert!(json["circuits"][0].get("values").is_none());
    }
}
