//! Stored entities: what `entities/*.json` says about subjects and resources before a caller says anything.

mod ancestors;
mod hierarchy;
mod packed;
mod reading;
mod warnings;

use std::sync::Arc;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use hashbrown::{HashMap, HashSet};
use smol_str::SmolStr;

pub use ancestors::Ancestors;
pub use hierarchy::Hierarchy;
pub use packed::{NotStored, Packed, PackedEntity, Reading, Slots, Table};

use super::value::{Record, Value};

/// The stored entities: those of a store, packed, and over them those that came one by one.
#[derive(Clone, Debug, Default)]
pub struct StoredEntities {
    tables: Arc<HashMap<EntityTypeName, Table>>,
    own: HashMap<EntityUid, StoredEntity>,
    /// The store's entities with times that say more than Cedar's milliseconds.
    floored: Arc<HashSet<EntityUid>>,
}

/// One stored entity.
#[derive(Clone, Debug)]
pub struct StoredEntity {
    /// The attributes as they were written: raw strings are not read yet, because a caller's attributes may change what a
    /// plugin reads in them.
    pub raw: Record,
    /// The attributes with the facts that the plugins read, for where no caller says otherwise.
    pub attributes: Record,
    /// The tags as they were written.
    pub raw_tags: Record,
    /// The tags with the facts that the plugins read.
    pub tags: Record,
    /// The direct parents.
    pub parents: Vec<EntityUid>,
    /// Whether a time in it says more than Cedar's milliseconds.
    pub floored: bool,
}

/// A stored entity where it lies.
#[derive(Clone, Copy, Debug)]
pub enum Stored<'a> {
    /// One that came by itself.
    Own(&'a StoredEntity),
    /// One of the store's.
    Packed(&'a Table, &'a PackedEntity),
}

impl StoredEntity {
    /// An entity whose attributes are facts, without tags and parents.
    pub fn new(attributes: Record) -> Self {
        Self {
            raw: attributes.clone(),
            attributes,
            raw_tags: Record::new(),
            tags: Record::new(),
            parents: Vec::new(),
            floored: false,
        }
    }

    /// The same with these tags, which are facts, and these direct parents.
    #[must_use]
    pub fn with(self, tags: Record, parents: Vec<EntityUid>) -> Self {
        Self { raw_tags: tags.clone(), tags, parents, ..self }
    }
}

impl Stored<'_> {
    /// The attributes as they were written.
    pub fn raw(self) -> Record {
        self.raw_under(Record::new())
    }

    /// The same, but for those that are said to be otherwise, in attributes of its type.
    pub fn raw_under(self, said: Record) -> Record {
        match self {
            Self::Own(entity) => {
                let mut raw = entity.raw.clone();
                raw.extend(said);
                raw
            }
            Self::Packed(table, entity) => entity.record(&table.entity_type, Reading::Raw, said),
        }
    }

    /// The attributes with the facts that the plugins read.
    pub fn attributes(self) -> Record {
        match self {
            Self::Own(entity) => entity.attributes.clone(),
            Self::Packed(table, entity) => entity.record(&table.entity_type, Reading::Facts, Record::new()),
        }
    }

    /// The tags with the facts that the plugins read.
    pub fn tags(self) -> Record {
        match self {
            Self::Own(entity) => entity.tags.clone(),
            Self::Packed(table, entity) => entity.tags(&table.entity_type, Reading::Facts),
        }
    }

    /// The tags as they were written.
    pub fn raw_tags(self) -> Record {
        match self {
            Self::Own(entity) => entity.raw_tags.clone(),
            Self::Packed(table, entity) => entity.tags(&table.entity_type, Reading::Raw),
        }
    }

    /// The direct parents.
    pub fn parents(self) -> impl Iterator<Item = EntityUid> {
        let (own, packed) = match self {
            Self::Own(entity) => (Some(entity.parents.iter().cloned()), None),
            Self::Packed(table, entity) => (None, Some(entity.parents(&table.entity_type))),
        };
        own.into_iter().flatten().chain(packed.into_iter().flatten())
    }

    /// The entity by itself.
    pub fn to_entity(self) -> StoredEntity {
        StoredEntity {
            raw: self.raw(),
            attributes: self.attributes(),
            raw_tags: self.raw_tags(),
            tags: self.tags(),
            parents: self.parents().collect(),
            floored: false,
        }
    }
}

impl StoredEntities {
    /// The stored entity of that uid. What it costs does not depend on how many are stored.
    pub fn get(&self, uid: &EntityUid) -> Option<Stored<'_>> {
        if let Some(entity) = self.own.get(uid) {
            return Some(Stored::Own(entity));
        }
        let table = self.tables.get(uid.type_name())?;
        Some(Stored::Packed(table, table.get(uid.id().as_ref())?))
    }

    /// Whether any time that is stored says more than Cedar's milliseconds.
    pub fn has_floored(&self) -> bool {
        !self.floored.is_empty() || self.own.values().any(|entity| entity.floored)
    }

    /// Everything that an entity is in.
    pub fn ancestors(&self, uid: &EntityUid) -> Ancestors {
        let mut found: Ancestors = self.get(uid).into_iter().flat_map(Stored::parents).collect();
        let mut looked_at = 0;
        while let Some(stored) = found.iter().nth(looked_at).map(|next| self.get(next)) {
            stored.into_iter().flat_map(Stored::parents).for_each(|parent| found.insert(parent));
            looked_at += 1;
        }
        found
    }

    /// How many are stored.
    pub fn len(&self) -> usize {
        let hidden = self.own.keys().filter(|uid| self.is_packed(uid)).count();
        self.tables.values().map(Table::len).sum::<usize>() + self.own.len() - hidden
    }

    /// Whether none is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The store's entities of that type.
    pub fn table(&self, name: &EntityTypeName) -> Option<&Table> {
        self.tables.get(name)
    }

    /// These entities; `None` where one is its own ancestor.
    pub fn acyclic(entities: impl IntoIterator<Item = (EntityUid, StoredEntity)>) -> Option<Self> {
        let all = Self { own: entities.into_iter().collect(), ..Self::default() };
        all.cycle().is_none().then_some(all)
    }

    /// Every entity, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (EntityUid, Stored<'_>)> {
        let own = self.own.iter().map(|(uid, entity)| (uid.clone(), Stored::Own(entity)));
        let packed = self.tables.iter().flat_map(|(name, table)| {
            table.iter().map(move |(id, entity)| (uid(name, id), Stored::Packed(table, entity)))
        });
        own.chain(packed.filter(|(uid, _)| !self.own.contains_key(uid)))
    }

    /// These, and over them the entities of `others` that came one by one.
    #[must_use]
    pub fn with(&self, others: &Self) -> Self {
        let mut all = self.clone();
        all.own.extend(others.own.iter().map(|(uid, entity)| (uid.clone(), entity.clone())));
        all
    }

    /// Whether the same is stored here and there.
    pub fn same(&self, others: &Self) -> bool {
        let is_there = |(uid, stored): (EntityUid, Stored<'_>)| {
            let of = |stored: Stored<'_>| (stored.raw(), stored.raw_tags(), stored.parents().collect::<Vec<_>>());
            others.get(&uid).is_some_and(|other| of(stored) == of(other))
        };
        self.len() == others.len() && self.iter().all(is_there)
    }

    fn is_packed(&self, uid: &EntityUid) -> bool {
        self.tables.get(uid.type_name()).is_some_and(|table| table.get(uid.id().as_ref()).is_some())
    }

    /// Entities of which each has the next for a parent, and the last the first; `None` where there are no such. Each entity is
    /// looked at once.
    fn cycle(&self) -> Option<Vec<EntityUid>> {
        let mut done = HashSet::new();
        for (start, _) in self.iter() {
            // The way from `start`, each with the parents that are still to be followed.
            let mut way: Vec<(EntityUid, Vec<EntityUid>)> = Vec::new();
            let mut on_the_way = HashSet::new();
            let mut next = Some(start);
            loop {
                if let Some(uid) = next.take().filter(|uid| !done.contains(uid)) {
                    if !on_the_way.insert(uid.clone()) {
                        return Some(way.into_iter().map(|(uid, _)| uid).skip_while(|on| *on != uid).collect());
                    }
                    let parents = self.get(&uid).into_iter().flat_map(Stored::parents).collect();
                    way.push((uid, parents));
                }
                let Some((_, parents)) = way.last_mut() else { break };
                next = parents.pop();
                if next.is_none()
                    && let Some((uid, _)) = way.pop()
                {
                    on_the_way.remove(&uid);
                    done.insert(uid);
                }
            }
        }
        None
    }
}

fn uid(name: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id))
}

/// Every entity that a value refers to.
pub fn references<'a>(value: &'a Value, found: &mut Vec<&'a EntityUid>) {
    match value {
        Value::Entity(uid) => found.push(uid),
        Value::Set(elements) => elements.iter().for_each(|element| references(element, found)),
        Value::Record(record) => record.values().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// The id of an entity, as it is kept.
fn id(uid: &EntityUid) -> SmolStr {
    AsRef::<str>::as_ref(uid.id()).into()
}
