//! Typed values: what a JSON value is under the shape that the schema gives it.

use std::collections::{BTreeMap, HashMap};

use cedar_policy::{Context, EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use smol_str::SmolStr;

use super::InvalidRequest;
use super::json::{Json, Members, member};
use super::place::{Place, Places};
use crate::plugin::Fact;
use crate::store::schema::{EntityType, Extension, FieldShape, Parsed, RecordShape, Shape, Types};

/// A value that conforms to the schema.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// `Bool`
    Bool(bool),
    /// `Long`
    Long(i64),
    /// `String`
    String(SmolStr),
    /// A reference to an entity.
    Entity(EntityUid),
    /// A set; equal elements may stand in it more than once.
    Set(Vec<Value>),
    /// A record.
    Record(Record),
    /// A value of an extension type, as Cedar reads it from a string.
    Extension(Extension, SmolStr),
    /// A raw string that a plugin has yet to read.
    Raw(SmolStr),
}

/// The fields of a record, or the attributes of an entity.
pub type Record = BTreeMap<SmolStr, Value>;

impl From<Fact> for Value {
    fn from(fact: Fact) -> Self {
        match fact {
            Fact::Bool(fact) => Self::Bool(fact),
            Fact::Long(fact) => Self::Long(fact),
            Fact::String(fact) => Self::String(fact.into()),
        }
    }
}

impl Value {
    /// The value for Cedar. A raw string must have been read by its plugin before.
    pub fn to_cedar(&self) -> RestrictedExpression {
        match self {
            Self::Bool(value) => RestrictedExpression::new_bool(*value),
            Self::Long(value) => RestrictedExpression::new_long(*value),
            Self::String(value) | Self::Raw(value) => RestrictedExpression::new_string(value.to_string()),
            Self::Entity(uid) => RestrictedExpression::new_entity_uid(uid.clone()),
            Self::Set(elements) => RestrictedExpression::new_set(elements.iter().map(Self::to_cedar)),
            // A map has no key twice, which is the only reason for which Cedar refuses.
            Self::Record(record) => RestrictedExpression::new_record(to_cedar(record))
                .unwrap_or_else(|_| RestrictedExpression::new_bool(false)),
            Self::Extension(extension, text) => extension_value(*extension, text),
        }
    }
}

/// The fields of a record for Cedar.
pub fn to_cedar(record: &Record) -> HashMap<String, RestrictedExpression> {
    record.iter().map(|(name, value)| (name.to_string(), value.to_cedar())).collect()
}

fn extension_value(extension: Extension, text: &str) -> RestrictedExpression {
    match extension {
        Extension::Ip => RestrictedExpression::new_ip(text),
        Extension::Decimal => RestrictedExpression::new_decimal(text),
        Extension::Datetime => RestrictedExpression::new_datetime(text),
        Extension::Duration => RestrictedExpression::new_duration(text),
    }
}

/// A value for where any will do, with a plain value in every required field; `entity` gives an entity of a type. Of what a
/// plugin parses it is the facts.
pub fn plain(shape: &Shape, entity: &dyn Fn(&EntityTypeName) -> EntityUid) -> Value {
    match shape {
        Shape::Bool => Value::Bool(false),
        Shape::Long => Value::Long(0),
        Shape::String => Value::String(SmolStr::default()),
        Shape::Set(_) => Value::Set(Vec::new()),
        Shape::Extension(extension) => Value::Extension(*extension, extension.plain().into()),
        Shape::Entity(name) => Value::Entity(entity(name)),
        Shape::Parsed(parsed) => plain_record(&parsed.facts, entity),
        Shape::Record(record) => plain_record(record, entity),
    }
}

fn plain_record(shape: &RecordShape, entity: &dyn Fn(&EntityTypeName) -> EntityUid) -> Value {
    Value::Record(required(shape).map(|(name, field)| (name.clone(), plain(&field.shape, entity))).collect())
}

/// What a caller may send in place of a raw string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facts {
    /// Nothing: facts come from plugins alone.
    FromPlugins,
    /// The record of facts too: for an author at the command line, never over HTTP.
    Given,
}

/// Reads JSON values by the shapes of the schema, and gathers what is missing and what is dropped.
pub struct Decoder<'a> {
    /// The schema.
    pub types: &'a Types,
    /// Whether records of facts are taken.
    pub facts: Facts,
    /// What the schema requires, but the caller did not send.
    pub missing: Places,
    /// What the caller sent, but the schema does not declare.
    pub dropped: Places,
}

impl<'a> Decoder<'a> {
    /// A decoder that has seen nothing yet.
    pub fn new(types: &'a Types, facts: Facts) -> Self {
        Self { types, facts, missing: Places::default(), dropped: Places::default() }
    }

    /// Reads the members of a JSON object that the shape declares. Nulls are dropped: Cedar has none.
    ///
    /// What this costs grows with the shape, and not with the number of members: callers choose that.
    ///
    /// What is required but absent is not looked for here: at the top it may yet come from a stored entity
    /// ([`Decoder::require`]).
    ///
    /// # Errors
    ///
    /// A declared member of the wrong type.
    pub fn members(
        &mut self,
        shape: &RecordShape,
        members: Members<'_>,
        place: &Place,
    ) -> Result<Record, InvalidRequest> {
        self.members_but(None, shape, members, place)
    }

    /// As [`Decoder::members`], but drops the member of the name `reserved` even where it is declared.
    ///
    /// # Errors
    ///
    /// A declared member of the wrong type.
    pub fn members_but(
        &mut self,
        reserved: Option<&str>,
        shape: &RecordShape,
        members: Members<'_>,
        place: &Place,
    ) -> Result<Record, InvalidRequest> {
        let taken = |name: &str| reserved != Some(name) && shape.0.contains_key(name);
        let mut record = Record::new();
        let mut undeclared = members.len();
        for (name, field) in shape.0.iter().filter(|(name, _)| reserved != Some(name)) {
            let Some(json) = member(members, name) else { continue };
            undeclared -= 1;
            if *json != Json::Null {
                record.insert(name.clone(), self.value(&field.shape, json, &place.member(name))?);
            }
        }
        let dropped = members.iter().filter(|(name, _)| !taken(name)).map(|(name, _)| place.member(name));
        self.dropped.extend(undeclared, dropped);
        Ok(record)
    }

    /// Notes every required field that the record lacks.
    pub fn require(&mut self, shape: &RecordShape, record: &Record, place: &Place) {
        for (name, _) in required(shape).filter(|(name, _)| !record.contains_key(*name)) {
            self.missing.extend(1, [place.member(name)]);
        }
    }

    fn value(&mut self, shape: &Shape, json: &Json<'_>, place: &Place) -> Result<Value, InvalidRequest> {
        match (shape, json) {
            (Shape::Bool, Json::Bool(value)) => Ok(Value::Bool(*value)),
            (Shape::Long, Json::Long(value)) => Ok(Value::Long(*value)),
            (Shape::String, Json::String(text)) => Ok(Value::String(text.as_ref().into())),
            (Shape::Entity(name), Json::String(id)) => {
                let entity = self.types.entity(&name.to_string());
                if let Some(entity) = entity.filter(|entity| !entity.has_id(id)) {
                    return Err(InvalidRequest::unknown_id(entity, id, place));
                }
                Ok(Value::Entity(EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id))))
            }
            (Shape::Set(element), Json::Array(elements)) => {
                let present = elements.iter().enumerate().filter(|(_, json)| **json != Json::Null);
                let values = present.map(|(index, json)| self.value(element, json, &place.element(index)));
                values.collect::<Result<_, _>>().map(Value::Set)
            }
            (Shape::Record(record), Json::Object(members)) => self.record(record, members, place),
            (Shape::Extension(extension), Json::String(text)) => self.extension(*extension, text, place),
            (Shape::Parsed(_), Json::String(text)) => Ok(Value::Raw(text.as_ref().into())),
            (Shape::Parsed(parsed), Json::Object(members)) if self.facts == Facts::Given => {
                self.record(&parsed.facts, members, place)
            }
            _ => Err(InvalidRequest::new(place, expected(shape, self.types), json.kind().to_owned())),
        }
    }

    fn record(&mut self, shape: &RecordShape, members: Members<'_>, place: &Place) -> Result<Value, InvalidRequest> {
        let record = self.members(shape, members, place)?;
        self.require(shape, &record, place);
        Ok(Value::Record(record))
    }

    fn extension(&self, extension: Extension, text: &str, place: &Place) -> Result<Value, InvalidRequest> {
        // Cedar evaluates an extension value when a context is made of it, and not before.
        let readable = Context::from_pairs([("value".to_owned(), extension_value(extension, text))]).is_ok();
        if readable {
            Ok(Value::Extension(extension, text.into()))
        } else {
            let expected = format!("a string that Cedar reads as a value of type {}", extension.cedar_name());
            Err(InvalidRequest::new(place, expected, format!("`{}`", shortened(text))))
        }
    }
}

fn required(shape: &RecordShape) -> impl Iterator<Item = (&SmolStr, &FieldShape)> {
    shape.0.iter().filter(|(_, field)| field.required)
}

/// What a value of that shape is in JSON, as an error message says it.
fn expected(shape: &Shape, types: &Types) -> String {
    match shape {
        Shape::Bool => "a Boolean".to_owned(),
        Shape::Long => "a whole number of 64 bits".to_owned(),
        Shape::String => "a string".to_owned(),
        Shape::Entity(name) => {
            types.entity(&name.to_string()).map_or_else(|| "a string".to_owned(), EntityType::expected)
        }
        Shape::Set(_) => "an array".to_owned(),
        Shape::Record(_) => "an object".to_owned(),
        Shape::Extension(extension) => {
            format!("a string that Cedar reads as a value of type {}", extension.cedar_name())
        }
        Shape::Parsed(Parsed { plugin, .. }) => format!("a string, which the plugin {} reads", plugin.name()),
    }
}

/// At most 40 characters of what a caller sent, for a message.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
