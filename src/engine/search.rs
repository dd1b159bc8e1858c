//! Searches: for which entities of a type, or for which actions, a question is allowed.
//!
//! The result is by definition what single decisions say: every candidate that [`super::filter`] cannot rule out is decided. What the
//! decisions have in common is made once ([`Prepared`]); where they have not, each is made as for any request.

use std::collections::BTreeMap;

use cedar_policy::{EntityId, EntityUid};
use cedar_policy_core::ast::Var;
use smol_str::SmolStr;

use super::Snapshot;
use super::decision::Evaluated;
use super::filter::{Candidate, Filter, Reader};
use super::gathered::Gathered;
use super::index::{Bucket, Reads, Side};
use crate::request::json::Members;
use crate::request::place::{Part, Participant, Way};
use crate::request::stored::{Hierarchy, Table};
use crate::request::value::{Decoder, Record, Speaker};
use crate::request::{Facts, Fault, InvalidRequest, Named, Question, Resolved, Time, TypedRequest, overlaid};
use crate::store::schema::{EntityType, Environment, PathRoot, RecordShape, Shape};

/// Which part of a question is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Who may do it.
    Principal,
    /// To what it may be done.
    Resource,
}

/// A search for entities. Its candidates are the stored entities of the type, in the order of their ids; of an enumerated type,
/// which needs no storing, all.
#[derive(Debug)]
pub struct EntitySearch<'a> {
    snapshot: &'a Snapshot,
    question: Question<'a>,
    target: Target,
    facts: Facts,
    candidates: Candidates<'a>,
    filter: Filter,
    prepared: Option<Prepared<'a>>,
    request: Option<Box<TypedRequest>>,
}

/// What is the same for every candidate but the other entity of the request.
#[derive(Debug)]
struct Prepared<'a> {
    bucket: &'a Bucket,
    other: EntityUid,
    entity_type: &'a EntityType,
    /// What the caller says of each candidate.
    said: Record,
    gathered: Gathered<'a>,
}

/// A search for actions, in the order of their names.
#[derive(Debug)]
pub struct ActionSearch<'a> {
    snapshot: &'a Snapshot,
    question: Question<'a>,
    /// `None` for one that is not looked for.
    names: Vec<Option<String>>,
    /// What of the question cannot be meant of an action, so that it is none that is allowed.
    refused: Vec<(String, InvalidRequest)>,
}

#[derive(Debug)]
enum Candidates<'a> {
    Stored(&'a Table),
    Listed(Vec<SmolStr>),
}

impl Snapshot {
    /// A search for the entities of the type that the question names as its target; the target's id is not looked at. What the
    /// question says of the target, it says of every candidate.
    ///
    /// What the schema does not know has no candidates.
    ///
    /// # Errors
    ///
    /// A value of the wrong type in the question, as for a single decision, whether there are candidates or not.
    pub fn search<'a>(
        &'a self,
        question: Question<'a>,
        target: Target,
        facts: Facts,
    ) -> Result<EntitySearch<'a>, InvalidRequest> {
        let mut search = EntitySearch {
            snapshot: self,
            question,
            target,
            facts,
            candidates: Candidates::Listed(Vec::new()),
            filter: Filter::none(),
            prepared: None,
            request: None,
        };
        let Some(entity_type) = self.store.types.entity(search.target().type_name) else { return Ok(search) };
        let example = self.example(entity_type, search.other());
        let asked = search.asked(example);
        let request = match self.resolve_untimed(&asked, facts, &self.entities)? {
            Resolved::Unknown(_) => return Ok(search),
            Resolved::Request(request) => request,
        };
        if let Err(error) = self.check_times(&asked, &request, &self.entities)
            && search.is_of_all(&error)
        {
            return Err(error);
        }
        if request.missing.named.iter().any(|place| !target.has(place.part)) {
            // What is missing is so for every candidate.
            search.request = Some(request);
            return Ok(search);
        }
        match (&entity_type.ids, self.entities.table(&entity_type.name)) {
            (Some(ids), _) => {
                let mut ids = ids.clone();
                ids.sort();
                search.candidates = Candidates::Listed(ids);
            }
            (None, Some(table)) => {
                search.candidates = Candidates::Stored(table);
                let says_hierarchy = request.parents().next().is_some() || !search.target().tags.is_empty();
                if !says_hierarchy {
                    search.prepared = self.prepared(&request, target, entity_type, search.target().attributes, facts);
                }
                if search.target().says_nothing() && !says_hierarchy {
                    search.filter = self.filter(&request, target, entity_type);
                }
            }
            (None, None) => {}
        }
        search.request = Some(request);
        Ok(search)
    }

    /// A search for the actions that the schema has for the types of the question; the question's own action is not looked at. An
    /// action for which a member of the context has the wrong type, or whose policies lead to times that cannot be told from one another, is
    /// none that is allowed. Found are those whose id or whole name
    /// passes, by the name that does.
    ///
    /// # Errors
    ///
    /// A value of the wrong type in what the question says of its principal and its resource.
    pub fn search_actions<'a>(
        &'a self,
        question: Question<'a>,
        passes: impl Fn(&str) -> bool,
    ) -> Result<ActionSearch<'a>, InvalidRequest> {
        let types = &self.store.types;
        let is = |environment: &Environment| {
            environment.principal.to_string() == question.principal.type_name
                && environment.resource.to_string() == question.resource.type_name
        };
        let question = Question { action_attributes: &[], ..question };
        let chosen = |name: String, environment: &Environment| match passes(&name) {
            true => Some(name),
            false => Some(environment.action.to_string()).filter(|whole| passes(whole)),
        };
        let (mut names, mut refused) = (BTreeMap::new(), Vec::new());
        for environment in types.environments.iter().filter(|found| is(found)) {
            let name = types.name_of_action(environment);
            let of_action = Question { action: &name, ..question };
            match self.resolve(&of_action, Facts::FromPlugins) {
                Ok(_) => {}
                Err(error) => {
                    // What is wrong without the context too is wrong for every action, but for what its policies lead to.
                    match self.resolve(&Question { context: &[], ..of_action }, Facts::FromPlugins) {
                        Err(wrong) if !wrong.is_led_to() => return Err(error),
                        _ => refused.extend(chosen(name, environment).map(|name| (name, error))),
                    }
                    continue;
                }
            }
            names.insert(name.clone(), chosen(name, environment));
        }
        Ok(ActionSearch { snapshot: self, question, names: names.into_values().collect(), refused })
    }

    /// What could be wrong with the question was found before the first candidate.
    fn allows(&self, question: &Question<'_>, facts: Facts) -> bool {
        self.decide(question, facts).is_ok_and(|decision| decision.allowed)
    }

    /// An id that stands for all candidates: one that nobody can name. Of an enumerated type, of whose entities nothing can be said, it
    /// is one that is not the other entity, if there is one.
    fn example<'i>(&'i self, entity_type: &'i EntityType, other: &Named<'_>) -> &'i str {
        let ids = entity_type.ids.as_deref().unwrap_or_default();
        let is_other = |id: &str| (other.type_name, other.id) == (entity_type.full_name.as_str(), id);
        let listed = ids.iter().find(|id| !is_other(id)).or_else(|| ids.first());
        listed.map_or(&self.unnamed, SmolStr::as_str)
    }

    fn filter(&self, request: &TypedRequest, target: Target, entity_type: &EntityType) -> Filter {
        let environment = self.store.types.environments.get(request.environment);
        let (Some(environment), Some(bucket)) = (environment, self.index.bucket(request.environment)) else {
            return Filter::none();
        };
        let Ok(cedar) = self.to_cedar(request, bucket, &bucket.reads, &self.entities) else { return Filter::none() };
        let reader = Reader {
            evaluator: &cedar.evaluator(),
            target: match target {
                Target::Principal => Var::Principal,
                Target::Resource => Var::Resource,
            },
            shape: &entity_type.attributes,
            context_varies: depends_on(&environment.context, target.root()),
            stored: &self.entities,
        };
        let policies = bucket.policies.iter().filter_map(|policy| self.store.policies.get(policy.statement));
        Filter::new(policies, &reader)
    }

    /// `None` where candidates have less in common: where a plugin reads the context by each of them, where what is said of them lacks
    /// something, lies beside what only the store may say or has to refer to what is stored, where times are to be compared, or so much is missing that it is not all
    /// named.
    fn prepared<'a>(
        &'a self,
        request: &TypedRequest,
        target: Target,
        entity_type: &'a EntityType,
        said: Members<'_>,
        facts: Facts,
    ) -> Option<Prepared<'a>> {
        let environment = self.store.types.environments.get(request.environment)?;
        let has_own = request.missing.more > 0
            || depends_on(&environment.context, target.root())
            || (entity_type.stores_within || entity_type.has_must_exist) && !said.is_empty()
            || !request.floored.is_empty()
            || self.entities.has_floored();
        if has_own {
            return None;
        }
        let bucket = self.index.bucket(request.environment)?;
        let other = match target {
            Target::Principal => &request.resource,
            Target::Resource => &request.principal,
        };
        let mut decoder = Decoder::new(&self.store.types, facts, Speaker::Caller);
        let said = decoder.members(&entity_type.attributes, said, &Way::Part(Part::Resource)).ok()?;
        if !decoder.missing.is_empty() {
            return None;
        }
        let Reads { named, references } = &bucket.reads;
        let hierarchy = Hierarchy::of_store(&self.entities);
        let of_other = Side::of(&other.uid, &hierarchy);
        let mut gathered = Gathered::new(hierarchy.clone(), &self.index, named, *references, &request.context).ok()?;
        gathered.add(&of_other, other).ok()?;
        gathered.reach().ok()?;
        Some(Prepared { bucket, other: other.uid.clone(), entity_type, said, gathered })
    }

    /// Whether a stored candidate is allowed; `None` where it cannot be evaluated, which denies.
    fn allows_prepared(&self, prepared: &Prepared<'_>, target: Target, id: &str) -> Option<bool> {
        let uid = EntityUid::from_type_name_and_id(prepared.entity_type.name.clone(), EntityId::new(id));
        let candidate = overlaid(uid, prepared.said.clone(), prepared.entity_type, &self.entities);
        let mut gathered = prepared.gathered.clone();
        let hierarchy = Hierarchy::of_store(&self.entities);
        let (other, own) = (Side::of(&prepared.other, &hierarchy), Side::of(&candidate.uid, &hierarchy));
        gathered.add(&own, &candidate).ok()?;
        gathered.reach().ok()?;
        let (principal, resource) = match target {
            Target::Principal => (own, other),
            Target::Resource => (other, own),
        };
        let policies = prepared.bucket.matching(&principal, &resource);
        let cedar = gathered.request(principal.uid, prepared.bucket, resource.uid).ok()?;
        let mut evaluated = Evaluated::default();
        evaluated.ask(&policies, &cedar);
        Some(evaluated.allows())
    }
}

impl Target {
    /// Whether a part of a request is one of the searched entity.
    fn has(self, part: Part) -> bool {
        let of = match self {
            Self::Principal => Participant::Principal,
            Self::Resource => Participant::Resource,
        };
        part.participant() == Some(of)
    }

    fn root(self) -> PathRoot {
        match self {
            Self::Principal => PathRoot::Principal,
            Self::Resource => PathRoot::Resource,
        }
    }
}

/// Whether what a plugin reads in it depends on the entity there.
fn depends_on(record: &RecordShape, root: PathRoot) -> bool {
    fn shape_depends_on(shape: &Shape, root: PathRoot) -> bool {
        match shape {
            Shape::Parsed(parsed) => parsed.arguments.iter().flatten().any(|path| path.root == root),
            Shape::Record(record) => depends_on(record, root),
            Shape::Set(element) => shape_depends_on(element, root),
            _ => false,
        }
    }
    record.0.values().any(|field| shape_depends_on(&field.shape, root))
}

/// A search: candidates in an order that is the same for as long as the revision is the same.
pub trait Search {
    /// How many candidates there are.
    fn candidates(&self) -> usize;

    /// The candidate at that place in the order, by its id or name; `None` where it is sure not to be allowed.
    fn candidate(&self, place: usize) -> Option<&str>;

    /// The candidate at that place, allowed or not.
    fn name(&self, place: usize) -> Option<&str>;

    /// Whether the question is allowed for that candidate: what a single decision says.
    fn allows(&self, candidate: &str) -> bool;
}

impl Search for EntitySearch<'_> {
    fn candidates(&self) -> usize {
        match &self.candidates {
            Candidates::Stored(table) => table.len(),
            Candidates::Listed(ids) => ids.len(),
        }
    }

    fn candidate(&self, place: usize) -> Option<&str> {
        match &self.candidates {
            Candidates::Stored(table) => {
                let (id, entity) = table.at(place)?;
                let candidate = Candidate { table, id, entity };
                let may_be = self.is_the_other(id) || self.filter.may_allow(candidate, &self.snapshot.entities);
                may_be.then_some(id)
            }
            Candidates::Listed(ids) => ids.get(place).map(SmolStr::as_str),
        }
    }

    fn name(&self, place: usize) -> Option<&str> {
        match &self.candidates {
            Candidates::Stored(table) => table.at(place).map(|(id, _)| id.as_str()),
            Candidates::Listed(ids) => ids.get(place).map(SmolStr::as_str),
        }
    }

    fn allows(&self, candidate: &str) -> bool {
        match self.prepared.as_ref().filter(|_| !self.is_the_other(candidate)) {
            Some(prepared) => self.snapshot.allows_prepared(prepared, self.target, candidate) == Some(true),
            None => self.snapshot.allows(&self.asked(candidate), self.facts),
        }
    }
}

impl Search for ActionSearch<'_> {
    fn candidates(&self) -> usize {
        self.names.len()
    }

    fn candidate(&self, place: usize) -> Option<&str> {
        self.names.get(place)?.as_deref()
    }

    fn name(&self, place: usize) -> Option<&str> {
        self.candidate(place)
    }

    fn allows(&self, candidate: &str) -> bool {
        self.snapshot.allows(&self.asked(candidate), Facts::FromPlugins)
    }
}

impl<'a> ActionSearch<'a> {
    /// The actions of which the question cannot be meant, and why.
    pub fn refused(&self) -> &[(String, InvalidRequest)] {
        &self.refused
    }

    /// The question for one action.
    pub fn asked<'q>(&self, name: &'q str) -> Question<'q>
    where
        'a: 'q,
    {
        Question { action: name, ..self.question }
    }
}

impl<'a> EntitySearch<'a> {
    /// What is asked of each candidate, with an entity in their place of which nothing is stored; `None` where the schema does not know
    /// it.
    pub fn request(&self) -> Option<&TypedRequest> {
        self.request.as_deref()
    }

    /// Whether a plugin reads the context by the candidate, so that its facts are not the same for all.
    pub fn reads_context_by_candidate(&self) -> bool {
        let environments = &self.snapshot.store.types.environments;
        let environment = self.request().and_then(|request| environments.get(request.environment));
        environment.is_some_and(|environment| depends_on(&environment.context, self.target.root()))
    }

    fn target(&self) -> &Named<'a> {
        match self.target {
            Target::Principal => &self.question.principal,
            Target::Resource => &self.question.resource,
        }
    }

    /// The question for one candidate.
    fn asked<'q>(&self, id: &'q str) -> Question<'q>
    where
        'a: 'q,
    {
        let mut question = self.question;
        match self.target {
            Target::Principal => question.principal.id = id,
            Target::Resource => question.resource.id = id,
        }
        question
    }

    /// Whether what is wrong with the example is wrong with every candidate. Of two times that cannot be told from one another, one may be
    /// stored of a candidate, over which the caller says another.
    fn is_of_all(&self, error: &InvalidRequest) -> bool {
        let Fault::TooFine(times) = &error.fault else { return true };
        let other_is_as_stored = self.target().says_nothing() || self.target().type_name != self.other().type_name;
        times.iter().all(|time| match time {
            Time::Sent(_) => true,
            Time::Stored(place) => !self.target.has(place.part) && other_is_as_stored,
            Time::Elsewhere => false,
        })
    }

    /// Whether the candidate is the entity that the question names besides.
    fn is_the_other(&self, id: &str) -> bool {
        (self.other().type_name, self.other().id) == (self.target().type_name, id)
    }

    /// The entity that the question names besides.
    fn other(&self) -> &Named<'a> {
        match self.target {
            Target::Principal => &self.question.resource,
            Target::Resource => &self.question.principal,
        }
    }
}
