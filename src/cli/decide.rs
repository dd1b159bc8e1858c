//! `gatepost decide`: decides one AuthZEN request. Exit 0 for an allow, 1 for a deny, 2 for a request that cannot be decided.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::config::Settings;
use super::output::{self, Failure};
use super::{Format, holds};
use crate::engine::{Condition, ConditionOutcome, Decision, Explained, Outcome, PolicyNote, Snapshot};
use crate::http::authzen::{
    self, About, Alone, BadRequest, Hints, Limits, Reasons, Unread, UnreadMembers, unknown_in_words,
};
use crate::http::body::ENTITIES;
use crate::http::callers::Caller;
use crate::report;
use crate::request::json::{DEEPEST, Json, JsonError};
use crate::request::place::Part;
use crate::request::stored::StoredEntities;
use crate::request::{Facts, Question, Resolved, TypedRequest, Unknown};
use crate::store::schema::Types;
use crate::store::{Problem, SourceFile, StoreError};

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
    let json = Json::parse(&text, DEEPEST).map_err(|error| not_json(&error, &text, arguments))?;
    let decided = Decided::new(&snapshot, &json, arguments, settings.limits()?)?;
    let Decided { decision, explained, .. } = &decided;
    let about = decided.about(&snapshot.store.types);
    match arguments.format {
        Format::Text => {
            let text = match decided.not_applicable(&snapshot.store.types) {
                Some(text) => text,
                None if arguments.explain => explained_as_text(&decided),
                None => as_text(decision, decided.request()),
            };
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

/// What is wrong with a request that cannot be read as JSON, where it stands.
fn not_json(error: &JsonError, text: &[u8], arguments: &Arguments) -> Failure {
    let is_input = arguments.file.as_os_str() == "-";
    let path = if is_input { "standard input".to_owned() } else { arguments.file.display().to_string() };
    match std::str::from_utf8(text) {
        Ok(text) => {
            let file = SourceFile { path: path.into(), text: text.into() };
            Failure::from(Problem::not_json("the request", &error.to_string(), &file))
        }
        Err(_) => Failure::new(format!("the request is {error}")),
    }
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
        if let Some(unknown) = unknown_name(&decision) {
            let failure = Failure::new(unknown_in_words(unknown, &question, types, &Hints::default()));
            return Err(failure.with_help(&known_names(unknown, &question, types)));
        }
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

    /// What the schema does not know of the action, for the types of a request that it is not for.
    fn not_applicable(&self, types: &Types) -> Option<String> {
        let Outcome::Unknown(unknown @ Unknown::NotApplicable) = &self.decision.outcome else { return None };
        let taken = types.environments_of(self.question.action).map(|(_, found)| {
            format!("  it takes a subject `{}` and a resource `{}`\n", found.principal, found.resource)
        });
        let said = unknown_in_words(unknown, &self.question, types, &self.hints);
        Some(report::visible(&format!("deny\n  {said}\n{}", taken.take(TAKEN).collect::<String>())))
    }

    fn about(&'a self, types: &'a Types) -> About<'a> {
        let unread = Unread { members: &self.members, undeclared: &self.decision.dropped, hints: &self.hints };
        About { types, question: &self.question, resolved: &self.resolved, unread }
    }
}

/// So many of the types that an action takes are said.
const TAKEN: usize = 5;

/// What a request names and the schema does not know. A service denies it; whoever decides one request has most likely made a mistake.
fn unknown_name(decision: &Decision) -> Option<&Unknown> {
    match &decision.outcome {
        Outcome::Unknown(Unknown::NotApplicable) => None,
        Outcome::Unknown(unknown) => Some(unknown),
        _ => None,
    }
}

/// The names that could have stood in the place of one that is not known.
fn known_names(unknown: &Unknown, question: &Question<'_>, types: &Types) -> String {
    let ids = |type_name: &str| types.entity(type_name).and_then(|known| known.ids.clone()).unwrap_or_default();
    let (what, names): (_, BTreeSet<String>) = match unknown {
        Unknown::Type(_) => ("entity types", types.entities.keys().map(ToString::to_string).collect()),
        Unknown::Id(Part::Resource | Part::ResourceId) => {
            ("ids", ids(question.resource.type_name).iter().map(ToString::to_string).collect())
        }
        Unknown::Id(_) => ("ids", ids(question.principal.type_name).iter().map(ToString::to_string).collect()),
        Unknown::Action | Unknown::Ambiguous | Unknown::NotApplicable => {
            ("actions", types.environments.iter().map(|environment| types.name_of_action(environment)).collect())
        }
    };
    let more = names.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let names: Vec<String> = names.iter().take(LISTED).map(|name| format!("`{}`", report::visible(name))).collect();
    format!("the {what} that there are: {}{more}", names.join(", "))
}

/// So many names are listed.
const LISTED: usize = 20;

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
