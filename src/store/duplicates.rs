//! What stands twice in a schema, or has the name of one of Cedar's own types: Cedar takes the last of two, and what was annotated on the
//! first is gone without a word.

use std::collections::BTreeMap;

use super::problem::{Problem, SourceFile};
use super::schema::{Fragment, qualified};
use super::written::{Declared, Kind, Member, Word};

/// The types that Cedar has itself.
const OWN: [&str; 13] = [
    "Action",
    "Bool",
    "Boolean",
    "Entity",
    "Extension",
    "Long",
    "Record",
    "Set",
    "String",
    "datetime",
    "decimal",
    "duration",
    "ipaddr",
];

/// Everything of that kind in a file.
pub(super) fn check(file: &SourceFile, declared: &[Declared]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for declared in declared {
        let is_type = matches!(declared.kind, Kind::CommonType | Kind::EntityType | Kind::EnumeratedType);
        problems.extend(declared.names.iter().filter(|name| is_type && OWN.contains(&name.text.as_str())).map(
            |name| {
                let message = format!("`{}` is one of Cedar's own types, which a type of that name hides", name.text);
                Problem::error(message).in_file(file).at(name.span, "").with_help("choose another name")
            },
        ));
        problems.extend(twice(file, "id", "keep one of the two", declared.ids.iter()));
        declared.records.iter().for_each(|record| members(file, record, &mut problems));
    }
    problems
}

/// Every declaration that stands twice, in files of their own too.
pub(super) fn across(fragments: &[Fragment]) -> Vec<Problem> {
    let mut first: BTreeMap<(&str, &str, &str), (&SourceFile, &Word)> = BTreeMap::new();
    let mut problems = Vec::new();
    for Fragment { file, declared, .. } in fragments {
        for (what, declared) in declared.iter().filter_map(|declared| Some((what(declared.kind)?, declared))) {
            for name in &declared.names {
                let key = (what, declared.namespace.as_str(), name.text.as_str());
                match first.get(&key) {
                    Some(first) => problems.push(declared_twice(what, declared, (file, name), *first)),
                    None => drop(first.insert(key, (file, name))),
                }
            }
        }
    }
    problems
}

/// What is declared, as a message says it; a namespace may stand in several files.
fn what(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Namespace => None,
        Kind::CommonType => Some("type"),
        Kind::EntityType | Kind::EnumeratedType => Some("entity type"),
        Kind::Action => Some("action"),
    }
}

fn declared_twice(
    what: &str,
    declared: &Declared,
    (file, again): (&SourceFile, &Word),
    (other, first): (&SourceFile, &Word),
) -> Problem {
    const KEEP: &str = "keep one of the two, or give one another name";
    let name = qualified(&declared.namespace, &again.text);
    let problem = Problem::error(format!("the {what} `{}` is declared twice", name.escape_debug()));
    let problem = problem.in_file(file).at(again.span, "again");
    if file == other {
        return problem.at(first.span, "first").with_help(KEEP);
    }
    let first = Problem::note("").in_file(other).at(first.span, "").position();
    let place = first.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
    problem.with_help(format!("it is declared first at {}{place}; {KEEP}", other.path))
}

fn members(file: &SourceFile, all: &[Member], problems: &mut Vec<Problem>) {
    problems.extend(twice(file, "attribute", KEEP, all.iter().map(|member| &member.name)));
    all.iter().for_each(|member| members(file, &member.members, problems));
}

const KEEP: &str = "keep one of the two: Cedar would take the last, without the annotations of the first";

/// Each of the words that stands there a second time, with both places.
pub(super) fn twice<'w>(
    file: &SourceFile,
    what: &str,
    help: &str,
    words: impl Iterator<Item = &'w Word>,
) -> Vec<Problem> {
    let mut first: BTreeMap<&str, &Word> = BTreeMap::new();
    let mut problems = Vec::new();
    for word in words {
        match first.get(word.text.as_str()) {
            Some(first) => {
                let message = format!("the {what} `{}` stands twice", word.text.escape_debug());
                let problem = Problem::error(message).in_file(file).at(word.span, "again").at(first.span, "first");
                problems.push(problem.with_help(help));
            }
            None => drop(first.insert(&word.text, word)),
        }
    }
    problems
}
