//! How many entity types and actions are in one another.
//!
//! Cedar writes down for each in which others it is, directly or not, and goes from one to the next by calling itself: of a few thousand in a
//! row that takes minutes and gigabytes, and in the end the stack. So it is refused before Cedar sees it.

use std::collections::{BTreeMap, BTreeSet};

use super::problem::Problem;
use super::schema::{Declaration, Reader};

/// The most pairs of which one is in the other. No row of them is longer than a thousand then.
const MOST_PAIRS: usize = 500_000;

/// The problem that too many entity types, or too many actions, are in one another, at the one that is in the most others.
pub(super) fn too_many(reader: &Reader) -> Vec<Problem> {
    let entities = reader.entities.iter().map(|(name, declaration)| {
        let parents = reader.parents_of_entity(declaration).collect();
        (name.as_str(), parents)
    });
    let actions = reader.actions.iter().map(|(name, declaration)| {
        let parents = reader.parents_of_action(declaration).collect();
        (name.as_str(), parents)
    });
    let lists =
        [("entity types", entities.collect(), &reader.entities), ("actions", actions.collect(), &reader.actions)];
    let problems = lists.into_iter().filter_map(|(what, parents, declarations)| {
        let (name, count) = deepest_of_too_many(&parents)?;
        Some(problem(what, name, count, declarations.get(name)?))
    });
    problems.collect()
}

fn problem(what: &str, name: &str, count: usize, declaration: &Declaration) -> Problem {
    let why = format!("too many {what} are in one another: `{name}` alone is in {count}");
    declaration
        .problem(why)
        .with_help(format!("at most {MOST_PAIRS} times may one be in another, directly or through others"))
}

/// Of those of which too many are in one another, the one that is in the most others, and in how many; as far as it was counted.
fn deepest_of_too_many<'r>(parents: &BTreeMap<&'r str, Vec<String>>) -> Option<(&'r str, usize)> {
    let mut pairs = 0;
    let mut deepest = None;
    for name in parents.keys() {
        let count = ancestors(name, parents);
        pairs += count;
        deepest = deepest.max(Some((count, *name)));
        if pairs > MOST_PAIRS {
            return deepest.map(|(count, name)| (name, count));
        }
    }
    None
}

/// In how many others one is.
fn ancestors(name: &str, parents: &BTreeMap<&str, Vec<String>>) -> usize {
    let mut found: BTreeSet<&str> = BTreeSet::new();
    let mut open = vec![name];
    while let Some(name) = open.pop() {
        let next = parents.get(name).into_iter().flatten().map(String::as_str);
        open.extend(next.filter(|parent| found.insert(parent)));
    }
    found.len()
}
