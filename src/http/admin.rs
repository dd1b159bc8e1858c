//! The listener for operators: which store is in force, and take up the one on disk now. It has its own address and its own tokens.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::Value as Json;
use tokio::net::TcpListener;

use super::callers::{Callers, Peer};
use super::{Service, bounded, healthz, json, message, metrics, nothing_here, observed, paths, readyz, serving};
use crate::live::{Live, Status};

/// What the listener for operators needs.
pub struct Admin {
    /// The store that it is about.
    pub live: Arc<Live>,
    /// Who may ask: their tokens, and the TLS of the service.
    pub callers: Callers,
    /// The service, whose metrics are served here too.
    pub service: Arc<Service>,
}

/// Serves until `shutdown` is done, as [`super::serve`] does.
pub async fn serve(listener: TcpListener, admin: Admin, shutdown: impl Future<Output = ()>) {
    let (tls, service) = (admin.callers.tls.clone(), Arc::clone(&admin.service));
    serving::serve(listener, tls, routes(admin), &service.operations, shutdown).await;
}

/// The routes of the listener.
pub fn routes(admin: Admin) -> Router {
    let Admin { live, callers, service } = admin;
    let routes = Router::new()
        .route(paths::RELOAD, post(reload))
        .route(paths::STATUS, get(status))
        .with_state((live, Arc::clone(&service)))
        .route(paths::HEALTHZ, get(healthz))
        .route(paths::METRICS, get(metrics::metrics))
        .fallback(async || nothing_here())
        .method_not_allowed_fallback(async || message(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method"))
        .layer(from_fn_with_state(callers, gate));
    observed(routes, service)
}

/// Takes up the store on disk: 200 with the status if it is in force then, 422 with the status if it cannot be served.
async fn reload(State((live, service)): State<(Arc<Live>, Arc<Service>)>) -> Response {
    // Building a store takes processors, and takes them for long.
    match tokio::task::spawn_blocking(move || live.reload()).await {
        Ok(status) => {
            let code = if status.is_current() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
            json(code, &told(&status, &service))
        }
        Err(_) => {
            message(StatusCode::INTERNAL_SERVER_ERROR, "the store could not be taken up; what was in force stays so")
        }
    }
}

/// Which store is in force, and what came of the last attempt to take one up; and whether decisions are made.
async fn status(State((live, service)): State<(Arc<Live>, Arc<Service>)>) -> Response {
    json(StatusCode::OK, &told(&live.board().status(), &service))
}

/// What operators are told: the status of the store, and what `/readyz` says of the service.
fn told(status: &Status, service: &Service) -> Json {
    let mut told = status.as_json();
    if let Some(members) = told.as_object_mut() {
        let hindrance = service.hindrance();
        members.insert("status".to_owned(), readyz::word(hindrance).into());
        members.extend(hindrance.map(|reason| ("reason".to_owned(), reason.into())));
    }
    told
}

/// Lets those through whose caller is known and may ask about everything, and anybody who asks whether the process runs.
async fn gate(State(callers): State<Callers>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get().map(|ConnectInfo(peer): &ConnectInfo<Peer>| peer);
    let refusal = match callers.recognise(request.headers(), peer) {
        Ok(caller) if caller.is_limited() => message(
            StatusCode::FORBIDDEN,
            "this caller may ask about some actions and types only, and not about the service",
        ),
        Ok(_) => return next.run(request).await,
        Err(_) if is_open(&request) => return next.run(request).await,
        Err(unknown) => unknown.response(),
    };
    let (parts, body) = request.into_parts();
    bounded::discard(body, &parts.headers).await;
    refusal
}

fn is_open(request: &Request) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD) && request.uri().path() == paths::HEALTHZ
}
