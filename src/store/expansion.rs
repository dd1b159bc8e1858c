//! How deep and how large the types of a schema are once every name in them is written out.
//!
//! Cedar writes the common types out where they are named. A chain of them is as deep as brackets in one another, and takes as much of
//! the stack; where each names another twice, a few lines grow to millions of attributes. Both are refused before Cedar sees them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::nesting::{BRACKETS, LINK, MOST};
use super::problem::Problem;
use super::schema::{Declaration, Reader, members};

/// The most types that all declarations together may hold, written out.
const MOST_TYPES: usize = 200_000;

/// How deep and how large a type is, written out.
#[derive(Clone, Copy, Debug, Default)]
struct Extent {
    /// The weight of what is in one another.
    depth: usize,
    /// How many types it holds, itself included.
    types: usize,
}

impl Extent {
    fn is_too_deep(self) -> bool {
        self.depth > MOST
    }

    /// Of types beside one another.
    fn beside(self, other: Self) -> Self {
        Self { depth: self.depth.max(other.depth), types: self.types.saturating_add(other.types) }
    }

    /// Of a type around this one.
    fn within(self, weight: usize) -> Self {
        Self { depth: self.depth.saturating_add(weight), types: self.types.saturating_add(1) }
    }
}

/// The declarations whose types are too deep, written out; or, if all together are too large, the largest of them.
pub(super) fn too_large(reader: &Reader) -> Vec<Problem> {
    let common = extents_of_common(reader);
    let mut deep = Vec::new();
    let mut all: Vec<(Extent, &str, &Declaration)> = Vec::new();
    for (name, declaration) in reader.declarations() {
        let extent = extent(reader, declaration, &common);
        // Of a chain only its first link that is too deep: the others are because of it.
        let is_first = || !named(reader, declaration).iter().any(|name| known(&common, name).is_too_deep());
        if extent.is_too_deep() && is_first() {
            deep.push(too_deep(name, declaration));
        }
        all.push((extent, name, declaration));
    }
    let types = all.iter().fold(0, |types: usize, (extent, ..)| types.saturating_add(extent.types));
    match all.into_iter().max_by_key(|(extent, ..)| extent.types) {
        Some((_, name, declaration)) if deep.is_empty() && types > MOST_TYPES => vec![too_many(name, declaration)],
        _ => deep,
    }
}

fn too_deep(name: &str, declaration: &Declaration) -> Problem {
    declaration.problem(format!("with every type in it written out, `{name}` is nested too deeply to be read")).with_help(format!(
        "at most {} records and sets may be in one another, and at most {} names of types lead from one to the next",
        MOST / BRACKETS,
        MOST / LINK
    ))
}

fn too_many(name: &str, declaration: &Declaration) -> Problem {
    let why =
        format!("with every type written out, the schema is too large to be read, and `{name}` is the largest in it");
    declaration.problem(why).with_help(format!(
        "at most {MOST_TYPES} attributes and types may stand in it then; a type that names another several times holds it as often"
    ))
}

/// The extents of all common types. A chain of them may be long: this does not follow it by calling itself.
fn extents_of_common(reader: &Reader) -> BTreeMap<&str, Extent> {
    let mut extents: BTreeMap<&str, Extent> = BTreeMap::new();
    let mut begun: BTreeSet<&str> = BTreeSet::new();
    for name in reader.common.keys() {
        let mut open: Vec<&str> = vec![name];
        while let Some(name) = open.last().copied() {
            let Some(declaration) = reader.common.get(name).filter(|_| !extents.contains_key(name)) else {
                open.pop();
                continue;
            };
            if begun.insert(name) {
                // One that is begun but not known here names itself in the end, which is Cedar's to refuse.
                open.extend(named(reader, declaration).into_iter().filter(|inner| !begun.contains(inner)));
            } else {
                extents.insert(name, extent(reader, declaration, &extents));
                open.pop();
            }
        }
    }
    extents
}

fn extent(reader: &Reader, declaration: &Declaration, common: &BTreeMap<&str, Extent>) -> Extent {
    let extents = types_of(&declaration.json).map(|json| extent_of(reader, json, &declaration.namespace, common));
    extents.fold(Extent::default(), Extent::beside)
}

fn extent_of(reader: &Reader, json: &Json, namespace: &str, common: &BTreeMap<&str, Extent>) -> Extent {
    let inner = inner_types(json).map(|json| extent_of(reader, json, namespace, common));
    let inner = inner.reduce(Extent::beside).map(|inner| inner.within(BRACKETS));
    let name = || Some(known(common, reader.common_type_named(name_of(json)?, namespace)?).within(LINK));
    inner.or_else(name).unwrap_or(Extent { depth: 0, types: 1 })
}

fn known(common: &BTreeMap<&str, Extent>, name: &str) -> Extent {
    common.get(name).copied().unwrap_or_default()
}

/// The common types that a declaration names.
fn named<'r>(reader: &'r Reader, declaration: &Declaration) -> BTreeSet<&'r str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&Json> = types_of(&declaration.json).collect();
    while let Some(json) = open.pop() {
        open.extend(inner_types(json));
        found.extend(name_of(json).and_then(|name| reader.common_type_named(name, &declaration.namespace)));
    }
    found
}

/// The types that stand in a declaration: it is one itself, or has a shape, tags or a context.
fn types_of(declaration: &Json) -> impl Iterator<Item = &Json> {
    let own = declaration.get("type").map(|_| declaration);
    let context = declaration.get("appliesTo").and_then(|applies| applies.get("context"));
    [own, declaration.get("shape"), declaration.get("tags"), context].into_iter().flatten()
}

/// The types that stand in a type.
fn inner_types(json: &Json) -> impl Iterator<Item = &Json> {
    let attributes = json.get("attributes").into_iter().flat_map(members).map(|(_, attribute)| attribute);
    attributes.chain(json.get("element"))
}

/// The name that a type is, where it is one.
fn name_of(json: &Json) -> Option<&str> {
    json.get("name").or_else(|| json.get("type")).and_then(Json::as_str)
}
