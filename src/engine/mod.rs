//! Decisions: the only place where one is made.
//!
//! A [`Snapshot`] is everything that decides, built once and never changed. An [`Engine`] holds the snapshot that is in
//! force; a request takes it out once and uses nothing else, so no answer mixes two revisions.

mod decision;
mod explain;
mod filter;
mod formula;
mod index;
mod search;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use cedar_policy::{
    AuthorizationError, Authorizer, Context, Entities, Entity, EntityUid, Policy, PolicyId, PolicySet, Request,
    Response,
};

pub use decision::{Decision, Outcome, PolicyError, PolicyNote};
pub use explain::{Condition, ConditionOutcome, Explained};
pub use formula::{Atom, Formula, Part, parts};
use index::Index;
pub use search::{ActionSearch, EntitySearch, Search, Target};

use crate::request::case::Case;
use crate::request::stored::{Stored, StoredEntities, references};
use crate::request::value::{Record, to_cedar};
use crate::request::{Facts, InvalidRequest, Question, Resolved, TypedRequest, resolve};
use crate::store::schema::Types;
use crate::store::{Origin, Revision, Statement, Store, StoreError, StoreFiles, policy};

/// The snapshot that is in force.
#[derive(Debug)]
pub struct Engine {
    current: ArcSwap<Snapshot>,
}

impl Engine {
    /// An engine that decides by `snapshot`.
    pub fn new(snapshot: Snapshot) -> Self {
        Self { current: ArcSwap::from_pointee(snapshot) }
    }

    /// The snapshot in force. Take it once for each request.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Puts another snapshot in force; requests that have taken the old one finish with it.
    pub fn replace(&self, snapshot: Snapshot) {
        self.current.store(Arc::new(snapshot));
    }
}

/// A store, ready to decide.
#[derive(Debug)]
pub struct Snapshot {
    /// What it was built from.
    pub store: Store,
    /// The stored entities.
    pub entities: StoredEntities,
    index: Index,
    authorizer: Authorizer,
}

impl Snapshot {
    /// Reads, checks and builds a store.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the store.
    pub fn load(origin: Origin) -> Result<Self, StoreError> {
        Self::build(Store::load(origin)?)
    }

    /// The same, with further files of stored entities.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the store or with these files.
    pub fn load_with(origin: Origin, entities: &[PathBuf]) -> Result<Self, StoreError> {
        let mut files = StoreFiles::read(&origin)?;
        files.add_entities(entities)?;
        Self::build(Store::from_files(origin, files)?)
    }

    /// Builds a store: its entities are read, its policies indexed.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the stored entities.
    pub fn build(mut store: Store) -> Result<Self, StoreError> {
        // Their text is not needed again, and may be large.
        let files = store.files.take_entities();
        let entities = StoredEntities::read(&files, &store.types).map_err(StoreError)?;
        let index = Index::build(&store);
        Ok(Self { store, entities, index, authorizer: Authorizer::new() })
    }

    /// The digest of everything that can change a decision.
    pub fn revision(&self) -> &Revision {
        &self.store.revision
    }

    /// Decides a question.
    ///
    /// # Errors
    ///
    /// A value of the wrong type in the question: the caller's mistake, on which nothing is decided.
    pub fn decide(&self, question: &Question<'_>, facts: Facts) -> Result<Decision, InvalidRequest> {
        self.decide_with(question, facts, &self.entities)
    }

    /// Decides a question over other stored entities than the store's own.
    ///
    /// # Errors
    ///
    /// A value of the wrong type in the question.
    pub fn decide_with(
        &self,
        question: &Question<'_>,
        facts: Facts,
        entities: &StoredEntities,
    ) -> Result<Decision, InvalidRequest> {
        Ok(match resolve(question, &self.store.types, entities, facts)? {
            Resolved::Unknown(unknown) => Decision::unknown(unknown),
            Resolved::Request(request) => self.decide_typed(&request, entities),
        })
    }

    /// Decides a typed request over `entities`.
    ///
    /// The decision is an allow only if nothing that the schema requires is missing, no policy raised an error, a `permit`
    /// is satisfied and no `forbid` is. Cedar skips a policy that errors, and a skipped `forbid` would allow.
    fn decide_typed(&self, request: &TypedRequest, entities: &StoredEntities) -> Decision {
        let Some(bucket) = self.index.bucket(request.environment) else {
            return Decision::failed(request, "the request is of an environment that the schema does not have");
        };
        if !request.missing.is_empty() {
            return Decision::missing(request);
        }
        let cedar = match self.to_cedar(request, bucket, &bucket.named, entities) {
            Ok(cedar) => cedar,
            Err(message) => return Decision::failed(request, &message),
        };
        let response = self.authorizer.is_authorized(&cedar.request, &bucket.policies, &cedar.entities);
        let note = |id: &PolicyId| bucket.notes.get(id).cloned();
        let determining = response.diagnostics().reason().filter_map(note);
        let errors = response.diagnostics().errors().map(|error| {
            let AuthorizationError::PolicyEvaluationError(inner) = error;
            PolicyError { policy: note(inner.policy_id()), message: error.to_string() }
        });
        let allowed = response.decision() == cedar_policy::Decision::Allow;
        Decision::evaluated(request, allowed, determining.collect(), errors.collect(), &bucket.permits)
    }

    /// Condition by condition, the policies that a decision on this question speaks of: those that determined it or failed, and
    /// for a deny because nothing permits the permits, those first of which the fewest conditions do not hold.
    pub fn explain(
        &self,
        question: &Question<'_>,
        facts: Facts,
        entities: &StoredEntities,
        decision: &Decision,
    ) -> Vec<Explained> {
        let Ok(Resolved::Request(request)) = resolve(question, &self.store.types, entities, facts) else {
            return Vec::new();
        };
        let Some(bucket) = self.index.bucket(request.environment) else { return Vec::new() };
        let Ok(cedar) = self.to_cedar(&request, bucket, &bucket.named, entities) else { return Vec::new() };
        let mut explained: Vec<Explained> = decision
            .spoken_of()
            .filter_map(|note| {
                let statement = self.store.policies.iter().find(|policy| policy.id == note.id)?;
                Some(Explained::new(Arc::clone(note), statement, &cedar))
            })
            .collect();
        explained.sort_by_key(Explained::distance);
        explained
    }

    /// Decides a request over the entities that come with it, and no others.
    pub fn decide_case(&self, case: &Case) -> Decision {
        self.decide_typed(&case.request, &case.entities)
    }

    /// What each atom of each formula is for a request, `None` where it cannot be evaluated; nothing where the request cannot.
    pub fn values<'f>(&self, formulas: impl Iterator<Item = &'f Formula>, case: &Case) -> Vec<Vec<Option<bool>>> {
        let bucket = self.index.bucket(case.request.environment);
        let cedar = bucket.and_then(|bucket| self.to_cedar(&case.request, bucket, &bucket.named, &case.entities).ok());
        cedar.map(|cedar| formulas.map(|formula| formula.values(&cedar)).collect()).unwrap_or_default()
    }

    /// Whether a policy that stands outside the store's policies, a row of the matrix say, matches a request.
    ///
    /// # Errors
    ///
    /// What went wrong when it was evaluated.
    pub fn matches(&self, matcher: &Matcher, case: &Case) -> Result<bool, String> {
        let response = self.response(matcher, case)?;
        match response.diagnostics().errors().next() {
            Some(error) => Err(error.to_string()),
            None => Ok(response.diagnostics().reason().next().is_some()),
        }
    }

    /// Whether any of the policies of the matcher matches a request; one that cannot be evaluated does not.
    pub fn matches_any(&self, matcher: &Matcher, case: &Case) -> bool {
        self.response(matcher, case).is_ok_and(|response| response.diagnostics().reason().next().is_some())
    }

    fn response(&self, matcher: &Matcher, case: &Case) -> Result<Response, String> {
        let bucket = self.index.bucket(case.request.environment).ok_or("no such environment")?;
        let cedar = self.to_cedar(&case.request, bucket, &matcher.named, &case.entities)?;
        Ok(self.authorizer.is_authorized(&cedar.request, &matcher.policies, &cedar.entities))
    }

    fn to_cedar(
        &self,
        request: &TypedRequest,
        bucket: &index::Bucket,
        named: &[EntityUid],
        stored: &StoredEntities,
    ) -> Result<CedarRequest, String> {
        let context = Context::from_pairs(to_cedar(&request.context)).map_err(|error| error.to_string())?;
        let mut gathered = Gathered { stored, entities: HashMap::new(), open: named.to_vec() };
        // The principal and the resource may be one entity; then their attributes are the same.
        for entity in [&request.principal, &request.resource] {
            gathered.add(&entity.uid, &entity.attributes)?;
        }
        references_in(&request.context, &mut gathered.open);
        gathered.reach()?;
        let all = gathered.entities.into_values().chain(bucket.action_entities.iter().cloned());
        Ok(CedarRequest {
            request: Request::new(
                request.principal.uid.clone(),
                bucket.action.clone(),
                request.resource.uid.clone(),
                context,
                None,
            )
            .map_err(|error| error.to_string())?,
            entities: Entities::from_entities(all, None).map_err(|error| error.to_string())?,
        })
    }
}

/// Policies that can be asked whether they match a request ([`Snapshot::matches`], [`Snapshot::matches_any`]).
#[derive(Clone, Debug)]
pub struct Matcher {
    policies: PolicySet,
    named: Vec<EntityUid>,
}

impl Matcher {
    /// A matcher for one policy on the requests of a store with these types.
    pub fn new(policy: &Policy, types: &Types) -> Self {
        // One policy has no id twice, and a template is none: the only two reasons for which Cedar refuses.
        let set = PolicySet::from_policies([policy.clone()]).unwrap_or_default();
        Self { policies: set, named: index::named([policy], types) }
    }

    /// A matcher for statements of one store, which have ids of their own.
    pub fn of<'s>(statements: impl IntoIterator<Item = &'s Statement> + Clone, types: &Types) -> Self {
        let policies = statements.clone().into_iter().map(|statement| &statement.policy);
        Self { named: index::named(policies, types), policies: policy::set_of(statements) }
    }
}

struct CedarRequest {
    request: Request,
    entities: Entities,
}

/// The entities that a request can reach: its principal and resource, their ancestors, and what attributes refer to.
struct Gathered<'a> {
    stored: &'a StoredEntities,
    entities: HashMap<EntityUid, Entity>,
    open: Vec<EntityUid>,
}

impl Gathered<'_> {
    fn add(&mut self, uid: &EntityUid, attributes: &Record) -> Result<(), String> {
        let stored = self.stored.get(uid);
        let parents: HashSet<EntityUid> = stored.into_iter().flat_map(Stored::parents).cloned().collect();
        references_in(attributes, &mut self.open);
        self.open.extend(parents.iter().cloned());
        let tags = stored.map(Stored::tags).unwrap_or_default();
        references_in(&tags, &mut self.open);
        let entity = if tags.is_empty() {
            Entity::new(uid.clone(), to_cedar(attributes), parents)
        } else {
            Entity::new_with_tags(uid.clone(), to_cedar(attributes), parents, to_cedar(&tags))
        };
        self.entities.insert(uid.clone(), entity.map_err(|error| error.to_string())?);
        Ok(())
    }

    fn reach(&mut self) -> Result<(), String> {
        while let Some(uid) = self.open.pop() {
            if self.entities.contains_key(&uid) {
                continue;
            }
            if let Some(stored) = self.stored.get(&uid) {
                self.add(&uid, &stored.attributes())?;
            }
        }
        Ok(())
    }
}

fn references_in(record: &Record, found: &mut Vec<EntityUid>) {
    let mut references_here = Vec::new();
    record.values().for_each(|value| references(value, &mut references_here));
    found.extend(references_here.into_iter().cloned());
}
