//! What a caller says of an entity of the request: attributes, tags and parents.

use std::collections::BTreeSet;

use cedar_policy::EntityUid;
use hashbrown::HashSet;

use super::json::{Json, Members};
use super::place::{Participant, Way};
use super::stored::{Hierarchy, StoredEntities};
use super::value::{Decoder, Facts, Record};
use super::{InvalidRequest, Named};
use crate::store::schema::{EntityType, Types};

/// What a caller says of an entity, typed.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) attributes: Record,
    pub(super) tags: Record,
    pub(super) parents: Vec<EntityUid>,
}

impl Said {
    pub(super) fn read(
        named: &Named<'_>,
        entity_type: &EntityType,
        participant: Participant,
        decoder: &mut Decoder<'_>,
    ) -> Result<Self, InvalidRequest> {
        let way = Way::Part(participant.attributes());
        let attributes = decoder.members(&entity_type.attributes, named.attributes, &way)?;
        let tags = tags(named.tags, entity_type, participant, decoder)?;
        let parents = parents(named, entity_type, participant, decoder)?;
        Ok(Self { attributes, tags, parents })
    }

    /// Adds what is said of the same entity as the resource.
    pub(super) fn merge(&mut self, resource: &Self) -> Result<(), InvalidRequest> {
        let ways = |part: fn(Participant) -> super::Part| {
            (Way::Part(part(Participant::Principal)), Way::Part(part(Participant::Resource)))
        };
        let (own, other) = ways(Participant::attributes);
        self.attributes = merged(std::mem::take(&mut self.attributes), &own, &resource.attributes, &other)?;
        let (own, other) = ways(Participant::tags);
        self.tags = merged(std::mem::take(&mut self.tags), &own, &resource.tags, &other)?;
        // What an entity is in is one set, which either says whole.
        let set = |parents: &[EntityUid]| parents.iter().cloned().collect::<BTreeSet<_>>();
        match (self.parents.is_empty(), resource.parents.is_empty()) {
            (_, true) => {}
            (true, false) => self.parents.clone_from(&resource.parents),
            (false, false) if set(&self.parents) == set(&resource.parents) => {}
            (false, false) => {
                let (own, other) = ways(Participant::parents);
                return Err(InvalidRequest::contradiction(&own, &other));
            }
        }
        Ok(())
    }
}

/// The members of both; a member that both have must be the same value. What it costs grows with their number.
pub(super) fn merged(
    record: Record,
    way: &Way<'_>,
    other: &Record,
    other_way: &Way<'_>,
) -> Result<Record, InvalidRequest> {
    if other.is_empty() {
        return Ok(record);
    }
    let mut all = Vec::with_capacity(record.len() + other.len());
    let mut others = other.iter().peekable();
    for (name, value) in record.into_tuple_vec() {
        while let Some((name, value)) = others.next_if(|(other, _)| **other < name) {
            all.push((name.clone(), value.clone()));
        }
        if let Some((_, said)) = others.next_if(|(other, _)| **other == name)
            && !said.is_same(&value)
        {
            return Err(InvalidRequest::contradiction(&Way::Member(way, &name), &Way::Member(other_way, &name)));
        }
        all.push((name, value));
    }
    all.extend(others.map(|(name, value)| (name.clone(), value.clone())));
    // Both are in the order of their names.
    Ok(Record::from_sorted_store_unchecked(all))
}

fn tags(
    said: Members<'_>,
    entity_type: &EntityType,
    participant: Participant,
    decoder: &mut Decoder<'_>,
) -> Result<Record, InvalidRequest> {
    let way = Way::Part(participant.tags());
    match &entity_type.tags {
        _ if said.iter().all(|(_, json)| *json == Json::Null) => Ok(Record::new()),
        None => {
            decoder.dropped.extend(said.len(), said.iter().map(|(name, _)| Way::Member(&way, name).place()));
            Ok(Record::new())
        }
        Some(_) if entity_type.stored && decoder.facts != Facts::Logged => Err(InvalidRequest::only_stored(&way)),
        Some(shape) => decoder.tags(shape, said, &way),
    }
}

fn parents(
    named: &Named<'_>,
    entity_type: &EntityType,
    participant: Participant,
    decoder: &mut Decoder<'_>,
) -> Result<Vec<EntityUid>, InvalidRequest> {
    let way = Way::Part(participant.parents());
    if named.parents.is_empty() {
        return Ok(Vec::new());
    }
    if entity_type.stored && decoder.facts != Facts::Logged {
        return Err(InvalidRequest::only_stored(&way));
    }
    if entity_type.parents.is_empty() {
        let why = format!("cannot be: the schema lets no `{}` be in anything", entity_type.full_name);
        return Err(InvalidRequest::parent(&way, why));
    }
    let mut all: Vec<EntityUid> = Vec::with_capacity(named.parents.len());
    for (index, json) in named.parents.iter().enumerate() {
        all.push(decoder.reference(&entity_type.parents, json, &Way::Element(&way, index))?);
    }
    Ok(all)
}

/// Checks the parents that are said of the principal and of the resource against what is stored.
///
/// # Errors
///
/// Parents of a stored entity whose type does not take them from a caller, a parent of which it is not known what it is in, and an
/// entity that would be its own ancestor.
pub(super) fn check_parents(
    said: [(&EntityUid, &Vec<EntityUid>); 2],
    types: &Types,
    stored: &StoredEntities,
) -> Result<(), InvalidRequest> {
    let hierarchy = Hierarchy::new(stored, said.map(|(uid, parents)| (uid, parents.as_slice())));
    for (participant, (uid, parents)) in [Participant::Principal, Participant::Resource].into_iter().zip(said) {
        if parents.is_empty() {
            continue;
        }
        let way = Way::Part(participant.parents());
        let from_caller = types.entity_of(uid.type_name()).is_some_and(|known| known.parents_from_caller);
        if stored.get(uid).is_some() && !from_caller {
            let why = format!("cannot be sent: what a stored `{}` is in, the store alone says", uid.type_name());
            return Err(InvalidRequest::parent(&way, why));
        }
        let mut looked_at = HashSet::new();
        for (index, parent) in parents.iter().enumerate() {
            let way = Way::Element(&way, index);
            let is_described = said.iter().any(|(uid, parents)| *uid == parent && !parents.is_empty());
            let can_have_parents = types
                .entity_of(parent.type_name())
                .is_none_or(|known| known.ids.is_none() && !known.parents.is_empty());
            if can_have_parents && !is_described && stored.get(parent).is_none() {
                let why = format!("is not stored: what the `{}` is in itself is not known", parent.type_name());
                return Err(InvalidRequest::parent(&way, why));
            }
            if hierarchy.leads_to(parent, uid, &mut looked_at) {
                return Err(InvalidRequest::parent(&way, "would make the entity its own ancestor".to_owned()));
            }
        }
    }
    Ok(())
}
