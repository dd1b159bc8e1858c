//! Names that the service writes itself: no store may give them to anything else.

use std::collections::BTreeSet;

use miette::SourceSpan;

use super::Store;
use super::problem::{Problem, SourceFile};
use super::schema::{RecordShape, Shape};
use super::written::{self, Kind, Member, each_member};

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
        let (why, help) = match id.starts_with(RESERVED) {
            true => ("the service writes such names itself", "choose one that does not start with `gatepost:`"),
            false => ("so the metrics and reports name what has no id", "choose one that is not in parentheses"),
        };
        problem(store, id, format!("the id `{id}` of an action is reserved: {why}")).with_help(help)
    }));
    problems.extend(store.policies.iter().filter(|policy| in_parentheses(&policy.id)).map(|policy| {
        let what = format!("the id `{}` is reserved: so reports name what no policy did", policy.id);
        policy.problem(Problem::error(what)).with_help("choose one that is not in parentheses")
    }));
    problems
}

fn problem(store: &Store, name: &str, what: String) -> Problem {
    let problem = Problem::error(what);
    let place = store.files.schema.iter().find_map(|file| Some((file, place_in(file, name)?)));
    match place {
        Some((file, span)) => problem.in_file(file).at(span, ""),
        None => problem,
    }
}

/// Where a schema declares an action or an attribute of that name.
fn place_in(file: &SourceFile, name: &str) -> Option<SourceSpan> {
    let mut found = None;
    for declared in written::read(&file.text) {
        let action = declared.name(name).filter(|_| declared.kind == Kind::Action);
        found = found.or(action.map(|word| word.span));
        let mut see = |member: &Member| {
            found = found.or((member.name.text == name).then_some(member.name.span));
        };
        declared.records.iter().for_each(|record| each_member(record, &mut see));
    }
    found
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
