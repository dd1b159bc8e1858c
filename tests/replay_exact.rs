//! Replay is exact, or says what it did not replay: whatever a request can say stands in its record, or is known not to.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::convert::Infallible;
use std::sync::Arc;

use common::{folder, problems_of, shown, snapshot_of, with};
use gatepost::engine::{Search, Snapshot, Target};
use gatepost::http::authzen::{self, Limits, UnreadMembers};
use gatepost::http::callers::Caller;
use gatepost::http::journal::Journal;
use gatepost::log::mask::{Links, Mask};
use gatepost::log::record::{Endpoint, Heading, Recorder, SearchPage};
use gatepost::replay::{Replay, Selection, replay};
use gatepost::request::Facts;
use gatepost::request::json::{DEEPEST, Json};
use serde_json::{Value, json};

/// The lines of a log.
struct Log {
    recorder: Recorder,
    lines: Vec<String>,
}

impl Log {
    fn new() -> Self {
        Self { recorder: Recorder { mask: Mask::new(b"a key", Links::Auto).ok() }, lines: Vec::new() }
    }

    /// What a service with that store logs of a request for a decision.
    fn ask(&mut self, snapshot: &Snapshot, body: &Value) -> Value {
        let Self { recorder, lines } = self;
        let mut journal = Journal::new(recorder, heading(snapshot, Endpoint::Evaluation));
        let text = body.to_string();
        authzen::evaluation(snapshot, &Limits::default(), &Caller::anonymous(), text.as_bytes(), &mut journal).unwrap();
        take(lines, &journal)
    }

    /// What it logs of a batch, item by item.
    fn ask_all(&mut self, snapshot: &Snapshot, body: &Value) -> Vec<Value> {
        let Self { recorder, lines } = self;
        let mut journal = Journal::new(recorder, heading(snapshot, Endpoint::Evaluations));
        let (text, caller, limits) = (body.to_string(), Caller::anonymous(), Limits::default());
        let answer = authzen::evaluations(snapshot, &limits, &caller, text.as_bytes(), &mut journal);
        tokio::runtime::Runtime::new().unwrap().block_on(answer).unwrap();
        take_all(lines, &journal)
    }

    /// What it logs of a search, all on one page.
    fn search(&mut self, snapshot: &Snapshot, body: &Value, target: Target) -> Value {
        let Self { recorder, lines } = self;
        let endpoint = match target {
            Target::Principal => Endpoint::SubjectSearch,
            Target::Resource => Endpoint::ResourceSearch,
        };
        let mut journal = Journal::new(recorder, heading(snapshot, endpoint));
        let text = body.to_string();
        let json = Json::parse(text.as_bytes(), DEEPEST).unwrap();
        let question = authzen::question(&json).unwrap();
        let search = snapshot.search(question, target, Facts::FromPlugins).unwrap();
        let candidates = (0..search.candidates()).filter_map(|place| search.candidate(place));
        let results: Vec<&str> = candidates.filter(|id| search.allows(id)).collect();
        let page = SearchPage {
            request: search.request(),
            results: &results,
            candidates: search.candidates(),
            after: None,
            up_to: None,
            decided: 0,
            context_varies: search.reads_context_by_candidate(),
        };
        journal.searched(&question, &page, &UnreadMembers::default(), std::time::Instant::now());
        take(lines, &journal)
    }

    fn replayed(&self, snapshot: &Snapshot) -> Replay {
        let mut lines = Some(format!("{}\n", self.lines.join("\n")));
        let replayed = replay(snapshot, &Selection::default(), |chunk| -> Result<bool, Infallible> {
            chunk.extend(lines.take().into_iter().flat_map(String::into_bytes));
            Ok(false)
        });
        let Ok(replayed) = replayed;
        replayed
    }

    /// That all of it is replayed, and nothing changed.
    fn is_as_before(&self, snapshot: &Snapshot) {
        let replay = self.replayed(snapshot);
        let found = (replay.replayed, replay.changed, replay.otherwise);
        assert_eq!(found, (self.lines.len(), 0, 0), "{replay:#?}\n{}", self.lines.join("\n"));
    }

    /// That the one record is not replayed, for that reason.
    fn is_not_replayed(&self, snapshot: &Snapshot, reason: &str) {
        let replay = self.replayed(snapshot);
        let reasons: Vec<&String> = replay.not_replayed.keys().collect();
        assert!(reasons.len() == 1 && reasons[0].contains(reason), "{replay:#?}");
        assert_eq!((replay.replayed, replay.changed), (0, 0), "{replay:#?}");
    }
}

fn heading(snapshot: &Snapshot, endpoint: Endpoint) -> Heading<'_> {
    Heading { request_id: "r", trace_id: None, caller: None, endpoint, snapshot }
}

fn take(lines: &mut Vec<String>, journal: &Journal<'_>) -> Value {
    take_all(lines, journal).into_iter().next().unwrap()
}

fn take_all(lines: &mut Vec<String>, journal: &Journal<'_>) -> Vec<Value> {
    let before = lines.len();
    for record in journal.records().iter() {
        let (number, members) = (lines.len() + 1, str::from_utf8(record).unwrap());
        lines.push(format!("{{\"sequence\":{number},\"type\":\"decision\",{members}}}"));
    }
    lines[before..].iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A store of users with these attributes (and what stands behind them), a context, one permit, and stored entities.
fn store(user: &str, context: &str, permits: &str, entities: Value) -> Arc<Snapshot> {
    let schema = format!(
        "entity Team;\nentity User in [Team] = {user};\nentity Doc;\n\
         action read appliesTo {{ principal: User, resource: [User, Doc], context: {context} }};"
    );
    let policy = format!("@id(\"p\") permit (principal, action, resource) when {{ {permits} }};");
    let files =
        [("schema/s.cedarschema", schema), ("policies/p.cedar", policy), ("entities/e.json", entities.to_string())];
    Arc::new(snapshot_of(folder(files).path()))
}

fn user(id: &str, attributes: Value) -> Value {
    json!({ "uid": { "type": "User", "id": id }, "attrs": attributes })
}

fn read(subject: Value) -> Value {
    json!({
        "subject": with(json!({ "type": "User", "id": "u" }), subject),
        "action": { "name": "read" },
        "resource": { "type": "Doc", "id": "d" },
    })
}

/// "Search records have no `dropped`": what a caller sent and this schema declares is not known, so nothing is said of the search.
#[test]
fn what_was_dropped_in_a_search_is_in_its_record() {
    let users = json!([user("a", json!({})), user("u", json!({}))]);
    let then = store("{}", "{}", "true", users.clone());
    let now = store("{ tier?: Long }", "{}", "!(principal has tier)", users);
    let mut log = Log::new();
    let body = with(read(json!({ "properties": { "tier": 1 } })), json!({ "resource": { "type": "User", "id": "" } }));
    let record = log.search(&then, &body, Target::Resource);
    assert_eq!(record["dropped"], json!(["principal.tier"]), "{record}");
    log.is_as_before(&then);
    log.is_not_replayed(&now, "`principal.tier` was sent");
    // Older logs do not say it.
    log.lines[0] = log.lines[0].replace(",\"dropped\":[\"principal.tier\"]", "");
    log.is_not_replayed(&now, "does not say what was dropped");
    let mut none = Log::new();
    assert_eq!(none.search(&then, &read(json!({})), Target::Principal)["dropped"], json!([]));
}

/// "`Set<Set<record>>`": in which element of which set it lay does not matter; nor in a tag, nor in what says of the action.
#[test]
fn what_was_dropped_is_found_wherever_it_is_declared_now() {
    let none = json!([]);
    let grid = |fields: &str| store(&format!("{{ grid?: Set<Set<{{ {fields} }}>> }}"), "{}", "true", none.clone());
    let mut log = Log::new();
    let record =
        log.ask(&grid("a: Long"), &read(json!({ "properties": { "grid": [[], [{ "a": 1 }, { "a": 1, "b": 2 }]] } })));
    assert_eq!(record["dropped"], json!(["principal.grid[1][1].b"]));
    log.is_as_before(&grid("a: Long, c?: Long"));
    log.is_not_replayed(&grid("a: Long, b?: Long"), "`principal.grid[1][1].b` was sent");

    let tagged = |tags: &str| store(&format!("{{}} {tags}"), "{}", "true", none.clone());
    let mut log = Log::new();
    let record = log.ask(&tagged(""), &read(json!({ "tags": { "level": 1 } })));
    assert_eq!(record["dropped"], json!(["principal.tags.level"]));
    log.is_as_before(&tagged(""));
    log.is_not_replayed(&tagged("tags Long"), "`principal.tags.level` was sent");

    let acted = |context: &str| store("{}", context, "true", none.clone());
    let mut log = Log::new();
    let record = log.ask(&acted("{}"), &with(read(json!({})), json!({ "action": { "properties": { "soft": true } } })));
    assert_eq!(record["dropped"], json!(["context.action.soft"]));
    log.is_not_replayed(&acted("{ action?: { soft?: Bool } }"), "`context.action.soft` was sent");

    // A name so long that its place is cut off may be declared now.
    let long = "x".repeat(300);
    let mut log = Log::new();
    log.ask(&acted("{}"), &with(read(json!({})), json!({ "context": { &long: 1 } })));
    log.is_not_replayed(&acted(&format!("{{ {long}?: Long }}")), "was sent");
}

/// "`@sensitive action?` in the context": masked whole, it is still there.
#[test]
fn an_action_that_is_masked_whole_is_not_absent() {
    let context = "{ @sensitive action?: { soft?: Bool } }";
    let asked = with(read(json!({})), json!({ "action": { "properties": { "soft": true } } }));
    let then = store("{}", context, "!(context has action)", json!([]));
    let mut log = Log::new();
    assert_eq!(log.ask(&then, &asked)["decision"], "deny");
    log.is_as_before(&then);
    let reads = store("{}", context, "!(context has action && context.action has soft)", json!([]));
    log.is_not_replayed(&reads, "is masked");
}

/// "Names that the service writes itself cannot be a schema's or an id, or are escaped."
#[test]
fn names_that_the_service_writes_itself_are_no_names_of_a_store() {
    let check = |user: &str, action: &str, id: &str| {
        let schema = format!(
            "entity User = {user}; entity Doc; action {action} appliesTo {{ principal: User, resource: Doc }};"
        );
        let policy = format!("@id({id:?}) permit (principal, action, resource);");
        let files = folder([("schema/s.cedarschema", schema), ("policies/p.cedar", policy)]);
        problems_of(files.path()).iter().map(shown).filter(|shown| shown.starts_with("error")).collect::<Vec<_>>()
    };
    assert_eq!(check("{ masked?: String }", "read", "p"), [""; 0]);
    for user in [
        "{ \"gatepost:masked\"?: String }",
        "{ home: { \"gatepost:type\"?: String } }",
        "{ homes: Set<Set<{ \"gatepost:raw\": String }>> }",
        "{ } tags { \"gatepost:new\": String }",
    ] {
        let problems = check(user, "read", "p");
        assert!(problems.len() == 1 && problems[0].contains("is reserved"), "{user}: {problems:?}");
    }
    for (action, id) in [
        ("\"(unknown)\"", "p"),
        ("\"(other)\"", "p"),
        ("\"gatepost:x\"", "p"),
        ("read", "(a policy cannot be evaluated)"),
        ("read", "gatepost:missing"),
    ] {
        let problems = check("{}", action, id);
        assert!(problems.len() == 1 && problems[0].contains("is reserved"), "{action}, {id}: {problems:?}");
    }
}

/// "What a caller says as tags and parents stands in the record, masked like attributes, and is replayed", also of searches; a tag may have
/// any name.
#[test]
fn tags_and_parents_are_in_the_record_and_replayed() {
    let tags = "{} tags String";
    let now = |condition: &str| store(tags, "{}", condition, json!([{ "uid": { "type": "Team", "id": "t" } }]));
    let names = ["level", "gatepost:masked", "gatepost:gatepost:masked", "gatepost:a", "two words", ""];
    for name in names {
        let is = |value: &str| now(&format!("principal.hasTag({name:?}) && principal.getTag({name:?}) == {value:?}"));
        let mut log = Log::new();
        for value in ["a", "b", "a", "b"] {
            let record = log.ask(&is("a"), &read(json!({ "tags": { name: value, "gatepost:b": "" } })));
            assert_eq!(record["decision"] == "allow", value == "a");
        }
        log.is_as_before(&is("a"));
        let replay = log.replayed(&is("b"));
        assert_eq!((replay.replayed, replay.gained, replay.lost), (4, 2, 2), "{name}: {replay:#?}");
    }
    let within = now("principal in Team::\"t\"");
    let mut log = Log::new();
    let parents = json!({ "parents": [{ "type": "Team", "id": "t" }] });
    let record = log.ask(&within, &read(parents.clone()));
    assert_eq!((&record["principal"]["parents"], &record["decision"]), (&parents["parents"], &json!("allow")));
    let batch = json!({ "evaluations": [read(parents.clone()), read(json!({}))] });
    let items = log.ask_all(&within, &batch);
    assert_eq!((&items[0]["principal"]["parents"], &items[0]["decision"]), (&parents["parents"], &json!("allow")));
    assert_eq!((items[1]["principal"].get("parents"), &items[1]["decision"]), (None, &json!("deny")));
    assert_eq!(log.ask(&within, &read(json!({})))["decision"], "deny");
    let record = log.search(
        &now("principal in Team::\"t\""),
        &with(read(parents), json!({ "resource": { "type": "User", "id": "" } })),
        Target::Resource,
    );
    assert_eq!(record["principal"]["parents"][0]["id"], "t");
    log.is_as_before(&within);
    assert_eq!(log.replayed(&now("!(principal in Team::\"t\")")).lost, 2);

    // What is sensitive in a tag is masked.
    let sensitive =
        |condition: &str| store("{} tags { @sensitive pin: String, open: Long }", "{}", condition, json!([]));
    let then = sensitive("principal.hasTag(\"k\") && principal.getTag(\"k\").open == 1");
    let mut log = Log::new();
    let record = log.ask(&then, &read(json!({ "tags": { "k": { "pin": "4711-4711-4711", "open": 1 } } })));
    assert!(record["principal"]["tags"]["k"]["pin"]["gatepost:masked"].is_string(), "{record}");
    assert!(!record.to_string().contains("4711"));
    log.is_as_before(&then);
    log.is_not_replayed(&sensitive("principal.hasTag(\"k\") && principal.getTag(\"k\").pin == \"\""), "is masked");
}

/// "`replay` takes recorded values": of what only the store may say too, whatever is stored now.
#[test]
fn what_only_the_store_may_say_is_replayed_as_it_was() {
    let of = |users: Value| {
        store("{ @stored blocked?: Bool }", "{}", "!(principal has blocked && principal.blocked)", users)
    };
    let then = of(json!([user("u", json!({ "blocked": false }))]));
    let mut log = Log::new();
    let record = log.ask(&then, &read(json!({})));
    assert_eq!((&record["decision"], &record["principal"]["stored"]), (&json!("allow"), &json!(true)));
    let record = log.ask(&then, &read(json!({ "id": "nobody" })));
    assert_eq!((&record["verdict"], &record["principal"]["stored"]), (&json!("missing"), &json!(false)));
    log.is_as_before(&then);
    log.is_as_before(&of(json!([])));
    log.is_as_before(&of(json!([user("u", json!({ "blocked": true })), user("nobody", json!({}))])));
    // A log that does not say whether it was stored.
    log.lines = vec![log.lines[0].replace(",\"stored\":true", "")];
    log.is_as_before(&then);
    log.is_not_replayed(&of(json!([])), "whether it was stored");
}

/// Times that were sent below the millisecond stand among what was dropped, but are declared, and the log has every digit of them: the
/// request is decided again, unless they can no longer be told from one that is stored now.
#[test]
fn times_below_the_millisecond_are_replayed_where_they_can_be_told_apart() {
    let of = |more: &str, users: Value| {
        store("{ since?: datetime, friend?: User }", &format!("{{ now?: datetime{more} }}"), "context has now", users)
    };
    let (then, now) = (of("", json!([])), of(", other?: Long", json!([])));
    let sent = "2026-01-01T00:00:00.123456Z";
    let asked = |since: &str| {
        with(read(json!({ "properties": { "since": since, "friend": "f" } })), json!({ "context": { "now": sent } }))
    };
    let mut log = Log::new();
    let record = log.ask(&then, &asked("2026-01-01T00:00:00.124Z"));
    assert_eq!(record["dropped"], json!(["context.now"]), "{record}");
    log.is_as_before(&then);
    log.is_as_before(&now);
    let same = json!([user("f", json!({ "since": "2026-01-01T00:00:00.123Z" }))]);
    log.is_not_replayed(&of(", other?: Long", same), "below the millisecond");
    let mut log = Log::new();
    log.ask(&then, &asked(sent));
    log.is_as_before(&then);
    log.is_as_before(&now);
}

/// In a search, what is said of the candidates may contradict what is said of the other entity where it is one of them; the record does not
/// tell that from what was stored of it.
#[test]
fn a_search_among_which_the_other_entity_is_said_otherwise_is_not_guessed() {
    let users = json!([user("a", json!({ "flag": true })), user("u", json!({ "flag": true }))]);
    let then = store("{ flag?: Bool }", "{}", "resource is User && resource has flag", users);
    let body = |flag: bool| {
        with(read(json!({})), json!({ "resource": { "type": "User", "id": "", "properties": { "flag": flag } } }))
    };
    let mut log = Log::new();
    assert_eq!(log.search(&then, &body(false), Target::Resource)["results"], json!(["a", "u"]));
    log.is_not_replayed(&then, "are not told apart");
    let mut log = Log::new();
    assert_eq!(log.search(&then, &body(true), Target::Resource)["results"], json!(["a", "u"]));
    log.is_as_before(&then);
}

/// "Of an action or a type that the schema does not know, nothing is" logged: so it is not replayed.
#[test]
fn names_that_the_schema_does_not_know_are_not_logged() {
    let snapshot = store("{}", "{}", "true", json!([]));
    for (change, absent) in [
        (json!({ "subject": { "type": "canary" } }), "principal"),
        (json!({ "action": { "name": "canary" } }), "action"),
        (json!({ "resource": { "type": "canary" } }), "resource"),
    ] {
        let mut log = Log::new();
        let record = log.ask(&snapshot, &with(read(json!({})), change));
        assert!(record["verdict"] == "unknown" && record.get(absent).is_none(), "{record}");
        assert!(!record.to_string().contains("canary"), "{record}");
        log.is_not_replayed(&snapshot, "did not know then");
        let mut open = Log { recorder: Recorder { mask: None }, lines: Vec::new() };
        let record = open.ask(&snapshot, &with(read(json!({})), json!({ "action": { "name": "canary" } })));
        assert_eq!(record["action"], "canary");
        open.is_as_before(&snapshot);
    }
    // What the schema knows, but not together, is.
    let mut log = Log::new();
    let record = log.ask(&snapshot, &with(read(json!({})), json!({ "subject": { "type": "Doc" } })));
    assert_eq!((&record["principal"]["type"], &record["action"]), (&json!("Doc"), &json!("read")));
    log.is_as_before(&snapshot);
}

/// A reference that is masked and must be to what is stored: whether it was is not known.
#[test]
fn a_masked_reference_that_must_exist_is_not_guessed() {
    let snapshot = store(
        "{ @sensitive @must_exist team?: Team }",
        "{}",
        "true",
        json!([{ "uid": { "type": "Team", "id": "t" } }]),
    );
    let mut log = Log::new();
    assert_eq!(log.ask(&snapshot, &read(json!({ "properties": { "team": "t" } })))["decision"], "allow");
    log.is_not_replayed(&snapshot, "it is masked");
}

/// "What was dropped is in every record": what stands beside what is asked, and nobody reads, too.
#[test]
fn members_that_nobody_reads_are_in_the_record() {
    let snapshot = store("{}", "{}", "true", json!([]));
    let mut log = Log::new();
    let body = with(read(json!({ "props": 1 })), json!({ "options": { "at_leest": 7 } }));
    let mut unread = log.ask(&snapshot, &body)["unread"].as_array().unwrap().clone();
    unread.sort_by_key(Value::to_string);
    assert_eq!(unread, ["options.at_leest", "subject.props"]);
    assert!(log.ask(&snapshot, &read(json!({}))).get("unread").is_none());
    log.is_as_before(&snapshot);
}

/// C11, A6: under `--unknown-attributes deny`, what says something that nobody reads is refused: `replay` decides by the mode that it is given.
#[test]
fn what_was_dropped_is_refused_where_that_is_the_mode() {
    let plain = || store("{}", "{}", "true", json!([user("u", json!({}))]));
    let mut strict = Arc::into_inner(plain()).unwrap();
    strict.store.files.modes = vec![("unknown-attributes", "deny")];
    for (asked, lost) in [(read(json!({})), 0), (read(json!({ "properties": { "x": 1 } })), 1)] {
        let mut log = Log::new();
        log.ask(&plain(), &asked);
        log.search(&plain(), &with(asked, json!({ "resource": { "type": "User", "id": "" } })), Target::Resource);
        log.is_as_before(&plain());
        let replay = log.replayed(&strict);
        assert_eq!((replay.replayed, replay.lost), (2, 2 * lost), "{replay:#?}");
    }
}
