//! Times of one request that Cedar cannot tell apart, since they differ only below its millisecond.
//!
//! A policy that compares two such times would take one for the other. So where a time of a request was floored, no other time of it may
//! lie in the same millisecond: not one that was sent, nor one that is stored of its entities and of what these refer to.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::EntityUid;
use hashbrown::HashMap;
use smol_str::SmolStr;

use super::InvalidRequest;
use super::extension::milliseconds;
use super::invalid::Fault;
use super::overlay::Overlaid;
use super::place::{Part, Participant, Place, Way};
use super::said::Said;
use super::stored::{Stored, StoredEntities, references};
use super::value::{Floored, Record, Value};
use crate::store::schema::Extension;

/// So many entities are looked through; a request that reaches more is one that cannot be told.
const MOST_ENTITIES: usize = 1_000;

/// The times of a request, of which some were floored.
pub(super) struct Times<'a> {
    /// Of those that the caller says.
    floored: HashMap<&'a Place, &'a SmolStr>,
    /// Where the first of them stands.
    first: Option<&'a Place>,
    stored: &'a StoredEntities,
    /// The digits below each millisecond, and where they stand in the request.
    seen: BTreeMap<i64, (SmolStr, Option<Place>)>,
}

/// Whose times a record holds: that entity's as they are stored, or what the caller says.
#[derive(Clone, Copy)]
enum Whose<'w> {
    Stored(&'w EntityUid),
    Said,
}

impl<'a> Times<'a> {
    pub(super) fn new(floored: &'a [Floored], stored: &'a StoredEntities) -> Self {
        let first = floored.first().map(|time| &time.place);
        let floored = floored.iter().map(|time| (&time.place, &time.below_millisecond)).collect();
        Self { floored, first, stored, seen: BTreeMap::new() }
    }

    /// Looks at the context, at the entities with what is said of each, and at all that they refer to.
    ///
    /// # Errors
    ///
    /// Two times that differ only below the millisecond.
    pub(super) fn check(
        mut self,
        entities: [(&Overlaid<'_>, &Said, Participant); 2],
        context: &Record,
    ) -> Result<(), InvalidRequest> {
        self.record(context, Part::Context, |_| Whose::Said)?;
        let mut open: Vec<EntityUid> = references_in(context);
        let mut known: BTreeSet<EntityUid> = BTreeSet::new();
        for (entity, said, participant) in entities {
            // Of one that is the other too, everything was seen.
            if !known.insert(entity.uid.clone()) {
                continue;
            }
            let of_store = Whose::Stored(&entity.uid);
            let whose = |said: &Record, name: &SmolStr| if said.contains_key(name) { Whose::Said } else { of_store };
            let mut tags = entity.stored.map(Stored::raw_tags).unwrap_or_default();
            tags.extend(said.tags.clone());
            self.record(&entity.raw, participant.attributes(), |name| whose(&said.attributes, name))?;
            self.record(&tags, participant.tags(), |name| whose(&said.tags, name))?;
            open.extend([&entity.raw, &tags].into_iter().flat_map(references_in));
        }
        self.reached(open, known)
    }

    /// What is stored of the entities that others refer to.
    fn reached(&mut self, mut open: Vec<EntityUid>, mut seen: BTreeSet<EntityUid>) -> Result<(), InvalidRequest> {
        while let Some(uid) = open.pop() {
            if !seen.insert(uid.clone()) {
                continue;
            }
            let Some(stored) = self.stored.get(&uid) else { continue };
            if seen.len() > MOST_ENTITIES {
                return Err(self.too_fine(None));
            }
            let (attributes, tags) = (stored.raw(), stored.raw_tags());
            self.record(&attributes, Part::Resource, |_| Whose::Stored(&uid))?;
            self.record(&tags, Part::ResourceTags, |_| Whose::Stored(&uid))?;
            open.extend([&attributes, &tags].into_iter().flat_map(references_in));
        }
        Ok(())
    }

    fn record<'w>(
        &mut self,
        record: &Record,
        part: Part,
        whose: impl Fn(&SmolStr) -> Whose<'w>,
    ) -> Result<(), InvalidRequest> {
        for (name, value) in record {
            self.value(value, whose(name), &Way::Member(&Way::Part(part), name))?;
        }
        Ok(())
    }

    fn value(&mut self, value: &Value, whose: Whose<'_>, way: &Way<'_>) -> Result<(), InvalidRequest> {
        match value {
            Value::Extension(Extension::Datetime, text) => {
                let below = self.below_millisecond(whose, way.place());
                self.time(text, below, matches!(whose, Whose::Said).then(|| way.place()))
            }
            Value::Set(elements) => {
                let mut elements = elements.iter().enumerate();
                elements.try_for_each(|(index, element)| self.value(element, whose, &Way::Element(way, index)))
            }
            Value::Record(record) => {
                record.iter().try_for_each(|(name, value)| self.value(value, whose, &Way::Member(way, name)))
            }
            _ => Ok(()),
        }
    }

    fn below_millisecond(&self, whose: Whose<'_>, place: Place) -> SmolStr {
        let found = match whose {
            Whose::Said => self.floored.get(&place).copied(),
            Whose::Stored(uid) => {
                let place = Place { part: as_stored(place.part), ..place };
                let mut floored = self.stored.floored(uid).iter();
                floored.find(|time| time.place == place).map(|time| &time.below_millisecond)
            }
        };
        found.cloned().unwrap_or_default()
    }

    fn time(&mut self, text: &str, below: SmolStr, place: Option<Place>) -> Result<(), InvalidRequest> {
        let Some(millisecond) = milliseconds(text) else { return Err(self.too_fine(place)) };
        match self.seen.get(&millisecond) {
            Some((other, _)) if *other == below => Ok(()),
            Some((_, other)) => {
                let other = other.clone();
                match (place, other) {
                    (Some(place), other) => Err(InvalidRequest { place, fault: Fault::TooFine(other) }),
                    (None, other) => Err(self.too_fine(other)),
                }
            }
            None => {
                self.seen.insert(millisecond, (below, place));
                Ok(())
            }
        }
    }

    /// That a time cannot be told from one that is stored: at its place, else at the first that was floored.
    fn too_fine(&self, place: Option<Place>) -> InvalidRequest {
        InvalidRequest {
            place: place.or(self.first.cloned()).unwrap_or(Place::new(Part::Resource)),
            fault: Fault::TooFine(None),
        }
    }
}

/// The part under which the times of stored entities stand.
fn as_stored(part: Part) -> Part {
    match part {
        Part::Principal => Part::Resource,
        Part::PrincipalTags => Part::ResourceTags,
        other => other,
    }
}

fn references_in(record: &Record) -> Vec<EntityUid> {
    let mut found = Vec::new();
    record.values().for_each(|value| references(value, &mut found));
    found.into_iter().cloned().collect()
}
