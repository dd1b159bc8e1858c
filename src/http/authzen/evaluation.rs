//! Decisions: one, and many at once (AuthZEN, sections 6 and 7).

use std::time::Instant;

use serde::Serialize;
use smol_str::SmolStr;
use utoipa::ToSchema;

use super::reading::{members, shape};
use super::reasons::refused;
use super::requests::SharedParts;
use super::{
    About, BadRequest, Evaluation, EvaluationRequest, EvaluationsRequest, Hints, Limits, Options, ReasonContext,
    Reasons, Refusal, Unread, UnreadMembers, answer,
};
use crate::engine::Snapshot;
use crate::http::callers::Caller;
use crate::http::journal::{Journal, action_of, action_of_text};
use crate::http::slice::Slice;
use crate::log::record::NotDecided;
use crate::request::json::{Json, Members};
use crate::request::place::Places;
use crate::request::{Facts, Question, Resolved};

/// An answer to `/access/v1/evaluation`, and an item of one to `/access/v1/evaluations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct EvaluationResponse {
    /// Whether the request is allowed.
    pub decision: bool,
    /// The reasons, where they were asked for and there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub context: Option<ReasonContext>,
}

/// An answer to `/access/v1/evaluations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum EvaluationsResponse {
    /// To a body without `evaluations`.
    Single(EvaluationResponse),
    /// To a batch.
    Batch(BatchResponse),
}

/// An answer to a batch: one for each item, in their order; fewer where it was cut short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BatchResponse {
    /// The answers.
    pub evaluations: Vec<EvaluationResponse>,
}

/// Answers a body of `/access/v1/evaluation`; what is decided is taken up by the journal.
///
/// # Errors
///
/// What the table of the README calls 400, and what the caller may not ask.
pub fn evaluation(
    snapshot: &Snapshot,
    limits: &Limits,
    caller: &Caller,
    body: &[u8],
    journal: &mut Journal<'_>,
) -> Result<EvaluationResponse, Refusal> {
    let began = Instant::now();
    let body = Json::parse(body, limits.depth)?;
    let body = members(&body, "the body")?;
    let unread = EvaluationRequest::unread(body);
    Asked { snapshot, limits, caller, began, item: None, unread: &unread, hints: &Hints::default() }
        .single(body, journal)
}

/// Answers a body of `/access/v1/evaluations`; what is decided is taken up by the journal.
///
/// # Errors
///
/// What the table of the README calls 400. An item of a batch that is broken, or that the caller may not ask, is not an error, but
/// denied.
pub async fn evaluations(
    snapshot: &Snapshot,
    limits: &Limits,
    caller: &Caller,
    body: &[u8],
    journal: &mut Journal<'_>,
) -> Result<EvaluationsResponse, Refusal> {
    let began = Instant::now();
    let body = Json::parse(body, limits.depth)?;
    let body = members(&body, "the body")?;
    let request = EvaluationsRequest::read(body)?;
    let items = request.evaluations.0;
    let (shared, hints) = (request.shared(body), Hints::default());
    if items.is_empty() {
        let unread = shared.unread_of_single();
        let asked = Asked { snapshot, limits, caller, began, item: None, unread: &unread, hints: &hints };
        return asked.single(body, journal).map(EvaluationsResponse::Single);
    }
    if items.len() > limits.batch_items {
        let message = format!("`evaluations` has {} items; at most {} are taken", items.len(), limits.batch_items);
        return Err(shape(message).into());
    }
    let strict = limits.is_strict(caller, request.options.strict);
    Unread { members: &shared.unread, undeclared: &Places::default(), hints: &hints }.unless_strict(strict, None)?;
    let told = Told { reasons: limits.reasons_for(request.options.reasons), strict };
    let mut answers = Vec::with_capacity(items.len());
    let (mut slice, mut began) = (Slice::begin(), Instant::now());
    for (index, item) in items.iter().enumerate() {
        let none = &UnreadMembers::default();
        let asked = Asked { snapshot, limits, caller, began, item: Some(index), unread: none, hints: &hints };
        let answer = asked.of_batch(&shared, item, told, journal).unwrap_or_else(|error| refused(&error));
        let decision = answer.decision;
        answers.push(answer);
        if request.options.semantic.stops_at(decision) {
            break;
        }
        began = slice.let_others_in().await;
    }
    Ok(EvaluationsResponse::Batch(BatchResponse { evaluations: answers }))
}

/// The question that a body asks, for whoever reads AuthZEN without a service.
///
/// # Errors
///
/// A body that is not of the shape of an evaluation request.
pub fn question<'a>(body: &'a Json<'a>) -> Result<Question<'a>, BadRequest> {
    Evaluation::read(members(body, "the body")?)?.question()
}

/// A body that asks one question, for whoever answers it without a service.
#[derive(Clone, Debug)]
pub struct Alone<'a> {
    /// The question.
    pub question: Question<'a>,
    /// Whether what is not read is refused, if the request says so.
    pub strict: Option<bool>,
    /// The members that are not read.
    pub unread: UnreadMembers,
}

impl<'a> Alone<'a> {
    /// Reads a body; the member of the name `but` is read by somebody else.
    ///
    /// # Errors
    ///
    /// A body that is not of the shape of an evaluation request.
    pub fn read(body: &'a Json<'a>, but: Option<&str>) -> Result<Self, BadRequest> {
        let body = members(body, "the body")?;
        let request = EvaluationRequest::read(body)?;
        let unread = EvaluationRequest::unread(body);
        let unread = but.map_or_else(|| unread.clone(), |name| unread.clone().but(name));
        Ok(Self { question: request.question(), strict: request.options.strict, unread })
    }
}

/// How a question is answered.
#[derive(Clone, Copy)]
struct Told {
    reasons: Reasons,
    strict: bool,
}

/// What a question is asked in.
struct Asked<'a> {
    snapshot: &'a Snapshot,
    limits: &'a Limits,
    caller: &'a Caller,
    began: Instant,
    item: Option<usize>,
    /// The members that are not read.
    unread: &'a UnreadMembers,
    hints: &'a Hints,
}

impl Asked<'_> {
    fn single(&self, body: Members<'_>, journal: &mut Journal<'_>) -> Result<EvaluationResponse, Refusal> {
        let request = EvaluationRequest::read(body)?;
        let Options { reasons, strict, .. } = request.options;
        let strict = self.limits.is_strict(self.caller, strict);
        self.decided(&request.question(), Told { reasons: self.limits.reasons_for(reasons), strict }, journal)
    }

    fn of_batch(
        &self,
        shared: &SharedParts<'_>,
        item: &Json<'_>,
        told: Told,
        journal: &mut Journal<'_>,
    ) -> Result<EvaluationResponse, Refusal> {
        let members = members(item, "the item");
        let read = members.clone().and_then(Evaluation::read);
        let question = read.as_ref().map_err(BadRequest::clone).and_then(|read| read.question_in(shared));
        let question = question.inspect_err(|_| {
            let action = read.as_ref().ok().and_then(|read| read.action_in(shared));
            let action = || action_of_text(action?, &self.snapshot.store.types);
            self.not_decided(action, NotDecided::Malformed, journal);
        })?;
        let unread = members.and_then(|members| Ok(read?.unread(members, shared)))?;
        Asked { unread: &unread, ..*self }.decided(&question, told, journal)
    }

    fn decided(
        &self,
        question: &Question<'_>,
        told: Told,
        journal: &mut Journal<'_>,
    ) -> Result<EvaluationResponse, Refusal> {
        let types = &self.snapshot.store.types;
        let question = &question.by_cedar_names(types);
        let action = || action_of(question, types);
        Refusal::unless_allowed(self.caller, question, types)
            .inspect_err(|_| self.not_decided(action, NotDecided::NotAllowed(question), journal))?;
        let resolved = self.snapshot.resolve(question, Facts::FromPlugins);
        let resolved = resolved.inspect_err(|error| self.not_decided(action, NotDecided::Invalid(error), journal))?;
        let none = Places::default();
        let undeclared = match &resolved {
            Resolved::Request(request) => &request.dropped,
            Resolved::Unknown(_) => &none,
        };
        let unread = Unread { members: self.unread, undeclared, hints: self.hints };
        let about = About { types, question, resolved: &resolved, unread };
        unread
            .unless_strict(told.strict, about.environment())
            .inspect_err(|_| self.not_decided(action, NotDecided::Malformed, journal))?;
        let entities = &self.snapshot.entities;
        let decision = self.snapshot.decide_resolved(&resolved, entities);
        let took = self.began.elapsed();
        let explain = || self.snapshot.explain(question, Facts::FromPlugins, entities, &decision);
        let answer = answer(&decision, told.reasons, &about, explain);
        journal.decided(self.item, &about, &decision, took);
        Ok(answer)
    }

    /// A whole request that is not decided is refused, and so no decision; `action` gives the whole name of the one that is meant.
    fn not_decided(&self, action: impl FnOnce() -> Option<SmolStr>, why: NotDecided<'_>, journal: &mut Journal<'_>) {
        if let Some(item) = self.item {
            journal.not_decided(item, action(), why, self.began);
        }
    }
}
