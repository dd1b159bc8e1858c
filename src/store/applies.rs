//! Statements that can never apply: their actions take other types.

use std::collections::BTreeSet;

use cedar_policy::{ActionConstraint, PrincipalConstraint, ResourceConstraint, Schema};

use super::policy::Statement;
use super::problem::Problem;
use super::schema::{Environment, Types};
use super::scope;

/// So many combinations of types are listed.
const LISTED: usize = 5;

/// The warning of a statement whose scope no request can match, by the types of the schema alone.
pub(super) fn never(statement: &Statement, types: &Types, schema: &Schema) -> Problem {
    let what = if statement.place().is_empty() { "policy" } else { "row" };
    let actions = match statement.policy.action_constraint() {
        ActionConstraint::Any => "no action takes".to_owned(),
        ActionConstraint::Eq(action) => format!("`{action}` does not take"),
        ActionConstraint::In(_) => "none of its actions takes".to_owned(),
    };
    let name = statement.name();
    let problem =
        Problem::warning(format!("the {what} `{name}` can never apply: {actions} {}", types_asked_for(statement)));
    let of_actions = types.environments.iter().filter(|found| scope::takes_action(&statement.policy, found, schema));
    let taken: BTreeSet<String> = of_actions.map(taken).collect();
    let mut listed: Vec<&str> = taken.iter().take(LISTED).map(String::as_str).collect();
    let more = taken.len().saturating_sub(LISTED);
    let more = format!("and {more} more combinations");
    if taken.len() > LISTED {
        listed.push(&more);
    }
    let help = if listed.is_empty() { "the schema lets it apply to nothing".to_owned() } else { listed.join("; ") };
    statement.problem(problem).with_help(help)
}

/// What an action takes in an environment.
fn taken(environment: &Environment) -> String {
    let Environment { action, principal, resource, .. } = environment;
    format!("`{action}` takes a principal `{principal}` and a resource `{resource}`")
}

/// The principal and the resource that a statement asks for in its scope.
fn types_asked_for(statement: &Statement) -> String {
    let principal = match statement.policy.principal_constraint() {
        PrincipalConstraint::Any => None,
        PrincipalConstraint::Is(name) => Some(format!("a principal `{name}`")),
        PrincipalConstraint::Eq(uid) => Some(format!("the principal `{uid}`")),
        PrincipalConstraint::In(uid) => Some(format!("a principal in `{uid}`")),
        PrincipalConstraint::IsIn(name, uid) => Some(format!("a principal `{name}` in `{uid}`")),
    };
    let resource = match statement.policy.resource_constraint() {
        ResourceConstraint::Any => None,
        ResourceConstraint::Is(name) => Some(format!("a resource `{name}`")),
        ResourceConstraint::Eq(uid) => Some(format!("the resource `{uid}`")),
        ResourceConstraint::In(uid) => Some(format!("a resource in `{uid}`")),
        ResourceConstraint::IsIn(name, uid) => Some(format!("a resource `{name}` in `{uid}`")),
    };
    let asked: Vec<String> = [principal, resource].into_iter().flatten().collect();
    if asked.is_empty() { "any principal and resource".to_owned() } else { asked.join(" and ") }
}
