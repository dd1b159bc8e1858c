//! What a search can tell of a candidate without deciding on it.
//!
//! A search asks the same question of many entities. What its policies say about everything but the candidate is evaluated once;
//! what is left reads the candidate's attributes where they are stored. Most candidates are told apart by that.
//!
//! # Why nothing is lost
//!
//! A [`Test`] is evaluated in Kleene's three values. `Some(b)` says of the expression that, *if it evaluates without an error*, it
//! evaluates to `b`; `None` says nothing. Every way in which tests are joined keeps that: where Cedar's `&&`, `||`, `!` and `if` give
//! `!b`, they evaluated some part to what this excludes. So a `permit` whose condition is `Some(false)` is not satisfied, and a
//! `forbid` whose condition is `Some(true)` is satisfied or fails, which denies either way. A candidate is passed over only where no
//! `permit` is left or such a `forbid` is there: deciding on it would have been a deny. All others are decided.
//!
//! Where the candidate is also the other entity of the request, its attributes are what the caller says of that one: it is never
//! passed over. Where the caller says something of the candidates themselves, nothing is ([`Filter::none`]).

use cedar_policy::{EntityId, EntityTypeName, EntityUid, EvalResult};
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Pattern, UnaryOp, Var};
use smol_str::SmolStr;

use super::cedar::Evaluator;
use super::formula::parts;
use super::index::is_action;
use crate::request::stored::{Ancestors, Packed, PackedEntity, Slots, StoredEntities, Table};
use crate::store::Statement;
use crate::store::schema::{RecordShape, Shape};

/// Tells which candidates of a search can be allowed at all.
#[derive(Debug, Default)]
pub(super) struct Filter {
    permits: Vec<Test>,
    forbids: Vec<Test>,
    /// Whether every candidate is let through.
    open: bool,
}

/// A candidate: its id, and what is stored of it.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) table: &'a Table,
    pub(super) id: &'a str,
    pub(super) entity: &'a PackedEntity,
}

/// A condition on a candidate.
#[derive(Debug)]
enum Test {
    Known(bool),
    Unknown,
    Not(Box<Test>),
    All(Vec<Test>),
    Any(Vec<Test>),
    /// The first, and what it is otherwise.
    If(Box<[Test; 3]>),
    Holds(Path),
    Present(Path),
    Equal(Operand, Operand),
    /// Whether the first is less than the second, or may be equal too.
    Less {
        sides: [Operand; 2],
        or_equal: bool,
    },
    Like(Path, Pattern),
    /// The first is one of the second, or below one of them.
    In(Operand, Operand),
    /// The first, a set, has the second.
    Contains(Operand, Operand),
}

/// What a test reads.
#[derive(Debug)]
enum Operand {
    Candidate,
    Path(Path),
    Constant(Constant),
    /// It could not be evaluated, so what reads it cannot either.
    Failed,
}

/// The way to a value among the packed attributes, and its shape.
#[derive(Debug)]
struct Path {
    slots: Vec<usize>,
    shape: Shape,
}

/// A value that does not depend on the candidate.
#[derive(Debug)]
enum Constant {
    Bool(bool),
    Long(i64),
    String(SmolStr),
    /// With everything that it is in, itself included.
    Entity(EntityUid, Ancestors),
    Set(Vec<Constant>),
    /// A record, or a value of an extension type.
    Other,
}

/// A value as a test sees it.
#[derive(Clone, Copy)]
enum Seen<'a> {
    /// It is not there: whoever reads it fails.
    Absent,
    Bool(bool),
    Long(i64),
    String(&'a str),
    Entity(&'a EntityTypeName, &'a str),
    /// A set of a candidate, and the shape of its elements.
    Packed(Slots<'a>, &'a Shape),
    Constants(&'a [Constant]),
    Other,
}

/// Makes the tests of a search.
pub(super) struct Reader<'a> {
    /// The request, with a candidate that stands for all.
    pub(super) evaluator: &'a Evaluator<'a>,
    /// The candidate: `principal` or `resource`.
    pub(super) target: Var,
    /// The attributes of the candidates.
    pub(super) shape: &'a RecordShape,
    /// Whether what a plugin reads in the context depends on the candidate.
    pub(super) context_varies: bool,
    pub(super) stored: &'a StoredEntities,
}

impl Filter {
    /// The filter that lets every candidate through.
    pub(super) fn none() -> Self {
        Self { open: true, ..Self::default() }
    }

    /// The filter for these policies, which are all that can apply.
    pub(super) fn new<'s>(policies: impl IntoIterator<Item = &'s Statement>, reader: &Reader<'_>) -> Self {
        let mut filter = Self::default();
        for policy in policies {
            let condition = reader.condition(policy);
            match (policy.permits(), &condition) {
                (_, Test::Known(false)) | (false, Test::Unknown) => {}
                (true, _) => filter.permits.push(condition),
                (false, _) => filter.forbids.push(condition),
            }
        }
        filter
    }

    /// Whether a candidate may be allowed; where not, it is not.
    pub(super) fn may_allow(&self, candidate: Candidate<'_>, stored: &StoredEntities) -> bool {
        let holds = |test: &Test| test.holds(candidate, stored);
        self.open
            || self.permits.iter().any(|test| holds(test) != Some(false))
                && !self.forbids.iter().any(|test| holds(test) == Some(true))
    }
}

impl Reader<'_> {
    fn condition(&self, policy: &Statement) -> Test {
        let parts = parts(&policy.policy);
        let tests = parts.iter().map(|part| match part.negated {
            true => negation(self.test(&part.expression)),
            false => self.test(&part.expression),
        });
        joined(true, tests)
    }

    fn test(&self, expression: &Expr) -> Test {
        if !self.varies(expression) {
            return Test::Known(matches!(self.evaluated(expression), Some(EvalResult::Bool(true))));
        }
        match expression.expr_kind() {
            ExprKind::And { left, right } => joined(true, [left, right].into_iter().map(|side| self.test(side))),
            ExprKind::Or { left, right } => joined(false, [left, right].into_iter().map(|side| self.test(side))),
            ExprKind::UnaryApp { op: UnaryOp::Not, arg } => negation(self.test(arg)),
            ExprKind::If { test_expr, then_expr, else_expr } => {
                Test::If(Box::new([test_expr, then_expr, else_expr].map(|part| self.test(part))))
            }
            ExprKind::HasAttr { expr, attr } => self.present(expr, [attr]),
            ExprKind::ExtHasAttr { expr, attrs } => self.present(expr, attrs),
            ExprKind::Like { expr, pattern } => match self.operand(expr) {
                Some(Operand::Path(path)) => Test::Like(path, pattern.clone()),
                _ => Test::Unknown,
            },
            ExprKind::GetAttr { .. } => match self.operand(expression) {
                Some(Operand::Path(path)) => Test::Holds(path),
                _ => Test::Unknown,
            },
            ExprKind::BinaryApp { op, arg1, arg2 } => match (self.operand(arg1), self.operand(arg2)) {
                (Some(left), Some(right)) => compared(*op, left, right),
                _ => Test::Unknown,
            },
            _ => Test::Unknown,
        }
    }

    fn present<'n>(&self, of: &Expr, names: impl IntoIterator<Item = &'n SmolStr>) -> Test {
        let path = names.into_iter().try_fold(self.operand(of), |operand, name| Some(self.attribute(operand?, name)));
        match path.flatten() {
            Some(Operand::Path(path)) => Test::Present(path),
            _ => Test::Unknown,
        }
    }

    fn operand(&self, expression: &Expr) -> Option<Operand> {
        if !self.varies(expression) {
            let value = self.evaluated(expression);
            return Some(value.map_or(Operand::Failed, |value| Operand::Constant(Constant::new(value, self.stored))));
        }
        match expression.expr_kind() {
            ExprKind::Var(variable) if *variable == self.target => Some(Operand::Candidate),
            ExprKind::GetAttr { expr, attr } => self.attribute(self.operand(expr)?, attr),
            _ => None,
        }
    }

    /// The attribute of that name; `None` where it is not one of the candidate's own.
    fn attribute(&self, of: Operand, name: &str) -> Option<Operand> {
        // Behind a raw string stand its facts.
        let (shape, mut slots, before) = match of {
            Operand::Candidate => (self.shape.clone(), Vec::new(), 0),
            Operand::Path(Path { slots, shape: Shape::Record(record) }) => (record, slots, 0),
            Operand::Path(Path { slots, shape: Shape::Parsed(parsed) }) => (parsed.facts, slots, 1),
            _ => return None,
        };
        let place = shape.0.keys().position(|key| key == name)?;
        slots.push(before + place);
        Some(Operand::Path(Path { slots, shape: shape.0.get(name)?.shape.clone() }))
    }

    /// Whether the value can depend on the candidate.
    fn varies(&self, expression: &Expr) -> bool {
        expression.subexpressions().any(|part| match part.expr_kind() {
            ExprKind::Var(variable) => *variable == self.target || (*variable == Var::Context && self.context_varies),
            _ => false,
        })
    }

    fn evaluated(&self, expression: &Expr) -> Option<EvalResult> {
        self.evaluator.value(expression).ok()
    }
}

/// All of the tests, or any of them.
fn joined(all: bool, tests: impl IntoIterator<Item = Test>) -> Test {
    let mut kept = Vec::new();
    for test in tests {
        match test {
            Test::Known(value) if value == all => {}
            Test::Known(value) => return Test::Known(value),
            test => kept.push(test),
        }
    }
    match kept.len() {
        0 => Test::Known(all),
        1 => kept.pop().unwrap_or(Test::Unknown),
        _ if all => Test::All(kept),
        _ => Test::Any(kept),
    }
}

fn negation(test: Test) -> Test {
    match test {
        Test::Known(value) => Test::Known(!value),
        test => Test::Not(Box::new(test)),
    }
}

fn compared(op: BinaryOp, left: Operand, right: Operand) -> Test {
    match op {
        _ if matches!((&left, &right), (Operand::Failed, _) | (_, Operand::Failed)) => Test::Known(false),
        BinaryOp::Eq => Test::Equal(left, right),
        BinaryOp::Less => Test::Less { sides: [left, right], or_equal: false },
        BinaryOp::LessEq => Test::Less { sides: [left, right], or_equal: true },
        BinaryOp::In if left.is_action() => Test::Unknown,
        BinaryOp::In => Test::In(left, right),
        BinaryOp::Contains => Test::Contains(left, right),
        _ => Test::Unknown,
    }
}

impl Test {
    /// `Some(b)`: if it evaluates without an error, it evaluates to `b`.
    fn holds(&self, candidate: Candidate<'_>, stored: &StoredEntities) -> Option<bool> {
        match self {
            Self::Known(value) => Some(*value),
            Self::Unknown => None,
            Self::Not(test) => test.holds(candidate, stored).map(|value| !value),
            Self::All(tests) => all_hold(true, tests, candidate, stored),
            Self::Any(tests) => all_hold(false, tests, candidate, stored),
            Self::If(parts) => {
                let [test, then, otherwise] = &**parts;
                match test.holds(candidate, stored) {
                    Some(true) => then.holds(candidate, stored),
                    Some(false) => otherwise.holds(candidate, stored),
                    None => None,
                }
            }
            Self::Holds(path) => match path.seen(candidate) {
                Seen::Bool(value) => Some(value),
                Seen::Absent => Some(false),
                _ => None,
            },
            Self::Present(path) => Some(!matches!(path.seen(candidate), Seen::Absent)),
            Self::Like(path, pattern) => match path.seen(candidate) {
                Seen::String(text) => Some(pattern.wildcard_match(text)),
                Seen::Absent => Some(false),
                _ => None,
            },
            Self::Equal(left, right) => equal(left.seen(candidate), right.seen(candidate)),
            Self::Less { sides: [left, right], or_equal } => match (left.seen(candidate), right.seen(candidate)) {
                (Seen::Long(left), Seen::Long(right)) => Some(left < right || (*or_equal && left == right)),
                (Seen::Absent, _) | (_, Seen::Absent) => Some(false),
                _ => None,
            },
            Self::In(left, right) => {
                let above = |uid: &EntityUid| is_any(uid, right.seen(candidate));
                match left {
                    Operand::Constant(Constant::Entity(_, above_it)) => any(above_it.iter().map(above)),
                    _ => match left.seen(candidate) {
                        Seen::Entity(name, id) => {
                            let uid = EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id));
                            any(stored.ancestors(&uid).iter().chain([&uid]).map(above))
                        }
                        Seen::Absent => Some(false),
                        _ => None,
                    },
                }
            }
            Self::Contains(set, element) => has(set.seen(candidate), element.seen(candidate)),
        }
    }
}

/// Whether all hold, or, where `all` is false, any.
fn all_hold(all: bool, tests: &[Test], candidate: Candidate<'_>, stored: &StoredEntities) -> Option<bool> {
    let mut decided = Some(all);
    for test in tests {
        match test.holds(candidate, stored) {
            Some(value) if value == all => {}
            Some(value) => return Some(value),
            None => decided = None,
        }
    }
    decided
}

fn any(mut found: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut decided = Some(false);
    match found.any(|value| {
        if value.is_none() {
            decided = None;
        }
        value == Some(true)
    }) {
        true => Some(true),
        false => decided,
    }
}

fn equal(left: Seen<'_>, right: Seen<'_>) -> Option<bool> {
    match (left, right) {
        (Seen::Absent, _) | (_, Seen::Absent) => Some(false),
        (Seen::Bool(left), Seen::Bool(right)) => Some(left == right),
        (Seen::Long(left), Seen::Long(right)) => Some(left == right),
        (Seen::String(left), Seen::String(right)) => Some(left == right),
        (Seen::Entity(left_type, left), Seen::Entity(right_type, right)) => {
            Some(left == right && left_type == right_type)
        }
        _ => None,
    }
}

/// Whether the entity is that one, or one of that set.
fn is_any(uid: &EntityUid, right: Seen<'_>) -> Option<bool> {
    let entity = Seen::Entity(uid.type_name(), uid.id().as_ref());
    match right {
        Seen::Packed(..) | Seen::Constants(_) => has(right, entity),
        _ => equal(entity, right),
    }
}

fn has(set: Seen<'_>, element: Seen<'_>) -> Option<bool> {
    match set {
        Seen::Packed(elements, shape) => any(elements.iter().map(|found| equal(packed(found, shape), element))),
        Seen::Constants(elements) => any(elements.iter().map(|found| equal(found.seen(), element))),
        Seen::Absent => Some(false),
        _ => None,
    }
}

impl Operand {
    /// Whether it is an action: what that is in, the schema says, and not the store.
    fn is_action(&self) -> bool {
        match self {
            Self::Path(Path { shape: Shape::Entity(name), .. }) => name.basename() == "Action",
            Self::Constant(Constant::Entity(uid, _)) => is_action(uid),
            _ => false,
        }
    }

    fn seen<'a>(&'a self, candidate: Candidate<'a>) -> Seen<'a> {
        match self {
            Self::Candidate => Seen::Entity(&candidate.table.entity_type.name, candidate.id),
            Self::Path(path) => path.seen(candidate),
            Self::Constant(constant) => constant.seen(),
            Self::Failed => Seen::Absent,
        }
    }
}

impl Path {
    fn seen<'a>(&'a self, candidate: Candidate<'a>) -> Seen<'a> {
        let mut fields = candidate.entity.attributes();
        let Some((last, before)) = self.slots.split_last() else { return Seen::Other };
        for slot in before {
            match fields.get(*slot) {
                Packed::Many(inner) => fields = inner,
                _ => return Seen::Absent,
            }
        }
        packed(fields.get(*last), &self.shape)
    }
}

fn packed<'a>(value: Packed<'a>, shape: &'a Shape) -> Seen<'a> {
    match (value, shape) {
        (Packed::Absent, _) => Seen::Absent,
        (Packed::Bool(value), _) => Seen::Bool(value),
        (Packed::Long(value), _) => Seen::Long(value),
        (Packed::Text(text), Shape::String) => Seen::String(text),
        (Packed::Text(id), Shape::Entity(name)) => Seen::Entity(name, id),
        (Packed::Many(elements), Shape::Set(element)) => Seen::Packed(elements, element),
        _ => Seen::Other,
    }
}

impl Constant {
    fn new(value: EvalResult, stored: &StoredEntities) -> Self {
        match value {
            EvalResult::Bool(value) => Self::Bool(value),
            EvalResult::Long(value) => Self::Long(value),
            EvalResult::String(text) => Self::String(text.into()),
            EvalResult::EntityUid(uid) => {
                let mut above = stored.ancestors(&uid);
                above.insert(uid.clone());
                Self::Entity(uid, above)
            }
            EvalResult::Set(elements) => {
                Self::Set(elements.iter().map(|element| Self::new(element.clone(), stored)).collect())
            }
            EvalResult::Record(_) | EvalResult::ExtensionValue(_) => Self::Other,
        }
    }

    fn seen(&self) -> Seen<'_> {
        match self {
            Self::Bool(value) => Seen::Bool(*value),
            Self::Long(value) => Seen::Long(*value),
            Self::String(text) => Seen::String(text),
            Self::Entity(uid, _) => Seen::Entity(uid.type_name(), uid.id().as_ref()),
            Self::Set(elements) => Seen::Constants(elements),
            Self::Other => Seen::Other,
        }
    }
}
