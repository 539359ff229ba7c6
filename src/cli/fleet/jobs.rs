//! `zkvouch fleet status|ls|retry|cancel`

use crate::{
    cli::{Context, opts::Queue},
    fleet::{
        job::{Job, JobId, State},
        store::{Filter, Overview},
    },
};
use clap::Args;
use eyre::Result;
use serde_json::json;

/// zkvouch fleet status
#[derive(Args, Debug)]
pub(super) struct Status {
    #[command(flatten)]
    queue: Queue,
}

/// zkvouch fleet ls
#[derive(Args, Debug)]
pub(super) struct Ls {
    /// Only these jobs.
    jobs: Vec<JobId>,
    /// Only jobs in this state.
    #[arg(long, conflicts_with = "jobs")]
    state: Option<State>,
    /// Only jobs that are older than this one.
    #[arg(long, value_name = "JOB", conflicts_with = "jobs")]
    before: Option<JobId>,
    /// How many at most.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    #[command(flatten)]
    queue: Queue,
}

/// zkvouch fleet retry
#[derive(Args, Debug)]
pub(super) struct Retry {
    /// The jobs.
    #[arg(required_unless_present = "dead")]
    jobs: Vec<JobId>,
    /// All that are dead.
    #[arg(long, conflicts_with = "jobs")]
    dead: bool,
    #[command(flatten)]
    queue: Queue,
}

/// zkvouch fleet cancel
#[derive(Args, Debug)]
pub(super) struct Cancel {
    /// The jobs.
    #[arg(required = true)]
    jobs: Vec<JobId>,
    #[command(flatten)]
    queue: Queue,
}

impl Status {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let overview = self.queue.of(context).await?.overview().await?;
        context.ui.result(text(&overview), &overview)
    }
}

fn text(overview: &Overview) -> String {
    let mut lines: Vec<_> = State::ALL
        .iter()
        .filter_map(|state| Some((state, overview.jobs.get(state)?)))
        .map(|(state, jobs)| format!("{state:<12} {jobs}"))
        .collect();
    if lines.is_empty() {
        lines.push("no jobs".to_owned());
    }
    if let Some(oldest) = overview.oldest_ms {
        lines.push(format!("oldest waits {:.0} s", oldest as f64 / 1e3));
    }
    if let Some(cpu) = overview.cpu_ms {
        lines.push(format!("a proof      {:.2} CPU s", cpu as f64 / 1e3));
    }
    if let Some(each) = overview.gas.checked_div(overview.recorded) {
        lines.push(format!("recorded     {} for {each} gas each", overview.recorded));
    }
    for worker in &overview.workers {
        let at = match (&worker.job, &worker.phase) {
            (Some(job), Some(phase)) => format!("{phase} of {job}"),
            _ => "idle".to_owned(),
        };
        lines.push(format!("worker       {} {at}", worker.name));
    }
    lines.join("\n")
}

impl Ls {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let store = self.queue.of(context).await?;
        let jobs = if self.jobs.is_empty() {
            let (state, before, limit) = (self.state, self.before, self.limit);
            store.jobs(&Filter { state, before, limit, owner: None }).await?
        } else {
            let mut jobs = Vec::new();
            for id in self.jobs {
                jobs.push(store.job(id).await?);
            }
            jobs
        };
        result(context, &jobs)
    }
}

impl Retry {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let store = self.queue.of(context).await?;
        let mut ids = self.jobs;
        if self.dead {
            let filter = Filter { state: Some(State::Dead), limit: 10_000, ..Filter::default() };
            ids.extend(store.jobs(&filter).await?.iter().map(|job| job.id));
        }
        let mut jobs = Vec::new();
        for id in ids {
            jobs.push(store.retry(id).await?);
        }
        result(context, &jobs)
    }
}

impl Cancel {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let store = self.queue.of(context).await?;
        let mut jobs = Vec::new();
        for id in self.jobs {
            jobs.push(store.cancel(id).await?);
        }
        result(context, &jobs)
    }
}

fn result(context: &Context, jobs: &[Job]) -> Result<()> {
    let lines: Vec<_> = jobs.iter().map(line).collect();
    context.ui.result(lines.join("\n"), &json!({ "jobs": jobs }))
}

/// A job in a line.
pub(super) fn line(job: &Job) -> String {
    let mut text = format!("{} {:<9} {}/{}", job.id, job.state, job.attempts, job.max_attempts);
    if let (State::Running, Some(phase)) = (job.state, &job.phase) {
        text += &format!("  {phase}");
    }
    if let Some(reason) = &job.reason {
        text += &format!("  {reason}");
    }
    text
}
