//! The three searches: each read, permitted, and run page by page in slices that let other requests in.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::HeaderMap;
use axum::response::Response;
use serde::Serialize;

use super::authzen::{
    ActionSearchRequest, BadRequest, FoundAction, FoundEntity, Page, PageResponse, Refusal, ResourceSearchRequest,
    SearchResponse, Slice, SubjectSearchRequest, members,
};
use super::callers::Caller;
use super::paging::{SearchId, Start};
use super::{Service, answered, received};
use crate::engine::{Search, Snapshot, Target};
use crate::request::json::{Json, Members};

/// The most candidates on which one page decides. Where nearly all of them are denied, a page has fewer results than it could, and
/// the search goes on with the next one.
const MOST_DECISIONS: usize = 10_000;

/// So far is looked for the first result of the next page, to know whether there is one.
const LOOK_AHEAD: usize = 1_000;

/// So many candidates that need no decision are passed over between two looks at the clock.
const STRIDE: usize = 256;

/// What a search is asked in.
struct Asked<'a> {
    service: &'a Service,
    snapshot: &'a Snapshot,
    caller: &'a Caller,
    body: Members<'a>,
}

/// Which subjects may do it?
pub(super) async fn subjects(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    respond(&service, &caller, &headers, body, async |asked| {
        let request = SubjectSearchRequest::read(asked.body)?;
        let types = [request.subject.type_name, request.resource.type_name];
        Refusal::unless_allowed(asked.caller, request.action.name, types)?;
        let search = asked.snapshot.search(request.question(), Target::Principal)?;
        asked.answer("subject", &search, &request.page, |id| found(types[0], id)).await
    })
    .await
}

/// To which resources may it be done?
pub(super) async fn resources(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    respond(&service, &caller, &headers, body, async |asked| {
        let request = ResourceSearchRequest::read(asked.body)?;
        let types = [request.subject.type_name, request.resource.type_name];
        Refusal::unless_allowed(asked.caller, request.action.name, types)?;
        let search = asked.snapshot.search(request.question(), Target::Resource)?;
        asked.answer("resource", &search, &request.page, |id| found(types[1], id)).await
    })
    .await
}

/// What may the subject do to the resource? Of that, a caller with limits is told what it may ask about.
pub(super) async fn actions(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    respond(&service, &caller, &headers, body, async |asked| {
        let request = ActionSearchRequest::read(asked.body)?;
        let types = [request.subject.type_name, request.resource.type_name];
        if !asked.caller.may_ask_about(types) {
            return Err(Refusal::NotAllowed);
        }
        let search = asked.snapshot.search_actions(request.question())?;
        let search = search.only(|name| asked.caller.may_ask(name, types));
        asked.answer("action", &search, &request.page, |name| FoundAction { name: name.to_owned() }).await
    })
    .await
}

fn found(type_name: &str, id: &str) -> FoundEntity {
    FoundEntity { type_name: type_name.to_owned(), id: id.to_owned() }
}

async fn respond<T: Serialize>(
    service: &Service,
    caller: &Caller,
    headers: &HeaderMap,
    body: Body,
    search: impl AsyncFnOnce(&Asked<'_>) -> Result<SearchResponse<T>, Refusal>,
) -> Response {
    let bytes = match received(service, headers, body).await {
        Ok(bytes) => bytes,
        Err(response) => return response,
    };
    let snapshot = service.engine.snapshot();
    let read = Json::parse(&bytes, service.limits.depth).map_err(BadRequest::from);
    let body = read.as_ref().map_err(BadRequest::clone).and_then(|json| members(json, "the body"));
    let answer = match body {
        Ok(body) => search(&Asked { service, snapshot: &snapshot, caller, body }).await,
        Err(error) => Err(error.into()),
    };
    answered(answer, &snapshot)
}

impl Asked<'_> {
    /// The page that is asked for.
    async fn answer<S: Search, T>(
        &self,
        kind: &str,
        search: &S,
        page: &Page<'_>,
        result: impl Fn(&str) -> T,
    ) -> Result<SearchResponse<T>, Refusal> {
        let (id, revision) = (SearchId::of(kind, self.caller, self.body), self.snapshot.revision());
        let start = self.service.paging.start(page, &id, revision, self.service.limits.page_results);
        let start = start.map_err(|error| BadRequest::Shape(error.to_string()))?;
        let Found { names, next } = run(search, start).await;
        let results: Vec<T> = names.into_iter().map(result).collect();
        let is_paged = next.is_some() || page.token.0.is_some() || page.limit.0.is_some();
        let next_token = next.map(|place| self.service.paging.token(Start { place, ..start }, &id, revision));
        let next_token = next_token.transpose().map_err(|_| Refusal::Failed)?.unwrap_or_default();
        let page = is_paged.then(|| PageResponse { next_token, count: Some(results.len()) });
        Ok(SearchResponse { page, results })
    }
}

/// What a page found, and where the next one begins, if there is one.
struct Found<'a> {
    names: Vec<&'a str>,
    next: Option<usize>,
}

async fn run<S: Search>(search: &S, start: Start) -> Found<'_> {
    let mut names = Vec::new();
    let mut decisions = 0;
    let mut full_at = None;
    let mut slice = Slice::begin();
    for place in start.place..search.candidates() {
        if names.len() >= start.limit {
            let first = *full_at.get_or_insert(place);
            if place - first >= LOOK_AHEAD {
                return Found { names, next: Some(place) };
            }
        }
        let Some(candidate) = search.candidate(place) else {
            if place % STRIDE == 0 {
                slice.let_others_in().await;
            }
            continue;
        };
        if decisions >= MOST_DECISIONS {
            return Found { names, next: Some(place) };
        }
        decisions += 1;
        if search.allows(candidate) {
            if full_at.is_some() {
                return Found { names, next: Some(place) };
            }
            names.push(candidate);
        }
        slice.let_others_in().await;
    }
    Found { names, next: None }
}
