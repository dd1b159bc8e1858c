//! The OpenID conformance suite for AuthZEN 1.0 against the real binary: every case that is not superseded, and the report
//! by level that stands in the README.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fmt::Write as _;
use std::path::Path;

use common::binary::{PATIENCE, Serving, command};
use common::server::Answer;
use common::{decide, folder, store};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// What is sent, and what must come back: one entry of `tests/data/authzen_conformance.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    case: String,
    /// `core`, or `properties` where the decision depends on properties.
    level: String,
    path: String,
    #[serde(default = "post")]
    method: String,
    #[serde(default = "json_type")]
    content_type: String,
    /// How the caller fails to say who it is: `omit` or `invalid`. Such a case is for a service that wants to know.
    credentials: Option<String>,
    body: Option<Value>,
    /// In place of a body that is JSON of the right shape.
    raw_body: Option<String>,
    status: u16,
    /// The whole answer; of a search, with the results of all pages. Without one, the answer is an error's message.
    answer: Option<Value>,
}

fn post() -> String {
    "POST".to_owned()
}

fn json_type() -> String {
    "application/json".to_owned()
}

/// The endpoints, as the suite's plans order them.
const ENDPOINTS: [(&str, &str); 5] = [
    ("/access/v1/evaluation", "Evaluation (basic)"),
    ("/access/v1/evaluations", "Evaluations (batch)"),
    ("/access/v1/search/subject", "Subject search"),
    ("/access/v1/search/resource", "Resource search"),
    ("/access/v1/search/action", "Action search"),
];
const LEVELS: [&str; 2] = ["core", "properties"];
/// The token of the service that wants one.
const TOKEN: &str = "gp_conformance";

// "All 127 cases (superseded ones aside), against two real listening services, 100 % of them; a report by level goes to
// the README."
#[test]
fn every_case_of_the_conformance_suite_holds() {
    let cases = cases();
    assert_eq!(cases.len(), 127);
    let open = serving(&[]);
    let (closed, _callers) = closed();
    let outcomes: Vec<Result<(), String>> =
        cases.iter().map(|case| check(if case.credentials.is_some() { &closed } else { &open }, case)).collect();
    let report = report(&cases, &outcomes);
    println!("{report}");
    let failed: Vec<_> = cases
        .iter()
        .zip(&outcomes)
        .filter_map(|(case, outcome)| Some(format!("{}: {}", case.case, outcome.as_ref().err()?)))
        .collect();
    assert!(failed.is_empty(), "{} of {} cases failed\n{}", failed.len(), cases.len(), failed.join("\n"));
    assert_eq!(shown_in_readme(), report, "the table in the README is another one");
}

// The two refusals mean something only where the same request with the right token is decided.
#[test]
fn the_service_that_wants_a_token_takes_the_right_one() {
    let (closed, _callers) = closed();
    for case in cases().iter().filter(|case| case.credentials.is_some()) {
        let body = case.body.as_ref().unwrap().to_string();
        let answer = send(&closed, case, &[("authorization", &format!("Bearer {TOKEN}"))], &body);
        assert_eq!((answer.status, answer.json()), (200, json!({ "decision": true })), "{}", case.case);
    }
}

// "read: any known user. write: alice on a record that is not archived, or an admin on one that is archived. delete:
// alice, when the action's property `soft` is true."
#[test]
fn the_store_of_the_fixture_allows_exactly_what_its_policy_says() {
    let snapshot = store("authzen");
    let mut allowed = 0;
    for (user, stored_role) in [("alice", None), ("bob", Some("admin")), ("carol", None)] {
        for (record, stored_status) in
            [("record-1", Some("active")), ("record-2", Some("archived")), ("record-3", None)]
        {
            for role in [None, Some("admin"), Some("manager")] {
                for status in [None, Some("active"), Some("archived")] {
                    for soft in [None, Some(false), Some(true)] {
                        for action in ["read", "write", "delete"] {
                            let admin = role.or(stored_role) == Some("admin");
                            let archived = status.or(stored_status) == Some("archived");
                            let expected = match action {
                                "read" => user != "carol",
                                "write" => (user == "alice" && !archived) || (admin && archived),
                                _ => user == "alice" && soft == Some(true),
                            };
                            // What is not sent is null here, which is as if it were not there.
                            let request = json!({
                                "subject": { "type": "user", "id": user, "properties": { "role": role } },
                                "action": { "name": action, "properties": { "soft": soft } },
                                "resource": { "type": "record", "id": record, "properties": { "status": status } },
                                // It says nothing of the action.
                                "context": { "soft": true },
                            });
                            assert_eq!(decide(&snapshot, &request).unwrap().allowed, expected, "{request}");
                            allowed += usize::from(expected);
                        }
                    }
                }
            }
        }
    }
    assert!(allowed > 0);
}

fn cases() -> Vec<Case> {
    let mut data: Value = serde_json::from_str(include_str!("data/authzen_conformance.json")).unwrap();
    serde_json::from_value(data["cases"].take()).unwrap()
}

/// The binary on the fixture's store, on a free port.
fn serving(more: &[&str]) -> Serving {
    let store = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores/authzen");
    let arguments = [&["serve", "--listen", "127.0.0.1:0", "--store", store.to_str().unwrap()], more].concat();
    Serving::start(&mut command(&std::env::temp_dir(), &arguments))
}

/// One that wants to know who asks, with the folder of the callers that it knows.
fn closed() -> (Serving, TempDir) {
    let hash = Sha256::digest(TOKEN).iter().fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"));
    let callers = folder([("callers.toml", format!("[[token]]\nname = \"suite\"\nsha256 = \"{hash}\"\n"))]);
    let serving = serving(&["--token-file", callers.path().join("callers.toml").to_str().unwrap()]);
    (serving, callers)
}

/// Sends a case three times; `Err` says what is wrong with what came back.
fn check(service: &Serving, case: &Case) -> Result<(), String> {
    let wrong = |what: &str, answer: &Answer| Err(format!("{what}: {} {}", answer.status, answer.text));
    let credentials: &[_] = if case.credentials.as_deref() == Some("invalid") {
        &[("authorization", "Bearer gp_somebody-elses")]
    } else {
        &[]
    };
    let body = case.raw_body.clone().unwrap_or_else(|| case.body.as_ref().unwrap().to_string());
    let answers = [(); 3].map(|()| send(service, case, credentials, &body));
    for answer in &answers {
        if answer.status != case.status {
            return wrong(&format!("not {}", case.status), answer);
        }
        if answer.header("x-request-id") != Some(&case.case) {
            return wrong("it lost the id of the request", answer);
        }
        if answer.text != answers[0].text {
            return wrong("the same request gave other bytes", answer);
        }
    }
    let [answer, ..] = answers;
    let Some(expected) = &case.answer else {
        return if answer.json().as_str().is_none_or(str::is_empty) {
            wrong("no message", &answer)
        } else if case.status == 401
            && answer.header("www-authenticate").is_none_or(|value| !value.starts_with("Bearer"))
        {
            wrong("it does not say how to authenticate", &answer)
        } else {
            Ok(())
        };
    };
    let whole = if expected.get("results").is_some() { all_pages(service, case, answer)? } else { answer.json() };
    let whole = without_errors(whole);
    if whole == *expected { Ok(()) } else { Err(format!("not {expected}: {whole}")) }
}

/// An answer without what a batch says of items that are no requests: the suite asks only for their decisions.
fn without_errors(mut answer: Value) -> Value {
    let items = answer.get_mut("evaluations").and_then(Value::as_array_mut);
    for item in items.into_iter().flatten().filter_map(Value::as_object_mut) {
        if item["decision"] == json!(false) && item.get("context").is_some_and(|context| context.get("error").is_some())
        {
            item.remove("context");
        }
    }
    answer
}

/// Sends the request of a case with these headers and this body. Its name is the id of the request.
fn send(service: &Serving, case: &Case, headers: &[(&str, &str)], body: &str) -> Answer {
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
    let uri = format!("http://{}{}", service.address(), case.path);
    let mut request = ureq::http::Request::builder().method(case.method.as_str()).uri(uri);
    let own = [("content-type", case.content_type.as_str()), ("x-request-id", case.case.as_str())];
    for (name, value) in own.iter().chain(headers) {
        request = request.header(*name, *value);
    }
    let agent = config.build().new_agent();
    let request =
        agent.configure_request(request.body(body.to_owned()).unwrap()).allow_non_standard_methods(true).build();
    let mut response = agent.run(request).unwrap();
    let text = response.body_mut().read_to_string().unwrap();
    Answer { status: response.status().as_u16(), headers: response.headers().clone(), text }
}

/// The answer to a search with the results of all of its pages, each of which is as large as was asked for, at most.
fn all_pages(service: &Serving, case: &Case, first: Answer) -> Result<Value, String> {
    let mut body = case.body.clone().unwrap();
    let limit = body["page"]["limit"].as_u64();
    let mut results = Vec::new();
    let mut answer = first;
    // Far more pages than there is to find: a service must come to an end.
    for _ in 0..10 {
        let mut page = answer.json();
        let found = page["results"].as_array_mut().map(std::mem::take).ok_or(format!("no results: {answer:?}"))?;
        if limit.is_some_and(|limit| found.len() as u64 > limit) {
            return Err(format!("more than {limit:?} results in a page: {answer:?}"));
        }
        results.extend(found);
        let next = match page.as_object_mut().unwrap().remove("page") {
            Some(page) => page["next_token"].as_str().ok_or(format!("no next token: {answer:?}"))?.to_owned(),
            None => String::new(),
        };
        if next.is_empty() {
            page["results"] = Value::Array(results);
            return Ok(page);
        }
        // The token keeps the limit.
        body["page"] = json!({ "token": next });
        answer = send(service, case, &[], &body.to_string());
        if answer.status != 200 {
            return Err(format!("the next page: {answer:?}"));
        }
    }
    Err(format!("it never comes to an end: {answer:?}"))
}

/// How many cases passed, by endpoint and level, as a Markdown table.
fn report(cases: &[Case], outcomes: &[Result<(), String>]) -> String {
    let counted = |path: Option<&str>, level: Option<&str>| {
        let of = cases.iter().zip(outcomes).filter(|(case, _)| {
            path.is_none_or(|path| case.path == path) && level.is_none_or(|level| case.level == level)
        });
        let (passed, total) =
            of.fold((0, 0), |(passed, total), (_, outcome)| (passed + u32::from(outcome.is_ok()), total + 1));
        format!("{passed} of {total}")
    };
    let mut table = format!("| | {} | together |\n|---|---|---|---|\n", LEVELS.join(" | "));
    let rows = ENDPOINTS.iter().map(|(path, name)| (Some(*path), *name)).chain([(None, "**All**")]);
    for (path, name) in rows {
        let [core, properties] = LEVELS.map(|level| counted(path, Some(level)));
        writeln!(table, "| {name} | {core} | {properties} | {} |", counted(path, None)).unwrap();
    }
    table
}

/// What stands in the README between the two marks.
fn shown_in_readme() -> &'static str {
    let (_, after) = include_str!("../README.md").split_once("<!-- conformance -->\n").unwrap();
    after.split_once("<!-- end of conformance -->").unwrap().0
}
