//! `/readyz`: whether decisions are made, and by which store.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::callers::Caller;
use super::{Service, json, with_revision};
use crate::log::rfc3339;

/// Whether the service can decide; and, for callers that are known, why it cannot, and by which store it decides.
#[derive(Serialize, ToSchema)]
pub(super) struct Readiness {
    /// `ready`, or `unready`.
    status: &'static str,
    /// What keeps it from deciding: `log`, where decisions cannot be logged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<&'static str>,
    /// The revision that decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    revision: Option<String>,
    /// Since when (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    since: Option<String>,
    /// `current`; or `rejected`, where the last attempt to take up a store found one that cannot be served: then the revision
    /// before it still decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    store: Option<&'static str>,
}

/// 200 while decisions are made, and 503 while they cannot be logged, so that callers are sent to another replica. By which store it
/// is decided, and whether there is another that cannot be served, only a known caller is told. A broken edit leaves it at 200: it must
/// not take the service away from its callers.
pub(super) async fn readyz(State(service): State<Arc<Service>>, caller: Option<Extension<Caller>>) -> Response {
    let status = service.board.status();
    let (known, hindrance) = (caller.is_some(), service.hindrance());
    let readiness = Readiness {
        status: word(hindrance),
        reason: hindrance.filter(|_| known),
        revision: known.then(|| status.revision.to_string()),
        since: known.then(|| rfc3339(status.since)),
        store: known.then(|| status.word()),
    };
    let mut answer = json(StatusCode::OK, &readiness);
    if hindrance.is_some() {
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if known { with_revision(answer, &status.revision) } else { answer }
}

/// The word for a service with that hindrance, or with none.
pub(super) fn word(hindrance: Option<&str>) -> &'static str {
    if hindrance.is_some() { "unready" } else { "ready" }
}

impl Service {
    /// What keeps it from deciding.
    pub(super) fn hindrance(&self) -> Option<&'static str> {
        self.log.as_ref().filter(|log| !log.log.is_writable()).map(|_| "log")
    }
}
