//! `zkvouch watch`

use super::{
    Context,
    exit::{Code, Coded},
    model::RouterArg,
    opts::Node,
};
use crate::{
    chain::{
        contracts::ledger_of,
        deployments::{Deployments, Role},
        node::rpc::Rpc,
        watch::{Position, Seen, Watch},
    },
    files,
    project::Project,
};
use alloy::primitives::Address;
use clap::Args;
use eyre::{Result, WrapErr as _};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use url::Url;

/// zkvouch watch
#[derive(Args, Debug)]
pub(super) struct WatchCommand {
    #[command(flatten)]
    router: RouterArg,
    /// The ledger; the router's, by its address, if absent.
    #[arg(long, value_name = "ADDRESS")]
    ledger: Option<Address>,
    /// The first block; the newest if absent. A state that is there goes on where it is.
    #[arg(long, value_name = "BLOCK")]
    from_block: Option<u64>,
    /// Keep here where the watch is, so that another goes on.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Blocks on top of one before it is looked at.
    #[arg(long, default_value_t = 0)]
    confirmations: u64,
    /// Seconds between two looks.
    #[arg(long, default_value_t = 12.0)]
    interval: f64,
    /// Look once and end: with exit code 4 where there was something to look at.
    #[arg(long)]
    once: bool,
    /// Send what somebody should look at here, too: a POST of JSON with `text` and the event.
    #[arg(long, value_name = "URL")]
    webhook: Option<Url>,
    #[command(flatten)]
    node: Node,
}

impl WatchCommand {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let project = context.maybe_project()?;
        let rpc = self.node.connect(project.as_ref()).await?;
        let mut watch = self.start(rpc, project.as_ref()).await?;
        if self.once {
            let seen = watch.step(self.confirmations).await?;
            self.keep(&watch)?;
            for one in &seen {
                self.alert(context, one).await;
            }
            return self.show(context, &watch, &seen);
        }
        context.ui.note(format_args!(
            "watching {} from block {} on; Ctrl-C ends it",
            watch.position().router,
            watch.position().next
        ));
        loop {
            match watch.step(self.confirmations).await {
                Ok(seen) => {
                    self.keep(&watch)?;
                    for one in &seen {
                        context.ui.event(one, one)?;
                        self.alert(context, one).await;
                    }
                }
                // What is not seen now is seen with the next look.
                Err(error) => context.ui.warn(error),
            }
            tokio::time::sleep(Duration::from_secs_f64(self.interval.clamp(0.1, 3600.0))).await;
        }
    }

    async fn start(&self, rpc: Rpc, project: Option<&Project>) -> Result<Watch> {
        if let Some(path) = self.state.as_ref().filter(|path| path.exists()) {
            let at: Position = serde_json::from_slice(&files::read(path)?).map_err(|error| {
                Coded::bad_input(format!(
                    "{}: {error}; it is no state of a watch, so name another file",
                    path.display()
                ))
            })?;
            let router = self.router.given().unwrap_or(at.router);
            if (at.chain_id, at.router) != (rpc.chain_id(), router) {
                let message = format!(
                    "{} is of a watch of {} on chain {}; name another file",
                    path.display(),
                    at.router,
                    at.chain_id
                );
                return Err(Coded::bad_input(message).into());
            }
            return Ok(Watch::resume(rpc, at));
        }
        let router = self.router.address(project, rpc.chain_id())?;
        let known =
            project.map(|project| Deployments::read(&project.deployments(), rpc.chain_id()));
        let known = known.transpose()?;
        let deployed = known.as_ref().and_then(|it| it.of_role(Role::Ledger)).map(|it| it.address);
        let ledger = self.ledger.or(deployed).unwrap_or_else(|| ledger_of(router));
        let from = match self.from_block {
            Some(from) => from,
            None => rpc.block_number().await?,
        };
        Ok(Watch::new(rpc, router, ledger, from).await?)
    }

    fn keep(&self, watch: &Watch) -> Result<()> {
        let Some(path) = &self.state else { return Ok(()) };
        let bytes = serde_json::to_vec_pretty(watch.position())?;
        Ok(files::write_atomic(Path::new(path), &bytes)?)
    }

    fn show(&self, context: &Context, watch: &Watch, seen: &[Seen]) -> Result<()> {
        let data = json!({
            "chain_id": watch.position().chain_id,
            "router": watch.position().router,
            "next_block": watch.position().next,
            "events": seen,
        });
        let lines: Vec<_> = seen.iter().map(ToString::to_string).collect();
        let text = if lines.is_empty() { "nothing happened".to_owned() } else { lines.join("\n") };
        let alerts = seen.iter().filter(|one| one.alert.is_some()).count();
        if alerts == 0 {
            return context.ui.result(text, &data);
        }
        let message = format!("{alerts} of {} events are to be looked at", seen.len());
        context.ui.failed_result(text, &data, Code::Invalid, &message)?;
        Err(Coded::reported(message).into())
    }

    /// Somebody who doesn't answer keeps nobody from watching.
    async fn alert(&self, context: &Context, seen: &Seen) {
        let (Some(url), Some(_)) = (&self.webhook, seen.alert) else { return };
        if let Err(error) = post(url, seen).await {
            // The address may hold a token.
            let host = url.host_str().unwrap_or_default();
            context.ui.warn(format_args!("the webhook at {host} was not told: {error:#}"));
        }
    }
}

async fn post(url: &Url, seen: &Seen) -> Result<()> {
    crate::toolchain::install_crypto_provider();
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
    let body = json!({ "text": format!("zkvouch: {seen}"), "event": seen });
    let mut pause = Duration::from_millis(500);
    for attempt in 0..3 {
        let sent = client
            .post(url.clone())
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        match sent {
            Ok(_) => return Ok(()),
            Err(error) if attempt == 2 => return Err(error.without_url()).wrap_err("no answer"),
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause *= 2;
    }
    Ok(())
}
