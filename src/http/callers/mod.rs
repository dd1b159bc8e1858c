//! Who asks: known by a bearer token (RFC 6750) or a client certificate; and what may be reached without either.

mod certificates;
mod tokens;
mod watched;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use cedar_policy::EntityUid;

use super::{Service, bounded, message};
use crate::report::{counted, visible};
use crate::store::Problem;
use crate::store::schema::Types;
pub(super) use certificates::{Tls, name_of};
use tokens::Tokens;
pub use tokens::{Entropy, FreshToken};
pub(super) use watched::Watched;

/// What may be read without being known; everything else, unknown paths and other methods included, is 401.
const OPEN: [&str; 4] = ["/healthz", "/readyz", "/.well-known/authzen-configuration", "/openapi.json"];

/// Who asks. Every request has one as an extension, but for those to what is open to anybody by callers who are not known.
#[derive(Clone, Debug)]
pub struct Caller(Option<Arc<Known>>);

/// A caller with a name.
#[derive(Debug)]
struct Known {
    name: String,
    actions: Option<Vec<String>>,
    types: Option<Vec<String>>,
}

impl Caller {
    /// Anybody, where the service asks nobody who they are.
    pub fn anonymous() -> Self {
        Self(None)
    }

    /// A caller of that name, who may ask about these actions and types only; `None`: about all of them.
    pub(super) fn new(name: String, actions: Option<Vec<String>>, types: Option<Vec<String>>) -> Self {
        Self(Some(Arc::new(Known { name, actions, types })))
    }

    /// The name of its token, else of its certificate; `None` for an anonymous caller.
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref().map(|known| known.name.as_str())
    }

    /// Whether there is anything that it may not ask about.
    pub fn is_limited(&self) -> bool {
        self.0.as_deref().is_some_and(|known| known.actions.is_some() || known.types.is_some())
    }

    /// Whether it may ask about an action, as it named it in its request, and the types of the subject and of the resource.
    ///
    /// - A type is allowed if the limit holds its whole name, letter by letter.
    /// - An action is allowed if the limit holds what was sent, letter by letter; and where the whole Cedar name was sent
    ///   (`Docs::Action::"read"`), also if the limit holds its id (`read`). So an id in the limit allows the actions of that id
    ///   in every namespace; a whole name allows that action alone, and only to a caller who sends the whole name.
    pub fn may_ask(&self, action: &str, types: [&str; 2]) -> bool {
        let Some(known) = self.0.as_deref() else { return true };
        let holds = |limit: &[String], name: &str| limit.iter().any(|allowed| allowed == name);
        let action_is_allowed = known
            .actions
            .as_deref()
            .is_none_or(|limit| holds(limit, action) || id_in_whole_name(action).is_some_and(|id| holds(limit, &id)));
        action_is_allowed && self.may_ask_about(types)
    }

    /// Whether it may ask about the types of the subject and of the resource: the limit holds the whole name of each.
    pub fn may_ask_about(&self, types: [&str; 2]) -> bool {
        let limit = self.0.as_deref().and_then(|known| known.types.as_deref());
        limit.is_none_or(|limit| types.into_iter().all(|name| limit.iter().any(|allowed| allowed == name)))
    }
}

/// `read` in `Docs::Action::"read"`; `None` for what is no whole name of an action.
fn id_in_whole_name(action: &str) -> Option<String> {
    let uid: EntityUid = action.parse().ok()?;
    (uid.type_name().basename() == "Action").then(|| uid.id().unescaped().to_owned())
}

/// Whether a caller can have that name: it is written into logs, where it must be read as what it is.
pub fn is_caller_name(name: &str) -> bool {
    (1..=100).contains(&name.chars().count())
        && name.trim() == name
        && !name.contains(['\n', '\t'])
        && visible(name) == name
}

/// What [`is_caller_name`] asks for, in words.
pub const CALLER_NAME: &str = "a name has 1 to 100 visible characters, and no space at its ends";

/// The files by which callers are known, and the connection to them is kept secret.
#[derive(Clone, Debug, Default)]
pub struct CallerFiles {
    /// The tokens (TOML); where there are none, callers need no token.
    pub tokens: Option<PathBuf>,
    /// What TLS needs; without it, the service speaks plain HTTP.
    pub tls: Option<TlsFiles>,
}

/// The files of TLS, all PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate of the service, and those between it and its authority.
    pub certificate: PathBuf,
    /// The key of that certificate.
    pub key: PathBuf,
    /// The authorities of client certificates; where there are none, callers need no certificate.
    pub client_ca: Option<PathBuf>,
}

/// Who may ask. The default is anybody, over plain HTTP.
#[derive(Clone, Debug, Default)]
pub struct Callers {
    tokens: Option<Arc<Watched<Tokens>>>,
    pub(super) tls: Option<Arc<Watched<Tls>>>,
    have_certificates: bool,
}

impl Callers {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// All that is wrong with them: what cannot be read, a token file that is none, certificates and keys that are no PEM or do
    /// not belong together.
    pub fn read(files: &CallerFiles) -> Result<Self, Vec<Problem>> {
        let tokens = files.tokens.as_ref().map(|path| Watched::read(vec![path.clone()], Tokens::read));
        let tls = files.tls.as_ref().map(|tls| {
            let paths = [&tls.certificate, &tls.key].into_iter().chain(&tls.client_ca);
            Watched::read(paths.cloned().collect(), Tls::read)
        });
        let have_certificates = files.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        match (tokens.transpose(), tls.transpose()) {
            (Ok(tokens), Ok(tls)) => {
                Ok(Self { tokens: tokens.map(Arc::new), tls: tls.map(Arc::new), have_certificates })
            }
            (tokens, tls) => Err([tokens.err(), tls.err()].into_iter().flatten().flatten().collect()),
        }
    }

    /// What its author should look at: limits on actions and types that the schema does not know, and which so allow nothing.
    pub fn warnings(&self, types: &Types) -> Vec<Problem> {
        self.tokens.as_ref().map(|tokens| tokens.current().warnings(types)).unwrap_or_default()
    }

    /// Takes up what has changed in the files: what can be used, once two looks in a row see the same (a file may just be being
    /// written), or `at_once`. What cannot be used leaves all as it was. Gives what there is to say about it: each thing once,
    /// unless `at_once`, which says everything again.
    pub fn look_again(&self, at_once: bool, types: &Types) -> Vec<Problem> {
        let mut said = Vec::new();
        if let Some(tokens) = &self.tokens {
            let taken = |tokens: &Tokens| format!("{} in force", counted(tokens.len(), "token"));
            said.extend(tokens.look_again(at_once, taken).map(|said| [said, self.warnings(types)].concat()));
        }
        if let Some(tls) = &self.tls {
            said.extend(tls.look_again(at_once, |_| "new connections get this certificate".to_owned()));
        }
        said.concat()
    }

    /// Whether there are files to look at again.
    pub fn have_files(&self) -> bool {
        self.tokens.is_some() || self.tls.is_some()
    }

    /// Whether connections are TLS.
    pub fn speak_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether a request needs a token.
    pub fn have_tokens(&self) -> bool {
        self.tokens.is_some()
    }

    /// Whether a connection needs a client certificate.
    pub fn have_certificates(&self) -> bool {
        self.have_certificates
    }

    /// The host that the certificate of the service names, where it does not name that address; `None` without TLS.
    pub fn host_instead_of(&self, address: IpAddr) -> Option<String> {
        self.tls.as_ref()?.current().host_instead_of(address)
    }

    /// The file with the certificate of the service; `None` without TLS.
    pub fn certificate(&self) -> Option<&Path> {
        self.tls.as_ref()?.first_path()
    }

    /// Who sends a request with these headers, over a connection of that peer.
    fn recognise(&self, headers: &HeaderMap, peer: Option<&Peer>) -> Result<Caller, Unknown> {
        let certified = peer.and_then(|Peer(caller)| caller.as_ref());
        match (&self.tokens, certified) {
            (_, None) if self.have_certificates => Err(Unknown::NoCertificate),
            (Some(tokens), _) => tokens.current().caller(token(headers)?).ok_or(Unknown::WrongToken),
            (None, Some(caller)) => Ok(caller.clone()),
            (None, None) => Ok(Caller::anonymous()),
        }
    }
}

/// The token of a request (RFC 6750, section 2.1); the name of the scheme is in any case (RFC 9110, section 11.1).
fn token(headers: &HeaderMap) -> Result<&[u8], Unknown> {
    let mut values = headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
    let value = values.next().ok_or(Unknown::NoToken)?;
    if values.next().is_some() {
        return Err(Unknown::SeveralTokens);
    }
    match value.split_at_checked(b"Bearer ".len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"Bearer ") => Ok(token.trim_ascii()),
        _ => Err(Unknown::NoToken),
    }
}

/// Why it is not known who sends a request.
#[derive(Clone, Copy, Debug)]
enum Unknown {
    NoToken,
    WrongToken,
    SeveralTokens,
    NoCertificate,
}

impl Unknown {
    /// RFC 6750, section 3: what is missing has no error code; what is wrong has one.
    fn response(self) -> Response {
        let (status, challenge, text) = match self {
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                r#"Bearer realm="gatepost""#,
                "a token is needed: send it in the header `Authorization: Bearer TOKEN`",
            ),
            Self::WrongToken => (
                StatusCode::UNAUTHORIZED,
                r#"Bearer realm="gatepost", error="invalid_token""#,
                "the token is not one of those that are known here",
            ),
            Self::SeveralTokens => (
                StatusCode::BAD_REQUEST,
                r#"Bearer realm="gatepost", error="invalid_request""#,
                "the request has several headers `Authorization`: send one",
            ),
            Self::NoCertificate => {
                (StatusCode::UNAUTHORIZED, r#"Bearer realm="gatepost""#, "a client certificate is needed")
            }
        };
        let mut response = message(status, text);
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        response
    }
}

/// What is known of the other end of a connection: the caller that its certificate names, if it has shown one.
#[derive(Clone, Debug)]
pub(super) struct Peer(pub(super) Option<Caller>);

/// Lets those requests through whose caller is known, with the caller as an extension, and those to what is open to anybody.
pub(super) async fn gate(State(service): State<Arc<Service>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get().map(|ConnectInfo(peer)| peer);
    match service.callers.recognise(request.headers(), peer) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(_) if is_open(&request) => next.run(request).await,
        Err(unknown) => {
            let (parts, body) = request.into_parts();
            bounded::discard(body, &parts.headers).await;
            unknown.response()
        }
    }
}

fn is_open(request: &Request) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD) && OPEN.contains(&request.uri().path())
}
