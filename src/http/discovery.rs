//! `/.well-known/authzen-configuration`: where the service is, and what it can do (AuthZEN, section 9).

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Service, json, message, nothing_here, paths};

/// The metadata of a policy decision point (section 9.1).
#[derive(Debug, Serialize, ToSchema)]
pub struct Metadata<'a> {
    /// The URL by which callers reach the service.
    #[schema(format = "uri")]
    policy_decision_point: &'a str,
    /// Where single decisions are made.
    #[schema(format = "uri")]
    access_evaluation_endpoint: String,
    /// Where many decisions are made at once.
    #[schema(format = "uri")]
    access_evaluations_endpoint: String,
    /// Where subjects are searched.
    #[schema(format = "uri")]
    search_subject_endpoint: String,
    /// Where resources are searched.
    #[schema(format = "uri")]
    search_resource_endpoint: String,
    /// Where actions are searched.
    #[schema(format = "uri")]
    search_action_endpoint: String,
    /// URNs of capabilities, as the operator set them.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<String>, required = false, min_items = 1)]
    capabilities: &'a [Capability],
}

impl<'a> Metadata<'a> {
    fn of(url: &'a PublicUrl, capabilities: &'a [Capability]) -> Self {
        let at = |path: &str| format!("{}{path}", url.text);
        Self {
            policy_decision_point: &url.text,
            access_evaluation_endpoint: at(paths::EVALUATION),
            access_evaluations_endpoint: at(paths::EVALUATIONS),
            search_subject_endpoint: at(paths::SUBJECT_SEARCH),
            search_resource_endpoint: at(paths::RESOURCE_SEARCH),
            search_action_endpoint: at(paths::ACTION_SEARCH),
            capabilities,
        }
    }
}

/// Answers at the well-known path, and at the one that the standard makes of a URL with a path (section 9.2): that path is put
/// behind the well-known one. (Where a proxy takes the path away, it is the first that arrives.)
pub(super) async fn configuration(State(service): State<Arc<Service>>, uri: Uri) -> Response {
    let behind = uri.path().strip_prefix(paths::DISCOVERY).unwrap_or_default();
    match &service.public_url {
        Some(url) if behind.is_empty() || behind == url.path() => {
            let mut response = json(StatusCode::OK, &Metadata::of(url, &service.capabilities));
            response.headers_mut().insert(CACHE_CONTROL, AN_HOUR);
            response
        }
        None if behind.is_empty() => message(
            StatusCode::NOT_FOUND,
            "the service does not know the URL by which callers reach it: its operator sets it with --public-url",
        ),
        _ => nothing_here(),
    }
}

/// It changes only with the settings of the service, and an hour is soon enough to hear of a move. Who asks makes no difference.
const AN_HOUR: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// The URN of a capability (section 9.1.2). The standard takes those that are registered with IANA; its registry began empty, so the
/// service knows none by itself, and announces those that its operator names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Capability(String);

impl FromStr for Capability {
    type Err = &'static str;

    /// Reads a URN (RFC 8141): `urn:`, a namespace, and what is named in it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, ':');
        let is_urn = parts.next().is_some_and(|scheme| scheme.eq_ignore_ascii_case("urn"))
            && parts.next().is_some_and(is_namespace)
            && parts.next().is_some_and(|name| !name.is_empty() && name.chars().all(|found| found.is_ascii_graphic()));
        if is_urn {
            Ok(Self(text.to_owned()))
        } else {
            Err(
                "a capability is a URN: `urn:`, a namespace of 2 to 32 letters, digits and hyphens, `:`, and a name without spaces",
            )
        }
    }
}

fn is_namespace(text: &str) -> bool {
    let inner = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (2..=32).contains(&text.len()) && inner && !text.starts_with('-') && !text.ends_with('-')
}

/// The URL by which callers reach the service: absolute, without a user, a query or a fragment, and without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    text: String,
    /// Where its path begins, which may be empty.
    path: usize,
}

/// Why a text is no such URL. The text is not in the message: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicUrlError {
    /// Not `https://…`, and not `http://…`.
    #[error("it must begin with https:// or http://")]
    Scheme,
    /// A user name, with or without a password.
    #[error("it must not hold a user name or a password: everybody can read it")]
    User,
    /// A query or a fragment.
    #[error("it must not have a query (?) or a fragment (#)")]
    Query,
    /// No host, or none that can be.
    #[error("what follows the scheme must be a host, and a port from 1 to 65535 if there is one")]
    Host,
    /// A path that is not the same for everybody who reads it.
    #[error("its path must be made of names that are not empty, `.` or `..`, with other characters written as %XX")]
    Path,
}

impl PublicUrl {
    /// The URL of a service that listens there, where nobody else can reach it; `None` of any other address, because the names
    /// of a machine are not known to the service.
    pub fn of_loopback(address: SocketAddr, tls: bool) -> Option<Self> {
        let scheme = if tls { "https" } else { "http" };
        let text = format!("{scheme}://{address}");
        address.ip().is_loopback().then_some(Self { path: text.len(), text })
    }

    /// Its path, without a slash at its end.
    pub(super) fn path(&self) -> &str {
        self.text.get(self.path..).unwrap_or_default()
    }

    /// Its host, without the port.
    pub(super) fn host(&self) -> &str {
        let (_, authority) = self.text.get(..self.path).and_then(|text| text.split_once("://")).unwrap_or_default();
        let end = authority.rfind(':').filter(|colon| !authority.get(*colon..).is_some_and(|rest| rest.contains(']')));
        authority.get(..end.unwrap_or(authority.len())).unwrap_or_default()
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl FromStr for PublicUrl {
    type Err = PublicUrlError;

    fn from_str(text: &str) -> Result<Self, PublicUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(PublicUrlError::Scheme)?;
        if !["https", "http"].contains(&scheme) {
            return Err(PublicUrlError::Scheme);
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(PublicUrlError::User);
        }
        if path.contains(['?', '#']) {
            return Err(PublicUrlError::Query);
        }
        if !is_host_and_port(authority) {
            return Err(PublicUrlError::Host);
        }
        let path = path.strip_suffix('/').unwrap_or(path);
        if !path.split('/').skip(1).all(is_segment) {
            return Err(PublicUrlError::Path);
        }
        let before = format!("{scheme}://{authority}");
        Ok(Self { path: before.len(), text: before + path })
    }
}

fn is_host_and_port(authority: &str) -> bool {
    let Ok(parsed) = Authority::from_str(authority) else { return false };
    let port = authority.strip_prefix(parsed.host()).unwrap_or_default();
    let port_fits = port.is_empty() || parsed.port_u16().is_some_and(|port| port > 0);
    port_fits && !matches!(parsed.host(), "" | "[]")
}

/// A name in a path (RFC 3986, section 3.3) that stays what it is when the path is normalised.
fn is_segment(segment: &str) -> bool {
    let mut characters = segment.bytes();
    while let Some(character) = characters.next() {
        let fits = match character {
            b'%' => [characters.next(), characters.next()]
                .iter()
                .all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit())),
            _ => character.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&character),
        };
        if !fits {
            return false;
        }
    }
    !matches!(segment, "" | "." | "..")
}
