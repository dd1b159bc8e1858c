//! Who asks: known by a bearer token (RFC 6750) or a client certificate; and what may be reached without either.

mod certificates;
mod tokens;
mod watched;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use cedar_policy::EntityUid;

use super::{message, paths};
use crate::report::{counted, visible};
use crate::store::Problem;
use crate::store::schema::Types;
pub(super) use certificates::{Tls, name_of};
use tokens::Tokens;
pub use tokens::{Entropy, FreshToken};
pub(super) use watched::Watched;

/// What may be read without being known, with what lies below the metadata; everything else, unknown paths and other methods
/// included, is 401.
const OPEN: [&str; 3] = [paths::HEALTHZ, paths::READYZ, paths::DISCOVERY];

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

    /// Whether it may ask about these types, those of the subject and of the resource say: the limit holds the whole name of each.
    pub fn may_ask_about<'t>(&self, types: impl IntoIterator<Item = &'t str>) -> bool {
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

    /// The callers of another listener, known by their own tokens; the connection to them is that of these.
    pub fn on_connections_of(&self, other: &Self) -> Self {
        Self { tokens: self.tokens.clone(), tls: other.tls.clone(), have_certificates: other.have_certificates }
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
            let in_force =
                |tokens: &Tokens| (format!("{} in force", counted(tokens.len(), "token")), tokens.warnings(types));
            said.extend(tokens.look_again(at_once, in_force));
        }
        if let Some(tls) = &self.tls {
            said.extend(tls.look_again(at_once, |_| ("new connections get this certificate".to_owned(), Vec::new())));
        }
        said
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
    pub(super) fn recognise(&self, headers: &HeaderMap, peer: Option<&Peer>) -> Result<Caller, Unknown> {
        let certified = peer.and_then(|peer| peer.caller.as_ref());
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
pub(super) enum Unknown {
    NoToken,
    WrongToken,
    SeveralTokens,
    NoCertificate,
}

impl Unknown {
    /// RFC 6750, section 3: what is missing has no error code; what is wrong has one.
    pub(super) fn response(self) -> Response {
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

/// What is known of the other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// The caller that its certificate names, if it has shown one.
    pub(super) caller: Option<Caller>,
    /// Where it is.
    pub(super) address: SocketAddr,
}

/// Lets those requests through whose caller is known, and those to what is open to anybody.
pub(super) fn lets_in(
    callers: &Callers,
    request: &Request,
    peer: Option<&Peer>,
) -> Result<Option<Caller>, Box<Response>> {
    match callers.recognise(request.headers(), peer) {
        Ok(caller) => Ok(Some(caller)),
        Err(_) if is_open(request) => Ok(None),
        Err(unknown) => Err(unknown.response().into()),
    }
}

fn is_open(request: &Request) -> bool {
    let path = request.uri().path();
    let is_metadata = path.strip_prefix(paths::DISCOVERY).is_some_and(|rest| rest.starts_with('/'));
    matches!(*request.method(), Method::GET | Method::HEAD) && (is_metadata || OPEN.contains(&path))
}

#[cfg(test)]
mod tests {
    use super::{Caller, is_caller_name};

    fn limited(actions: Option<&[&str]>, types: Option<&[&str]>) -> Caller {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Caller::new("portal".to_owned(), actions.map(owned), types.map(owned))
    }

    /// "A token can be limited to actions and entity types it may ask about."
    #[test]
    fn a_limit_allows_what_it_holds_and_nothing_else() {
        let whole = r#"Docs::Action::"read""#;
        type Limit<'a> = Option<&'a [&'a str]>;
        let cases: [(Limit<'_>, Limit<'_>, &str, [&str; 2], bool); 14] = [
            (None, None, "read", ["User", "Document"], true),
            (Some(&["read"]), None, "read", ["User", "Document"], true),
            (Some(&["list", "read"]), None, "read", ["User", "Document"], true),
            (Some(&["read"]), None, "Read", ["User", "Document"], false),
            (Some(&[]), None, "read", ["User", "Document"], false),
            // An id allows the actions of that id in every namespace; a whole name allows that action, sent as such.
            (Some(&["read"]), None, whole, ["User", "Document"], true),
            (Some(&[whole]), None, whole, ["User", "Document"], true),
            (Some(&[whole]), None, r#"Other::Action::"read""#, ["User", "Document"], false),
            (Some(&[whole]), None, "read", ["User", "Document"], false),
            // An entity that is called like an action is none.
            (Some(&["read"]), None, r#"User::"read""#, ["User", "Document"], false),
            // Both types must be allowed.
            (None, Some(&["User", "Document"]), "read", ["User", "Document"], true),
            (None, Some(&["User"]), "read", ["User", "Document"], false),
            (None, Some(&["Document"]), "read", ["User", "Document"], false),
            (Some(&["list"]), Some(&["User", "Document"]), "read", ["User", "Document"], false),
        ];
        for (actions, types, action, asked, allowed) in cases {
            let caller = limited(actions, types);
            assert_eq!(caller.may_ask(action, asked), allowed, "{caller:?} {action} {asked:?}");
            assert_eq!(caller.is_limited(), actions.is_some() || types.is_some());
        }
        let anonymous = Caller::anonymous();
        assert!(anonymous.may_ask("read", ["User", "Document"]) && !anonymous.is_limited());
        assert_eq!((anonymous.name(), limited(None, None).name()), (None, Some("portal")));
    }

    #[test]
    fn a_name_is_not_empty_can_be_seen_and_has_at_most_100_characters() {
        for name in ["portal", "spiffe://example/portal", "Пётр ☃", &"é".repeat(100)] {
            assert!(is_caller_name(name), "{name}");
        }
        for name in ["", " ", "portal ", "a\nb", "a\tb", "a\0", "\u{202e}latrop", "a\u{200b}b", &"x".repeat(101)] {
            assert!(!is_caller_name(name), "{name:?}");
        }
    }
}
