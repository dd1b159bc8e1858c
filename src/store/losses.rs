//! What a newer store has lost of an older one: an edit that takes away what protects is taken up only by somebody who confirms it.
//!
//! A `forbid` that is gone, or asks for more before it forbids, opens access without a word; so does a file that an editor or a copy has
//! emptied. A row that is gone is an expectation that nothing holds any more.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{ActionConstraint, PrincipalConstraint, ResourceConstraint};
use cedar_policy_core::ast::{Expr, ExprKind};

use super::Store;
use super::policy::Statement;
use super::problem::Problem;

/// Everything that the newer store has lost, each as a problem.
pub fn lost(old: &Store, new: &Store) -> Vec<Problem> {
    let mut problems = files(old, new);
    problems.extend(forbids(old, new));
    problems.extend(rows(old, new));
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

fn forbids(old: &Store, new: &Store) -> Vec<Problem> {
    let kept: BTreeMap<&str, &Statement> =
        new.policies.iter().filter(|policy| !policy.permits()).map(|policy| (policy.id.as_str(), policy)).collect();
    let before = old.policies.iter().filter(|policy| !policy.permits());
    let problems = before.filter_map(|policy| match kept.get(policy.id.as_str()) {
        None => Some(Problem::error(format!("the forbid `{}` is gone", policy.id))),
        Some(newer) if forbids_less(policy, newer) => {
            Some(newer.problem(Problem::error(format!("the forbid `{}` asks for more before it forbids", policy.id))))
        }
        Some(_) => None,
    });
    problems.collect()
}

/// Whether the newer forbid has a condition more, or a scope that names more.
fn forbids_less(old: &Statement, new: &Statement) -> bool {
    let conjuncts = |statement: &Statement| -> Vec<Expr> {
        let mut found = Vec::new();
        statement.policy.as_ref().non_scope_constraints().into_iter().for_each(|all| split(all, &mut found));
        found
    };
    let (before, after) = (conjuncts(old), conjuncts(new));
    let is_new = |condition: &&Expr| !before.iter().any(|other| other.eq_shape(condition));
    let more_conditions = after.len() > before.len() && after.iter().any(|condition| is_new(&condition));
    let scopes = scope(old).into_iter().zip(scope(new));
    more_conditions || scopes.into_iter().any(|(before, after)| before < after)
}

/// The parts of a conjunction.
fn split(expression: &Expr, found: &mut Vec<Expr>) {
    match expression.expr_kind() {
        ExprKind::And { left, right } => [left, right].into_iter().for_each(|side| split(side, found)),
        _ => found.push(expression.clone()),
    }
}

/// How much a scope asks of the principal, the action and the resource: the more, the greater.
fn scope(statement: &Statement) -> [u8; 3] {
    let policy = &statement.policy;
    let principal = match policy.principal_constraint() {
        PrincipalConstraint::Any => 0,
        PrincipalConstraint::Is(_) | PrincipalConstraint::In(_) => 1,
        PrincipalConstraint::IsIn(..) => 2,
        PrincipalConstraint::Eq(_) => 3,
    };
    let action = match policy.action_constraint() {
        ActionConstraint::Any => 0,
        ActionConstraint::In(_) => 1,
        ActionConstraint::Eq(_) => 2,
    };
    let resource = match policy.resource_constraint() {
        ResourceConstraint::Any => 0,
        ResourceConstraint::Is(_) | ResourceConstraint::In(_) => 1,
        ResourceConstraint::IsIn(..) => 2,
        ResourceConstraint::Eq(_) => 3,
    };
    [principal, action, resource]
}

fn rows(old: &Store, new: &Store) -> Vec<Problem> {
    let kept: BTreeSet<String> = new.rows.iter().map(Statement::place).collect();
    let gone = old.rows.iter().map(Statement::place).filter(|place| !kept.contains(place));
    let gone: BTreeSet<String> = gone.collect();
    gone.into_iter().map(|place| Problem::error(format!("the row `{place}` is gone"))).collect()
}
