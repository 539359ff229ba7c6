//! The accuracy report with real circuits, a second float runtime and a real browser.

mod support;

use serde_json::json;
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use support::{Outcome, zkvouch};
use zkvouch::{
    accuracy::{self, AccuracyRequest, Circuit, FloatModel, observations},
    artifacts::{run_args::RunArgs, settings::Settings},
    engine::{EngineConfig, EnginePool},
    field::{Felt, Scale},
    prepare::Original,
    toolchain,
};

const EXAMPLES: [&str; 4] = ["credit", "decision_tree", "random_forest", "xgboost"];

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

fn original(path: &Path) -> Original {
    Original::read(path, &[]).expect("a model")
}

fn batch() -> Vec<(String, usize)> {
    vec![("batch_size".to_owned(), 1)]
}

/// A Python with onnxruntime, kept in the cache.
fn onnxruntime() -> PathBuf {
    const PACKAGES: [&str; 2] = ["onnxruntime==1.20.1", "numpy==1.26.4"];
    let folder = toolchain::cache_dir().expect("a cache folder").join("test-onnxruntime-1.20.1");
    let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let run = |command: &mut Command| {
        let output = command.output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    if !folder.join("ready").is_file() {
        let host = std::env::var("ZKVOUCH_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        run(Command::new(host).args(["-m", "venv", "--clear"]).arg(&folder));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES));
        std::fs::write(folder.join("ready"), "").expect("written");
    }
    python
}

#[tokio::test]
async fn the_float_reference_agrees_with_onnxruntime() {
    let python = onnxruntime();
    let folder = tempfile::tempdir().expect("a folder");
    const SCRIPT: &str = "
import json, sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
kind = session.get_inputs()[0]
rows = json.load(open(sys.argv[2]))
print(json.dumps([[o.astype(float).reshape(-1).tolist() for o in
    session.run(None, {kind.name: numpy.array(row, numpy.float32).reshape(1, -1)})] for row in rows]))
";
    for name in EXAMPLES {
        let path = example(name).join("model.onnx");
        let model = FloatModel::load(&path, &batch()).await.expect("loads");
        let mut rows =
            observations::read(&example(name).join("data.json"), model.slots()).expect("data");
        // Inputs far from the data, too.
        rows.extend(
            rows.clone()
                .into_iter()
                .map(|row| vec![row[0].iter().map(|value| value * -3.0 + 0.1).collect()]),
        );
        let file = folder.path().join("rows.json");
        let flat: Vec<_> = rows.iter().map(|row| &row[0]).collect();
        std::fs::write(&file, serde_json::to_vec(&flat).expect("JSON")).expect("written");
        let output = Command::new(&python)
            .args(["-c", SCRIPT])
            .args([&path, &file])
            .output()
            .expect("python runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let expected: Vec<Vec<Vec<f64>>> = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(expected.len(), rows.len());
        for (row, expected) in rows.iter().zip(expected) {
            let found = model.run(row).expect("runs");
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
                let close = 1e-5 * expected.abs().max(1.0);
                assert!((found - expected).abs() <= close, "{name}: {found} {expected}");
            }
        }
    }
}

async fn circuit(pool: &EnginePool, name: &str, folder: &Path, label: &str, scale: i32) -> Circuit {
    let args = RunArgs {
        input_scale: Scale(scale),
        param_scale: Scale(scale),
        logrows: 12,
        decomp_base: 1 << 10,
        decomp_legs: 4,
        ..RunArgs::default()
    };
    let (model, settings) =
        (example(name).join("model.onnx"), folder.join(format!("{label}.json")));
    let compiled = folder.join(format!("{label}.ezkl"));
    let engine = pool.get().await;
    engine.gen_settings(&model, &settings, &args.to_engine()).await.expect("settings");
    engine.compile_circuit(&model, &settings, &compiled).await.expect("a circuit");
    Circuit { label: label.to_owned(), compiled, settings }
}

fn chromium() -> PathBuf {
    ["chromium", "chromium-browser", "google-chrome", "chrome"]
        .into_iter()
        .find_map(toolchain::find_on_path)
        .expect("a Chromium on PATH (Debian: apt-get install chromium)")
}

/// Loads a page and returns its DOM and a screenshot.
fn look(page: &Path, dark: bool, folder: &Path) -> (String, resvg::tiny_skia::Pixmap) {
    let shot = folder.join(if dark { "dark.png" } else { "light.png" });
    let browser = |extra: &[String]| {
        let mut command = Command::new(chromium());
        command.args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--window-size=1200,2600",
        ]);
        command.arg(format!("--user-data-dir={}", folder.join("profile").display()));
        command.arg(format!("--blink-settings=preferredColorScheme={}", if dark { 0 } else { 1 }));
        command.args(extra).arg(format!("file://{}", page.display()));
        let output = command.output().expect("Chromium starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let dom = browser(&["--dump-dom".to_owned()]);
    browser(&[format!("--screenshot={}", shot.display())]);
    let bytes = std::fs::read(&shot).expect("a screenshot");
    (dom, resvg::tiny_skia::Pixmap::decode_png(&bytes).expect("a PNG"))
}

#[tokio::test]
async fn two_circuits_are_compared_and_the_report_can_be_looked_at() {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = EnginePool::new(EngineConfig::from_env().expect("the environment"), 2);
    let fine = circuit(&pool, "credit", folder.path(), "fine", 13).await;
    let coarse = circuit(&pool, "credit", folder.path(), "coarse", 5).await;
    // The example's data, and an observation that no circuit of this range has an answer for.
    let mut far = vec![0.0; 41];
    far[3] = 1e9;
    let extra = folder.path().join("extra.csv");
    let row: Vec<_> = far.iter().map(f64::to_string).collect();
    std::fs::write(&extra, row.join(",")).expect("written");
    let request = AccuracyRequest {
        original: original(&example("credit").join("model.onnx")),
        data: vec![example("credit").join("data.json"), extra],
        circuits: vec![fine, coarse],
        worst: 5,
    };
    let report = accuracy::run(&request, &pool, |_| {}).await.expect("compared");
    pool.shutdown().await;

    assert_eq!(report.observations, 25);
    let [fine, coarse] = &report.circuits[..] else { panic!("two circuits") };
    let max = |circuit: &accuracy::CircuitReport| circuit.absolute.expect("errors").max;
    assert!(max(fine) < 2e-3 && max(coarse) > 10.0 * max(fine), "{} {}", max(fine), max(coarse));
    assert_eq!(fine.refused.len(), 1, "{:?}", fine.refused);
    assert_eq!(fine.refused[0].observation, 24);
    assert_eq!(fine.argmax(), (24, 0));
    assert_eq!(fine.worst.len(), 5);
    assert_eq!(fine.worst[0].inputs[0].len(), 41);
    assert!(fine.worst[0].absolute >= fine.worst[4].absolute);
    assert_eq!(report.csv().lines().count(), 1 + 2 * 25 * 2);

    let page = folder.path().join("report.html");
    std::fs::write(&page, report.html().expect("a page")).expect("written");
    for dark in [false, true] {
        let (dom, shot) = look(&page, dark, folder.path());
        assert_eq!(dom.matches("<svg").count(), 3);
        assert!(dom.contains("Worst observations, fine") && dom.contains("refused"));
        let count = |wanted: [u8; 3]| {
            let pixels = shot.pixels().iter();
            pixels.filter(|p| [p.red(), p.green(), p.blue()] == wanted).count()
        };
        let (paper, series) = match dark {
            false => ([0xff, 0xff, 0xff], [0x09, 0x69, 0xda]),
            true => ([0x0d, 0x11, 0x17], [0x58, 0xa6, 0xff]),
        };
        let area = (shot.width() * shot.height()) as usize;
        assert!(count(paper) > area / 2, "dark {dark}: the page is in its colour");
        assert!(count(series) > 50, "dark {dark}: the plots are in theirs");
    }
    if let Some(keep) = std::env::var_os("ZKVOUCH_KEEP_REPORT") {
        for name in ["report.html", "light.png", "dark.png"] {
            std::fs::copy(folder.path().join(name), Path::new(&keep).join(name)).expect("kept");
        }
        std::fs::write(Path::new(&keep).join("plots.png"), report.png().expect("a PNG"))
            .expect("kept");
    }
}

/// Batches are a matter of speed: the answers are those of the circuit that is asked about.
#[tokio::test]
async fn answers_in_batches_are_the_circuits_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = EnginePool::new(EngineConfig::from_env().expect("the environment"), 2);
    let circuit = circuit(&pool, "credit", folder.path(), "circuit", 9).await;
    let model = example("credit").join("model.onnx");
    let inputs = FloatModel::load(&model, &batch()).await.expect("loads");
    let data = observations::read(&example("credit").join("data.json"), inputs.slots());
    let data = data.expect("observations");
    let mut rows: Vec<Vec<f64>> = (0..100)
        .map(|number| {
            let row = &data[number % data.len()][0];
            row.iter().map(|value| value * (1.0 + number as f64 / 100.0)).collect()
        })
        .collect();
    // No circuit of this range has an answer for it, nor for a batch with it.
    rows[70][3] = 1e12;
    let lines: Vec<_> = rows.iter().map(|row| serde_json::json!(row).to_string()).collect();
    let file = folder.path().join("rows.jsonl");
    std::fs::write(&file, lines.join("\n")).expect("written");
    let request = AccuracyRequest {
        original: original(&model),
        data: vec![file],
        circuits: vec![circuit],
        worst: 3,
    };
    let done = std::sync::Mutex::new(Vec::new());
    let progress = |step: accuracy::Progress<'_>| done.lock().expect("a lock").push(step.done);
    let report = accuracy::run(&request, &pool, progress).await.expect("compared");
    let done = done.into_inner().expect("a lock");
    assert!(done.is_sorted() && done.last() == Some(&100), "{done:?}");

    let settings = Settings::read(&request.circuits[0].settings).expect("settings");
    let inputs = rows.iter().map(|row| serde_json::json!({"input_data": [row]})).collect();
    let compiled = &request.circuits[0].compiled;
    let alone = pool.forward_many(inputs, compiled, |_| {}).await.expect("answers");
    for (number, (alone, reported)) in alone.iter().zip(&report.circuits[0].values).enumerate() {
        let Ok(alone) = alone else {
            assert_eq!((number, reported), (70, &None));
            continue;
        };
        let felt = |value: &serde_json::Value| {
            let felt = Felt::from_le_hex(value.as_str().expect("a felt")).expect("a felt");
            felt.to_f64(settings.model_output_scales[0]).expect("a value")
        };
        let alone: Vec<_> =
            alone["outputs"][0].as_array().expect("felts").iter().map(felt).collect();
        assert_eq!(reported.as_deref(), Some(&[alone][..]), "{number}");
    }
    assert_eq!(report.circuits[0].refused.len(), 1);
    pool.shutdown().await;
}

#[tokio::test]
async fn a_model_whose_batch_is_not_its_observations_is_answered_one_by_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = EnginePool::new(EngineConfig::from_env().expect("the environment"), 2);
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny/mixing.onnx");
    let (settings, compiled) = (folder.path().join("s.json"), folder.path().join("c"));
    let engine = pool.get().await;
    let args = RunArgs { logrows: 10, decomp_base: 1 << 9, ..RunArgs::default() };
    engine.gen_settings(&model, &settings, &args.to_engine()).await.expect("settings");
    engine.compile_circuit(&model, &settings, &compiled).await.expect("a circuit");
    drop(engine);
    let file = folder.path().join("rows.csv");
    let rows: Vec<_> = (0..80).map(|n| format!("{n},{},0.5", -n)).collect();
    std::fs::write(&file, rows.join("\n")).expect("written");
    let circuit = Circuit { label: "circuit".to_owned(), compiled, settings };
    let request = AccuracyRequest {
        original: original(&model),
        data: vec![file],
        circuits: vec![circuit],
        worst: 1,
    };
    let report = accuracy::run(&request, &pool, |_| {}).await.expect("compared");
    pool.shutdown().await;
    for (number, values) in report.circuits[0].values.iter().enumerate() {
        let twice = 2.0 * number as f64;
        assert_eq!(values.as_deref(), Some(&[vec![twice, -twice, 1.0]][..]));
    }
}

#[tokio::test]
async fn a_circuit_of_another_model_is_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = EnginePool::new(EngineConfig::from_env().expect("the environment"), 1);
    let other = circuit(&pool, "decision_tree", folder.path(), "other", 7).await;
    let model = example("decision_tree").join("model.onnx");
    let credit = example("credit").join("model.onnx");
    let data = vec![example("decision_tree").join("data.json")];
    let mut request =
        AccuracyRequest { original: original(&credit), data, circuits: vec![other], worst: 1 };
    let error = accuracy::run(&request, &pool, |_| {}).await.expect_err("another model");
    assert!(error.to_string().contains("the model takes 41"), "{error}");
    request.original = original(&model);
    let report = accuracy::run(&request, &pool, |_| {}).await.expect("compared");
    assert_eq!(report.circuits[0].refused.len(), 0);
    pool.shutdown().await;
}

/// The circuit rounds a near tie away and says another class: one of four observations, not an error of one.
#[tokio::test]
async fn another_class_is_counted_and_bounded_as_such() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/argmax_tie/network.onnx");
    let pool = EnginePool::new(EngineConfig::from_env().expect("the environment"), 1);
    let variables = vec![("batch".to_owned(), 1)];
    let args = RunArgs { variables, logrows: 12, decomp_legs: 4, ..RunArgs::default() };
    let engine = pool.get().await;
    engine.gen_settings(&model, &at("s.json"), &args.to_engine()).await.expect("settings");
    drop(engine);
    pool.shutdown().await;
    let rows = "1,0,0,0\n0,1,0,0\n0,0,0,1\n0.25,0.5,0.50001,0.5\n";
    std::fs::write(at("rows.csv"), rows).expect("written");
    std::fs::write(at("same.csv"), "1,0,0,0\n".repeat(3)).expect("written");
    let accuracy = |data: &str, more: &[&str]| {
        let mut command = zkvouch();
        command.args(["accuracy", "--json", "--settings", "s.json", "--data", data, "--model"]);
        Outcome::of(command.arg(&model).args(more).current_dir(folder.path()))
    };
    let strict = accuracy("rows.csv", &["--fail-above", "100", "--html", "report.html"]);
    assert_eq!(strict.0.status.code(), Some(4), "{}", strict.stderr());
    let data = &strict.envelope()["data"];
    let why = data["violation"].as_str().expect("a violation");
    assert!(why.contains("has another label for 1 of 4 (25.00 %)"), "{why}");
    assert_eq!(data["report"]["notes"], json!([]));
    let output = &data["report"]["circuits"][0]["outputs"][0];
    assert_eq!(output["label_flips"], json!({ "count": 1, "observations": 4, "share": 0.25 }));
    assert_eq!((&output["element"], &output["absolute"]), (&json!("i64"), &json!(null)));
    assert_eq!(data["report"]["circuits"][0]["worst"][0]["observation"], 3);
    let page = std::fs::read_to_string(at("report.html")).expect("a page");
    assert!(page.contains("<td class=bad>1 of 4 (25.00 %)") && page.contains("another label"));

    accuracy("rows.csv", &["--fail-above", "mean:25%"]).success();
    let same = accuracy("same.csv", &["--fail-above", "0"]).success().envelope();
    let note = same["data"]["report"]["notes"][0].as_str().expect("a note");
    assert!(note.contains("all 3 observations are the same input"), "{note}");
}
