//! `gatepost decide`: decides one AuthZEN request. Exit 0 for an allow, 1 for a deny, 2 for a request that cannot be decided.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::config::Settings;
use super::output::{self, Failure};
use super::{Format, holds};
use crate::engine::{Condition, ConditionOutcome, Decision, Explained, Outcome, PolicyNote, Snapshot};
use crate::http::authzen::{self, About, Alone, BadRequest, Hints, Limits, Reasons, Unread, UnreadMembers};
use crate::http::body::ENTITIES;
use crate::http::callers::Caller;
use crate::report;
use crate::request::json::{DEEPEST, Json};
use crate::request::stored::StoredEntities;
use crate::request::{Facts, Question, Resolved, TypedRequest};
use crate::store::schema::Types;
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
    let decided = Decided::new(&snapshot, &json, arguments, settings.limits()?)?;
    let Decided { decision, explained, .. } = &decided;
    let about = decided.about(&snapshot.store.types);
    match arguments.format {
        Format::Text => {
            let text =
                if arguments.explain { explained_as_text(&decided) } else { as_text(decision, decided.request()) };
            output::print(&(text + &not_read(&about)))?;
        }
        Format::Json => {
            let answer = authzen::answer(decision, Reasons::Admin, &about, || explained.clone());
            let answer = serde_json::to_value(answer);
            output::print_json(&answer.map_err(|error| Failure::new(format!("the decision is no JSON: {error}")))?)?;
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

/// A request, and what becomes of it.
struct Decided<'a> {
    question: Question<'a>,
    /// The members of the request that are not read.
    members: UnreadMembers,
    hints: Hints,
    resolved: Resolved,
    decision: Decision,
    explained: Vec<Explained>,
}

impl<'a> Decided<'a> {
    fn new(snapshot: &'a Snapshot, json: &'a Json<'a>, arguments: &Arguments, limits: Limits) -> Result<Self, Failure> {
        let bad = |error: BadRequest| Failure::new(error.to_string());
        let types = &snapshot.store.types;
        let facts = if arguments.facts { Facts::Given } else { Facts::FromPlugins };
        let given = json.get(ENTITIES).filter(|_| arguments.facts);
        let Alone { question, strict, unread } = Alone::read(json, given.is_some().then_some(ENTITIES)).map_err(bad)?;
        let question = question.by_cedar_names(types);
        let given = match given {
            Some(entities) => StoredEntities::from_json(entities, types, facts)
                .map_err(|problems| Failure::Store(StoreError(problems)))?,
            None => StoredEntities::default(),
        };
        let entities = snapshot.entities.with(&given);
        let resolved = snapshot.resolve_over(&question, facts, &entities).map_err(|error| bad(error.into()))?;
        let decision = snapshot.decide_resolved(&resolved, &entities);
        let explained = snapshot.explain(&question, facts, &entities, &decision);
        let decided = Self { question, members: unread, hints: Hints::default(), resolved, decision, explained };
        let about = decided.about(types);
        let strict = limits.is_strict(&Caller::anonymous(), strict);
        about.unread.unless_strict(strict, about.environment()).map_err(bad)?;
        Ok(decided)
    }

    /// The request under the schema, if it is one.
    fn request(&self) -> Option<&TypedRequest> {
        match &self.resolved {
            Resolved::Request(request) => Some(request),
            Resolved::Unknown(_) => None,
        }
    }

    fn about(&'a self, types: &'a Types) -> About<'a> {
        let unread = Unread { members: &self.members, undeclared: &self.decision.dropped, hints: &self.hints };
        About { types, question: &self.question, resolved: &self.resolved, unread }
    }
}

/// A decision for a person: what it is, by which policies, and the clauses that they cite.
pub(super) fn as_text(decision: &Decision, request: Option<&TypedRequest>) -> String {
    let policies = decision.spoken_of().map(|note| described(note)).collect();
    with_policies(decision, request, policies)
}

/// A decision in one line: `deny, because nothing permits it`.
pub(super) fn in_short(decision: &Decision) -> String {
    format!("{} {}", if decision.allowed { "allow" } else { "deny" }, report::decided_by(decision))
}

/// The same, and of each policy which of its conditions held, and what the others saw; of those that are nearest to making
/// it another decision the place too.
fn explained_as_text(decided: &Decided<'_>) -> String {
    let explained = &decided.explained;
    let nearest = explained.first().map_or(0, Explained::distance);
    let policies = explained.iter().map(|explained| {
        let mut text = described(&explained.note);
        explained.conditions.iter().for_each(|condition| text.push_str(&examined(condition)));
        if explained.distance() == nearest {
            text.push_str(&shown(explained));
        }
        text
    });
    with_policies(&decided.decision, decided.request(), policies.collect())
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

fn with_policies(decision: &Decision, request: Option<&TypedRequest>, policies: Vec<String>) -> String {
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
            text.push_str(&report::visible(&format!("  {}\n", authzen::missing_in_words(places, request))));
        }
        Outcome::Unknown(unknown) => text.push_str(&format!("  {unknown}\n")),
        Outcome::Failed(message) => text.push_str(&format!("  error: {message}\n")),
    }
    text
}

/// What the request says and nobody reads.
fn not_read(about: &About<'_>) -> String {
    if about.unread.is_empty() {
        return String::new();
    }
    report::visible(&format!("  sent, but not read: {}\n", about.unread.in_words(about.environment())))
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
