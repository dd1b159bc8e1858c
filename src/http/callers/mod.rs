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

use super::{message, paths};
use crate::report::{counted, visible};
use crate::request::json::Json;
use crate::request::{Named, Question, find_environment};
use crate::store::Problem;
use crate::store::schema::{Environment, Types};
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
    rights: Rights,
}

/// What a caller may, and how it is answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Rights {
    /// The actions about which it may ask; `None`: about all.
    pub(super) actions: Option<Vec<String>>,
    /// The types of entities about which it may ask; `None`: about all.
    pub(super) types: Option<Vec<String>>,
    /// Whether it may read the metrics.
    pub(super) metrics: bool,
    /// Whether what it sends and nobody reads is refused.
    pub(super) strict: bool,
}

impl Caller {
    /// Anybody, where the service asks nobody who they are.
    pub fn anonymous() -> Self {
        Self(None)
    }

    /// A caller of that name.
    pub(super) fn new(name: String, rights: Rights) -> Self {
        Self(Some(Arc::new(Known { name, rights })))
    }

    /// The name of its token, else of its certificate; `None` for an anonymous caller.
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref().map(|known| known.name.as_str())
    }

    /// Whether there is anything that it may not ask about.
    pub fn is_limited(&self) -> bool {
        self.rights().is_some_and(|rights| rights.actions.is_some() || rights.types.is_some())
    }

    /// Whether what it sends and nobody reads is refused.
    pub fn is_strict(&self) -> bool {
        self.rights().is_some_and(|rights| rights.strict)
    }

    fn may_read_metrics(&self) -> bool {
        self.rights().is_none_or(|rights| rights.metrics)
    }

    fn rights(&self) -> Option<&Rights> {
        self.0.as_deref().map(|known| &known.rights)
    }

    /// Whether it may ask a question, which names types by their Cedar names.
    ///
    /// What counts is the action that the question means under the schema, and never its text: the limit must hold its whole Cedar name
    /// (`Docs::Action::"read"`), or its id (`read`), which allows the actions of that id in every namespace. Where the question means none
    /// action (and is denied), one of those that its text could mean must be allowed; where that is none either, the text itself.
    pub fn may_ask(&self, question: &Question<'_>, types: &Types) -> bool {
        let Some(rights) = self.rights() else { return true };
        let action_is_allowed = rights.actions.as_deref().is_none_or(|limit| allows_action(limit, question, types));
        action_is_allowed && self.may_ask_about(question, types)
    }

    /// Whether it may ask about the types of a question: the limit holds the Cedar name of each, of the subject, the resource, and what they
    /// are said to be in.
    pub fn may_ask_about(&self, question: &Question<'_>, types: &Types) -> bool {
        let Some(limit) = self.rights().and_then(|rights| rights.types.as_deref()) else { return true };
        let holds = |name: &str| limit.iter().any(|allowed| allowed == name);
        [&question.principal, &question.resource].into_iter().all(|named| {
            holds(named.type_name) && named.parents.iter().all(|parent| parent_is_allowed(parent, named, types, &holds))
        })
    }
}

/// What is no reference is refused when it is read.
fn parent_is_allowed(parent: &Json<'_>, of: &Named<'_>, types: &Types, holds: &dyn Fn(&str) -> bool) -> bool {
    match parent.get("type").and_then(Json::as_str) {
        Some(name) => holds(types.cedar_name(name)),
        None => types
            .entity(of.type_name)
            .is_none_or(|entity| entity.parents.iter().all(|parent| holds(&parent.to_string()))),
    }
}

fn allows_action(limit: &[String], question: &Question<'_>, types: &Types) -> bool {
    if let Ok((_, environment)) = find_environment(question, types) {
        return holds_action(limit, environment, types);
    }
    let mut could_be = types.environments_of(question.action).peekable();
    if could_be.peek().is_none() {
        return limit.iter().any(|allowed| allowed == question.action);
    }
    could_be.any(|(_, environment)| holds_action(limit, environment, types))
}

fn holds_action(limit: &[String], environment: &Environment, types: &Types) -> bool {
    let id: &str = environment.action.id().as_ref();
    let is_whole_name = |text: &str| types.environments_of(text).any(|(_, other)| other.action_name == text);
    limit.iter().any(|allowed| {
        // What is the whole name of an action is not the id of another.
        *allowed == environment.action_name || (allowed == id && !is_whole_name(allowed))
    })
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

/// Lets those requests through whose caller is known, and those to what is open to anybody. Metrics are for those who have the right to
/// them.
pub(super) fn lets_in(
    callers: &Callers,
    request: &Request,
    peer: Option<&Peer>,
) -> Result<Option<Caller>, Box<Response>> {
    match callers.recognise(request.headers(), peer) {
        Ok(caller) => match request.uri().path() {
            paths::METRICS if !caller.may_read_metrics() => {
                let why =
                    "this caller may not read the metrics: that is for one with `metrics = true` in the token file";
                Err(message(StatusCode::FORBIDDEN, why).into())
            }
            _ => Ok(Some(caller)),
        },
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
    use super::{Caller, Rights, is_caller_name};
    use crate::engine::Snapshot;
    use crate::request::json::Json;
    use crate::request::{Named, Question};
    use crate::store::Origin;

    const SCHEMA: &str = r#"
        entity Group;
        @alias("ai-agent") entity User in Group;
        entity Document in Group;
        namespace Docs { action "read" appliesTo { principal: User, resource: Document }; }
        namespace Other { action "read" appliesTo { principal: User, resource: Group }; action "list" appliesTo { principal: User, resource: Document }; }
        action "Docs::Action::\"read\"" appliesTo { principal: User, resource: User };
    "#;

    fn schema() -> Snapshot {
        let folder = tempfile::TempDir::new().unwrap();
        for (path, text) in [("schema/a.cedarschema", SCHEMA), ("policies/a.cedar", "")] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Snapshot::load(Origin::Folder(folder.path().to_owned())).unwrap_or_else(|error| panic!("{error:?}"))
    }

    fn limited(actions: Option<&[&str]>, types: Option<&[&str]>) -> Caller {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let rights = Rights { actions: actions.map(owned), types: types.map(owned), ..Rights::default() };
        Caller::new("portal".to_owned(), rights)
    }

    fn asked<'a>(action: &'a str, [principal, resource]: [&'a str; 2]) -> Question<'a> {
        Question {
            principal: Named::new(principal, "ada"),
            action,
            action_attributes: &[],
            resource: Named::new(resource, "1"),
            context: &[],
        }
    }

    /// "A token can be limited to actions and entity types it may ask about"; "limits go by the action that was resolved, never by the text".
    #[test]
    fn a_limit_allows_what_it_holds_and_nothing_else() {
        let (snapshot, whole) = (schema(), r#"Docs::Action::"read""#);
        let types = &snapshot.store.types;
        type Limit<'a> = Option<&'a [&'a str]>;
        let cases: [(Limit<'_>, Limit<'_>, &str, [&str; 2], bool); 24] = [
            (None, None, "read", ["User", "Document"], true),
            (Some(&["read"]), None, "read", ["User", "Document"], true),
            (Some(&["list", "read"]), None, "read", ["User", "Document"], true),
            (Some(&["read"]), None, "Read", ["User", "Document"], false),
            (Some(&[]), None, "read", ["User", "Document"], false),
            // An id allows the actions of that id in every namespace; a whole name allows that action, however it is named.
            (Some(&["read"]), None, whole, ["User", "Document"], true),
            (Some(&["read"]), None, "read", ["User", "Group"], true),
            (Some(&[whole]), None, whole, ["User", "Document"], true),
            (Some(&[whole]), None, r#"Other::Action::"read""#, ["User", "Group"], false),
            (Some(&[whole]), None, "read", ["User", "Document"], true),
            (Some(&[whole]), None, "read", ["User", "Group"], false),
            // An action whose id is the whole name of another is neither that one, nor one of the id in that name.
            (Some(&["read"]), None, whole, ["User", "User"], false),
            (Some(&[whole]), None, whole, ["User", "User"], false),
            (Some(&[r#"Action::"Docs::Action::\"read\"""#]), None, whole, ["User", "User"], true),
            // An entity that is called like an action is none.
            (Some(&["read"]), None, r#"User::"read""#, ["User", "Document"], false),
            // Both types must be allowed.
            (None, Some(&["User", "Document"]), "read", ["User", "Document"], true),
            (None, Some(&["User"]), "read", ["User", "Document"], false),
            (None, Some(&["Document"]), "read", ["User", "Document"], false),
            (Some(&["list"]), Some(&["User", "Document"]), "read", ["User", "Document"], false),
            // A type counts by its Cedar name, whichever the caller sends.
            (None, Some(&["User", "Document"]), "read", ["ai-agent", "Document"], true),
            (None, Some(&["ai-agent", "Document"]), "read", ["ai-agent", "Document"], false),
            // What means no action is denied: who may ask about one of those that it could be is told so.
            (Some(&["read"]), None, "read", ["Group", "Document"], true),
            (Some(&["list"]), None, "read", ["Group", "Document"], false),
            (Some(&["gone"]), None, "gone", ["User", "Document"], true),
        ];
        for (actions, limit, action, named, allowed) in cases {
            let caller = limited(actions, limit);
            let question = asked(action, named).by_cedar_names(types);
            assert_eq!(caller.may_ask(&question, types), allowed, "{caller:?} {action} {named:?}");
            assert_eq!(caller.is_limited(), actions.is_some() || limit.is_some());
        }
        let anonymous = Caller::anonymous();
        assert!(anonymous.may_ask(&asked("read", ["User", "Document"]), types) && !anonymous.is_limited());
        assert_eq!((anonymous.name(), limited(None, None).name()), (None, Some("portal")));
    }

    /// A5: "types of sent parents count against the caller's limits".
    #[test]
    fn the_types_of_parents_count_against_the_limits() {
        let snapshot = schema();
        let types = &snapshot.store.types;
        for parents in [r#"["staff"]"#, r#"[{"type":"Group","id":"staff"}]"#] {
            let Ok(Json::Array(parents)) = Json::parse(parents.as_bytes(), 9) else { panic!() };
            for in_the_resource in [false, true] {
                let mut question = asked("read", ["User", "Document"]);
                if in_the_resource {
                    question.resource.parents = &parents
                } else {
                    question.principal.parents = &parents
                }
                assert!(!limited(None, Some(&["User", "Document"])).may_ask(&question, types));
                assert!(limited(None, Some(&["User", "Document", "Group"])).may_ask(&question, types));
            }
        }
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
