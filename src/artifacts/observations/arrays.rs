//! Arrays as NumPy writes them.

use super::{MAX_BYTES, Observation, Reader, Result};
use crate::artifacts::{npy, slot::Slot};
use std::io::{Cursor, Read as _};

impl Reader<'_> {
    pub(super) fn npy(&self, bytes: &[u8]) -> Result<Vec<Observation>> {
        let [input] = self.inputs else {
            let message = format!("the model has {} inputs; use .npz", self.inputs.len());
            return Err(self.wrong("the array", message));
        };
        let data = self.array(bytes, input, "the array")?;
        self.concatenated(vec![data], "the array")
    }

    pub(super) fn npz(&self, bytes: &[u8]) -> Result<Vec<Observation>> {
        let broken = |error: zip::result::ZipError| {
            self.wrong("the archive", format!("not an .npz file: {error}"))
        };
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
        let names = archive
            .file_names()
            .map(|name| name.map(|name| name.into_owned()))
            .collect::<zip::result::ZipResult<Vec<String>>>()
            .map_err(broken)?;
        let by_name = |name: &str| names.iter().position(|entry| *entry == format!("{name}.npy"));
        let mut order: Vec<_> = self.inputs.iter().filter_map(|i| by_name(&i.name)).collect();
        if order.len() != self.inputs.len() {
            order = (0..names.len()).collect();
        }
        if order.len() != self.inputs.len() {
            let wanted: Vec<_> = self.inputs.iter().map(|input| input.name.as_str()).collect();
            let message = format!(
                "it has the arrays {}; the model takes {}",
                names.join(", "),
                wanted.join(", ")
            );
            return Err(self.wrong("the archive", message));
        }
        let mut tensors = Vec::new();
        for (input, position) in self.inputs.iter().zip(order) {
            let entry = archive.by_name(&names[position]).map_err(broken)?;
            let mut array = Vec::new();
            // A few bytes can unpack to terabytes.
            entry.take(MAX_BYTES).read_to_end(&mut array).map_err(|error| {
                self.wrong(format!("array {}", names[position]), error.to_string())
            })?;
            tensors.push(self.array(&array, input, &format!("array {}", names[position]))?);
        }
        self.concatenated(tensors, "the archive")
    }

    /// The elements of an array in row-major order.
    fn array(&self, bytes: &[u8], input: &Slot, place: &str) -> Result<Vec<f64>> {
        let npy::Array { shape, data } =
            npy::parse(bytes).map_err(|message| self.wrong(place, message))?;
        let whole = shape.first().is_some_and(|first| first * input.elements() == data.len());
        if !whole && shape != input.shape {
            let message = format!(
                "the shape is {shape:?}; `{}` has the shape {:?}, so [observations, …] with {} \
                 elements each is wanted",
                input.name,
                input.shape,
                input.elements()
            );
            return Err(self.wrong(place, message));
        }
        Ok(data)
    }
}
