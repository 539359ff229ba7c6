//! The report as a table for a terminal and as CSV.

use super::{
    report::AccuracyReport,
    stats::{self, Summary},
};

impl AccuracyReport {
    /// The statistics as a table for a terminal, and below it how far lookup tables were used and what
    /// makes the error say little.
    pub fn table(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
        table.set_header([
            "output",
            "circuit",
            "error",
            "min",
            "median",
            "mean",
            "p95",
            "p99",
            "max",
            "undefined",
            "sign flips",
            "class flips",
        ]);
        let number = |value: f64| format!("{value:.3e}");
        let row = |summary: &Summary| {
            [summary.min, summary.median, summary.mean, summary.p95, summary.p99, summary.max]
                .map(number)
        };
        for (index, info) in self.float.outputs.iter().enumerate() {
            for circuit in &self.circuits {
                let Some(output) = circuit.outputs.get(index) else { continue };
                let mut add = |kind: &str, summary: &Option<Summary>, rest: [String; 3]| {
                    let mut cells = vec![info.name.clone(), circuit.label.clone(), kind.to_owned()];
                    match summary {
                        Some(summary) => cells.extend(row(summary)),
                        None => cells.extend(std::array::from_fn::<_, 6, _>(|_| "–".to_owned())),
                    }
                    cells.extend(rest);
                    table.add_row(cells);
                };
                if let Some(flips) = output.label_flips {
                    add("label", &None, [String::new(), String::new(), flips.to_string()]);
                    continue;
                }
                let argmax = match output.argmax_rows {
                    0 => "–".to_owned(),
                    rows => format!("{} of {rows}", output.argmax_flips),
                };
                let flips = output.sign_flips.to_string();
                add("absolute", &output.absolute, [String::new(), flips, argmax]);
                let undefined = output.percent_undefined.to_string();
                add("percent %", &output.percent, [undefined, String::new(), String::new()]);
            }
        }
        let mut text = table.to_string();
        for circuit in &self.circuits {
            if let Some(lookups) = &circuit.lookups {
                text.push_str(&format!(
                    "\nlookups      {}: {} to {} of {} to {}, {:.0} % of the nearer limit",
                    circuit.label,
                    lookups.min,
                    lookups.max,
                    lookups.low,
                    lookups.high,
                    100.0 * lookups.fraction()
                ));
            }
        }
        for note in &self.notes {
            text.push_str(&format!("\nnote         {note}"));
        }
        text
    }

    /// Every output value of every observation, a line each:
    /// `circuit,observation,output,element,float,circuit_value,absolute,percent`, where `percent` is
    /// empty when undefined, `absolute` too for a label, and the values are empty for a refused observation.
    pub fn csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let header = [
            "circuit",
            "observation",
            "output",
            "element",
            "float",
            "circuit_value",
            "absolute",
            "percent",
        ];
        let mut write = |cells: &[String]| {
            // Writing to memory can't fail, and every record has the header's width.
            let _ = writer.write_record(cells);
        };
        write(&header.map(str::to_owned));
        for circuit in &self.circuits {
            for (observation, values) in circuit.values.iter().enumerate() {
                for (number, output) in circuit.outputs.iter().enumerate() {
                    let float = self.float.values.get(observation).and_then(|all| all.get(number));
                    for (element, float) in float.into_iter().flatten().enumerate() {
                        let found = values.as_ref().and_then(|all| all.get(number)?.get(element));
                        let cell = |value: Option<f64>| {
                            value.map(|value| value.to_string()).unwrap_or_default()
                        };
                        let quantity = found.filter(|_| output.label_flips.is_none());
                        write(&[
                            circuit.label.clone(),
                            observation.to_string(),
                            output.name.clone(),
                            element.to_string(),
                            float.to_string(),
                            cell(found.copied()),
                            cell(quantity.map(|found| stats::absolute_error(*float, *found))),
                            cell(quantity.and_then(|found| {
                                stats::percent_error(*float, *found, output.step)
                            })),
                        ]);
                    }
                }
            }
        }
        writer
            .into_inner()
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }
}
