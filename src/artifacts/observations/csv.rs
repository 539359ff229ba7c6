//! Tables of comma-separated values.

use super::{Observation, Reader, Result};
use crate::artifacts::{input::exact, slot::Slot};

/// How programs write that a value is missing.
const MISSING: [&str; 6] = ["", "nan", "na", "n/a", "null", "none"];

impl Reader<'_> {
    pub(super) fn csv(&self, bytes: &[u8]) -> Result<Vec<Observation>> {
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
            if number == 0 && record.iter().all(|cell| !is_value(cell)) {
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
            let value = |column: usize, (input, at): (&Slot, usize)| {
                let number = number_of(&record[column]).and_then(|number| {
                    let named = |message| match &record[column] {
                        "" => format!("nothing stands here: {message}"),
                        _ => message,
                    };
                    input.admit(at, number).map_err(named)
                });
                number.map_err(|message| {
                    let name = header.as_ref().and_then(|names| names.get(column));
                    let name = name.map(|name| format!(" (`{name}`)")).unwrap_or_default();
                    self.wrong(&place, format!("column {}{name}: {message}", column + 1))
                })
            };
            let all_columns: Vec<usize> = match columns.is_empty() {
                true => (0..record.len()).collect(),
                false => columns.clone(),
            };
            let places =
                self.inputs.iter().flat_map(|it| (0..it.elements()).map(move |at| (it, at)));
            let row: Vec<f64> = all_columns
                .into_iter()
                .zip(places)
                .map(|(column, place)| value(column, place))
                .collect::<Result<_>>()?;
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
}

/// Whether a cell is no name of a column.
fn is_value(cell: &str) -> bool {
    let word = cell.to_ascii_lowercase();
    cell.parse::<f64>().is_ok() || word == "true" || word == "false"
}

/// A number, in full where it is an integer; NaN where none is given.
fn number_of(cell: &str) -> Result<f64, String> {
    if let Ok(integer) = cell.parse::<i128>() {
        return exact(integer);
    }
    let word = cell.to_ascii_lowercase();
    match word.as_str() {
        "true" => Ok(1.0),
        "false" => Ok(0.0),
        word if MISSING.contains(&word) => Ok(f64::NAN),
        _ => cell.parse::<f64>().map_err(|_| {
            format!(
                "{cell} is not a finite number but text, and a circuit has numbers only; write the number that the \
                 model was trained with in its place, or leave the column out if the model does not read it"
            )
        }),
    }
}
