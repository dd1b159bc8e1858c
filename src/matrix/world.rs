//! One representative request: the principal, the resource, the context and the entities that a choice for each dimension
//! makes.
//!
//! Two places can be one: where `principal.account` is the resource, `principal.account.kind` is `resource.kind`. Choices
//! that contradict each other make no request, and neither do choices about what is not there, but for the first of
//! them; so every request is made once.

use std::collections::BTreeMap;

use cedar_policy::EntityUid;
use smol_str::SmolStr;

use super::domain::{Choice, Domains};
use super::reads::{Dimension, Root, Slot, Step};
use crate::request::case::{Case, direct_parents};
use crate::request::stored::StoredEntity;
use crate::request::value::{Record, Value};
use crate::store::schema::{RecordShape, Shape, Types};

/// A dimension, and which of its choices is taken.
pub(super) struct Taken<'a> {
    pub(super) dimension: &'a Dimension,
    pub(super) index: usize,
    pub(super) choice: &'a Choice,
}

/// Makes the request of an environment in which these choices are taken, given in the order of the dimensions; `None`
/// where they contradict each other.
pub(super) fn build<'a>(
    environment: usize,
    domains: &Domains<'_>,
    types: &Types,
    taken: impl Iterator<Item = Taken<'a>>,
) -> Option<Case> {
    let mut world = World {
        principal: domains.subject(&Root::Principal)?,
        resource: domains.subject(&Root::Resource)?,
        context: BTreeMap::new(),
        entities: BTreeMap::new(),
    };
    for Taken { dimension, index, choice } in taken {
        match (dimension, choice) {
            (Dimension::Value(slot), Choice::Value(Value::Entity(uid))) if slot.steps.is_empty() => match slot.root {
                Root::Principal => world.principal = uid.clone(),
                Root::Resource => world.resource = uid.clone(),
                Root::Context | Root::Entity(_) => return None,
            },
            (Dimension::Value(slot), choice) => world.put(slot, index, choice)?,
            (Dimension::Parents(slot), Choice::Parents(parents)) => world.put_parents(slot, index, parents)?,
            (Dimension::Parents(_), _) => return None,
        }
    }
    world.finish(environment, domains, types)
}

struct World {
    principal: EntityUid,
    resource: EntityUid,
    context: Cells,
    entities: BTreeMap<EntityUid, Draft>,
}

/// An entity, as far as it has been chosen.
#[derive(Default)]
struct Draft {
    attributes: Cells,
    tags: Cells,
    parents: Option<Vec<EntityUid>>,
}

type Cells = BTreeMap<SmolStr, Cell>;

/// A value, as far as it has been chosen.
#[derive(PartialEq)]
enum Cell {
    Absent,
    Value(Value),
    Record(Cells),
}

/// Where a slot is in a world: in an entity, or in the context, and the way from there.
struct Address<'a> {
    holder: Option<EntityUid>,
    steps: Vec<&'a Step>,
}

impl World {
    /// `None` where it contradicts what was put before.
    fn put(&mut self, slot: &Slot, index: usize, choice: &Choice) -> Option<()> {
        let Some(address) = self.address(slot) else { return (index == 0).then_some(()) };
        let cell = match choice {
            Choice::Absent => Cell::Absent,
            Choice::Present => Cell::Record(Cells::new()),
            Choice::Value(value) => Cell::Value(value.clone()),
            Choice::Parents(_) => return None,
        };
        self.write(&address, cell)
    }

    fn put_parents(&mut self, slot: &Slot, index: usize, parents: &[EntityUid]) -> Option<()> {
        let Some(uid) = self.entity_at(slot) else { return (index == 0).then_some(()) };
        if parents.contains(&uid) {
            return None;
        }
        let draft = self.entities.entry(uid).or_default();
        match &draft.parents {
            Some(before) => (before == parents).then_some(()),
            None => {
                draft.parents = Some(parents.to_vec());
                Some(())
            }
        }
    }

    fn entity_at(&self, slot: &Slot) -> Option<EntityUid> {
        let address = self.address(slot)?;
        if address.steps.is_empty() {
            return address.holder;
        }
        self.reference(&address).cloned()
    }

    /// Where a slot is; `None` where something on the way is absent.
    fn address<'a>(&self, slot: &'a Slot) -> Option<Address<'a>> {
        let holder = match &slot.root {
            Root::Principal => Some(self.principal.clone()),
            Root::Resource => Some(self.resource.clone()),
            Root::Entity(uid) => Some(uid.clone()),
            Root::Context => None,
        };
        let mut address = Address { holder, steps: Vec::new() };
        for step in &slot.steps {
            match self.cell(&address) {
                Some(Cell::Absent) => return None,
                Some(Cell::Value(Value::Entity(uid))) => {
                    address = Address { holder: Some(uid.clone()), steps: vec![step] };
                }
                _ => address.steps.push(step),
            }
        }
        Some(address)
    }

    fn reference(&self, address: &Address<'_>) -> Option<&EntityUid> {
        match self.cell(address)? {
            Cell::Value(Value::Entity(uid)) => Some(uid),
            _ => None,
        }
    }

    fn cell(&self, address: &Address<'_>) -> Option<&Cell> {
        let (first, rest) = address.steps.split_first()?;
        let draft = address.holder.as_ref().map(|uid| self.entities.get(uid));
        let start = match (draft, first) {
            (None, Step::Attribute(name)) => self.context.get(name),
            (Some(draft), Step::Attribute(name)) => draft?.attributes.get(name),
            (Some(draft), Step::Tag(key)) => draft?.tags.get(key),
            (None, Step::Tag(_)) => None,
        };
        rest.iter().try_fold(start?, |cell, step| match (cell, step) {
            (Cell::Record(cells), Step::Attribute(name)) => cells.get(name),
            (Cell::Absent, _) => Some(cell),
            _ => None,
        })
    }

    fn write(&mut self, address: &Address<'_>, cell: Cell) -> Option<()> {
        let mut cells = match (&address.holder, address.steps.first()?) {
            (None, _) => &mut self.context,
            (Some(uid), Step::Attribute(_)) => &mut self.entities.entry(uid.clone()).or_default().attributes,
            (Some(uid), Step::Tag(_)) => &mut self.entities.entry(uid.clone()).or_default().tags,
        };
        let (Step::Attribute(last) | Step::Tag(last), before) = address.steps.split_last()?;
        for Step::Attribute(name) | Step::Tag(name) in before {
            match cells.entry(name.clone()).or_insert_with(|| Cell::Record(Cells::new())) {
                Cell::Record(inner) => cells = inner,
                _ => return None,
            }
        }
        match (cells.get(last), &cell) {
            (None, _) => drop(cells.insert(last.clone(), cell)),
            (Some(Cell::Record(_)), Cell::Record(_)) => {}
            (Some(before), _) => return (*before == cell).then_some(()),
        }
        Some(())
    }

    fn finish(mut self, environment: usize, domains: &Domains<'_>, types: &Types) -> Option<Case> {
        let chosen: BTreeMap<EntityUid, Vec<EntityUid>> =
            self.entities.iter().filter_map(|(uid, draft)| Some((uid.clone(), draft.parents.clone()?))).collect();
        for (uid, parents) in direct_parents(&chosen, types)? {
            for parent in &parents {
                self.entities.entry(parent.clone()).or_default();
            }
            self.entities.entry(uid).or_default().parents = Some(parents);
        }
        for uid in [&self.principal, &self.resource] {
            self.entities.entry(uid.clone()).or_default();
        }
        let context = complete(&types.environments.get(environment)?.context, &self.context, domains)?;
        let mut entities = BTreeMap::new();
        for (uid, draft) in self.entities {
            let entity_type = types.entity_of(uid.type_name())?;
            let mut entity = StoredEntity::new(complete(&entity_type.attributes, &draft.attributes, domains)?);
            for (key, cell) in &draft.tags {
                if let Some(tag) = completed(entity_type.tags.as_ref()?, cell, domains)? {
                    entity.tags.insert(key.clone(), tag);
                }
            }
            entity.parents = draft.parents.unwrap_or_default();
            entities.insert(uid, entity);
        }
        Case::new(environment, self.principal, self.resource, context, entities)
    }
}

/// The record, with a plain value for every required field that was not chosen; `None` where a choice does not fit.
fn complete(shape: &RecordShape, cells: &Cells, domains: &Domains<'_>) -> Option<Record> {
    let mut record = Record::new();
    for (name, field) in &shape.0 {
        let value = match cells.get(name) {
            Some(cell) => completed(&field.shape, cell, domains)?,
            None => field.required.then(|| domains.plain(&field.shape)),
        };
        if let Some(value) = value {
            record.insert(name.clone(), value);
        }
    }
    Some(record)
}

/// What was chosen: a value, or that there is none; `None` where a record was chosen for what is no record.
fn completed(shape: &Shape, cell: &Cell, domains: &Domains<'_>) -> Option<Option<Value>> {
    match (cell, shape) {
        (Cell::Absent, _) => Some(None),
        (Cell::Value(value), _) => Some(Some(value.clone())),
        (Cell::Record(cells), Shape::Record(record)) => Some(Some(Value::Record(complete(record, cells, domains)?))),
        (Cell::Record(cells), Shape::Parsed(parsed)) => {
            Some(Some(Value::Record(complete(&parsed.facts, cells, domains)?)))
        }
        (Cell::Record(_), _) => None,
    }
}
