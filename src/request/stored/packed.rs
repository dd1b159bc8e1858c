//! Stored entities at rest: values in the order in which the schema declares them, without a name, a type or a fact twice.
//!
//! A support-contact account takes a third of a kilobyte more than its strings; as records of named values it would take six.

use std::sync::Arc;

use cedar_policy::{EntityId, EntityUid};
use indexmap::IndexMap;
use smol_str::SmolStr;

use super::StoredEntity;
use crate::request::value::{Record, Value};
use crate::store::schema::{EntityType, RecordShape, Shape};

/// The stored entities of one type, in the order of their ids.
#[derive(Debug)]
pub struct Table {
    /// The type.
    pub entity_type: Arc<EntityType>,
    entities: IndexMap<SmolStr, PackedEntity>,
}

/// A value without its shape.
#[derive(Debug)]
pub enum Packed {
    /// An optional field that is not there.
    Absent,
    /// Of the shape `Bool`.
    Bool(bool),
    /// Of the shape `Long`.
    Long(i64),
    /// A string; the id of an entity; an extension value as Cedar reads it; a raw string.
    Text(SmolStr),
    /// The elements of a set; the fields of a record, in the order of its shape; a raw string and behind it the facts that a
    /// plugin read in it.
    Many(Box<[Packed]>),
}

/// An entity without its uid.
#[derive(Debug)]
pub struct PackedEntity {
    attributes: Box<[Packed]>,
    tags: Box<[(SmolStr, Packed)]>,
    parents: Box<[EntityUid]>,
}

/// Which of the two values that a raw string has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The string as it was written.
    Raw,
    /// The facts that its plugin read in it.
    Facts,
}

impl Table {
    /// A table without entities.
    pub fn new(entity_type: Arc<EntityType>) -> Self {
        Self { entity_type, entities: IndexMap::new() }
    }

    /// Stores an entity; `false` where one of that id is stored already.
    pub fn insert(&mut self, id: SmolStr, entity: &StoredEntity) -> bool {
        let shape = &self.entity_type.attributes;
        let tags = self
            .entity_type
            .tags
            .iter()
            .flat_map(|shape| entity.tags.iter().map(move |(key, value)| (key.clone(), pack(shape, value, value))));
        let packed = PackedEntity {
            attributes: pack_record(shape, &entity.raw, &entity.attributes),
            tags: tags.collect(),
            parents: entity.parents.iter().cloned().collect(),
        };
        self.entities.insert(id, packed).is_none()
    }

    /// Puts the entities into the order of their ids, and gives back what memory is not needed.
    pub fn finish(&mut self) {
        self.entities.sort_unstable_keys();
        self.entities.shrink_to_fit();
    }

    /// The entity of that id.
    pub fn get(&self, id: &str) -> Option<&PackedEntity> {
        self.entities.get(id)
    }

    /// The entity at that place in the order of the ids, with its id.
    pub fn at(&self, index: usize) -> Option<(&SmolStr, &PackedEntity)> {
        self.entities.get_index(index)
    }

    /// How many entities are stored.
    pub fn len(&self) -> usize {
        self.entities.len()
    }

    /// Whether none is stored.
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    /// The entities, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&SmolStr, &PackedEntity)> {
        self.entities.iter()
    }
}

impl PackedEntity {
    /// The attributes, in the order of the shape.
    pub fn attributes(&self) -> &[Packed] {
        &self.attributes
    }

    /// The direct parents.
    pub fn parents(&self) -> &[EntityUid] {
        &self.parents
    }

    /// The attributes of an entity of that type, as values.
    pub fn record(&self, entity_type: &EntityType, reading: Reading) -> Record {
        unpack_record(&entity_type.attributes, &self.attributes, reading)
    }

    /// The tags of an entity of that type; of what a plugin parses the facts.
    pub fn tags(&self, entity_type: &EntityType) -> Record {
        let tags = self
            .tags
            .iter()
            .filter_map(|(key, tag)| Some((key.clone(), unpack(entity_type.tags.as_ref()?, tag, Reading::Facts)?)));
        tags.collect()
    }
}

fn pack_record(shape: &RecordShape, raw: &Record, facts: &Record) -> Box<[Packed]> {
    let fields = shape.0.iter().map(|(name, field)| match (raw.get(name), facts.get(name)) {
        (Some(raw), Some(facts)) => pack(&field.shape, raw, facts),
        _ => Packed::Absent,
    });
    fields.collect()
}

fn pack(shape: &Shape, raw: &Value, facts: &Value) -> Packed {
    match (shape, raw, facts) {
        (Shape::Parsed(parsed), raw, Value::Record(facts)) => {
            let raw = match raw {
                Value::Raw(text) => Packed::Text(text.clone()),
                _ => Packed::Absent,
            };
            let facts = pack_record(&parsed.facts, facts, facts);
            Packed::Many(std::iter::once(raw).chain(facts).collect())
        }
        (Shape::Record(shape), Value::Record(raw), Value::Record(facts)) => {
            Packed::Many(pack_record(shape, raw, facts))
        }
        (Shape::Set(element), Value::Set(raw), Value::Set(facts)) => {
            Packed::Many(raw.iter().zip(facts).map(|(raw, facts)| pack(element, raw, facts)).collect())
        }
        (_, Value::Bool(value), _) => Packed::Bool(*value),
        (_, Value::Long(value), _) => Packed::Long(*value),
        (_, Value::String(text) | Value::Raw(text) | Value::Extension(_, text), _) => Packed::Text(text.clone()),
        (_, Value::Entity(uid), _) => Packed::Text(AsRef::<str>::as_ref(uid.id()).into()),
        // What the decoder makes has the shape by which it was made.
        (_, Value::Set(_) | Value::Record(_), _) => Packed::Absent,
    }
}

fn unpack_record(shape: &RecordShape, packed: &[Packed], reading: Reading) -> Record {
    let fields = shape.0.iter().zip(packed);
    fields.filter_map(|((name, field), packed)| Some((name.clone(), unpack(&field.shape, packed, reading)?))).collect()
}

/// The value of that shape; `None` where it is absent.
fn unpack(shape: &Shape, packed: &Packed, reading: Reading) -> Option<Value> {
    match (shape, packed) {
        (Shape::Parsed(parsed), Packed::Many(parts)) => match (reading, parts.split_first()?) {
            (Reading::Raw, (Packed::Text(raw), _)) => Some(Value::Raw(raw.clone())),
            (_, (_, facts)) => Some(Value::Record(unpack_record(&parsed.facts, facts, reading))),
        },
        (Shape::Record(shape), Packed::Many(fields)) => Some(Value::Record(unpack_record(shape, fields, reading))),
        (Shape::Set(element), Packed::Many(elements)) => {
            Some(Value::Set(elements.iter().filter_map(|packed| unpack(element, packed, reading)).collect()))
        }
        (_, Packed::Bool(value)) => Some(Value::Bool(*value)),
        (_, Packed::Long(value)) => Some(Value::Long(*value)),
        (Shape::Entity(name), Packed::Text(id)) => {
            Some(Value::Entity(EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id))))
        }
        (Shape::Extension(extension), Packed::Text(text)) => Some(Value::Extension(*extension, text.clone())),
        (_, Packed::Text(text)) => Some(Value::String(text.clone())),
        (_, Packed::Absent | Packed::Many(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Packed;

    /// "Memory per stored entity … under 1 kB": a value is no larger than the string that it may be.
    #[test]
    fn a_value_takes_24_bytes() {
        assert_eq!(std::mem::size_of::<Packed>(), 24);
    }
}
