//! Decisions: one, and many at once (AuthZEN, sections 6 and 7).

use std::time::{Duration, Instant};

use serde::Serialize;
use utoipa::ToSchema;

use super::reading::{members, shape};
use super::reasons::refused;
use super::{
    BadRequest, Evaluation, EvaluationRequest, EvaluationsRequest, Limits, ReasonContext, Reasons, Refusal, answer,
};
use crate::engine::Snapshot;
use crate::http::callers::Caller;
use crate::request::json::{Json, Members};
use crate::request::{Facts, Question};

/// An answer to `/access/v1/evaluation`, and an item of one to `/access/v1/evaluations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct EvaluationResponse {
    /// Whether the request is allowed.
    pub decision: bool,
    /// The reasons, where they were asked for and there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
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

/// Answers a body of `/access/v1/evaluation`.
///
/// # Errors
///
/// What the table of the README calls 400, and what the caller may not ask.
pub fn evaluation(
    snapshot: &Snapshot,
    limits: &Limits,
    caller: &Caller,
    body: &[u8],
) -> Result<EvaluationResponse, Refusal> {
    let body = Json::parse(body, limits.depth)?;
    single(snapshot, limits, caller, members(&body, "the body")?)
}

/// Answers a body of `/access/v1/evaluations`.
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
) -> Result<EvaluationsResponse, Refusal> {
    let body = Json::parse(body, limits.depth)?;
    let body = members(&body, "the body")?;
    let request = EvaluationsRequest::read(body)?;
    let items = request.evaluations.0;
    if items.is_empty() {
        return single(snapshot, limits, caller, body).map(EvaluationsResponse::Single);
    }
    if items.len() > limits.batch_items {
        let message = format!("`evaluations` has {} items; at most {} are taken", items.len(), limits.batch_items);
        return Err(shape(message).into());
    }
    let reasons = limits.reasons_for(request.options.reasons);
    let mut answers = Vec::with_capacity(items.len());
    let mut slice = Slice::begin();
    for item in items {
        let answer =
            batch_item(snapshot, caller, &request, item, reasons).unwrap_or_else(|error| refused(&error, reasons));
        let decision = answer.decision;
        answers.push(answer);
        if request.options.semantic.stops_at(decision) {
            break;
        }
        slice.let_others_in().await;
    }
    Ok(EvaluationsResponse::Batch { evaluations: answers })
}

/// How long one request decides without letting others in.
const SLICE: Duration = Duration::from_millis(2);

/// The time for which a request with much to decide has decided in one go.
pub(in crate::http) struct Slice(Instant);

impl Slice {
    pub(in crate::http) fn begin() -> Self {
        Self(Instant::now())
    }

    /// Lets other requests in, if it is their turn.
    pub(in crate::http) async fn let_others_in(&mut self) {
        if self.0.elapsed() > SLICE {
            tokio::task::yield_now().await;
            self.0 = Instant::now();
        }
    }
}

/// The question that a body asks, for whoever reads AuthZEN without a service.
///
/// # Errors
///
/// A body that is not of the shape of an evaluation request.
pub fn question<'a>(body: &'a Json<'a>) -> Result<Question<'a>, BadRequest> {
    Evaluation::read(members(body, "the body")?)?.question()
}

fn single(
    snapshot: &Snapshot,
    limits: &Limits,
    caller: &Caller,
    body: Members<'_>,
) -> Result<EvaluationResponse, Refusal> {
    let request = EvaluationRequest::read(body)?;
    decided(snapshot, caller, &request.question(), limits.reasons_for(request.options.reasons))
}

fn batch_item(
    snapshot: &Snapshot,
    caller: &Caller,
    request: &EvaluationsRequest<'_>,
    item: &Json<'_>,
    reasons: Reasons,
) -> Result<EvaluationResponse, Refusal> {
    let item = Evaluation::read(members(item, "the item")?)?;
    decided(snapshot, caller, &item.question_in(request)?, reasons)
}

fn decided(
    snapshot: &Snapshot,
    caller: &Caller,
    question: &Question<'_>,
    reasons: Reasons,
) -> Result<EvaluationResponse, Refusal> {
    let types = [question.principal.type_name, question.resource.type_name];
    Refusal::unless_allowed(caller, question.action, types)?;
    let decision = snapshot.decide(question, Facts::FromPlugins)?;
    let explain = || snapshot.explain(question, Facts::FromPlugins, &snapshot.entities, &decision);
    Ok(answer(&decision, reasons, explain))
}
