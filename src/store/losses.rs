//! What a newer store has lost of an older one: an edit that takes away what protects is taken up only by somebody who confirms it.
//!
//! A `forbid` that is gone, or denies less, opens access without a word; so does a file that an editor or a copy has emptied, and a
//! schema that no longer keeps from callers what the store alone said. A row that is gone is an expectation that nothing holds any more.
//!
//! Nothing is proven here: an edit of a forbid is taken up where both texts show that it denies at least as much, and else confirmed.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy_core::ast::{BinaryOp, ExprKind, Var};

use super::changes::{self, Declaration, SeenBy};
use super::policy::Statement;
use super::problem::Problem;
use super::schema::{EntityType, Environment, RecordShape, Shape};
use super::{Store, covers};

/// Everything that the newer store has lost, each as a problem.
pub fn lost(old: &Store, new: &Store) -> Vec<Problem> {
    let mut problems = files(old, new);
    problems.extend(forbids(old, new));
    problems.extend(rows(old, new));
    problems.extend(protections(old, new));
    problems
}

/// Files of policies, rows and entities that are gone, or have nothing in them any more.
fn files(old: &Store, new: &Store) -> Vec<Problem> {
    let had_something = old.inventory.iter().filter(|(_, is_empty)| !**is_empty);
    let problems = had_something.filter_map(|(path, _)| match new.inventory.get(path) {
        None => Some(Problem::error(format!("the file `{path}` is gone"))),
        Some(true) => Some(Problem::error(format!("the file `{path}` has nothing in it any more"))),
        Some(false) => None,
    });
    problems.collect()
}

/// Every forbid that is gone, or of which it cannot be seen that it denies at least what it denied.
fn forbids(old: &Store, new: &Store) -> Vec<Problem> {
    let kept: BTreeMap<&str, &Statement> =
        new.policies.iter().filter(|policy| !policy.permits()).map(|policy| (policy.id.as_str(), policy)).collect();
    let mut declarations = changes::declarations(old, new);
    // Of what the older store does not have, it decided nothing.
    let types = old.types.entities.keys().map(ToString::to_string);
    let actions = old.schema.actions().map(|action| format!("action {action}"));
    let known: Vec<String> = types.chain(actions).collect();
    declarations.retain(|found| found.old.is_some() || known.iter().any(|known| is_of(&found.name, known)));
    let before = old.policies.iter().filter(|policy| !policy.permits());
    let problems = before.filter_map(|policy| {
        let Some(newer) = kept.get(policy.id.as_str()) else {
            let stood = format!("{}:{}", policy.file.path, policy.line());
            return Some(Problem::error(format!("the forbid `{}` is gone, which stood at {stood}", policy.id)));
        };
        let mut why = covers::uncovered(policy, newer);
        why.extend(declarations.iter().filter_map(|found| read_otherwise(found, policy)));
        let message = format!("the forbid `{}` may deny less: {}", policy.id, why.join("; "));
        (!why.is_empty()).then(|| newer.problem(Problem::error(message)))
    });
    problems.collect()
}

/// What a forbid reads is declared otherwise, so that the same words may mean less.
fn read_otherwise(declaration: &Declaration, forbid: &Statement) -> Option<String> {
    const SIDES: [ExprKind; 2] = [ExprKind::Var(Var::Principal), ExprKind::Var(Var::Resource)];
    let name = &declaration.name;
    let matters = match declaration.seen_by {
        SeenBy::In if name.starts_with("action ") => asks_in(forbid, &|of| !SIDES.contains(of)),
        // An entity has further parents only where entities are written that have them.
        SeenBy::In => declaration.old.is_some() && asks_in(forbid, &|of| *of != ExprKind::Var(Var::Action)),
        _ => {
            let is_read_otherwise = declaration.is_no_longer_read_so() && declaration.is_named_by(forbid);
            is_read_otherwise || declaration.is_asked_for_by(forbid)
        }
    };
    let change = match (&declaration.old, &declaration.new) {
        (None, _) => "is declared now".to_owned(),
        (_, None) => "is no longer declared".to_owned(),
        (Some(old), Some(new)) => format!("was {old}, and is {new}"),
    };
    matters.then(|| format!("in the schema, `{name}` {change}"))
}

/// Whether a declaration is one of that entity type or action: `User.pin`, `User tags`, `User in Team`, `action "read": context.day`.
fn is_of(declaration: &str, holder: &str) -> bool {
    declaration.strip_prefix(holder).is_some_and(|rest| rest.starts_with(['.', ' ', ':']))
}

/// Whether a policy asks whether something of that kind is in something.
fn asks_in(policy: &Statement, is_of_kind: &dyn Fn(&ExprKind) -> bool) -> bool {
    policy.policy.as_ref().condition().subexpressions().any(|part| match part.expr_kind() {
        ExprKind::BinaryApp { op: BinaryOp::In, arg1, .. } => is_of_kind(arg1.expr_kind()),
        _ => false,
    })
}

/// Every row of which none in its place expects at least as much.
fn rows(old: &Store, new: &Store) -> Vec<Problem> {
    let mut kept: BTreeMap<String, Vec<&Statement>> = BTreeMap::new();
    new.rows.iter().for_each(|row| kept.entry(row.place()).or_default().push(row));
    let problems = old.rows.iter().filter_map(|row| {
        let place = row.place();
        let mut beside = kept.get(&place).into_iter().flatten().filter(|newer| newer.permits() == row.permits());
        if beside.clone().any(|newer| covers::covers(newer, row)) {
            return None;
        }
        let Some(newer) = beside.next() else {
            let effect = if row.permits() { "permit" } else { "forbid" };
            let stood = format!("{}:{}", row.file.path, row.line());
            return Some(Problem::error(format!("the row `{place}` is gone: its `{effect}` stood at {stood}")));
        };
        let why = covers::uncovered(row, newer).join("; ");
        Some(newer.problem(Problem::error(format!("the row `{place}` may expect less: {why}"))))
    });
    problems.collect()
}

/// What the schema no longer keeps from callers.
fn protections(old: &Store, new: &Store) -> Vec<Problem> {
    let mut lost = BTreeSet::new();
    for before in old.types.entities.values() {
        let Some(after) = new.types.entity(&before.full_name) else { continue };
        let name = &before.full_name;
        if before.stored && !after.stored {
            lost.insert(format!("`@stored` is gone from the type `{name}`: callers may say its attributes and tags"));
        }
        if after.parents_from_caller && !before.parents_from_caller {
            lost.insert(format!(
                "`@parents_from` is new on the type `{name}`: callers may say what stored ones are in"
            ));
        }
        let of = |entity: &EntityType| Kept::of(name, &entity.attributes);
        of(before).lost_in(&of(after), &mut lost);
    }
    for before in &old.types.environments {
        let Some((_, after)) = new.types.environment_like(before) else { continue };
        let of = |environment: &Environment| {
            Kept::of(&format!("{}: context", environment.action_name), &environment.context)
        };
        of(before).lost_in(&of(after), &mut lost);
    }
    lost.into_iter().map(Problem::error).collect()
}

/// The fields by their places, each with which of these annotations it has.
struct Kept(BTreeMap<String, [bool; 3]>);

/// What is kept from callers and readers of the log by an annotation, and what becomes of it without.
const KEPT: [(&str, &str); 3] = [
    ("@stored", "callers may say it"),
    ("@must_exist", "what it refers to may be absent"),
    ("@sensitive", "the decision log shows it"),
];

impl Kept {
    fn of(name: &str, record: &RecordShape) -> Self {
        let mut kept = Self(BTreeMap::new());
        kept.fields(name, record, false);
        kept
    }

    fn fields(&mut self, of: &str, record: &RecordShape, within_stored: bool) {
        for (name, field) in &record.0 {
            let place = format!("{of}.{name}");
            let stored = within_stored || field.stored;
            let mut inner = &field.shape;
            while let Shape::Set(element) = inner {
                inner = element;
            }
            if let Shape::Record(record) = inner {
                self.fields(&place, record, stored);
            }
            self.0.insert(place, [stored, field.must_exist, field.sensitive]);
        }
    }

    fn lost_in(&self, newer: &Self, lost: &mut BTreeSet<String>) {
        for (place, before) in &self.0 {
            let Some(after) = newer.0.get(place) else { continue };
            for (((name, without), before), after) in KEPT.iter().zip(before).zip(after) {
                if *before && !after {
                    lost.insert(format!("`{name}` is gone from `{place}`: {without}"));
                }
            }
        }
    }
}
