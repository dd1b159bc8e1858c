//! Names that the service writes itself: no store may give them to anything else.

use std::collections::BTreeSet;

use super::Store;
use super::problem::Problem;
use super::schema::{RecordShape, Shape};

/// How the names start that the service writes itself: in reasons, and in the decision log.
pub const RESERVED: &str = "gatepost:";

/// Names of the schema, and ids of policies, that would be taken for something that the service writes.
pub(super) fn reserved(store: &Store) -> Vec<Problem> {
    let types = &store.types;
    let mut names = BTreeSet::new();
    for entity in types.entities.values() {
        fields(&entity.attributes, &mut names);
        entity.tags.iter().for_each(|tags| inner(tags, &mut names));
    }
    for environment in &types.environments {
        fields(&environment.context, &mut names);
    }
    let mut problems: Vec<Problem> = names
        .into_iter()
        .map(|name| {
            problem(store, &name, format!("the name `{name}` is reserved: the decision log writes such names itself"))
                .with_help(format!("choose one that does not start with `{RESERVED}`"))
        })
        .collect();
    let actions: BTreeSet<&str> = types.environments.iter().map(|found| found.action.id().as_ref()).collect();
    problems.extend(actions.into_iter().filter(|id| stands_for_all(id)).map(|id| {
        problem(
            store,
            id,
            format!("the id `{id}` of an action is reserved: so the metrics and reports name what has no id"),
        )
        .with_help("choose one that is not in parentheses")
    }));
    problems.extend(store.policies.iter().filter(|policy| in_parentheses(&policy.id)).map(|policy| {
        let what = format!("the id `{}` is reserved: so reports name what no policy did", policy.id);
        policy.problem(Problem::error(what)).with_help("choose one that is not in parentheses")
    }));
    problems
}

fn problem(store: &Store, name: &str, what: String) -> Problem {
    let file = store.files.schema.iter().find(|file| file.text.contains(name));
    let problem = Problem::error(what);
    file.map_or(problem.clone(), |file| problem.in_file(file).at_text(name))
}

fn stands_for_all(id: &str) -> bool {
    id.starts_with(RESERVED) || in_parentheses(id)
}

fn in_parentheses(id: &str) -> bool {
    id.starts_with('(') && id.ends_with(')')
}

fn fields(record: &RecordShape, names: &mut BTreeSet<String>) {
    for (name, field) in &record.0 {
        if name.starts_with(RESERVED) {
            names.insert(name.to_string());
        }
        inner(&field.shape, names);
    }
}

fn inner(shape: &Shape, names: &mut BTreeSet<String>) {
    match shape {
        Shape::Record(record) => fields(record, names),
        Shape::Set(element) => inner(element, names),
        _ => {}
    }
}
