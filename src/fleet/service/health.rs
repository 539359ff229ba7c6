//! Whether the service lives, and whether it can do anything.

use super::{Shared, answer::Failed};
use axum::extract::State;
use std::{sync::Arc, time::Duration};

/// It answers.
pub(super) async fn live() -> &'static str {
    "alive\n"
}

/// The queue and the store of blobs answer, and it is not ending.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Result<&'static str, Failed> {
    if *shared.stop.borrow() {
        return Err(Failed::unavailable("ending"));
    }
    let both = async {
        shared.intake.store().ping().await?;
        shared.intake.blobs().ping().await
    };
    match tokio::time::timeout(Duration::from_secs(5), both).await {
        Ok(Ok(())) => Ok("ready\n"),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(Failed::unavailable("the queue or its store does not answer")),
    }
}
