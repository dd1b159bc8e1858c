//! The index: for each environment only the policies that can apply.
//!
//! Sound by [`scope::can_match`]: a policy that is left out has a scope that is false for every request of the environment,
//! so it is neither satisfied nor in error, and changes neither the decision, nor the determining policies, nor the errors.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cedar_policy::{Entity, EntityUid, Policy, PolicyId, PolicySet};

use super::decision::PolicyNote;
use crate::store::schema::Types;
use crate::store::{Statement, Store, policy, scope};

/// One bucket for each environment of the schema, in the order of the environments.
#[derive(Debug)]
pub(super) struct Index {
    buckets: Vec<Bucket>,
}

/// What decides the requests of one environment.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) action: EntityUid,
    /// The action and its groups.
    pub(super) action_entities: Vec<Entity>,
    pub(super) policies: PolicySet,
    /// Where the policies stand in the store.
    pub(super) statements: Vec<usize>,
    pub(super) notes: HashMap<PolicyId, Arc<PolicyNote>>,
    /// The entities that the policies name: what is stored of them may be read.
    pub(super) named: Vec<EntityUid>,
    /// The permits among the policies, in the order of the store: what a denial because nothing permits speaks of.
    pub(super) permits: Vec<Arc<PolicyNote>>,
}

impl Index {
    pub(super) fn build(store: &Store) -> Self {
        let notes: Vec<Arc<PolicyNote>> =
            store.policies.iter().map(|policy| Arc::new(PolicyNote::new(policy, store.clauses.as_ref()))).collect();
        // A schema whose action hierarchy cannot be built was refused before.
        let actions = store.schema.action_entities().unwrap_or_else(|_| cedar_policy::Entities::empty());
        let buckets = store.types.environments.iter().map(|environment| {
            let all = store.policies.iter().zip(&notes).enumerate();
            let (statements, candidates): (Vec<usize>, Vec<(&Statement, &Arc<PolicyNote>)>) =
                all.filter(|(_, (policy, _))| scope::can_match(&policy.policy, environment, &store.schema)).unzip();
            let groups = actions.ancestors(&environment.action).into_iter().flatten();
            Bucket {
                action: environment.action.clone(),
                action_entities: std::iter::once(&environment.action)
                    .chain(groups)
                    .filter_map(|uid| actions.get(uid).cloned())
                    .collect(),
                policies: policy::set_of(candidates.iter().map(|(policy, _)| *policy)),
                statements,
                notes: candidates.iter().map(|(policy, note)| (policy.policy.id().clone(), Arc::clone(note))).collect(),
                named: named(candidates.iter().map(|(policy, _)| &policy.policy), &store.types),
                permits: candidates
                    .iter()
                    .filter(|(policy, _)| policy.permits())
                    .map(|(_, note)| Arc::clone(note))
                    .collect(),
            }
        });
        Self { buckets: buckets.collect() }
    }

    pub(super) fn bucket(&self, environment: usize) -> Option<&Bucket> {
        self.buckets.get(environment)
    }
}

/// The entities that policies name, but for those of enumerated types and actions, of which nothing is stored.
pub(super) fn named<'a>(policies: impl IntoIterator<Item = &'a Policy>, types: &Types) -> Vec<EntityUid> {
    let all: BTreeSet<EntityUid> = policies.into_iter().flat_map(policy::named_in_conditions).collect();
    let can_be_stored =
        |uid: &EntityUid| types.entity(&uid.type_name().to_string()).is_some_and(|entity| entity.ids.is_none());
    all.into_iter().filter(can_be_stored).collect()
}
