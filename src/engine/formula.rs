//! What must hold for a policy to apply: the parts of its scope and of its conditions, and the formula that they make.

use cedar_policy::{EvalResult, Policy};
use cedar_policy_core::ast::{Expr, ExprKind, Literal, UnaryOp};
use cedar_policy_core::parser::Loc;
use miette::SourceSpan;

use super::cedar::Evaluator;
use crate::store::{SourceFile, Statement};

/// The condition of a policy: expressions without `&&`, `||` and `!`, and how these join them.
#[derive(Clone, Debug)]
pub struct Formula {
    /// In the order in which they are written.
    pub atoms: Vec<Atom>,
    tree: Tree,
}

/// An expression that is true or false, and of which no part is either by itself.
#[derive(Clone, Debug)]
pub struct Atom {
    /// As it is written.
    pub text: String,
    /// Where it stands in the file; of the scope, where the entity stands that it names.
    pub span: Option<SourceSpan>,
    expression: Expr,
}

#[derive(Clone, Debug)]
enum Tree {
    Atom {
        index: usize,
        negated: bool,
    },
    /// A conjunction, or a disjunction, of at least one.
    Joined {
        all: bool,
        children: Vec<Tree>,
    },
}

impl Formula {
    /// The condition of a policy, but for the action and the types in its scope: where they are others, it is not asked.
    pub fn of(statement: &Statement) -> Self {
        let mut atoms = Vec::new();
        let parts = parts(&statement.policy).into_iter();
        let children = parts.map(|part| part.tree(&part.expression, part.negated, &statement.file, &mut atoms));
        let tree = Tree::Joined { all: true, children: children.collect() };
        Self { atoms, tree }
    }

    /// Whether it holds, if each atom has that value; `None` where the values that are missing could make a difference (in
    /// Kleene's logic of three values).
    pub fn holds(&self, values: &[Option<bool>]) -> Option<bool> {
        self.tree.holds(values)
    }

    /// What each atom is for a request; `None` where it cannot be evaluated.
    pub(super) fn values(&self, evaluator: &Evaluator<'_>) -> Vec<Option<bool>> {
        let value = |atom: &Atom| match evaluator.value(&atom.expression) {
            Ok(EvalResult::Bool(value)) => Some(value),
            _ => None,
        };
        self.atoms.iter().map(value).collect()
    }
}

impl Tree {
    fn holds(&self, values: &[Option<bool>]) -> Option<bool> {
        match self {
            Self::Atom { index, negated } => values.get(*index).copied().flatten().map(|value| value != *negated),
            Self::Joined { all, children } => {
                let found = || children.iter().map(|child| child.holds(values));
                match found().any(|value| value == Some(!all)) {
                    true => Some(!all),
                    false => found().all(|value| value.is_some()).then_some(*all),
                }
            }
        }
    }
}

/// A part of a policy that must hold: of those that `&&` joins, one.
#[derive(Debug)]
pub struct Part {
    pub(super) expression: Expr,
    /// Whether it must not hold, because it stands in an `unless` or behind a `!`.
    pub negated: bool,
    in_scope: bool,
}

/// The parts of a policy, in the order in which they are evaluated: what the scope asks for beyond the action and types, then
/// every part of the conditions that `&&` joins.
pub fn parts(policy: &Policy) -> Vec<Part> {
    let template = policy.as_ref().template();
    let mut parts = Vec::new();
    // The action and the types of principal and resource are those of the policy, or it would not have been asked.
    for expression in [template.principal_constraint().as_expr(), template.resource_constraint().as_expr()] {
        let mut own = Vec::new();
        split(&expression, false, &mut own);
        own.retain(|(expression, _)| !matches!(expression.expr_kind(), ExprKind::Lit(_) | ExprKind::Is { .. }));
        parts.extend(own.into_iter().map(|(expression, negated)| Part { expression, negated, in_scope: true }));
    }
    if let Some(conditions) = template.non_scope_constraints() {
        let mut own = Vec::new();
        split(conditions, false, &mut own);
        parts.extend(own.into_iter().map(|(expression, negated)| Part { expression, negated, in_scope: false }));
    }
    parts
}

/// The parts of an expression that must all hold (or, negated, must none of them hold).
fn split(expression: &Expr, negated: bool, parts: &mut Vec<(Expr, bool)>) {
    match joined(expression, negated) {
        Some((true, sides)) => sides.into_iter().for_each(|side| split(side, negated, parts)),
        Some((false, _)) => parts.push((expression.clone(), negated)),
        None => match negation(expression) {
            Some(inner) => split(inner, !negated, parts),
            None => parts.push((expression.clone(), negated)),
        },
    }
}

/// The two sides of a conjunction or disjunction, and whether both must hold (or, negated, both must not).
fn joined(expression: &Expr, negated: bool) -> Option<(bool, [&Expr; 2])> {
    match expression.expr_kind() {
        ExprKind::And { left, right } => Some((!negated, [left, right])),
        ExprKind::Or { left, right } => Some((negated, [left, right])),
        _ => None,
    }
}

/// What is negated. Cedar reads `a >= b` as `!(a < b)`, which then stands in the same place: that is none.
fn negation(expression: &Expr) -> Option<&Expr> {
    match expression.expr_kind() {
        ExprKind::UnaryApp { op: UnaryOp::Not, arg } if arg.source_loc() != expression.source_loc() => Some(arg),
        _ => None,
    }
}

impl Part {
    /// What must hold, as a Cedar expression.
    pub fn as_cedar(&self) -> String {
        if self.negated { format!("!({})", self.expression) } else { self.expression.to_string() }
    }

    /// Whether it stands in the conditions of the policy, and not in its scope.
    pub fn in_conditions(&self) -> bool {
        !self.in_scope
    }

    fn tree(&self, expression: &Expr, negated: bool, file: &SourceFile, atoms: &mut Vec<Atom>) -> Tree {
        if let Some((all, sides)) = joined(expression, negated) {
            let children = sides.map(|side| self.tree(side, negated, file, atoms)).into();
            return Tree::Joined { all, children };
        }
        if let Some(inner) = negation(expression) {
            return self.tree(inner, !negated, file, atoms);
        }
        let (span, text) = self.place_of(expression, file);
        atoms.push(Atom { text, span, expression: expression.clone() });
        Tree::Atom { index: atoms.len() - 1, negated }
    }

    /// Where it stands in the file, and how it is written there, in one line.
    pub fn written(&self, file: &SourceFile) -> (Option<SourceSpan>, String) {
        self.place_of(&self.expression, file)
    }

    /// Where an expression of this part stands, and how it is written there, in one line.
    fn place_of(&self, expression: &Expr, file: &SourceFile) -> (Option<SourceSpan>, String) {
        let location = if self.in_scope { named_at(expression) } else { expression.source_loc() };
        let span = location.map(|location| location.span);
        let text = span.filter(|_| !self.in_scope);
        let text = text.and_then(|span| file.text.get(span.offset()..span.offset() + span.len()));
        let text =
            text.map_or_else(|| expression.to_string(), |text| text.split_whitespace().collect::<Vec<_>>().join(" "));
        (span, text)
    }
}

/// What a scope asks for stands nowhere of its own, but the entity that it names does.
fn named_at(expression: &Expr) -> Option<&Loc> {
    let ExprKind::BinaryApp { arg2, .. } = expression.expr_kind() else { return None };
    match arg2.expr_kind() {
        ExprKind::Lit(Literal::EntityUID(uid)) => uid.loc(),
        _ => None,
    }
}
