//! The service: AuthZEN over HTTP, and whether it is well. Nothing but translation.

pub mod authzen;
pub mod body;
mod bounded;
pub mod discovery;
pub mod openapi;
pub mod paths;
mod report;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use serde::Serialize;
use tokio::net::TcpListener;
use tower_http::ServiceBuilderExt;
use tower_http::request_id::MakeRequestUuid;

use crate::engine::{Engine, Snapshot};
use authzen::{BadRequest, Limits};
use bounded::{BodyError, read};
use discovery::PublicUrl;
pub use report::ReportPage;

/// The header that names the revision by which a decision was made.
pub const REVISION: HeaderName = HeaderName::from_static("gatepost-revision");

/// How long running requests may take to finish once the service is told to stop.
const GRACE: Duration = Duration::from_secs(30);

/// What every request needs.
#[derive(Debug)]
pub struct Service {
    /// Decides.
    pub engine: Engine,
    /// Bounds what callers may send and get.
    pub limits: Limits,
    /// The reviewer's document, once it is made.
    pub report: Arc<ReportPage>,
    /// By which URL callers reach it, if that is known.
    pub public_url: Option<PublicUrl>,
}

/// Serves until `shutdown` is done: then no new connection is taken, and running requests finish (for at most 30 seconds).
///
/// # Errors
///
/// What the listener reports.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    // Answers are small and each waits for the one before: Nagle's algorithm would only delay them.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let serving = axum::serve(listener, routes(service)).with_graceful_shutdown(async move {
        shutdown.await;
        // The receiver is gone only when serving has ended.
        let _ = stop.send(());
    });
    let overdue = async move {
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = serving => served,
        () = overdue => Ok(()),
    }
}

/// The routes of the service.
pub fn routes(service: Service) -> Router {
    Router::new()
        .route(paths::EVALUATION, post(evaluation))
        .route(paths::EVALUATIONS, post(evaluations))
        .route(paths::DISCOVERY, get(discovery::configuration))
        .route(&format!("{}/{{*path}}", paths::DISCOVERY), get(discovery::configuration))
        .route(paths::OPENAPI, get(openapi::openapi))
        .route(paths::HEALTHZ, get(healthz))
        .route(paths::READYZ, get(readyz))
        .route(paths::REPORT, get(report::report))
        .fallback(async || nothing_here())
        .method_not_allowed_fallback(async || message(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method"))
        .layer(
            tower::ServiceBuilder::new()
                .set_x_request_id(MakeRequestUuid)
                .propagate_x_request_id()
                .layer(tower_http::catch_panic::CatchPanicLayer::custom(failed)),
        )
        .with_state(Arc::new(service))
}

async fn evaluation(State(service): State<Arc<Service>>, headers: HeaderMap, body: Body) -> Response {
    let body = match received(&service, &headers, body).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    let snapshot = service.engine.snapshot();
    answered(authzen::evaluation(&snapshot, &service.limits, &body), &snapshot)
}

async fn evaluations(State(service): State<Arc<Service>>, headers: HeaderMap, body: Body) -> Response {
    let body = match received(&service, &headers, body).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    let snapshot = service.engine.snapshot();
    answered(authzen::evaluations(&snapshot, &service.limits, &body).await, &snapshot)
}

/// The process runs.
async fn healthz() -> Response {
    json(StatusCode::OK, &"ok")
}

/// A store is in force, by which decisions are made.
async fn readyz(State(service): State<Arc<Service>>) -> Response {
    let snapshot = service.engine.snapshot();
    with_revision(json(StatusCode::OK, &"ready"), &snapshot)
}

/// The body of a request, or the answer to one that cannot be taken.
async fn received(service: &Service, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Response> {
    let limit = service.limits.body_bytes;
    let body = read(body, headers, limit).await.map_err(|error| match error {
        BodyError::TooLarge => message(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body has more than {limit} bytes")),
        BodyError::Broken => message(StatusCode::BAD_REQUEST, "the body could not be read to its end"),
    })?;
    if is_json(headers) {
        Ok(body)
    } else {
        Err(message(StatusCode::BAD_REQUEST, "the content type must be application/json"))
    }
}

/// An answer, with the revision of the snapshot that gave it.
fn answered<T: Serialize>(answer: Result<T, BadRequest>, snapshot: &Snapshot) -> Response {
    let response = match answer {
        Ok(answer) => json(StatusCode::OK, &answer),
        Err(error) => message(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    with_revision(response, snapshot)
}

/// Whether the content type is `application/json`, with whatever parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn with_revision(mut response: Response, snapshot: &Snapshot) -> Response {
    if let Ok(revision) = HeaderValue::from_str(snapshot.revision().as_str()) {
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

fn failed(_: Box<dyn std::any::Any + Send>) -> Response {
    message(StatusCode::INTERNAL_SERVER_ERROR, "the request could not be decided; nothing is allowed by it")
}
