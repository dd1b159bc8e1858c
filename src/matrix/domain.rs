//! The values that representative requests have at each place: everything that a comparison can tell apart.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use smol_str::{SmolStr, format_smolstr};

use super::boundaries;
use super::patterns::{self, Witnesses};
use super::reads::{Comparison, Declared, Dimension, Reads, Root, Slot};
use crate::request::value::{self, Value};
use crate::store::schema::{EntityType, Extension, Shape};

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
    pub(super) reads: Reads<'a>,
    pools: BTreeMap<EntityTypeName, Vec<EntityUid>>,
}

/// The most values that are none of the literals: three can be pairwise different.
pub(super) const MOST_FRESH: usize = 3;

/// Of so many elements, all subsets are taken; of more, none, single ones, all, and all but one.
pub(super) const MOST_ELEMENTS: usize = 5;

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

    /// The numbers of the choices that are strings which no policy names; and whether the policies tell others apart.
    pub(super) fn numbers(&self, group: usize, choices: &[Choice]) -> (Vec<Option<usize>>, bool) {
        let Some(comparison) = self.reads.comparisons.get(group) else { return (vec![None; choices.len()], false) };
        let fresh = self.fresh(comparison);
        let number = |choice: &Choice| match choice {
            Choice::Value(Value::String(text)) => fresh.iter().position(|other| other == text),
            _ => None,
        };
        (
            choices.iter().map(number).collect(),
            !comparison.literals.strings.is_empty() || !comparison.patterns.is_empty(),
        )
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
        let count = self.different(comparison);
        let mut found: Vec<SmolStr> = all().filter(|text| !described(text)).take(count).collect();
        // Where a pattern describes all of them, it tells none of them apart.
        if found.is_empty() {
            found.extend(all().take(count));
        }
        // The key of a tag must be one that there can be.
        if !comparison.fields.is_disjoint(&self.reads.keys) {
            let keys = self.reads.computed_keys.iter().filter(|key| !found.contains(*key) && !literals.contains(*key));
            let keys: Vec<SmolStr> = keys.cloned().collect();
            found.extend(keys);
        }
        found
    }

    /// Strings that show in how many ways the patterns match together which they are compared with, beside those that no pattern
    /// describes.
    pub(super) fn described_by_patterns(&self, comparison: &Comparison) -> Witnesses {
        if comparison.patterns.is_empty() {
            return Witnesses::default();
        }
        let (literals, fresh) = (&comparison.literals.strings, self.fresh(comparison));
        patterns::witnesses(&comparison.patterns, self.different(comparison), literals, &fresh)
    }

    /// How many values that are compared with each other can be different: sets can have elements of their own, and common ones.
    fn different(&self, comparison: &Comparison) -> usize {
        let sets = self.compared_with(comparison).filter(|declared| matches!(declared.shape, Shape::Set(_))).count();
        if sets > 1 { MOST_FRESH } else { self.places(comparison).clamp(1, MOST_FRESH) }
    }

    /// How many places hold the values that are compared.
    pub(super) fn places(&self, comparison: &Comparison) -> usize {
        self.compared_with(comparison).count()
    }

    pub(super) fn compared_with<'c>(&'c self, comparison: &'c Comparison) -> impl Iterator<Item = &'c Declared> {
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
            Shape::Long => {
                let longs = boundaries::of_longs(&compared.literals.longs, self.places(compared).min(MOST_FRESH));
                longs.into_iter().map(Value::Long).collect()
            }
            Shape::String => {
                let literals = compared.literals.strings.iter().cloned();
                let others = self.fresh(compared).into_iter().chain(self.described_by_patterns(compared).strings);
                literals.chain(others).map(Value::String).collect()
            }
            Shape::Entity(name) => self.pools.get(name).into_iter().flatten().cloned().map(Value::Entity).collect(),
            Shape::Extension(extension) => self.of_extension(*extension, compared),
            Shape::Set(element) => subsets(&self.elements(element, compared)).into_iter().map(Value::Set).collect(),
            Shape::Record(_) | Shape::Parsed(_) => vec![self.plain(shape)],
        }
    }

    fn of_extension(&self, extension: Extension, compared: &Comparison) -> Vec<Value> {
        let own = compared.literals.extensions.iter().filter(|(of, _)| *of == extension);
        let mut literals: Vec<SmolStr> = own.map(|(_, literal)| literal.clone()).collect();
        let plain = SmolStr::new_static(extension.plain());
        let places = self.places(compared).min(MOST_FRESH);
        // Where values are compared with each other, they must be able to differ.
        if places > 1 {
            literals.push(plain.clone());
        }
        let around = boundaries::of_extension(extension, &literals, &compared.literals.times_of_day, places);
        let mut texts = vec![plain];
        for text in around {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        texts.into_iter().map(|text| Value::Extension(extension, text)).collect()
    }

    /// The elements that a set may have.
    pub(super) fn elements(&self, shape: &Shape, compared: &Comparison) -> Vec<Value> {
        let literals = &compared.literals;
        // What is only an element is equal to another or not, and no more.
        let only_sets = self.compared_with(compared).all(|declared| matches!(declared.shape, Shape::Set(_)));
        let elements: Vec<Value> = match shape {
            Shape::Record(_) => literals.records.iter().cloned().chain([self.plain(shape)]).collect(),
            Shape::Long if only_sets => {
                let others = (0..).filter(|value| !literals.longs.contains(value)).take(self.different(compared));
                literals.longs.iter().copied().chain(others).map(Value::Long).collect()
            }
            Shape::Extension(extension) if only_sets => {
                let own = literals.extensions.iter().filter(|(of, _)| of == extension).map(|(_, text)| text.clone());
                let texts = own.chain([SmolStr::new_static(extension.plain())]);
                texts.map(|text| Value::Extension(*extension, text)).collect()
            }
            _ => self.of_shape(shape, Some(compared)),
        };
        let mut different: Vec<Value> = Vec::new();
        for element in elements {
            if !different.contains(&element) {
                different.push(element);
            }
        }
        different
    }

    /// A value for where any will do.
    pub(super) fn plain(&self, shape: &Shape) -> Value {
        value::plain(shape, &|name| self.any(name).unwrap_or_else(|| numbered(name, 1)))
    }

    /// The entities of which some are parents.
    fn parents(&self, slot: &Slot) -> Vec<Choice> {
        subsets(&self.ancestors(slot)).into_iter().map(Choice::Parents).collect()
    }

    /// The entities in which the one at a slot may be, as far as that can be asked: those that policies name, and of a type of which
    /// something in a request can be, the others.
    pub(super) fn ancestors(&self, slot: &Slot) -> Vec<EntityUid> {
        let names = self.reads.ancestors.get(slot).into_iter().flatten();
        let environment = self.reads.environment;
        let held = |name: &EntityTypeName| {
            *name == environment.principal || *name == environment.resource || self.referring(name).next().is_some()
        };
        let of_type = |name: &EntityTypeName| {
            let held = held(name);
            let pool = self.pools.get(name).into_iter().flatten();
            pool.filter(move |uid| held || self.reads.named.contains(*uid)).cloned().collect::<Vec<_>>()
        };
        names.flat_map(of_type).collect()
    }

    /// The places of a request, and of what it refers to, that hold entities of a type.
    pub(super) fn referring(&self, name: &EntityTypeName) -> impl Iterator<Item = &Declared> {
        let refers = move |shape: &Shape| match shape {
            Shape::Entity(found) => found == name,
            Shape::Set(element) => matches!(&**element, Shape::Entity(found) if found == name),
            _ => false,
        };
        let places = self.reads.declared.iter().filter(|(slot, _)| !slot.steps.is_empty());
        places.map(|(_, declared)| declared).filter(move |declared| refers(&declared.shape))
    }

    /// The entities of a type: the principal and the resource, others, and those that statements name.
    fn pool(&self, entity: &EntityType) -> Vec<EntityUid> {
        let name = &entity.name;
        if let Some(ids) = &entity.ids {
            return ids.iter().map(|id| uid(name, id)).collect();
        }
        let environment = self.reads.environment;
        let own = usize::from(environment.principal == *name) + usize::from(environment.resource == *name);
        let sets = self.referring(name).filter(|declared| matches!(declared.shape, Shape::Set(_))).count();
        let others = if sets > 1 { MOST_FRESH } else { self.referring(name).count().clamp(1, MOST_FRESH) };
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

/// All subsets, the small ones first; of more than [`MOST_ELEMENTS`], some.
fn subsets<T: Clone>(elements: &[T]) -> Vec<Vec<T>> {
    let count = elements.len();
    let chosen = |mask: u32| {
        let numbered = elements.iter().enumerate();
        numbered.filter(|(index, _)| mask >> index & 1 == 1).map(|(_, element)| element.clone()).collect()
    };
    if count <= MOST_ELEMENTS {
        let mut masks: Vec<u32> = (0..1 << count).collect();
        masks.sort_by_key(|mask| mask.count_ones());
        return masks.into_iter().map(chosen).collect();
    }
    let without = |missing| {
        let numbered = elements.iter().enumerate();
        numbered.filter(|(index, _)| *index != missing).map(|(_, element)| element.clone()).collect()
    };
    let single = elements.iter().map(|element| vec![element.clone()]);
    [Vec::new()].into_iter().chain(single).chain([elements.to_vec()]).chain((0..count).map(without)).collect()
}

fn uid(name: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id))
}

/// `person-1` for a `Person`.
fn numbered(name: &EntityTypeName, number: usize) -> EntityUid {
    uid(name, &format!("{}-{number}", name.basename().to_lowercase()))
}
