//! "Nothing that is stated is lost": whatever the schema declares, a request or a stored entity can say; what contradicts itself is
//! refused; what only the store may say, no caller says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{folder, open_limits, problems_of, snapshot_of};
use gatepost::engine::{Snapshot, Target};
use gatepost::http::authzen;
use gatepost::request::Facts;
use gatepost::request::json::{DEEPEST, Json};
use serde_json::{Value, json};

/// A store of one schema, these policies and these entities.
fn snapshot(schema: &str, policies: &str, entities: &Value) -> Snapshot {
    let store = folder([
        ("schema/a.cedarschema", schema.to_owned()),
        ("policies/a.cedar", policies.to_owned()),
        ("entities/a.json", entities.to_string()),
    ]);
    snapshot_of(store.path())
}

/// The problems of such a store, in one line each.
fn refused(schema: &str, policies: &str, entities: &str) -> String {
    let store =
        folder([("schema/a.cedarschema", schema), ("policies/a.cedar", policies), ("entities/a.json", entities)]);
    problems_of(store.path())
        .iter()
        .filter(|problem| common::is_error(problem))
        .map(common::shown)
        .collect::<Vec<_>>()
        .join("\n")
}

/// What a single evaluation answers: `allow`, `deny`, or why it is refused.
fn answer(snapshot: &Snapshot, body: &Value) -> String {
    match common::evaluate(snapshot, &open_limits(), body) {
        Ok(answer) if answer["decision"] == json!(true) => "allow".to_owned(),
        Ok(_) => "deny".to_owned(),
        Err(error) => error,
    }
}

fn asked(subject: &Value, action: &Value, resource: &Value, context: &Value) -> Value {
    json!({ "subject": subject, "action": action, "resource": resource, "context": context })
}

/// What a search for resources, or for subjects, finds.
fn found(snapshot: &Snapshot, body: &Value, target: Target) -> Vec<String> {
    use gatepost::engine::Search;
    let text = body.to_string();
    let json = Json::parse(text.as_bytes(), DEEPEST).unwrap();
    let question = authzen::question(&json).unwrap();
    let search = snapshot.search(question, target, Facts::FromPlugins).unwrap();
    let all = (0..search.candidates()).filter_map(|place| search.candidate(place));
    all.filter(|id| search.allows(id)).map(str::to_owned).collect()
}

mod actions_as_values {
    use super::*;

    const SCHEMA: &str = r#"
        entity U = { blocked?: Set<Action>, last?: Action } tags Action;
        entity D;
        action "write group";
        action read, share in ["write group"] appliesTo { principal: U, resource: D, context: { via?: Action } };
        namespace N { action audit appliesTo { principal: U, resource: D, context: { of?: Action, outer?: __cedar::Bool } }; }
    "#;
    const POLICIES: &str = r#"
        @id("all") permit (principal, action, resource);
        @id("blocked") forbid (principal is U, action in [Action::"read", Action::"share"], resource) when { principal has blocked && principal.blocked.contains(action) };
        @id("via") forbid (principal is U, action in [Action::"read", Action::"share"], resource is D)
            when { context has via && context.via in Action::"write group" };
        @id("tagged") forbid (principal is U, action in [Action::"read", Action::"share"], resource) when { principal.hasTag("t") && principal.getTag("t") == action };
        @id("own") forbid (principal is U, action == N::Action::"audit", resource is D)
            when { context has of && context.of == N::Action::"audit" };
    "#;

    fn subject(id: &str, properties: &Value) -> Value {
        json!({ "type": "U", "id": id, "properties": properties })
    }

    /// C1, search = decision: what an action is in, the schema says, and a search asks it.
    #[test]
    fn a1_a_search_knows_what_an_action_is_in() {
        let schema = r#"
            entity U; entity D = { allowed?: Set<Action>, last?: Action };
            action group; action read in [group] appliesTo { principal: U, resource: D };
        "#;
        let policies = r#"
            permit (principal, action, resource) when { resource has allowed && action in resource.allowed };
            permit (principal, action, resource) when { resource has last && resource.last in Action::"group" };
        "#;
        let stored = json!([
            { "uid": { "type": "D", "id": "by group" }, "attrs": { "allowed": ["group"] } },
            { "uid": { "type": "D", "id": "by last" }, "attrs": { "last": "read" } },
            { "uid": { "type": "D", "id": "none" } },
        ]);
        let store = snapshot(schema, policies, &stored);
        let body =
            asked(&json!({ "type": "U", "id": "u" }), &json!({ "name": "read" }), &json!({ "type": "D" }), &json!({}));
        let mut searched = body.clone();
        searched["resource"]["id"] = json!("");
        assert_eq!(found(&store, &searched, Target::Resource), ["by group", "by last"]);
        for (id, expected) in [("by group", "allow"), ("by last", "allow"), ("none", "deny")] {
            let mut single = body.clone();
            single["resource"]["id"] = json!(id);
            assert_eq!(answer(&store, &single), expected, "{id}");
        }
    }

    /// A1: an attribute, a tag and a member of the context whose type is an action's are read like any reference.
    #[test]
    fn a1_an_action_is_read_like_any_reference_and_forbids() {
        let stored = json!([
            { "uid": { "type": "U", "id": "stored" }, "attrs": { "blocked": ["share", { "type": "Action", "id": "read" }] } },
            { "uid": { "type": "U", "id": "tagged" }, "tags": { "t": "read" } },
        ]);
        let store = snapshot(SCHEMA, POLICIES, &stored);
        let ask = |subject: Value, action: &str, context: Value| {
            answer(&store, &asked(&subject, &json!({ "name": action }), &json!({ "type": "D", "id": "d" }), &context))
        };
        let nothing = json!({});
        for blocked in [json!(["share"]), json!([{ "type": "Action", "id": "share" }]), json!(["read", "share"])] {
            assert_eq!(
                ask(subject("u", &json!({ "blocked": blocked })), "share", nothing.clone()),
                "deny",
                "{blocked}"
            );
        }
        assert_eq!(ask(subject("u", &json!({ "blocked": ["read"] })), "share", nothing.clone()), "allow");
        assert_eq!(ask(subject("stored", &nothing), "share", nothing.clone()), "deny");
        assert_eq!(ask(subject("stored", &nothing), "read", nothing.clone()), "deny");
        assert_eq!(ask(subject("tagged", &nothing), "read", nothing.clone()), "deny");
        assert_eq!(ask(subject("tagged", &nothing), "share", nothing.clone()), "allow");
        // What an action is in stands in the schema.
        assert_eq!(ask(subject("u", &nothing), "read", json!({ "via": "share" })), "deny");
        assert_eq!(ask(subject("u", &nothing), "read", json!({ "via": "write group" })), "deny");
        // In a namespace, its own actions.
        assert_eq!(ask(subject("u", &nothing), "audit", json!({ "of": "audit" })), "deny");
        assert_eq!(
            ask(subject("u", &nothing), "audit", json!({ "of": { "type": "N::Action", "id": "audit" } })),
            "deny"
        );
        assert!(ask(subject("u", &nothing), "audit", json!({ "of": "read" })).contains("`context.of` must be"));
        assert!(
            ask(subject("u", &nothing), "audit", json!({ "of": { "type": "Action", "id": "read" } }))
                .contains("one to a `Action`")
        );
    }

    /// A1: "another type is 400, and so is an action that the schema lacks".
    #[test]
    fn a1_an_action_that_the_schema_lacks_is_refused() {
        let store = snapshot(SCHEMA, POLICIES, &json!([]));
        let ask = |blocked: Value| {
            let subject = subject("u", &json!({ "blocked": blocked }));
            answer(
                &store,
                &asked(&subject, &json!({ "name": "share" }), &json!({ "type": "D", "id": "d" }), &json!({})),
            )
        };
        assert_eq!(
            ask(json!(["shaer"])),
            "`subject.properties.blocked[0]` must be the id of an Action: `read`, `share`, `write group`, but is `shaer`"
        );
        assert!(ask(json!([{ "type": "U", "id": "share" }])).contains("but is one to a `U`"));
        assert!(ask(json!([{ "type": "Action" }])).contains("but is an object without them"));
        assert!(ask(json!([{}])).contains("an object without them"));
        let entities = r#"[{"uid": {"type": "U", "id": "u"}, "attrs": {"blocked": ["shaer"]}}]"#;
        assert!(refused(SCHEMA, POLICIES, entities).contains("`blocked[0]` must be the id of an Action"));
    }
}

/// A1: "wherever a reference of one type is declared, `"id"` and `{"type": THAT TYPE, "id"}` mean the same", at any depth.
#[test]
fn a1_a_reference_is_its_id_or_its_type_and_id() {
    let store = snapshot(
        "entity U = { friend?: U, all?: Set<U>, deep?: { friend: U } }; entity D; action a appliesTo { principal: U, resource: D };",
        r#"permit (principal, action, resource) when {
            principal.friend == U::"x" && principal.all == [U::"x", U::"y"] && principal.deep.friend == U::"x" };"#
            .replace("when {", "when { principal has friend && principal has all && principal has deep &&")
            .as_str(),
        &json!([]),
    );
    let (plain, whole) = (json!("x"), json!({ "type": "U", "id": "x" }));
    for x in [plain, whole] {
        let properties = json!({ "friend": x, "all": ["y", x], "deep": { "friend": x } });
        let subject = json!({ "type": "U", "id": "u", "properties": properties });
        assert_eq!(
            answer(&store, &asked(&subject, &json!({ "name": "a" }), &json!({ "type": "D", "id": "d" }), &json!({}))),
            "allow"
        );
    }
}

mod action_in_context {
    use super::*;

    fn store(declared: &str, condition: &str) -> Snapshot {
        let schema = format!(
            "entity U; entity D; action a appliesTo {{ principal: U, resource: D, context: {{ {declared} }} }};"
        );
        let policies = format!(
            "permit (principal, action, resource); @id(\"no\") forbid (principal, action, resource) when {{ {condition} }};"
        );
        snapshot(&schema, &policies, &json!([]))
    }

    fn ask(store: &Snapshot, properties: &Value, context: &Value) -> String {
        let action = json!({ "name": "a", "properties": properties });
        answer(store, &asked(&json!({ "type": "U", "id": "u" }), &action, &json!({ "type": "D", "id": "d" }), context))
    }

    /// A2, rule 11: what the schema declares of `context.action` is read as sent, and the action's properties are laid over it.
    #[test]
    fn a2_what_the_context_says_of_the_action_is_read() {
        let store = store(
            "action?: { dangerous?: Bool, level?: Long }",
            "context has action && context.action has dangerous && context.action.dangerous",
        );
        assert_eq!(ask(&store, &json!({}), &json!({})), "allow");
        assert_eq!(ask(&store, &json!({}), &json!({ "action": { "dangerous": true } })), "deny");
        assert_eq!(ask(&store, &json!({ "dangerous": true }), &json!({})), "deny");
        assert_eq!(
            ask(&store, &json!({ "level": 1 }), &json!({ "action": { "dangerous": true } })),
            "deny",
            "both are kept"
        );
        assert_eq!(
            ask(&store, &json!({ "dangerous": true }), &json!({ "action": { "dangerous": true, "level": 1 } })),
            "deny"
        );
        assert_eq!(
            ask(&store, &json!({ "dangerous": false }), &json!({ "action": { "dangerous": true } })),
            "`context.action.dangerous` and `action.properties.dangerous` contradict each other: send one of them, or the same value"
        );
        assert!(ask(&store, &json!({}), &json!({ "action": "x" })).contains("`context.action` must be an object"));
    }

    #[test]
    fn a2_what_either_says_need_not_be_said_twice() {
        let store = store("action: { force: Bool, note: String }", "context.action.force");
        assert_eq!(ask(&store, &json!({ "note": "n" }), &json!({ "action": { "force": false } })), "allow");
        assert_eq!(ask(&store, &json!({ "force": true }), &json!({ "action": { "note": "n" } })), "deny");
        assert_eq!(ask(&store, &json!({}), &json!({ "action": { "note": "n" } })), "deny", "`force` is missing");
        assert_eq!(ask(&store, &json!({ "force": false, "note": "n" }), &json!({})), "allow");
    }

    /// What says nothing of the action requires nothing: neither a null nor what is not declared.
    #[test]
    fn a2_what_says_nothing_of_the_action_does_not_require_the_rest() {
        let store = store("action?: { dangerous?: Bool, note: String }", "context has action");
        assert_eq!(ask(&store, &json!({}), &json!({})), "allow");
        assert_eq!(ask(&store, &json!({ "dangerous": null }), &json!({})), "allow");
        assert_eq!(ask(&store, &json!({ "other": 1 }), &json!({ "action": null })), "allow");
        assert_eq!(ask(&store, &json!({ "dangerous": false }), &json!({})), "deny", "`note` is missing");
    }

    /// Two times of the action that differ below the millisecond contradict each other, though Cedar has one for both.
    #[test]
    fn a2_times_of_the_action_are_compared_to_the_last_digit() {
        let store = store("action?: { at?: datetime }", "false");
        let at = |text: &str| json!({ "at": text });
        let (fine, finer) = ("2026-01-01T00:00:00.0001Z", "2026-01-01T00:00:00.0002Z");
        assert!(ask(&store, &at(fine), &json!({ "action": at(finer) })).contains("contradict each other"));
        assert_eq!(ask(&store, &at(fine), &json!({ "action": at("2026-01-01T01:00:00.000100+01:00") })), "allow");
    }

    /// With `action: String` nothing could ever be allowed.
    #[test]
    fn a2_a_member_of_another_type_is_read_as_it_is_declared() {
        let store = store("action: String", "context.action == \"no\"");
        assert_eq!(ask(&store, &json!({}), &json!({ "action": "yes" })), "allow");
        assert_eq!(ask(&store, &json!({}), &json!({ "action": "no" })), "deny");
        assert_eq!(ask(&store, &json!({}), &json!({})), "deny");
    }
}

/// A3: what is said of one entity in two places agrees, or is refused; as typed values, not as texts.
#[test]
fn a3_one_entity_said_twice_agrees_or_is_refused() {
    let schema = "entity U = { suspended?: Bool, tags?: Set<String>, since?: datetime, price?: decimal, ip?: ipaddr, deep?: { a: Long } } tags Long;
        action a appliesTo { principal: U, resource: U };";
    let policies = r#"permit (principal, action, resource); forbid (principal, action, resource)
        when { principal has suspended && principal.suspended };"#;
    let store = snapshot(
        schema,
        policies,
        &json!([{ "uid": { "type": "U", "id": "u" } }, { "uid": { "type": "U", "id": "v" } }]),
    );
    let ask = |subject: Value, resource: Value| {
        let of = |properties: Value| json!({ "type": "U", "id": "u", "properties": properties });
        answer(&store, &asked(&of(subject), &json!({ "name": "a" }), &of(resource), &json!({})))
    };
    assert_eq!(
        ask(json!({ "suspended": true }), json!({ "suspended": false })),
        "`subject.properties.suspended` and `resource.properties.suspended` contradict each other: send one of them, or the same value"
    );
    assert_eq!(ask(json!({ "suspended": true }), json!({})), "deny", "what is said once is merged");
    assert_eq!(ask(json!({}), json!({ "suspended": true })), "deny");
    for (one, other) in [
        (json!({ "tags": ["a", "b", "a"] }), json!({ "tags": ["b", "a"] })),
        (json!({ "since": "2026-01-01" }), json!({ "since": "2026-01-01T01:00:00+01:00" })),
        (json!({ "price": 1.5 }), json!({ "price": "1.50" })),
        (json!({ "ip": "::ffff:1.2.3.4" }), json!({ "ip": "1.2.3.4/32" })),
    ] {
        assert_eq!(ask(one.clone(), other.clone()), "allow", "{one} {other}");
    }
    for (one, other) in [
        (json!({ "tags": ["a"] }), json!({ "tags": [] })),
        (json!({ "since": "2026-01-01" }), json!({ "since": "2026-01-02" })),
        (json!({ "price": 1.5 }), json!({ "price": 1.6 })),
        (json!({ "ip": "1.2.3.4/32" }), json!({ "ip": "1.2.3.4/31" })),
        (json!({ "deep": { "a": 1 } }), json!({ "deep": { "a": 2 } })),
    ] {
        assert!(ask(one.clone(), other.clone()).contains("contradict each other"), "{one} {other}");
    }
    let tagged = |tags: Value| json!({ "type": "U", "id": "u", "tags": tags });
    let tags = asked(&tagged(json!({ "x": 1 })), &json!({ "name": "a" }), &tagged(json!({ "x": 2 })), &json!({}));
    assert!(answer(&store, &tags).starts_with("`subject.tags.x` and `resource.tags.x` contradict"));
    // In a search such a candidate is no result.
    let of = |id: &str, suspended: bool| json!({ "type": "U", "id": id, "properties": { "suspended": suspended } });
    let search = asked(&of("u", false), &json!({ "name": "a" }), &of("", true), &json!({}));
    assert_eq!(found(&store, &search, Target::Resource), ["v"]);
}

/// A4, rule 14: without its nulls, an array would be another set.
#[test]
fn a4_a_null_in_an_array_is_refused_with_its_place() {
    let schema = "entity U = { blockers?: Set<String>, deep?: { all: Set<Set<Long>> } } tags Set<Long>; entity D;
        action a appliesTo { principal: U, resource: D, context: { all?: Set<U> } };";
    let policies =
        r#"permit (principal, action, resource) when { principal has blockers && principal.blockers.isEmpty() };"#;
    let store = snapshot(schema, policies, &json!([]));
    let ask = |subject: Value, context: Value| {
        let subject = common::with(json!({ "type": "U", "id": "u" }), subject);
        answer(&store, &asked(&subject, &json!({ "name": "a" }), &json!({ "type": "D", "id": "d" }), &context))
    };
    assert_eq!(
        ask(json!({ "properties": { "blockers": [null] } }), json!({})),
        "`subject.properties.blockers[0]` must be a string, but is null"
    );
    let deep = json!({ "properties": { "deep": { "all": [[1], [2, null, 3]] } } });
    assert_eq!(
        ask(deep, json!({})),
        "`subject.properties.deep.all[1][1]` must be a whole number of 64 bits, but is null"
    );
    assert!(ask(json!({}), json!({ "all": ["x", null] })).starts_with("`context.all[1]` must be"));
    assert!(ask(json!({ "tags": { "t": [null] } }), json!({})).starts_with("`subject.tags.t[0]` must be"));
    assert!(ask(json!({ "parents": [null] }), json!({})).starts_with("`subject.parents[0]` must be an id"));
    for (attrs, expected) in [
        (r#""attrs": {"blockers": [null]}"#, "`blockers[0]` must be a string, but is null"),
        (r#""attrs": {"blockers": null}"#, "`blockers` must be an array, but is null"),
        (r#""tags": {"t": null}"#, "`t` must be an array, but is null"),
        (r#""tags": {"t": [1, null]}"#, "`t[1]` must be a whole number of 64 bits, but is null"),
    ] {
        let entities = format!(r#"[{{"uid": {{"type": "U", "id": "u"}}, {attrs}}}]"#);
        let told = refused(schema, policies, &entities);
        assert!(told.contains(expected), "{told}");
    }
}

mod tags_and_parents {
    use super::*;

    const SCHEMA: &str = r#"
        entity Org;
        entity Group in [Org, Group];
        entity Level enum ["low", "high"];
        entity Staff in [Group, Level] tags String;
        @parents_from("caller")
        entity Guest in [Group] tags String;
        @stored
        entity Robot in [Group] tags String;
        entity D in [Group];
        action a appliesTo { principal: [Staff, Guest, Robot], resource: [D, Group] };
    "#;
    const POLICIES: &str = r#"
        @id("in") permit (principal in Group::"g", action, resource);
        @id("org") permit (principal in Org::"o", action, resource);
        @id("level") permit (principal is Staff in Level::"high", action, resource);
        @id("suspended") forbid (principal is Staff, action, resource) when { principal.hasTag("suspended") };
        @id("same") permit (principal, action, resource) when { principal.hasTag("project") && principal.getTag("project") == "x" };
    "#;

    fn store() -> Snapshot {
        let uid = |kind: &str, id: &str| json!({ "type": kind, "id": id });
        snapshot(
            SCHEMA,
            POLICIES.replace("@id(\"same\") permit (principal,", "@id(\"same\") permit (principal is Staff,").as_str(),
            &json!([
                { "uid": uid("Org", "o") },
                { "uid": uid("Group", "g"), "parents": [uid("Org", "o")] },
                { "uid": uid("Group", "sub"), "parents": [uid("Group", "g")] },
                { "uid": uid("Group", "other") },
                { "uid": uid("Staff", "stored"), "parents": [uid("Group", "other")], "tags": { "project": "y", "suspended": "no" } },
                { "uid": uid("Staff", "free"), "tags": { "project": "y" } },
                { "uid": uid("Guest", "stored"), "parents": [uid("Group", "other")] },
                { "uid": uid("Robot", "stored"), "parents": [uid("Group", "g")] },
            ]),
        )
    }

    fn ask(subject: &Value, resource: &Value) -> String {
        answer(&store(), &asked(subject, &json!({ "name": "a" }), resource, &json!({})))
    }

    fn d() -> Value {
        json!({ "type": "D", "id": "d" })
    }

    /// A5: of an entity that is not stored, tags and parents are as sent.
    #[test]
    fn a5_tags_and_parents_of_what_is_not_stored_are_as_sent() {
        let staff = |more: Value| ask(&common::with(json!({ "type": "Staff", "id": "new" }), more), &d());
        let group = |id: &str| json!({ "type": "Group", "id": id });
        assert_eq!(staff(json!({})), "deny");
        assert_eq!(staff(json!({ "parents": [group("g")] })), "allow");
        assert_eq!(staff(json!({ "parents": [group("sub")] })), "allow", "what a parent is in is stored");
        assert_eq!(staff(json!({ "parents": [group("other")] })), "deny");
        assert_eq!(staff(json!({ "parents": [{ "type": "Level", "id": "high" }] })), "allow");
        assert_eq!(staff(json!({ "parents": [group("g")], "tags": { "suspended": "x" } })), "deny");
        assert_eq!(staff(json!({ "tags": { "project": "x" } })), "allow");
        assert_eq!(staff(json!({ "tags": { "project": null } })), "deny");
        // Where there is one type of parents, the plain id says the same.
        assert_eq!(ask(&json!({ "type": "Guest", "id": "new", "parents": ["g"] }), &d()), "allow");
        assert!(staff(json!({ "parents": ["g"] })).contains("must be an object with the `type` (`Group` or `Level`)"));
    }

    /// A5: sent tags are laid over the stored ones; sent parents are added, and only where the type takes them from a caller.
    #[test]
    fn a5_of_what_is_stored_tags_are_laid_over_and_parents_added_where_the_type_says_so() {
        let staff = |id: &str, more: Value| ask(&common::with(json!({ "type": "Staff", "id": id }), more), &d());
        let group = json!([{ "type": "Group", "id": "g" }]);
        assert_eq!(staff("free", json!({ "tags": { "project": "x" } })), "allow");
        assert_eq!(staff("stored", json!({ "tags": { "project": "x" } })), "deny", "the stored tag stays");
        assert!(
            staff("stored", json!({ "parents": group }))
                .contains("`subject.parents` cannot be sent: what a stored `Staff` is in, the store alone says")
        );
        let guest = |more: Value| ask(&common::with(json!({ "type": "Guest", "id": "stored" }), more), &d());
        assert_eq!(guest(json!({})), "deny");
        assert_eq!(guest(json!({ "parents": group })), "allow");
        assert_eq!(guest(json!({ "parents": [{ "type": "Group", "id": "sub" }] })), "allow");
    }

    /// A5: a cycle, an enumerated child, a parent that is not stored but can have parents itself, and a parent of another type are refused.
    #[test]
    fn a5_a_parent_that_cannot_be_is_refused() {
        let staff = |more: Value| ask(&common::with(json!({ "type": "Staff", "id": "new" }), more), &d());
        assert!(
            staff(json!({ "parents": [{ "type": "Group", "id": "nowhere" }] }))
                .contains("`subject.parents[0]` is not stored")
        );
        assert!(staff(json!({ "parents": [{ "type": "Org", "id": "o" }] })).contains("but is one to a `Org`"));
        assert!(
            staff(json!({ "parents": [{ "type": "Level", "id": "middle" }] })).contains("must be the id of a Level")
        );
        assert!(staff(json!({ "parents": {} })).contains("`subject.parents` must be an array"));
        let level = json!({ "type": "Level", "id": "low", "parents": [] });
        assert_eq!(ask(&json!({ "type": "Staff", "id": "new" }), &level), "deny", "the action does not apply to it");
        // A group in itself, directly and through what is stored.
        let group = |id: &str, parent: &str| json!({ "type": "Group", "id": id, "parents": [{ "type": "Group", "id": parent }] });
        let staff = json!({ "type": "Staff", "id": "new", "parents": [{ "type": "Group", "id": "new" }] });
        assert!(ask(&staff, &group("new", "new")).contains("would make the entity its own ancestor"));
        let known = json!({ "type": "Staff", "id": "new" });
        assert!(ask(&known, &group("g", "sub")).contains("what a stored `Group` is in, the store alone says"));
        // The other entity of the request may be the parent, with what is said of it.
        assert_eq!(ask(&staff, &group("new", "g")), "allow");
        assert_eq!(ask(&staff, &group("new", "other")), "deny");
        let org = json!({ "type": "Group", "id": "new", "parents": [{ "type": "Org", "id": "o" }] });
        assert_eq!(ask(&staff, &org), "allow");
    }

    /// A7: `@stored` on a type covers its attributes, tags and parents.
    #[test]
    fn a7_nothing_is_said_of_a_type_that_only_the_store_describes() {
        let robot = |id: &str, more: Value| ask(&common::with(json!({ "type": "Robot", "id": id }), more), &d());
        assert_eq!(robot("stored", json!({})), "allow");
        assert_eq!(robot("stored", json!({ "tags": {}, "parents": [] })), "allow");
        assert!(
            robot("new", json!({ "tags": { "project": "x" } }))
                .contains("`subject.tags` is for the store alone to say")
        );
        assert!(robot("new", json!({ "parents": ["g"] })).contains("`subject.parents` is for the store alone to say"));
        assert_eq!(robot("new", json!({})), "deny", "a policy asks what it is in");
    }

    /// Search = decision, with tags and parents said of candidates and of the other entity.
    #[test]
    fn a5_a_search_finds_what_is_allowed_with_tags_and_parents_said() {
        let store = store();
        let search = |kind: &str, more: Value| {
            let subject = common::with(json!({ "type": kind, "id": "" }), more);
            found(&store, &asked(&subject, &json!({ "name": "a" }), &d(), &json!({})), Target::Principal)
        };
        assert_eq!(search("Staff", json!({})), Vec::<String>::new());
        assert_eq!(search("Staff", json!({ "tags": { "project": "x" } })), ["free"]);
        assert_eq!(search("Guest", json!({ "parents": ["g"] })), ["stored"]);
        let staff = json!({ "type": "Staff", "id": "new", "parents": [{ "type": "Group", "id": "sub" }] });
        let group = json!({ "type": "Group", "id": "" });
        let all = found(&store, &asked(&staff, &json!({ "name": "a" }), &group, &json!({})), Target::Resource);
        assert_eq!(all, ["g", "other", "sub"]);
    }
}

/// What is said costs what it is long, wherever it is said: as tags and as parents, of one entity in both places, and in times.
#[test]
fn what_is_said_costs_no_more_than_its_length() {
    use std::time::{Duration, Instant};
    let schema =
        "entity G in [G]; entity U in [G] = { at?: Set<datetime> } tags { a?: String, b?: String, c?: String };
        action a appliesTo { principal: U, resource: U };";
    let store =
        snapshot(schema, "permit (principal, action, resource);", &json!([{ "uid": { "type": "G", "id": "g" } }]));
    let ask = |subject: Value, resource: Value| {
        let of = |more: Value| common::with(json!({ "type": "U", "id": "u" }), more);
        let began = Instant::now();
        let answer = answer(&store, &asked(&of(subject), &json!({ "name": "a" }), &of(resource), &json!({})));
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        answer
    };
    let tags = |start: usize| json!({ "tags": (start..start + 10_000).map(|key| (format!("{key:06}"), json!({ "a": "x" }))).collect::<serde_json::Map<_, _>>() });
    assert_eq!(ask(tags(0), tags(10_000)), "allow");
    let parents = |id: &str| json!({ "parents": vec![json!({ "type": "G", "id": id }); 10_000] });
    assert_eq!(ask(parents("g"), parents("g")), "allow");
    assert!(ask(parents("g"), parents("h")).contains("contradict each other"));
    let times = |count: usize| {
        let times: Vec<String> = (0..count)
            .map(|second| {
                format!("2026-01-01T{:02}:{:02}:{:02}.0000001Z", second / 3600, second / 60 % 60, second % 60)
            })
            .collect();
        json!({ "properties": { "at": times } })
    };
    assert_eq!(ask(times(10_000), json!({})), "allow");
}

mod only_the_store {
    use super::*;

    const SCHEMA: &str = r#"
        entity U = { @stored roles: Set<String>, @stored blocked?: Bool, name?: String,
            profile?: { nick?: String, @stored admin?: Bool, @stored level: Long } };
        entity D = { owner?: U };
        action a, b, c, d, e appliesTo { principal: U, resource: D };
    "#;
    const POLICIES: &str = r#"
        permit (principal, action in [Action::"a", Action::"b"], resource) when { principal.roles.contains("admin") };
        permit (principal, action in [Action::"c", Action::"d", Action::"e"], resource);
        forbid (principal, action == Action::"c", resource) when { principal has blocked && principal.blocked };
        forbid (principal, action == Action::"e", resource) when { principal has profile && principal.profile has admin && principal.profile.admin };
    "#;

    fn ask(subject: &str, action: &str, properties: Value) -> String {
        let store = snapshot(
            &SCHEMA.replace("@stored roles: Set", "@stored roles?: Set"),
            &POLICIES
                .replace("when { principal.roles.contains", "when { principal has roles && principal.roles.contains"),
            &json!([
                { "uid": { "type": "U", "id": "viewer" }, "attrs": { "roles": ["viewer"], "profile": { "nick": "v", "admin": true, "level": 3 } } },
                { "uid": { "type": "U", "id": "admin" }, "attrs": { "roles": ["admin"] } },
                { "uid": { "type": "U", "id": "blocked" }, "attrs": { "blocked": true } },
            ]),
        );
        let subject = json!({ "type": "U", "id": subject, "properties": properties });
        answer(&store, &asked(&subject, &json!({ "name": action }), &json!({ "type": "D", "id": "d" }), &json!({})))
    }

    /// A7: "a caller that sends it is 400", nested members included.
    #[test]
    fn a7_what_only_the_store_may_say_is_refused_from_a_caller() {
        assert_eq!(
            ask("viewer", "a", json!({ "roles": ["admin"] })),
            "`subject.properties.roles` is for the store alone to say: leave it out"
        );
        assert!(ask("nobody", "a", json!({ "roles": [] })).contains("for the store alone"));
        assert!(
            ask("viewer", "a", json!({ "profile": { "admin": false } }))
                .contains("`subject.properties.profile.admin` is for the store alone")
        );
        assert_eq!(ask("viewer", "a", json!({ "roles": null })), "deny", "null is as if absent");
        assert_eq!(ask("admin", "a", json!({ "name": "x" })), "allow");
    }

    /// A7: what a caller says of a record leaves in it what the store alone may say.
    #[test]
    fn a7_a_record_that_is_said_keeps_what_only_the_store_may_say() {
        assert_eq!(ask("viewer", "e", json!({})), "deny", "the stored profile is an admin's");
        assert_eq!(ask("viewer", "e", json!({ "profile": { "nick": "w" } })), "deny");
        // The store says nothing of this one's profile, of which it must say the level.
        assert_eq!(ask("admin", "e", json!({ "profile": { "nick": "w" } })), "deny");
        assert_eq!(ask("admin", "e", json!({})), "allow");
    }

    /// A7, "nested members included": at any depth, and where the caller says an outer record without the inner one.
    #[test]
    fn a7_a_record_in_a_record_keeps_what_only_the_store_may_say() {
        let store = snapshot(
            "entity U = { profile?: { nick?: String, flags?: { @stored banned?: Bool, note?: String } } };
             entity D; action a appliesTo { principal: U, resource: D };",
            "permit (principal, action, resource);
             @id(\"banned\") forbid (principal, action, resource)
             when { principal has profile.flags.banned && principal.profile.flags.banned };",
            &json!([
                { "uid": { "type": "U", "id": "banned" }, "attrs": { "profile": { "flags": { "banned": true } } } },
                { "uid": { "type": "U", "id": "free" } },
            ]),
        );
        let ask = |subject: &str, profile: Value| {
            let subject = json!({ "type": "U", "id": subject, "properties": { "profile": profile } });
            answer(&store, &asked(&subject, &json!({ "name": "a" }), &json!({ "type": "D", "id": "d" }), &json!({})))
        };
        for said in [
            json!(null),
            json!({}),
            json!({ "nick": "n" }),
            json!({ "flags": null }),
            json!({ "flags": {} }),
            json!({ "nick": "n", "flags": { "note": "x" } }),
        ] {
            assert_eq!(ask("banned", said.clone()), "deny", "{said}");
            assert_eq!(ask("free", said.clone()), "allow", "{said}");
            assert_eq!(ask("deleted", said.clone()), "deny", "{said}");
        }
        assert!(ask("free", json!({ "flags": { "banned": false } })).contains("for the store alone to say"));
    }

    /// A7: what the store keeps in a record that is said does not stand in for what the record lacks.
    #[test]
    fn a7_a_record_that_is_kept_in_part_lacks_what_nobody_says() {
        let store = snapshot(
            "entity U = { profile?: { flags?: { @stored banned?: Bool, note: String } } };
             entity D; action a appliesTo { principal: U, resource: D };",
            "permit (principal, action, resource);",
            &json!([{ "uid": { "type": "U", "id": "u" }, "attrs": { "profile": { "flags": { "banned": true, "note": "n" } } } }]),
        );
        let ask = |profile: Value| {
            let subject = json!({ "type": "U", "id": "u", "properties": { "profile": profile } });
            answer(&store, &asked(&subject, &json!({ "name": "a" }), &json!({ "type": "D", "id": "d" }), &json!({})))
        };
        assert_eq!(ask(json!(null)), "allow");
        assert_eq!(ask(json!({})), "deny", "`note` is missing");
        assert_eq!(ask(json!({ "flags": {} })), "deny");
        assert_eq!(ask(json!({ "flags": { "note": "m" } })), "allow");
    }

    /// A7: however a policy reads what only the store may say, a request about an entity that is not stored is denied.
    #[test]
    fn a7_what_the_store_must_say_is_found_through_any_expression() {
        for condition in [
            "(if context.own then principal else context.other) has blocked \
             && (if context.own then principal else context.other).blocked",
            "(if context.own then principal else context.other) has profile.flags.banned",
            "(if context.own then principal else context.other) has profile \
             && (if context.own then principal else context.other).profile == context.profile",
            "(if context.own then principal else context.other) has profile \
             && (if context.own then principal else context.other).profile has flags.banned",
        ] {
            let store = snapshot(
                "entity U = { @stored blocked?: Bool, profile?: { flags?: { @stored banned?: Bool } } };
                 entity D; action a appliesTo { principal: U, resource: D, context: { own: Bool, other: U, profile: { flags?: { banned?: Bool } } } };",
                &format!(
                    "permit (principal, action, resource); forbid (principal, action, resource) when {{ {condition} }};"
                ),
                &json!([{ "uid": { "type": "U", "id": "u" }, "attrs": { "profile": { "flags": {} } } }]),
            );
            let ask = |subject: &str| {
                let subject = json!({ "type": "U", "id": subject, "properties": { "profile": { "flags": {} } } });
                let context = json!({ "own": true, "other": "u", "profile": {} });
                answer(&store, &asked(&subject, &json!({ "name": "a" }), &json!({ "type": "D", "id": "d" }), &context))
            };
            assert_eq!((ask("u").as_str(), ask("deleted").as_str()), ("allow", "deny"), "{condition}");
        }
    }

    /// A7: a caller's null says nothing, of tags too.
    #[test]
    fn a7_a_tag_that_is_null_says_nothing() {
        let store = snapshot(
            "@stored entity U tags String; entity D; action a appliesTo { principal: U, resource: D };",
            "permit (principal, action, resource);",
            &json!([{ "uid": { "type": "U", "id": "u" } }]),
        );
        let ask = |tags: Value| {
            let subject = json!({ "type": "U", "id": "u", "tags": tags });
            answer(&store, &asked(&subject, &json!({ "name": "a" }), &json!({ "type": "D", "id": "d" }), &json!({})))
        };
        assert_eq!(ask(json!({ "t": null })), "allow");
        assert!(ask(json!({ "t": "x" })).contains("for the store alone"));
    }

    /// A7: a request about an entity that is not stored is denied where a policy reads what only the store may say.
    #[test]
    fn a7_of_what_is_not_stored_nothing_is_allowed_that_asks_the_store() {
        assert_eq!(ask("blocked", "c", json!({})), "deny");
        assert_eq!(ask("admin", "c", json!({})), "allow");
        assert_eq!(ask("deleted", "c", json!({})), "deny", "a `forbid` would be silent");
        assert_eq!(ask("deleted", "d", json!({})), "allow", "no policy for it reads such an attribute");
        assert_eq!(ask("deleted", "e", json!({})), "deny");
    }
}

const PHONE: &str = r#"@parsed_by("phone") type Phone = { valid: Bool, e164: String, region: String };"#;

/// A7: who says what a plugin reads beside a `@stored` string changes its facts, so only the store may say that too.
#[test]
fn a7_what_a_plugin_reads_for_the_store_the_store_says() {
    for (user, is_right) in [
        (r#"{ c?: String, @stored @market("this.c") p?: Phone }"#, false),
        (r#"{ r?: { c: String }, @stored q?: { @market("this.r.c") p: Phone } }"#, false),
        (r#"{ c?: String, @stored @market("this.c") p?: Set<Phone> }"#, false),
        (r#"{ @stored c?: String, @stored @market("this.c") p?: Phone }"#, true),
        (r#"{ @stored r?: { c: String }, @stored @market("this.r.c") p?: Phone }"#, true),
        (r#"{ c?: String, @market("this.c") p?: Phone }"#, true),
    ] {
        let schema = format!(
            "{PHONE} entity U = {user}; entity D; action a appliesTo {{ principal: U, resource: D, context: {{}} }};"
        );
        let told = refused(&schema, "permit (principal, action, resource);", "[]");
        let said = told.contains("is said by the store alone, and is read by `this.");
        assert!(if is_right { told.is_empty() } else { said }, "{user}: {told}");
    }
}

/// A7: what a policy reads of facts hangs on what the plugin reads beside the string: of an entity that is not stored, that is not there.
#[test]
fn a7_what_a_plugin_reads_only_the_store_may_say() {
    let number = "02 9374 4000";
    for (user, context, condition, of_context) in [
        (r#"@stored c?: String, @market("this.c") p?: Phone"#, "", "principal has p && principal.p.valid", false),
        (
            r#"@stored c?: String, q?: { @market("this.c") p: Phone }"#,
            "",
            "principal has q && principal.q.p.valid",
            false,
        ),
        ("@stored c?: String", r#"@market("principal.c") p?: Phone"#, "context has p && context.p.valid", true),
    ] {
        let schema = format!(
            "{PHONE} entity U = {{ {user} }}; entity D;
             action a appliesTo {{ principal: U, resource: D, context: {{ {context} }} }};"
        );
        let policies = format!(
            "permit (principal, action, resource); forbid (principal, action, resource) when {{ {condition} }};"
        );
        let stored = json!([{ "uid": { "type": "U", "id": "stored" }, "attrs": { "c": "AU" } }]);
        let store = snapshot(&schema, &policies, &stored);
        let ask = |id: &str| {
            let p = if user.contains("q?") { json!({ "q": { "p": number } }) } else { json!({ "p": number }) };
            let (said, context) = if of_context { (json!({}), p) } else { (p, json!({})) };
            let subject = json!({ "type": "U", "id": id, "properties": said });
            answer(&store, &asked(&subject, &json!({ "name": "a" }), &json!({ "type": "D", "id": "d" }), &context))
        };
        assert_eq!([ask("stored"), ask("unknown")], ["deny", "deny"], "{condition}");
    }
}

/// A14: `@must_exist` says that a referred entity must be stored; else a request is denied, and a store refused.
#[test]
fn a14_what_must_exist_is_stored_or_the_request_is_denied() {
    let schema = "entity G; entity U in [G]; entity D = { @must_exist owner?: U, other?: U, deep?: { @must_exist all: Set<U> } };
        action a appliesTo { principal: U, resource: D, context: { @must_exist via?: U } };";
    let policies =
        r#"permit (principal, action, resource) unless { resource has owner && resource.owner in G::"blocked" };"#;
    let store = snapshot(schema, policies, &json!([{ "uid": { "type": "U", "id": "known" } }]));
    let ask = |properties: Value, context: Value| {
        let resource = json!({ "type": "D", "id": "d", "properties": properties });
        answer(&store, &asked(&json!({ "type": "U", "id": "u" }), &json!({ "name": "a" }), &resource, &context))
    };
    assert_eq!(ask(json!({ "owner": "known" }), json!({})), "allow");
    assert_eq!(ask(json!({ "owner": "nobody" }), json!({})), "deny");
    assert_eq!(ask(json!({ "other": "nobody" }), json!({})), "allow");
    assert_eq!(ask(json!({ "deep": { "all": ["known"] } }), json!({ "via": "known" })), "allow");
    assert_eq!(ask(json!({ "deep": { "all": ["known", "nobody"] } }), json!({})), "deny");
    assert_eq!(ask(json!({}), json!({ "via": "nobody" })), "deny");
    let entities = r#"[{"uid": {"type": "D", "id": "d"}, "attrs": {"deep": {"all": ["nobody"]}}}]"#;
    let told = refused(schema, policies, entities);
    assert!(
        told.contains(r#"`D::"d"`: `deep.all[0]` refers to `U::"nobody"`, which must exist and is not stored"#),
        "{told}"
    );
}

/// A7: a request that `prove` or `test` shows is decided as it was found, with the entities to store.
#[test]
fn a7_a_case_is_shown_with_the_entities_to_store() {
    use gatepost::request::case::Case;
    use gatepost::request::stored::StoredEntities;
    let store = snapshot(
        "entity U = { @stored roles: Set<String>, name?: String }; entity D; action a appliesTo { principal: U, resource: D };",
        "permit (principal, action, resource) when { principal.roles.contains(\"x\") };",
        &json!([{ "uid": { "type": "U", "id": "u" }, "attrs": { "roles": ["x"], "name": "n" } }]),
    );
    let body = asked(
        &json!({ "type": "U", "id": "u" }),
        &json!({ "name": "a" }),
        &json!({ "type": "D", "id": "d" }),
        &json!({}),
    );
    let text = body.to_string();
    let json = Json::parse(text.as_bytes(), DEEPEST).unwrap();
    let resolved = store.resolve(&authzen::question(&json).unwrap(), Facts::FromPlugins).unwrap();
    let gatepost::request::Resolved::Request(request) = resolved else { panic!("{resolved:?}") };
    let case = Case { request: *request, entities: StoredEntities::default() };
    assert!(store.decide_case(&case).allowed);
    let shown = gatepost::http::body::of_case(&case, &store.store.types);
    assert_eq!(shown["subject"], json!({ "type": "U", "id": "u" }));
    assert_eq!(
        shown["entities"],
        json!([{ "uid": { "type": "U", "id": "u" }, "attrs": { "roles": ["x"], "name": "n" }, "parents": [] }])
    );
    let shown = shown.to_string();
    let shown = Json::parse(shown.as_bytes(), DEEPEST).unwrap();
    let entities = StoredEntities::from_json(shown.get("entities").unwrap(), &store.store.types, Facts::Given).unwrap();
    let question = authzen::question(&shown).unwrap();
    assert!(store.decide_with(&question, Facts::Given, &entities).unwrap().allowed);
    assert!(
        !store.decide_with(&question, Facts::Given, &StoredEntities::default()).unwrap().allowed,
        "it is not stored"
    );
}

/// A2: `check` says where nothing can take `action.properties`.
#[test]
fn a2_check_says_what_the_actions_properties_need() {
    let store = folder([
        (
            "schema/a.cedarschema",
            "entity U; action a appliesTo { principal: U, resource: U, context: { action: String } };",
        ),
        ("policies/a.cedar", "permit (principal, action, resource);"),
    ]);
    let told: Vec<String> = problems_of(store.path()).iter().map(common::shown).collect();
    assert!(
        told.concat()
            .contains("`context.action` of the action `Action::\"a\"` is String, which takes no `action.properties`"),
        "{told:?}"
    );
}

/// B1: "in a policy's literal it is an error that says what to write", in a row of the matrix too.
#[test]
fn b1_a_policy_that_writes_a_mapped_address_is_told_what_to_write() {
    let schema = "entity U; action a appliesTo { principal: U, resource: U, context: { ip: ipaddr } };";
    let told = |literal: &str, folder_name: &str| {
        let is_row = folder_name.starts_with("matrix");
        let place = if is_row { "@table(\"T\") @row(\"R\") @column(\"C\") " } else { "" };
        let policy = format!(
            "{place}@id(\"p\") permit (principal, action, resource) when {{ context.ip.isInRange(ip(\"{literal}\")) }};"
        );
        let store = folder([
            ("schema/a.cedarschema", schema.to_owned()),
            ("policies/p.cedar", "@id(\"q\") permit (principal, action, resource);".to_owned()),
            (folder_name, policy),
        ]);
        problems_of(store.path())
            .iter()
            .filter(|problem| common::is_error(problem))
            .map(common::shown)
            .collect::<String>()
    };
    for place in ["policies/a.cedar", "matrix/a.cedar"] {
        let told_of = told("::ffff:a01:203", place);
        assert!(told_of.contains(&format!("{place}:1:")), "{told_of}");
        assert!(told_of.contains("`::ffff:a01:203` is an IPv4-mapped address, which no request has"), "{told_of}");
        assert!(told_of.contains("write the IPv4 address, as requests have it: `ip(\"10.1.2.3\")`"), "{told_of}");
        assert!(told("::ffff:0:0/104", place).contains("`ip(\"0.0.0.0/8\")`"));
        assert_eq!(told("::ffff:0:0/95", place), "");
        assert_eq!(told("2001:db8::/32", place), "");
    }
}

/// A16: a reference to an entity that is not stored is a warning, with the nearest id.
#[test]
fn a16_a_reference_to_what_is_not_stored_is_warned_of() {
    let store = snapshot(
        "entity U; entity T; entity D = { owner: U, team?: T, all?: Set<U> }; action a appliesTo { principal: U, resource: D };",
        "permit (principal, action, resource);",
        &json!([
            { "uid": { "type": "U", "id": "ada" } },
            { "uid": { "type": "D", "id": "d" }, "attrs": { "owner": "adah", "team": "t", "all": ["ada", "zzzzz"] } },
        ]),
    );
    let told: Vec<String> = store.entities.warnings(&store.store.types).iter().map(common::shown).collect();
    assert_eq!(
        told,
        [
            "warning: `D::\"d\"` refers to `U::\"adah\"`, which is not stored\n  help: did you mean `ada`?",
            "warning: `D::\"d\"` refers to `U::\"zzzzz\"`, which is not stored\n  help: it acts as an entity without parents, tags and optional attributes",
        ]
    );
}

/// A16: an entity that a policy or a row names, and that is nearly a stored one, is a warning with that.
#[test]
fn a16_what_a_policy_names_that_is_nearly_stored_is_warned_of() {
    let store = snapshot(
        "entity G; entity U in [G]; entity D; entity E; action a appliesTo { principal: U, resource: D };",
        "@id(\"p\") permit (principal in G::\"admns\", action, resource);
         @id(\"f\") forbid (principal, action, resource) when { principal in [G::\"admins\", G::\"oter\"] || principal == U::\"x\" };
         @id(\"n\") forbid (principal in G::\"team-2\", action, resource);
         @id(\"s\") forbid (principal in G::\"opr\", action, resource == D::\"admns\");",
        &json!([
            { "uid": { "type": "G", "id": "admins" } },
            { "uid": { "type": "G", "id": "other" } },
            { "uid": { "type": "G", "id": "team-1" } },
            { "uid": { "type": "G", "id": "ops" } },
        ]),
    );
    let told: Vec<String> = store.entities.misspelt(&store.store).iter().map(common::shown).collect();
    assert_eq!(
        told,
        [
            "warning: policies/a.cedar:1:31: `p` names `G::\"admns\"`, which is not stored\n  help: did you mean `admins`?",
            "warning: policies/a.cedar:2:90: `f` names `G::\"oter\"`, which is not stored\n  help: did you mean `other`?",
            "warning: policies/a.cedar:4:40: `s` names `G::\"opr\"`, which is not stored\n  help: did you mean `ops`?",
        ]
    );
}

mod wire {
    use super::*;

    fn ask(context: &str) -> String {
        let schema = r#"entity U; entity D = { end?: datetime }; action a appliesTo { principal: U, resource: D, context: {
            level?: Long, price?: decimal, now?: datetime, later?: datetime, ip?: ipaddr } };"#;
        let policies = r#"
            @id("all") permit (principal, action, resource);
            @id("level") forbid (principal, action, resource) when { context has level && context.level >= 9007199254740993 };
            @id("price") forbid (principal, action, resource) when { context has price && context.price.greaterThan(decimal("1.5")) };
            @id("ip") forbid (principal, action, resource) when { context has ip && context.ip.isInRange(ip("10.0.0.0/8")) };
            @id("now") forbid (principal, action, resource) when { context has now && context.now >= datetime("2026-03-01T12:30:00Z") };
        "#;
        let stored = json!([
            { "uid": { "type": "D", "id": "d" }, "attrs": { "end": "2026-01-01T00:00:00.123456Z" } },
        ]);
        let store = snapshot(schema, policies, &stored);
        let body = format!(
            r#"{{"subject":{{"type":"U","id":"u"}},"action":{{"name":"a"}},"resource":{{"type":"D","id":"d"}},"context":{context}}}"#
        );
        let answered = authzen::evaluation(
            &store,
            &open_limits(),
            &gatepost::http::callers::Caller::anonymous(),
            body.as_bytes(),
            &mut gatepost::http::journal::Journal::none(),
        );
        match answered {
            Ok(answer) => if answer.decision { "allow" } else { "deny" }.to_owned(),
            Err(error) => error.to_string(),
        }
    }

    /// B1, rule 14: numbers are read from their text, exactly; never through a binary fraction.
    #[test]
    fn b1_numbers_are_exact() {
        assert_eq!(ask(r#"{"level": 9007199254740993.0}"#), "deny", "as a binary fraction it would be …992");
        assert_eq!(ask(r#"{"level": 9007199254740992.0}"#), "allow");
        assert_eq!(ask(r#"{"level": 1e0}"#), "allow");
        assert_eq!(ask(r#"{"level": -0}"#), "allow");
        assert_eq!(ask(r#"{"level": 900719925474099300e-2}"#), "deny");
        assert!(ask(r#"{"level": 1.5}"#).contains("must be a whole number of 64 bits, but is the number `1.5`"));
        assert_eq!(ask(r#"{"price": 1.5}"#), "allow");
        assert_eq!(ask(r#"{"price": 1.50010}"#), "deny");
        assert_eq!(ask(r#"{"price": 2}"#), "deny");
        assert_eq!(ask(r#"{"price": "2"}"#), "deny");
        assert_eq!(ask(r#"{"price": "1.50000"}"#), "allow");
        assert_eq!(ask(r#"{"level": 0e99999999999999999999}"#), "allow");
        assert!(ask(r#"{"price": 1.50001}"#).contains("at most four digits behind the point"));
        assert!(
            ask(r#"{"price": 922337203685478}"#)
                .contains("to 922337203685477.5807, but is the number `922337203685478`")
        );
    }

    /// B1, rule 14: times of RFC 3339 are read, and two that differ only below the millisecond are refused.
    #[test]
    fn b1_times_are_floored_and_not_confused() {
        assert_eq!(ask(r#"{"now": "2026-03-01T12:29:59.999999+00:00"}"#), "allow");
        assert_eq!(ask(r#"{"now": "2026-03-01T12:30:00.000001+00:00"}"#), "deny");
        assert!(
            ask(r#"{"now": "2026-02-28T23:59:60Z"}"#)
                .contains("as RFC 3339 writes it, such as \"2026-03-01T12:30:00Z\"")
        );
        assert!(ask(r#"{"now": "2026-02-28 23:59:00Z"}"#).contains("as RFC 3339 writes it"));
        let differ = ask(r#"{"now": "2026-02-01T00:00:00.0001Z", "later": "2026-02-01T00:00:00.0002Z"}"#);
        assert_eq!(
            differ,
            "`context.now` and `context.later` differ only below the millisecond, where times are not compared: send whole milliseconds"
        );
        assert_eq!(
            ask(r#"{"now": "2026-02-01T00:00:00.0001Z", "later": "2026-02-01T00:00:00.00010Z"}"#),
            "allow",
            "they are the same"
        );
        assert!(ask(r#"{"now": "2026-02-01T00:00:00.0001Z", "later": "2026-02-01"}"#).contains("differ only below"));
        // Stored ones included, whether they are exact or not.
        assert!(ask(r#"{"now": "2026-01-01T00:00:00.123Z"}"#).contains("differ only below the millisecond"));
        assert_eq!(ask(r#"{"now": "2026-01-01T00:00:00.123456Z"}"#), "allow");
        assert!(ask(r#"{"now": "2026-01-01T00:00:00.123457Z"}"#).contains("differ only below the millisecond"));
    }

    /// B1, rule 14: "where two times of one request, stored ones included, differ only below the millisecond the answer is 400": those that
    /// policies can read, of entities that they name too, and no others.
    #[test]
    fn b1_times_are_compared_with_those_that_policies_can_read() {
        let fine = "2026-03-01T00:00:00.0001Z";
        let at = |id: &str, next: &str, at: &str| json!({ "uid": { "type": "U", "id": id }, "attrs": { "at": at, "next": next, "many": [next] } });
        let answer_of = |condition: &str, subject: Value| {
            let store = snapshot(
                "entity U = { at?: datetime, next?: U, many?: Set<U> }; entity D;
                 action a appliesTo { principal: U, resource: D, context: { now?: datetime } };",
                &format!("permit (principal, action, resource) when {{ {condition} }};"),
                &json!([
                    at("one", "two", "2020-01-01"),
                    at("two", "three", "2021-01-01"),
                    at("three", "one", "2026-03-01"),
                    at("in set", "one", "2022-01-01"),
                ]),
            );
            let context = json!({ "now": fine });
            answer(&store, &asked(&subject, &json!({ "name": "a" }), &json!({ "type": "D", "id": "d" }), &context))
        };
        let user = |id: &str| json!({ "type": "U", "id": id });
        let refused = "differ only below the millisecond";
        let two_further = "principal has next && principal.next has next && principal.next.next has at";
        assert!(answer_of(two_further, user("one")).contains(refused));
        assert_eq!(answer_of("principal has next && principal.next has at", user("one")), "allow", "it is not reached");
        assert!(answer_of("U::\"three\" has at", user("nobody")).contains(refused), "a policy names it");
        assert_eq!(answer_of("true", user("nobody")), "allow");
        assert!(answer_of("true", user("three")).contains(refused));
        let many = json!({ "type": "U", "id": "nobody", "properties": { "many": ["three"] } });
        assert_eq!(answer_of("principal has many && principal.many.contains(U::\"x\") || true", many), "allow");
        // What is said lies over what is stored, for whoever it is.
        let said = json!({ "type": "U", "id": "three", "properties": { "at": fine } });
        assert_eq!(answer_of("true", said), "allow");
    }

    /// B1: an entity that says of itself what the store does not has its own digits, where it is both sides too.
    #[test]
    fn b1_one_entity_said_twice_is_compared_to_the_last_digit() {
        let store = snapshot(
            "entity U = { at?: datetime }; action a appliesTo { principal: U, resource: U };",
            "permit (principal, action, resource);",
            &json!([]),
        );
        let user = |at: &str| json!({ "type": "U", "id": "u", "properties": { "at": at } });
        let ask = |one: &str, other: &str| {
            answer(&store, &asked(&user(one), &json!({ "name": "a" }), &user(other), &json!({})))
        };
        assert_eq!(ask("2026-01-01T00:00:00.0001Z", "2026-01-01T00:00:00.000100Z"), "allow");
        assert!(ask("2026-01-01T00:00:00.0001Z", "2026-01-01T00:00:00.0002Z").contains("contradict each other"));
    }

    /// B1: in a store with times below the millisecond, times at the ends of what Cedar can say are read as ever.
    #[test]
    fn b1_times_at_the_ends_of_what_can_be_said_are_read() {
        for time in ["9999-12-31T23:59:59-0100", "0000-01-01T00:00:00+0100"] {
            assert!(["allow", "deny"].contains(&ask(&format!(r#"{{"later": "{time}"}}"#)).as_str()), "{time}");
        }
    }

    /// B1, rule 14: an IPv4-mapped address is that IPv4 address.
    #[test]
    fn b1_a_mapped_address_does_not_walk_past_a_forbid() {
        for denied in
            ["10.1.2.3", "::ffff:10.1.2.3", "::ffff:a01:203", "0:0:0:0:0:FFFF:0a01:0203", "::ffff:10.0.0.0/104"]
        {
            assert_eq!(ask(&format!(r#"{{"ip": "{denied}"}}"#)), "deny", "{denied}");
        }
        for allowed in ["11.1.2.3", "::ffff:11.1.2.3", "2001:db8::10.1.2.3"] {
            assert_eq!(ask(&format!(r#"{{"ip": "{allowed}"}}"#)), "allow", "{allowed}");
        }
        assert!(ask(r#"{"ip": "fe80::1%eth0"}"#).contains("an IP address or range, such as"));
    }
}
