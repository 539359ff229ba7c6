//! The operator of a model that ezkl's reader stumbles over, where it does not name it itself.
//!
//! Parts of the model that end at each of its operators are read like the whole one. The first that is refused in
//! the same words is found by bisection.

use super::part;
use crate::{
    artifacts::run_args::RunArgs,
    engine::{Engine, Error},
    files,
    onnx::proto::ModelProto,
};
use std::{path::Path, time::Duration};

/// Beyond these the search would take longer than it is worth.
const MOST_NODES: usize = 4096;
const MOST_BYTES: u64 = 64 << 20;
const TIME: Duration = Duration::from_secs(20);

/// Adds to an error of gen-settings at which operator it happened, where that can be told.
pub async fn explain(engine: &Engine, model: &Path, args: &RunArgs, error: Error) -> Error {
    let Some(words) = words(&error) else { return error };
    if std::fs::metadata(model).map_or(0, |file| file.len()) > MOST_BYTES {
        return error;
    }
    match tokio::time::timeout(TIME, find(engine, model, args, &words)).await {
        Ok(Some(operator)) => Error::At { operator, error: Box::new(error) },
        _ => error,
    }
}

/// What ezkl says, without its own numbers of nodes; `None` where it names the node, or does not speak of the model.
fn words(error: &Error) -> Option<String> {
    let (Error::Python { message, .. } | Error::Panic { message, .. }) = error else { return None };
    let names_it = message.contains(" node #");
    let is_file = message.contains("Reading proto model");
    let of_model = message.contains("[graph]") || matches!(error, Error::Panic { .. });
    let text = message.replace(|letter: char| letter.is_ascii_digit(), "");
    (of_model && !names_it && !is_file).then_some(text)
}

async fn find(engine: &Engine, model: &Path, args: &RunArgs, wanted: &str) -> Option<String> {
    let proto = ModelProto::from_bytes(&files::read(model).ok()?[..]).ok()?;
    let nodes = &proto.graph.as_ref()?.node;
    if nodes.is_empty() || nodes.len() > MOST_NODES {
        return None;
    }
    let scratch = files::Scratch::new().ok()?;
    let (path, out) = (scratch.path().join("part.onnx"), scratch.path().join("part.json"));
    // Whether the part is refused like the whole; `None` where it says nothing.
    let refused = async |number: usize| {
        part::write(&proto, number, &path, &args.variables).await?;
        match engine.gen_settings(&path, &out, &args.to_engine()).await {
            Ok(()) => Some(false),
            Err(error) => Some(words(&error).is_some_and(|words| words == wanted)),
        }
    };
    let (mut low, mut high) = (0, nodes.len() - 1);
    // Invariant: the part that ends at `high` is refused, as the whole was.
    while low < high {
        let middle = usize::midpoint(low, high);
        let mut at = middle;
        let found = loop {
            match refused(at).await {
                Some(found) => break Some(found),
                None if at > low => at -= 1,
                None => break None,
            }
        };
        match found {
            Some(true) => high = at,
            _ => low = middle + 1,
        }
    }
    Some(part::describe(&nodes[high], high))
}
