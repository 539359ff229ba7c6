use super::*;
use proptest::prelude::*;

#[test]
fn visibilities_read_as_ezkl_reads_and_writes_them() {
    let private = Visibility::Hashed { hash_is_public: false, outlets: vec![0, 1] };
    for (text, json, expected) in [
        ("public", r#""Public""#, Visibility::Public),
        ("Private", r#""Private""#, Visibility::Private),
        ("FIXED", r#""Fixed""#, Visibility::Fixed),
        ("polycommit", r#""KZGCommit""#, Visibility::KzgCommit),
        (
            "hashed/public",
            r#"{"Hashed":{"hash_is_public":true,"outlets":[]}}"#,
            Visibility::hashed(),
        ),
        ("hashed/private/0,1", r#"{"Hashed":{"hash_is_public":false,"outlets":[0,1]}}"#, private),
    ] {
        assert_eq!(text.parse(), Ok(expected.clone()));
        assert_eq!(serde_json::from_str::<Visibility>(json).expect(json), expected);
        assert_eq!(serde_json::to_string(&expected).expect("writes"), json);
        assert_eq!(expected.to_string().parse(), Ok(expected));
    }
    for text in ["", "encrypted", "hashed/", "hashed/private", "hashed/private/x", "hashed/0"] {
        assert!(text.parse::<Visibility>().is_err(), "{text}");
    }
    assert!(serde_json::from_str::<Visibility>(r#"{"Hashed":{}}"#).is_err());
}

#[test]
fn the_engine_gets_what_pyrunargs_has() {
    let map = RunArgs::default().to_engine();
    // `dir(ezkl.PyRunArgs())` of 23.0.5.
    let mut names: Vec<_> = map.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "bounded_log_lookup",
            "check_mode",
            "decomp_base",
            "decomp_legs",
            "disable_freivalds",
            "epsilon",
            "ignore_range_check_inputs_outputs",
            "input_scale",
            "input_visibility",
            "logrows",
            "lookup_range",
            "num_inner_cols",
            "output_visibility",
            "param_scale",
            "param_visibility",
            "rebase_frac_zero_constants",
            "scale_rebase_multiplier",
            "variables",
        ]
    );
    assert_eq!(map["check_mode"], "unsafe");
    assert_eq!(map["variables"], json!([["batch_size", 1]]));
}

#[test]
fn what_ezkl_would_panic_at_or_forge_with_is_refused() {
    let refused = |change: fn(&mut RunArgs)| {
        let mut args = RunArgs::default();
        change(&mut args);
        args.validate().expect_err("refused").field
    };
    assert_eq!(RunArgs::default().validate(), Ok(()));
    assert_eq!(refused(|args| args.num_inner_cols = 0), "num_inner_cols");
    assert_eq!(refused(|args| args.decomp_legs = 0), "decomp_legs");
    assert_eq!(refused(|args| args.decomp_legs = 40), "decomp_legs");
    assert_eq!(refused(|args| args.decomp_base = 1), "decomp_base");
    assert_eq!(refused(|args| args.lookup_range = (10, -10)), "lookup_range");
    assert_eq!(refused(|args| args.lookup_range = (0, 1 << 80)), "lookup_range");
    assert_eq!(refused(|args| args.logrows = 27), "logrows");
    let wide = |columns: usize, logrows| RunArgs {
        num_inner_cols: columns,
        logrows,
        ..RunArgs::default()
    };
    assert_eq!(wide(3, 26).validate(), Ok(()), "an extended domain of 2^28");
    for (columns, logrows) in [(4, 26), (8, 25), (usize::MAX, 1)] {
        let error = wide(columns, logrows).validate().expect_err("beyond the field");
        assert_eq!(error.field, "logrows", "{error}");
    }
    assert_eq!(wide(4, 25).validate(), Ok(()));
    assert_eq!(refused(|args| args.epsilon = f64::NAN), "epsilon");
    assert_eq!(refused(|args| args.variables[0].1 = 0), "variables");
    assert_eq!(refused(|args| args.param_visibility = Visibility::Public), "param_visibility");
    assert_eq!(refused(|args| args.output_visibility = Visibility::Fixed), "output_visibility");
    assert_eq!(
        refused(|args| args.ignore_range_check_inputs_outputs = true),
        "ignore_range_check_inputs_outputs"
    );
}

#[test]
fn private_weights_are_pointed_out() {
    let args = RunArgs { param_visibility: Visibility::Private, ..RunArgs::default() };
    assert!(args.cautions()[0].contains("binds no weights"));
    assert!(RunArgs::default().cautions().is_empty());
}

proptest! {
    #[test]
    fn any_text_is_a_visibility_or_an_error(text in ".{0,40}") {
        if let Ok(visibility) = text.parse::<Visibility>() {
            prop_assert_eq!(visibility.to_string().parse(), Ok(visibility));
        }
    }
}
