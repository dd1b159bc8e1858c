//! Edges at which something that a request says was lost, a search was no decision, or a message named the wrong thing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::binary::{Serving, command, gatepost};
use common::server::{Answer, Client, Server};
use common::{folder, open_limits, snapshot_of, with};
use gatepost::http::authzen::{Limits, UnknownAttributes};
use serde_json::{Value, json};
use ureq::tls::TlsConfig;

const SINGLE: &str = "/access/v1/evaluation";
const BATCH: &str = "/access/v1/evaluations";
const SUBJECTS: &str = "/access/v1/search/subject";
const ACTIONS: &str = "/access/v1/search/action";

/// A service with that store, and these limits.
fn serve_limited(schema: &str, policies: &str, entities: &Value, limits: Limits) -> Server {
    let store = folder([
        ("schema/a.cedarschema", schema.to_owned()),
        ("policies/a.cedar", policies.to_owned()),
        ("entities/a.json", entities.to_string()),
    ]);
    Server::start(snapshot_of(store.path()), limits)
}

fn serve(schema: &str, policies: &str, entities: &Value) -> Server {
    serve_limited(schema, policies, entities, open_limits())
}

fn post(server: &Server, path: &str, body: &Value) -> Answer {
    server.post(path, body.to_string())
}

fn dropped(answer: &Answer) -> &str {
    answer.header("gatepost-dropped").unwrap_or_default()
}

/// What developers are told under a key.
fn told(server: &Server, path: &str, body: &Value, key: &str) -> String {
    let answer = post(server, path, &with(body.clone(), json!({ "options": { "reasons": "user" } })));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["context"]["reason_developer"][key].as_str().unwrap_or_default().to_owned()
}

/// What a refused request is told.
fn refused(server: &Server, path: &str, body: &Value) -> String {
    let answer = post(server, path, body);
    assert_eq!(answer.status, 400, "{answer:?}");
    answer.json().as_str().unwrap().to_owned()
}

fn asked(subject: Value, action: &str, resource: Value) -> Value {
    json!({ "subject": subject, "action": { "name": action }, "resource": resource })
}

fn entity(name: &str, id: &str) -> Value {
    json!({ "type": name, "id": id })
}

fn stored(name: &str, id: &str, attrs: Value) -> Value {
    json!({ "uid": { "type": name, "id": id }, "attrs": attrs })
}

// C9 and C10: actions by their names

const NAMES: &str = r#"
    namespace N {
      entity U; entity D;
      action read, "N::Action::\"read\"", "M::Action::\"read\"", "sole" appliesTo { principal: U, resource: D };
    }
    namespace M { entity U; entity D; action read appliesTo { principal: U, resource: D }; }
"#;
const ALL: &str = r#"@id("all") permit (principal, action, resource);"#;

/// Rule 7: "the results are exactly the candidates for which a single evaluation with the same input says `true`", also where the id of an
/// action looks like the whole name of another.
#[test]
fn rule_7_each_action_that_is_found_is_decided_by_its_name() {
    let server = serve(NAMES, ALL, &json!([]));
    let ask = |action: &str| asked(entity("N::U", "u"), action, entity("N::D", "d"));
    let found = post(&server, ACTIONS, &ask("")).json();
    let names: Vec<&str> =
        found["results"].as_array().unwrap().iter().map(|found| found["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [r#"N::Action::"M::Action::\"read\"""#, r#"N::Action::"N::Action::\"read\"""#, r#"N::Action::"read""#, "sole"]
    );
    for name in names.into_iter().chain(["read"]) {
        assert_eq!(post(&server, SINGLE, &ask(name)).json()["decision"], true, "{name}");
    }
    // A whole name is that action and no other: `M::Action::"read"` is not for these types, whatever another has as its id.
    assert_eq!(post(&server, SINGLE, &ask(r#"M::Action::"read""#)).json()["decision"], false);
}

/// The same of a caller whose token names the action by its id, and the log and the metrics have one name for it.
#[test]
fn c10_the_log_and_the_metrics_name_an_action_alike() {
    let here = folder([("s/schema/a.cedarschema", NAMES), ("s/policies/a.cedar", ALL)]);
    let made = gatepost(here.path(), &["token", "portal"]).with(0);
    common::write(here.path(), "tokens.toml", format!("{}metrics = true\nactions = [\"read\"]\n", made.err).as_bytes());
    let settings = ["serve", "--listen", "127.0.0.1:0", "--store", "s", "--log", "log", "--token-file", "tokens.toml"];
    let serving = Serving::start(&mut command(here.path(), &settings));
    let client = Client::new(&format!("http://{}", serving.address()), TlsConfig::default());
    let authorization = format!("Bearer {}", made.out.trim());
    let headers = [("content-type", "application/json"), ("authorization", authorization.as_str())];
    let post = |path: &str, body: &Value| client.send("POST", path, &headers, body.to_string()).unwrap().json();
    let ask = |action: &str, resource: &str| asked(entity("N::U", "u"), action, entity(resource, "d"));
    assert_eq!(post(ACTIONS, &ask("", "N::D"))["results"], json!([{ "name": r#"N::Action::"read""# }]));
    assert_eq!(post(SINGLE, &ask("read", "N::D"))["decision"], true);
    // Of types to which it does not apply, by its whole name; by an id that is that of two, by none. A batch item that is no request.
    assert_eq!(post(SINGLE, &ask(r#"N::Action::"read""#, "M::D"))["decision"], false);
    assert_eq!(post(SINGLE, &ask("read", "M::D"))["decision"], false);
    let item = json!({ "evaluations": [{ "context": 7 }, { "action": { "name": "sole" } }] });
    post(BATCH, &with(ask("read", "N::D"), item.clone()));
    post(BATCH, &with(ask(r#"N::Action::"read""#, "N::D"), item));
    let page = client.send("GET", "/metrics", &headers, "").unwrap().text;
    serving.signal("TERM");
    serving.end();
    let counted = |action: &str, outcome: &str| {
        let sample = format!("gatepost_decisions_total{{action={action:?},outcome={outcome:?}}} ");
        let count = page.lines().find_map(|line| line.strip_prefix(&sample)?.parse::<usize>().ok());
        count.unwrap_or_else(|| panic!("{sample}: {page}"))
    };
    let log = std::fs::read_to_string(here.path().join("log/0000000001.jsonl")).unwrap();
    let records: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (logged, label, verdict, count) in [
        (json!(r#"N::Action::"read""#), r#"N::Action::"read""#, "allow", 2),
        (json!(r#"N::Action::"read""#), r#"N::Action::"read""#, "unknown", 1),
        (json!("read"), "(unknown)", "unknown", 1),
        (json!(r#"N::Action::"read""#), r#"N::Action::"read""#, "invalid", 1),
        (Value::Null, "(unknown)", "invalid", 1),
        (json!(r#"N::Action::"sole""#), "sole", "notAllowed", 2),
    ] {
        let is = |record: &&Value| record["action"] == logged && record["verdict"] == verdict;
        assert_eq!(records.iter().filter(is).count(), count, "{logged} {verdict}: {log}");
        assert_eq!(counted(label, verdict), count, "{label} {verdict}");
    }
}

// A6: what is said and not read

const DOCS: &str = r#"
    entity Box;
    entity User in Box = { seen?: datetime } tags { t?: datetime, nick?: String };
    entity Doc = { price?: decimal, level?: Long, until?: datetime, lasts?: duration };
    action read appliesTo { principal: User, resource: Doc, context: { action?: { dangerous?: Bool }, note?: String } };
"#;
const DANGEROUS: &str = r#"
    @id("all") permit (principal, action, resource);
    @id("dangerous") forbid (principal, action, resource)
      when { context has action && context.action has dangerous && context.action.dangerous };
"#;

fn read() -> Value {
    asked(entity("User", "u"), "read", entity("Doc", "d"))
}

fn denying() -> Limits {
    Limits { unknown_attributes: UnknownAttributes::Deny, ..open_limits() }
}

/// "Nothing that a request says goes lost without a word": an action search reads no properties of an action. Rule 7: what else of it is
/// sent is ignored.
#[test]
fn rule_7_the_properties_of_an_action_are_named_where_actions_are_searched() {
    let (dropping, denying) =
        (serve(DOCS, DANGEROUS, &json!([])), serve_limited(DOCS, DANGEROUS, &json!([]), denying()));
    for (action, name) in [
        (json!({ "name": "read" }), ""),
        (json!({ "name": 7 }), ""),
        (json!(null), ""),
        (json!({ "name": "read", "properties": null }), ""),
        (json!({ "name": "read", "properties": {} }), ""),
        (json!({ "name": "read", "properties": { "dangerous": null } }), ""),
        (json!({ "name": "read", "properties": { "dangerous": true } }), "action.properties.dangerous"),
        (json!({ "properties": { "dangerous": true, "z": 1 } }), "action.properties.dangerous, action.properties.z"),
        (json!({ "name": "read", "propertys": {} }), "action.propertys"),
        (json!({ "properties": 7 }), "action.properties"),
        (json!("read"), "action"),
    ] {
        let body = with(read(), json!({ "action": action }));
        let answer = post(&dropping, ACTIONS, &body);
        assert_eq!((answer.json()["results"].clone(), dropped(&answer)), (json!([{ "name": "read" }]), name), "{body}");
        let all = if name.is_empty() { json!([{ "name": "read" }]) } else { json!([]) };
        let strict = with(body.clone(), json!({ "options": { "strict": true } }));
        for answer in [post(&dropping, ACTIONS, &strict), post(&denying, ACTIONS, &body)] {
            assert_eq!((answer.status, answer.json()["results"].clone(), dropped(&answer)), (200, all.clone(), name));
        }
    }
    let body = with(read(), json!({ "action": { "propertys": {} } }));
    let sentence = "sent, but not read: `action.propertys` (did you mean `properties`?)";
    assert_eq!(told(&dropping, ACTIONS, &body, "gatepost:dropped"), sentence);
    // What the context says of the action is read, as in a decision.
    let body = with(read(), json!({ "context": { "action": { "dangerous": true } } }));
    assert_eq!(post(&dropping, ACTIONS, &body).text, r#"{"results":[]}"#);
    // The id of what is searched says nothing of any candidate.
    let body = with(read(), json!({ "subject": { "id": "u" } }));
    assert_eq!(dropped(&post(&dropping, SUBJECTS, &body)), "");
}

/// "`options.strict: true` per request", which an item of a batch is too.
#[test]
fn a6_an_item_of_a_batch_has_options_of_its_own() {
    let server = serve(DOCS, DANGEROUS, &json!([]));
    let misspelt = json!({ "nte": 1 });
    let items = json!([
        { "context": misspelt },
        { "context": misspelt, "options": { "strict": true } },
        { "options": { "strict": true } },
        { "context": misspelt, "options": { "strict": false } },
        { "context": misspelt, "options": { "strict": null } },
        { "options": { "strict": 7 } },
        { "options": [] },
        { "options": { "reasons": "most" } },
        { "options": null },
        { "options": { "evaluations_semantic": "deny_on_first_deny" } },
    ]);
    let answer = post(&server, BATCH, &with(read(), json!({ "evaluations": items })));
    let evaluations = answer.json()["evaluations"].as_array().unwrap().clone();
    let decided: Vec<bool> = evaluations.iter().map(|item| item["decision"] == true).collect();
    assert_eq!(decided, [true, false, true, true, true, false, false, false, true, true]);
    assert_eq!(dropped(&answer), "context.nte, options.evaluations_semantic");
    let why = |place: usize| evaluations[place]["context"]["error"]["message"].as_str().unwrap_or_default().to_owned();
    let sentence = "what is sent here must be read, and this is not: `context.nte` (did you mean `note`?)";
    assert_eq!([why(1), why(5)], [sentence, "`options.strict` must be a Boolean, but is a number"]);
    assert_eq!(why(6), "`options` must be an object, but is an array");
    // A batch that is strict is, whatever its items say; reasons are those that an item asks for.
    let items = json!([
        { "context": misspelt, "options": { "strict": false } },
        { "context": { "action": { "dangerous": true } }, "options": { "reasons": "admin" } },
    ]);
    let body = with(read(), json!({ "evaluations": items, "options": { "strict": true } }));
    let evaluations = post(&server, BATCH, &body).json()["evaluations"].clone();
    assert_eq!(evaluations[0]["context"]["error"]["status"], 400, "{evaluations}");
    assert!(evaluations[1]["context"]["reason_admin"]["dangerous"].is_string(), "{evaluations}");
}

/// Rule 14: "a member that is null is as if absent", declared or not, in AuthZEN's own objects too.
#[test]
fn rule_14_a_null_that_is_not_declared_is_as_if_absent() {
    let (dropping, denying) =
        (serve(DOCS, DANGEROUS, &json!([])), serve_limited(DOCS, DANGEROUS, &json!([]), denying()));
    for nothing in [
        json!({ "page": null, "contxt": null }),
        json!({ "subject": { "properties": { "zz": null }, "attributes": null } }),
        json!({ "subject": { "tags": { "k": null, "l": { "nick": "x", "nck": null } } } }),
        json!({ "resource": { "tags": { "k": null } } }),
        json!({ "subject": { "parents": [{ "type": "Box", "id": "b", "more": null }] } }),
        json!({ "context": { "a": null, "note": "x", "z": null, "action": { "y": null } } }),
        json!({ "action": { "properties": { "soft": null }, "more": null } }),
        json!({ "options": { "at_leest": null } }),
    ] {
        let body = with(read(), nothing);
        for server in [&dropping, &denying] {
            let answer = post(server, SINGLE, &body);
            assert_eq!(
                (answer.status, dropped(&answer), answer.text.as_str()),
                (200, "", r#"{"decision":true}"#),
                "{body}"
            );
        }
        let batch = with(body.clone(), json!({ "evaluations": [body.clone(), {}] }));
        assert_eq!(dropped(&post(&denying, BATCH, &batch)), "", "{batch}");
    }
    let answer = post(&dropping, SINGLE, &with(read(), json!({ "context": { "a": null, "b": 1, "c": null, "d": 2 } })));
    assert_eq!(dropped(&answer), "context.b, context.d");
    // Two members of one name are two, whether one of them says anything or not.
    let twice = read().to_string().replacen('{', r#"{"context":{"a":1,"b":2,"a":null},"#, 1);
    assert_eq!(dropping.post(SINGLE, twice).status, 400);
}

/// A time in tags is read but for what is finer than a millisecond, as anywhere; what is misspelt in them gets the nearest name.
#[test]
fn a6_what_is_dropped_in_tags_is_said_as_elsewhere() {
    let server = serve(DOCS, DANGEROUS, &json!([]));
    let tags = json!({ "k": { "t": "2026-01-01T00:00:00.0001Z", "nck": "x" } });
    let sentence =
        "`subject.tags.k.t` (times are read to the millisecond), `subject.tags.k.nck` (did you mean `nick`?)";
    let body = with(read(), json!({ "subject": { "tags": tags } }));
    assert_eq!(told(&server, SINGLE, &body, "gatepost:dropped"), format!("sent, but not read: {sentence}"));
    let strict = with(body, json!({ "options": { "strict": true } }));
    assert_eq!(
        refused(&server, SINGLE, &strict),
        format!("what is sent here must be read, and this is not: {sentence}")
    );
}

// B1: numbers and times

/// What is of the right form and beyond what Cedar has is told the bounds.
#[test]
fn rule_14_what_is_out_of_range_is_told_the_bounds() {
    let server = serve(DOCS, DANGEROUS, &json!([]));
    let decimal = "a decimal from -922337203685477.5808 to 922337203685477.5807";
    let fine = "a decimal of at most four digits behind the point";
    let time = "a time of the years 0000 to 9999 in UTC";
    let duration = "a duration whose milliseconds are a whole number of 64 bits";
    for (name, value, expected, found) in [
        ("price", "922337203685477.5808", decimal, "the number `922337203685477.5808`"),
        ("price", "922337203685478", decimal, "the number `922337203685478`"),
        ("price", r#""922337203685477.5808""#, decimal, "`922337203685477.5808`"),
        ("price", "1.00005", fine, "the number `1.00005`"),
        ("price", r#""1e1""#, fine, "`1e1`"),
        ("price", "true", fine, "a Boolean"),
        ("until", r#""9999-12-31T23:59:59-01:00""#, time, "`9999-12-31T23:59:59-01:00`"),
        ("until", r#""2026-01-01 00:00:00Z""#, "a time as RFC 3339 writes it", "`2026-01-01 00:00:00Z`"),
        ("lasts", r#""106751991168d""#, duration, "`106751991168d`"),
        ("lasts", r#""9223372036854775808ms""#, duration, "`9223372036854775808ms`"),
        ("lasts", r#""1s1d""#, "a duration, such as", "`1s1d`"),
        ("lasts", r#""""#, "a duration, such as", "``"),
    ] {
        let body = with(read(), json!({ "resource": { "properties": { name: "<value>" } } }));
        let answer = server.post(SINGLE, body.to_string().replace(r#""<value>""#, value));
        assert_eq!(answer.status, 400, "{answer:?}");
        let message = answer.json().as_str().unwrap().to_owned();
        let start = format!("`resource.properties.{name}` must be {expected}");
        assert!(message.starts_with(&start) && message.ends_with(&format!("but is {found}")), "{message}");
    }
}

/// A number beyond IEEE 754 is JSON, and no I-JSON.
#[test]
fn rule_14_what_is_json_and_no_i_json_is_called_so() {
    let server = serve(DOCS, DANGEROUS, &json!([]));
    let with_level = |value: &str| {
        let body = with(read(), json!({ "resource": { "properties": { "level": "<value>" } } }));
        server.post(SINGLE, body.to_string().replace(r#""<value>""#, value))
    };
    let answer = with_level("1e400");
    assert_eq!(answer.status, 400);
    let message = answer.json().as_str().unwrap().to_owned();
    assert!(message.starts_with("the body is no I-JSON: number out of range at line 1 column "), "{message}");
    assert!(with_level(r#""\ud800""#).text.contains("the body is no I-JSON: "));
    assert!(with_level("nul").text.contains("the body is not JSON: "));
}

const TIMES: &str = r#"
    entity U = { a?: U, t?: datetime };
    entity D = { t?: datetime, of?: U };
    action read appliesTo { principal: U, resource: D, context: { at?: datetime } };
    action list appliesTo { principal: U, resource: D };
"#;
const TIMED: &str = r#"
    @id("all") permit (principal, action, resource);
    @id("read") forbid (principal, action == Action::"read", resource)
      when { principal has a.a.t && resource has of.a.t && principal.a.a.t < resource.of.a.t };
"#;

fn times() -> Value {
    json!([
        stored("U", "b", json!({})),
        stored("U", "c", json!({ "t": "2026-01-01T00:00:00.0002Z" })),
        stored("U", "m", json!({ "a": "c" })),
        stored("U", "e", json!({ "a": "m" })),
        stored("U", "n", json!({ "a": "fine" })),
        stored("U", "fine", json!({ "t": "2026-01-01T00:00:00.0001Z" })),
        stored("D", "d", json!({})),
        stored("D", "f", json!({ "of": "n" })),
        stored("D", "g", json!({ "t": "2026-01-01T00:00:00.0003Z" })),
    ])
}

/// Which of two times that cannot be told from one another was sent, and which is stored.
#[test]
fn rule_14_a_message_says_which_time_is_the_stored_one() {
    let server = serve(TIMES, TIMED, &times());
    let ask = |subject: &str, resource: &str| asked(entity("U", subject), "read", entity("D", resource));
    let rest = "differ only below the millisecond, where times are not compared:";
    let whole = json!({ "properties": { "t": "2026-01-01T00:00:00Z" } });
    for (body, two, advice) in [
        (
            with(ask("fine", "d"), json!({ "resource": whole })),
            "`resource.properties.t` and the stored `subject.properties.t`",
            "send and store",
        ),
        (
            with(ask("fine", "d"), json!({ "context": { "at": "2026-01-01T00:00:00.0004Z" } })),
            "the stored `subject.properties.t` and `context.at`",
            "send and store",
        ),
        (
            with(ask("b", "d"), json!({ "subject": whole, "context": { "at": "2026-01-01T00:00:00.0004Z" } })),
            "`subject.properties.t` and `context.at`",
            "send",
        ),
        (ask("fine", "g"), "the stored `resource.properties.t` and the stored `subject.properties.t`", "store"),
        (
            with(ask("e", "d"), json!({ "resource": whole })),
            "a stored time and `resource.properties.t`",
            "send and store",
        ),
        (ask("e", "f"), "two stored times that the request leads to", "store"),
    ] {
        let message = refused(&server, SINGLE, &body);
        assert_eq!(message, format!("{two} {rest} {advice} whole milliseconds"), "{body}");
    }
}

/// Search = decision, also where times stand in the way of some candidates only.
#[test]
fn rule_7_times_stand_in_the_way_of_the_candidates_alone_that_lead_to_them() {
    let server = serve(TIMES, TIMED, &times());
    let said = json!({ "subject": { "id": "c", "properties": { "a": "c", "t": "2026-01-01" } } });
    let body = with(asked(entity("U", "c"), "read", entity("D", "d")), said);
    let decided = |id: &str| post(&server, SINGLE, &with(body.clone(), json!({ "subject": { "id": id } }))).status;
    assert_eq!([decided("c"), decided("b"), decided("e")], [200, 400, 400]);
    let found = post(&server, SUBJECTS, &body);
    assert_eq!((found.status, found.json()["results"].clone()), (200, json!([{ "type": "U", "id": "c" }])));
    // What is so of every candidate is refused: of times that the caller says, and of what is stored of the other entity.
    let fine = json!({ "resource": { "id": "g" }, "context": { "at": "2026-01-01T00:00:00.0001Z" } });
    let fine = with(asked(entity("U", "c"), "read", entity("D", "d")), fine);
    let message = refused(&server, SUBJECTS, &fine);
    assert!(message.starts_with("the stored `resource.properties.t` and `context.at` differ"), "{message}");
    let wrong =
        json!({ "subject": { "properties": { "t": "2026-01-01" } }, "context": { "at": "2026-01-01T00:00:00.0001Z" } });
    assert_eq!(post(&server, SUBJECTS, &with(body, wrong)).status, 400);
}

/// The same of actions, whose policies do not all lead to the same times.
#[test]
fn rule_7_times_stand_in_the_way_of_the_actions_alone_whose_policies_lead_to_them() {
    let server = serve(TIMES, TIMED, &times());
    let body = |action: &str| asked(entity("U", "e"), action, entity("D", "f"));
    assert_eq!(post(&server, SINGLE, &body("read")).status, 400);
    assert_eq!(post(&server, SINGLE, &body("list")).json()["decision"], true);
    let found = post(&server, ACTIONS, &body("read"));
    assert_eq!((found.status, found.text.as_str()), (200, r#"{"results":[{"name":"list"}]}"#));
    // Nor is what keeps one from being decided lost.
    let why = told(&server, ACTIONS, &body("read"), "gatepost:invalid");
    assert!(why.starts_with("two stored times") && why.ends_with("(for `read`)"), "{why}");
    // What no action could be asked with is refused as before.
    let both = json!({ "subject": { "properties": { "t": "2026-01-01" } }, "resource": { "properties": { "t": "2026-01-01T00:00:00.0001Z" } } });
    assert_eq!(post(&server, ACTIONS, &with(body("read"), both)).status, 400);
    assert_eq!(post(&server, ACTIONS, &asked(entity("U", "fine"), "", entity("D", "g"))).status, 400);
}

// A7 and A14: what is missing

const MISSING: &str = r#"
    entity Owner;
    entity User = { @stored roles?: Set<String>, name?: String };
    entity Doc = { @must_exist keeper?: Owner, @must_exist others?: Set<Owner>, level: Long };
    action read appliesTo { principal: User, resource: Doc, context: { @must_exist m?: Owner } };
"#;
const ROLES: &str = r#"
    @id("all") permit (principal, action, resource);
    @id("blocked") forbid (principal, action, resource)
      when { principal has roles && principal.roles.contains("blocked") && resource.level > 7 };
"#;

/// What is missing says why: the entity is not stored, what was sent refers to nothing that is, or nobody said it.
#[test]
fn a7_and_a14_what_is_missing_says_what_is_not_stored() {
    let entities = json!([stored("User", "ada", json!({})), stored("Doc", "d", json!({ "level": 1 }))]);
    let server = serve(MISSING, ROLES, &entities);
    let ask =
        |subject: &str, resource: Value| asked(entity("User", subject), "read", with(entity("Doc", "d"), resource));
    let keeper = |id: &str| json!({ "properties": { "keeper": id } });
    let untold = "`User::\"new\"` is not stored, and only the store may say `subject.properties.roles`";
    let lost = "`resource.properties.keeper` must refer to what is stored, and its `Owner` is not";
    for (body, sentence) in [
        (ask("ada", json!({})), String::new()),
        (ask("new", json!({})), untold.to_owned()),
        (ask("ada", keeper("gone")), lost.to_owned()),
        (ask("new", keeper("gone")), format!("{untold}; {lost}")),
        (
            ask("new", json!({ "id": "other" })),
            format!("required, but neither sent nor stored: `resource.properties.level`; {untold}"),
        ),
        (
            ask("ada", json!({ "properties": { "others": ["x"] } })),
            "`resource.properties.others[0]` must refer to what is stored, and its `Owner` is not".to_owned(),
        ),
    ] {
        assert_eq!(told(&server, SINGLE, &body, "gatepost:missing"), sentence, "{body}");
        assert_eq!(post(&server, SINGLE, &body).json()["decision"], sentence.is_empty());
    }
    // In a search it is so for every candidate, and the header names the place.
    let body = with(ask("ada", json!({})), json!({ "context": { "m": "gone" } }));
    let sentence = "`context.m` must refer to what is stored, and its `Owner` is not";
    for path in [SUBJECTS, ACTIONS] {
        assert_eq!(told(&server, path, &body, "gatepost:missing"), sentence);
        assert_eq!(post(&server, path, &body).header("gatepost-missing"), Some("context.m"));
    }
    // On the command line too.
    let store = folder([("schema/a.cedarschema", MISSING), ("policies/a.cedar", ROLES)]);
    let body = with(ask("new", json!({ "properties": { "level": 1 } })), json!({}));
    common::write(store.path(), "request.json", body.to_string().as_bytes());
    let decided = gatepost(store.path(), &["decide", "--store", ".", "request.json"]).with(1);
    assert_eq!(decided.out, format!("deny\n  {untold}\n"));
}
