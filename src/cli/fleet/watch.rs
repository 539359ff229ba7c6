//! `zkvouch fleet watch`

use super::jobs::line;
use crate::{
    cli::{
        Context,
        exit::{Code, Coded},
        opts::Queue,
    },
    fleet::{
        job::{Job, JobId, State},
        store::Filter,
    },
};
use clap::Args;
use eyre::Result;
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};

/// zkvouch fleet watch
#[derive(Args, Debug)]
pub(super) struct Watch {
    /// The jobs; all that have not come to their end if absent.
    jobs: Vec<JobId>,
    /// Seconds between two looks.
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS", value_parser = every)]
    every: f64,
    #[command(flatten)]
    queue: Queue,
}

fn every(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (0.05..=3600.0).contains(&number) => Ok(number),
        _ => Err("give seconds from 0.05 to 3600".to_owned()),
    }
}

impl Watch {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let store = self.queue.of(context).await?;
        let mut ids = self.jobs;
        if ids.is_empty() {
            for state in State::ALL.into_iter().filter(|state| !state.is_final()) {
                let filter = Filter { state: Some(state), limit: 10_000, ..Filter::default() };
                ids.extend(store.jobs(&filter).await?.iter().map(|job| job.id));
            }
            ids.sort();
        }
        let mut seen: BTreeMap<JobId, Job> = BTreeMap::new();
        loop {
            for id in &ids {
                if seen.get(id).is_some_and(|job| job.state.is_final()) {
                    continue;
                }
                let job = store.job(*id).await?;
                let is_news = seen.get(id).is_none_or(|old| {
                    (old.state, &old.phase, old.attempts) != (job.state, &job.phase, job.attempts)
                });
                if is_news {
                    context.ui.note(line(&job));
                }
                seen.insert(*id, job);
            }
            if seen.values().all(|job| job.state.is_final()) {
                break;
            }
            tokio::time::sleep(Duration::from_secs_f64(self.every)).await;
        }
        let jobs: Vec<_> = seen.into_values().collect();
        let undone = jobs.iter().filter(|job| job.state != State::Done).count();
        let text = jobs.iter().map(line).collect::<Vec<_>>().join("\n");
        let data = json!({ "jobs": jobs });
        if undone == 0 {
            return context.ui.result(text, &data);
        }
        let message = format!("{undone} of {} jobs were not done", jobs.len());
        context.ui.failed_result(text, &data, Code::Invalid, &message)?;
        Err(Coded::reported(message).into())
    }
}
