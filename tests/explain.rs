//! Explanations: for an allow, for a deny by `forbid`, and for a deny because nothing permits, down to the single conjunct and
//! the values it saw.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::binary::fed;
use common::{enter, folder, with};
use insta::assert_snapshot;
use serde_json::{Value, json};

/// A store with every form that a condition can take.
fn workshop() -> tempfile::TempDir {
    folder([
        (
            "schema/workshop.cedarschema",
            r#"
entity Team;
entity User in [Team] = { level: Long, nick?: String, boss?: User, owner: { team: Team, years: Long } };
entity Tool = { price: Long, state: String, tags_of: Set<String> };
action use, lend appliesTo { principal: User, resource: Tool, context: { hours?: Long } };
"#,
        ),
        (
            "policies/use.cedar",
            r#"
@id("members")
@reason("Members of the crew may use tools that are not expensive.")
permit (
  principal in Team::"crew",
  action == Action::"use",
  resource
)
when { principal.level >= 2 && resource.price < 100 }
unless { resource.state == "broken" || context has hours && context.hours > 8 };

@id("deputies")
permit (principal, action in [Action::"use", Action::"lend"], resource == Tool::"saw")
when { principal has boss && principal.boss.level > 5 };

@id("nameless")
forbid (principal, action == Action::"use", resource)
when { !(principal has nick) && ["saw", "axe"].contains(resource.state) };

@id("sums")
forbid (principal, action == Action::"lend", resource)
when {
  // The sum may overflow.
  resource.price + principal.level > 1000
};
"#,
        ),
    ])
}

fn asked(change: Value) -> Value {
    let request = json!({
        "subject": { "type": "User", "id": "ada", "properties": {
            "level": 3, "nick": "a", "owner": { "team": "crew", "years": 1 } } },
        "action": { "name": "use" },
        "resource": { "type": "Tool", "id": "saw", "properties": { "price": 7, "state": "whole", "tags_of": [] } },
        "entities": [{ "uid": { "type": "Team", "id": "crew" } }, { "uid": { "type": "User", "id": "ada" }, "parents": [{ "type": "Team", "id": "crew" }],
            "attrs": { "level": 3, "owner": { "team": "crew", "years": 1 } } }],
    });
    with(request, change)
}

#[test]
fn for_an_allow_the_policies_that_allowed_it_for_a_deny_what_forbade_it_or_how_far_the_permits_were() {
    let store = workshop();
    let mut printed = String::new();
    for (title, status, change) in [
        ("allowed", 0, json!({})),
        (
            "nothing permits: two conditions fail, and one is of an unless",
            1,
            json!({
            "subject": { "properties": { "level": 1 } }, "resource": { "properties": { "state": "broken" } } }),
        ),
        ("nothing permits: the scope fails", 1, json!({ "entities": [], "resource": { "id": "axe" } })),
        ("nothing permits: what is behind a failed `has` was not reached", 1, json!({ "action": { "name": "lend" } })),
        (
            "nothing permits: the boss is too low",
            1,
            json!({ "action": { "name": "lend" },
            "subject": { "properties": { "boss": "bo" } },
            "entities": [{ "uid": { "type": "User", "id": "bo" }, "parents": [],
                "attrs": { "level": 5, "owner": { "team": "crew", "years": 2 } } }] }),
        ),
        (
            "forbidden",
            1,
            json!({ "subject": { "properties": { "nick": "<remove>" } },
            "resource": { "properties": { "state": "axe" } } }),
        ),
        (
            "an error denies",
            1,
            json!({ "action": { "name": "lend" },
            "resource": { "properties": { "price": i64::MAX } } }),
        ),
        (
            "a boss of whom nothing is known",
            1,
            json!({ "action": { "name": "lend" },
            "subject": { "properties": { "boss": "bo" } } }),
        ),
    ] {
        let arguments = ["decide", "--facts", "--explain", "--store", "."];
        let ran = fed(store.path(), &arguments, &asked(change).to_string()).with(status);
        printed.push_str(&format!("# {title}\n\n{}\n", ran.out));
    }
    assert_snapshot!("explained", printed);
}

#[test]
fn of_the_store_that_is_compiled_in_the_failing_part_is_underlined_with_the_value_it_saw() {
    let here = tempfile::TempDir::new().unwrap();
    let invalid = with(enter(), json!({ "context": { "phone": "(02) 9374 400" } }));
    let other = with(enter(), json!({ "subject": { "properties": { "role": "accountUser" } } }));
    let explained =
        [invalid, other].map(|request| fed(here.path(), &["decide", "--explain"], &request.to_string()).with(1).out);
    assert_snapshot!("explained_built_in", explained.join("\n"));
}

/// `options.reasons: "admin"` and `decide --format json` say the same as the command does to a person.
#[test]
fn administrators_and_programs_are_told_which_conditions_did_not_hold_and_the_values() {
    let store = workshop();
    let request = asked(json!({ "subject": { "properties": { "level": 1 } }, "resource": { "id": "axe" } }));
    let answer = fed(store.path(), &["decide", "--facts", "--store", ".", "--format", "json"], &request.to_string());
    assert_eq!(
        answer.with(1).json()["context"]["reason_admin"],
        json!({
            "members": "does not permit: Members of the crew may use tools that are not expensive. Not so: principal.level >= 2 (principal.level is 1).",
            "deputies": "does not permit. Not so: resource == Tool::\"saw\" (resource is Tool::\"axe\"); principal has boss.",
        })
    );
}
