//! `gatepost fmt`: formats `policies/*.cedar` and `matrix/*.cedar`. Exit 0 when done, 1 when `--check` finds a file that is not
//! formatted, 2 when a file does not parse; then nothing is written.

use std::process::ExitCode;

use cedar_policy_formatter::{Config, policies_str_to_pretty};
use clap::Args;

use super::config::Settings;
use super::holds;
use super::output::{self, Failure, counted};
use super::rewrite;
use crate::store::{Origin, Problem, SourceFile, StoreError, StoreFiles, policy};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Write nothing; name the files that are not formatted
    #[arg(long)]
    check: bool,
}

/// The form of every `.cedar` file: that of Cedar's own `cedar format`.
const FORM: Config = Config { line_width: 80, indent_width: 2 };

pub(super) fn run(settings: &Settings, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let folder = rewrite::folder(settings, "formatted")?;
    let files = StoreFiles::read(&Origin::Folder(folder.clone())).map_err(Failure::Store)?;
    let mut changed = Vec::new();
    let mut problems = Vec::new();
    for file in files.policies.iter().chain(&files.matrix) {
        match formatted(file) {
            Ok(text) if *text == *file.text => {}
            Ok(text) => changed.push((file, text)),
            Err(found) => problems.extend(found),
        }
    }
    if !problems.is_empty() {
        return Err(Failure::Store(StoreError(problems)));
    }
    let mut names = String::new();
    for (file, text) in &changed {
        if !arguments.check {
            rewrite::replace(&folder.join(&*file.path), text)?;
        }
        names.push_str(&format!("{}\n", file.path));
    }
    let what = if arguments.check { "not formatted" } else { "formatted" };
    output::print(&format!("{names}{} {what}\n", counted(changed.len(), "file")))?;
    Ok(holds(changed.is_empty() || !arguments.check))
}

fn formatted(file: &SourceFile) -> Result<String, Vec<Problem>> {
    let (_, problems) = policy::read(std::slice::from_ref(file));
    if !problems.is_empty() {
        return Err(problems);
    }
    let text = file.text.replace("\r\n", "\n");
    let (heading, policies) = heading(&text);
    if policies.trim().is_empty() {
        return Ok(heading.to_owned());
    }
    let formatted = policies_str_to_pretty(policies, &FORM)
        .map_err(|error| vec![Problem::error(format!("the file cannot be formatted: {error}")).in_file(file)])?;
    Ok(format!("{heading}{}\n", formatted.trim_end()))
}

/// The comment at the top of a file with the empty line that parts it from the policies, and the rest: the formatter would
/// take it for a comment on the first policy.
fn heading(text: &str) -> (&str, &str) {
    let end = text.find("\n\n").map_or(text.len(), |end| end + 2);
    let (heading, rest) = text.split_at(end);
    if heading.lines().all(|line| line.is_empty() || line.starts_with("//")) { (heading, rest) } else { ("", text) }
}
