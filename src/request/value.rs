//! Typed values: what a JSON value is under the shape that the schema gives it.

use std::collections::HashMap;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use litemap::LiteMap;
use smol_str::SmolStr;

use super::json::{Json, Members, member};
use super::number::Number;
use super::place::{Place, Places, Way};
use super::stored::StoredEntities;
use super::{InvalidRequest, extension};
use crate::plugin::Fact;
pub use crate::store::reserved::RESERVED;
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
    /// A value of an extension type, as Cedar reads it from a string; a time has the digits below Cedar's millisecond too.
    Extension(Extension, SmolStr),
    /// A raw string that a plugin has yet to read.
    Raw(SmolStr),
}

/// The fields of a record, or the attributes of an entity; there are few, and they lie in a row.
pub type Record = LiteMap<SmolStr, Value>;

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
            Self::Record(record) => record_to_cedar(record),
            Self::Extension(extension, text) => extension::to_cedar(*extension, text),
        }
    }

    /// Whether both are the same value: sets of the same elements are, and two spellings of one time.
    pub fn is_same(&self, other: &Self) -> bool {
        self == other || self.canonical() == other.canonical()
    }

    /// The value as all that are the same are written.
    fn canonical(&self) -> Self {
        match self {
            Self::Set(elements) => {
                let mut elements: Vec<_> = elements.iter().map(Self::canonical).collect();
                elements.sort();
                elements.dedup();
                Self::Set(elements)
            }
            Self::Record(record) => {
                Self::Record(record.iter().map(|(name, value)| (name.clone(), value.canonical())).collect())
            }
            Self::Extension(extension, text) => Self::Extension(*extension, extension::canonical(*extension, text)),
            other => other.clone(),
        }
    }
}

#[expect(clippy::expect_used, reason = "a map has no key twice, which is the only reason for which Cedar refuses")]
fn record_to_cedar(record: &Record) -> RestrictedExpression {
    RestrictedExpression::new_record(to_cedar(record)).expect("a record has each name once")
}

/// The fields of a record for Cedar.
pub fn to_cedar(record: &Record) -> HashMap<String, RestrictedExpression> {
    record.iter().map(|(name, value)| (name.to_string(), value.to_cedar())).collect()
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
    /// The record of facts, and what the decision log wrote in place of what it masks.
    Logged,
}

/// The member under which the decision log writes the digest of a value that it masks.
pub const MASKED: &str = "gatepost:masked";

/// The member beside it that says of which type the value is.
pub const TYPE: &str = "gatepost:type";

/// The member under which a decision log without masks writes the raw string beside its facts.
pub const RAW: &str = "gatepost:raw";

/// Who says the values that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// Who asks for a decision: a null says nothing, and what only the store may say is refused.
    Caller,
    /// The store: a null is a mistake.
    Store,
}

/// Reads JSON values by the shapes of the schema, and gathers what is missing and what is dropped.
pub struct Decoder<'a> {
    /// The schema.
    pub types: &'a Types,
    /// Whether records of facts are taken.
    pub facts: Facts,
    /// Who says what is read.
    pub speaker: Speaker,
    /// What the schema requires, but the caller did not send.
    pub missing: Places,
    /// What the caller sent, but the schema does not declare.
    pub dropped: Places,
    /// What the decision log masks.
    pub masked: Vec<MaskedPlace>,
    /// Where times stand that say more than Cedar's milliseconds. They stand among what was dropped too.
    pub floored: Vec<Place>,
}

/// A place whose value the decision log masks; any value stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskedPlace {
    /// Where.
    pub place: Place,
    /// Whether there is a record in the value: of what was in it, nothing is known.
    pub holds_record: bool,
}

impl<'a> Decoder<'a> {
    /// A decoder that has seen nothing yet.
    pub fn new(types: &'a Types, facts: Facts, speaker: Speaker) -> Self {
        Self {
            types,
            facts,
            speaker,
            missing: Places::default(),
            dropped: Places::default(),
            masked: Vec::new(),
            floored: Vec::new(),
        }
    }

    /// Reads the members of a JSON object that the shape declares. A caller's null is as if absent: Cedar has none.
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
        way: &Way<'_>,
    ) -> Result<Record, InvalidRequest> {
        self.members_but(None, shape, members, way)
    }

    /// As [`Decoder::members`], but leaves the declared member of the name `other` to be read otherwise.
    ///
    /// # Errors
    ///
    /// A declared member of the wrong type.
    pub fn members_but(
        &mut self,
        other: Option<&str>,
        shape: &RecordShape,
        members: Members<'_>,
        way: &Way<'_>,
    ) -> Result<Record, InvalidRequest> {
        let mut record = Vec::with_capacity(members.len().min(shape.0.len()));
        let mut undeclared = members.len();
        for (name, field) in &shape.0 {
            let Some(json) = member(members, name) else { continue };
            undeclared -= 1;
            if other == Some(name.as_str()) {
                continue;
            }
            if self.is_said(json, field, &Way::Member(way, name))? {
                record.push((name.clone(), self.value(&field.shape, json, &Way::Member(way, name))?));
            }
        }
        let dropped = members.iter().filter(|(name, _)| !shape.0.contains_key(name.as_ref()));
        let dropped = dropped.map(|(name, _)| Way::Member(way, name).place());
        self.dropped.extend(undeclared, dropped);
        // A shape has its fields in the order of their names, as a record has.
        Ok(Record::from_sorted_store_unchecked(record))
    }

    /// Reads the members of a JSON object as tags of that shape.
    ///
    /// # Errors
    ///
    /// One of another type.
    pub fn tags(&mut self, shape: &Shape, members: Members<'_>, way: &Way<'_>) -> Result<Record, InvalidRequest> {
        let mut tags = Vec::with_capacity(members.len());
        for (key, json) in members {
            if self.speaker == Speaker::Store || *json != Json::Null {
                tags.push((key.as_ref().into(), self.value(shape, json, &Way::Member(way, key))?));
            }
        }
        // Members are in the order of their names, of which each is there once.
        Ok(Record::from_sorted_store_unchecked(tags))
    }

    /// Whether a declared member says anything.
    fn is_said(&self, json: &Json<'_>, field: &FieldShape, way: &Way<'_>) -> Result<bool, InvalidRequest> {
        match (self.speaker, json) {
            (Speaker::Caller, Json::Null) => Ok(false),
            (Speaker::Caller, _) if field.stored && self.facts != Facts::Logged => {
                Err(InvalidRequest::only_stored(way))
            }
            // What is null in a file would else be absent without a word.
            _ => Ok(true),
        }
    }

    /// Notes every required field that the record, of that shape, lacks.
    pub fn require(&mut self, shape: &RecordShape, record: &Record, way: &Way<'_>) {
        if record.len() == shape.0.len() {
            return;
        }
        for (name, _) in required(shape).filter(|(name, _)| !record.contains_key(*name)) {
            self.missing.extend(1, [Way::Member(way, name).place()]);
        }
    }

    /// Notes every required field that the records in a record, of that shape, lack: what a caller and the store say of an entity
    /// together.
    pub fn require_within(&mut self, shape: &RecordShape, record: &Record, way: &Way<'_>) {
        for (name, field) in &shape.0 {
            if let (Shape::Record(inner), Some(Value::Record(value))) = (&field.shape, record.get(name)) {
                let way = Way::Member(way, name);
                let absent = required(inner).filter(|(name, _)| !value.contains_key(*name));
                let absent: Vec<_> = absent.map(|(name, _)| Way::Member(&way, name).place()).collect();
                self.missing.include(&absent);
                self.require_within(inner, value, &way);
            }
        }
    }

    /// Notes every reference that must be to a stored entity and is not.
    pub fn require_referred(&mut self, shape: &RecordShape, record: &Record, stored: &StoredEntities, way: &Way<'_>) {
        let mut lost = Vec::new();
        lost_references(shape, record, self.types, stored, way, &mut lost);
        self.missing.extend(lost.len(), lost.into_iter().map(|(place, _)| place));
    }

    /// Reads the value of a member that the shape says.
    ///
    /// # Errors
    ///
    /// One of another type.
    pub fn value(&mut self, shape: &Shape, json: &Json<'_>, way: &Way<'_>) -> Result<Value, InvalidRequest> {
        if self.facts == Facts::Logged
            && let Some(value) = self.logged(shape, json, way)
        {
            return Ok(value);
        }
        match (shape, json) {
            (Shape::Bool, Json::Bool(value)) => Ok(Value::Bool(*value)),
            (Shape::Long, Json::Long(value)) => Ok(Value::Long(*value)),
            (Shape::String, Json::String(text)) => Ok(Value::String(text.as_ref().into())),
            (Shape::Long, Json::Number(text)) => {
                let whole = Number::parse(text).and_then(|number| number.to_long());
                whole.map(Value::Long).ok_or_else(|| self.wrong(shape, json, way))
            }
            (Shape::Entity(name), Json::String(_) | Json::Object(_)) => {
                self.reference(std::slice::from_ref(name), json, way).map(Value::Entity)
            }
            // Without an element that is null, it would be another set: null is a value of no type.
            (Shape::Set(element), Json::Array(elements)) => {
                let values = elements.iter().enumerate();
                let values = values.map(|(index, json)| self.value(element, json, &Way::Element(way, index)));
                values.collect::<Result<_, _>>().map(Value::Set)
            }
            (Shape::Record(record), Json::Object(members)) => self.record(record, members, way),
            (Shape::Extension(extension), Json::String(text)) => self.extension(*extension, text, way),
            (Shape::Extension(Extension::Decimal), Json::Long(number)) => {
                let decimal = extension::whole_decimal(*number).ok_or_else(|| self.wrong(shape, json, way))?;
                Ok(Value::Extension(Extension::Decimal, decimal.into()))
            }
            (Shape::Extension(Extension::Decimal), Json::Number(text)) => {
                let decimal = Number::parse(text).and_then(|number| number.to_decimal());
                let decimal = decimal.ok_or_else(|| self.wrong(shape, json, way))?;
                Ok(Value::Extension(Extension::Decimal, decimal.into()))
            }
            (Shape::Parsed(_), Json::String(text)) => Ok(Value::Raw(text.as_ref().into())),
            (Shape::Parsed(parsed), Json::Object(members)) if self.facts != Facts::FromPlugins => {
                self.record(&parsed.facts, members, way)
            }
            _ => Err(self.wrong(shape, json, way)),
        }
    }

    fn wrong(&self, shape: &Shape, json: &Json<'_>, way: &Way<'_>) -> InvalidRequest {
        InvalidRequest::new(way, expected(shape, self.types), found(json))
    }

    /// Reads a reference to an entity or an action of one of these types: an object with its type and its id, or where there is one type
    /// alone its plain id.
    ///
    /// # Errors
    ///
    /// Another type, and an id that an enumerated type, or the schema's actions, do not have.
    pub fn reference(
        &mut self,
        names: &[EntityTypeName],
        json: &Json<'_>,
        way: &Way<'_>,
    ) -> Result<EntityUid, InvalidRequest> {
        let wrong = |found: String| InvalidRequest::new(way, expected_reference(names, self.types), found);
        let (name, id) = match (names, json) {
            ([name], Json::String(id)) => (name, id),
            (_, Json::Object(members)) => {
                let (Some(Json::String(type_name)), Some(Json::String(id))) =
                    (member(members, "type"), member(members, "id"))
                else {
                    return Err(wrong("an object without them".to_owned()));
                };
                let called = self.types.cedar_name(type_name);
                let name = names.iter().find(|name| name.to_string() == called);
                let name = name.ok_or_else(|| wrong(format!("one to a `{}`", shortened(type_name))))?;
                let others = members.iter().filter(|(name, _)| name != "type" && name != "id");
                let others: Vec<Place> = others.map(|(name, _)| Way::Member(way, name).place()).collect();
                self.dropped.extend(others.len(), others);
                (name, id)
            }
            _ => return Err(wrong(found(json))),
        };
        match self.types.entity_of(name).filter(|entity| !entity.has_id(id)) {
            Some(entity) => Err(InvalidRequest::unknown_id(entity, id, way)),
            None => Ok(EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id))),
        }
    }

    /// What stands for a value that the decision log wrote otherwise than it came: the raw string, or if that is masked, any value of
    /// the type that it had. A plugin's facts are there, unless another plugin read them.
    fn logged(&mut self, shape: &Shape, json: &Json<'_>, way: &Way<'_>) -> Option<Value> {
        let Json::Object(members) = json else { return None };
        let are_taken = match shape {
            Shape::Parsed(parsed) => parsed.facts.0.keys().all(|fact| member(members, fact).is_some()),
            Shape::Record(_) => members.iter().any(|(name, _)| name != MASKED && name != TYPE),
            _ => false,
        };
        if let (Shape::String, Some(Json::String(raw))) = (shape, member(members, RAW)) {
            return Some(Value::String(raw.as_ref().into()));
        }
        let is_of_another_type = match member(members, TYPE) {
            Some(Json::String(found)) => *found != shape.sent_as(),
            _ => false,
        };
        if member(members, MASKED).is_none() || are_taken || is_of_another_type {
            return None;
        }
        self.masked.push(MaskedPlace { place: way.place(), holds_record: shape.holds_record() });
        Some(plain(shape, &|name| self.some_entity(name)))
    }

    fn some_entity(&self, name: &EntityTypeName) -> EntityUid {
        let ids = self.types.entity_of(name).and_then(|entity| entity.ids.as_ref());
        let id = ids.and_then(|ids| ids.first()).map(SmolStr::as_str).unwrap_or_default();
        EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id))
    }

    fn record(&mut self, shape: &RecordShape, members: Members<'_>, way: &Way<'_>) -> Result<Value, InvalidRequest> {
        let record = self.members(shape, members, way)?;
        // What only the store may say is looked for when it has said it ([`Decoder::require_within`]).
        if self.speaker == Speaker::Store || !shape.has_stored() {
            self.require(shape, &record, way);
        }
        Ok(Value::Record(record))
    }

    fn extension(&mut self, extension: Extension, text: &str, way: &Way<'_>) -> Result<Value, InvalidRequest> {
        let Some(read) = extension::read(extension, text) else {
            let found = format!("`{}`", shortened(text));
            return Err(InvalidRequest::new(way, extension::expected(extension).to_string(), found));
        };
        if read.is_too_fine {
            let place = way.place();
            self.dropped.extend(1, [place.clone()]);
            self.floored.push(place);
        }
        Ok(Value::Extension(extension, read.text))
    }
}

/// The references in a record that must be to stored entities and are not, with their places.
pub(super) fn lost_references<'r>(
    shape: &RecordShape,
    record: &'r Record,
    types: &Types,
    stored: &StoredEntities,
    way: &Way<'_>,
    lost: &mut Vec<(Place, &'r EntityUid)>,
) {
    for (name, field) in &shape.0 {
        if let Some(value) = record.get(name) {
            lost_in(&field.shape, field.must_exist, value, (types, stored), &Way::Member(way, name), lost);
        }
    }
}

fn lost_in<'r>(
    shape: &Shape,
    must_exist: bool,
    value: &'r Value,
    (types, stored): (&Types, &StoredEntities),
    way: &Way<'_>,
    lost: &mut Vec<(Place, &'r EntityUid)>,
) {
    match (shape, value) {
        (Shape::Entity(name), Value::Entity(uid)) if must_exist => {
            let is_enumerated = types.entity_of(name).is_some_and(|known| known.ids.is_some());
            if !is_enumerated && stored.get(uid).is_none() {
                lost.push((way.place(), uid));
            }
        }
        (Shape::Record(inner), Value::Record(record)) => lost_references(inner, record, types, stored, way, lost),
        (Shape::Set(element), Value::Set(values)) => {
            for (index, value) in values.iter().enumerate() {
                lost_in(element, must_exist, value, (types, stored), &Way::Element(way, index), lost);
            }
        }
        _ => {}
    }
}

/// What a value is, as an error message says it; of a number, which.
fn found(json: &Json<'_>) -> String {
    match json {
        Json::Number(text) => format!("the number `{}`", shortened(text)),
        other => other.kind().to_owned(),
    }
}

fn expected_reference(names: &[EntityTypeName], types: &Types) -> String {
    match names {
        [name] => {
            let plain = types.entity_of(name).map_or_else(|| "a string".to_owned(), EntityType::expected);
            format!("{plain}, or an object with its `type` and its `id`")
        }
        names => {
            let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            format!("an object with the `type` ({}) and the `id` of an entity", names.join(" or "))
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
        Shape::Entity(name) => expected_reference(std::slice::from_ref(name), types),
        Shape::Set(_) => "an array".to_owned(),
        Shape::Record(_) => "an object".to_owned(),
        Shape::Extension(extension) => extension::expected(*extension).to_string(),
        Shape::Parsed(Parsed { plugin, .. }) => format!("a string, which the plugin {} reads", plugin.name()),
    }
}

/// At most 40 characters of what a caller sent, for a message.
pub fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
