//! `zkvouch accuracy`

use super::{
    Context,
    exit::{Code, Coded},
    steps::Places,
    tune::pool,
};
use crate::{
    accuracy::{self, AccuracyReport, AccuracyRequest, Circuit, ErrorBound},
    artifacts::settings::Settings,
    files,
};
use clap::Args;
use eyre::Result;
use serde_json::json;
use std::path::{Path, PathBuf};

/// zkvouch accuracy
#[derive(Args, Debug)]
pub(super) struct Accuracy {
    /// The ONNX file.
    #[arg(short = 'M', long)]
    model: Option<PathBuf>,
    /// Observations: .json, .jsonl, .csv, .npy or .npz.
    #[arg(short = 'D', long, num_args = 1.., value_name = "FILES")]
    data: Vec<PathBuf>,
    /// The circuit's settings.
    #[arg(short = 'S', long = "settings-path", visible_alias = "settings", value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Settings of another circuit of the same model to set beside it.
    #[arg(long, value_name = "SETTINGS")]
    against: Option<PathBuf>,
    /// Fail when an output's error is above 0.01, 0.5%, mean:0.01 or mean:0.5%, or an observation is refused.
    ///
    /// An output of integers or booleans is a label, and labels are compared, not subtracted. With mean:0.01 or
    /// mean:1%, one observation in 100 may have another label; every other bound, and a mean: number of 1 or
    /// more without %, allows none.
    #[arg(long, value_name = "ERROR")]
    fail_above: Option<ErrorBound>,
    /// How many of the worst observations to show.
    #[arg(long, default_value_t = 10)]
    worst: usize,
    /// Write the report as one HTML file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write every output value of every observation as CSV.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write the plots as one PNG.
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
}

impl Accuracy {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let places = Places::new(context)?;
        let built = places.built(context, &[&self.model, &self.settings]).await?;
        let pool = pool(context, places.project())?;
        let scratch = files::Scratch::new()?;
        let settings = places.made_settings(&self.settings)?;
        let variables = Settings::read(&settings)?.run_args.variables;
        let model = match (built.as_ref().and(places.project()), &self.model) {
            // What the circuit was compiled from.
            (Some(project), None) => project.artifacts().prepared,
            _ => places.prepared(&self.model, &variables, scratch.path()).await?,
        };
        let mut circuits = vec![(label(&settings, "circuit"), settings)];
        if let Some(against) = &self.against {
            circuits.push((label(against, "against"), against.clone()));
        }
        if circuits.len() == 2 && circuits[0].0 == circuits[1].0 {
            circuits[0].0 = "circuit".to_owned();
            circuits[1].0 = "against".to_owned();
        }
        let mut request = AccuracyRequest {
            original: places.original(&self.model, &[])?,
            data: places.data(&self.data),
            circuits: Vec::new(),
            worst: self.worst,
        };
        for (number, (label, settings)) in circuits.into_iter().enumerate() {
            Settings::read(&settings)?;
            let compiled = scratch.path().join(format!("{number}.ezkl"));
            pool.get().await.compile_circuit(&model, &settings, &compiled).await?;
            request.circuits.push(Circuit { label, compiled, settings });
        }
        let bar = context.ui.spinner("accuracy");
        let progress = |step: accuracy::Progress<'_>| {
            bar.set_message(format!("{} {} of {}", step.what, step.done, step.total));
        };
        let report = accuracy::run(&request, &pool, progress).await?;
        bar.finish_and_clear();
        pool.shutdown().await;
        let written = self.write(&report)?;

        let violation = self.fail_above.and_then(|bound| {
            report.circuits.first().and_then(|circuit| circuit.violation(&bound))
        });
        let mut text = format!("{} observations\n{}", report.observations, report.table());
        for circuit in report.circuits.iter().filter(|circuit| !circuit.refused.is_empty()) {
            context.ui.warn(format_args!(
                "{} refused {} of {} observations; the first is number {}: {}",
                circuit.label,
                circuit.refused.len(),
                report.observations,
                circuit.refused[0].observation,
                circuit.refused[0].message
            ));
        }
        for path in &written {
            text.push_str(&format!("\nwrote        {}", path.display()));
        }
        let data = json!({
            "report": report, "bound": self.fail_above, "violation": violation, "written": written,
        });
        match violation {
            None => context.ui.result(text, &data),
            Some(message) => {
                context.ui.failed_result(text, &data, Code::Invalid, &message)?;
                Err(Coded::reported(message).into())
            }
        }
    }

    fn write(&self, report: &AccuracyReport) -> Result<Vec<PathBuf>> {
        let mut written = Vec::new();
        let mut write =
            |path: &Option<PathBuf>, bytes: &dyn Fn() -> Result<Vec<u8>>| -> Result<()> {
                if let Some(path) = path {
                    files::write_atomic(path, &bytes()?)?;
                    written.push(path.clone());
                }
                Ok(())
            };
        write(&self.csv, &|| Ok(report.csv().into_bytes()))?;
        write(&self.html, &|| Ok(report.html().map_err(|error| eyre::eyre!(error))?.into_bytes()))?;
        write(&self.png, &|| report.png().map_err(|error| eyre::eyre!(error)))?;
        Ok(written)
    }
}

/// The settings file's name without its ending, unless it is the usual one.
fn label(path: &Path, usual: &str) -> String {
    match path.file_stem().and_then(|stem| stem.to_str()) {
        Some("settings") | None => usual.to_owned(),
        Some(stem) => stem.to_owned(),
    }
}
