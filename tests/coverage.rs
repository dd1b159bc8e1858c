//! "`gatepost test --coverage`: every policy fired; every `when`/`unless` conjunct seen true and seen false as the one that decided;
//! which rows exercise it; a threshold that fails the run; LCOV output for the `.cedar` files."

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::path::Path;

use cedar_policy::PolicySet;
use common::binary::gatepost;
use common::{folder, snapshot_of};
use gatepost::engine::Snapshot;
use gatepost::matrix::{self, Coverage};
use gatepost::store::{Origin, Store, StoreFiles};
use serde_json::Value;
use tempfile::TempDir;

/// Policies with every form that a condition can take, and rows that leave something out of most of them.
const FILES: [(&str, &str); 3] = [
    (
        "schema/tools.cedarschema",
        r#"
entity Crew;
entity Person in [Crew] = { level: Long, boss?: Person };
entity Robot;
entity Tool = { price: Long, broken: Bool, owner?: Person };
action use appliesTo { principal: [Person, Robot], resource: Tool };
action lend, scrap appliesTo { principal: Person, resource: Tool };
"#,
    ),
    (
        "policies/tools.cedar",
        r#"
@id("crew-uses")
permit (principal in Crew::"all", action == Action::"use", resource)
when { resource.price < 100 && (principal.level > 2 || resource.price == 0) }
unless { resource.broken };

@id("robots-use") permit (principal is Robot, action == Action::"use", resource);

@id("owner-lends")
permit (principal, action == Action::"lend", resource)
when { resource has owner && resource.owner == principal };

@id("masters-lend")
permit (principal, action == Action::"lend", resource)
when { principal.level >= 5 };

@id("no-sums")
forbid (principal, action == Action::"lend", resource)
when { resource.price + principal.level > 1000 };

@id("never-scrap")
forbid (principal, action == Action::"scrap", resource)
when { principal.level < 9 };
"#,
    ),
    (
        "matrix/tools.cedar",
        r#"
@id("crew") @table("Tools") @row("crew") @column("Decided")
permit (principal in Crew::"all", action == Action::"use", resource)
when { resource.price == 99 && principal.level == 3 && !resource.broken };

@id("crew-broken") @table("Tools") @row("crew-broken") @column("Decided")
forbid (principal is Person, action == Action::"use", resource)
when { resource.broken };

@id("strangers") @table("Tools") @row("strangers") @column("Decided")
forbid (principal is Person, action == Action::"use", resource)
unless { principal in Crew::"all" };

@id("lend-nobodys") @table("Tools") @row("lend-nobodys") @column("Decided")
forbid (principal, action == Action::"lend", resource)
when { !(resource has owner) && principal.level == 4 && resource.price == 0 };

@id("lend-own") @table("Tools") @row("lend-own") @column("Decided")
permit (principal, action == Action::"lend", resource)
when { resource has owner && resource.owner == principal && resource.price == 7 && principal.level == 5 };

// The sum of the two is no number that Cedar has.
@id("lend-overflow") @table("Tools") @row("lend-overflow") @column("Decided")
forbid (principal, action == Action::"lend", resource)
when { resource.price == 9223372036854775807 && principal.level == 5 };

@id("scrap") @table("Tools") @row("scrap") @column("Decided")
forbid (principal, action == Action::"scrap", resource);
"#,
    ),
];

fn tools() -> TempDir {
    folder(FILES)
}

fn coverage_of(snapshot: &Snapshot) -> Coverage {
    matrix::exercise_with_coverage(snapshot, &|_, _| {}).1
}

/// What decided, read by eye: the disjunction, the `unless`, the guard, the policy that nothing makes matter, and the one that
/// no row asks about.
#[test]
fn what_the_rows_show_and_what_they_do_not() {
    let store = tools();
    let ran = gatepost(store.path(), &["test", "--coverage", "--store", "."]).with(0);
    let (_, said) = ran.out.split_once("What decided").unwrap();
    insta::assert_snapshot!("tools", said);
}

#[test]
fn a_program_reads_which_rows_exercise_a_condition() {
    let store = tools();
    let json = gatepost(store.path(), &["test", "--coverage", "--store", ".", "--format", "json"]).with(0).json();
    let coverage = &json["coverage"];
    assert_eq!((&coverage["minimum"], &coverage["enough"]), (&Value::Null, &Value::Bool(true)));
    let lends = coverage["policies"].as_array().unwrap().iter().find(|policy| policy["id"] == "owner-lends").unwrap();
    insta::assert_json_snapshot!("owner_lends", lends);
    let without = gatepost(store.path(), &["test", "--store", ".", "--format", "json"]).with(0).json();
    assert_eq!(without["coverage"], Value::Null);
}

/// "a threshold that fails the run"
#[test]
fn too_little_coverage_fails_the_run_and_says_so() {
    let store = tools();
    let percent = {
        let points = coverage_of(&snapshot_of(store.path())).points();
        points.covered * 100 / points.total
    };
    let run =
        |minimum: usize| gatepost(store.path(), &["test", "--store", ".", "--min-coverage", &minimum.to_string()]);
    assert!(percent > 0 && percent < 100);
    run(percent).with(0);
    let short = run(percent + 1).with(1).out;
    let last = short.lines().last().unwrap();
    assert!(last.ends_with(&format!("; that is less than the {}% that must be", percent + 1)), "{last}");
    assert!(run(101).with(2).err.contains("101 is not in 0..=100"));
}

/// "LCOV output for the `.cedar` files"
#[test]
fn a_tracefile_for_editors_and_review_tools() {
    let store = tools();
    gatepost(store.path(), &["test", "--store", ".", "--lcov", "tools.info"]).with(0);
    let trace = fs::read_to_string(store.path().join("tools.info")).unwrap();
    insta::assert_snapshot!("lcov", trace);
    let source = trace.lines().find_map(|line| line.strip_prefix("SF:")).unwrap();
    assert!(store.path().join(source).is_file());
    let nowhere = gatepost(store.path(), &["test", "--store", ".", "--lcov", "no/such/folder.info"]).with(2).err;
    assert!(nowhere.contains("the tracefile `no/such/folder.info` cannot be written"), "{nowhere}");
}

/// The figure of the store that is compiled in, and all that its rows do not show.
#[test]
fn of_the_support_contact_policies() {
    let ran = gatepost(Path::new("."), &["test", "--coverage"]).with(0);
    let (_, said) = ran.out.split_once("What decided").unwrap();
    insta::assert_snapshot!("built_in", said);
}

/// What coverage claims is true: with a condition fixed at the value that it is said to decide against, a row fails. Cedar
/// itself evaluates the store that this makes; nothing of the coverage has a part in it.
#[test]
fn a_condition_that_is_covered_cannot_be_fixed_without_a_row_that_fails() {
    let tools = tools();
    let stores = [snapshot_of(tools.path()), common::store("documents")];
    for snapshot in stores {
        let coverage = coverage_of(&snapshot);
        let mut claims = 0;
        for (policy, seen) in snapshot.store.policies.iter().zip(&coverage.policies) {
            for condition in &seen.conditions {
                let span = condition.span.unwrap();
                let text = &policy.file.text[span.offset()..span.offset() + span.len()];
                // In the scope there is no place for `true`.
                if !text.contains(condition.text.split_whitespace().next().unwrap()) {
                    continue;
                }
                for (seen, fixed) in [(&condition.when_true, "false"), (&condition.when_false, "true")] {
                    let edited = edited(&snapshot.store, &policy.file.path, span.offset(), span.len(), fixed);
                    // A guard that is gone does not type-check.
                    let Some(edited) = edited else { continue };
                    let fails = matrix::exercise(&edited, &|_, _| {}).iter().any(|result| !result.holds());
                    assert!(fails || seen.decided == 0, "`{}` as {fixed} in {}", condition.text, policy.id);
                    // And the other way round, but where it is an error that is gone.
                    assert!(!fails || seen.decided > 0 || policy.id == "no-sums", "`{}` as {fixed}", condition.text);
                    claims += 1;
                }
            }
        }
        assert!(claims > 15);
    }
}

/// Whether a guard decides when false cannot be seen, where what follows it cannot be evaluated then: "unknown is not decided". Made
/// `true`, it changes no row, also where `check` takes that.
#[test]
fn a_guard_decides_only_where_it_is_known_what_would_be_otherwise() {
    let guarded = "resource.price < 3";
    let files = |other: &str| {
        folder([
            (
                "schema/a.cedarschema",
                "entity Person; entity Tool = { price: Long }; action use appliesTo { principal: Person, resource: Tool };"
                    .to_owned(),
            ),
            (
                "policies/a.cedar",
                format!(
                    "@id(\"cheap\") permit (principal, action, resource) when {{ {guarded} && resource.price * 4000000000000000000 >= 0 }};\n{other}"
                ),
            ),
            (
                "matrix/a.cedar",
                "@table(\"T\") @row(\"cheap\") @column(\"c\") @cell(\"Yes\")
                 permit (principal, action, resource) when { resource.price >= 0 && resource.price < 3 };
                 @table(\"T\") @row(\"dear\") @column(\"c\") @cell(\"No\")
                 forbid (principal, action, resource) when { resource.price >= 3 };"
                    .to_owned(),
            ),
        ])
    };
    // Alone, and beside another that decides the same where the guard is false.
    for other in ["", "@id(\"none\") forbid (principal, action, resource) when { resource.price == 9 };"] {
        let store = files(other);
        let snapshot = snapshot_of(store.path());
        let coverage = coverage_of(&snapshot);
        let guard = &coverage.policies[0].conditions[0];
        assert_eq!(guard.text, guarded);
        assert!(guard.when_true.decided > 0, "{guard:?}");
        assert!(guard.when_false.guarded > 0 && guard.when_false.decided == 0 && guard.when_false.rows.is_empty());
        let policy = &snapshot.store.policies[0];
        let start = policy.file.text.find(guarded).unwrap();
        let edited = edited(&snapshot.store, &policy.file.path, start, guarded.len(), "true").unwrap();
        let results = matrix::exercise(&edited, &|_, _| {});
        assert!(results.iter().all(matrix::RowResult::holds), "{results:?}");
    }
}

/// The store with other text at that place; `None` where it is no store then.
fn edited(store: &Store, path: &str, start: usize, length: usize, text: &str) -> Option<Snapshot> {
    let mut files = store.files.clone();
    let file = files.policies.iter_mut().find(|file| &*file.path == path).unwrap();
    let mut changed = file.text.to_string();
    changed.replace_range(start..start + length, text);
    changed.parse::<PolicySet>().unwrap();
    file.text = changed.into();
    built(files)
}

fn built(files: StoreFiles) -> Option<Snapshot> {
    let store = Store::from_files(Origin::BuiltIn, files).ok()?;
    Some(Snapshot::build(store).unwrap())
}
