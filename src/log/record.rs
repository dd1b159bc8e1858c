//! What the decision log says of a decision: the members of a JSON object, in the words of the policies.
//!
//! A request is written as it was decided: what is stored, and over it what the caller sent, with the facts that plugins read, and
//! without what the schema does not declare; of that, only the names are written. Every value is written as a request would send it
//! (plain ids, strings), so that it can be read under another schema.
//!
//! Raw strings that plugins read, the facts that repeat them, and attributes that are marked `@sensitive` are masked ([`Mask`]).

use std::time::{Duration, SystemTime};

use cedar_policy::EntityUid;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use smol_str::SmolStr;

use super::Entry;
use super::mask::{Digest, Mask};
use crate::engine::{Decision, Outcome, PolicyError, PolicyNote, Snapshot};
use crate::plugin::Plugin;
use crate::request::place::Places;
use crate::request::value::{MASKED, RAW, Record, TYPE, Value};
use crate::request::{InvalidRequest, Named, Question, Resolved, TypedEntity, TypedRequest};
use crate::store::schema::{EntityType, Parsed, RecordShape, Shape, Types};

/// The longest record, in bytes. Of a larger one only is written which entities it is about and what was decided.
pub const LONGEST: usize = 64 << 10;

/// Few records with some attributes have more bytes.
const USUAL: usize = 768;

/// So many characters of an id or a name are written where the whole would be too long.
const SHORTENED: usize = 200;

/// Writes records.
#[derive(Clone, Debug)]
pub struct Recorder {
    /// What values are masked with; `None`: they are not.
    pub mask: Option<Mask>,
}

/// What the records of one request over HTTP have in common.
#[derive(Clone, Copy, Debug)]
pub struct Heading<'a> {
    /// The id of the request, by which its records belong together.
    pub request_id: &'a str,
    /// The id of the trace that the caller follows it by (W3C Trace Context), if it does.
    pub trace_id: Option<&'a str>,
    /// Who asked; `None` where nobody is asked who they are.
    pub caller: Option<&'a str>,
    /// What was asked for.
    pub endpoint: Endpoint,
    /// By what was decided.
    pub snapshot: &'a Snapshot,
}

/// What a request over HTTP asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Endpoint {
    /// One decision.
    Evaluation,
    /// Many; each record then has the number of its item.
    Evaluations,
    /// Who may.
    SubjectSearch,
    /// To what.
    ResourceSearch,
    /// What; each action has a record of its own, as of an item of a batch.
    ActionSearch,
}

/// How a decision came about, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Allowed.
    Allow,
    /// Denied by the policies: one forbids, or none permits.
    Deny,
    /// Denied: a policy could not be evaluated.
    Error,
    /// Denied: the request lacks what the schema requires.
    Missing,
    /// Denied: the schema does not know what was asked about.
    Unknown,
    /// Denied: the item of a batch was no request.
    Invalid,
    /// Denied: the caller may not ask.
    NotAllowed,
}

impl Verdict {
    /// Every verdict, in the order of their declaration.
    pub const ALL: [Self; 7] =
        [Self::Allow, Self::Deny, Self::Error, Self::Missing, Self::Unknown, Self::Invalid, Self::NotAllowed];

    /// How that decision came about.
    pub fn of(decision: &Decision) -> Self {
        match &decision.outcome {
            _ if decision.allowed => Self::Allow,
            Outcome::Evaluated { errors, .. } if errors.is_empty() => Self::Deny,
            Outcome::Evaluated { .. } | Outcome::Failed(_) => Self::Error,
            Outcome::Missing(_) => Self::Missing,
            Outcome::Unknown(_) => Self::Unknown,
        }
    }

    /// The word for it in the log and the metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Error => "error",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Invalid => "invalid",
            Self::NotAllowed => "notAllowed",
        }
    }
}

/// Why an item of a batch was denied without being decided.
#[derive(Clone, Copy, Debug)]
pub enum NotDecided<'a> {
    /// It is no request.
    Malformed,
    /// It has a value of the wrong type.
    Invalid(&'a InvalidRequest),
    /// Its caller may not ask this.
    NotAllowed(&'a Question<'a>),
}

/// A page of a search.
#[derive(Clone, Copy, Debug)]
pub struct SearchPage<'a> {
    /// The request, with an entity in place of the candidates that is none of them; `None` where the schema does not know it.
    pub request: Option<&'a TypedRequest>,
    /// What was found.
    pub results: &'a [&'a str],
    /// How many candidates were looked at.
    pub candidates: usize,
    /// They come after this one in the order of their ids, if it is not the first page,
    pub after: Option<&'a str>,
    /// and go up to this one, if it is not the last page.
    pub up_to: Option<&'a str>,
    /// How many of them had to be decided on.
    pub decided: usize,
    /// Whether a plugin read the context by each candidate: its facts are then not those of the record.
    pub context_varies: bool,
}

impl Recorder {
    /// The record of a decision, as the log takes it. `item` is the number of the item of a batch, from 0; `took` is how long it
    /// took.
    pub fn decision(
        &self,
        heading: &Heading<'_>,
        item: Option<usize>,
        question: &Question<'_>,
        resolved: &Resolved,
        decision: &Decision,
        took: Duration,
    ) -> Entry {
        let line = Line::new(heading, item, Verdict::of(decision), took, SystemTime::now());
        let asked = match resolved {
            Resolved::Request(request) => self.request(&heading.snapshot.store.types, request),
            Resolved::Unknown(_) => Asked::named(question),
        };
        let line = Line { asked, ..line }.saying(decision);
        Entry::from(written(|buffer| line.fitting(buffer)))
    }

    /// The record of an item of a batch that was denied without being decided.
    pub fn not_decided(&self, heading: &Heading<'_>, item: usize, why: NotDecided<'_>, took: Duration) -> Entry {
        let line = Line::new(heading, Some(item), Verdict::Invalid, took, SystemTime::now());
        let line = match why {
            NotDecided::Malformed => line,
            NotDecided::Invalid(invalid) => Line { invalid: Some(Expected::of(invalid)), ..line },
            NotDecided::NotAllowed(question) => {
                Line { verdict: Some(Verdict::NotAllowed), asked: Asked::named(question).shortened(), ..line }
            }
        };
        Entry::from(written(|buffer| line.write(buffer)))
    }

    /// The record of a page of a search. `question` is what was asked of each candidate.
    pub fn search(
        &self,
        heading: &Heading<'_>,
        question: &Question<'_>,
        page: &SearchPage<'_>,
        took: Duration,
    ) -> Entry {
        let SearchPage { results, candidates, after, up_to, decided, context_varies, .. } = *page;
        let found =
            Found { results: Some(results), count: results.len(), candidates, after, up_to, decided, context_varies };
        let asked = match page.request {
            Some(request) => self.request(&heading.snapshot.store.types, request),
            None => Asked::named(question),
        };
        let line = Line {
            decision: None,
            verdict: None,
            asked: asked.searched(heading.endpoint),
            found: Some(found),
            ..Line::new(heading, None, Verdict::Allow, took, SystemTime::now())
        };
        Entry::from(written(|buffer| line.fitting(buffer)))
    }

    fn request<'a>(&'a self, types: &'a Types, request: &'a TypedRequest) -> Asked<'a> {
        let Some(environment) = types.environments.get(request.environment) else { return Asked::default() };
        let entity = |entity: &'a TypedEntity, of_type: &'a EntityType| {
            let shape = &of_type.attributes;
            let attributes = Logged { shape, record: &entity.attributes, raw: &entity.raw, mask: &self.mask };
            Some(EntityLine {
                type_name: &of_type.full_name,
                id: Some(id_of(&entity.uid)),
                attributes: Some(attributes),
            })
        };
        Asked {
            principal: entity(&request.principal, &environment.principal_type),
            action: Some(&environment.action_name),
            resource: entity(&request.resource, &environment.resource_type),
            context: Some(Logged {
                shape: &environment.context,
                record: &request.context,
                raw: &request.raw_context,
                mask: &self.mask,
            }),
        }
    }
}

/// What is written by itself.
fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(USUAL);
    write(&mut buffer);
    buffer
}

/// A whole record.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    time: String,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    endpoint: Endpoint,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<usize>,
    caller: Option<&'a str>,
    #[serde(flatten)]
    asked: Asked<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    too_large: Option<usize>,
    #[serde(skip_serializing_if = "Listed::is_empty")]
    dropped: Listed<'a>,
    #[serde(skip_serializing_if = "is_zero")]
    more_dropped: usize,
    #[serde(skip_serializing_if = "Versions::is_empty")]
    plugins: Versions<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<Answer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Verdict>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    determining: Vec<Cited<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Failed<'a>>,
    #[serde(skip_serializing_if = "Listed::is_empty")]
    missing: Listed<'a>,
    #[serde(skip_serializing_if = "is_zero")]
    more_missing: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    invalid: Option<Expected<'a>>,
    #[serde(flatten)]
    found: Option<Found<'a>>,
    revision: &'a str,
    duration_micros: u128,
}

/// What was answered.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
enum Answer {
    Allow,
    Deny,
}

impl<'a> Line<'a> {
    fn new(heading: &Heading<'a>, item: Option<usize>, verdict: Verdict, took: Duration, time: SystemTime) -> Self {
        Self {
            time: DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Micros, true),
            request_id: heading.request_id,
            trace_id: heading.trace_id,
            endpoint: heading.endpoint,
            item,
            caller: heading.caller,
            asked: Asked::default(),
            too_large: None,
            dropped: Listed::default(),
            more_dropped: 0,
            plugins: Versions(&heading.snapshot.store.types.plugins),
            decision: Some(if verdict == Verdict::Allow { Answer::Allow } else { Answer::Deny }),
            verdict: Some(verdict),
            determining: Vec::new(),
            errors: Vec::new(),
            missing: Listed::default(),
            more_missing: 0,
            invalid: None,
            found: None,
            revision: heading.snapshot.revision().as_str(),
            duration_micros: took.as_micros(),
        }
    }

    /// Writes the members without the braces, which are the log's.
    fn write(&self, buffer: &mut Vec<u8>) {
        let start = buffer.len();
        // It is made of strings, numbers and maps with strings for keys, which always serialize.
        let _ = serde_json::to_writer(&mut *buffer, self);
        buffer.pop();
        if buffer.len() > start {
            buffer.remove(start);
        }
    }

    /// The same; where that is too large, only which entities it is about and what was decided.
    fn fitting(self, buffer: &mut Vec<u8>) {
        let start = buffer.len();
        self.write(buffer);
        let written = buffer.len() - start;
        if written > LONGEST {
            buffer.truncate(start);
            let found = self.found.map(|found| Found { results: None, after: None, up_to: None, ..found });
            Line { asked: self.asked.shortened(), too_large: Some(written), found, ..self }.write(buffer);
        }
    }

    /// With what determined a decision, and what stood in its way.
    fn saying(mut self, decision: &'a Decision) -> Self {
        self.dropped = Listed(Some(&decision.dropped));
        self.more_dropped = decision.dropped.more;
        match &decision.outcome {
            Outcome::Evaluated { determining, errors, .. } => {
                self.determining = determining.iter().map(|note| Cited::of(note)).collect();
                self.errors = errors.iter().map(Failed::of).collect();
            }
            Outcome::Missing(places) => {
                self.missing = Listed(Some(places));
                self.more_missing = places.more;
            }
            // Why a request fails whole may hold something of it.
            Outcome::Failed(_) => self.errors = vec![Failed { policy: None, error: "the request cannot be evaluated" }],
            Outcome::Unknown(_) => {}
        }
        self
    }
}

/// What was asked.
#[derive(Default, Serialize)]
struct Asked<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<EntityLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<EntityLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Logged<'a>>,
}

/// An entity of the request. In a search, what is searched has no id.
#[derive(Serialize)]
struct EntityLine<'a> {
    #[serde(rename = "type")]
    type_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<Logged<'a>>,
}

impl<'a> EntityLine<'a> {
    fn named(named: &Named<'a>) -> Self {
        Self { type_name: named.type_name, id: Some(named.id), attributes: None }
    }

    fn shortened(self) -> Self {
        Self { type_name: shortened(self.type_name), id: self.id.map(shortened), attributes: None }
    }
}

impl<'a> Asked<'a> {
    /// Which entities a question is about, and nothing that is said of them.
    fn named(question: &Question<'a>) -> Self {
        Self {
            principal: Some(EntityLine::named(&question.principal)),
            action: Some(question.action),
            resource: Some(EntityLine::named(&question.resource)),
            context: None,
        }
    }

    fn shortened(self) -> Self {
        Self {
            principal: self.principal.map(EntityLine::shortened),
            action: self.action.map(shortened),
            resource: self.resource.map(EntityLine::shortened),
            context: None,
        }
    }

    /// Without what a search looks for.
    fn searched(mut self, endpoint: Endpoint) -> Self {
        let without_id = |entity: EntityLine<'a>| EntityLine { id: None, ..entity };
        match endpoint {
            Endpoint::SubjectSearch => self.principal = self.principal.map(without_id),
            Endpoint::ResourceSearch => self.resource = self.resource.map(without_id),
            Endpoint::Evaluation | Endpoint::Evaluations | Endpoint::ActionSearch => {}
        }
        self
    }
}

fn shortened(text: &str) -> &str {
    text.char_indices().nth(SHORTENED).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

fn id_of(uid: &EntityUid) -> &str {
    uid.id().as_ref()
}

/// What a search found.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct Found<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<&'a [&'a str]>,
    count: usize,
    /// How many candidates were looked at.
    candidates: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    up_to: Option<&'a str>,
    decided: usize,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    context_varies: bool,
}

/// A policy and the clauses that it cites.
#[derive(Serialize)]
struct Cited<'a> {
    policy: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    clauses: Vec<&'a str>,
}

impl<'a> Cited<'a> {
    fn of(note: &'a PolicyNote) -> Self {
        Self { policy: &note.id, clauses: note.clauses.iter().map(|(id, _)| id.as_str()).collect() }
    }
}

/// A policy that could not be evaluated. Cedar's own message may hold values of the request.
#[derive(Serialize)]
struct Failed<'a> {
    policy: Option<&'a str>,
    error: &'a str,
}

impl<'a> Failed<'a> {
    fn of(error: &'a PolicyError) -> Self {
        Self { policy: error.policy.as_deref().map(|note| note.id.as_str()), error: error.kind }
    }
}

/// What was expected where; what was found is the caller's.
#[derive(Serialize)]
struct Expected<'a> {
    place: String,
    expected: &'a str,
}

impl<'a> Expected<'a> {
    fn of(invalid: &'a InvalidRequest) -> Self {
        Self { place: invalid.place.to_string(), expected: &invalid.expected }
    }
}

/// The names of the first places.
#[derive(Default)]
struct Listed<'a>(Option<&'a Places>);

impl Listed<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_none_or(Places::is_empty)
    }
}

impl Serialize for Listed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let named = self.0.map(|places| places.named.as_slice()).unwrap_or_default();
        serializer.collect_seq(named.iter().map(ToString::to_string))
    }
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// The versions of the plugins that the schema uses, by their names.
struct Versions<'a>(&'a [&'static dyn Plugin]);

impl Versions<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Versions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|plugin| (plugin.name(), plugin.version())))
    }
}

/// The attributes of an entity, or the context.
struct Logged<'a> {
    shape: &'a RecordShape,
    record: &'a Record,
    /// As it came; empty where facts came.
    raw: &'a Record,
    mask: &'a Option<Mask>,
}

impl Serialize for Logged<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.record.len()))?;
        for (name, value) in self.record {
            let Some(field) = self.shape.0.get(name) else { continue };
            let raw = self.raw.get(name);
            let mask = self.mask.as_ref().filter(|_| field.sensitive);
            match mask {
                Some(mask) => {
                    let of_type = Some(field.shape.sent_as());
                    let digest = digest(mask, raw.unwrap_or(value));
                    map.serialize_entry(name, &Masked { digest, of_type })?;
                }
                None => {
                    map.serialize_entry(name, &LoggedValue { shape: &field.shape, value, raw, mask: self.mask })?;
                }
            }
        }
        map.end()
    }
}

struct LoggedValue<'a> {
    shape: &'a Shape,
    value: &'a Value,
    raw: Option<&'a Value>,
    mask: &'a Option<Mask>,
}

impl Serialize for LoggedValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { shape, value, raw, mask } = self;
        match (shape, value) {
            (Shape::Parsed(parsed), Value::Record(facts)) => {
                let raw = match raw {
                    Some(Value::Raw(raw)) => Some(raw),
                    _ => None,
                };
                Read { parsed, facts, raw, mask }.serialize(serializer)
            }
            (Shape::Record(shape), Value::Record(record)) => {
                let raw = match raw {
                    Some(Value::Record(raw)) => raw,
                    _ => NOTHING,
                };
                Logged { shape, record, raw, mask }.serialize(serializer)
            }
            (Shape::Set(shape), Value::Set(elements)) => {
                let raw = match raw {
                    Some(Value::Set(raw)) => raw.as_slice(),
                    _ => &[],
                };
                let elements = elements.iter().enumerate();
                serializer.collect_seq(elements.map(|(index, value)| LoggedValue {
                    shape,
                    value,
                    raw: raw.get(index),
                    mask,
                }))
            }
            _ => Plain(value).serialize(serializer),
        }
    }
}

const NOTHING: &Record = &Record::new();

/// What a plugin read: the facts, but for those that repeat the raw string, and a mask of it.
struct Read<'a> {
    parsed: &'a Parsed,
    facts: &'a Record,
    raw: Option<&'a SmolStr>,
    mask: &'a Option<Mask>,
}

impl Serialize for Read<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let masked = self.raw.zip(self.mask.as_ref()).map(|(raw, mask)| mask.of(raw));
        match (self.raw, masked) {
            (_, Some(masked)) => map.serialize_entry(MASKED, masked.as_str())?,
            (Some(raw), None) => map.serialize_entry(RAW, raw)?,
            (None, None) => {}
        }
        for (name, fact) in self.facts {
            match self.mask.as_ref().filter(|_| self.parsed.masks(name) && !is_empty(fact)) {
                // What repeats the string is often the same, and its digest is known.
                Some(mask) => {
                    let is_same = matches!((fact, self.raw), (Value::String(text), Some(raw)) if text == raw);
                    let digest = masked.filter(|_| is_same).unwrap_or_else(|| digest(mask, fact));
                    map.serialize_entry(name, &Masked { digest, of_type: None })?;
                }
                None => map.serialize_entry(name, &Plain(fact))?,
            }
        }
        map.end()
    }
}

/// What the facts of a string are that is not valid: nothing is to be hidden there.
fn is_empty(fact: &Value) -> bool {
    matches!(fact, Value::String(text) if text.is_empty())
}

/// What stands for a value that is masked.
struct Masked {
    digest: Digest,
    /// The type of the value, where it is not known from the plugin.
    of_type: Option<String>,
}

impl Serialize for Masked {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let of_type = self.of_type.as_deref().map(|of_type| (TYPE, of_type));
        serializer.collect_map([(MASKED, self.digest.as_str())].into_iter().chain(of_type))
    }
}

/// The digest of a value: of a string itself, of anything else as it would be written.
fn digest(mask: &Mask, value: &Value) -> Digest {
    match value {
        Value::String(text) | Value::Raw(text) | Value::Extension(_, text) => mask.of(text),
        Value::Entity(uid) => mask.of(id_of(uid)),
        other => mask.of(&serde_json::to_string(&Plain(other)).unwrap_or_default()),
    }
}

/// A value as a request would send it.
struct Plain<'a>(&'a Value);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Long(value) => serializer.serialize_i64(*value),
            Value::String(text) | Value::Raw(text) | Value::Extension(_, text) => serializer.serialize_str(text),
            Value::Entity(uid) => serializer.serialize_str(id_of(uid)),
            Value::Set(elements) => serializer.collect_seq(elements.iter().map(Plain)),
            Value::Record(record) => serializer.collect_map(record.iter().map(|(name, value)| (name, Plain(value)))),
        }
    }
}
