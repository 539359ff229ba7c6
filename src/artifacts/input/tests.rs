use super::{
    super::settings::tests::{parse as settings, sample as settings_sample},
    *,
};
use crate::field::Felt;
use proptest::prelude::*;
use serde_json::json;

fn read(text: &str) -> Result<InputData> {
    InputData::from_json(text.as_bytes(), Path::new("input.json"))
}

fn message(text: &str) -> String {
    let settings = settings(&settings_sample()).expect("valid");
    read(text).and_then(|input| input.check(&settings)).expect_err(text).to_string()
}

#[test]
fn what_ezkl_takes_is_taken() {
    let settings = settings(&settings_sample()).expect("valid");
    let felt = Felt::from_i128(-5).to_le_hex();
    for text in [
        r#"{"input_data":[[1.5,0.5,1.25]]}"#.to_owned(),
        r#" {"input_shapes":[[1,3]],"input_data":[[1,-2,3]],"output_data":[[0]]}"#.to_owned(),
        format!(r#"{{"input_data":[["{felt}",1,2.5]]}}"#),
        r#"{"input_data":[[262143.98,-262143.98,0]]}"#.to_owned(),
        r#"{"input_data":[[[1,2],[9007199254740992e-50]]]}"#.to_owned(),
    ] {
        let input = read(&text).expect(&text);
        input.check(&settings).expect(&text);
        let again = InputData::from_json(input.to_json().to_string().as_bytes(), input.path());
        assert_eq!(again.expect("read back"), input);
    }
    let input = read(&format!(r#"{{"input_data":[["{felt}",1,2.5]]}}"#)).expect("valid");
    assert_eq!(input.numbers(&[Scale(6)]).expect("numbers"), [[-0.078125, 1.0, 2.5]]);
}

#[test]
fn each_fault_is_named_with_its_place() {
    for (text, expected) in [
        (r#"{"input_data":[[1,2,NaN]]}"#, "`input_data[0][2]`: NaN is not a finite"),
        ("{\"input_data\":\n[[1,\n-Infinity,3]]}", "-Infinity is not a finite"),
        (r#"{"input_data":[[1,2,inf]]}"#, "inf is not a finite"),
        (r#"{"input_data":[[1,2,1e999]]}"#, "`input_data[0][2]`: the number is too large"),
        (r#"{"input_data":[[1,null,3]]}"#, "`input_data[0][1]`: null is not a number"),
        (r#"{"input_data":[["1",2,3]]}"#, "`input_data[0][0]`: \"1\" is a string"),
        (r#"{"input_data":[["NaN",2,3]]}"#, "\"NaN\" is a string"),
        (r#"{"input_data":[[[1],[2,null]]]}"#, "`input_data[0][1][1]`: null is not a number"),
        (
            r#"{"input_data":[[1,9007199254740993,3]]}"#,
            "`input_data[0][1]`: 9007199254740993 is beyond 2^53",
        ),
        (r#"{"input_data":[[1,2,-9223372036854775807]]}"#, "`input_data[0][2]`: -92233720368"),
        (r#"{"input_data":[1,2,3]}"#, "expected an array of numbers for each input tensor"),
        (r#"[[1,2,3]]"#, "a bare array"),
        (r#"{}"#, "missing field `input_data`"),
        (r#"{"input_data":[]}"#, "`input_data`: no tensors"),
        (r#"{"input_data":[[]]}"#, "`input_data[0]`: 0 elements, but the model's input 0 has 3"),
        (r#"{"input_data":[[1,2]]}"#, "(its shape is [1, 3])"),
        (r#"{"input_data":[[1,2,3],[4]]}"#, "2 tensors, but the model has 1"),
        (r#"{"input_data":[[1,true,3]]}"#, "`input_data[0][1]`: true is a boolean"),
        (r#"{"input_data":[[1,2,1e18]]}"#, "`input_data[0][2]`: 1000000000000000000 at scale 6"),
        (r#"{"input_data":[[1,-262144,3]]}"#, "not below decomp_base^decomp_legs = 64^4"),
        (r#"{"input_data":[[1,2,1e308]]}"#, "`input_data[0][2]`"),
        (r#"{"input_data":[[1,2,3]]} x"#, "trailing characters"),
        ("", "EOF while parsing"),
    ] {
        let message = message(text);
        assert!(message.starts_with("input.json"), "{message}");
        assert!(message.contains(expected), "{text}: {message}");
    }
    let long = format!(r#"{{"input_data":[["{}",2,3]]}}"#, "f".repeat(64));
    assert!(message(&long).contains("not below the scalar modulus"));
}

#[test]
fn types_are_kept() {
    let with = |kind: &str, text: &str| {
        let mut value = settings_sample();
        value["input_types"] = json!([kind]);
        value["model_input_scales"] = json!([0]);
        read(text)?.check(&settings(&value).expect("valid"))
    };
    assert!(with("Int", r#"{"input_data":[[1,-2.0,3]]}"#).is_ok());
    let error = with("Int", r#"{"input_data":[[1,2.5,3]]}"#).expect_err("a fraction");
    assert!(error.to_string().contains("2.5 is not an integer"), "{error}");
    assert!(with("Bool", r#"{"input_data":[[true,0,1.0]]}"#).is_ok());
    let error = with("Bool", r#"{"input_data":[[true,2,1]]}"#).expect_err("a two");
    assert!(error.to_string().contains("2 is neither 0 nor 1"), "{error}");
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("big.json");
    let file = std::fs::File::create(&path).expect("created");
    file.set_len(MAX_FILE_BYTES + 1).expect("a sparse file");
    let error = InputData::read(&path).expect_err("too large").to_string();
    assert!(error.contains("over the limit of 268435456 bytes"), "{error}");
}

#[test]
fn observations_are_concatenated_and_counted() {
    let settings = settings(&settings_sample()).expect("valid");
    let one = InputData::from_tensors(&[vec![1.0, 2.0, 3.0]]).expect("finite");
    let three = InputData::concat(&[one.clone(), one.clone(), one.clone()]).expect("alike");
    assert_eq!(three.check_observations(&settings).expect("whole"), 3);
    assert!(three.check(&settings).is_err());
    let cut = InputData::from_tensors(&[vec![1.0; 4]]).expect("finite");
    assert!(cut.check_observations(&settings).is_err());
    let two = InputData::from_tensors(&[vec![1.0], vec![2.0]]).expect("finite");
    assert!(InputData::concat(&[one, two]).is_err());
    assert!(InputData::from_tensors(&[vec![0.0, f64::NAN]]).is_err());
}

proptest! {
    #[test]
    fn no_text_panics(text in "[\\[\\]{}\",:0-9a-fA-Z. \n-]{0,60}") {
        let _ = read(&text);
        let _ = read(&format!("{{\"input_data\":{text}"));
    }

    #[test]
    fn numbers_survive_the_file(values in prop::collection::vec(-1e300f64..1e300, 1..20)) {
        let input = InputData::from_tensors(std::slice::from_ref(&values)).expect("finite");
        let again = read(&input.to_json().to_string()).expect("valid");
        prop_assert_eq!(again.numbers(&[Scale(0)]).expect("numbers"), [values]);
    }
}
