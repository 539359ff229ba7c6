//! `zkvouch serve`

use super::{Context, opts::Queue};
use crate::fleet::{Intake, Service, ServiceOptions};
use clap::Args;
use eyre::Result;
use serde_json::json;
use std::{net::SocketAddr, num::NonZeroU32};

/// zkvouch serve
#[derive(Args, Debug)]
pub(super) struct Serve {
    /// Where to listen; port 0 for any free one. Put a proxy with TLS in front of it before others reach it.
    #[arg(long, env = "ZKVOUCH_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// KiB that a request may have.
    #[arg(long, default_value_t = 1024, value_name = "KIB", value_parser = clap::value_parser!(u32).range(1..=262_144))]
    max_body: u32,
    /// Predictions that one request may ask for.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_inputs: u32,
    /// Requests a second of one token; for a short while ten times as many.
    #[arg(long, default_value = "20")]
    rate: NonZeroU32,
    /// Give the figures at /metrics to whoever asks.
    #[arg(long)]
    open_metrics: bool,
    #[command(flatten)]
    queue: Queue,
}

impl Serve {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let project = context.project()?;
        let intake = {
            // Only while its files are published; a later build is served after a restart.
            let built = project.built(&context.ui.observer()).await?;
            let store = self.queue.open(Some(&project)).await?;
            let blobs = self.queue.blobs(Some(&project))?;
            Intake::open(&project, &built, store, blobs).await?
        };
        if intake.store().tokens().await?.iter().all(|token| token.revoked.is_some()) {
            context.ui.warn("nobody has a token yet; make one with `zkvouch fleet token add NAME`");
        }
        let options = ServiceOptions {
            listen: self.listen,
            max_body: self.max_body as usize * 1024,
            max_inputs: self.max_inputs as usize,
            rate: self.rate,
            open_metrics: self.open_metrics,
        };
        let service = Service::bind(intake, options, context.ending.clone()).await?;
        let url = format!("http://{}", service.address());
        context.ui.result(&url, &json!({ "url": url }))?;
        Ok(service.run().await?)
    }
}
