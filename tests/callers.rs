//! "Callers": bearer tokens (RFC 6750), client certificates, what they may reach, and that both can be changed while it runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::binary::{PATIENCE, Ran, Serving, command, gatepost};
use common::server::{Answer, Client, exchange};
use common::{enter, folder, with, write};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

const SINGLE: &str = "/access/v1/evaluation";
const JSON: (&str, &str) = ("content-type", "application/json");
const ANY_PORT: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];
const WITH_TOKENS: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--token-file", "tokens.toml"];
const WITH_TLS: [&str; 7] =
    ["serve", "--listen", "127.0.0.1:0", "--tls-cert", "service.pem", "--tls-key", "service.key"];

// What a test needs

/// A token, and its entry in the token file.
fn token(name: &str) -> (String, String) {
    let made = gatepost(Path::new("."), &["token", name]).with(0);
    (made.out.trim_end().to_owned(), made.err)
}

fn serve(here: &TempDir, arguments: &[&str]) -> Serving {
    Serving::start(&mut command(here.path(), arguments))
}

/// A service whose only caller is `portal`, and its token.
fn with_portal() -> (TempDir, Serving, String) {
    let (secret, entry) = token("portal");
    let here = folder([("tokens.toml", entry)]);
    let serving = serve(&here, &WITH_TOKENS);
    (here, serving, secret)
}

fn plain(serving: &Serving) -> Client {
    Client::new(serving.url(), TlsConfig::default())
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// Asks with that header; the answer, if it could be asked.
fn ask(client: &Client, authorization: &str) -> Result<Answer, ureq::Error> {
    client.send("POST", SINGLE, &[JSON, ("authorization", authorization)], enter().to_string())
}

fn status(client: &Client, authorization: &str) -> u16 {
    ask(client, authorization).unwrap().status
}

/// Writes a file as an editor does: another one, put in its place.
fn replace(here: &TempDir, name: &str, text: &str) {
    write(here.path(), "new", text.as_bytes());
    fs::rename(here.path().join("new"), here.path().join(name)).unwrap();
}

/// It is so within the time that a change may take to be taken up ("within a second or two"), with as much again for a machine
/// that has other things to do.
fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(5), "not in time: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Long enough for a change to have been taken up.
fn a_while() {
    std::thread::sleep(Duration::from_millis(2500));
}

/// Nothing that an unknown caller must not see: no revision, no policy, no name of the schema.
fn assert_tells_nothing(answer: &str) {
    let told = answer.to_lowercase();
    for secret in ["gatepost-revision", "permit", "forbid", "enter-company-admin", "supportcontact", "portal"] {
        assert!(!told.contains(secret), "{secret} in {answer}");
    }
}

// Tokens

/// "Missing → 401 with `WWW-Authenticate: Bearer realm="gatepost"`; wrong → 401 with `error="invalid_token"`", and no panic
/// whatever is sent.
#[test]
fn a_request_without_the_right_token_is_401_and_says_how_to_ask() {
    let (_here, serving, secret) = with_portal();
    let missing = "401 Unauthorized\r\n|www-authenticate: Bearer realm=\"gatepost\"\r\n";
    let wrong = "401 Unauthorized\r\n|www-authenticate: Bearer realm=\"gatepost\", error=\"invalid_token\"\r\n";
    let several = "400 Bad Request\r\n|www-authenticate: Bearer realm=\"gatepost\", error=\"invalid_request\"\r\n";
    let right = "200 OK\r\n|{\"decision\":true}";
    let flipped = format!("{}{}", &secret[..secret.len() - 1], if secret.ends_with('A') { 'B' } else { 'A' });
    let cases: Vec<(String, &str)> = vec![
        (String::new(), missing),
        ("authorization: Basic cG9ydGFsOnBvcnRhbA==\r\n".to_owned(), missing),
        (format!("authorization: {secret}\r\n"), missing),
        ("authorization:\r\n".to_owned(), missing),
        ("authorization: Bearer\r\n".to_owned(), missing),
        (format!("authorization: Bearer{secret}\r\n"), missing),
        ("authorization: Bearer  \u{e9}\u{202e}\r\n".to_owned(), wrong),
        ("authorization: Bearer gp_\r\n".to_owned(), wrong),
        (format!("authorization: Bearer {flipped}\r\n"), wrong),
        (format!("authorization: Bearer {secret}{secret}\r\n"), wrong),
        (format!("authorization: Bearer {} \r\n", secret.to_lowercase()), wrong),
        (format!("authorization: Bearer {}\r\n", "x".repeat(100_000)), wrong),
        (format!("authorization: Bearer {}\r\n", "x".repeat(1 << 20)), "431 |"),
        (format!("authorization: Bearer {secret}\r\nauthorization: Bearer {secret}\r\n"), several),
        (format!("authorization: Bearer {secret}\r\n"), right),
        (format!("Authorization: bEARER   {secret}  \r\n"), right),
    ];
    let body = enter().to_string();
    for (headers, expected) in cases {
        let request = format!(
            "POST {SINGLE} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             connection: close\r\n{headers}\r\n{body}",
            body.len()
        );
        let stream = TcpStream::connect(serving.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let answer = exchange(stream, request.as_bytes());
        let (status, rest) = expected.split_once('|').unwrap();
        let shown = headers.chars().take(100).collect::<String>();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(rest), "{shown}: {answer}");
        if expected != right {
            assert_tells_nothing(&answer);
        }
    }
    let client = plain(&serving);
    let answer = client.send("POST", SINGLE, &[JSON, ("x-request-id", "mine")], "{}").unwrap();
    assert!(answer.json().as_str().is_some_and(|text| text.contains("Authorization: Bearer")), "{answer:?}");
    assert_eq!(answer.header("x-request-id"), Some("mine"));
    serving.signal("TERM");
    assert_eq!(serving.end(), (Some(0), String::new()), "nothing is said about any of them");
}

/// "What an unauthenticated caller may reach: … Everything else, unknown paths and wrong methods included, is 401."
#[test]
fn an_unknown_caller_reaches_what_is_open_and_nothing_else() {
    let (_here, serving, secret) = with_portal();
    let client = plain(&serving);
    for path in ["/healthz", "/readyz", "/.well-known/authzen-configuration"] {
        for authorization in [None, Some("Bearer wrong")] {
            let headers: Vec<_> = authorization.map(|value| ("authorization", value)).into_iter().collect();
            let answer = client.send("GET", path, &headers, "").unwrap();
            assert_ne!(answer.status, 401, "{path}");
            assert_eq!(answer.header("gatepost-revision"), None, "{path}");
        }
        assert_eq!(client.send("POST", path, &[], "").unwrap().status, 401, "{path}");
    }
    let closed = [
        "/",
        "/report",
        "/openapi.json",
        "/metrics",
        "/nothing",
        "/healthz/",
        "//healthz",
        "/healthz/..",
        "/%68ealthz",
        SINGLE,
    ];
    for path in closed {
        for method in ["GET", "PUT", "OPTIONS", "NONE"] {
            let answer = client.send(method, path, &[], "").unwrap();
            assert_eq!(answer.status, 401, "{method} {path}");
            assert_tells_nothing(&format!("{answer:?}"));
        }
    }
    // Who is known gets what there is.
    let known = [("authorization", &*bearer(&secret))];
    assert!(client.send("GET", "/readyz", &known, "").unwrap().header("gatepost-revision").is_some());
    assert_eq!(client.send("GET", "/nothing", &known, "").unwrap().status, 404);
    assert_eq!(client.send("GET", SINGLE, &known, "").unwrap().status, 405);
    assert_eq!(client.send("GET", "/healthz", &[], "").unwrap().text, "\"ok\"");
}

/// "A body is not read before the caller is known (but the answer must still reach one that is sending)."
#[test]
fn the_answer_reaches_an_unknown_caller_that_is_sending_a_body() {
    let (_here, serving, _) = with_portal();
    let head = format!("POST {SINGLE} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n");
    // Who waits for leave to send does not get it.
    let mut stream = TcpStream::connect(serving.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("{head}content-length: 100\r\nexpect: 100-continue\r\n\r\n").as_bytes()).unwrap();
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"HTTP/1.1 401");
    // Who sends more than the socket holds still reads the answer, and can ask again on the same connection.
    let size = 20 << 20;
    let mut stream = TcpStream::connect(serving.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("{head}content-length: {size}\r\n\r\n").as_bytes()).unwrap();
    stream.write_all(&vec![b' '; size]).unwrap();
    let answer = exchange(stream, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.ends_with("\r\n\"ok\""), "{answer}");
    // Who begins a body and does not go on does not hold the answer up for ever.
    let begun = Instant::now();
    let mut stream = TcpStream::connect(serving.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("{head}content-length: 100\r\n\r\n{{").as_bytes()).unwrap();
    stream.read_exact(&mut begin).unwrap();
    assert!(&begin == b"HTTP/1.1 401" && begun.elapsed() < Duration::from_secs(10));
}

/// "File changes are picked up within a second or two without restart (…, also over editors' rename-and-replace and Kubernetes'
/// symlink swap; also on SIGHUP). A removed token stops working at the next request, on kept-alive connections too."
#[test]
fn tokens_come_and_go_while_the_service_runs() {
    let ((portal, portal_entry), (billing, billing_entry)) = (token("portal"), token("billing"));
    let (portal, billing) = (bearer(&portal), bearer(&billing));
    let here = folder([("one/tokens.toml", &portal_entry), ("two/tokens.toml", &billing_entry)]);
    // As Kubernetes mounts it: the name leads through a folder that is a link.
    let link = |to: &str| {
        std::os::unix::fs::symlink(to, here.path().join("new")).unwrap();
        fs::rename(here.path().join("new"), here.path().join("data")).unwrap();
    };
    link("one");
    let serving = serve(&here, &[&ANY_PORT, ["--token-file", "data/tokens.toml"].as_slice()].concat());
    let client = plain(&serving);
    assert_eq!((status(&client, &portal), status(&client, &billing)), (200, 401));
    // One connection, kept alive over all that follows.
    let mut kept = TcpStream::connect(serving.address()).unwrap();
    kept.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut status_kept = |authorization: &str| {
        let request = format!("GET /nothing HTTP/1.1\r\nhost: localhost\r\nauthorization: {authorization}\r\n\r\n");
        spoken(&mut kept, &request).0
    };
    assert_eq!((status_kept(&portal), status_kept(&billing)), (404, 401));

    link("two");
    soon("the other folder", || status(&client, &billing) == 200);
    assert_eq!(status(&client, &portal), 401);
    assert_eq!((status_kept(&portal), status_kept(&billing)), (401, 404));

    // In place, and at once on SIGHUP.
    write(here.path(), "two/tokens.toml", format!("{billing_entry}{portal_entry}").as_bytes());
    serving.signal("HUP");
    soon("SIGHUP", || status(&client, &portal) == 200);
    assert_eq!((status(&client, &billing), status_kept(&portal)), (200, 404));
    serving.signal("TERM");
    let (exit, said) = serving.end();
    assert_eq!(exit, Some(0), "{said}");
    assert!(said.contains("`data/tokens.toml` read again: 2 tokens in force"), "{said}");
}

/// "A broken new file keeps the old callers and says so on standard error (each distinct problem once, not each second)."
#[test]
fn a_broken_token_file_keeps_the_callers_and_is_said_once() {
    let (portal, entry) = token("portal");
    let here = folder([("tokens.toml", &entry)]);
    let serving = serve(&here, &WITH_TOKENS);
    let client = plain(&serving);
    let raw = "gp_thisIsATokenThatSomebodyPastedHereByMistake0";
    replace(&here, "tokens.toml", &entry.replace("sha256 = \"", "sha256 = \"x"));
    a_while();
    assert_eq!(status(&client, &bearer(&portal)), 200);
    replace(&here, "tokens.toml", &format!("token = \"{raw}\"\n"));
    a_while();
    fs::remove_file(here.path().join("tokens.toml")).unwrap();
    a_while();
    assert_eq!(status(&client, &bearer(&portal)), 200);
    // The same problem again is another one after a file that is well.
    replace(&here, "tokens.toml", "");
    a_while();
    let other = token("other");
    replace(&here, "tokens.toml", &other.1);
    soon("a file that is well", || status(&client, &bearer(&other.0)) == 200);
    assert_eq!(status(&client, &bearer(&portal)), 401);
    serving.signal("TERM");
    let (exit, said) = serving.end();
    assert_eq!(exit, Some(0), "{said}");
    for once in [
        "this is no SHA-256 hash, which has 64 hexadecimal digits",
        "[tokens.toml:4:10]",
        "expected a sequence",
        "`tokens.toml` cannot be read: ",
        "`tokens.toml` has no caller",
        "`tokens.toml` read again: 1 token in force",
    ] {
        assert_eq!(said.matches(once).count(), 1, "{once} in {said}");
    }
    assert_eq!(said.matches("what was read before from `tokens.toml` stays in force").count(), 4, "{said}");
    assert!(!said.contains(raw), "{said}");
}

/// "Unknown members, two equal names or hashes, a hash that is not 64 hex digits, an empty file: an author-facing error with file
/// and span. Offer a clear message if a raw token seems to have been put in place of a hash." No secret is shown.
#[test]
fn a_token_file_that_cannot_be_used_is_refused_with_its_place() {
    let hash = "0123456789abcdef".repeat(4);
    let entry = |name: &str, hash: &str| format!("[[token]]\nname = \"{name}\"\nsha256 = \"{hash}\"\n");
    let raw = "gp_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE";
    let cases = [
        (String::new(), "`tokens.toml` has no caller", "`gatepost token NAME` makes a token"),
        (format!("{}role = \"x\"\n", entry("a", &hash)), "there is no member `role`", ":4:1]"),
        (format!("[[tokens]]\n{}", entry("a", &hash)), "there is no member `tokens`", ":1:3]"),
        ("[[token]]\nname = \"a\"\n".to_owned(), "missing field `sha256`", ":1:1]"),
        (entry("a", &hash) + &entry("a", &hash.replace('0', "1")), "two callers have this name", ":2:8]"),
        (entry("a", &hash) + &entry("b", &hash.to_uppercase()), "two callers have this hash", ":3:10]"),
        (entry("a", &hash[1..]), "this is no SHA-256 hash, which has 64 hexadecimal digits", ":3:10]"),
        (entry("a", &format!("+{}", &hash[1..])), "this is no SHA-256 hash", "never the token itself"),
        (entry("a", &"é".repeat(32)), "this is no SHA-256 hash", ":3:10]"),
        (entry("a", "hunter2"), "this is no SHA-256 hash", "never the token itself"),
        (entry("a", raw), "this is no SHA-256 hash", "this seems to be the token itself"),
        (entry(&"x".repeat(101), &hash), "this cannot be the name of a caller", ":2:8]"),
        (entry("", &hash), "this cannot be the name of a caller", "1 to 100 visible characters"),
        (entry("a\\n", &hash), "this cannot be the name of a caller", ":2:8]"),
        // What else is on the lines around the mistake is not shown either.
        (format!("{}[[token]\n", entry("hunter", "hunter2")), "]", ":4:"),
    ];
    for (text, message, place) in cases {
        let here = folder([("tokens.toml", &text)]);
        let ran = gatepost(here.path(), &WITH_TOKENS).with(2);
        let said = ran.err.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(message) && said.contains(place) && ran.out.is_empty(), "{text}\n{}", ran.err);
        for secret in [raw, "hunter2"] {
            assert!(!ran.err.contains(secret), "{}", ran.err);
        }
    }
    // All at once, as they look.
    let here = folder([("tokens.toml", entry("portal", "hunter2") + &entry(" ", raw) + &entry("portal", &hash))]);
    insta::assert_snapshot!("token_file_problems", gatepost(here.path(), &WITH_TOKENS).with(2).err);
    let ran = gatepost(here.path(), &[&ANY_PORT, ["--token-file", "nowhere.toml"].as_slice()].concat()).with(2);
    assert!(ran.err.contains("`nowhere.toml` cannot be read"), "{}", ran.err);
    fs::write(here.path().join("tokens.toml"), [0xff]).unwrap();
    assert!(gatepost(here.path(), &WITH_TOKENS).with(2).err.contains("`tokens.toml` is not UTF-8 text"));
}

/// "Actions/types in limits that the schema does not know: a warning at start."
#[test]
fn a_limit_on_what_the_schema_does_not_know_is_warned_of() {
    let (secret, entry) = token("portal");
    let limits = "actions = [\"viewSupportContact\", 'Action::\"placeOrder\"', \"veiwPricing\"]\ntypes = [\"User\", \"Acount\"]\n";
    let here = folder([("tokens.toml", format!("{entry}{limits}"))]);
    let serving = serve(&here, &WITH_TOKENS);
    assert_eq!(
        plain(&serving).send("GET", "/nothing", &[("authorization", &bearer(&secret))], "").unwrap().status,
        404
    );
    serving.signal("TERM");
    let (_, said) = serving.end();
    for once in ["the schema has no action `veiwPricing`", "[tokens.toml:5:", "the schema has no entity type `Acount`"]
    {
        assert_eq!(said.matches(once).count(), 1, "{once} in {said}");
    }
    assert_eq!(said.matches("the schema has no").count(), 2, "{said}");
}

/// "A limited caller gets 403 for `/report` (it shows all policies)."
#[test]
fn a_limited_caller_does_not_get_the_report() {
    let ((all, all_entry), (some, some_entry)) = (token("all"), token("some"));
    let here = folder([("tokens.toml", format!("{all_entry}{some_entry}types = [\"User\", \"Account\"]\n"))]);
    let serving = serve(&here, &[&WITH_TOKENS, ["--max-reasons", "admin"].as_slice()].concat());
    let client = plain(&serving);
    let report = |token: &str| client.send("GET", "/report", &[("authorization", &bearer(token))], "").unwrap();
    let refused = report(&some);
    assert_eq!(refused.status, 403);
    assert!(refused.json().as_str().is_some_and(|text| text.starts_with("the report shows all policies")));
    assert_tells_nothing(&format!("{:?}{}", refused.headers, refused.text.replace("all policies", "")));
    assert!([200, 503].contains(&report(&all).status), "it is made, or being made");
}

/// "A token can be limited to actions and entity types it may ask about": by itself it is 403, in a batch the item is denied, and a
/// search finds what it may ask about.
#[test]
fn a_limited_caller_is_answered_within_its_limits_only() {
    let ((all, all_entry), (some, some_entry)) = (token("all"), token("some"));
    let limits = "actions = [\"enterSupportContact\"]\ntypes = [\"User\", \"Account\"]\n";
    let here = folder([("tokens.toml", format!("{all_entry}{some_entry}{limits}"))]);
    let serving = serve(&here, &WITH_TOKENS);
    let client = plain(&serving);
    let ask = |token: &str, path: &str, body: &Value| {
        let answer = client.send("POST", path, &[JSON, ("authorization", &bearer(token))], body.to_string()).unwrap();
        (answer.status, answer.text)
    };
    let allowed = (200, "{\"decision\":true}".to_owned());
    let refused = (403, "\"the caller may not ask about this action and these types\"".to_owned());
    let enter = enter();
    let view = with(enter.clone(), json!({ "action": { "name": "viewSupportContact" } }));
    let whole = with(enter.clone(), json!({ "action": { "name": "Action::\"viewSupportContact\"" } }));
    let portal = with(enter.clone(), json!({ "subject": { "type": "Portal", "id": "portal" } }));
    let nothing = with(enter.clone(), json!({ "action": { "name": "" } }));
    assert_eq!(ask(&some, SINGLE, &enter), allowed);
    for other in [&view, &whole, &portal, &nothing] {
        assert_eq!(ask(&some, SINGLE, other), refused, "{other}");
        assert_eq!(ask(&some, "/access/v1/evaluations", other), refused, "a batch without items is a single one");
        assert_eq!(ask(&all, SINGLE, other).0, 200);
    }
    // It is refused before anything is said of what it sends.
    let wrong = with(view.clone(), json!({ "resource": { "properties": { "kind": 7 } } }));
    assert_eq!(ask(&some, SINGLE, &wrong), refused);
    let batch = json!({ "evaluations": [enter, view, whole], "options": { "reasons": "user" } });
    let (status, answered) = ask(&some, "/access/v1/evaluations", &batch);
    let items = serde_json::from_str::<Value>(&answered).unwrap()["evaluations"].take();
    assert_eq!((status, &items[0]["decision"]), (200, &json!(true)));
    let error = json!({ "status": 403, "message": "the caller may not ask about this action and these types" });
    for item in [&items[1], &items[2]] {
        assert_eq!((&item["decision"], &item["context"]["error"]), (&json!(false), &error));
    }
    for (path, found) in [
        ("/access/v1/search/subject", (200, "{\"results\":[]}".to_owned())),
        ("/access/v1/search/resource", (200, "{\"results\":[]}".to_owned())),
        ("/access/v1/search/action", (200, "{\"results\":[{\"name\":\"enterSupportContact\"}]}".to_owned())),
    ] {
        assert_eq!(ask(&some, path, &enter), found, "{path}");
        assert_eq!(ask(&some, path, &portal), refused, "{path}");
    }
    assert!(ask(&all, "/access/v1/search/action", &enter).1.contains("viewSupportContact"));
    assert_eq!(ask(&some, "/access/v1/search/resource", &view), refused);
    // A page of one caller's search is no page of another's.
    let first = with(enter, json!({ "subject": { "id": "ada" }, "page": { "limit": 1 } }));
    let page: Value = serde_json::from_str(&ask(&all, "/access/v1/search/action", &first).1).unwrap();
    let next = with(first, json!({ "page": { "token": page["page"]["next_token"] } }));
    assert_eq!(ask(&all, "/access/v1/search/action", &next).0, 200);
    assert_eq!(ask(&some, "/access/v1/search/action", &next).0, 400);
}

/// "Types of sent parents count against the caller's limits": alone, in a batch, and in each search.
#[test]
fn a_limited_caller_says_no_parents_of_other_types() {
    let (some, entry) = token("some");
    let here = folder([
        ("tokens.toml", format!("{entry}types = [\"User\", \"Doc\", \"Team\"]\n")),
        ("s/schema/a.cedarschema", "entity Team; entity Admins; entity User in [Team, Admins]; entity Doc; action read appliesTo { principal: User, resource: Doc };".to_owned()),
        ("s/policies/a.cedar", r#"@id("a") permit (principal in Admins::"a", action, resource); @id("t") permit (principal in Team::"t", action, resource);"#.to_owned()),
        ("s/entities/a.json", r#"[{"uid":{"type":"Doc","id":"d"}},{"uid":{"type":"Team","id":"t"}},{"uid":{"type":"Admins","id":"a"}}]"#.to_owned()),
    ]);
    let serving = serve(&here, &[&WITH_TOKENS, ["--store", "s"].as_slice()].concat());
    let client = plain(&serving);
    let ask = |path: &str, parent: Value| {
        let body = json!({
            "subject": { "type": "User", "id": "u", "parents": [parent] }, "action": { "name": "read" },
            "resource": { "type": "Doc", "id": "d" },
        });
        let body = if path.ends_with("evaluations") { json!({ "evaluations": [body] }) } else { body };
        let answer = client.send("POST", path, &[JSON, ("authorization", &bearer(&some))], body.to_string()).unwrap();
        (answer.status, answer.text)
    };
    let (team, admins) = (json!({ "type": "Team", "id": "t" }), json!({ "type": "Admins", "id": "a" }));
    let refused = (403, "\"the caller may not ask about this action and these types\"".to_owned());
    assert_eq!(ask(SINGLE, team.clone()), (200, "{\"decision\":true}".to_owned()));
    assert_eq!(ask(SINGLE, admins.clone()), refused);
    for search in ["resource", "action"] {
        let path = format!("/access/v1/search/{search}");
        assert_eq!(ask(&path, team.clone()).0, 200);
        assert_eq!(ask(&path, admins.clone()), refused, "{path}");
    }
    assert!(ask("/access/v1/evaluations", admins).1.contains("\"decision\":false"));
}

/// A limit by the whole name of an action allows it by that name, and an action search then finds it by that name.
#[test]
fn an_action_search_finds_what_a_limit_by_a_whole_name_allows() {
    let (some, entry) = token("some");
    let whole = "Action::\"viewSupportContact\"";
    let here = folder([("tokens.toml", format!("{entry}actions = ['{whole}']\n"))]);
    let serving = serve(&here, &WITH_TOKENS);
    let (client, bearer) = (plain(&serving), bearer(&some));
    let send = |path: &str, body: &Value| {
        client.send("POST", path, &[JSON, ("authorization", &bearer)], body.to_string()).unwrap()
    };
    let found = send("/access/v1/search/action", &enter()).json();
    assert_eq!(found["results"], json!([{ "name": "viewSupportContact" }]), "what counts is the action that is meant");
    let asked = with(enter(), json!({ "action": found["results"][0] }));
    assert_eq!(send(SINGLE, &asked).json()["decision"], json!(true));
}

/// A token of a page says where the search goes on, whatever the caller's limits are by then: nothing that it still may ask about
/// is lost.
#[test]
fn pages_go_on_where_they_were_when_limits_change() {
    let (some, entry) = token("some");
    let here = folder([("tokens.toml", &entry)]);
    let serving = serve(&here, &WITH_TOKENS);
    let (client, bearer) = (plain(&serving), bearer(&some));
    let send = |body: &Value| {
        client
            .send("POST", "/access/v1/search/action", &[JSON, ("authorization", &bearer)], body.to_string())
            .unwrap()
            .json()
    };
    let names = |page: &Value| -> Vec<String> {
        page["results"].as_array().unwrap().iter().map(|found| found["name"].as_str().unwrap().to_owned()).collect()
    };
    let all = names(&send(&enter()));
    let first = send(&with(enter(), json!({ "page": { "limit": 2 } })));
    assert_eq!(names(&first), all[..2]);
    let allowed: Vec<String> = all[1..].iter().map(|name| format!("{name:?}")).collect();
    replace(&here, "tokens.toml", &format!("{entry}actions = [{}]\n", allowed.join(", ")));
    soon("the limit", || names(&send(&enter())) == all[1..]);
    let next = with(enter(), json!({ "page": { "limit": 2, "token": first["page"]["next_token"] } }));
    assert_eq!(names(&send(&next)), all[2..4]);
}

/// "`gatepost token NAME` prints a fresh token … and the TOML entry to paste; think about how an operator uses it in a pipe."
#[test]
fn gatepost_token_gives_the_token_to_a_pipe_and_the_entry_to_a_file() {
    let here = TempDir::new().unwrap();
    let script = format!(
        "'{0}' token 'the \"portal\"' 2>> tokens.toml > portal; '{0}' token billing 2>> tokens.toml > billing",
        env!("CARGO_BIN_EXE_gatepost")
    );
    Ran::new(Command::new("sh").args(["-c", &script]).current_dir(here.path()).output().unwrap()).with(0);
    let secret = |name: &str| fs::read_to_string(here.path().join(name)).unwrap();
    let (portal, billing) = (secret("portal"), secret("billing"));
    for token in [&portal, &billing] {
        // 256 bits as base64url, and nothing else.
        let random = token.strip_prefix("gp_").unwrap().strip_suffix('\n').unwrap();
        assert!(random.len() == 43 && random.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        assert!(!secret("tokens.toml").contains(random), "only the hash is stored");
    }
    assert_ne!(portal, billing);
    let serving = serve(&here, &WITH_TOKENS);
    for token in [&portal, &billing] {
        assert_eq!(status(&plain(&serving), &bearer(token.trim_end())), 200);
    }
    let json = gatepost(here.path(), &["token", "x", "--format", "json"]).with(0);
    assert!(json.json()["token"].as_str().unwrap().starts_with("gp_") && json.err.is_empty());
    assert_eq!((json.json()["name"].as_str(), json.json()["sha256"].as_str().unwrap().len()), (Some("x"), 64));
    for name in ["", "a\nb", "\u{202e}x", &"x".repeat(101)] {
        let ran = gatepost(here.path(), &["token", name]).with(2);
        assert!(ran.err.contains("this cannot be the name of a caller") && ran.out.is_empty(), "{ran:?}");
    }
}

// TLS

/// An authority that makes certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
struct Made {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    fn make(&self, names: Vec<SanType>) -> Made {
        let mut parameters = CertificateParams::default();
        parameters.subject_alt_names = names;
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.0).unwrap();
        Made { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// For a service on this machine.
    fn service(&self) -> Made {
        self.make(vec![SanType::DnsName("pdp.example".try_into().unwrap()), SanType::IpAddress([127, 0, 0, 1].into())])
    }

    fn client(&self) -> Made {
        self.make(vec![SanType::URI("spiffe://example/portal".try_into().unwrap())])
    }

    /// What a client trusts, and who it is.
    fn trusted(&self, client: Option<&Made>) -> TlsConfig {
        let root = Certificate::from_pem(self.0.pem().as_bytes()).unwrap();
        let client = client.map(|made| {
            let certificate = Certificate::from_pem(made.certificate.as_bytes()).unwrap();
            ClientCert::new_with_certs(&[certificate], PrivateKey::from_pem(made.key.as_bytes()).unwrap())
        });
        TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[root])).client_cert(client).build()
    }

    /// A connection, to be used by hand.
    fn connect(&self, address: &str, client: Option<&Made>) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into());
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let config = match client {
            Some(made) => {
                let certificate = CertificateDer::from_pem_slice(made.certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(made.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
    }
}

fn put(here: &TempDir, name: &str, made: &Made) {
    replace(here, &format!("{name}.pem"), &made.certificate);
    replace(here, &format!("{name}.key"), &made.key);
}

/// Says something on a connection that stays open: the status of the answer, and the answer.
fn spoken(stream: &mut (impl Read + Write), request: &str) -> (u16, String) {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let mut byte = [0];
    while !answer.ends_with("\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0] as char);
    }
    let length = answer.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (answer[9..12].parse().unwrap(), answer + &String::from_utf8(body).unwrap())
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// The certificate that the service shows to a new connection.
fn shown(authority: &Authority, address: &str) -> Option<CertificateDer<'static>> {
    let mut stream = authority.connect(address, None);
    stream.write_all(HEALTH.as_bytes()).ok()?;
    Some(stream.conn.peer_certificates()?[0].clone())
}

/// "`--client-ca` (PEM; then a client certificate is required)."
#[test]
fn with_client_ca_only_a_certificate_of_that_authority_is_let_in() {
    let (authority, other) = (Authority::new(), Authority::new());
    let here = folder([("ca.pem", authority.0.pem())]);
    put(&here, "service", &authority.service());
    let serving = serve(&here, &[&WITH_TLS, ["--client-ca", "ca.pem"].as_slice()].concat());
    let client = |made: Option<&Made>| Client::new(serving.url(), authority.trusted(made));
    let asked = |client: &Client| client.send("POST", SINGLE, &[JSON], enter().to_string());
    let known = authority.client();
    let answer = asked(&client(Some(&known))).unwrap();
    assert_eq!((answer.status, &*answer.text), (200, r#"{"decision":true}"#));
    assert!(asked(&client(None)).is_err(), "without a certificate");
    assert!(asked(&client(Some(&other.client()))).is_err(), "one of another authority");
    // Who is known by a certificate needs no token, and is not limited.
    assert_eq!(client(Some(&known)).send("GET", "/nothing", &[], "").unwrap().status, 404);
}

/// "If both `--token-file` and `--client-ca` are set, both are required."
#[test]
fn with_tokens_and_certificates_both_are_needed() {
    let authority = Authority::new();
    let (secret, entry) = token("portal");
    let here = folder([("ca.pem", authority.0.pem()), ("tokens.toml", entry)]);
    put(&here, "service", &authority.service());
    let more = ["--client-ca", "ca.pem", "--token-file", "tokens.toml"];
    let serving = serve(&here, &[&WITH_TLS, more.as_slice()].concat());
    let known = Client::new(serving.url(), authority.trusted(Some(&authority.client())));
    assert_eq!((status(&known, &bearer(&secret)), status(&known, "Bearer wrong")), (200, 401));
    assert_eq!(known.send("POST", SINGLE, &[JSON], "{}").unwrap().status, 401);
    assert!(ask(&Client::new(serving.url(), authority.trusted(None)), &bearer(&secret)).is_err());
}

/// "Reloaded when the files change without dropping a connection (new connections get the new ones; running ones go on); a broken
/// or mismatched pair keeps the old one and says so."
#[test]
fn certificates_change_while_connections_go_on() {
    let authority = Authority::new();
    let here = TempDir::new().unwrap();
    let (first, second) = (authority.service(), authority.service());
    put(&here, "service", &first);
    let serving = serve(&here, &WITH_TLS);
    let address = serving.address().to_owned();
    let mut running = authority.connect(&address, None);
    assert_eq!(spoken(&mut running, HEALTH).0, 200);
    let old = shown(&authority, &address).unwrap();

    put(&here, "service", &second);
    soon("the new certificate", || shown(&authority, &address).unwrap() != old);
    let new = CertificateDer::from_pem_slice(second.certificate.as_bytes()).unwrap();
    assert_eq!(shown(&authority, &address), Some(new.clone()));
    assert_eq!(spoken(&mut running, HEALTH).0, 200, "the connection goes on");
    assert_eq!(running.conn.peer_certificates().unwrap()[0], old);

    // The certificate alone does not belong to the key.
    replace(&here, "service.pem", &first.certificate);
    a_while();
    assert_eq!(shown(&authority, &address), Some(new.clone()));
    replace(&here, "service.pem", "-----BEGIN CERTIFICATE-----\n");
    a_while();
    assert_eq!(shown(&authority, &address), Some(new));
    assert_eq!(spoken(&mut running, HEALTH).0, 200);
    drop(running);
    serving.signal("TERM");
    let (exit, said) = serving.end();
    assert_eq!(exit, Some(0), "{said}");
    for once in [
        "`service.pem`, `service.key` read again: new connections get this certificate",
        "the key in `service.key` is not that of the first certificate in `service.pem`",
        "`service.pem` holds no certificate that can be read",
    ] {
        assert_eq!(said.matches(once).count(), 1, "{once} in {said}");
    }
    assert!(!said.contains("PRIVATE KEY") && !said.contains(&second.key[40..80]), "{said}");
}

/// An authority that is taken away lets no new connection in.
#[test]
fn the_authority_of_clients_changes_while_connections_go_on() {
    let (authority, other) = (Authority::new(), Authority::new());
    let here = folder([("ca.pem", authority.0.pem())]);
    put(&here, "service", &authority.service());
    let serving = serve(&here, &[&WITH_TLS, ["--client-ca", "ca.pem"].as_slice()].concat());
    let (old, new) = (authority.client(), other.client());
    let lets_in =
        |made: &Made| Client::new(serving.url(), authority.trusted(Some(made))).send("GET", "/healthz", &[], "");
    let mut running = authority.connect(serving.address(), Some(&old));
    assert_eq!(spoken(&mut running, HEALTH).0, 200);
    assert!(lets_in(&old).is_ok() && lets_in(&new).is_err());
    replace(&here, "ca.pem", &other.0.pem());
    soon("the other authority", || lets_in(&new).is_ok());
    assert!(lets_in(&old).is_err());
    assert_eq!(spoken(&mut running, HEALTH).0, 200);
}

/// "Handshakes must not block the accept loop; a handshake has a time limit (10 s); a client that opens a port and says nothing
/// must not hinder others. Plain HTTP sent to the TLS port: closed cleanly."
#[test]
fn a_client_that_says_nothing_or_no_tls_hinders_nobody() {
    let authority = Authority::new();
    let here = TempDir::new().unwrap();
    put(&here, "service", &authority.service());
    let serving = serve(&here, &WITH_TLS);
    let begun = Instant::now();
    let mut silent: Vec<_> = (0..50).map(|_| TcpStream::connect(serving.address()).unwrap()).collect();
    let client = Client::new(serving.url(), authority.trusted(None));
    assert_eq!(client.send("GET", "/healthz", &[], "").unwrap().status, 200);
    assert!(begun.elapsed() < Duration::from_secs(5), "it waited for the silent ones");
    let stream = TcpStream::connect(serving.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let plain = exchange(stream, HEALTH.as_bytes());
    assert!(plain.len() < 10 && !plain.contains("HTTP"), "an alert at most: {plain}");
    // They are let go after the limit.
    let mut last = silent.pop().unwrap();
    last.set_read_timeout(Some(PATIENCE)).unwrap();
    let closed = last.read(&mut [0; 10]);
    assert!(matches!(closed, Ok(0)), "{closed:?}");
    assert!((9..15).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    // And a handshake that goes on does not hold the end up.
    let _beginning = TcpStream::connect(serving.address()).unwrap();
    let told = Instant::now();
    serving.signal("TERM");
    assert_eq!(serving.end(), (Some(0), String::new()));
    assert!(told.elapsed() < Duration::from_secs(5));
}

/// "TLS 1.2 and 1.3, http/1.1."
#[test]
fn tls_1_2_and_1_3_are_spoken_and_http_1_1_is_agreed_on() {
    let authority = Authority::new();
    let here = folder([("ca.pem", authority.0.pem())]);
    put(&here, "service", &authority.service());
    let serving = serve(&here, &WITH_TLS);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (offered, agreed) in [(["h2", "http/1.1"].as_slice(), true), (&["h2"], false), (&[], true)] {
            let mut roots = RootCertStore::empty();
            roots.add(authority.0.der().clone()).unwrap();
            let builder = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into());
            let builder = builder.with_protocol_versions(&[version]).unwrap().with_root_certificates(roots);
            let mut config = builder.with_no_client_auth();
            config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
            let connection = ClientConnection::new(Arc::new(config), ServerName::try_from("pdp.example").unwrap());
            let stream = TcpStream::connect(serving.address()).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut stream = StreamOwned::new(connection.unwrap(), stream);
            if agreed {
                assert_eq!(spoken(&mut stream, HEALTH).0, 200);
                assert_eq!(stream.conn.protocol_version(), Some(version.version));
                assert_eq!(stream.conn.alpn_protocol().is_some(), !offered.is_empty());
            } else {
                assert!(stream.write_all(HEALTH.as_bytes()).is_err(), "{offered:?}");
            }
        }
    }
}

// Where it listens, and what it says of it

/// "One without the other: clear error."
#[test]
fn settings_that_do_not_go_together_are_refused() {
    let authority = Authority::new();
    let here = folder([("ca.pem", authority.0.pem())]);
    put(&here, "service", &authority.service());
    put(&here, "other", &authority.service());
    let cases: [(&[&str], &str); 7] = [
        (&["--tls-cert", "service.pem"], "tls-cert is set, but tls-key is not"),
        (&["--tls-key", "service.key"], "tls-key is set, but tls-cert is not"),
        (&["--client-ca", "ca.pem"], "client-ca is set, but tls-cert and tls-key are not"),
        (&["--tls-cert", "service.pem", "--tls-key", "other.key"], "the key in `other.key` is not that of the first"),
        (&["--tls-cert", "service.key", "--tls-key", "service.key"], "`service.key` holds no certificate"),
        (&["--tls-cert", "service.pem", "--tls-key", "service.pem"], "`service.pem` holds no key"),
        (&["--tls-cert", "nowhere.pem", "--tls-key", "service.key"], "`nowhere.pem` cannot be read"),
    ];
    for (arguments, expected) in cases {
        let ran = gatepost(here.path(), &[&ANY_PORT, arguments].concat()).with(2);
        assert!(ran.err.contains(expected) && ran.out.is_empty(), "{arguments:?}: {}", ran.err);
    }
}

/// "Without `--token-file` or `--client-ca` the service refuses to bind anything but loopback unless told `--allow-anonymous`
/// (server certificate alone is no authentication)."
#[test]
fn it_listens_beyond_loopback_only_for_known_callers_or_where_it_is_told_to() {
    let authority = Authority::new();
    let (_, entry) = token("portal");
    let here = folder([("ca.pem", authority.0.pem()), ("tokens.toml", entry)]);
    put(&here, "service", &authority.service());
    let tls = &WITH_TLS[3..];
    let everywhere = ["serve", "--listen", "0.0.0.0:0"];
    for refused in [&[], tls, &["--allow-anonymous=false"]] {
        let ran = gatepost(here.path(), &[&everywhere, refused].concat()).with(2);
        let said = ran.err.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("`0.0.0.0:0` can be reached from other machines"), "{said}");
        for way in ["`--token-file`", "`--client-ca`", "`--allow-anonymous`"] {
            assert!(said.contains(way), "{way} in {said}");
        }
    }
    let in_the_clear = "warning: tokens are sent in the clear";
    let anybody = "warning: anybody who can reach this address may ask";
    let client_ca = [tls, &["--client-ca", "ca.pem"]].concat();
    let tokens = ["--token-file", "tokens.toml"].as_slice();
    let cases: [(&[&str], Option<&str>); 5] = [
        (&["--allow-anonymous"], Some(anybody)),
        (&["--allow-anonymous=true"], Some(anybody)),
        (tokens, Some(in_the_clear)),
        (&[tokens, tls].concat(), None),
        (&client_ca, None),
    ];
    for (allowed, warning) in cases {
        let serving = serve(&here, &[&everywhere, allowed].concat());
        assert!(serving.address().starts_with("0.0.0.0:"), "{}", serving.banner);
        for other in [in_the_clear, anybody] {
            assert_eq!(serving.banner.contains(other), warning == Some(other), "{}", serving.banner);
        }
    }
    let here_only = serve(&here, &WITH_TOKENS);
    assert!(!here_only.banner.contains("warning") && here_only.banner.contains("\neach request needs a token\n"));
}

/// "All settings: env, gatepost.toml", whose paths are meant from where the file lies.
#[test]
fn the_settings_of_callers_can_stand_in_the_environment_and_in_gatepost_toml() {
    let authority = Authority::new();
    let (secret, entry) = token("portal");
    let here = folder([("etc/ca.pem", authority.0.pem()), ("etc/tokens.toml", entry)]);
    put(&here, "etc/service", &authority.service());
    let settings = [
        ("token-file", "tokens.toml"),
        ("tls-cert", "service.pem"),
        ("tls-key", "service.key"),
        ("client-ca", "ca.pem"),
    ];
    let lines = settings.map(|(name, file)| format!("{name} = \"{file}\"\n")).concat();
    write(here.path(), "etc/gatepost.toml", format!("allow-anonymous = true\n{lines}").as_bytes());
    let mut by_file = command(here.path(), &[&ANY_PORT, ["--config", "etc/gatepost.toml"].as_slice()].concat());
    let mut by_environment = command(here.path(), &ANY_PORT);
    for (name, file) in settings {
        let name = format!("GATEPOST_{}", name.replace('-', "_").to_uppercase());
        by_environment.env(name, format!("etc/{file}"));
    }
    let made = authority.client();
    for command in [&mut by_file, &mut by_environment] {
        let serving = Serving::start(command);
        let known = Client::new(serving.url(), authority.trusted(Some(&made)));
        assert_eq!((status(&known, &bearer(&secret)), status(&known, "Bearer wrong")), (200, 401));
    }
    // The same word for the address.
    let mut anonymous = command(here.path(), &["serve", "--listen", "0.0.0.0:0"]);
    anonymous.env("GATEPOST_ALLOW_ANONYMOUS", "true");
    assert!(Serving::start(&mut anonymous).address().starts_with("0.0.0.0:"));
}

/// "The banner's `curl` example must be one that works with the settings."
#[test]
fn the_command_in_the_banner_works_with_the_settings() {
    let authority = Authority::new();
    let (secret, entry) = token("portal");
    let here = folder([("ca.pem", authority.0.pem()), ("tokens.toml", entry), ("token", secret)]);
    put(&here, "service", &authority.service());
    put(&here, "named", &authority.make(vec![SanType::DnsName("pdp.example".try_into().unwrap())]));
    put(&here, "client", &authority.client());
    let named: &[&str] = &["serve", "--listen", "0.0.0.0:0", "--tls-cert", "named.pem", "--tls-key", "named.key"];
    let mutual = ["--client-ca", "ca.pem", "--token-file", "tokens.toml"];
    for arguments in [&WITH_TOKENS[..], &WITH_TLS, &[named, &mutual].concat()] {
        let serving = serve(&here, &[arguments, ["--allow-anonymous"].as_slice()].concat());
        let (_, curl) = serving.banner.split_once("A request to try:\n\n").unwrap();
        let script = format!("TOKEN=$(cat token) CLIENT_CERT=client.pem CLIENT_KEY=client.key\n{curl}");
        let ran = Ran::new(Command::new("sh").args(["-c", &script]).current_dir(here.path()).output().unwrap());
        assert_eq!(ran.out, r#"{"decision":true}"#, "{curl}\n{}", ran.err);
        assert!(!serving.banner.contains("gp_"), "{}", serving.banner);
    }
}

/// What was there before: without settings, everybody on this machine may ask, and is told the revision.
#[test]
fn without_settings_nobody_is_asked_who_they_are() {
    let here = TempDir::new().unwrap();
    let serving = serve(&here, &ANY_PORT);
    let client = plain(&serving);
    assert_eq!((status(&client, "Bearer whatever"), status(&client, "Basic x")), (200, 200));
    assert!(client.send("GET", "/readyz", &[], "").unwrap().header("gatepost-revision").is_some());
    let answer: Value = client.send("POST", SINGLE, &[JSON], enter().to_string()).unwrap().json();
    assert_eq!(answer["decision"], true);
}
