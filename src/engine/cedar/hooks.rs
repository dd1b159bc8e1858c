//! By the core's evaluator.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use cedar_policy::{EntityUid, EvalResult, Policy};
use cedar_policy_core::ast::{self, EntityUIDEntry, Expr, Literal, PartialValue, SlotEnv, Value as CedarValue};
use cedar_policy_core::entities::{Entities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::evaluator::{self, EvaluationError, RestrictedEvaluator};
use cedar_policy_core::extensions::Extensions;
use smol_str::SmolStr;

use crate::request::stored::Ancestors;
use crate::request::value::{Record, Value};

/// An entity with its values.
pub(in crate::engine) type Entity = Arc<ast::Entity>;

/// The values of a context.
pub(in crate::engine) type Context = ast::Context;

/// A request, with every entity that may be read for it.
#[derive(Debug)]
pub(in crate::engine) struct CedarRequest {
    request: ast::Request,
    entities: Entities,
}

/// Evaluates on one request.
pub(in crate::engine) struct Evaluator<'r> {
    evaluator: evaluator::Evaluator<'r>,
    slots: SlotEnv,
}

/// What must hold for a policy to be satisfied.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Rule(Option<Arc<Expr>>);

impl Rule {
    /// The conditions of a policy without its scope.
    pub(in crate::engine) fn conditions(policy: &Policy) -> Self {
        Self(policy.as_ref().non_scope_constraints_arc().cloned())
    }

    /// All of a policy.
    pub(in crate::engine) fn whole(policy: &Policy) -> Self {
        Self(Some(Arc::new(policy.as_ref().condition())))
    }
}

impl Evaluator<'_> {
    /// Whether that holds.
    ///
    /// # Errors
    ///
    /// Why it cannot be evaluated.
    pub(in crate::engine) fn holds(&self, rule: &Rule) -> Result<bool, Box<EvaluationError>> {
        let Some(expression) = &rule.0 else { return Ok(true) };
        match self.evaluator.interpret(expression, &self.slots)?.value {
            ast::ValueKind::Lit(Literal::Bool(value)) => Ok(value),
            // As Cedar says it, whose own way to say it is private: a conjunction asks both sides whether they are Booleans.
            _ => {
                let both = Expr::and(Expr::val(true), expression.as_ref().clone());
                Ok(self.evaluator.interpret(&both, &self.slots).map(|_| false)?)
            }
        }
    }

    /// The value of an expression.
    ///
    /// # Errors
    ///
    /// Why it cannot be evaluated.
    pub(in crate::engine) fn value(&self, expression: &Expr) -> Result<EvalResult, Box<EvaluationError>> {
        Ok(self.evaluator.interpret(expression, &self.slots).map(EvalResult::from)?)
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
        let entry = |uid: &EntityUid| EntityUIDEntry::known(uid.as_ref().clone(), None);
        let entities = Entities::new().add_entities(
            entities,
            None::<&NoEntitiesSchema>,
            TCComputation::AssumeAlreadyComputed,
            Extensions::all_available(),
        );
        Ok(Self {
            request: ast::Request::new_unchecked(entry(principal), entry(action), entry(resource), Some(context)),
            entities: entities.map_err(|error| error.to_string())?,
        })
    }

    /// What evaluates on it.
    pub(in crate::engine) fn evaluator(&self) -> Evaluator<'_> {
        let evaluator = evaluator::Evaluator::new(self.request.clone(), &self.entities, Extensions::all_available());
        Evaluator { evaluator, slots: SlotEnv::new() }
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
    let ancestors = ancestors.iter().map(|uid| uid.as_ref().clone()).collect();
    let values =
        |record| fields(record).map(|fields| fields.into_iter().map(|(name, value)| (name, PartialValue::from(value))));
    Ok(Arc::new(ast::Entity::new_with_attr_partial_value(
        uid.as_ref().clone(),
        values(attributes)?,
        HashSet::new(),
        ancestors,
        values(tags)?,
    )))
}

/// A context.
///
/// # Errors
///
/// An extension value that Cedar cannot read.
pub(in crate::engine) fn context(record: &Record) -> Result<Context, String> {
    Ok(ast::Context::Value(Arc::new(fields(record)?)))
}

fn fields(record: &Record) -> Result<BTreeMap<SmolStr, CedarValue>, String> {
    record.iter().map(|(name, field)| Ok((name.clone(), value(field)?))).collect()
}

fn value(value: &Value) -> Result<CedarValue, String> {
    let literal = |literal: Literal| Ok(CedarValue::new(literal, None));
    match value {
        Value::Bool(value) => literal(Literal::Bool(*value)),
        Value::Long(value) => literal(Literal::Long(*value)),
        Value::String(text) | Value::Raw(text) => literal(Literal::String(text.clone())),
        Value::Entity(uid) => literal(Literal::EntityUID(Arc::new(uid.as_ref().clone()))),
        Value::Set(elements) => {
            let elements = elements.iter().map(self::value).collect::<Result<Vec<_>, _>>()?;
            Ok(CedarValue::set(elements, None))
        }
        Value::Record(record) => Ok(CedarValue::record_arc(Arc::new(fields(record)?), None)),
        Value::Extension(..) => RestrictedEvaluator::new(Extensions::all_available())
            .interpret(value.to_cedar().as_ref().as_borrowed())
            .map_err(|error| error.to_string()),
    }
}
