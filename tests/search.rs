//! Searches: "results are exactly what single evaluations would allow, in a stable order", on random stores, and page by page over
//! HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[allow(unreachable_pub)]
mod random;

use std::collections::BTreeMap;

use common::server::{Answer, Server};
use common::{decide, folder, snapshot_of, with};
use gatepost::engine::{Search, Snapshot, Target};
use gatepost::http::authzen::{self, Limits};
use gatepost::request::Facts;
use gatepost::request::json::{DEEPEST, Json};
use random::Random;
use serde_json::{Value, json};

const SUBJECT: &str = "/access/v1/search/subject";
const RESOURCE: &str = "/access/v1/search/resource";
const ACTION: &str = "/access/v1/search/action";

/// What a search finds in process, with how many candidates it had to decide on.
fn searched(snapshot: &Snapshot, body: &Value, target: Option<Target>) -> Result<(Vec<String>, usize), String> {
    let text = body.to_string();
    let json = Json::parse(text.as_bytes(), DEEPEST).unwrap();
    let question = authzen::question(&json).unwrap();
    fn found(search: &impl Search) -> (Vec<String>, usize) {
        let decided: Vec<&str> = (0..search.candidates()).filter_map(|place| search.candidate(place)).collect();
        let allowed = decided.iter().filter(|candidate| search.allows(candidate));
        (allowed.map(|candidate| (*candidate).to_owned()).collect(), decided.len())
    }
    match target {
        Some(target) => snapshot.search(question, target, Facts::FromPlugins).map(|search| found(&search)),
        None => snapshot.search_actions(question, |_| true).map(|search| found(&search)),
    }
    .map_err(|error| error.to_string())
}

/// Every candidate, decided by itself.
fn brute_force(snapshot: &Snapshot, body: &Value, part: &str, ids: &[String]) -> Result<Vec<String>, String> {
    let name = if part == "action" { "name" } else { "id" };
    let mut allowed = Vec::new();
    for id in ids {
        let mut asked = with(body.clone(), json!({ part: { name: id } }));
        if part == "action" {
            // The action that is sent with an action search is ignored, with its properties.
            asked["action"].as_object_mut().unwrap().remove("properties");
        }
        match decide(snapshot, &asked) {
            Ok(decision) if decision.allowed => allowed.push(id.clone()),
            Ok(_) => {}
            Err(error) if part == "action" && error.starts_with("`context") => {}
            // What is said of the candidates and of the other entity is one entity here: such a candidate is no result.
            Err(error) if part != "action" && error.contains("contradict each other") => {}
            Err(error) => return Err(error),
        }
    }
    Ok(allowed)
}

/// "A property test compares every search with brute force on random stores"; "search ≡ brute force over at least 10,000 random
/// cases".
#[test]
fn every_search_finds_exactly_what_single_evaluations_allow() {
    let (mut cases, mut found, mut candidates, mut decided, mut errors) = (0, 0, 0, 0, 0);
    for seed in 0..135 {
        let mut random = Random::new(seed);
        let store = random.store();
        let snapshot = snapshot_of(folder(store.files.iter().map(|(path, text)| (path, text))).path());
        for _ in 0..80 {
            let body = random.question(&store);
            let (part, target) = random.pick(&[
                ("subject", Some(Target::Principal)),
                ("resource", Some(Target::Resource)),
                ("action", None),
            ]);
            let ids = match target {
                Some(_) => store.ids(body[part]["type"].as_str().unwrap()),
                None => random::ACTIONS.map(str::to_owned).to_vec(),
            };
            let expected = brute_force(&snapshot, &body, part, &ids);
            let actual = searched(&snapshot, &body, target);
            let names = actual.as_ref().map(|(names, _)| names.clone());
            match &expected {
                Ok(expected) => assert_eq!(names, Ok(expected.clone()), "seed {seed}, {part}: {body}\n{store:?}"),
                // Without a candidate, brute force has nothing to find fault with.
                Err(_) => assert!(names.is_err(), "seed {seed}, {part}: {body}"),
            }
            cases += 1;
            errors += usize::from(expected.is_err());
            if let (Ok((names, asked)), Some(_)) = (actual, target) {
                found += names.len();
                candidates += ids.len();
                decided += asked;
            }
        }
    }
    println!(
        "{cases} cases, {errors} of them errors; of {candidates} candidates {found} allowed and {decided} decided on"
    );
    assert!(cases >= 10_000);
    // The cases are worth something: many are allowed, many are not, and the filter tells most of these.
    assert!(found * 20 > candidates && found * 2 < candidates, "{found} of {candidates}");
    assert!((decided - found) * 2 < candidates - found, "{decided} of {candidates} decided on, {found} allowed");
}

/// Searches over HTTP, in pages of every small size: each result once, and the last page is the last.
#[test]
fn the_pages_of_every_search_hold_its_results() {
    for seed in 1_000..1_006 {
        let mut random = Random::new(seed);
        let store = random.store();
        let files = folder(store.files.iter().map(|(path, text)| (path, text)));
        let server = Server::start(snapshot_of(files.path()), Limits::default());
        for _ in 0..40 {
            let body = random.question(&store);
            let path = random.pick(&[SUBJECT, RESOURCE, ACTION]);
            let whole = server.post(path, body.to_string());
            if whole.status == 400 {
                continue;
            }
            let whole = results(&whole);
            for limit in [1, 2, 5] {
                let (mut found, mut page) = (Vec::new(), json!({ "limit": limit }));
                loop {
                    let answer = server.post(path, with(body.clone(), json!({ "page": page })).to_string());
                    let here = results(&answer);
                    let token = next_token(&answer);
                    assert!(here.len() == limit || token.is_empty(), "seed {seed}: {answer:?}");
                    found.extend(here);
                    if token.is_empty() {
                        break;
                    }
                    page = json!({ "token": token });
                }
                assert_eq!(found, whole, "seed {seed}, {path}: {body}");
            }
        }
    }
}

fn results(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let found = answer.json()["results"].as_array().unwrap_or_else(|| panic!("{answer:?}")).clone();
    found.iter().map(|found| found["id"].as_str().or(found["name"].as_str()).unwrap().to_owned()).collect()
}

fn next_token(answer: &Answer) -> String {
    answer.json()["page"]["next_token"].as_str().unwrap_or_else(|| panic!("no next_token: {answer:?}")).to_owned()
}

fn message(answer: &Answer) -> String {
    assert_eq!(answer.status, 400, "{answer:?}");
    answer.json().as_str().unwrap().to_owned()
}

/// A store of that many readers, every third of whom is locked out.
fn readers(count: usize) -> Snapshot {
    let entities: Vec<Value> = (0..count)
        .map(|index| json!({ "uid": { "type": "Reader", "id": format!("reader-{index:05}") }, "attrs": { "locked": index % 3 == 0 } }))
        .collect();
    let entities = Value::from(entities).to_string();
    let files = [
        (
            "schema/books.cedarschema",
            "entity Reader = { locked: Bool };\nentity Book enum [\"one\", \"two\"];\n\
             action read appliesTo { principal: Reader, resource: Book, context: { page?: Long } };",
        ),
        ("policies/books.cedar", "@id(\"read\")\npermit (principal, action, resource) unless { principal.locked };"),
        ("entities/readers.json", &entities),
    ];
    snapshot_of(folder(files).path())
}

fn who_reads(page: Value) -> Value {
    json!({
        "subject": { "type": "Reader" },
        "action": { "name": "read" },
        "resource": { "type": "Book", "id": "one" },
        "page": page,
    })
}

/// "never silently truncates: it pages"; rule 9: "a partial page has a non-empty `next_token`; the last page has `next_token: \"\"`";
/// "`limit` may be absent on the next pages".
#[test]
fn pages_follow_one_another_to_the_last_and_hold_every_result_once() {
    let server = Server::start(readers(300), Limits::default());
    let all: Vec<String> = (0..300).filter(|index| index % 3 != 0).map(|index| format!("reader-{index:05}")).collect();
    for limit in [1, 7, 50, 100, 199, 200, 201, 5_000] {
        let mut found = Vec::new();
        let mut page = json!({ "limit": limit });
        for pages in 1.. {
            let answer = server.post(SUBJECT, who_reads(page.clone()).to_string());
            let here = results(&answer);
            assert_eq!(answer.json()["page"]["count"], here.len());
            found.extend(here);
            let token = next_token(&answer);
            if token.is_empty() {
                assert_eq!(pages, 200_usize.div_ceil(limit), "{limit}");
                break;
            }
            assert_eq!(found.len(), pages * limit, "a page that is not the last is full");
            page = if pages % 2 == 0 { json!({ "token": token }) } else { json!({ "token": token, "limit": limit }) };
        }
        assert_eq!(found, all, "{limit}");
    }
    // Without a word of pages, and with all results in one, there is none.
    let mut body = who_reads(json!({}));
    assert_eq!(results(&server.post(SUBJECT, body.to_string())), all);
    body.as_object_mut().unwrap().remove("page");
    let answer = server.post(SUBJECT, body.to_string());
    assert!(answer.text.starts_with("{\"results\":[{\"type\":\"Reader\",\"id\":\"reader-00001\"}"), "{}", answer.text);
    // Nobody asked for pages, but there are too many results for one.
    let server = Server::start(readers(300), Limits { page_results: 150, ..Limits::default() });
    let answer = server.post(SUBJECT, body.to_string());
    assert_eq!((results(&answer).len(), next_token(&answer).is_empty()), (150, false));
    assert!(answer.text.starts_with("{\"page\":{\"next_token\":"), "{}", answer.text);
    // A limit of nothing is as if there were none.
    let answer = server.post(SUBJECT, who_reads(json!({ "limit": 0 })).to_string());
    assert_eq!((results(&answer).len(), next_token(&answer).is_empty()), (150, false));
    let following = server.post(SUBJECT, who_reads(json!({ "token": next_token(&answer) })).to_string());
    assert_eq!(results(&following).len(), 50, "the rest");
}

/// Rule 10: "the same request three times gives the same bytes", tokens included.
#[test]
fn equal_requests_get_equal_tokens() {
    let server = Server::start(readers(30), Limits::default());
    let body = who_reads(json!({ "limit": 3 })).to_string();
    let first = server.post(SUBJECT, &body);
    let again =
        with(serde_json::from_str(&body).unwrap(), json!({ "page": { "token": next_token(&first) } })).to_string();
    let second = server.post(SUBJECT, &again);
    for _ in 0..2 {
        assert_eq!(server.post(SUBJECT, &body).text, first.text);
        assert_eq!(server.post(SUBJECT, &again).text, second.text);
    }
}

/// Rule 9: "With a token, everything else must equal the first request, a changed one is 400".
#[test]
fn a_token_is_for_the_request_that_it_came_with() {
    let server = Server::start(readers(30), Limits::default());
    let first = with(who_reads(json!({ "limit": 3 })), json!({ "context": { "page": 1, "x": [1.5, null, "a"] } }));
    let token = next_token(&server.post(SUBJECT, first.to_string()));
    let following = with(first, json!({ "page": { "token": token } }));
    assert_eq!(results(&server.post(SUBJECT, following.to_string())).len(), 3);
    // B4: "page tokens ignore unknown members of AuthZEN's own objects".
    for unchanged in [
        json!({ "page": { "more": 1, "limit": 3 } }),
        json!({ "page": { "limit": 0 } }),
        json!({ "more": {}, "action": { "more": 1 }, "resource": { "more": [] }, "subject": { "more": null } }),
        json!({ "options": { "more": 1, "strict": null } }),
        json!({ "subject": { "properties": null } }),
    ] {
        let answer = server.post(SUBJECT, with(following.clone(), unchanged).to_string());
        assert_eq!(results(&answer).len(), 3);
    }
    let mut reordered: Vec<(String, Value)> = following.as_object().unwrap().clone().into_iter().collect();
    reordered.reverse();
    let text: Vec<String> = reordered.iter().map(|(name, value)| format!("{name:?}: {value}")).collect();
    assert_eq!(results(&server.post(SUBJECT, format!("{{ {} }}", text.join(", ")))).len(), 3);
    for change in [
        json!({ "page": { "limit": 4 } }),
        json!({ "context": { "page": 2 } }),
        json!({ "context": { "x": [1.25, null, "a"] } }),
        json!({ "context": { "x": [1.5, "a", null] } }),
        json!({ "context": { "y": 1 } }),
        json!({ "resource": { "id": "two" } }),
        json!({ "action": { "name": "write" } }),
        json!({ "subject": { "properties": { "locked": false } } }),
        json!({ "subject": { "tags": { "t": "u" } } }),
        json!({ "subject": { "parents": [] } }),
        json!({ "action": { "properties": { "p": 1 } } }),
        json!({ "options": { "strict": false } }),
        json!({ "options": { "reasons": "user" } }),
    ] {
        let answer = server.post(SUBJECT, with(following.clone(), change.clone()).to_string());
        assert!(message(&answer).contains("differs"), "{change}: {answer:?}");
    }
    // Nor is it one for another search.
    let elsewhere = with(following, json!({ "subject": { "id": "reader-00001" } }));
    let answer = server.post(RESOURCE, elsewhere.to_string());
    assert!(message(&answer).contains("differs"), "{answer:?}");
}

/// "page tokens opaque and tamper-proof (keyed)".
#[test]
fn a_token_that_was_altered_or_made_up_is_refused() {
    let server = Server::start(readers(30), Limits::default());
    let first = who_reads(json!({ "limit": 3 }));
    let token = next_token(&server.post(SUBJECT, first.to_string()));
    let ask =
        |token: &str| server.post(SUBJECT, with(first.clone(), json!({ "page": { "token": token } })).to_string());
    assert_eq!(results(&ask(&token)).len(), 3);
    for place in 0..token.len() {
        let mut altered = token.clone().into_bytes();
        altered[place] = if altered[place] == b'A' { b'B' } else { b'A' };
        let answer = ask(std::str::from_utf8(&altered).unwrap());
        assert!(message(&answer).contains("not a token of this service"), "{place}: {answer:?}");
    }
    for made_up in
        ["x", "0", "AAAA", &token[1..], &token[..token.len() - 1], &format!("{token}A"), &"A".repeat(10_000), "é\0"]
    {
        assert!(message(&ask(made_up)).contains("not a token of this service"), "{made_up:?}");
    }
    // It tells nothing to who reads it: not the place, nor an id.
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, &token).unwrap();
    assert!(!bytes.windows(8).any(|window| window == 4_u64.to_le_bytes()), "{bytes:?}");
    // Another process has another key.
    let other = Server::start(readers(30), Limits::default());
    let answer = other.post(SUBJECT, with(first, json!({ "page": { "token": token } })).to_string());
    assert!(message(&answer).contains("not a token of this service"));
}

/// Rule 7, and what the table of the rules calls a 400 or a `false`.
#[test]
fn rule_7_what_a_search_takes_and_what_it_finds_nothing_for() {
    let server = Server::start(common::store("authzen"), Limits::default());
    let base = json!({
        "subject": { "type": "user" }, "action": { "name": "read" }, "resource": { "type": "record", "id": "record-1" },
    });
    let ask = |changes: Value| server.post(SUBJECT, with(base.clone(), changes).to_string());
    assert_eq!(results(&ask(json!({}))), ["alice", "bob"]);
    assert_eq!(ask(json!({})).text, r#"{"results":[{"type":"user","id":"alice"},{"type":"user","id":"bob"}]}"#);
    assert_eq!(results(&ask(json!({ "subject": { "id": "carol" } }))), ["alice", "bob"], "the target's id is ignored");
    for nothing in [
        json!({ "subject": { "type": "spaceship" } }),
        json!({ "subject": { "type": "not a name!" } }),
        json!({ "subject": { "type": "" } }),
        json!({ "subject": { "type": "record" } }),
        json!({ "resource": { "type": "spaceship" } }),
        json!({ "action": { "name": "fly" } }),
    ] {
        assert_eq!(ask(nothing.clone()).text, r#"{"results":[]}"#, "{nothing}");
    }
    // What is said of the target is said of every candidate, and what is said of the other one too.
    assert_eq!(results(&ask(json!({ "action": { "name": "write" } }))), ["alice"]);
    let archived = json!({ "action": { "name": "write" }, "resource": { "properties": { "status": "archived" } } });
    assert_eq!(results(&ask(archived.clone())), ["bob"]);
    let admins = with(archived, json!({ "subject": { "properties": { "role": "admin" } } }));
    assert_eq!(results(&ask(admins)), ["alice", "bob"]);
    for (wrong, expected) in [
        (
            json!({ "subject": { "properties": { "role": 7 } } }),
            "`subject.properties.role` must be a string, but is a number",
        ),
        (json!({ "resource": { "properties": { "status": 7 } } }), "`resource.properties.status` must be a string"),
        (json!({ "action": "read" }), "`action` must be an object, but is a string"),
        (json!({ "page": [] }), "`page` must be an object, but is an array"),
        (json!({ "page": { "limit": "1" } }), "`page.limit` must be a whole number"),
    ] {
        let said = message(&ask(wrong));
        assert!(said.starts_with(expected), "{said}");
    }
    // An id that is not stored is decided as in an evaluation.
    assert_eq!(results(&ask(json!({ "resource": { "id": "record-9" } }))), ["alice", "bob"]);
}

/// The README's search is answered as the README says.
#[test]
fn the_readme_shows_what_the_service_answers() {
    let server = Server::start(common::built_in(), Limits::default());
    let answer = server.post(ACTION, common::enter().to_string());
    let shown = format!(
        "{ACTION} -H 'Content-Type: application/json' --data-binary @requests/enter-support-contact.json\n{}\n",
        answer.text
    );
    assert!(include_str!("../README.md").contains(&shown), "{shown}");
}

#[test]
fn rule_7_the_actions_that_a_subject_may_do() {
    let server = Server::start(common::store("authzen"), Limits::default());
    let base =
        json!({ "subject": { "type": "user", "id": "alice" }, "resource": { "type": "record", "id": "record-1" } });
    let ask = |changes: Value| server.post(ACTION, with(base.clone(), changes).to_string());
    assert_eq!(ask(json!({})).text, r#"{"results":[{"name":"read"},{"name":"write"}]}"#);
    assert_eq!(
        results(&ask(json!({ "action": { "name": "read", "properties": { "soft": true } } }))),
        ["read", "write"]
    );
    assert_eq!(results(&ask(json!({ "action": 7 }))), ["read", "write"]);
    let first = ask(json!({ "page": { "limit": 1 } }));
    assert_eq!(results(&first), ["read"]);
    let second = ask(json!({ "page": { "limit": 1, "token": next_token(&first) } }));
    assert_eq!((results(&second), next_token(&second)), (vec!["write".to_owned()], String::new()));
    assert_eq!(ask(json!({ "subject": { "type": "spaceship" } })).text, r#"{"results":[]}"#);
    assert!(
        message(&ask(json!({ "subject": { "properties": { "role": 7 } } }))).starts_with("`subject.properties.role`")
    );
}

/// A value of the wrong type in the context is a mistake of the actions that take it, and of no other.
#[test]
fn an_action_whose_context_is_wrong_is_not_allowed_and_the_others_are_found() {
    let server = Server::start(common::built_in(), Limits::default());
    let mut body = common::enter();
    body["context"]["phone"] = json!(7);
    let found = results(&server.post(ACTION, body.to_string()));
    assert!(!found.is_empty() && !found.contains(&"enterSupportContact".to_owned()), "{found:?}");
    let whole = results(&server.post(ACTION, common::enter().to_string()));
    assert!(whole.contains(&"enterSupportContact".to_owned()), "{whole:?}");
}

/// "Identifiers with quotes, `::`, slashes, NUL, right-to-left marks, 10 kB, emoji: never an error page, never another entity's
/// decision."
#[test]
fn identifiers_of_every_kind_are_themselves_and_no_others() {
    let long = "x".repeat(10_000);
    let longer = format!("{long}y");
    let ids = [
        "",
        " ",
        "a",
        "A",
        "a ",
        "\"",
        "\\",
        "\\\"",
        "User::\"a\"",
        "a\" || true //",
        "::",
        "a::b",
        "../../etc/passwd",
        "a/b",
        "a%2Fb",
        "\0",
        "a\0",
        "\u{202e}a",
        "a\u{200f}",
        "\u{feff}a",
        "👩‍👩‍👧",
        "👩👩👧",
        "é",
        "e\u{301}",
        "null",
        "[object Object]",
        "${a}",
        "'; --",
        "\n",
        "\r\n",
        "{\"__entity\":{}}",
        "true",
        &long,
        &longer,
    ];
    let uid = |kind: &str, id: &str| json!({ "type": kind, "id": id });
    let entities: Vec<Value> = ids
        .iter()
        .flat_map(|id| {
            [json!({ "uid": uid("User", id), "attrs": {} }), json!({ "uid": uid("Doc", id), "attrs": { "owner": id } })]
        })
        .collect();
    let entities = Value::from(entities).to_string();
    let files = [
        (
            "schema/docs.cedarschema",
            "entity User;\nentity Doc = { owner: User };\naction read appliesTo { principal: User, resource: Doc };",
        ),
        (
            "policies/docs.cedar",
            "@id(\"own\")\npermit (principal, action, resource) when { resource.owner == principal };",
        ),
        ("entities/all.json", &entities),
    ];
    let server = Server::start(snapshot_of(folder(files).path()), Limits::default());
    let read = json!({ "name": "read" });
    for one in ids {
        let of = |subject: &str, resource: &str| json!({ "subject": uid("User", subject), "action": read, "resource": uid("Doc", resource) });
        let batch = json!({ "evaluations": ids.map(|other| of(one, other)).to_vec() });
        let answer = server.evaluations(&batch);
        let allowed: Vec<bool> =
            answer.json()["evaluations"].as_array().unwrap().iter().map(|item| item["decision"] == true).collect();
        assert_eq!(allowed, ids.map(|other| other == one), "{one:?}");
        assert_eq!(server.evaluation(&of(one, one)).text, "{\"decision\":true}");
        let body = json!({ "subject": uid("User", one), "action": read, "resource": { "type": "Doc" } });
        assert_eq!(results(&server.post(RESOURCE, body.to_string())), [one]);
        let body = json!({ "subject": { "type": "User" }, "action": read, "resource": uid("Doc", one) });
        assert_eq!(results(&server.post(SUBJECT, body.to_string())), [one]);
        let body = json!({ "subject": uid("User", one), "resource": uid("Doc", one) });
        assert_eq!(results(&server.post(ACTION, body.to_string())), ["read"]);
        // As a type, an action, or what a plugin or an enumerated type would read, it is nothing that is known.
        for odd in [
            json!({ "subject": { "type": one, "id": "a" }, "action": read, "resource": uid("Doc", "a") }),
            json!({ "subject": uid("User", "a"), "action": { "name": one }, "resource": uid("Doc", "a") }),
        ] {
            assert_eq!(server.evaluation(&odd).text, "{\"decision\":false}", "{odd}");
        }
    }
    // In pages too, each once.
    let (mut found, mut page) = (Vec::new(), json!({ "limit": 1 }));
    let who = with(
        json!({ "subject": { "type": "User" }, "action": read }),
        json!({ "resource": { "type": "Doc", "id": "a" } }),
    );
    loop {
        let answer = server.post(SUBJECT, with(who.clone(), json!({ "page": page })).to_string());
        found.extend(results(&answer));
        match next_token(&answer) {
            token if token.is_empty() => break,
            token => page = json!({ "token": token }),
        }
    }
    assert_eq!(found, ["a"]);
}

/// "a search works in slices that never block other requests": of a thousand candidates that all must be decided on, a page takes
/// its time, and evaluations do not wait for it.
#[test]
fn while_searches_run_evaluations_are_answered() {
    let server = Server::start(readers(30_000), Limits::default());
    // What is said of the candidates keeps the filter from telling any of them.
    let all =
        with(who_reads(json!({ "limit": 1 })), json!({ "subject": { "properties": { "locked": true } } })).to_string();
    let one = with(who_reads(json!({})), json!({ "subject": { "id": "reader-00001" } }));
    std::thread::scope(|scope| {
        let searches: Vec<_> = (0..4).map(|_| scope.spawn(|| server.post(SUBJECT, &all))).collect();
        let mut during = 0;
        while !searches.iter().all(|search| search.is_finished()) {
            assert_eq!(server.evaluation(&one).text, "{\"decision\":true}");
            during += 1;
        }
        for search in searches {
            let answer = search.join().unwrap();
            // Nothing is found among the first ten thousand, and that is no reason to say that there is nothing.
            assert_eq!((results(&answer).len(), next_token(&answer).is_empty()), (0, false));
        }
        println!("{during} evaluations while four searches ran");
        assert!(during > 20, "{during}");
    });
}

/// An enumerated type needs no storing: its ids are candidates.
#[test]
fn the_ids_of_an_enumerated_type_are_candidates() {
    let server = Server::start(readers(2), Limits::default());
    let body = json!({ "subject": { "type": "Reader", "id": "reader-00001" }, "action": { "name": "read" }, "resource": { "type": "Book" } });
    assert_eq!(results(&server.post(RESOURCE, body.to_string())), ["one", "two"]);
    let locked = with(body, json!({ "subject": { "id": "reader-00000" } }));
    assert_eq!(results(&server.post(RESOURCE, locked.to_string())), [""; 0]);
}

/// The stored entities of a random store, by type: what brute force goes through.
impl random::RandomStore {
    fn ids(&self, type_name: &str) -> Vec<String> {
        let empty = BTreeMap::new();
        self.entities.get(type_name).unwrap_or(&empty).keys().cloned().collect()
    }
}
