//! A look into an ONNX file: whether it is one, and what its inputs are.
//!
//! ONNX is a protobuf message. The few fields that matter here are read straight from the wire
//! format (onnx.proto of ONNX 1.x, field numbers below); every length is checked against the bytes
//! that there are, so a file that was cut short is noticed.

use super::{Kind, Result, invalid};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

const KIND: Kind = Kind { what: "an ONNX model", remedy: "export the model again", limit: 2 << 30 };

/// One axis of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// A length that the model fixes.
    Fixed(usize),
    /// Named, such as `batch_size`; a value for it goes into the run arguments' `variables`.
    Symbol(String),
    /// Neither a length nor a name, or a length of zero or less.
    Unknown,
}

/// An input of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnnxTensor {
    /// Its name in the graph.
    pub name: String,
    /// The number of its type in ONNX's `TensorProto.DataType`: 1 is float, 7 is int64.
    pub elem_type: i32,
    /// Its axes; `None` where the model does not tell its shape.
    pub dims: Option<Vec<Dim>>,
}

/// What an ONNX file says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnnxFile {
    /// The version of the format.
    pub ir_version: u64,
    /// The program that wrote it.
    pub producer: String,
    /// The inputs that a caller has to give (weights left out).
    pub inputs: Vec<OnnxTensor>,
    /// The outputs, in the graph's order.
    pub outputs: Vec<OnnxTensor>,
    /// The operators in use.
    pub operators: BTreeSet<String>,
    path: PathBuf,
}

impl OnnxFile {
    /// Reads and checks a model file.
    ///
    /// # Errors
    /// If the file is missing, cut short, no ONNX, has no operators, or keeps its weights in
    /// another file, which ezkl cannot read.
    pub fn read(path: &Path) -> Result<Self> {
        Self::from_bytes(&KIND.read(path)?, path)
    }

    /// As [`read`](Self::read), from bytes; `path` is for errors.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        let fault = |message: &str| invalid(path, "", format!("{message}; {}", KIND.remedy));
        if bytes.is_empty() {
            return Err(fault("the file is empty"));
        }
        let model = model(bytes).map_err(|error| {
            fault(&format!("{error}: the file is cut short or is no ONNX model"))
        })?;
        if model.ir_version == 0 || !model.has_graph {
            return Err(fault("no ONNX model: it has no format version or no graph"));
        }
        if model.operators.is_empty() {
            return Err(fault("the model has no operators"));
        }
        if model.external_data {
            let message = "the weights are in a file of their own, which ezkl cannot read; export \
                           the model with the weights inside (onnx.save(model, path, \
                           save_as_external_data=False))";
            return Err(invalid(path, "graph.initializer", message));
        }
        let Model { ir_version, producer, mut inputs, outputs, operators, initializers, .. } =
            model;
        inputs.retain(|input| !initializers.contains(&input.name));
        if inputs.is_empty() {
            return Err(fault("the model has no inputs"));
        }
        Ok(Self { ir_version, producer, inputs, outputs, operators, path: path.to_owned() })
    }

    /// The path that the model was read from, for errors.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of axes without a length, in order and once each: what the run arguments'
    /// `variables` must give values for.
    pub fn symbols(&self) -> Vec<&str> {
        let mut symbols = Vec::new();
        for dim in self.inputs.iter().flat_map(|input| input.dims.iter().flatten()) {
            if let Dim::Symbol(name) = dim
                && !symbols.contains(&name.as_str())
            {
                symbols.push(name);
            }
        }
        symbols
    }

    /// The shape of each input with values for its symbols; `None` if one is not to be known.
    pub fn input_shapes(&self, variables: &[(String, usize)]) -> Option<Vec<Vec<usize>>> {
        let axis = |dim: &Dim| match dim {
            Dim::Fixed(length) => Some(*length),
            Dim::Symbol(name) => {
                variables.iter().find(|(symbol, _)| symbol == name).map(|(_, value)| *value)
            }
            Dim::Unknown => None,
        };
        let shape = |input: &OnnxTensor| input.dims.as_ref()?.iter().map(axis).collect();
        self.inputs.iter().map(shape).collect()
    }
}

#[derive(Default)]
struct Model {
    ir_version: u64,
    producer: String,
    has_graph: bool,
    inputs: Vec<OnnxTensor>,
    outputs: Vec<OnnxTensor>,
    operators: BTreeSet<String>,
    initializers: BTreeSet<String>,
    external_data: bool,
}

/// A field of a protobuf message.
enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Other,
}

type Parsed<T> = Result<T, &'static str>;

/// Calls `visit` with the number and value of each field.
fn fields<'a>(
    mut bytes: &'a [u8],
    mut visit: impl FnMut(u64, Value<'a>) -> Parsed<()>,
) -> Parsed<()> {
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut bytes)?),
            1 => take(&mut bytes, 8).map(|_| Value::Other)?,
            2 => {
                let length = varint(&mut bytes)?;
                Value::Bytes(take(&mut bytes, usize::try_from(length).unwrap_or(usize::MAX))?)
            }
            5 => take(&mut bytes, 4).map(|_| Value::Other)?,
            _ => return Err("a field of unknown type"),
        };
        if key >> 3 == 0 {
            return Err("a field with number zero");
        }
        visit(key >> 3, value)?;
    }
    Ok(())
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Parsed<&'a [u8]> {
    let (head, tail) = bytes.split_at_checked(length).ok_or("it ends inside a field")?;
    *bytes = tail;
    Ok(head)
}

fn varint(bytes: &mut &[u8]) -> Parsed<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number of more than 64 bits")
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

/// ModelProto: 1 ir_version, 2 producer_name, 7 graph.
fn model(bytes: &[u8]) -> Parsed<Model> {
    let mut model = Model::default();
    fields(bytes, |number, value| {
        match (number, value) {
            (1, Value::Varint(version)) => model.ir_version = version,
            (2, Value::Bytes(name)) => model.producer = text(name),
            (7, Value::Bytes(bytes)) => {
                model.has_graph = true;
                graph(bytes, &mut model)?;
            }
            (1 | 2 | 7, _) => return Err("a field of the wrong type"),
            _ => {}
        }
        Ok(())
    })?;
    Ok(model)
}

/// GraphProto: 1 node, 5 initializer, 11 input, 12 output. NodeProto: 4 op_type. TensorProto:
/// 8 name, 14 data_location (1 is external).
fn graph(bytes: &[u8], model: &mut Model) -> Parsed<()> {
    fields(bytes, |number, value| {
        match (number, value) {
            (1, Value::Bytes(node)) => fields(node, |number, value| {
                if let (4, Value::Bytes(name)) = (number, value) {
                    model.operators.insert(text(name));
                }
                Ok(())
            })?,
            (5, Value::Bytes(tensor)) => fields(tensor, |number, value| {
                match (number, value) {
                    (8, Value::Bytes(name)) => drop(model.initializers.insert(text(name))),
                    (14, Value::Varint(1)) => model.external_data = true,
                    _ => {}
                }
                Ok(())
            })?,
            (11, Value::Bytes(info)) => model.inputs.push(value_info(info)?),
            (12, Value::Bytes(info)) => model.outputs.push(value_info(info)?),
            _ => {}
        }
        Ok(())
    })
}

/// ValueInfoProto: 1 name, 2 type. TypeProto: 1 tensor_type. TypeProto.Tensor: 1 elem_type, 2 shape.
/// TensorShapeProto: 1 dim. Dimension: 1 dim_value, 2 dim_param.
fn value_info(bytes: &[u8]) -> Parsed<OnnxTensor> {
    let mut tensor = OnnxTensor { name: String::new(), elem_type: 0, dims: None };
    fields(bytes, |number, value| {
        match (number, value) {
            (1, Value::Bytes(name)) => tensor.name = text(name),
            (2, Value::Bytes(kind)) => fields(kind, |number, value| {
                let (1, Value::Bytes(kind)) = (number, value) else { return Ok(()) };
                fields(kind, |number, value| {
                    match (number, value) {
                        (1, Value::Varint(kind)) => {
                            tensor.elem_type = i32::try_from(kind).unwrap_or(0);
                        }
                        (2, Value::Bytes(shape)) => tensor.dims = Some(dims(shape)?),
                        _ => {}
                    }
                    Ok(())
                })
            })?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(tensor)
}

fn dims(bytes: &[u8]) -> Parsed<Vec<Dim>> {
    let mut dims = Vec::new();
    fields(bytes, |number, value| {
        let (1, Value::Bytes(dim)) = (number, value) else { return Ok(()) };
        let mut axis = Dim::Unknown;
        fields(dim, |number, value| {
            match (number, value) {
                // Exporters write an unknown length as 0 or -1, too.
                (1, Value::Varint(length)) => {
                    axis = match i64::try_from(length) {
                        Ok(length @ 1..) => Dim::Fixed(length as usize),
                        _ => Dim::Unknown,
                    }
                }
                (2, Value::Bytes(name)) => axis = Dim::Symbol(text(name)),
                _ => {}
            }
            Ok(())
        })?;
        dims.push(axis);
        Ok(())
    })?;
    Ok(dims)
}

#[cfg(test)]
mod tests {
    use super::*;
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
        OnnxFile::from_bytes(bytes, Path::new("m.onnx"))
    }

    #[test]
    fn inputs_operators_and_symbols_are_found() {
        let file = read(&model(&field(8, b"W"))).expect("a model");
        assert_eq!((file.ir_version, file.producer.as_str()), (8, "test"));
        let dims = Some(vec![Dim::Symbol("batch_size".to_owned()), Dim::Fixed(3)]);
        assert_eq!(file.inputs, [OnnxTensor { name: "x".into(), elem_type: 1, dims }]);
        assert_eq!(file.outputs[0].dims, Some(vec![Dim::Unknown]));
        assert_eq!(file.operators.iter().collect::<Vec<_>>(), ["MatMul", "Relu"]);
        assert_eq!(file.symbols(), ["batch_size"]);
        let shapes = file.input_shapes(&[("batch_size".to_owned(), 2)]);
        assert_eq!(shapes, Some(vec![vec![2, 3]]));
        assert_eq!(file.input_shapes(&[]), None);
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
        let external = model(&[field(8, b"W"), number(14, 1)].concat());
        let error = read(&external).expect_err("external").to_string();
        assert!(error.contains("weights are in a file of their own"), "{error}");
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
}
