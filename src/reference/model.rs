//! A model in a session of ONNX Runtime.

use super::{
    Error, Result, library,
    values::{self, Fault},
};
use crate::{
    artifacts::slot::Slot,
    files,
    onnx::proto::{GraphProto, ModelProto, tensor_shape_proto::dimension},
    task::blocking,
};
use ort::{
    session::{
        Session,
        builder::{GraphOptimizationLevel, SessionBuilder},
    },
    value::{DynValue, Outlet, TensorElementType},
};
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// One input or output of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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

    /// Whether the elements are labels (integers or booleans) rather than quantities.
    pub fn is_label(&self) -> bool {
        !matches!(self.element.as_str(), "f16" | "f32" | "f64" | "bf16")
    }

    /// Whether the elements are integers of 8 or 16 bits.
    pub(crate) fn is_small(&self) -> bool {
        matches!(self.element.as_str(), "i8" | "u8" | "i16" | "u16")
    }

    /// Whether an axis has size 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An ONNX model ready to run. Cheap to clone; threads that share it run it in turn.
#[derive(Clone)]
pub struct FloatModel {
    session: Arc<Mutex<Session>>,
    path: PathBuf,
    inputs: Vec<TensorInfo>,
    elements: Vec<TensorElementType>,
    outputs: Vec<TensorInfo>,
    operators: Vec<String>,
    slots: Vec<Slot>,
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
    ///
    /// # Errors
    /// If ONNX Runtime can't be had or refuses the model, and where an axis has no size.
    pub async fn load(path: &Path, variables: &[(String, usize)]) -> Result<Self> {
        let environment = library::environment().await?;
        let (path, variables) = (path.to_owned(), variables.to_vec());
        blocking(move || Self::open(environment, path, &variables)).await
    }

    /// A model in memory whose inputs have these shapes. `path` is what errors name.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub(crate) async fn of(
        model: &ModelProto,
        path: &Path,
        shapes: &[(String, Vec<usize>)],
    ) -> Result<Self> {
        let environment = library::environment().await?;
        let (model, path, shapes) = (model.clone(), path.to_owned(), shapes.to_vec());
        blocking(move || {
            let session = in_memory(environment, &model, &path)?;
            Self::with(session, path, &model, shapes)
        })
        .await
    }

    fn open(
        environment: &ort::environment::Environment,
        path: PathBuf,
        variables: &[(String, usize)],
    ) -> Result<Self> {
        let not_onnx = |message: String| Error::NotOnnx { path: path.clone(), message };
        let proto = ModelProto::from_bytes(&files::read(&path)?[..])
            .map_err(|error| not_onnx(error.to_string()))?;
        let graph = proto.graph.as_ref().ok_or_else(|| not_onnx("it has no graph".to_owned()))?;
        let shapes = input_shapes(&path, graph, variables)?;
        let load = |message: &str| Error::Load { path: path.clone(), message: message.to_owned() };
        // From the file, so that weights in a file of their own are found beside it.
        let session = builder(environment, variables)
            .and_then(|mut builder| builder.commit_from_file(&path))
            .map_err(|error| load(error.message()))?;
        Self::with(session, path, &proto, shapes)
    }

    fn with(
        session: Session,
        path: PathBuf,
        proto: &ModelProto,
        shapes: Vec<(String, Vec<usize>)>,
    ) -> Result<Self> {
        let load = |message: &str| Error::Load { path: path.clone(), message: message.to_owned() };
        let info = |outlet: &Outlet, element, shape| TensorInfo {
            name: outlet.name().to_owned(),
            shape,
            element: values::name(element).unwrap_or_default().to_owned(),
        };
        let (mut inputs, mut elements) = (Vec::new(), Vec::new());
        for outlet in session.inputs() {
            let element = numbers_of(outlet, &path)?;
            let known = shapes.iter().find(|(name, _)| name == outlet.name());
            let shape = known.map(|(_, shape)| shape.clone());
            let shape = shape.ok_or_else(|| {
                load(&format!("input `{}` has no shape; export the model with one", outlet.name()))
            })?;
            inputs.push(info(outlet, element, shape));
            elements.push(element);
        }
        let outputs = session
            .outputs()
            .iter()
            .map(|outlet| Ok(info(outlet, numbers_of(outlet, &path)?, Vec::new())))
            .collect::<Result<_>>()?;
        let session = Arc::new(Mutex::new(session));
        let operators = proto.operators();
        let slots = inputs.iter().map(|it| Slot::new(&it.name, it.shape.clone())).collect();
        let mut model = Self { session, path, inputs, elements, outputs, operators, slots };
        // What a file says of its outputs' shapes is often wrong after an export with a dynamic axis.
        // Zero is a place and a class wherever these go in, but nothing can be divided by it.
        let shapes_at = |number: f64| {
            let input = model.inputs.iter().map(|input| vec![number; input.len()]);
            model.answer(&input.collect::<Vec<_>>(), |output| {
                let shape = output.dtype().tensor_shape().map(|shape| shape.to_vec());
                Ok(shape.unwrap_or_default().into_iter().map(|axis| axis as usize).collect())
            })
        };
        let shapes = shapes_at(0.0).or_else(|_| shapes_at(1.0))?;
        for (output, shape) in model.outputs.iter_mut().zip(shapes) {
            output.shape = shape;
        }
        Ok(model)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The model's inputs, in the model's order.
    pub fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    /// Its inputs as data is read for them, with those that are fixed and none of its own.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The same model with data read so.
    pub(crate) fn with_slots(self, slots: Vec<Slot>) -> Self {
        Self { slots, ..self }
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
        let outputs: Vec<Vec<f64>> = self.answer(inputs, values::numbers)?;
        for (info, output) in self.outputs.iter().zip(&outputs) {
            if output.len() != info.len() {
                return Err(Error::OutputLength {
                    path: self.path.clone(),
                    name: info.name.clone(),
                    expected: info.len(),
                    found: output.len(),
                });
            }
        }
        Ok(outputs)
    }

    /// Runs the model and takes something from each output.
    fn answer<T>(
        &self,
        inputs: &[Vec<f64>],
        take: impl Fn(&DynValue) -> ort::Result<T>,
    ) -> Result<Vec<T>> {
        if inputs.len() != self.inputs.len() {
            return Err(Error::InputCount { expected: self.inputs.len(), found: inputs.len() });
        }
        let failed = |error: ort::Error| {
            let (path, message) = (self.path.clone(), error.message().to_owned());
            Error::Run { path, message }
        };
        let mut values = Vec::new();
        for ((info, element), data) in self.inputs.iter().zip(&self.elements).zip(inputs) {
            if data.len() != info.len() {
                return Err(Error::InputLength {
                    name: info.name.clone(),
                    shape: info.shape.clone(),
                    expected: info.len(),
                    found: data.len(),
                });
            }
            let value = value(&info.name, *element, &info.shape, data, &self.path)?;
            values.push((info.name.as_str(), value));
        }
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session.run(values).map_err(failed)?;
        self.outputs.iter().map(|info| take(&outputs[info.name.as_str()]).map_err(failed)).collect()
    }
}

/// The type of an input's or output's numbers.
///
/// # Errors
/// One that holds none.
pub(super) fn numbers_of(outlet: &Outlet, path: &Path) -> Result<TensorElementType> {
    let kind = outlet.dtype();
    let element = kind.tensor_type().filter(|element| values::name(*element).is_some());
    element.ok_or_else(|| {
        let (path, tensor) = (path.to_owned(), outlet.name().to_owned());
        Error::NotNumbers { path, tensor, found: kind.to_string() }
    })
}

/// Numbers as an input takes them.
///
/// # Errors
/// A number that is none of the type.
pub(super) fn value(
    name: &str,
    element: TensorElementType,
    shape: &[usize],
    data: &[f64],
    path: &Path,
) -> Result<DynValue> {
    values::tensor(element, shape, data).map_err(|fault| match fault {
        Fault::Value(index) => Error::InputValue {
            name: name.to_owned(),
            index,
            value: data[index],
            element: values::name(element).unwrap_or_default(),
        },
        Fault::Ort(error) => {
            Error::Run { path: path.to_owned(), message: error.message().to_owned() }
        }
    })
}

/// A session of a model that is in memory. `path` is what errors name.
pub(super) fn in_memory(
    environment: &ort::environment::Environment,
    model: &ModelProto,
    path: &Path,
) -> Result<Session> {
    builder(environment, &[])
        .and_then(|mut builder| builder.commit_from_memory(&model.to_bytes()))
        .map_err(|error| Error::Load { path: path.to_owned(), message: error.message().to_owned() })
}

/// What every session is made with.
fn builder(
    environment: &ort::environment::Environment,
    variables: &[(String, usize)],
) -> ort::Result<SessionBuilder> {
    let mut builder = Session::builder(environment)?
        .with_log_level(ort::logging::LogLevel::Fatal)?
        .with_optimization_level(GraphOptimizationLevel::Disable)?
        .with_intra_threads(1)?
        .with_deterministic_compute(true)?;
    for (name, size) in variables {
        builder = builder.with_dimension_override(name, *size as i64)?;
    }
    Ok(builder)
}

/// The shapes of the graph's inputs that have one, by name, with named axes replaced by their sizes.
fn input_shapes(
    path: &Path,
    graph: &GraphProto,
    variables: &[(String, usize)],
) -> Result<Vec<(String, Vec<usize>)>> {
    let mut shapes = Vec::new();
    for input in graph.free_inputs() {
        let Some(dims) = input.dims() else { continue };
        let mut shape = Vec::new();
        for (axis, dim) in dims.iter().enumerate() {
            let symbol = match &dim.value {
                Some(dimension::Value::DimValue(size @ 1..)) => {
                    shape.push(*size as usize);
                    continue;
                }
                Some(dimension::Value::DimParam(name)) if !name.is_empty() => Some(name.clone()),
                // Some exporters write a dynamic axis as 0 or -1, or not at all.
                _ => None,
            };
            let size = symbol.as_ref().and_then(|symbol| {
                variables.iter().find(|(name, _)| name == symbol).map(|(_, size)| *size)
            });
            let tensor = input.name.clone();
            shape.push(size.ok_or(Error::UnboundAxis {
                path: path.to_owned(),
                tensor,
                axis,
                symbol,
            })?);
        }
        shapes.push((input.name.clone(), shape));
    }
    Ok(shapes)
}
