//! The report's plots, as SVG.
//!
//! They are drawn in the colours of the light theme; a style sheet maps those to the dark theme's by
//! attribute (`[fill="#0969DA"]`), so that one drawing serves both and the PNG as well.

use super::{
    report::{AccuracyReport, CircuitReport},
    stats::{self, Summary},
};
use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

/// Light colour, dark colour, as SVG attributes have them.
pub(super) const COLOURS: [(&str, &str); 6] = [
    ("#FFFFFF", "#0D1117"),
    ("#1F2328", "#E6EDF3"),
    ("#59636E", "#9198A1"),
    ("#D1D9E0", "#30363D"),
    ("#0969DA", "#58A6FF"),
    ("#BC4C00", "#F0883E"),
];
const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);
const INK: RGBColor = RGBColor(0x1f, 0x23, 0x28);
const MUTED: RGBColor = RGBColor(0x59, 0x63, 0x6e);
const GRID: RGBColor = RGBColor(0xd1, 0xd9, 0xe0);
const SERIES: [RGBColor; 2] = [RGBColor(0x09, 0x69, 0xda), RGBColor(0xbc, 0x4c, 0x00)];

/// The width of a plot, in pixels.
pub const WIDTH: u32 = 720;
/// The height of a plot, in pixels.
pub const HEIGHT: u32 = 340;
const BINS: usize = 40;
/// More points only make the file large.
const MAX_POINTS: usize = 3_000;

type Drawn = Result<(), Box<dyn std::error::Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A plot with its title.
#[derive(Clone, Debug)]
pub struct Plot {
    /// What it shows.
    pub title: &'static str,
    /// What to look for in it.
    pub caption: &'static str,
    /// A whole SVG document, [`WIDTH`] × [`HEIGHT`].
    pub svg: String,
}

/// The three plots of a report.
///
/// # Errors
/// plotters' own words; it does not fail on finite numbers.
pub fn plots(report: &AccuracyReport) -> Result<Vec<Plot>, String> {
    type Draw = fn(&AccuracyReport, &Area<'_>) -> Drawn;
    let plot = |title, caption, draw: Draw| -> Result<Plot, String> {
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
            let drawn = area.fill(&PAPER).map_err(Into::into).and_then(|()| draw(report, &area));
            drawn.and_then(|()| Ok(area.present()?)).map_err(|error| error.to_string())?;
        }
        Ok(Plot { title, caption, svg })
    };
    Ok(vec![
        plot(
            "How often which error occurs",
            "Absolute error of every output value that is no label. Bars to the right of the rest are \
             outliers: look at the worst observations.",
            histogram,
        )?,
        plot(
            "Error against value",
            "Each point is an output value: the float model's answer and the circuit's difference \
             from it. A slope means that a scale is too small, a level band is rounding.",
            scatter,
        )?,
        plot(
            "Error of each output",
            "Absolute error: the box holds the middle half of the observations, the line in it the \
             median, the whiskers the smallest and the largest.",
            boxes,
        )?,
    ])
}

/// Of the outputs that are quantities: the float model's value and the circuit's.
fn pairs<'a>(
    report: &'a AccuracyReport,
    circuit: &'a CircuitReport,
) -> impl Iterator<Item = (f64, f64)> + 'a {
    report
        .float
        .values
        .iter()
        .zip(&circuit.values)
        .filter_map(|(float, found)| Some((float, found.as_ref()?)))
        .flat_map(|(float, found)| report.float.outputs.iter().zip(float.iter().zip(found)))
        .filter(|(info, _)| !info.is_label())
        .flat_map(|(_, (float, found))| float.iter().copied().zip(found.iter().copied()))
}

fn absolute_errors(report: &AccuracyReport, circuit: &CircuitReport) -> Vec<f64> {
    pairs(report, circuit).map(|(float, found)| stats::absolute_error(float, found)).collect()
}

/// The interval with a margin; never empty.
fn padded(low: f64, high: f64) -> std::ops::Range<f64> {
    let margin = (high - low) * 0.04;
    let margin = if margin > 0.0 { margin } else { high.abs().max(1e-6) * 0.5 };
    low - margin..high + margin
}

fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

fn tick(value: &f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if (1e-2..1e5).contains(&v) => {
            let text = format!("{value:.3}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => format!("{value:.1e}"),
    }
}

fn chart<'a, 'b>(
    area: &'a Area<'b>,
    x: std::ops::Range<f64>,
    y: std::ops::Range<f64>,
    x_title: &str,
    y_title: &str,
) -> Result<
    ChartContext<
        'a,
        SVGBackend<'b>,
        Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
    >,
    Box<dyn std::error::Error>,
> {
    let mut chart = ChartBuilder::on(area)
        .margin(14)
        .x_label_area_size(46)
        .y_label_area_size(72)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(MUTED)
        .label_style(("sans-serif", 12).into_font().color(&MUTED))
        .axis_desc_style(("sans-serif", 13).into_font().color(&INK))
        .x_desc(x_title)
        .y_desc(y_title)
        .x_labels(7)
        .y_labels(6)
        .x_label_formatter(&tick)
        .y_label_formatter(&tick)
        .draw()?;
    Ok(chart)
}

/// Names of the series in the upper right corner, when there are two.
fn legend(report: &AccuracyReport, area: &Area<'_>) -> Drawn {
    if report.circuits.len() < 2 {
        return Ok(());
    }
    for (index, circuit) in report.circuits.iter().enumerate() {
        let y = 16 + 18 * index as i32;
        let right = WIDTH as i32 - 24;
        area.draw(&Rectangle::new([(right - 10, y), (right, y + 10)], SERIES[index % 2].filled()))?;
        let style =
            ("sans-serif", 12).into_font().color(&INK).pos(Pos::new(HPos::Right, VPos::Top));
        area.draw(&Text::new(circuit.label.clone(), (right - 16, y), style))?;
    }
    Ok(())
}

fn histogram(report: &AccuracyReport, area: &Area<'_>) -> Drawn {
    let errors: Vec<_> = report.circuits.iter().map(|c| absolute_errors(report, c)).collect();
    let (_, high) = extent(errors.iter().flatten().copied().chain([0.0]));
    let high = if high > 0.0 { high } else { 1e-6 };
    let counts: Vec<Vec<usize>> = errors
        .iter()
        .map(|errors| {
            let mut bins = vec![0; BINS];
            for error in errors {
                bins[((error / high * BINS as f64) as usize).min(BINS - 1)] += 1;
            }
            bins
        })
        .collect();
    let tallest = counts.iter().flatten().copied().max().unwrap_or(1).max(1) as f64;
    let mut chart =
        chart(area, 0.0..high * 1.02, 0.0..tallest * 1.08, "absolute error", "output values")?;
    for (index, bins) in counts.iter().enumerate() {
        let width = high / BINS as f64;
        chart.draw_series(bins.iter().enumerate().filter(|(_, count)| **count > 0).map(
            |(bin, count)| {
                let left = bin as f64 * width;
                let corners = [(left, 0.0), (left + width, *count as f64)];
                Rectangle::new(corners, SERIES[index % 2].mix(0.6).filled())
            },
        ))?;
    }
    legend(report, area)
}

fn scatter(report: &AccuracyReport, area: &Area<'_>) -> Drawn {
    let series: Vec<Vec<(f64, f64)>> = report
        .circuits
        .iter()
        .map(|circuit| {
            let all: Vec<_> =
                pairs(report, circuit).map(|(float, found)| (float, found - float)).collect();
            let every = all.len().div_ceil(MAX_POINTS).max(1);
            all.into_iter().step_by(every).collect()
        })
        .collect();
    let (left, right) = extent(series.iter().flatten().map(|(x, _)| *x));
    let (low, high) = extent(series.iter().flatten().map(|(_, y)| *y).chain([0.0]));
    let (x, y) = (padded(left, right), padded(low, high));
    let mut chart = chart(area, x, y, "float model's output", "circuit − float")?;
    for (index, points) in series.iter().enumerate() {
        chart.draw_series(
            points.iter().map(|point| Circle::new(*point, 2, SERIES[index % 2].mix(0.5).filled())),
        )?;
    }
    legend(report, area)
}

fn boxes(report: &AccuracyReport, area: &Area<'_>) -> Drawn {
    let columns: Vec<(String, Vec<Option<Summary>>)> = report
        .float
        .outputs
        .iter()
        .enumerate()
        .flat_map(|(number, info)| {
            let elements = report.circuits.iter().filter_map(|circuit| circuit.outputs.get(number));
            let count = elements.map(|output| output.elements.len()).max().unwrap_or(0);
            (0..count).map(move |element| {
                let name = if count == 1 {
                    info.name.clone()
                } else {
                    format!("{}[{element}]", info.name)
                };
                let summaries = report
                    .circuits
                    .iter()
                    .map(|c| c.outputs.get(number).and_then(|o| o.elements.get(element).copied()))
                    .collect();
                (name, summaries)
            })
        })
        .collect();
    let (_, high) = extent(columns.iter().flat_map(|c| c.1.iter().flatten()).map(|s| s.max));
    let high = if high > 0.0 { high } else { 1e-6 };
    let mut chart = ChartBuilder::on(area)
        .margin(14)
        .x_label_area_size(46)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..columns.len().max(1) as f64, 0.0..high * 1.05)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(MUTED)
        .label_style(("sans-serif", 12).into_font().color(&MUTED))
        .axis_desc_style(("sans-serif", 13).into_font().color(&INK))
        .y_desc("absolute error")
        .y_labels(6)
        .y_label_formatter(&tick)
        .x_labels(0)
        .draw()?;
    let circuits = report.circuits.len().max(1) as f64;
    let named = columns.len().div_ceil(8).max(1);
    for (column, (name, summaries)) in columns.iter().enumerate() {
        for (index, summary) in summaries.iter().enumerate() {
            let Some(s) = summary else { continue };
            let colour = SERIES[index % 2];
            let half = 0.32 / circuits;
            let x = column as f64 + 0.5 + (index as f64 - (circuits - 1.0) / 2.0) * 2.2 * half;
            chart.draw_series([
                PathElement::new(vec![(x, s.min), (x, s.q1)], colour),
                PathElement::new(vec![(x, s.q3), (x, s.max)], colour),
                PathElement::new(vec![(x - half / 2.0, s.min), (x + half / 2.0, s.min)], colour),
                PathElement::new(vec![(x - half / 2.0, s.max), (x + half / 2.0, s.max)], colour),
            ])?;
            let corners = [(x - half, s.q1), (x + half, s.q3)];
            chart.draw_series([Rectangle::new(corners, colour.mix(0.35).filled())])?;
            chart.draw_series([Rectangle::new(corners, colour)])?;
            let middle = vec![(x - half, s.median), (x + half, s.median)];
            chart.draw_series([PathElement::new(middle, colour.stroke_width(2))])?;
        }
        if column % named == 0 {
            let (x, y) = chart.backend_coord(&(column as f64 + 0.5, 0.0));
            let style =
                ("sans-serif", 12).into_font().color(&MUTED).pos(Pos::new(HPos::Center, VPos::Top));
            area.draw(&Text::new(name.clone(), (x, y + 8), style))?;
        }
    }
    legend(report, area)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_plots_in_colours_that_have_a_dark_form() {
        let report = super::super::report::tests::sample();
        let plots = plots(&report).expect("drawn");
        assert_eq!(plots.len(), 3);
        for plot in &plots {
            assert!(plot.svg.starts_with("<svg") && plot.svg.trim_end().ends_with("</svg>"));
            let colours = plot.svg.match_indices("=\"#").map(|(at, _)| &plot.svg[at + 2..at + 9]);
            for colour in colours {
                assert!(COLOURS.iter().any(|(light, _)| *light == colour), "{colour}");
            }
            assert!(plot.svg.contains(">tuned<") || plot.svg.contains("tuned\n"), "the legend");
        }
        assert!(plots[2].svg.contains("logits[1]"));
    }

    #[test]
    fn an_exact_circuit_and_an_empty_one_can_be_drawn() {
        let mut report = super::super::report::tests::sample();
        for circuit in &mut report.circuits {
            circuit.values = report.float.values.iter().cloned().map(Some).collect();
        }
        plots(&report).expect("exact");
        for circuit in &mut report.circuits {
            circuit.values = vec![None; 4];
            circuit.outputs.iter_mut().for_each(|output| output.elements.clear());
        }
        plots(&report).expect("empty");
    }
}
