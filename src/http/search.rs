//! The three searches: each read, permitted, and run page by page in slices that let other requests in.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::authzen::{
    ActionSearchRequest, BadRequest, DROPPED, FoundEntity, Hints, INVALID, MISSING, Page, PageResponse, Reasons,
    Refusal, ResourceSearchRequest, SearchOptions, SearchResponse, SubjectSearchRequest, Unread, UnreadMembers,
    dropped_in_words, members, missing_in_words, search_context, unknown_in_words,
};
use super::callers::Caller;
use super::journal::Journal;
use super::paging::{SearchId, Start};
use super::slice::Slice;
use super::{Posted, Service, received};
use crate::engine::{EntitySearch, Search, Snapshot, Target};
use crate::log::record::{Endpoint, SearchPage};
use crate::request::json::{Json, Members};
use crate::request::place::{Part, Places};
use crate::request::{Facts, Question, Unknown, find_environment};

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
pub(super) struct Asked<'a> {
    service: &'a Service,
    pub(super) snapshot: &'a Snapshot,
    pub(super) caller: &'a Caller,
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
        let unread = SubjectSearchRequest::unread(asked.body);
        let how = asked.how(request.page, request.options, &unread);
        asked.entities(request.question(), Target::Principal, &how, journal).await
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
        let unread = ResourceSearchRequest::unread(asked.body);
        let how = asked.how(request.page, request.options, &unread);
        asked.entities(request.question(), Target::Resource, &how, journal).await
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
        let unread = ActionSearchRequest::unread(asked.body);
        let how = asked.how(request.page, request.options, &unread);
        asked.actions(request.question(), &how, journal).await
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

/// How a search is answered.
pub(super) struct How<'a> {
    pub(super) page: Page<'a>,
    pub(super) reasons: Reasons,
    pub(super) strict: bool,
    /// The members that are not read.
    pub(super) unread: &'a UnreadMembers,
}

impl<'a> Asked<'a> {
    fn how<'h>(&self, page: Page<'h>, options: SearchOptions, unread: &'h UnreadMembers) -> How<'h> {
        let limits = &self.service.limits;
        let strict = limits.is_strict(self.caller, options.strict);
        How { page, reasons: limits.reasons_for(options.reasons), strict, unread }
    }

    /// The entities for which the question is allowed.
    async fn entities(
        &self,
        question: Question<'_>,
        target: Target,
        how: &How<'_>,
        journal: &mut Journal<'_>,
    ) -> Result<SearchResponse<FoundEntity>, Refusal> {
        let types = &self.snapshot.store.types;
        let question = question.by_cedar_names(types);
        Refusal::unless_allowed(self.caller, &question, types)?;
        let (kind, type_name, own) = match target {
            Target::Principal => ("subject", question.principal.type_name, Part::Principal),
            Target::Resource => ("resource", question.resource.type_name, Part::Resource),
        };
        let search = self.snapshot.search(question, target, Facts::FromPlugins)?;
        let (missing, undeclared) = match search.request() {
            Some(request) => (of_all(&request.missing, own), request.dropped.clone()),
            None => Default::default(),
        };
        let unread = Unread { members: how.unread, undeclared: &undeclared, hints: &Hints::default() };
        journal.not_read(&unread, &question, types);
        journal.lacks(&missing);
        let context = search_context(how.reasons, self.sentences(&search, &question, own, &missing, &unread));
        let found = |id: &str| FoundEntity { type_name: type_name.to_owned(), id: id.to_owned() };
        if how.strict && !unread.is_empty() {
            // Nothing is decided, and so nothing is logged: as with a request for one decision.
            let (_, answer) = self.answer(kind, &Nothing, &how.page, found).await?;
            return Ok(SearchResponse { context, ..answer });
        }
        let (run, answer) = self.answer(kind, &search, &how.page, found).await?;
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
        journal.searched(&question, &page, how.unread, self.began);
        Ok(SearchResponse { context, ..answer })
    }

    /// Why a search finds nothing, as far as that is so for every candidate, and what in it is not read.
    fn sentences(
        &self,
        search: &EntitySearch<'_>,
        question: &Question<'_>,
        own: Part,
        missing: &Places,
        unread: &Unread<'_>,
    ) -> BTreeMap<&'static str, String> {
        let types = &self.snapshot.store.types;
        let environment = find_environment(question, types).map(|(_, environment)| environment);
        let other = if own == Part::Principal { Part::ResourceId } else { Part::PrincipalId };
        let unknown = match (&environment, search.request()) {
            (Err(unknown), _) => Some(unknown.clone()),
            (Ok(_), None) => Some(Unknown::Id(other)),
            (Ok(_), Some(_)) => None,
        };
        let unknown = unknown.map(|unknown| (INVALID, unknown_in_words(&unknown, question, types, unread.hints)));
        let missing = (!missing.is_empty()).then(|| (MISSING, missing_in_words(missing)));
        let dropped = (!unread.is_empty()).then(|| (DROPPED, dropped_in_words(unread, environment.ok())));
        unknown.into_iter().chain(missing).chain(dropped).collect()
    }

    /// The page that is asked for.
    pub(super) async fn answer<'s, S: Search, T>(
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
        let next_token = found.next.map(|place| self.service.paging.token(Start { place, ..start }, &id, revision));
        let next_token = next_token.transpose().map_err(|_| Refusal::Failed)?.unwrap_or_default();
        let page = is_paged.then_some(PageResponse { next_token, count: Some(results.len()) });
        Ok((found, SearchResponse { page, results, context: None }))
    }
}

/// What is missing for every candidate: what they lack themselves, each may have stored.
fn of_all(missing: &Places, own: Part) -> Places {
    let named: Vec<_> =
        missing.named.iter().filter(|place| place.part.participant() != own.participant()).cloned().collect();
    Places { more: if named.is_empty() { 0 } else { missing.more }, named }
}

/// A search without candidates.
struct Nothing;

impl Search for Nothing {
    fn candidates(&self) -> usize {
        0
    }

    fn candidate(&self, _: usize) -> Option<&str> {
        None
    }

    fn name(&self, _: usize) -> Option<&str> {
        None
    }

    fn allows(&self, _: &str) -> bool {
        false
    }
}

/// What a page found, and where the next one begins, if there is one.
pub(super) struct Found<'a> {
    names: Vec<&'a str>,
    /// The places that were looked at.
    pub(super) places: Range<usize>,
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
