//! The overlay: what is stored of an entity, and over it what a caller says.

use cedar_policy::EntityUid;

use super::facts::{Roots, read_facts, read_tags};
use super::place::{Participant, Way};
use super::said::Said;
use super::stored::{Stored, StoredEntities};
use super::value::{Decoder, Record, Value};
use super::{Tags, TypedEntity};
use crate::store::schema::{EntityType, Shape};

/// The attributes of an entity: what is stored, and over it, attribute by attribute, what is said of it, with the facts that the
/// plugins read in both.
pub fn overlaid(uid: EntityUid, said: Record, entity_type: &EntityType, stored: &StoredEntities) -> TypedEntity {
    Overlaid::new(uid, Said { attributes: said, ..Said::default() }, entity_type, stored).read()
}

/// An entity of the request: what is stored, and over it, attribute by attribute and tag by tag, what the caller says.
pub(super) struct Overlaid<'a> {
    pub(super) uid: EntityUid,
    /// The attributes, as they came.
    pub(super) raw: Record,
    /// The tags that the caller says, as they came.
    tags: Record,
    parents: Vec<EntityUid>,
    /// The stored attributes, already read, where the caller says nothing.
    read: Option<Record>,
    pub(super) stored: Option<Stored<'a>>,
    entity_type: &'a EntityType,
}

impl<'a> Overlaid<'a> {
    pub(super) fn new(uid: EntityUid, said: Said, entity_type: &'a EntityType, stored: &'a StoredEntities) -> Self {
        let stored = stored.get(&uid);
        let Said { mut attributes, tags, parents } = said;
        let read = stored.filter(|_| attributes.is_empty() && entity_type.has_raw).map(Stored::attributes);
        let raw = match stored {
            Some(stored) => {
                if entity_type.stores_within && !attributes.is_empty() {
                    let kept = stored.raw();
                    for (name, field) in &entity_type.attributes.0 {
                        if let Some(said) = attributes.get_mut(name) {
                            keep_stored(&field.shape, said, kept.get(name));
                        }
                    }
                }
                stored.raw_under(attributes)
            }
            None => attributes,
        };
        Self { uid, raw, tags, parents, read, stored, entity_type }
    }

    /// Notes what the schema requires and is not there.
    pub(super) fn require(&self, decoder: &mut Decoder<'_>, stored: &StoredEntities, participant: Participant) {
        let way = Way::Part(participant.attributes());
        decoder.require(&self.entity_type.attributes, &self.raw, &way);
        if self.entity_type.stores_within {
            decoder.require_within(&self.entity_type.attributes, &self.raw, &way);
        }
        if self.entity_type.has_must_exist {
            decoder.require_referred(&self.entity_type.attributes, &self.raw, stored, &way);
        }
    }

    pub(super) fn read(self) -> TypedEntity {
        let tags = self.read_tags();
        let Self { uid, raw, parents, read, entity_type, .. } = self;
        if !entity_type.has_raw {
            return TypedEntity { uid, attributes: raw, raw: Record::default(), tags, parents };
        }
        let facts = || read_facts(&entity_type.attributes, &raw, &Roots::of_entity(&raw));
        TypedEntity { uid, attributes: read.unwrap_or_else(facts), raw, tags, parents }
    }

    /// The tags, where they are not those that are stored: the caller says some, or a plugin reads those that are stored by attributes
    /// that the caller says.
    fn read_tags(&self) -> Option<Box<Tags>> {
        let shape = self.entity_type.tags.as_ref()?;
        let reads_attributes = self.entity_type.tags_have_raw && self.read.is_none() && self.stored.is_some();
        if self.tags.is_empty() && !reads_attributes {
            return None;
        }
        let facts = |tags: &Record| read_tags(shape, tags, &Roots::of_entity(&self.raw));
        let mut raw = self.stored.map(Stored::raw_tags).unwrap_or_default();
        raw.extend(self.tags.clone());
        Some(Box::new(Tags { all: facts(&raw), said: facts(&self.tags), said_raw: self.tags.clone() }))
    }
}

/// Adds to a record that is said what in it, at any depth, only the store may say.
fn keep_stored(shape: &Shape, said: &mut Value, stored: Option<&Value>) {
    let (Shape::Record(shape), Value::Record(said), Some(Value::Record(stored))) = (shape, said, stored) else {
        return;
    };
    for (name, field) in shape.0.iter().filter(|(_, field)| field.stored || field.shape.has_stored()) {
        match (said.get_mut(name), stored.get(name)) {
            (Some(said), kept) => keep_stored(&field.shape, said, kept),
            (None, Some(kept)) if field.stored => drop(said.insert(name.clone(), kept.clone())),
            (None, kept) => {
                let mut inner = Value::Record(Record::new());
                keep_stored(&field.shape, &mut inner, kept);
                if inner != Value::Record(Record::new()) {
                    said.insert(name.clone(), inner);
                }
            }
        }
    }
}
