//! `@alias` on entity types: the names that callers have for them where those are no Cedar names.

use std::collections::BTreeMap;

use super::problem::Problem;
use super::schema::{ALIAS, Reader, annotation};

/// So many characters an alias has at most.
const LONGEST: usize = 200;

/// Every alias that is wrong: none at all, the name of a type, or that of two types.
pub(super) fn check(reader: &Reader) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut aliases: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, declaration) in &reader.entities {
        let Some(alias) = annotation(&declaration.json, ALIAS) else { continue };
        let shown = alias.escape_debug();
        let problem = |message: String, help: &str| declaration.problem_with(ALIAS, &[], message).with_help(help);
        if alias.is_empty() || alias.trim() != alias || alias.chars().count() > LONGEST {
            problems.push(problem(
                format!("`@alias(\"{shown}\")` is no name for entity type `{name}`"),
                "write the name that callers send as the type, as in `@alias(\"ai-agent\")`",
            ));
        } else if reader.entities.contains_key(alias) {
            problems.push(problem(
                format!("the alias `{shown}` of entity type `{name}` is the name of an entity type"),
                "an alias is another name than those of the schema: choose one that no type has",
            ));
        } else if let Some(other) = aliases.insert(alias, name) {
            problems.push(problem(
                format!("the entity types `{other}` and `{name}` have the same alias `{shown}`"),
                "give each an alias of its own: a request that names it would mean either",
            ));
        }
    }
    problems
}
