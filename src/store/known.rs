//! Which requests of a newer schema are requests of an older one too, as a condition in Cedar.

use super::schema::{Environment, RecordShape, Shape, Types};

/// What holds of exactly those requests of the newer schema that the older knows, as far as the principal, the resource and the
/// context themselves say: Cedar expressions, which all must hold; none where every request is known.
pub fn conditions(environment: &Environment, old: &Types, new: &Types) -> Vec<String> {
    let mut conditions = Vec::new();
    let Some((_, older)) = old.environment_like(environment) else { return conditions };
    for (variable, name) in [("principal", &environment.principal), ("resource", &environment.resource)] {
        conditions.extend(known_entity(variable, &Shape::Entity(name.clone()), old, new));
        if let (Some(older), Some(newer)) = (old.entity(&name.to_string()), new.entity(&name.to_string())) {
            conditions.extend(known_fields(variable, &older.attributes, &newer.attributes, old, new));
        }
    }
    conditions.extend(known_fields("context", &older.context, &environment.context, old, new));
    conditions
}

/// Of the fields that both declare: that those are there which the older requires, and have values that it knows.
fn known_fields(holder: &str, older: &RecordShape, newer: &RecordShape, old: &Types, new: &Types) -> Vec<String> {
    let both = newer.0.iter().filter_map(|(name, newer)| Some((name, newer, older.0.get(name)?)));
    let conditions = both.flat_map(|(name, newer, older)| {
        let path = format!("{holder}[{name:?}]");
        let presence = format!("{holder} has {name:?}");
        let mut known = match (&older.shape, &newer.shape) {
            (Shape::Record(older), Shape::Record(newer)) => known_fields(&path, older, newer, old, new),
            (_, newer) => known_entity(&path, newer, old, new).into_iter().collect(),
        };
        if newer.required {
            return known;
        }
        known = known.into_iter().map(|known| format!("(!({presence}) || ({known}))")).collect();
        known.extend(older.required.then_some(presence));
        known
    });
    conditions.collect()
}

/// Of a value of an enumerated type that has ids which the older does not have: that it is one of those that it has.
fn known_entity(path: &str, shape: &Shape, old: &Types, new: &Types) -> Option<String> {
    let (name, test) = match shape {
        Shape::Entity(name) => (name, "contains"),
        Shape::Set(element) => match element.as_ref() {
            Shape::Entity(name) => (name, "containsAll"),
            _ => return None,
        },
        _ => return None,
    };
    let (older, newer) = (old.entity(&name.to_string())?, new.entity(&name.to_string())?);
    let (older, newer) = (older.ids.as_ref()?, newer.ids.as_ref()?);
    if newer.iter().all(|id| older.contains(id)) {
        return None;
    }
    let ids: Vec<String> = newer.iter().filter(|id| older.contains(id)).map(|id| format!("{name}::{id:?}")).collect();
    // A set without elements has no type; and of a type of which it knows none, the older has no request.
    Some(if ids.is_empty() { "false".to_owned() } else { format!("[{}].{test}({path})", ids.join(", ")) })
}
