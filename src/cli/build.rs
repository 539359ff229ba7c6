//! `zkvouch build`

use super::{Context, show, tune::duration};
use crate::{
    accuracy::ErrorBound,
    model::provenance::Provenance,
    project::{BuildOptions, BuildReport, Step},
};
use clap::Args;
use eyre::Result;
use std::time::Duration;

/// zkvouch build
#[derive(Args, Debug)]
pub(super) struct Build {
    /// Run every step, changed or not.
    #[arg(long)]
    force: bool,
    /// Stop after this step.
    #[arg(long, value_name = "STEP")]
    until: Option<Step>,
    /// The largest error of the circuit on the data, such as 0.01, 0.5% or mean:0.01; 2 % of the range of the
    /// model's answers if absent, here and in zkvouch.toml.
    #[arg(long, value_name = "BOUND")]
    max_error: Option<ErrorBound>,
    /// Search for a circuit again, so much: as the time that it takes on a usual machine, such as 60s or
    /// 2m. In place of `budget_secs` under [calibration].
    #[arg(long, value_name = "TIME", value_parser = duration)]
    budget: Option<Duration>,
}

impl Build {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let project = context.project()?;
        let Self { force, max_error, budget, .. } = self;
        let options = BuildOptions { force, max_error, budget };
        if let Some(step) = self.until {
            let report = project.build_until(step, options, context.ui.observer()).await?;
            let text = format!("{} is built in {}", step.name(), report.artifacts.folder.display());
            return context.ui.result(text, &report);
        }
        let report = project.build(options, context.ui.observer()).await?;
        warn_about(context, &report);
        context.ui.result(summary(&report), &report)
    }
}

/// What a deployer must know of a build.
pub(super) fn warn_about(context: &Context, report: &BuildReport) {
    if report.srs.is_unsafe() {
        context.ui.warn(
            "this build uses an SRS whose secret is known: anybody could forge a proof, so deploying is \
             refused off a local chain",
        );
    }
    for caveat in &report.caveats {
        context.ui.warn(caveat);
    }
    if report.srs == Provenance::Unrecognized {
        context.ui.warn(
            "the SRS belongs to no ceremony that zkvouch knows: whoever made it may forge proofs, so \
             deploying off a local chain takes --allow-unknown-srs",
        );
    }
}

/// The build in a few lines.
pub(super) fn summary(report: &BuildReport) -> String {
    let artifacts = &report.artifacts;
    let each = report.each.as_ref().map_or_else(String::new, |each| {
        let gas: Vec<_> =
            each.verify_gas.iter().map(|(fork, gas)| format!("{gas} gas ({fork})")).collect();
        format!("\na prediction {}, where a proof is of {}", gas.join(", "), each.size)
    });
    format!(
        "model        {} ({})\ncircuit      2^{} rows, {} instances\nsrs          {}\n{}{}{each}\nartefacts    {}",
        report.name,
        report.model_id,
        report.logrows,
        report.num_instances,
        report.srs,
        show::gas(&report.verifier, report.comparison.as_ref(), report.batch.as_ref()),
        report.hashing.as_ref().map_or(String::new(), |it| show::hashing(it, &report.verifier)),
        artifacts.folder.display()
    )
}
