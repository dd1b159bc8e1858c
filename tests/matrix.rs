//! The matrix of the built-in store, as it is reviewed: the table of its rows, and every decision that they are about. An
//! edit of a policy moves cells in these snapshots, and a review sees which.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;

use comfy_table::presets::ASCII_MARKDOWN;
use gatepost::engine::Snapshot;
use gatepost::matrix::{self, RowResult};
use gatepost::report::{self, Finding};
use gatepost::store::{Origin, Store};
use serde_json::{Value, json};

#[test]
fn every_row_holds_and_the_table_is_as_a_reviewer_reads_it() {
    let snapshot = common::built_in();
    let results = matrix::exercise(&snapshot, &|_, _| {});
    let findings: Vec<Finding> = results.iter().map(Finding::from).collect();
    let tables = report::tables(&snapshot.store.rows, &findings);
    insta::assert_snapshot!("table", report::text(&tables, 120));
    assert!(results.iter().all(RowResult::holds));
    assert!(results.iter().all(|result| !result.sampled), "every combination was tried");
}

/// A row's answer is its own: the same in any order of the rows, and where it stands alone.
#[test]
fn a_row_holds_or_not_whatever_stands_before_it() {
    let schema = "entity Group in [Group]; entity User in [Group]; entity Doc;
                  action read appliesTo { principal: User, resource: Doc };";
    let policy = "@id(\"sales\") permit (principal, action, resource) when { principal in Group::\"sales\" };";
    let rows = [
        ("allow", "permit (principal, action, resource) when { principal in Group::\"sales\" };"),
        // It sets up what its own condition reads, through which other requests come to be in the group too.
        (
            "below",
            "permit (principal, action, resource) when { principal in Group::\"staff\" && Group::\"staff\" in Group::\"sales\" };",
        ),
        ("false", "forbid (principal, action, resource) when { principal in Group::\"sales\" };"),
        ("deny", "forbid (principal, action, resource) unless { principal in Group::\"sales\" };"),
    ];
    let holding = |order: &[usize]| -> Vec<(usize, bool)> {
        let matrix = order.iter().map(|row| {
            let (name, text) = rows[*row];
            let cell = if text.starts_with("permit") { "Yes" } else { "No" };
            format!("@table(\"T\") @row(\"{name}\") @column(\"c\") @cell(\"{cell}\") {text}\n")
        });
        let store = common::folder([
            ("schema/a.cedarschema", schema.to_owned()),
            ("policies/a.cedar", policy.to_owned()),
            ("matrix/a.cedar", matrix.collect()),
        ]);
        let results = matrix::exercise(&common::snapshot_of(store.path()), &|_, _| {});
        let mut held: Vec<_> = order.iter().copied().zip(results.iter().map(RowResult::holds)).collect();
        held.sort_unstable();
        held
    };
    let expected = [true, true, false, true];
    for order in permutations(&[0, 1, 2, 3]) {
        assert_eq!(holding(&order), expected.into_iter().enumerate().collect::<Vec<_>>(), "{order:?}");
    }
    for (row, expected) in expected.into_iter().enumerate() {
        assert_eq!(holding(&[row]), [(row, expected)], "alone");
    }
}

fn permutations(items: &[usize]) -> Vec<Vec<usize>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let first = |index: usize| {
        let rest: Vec<usize> = items.iter().enumerate().filter(|(at, _)| *at != index).map(|(_, item)| *item).collect();
        let led = |rest: Vec<usize>| [vec![items[index]], rest].concat();
        permutations(&rest).into_iter().map(led).collect::<Vec<_>>()
    };
    (0..items.len()).flat_map(first).collect()
}

#[test]
fn no_policy_can_be_taken_away_without_a_row_that_notices() {
    let policies = |store: &Store| store.policies.iter().map(|policy| policy.id.clone()).collect::<Vec<_>>();
    let unnoticed: Vec<String> = policies(&Store::load(Origin::BuiltIn).unwrap())
        .into_iter()
        .filter(|id| {
            let mut store = Store::load(Origin::BuiltIn).unwrap();
            store.policies.retain(|policy| policy.id != *id);
            let results = matrix::exercise(&Snapshot::build(store).unwrap(), &|_, _| {});
            results.iter().all(RowResult::holds)
        })
        .collect();
    // Without it, deleting is denied all the same, because nothing permits it: it holds against permits that are to come.
    assert_eq!(unnoticed, ["never-delete"]);
}

#[test]
fn the_complete_decision_table() {
    let snapshot = common::built_in();
    let sections: Vec<String> = ACTIONS.iter().map(|action| section(&snapshot, action)).collect();
    let text = format!("An empty cell: whatever it is.\n\n{}", sections.join("\n"));
    insta::assert_snapshot!("decisions", text);
}

// ---------------------------------------------------------------------------------------------------------------------
// The requests of the decision table
// ---------------------------------------------------------------------------------------------------------------------

/// Something that requests differ in: its name, and its values with what each of them adds to a request.
struct Dimension {
    name: &'static str,
    values: Vec<(&'static str, Value)>,
}

/// What each action is asked with.
const ACTIONS: [(&str, Asker); 11] = [
    ("requireSupportContact", Asker::Portal),
    ("displaySupportContact", Asker::Portal),
    ("listSupportContact", Asker::Portal),
    ("viewSupportContact", Asker::User),
    ("enterSupportContact", Asker::UserWithContact),
    ("editSupportContact", Asker::UserWithContact),
    ("deleteSupportContact", Asker::User),
    ("placeOrder", Asker::User),
    ("saveConfiguration", Asker::User),
    ("viewPricing", Asker::User),
    ("viewMegaportContacts", Asker::User),
];

#[derive(PartialEq)]
enum Asker {
    Portal,
    User,
    UserWithContact,
}

fn dimensions(asker: &Asker) -> Vec<Dimension> {
    let contact = json!({ "phone": VALID_PHONE, "email": VALID_EMAIL });
    let mut dimensions = vec![
        dimension("kind", ["direct", "partner", "managed"], |kind| account("kind", json!(kind))),
        dimension("stage", ["new", "existing"], |stage| account("stage", json!(stage))),
        dimension("supported by", ["megaport", "partner"], |supporter| account("supportedBy", json!(supporter))),
        dimension("services", ["0", "1", "7"], |count| {
            account("provisionedServices", json!(count.parse::<i64>().unwrap()))
        }),
        dimension("contact", ["none", "given"], |which| match which {
            "given" => account("supportContact", contact.clone()),
            _ => json!({}),
        }),
        dimension("market", ["none", "AU"], |market| match market {
            "none" => json!({}),
            market => account("billingMarket", json!(market)),
        }),
    ];
    if *asker != Asker::Portal {
        dimensions.push(dimension("role", ["companyAdmin", "salesTeam", "accountUser"], |role| user("role", role)));
        dimensions.push(dimension("account", ["own", "other"], |whose| {
            user("account", if whose == "own" { "acme" } else { "globex" })
        }));
    }
    if *asker == Asker::UserWithContact {
        dimensions.push(dimension(
            "phone",
            ["valid", "invalid"],
            |which| json!({ "context": { "phone": if which == "valid" { VALID_PHONE } else { "+61 2 9374 400" } } }),
        ));
        dimensions.push(dimension("email", ["valid", "invalid"], |which| {
            json!({ "context": { "email": if which == "valid" { VALID_EMAIL } else { "support@globex.example" } } })
        }));
    }
    dimensions
}

/// In international form, so that it can be read in an account without a market too.
const VALID_PHONE: &str = "+61 2 9374 4000";
const VALID_EMAIL: &str = "support@acme.example";

fn account(name: &str, value: Value) -> Value {
    json!({ "resource": { "properties": { name: value } } })
}

fn user(name: &str, value: &str) -> Value {
    json!({ "subject": { "properties": { name: value } } })
}

/// A dimension, each of whose values adds that part to a request.
fn dimension<const N: usize>(name: &'static str, values: [&'static str; N], part: impl Fn(&str) -> Value) -> Dimension {
    Dimension { name, values: values.map(|value| (value, part(value))).into() }
}

fn base(action: &str, asker: &Asker) -> Value {
    let subject = if *asker == Asker::Portal { "Portal::portal" } else { "User::ada" };
    let sign_up = json!({ "resource": { "properties": { "signUpEmail": "owner@acme.example" } } });
    common::with(common::ask(subject, action, "Account::acme"), sign_up)
}

// ---------------------------------------------------------------------------------------------------------------------
// The decisions, grouped
// ---------------------------------------------------------------------------------------------------------------------

/// Requests that differ only in ways that make no difference: for each dimension, which of its values.
type Group = Vec<Vec<usize>>;

/// The decisions on every request of an action: one line for each group of requests that are decided alike by the same
/// policies, with only the columns that make a difference.
fn section(snapshot: &Snapshot, (action, asker): &(&str, Asker)) -> String {
    let dimensions = dimensions(asker);
    let mut decided: BTreeMap<Group, (bool, String)> = BTreeMap::new();
    let mut points: Vec<(Group, Value)> = vec![(Vec::new(), base(action, asker))];
    for dimension in &dimensions {
        let longer = points.iter().flat_map(|(point, body)| {
            dimension.values.iter().enumerate().map(|(index, (_, part))| {
                ([point.as_slice(), &[vec![index]]].concat(), common::with(body.clone(), part.clone()))
            })
        });
        points = longer.collect();
    }
    let requests = points.len();
    for (point, body) in points {
        let decision = common::decide(snapshot, &body).unwrap();
        let by = match common::determining(&decision).join(", ") {
            by if by.is_empty() => "nothing permits it".to_owned(),
            by => by,
        };
        assert!(decision.errors().is_empty() && decision.dropped.is_empty(), "{body}");
        decided.insert(point, (decision.allowed, by));
    }
    let grouped = grouped(decided, dimensions.len());
    let matters = |index: usize| grouped.keys().any(|group| group[index].len() < dimensions[index].values.len());
    let columns: Vec<usize> = (0..dimensions.len()).filter(|index| matters(*index)).collect();
    let mut table = comfy_table::Table::new();
    table.load_preset(ASCII_MARKDOWN);
    let names = columns.iter().map(|index| dimensions[*index].name);
    table.set_header(names.chain(["requests", "decision", "by"]));
    for (group, (allowed, by)) in &grouped {
        let values = columns.iter().map(|index| shown(&dimensions[*index], &group[*index]));
        let count = group.iter().map(Vec::len).product::<usize>().to_string();
        table.add_row(values.chain([count, if *allowed { "ALLOW" } else { "deny" }.to_owned(), by.clone()]));
    }
    format!("{action}: {requests} requests\n\n{table}\n")
}

fn shown(dimension: &Dimension, values: &[usize]) -> String {
    if values.len() == dimension.values.len() {
        return String::new();
    }
    values.iter().map(|value| dimension.values[*value].0).collect::<Vec<_>>().join(", ")
}

/// Groups that differ in one dimension only and are decided alike become one; first where that leaves the fewest.
fn grouped<T: Clone + Ord>(mut groups: BTreeMap<Group, T>, dimensions: usize) -> BTreeMap<Group, T> {
    loop {
        let merged = (0..dimensions).map(|dimension| merged(&groups, dimension)).min_by_key(BTreeMap::len);
        match merged {
            Some(merged) if merged.len() < groups.len() => groups = merged,
            _ => return groups,
        }
    }
}

fn merged<T: Clone + Ord>(groups: &BTreeMap<Group, T>, dimension: usize) -> BTreeMap<Group, T> {
    let mut merged: BTreeMap<(Group, &T), Vec<usize>> = BTreeMap::new();
    for (group, decided) in groups {
        let mut others = group.clone();
        let values = std::mem::take(&mut others[dimension]);
        merged.entry((others, decided)).or_default().extend(values);
    }
    let restored = merged.into_iter().map(|((mut group, decided), mut values)| {
        values.sort_unstable();
        group[dimension] = values;
        (group, decided.clone())
    });
    restored.collect()
}
