//! Explanations: which conditions of a policy held for a request and which did not, and the values that they saw.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::EvalResult;
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Var};
use miette::SourceSpan;

use super::PolicyNote;
use super::cedar::Evaluator;
use super::formula::{Part, parts};
use crate::store::masks::Sensitive;
use crate::store::{SourceFile, Statement};

/// A policy, condition by condition, for one request.
#[derive(Clone, Debug)]
pub struct Explained {
    /// What there is to say about the policy.
    pub note: Arc<PolicyNote>,
    /// The file in which it stands.
    pub file: SourceFile,
    /// What must hold for it to apply, in the order in which it is written: what the scope asks for beyond the action and types,
    /// then every part of the conditions that `&&` joins.
    pub conditions: Vec<Condition>,
}

/// One thing that must hold for a policy to apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// As it is written; after `not` where it stands in an `unless`.
    pub text: String,
    /// Where it stands in the file; of the scope, where the entity stands that it names.
    pub span: Option<SourceSpan>,
    /// What came of it.
    pub outcome: ConditionOutcome,
    /// What it read, and the value that was there; `None` where nothing was.
    pub saw: Vec<(String, Option<String>)>,
}

/// What came of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConditionOutcome {
    /// It holds.
    Held,
    /// It does not hold.
    Failed,
    /// It cannot be evaluated, and was not asked, because one before it does not hold.
    Unreached,
    /// It cannot be evaluated, for this reason.
    Error(String),
}

impl Condition {
    /// The values that it saw, in words; empty where it read none.
    pub fn saw_in_words(&self) -> String {
        let saw = self.saw.iter().map(|(path, value)| match value {
            Some(value) => format!("{path} is {value}"),
            None => format!("{path} is absent"),
        });
        saw.collect::<Vec<_>>().join(", ")
    }
}

impl Explained {
    /// What is `sensitive` is not shown, but for that it is there.
    pub(super) fn new(
        note: Arc<PolicyNote>,
        statement: &Statement,
        evaluator: &Evaluator<'_>,
        sensitive: &Sensitive,
    ) -> Self {
        let mut failed = false;
        let conditions = parts(&statement.policy).into_iter().map(|part| {
            let mut condition = part.examined(&statement.file, evaluator, sensitive);
            if failed && matches!(condition.outcome, ConditionOutcome::Error(_)) {
                condition.outcome = ConditionOutcome::Unreached;
                condition.saw.clear();
            }
            failed |= condition.outcome != ConditionOutcome::Held;
            condition
        });
        Self { note, file: statement.file.clone(), conditions: conditions.collect() }
    }

    /// How many of the conditions do not hold, or were not asked.
    pub fn distance(&self) -> usize {
        self.conditions.iter().filter(|condition| condition.outcome != ConditionOutcome::Held).count()
    }

    /// The conditions that do not hold.
    pub fn failing(&self) -> impl Iterator<Item = &Condition> {
        self.conditions
            .iter()
            .filter(|condition| matches!(condition.outcome, ConditionOutcome::Failed | ConditionOutcome::Error(_)))
    }
}

impl Part {
    fn examined(self, file: &SourceFile, evaluator: &Evaluator<'_>, sensitive: &Sensitive) -> Condition {
        let (span, text) = self.written(file);
        let outcome = match value_of(&self.expression, evaluator) {
            Ok(EvalResult::Bool(value)) if value != self.negated => ConditionOutcome::Held,
            Ok(_) => ConditionOutcome::Failed,
            // Cedar's message may quote what it was evaluated on.
            Err(_) if reads_sensitive(&self.expression, sensitive) => {
                ConditionOutcome::Error("it cannot be evaluated on what is masked".to_owned())
            }
            Err(error) => ConditionOutcome::Error(error),
        };
        let mut paths = Vec::new();
        read_by(&self.expression, &mut paths);
        let mut seen = BTreeSet::new();
        let saw = paths.into_iter().filter(|path| seen.insert(path.to_string())).take(MOST_VALUES);
        let shown = |path: &Expr, value: EvalResult| match reads_sensitive(path, sensitive) || holds(&value, sensitive)
        {
            true => MASKED.to_owned(),
            false => shortened(&value.to_string()),
        };
        let saw = saw.map(|path| (path.to_string(), value_of(path, evaluator).ok().map(|value| shown(path, value))));
        let joined = matches!(self.expression.expr_kind(), ExprKind::And { .. } | ExprKind::Or { .. });
        let text = match (self.negated, joined) {
            (true, true) => format!("not ({text})"),
            (true, false) => format!("not {text}"),
            (false, _) => text,
        };
        Condition { text, span, outcome, saw: saw.collect() }
    }
}

/// What is said of a value that is not shown.
const MASKED: &str = "something that is masked";

/// Whether an expression reads something of a name that is sensitive.
pub(super) fn reads_sensitive(expression: &Expr, sensitive: &Sensitive) -> bool {
    !sensitive.is_empty()
        && expression.subexpressions().any(|part| match part.expr_kind() {
            ExprKind::GetAttr { attr, .. } => sensitive.has(attr),
            _ => false,
        })
}

/// Whether something in a value has such a name.
fn holds(value: &EvalResult, sensitive: &Sensitive) -> bool {
    match value {
        EvalResult::Record(record) => record.iter().any(|(name, value)| sensitive.has(name) || holds(value, sensitive)),
        EvalResult::Set(elements) => elements.iter().any(|element| holds(element, sensitive)),
        _ => false,
    }
}

/// So many values are shown for a condition, and so many characters of each.
const MOST_VALUES: usize = 6;
const MOST_CHARACTERS: usize = 120;

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn value_of(expression: &Expr, evaluator: &Evaluator<'_>) -> Result<EvalResult, String> {
    evaluator.value(expression).map_err(|error| error.to_string())
}

/// What an expression reads: the longest paths, and the principal and the resource where they are compared themselves.
fn read_by<'a>(expression: &'a Expr, paths: &mut Vec<&'a Expr>) {
    match expression.expr_kind() {
        ExprKind::Var(Var::Principal | Var::Resource) => paths.push(expression),
        ExprKind::GetAttr { expr, .. } if is_path(expr) => paths.push(expression),
        ExprKind::BinaryApp { op: BinaryOp::GetTag, arg1, .. } if is_path(arg1) => paths.push(expression),
        // That something is there or not says the condition itself.
        ExprKind::HasAttr { expr, .. } | ExprKind::ExtHasAttr { expr, .. } if is_path(expr) => {}
        ExprKind::BinaryApp { op: BinaryOp::HasTag, arg1, .. } if is_path(arg1) => {}
        ExprKind::Is { expr, .. } if is_path(expr) => paths.push(expr),
        ExprKind::If { test_expr, then_expr, else_expr } => {
            [test_expr, then_expr, else_expr].into_iter().for_each(|part| read_by(part, paths))
        }
        ExprKind::And { left, right } | ExprKind::Or { left, right } => {
            [left, right].into_iter().for_each(|part| read_by(part, paths))
        }
        ExprKind::BinaryApp { arg1, arg2, .. } => [arg1, arg2].into_iter().for_each(|part| read_by(part, paths)),
        ExprKind::UnaryApp { arg, .. } => read_by(arg, paths),
        ExprKind::ExtensionFunctionApp { args, .. } => args.iter().for_each(|part| read_by(part, paths)),
        ExprKind::GetAttr { expr, .. } | ExprKind::HasAttr { expr, .. } | ExprKind::Like { expr, .. } => {
            read_by(expr, paths)
        }
        ExprKind::Set(elements) => elements.iter().for_each(|part| read_by(part, paths)),
        ExprKind::Record(fields) => fields.values().for_each(|part| read_by(part, paths)),
        _ => {}
    }
}

fn is_path(expression: &Expr) -> bool {
    match expression.expr_kind() {
        ExprKind::Var(_) => true,
        ExprKind::GetAttr { expr, .. } => is_path(expr),
        ExprKind::BinaryApp { op: BinaryOp::GetTag, arg1, .. } => is_path(arg1),
        _ => false,
    }
}
