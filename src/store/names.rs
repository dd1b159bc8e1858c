//! The names of types in a schema: each must be one that is known here, or something would be read as what it is not.
//!
//! Cedar has checked that every name is declared; what is said here is what this service knows less of than Cedar, or reads otherwise.

use serde_json::{Map, Value as Json};

use super::problem::Problem;
use super::schema::{Declaration, Reader, Shape, TypeJson, members};

/// Every type that is not known, and every context and entity type that is not plainly a record.
pub(super) fn check(reader: &Reader) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, declaration) in reader.declarations() {
        let mut unknown = Vec::new();
        for json in types_of(reader, name, declaration) {
            find_unknown(reader, json, &declaration.namespace, &mut unknown);
        }
        problems.extend(unknown.into_iter().map(|unknown| {
            let message = format!("the type `{unknown}`, which `{name}` uses, is none that is known here");
            declaration
                .problem(name, message)
                .with_help("declare it, or use another type; a newer version of this program may know it")
        }));
    }
    // What hangs on a name says nothing while the name is not known.
    if !problems.is_empty() {
        return problems;
    }
    for (name, declaration) in reader.declarations() {
        for (what, json) in [("its context", declaration.context()), ("its attributes", declaration.json.get("shape"))]
        {
            let shape = json.map(|json| reader.shape(json, &declaration.namespace, &Map::new()));
            if let Some(shape) = shape.filter(|shape| !matches!(shape, Shape::Record(_))) {
                let problem = declaration.problem(name, format!("`{name}` has for {what} {shape}, and not a record"));
                problems.push(
                    problem.with_help("write a record, and in it a member that has this type: `{ email: Email }`"),
                );
            }
        }
    }
    problems
}

/// The types that a declaration writes.
fn types_of<'d>(reader: &Reader, name: &str, declaration: &'d Declaration) -> impl Iterator<Item = &'d Json> {
    let common = reader.common.contains_key(name).then_some(&declaration.json);
    let of_entity = ["shape", "tags"].into_iter().filter_map(|key| declaration.json.get(key));
    common.into_iter().chain(of_entity).chain(declaration.context())
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
