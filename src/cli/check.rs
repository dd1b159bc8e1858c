//! `gatepost check`: everything that is wrong with a store, at once. Exit 0 without errors, 1 with errors (or, with
//! `--deny-warnings`, with warnings).

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::config::Settings;
use super::output::{self, Failure, counted};
use super::{Format, holds};
use crate::engine::Snapshot;
use crate::store::{Problem, Severity, StoreError};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Take warnings for errors
    #[arg(long)]
    deny_warnings: bool,
    /// How to write what was found
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(settings: &Settings, arguments: &Arguments) -> Result<ExitCode, Failure> {
    if let Some(store) = settings.store.as_deref().filter(|store| !store.is_dir()) {
        return Err(Failure::new(format!("there is no folder `{}`", store.display()))
            .with_help("`gatepost init DIR` makes a new store"));
    }
    let loaded = Snapshot::load(settings.origin());
    let (problems, snapshot) = match &loaded {
        Ok(snapshot) => (&snapshot.store.warnings, Some(snapshot)),
        Err(StoreError(problems)) => (problems, None),
    };
    match arguments.format {
        Format::Json => output::print_json(&as_json(problems, snapshot))?,
        Format::Text => output::print(&as_text(problems, snapshot))?,
    }
    Ok(holds(snapshot.is_some() && (problems.is_empty() || !arguments.deny_warnings)))
}

fn as_text(problems: &[Problem], snapshot: Option<&Snapshot>) -> String {
    let shown = output::all_rendered(problems);
    let counts = [Severity::Error, Severity::Warning].map(|severity| output::count(problems, severity)).join(", ");
    let Some(snapshot) = snapshot else { return format!("{shown}{counts}\n") };
    let store = &snapshot.store;
    let clauses = store.clauses.as_ref().map_or(0, |clauses| clauses.clauses.len());
    let parts = [
        counted(store.policies.len(), "policy"),
        counted(store.rows.len(), "row"),
        counted(clauses, "clause"),
        counted(snapshot.entities.len(), "stored entity"),
    ];
    format!("{shown}{}: {counts}; {}\nrevision {}\n", store.origin, parts.join(", "), store.revision)
}

fn as_json(problems: &[Problem], snapshot: Option<&Snapshot>) -> serde_json::Value {
    let count = |severity| problems.iter().filter(|problem| problem.severity == severity).count();
    json!({
        "errors": count(Severity::Error),
        "warnings": count(Severity::Warning),
        "revision": snapshot.map(|snapshot| snapshot.revision().as_str()),
        "problems": problems.iter().map(problem).collect::<Vec<_>>(),
    })
}

fn problem(problem: &Problem) -> serde_json::Value {
    let labels = problem
        .labels
        .iter()
        .map(|label| json!({ "offset": label.offset(), "length": label.len(), "text": label.label() }));
    json!({
        "severity": problem.severity.word(),
        "message": problem.message,
        "file": problem.file.as_ref().map(|file| &*file.path),
        "line": problem.position().map(|(line, _)| line),
        "column": problem.position().map(|(_, column)| column),
        "labels": labels.collect::<Vec<_>>(),
        "help": problem.help,
    })
}
