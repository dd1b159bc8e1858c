//! Stored entities from further files, and what stays valid over restarts: the service as its operator starts it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use common::binary::{Serving, command, gatepost};
use common::{decide, folder, snapshot_of, with, write};
use gatepost::engine::Snapshot;
use gatepost::http::authzen::question;
use gatepost::request::json::Json;
use gatepost::request::value::Value as Typed;
use gatepost::request::{Facts, Resolved};
use serde_json::{Value, json};

const ADA: &str =
    r#"[{ "uid": { "type": "User", "id": "ada" }, "attrs": { "role": "companyAdmin", "account": "acme" } }]"#;
const ACME: &str = r#"[{ "uid": { "type": "Account", "id": "acme" }, "attrs": {
    "kind": "direct", "stage": "new", "supportedBy": "megaport", "provisionedServices": 0,
    "signUpEmail": "owner@acme.example", "billingMarket": "AU" } }]"#;

fn serve(here: &Path, arguments: &[&str]) -> Serving {
    Serving::start(&mut command(here, &[&["serve", "--listen", "127.0.0.1:0"], arguments].concat()))
}

/// Ada enters the contact of her account, and says nothing of herself or of the account.
fn enter() -> Value {
    json!({
        "subject": { "type": "User", "id": "ada" },
        "action": { "name": "enterSupportContact" },
        "resource": { "type": "Account", "id": "acme" },
        "context": { "phone": "(02) 9374 4000", "email": "support@acme.example" },
    })
}

fn revision(serving: &Serving) -> String {
    serving.banner.lines().find_map(|line| line.strip_prefix("revision ")).unwrap().to_owned()
}

/// "Overlaid per request with the caller's properties, per attribute": whichever are stored, and whichever are said.
#[test]
fn what_is_said_stands_over_what_is_stored() {
    let some = |set: usize, from: i64| {
        let all = [("a", 0), ("b", 1), ("c", 2), ("d", 3)].into_iter();
        all.filter(move |(_, place)| set >> place & 1 == 1).map(move |(name, place)| (name.to_owned(), from + place))
    };
    let attributes = |set, from| some(set, from).collect::<BTreeMap<_, _>>();
    let doc = |set: usize| json!({ "uid": { "type": "Doc", "id": set.to_string() }, "attrs": attributes(set, 0) });
    let schema = "entity User; entity Doc = { a?: Long, b?: Long, c?: Long, d?: Long };
                  action read appliesTo { principal: User, resource: Doc };";
    let store = folder([
        ("schema/s.cedarschema", schema.to_owned()),
        ("policies/p.cedar", "@id(\"p\")\npermit (principal, action, resource);".to_owned()),
        ("entities/docs.json", (0..16).map(doc).collect::<Value>().to_string()),
    ]);
    let snapshot = snapshot_of(store.path());
    for (stored, said) in (0..16).flat_map(|stored| (0..16).map(move |said| (stored, said))) {
        let body = json!({
            "subject": { "type": "User", "id": "ada" },
            "action": { "name": "read" },
            "resource": { "type": "Doc", "id": stored.to_string(), "properties": attributes(said, 10) },
        });
        let body = body.to_string();
        let read = Json::parse(body.as_bytes(), 9).unwrap();
        let resolved = snapshot.resolve(&question(&read).unwrap(), Facts::FromPlugins).unwrap();
        let Resolved::Request(request) = resolved else { panic!("{resolved:?}") };
        let found = request.resource.attributes.iter().map(|(name, value)| match value {
            Typed::Long(value) => (name.to_string(), *value),
            other => panic!("{other:?}"),
        });
        let expected: BTreeMap<String, i64> = some(stored, 0).chain(some(said, 10)).collect();
        assert!(found.eq(expected), "{stored:04b} stored, {said:04b} said");
    }
}

/// "Memory per stored entity … under 1 kB": a service that has loaded and waits does not keep what only loading took.
#[cfg(target_os = "linux")]
#[test]
fn what_only_loading_took_is_given_back() {
    let user = |number: usize| {
        json!({
            "uid": { "type": "User", "id": format!("user-{number}") },
            "attrs": { "role": "salesTeam", "account": format!("account-{number}") },
        })
    };
    let here = folder([("users.json", (0..30_000).map(user).collect::<Value>().to_string())]);
    let serving = serve(here.path(), &["--entities", "users.json"]);
    let status = std::fs::read_to_string(format!("/proc/{}/status", serving.id())).unwrap();
    let kilobytes = |name: &str| -> usize {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_matches(|character: char| !character.is_ascii_digit()).parse().unwrap()
    };
    let (peak, resident) = (kilobytes("VmHWM:"), kilobytes("VmRSS:"));
    assert!(resident < peak * 4 / 5, "{resident} kB of {peak} kB are still resident");
}

/// "`--entities FILE`, checked against the schema at load …, part of the revision, and overlaid per request with the caller's
/// properties, per attribute"; in all the ways in which a setting is given.
#[test]
fn further_files_of_entities_are_stored_like_those_of_the_store() {
    let toml = "entities = [\"more/ada.json\", \"more/acme.json\"]\n";
    let here = folder([("more/ada.json", ADA), ("more/acme.json", ACME), ("other/gatepost.toml", "")]);
    write(here.path(), "configured.toml", toml.as_bytes());
    let flags = ["--entities", "more/ada.json", "--entities", "more/acme.json"];
    let known = serve(here.path(), &flags);
    assert_eq!(known.post("/access/v1/evaluation", &enter()), (200, json!({ "decision": true })));
    let overlaid = with(enter(), json!({ "subject": { "properties": { "account": "other" } } }));
    assert_eq!(known.post("/access/v1/evaluation", &overlaid), (200, json!({ "decision": false })));
    let market = with(enter(), json!({ "resource": { "properties": { "billingMarket": "US" } } }));
    assert_eq!(known.post("/access/v1/evaluation", &market), (200, json!({ "decision": false })));
    let who = json!({ "subject": { "type": "User" }, "action": enter()["action"], "resource": enter()["resource"], "context": enter()["context"] });
    assert_eq!(
        known.post("/access/v1/search/subject", &who).1,
        json!({ "results": [{ "type": "User", "id": "ada" }] })
    );

    let unknown = serve(here.path(), &[]);
    assert_eq!(unknown.post("/access/v1/evaluation", &enter()), (200, json!({ "decision": false })));
    assert_ne!(revision(&known), revision(&unknown));
    // Where the files lie is no part of the revision, what stands in them is.
    let elsewhere = folder([("a.json", ADA), ("b.json", ACME), ("c.json", &ACME.replace("\"AU\"", "\"NZ\""))]);
    assert_eq!(revision(&known), revision(&serve(elsewhere.path(), &["--entities", "a.json,b.json"])));
    assert_ne!(revision(&known), revision(&serve(elsewhere.path(), &["--entities", "a.json,c.json"])));
    let configured = serve(&here.path().join("other"), &["--config", "../configured.toml"]);
    assert_eq!(revision(&known), revision(&configured));
    let mut environment = command(here.path(), &["check"]);
    let checked = environment.env("GATEPOST_ENTITIES", "more/ada.json,more/acme.json").output().unwrap();
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(said.contains("2 stored entities") && said.contains(&revision(&known)), "{said}");
}

/// "errors that name file and entity … Cycles, a parent that does not exist, a duplicate uid: clear errors."
#[test]
fn what_is_wrong_with_a_further_file_is_said_before_the_service_starts() {
    let wrong = ADA.replace("companyAdmin", "admin");
    let twice = ADA.replace("\"ada\"", "\"\\u0061da\"");
    let here = folder([("ada.json", ADA), ("wrong.json", &wrong), ("twice.json", &twice), ("no.json", "{}")]);
    write(here.path(), "latin.json", b"[\"\xe9\"]");
    for (files, expected) in [
        ("wrong.json", "entity 0: `User::\"ada\"`: `role` must be the id of a Role"),
        ("wrong.json", "wrong.json:1:36"),
        ("ada.json,twice.json", "the entity `User::\"ada\"` is stored twice"),
        ("ada.json,twice.json", "twice.json"),
        ("ada.json,ada.json", "is stored twice"),
        ("no.json", "entities are written as an array"),
        ("none.json", "`none.json` cannot be read"),
        ("latin.json", "`latin.json` is not UTF-8 text"),
    ] {
        for subcommand in ["serve", "check"] {
            let ran = gatepost(here.path(), &[subcommand, "--entities", files]);
            let said = format!("{}{}", ran.out, ran.err);
            assert!(matches!(ran.status, Some(1 | 2)) && said.contains(expected), "{subcommand} {files}: {said}");
        }
    }
}

/// "valid across restarts only if a key is configured, and refused with a clear 400 when the revision has changed in between".
#[test]
fn with_a_key_page_tokens_outlive_the_service_but_not_the_revision() {
    let users: Vec<Value> = (0..5)
        .map(|index| json!({ "uid": { "type": "User", "id": format!("u{index}") }, "attrs": { "role": "companyAdmin", "account": "acme" } }))
        .collect();
    let users = Value::from(users).to_string();
    let secret = "0123456789abcdef0123456789abcdef";
    let here = folder([
        ("users.json", &*users),
        ("acme.json", ACME),
        ("key", secret),
        ("key-with-newline", &format!("{secret}\n")),
    ]);
    write(here.path(), "more.json", users.replace("\"u4\"", "\"u9\"").as_bytes());
    write(here.path(), "short", &secret.as_bytes()[1..]);
    let body = json!({
        "subject": { "type": "User" },
        "action": { "name": "viewSupportContact" },
        "resource": { "type": "Account", "id": "acme" },
        "page": { "limit": 2 },
    });
    let started =
        |file: &str, key: &[&str]| serve(here.path(), &[&["--entities", &format!("acme.json,{file}")], key].concat());
    let search = |serving: &Serving, body: &Value| serving.post("/access/v1/search/subject", body);
    for (key, other_key, is_valid) in [
        (&["--page-key", "key"][..], &["--page-key", "key-with-newline"][..], true),
        (&["--page-key", "key"], &[], false),
        (&[], &[], false),
    ] {
        let (_, first) = search(&started("users.json", key), &body);
        let next = with(body.clone(), json!({ "page": { "token": first["page"]["next_token"] } }));
        let (status, second) = search(&started("users.json", other_key), &next);
        if is_valid {
            assert_eq!(
                (status, &second["results"]),
                (200, &json!([{ "type": "User", "id": "u2" }, { "type": "User", "id": "u3" }]))
            );
            let (status, message) = search(&started("more.json", other_key), &next);
            assert_eq!(status, 400);
            assert!(message.as_str().unwrap().starts_with("the policies or the entities have changed"), "{message}");
        } else {
            assert_eq!(status, 400, "{second}");
        }
    }
    for (key, expected) in
        [("short", "has 31 bytes; at least 32 are needed"), ("none", "the page key in `none` cannot be read")]
    {
        let ran = gatepost(here.path(), &["serve", "--page-key", key]).with(2);
        assert!(ran.err.contains(expected) && !ran.err.contains(&secret[1..]), "{}", ran.err);
    }
}

/// What is packed comes back as it was written: every kind of value, at any depth, in the raw and as facts.
#[test]
fn a_stored_entity_decides_as_one_that_is_sent() {
    let schema = r#"
        @parsed_by("phone") type Phone = { valid: Bool, e164: String, region: String };
        entity Team in [Team, Club]; entity Club;
        entity Thing in [Team, Club] = {
            flag: Bool, number: Long, text: String, other?: Thing, ip: ipaddr, nothing?: String,
            deep: {
                set: Set<{ name: String, phone: Phone, numbers: Set<Long> }>,
                inner?: { a?: String, b: Set<Set<String>>, c?: Phone, none: Set<String> },
            },
            phones: Set<Phone>, country: String, @market("this.country") phone: Phone,
        } tags Set<String>;
        action look appliesTo { principal: Thing, resource: Thing };
    "#;
    let attributes = json!({
        "flag": true, "number": -7, "text": "tex", "other": "t", "ip": "10.0.0.0/8",
        "deep": {
            "set": [
                { "name": "", "phone": "911", "numbers": [3] },
                { "name": "t", "phone": "+61293744000", "numbers": [1, 2] },
            ],
            "inner": { "b": [["x", "te"], ["t"]], "c": "+16502530000", "none": [] },
        },
        "phones": ["911", "+16502530000"], "country": "AU", "phone": "(02) 9374 4000",
    });
    let policies = [
        "principal.flag",
        "principal.number == -7",
        "principal.text == \"tex\"",
        "principal has other && principal.other == Thing::\"t\"",
        "principal.ip.isInRange(ip(\"10.0.0.0/7\"))",
        "principal.deep has inner && principal.deep.inner.b.contains([\"te\", \"x\"])",
        "principal.deep has inner && principal.deep.inner.none.isEmpty()",
        "principal.deep has inner && principal.deep.inner has c && principal.deep.inner.c.region == \"US\"",
        "principal.deep has inner && !(principal.deep.inner has a)",
        "principal.deep.set.contains({ name: \"\", numbers: [3], phone: { valid: false, e164: \"\", region: \"\" } })",
        "principal.deep.set.contains({ name: \"t\", numbers: [2, 1], phone: { valid: true, e164: \"+61293744000\", region: \"AU\" } })",
        "principal.phone.region == \"AU\"",
        "principal.phone.e164 == \"+61293744000\"",
        "principal.phones.contains({ valid: false, e164: \"\", region: \"\" })",
        "principal.phones.contains({ valid: true, e164: \"+16502530000\", region: \"US\" })",
        "!(principal has nothing)",
        "principal in Team::\"a\"",
        "principal in Club::\"a\"",
        "!(principal in Team::\"b\")",
        "principal.hasTag(\"te\") && principal.getTag(\"te\") == [\"x\"]",
        "principal.hasTag(\"\") && principal.getTag(\"\").isEmpty()",
        "!principal.hasTag(\"x\")",
    ];
    let policy = |condition: &&str| {
        format!("@id({condition:?}) permit (principal, action, resource == Thing::\"t\") when {{ {condition} }};")
    };
    let entities = json!([
        { "uid": { "type": "Team", "id": "a" } }, { "uid": { "type": "Team", "id": "b" } }, { "uid": { "type": "Club", "id": "a" } },
        { "uid": { "type": "Thing", "id": "t" }, "attrs": attributes, "tags": { "te": ["x"], "": [] },
          "parents": [{ "type": "Club", "id": "a" }, { "type": "Team", "id": "a" }] },
    ]);
    let files = [
        ("schema/things.cedarschema", schema.to_owned()),
        ("policies/things.cedar", policies.iter().map(policy).collect::<Vec<_>>().join("\n")),
        ("entities/things.json", entities.to_string()),
    ];
    let snapshot = snapshot_of(folder(files).path());
    let body = json!({
        "subject": { "type": "Thing", "id": "t" }, "action": { "name": "look" }, "resource": { "type": "Thing", "id": "t" },
    });
    let mut expected = policies.to_vec();
    expected.sort_unstable();
    // As it is stored, and with one attribute sent beside it, so that all the others are laid under that.
    for said in [json!({}), json!({ "flag": true }), json!({ "country": "AU" })] {
        let asked = with(body.clone(), json!({ "subject": { "properties": said } }));
        let decision = decide(&snapshot, &asked).unwrap();
        assert_eq!(common::determining(&decision), expected, "{said}");
    }
    // The market of the stored phone is the one that is sent.
    let elsewhere = with(body, json!({ "subject": { "properties": { "country": "US" } } }));
    let decision = decide(&snapshot, &elsewhere).unwrap();
    assert!(!common::determining(&decision).contains(&"principal.phone.region == \"AU\""), "{decision:?}");
}

const HOUSE: &str = "entity Group in [Group]; entity User in [Group] = { friend?: User, friends: Set<User> };
    entity Doc = { owner: User, team?: Group };
    action read, share appliesTo { principal: User, resource: Doc };";

fn house(policies: &str, entities: Vec<Value>) -> Snapshot {
    let entities = Value::from(entities).to_string();
    snapshot_of(
        folder([("schema/h.cedarschema", HOUSE), ("policies/h.cedar", policies), ("entities/h.json", &entities)])
            .path(),
    )
}

fn uid(kind: &str, id: impl std::fmt::Display) -> Value {
    json!({ "type": kind, "id": id.to_string() })
}

/// A chain of groups is as deep as its author likes: the last decides as the first does, and nothing overflows.
#[test]
fn a_deep_hierarchy_is_one_like_any_other() {
    const DEEP: usize = 20_000;
    let group = |index: usize| {
        let parents: Vec<Value> = (index + 1 < DEEP).then(|| uid("Group", index + 1)).into_iter().collect();
        json!({ "uid": uid("Group", index), "parents": parents })
    };
    let others = [
        json!({ "uid": uid("User", "ada"), "attrs": { "friends": [] }, "parents": [uid("Group", 0)] }),
        json!({ "uid": uid("Doc", "one"), "attrs": { "owner": "ada", "team": "5" } }),
    ];
    let policies = format!(
        "@id(\"top\") permit (principal in Group::\"{}\", action == Action::\"read\", resource);
         @id(\"team\") permit (principal, action == Action::\"share\", resource)
           when {{ resource has team && resource.team in Group::\"{0}\" && !(resource.team in Group::\"4\") && principal in resource.team }};",
        DEEP - 1
    );
    let snapshot = house(&policies, (0..DEEP).map(group).chain(others).collect());
    for action in ["read", "share"] {
        let body =
            json!({ "subject": uid("User", "ada"), "action": { "name": action }, "resource": uid("Doc", "one") });
        assert!(decide(&snapshot, &body).unwrap().allowed, "{action}");
    }
}

/// "A request pulls in only the entities it can reach …: its cost does not depend on how many are stored", also where all of them
/// refer to one another.
#[test]
fn a_request_reads_no_further_than_its_policies_do() {
    let ring = |count: usize| {
        let user = |index: usize| {
            let next = (index + 1) % count;
            let attributes =
                json!({ "friend": next.to_string(), "friends": [next.to_string(), ((index + 7) % count).to_string()] });
            json!({ "uid": uid("User", index), "attrs": attributes })
        };
        let doc = json!({ "uid": uid("Doc", "one"), "attrs": { "owner": "0" } });
        let policies = "@id(\"friend\") permit (principal, action == Action::\"read\", resource)
                          when { principal has friend && principal.friend has friend && principal.friend.friend == resource.owner };
                        @id(\"friends\") permit (principal, action == Action::\"share\", resource)
                          when { principal has friend.friend.friend && principal.friend.friend.friends.contains(resource.owner) };";
        house(policies, (0..count).map(user).chain([doc]).collect())
    };
    let timed = |snapshot: &Snapshot, count: usize| {
        let begun = Instant::now();
        for index in 0..200 {
            let subject = (count - 2 + index * 7) % count;
            let body = |action: &str| json!({ "subject": uid("User", subject), "action": { "name": action }, "resource": uid("Doc", "one") });
            assert_eq!(
                decide(snapshot, &body("read")).unwrap().allowed,
                (subject + 2).is_multiple_of(count),
                "{index}"
            );
            // The friends of the friend two further on are three and nine further on.
            let shares = [3, 9].iter().any(|way| (subject + way).is_multiple_of(count));
            assert_eq!(decide(snapshot, &body("share")).unwrap().allowed, shares, "{index}");
        }
        begun.elapsed()
    };
    let (few, many) = (ring(300), ring(20_000));
    timed(&few, 300);
    let (few, many) = (timed(&few, 300), timed(&many, 20_000));
    assert!(many < few * 3, "{many:?} instead of {few:?}");
}
