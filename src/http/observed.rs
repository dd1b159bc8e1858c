//! The outermost layer of every request: it gets an id, is counted and measured, traced, and told of in the diagnostics.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::request_id::{MakeRequestId, MakeRequestUuid};

use super::callers::{Caller, Peer};
use super::metrics::Endpoint;
use super::rarely::Rarely;
use super::traces::method_name;
use super::{REVISION, Service, message};

/// The header that names a request, in what comes and in what goes.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that a caller can give a request, in bytes: it is written into logs.
const LONGEST_ID: usize = 128;

/// That the answer was made after a panic.
#[derive(Clone, Copy)]
struct Panicked;

/// What a single evaluation was answered with, as an extension of the answer.
#[derive(Clone, Copy)]
pub(super) struct Decided(pub(super) bool);

/// Observes a request. Within, its id stands in the header [`REQUEST_ID`], whether the caller sent one or not.
pub(super) async fn observe(State(service): State<Arc<Service>>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let operations = &service.operations;
    let id = request_id(&request);
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let endpoint = Endpoint::of(request.uri().path());
    let method = method_name(request.method());
    let address = request.extensions().get().map(|ConnectInfo(Peer { address, .. })| *address);
    let span = operations.traces.as_ref().map(|traces| traces.begin(method, endpoint, request.headers()));
    let in_flight = operations.metrics.request();
    let mut response = next.run(request).await;
    drop(in_flight);
    operations.metrics.answered(endpoint, response.status(), began.elapsed());
    if let Some(span) = span {
        let decided = response.extensions().get().map(|Decided(allowed)| *allowed);
        span.end(response.status(), &id, response.headers().get(REVISION), decided);
    }
    Told { method, route: endpoint.name(), request_id: id.to_str().unwrap_or_default(), address }
        .tell(&response, began.elapsed());
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The id that the caller sent, if it can be written into logs as it is; else a new one.
fn request_id(request: &Request) -> HeaderValue {
    let sent = request.headers().get(REQUEST_ID);
    let is_plain = |id: &HeaderValue| {
        let printable = |byte: &u8| (b' '..=b'~').contains(byte);
        (1..=LONGEST_ID).contains(&id.len()) && id.as_bytes().iter().all(printable)
    };
    match sent.filter(|id| is_plain(id)) {
        Some(id) => id.clone(),
        // A UUID is made of random bytes alone, whatever the request.
        None => match MakeRequestUuid.make_request_id(request) {
            Some(id) => id.into_header_value(),
            None => HeaderValue::from_static("none"),
        },
    }
}

/// What is told of a request.
struct Told<'a> {
    method: &'static str,
    route: &'static str,
    request_id: &'a str,
    address: Option<SocketAddr>,
}

impl Told<'_> {
    /// Tells of what an operator should know; and of each request, to who looks into one (`debug`).
    fn tell(self, response: &Response, duration: Duration) {
        static UNKNOWN: Rarely = Rarely::new();
        static UNAVAILABLE: Rarely = Rarely::new();
        let Self { method, route, request_id, address } = self;
        if response.extensions().get::<Panicked>().is_some() {
            tracing::error!(request_id, route, "a request could not be decided, because of a mistake in this program");
        }
        match response.status() {
            StatusCode::UNAUTHORIZED => {
                if let Some(count) = UNKNOWN.count() {
                    let address = address.map(tracing::field::display);
                    tracing::info!(request_id, route, address, count, "a caller is not known");
                }
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                if let Some(count) = UNAVAILABLE.count() {
                    tracing::warn!(request_id, route, count, "a request was refused for now (503)");
                }
            }
            _ => {}
        }
        if tracing::enabled!(tracing::Level::DEBUG) {
            let caller = response.extensions().get().and_then(Caller::name);
            let (status, milliseconds) = (response.status().as_u16(), duration.as_secs_f64() * 1000.0);
            tracing::debug!(method, route, status, milliseconds, request_id, caller, "answered");
        }
    }
}

/// The answer in the place of a panic.
pub(super) fn failed(_: Box<dyn Any + Send>) -> Response {
    let text = "the request could not be decided; nothing is allowed by it";
    let mut response = message(StatusCode::INTERNAL_SERVER_ERROR, text);
    response.extensions_mut().insert(Panicked);
    response
}
