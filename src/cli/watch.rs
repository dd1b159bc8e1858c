//! `--watch`: runs a command again at each save, so that an author sees red or green at once.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::SystemTime;

use clap::Args;
use serde_json::{Value as Json, json};

use super::Format;
use super::config::Settings;
use super::output::{self, Failure};
use crate::live::Watcher;
use crate::log::rfc3339;
use crate::store::Origin;

#[derive(Clone, Copy, Debug, Args)]
pub(super) struct WatchArguments {
    /// Run again at each save, until Ctrl-C, which ends with the exit status of the last run
    #[arg(long)]
    watch: bool,
}

/// What a command found.
pub(super) struct Found {
    /// What it prints.
    pub(super) output: Output,
    /// Its exit status.
    pub(super) status: u8,
}

/// What a command prints.
pub(super) enum Output {
    /// For a person.
    Text(String),
    /// For a program.
    Json(Json),
}

impl Found {
    fn print(&self) -> Result<(), Failure> {
        match &self.output {
            Output::Text(text) => output::print(text),
            Output::Json(json) => output::print_json(json),
        }
    }
}

/// The exit status of what could not be checked.
const NOT_CHECKED: u8 = 2;

impl WatchArguments {
    /// Runs a command, and prints what it finds: once, or again at each save of the store or of `further` files.
    pub(super) fn run(
        self,
        settings: &Settings,
        further: &[PathBuf],
        format: Format,
        find: impl Fn() -> Result<Found, Failure>,
    ) -> Result<ExitCode, Failure> {
        if self.watch {
            return watch(settings, further, format, find);
        }
        let found = find()?;
        found.print()?;
        Ok(ExitCode::from(found.status))
    }
}

fn watch(
    settings: &Settings,
    further: &[PathBuf],
    format: Format,
    find: impl Fn() -> Result<Found, Failure>,
) -> Result<ExitCode, Failure> {
    let mut source = settings.source()?;
    if source.origin == Origin::BuiltIn {
        return Err(Failure::new("the store that is compiled in does not change")
            .with_help("`--store DIR` names a store that can be watched"));
    }
    source.entities.extend_from_slice(further);
    let last = Arc::new(AtomicU8::new(NOT_CHECKED));
    end_with(Arc::clone(&last))?;
    let mut watcher = Watcher::new(&source);
    loop {
        // Who has read what was found may end it at once.
        let keep = |status| last.store(status, Ordering::SeqCst);
        match format {
            Format::Text => show(&find, &source.origin, keep)?,
            Format::Json => write_line(&find, keep)?,
        }
        watcher.wait();
    }
}

/// Ends the process with the status of the last run when it is told to from the keyboard.
fn end_with(last: Arc<AtomicU8>) -> Result<(), Failure> {
    let failed = |error| Failure::new(format!("it cannot be listened for Ctrl-C: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let wait = move || {
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            std::process::exit(last.load(Ordering::SeqCst).into());
        }
    };
    std::thread::Builder::new().name("keyboard".to_owned()).spawn(wait).map(drop).map_err(failed)
}

/// Shows what is found to a person: when, what, and in the last line, red or green at a glance.
fn show(find: impl Fn() -> Result<Found, Failure>, origin: &Origin, keep: impl FnOnce(u8)) -> Result<(), Failure> {
    if std::io::stdout().is_terminal() {
        output::print(CLEAR)?;
    }
    output::print(&format!("{origin}, {}\n\n", now()))?;
    let status = match find() {
        Ok(found) => {
            found.print()?;
            found.status
        }
        Err(failure) => {
            failure.print();
            NOT_CHECKED
        }
    };
    keep(status);
    output::print(match status {
        0 => "\x1b[32m✓ all is well\x1b[0m; Ctrl-C ends\n",
        NOT_CHECKED => "\x1b[31m✗ not all could be checked\x1b[0m; Ctrl-C ends\n",
        _ => "\x1b[31m✗ not all is well\x1b[0m; Ctrl-C ends\n",
    })
}

/// Clears a terminal: what is seen, what is above it, and from its first line.
const CLEAR: &str = "\x1b[2J\x1b[3J\x1b[H";

fn now() -> String {
    format!("{} UTC", rfc3339(SystemTime::now()).get(11..19).unwrap_or_default())
}

/// Writes what is found for a program: one document in one line.
fn write_line(find: impl Fn() -> Result<Found, Failure>, keep: impl FnOnce(u8)) -> Result<(), Failure> {
    let (line, status) = match find() {
        Ok(Found { output: Output::Json(json), status }) => (json.to_string(), status),
        Ok(Found { output: Output::Text(text), status }) => (text, status),
        Err(failure) => (json!({ "problems": failure.problems_as_json() }).to_string(), NOT_CHECKED),
    };
    keep(status);
    output::print(&format!("{line}\n"))
}
