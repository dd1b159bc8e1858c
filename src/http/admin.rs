//! The listener for operators: which store is in force, and take up the one on disk now. It has its own address and its own tokens.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::Value as Json;
use tokio::net::TcpListener;

use super::bounded::read;
use super::callers::{Caller, Callers, Peer};
use super::front::Front;
use super::hosts::Hosts;
use super::{Service, healthz, json, message, metrics, nothing_here, paths, readyz, serving, unreadable};
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
    let Admin { live, callers, service } = admin;
    let routes = routes(live, Arc::clone(&service));
    let (hosts, base, reading) = (Hosts::Any, String::new(), &[paths::RELOAD]);
    let front = Front { service, callers, lets_in, hosts, base, routes, reading };
    serving::serve(listener, front, shutdown).await;
}

fn routes(live: Arc<Live>, service: Arc<Service>) -> Router {
    Router::new()
        .route(paths::RELOAD, post(reload))
        .route(paths::STATUS, get(status))
        .with_state((live, Arc::clone(&service)))
        .route(paths::HEALTHZ, get(healthz))
        .route(paths::METRICS, get(metrics::metrics))
        .fallback(async || nothing_here())
        .method_not_allowed_fallback(async || message(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method"))
        .with_state(service)
}

/// Takes up the store on disk: 200 with the status if it is in force then, 422 with the status if it cannot be served. A body
/// `{"accept": REVISION}` confirms that revision, whatever it has lost of the one in force.
async fn reload(State((live, service)): State<(Arc<Live>, Arc<Service>)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let time = service.operations.bounds.body_time;
    let body = match read(body, &parts.headers, MOST_BODY, time).await {
        Ok(body) => body,
        Err(error) => return unreadable(error, MOST_BODY, time),
    };
    let accepted = match accepted(&body) {
        Ok(accepted) => accepted,
        Err(why) => return message(StatusCode::BAD_REQUEST, why),
    };
    // Building a store takes processors, and takes them for long.
    let reload = move || {
        accepted.iter().for_each(|revision| live.accept(revision));
        live.reload()
    };
    match tokio::task::spawn_blocking(reload).await {
        Ok(status) => {
            let code = if status.is_current() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
            json(code, &told(&status, &service))
        }
        Err(_) => {
            message(StatusCode::INTERNAL_SERVER_ERROR, "the store could not be taken up; what was in force stays so")
        }
    }
}

/// The largest body, in bytes.
const MOST_BODY: usize = 4096;

const ACCEPT_FORM: &str = "the body must be empty, or {\"accept\": REVISION} with the 64 digits of a revision";

/// The revision that a body confirms.
fn accepted(body: &[u8]) -> Result<Option<String>, &'static str> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let read: Accept = serde_json::from_slice(body).map_err(|_| ACCEPT_FORM)?;
    let is_revision = read.accept.len() == 64 && read.accept.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_revision { Ok(Some(read.accept.to_ascii_lowercase())) } else { Err(ACCEPT_FORM) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accept {
    accept: String,
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
fn lets_in(callers: &Callers, request: &Request, peer: Option<&Peer>) -> Result<Option<Caller>, Box<Response>> {
    match callers.recognise(request.headers(), peer) {
        Ok(caller) if caller.is_limited() => {
            let why = "this caller may ask about some actions and types only, and not about the service";
            Err(message(StatusCode::FORBIDDEN, why).into())
        }
        Ok(caller) => Ok(Some(caller)),
        Err(_) if is_open(request) => Ok(None),
        Err(unknown) => Err(unknown.response().into()),
    }
}

fn is_open(request: &Request) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD) && request.uri().path() == paths::HEALTHZ
}
