//! `gatepost fmt`: formats `schema/*.cedarschema`, `policies/*.cedar` and `matrix/*.cedar`. Exit 0 when done, 1 when `--check` finds a file
//! that is not formatted, 2 when a file does not parse or cannot be formatted; then nothing is written.

use std::process::ExitCode;

use clap::Args;

use super::config::Settings;
use super::holds;
use super::output::{self, Failure, counted};
use super::rewrite::{self, LineEnds};
use crate::format;
use crate::store::{Origin, StoreError, StoreFiles};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Write nothing; name the files that are not formatted
    #[arg(long)]
    check: bool,
}

pub(super) fn run(settings: &Settings, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let folder = rewrite::folder(settings, "formatted")?;
    let files = StoreFiles::read(&Origin::Folder(folder.clone())).map_err(Failure::Store)?;
    let schema = files.schema.iter().map(|file| (file, format::schema(file)));
    let policies = files.policies.iter().chain(&files.matrix).map(|file| (file, format::policies(file)));
    let mut changed = Vec::new();
    let mut problems = Vec::new();
    for (file, formatted) in schema.chain(policies) {
        match formatted {
            Ok(text) => {
                let renewed = rewrite::renewed(&folder, file, &text, LineEnds::LikeFirst)?;
                changed.extend(renewed.map(|renewed| (&file.path, renewed)));
            }
            Err(found) => problems.extend(found),
        }
    }
    if !problems.is_empty() {
        return Err(Failure::Store(StoreError(problems)));
    }
    let mut names = String::new();
    for (path, renewed) in &changed {
        if !arguments.check {
            renewed.write().map_err(|failure| with_done(failure, &names))?;
        }
        names.push_str(&format!("{path}\n"));
    }
    let what = if arguments.check { "not formatted" } else { "formatted" };
    output::print(&format!("{names}{} {what}\n", counted(changed.len(), "file")))?;
    Ok(holds(changed.is_empty() || !arguments.check))
}

/// The failure, and which files were formatted before it.
fn with_done(failure: Failure, names: &str) -> Failure {
    let names = names.lines().collect::<Vec<_>>().join(", ");
    if names.is_empty() { failure } else { failure.with_help(&format!("formatted before: {names}")) }
}
