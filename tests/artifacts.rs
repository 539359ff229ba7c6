//! The readers against files that ezkl 23.0.5 wrote (tests/golden/artifacts, made by make.py there).

use std::{
    fs,
    path::{Path, PathBuf},
};
use zkvouch::{
    artifacts::{InputData, OnnxFile, ProofFile, Settings, VkHeader, Witness},
    field::Felt,
    model::schema::TensorKind::{
        self, Input, Output, ProcessedInput, ProcessedOutput, ProcessedParam,
    },
};

/// Each case, with the kind and the length of each group of instances.
const CASES: &[(&str, &[(TensorKind, usize)])] = &[
    ("public_fixed_public", &[(Input, 3), (Input, 2), (Output, 2), (Output, 1)]),
    ("private_fixed_public", &[(Output, 2), (Output, 1)]),
    (
        "hashed_hashed_hashed",
        &[
            (ProcessedInput, 1),
            (ProcessedInput, 1),
            (ProcessedParam, 1),
            (ProcessedOutput, 1),
            (ProcessedOutput, 1),
        ],
    ),
    (
        "public_hashed_hashed",
        &[(ProcessedParam, 1), (Input, 3), (Input, 2), (ProcessedOutput, 1), (ProcessedOutput, 1)],
    ),
    (
        "hashed_private_public",
        &[(ProcessedInput, 1), (ProcessedInput, 1), (Output, 2), (Output, 1)],
    ),
    ("polycommit_fixed_hashed", &[(ProcessedOutput, 1), (ProcessedOutput, 1)]),
    ("private_fixed_hashed-private-1", &[(ProcessedOutput, 1)]),
];

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/artifacts")
}

fn settings(case: &str) -> Settings {
    Settings::read(&golden().join(case).join("settings.json")).expect("valid")
}

fn proof(case: &str) -> ProofFile {
    ProofFile::read(&golden().join(case).join("proof.json")).expect("valid")
}

#[test]
fn every_case_is_here() {
    let folders = fs::read_dir(golden()).expect("the folder");
    let folders = folders.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().is_dir()));
    assert_eq!(folders.count(), CASES.len());
}

#[test]
fn settings_are_read_and_written_without_loss() {
    for (case, _) in CASES {
        let settings = settings(case);
        let raw = fs::read(settings.path()).expect("read");
        let raw: serde_json::Value = serde_json::from_slice(&raw).expect("JSON");
        assert_eq!(serde_json::to_value(&settings).expect("JSON"), raw, "{case}");
        settings.run_args.validate().expect("usable");
    }
}

#[test]
fn proofs_decode_to_the_numbers_that_ezkl_shows() {
    for (case, groups) in CASES {
        let (settings, proof) = (settings(case), proof(case));
        proof.check(&settings).expect(case);
        let layout = settings.instance_layout();
        let found: Vec<_> = layout.groups.iter().map(|group| (group.kind, group.len())).collect();
        assert_eq!(&found, groups, "{case}");
        let decoded = proof.decode(&layout).expect(case);
        let pretty = proof.pretty.as_ref().expect("ezkl writes it");
        let parse = |tensors: &[Vec<String>]| -> Vec<Vec<f64>> {
            let number = |text: &String| text.parse().expect("a number");
            tensors.iter().map(|tensor| tensor.iter().map(number).collect()).collect()
        };
        assert_eq!(decoded.inputs().collect::<Vec<_>>(), parse(&pretty.rescaled_inputs));
        assert_eq!(decoded.outputs().collect::<Vec<_>>(), parse(&pretty.rescaled_outputs));
    }
    let decoded = {
        let settings = settings("public_fixed_public");
        proof("public_fixed_public").decode(&settings.instance_layout()).expect("fits")
    };
    // a·W + b and its argmax, by hand.
    assert_eq!(decoded.outputs().collect::<Vec<_>>(), [&[4.0, -0.375][..], &[0.0]]);
}

/// The instances of a case are those of its witness: hashes from the `processed` parts, the rest
/// from inputs and outputs.
#[test]
fn instances_are_the_witness_in_the_layouts_order() {
    for (case, _) in CASES {
        let (settings, proof) = (settings(case), proof(case));
        let witness = Witness::read(&golden().join(case).join("witness.json")).expect("valid");
        witness.check_ranges(&settings).expect(case);
        let hashes = |processed: &Option<zkvouch::artifacts::witness::Processed>| -> Vec<Felt> {
            processed.as_ref().and_then(|part| part.poseidon_hash.clone()).unwrap_or_default()
        };
        let mut expected = hashes(&witness.processed_inputs);
        expected.extend(hashes(&witness.processed_params));
        let layout = settings.instance_layout();
        if layout.of_kind(Input).next().is_some() {
            expected.extend(witness.inputs.iter().flatten());
        }
        if layout.of_kind(Output).next().is_some() {
            expected.extend(witness.outputs.iter().flatten());
        }
        expected.extend(hashes(&witness.processed_outputs));
        assert_eq!(proof.proof.instances, expected, "{case}");
    }
}

#[test]
fn artefacts_of_another_circuit_do_not_pass() {
    for (case, groups) in CASES {
        for (other, other_groups) in CASES {
            let result = proof(case).check(&settings(other));
            assert_eq!(result.is_ok(), groups == other_groups, "{case} with {other}");
        }
    }
    let path = golden().join("public_fixed_public/vk.key");
    let header = VkHeader::read(&path).expect("valid");
    assert_eq!((header.k, header.compress_selectors), (10, true));
    let mut settings = settings("public_fixed_public");
    header.check(&settings).expect("fits");
    settings.run_args.logrows = 11;
    assert!(header.check(&settings).is_err());
}

#[test]
fn the_model_and_its_input_fit_the_settings() {
    let model = OnnxFile::read(&golden().join("network.onnx")).expect("a model");
    let input = InputData::read(&golden().join("input.json")).expect("valid");
    let shapes = model.input_shapes(&[]).expect("fixed");
    assert_eq!(shapes, [[1, 3], [1, 2]]);
    input.check_shapes(&shapes).expect("fits");
    assert_eq!(settings("public_fixed_public").input_shapes(), Some(shapes.as_slice()));
    for (case, _) in CASES {
        input.check(&settings(case)).expect(case);
    }
    let one = InputData::from_tensors(&[vec![1.0; 3]]).expect("finite");
    let error = one.check_shapes(&shapes).expect_err("one tensor").to_string();
    assert!(error.contains("1 tensors, but the model has 2 inputs"), "{error}");
    let other = InputData::from_tensors(&[vec![1.0; 3], vec![1.0; 3]]).expect("finite");
    // The committed lengths tell, though the inputs are not public.
    let error =
        other.check(&settings("polycommit_fixed_hashed")).expect_err("too long").to_string();
    assert!(error.contains("input_data[1]`: 3 elements, but the model's input 1 has 2"), "{error}");
}
