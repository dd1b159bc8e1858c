//! From what the solver finds to a case, in this project's own values.

use std::collections::BTreeMap;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, EvalResult};
use cedar_policy_symcc::Env;
use chrono::{DateTime, Datelike as _};
use smol_str::SmolStr;

use super::bounded::{EARLIEST, LATEST};
use crate::request::case::{Case, direct_parents};
use crate::request::stored::StoredEntity;
use crate::request::value::{Record, Value, plain};
use crate::store::schema::{Extension, FieldShape, RecordShape, Shape, Types};

/// The case that a model stands for; `None` where it holds what this project cannot write down.
pub(super) fn case_of(model: &Env, environment: usize, types: &Types) -> Option<Case> {
    let principal = model.request.principal()?;
    let resource = model.request.resource()?;
    let declared = types.environments.get(environment)?;
    let context = model.request.context()?;
    let context = record(types, &declared.context, &|name| Some(context.get(name)))?;

    let known = |uid: &EntityUid| types.entity_of(uid.type_name());
    let mut ancestors: BTreeMap<EntityUid, Vec<EntityUid>> = BTreeMap::new();
    let mut entities = BTreeMap::new();
    for entity in model.entities.iter() {
        let uid = entity.uid();
        let entity_type = known(&uid)?;
        // Of an enumerated type nothing is stored.
        if entity_type.ids.is_some() {
            continue;
        }
        let attributes = record(types, &entity_type.attributes, &|name| match entity.attr(name) {
            Some(value) => Some(Some(value.ok()?)),
            None => Some(None),
        })?;
        let mut stored = StoredEntity::new(attributes);
        if let Some(shape) = &entity_type.tags {
            for (key, tag) in entity.tags() {
                stored.tags.insert(key.into(), value(types, shape, &tag.ok()?)?);
            }
        }
        let mut above: Vec<EntityUid> = model.entities.ancestors(&uid).into_iter().flatten().cloned().collect();
        above.sort();
        ancestors.insert(uid.clone(), above);
        entities.insert(uid, stored);
    }
    let plain_entity =
        |uid: &EntityUid| Some(StoredEntity::new(record(types, &known(uid)?.attributes, &|_| Some(None))?));
    for (uid, parents) in direct_parents(&ancestors, types)? {
        let mut entity = match entities.remove(&uid) {
            Some(entity) => entity,
            None => plain_entity(&uid)?,
        };
        entity.parents = parents;
        entities.insert(uid, entity);
    }
    for uid in [principal, resource] {
        if !entities.contains_key(uid) {
            entities.insert(uid.clone(), plain_entity(uid)?);
        }
    }
    Case::new(environment, principal.clone(), resource.clone(), context, entities)
}

/// The record whose fields `get` gives: `None` where one cannot be read, `Some(None)` where one is not there. A required field
/// that is not there was of no interest to the solver.
fn record(types: &Types, shape: &RecordShape, get: &dyn Fn(&str) -> Option<Option<EvalResult>>) -> Option<Record> {
    let mut record = Record::new();
    for (name, FieldShape { required, shape, .. }) in &shape.0 {
        match get(name)? {
            Some(found) => drop(record.insert(name.clone(), value(types, shape, &found)?)),
            None if *required => drop(record.insert(name.clone(), plain(shape, &|name| some_entity(types, name)))),
            None => {}
        }
    }
    Some(record)
}

fn value(types: &Types, shape: &Shape, found: &EvalResult) -> Option<Value> {
    Some(match (shape, found) {
        (Shape::Bool, EvalResult::Bool(value)) => Value::Bool(*value),
        (Shape::Long, EvalResult::Long(value)) => Value::Long(*value),
        (Shape::String, EvalResult::String(text)) => Value::String(text.into()),
        (Shape::Entity(_), EvalResult::EntityUid(uid)) => Value::Entity(uid.clone()),
        (Shape::Set(element), EvalResult::Set(elements)) => {
            let mut elements: Vec<Value> =
                elements.iter().map(|found| value(types, element, found)).collect::<Option<_>>()?;
            elements.sort();
            Value::Set(elements)
        }
        (Shape::Record(shape), EvalResult::Record(found)) => {
            Value::Record(record(types, shape, &|name| Some(found.get(name).cloned()))?)
        }
        (Shape::Parsed(parsed), found) => value(types, &Shape::Record(parsed.facts.clone()), found)?,
        (Shape::Extension(extension), EvalResult::ExtensionValue(text)) => {
            Value::Extension(*extension, extension_text(*extension, text)?)
        }
        _ => return None,
    })
}

/// What stands in `decimal("…")` and the like. Of a point in time Cedar may say how far it is from another.
fn extension_text(extension: Extension, text: &str) -> Option<SmolStr> {
    const EPOCH: &str = "datetime(\"1970-01-01\").offset(duration(\"";
    if let Some(offset) = text.strip_prefix(EPOCH) {
        return written_time(offset.strip_suffix("ms\"))")?.parse().ok()?);
    }
    let function = match extension {
        Extension::Ip => "ip",
        other => other.cedar_name(),
    };
    let inner = text.strip_prefix(function)?.strip_prefix("(\"")?.strip_suffix("\")")?;
    Some(inner.into())
}

/// A point in time as a request can say it. Beyond what one can say are only values that no policy tells from others (see
/// [`bounded`](super::bounded)), such as the element by which two sets differ: for each of them stands another, the same everywhere.
fn written_time(milliseconds: i64) -> Option<SmolStr> {
    const FARTHEST_ZONE: i64 = (23 * 60 + 59) * 60_000;
    let (earliest, span) = (i128::from(EARLIEST), i128::from(LATEST - EARLIEST + 1));
    let milliseconds = i64::try_from(earliest + (i128::from(milliseconds) - earliest).rem_euclid(span)).ok()?;
    let (local, zone) = match DateTime::from_timestamp_millis(milliseconds)?.year() {
        ..0 => (milliseconds + FARTHEST_ZONE, "+2359"),
        0..=9999 => (milliseconds, "Z"),
        _ => (milliseconds - FARTHEST_ZONE, "-2359"),
    };
    let time = DateTime::from_timestamp_millis(local)?;
    Some(format!("{}{zone}", time.format("%Y-%m-%dT%H:%M:%S%.3f")).into())
}

/// An entity of that type, for where any will do: the first of those that are declared.
fn some_entity(types: &Types, name: &EntityTypeName) -> EntityUid {
    let declared = types.entity_of(name).and_then(|found| found.ids.as_ref()?.first());
    EntityUid::from_type_name_and_id(name.clone(), EntityId::new(declared.map_or("any", SmolStr::as_str)))
}
