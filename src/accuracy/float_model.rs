//! The float reference: an ONNX model run by tract, in the element types that the model declares.

use crate::{error::ErrorKind, files};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};
use tract_onnx::{pb, prelude::*, tract_hir::internal::DimLike as _};

/// The float model could not be read or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] files::Error),
    /// The file is not ONNX, or is cut short.
    #[error("{} is not an ONNX model: {message}", path.display())]
    NotOnnx {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        message: String,
    },
    /// tract has no implementation of an operator.
    #[error(
        "{}: the float reference has no operator {}; the circuit's accuracy can't be measured \
         against this model here", path.display(), operators.join(", ")
    )]
    UnsupportedOperators {
        /// The model.
        path: PathBuf,
        /// The ONNX names, each once, sorted.
        operators: Vec<String>,
    },
    /// A dynamic axis has no size.
    #[error(
        "{}: axis {axis} of `{tensor}` is dynamic ({}); set its size in `variables`, such as \
         {}=1", path.display(), symbol.as_deref().unwrap_or("without a name"),
        symbol.as_deref().unwrap_or("batch_size")
    )]
    UnboundAxis {
        /// The model.
        path: PathBuf,
        /// The input or output.
        tensor: String,
        /// The axis, from 0.
        axis: usize,
        /// The axis's name in the model.
        symbol: Option<String>,
    },
    /// tract understood the file but not the model.
    #[error("{}: the float reference can't load the model: {message}", path.display())]
    Load {
        /// The model.
        path: PathBuf,
        /// tract's own words.
        message: String,
    },
    /// The number of input tensors is wrong.
    #[error("the model has {expected} inputs but {found} were given")]
    InputCount {
        /// The model's.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// An input tensor has the wrong number of elements.
    #[error("input `{name}` has {expected} elements (shape {shape:?}) but {found} were given")]
    InputLength {
        /// The input's name.
        name: String,
        /// The model's shape, with variables bound.
        shape: Vec<usize>,
        /// The number of elements of that shape.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// A value does not fit the input's element type.
    #[error("input `{name}`, element {index}: {value} is not a value of type {element}")]
    InputValue {
        /// The input's name.
        name: String,
        /// The position in the flattened tensor.
        index: usize,
        /// The value.
        value: f64,
        /// The element type.
        element: String,
    },
    /// tract failed while running the model.
    #[error("the float reference failed: {message}")]
    Run {
        /// tract's own words.
        message: String,
    },
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::File(inner) => inner.kind(),
            Self::NotOnnx { .. }
            | Self::UnsupportedOperators { .. }
            | Self::UnboundAxis { .. }
            | Self::Load { .. }
            | Self::InputCount { .. }
            | Self::InputLength { .. }
            | Self::InputValue { .. }
            | Self::Run { .. } => ErrorKind::BadInput,
        }
    }
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One input or output of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// The name in the ONNX file.
    pub name: String,
    /// The shape, with variables bound.
    pub shape: Vec<usize>,
    /// The element type, such as `f32` or `i64`.
    pub element: String,
}

impl TensorInfo {
    /// The number of elements; 1 for a scalar.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether an axis has size 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An ONNX model ready to run. Cheap to clone and to share between threads.
#[derive(Clone)]
pub struct FloatModel {
    plan: Arc<TypedRunnableModel>,
    inputs: Vec<TensorInfo>,
    input_types: Vec<DatumType>,
    outputs: Vec<TensorInfo>,
    operators: Vec<String>,
}

impl std::fmt::Debug for FloatModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FloatModel")
            .field("inputs", &self.inputs)
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}

impl FloatModel {
    /// Loads the model and gives each dynamic axis the size that `variables` has for its name.
    pub fn load(path: &Path, variables: &[(String, usize)]) -> Result<Self> {
        let bytes = files::read(path)?;
        // tract meets malformed graphs with panics in places.
        catch_unwind(AssertUnwindSafe(|| Self::parse(path, &bytes, variables)))
            .unwrap_or_else(|panic| Err(load_error(path, panic_text(&*panic))))
    }

    fn parse(path: &Path, bytes: &[u8], variables: &[(String, usize)]) -> Result<Self> {
        let not_onnx = |message: String| Error::NotOnnx { path: path.to_owned(), message };
        // Output shapes and value infos only repeat what inference finds, and often disagree with
        // it after an export with a dynamic axis.
        let onnx = tract_onnx::onnx().with_ignore_output_types(true).with_ignore_value_info(true);
        let mut proto = onnx
            .proto_model_for_read(&mut &bytes[..])
            .map_err(|error| not_onnx(format!("{error:#}")))?;
        let graph = proto.graph.as_mut().ok_or_else(|| not_onnx("it has no graph".to_owned()))?;
        bind_variables(path, graph, variables)?;
        let mut missing: Vec<String> = graph
            .node
            .iter()
            .filter(|node| !onnx.op_register.0.contains_key(&node.op_type))
            .map(|node| node.op_type.clone())
            .collect();
        if !missing.is_empty() {
            missing.sort();
            missing.dedup();
            return Err(Error::UnsupportedOperators { path: path.to_owned(), operators: missing });
        }
        let mut operators: Vec<_> = graph.node.iter().map(|node| node.op_type.clone()).collect();
        operators.sort();
        operators.dedup();
        let names = graph.output.iter().map(|output| output.name.clone()).collect::<Vec<_>>();
        let load = |error: TractError| load_error(path, format!("{error:#}"));
        let folder = path.parent().and_then(Path::to_str);
        let parsed = onnx.parse(&proto, folder).map_err(load)?;
        if let Some(name) = parsed.unresolved_inputs.first() {
            return Err(load_error(path, format!("no node makes `{name}`")));
        }
        let typed = parsed.model.into_typed().map_err(load)?;
        let optimized = typed.clone().into_optimized();
        let model = match optimized {
            Ok(model) => model,
            Err(error) => {
                tracing::debug!("tract could not optimise {}: {error:#}", path.display());
                typed
            }
        };
        let describe = |name: String, fact: &TypedFact| -> Result<TensorInfo> {
            let mut shape = Vec::new();
            for (axis, dim) in fact.shape.iter().enumerate() {
                shape.push(dim.to_usize().map_err(|_| Error::UnboundAxis {
                    path: path.to_owned(),
                    tensor: name.clone(),
                    axis,
                    symbol: Some(dim.to_string()),
                })?);
            }
            let element = format!("{:?}", fact.datum_type).to_lowercase();
            Ok(TensorInfo { name, shape, element })
        };
        let mut inputs = Vec::new();
        let mut input_types = Vec::new();
        for outlet in model.input_outlets().map_err(load)? {
            let fact = model.outlet_fact(*outlet).map_err(load)?;
            inputs.push(describe(model.node(outlet.node).name.clone(), fact)?);
            input_types.push(fact.datum_type);
        }
        let mut outputs = Vec::new();
        for (outlet, name) in model.output_outlets().map_err(load)?.iter().zip(names) {
            outputs.push(describe(name, model.outlet_fact(*outlet).map_err(load)?)?);
        }
        let plan = model.into_runnable().map_err(load)?;
        Ok(Self { plan, inputs, input_types, outputs, operators })
    }

    /// The model's inputs, in the model's order.
    pub fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    /// The model's outputs, in the model's order.
    pub fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    /// The ONNX operators in use, each once, sorted.
    pub fn operators(&self) -> &[String] {
        &self.operators
    }

    /// Runs the model on one observation: one flattened (row-major) tensor for each input. Returns
    /// one flattened tensor for each output.
    pub fn run(&self, inputs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        if inputs.len() != self.inputs.len() {
            return Err(Error::InputCount { expected: self.inputs.len(), found: inputs.len() });
        }
        let mut values: TVec<TValue> = tvec!();
        for ((info, data_type), data) in self.inputs.iter().zip(&self.input_types).zip(inputs) {
            values.push(tensor(info, *data_type, data)?.into_tvalue());
        }
        let outputs = catch_unwind(AssertUnwindSafe(|| self.plan.run(values)))
            .unwrap_or_else(|panic| Err(TractError::msg(panic_text(&*panic))))
            .map_err(run_error)?;
        outputs
            .iter()
            .map(|output| {
                let output = output.cast_to::<f64>().map_err(run_error)?;
                let view = output.to_plain_array_view::<f64>().map_err(run_error)?;
                Ok(view.iter().copied().collect())
            })
            .collect()
    }
}

fn load_error(path: &Path, message: String) -> Error {
    Error::Load { path: path.to_owned(), message }
}

fn run_error(error: TractError) -> Error {
    Error::Run { message: format!("{error:#}") }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "it panicked".to_owned())
}

/// Replaces the named axes of the graph's inputs by their sizes.
fn bind_variables(
    path: &Path,
    graph: &mut pb::GraphProto,
    variables: &[(String, usize)],
) -> Result<()> {
    use pb::{tensor_shape_proto::dimension::Value, type_proto};
    let initialized: std::collections::HashSet<&str> =
        graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    for input in &mut graph.input {
        if initialized.contains(input.name.as_str()) {
            continue;
        }
        let shape = input.r#type.as_mut().and_then(|kind| kind.value.as_mut());
        let Some(type_proto::Value::TensorType(tensor)) = shape else { continue };
        for (axis, dim) in tensor.shape.iter_mut().flat_map(|shape| &mut shape.dim).enumerate() {
            let symbol = match &dim.value {
                Some(Value::DimValue(size)) if *size > 0 => continue,
                Some(Value::DimParam(name)) if !name.is_empty() => Some(name.clone()),
                // Some exporters write a dynamic axis as 0 or -1, or not at all.
                _ => None,
            };
            let size = symbol.as_ref().and_then(|symbol| {
                variables.iter().find(|(name, _)| name == symbol).map(|(_, size)| *size)
            });
            let Some(size) = size else {
                let tensor = input.name.clone();
                return Err(Error::UnboundAxis { path: path.to_owned(), tensor, axis, symbol });
            };
            dim.value = Some(Value::DimValue(size as i64));
        }
    }
    Ok(())
}

fn tensor(info: &TensorInfo, data_type: DatumType, data: &[f64]) -> Result<Tensor> {
    if data.len() != info.len() {
        return Err(Error::InputLength {
            name: info.name.clone(),
            shape: info.shape.clone(),
            expected: info.len(),
            found: data.len(),
        });
    }
    let whole = data_type.is_integer() || data_type == bool::datum_type();
    let wrong = |value: f64| {
        !value.is_finite()
            || (whole && value.fract() != 0.0)
            || (data_type.is_unsigned() && value < 0.0)
            || (data_type == bool::datum_type() && value != 0.0 && value != 1.0)
    };
    if let Some(index) = data.iter().position(|value| wrong(*value)) {
        return Err(Error::InputValue {
            name: info.name.clone(),
            index,
            value: data[index],
            element: info.element.clone(),
        });
    }
    let doubles = Tensor::from_shape(&info.shape, data).map_err(run_error)?;
    Ok(doubles.cast_to_dt(data_type).map_err(run_error)?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name).join("model.onnx")
    }

    fn input(name: &str) -> Vec<Vec<f64>> {
        let path = example(name).with_file_name("input.json");
        let json: serde_json::Value =
            serde_json::from_slice(&files::read(&path).expect("input.json")).expect("JSON");
        serde_json::from_value(json["input_data"].clone()).expect("input_data")
    }

    fn batch(size: usize) -> Vec<(String, usize)> {
        vec![("batch_size".to_owned(), size)]
    }

    #[test]
    fn the_credit_model_gives_what_onnxruntime_gave() {
        let model = FloatModel::load(&example("credit"), &batch(1)).expect("loads");
        assert_eq!(model.inputs()[0].shape, [1, 41]);
        assert_eq!(model.outputs()[0].shape, [1, 2]);
        assert_eq!(model.outputs()[0].name, "output");
        let outputs = model.run(&input("credit")).expect("runs");
        let expected = [-2.4107184, 3.5962422];
        for (found, expected) in outputs[0].iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
    }

    #[test]
    fn every_example_runs_and_trees_give_probabilities() {
        for name in ["decision_tree", "random_forest", "xgboost"] {
            let model = FloatModel::load(&example(name), &batch(1)).expect("loads");
            let outputs = model.run(&input(name)).expect("runs");
            let sum: f64 = outputs[0].iter().sum();
            assert!((sum - 1.0).abs() < 1e-5, "{name}: {outputs:?}");
        }
    }

    #[test]
    fn a_batch_is_the_rows_one_after_the_other() {
        let row = input("credit").remove(0);
        let one = FloatModel::load(&example("credit"), &batch(1)).expect("loads");
        let three = FloatModel::load(&example("credit"), &batch(3)).expect("loads");
        let single = one.run(std::slice::from_ref(&row)).expect("runs").remove(0);
        let triple = three.run(&[row.repeat(3)]).expect("runs").remove(0);
        for (found, expected) in triple.iter().zip(single.repeat(3)) {
            assert!((found - expected).abs() < 1e-5);
        }
        assert_eq!(triple.len(), 6);
    }

    #[test]
    fn bad_input_is_named() {
        let unbound = FloatModel::load(&example("credit"), &[]).expect_err("no batch size");
        assert!(unbound.to_string().contains("batch_size=1"), "{unbound}");
        let model = FloatModel::load(&example("credit"), &batch(1)).expect("loads");
        let short = model.run(&[vec![0.0; 40]]).expect_err("short");
        assert!(short.to_string().contains("has 41 elements (shape [1, 41]) but 40"), "{short}");
        let mut row = vec![0.0; 41];
        row[7] = f64::NAN;
        let nan = model.run(&[row]).expect_err("NaN");
        assert!(nan.to_string().contains("element 7: NaN"), "{nan}");
        assert!(matches!(model.run(&[]), Err(Error::InputCount { expected: 1, found: 0 })));
    }

    #[test]
    fn a_file_that_is_not_onnx_is_refused_without_a_panic() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.onnx");
        let whole = files::read(&example("credit")).expect("bytes");
        for bytes in [&b""[..], b"hello", &whole[..whole.len() / 2], &whole[..1800]] {
            files::write_atomic(&path, bytes).expect("written");
            let error = FloatModel::load(&path, &batch(1)).expect_err("not ONNX");
            assert!(error.to_string().contains("model.onnx"), "{error}");
        }
        assert!(matches!(
            FloatModel::load(&folder.path().join("none.onnx"), &[]),
            Err(Error::File(_))
        ));
    }

    #[test]
    fn a_missing_operator_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.onnx");
        // The same length keeps the protobuf valid: "Relu" becomes an operator nobody has.
        let mut bytes = files::read(&example("credit")).expect("bytes");
        let at = bytes.windows(6).position(|window| window == b"\x22\x04Relu").expect("Relu");
        bytes[at + 2..at + 6].copy_from_slice(b"Xelu");
        files::write_atomic(&path, &bytes).expect("written");
        let error = FloatModel::load(&path, &batch(1)).expect_err("no such operator");
        assert!(error.to_string().contains("no operator Xelu"), "{error}");
    }
}
