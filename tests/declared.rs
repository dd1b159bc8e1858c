//! What a schema declares is read as Cedar reads it, or refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use cedar_policy::{Entities, EntityTypeName, Schema};
use common::{folder, is_error, open_limits, problems_of, shown, snapshot_of};
use gatepost::engine::Snapshot;
use serde_json::{Value, json};

fn store(schema: &str, policies: &str) -> tempfile::TempDir {
    folder([("schema/a.cedarschema", schema), ("policies/a.cedar", policies)])
}

fn snapshot(schema: &str, policies: &str) -> Snapshot {
    snapshot_of(store(schema, policies).path())
}

/// The errors of a store of that schema, in one line each.
fn refused(schema: &str) -> String {
    let store = store(schema, "@id(\"p\") permit (principal, action, resource);");
    let errors = problems_of(store.path()).into_iter().filter(is_error);
    errors.map(|problem| shown(&problem)).collect::<Vec<_>>().join("\n")
}

fn decision(snapshot: &Snapshot, body: &Value) -> String {
    match common::evaluate(snapshot, &open_limits(), body) {
        Ok(answer) => answer["decision"].to_string(),
        Err(error) => error,
    }
}

/// C6: a name means what Cedar takes it for, at every place where one can stand: with a namespace it is whole, without one it is looked for in its
/// own namespace first.
#[test]
fn c6_a_name_is_resolved_as_cedar_resolves_it_wherever_it_stands() {
    let others = "
        entity Root;
        namespace A { entity B; type T = String; action act; }
        namespace N::A { entity B; type T = Long; action act; }
        action outer;
    ";
    let own = "entity Plain; type Text = Long; action inner;";
    for (written, whole) in
        [("A::B", "A::B"), ("N::A::B", "N::A::B"), ("Root", "Root"), ("Plain", "N::Plain"), ("Action", "N::Action")]
    {
        let parents = if written == "Action" { String::new() } else { format!("in [{written}]") };
        let applies = if written == "Action" { "Plain" } else { written };
        let schema = format!(
            "{others} namespace N {{
                {own} type Alias = {written};
                entity X {parents} = {{ one: {written}, many: Set<{written}>, record: {{ inner: {written} }}, alias: Alias }} tags {written};
                action go appliesTo {{ principal: {applies}, resource: X, context: {{ of: {written} }} }};
            }}"
        );
        let (cedar, _) = Schema::from_cedarschema_str(&schema).unwrap();
        let snapshot = snapshot(&schema, "@id(\"p\") permit (principal, action, resource);");
        let types = &snapshot.store.types;
        let x = types.entity("N::X").unwrap();
        let shape = |name: &str| x.attributes.0[name].shape.to_string();
        assert_eq!(
            [shape("one"), shape("many"), shape("alias")],
            [whole, &format!("Set<{whole}>"), whole],
            "{written}"
        );
        assert_eq!(x.tags.as_ref().unwrap().to_string(), whole);
        let environment = types.environments.iter().find(|found| found.action_name == "N::Action::\"go\"").unwrap();
        assert_eq!(environment.context.0["of"].shape.to_string(), whole);
        // And so does Cedar.
        let name: EntityTypeName = "N::X".parse().unwrap();
        let above: Vec<String> = cedar.ancestors(&name).into_iter().flatten().map(ToString::to_string).collect();
        assert_eq!(x.parents.iter().map(ToString::to_string).collect::<Vec<_>>(), above, "{written}");
        let entity = |of: &str| {
            let id = if of == "Action" { "outer" } else { "inner" };
            let reference = json!({ "type": of, "id": id });
            let attributes =
                json!({ "one": reference, "many": [reference], "record": { "inner": reference }, "alias": reference });
            json!([{ "uid": { "type": "N::X", "id": "x" }, "attrs": attributes, "parents": [], "tags": { "t": reference } }])
        };
        for of in ["A::B", "N::A::B", "Root", "N::Plain", "Plain", "N::Root", "N::Action", "Action"] {
            let taken = Entities::from_json_value(entity(of), Some(&cedar)).is_ok();
            assert_eq!(taken, of == whole, "{written} as {of}");
            let own = gatepost::request::stored::StoredEntities::from_json(
                &gatepost::request::json::Json::parse(
                    entity(of).to_string().as_bytes(),
                    gatepost::request::json::DEEPEST,
                )
                .unwrap(),
                types,
                gatepost::request::Facts::FromPlugins,
            );
            assert_eq!(own.is_ok(), taken, "{written} as {of}");
        }
    }
    for (written, whole) in [("Text", "Long"), ("A::T", "String"), ("N::A::T", "Long"), ("__cedar::Long", "Long")] {
        let schema = format!(
            "{others} namespace N {{ {own} entity X = {{ one: {written} }}; action go appliesTo {{ principal: X, resource: X }}; }}"
        );
        let snapshot = snapshot(&schema, "@id(\"p\") permit (principal, action, resource);");
        let found = snapshot.store.types.entity("N::X").unwrap().attributes.0["one"].shape.to_string();
        assert_eq!(found, whole, "{written}");
    }
}

/// C6: a group of actions is that of the namespace that Cedar takes.
#[test]
fn c6_a_group_of_actions_is_resolved_as_cedar_resolves_it() {
    for (written, whole) in [
        ("own", "N::Action::\"own\""),
        ("Action::\"own\"", "N::Action::\"own\""),
        ("A::Action::\"g\"", "A::Action::\"g\""),
        ("N::A::Action::\"g\"", "N::A::Action::\"g\""),
    ] {
        let schema = format!(
            "action outer; namespace A {{ action g; }} namespace N::A {{ action g; }}
             namespace N {{ entity U; action own; action go in [{written}] appliesTo {{ principal: U, resource: U }}; }}"
        );
        for of in ["Action::\"outer\"", "N::Action::\"own\"", "A::Action::\"g\"", "N::A::Action::\"g\""] {
            let policies = format!("@id(\"p\") permit (principal, action in {of}, resource);");
            let store = store(&schema, &policies);
            let user = json!({ "type": "N::U", "id": "u" });
            let body = json!({ "subject": user, "action": { "name": "go" }, "resource": user });
            let allowed = decision(&snapshot_of(store.path()), &body);
            assert_eq!(allowed, (of == whole).to_string(), "{written} in {of}");
        }
    }
}

const EMAIL: &str = "@parsed_by(\"email\") type Email = { valid: Bool, address: String, domain: String };";
const PHONE: &str = "@parsed_by(\"phone\") type Phone = { valid: Bool, e164: String, region: String };";

/// C3: no context is read as an empty record: what is none is refused.
#[test]
fn c3_what_a_plugin_reads_is_no_context() {
    let context =
        refused(&format!("{EMAIL} entity U; action a appliesTo {{ principal: U, resource: U, context: Email }};"));
    assert!(
        context.contains("`Action::\"a\"` has for its context a string that `email` reads, and not a record"),
        "{context}"
    );
    let through = refused(&format!(
        "{EMAIL} type Mine = Email; entity U; action a appliesTo {{ principal: U, resource: U, context: Mine }};"
    ));
    assert!(through.contains("and not a record"), "{through}");
    // A record by a name is one.
    let named = snapshot(
        "type Ctx = { ok: Bool }; entity U; action a appliesTo { principal: U, resource: U, context: Ctx };",
        "@id(\"p\") permit (principal, action, resource) when { context.ok };",
    );
    let user = json!({ "type": "U", "id": "u" });
    let asked =
        |ok: bool| json!({ "subject": user, "action": { "name": "a" }, "resource": user, "context": { "ok": ok } });
    assert_eq!([decision(&named, &asked(true)), decision(&named, &asked(false))], ["true", "false"]);
}

/// C4: what a plugin reads by is checked, and followed, in tags as in attributes: in a record, and in a set of them.
#[test]
fn c4_the_arguments_of_plugins_in_tags_are_checked_and_followed() {
    let schema = |tags: &str, path: &str| {
        format!(
            "{PHONE} entity U = {{ country?: String, number?: {{ @market(\"{path}\") p?: Phone }} }} tags {};
             entity D; action a appliesTo {{ principal: U, resource: D }};",
            tags.replace("PATH", path)
        )
    };
    let (record, set) = ("{ @market(\"PATH\") p?: Phone }", "Set<{ @market(\"PATH\") p?: Phone }>");
    let on_tag = "principal.hasTag(\"t\") && principal.getTag(\"t\") has p && principal.getTag(\"t\").p.valid";
    let on_set = "principal.hasTag(\"t\") && principal.getTag(\"t\").contains(principal.number)";
    for (tags, condition) in [(record, on_tag), (set, on_set)] {
        let condition = format!("principal has number.p && {condition}");
        let policies = format!(
            "@id(\"p\") permit (principal, action, resource); @id(\"f\") forbid (principal, action, resource) when {{ {condition} }};"
        );
        for nowhere in ["this.nosuch", "this.number", "resource.x", "context.x"] {
            let store = store(&schema(tags, nowhere), &policies);
            let problems: Vec<String> =
                problems_of(store.path()).iter().filter(|found| is_error(found)).map(shown).collect();
            assert!(problems.iter().any(|found| found.contains(nowhere)), "{tags}, {nowhere}: {problems:?}");
        }
        let snapshot = snapshot(&schema(tags, "this.country"), &policies);
        let ask = |country: &str| {
            let number = json!({ "p": "(02) 9374 4000" });
            let tag = if tags == set { json!([number]) } else { number.clone() };
            let user = json!({ "type": "U", "id": "u", "properties": { "country": country, "number": number }, "tags": { "t": tag } });
            decision(
                &snapshot,
                &json!({ "subject": user, "action": { "name": "a" }, "resource": { "type": "D", "id": "d" } }),
            )
        };
        assert_eq!(ask("AU"), "false", "{tags}: the tag is read by the country");
        if tags == record {
            assert_eq!(ask("US"), "true", "{tags}");
        }
    }
}
