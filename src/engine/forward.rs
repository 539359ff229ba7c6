//! Forward passes whose witness comes back as a value, without a file.

use super::{Engine, EnginePool, error::Result};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::task::JoinSet;

impl Engine {
    /// Runs the circuit's arithmetic on an input and returns what a witness file would hold. As in
    /// such a file, lookups may lie outside the circuit's tables.
    pub async fn forward(&self, data: &Value, compiled: &Path) -> Result<Value> {
        let compiled = super::operations::input(compiled)?;
        self.request("forward", json!({"data": data.to_string(), "compiled": compiled})).await
    }
}

impl EnginePool {
    /// Runs one circuit on many inputs, several at a time. The results are in the inputs' order; one
    /// that fails does not stop the others. Dropping the future ends the workers.
    pub async fn forward_many(&self, inputs: Vec<Value>, compiled: &Path) -> Vec<Result<Value>> {
        let total = inputs.len();
        let queue = Arc::new(Mutex::new(inputs.into_iter().enumerate().collect::<VecDeque<_>>()));
        let compiled: Arc<PathBuf> = Arc::new(compiled.to_owned());
        let mut tasks = JoinSet::new();
        for _ in 0..self.workers().min(total) {
            let (pool, queue, compiled) = (self.clone(), queue.clone(), compiled.clone());
            tasks.spawn(async move {
                let engine = pool.get().await;
                let mut results = Vec::new();
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some((index, data)) = next else { return results };
                    results.push((index, engine.forward(&data, &compiled).await));
                }
            });
        }
        let mut results = Vec::with_capacity(total);
        while let Some(done) = tasks.join_next().await {
            match done {
                Ok(done) => results.extend(done),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }
}
