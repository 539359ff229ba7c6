//! Models before and after they are prepared. That the answers stay is checked by [`prepare`] itself.

use super::*;
use crate::{artifacts::onnx, onnx::proto::tensor_shape_proto::dimension};
use std::fs;

fn case(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name).join("network.onnx")
}

fn example(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name).join("model.onnx")
}

async fn prepared(path: &Path, variables: &[(&str, usize)]) -> Result<(ModelProto, Notes)> {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("prepared.onnx");
    let variables: Vec<_> =
        variables.iter().map(|(name, size)| ((*name).to_owned(), *size)).collect();
    let prepared = to_file(&Original::read(path, &[])?, &variables, None, &copy).await?;
    Ok((onnx::parse(&copy)?, prepared.notes))
}

#[tokio::test]
async fn axes_have_lengths_and_outputs_have_shapes() {
    let (model, _) = prepared(&example("credit"), &[("batch_size", 3)]).await.expect("prepared");
    let graph = model.graph.expect("a graph");
    for info in graph.input.iter().chain(&graph.output) {
        let dims = info.dims().expect("a shape");
        let first = dims[0].value.clone();
        assert_eq!(first, Some(dimension::Value::DimValue(3)), "{}", info.name);
    }
}

#[tokio::test]
async fn preparing_twice_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, second) = (folder.path().join("1.onnx"), folder.path().join("2.onnx"));
    let variables = [("batch_size".to_owned(), 1)];
    for name in ["credit", "decision_tree", "random_forest", "xgboost"] {
        let original = Original::read(&example(name), &[]).expect("a model");
        to_file(&original, &variables, None, &first).await.expect("prepared");
        let again = Original::read(&first, &[]).expect("a model");
        to_file(&again, &variables, None, &second).await.expect("prepared");
        assert!(fs::read(&first).expect("1") == fs::read(&second).expect("2"), "{name}");
    }
}

#[tokio::test]
async fn weights_beside_the_model_are_put_inside_and_what_is_wrong_with_them_is_told() {
    let source = case("external_weights");
    let (model, _) = prepared(&source, &[("batch_size", 1)]).await.expect("prepared");
    let graph = model.graph.expect("a graph");
    assert!(graph.initializer.iter().all(|tensor| tensor.external_data.is_empty()));

    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("network.onnx");
    fs::copy(&source, &model).expect("copied");
    let error = Original::read(&model, &[]).expect_err("no weights").to_string();
    assert!(error.contains("is not there") && error.contains("save_as_external_data"), "{error}");

    let mut proto = onnx::parse(&source).expect("a model");
    let graph = proto.graph.as_mut().expect("a graph");
    let tensor = graph.initializer.iter_mut().find(|it| it.data_location == Some(1));
    let tensor = tensor.expect("an external tensor");
    let entry = tensor.external_data.iter_mut().find(|it| it.key == "location").expect("a file");
    let (name, name_of_file) = (tensor.name.clone(), entry.value.clone());
    fs::write(folder.path().join(&name_of_file), [0; 3]).expect("written");
    let error = Original::read(&model, &[]).expect_err("cut short").to_string();
    assert!(error.contains(&name) && error.contains("cut short"), "{error}");

    let location = entry.value.clone();
    for outside in ["../secret", "/etc/hostname", "a/../../secret"] {
        let mut proto = proto.clone();
        let tensors = proto.graph.iter_mut().flat_map(|graph| &mut graph.initializer);
        for entry in tensors.flat_map(|tensor| &mut tensor.external_data) {
            if entry.value == location {
                entry.value = outside.to_owned();
            }
        }
        fs::write(&model, proto.to_bytes()).expect("written");
        let error = Original::read(&model, &[]).expect_err("outside").to_string();
        assert!(error.contains("outside the model's folder"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_models_folder_is_not_followed() {
    let source = case("external_weights");
    let proto = onnx::parse(&source).expect("a model");
    let tensors = proto.graph.iter().flat_map(|graph| &graph.initializer);
    let entries = tensors.flat_map(|tensor| &tensor.external_data);
    let location = entries.clone().find(|it| it.key == "location").expect("a file").value.clone();
    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("network.onnx");
    fs::copy(&source, &model).expect("copied");
    let real = source.parent().expect("a folder").join(&location);
    std::os::unix::fs::symlink(real, folder.path().join(&location)).expect("linked");
    let error = Original::read(&model, &[]).expect_err("outside").to_string();
    assert!(error.contains("outside the model's folder"), "{error}");
}

#[tokio::test]
async fn outputs_are_chosen_by_name() {
    let path = case("two_outputs_one_is_input");
    let all = Original::read(&path, &[]).expect("a model");
    let names: Vec<_> = all.file().outputs.iter().map(|output| output.name.clone()).collect();
    let one = Original::read(&path, &names[..1]).expect("a model");
    let float = one.float_model(&[("batch_size".to_owned(), 1)]).await.expect("loads");
    assert_eq!(float.outputs().len(), 1);
    assert_eq!(float.outputs()[0].name, names[0]);
    let error = Original::read(&path, &["nothing".to_owned()]).expect_err("none").to_string();
    assert!(error.contains("no output `nothing`") && error.contains(&names[1]), "{error}");
}

#[tokio::test]
async fn names_of_classes_become_numbers() {
    let (model, notes) =
        prepared(&case("string_label"), &[("batch_size", 1)]).await.expect("prepared");
    assert!(notes.outputs.iter().any(|note| note.contains("0 is no, 1 is yes")), "{notes:?}");
    let graph = model.graph.expect("a graph");
    assert!(graph.initializer.iter().all(|tensor| tensor.data_type != element::STRING));
}

/// `y` is `x` in the shape that the input `shape` names.
fn shaped(folder: &Path) -> std::path::PathBuf {
    let node = crate::onnx::proto::NodeProto::new("Reshape", &["x", "shape"], &["y"], []);
    let graph = GraphProto {
        name: "graph".to_owned(),
        node: vec![node],
        input: vec![
            ValueInfoProto::tensor("x", element::FLOAT, &[2, 3]),
            ValueInfoProto::tensor("shape", element::INT64, &[2]),
        ],
        output: vec![ValueInfoProto { name: "y".to_owned(), r#type: None }],
        ..GraphProto::default()
    };
    let model = ModelProto {
        ir_version: 10,
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        ..ModelProto::default()
    };
    let path = folder.join("network.onnx");
    fs::write(&path, model.to_bytes()).expect("written");
    path
}

#[tokio::test]
async fn an_input_that_decides_a_shape_becomes_part_of_the_model() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, copy) = (shaped(folder.path()), folder.path().join("prepared.onnx"));
    let fixed =
        |name: &str, values: &[f64]| -> Constants { [(name.to_owned(), values.to_vec())].into() };
    let open = to_file(&Original::read(&path, &[]).expect("a model"), &[], None, &copy).await;
    let error = open.expect_err("open").to_string();
    assert!(error.contains("--fix shape"), "{error}");

    let original = Original::with_constants(&path, &[], &fixed("shape", &[3.0, 2.0]));
    let original = original.expect("fits");
    assert!(
        original.notes()[0].contains("`shape` is part of the circuit, with the value [3.0, 2.0]")
    );
    let data = folder.path().join("data.json");
    fs::write(&data, "{\"input_data\": [[1, 2, 3, 4, 5, 6], [3, 2]]}").expect("written");
    let open = Original::read(&path, &[]).expect("a model");
    let error = to_file(&open, &[], Some(&data), &copy).await.expect_err("open").to_string();
    assert!(error.contains("init with --fix shape"), "{error}");
    for (text, taken) in [
        ("[[1, 2, 3, 4, 5, 6]]", true),
        ("[[1, 2, 3, 4, 5, 6], [3, 2]]", true),
        ("[[1, 2, 3, 4, 5, 6], [6, 1]]", false),
    ] {
        fs::write(&data, format!("{{\"input_data\": {text}}}")).expect("written");
        let prepared = to_file(&original, &[], Some(&data), &copy).await;
        assert_eq!(prepared.is_ok(), taken, "{text}: {prepared:?}");
    }
    let graph = onnx::parse(&copy).expect("a model").graph.expect("a graph");
    assert_eq!(graph.input.len(), 1);
    assert_eq!(original.float_model(&[]).await.expect("loads").outputs()[0].shape, [3, 2]);

    for (constants, reason) in [
        (fixed("size", &[6.0]), "no input `size`"),
        (fixed("shape", &[6.0]), "do not fit its shape"),
        (fixed("shape", &[2.5, 1.0]), "numbers that its type does not hold"),
        (
            [fixed("x", &[0.0; 6]), fixed("shape", &[6.0, 1.0])].into_iter().flatten().collect(),
            "nothing is left",
        ),
    ] {
        let error = Original::with_constants(&path, &[], &constants).expect_err(reason).to_string();
        assert!(error.contains(reason), "{error}");
    }
}
