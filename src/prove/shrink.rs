//! A smaller case that shows the same: only what matters stays, and plain ids and values.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{EntityId, EntityUid, Policy};
use smol_str::SmolStr;

use crate::request::case::Case;
use crate::request::stored::{StoredEntity, references};
use crate::request::value::{Record, Value};
use crate::store::policy;
use crate::store::schema::{RecordShape, Shape, Types};

/// The smallest case that is found by taking away and making plainer, one thing after the other, for as long as `shows` holds.
///
/// Every entity that is referred to stays, as the proofs assume.
pub(super) fn shrink(case: Case, types: &Types, kept: &Kept, shows: &dyn Fn(&Case) -> bool) -> Case {
    let mut shrinking = Shrinking { draft: Draft::of(&case), case, types, kept, shows, left: MOST_TRIES };
    shrinking.rename();
    while shrinking.step() {}
    shrinking.case
}

/// What keeps its place, because policies name it.
pub(super) struct Kept {
    /// The entities that keep their ids.
    named: BTreeSet<EntityUid>,
    /// Those of which attributes are read: without them policies fail.
    read: BTreeSet<EntityUid>,
}

impl Kept {
    pub(super) fn by<'a>(policies: impl Iterator<Item = &'a Policy> + Clone) -> Self {
        Self {
            named: policies.clone().flat_map(policy::named_anywhere).collect(),
            read: policies.flat_map(policy::named_and_read).collect(),
        }
    }
}

/// A case, taken apart.
#[derive(Clone)]
struct Draft {
    environment: usize,
    principal: EntityUid,
    resource: EntityUid,
    context: Record,
    entities: BTreeMap<EntityUid, StoredEntity>,
}

impl Draft {
    fn of(case: &Case) -> Self {
        Self {
            environment: case.request.environment,
            principal: case.request.principal.uid.clone(),
            resource: case.request.resource.uid.clone(),
            context: case.request.context.clone(),
            entities: case.all_entities(),
        }
    }

    fn case(self) -> Option<Case> {
        Case::new(self.environment, self.principal, self.resource, self.context, self.entities)
    }

    /// Every entity that something in it refers to.
    fn referred(&self) -> BTreeSet<&EntityUid> {
        let mut found = vec![&self.principal, &self.resource];
        self.context.values().for_each(|value| references(value, &mut found));
        for entity in self.entities.values() {
            entity.attributes.values().chain(entity.tags.values()).for_each(|value| references(value, &mut found));
            found.extend(&entity.parents);
        }
        found.into_iter().collect()
    }

    fn with_attributes(&self, uid: &EntityUid, attributes: Record) -> Self {
        let mut draft = self.clone();
        if let Some(entity) = draft.entities.get_mut(uid) {
            let (tags, parents) = (entity.tags.clone(), entity.parents.clone());
            *entity = StoredEntity::new(attributes).with(tags, parents);
        }
        draft
    }
}

struct Shrinking<'a> {
    draft: Draft,
    case: Case,
    types: &'a Types,
    kept: &'a Kept,
    shows: &'a dyn Fn(&Case) -> bool,
    /// How many more cases may be tried.
    left: usize,
}

/// The most cases that are tried: a case that is not the smallest is still one.
const MOST_TRIES: usize = 20_000;

impl Shrinking<'_> {
    /// Takes the draft if it still shows the same.
    fn take(&mut self, draft: Draft) -> bool {
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        let Some(case) = draft.clone().case().filter(|case| (self.shows)(case)) else { return false };
        (self.draft, self.case) = (draft, case);
        true
    }

    /// Gives every entity a plain id: `account-1`.
    fn rename(&mut self) {
        let enumerated =
            |uid: &EntityUid| self.types.entity_of(uid.type_name()).is_none_or(|found| found.ids.is_some());
        let draft = &self.draft;
        let mut names: BTreeMap<EntityUid, EntityUid> = BTreeMap::new();
        let mut counts: BTreeMap<&cedar_policy::EntityTypeName, usize> = BTreeMap::new();
        let mut taken: BTreeSet<EntityUid> = self.kept.named.clone();
        let referred = draft.referred();
        for uid in [&draft.principal, &draft.resource].into_iter().chain(draft.entities.keys()).chain(referred) {
            if enumerated(uid) || self.kept.named.contains(uid) || names.contains_key(uid) {
                continue;
            }
            let count = counts.entry(uid.type_name()).or_default();
            let name = loop {
                *count += 1;
                let id = format!("{}-{count}", uid.type_name().basename().to_lowercase());
                let name = EntityUid::from_type_name_and_id(uid.type_name().clone(), EntityId::new(id));
                if taken.insert(name.clone()) {
                    break name;
                }
            };
            names.insert(uid.clone(), name);
        }
        let renamed = Draft {
            environment: draft.environment,
            principal: renamed(&draft.principal, &names),
            resource: renamed(&draft.resource, &names),
            context: renamed_record(&draft.context, &names),
            entities: draft
                .entities
                .iter()
                .map(|(uid, entity)| {
                    let mut other = StoredEntity::new(renamed_record(&entity.attributes, &names));
                    other.tags = renamed_record(&entity.tags, &names);
                    other.parents = entity.parents.iter().map(|parent| renamed(parent, &names)).collect();
                    (renamed(uid, &names), other)
                })
                .collect(),
        };
        self.take(renamed);
    }

    /// Whether something could be made smaller.
    fn step(&mut self) -> bool {
        self.drop_entities() | self.drop_ancestors_and_tags() | self.plainer_context() | self.plainer_entities()
    }

    fn drop_entities(&mut self) -> bool {
        let referred = self.draft.referred();
        let idle = |uid: &&EntityUid| !referred.contains(uid) && !self.kept.read.contains(*uid);
        let idle: Vec<EntityUid> = self.draft.entities.keys().filter(idle).cloned().collect();
        let mut smaller = false;
        for uid in idle {
            let mut draft = self.draft.clone();
            draft.entities.remove(&uid);
            smaller |= self.take(draft);
        }
        smaller
    }

    fn drop_ancestors_and_tags(&mut self) -> bool {
        let uids: Vec<EntityUid> = self.draft.entities.keys().cloned().collect();
        let mut smaller = false;
        for uid in uids {
            let Some(entity) = self.draft.entities.get(&uid).cloned() else { continue };
            let without_parent = entity.parents.iter().map(|parent| {
                let parents = entity.parents.iter().filter(|other| *other != parent).cloned().collect();
                StoredEntity { parents, ..entity.clone() }
            });
            let without_tag = entity.tags.keys().map(|key| {
                let mut tags = entity.tags.clone();
                tags.remove(key);
                entity.clone().with(tags, entity.parents.clone())
            });
            for entity in without_parent.chain(without_tag).collect::<Vec<_>>() {
                let mut draft = self.draft.clone();
                draft.entities.insert(uid.clone(), entity);
                if self.take(draft) {
                    smaller = true;
                    break;
                }
            }
        }
        smaller
    }

    fn plainer_context(&mut self) -> bool {
        let Some(environment) = self.types.environments.get(self.draft.environment) else { return false };
        let candidates = self.plainer_record(&environment.context, &self.draft.context);
        candidates.into_iter().any(|context| self.take(Draft { context, ..self.draft.clone() }))
    }

    fn plainer_entities(&mut self) -> bool {
        let uids: Vec<EntityUid> = self.draft.entities.keys().cloned().collect();
        let mut smaller = false;
        for uid in uids {
            let Some(declared) = self.types.entity_of(uid.type_name()) else { continue };
            let Some(entity) = self.draft.entities.get(&uid) else { continue };
            let candidates = self.plainer_record(&declared.attributes, &entity.attributes);
            smaller |= candidates.into_iter().any(|attributes| self.take(self.draft.with_attributes(&uid, attributes)));
        }
        smaller
    }

    /// Every record that is plainer by one thing.
    fn plainer_record(&self, shape: &RecordShape, record: &Record) -> Vec<Record> {
        let mut plainer = Vec::new();
        for (name, value) in record {
            let Some(field) = shape.0.get(name) else { continue };
            if !field.required {
                let mut without = record.clone();
                without.remove(name);
                plainer.push(without);
            }
            for value in self.plainer(&field.shape, value) {
                let mut with = record.clone();
                with.insert(name.clone(), value);
                plainer.push(with);
            }
        }
        plainer
    }

    /// Every value that is plainer than this one, the plainest first. There is no way back: this ends.
    fn plainer(&self, shape: &Shape, value: &Value) -> Vec<Value> {
        match (shape, value) {
            (_, Value::Bool(true)) => vec![Value::Bool(false)],
            (_, Value::Long(long)) => plainer_longs(*long).into_iter().map(Value::Long).collect(),
            (_, Value::String(text)) => plainer_strings(text).into_iter().map(Value::String).collect(),
            (Shape::Extension(extension), Value::Extension(_, text)) if text != extension.plain() => {
                vec![Value::Extension(*extension, extension.plain().into())]
            }
            (Shape::Entity(_), Value::Entity(uid)) => self.plainer_entity(uid).into_iter().map(Value::Entity).collect(),
            (Shape::Set(element), Value::Set(elements)) => {
                let fewer = (0..elements.len()).map(|index| {
                    let kept = elements.iter().enumerate().filter(|(other, _)| *other != index);
                    Value::Set(kept.map(|(_, element)| element.clone()).collect())
                });
                let plainer = elements.iter().enumerate().flat_map(|(index, found)| {
                    self.plainer(element, found).into_iter().filter(|found| !elements.contains(found)).map(
                        move |found| {
                            let mut elements = elements.clone();
                            elements.get_mut(index).into_iter().for_each(|element| *element = found.clone());
                            Value::Set(elements)
                        },
                    )
                });
                let none = (!elements.is_empty()).then(|| Value::Set(Vec::new()));
                none.into_iter().chain(fewer).chain(plainer).collect()
            }
            (Shape::Record(shape), Value::Record(record)) => {
                self.plainer_record(shape, record).into_iter().map(Value::Record).collect()
            }
            (Shape::Parsed(parsed), Value::Record(record)) => {
                self.plainer_record(&parsed.facts, record).into_iter().map(Value::Record).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The ids of an enumerated type that are declared before; otherwise the entities of the type that come before.
    fn plainer_entity(&self, uid: &EntityUid) -> Vec<EntityUid> {
        let Some(declared) = self.types.entity_of(uid.type_name()) else { return Vec::new() };
        match &declared.ids {
            Some(ids) => {
                let before = ids.iter().take_while(|id| id.as_str() != AsRef::<str>::as_ref(uid.id()));
                before.map(|id| EntityUid::from_type_name_and_id(declared.name.clone(), EntityId::new(id))).collect()
            }
            None => {
                let entities = self.draft.entities.keys();
                entities.filter(|other| other.type_name() == uid.type_name() && *other < uid).cloned().collect()
            }
        }
    }
}

fn plainer_longs(long: i64) -> Vec<i64> {
    // Nearer and nearer: where the boundary lies is found in as many steps as the number has bits.
    let nearer = (1..i64::BITS).map(|shift| long - long / (1_i64 << shift.min(62)));
    let mut plainer: Vec<i64> =
        [0, 1, long.saturating_neg()].into_iter().chain(nearer).chain([long - long.signum()]).collect();
    plainer.retain(|other| (other.unsigned_abs(), *other < 0) < (long.unsigned_abs(), long < 0));
    plainer.dedup();
    plainer
}

fn plainer_strings(text: &SmolStr) -> Vec<SmolStr> {
    const PLAINEST: [&str; 4] = ["", "a", "b", "c"];
    if let Some(place) = PLAINEST.iter().position(|plain| plain == text) {
        return PLAINEST.iter().take(place).map(|plain| SmolStr::new_static(plain)).collect();
    }
    let characters: Vec<char> = text.chars().collect();
    let shorter = [characters.len() / 2, characters.len().saturating_sub(1)];
    let shorter = shorter.iter().map(|length| characters.iter().take(*length).copied().collect::<SmolStr>());
    PLAINEST.iter().map(|plain| SmolStr::new_static(plain)).chain(shorter).collect()
}

fn renamed(uid: &EntityUid, names: &BTreeMap<EntityUid, EntityUid>) -> EntityUid {
    names.get(uid).unwrap_or(uid).clone()
}

fn renamed_record(record: &Record, names: &BTreeMap<EntityUid, EntityUid>) -> Record {
    record.iter().map(|(name, value)| (name.clone(), renamed_value(value, names))).collect()
}

fn renamed_value(value: &Value, names: &BTreeMap<EntityUid, EntityUid>) -> Value {
    match value {
        Value::Entity(uid) => Value::Entity(renamed(uid, names)),
        Value::Set(elements) => Value::Set(elements.iter().map(|element| renamed_value(element, names)).collect()),
        Value::Record(record) => Value::Record(renamed_record(record, names)),
        other => other.clone(),
    }
}
