//! `gatepost report`: the matrix as the document that a reviewer signs. Exit 0 if every row holds, 1 if one does not, 2 if that
//! could not be found out: there is no matrix, the solver left something undecided, or the document cannot be written.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};

use super::config::Settings;
use super::output::{self, Failure};
use super::prove::SolverArguments;
use crate::engine::Snapshot;
use crate::http::body;
use crate::matrix;
use crate::prove::{self, solver::Solver};
use crate::report::{Document, Findings, Proofs, Verdict};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The form of the document
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    /// The file to write it to; standard output without
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    solver: SolverArguments,
}

/// The forms of the document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For a terminal
    #[default]
    Text,
    /// To be pasted into a review
    Markdown,
    /// The rows alone, for a program or a spreadsheet
    Csv,
    /// One self-contained page, for a browser and for paper
    Html,
}

pub(super) fn run(settings: &Settings, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let date = date()?;
    let snapshot = settings.snapshot()?;
    let bar = output::progress("making the report {wide_bar} {pos}/{len}");
    let document = document(&snapshot, &arguments.solver, date, &|done, total| output::advance(&bar, done, total))?;
    bar.finish_and_clear();
    let text = match arguments.format {
        Form::Text => document.as_text(output::width()),
        Form::Markdown => document.as_markdown(),
        Form::Csv => document.as_csv(),
        Form::Html => document.as_html(),
    };
    match &arguments.output {
        None => output::print(&text)?,
        Some(path) => write(path, &text)?,
    }
    Ok(ExitCode::from(match document.verdict {
        Verdict::Holds => 0,
        Verdict::Fails => 1,
        Verdict::Undecided | Verdict::Unchecked => 2,
    }))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text)
        .map_err(|error| Failure::new(format!("the report cannot be written to `{}`: {error}", path.display())))
}

/// The document on a revision, with proofs where there is a solver that can be used.
pub(super) fn document(
    snapshot: &Snapshot,
    solver: &SolverArguments,
    date: DateTime<Utc>,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Document, Failure> {
    let results = matrix::exercise(snapshot, progress);
    let outside = matrix::outside(snapshot, progress);
    let proofs = match solver.try_find() {
        Err(none) => Proofs::NotHere(none.to_string()),
        Ok(solver) => proofs(snapshot, &solver, progress)?,
    };
    let request = |case: &_| body::of_case(case, &snapshot.store.types);
    let (results, outside, proofs) = (&results, &outside, &proofs);
    Ok(Document::new(&Findings { snapshot, results, outside, proofs, request: &request, date }))
}

fn proofs(snapshot: &Snapshot, solver: &Solver, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<Proofs, Failure> {
    let proofs = prove::prove(snapshot, &[], solver, progress)
        .map_err(|error| Failure::new(format!("the solver cannot be asked: {error}")))?;
    Ok(Proofs::Asked { solver: format!("cvc5 {}", solver.version), proofs })
}

/// The date of the document: now, or what `SOURCE_DATE_EPOCH` says, so that the same document can be made again
/// (<https://reproducible-builds.org/specs/source-date-epoch/>).
pub(super) fn date() -> Result<DateTime<Utc>, Failure> {
    const NAME: &str = "SOURCE_DATE_EPOCH";
    let seconds = match std::env::var(NAME) {
        Ok(text) => text.parse().ok(),
        Err(_) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
            i64::try_from(now.as_secs()).ok()
        }
    };
    let date = seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    date.ok_or_else(|| {
        Failure::new(format!("{NAME} is no date")).with_help("it is a number of seconds since 1970-01-01 00:00:00 UTC")
    })
}
