//! The service: AuthZEN over HTTP, and whether it is well. Nothing but translation.

pub mod authzen;
pub mod body;
mod bounded;
pub mod callers;
mod listener;
pub mod paging;
mod report;
mod search;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::extract::connect_info::Connected;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::{IncomingStream, Listener};
use axum::{Extension, Router, middleware};
use serde::Serialize;
use tokio::net::TcpListener;
use tower_http::ServiceBuilderExt;
use tower_http::request_id::MakeRequestUuid;

use crate::engine::{Engine, Snapshot};
use authzen::{Limits, Refusal};
use bounded::{BodyError, read};
use callers::{Caller, Callers, Peer};
use listener::{PlainListener, TlsListener};
use paging::Paging;
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
    /// Makes the tokens of pages.
    pub paging: Paging,
    /// Knows who may ask.
    pub callers: Callers,
    /// The reviewer's document, once it is made.
    pub report: Arc<ReportPage>,
}

/// Serves, over TLS if the callers need it, until `shutdown` is done: then no new connection is taken, and running requests
/// finish (for at most 30 seconds).
///
/// # Errors
///
/// What the listener reports.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    match service.callers.tls.clone() {
        Some(tls) => serve_on(TlsListener::new(listener, tls), service, shutdown).await,
        None => serve_on(PlainListener(listener), service, shutdown).await,
    }
}

async fn serve_on<L>(
    listener: L,
    service: Service,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()>
where
    L: Listener<Addr = SocketAddr>,
    Peer: for<'a> Connected<IncomingStream<'a, L>>,
{
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let routes = routes(service).into_make_service_with_connect_info::<Peer>();
    let serving = axum::serve(listener, routes).with_graceful_shutdown(async move {
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
    let service = Arc::new(service);
    Router::new()
        .route("/access/v1/evaluation", post(evaluation))
        .route("/access/v1/evaluations", post(evaluations))
        .route("/access/v1/search/subject", post(search::subjects))
        .route("/access/v1/search/resource", post(search::resources))
        .route("/access/v1/search/action", post(search::actions))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/report", get(report::report))
        .fallback(async || message(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .method_not_allowed_fallback(async || message(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method"))
        .layer(middleware::from_fn_with_state(Arc::clone(&service), callers::gate))
        .layer(
            tower::ServiceBuilder::new()
                .set_x_request_id(MakeRequestUuid)
                .propagate_x_request_id()
                .layer(tower_http::catch_panic::CatchPanicLayer::custom(failed)),
        )
        .with_state(service)
}

async fn evaluation(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let body = match received(&service, &headers, body).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    let snapshot = service.engine.snapshot();
    answered(authzen::evaluation(&snapshot, &service.limits, &caller, &body), &snapshot)
}

async fn evaluations(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let body = match received(&service, &headers, body).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    let snapshot = service.engine.snapshot();
    answered(authzen::evaluations(&snapshot, &service.limits, &caller, &body).await, &snapshot)
}

/// The process runs.
async fn healthz() -> Response {
    json(StatusCode::OK, &"ok")
}

/// A store is in force, by which decisions are made; by which one, only a known caller is told.
async fn readyz(State(service): State<Arc<Service>>, caller: Option<Extension<Caller>>) -> Response {
    let ready = json(StatusCode::OK, &"ready");
    if caller.is_some() { with_revision(ready, &service.engine.snapshot()) } else { ready }
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
fn answered<T: Serialize>(answer: Result<T, Refusal>, snapshot: &Snapshot) -> Response {
    let response = match answer {
        Ok(answer) => json(StatusCode::OK, &answer),
        Err(refusal) => message(status(&refusal), &refusal.to_string()),
    };
    with_revision(response, snapshot)
}

fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Bad(_) => StatusCode::BAD_REQUEST,
        Refusal::NotAllowed => StatusCode::FORBIDDEN,
        Refusal::Failed => StatusCode::INTERNAL_SERVER_ERROR,
    }
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
