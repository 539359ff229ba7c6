use super::*;
use crate::{
    artifacts::{
        npy,
        slot::{Table, Takes},
    },
    onnx::tensor::element,
};
use std::io::Cursor;
use std::io::Write as _;

fn tensor(name: &str, shape: &[usize]) -> Slot {
    Slot::new(name, shape.to_vec())
}

fn check(ending: &str, bytes: &[u8], inputs: &[Slot]) -> Result<Vec<Observation>> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(format!("data.{ending}"));
    files::write_atomic(&path, bytes).expect("written");
    read(&path, inputs)
}

fn npy(values: &[f32], shape: &str, fortran: bool) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    npy::tests::file(
        &format!("{{'descr': '<f4', 'fortran_order': {order}, 'shape': {shape}, }}"),
        &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>(),
    )
}

#[test]
fn every_format_gives_the_same() {
    let inputs = [tensor("a", &[1, 2]), tensor("b", &[1])];
    let expected = vec![vec![vec![1.0, 2.0], vec![3.0]], vec![vec![-4.0, 5.5], vec![6.0]]];
    let forms: [(&str, &str); 6] = [
        ("json", r#"{"input_data": [[1, 2, -4, 5.5], [3, 6]]}"#),
        ("json", r#"[{"input_data": [[[1, 2]], [3]]}, {"input_data": [[-4, 5.5], [6]]}]"#),
        ("json", "[[1, 2, 3], [-4, 5.5, 6]]"),
        ("jsonl", "{\"input_data\": [[1, 2], [3]]}\n\n[-4, 5.5, 6]\n"),
        ("csv", "a0,a1,b\n1,2,3\n-4, 5.5 ,6\n"),
        ("csv", "1,2,3\n-4,5.5,6"),
    ];
    for (ending, text) in forms {
        let found = check(ending, text.as_bytes(), &inputs).expect(text);
        assert_eq!(found, expected, "{text}");
    }
    for names in [["b.npy", "a.npy"], ["arr_0.npy", "arr_1.npy"]] {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for name in names {
            let options = zip::write::SimpleFileOptions::default()
                .compression_method(zip::CompressionMethod::Deflated);
            archive.start_file(name, options).expect("an entry");
            let array = if name.starts_with('b') || name == "arr_1.npy" {
                npy(&[3.0, 6.0], "(2,)", false)
            } else {
                npy(&[1.0, 2.0, -4.0, 5.5], "(2, 2)", false)
            };
            archive.write_all(&array).expect("written");
        }
        let bytes = archive.finish().expect("finished").into_inner();
        assert_eq!(check("npz", &bytes, &inputs).expect("npz"), expected, "{names:?}");
    }
}

#[test]
fn inputs_are_found_by_name() {
    let inputs = [tensor("age", &[1, 1]), tensor("income", &[1])];
    let expected = vec![vec![vec![30.0], vec![2.5]], vec![vec![40.0], vec![-1.0]]];
    for (ending, text) in [
        ("csv", "id,income,age,label\na,2.5,30,x\nb,-1,40,y\n"),
        ("csv", "30,2.5\n40,-1\n"),
        ("csv", "Age,Income\n30,2.5\n40,-1\n"),
        (
            "jsonl",
            "{\"income\": 2.5, \"age\": 30}\n{\"label\": \"y\", \"age\": [40], \"income\": -1}\n",
        ),
        ("json", r#"{"income": [2.5, -1], "age": [[30], [40]], "output_data": null}"#),
        (
            "json",
            r#"{"output_data": [["ff"]], "input_data": [[30, 40], [2.5, -1]], "input_shapes": [[1], [1]]}"#,
        ),
    ] {
        assert_eq!(check(ending, text.as_bytes(), &inputs).expect(text), expected, "{text}");
        // Some of the cells are no numbers, but nobody reads those columns.
        assert_eq!(as_ezkl_takes_them(ending, text.as_bytes(), &inputs).expect(text), expected);
    }
    let error = check("jsonl", br#"{"age": 3}"#, &inputs).expect_err("half of it").to_string();
    assert!(error.contains("line 1: ") && error.contains("(age, income)"), "{error}");
    let error = check("csv", b"income,age\n1,2,3\n", &inputs).expect_err("three").to_string();
    assert!(error.contains("line 2: it has 3 columns; the header names 2"), "{error}");
    let error = check("csv", b"x,income,age\n1,2,high\n", &inputs).expect_err("a word").to_string();
    assert!(error.contains("column 3 (`age`): high is not a finite number"), "{error}");
}

fn as_ezkl_takes_them(
    ending: &str,
    bytes: &[u8],
    inputs: &[Slot],
) -> std::result::Result<Vec<Observation>, crate::artifacts::Error> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(format!("data.{ending}"));
    files::write_atomic(&path, bytes).expect("written");
    read_inputs(&path, inputs)?.iter().map(|input| input.numbers(&[])).collect()
}

#[test]
fn what_a_float_cannot_hold_is_named() {
    let inputs = [tensor("x", &[1, 2])];
    let long = "9007199254740993";
    for (ending, text, place) in [
        ("json", format!("{{\"input_data\": [[1, {long}]]}}"), "1"),
        ("json", format!("[[1, {long}]]"), "element 1: "),
        ("jsonl", format!("[1, 2]\n[1, -{long}]"), "line 2"),
        ("csv", format!("a,b\n1,{long}"), "column 2 (`b`): "),
    ] {
        let error = as_ezkl_takes_them(ending, text.as_bytes(), &inputs).expect_err(&text);
        let error = error.to_string();
        assert!(
            error.contains(place) && error.contains("9007199254740993 is beyond 2^53"),
            "{error}"
        );
    }
    let array = |value: i64| {
        let elements = [1, value].map(i64::to_le_bytes).concat();
        npy::tests::file("{'descr': '<i8', 'fortran_order': False, 'shape': (1, 2), }", &elements)
    };
    assert!(check("npy", &array(1 << 60), &inputs).is_ok(), "a power of two is a float");
    let error = check("npy", &array((1 << 60) + 1), &inputs).expect_err("too long").to_string();
    assert!(error.contains("element 1: 1152921504606846977 is beyond"), "{error}");
}

/// An input of two columns in the first of which a missing value is 7.
fn filled() -> Slot {
    let takes = Takes { missing: vec![Some(7.0), None], ..Takes::default() };
    Slot { takes, ..tensor("x", &[1, 2]) }
}

#[test]
fn a_missing_value_is_taken_in_every_form() {
    let inputs = [filled()];
    let array = npy(&[f32::NAN, 2.0], "(1, 2)", false);
    let forms: [(&str, &[u8]); 9] = [
        ("json", br#"{"input_data": [[null, 2]]}"#),
        ("json", br#"{"input_data": [[NaN, 2]]}"#),
        ("json", br#"{"input_data": {"x": [null, 2]}}"#),
        ("json", br#"[[NaN, 2]]"#),
        ("jsonl", br#"{"x": [NaN, 2], "note": "NaN \" NaN"}"#),
        ("csv", b"a,b\n,2\n"),
        ("csv", b"NA,2\n"),
        ("csv", b"a,b\nNaN,2\n"),
        ("npy", &array),
    ];
    for (ending, bytes) in forms {
        let found = as_ezkl_takes_them(ending, bytes, &inputs).expect(ending);
        assert_eq!(found, [[[7.0, 2.0]]], "{}", String::from_utf8_lossy(bytes));
    }
    for (ending, bytes, place) in [
        ("json", &br#"{"input_data": [[1, null]]}"#[..], "element 1 of `x`: a value is missing"),
        ("csv", b"a,b\n1,\n", "line 2: column 2 (`b`): nothing stands here: a value is missing"),
    ] {
        let error = as_ezkl_takes_them(ending, bytes, &inputs).expect_err(place).to_string();
        assert!(error.contains(place) && error.contains("fill it in"), "{error}");
    }
}

#[test]
fn words_for_true_and_false_are_numbers_and_other_text_is_refused_by_its_column() {
    let inputs = [tensor("x", &[1, 2])];
    let found = check("csv", b"true,False\n0.5,TRUE\n", &inputs).expect("booleans");
    assert_eq!(found, [[[1.0, 0.0]], [[0.5, 1.0]]]);
    let error = check("csv", b"age,home\n3,rented\n", &inputs).expect_err("text").to_string();
    assert!(error.contains("column 2 (`home`): rented is not a finite number but text"), "{error}");
    assert!(error.contains("write the number that the model was trained with"), "{error}");
    let error = check("jsonl", br#"["rented", 3]"#, &inputs).expect_err("text").to_string();
    assert!(error.contains("element 0: \"rented\" is not a number but text"), "{error}");
}

#[test]
fn what_an_integer_input_cannot_be_is_refused_by_its_index() {
    let table = Some(Table { name: "words".to_owned(), rows: 20 });
    let takes = Takes { element: element::INT64, table, ..Takes::default() };
    let inputs = [Slot { takes, ..tensor("tokens", &[1, 3]) }];
    for (ending, text, place) in [
        (
            "json",
            r#"{"input_data": [[1, 2, 3, 4, 3.5, 6]]}"#,
            "`input_data[0][4]`: 3.5 is no whole",
        ),
        ("json", r#"{"input_data": [[1, 20, 3]]}"#, "`input_data[0][1]`: 20 names no row"),
        (
            "json",
            r#"{"input_data": {"tokens": [1, 2, -21]}}"#,
            "element 2 of `tokens`: -21 names no",
        ),
        ("csv", "1,2,3\n1,2,20\n", "line 2: column 3: 20 names no row"),
        ("jsonl", "[1,2,3]\n[1,2.5,3]\n", "line 2: element 1 of `tokens`: 2.5 is no whole"),
    ] {
        let error = as_ezkl_takes_them(ending, text.as_bytes(), &inputs).expect_err(text);
        assert!(error.to_string().contains(place), "{error}\n  wanted: {place}");
    }
}

#[test]
fn what_is_fixed_may_be_there_or_not_but_not_otherwise() {
    let takes = Takes { fixed: Some(vec![3.0]), ..Takes::default() };
    let inputs = [tensor("x", &[1, 2]), Slot { takes, ..tensor("k", &[1]) }];
    for (ending, text) in [
        ("json", r#"{"input_data": [[1, 2], [3]]}"#),
        ("json", r#"{"input_data": [[1, 2]]}"#),
        ("jsonl", r#"{"x": [1, 2]}"#),
        ("jsonl", r#"{"x": [1, 2], "k": 3}"#),
        ("csv", "1,2,3\n"),
        ("csv", "1,2\n"),
    ] {
        let found = as_ezkl_takes_them(ending, text.as_bytes(), &inputs).expect(text);
        assert_eq!(found, [[[1.0, 2.0]]], "{text}");
        assert_eq!(check(ending, text.as_bytes(), &inputs).expect(text), found);
    }
    for (ending, text) in
        [("json", r#"{"input_data": [[1, 2], [4]]}"#), ("jsonl", r#"{"x": [1, 2], "k": 4}"#)]
    {
        let error = as_ezkl_takes_them(ending, text.as_bytes(), &inputs).expect_err(text);
        let error = error.to_string();
        assert!(error.contains("`k` is [4.0], and the model has it fixed to [3.0]"), "{error}");
    }
}

#[test]
fn each_reason_of_the_page_is_given() {
    const PAGE: &str = include_str!("../../../docs/refusals.md");
    let rows = PAGE.split("\n## ").find_map(|part| part.strip_prefix("Data")).expect("a section");
    let rows = rows.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let mut listed: std::collections::BTreeSet<&str> = rows.map(|(reason, _)| reason).collect();
    let table = Some(Table { name: "words".to_owned(), rows: 20 });
    let whole = Takes { element: element::INT64, table, ..Takes::default() };
    let tokens = Slot { takes: whole, ..tensor("x", &[1, 2]) };
    let fixed =
        Slot { takes: Takes { fixed: Some(vec![3.0]), ..Takes::default() }, ..tensor("k", &[1]) };
    let plain = tensor("x", &[1, 2]);
    for (inputs, ending, text, reason) in [
        (vec![plain.clone()], "csv", "1,\n", "does nothing with missing values here"),
        (vec![filled()], "csv", "1,\n", "no one number goes the way of a missing one"),
        (vec![plain.clone()], "csv", "1,2\n1,old\n", "is not a finite number but text"),
        (vec![tokens.clone()], "csv", "1,2.5\n", "is no whole number, and the model takes"),
        (vec![tokens], "csv", "1,20\n", "names no row of the model's table"),
        (vec![plain.clone()], "csv", "1,2,3\n", "the model takes 2"),
        (
            vec![plain.clone()],
            "json",
            r#"{"input_data": [[]]}"#,
            "has no values, and a circuit takes no input without elements",
        ),
        (vec![plain.clone(), fixed], "csv", "1,2,4\n", "and the model has it fixed to"),
        (vec![plain], "csv", "1,9007199254740993\n", "is beyond 2^53"),
    ] {
        let error = as_ezkl_takes_them(ending, text.as_bytes(), &inputs).expect_err(reason);
        assert!(error.to_string().contains(reason), "{error}\n  wanted: {reason}");
        assert!(listed.remove(reason), "docs/refusals.md has no line for: {reason}");
    }
    assert!(listed.is_empty(), "lines of docs/refusals.md that no test tries: {listed:?}");
}

#[test]
fn scalars_and_nested_lists_of_ezkls_form_are_kept() {
    let inputs = [tensor("x", &[1, 2])];
    let felt = crate::field::Felt::from_i128(3).to_le_hex();
    let text =
        format!(r#"{{"input_data": [[["{felt}", 2], [3, 4]]], "output_data": [["{felt}"]]}}"#);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("input.json");
    files::write_atomic(&path, text.as_bytes()).expect("written");
    let both = read_inputs(&path, &inputs).expect("two observations");
    let numbers = |input: &InputData| input.numbers(&[crate::field::Scale(1)]).expect("numbers");
    assert_eq!(both.iter().map(numbers).collect::<Vec<_>>(), [[[1.5, 2.0]], [[3.0, 4.0]]]);
}

#[test]
fn data_of_another_length_is_refused_before_all_else() {
    let inputs = [tensor("x", &[400_000, 5])];
    for (ending, text) in [
        ("json", r#"{"input_data": [[1, 2, 3, 4, 5]]}"#),
        ("json", "[[1, 2, 3, 4, 5]]"),
        ("csv", "1,2,3,4,5"),
    ] {
        let error = as_ezkl_takes_them(ending, text.as_bytes(), &inputs).expect_err("five");
        assert!(error.to_string().contains("2000000"), "{error}");
    }
}

#[test]
fn a_git_lfs_pointer_is_called_one() {
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n";
    for ending in ["json", "jsonl", "csv", "npy", "npz"] {
        let error = as_ezkl_takes_them(ending, pointer, &[tensor("x", &[1])]).expect_err("none");
        assert!(error.to_string().contains("Git LFS pointer"), "{error}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("m.onnx");
    files::write_atomic(&path, pointer).expect("written");
    let onnx = crate::artifacts::onnx::OnnxFile::read(&path).expect_err("none").to_string();
    let srs = crate::srs::SrsFile::open(&path).expect_err("none").to_string();
    assert!([onnx, srs].iter().all(|error| error.contains("Git LFS pointer")));
}

#[test]
fn column_major_arrays_are_reordered() {
    let inputs = [tensor("a", &[1, 2, 2])];
    let rows = npy(&[0., 1., 2., 3., 4., 5., 6., 7.], "(2, 2, 2)", false);
    let columns = npy(&[0., 4., 2., 6., 1., 5., 3., 7.], "(2, 2, 2)", true);
    let found = check("npy", &columns, &inputs).expect("read");
    assert_eq!(found, check("npy", &rows, &inputs).expect("read"));
    assert_eq!(found[1], [[4., 5., 6., 7.]]);
}

#[test]
fn errors_name_the_place() {
    let inputs = [tensor("x", &[1, 2])];
    let cases: [(&str, &[u8], &str); 13] = [
        ("csv", b"a,b\n1,2\n3,high\n", "line 3: column 2 (`b`): high is not a finite number"),
        ("csv", b"1,2\n3\n", "line 2: it has 1 columns; the model takes 2"),
        ("csv", b"1,2\nNaN,2\n", "line 2: column 1: NaN is not a finite number"),
        ("csv", b"1,2\n3,\n", "line 2: column 2: nothing stands here: NaN is not a finite number"),
        ("csv", b"a,b\n", "holds no observation"),
        ("json", b"", "line 1, column 0: not JSON"),
        ("json", br#"{"input_data": [[]]}"#, "`x` has no values"),
        ("json", br#"{"input_data": [[1, 2, 3]]}"#, "`x` has 3 values; the model takes 2"),
        ("json", br#"{"input_data": [["a", 2]]}"#, "element 0: \"a\" is not a number"),
        ("json", br#"{"data": 1}"#, "no list `input_data`"),
        ("jsonl", b"[1,2]\n[1,NaN]\n", "line 2: element 1 of `x`: NaN is not a finite number"),
        ("npy", b"\x93NUMPY", "the array: not NumPy"),
        ("npz", b"PK", "not an .npz file"),
    ];
    for (ending, bytes, expected) in cases {
        let error = check(ending, bytes, &inputs).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}\n  wanted: {expected}");
    }
    let nan = npy(&[1., 2., 3., f32::NAN], "(2, 2)", false);
    let error = check("npy", &nan, &inputs).expect_err("NaN").to_string();
    assert!(
        error.contains("observation 1: element 1 of `x`: NaN is not a finite number"),
        "{error}"
    );
    let wrong = npy(&[1., 2., 3., 4., 5., 6.], "(2, 3)", false);
    let error = check("npy", &wrong, &inputs).expect_err("shape").to_string();
    assert!(error.contains("the shape is [2, 3]"), "{error}");
    assert!(check("txt", b"1", &inputs).is_err_and(|e| e.to_string().contains(".jsonl")));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes: Vec<u8>, magic: bool) {
        let inputs = [tensor("x", &[1, 2])];
        for (ending, head) in [("json", &b"["[..]), ("csv", b"1,"), ("npy", b"\x93NUMPY\x01\x00"), ("npz", b"PK\x03\x04")] {
            let mut all = if magic { head.to_vec() } else { Vec::new() };
            all.extend(&bytes);
            let reader = Reader { path: Path::new("x"), inputs: &inputs };
            let _ = match ending {
                "json" => reader.json(&all),
                "csv" => reader.csv(&all),
                "npy" => reader.npy(&all),
                _ => reader.npz(&all),
            };
        }
    }
}
