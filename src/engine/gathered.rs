//! The entities that a decision needs, and no others: what it costs does not depend on how many are stored.
//!
//! # Why these are enough
//!
//! A policy reads attributes and tags of the principal, of the resource and of entities that it names, and of what these refer to,
//! each read one reference further. It follows no more references than [`Reads::references`], so nothing beyond can be read. No
//! expression of Cedar takes an element out of a set, so what only a set refers to cannot be read either. And `in` asks the entity on
//! its left for its ancestors, and these for nothing: each entity comes with all of them, and they need not be there themselves.

use cedar_policy::EntityUid;
use hashbrown::HashMap;

use super::cedar::{self, CedarRequest, Context, Entity};
use super::index::{Bucket, Index, Side};
use crate::request::stored::{Ancestors, Hierarchy, Stored};
use crate::request::value::{Record, Value};
use crate::request::{TypedEntity, TypedRequest};

/// The entities that a request can reach: its principal and resource, and what attributes refer to.
#[derive(Clone, Debug)]
pub(super) struct Gathered<'a> {
    hierarchy: Hierarchy<'a>,
    /// What is known of the actions.
    actions: &'a HashMap<EntityUid, Entity>,
    context: Context,
    /// Each with how many references were followed from it.
    entities: HashMap<EntityUid, (Entity, usize)>,
    /// Entities that may be read, each with how many references are followed from there.
    open: Vec<(EntityUid, usize)>,
    references: usize,
}

impl<'a> Gathered<'a> {
    /// What the policies name, and what the context refers to, where so many references are followed at most.
    pub(super) fn new<'n>(
        hierarchy: Hierarchy<'a>,
        index: &'a Index,
        named: impl IntoIterator<Item = &'n EntityUid>,
        references: usize,
        context: &Record,
    ) -> Result<Self, String> {
        let mut open: Vec<_> = named.into_iter().map(|uid| (uid.clone(), references)).collect();
        context.values().for_each(|value| readable(value, references, &mut open));
        let context = cedar::context(context)?;
        Ok(Self { hierarchy, actions: &index.actions, context, entities: HashMap::new(), open, references })
    }

    /// The principal or the resource, with what is said of it; over what another entity refers to as the same.
    pub(super) fn add(&mut self, side: &Side<'_>, entity: &TypedEntity) -> Result<(), String> {
        let tags = entity.tags.as_ref().map(|tags| tags.all.clone());
        let tags = tags.or_else(|| self.hierarchy.stored.get(side.uid).map(Stored::tags)).unwrap_or_default();
        self.put(side.uid, [&entity.attributes, &tags], &side.ancestors, self.references)
    }

    /// Adds what can be read of what is there. An entity that is there stays as it is, unless fewer references were followed from it: it
    /// was then reached on a longer way, and what it refers to may not be there.
    pub(super) fn reach(&mut self) -> Result<(), String> {
        // Those from which the most references are followed come first, so that each is looked at once.
        while !self.open.is_empty() {
            let mut next = std::mem::take(&mut self.open);
            next.sort_by_key(|(_, left)| std::cmp::Reverse(*left));
            for (uid, left) in next {
                self.add_action(&uid);
                let is_followed = self.entities.get(&uid).is_some_and(|(_, followed)| *followed >= left);
                if let Some(stored) = self.hierarchy.stored.get(&uid).filter(|_| !is_followed) {
                    self.put(&uid, [&stored.attributes(), &stored.tags()], &self.hierarchy.ancestors(&uid), left)?;
                }
            }
        }
        Ok(())
    }

    /// A request, with what can be read of its two sides.
    pub(super) fn of(
        mut self,
        request: &TypedRequest,
        principal: &Side<'_>,
        bucket: &Bucket,
        resource: &Side<'_>,
    ) -> Result<CedarRequest, String> {
        // The principal and the resource may be one entity; then their attributes are the same.
        self.add(principal, &request.principal)?;
        self.add(resource, &request.resource)?;
        self.reach()?;
        self.request(principal.uid, bucket, resource.uid)
    }

    fn add_action(&mut self, uid: &EntityUid) {
        if let Some(action) = self.actions.get(uid) {
            self.entities.insert(uid.clone(), (Entity::clone(action), usize::MAX));
        }
    }

    /// The request on what was gathered.
    pub(super) fn request(
        mut self,
        principal: &EntityUid,
        bucket: &Bucket,
        resource: &EntityUid,
    ) -> Result<CedarRequest, String> {
        self.add_action(&bucket.action);
        CedarRequest::new(
            [principal, &bucket.action, resource],
            self.context,
            self.entities.into_values().map(|(entity, _)| entity),
        )
    }

    fn put(
        &mut self,
        uid: &EntityUid,
        [attributes, tags]: [&Record; 2],
        ancestors: &Ancestors,
        left: usize,
    ) -> Result<(), String> {
        if let Some(left) = left.checked_sub(1) {
            attributes.values().chain(tags.values()).for_each(|value| readable(value, left, &mut self.open));
        }
        self.entities.insert(uid.clone(), (cedar::entity(uid, attributes, tags, ancestors)?, left));
        Ok(())
    }
}

/// The entities that a value refers to and that a policy can get at through it.
pub(super) fn readable(value: &Value, left: usize, found: &mut Vec<(EntityUid, usize)>) {
    match value {
        Value::Entity(uid) => found.push((uid.clone(), left)),
        Value::Record(record) => record.values().for_each(|value| readable(value, left, found)),
        _ => {}
    }
}
