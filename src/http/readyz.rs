//! `/readyz`: a store is in force, by which decisions are made.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::callers::Caller;
use super::{Service, json, with_revision};
use crate::live::rfc3339;

/// Whether the service can decide, which it can for as long as it answers; and by which store, for callers that are known.
#[derive(Serialize, ToSchema)]
pub(super) struct Readiness {
    /// `ready`
    status: &'static str,
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

/// A store is in force; by which one it is decided, and whether there is another that cannot be served, only a known caller is
/// told. It is 200 in any case: a broken edit must not take the service away from its callers.
pub(super) async fn readyz(State(service): State<Arc<Service>>, caller: Option<Extension<Caller>>) -> Response {
    let status = service.board.status();
    let known = caller.is_some();
    let readiness = Readiness {
        status: "ready",
        revision: known.then(|| status.revision.to_string()),
        since: known.then(|| rfc3339(status.since)),
        store: known.then(|| status.word()),
    };
    let ready = json(StatusCode::OK, &readiness);
    if known { with_revision(ready, &status.revision) } else { ready }
}
