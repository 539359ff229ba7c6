//! Observations: one or many inputs for one model, read from JSON, JSON Lines, CSV, .npy or .npz.

use super::{
    input::{InputData, exact, no_values},
    layout::Slot,
    npy,
};
use crate::{error::ErrorKind, files};
use serde_json::{Map, Value};
use std::{
    io::{Cursor, Read},
    path::{Path, PathBuf},
};

/// The observations could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] files::Error),
    /// The file's ending is not one that has a reader.
    #[error(
        "{}: observations are read from .json, .jsonl, .csv, .npy and .npz files", path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing in the file.
    #[error("{} holds no observation", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Something in the file is wrong.
    #[error("{}, {place}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Where: a line, an observation or an array.
        place: String,
        /// What is wrong and what to do.
        message: String,
    },
}

impl Error {
    /// What kind of failure this is, whatever it says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::File(inner) => inner.kind(),
            Self::Format { .. } | Self::Empty { .. } | Self::Content { .. } => ErrorKind::BadInput,
        }
    }
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One observation: a flattened (row-major) tensor for each input of the model.
pub type Observation = Vec<Vec<f64>>;

/// The largest file that is read whole.
const MAX_BYTES: u64 = 2 << 30;

/// Reads every observation of `path` for a model with these inputs.
///
/// | ending | content |
/// |---|---|
/// | `.json` | `{"input_data": [[…], …]}`, one list for each input and in it one observation after the other; `{"<input>": …, …}` with the inputs by name; or an array of such objects, or of plain rows |
/// | `.jsonl`, `.ndjson` | such an object, or a plain row, a line |
/// | `.csv` | an observation a line, the inputs' elements side by side; a first line without any number is a header. Where it names every input of a model whose inputs are single numbers, it tells their order, and other columns are left out |
/// | `.npy` | shape `[observations, …]`, for a model with one input |
/// | `.npz` | such an array for each input, by the input's name or, failing that, in the file's order |
pub fn read(path: &Path, inputs: &[Slot]) -> Result<Vec<Observation>> {
    of_bytes(&load(path)?, path, inputs)
}

/// As [`read`], as ezkl takes them: of ezkl's own form scalars and booleans are kept as they are.
pub fn read_inputs(path: &Path, inputs: &[Slot]) -> Result<Vec<InputData>, super::Error> {
    let bytes = load(path)?;
    if ending(path) == "json" && is_ezkls(&bytes) {
        return InputData::from_json(&bytes, path)?.split(inputs);
    }
    let observations = of_bytes(&bytes, path, inputs)?;
    Ok(observations.iter().map(|tensors| InputData::of(tensors, path)).collect())
}

/// How many numbers each input has in a file of ezkl's own form; nothing is told of any other.
pub fn lengths(path: &Path) -> Option<Vec<usize>> {
    let bytes = load(path).ok().filter(|bytes| ending(path) == "json" && is_ezkls(bytes))?;
    Some(InputData::from_json(&bytes, path).ok()?.tensors.iter().map(Vec::len).collect())
}

/// Whether it is an object with `input_data`, valid or not.
fn is_ezkls(bytes: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Probe {
        #[serde(rename = "input_data")]
        _input_data: serde::de::IgnoredAny,
    }
    bytes.trim_ascii_start().starts_with(b"{")
        && match serde_json::from_slice::<Probe>(bytes) {
            Ok(_) => true,
            Err(error) => error.is_syntax() || error.is_eof(),
        }
}

fn ending(path: &Path) -> String {
    path.extension().and_then(|end| end.to_str()).unwrap_or("").to_ascii_lowercase()
}

fn load(path: &Path) -> Result<Vec<u8>> {
    let size = std::fs::metadata(path).map_err(files::Error::at("read", path))?.len();
    let wrong = |message: &str| Error::Content {
        path: path.to_owned(),
        place: "the file".to_owned(),
        message: message.to_owned(),
    };
    if size > MAX_BYTES {
        return Err(wrong("it is larger than 2 GiB; split it"));
    }
    let bytes = files::read(path)?;
    match files::lfs_pointer(&bytes) {
        Some(message) => Err(wrong(message)),
        None => Ok(bytes),
    }
}

fn of_bytes(bytes: &[u8], path: &Path, inputs: &[Slot]) -> Result<Vec<Observation>> {
    let reader = Reader { path, inputs };
    let observations = match ending(path).as_str() {
        "json" => reader.json(bytes)?,
        "jsonl" | "ndjson" => reader.json_lines(bytes)?,
        "csv" => reader.csv(bytes)?,
        "npy" => reader.npy(bytes)?,
        "npz" => reader.npz(bytes)?,
        _ => return Err(Error::Format { path: path.to_owned() }),
    };
    if observations.is_empty() {
        return Err(Error::Empty { path: path.to_owned() });
    }
    for (number, observation) in observations.iter().enumerate() {
        for (input, tensor) in inputs.iter().zip(observation) {
            if let Some(index) = tensor.iter().position(|value| !value.is_finite()) {
                let message = format!("element {index} of `{}` is {}", input.name, tensor[index]);
                return Err(reader.wrong(format!("observation {number}"), message));
            }
        }
    }
    Ok(observations)
}

/// What is wrong, without the place, which is told before.
fn not_json(error: &serde_json::Error, bytes: &[u8]) -> String {
    let text = error.to_string();
    let text = text.split_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    let has = |word: &str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
    // Python writes them.
    let hint = if has("NaN") || has("Infinity") { "; JSON has no NaN and no infinity" } else { "" };
    format!("not JSON: {text}{hint}")
}

/// A finite number, in full where it is an integer.
fn number_of(cell: &str) -> Result<f64, String> {
    if let Ok(integer) = cell.parse::<i128>() {
        return exact(integer);
    }
    let number = cell.parse::<f64>().ok().filter(|number| number.is_finite());
    let cell = if cell.is_empty() { "nothing" } else { cell };
    number.ok_or_else(|| format!("{cell} is not a finite number"))
}

struct Reader<'a> {
    path: &'a Path,
    inputs: &'a [Slot],
}

impl Reader<'_> {
    fn wrong(&self, place: impl Into<String>, message: String) -> Error {
        Error::Content { path: self.path.to_owned(), place: place.into(), message }
    }

    fn width(&self) -> usize {
        self.inputs.iter().map(Slot::elements).sum()
    }

    /// Cuts a row of all inputs' elements into the inputs.
    fn split(&self, row: &[f64]) -> Observation {
        let mut rest = row;
        let mut tensors = Vec::new();
        for input in self.inputs {
            let (tensor, after) = rest.split_at(input.elements());
            tensors.push(tensor.to_vec());
            rest = after;
        }
        tensors
    }

    fn json(&self, bytes: &[u8]) -> Result<Vec<Observation>> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| {
            self.wrong(
                format!("line {}, column {}", error.line(), error.column()),
                not_json(&error, bytes),
            )
        })?;
        match &value {
            Value::Array(items) => {
                let mut all = Vec::new();
                for (number, item) in items.iter().enumerate() {
                    all.extend(self.json_item(item, &format!("observation {number}"))?);
                }
                Ok(all)
            }
            item => self.json_item(item, "input_data"),
        }
    }

    fn json_lines(&self, bytes: &[u8]) -> Result<Vec<Observation>> {
        let mut all = Vec::new();
        for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let place = format!("line {}", number + 1);
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let item: Value = serde_json::from_slice(line).map_err(|error| {
                let place = format!("{place}, column {}", error.column());
                self.wrong(place, not_json(&error, line))
            })?;
            all.extend(self.json_item(&item, &place)?);
        }
        Ok(all)
    }

    /// `{"input_data": [[…], …]}` with one or more observations, or one plain row.
    fn json_item(&self, item: &Value, place: &str) -> Result<Vec<Observation>> {
        match item {
            Value::Object(fields) => {
                let tensors = match fields.get("input_data") {
                    Some(Value::Array(tensors)) => tensors.iter().collect(),
                    _ => self.by_name(fields, place)?,
                };
                let tensors =
                    tensors.iter().map(|t| self.numbers(t, place)).collect::<Result<Vec<_>>>()?;
                self.concatenated(tensors, place)
            }
            Value::Array(_) => {
                let row = self.numbers(item, place)?;
                if row.len() != self.width() {
                    let message =
                        format!("it has {} values; the model takes {}", row.len(), self.width());
                    return Err(self.wrong(place, message));
                }
                Ok(vec![self.split(&row)])
            }
            _ => Err(self.wrong(place, "neither an object nor a list".to_owned())),
        }
    }

    /// The inputs of an object that has them by their names.
    fn by_name<'v>(&self, fields: &'v Map<String, Value>, place: &str) -> Result<Vec<&'v Value>> {
        let values = self.inputs.iter().map(|input| fields.get(&input.name)).collect();
        Option::<Vec<_>>::ok_or_else(values, || {
            let names: Vec<_> = self.inputs.iter().map(|input| input.name.as_str()).collect();
            let message = format!(
                "it has no list `input_data`, and not every input by its name ({})",
                names.join(", ")
            );
            self.wrong(place, message)
        })
    }

    /// A list of numbers, nested or not, flattened; a single number is a list of one.
    fn numbers(&self, value: &Value, place: &str) -> Result<Vec<f64>> {
        fn flatten(value: &Value, out: &mut Vec<f64>) -> std::result::Result<(), String> {
            match value {
                Value::Array(items) => items.iter().try_for_each(|item| flatten(item, out)),
                Value::Bool(flag) => {
                    out.push(f64::from(u8::from(*flag)));
                    Ok(())
                }
                other => {
                    let integer = other.as_i64().map(i128::from).or(other.as_u64().map(i128::from));
                    out.push(match integer {
                        Some(integer) => exact(integer)?,
                        None => other.as_f64().ok_or_else(|| format!("{other} is not a number"))?,
                    });
                    Ok(())
                }
            }
        }
        let mut out = Vec::new();
        flatten(value, &mut out)
            .map_err(|message| self.wrong(place, format!("element {}: {message}", out.len())))?;
        Ok(out)
    }

    /// One list for each input, in it one observation after the other.
    fn concatenated(&self, tensors: Vec<Vec<f64>>, place: &str) -> Result<Vec<Observation>> {
        if tensors.len() != self.inputs.len() {
            let message = format!(
                "it has {} lists; the model has {} inputs",
                tensors.len(),
                self.inputs.len()
            );
            return Err(self.wrong(place, message));
        }
        let mut count = None;
        for (input, data) in self.inputs.iter().zip(&tensors) {
            if data.is_empty() {
                return Err(self.wrong(place, no_values(&input.name)));
            }
            let whole = input.elements() > 0 && data.len().is_multiple_of(input.elements());
            let observations = if whole { data.len() / input.elements() } else { 0 };
            if !whole || count.is_some_and(|count| count != observations) {
                let message = format!(
                    "`{}` has {} values; the model takes {} (shape {:?}) or a multiple of that, \
                     the same for each input",
                    input.name,
                    data.len(),
                    input.elements(),
                    input.shape
                );
                return Err(self.wrong(place, message));
            }
            count = Some(observations);
        }
        let observation = |number: usize| {
            self.inputs
                .iter()
                .zip(&tensors)
                .map(|(input, data)| data[number * input.elements()..][..input.elements()].to_vec())
                .collect()
        };
        Ok((0..count.unwrap_or(0)).map(observation).collect())
    }

    fn csv(&self, bytes: &[u8]) -> Result<Vec<Observation>> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(bytes);
        let mut header: Option<csv::StringRecord> = None;
        let mut columns: Vec<usize> = Vec::new();
        let mut all = Vec::new();
        for (number, record) in reader.records().enumerate() {
            let record = record.map_err(|error| {
                let line = error.position().map_or(0, csv::Position::line);
                self.wrong(format!("line {line}"), error.to_string())
            })?;
            let line = record.position().map_or(0, csv::Position::line);
            let place = format!("line {line}");
            if number == 0 && record.iter().all(|cell| cell.parse::<f64>().is_err()) {
                columns = self.columns(&record);
                header = Some(record);
                continue;
            }
            let wanted = match &header {
                Some(header) if !columns.is_empty() => header.len(),
                _ => self.width(),
            };
            if record.len() != wanted {
                let what = if columns.is_empty() { "model takes" } else { "header names" };
                let message = format!("it has {} columns; the {what} {wanted}", record.len());
                return Err(self.wrong(place, message));
            }
            let value = |column: usize| {
                let cell = &record[column];
                number_of(cell).map_err(|message| {
                    let name = header.as_ref().and_then(|names| names.get(column));
                    let name = name.map(|name| format!(" (`{name}`)")).unwrap_or_default();
                    self.wrong(&place, format!("column {}{name}: {message}", column + 1))
                })
            };
            let row: Vec<f64> = match columns.is_empty() {
                true => (0..record.len()).map(value).collect::<Result<_>>()?,
                false => columns.iter().map(|column| value(*column)).collect::<Result<_>>()?,
            };
            all.push(self.split(&row));
        }
        Ok(all)
    }

    /// Where each input is, if each is one number and the header has them all by name.
    fn columns(&self, header: &csv::StringRecord) -> Vec<usize> {
        let column = |input: &Slot| {
            header.iter().position(|name| name == input.name).filter(|_| input.elements() == 1)
        };
        self.inputs.iter().map(column).collect::<Option<_>>().unwrap_or_default()
    }

    fn npy(&self, bytes: &[u8]) -> Result<Vec<Observation>> {
        let [input] = self.inputs else {
            let message = format!("the model has {} inputs; use .npz", self.inputs.len());
            return Err(self.wrong("the array", message));
        };
        let data = self.array(bytes, input, "the array")?;
        self.concatenated(vec![data], "the array")
    }

    fn npz(&self, bytes: &[u8]) -> Result<Vec<Observation>> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn tensor(name: &str, shape: &[usize]) -> Slot {
        Slot { name: name.to_owned(), shape: shape.to_vec() }
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
        let error =
            check("csv", b"x,income,age\n1,2,high\n", &inputs).expect_err("a word").to_string();
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
            npy::tests::file(
                "{'descr': '<i8', 'fortran_order': False, 'shape': (1, 2), }",
                &elements,
            )
        };
        assert!(check("npy", &array(1 << 60), &inputs).is_ok(), "a power of two is a float");
        let error = check("npy", &array((1 << 60) + 1), &inputs).expect_err("too long").to_string();
        assert!(error.contains("element 1: 1152921504606846977 is beyond"), "{error}");
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
        let numbers =
            |input: &InputData| input.numbers(&[crate::field::Scale(1)]).expect("numbers");
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
            let error =
                as_ezkl_takes_them(ending, pointer, &[tensor("x", &[1])]).expect_err("none");
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
            ("csv", b"1,2\n3,\n", "line 2: column 2: nothing is not a finite number"),
            ("csv", b"a,b\n", "holds no observation"),
            ("json", b"", "line 1, column 0: not JSON"),
            ("json", br#"{"input_data": [[]]}"#, "`x` has no values"),
            ("json", br#"{"input_data": [[1, 2, 3]]}"#, "`x` has 3 values; the model takes 2"),
            ("json", br#"{"input_data": [["a", 2]]}"#, "element 0: \"a\" is not a number"),
            ("json", br#"{"data": 1}"#, "no list `input_data`"),
            (
                "jsonl",
                b"[1,2]\n[1,NaN]\n",
                "line 2, column 4: not JSON: expected value; JSON has no NaN",
            ),
            ("npy", b"\x93NUMPY", "the array: not NumPy"),
            ("npz", b"PK", "not an .npz file"),
        ];
        for (ending, bytes, expected) in cases {
            let error = check(ending, bytes, &inputs).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}\n  wanted: {expected}");
        }
        let nan = npy(&[1., 2., 3., f32::NAN], "(2, 2)", false);
        let error = check("npy", &nan, &inputs).expect_err("NaN").to_string();
        assert!(error.contains("observation 1: element 1 of `x` is NaN"), "{error}");
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
}
