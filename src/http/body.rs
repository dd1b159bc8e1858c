//! Bodies of AuthZEN requests, written: for a person to try, and for `gatepost decide`.

use cedar_policy::EntityUid;
use serde_json::{Map, Value as Json, json};

use crate::request::ACTION_MEMBER;
use crate::request::case::Case;
use crate::request::stored::StoredEntity;
use crate::request::value::{Record, Value};
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
        body.insert("entities".to_owned(), of_entities(stored));
    }
    body.into()
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
