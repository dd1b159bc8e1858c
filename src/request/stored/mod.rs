//! Stored entities: what `entities/*.json` says about subjects and resources before a caller says anything.

mod packed;
mod reading;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use smol_str::SmolStr;

pub use packed::{Packed, PackedEntity, Reading, Table};

use super::value::{Record, Value};

/// The stored entities: those of a store, packed, and over them those that came one by one.
#[derive(Clone, Debug, Default)]
pub struct StoredEntities {
    tables: Arc<BTreeMap<EntityTypeName, Table>>,
    own: HashMap<EntityUid, StoredEntity>,
}

/// One stored entity.
#[derive(Clone, Debug)]
pub struct StoredEntity {
    /// The attributes as they were written: raw strings are not read yet, because a caller's attributes may change what a
    /// plugin reads in them.
    pub raw: Record,
    /// The attributes with the facts that the plugins read, for where no caller says otherwise.
    pub attributes: Record,
    /// The tags.
    pub tags: Record,
    /// The direct parents.
    pub parents: Vec<EntityUid>,
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
        Self { raw: attributes.clone(), attributes, tags: Record::new(), parents: Vec::new() }
    }
}

impl<'a> Stored<'a> {
    /// The attributes as they were written.
    pub fn raw(self) -> Record {
        match self {
            Self::Own(entity) => entity.raw.clone(),
            Self::Packed(table, entity) => entity.record(&table.entity_type, Reading::Raw),
        }
    }

    /// The attributes with the facts that the plugins read.
    pub fn attributes(self) -> Record {
        match self {
            Self::Own(entity) => entity.attributes.clone(),
            Self::Packed(table, entity) => entity.record(&table.entity_type, Reading::Facts),
        }
    }

    /// The tags.
    pub fn tags(self) -> Record {
        match self {
            Self::Own(entity) => entity.tags.clone(),
            Self::Packed(table, entity) => entity.tags(&table.entity_type),
        }
    }

    /// The direct parents.
    pub fn parents(self) -> &'a [EntityUid] {
        match self {
            Self::Own(entity) => &entity.parents,
            Self::Packed(_, entity) => entity.parents(),
        }
    }

    /// The entity by itself.
    pub fn to_entity(self) -> StoredEntity {
        StoredEntity {
            raw: self.raw(),
            attributes: self.attributes(),
            tags: self.tags(),
            parents: self.parents().to_vec(),
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

    /// The entity, and everything that it is in.
    pub fn with_ancestors(&self, uid: EntityUid) -> HashSet<EntityUid> {
        let mut found = HashSet::new();
        let mut open = vec![uid];
        while let Some(next) = open.pop() {
            if !found.contains(&next) {
                open.extend(self.get(&next).into_iter().flat_map(Stored::parents).cloned());
                found.insert(next);
            }
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
            let of = |stored: Stored<'_>| (stored.raw(), stored.tags(), stored.parents().to_vec());
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
                    let parents = self.get(&uid).map(|stored| stored.parents().to_vec()).unwrap_or_default();
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
