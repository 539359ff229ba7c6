//! The one place that writes to the terminal: results to stdout, everything else to stderr.

use super::exit;
use eyre::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fmt::Display,
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    project::{Event, Observer},
    tune::machine::{Expected, Work},
};

/// The version of the JSON envelope.
pub const ENVELOPE_VERSION: u32 = 1;

/// When to colour what goes to stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// Where stderr is a terminal and NO_COLOR is unset.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Whether stderr is coloured.
    pub fn on(self) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                io::stderr().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        }
    }
}

/// Prints a command's result, its warnings and its progress.
#[derive(Clone, Debug)]
pub struct Ui {
    json: bool,
    quiet: bool,
    bars: MultiProgress,
    warnings: Arc<Mutex<Vec<String>>>,
}

impl Ui {
    /// With `json` the result is one JSON document; with `quiet` nothing but the result is shown.
    pub fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet, bars: MultiProgress::new(), warnings: Arc::default() }
    }

    /// Whether the result is a JSON document.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints the result: `data` in the envelope under `--json`, else `text`.
    pub fn result(&self, text: impl Display, data: &impl Serialize) -> Result<()> {
        self.finish_bars();
        if self.json {
            let data = serde_json::to_value(data)?;
            return self.envelope(true, data, Vec::new());
        }
        print_stdout(format_args!("{text}\n"))
    }

    /// Prints the result of a check that failed, or of what was interrupted, and why.
    pub fn failed_result(
        &self,
        text: impl Display,
        data: &impl Serialize,
        code: exit::Code,
        message: &str,
    ) -> Result<()> {
        self.finish_bars();
        if self.json {
            let error = json!({ "code": code.name(), "exit_code": code as u8, "message": message });
            return self.envelope(false, serde_json::to_value(data)?, vec![error]);
        }
        print_stdout(format_args!("{text}\n"))?;
        self.line(&format!("error: {message}"));
        Ok(())
    }

    /// Prints an error: as an envelope on stdout under `--json`, else on stderr.
    pub fn error(&self, report: &eyre::Report, code: exit::Code) -> Result<()> {
        self.finish_bars();
        if self.json {
            let error = json!({
                "code": code.name(),
                "exit_code": code as u8,
                "message": chain(report),
            });
            return self.envelope(false, Value::Null, vec![error]);
        }
        self.line(&format!("error: {}", chain(report)));
        Ok(())
    }

    /// Prints an early-stopped JSON result that is a success with findings, such as a failed check.
    fn envelope(&self, success: bool, data: Value, errors: Vec<Value>) -> Result<()> {
        let warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let document = json!({
            "schema_version": ENVELOPE_VERSION,
            "success": success,
            "data": data,
            "errors": errors,
            "warnings": warnings,
        });
        print_stdout(format_args!("{}\n", serde_json::to_string_pretty(&document)?))
    }

    /// One of many events, each as it happens: a line, of JSON under `--json`.
    pub fn event(&self, text: impl Display, data: &impl Serialize) -> Result<()> {
        self.finish_bars();
        match self.json {
            true => print_stdout(format_args!("{}\n", serde_json::to_string(data)?)),
            false => print_stdout(format_args!("{text}\n")),
        }
    }

    /// A warning: on stderr, and in the envelope.
    pub fn warn(&self, text: impl Display) {
        let text = text.to_string();
        self.line(&format!("warning: {text}"));
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    /// A line of progress on stderr, unless quiet.
    pub fn note(&self, text: impl Display) {
        if !self.quiet {
            self.line(&text.to_string());
        }
    }

    /// What a step is expected to take of this machine.
    pub fn expected(&self, work: Work, expected: &Expected) {
        self.note(format_args!("{:<14} is expected to take {expected}", work.to_string()));
    }

    fn line(&self, text: &str) {
        // Suspending keeps the bars from being torn; a closed stderr is nobody's loss.
        self.bars.suspend(|| {
            let _ = writeln!(io::stderr(), "{text}");
        });
    }

    fn finish_bars(&self) {
        let _ = self.bars.clear();
    }

    /// A spinner with a message and the elapsed time; nothing where stderr is no terminal.
    pub fn spinner(&self, message: impl Into<String>) -> ProgressBar {
        if self.quiet || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = self.bars.add(ProgressBar::new_spinner());
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {prefix:<14} {wide_msg} {elapsed}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(message.into());
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }

    /// An observer that shows a build's steps: bars on a terminal, a line per step elsewhere.
    pub fn observer(&self) -> Observer {
        let ui = self.clone();
        let running: Mutex<BTreeMap<&'static str, (ProgressBar, Instant)>> = Mutex::default();
        Arc::new(move |event| {
            let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
            match event {
                Event::Waiting { path } => {
                    ui.note(format_args!(
                        "waiting for another build, which holds {}",
                        path.display()
                    ));
                }
                Event::Skipped { step } => ui.note(format_args!("{step:<14} unchanged")),
                Event::Started { step, reason } => {
                    let bar = ui.spinner(step);
                    bar.set_message(reason.clone());
                    if bar.is_hidden() {
                        ui.note(format_args!("{step:<14} running ({reason})"));
                    }
                    running.insert(step, (bar, Instant::now()));
                }
                Event::Phase { message } => {
                    for (bar, _) in running.values() {
                        bar.set_message(message.clone());
                    }
                }
                Event::Expected { work, expected } => ui.expected(work, &expected),
                Event::Finished { step, elapsed } => {
                    if let Some((bar, _)) = running.remove(step) {
                        bar.finish_and_clear();
                    }
                    ui.note(format_args!("{step:<14} done in {:.1} s", elapsed.as_secs_f64()));
                }
                Event::Failed { step } => {
                    if let Some((bar, _)) = running.remove(step) {
                        bar.finish_and_clear();
                    }
                    ui.note(format_args!("{step:<14} failed"));
                }
            }
        })
    }

    /// Asks a yes-or-no question on the terminal; `false` where there is none.
    pub fn confirm(&self, question: &str) -> bool {
        if !io::stdin().is_terminal() {
            return false;
        }
        self.bars.suspend(|| {
            let _ = write!(io::stderr(), "{question} [y/N] ");
            let mut answer = String::new();
            io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
        })
    }
}

/// An error and its causes on one line, without the repetitions that wrapping brings about.
fn chain(report: &eyre::Report) -> String {
    let mut text = String::new();
    for cause in report.chain() {
        let cause = cause.to_string();
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(cause.trim_end());
    }
    text
}

/// Writes to stdout; a reader that has gone away (`zkvouch … | head`) is no error.
fn print_stdout(text: std::fmt::Arguments<'_>) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_fmt(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once() {
        let report =
            eyre::eyre!("disk full").wrap_err("cannot write a.json").wrap_err("build: disk full");
        assert_eq!(chain(&report), "build: disk full: cannot write a.json");
    }
}
