//! What plugins would read again, by values that are not in the log.

use crate::request::TypedRequest;
use crate::request::place::{Part, Place, leads_into};
use crate::request::value::{Record, Value};
use crate::store::schema::{AttributePath, Environment, PathRoot, Shape};

/// What is masked of a request and a plugin of this environment reads something by: a string that is not in the log as facts, or tags that
/// are stored.
pub(super) fn masked_argument<'r>(request: &'r TypedRequest, environment: &Environment) -> Option<&'r Place> {
    if request.masked.is_empty() {
        return None;
    }
    let mut read = Vec::new();
    if has_raw(&request.raw_context) {
        environment.context.0.values().for_each(|field| arguments(&field.shape, Part::Context, &mut read));
    }
    let sides = [
        (Part::Principal, &request.principal, &environment.principal_type),
        (Part::Resource, &request.resource, &environment.resource_type),
    ];
    for (this, entity, entity_type) in sides {
        if has_raw(&entity.raw) {
            entity_type.attributes.0.values().for_each(|field| arguments(&field.shape, this, &mut read));
        }
        if let (Some(_), Some(shape)) = (&entity.tags, &entity_type.tags) {
            arguments(shape, this, &mut read);
        }
    }
    let is_read = |masked: &&Place| {
        read.iter().any(|read: &Place| {
            read.part == masked.part && (leads_into(&read.path, &masked.path) || leads_into(&masked.path, &read.path))
        })
    };
    request.masked.iter().map(|masked| &masked.place).find(is_read)
}

/// Adds the places by which plugins read in a shape, where `this` is the part that holds it.
fn arguments(shape: &Shape, this: Part, found: &mut Vec<Place>) {
    let place = |path: &AttributePath| {
        let part = match path.root {
            PathRoot::Principal => Part::Principal,
            PathRoot::Resource => Part::Resource,
            PathRoot::Context => Part::Context,
            PathRoot::This => this,
        };
        path.attributes.iter().fold(Place::new(part), |place, name| place.member(name))
    };
    match shape {
        Shape::Parsed(parsed) => found.extend(parsed.arguments.iter().flatten().map(place)),
        Shape::Set(element) => arguments(element, this, found),
        Shape::Record(record) => record.0.values().for_each(|field| arguments(&field.shape, this, found)),
        _ => {}
    }
}

fn has_raw(record: &Record) -> bool {
    fn is_raw(value: &Value) -> bool {
        match value {
            Value::Raw(_) => true,
            Value::Set(elements) => elements.iter().any(is_raw),
            Value::Record(record) => has_raw(record),
            _ => false,
        }
    }
    record.values().any(is_raw)
}
