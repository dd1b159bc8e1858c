//! Random entities and requests of a schema.

use cedar_policy::EntityTypeName;
use gatepost::store::schema::{EntityType, Extension, RecordShape, Shape};
use serde_json::{Map, Value, json};

use super::Model;
use crate::random::Random;

/// Texts that Cedar reads as values of that type.
pub fn texts_of(extension: Extension) -> &'static [&'static str] {
    match extension {
        Extension::Ip => &["10.0.0.1", "10.0.0.0/8", "127.0.0.1", "::1", "ff00::/8", "0.0.0.0/0"],
        Extension::Decimal => &["0.0", "1.5", "1.50", "-2.25", "922337203685477.5807", "-922337203685477.5808"],
        Extension::Datetime => &[
            "1970-01-01",
            "2025-02-10",
            "2025-02-10T00:00:00Z",
            "2025-02-10T21:30:00.500+0100",
            "0000-01-01T00:00:00+2359",
            "9999-12-31T23:59:59.999-2359",
        ],
        Extension::Duration => &["0ms", "1h", "-1d", "8h30m", "24h", "9223372036854775807ms", "-9223372036854775808ms"],
    }
}

/// The stored entities: those whose ids the model has. Each is in some of those that come after it, so no cycle can be.
pub fn entities(random: &mut Random, model: &Model) -> String {
    let structured = model.ids.iter().filter(|(name, _)| model.entities[*name].ids.is_none());
    let mut all: Vec<(&EntityTypeName, &String)> =
        structured.flat_map(|(name, ids)| ids.iter().map(move |id| (name, id))).collect();
    for last in (1..all.len()).rev() {
        all.swap(last, random.below(last + 1));
    }
    let entities: Vec<Value> = (0..all.len())
        .map(|index| {
            let (name, id) = all[index];
            let entity = &model.entities[name];
            let mut stored = json!({
                "uid": uid(name, id),
                "attrs": record(random, model, &entity.attributes, 100),
                "parents": parents(random, model, entity, &all[index + 1..]),
            });
            if let Some(shape) = &entity.tags {
                stored["tags"] = tags(random, model, shape);
            }
            stored
        })
        .collect();
    Value::from(entities).to_string()
}

fn tags(random: &mut Random, model: &Model, shape: &Shape) -> Value {
    let keys: Vec<&str> = ["k0", "k 1"].into_iter().filter(|_| random.chance(60)).collect();
    keys.into_iter().map(|key| (key.to_owned(), value(random, model, shape))).collect()
}

fn parents(random: &mut Random, model: &Model, of: &EntityType, after: &[(&EntityTypeName, &String)]) -> Vec<Value> {
    let enumerated = of.parents.iter().filter(|name| model.entities[*name].ids.is_some());
    let enumerated = enumerated.flat_map(|name| model.ids[name].iter().map(move |id| (name, id)));
    let stored = after.iter().copied().filter(|(name, _)| of.parents.contains(name));
    stored.chain(enumerated).filter(|_| random.chance(35)).map(|(name, id)| uid(name, id)).collect()
}

/// A value as requests and stored entities write it.
fn value(random: &mut Random, model: &Model, shape: &Shape) -> Value {
    match shape {
        Shape::Bool => random.chance(50).into(),
        Shape::Long if random.chance(3) => random.pick(&[i64::MAX, i64::MIN]).into(),
        Shape::Long => (i64::try_from(random.below(6)).unwrap() - 1).into(),
        Shape::String => model.strings[random.below(model.strings.len())].clone().into(),
        Shape::Entity(name) => {
            let id = id(random, model, name, 92);
            if model.every_form && random.chance(20) { uid(name, &id) } else { id.into() }
        }
        Shape::Set(element) => (0..random.below(4)).map(|_| value(random, model, element)).collect(),
        Shape::Record(shape) => record(random, model, shape, 100).into(),
        Shape::Extension(extension) => random.pick(texts_of(*extension)).into(),
        Shape::Parsed(_) => unreachable!("no schema here has plugins"),
    }
}

/// A record, each of its fields with that chance, in percent, where it is required.
fn record(random: &mut Random, model: &Model, RecordShape(fields): &RecordShape, percent: usize) -> Map<String, Value> {
    let mut members = Map::new();
    for (name, field) in fields {
        if random.chance(if field.required { percent } else { percent * 6 / 10 }) {
            members.insert(name.to_string(), value(random, model, &field.shape));
        }
    }
    members
}

/// An id, with that chance, in percent, one that is stored.
fn id(random: &mut Random, model: &Model, name: &EntityTypeName, percent: usize) -> String {
    let ids = &model.ids[name];
    let is_stored = model.entities[name].ids.is_some() || random.chance(percent);
    if is_stored { ids[random.below(ids.len())].clone() } else { "gone".to_owned() }
}

fn uid(name: &EntityTypeName, id: &str) -> Value {
    json!({ "type": name.to_string(), "id": id })
}

/// A question of one of the environments.
pub fn question(random: &mut Random, model: &Model) -> Value {
    let environment = &model.environments[random.below(model.environments.len())];
    let subject = said(random, model, &environment.principal_type);
    let mut resource = said(random, model, &environment.resource_type);
    if model.every_form && (&subject["type"], &subject["id"]) == (&resource["type"], &resource["id"]) {
        // Of one entity, nothing may be said that contradicts what is said of it elsewhere.
        resource = subject.clone();
    }
    let mut context = record(random, model, &environment.context, 100);
    if random.chance(2) {
        context = record(random, model, &environment.context, 50);
    }
    let properties = if model.every_form { of_action(random, &environment.context, &mut context) } else { Map::new() };
    let id: &str = environment.action.id().as_ref();
    let is_alone = model.environments.iter().all(|other| {
        let other_id: &str = other.action.id().as_ref();
        other_id != id || other.action == environment.action
    });
    let name = if is_alone && random.chance(70) { id } else { environment.action_name.as_str() };
    json!({ "subject": subject, "action": { "name": name, "properties": properties }, "resource": resource, "context": context })
}

/// Of what the context says of the action, the part that is said with the action itself; some is said twice.
fn of_action(random: &mut Random, shape: &RecordShape, context: &mut Map<String, Value>) -> Map<String, Value> {
    let mut properties = Map::new();
    let is_record = shape.0.get("action").is_some_and(|field| matches!(field.shape, Shape::Record(_)));
    if let Some(Value::Object(members)) = context.get_mut("action").filter(|_| is_record) {
        let (moved, said_twice) = (random.below(3), random.chance(20));
        properties = members.clone();
        properties.retain(|_, _| moved == 1 || moved == 2 && random.chance(50));
        members.retain(|name, _| said_twice || !properties.contains_key(name));
    }
    let says_nothing = |action: &Value| action.as_object().is_some_and(Map::is_empty);
    if !properties.is_empty() && context.get("action").is_some_and(says_nothing) && random.chance(50) {
        context.remove("action");
    }
    properties
}

/// An entity of that type, and what a caller says of it: nothing, a little, or, of one that is not stored, all.
fn said(random: &mut Random, model: &Model, of: &EntityType) -> Value {
    let id = id(random, model, &of.name, 93);
    let is_stored = id != "gone";
    let percent = match random.below(10) {
        _ if !is_stored => 100,
        0..5 => 0,
        5..8 => 30,
        _ => 100,
    };
    let mut properties = record(random, model, &of.attributes, percent);
    if random.chance(10) {
        properties.insert("unknown".to_owned(), json!([1, { "a": null }]));
    }
    if let Some(name) = of.attributes.0.keys().next().filter(|_| random.chance(1)) {
        let wrong = if model.every_form { Value::Null } else { json!(1.5) };
        properties.insert(name.to_string(), random.pick(&[&Value::Null, &wrong]).clone());
    }
    let mut said = json!({ "type": of.full_name.as_str(), "id": id, "properties": properties });
    if let Some(shape) = of.tags.as_ref().filter(|_| model.every_form && random.chance(30)) {
        said["tags"] = tags(random, model, shape);
    }
    if model.every_form && !is_stored && random.chance(50) {
        said["parents"] = sayable_parents(random, model, of).into();
    }
    said
}

/// Parents that a caller may say of an entity that is not stored: stored ones.
fn sayable_parents(random: &mut Random, model: &Model, of: &EntityType) -> Vec<Value> {
    let all = of.parents.iter().flat_map(|name| model.ids[name].iter().map(move |id| (name, id)));
    all.filter(|_| random.chance(20)).map(|(name, id)| uid(name, id)).collect()
}
