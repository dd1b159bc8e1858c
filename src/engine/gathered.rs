//! The entities that a decision needs, and no others: what it costs does not depend on how many are stored.
//!
//! # Why these are enough
//!
//! A policy reads attributes and tags of the principal, of the resource and of entities that it names, and of what these refer to,
//! each read one reference further. It follows no more references than [`Reads::references`], so nothing beyond can be read. No
//! expression of Cedar takes an element out of a set, so what only a set refers to cannot be read either. And `in` asks the entity on
//! its left for its ancestors, and these for nothing: each entity comes with all of them, and they need not be there themselves.

use std::collections::HashMap;

use cedar_policy::{Context, Entities, Entity, EntityUid, Request};

use super::CedarRequest;
use super::index::{Bucket, Reads};
use crate::request::stored::{Stored, StoredEntities};
use crate::request::value::{Record, Value, to_cedar};

/// The entities that a request can reach: its principal and resource, and what attributes refer to.
#[derive(Clone, Debug)]
pub(super) struct Gathered<'a> {
    stored: &'a StoredEntities,
    context: Context,
    entities: HashMap<EntityUid, Entity>,
    /// Entities that may be read, each with how many references are followed from there.
    open: Vec<(EntityUid, usize)>,
    references: usize,
}

impl<'a> Gathered<'a> {
    /// What the policies name, and what the context refers to.
    pub(super) fn new(stored: &'a StoredEntities, reads: &Reads, context: &Record) -> Result<Self, String> {
        let references = reads.references;
        let mut open: Vec<_> = reads.named.iter().map(|uid| (uid.clone(), references)).collect();
        context.values().for_each(|value| readable(value, references, &mut open));
        let context = Context::from_pairs(to_cedar(context)).map_err(|error| error.to_string())?;
        Ok(Self { stored, context, entities: HashMap::new(), open, references })
    }

    /// The principal or the resource, with what is said of it; over what another entity refers to as the same.
    pub(super) fn add(&mut self, uid: &EntityUid, attributes: &Record) -> Result<(), String> {
        self.put(uid, attributes, self.references)
    }

    /// Adds what can be read of what is there. An entity that is there stays as it is.
    pub(super) fn reach(&mut self) -> Result<(), String> {
        // Those from which the most references are followed come first, so that each is looked at once.
        while !self.open.is_empty() {
            let mut next = std::mem::take(&mut self.open);
            next.sort_by_key(|(_, left)| std::cmp::Reverse(*left));
            for (uid, left) in next {
                if let Some(stored) = self.stored.get(&uid).filter(|_| !self.entities.contains_key(&uid)) {
                    self.put(&uid, &stored.attributes(), left)?;
                }
            }
        }
        Ok(())
    }

    /// The request on what was gathered.
    pub(super) fn request(
        self,
        principal: &EntityUid,
        bucket: &Bucket,
        resource: &EntityUid,
    ) -> Result<CedarRequest, String> {
        let all = self.entities.into_values().chain(bucket.action_entities.iter().cloned());
        let request = Request::new(principal.clone(), bucket.action.clone(), resource.clone(), self.context, None);
        Ok(CedarRequest {
            request: request.map_err(|error| error.to_string())?,
            entities: Entities::from_entities(all, None).map_err(|error| error.to_string())?,
        })
    }

    fn put(&mut self, uid: &EntityUid, attributes: &Record, left: usize) -> Result<(), String> {
        let stored = self.stored.get(uid);
        let tags = stored.map(Stored::tags).unwrap_or_default();
        if let Some(left) = left.checked_sub(1) {
            attributes.values().chain(tags.values()).for_each(|value| readable(value, left, &mut self.open));
        }
        let ancestors = stored.map(|_| self.stored.ancestors(uid)).unwrap_or_default();
        let entity = if tags.is_empty() {
            Entity::new(uid.clone(), to_cedar(attributes), ancestors)
        } else {
            Entity::new_with_tags(uid.clone(), to_cedar(attributes), ancestors, to_cedar(&tags))
        };
        self.entities.insert(uid.clone(), entity.map_err(|error| error.to_string())?);
        Ok(())
    }
}

/// The entities that a value refers to and that a policy can get at through it.
fn readable(value: &Value, left: usize, found: &mut Vec<(EntityUid, usize)>) {
    match value {
        Value::Entity(uid) => found.push((uid.clone(), left)),
        Value::Record(record) => record.values().for_each(|value| readable(value, left, found)),
        _ => {}
    }
}
