//! Circuits for several observations at a time, against the model of one.

use super::{super::*, pool};
use crate::{
    accuracy::forward::forward_each,
    artifacts::{onnx, run_args::RunArgs},
    model::batch::{Batching, Form},
    onnx::proto::{NodeProto, TensorProto},
    prepare,
};
use std::fs;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mlp").join(name)
}

struct Circuit {
    folder: tempfile::TempDir,
    original: Original,
    settings: Settings,
}

impl Circuit {
    /// For three observations of a perceptron; `factors` multiply what it says of each.
    async fn new(pool: &EnginePool, factors: Option<[f32; 3]>, apart: bool) -> Self {
        let form = if apart { Form::Apart } else { Form::Joined };
        let batch = Batching::new(3, form, Form::Joined);
        let original = Original::read(&fixture("mlp4.onnx"), &[]).expect("a model");
        let original = original.in_batches(batch);
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| folder.path().join(name);
        let variables = [("batch_size".to_owned(), 1)];
        let data = fixture("mlp4.jsonl");
        let prepared = file("prepared.onnx");
        prepare::to_file(&original, &variables, Some(&data), &prepared).await.expect("prepared");
        if let Some(factors) = factors {
            let mut model = onnx::parse(&prepared).expect("a model");
            let graph = model.graph.as_mut().expect("a graph");
            let output = graph.output[0].name.clone();
            let makers = graph.node.iter_mut().flat_map(|node| &mut node.output);
            makers.filter(|name| **name == output).for_each(|name| *name = "before".to_owned());
            graph.node.push(NodeProto::new("Mul", &["before", "factors"], &[&output], []));
            graph.initializer.push(TensorProto::floats(&[3, 1], &factors).named("factors"));
            fs::write(&prepared, model.to_bytes()).expect("written");
        }
        let args = RunArgs { logrows: 16, decomp_legs: 3, ..RunArgs::default() };
        let engine = pool.get().await;
        let settings = file("settings.json");
        engine.gen_settings(&prepared, &settings, &args.to_engine()).await.expect("settings");
        let compiled = file("compiled");
        engine.compile_circuit(&prepared, &settings, &compiled).await.expect("compiled");
        drop(engine);
        let settings = Settings::read(&settings).expect("settings");
        Self { folder, original, settings }
    }

    async fn judged(&self, pool: &EnginePool) -> Result<Judgement> {
        let request = JudgeRequest {
            original: &self.original,
            prepared: &self.folder.path().join("prepared.onnx"),
            data: &[fixture("mlp4.jsonl")],
            compiled: &self.folder.path().join("compiled"),
            settings: &self.settings,
            max_error: None,
        };
        Ok(run(&request, pool).await?.0)
    }
}

#[tokio::test]
async fn each_observation_of_a_batch_is_compared_with_the_model_of_one() {
    let pool = pool();
    for apart in [false, true] {
        let judgement = Circuit::new(&pool, None, apart).await.judged(&pool).await.expect("right");
        assert_eq!(judgement.observations, 256, "all of the data, each by itself");
        assert!(judgement.drawn > 150, "{judgement:?}");
    }
    // Right for two of three.
    let circuit = Circuit::new(&pool, Some([1.0, 1.0, 1.3]), false).await;
    let error = circuit.judged(&pool).await.expect_err("wrong for the third");
    assert!(matches!(error, Error::Wrong(_)), "{error}");
}

#[tokio::test]
async fn what_has_no_answer_takes_none_along() {
    let pool = pool();
    let circuit = Circuit::new(&pool, None, false).await;
    // Beyond the range of the decomposition.
    let large = vec![vec![1e9; 4]];
    let small = vec![vec![0.5; 4]];
    let all = [&small, &small, &large, &small, &small, &small, &small];
    let (compiled, batch) = (circuit.folder.path().join("compiled"), circuit.original.batch());
    let mut heard = Vec::new();
    let answers =
        forward_each(&pool, &compiled, &circuit.settings, batch, &all, |done| heard.push(done));
    let answers = answers.await.expect("the engine runs");
    let provable =
        |it: &Result<Forward, String>| it.as_ref().is_ok_and(|it| it.unprovable.is_none());
    let answered: Vec<_> = answers.iter().map(provable).collect();
    assert_eq!(answered, [true, true, false, true, true, true, true]);
    assert!(heard.iter().all(|done| *done <= all.len()), "{heard:?}");
}

#[test]
fn each_place_of_a_batch_is_asked_at_least_twice_and_not_the_same() {
    for (asked, size) in [(448, 32), (448, 128), (100, 1024), (7, 7), (1, 4), (9, 4)] {
        let order = order(asked, size);
        assert!(order.len().is_multiple_of(size) && order.len() >= 2 * size, "{asked} {size}");
        assert!((0..asked).all(|number| order.contains(&number)), "{asked} {size}");
        assert_eq!(order[..asked], (0..asked).collect::<Vec<_>>());
        let differs = |place: usize| order[place] != order[place + size];
        assert!(asked == 1 || (0..size).all(differs), "{asked} {size}");
    }
    assert_eq!(order(3, 1), [0, 1, 2]);
    assert_eq!(order(0, 4), [0; 0]);
}
