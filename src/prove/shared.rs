//! One schema for what two revisions read, so that one question can be asked of both: what each declares stands in it, and beside it
//! what tells them apart.
//!
//! - What both declare alike stands once. Where only one of them requires it, or only one declares it, it is always there, and a marker
//!   beside it ([`HAS`]) says whether it was sent.
//! - What both declare so that no value is one of both stands under two names ([`apart`]).
//! - Of each entity of a type with attributes a marker ([`STORED`]) says whether it is stored. (The principal and the resource are what
//!   the request says, stored or not.)
//!
//! What cannot be told apart so is refused, with the place: then nothing is compared.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{EntityTypeName, EntityUid, RequestEnv, Schema};
use cedar_policy_core::ast::{ExprKind, Literal};
use serde_json::{Map, Value as Json, json};
use smol_str::{SmolStr, ToSmolStr, format_smolstr};

use crate::store::Store;
use crate::store::schema::{EntityType, Environment, FieldShape, RecordShape, Shape, Types};

/// What the names begin with that are added; no schema that declares such a name is compared.
const OWN: &str = "gatepost:";

/// Whether an entity is stored.
pub(super) const STORED: &str = "gatepost:stored";

/// What stands before the name of a member in the marker that says whether it is there.
pub(super) const HAS: &str = "gatepost:has ";

/// What stands before the names of what one revision, the older or the newer, declares so that no value of the other's is one.
pub(super) const fn apart(is_old: bool) -> &'static str {
    if is_old { "gatepost:old " } else { "gatepost:new " }
}

/// How a member of a record or an entity stands in the shared schema, as one of the revisions sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// Under which name.
    pub(super) name: SmolStr,
    /// What says whether it is there.
    pub(super) presence: Presence,
    /// The name of what the other revision declares in its place, of which no value is one of this.
    pub(super) instead: Option<SmolStr>,
}

/// What says whether a member is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It always is.
    Always,
    /// `has`.
    Optional,
    /// The marker of that name.
    Marker(SmolStr),
}

/// How the member of that name stands in the shared schema, of a holder that both revisions declare; `other` is how the other revision
/// declares it.
pub(super) fn slot(name: &SmolStr, own: &FieldShape, other: Option<&FieldShape>, is_old: bool) -> Slot {
    let marker = || Presence::Marker(format_smolstr!("{HAS}{name}"));
    let plain = |presence| Slot { name: name.clone(), presence, instead: None };
    match other {
        None if own.required => plain(marker()),
        None => plain(Presence::Optional),
        Some(other) if relation(&own.shape, &other.shape) == Relation::Apart => Slot {
            name: format_smolstr!("{}{name}", apart(is_old)),
            presence: Presence::Optional,
            instead: Some(format_smolstr!("{}{name}", apart(!is_old))),
        },
        Some(other) => plain(match (own.required, other.required) {
            (true, true) => Presence::Always,
            (false, false) => Presence::Optional,
            _ => marker(),
        }),
    }
}

/// How a member of a holder that only one revision declares stands in the shared schema.
pub(super) fn plain_slot(name: &SmolStr, own: &FieldShape) -> Slot {
    let presence = if own.required { Presence::Always } else { Presence::Optional };
    Slot { name: name.clone(), presence, instead: None }
}

/// How the values of two shapes are related, as callers write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    /// They are the same, but for what records and enumerated types have more.
    Alike,
    /// No value is one of both.
    Apart,
    /// Some texts are values of both, but not the same.
    Neither,
}

fn relation(own: &Shape, other: &Shape) -> Relation {
    match (own, other) {
        (Shape::Bool, Shape::Bool)
        | (Shape::Long, Shape::Long)
        | (Shape::String, Shape::String)
        | (Shape::Record(_), Shape::Record(_))
        | (Shape::Parsed(_), Shape::Parsed(_)) => Relation::Alike,
        (Shape::Extension(own), Shape::Extension(other)) if own == other => Relation::Alike,
        (Shape::Entity(own), Shape::Entity(other)) if own == other => Relation::Alike,
        (Shape::Set(own), Shape::Set(other)) if !differs(own, other) => Relation::Alike,
        // An empty array is one of both.
        (Shape::Set(_), Shape::Set(_)) => Relation::Neither,
        // A reference can be written as an object.
        (Shape::Record(_), Shape::Entity(_)) | (Shape::Entity(_), Shape::Record(_)) => Relation::Neither,
        (own, other) if is_text(own) && is_text(other) => Relation::Neither,
        _ => Relation::Apart,
    }
}

fn is_text(shape: &Shape) -> bool {
    matches!(shape, Shape::String | Shape::Entity(_) | Shape::Extension(_) | Shape::Parsed(_))
}

/// Whether the values of two shapes are compared otherwise under one than under the other.
pub(super) fn differs(own: &Shape, other: &Shape) -> bool {
    match (own, other) {
        (Shape::Set(own), Shape::Set(other)) => differs(own, other),
        (Shape::Record(own), Shape::Record(other)) => differing_records(own, other),
        (Shape::Parsed(own), Shape::Parsed(other)) => differing_records(&own.facts, &other.facts),
        (own, other) => relation(own, other) != Relation::Alike,
    }
}

fn differing_records(own: &RecordShape, other: &RecordShape) -> bool {
    let same = |(name, field): (&SmolStr, &FieldShape)| {
        other.0.get(name).is_some_and(|other| field.required == other.required && !differs(&field.shape, &other.shape))
    };
    own.0.len() != other.0.len() || !own.0.iter().all(same)
}

/// The fields of a shape that has any.
pub(super) fn fields_of(shape: &Shape) -> Option<&RecordShape> {
    match shape {
        Shape::Record(record) => Some(record),
        Shape::Parsed(parsed) => Some(&parsed.facts),
        _ => None,
    }
}

/// A schema for the requests of one environment, and that environment in it.
pub(super) struct Shared {
    pub(super) schema: Schema,
    pub(super) request: RequestEnv,
}

/// A store, and an environment of it.
pub(super) type Half<'a> = (&'a Store, &'a Environment);

impl Shared {
    /// The schema of the requests of an environment that both stores have. (Of one that only one of them has, that one is both.)
    ///
    /// # Errors
    ///
    /// What the stores declare so that it cannot stand in one schema, with its place.
    pub(super) fn new(old: Half<'_>, new: Half<'_>) -> Result<Self, String> {
        let environment = new.1;
        let mut namespaces = Map::new();
        let (old_types, new_types) = (&old.0.types, &new.0.types);
        for name in reachable(&[old, new]) {
            let declared = entity_json(&name, old_types, new_types)?;
            put(&mut namespaces, "entityTypes", &name, declared);
        }
        let context = record_json("context", &old.1.context, Some(&new.1.context), true)?;
        let applies_to = json!({
            "principalTypes": [environment.principal.to_string()],
            "resourceTypes": [environment.resource.to_string()],
            "context": context,
        });
        let actions = actions(old.0).into_iter().chain(actions(new.0));
        let mut all: BTreeMap<EntityUid, BTreeSet<EntityUid>> = BTreeMap::new();
        actions.for_each(|(action, above)| all.entry(action).or_default().extend(above));
        for (action, above) in all {
            let above = above.iter().map(|group| json!({ "id": id(group), "type": group.type_name().to_string() }));
            let above = above.collect::<Vec<_>>();
            let declared = match action == environment.action {
                true => json!({ "memberOf": above, "appliesTo": applies_to }),
                false => json!({ "memberOf": above }),
            };
            let kind = action.type_name().to_string();
            let namespace = kind.rsplit_once("::").map_or("", |(namespace, _)| namespace);
            insert(&mut namespaces, namespace, "actions", id(&action), declared);
        }
        let schema = Schema::from_json_value(Json::Object(namespaces));
        let schema = schema.map_err(|error| format!("the schemas cannot stand side by side: {error}"))?;
        let request = schema.request_envs().find(|known| environment.is_that_of(known));
        let request = request.ok_or("the schema has no such environment")?;
        Ok(Self { schema, request })
    }
}

/// The types that the requests of an environment and the policies for them can name or refer to.
fn reachable(halves: &[Half<'_>]) -> BTreeSet<SmolStr> {
    let mut open: Vec<SmolStr> = Vec::new();
    for (store, environment) in halves.iter().copied() {
        open.extend([environment.principal_type.full_name.clone(), environment.resource_type.full_name.clone()]);
        environment.context.0.values().for_each(|field| referred(&field.shape, &mut open));
        for policy in store.policies_in(environment) {
            for part in policy.policy.as_ref().condition().subexpressions() {
                match part.expr_kind() {
                    ExprKind::Lit(Literal::EntityUID(uid)) => open.push(uid.entity_type().to_smolstr()),
                    ExprKind::Is { entity_type, .. } => open.push(entity_type.to_smolstr()),
                    _ => {}
                }
            }
        }
    }
    let mut found = BTreeSet::new();
    while let Some(name) = open.pop() {
        let declared: Vec<&EntityType> = halves.iter().filter_map(|(store, _)| store.types.entity(&name)).collect();
        if declared.is_empty() || !found.insert(name) {
            continue;
        }
        for declared in declared {
            declared.attributes.0.values().for_each(|field| referred(&field.shape, &mut open));
            declared.tags.iter().for_each(|tags| referred(tags, &mut open));
            open.extend(declared.parents.iter().map(ToSmolStr::to_smolstr));
        }
    }
    found
}

fn referred(shape: &Shape, found: &mut Vec<SmolStr>) {
    match shape {
        Shape::Entity(name) => found.push(name.to_smolstr()),
        Shape::Set(element) => referred(element, found),
        _ => fields_of(shape)
            .into_iter()
            .flat_map(|record| record.0.values())
            .for_each(|field| referred(&field.shape, found)),
    }
}

/// Every action of a store, with all that it is in.
pub(super) fn actions(store: &Store) -> BTreeMap<EntityUid, BTreeSet<EntityUid>> {
    let Ok(actions) = store.schema.action_entities() else { return BTreeMap::new() };
    let uids = actions.iter().map(cedar_policy::Entity::uid);
    uids.map(|uid| (uid.clone(), actions.ancestors(&uid).into_iter().flatten().cloned().collect())).collect()
}

fn id(uid: &EntityUid) -> &str {
    uid.id().as_ref()
}

fn put(namespaces: &mut Map<String, Json>, list: &str, full_name: &str, declared: Json) {
    let (namespace, name) = full_name.rsplit_once("::").unwrap_or(("", full_name));
    insert(namespaces, namespace, list, name, declared);
}

fn insert(namespaces: &mut Map<String, Json>, namespace: &str, list: &str, name: &str, declared: Json) {
    let namespace = namespaces.entry(namespace).or_insert_with(|| json!({ "entityTypes": {}, "actions": {} }));
    if let Some(all) = namespace.get_mut(list).and_then(Json::as_object_mut) {
        all.insert(name.to_owned(), declared);
    }
}

fn entity_json(name: &str, old: &Types, new: &Types) -> Result<Json, String> {
    let (older, newer) = (old.entity(name), new.entity(name));
    let all: Vec<&EntityType> = older.into_iter().chain(newer).collect();
    if all.iter().all(|declared| declared.ids.is_some()) {
        let mut ids: Vec<&SmolStr> = Vec::new();
        for id in all.iter().flat_map(|declared| declared.ids.iter().flatten()) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        return Ok(json!({ "enum": ids }));
    }
    let parents: BTreeSet<String> =
        all.iter().flat_map(|declared| &declared.parents).map(ToString::to_string).collect();
    let mut attributes = match (older, newer) {
        (Some(older), Some(newer)) => members_json(name, &older.attributes, Some(&newer.attributes), true)?,
        (Some(only), None) | (None, Some(only)) => members_json(name, &only.attributes, None, false)?,
        (None, None) => return Err(format!("there is no type `{name}`")),
    };
    attributes.insert(STORED.to_owned(), json!({ "type": "Boolean" }));
    let shape = json!({ "type": "Record", "attributes": attributes });
    let tags = (older.and_then(|older| older.tags.as_ref()), newer.and_then(|newer| newer.tags.as_ref()));
    let tags = match tags {
        (Some(older), Some(newer)) if differs(older, newer) => return Err(unsayable(&format!("{name} tags"))),
        (Some(tags), _) | (_, Some(tags)) => shape_json(name, tags, None)?,
        (None, None) => return Ok(json!({ "memberOfTypes": parents, "shape": shape })),
    };
    Ok(json!({ "memberOfTypes": parents, "shape": shape, "tags": tags }))
}

pub(super) fn unsayable(path: &str) -> String {
    format!("of `{path}` one schema knows some values of the other, and Cedar cannot say which")
}

/// A record of which `both` revisions declare one, if `other` is one's.
fn record_json(path: &str, own: &RecordShape, other: Option<&RecordShape>, both: bool) -> Result<Json, String> {
    Ok(json!({ "type": "Record", "attributes": members_json(path, own, other, both)? }))
}

fn members_json(
    path: &str,
    own: &RecordShape,
    other: Option<&RecordShape>,
    both: bool,
) -> Result<Map<String, Json>, String> {
    let mut attributes = Map::new();
    let no_fields = RecordShape::default();
    let other = other.unwrap_or(&no_fields);
    for (fields, others, is_old) in [(own, other, true), (other, own, false)] {
        for (name, field) in &fields.0 {
            let path = format!("{path}.{name}");
            if name.starts_with(OWN) {
                return Err(format!("`{path}` has a name that is used to compare"));
            }
            let beside = others.0.get(name);
            if let Some(beside) = beside {
                match relation(&field.shape, &beside.shape) {
                    Relation::Neither => return Err(unsayable(&path)),
                    Relation::Apart if field.required || beside.required => {
                        return Err(format!(
                            "one schema requires `{path}` in a way in which the other does not declare it"
                        ));
                    }
                    _ => {}
                }
            }
            let slot = if both { slot(name, field, beside, is_old) } else { plain_slot(name, field) };
            let merged = beside.map(|beside| &beside.shape).filter(|_| slot.instead.is_none());
            let mut declared = shape_json(&path, &field.shape, merged)?;
            if let Some(declared) = declared.as_object_mut().filter(|_| slot.presence == Presence::Optional) {
                declared.insert("required".to_owned(), false.into());
            }
            if let Presence::Marker(marker) = slot.presence {
                attributes.insert(marker.into(), json!({ "type": "Boolean" }));
            }
            attributes.insert(slot.name.into(), declared);
        }
    }
    Ok(attributes)
}

fn shape_json(path: &str, own: &Shape, other: Option<&Shape>) -> Result<Json, String> {
    if let Some(record) = fields_of(own) {
        let other = other.and_then(fields_of);
        return record_json(path, record, other, other.is_some());
    }
    Ok(match own {
        Shape::Bool => json!({ "type": "Boolean" }),
        Shape::Long => json!({ "type": "Long" }),
        Shape::String => json!({ "type": "String" }),
        Shape::Entity(name) => json!({ "type": "Entity", "name": name.to_string() }),
        // Sets are compared whole, so of them both declare the same.
        Shape::Set(element) => json!({ "type": "Set", "element": shape_json(path, element, Some(element))? }),
        Shape::Extension(extension) => json!({ "type": "Extension", "name": extension.cedar_name() }),
        Shape::Record(_) | Shape::Parsed(_) => return Err(format!("`{path}` is a record without fields")),
    })
}

/// Every type that entities of a type can be in, each with those whose entities can be in it directly.
pub(super) fn hierarchy_above(types: &[&Types], name: &EntityTypeName) -> BTreeSet<(EntityTypeName, EntityTypeName)> {
    let mut found = BTreeSet::new();
    let mut open = vec![name.clone()];
    while let Some(next) = open.pop() {
        let declared = types.iter().filter_map(|types| types.entity_of(&next));
        for parent in declared.flat_map(|declared| &declared.parents) {
            if found.insert((next.clone(), parent.clone())) {
                open.push(parent.clone());
            }
        }
    }
    found
}
