//! What is `@sensitive` stands in no log, no diagnostic and no reason; and who takes a mask away is told so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::binary::gatepost;
use common::{evaluate, folder, open_limits, problems_of, snapshot_of};
use gatepost::engine::Snapshot;
use serde_json::{Value, json};
use tempfile::TempDir;

const SECRET: &str = "canary-4711";
/// What else stands on the lines around it.
const NEIGHBOUR: &str = "neighbour-0815";

/// A store of users with a secret; the condition of its one permit, and the entities.
fn store(user: &str, condition: &str, entities: &str) -> TempDir {
    folder([
        (
            "schema/s.cedarschema",
            format!(
                "entity User = {user};\nentity Doc;\n\
                 action read appliesTo {{ principal: User, resource: Doc, context: {{ @sensitive code?: String }} }};"
            ),
        ),
        ("policies/p.cedar", format!("@id(\"p\") permit (principal, action, resource) when {{ {condition} }};")),
        ("entities/e.json", entities.to_owned()),
    ])
}

const USER: &str = "{ @sensitive pin?: String, @sensitive at?: decimal, @sensitive home?: { zip: String }, number?: Long, note?: String, @sensitive sum?: Long }";

/// "Stored `@sensitive` values, and their neighbours on the line, in `check`, `POST /reload`, `/status`, standard error": a diagnostic says
/// where and what, and shows no text around it.
#[test]
fn diagnostics_of_stored_entities_show_nothing_that_is_sensitive() {
    let broken = [
        // A wrong value in what is sensitive,
        json!({ "pin": 4711_4711, "note": NEIGHBOUR }),
        json!({ "at": SECRET, "note": NEIGHBOUR }),
        json!({ "home": { "zip": [SECRET] }, "note": NEIGHBOUR }),
        // beside it,
        json!({ "pin": SECRET, "number": "no number", "note": NEIGHBOUR }),
        json!({ "pin": SECRET, "undeclared": 1, "note": NEIGHBOUR }),
    ];
    for attributes in broken {
        let line = |id: &str, attributes: &Value| {
            json!({ "uid": { "type": "User", "id": id }, "attrs": attributes }).to_string()
        };
        let other = json!({ "pin": SECRET, "note": NEIGHBOUR });
        let entities = format!("[\n{},\n{},\n{}\n]\n", line("a", &other), line("b", &attributes), line("c", &other));
        let store = store(USER, "true", &entities);
        let problems = problems_of(store.path());
        let texts: Vec<String> = problems
            .iter()
            .flat_map(|problem| [problem.rendered(120, false), problem.to_string(), problem.as_json().to_string()])
            .collect();
        let checked = gatepost(store.path(), &["check", "--store", "."]).with(1);
        for text in texts.iter().chain([&checked.out, &checked.err]) {
            for hidden in [SECRET, NEIGHBOUR, "47114711"] {
                assert!(!text.contains(hidden), "{hidden} in {text}");
            }
        }
        // It is found all the same.
        assert!(texts.iter().any(|text| text.contains("`User::\"b\"`")), "{texts:?}");
        assert!(
            checked.err.contains("entities/e.json:3:") || checked.out.contains("entities/e.json:3:"),
            "{checked:?}"
        );
    }
    // Where nothing is sensitive, the place is shown.
    let open = folder([
        (
            "schema/s.cedarschema",
            "entity User = { number: Long }; entity Doc; action read appliesTo { principal: User, resource: Doc };",
        ),
        ("policies/p.cedar", "@id(\"p\") permit (principal, action, resource);"),
        (
            "entities/e.json",
            "[{ \"uid\": { \"type\": \"User\", \"id\": \"a\" }, \"attrs\": { \"number\": \"seven\" } }]",
        ),
    ]);
    assert!(problems_of(open.path())[0].rendered(120, false).contains("\"seven\""));
}

fn reasons(snapshot: &Snapshot, context: Value) -> String {
    let body = json!({
        "subject": { "type": "User", "id": "a" },
        "action": { "name": "read" },
        "resource": { "type": "Doc", "id": "d" },
        "context": context,
        "options": { "reasons": "admin" },
    });
    evaluate(snapshot, &open_limits(), &body).unwrap().to_string()
}

/// "In admin reasons for one who never sent them": neither what a condition saw, nor what Cedar quotes of it.
#[test]
fn reasons_show_nothing_that_is_sensitive() {
    let entities = json!([{ "uid": { "type": "User", "id": "a" }, "attrs": {
        "pin": SECRET, "at": "47.11", "home": { "zip": SECRET }, "number": i64::MAX, "note": NEIGHBOUR, "sum": 9_223_372_036_854_770_815_i64,
    } }])
    .to_string();
    for condition in [
        "principal has pin && principal.pin == \"x\"",
        "principal has sum && principal.sum + 9000 > 0",
        "principal has at && principal.at == decimal(\"1.0\")",
        "principal has home && principal.home.zip == \"x\"",
        "principal has home && principal.home == { zip: \"x\" }",
        "principal has pin && [principal.pin].contains(\"x\")",
        "principal has pin && principal has note && { a: principal.pin, b: principal.note } == { a: \"x\", b: \"y\" }",
        "context has code && context.code == \"x\"",
    ] {
        let snapshot = snapshot_of(store(USER, condition, &entities).path());
        let said = reasons(&snapshot, json!({ "code": SECRET }));
        assert!(said.contains("\"decision\":false") && said.contains("p"), "{said}");
        assert!(
            !said.contains(SECRET) && !said.contains("47.11") && !said.contains("9223372036854770815"),
            "{condition}: {said}"
        );
    }
    // What is not sensitive is shown.
    let snapshot = snapshot_of(store(USER, "principal has note && principal.note == \"x\"", &entities).path());
    assert!(reasons(&snapshot, json!({})).contains(NEIGHBOUR));
    let snapshot = snapshot_of(store(USER, "principal has number && principal.number + 1 > 0", &entities).path());
    assert!(reasons(&snapshot, json!({})).contains("9223372036854775807"));
}

/// "`diff` says a changed mask first", and `--deny-wider` does not pass over it.
#[test]
fn diff_says_first_which_masks_changed() {
    let [unpinned, unhoused] = ["pin", "home"].map(|name| USER.replace(&format!("@sensitive {name}"), name));
    let stores = [(USER, USER, None), (USER, &*unpinned, Some("User.pin")), (USER, &*unhoused, Some("User.home"))];
    for (old, new, unmasked) in stores {
        let stores = [store(old, "true", "[]"), store(new, "true", "[]")];
        let [old, new] = [&stores[0], &stores[1]].map(|store| store.path().to_str().unwrap());
        let status = i32::from(unmasked.is_some());
        let told = gatepost(stores[0].path(), &["diff", old, new, "--deny-wider"]).with(status).out;
        let json = gatepost(stores[0].path(), &["diff", old, new, "--format", "json"]).with(0).json();
        match unmasked {
            None => assert!(told.contains("nothing changed") && json["masks"] == json!([]), "{told}"),
            Some(name) => {
                let count = if name == "User.home" { "2 masks changed" } else { "1 mask changed" };
                assert!(told.contains(count), "{told}");
                assert!(
                    told.contains(&format!("`{name}` is no longer masked"))
                        || told.contains(&format!("{name} is no longer masked")),
                    "{told}"
                );
                assert_eq!(json["masks"][0], json!({ "name": name, "maskedNow": false }));
            }
        }
        let back = gatepost(stores[0].path(), &["diff", new, old, "--deny-wider"]).with(0).out;
        assert_eq!(back.contains("is masked now"), unmasked.is_some(), "{back}");
    }
    // What a plugin reads is masked too: where it does no longer, the string will stand in the log.
    let with_plugin = |bound: &str| {
        folder([
            (
                "schema/s.cedarschema",
                format!(
                    "{bound}\nentity User = {{ mail?: Mail }}; entity Doc; action read appliesTo {{ principal: User, resource: Doc }};"
                ),
            ),
            ("policies/p.cedar", "@id(\"p\") permit (principal, action, resource);".to_owned()),
        ])
    };
    let (old, new) = (
        with_plugin("@parsed_by(\"email\") type Mail = { valid: Bool, address: String, domain: String };"),
        with_plugin("type Mail = String;"),
    );
    let json =
        gatepost(old.path(), &["diff", old.path().to_str().unwrap(), new.path().to_str().unwrap(), "--format", "json"]);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["masks"], json!([{ "name": "User.mail", "maskedNow": false }]));
}
