//! What is strange about stored entities: references to what is not stored, and times that say more than Cedar's milliseconds.

use cedar_policy::{EntityTypeName, EntityUid};

use super::{StoredEntities, references};
use crate::store::Problem;
use crate::store::schema::{FieldShape, Shape, Types};

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
        let mut found: Vec<(EntityUid, EntityUid)> = Vec::new();
        for (uid, stored) in self.iter() {
            let Some(known) = types.entity_of(uid.type_name()) else { continue };
            let (attributes, tags) = (stored.raw(), stored.raw_tags());
            let mut referred = Vec::new();
            // What is masked is in no message.
            let shown =
                attributes.iter().filter(|(name, _)| !known.attributes.0.get(*name).is_some_and(holds_sensitive));
            let tags = tags.values().filter(|_| !known.tags.as_ref().is_some_and(shape_holds_sensitive));
            shown.map(|(_, value)| value).chain(tags).for_each(|value| references(value, &mut referred));
            let lost =
                referred.into_iter().filter(|other| self.get(other).is_none() && self.is_stored_type(other, types));
            found.extend(lost.map(|other| (uid.clone(), other.clone())));
        }
        found.sort();
        found.dedup();
        let more = found.len().saturating_sub(TOLD);
        let told = found.into_iter().take(TOLD).map(|(uid, other)| {
            let problem = Problem::warning(format!("`{uid}` refers to `{other}`, which is not stored"));
            match self.nearest(other.type_name(), other.id().as_ref()) {
                Some(id) => problem.with_help(format!("did you mean `{id}`?")),
                None => problem.with_help("it acts as an entity without parents, tags and optional attributes"),
            }
        });
        let mut problems: Vec<Problem> = told.collect();
        if more > 0 {
            problems.push(Problem::warning(format!("{more} more references lead to entities that are not stored")));
        }
        problems
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

/// Whether the value of a field is masked, or has something in it that is.
fn holds_sensitive(field: &FieldShape) -> bool {
    field.sensitive || shape_holds_sensitive(&field.shape)
}

fn shape_holds_sensitive(shape: &Shape) -> bool {
    match shape {
        Shape::Set(element) => shape_holds_sensitive(element),
        Shape::Record(record) => record.0.values().any(holds_sensitive),
        _ => false,
    }
}
