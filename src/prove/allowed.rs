//! What a revision allows in an environment, as one condition that the solver is asked about.

use cedar_policy::{Effect, Policy};
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, UnaryOp};
use cedar_policy_symcc::CompiledPolicy;

use super::shared::{Half, Shared};
use super::solver::Asker;
use super::unsupported;
use super::view::View;
use crate::store::policy;

/// The requests of one environment of a revision, in the schema that it shares with another.
pub(super) struct Side<'a> {
    shared: &'a Shared,
    view: View<'a>,
}

/// A policy as its revision reads it.
pub(super) struct Read {
    effect: Effect,
    condition: Expr,
    can_fail: bool,
}

impl<'a> Side<'a> {
    /// The older or the newer of two revisions.
    pub(super) fn new(shared: &'a Shared, own: Half<'a>, other: Half<'a>, is_old: bool) -> Self {
        Self { shared, view: View::new(own, other, is_old) }
    }

    /// A policy, and whether it can fail.
    pub(super) fn read(&self, asker: &mut Asker<'_>, policy: &Policy) -> Result<Read, String> {
        let condition = self.view.policy(policy)?;
        let in_policy = |why| format!("`{}`: {why}", policy.id());
        let can_fail = has_what_fails(&condition) && {
            let compiled = self.compiled(&condition).map_err(in_policy)?;
            !asker.ask(async |compiler| compiler.check_never_errors_opt(&compiled).await)?
        };
        Ok(Read { effect: policy.effect(), condition, can_fail })
    }

    /// The requests that are allowed by these policies: where one of them fails, nothing is.
    pub(super) fn allowed<'r>(
        &self,
        policies: impl Iterator<Item = &'r Read> + Clone,
    ) -> Result<CompiledPolicy, String> {
        let of = |effect: Effect| {
            let own = policies.clone().filter(move |policy| policy.effect == effect);
            any(own.map(|policy| policy.condition.to_string()))
        };
        let mut conditions = vec![self.known()?];
        conditions.extend(policies.clone().filter(|policy| policy.can_fail).map(Read::evaluated));
        conditions.extend([of(Effect::Permit), format!("!({})", of(Effect::Forbid))]);
        self.compiled_text(&conditions)
    }

    /// The requests that a policy matches, whatever the others say.
    pub(super) fn matched(&self, policy: &Read) -> Result<CompiledPolicy, String> {
        self.compiled_text(&[self.known()?, policy.condition.to_string()])
    }

    /// The requests of which these conditions of its policies hold, one after the other.
    pub(super) fn holding(&self, conditions: &[String]) -> Result<CompiledPolicy, String> {
        let mut all = vec![self.known()?];
        for condition in conditions {
            let parsed = policy::permit_when(condition)?;
            let condition = parsed.as_ref().non_scope_constraints().ok_or("a condition says nothing")?;
            all.push(self.view.condition(condition)?.to_string());
        }
        self.compiled_text(&all)
    }

    /// The requests that this revision has.
    pub(super) fn known(&self) -> Result<String, String> {
        self.view.known().map(|known| known.to_string())
    }

    fn compiled(&self, condition: &Expr) -> Result<CompiledPolicy, String> {
        self.compiled_text(&[condition.to_string()])
    }

    pub(super) fn compiled_text(&self, conditions: &[String]) -> Result<CompiledPolicy, String> {
        let all: Vec<String> = conditions.iter().map(|condition| format!("({condition})")).collect();
        let policy = policy::permit_when(&all.join(" && "))?;
        CompiledPolicy::compile(&policy, &self.shared.request, &self.shared.schema).map_err(unsupported)
    }
}

impl Read {
    /// True wherever the policy can be evaluated.
    fn evaluated(&self) -> String {
        format!("({0}) == ({0})", self.condition)
    }
}

fn any(conditions: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = conditions.map(|condition| format!("({condition})")).collect();
    if all.is_empty() { "false".to_owned() } else { all.join(" || ") }
}

/// Whether there is anything in it that can fail, where what is optional is asked for first, as Cedar's own check sees to.
fn has_what_fails(condition: &Expr) -> bool {
    condition.subexpressions().any(|part| match part.expr_kind() {
        ExprKind::BinaryApp { op, .. } => matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul),
        ExprKind::UnaryApp { op, .. } => *op == UnaryOp::Neg,
        ExprKind::ExtensionFunctionApp { .. } => true,
        _ => false,
    })
}
