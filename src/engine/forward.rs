//! Forward passes whose results come back as values, without a file.

use super::{
    Engine, EnginePool,
    error::{Error, Result},
};
use serde_json::{Value, json};
use std::path::Path;

/// Inputs that one request carries: enough that the request itself costs next to nothing, few
/// enough that the workers end together.
const AT_ONCE: usize = 16;

impl Engine {
    /// Runs the circuit's arithmetic on the first of the inputs, at least on one: an answer for each
    /// of as many as the worker came to.
    async fn forward(&self, inputs: &[Value], compiled: &Path) -> Result<Vec<Result<Value>>> {
        const OPERATION: &str = "forward";
        let compiled = super::operations::input(compiled)?;
        let data: Vec<String> = inputs.iter().map(Value::to_string).collect();
        let answers = self.request(OPERATION, json!({"data": data, "compiled": compiled})).await?;
        let wrong =
            |message: &str| Error::Protocol { operation: OPERATION, message: message.into() };
        let Value::Array(answers) = answers else { return Err(wrong("no list of answers")) };
        if answers.is_empty() || answers.len() > inputs.len() {
            return Err(wrong("an answer too many or none at all"));
        }
        let text = |error: &Value, key: &str| error[key].as_str().unwrap_or_default().to_owned();
        let answer = |mut answer: Value| match answer.get_mut("error").map(Value::take) {
            None => Ok(answer),
            Some(error) => Err(Error::Python {
                operation: OPERATION,
                class: text(&error, "type"),
                message: text(&error, "message"),
            }),
        };
        Ok(answers.into_iter().map(answer).collect())
    }
}

impl EnginePool {
    /// Runs one circuit on many inputs `{"input_data": [[..]]}`, several at a time. For each input, in
    /// their order, the part of a witness file that tells what the circuit computed (`outputs`,
    /// `max_lookup_inputs`, `min_lookup_inputs`, `max_range_size`), or how ezkl refused it.
    /// As in a witness file, lookups may lie outside the circuit's tables. `done` hears how many
    /// inputs have been answered. Dropping the future ends the workers.
    ///
    /// # Errors
    /// What is wrong with the engine rather than with one input.
    pub async fn forward_many(
        &self,
        inputs: Vec<Value>,
        compiled: &Path,
        done: impl FnMut(usize),
    ) -> Result<Vec<Result<Value>>> {
        let at_once = (inputs.len() / (4 * self.workers())).clamp(1, AT_ONCE);
        let compiled = compiled.to_owned();
        let work = move |engine: Engine, mut inputs: Vec<Value>| {
            let compiled = compiled.clone();
            async move {
                let answers = match engine.forward(&inputs, &compiled).await {
                    Ok(answers) => answers,
                    // The worker panics on the first input or not at all.
                    Err(error @ (Error::Python { .. } | Error::Panic { .. })) => vec![Err(error)],
                    Err(error) => return Err(error),
                };
                inputs.drain(..answers.len());
                Ok((answers, inputs))
            }
        };
        self.each(inputs, at_once, work, done).await
    }
}
