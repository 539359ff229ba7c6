//! Weights in files beside the model, put inside.

use super::{Error, Result};
use crate::{
    files,
    onnx::proto::{GraphProto, ModelProto, TensorProto},
};
use prost::bytes::Bytes;
use std::{
    collections::HashMap,
    path::{Component, Path, PathBuf},
};

/// Reads the weights of every tensor that lies elsewhere. Returns the files, each once, in the order in which they
/// are named.
///
/// # Errors
/// A file that is missing, too short, or outside the model's folder.
pub(super) fn inline(model: &mut ModelProto, path: &Path) -> Result<Vec<PathBuf>> {
    let mut store = Store { path, files: HashMap::new(), order: Vec::new() };
    if let Some(graph) = &mut model.graph {
        store.graph(graph)?;
    }
    Ok(store.order)
}

struct Store<'a> {
    path: &'a Path,
    files: HashMap<String, Bytes>,
    order: Vec<PathBuf>,
}

impl Store<'_> {
    fn graph(&mut self, graph: &mut GraphProto) -> Result<()> {
        for tensor in &mut graph.initializer {
            self.tensor(tensor)?;
        }
        for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
            for tensor in attribute.t.iter_mut().chain(&mut attribute.tensors) {
                self.tensor(tensor)?;
            }
            for body in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                self.graph(body)?;
            }
        }
        Ok(())
    }

    fn tensor(&mut self, tensor: &mut TensorProto) -> Result<()> {
        if tensor.data_location != Some(1) {
            return Ok(());
        }
        let value = |key: &str| {
            let entry = tensor.external_data.iter().find(|entry| entry.key == key)?;
            Some(entry.value.clone())
        };
        let name = tensor.name.clone();
        let fault = |message: String| Error::Weights {
            model: self.path.to_owned(),
            tensor: name.clone(),
            message,
        };
        let location = value("location").filter(|it| !it.is_empty());
        let location = location
            .ok_or_else(|| fault("they lie in another file, which it does not name".into()))?;
        let number = |key: &str| match value(key) {
            None => Ok(None),
            Some(text) => text
                .parse::<usize>()
                .map(Some)
                .map_err(|_| fault(format!("{key} is {text:?}, which is no number of bytes"))),
        };
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let bytes = self.file(&location).map_err(fault)?;
        let end = match length {
            Some(length) => offset.saturating_add(length),
            None => bytes.len(),
        };
        if end > bytes.len() || offset > end {
            return Err(fault(format!(
                "bytes {offset} to {end} of {location} are named, which has {}: it is cut short or is another \
                 model's; export the model again and keep the two files together",
                bytes.len()
            )));
        }
        tensor.raw_data = Some(bytes.slice(offset..end));
        tensor.external_data.clear();
        tensor.data_location = None;
        Ok(())
    }

    fn file(&mut self, location: &str) -> Result<Bytes, String> {
        if let Some(bytes) = self.files.get(location) {
            return Ok(bytes.clone());
        }
        let relative = Path::new(location);
        let plain =
            relative.components().all(|it| matches!(it, Component::Normal(_) | Component::CurDir));
        let folder = match self.path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let outside = || {
            format!(
                "{location} lies outside the model's folder, and nothing there is read; put the file beside the \
                 model and export it with that name"
            )
        };
        if !plain {
            return Err(outside());
        }
        let file = folder.join(relative);
        if !file.exists() {
            return Err(format!(
                "they lie in {}, which is not there; put the file beside the model, or export the model with the \
                 weights inside: onnx.save(onnx.load(path), path, save_as_external_data=False)",
                file.display()
            ));
        }
        let real = |path: &Path| path.canonicalize().map_err(|error| error.to_string());
        // A link may lead out.
        if !real(&file)?.starts_with(real(folder)?) {
            return Err(outside());
        }
        let bytes = Bytes::from(files::read(&file).map_err(|error| error.to_string())?);
        self.files.insert(location.to_owned(), bytes.clone());
        self.order.push(file);
        Ok(bytes)
    }
}
