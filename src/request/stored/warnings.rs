//! What is strange about stored entities: references to what is not stored, and times that say more than Cedar's milliseconds.

use cedar_policy::{EntityTypeName, EntityUid};

use super::StoredEntities;
use crate::request::value::{Record, Value};
use crate::store::Problem;
use crate::store::schema::{RecordShape, Shape, Types};

/// So many warnings of one kind are told.
const TOLD: usize = 10;

/// The most edits by which an id can be a misspelling of another.
const NEAR: usize = 2;

impl StoredEntities {
    /// Warnings for `gatepost check`. Of a type of which nothing is stored, nothing is expected to be.
    pub fn warnings(&self, types: &Types) -> Vec<Problem> {
        [self.dangling(types), self.floored_times()].concat()
    }

    fn dangling(&self, types: &Types) -> Vec<Problem> {
        // The id of what is masked is in no message.
        let mut found: Vec<(EntityUid, Option<EntityUid>)> = Vec::new();
        for (uid, stored) in self.iter() {
            let Some(known) = types.entity_of(uid.type_name()) else { continue };
            let (attributes, tags) = (stored.raw(), stored.raw_tags());
            let mut referred = Vec::new();
            in_record(&known.attributes, &attributes, false, &mut referred);
            for (shape, value) in known.tags.iter().flat_map(|shape| tags.values().map(move |value| (shape, value))) {
                in_value(shape, value, false, &mut referred);
            }
            referred.retain(|(other, _)| self.get(other).is_none() && self.is_stored_type(other, types));
            found.extend(referred.into_iter().map(|(other, masked)| (uid.clone(), (!masked).then(|| other.clone()))));
        }
        found.sort();
        found.dedup();
        let more = found.len().saturating_sub(TOLD);
        let mut problems: Vec<Problem> =
            found.into_iter().take(TOLD).map(|(uid, other)| self.not_stored(&uid, other.as_ref())).collect();
        if more > 0 {
            problems.push(Problem::warning(format!("{more} more references lead to entities that are not stored")));
        }
        problems
    }

    fn not_stored(&self, uid: &EntityUid, other: Option<&EntityUid>) -> Problem {
        let referred = other.map_or_else(|| "something that is masked".to_owned(), |other| format!("`{other}`"));
        let problem = Problem::warning(format!("`{uid}` refers to {referred}, which is not stored"));
        match other.and_then(|other| self.nearest(other.type_name(), other.id().as_ref())) {
            Some(id) => problem.with_help(format!("did you mean `{id}`?")),
            None => problem.with_help("it acts as an entity without parents, tags and optional attributes"),
        }
    }

    /// Whether entities of its type are stored, so that this one could be.
    fn is_stored_type(&self, uid: &EntityUid, types: &Types) -> bool {
        let can_be_stored = types.entity_of(uid.type_name()).is_some_and(|known| known.ids.is_none());
        can_be_stored && self.table(uid.type_name()).is_some_and(|table| !table.is_empty())
    }

    fn nearest(&self, name: &EntityTypeName, id: &str) -> Option<String> {
        let stored = self.table(name)?.iter().map(|(stored, _)| stored);
        let near = stored.map(|stored| (strsim::damerau_levenshtein(stored, id), stored));
        let (_, nearest) = near.filter(|(edits, _)| *edits <= NEAR).min()?;
        Some(nearest.to_string())
    }

    fn floored_times(&self) -> Vec<Problem> {
        let mut found: Vec<&EntityUid> = self.floored.iter().collect();
        found.sort();
        let more = found.len().saturating_sub(TOLD);
        let told = found.into_iter().take(TOLD).map(|uid| {
            Problem::warning(format!("a time of `{uid}` says more than milliseconds, and is floored"))
                .with_help("a request with another time in that millisecond is refused: write whole milliseconds")
        });
        let mut problems: Vec<Problem> = told.collect();
        if more > 0 {
            problems.push(Problem::warning(format!("times of {more} more entities are floored to the millisecond")));
        }
        problems
    }
}

/// The references in a record, each with whether it is masked.
fn in_record<'r>(shape: &RecordShape, record: &'r Record, masked: bool, found: &mut Vec<(&'r EntityUid, bool)>) {
    for (name, field) in &shape.0 {
        if let Some(value) = record.get(name) {
            in_value(&field.shape, value, masked || field.sensitive, found);
        }
    }
}

fn in_value<'r>(shape: &Shape, value: &'r Value, masked: bool, found: &mut Vec<(&'r EntityUid, bool)>) {
    match (shape, value) {
        (_, Value::Entity(uid)) => found.push((uid, masked)),
        (Shape::Record(shape), Value::Record(record)) => in_record(shape, record, masked, found),
        (Shape::Set(shape), Value::Set(values)) => {
            values.iter().for_each(|value| in_value(shape, value, masked, found));
        }
        _ => {}
    }
}
