use super::*;
use alloy::primitives::Bytes;
use serde::Deserialize;

fn tensor(kind: TensorKind, scale: i32, width: u8, shape: &[u32]) -> Tensor {
    let width = Width::try_from(width).expect("a width");
    Tensor { kind, scale: Scale(scale), width, shape: shape.to_vec() }
}

fn refused(predictions: u32, tensors: &[Tensor]) -> String {
    Descriptor::new(predictions, tensors.to_vec()).expect_err("refused").to_string()
}

#[test]
fn the_descriptor_is_the_one_in_the_contracts_readme() {
    let tensors =
        [tensor(TensorKind::Input, 7, 2, &[1, 3]), tensor(TensorKind::Output, 7, 2, &[1, 4])];
    let descriptor = Descriptor::new(1, tensors.to_vec()).expect("fits");
    let expected = "02000000010207020200000001000000030307020200000001 00000004".replace(' ', "");
    assert_eq!(alloy::hex::encode(descriptor.encode()), expected);
    let expected = "000000010207020000000303070200000004";
    assert_eq!(alloy::hex::encode(descriptor.schema().encode()), expected);
    assert_eq!(tensors[0].to_string(), "input [1, 3] / 2^7, 2 bytes each");
    let former = "02070200000001000000030307020000000100000004";
    assert_eq!(alloy::hex::encode(descriptor_v1(&tensors)), former);
}

#[test]
fn what_the_contracts_refuse_is_told() {
    let input = |scale, shape: &[u32]| tensor(TensorKind::Input, scale, 2, shape);
    assert!(refused(1, &[input(128, &[1])]).contains("scale 128"));
    assert!(refused(1, &[input(1, &[1, 0])]).contains("dimension of zero"));
    assert!(refused(1, &[input(1, &[1 << 16, 1 << 16])]).contains("2^32 - 1 elements"));
    assert!(refused(2, &[input(1, &[2, 3]), input(1, &[3])]).contains("tensor 1"));
    assert!(refused(0, &[]).contains("0 predictions"));
    assert!(refused(65_536, &[]).contains("65536 predictions"));
    let hash = tensor(TensorKind::ProcessedInput, 7, 32, &[]);
    assert!(refused(1, &[hash]).contains("a hash of scale 7"));
    let output = tensor(TensorKind::Output, 7, 1, &[1]);
    assert!(refused(1, &[output, input(7, &[1])]).contains("behind the outputs"));
    let many: Vec<_> = (0..22).map(|scale| input(scale, &[1])).collect();
    assert!(refused(1, &many).contains("22 runs"));
    assert!(Descriptor::new(1, many[1..].to_vec()).is_ok());
    let full = [input(1, &[65_535, 65_537]), input(1, &[1])];
    assert!(refused(1, &full).contains("too many elements"));
}

/// The contracts are tested with the same file, which neither of the two wrote.
#[test]
fn descriptors_and_packed_instances_are_those_of_the_contracts() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct File {
        predictions: Vec<u32>,
        descriptor: Vec<Bytes>,
        schema: Vec<Bytes>,
        instance_count: Vec<u64>,
        instances: Vec<Bytes>,
        packed: Vec<Bytes>,
        parts: Vec<Bytes>,
        refused: Vec<Bytes>,
    }
    let text = include_str!("../../../tests/fixtures/descriptor-vectors.json");
    let file: File = serde_json::from_str(text).expect("JSON");
    assert!(file.descriptor.len() >= 70 && file.refused.len() > 20);
    let felts = |bytes: &Bytes| -> Vec<Felt> {
        let word = |word: &[u8]| Felt::from_be_hex(&alloy::hex::encode(word)).expect("a scalar");
        bytes.chunks_exact(32).map(word).collect()
    };
    for (row, bytes) in file.descriptor.iter().enumerate() {
        let descriptor = Descriptor::read(bytes).unwrap_or_else(|| panic!("row {row}"));
        assert_eq!(descriptor.encode(), bytes.to_vec(), "row {row}");
        assert_eq!(descriptor.predictions(), file.predictions[row]);
        assert_eq!(descriptor.schema().encode(), file.schema[row].to_vec(), "row {row}");
        assert_eq!(Schema::read(&file.schema[row]).as_ref(), Some(descriptor.schema()));
        assert_eq!(descriptor.count(), file.instance_count[row]);
        let instances = felts(&file.instances[row]);
        let packing = descriptor.packing();
        assert_eq!(packing.pack(&instances).as_deref(), Some(&file.packed[row][..]), "row {row}");
        assert_eq!(packing.unpack(&file.packed[row]).as_ref(), Some(&instances), "row {row}");
        let parts = descriptor.parts(&instances).expect("fits");
        assert_eq!(parts.len(), descriptor.predictions() as usize);
        assert_eq!(parts.concat(), felts(&file.parts[row]), "row {row}");
        for part in &parts {
            assert_eq!(part.len() as u64, descriptor.schema().count());
            let runs = descriptor.schema().decode(part).expect("fits");
            assert_eq!(runs.len(), descriptor.schema().runs.len());
        }
        let more = [&instances[..], &[Felt::ZERO]].concat();
        assert_eq!(descriptor.parts(&more), None);
    }
    for (row, bytes) in file.refused.iter().enumerate() {
        assert_eq!(Descriptor::read(bytes), None, "row {row}");
    }
}

#[test]
fn a_prediction_has_its_rows_and_the_hash_of_all_parameters() {
    let tensors = vec![
        tensor(TensorKind::ProcessedParam, 0, 32, &[]),
        tensor(TensorKind::Input, 1, 1, &[2, 2]),
        tensor(TensorKind::Input, 1, 1, &[2]),
        tensor(TensorKind::Output, 0, 1, &[2]),
    ];
    let descriptor = Descriptor::new(2, tensors).expect("fits");
    let felts: Vec<_> = (0..9).map(Felt::from_i128).collect();
    let parts = descriptor.parts(&felts).expect("fits");
    let expected = [[0, 1, 2, 5, 7], [0, 3, 4, 6, 8]];
    assert_eq!(parts, expected.map(|part| part.map(Felt::from_i128).to_vec()));
    // Not merged, although they are alike: in the proof they are two blocks.
    assert_eq!(descriptor.schema().runs.len(), 4);
    assert_eq!(descriptor.schema().predictions(), 2);
    let decoded = descriptor.schema().decode(&parts[1]).expect("fits");
    assert_eq!(decoded[1].values, Some(vec![1.5, 2.0]));
}

#[test]
fn instances_are_decoded_by_the_schema() {
    let bytes = alloy::hex::decode("00000001020702000000020307020000 0001".replace(' ', ""));
    let bytes = bytes.expect("hex");
    let schema = Schema::read(&bytes).expect("a schema");
    let felts = [128, -64, 320].map(Felt::from_i128);
    let decoded = schema.decode(&felts).expect("fits");
    assert_eq!(decoded[0].values, Some(vec![1.0, -0.5]));
    assert_eq!(decoded[1].values, Some(vec![2.5]));
    assert_eq!(schema.decode(&felts[..2]), None);
    assert_eq!(schema.outputs().decode(&felts[2..]).map(|runs| runs.len()), Some(1));
    assert_eq!(schema.packing().len(), 6);
    assert_eq!(Schema::read(&bytes[1..]), None);
    assert_eq!(Schema::read(&[]), None);
    assert_eq!(Schema::read(&[0, 0, 0, 1, 9, 0, 2, 0, 0, 0, 1]), None, "a kind");
    assert_eq!(Schema::read(&[0, 0, 0, 1, 2, 0, 3, 0, 0, 0, 1]), None, "a width");
    let former = alloy::hex::decode("020700000002030700000001").expect("hex");
    let former = Schema::read_v1(&former).expect("a schema of old");
    assert_eq!(former.decode(&felts), Some(decoded));
    assert_eq!(Schema::read_v1(&[9, 0, 0, 0, 0, 1]), None);
    assert_eq!(Schema::read_v1(&[2, 0, 0, 0, 0]), None);
}

/// The contracts' decoder is tested with the same file.
#[test]
fn numbers_are_those_that_the_contracts_decode() {
    let text = include_str!("../../../tests/fixtures/decoder-vectors.json");
    let file: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let text = |column: &str, row: usize| file[column][row].as_str().expect("text").to_owned();
    let rows = file["scalar"].as_array().expect("a column").len();
    assert!(rows > 500);
    for row in 0..rows {
        let scale = file["scale"][row].as_i64().expect("a number") as i32;
        let felt = Felt::from_be_hex(&text("scalar", row));
        if text("error", row) == "NotFixedPoint" {
            assert!(felt.is_err() || felt.is_ok_and(|felt| felt.to_i128().is_err()), "{row}");
            continue;
        }
        let felt = felt.expect("a scalar");
        let integer: i128 = text("integer", row).parse().expect("an integer");
        assert_eq!(felt.to_i128(), Ok(integer), "{row}");
        if let Ok(value) = text("value", row).parse::<f64>() {
            let real = felt.to_f64(Scale(scale)).expect("a number");
            // The contracts round down to 18 decimals.
            let difference = (real - value / 1e18).abs();
            assert!(difference <= 1.1e-18 + real.abs() * 1e-12, "{row}: {real} {value}");
        }
    }
}
