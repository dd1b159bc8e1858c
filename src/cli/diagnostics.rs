//! What a running service says on standard error: events, for a person or for a program.

use std::io::{IsTerminal, stderr};
use std::sync::OnceLock;

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::Format;
use crate::store::{Problem, Severity};

/// How much is said: what is of that level, or more serious.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum DiagnosticLevel {
    /// What the service cannot do
    Error,
    /// And what an operator should look at, or has changed
    #[default]
    Warn,
    /// And that it starts and stops, and whom it turns away
    Info,
    /// And each request: method, route, status, duration, id and caller
    Debug,
    /// And all that there is
    Trace,
}

impl From<DiagnosticLevel> for LevelFilter {
    fn from(level: DiagnosticLevel) -> Self {
        match level {
            DiagnosticLevel::Error => Self::ERROR,
            DiagnosticLevel::Warn => Self::WARN,
            DiagnosticLevel::Info => Self::INFO,
            DiagnosticLevel::Debug => Self::DEBUG,
            DiagnosticLevel::Trace => Self::TRACE,
        }
    }
}

/// Set once a service runs.
static FORMAT: OnceLock<Format> = OnceLock::new();

/// From now on, events and panics go to standard error.
pub(super) fn begin(format: Format, level: DiagnosticLevel) {
    if FORMAT.set(format).is_err() {
        return;
    }
    // What other crates have to say may hold what callers send.
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), LevelFilter::from(level));
    let events = fmt::layer().with_writer(stderr).with_target(false).log_internal_errors(false);
    let registry = tracing_subscriber::registry().with(ours);
    match format {
        Format::Json => {
            registry.with(events.json().flatten_event(true).with_current_span(false).with_span_list(false)).init()
        }
        Format::Text => registry.with(events.compact().with_ansi(is_coloured())).init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        // Its message may hold what a caller sent.
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "a mistake in this program (a panic)");
    }));
}

fn is_coloured() -> bool {
    stderr().is_terminal() && anstream::AutoStream::choice(&stderr()) != anstream::ColorChoice::Never
}

/// Tells the problems as events, if a service runs whose diagnostics are for a program; else leaves that to the caller.
pub(super) fn tell(problems: &[Problem]) -> bool {
    if FORMAT.get() != Some(&Format::Json) {
        return false;
    }
    for problem in problems {
        let position = problem.position();
        let (file, help) = (problem.file.as_ref().map(|file| &*file.path), problem.help.as_deref());
        let request = problem.request.as_ref().map(ToString::to_string);
        let (line, column) = (position.map(|(line, _)| line), position.map(|(_, column)| column));
        match problem.severity {
            Severity::Error => tracing::event!(Level::ERROR, file, line, column, help, request, "{problem}"),
            // That something was taken up is what an operator wants to find later.
            _ => tracing::event!(Level::WARN, file, line, column, help, request, "{problem}"),
        }
    }
    true
}
