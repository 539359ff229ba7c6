//! The reference on real models.

use super::*;
use crate::files;
use std::path::{Path, PathBuf};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name).join("model.onnx")
}

fn input(name: &str) -> Vec<Vec<f64>> {
    let path = example(name).with_file_name("input.json");
    let json: serde_json::Value =
        serde_json::from_slice(&files::read(&path).expect("input.json")).expect("JSON");
    serde_json::from_value(json["input_data"].clone()).expect("input_data")
}

fn batch(size: usize) -> Vec<(String, usize)> {
    vec![("batch_size".to_owned(), size)]
}

#[tokio::test]
async fn the_credit_model_gives_what_onnxruntime_gave() {
    let model = FloatModel::load(&example("credit"), &batch(1)).await.expect("loads");
    assert_eq!(model.inputs()[0].shape, [1, 41]);
    assert_eq!(model.outputs()[0].shape, [1, 2]);
    assert_eq!(model.outputs()[0].name, "output");
    let outputs = model.run(&input("credit")).expect("runs");
    let expected = [-2.4107184, 3.5962422];
    for (found, expected) in outputs[0].iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
}

#[tokio::test]
async fn every_example_runs_and_trees_give_probabilities() {
    for name in ["decision_tree", "random_forest", "xgboost"] {
        let model = FloatModel::load(&example(name), &batch(1)).await.expect("loads");
        let outputs = model.run(&input(name)).expect("runs");
        let sum: f64 = outputs[0].iter().sum();
        assert!((sum - 1.0).abs() < 1e-5, "{name}: {outputs:?}");
    }
}

#[tokio::test]
async fn a_batch_is_the_rows_one_after_the_other() {
    let row = input("credit").remove(0);
    let one = FloatModel::load(&example("credit"), &batch(1)).await.expect("loads");
    let three = FloatModel::load(&example("credit"), &batch(3)).await.expect("loads");
    let single = one.run(std::slice::from_ref(&row)).expect("runs").remove(0);
    let triple = three.run(&[row.repeat(3)]).expect("runs").remove(0);
    for (found, expected) in triple.iter().zip(single.repeat(3)) {
        assert!((found - expected).abs() < 1e-5);
    }
    assert_eq!(triple.len(), 6);
}

#[tokio::test]
async fn bad_input_is_named() {
    let unbound = FloatModel::load(&example("credit"), &[]).await.expect_err("no batch size");
    assert!(unbound.to_string().contains("batch_size=1"), "{unbound}");
    let model = FloatModel::load(&example("credit"), &batch(1)).await.expect("loads");
    let short = model.run(&[vec![0.0; 40]]).expect_err("short");
    assert!(short.to_string().contains("has 41 elements (shape [1, 41]) but 40"), "{short}");
    let mut row = vec![0.0; 41];
    row[7] = f64::NAN;
    let nan = model.run(&[row]).expect_err("NaN");
    assert!(nan.to_string().contains("element 7: NaN"), "{nan}");
    assert!(matches!(model.run(&[]), Err(Error::InputCount { expected: 1, found: 0 })));
}

#[tokio::test]
async fn a_file_that_is_not_onnx_is_refused_without_a_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.onnx");
    let whole = files::read(&example("credit")).expect("bytes");
    for bytes in [&b""[..], b"hello", &whole[..whole.len() / 2], &whole[..1800]] {
        files::write_atomic(&path, bytes).expect("written");
        let error = FloatModel::load(&path, &batch(1)).await.expect_err("not ONNX");
        assert!(error.to_string().contains("model.onnx"), "{error}");
    }
    assert!(matches!(
        FloatModel::load(&folder.path().join("none.onnx"), &[]).await,
        Err(Error::File(_))
    ));
}

#[tokio::test]
async fn a_missing_operator_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.onnx");
    // The same length keeps the protobuf valid: "Relu" becomes an operator nobody has.
    let mut bytes = files::read(&example("credit")).expect("bytes");
    let at = bytes.windows(6).position(|window| window == b"\x22\x04Relu").expect("Relu");
    bytes[at + 2..at + 6].copy_from_slice(b"Xelu");
    files::write_atomic(&path, &bytes).expect("written");
    let error = FloatModel::load(&path, &batch(1)).await.expect_err("no such operator");
    let error = error.to_string();
    assert!(error.contains("Xelu") && error.contains("model.onnx"), "{error}");
}
