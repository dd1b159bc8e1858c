//! What a schema declares is read as Cedar reads it, or refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use cedar_policy::{Entities, EntityTypeName, Schema};
use common::binary::gatepost;
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

/// Cedar 4.14.1 takes the last of two without a word (`findings/cedar-schema-takes-the-last-of-two-attributes.sh`).
///
/// A9: "an attribute declared twice, an enum id twice, `type ipaddr = String`, `entity Long`: errors with both places".
#[test]
fn a9_what_stands_twice_or_hides_one_of_cedars_types_is_refused_with_both_places() {
    let errors = |schema: &str| {
        let schema = format!("{schema}\nentity Who; action a appliesTo {{ principal: Who, resource: Who }};");
        let store = store(&schema, "@id(\"p\") permit (principal, action, resource);");
        let errors = problems_of(store.path()).into_iter().filter(is_error);
        errors
            .map(|found| (found.message, found.labels.iter().map(|label| label.offset()).collect()))
            .collect::<Vec<_>>()
    };
    type Errors = Vec<(String, Vec<usize>)>;
    let twice =
        |message: &str, again: usize, first: usize| -> Errors { vec![(message.to_owned(), vec![again, first])] };
    let pin = "the attribute `pin` stands twice";
    assert_eq!(errors("entity U = { @sensitive pin?: String, pin?: String };"), twice(pin, 38, 24));
    assert_eq!(errors("entity U = { @sensitive pin?: String, \"pin\": Long };"), twice(pin, 38, 24));
    assert_eq!(errors("entity U = { r: { pin: Long, x: Long, pin: Long } };"), twice(pin, 38, 18));
    assert_eq!(errors("entity U tags { pin: Long, pin: Long };"), twice(pin, 27, 16));
    assert_eq!(errors("type T = Set<{ pin: Long, pin: Long }>;"), twice(pin, 26, 15));
    assert_eq!(
        errors("action b appliesTo { principal: Who, resource: Who, context: { pin: Long, pin: Long } };"),
        twice(pin, 74, 63)
    );
    assert_eq!(errors("entity E enum [\"a\", \"b\", \"a\"];"), twice("the id `a` stands twice", 25, 15));
    for own in [
        "type ipaddr = String;",
        "type decimal = Long;",
        "entity Long;",
        "entity datetime;",
        "entity String enum [\"a\"];",
    ] {
        let found = errors(own);
        assert!(found.iter().any(|(message, _)| message.contains("is one of Cedar's own types")), "{own}: {found:?}");
    }
    // In records of their own, one name may stand in both.
    assert_eq!(errors("entity U = { pin?: String, r: { pin: String } } tags { pin: Long };"), Errors::new());
}

/// A8: "annotations are a closed list per place, unknown ones an error with "did you mean"; own ones have a documented prefix".
#[test]
fn a8_an_annotation_that_means_nothing_where_it_stands_is_refused() {
    let schema =
        |annotated: &str| format!("{annotated}\nentity Who; action a appliesTo {{ principal: Who, resource: Who }};");
    for (written, message, help) in [
        (
            "@parsedBy(\"email\") type T = { valid: Bool };",
            "there is no annotation `@parsedBy`, which stands on type `T`",
            "did you mean `@parsed_by`?",
        ),
        (
            "entity U = { @sensitiv pin?: String };",
            "there is no annotation `@sensitiv`, which stands on attribute `pin`",
            "did you mean `@sensitive`?",
        ),
        ("@Stored entity U = { pin?: String };", "there is no annotation `@Stored`", "did you mean `@stored`?"),
        ("@colour(\"red\") entity U;", "there is no annotation `@colour`", "one of your own is written `@x_colour`"),
        (
            "@owner namespace N { entity U; }",
            "there is no annotation `@owner`, which stands on namespace `N`",
            "`@x_owner`",
        ),
        ("@id(\"u\") entity U;", "`@id` means nothing on entity type `U`", "it names a policy or a row"),
        (
            "@sensitive entity U = { pin?: String };",
            "`@sensitive` means nothing on entity type `U`",
            "put it on an attribute",
        ),
        ("@stored action b;", "`@stored` means nothing on action `b`", "put it on an entity type"),
        (
            "@stored entity E enum [\"a\"];",
            "`@stored` means nothing on enumerated type `E`",
            "put it on an entity type",
        ),
        (
            "@parents_from(\"caller\") entity E enum [\"a\"];",
            "`@parents_from` means nothing on enumerated type `E`",
            "in another",
        ),
        (
            "entity U = { @alias(\"v\") pin?: String };",
            "`@alias` means nothing on attribute `pin`",
            "it gives an entity type",
        ),
        (
            "entity U = { @sensitive(\"no\") pin?: String };",
            "`@sensitive` takes no value, and has one on attribute `pin`",
            "write `@sensitive`",
        ),
        (
            "entity G; @parents_from(\"anybody\") entity U in [G];",
            "`@parents_from` takes one value alone",
            "`@parents_from(\"caller\")`",
        ),
        (
            "@parents_from(\"caller\") entity U;",
            "`@parents_from` means nothing on entity type `U`, which is in no other",
            "in another",
        ),
        // In the types, wherever they are used.
        (
            "entity U = { s: Set<{ @stored a: Long }> };",
            "`@stored` means nothing on `s.a` of entity type `U`, which is in a set",
            "put it on",
        ),
        (
            "entity U tags { @stored a: Long };",
            "`@stored` means nothing on `its tags.a` of entity type `U`, which is in tags",
            "put it on",
        ),
        (
            "type T = { @stored a: Long }; action b appliesTo { principal: Who, resource: Who, context: { t: T } };",
            "`@stored` means nothing on `t.a` of the context of action `b`, which no store says",
            "put it on",
        ),
        (
            "entity U = { @must_exist a: Long };",
            "`@must_exist` means nothing on `a` of entity type `U`, which refers to nothing",
            "put it on",
        ),
        ("entity E enum [\"a\"]; entity U = { @must_exist a: E };", "`@must_exist` means nothing on `a`", "put it on"),
        (
            "entity U tags { @must_exist a: Who };",
            "`@must_exist` means nothing on `its tags.a` of entity type `U`, which is in tags",
            "put it on",
        ),
    ] {
        let found = refused(&schema(written));
        assert!(found.contains(message) && found.contains(help), "{written}\n{found}");
    }
    for written in [
        "@doc(\"d\") @x_owner(\"me\") @x_anything entity U = { @doc(\"d\") @x_y pin?: String };",
        "@doc(\"d\") namespace N { @x_a entity U; @description(\"d\") action b; }",
        "entity G; @parents_from(\"caller\") entity U in [G] = { @must_exist who: Set<Who>, r: { q?: { @stored a?: Long } } };",
        "@alias(\"e-type\") entity E enum [\"a\"]; @stored entity U = { s: Set<{ a: Long }> };",
    ] {
        assert_eq!(refused(&schema(written)), "", "{written}");
    }
    // On policies and rows.
    let of_policy = |policy: &str| {
        let store = store(&schema(""), policy);
        problems_of(store.path()).iter().filter(|found| is_error(found)).map(shown).collect::<Vec<_>>().join("\n")
    };
    for (written, message, help) in [
        (
            "@id(\"p\") @readng(\"r\")",
            "there is no annotation `@readng`, which stands on policy `p`",
            "did you mean `@reading`?",
        ),
        ("@id(\"p\") @colum(\"c\")", "there is no annotation `@colum`", "did you mean `@column`?"),
        ("@id(\"p\") @sensitive", "`@sensitive` means nothing on policy `p`", "put it on an attribute"),
        ("@id(\"p\") @market(\"this.x\")", "`@market` means nothing on policy `p`", "bound to a plugin"),
    ] {
        let found = of_policy(&format!("{written} permit (principal, action, resource);"));
        assert!(found.contains(message) && found.contains(help), "{written}\n{found}");
    }
    assert_eq!(
        of_policy("@id(\"p\") @x_ticket(\"1\") @note(\"n\") @advice(\"a\") permit (principal, action, resource);"),
        ""
    );
}

/// A8: "a warning for a type with exactly a plugin's fields that is not bound".
#[test]
fn a8_a_type_with_the_fields_of_a_plugin_that_is_not_bound_is_warned_of() {
    let warnings = |schema: &str| {
        let store = store(
            &format!("{schema} entity Who; action a appliesTo {{ principal: Who, resource: Who }};"),
            "@id(\"p\") permit (principal, action, resource);",
        );
        let warnings = problems_of(store.path()).into_iter().filter(|found| found.message.contains("not bound"));
        warnings.map(|found| found.message).collect::<Vec<_>>()
    };
    assert_eq!(
        warnings(&EMAIL.replace("@parsed_by(\"email\") ", "")),
        [
            "type `Email` has the fields that the plugin `email` fills, and is not bound to it: callers say what they are"
        ]
    );
    assert!(warnings(EMAIL).is_empty() && warnings("type Email = { valid: Bool };").is_empty());
}

/// A8: "`check --fix` renames": what no known annotation is like; what may be a misspelling, its author mends.
#[test]
fn a8_check_fix_renames_unknown_annotations_and_nothing_else() {
    let policies = "// @colour in a comment\n@id(\"@colour\") @colour(\"red\")\n@readng(\"r\") permit (principal, action, resource); \r\n\
                    @id(\"q\") @colour @x_ticket permit (principal, action, resource) when { context.s == \"@colour\" };\n";
    let schema = "@team(\"a\") entity Who = { @team n?: Long };\n action a appliesTo { principal: Who, resource: Who, context: { s: String } };";
    let store = folder([
        ("schema/a.cedarschema", schema),
        ("policies/a.cedar", policies),
        (
            "matrix/a.cedar",
            "@table(\"t\") @row(\"r\") @column(\"c\") @jira(\"1\") permit (principal, action, resource);",
        ),
    ]);
    let told = gatepost(store.path(), &["check", "--store", ".", "--fix", "--solver", "no-solver"]).with(1).out;
    for line in [
        "renamed `@team` to `@x_team` in schema/a.cedarschema, 2 times",
        "renamed `@colour` to `@x_colour` in policies/a.cedar, 2 times",
        "renamed `@jira` to `@x_jira` in matrix/a.cedar\n",
        "did you mean `@reading`?",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    let text = |path: &str| std::fs::read_to_string(store.path().join(path)).unwrap();
    assert_eq!(text("schema/a.cedarschema"), schema.replace("@team", "@x_team"));
    assert_eq!(
        text("policies/a.cedar"),
        policies.replace(") @colour(", ") @x_colour(").replace("\"q\") @colour ", "\"q\") @x_colour ")
    );
    std::fs::write(store.path().join("policies/a.cedar"), text("policies/a.cedar").replace("@readng", "@reading"))
        .unwrap();
    let told = gatepost(store.path(), &["check", "--store", ".", "--fix", "--solver", "no-solver", "--format", "json"]);
    let told: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!((&told["renamed"], &told["errors"]), (&json!([]), &json!(0)), "{told}");
}

/// C5: what stands in a file of entities is read, or refused. Cedar 4.14.1 passes over members that it does not know, `tag` for `tags` too
/// (`findings/cedar-entities-ignore-misspelt-members.sh`).
#[test]
fn c5_a_uid_or_a_parent_with_more_than_type_and_id_is_refused() {
    let problems = |entities: Value| {
        let store = folder([
            (
                "schema/a.cedarschema",
                "entity G; entity U in [G] tags String; action a appliesTo { principal: U, resource: U };".to_owned(),
            ),
            ("policies/a.cedar", "@id(\"p\") permit (principal, action, resource);".to_owned()),
            ("entities/a.json", entities.to_string()),
        ]);
        problems_of(store.path()).iter().filter(|found| is_error(found)).map(shown).collect::<Vec<_>>().join("\n")
    };
    let uid = json!({ "type": "U", "id": "u" });
    let extra = json!({ "type": "U", "id": "u", "tags": { "suspended": "yes" } });
    assert_eq!(problems(json!([{ "uid": uid }])), "");
    assert!(problems(json!([{ "uid": extra }])).contains("a uid is written"));
    assert!(
        problems(json!([{ "uid": uid, "tag": { "suspended": "yes" } }])).contains("`tag` is not a member of an entity")
    );
    let group = json!({ "type": "G", "id": "g", "attrs": {} });
    assert!(
        problems(json!([{ "uid": { "type": "G", "id": "g" } }, { "uid": uid, "parents": [group] }]))
            .contains("a uid is written")
    );
    assert!(problems(json!([{ "uid": uid, "tags": { "suspended": null } }])).contains("must be a string, but is null"));
}

/// A16: a warning shows nothing that the log masks, in tags neither.
#[test]
fn a16_no_warning_shows_what_is_sensitive() {
    let store = folder([
        (
            "schema/a.cedarschema",
            "entity U = { r?: { @sensitive who?: U }, s?: Set<{ @sensitive who: U }>, open?: U } tags { @sensitive who: U };
             action a appliesTo { principal: U, resource: U };"
                .to_owned(),
        ),
        ("policies/a.cedar", "@id(\"p\") permit (principal, action, resource);".to_owned()),
        (
            "entities/a.json",
            json!([{
                "uid": { "type": "U", "id": "u" },
                "attrs": { "r": { "who": "secret" }, "s": [{ "who": "secret" }], "open": "shown" },
                "tags": { "t": { "who": "secret" } },
            }])
            .to_string(),
        ),
    ]);
    let snapshot = snapshot_of(store.path());
    let warnings: Vec<String> = snapshot.entities.warnings(&snapshot.store.types).iter().map(shown).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("shown"), "{warnings:?}");
}

/// "In a stable order": the environments of a schema stand in the same order each time that it is read, also where actions of two namespaces
/// have one id. What is proven in one environment is tried in that one.
#[test]
fn environments_have_one_order() {
    let schema = "namespace A { entity U; action go appliesTo { principal: U, resource: U }; }
                  namespace B { action go appliesTo { principal: A::U, resource: A::U }; }
                  namespace C { action go appliesTo { principal: A::U, resource: A::U }; }";
    for _ in 0..20 {
        let snapshot = snapshot(schema, "@id(\"p\") permit (principal, action, resource);");
        let actions: Vec<&str> =
            snapshot.store.types.environments.iter().map(|found| found.action_name.as_str()).collect();
        assert_eq!(actions, ["A::Action::\"go\"", "B::Action::\"go\"", "C::Action::\"go\""]);
    }
}
