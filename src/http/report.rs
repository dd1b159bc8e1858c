//! `/report`: the reviewer's document on the running revision, as a page that was made beforehand.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::authzen::Reasons;
use super::callers::Caller;
use super::{Service, message, with_revision};
use crate::store::Revision;

/// The page, which somebody else makes: making it takes longer than a request may, and may call the solver.
#[derive(Debug, Default)]
pub struct ReportPage {
    state: ArcSwap<PageState>,
}

#[derive(Debug, Default)]
enum PageState {
    #[default]
    Missing,
    Made(Revision, Bytes),
    Failed(Revision),
}

impl ReportPage {
    /// The page on that revision; `None` if it could not be made.
    pub fn set(&self, revision: &Revision, html: Option<String>) {
        let state =
            html.map_or(PageState::Failed(revision.clone()), |html| PageState::Made(revision.clone(), html.into()));
        self.state.store(Arc::new(state));
    }
}

/// The page on the revision that decides now, and on no other.
pub(super) async fn report(State(service): State<Arc<Service>>, Extension(caller): Extension<Caller>) -> Response {
    if service.limits.max_reasons < Reasons::Admin {
        let why = "the report shows the policies, so it is served only where callers may have reasons for \
                   administrators (--max-reasons admin)";
        return message(StatusCode::FORBIDDEN, why);
    }
    if caller.is_limited() {
        return message(
            StatusCode::FORBIDDEN,
            "the report shows all policies, and this caller may ask about some only",
        );
    }
    let snapshot = service.engine.snapshot();
    let response = match &**service.report.state.load() {
        PageState::Made(revision, page) if revision == snapshot.revision() => {
            (StatusCode::OK, HEADERS, page.clone()).into_response()
        }
        PageState::Failed(revision) if revision == snapshot.revision() => {
            message(StatusCode::INTERNAL_SERVER_ERROR, "the report on this revision could not be made")
        }
        _ => {
            let mut response = message(
                StatusCode::SERVICE_UNAVAILABLE,
                "the report on this revision is being made: ask again in a moment",
            );
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("2"));
            response
        }
    };
    with_revision(response, snapshot.revision())
}

/// That of the page itself, and what a page cannot say: that no other may show it as its own.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A page that loads nothing, is put into no other, is taken for nothing but a page, and is kept nowhere.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
];
