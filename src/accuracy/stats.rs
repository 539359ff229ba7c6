//! Statistics of the difference between the circuit's outputs and the float model's.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Order statistics of a set of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// How many numbers.
    pub count: usize,
    /// The smallest.
    pub min: f64,
    /// The first quartile.
    pub q1: f64,
    /// The middle.
    pub median: f64,
    /// The third quartile.
    pub q3: f64,
    /// 95 in 100 are not above this.
    pub p95: f64,
    /// 99 in 100 are not above this.
    pub p99: f64,
    /// The largest.
    pub max: f64,
    /// The arithmetic mean.
    pub mean: f64,
}

impl Summary {
    /// The statistics of `values`; `None` when there is none. Quantiles interpolate linearly
    /// between the two nearest values, as NumPy's do by default.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let quantile = |q: f64| {
            let position = q * (values.len() - 1) as f64;
            let (low, high) = (position.floor() as usize, position.ceil() as usize);
            values[low] + (values[high] - values[low]) * (position - low as f64)
        };
        Some(Self {
            count: values.len(),
            min,
            q1: quantile(0.25),
            median: quantile(0.5),
            q3: quantile(0.75),
            p95: quantile(0.95),
            p99: quantile(0.99),
            max,
            mean: values.iter().sum::<f64>() / values.len() as f64,
        })
    }
}

/// How many of the observations have another label.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Flips {
    /// Observations whose label differs, in any element.
    pub count: usize,
    /// Of so many that have an answer.
    pub observations: usize,
    /// `count` / `observations`.
    pub share: f64,
}

impl Flips {
    /// Counts those that differ; `None` when there is no observation.
    pub fn of(differ: &[bool]) -> Option<Self> {
        let (count, observations) =
            (differ.iter().filter(|differs| **differs).count(), differ.len());
        (observations > 0).then(|| Self {
            count,
            observations,
            share: count as f64 / observations as f64,
        })
    }
}

impl fmt::Display for Flips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} ({:.2} %)", self.count, self.observations, 100.0 * self.share)
    }
}

/// |circuit − float|.
pub fn absolute_error(float: f64, circuit: f64) -> f64 {
    (circuit - float).abs()
}

/// 100 · |circuit − float| / |float|; `None` where the float value is nearer to 0 than one step of
/// the output's fixed-point grid, since a percentage of next to nothing says nothing.
pub fn percent_error(float: f64, circuit: f64, step: f64) -> Option<f64> {
    (float.abs() >= step && float != 0.0)
        .then(|| 100.0 * absolute_error(float, circuit) / float.abs())
}

/// Whether one is above and the other below zero; a value that became exactly 0 is none.
pub fn sign_flips(float: f64, circuit: f64) -> bool {
    float * circuit < 0.0
}

/// Whether the circuit's largest element is another one than the float model's. Equal largest
/// elements count as agreement with each of them.
pub fn argmax_differs(float: &[f64], circuit: &[f64]) -> bool {
    let largest = float.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let chosen = circuit.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    !float.iter().zip(circuit).any(|(float, circuit)| *float == largest && *circuit == chosen)
}

/// Which statistic of the error a bound is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Statistic {
    /// The largest error of any output element of any observation.
    #[default]
    Max,
    /// The mean over output elements and observations.
    Mean,
}

/// What a circuit is to be refused for where no bound is given: an error of this share of the range of
/// the model's answers. The judge goes by it. It is what the tests of the operators and of exported models
/// call wrong, so that nothing is built by default which they would not let pass; a tuned circuit is far
/// below it.
pub const REFUSED_SHARE: f64 = 0.02;

/// What a search aims at where neither a bound is given nor ezkl's own calibration has one: an error of
/// this share of the same range. It is a quarter of [`REFUSED_SHARE`], since the judge tries more inputs
/// than a search does, and they come out worse: up to twice as far off on what was tried.
pub const AIMED_SHARE: f64 = 0.005;

/// The bound that follows from [`AIMED_SHARE`] and the float model's answers: for each
/// observation, each output's elements. The output of the smallest range counts; one that never
/// changes has its own size for a range. `None` where all is 0, or there is nothing.
pub fn default_bound(float: &[Vec<Vec<f64>>]) -> Option<ErrorBound> {
    let outputs = float.first()?.len();
    let range = |output: usize| {
        let values = || float.iter().filter_map(|answer| answer.get(output)).flatten().copied();
        let (low, high) = values()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        if high > low { high - low } else { high.abs() }
    };
    let smallest = (0..outputs).map(range).filter(|range| range.is_finite() && *range > 0.0);
    let smallest = smallest.fold(f64::INFINITY, f64::min);
    smallest.is_finite().then(|| ErrorBound::absolute(AIMED_SHARE * smallest))
}

/// A bound on the error, written `0.01`, `0.5%`, `mean:0.01` or `mean:0.5%`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorBound {
    /// The largest value allowed, a percentage where `percent` is set.
    pub value: f64,
    /// Whether the bound is on the percent error.
    pub percent: bool,
    /// Of which statistic.
    pub statistic: Statistic,
}

impl ErrorBound {
    /// A bound on the largest absolute error.
    pub fn absolute(value: f64) -> Self {
        Self { value, percent: false, statistic: Statistic::Max }
    }

    /// The share of observations that may have another label. A bound on the largest error allows none, one on
    /// the mean a share: `mean:0.01` and `mean:1%` one in a hundred. A number from 1 up is no share but
    /// about quantities, and allows none.
    pub fn flips(&self) -> f64 {
        match self.statistic {
            Statistic::Max => 0.0,
            Statistic::Mean if self.percent => self.value / 100.0,
            Statistic::Mean if self.value < 1.0 => self.value,
            Statistic::Mean => 0.0,
        }
    }

    /// The error that the bound is about; `None` where it is undefined (a percentage of outputs
    /// that are all next to 0).
    pub fn measure(&self, absolute: &Summary, percent: Option<&Summary>) -> Option<f64> {
        let summary = if self.percent { percent? } else { absolute };
        Some(match self.statistic {
            Statistic::Max => summary.max,
            Statistic::Mean => summary.mean,
        })
    }
}

impl FromStr for ErrorBound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (statistic, rest) = match text.split_once(':') {
            Some(("max", rest)) => (Statistic::Max, rest),
            Some(("mean", rest)) => (Statistic::Mean, rest),
            Some((other, _)) => return Err(format!("`{other}` is neither `max` nor `mean`")),
            None => (Statistic::Max, text),
        };
        let (number, percent) = match rest.strip_suffix('%') {
            Some(number) => (number, true),
            None => (rest, false),
        };
        let value: f64 = number
            .trim()
            .parse()
            .map_err(|_| format!("`{text}` is not an error such as 0.01, 0.5% or mean:0.5%"))?;
        if !value.is_finite() || value < 0.0 {
            return Err(format!("`{text}` is not a possible error"));
        }
        Ok(Self { value, percent, statistic })
    }
}

impl fmt::Display for ErrorBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.statistic == Statistic::Mean {
            f.write_str("mean:")?;
        }
        write!(f, "{}{}", self.value, if self.percent { "%" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_default_bound_is_a_share_of_the_smallest_range() {
        let answers = |values: [[f64; 2]; 2]| {
            values.map(|[wide, narrow]| vec![vec![wide, -wide], vec![narrow]]).to_vec()
        };
        let bound = default_bound(&answers([[10.0, 3.0], [50.0, 7.0]])).expect("a bound");
        assert_eq!(bound, ErrorBound::absolute(0.02));
        let constant = default_bound(&answers([[0.0, -2.0], [0.0, -2.0]])).expect("a bound");
        assert_eq!(constant, ErrorBound::absolute(0.01));
        assert_eq!(default_bound(&answers([[0.0, 0.0], [0.0, 0.0]])), None);
        assert_eq!(default_bound(&[]), None);
    }

    #[test]
    fn quantiles_are_numpys() {
        // numpy.quantile([1, 2, 4, 8], [.25, .5, .75, .95, .99])
        let summary = Summary::of(vec![8.0, 1.0, 4.0, 2.0]).expect("values");
        let found = [summary.q1, summary.median, summary.q3, summary.p95, summary.p99];
        for (found, expected) in found.iter().zip([1.75, 3.0, 5.0, 7.4, 7.88]) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        assert_eq!((summary.min, summary.max, summary.mean), (1.0, 8.0, 3.75));
        assert_eq!(Summary::of(vec![]), None);
    }

    #[test]
    fn a_percentage_of_nearly_nothing_is_undefined() {
        assert_eq!(percent_error(0.0, 0.1, 0.01), None);
        assert_eq!(percent_error(0.0, 0.1, 0.0), None);
        assert_eq!(percent_error(-0.009, 0.1, 0.01), None);
        assert_eq!(percent_error(-2.0, -1.0, 0.01), Some(50.0));
    }

    #[test]
    fn flips() {
        assert!(sign_flips(0.1, -0.1) && !sign_flips(0.1, 0.0) && !sign_flips(-1.0, -2.0));
        assert!(argmax_differs(&[1.0, 2.0], &[2.0, 1.0]));
        assert!(!argmax_differs(&[1.0, 2.0], &[2.0, 2.0]));
        assert!(!argmax_differs(&[1.0, 1.0], &[2.0, 1.0]));
        assert!(argmax_differs(&[0.0, 1.0, 0.5], &[1.0, 0.0, 1.0]));
    }

    #[test]
    fn bounds_are_read_as_written() {
        for (text, value, percent, statistic) in [
            ("0.01", 0.01, false, Statistic::Max),
            ("0.5%", 0.5, true, Statistic::Max),
            ("mean:2e-3", 2e-3, false, Statistic::Mean),
            ("max:1 %", 1.0, true, Statistic::Max),
        ] {
            let bound: ErrorBound = text.parse().expect(text);
            assert_eq!(bound, ErrorBound { value, percent, statistic });
            assert_eq!(bound.to_string().parse(), Ok(bound));
        }
        for text in ["", "%", "p99:1", "-1", "nan", "inf%"] {
            assert!(text.parse::<ErrorBound>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_a_share_lets_labels_differ() {
        let allowed = |text: &str| text.parse::<ErrorBound>().expect(text).flips();
        assert_eq!((allowed("mean:0.25"), allowed("mean:25%")), (0.25, 0.25));
        assert_eq!((allowed("5"), allowed("50%"), allowed("mean:5")), (0.0, 0.0, 0.0));
        let flips = Flips::of(&[true, false, true]).expect("observations");
        assert_eq!(flips.to_string(), "2 of 3 (66.67 %)");
        assert_eq!(Flips::of(&[]), None);
    }

    proptest! {
        #[test]
        fn a_summary_is_ordered(values in prop::collection::vec(-1e9..1e9, 1..200)) {
            let s = Summary::of(values).expect("values");
            for (low, high) in [(s.min, s.q1), (s.q1, s.median), (s.median, s.q3), (s.q3, s.p95),
                (s.p95, s.p99), (s.p99, s.max)] {
                prop_assert!(low <= high);
            }
            // A mean of equal numbers can round to just outside of them.
            prop_assert!(s.min - 1e-6 <= s.mean && s.mean <= s.max + 1e-6);
        }
    }
}
