//! The tuner with real circuits.

mod support;

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use zkvouch::{
    accuracy::observations,
    artifacts::{run_args::RunArgs, settings::Settings, witness::Witness},
    engine::{EngineConfig, EnginePool, SetupRequest},
    tune::{
        self, BoundFrom, Calibration, CostModel, Error, Objective, Prove, Shape, TuneReport,
        TuneRequest,
    },
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pool() -> EnginePool {
    let mut config = EngineConfig::from_env().expect("the environment");
    config.threads = Some(1);
    EnginePool::new(config, 2)
}

fn request(folder: &Path, example: &str) -> TuneRequest {
    let example = root().join("examples").join(example);
    let (model, data) = (example.join("model.onnx"), example.join("data.json"));
    TuneRequest {
        max_logrows: 14,
        ..TuneRequest::new(model, vec![data], folder.join("settings.json"))
    }
}

async fn run(request: &TuneRequest, pool: &EnginePool) -> Result<TuneReport, Error> {
    tune::run(request, pool, &AtomicBool::new(false), &|_| {}).await
}

#[tokio::test]
async fn the_credit_model_gets_a_small_circuit_that_proves_and_is_found_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = pool();
    let mut request = request(folder.path(), "credit");
    request.cache = Some(folder.path().join("cache"));
    let report = run(&request, &pool).await.expect("tuned");

    let (choice, baseline) = (&report.choice, report.baseline.as_ref().expect("a baseline"));
    assert_eq!(baseline.run_args.logrows, 15, "ezkl's own decomposition");
    assert!(choice.run_args.logrows <= 12, "{choice:?}");
    assert!(report.speedup() > Some(6.0), "{:?}", report.speedup());
    assert!(choice.cost.verify_gas <= baseline.cost.verify_gas);
    let error = |candidate: &tune::Candidate| candidate.error.expect("measured").max;
    assert!(error(choice) <= error(baseline) * 1.000_001);
    assert!(report.headroom.inputs >= Some(2.0), "{:?}", report.headroom);
    assert!(report.headroom.range >= 256.0, "{:?}", report.headroom);
    let proof = report.proof.expect("proved");
    assert_eq!(proof.proof_bytes, choice.cost.proof_bytes, "the cost model is exact here");
    assert!(!choice.run_args.ignore_range_check_inputs_outputs);
    assert_eq!(choice.run_args.epsilon, request.run_args.epsilon);
    let settings = Settings::read(&request.settings).expect("settings");
    assert_eq!(settings.run_args, choice.run_args);

    // Found again, with the very same settings although ezkl would write others.
    let before = std::fs::read(&request.settings).expect("settings");
    std::fs::remove_file(&request.settings).expect("removed");
    // As `zkvouch tune` leaves a project: with the choice in its run args.
    let chosen = TuneRequest { run_args: report.choice.run_args.clone(), ..request.clone() };
    let again = run(&chosen, &pool).await.expect("cached");
    assert!(again.cached && !report.cached);
    assert_eq!(again.choice.run_args, report.choice.run_args);
    assert_eq!(std::fs::read(&request.settings).expect("settings"), before);

    // The same without the cache: nothing in the search depends on time or order.
    request.cache = None;
    request.prove = Prove::Never;
    let fresh = run(&request, &pool).await.expect("tuned");
    assert_eq!(fresh.choice.run_args, report.choice.run_args);
    assert_eq!(fresh.front, report.front);

    // Another objective, another circuit: least gas is one column without wrapping.
    request.objective = Objective::Gas;
    let gas = run(&request, &pool).await.expect("tuned");
    assert!(gas.choice.cost.verify_gas < report.choice.cost.verify_gas);
    pool.shutdown().await;
}

/// ezkl's prover never returns from a lookup outside its table.
#[tokio::test]
async fn an_input_twice_as_large_proves_and_one_beyond_the_table_is_refused_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = pool();
    let model = root().join("tests/fixtures/tiny/sigmoid.onnx");
    let data = folder.path().join("data.jsonl");
    std::fs::write(&data, "[0.5, -1.0, 1.0]\n[1.5, 0.25, 0.0]\n[-2.0, 2.0, -1.5]\n")
        .expect("written");
    let request = TuneRequest {
        max_logrows: 14,
        max_error: Some("0.01".parse().expect("a bound")),
        ..TuneRequest::new(model.clone(), vec![data], folder.path().join("settings.json"))
    };
    let report = run(&request, &pool).await.expect("tuned");
    assert!(report.headroom.inputs >= Some(2.0), "{report:?}");
    let settings = Settings::read(&request.settings).expect("settings");
    assert!(!settings.required_lookups.is_empty(), "a sigmoid is looked up");

    let file = |name: &str| folder.path().join(name);
    let (compiled, srs, vk, pk) = (file("c"), file("srs"), file("vk"), file("pk"));
    let engine = pool.get().await;
    engine.compile_circuit(&model, &request.settings, &compiled).await.expect("compiled");
    engine.gen_unsafe_srs(settings.run_args.logrows, &srs).await.expect("an SRS");
    engine
        .setup(SetupRequest {
            compiled: &compiled,
            srs: &srs,
            vk: &vk,
            pk: &pk,
            witness: None,
            compress_selectors: true,
        })
        .await
        .expect("keys");
    let witness = async |input: serde_json::Value| -> Witness {
        let path = file("witness.json");
        engine.gen_witness(&input, &compiled, &path, None, None).await.expect("a witness");
        Witness::read(&path).expect("a witness")
    };
    let doubled = witness(serde_json::json!({"input_data": [[-4.0, 4.0, -3.0]]})).await;
    doubled.check_ranges(&settings).expect("within the table");
    let proof = file("proof.json");
    engine.prove(doubled.path(), &compiled, &pk, &srs, &proof).await.expect("proved");
    assert!(engine.verify(&proof, &request.settings, &vk, &srs).await.expect("checked"));

    let beyond = witness(serde_json::json!({"input_data": [[-500.0, 500.0, 500.0]]})).await;
    let refusal = beyond.check_ranges(&settings).expect_err("beyond the table").to_string();
    assert!(refusal.contains("lookup table"), "{refusal}");
    drop(engine);
    pool.shutdown().await;
}

/// To a cost model in which nearly everything is the same for all circuits, none is clearly faster.
#[tokio::test]
async fn proofs_decide_where_the_cost_model_cannot() {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = pool();
    let mut request = request(folder.path(), "credit");
    request.max_logrows = 15;
    request.prove = Prove::WhereClose;
    request.costs = CostModel { base: 30.0, machine: 0.3, cpus: 2.0, ..CostModel::default() };
    let report = run(&request, &pool).await.expect("tuned");
    assert!(report.speedup() < Some(1.3), "as far as the model can tell: {:?}", report.speedup());
    let of = |run_args: &RunArgs| report.trials.iter().find(|trial| trial.run_args == *run_args);
    let ezkl = |report: &TuneReport| report.baseline.clone().expect("a baseline").run_args;
    let baseline = of(&ezkl(&report)).expect("ezkl's own was proved, too");
    let choice = of(&report.choice.run_args).expect("so was the choice");
    assert!(!report.keeps_baseline() && choice.prove_seconds < baseline.prove_seconds / 2.0);
    assert!(report.proof.is_some() && report.reasons.iter().any(|it| it.contains("decided")));

    // Too slow to try out, and no clear gain: the circuit that is known stays, as it is.
    request.costs = CostModel { base: 100.0, cpus: 1.0, ..CostModel::default() };
    let report = run(&request, &pool).await.expect("tuned");
    assert!(report.keeps_baseline() && report.trials.is_empty(), "{:?}", report.choice);
    let settings = Settings::read(&request.settings).expect("settings");
    assert_eq!(settings.run_args, ezkl(&report));
    assert!(report.reasons[0].contains("ezkl's own calibration, so it is kept"));
    pool.shutdown().await;
}

/// A cost model is measured, kept in a file, and used by the command that is given the file.
#[tokio::test]
async fn the_machine_is_measured_and_the_tuner_uses_what_was_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = pool().whole_machine();
    let steps = std::sync::Mutex::new(Vec::new());
    let calibration = Calibration::measure(&engine, Duration::ZERO, |step| {
        steps.lock().expect("a lock").push(step.number);
    });
    let mut calibration = calibration.await.expect("measured");
    engine.shutdown().await;
    assert_eq!(*steps.lock().expect("a lock"), [0, 1, 2], "no more than it needs");
    assert_eq!(calibration.engine, engine.version());
    // The fit is unbiased: too high and too low cancel out.
    let circuits = &calibration.circuits;
    let bias =
        circuits.iter().map(|it| (it.expected_after.prove_cpu_seconds / it.cpu_seconds).ln());
    assert!(bias.sum::<f64>().abs() < 1e-6, "{circuits:?}");
    let wall = |part: fn(&tune::calibration::MeasuredCircuit) -> f64| -> f64 {
        circuits.iter().map(part).sum()
    };
    assert!(wall(|it| it.seconds) > 0.0 && wall(|it| it.expected_before.prove_seconds) > 0.0);

    let file = folder.path().join("costs.json");
    calibration.write(&file).expect("written");
    let tuned = || {
        let mut command = support::zkvouch();
        let example = root().join("examples/credit");
        command.current_dir(folder.path()).args(["--json", "tune", "--no-proof", "--no-cache"]);
        command.arg("-M").arg(example.join("model.onnx")).arg("-D").arg(example.join("data.json"));
        command.args(["-O", "settings.json", "--tune-max-logrows", "12", "--cost-model"]);
        command.arg(&file);
        support::Outcome::of(&mut command)
    };
    let output = tuned().success().envelope();
    let report: TuneReport = serde_json::from_value(output["data"].clone()).expect("a report");
    let shape = Shape::of(&Settings::read(&folder.path().join("settings.json")).expect("settings"));
    let expected = calibration.costs.cost(&shape.expect("a shape"));
    let found = report.choice.cost.prove_cpu_seconds;
    assert!((found / expected.prove_cpu_seconds - 1.0).abs() < 1e-6, "{found} {expected:?}");

    calibration.engine = "22.0.0".to_owned();
    calibration.write(&file).expect("written");
    let refused = tuned();
    assert_eq!(refused.0.status.code(), Some(3));
    assert!(refused.envelope()["errors"].to_string().contains("for ezkl 22.0.0"));
}

#[tokio::test]
async fn a_bound_that_nothing_meets_says_how_close_it_came() {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = pool();
    let mut request = request(folder.path(), "credit");
    request.max_error = Some("0.00000001".parse().expect("a bound"));
    let error = run(&request, &pool).await.expect_err("out of reach");
    let Error::Unmet { closest, .. } = &error else { panic!("{error}") };
    assert!(*closest > 1e-8 && *closest < 1e-2, "{error}");
    assert!(error.to_string().contains("--max-error"), "{error}");
    assert!(!request.settings.exists());
    pool.shutdown().await;
}

#[tokio::test]
async fn without_time_or_when_stopped_the_best_so_far_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = pool();
    let mut request = request(folder.path(), "decision_tree");
    request.max_logrows = 15;
    request.prove = Prove::Never;
    request.time = Duration::ZERO;
    let report = run(&request, &pool).await.expect("a circuit at least");
    assert!(!report.complete);
    assert!(report.baseline.is_none() && report.without_baseline.is_some(), "not affordable");
    assert_eq!(report.bound_from, BoundFrom::OutputRange);
    assert!(report.front.iter().any(|it| it.run_args.logrows <= 12), "{:?}", report.front);
    assert!(request.settings.exists());

    request.time = Duration::from_secs(60);
    let stop = AtomicBool::new(false);
    let progress = |progress| {
        if matches!(progress, tune::Progress::Candidates { .. }) {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let report = tune::run(&request, &pool, &stop, &progress).await;
    let report = report.expect("the best so far");
    assert!(!report.complete);
    assert!(report.choice.run_args.logrows < 15, "{:?}", report.choice);
    assert!(report.reasons.iter().any(|reason| reason.contains("cut short")));
    pool.shutdown().await;
}

#[tokio::test]
async fn bad_requests_are_refused_before_anything_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = pool();
    let file = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let with = |data: PathBuf| TuneRequest { data: vec![data], ..request(folder.path(), "credit") };
    for (data, expected) in [
        (file("empty.json", "[]"), "no observation"),
        (file("short.csv", "1,2,3\n"), "line 1: it has 3 columns; the model takes 41"),
        (file("nan.csv", "NaN\n"), "line 1: it has 1 columns; the model takes 41"),
        (folder.path().join("none.json"), "cannot read"),
    ] {
        let error = run(&with(data), &pool).await.expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
    let mut forged = request(folder.path(), "credit");
    forged.run_args.ignore_range_check_inputs_outputs = true;
    let error = run(&forged, &pool).await.expect_err("unsound").to_string();
    assert!(error.contains("ignore_range_check_inputs_outputs"), "{error}");
    assert!(pool.get().await.worker_pid().is_none(), "no worker was started");
    let inputs = [zkvouch::artifacts::Slot::new("x", vec![1])];
    assert!(observations::read(&file("a.txt", "1"), &inputs).is_err());
}

/// One of `tests/cases`, with its input as the only observation.
fn case(folder: &Path, name: &str) -> TuneRequest {
    let case = root().join("tests/cases").join(name);
    let (model, data) = (case.join("network.onnx"), case.join("input.json"));
    TuneRequest {
        prove: Prove::Never,
        ..TuneRequest::new(model, vec![data], folder.join("settings.json"))
    }
}

/// ezkl's rounding has no answer where values have one digit: nothing was found.
#[tokio::test]
async fn a_model_that_rounds_gets_a_circuit_smaller_than_ezkls() {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = pool();
    let mut request = case(folder.path(), "round_half_even");
    request.max_logrows = 14;
    let report = run(&request, &pool).await.expect("tuned");
    assert!(!report.keeps_baseline() && report.choice.run_args.decomp_legs >= 2, "{report:?}");
    assert_eq!(report.choice.error.map(|error| error.max), Some(0.0), "rounded values are exact");
    pool.shutdown().await;
}

/// 26 GB were reserved, by the range of a lookup that was only considered.
#[tokio::test]
async fn a_search_through_huge_lookup_ranges_takes_little_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = pool();
    let report = run(&case(folder.path(), "iris_softmax_20"), &pool).await.expect("tuned");
    assert!(report.choice.run_args.logrows <= 14, "{:?}", report.choice.run_args);
    #[cfg(target_os = "linux")]
    {
        let status = std::fs::read_to_string("/proc/self/status").expect("status");
        let line = status.lines().find(|line| line.starts_with("VmPeak:")).expect("VmPeak");
        let kilobytes: u64 = line.split_whitespace().nth(1).expect("KB").parse().expect("KB");
        assert!(kilobytes < 4 << 20, "{kilobytes} KB of address space");
    }
    pool.shutdown().await;
}

/// ezkl's calibration refuses to work with the caller's decomposition; the search goes on.
#[tokio::test]
async fn a_baseline_that_fails_is_no_end_and_the_bound_is_a_share_of_the_outputs() {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = pool();
    let mut request = request(folder.path(), "credit");
    request.decomposition = Some((2, 1));
    let report = run(&request, &pool).await.expect("tuned");
    assert!(report.baseline.is_none(), "{:?}", report.baseline);
    assert_eq!(report.bound_from, BoundFrom::OutputRange);
    assert!(report.proof.is_some(), "proved and verified");
    let error = report.choice.error.expect("measured").max;
    assert!(error <= report.bound.value && report.complete, "{report:?}");
    assert!(report.reasons.iter().any(|it| it.contains("is not compared with")));
    assert!(
        report.reasons.iter().any(|it| it.contains("0.5 % of the range")),
        "{:?}",
        report.reasons
    );
    pool.shutdown().await;
}

/// The outputs of such a witness are hashes, which were compared with the model's.
#[tokio::test]
async fn hidden_outputs_are_measured_and_stay_hidden() {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = pool();
    let mut request = request(folder.path(), "credit");
    request.run_args.output_visibility = "hashed/private/0".parse().expect("a visibility");
    let report = run(&request, &pool).await.expect("tuned");
    let settings = Settings::read(&request.settings).expect("settings");
    assert_eq!(settings.run_args.output_visibility, request.run_args.output_visibility);
    assert!(report.baseline.is_some() && report.choice.error.expect("measured").max < 0.01);
    assert_eq!(report.proof.expect("proved").proof_bytes, report.choice.cost.proof_bytes);
    pool.shutdown().await;
}

/// The range that a caller has set is kept, with fewer or more digits.
#[tokio::test]
async fn the_callers_own_range_is_the_least() {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = pool();
    let mut request = request(folder.path(), "credit");
    request.prove = Prove::Never;
    request.decomposition = Some((1 << 12, 4));
    let report = run(&request, &pool).await.expect("tuned");
    let args = &report.choice.run_args;
    let bound = args.decomposition_bound().expect("a bound");
    assert!(bound >= 1 << 48 && args.logrows <= 12, "{args:?}");
    pool.shutdown().await;
}

#[tokio::test]
async fn what_no_chain_takes_is_an_error_with_its_figure_and_so_is_more_gas() {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = pool();
    let mut request = request(folder.path(), "credit");
    request.prove = Prove::Never;
    request.chain = Some(tune::ChainLimits { code: 5000, ..tune::ChainLimits::default() });
    let error = run(&request, &pool).await.expect_err("no verifier is that short");
    let Error::Undeployable(excess) = &error else { panic!("{error}") };
    assert!(excess.needed > 5000 && excess.needed < 10_000, "{error}");
    assert!(error.to_string().contains("chain takes 5000"), "{error}");

    // So few rows make many columns.
    request.chain = Some(tune::ChainLimits::default());
    request.max_logrows = 8;
    let error = run(&request, &pool).await.expect_err("ezkl's own takes less gas");
    let Error::MoreGas { least, limit, .. } = &error else { panic!("{error}") };
    assert!(least > limit, "{error}");
    request.objective = Objective::Gas;
    let report = run(&request, &pool).await.expect("this one promises nothing");
    assert_eq!(report.choice.cost.verify_gas, *least);
    pool.shutdown().await;
}

/// ezkl's own circuit of k = 15 can't be made with so small a file, nor can any that takes no more gas:
/// whoever has no more gets a circuit all the same, of the least gas that can be had, and is told.
#[tokio::test]
async fn without_an_srs_for_ezkls_own_circuit_there_is_one_and_it_says_what_it_lacks() {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = pool();
    let mut request = request(folder.path(), "credit");
    request.max_logrows = 26;
    request.prove = Prove::Never;
    request.cache = Some(folder.path().join("cache"));
    let file = folder.path().join("kzg8.srs");
    pool.get().await.gen_unsafe_srs(8, &file).await.expect("an SRS");
    request.srs = Some((zkvouch::srs::Source::Path(file), folder.path().to_owned()));
    let report = run(&request, &pool).await.expect("a circuit");
    let more = report.more_gas.expect("more gas than ezkl's");
    assert!(more.verify_gas > more.ezkl && more.logrows == 15, "{more:?}");
    assert_eq!(report.choice.cost.verify_gas, more.verify_gas);
    assert!(report.choice.run_args.logrows <= 8 && report.at_hand == 8, "{report:?}");
    let passed_over = report.passed_over.expect("a better one");
    assert!(passed_over.logrows > 8 && !passed_over.can_be_had, "{passed_over:?}");
    let told = report.reasons.iter().find(|it| it.contains("least gas")).expect("a reason");
    assert!(told.contains("k = 15") && told.contains("`zkvouch build --budget 60s`"), "{told}");
    // With a network there may be more, so that this is not kept.
    assert!(!run(&request, &pool).await.expect("again").cached);

    // Nothing is promised by this one, so that nothing is broken.
    request.objective = Objective::Gas;
    let report = run(&request, &pool).await.expect("a circuit");
    assert_eq!(report.more_gas, None);
    request.max_logrows = 8;
    let report = run(&request, &pool).await.expect("a circuit");
    assert_eq!((report.more_gas, report.passed_over), (None, None), "all of these are at hand");
    pool.shutdown().await;
}

/// On one observation a scale was chosen that was 57 times worse on the next two hundred.
#[tokio::test]
async fn tuning_on_one_observation_holds_for_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = pool();
    let all = request(folder.path(), "credit");
    let one = TuneRequest {
        data: vec![root().join("examples/credit/input.json")],
        prove: Prove::Never,
        ..all.clone()
    };
    let report = run(&one, &pool).await.expect("tuned");
    assert_eq!((report.observations, report.drawn), (1, 32));
    let further = tune::measure(&all, &report.choice.run_args, &pool).await.expect("measured");
    let further = further.expect("answered").error.expect("an error").max;
    assert!(further <= 2.0 * report.bound.value, "{further} beyond {:?}", report.bound);
    pool.shutdown().await;
}

/// The largest value of a batch is its third's.
#[tokio::test]
async fn an_input_beyond_the_tables_is_refused_wherever_it_stands_in_a_batch() {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = pool();
    let engine = pool.get().await;
    let file = |name: &str| folder.path().join(name);
    let model = root().join("tests/fixtures/tiny/sigmoid.onnx");
    let args = RunArgs {
        variables: vec![("batch_size".to_owned(), 3)],
        lookup_range: (-1024, 1024),
        logrows: 12,
        ..RunArgs::default()
    };
    let (path, compiled, witness) = (file("settings.json"), file("c"), file("witness.json"));
    engine.gen_settings(&model, &path, &args.to_engine()).await.expect("settings");
    engine.compile_circuit(&model, &path, &compiled).await.expect("compiled");
    let settings = Settings::read(&path).expect("settings");
    let elements: usize = settings.input_shapes().expect("public")[0].iter().product();
    for at in 0..elements {
        let mut values = vec![0.5; elements];
        values[at] = 4000.0;
        let input = serde_json::json!({ "input_data": [values] });
        engine.gen_witness(&input, &compiled, &witness, None, None).await.expect("a witness");
        let refusal = Witness::read(&witness).expect("read").check_ranges(&settings);
        let refusal = refusal.expect_err("ezkl would hang").to_string();
        assert!(refusal.contains("lookup table"), "element {at}: {refusal}");
    }
    drop(engine);
    pool.shutdown().await;
}
