//! What every request passes on its way to a route: it is observed, a panic is caught, and who sends it is let in, or not.
//!
//! These are plain functions around one router, and no layers of it: each layer costs each request some allocations.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::{Method, Uri};
use axum::response::Response;
use tower::Service as _;

use super::bounded::Drained;
use super::callers::{Caller, Callers, Peer};
use super::hosts::Hosts;
use super::observed::{failed, observe};
use super::{Service, bounded};

/// Everything behind a listener.
pub(super) struct Front {
    /// By which its requests are observed.
    pub(super) service: Arc<Service>,
    /// Who may ask.
    pub(super) callers: Callers,
    /// Whom it lets in.
    pub(super) lets_in: LetsIn,
    /// By which hosts a request may name it.
    pub(super) hosts: Hosts,
    /// The path under which everything is found as well: that of the URL by which callers reach it, which a proxy may leave in place.
    pub(super) base: String,
    /// What answers.
    pub(super) routes: Router,
    /// The paths whose routes read what is posted to them.
    pub(super) reading: &'static [&'static str],
}

/// Gives the caller, if it is one that is known, or `None` where anybody is let in; or the answer to one who is not.
pub(super) type LetsIn = fn(&Callers, &Request, Option<&Peer>) -> Result<Option<Caller>, Box<Response>>;

impl Front {
    /// Answers a request that came over that connection.
    pub(super) async fn answer(&self, request: Request, peer: Option<&Peer>) -> Response {
        let request = self.without_base(request);
        let address = peer.map(|peer| peer.address);
        observe(&self.service, request, address, async |request| {
            let mut answer = pin!(self.routed(request, peer));
            let unless_it_panics = poll_fn(|context| {
                let polled = catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context)));
                // How much of the request has been read, nobody knows.
                polled.unwrap_or_else(|_| Poll::Ready(Drained(false).and(failed())))
            });
            unless_it_panics.await
        })
        .await
    }

    async fn routed(&self, mut request: Request, peer: Option<&Peer>) -> Response {
        if let Some(refusal) = self.hosts.refusal(&request) {
            return refused(request, refusal).await;
        }
        let caller = match (self.lets_in)(&self.callers, &request, peer) {
            Ok(caller) => caller,
            Err(refusal) => return refused(request, *refusal).await,
        };
        // Who observes the request names the caller, where somebody wants to know.
        let named = caller.clone().filter(|_| tracing::enabled!(tracing::Level::DEBUG));
        if let Some(caller) = caller {
            request.extensions_mut().insert(caller);
        }
        let mut response = self.answered(request).await;
        if let Some(caller) = named {
            response.extensions_mut().insert(caller);
        }
        response
    }

    /// What the routes answer. A body that no route reads is read here: a connection with an unread one would be closed.
    async fn answered(&self, request: Request) -> Response {
        let is_read = *request.method() == Method::POST && self.reading.contains(&request.uri().path());
        let (request, drained) = if is_read || request.body().is_end_stream() {
            (request, Drained(true))
        } else {
            let (parts, body) = request.into_parts();
            let drained = bounded::discard(body, &parts.headers).await;
            (Request::from_parts(parts, Body::empty()), drained)
        };
        let Ok(response) = self.routes.clone().call(request).await;
        drained.and(response)
    }

    /// The request as it is without the path under which everything is found as well.
    fn without_base(&self, mut request: Request) -> Request {
        let below = |uri: &Uri| {
            let whole = uri.path_and_query()?.as_str();
            let rest = whole.strip_prefix(self.base.as_str()).filter(|rest| rest.starts_with('/'))?;
            let mut parts = uri.clone().into_parts();
            parts.path_and_query = Some(rest.parse().ok()?);
            Uri::from_parts(parts).ok()
        };
        if !self.base.is_empty()
            && let Some(uri) = below(request.uri())
        {
            *request.uri_mut() = uri;
        }
        request
    }
}

async fn refused(request: Request, refusal: Response) -> Response {
    let (parts, body) = request.into_parts();
    bounded::discard(body, &parts.headers).await.and(refusal)
}
