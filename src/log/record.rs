//! What the decision log says of a decision: the members of a JSON object, in the words of the policies.
//!
//! A request is written as it was decided: what is stored, and over it what the caller sent, with the facts that plugins read, and
//! without what the schema does not declare; of that, only the names are written. Every value is written as a request would send it
//! (plain ids, strings), so that it can be read under another schema.
//!
//! Raw strings that plugins read, the facts that repeat them, and attributes that are marked `@sensitive` are masked ([`Mask`]). The name
//! of a type or an action that the schema does not know is whatever a caller sent, and is not written, unless nothing is masked.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use cedar_policy::EntityUid;
use chrono::{DateTime, SecondsFormat, Utc};
use smol_str::SmolStr;

use super::Entries;
use super::json::Json;
use super::mask::{Digest, FEWEST_BYTES, Mask};
use crate::engine::{Decision, Outcome, Snapshot};
use crate::request::place::Places;
use crate::request::value::{MASKED, RAW, RESERVED, Record, TYPE, Value};
use crate::request::{InvalidRequest, Named, Question, Resolved, Tags, TypedEntity, TypedRequest};
use crate::store::schema::{EntityType, Extension, Parsed, RecordShape, Shape, Types};

/// The longest record, in bytes. Of a larger one only is written which entities it is about and what was decided.
pub const LONGEST: usize = 64 << 10;

/// So many characters of an id or a name are written where the whole would be too long,
const SHORTENED: usize = 200;

/// and so many of the policies.
const NAMED: usize = 100;

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
    /// The id of the trace in which it can be found (W3C Trace Context): of the span that was made for it, or of its caller's.
    pub trace_id: Option<&'a str>,
    /// Who asked; `None` where nobody is asked who they are.
    pub caller: Option<&'a str>,
    /// What was asked for.
    pub endpoint: Endpoint,
    /// By what was decided.
    pub snapshot: &'a Snapshot,
}

/// Of what a record is.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The number of the item of a batch, from 0.
    pub item: Option<usize>,
    /// When it was answered.
    pub time: SystemTime,
    /// How long that took.
    pub took: Duration,
    /// The members beside what was asked that nobody reads, and how many more there are.
    pub unread: (&'a [String], usize),
}

/// What a request over HTTP asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

impl Endpoint {
    fn word(self) -> &'static str {
        match self {
            Self::Evaluation => "evaluation",
            Self::Evaluations => "evaluations",
            Self::SubjectSearch => "subjectSearch",
            Self::ResourceSearch => "resourceSearch",
            Self::ActionSearch => "actionSearch",
        }
    }
}

impl Recorder {
    /// Adds the record of a decision.
    pub fn decision(
        &self,
        heading: &Heading<'_>,
        told: Told<'_>,
        question: &Question<'_>,
        resolved: &Resolved,
        decision: &Decision,
        entries: &mut Entries,
    ) {
        let asked = match resolved {
            Resolved::Request(request) => self.request(heading.snapshot, request),
            Resolved::Unknown(_) => self.named(heading.snapshot, question),
        };
        entries.push(|bytes| Line { heading, told, asked, said: Said::Decision(decision) }.write(bytes));
    }

    /// Adds the record of an item of a batch that was denied without being decided; `action` is the whole name of the one that it is about,
    /// if that is known.
    pub fn not_decided(
        &self,
        heading: &Heading<'_>,
        told: Told<'_>,
        action: Option<&str>,
        why: NotDecided<'_>,
        entries: &mut Entries,
    ) {
        let asked = match why {
            NotDecided::Malformed | NotDecided::Invalid(_) => Asked { action, ..Asked::default() },
            NotDecided::NotAllowed(question) => self.named(heading.snapshot, question).shortened(),
        };
        entries.push(|bytes| Line { heading, told, asked, said: Said::NotDecided(why) }.write(bytes));
    }

    /// Adds the record of a page of a search. `question` is what was asked of each candidate.
    pub fn search(
        &self,
        heading: &Heading<'_>,
        told: Told<'_>,
        question: &Question<'_>,
        page: &SearchPage<'_>,
        entries: &mut Entries,
    ) {
        let asked = match page.request {
            Some(request) => self.request(heading.snapshot, request),
            None => self.named(heading.snapshot, question),
        };
        let asked = asked.searched(heading.endpoint);
        entries.push(|bytes| Line { heading, told, asked, said: Said::Found(page) }.write(bytes));
    }

    /// Which entities a question is about, and nothing that is said of them; of what the schema does not know, nothing.
    fn named<'a>(&self, snapshot: &'a Snapshot, question: &Question<'a>) -> Asked<'a> {
        let types = &snapshot.store.types;
        let all = self.mask.is_none();
        let entity = |named: &Named<'a>| {
            let is_named = all || types.entity(named.type_name).is_some();
            is_named.then(|| EntitySaid::named(named))
        };
        let is_known = all || types.environments_of(question.action).next().is_some();
        // As the metrics count it: by its whole name, where it can be one action alone.
        let whole_name = question.action_in(types).map(|action| action.as_str());
        Asked {
            principal: entity(&question.principal),
            action: whole_name.or(Some(question.action).filter(|_| is_known)),
            resource: entity(&question.resource),
            context: None,
        }
    }

    fn request<'a>(&'a self, snapshot: &'a Snapshot, request: &'a TypedRequest) -> Asked<'a> {
        let types = &snapshot.store.types;
        let Some(environment) = types.environments.get(request.environment) else { return Asked::default() };
        let mask = self.mask.as_ref().map(|mask| Masking { mask, types });
        let entity = |entity: &'a TypedEntity, of_type: &'a EntityType| {
            let shape = &of_type.attributes;
            let tags = entity.tags.as_ref().zip(of_type.tags.as_ref());
            Some(EntitySaid {
                attributes: Some(Logged { shape, record: &entity.attributes, raw: &entity.raw, mask }),
                tags: tags.map(|(tags, shape)| TagsSaid { shape, tags, mask }),
                parents: &entity.parents,
                stored: of_type.has_only_stored().then(|| snapshot.entities.get(&entity.uid).is_some()),
                ..EntitySaid::of(&of_type.full_name, id_of(&entity.uid))
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
                mask,
            }),
        }
    }
}

/// A whole record.
#[derive(Clone, Copy)]
struct Line<'a> {
    heading: &'a Heading<'a>,
    told: Told<'a>,
    asked: Asked<'a>,
    said: Said<'a>,
}

/// What was answered.
#[derive(Clone, Copy)]
enum Said<'a> {
    Decision(&'a Decision),
    NotDecided(NotDecided<'a>),
    Found(&'a SearchPage<'a>),
}

impl Line<'_> {
    /// Writes the members of the record; where they are too large, with fewer policies, and if that is not enough, only which
    /// entities it is about and what was decided.
    fn write(&self, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        let mut written = |line: &Line<'_>, policies, too_large| {
            bytes.truncate(start);
            line.members(&mut Json::behind(bytes), policies, too_large);
            bytes.len() - start
        };
        let whole = written(self, usize::MAX, None);
        if whole > LONGEST && written(self, NAMED, None) > LONGEST {
            written(&Line { asked: self.asked.shortened(), ..*self }, NAMED, Some(whole));
        }
    }

    /// So many `policies` that determined or failed are named; `too_large` is how many bytes the whole record has, where what was asked
    /// is not.
    fn members(&self, json: &mut Json<'_>, policies: usize, too_large: Option<usize>) {
        let Self { heading, told, asked, said } = self;
        json.member("time").text(&DateTime::<Utc>::from(told.time).to_rfc3339_opts(SecondsFormat::Micros, true));
        json.member("requestId").text(heading.request_id);
        if let Some(trace_id) = heading.trace_id {
            json.member("traceId").text(trace_id);
        }
        json.member("endpoint").text(heading.endpoint.word());
        if let Some(item) = told.item {
            json.member("item").number(item);
        }
        match heading.caller {
            Some(caller) => json.member("caller").text(caller),
            None => json.member("caller").null(),
        }
        asked.members(json);
        if let Some(bytes) = too_large {
            json.member("tooLarge").number(bytes);
        }
        match said {
            Said::Decision(Decision { dropped, .. }) => places(json, ["dropped", "moreDropped"], dropped),
            Said::Found(page) => dropped_in_search(json, page),
            Said::NotDecided(_) => {}
        }
        let (unread, more_unread) = told.unread;
        if !unread.is_empty() {
            json.member("unread").texts(unread.iter().map(String::as_str));
        }
        more(json, "moreUnread", more_unread);
        let plugins = &heading.snapshot.store.types.plugins;
        if !plugins.is_empty() {
            json.member("plugins").object(|json| {
                plugins.iter().for_each(|plugin| json.member(plugin.name()).text(plugin.version()));
            });
        }
        match said {
            Said::Decision(decision) => decided(json, decision, policies),
            Said::NotDecided(why) => not_decided(json, why),
            Said::Found(page) => found(json, page, too_large.is_some()),
        }
        json.member("revision").text(heading.snapshot.revision().as_str());
        json.member("durationMicros").number(told.took.as_micros());
    }
}

/// A decision, with what determined it, and what stood in its way: so many policies of each at most, and how many more there are.
fn decided(json: &mut Json<'_>, decision: &Decision, most: usize) {
    answered(json, Verdict::of(decision));
    match &decision.outcome {
        Outcome::Evaluated { determining, errors, .. } => {
            if !determining.is_empty() {
                json.member("determining").array(|json| {
                    for policy in determining.iter().take(most) {
                        json.object(|json| {
                            json.member("policy").text(&policy.id);
                            if !policy.clauses.is_empty() {
                                json.member("clauses").texts(policy.clauses.iter().map(|(id, _)| id.as_str()));
                            }
                        });
                    }
                });
            }
            more(json, "moreDetermining", determining.len().saturating_sub(most));
            if !errors.is_empty() {
                json.member("errors").array(|json| {
                    // Cedar's own message may hold values of the request.
                    errors
                        .iter()
                        .take(most)
                        .for_each(|error| failed(json, error.policy.as_ref().map(|note| &*note.id), error.kind));
                });
            }
            more(json, "moreErrors", errors.len().saturating_sub(most));
        }
        Outcome::Missing(missing) => places(json, ["missing", "moreMissing"], missing),
        // Why a request fails whole may hold something of it.
        Outcome::Failed(_) => {
            json.member("errors").array(|json| failed(json, None, "the request cannot be evaluated"));
        }
        Outcome::Unknown(_) => {}
    }
}

fn answered(json: &mut Json<'_>, verdict: Verdict) {
    json.member("decision").text(if verdict == Verdict::Allow { "allow" } else { "deny" });
    json.member("verdict").text(verdict.word());
}

/// A policy that could not be evaluated.
fn failed(json: &mut Json<'_>, policy: Option<&str>, error: &str) {
    json.object(|json| {
        match policy {
            Some(policy) => json.member("policy").text(policy),
            None => json.member("policy").null(),
        }
        json.member("error").text(error);
    });
}

fn not_decided(json: &mut Json<'_>, why: &NotDecided<'_>) {
    match why {
        NotDecided::Malformed => answered(json, Verdict::Invalid),
        NotDecided::NotAllowed(_) => answered(json, Verdict::NotAllowed),
        // What was expected where; what was found is the caller's.
        NotDecided::Invalid(invalid) => {
            answered(json, Verdict::Invalid);
            json.member("invalid").object(|json| {
                json.member("place").text(&invalid.place.to_string());
                json.member("expected").text(invalid.expected());
            });
        }
    }
}

/// What a search found; where that is too large, how much.
fn found(json: &mut Json<'_>, page: &SearchPage<'_>, is_too_large: bool) {
    if !is_too_large {
        json.member("results").texts(page.results.iter().copied());
    }
    json.member("count").number(page.results.len());
    json.member("candidates").number(page.candidates);
    for (name, id) in [("after", page.after), ("upTo", page.up_to)] {
        if let Some(id) = id.filter(|_| !is_too_large) {
            json.member(name).text(id);
        }
    }
    json.member("decided").number(page.decided);
    if page.context_varies {
        json.member("contextVaries").boolean(true);
    }
}

/// As [`places`], but written where there are none too: older logs do not say what was dropped in a search.
fn dropped_in_search(json: &mut Json<'_>, page: &SearchPage<'_>) {
    let Some(request) = page.request else { return };
    if request.dropped.is_empty() {
        json.member("dropped").array(|_| ());
    }
    places(json, ["dropped", "moreDropped"], &request.dropped);
}

/// The names of the first places, and how many more there are.
fn places(json: &mut Json<'_>, [named, counted]: [&'static str; 2], places: &Places) {
    if !places.is_empty() {
        json.member(named).array(|json| places.named.iter().for_each(|place| json.text(&place.to_string())));
    }
    more(json, counted, places.more);
}

fn more(json: &mut Json<'_>, name: &'static str, count: usize) {
    if count > 0 {
        json.member(name).number(count);
    }
}

/// What was asked.
#[derive(Clone, Copy, Default)]
struct Asked<'a> {
    principal: Option<EntitySaid<'a>>,
    action: Option<&'a str>,
    resource: Option<EntitySaid<'a>>,
    context: Option<Logged<'a>>,
}

/// An entity of the request. In a search, what is searched has no id.
#[derive(Clone, Copy)]
struct EntitySaid<'a> {
    type_name: &'a str,
    id: Option<&'a str>,
    attributes: Option<Logged<'a>>,
    /// Of the tags and the parents, only those that the caller says.
    tags: Option<TagsSaid<'a>>,
    parents: &'a [EntityUid],
    /// Whether it is stored, where there is something of its type that only the store may say.
    stored: Option<bool>,
}

impl<'a> EntitySaid<'a> {
    fn of(type_name: &'a str, id: &'a str) -> Self {
        Self { type_name, id: Some(id), attributes: None, tags: None, parents: &[], stored: None }
    }

    fn named(named: &Named<'a>) -> Self {
        Self::of(named.type_name, named.id)
    }

    fn shortened(self) -> Self {
        let short = Self::of(shortened(self.type_name), "");
        Self { id: self.id.map(shortened), ..short }
    }

    fn write(&self, json: &mut Json<'_>) {
        json.object(|json| {
            json.member("type").text(self.type_name);
            if let Some(id) = self.id {
                json.member("id").text(id);
            }
            if let Some(attributes) = &self.attributes {
                attributes.write(json.member("attributes"));
            }
            if let Some(tags) = self.tags.filter(|tags| !tags.tags.said.is_empty()) {
                tags.write(json.member("tags"));
            }
            if !self.parents.is_empty() {
                json.member("parents").array(|json| self.parents.iter().for_each(|parent| reference(json, parent)));
            }
            if let Some(stored) = self.stored {
                json.member("stored").boolean(stored);
            }
        });
    }
}

impl<'a> Asked<'a> {
    fn shortened(self) -> Self {
        Self {
            principal: self.principal.map(EntitySaid::shortened),
            action: self.action.map(shortened),
            resource: self.resource.map(EntitySaid::shortened),
            context: None,
        }
    }

    /// Without what a search looks for.
    fn searched(mut self, endpoint: Endpoint) -> Self {
        let without_id = |entity: EntitySaid<'a>| EntitySaid { id: None, stored: None, ..entity };
        match endpoint {
            Endpoint::SubjectSearch => self.principal = self.principal.map(without_id),
            Endpoint::ResourceSearch => self.resource = self.resource.map(without_id),
            Endpoint::Evaluation | Endpoint::Evaluations | Endpoint::ActionSearch => {}
        }
        self
    }

    fn members(&self, json: &mut Json<'_>) {
        if let Some(principal) = &self.principal {
            principal.write(json.member("principal"));
        }
        if let Some(action) = self.action {
            json.member("action").text(action);
        }
        if let Some(resource) = &self.resource {
            resource.write(json.member("resource"));
        }
        if let Some(context) = &self.context {
            context.write(json.member("context"));
        }
    }
}

fn shortened(text: &str) -> &str {
    text.char_indices().nth(SHORTENED).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

fn id_of(uid: &EntityUid) -> &str {
    uid.id().as_ref()
}

/// A reference to an entity of one of several types.
fn reference(json: &mut Json<'_>, uid: &EntityUid) {
    json.object(|json| {
        json.member("type").text(&uid.type_name().to_string());
        json.member("id").text(id_of(uid));
    });
}

/// What values are masked with, and the schema, which says of which there are few.
#[derive(Clone, Copy)]
struct Masking<'a> {
    mask: &'a Mask,
    types: &'a Types,
}

impl Masking<'_> {
    /// The digest of a value: of a string itself, of anything else as it would be written.
    fn digest(&self, shape: &Shape, value: &Value) -> Digest {
        let is_one_of_few = self.is_one_of_few(shape, value);
        match value {
            Value::String(text) | Value::Raw(text) | Value::Extension(_, text) => self.mask.of(text, is_one_of_few),
            Value::Entity(uid) => self.mask.of(id_of(uid), is_one_of_few),
            other => {
                let mut bytes = Vec::new();
                plain(&mut Json::behind(&mut bytes), other);
                self.mask.of(&bytes, is_one_of_few)
            }
        }
    }

    /// Whether a value can be found by trying, however long it is written: nothing in it by itself is one of many.
    fn is_one_of_few(&self, shape: &Shape, value: &Value) -> bool {
        match (shape, value) {
            (Shape::Set(element), Value::Set(elements)) => {
                elements.iter().all(|value| self.is_one_of_few(element, value))
            }
            (Shape::Record(shape), Value::Record(record)) => record
                .iter()
                .all(|(name, value)| shape.0.get(name).is_some_and(|field| self.is_one_of_few(&field.shape, value))),
            (Shape::Entity(name), Value::Entity(uid)) => {
                self.types.entity_of(name).is_some_and(|known| known.ids.is_some()) || id_of(uid).len() < FEWEST_BYTES
            }
            (_, Value::Bool(_)) => true,
            // A day is one of some ten thousand.
            (_, Value::Extension(Extension::Datetime | Extension::Duration, _)) => true,
            (_, Value::Long(value)) => value.unsigned_abs() < MANY,
            (_, Value::String(text) | Value::Raw(text) | Value::Extension(_, text)) => text.len() < FEWEST_BYTES,
            (_, Value::Entity(uid)) => id_of(uid).len() < FEWEST_BYTES,
            (_, Value::Set(elements)) => elements.iter().all(|value| self.is_one_of_few(shape, value)),
            (_, Value::Record(record)) => record.values().all(|value| self.is_one_of_few(shape, value)),
        }
    }
}

/// A number of fewer digits than a text of [`FEWEST_BYTES`] can be found by trying.
const MANY: u64 = 10_000_000;

/// The tags that a caller says, by their keys.
#[derive(Clone, Copy)]
struct TagsSaid<'a> {
    shape: &'a Shape,
    tags: &'a Tags,
    mask: Option<Masking<'a>>,
}

impl TagsSaid<'_> {
    fn write(&self, json: &mut Json<'_>) {
        let Tags { said, said_raw, .. } = self.tags;
        let of_values = Logged { shape: NO_SHAPE, record: said, raw: said_raw, mask: self.mask };
        json.object(|json| {
            for (key, value) in said {
                of_values.value(named_apart(json, key), self.shape, value, said_raw.get(key));
            }
        });
    }
}

const NO_SHAPE: &RecordShape = &RecordShape(BTreeMap::new());

/// A name that a caller chose: where it starts as those that the log itself writes, it does so twice.
fn named_apart<'j, 'b>(json: &'j mut Json<'b>, name: &str) -> &'j mut Json<'b> {
    if name.starts_with(RESERVED) { json.named(&format!("{RESERVED}{name}")) } else { json.named(name) }
}

/// The attributes of an entity, or the context.
#[derive(Clone, Copy)]
struct Logged<'a> {
    shape: &'a RecordShape,
    record: &'a Record,
    /// As it came; empty where facts came.
    raw: &'a Record,
    mask: Option<Masking<'a>>,
}

impl Logged<'_> {
    fn write(&self, json: &mut Json<'_>) {
        json.object(|json| {
            for (name, value) in self.record {
                let Some(field) = self.shape.0.get(name) else { continue };
                let raw = self.raw.get(name);
                let json = json.named(name);
                match self.mask.filter(|_| field.sensitive) {
                    Some(mask) => {
                        let digest = mask.digest(&field.shape, raw.unwrap_or(value));
                        masked(json, &digest, Some(&field.shape.sent_as()));
                    }
                    None => self.value(json, &field.shape, value, raw),
                }
            }
        });
    }

    fn value(&self, json: &mut Json<'_>, shape: &Shape, value: &Value, raw: Option<&Value>) {
        match (shape, value) {
            (Shape::Parsed(parsed), Value::Record(facts)) => {
                let raw = match raw {
                    Some(Value::Raw(raw)) => Some(raw),
                    _ => None,
                };
                read(json, parsed, facts, raw, self.mask);
            }
            (Shape::Record(shape), Value::Record(record)) => {
                let raw = match raw {
                    Some(Value::Record(raw)) => raw,
                    _ => NOTHING,
                };
                Logged { shape, record, raw, mask: self.mask }.write(json);
            }
            (Shape::Set(shape), Value::Set(elements)) => {
                let raw = match raw {
                    Some(Value::Set(raw)) => raw.as_slice(),
                    _ => &[],
                };
                json.array(|json| {
                    for (index, element) in elements.iter().enumerate() {
                        self.value(json, shape, element, raw.get(index));
                    }
                });
            }
            _ => plain(json, value),
        }
    }
}

const NOTHING: &Record = &Record::new();

/// What a plugin read: the facts, but for those that repeat the raw string, and a mask of it.
fn read(json: &mut Json<'_>, parsed: &Parsed, facts: &Record, raw: Option<&SmolStr>, mask: Option<Masking<'_>>) {
    json.object(|json| {
        let digest_of_raw = raw.zip(mask).map(|(raw, masking)| masking.mask.of(raw, false));
        match (raw, &digest_of_raw) {
            (_, Some(digest)) => json.member(MASKED).digest(digest),
            (Some(raw), None) => json.member(RAW).text(raw),
            (None, None) => {}
        }
        for (name, fact) in facts {
            let json = json.named(name);
            match mask.filter(|_| parsed.masks(name) && !is_empty(fact)) {
                // What repeats the string is often the same, and its digest is known.
                Some(mask) => {
                    let is_same = matches!((fact, raw), (Value::String(text), Some(raw)) if text == raw);
                    let digest = digest_of_raw.filter(|_| is_same).unwrap_or_else(|| mask.digest(&Shape::String, fact));
                    masked(json, &digest, None);
                }
                None => plain(json, fact),
            }
        }
    });
}

/// What the facts of a string are that is not valid: nothing is to be hidden there.
fn is_empty(fact: &Value) -> bool {
    matches!(fact, Value::String(text) if text.is_empty())
}

/// What stands for a value that is masked; with its type, where that is not known from the plugin.
fn masked(json: &mut Json<'_>, digest: &Digest, of_type: Option<&str>) {
    json.object(|json| {
        json.member(MASKED).digest(digest);
        if let Some(of_type) = of_type {
            json.member(TYPE).text(of_type);
        }
    });
}

/// A value as a request would send it.
fn plain(json: &mut Json<'_>, value: &Value) {
    match value {
        Value::Bool(value) => json.boolean(*value),
        Value::Long(value) => json.number(*value),
        Value::String(text) | Value::Raw(text) | Value::Extension(_, text) => json.text(text),
        Value::Entity(uid) => json.text(id_of(uid)),
        Value::Set(elements) => json.array(|json| elements.iter().for_each(|element| plain(json, element))),
        Value::Record(record) => {
            json.object(|json| record.iter().for_each(|(name, value)| plain(json.named(name), value)));
        }
    }
}
