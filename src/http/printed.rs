//! Requests as they are printed, decided by a revision that may have another schema than the one for which they were written.

use std::collections::BTreeSet;

use cedar_policy::EntityTypeName;
use serde_json::{Map, Value as Json, json};

use super::authzen::Alone;
use super::body::{ENTITIES, of_case};
use crate::engine::{Decision, Print, Snapshot};
use crate::request::case::Case;
use crate::request::json::{DEEPEST, Json as Parsed};
use crate::request::stored::StoredEntities;
use crate::request::{Facts, Resolved};
use crate::store::schema::{EntityType, RecordShape, Shape, Types};

/// Requests, written as `gatepost decide --facts` takes them.
#[derive(Clone, Copy, Debug)]
pub struct Printed;

impl Print for Printed {
    fn print(&self, case: &Case, of: &Snapshot) -> Json {
        of_case(case, &of.store.types)
    }

    fn decide(&self, request: &Json, snapshot: &Snapshot) -> Option<Decision> {
        let types = &snapshot.store.types;
        let given = request.get(ENTITIES).unwrap_or(&Json::Null);
        let stored = declared_of(given, types);
        // What is stored of whom the request is about cannot be left out.
        let is_lost = |name| is_of(given, request.get(name)) && !is_of(&stored, request.get(name));
        if is_lost("subject") || is_lost("resource") {
            return None;
        }
        let stored = stored.to_string();
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

/// Of stored entities what a schema declares: those that it cannot store are not stored there.
fn declared_of(entities: &Json, types: &Types) -> Json {
    let mut all: Vec<Json> =
        entities.as_array().into_iter().flatten().filter_map(|entity| declared(entity, types)).collect();
    // One that refers to what must be stored, and is not, is not stored either.
    let mut count = all.len() + 1;
    while all.len() < count {
        count = all.len();
        let there: BTreeSet<String> = all.iter().filter_map(|entity| Some(entity.get("uid")?.to_string())).collect();
        let is_there = |of: &EntityTypeName, id: &str| {
            let known = types.entity_of(of);
            known.is_some_and(|known| known.ids.is_some())
                || there.contains(&json!({ "type": of.to_string(), "id": id }).to_string())
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

/// Whether one of the stored entities is the one that a part of a request names.
fn is_of(entities: &Json, named: Option<&Json>) -> bool {
    let part = |of: Option<&Json>| of.map(|of| (of.get("type").cloned(), of.get("id").cloned()));
    entities.as_array().into_iter().flatten().any(|entity| part(entity.get("uid")) == part(named))
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
    let found =
        type_of(uid, types).filter(|found| uid.get("id").and_then(Json::as_str).is_some_and(|id| found.has_id(id)))?;
    let attributes = declared_record(entity.get("attrs").unwrap_or(&Json::Null), &found.attributes);
    let tags: Option<Map<String, Json>> = found.tags.as_ref().map(|shape| {
        let tags = entity.get("tags").and_then(Json::as_object).into_iter().flatten();
        tags.map(|(key, tag)| (key.clone(), declared_value(tag, shape))).collect()
    });
    let written = |parents: &[&Json]| match &tags {
        Some(tags) => json!({ "uid": uid, "attrs": attributes, "tags": tags, "parents": parents }),
        None => json!({ "uid": uid, "attrs": attributes, "parents": parents }),
    };
    let alone = written(&[]).to_string();
    let alone = Parsed::parse(alone.as_bytes(), DEEPEST).ok()?;
    if !StoredEntities::can_store(&alone, types, Facts::Given) {
        return None;
    }
    let is_declared = |parent: &&Json| type_of(parent, types).is_some_and(|above| found.parents.contains(&above.name));
    let parents = entity.get("parents").and_then(Json::as_array).into_iter().flatten();
    let parents: Vec<&Json> = parents.filter(is_declared).collect();
    Some(written(&parents))
}

fn declared_record(record: &Json, shape: &RecordShape) -> Json {
    let members = record.as_object().into_iter().flatten();
    let known = members
        .filter_map(|(name, value)| Some((name.clone(), declared_value(value, &shape.0.get(name.as_str())?.shape))));
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
