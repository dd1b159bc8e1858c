//! The OpenID AuthZEN Authorization API 1.0: what its bodies mean, and what is answered.
//!
//! Nothing else in the project knows AuthZEN's field names.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::engine::{Decision, Explained, Outcome, PolicyNote, Snapshot};
use crate::request::json::{Json, JsonError, Members, member};
use crate::request::place::{Part, Place, Places};
use crate::request::{Facts, InvalidRequest, Named, Question, Unknown};

/// How much of the reasons a caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reasons {
    /// The decision alone.
    #[default]
    None,
    /// The sentences that may be shown to a person.
    User,
    /// These, and which policies and clauses they come from, what was dropped and what went wrong.
    Admin,
}

impl Reasons {
    fn read(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Self::None),
            "user" => Some(Self::User),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }
}

/// What a service allows its callers.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest body, in bytes.
    pub body_bytes: usize,
    /// The most items of a batch.
    pub batch_items: usize,
    /// The deepest nesting of a body, in levels of arrays and objects.
    pub depth: usize,
    /// The reasons that a caller gets who asks for nothing.
    pub reasons: Reasons,
    /// The most reasons that a caller can get.
    pub max_reasons: Reasons,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body_bytes: 1 << 20, batch_items: 1000, depth: 64, reasons: Reasons::None, max_reasons: Reasons::User }
    }
}

/// Why a body cannot be answered with a decision: status 400, with this as its message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// Not JSON, or nested too deeply.
    #[error("the body is {0}")]
    Json(#[from] JsonError),
    /// Not of the shape that AuthZEN gives the body.
    #[error("{0}")]
    Shape(String),
    /// A value of another type than the schema declares.
    #[error("`{}` must be {}, but is {}", shown(&.0.place), .0.expected, .0.found)]
    Invalid(#[from] InvalidRequest),
}

fn shape(message: impl Into<String>) -> BadRequest {
    BadRequest::Shape(message.into())
}

/// An answer to `/access/v1/evaluation`, and an item of one to `/access/v1/evaluations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EvaluationResponse {
    /// Whether the request is allowed.
    pub decision: bool,
    /// The reasons, where they were asked for and there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<ReasonContext>,
}

/// An answer to `/access/v1/evaluations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum EvaluationsResponse {
    /// To a body without `evaluations`.
    Single(EvaluationResponse),
    /// To a batch: one for each item, in their order; fewer where it was cut short.
    Batch {
        /// The answers.
        evaluations: Vec<EvaluationResponse>,
    },
}

/// The reasons of a decision: sentences by the id of the policy, or by a reserved key that starts with `gatepost:`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReasonContext {
    /// What may be shown to a person.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reason_user: BTreeMap<String, String>,
    /// What an administrator sees.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reason_admin: BTreeMap<String, String>,
}

/// Answers a body of `/access/v1/evaluation`.
///
/// # Errors
///
/// What the table of the README calls 400.
pub fn evaluation(snapshot: &Snapshot, limits: &Limits, body: &[u8]) -> Result<EvaluationResponse, BadRequest> {
    let body = Json::parse(body, limits.depth)?;
    let body = members(&body, "the body")?;
    single(snapshot, limits, body)
}

/// Answers a body of `/access/v1/evaluations`.
///
/// # Errors
///
/// What the table of the README calls 400. A broken item of a batch is not an error, but denied.
pub async fn evaluations(snapshot: &Snapshot, limits: &Limits, body: &[u8]) -> Result<EvaluationsResponse, BadRequest> {
    let body = Json::parse(body, limits.depth)?;
    let body = members(&body, "the body")?;
    if let Some(name) = Json::repeated(body) {
        return Err(repeated(name));
    }
    let items = match member(body, "evaluations") {
        None => &[][..],
        Some(Json::Array(items)) => items,
        Some(other) => return Err(wrong_type("evaluations", "an array", other)),
    };
    if items.is_empty() {
        return single(snapshot, limits, body).map(EvaluationsResponse::Single);
    }
    if items.len() > limits.batch_items {
        let message = format!("`evaluations` has {} items; at most {} are taken", items.len(), limits.batch_items);
        return Err(shape(message));
    }
    let options = Options::read(body, limits)?;
    let defaults = Defaults::new(body);
    let mut answers = Vec::with_capacity(items.len());
    let mut slice = Instant::now();
    for item in items {
        let answer = batch_item(snapshot, &defaults, item, options.reasons)
            .unwrap_or_else(|error| refused(&error, options.reasons));
        let decision = answer.decision;
        answers.push(answer);
        if options.semantic.stops_at(decision) {
            break;
        }
        if slice.elapsed() > SLICE {
            tokio::task::yield_now().await;
            slice = Instant::now();
        }
    }
    Ok(EvaluationsResponse::Batch { evaluations: answers })
}

/// How long a batch decides without letting other requests in.
const SLICE: Duration = Duration::from_millis(2);

/// The question that a body asks, for whoever reads AuthZEN without a service.
///
/// # Errors
///
/// A body that is not of the shape of an evaluation request.
pub fn question<'a>(body: &'a Json<'a>) -> Result<Question<'a>, BadRequest> {
    let body = members(body, "the body")?;
    whole(body)?;
    assemble(|name| Ok(member(body, name)))
}

fn single(snapshot: &Snapshot, limits: &Limits, body: Members<'_>) -> Result<EvaluationResponse, BadRequest> {
    whole(body)?;
    let options = Options::read(body, limits)?;
    let question = assemble(|name| Ok(member(body, name)))?;
    Ok(decided(snapshot, &question, options.reasons)?)
}

fn decided(
    snapshot: &Snapshot,
    question: &Question<'_>,
    reasons: Reasons,
) -> Result<EvaluationResponse, InvalidRequest> {
    let decision = snapshot.decide(question, Facts::FromPlugins)?;
    let explain = || snapshot.explain(question, Facts::FromPlugins, &snapshot.entities, &decision);
    Ok(answer(&decision, reasons, explain))
}

/// What the items of a batch share: parts of a request, each for the items that do not have it themselves.
struct Defaults<'a> {
    body: Members<'a>,
    /// The parts in which an object has two members of one name: looked for once, and not for each item.
    flawed: Vec<&'static str>,
}

impl<'a> Defaults<'a> {
    fn new(body: Members<'a>) -> Self {
        let flawed = ["subject", "action", "resource", "context"].into_iter();
        let flawed = flawed.filter(|name| member(body, name).is_some_and(Json::has_duplicates));
        Self { body, flawed: flawed.collect() }
    }

    fn part(&self, name: &str) -> Result<Option<&'a Json<'a>>, BadRequest> {
        if self.flawed.contains(&name) { Err(two_of_one_name(name)) } else { Ok(member(self.body, name)) }
    }
}

/// Each part of an item is its own or the batch's, replaced whole and never merged; what no item uses is not looked at.
fn batch_item(
    snapshot: &Snapshot,
    defaults: &Defaults<'_>,
    item: &Json<'_>,
    reasons: Reasons,
) -> Result<EvaluationResponse, BadRequest> {
    let item = members(item, "the item")?;
    whole(item)?;
    let question = assemble(|name| match member(item, name) {
        Some(own) => Ok(Some(own)),
        None => defaults.part(name),
    })?;
    Ok(decided(snapshot, &question, reasons)?)
}

fn whole(body: Members<'_>) -> Result<(), BadRequest> {
    match Json::repeated(body) {
        Some(name) => Err(repeated(name)),
        None => match body.iter().find(|(_, value)| value.has_duplicates()) {
            Some((name, _)) => Err(two_of_one_name(name)),
            None => Ok(()),
        },
    }
}

fn assemble<'a>(
    part: impl Fn(&'static str) -> Result<Option<&'a Json<'a>>, BadRequest>,
) -> Result<Question<'a>, BadRequest> {
    let required = |name| part(name)?.ok_or_else(|| shape(format!("`{name}` is missing")));
    let action = members(required("action")?, "action")?;
    let subject = members(required("subject")?, "subject")?;
    let resource = members(required("resource")?, "resource")?;
    Ok(Question {
        principal: named(subject, "subject")?,
        action: text(action, "action", "name")?,
        action_attributes: optional_members(member(action, "properties"), "action.properties")?,
        resource: named(resource, "resource")?,
        context: optional_members(part("context")?, "context")?,
    })
}

fn named<'a>(entity: Members<'a>, part: &str) -> Result<Named<'a>, BadRequest> {
    Ok(Named {
        type_name: text(entity, part, "type")?,
        id: text(entity, part, "id")?,
        attributes: optional_members(member(entity, "properties"), &format!("{part}.properties"))?,
    })
}

fn text<'a>(object: Members<'a>, part: &str, name: &str) -> Result<&'a str, BadRequest> {
    let found = member(object, name).ok_or_else(|| shape(format!("`{part}.{name}` is missing")))?;
    found.as_str().ok_or_else(|| wrong_type(&format!("{part}.{name}"), "a string", found))
}

fn members<'a>(json: &'a Json<'a>, name: &str) -> Result<Members<'a>, BadRequest> {
    match json {
        Json::Object(members) => Ok(members),
        other => Err(wrong_type(name, "an object", other)),
    }
}

fn optional_members<'a>(json: Option<&'a Json<'a>>, name: &str) -> Result<Members<'a>, BadRequest> {
    json.map_or(Ok(&[]), |json| members(json, name))
}

fn two_of_one_name(name: &str) -> BadRequest {
    shape(format!("`{}` has an object with two members of one name", name.escape_debug()))
}

fn repeated(name: &str) -> BadRequest {
    shape(format!("two members have the name `{}`", name.escape_debug()))
}

fn wrong_type(name: &str, expected: &str, found: &Json<'_>) -> BadRequest {
    let name = if name.contains(' ') { Cow::Borrowed(name) } else { Cow::Owned(format!("`{name}`")) };
    shape(format!("{name} must be {expected}, but is {}", found.kind()))
}

/// The members of `options` that mean something here; all others are ignored.
struct Options {
    reasons: Reasons,
    semantic: Semantic,
}

/// `options.evaluations_semantic`: which decision cuts a batch short.
#[derive(Clone, Copy)]
enum Semantic {
    ExecuteAll,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}

impl Semantic {
    fn stops_at(self, decision: bool) -> bool {
        matches!((self, decision), (Self::DenyOnFirstDeny, false) | (Self::PermitOnFirstPermit, true))
    }
}

impl Options {
    fn read(body: Members<'_>, limits: &Limits) -> Result<Self, BadRequest> {
        let options = optional_members(member(body, "options"), "options")?;
        if let Some(name) = Json::repeated(options) {
            return Err(repeated(name));
        }
        let choice = |name: &str, choices: &str| {
            let unknown = || shape(format!("`options.{name}` must be one of {choices}"));
            member(options, name).map(|json| json.as_str().ok_or_else(unknown)).transpose()
        };
        let reasons = "`none`, `user` and `admin`";
        let semantics = "`execute_all`, `deny_on_first_deny` and `permit_on_first_permit`";
        let reasons = match choice("reasons", reasons)? {
            None => limits.reasons,
            Some(text) => {
                Reasons::read(text).ok_or_else(|| shape(format!("`options.reasons` must be one of {reasons}")))?
            }
        };
        let semantic = match choice("evaluations_semantic", semantics)? {
            None | Some("execute_all") => Semantic::ExecuteAll,
            Some("deny_on_first_deny") => Semantic::DenyOnFirstDeny,
            Some("permit_on_first_permit") => Semantic::PermitOnFirstPermit,
            Some(_) => return Err(shape(format!("`options.evaluations_semantic` must be one of {semantics}"))),
        };
        Ok(Self { reasons: reasons.min(limits.max_reasons), semantic })
    }
}

/// What a decision is in AuthZEN's words, with the reasons that the caller may have; `explain` is asked only for an
/// administrator's.
pub fn answer(decision: &Decision, reasons: Reasons, explain: impl FnOnce() -> Vec<Explained>) -> EvaluationResponse {
    let mut context = ReasonContext::default();
    if reasons >= Reasons::User {
        context.reason_user = user_reasons(decision);
    }
    if reasons >= Reasons::Admin {
        context.reason_admin = admin_reasons(decision, &explain());
    }
    EvaluationResponse { decision: decision.allowed, context: context.unless_empty() }
}

impl ReasonContext {
    fn unless_empty(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}

fn refused(error: &BadRequest, reasons: Reasons) -> EvaluationResponse {
    let sentence = BTreeMap::from([(INVALID.to_owned(), error.to_string())]);
    let mut context = ReasonContext::default();
    if reasons >= Reasons::User {
        context.reason_user.clone_from(&sentence);
    }
    if reasons >= Reasons::Admin {
        context.reason_admin = sentence;
    }
    EvaluationResponse { decision: false, context: context.unless_empty() }
}

const MISSING: &str = "gatepost:missing";
const INVALID: &str = "gatepost:invalid";
const ERROR: &str = "gatepost:error";
const DROPPED: &str = "gatepost:dropped";

/// The sentences for a person. An allow needs none.
fn user_reasons(decision: &Decision) -> BTreeMap<String, String> {
    let reason = |note: &PolicyNote| note.reason.clone().map(|reason| (note.id.clone(), reason));
    match &decision.outcome {
        Outcome::Evaluated { errors, .. } if !errors.is_empty() => {
            BTreeMap::from([(ERROR.to_owned(), "a policy could not be evaluated".to_owned())])
        }
        Outcome::Evaluated { .. } if decision.allowed => BTreeMap::new(),
        Outcome::Evaluated { determining, not_permitted, .. } => {
            determining.iter().chain(not_permitted).filter_map(|note| reason(note)).collect()
        }
        Outcome::Missing(places) => BTreeMap::from([(MISSING.to_owned(), missing(places))]),
        Outcome::Unknown(unknown) => BTreeMap::from([(INVALID.to_owned(), unknown_in_words(unknown))]),
        Outcome::Failed(_) => BTreeMap::from([(ERROR.to_owned(), "the request could not be evaluated".to_owned())]),
    }
}

/// Which policies and clauses, which conditions did not hold on what values, and what went wrong.
fn admin_reasons(decision: &Decision, explained: &[Explained]) -> BTreeMap<String, String> {
    let mut reasons: BTreeMap<String, String> = match &decision.outcome {
        Outcome::Evaluated { errors, not_permitted, .. } => {
            let messages: Vec<_> = errors.iter().map(|error| error.message.clone()).collect();
            let error = (!messages.is_empty()).then(|| (ERROR.to_owned(), messages.join("; ")));
            let policies = explained.iter().filter(|explained| {
                let failed =
                    errors.iter().any(|error| error.policy.as_ref().is_some_and(|note| note.id == explained.note.id));
                !failed
            });
            let verb = |note: &PolicyNote| match (note.permits, not_permitted.is_empty()) {
                (true, true) => "permits",
                (true, false) => "does not permit",
                (false, _) => "forbids",
            };
            policies
                .map(|explained| (explained.note.id.clone(), described(verb(&explained.note), explained)))
                .chain(error)
                .collect()
        }
        Outcome::Failed(message) => BTreeMap::from([(ERROR.to_owned(), message.clone())]),
        Outcome::Missing(_) | Outcome::Unknown(_) => user_reasons(decision),
    };
    if !decision.dropped.is_empty() {
        let dropped = decision.dropped.listed(shown);
        reasons.insert(DROPPED.to_owned(), format!("not declared in the schema: {dropped}"));
    }
    reasons
}

fn described(verb: &str, explained: &Explained) -> String {
    let mut text = verb.to_owned();
    if let Some(reason) = &explained.note.reason {
        text.push_str(&format!(": {reason}"));
    }
    let clauses: Vec<&str> = explained.note.clauses.iter().map(|(id, _)| id.as_str()).collect();
    if !clauses.is_empty() {
        text.push_str(&format!(" [{}]", clauses.join(", ")));
    }
    let failing = explained.failing().map(|condition| match condition.saw_in_words() {
        saw if saw.is_empty() => condition.text.clone(),
        saw => format!("{} ({saw})", condition.text),
    });
    let failing: Vec<String> = failing.collect();
    if !failing.is_empty() {
        let end = if text == verb { "." } else { "" };
        text.push_str(&format!("{end} Not so: {}.", failing.join("; ")));
    }
    text
}

fn missing(places: &Places) -> String {
    format!("required, but neither sent nor stored: {}", places.listed(shown))
}

fn unknown_in_words(unknown: &Unknown) -> String {
    let what = match unknown {
        Unknown::Type(Part::Resource | Part::ResourceId) => {
            "the schema has no entity type of the name in `resource.type`"
        }
        Unknown::Type(_) => "the schema has no entity type of the name in `subject.type`",
        Unknown::Action => "the schema has no action of the name in `action.name`",
        Unknown::Ambiguous => {
            "several actions have the id in `action.name`: name the whole action, as in `Docs::Action::\"read\"`"
        }
        Unknown::NotApplicable => "the action does not apply to a subject and a resource of these types",
    };
    what.to_owned()
}

/// A place in AuthZEN's words.
pub fn shown(place: &Place) -> String {
    let part = match place.part {
        Part::PrincipalId => "subject.id",
        Part::Principal => "subject.properties",
        Part::Action => "action.properties",
        Part::ResourceId => "resource.id",
        Part::Resource => "resource.properties",
        Part::Context => "context",
    };
    format!("{part}{}", place.path)
}
