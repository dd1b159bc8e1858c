//! What every request passes on its way to a route: it is observed, a panic is caught, and who sends it is let in, or not.
//!
//! These are plain functions around one router, and no layers of it: each layer costs each request some allocations.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use tower::Service as _;

use super::callers::{Caller, Callers, Peer};
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
    /// What answers.
    pub(super) routes: Router,
}

/// Gives the caller, if it is one that is known, or `None` where anybody is let in; or the answer to one who is not.
pub(super) type LetsIn = fn(&Callers, &Request, Option<&Peer>) -> Result<Option<Caller>, Box<Response>>;

impl Front {
    /// Answers a request that came over that connection.
    pub(super) async fn answer(&self, request: Request, peer: Option<&Peer>) -> Response {
        let address = peer.map(|peer| peer.address);
        observe(&self.service, request, address, async |request| {
            let mut answer = pin!(self.routed(request, peer));
            let unless_it_panics = poll_fn(|context| {
                let polled = catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context)));
                polled.unwrap_or_else(|_| Poll::Ready(failed()))
            });
            unless_it_panics.await
        })
        .await
    }

    async fn routed(&self, mut request: Request, peer: Option<&Peer>) -> Response {
        let caller = match (self.lets_in)(&self.callers, &request, peer) {
            Ok(caller) => caller,
            Err(refusal) => {
                let (parts, body) = request.into_parts();
                bounded::discard(body, &parts.headers).await;
                return *refusal;
            }
        };
        // Who observes the request names the caller, where somebody wants to know.
        let named = caller.clone().filter(|_| tracing::enabled!(tracing::Level::DEBUG));
        if let Some(caller) = caller {
            request.extensions_mut().insert(caller);
        }
        let Ok(mut response) = self.routes.clone().call(request).await;
        if let Some(caller) = named {
            response.extensions_mut().insert(caller);
        }
        response
    }
}
