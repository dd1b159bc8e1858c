//! Reasons: what a caller is told of a decision beside it, in `context`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use utoipa::ToSchema;

use super::evaluation::EvaluationResponse;
use super::reading::visible;
use super::{Hints, Refusal, Unread, shown};
use crate::engine::{Decision, Explained, Outcome, PolicyNote};
use crate::request::place::{Part, Participant, Place, Places};
use crate::request::{Named, Question, Resolved, TypedRequest, Unknown};
use crate::store::nearest::nearest;
use crate::store::schema::{Environment, Types};

/// How much of the reasons a caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, clap::ValueEnum, Deserialize, ToSchema)]
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

/// The reasons of a decision: sentences by the id of the policy, or by a reserved key that starts with `gatepost:`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReasonContext {
    /// Why an item of a batch was not decided: it is no request, or its caller may not ask. It is there whether reasons were asked for
    /// or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<ItemError>,
    /// What may be shown to a person.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    pub reason_user: BTreeMap<String, String>,
    /// What who has written the request should know: what it lacks, what it asks about that is not known, and what in it is not read.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    pub reason_developer: BTreeMap<String, String>,
    /// What an administrator sees.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    pub reason_admin: BTreeMap<String, String>,
}

/// What is wrong with an item of a batch, as the status and the message that it would get as a request of its own (section 7.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ItemError {
    /// The status.
    pub status: u16,
    /// The message.
    pub message: String,
}

/// What a decision is about: what its reasons name.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The schema.
    pub types: &'a Types,
    /// What was asked.
    pub question: &'a Question<'a>,
    /// What the question is under the schema.
    pub resolved: &'a Resolved,
    /// What was sent and is not read.
    pub unread: Unread<'a>,
}

impl<'a> About<'a> {
    /// The environment of the request; `None` where the schema knows none.
    pub fn environment(&self) -> Option<&'a Environment> {
        match self.resolved {
            Resolved::Request(request) => self.types.environments.get(request.environment),
            Resolved::Unknown(_) => None,
        }
    }

    /// The request under the schema, if it is one.
    fn request(&self) -> Option<&'a TypedRequest> {
        match self.resolved {
            Resolved::Request(request) => Some(request),
            Resolved::Unknown(_) => None,
        }
    }

    /// What in it is not read, by its key.
    pub(in crate::http) fn dropped(&self) -> Option<(&'static str, String)> {
        (!self.unread.is_empty()).then(|| (DROPPED, dropped_in_words(&self.unread, self.environment())))
    }
}

/// What a decision is in AuthZEN's words, with the reasons that the caller may have; `explain` is asked only for an
/// administrator's.
pub fn answer(
    decision: &Decision,
    reasons: Reasons,
    about: &About<'_>,
    explain: impl FnOnce() -> Vec<Explained>,
) -> EvaluationResponse {
    let mut context = ReasonContext::default();
    if reasons >= Reasons::User {
        context.reason_user = user_reasons(decision);
        context.reason_developer = owned(developer_reasons(decision, about)).collect();
    }
    if reasons >= Reasons::Admin {
        context.reason_admin = admin_reasons(decision, about, &explain());
    }
    EvaluationResponse { decision: decision.allowed, context: context.unless_empty() }
}

impl ReasonContext {
    fn unless_empty(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}

/// The answer to an item of a batch that is no request: denied, with what is wrong with it.
pub(super) fn refused(error: &Refusal) -> EvaluationResponse {
    let error = ItemError { status: error.status(), message: error.to_string() };
    EvaluationResponse {
        decision: false,
        context: ReasonContext { error: Some(error), ..Default::default() }.unless_empty(),
    }
}

/// What stands beside the results of a search: what is asked about that is not known, what is missing for every candidate, and what is not
/// read.
pub(in crate::http) fn search_context(
    reasons: Reasons,
    sentences: BTreeMap<&'static str, String>,
) -> Option<ReasonContext> {
    let context = ReasonContext { reason_developer: owned(sentences).collect(), ..Default::default() };
    (reasons >= Reasons::User).then_some(context)?.unless_empty()
}

/// The key of what is required, and not there.
pub(in crate::http) const MISSING: &str = "gatepost:missing";
/// The key of what is asked about, and not known.
pub(in crate::http) const INVALID: &str = "gatepost:invalid";
const ERROR: &str = "gatepost:error";
/// The key of what is sent, and not read.
pub(in crate::http) const DROPPED: &str = "gatepost:dropped";

/// The sentences for a person. An allow needs none, and what is wrong with a request is not for persons to read.
fn user_reasons(decision: &Decision) -> BTreeMap<String, String> {
    let reason = |note: &PolicyNote| note.reason.clone().map(|reason| (note.id.clone(), reason));
    match &decision.outcome {
        Outcome::Evaluated { determining, errors, not_permitted } if !decision.allowed && errors.is_empty() => {
            determining.iter().chain(not_permitted.iter()).filter_map(|note| reason(note)).collect()
        }
        _ => BTreeMap::new(),
    }
}

/// What who has written the request should know.
pub(in crate::http) fn developer_reasons(decision: &Decision, about: &About<'_>) -> BTreeMap<&'static str, String> {
    let found = match &decision.outcome {
        Outcome::Evaluated { errors, .. } if !errors.is_empty() => {
            Some((ERROR, "a policy could not be evaluated".to_owned()))
        }
        Outcome::Evaluated { .. } => None,
        Outcome::Missing(places) => Some((MISSING, missing_in_words(places, about.request()))),
        Outcome::Unknown(unknown) => {
            Some((INVALID, unknown_in_words(unknown, about.question, about.types, about.unread.hints)))
        }
        Outcome::Failed(_) => Some((ERROR, "the request could not be evaluated".to_owned())),
    };
    found.into_iter().chain(about.dropped()).collect()
}

fn owned(sentences: impl IntoIterator<Item = (&'static str, String)>) -> impl Iterator<Item = (String, String)> {
    sentences.into_iter().map(|(key, sentence)| (key.to_owned(), sentence))
}

/// What was sent and is not read.
pub(in crate::http) fn dropped_in_words(unread: &Unread<'_>, environment: Option<&Environment>) -> String {
    format!("sent, but not read: {}", unread.in_words(environment))
}

/// Which policies and clauses, which conditions did not hold on what values, and what went wrong.
fn admin_reasons(decision: &Decision, about: &About<'_>, explained: &[Explained]) -> BTreeMap<String, String> {
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
        Outcome::Missing(_) | Outcome::Unknown(_) => owned(developer_reasons(decision, about)).collect(),
    };
    reasons.extend(owned(about.dropped()));
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

/// What the schema requires and is not there, and why it is not, if it was sent, or only the store may say it.
pub fn missing_in_words(places: &Places, request: Option<&TypedRequest>) -> String {
    let (untold, lost) = request.map_or((&[][..], &[][..]), |request| (&*request.untold, &*request.lost));
    let lost_at = |place: &Place| lost.iter().find(|(at, _)| at == place);
    let is_plain = |place: &&Place| !untold.contains(place) && lost_at(place).is_none();
    let plain = Places { named: places.named.iter().filter(is_plain).cloned().collect(), more: 0 };
    let mut sentences = Vec::new();
    if !plain.is_empty() {
        sentences.push(format!("required, but neither sent nor stored: {}", plain.listed(shown)));
    }
    let sides = request
        .map(|request| [(Participant::Principal, &request.principal), (Participant::Resource, &request.resource)]);
    for (participant, entity) in sides.into_iter().flatten() {
        let of_entity = |place: &&Place| untold.contains(place) && place.part.participant() == Some(participant);
        let untold = Places { named: places.named.iter().filter(of_entity).cloned().collect(), more: 0 };
        if !untold.is_empty() {
            let (of_type, id) = (entity.uid.type_name(), visible(entity.uid.id().as_ref()));
            let untold = untold.listed(shown);
            sentences.push(format!("`{of_type}::\"{id}\"` is not stored, and only the store may say {untold}"));
        }
    }
    for (place, of_type) in places.named.iter().filter_map(lost_at) {
        sentences.push(format!("`{}` must refer to what is stored, and its `{of_type}` is not", shown(place)));
    }
    let more = if places.more > 0 { format!(" and {} more", places.more) } else { String::new() };
    sentences.join("; ") + &more
}

/// What the schema does not know of what is asked, and what was probably meant.
pub(crate) fn unknown_in_words(unknown: &Unknown, question: &Question<'_>, types: &Types, hints: &Hints) -> String {
    let (sent, meant, what) = match unknown {
        Unknown::Type(Part::Resource | Part::ResourceId) => {
            let sent = question.resource.type_name;
            (sent, meant_type(sent, types, hints), "entity type, which is `resource.type`")
        }
        Unknown::Type(_) => {
            let sent = question.principal.type_name;
            (sent, meant_type(sent, types, hints), "entity type, which is `subject.type`")
        }
        Unknown::Id(Part::Resource | Part::ResourceId) => {
            return unknown_id("resource", &question.resource, types, hints);
        }
        Unknown::Id(_) => return unknown_id("subject", &question.principal, types, hints),
        Unknown::Action => {
            let sent = question.action;
            (sent, meant_action(sent, types, hints), "action, which is `action.name`")
        }
        Unknown::Ambiguous => {
            let sent = visible(question.action);
            return format!(
                "several actions have the id `{sent}`, which is `action.name`: name the whole action, as in `Docs::Action::\"read\"`"
            );
        }
        Unknown::NotApplicable => {
            let [action, subject, resource] =
                [question.action, question.principal.type_name, question.resource.type_name].map(visible);
            return format!(
                "the action `{action}` does not apply to a subject `{subject}` and a resource `{resource}`"
            );
        }
    };
    format!("the schema does not know `{}` as an {what}{meant}", visible(sent))
}

/// Why there is no action for a question: what the schema does not know of its subject and resource.
pub(in crate::http) fn nothing_in_words(question: &Question<'_>, types: &Types, hints: &Hints) -> Option<String> {
    let unknown = match [&question.principal, &question.resource].map(|named| types.entity(named.type_name).is_some()) {
        [false, _] => Unknown::Type(Part::Principal),
        [true, false] => Unknown::Type(Part::Resource),
        [true, true] => {
            let [subject, resource] = [&question.principal, &question.resource].map(|named| visible(named.type_name));
            return Some(format!("no action applies to a subject `{subject}` and a resource `{resource}`"));
        }
    };
    Some(unknown_in_words(&unknown, question, types, hints))
}

fn meant_type(name: &str, types: &Types, hints: &Hints) -> SmolStr {
    hints.of(&types.entities, types.entities.len(), name, || {
        let aliases = types.entities.values().flat_map(|entity| &entity.aliases);
        nearest(name, types.entities.keys().chain(aliases).map(SmolStr::as_str)).map(meant)
    })
}

fn meant_action(name: &str, types: &Types, hints: &Hints) -> SmolStr {
    hints.of(&types.environments, types.environments.len(), name, || {
        let known = types.environments.iter().map(|environment| AsRef::<str>::as_ref(environment.action.id()));
        nearest(name, known).map(meant)
    })
}

fn unknown_id(part: &str, named: &Named<'_>, types: &Types, hints: &Hints) -> String {
    let ids = types.entity(named.type_name).and_then(|entity| entity.ids.as_deref()).unwrap_or_default();
    let meant = hints.of(ids, ids.len(), named.id, || nearest(named.id, ids.iter().map(SmolStr::as_str)).map(meant));
    let (id, type_name) = (visible(named.id), visible(named.type_name));
    format!("the enumerated type `{type_name}` has no `{id}`, which is `{part}.id`{meant}")
}

fn meant(nearest: &str) -> String {
    format!("; did you mean `{}`?", visible(nearest))
}
