//! Decisions: the only place where one is made.
//!
//! A [`Snapshot`] is everything that decides, built once and never changed. An [`Engine`] holds the snapshot that is in
//! force; a request takes it out once and uses nothing else, so no answer mixes two revisions.

mod cedar;
mod decision;
mod direct;
mod explain;
mod filter;
mod formula;
mod gathered;
mod index;
mod only_stored;
mod search;
mod times;

use std::sync::Arc;

use arc_swap::ArcSwap;
use cedar_policy::Policy;

use cedar::{CedarRequest, Rule};
use decision::Evaluated;
pub use decision::{Decision, Outcome, PolicyError, PolicyNote};
use direct::View;
pub use explain::{Condition, ConditionOutcome, Explained};
pub use formula::{Atom, Formula, Part, parts};
use gathered::Gathered;
use index::{Bucket, Index, Reads, Side};
use only_stored::OnlyStored;
pub use search::{ActionSearch, EntitySearch, Search, Target};

use crate::request::case::Case;
use crate::request::place::Place;
use crate::request::stored::{Hierarchy, StoredEntities};
use crate::request::{Facts, InvalidRequest, Question, Resolved, TypedRequest, resolve};
use crate::store::masks::Sensitive;
use crate::store::schema::Types;
use crate::store::{Origin, Problem, Revision, Source, Statement, Store, StoreError};

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
    /// An id that no request, no policy and no stored entity can name, since nobody knows it.
    unnamed: String,
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
        let index = Index::build(&store)
            .map_err(|why| StoreError(vec![Problem::error(format!("what actions are in cannot be told: {why}"))]))?;
        let unnamed = unnamed()
            .map_err(|_| StoreError(vec![Problem::error("the operating system gives no random bytes".to_owned())]))?;
        Ok(Self { store, entities, index, unnamed })
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
        Ok(self.decide_resolved(&self.resolve_over(question, facts, entities)?, entities))
    }

    /// Makes a typed request of a question, over the store's own entities.
    ///
    /// # Errors
    ///
    /// A value of the wrong type in the question.
    pub fn resolve(&self, question: &Question<'_>, facts: Facts) -> Result<Resolved, InvalidRequest> {
        self.resolve_over(question, facts, &self.entities)
    }

    /// Makes a typed request of a question. What only the store may say, a policy reads, and the store does not say, since the principal
    /// or the resource is not stored, is missing: a `forbid` that asks for it would else be silent.
    ///
    /// # Errors
    ///
    /// What the request states and cannot mean.
    pub fn resolve_over(
        &self,
        question: &Question<'_>,
        facts: Facts,
        entities: &StoredEntities,
    ) -> Result<Resolved, InvalidRequest> {
        let mut resolved = resolve(question, &self.store.types, entities, facts)?;
        let Resolved::Request(request) = &mut resolved else { return Ok(resolved) };
        if let Some(bucket) = self.index.bucket(request.environment)
            && (!request.floored.is_empty() || entities.has_floored())
        {
            times::check(request, &bucket.reads, entities)?;
        }
        // The log says itself what was stored.
        if facts != Facts::Logged {
            let [principal, resource] = self.only_stored(request.environment);
            for (uid, read) in [(&request.principal.uid, principal), (&request.resource.uid, resource)] {
                if !read.is_empty() && entities.get(uid).is_none() {
                    request.missing.include(read);
                }
            }
        }
        Ok(resolved)
    }

    /// What only the store may say and policies of an environment read: of the principal, and of the resource.
    pub fn only_stored(&self, environment: usize) -> [&[Place]; 2] {
        let bucket = self.index.bucket(environment);
        let only_stored =
            bucket.map(|Bucket { only_stored: OnlyStored { principal, resource }, .. }| [principal, resource]);
        only_stored.map_or([&[]; 2], |sides| sides.map(Vec::as_slice))
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
        let hierarchy = Hierarchy::new(entities, request.said_parents());
        let (principal, resource) =
            (Side::of(&request.principal.uid, &hierarchy), Side::of(&request.resource.uid, &hierarchy));
        let policies = bucket.matching(&principal, &resource);
        let view =
            View { request, principal: &principal, action: &bucket.action, resource: &resource, hierarchy: &hierarchy };
        let (mut evaluated, left) = Evaluated::directly(policies, &view);
        if !left.is_empty() {
            let named = left.iter().flat_map(|policy| &policy.named);
            let references = bucket.reads.references;
            let gathered = Gathered::new(hierarchy.clone(), &self.index, named, references, &request.context);
            let cedar = gathered.and_then(|gathered| gathered.of(request, &principal, bucket, &resource));
            match cedar {
                Ok(cedar) => evaluated.ask(&left, &cedar),
                Err(message) => return Decision::failed(request, &message),
            }
        }
        Decision::evaluated(request, evaluated, &bucket.permits)
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
        let Ok(Resolved::Request(request)) = self.resolve_over(question, facts, entities) else {
            return Vec::new();
        };
        let Some(bucket) = self.index.bucket(request.environment) else { return Vec::new() };
        let Ok(cedar) = self.to_cedar(&request, bucket, &bucket.reads, entities) else { return Vec::new() };
        let evaluator = cedar.evaluator();
        let sensitive = Sensitive::of(&self.store.types);
        let mut explained: Vec<Explained> = decision
            .spoken_of()
            .filter_map(|note| {
                let statement = self.store.policies.iter().find(|policy| policy.id == note.id)?;
                Some(Explained::new(Arc::clone(note), statement, &evaluator, &sensitive))
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
        let Some(cedar) = cedar else { return Vec::new() };
        let evaluator = cedar.evaluator();
        formulas.map(|formula| formula.values(&evaluator)).collect()
    }

    /// Whether a policy that stands outside the store's policies, a row of the matrix say, matches a request.
    ///
    /// # Errors
    ///
    /// What went wrong when it was evaluated.
    pub fn matches(&self, matcher: &Matcher, case: &Case) -> Result<bool, String> {
        let cedar = self.asked(matcher, case)?;
        let evaluator = cedar.evaluator();
        matcher
            .rules
            .iter()
            .try_fold(false, |matches, rule| Ok(evaluator.holds(rule).map_err(|error| error.to_string())? || matches))
    }

    /// Whether any of the policies of the matcher matches a request; one that cannot be evaluated does not.
    pub fn matches_any(&self, matcher: &Matcher, case: &Case) -> bool {
        self.asked(matcher, case).is_ok_and(|cedar| {
            let evaluator = cedar.evaluator();
            matcher.rules.iter().any(|rule| evaluator.holds(rule) == Ok(true))
        })
    }

    fn asked(&self, matcher: &Matcher, case: &Case) -> Result<CedarRequest, String> {
        let bucket = self.index.bucket(case.request.environment).ok_or("no such environment")?;
        self.to_cedar(&case.request, bucket, &matcher.reads, &case.entities)
    }

    /// A request, with all that may be read for it.
    fn to_cedar(
        &self,
        request: &TypedRequest,
        bucket: &Bucket,
        Reads { named, references }: &Reads,
        stored: &StoredEntities,
    ) -> Result<CedarRequest, String> {
        let hierarchy = Hierarchy::new(stored, request.said_parents());
        let (principal, resource) =
            (Side::of(&request.principal.uid, &hierarchy), Side::of(&request.resource.uid, &hierarchy));
        Gathered::new(hierarchy.clone(), &self.index, named, *references, &request.context)?
            .of(request, &principal, bucket, &resource)
    }
}

/// So many random bytes nobody guesses.
const UNGUESSABLE: usize = 32;

fn unnamed() -> Result<String, ring::error::Unspecified> {
    let mut bytes = [0; UNGUESSABLE];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)?;
    Ok(hex::encode(bytes))
}

/// Policies that can be asked whether they match a request ([`Snapshot::matches`], [`Snapshot::matches_any`]).
#[derive(Clone, Debug)]
pub struct Matcher {
    rules: Vec<Rule>,
    reads: Reads,
}

impl Matcher {
    /// A matcher for one policy on the requests of a store with these types.
    pub fn new(policy: &Policy, types: &Types) -> Self {
        Self { rules: vec![Rule::whole(policy)], reads: Reads::of([policy], types) }
    }

    /// A matcher for statements of one store, which have ids of their own.
    pub fn of<'s>(statements: impl IntoIterator<Item = &'s Statement>, types: &Types) -> Self {
        let policies: Vec<_> = statements.into_iter().map(|statement| &statement.policy).collect();
        Self { rules: policies.iter().copied().map(Rule::whole).collect(), reads: Reads::of(policies, types) }
    }
}
