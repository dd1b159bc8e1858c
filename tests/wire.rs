//! The edges of the wire: what is said and not read is told, strict requests, what a connection survives, and whom limits and counts mean.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use common::binary::{PATIENCE, Serving, command, fed, gatepost};
use common::folder;
use common::server::{Answer, Client};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use ureq::tls::TlsConfig;

const SINGLE: &str = "/access/v1/evaluation";
const BATCH: &str = "/access/v1/evaluations";
const SUBJECTS: &str = "/access/v1/search/subject";
const RESOURCES: &str = "/access/v1/search/resource";
const ACTIONS: &str = "/access/v1/search/action";

const SCHEMA: &str = r#"
entity Group;
@parents_from("caller")
entity User in Group = { role?: String, supportContact?: String, profile?: { nick?: String } } tags String;
entity Color enum ["red", "green"];
entity Doc in Group = { level?: Long, secret?: Bool } tags String;
action view, write appliesTo { principal: User, resource: Doc, context: { must: Bool, deliveryDay?: String, at?: datetime } };
action list appliesTo { principal: User, resource: Doc, context: {} };
action paint appliesTo { principal: Color, resource: Color, context: {} };
namespace Docs { entity File; action "read" appliesTo { principal: User, resource: File }; }
namespace Other { entity File; action "read" appliesTo { principal: User, resource: File, context: { need: Bool } }; }
"#;

const POLICIES: &str = r#"
@id("read") @reason("Readers may read.")
permit (principal, action in [Action::"view", Action::"list"], resource) when { principal has role && principal.role == "reader" };
@id("no-secrets") @reason("It is secret.")
forbid (principal, action, resource is Doc) when { resource has secret && resource.secret };
@id("paint")
permit (principal, action == Action::"paint", resource);
@id("docs")
permit (principal, action == Docs::Action::"read", resource);
@id("other")
permit (principal, action == Other::Action::"read", resource) when { context.need };
"#;

const ENTITIES: &str = r#"[
{ "uid": { "type": "User", "id": "ada" }, "attrs": { "role": "reader" } },
{ "uid": { "type": "User", "id": "eve" } },
{ "uid": { "type": "Doc", "id": "one" }, "attrs": { "level": 1 } },
{ "uid": { "type": "Doc", "id": "two" }, "attrs": { "secret": true } }]"#;

struct Running {
    serving: Serving,
    client: Client,
    here: TempDir,
}

/// A service with the store above, these settings, and these files beside it.
fn serve_with(files: &[(&str, &str)], settings: &[&str]) -> Running {
    let store = [("s/schema/a.cedarschema", SCHEMA), ("s/policies/a.cedar", POLICIES), ("s/entities/a.json", ENTITIES)];
    let here = folder(store.into_iter().chain(files.iter().copied()));
    let first = ["serve", "--listen", "127.0.0.1:0", "--store", "s"];
    let serving = Serving::start(&mut command(here.path(), &[&first, settings].concat()));
    let client = Client::new(&format!("http://{}", serving.address()), TlsConfig::default());
    Running { serving, client, here }
}

fn serve(settings: &[&str]) -> Running {
    serve_with(&[], settings)
}

impl Running {
    fn post(&self, path: &str, body: &Value) -> Answer {
        self.client.send("POST", path, &[("content-type", "application/json")], body.to_string()).unwrap()
    }

    /// What the header names as not read; nothing where it is not there.
    fn told(&self, path: &str, body: &Value) -> String {
        self.post(path, body).header("gatepost-dropped").unwrap_or_default().to_owned()
    }

    /// The samples of a counter that are not 0, by their labels.
    fn counted(&self, name: &str) -> BTreeMap<String, u64> {
        let page = self.client.send("GET", "/metrics", &[], "").unwrap().text;
        let samples = page.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.split_once("} "));
        samples
            .map(|(labels, count)| (labels.to_owned(), count.parse().unwrap()))
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

/// Ada views a document; with changes.
fn ada(changes: Value) -> Value {
    let whole = json!({
        "subject": { "type": "User", "id": "ada" },
        "action": { "name": "view" },
        "resource": { "type": "Doc", "id": "one" },
        "context": { "must": true },
    });
    common::with(whole, changes)
}

// A6: what is said and not read

/// Each thing that can be said and is not read, and what is told of it.
fn not_read() -> Vec<(Value, &'static str, &'static str)> {
    vec![
        (
            json!({ "subject": { "properties": { "supportcontact": "x" } } }),
            "subject.properties.supportcontact",
            "supportContact",
        ),
        (
            json!({ "subject": { "properties": { "profile": { "nik": "x" } } } }),
            "subject.properties.profile.nik",
            "nick",
        ),
        (json!({ "resource": { "properties": { "levle": 1 } } }), "resource.properties.levle", "level"),
        (json!({ "context": { "deliveryday": "x" } }), "context.deliveryday", "deliveryDay"),
        (json!({ "context": { "a b,é": "x" } }), "context[%22a%20b%2C%C3%A9%22]", ""),
        (json!({ "context": { "at": "2026-01-01T00:00:00.1234Z" } }), "context.at", ""),
        (json!({ "action": { "properties": { "soft": true } } }), "action.properties.soft", ""),
        (json!({ "subject": { "attributes": {} } }), "subject.attributes", ""),
        (json!({ "subject": { "tag": {} } }), "subject.tag", "tags"),
        (
            json!({ "subject": { "parents": [{ "type": "Group", "id": "g", "more": 1 }] } }),
            "subject.parents[0].more",
            "",
        ),
        (json!({ "resource": { "parent": [] } }), "resource.parent", "parents"),
        (json!({ "options": { "strikt": true } }), "options.strikt", "strict"),
        (json!({ "options": { "at_leest": 7 } }), "options.at_leest", ""),
        (json!({ "contxt": { "must": false } }), "contxt", "context"),
    ]
}

#[test]
fn a6_what_is_not_read_is_named_and_refused_where_a_request_is_strict() {
    let running = serve(&[]);
    assert!(running.serving.banner.contains("is dropped and named in a header (--unknown-attributes deny refuses it)"));
    assert_eq!(running.told(SINGLE, &ada(json!({}))), "");
    for (change, name, meant) in not_read() {
        let body = ada(change.clone());
        let answer = running.post(SINGLE, &body);
        assert_eq!((answer.status, answer.header("gatepost-dropped")), (200, Some(name)), "{change}");
        assert_eq!(answer.text, r#"{"decision":true}"#, "{change}");
        // "Did you mean" stands in the reasons for developers, and persons are told nothing of it.
        let told = running.post(SINGLE, &common::with(body.clone(), json!({ "options": { "reasons": "user" } })));
        let context = told.json()["context"].clone();
        let sentence = context["reason_developer"]["gatepost:dropped"].as_str().unwrap().to_owned();
        assert_eq!(context.as_object().unwrap().len(), 1, "{context}");
        assert!(meant.is_empty() || sentence.contains(&format!("(did you mean `{meant}`?)")), "{sentence}");
        // A strict request is refused, a batch denies the item, a search finds nothing; each says why.
        let strict = common::with(body, json!({ "options": { "strict": true } }));
        let refused = running.post(SINGLE, &strict);
        let message = refused.json().as_str().unwrap_or_default().to_owned();
        assert!(refused.status == 400 && message.contains("what is sent here must be read"), "{change}: {refused:?}");
        assert!(message.contains("did you mean") != meant.is_empty(), "{message}");
        let mut search = strict.clone();
        search["resource"].as_object_mut().unwrap().remove("id");
        let found = running.post(RESOURCES, &search);
        assert_eq!((found.status, found.text.as_str()), (200, r#"{"results":[]}"#), "{change}");
        assert_eq!(found.header("gatepost-dropped"), Some(name), "{change}");
        search["options"]["strict"] = json!(false);
        let found = running.post(RESOURCES, &search);
        assert_eq!(found.text, r#"{"results":[{"type":"Doc","id":"one"}]}"#, "{change}");
    }
}

#[test]
fn a6_a_strict_batch_denies_the_items_that_say_what_is_not_read() {
    let running = serve(&[]);
    let evaluations = json!([
        {},
        { "context": { "must": true, "musst": 1 } },
        { "resource": { "type": "Doc", "id": "one", "atrs": {} } },
        { "contxt": {} },
    ]);
    for (strict, allowed) in [(false, [true; 4]), (true, [true, false, false, false])] {
        let body = ada(json!({ "evaluations": evaluations, "options": { "strict": strict } }));
        let answer = running.post(BATCH, &body).json();
        let decided: Vec<_> =
            answer["evaluations"].as_array().unwrap().iter().map(|item| item["decision"] == true).collect();
        assert_eq!(decided, allowed);
        for (item, allowed) in answer["evaluations"].as_array().unwrap().iter().zip(allowed) {
            assert_eq!(item["context"]["error"]["status"], if allowed { Value::Null } else { json!(400) }, "{item}");
        }
    }
    let dropped = running.told(BATCH, &ada(json!({ "evaluations": evaluations })));
    assert_eq!(dropped, "context.musst, resource.atrs, contxt");
    // What items share counts for those that take it; what is of the batch itself for all of them.
    let shared =
        json!({ "subject": { "atrs": {} }, "evaluations": [{}, { "subject": { "type": "User", "id": "ada" } }] });
    let answer = running.post(BATCH, &ada(common::with(shared, json!({ "options": { "strict": true } })))).json();
    let decided: Vec<_> =
        answer["evaluations"].as_array().unwrap().iter().map(|item| item["decision"] == true).collect();
    assert_eq!(decided, [false, true]);
    let whole = ada(json!({ "more": 1, "evaluations": [{}], "options": { "strict": true } }));
    assert_eq!(running.post(BATCH, &whole).status, 400);
    // Without items it is one request, whatever else it says.
    for evaluations in [json!([]), json!(null)] {
        let mut many: serde_json::Map<String, Value> =
            (0..25).map(|number| (format!("a{number:02}"), json!(1))).collect();
        let single = running.told(SINGLE, &ada(json!(many)));
        many.insert("evaluations".to_owned(), evaluations);
        assert_eq!(running.told(BATCH, &ada(json!(many))), single);
        assert!(single.ends_with("a19; more=5"), "{single}");
    }
}

/// "Visible to whoever gets a decision": on the command line too.
#[test]
fn a6_decide_says_what_is_not_read() {
    let store = [("s/schema/a.cedarschema", SCHEMA), ("s/policies/a.cedar", POLICIES), ("s/entities/a.json", ENTITIES)];
    let here = folder(store);
    for (change, _, meant) in not_read() {
        let decided = fed(here.path(), &["decide", "--store", "s"], &ada(change.clone()).to_string()).with(0);
        assert!(decided.out.starts_with("allow\n") && decided.out.contains("\n  sent, but not read: `"), "{decided:?}");
        assert_eq!(decided.out.contains(&format!("(did you mean `{meant}`?)")), !meant.is_empty(), "{decided:?}");
        let strict = common::with(ada(change), json!({ "options": { "strict": true } }));
        let refused = fed(here.path(), &["decide", "--store", "s"], &strict.to_string()).with(2);
        assert!(refused.err.contains("what is sent here must be read"), "{refused:?}");
    }
    let decided = fed(here.path(), &["decide", "--store", "s"], &ada(json!({})).to_string()).with(0);
    assert!(!decided.out.contains("not read"), "{decided:?}");
}

/// "At most 20 and 1 kB, then a count."
#[test]
fn a6_the_names_are_bounded() {
    let running = serve(&[]);
    let many: serde_json::Map<String, Value> = (0..50).map(|number| (format!("m{number:02}"), json!(1))).collect();
    let told = running.told(SINGLE, &ada(json!({ "context": many, "subject": many })));
    assert!(told.starts_with("subject.m00, ") && told.ends_with("; more=80"), "{told}");
    assert_eq!(told.matches(',').count(), 19, "{told}");
    let long: serde_json::Map<String, Value> =
        (0..50).map(|number| (format!("{number:02}{}", "é".repeat(60)), json!(1))).collect();
    let told = running.told(SINGLE, &ada(json!({ "context": long })));
    assert!(told.len() < 1024 && told.is_ascii() && told.contains("; more="), "{told}");
}

/// "`--unknown-attributes drop|deny` … and a token can be strict." No request can take that back.
#[test]
fn a6_a_service_and_a_token_can_be_strict() {
    let misspelt = ada(json!({ "context": { "deliveryday": "x" } }));
    let denying = serve(&["--unknown-attributes", "deny"]);
    assert!(denying.serving.banner.contains("what the schema does not declare is refused (--unknown-attributes deny)"));
    let made = gatepost(denying.here.path(), &["token", "portal"]).with(0);
    let entry = format!("{}strict = true\n", made.err);
    let of_tokens = serve_with(&[("tokens.toml", &entry)], &["--token-file", "tokens.toml"]);
    let authorization = format!("Bearer {}", made.out.trim());
    let known = [("content-type", "application/json"), ("authorization", authorization.as_str())];
    for strict in [json!(null), json!(true), json!(false)] {
        let body = common::with(misspelt.clone(), json!({ "options": { "strict": strict } }));
        assert_eq!(denying.post(SINGLE, &body).status, 400);
        assert_eq!(of_tokens.client.send("POST", SINGLE, &known, body.to_string()).unwrap().status, 400);
    }
    assert_eq!(denying.post(SINGLE, &ada(json!({}))).text, r#"{"decision":true}"#);
    // "By the mode": the same files decide otherwise under another mode, and so have another revision.
    let dropping = serve(&[]);
    let revision =
        |running: &Running| running.post(SINGLE, &ada(json!({}))).header("gatepost-revision").unwrap().to_owned();
    assert_ne!(revision(&denying), revision(&dropping));
}

/// "A counter (labels: types of the schema only)."
#[test]
fn a6_what_is_dropped_is_counted_by_types_of_the_schema_alone() {
    let running = serve(&[]);
    let unread = json!({ "more": 1 });
    running.post(SINGLE, &ada(json!({})));
    running.post(SINGLE, &ada(unread.clone()));
    running.post(BATCH, &ada(json!({ "evaluations": [{}, { "more": 1 }, { "more": 1 }] })));
    running.post(RESOURCES, &ada(unread.clone()));
    running.post(SINGLE, &ada(common::with(unread, json!({ "subject": { "type": "Canary" } }))));
    let expected = [(r#"subject="User",resource="Doc""#, 4), (r#"subject="(unknown)",resource="(unknown)""#, 1)];
    let expected = expected.map(|(labels, count)| (labels.to_owned(), count));
    assert_eq!(running.counted("gatepost_dropped_total"), BTreeMap::from(expected));
}

// B2 and B3: what is missing and what is not known

/// "A search whose candidates fail for a missing member of the context says so"; "unknown actions and types are named, with the nearest
/// name"; "`reason_user` holds only sentences for users".
#[test]
fn b3_searches_say_what_is_missing_and_what_is_not_known() {
    let running = serve(&[]);
    let without = json!({ "context": null });
    let search = |changes: Value| common::with(ada(changes), json!({ "options": { "reasons": "user" } }));
    let missing = "required, but neither sent nor stored: `context.must`";
    for path in [SUBJECTS, RESOURCES] {
        let answer = running.post(path, &search(without.clone()));
        assert_eq!(answer.header("gatepost-missing"), Some("context.must"));
        assert_eq!(
            answer.json(),
            json!({ "results": [], "context": { "reason_developer": { "gatepost:missing": missing } } })
        );
        // The header stands there also where nobody asks for reasons.
        let answer = running.post(path, &ada(without.clone()));
        assert_eq!(
            (answer.text.as_str(), answer.header("gatepost-missing")),
            (r#"{"results":[]}"#, Some("context.must"))
        );
    }
    let answer = running.post(ACTIONS, &search(without));
    assert_eq!(answer.header("gatepost-missing"), Some("context.must"));
    let sentence = json!({ "gatepost:missing": format!("{missing} (for `view`, `write`)") });
    assert_eq!(answer.json()["context"], json!({ "reason_developer": sentence }));
    for (changes, part) in [
        (json!({ "subject": { "type": "Usr" } }), "`subject.type`; did you mean `User`?"),
        (json!({ "resource": { "type": "Dok" } }), "`resource.type`; did you mean `Doc`?"),
        (json!({ "action": { "name": "viev" } }), "`action.name`; did you mean `view`?"),
    ] {
        for path in [SINGLE, SUBJECTS, RESOURCES, ACTIONS] {
            if path == ACTIONS && changes.get("action").is_some() {
                continue;
            }
            let context = running.post(path, &search(changes.clone())).json()["context"].clone();
            let invalid = context["reason_developer"]["gatepost:invalid"].as_str().unwrap_or_default();
            assert!(invalid.ends_with(part) && context.get("reason_user").is_none(), "{path} {changes}: {context}");
        }
    }
    let denied = running.post(SINGLE, &search(json!({ "resource": { "id": "two" } }))).json();
    assert_eq!(denied["context"], json!({ "reason_user": { "no-secrets": "It is secret." } }));
}

/// What was probably meant is looked for once of each name in a body, and not without end: a small body must not cost much.
#[test]
fn b3_looking_for_the_nearest_name_is_bounded() {
    let actions: String = (0..1000)
        .map(|number| {
            format!("action performOperationNumber{number} appliesTo {{ principal: User, resource: Doc }};\n")
        })
        .collect();
    let schema = format!("{SCHEMA}{actions}");
    let running = serve_with(&[("s/schema/a.cedarschema", &schema)], &[]);
    let named = |number: usize| json!({ "action": { "name": format!("performOperationNumberX{number}") } });
    let reasons = json!({ "options": { "reasons": "user" }, "action": { "name": "performOperationNumberX" } });
    for (evaluations, hints) in [(vec![json!({}); 1000], 1000..1001), ((0..1000).map(named).collect(), 1..100)] {
        let begun = std::time::Instant::now();
        let answer = running.post(BATCH, &common::with(ada(reasons.clone()), json!({ "evaluations": evaluations })));
        assert!(
            hints.contains(&answer.text.matches("; did you mean `performOperationNumber").count()),
            "{}",
            answer.text
        );
        assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    }
}

/// B2: "an unknown id of an enumerated subject or resource: `false` / `[]` with `gatepost:invalid`".
#[test]
fn b2_an_unknown_id_of_an_enumerated_type_is_denied_and_named() {
    let running = serve(&[]);
    let named = |id: &str| json!({ "type": "Color", "id": id });
    let asked = |subject: &str, resource: &str| {
        json!({
            "subject": named(subject), "action": { "name": "paint" }, "resource": named(resource),
            "options": { "reasons": "user" },
        })
    };
    let word = "the enumerated type `Color` has no `rde`, which is";
    for (path, body, part, nothing) in [
        (SINGLE, asked("rde", "red"), "subject.id", json!({ "decision": false })),
        (SINGLE, asked("red", "rde"), "resource.id", json!({ "decision": false })),
        (RESOURCES, asked("rde", "red"), "subject.id", json!({ "results": [] })),
        (SUBJECTS, asked("red", "rde"), "resource.id", json!({ "results": [] })),
        (ACTIONS, asked("rde", "red"), "subject.id", json!({ "results": [] })),
    ] {
        let sentence = format!("{word} `{part}`; did you mean `red`?");
        let mut expected = nothing;
        expected["context"] = json!({ "reason_developer": { "gatepost:invalid": sentence } });
        let answer = running.post(path, &body);
        assert_eq!((answer.status, answer.json()), (200, expected), "{path} {body}");
    }
    // The id of what is searched is not read.
    let found = running.post(RESOURCES, &asked("red", "rde")).json();
    assert_eq!(found["results"], json!([{ "type": "Color", "id": "green" }, { "type": "Color", "id": "red" }]));
}

// B4

/// "`--public-url` with a path: the service answers under that path too."
#[test]
fn b4_the_service_answers_under_the_path_of_its_url_too() {
    let running = serve(&["--public-url", "https://pdp.example.com/auth/pdp"]);
    for (path, status) in [
        ("/healthz", 200),
        ("/auth/pdp/healthz", 200),
        ("/auth/pdp/readyz?verbose", 200),
        ("/auth/pdp/.well-known/authzen-configuration", 200),
        ("/.well-known/authzen-configuration/auth/pdp", 200),
        ("/auth/pdp", 404),
        ("/auth/pdphealthz", 404),
        ("/auth/pdp/auth/pdp/healthz", 404),
        ("/auth/PDP/healthz", 404),
    ] {
        assert_eq!(running.client.send("GET", path, &[], "").unwrap().status, status, "{path}");
    }
    let answer = running.post(&format!("/auth/pdp{SINGLE}"), &ada(json!({})));
    assert_eq!(answer.text, r#"{"decision":true}"#);
    // Counts know the endpoint, and not the path by which it was reached.
    let counted = running.counted("gatepost_requests_total");
    assert_eq!(counted.get(r#"endpoint="/access/v1/evaluation",status="200""#), Some(&1));
}

/// "Beyond that the service makes its own, and says so in a header."
#[test]
fn b4_an_id_that_does_not_come_back_says_why() {
    let running = serve(&[]);
    let longest = "x".repeat(4096);
    for (sent, why) in [
        (longest.as_str(), None),
        (&format!("{longest}x"), Some("longer than 4096 bytes")),
        ("é", Some("not visible ASCII")),
        ("7\r\nx-request-id: 8", Some("several")),
    ] {
        let head =
            format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-request-id: {sent}\r\nconnection: close\r\n\r\n");
        let answer = common::server::exchange(connect(&running), head.as_bytes());
        let header = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        assert_eq!(header("gatepost-request-id-replaced"), why, "{answer}");
        assert_eq!(header("x-request-id") == Some(sent), why.is_none(), "{answer}");
    }
}

/// "In log, spans and messages a longer one stands as its first 96 characters and its SHA-256 (or two decisions would be one)."
#[test]
fn b4_two_long_ids_are_two_in_the_log() {
    let running = serve(&["--log", "log"]);
    let ids = ["1", "2"].map(|end| "x".repeat(200) + end);
    for id in &ids {
        let headers = [("content-type", "application/json"), ("x-request-id", id.as_str())];
        let answer = running.client.send("POST", SINGLE, &headers, ada(json!({})).to_string()).unwrap();
        assert_eq!(answer.header("x-request-id"), Some(id.as_str()));
    }
    running.serving.signal("TERM");
    running.serving.end();
    let log = std::fs::read_to_string(running.here.path().join("log/0000000001.jsonl")).unwrap();
    for id in &ids {
        let digest = Sha256::digest(id).iter().fold(String::new(), |digest, byte| format!("{digest}{byte:02x}"));
        let logged = format!("\"requestId\":\"{}...sha256:{digest}\"", &id[..96]);
        assert_eq!(log.matches(&logged).count(), 1, "{logged}\n{log}");
    }
}

// B5: connections

fn connect(running: &Running) -> TcpStream {
    let stream = TcpStream::connect(running.serving.address()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads one answer, whose end its content length says: its head in lower case, and its body.
fn answer(stream: &mut TcpStream, method: &str) -> Option<(String, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.filter(|_| method != "HEAD").map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).unwrap()))
}

/// "A kept-alive connection is never closed after an *answer* without `Connection: close`", also to who sends head and body apart.
#[test]
fn b5_a_connection_goes_on_after_every_answer_or_says_that_it_ends() {
    let running = serve(&["--body-timeout", "1"]);
    let body = ada(json!({})).to_string();
    let json = "content-type: application/json\r\n";
    let head = |method: &str, path: &str, headers: &str| {
        format!("{method} {path} HTTP/1.1\r\n{headers}content-length: {}\r\n\r\n", body.len())
    };
    let host = "host: localhost\r\n";
    let chunked = |path: &str| format!("POST {path} HTTP/1.1\r\n{host}{json}transfer-encoding: chunked\r\n\r\n");
    let chunk = format!("{:x}\r\n{body}\r\n", body.len());
    let (slow, wait) = ("", Duration::from_millis(1500));
    let cases: Vec<(u16, bool, String, Vec<&str>)> = vec![
        (200, true, head("POST", SINGLE, &format!("{host}{json}")), vec![&body]),
        (200, true, chunked(SINGLE), vec![&chunk, "0\r\n", "\r\n"]),
        (404, true, head("POST", "/nothing", host), vec![&body]),
        (404, true, chunked("/nothing"), vec![&chunk, "0\r\n\r\n"]),
        (405, true, head("PUT", SINGLE, host), vec![&body[..9], &body[9..]]),
        (405, true, head("GET", SINGLE, host), vec![&body]),
        (405, true, head("POST", "/healthz", host), vec![&body]),
        (200, true, head("GET", "/healthz", host), vec![&body]),
        (400, true, head("POST", SINGLE, host), vec![&body]),
        (400, true, head("POST", SINGLE, &format!("{host}content-type: text/plain\r\n")), vec![&body]),
        (400, true, head("POST", SINGLE, json), vec![&body]),
        (400, true, head("POST", SINGLE, &format!("{host}{host}{json}")), vec![&body]),
        (421, true, head("POST", SINGLE, &format!("host: example.com\r\n{json}")), vec![&body]),
        (415, true, head("POST", SINGLE, &format!("{host}{json}content-encoding: gzip\r\n")), vec![&body]),
        (200, true, head("POST", SINGLE, &format!("{host}{json}content-encoding: identity\r\n")), vec![&body]),
        (400, false, chunked(SINGLE), vec!["no size\r\n"]),
        (404, false, chunked("/nothing"), vec!["no size\r\n"]),
        // Who waits for leave to send a body, and gets an answer instead, may send it or not.
        (404, false, head("POST", "/nothing", &format!("{host}expect: 100-continue\r\n")), vec![]),
        // What does not come in time would be taken for the next request.
        (408, false, head("POST", SINGLE, &format!("{host}{json}")), vec![&body[..9], slow]),
        (413, true, format!("POST {SINGLE} HTTP/1.1\r\n{host}{json}content-length: {}\r\n\r\n", 2 << 20), vec![]),
    ];
    for (status, goes_on, head, parts) in cases {
        let mut stream = connect(&running);
        stream.write_all(head.as_bytes()).unwrap();
        for part in parts {
            std::thread::sleep(if part == slow { wait } else { Duration::from_millis(30) });
            // Who is answered already may have been left.
            let _ = stream.write_all(part.as_bytes());
        }
        if status == 413 {
            stream.write_all(&vec![b' '; 2 << 20]).unwrap();
        }
        let (answered, text) = answer(&mut stream, &head[..4]).unwrap();
        assert!(answered.starts_with(&format!("http/1.1 {status} ")), "{head}{answered}{text}");
        assert_eq!(!answered.contains("connection: close\r\n"), goes_on, "{head}{answered}");
        let next = format!("GET /healthz HTTP/1.1\r\n{host}\r\n");
        let again = stream.write_all(next.as_bytes()).is_ok().then(|| answer(&mut stream, "GET")).flatten();
        assert_eq!(again.is_some_and(|(head, _)| head.starts_with("http/1.1 200 ")), goes_on, "{head}");
    }
}

/// "Idle connections have their own limit, apart from slow heads."
#[test]
fn b5_an_idle_connection_has_its_own_limit() {
    let running = serve(&["--header-timeout", "1", "--idle-timeout", "30"]);
    let mut stream = connect(&running);
    for _ in 0..2 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        assert!(answer(&mut stream, "GET").is_some());
        std::thread::sleep(Duration::from_millis(1500));
    }
    stream.write_all(b"GET /healthz HTTP/1.1\r\n").unwrap();
    let begun = std::time::Instant::now();
    assert!(answer(&mut stream, "GET").is_none(), "a head that does not end is no answer");
    assert!((0.8..10.0).contains(&begun.elapsed().as_secs_f64()));
}

// C10

/// "An id shared by two namespaces is `(unknown)`; action searches count only with a log; invalid batch items lose their action": right, with
/// and without a log, and as the log has it.
#[test]
fn c10_decisions_are_counted_as_the_log_has_them() {
    let file = |namespace: &str| json!({ "type": format!("{namespace}::File"), "id": "f" });
    let read = |namespace: &str| ada(json!({ "action": { "name": "read" }, "resource": file(namespace) }));
    let bodies = [
        (SINGLE, ada(json!({}))),
        (SINGLE, ada(json!({ "context": { "must": null } }))),
        (SINGLE, read("Docs")),
        (SINGLE, common::with(read("Other"), json!({ "context": { "need": true } }))),
        (SINGLE, ada(json!({ "action": { "name": "read" } }))),
        (SINGLE, ada(json!({ "action": { "name": "canary" } }))),
        (
            BATCH,
            ada(json!({ "options": { "strict": true }, "evaluations": [
            {}, { "more": 1 }, 7, { "action": { "name": "list" }, "subject": null }, { "context": { "must": 7 } },
            { "action": { "name": "read" }, "resource": file("Docs"), "more": 1 },
            { "action": { "name": "read" }, "resource": file("Other"), "context": { "need": 7 } },
            { "resource": { "type": "Doc", "id": "two" } },
        ] })),
        ),
        (ACTIONS, ada(json!({}))),
        (ACTIONS, common::with(ada(json!({})), json!({ "context": null }))),
    ];
    let asked = |settings: &[&str]| {
        let running = serve(settings);
        bodies.iter().for_each(|(path, body)| assert_eq!(running.post(path, body).status, 200, "{body}"));
        (running.counted("gatepost_decisions_total"), running)
    };
    let ((counted, running), (without, _)) = (asked(&["--log", "log"]), asked(&[]));
    assert_eq!(counted, without);
    running.serving.signal("TERM");
    running.serving.end();
    let mut logged = BTreeMap::<(String, String), u64>::new();
    for line in std::fs::read_to_string(running.here.path().join("log/0000000001.jsonl")).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["type"] == "decision" {
            let of = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            *logged.entry((of("action"), of("verdict"))).or_default() += 1;
        }
    }
    let label = |action: &str, outcome: &str| format!("action={action:?},outcome={outcome:?}");
    // What was decided stands in the log with its action; what was not, with none, or with what was sent.
    for ((action, verdict), count) in &logged {
        let action = action.strip_prefix("Action::\"").and_then(|id| id.strip_suffix('"')).unwrap_or(action);
        if !matches!(verdict.as_str(), "invalid" | "unknown") {
            assert_eq!(counted.get(&label(action, verdict)), Some(count), "{action} {verdict}: {counted:?}");
        }
    }
    let total = |outcome: &str| -> u64 {
        counted
            .iter()
            .filter(|(labels, _)| labels.contains(&format!("outcome=\"{outcome}\"")))
            .map(|(_, count)| count)
            .sum()
    };
    for verdict in ["invalid", "unknown"] {
        assert_eq!(
            total(verdict),
            logged.iter().filter(|((_, of), _)| of == verdict).map(|(_, count)| count).sum::<u64>()
        );
    }
    assert_eq!(counted.values().sum::<u64>(), logged.values().sum::<u64>());
    for (action, outcome, count) in [
        ("view", "invalid", 2),
        ("list", "invalid", 1),
        (r#"Docs::Action::"read""#, "invalid", 1),
        (r#"Other::Action::"read""#, "invalid", 1),
        (r#"Docs::Action::"read""#, "allow", 1),
        (r#"Other::Action::"read""#, "allow", 1),
        ("(unknown)", "invalid", 1),
        ("(unknown)", "unknown", 2),
    ] {
        assert_eq!(counted.get(&label(action, outcome)), Some(&count), "{action} {outcome}: {counted:?}");
    }
}
