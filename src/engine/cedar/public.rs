//! By Cedar's public functions alone.

use cedar_policy::{
    AuthorizationError, Authorizer, Entities, EntityUid, EvalResult, Expression, Policy, PolicySet, Request,
    eval_expression,
};
use cedar_policy_core::ast::Expr;
use cedar_policy_core::evaluator::EvaluationError;

use crate::request::stored::Ancestors;
use crate::request::value::{Record, to_cedar};

/// An entity with its values.
pub(in crate::engine) type Entity = cedar_policy::Entity;

/// The values of a context.
pub(in crate::engine) type Context = cedar_policy::Context;

/// A request, with every entity that may be read for it.
#[derive(Debug)]
pub(in crate::engine) struct CedarRequest {
    request: Request,
    entities: Entities,
}

/// Evaluates on one request.
pub(in crate::engine) struct Evaluator<'r> {
    request: &'r CedarRequest,
    authorizer: Authorizer,
}

/// What must hold for a policy to be satisfied: a set of that policy alone.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Rule(PolicySet);

impl Rule {
    /// The conditions of a policy; here with its scope, which then is asked twice.
    pub(in crate::engine) fn conditions(policy: &Policy) -> Self {
        Self::whole(policy)
    }

    /// All of a policy.
    #[expect(clippy::expect_used, reason = "a rule without its policy would never match: no forbid would fire")]
    pub(in crate::engine) fn whole(policy: &Policy) -> Self {
        Self(PolicySet::from_policies([policy.clone()]).expect("one policy has no id twice, and is no template"))
    }
}

impl Evaluator<'_> {
    /// Whether that holds.
    ///
    /// # Errors
    ///
    /// Why it cannot be evaluated.
    pub(in crate::engine) fn holds(&self, rule: &Rule) -> Result<bool, Box<EvaluationError>> {
        let response = self.authorizer.is_authorized(&self.request.request, &rule.0, &self.request.entities);
        match response.diagnostics().errors().next() {
            Some(AuthorizationError::PolicyEvaluationError(error)) => Err(Box::new(error.inner().clone())),
            None => Ok(response.diagnostics().reason().next().is_some()),
        }
    }

    /// The value of an expression.
    ///
    /// # Errors
    ///
    /// Why it cannot be evaluated.
    pub(in crate::engine) fn value(&self, expression: &Expr) -> Result<EvalResult, Box<EvaluationError>> {
        let CedarRequest { request, entities } = self.request;
        Ok(eval_expression(request, entities, &Expression::from(expression.clone()))?)
    }
}

impl CedarRequest {
    /// A request on these entities, each of which comes with all its ancestors.
    ///
    /// # Errors
    ///
    /// Two different entities of one uid.
    pub(in crate::engine) fn new(
        [principal, action, resource]: [&EntityUid; 3],
        context: Context,
        entities: impl IntoIterator<Item = Entity>,
    ) -> Result<Self, String> {
        let request = Request::new(principal.clone(), action.clone(), resource.clone(), context, None);
        Ok(Self {
            request: request.map_err(|error| error.to_string())?,
            entities: Entities::from_entities(entities, None).map_err(|error| error.to_string())?,
        })
    }

    /// What evaluates on it.
    pub(in crate::engine) fn evaluator(&self) -> Evaluator<'_> {
        Evaluator { request: self, authorizer: Authorizer::new() }
    }
}

/// An entity.
///
/// # Errors
///
/// An extension value that Cedar cannot read.
pub(in crate::engine) fn entity(
    uid: &EntityUid,
    attributes: &Record,
    tags: &Record,
    ancestors: &Ancestors,
) -> Result<Entity, String> {
    Entity::new_with_tags(uid.clone(), to_cedar(attributes), ancestors.iter().cloned(), to_cedar(tags))
        .map_err(|error| error.to_string())
}

/// A context.
///
/// # Errors
///
/// An extension value that Cedar cannot read.
pub(in crate::engine) fn context(record: &Record) -> Result<Context, String> {
    Context::from_pairs(to_cedar(record)).map_err(|error| error.to_string())
}
