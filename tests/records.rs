//! The decision log of a running service: "One JSON line per decision: sequence, time, caller, request (as decided …), facts and plugin
//! versions, decision, determining policies and their clauses, errors, revision, duration, request id; batch items and search each
//! identifiable."

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::binary::{Serving, command, gatepost};
use common::server::{Answer, Client};
use common::{copy_of_built_in, edit, enter, folder, with, write};
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::tls::TlsConfig;

const EVALUATION: &str = "/access/v1/evaluation";
const KEY: &str = "0123456789abcdef0123456789abcdef";

struct Logging {
    serving: Serving,
    client: Client,
}

impl Logging {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let all = [&["serve", "--listen", "127.0.0.1:0", "--log", "log"], arguments].concat();
        let serving = Serving::start(&mut command(folder, &all));
        let client = Client::new(serving.url(), TlsConfig::default());
        Self { serving, client }
    }

    fn send(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let headers = [&[("content-type", "application/json")], headers].concat();
        self.client.send("POST", path, &headers, body.to_string()).unwrap()
    }

    /// Stops it, and gives the records of its log.
    fn stop(self, folder: &Path) -> Vec<Value> {
        self.serving.signal("TERM");
        let (status, said) = self.serving.end();
        assert_eq!(status, Some(0), "{said}");
        records(&folder.join("log"))
    }
}

fn records(log: &Path) -> Vec<Value> {
    let mut files: Vec<_> = std::fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "jsonl"));
    files.sort();
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["type"] == "decision").collect()
}

/// Without what is another each time.
fn settled(record: Value) -> Value {
    let Value::Object(members) = record else { panic!("{record}") };
    let varying = ["time", "chain", "revision", "durationMicros", "plugins"];
    assert!(varying.iter().all(|name| members.contains_key(*name)), "{members:?}");
    Value::Object(members.into_iter().filter(|(name, _)| !varying.contains(&name.as_str())).collect())
}

#[test]
fn a_record_says_all_of_a_decision() {
    let here = folder([("key", KEY)]);
    let logging = Logging::start(here.path(), &["--log-mask-key", "key", "--log-durability", "strict"]);
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [("x-request-id", "mine"), ("traceparent", trace)];
    logging.send(EVALUATION, &headers, &enter());
    let more =
        json!({ "subject": { "properties": { "undeclared": 1 } }, "context": { "phone": "no number", "note": "n" } });
    logging.send(EVALUATION, &[("x-request-id", "denied")], &with(enter(), more));
    let records = logging.stop(here.path());
    insta::assert_json_snapshot!(records.into_iter().map(settled).collect::<Vec<_>>());
}

#[test]
fn items_of_batches_and_searches_are_identifiable() {
    let entities = json!([
        { "uid": { "type": "User", "id": "ada" }, "attrs": { "role": "companyAdmin", "account": "acme" } },
        { "uid": { "type": "User", "id": "bob" }, "attrs": { "role": "accountUser", "account": "acme" } },
        { "uid": { "type": "User", "id": "eve" }, "attrs": { "role": "companyAdmin", "account": "other" } },
    ]);
    let here = folder([("users.json", entities.to_string())]);
    let logging = Logging::start(here.path(), &["--entities", "users.json"]);
    let items = json!([{}, "no request", { "subject": with(enter()["subject"].clone(), json!({ "properties": { "role": 1 } })) }, { "action": { "name": "fly" } }]);
    logging.send(
        "/access/v1/evaluations",
        &[("x-request-id", "batch")],
        &with(enter(), json!({ "evaluations": items })),
    );
    let search = with(enter(), json!({ "subject": { "id": "<remove>", "properties": "<remove>" } }));
    for limit in [1, 10] {
        let id = format!("search-{limit}");
        let page = with(search.clone(), json!({ "page": { "limit": limit } }));
        let found = logging.send("/access/v1/search/subject", &[("x-request-id", &id)], &page).json();
        assert_eq!(found["results"], json!([{ "type": "User", "id": "ada" }]));
    }
    logging.send("/access/v1/search/action", &[("x-request-id", "actions")], &enter());
    let records = logging.stop(here.path());
    let brief = records.iter().map(|record| {
        let mut brief = format!("{} {}", record["requestId"], record["endpoint"]);
        for name in ["item", "verdict", "action", "invalid", "results", "count", "after", "upTo"] {
            if !record[name].is_null() {
                brief += &format!(" {name}={}", record[name]);
            }
        }
        brief
    });
    insta::assert_snapshot!(brief.collect::<Vec<_>>().join("\n"));
}

/// "Raw values of types that plugins parse, and attributes marked `@sensitive` in the schema, are masked by default (a keyed digest, so that
/// equal values can be matched by whoever holds the key)"; "the names of what was dropped, never the values".
#[test]
fn what_is_masked_can_be_matched_by_the_key_and_read_by_nobody() {
    let schema = r#"
        @parsed_by("email") type Email = { valid: Bool, address: String, domain: String };
        entity User = {
            mail: Email, others: Set<Email>,
            @sensitive salary: Long, @sensitive name?: String, home: { city: String, @sensitive street: String },
        };
        entity Doc;
        action read appliesTo { principal: User, resource: Doc, context: { @sensitive pin?: String } };"#;
    let policy = "@id(\"p\") permit (principal, action, resource) when { principal.salary + 9223372036854770000 > 0 };";
    let here = folder([("s/schema/s.cedarschema", schema), ("s/policies/p.cedar", policy), ("key", KEY)]);
    let secrets = ["canary", "4711", "5808"];
    let body = json!({
        "subject": { "type": "User", "id": "ada", "properties": {
            "mail": "canary.bird@example.com", "others": ["canary.two@example.org", "canary no mail"],
            "salary": 4711, "name": "canary", "home": { "city": "Rome", "street": "canary street" }, "undeclared": "canary",
        } },
        "action": { "name": "read" },
        "resource": { "type": "Doc", "id": "d" },
        "context": { "pin": "canary" },
    });
    let ask = |arguments: &[&str]| {
        let log = here.path().join("log");
        let _ = std::fs::remove_dir_all(&log);
        let logging = Logging::start(here.path(), &[&["--store", "s"], arguments].concat());
        logging.send(EVALUATION, &[], &body);
        // A number beyond 64 bits: Cedar's message quotes the operands.
        logging.send(EVALUATION, &[], &with(body.clone(), json!({ "subject": { "properties": { "salary": 5808 } } })));
        logging.send(
            "/access/v1/evaluations",
            &[],
            &with(body.clone(), json!({ "evaluations": ["canary", { "context": { "pin": 4711 } }] })),
        );
        let records = logging.stop(here.path());
        let files = std::fs::read_dir(log).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        (records, files.collect::<String>())
    };
    let (records, text) = ask(&["--log-mask-key", "key"]);
    assert_eq!(records.len(), 4);
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let attributes = &records[0]["principal"]["attributes"];
    let masked =
        |value: &str| gatepost(here.path(), &["log", "mask", "--key", "key", value]).with(0).out.trim().to_owned();
    assert_eq!(attributes["mail"]["gatepost:masked"], masked("canary.bird@example.com"));
    assert_eq!(attributes["mail"]["domain"], "example.com");
    assert_eq!(attributes["mail"]["address"], json!({ "gatepost:masked": masked("canary.bird@example.com") }));
    assert_eq!(
        attributes["others"][1],
        json!({ "gatepost:masked": masked("canary no mail"), "valid": false, "address": "", "domain": "" })
    );
    // What can be tried out has another mask each time; who holds the key still tells whether it is that value.
    let (salary, name) = (&attributes["salary"], &attributes["name"]);
    let like = |mask: &Value, value: &str| {
        let mask = mask["gatepost:masked"].as_str().unwrap();
        let of = gatepost(here.path(), &["log", "mask", "--key", "key", "--like", mask, value]).with(0).out;
        of.trim() == mask
    };
    assert_eq!(salary["gatepost:type"], "Long");
    assert!(like(salary, "4711") && !like(salary, "4712") && like(name, "canary"), "{attributes}");
    assert_ne!(name["gatepost:masked"], records[0]["context"]["pin"]["gatepost:masked"]);
    assert_ne!(*salary, records[2]["principal"]["attributes"]["salary"]);
    assert_eq!(
        attributes["home"],
        json!({ "city": "Rome", "street": { "gatepost:masked": masked("canary street"), "gatepost:type": "String" } })
    );
    assert_eq!(records[0]["dropped"], json!(["principal.undeclared"]));
    assert_eq!(records[1]["errors"], json!([{ "policy": "p", "error": "the number is beyond 64 bits" }]));
    // Without a key, nobody can match anything.
    let (others, _) = ask(&[]);
    assert_ne!(others[0]["principal"], records[0]["principal"]);
    // And who wants the values in the log says so.
    let (plain, _) = ask(&["--log-unmasked"]);
    let attributes = &plain[0]["principal"]["attributes"];
    assert_eq!(
        (&attributes["salary"], &attributes["mail"]["gatepost:raw"]),
        (&json!(4711), &json!("canary.bird@example.com"))
    );
}

/// "facts stay, so masking never makes a decision unreplayable unless a policy reads the masked attribute, and `check` says so."
#[test]
fn check_names_the_policies_that_read_what_is_masked() {
    let store = copy_of_built_in();
    let check = |expected: i32| {
        gatepost(store.path(), &["check", "--store", ".", "--deny-warnings", "--solver", "true"]).with(expected).out
    };
    assert!(!check(0).contains("masks"));
    edit(
        &store,
        "policies/validation.cedar",
        "unless { context.email.valid };",
        "unless { context.email.valid && context.email.address != \"\" };",
    );
    let said = check(1);
    assert!(said.contains("`email-well-formed` reads `context.email.address`, which the decision log masks"), "{said}");
    assert!(said.contains("@allow(\"masked\")"), "{said}");
    edit(
        &store,
        "policies/validation.cedar",
        "@id(\"email-well-formed\")",
        "@id(\"email-well-formed\")\n@allow(\"masked\")",
    );
    assert!(!check(0).contains("masks"));
    edit(
        &store,
        "schema/support-contact.cedarschema",
        "  billingMarket?: String,",
        "  @sensitive\n  billingMarket?: String,",
    );
    assert!(
        check(1)
            .contains("`phone-valid-for-billing-market` reads `resource.billingMarket`, which the decision log masks")
    );
    edit(&store, "schema/support-contact.cedarschema", "entity User = {", "@sensitive\nentity User = {");
    assert!(check(1).contains("`@sensitive` means nothing on entity type `User`"));
}

/// "When the disk is full or the file cannot be written: `strict` and `buffered` answer 503 and recover by themselves."
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_answered_with_503_until_there_is_room() {
    for durability in ["strict", "buffered"] {
        let here = TempDir::new().unwrap();
        // The limit of the size of a file stands for a disk that is full: 64 blocks of 512 or 1024 bytes.
        let script = format!(
            "ulimit -S -f 64; exec {} serve --listen 127.0.0.1:0 --log log --log-durability {durability}",
            env!("CARGO_BIN_EXE_gatepost")
        );
        let serving = Serving::start(Command::new("sh").args(["-c", &script]).current_dir(here.path()));
        let client = Client::new(serving.url(), TlsConfig::default());
        let logging = Logging { serving, client };
        let mut answered = BTreeSet::new();
        let mut ask = |number: usize| {
            let id = format!("r{number}");
            let answer = logging.send(EVALUATION, &[("x-request-id", &id)], &enter());
            match answer.status {
                200 => drop(answered.insert(id)),
                503 => assert_eq!(answer.header("retry-after"), Some("1"), "{answer:?}"),
                other => panic!("{other}: {answer:?}"),
            }
            answer.status
        };
        let began = Instant::now();
        let mut number = 0;
        let mut until = |status: u16, ask: &mut dyn FnMut(usize) -> u16| {
            while ask(number) != status {
                number += 1;
                assert!(began.elapsed() < Duration::from_secs(60), "{durability}: no {status}");
            }
            number += 1;
        };
        until(503, &mut ask);
        // It stays so, and the rest of the service goes on.
        std::thread::sleep(Duration::from_millis(600));
        until(503, &mut ask);
        let get = |path: &str| logging.client.send("GET", path, &[], "").unwrap();
        let ready = get("/readyz");
        assert_eq!((get("/healthz").status, ready.status, ready.header("retry-after")), (200, 503, Some("1")));
        assert_eq!((&ready.json()["status"], &ready.json()["reason"]), (&json!("unready"), &json!("log")));
        let told = gatepost(here.path(), &["status", "--url", logging.serving.url()]).with(1);
        assert!(told.out.contains("no decision is made: the decision log cannot be written"), "{}", told.out);
        assert!(get("/metrics").text.contains("gatepost_log_failing 1"), "{durability}");
        let process = logging.serving.id().to_string();
        let raised = Command::new("prlimit").args(["--pid", &process, "--fsize=unlimited"]).status().unwrap();
        assert!(raised.success());
        until(200, &mut ask);
        assert_eq!((get("/readyz").status, get("/readyz").json()["status"].as_str()), (200, Some("ready")));
        assert!(get("/metrics").text.contains("gatepost_log_failing 0"));
        for more in 0..50 {
            ask(1_000_000 + more);
        }
        let logged: Vec<String> =
            logging.stop(here.path()).iter().map(|record| record["requestId"].as_str().unwrap().to_owned()).collect();
        let ids: BTreeSet<&String> = logged.iter().collect();
        assert_eq!(ids.len(), logged.len(), "{durability}: a record is there twice");
        let lost: Vec<_> = answered.iter().filter(|id| !ids.contains(id)).collect();
        assert!(lost.is_empty(), "{durability}: {lost:?} of {} answered are lost", answered.len());
        gatepost(here.path(), &["log", "verify", "log"]).with(0);
    }
}

fn search_for_subjects() -> Value {
    with(enter(), json!({ "subject": { "id": "<remove>", "properties": "<remove>" } }))
}

/// "`gatepost replay LOG [--store DIR]` … exit 1 if anything changed, for CI", over what a service has logged, searches too.
#[test]
fn a_log_is_replayed_under_another_store() {
    let store = copy_of_built_in();
    let entities = json!([
        { "uid": { "type": "User", "id": "ada" }, "attrs": { "role": "companyAdmin", "account": "acme" } },
        { "uid": { "type": "User", "id": "bob" }, "attrs": { "role": "accountUser", "account": "acme" } },
    ]);
    write(store.path(), "entities/users.json", entities.to_string().as_bytes());
    let logging = Logging::start(store.path(), &["--store", "."]);
    for id in ["ada", "bob"] {
        logging.send(EVALUATION, &[], &with(enter(), json!({ "subject": { "id": id, "properties": "<remove>" } })));
    }
    let search = search_for_subjects();
    assert_eq!(logging.send("/access/v1/search/subject", &[], &search).json()["results"][0]["id"], "ada");
    logging.send("/access/v1/search/action", &[], &enter());
    logging.stop(store.path());
    let replay = |arguments: &[&str], status: i32| {
        let all = [&["replay", "log", "--store", ".", "--format", "json"], arguments].concat();
        gatepost(store.path(), &all).with(status).json()
    };
    let same = replay(&[], 0);
    assert_eq!((&same["changed"], &same["otherwise"], &same["notReplayed"]), (&json!(0), &json!(0), &json!([])));
    assert_eq!(same["records"], same["replayed"]);
    let enter = "  action == Action::\"enterSupportContact\",\n  resource is Account\n)\nwhen\n{ principal.account == resource && principal.role == Role::\"companyAdmin\" };";
    edit(&store, "policies/permissions.cedar", enter, &enter.replace("companyAdmin", "accountUser"));
    let changed = replay(&["--action", "enterSupportContact"], 1);
    // Ada loses, Bob gains, the search finds the one instead of the other, and of all actions Ada may do one less.
    assert_eq!(
        (&changed["changed"], &changed["gained"], &changed["lost"]),
        (&json!(4), &json!(2), &json!(3)),
        "{changed:#}"
    );
    let search = changed["examples"]
        .as_array()
        .unwrap()
        .iter()
        .find(|example| example["after"].as_str().unwrap().contains("found"));
    assert_eq!(search.unwrap()["after"], "1 found, with `bob`, without `ada`");
    assert_eq!(replay(&["--limit", "1"], 1)["records"], 1);
    assert_eq!(replay(&["--since", "1h"], 1)["records"], same["records"]);
    // What replays nothing is no success.
    assert_eq!(replay(&["--since", "2999-01-01"], 2)["records"], 0);
    assert_eq!(replay(&["--action", "enterSupportContac"], 2)["records"], 0);
    for (arguments, what) in [(&["--since", "soon"][..], "age"), (&["nowhere"][..], "nowhere")] {
        let ran = gatepost(store.path(), &[&["replay", "log"], arguments].concat());
        assert!(ran.status == Some(2) && ran.err.contains(what), "{ran:?}");
    }
    // A limit of nothing is none; what is decided under the store of now is as before.
    let again = Logging::start(store.path(), &["--store", "."]);
    let unlimited = with(search_for_subjects(), json!({ "page": { "limit": 0 } }));
    assert_eq!(again.send("/access/v1/search/subject", &[], &unlimited).json()["results"][0]["id"], "bob");
    again.stop(store.path());
    assert_eq!(replay(&["--action", "enterSupportContact"], 1)["changed"], json!(4));
    // What is no longer there is counted.
    let file = store.path().join("log/0000000001.jsonl");
    let lines = std::fs::read_to_string(&file).unwrap();
    let without: Vec<&str> =
        lines.lines().enumerate().filter(|(number, _)| *number != 3).map(|(_, line)| line).collect();
    std::fs::write(&file, without.join("\n") + "\n").unwrap();
    assert_eq!(replay(&[], 1)["absentLines"], 1);
    let text = gatepost(store.path(), &["replay", "log", "--store", "."]).with(1).out;
    assert!(text.contains("1 line not in the log"), "{text}");
    for part in ["Changed, by policy", "Changed, by row of the matrix", "Changed, by action", "Changed, by caller"] {
        assert!(text.contains(part), "{text}");
    }
}
