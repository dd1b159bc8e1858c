//! `gatepost decide`: decides one AuthZEN request. Exit 0 for an allow, 1 for a deny, 2 for a request that cannot be decided.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::config::Settings;
use super::output::{self, Failure};
use super::{Format, holds};
use crate::engine::{Decision, Outcome, PolicyNote, Snapshot};
use crate::http::authzen::{self, Reasons};
use crate::request::Facts;
use crate::request::json::{DEEPEST, Json};
use crate::request::stored::StoredEntities;
use crate::store::StoreError;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The file with the request, as a caller would send it; `-` for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Take records of facts in place of raw strings, and in `entities` what else is stored
    #[arg(long)]
    facts: bool,
    /// How to write the decision
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(settings: &Settings, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let snapshot = settings.snapshot()?;
    let text = read(arguments)?;
    let json = Json::parse(&text, DEEPEST).map_err(|error| Failure::new(format!("the request is {error}")))?;
    let decision = decide(&snapshot, &json, arguments.facts)?;
    match arguments.format {
        Format::Text => output::print(&as_text(&decision))?,
        Format::Json => {
            let answer = serde_json::to_value(authzen::answer(&decision, Reasons::Admin));
            output::print_json(&answer.unwrap_or_default())?;
        }
    }
    Ok(holds(decision.allowed))
}

/// The request; more than any that is served is not read.
fn read(arguments: &Arguments) -> Result<Vec<u8>, Failure> {
    const MOST: u64 = 16 << 20;
    let shown = arguments.file.display();
    let mut text = Vec::new();
    let read = if arguments.file.as_os_str() == "-" {
        std::io::stdin().take(MOST).read_to_end(&mut text)
    } else {
        std::fs::File::open(&arguments.file).and_then(|file| file.take(MOST).read_to_end(&mut text))
    };
    read.map_err(|error| Failure::new(format!("the request in `{shown}` cannot be read: {error}")))?;
    Ok(text)
}

fn decide(snapshot: &Snapshot, json: &Json<'_>, facts: bool) -> Result<Decision, Failure> {
    let bad = |error: authzen::BadRequest| Failure::new(error.to_string());
    let question = authzen::question(json).map_err(bad)?;
    let (facts, given) = match json.get("entities").filter(|_| facts) {
        Some(entities) => {
            let read = StoredEntities::from_json(entities, &snapshot.store.types, Facts::Given);
            (Facts::Given, read.map_err(|problems| Failure::Store(StoreError(problems)))?)
        }
        None => (if facts { Facts::Given } else { Facts::FromPlugins }, StoredEntities::default()),
    };
    let entities = snapshot.entities.with(&given);
    snapshot.decide_with(&question, facts, &entities).map_err(|error| bad(error.into()))
}

/// A decision for a person: what it is, by which policies, and the clauses that they cite.
pub(super) fn as_text(decision: &Decision) -> String {
    let mut text = String::from(if decision.allowed { "allow\n" } else { "deny\n" });
    match &decision.outcome {
        Outcome::Evaluated { determining, errors, not_permitted } => {
            for error in errors {
                text.push_str(&format!("  error: {}\n", error.message));
            }
            if !not_permitted.is_empty() {
                text.push_str("  nothing permits it; for this action there are\n");
            }
            determining.iter().chain(not_permitted).for_each(|note| text.push_str(&described(note)));
        }
        Outcome::Missing(places) => {
            text.push_str(&format!("  required, but neither sent nor stored: {}\n", places.listed(authzen::shown)));
        }
        Outcome::Unknown(unknown) => text.push_str(&format!("  {unknown}\n")),
        Outcome::Failed(message) => text.push_str(&format!("  error: {message}\n")),
    }
    if !decision.dropped.is_empty() {
        let dropped = decision.dropped.listed(authzen::shown);
        text.push_str(&format!("  dropped, because the schema does not declare it: {dropped}\n"));
    }
    text
}

fn described(note: &PolicyNote) -> String {
    let effect = if note.permits { "permit" } else { "forbid" };
    let mut text = format!("  {effect} `{}`\n", note.id);
    if let Some(reason) = &note.reason {
        text.push_str(&format!("    {reason}\n"));
    }
    for (id, clause) in &note.clauses {
        text.push_str(&format!("    [{id}] {clause}\n"));
    }
    text
}
