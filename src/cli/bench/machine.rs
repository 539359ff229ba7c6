//! `zkvouch bench machine`

use crate::cli::{Context, tune::duration};
use crate::{
    engine::Engine,
    tune::{Calibration, calibration::MeasuredCircuit},
};
use clap::Args;
use eyre::Result;
use serde_json::json;
use std::{path::PathBuf, time::Duration};

/// zkvouch bench machine
#[derive(Args, Debug)]
pub(super) struct BenchMachine {
    /// Where to write the cost model. By default where `tune` and `build` look for it, in the cache
    /// folder.
    #[arg(long, value_name = "FILE")]
    cost_model: Option<PathBuf>,
    /// The longest that it may take, such as 60s or 2m.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration)]
    budget: Duration,
}

impl BenchMachine {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let path = match self.cost_model {
            Some(path) => path,
            None => Calibration::default_path()?,
        };
        if let Some(load) = load().filter(|load| *load > 0.5) {
            context.ui.warn(format_args!(
                "other programs keep {load:.1} CPUs busy, so what is measured will be too slow; \
                 calibrate again when the machine is idle"
            ));
        }
        // As for any proof, all CPUs.
        let engine = Engine::new(context.engine(None)?.config().clone());
        engine.prepare().await?;
        let bar = context.ui.spinner("calibrate");
        let ui = context.ui.clone();
        let calibration = Calibration::measure(&engine, self.budget, |step| {
            let message =
                format!("circuit {} of {}, k = {}", step.number + 1, step.of, step.logrows);
            if bar.is_hidden() {
                ui.note(format_args!("calibrate      {message}"));
            }
            bar.set_message(message);
        })
        .await?;
        engine.shutdown().await;
        bar.finish_and_clear();
        calibration.write(&path)?;
        let off = |expected: &dyn Fn(&MeasuredCircuit) -> f64| {
            let logs = calibration.circuits.iter().map(|it| (expected(it) / it.seconds).ln().abs());
            (logs.sum::<f64>() / calibration.circuits.len() as f64).exp()
        };
        let before = off(&|it| it.expected_before.prove_seconds);
        let after = off(&|it| it.expected_after.prove_seconds);
        let costs = &calibration.costs;
        let text = format!(
            "{}\nmachine      {:.2} times the CPU time of the one that the model was fitted on\n\
             CPUs         {:.2} of {} are kept busy by a proof\n\
             expectation  off by a factor of {before:.2} before, {after:.2} now (geometric mean)\n\
             cost model   {}",
            table(&calibration),
            costs.machine,
            costs.cpus,
            calibration.available_cpus,
            path.display()
        );
        let data = json!({
            "calibration": calibration,
            "off_before": before,
            "off_after": after,
            "path": path,
        });
        context.ui.result(text, &data)
    }
}

/// The CPUs that were busy over the last minute; unknown outside Linux.
fn load() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

fn table(calibration: &Calibration) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["model", "k", "columns", "CPU", "measured", "expected before", "now"]);
    for circuit in &calibration.circuits {
        let expected = |seconds: f64| {
            format!("{seconds:.3} s ({:+.0} %)", (seconds / circuit.seconds - 1.0) * 100.0)
        };
        table.add_row([
            circuit.model.clone(),
            circuit.logrows.to_string(),
            circuit.columns.to_string(),
            format!("{:.3} s", circuit.cpu_seconds),
            format!("{:.3} s", circuit.seconds),
            expected(circuit.expected_before.prove_seconds),
            expected(circuit.expected_after.prove_seconds),
        ]);
    }
    table.to_string()
}
