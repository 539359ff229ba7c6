//! The report as one HTML file: no script, no network, light and dark.

use super::{
    plots::{self, COLOURS, Plot},
    report::{AccuracyReport, CircuitReport, OutputReport},
    stats::Summary,
};
use std::fmt::Write as _;

const STYLE: &str = "
:root{color-scheme:light dark;--paper:#fff;--ink:#1f2328;--muted:#59636e;--line:#d1d9e0;--bad:#cf222e}
@media(prefers-color-scheme:dark){:root{--paper:#0d1117;--ink:#e6edf3;--muted:#9198a1;--line:#30363d;--bad:#ff7b72}}
body{font:15px/1.5 system-ui,sans-serif;background:var(--paper);color:var(--ink);max-width:1060px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2.2rem}
p,figcaption{color:var(--muted)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.87rem;width:100%}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
th{font-weight:600;color:var(--muted)}
.l{text-align:left}.w{white-space:normal;word-break:break-word;max-width:26rem;font-size:.8rem}
.bad{color:var(--bad);font-weight:600}
.note{color:var(--bad)}
figure{margin:1rem 0 2rem}svg{width:100%;height:auto;display:block}
";

/// The report as a self-contained HTML document.
///
/// # Errors
/// What [`plots::plots`] says.
pub fn html(report: &AccuracyReport) -> Result<String, String> {
    let mut page = String::new();
    // Writing to a string can't fail.
    let _ = write(&mut page, report, &plots::plots(report)?);
    Ok(page)
}

fn write(page: &mut String, report: &AccuracyReport, plots: &[Plot]) -> std::fmt::Result {
    let model =
        report.model.file_name().map_or_else(String::new, |name| name.display().to_string());
    let title = format!("Accuracy of {}", escape(&model));
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{title}</title><style>{STYLE}{}</style></head><body>\n<h1>{title}</h1>\n\
         <p>{} observations: the circuit's fixed-point answers against the float model's.</p>\n",
        dark_plots(),
        report.observations
    )?;
    for note in &report.notes {
        writeln!(page, "<p class=note>Note: {}.</p>", escape(note))?;
    }
    circuits(page, report)?;
    outputs(page, report)?;
    for plot in plots {
        write!(
            page,
            "<h2>{}</h2>\n<figure>{}<figcaption>{}</figcaption></figure>\n",
            plot.title, plot.svg, plot.caption
        )?;
    }
    for circuit in &report.circuits {
        worst(page, circuit)?;
        refusals(page, circuit)?;
    }
    page.push_str("</body></html>\n");
    Ok(())
}

fn dark_plots() -> String {
    let mut css = String::from("@media(prefers-color-scheme:dark){");
    for (light, dark) in COLOURS {
        let _ = write!(
            css,
            "svg [fill=\"{light}\"]{{fill:{dark}}}svg [stroke=\"{light}\"]{{stroke:{dark}}}"
        );
    }
    css.push('}');
    css
}

fn circuits(page: &mut String, report: &AccuracyReport) -> std::fmt::Result {
    page.push_str(
        "<h2>Circuits</h2>\n<div class=scroll><table><tr><th class=l>circuit<th>k<th>scales<th>\
         largest error<th>mean<th>largest percent<th>answer flips<th>label flips<th>\
         refused<th>lookups used<th>time</tr>\n",
    );
    for c in &report.circuits {
        let number =
            |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.3e}"));
        let percent = c.percent.map_or("–".to_owned(), |summary| format!("{:.4} %", summary.max));
        let (rows, flips) = c.argmax();
        let label_flips = || c.outputs.iter().filter_map(|output| output.label_flips);
        let (labelled, labels) =
            (label_flips().count() > 0, label_flips().map(|it| it.count).sum());
        let lookups =
            c.lookups.map_or("–".to_owned(), |u| format!("{:.0} %", 100.0 * u.fraction()));
        let bad = |count: usize| if count > 0 { " class=bad" } else { "" };
        writeln!(
            page,
            "<tr><td class=l>{}<td>{}<td>{}/{}×{}<td>{}<td>{}<td>{percent}<td{}>{}<td{}>{}<td{}>{}<td>\
             {lookups}<td>{:.1} s</tr>",
            escape(&c.label),
            c.logrows,
            c.scales.0,
            c.scales.1,
            c.scales.2,
            number(c.absolute.map(|s| s.max)),
            number(c.absolute.map(|s| s.mean)),
            bad(flips),
            if rows == 0 { "–".to_owned() } else { format!("{flips} of {rows}") },
            bad(labels),
            if labelled { labels.to_string() } else { "–".to_owned() },
            bad(c.refused.len()),
            c.refused.len(),
            c.seconds
        )?;
    }
    page.push_str("</table></div>\n");
    Ok(())
}

fn outputs(page: &mut String, report: &AccuracyReport) -> std::fmt::Result {
    page.push_str(
        "<h2>Outputs</h2>\n<p>A percent error is undefined where the float model's value is nearer to \
         0 than one step of the output's fixed-point grid; such values are counted, not divided by. Of an \
         output of integers or booleans, which are labels, observations that have another one are counted.\
         </p>\n<div class=scroll><table><tr><th class=l>output<th class=l>circuit<th class=l>error<th>\
         min<th>median<th>mean<th>p95<th>p99<th>max<th>undefined<th>sign flips<th>class flips</tr>\n",
    );
    for number in 0..report.float.outputs.len() {
        for circuit in &report.circuits {
            let Some(output) = circuit.outputs.get(number) else { continue };
            if let Some(flips) = output.label_flips {
                let bad = if flips.count > 0 { " class=bad" } else { "" };
                row(page, circuit, output, "label", None)?;
                writeln!(page, "<td><td><td{bad}>{flips}</tr>")?;
                continue;
            }
            row(page, circuit, output, "absolute", output.absolute.as_ref())?;
            let class = match output.argmax_rows {
                0 => "–".to_owned(),
                rows => format!("{} of {rows}", output.argmax_flips),
            };
            writeln!(page, "<td><td>{}<td>{class}</tr>", output.sign_flips)?;
            row(page, circuit, output, "percent", output.percent.as_ref())?;
            writeln!(page, "<td>{}<td><td></tr>", output.percent_undefined)?;
        }
    }
    page.push_str("</table></div>\n");
    Ok(())
}

fn row(
    page: &mut String,
    circuit: &CircuitReport,
    output: &OutputReport,
    kind: &str,
    summary: Option<&Summary>,
) -> std::fmt::Result {
    let (name, label) = (escape(&output.name), escape(&circuit.label));
    write!(page, "<tr><td class=l>{name} {:?}<td class=l>{label}<td class=l>{kind}", output.shape)?;
    match summary {
        Some(s) => {
            for value in [s.min, s.median, s.mean, s.p95, s.p99, s.max] {
                write!(page, "<td>{value:.3e}")?;
            }
        }
        None => page.push_str("<td>–<td>–<td>–<td>–<td>–<td>–"),
    }
    Ok(())
}

fn worst(page: &mut String, circuit: &CircuitReport) -> std::fmt::Result {
    if circuit.worst.is_empty() {
        return Ok(());
    }
    writeln!(
        page,
        "<h2>Worst observations, {}</h2>\n<div class=scroll><table><tr><th>observation<th class=l>output\
         <th>float<th>circuit<th>error<th>percent<th class=l>inputs</tr>",
        escape(&circuit.label)
    )?;
    for case in &circuit.worst {
        let percent = case.percent.map_or("undefined".to_owned(), |p| format!("{p:.3} %"));
        let (error, percent) = match case.absolute {
            Some(error) => (format!("{error:.3e}"), percent),
            None if case.float == case.circuit => ("same label".to_owned(), "–".to_owned()),
            None => ("another label".to_owned(), "–".to_owned()),
        };
        writeln!(
            page,
            "<tr><td>{}<td class=l>{}[{}]<td>{:.6}<td>{:.6}<td>{error}<td>{percent}<td class=\"l w\">{}\
             </tr>",
            case.observation,
            escape(&case.output),
            case.element,
            case.float,
            case.circuit,
            inputs(&case.inputs)
        )?;
    }
    page.push_str("</table></div>\n");
    Ok(())
}

/// The first elements of each input; an image has too many to read.
fn inputs(tensors: &[Vec<f64>]) -> String {
    const SHOWN: usize = 48;
    let tensor = |values: &Vec<f64>| {
        let mut text: Vec<_> = values.iter().take(SHOWN).map(f64::to_string).collect();
        if values.len() > SHOWN {
            text.push(format!("… {} more", values.len() - SHOWN));
        }
        text.join(", ")
    };
    tensors.iter().map(tensor).collect::<Vec<_>>().join("<br>")
}

fn refusals(page: &mut String, circuit: &CircuitReport) -> std::fmt::Result {
    if circuit.refused.is_empty() {
        return Ok(());
    }
    writeln!(
        page,
        "<h2 class=bad>Observations that {} refused</h2>\n<div class=scroll><table><tr><th>observation\
         <th class=l>why</tr>",
        escape(&circuit.label)
    )?;
    for refusal in circuit.refused.iter().take(50) {
        let message = escape(&refusal.message);
        writeln!(page, "<tr><td>{}<td class=\"l w\">{message}</tr>", refusal.observation)?;
    }
    page.push_str("</table></div>\n");
    Ok(())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_whole_and_needs_nothing_from_elsewhere() {
        let mut report = super::super::report::tests::sample();
        report.circuits[0].label = "<b>tuned</b>".to_owned();
        let page = html(&report).expect("written");
        assert_eq!(page.matches("<svg").count(), 3);
        assert!(page.contains("<p class=note>Note: `logits` &lt;says&gt; little.</p>"));
        assert!(page.contains("&lt;b&gt;tuned") && !page.contains("<b>tuned"));
        assert!(page.contains("prefers-color-scheme:dark") && page.contains("refused"));
        for outside in ["src=", "href=", "url(", "<script", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
        // The only address is the SVG name space, which nobody fetches.
        let addresses = page.matches("http").count();
        assert_eq!(addresses, page.matches("http://www.w3.org/2000/svg").count());
    }
}
