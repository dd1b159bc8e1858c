//! The values that representative requests have at each place: everything that a comparison can tell apart.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use smol_str::{SmolStr, format_smolstr};

use super::boundaries;
use super::reads::{COMPUTED_TAG, Comparison, Declared, Dimension, Reads, Root, Slot};
use crate::request::value::{self, Value};
use crate::store::schema::{EntityType, Shape};

/// What a representative request has at a dimension; the plainest choice of a dimension comes first.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Choice {
    /// The optional value is not there.
    Absent,
    /// The optional record is there; what it holds is chosen for itself.
    Present,
    /// The value.
    Value(Value),
    /// The parents of the entity.
    Parents(Vec<EntityUid>),
}

/// The choices of every dimension of an environment.
pub(super) struct Domains<'a> {
    reads: Reads<'a>,
    pools: BTreeMap<EntityTypeName, Vec<EntityUid>>,
}

/// The most values that are none of the literals: three can be pairwise different.
const MOST_FRESH: usize = 3;

impl<'a> Domains<'a> {
    pub(super) fn new(reads: Reads<'a>) -> Self {
        let mut domains = Self { reads, pools: BTreeMap::new() };
        let types = domains.reads.types;
        domains.pools = types.referable().map(|found| (found.name.clone(), domains.pool(found))).collect();
        domains
    }

    /// The choices of a dimension, at least one.
    pub(super) fn choices(&self, dimension: &Dimension) -> Vec<Choice> {
        match dimension {
            Dimension::Parents(slot) => self.parents(slot),
            Dimension::Value(slot) if slot.steps.is_empty() => self.root(&slot.root),
            Dimension::Value(slot) => self.value(slot),
        }
    }

    /// The group of fields with which a dimension of strings is compared, if their names say nothing: where sets are compared with
    /// them, or they are the keys of tags, it matters which strings they are.
    pub(super) fn group(&self, dimension: &Dimension) -> Option<usize> {
        let Dimension::Value(slot) = dimension else { return None };
        let declared = self.reads.declared.get(slot)?;
        let group = self.reads.comparisons.iter().position(|comparison| comparison.fields.contains(&declared.field))?;
        let comparison = self.reads.comparisons.get(group)?;
        let strings = self.compared_with(comparison).all(|declared| matches!(declared.shape, Shape::String));
        (strings && comparison.fields.is_disjoint(&self.reads.keys)).then_some(group)
    }

    /// The numbers of the choices that are strings which no policy names; and whether the policies name others.
    pub(super) fn numbers(&self, group: usize, choices: &[Choice]) -> (Vec<Option<usize>>, bool) {
        let Some(comparison) = self.reads.comparisons.get(group) else { return (vec![None; choices.len()], false) };
        let fresh = self.fresh(comparison);
        let number = |choice: &Choice| match choice {
            Choice::Value(Value::String(text)) => fresh.iter().position(|other| other == text),
            _ => None,
        };
        (choices.iter().map(number).collect(), !comparison.literals.strings.is_empty())
    }

    /// Strings that no policy names or describes by a pattern: as many as there are places whose values are compared.
    fn fresh(&self, comparison: &Comparison) -> Vec<SmolStr> {
        const STARTS: [&str; 4] = ["other-", "none-", "~", "0"];
        let literals = &comparison.literals.strings;
        let described = |text: &SmolStr| comparison.patterns.iter().any(|pattern| pattern.wildcard_match(text));
        let numbered = |start: &'static str| {
            (1..=MOST_FRESH + literals.len()).map(move |number| format_smolstr!("{start}{number}"))
        };
        let all = || STARTS.into_iter().flat_map(numbered).filter(|text| !literals.contains(text));
        let count = self.places(comparison).clamp(1, MOST_FRESH);
        let mut found: Vec<SmolStr> = all().filter(|text| !described(text)).take(count).collect();
        // Where a pattern describes all of them, it tells none of them apart.
        if found.is_empty() {
            found.extend(all().take(count));
        }
        // The key of a tag must be one that there can be.
        let key = SmolStr::new_static(COMPUTED_TAG);
        if !comparison.fields.is_disjoint(&self.reads.keys) && !found.contains(&key) && !literals.contains(&key) {
            found.push(key);
        }
        found
    }

    /// How many places hold the values that are compared.
    fn places(&self, comparison: &Comparison) -> usize {
        self.compared_with(comparison).count()
    }

    fn compared_with<'c>(&'c self, comparison: &'c Comparison) -> impl Iterator<Item = &'c Declared> {
        self.reads.declared.values().filter(|declared| comparison.fields.contains(&declared.field))
    }

    /// Some of the choices of a dimension, as a person reads them: `red or blue`, `1 or more`.
    pub(super) fn described(&self, dimension: &Dimension, choices: &[Choice], chosen: &[usize]) -> String {
        let longs = || {
            choices.iter().map(|choice| if let Choice::Value(Value::Long(long)) = choice { Some(*long) } else { None })
        };
        let reckoned = matches!(dimension, Dimension::Value(slot) if self.reads.reckoned.contains(slot));
        let words = match longs().collect::<Option<Vec<i64>>>() {
            Some(longs) if !reckoned => ranges(&longs, chosen),
            _ => chosen.iter().filter_map(|index| Some(self.described_one(choices.get(*index)?))).collect(),
        };
        match words.split_last() {
            Some((last, before)) if !before.is_empty() => format!("{} or {last}", before.join(", ")),
            _ => words.concat(),
        }
    }

    fn described_one(&self, choice: &Choice) -> String {
        match choice {
            Choice::Absent => "absent".to_owned(),
            Choice::Present => "present".to_owned(),
            Choice::Value(value) => self.described_value(value),
            Choice::Parents(parents) if parents.is_empty() => "nothing".to_owned(),
            Choice::Parents(parents) => {
                let parents: Vec<String> = parents.iter().map(ToString::to_string).collect();
                parents.join(" and ")
            }
        }
    }

    /// An entity as in requests: by its id alone.
    fn described_value(&self, value: &Value) -> String {
        let is = |uid: &EntityUid, root| self.subject(&root).as_ref() == Some(uid);
        match value {
            Value::Bool(value) => value.to_string(),
            Value::Long(value) => value.to_string(),
            Value::String(text) | Value::Raw(text) => format!("{text:?}"),
            Value::Extension(_, text) => text.to_string(),
            Value::Entity(uid) if is(uid, Root::Resource) => "the resource".to_owned(),
            Value::Entity(uid) if is(uid, Root::Principal) => "the principal".to_owned(),
            Value::Entity(uid) if self.is_the_other(uid) => format!("another {}", uid.type_name()),
            Value::Entity(uid) => AsRef::<str>::as_ref(uid.id()).to_owned(),
            Value::Set(elements) => {
                let elements: Vec<String> = elements.iter().map(|element| self.described_value(element)).collect();
                format!("[{}]", elements.join(", "))
            }
            Value::Record(record) => {
                let fields = record.iter().map(|(name, value)| format!("{name}: {}", self.described_value(value)));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// Whether it is the only entity of its type that is neither the principal nor the resource, nor named by a policy.
    fn is_the_other(&self, uid: &EntityUid) -> bool {
        let asked = [self.subject(&Root::Principal), self.subject(&Root::Resource)];
        let known = |uid: &EntityUid| self.reads.named.contains(uid) || asked.contains(&Some(uid.clone()));
        let enumerated = self.reads.types.entity_of(uid.type_name()).is_none_or(|found| found.ids.is_some());
        let mut others = self.pools.get(uid.type_name()).into_iter().flatten().filter(|uid| !known(uid));
        !enumerated && others.next() == Some(uid) && others.next().is_none()
    }

    /// The principal, or the resource, where nothing says which.
    pub(super) fn subject(&self, root: &Root) -> Option<EntityUid> {
        let own = |name: &EntityTypeName, number| {
            let entity = self.reads.types.entity_of(name)?;
            match &entity.ids {
                Some(ids) => Some(uid(name, ids.first()?)),
                None => Some(numbered(name, number)),
            }
        };
        let environment = self.reads.environment;
        match root {
            Root::Principal => own(&environment.principal, 1),
            Root::Resource if environment.principal == environment.resource => own(&environment.resource, 2),
            Root::Resource => own(&environment.resource, 1),
            Root::Entity(uid) => Some(uid.clone()),
            Root::Context => None,
        }
    }

    /// Some entity of a type that nothing else refers to, for where any will do.
    fn any(&self, name: &EntityTypeName) -> Option<EntityUid> {
        self.pools.get(name)?.last().cloned()
    }

    fn root(&self, root: &Root) -> Vec<Choice> {
        let own = self.subject(root);
        let Some(name) = own.as_ref().map(|uid| uid.type_name().clone()) else { return vec![Choice::Present] };
        let environment = self.reads.environment;
        let enumerated = self.reads.types.entity_of(&name).and_then(|entity| entity.ids.as_ref());
        let mut uids: Vec<EntityUid> = match enumerated {
            Some(ids) => ids.iter().map(|id| uid(&name, id)).collect(),
            None => {
                own.into_iter().chain(self.reads.named.iter().filter(|uid| *uid.type_name() == name).cloned()).collect()
            }
        };
        // One entity may be both.
        if *root == Root::Resource && environment.principal == environment.resource && enumerated.is_none() {
            uids.extend(self.subject(&Root::Principal));
        }
        uids.into_iter().map(|uid| Choice::Value(Value::Entity(uid))).collect()
    }

    fn value(&self, slot: &Slot) -> Vec<Choice> {
        let Some(declared) = self.reads.declared.get(slot) else { return vec![Choice::Present] };
        let compared = self.reads.comparisons.iter().find(|other| other.fields.contains(&declared.field));
        let values = match &declared.shape {
            Shape::Record(_) | Shape::Parsed(_) => vec![Choice::Present],
            shape => {
                let values = self.of_shape(shape, compared);
                // Where only the presence is asked for, any value will do.
                let needed = if self.reads.values.contains(slot) { values.len() } else { 1 };
                values.into_iter().take(needed).map(Choice::Value).collect()
            }
        };
        let absent = declared.optional.then_some(Choice::Absent);
        absent.into_iter().chain(values).collect()
    }

    fn of_shape(&self, shape: &Shape, compared: Option<&Comparison>) -> Vec<Value> {
        let none = Comparison::default();
        let compared = compared.unwrap_or(&none);
        match shape {
            Shape::Bool => vec![Value::Bool(false), Value::Bool(true)],
            Shape::Long => boundaries::of_longs(&compared.literals.longs).into_iter().map(Value::Long).collect(),
            Shape::String => {
                let literals = compared.literals.strings.iter().cloned();
                literals.chain(self.fresh(compared)).map(Value::String).collect()
            }
            Shape::Entity(name) => self.pools.get(name).into_iter().flatten().cloned().map(Value::Entity).collect(),
            Shape::Extension(extension) => {
                let literals = compared.literals.extensions.iter().filter(|(of, _)| of == extension);
                let around = literals.flat_map(|(_, literal)| boundaries::of_extension(*extension, literal));
                // Where values are compared with each other, they must be able to differ.
                let plain = match self.places(compared) {
                    0 | 1 => vec![extension.plain().into()],
                    _ => boundaries::of_extension(*extension, extension.plain()),
                };
                let texts: BTreeSet<SmolStr> = around.chain(plain).collect();
                texts.into_iter().map(|text| Value::Extension(*extension, text)).collect()
            }
            Shape::Set(element) => {
                let elements = self.of_shape(element, Some(compared));
                let several = (elements.len() > 1).then(|| elements.clone());
                // All but one, where that is neither one nor all.
                let without = |missing| elements.iter().enumerate().filter(move |(index, _)| *index != missing);
                let count = if elements.len() > 2 { elements.len() } else { 0 };
                let most = (0..count).map(|missing| without(missing).map(|(_, element)| element.clone()).collect());
                let single = elements.iter().map(|element| vec![element.clone()]);
                let sets = std::iter::once(Vec::new()).chain(single).chain(several).chain(most);
                sets.map(Value::Set).collect()
            }
            Shape::Record(_) | Shape::Parsed(_) => vec![self.plain(shape)],
        }
    }

    /// A value for where any will do.
    pub(super) fn plain(&self, shape: &Shape) -> Value {
        value::plain(shape, &|name| self.any(name).unwrap_or_else(|| numbered(name, 1)))
    }

    /// No parents, each entity that may be asked for, and all of them.
    fn parents(&self, slot: &Slot) -> Vec<Choice> {
        let names = self.reads.ancestors.get(slot).into_iter().flatten();
        let candidates: Vec<EntityUid> = names.filter_map(|name| self.pools.get(name)).flatten().cloned().collect();
        let several = (candidates.len() > 1).then(|| candidates.clone());
        let single = candidates.into_iter().map(|parent| vec![parent]);
        std::iter::once(Vec::new()).chain(single).chain(several).map(Choice::Parents).collect()
    }

    /// The entities of a type: the principal and the resource, others, and those that statements name.
    fn pool(&self, entity: &EntityType) -> Vec<EntityUid> {
        let name = &entity.name;
        if let Some(ids) = &entity.ids {
            return ids.iter().map(|id| uid(name, id)).collect();
        }
        let environment = self.reads.environment;
        let own = usize::from(environment.principal == *name) + usize::from(environment.resource == *name);
        let refers = |shape: &Shape| match shape {
            Shape::Entity(found) => found == name,
            Shape::Set(element) => matches!(&**element, Shape::Entity(found) if found == name),
            _ => false,
        };
        let places = self.reads.declared.iter().filter(|(slot, _)| !slot.steps.is_empty());
        let places = places.filter(|(_, declared)| refers(&declared.shape)).count();
        let others = places.clamp(1, MOST_FRESH);
        let numbered = (1..=own + others).map(|number| numbered(name, number));
        numbered.chain(self.reads.named.iter().filter(|uid| uid.type_name() == name).cloned()).collect()
    }
}

/// Numbers of a dimension, in words. What lies between two neighbours of it is decided like one of them.
fn ranges(longs: &[i64], chosen: &[usize]) -> Vec<String> {
    let mut sorted = longs.to_vec();
    sorted.sort_unstable();
    let taken: BTreeSet<i64> = chosen.iter().filter_map(|index| longs.get(*index).copied()).collect();
    let runs = sorted.chunk_by(|left, right| taken.contains(left) == taken.contains(right));
    let taken = runs.filter(|run| run.first().is_some_and(|first| taken.contains(first)));
    let words = taken.filter_map(|run| {
        Some(match (*run.first()?, *run.last()?) {
            (first, last) if first == last => first.to_string(),
            (i64::MIN, last) => format!("{last} or less"),
            (first, i64::MAX) => format!("{first} or more"),
            (first, last) => format!("{first} to {last}"),
        })
    });
    words.collect()
}

fn uid(name: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id))
}

/// `person-1` for a `Person`.
fn numbered(name: &EntityTypeName, number: usize) -> EntityUid {
    uid(name, &format!("{}-{number}", name.basename().to_lowercase()))
}
