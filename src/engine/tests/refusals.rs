//! Why ezkl refuses a model, in words that say what to do.

use super::*;
use crate::onnx::testing::{int, ints, model_of, word};

type Tensors = &'static [(&'static str, &'static [i64])];

#[tokio::test]
async fn why_ezkl_refuses_a_model_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = Engine::new(config());
    let x: Tensors = &[("x", &[1, 4])];
    let image: Tensors = &[("x", &[1, 1, 4, 4])];
    let ml = "ai.onnx.ml";
    let plain = |operator, inputs: Tensors, weights: Tensors, attributes| {
        let output = if inputs[0].0.starts_with(['i', 'u']) { inputs[0].0 } else { "y" };
        let output = format!("{output}out");
        model_of(operator, "", inputs, weights, &[&output], attributes)
    };
    let cases = [
        (
            plain("Mod", x, &[("w", &[1])], vec![int("fmod", 1)]),
            ["Rem", "no form in ezkl's circuits"],
        ),
        (
            model_of("NonZero", "", x, &[], &["i"], vec![]),
            ["NonZero", "no form in ezkl's circuits"],
        ),
        (plain("MatMul", x, &[("w", &[3, 2])], vec![]), ["\"it\" MatMul", "don't fit each other"]),
        (
            model_of("Identity", "", &[("s", &[1])], &[], &["s2"], vec![]),
            ["String", "no other types"],
        ),
        (
            model_of("TopK", "", x, &[("ik", &[1])], &["y", "i"], vec![]),
            ["missing in the graph: 1", "first output"],
        ),
        (
            plain("AveragePool", image, &[], vec![ints("kernel_shape", &[2, 2])]),
            ["stride", "written out"],
        ),
        (
            model_of("Scaler", ml, x, &[], &["y"], vec![]),
            ["Unimplemented(Scaler)", "hummingbird-ml"],
        ),
        (
            model_of("Foo", "mine", x, &[], &["y"], vec![]),
            ["Unimplemented(Foo)", "which ezkl lacks"],
        ),
        (plain("Add", x, &[("huge", &[1])], vec![]), ["bit truncation", "-1e4 does as well"]),
        (
            plain("Pow", &[("x", &[1, 4]), ("z", &[1, 4])], &[], vec![]),
            ["(pow)", "one constant exponent"],
        ),
        (plain("Div", &[("i", &[4]), ("i2", &[4])], &[], vec![]), ["(div)", "by one constant"]),
        (
            plain("MatMul", &[("x", &[2, 1, 2, 2]), ("z", &[1, 2, 2, 2])], &[], vec![]),
            ["einsum", "both of one shape"],
        ),
        (
            plain("ReduceSum", &[("x", &[2, 4]), ("i", &[1])], &[], vec![]),
            ["Reduce", "constants of the model"],
        ),
        (
            plain("Trilu", &[("x", &[4, 4]), ("i", &[])], &[], vec![]),
            ["constant diagonals", "no input"],
        ),
        (
            plain("BitShift", &[("u", &[4]), ("u2", &[4])], &[], vec![word("direction", "LEFT")]),
            ["shift left", "power of two"],
        ),
        (
            plain(
                "MaxPool",
                image,
                &[],
                vec![ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2]), int("ceil_mode", 1)],
            ),
            ["reshape", "ceil_mode"],
        ),
        (
            plain(
                "ConvTranspose",
                &[("x", &[1, 1, 3, 3]), ("w", &[1, 1, 2, 2])],
                &[],
                vec![ints("dilations", &[2, 2])],
            ),
            ["dilations", "lacks the value"],
        ),
        (
            plain(
                "ConvTranspose",
                &[("x", &[1, 1, 3, 3]), ("w", &[1, 2, 3, 3])],
                &[],
                vec![ints("output_padding", &[1, 1]), ints("strides", &[3, 2])],
            ),
            ["beyond the edge", "use pads instead"],
        ),
        (
            model_of("Dropout", "", x, &[], &["y", "b"], vec![]),
            ["no entry found", "only the first"],
        ),
        (
            plain(
                "GRU",
                &[("x", &[1, 3, 2]), ("w", &[2, 15, 2]), ("r", &[2, 15, 5])],
                &[],
                vec![int("hidden_size", 5), word("direction", "bidirectional")],
            ),
            ["capacity overflow", "one for each direction"],
        ),
        (
            model_of("Shape", "", x, &[], &["i"], vec![int("start", 2), int("end", 1)]),
            ["slice index", "end before they start"],
        ),
    ];
    for (number, (model, expected)) in cases.into_iter().enumerate() {
        let path = folder.path().join(format!("{number}.onnx"));
        crate::files::write_atomic(&path, &model.to_bytes()).expect("written");
        let out = folder.path().join("settings.json");
        let error = engine.gen_settings(&path, &out, &run_args()).await.expect_err(expected[0]);
        let error = error.to_string();
        assert!(expected.iter().all(|part| error.contains(part)), "{expected:?}: {error}");
        for misleading in ["larger base", "crashed", "vocabulary", "/.cargo/", "operator set 9"] {
            assert!(!error.contains(misleading), "{error}");
        }
    }
}

#[tokio::test]
async fn a_circuit_of_infinite_scale_is_no_broken_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let engine = Engine::new(config());
    let model = model_of("ReduceProd", "", &[("x", &[3, 2, 2])], &[], &["y"], vec![]);
    crate::files::write_atomic(&at("m.onnx"), &model.to_bytes()).expect("written");
    let mut args = run_args();
    args.insert("input_scale".to_owned(), json!(13));
    engine.gen_settings(&at("m.onnx"), &at("s.json"), &args).await.expect("settings");
    let error = engine.compile_circuit(&at("m.onnx"), &at("s.json"), &at("m.ezkl")).await;
    let error = error.expect_err("2^156").to_string();
    assert!(
        error.contains("has become infinite") && error.contains("lower input_scale"),
        "{error}"
    );
}

#[tokio::test]
async fn a_token_outside_its_table_is_no_crash() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let engine = Engine::new(config());
    let mut model = model_of("Gather", "", &[("i", &[1, 3])], &[("w", &[5, 2])], &["y"], vec![]);
    let node = &mut model.graph.as_mut().expect("a graph").node[0];
    node.input.swap(0, 1);
    crate::files::write_atomic(&at("m.onnx"), &model.to_bytes()).expect("written");
    engine.gen_settings(&at("m.onnx"), &at("settings.json"), &run_args()).await.expect("settings");
    write(&at("far.json"), &json!({"input_data": [[1, 9, 2]]}));
    let request = CalibrateRequest::new(&at("far.json"), &at("m.onnx"), &at("settings.json"));
    let error = engine.calibrate(&request).await.expect_err("no row 9").to_string();
    assert!(error.contains("an index outside of its table"), "{error}");
    engine
        .compile_circuit(&at("m.onnx"), &at("settings.json"), &at("m.ezkl"))
        .await
        .expect("a circuit");
    let (data, out) = (at("far.json"), at("witness.json"));
    let error = engine.gen_witness(&data, &at("m.ezkl"), &out, None, None).await;
    let error = error.expect_err("no row 9").to_string();
    assert!(error.contains("beyond the vocabulary") && !error.contains("crashed"), "{error}");
}
