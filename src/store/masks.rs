//! What a schema has masked: which values stand in no log, no diagnostic and no reason.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use super::Store;
use super::schema::{RecordShape, Shape, Types};

/// The names of everything that is `@sensitive` somewhere. Where it is not known of what something of such a name is, it is not shown.
#[derive(Clone, Debug, Default)]
pub struct Sensitive(BTreeSet<SmolStr>);

impl Sensitive {
    /// The names in a schema.
    pub fn of(types: &Types) -> Self {
        let mut names = BTreeSet::new();
        for entity in types.entities.values() {
            names_in(&entity.attributes, &mut names);
            entity.tags.iter().for_each(|tags| names_in_shape(tags, &mut names));
        }
        types.environments.iter().for_each(|environment| names_in(&environment.context, &mut names));
        Self(names)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether something of that name is sensitive.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

fn names_in(record: &RecordShape, names: &mut BTreeSet<SmolStr>) {
    for (name, field) in &record.0 {
        if field.sensitive {
            names.insert(name.clone());
        }
        names_in_shape(&field.shape, names);
    }
}

fn names_in_shape(shape: &Shape, names: &mut BTreeSet<SmolStr>) {
    match shape {
        Shape::Record(record) => names_in(record, names),
        Shape::Set(element) => names_in_shape(element, names),
        _ => {}
    }
}

/// What stands in a set, and in the sets in it; any other shape itself.
pub fn element(shape: &Shape) -> &Shape {
    let mut inner = shape;
    while let Shape::Set(element) = inner {
        inner = element;
    }
    inner
}

/// A value that one store has masked and another, which declares it too, has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskChange {
    /// Where the schema declares it: `User.pin`, `action read: User · Doc: context.pin`.
    pub name: String,
    /// Whether the newer store masks it.
    pub masked_now: bool,
}

/// What is masked in one store and not in the other, in the order of the names.
pub fn changes(old: &Store, new: &Store) -> Vec<MaskChange> {
    let (old, new) = (declared(&old.types), declared(&new.types));
    let both = old.into_iter().filter_map(|(name, was)| Some((new.get(&name).copied()?, name, was)));
    both.filter(|(is, _, was)| is != was).map(|(masked_now, name, _)| MaskChange { name, masked_now }).collect()
}

/// Whether the log masks it, of every attribute, tag and member that is declared.
fn declared(types: &Types) -> BTreeMap<String, bool> {
    let mut all = BTreeMap::new();
    for entity in types.entities.values() {
        declare(&entity.full_name, &entity.attributes, false, &mut all);
        if let Some(tags) = &entity.tags {
            declare_shape(&format!("{} tags", entity.full_name), tags, false, &mut all);
        }
    }
    for environment in &types.environments {
        declare(&format!("{environment}: context"), &environment.context, false, &mut all);
    }
    all
}

fn declare(of: &str, record: &RecordShape, is_within: bool, all: &mut BTreeMap<String, bool>) {
    for (name, field) in &record.0 {
        declare_shape(&format!("{of}.{name}"), &field.shape, is_within || field.sensitive, all);
    }
}

fn declare_shape(name: &str, shape: &Shape, is_sensitive: bool, all: &mut BTreeMap<String, bool>) {
    let inner = element(shape);
    all.insert(name.to_owned(), is_sensitive || matches!(inner, Shape::Parsed(_)));
    if let Shape::Record(record) = inner {
        declare(name, record, is_sensitive, all);
    }
}
