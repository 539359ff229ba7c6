//! What this machine has, and whether a circuit's keys and proofs fit into it.

use super::{cost::CostModel, shape::Shape};
use crate::artifacts::settings::Settings;
use serde::Serialize;
use std::fmt;

/// A step that takes the machine's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Making the keys.
    Setup,
    /// Making a proof.
    Proof,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Setup => "setup",
            Self::Proof => "a proof",
        })
    }
}

/// What a step is expected to take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Expected {
    /// CPU seconds.
    pub cpu_seconds: f64,
    /// Wall-clock seconds on an idle machine.
    pub seconds: f64,
    /// The most resident memory, in bytes. On circuits that were not fitted it was at most 7 % too low, and up to
    /// 25 % too high, or 10 MB for the smallest.
    pub peak_bytes: u64,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = self.peak_bytes.div_ceil(1_000_000);
        write!(f, "about {:.1} s and {megabytes} MB of memory", self.seconds)
    }
}

/// A step that needs more memory than there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{work} with this circuit (k = {logrows}) needs about {needed} MB of memory, and this machine has \
     {available} MB; use a larger machine, or a smaller circuit: a larger error (`max_error` in \
     [calibration]), or `objective = \"memory\"` there"
)]
pub struct TooLarge {
    /// The step.
    pub work: Work,
    /// The circuit's k.
    pub logrows: u32,
    /// Megabytes that it is expected to need.
    pub needed: u64,
    /// Megabytes that there are.
    pub available: u64,
}

/// What a step is expected to take with a circuit of these settings; `None` for a circuit that is not
/// understood.
///
/// # Errors
/// [`TooLarge`] where that is more memory than this machine has.
pub fn expected(
    settings: &Settings,
    work: Work,
    costs: &CostModel,
) -> Result<Option<Expected>, TooLarge> {
    within(settings, work, costs, memory().unwrap_or(u64::MAX))
}

fn within(
    settings: &Settings,
    work: Work,
    costs: &CostModel,
    available: u64,
) -> Result<Option<Expected>, TooLarge> {
    let Some(shape) = Shape::of(settings) else { return Ok(None) };
    let cost = costs.cost(&shape);
    let (cpu, peak_bytes) = match work {
        Work::Setup => (cost.setup_cpu_seconds, cost.setup_peak_bytes),
        Work::Proof => (cost.prove_cpu_seconds, cost.peak_bytes),
    };
    if peak_bytes > available {
        let megabytes = |bytes: u64| bytes.div_ceil(1_000_000);
        let (needed, available) = (megabytes(peak_bytes), megabytes(available));
        return Err(TooLarge { work, logrows: shape.logrows, needed, available });
    }
    Ok(Some(Expected { cpu_seconds: cpu, seconds: cpu / costs.cpus, peak_bytes }))
}

/// What is left of the machine's memory, or of this container's, for a proof, in bytes; unknown outside
/// Linux.
pub(crate) fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    // `max` where there is no limit; absent with the older control groups.
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = limit.and_then(|text| text.trim().parse().ok()).unwrap_or(u64::MAX);
    Some((kilobytes * 1024).min(limit) / 10 * 9)
}

#[cfg(test)]
mod tests {
    use super::{super::shape::tests::settings, *};

    #[test]
    fn what_does_not_fit_is_refused_with_its_figure() {
        let costs = CostModel { cpus: 2.0, ..CostModel::default() };
        let mut circuit = settings("xgboost");
        let setup = within(&circuit, Work::Setup, &costs, u64::MAX).expect("fits").expect("known");
        let proof = within(&circuit, Work::Proof, &costs, u64::MAX).expect("fits").expect("known");
        assert!(setup.peak_bytes < proof.peak_bytes && setup.seconds < proof.seconds);
        let error = within(&circuit, Work::Proof, &costs, proof.peak_bytes - 1).expect_err("not");
        assert_eq!(error.needed, proof.peak_bytes.div_ceil(1_000_000));
        assert!(error.to_string().starts_with("a proof with this circuit (k = "), "{error}");
        circuit.run_args.logrows = 24;
        let error = within(&circuit, Work::Setup, &costs, 1 << 36).expect_err("beyond 64 GB");
        assert!(error.needed > 100_000, "{error}");
    }
}
