//! The service: AuthZEN over HTTP, and whether it is well. Nothing but translation.

mod actions;
pub mod admin;
pub mod authzen;
pub mod body;
mod bounded;
pub mod callers;
mod deadline;
pub mod discovery;
mod front;
mod hosts;
pub mod journal;
pub mod metrics;
mod observed;
pub mod openapi;
mod operations;
pub mod paging;
pub mod paths;
mod rarely;
mod readyz;
mod report;
mod search;
mod serving;
mod slice;
mod told;
pub mod traces;

use std::convert::Infallible;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::SemaphorePermit;

use crate::engine::{Engine, Snapshot};
use crate::live::StatusBoard;
use crate::log::DecisionLog;
use crate::log::record::Endpoint;
use crate::store::Revision;
use authzen::{Limits, Refusal};
use bounded::{BodyError, Drained, read};
use callers::{Caller, Callers};
use discovery::{Capability, PublicUrl};
use front::Front;
use hosts::Hosts;
use metrics::Rejection;
use observed::Decided;
pub use observed::{REQUEST_ID, REQUEST_ID_REPLACED};
pub use operations::{Bounds, Operations};
use paging::Paging;
pub use report::ReportPage;

/// The header that names the revision by which a decision was made.
pub const REVISION: HeaderName = HeaderName::from_static("gatepost-revision");

/// The header that names what was sent and not read, percent-encoded: at most 20 names in 1 kB, and how many more there are.
pub const DROPPED: HeaderName = HeaderName::from_static("gatepost-dropped");

/// The header that names what a search lacks in the context, in the same way: without it, nothing is found.
pub const MISSING: HeaderName = HeaderName::from_static("gatepost-missing");

/// What every request needs.
#[derive(Debug)]
pub struct Service {
    /// Decides.
    pub engine: Engine,
    /// Says which store is in force.
    pub board: StatusBoard,
    /// Bounds what callers may send and get.
    pub limits: Limits,
    /// Makes the tokens of pages.
    pub paging: Paging,
    /// Knows who may ask.
    pub callers: Callers,
    /// The reviewer's document, once it is made.
    pub report: Arc<ReportPage>,
    /// By which URL callers reach it, if that is known.
    pub public_url: Option<PublicUrl>,
    /// What it announces that it can do.
    pub capabilities: Vec<Capability>,
    /// Where decisions are logged, if they are.
    pub log: Option<DecisionLog>,
    /// What its operator sets and sees.
    pub operations: Operations,
}

/// Serves, over TLS if the callers need it, until `shutdown` is done: then no new connection is taken, and running requests
/// finish (for at most 30 seconds), and what is left of the traces is sent (for at most 5).
pub async fn serve(listener: TcpListener, service: impl Into<Arc<Service>>, shutdown: impl Future<Output = ()>) {
    let service = service.into();
    let (callers, routes) = (service.callers.clone(), routes(Arc::clone(&service)));
    let hosts = Hosts::of(&callers, listener.local_addr().ok(), service.public_url.as_ref());
    let base = service.public_url.as_ref().map(|url| url.path().to_owned()).unwrap_or_default();
    let reading = &paths::ASKED;
    let front =
        Front { service: Arc::clone(&service), callers, lets_in: callers::lets_in, hosts, base, routes, reading };
    serving::serve(listener, front, shutdown).await;
    if let Some(traces) = &service.operations.traces {
        traces.finish().await;
    }
}

fn routes(service: Arc<Service>) -> Router {
    Router::new()
        .route(paths::EVALUATION, post(evaluation))
        .route(paths::EVALUATIONS, post(evaluations))
        .route(paths::SUBJECT_SEARCH, post(search::subjects))
        .route(paths::RESOURCE_SEARCH, post(search::resources))
        .route(paths::ACTION_SEARCH, post(search::actions))
        .route(paths::DISCOVERY, get(discovery::configuration))
        .route(&format!("{}/{{*path}}", paths::DISCOVERY), get(discovery::configuration))
        .route(paths::OPENAPI, get(openapi::openapi))
        .route(paths::HEALTHZ, get(healthz))
        .route(paths::READYZ, get(readyz::readyz))
        .route(paths::REPORT, get(report::report))
        .route(paths::METRICS, get(metrics::metrics))
        .fallback(async || nothing_here())
        .method_not_allowed_fallback(async || message(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method"))
        .with_state(service)
}

/// A request that is posted: its headers and its body.
struct Posted {
    headers: HeaderMap,
    body: Body,
}

impl<S: Sync> FromRequest<S> for Posted {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        let (parts, body) = request.into_parts();
        Ok(Self { headers: parts.headers, body })
    }
}

async fn evaluation(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    Posted { headers, body }: Posted,
) -> Response {
    let body = match received(&service, &headers, body).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    let snapshot = service.engine.snapshot();
    let mut journal = service.journal(&headers, &caller, Endpoint::Evaluation, &snapshot);
    let answer = authzen::evaluation(&snapshot, &service.limits, &caller, &body, &mut journal);
    let decided = answer.as_ref().ok().map(|answer| Decided(answer.decision));
    let mut response = service.answered(answer, &snapshot, journal).await;
    // The span of the request names it, if it is answered: what the log did not take is not.
    if let (StatusCode::OK, Some(decided), Some(_)) = (response.status(), decided, &service.operations.traces) {
        response.extensions_mut().insert(decided);
    }
    response
}

async fn evaluations(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    Posted { headers, body }: Posted,
) -> Response {
    let body = match received(&service, &headers, body).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    let snapshot = service.engine.snapshot();
    let mut journal = service.journal(&headers, &caller, Endpoint::Evaluations, &snapshot);
    let answer = authzen::evaluations(&snapshot, &service.limits, &caller, &body, &mut journal).await;
    service.answered(answer, &snapshot, journal).await
}

/// The process runs.
async fn healthz() -> Response {
    json(StatusCode::OK, &"ok")
}

/// The body of a request, with leave to decide on it.
struct Received<'a> {
    body: Vec<u8>,
    _place: SemaphorePermit<'a>,
}

impl Deref for Received<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.body
    }
}

/// The body of a request, or the answer to one that cannot be taken. Only a request that is there as a whole counts as one of those
/// that are decided at once: who sends it slowly keeps nobody out.
async fn received<'a>(service: &'a Service, headers: &HeaderMap, body: Body) -> Result<Received<'a>, Response> {
    let (limit, time) = (service.limits.body_bytes, service.operations.bounds.body_time);
    let body = read(body, headers, limit, time).await.map_err(|error| unreadable(error, limit, time))?;
    if let Some(refusal) = unless_plain(headers) {
        return Err(refusal);
    }
    if !is_json(headers) {
        return Err(message(StatusCode::BAD_REQUEST, "the content type must be application/json"));
    }
    if let Some(unwritable) = service.unless_writable() {
        return Err(unwritable);
    }
    let place = service.operations.place().ok_or_else(|| {
        service.operations.metrics.rejected(Rejection::Concurrency);
        unavailable("as many requests are being decided as may be at once: try again in a moment")
    })?;
    Ok(Received { body, _place: place })
}

/// The answer to a request whose body there is not.
fn unreadable(error: BodyError, limit: usize, time: Duration) -> Response {
    match error {
        BodyError::TooLarge(drained) => {
            drained.and(message(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body has more than {limit} bytes")))
        }
        BodyError::Broken => {
            Drained(false).and(message(StatusCode::BAD_REQUEST, "the body could not be read to its end"))
        }
        BodyError::Slow => {
            let text = format!("the body did not come within {} seconds", time.as_secs());
            Drained(false).and(message(StatusCode::REQUEST_TIMEOUT, &text))
        }
    }
}

/// The answer to a body that is packed: its bytes are no JSON.
fn unless_plain(headers: &HeaderMap) -> Option<Response> {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    let is_identity =
        |coding: &HeaderValue| coding.to_str().is_ok_and(|coding| coding.trim().eq_ignore_ascii_case("identity"));
    codings.any(|coding| !is_identity(coding)).then(|| {
        let text = "the body must not be packed: send it without `Content-Encoding`, or with `identity`";
        message(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
    })
}

/// The answer to a request that may be sent again in a second.
fn unavailable(text: &str) -> Response {
    let mut response = message(StatusCode::SERVICE_UNAVAILABLE, text);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// An answer, with the revision of the snapshot that gave it.
fn answered<T: Serialize>(answer: Result<T, Refusal>, snapshot: &Snapshot) -> Response {
    let response = match answer {
        Ok(answer) => json(StatusCode::OK, &answer),
        Err(refusal) => message(status(&refusal), &refusal.to_string()),
    };
    with_revision(response, snapshot.revision())
}

fn status(refusal: &Refusal) -> StatusCode {
    StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Whether the content type is `application/json`, with whatever parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn with_revision(mut response: Response, revision: &Revision) -> Response {
    if let Ok(revision) = HeaderValue::from_str(revision.as_str()) {
        response.headers_mut().insert(REVISION, revision);
    }
    response
}

fn nothing_here() -> Response {
    message(StatusCode::NOT_FOUND, "there is nothing at this path")
}

/// A status other than 200 carries a message: a JSON string.
fn message(status: StatusCode, text: &str) -> Response {
    json(status, &text)
}

fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => (status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], bytes).into_response(),
        // Answers are made of Booleans and strings, which always serialize.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
