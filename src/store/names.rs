//! The names of types in a schema: each must be one that is known here, or something would be read as what it is not.
//!
//! Cedar has checked that every name is declared; what is said here is what this service knows less of than Cedar, or reads otherwise.

use serde_json::{Map, Value as Json};

use super::problem::Problem;
use super::schema::{Declaration, Reader, Shape, TypeJson, members};
use super::written::Kind;

/// Every name that is not known, every type that hides another, and every context and entity type that is not plainly a record.
pub(super) fn check(reader: &Reader) -> Vec<Problem> {
    let mut problems: Vec<Problem> =
        reader.common.iter().filter_map(|(name, common)| hidden(reader, name, common)).collect();
    for (name, declaration) in reader.declarations() {
        let mut unknown = Vec::new();
        types_of(declaration).for_each(|json| find_unknown(reader, json, &declaration.namespace, &mut unknown));
        unknown.extend(reader.unknown_parents(declaration));
        problems.extend(unknown.into_iter().map(|unknown| {
            let message = format!("the type `{unknown}`, which `{name}` uses, is none that is known here");
            declaration
                .problem(message)
                .with_help("declare it, or use another type; a newer version of this program may know it")
        }));
        if declaration.json.get("external").and_then(Json::as_bool) == Some(true) {
            let problem = declaration.problem(format!("`{name}` is declared as `external`, and defined nowhere"));
            problems.push(problem.with_help("write what it is: what a request says of it is read by that"));
        }
    }
    // What hangs on a name says nothing while the name is not known.
    if problems.is_empty() {
        reader.declarations().flat_map(|(name, found)| no_records(reader, name, found)).collect()
    } else {
        problems
    }
}

/// A type that stands where a record must.
fn no_records(reader: &Reader, name: &str, declaration: &Declaration) -> Vec<Problem> {
    let places = [("its context", declaration.context()), ("its attributes", declaration.json.get("shape"))];
    let shapes = places
        .into_iter()
        .filter_map(|(what, json)| Some((what, reader.shape(json?, &declaration.namespace, &Map::new()))));
    let others = shapes.filter(|(_, shape)| !matches!(shape, Shape::Record(_)));
    let problems = others.map(|(what, shape)| {
        let problem = declaration.problem(format!("`{name}` has for {what} {shape}, and not a record"));
        problem.with_help("write a record, and in it a member that has this type: `{ email: Email }`")
    });
    problems.collect()
}

/// A common type that has the name of an entity type: Cedar takes the name for the one or the other, by where it stands.
fn hidden(reader: &Reader, name: &str, common: &Declaration) -> Option<Problem> {
    let entity = reader.entities.get(name)?;
    let problem = common.problem(format!("`{name}` is declared as a type and as an entity type"));
    let place = entity.place();
    if common.file == entity.file
        && let Some(span) = place
    {
        return Some(problem.at(span, "as an entity type").with_help(HIDDEN));
    }
    let line = place.map(|span| format!(":{}", entity.file.line_at(span))).unwrap_or_default();
    Some(problem.with_help(format!("the entity type stands at {}{line}; {HIDDEN}", entity.file.path)))
}

const HIDDEN: &str = "give one of the two another name: an attribute of that name would have the type, and no reference to such an entity";

/// The types that a declaration writes.
fn types_of(declaration: &Declaration) -> impl Iterator<Item = &Json> {
    let common = (declaration.kind == Kind::CommonType).then_some(&declaration.json);
    let of_entity = ["shape", "tags"].into_iter().filter_map(|key| declaration.json.get(key));
    common.into_iter().chain(of_entity.filter(|_| declaration.kind != Kind::CommonType)).chain(declaration.context())
}

fn find_unknown(reader: &Reader, json: &Json, namespace: &str, unknown: &mut Vec<String>) {
    match TypeJson::of(json) {
        Some(TypeJson::Record) => {
            let attributes = json.get("attributes").into_iter().flat_map(members);
            attributes.for_each(|(_, json)| find_unknown(reader, json, namespace, unknown));
        }
        Some(TypeJson::Set(element)) => find_unknown(reader, element, namespace, unknown),
        Some(TypeJson::Named(kind, name)) => {
            unknown.extend(reader.named(kind, name, namespace).is_none().then(|| name.to_owned()))
        }
        None => unknown.push(json.get("type").map(Json::to_string).unwrap_or_else(|| json.to_string())),
    }
}
