//! `gatepost test`: evaluates every row of the matrix on its representative requests, and prints the matrix as its reviewer
//! reads it. Exit 0 if every row holds, 1 if one does not, if no request matches it or if coverage is too low, 2 if it is not known
//! whether a request matches a row, or if there is no matrix.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::Format;
use super::config::Settings;
use super::coverage::{CoverageArguments, Report};
use super::output::{self, Failure, counted};
use super::prove::SolverArguments;
use super::watch::{Found, Output, WatchArguments};
use crate::engine::Snapshot;
use crate::http::body;
use crate::matrix::{self, Coverage, Example, RowResult};
use crate::prove::{RowRequests, requests_of};
use crate::report::{self, Finding, Mark};
use crate::request::words::in_words;
use crate::store::Statement;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    coverage: CoverageArguments,
    #[command(flatten)]
    solver: SolverArguments,
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
    let (mut results, coverage) = exercise(&snapshot, arguments.coverage.wanted());
    let unsettled = settle(&snapshot, &mut results, &arguments.solver)?;
    let coverage = coverage.map(|coverage| arguments.coverage.report(&snapshot.store, coverage)).transpose()?;
    let output = match arguments.format {
        Format::Json => Output::Json(as_json(&snapshot, &results, &unsettled, coverage.as_ref())),
        Format::Text => {
            let coverage = coverage.as_ref().map(Report::as_text).unwrap_or_default();
            Output::Text(format!("{}{coverage}", as_text(&snapshot, &results, &unsettled)))
        }
    };
    let is_enough = coverage.is_none_or(|coverage| coverage.is_enough());
    let marks: Vec<Mark> = results.iter().map(|result| Finding::from(result).mark).collect();
    let status = match marks.iter().max() {
        Some(Mark::Fails | Mark::Unmatched) => 1,
        _ if !is_enough => 1,
        Some(Mark::Undecided) => 2,
        Some(Mark::Holds) | None => 0,
    };
    Ok(Found { output, status })
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

/// Asks a solver, if there is one, for requests of the rows whose representative requests do not show all; why that could not be found
/// out, once for each reason.
fn settle(
    snapshot: &Snapshot,
    results: &mut [RowResult],
    solver: &SolverArguments,
) -> Result<BTreeSet<String>, Failure> {
    let open: BTreeSet<usize> =
        results.iter().enumerate().filter(|(_, result)| !result.is_exhaustive()).map(|(row, _)| row).collect();
    if open.is_empty() {
        return Ok(BTreeSet::new());
    }
    let solver = match solver.try_find() {
        Ok(solver) => solver,
        Err(error) => return Ok(BTreeSet::from([error.to_string()])),
    };
    let bar = output::progress("asking the solver {wide_bar} {pos}/{len}");
    let found = requests_of(snapshot, &open, &solver, &|done, total| output::advance(&bar, done, total))
        .map_err(|error| Failure::new(format!("the solver cannot be asked: {error}")))?;
    bar.finish_and_clear();
    let mut unsettled: BTreeMap<usize, String> = BTreeMap::new();
    for RowRequests { row, cases } in found {
        let (Some(statement), Some(result)) = (snapshot.store.rows.get(row), results.get_mut(row)) else {
            return Err(Failure::new("the solver was asked about a row that there is not"));
        };
        match cases {
            Ok(cases) => cases.into_iter().for_each(|case| result.try_on(snapshot, statement, case)),
            Err(why) => drop(unsettled.insert(row, why)),
        }
    }
    for row in open.iter().filter(|row| !unsettled.contains_key(row)) {
        results.get_mut(*row).into_iter().for_each(|result| result.settled = true);
    }
    Ok(unsettled.into_values().collect())
}

fn as_text(snapshot: &Snapshot, results: &[RowResult], unsettled: &BTreeSet<String>) -> String {
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
    if findings.iter().any(|finding| finding.more) {
        text.push_str(
            "+ other requests may be decided otherwise: `gatepost prove` asks for all of them   ? none was found that matches\n",
        );
    }
    text.push_str(&open(rows, results));
    unsettled.iter().for_each(|why| text.push_str(&format!("  no solver settled this: {why}\n")));
    let settled = results.iter().filter(|result| result.settled).count();
    if settled > 0 {
        let rows = counted(settled, "row");
        text.push_str(&format!("{rows} tried on what a solver found beyond the representative requests\n"));
    }
    let requests = report::grouped(requests);
    text.push_str(&format!("{}, {requests} requests: {verdict}\n", counted(rows.len(), "row")));
    text
}

/// Why other requests may be decided otherwise: the comparisons that the representative ones do not exhaust, and for how many rows each
/// matters.
fn open(rows: &[Statement], results: &[RowResult]) -> String {
    let mut text = String::new();
    let unsettled = || results.iter().filter(|result| !result.is_exhaustive());
    let sampled = unsettled().filter(|result| result.sampled).count();
    if sampled > 0 {
        let rows = counted(sampled, "row");
        text.push_str(&format!("  {rows}: there are more representative requests than were tried\n"));
    }
    let mut open: BTreeMap<&matrix::OpenComparison, usize> = BTreeMap::new();
    unsettled().flat_map(|result| &result.open).for_each(|found| *open.entry(found).or_default() += 1);
    for (matrix::OpenComparison { statement, text: written }, count) in open {
        let place = match rows.iter().find(|row| row.id == *statement) {
            Some(row) => format!("the row {}", row.described()),
            None => format!("`{}`", report::visible(statement)),
        };
        let written = report::line(written);
        text.push_str(&format!("  {}: not exhausted: `{written}` in {place}\n", counted(count, "row")));
    }
    text
}

/// What is wrong with a row, ready to be looked at; nothing where it holds.
fn trouble(snapshot: &Snapshot, row: &Statement, result: &RowResult) -> String {
    let name = row.described();
    let sign = Finding::from(result).mark.sign();
    let mut why = String::new();
    if result.failures > 0 {
        let (must, was) = if row.permits() { ("allowed", "denied") } else { ("denied", "allowed") };
        let (failures, requests) = (report::grouped(result.failures), report::grouped(result.requests));
        why.push_str(&format!("  {failures} of {requests} requests that must be {must} are {was}"));
        if let Some(example) = &result.counterexample {
            let by = report::decided_by(&example.decision);
            why.push_str(&format!("; the smallest is {was} {by}:\n{}", shown(snapshot, example)));
        }
        why.push('\n');
    }
    if let Some(example) = &result.unevaluable {
        let unevaluated = report::grouped(result.unevaluated);
        why.push_str(&format!(
            "  the row cannot be evaluated on {unevaluated} representative requests, and so says nothing about them; the first:\n{}\n",
            shown(snapshot, example)
        ));
    }
    if why.is_empty() && result.requests == 0 {
        let but = if result.is_exhaustive() { ", so it says nothing" } else { "; there may be others: see below" };
        why = format!("  no representative request matches this row{but}\n");
    }
    if why.is_empty() { why } else { format!("{sign} {name}\n{why}\n") }
}

/// A request in words, and as JSON that can be pasted.
fn shown(snapshot: &Snapshot, example: &Example) -> String {
    let request = request(snapshot, example);
    format!("  {}\n  as JSON, for `gatepost decide --facts`:\n{request:#}", in_words(&request))
}

fn request(snapshot: &Snapshot, example: &Example) -> serde_json::Value {
    body::of_case(&example.case, &snapshot.store.types)
}

fn as_json(
    snapshot: &Snapshot,
    results: &[RowResult],
    unsettled: &BTreeSet<String>,
    coverage: Option<&Report<'_>>,
) -> serde_json::Value {
    let open = |found: &matrix::OpenComparison| json!({ "statement": found.statement, "comparison": found.text });
    let rows = snapshot.store.rows.iter().zip(results).map(|(row, result)| {
        let mut members = output::row_as_json(row);
        let found = [
            ("holds", json!(result.holds())),
            ("requests", json!(result.requests)),
            ("failures", json!(result.failures)),
            ("unevaluated", json!(result.unevaluated)),
            ("sampled", json!(result.sampled)),
            ("settled", json!(result.settled)),
            ("open", result.open.iter().map(open).collect()),
            ("counterexample", json!(result.counterexample.as_ref().map(|example| request(snapshot, example)))),
        ];
        members.extend(found.map(|(name, value)| (name.to_owned(), value)));
        members
    });
    json!({
        "revision": snapshot.revision().as_str(),
        "holds": results.iter().all(RowResult::holds),
        "rows": rows.collect::<Vec<_>>(),
        "unsettled": unsettled,
        "coverage": coverage.map(Report::as_json),
    })
}
