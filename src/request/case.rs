//! A request together with the stored entities that it needs: what rows are tried on, and what a solver finds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use cedar_policy::{EntityId, EntityTypeName, EntityUid};

use super::place::Places;
use super::stored::{StoredEntities, StoredEntity};
use super::value::{Record, Value};
use super::{TypedEntity, TypedRequest};
use crate::store::schema::{EntityType, RecordShape, Shape, Types};

/// A request and all that is stored beside it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The request; its values are facts.
    pub request: TypedRequest,
    /// The other entities, and the principal and the resource where they have parents or tags, or something is in them.
    pub entities: StoredEntities,
}

impl Case {
    /// The case in which `entities` are all there is, the principal and the resource among them.
    ///
    /// `None` where one of these two is not, or an entity is its own ancestor.
    pub fn new(
        environment: usize,
        principal: EntityUid,
        resource: EntityUid,
        context: Record,
        entities: BTreeMap<EntityUid, StoredEntity>,
    ) -> Option<Self> {
        let typed = |uid: &EntityUid| {
            let attributes = entities.get(uid)?.attributes.clone();
            Some(TypedEntity { uid: uid.clone(), attributes, raw: Record::new(), tags: None, parents: Vec::new() })
        };
        let request = TypedRequest {
            environment,
            principal: typed(&principal)?,
            resource: typed(&resource)?,
            context,
            raw_context: Record::new(),
            missing: Places::default(),
            dropped: Places::default(),
            masked: Vec::new(),
            floored: Vec::new(),
        };
        // What something is in must be stored, as a service asks of its stored entities.
        let is_parent: BTreeSet<EntityUid> = entities.values().flat_map(|entity| entity.parents.clone()).collect();
        let stored = entities.into_iter().filter(|(uid, entity)| {
            let asked = *uid == principal || *uid == resource;
            !asked || !entity.parents.is_empty() || !entity.tags.is_empty() || is_parent.contains(uid)
        });
        Some(Self { request, entities: StoredEntities::acyclic(stored)? })
    }

    /// The same request of another schema, as a service with that schema takes it: what it does not declare is dropped.
    ///
    /// `None` where it is no request there: it has no such environment, id or type of value, or requires what is not there. What
    /// else is stored is not stored there if it cannot be.
    pub fn under(&self, own: &Types, other: &Types) -> Option<Self> {
        let environment = own.environments.get(self.request.environment)?;
        let (index, declared) = other.environment_like(environment)?;
        let context = record_under(&declared.context, &self.request.context, other)?;
        let mut entities = BTreeMap::new();
        for (uid, entity) in self.all_entities() {
            entities.extend(entity_under(&uid, &entity, other).map(|entity| (uid, entity)));
        }
        Self::new(index, self.request.principal.uid.clone(), self.request.resource.uid.clone(), context, entities)
    }

    /// Every entity of the case, the principal and the resource among them.
    pub fn all_entities(&self) -> BTreeMap<EntityUid, StoredEntity> {
        let asked = [&self.request.principal, &self.request.resource];
        let mut all: BTreeMap<EntityUid, StoredEntity> =
            self.entities.iter().map(|(uid, stored)| (uid, stored.to_entity())).collect();
        for entity in asked {
            all.entry(entity.uid.clone()).or_insert_with(|| StoredEntity::new(entity.attributes.clone()));
        }
        all
    }
}

fn entity_under(uid: &EntityUid, entity: &StoredEntity, types: &Types) -> Option<StoredEntity> {
    let declared = known_under(uid, types)?;
    let taken = StoredEntity::new(record_under(&declared.attributes, &entity.attributes, types)?);
    let tags = match &declared.tags {
        Some(shape) => {
            let tags = entity.tags.iter().map(|(key, tag)| Some((key.clone(), value_under(shape, tag, types)?)));
            tags.collect::<Option<_>>()?
        }
        None => Record::new(),
    };
    let parents = entity.parents.iter().filter(|parent| declared.parents.contains(parent.type_name()));
    Some(taken.with(tags, parents.cloned().collect()))
}

fn known_under<'t>(uid: &EntityUid, types: &'t Types) -> Option<&'t EntityType> {
    types.entity_of(uid.type_name()).filter(|found| found.has_id(uid.id().as_ref()))
}

fn record_under(shape: &RecordShape, record: &Record, types: &Types) -> Option<Record> {
    let mut taken = Record::new();
    for (name, field) in &shape.0 {
        match record.get(name) {
            Some(value) => drop(taken.insert(name.clone(), value_under(&field.shape, value, types)?)),
            None if field.required => return None,
            None => {}
        }
    }
    Some(taken)
}

fn value_under(shape: &Shape, value: &Value, types: &Types) -> Option<Value> {
    let fits = match (shape, value) {
        (Shape::Bool, Value::Bool(_)) | (Shape::Long, Value::Long(_)) | (Shape::String, Value::String(_)) => true,
        (Shape::Extension(extension), Value::Extension(found, _)) => extension == found,
        (Shape::Entity(name), Value::Entity(uid)) => uid.type_name() == name && known_under(uid, types).is_some(),
        (Shape::Set(element), Value::Set(elements)) => {
            let elements = elements.iter().map(|found| value_under(element, found, types));
            return elements.collect::<Option<_>>().map(Value::Set);
        }
        (Shape::Record(shape), Value::Record(record)) => return record_under(shape, record, types).map(Value::Record),
        (Shape::Parsed(parsed), Value::Record(record)) => {
            return record_under(&parsed.facts, record, types).map(Value::Record);
        }
        _ => false,
    };
    fits.then(|| value.clone())
}

/// The direct parents by which every entity has the ancestors that it shall have: between an entity and an ancestor that its
/// type does not allow as a parent, entities are put that make it one.
///
/// `None` where the schema does not let one be an ancestor of the other.
pub fn direct_parents(
    ancestors: &BTreeMap<EntityUid, Vec<EntityUid>>,
    types: &Types,
) -> Option<BTreeMap<EntityUid, Vec<EntityUid>>> {
    let mut direct: BTreeMap<EntityUid, Vec<EntityUid>> = BTreeMap::new();
    // Of each type and each ancestor, the one entity that is put between.
    let mut put: BTreeMap<(EntityTypeName, EntityUid), EntityUid> = BTreeMap::new();
    for (uid, wanted) in ancestors {
        let mut parents = Vec::new();
        for ancestor in wanted {
            let through = |other: &EntityUid| ancestors.get(other).is_some_and(|further| further.contains(ancestor));
            if wanted.iter().any(|other| other != ancestor && through(other)) {
                continue;
            }
            let mut next = ancestor.clone();
            for name in types_between(types, uid.type_name(), ancestor.type_name())?.into_iter().rev() {
                let is_taken = |between: &EntityUid| ancestors.contains_key(between) || direct.contains_key(between);
                let between = put.entry((name.clone(), ancestor.clone()));
                let between = between.or_insert_with(|| named_between(&name, ancestor, is_taken)).clone();
                direct.insert(between.clone(), vec![next]);
                next = between;
            }
            parents.push(next);
        }
        direct.insert(uid.clone(), parents);
    }
    Some(direct)
}

/// `team-of-b`, or `team-of-b-2` where that is another entity: what is below two ancestors of one id must not lose one of them.
fn named_between(name: &EntityTypeName, ancestor: &EntityUid, is_taken: impl Fn(&EntityUid) -> bool) -> EntityUid {
    let id = format!("{}-of-{}", name.basename().to_lowercase(), AsRef::<str>::as_ref(ancestor.id()));
    let mut between = EntityUid::from_type_name_and_id(name.clone(), EntityId::new(&id));
    let mut number = 1;
    while is_taken(&between) {
        number += 1;
        between = EntityUid::from_type_name_and_id(name.clone(), EntityId::new(format!("{id}-{number}")));
    }
    between
}

/// The types that lead from `descendant` up to `ancestor`, without the two; `None` where none do.
fn types_between(types: &Types, descendant: &EntityTypeName, ancestor: &EntityTypeName) -> Option<Vec<EntityTypeName>> {
    let mut seen = BTreeSet::new();
    let mut open = VecDeque::from([(descendant.clone(), Vec::new())]);
    while let Some((name, way)) = open.pop_front() {
        let parents = &types.entity_of(&name)?.parents;
        if parents.contains(ancestor) {
            return Some(way);
        }
        for parent in parents.iter().filter(|parent| seen.insert((*parent).clone())) {
            open.push_back((parent.clone(), way.iter().cloned().chain([parent.clone()]).collect()));
        }
    }
    None
}
