//! What is done around every request: it gets an id, is counted and measured, traced, and told of in the
//! diagnostics.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::callers::Caller;
use super::metrics::Endpoint;
use super::rarely::Rarely;
use super::traces::{CallersSpan, method_name};
use super::{REVISION, Service, message};

/// The header that names a request, in what comes and in what goes.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The header that says why an id that was sent does not come back.
pub const REQUEST_ID_REPLACED: HeaderName = HeaderName::from_static("gatepost-request-id-replaced");

/// The longest id that a caller can give a request, in bytes.
const LONGEST_ID: usize = 4096;

/// The longest that is written into logs as it is;
const LONGEST_LOGGED: usize = 128;

/// of a longer one, so many characters are, and its SHA-256, so that no two are one.
const LOGGED: usize = 96;

/// That the answer was made after a panic.
#[derive(Clone, Copy)]
struct Panicked;

/// What a single evaluation was answered with, as an extension of the answer.
#[derive(Clone, Copy)]
pub(super) struct Decided(pub(super) bool);

/// Observes a request. Within, its id stands in the header [`REQUEST_ID`], whether the caller sent one or not, and the span by which it can
/// be followed in `traceparent`.
pub(super) async fn observe(
    service: &Service,
    mut request: Request,
    address: Option<SocketAddr>,
    answer: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    let began = Instant::now();
    let operations = &service.operations;
    let RequestId { sent, logged: id, replaced } = RequestId::of(&request);
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let endpoint = Endpoint::of(request.uri().path());
    let method = method_name(request.method());
    let caller = CallersSpan::of(request.headers());
    let span = operations.traces.as_ref().map(|traces| traces.begin(method, endpoint, &caller));
    caller.give_way(span.as_ref(), request.headers_mut());
    let in_flight = operations.metrics.request();
    let mut response = answer(request).await;
    drop(in_flight);
    operations.metrics.answered(endpoint, response.status(), began.elapsed());
    if let Some(span) = span {
        let decided = response.extensions().get().map(|Decided(allowed)| *allowed);
        span.end(response.status(), &id, response.headers().get(REVISION), decided);
    }
    Told { method, route: endpoint.name(), request_id: id.to_str().unwrap_or_default(), address }
        .tell(&response, began.elapsed());
    if let Some(why) = replaced {
        response.headers_mut().insert(REQUEST_ID_REPLACED, HeaderValue::from_static(why));
    }
    response.headers_mut().insert(REQUEST_ID, sent.unwrap_or(id));
    response
}

/// The id of a request.
struct RequestId {
    /// As it comes back, where that is not what is logged.
    sent: Option<HeaderValue>,
    /// As it stands in logs, spans and messages.
    logged: HeaderValue,
    /// Why it is not the one that was sent.
    replaced: Option<&'static str>,
}

impl RequestId {
    fn of(request: &Request) -> Self {
        let mut sent = request.headers().get_all(REQUEST_ID).iter();
        let replaced = match (sent.next(), sent.next()) {
            (None, _) => None,
            (Some(_), Some(_)) => Some("several"),
            (Some(id), None) => match id.as_bytes() {
                [] => Some("empty"),
                bytes if bytes.len() > LONGEST_ID => Some("longer than 4096 bytes"),
                bytes if !bytes.iter().all(|byte| (b' '..=b'~').contains(byte)) => Some("not visible ASCII"),
                bytes if bytes.len() <= LONGEST_LOGGED => {
                    return Self { sent: None, logged: id.clone(), replaced: None };
                }
                bytes => {
                    let beginning = String::from_utf8_lossy(bytes.get(..LOGGED).unwrap_or_default());
                    let logged = format!("{beginning}...sha256:{}", hex::encode(Sha256::digest(bytes)));
                    let logged = HeaderValue::from_str(&logged).unwrap_or_else(|_| fresh());
                    return Self { sent: Some(id.clone()), logged, replaced: None };
                }
            },
        };
        Self { sent: None, logged: fresh(), replaced }
    }
}

/// An id that no other request has.
fn fresh() -> HeaderValue {
    let id = Uuid::new_v4().hyphenated();
    let id = HeaderValue::from_str(id.encode_lower(&mut Uuid::encode_buffer()));
    // Hexadecimal digits and hyphens are always the value of a header.
    id.unwrap_or(HeaderValue::from_static("none"))
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
pub(super) fn failed() -> Response {
    let text = "the request could not be decided; nothing is allowed by it";
    let mut response = message(StatusCode::INTERNAL_SERVER_ERROR, text);
    response.extensions_mut().insert(Panicked);
    response
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use axum::routing::get;
    use http_body_util::BodyExt;
    use tracing_subscriber::fmt;

    use super::super::callers;
    use super::super::front::Front;
    use super::super::hosts::Hosts;
    use super::super::{Operations, Service, paging::Paging};
    use super::REQUEST_ID;
    use crate::engine::{Engine, Snapshot};
    use crate::live::StatusBoard;
    use crate::store::Origin;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// "Panics caught (with request id, never the body)": the answer is 500, says nothing of it, and is counted.
    #[tokio::test(flavor = "current_thread")]
    async fn a_panic_is_answered_and_told_of_with_the_id_of_the_request() {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        let _told = tracing::subscriber::set_default(subscriber);
        let snapshot = Snapshot::load(Origin::BuiltIn).unwrap();
        let service = Arc::new(Service {
            board: StatusBoard::of(&snapshot),
            engine: Engine::new(snapshot),
            limits: Default::default(),
            paging: Paging::random().unwrap(),
            callers: Default::default(),
            report: Default::default(),
            public_url: None,
            capabilities: Vec::new(),
            log: None,
            operations: Operations::default(),
        });
        let broken = Router::new().route("/healthz", get(async || -> StatusCode { panic!("a secret") }));
        let front = Front {
            service,
            callers: Default::default(),
            lets_in: callers::lets_in,
            hosts: Hosts::Any,
            base: String::new(),
            routes: broken,
            reading: &[],
        };
        let request = Request::get("/healthz")
            .header("host", "localhost")
            .header(REQUEST_ID, "mine")
            .body(Body::empty())
            .unwrap();
        let answer = front.answer(request, None).await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.headers()[REQUEST_ID], "mine");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, r#""the request could not be decided; nothing is allowed by it""#);
        let told = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(told.contains("because of a mistake in this program request_id=\"mine\" route=\"/healthz\""), "{told}");
        assert!(!told.contains("a secret"), "{told}");
    }
}
