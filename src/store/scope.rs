//! Which requests the scope of a policy can match, by their types alone.

use cedar_policy::{
    ActionConstraint, EntityTypeName, EntityUid, Policy, PrincipalConstraint, ResourceConstraint, Schema,
};

use super::schema::Environment;

/// Whether a request of that environment can match the scope of the policy.
///
/// Sound: where it says no, the scope is false for every request of the environment whose entities conform to the schema,
/// and a scope never raises an error. So the policy can be left out without changing a decision.
pub fn can_match(policy: &Policy, environment: &Environment, schema: &Schema) -> bool {
    let principal = match policy.principal_constraint() {
        PrincipalConstraint::Any => true,
        PrincipalConstraint::Is(name) => name == environment.principal,
        PrincipalConstraint::Eq(uid) => *uid.type_name() == environment.principal,
        PrincipalConstraint::In(uid) => can_be_in(&environment.principal, &uid, schema),
        PrincipalConstraint::IsIn(name, uid) => name == environment.principal && can_be_in(&name, &uid, schema),
    };
    let resource = match policy.resource_constraint() {
        ResourceConstraint::Any => true,
        ResourceConstraint::Is(name) => name == environment.resource,
        ResourceConstraint::Eq(uid) => *uid.type_name() == environment.resource,
        ResourceConstraint::In(uid) => can_be_in(&environment.resource, &uid, schema),
        ResourceConstraint::IsIn(name, uid) => name == environment.resource && can_be_in(&name, &uid, schema),
    };
    let action = match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => uid == environment.action,
        ActionConstraint::In(uids) => uids.iter().any(|uid| action_is_in(&environment.action, uid, schema)),
    };
    principal && action && resource
}

fn can_be_in(name: &EntityTypeName, uid: &EntityUid, schema: &Schema) -> bool {
    name == uid.type_name() || schema.ancestors(name).is_some_and(|mut names| names.any(|name| name == uid.type_name()))
}

fn action_is_in(action: &EntityUid, group: &EntityUid, schema: &Schema) -> bool {
    // A schema whose action hierarchy cannot be built was refused before.
    action == group || schema.action_entities().is_ok_and(|entities| entities.is_ancestor_of(group, action))
}
