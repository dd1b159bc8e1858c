//! What one request over HTTP has decided, for the decision log.

use std::time::Instant;

use axum::http::header::{HeaderMap, HeaderName, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

use super::authzen::Refusal;
use super::callers::Caller;
use super::{Service, answered, message};
use crate::engine::{Decision, Snapshot};
use crate::log::record::{Endpoint, Heading, NotDecided, Recorder, SearchPage};
use crate::request::{Question, Resolved};

/// The records of one request, which go into the log before its answer goes out.
#[derive(Debug)]
pub struct Journal<'a> {
    log: Option<(&'a Recorder, Heading<'a>)>,
    records: Vec<Vec<u8>>,
}

impl<'a> Journal<'a> {
    /// A journal of a request under that heading.
    pub fn new(recorder: &'a Recorder, heading: Heading<'a>) -> Self {
        Self { log: Some((recorder, heading)), records: Vec::new() }
    }

    /// One that takes no records.
    pub fn none() -> Self {
        Self { log: None, records: Vec::new() }
    }

    /// Whether it takes records.
    pub fn is_open(&self) -> bool {
        self.log.is_some()
    }

    /// Takes up a decision, of which `item` of a batch, on a question that was read at `began`.
    pub fn decided(
        &mut self,
        item: Option<usize>,
        question: &Question<'_>,
        resolved: &Resolved,
        decision: &Decision,
        began: Instant,
    ) {
        if let Some((recorder, heading)) = &self.log {
            let took = began.elapsed();
            self.records.push(recorder.decision(heading, item, question, resolved, decision, took));
        }
    }

    /// Takes up an item of a batch that was denied without being decided.
    pub fn not_decided(&mut self, item: usize, why: NotDecided<'_>, began: Instant) {
        if let Some((recorder, heading)) = &self.log {
            self.records.push(recorder.not_decided(heading, item, why, began.elapsed()));
        }
    }

    /// Takes up a page of a search.
    pub fn searched(&mut self, question: &Question<'_>, page: &SearchPage<'_>, began: Instant) {
        if let Some((recorder, heading)) = &self.log {
            self.records.push(recorder.search(heading, question, page, began.elapsed()));
        }
    }

    /// The records, in the order in which they were taken up.
    pub fn records(&self) -> &[Vec<u8>] {
        &self.records
    }
}

impl Service {
    /// The journal of a request with these headers.
    pub(super) fn journal<'a>(
        &'a self,
        headers: &'a HeaderMap,
        caller: &'a Caller,
        endpoint: Endpoint,
        snapshot: &'a Snapshot,
    ) -> Journal<'a> {
        let Some(log) = &self.log else { return Journal::none() };
        let heading = Heading {
            request_id: headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default(),
            trace_id: headers.get(TRACEPARENT).and_then(trace_id),
            caller: caller.name(),
            endpoint,
            revision: snapshot.revision(),
            types: &snapshot.store.types,
        };
        Journal::new(&log.recorder, heading)
    }

    /// An answer, once the log has what was decided.
    pub(super) async fn answered<T: Serialize>(
        &self,
        answer: Result<T, Refusal>,
        snapshot: &Snapshot,
        journal: Journal<'_>,
    ) -> Response {
        if let Some(log) = self.log.as_ref().filter(|_| !journal.records.is_empty())
            && log.log.append(journal.records).await.is_err()
        {
            return unwritable();
        }
        answered(answer, snapshot)
    }
}

/// The answer while decisions cannot be logged: none is made that nobody could account for.
pub(super) fn unwritable() -> Response {
    let mut response = message(StatusCode::SERVICE_UNAVAILABLE, "decisions cannot be logged, so none are made");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The id of the trace (W3C Trace Context, section 3.2.2.3).
fn trace_id(traceparent: &HeaderValue) -> Option<&str> {
    let mut parts = traceparent.to_str().ok()?.split('-');
    let (_, id) = (parts.next()?, parts.next()?);
    let is_id = id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    Some(id).filter(|_| is_id)
}
