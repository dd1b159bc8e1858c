//! Bodies of AuthZEN requests, written: for a person to try, and for `gatepost decide`.

use cedar_policy::EntityUid;
use serde_json::{Map, Value as Json, json};

use crate::request::ACTION_MEMBER;
use crate::request::case::Case;
use crate::request::stored::StoredEntities;
use crate::request::value::{Record, Value};
use crate::store::schema::{EntityType, RecordShape, Shape, Types};

/// A case, with its facts as they are and what is stored in `entities`: what `gatepost decide --facts` takes.
pub fn of_case(case: &Case, types: &Types) -> Json {
    let Case { request, entities } = case;
    let mut context = request.context.clone();
    let mut action = Map::new();
    if let Some(environment) = types.environments.get(request.environment) {
        action.insert("name".to_owned(), types.name_of_action(environment).into());
    }
    if let Some(attributes) = context.remove(ACTION_MEMBER) {
        action.insert("properties".to_owned(), of_value(&attributes));
    }
    let named = |uid: &EntityUid, attributes: &Record| {
        let mut named = of_uid(uid);
        if let Some(members) = named.as_object_mut().filter(|_| !attributes.is_empty()) {
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
    if !entities.is_empty() {
        body.insert("entities".to_owned(), of_entities(entities));
    }
    body.into()
}

/// A request that the schema allows, with a plain value for all that is required; null if the schema has no action.
pub fn sample(types: &Types) -> Json {
    let Some(environment) = types.environments.first() else { return Json::Null };
    let entity = |name: &cedar_policy::EntityTypeName| {
        let entity = types.entity(&name.to_string());
        let attributes = entity.map(|entity| plain_record(&entity.attributes, types)).unwrap_or_default();
        json!({ "type": name.to_string(), "id": plain_id(entity), "properties": attributes })
    };
    let mut context = plain_record(&environment.context, types);
    let mut action = Map::from_iter([("name".to_owned(), types.name_of_action(environment).into())]);
    if let Some(attributes) = context.remove(ACTION_MEMBER) {
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

fn of_entities(entities: &StoredEntities) -> Json {
    let mut sorted: Vec<_> = entities.iter().collect();
    sorted.sort_by(|(uid, _), (other, _)| uid.cmp(other));
    let written = sorted.into_iter().map(|(uid, stored)| {
        let parents: Vec<Json> = stored.parents().iter().map(of_uid).collect();
        let mut written = json!({ "uid": of_uid(&uid), "attrs": of_record(&stored.attributes()), "parents": parents });
        let tags = stored.tags();
        if let Some(members) = written.as_object_mut().filter(|_| !tags.is_empty()) {
            members.insert("tags".to_owned(), of_record(&tags));
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
    let required = shape.0.iter().filter(|(_, field)| field.required);
    required.map(|(name, field)| (name.to_string(), plain(&field.shape, types))).collect()
}

fn plain(shape: &Shape, types: &Types) -> Json {
    match shape {
        Shape::Bool => false.into(),
        Shape::Long => 0.into(),
        Shape::String | Shape::Parsed(_) => "".into(),
        Shape::Extension(extension) => extension.plain().into(),
        Shape::Entity(name) => plain_id(types.entity(&name.to_string())).into(),
        Shape::Set(_) => Json::Array(Vec::new()),
        Shape::Record(record) => plain_record(record, types).into(),
    }
}

fn plain_id(entity: Option<&EntityType>) -> String {
    let first = entity.and_then(|entity| entity.ids.as_ref()?.first());
    first.map_or_else(|| "1".to_owned(), ToString::to_string)
}
