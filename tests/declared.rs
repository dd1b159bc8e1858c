//! What a schema declares is read as Cedar reads it, or refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use cedar_policy::{Entities, EntityTypeName, Schema};
use common::binary::gatepost;
use common::{folder, is_error, open_limits, problems_of, shown, snapshot_of};
use gatepost::engine::Snapshot;
use gatepost::request::Facts;
use gatepost::request::json::{DEEPEST, Json};
use gatepost::request::stored::StoredEntities;
use gatepost::store::schema::Types;
use gatepost::store::{Origin, Problem, Store};
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
            assert_eq!(is_stored(&entity(of), types), taken, "{written} as {of}");
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

/// C6: in all 256 schemas in which a name is nothing, an entity type, a common type or an enumerated type in four namespaces, each way to write
/// it means at each place what it means to Cedar, or both refuse the schema.
#[test]
fn c6_every_schema_of_four_namespaces_is_read_as_cedar_reads_it() {
    let (mut read, mut refused) = (0, 0);
    for number in 0..256_usize {
        let kinds = [number % 4, number / 4 % 4, number / 16 % 4, number / 64];
        let declared = |kind: usize| ["", "entity X;", "type X = Long;", "entity X enum [\"i\"];"][kind];
        for written in ["X", "N::X", "M::X", "N::M::X"] {
            let schema = format!(
                "{} action go appliesTo {{ principal: N::Holder, resource: N::Holder }};
                 namespace N {{
                     {} entity Holder = {{ one: {written}, many: Set<{written}>, deep: {{ inner: {written} }} }} tags {written};
                 }}
                 namespace M {{ {} }} namespace N::M {{ {} }}",
                declared(kinds[0]),
                declared(kinds[1]),
                declared(kinds[2]),
                declared(kinds[3])
            );
            let store = store(&schema, "@id(\"p\") permit (principal, action, resource);");
            let own = Store::load(Origin::Folder(store.path().to_owned()));
            let (Ok((cedar, _)), Ok(own)) = (Schema::from_cedarschema_str(&schema), &own) else {
                let (cedar, own) = (Schema::from_cedarschema_str(&schema).is_ok(), own.is_ok());
                assert_eq!(cedar, own, "{schema}");
                refused += 1;
                continue;
            };
            for value in ["X", "N::X", "M::X", "N::M::X"]
                .map(|of| json!({ "type": of, "id": "i" }))
                .into_iter()
                .chain([json!(1)])
            {
                let attributes = json!({ "one": value, "many": [value], "deep": { "inner": value } });
                let entities = json!([{ "uid": { "type": "N::Holder", "id": "h" }, "attrs": attributes, "parents": [], "tags": { "t": value } }]);
                let taken = Entities::from_json_value(entities.clone(), Some(&cedar)).is_ok();
                assert_eq!(is_stored(&entities, &own.types), taken, "{value} for\n{schema}");
                read += usize::from(taken);
            }
        }
    }
    // Each schema that is read takes one value.
    assert_eq!(read + refused, 4 * 256, "{read} read, {refused} refused");
    assert!(read > 100, "{read} read, {refused} refused");
}

/// C6: the same of the types of actions, which are there where a namespace has an action.
#[test]
fn c6_the_types_of_actions_are_resolved_as_cedar_resolves_them() {
    let mut read = 0;
    for number in 0..16_usize {
        let declared = |place: usize| if number >> place & 1 == 1 { "action act;" } else { "" };
        for written in ["Action", "N::Action", "M::Action", "N::M::Action"] {
            let schema = format!(
                "{} namespace N {{ {} entity Holder = {{ one: {written}, many: Set<{written}> }} tags {written}; }}
                 namespace M {{ {} }} namespace N::M {{ {} }}
                 namespace Z {{ action go appliesTo {{ principal: N::Holder, resource: N::Holder }}; }}",
                declared(0),
                declared(1),
                declared(2),
                declared(3)
            );
            let store = store(&schema, "@id(\"p\") permit (principal, action, resource);");
            let own = Store::load(Origin::Folder(store.path().to_owned()));
            let (Ok((cedar, _)), Ok(own)) = (Schema::from_cedarschema_str(&schema), &own) else {
                assert_eq!(Schema::from_cedarschema_str(&schema).is_ok(), own.is_ok(), "{schema}");
                continue;
            };
            let taken = ["Action", "N::Action", "M::Action", "N::M::Action"].into_iter().filter(|of| {
                let value = json!({ "type": of, "id": "act" });
                let attributes = json!({ "one": value, "many": [value] });
                let entities = json!([{ "uid": { "type": "N::Holder", "id": "h" }, "attrs": attributes, "parents": [], "tags": { "t": value } }]);
                let taken = Entities::from_json_value(entities.clone(), Some(&cedar)).is_ok();
                assert_eq!(is_stored(&entities, &own.types), taken, "{value} for\n{schema}");
                taken
            });
            assert_eq!(taken.count(), 1, "{schema}");
            read += 1;
        }
    }
    assert!(read >= 16, "{read}");
}

/// Whether entities can be stored by that schema.
fn is_stored(entities: &Value, types: &Types) -> bool {
    let text = entities.to_string();
    let json = Json::parse(text.as_bytes(), DEEPEST).unwrap();
    StoredEntities::from_json(&json, types, Facts::FromPlugins).is_ok()
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
    // An action is referred to by `Action`; a type of that name would be read there.
    assert!(errors("type Action = String;")[0].0.contains("`Action` is one of Cedar's own types"));
    // A name that is a type's and an entity type's: Cedar takes the type where both could stand.
    assert_eq!(
        errors("type U = String;\nentity U = { of: U };"),
        twice("`U` is declared as a type and as an entity type", 5, 24)
    );
    assert_eq!(
        errors("namespace N { entity E enum [\"a\"]; type E = Long; }"),
        twice("`N::E` is declared as a type and as an entity type", 40, 21)
    );
    // What is declared as `external` is not known here.
    for external in ["external entity U;", "external action b;"] {
        assert!(errors(external)[0].0.contains("is declared as `external`"), "{external}");
    }
    // In records of their own, one name may stand in both.
    assert_eq!(errors("entity U = { pin?: String, r: { pin: String } } tags { pin: Long };"), Errors::new());
}

/// A9: what is declared twice in several files is shown at both places.
#[test]
fn a9_what_two_files_declare_is_refused_with_both_places() {
    let plain = "entity User; entity Doc; action a appliesTo { principal: User, resource: Doc };\n";
    let errors = |second: &str, third: &str| {
        let store = folder([
            ("schema/s.cedarschema", plain),
            ("schema/t.cedarschema", second),
            ("schema/u.cedarschema", third),
            ("policies/a.cedar", "@id(\"p\") permit (principal, action, resource);"),
        ]);
        problems_of(store.path()).iter().filter(|found| is_error(found)).map(shown).collect::<Vec<_>>().join("\n")
    };
    for (second, third, message, again, first) in [
        (
            "namespace N {entity X;}",
            "namespace N {entity X;}",
            "the entity type `N::X` is declared twice",
            "u.cedarschema:1:21",
            "t.cedarschema:1:21",
        ),
        (
            "entity User;",
            "entity Other;",
            "the entity type `User` is declared twice",
            "t.cedarschema:1:8",
            "s.cedarschema:1:8",
        ),
        (
            "entity Other, Doc;",
            "entity More;",
            "the entity type `Doc` is declared twice",
            "t.cedarschema:1:15",
            "s.cedarschema:1:21",
        ),
        (
            "entity X;",
            "entity X enum [\"a\"];",
            "the entity type `X` is declared twice",
            "u.cedarschema:1:8",
            "t.cedarschema:1:8",
        ),
        (
            "type T = Long;",
            "type T = String;",
            "the type `T` is declared twice",
            "u.cedarschema:1:6",
            "t.cedarschema:1:6",
        ),
        ("action b;", "action \"b\";", "the action `b` is declared twice", "u.cedarschema:1:8", "t.cedarschema:1:8"),
    ] {
        let told = errors(second, third);
        assert_eq!(told.matches("error: ").count(), 1, "{told}");
        assert!(told.starts_with(&format!("error: schema/{again}: {message}")), "{told}");
        assert!(told.contains(&format!("it is declared first at schema/{first}; keep one of the two")), "{told}");
    }
    // In one file.
    let told = errors("namespace N {entity X; entity X;}", "entity Y;");
    assert!(told.contains("schema/t.cedarschema:1:") && told.contains('X'), "{told}");
    // In namespaces of their own, and a namespace in several files.
    assert_eq!(errors("namespace N {entity X;} namespace M {entity X;}", "namespace N {entity Y; action b;}"), "");
}

/// C7: a name that the service writes itself is shown where it is declared, with what to do about it.
#[test]
fn c7_a_reserved_name_is_shown_where_it_is_declared() {
    let told = |schema: &str| {
        let schema = format!(
            "// gatepost:masked and gatepost:read stand here, too.\n{schema}\nentity Who; action a appliesTo {{ principal: Who, resource: Who }};"
        );
        refused(&schema)
    };
    let of_attribute = told("entity U = { r: { \"gatepost:masked\"?: String } };");
    assert!(
        of_attribute.starts_with("error: schema/a.cedarschema:2:19: the name `gatepost:masked` is reserved"),
        "{of_attribute}"
    );
    let of_action = told("action \"gatepost:read\" appliesTo { principal: Who, resource: Who };");
    assert!(
        of_action.starts_with(
            "error: schema/a.cedarschema:2:8: the id `gatepost:read` of an action is reserved: the service writes"
        ),
        "{of_action}"
    );
    assert!(of_action.contains("choose one that does not start with `gatepost:`"), "{of_action}");
    let in_parentheses = told("action \"(other)\" appliesTo { principal: Who, resource: Who };");
    assert!(in_parentheses.contains("choose one that is not in parentheses"), "{in_parentheses}");
    let of_id = told("entity E enum [\"a\", \"a\"];");
    assert!(of_id.contains("help: keep one of the two") && !of_id.contains("annotations"), "{of_id}");
}

/// A9's kind: what Cedar says of a schema of several files is shown in the file of which it says it.
#[test]
fn a9_what_is_wrong_with_a_schema_is_shown_in_its_own_file() {
    for (wrong, place) in [
        ("entity X = { of: Missing };", "schema/u.cedarschema:1:18"),
        ("entity X in [Missing];", "schema/u.cedarschema:1:14"),
        ("action b in [\"missing\"];", ""),
        ("type A = B; type B = A;", "schema/u.cedarschema:1:"),
    ] {
        let store = folder([
            (
                "schema/s.cedarschema",
                "// Missing, missing, A and B stand here, too.\nentity U; action a appliesTo { principal: U, resource: U };",
            ),
            ("schema/u.cedarschema", wrong),
            ("policies/a.cedar", "@id(\"p\") permit (principal, action, resource);"),
        ]);
        let told = problems_of(store.path()).iter().filter(|found| is_error(found)).map(shown).collect::<String>();
        // Of an action Cedar does not say where it stands: then no file is named.
        assert_eq!(told.contains("schema/"), !place.is_empty(), "{wrong}: {told}");
        assert!(told.starts_with("error: ") && told.contains(place), "{wrong}: {told}");
    }
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
        (
            "entity G; @stored @parents_from(\"caller\") entity U in [G];",
            "`@parents_from` means nothing on entity type `U`, which is `@stored`: the store alone says what it is in",
            "take one of the two away",
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
        assert!(found.starts_with("error: schema/a.cedarschema:"), "{written}\n{found}");
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
        ("@id", "`@id` says nothing on policy ``", "write `@id(\"…\")`"),
        ("@id(\"p\") @reason(\" \")", "`@reason` says nothing on policy `p`", "write `@reason"),
        ("@id(\"p\") @source", "`@source` says nothing on policy `p`", "write `@source"),
    ] {
        let found = of_policy(&format!("{written} permit (principal, action, resource);"));
        assert!(found.contains(message) && found.contains(help), "{written}\n{found}");
    }
    assert_eq!(
        of_policy("@id(\"p\") @x_ticket(\"1\") @note(\"n\") @advice(\"a\") permit (principal, action, resource);"),
        ""
    );
}

/// A8: "`@stored` … in a place where they have no effect are an error": also in what a plugin fills, on what a plugin does not ask for, and in a
/// type that nothing uses. A common type that is used where it must not be is named beside the place, and the annotation is what is shown.
#[test]
fn a8_an_annotation_in_a_type_has_an_effect_wherever_the_type_is_used() {
    let schema = |types: &str| format!("{types}\nentity Who; action a appliesTo {{ principal: Who, resource: Who }};");
    let email = "@parsed_by(\"email\") type Email = { @KEY valid: Bool, address: String, domain: String }; entity U = { m?: Email };";
    let cases = [
        (
            email.replace("KEY", "stored"),
            "`@stored` means nothing on `m.valid` of entity type `U`, which a plugin fills (it stands in type `Email`)",
        ),
        (
            email.replace("KEY", "must_exist"),
            "`@must_exist` means nothing on `m.valid` of entity type `U`, which a plugin fills (it stands in type `Email`)",
        ),
        (
            format!("{EMAIL} entity U = {{ c?: String, @market(\"this.c\") m?: Email }};"),
            "`@market` means nothing on attribute `m`: the plugin `email` does not ask for it",
        ),
        ("type T = { @stored a: Long };".to_owned(), "`@stored` means nothing on `a` of type `T`, which nothing uses"),
        (
            "type T = { r: { @sensitive a: Long } };".to_owned(),
            "`@sensitive` means nothing on `r.a` of type `T`, which nothing uses",
        ),
        (
            format!("{PHONE} type T = {{ c: String, @market(\"this.c\") p: Phone }};"),
            "`@market` means nothing on `p` of type `T`, which nothing uses",
        ),
        (
            "namespace N { type T = { @stored a: Long }; entity U = { plain: T, s: Set<T> }; }".to_owned(),
            "`@stored` means nothing on `s.a` of entity type `N::U`, which is in a set that callers say whole (it stands in type `N::T`)",
        ),
        (
            "type T = { @stored a: Long }; type R = { t: T }; entity U = { plain: R } tags R;".to_owned(),
            "`@stored` means nothing on `its tags.t.a` of entity type `U`, which is in tags: put it on the type, and all of its tags are for the store to say (it stands in type `T`)",
        ),
    ];
    for (types, message) in cases {
        let store = store(&schema(&types), "@id(\"p\") permit (principal, action, resource);");
        let found: Vec<Problem> = problems_of(store.path()).into_iter().filter(is_error).collect();
        assert_eq!(found.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>(), [message], "{types}");
        let shown = &found[0].labels[0];
        let key = message.split('`').nth(1).unwrap();
        assert_eq!(&types[shown.offset()..shown.offset() + shown.len()], key, "{types}");
    }
    // Each of two annotations of one name is shown where it stands.
    let two = schema("entity U = { fine: { @stored x?: Long }, set: Set<{ @stored x: Long }> };");
    let found = problems_of(store(&two, "").path());
    assert_eq!(found[0].labels[0].offset(), two.rfind("@stored").unwrap(), "{found:?}");
    let used = "@stored @alias(\"u\") entity U = { m?: Email, t?: T } tags T; type T = { @sensitive a?: Long, @market(\"this.t\") p?: Phone };";
    assert!(refused(&schema(&format!("{EMAIL} {PHONE} {used}"))).contains("the path `this.t`"));
    assert_eq!(refused(&schema(&format!("{EMAIL} {PHONE} {}", used.replace("@market(\"this.t\") ", "")))), "");
}

/// A8: "a closed list per place": a row of the matrix gives no reasons, and allows no warnings.
#[test]
fn a8_what_is_for_policies_means_nothing_on_a_row() {
    for key in ["reason", "allow"] {
        let store = folder([
            ("schema/a.cedarschema", "entity Who; action a appliesTo { principal: Who, resource: Who };".to_owned()),
            ("policies/a.cedar", format!("@id(\"p\") @{key}(\"shadowed\") permit (principal, action, resource);")),
            (
                "matrix/a.cedar",
                format!(
                    "@id(\"r\") @table(\"t\") @row(\"r\") @column(\"c\") @{key}(\"shadowed\") permit (principal, action, resource);"
                ),
            ),
        ]);
        let found: Vec<String> = problems_of(store.path()).iter().filter(|found| is_error(found)).map(shown).collect();
        assert!(
            found.len() == 1 && found[0].contains(&format!("`@{key}` means nothing on row `t · r · c`")),
            "{found:?}"
        );
    }
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
    // A record without a name cannot be bound at all.
    let record = "{ valid: Bool, address: String, domain: String }";
    for of in [
        format!("entity U = {{ mail?: {record} }};"),
        format!("entity U tags {{ mail: Set<Set<{record}>> }};"),
        format!("action b appliesTo {{ principal: Who, resource: Who, context: {{ mail: {record} }} }};"),
    ] {
        let found = warnings(&of);
        assert!(found.len() == 1 && found[0].starts_with("attribute `mail` in "), "{of}: {found:?}");
    }
    // Nor can what is not an attribute: all attributes of a type, its tags, a context.
    for (of, what) in [
        (format!("entity U = {record};"), "the record of the attributes of `U`"),
        (format!("entity U tags {record};"), "the record of the tags of `U`"),
        (format!("entity U tags Set<{record}>;"), "the record of the tags of `U`"),
        (
            format!("action b appliesTo {{ principal: Who, resource: Who, context: {record} }};"),
            "the record of the context of `Action::\"b\"`",
        ),
    ] {
        let found = warnings(&of);
        assert!(found.len() == 1 && found[0].starts_with(what), "{of}: {found:?}");
    }
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

/// A8: "`check --fix` renames … (atomically, preserving everything else; say what was renamed)": all files that need it, or none; a byte order
/// mark and the ends of lines stay; a file that is nested too deeply is told of and not read.
#[test]
fn a8_check_fix_mends_all_files_or_none() {
    let check = |store: &tempfile::TempDir| {
        gatepost(store.path(), &["check", "--store", ".", "--fix", "--solver", "no-solver"])
    };
    let schema = "entity Who; action a appliesTo { principal: Who, resource: Who };";
    let policy = "@id(\"p\") @team(\"a\") permit (principal, action, resource);\r\n";
    let with = |name: &str, text: &str| {
        folder([
            ("schema/a.cedarschema", schema.to_owned()),
            ("policies/a.cedar", format!("\u{feff}{policy}")),
            (name, text.to_owned()),
        ])
    };
    let text = |store: &tempfile::TempDir| std::fs::read_to_string(store.path().join("policies/a.cedar")).unwrap();

    let twice = with("policies/b.cedar", "@id(\"q\") @team @x_team permit (principal, action, resource);");
    let told = check(&twice).with(2);
    assert!(told.err.contains("`policies/b.cedar` would have one twice"), "{told:?}");
    assert_eq!((text(&twice), told.out.as_str()), (format!("\u{feff}{policy}"), ""));

    let deep = format!(
        "@id(\"q\") permit (principal, action, resource) when {{ {}true{} }};",
        "(".repeat(9999),
        ")".repeat(9999)
    );
    let deep = with("policies/b.cedar", &deep);
    let told = check(&deep).with(1);
    assert!(told.out.contains("renamed `@team`") && told.out.contains("nested too deeply"), "{told:?}");
    assert_eq!(text(&deep), format!("\u{feff}{}", policy.replace("@team", "@x_team")));
}

/// C5: what stands in a file of entities is read, or refused. Cedar 4.14.1 passes over members that it does not know, `tag` for `tags` too
/// (`findings/cedar-entities-ignore-misspelt-members.sh`).
#[test]
fn c5_a_uid_or_a_parent_with_more_than_type_and_id_is_refused() {
    let problems = |entities: Value| {
        let store = folder([
            (
                "schema/a.cedarschema",
                "entity G; entity U in [G] = { nick?: String, all?: Set<Long>, deep?: { nick?: String } } tags String; action a appliesTo { principal: U, resource: U };".to_owned(),
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
    for (part, value) in [
        ("tags", Value::Null),
        ("attrs", Value::Null),
        ("parents", Value::Null),
        ("tags", json!({ "suspended": null })),
        ("attrs", json!({ "nick": null })),
        ("attrs", json!({ "all": [null] })),
        ("attrs", json!({ "deep": { "nick": null } })),
        ("parents", json!([null])),
    ] {
        let mut entity = json!({ "uid": uid });
        entity[part] = value;
        let found = problems(json!([entity]));
        let (is_null, is_uid) = (found.contains(" is null"), found.contains("a uid is written"));
        assert!((is_null || is_uid) && found.starts_with("error: entities/a.json:1:"), "{part}: {found}");
    }
}

/// C5: a null for a tag is refused, of whatever type the tags are.
#[test]
fn c5_a_null_is_no_tag_of_any_type() {
    for (declared, value) in [
        ("Bool", json!(true)),
        ("Long", json!(1)),
        ("String", json!("s")),
        ("U", json!("u")),
        ("E", json!("a")),
        ("Action", json!("a")),
        ("ipaddr", json!("10.0.0.1")),
        ("decimal", json!("1.0")),
        ("datetime", json!("2026-01-01")),
        ("duration", json!("1h")),
        ("Set<String>", json!([])),
        ("{ a?: Long }", json!({})),
        ("Phone", json!("+4930123456")),
    ] {
        let schema = format!(
            "{PHONE} entity E enum [\"a\"]; entity U tags {declared}; action a appliesTo {{ principal: U, resource: U }};"
        );
        let types = snapshot(&schema, "@id(\"p\") permit (principal, action, resource);").store.types;
        let stored =
            |tag: &Value| is_stored(&json!([{ "uid": { "type": "U", "id": "u" }, "tags": { "t": tag } }]), &types);
        assert_eq!([stored(&value), stored(&Value::Null)], [true, false], "{declared}");
    }
}

/// A16: a warning of a reference to what is not stored shows nothing that the log masks, at any depth, in tags neither; of a masked one it says
/// that there is one. What stands beside it is warned of as ever.
#[test]
fn a16_no_warning_shows_what_is_sensitive() {
    let store = folder([
        (
            "schema/a.cedarschema",
            "entity U = {
               r?: { @sensitive who?: U, @sensitive deep?: { who: Set<U> }, beside?: U },
               s?: Set<{ @sensitive who: U }>, open?: U
             } tags { @sensitive who: U, beside: U };
             action a appliesTo { principal: U, resource: U };"
                .to_owned(),
        ),
        ("policies/a.cedar", "@id(\"p\") permit (principal, action, resource);".to_owned()),
        (
            "entities/a.json",
            json!([{
                "uid": { "type": "U", "id": "u" },
                "attrs": {
                    "r": { "who": "secret", "deep": { "who": ["secret"] }, "beside": "near-r" },
                    "s": [{ "who": "secret" }],
                    "open": "shown",
                },
                "tags": { "t": { "who": "secret", "beside": "near-t" } },
            }])
            .to_string(),
        ),
    ]);
    let snapshot = snapshot_of(store.path());
    let mut warnings: Vec<String> =
        snapshot.entities.warnings(&snapshot.store.types).into_iter().map(|problem| problem.message).collect();
    warnings.sort();
    assert_eq!(
        warnings,
        [
            "`U::\"u\"` refers to `U::\"near-r\"`, which is not stored",
            "`U::\"u\"` refers to `U::\"near-t\"`, which is not stored",
            "`U::\"u\"` refers to `U::\"shown\"`, which is not stored",
            "`U::\"u\"` refers to something that is masked, which is not stored",
        ]
    );
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

/// C4: "checked and followed wherever a type can stand": the country by which a number is read is found from each place, said or stored.
#[test]
fn c4_the_arguments_of_plugins_are_followed_from_every_place() {
    let number = json!("(02) 9374 4000");
    let of_entity = [
        ("attr?: Phone", "attr", number.clone(), "has attr && V.attr.valid"),
        ("set?: Set<Phone>", "set", json!([number]), "has set && V.set.contains(principal.known)"),
        ("rec?: { deep: { p: Phone } }", "rec", json!({ "deep": { "p": number } }), "has rec && V.rec.deep.p.valid"),
        (
            "recs?: Set<{ p: Phone }>",
            "recs",
            json!([{ "p": number }]),
            "has recs && V.recs.contains({ p: principal.known })",
        ),
        ("type?: Alias", "type", json!([number]), "has type && V.type.contains(principal.known)"),
    ];
    let annotated = |declared: &str, path: &str| {
        let at = declared.find("p: Phone").unwrap_or_default();
        format!("{}@market(\"{path}\") {}", &declared[..at], &declared[at..])
    };
    for (declared, name, value, condition) in of_entity {
        let schema = format!(
            "{PHONE} type Alias = Set<Phone>;
             entity U = {{ country?: String, @market(\"this.country\") known: Phone, {} }} tags {{ {} }};
             action a appliesTo {{ principal: U, resource: U, context: {{ country?: String, {} }} }};",
            annotated(declared, "this.country"),
            annotated(declared, "this.country"),
            annotated(declared, "principal.country"),
        );
        for variable in ["principal", "principal.getTag(\"t\")", "context"] {
            let condition = format!("{variable} {}", condition.replace('V', variable));
            let tagged = if variable.contains("getTag") { "principal.hasTag(\"t\") && " } else { "" };
            let policies = format!(
                "@id(\"p\") permit (principal, action, resource) when {{ principal.known.valid && {tagged}{condition} }};"
            );
            let attributes = |country: &str| json!({ "country": country, "known": number, name: value });
            let other = json!({ "type": "U", "id": "other", "properties": { "known": number } });
            let ask = |country: &str, is_stored: bool| {
                let stored = json!([{ "uid": { "type": "U", "id": "u" }, "attrs": attributes(country), "tags": { "t": { name: value } } }]);
                let store = store(&schema, &policies);
                let mut subject = json!({ "type": "U", "id": "u" });
                if is_stored {
                    common::write(store.path(), "entities/a.json", stored.to_string().as_bytes());
                } else {
                    subject["properties"] = attributes(country);
                    subject["tags"] = json!({ "t": { name: value } });
                }
                let context = json!({ name: value });
                let body =
                    json!({ "subject": subject, "action": { "name": "a" }, "resource": other, "context": context });
                decision(&snapshot_of(store.path()), &body)
            };
            for is_stored in [false, true] {
                assert_eq!(
                    [ask("AU", is_stored), ask("US", is_stored)],
                    ["true", "false"],
                    "{declared} of {variable}, {is_stored}"
                );
            }
        }
    }
}

/// A8: "`@must_exist` only on attributes/context members that hold references (at any depth)": wherever it may stand, it has its effect.
#[test]
fn a8_what_must_exist_must_be_stored_wherever_the_annotation_stands() {
    for (declared, name, value) in [
        ("@must_exist one?: W", "one", json!("w")),
        ("@must_exist many?: Set<W>", "many", json!(["w"])),
        ("@must_exist sets?: Set<Set<W>>", "sets", json!([["w"]])),
        ("rec?: { deep: { @must_exist w: W } }", "rec", json!({ "deep": { "w": "w" } })),
        ("recs?: Set<{ @must_exist w: Set<W> }>", "recs", json!([{ "w": ["w"] }])),
        ("by_name?: T", "by_name", json!({ "w": "w" })),
    ] {
        let schema = format!(
            "entity W; type T = {{ @must_exist w: W }}; entity U = {{ {declared}, other?: T }};
             action a appliesTo {{ principal: U, resource: U, context: {{ {declared} }} }};"
        );
        let policies = "@id(\"p\") permit (principal, action, resource);";
        for part in ["subject", "resource", "context"] {
            let ask = |is_stored: bool| {
                let store = store(&schema, policies);
                if is_stored {
                    common::write(
                        store.path(),
                        "entities/a.json",
                        b"[{ \"uid\": { \"type\": \"W\", \"id\": \"w\" } }]",
                    );
                }
                let mut body = json!({
                    "subject": { "type": "U", "id": "s" }, "action": { "name": "a" }, "resource": { "type": "U", "id": "r" }, "context": {},
                });
                match part {
                    "context" => body["context"][name] = value.clone(),
                    _ => body[part]["properties"] = json!({ name: value }),
                }
                decision(&snapshot_of(store.path()), &body)
            };
            assert_eq!([ask(true), ask(false)], ["true", "false"], "{declared} in the {part}");
        }
        // A stored entity that refers to nothing is an error.
        let store = store(&schema, policies);
        let entity = json!([{ "uid": { "type": "U", "id": "u" }, "attrs": { name: value } }]);
        common::write(store.path(), "entities/a.json", entity.to_string().as_bytes());
        assert!(problems_of(store.path()).iter().any(is_error), "{declared}");
    }
}
