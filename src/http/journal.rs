//! What one request over HTTP has decided: for the decision log and the metrics.

use std::time::{Duration, Instant, SystemTime};

use axum::http::header::HeaderMap;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;
use smol_str::SmolStr;

use super::authzen::{About, Refusal, Unread, UnreadMembers, shown};
use super::callers::Caller;
use super::metrics::{Metrics, Rejection};
use super::told::Names;
use super::{DROPPED, MISSING, REQUEST_ID, Service, answered, unavailable};
use crate::engine::{Decision, Snapshot};
use crate::log::Entries;
use crate::log::record::{Endpoint, Heading, NotDecided, Recorder, SearchPage, Told, Verdict};
use crate::request::place::{Part, Places};
use crate::request::{Question, Resolved, TypedRequest};
use crate::store::schema::Types;

/// What one request decides: its records go into the log before its answer goes out, and what the log has taken is counted.
#[derive(Debug, Default)]
pub struct Journal<'a> {
    metrics: Option<&'a Metrics>,
    log: Option<(&'a Recorder, Heading<'a>)>,
    records: Entries,
    /// Each decision that is to be counted, by the whole name of its action.
    counted: Vec<(SmolStr, Verdict)>,
    /// What was sent and not read, and the types of the subject and the resource of each decision of which something was not.
    dropped: Names,
    /// What of that was named last: the items of a batch often share it.
    named_last: Option<(UnreadMembers, Places)>,
    counted_dropped: Vec<[SmolStr; 2]>,
    /// What a search lacks in the context.
    missing: Names,
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
    pub fn decided(&mut self, item: Option<usize>, about: &About<'_>, decision: &Decision, took: Duration) {
        let About { question, resolved, types, .. } = *about;
        self.not_read(&about.unread, question, types);
        let verdict = Verdict::of(decision);
        match (resolved, self.metrics) {
            (Resolved::Request(request), Some(_)) => self.counted.push((whole_name(types, request), verdict)),
            _ => self.count(question.action_in(types).cloned(), verdict),
        }
        if let Some((recorder, heading)) = &self.log {
            let unread = about.unread.members.places();
            recorder.decision(heading, now(item, took, &unread), question, resolved, decision, &mut self.records);
        }
    }

    /// Takes up that a question says something that nobody reads.
    pub(super) fn not_read(&mut self, unread: &Unread<'_>, question: &Question<'_>, types: &Types) {
        if unread.is_empty() {
            return;
        }
        let is_named = |(members, undeclared): &(UnreadMembers, Places)| {
            (members, undeclared) == (unread.members, unread.undeclared)
        };
        if !self.named_last.as_ref().is_some_and(is_named) {
            unread.places().for_each(|place| self.dropped.add(&place));
            self.dropped.add_more(unread.more());
            self.named_last = Some((unread.members.clone(), unread.undeclared.clone()));
        }
        if self.metrics.is_some() {
            let known =
                |name: &str| types.entity(name).map_or_else(SmolStr::default, |entity| entity.full_name.clone());
            self.counted_dropped.push([&question.principal, &question.resource].map(|named| known(named.type_name)));
        }
    }

    /// Takes up what a search lacks in the context.
    pub(super) fn lacks(&mut self, places: &Places) {
        places
            .named
            .iter()
            .filter(|place| place.part == Part::Context)
            .for_each(|place| self.missing.add(&shown(place)));
    }

    /// Takes up an item of a batch that was denied without being decided, on the action of that whole name, if it is known.
    pub fn not_decided(&mut self, item: usize, action: Option<SmolStr>, why: NotDecided<'_>, began: Instant) {
        let verdict = match why {
            NotDecided::NotAllowed(_) => Verdict::NotAllowed,
            NotDecided::Malformed | NotDecided::Invalid(_) => Verdict::Invalid,
        };
        if let Some((recorder, heading)) = &self.log {
            let nothing = Default::default();
            let told = now(Some(item), began.elapsed(), &nothing);
            recorder.not_decided(heading, told, action.as_deref(), why, &mut self.records);
        }
        self.count(action, verdict);
    }

    /// Takes up a page of a search.
    pub fn searched(&mut self, question: &Question<'_>, page: &SearchPage<'_>, unread: &UnreadMembers, began: Instant) {
        if let Some((recorder, heading)) = &self.log {
            recorder.search(heading, now(None, began.elapsed(), &unread.places()), question, page, &mut self.records);
        }
    }

    /// The records, in the order in which they were taken up.
    pub fn records(&self) -> &Entries {
        &self.records
    }

    /// Counts a decision on the action of that whole name, if it is known.
    fn count(&mut self, action: Option<SmolStr>, verdict: Verdict) {
        if self.metrics.is_some() {
            self.counted.push((action.unwrap_or_default(), verdict));
        }
    }
}

/// The whole name of the action of a request.
fn whole_name(types: &Types, request: &TypedRequest) -> SmolStr {
    types.environments.get(request.environment).map(|environment| environment.action_name.clone()).unwrap_or_default()
}

/// What is answered now.
fn now(item: Option<usize>, took: Duration, unread: &(Vec<String>, usize)) -> Told<'_> {
    Told { item, time: SystemTime::now(), took, unread: (&unread.0, unread.1) }
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
        journal.counted_dropped.iter().for_each(|types| self.operations.metrics.dropped(types));
        let mut response = answered(answer, snapshot);
        if response.status() == StatusCode::OK {
            let told = [(DROPPED, &journal.dropped), (MISSING, &journal.missing)];
            let told = told.into_iter().filter_map(|(name, names)| Some((name, names.value()?)));
            response.headers_mut().extend(told);
        }
        response
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

/// The header that names a span: of the caller, and within the service the one that was made, if it is kept.
pub(super) const TRACEPARENT: &str = "traceparent";

/// The id of the trace (W3C Trace Context, section 3.2.2.3) of a span that was read before.
fn trace_id(traceparent: &HeaderValue) -> Option<&str> {
    traceparent.to_str().ok()?.trim().split('-').nth(1)
}
