use super::*;
use crate::onnx::proto::{TensorShapeProto, type_proto};
use proptest::prelude::*;

/// A field of type 2.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).expect("short");
    assert!(length < 128);
    [&[number << 3 | 2, length], content].concat()
}

fn number(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

fn info(name: &str, dims: &[Vec<u8>]) -> Vec<u8> {
    let shape: Vec<u8> = dims.iter().flat_map(|dim| field(1, dim)).collect();
    let tensor = [number(1, 1), field(2, &shape)].concat();
    [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
}

/// y = Relu(x · W) with a named batch axis.
fn model(weights: &[u8]) -> Vec<u8> {
    let graph = [
        field(1, &field(4, b"MatMul")),
        field(1, &field(4, b"Relu")),
        field(5, weights),
        field(11, &info("x", &[field(2, b"batch_size"), number(1, 3)])),
        field(11, &info("W", &[number(1, 3)])),
        field(12, &info("y", &[vec![]])),
    ]
    .concat();
    [number(1, 8), field(2, b"test"), field(7, &graph)].concat()
}

fn read(bytes: &[u8]) -> Result<OnnxFile> {
    let path = Path::new("m.onnx");
    OnnxFile::of(&from_bytes(Bytes::copy_from_slice(bytes), path)?, path)
}

#[test]
fn inputs_operators_and_symbols_are_found() {
    let file = read(&model(&field(8, b"W"))).expect("a model");
    assert_eq!((file.ir_version, file.producer.as_str()), (8, "test"));
    let dims = Some(vec![Dim::Symbol("batch_size".to_owned()), Dim::Fixed(3)]);
    assert_eq!(
        file.inputs,
        [OnnxTensor { name: "x".into(), elem_type: 1, dims, takes: file.inputs[0].takes.clone() }]
    );
    assert_eq!(file.outputs[0].dims, Some(vec![Dim::Unknown]));
    assert_eq!(file.operators.iter().collect::<Vec<_>>(), ["MatMul", "Relu"]);
    assert_eq!(file.symbols(), ["batch_size"]);
    let shapes = file.input_shapes(&[("batch_size".to_owned(), 2)]);
    assert_eq!(shapes, Some(vec![vec![2, 3]]));
    assert_eq!(file.input_shapes(&[]), None);
}

/// As protobuf messages, of values that it takes in and gives.
fn graph_of(
    inputs: &[(&str, &[Option<&str>])],
    nodes: &[(&str, &[&str], &str)],
    output: &str,
) -> ModelProto {
    use crate::onnx::proto::{TypeProto, tensor_shape_proto::Dimension};
    let info = |(name, dims): &(&str, &[Option<&str>])| {
        let dim = |dim: &Option<&str>| Dimension {
            value: match dim.map(|dim| (dim.parse(), dim)) {
                Some((Ok(length), _)) => Some(dimension::Value::DimValue(length)),
                Some((Err(_), name)) => Some(dimension::Value::DimParam(name.to_owned())),
                None => None,
            },
            ..Dimension::default()
        };
        let shape = TensorShapeProto { dim: dims.iter().map(dim).collect() };
        let tensor = type_proto::Tensor { elem_type: 1, shape: Some(shape) };
        let value = Some(type_proto::Value::TensorType(tensor));
        ValueInfoProto { name: (*name).to_owned(), r#type: Some(TypeProto { value }) }
    };
    let node = |(kind, inputs, output): &(&str, &[&str], &str)| NodeProto {
        op_type: (*kind).to_owned(),
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![(*output).to_owned()],
        ..NodeProto::default()
    };
    let graph = GraphProto {
        node: nodes.iter().map(node).collect(),
        input: inputs.iter().map(info).collect(),
        output: vec![info(&(output, &[]))],
        ..GraphProto::default()
    };
    ModelProto { ir_version: 9, graph: Some(graph), ..ModelProto::default() }
}

fn file_of(model: ModelProto) -> Result<OnnxFile> {
    OnnxFile::of(&model, Path::new("m.onnx"))
}

#[test]
fn an_axis_without_a_name_gets_one_and_one_without_a_variable_is_told() {
    let inputs: [(&str, &[_]); 2] =
        [("x", &[None, Some("4")]), ("mask", &[Some("batch"), None, Some("0")])];
    let model = graph_of(&inputs, &[("Add", &["x", "mask"], "y")], "y");
    let file = file_of(model.clone()).expect("a model");
    assert_eq!(file.symbols(), ["batch_size", "batch", "mask_axis_1", "mask_axis_2"]);
    let set = |names: &[(&str, usize)]| -> Vec<_> {
        names.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    };
    let all = set(&[("batch_size", 1), ("batch", 2), ("mask_axis_1", 3), ("mask_axis_2", 5)]);
    let slots = file.slots(&all).expect("all set");
    assert_eq!(
        slots[1],
        Slot { takes: slots[1].takes.clone(), ..Slot::new("mask", vec![2, 3, 5]) }
    );
    let error = file.slots(&set(&[("batch_size", 1), ("bacth", 7)])).expect_err("misspelt");
    let error = error.to_string();
    for part in [
        "axis 0 of input `mask`",
        "`batch`",
        "`bacth` names no axis",
        "variables = { batch_size = 1, batch = 1, mask_axis_1 = 1, mask_axis_2 = 1 }",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn an_input_that_no_output_depends_on_is_found() {
    let inputs: [(&str, &[_]); 4] =
        [("x", &[Some("4")]), ("like", &[Some("4")]), ("dead", &[Some("4")]), ("idle", &[])];
    let nodes: [(&str, &[&str], &str); 4] = [
        ("Shape", &["like"], "shape"),
        ("Reshape", &["x", "shape"], "y"),
        ("Relu", &["dead"], "unread"),
        ("Neg", &["y"], "z"),
    ];
    let file = file_of(graph_of(&inputs, &nodes, "z")).expect("a model");
    assert_eq!(file.unbound, ["like", "dead", "idle"]);
    // The body of a branch reads from around it.
    let mut model = graph_of(&inputs, &nodes, "z");
    let graph = model.graph.as_mut().expect("a graph");
    let body = graph_of(&[], &[("Neg", &["dead"], "inner")], "inner").graph;
    graph.node[3]
        .attribute
        .push(crate::onnx::proto::AttributeProto { g: body, ..Default::default() });
    assert_eq!(file_of(model).expect("a model").unbound, ["like", "idle"]);
}

#[test]
fn a_value_that_nothing_makes_is_named() {
    let model = graph_of(&[("x", &[Some("4")])], &[("Add", &["x", "", "z"], "y")], "y");
    let error = file_of(model).expect_err("no z").to_string();
    assert!(error.contains("the Add that makes `y` reads `z`"), "{error}");
}

#[test]
fn what_is_no_model_is_refused() {
    let whole = model(&field(8, b"W"));
    for length in 1..whole.len() {
        let error = read(&whole[..length]).expect_err("cut").to_string();
        assert!(error.starts_with("m.onnx: ") && error.contains("; export"), "{error}");
    }
    for bytes in [&b""[..], b"{\"json\": true}", b"hello world, this is text", &[0; 64]] {
        assert!(read(bytes).is_err());
    }
    assert!(OnnxFile::read(Path::new("/nonexistent/m.onnx")).is_err());
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
    }

    #[test]
    fn no_changed_byte_panics(at in 0usize..200, with: u8) {
        let mut bytes = model(&field(8, b"W"));
        let at = at % bytes.len();
        bytes[at] = with;
        let _ = read(&bytes);
    }
}
