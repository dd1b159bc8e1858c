//! "`check` names policies whose denial hangs on the presence of a referred entity": of one that is not stored, `in`, `has` and `hasTag`
//! are false.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{ask, decide, folder, problems_of, shown, snapshot_of};
use gatepost::store::Problem;
use tempfile::TempDir;

fn store(policy: &str) -> TempDir {
    let schema = r#"
        entity Team in [Team];
        entity User in [Team] = { name: String, nick?: String, boss?: User, @must_exist chief?: User } tags String;
        entity Doc = { owner: User, @must_exist keeper: User, editor?: User, owners: Set<User> };
        action read appliesTo { principal: User, resource: Doc, context: { proxy?: User, strict: Bool } };
    "#;
    folder([("schema/s.cedarschema", schema), ("policies/p.cedar", policy)])
}

fn warnings(policy: &str) -> Vec<String> {
    let problems = problems_of(store(policy).path());
    let is_about = |problem: &&Problem| problem.to_string().contains("hangs on the presence");
    let errors: Vec<String> = problems.iter().filter(|problem| common::is_error(problem)).map(shown).collect();
    assert!(errors.is_empty(), "{policy}: {errors:?}");
    problems.iter().filter(is_about).map(shown).collect()
}

#[test]
fn policies_whose_denial_hangs_on_an_entity_are_named() {
    for (policy, entity) in [
        (r#"permit (principal, action, resource) unless { resource.owner in Team::"x" };"#, "resource.owner"),
        ("permit (principal, action, resource) when { !(resource.owner has nick) };", "resource.owner"),
        (r#"permit (principal, action, resource) when { !resource.owner.hasTag("x") };"#, "resource.owner"),
        (r#"forbid (principal, action, resource) when { resource.owner in Team::"x" };"#, "resource.owner"),
        (r#"forbid (principal, action, resource) when { resource.owner is User in Team::"x" };"#, "resource.owner"),
        (
            r#"forbid (principal, action, resource) when { resource.owner has nick && resource.owner.nick == "a" };"#,
            "resource.owner",
        ),
        (
            r#"forbid (principal, action, resource) when { context has proxy && context.proxy in Team::"x" };"#,
            "context.proxy",
        ),
        (
            r#"forbid (principal, action, resource) when { resource has editor.nick && resource.editor.nick == "a" };"#,
            "resource.editor",
        ),
        (
            r#"forbid (principal, action, resource) when { principal has boss && principal.boss in Team::"x" };"#,
            "principal.boss",
        ),
        // Which way it is asked cannot be told.
        (
            r#"permit (principal, action, resource) when { context.strict == (resource.owner in Team::"x") };"#,
            "resource.owner",
        ),
        (
            r#"permit (principal, action, resource) when { if resource.owner in Team::"x" then context.strict else true };"#,
            "resource.owner",
        ),
        // What is read behind the test is not read where that is false.
        (
            r#"forbid (principal, action, resource) when { resource.owner in Team::"x" && resource.owner.name == "a" };"#,
            "resource.owner",
        ),
    ] {
        let found = warnings(policy);
        assert_eq!(found.len(), 1, "{policy}: {found:?}");
        assert!(found[0].contains(&format!("hangs on the presence of `{entity}`")), "{policy}: {found:?}");
    }
}

#[test]
fn other_policies_are_not() {
    for policy in [
        // Nothing is permitted because an entity is not there.
        r#"permit (principal, action, resource) when { resource.owner in Team::"x" };"#,
        "permit (principal, action, resource) when { resource.owner has nick && !(resource.owner.nick == \"a\") };",
        r#"forbid (principal, action, resource) unless { resource.owner in Team::"x" };"#,
        // The principal and the resource are those of the request.
        r#"forbid (principal, action, resource) when { principal in Team::"x" || principal has nick };"#,
        "forbid (principal, action, resource) when { principal in resource.owners };",
        // The context, and what is not there of it, is as it was sent.
        "forbid (principal, action, resource) when { context has proxy };",
        "forbid (principal, action, resource) when { resource has editor };",
        // Without the entity, the policy cannot be evaluated.
        r#"forbid (principal, action, resource) when { resource.owner.name != "" && resource.owner in Team::"x" };"#,
        // The schema says that it is there.
        r#"forbid (principal, action, resource) when { resource.keeper in Team::"x" };"#,
        r#"forbid (principal, action, resource) when { principal has chief && principal.chief has nick };"#,
        // It is meant.
        r#"@allow("presence") forbid (principal, action, resource) when { resource.owner in Team::"x" };"#,
    ] {
        assert_eq!(warnings(policy), [""; 0], "{policy}");
    }
}

/// What the warning says is so: the request is allowed where the entity is not stored, and denied with `@must_exist`.
#[test]
fn what_the_warning_says_is_so() {
    let allowed = |policy: &str| {
        let snapshot = snapshot_of(store(policy).path());
        let mut body = ask("User::a", "read", "Doc::d");
        body["subject"]["properties"] = serde_json::json!({ "name": "a" });
        body["resource"]["properties"] = serde_json::json!({ "owner": "gone", "keeper": "a", "owners": [] });
        body["context"] = serde_json::json!({ "strict": true });
        decide(&snapshot, &body).unwrap().allowed
    };
    assert!(!allowed("permit (principal, action, resource);"), "the keeper is not stored");
    let kept = |policy: &str| {
        let store = store(policy);
        let users = serde_json::json!([{ "uid": { "type": "User", "id": "a" }, "attrs": { "name": "a" } }]);
        common::write(store.path(), "entities/e.json", users.to_string().as_bytes());
        let snapshot = snapshot_of(store.path());
        let mut body = ask("User::a", "read", "Doc::d");
        body["resource"]["properties"] = serde_json::json!({ "owner": "gone", "keeper": "a", "owners": [] });
        body["context"] = serde_json::json!({ "strict": true });
        decide(&snapshot, &body).unwrap().allowed
    };
    assert!(kept(r#"permit (principal, action, resource) unless { resource.owner in Team::"x" };"#));
    assert!(kept("permit (principal, action, resource) when { !(resource.owner has nick) };"));
    let read_first =
        r#"permit (principal, action, resource) unless { resource.owner.name == "" || resource.owner in Team::"x" };"#;
    assert!(!kept(read_first), "a required attribute of it cannot be read");
}
