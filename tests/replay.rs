//! "`gatepost replay LOG [--store DIR]`: every logged request decided again under another store."

#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
mod random;

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use common::binary::{Serving, command, gatepost};
use common::{copy_of_built_in, decide, edit, folder, snapshot_of, with};
use gatepost::engine::Snapshot;
use gatepost::http::authzen::{self, Limits};
use gatepost::http::callers::Caller;
use gatepost::http::journal::Journal;
use gatepost::log::mask::{Links, Mask};
use gatepost::log::record::{Endpoint, Heading, Recorder};
use gatepost::replay::{Replay, Selection, replay};
use random::{Random, RandomStore};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// A log of what a service with that store decided on these bodies; of a body that is refused, there is nothing.
struct Log {
    lines: Vec<Vec<u8>>,
    recorder: Recorder,
}

impl Log {
    fn masked() -> Self {
        Self { lines: Vec::new(), recorder: Recorder { mask: Some(Mask::new(b"a key", Links::Auto).unwrap()) } }
    }

    fn ask(&mut self, snapshot: &Arc<Snapshot>, body: &Value) -> Option<Value> {
        let heading = Heading {
            request_id: "r",
            trace_id: None,
            caller: Some("portal"),
            endpoint: Endpoint::Evaluation,
            snapshot,
        };
        let mut journal = Journal::new(&self.recorder, heading);
        let body = body.to_string();
        let _ = authzen::evaluation(snapshot, &Limits::default(), &Caller::anonymous(), body.as_bytes(), &mut journal);
        let record = journal.records().iter().next()?;
        let (number, members) = (self.lines.len() + 1, str::from_utf8(record).unwrap());
        let line = format!("{{\"sequence\":{number},\"type\":\"decision\",{members}}}");
        self.lines.push(line.clone().into_bytes());
        Some(serde_json::from_str(&line).unwrap())
    }

    fn replayed(&self, snapshot: &Snapshot) -> Replay {
        self.selected(snapshot, &Selection::default())
    }

    fn selected(&self, snapshot: &Snapshot, selection: &Selection) -> Replay {
        // Many chunks, so that all workers have some.
        let mut chunks = self.lines.chunks(7);
        let replayed = replay(snapshot, selection, |chunk| -> Result<bool, Infallible> {
            let Some(lines) = chunks.next() else { return Ok(false) };
            for line in lines {
                chunk.extend_from_slice(line);
                chunk.push(b'\n');
            }
            Ok(true)
        });
        let Ok(replayed) = replayed;
        replayed
    }
}

fn snapshot(store: &RandomStore) -> Arc<Snapshot> {
    Arc::new(snapshot_of(folder(store.files.iter().map(|(path, text)| (path, text))).path()))
}

/// "Property tests where a law exists: replay of an unchanged store = no change"; what looks alike to the policies is decided once, and
/// so is decided as it would be by itself.
#[test]
fn nothing_changes_under_the_same_store() {
    let (mut records, mut allowed, mut left_out) = (0, 0, 0);
    for seed in 0..100 {
        let mut random = Random::new(seed);
        let store = random.store();
        let snapshot = snapshot(&store);
        let mut log = Log::masked();
        for _ in 0..100 {
            let record = log.ask(&snapshot, &random.question(&store));
            allowed += usize::from(record.is_some_and(|record| record["decision"] == "allow"));
        }
        let replay = log.replayed(&snapshot);
        let all = log.lines.len();
        // One entity may be said twice, and lack something where it is said first, which the log does not hold.
        let said_twice = |(reason, _): &(&String, _)| reason.starts_with("the principal was the resource");
        let left: usize = replay.not_replayed.iter().filter(said_twice).map(|(_, group)| group.count).sum();
        assert_eq!(
            (replay.records, replay.replayed + left, replay.unreadable),
            (all, all, 0),
            "seed {seed}: {replay:?}"
        );
        left_out += left;
        assert_eq!((replay.changed, replay.otherwise), (0, 0), "seed {seed}: {replay:?}\n{store:?}");
        records += all;
    }
    assert!(records > 8000 && allowed * 20 > records, "{allowed} of {records} allowed");
    assert!(left_out * 1000 < records, "{left_out} of {records} not replayed");
}

/// "every logged request decided again under another store": as the service would decide it with what it knew then of the two
/// entities, over what is stored now.
#[test]
fn under_another_store_every_request_is_decided_as_it_decides() {
    let (mut records, mut changes) = (0, 0);
    for seed in 0..100 {
        let mut random = Random::new(seed);
        let (store, other) = (random.store(), random.store());
        let (then, now) = (snapshot(&store), snapshot(&other));
        let mut log = Log::masked();
        let mut expected = [0, 0];
        for _ in 0..60 {
            let body = random.question(&store);
            // Asked twice: lines that say the same are read once, if they are decided as before.
            log.ask(&then, &body);
            let Some(record) = log.ask(&then, &body) else { continue };
            let allowed = decide(&now, &known(&store, body)).unwrap().allowed;
            match (record["decision"] == "allow", allowed) {
                (false, true) => expected[0] += 2,
                (true, false) => expected[1] += 2,
                _ => {}
            }
        }
        let replay = log.replayed(&now);
        let left: usize = replay.not_replayed.values().map(|group| group.count).sum();
        assert!(left < 3 && replay.replayed + left == log.lines.len(), "seed {seed}: {replay:?}");
        assert_eq!([replay.gained, replay.lost], expected, "seed {seed}: {replay:?}\n{store:?}\n{other:?}");
        assert_eq!(replay.changed, replay.by_caller.values().map(|group| group.count).sum::<usize>());
        assert_eq!(replay.changed, replay.by_action.values().map(|group| group.count).sum::<usize>());
        records += replay.replayed;
        changes += replay.changed;
    }
    assert!(changes * 20 > records && changes * 2 < records, "{changes} of {records} changed");
}

/// The body with all that was known then: what is stored under what the caller says.
fn known(store: &RandomStore, mut body: Value) -> Value {
    let is = |named: &Value| (named["type"].clone(), named["id"].clone());
    let said = |named: &Value| -> Map<String, Value> {
        let said = named["properties"].as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
        said.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let asked = [body["subject"].clone(), body["resource"].clone()];
    for (part, named) in [("subject", &asked[0]), ("resource", &asked[1])] {
        let stored = store.entities[named["type"].as_str().unwrap()].get(named["id"].as_str().unwrap());
        let mut all = stored.and_then(Value::as_object).cloned().unwrap_or_default();
        // One entity may be said twice: what is said of the resource stands.
        asked.iter().filter(|other| is(other) == is(named)).for_each(|other| all.extend(said(other)));
        body[part]["properties"] = all.into();
    }
    body
}

fn enter() -> Value {
    common::enter()
}

/// The policy by which a Company Admin may enter the support contact.
const ENTER: &str = "  action == Action::\"enterSupportContact\",
  resource is Account
)
when
{ principal.account == resource && principal.role == Role::\"companyAdmin\" };";

/// "the changes grouped by policy, row, action and caller, with counts and examples".
#[test]
fn changes_are_grouped() {
    let store = copy_of_built_in();
    let then = Arc::new(snapshot_of(store.path()));
    let mut log = Log::masked();
    for id in ["ada", "bob", "eve"] {
        assert_eq!(log.ask(&then, &with(enter(), json!({ "subject": { "id": id } }))).unwrap()["decision"], "allow");
    }
    // The phone number has a digit too many: denied then and now.
    log.ask(&then, &with(enter(), json!({ "context": { "phone": "+61 2 5550 00000" } })));
    edit(&store, "policies/permissions.cedar", ENTER, &ENTER.replace("companyAdmin", "salesTeam"));
    let replay = log.replayed(&snapshot_of(store.path()));
    assert_eq!((replay.records, replay.replayed, replay.changed, replay.lost), (4, 4, 3, 3), "{replay:#?}");
    assert_eq!(replay.by_caller.keys().collect::<Vec<_>>(), ["portal"]);
    assert_eq!(replay.by_action["Action::\"enterSupportContact\""].count, 3);
    assert_eq!(replay.by_action["Action::\"enterSupportContact\""].examples, [1, 2, 3]);
    assert_eq!(replay.by_policy.len(), 1, "{replay:#?}");
    assert!(replay.by_row.keys().all(|row| !row.is_empty()), "{replay:#?}");
    let example = &replay.examples[0];
    assert_eq!((example.sequence, example.caller.as_deref()), (1, Some("portal")));
    assert_eq!(example.request, "User::\"ada\" · Action::\"enterSupportContact\" · Account::\"acme\"");
    assert!(example.before.starts_with("allow (") && example.after == "deny (nothing permits)", "{example:?}");
}

/// "`--since`, `--action`, `--limit`".
#[test]
fn records_can_be_selected() {
    let then = Arc::new(common::built_in());
    let mut log = Log::masked();
    (0..30).for_each(|_| drop(log.ask(&then, &enter())));
    let other = log.ask(&then, &with(enter(), json!({ "action": { "name": "viewPricing" } }))).unwrap();
    let selected = |selection| log.selected(&then, &selection).records;
    let action = |name: &str| Selection { action: Some(name.to_owned()), ..Selection::default() };
    assert_eq!(selected(Selection::default()), 31);
    assert_eq!(selected(action("viewPricing")), 1);
    assert_eq!(selected(action("Action::\"viewPricing\"")), 1);
    assert_eq!(selected(action("Pricing")), 0);
    assert_eq!(selected(Selection { limit: Some(17), ..Selection::default() }), 17);
    let since = other["time"].as_str().unwrap().to_owned();
    assert_eq!(selected(Selection { since: Some(since), ..Selection::default() }), 1);
}

/// "what could not be replayed is counted and named, never skipped in silence".
#[test]
fn what_cannot_be_replayed_is_counted_and_named() {
    let schema = |declared: &str| {
        format!(
            "@parsed_by(\"email\") type Email = {{ valid: Bool, address: String, domain: String }};
             entity User = {{ {declared} @sensitive salary: Long, mail?: Email }};
             entity Doc; action read appliesTo {{ principal: User, resource: Doc }};"
        )
    };
    let store = |declared: &str, condition: &str| {
        let policy = format!("@id(\"p\") permit (principal, action, resource) when {{ {condition} }};");
        let store = folder([("schema/s.cedarschema", schema(declared)), ("policies/p.cedar", policy)]);
        Arc::new(snapshot_of(store.path()))
    };
    let then = store("", "principal.salary >= 0");
    let mut log = Log::masked();
    let body = json!({
        "subject": { "type": "User", "id": "ada", "properties": { "salary": 7, "tier": 1, "mail": "ada@example.com" } },
        "action": { "name": "read" },
        "resource": { "type": "Doc", "id": "d" },
    });
    let record = log.ask(&then, &body).unwrap();
    assert_eq!(record["dropped"], json!(["principal.tier"]));
    log.ask(&then, &with(body.clone(), json!({ "action": { "name": "write" } })));
    log.ask(&then, &with(body.clone(), json!({ "subject": { "id": "x".repeat(70_000) } })));
    let reasons = |now: &Snapshot| -> Vec<(String, usize)> {
        let mut replay = log.replayed(now);
        assert_eq!(replay.records, 3);
        assert_eq!(replay.replayed + replay.not_replayed.values().map(|group| group.count).sum::<usize>(), 3);
        // The action that the schema did not know is not in the log.
        let unknown =
            replay.not_replayed.remove("the schema did not know then what was asked about, so it is not logged whole");
        assert_eq!(unknown.map(|group| group.count), Some(1));
        replay.not_replayed.into_iter().map(|(reason, group)| (reason, group.count)).collect()
    };
    let too_large = ("the request was too large to be logged whole".to_owned(), 1);
    assert_eq!(reasons(&then), [("`p` reads `principal.salary`, which is masked".to_owned(), 1), too_large.clone()]);
    let masked = [
        ("principal.mail.address == \"ada@example.com\"", "principal.mail.address"),
        ("principal.mail == {valid: true, address: \"a\", domain: \"b\"}", "principal.mail.address"),
    ];
    for (condition, place) in masked {
        let now = store("", &format!("principal has mail && {condition}"));
        assert_eq!(reasons(&now), [(format!("`p` reads `{place}`, which is masked"), 1), too_large.clone()]);
    }
    let now = store("", "principal has mail && principal.mail.domain == \"example.com\"");
    assert_eq!(reasons(&now), std::slice::from_ref(&too_large));
    assert_eq!(log.replayed(&now).changed, 0);
    let now = store("tier: Long,", "principal.tier == 1");
    let dropped = "`principal.tier` was sent, but the schema did not declare it then: its value is not logged";
    assert_eq!(reasons(&now), [(dropped.to_owned(), 1), too_large]);
}

/// "Of a record beyond 64 KiB the first 100 policies": a decision of very many is logged with its request, and is made again.
#[test]
fn a_decision_of_very_many_policies_is_replayed() {
    let policy = |number| format!("@id(\"policy-{number:04}\")\npermit (principal, action, resource);\n");
    let store = folder([
        (
            "schema/s.cedarschema",
            "entity User, Doc; action read appliesTo { principal: User, resource: Doc };".to_owned(),
        ),
        ("policies/p.cedar", (0..3000).map(policy).collect()),
    ]);
    let snapshot = Arc::new(snapshot_of(store.path()));
    let mut log = Log::masked();
    let body = json!({
        "subject": { "type": "User", "id": "ada" }, "action": { "name": "read" }, "resource": { "type": "Doc", "id": "d" },
    });
    let record = log.ask(&snapshot, &body).unwrap();
    assert!(record.to_string().len() < 64 << 10);
    assert_eq!(record["determining"].as_array().unwrap().len(), 100);
    assert_eq!((&record["moreDetermining"], record.get("tooLarge")), (&json!(2900), None));
    let replay = log.replayed(&snapshot);
    assert_eq!((replay.replayed, replay.changed, replay.otherwise), (1, 0, 0));
    let other = folder([("policies/p.cedar", policy(0))]);
    std::fs::create_dir(other.path().join("schema")).unwrap();
    std::fs::copy(store.path().join("schema/s.cedarschema"), other.path().join("schema/s.cedarschema")).unwrap();
    assert_eq!(log.replayed(&snapshot_of(other.path())).otherwise, 1);
}

/// "never skipped in silence": of what lies in a masked value nothing is known, neither what is there nor whether it is there.
#[test]
fn nothing_is_guessed_about_what_is_masked() {
    let store = |attribute: &str, condition: &str| {
        let schema = format!(
            "@parsed_by(\"email\") type Email = {{ valid: Bool, address: String, domain: String }};
             entity User = {{ {attribute} }}; entity Doc;
             action read appliesTo {{ principal: User, resource: Doc, context: {{ action: {{ @sensitive pin?: String }} }} }};"
        );
        let policy = format!("@id(\"p\") permit (principal, action, resource) when {{ {condition} }};");
        let store = folder([("schema/s.cedarschema", schema), ("policies/p.cedar", policy)]);
        (Arc::new(snapshot_of(store.path())), store)
    };
    let home = "@sensitive home?: { city: String, street?: String }";
    let present = "principal has home && principal.home has street";
    let masked = |place: &str| format!("`p` reads `{place}`, which is masked");
    let cases = [
        // Whether something is in it.
        (home, present, home, present, json!({ "home": { "city": "c" } }), masked("principal.home")),
        (home, "principal has home", home, "principal has home", json!({ "home": { "city": "c" } }), String::new()),
        // What was missing in it.
        (
            "@sensitive home: { city: String }",
            "true",
            "@sensitive home: { city: String }",
            "true",
            json!({ "home": {} }),
            "`principal.home.city` was missing in what is masked".to_owned(),
        ),
        // Whether it has what another schema requires of it.
        (
            home,
            "principal has home",
            "@sensitive home?: { city: String, zip: Long }",
            "principal has home",
            json!({ "home": { "city": "c" } }),
            "`principal.home` is masked, and may be of another type under this revision".to_owned(),
        ),
        // A string that a plugin has read and no longer reads, though it was not valid.
        (
            "mail: Email",
            "principal.mail.valid",
            "mail: String",
            "principal.mail == \"\"",
            json!({ "mail": "none" }),
            masked("principal.mail"),
        ),
        // What is said of the action.
        ("", "context.action has pin", "", "context.action has pin && context.action.pin == \"1\"", json!({}), {
            masked("context.action.pin")
        }),
    ];
    for (then, condition, now, other, properties, reason) in cases {
        let ((then, _), (now, _)) = (store(then, condition), store(now, other));
        let mut log = Log::masked();
        let action = json!({ "name": "read", "properties": { "pin": "1" } });
        let subject = json!({ "type": "User", "id": "ada", "properties": properties });
        log.ask(&then, &json!({ "subject": subject, "action": action, "resource": { "type": "Doc", "id": "d" } }));
        let replay = log.replayed(&now);
        let reasons: Vec<&str> = replay.not_replayed.keys().map(String::as_str).collect();
        let expected = if reason.is_empty() { vec![] } else { vec![reason.as_str()] };
        assert_eq!((replay.records, reasons), (1, expected), "{replay:?}");
        assert_eq!(replay.changed, 0, "{replay:?}");
    }
    // A scalar of another type would be refused.
    let ((then, _), (now, _)) = (store("@sensitive age: Long", "true"), store("@sensitive age: String", "true"));
    let mut log = Log::masked();
    let subject = json!({ "type": "User", "id": "ada", "properties": { "age": 7 } });
    let resource = json!({ "type": "Doc", "id": "d" });
    log.ask(&then, &json!({ "subject": subject, "action": { "name": "read" }, "resource": resource }));
    assert_eq!((log.replayed(&then).changed, log.replayed(&now).lost), (0, 1));
}

/// The log of a service that has decided twice, signed; the keys are beside it.
fn signed_log() -> TempDir {
    let here = TempDir::new().unwrap();
    common::keys::write(here.path());
    let arguments = ["--listen", "127.0.0.1:0", "--log", "log", "--log-signing-key", "private.pem"];
    let serving = Serving::start(&mut command(here.path(), &arguments));
    for _ in 0..2 {
        assert_eq!(serving.post("/access/v1/evaluation", &common::enter()).0, 200);
    }
    serving.signal("TERM");
    assert_eq!(serving.end().0, Some(0));
    here
}

const SEGMENT: &str = "log/0000000001.jsonl";

/// "What could not be replayed is counted and named, never skipped in silence": so is a last line that is torn, in a folder
/// that nobody writes, and in a file.
#[test]
fn a_torn_last_line_is_counted_and_named() {
    let here = signed_log();
    let path = here.path().join(SEGMENT);
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let last = lines.iter().rposition(|line| line.contains("\"type\":\"decision\"")).unwrap();
    // The last decision is there but for its end.
    std::fs::write(&path, format!("{}\n{}", lines[..last].join("\n"), &lines[last][..lines[last].len() - 30])).unwrap();
    for log in ["log", SEGMENT] {
        let replayed = gatepost(here.path(), &["replay", log, "--format", "json"]).with(2).json();
        assert_eq!((&replayed["records"], &replayed["unreadableLines"]), (&json!(1), &json!(1)), "{replayed}");
        let place = json!({ "file": "0000000001.jsonl", "line": last + 1 });
        assert_eq!(replayed["firstUnreadableLine"], place);
        let told = gatepost(here.path(), &["replay", log]).with(2).out;
        let named = format!("1 line of the log cannot be read as JSON (the first is line {} of", last + 1);
        assert!(told.contains(&named), "{told}");
    }
}

/// "`replay` goes on past a damaged packed segment and counts it": what comes before and after is decided again, what is lost is said, and
/// the log is not taken for whole.
#[test]
fn a_damaged_packed_segment_is_counted_and_the_others_are_replayed() {
    let here = TempDir::new().unwrap();
    let arguments = ["--listen", "127.0.0.1:0", "--log", "log", "--log-segment-bytes", "1", "--log-compress"];
    let serving = Serving::start(&mut command(here.path(), &arguments));
    for _ in 0..3 {
        assert_eq!(serving.post("/access/v1/evaluation", &common::enter()).0, 200);
    }
    let packed = |number: usize| here.path().join(format!("log/{number:010}.jsonl.gz"));
    let begun = std::time::Instant::now();
    while !(1..=3).all(|number| packed(number).exists()) {
        assert!(begun.elapsed().as_secs() < 20, "not packed in time");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    serving.signal("TERM");
    assert_eq!(serving.end().0, Some(0));
    let whole = gatepost(here.path(), &["replay", "log", "--format", "json"]).with(0).json();
    assert_eq!((&whole["replayed"], &whole["damagedFiles"]), (&json!(3), &json!([])), "{whole}");

    let bytes = std::fs::read(packed(2)).unwrap();
    std::fs::write(packed(2), &bytes[..40]).unwrap();
    for log in ["log", "log/0000000002.jsonl.gz"] {
        let replayed = gatepost(here.path(), &["replay", log, "--format", "json"]).with(2).json();
        let damaged = replayed["damagedFiles"].as_array().unwrap();
        assert_eq!((damaged.len(), &damaged[0]["file"]), (1, &json!("0000000002.jsonl.gz")), "{replayed}");
        let others = if log == "log" { 2 } else { 0 };
        assert_eq!((&replayed["records"], &replayed["replayed"]), (&json!(others), &json!(others)), "{replayed}");
        let told = gatepost(here.path(), &["replay", log]).with(2).out;
        assert!(
            told.contains("1 file of the log cannot be read to the end") && told.contains("`0000000002.jsonl.gz`"),
            "{told}"
        );
    }
    let absent = gatepost(here.path(), &["replay", "log", "--format", "json"]).with(2).json();
    assert!(absent["absentLines"].as_u64() >= Some(1), "{absent}");
}

/// "`gatepost replay --public-key FILE`: check the signatures of the log that is read, like `log verify --public-key`."
#[test]
fn a_log_that_is_not_signed_by_the_key_is_replayed_but_not_as_whole() {
    let here = signed_log();
    let replay = |arguments: &[&str], status: i32| {
        let all = [&["replay", "log", "--format", "json"], arguments].concat();
        gatepost(here.path(), &all).with(status).json()
    };
    assert_eq!(replay(&[], 0)["log"], json!(null));
    let whole = replay(&["--public-key", "public.pem"], 0);
    let expected = json!({ "whole": true, "findings": [], "furtherFindings": 0, "unsignedDecisions": 0 });
    assert_eq!((&whole["log"], &whole["replayed"]), (&expected, &json!(2)));
    let told = gatepost(here.path(), &["replay", "log", "--public-key", "public.pem"]).with(0).out;
    assert!(told.contains("whole and unaltered, and signed"), "{told}");

    // Every line is there, and can be decided again; but a signature is another's.
    let path = here.path().join(SEGMENT);
    let text = std::fs::read_to_string(&path).unwrap();
    let signed: Vec<_> = text.match_indices("\"signature\":\"").map(|(at, found)| at + found.len()).collect();
    let mut bytes = text.into_bytes();
    let first = bytes.get_mut(signed[0]).unwrap();
    *first = if *first == b'A' { b'B' } else { b'A' };
    std::fs::write(&path, bytes).unwrap();
    let altered = replay(&["--public-key", "public.pem"], 2);
    assert_eq!((&altered["log"]["whole"], &altered["replayed"]), (&json!(false), &json!(2)), "{altered}");
    let told = gatepost(here.path(), &["replay", "log", "--public-key", "public.pem"]).with(2).out;
    assert!(told.contains("of 0000000001.jsonl") && told.contains("NOT whole"), "{told}");

    let file = gatepost(here.path(), &["replay", SEGMENT, "--public-key", "public.pem"]).with(2);
    assert!(file.err.contains("is only a file of a log"), "{}", file.err);
}

/// The help of a command has its own options before those which all commands share.
#[test]
fn the_options_of_a_command_come_first() {
    for (command, own) in [
        (["replay"].as_slice(), ["--since", "--limit", "--public-key"].as_slice()),
        (&["sign"], &["--key", "--format"]),
        (&["log", "verify"], &["--public-key", "--contains"]),
        (&["status"], &["--url", "--admin", "--token"]),
    ] {
        for long in ["--help", "-h"] {
            let help = gatepost(Path::new("."), &[command, &[long]].concat()).with(0).out;
            let (first, _) = help.split_once("\nSettings of every command:").unwrap_or_else(|| panic!("{help}"));
            for option in own {
                assert!(first.contains(&format!("{option} ")), "{option}: {help}");
            }
            assert!(!first.contains("--store") && !first.contains("--config"), "{help}");
        }
    }
}
