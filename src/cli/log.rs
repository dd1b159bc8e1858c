//! `gatepost log verify LOG`: is a decision log whole and unaltered. Exit 0 if it is, 1 if not, 2 if it cannot be read.
//! `gatepost log mask`: what stands in the log in place of a value.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::config::secret;
use super::output::{self, Failure, counted};
use super::{Format, holds};
use crate::log::Position;
use crate::log::mask::{Links, Mask};
use crate::log::verify::{Question, Verdict, verify};
use crate::store::keys::VerifyingKey;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Find out whether a decision log is whole and unaltered
    Verify(Verify),
    /// Mask values as the decision log does, to find them in it
    Mask(MaskValues),
}

#[derive(Debug, Args)]
struct MaskValues {
    /// The secret that the service has for `--log-mask-key`
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// A mask of the log with a number before its digest: the values are masked with that number
    #[arg(long, value_name = "MASK")]
    like: Option<String>,
    /// The values, as callers send them; without any, each line of standard input is one
    values: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = LIMITS)]
struct Verify {
    /// The folder of the log (`--log` of the service); it may be written meanwhile
    #[arg(value_name = "LOG")]
    path: PathBuf,
    /// The public key of `--log-signing-key` (PEM); may be given several times, where keys have changed
    #[arg(long, value_name = "FILE")]
    public_key: Vec<PathBuf>,
    /// A line that the log must hold: the end that an earlier run printed
    #[arg(long, value_name = "SEQUENCE:CHAIN")]
    contains: Option<Position>,
    /// How to write what was found
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

const LIMITS: &str = "The chain shows what was altered, removed or moved by somebody who did not make it anew. Who can write the folder can \
     make all of it anew: that shows with a signing key which they do not have (--public-key), or by the end of the log, kept \
     elsewhere (--contains).";

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    match &arguments.command {
        Command::Verify(arguments) => check(arguments),
        Command::Mask(arguments) => mask(arguments),
    }
}

fn mask(arguments: &MaskValues) -> Result<ExitCode, Failure> {
    let mask = Mask::new(&secret(&arguments.key, "log mask key")?, Links::default())
        .map_err(|_| Failure::new("the operating system gives no random bytes"))?;
    let of = |value: &str| match &arguments.like {
        None => Ok(mask.linked(value)),
        Some(other) => mask.like(other, value).ok_or_else(|| {
            Failure::new(format!("`{other}` is no mask with a number"))
                .with_help("leave out `--like`: equal values have it too")
        }),
    };
    let print = |value: &str| output::print(&format!("{}\n", of(value)?));
    if arguments.values.is_empty() {
        for line in std::io::stdin().lines() {
            let line = line.map_err(|error| Failure::new(format!("standard input cannot be read: {error}")))?;
            print(&line)?;
        }
    }
    arguments.values.iter().try_for_each(|value| print(value))?;
    Ok(ExitCode::SUCCESS)
}

fn check(arguments: &Verify) -> Result<ExitCode, Failure> {
    let verdict = verdict(&arguments.path, &arguments.public_key, arguments.contains)?;
    match arguments.format {
        Format::Json => output::print_json(&as_json(&verdict))?,
        Format::Text => output::print(&as_text(&verdict))?,
    }
    Ok(holds(verdict.is_whole()))
}

/// What is wrong with the log in that folder, by the public keys in these files.
pub(super) fn verdict(folder: &Path, keys: &[PathBuf], contains: Option<Position>) -> Result<Verdict, Failure> {
    let keys = keys.iter().map(|path| VerifyingKey::read(path)).collect::<Result<_, _>>()?;
    verify(folder, &Question { keys, contains })
        .map_err(|error| Failure::new(error.to_string()).with_help("name the folder that the service has for `--log`"))
}

fn as_text(verdict: &Verdict) -> String {
    let mut text: String = verdict.findings.iter().map(|finding| format!("{}\n", finding.what)).collect();
    if verdict.further > 0 {
        text += &format!("and {} more\n", verdict.further);
    }
    text.extend(verdict.notes.iter().map(|note| format!("note: {note}\n")));
    if let Some(unsigned) = verdict.unsigned.filter(|unsigned| *unsigned > 0) {
        text += &format!("note: the last {unsigned} decision(s) are not signed yet\n");
    }
    let whole = if verdict.is_whole() { "whole and unaltered" } else { "NOT whole, or altered" };
    let counts = [(verdict.segments, "segment"), (verdict.lines, "line"), (verdict.decisions, "decision")]
        .map(|(count, what)| counted(usize::try_from(count).unwrap_or(usize::MAX), what));
    text + &format!("{}: {whole}\nend {}\n", counts.join(", "), verdict.end)
}

fn as_json(verdict: &Verdict) -> serde_json::Value {
    json!({
        "whole": verdict.is_whole(),
        "findings": findings_as_json(verdict),
        "furtherFindings": verdict.further,
        "notes": verdict.notes,
        "end": verdict.end.to_string(),
        "segments": verdict.segments,
        "lines": verdict.lines,
        "decisions": verdict.decisions,
        "unsignedDecisions": verdict.unsigned,
    })
}

pub(super) fn findings_as_json(verdict: &Verdict) -> serde_json::Value {
    let findings = verdict.findings.iter().map(|finding| {
        json!({
            "file": finding.file,
            "line": finding.line,
            "sequence": finding.sequence,
            "message": finding.what,
        })
    });
    findings.collect()
}
