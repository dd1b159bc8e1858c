//! A tiny service for the support contact of an account, on axum: a middleware asks Gatepost before a handler runs
//! (`enforce`, the policy enforcement point), and the page shows the buttons of what an action search finds.
//!
//! `GATEPOST_URL` is where the service is, `GATEPOST_TOKEN` the token if it wants one, `LISTEN` the address of the page.

#![expect(clippy::indexing_slicing, reason = "a JSON value without the member is null, which is no decision")]

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tower_http::ServiceBuilderExt as _;
use tower_http::request_id::{MakeRequestUuid, RequestId};

const UNCHECKED: &str =
    "Permissions cannot be checked at the moment, so nothing can be changed here. Please try again later.";

const BUTTONS: [(&str, &str); 5] = [
    ("view", "viewSupportContact"),
    ("enter", "enterSupportContact"),
    ("edit", "editSupportContact"),
    ("delete", "deleteSupportContact"),
    ("order", "placeOrder"),
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let variable = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let gatepost =
        Gatepost::new(variable("GATEPOST_URL", "http://127.0.0.1:8180"), std::env::var("GATEPOST_TOKEN").ok());
    let listener = tokio::net::TcpListener::bind(variable("LISTEN", "127.0.0.1:8280")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, routes(gatepost)).await?)
}

/// Each route says which action it is, beside its handler.
fn routes(gatepost: Gatepost) -> Router {
    let guarded = |action| from_fn_with_state((gatepost.clone(), action), enforce);
    Router::new()
        .route("/", get(page))
        .route(
            "/support-contact",
            get(async || "The support contact of acme.\n").route_layer(guarded("viewSupportContact")),
        )
        .route(
            "/support-contact",
            post(async |contact: String| format!("saved {contact}\n")).route_layer(guarded("enterSupportContact")),
        )
        .route("/orders", post(async || "ordered\n").route_layer(guarded("placeOrder")))
        // The same id in the logs of both services.
        .layer(tower::ServiceBuilder::new().set_x_request_id(MakeRequestUuid).propagate_x_request_id())
        .with_state(gatepost)
}

/// The policy enforcement point: lets a request through if its user may do that with the account and what the body says.
async fn enforce(
    State((gatepost, action)): State<(Gatepost, &'static str)>,
    User(subject): User,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, 64 * 1024).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    // What is entered is decided upon too: strings, as the form has them. A route that takes nothing has no context.
    let context: Result<Form, _> = if body.is_empty() { Ok(Form::new()) } else { serde_json::from_slice(&body) };
    let Ok(context) = context else {
        return (StatusCode::BAD_REQUEST, "the body must be a JSON object of strings\n").into_response();
    };
    let question = json!({
        "subject": subject,
        "action": { "name": action },
        "resource": account(),
        "context": context,
        "options": { "reasons": "user" },
    });
    match gatepost.ask("/access/v1/evaluation", question, request_id(&parts)).await {
        // Only `true` is an allow. The handler gets the body that was decided upon.
        Ok(answer) if answer["decision"] == true => next.run(Request::from_parts(parts, Body::from(body))).await,
        Ok(answer) => (StatusCode::FORBIDDEN, sentences(&answer)).into_response(),
        Err(Unchecked) => (StatusCode::SERVICE_UNAVAILABLE, format!("{UNCHECKED}\n")).into_response(),
    }
}

/// What a user enters.
type Form = BTreeMap<String, String>;

/// What a refused user may be told, a line for each reason.
fn sentences(answer: &Value) -> String {
    let reasons = answer["context"]["reason_user"].as_object().into_iter().flatten();
    // What `gatepost:…` says is about the request, and not for users.
    let told = reasons.filter(|(policy, _)| !policy.starts_with("gatepost:")).filter_map(|(_, reason)| reason.as_str());
    let told: String = told.map(|reason| format!("{reason}\n")).collect();
    if told.is_empty() { "This is not allowed.\n".to_owned() } else { told }
}

/// The page with its buttons: what the user may do. A button that is shown is no permission; `enforce` asks again.
async fn page(State(gatepost): State<Gatepost>, User(subject): User, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    match allowed_actions(&gatepost, &subject, request_id(&parts)).await {
        Ok(allowed) => {
            let shown = BUTTONS.iter().filter(|(_, action)| allowed.iter().any(|name| name == action));
            let shown: Vec<_> = shown.map(|(button, _)| *button).collect();
            format!("buttons: {}\n", if shown.is_empty() { "none".to_owned() } else { shown.join(" ") }).into_response()
        }
        Err(Unchecked) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("buttons: none\nnotice: {UNCHECKED}\n")).into_response()
        }
    }
}

/// An action search, to its last page.
async fn allowed_actions(gatepost: &Gatepost, subject: &Value, id: RequestId) -> Result<Vec<Value>, Unchecked> {
    // Whether a contact may be entered depends on the contact too. The one that the form shows as its placeholder is in
    // order, so the answer is about the user and the account.
    let placeholder = json!({ "phone": "(02) 9374 4000", "email": "owner@acme.example" });
    let mut question = json!({ "subject": subject, "resource": account(), "context": placeholder, "page": {} });
    let mut allowed = Vec::new();
    loop {
        let mut answer = gatepost.ask("/access/v1/search/action", question.clone(), id.clone()).await?;
        let found = answer["results"].as_array().ok_or(Unchecked)?;
        allowed.extend(found.iter().map(|action| action["name"].clone()));
        match answer["page"]["next_token"].take() {
            Value::String(token) if !token.is_empty() => question["page"] = json!({ "token": token }),
            _ => return Ok(allowed),
        }
    }
}

/// A service reads the account from its own database.
fn account() -> Value {
    json!({ "type": "Account", "id": "acme", "properties": {
        "kind": "direct", "stage": "new", "supportedBy": "megaport", "provisionedServices": 0,
        "signUpEmail": "owner@acme.example", "billingMarket": "AU",
    } })
}

/// The user, as AuthZEN's subject. Here a gateway that signs users in names them in headers; else there is a session.
struct User(Value);

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let header =
            |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).ok_or(StatusCode::UNAUTHORIZED);
        let (id, role, account) = (header("x-user")?, header("x-role")?, header("x-account")?);
        Ok(Self(json!({ "type": "User", "id": id, "properties": { "role": role, "account": account } })))
    }
}

/// The id that the layer around all routes gave to the request.
fn request_id(parts: &Parts) -> RequestId {
    let id = parts.headers.get("x-request-id").cloned();
    RequestId::new(id.unwrap_or_else(|| axum::http::HeaderValue::from_static("none")))
}

/// There is no decision, and the log says why. Nothing may be allowed by it.
struct Unchecked;

/// The decision service.
#[derive(Clone)]
struct Gatepost {
    url: String,
    token: Option<String>,
    agent: ureq::Agent,
}

impl Gatepost {
    fn new(url: String, token: Option<String>) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(3)));
        Self { url, token, agent: config.build().into() }
    }

    /// Asks, with a client that blocks and so gets a thread of its own. Whatever client a service has does as well, if it
    /// has a time limit.
    async fn ask(&self, path: &'static str, question: Value, id: RequestId) -> Result<Value, Unchecked> {
        let gatepost = self.clone();
        let asked = tokio::task::spawn_blocking(move || gatepost.ask_blocking(path, &question, &id));
        asked.await.unwrap_or(Err(Unchecked))
    }

    fn ask_blocking(&self, path: &str, question: &Value, id: &RequestId) -> Result<Value, Unchecked> {
        let id = id.header_value();
        let logged = |problem: String| {
            eprintln!("request {}: {problem}", String::from_utf8_lossy(id.as_bytes()));
            Unchecked
        };
        let mut request = self.agent.post(format!("{}{path}", self.url));
        request = request.header("content-type", "application/json").header("x-request-id", id);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let no_answer = |error: ureq::Error| logged(format!("no answer: {error}"));
        let mut response = request.send(question.to_string()).map_err(no_answer)?;
        let text = response.body_mut().read_to_string().map_err(no_answer)?;
        match response.status().as_u16() {
            200 => serde_json::from_str(&text).map_err(|error| logged(format!("not understood: {error}"))),
            400 => Err(logged(format!("this program is wrong: {text}"))),
            401 => Err(logged(format!("the service does not take the token in GATEPOST_TOKEN: {text}"))),
            status => Err(logged(format!("status {status}: {text}"))),
        }
    }
}
