//! `gatepost fmt`: formats `policies/*.cedar` and `matrix/*.cedar`. Exit 0 when done, 1 when `--check` finds a file that is not
//! formatted, 2 when a file does not parse; then nothing is written.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cedar_policy_formatter::{Config, policies_str_to_pretty};
use clap::Args;

use super::config::Settings;
use super::holds;
use super::output::{self, Failure, counted};
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
    let folder = folder(settings)?;
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
            write(&folder.join(&*file.path), text)?;
        }
        names.push_str(&format!("{}\n", file.path));
    }
    let what = if arguments.check { "not formatted" } else { "formatted" };
    output::print(&format!("{names}{} {what}\n", counted(changed.len(), "file")))?;
    Ok(holds(changed.is_empty() || !arguments.check))
}

/// The store that is named, or the current folder if it is one.
fn folder(settings: &Settings) -> Result<PathBuf, Failure> {
    match &settings.store {
        Some(store) => Ok(store.clone()),
        None if Path::new("policies").is_dir() && Path::new("schema").is_dir() => Ok(PathBuf::from(".")),
        None => Err(Failure::new("the current folder is no store, and the built-in store cannot be formatted")
            .with_help("name a folder: `gatepost fmt --store DIR`")),
    }
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

/// Puts a new file in the place of the old one, whole or not at all; where that is a link, in the place of what it names.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let put = || {
        let path = path.canonicalize()?;
        let beside = path.with_extension("cedar.new");
        let permissions = std::fs::metadata(&path)?.permissions();
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(permissions)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    put().map_err(|error| Failure::new(format!("`{}` cannot be written: {error}", path.display())))
}
