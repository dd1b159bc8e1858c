//! Stored entities at rest: values in the order in which the schema declares them, without a name, a type or a text twice.
//!
//! An entity is two blocks of memory: its slots, of 16 bytes each, and its text. An account of the support-contact store takes about
//! half a kilobyte; as records of named values it would take six. And who reads one touches few lines of memory.

use std::hash::BuildHasher;
use std::sync::Arc;

use cedar_policy::{EntityId, EntityUid};
use hashbrown::{DefaultHashBuilder, HashTable};
use smol_str::SmolStr;

use super::StoredEntity;
use crate::request::value::{Record, Value};
use crate::store::schema::{EntityType, RecordShape, Shape};

/// The stored entities of one type.
#[derive(Debug)]
pub struct Table {
    /// The type.
    pub entity_type: Arc<EntityType>,
    /// Rows, block by block: they never move, so that growing leaves no holes behind.
    blocks: Vec<Vec<Row>>,
    /// The numbers of the rows, by the hash of their id.
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// The numbers of the rows, in the order of their ids.
    order: Vec<u32>,
    packer: Packer,
}

#[derive(Debug)]
struct Row {
    id: SmolStr,
    entity: PackedEntity,
}

/// So many rows lie in one block.
const BLOCK: usize = 1024;

/// An entity without its uid.
#[derive(Debug)]
pub struct PackedEntity {
    /// The attributes; then the parents, each as the number of its type and its id; then the tags, each as its key and value; then
    /// what these have in them.
    slots: Box<[Slot]>,
    text: Box<str>,
    parents: u32,
    tags: u32,
}

#[derive(Clone, Copy, Debug)]
enum Slot {
    Absent,
    Bool(bool),
    Long(i64),
    Text(Part),
    Many(Part),
}

/// A part of an entity's text or slots.
#[derive(Clone, Copy, Debug)]
struct Part {
    start: u32,
    len: u32,
}

/// A value without its shape.
#[derive(Clone, Copy, Debug)]
pub enum Packed<'a> {
    /// An optional field that is not there.
    Absent,
    /// Of the shape `Bool`.
    Bool(bool),
    /// Of the shape `Long`.
    Long(i64),
    /// A string; the id of an entity; an extension value as Cedar reads it; a raw string.
    Text(&'a str),
    /// The elements of a set; the fields of a record, in the order of its shape; a raw string and behind it the facts that a
    /// plugin read in it.
    Many(Slots<'a>),
}

/// Values that lie one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Slots<'a> {
    entity: &'a PackedEntity,
    slots: &'a [Slot],
}

/// Which of the two values that a raw string has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The string as it was written.
    Raw,
    /// The facts that its plugin read in it.
    Facts,
}

/// Why an entity is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotStored {
    /// One of its id is stored.
    #[error("it is stored twice")]
    Twice,
    /// It has more than 32 bits can count, or is one too many.
    #[error("it is too large")]
    TooLarge,
    /// It has a value that is not of its type's shape.
    #[error("it does not have the shape of its type")]
    Misshapen,
}

impl Table {
    /// A table without entities.
    pub fn new(entity_type: Arc<EntityType>) -> Self {
        Self {
            entity_type,
            blocks: Vec::new(),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            order: Vec::new(),
            packer: Packer::default(),
        }
    }

    /// Stores an entity.
    ///
    /// # Errors
    ///
    /// Why it cannot be stored.
    pub fn insert(&mut self, id: SmolStr, entity: &StoredEntity) -> Result<(), NotStored> {
        if self.get(&id).is_some() {
            return Err(NotStored::Twice);
        }
        let number = u32::try_from(self.len()).map_err(|_| NotStored::TooLarge)?;
        let entity = self.packer.pack(&self.entity_type, entity)?;
        let hash = self.hasher.hash_one(id.as_str());
        match self.blocks.last_mut() {
            Some(block) if block.len() < BLOCK => block.push(Row { id, entity }),
            _ => {
                let mut block = Vec::with_capacity(BLOCK);
                block.push(Row { id, entity });
                self.blocks.push(block);
            }
        }
        let (blocks, hasher) = (&self.blocks, &self.hasher);
        let rehash = |number: &u32| row(blocks, *number).map_or(0, |row| hasher.hash_one(row.id.as_str()));
        self.index.insert_unique(hash, number, rehash);
        self.order.push(number);
        Ok(())
    }

    /// Puts the entities into the order of their ids, and gives back what memory is not needed.
    pub fn finish(&mut self) {
        let blocks = &self.blocks;
        self.order.sort_unstable_by_key(|number| row(blocks, *number).map(|row| row.id.as_str()));
        self.packer = Packer::default();
        self.order.shrink_to_fit();
        if let [only] = self.blocks.as_mut_slice() {
            only.shrink_to_fit();
        }
    }

    /// The entity of that id.
    pub fn get(&self, id: &str) -> Option<&PackedEntity> {
        let is = |number: &u32| row(&self.blocks, *number).is_some_and(|row| row.id == id);
        let number = self.index.find(self.hasher.hash_one(id), is)?;
        row(&self.blocks, *number).map(|row| &row.entity)
    }

    /// The entity at that place in the order of the ids, with its id.
    pub fn at(&self, place: usize) -> Option<(&SmolStr, &PackedEntity)> {
        row(&self.blocks, *self.order.get(place)?).map(|row| (&row.id, &row.entity))
    }

    /// How many entities are stored.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none is stored.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The entities, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&SmolStr, &PackedEntity)> {
        (0..self.len()).filter_map(|place| self.at(place))
    }
}

fn row(blocks: &[Vec<Row>], number: u32) -> Option<&Row> {
    let number = number as usize;
    blocks.get(number / BLOCK)?.get(number % BLOCK)
}

impl PackedEntity {
    /// The attributes, in the order of the shape.
    pub fn attributes(&self) -> Slots<'_> {
        Slots { entity: self, slots: &self.slots }
    }

    /// The attributes of an entity of that type, as values, but for those that are said to be otherwise.
    pub fn record(&self, entity_type: &EntityType, reading: Reading, said: Record) -> Record {
        unpack_record(&entity_type.attributes, self.attributes(), reading, said)
    }

    /// The direct parents of an entity of that type.
    pub fn parents<'a>(&'a self, entity_type: &'a EntityType) -> impl Iterator<Item = EntityUid> + 'a {
        let first = entity_type.attributes.0.len();
        (0..self.parents as usize).filter_map(move |index| {
            let at = first + 2 * index;
            match (self.attributes().get(at), self.attributes().get(at + 1)) {
                (Packed::Long(number), Packed::Text(id)) => {
                    let name = entity_type.parents.get(usize::try_from(number).ok()?)?;
                    Some(EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id)))
                }
                _ => None,
            }
        })
    }

    /// The tags of an entity of that type.
    pub fn tags(&self, entity_type: &EntityType, reading: Reading) -> Record {
        let Some(shape) = &entity_type.tags else { return Record::new() };
        let first = entity_type.attributes.0.len() + 2 * self.parents as usize;
        let tags = (0..self.tags as usize).filter_map(|index| {
            let at = first + 2 * index;
            match self.attributes().get(at) {
                Packed::Text(key) => Some((SmolStr::from(key), unpack(shape, self.attributes().get(at + 1), reading)?)),
                _ => None,
            }
        });
        tags.collect()
    }
}

impl<'a> Slots<'a> {
    /// The value at that place.
    #[expect(
        clippy::indexing_slicing,
        clippy::string_slice,
        reason = "an entity is packed once, with the parts that its slots name"
    )]
    pub fn get(self, place: usize) -> Packed<'a> {
        let part = |part: Part| part.start as usize..part.start as usize + part.len as usize;
        match self.slots.get(place) {
            None | Some(Slot::Absent) => Packed::Absent,
            Some(Slot::Bool(value)) => Packed::Bool(*value),
            Some(Slot::Long(value)) => Packed::Long(*value),
            Some(Slot::Text(text)) => Packed::Text(&self.entity.text[part(*text)]),
            Some(Slot::Many(slots)) => {
                Packed::Many(Slots { entity: self.entity, slots: &self.entity.slots[part(*slots)] })
            }
        }
    }

    /// The values.
    pub fn iter(self) -> impl Iterator<Item = Packed<'a>> {
        (0..self.slots.len()).map(move |place| self.get(place))
    }
}

/// Where an entity is packed: what it lies in is used again for the next one.
#[derive(Debug, Default)]
struct Packer {
    slots: Vec<Slot>,
    text: String,
    /// What went wrong first: an entity of which a part is lost is none that may be stored.
    failed: Option<NotStored>,
}

/// In so much text is looked for a text that is put there, in bytes: a longer one repeats itself less than it takes time.
const SEARCHED: usize = 2048;

impl Packer {
    fn pack(&mut self, entity_type: &EntityType, entity: &StoredEntity) -> Result<PackedEntity, NotStored> {
        self.slots.clear();
        self.text.clear();
        self.failed = None;
        let attributes = entity_type.attributes.0.len();
        let parents = entity.parents.iter().map(|parent| {
            let number = entity_type.parents.iter().position(|name| name == parent.type_name());
            let number = number.and_then(|number| i64::try_from(number).ok());
            number.map(|number| (number, parent)).ok_or(NotStored::Misshapen)
        });
        let parents: Vec<(i64, &EntityUid)> = parents.collect::<Result<_, _>>()?;
        let tags = entity.raw_tags.iter().zip(entity.tags.values());
        let tags: Vec<_> =
            entity_type.tags.iter().flat_map(|shape| tags.clone().map(move |tag| (shape, tag))).collect();
        self.extend(attributes + 2 * parents.len() + 2 * tags.len());
        self.record(0, &entity_type.attributes, &entity.raw, &entity.attributes);
        for (index, (number, parent)) in parents.iter().enumerate() {
            let id = self.text(AsRef::<str>::as_ref(parent.id()));
            self.put(attributes + 2 * index, Slot::Long(*number));
            self.put(attributes + 2 * index + 1, id);
        }
        for (index, (shape, ((key, raw), facts))) in tags.iter().enumerate() {
            let at = attributes + 2 * parents.len() + 2 * index;
            let key = self.text(key);
            self.put(at, key);
            self.value(at + 1, shape, raw, facts);
        }
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let count = |number: usize| u32::try_from(number).map_err(|_| NotStored::TooLarge);
        Ok(PackedEntity {
            slots: self.slots.as_slice().into(),
            text: self.text.as_str().into(),
            parents: count(parents.len())?,
            tags: count(tags.len())?,
        })
    }

    fn fail(&mut self, why: NotStored) -> Slot {
        self.failed.get_or_insert(why);
        Slot::Absent
    }

    /// Room for so many values more: where it begins.
    fn extend(&mut self, count: usize) -> usize {
        let start = self.slots.len();
        self.slots.resize(start + count, Slot::Absent);
        start
    }

    fn put(&mut self, at: usize, slot: Slot) {
        match self.slots.get_mut(at) {
            Some(place) => *place = slot,
            None => drop(self.fail(NotStored::Misshapen)),
        }
    }

    fn record(&mut self, start: usize, shape: &RecordShape, raw: &Record, facts: &Record) {
        if raw.keys().any(|name| !shape.0.contains_key(name)) {
            self.fail(NotStored::Misshapen);
        }
        for (index, (name, field)) in shape.0.iter().enumerate() {
            if let (Some(raw), Some(facts)) = (raw.get(name), facts.get(name)) {
                self.value(start + index, &field.shape, raw, facts);
            }
        }
    }

    fn value(&mut self, at: usize, shape: &Shape, raw: &Value, facts: &Value) {
        let slot = match (shape, raw, facts) {
            (Shape::Parsed(parsed), raw, Value::Record(facts)) => {
                let start = self.extend(1 + parsed.facts.0.len());
                if let Value::Raw(text) = raw {
                    let text = self.text(text);
                    self.put(start, text);
                }
                self.record(start + 1, &parsed.facts, facts, facts);
                self.many(start, 1 + parsed.facts.0.len())
            }
            (Shape::Record(shape), Value::Record(raw), Value::Record(facts)) => {
                let start = self.extend(shape.0.len());
                self.record(start, shape, raw, facts);
                self.many(start, shape.0.len())
            }
            (Shape::Set(element), Value::Set(raw), Value::Set(facts)) => {
                let start = self.extend(raw.len());
                for (index, (raw, facts)) in raw.iter().zip(facts).enumerate() {
                    self.value(start + index, element, raw, facts);
                }
                self.many(start, raw.len())
            }
            (_, Value::Bool(value), _) => Slot::Bool(*value),
            (_, Value::Long(value), _) => Slot::Long(*value),
            (_, Value::String(text) | Value::Raw(text) | Value::Extension(_, text), _) => self.text(text),
            (_, Value::Entity(uid), _) => self.text(AsRef::<str>::as_ref(uid.id())),
            (_, Value::Set(_) | Value::Record(_), _) => self.fail(NotStored::Misshapen),
        };
        self.put(at, slot);
    }

    fn many(&mut self, start: usize, len: usize) -> Slot {
        part(start, len).map(Slot::Many).unwrap_or_else(|| self.fail(NotStored::TooLarge))
    }

    /// A text, put where it is already if it is.
    fn text(&mut self, text: &str) -> Slot {
        let found = if self.text.len() <= SEARCHED { self.text.find(text) } else { None };
        let start = found.unwrap_or_else(|| {
            self.text.push_str(text);
            self.text.len() - text.len()
        });
        part(start, text.len()).map(Slot::Text).unwrap_or_else(|| self.fail(NotStored::TooLarge))
    }
}

/// `None` beyond what 32 bits can say: a single entity of four gigabytes.
fn part(start: usize, len: usize) -> Option<Part> {
    Some(Part { start: u32::try_from(start).ok()?, len: u32::try_from(len).ok()? })
}

/// The fields that are said, and of the others those that are there.
fn unpack_record(shape: &RecordShape, packed: Slots<'_>, reading: Reading, said: Record) -> Record {
    if said.len() == shape.0.len() {
        return said;
    }
    let mut said = said.into_tuple_vec().into_iter().peekable();
    let fields = shape.0.iter().zip(packed.iter());
    let fields = fields.filter_map(|((name, field), packed)| {
        said.next_if(|(said, _)| said == name).or_else(|| Some((name.clone(), unpack(&field.shape, packed, reading)?)))
    });
    // A shape has its fields in the order of their names, as a record has.
    let record = Record::from_sorted_store_unchecked(fields.collect());
    debug_assert!(said.next().is_none(), "what is said is of that shape");
    record
}

/// The value of that shape; `None` where it is absent.
#[expect(
    clippy::unreachable,
    clippy::indexing_slicing,
    reason = "values are packed by the shape by which they are unpacked"
)]
fn unpack(shape: &Shape, packed: Packed<'_>, reading: Reading) -> Option<Value> {
    match (shape, packed) {
        (Shape::Parsed(parsed), Packed::Many(parts)) => match (reading, parts.get(0)) {
            (Reading::Raw, Packed::Text(raw)) => Some(Value::Raw(raw.into())),
            _ => {
                let facts = Slots { slots: &parts.slots[1..], ..parts };
                Some(Value::Record(unpack_record(&parsed.facts, facts, reading, Record::new())))
            }
        },
        (Shape::Record(shape), Packed::Many(fields)) => {
            Some(Value::Record(unpack_record(shape, fields, reading, Record::new())))
        }
        (Shape::Set(element), Packed::Many(elements)) => {
            Some(Value::Set(elements.iter().filter_map(|packed| unpack(element, packed, reading)).collect()))
        }
        (_, Packed::Bool(value)) => Some(Value::Bool(value)),
        (_, Packed::Long(value)) => Some(Value::Long(value)),
        (Shape::Entity(name), Packed::Text(id)) => {
            Some(Value::Entity(EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id))))
        }
        (Shape::Extension(extension), Packed::Text(text)) => Some(Value::Extension(*extension, text.into())),
        (_, Packed::Text(text)) => Some(Value::String(text.into())),
        (_, Packed::Absent) => None,
        (shape, Packed::Many(_)) => unreachable!("{shape} is one value"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, Slot};

    /// "Memory per stored entity … under 1 kB": what an account of 21 values takes beside its text.
    #[test]
    fn a_value_takes_16_bytes_and_a_row_64() {
        assert_eq!((size_of::<Slot>(), size_of::<Row>()), (16, 64));
    }
}
