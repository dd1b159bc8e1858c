//! `gatepost test`: evaluates every row of the matrix on its representative requests, and prints the matrix as its reviewer
//! reads it. Exit 0 if every row holds, 1 if one does not, if no request matches it or if coverage is too low, 2 if there is no
//! matrix.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::Format;
use super::config::Settings;
use super::coverage::{CoverageArguments, Report};
use super::output::{self, Failure, counted};
use super::watch::{Found, Output, WatchArguments};
use crate::engine::Snapshot;
use crate::http::body;
use crate::matrix::{self, Coverage, Example, RowResult};
use crate::report::{self, Finding, Mark};
use crate::request::words::in_words;
use crate::store::Statement;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    coverage: CoverageArguments,
    #[command(flatten)]
    watch: WatchArguments,
    /// How to write what was found
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(settings: &Settings, arguments: &Arguments) -> Result<ExitCode, Failure> {
    arguments.watch.run(settings, &[], arguments.format, || test(settings, arguments))
}

fn test(settings: &Settings, arguments: &Arguments) -> Result<Found, Failure> {
    let snapshot = settings.snapshot()?;
    if snapshot.store.rows.is_empty() {
        return Err(Failure::new(format!("{} has no matrix", snapshot.store.origin))
            .with_help("write what must hold into matrix/*.cedar, row by row"));
    }
    let (results, coverage) = exercise(&snapshot, arguments.coverage.wanted());
    let coverage = coverage.map(|coverage| arguments.coverage.report(&snapshot.store, coverage)).transpose()?;
    let output = match arguments.format {
        Format::Json => Output::Json(as_json(&snapshot, &results, coverage.as_ref())),
        Format::Text => {
            let coverage = coverage.as_ref().map(Report::as_text).unwrap_or_default();
            Output::Text(format!("{}{coverage}", as_text(&snapshot, &results)))
        }
    };
    let holds = results.iter().all(RowResult::holds) && coverage.is_none_or(|coverage| coverage.is_enough());
    Ok(Found { output, status: u8::from(!holds) })
}

/// Exercises the rows; shows how far it is where a terminal watches.
fn exercise(snapshot: &Snapshot, covering: bool) -> (Vec<RowResult>, Option<Coverage>) {
    let bar = output::progress("testing the rows {wide_bar} {pos}/{len}");
    let progress = |done, total| output::advance(&bar, done, total);
    let found = if covering {
        let (results, coverage) = matrix::exercise_with_coverage(snapshot, &progress);
        (results, Some(coverage))
    } else {
        (matrix::exercise(snapshot, &progress), None)
    };
    bar.finish_and_clear();
    found
}

fn as_text(snapshot: &Snapshot, results: &[RowResult]) -> String {
    let rows = &snapshot.store.rows;
    let findings: Vec<Finding> = results.iter().map(Finding::from).collect();
    let tables = report::text(&report::tables(rows, &findings), output::width());
    let mut text = format!("{tables}\n\n");
    for (row, result) in rows.iter().zip(results) {
        text.push_str(&trouble(snapshot, row, result));
    }
    let requests = results.iter().map(|result| result.requests).sum();
    let failed = results.iter().filter(|result| !result.holds()).count();
    let verdict = match failed {
        0 => "every one of them holds".to_owned(),
        failed => format!("{failed} of them do not hold"),
    };
    text.push_str(
        "✓ decided as the row says, on so many representative requests   ✗ decided otherwise   ∅ no request matches\n",
    );
    if results.iter().any(|result| result.sampled) {
        text.push_str("+ there are more representative requests than were tried\n");
    }
    let requests = report::grouped(requests);
    text.push_str(&format!("{}, {requests} requests: {verdict}\n", counted(rows.len(), "row")));
    text
}

/// What is wrong with a row, ready to be looked at; nothing where it holds.
fn trouble(snapshot: &Snapshot, row: &Statement, result: &RowResult) -> String {
    let name = row.described();
    match (Finding::from(result).mark, &result.counterexample) {
        (Mark::Holds | Mark::Undecided, _) => String::new(),
        (Mark::Unmatched, _) => {
            format!("∅ {name}\n  no representative request matches this row, so it says nothing\n\n")
        }
        (Mark::Fails, None) => format!("✗ {name}\n\n"),
        (Mark::Fails, Some(example)) => {
            let (must, was) = if row.permits() { ("allowed", "denied") } else { ("denied", "allowed") };
            let (failures, requests) = (report::grouped(result.failures), report::grouped(result.requests));
            let shown = request(snapshot, example);
            format!(
                "✗ {name}\n  {failures} of {requests} requests that must be {must} are {was}; the smallest is {was} {}:\n  {}\n  as JSON, for `gatepost decide --facts`:\n{shown:#}\n\n",
                report::decided_by(&example.decision),
                in_words(&shown)
            )
        }
    }
}

fn request(snapshot: &Snapshot, example: &Example) -> serde_json::Value {
    body::of_case(&example.case, &snapshot.store.types)
}

fn as_json(snapshot: &Snapshot, results: &[RowResult], coverage: Option<&Report<'_>>) -> serde_json::Value {
    let rows = snapshot.store.rows.iter().zip(results).map(|(row, result)| {
        let mut members = output::row_as_json(row);
        let found = [
            ("holds", json!(result.holds())),
            ("requests", json!(result.requests)),
            ("failures", json!(result.failures)),
            ("sampled", json!(result.sampled)),
            ("counterexample", json!(result.counterexample.as_ref().map(|example| request(snapshot, example)))),
        ];
        members.extend(found.map(|(name, value)| (name.to_owned(), value)));
        members
    });
    json!({
        "revision": snapshot.revision().as_str(),
        "holds": results.iter().all(RowResult::holds),
        "rows": rows.collect::<Vec<_>>(),
        "coverage": coverage.map(Report::as_json),
    })
}
