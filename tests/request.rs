//! The request layer: from plain JSON and a schema to a typed request, on a store that has a value of every type.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::str::FromStr;
use std::sync::LazyLock;

use cedar_policy::EntityUid;
use common::{ask, decide, determining, store, with};
use gatepost::engine::{Outcome, Snapshot};
use gatepost::http::{authzen, body};
use gatepost::request::case::Case;
use gatepost::request::json::{DEEPEST, Json};
use gatepost::request::stored::StoredEntities;
use gatepost::request::value::Value as Typed;
use gatepost::request::{Facts, Resolved, TypedRequest, resolve};
use gatepost::store::schema::Extension;
use serde_json::{Map, Value, json};

static STORE: LazyLock<Snapshot> = LazyLock::new(|| store("types"));

/// A request to probe a thing with everything in the context.
fn probe() -> Value {
    ask("Shop::Person::eve", "probe", "Shop::Thing::book")
}

fn probing(context: Value) -> Value {
    let owned = json!({ "resource": { "properties": { "name": "book", "owner": "eve" } } });
    with(with(probe(), owned), json!({ "context": context }))
}

fn typed(body: &Value) -> Result<TypedRequest, String> {
    let text = body.to_string();
    let json = Json::parse(text.as_bytes(), DEEPEST).unwrap();
    let question = authzen::question(&json).map_err(|error| error.to_string())?;
    match resolve(&question, &STORE.store.types, &STORE.entities, Facts::FromPlugins) {
        Ok(Resolved::Request(request)) => Ok(*request),
        Ok(Resolved::Unknown(unknown)) => Err(unknown.to_string()),
        Err(error) => Err(authzen::BadRequest::from(error).to_string()),
    }
}

/// The request as it was typed, written out again: facts stand where raw strings stood.
fn written(body: &Value) -> Value {
    let request = typed(body).unwrap();
    assert!(request.missing.is_empty(), "{:?}", request.missing);
    body::of_case(&Case { request, entities: StoredEntities::default() }, &STORE.store.types)
}

/// The context as it was typed.
fn context(context: Value) -> Value {
    written(&probing(context)).get("context").cloned().unwrap_or_else(|| json!({}))
}

fn no_phone() -> Value {
    json!({ "valid": false, "e164": "", "region": "" })
}

fn phone(e164: &str, region: &str) -> Value {
    json!({ "valid": true, "e164": e164, "region": region })
}

const SYDNEY: &str = "+61293744000";

#[test]
fn every_type_is_read_from_plain_json() {
    let everything = json!({
        "bool": true,
        "long": i64::MIN,
        "text": "e\u{301} \u{0} \u{1F600}",
        "colour": "green",
        "person": "ada",
        "bools": [true, false, true],
        "longs": [1, -1, i64::MAX],
        "texts": ["", "x"],
        "colours": ["red", "green"],
        "people": ["ada", "nobody \"here\""],
        "addresses": [{ "street": "1" }, { "street": "2", "floor": 3, "at": { "north": "1.5" } }],
        "nested": { "inner": { "long": 7, "text": "x" } },
        "address": { "street": "3" },
        "ip": "10.0.0.0/8",
        "decimal": "-1.5000",
        "datetime": "2026-11-23T12:00:00Z",
        "duration": "-1d2h",
        "ips": ["::1", "192.0.2.1"],
        "market": "AU",
    });
    assert_eq!(context(everything.clone()), everything);
    let request = typed(&probing(everything)).unwrap();
    for (name, extension) in [
        ("ip", Extension::Ip),
        ("decimal", Extension::Decimal),
        ("datetime", Extension::Datetime),
        ("duration", Extension::Duration),
    ] {
        assert!(matches!(&request.context[&name.into()], Typed::Extension(found, _) if *found == extension), "{name}");
    }
}

#[test]
fn references_are_of_the_type_that_the_schema_names_in_its_namespace_or_outside() {
    let request = typed(&probing(json!({ "colour": "red", "person": "ada", "people": ["bob"] }))).unwrap();
    let shown = |name: &str| match &request.context[&name.into()] {
        Typed::Entity(uid) => uid.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(shown("colour"), r#"Colour::"red""#);
    assert_eq!(shown("person"), r#"Shop::Person::"ada""#);
    let bob = EntityUid::from_str(r#"Shop::Person::"bob""#).unwrap();
    assert_eq!(request.context[&"people".into()], Typed::Set(vec![Typed::Entity(bob)]));
}

#[test]
fn a_wrong_type_is_refused_with_the_path_and_what_was_expected() {
    let (long, colour) = ("a whole number of 64 bits", "the id of a Colour: `red`, `green`");
    let decimal = "a decimal of at most four digits behind the point, such as \"12.50\" or 12.5";
    let plugin = "a string, which the plugin phone reads";
    let red = "the id of a Colour: `red`, `green`, or an object with its `type` and its `id`";
    let person = "the plain id of a Shop::Person, a string, or an object with its `type` and its `id`";
    let cases = [
        (json!({ "bool": "true" }), "context.bool", "a Boolean", "a string"),
        (json!({ "bool": 1 }), "context.bool", "a Boolean", "a number"),
        (json!({ "long": "7" }), "context.long", long, "a string"),
        (json!({ "long": true }), "context.long", long, "a Boolean"),
        (json!({ "long": 7.5 }), "context.long", long, "the number `7.5`"),
        (json!({ "long": 1e-3 }), "context.long", long, "the number `0.001`"),
        (json!({ "long": u64::MAX }), "context.long", long, "the number `18446744073709551615`"),
        (json!({ "long": [7] }), "context.long", long, "an array"),
        (json!({ "text": 7 }), "context.text", "a string", "a number"),
        (json!({ "text": {} }), "context.text", "a string", "an object"),
        (json!({ "colour": "blue" }), "context.colour", colour, "`blue`"),
        (json!({ "colour": 1 }), "context.colour", red, "a number"),
        (json!({ "colour": { "type": "Colour", "id": "blue" } }), "context.colour", colour, "`blue`"),
        (
            json!({ "colour": { "type": "Shop::Person", "id": "red" } }),
            "context.colour",
            red,
            "one to a `Shop::Person`",
        ),
        (json!({ "person": { "type": "Person", "id": "ada" } }), "context.person", person, "one to a `Person`"),
        (
            json!({ "person": { "__entity": { "type": "Shop::Person", "id": "ada" } } }),
            "context.person",
            person,
            "an object without them",
        ),
        (json!({ "bools": true }), "context.bools", "an array", "a Boolean"),
        (json!({ "longs": [1, "2"] }), "context.longs[1]", long, "a string"),
        (json!({ "colours": ["red", "blue"] }), "context.colours[1]", colour, "`blue`"),
        (json!({ "nested": { "inner": { "long": "7" } } }), "context.nested.inner.long", long, "a string"),
        (json!({ "nested": [] }), "context.nested", "an object", "an array"),
        (
            json!({ "addresses": [{ "street": "1", "at": { "north": 1.00001 } }] }),
            "context.addresses[0].at.north",
            decimal,
            "the number `1.00001`",
        ),
        (json!({ "decimal": "1e0" }), "context.decimal", decimal, "`1e0`"),
        (
            json!({ "decimal": { "__extn": { "fn": "decimal", "arg": "1.0" } } }),
            "context.decimal",
            decimal,
            "an object",
        ),
        (
            json!({ "ip": "10.0.0.256" }),
            "context.ip",
            "an IP address or range, such as \"192.0.2.7\" or \"2001:db8::/32\"",
            "`10.0.0.256`",
        ),
        (
            json!({ "datetime": "yesterday" }),
            "context.datetime",
            "a time as RFC 3339 writes it, such as \"2026-03-01T12:30:00Z\", or a day, such as \"2026-03-01\"",
            "`yesterday`",
        ),
        (json!({ "duration": 1 }), "context.duration", "a duration, such as \"1d2h30m\" or \"90s\"", "a number"),
        (json!({ "phone": 61293744000_i64 }), "context.phone", plugin, "a number"),
        (json!({ "phone": phone(SYDNEY, "AU") }), "context.phone", plugin, "an object"),
        (json!({ "contact": { "phones": ["", {}] } }), "context.contact.phones[1]", plugin, "an object"),
        (json!({ "mails": "a@b.example" }), "context.mails", "an array", "a string"),
    ];
    for (sent, path, expected, found) in cases {
        let refused = typed(&probing(sent.clone())).unwrap_err();
        assert_eq!(refused, format!("`{path}` must be {expected}, but is {found}"), "{sent}");
    }
    let subject = with(probing(json!({})), json!({ "subject": { "properties": { "home": { "country": 1 } } } }));
    assert_eq!(typed(&subject).unwrap_err(), "`subject.properties.home.country` must be a string, but is a number");
    let long = typed(&probing(json!({ "colour": "x".repeat(1000) }))).unwrap_err();
    assert!(long.len() < 200, "what was sent is not sent back at length: {long}");
}

#[test]
fn undeclared_properties_are_dropped_and_named_at_any_depth() {
    let sent = with(
        probing(json!({
            "long": 1, "other": { "long": 2 }, "__entity": 1, "odd name": 1, "": 1,
            "nested": { "inner": { "long": 3, "more": 1 }, "__extn": {} },
            "addresses": [{ "street": "1", "number": 2 }],
            "action": { "force": true },
        })),
        json!({
            "subject": { "properties": { "role": "admin" } },
            "action": { "properties": { "soft": true } },
            "resource": { "properties": { "tags": [] } },
        }),
    );
    let request = typed(&sent).unwrap();
    let dropped: Vec<String> = request.dropped.named.iter().map(authzen::shown).collect();
    let mut sorted = dropped.clone();
    sorted.sort();
    let expected = [
        "action.properties.soft",
        "context.__entity",
        "context.action",
        "context.addresses[0].number",
        "context.nested.__extn",
        "context.nested.inner.more",
        "context.other",
        r#"context[""]"#,
        r#"context["odd name"]"#,
        "resource.properties.tags",
        "subject.properties.role",
    ];
    assert_eq!(sorted, expected);
    let kept = json!({ "long": 1, "nested": { "inner": { "long": 3 } }, "addresses": [{ "street": "1" }] });
    assert_eq!(
        context(
            json!({ "long": 1, "nested": { "inner": { "long": 3, "x": 1 } }, "addresses": [{ "street": "1", "x": 1 }] })
        ),
        kept
    );
}

#[test]
fn a_member_that_is_null_is_as_if_absent() {
    assert_eq!(context(json!({})), json!({}));
    assert_eq!(context(json!({ "long": null, "longs": [1, 2], "nested": null })), json!({ "longs": [1, 2] }));
}

#[test]
fn a_missing_required_attribute_denies_and_is_named() {
    let bare = probe();
    let deep = probing(json!({ "nested": { "inner": {} }, "addresses": [{ "street": null }], "contact": {} }));
    let forced = with(ask("Shop::Person::ada", "use", "Shop::Thing::engine"), json!({ "context": {} }));
    for (body, expected) in [
        (bare, vec!["resource.properties.name", "resource.properties.owner"]),
        (deep, vec!["context.addresses[0].street", "context.contact.phones", "context.nested.inner.long"]),
        (forced, vec!["action.properties.force", "context.where"]),
    ] {
        let decision = decide(&STORE, &body).unwrap();
        let Outcome::Missing(places) = &decision.outcome else { panic!("{decision:?}") };
        let mut places: Vec<String> = places.named.iter().map(authzen::shown).collect();
        places.sort();
        assert_eq!((decision.allowed, places), (false, expected.iter().map(ToString::to_string).collect()), "{body}");
    }
}

#[test]
fn what_the_schema_does_not_know_is_unknown_and_names_in_namespaces_are_whole() {
    let action = |name: &str| with(probing(json!({})), json!({ "action": { "name": name } }));
    assert!(typed(&action(r#"Shop::Action::"probe""#)).is_ok());
    for (body, expected) in [
        (action("fly"), "the schema has no action of that name"),
        (action(r#"Action::"probe""#), "the schema has no action of that name"),
        (
            with(probing(json!({})), json!({ "subject": { "type": "Person" } })),
            "the schema has no entity type of the name that the principal has",
        ),
        (
            with(probing(json!({})), json!({ "resource": { "type": "Shop::" } })),
            "the schema has no entity type of the name that the resource has",
        ),
        (
            with(action("touch"), json!({ "resource": { "type": "Shop::Person" } })),
            "the action does not apply to a principal and a resource of these types",
        ),
    ] {
        assert_eq!(typed(&body).unwrap_err(), expected, "{body}");
        assert!(!decide(&STORE, &body).unwrap().allowed);
    }
}

#[test]
fn an_action_id_of_several_namespaces_is_decided_by_its_whole_name_alone() {
    let folder = common::folder([
        (
            "schema/a.cedarschema",
            "namespace One { entity U, D; action peek appliesTo { principal: U, resource: D }; }\nnamespace Two { action peek appliesTo { principal: One::U, resource: One::D }; }",
        ),
        ("policies/a.cedar", r#"@id("one") permit (principal, action == One::Action::"peek", resource);"#),
    ]);
    let snapshot = common::snapshot_of(folder.path());
    let allowed = |action: &str| decide(&snapshot, &ask("One::U::u", action, "One::D::d")).unwrap().allowed;
    assert_eq!(
        [allowed("peek"), allowed(r#"One::Action::"peek""#), allowed(r#"Two::Action::"peek""#)],
        [false, true, false]
    );
}

#[test]
fn plugins_read_raw_strings_at_any_depth() {
    let mail =
        |valid: bool, address: &str, domain: &str| json!({ "valid": valid, "address": address, "domain": domain });
    let sent = json!({
        "market": "AU",
        "contact": { "phones": ["(02) 9374 4000", "+44 20 7031 3000", "call me"], "mail": "Ada@LAB.example" },
        "mails": ["a@b.example", "a@b", ""],
    });
    let read = json!({
        "market": "AU",
        "contact": {
            "phones": [phone(SYDNEY, "AU"), phone("+442070313000", "GB"), no_phone()],
            "mail": mail(true, "Ada@lab.example", "lab.example"),
        },
        "mails": [mail(true, "a@b.example", "b.example"), mail(false, "", ""), mail(false, "", "")],
    });
    assert_eq!(context(sent), read);
}

#[test]
fn the_market_comes_from_the_path_that_the_annotation_names() {
    let national = "(02) 9374 4000";
    let names = ["phoneOfPrincipal", "phoneOfResource", "phoneOfContext", "phone"];
    let all: Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), json!(national))).collect();
    let valid = |body: &Value| -> Vec<&str> {
        let context = written(body)["context"].clone();
        names.into_iter().filter(|name| context[name]["valid"] == true).collect()
    };
    let base = probing(Value::Object(all));
    let market = json!({ "properties": { "market": "AU" } });
    assert!(valid(&base).is_empty(), "no market: only the international form parses");
    assert_eq!(valid(&with(base.clone(), json!({ "subject": market }))), ["phoneOfPrincipal"]);
    assert_eq!(valid(&with(base.clone(), json!({ "resource": market }))), ["phoneOfResource"]);
    assert_eq!(valid(&with(base.clone(), json!({ "context": { "market": "AU" } }))), ["phoneOfContext"]);
    assert!(valid(&with(base.clone(), json!({ "context": { "market": "au" } }))).is_empty(), "compared exactly");
    let stored = with(
        base,
        json!({ "subject": { "id": "ada" }, "resource": { "id": "engine", "properties": { "name": "x" } } }),
    );
    assert_eq!(valid(&stored), ["phoneOfPrincipal", "phoneOfResource"], "markets that are stored");
    for name in names {
        assert_eq!(context(json!({ name: "+61 2 9374 4000" }))[name], phone(SYDNEY, "AU"));
    }
}

#[test]
fn stored_attributes_are_overlaid_one_by_one_and_parsed_afterwards() {
    let ada = |properties: Value| {
        let body = with(probing(json!({})), json!({ "subject": { "id": "ada", "properties": properties } }));
        written(&body)["subject"]["properties"].clone()
    };
    let gb = phone("+442070313000", "GB");
    let stored = json!({
        "colour": "red", "age": 36, "market": "AU", "friend": "bob",
        "home": { "country": "GB", "phone": gb },
        "phones": [phone(SYDNEY, "AU"), gb, no_phone()],
        "mail": { "valid": true, "address": "Ada@lab.example", "domain": "lab.example" },
    });
    assert_eq!(ada(json!({})), stored);
    assert_eq!(ada(json!({ "age": 37, "colour": null })), with(stored.clone(), json!({ "age": 37 })));
    // The stored numbers are read for the market that the caller says the entity has.
    let moved = with(stored.clone(), json!({ "market": "GB", "phones": [no_phone(), gb, no_phone()] }));
    assert_eq!(ada(json!({ "market": "GB" })), moved);
    // A record is one attribute: it is replaced whole.
    assert_eq!(ada(json!({ "home": { "country": "AU" } }))["home"], json!({ "country": "AU" }));
}

#[test]
fn the_subject_may_be_the_resource() {
    let body = |resource: Value| {
        with(
            ask("Shop::Person::eve", "probe", "Shop::Person::eve"),
            json!({
                "subject": { "properties": { "age": 1 } }, "resource": { "properties": resource },
            }),
        )
    };
    let request = written(&body(json!({ "market": "AU" })));
    assert_eq!(request["subject"]["properties"], json!({ "age": 1, "market": "AU" }));
    assert_eq!(request["subject"], request["resource"]);
}

#[test]
fn stored_parents_tags_and_references_reach_the_policies_and_an_error_denies() {
    let asked = |subject: &str, action: &str, resource: &str| decide(&STORE, &ask(subject, action, resource)).unwrap();
    // Both are in the team, the one through another team.
    assert!(asked("Shop::Person::ada", "touch", "Shop::Thing::engine").allowed);
    assert!(!asked("Shop::Person::bob", "touch", "Shop::Thing::engine").allowed);
    // The owner of the engine is stored, and old enough; the owner of the other thing is not there at all.
    assert!(asked("Shop::Person::bob", "befriend", "Shop::Thing::engine").allowed);
    let lost = asked("Shop::Person::bob", "befriend", "Shop::Thing::lost");
    assert!(lost.allowed && lost.errors().is_empty(), "{lost:?}");
    let held = |age: i64| {
        let body = with(
            ask("Shop::Person::eve", "hold", "Shop::Thing::engine"),
            json!({ "subject": { "properties": { "age": age } } }),
        );
        decide(&STORE, &body).unwrap()
    };
    assert!(held(100).allowed);
    assert_eq!(determining(&held(101)), ["hold-not-overflow"]);
    // `hold-any` permits and no forbid is satisfied, but a policy could not be evaluated.
    let overflow = held(i64::MAX);
    assert!(!overflow.allowed && overflow.errors().len() == 2, "{overflow:?}");
    assert!(determining(&overflow).contains(&"hold-any"));
}

#[test]
fn the_action_says_of_itself_what_policies_see_as_context_action() {
    let used = |action: Value, context: Value| {
        let body = with(
            ask("Shop::Person::ada", "use", "Shop::Thing::engine"),
            json!({
                "action": { "properties": action }, "context": context,
            }),
        );
        decide(&STORE, &body).unwrap().allowed
    };
    let lab = json!({ "where": { "room": "lab" } });
    assert!(used(json!({ "force": true }), lab.clone()));
    assert!(!used(json!({ "force": false }), lab.clone()));
    assert!(!used(json!({ "force": true }), json!({ "where": { "room": "hall" } })));
}
