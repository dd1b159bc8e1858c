//! Decisions: one, and many at once (AuthZEN, sections 6 and 7).

use std::time::Instant;

use serde::Serialize;
use utoipa::ToSchema;

use super::reading::{members, shape};
use super::reasons::refused;
use super::{
    BadRequest, Evaluation, EvaluationRequest, EvaluationsRequest, Limits, ReasonContext, Reasons, Refusal, answer,
};
use crate::engine::Snapshot;
use crate::http::callers::Caller;
use crate::http::journal::Journal;
use crate::http::slice::Slice;
use crate::log::record::NotDecided;
use crate::request::json::{Json, Members};
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
    /// To a batch: one for each item, in their order; fewer where it was cut short.
    Batch {
        /// The answers.
        evaluations: Vec<EvaluationResponse>,
    },
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
    Asked { snapshot, caller, began, item: None }.single(limits, members(&body, "the body")?, journal)
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
    if items.is_empty() {
        let asked = Asked { snapshot, caller, began, item: None };
        return asked.single(limits, body, journal).map(EvaluationsResponse::Single);
    }
    if items.len() > limits.batch_items {
        let message = format!("`evaluations` has {} items; at most {} are taken", items.len(), limits.batch_items);
        return Err(shape(message).into());
    }
    let reasons = limits.reasons_for(request.options.reasons);
    let mut answers = Vec::with_capacity(items.len());
    let (mut slice, mut began) = (Slice::begin(), Instant::now());
    for (index, item) in items.iter().enumerate() {
        let asked = Asked { snapshot, caller, began, item: Some(index) };
        let answer = asked.of_batch(&request, item, reasons, journal).unwrap_or_else(|error| refused(&error, reasons));
        let decision = answer.decision;
        answers.push(answer);
        if request.options.semantic.stops_at(decision) {
            break;
        }
        began = slice.let_others_in().await;
    }
    Ok(EvaluationsResponse::Batch { evaluations: answers })
}

/// The question that a body asks, for whoever reads AuthZEN without a service.
///
/// # Errors
///
/// A body that is not of the shape of an evaluation request.
pub fn question<'a>(body: &'a Json<'a>) -> Result<Question<'a>, BadRequest> {
    Evaluation::read(members(body, "the body")?)?.question()
}

/// What a question is asked in.
struct Asked<'a> {
    snapshot: &'a Snapshot,
    caller: &'a Caller,
    began: Instant,
    item: Option<usize>,
}

impl Asked<'_> {
    fn single(
        &self,
        limits: &Limits,
        body: Members<'_>,
        journal: &mut Journal<'_>,
    ) -> Result<EvaluationResponse, Refusal> {
        let request = EvaluationRequest::read(body)?;
        self.decided(&request.question(), limits.reasons_for(request.options.reasons), journal)
    }

    fn of_batch(
        &self,
        request: &EvaluationsRequest<'_>,
        item: &Json<'_>,
        reasons: Reasons,
        journal: &mut Journal<'_>,
    ) -> Result<EvaluationResponse, Refusal> {
        let read = members(item, "the item").and_then(Evaluation::read);
        let read = read.and_then(|read| read.question_in(request));
        let question = read.inspect_err(|_| self.not_decided(NotDecided::Malformed, journal))?;
        self.decided(&question, reasons, journal)
    }

    fn decided(
        &self,
        question: &Question<'_>,
        reasons: Reasons,
        journal: &mut Journal<'_>,
    ) -> Result<EvaluationResponse, Refusal> {
        let types = [question.principal.type_name, question.resource.type_name];
        Refusal::unless_allowed(self.caller, question.action, types)
            .inspect_err(|_| self.not_decided(NotDecided::NotAllowed(question), journal))?;
        let resolved = self.snapshot.resolve(question, Facts::FromPlugins);
        let resolved = resolved.inspect_err(|error| self.not_decided(NotDecided::Invalid(error), journal))?;
        if let Resolved::Request(request) = &resolved {
            Refusal::unless_allowed_parents(self.caller, request.parents())
                .inspect_err(|_| self.not_decided(NotDecided::NotAllowed(question), journal))?;
        }
        let entities = &self.snapshot.entities;
        let decision = self.snapshot.decide_resolved(&resolved, entities);
        let took = self.began.elapsed();
        let explain = || self.snapshot.explain(question, Facts::FromPlugins, entities, &decision);
        let answer = answer(&decision, reasons, explain);
        journal.decided(self.item, question, &resolved, &decision, took);
        Ok(answer)
    }

    /// A whole request that is not decided is refused, and so no decision.
    fn not_decided(&self, why: NotDecided<'_>, journal: &mut Journal<'_>) {
        if let Some(item) = self.item {
            journal.not_decided(item, why, self.began);
        }
    }
}
