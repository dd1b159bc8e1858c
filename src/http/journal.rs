//! What one request over HTTP has decided: for the decision log and the metrics.

use std::time::{Duration, Instant, SystemTime};

use axum::http::HeaderValue;
use axum::http::header::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use smol_str::SmolStr;

use super::authzen::Refusal;
use super::callers::Caller;
use super::metrics::{Metrics, Rejection};
use super::{REQUEST_ID, Service, answered, unavailable};
use crate::engine::{Decision, Snapshot};
use crate::log::Entries;
use crate::log::record::{Endpoint, Heading, NotDecided, Recorder, SearchPage, Told, Verdict};
use crate::request::{Question, Resolved};

/// What one request decides: its records go into the log before its answer goes out, and what the log has taken is counted.
#[derive(Debug, Default)]
pub struct Journal<'a> {
    metrics: Option<&'a Metrics>,
    log: Option<(&'a Recorder, Heading<'a>)>,
    records: Entries,
    /// Each decision that is to be counted, by its action.
    counted: Vec<(SmolStr, Verdict)>,
}

impl<'a> Journal<'a> {
    /// A journal of a request under that heading, which counts nothing.
    pub fn new(recorder: &'a Recorder, heading: Heading<'a>) -> Self {
        Self { log: Some((recorder, heading)), ..Self::none() }
    }

    /// One that takes up nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether it takes records.
    pub fn is_open(&self) -> bool {
        self.log.is_some()
    }

    /// Takes up a decision, of which `item` of a batch, and how long it took.
    pub fn decided(
        &mut self,
        item: Option<usize>,
        question: &Question<'_>,
        resolved: &Resolved,
        decision: &Decision,
        took: Duration,
    ) {
        self.count(question.action, Verdict::of(decision));
        if let Some((recorder, heading)) = &self.log {
            recorder.decision(heading, now(item, took), question, resolved, decision, &mut self.records);
        }
    }

    /// Takes up an item of a batch that was denied without being decided.
    pub fn not_decided(&mut self, item: usize, why: NotDecided<'_>, began: Instant) {
        match why {
            NotDecided::NotAllowed(question) => self.count(question.action, Verdict::NotAllowed),
            // Of which action it would be, nobody knows.
            NotDecided::Malformed | NotDecided::Invalid(_) => self.count("", Verdict::Invalid),
        }
        if let Some((recorder, heading)) = &self.log {
            recorder.not_decided(heading, now(Some(item), began.elapsed()), why, &mut self.records);
        }
    }

    /// Takes up a page of a search.
    pub fn searched(&mut self, question: &Question<'_>, page: &SearchPage<'_>, began: Instant) {
        if let Some((recorder, heading)) = &self.log {
            recorder.search(heading, now(None, began.elapsed()), question, page, &mut self.records);
        }
    }

    /// The records, in the order in which they were taken up.
    pub fn records(&self) -> &Entries {
        &self.records
    }

    fn count(&mut self, action: &str, verdict: Verdict) {
        if self.metrics.is_some() {
            self.counted.push((action.into(), verdict));
        }
    }
}

/// What is answered now.
fn now(item: Option<usize>, took: Duration) -> Told {
    Told { item, time: SystemTime::now(), took }
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
        let log = self.log.as_ref().map(|log| {
            let heading = Heading {
                request_id: headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default(),
                trace_id: headers.get(TRACEPARENT).and_then(trace_id),
                caller: caller.name(),
                endpoint,
                snapshot,
            };
            (&log.recorder, heading)
        });
        Journal { metrics: Some(&self.operations.metrics), log, ..Journal::none() }
    }

    /// An answer, once the log has what was decided.
    pub(super) async fn answered<T: Serialize>(
        &self,
        answer: Result<T, Refusal>,
        snapshot: &Snapshot,
        journal: Journal<'_>,
    ) -> Response {
        if let Some(log) = &self.log
            && log.log.append(journal.records).await.is_err()
        {
            return self.unwritable();
        }
        for (action, verdict) in &journal.counted {
            self.operations.metrics.decided(action, *verdict);
        }
        answered(answer, snapshot)
    }

    /// The answer while decisions cannot be logged, if they must be: none is made that nobody could account for.
    pub(super) fn unless_writable(&self) -> Option<Response> {
        let refused = self.log.as_ref().is_some_and(|log| log.log.admit().is_err());
        refused.then(|| self.unwritable())
    }

    fn unwritable(&self) -> Response {
        self.operations.metrics.rejected(Rejection::LogUnwritable);
        unavailable("decisions cannot be logged, so none are made: try again in a moment")
    }
}

/// The header that names the span of a caller.
pub(super) const TRACEPARENT: &str = "traceparent";

/// The id of the trace (W3C Trace Context, section 3.2.2.3).
fn trace_id(traceparent: &HeaderValue) -> Option<&str> {
    let mut parts = traceparent.to_str().ok()?.split('-');
    let (_, id) = (parts.next()?, parts.next()?);
    let is_id = id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    Some(id).filter(|_| is_id)
}
