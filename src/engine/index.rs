//! The index: for each request only the policies that can apply to it.
//!
//! # Why nothing is lost
//!
//! A scope never raises an error. So a policy whose scope is false for a request is neither satisfied nor in error: it changes
//! neither the decision, nor the determining policies, nor the errors, and need not be asked. Two steps leave out only such policies.
//!
//! When a store is built, each environment of the schema gets a [`Bucket`] of the policies that can match it by
//! [`scope::can_match`]: the action is the one of the scope or in one of its groups, and the types are those that it asks for. What it
//! asks of the action and of types is then known to be so, and is not asked again.
//!
//! When a request comes, of these remain the policies whose scope holds. A policy whose scope names an entity, with `==`, `in` or
//! `is … in`, is filed under that entity, and under one alone. `principal == E` holds only where the principal is `E`, and
//! `principal in E` only where the principal is `E` or `E` is among its ancestors; the same is true of resources. So the policies
//! filed under the principal, the resource and the ancestors of both, and those whose scope names no entity, are all that can match;
//! of them, what is named on the other side is looked at by itself. The ancestors are those that Cedar itself would be given.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::{EntityUid, Policy, PrincipalConstraint, ResourceConstraint};
use hashbrown::HashMap;

use super::cedar::{Entity, Rule, entity};
use super::decision::PolicyNote;
use super::direct::Direct;
use super::explain::reads_sensitive;
use super::only_stored::OnlyStored;
use crate::request::stored::{Ancestors, Hierarchy};
use crate::request::value::Record;
use crate::store::masks::Sensitive;
use crate::store::schema::{Environment, Types};
use crate::store::{Statement, Store, policy, scope};

/// One bucket for each environment of the schema, in the order of the environments.
#[derive(Debug)]
pub(super) struct Index {
    buckets: Vec<Bucket>,
    /// Every action and every group of actions, each with all that it is in.
    pub(super) actions: HashMap<EntityUid, Entity>,
}

/// What decides the requests of one environment.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) action: EntityUid,
    /// In the order of the store.
    pub(super) policies: Vec<Candidate>,
    /// What any of the policies may read.
    pub(super) reads: Reads,
    /// What of that only the store may say.
    pub(super) only_stored: OnlyStored,
    /// The permits among the policies, in the order of the store: what a denial because nothing permits speaks of.
    pub(super) permits: Arc<[Arc<PolicyNote>]>,
    filed: Filed,
}

/// A policy that can apply to the requests of an environment.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) note: Arc<PolicyNote>,
    /// Where it stands in the store.
    pub(super) statement: usize,
    /// What must hold beside the scope.
    pub(super) rule: Rule,
    /// The same, for where it can be told without Cedar.
    pub(super) direct: Direct,
    /// The entities of which its conditions may read something.
    pub(super) named: Vec<EntityUid>,
    /// Whether they read something of a name that is sensitive.
    pub(super) reads_sensitive: bool,
    principal: Asked,
    resource: Asked,
}

/// What a scope asks of the principal or the resource, beyond its type.
#[derive(Debug)]
enum Asked {
    Nothing,
    /// To be that entity.
    Is(EntityUid),
    /// To be that entity, or below it.
    In(EntityUid),
}

/// The numbers of the policies of a bucket, each under one entity that its scope names.
#[derive(Debug, Default)]
struct Filed {
    /// Their scope names none.
    anyway: Vec<u32>,
    principal: Named,
    resource: Named,
}

/// Those whose scope names an entity on one side.
#[derive(Debug, Default)]
struct Named {
    is: HashMap<EntityUid, Vec<u32>>,
    within: HashMap<EntityUid, Vec<u32>>,
}

/// The principal or the resource of a request, and everything that it is in.
#[derive(Debug)]
pub(super) struct Side<'a> {
    pub(super) uid: &'a EntityUid,
    pub(super) ancestors: Ancestors,
}

impl<'a> Side<'a> {
    pub(super) fn of(uid: &'a EntityUid, hierarchy: &Hierarchy<'_>) -> Self {
        Self { uid, ancestors: hierarchy.ancestors(uid) }
    }
}

impl Index {
    /// # Errors
    ///
    /// What actions are in cannot be told, or made entities of.
    pub(super) fn build(store: &Store) -> Result<Self, String> {
        let notes: Vec<Arc<PolicyNote>> =
            store.policies.iter().map(|policy| Arc::new(PolicyNote::new(policy, store.clauses.as_ref()))).collect();
        let all = store.schema.action_entities().map_err(|error| error.to_string())?;
        let mut actions = HashMap::new();
        for action in all.iter() {
            let ancestors = all.ancestors(&action.uid()).into_iter().flatten().cloned().collect();
            // An action has no attributes.
            let made = entity(&action.uid(), &Record::new(), &Record::new(), &ancestors)?;
            actions.insert(action.uid(), made);
        }
        let sensitive = Sensitive::of(&store.types);
        let buckets = store.types.environments.iter().map(|environment| {
            let all = store.policies.iter().zip(&notes).enumerate();
            let matching = all.filter(|(_, (policy, _))| scope::can_match(&policy.policy, environment, &store.schema));
            let policies: Vec<_> = matching
                .map(|(statement, (policy, note))| Candidate::new(statement, policy, note, &store.types, &sensitive))
                .collect();
            Bucket::new(environment, policies, &store.policies, &store.types)
        });
        Ok(Self { buckets: buckets.collect(), actions })
    }

    pub(super) fn bucket(&self, environment: usize) -> Option<&Bucket> {
        self.buckets.get(environment)
    }
}

impl Bucket {
    #[expect(
        clippy::indexing_slicing,
        reason = "candidates are made of the statements of the store, by their places in it"
    )]
    fn new(environment: &Environment, policies: Vec<Candidate>, all: &[Statement], types: &Types) -> Self {
        let statements = policies.iter().map(|policy| &all[policy.statement]);
        let only_stored = OnlyStored::of(statements.clone().map(|statement| &statement.policy), environment, types);
        let references = statements.map(|statement| policy::accesses(&statement.policy)).max().unwrap_or(0);
        let named: BTreeSet<_> = policies.iter().flat_map(|policy| &policy.named).cloned().collect();
        Self {
            action: environment.action.clone(),
            reads: Reads { named: named.into_iter().collect(), references },
            only_stored,
            permits: policies
                .iter()
                .filter(|policy| policy.note.permits)
                .map(|policy| Arc::clone(&policy.note))
                .collect(),
            filed: Filed::of(&policies),
            policies,
        }
    }

    /// The policies whose scope holds for a request, in no order.
    #[expect(clippy::indexing_slicing, reason = "the numbers are the places of the policies, which do not change")]
    pub(super) fn matching(&self, principal: &Side<'_>, resource: &Side<'_>) -> Vec<&Candidate> {
        let Filed { anyway, principal: by_principal, resource: by_resource } = &self.filed;
        let mut found: Vec<u32> = Vec::with_capacity(anyway.len());
        found.extend(anyway);
        by_principal.find(principal, &mut found);
        by_resource.find(resource, &mut found);
        let found = found.into_iter().map(|number| &self.policies[number as usize]);
        let holds = |policy: &&Candidate| policy.principal.holds(principal) && policy.resource.holds(resource);
        found.filter(holds).collect()
    }
}

impl Candidate {
    fn new(statement: usize, policy: &Statement, note: &Arc<PolicyNote>, types: &Types, sensitive: &Sensitive) -> Self {
        let policy = &policy.policy;
        Self {
            note: Arc::clone(note),
            statement,
            rule: Rule::conditions(policy),
            direct: Direct::new(policy),
            named: can_be_read(policy::named_in_conditions(policy), types),
            reads_sensitive: reads_sensitive(&policy.as_ref().condition(), sensitive),
            principal: match policy.principal_constraint() {
                PrincipalConstraint::Any | PrincipalConstraint::Is(_) => Asked::Nothing,
                PrincipalConstraint::Eq(uid) => Asked::Is(uid),
                PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid) => Asked::In(uid),
            },
            resource: match policy.resource_constraint() {
                ResourceConstraint::Any | ResourceConstraint::Is(_) => Asked::Nothing,
                ResourceConstraint::Eq(uid) => Asked::Is(uid),
                ResourceConstraint::In(uid) | ResourceConstraint::IsIn(_, uid) => Asked::In(uid),
            },
        }
    }
}

impl Asked {
    fn holds(&self, side: &Side<'_>) -> bool {
        match self {
            Self::Nothing => true,
            Self::Is(uid) => side.uid == uid,
            Self::In(uid) => side.uid == uid || side.ancestors.contains(uid),
        }
    }

    fn named(&self) -> Option<&EntityUid> {
        match self {
            Self::Nothing => None,
            Self::Is(uid) | Self::In(uid) => Some(uid),
        }
    }
}

impl Filed {
    fn of(policies: &[Candidate]) -> Self {
        // Of the two entities that a scope can name, it is filed under the one that fewer policies name.
        let mut counts: [HashMap<&EntityUid, usize>; 2] = Default::default();
        for policy in policies {
            for (counts, asked) in counts.iter_mut().zip([&policy.principal, &policy.resource]) {
                if let Some(uid) = asked.named() {
                    *counts.entry(uid).or_default() += 1;
                }
            }
        }
        let [of_principal, of_resource] = &counts;
        let count = |counts: &HashMap<&EntityUid, usize>, asked: &Asked| {
            asked.named().and_then(|uid| counts.get(uid)).copied().unwrap_or(usize::MAX)
        };
        let mut filed = Self::default();
        for (number, policy) in (0..).zip(policies) {
            let by_principal = count(of_principal, &policy.principal) <= count(of_resource, &policy.resource);
            let (named, asked) = match by_principal {
                true => (&mut filed.principal, &policy.principal),
                false => (&mut filed.resource, &policy.resource),
            };
            match asked {
                Asked::Nothing => filed.anyway.push(number),
                Asked::Is(uid) => named.is.entry(uid.clone()).or_default().push(number),
                Asked::In(uid) => named.within.entry(uid.clone()).or_default().push(number),
            }
        }
        filed
    }
}

impl Named {
    fn find(&self, side: &Side<'_>, found: &mut Vec<u32>) {
        if !self.is.is_empty() {
            found.extend(self.is.get(side.uid).into_iter().flatten());
        }
        if !self.within.is_empty() {
            let above = side.ancestors.iter().filter(|above| *above != side.uid).chain([side.uid]);
            found.extend(above.filter_map(|uid| self.within.get(uid)).flatten());
        }
    }
}

/// What policies may read beyond the principal, the resource and the context.
#[derive(Clone, Debug)]
pub(super) struct Reads {
    /// The entities that they name, but for those of enumerated types, of which nothing is stored.
    pub(super) named: Vec<EntityUid>,
    /// How many references they follow at most, one after the other.
    pub(super) references: usize,
}

impl Reads {
    pub(super) fn of<'a>(policies: impl IntoIterator<Item = &'a Policy>, types: &Types) -> Self {
        let mut all = BTreeSet::new();
        let mut references = 0;
        for policy in policies {
            all.extend(policy::named_in_conditions(policy));
            references = references.max(policy::accesses(policy));
        }
        Self { named: can_be_read(all, types), references }
    }
}

fn can_be_read(uids: impl IntoIterator<Item = EntityUid>, types: &Types) -> Vec<EntityUid> {
    let can_be_read =
        |uid: &EntityUid| is_action(uid) || types.entity_of(uid.type_name()).is_some_and(|entity| entity.ids.is_none());
    uids.into_iter().filter(can_be_read).collect()
}

/// Whether it is an action, or a group of actions: the schema says what it is in.
pub(super) fn is_action(uid: &EntityUid) -> bool {
    uid.type_name().basename() == "Action"
}
