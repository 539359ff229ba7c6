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
            &[("x", &[1, 2, 3, 3])],
            &[("w", &[2]), ("v", &[2])],
            vec![number("epsilon", 1.0)],
        ),
        (
            "ScatterND",
            &[("x", &[4])],
            &[("i", &[2, 1]), ("w", &[2])],
            vec![word("reduction", "add")],
        ),
        (
            "ScatterND",
            &[("x", &[4])],
            &[("i", &[2, 1]), ("w", &[2])],
            vec![word("reduction", "mul")],
        ),
    ]
}

#[tokio::test]
async fn what_ezkl_computes_otherwise_is_refused_and_named() {
    let pool = pool();
    let folder = tempfile::tempdir().expect("a folder");
    for (row, (operator, inputs, weights, attributes)) in forms().into_iter().enumerate() {
        let model = model_of(operator, "", inputs, weights, &["y"], attributes);
        let path = folder.path().join(format!("{row}.onnx"));
        files::write_atomic(&path, &model.to_bytes()).expect("written");
        let values: Vec<Value> = inputs
            .iter()
            .map(|(_, shape)| (0..shape.iter().product::<i64>() as usize).map(any).collect())
            .collect();
        let data = folder.path().join(format!("{row}.json"));
        let text = json!({"input_data": values}).to_string();
        files::write_atomic(&data, text.as_bytes()).expect("written");
        let error = judge_files(&pool, &path, data, None).await;
        let error = error.expect_err(&format!("{operator} (row {row})"));
        let place = match &error {
            Error::Wrong(wrong) => &wrong.operator,
            Error::Outputs { operator, .. } => operator,
            // ezkl has come to refuse it by itself.
            Error::Engine(engine::Error::Python { .. }) => continue,
            _ => panic!("{operator} (row {row}): {error}"),
        };
        let place = place.as_deref().unwrap_or_default();
        assert!(place.contains(&format!("operator {operator} `it`")), "{error}");
    }
}
