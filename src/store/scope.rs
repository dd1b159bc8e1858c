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
    principal && resource && takes_action(policy, environment, schema)
}

/// Whether the action of that environment can match the scope of the policy.
pub(super) fn takes_action(policy: &Policy, environment: &Environment, schema: &Schema) -> bool {
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => uid == environment.action,
        ActionConstraint::In(uids) => uids.iter().any(|uid| action_is_in(&environment.action, uid, schema)),
    }
}

fn can_be_in(name: &EntityTypeName, uid: &EntityUid, schema: &Schema) -> bool {
    name == uid.type_name() || schema.ancestors(name).is_some_and(|mut names| names.any(|name| name == uid.type_name()))
}

#[expect(clippy::expect_used, reason = "a schema whose action hierarchy cannot be built was refused when it was read")]
fn action_is_in(action: &EntityUid, group: &EntityUid, schema: &Schema) -> bool {
    let hierarchy = || schema.action_entities().expect("the actions of a schema that was read are a hierarchy");
    action == group || hierarchy().is_ancestor_of(group, action)
}
