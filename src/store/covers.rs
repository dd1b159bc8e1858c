//! Whether a statement still applies wherever another did, as far as that can be seen in how both are written.
//!
//! What is compared are the parts of their scopes and of their conditions; what these mean is not asked. So a statement that applies
//! wherever the other did, but is written otherwise, may be told to apply less: somebody has to look at it.

use std::collections::HashMap;

use cedar_policy::{ActionConstraint, EntityTypeName, EntityUid, PrincipalConstraint, ResourceConstraint};
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, ExprShapeOnly, UnaryOp};

use super::policy::Statement;

/// What keeps the newer statement from being known to apply wherever the older one does; nothing, if it does. A statement that cannot be
/// evaluated denies, so it applies there too.
pub(super) fn uncovered(old: &Statement, new: &Statement) -> Vec<String> {
    let (before, after) = (Scope::of(old), Scope::of(new));
    let entities =
        [("principal", &before.principal, &after.principal), ("resource", &before.resource, &after.resource)];
    let narrower = entities.into_iter().filter(|(_, before, after)| !after.covers(before));
    let mut found: Vec<String> =
        narrower.map(|(name, before, after)| changed(&before.shown(name), &after.shown(name))).collect();
    if !actions_cover(&after.action, &before.action) {
        found.push(changed(&shown_action(&before.action), &shown_action(&after.action)));
    }
    found.extend(uncovered_conditions(&conjuncts(old), &conjuncts(new)));
    found
}

/// Whether the newer statement is known to apply wherever the older one does.
pub(super) fn covers(new: &Statement, old: &Statement) -> bool {
    uncovered(old, new).is_empty()
}

fn changed(before: &str, after: &str) -> String {
    format!("`{before}` has become `{after}`")
}

/// The parts of a statement's conditions that must all hold, in the order in which they are evaluated.
fn conjuncts(statement: &Statement) -> Vec<&Expr> {
    let mut found = Vec::new();
    // What is long is not deep for Cedar; nor may it be here.
    let mut pending: Vec<&Expr> = statement.policy.as_ref().non_scope_constraints().into_iter().collect();
    while let Some(expression) = pending.pop() {
        match expression.expr_kind() {
            ExprKind::And { left, right } => pending.extend([right.as_ref(), left.as_ref()]),
            _ => found.push(expression),
        }
    }
    found
}

/// Where each part stands first.
fn places<'e>(all: &[&'e Expr]) -> HashMap<ExprShapeOnly<'e>, usize> {
    let numbered = all.iter().enumerate().rev();
    numbered.map(|(place, part)| (ExprShapeOnly::new_from_borrowed(part), place)).collect()
}

fn place_in(places: &HashMap<ExprShapeOnly<'_>, usize>, part: &Expr) -> Option<usize> {
    places.get(&ExprShapeOnly::new_from_borrowed(part)).copied()
}

fn uncovered_conditions(before: &[&Expr], after: &[&Expr]) -> Vec<String> {
    let (was, is) = (places(before), places(after));
    let added: Vec<&&Expr> = after.iter().filter(|part| place_in(&was, part).is_none()).collect();
    if !added.is_empty() {
        let gone = before.iter().filter(|part| place_in(&is, part).is_none());
        let gone: Vec<String> = gone.map(|part| format!("`{part}`")).collect();
        let added: Vec<String> = added.iter().map(|part| format!("`{part}`")).collect();
        let instead = if gone.is_empty() { String::new() } else { format!(" in place of {}", gone.join(" and ")) };
        return vec![format!("it asks for {}{instead}", added.join(" and "))];
    }
    // The latest place, among those of the older conditions, of what is evaluated before each of the newer ones.
    let mut latest = vec![None];
    for part in after {
        latest.push(latest.last().copied().flatten().max(place_in(&was, part)));
    }
    // Where a part cannot be evaluated, the older statement denied: so must the newer, which then evaluates only what held there.
    let failing = before.iter().enumerate().filter(|(_, part)| may_fail(part)).find(|(place, part)| {
        let until = place_in(&is, part).unwrap_or(after.len());
        latest.get(until).copied().flatten().is_some_and(|latest| latest > *place)
    });
    let told =
        |(_, part): (usize, &&Expr)| format!("where `{part}` cannot be evaluated, something else may be asked first");
    failing.map(told).into_iter().collect()
}

/// Whether an expression that Cedar's validator takes may still fail: by arithmetic, or at an entity that is not there.
fn may_fail(expression: &Expr) -> bool {
    expression.subexpressions().any(|part| match part.expr_kind() {
        ExprKind::BinaryApp { op, .. } => {
            matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::GetTag)
        }
        ExprKind::UnaryApp { op, .. } => matches!(op, UnaryOp::Neg),
        // What is required of the principal, the resource and the context is there before any policy is asked.
        ExprKind::GetAttr { expr, .. } => !matches!(expr.expr_kind(), ExprKind::Var(_)),
        ExprKind::ExtensionFunctionApp { fn_name, args } => {
            let is_literal = matches!(args.as_slice(), [only] if matches!(only.expr_kind(), ExprKind::Lit(_)));
            !is_literal && !NEVER_FAIL.contains(&fn_name.to_string().as_str())
        }
        ExprKind::Slot(_) | ExprKind::Unknown(_) => true,
        _ => false,
    })
}

/// Those of Cedar's extension functions that have a value for all that they take.
const NEVER_FAIL: [&str; 9] = [
    "greaterThan",
    "greaterThanOrEqual",
    "isInRange",
    "isIpv4",
    "isIpv6",
    "isLoopback",
    "isMulticast",
    "lessThan",
    "lessThanOrEqual",
];

struct Scope {
    principal: Entities,
    action: ActionConstraint,
    resource: Entities,
}

impl Scope {
    fn of(statement: &Statement) -> Self {
        let policy = &statement.policy;
        let principal = match policy.principal_constraint() {
            PrincipalConstraint::Any => Entities::Any,
            PrincipalConstraint::Is(name) => Entities::Is(name),
            PrincipalConstraint::In(uid) => Entities::In(uid),
            PrincipalConstraint::IsIn(name, uid) => Entities::IsIn(name, uid),
            PrincipalConstraint::Eq(uid) => Entities::Eq(uid),
        };
        let resource = match policy.resource_constraint() {
            ResourceConstraint::Any => Entities::Any,
            ResourceConstraint::Is(name) => Entities::Is(name),
            ResourceConstraint::In(uid) => Entities::In(uid),
            ResourceConstraint::IsIn(name, uid) => Entities::IsIn(name, uid),
            ResourceConstraint::Eq(uid) => Entities::Eq(uid),
        };
        Self { principal, action: policy.action_constraint(), resource }
    }
}

/// What a scope asks of the principal or the resource.
enum Entities {
    Any,
    Is(EntityTypeName),
    In(EntityUid),
    IsIn(EntityTypeName, EntityUid),
    Eq(EntityUid),
}

impl Entities {
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Is(name), Self::Is(other) | Self::IsIn(other, _)) => name == other,
            (Self::Is(name), Self::Eq(uid)) => name == uid.type_name(),
            (Self::In(group), Self::In(other) | Self::IsIn(_, other) | Self::Eq(other)) => group == other,
            (Self::IsIn(name, group), Self::IsIn(other_name, other)) => name == other_name && group == other,
            (Self::IsIn(name, group), Self::Eq(other)) => name == other.type_name() && group == other,
            (Self::Eq(uid), Self::Eq(other)) => uid == other,
            (Self::Is(_) | Self::In(_) | Self::IsIn(..) | Self::Eq(_), _) => false,
        }
    }

    /// As it is written of that variable.
    fn shown(&self, name: &str) -> String {
        match self {
            Self::Any => name.to_owned(),
            Self::Is(of_type) => format!("{name} is {of_type}"),
            Self::In(group) => format!("{name} in {group}"),
            Self::IsIn(of_type, group) => format!("{name} is {of_type} in {group}"),
            Self::Eq(uid) => format!("{name} == {uid}"),
        }
    }
}

fn actions_cover(after: &ActionConstraint, before: &ActionConstraint) -> bool {
    match (after, before) {
        (ActionConstraint::Any, _) => true,
        (ActionConstraint::In(groups), ActionConstraint::In(others)) => others.iter().all(|uid| groups.contains(uid)),
        (ActionConstraint::In(groups), ActionConstraint::Eq(uid)) => groups.contains(uid),
        (ActionConstraint::Eq(uid), ActionConstraint::Eq(other)) => uid == other,
        (ActionConstraint::In(_) | ActionConstraint::Eq(_), _) => false,
    }
}

fn shown_action(action: &ActionConstraint) -> String {
    match action {
        ActionConstraint::Any => "action".to_owned(),
        ActionConstraint::Eq(uid) => format!("action == {uid}"),
        ActionConstraint::In(uids) => {
            let uids: Vec<String> = uids.iter().map(ToString::to_string).collect();
            format!("action in [{}]", uids.join(", "))
        }
    }
}
