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
    part::first(&proto, refused).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::EngineConfig,
        onnx::{
            proto::AttributeProto,
            testing::{int, ints, model_of},
        },
    };

    /// A chain of operators.
    fn chain(nodes: Vec<(&str, Vec<AttributeProto>)>) -> ModelProto {
        let mut model = model_of("Relu", "", &[("x0", &[1, 1, 4, 4])], &[], &["x1"], vec![]);
        let graph = model.graph.as_mut().expect("a graph");
        let first = graph.node[0].clone();
        for (number, (kind, attribute)) in nodes.into_iter().enumerate() {
            let mut node = first.clone();
            node.op_type = kind.into();
            node.name = format!("n{number}");
            node.attribute = attribute;
            node.input = vec![format!("x{}", number + 1)];
            node.output = vec![format!("x{}", number + 2)];
            graph.output[0].name.clone_from(&node.output[0]);
            graph.node.push(node);
        }
        model
    }

    #[tokio::test]
    async fn the_operator_is_named_where_ezkl_does_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, out) = (folder.path().join("m.onnx"), folder.path().join("s.json"));
        let pool = vec![ints("kernel_shape", &[2, 2])];
        let half = vec![int("start", 2), int("end", 1)];
        // The first is refused with an exception, the second with a panic.
        for (model, expected) in [
            (
                chain(vec![("Relu", vec![]), ("AveragePool", pool), ("Relu", vec![])]),
                ["AveragePool `n1` with kernel_shape = [2, 2]: ", "written out"],
            ),
            (
                chain(vec![("Relu", vec![]), ("Shape", half), ("Cast", vec![int("to", 1)])]),
                ["Shape `n1` with start = 2, end = 1: ", "end before they start"],
            ),
        ] {
            files::write_atomic(&path, &model.to_bytes()).expect("written");
            let engine = Engine::new(EngineConfig::from_env().expect("the environment"));
            let args = RunArgs::default();
            let error = engine.gen_settings(&path, &out, &args.to_engine()).await;
            let error = explain(&engine, &path, &args, error.expect_err(expected[0])).await;
            assert!(matches!(error, Error::At { .. }), "{error}");
            let error = error.to_string();
            assert!(expected.iter().all(|part| error.contains(part)), "{error}");
        }
    }
}
