use super::{
    text::{parse_range, parse_variable},
    *,
};
use crate::artifacts::run_args::Visibility;

const MINIMAL: &str = "[model]\npath = \"m.onnx\"\ndata = [\"i.json\"]\n";

#[test]
fn the_template_reads_back_as_the_defaults() {
    let circuit = CircuitConfig { variables: vec![("batch_size".into(), 3)], ..Default::default() };
    let text = template(&Template {
        model: Path::new("a \"b\".onnx"),
        data: &["i.json".into()],
        outputs: &["y".into()],
        constants: &[("k".to_owned(), vec![2.0, 3.0])].into(),
        batch_size: 32,
        circuit: &circuit,
        srs: &srs::Source::default(),
    });
    let config = Config::parse(&text).expect("the template is valid");
    assert_eq!(config.model.path, Path::new("a \"b\".onnx"));
    assert_eq!(config.model.outputs, ["y"]);
    assert_eq!(config.model.constants["k"], [2.0, 3.0]);
    assert_eq!(config.batch().size(), 32);
    assert_eq!(config.circuit.run_args(), circuit.run_args());
    // Who wants many predictions in one proof wants them cheap on chain.
    let calibration = CalibrationConfig { objective: Objective::Gas, ..Default::default() };
    assert_eq!(config.calibration, calibration);
    assert_eq!(config.srs, SrsConfig::default());
    assert_eq!(config.engine, EngineSection::default());
}

#[test]
fn what_is_set_stands_in_the_template_and_is_no_comment() {
    let circuit = CircuitConfig {
        input_visibility: Some(Visibility::Private),
        variables: vec![("batch_size".into(), 1)],
        input_scale: Some(5),
        param_scale: Some(-2),
        scale_rebase_multiplier: Some(2),
        logrows: Some(9),
        num_inner_cols: Some(3),
        decomp_base: Some(16384),
        decomp_legs: Some(2),
        lookup_range: Some((-10, 20)),
        rebase_frac_zero_constants: Some(true),
        bounded_log_lookup: Some(true),
        epsilon: Some(1e-6),
        disable_freivalds: Some(true),
        ..Default::default()
    };
    let text = template(&Template {
        model: Path::new("m"),
        data: &["i".into()],
        outputs: &[],
        constants: &Constants::new(),
        batch_size: 1,
        circuit: &circuit,
        srs: &srs::Source::default(),
    });
    let config = Config::parse(&text).expect("the template is valid");
    assert!(config.batch().is_one());
    assert_eq!(config.circuit.run_args(), circuit.run_args());
}

#[test]
fn mistakes_are_named() {
    for (addition, expected) in [
        ("batch_size = 0", "model.batch_size: is 0; a proof is of 1 to 65535 predictions"),
        ("batch_size = 70000", "model.batch_size: is 70000"),
        (
            "batch_size = 4\n[circuit]\noutput_visibility = \"hashed/private/0\"",
            "model.batch_size: is 4, which goes with `hashed`, not with `hashed/private/0`",
        ),
        ("colour = 1", "unknown field `colour`"),
        ("[circuit]\ninput_visibility = \"publc\"", "publc"),
        ("constants = { k = \"two\" }", "no number and no list of numbers"),
        ("[circuit]\ndecomp_base = \"x\"", "decomp_base"),
        ("[srs]\nsource = 1", "source"),
        ("[calibration]\nlookup_safety_margin = 0.5", "lookup_safety_margin"),
        ("[calibration]\ntarget = \"speed\"", "speed"),
        ("[calibration]\nmax_logrows = 27", "calibration.max_logrows is 27"),
        ("[circuit]\nlogrows = 27", "circuit.logrows: must lie in 1..=26"),
        ("[circuit]\nparam_visibility = \"public\"", "circuit.param_visibility"),
        ("[verifier.matrix]\nevm_version = [\"atlantis\"]", "atlantis"),
        ("[verifier.compiler]\nruns = 1\n[verifier.matrix]\nruns = [1]", "exclude each other"),
    ] {
        let error = Config::parse(&format!("{MINIMAL}{addition}")).expect_err(addition);
        assert!(error.contains(expected), "{addition}: {error}");
    }
    assert!(Config::parse("[model]\npath = \"m\"\ndata = []").is_err());
    assert!(Config::parse(MINIMAL).is_ok());
}

#[test]
fn ranges_and_variables_are_parsed() {
    assert_eq!(parse_range("-5..7"), Ok((-5, 7)));
    assert!(parse_range("7..-5").is_err());
    assert!(parse_range("7").is_err());
    assert_eq!(parse_variable("n = 3"), Ok(("n".into(), 3)));
    assert!(parse_variable("n").is_err());
}
