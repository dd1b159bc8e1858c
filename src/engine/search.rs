//! Searches: for which entities of a type, or for which actions, a question is allowed.
//!
//! The result is by definition what single decisions say: every candidate that [`super::filter`] cannot rule out is decided as any
//! request is.

use std::collections::BTreeSet;

use cedar_policy_core::ast::Var;
use smol_str::SmolStr;

use super::Snapshot;
use super::filter::{Candidate, Filter, Reading};
use crate::request::place::Part;
use crate::request::stored::Table;
use crate::request::{Facts, InvalidRequest, Named, Question, Resolved, TypedRequest, resolve};
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
    candidates: Candidates<'a>,
    filter: Filter,
}

/// A search for actions, in the order of their names.
#[derive(Debug)]
pub struct ActionSearch<'a> {
    snapshot: &'a Snapshot,
    question: Question<'a>,
    names: Vec<String>,
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
    pub fn search<'a>(&'a self, question: Question<'a>, target: Target) -> Result<EntitySearch<'a>, InvalidRequest> {
        let mut search = EntitySearch {
            snapshot: self,
            question,
            target,
            candidates: Candidates::Listed(Vec::new()),
            filter: Filter::none(),
        };
        let Some(entity_type) = self.store.types.entity(search.target().type_name) else { return Ok(search) };
        let example = self.example(entity_type);
        let request = match resolve(&search.asked(&example), &self.store.types, &self.entities, Facts::FromPlugins)? {
            Resolved::Unknown(_) => return Ok(search),
            Resolved::Request(request) => request,
        };
        let own = match target {
            Target::Principal => Part::Principal,
            Target::Resource => Part::Resource,
        };
        if request.missing.named.iter().any(|place| place.part != own) {
            // What is missing is so for every candidate.
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
                if search.target().attributes.is_empty() {
                    search.filter = self.filter(&request, target, entity_type);
                }
            }
            (None, None) => {}
        }
        Ok(search)
    }

    /// A search for the actions that the schema has for the types of the question; the question's own action is not looked at. An
    /// action for which a member of the context has the wrong type is none that is allowed.
    ///
    /// # Errors
    ///
    /// A value of the wrong type in what the question says of its principal and its resource.
    pub fn search_actions<'a>(&'a self, question: Question<'a>) -> Result<ActionSearch<'a>, InvalidRequest> {
        let types = &self.store.types;
        let is = |environment: &Environment| {
            environment.principal.to_string() == question.principal.type_name
                && environment.resource.to_string() == question.resource.type_name
        };
        let question = Question { action_attributes: &[], ..question };
        let mut names = BTreeSet::new();
        for environment in types.environments.iter().filter(|found| is(found)) {
            let name = types.name_of_action(environment);
            match resolve(&Question { action: &name, ..question }, types, &self.entities, Facts::FromPlugins) {
                Ok(_) => drop(names.insert(name)),
                Err(error) if error.place.part == Part::Context => {}
                Err(error) => return Err(error),
            }
        }
        Ok(ActionSearch { snapshot: self, question, names: names.into_iter().collect() })
    }

    /// What could be wrong with the question was found before the first candidate.
    fn allows(&self, question: &Question<'_>) -> bool {
        self.decide(question, Facts::FromPlugins).is_ok_and(|decision| decision.allowed)
    }

    /// An id that stands for all candidates: one of which nothing is stored.
    fn example(&self, entity_type: &EntityType) -> String {
        if let Some(first) = entity_type.ids.as_ref().and_then(|ids| ids.first()) {
            return first.to_string();
        }
        let table = self.entities.table(&entity_type.name);
        let mut id = "-".to_owned();
        while table.is_some_and(|table| table.get(&id).is_some()) {
            id.push('-');
        }
        id
    }

    fn filter(&self, request: &TypedRequest, target: Target, entity_type: &EntityType) -> Filter {
        let environment = self.store.types.environments.get(request.environment);
        let (Some(environment), Some(bucket)) = (environment, self.index.bucket(request.environment)) else {
            return Filter::none();
        };
        let Ok(cedar) = self.to_cedar(request, bucket, &bucket.named, &self.entities) else { return Filter::none() };
        let (variable, root) = match target {
            Target::Principal => (Var::Principal, PathRoot::Principal),
            Target::Resource => (Var::Resource, PathRoot::Resource),
        };
        let reading = Reading {
            cedar: &cedar,
            target: variable,
            shape: &entity_type.attributes,
            context_varies: depends_on(&environment.context, root),
            stored: &self.entities,
        };
        Filter::new(bucket.statements.iter().filter_map(|index| self.store.policies.get(*index)), &reading)
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

    fn allows(&self, candidate: &str) -> bool {
        self.snapshot.allows(&self.asked(candidate))
    }
}

impl Search for ActionSearch<'_> {
    fn candidates(&self) -> usize {
        self.names.len()
    }

    fn candidate(&self, place: usize) -> Option<&str> {
        self.names.get(place).map(String::as_str)
    }

    fn allows(&self, candidate: &str) -> bool {
        self.snapshot.allows(&Question { action: candidate, ..self.question })
    }
}

impl ActionSearch<'_> {
    /// The search for those actions only whose names pass.
    #[must_use]
    pub fn only(mut self, passes: impl Fn(&str) -> bool) -> Self {
        self.names.retain(|name| passes(name));
        self
    }
}

impl<'a> EntitySearch<'a> {
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

    /// Whether the candidate is the entity that the question names besides.
    fn is_the_other(&self, id: &str) -> bool {
        let other = match self.target {
            Target::Principal => &self.question.resource,
            Target::Resource => &self.question.principal,
        };
        (other.type_name, other.id) == (self.target().type_name, id)
    }
}
