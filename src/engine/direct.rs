//! Conditions, asked of a typed request as it is: no entity is made for Cedar, and no value.
//!
//! # Why the answer is Cedar's
//!
//! [`Direct::holds`] either gives what Cedar's evaluator gives where it gives no error, or nothing; then Cedar's evaluator is asked,
//! and its answer counts, error or not. Each step is one of the few whose outcome is plain (Cedar's specification of operators): a
//! value that is not there, of another type than the operator takes, beyond 64 bits, of an extension type, a record or a set that is
//! compared as a whole, and whatever has to be read of another entity than the principal and the resource, are left to Cedar. As
//! there, `&&`, `||` and `if` evaluate no more than they need, from left to right; so what is not evaluated here is not evaluated
//! there, and cannot fail.
//!
//! `tests/agreement.rs` holds both together.

use cedar_policy::{EntityTypeName, EntityUid, Policy};
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, Pattern, UnaryOp, Var};
use smol_str::SmolStr;

use super::index::{Side, is_action};
use crate::request::TypedRequest;
use crate::request::stored::Hierarchy;
use crate::request::value::{Record, Value};

/// The conditions of a policy.
#[derive(Debug)]
pub(super) struct Direct(Node);

/// A request, and what its entities are in.
pub(super) struct View<'a> {
    pub(super) request: &'a TypedRequest,
    pub(super) principal: &'a Side<'a>,
    pub(super) action: &'a EntityUid,
    pub(super) resource: &'a Side<'a>,
    pub(super) hierarchy: &'a Hierarchy<'a>,
}

/// An expression.
#[derive(Debug)]
enum Node {
    /// What is left to Cedar.
    Beyond,
    Value(Value),
    Variable(Var),
    Attribute(Box<Node>, SmolStr),
    /// Whether that attribute is there, and in it the next one.
    Has(Box<Node>, Vec<SmolStr>),
    Like(Box<Node>, Pattern),
    Is(Box<Node>, EntityTypeName),
    Unary(UnaryOp, Box<Node>),
    Binary(BinaryOp, Box<[Node; 2]>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    /// The first, and what it is otherwise.
    If(Box<[Node; 3]>),
}

/// A value of the request or of the policy.
#[derive(Clone, Copy)]
enum Seen<'a> {
    Bool(bool),
    Long(i64),
    Text(&'a str),
    Entity(&'a EntityUid),
    Set(&'a [Value]),
    Record(&'a Record),
}

/// An expression that is nested more deeply is left to Cedar, which knows how much of the stack is left.
const DEEPEST: usize = 64;

/// Sets of which more pairs would be compared are left to Cedar, which does not compare each with each.
const MOST_PAIRS: usize = 1024;

impl Direct {
    /// The conditions of a policy, without its scope.
    pub(super) fn new(policy: &Policy) -> Self {
        // That feature is there to decide by Cedar's public functions alone.
        if cfg!(feature = "public-authorizer") {
            return Self(Node::Beyond);
        }
        let conditions = policy.as_ref().non_scope_constraints();
        Self(conditions.map_or(Node::Value(Value::Bool(true)), |conditions| Node::of(conditions, DEEPEST)))
    }

    /// Whether they hold, if it can be told without Cedar.
    pub(super) fn holds(&self, view: &View<'_>) -> Option<bool> {
        self.0.is_true(view)
    }
}

impl Node {
    fn of(expression: &Expr, deepest: usize) -> Self {
        let Some(deepest) = deepest.checked_sub(1) else { return Self::Beyond };
        let node = |expression: &Expr| Self::of(expression, deepest);
        let boxed = |expression: &Expr| Box::new(Self::of(expression, deepest));
        match expression.expr_kind() {
            ExprKind::Lit(literal) => Self::Value(value(literal)),
            ExprKind::Set(elements) => elements
                .iter()
                .map(constant)
                .collect::<Option<Vec<_>>>()
                .map_or(Self::Beyond, |all| Self::Value(Value::Set(all))),
            ExprKind::Var(variable) => Self::Variable(*variable),
            ExprKind::GetAttr { expr, attr } => Self::Attribute(boxed(expr), attr.clone()),
            ExprKind::HasAttr { expr, attr } => Self::Has(boxed(expr), vec![attr.clone()]),
            ExprKind::ExtHasAttr { expr, attrs } => Self::Has(boxed(expr), attrs.iter().cloned().collect()),
            ExprKind::Like { expr, pattern } => Self::Like(boxed(expr), pattern.clone()),
            ExprKind::Is { expr, entity_type } => Self::Is(boxed(expr), entity_type.clone().into()),
            ExprKind::UnaryApp { op, arg } => Self::Unary(*op, boxed(arg)),
            ExprKind::BinaryApp { op, arg1, arg2 } => Self::Binary(*op, Box::new([node(arg1), node(arg2)])),
            ExprKind::And { left, right } => Self::And(Box::new([node(left), node(right)])),
            ExprKind::Or { left, right } => Self::Or(Box::new([node(left), node(right)])),
            ExprKind::If { test_expr, then_expr, else_expr } => {
                Self::If(Box::new([test_expr, then_expr, else_expr].map(|part| node(part))))
            }
            _ => Self::Beyond,
        }
    }

    fn is_true(&self, view: &View<'_>) -> Option<bool> {
        match self.seen(view)? {
            Seen::Bool(value) => Some(value),
            _ => None,
        }
    }

    fn seen<'a>(&'a self, view: &View<'a>) -> Option<Seen<'a>> {
        let seen = match self {
            Self::Beyond => return None,
            Self::Value(value) => return Seen::of(value),
            Self::Variable(Var::Principal) => Seen::Entity(view.principal.uid),
            Self::Variable(Var::Action) => Seen::Entity(view.action),
            Self::Variable(Var::Resource) => Seen::Entity(view.resource.uid),
            Self::Variable(Var::Context) => Seen::Record(&view.request.context),
            Self::Attribute(of, name) => return Seen::of(of.members(view)?.get(name)?),
            Self::Has(of, names) => Seen::Bool(has(of.members(view)?, names)?),
            Self::Like(of, pattern) => match of.seen(view)? {
                Seen::Text(text) => Seen::Bool(pattern.wildcard_match(text)),
                _ => return None,
            },
            Self::Is(of, name) => match of.seen(view)? {
                Seen::Entity(uid) => Seen::Bool(uid.type_name() == name),
                _ => return None,
            },
            Self::Unary(op, of) => match (op, of.seen(view)?) {
                (UnaryOp::Not, Seen::Bool(value)) => Seen::Bool(!value),
                (UnaryOp::Neg, Seen::Long(value)) => Seen::Long(value.checked_neg()?),
                (UnaryOp::IsEmpty, Seen::Set(elements)) => Seen::Bool(elements.is_empty()),
                _ => return None,
            },
            Self::Binary(op, sides) => {
                let [left, right] = &**sides;
                return binary(*op, left.seen(view)?, right.seen(view)?, view);
            }
            Self::And(sides) | Self::Or(sides) => {
                let [left, right] = &**sides;
                let decided = matches!(self, Self::Or(_));
                Seen::Bool(if left.is_true(view)? == decided { decided } else { right.is_true(view)? })
            }
            Self::If(parts) => {
                let [test, then, otherwise] = &**parts;
                return if test.is_true(view)? { then } else { otherwise }.seen(view);
            }
        };
        Some(seen)
    }

    /// The attributes of the principal or the resource, or the fields of a record.
    fn members<'a>(&'a self, view: &View<'a>) -> Option<&'a Record> {
        match self {
            Self::Variable(Var::Principal) => Some(&view.request.principal.attributes),
            Self::Variable(Var::Resource) => Some(&view.request.resource.attributes),
            _ => match self.seen(view)? {
                Seen::Record(record) => Some(record),
                _ => None,
            },
        }
    }
}

impl<'a> Seen<'a> {
    fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(Self::Bool(*value)),
            Value::Long(value) => Some(Self::Long(*value)),
            Value::String(text) => Some(Self::Text(text)),
            Value::Entity(uid) => Some(Self::Entity(uid)),
            Value::Set(elements) => Some(Self::Set(elements)),
            Value::Record(record) => Some(Self::Record(record)),
            Value::Extension(..) | Value::Raw(_) => None,
        }
    }
}

fn value(literal: &Literal) -> Value {
    match literal {
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Long(value) => Value::Long(*value),
        Literal::String(text) => Value::String(text.clone()),
        Literal::EntityUID(uid) => Value::Entity(uid.as_ref().clone().into()),
    }
}

fn constant(expression: &Expr) -> Option<Value> {
    match expression.expr_kind() {
        ExprKind::Lit(literal) => Some(value(literal)),
        _ => None,
    }
}

fn has(members: &Record, names: &[SmolStr]) -> Option<bool> {
    let (name, deeper) = names.split_first()?;
    match members.get(name) {
        None => Some(false),
        Some(_) if deeper.is_empty() => Some(true),
        Some(Value::Record(record)) => has(record, deeper),
        Some(_) => None,
    }
}

fn binary<'a>(op: BinaryOp, left: Seen<'a>, right: Seen<'a>, view: &View<'_>) -> Option<Seen<'a>> {
    let holds = match (op, left, right) {
        (BinaryOp::Eq, left, right) => equal(left, right)?,
        (BinaryOp::Less, Seen::Long(left), Seen::Long(right)) => left < right,
        (BinaryOp::LessEq, Seen::Long(left), Seen::Long(right)) => left <= right,
        (BinaryOp::Add, Seen::Long(left), Seen::Long(right)) => return left.checked_add(right).map(Seen::Long),
        (BinaryOp::Sub, Seen::Long(left), Seen::Long(right)) => return left.checked_sub(right).map(Seen::Long),
        (BinaryOp::Mul, Seen::Long(left), Seen::Long(right)) => return left.checked_mul(right).map(Seen::Long),
        (BinaryOp::In, Seen::Entity(left), right) => is_in(left, right, view)?,
        (BinaryOp::Contains, Seen::Set(elements), element) => contains(elements, element)?,
        (BinaryOp::ContainsAll, Seen::Set(elements), Seen::Set(others)) => {
            compared(elements, others)?.try_fold(true, |all, found| Some(all & found?))?
        }
        (BinaryOp::ContainsAny, Seen::Set(elements), Seen::Set(others)) => {
            compared(elements, others)?.try_fold(false, |any, found| Some(any | found?))?
        }
        _ => return None,
    };
    Some(Seen::Bool(holds))
}

/// Whether the one has each of the others.
fn compared<'a>(elements: &'a [Value], others: &'a [Value]) -> Option<impl Iterator<Item = Option<bool>> + 'a> {
    let contained = others.iter().map(|other| contains(elements, Seen::of(other)?));
    (elements.len().saturating_mul(others.len()) <= MOST_PAIRS).then_some(contained)
}

fn contains(elements: &[Value], element: Seen<'_>) -> Option<bool> {
    elements.iter().try_fold(false, |any, found| Some(any | equal(Seen::of(found)?, element)?))
}

/// Values of different types are not equal.
fn equal(left: Seen<'_>, right: Seen<'_>) -> Option<bool> {
    match (left, right) {
        (Seen::Bool(left), Seen::Bool(right)) => Some(left == right),
        (Seen::Long(left), Seen::Long(right)) => Some(left == right),
        (Seen::Text(left), Seen::Text(right)) => Some(left == right),
        (Seen::Entity(left), Seen::Entity(right)) => Some(left == right),
        (Seen::Set(_) | Seen::Record(_), _) | (_, Seen::Set(_) | Seen::Record(_)) => None,
        _ => Some(false),
    }
}

/// Whether an entity is that one or one of those, or is below it.
fn is_in(left: &EntityUid, right: Seen<'_>, view: &View<'_>) -> Option<bool> {
    let own = [view.principal, view.resource].into_iter().find(|side| side.uid == left);
    let of_another;
    let ancestors = match own {
        Some(side) => &side.ancestors,
        // What actions are in stands in the schema.
        None if is_action(left) => return None,
        None => {
            of_another = view.hierarchy.ancestors(left);
            &of_another
        }
    };
    let is_in = |uid: &EntityUid| uid == left || ancestors.contains(uid);
    match right {
        Seen::Entity(uid) => Some(is_in(uid)),
        Seen::Set(elements) => elements.iter().try_fold(false, |any, element| match element {
            Value::Entity(uid) => Some(any || is_in(uid)),
            _ => None,
        }),
        _ => None,
    }
}
