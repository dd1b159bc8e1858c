//! Bodies of AuthZEN requests, written: for a person to try, and for `gatepost decide`.

use std::collections::BTreeSet;

use cedar_policy::{EntityTypeName, EntityUid};
use serde_json::{Map, Value as Json, json};

use super::authzen::Alone;
use crate::engine::{Decision, Print, Snapshot};
use crate::request::case::Case;
use crate::request::json::{DEEPEST, Json as Parsed};
use crate::request::stored::{StoredEntities, StoredEntity};
use crate::request::value::{Record, Value};
use crate::request::{ACTION_MEMBER, Facts, Resolved};
use crate::store::schema::{EntityType, RecordShape, Shape, Types};

/// A case, with its facts as they are and what is stored in `entities`: what `gatepost decide --facts` takes. Of an entity of which only
/// the store may say something, all is stored.
pub fn of_case(case: &Case, types: &Types) -> Json {
    let Case { request, entities } = case;
    let is_stored = |uid: &EntityUid| types.entity_of(uid.type_name()).is_some_and(EntityType::has_only_stored);
    let mut context = request.context.clone();
    let mut action = Map::new();
    if let Some(environment) = types.environments.get(request.environment) {
        action.insert("name".to_owned(), types.name_of_action(environment).into());
    }
    // What is declared as anything else than a record is a member of the context as any other.
    if matches!(context.get(ACTION_MEMBER), Some(Value::Record(_)))
        && let Some(attributes) = context.remove(ACTION_MEMBER)
    {
        action.insert("properties".to_owned(), of_value(&attributes));
    }
    let named = |uid: &EntityUid, attributes: &Record| {
        let mut named = of_uid(uid);
        if let Some(members) = named.as_object_mut().filter(|_| !attributes.is_empty() && !is_stored(uid)) {
            members.insert("properties".to_owned(), of_record(attributes));
        }
        named
    };
    let mut body = Map::new();
    body.insert("subject".to_owned(), named(&request.principal.uid, &request.principal.attributes));
    body.insert("action".to_owned(), action.into());
    body.insert("resource".to_owned(), named(&request.resource.uid, &request.resource.attributes));
    if !context.is_empty() {
        body.insert("context".to_owned(), of_record(&context));
    }
    let mut stored: Vec<(EntityUid, StoredEntity)> =
        entities.iter().map(|(uid, stored)| (uid, stored.to_entity())).collect();
    let asked = [&request.principal, &request.resource].into_iter().filter(|entity| is_stored(&entity.uid));
    for entity in asked {
        if stored.iter().all(|(uid, _)| *uid != entity.uid) {
            stored.push((entity.uid.clone(), StoredEntity::new(entity.attributes.clone())));
        }
    }
    if !stored.is_empty() {
        body.insert(ENTITIES.to_owned(), of_entities(stored));
    }
    body.into()
}

/// Requests, written as `gatepost decide --facts` takes them.
#[derive(Clone, Copy, Debug)]
pub struct Printed;

impl Print for Printed {
    fn print(&self, case: &Case, of: &Snapshot) -> Json {
        of_case(case, &of.store.types)
    }

    fn decide(&self, request: &Json, snapshot: &Snapshot) -> Option<Decision> {
        let types = &snapshot.store.types;
        let stored = declared_of(request.get(ENTITIES).unwrap_or(&Json::Null), types).to_string();
        let stored = Parsed::parse(stored.as_bytes(), DEEPEST).ok()?;
        let stored = StoredEntities::from_json(&stored, types, Facts::Given).ok()?;
        let request = request.to_string();
        let request = Parsed::parse(request.as_bytes(), DEEPEST).ok()?;
        let question = Alone::read(&request, Some(ENTITIES)).ok()?.question.by_cedar_names(types);
        let entities = snapshot.entities.with(&stored);
        match snapshot.resolve_over(&question, Facts::Given, &entities).ok()? {
            Resolved::Unknown(_) => None,
            resolved => Some(snapshot.decide_resolved(&resolved, &entities)),
        }
    }
}

/// The member of a request that holds what else is stored, for `gatepost decide --facts`.
pub const ENTITIES: &str = "entities";

/// Of stored entities what a schema declares: those that it cannot store are not stored there.
fn declared_of(entities: &Json, types: &Types) -> Json {
    let mut all: Vec<Json> = entities.as_array().into_iter().flatten().filter_map(|entity| declared(entity, types)).collect();
    // One that refers to what must be stored, and is not, is not stored either.
    let mut count = all.len() + 1;
    while all.len() < count {
        count = all.len();
        let there: BTreeSet<String> = all.iter().filter_map(|entity| Some(entity.get("uid")?.to_string())).collect();
        let is_there = |of: &EntityTypeName, id: &str| {
            let known = types.entity_of(of);
            known.is_some_and(|known| known.ids.is_some()) || there.contains(&json!({ "type": of.to_string(), "id": id }).to_string())
        };
        all.retain(|entity| {
            let of = entity.get("uid").and_then(|uid| type_of(uid, types));
            let attributes = entity.get("attrs").unwrap_or(&Json::Null);
            of.is_none_or(|of| refers_to_what_is(attributes, &of.attributes, &is_there))
        });
    }
    let is_there = |parent: &Json| {
        let is_enumerated = type_of(parent, types).is_some_and(|found| found.ids.is_some());
        is_enumerated || all.iter().any(|entity| entity.get("uid") == Some(parent))
    };
    let with_parents = all.iter().map(|entity| {
        let mut entity = entity.clone();
        if let Some(parents) = entity.get_mut("parents").and_then(Json::as_array_mut) {
            parents.retain(is_there);
        }
        entity
    });
    with_parents.collect()
}

fn type_of<'t>(uid: &Json, types: &'t Types) -> Option<&'t EntityType> {
    types.entity(uid.get("type")?.as_str()?)
}

/// Whether all is there that must be stored.
fn refers_to_what_is(record: &Json, shape: &RecordShape, is_there: &dyn Fn(&EntityTypeName, &str) -> bool) -> bool {
    record.as_object().into_iter().flatten().all(|(name, value)| {
        shape.0.get(name.as_str()).is_none_or(|field| value_is_there(value, &field.shape, field.must_exist, is_there))
    })
}

fn value_is_there(
    value: &Json,
    shape: &Shape,
    must_exist: bool,
    is_there: &dyn Fn(&EntityTypeName, &str) -> bool,
) -> bool {
    match (shape, value) {
        (Shape::Entity(of), uid) if must_exist => {
            uid.as_str().or_else(|| uid.get("id")?.as_str()).is_none_or(|id| is_there(of, id))
        }
        (Shape::Set(element), Json::Array(elements)) => {
            elements.iter().all(|found| value_is_there(found, element, must_exist, is_there))
        }
        (Shape::Record(shape), record) => refers_to_what_is(record, shape, is_there),
        _ => true,
    }
}

/// What is declared of a stored entity; `None` where it cannot be stored.
fn declared(entity: &Json, types: &Types) -> Option<Json> {
    let uid = entity.get("uid")?;
    let found = type_of(uid, types).filter(|found| uid.get("id").and_then(Json::as_str).is_some_and(|id| found.has_id(id)))?;
    let attributes = declared_record(entity.get("attrs").unwrap_or(&Json::Null), &found.attributes);
    let mut declared = json!({ "uid": uid, "attrs": attributes, "parents": [] });
    if let (Some(shape), Some(Json::Object(tags))) = (&found.tags, entity.get("tags")) {
        declared["tags"] = tags.iter().map(|(key, tag)| (key.clone(), declared_value(tag, shape))).collect::<Map<_, _>>().into();
    }
    let alone = declared.to_string();
    let alone = Parsed::parse(alone.as_bytes(), DEEPEST).ok()?;
    if !StoredEntities::can_store(&alone, types, Facts::Given) {
        return None;
    }
    let is_declared = |parent: &&Json| type_of(parent, types).is_some_and(|above| found.parents.contains(&above.name));
    let parents = entity.get("parents").and_then(Json::as_array).into_iter().flatten();
    declared["parents"] = parents.filter(is_declared).cloned().collect();
    Some(declared)
}

fn declared_record(record: &Json, shape: &RecordShape) -> Json {
    let members = record.as_object().into_iter().flatten();
    let known = members.filter_map(|(name, value)| {
        Some((name.clone(), declared_value(value, &shape.0.get(name.as_str())?.shape)))
    });
    known.collect::<Map<_, _>>().into()
}

fn declared_value(value: &Json, shape: &Shape) -> Json {
    match (shape, value) {
        (Shape::Record(shape), Json::Object(_)) => declared_record(value, shape),
        (Shape::Parsed(parsed), Json::Object(_)) => declared_record(value, &parsed.facts),
        (Shape::Set(element), Json::Array(elements)) => {
            elements.iter().map(|found| declared_value(found, element)).collect()
        }
        _ => value.clone(),
    }
}

/// A request that the schema allows, with a plain value for all that is required; null if the schema has no action.
pub fn sample(types: &Types) -> Json {
    let Some(environment) = types.environments.first() else { return Json::Null };
    let entity = |name: &cedar_policy::EntityTypeName| {
        let entity = types.entity_of(name);
        let attributes = entity.map(|entity| plain_record(&entity.attributes, types)).unwrap_or_default();
        json!({ "type": name.to_string(), "id": plain_id(entity), "properties": attributes })
    };
    let mut context = plain_record(&environment.context, types);
    let mut action = Map::from_iter([("name".to_owned(), types.name_of_action(environment).into())]);
    if context.get(ACTION_MEMBER).is_some_and(Json::is_object)
        && let Some(attributes) = context.remove(ACTION_MEMBER)
    {
        action.insert("properties".to_owned(), attributes);
    }
    json!({
        "subject": entity(&environment.principal),
        "action": action,
        "resource": entity(&environment.resource),
        "context": context,
    })
}

fn of_uid(uid: &EntityUid) -> Json {
    json!({ "type": uid.type_name().to_string(), "id": AsRef::<str>::as_ref(uid.id()) })
}

fn of_entities(mut entities: Vec<(EntityUid, StoredEntity)>) -> Json {
    entities.sort_by(|(uid, _), (other, _)| uid.cmp(other));
    let written = entities.into_iter().map(|(uid, entity)| {
        let parents: Vec<Json> = entity.parents.iter().map(of_uid).collect();
        let mut written = json!({ "uid": of_uid(&uid), "attrs": of_record(&entity.attributes), "parents": parents });
        if let Some(members) = written.as_object_mut().filter(|_| !entity.tags.is_empty()) {
            members.insert("tags".to_owned(), of_record(&entity.tags));
        }
        written
    });
    written.collect()
}

fn of_record(record: &Record) -> Json {
    record.iter().map(|(name, value)| (name.to_string(), of_value(value))).collect::<Map<_, _>>().into()
}

fn of_value(value: &Value) -> Json {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Long(value) => (*value).into(),
        Value::String(text) | Value::Raw(text) | Value::Extension(_, text) => text.as_str().into(),
        Value::Entity(uid) => AsRef::<str>::as_ref(uid.id()).into(),
        Value::Set(elements) => elements.iter().map(of_value).collect(),
        Value::Record(record) => of_record(record),
    }
}

fn plain_record(shape: &RecordShape, types: &Types) -> Map<String, Json> {
    let required = shape.0.iter().filter(|(_, field)| field.required && !field.stored);
    required.map(|(name, field)| (name.to_string(), plain(&field.shape, types))).collect()
}

fn plain(shape: &Shape, types: &Types) -> Json {
    match shape {
        Shape::Bool => false.into(),
        Shape::Long => 0.into(),
        Shape::String | Shape::Parsed(_) => "".into(),
        Shape::Extension(extension) => extension.plain().into(),
        Shape::Entity(name) => plain_id(types.entity_of(name)).into(),
        Shape::Set(_) => Json::Array(Vec::new()),
        Shape::Record(record) => plain_record(record, types).into(),
    }
}

fn plain_id(entity: Option<&EntityType>) -> String {
    let first = entity.and_then(|entity| entity.ids.as_ref()?.first());
    first.map_or_else(|| "1".to_owned(), ToString::to_string)
}
