//! A warning for each policy whose denial hangs on whether an entity that is only referred to is stored.
//!
//! Of an entity that is not stored, `in`, `has` and `hasTag` are false, without an error: a `forbid` that asks so stays silent, and a
//! `permit` that asks for the opposite permits. (A required attribute of such an entity cannot be read, and that denies.)

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, UnaryOp};

use super::lint::{Typed, Typing};
use super::policy::Statement;
use super::problem::Problem;
use super::schema::Shape;
use super::{Store, scope};

/// In `@allow`: what the policy denies may hang on the presence of an entity.
pub(super) const PRESENCE: &str = "presence";

/// The warnings about one policy.
pub(super) fn hanging(statement: &Statement, store: &Store) -> Vec<Problem> {
    let Some(condition) = statement.policy.as_ref().non_scope_constraints() else { return Vec::new() };
    if statement.allows_lint(PRESENCE) {
        return Vec::new();
    }
    let mut found = BTreeMap::new();
    for environment in &store.types.environments {
        if scope::can_match(&statement.policy, environment, &store.schema) {
            let typing = Typing { types: &store.types, environment };
            let mut seeking = Seeking { typing, found: &mut found };
            // A forbid must not stay silent, a permit must not speak.
            let when = if statement.permits() { Sense::OPPOSITE } else { Sense::ITSELF };
            seeking.seek(condition, when, &BTreeSet::new());
        }
    }
    found.into_iter().map(|((start, length), test)| warning(statement, (start, length), &test)).collect()
}

fn warning(statement: &Statement, span: (usize, usize), Test { entity, asked }: &Test) -> Problem {
    let verb = if statement.permits() { "permits where" } else { "is silent where" };
    let message =
        format!("what `{}` denies hangs on the presence of `{entity}`: it {verb} that is not stored", statement.id);
    let problem = Problem::warning(message).in_file(&statement.file);
    problem.at(span.into(), &format!("of an entity that is not stored, `{asked}` is false")).with_help(format!(
        "`@must_exist` on the attribute, in the schema, denies a request that refers to one that is not stored; or if it is meant, say \
         so: @allow(\"{PRESENCE}\")"
    ))
}

/// What is asked of an entity that may not be there.
struct Test {
    /// The entity, as policies write it.
    entity: String,
    /// `in`, `has` or `hasTag`.
    asked: &'static str,
}

/// Which outcome of an expression would deny: that it holds, that it does not, or either.
#[derive(Clone, Copy)]
struct Sense {
    holds: bool,
    fails: bool,
}

impl Sense {
    const ITSELF: Self = Self { holds: true, fails: false };
    const OPPOSITE: Self = Self { holds: false, fails: true };
    const EITHER: Self = Self { holds: true, fails: true };

    fn negated(self) -> Self {
        Self { holds: self.fails, fails: self.holds }
    }
}

struct Seeking<'s, 'a> {
    typing: Typing<'a>,
    found: &'s mut BTreeMap<(usize, usize), Test>,
}

/// The entities, as they are written, that must be there where an expression is reached.
type Present = BTreeSet<String>;

impl Seeking<'_, '_> {
    fn seek(&mut self, expression: &Expr, sense: Sense, present: &Present) {
        match expression.expr_kind() {
            ExprKind::And { left, right } | ExprKind::Or { left, right } => {
                self.seek(left, sense, present);
                self.seek(right, sense, &self.after(left, present));
            }
            ExprKind::UnaryApp { op: UnaryOp::Not, arg } => self.seek(arg, sense.negated(), present),
            ExprKind::If { test_expr, then_expr, else_expr } => {
                self.seek(test_expr, Sense::EITHER, present);
                let present = self.after(test_expr, present);
                self.seek(then_expr, sense, &present);
                self.seek(else_expr, sense, &present);
            }
            ExprKind::BinaryApp { op: BinaryOp::In, arg1, .. } => self.ask(expression, arg1, "in", sense, present),
            ExprKind::BinaryApp { op: BinaryOp::HasTag, arg1, .. } => {
                self.ask(expression, arg1, "hasTag", sense, present);
            }
            ExprKind::HasAttr { expr, .. } | ExprKind::ExtHasAttr { expr, .. } => {
                self.ask(expression, expr, "has", sense, present);
            }
            _ => {}
        }
        let is_boolean = matches!(
            expression.expr_kind(),
            ExprKind::And { .. }
                | ExprKind::Or { .. }
                | ExprKind::If { .. }
                | ExprKind::UnaryApp { op: UnaryOp::Not, .. }
        );
        if !is_boolean {
            children(expression).for_each(|child| self.seek(child, Sense::EITHER, present));
        }
    }

    /// What a test asks of an entity, if that is referred to and may not be there.
    fn ask(&mut self, test: &Expr, of: &Expr, asked: &'static str, sense: Sense, present: &Present) {
        let refers = match of.expr_kind() {
            ExprKind::GetAttr { .. } | ExprKind::BinaryApp { op: BinaryOp::GetTag, .. } => self.is_entity(of),
            _ => false,
        };
        if sense.holds && refers && !self.must_exist(of) && !present.contains(&of.to_string()) {
            self.note(test, of, asked);
        }
        // `resource has owner.nick` asks the owner, too, which the test itself names.
        if let ExprKind::ExtHasAttr { attrs, expr } = test.expr_kind()
            && sense.holds
        {
            let mut holder = expr.as_ref().clone();
            for (index, attribute) in attrs.iter().enumerate() {
                if index > 0 && self.is_entity(&holder) && !self.must_exist(&holder) {
                    self.note(test, &holder, asked);
                }
                holder = Expr::get_attr(holder, attribute.clone());
            }
        }
    }

    fn note(&mut self, test: &Expr, entity: &Expr, asked: &'static str) {
        let place = test.source_loc().map_or((0, 0), |loc| (loc.span.offset(), loc.span.len()));
        self.found.entry(place).or_insert_with(|| Test { entity: written(entity), asked });
    }

    fn is_entity(&self, expression: &Expr) -> bool {
        matches!(self.typing.of(expression), Typed::Shape(Shape::Entity(_)))
    }

    /// Whether the schema says that what an attribute refers to must be stored.
    fn must_exist(&self, expression: &Expr) -> bool {
        let ExprKind::GetAttr { expr, attr } = expression.expr_kind() else { return false };
        let holder = self.typing.of(expr);
        self.typing.fields(&holder).and_then(|record| record.0.get(attr)).is_some_and(|field| field.must_exist)
    }

    /// What must be there once that expression is evaluated: of what is not, it could not be.
    fn after(&self, expression: &Expr, present: &Present) -> Present {
        let mut present = present.clone();
        self.read(expression, &mut present);
        present
    }

    fn read(&self, expression: &Expr, present: &mut Present) {
        match expression.expr_kind() {
            // Only what comes first is evaluated in any case.
            ExprKind::And { left, .. } | ExprKind::Or { left, .. } => return self.read(left, present),
            ExprKind::If { test_expr, .. } => return self.read(test_expr, present),
            ExprKind::GetAttr { expr, attr } if self.is_entity(expr) => {
                let holder = self.typing.of(expr);
                let field = self.typing.fields(&holder).and_then(|record| record.0.get(attr));
                if field.is_some_and(|field| field.required) {
                    present.insert(expr.to_string());
                }
            }
            _ => {}
        }
        children(expression).for_each(|child| self.read(child, present));
    }
}

/// An expression as policies write it. (Where a method's receiver stands, Cedar does not say.)
fn written(expression: &Expr) -> String {
    let is_name = |name: &str| name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
    match expression.expr_kind() {
        ExprKind::GetAttr { expr, attr } if is_name(attr) => format!("{}.{attr}", written(expr)),
        ExprKind::GetAttr { expr, attr } => format!("{}[{attr:?}]", written(expr)),
        ExprKind::BinaryApp { op: BinaryOp::GetTag, arg1, arg2 } => format!("{}.getTag({arg2})", written(arg1)),
        _ => expression.to_string(),
    }
}

/// The expressions of which one is made.
fn children(expression: &Expr) -> impl Iterator<Item = &Expr> {
    let children: Vec<&Expr> = match expression.expr_kind() {
        ExprKind::And { left, right } | ExprKind::Or { left, right } => vec![left, right],
        ExprKind::If { test_expr, then_expr, else_expr } => vec![test_expr, then_expr, else_expr],
        ExprKind::UnaryApp { arg, .. } => vec![arg],
        ExprKind::BinaryApp { arg1, arg2, .. } => vec![arg1, arg2],
        ExprKind::GetAttr { expr, .. }
        | ExprKind::HasAttr { expr, .. }
        | ExprKind::ExtHasAttr { expr, .. }
        | ExprKind::Like { expr, .. }
        | ExprKind::Is { expr, .. } => vec![expr],
        ExprKind::ExtensionFunctionApp { args, .. } => args.iter().collect(),
        ExprKind::Set(elements) => elements.iter().collect(),
        ExprKind::Record(fields) => fields.values().collect(),
        _ => Vec::new(),
    };
    children.into_iter()
}
