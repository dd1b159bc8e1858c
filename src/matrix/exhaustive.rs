//! Which comparisons the representative requests do not exhaust: where they are true and false together with others in ways that no
//! representative request shows.
//!
//! The list of what is exhausted is closed: whatever is not known to be is named. So a row on which nothing is named holds for every
//! request if it holds on its representative ones, which is what a solver proves; the tests compare the two.

use std::collections::BTreeSet;

use cedar_policy::Policy;
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, UnaryOp, Var};

use super::domain::{Domains, MOST_ELEMENTS, MOST_FRESH};
use super::parts::{self, Passes, TimePart};
use super::reads::{Comparison, Declared, Slot, Step, constant, is_path};
use crate::store::schema::{Extension, RecordShape, Shape};

/// The comparisons of a policy that are not exhausted, as they are written.
pub(super) fn not_exhausted(policy: &Policy, domains: &Domains<'_>) -> BTreeSet<String> {
    let mut walk = Walk { domains, found: BTreeSet::new() };
    walk.condition(&policy.as_ref().condition());
    walk.found
}

struct Walk<'d, 'a> {
    domains: &'d Domains<'a>,
    found: BTreeSet<String>,
}

impl Walk<'_, '_> {
    /// An expression that is true or false.
    fn condition(&mut self, expression: &Expr) {
        match expression.expr_kind() {
            ExprKind::And { left, right } | ExprKind::Or { left, right } => {
                self.condition(left);
                self.condition(right);
            }
            ExprKind::If { test_expr, then_expr, else_expr } => {
                [test_expr, then_expr, else_expr].into_iter().for_each(|part| self.condition(part));
            }
            ExprKind::UnaryApp { op: UnaryOp::Not, arg } => self.condition(arg),
            ExprKind::BinaryApp { op: BinaryOp::Eq, arg1, arg2 } if is_condition(arg1) || is_condition(arg2) => {
                self.condition(arg1);
                self.condition(arg2);
            }
            _ => {
                self.tests_within(expression);
                if !self.is_exhausted(expression) {
                    let written = expression.source_loc().and_then(|loc| loc.snippet().map(str::to_owned));
                    self.found.insert(written.unwrap_or_else(|| expression.to_string()));
                }
            }
        }
    }

    /// What decides which path an `if` is, inside what is compared.
    fn tests_within(&mut self, expression: &Expr) {
        for part in expression.subexpressions() {
            if let ExprKind::If { test_expr, .. } = part.expr_kind() {
                self.condition(test_expr);
            }
        }
    }

    fn is_exhausted(&self, expression: &Expr) -> bool {
        match expression.expr_kind() {
            ExprKind::Lit(Literal::Bool(_)) => true,
            ExprKind::Is { expr, .. } | ExprKind::HasAttr { expr, .. } | ExprKind::ExtHasAttr { expr, .. } => {
                self.is_followed(expr)
            }
            ExprKind::UnaryApp { op: UnaryOp::IsEmpty, arg } => self.is_path(arg),
            ExprKind::Like { expr, .. } => self.is_value(expr),
            ExprKind::BinaryApp { op: BinaryOp::HasTag, arg1, arg2 } => self.is_followed(arg1) && self.is_key(arg2),
            ExprKind::BinaryApp { op: BinaryOp::In, arg1, arg2 } => self.is_in(arg1, arg2),
            ExprKind::BinaryApp { op: BinaryOp::Eq | BinaryOp::Less | BinaryOp::LessEq, arg1, arg2 } => {
                self.is_compared(arg1, arg2)
            }
            ExprKind::BinaryApp {
                op: BinaryOp::Contains | BinaryOp::ContainsAll | BinaryOp::ContainsAny,
                arg1,
                arg2,
            } => self.is_value(arg1) && self.is_value(arg2),
            ExprKind::ExtensionFunctionApp { fn_name, args } => match (fn_name.to_string().as_str(), args.as_slice()) {
                ("isIpv4" | "isIpv6" | "isLoopback" | "isMulticast", [address]) => self.is_value(address),
                ("isInRange", [address, range]) => self.is_value(address) && constant(range).is_some(),
                ("lessThan" | "lessThanOrEqual" | "greaterThan" | "greaterThanOrEqual", [left, right]) => {
                    self.is_value(left) && self.is_value(right)
                }
                _ => false,
            },
            _ => self.is_value(expression),
        }
    }

    /// Two values, of which one may be a part of a time or a duration, if the other is written out.
    fn is_compared(&self, left: &Expr, right: &Expr) -> bool {
        let is_part = |part: &Expr, with: &Expr| {
            let Some((part, with)) = TimePart::of(part).zip(parts::number(with)) else { return false };
            match part.passes(with) {
                // Several places on one day, at each of these times, there are not.
                Some(passes) => {
                    let once = |slot: &Slot| self.comparison(slot).is_some_and(|group| self.domains.places(group) == 1);
                    self.is_path(part.whole)
                        && (matches!(passes, Passes::At(_)) || self.slots(part.whole).iter().all(once))
                }
                None => false,
            }
        };
        is_part(left, right) || is_part(right, left) || (self.is_value(left) && self.is_value(right))
    }

    fn is_in(&self, descendant: &Expr, ancestors: &Expr) -> bool {
        let is_named = |expression: &Expr| {
            matches!(expression.expr_kind(), ExprKind::Lit(Literal::EntityUID(_)) | ExprKind::Var(Var::Action))
        };
        let are_known = match ancestors.expr_kind() {
            ExprKind::Set(elements) => elements.iter().all(|element| is_named(element) || self.is_path(element)),
            _ => is_named(ancestors) || self.is_path(ancestors),
        };
        // Actions are in what the schema says.
        let is_action = is_named(descendant) && self.slots(descendant).is_empty();
        let few = |slot: &Slot| self.domains.ancestors(slot).len() <= MOST_ELEMENTS;
        are_known && (is_action || (self.is_path(descendant) && self.slots(descendant).iter().all(few)))
    }

    /// A path, or what is written out.
    fn is_value(&self, expression: &Expr) -> bool {
        match expression.expr_kind() {
            ExprKind::If { then_expr, else_expr, .. } => self.is_value(then_expr) && self.is_value(else_expr),
            ExprKind::Set(elements) => elements.iter().all(|element| self.is_value(element)),
            ExprKind::Var(Var::Action) => true,
            _ => constant(expression).is_some() || self.is_path(expression),
        }
    }

    fn is_key(&self, key: &Expr) -> bool {
        self.is_value(key) && self.domains.reads.computed_keys.len() <= MOST_ELEMENTS
    }

    /// A path whose every value that makes a difference is taken.
    fn is_path(&self, expression: &Expr) -> bool {
        self.is_followed(expression) && self.slots(expression).iter().all(|slot| self.has_all_values(slot))
    }

    /// A path of which every step is known.
    fn is_followed(&self, expression: &Expr) -> bool {
        let keys = expression.subexpressions().all(|part| match part.expr_kind() {
            ExprKind::BinaryApp { op: BinaryOp::GetTag, arg2, .. } => self.is_key(arg2),
            _ => true,
        });
        let slots = self.slots(expression);
        let few_others = |slot: &Slot| {
            (0..=slot.steps.len()).all(|length| {
                let steps = slot.steps.iter().take(length).cloned().collect();
                match self.domains.reads.declaration(&Slot { root: slot.root.clone(), steps }) {
                    Some(Declared { shape: Shape::Entity(name), .. }) => {
                        self.domains.referring(&name).count() <= MOST_FRESH
                    }
                    found => found.is_some(),
                }
            })
        };
        is_path(expression) && keys && !slots.is_empty() && slots.iter().all(few_others)
    }

    fn has_all_values(&self, slot: &Slot) -> bool {
        let Some(declared) = self.domains.reads.declaration(slot) else { return false };
        let none = Comparison::default();
        let group = self.comparison(slot).unwrap_or(&none);
        let places = self.domains.places(group);
        match &declared.shape {
            Shape::Bool => true,
            Shape::Long => !self.domains.reads.reckoned.contains(slot) && places <= MOST_FRESH,
            Shape::String => places <= MOST_FRESH && !self.domains.described_by_patterns(group).incomplete,
            Shape::Entity(name) => self.domains.referring(name).count() <= MOST_FRESH,
            Shape::Extension(Extension::Ip) => places <= MOST_ADDRESSES,
            Shape::Extension(_) => places <= MOST_FRESH && (group.literals.times_of_day.is_empty() || places <= 1),
            Shape::Set(element) => self.has_all_sets(element, group),
            Shape::Record(record) => self.has_all_records(slot, record),
            Shape::Parsed(parsed) => self.has_all_records(slot, &parsed.facts),
        }
    }

    fn has_all_sets(&self, element: &Shape, group: &Comparison) -> bool {
        let (sets, others): (Vec<_>, Vec<_>) =
            self.domains.compared_with(group).partition(|found| matches!(found.shape, Shape::Set(_)));
        let are_known = match element {
            Shape::Set(_) | Shape::Parsed(_) => false,
            // One that is none of those that are written out, there must be too.
            Shape::Record(_) => others.is_empty() && !group.literals.records.contains(&self.domains.plain(element)),
            Shape::Extension(_) => sets.len() <= 1,
            _ => true,
        };
        are_known && sets.len() <= 2 && self.domains.elements(element, group).len() <= MOST_ELEMENTS
    }

    /// A record that is compared as a whole: every value in it.
    fn has_all_records(&self, slot: &Slot, record: &RecordShape) -> bool {
        record.0.keys().all(|name| self.has_all_values(&slot.clone().then(Step::Attribute(name.clone()))))
    }

    fn comparison(&self, slot: &Slot) -> Option<&Comparison> {
        let field = self.domains.reads.declaration(slot)?.field;
        self.domains.reads.comparisons.iter().find(|group| group.fields.contains(&field))
    }

    fn slots(&self, expression: &Expr) -> Vec<Slot> {
        self.domains.reads.slots(expression)
    }
}

/// So many places may hold addresses that are compared with each other: of each range there are two that are not told apart otherwise.
const MOST_ADDRESSES: usize = 2;

/// Whether an expression is true or false by more than a value that stands somewhere.
fn is_condition(expression: &Expr) -> bool {
    match expression.expr_kind() {
        ExprKind::And { .. }
        | ExprKind::Or { .. }
        | ExprKind::Is { .. }
        | ExprKind::Like { .. }
        | ExprKind::HasAttr { .. }
        | ExprKind::ExtHasAttr { .. }
        | ExprKind::UnaryApp { op: UnaryOp::Not | UnaryOp::IsEmpty, .. } => true,
        ExprKind::BinaryApp { op, .. } => {
            !matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::GetTag)
        }
        _ => false,
    }
}
