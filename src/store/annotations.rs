//! Annotations: a closed list for each place, since one that is misspelt or stands elsewhere says nothing. Own ones start with `x_`.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use super::Statement;
use super::nearest::nearest;
use super::problem::{Problem, SourceFile};
use super::schema::{
    ALIAS, BINDING, CALLER, Declaration, MUST_EXIST, Meaning, PARENTS_FROM, Reader, SENSITIVE, STORED, Shape, TypeJson,
    Types, annotation, has_annotation, members,
};
use super::written::{self, Annotation, Declared, Kind, Member};
use crate::plugin::PLUGINS;

/// How the names of annotations start that mean nothing to this service, whatever they are.
pub const OWN: &str = "x_";

/// What may have an annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    Namespace,
    CommonType,
    EntityType,
    EnumeratedType,
    Action,
    /// An attribute of an entity type, or a member of a record anywhere.
    Attribute,
    Policy,
    Row,
}

impl Holder {
    fn shown(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::CommonType => "type",
            Self::EntityType => "entity type",
            Self::EnumeratedType => "enumerated type",
            Self::Action => "action",
            Self::Attribute => "attribute",
            Self::Policy => "policy",
            Self::Row => "row",
        }
    }
}

const STATEMENTS: &[Holder] = &[Holder::Policy, Holder::Row];

/// An annotation that means something.
struct Known {
    key: &'static str,
    holders: &'static [Holder],
    value: Value,
    /// What to do where it stands elsewhere.
    help: &'static str,
}

/// What stands between the parentheses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    Any,
    /// Anything but nothing.
    Some,
    None,
    Only(&'static str),
}

const fn known(key: &'static str, holders: &'static [Holder], value: Value, help: &'static str) -> Known {
    Known { key, holders, value, help }
}

/// The annotations of this service, but for the parameters of plugins.
const KNOWN: [Known; 16] = [
    known(BINDING, &[Holder::CommonType], Value::Any, "it binds common types: `type … = { … };`"),
    known(
        SENSITIVE,
        &[Holder::Attribute],
        Value::None,
        "put it on an attribute: the decision log then masks its value",
    ),
    known(STORED, &[Holder::EntityType, Holder::Attribute], Value::None, STORED_HELP),
    known(MUST_EXIST, &[Holder::Attribute], Value::None, MUST_EXIST_HELP),
    known(PARENTS_FROM, &[Holder::EntityType], Value::Only(CALLER), PARENTS_HELP),
    known(
        ALIAS,
        &[Holder::EntityType, Holder::EnumeratedType],
        Value::Any,
        "it gives an entity type another name: `@alias(\"…\") entity …;`",
    ),
    known("id", STATEMENTS, Value::Some, "it names a policy or a row"),
    known("reason", &[Holder::Policy], Value::Some, "it is the sentence that a policy gives for a decision"),
    known("source", STATEMENTS, Value::Some, "it cites clauses for a policy or a row"),
    known("reading", STATEMENTS, Value::Some, "it says how a policy or a row reads the source document"),
    known("allow", &[Holder::Policy], Value::Some, "it allows a policy what `gatepost check` warns of"),
    known("table", &[Holder::Row, Holder::Policy], Value::Any, ROW),
    known("row", &[Holder::Row, Holder::Policy], Value::Any, ROW),
    known("column", &[Holder::Row, Holder::Policy], Value::Any, ROW),
    known("cell", &[Holder::Row, Holder::Policy], Value::Any, ROW),
    known("doc", EVERYWHERE, Value::Any, ""),
];

const STORED_HELP: &str =
    "put it on an entity type, on an attribute of one, or on a member of a record in such an attribute";

const MUST_EXIST_HELP: &str = "put it on an attribute, or a member of a context, that refers to entities";

const USED_HELP: &str = "use the type, or take it away";

const PARENTS_HELP: &str = "put it on an entity type that is in another: `@parents_from(\"caller\") entity … in …;`";

const ROW: &str = "it is for rows of the matrix, in `matrix/`";

const EVERYWHERE: &[Holder] = &[
    Holder::Namespace,
    Holder::CommonType,
    Holder::EntityType,
    Holder::EnumeratedType,
    Holder::Action,
    Holder::Attribute,
    Holder::Policy,
    Holder::Row,
];

/// Annotations that are usual with Cedar and Amazon Verified Permissions, and say something to persons alone.
const USUAL: [&str; 8] = ["advice", "annotation", "author", "description", "name", "note", "title", "version"];

/// The names of the annotations that mean something, whether they may stand there or not.
fn all_keys() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|known| known.key).chain(parameters()).chain(USUAL)
}

/// The annotations from which plugins take their arguments.
pub(super) fn parameters() -> impl Iterator<Item = &'static str> {
    PLUGINS.iter().flat_map(|plugin| plugin.parameters().iter().copied())
}

/// An annotation that is not known anywhere.
#[derive(Debug)]
pub struct Unknown {
    /// Its name.
    pub key: String,
    /// The name that was probably meant.
    pub nearest: Option<&'static str>,
    /// Where the name stands, in bytes.
    pub start: usize,
}

/// The annotations of a file that are not known anywhere, in the order in which they stand there.
pub fn unknown_in(file: &SourceFile) -> Vec<Unknown> {
    let all = written::annotations(&file.text).into_iter();
    let unknown = all.filter(|key| !key.text.starts_with(OWN) && !all_keys().any(|known| known == key.text));
    unknown
        .map(|key| Unknown { nearest: nearest(&key.text, all_keys()), start: key.span.offset(), key: key.text })
        .collect()
}

/// What is wrong with an annotation at a place, and what to do.
fn wrong(key: &str, value: Option<&str>, holder: Holder) -> Option<(String, String)> {
    if key.starts_with(OWN) || USUAL.contains(&key) {
        return None;
    }
    let shown = holder.shown();
    if parameters().any(|parameter| parameter == key) {
        // Whether a plugin reads the attribute, its binding says.
        let help = "put it on an attribute whose type is bound to a plugin".to_owned();
        return (holder != Holder::Attribute).then(|| (format!("`@{key}` means nothing on {shown}"), help));
    }
    match KNOWN.iter().find(|known| known.key == key) {
        Some(known) if !known.holders.contains(&holder) => {
            Some((format!("`@{key}` means nothing on {shown}"), known.help.to_owned()))
        }
        Some(Known { value: Value::None, .. }) if value.is_some_and(|value| !value.is_empty()) => {
            Some((format!("`@{key}` takes no value, and has one on {shown}"), format!("write `@{key}`")))
        }
        Some(Known { value: Value::Some, .. }) if value.is_none_or(|value| value.trim().is_empty()) => {
            Some((format!("`@{key}` says nothing on {shown}"), format!("write `@{key}(\"…\")`")))
        }
        Some(Known { value: Value::Only(only), .. }) if value != Some(*only) => {
            let message = format!("`@{key}` takes one value alone, and has another on {shown}");
            Some((message, format!("write `@{key}(\"{only}\")`")))
        }
        Some(_) => None,
        None => {
            let help = match nearest(key, all_keys()) {
                Some(nearest) => format!("did you mean `@{nearest}`? One of your own is written `@{OWN}{key}`"),
                None => format!("one of your own is written `@{OWN}{key}`: `gatepost check --fix` renames it"),
            };
            Some((format!("there is no annotation `@{key}`, which stands on {shown}"), help))
        }
    }
}

/// Every annotation of a schema that means nothing where it stands.
pub(super) fn of_schema(file: &SourceFile, declared: &[Declared]) -> Vec<Problem> {
    let mut problems: Vec<Problem> = unread(file, declared).into_iter().collect();
    for declared in declared {
        let holder = match declared.kind {
            Kind::Namespace => Holder::Namespace,
            Kind::CommonType => Holder::CommonType,
            Kind::EntityType => Holder::EntityType,
            Kind::EnumeratedType => Holder::EnumeratedType,
            Kind::Action => Holder::Action,
        };
        let name = declared.names.first().map(|name| name.text.as_str()).unwrap_or("");
        check(file, &declared.annotations, holder, name, &mut problems);
        declared.records.iter().for_each(|record| of_members(file, record, &mut problems));
    }
    problems
}

/// An annotation that stands in the text, but on nothing that was found there.
fn unread(file: &SourceFile, declared: &[Declared]) -> Option<Problem> {
    let mut found: BTreeSet<usize> = BTreeSet::new();
    let mut take = |all: &[Annotation]| found.extend(all.iter().map(|annotation| annotation.key.span.offset()));
    for declared in declared {
        take(&declared.annotations);
        declared
            .records
            .iter()
            .for_each(|record| written::each_member(record, &mut |member| take(&member.annotations)));
    }
    let all = written::annotations(&file.text);
    let lost = all.into_iter().find(|key| !found.contains(&key.span.offset()))?;
    let problem = Problem::error(format!("it cannot be said on what `@{}` stands", lost.text)).in_file(file);
    Some(problem.at(lost.span, "").with_help("write the declaration more plainly; or take the annotation away"))
}

fn of_members(file: &SourceFile, all: &[Member], problems: &mut Vec<Problem>) {
    for member in all {
        check(file, &member.annotations, Holder::Attribute, &member.name.text, problems);
        of_members(file, &member.members, problems);
    }
}

fn check(file: &SourceFile, annotations: &[Annotation], holder: Holder, name: &str, problems: &mut Vec<Problem>) {
    for annotation in annotations {
        if let Some((message, help)) = wrong(&annotation.key.text, annotation.value.as_deref(), holder) {
            let problem = Problem::error(format!("{message} `{name}`")).in_file(file).at(annotation.span(), "");
            problems.push(if help.is_empty() { problem } else { problem.with_help(help) });
        }
    }
}

/// Every annotation of policies, or of rows, that means nothing there.
pub(super) fn of_statements(statements: &[Statement], holder: Holder) -> Vec<Problem> {
    let mut problems = Vec::new();
    for statement in statements {
        for (key, value) in statement.policy.annotations() {
            if let Some((message, help)) = wrong(key, Some(value), holder) {
                let problem = Problem::error(format!("{message} `{}`", statement.name())).in_file(&statement.file);
                problems.push(problem.at(statement.find(&format!("@{key}")), "").with_help(help));
            }
        }
    }
    problems
}

/// What means nothing where its type is used: found by going through the types, since a common type may be used at several places.
pub(super) fn of_types(reader: &Reader, types: &Types) -> Vec<Problem> {
    let mut walk = Walk { reader, types, owner: String::new(), used: BTreeSet::new(), problems: Vec::new() };
    for (name, declaration) in &reader.entities {
        walk.owner = format!("entity type `{name}`");
        walk.problems.extend(parents_from(name, declaration, types));
        walk.written(declaration, declaration.json.get("shape"), "", Stands::Plainly);
        walk.written(declaration, declaration.json.get("tags"), "its tags", Stands::Tags);
    }
    for declaration in reader.actions.values() {
        walk.owner = format!("the context of action `{}`", declaration.name.escape_debug());
        walk.written(declaration, declaration.context(), "", Stands::Context);
    }
    for (name, declaration) in reader.common.iter() {
        if !walk.used.contains(name.as_str()) {
            walk.owner = format!("type `{name}`");
            walk.written(declaration, Some(&declaration.json), "", Stands::Nowhere);
        }
    }
    walk.problems
}

/// `@parents_from` on a type that is in nothing, or of which the store alone says what it is in.
fn parents_from(name: &str, declaration: &Declaration, types: &Types) -> Option<Problem> {
    let entity = types.entity(name).filter(|entity| entity.parents_from_caller)?;
    let (why, help) = match (entity.parents.is_empty(), entity.stored) {
        (true, _) => ("which is in no other", PARENTS_HELP),
        (_, true) => ("which is `@stored`: the store alone says what it is in", "take one of the two away"),
        _ => return None,
    };
    let message = nowhere(PARENTS_FROM, &format!("entity type `{name}`, {why}"));
    Some(declaration.problem_with(PARENTS_FROM, &[], message).with_help(help))
}

fn nowhere(key: &str, place: &str) -> String {
    format!("`@{key}` means nothing on {place}")
}

/// Where a member stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// In the attributes of an entity type, or in records in them.
    Plainly,
    /// There, but in the elements of a set.
    Set,
    Tags,
    Context,
    /// Among what a plugin finds in a string.
    Facts,
    /// In a type that nothing uses.
    Nowhere,
}

impl Stands {
    /// Why `key` means nothing there, if it does; `refers` is whether the member refers to what can be stored.
    fn refuses(self, key: &str, refers: bool) -> Option<&'static str> {
        match (key, self) {
            (_, Self::Nowhere) => Some(", which nothing uses"),
            (STORED | MUST_EXIST, Self::Facts) => Some(", which a plugin fills"),
            (STORED, Self::Set) => Some(", which is in a set that callers say whole"),
            (STORED, Self::Tags) => {
                Some(", which is in tags: put it on the type, and all of its tags are for the store to say")
            }
            (STORED, Self::Context) => Some(", which no store says"),
            (MUST_EXIST, _) if !refers => Some(", which refers to nothing that is stored"),
            (MUST_EXIST, Self::Tags) => Some(", which is in tags"),
            _ => None,
        }
    }
}

struct Walk<'r> {
    reader: &'r Reader,
    types: &'r Types,
    /// What has the attributes, as a message says it.
    owner: String,
    /// The common types that are used.
    used: BTreeSet<&'r str>,
    problems: Vec<Problem>,
}

/// Where a type is written.
#[derive(Clone, Copy)]
struct Within<'r, 'p> {
    declaration: &'r Declaration,
    /// The members that lead to it from there.
    names: &'p [&'r str],
}

impl<'r> Walk<'r> {
    fn written(&mut self, declaration: &'r Declaration, json: Option<&'r Json>, path: &str, stands: Stands) {
        if let Some(json) = json {
            self.of_type(json, Within { declaration, names: &[] }, path, stands);
        }
    }

    fn of_type(&mut self, json: &'r Json, within: Within<'r, '_>, path: &str, stands: Stands) {
        match TypeJson::of(json) {
            Some(TypeJson::Record) => {
                for (name, member) in json.get("attributes").into_iter().flat_map(members) {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    let names = [within.names, &[name.as_str()]].concat();
                    let within = Within { names: &names, ..within };
                    self.member(member, within, &path, stands);
                    self.of_type(member, within, &path, stands);
                }
            }
            Some(TypeJson::Set(element)) => {
                let stands = if stands == Stands::Plainly { Stands::Set } else { stands };
                self.of_type(element, within, path, stands);
            }
            // What is only named in a type that nothing uses has its own turn.
            Some(TypeJson::Named(kind, name)) if stands != Stands::Nowhere => {
                if let Some(Meaning::Common(name, declaration)) =
                    self.reader.named(kind, name, &within.declaration.namespace)
                {
                    self.used.insert(name);
                    let is_read = annotation(&declaration.json, BINDING).is_some();
                    self.written(
                        declaration,
                        Some(&declaration.json),
                        path,
                        if is_read { Stands::Facts } else { stands },
                    );
                }
            }
            _ => {}
        }
    }

    fn member(&mut self, json: &Json, within: Within<'r, '_>, path: &str, stands: Stands) {
        let Within { declaration, names } = within;
        let refers = || refers_to_stored(&self.reader.shape(json, &declaration.namespace, &Map::new()), self.types);
        let known = [(STORED, STORED_HELP), (MUST_EXIST, MUST_EXIST_HELP), (SENSITIVE, USED_HELP)];
        let all = known.into_iter().chain(parameters().map(|key| (key, USED_HELP)));
        for (key, help) in all.filter(|(key, _)| has_annotation(json, key)) {
            let Some(why) = stands.refuses(key, key == MUST_EXIST && refers()) else { continue };
            let mut message = nowhere(key, &format!("`{path}` of {}{why}", self.owner));
            if declaration.kind == Kind::CommonType && stands != Stands::Nowhere {
                message.push_str(&format!(" (it stands in type `{}`)", declaration.full_name()));
            }
            self.problems.push(declaration.problem_with(key, names, message).with_help(help));
        }
    }
}

/// Whether a value of that shape is, or has in it, a reference to an entity that can be stored.
fn refers_to_stored(shape: &Shape, types: &Types) -> bool {
    match shape {
        Shape::Entity(name) => types.entity_of(name).is_some_and(|known| known.ids.is_none()),
        Shape::Set(element) => refers_to_stored(element, types),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "No default in a branch that cannot happen": an annotation that stands on nothing that was found is an error.
    #[test]
    fn an_annotation_that_was_not_found_is_told() {
        let file = SourceFile { path: "a".into(), text: "@doc entity U = { @x_y a: Long };".into() };
        let declared = written::read(&file.text);
        assert!(of_schema(&file, &declared).is_empty());
        let found: Vec<String> = of_schema(&file, &[]).into_iter().map(|problem| problem.message).collect();
        assert_eq!(found, ["it cannot be said on what `@doc` stands"]);
    }
}
