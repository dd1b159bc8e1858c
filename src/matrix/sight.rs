//! What policies, or rows, see of a request: requests that look alike to them are decided alike, and what the decision log masks may be
//! among it.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{EntityTypeName, EntityUid};
use cedar_policy_core::ast::{BinaryOp, ExprKind};
use miette::SourceSpan;

use super::reads::{Declared, Field, Reads, Root, Slot, Step, is_path};
use crate::request::TypedRequest;
use crate::request::place::{Part, Place, leads_into};
use crate::request::value::{Record, Value};
use crate::store::schema::{Environment, RecordShape, Shape};
use crate::store::{Problem, Statement, Store, lint, scope};

/// What a statement reads: attributes of a type, or of the context (`None`), by the paths that lead there.
#[derive(Debug, Default)]
struct Seen {
    values: BTreeSet<(Option<EntityTypeName>, String)>,
    /// Where it reads the value, or whether there is one.
    places: BTreeSet<(Option<EntityTypeName>, String)>,
}

/// What those statements that can apply see of the requests of one environment.
#[derive(Debug)]
pub struct Sight {
    principal: EntityTypeName,
    resource: EntityTypeName,
    /// What each policy reads, by the id of the policy; `None`: it cannot be said.
    reads: BTreeMap<String, Option<Seen>>,
    /// Every place whose value, presence or ancestors matter; `None` where requests cannot be compared by these alone.
    slots: Option<Vec<Slot>>,
    /// Whether something is stored of the entities of the principal's and of the resource's type.
    stored: [bool; 2],
}

impl Sight {
    /// What statements of a store see in an environment, given by its place in the schema; `None` where it has no such.
    /// `is_stored` says whether entities of a type are stored.
    pub fn of(
        store: &Store,
        environment: usize,
        statements: &[Statement],
        is_stored: impl Fn(&EntityTypeName) -> bool,
    ) -> Option<Self> {
        let environment = store.types.environments.get(environment)?;
        let mut all = Reads::new(&store.types, environment);
        let mut seen = BTreeMap::new();
        let applies = |found: &&Statement| scope::can_match(&found.policy, environment, &store.schema);
        for statement in statements.iter().filter(applies) {
            all.add(&statement.policy);
            seen.insert(statement.id.clone(), Seen::by(statement, store, environment));
        }
        let comparable = seen.values().all(Option::is_some);
        let slots: BTreeSet<Slot> =
            all.declared.keys().chain(&all.values).chain(all.ancestors.keys()).cloned().collect();
        let comparable = comparable && !slots.iter().any(|slot| may_lead_back(slot, &all, environment));
        Some(Self {
            principal: environment.principal.clone(),
            resource: environment.resource.clone(),
            reads: seen,
            slots: comparable.then(|| slots.into_iter().collect()),
            stored: [is_stored(&environment.principal), is_stored(&environment.resource)],
        })
    }

    /// The id of a policy for which it matters which value stands at a place of a request: it reads it, or something in it, or whether
    /// there is something in it.
    pub fn reader(&self, place: &Place) -> Option<&str> {
        let (owner, root) = match place.part {
            Part::Principal | Part::PrincipalId | Part::PrincipalTags | Part::PrincipalParents => {
                (Some(&self.principal), "")
            }
            Part::Resource | Part::ResourceId | Part::ResourceTags | Part::ResourceParents => {
                (Some(&self.resource), "")
            }
            Part::Context => (None, ""),
            Part::Action => (None, ".action"),
        };
        let path = format!("{root}{}", place.path_without_elements());
        let reads = |seen: &Seen| {
            let mut values = seen.values.iter().filter(|(of, _)| of.as_ref() == owner);
            let mut places = seen.places.iter().filter(|(of, _)| of.as_ref() == owner);
            values.any(|(_, read)| leads_into(read, &path) || leads_into(&path, read))
                || places.any(|(_, read)| *read != path && leads_into(read, &path))
        };
        let found = self.reads.iter().find(|(_, seen)| seen.as_ref().is_none_or(reads));
        found.map(|(id, _)| id.as_str())
    }

    /// What the policies see of a request that lacks nothing: requests with the same are decided alike by one revision. `None` where
    /// that cannot be said.
    ///
    /// Why it is so: a decision depends on the values, the presence and the ancestors of what the policies read, and on nothing else.
    /// What is read of the request itself is part of the key. What is read of another entity is a function of its id, which is part of
    /// the key, as long as that entity cannot be the principal or the resource, of which the request may say more than is stored
    /// (where it can be, there is no key). And of these two the id is part of the key where something is stored of their type.
    pub fn key(&self, request: &TypedRequest) -> Option<Vec<u8>> {
        let mut key = Vec::with_capacity(128);
        for (entity, stored) in [&request.principal, &request.resource].into_iter().zip(self.stored) {
            if stored {
                text(&mut key, entity.uid.id().as_ref());
            }
        }
        for slot in self.slots.as_ref()? {
            match &slot.root {
                Root::Principal => look(&mut key, Some(&request.principal.uid), &request.principal.attributes, slot),
                Root::Resource => look(&mut key, Some(&request.resource.uid), &request.resource.attributes, slot),
                Root::Context => look(&mut key, None, &request.context, slot),
                Root::Entity(_) => {}
            }
        }
        Some(key)
    }
}

/// Every policy that reads what the decision log masks: what it decides cannot be replayed from the log.
pub fn masked(store: &Store) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    for statement in store.policies.iter().filter(|policy| !policy.allows_lint(lint::MASKED)) {
        let mut places: BTreeSet<String> = BTreeSet::new();
        for environment in store.types.environments.iter() {
            if !scope::can_match(&statement.policy, environment, &store.schema) {
                continue;
            }
            let mut reads = Reads::new(&store.types, environment);
            reads.add(&statement.policy);
            let read = reads.declared.keys().chain(&reads.values);
            let read = read.filter(|slot| is_masked(slot, &reads, reads.values.contains(slot)));
            places.extend(read.map(ToString::to_string));
        }
        problems.extend(places.into_iter().map(|place| {
            let problem = Problem::warning(format!("`{}` reads `{place}`, which the decision log masks", statement.id));
            problem.in_file(&statement.file).at(place_in(statement, &place), "").with_help(format!(
                "what it decides cannot be replayed from the log; decide by another fact, or say `@allow(\"{}\")`",
                lint::MASKED
            ))
        }));
    }
    problems
}

/// Where a statement reads the last attribute of a place; all of it where that is not written out.
fn place_in(statement: &Statement, place: &str) -> SourceSpan {
    let conditions = statement.policy.as_ref().non_scope_constraints().into_iter();
    let mut parts = conditions.flat_map(|condition| condition.subexpressions());
    let found = parts.find_map(|part| match part.expr_kind() {
        ExprKind::GetAttr { attr, .. } if place.ends_with(&format!(".{attr}")) => part.source_loc(),
        _ => None,
    });
    found.map_or(statement.span, |loc| SourceSpan::from((loc.span.offset(), loc.span.len())))
}

impl Seen {
    /// `None` where the statement takes something out of what is not a path, which is not followed.
    fn by(statement: &Statement, store: &Store, environment: &Environment) -> Option<Self> {
        let mut conditions = statement.policy.as_ref().non_scope_constraints().into_iter();
        let is_opaque = conditions.any(|condition| {
            condition.subexpressions().any(|part| match part.expr_kind() {
                ExprKind::GetAttr { expr, .. } | ExprKind::HasAttr { expr, .. } | ExprKind::ExtHasAttr { expr, .. } => {
                    !is_path(expr)
                }
                ExprKind::BinaryApp { op: BinaryOp::GetTag | BinaryOp::HasTag | BinaryOp::In, arg1, .. } => {
                    !is_path(arg1)
                }
                _ => false,
            })
        });
        if is_opaque {
            return None;
        }
        let mut reads = Reads::new(&store.types, environment);
        reads.add(&statement.policy);
        let mut seen = Self::default();
        // Which entity the principal or the resource is, is no attribute.
        for slot in reads.declared.keys().chain(&reads.values).filter(|slot| !slot.steps.is_empty()) {
            let field = reads.declaration(slot)?.field;
            let place = (field.owner.clone(), path_of(&field));
            if reads.values.contains(slot) {
                seen.values.insert(place.clone());
            }
            seen.places.insert(place);
        }
        Some(seen)
    }
}

fn path_of(field: &Field) -> String {
    let start = Place::new(Part::Context);
    let place = field.steps.iter().fold(start, |place, step| match step {
        Step::Attribute(name) | Step::Tag(name) => place.member(name),
    });
    place.path.to_string()
}

/// Whether the way to a slot leads through an entity that may be the principal or the resource, by another way than from there.
fn may_lead_back(slot: &Slot, reads: &Reads<'_>, environment: &Environment) -> bool {
    let is_asked = |name: &EntityTypeName| *name == environment.principal || *name == environment.resource;
    (0..slot.steps.len()).any(|length| {
        let from_the_request = length == 0 && !matches!(slot.root, Root::Entity(_));
        let steps = slot.steps.iter().take(length).cloned().collect();
        let declared = reads.declaration(&Slot { root: slot.root.clone(), steps });
        match declared.map(|declared| declared.shape) {
            Some(Shape::Entity(name)) => !from_the_request && is_asked(&name),
            Some(_) => false,
            None => true,
        }
    })
}

/// Whether what a policy asks at a slot is not in the decision log: the value where it reads it (`value`), and in what is masked as a
/// whole already whether there is one.
fn is_masked(slot: &Slot, reads: &Reads<'_>, value: bool) -> bool {
    let Some(Declared { field, .. }) = reads.declaration(slot) else { return false };
    let shape = match &field.owner {
        Some(owner) => reads.types.entity_of(owner).map(|entity| &entity.attributes),
        None => Some(&reads.environment.context),
    };
    let holder = field.steps.split_last().map(|(_, holder)| holder).unwrap_or_default();
    shape.is_some_and(|shape| (value && is_masked_in(shape, &field.steps)) || is_sensitive_in(shape, holder))
}

/// Whether the last of the steps leads to, or into, what is masked as a whole.
fn is_sensitive_in(shape: &RecordShape, steps: &[Step]) -> bool {
    let Some((Step::Attribute(name), rest)) = steps.split_first() else { return false };
    shape.0.get(name).is_some_and(|field| {
        field.sensitive || matches!(&field.shape, Shape::Record(record) if is_sensitive_in(record, rest))
    })
}

fn is_masked_in(shape: &RecordShape, steps: &[Step]) -> bool {
    let Some((Step::Attribute(name), rest)) = steps.split_first() else { return false };
    let Some(field) = shape.0.get(name) else { return false };
    field.sensitive
        || match (&field.shape, rest) {
            (Shape::Parsed(parsed), [Step::Attribute(fact), ..]) => parsed.masks(fact),
            (Shape::Parsed(parsed), []) => parsed.facts.0.keys().any(|fact| parsed.masks(fact)),
            (Shape::Record(record), [_, ..]) => is_masked_in(record, rest),
            (shape, []) => holds_masked(shape),
            _ => false,
        }
}

fn holds_masked(shape: &Shape) -> bool {
    match shape {
        Shape::Parsed(parsed) => parsed.facts.0.keys().any(|fact| parsed.masks(fact)),
        Shape::Record(record) => record.0.values().any(|field| field.sensitive || holds_masked(&field.shape)),
        Shape::Set(element) => holds_masked(element),
        _ => false,
    }
}

/// Adds what stands at a slot to a key: the id of the root itself, or the value to which the steps lead; of an entity on the way, its
/// id, from which all beyond follows.
fn look(key: &mut Vec<u8>, uid: Option<&EntityUid>, attributes: &Record, slot: &Slot) {
    let Some((first, rest)) = slot.steps.split_first() else {
        return text(key, uid.map(|uid| AsRef::<str>::as_ref(uid.id())).unwrap_or_default());
    };
    let Step::Attribute(name) = first else { return };
    let mut value = attributes.get(name);
    for step in rest {
        value = match (value, step) {
            (Some(Value::Record(record)), Step::Attribute(name)) => record.get(name),
            _ => break,
        };
    }
    write(key, value);
}

/// Values are written so that no two give the same bytes.
fn write(key: &mut Vec<u8>, value: Option<&Value>) {
    match value {
        None => key.push(0),
        Some(Value::Bool(value)) => key.extend([1, u8::from(*value)]),
        Some(Value::Long(value)) => {
            key.push(2);
            key.extend(value.to_le_bytes());
        }
        Some(Value::String(value) | Value::Raw(value) | Value::Extension(_, value)) => {
            key.push(3);
            text(key, value);
        }
        Some(Value::Entity(uid)) => {
            key.push(4);
            text(key, uid.id().as_ref());
        }
        Some(Value::Set(elements)) => {
            key.push(5);
            key.extend((elements.len() as u64).to_le_bytes());
            elements.iter().for_each(|element| write(key, Some(element)));
        }
        Some(Value::Record(record)) => {
            key.push(6);
            key.extend((record.len() as u64).to_le_bytes());
            for (name, value) in record {
                text(key, name);
                write(key, Some(value));
            }
        }
    }
}

fn text(key: &mut Vec<u8>, text: &str) {
    key.extend((text.len() as u64).to_le_bytes());
    key.extend(text.as_bytes());
}
