//! Progress, as it happens.

use super::{Shared, answer::Failed, api::find, views::JobView};
use crate::fleet::store::Token;
use axum::{
    Extension,
    extract::{Path, State},
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::Stream;
use std::{convert::Infallible, sync::Arc, time::Duration};

/// How often a job is looked at for each that follows it.
const EVERY: Duration = Duration::from_millis(500);

/// Follow a job: an event `job` with the job as JSON at once and whenever it changes, until it comes to its end.
#[utoipa::path(get, path = "/v1/jobs/{id}/events", params(("id" = String, Path)),
    responses((status = 200, description = "text/event-stream"), (status = 404, description = "no such job")))]
pub(super) async fn events(
    State(shared): State<Arc<Shared>>,
    Extension(token): Extension<Token>,
    Path(id): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failed> {
    let first = find(&shared, &token, &id).await?;
    let stream = async_stream::stream! {
        let mut job = first;
        let mut stop = shared.stop.clone();
        yield Ok(event(&JobView::from(&job)));
        while !job.state.is_final() {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            // A database that is away for a moment says nothing of the job.
            let Ok(now) = shared.intake.store().job(job.id).await else { continue };
            let is_news = (now.state, &now.phase, now.attempts) != (job.state, &job.phase, job.attempts);
            job = now;
            if is_news {
                yield Ok(event(&JobView::from(&job)));
            }
        }
    };
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

fn event(view: &JobView) -> Event {
    Event::default().event("job").data(serde_json::to_string(view).unwrap_or_default())
}
