//! Decisions: the only place where one is made.
//!
//! A [`Snapshot`] is everything that decides, built once and never changed. An [`Engine`] holds the snapshot that is in
//! force; a request takes it out once and uses nothing else, so no answer mixes two revisions.

mod decision;
mod explain;
mod filter;
mod formula;
mod gathered;
mod index;
mod search;

use std::sync::Arc;

use arc_swap::ArcSwap;
use cedar_policy::{AuthorizationError, Authorizer, Entities, Policy, PolicyId, PolicySet, Request, Response};

pub use decision::{Decision, Outcome, PolicyError, PolicyNote};
pub use explain::{Condition, ConditionOutcome, Explained};
pub use formula::{Atom, Formula, Part, parts};
use gathered::Gathered;
use index::{Index, Reads};
pub use search::{ActionSearch, EntitySearch, Search, Target};

use crate::request::case::Case;
use crate::request::stored::StoredEntities;
use crate::request::{Facts, InvalidRequest, Question, Resolved, TypedRequest, resolve};
use crate::store::schema::Types;
use crate::store::{Origin, Revision, Source, Statement, Store, StoreError, policy};

/// The snapshot that is in force; a clone is the same engine.
#[derive(Clone, Debug)]
pub struct Engine {
    current: Arc<ArcSwap<Snapshot>>,
}

impl Engine {
    /// An engine that decides by `snapshot`.
    pub fn new(snapshot: Snapshot) -> Self {
        Self { current: Arc::new(ArcSwap::from_pointee(snapshot)) }
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

    /// The same, of everything that a store is made of.
    ///
    /// # Errors
    ///
    /// A signature that is asked for and is missing or not valid, and everything that is wrong with the store.
    pub fn load_from(source: &Source) -> Result<Self, StoreError> {
        Self::build(source.load()?)
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
        Ok(self.decide_resolved(&resolve(question, &self.store.types, entities, facts)?, entities))
    }

    /// Makes a typed request of a question, over the store's own entities.
    ///
    /// # Errors
    ///
    /// A value of the wrong type in the question.
    pub fn resolve(&self, question: &Question<'_>, facts: Facts) -> Result<Resolved, InvalidRequest> {
        resolve(question, &self.store.types, &self.entities, facts)
    }

    /// Decides what [`Snapshot::resolve`] gave, over `entities`.
    pub fn decide_resolved(&self, resolved: &Resolved, entities: &StoredEntities) -> Decision {
        match resolved {
            Resolved::Unknown(unknown) => Decision::unknown(unknown.clone()),
            Resolved::Request(request) => self.decide_request(request, entities),
        }
    }

    /// Decides a typed request over `entities`.
    ///
    /// The decision is an allow only if nothing that the schema requires is missing, no policy raised an error, a `permit`
    /// is satisfied and no `forbid` is. Cedar skips a policy that errors, and a skipped `forbid` would allow.
    pub fn decide_request(&self, request: &TypedRequest, entities: &StoredEntities) -> Decision {
        let Some(bucket) = self.index.bucket(request.environment) else {
            return Decision::failed(request, "the request is of an environment that the schema does not have");
        };
        if !request.missing.is_empty() {
            return Decision::missing(request);
        }
        let cedar = match self.to_cedar(request, bucket, &bucket.reads, entities) {
            Ok(cedar) => cedar,
            Err(message) => return Decision::failed(request, &message),
        };
        let response = self.authorizer.is_authorized(&cedar.request, &bucket.policies, &cedar.entities);
        let note = |id: &PolicyId| bucket.notes.get(id).cloned();
        let determining = response.diagnostics().reason().filter_map(note);
        let errors = response.diagnostics().errors().map(|error| {
            let AuthorizationError::PolicyEvaluationError(inner) = error;
            PolicyError {
                policy: note(inner.policy_id()),
                kind: decision::kind_of(inner.inner()),
                message: error.to_string(),
            }
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
        let Ok(cedar) = self.to_cedar(&request, bucket, &bucket.reads, entities) else { return Vec::new() };
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
        self.decide_request(&case.request, &case.entities)
    }

    /// What each atom of each formula is for a request, `None` where it cannot be evaluated; nothing where the request cannot.
    pub fn values<'f>(&self, formulas: impl Iterator<Item = &'f Formula>, case: &Case) -> Vec<Vec<Option<bool>>> {
        let bucket = self.index.bucket(case.request.environment);
        let cedar = bucket.and_then(|bucket| self.to_cedar(&case.request, bucket, &bucket.reads, &case.entities).ok());
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
        let cedar = self.to_cedar(&case.request, bucket, &matcher.reads, &case.entities)?;
        Ok(self.authorizer.is_authorized(&cedar.request, &matcher.policies, &cedar.entities))
    }

    fn to_cedar(
        &self,
        request: &TypedRequest,
        bucket: &index::Bucket,
        reads: &Reads,
        stored: &StoredEntities,
    ) -> Result<CedarRequest, String> {
        let mut gathered = Gathered::new(stored, reads, &request.context)?;
        // The principal and the resource may be one entity; then their attributes are the same.
        for entity in [&request.principal, &request.resource] {
            gathered.add(&entity.uid, &entity.attributes)?;
        }
        gathered.reach()?;
        gathered.request(&request.principal.uid, bucket, &request.resource.uid)
    }
}

/// Policies that can be asked whether they match a request ([`Snapshot::matches`], [`Snapshot::matches_any`]).
#[derive(Clone, Debug)]
pub struct Matcher {
    policies: PolicySet,
    reads: Reads,
}

impl Matcher {
    /// A matcher for one policy on the requests of a store with these types.
    pub fn new(policy: &Policy, types: &Types) -> Self {
        // One policy has no id twice, and a template is none: the only two reasons for which Cedar refuses.
        let set = PolicySet::from_policies([policy.clone()]).unwrap_or_default();
        Self { policies: set, reads: Reads::of([policy], types) }
    }

    /// A matcher for statements of one store, which have ids of their own.
    pub fn of<'s>(statements: impl IntoIterator<Item = &'s Statement> + Clone, types: &Types) -> Self {
        let policies = statements.clone().into_iter().map(|statement| &statement.policy);
        Self { reads: Reads::of(policies, types), policies: policy::set_of(statements) }
    }
}

struct CedarRequest {
    request: Request,
    entities: Entities,
}
