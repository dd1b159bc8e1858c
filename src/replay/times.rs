//! Times that were sent below Cedar's millisecond: the log has them floored, and does not say what was beyond.
//!
//! A request in which two times differ only there is refused. So one is decided again only where no other time lies in the same
//! millisecond: not one that was sent, nor one that is stored of its entities and of what these refer to.

use std::collections::BTreeSet;

use cedar_policy::EntityUid;

use crate::request::TypedRequest;
use crate::request::extension::milliseconds;
use crate::request::place::{Part, Participant, Place};
use crate::request::stored::{StoredEntities, references};
use crate::request::value::{Record, Value};
use crate::store::schema::Extension;

/// So many entities are looked through.
const MOST_ENTITIES: usize = 1_000;

/// The times of a request, each with its place as the log writes it.
pub(super) struct Times(Vec<(String, i64)>);

impl Times {
    pub(super) fn of(request: &TypedRequest) -> Self {
        let mut times = Self(Vec::new());
        times.record(&Place::new(Part::Context), &request.context);
        let entities = [(&request.principal, Participant::Principal), (&request.resource, Participant::Resource)];
        for (entity, participant) in entities {
            times.record(&Place::new(participant.attributes()), &entity.attributes);
            if let Some(tags) = &entity.tags {
                times.record(&Place::new(participant.tags()), &tags.all);
            }
        }
        times
    }

    /// Whether a time stands at a place.
    pub(super) fn has(&self, place: &str) -> bool {
        self.0.iter().any(|(other, _)| other == place)
    }

    /// One of these places whose time cannot be told from another of the request, or of what is stored.
    pub(super) fn ambiguous<'p>(
        &self,
        mut floored: impl Iterator<Item = &'p str>,
        request: &TypedRequest,
        stored: &StoredEntities,
    ) -> Option<&'p str> {
        let mut of_stored = None;
        floored.find(|place| {
            let own: Vec<i64> =
                self.0.iter().filter(|(other, _)| other == place).map(|(_, millisecond)| *millisecond).collect();
            let is_one = |millisecond: &i64| own.contains(millisecond);
            !own.is_empty()
                && (self.0.iter().any(|(other, millisecond)| other != place && is_one(millisecond))
                    || of_stored
                        .get_or_insert_with(|| stored_times(request, stored))
                        .as_ref()
                        .is_none_or(|times: &Vec<i64>| times.iter().any(is_one)))
        })
    }

    fn record(&mut self, place: &Place, record: &Record) {
        record.iter().for_each(|(name, value)| self.value(&place.member(name), value));
    }

    fn value(&mut self, place: &Place, value: &Value) {
        match value {
            Value::Extension(Extension::Datetime, text) => {
                self.0.extend(milliseconds(text).map(|millisecond| (place.to_string(), millisecond)));
            }
            Value::Set(elements) => {
                elements.iter().enumerate().for_each(|(index, element)| self.value(&place.element(index), element));
            }
            Value::Record(record) => self.record(place, record),
            _ => {}
        }
    }
}

/// The times that are stored of what the two entities refer to; `None` where that is too much.
fn stored_times(request: &TypedRequest, stored: &StoredEntities) -> Option<Vec<i64>> {
    let mut times = Times(Vec::new());
    let mut seen = BTreeSet::from([request.principal.uid.clone(), request.resource.uid.clone()]);
    let of_request = [&request.principal.attributes, &request.resource.attributes, &request.context];
    let mut open: Vec<EntityUid> = of_request.into_iter().flat_map(references_in).collect();
    for entity in [&request.principal, &request.resource] {
        let tags = stored.get(&entity.uid).map(|stored| stored.tags()).unwrap_or_default();
        times.record(&Place::new(Part::Resource), &tags);
        open.extend(references_in(&tags));
        open.extend(entity.tags.iter().flat_map(|tags| references_in(&tags.all)));
    }
    while let Some(uid) = open.pop() {
        let Some(entity) = stored.get(&uid).filter(|_| seen.insert(uid.clone())) else { continue };
        if seen.len() > MOST_ENTITIES {
            return None;
        }
        for record in [entity.attributes(), entity.tags()] {
            times.record(&Place::new(Part::Resource), &record);
            open.extend(references_in(&record));
        }
    }
    Some(times.0.into_iter().map(|(_, millisecond)| millisecond).collect())
}

fn references_in(record: &Record) -> Vec<EntityUid> {
    let mut found = Vec::new();
    record.values().for_each(|value| references(value, &mut found));
    found.into_iter().cloned().collect()
}
