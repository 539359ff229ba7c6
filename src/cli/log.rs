//! What the library logs, on stderr.
//!
//! Its warnings are for the user, whatever the verbosity: they go the way of the command's own, to
//! stderr and into the JSON envelope. All else goes by `-v` and `ZKVOUCH_LOG`.

use super::output::{Color, Ui};
use std::fmt::{self, Write as _};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::filter_fn,
    layer::{Context, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

/// Crates that write whole requests, with the paths of URLs and headers, into their logs at their
/// lower levels. A key may be among them, so these levels stay off whatever is asked for.
const TALKATIVE: [&str; 7] =
    ["h2", "hyper", "hyper_util", "reqwest", "rustls", "alloy_rpc_client", "alloy_transport"];

/// Installs it for this process.
pub(super) fn init(quiet: bool, verbose: u8, color: Color, ui: Ui) {
    let default = match (quiet, verbose) {
        (true, _) => "off",
        (_, 0) => "error",
        (_, 1) => "warn,zkvouch=info",
        (_, 2) => "info,zkvouch=debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("ZKVOUCH_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let shown = filter_fn(|metadata| !is_warning(metadata) && !is_talkative(metadata));
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(color.on())
        .without_time()
        .with_filter(filter)
        .with_filter(shown);
    let warnings = Warnings { ui }.with_filter(filter_fn(is_warning));
    tracing_subscriber::registry().with(log).with(warnings).init();
}

fn is_warning(metadata: &Metadata<'_>) -> bool {
    *metadata.level() == Level::WARN && metadata.target().starts_with("zkvouch")
}

fn is_talkative(metadata: &Metadata<'_>) -> bool {
    let name = metadata.target().split("::").next().unwrap_or_default();
    TALKATIVE.contains(&name) && *metadata.level() > Level::INFO
}

struct Warnings {
    ui: Ui,
}

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        self.ui.warn(text.message + &text.fields);
    }
}

/// The message, and what stands beside it.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            "error" => write!(self.fields, ": {value:?}"),
            name => write!(self.fields, " ({name} {value:?})"),
        };
    }
}
