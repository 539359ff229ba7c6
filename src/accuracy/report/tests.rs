//! Reports of made-up answers.

use super::*;

/// Two circuits of a model with two outputs on four observations, one of which the second
/// circuit refuses.
pub(crate) fn sample() -> AccuracyReport {
    let info = |name: &str, shape: &[usize]| TensorInfo {
        name: name.to_owned(),
        shape: shape.to_vec(),
        element: "f32".to_owned(),
    };
    let float = FloatRun {
        outputs: vec![info("logits", &[1, 2]), info("score", &[1])],
        values: (0..4)
            .map(|n| {
                let n = f64::from(n);
                vec![vec![n - 1.5, 0.25], vec![n / 4.0]]
            })
            .collect(),
    };
    let inputs: Vec<_> = (0..4).map(|n| vec![vec![f64::from(n), 7.0]]).collect();
    let circuit = |label: &'static str, shift: f64, refuse: Option<usize>| {
        let outcomes = float.values.iter().enumerate().map(|(number, values)| {
            if refuse == Some(number) {
                return Err("a value is beyond the circuit's range".to_owned());
            }
            let moved = |tensor: &Vec<f64>| tensor.iter().map(|v| v + shift).collect();
            Ok(values.iter().map(moved).collect())
        });
        let run = CircuitRun {
            label,
            logrows: 8,
            scales: (7, 7, 1),
            output_scales: &[Scale(7), Scale(7)],
            outcomes: outcomes.collect(),
            lookups: Some(LookupUse { min: -3, max: 50, low: -100, high: 100 }),
        };
        CircuitReport::new(run, &float, &inputs, 2)
    };
    AccuracyReport {
        model: PathBuf::from("model.onnx"),
        observations: 4,
        notes: vec!["`logits` <says> little".to_owned()],
        circuits: vec![circuit("tuned", 0.25, None), circuit("ezkl", -0.5, Some(3))],
        float,
    }
}

#[test]
fn errors_flips_and_refusals_are_counted() {
    let report = sample();
    let [tuned, ezkl] = &report.circuits[..] else { panic!("two circuits") };
    let absolute = tuned.absolute.expect("errors");
    // 0.3 + 0.25 is not exact.
    let quarter = |value: f64| (value - 0.25).abs() < 1e-12;
    assert_eq!(absolute.count, 12);
    assert!(quarter(absolute.min) && quarter(absolute.max), "{absolute:?}");
    // Only the score of observation 0 is 0.
    assert_eq!((tuned.percent_undefined, tuned.outputs[1].percent_undefined), (1, 1));
    // −1.5, −0.5, 0.5, 1.5: none crosses 0 by +0.25; the 0.25 beside them does by −0.5.
    assert_eq!(tuned.outputs[0].sign_flips, 0);
    assert_eq!(ezkl.outputs[0].sign_flips, 3);
    assert_eq!((tuned.argmax(), ezkl.argmax()), ((4, 0), (3, 0)));
    assert_eq!(tuned.worst.len(), 2);
    assert_eq!(tuned.worst[0].inputs[0].len(), 2);
    assert_eq!(ezkl.refused.len(), 1);
    assert_eq!(ezkl.refused[0].observation, 3);
    assert_eq!(ezkl.values[3], None);
    assert_eq!(tuned.outputs[0].elements.len(), 2);
}

#[test]
fn bounds_hold_or_say_why_not() {
    let report = sample();
    let [tuned, ezkl] = &report.circuits[..] else { panic!("two circuits") };
    let bound = |text: &str| text.parse::<ErrorBound>().expect(text);
    assert_eq!(tuned.violation(&bound("0.25")), None);
    assert!(tuned.violation(&bound("0.2")).is_some_and(|why| why.contains("above 0.2")));
    assert!(tuned.violation(&bound("mean:0.2")).is_some());
    assert!(tuned.violation(&bound("1%")).is_some_and(|why| why.contains('%')));
    assert!(ezkl.violation(&bound("9")).is_some_and(|why| why.contains("refused 1 of 4")));
}

/// A circuit of a model that says scores and labels of them, on four observations: one with another label, two
/// with scores that are off by a quarter, and none beyond.
fn labelled(kind: &str) -> AccuracyReport {
    let info = |name: &str, shape: &[usize], element: &str| TensorInfo {
        name: name.to_owned(),
        shape: shape.to_vec(),
        element: element.to_owned(),
    };
    let float = FloatRun {
        outputs: vec![info("scores", &[1, 3, 1], "f32"), info("labels", &[1, 2], kind)],
        values: vec![vec![vec![1.0, 0.5, 0.25], vec![1.0, 0.0]]; 4],
    };
    let inputs: Vec<_> = (0..4).map(|n| vec![vec![f64::from(n)]]).collect();
    let mut found = float.values.clone();
    found[1][1][0] = 0.0;
    found[2][0][1] = 0.75;
    found[3][0] = vec![1.0, 1.25, 0.25];
    let run = CircuitRun {
        label: "circuit",
        logrows: 8,
        scales: (7, 7, 1),
        output_scales: &[Scale(2), Scale(0)],
        outcomes: found.into_iter().map(Ok).collect(),
        lookups: None,
    };
    let circuits = vec![CircuitReport::new(run, &float, &inputs, 2)];
    let notes = Vec::new();
    AccuracyReport { model: PathBuf::from("model.onnx"), observations: 4, notes, circuits, float }
}

#[test]
fn labels_are_compared_and_not_subtracted() {
    for kind in ["i64", "i32", "u8", "bool"] {
        let report = labelled(kind);
        let circuit = &report.circuits[0];
        let [scores, labels] = &circuit.outputs[..] else { panic!("two outputs") };
        // Each output has its own step, and what is said over all is of the scores only.
        assert_eq!((scores.step, labels.step), (0.25, 1.0));
        assert_eq!(
            (scores.label_flips, labels.label_flips),
            (None, Flips::of(&[false, true, false, false]))
        );
        assert_eq!((scores.argmax_rows, scores.argmax_flips), (4, 1));
        assert_eq!((labels.absolute, labels.percent, labels.elements.len()), (None, None, 0));
        assert_eq!((labels.argmax_rows, labels.sign_flips, labels.percent_undefined), (0, 0, 0));
        assert_eq!(circuit.absolute, scores.absolute);
        assert_eq!(circuit.absolute.map(|all| (all.count, all.max)), Some((12, 0.75)));
        // Another label is the worst, however large the errors beside it.
        let worst: Vec<_> = circuit.worst.iter().map(|it| (it.observation, it.absolute)).collect();
        assert_eq!(worst, [(1, None), (3, Some(0.75))]);
        assert_eq!(circuit.worst[0].output, "labels");

        assert!(report.table().contains("1 of 4 (25.00 %)"), "{}", report.table());
        let csv = report.csv();
        assert!(csv.contains("circuit,1,labels,0,1,0,,\n"), "{csv}");
        assert!(csv.contains("circuit,3,scores,1,0.5,1.25,0.75,150\n"), "{csv}");
        let page = report.html().expect("a page");
        for part in ["another label", "<td class=bad>1 of 4 (25.00 %)", "<td>1 of 4</tr>"] {
            assert!(page.contains(part), "{part}");
        }
    }
    assert_eq!(labelled("f16").circuits[0].outputs[1].label_flips, None);
}

#[test]
fn a_bound_holds_for_labels_and_for_each_output() {
    let violation = |text: &str, share: f64| {
        let mut report = labelled("i64");
        let flips = report.circuits[0].outputs[1].label_flips.as_mut().expect("labels");
        flips.share = share;
        report.circuits[0].violation(&text.parse().expect(text))
    };
    for bound in ["100", "1000%", "mean:0.2", "mean:24%", "mean:7"] {
        let why = violation(bound, 0.25).expect(bound);
        assert!(why.contains("output `labels` has another label for 1 of 4"), "{why}");
    }
    assert_eq!(violation("mean:0.25", 0.25), None);
    assert_eq!(violation("mean:25%", 0.25), None);
    assert_eq!(violation("0.75", 0.0), None);
    let why = violation("0.7", 0.0).expect("beyond");
    assert!(why.contains("the error of output `scores` is 0.75"), "{why}");
    // An output that is right does not dilute the mean of another, and labels alone have no error.
    let mut report = sample();
    report.circuits[0].outputs[0].absolute = Summary::of(vec![0.0; 100]);
    let bound: ErrorBound = "mean:0.2".parse().expect("a bound");
    assert!(report.circuits[0].violation(&bound).is_some_and(|why| why.contains("`score`")));
    let mut report = labelled("i64");
    let circuit = &mut report.circuits[0];
    circuit.outputs.remove(0);
    (circuit.absolute, circuit.percent) = (None, None);
    assert_eq!(circuit.violation(&"mean:25%".parse().expect("a bound")), None);
}

#[test]
fn lookup_use_is_a_part_of_the_nearer_limit() {
    let part = |min, max, low, high| LookupUse { min, max, low, high }.fraction();
    assert_eq!(part(-3, 50, -100, 100), 0.5);
    assert_eq!(part(-90, 50, -100, 100), 0.9);
    assert_eq!(part(-5, 0, -10, 0), 0.5);
    assert_eq!(part(0, 1, -10, 0), f64::INFINITY);
    assert_eq!(part(0, 0, 0, 0), 0.0);
}

#[test]
fn the_table_and_the_csv_hold_every_value() {
    let report = sample();
    let table = report.table();
    assert!(table.contains("logits") && table.contains("undefined"), "{table}");
    assert!(table.ends_with("note         `logits` <says> little"), "{table}");
    let csv = report.csv();
    assert_eq!(csv.lines().count(), 1 + 2 * 4 * 3);
    assert!(csv.contains("tuned,0,logits,0,-1.5,-1.25,0.25,16.66"), "{csv}");
    assert!(csv.contains("ezkl,3,score,0,0.75,,,"), "{csv}");
    let json = serde_json::to_value(&report).expect("JSON");
    let max = json["circuits"][0]["absolute"]["max"].as_f64().expect("a number");
    assert!((max - 0.25).abs() < 1e-12, "{max}");
    assert!(json["circuits"][0].get("values").is_none());
}
