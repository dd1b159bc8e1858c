//! Decisions: one, and many at once (AuthZEN, sections 6 and 7).

use std::time::{Duration, Instant};

use serde::Serialize;
use utoipa::ToSchema;

use super::reading::{members, shape};
use super::reasons::refused;
use super::{BadRequest, Evaluation, EvaluationRequest, EvaluationsRequest, Limits, ReasonContext, Reasons, answer};
use crate::engine::Snapshot;
use crate::request::json::{Json, Members};
use crate::request::{Facts, InvalidRequest, Question};

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

/// Answers a body of `/access/v1/evaluation`.
///
/// # Errors
///
/// What the table of the README calls 400.
pub fn evaluation(snapshot: &Snapshot, limits: &Limits, body: &[u8]) -> Result<EvaluationResponse, BadRequest> {
    let body = Json::parse(body, limits.depth)?;
    single(snapshot, limits, members(&body, "the body")?)
}

/// Answers a body of `/access/v1/evaluations`.
///
/// # Errors
///
/// What the table of the README calls 400. A broken item of a batch is not an error, but denied.
pub async fn evaluations(snapshot: &Snapshot, limits: &Limits, body: &[u8]) -> Result<EvaluationsResponse, BadRequest> {
    let body = Json::parse(body, limits.depth)?;
    let body = members(&body, "the body")?;
    let request = EvaluationsRequest::read(body)?;
    let items = request.evaluations.0;
    if items.is_empty() {
        return single(snapshot, limits, body).map(EvaluationsResponse::Single);
    }
    if items.len() > limits.batch_items {
        let message = format!("`evaluations` has {} items; at most {} are taken", items.len(), limits.batch_items);
        return Err(shape(message));
    }
    let reasons = limits.reasons_for(request.options.reasons);
    let mut answers = Vec::with_capacity(items.len());
    let mut slice = Instant::now();
    for item in items {
        let answer = batch_item(snapshot, &request, item, reasons).unwrap_or_else(|error| refused(&error, reasons));
        let decision = answer.decision;
        answers.push(answer);
        if request.options.semantic.stops_at(decision) {
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
    Evaluation::read(members(body, "the body")?)?.question()
}

fn single(snapshot: &Snapshot, limits: &Limits, body: Members<'_>) -> Result<EvaluationResponse, BadRequest> {
    let request = EvaluationRequest::read(body)?;
    Ok(decided(snapshot, &request.question(), limits.reasons_for(request.options.reasons))?)
}

fn batch_item(
    snapshot: &Snapshot,
    request: &EvaluationsRequest<'_>,
    item: &Json<'_>,
    reasons: Reasons,
) -> Result<EvaluationResponse, BadRequest> {
    let item = Evaluation::read(members(item, "the item")?)?;
    Ok(decided(snapshot, &item.question_in(request)?, reasons)?)
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
