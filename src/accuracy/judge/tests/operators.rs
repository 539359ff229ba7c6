//! Operators in forms that ezkl takes and computes otherwise than ONNX says, found with ONNX's own operator tests.

use super::*;
use crate::onnx::{
    proto::AttributeProto,
    testing::{any, int, ints, model_of, number, word},
};
use serde_json::{Value, json};

type Tensors = &'static [(&'static str, &'static [i64])];

/// Operator, inputs, weights, attributes.
type Form = (&'static str, Tensors, Tensors, Vec<AttributeProto>);

fn forms() -> Vec<Form> {
    let image: Tensors = &[("x", &[1, 1, 5, 5])];
    let sequence: Tensors = &[("x", &[3, 1, 2])];
    let pool =
        |more| [vec![ints("kernel_shape", &[2, 2]), ints("strides", &[1, 1])], more].concat();
    let reverse = |size| vec![int("hidden_size", size), word("direction", "reverse")];
    vec![
        ("AveragePool", image, &[], pool(vec![word("auto_pad", "SAME_UPPER")])),
        ("AveragePool", image, &[], pool(vec![ints("dilations", &[2, 2])])),
        ("MaxPool", image, &[], pool(vec![ints("dilations", &[2, 2])])),
        ("Celu", &[("x", &[1, 6])], &[], vec![number("alpha", 3.0)]),
        ("Einsum", &[("x", &[1, 3, 3])], &[], vec![word("equation", "...ii->...i")]),
        ("GRU", sequence, &[("w", &[1, 15, 2]), ("r", &[1, 15, 5])], reverse(5)),
        ("LSTM", sequence, &[("w", &[1, 20, 2]), ("r", &[1, 20, 5])], reverse(5)),
        ("RNN", sequence, &[("w", &[1, 5, 2]), ("r", &[1, 5, 5])], reverse(5)),
        (
            "InstanceNormalization",
            &[("x", &[2, 3, 4, 5])],
            &[("w", &[3]), ("v", &[3])],
            vec![number("epsilon", 0.01)],
        ),
        (
            "SpaceToDepth",
            &[("x", &[1, 2, 4, 4])],
            &[],
            vec![int("blocksize", 2), word("mode", "CRD")],
        ),
        ("Trilu", &[("x", &[4, 4])], &[], vec![int("upper", 0)]),
    ]
}

/// Reductions, of which ezkl makes plain assignments.
fn reductions() -> Vec<Form> {
    let scattered: Tensors = &[("x", &[4]), ("i", &[2, 1])];
    let elements: Tensors = &[("x", &[4]), ("i", &[2])];
    let weights: Tensors = &[("w", &[2])];
    let forms = ["add", "mul", "min", "max"].map(|reduction| {
        let reduced = vec![word("reduction", reduction)];
        [
            ("ScatterND", scattered, weights, reduced.clone()),
            ("ScatterElements", elements, weights, reduced),
        ]
    });
    forms.into_iter().flatten().collect()
}

#[tokio::test]
async fn what_ezkl_computes_otherwise_is_refused_and_named() {
    all_are_refused(forms()).await;
}

#[tokio::test]
async fn reductions_that_ezkl_drops_are_refused_and_named() {
    all_are_refused(reductions()).await;
}

async fn all_are_refused(forms: Vec<Form>) {
    let pool = pool();
    let folder = tempfile::tempdir().expect("a folder");
    let mut faults = Vec::new();
    for (row, (operator, inputs, weights, attributes)) in forms.into_iter().enumerate() {
        let mut model = model_of(operator, "", inputs, weights, &["y"], attributes);
        // The first with all of these attributes.
        model.opset_import[0].version = if operator == "SpaceToDepth" { 28 } else { 19 };
        let path = folder.path().join(format!("{row}.onnx"));
        files::write_atomic(&path, &model.to_bytes()).expect("written");
        let values = |(name, shape): &(&str, &[i64])| -> Value {
            let count = shape.iter().product::<i64>() as usize;
            match name.starts_with('i') {
                true => (0..count).collect(),
                false => (0..count).map(any).collect(),
            }
        };
        let values: Vec<_> = inputs.iter().map(values).collect();
        let data = folder.path().join(format!("{row}.json"));
        let text = json!({"input_data": values}).to_string();
        files::write_atomic(&data, text.as_bytes()).expect("written");
        let form = format!("{operator} (row {row})");
        let error = match judge_files(&pool, &path, data, None).await {
            Ok(judgement) => {
                faults.push(format!("{form} passed: {judgement:?}"));
                continue;
            }
            // ezkl has come to refuse it by itself.
            Err(Error::Engine(engine::Error::Python { .. })) => continue,
            Err(error) => error,
        };
        let place = match &error {
            Error::Wrong(wrong) => wrong.operator.as_deref(),
            Error::Outputs { operator, .. } => operator.as_deref(),
            _ => None,
        };
        if place.is_none_or(|place| !place.contains(&format!("operator {operator} `it`"))) {
            faults.push(format!("{form}: {error}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
