//! `gatepost decide`: decides one AuthZEN request. Exit 0 for an allow, 1 for a deny, 2 for a request that cannot be decided.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::config::Settings;
use super::output::{self, Failure};
use super::{Format, holds};
use crate::engine::{Condition, ConditionOutcome, Decision, Explained, Outcome, PolicyNote, Snapshot};
use crate::http::authzen::{self, Reasons};
use crate::report;
use crate::request::Facts;
use crate::request::json::{DEEPEST, Json};
use crate::request::stored::StoredEntities;
use crate::store::{Problem, StoreError};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The file with the request, as a caller would send it; `-` for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Take records of facts in place of raw strings, and in `entities` what else is stored
    #[arg(long)]
    facts: bool,
    /// Say of each policy which of its conditions held, and what the others saw
    #[arg(long)]
    explain: bool,
    /// How to write the decision
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(settings: &Settings, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let snapshot = settings.snapshot()?;
    let text = read(arguments)?;
    let json = Json::parse(&text, DEEPEST).map_err(|error| Failure::new(format!("the request is {error}")))?;
    let (decision, explained) = decide(&snapshot, &json, arguments)?;
    match arguments.format {
        Format::Text if arguments.explain => output::print(&explained_as_text(&decision, &explained))?,
        Format::Text => output::print(&as_text(&decision))?,
        Format::Json => {
            let answer = authzen::answer(&decision, Reasons::Admin, || explained);
            output::print_json(&serde_json::to_value(answer).unwrap_or_default())?;
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

fn decide(snapshot: &Snapshot, json: &Json<'_>, arguments: &Arguments) -> Result<(Decision, Vec<Explained>), Failure> {
    let bad = |error: authzen::BadRequest| Failure::new(error.to_string());
    let question = authzen::question(json).map_err(bad)?;
    let facts = if arguments.facts { Facts::Given } else { Facts::FromPlugins };
    let given = match json.get("entities").filter(|_| arguments.facts) {
        Some(entities) => StoredEntities::from_json(entities, &snapshot.store.types, facts)
            .map_err(|problems| Failure::Store(StoreError(problems)))?,
        None => StoredEntities::default(),
    };
    let entities = snapshot.entities.with(&given);
    let decision = snapshot.decide_with(&question, facts, &entities).map_err(|error| bad(error.into()))?;
    let explained = snapshot.explain(&question, facts, &entities, &decision);
    Ok((decision, explained))
}

/// A decision for a person: what it is, by which policies, and the clauses that they cite.
pub(super) fn as_text(decision: &Decision) -> String {
    let policies = decision.spoken_of().map(|note| described(note)).collect();
    with_policies(decision, policies)
}

/// A decision in one line: `deny, because nothing permits it`.
pub(super) fn in_short(decision: &Decision) -> String {
    format!("{} {}", if decision.allowed { "allow" } else { "deny" }, report::decided_by(decision))
}

/// The same, and of each policy which of its conditions held, and what the others saw; of those that are nearest to making
/// it another decision the place too.
fn explained_as_text(decision: &Decision, explained: &[Explained]) -> String {
    let nearest = explained.first().map_or(0, Explained::distance);
    let policies = explained.iter().map(|explained| {
        let mut text = described(&explained.note);
        explained.conditions.iter().for_each(|condition| text.push_str(&examined(condition)));
        if explained.distance() == nearest {
            text.push_str(&shown(explained));
        }
        text
    });
    with_policies(decision, policies.collect())
}

fn examined(condition: &Condition) -> String {
    let (sign, error) = match &condition.outcome {
        ConditionOutcome::Held => ("✓", ""),
        ConditionOutcome::Failed => ("✗", ""),
        ConditionOutcome::Unreached => ("·", ""),
        ConditionOutcome::Error(error) => ("✗", error.as_str()),
    };
    let saw = condition.saw_in_words();
    let details: Vec<&str> = [saw.as_str(), error].into_iter().filter(|detail| !detail.is_empty()).collect();
    let details = if details.is_empty() { String::new() } else { format!("    ({})", details.join("; ")) };
    format!("    {sign} {}{details}\n", condition.text)
}

/// Where they stand: the conditions that keep a permit from permitting, and those by which a `forbid` forbids.
fn shown(explained: &Explained) -> String {
    let Explained { note, file, conditions } = explained;
    let (title, underlined): (_, Vec<&Condition>) = match note.permits {
        true => (format!("what `{}` still asks for", note.id), explained.failing().collect()),
        false => (format!("by what `{}` forbids", note.id), conditions.iter().collect()),
    };
    let problem = underlined.into_iter().fold(Problem::note(title).in_file(file), |problem, condition| {
        condition.span.map_or(problem.clone(), |span| problem.at(span, &condition.saw_in_words()))
    });
    if problem.labels.is_empty() { String::new() } else { output::rendered(&problem) }
}

fn with_policies(decision: &Decision, policies: Vec<String>) -> String {
    let mut text = String::from(if decision.allowed { "allow\n" } else { "deny\n" });
    match &decision.outcome {
        Outcome::Evaluated { errors, not_permitted, .. } => {
            for error in errors {
                text.push_str(&format!("  error, which denies: {}\n", error.message));
            }
            if !not_permitted.is_empty() {
                text.push_str("  nothing permits it; for this action there are\n");
            }
            text.extend(policies);
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
    // What a store says must not look like something else on a terminal.
    report::visible(&text)
}
