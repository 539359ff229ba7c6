//! The judge on small models that ezkl reads wrongly, and on some that it reads right.

mod batches;
mod operators;

use super::*;
use crate::{
    artifacts::run_args::RunArgs,
    engine::{self, EngineConfig},
    files,
};

fn pool() -> EnginePool {
    EnginePool::new(EngineConfig::from_env().expect("the environment"), 2)
}

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name)
}

/// Compiles the case's circuit as it is without tuning and judges it.
async fn judged(pool: &EnginePool, name: &str, max_error: Option<ErrorBound>) -> Result<Judgement> {
    let (model, data) = (case(name).join("network.onnx"), case(name).join("input.json"));
    judge_files(pool, &model, data, max_error).await
}

async fn judge_files(
    pool: &EnginePool,
    model: &Path,
    data: PathBuf,
    max_error: Option<ErrorBound>,
) -> Result<Judgement> {
    let original = Original::read(model, &[]).expect("a model");
    let file = original.file();
    let args = RunArgs {
        variables: file.symbols().iter().map(|name| ((*name).to_owned(), 1)).collect(),
        logrows: 17,
        decomp_legs: 4,
        ..RunArgs::default()
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (path, compiled) = (folder.path().join("settings.json"), folder.path().join("compiled"));
    let engine = pool.get().await;
    engine.gen_settings(model, &path, &args.to_engine()).await?;
    engine.compile_circuit(model, &path, &compiled).await?;
    drop(engine);
    let settings = Settings::read(&path).expect("settings");
    let data = [data];
    let request = JudgeRequest {
        original: &original,
        prepared: model,
        data: &data,
        compiled: &compiled,
        settings: &settings,
        max_error,
    };
    Ok(run(&request, pool).await?.0)
}

#[tokio::test]
async fn a_circuit_that_says_something_else_is_refused_and_the_operator_named() {
    let pool = pool();
    for (name, operator) in [
        ("lstm_reverse", "LSTM"),
        ("rnn_relu", "RNN"),
        ("celu_alpha_2", "Celu"),
        ("averagepool_same_upper", "AveragePool"),
        ("maxpool_pads_negative", "MaxPool"),
        ("pow_negative_one", "Pow"),
        ("trilu", "Trilu"),
        ("int64_add_2p24", "Add"),
        ("argmax_near_tie", "ArgMax"),
    ] {
        let error = judged(&pool, name, None).await.expect_err(name);
        let wrong = match &error {
            Error::Wrong(wrong) => wrong,
            // ezkl has come to refuse it by itself.
            Error::Engine(engine::Error::Python { .. }) => continue,
            _ => panic!("{name}: {error}"),
        };
        let found = wrong.operator.as_deref().unwrap_or_default();
        assert!(found.contains(operator), "{name}: {error}");
    }
    let error = judged(&pool, "int64_add_2p24", None).await.expect_err("beyond 2^24").to_string();
    assert!(error.contains("2^24") && error.contains("16777217"), "{error}");
}

#[tokio::test]
async fn a_circuit_that_says_the_same_passes() {
    let pool = pool();
    for name in ["argmax_tie", "prelu_7ch", "scalar_rank0", "two_outputs_one_is_input"] {
        let judgement = judged(&pool, name, None).await.expect(name);
        assert_eq!(judgement.observations, 1, "{name}");
        assert!(judgement.drawn > 100, "{name}: {judgement:?}");
        assert_eq!(judgement, judged(&pool, name, None).await.expect(name), "each time the same");
    }
}

#[tokio::test]
async fn a_bound_says_otherwise() {
    let pool = pool();
    let bound = |text: &str| Some(text.parse().expect("a bound"));
    let error = judged(&pool, "prelu_7ch", bound("0.0000001")).await.expect_err("too strict");
    assert!(matches!(error, Error::Wrong(_)), "{error}");
    let lax = judged(&pool, "celu_alpha_2", bound("1")).await.expect("allowed");
    assert!(lax.outputs[0].max_error > 0.1, "{lax:?}");
    let error =
        judged(&pool, "celu_alpha_2", bound("mean:0.000001")).await.expect_err("too strict");
    assert!(error.to_string().contains("mean"), "{error}");
}

/// What is off by more than our own tests of operators and models let pass is not built by default.
#[tokio::test]
async fn a_fiftieth_of_the_range_is_the_standard() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("examples/credit/model.onnx");
    let original = Original::read(&path, &[]).expect("a model");
    let settings = Settings::read(&root.join("tests/data/tune/credit.settings.json"));
    let settings = settings.expect("settings");
    let model = original.float_model(&settings.run_args.variables).await.expect("runs");
    let request = JudgeRequest {
        original: &original,
        prepared: &path,
        data: &[],
        compiled: &path,
        settings: &settings,
        max_error: None,
    };
    let ranges = vec![(-4.0, 6.0); model.outputs().len()];
    let court = Court { request: &request, model: &model, scores: None, ranges, lone: false };
    assert!(!model.outputs()[0].is_label(), "a quantity");
    let narrow = vec![(5.0, 5.1); model.outputs().len()];
    for (lone, passes) in [(true, true), (false, false)] {
        let court =
            Court { request: &request, model: &model, scores: None, ranges: narrow.clone(), lone };
        assert_eq!(court.is_within(true, 0, 5.0, 5.05), passes, "one observation has no range");
    }
    for is_data in [true, false] {
        assert!(court.is_within(is_data, 0, 5.0, 5.199) && court.is_within(is_data, 0, 5.0, 4.801));
        assert!(!court.is_within(is_data, 0, 5.0, 5.201), "of the range, not of the answer");
        assert!(!court.is_within(is_data, 0, 0.1, -0.101));
    }
}

/// Between an input and its neighbour a tree jumps; a dense layer only grows, however coarse the grid is.
#[tokio::test]
async fn a_coarse_grid_is_no_tie() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let credit = Original::read(&root.join("examples/credit/model.onnx"), &[]).expect("a model");
    let model = credit.float_model(&[("batch_size".to_owned(), 1)]).await.expect("runs");
    let input = vec![vec![0.3; model.inputs()[0].len()]];
    let mut neighbour = input.clone();
    neighbour[0].iter_mut().for_each(|value| *value += 1.0 / 32.0);
    let value = |answers: &[Vec<f64>]| answers[0][0];
    let (from, to) = (model.run(&input).expect("answers"), model.run(&neighbour).expect("answers"));
    let (from, to) = (value(&from), value(&to));
    assert!((from - to).abs() > 1e-4, "{from} {to}");
    let near = |answers: &[Vec<f64>]| (value(answers) - to).abs() < (from - to).abs() / 4.0;
    assert!(!ties::jumps(&model, &input, neighbour, near, value));

    let path = case("tree_threshold_tie").join("network.onnx");
    let tree = Original::read(&path, &[]).expect("a model");
    let file = tree.file();
    let variables: Vec<_> = file.symbols().iter().map(|name| ((*name).to_owned(), 1)).collect();
    let model = tree.float_model(&variables).await.expect("runs");
    let data = observations::read(&case("tree_threshold_tie").join("input.json"), model.slots());
    let input = data.expect("data").swap_remove(0);
    let answers = model.run(&input).expect("answers");
    let last = answers.len() - 1;
    let value = |answers: &[Vec<f64>]| answers[last][0];
    let jumped = (0..input[0].len()).any(|element| {
        [1.0, -1.0].into_iter().any(|sign| {
            let mut neighbour = input.clone();
            neighbour[0][element] += sign / 128.0;
            let Ok(there) = model.run(&neighbour) else { return false };
            let (here, there) = (value(&answers), value(&there));
            let near = |answers: &[Vec<f64>]| (value(answers) - there).abs() < 1e-9;
            here != there && ties::jumps(&model, &input, neighbour, near, value)
        })
    });
    assert!(jumped, "it stands on a threshold");
}
