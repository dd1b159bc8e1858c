//! `gatepost check`: everything that is wrong with a store, at once, and with a solver what does nothing in it. Exit 0 without
//! errors, 1 with errors (or, with `--deny-warnings`, with warnings).

mod fix;

use std::process::ExitCode;

use clap::Args;
use fix::Renamed;
use serde_json::json;

use super::Format;
use super::config::Settings;
use super::output::{self, Failure, counted};
use super::prove::SolverArguments;
use super::watch::{Found, Output, WatchArguments};
use crate::engine::Snapshot;
use crate::matrix::sight;
use crate::prove;
use crate::prove::idle::Idle;
use crate::store::{Problem, Severity, StoreError};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Take warnings for errors
    #[arg(long)]
    deny_warnings: bool,
    /// First rename annotations that are not known, and like none that is, to `@x_…`
    #[arg(long, conflicts_with = "watch")]
    fix: bool,
    #[command(flatten)]
    solver: SolverArguments,
    #[command(flatten)]
    watch: WatchArguments,
    /// How to write what was found
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(settings: &Settings, arguments: &Arguments) -> Result<ExitCode, Failure> {
    arguments.watch.run(settings, &[], arguments.format, || check(settings, arguments))
}

fn check(settings: &Settings, arguments: &Arguments) -> Result<Found, Failure> {
    if let Some(store) = settings.store.as_deref().filter(|store| !store.is_dir()) {
        return Err(Failure::new(format!("there is no folder `{}`", store.display()))
            .with_help("`gatepost init DIR` makes a new store"));
    }
    let renamed = if arguments.fix { fix::rename(settings)? } else { Vec::new() };
    let (mut problems, snapshot) = match Snapshot::load_from(&settings.source()?) {
        Ok(snapshot) => (snapshot.store.warnings.clone(), Some(snapshot)),
        Err(StoreError(problems)) => (problems, None),
    };
    let mut not_decided = Vec::new();
    if let Some(snapshot) = &snapshot {
        problems.extend(snapshot.entities.warnings(&snapshot.store.types));
        problems.extend(sight::masked(&snapshot.store));
        let idle = idle(snapshot, arguments)?;
        problems.extend(idle.problems);
        not_decided = idle.undecided;
    }
    let output = match arguments.format {
        Format::Json => Output::Json(as_json(&problems, &not_decided, &renamed, snapshot.as_ref())),
        Format::Text => {
            let renamed: String = renamed.iter().map(Renamed::in_words).collect();
            Output::Text(renamed + &as_text(&problems, &not_decided, snapshot.as_ref()))
        }
    };
    let holds = snapshot.is_some() && (problems.is_empty() || !arguments.deny_warnings);
    Ok(Found { output, status: u8::from(!holds) })
}

/// What does nothing in the store, as far as there is a solver to say so.
fn idle(snapshot: &Snapshot, arguments: &Arguments) -> Result<Idle, Failure> {
    let solver = match arguments.solver.find() {
        Ok(solver) => solver,
        Err(failure) => {
            let why = format!("whether every policy and condition can make a difference: {failure}");
            return Ok(Idle { undecided: vec![why], ..Idle::default() });
        }
    };
    let bar = output::progress("checking {wide_bar} {pos}/{len}");
    let idle = prove::idle::idle(snapshot, &solver, &|done, total| output::advance(&bar, done, total));
    bar.finish_and_clear();
    idle.map_err(|error| Failure::new(format!("the solver cannot be asked: {error}")))
}

fn as_text(problems: &[Problem], not_decided: &[String], snapshot: Option<&Snapshot>) -> String {
    let mut shown = output::all_rendered(problems);
    shown.extend(not_decided.iter().map(|what| format!("not checked: {what}\n")));
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

fn as_json(
    problems: &[Problem],
    not_decided: &[String],
    renamed: &[Renamed],
    snapshot: Option<&Snapshot>,
) -> serde_json::Value {
    let count = |severity| problems.iter().filter(|problem| problem.severity == severity).count();
    json!({
        "errors": count(Severity::Error),
        "warnings": count(Severity::Warning),
        "revision": snapshot.map(|snapshot| snapshot.revision().as_str()),
        "problems": problems.iter().map(Problem::as_json).collect::<Vec<_>>(),
        "notChecked": not_decided,
        "renamed": renamed.iter().map(Renamed::as_json).collect::<Vec<_>>(),
    })
}
