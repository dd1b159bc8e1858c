//! The three searches: each read, permitted, and run page by page in slices that let other requests in.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::authzen::{
    ActionSearchRequest, BadRequest, FoundAction, FoundEntity, Page, PageResponse, Refusal, ResourceSearchRequest,
    SearchResponse, SubjectSearchRequest, members,
};
use super::callers::Caller;
use super::journal::Journal;
use super::paging::{SearchId, Start};
use super::slice::Slice;
use super::{Posted, Service, received};
use crate::engine::{Search, Snapshot, Target};
use crate::log::record::{Endpoint, SearchPage};
use crate::request::json::{Json, Members};
use crate::request::{Facts, Question};

/// The most candidates on which one page decides, for a body of at most [`USUAL_BODY`] bytes; fewer for a larger one, each decision on
/// which costs more. Where nearly all of them are denied, a page has fewer results than it could, and the search goes on with the
/// next one.
const MOST_DECISIONS: usize = 10_000;
const FEWEST_DECISIONS: usize = 100;
const USUAL_BODY: usize = 1024;

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
    began: Instant,
    /// On how many candidates it may decide for one page.
    decisions: usize,
}

/// Which subjects may do it?
pub(super) async fn subjects(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    posted: Posted,
) -> Response {
    let endpoint = Endpoint::SubjectSearch;
    respond(&service, &caller, posted, endpoint, async |asked, journal| {
        let request = SubjectSearchRequest::read(asked.body)?;
        asked.entities(request.question(), Target::Principal, &request.page, journal).await
    })
    .await
}

/// To which resources may it be done?
pub(super) async fn resources(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    posted: Posted,
) -> Response {
    let endpoint = Endpoint::ResourceSearch;
    respond(&service, &caller, posted, endpoint, async |asked, journal| {
        let request = ResourceSearchRequest::read(asked.body)?;
        asked.entities(request.question(), Target::Resource, &request.page, journal).await
    })
    .await
}

/// What may the subject do to the resource? Of that, a caller with limits is told what it may ask about.
pub(super) async fn actions(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    posted: Posted,
) -> Response {
    let endpoint = Endpoint::ActionSearch;
    respond(&service, &caller, posted, endpoint, async |asked, journal| {
        let request = ActionSearchRequest::read(asked.body)?;
        let types = [request.subject.type_name, request.resource.type_name];
        if !asked.caller.may_ask_about(types) {
            return Err(Refusal::NotAllowed);
        }
        let may_ask = |name: &str| asked.caller.may_ask(name, types);
        let search = asked.snapshot.search_actions(request.question(), may_ask)?;
        Refusal::unless_allowed_parents(asked.caller, search.said_parents())?;
        let (found, answer) =
            asked.answer("action", &search, &request.page, |name| FoundAction { name: name.to_owned() }).await?;
        for place in found.places.clone() {
            if let Some(name) = search.candidate(place) {
                asked.note_action(place, &search.asked(name), journal)?;
            }
        }
        Ok(answer)
    })
    .await
}

async fn respond<T: Serialize>(
    service: &Service,
    caller: &Caller,
    Posted { headers, body }: Posted,
    endpoint: Endpoint,
    search: impl AsyncFnOnce(&Asked<'_>, &mut Journal<'_>) -> Result<SearchResponse<T>, Refusal>,
) -> Response {
    let bytes = match received(service, &headers, body).await {
        Ok(bytes) => bytes,
        Err(response) => return response,
    };
    let began = Instant::now();
    let snapshot = service.engine.snapshot();
    let mut journal = service.journal(&headers, caller, endpoint, &snapshot);
    let read = Json::parse(&bytes, service.limits.depth).map_err(BadRequest::from);
    let body = read.as_ref().map_err(BadRequest::clone).and_then(|json| members(json, "the body"));
    let answer = match body {
        Ok(body) => {
            let decisions = (MOST_DECISIONS * USUAL_BODY / bytes.len().max(USUAL_BODY)).max(FEWEST_DECISIONS);
            let asked = Asked { service, snapshot: &snapshot, caller, body, began, decisions };
            search(&asked, &mut journal).await
        }
        Err(error) => Err(error.into()),
    };
    service.answered(answer, &snapshot, journal).await
}

impl Asked<'_> {
    /// The entities for which the question is allowed.
    async fn entities(
        &self,
        question: Question<'_>,
        target: Target,
        page: &Page<'_>,
        journal: &mut Journal<'_>,
    ) -> Result<SearchResponse<FoundEntity>, Refusal> {
        let types = [question.principal.type_name, question.resource.type_name];
        Refusal::unless_allowed(self.caller, question.action, types)?;
        let (kind, type_name) = match target {
            Target::Principal => ("subject", question.principal.type_name),
            Target::Resource => ("resource", question.resource.type_name),
        };
        let search = self.snapshot.search(question, target, Facts::FromPlugins)?;
        if let Some(request) = search.request() {
            Refusal::unless_allowed_parents(self.caller, request.parents())?;
        }
        let found = |id: &str| FoundEntity { type_name: type_name.to_owned(), id: id.to_owned() };
        let (run, answer) = self.answer(kind, &search, page, found).await?;
        let before = |place: usize| place.checked_sub(1).and_then(|last| search.name(last));
        let page = SearchPage {
            request: search.request(),
            results: &run.names,
            candidates: run.places.len(),
            after: before(run.places.start),
            up_to: run.next.and_then(before),
            decided: run.decided,
            context_varies: search.reads_context_by_candidate(),
        };
        journal.searched(&question, &page, self.began);
        Ok(answer)
    }

    /// Takes up the decision on one action.
    fn note_action(&self, place: usize, question: &Question<'_>, journal: &mut Journal<'_>) -> Result<(), Refusal> {
        if journal.is_open() {
            let resolved = self.snapshot.resolve(question, Facts::FromPlugins)?;
            let decision = self.snapshot.decide_resolved(&resolved, &self.snapshot.entities);
            journal.decided(Some(place), question, &resolved, &decision, self.began.elapsed());
        }
        Ok(())
    }

    /// The page that is asked for.
    async fn answer<'s, S: Search, T>(
        &self,
        kind: &str,
        search: &'s S,
        page: &Page<'_>,
        result: impl Fn(&str) -> T,
    ) -> Result<(Found<'s>, SearchResponse<T>), Refusal> {
        let (id, revision) = (SearchId::of(kind, self.caller, self.body), self.snapshot.revision());
        let start = self.service.paging.start(page, &id, revision, self.service.limits.page_results);
        let start = start.map_err(|error| BadRequest::Shape(error.to_string()))?;
        // The semaphore is never closed.
        let _turn = self.service.paging.turns.acquire().await.map_err(|_| Refusal::Failed)?;
        let found = run(search, start, self.decisions).await;
        let results: Vec<T> = found.names.iter().map(|name| result(name)).collect();
        let is_paged = found.next.is_some() || page.token.0.is_some() || page.limit.0.is_some();
        let limit = if start.limit == 0 { self.service.limits.page_results } else { start.limit };
        let next_token = found.next.map(|place| self.service.paging.token(Start { place, limit }, &id, revision));
        let next_token = next_token.transpose().map_err(|_| Refusal::Failed)?.unwrap_or_default();
        let page = is_paged.then_some(PageResponse { next_token, count: Some(results.len()) });
        Ok((found, SearchResponse { page, results }))
    }
}

/// What a page found, and where the next one begins, if there is one.
struct Found<'a> {
    names: Vec<&'a str>,
    /// The places that were looked at.
    places: Range<usize>,
    next: Option<usize>,
    decided: usize,
}

async fn run<S: Search>(search: &S, start: Start, decisions: usize) -> Found<'_> {
    let mut decided = 0;
    let mut names = Vec::new();
    let mut full_at = None;
    let mut slice = Slice::begin();
    let mut next = None;
    for place in start.place..search.candidates() {
        if names.len() >= start.limit {
            let first = *full_at.get_or_insert(place);
            if place - first >= LOOK_AHEAD {
                next = Some(place);
                break;
            }
        }
        let Some(candidate) = search.candidate(place) else {
            if place % STRIDE == 0 {
                slice.let_others_in().await;
            }
            continue;
        };
        if decided >= decisions {
            next = Some(place);
            break;
        }
        decided += 1;
        if search.allows(candidate) {
            if full_at.is_some() {
                next = Some(place);
                break;
            }
            names.push(candidate);
        }
        slice.let_others_in().await;
    }
    Found { names, places: start.place..next.unwrap_or(search.candidates()), next, decided }
}
