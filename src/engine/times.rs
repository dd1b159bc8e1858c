//! Times of one request that Cedar cannot tell apart, since they differ only below its millisecond.
//!
//! A policy that compares two such times would take one for the other. So where a time says more than milliseconds, no other time that a
//! policy can read may lie in the same millisecond: not one that was sent, nor one that is stored.

use cedar_policy::EntityUid;
use hashbrown::HashMap;

use super::gathered::readable;
use super::index::Reads;
use crate::request::extension::milliseconds;
use crate::request::place::{Part, Participant, Place, Way};
use crate::request::stored::{Stored, StoredEntities};
use crate::request::value::{Record, Value};
use crate::request::{Fault, InvalidRequest, TypedRequest};
use crate::store::schema::Extension;

/// The times of a request that were looked at.
struct Times<'a> {
    request: &'a TypedRequest,
    /// The digits below each millisecond, and where they stand in the request.
    seen: HashMap<i64, (String, Option<Place>)>,
}

/// Looks at the times of the context, of the principal and the resource, and of all that policies can read beyond.
///
/// # Errors
///
/// Two times that differ only below the millisecond.
pub(super) fn check(request: &TypedRequest, reads: &Reads, stored: &StoredEntities) -> Result<(), InvalidRequest> {
    let mut times = Times { request, seen: HashMap::new() };
    let mut open: Vec<(EntityUid, usize)> = reads.named.iter().map(|uid| (uid.clone(), reads.references)).collect();
    let mut in_request = |record: &Record, part: Part, left: usize| {
        record.values().for_each(|value| readable(value, left, &mut open));
        times.record(record, Some(part))
    };
    in_request(&request.context, Part::Context, reads.references)?;
    let left = reads.references.saturating_sub(1);
    let mut followed = HashMap::new();
    for (entity, participant) in
        [(&request.principal, Participant::Principal), (&request.resource, Participant::Resource)]
    {
        let tags = match &entity.tags {
            Some(tags) => tags.all.clone(),
            None => stored.get(&entity.uid).map(Stored::tags).unwrap_or_default(),
        };
        in_request(&entity.attributes, participant.attributes(), left)?;
        in_request(&tags, participant.tags(), left)?;
        followed.insert(entity.uid.clone(), usize::MAX);
    }
    while let Some((uid, left)) = open.pop() {
        if followed.get(&uid).is_some_and(|followed| *followed >= left) {
            continue;
        }
        if let Some(stored) = stored.get(&uid) {
            for record in [stored.attributes(), stored.tags()] {
                times.record(&record, None)?;
                if let Some(left) = left.checked_sub(1) {
                    record.values().for_each(|value| readable(value, left, &mut open));
                }
            }
        }
        followed.insert(uid, left);
    }
    Ok(())
}

impl Times<'_> {
    /// Looks at the times of a record: of that part of the request, or of what is stored elsewhere.
    fn record(&mut self, record: &Record, part: Option<Part>) -> Result<(), InvalidRequest> {
        let way = Way::Part(part.unwrap_or(Part::Resource));
        record.iter().try_for_each(|(name, value)| self.value(value, part, &Way::Member(&way, name)))
    }

    fn value(&mut self, value: &Value, part: Option<Part>, way: &Way<'_>) -> Result<(), InvalidRequest> {
        match value {
            Value::Extension(Extension::Datetime, text) => self.time(text, part.map(|_| way.place())),
            Value::Set(elements) => {
                let mut elements = elements.iter().enumerate();
                elements.try_for_each(|(index, element)| self.value(element, part, &Way::Element(way, index)))
            }
            Value::Record(record) => {
                record.iter().try_for_each(|(name, value)| self.value(value, part, &Way::Member(way, name)))
            }
            _ => Ok(()),
        }
    }

    fn time(&mut self, text: &str, place: Option<Place>) -> Result<(), InvalidRequest> {
        let Some((millisecond, below)) = milliseconds(text) else { return Err(self.too_fine(place, None)) };
        match self.seen.get(&millisecond) {
            Some((other, _)) if *other == below => Ok(()),
            Some((_, other)) => Err(self.too_fine(place, other.clone())),
            None => {
                self.seen.insert(millisecond, (below, place));
                Ok(())
            }
        }
    }

    /// That a time cannot be told from another. It stands at a place of the request: of the two, else the first that was floored.
    fn too_fine(&self, place: Option<Place>, other: Option<Place>) -> InvalidRequest {
        let first = || self.request.floored.first().cloned().unwrap_or(Place::new(Part::Resource));
        match (place, other) {
            (Some(place), other) => InvalidRequest { place, fault: Fault::TooFine(other) },
            (None, other) => InvalidRequest { place: other.unwrap_or_else(first), fault: Fault::TooFine(None) },
        }
    }
}
