//! Reasons: what a caller is told of a decision beside it, in `context`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::evaluation::EvaluationResponse;
use super::{Refusal, shown};
use crate::engine::{Decision, Explained, Outcome, PolicyNote};
use crate::request::Unknown;
use crate::request::place::{Part, Places};

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
    /// What may be shown to a person.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reason_user: BTreeMap<String, String>,
    /// What an administrator sees.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reason_admin: BTreeMap<String, String>,
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

/// The answer to an item of a batch that is no request: denied, with what is wrong as its reason.
pub(super) fn refused(error: &Refusal, reasons: Reasons) -> EvaluationResponse {
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
