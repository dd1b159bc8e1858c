//! Annotations: a closed list for each place, since one that is misspelt or stands elsewhere says nothing. Own ones start with `x_`.

use super::Statement;
use super::nearest::nearest;
use super::problem::{Problem, SourceFile};
use super::schema::{
    ALIAS, BINDING, CALLER, EntityType, FieldShape, MUST_EXIST, PARENTS_FROM, RecordShape, SENSITIVE, STORED, Shape,
    Types,
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
    known("id", STATEMENTS, Value::Any, "it names a policy or a row"),
    known("reason", STATEMENTS, Value::Any, "it is the sentence that a policy gives for a decision"),
    known("source", STATEMENTS, Value::Any, "it cites clauses for a policy or a row"),
    known("reading", STATEMENTS, Value::Any, "it says how a policy or a row reads the source document"),
    known("allow", STATEMENTS, Value::Any, "it allows a policy what `gatepost check` warns of"),
    known("table", &[Holder::Row, Holder::Policy], Value::Any, ROW),
    known("row", &[Holder::Row, Holder::Policy], Value::Any, ROW),
    known("column", &[Holder::Row, Holder::Policy], Value::Any, ROW),
    known("cell", &[Holder::Row, Holder::Policy], Value::Any, ROW),
    known("doc", EVERYWHERE, Value::Any, ""),
];

const STORED_HELP: &str =
    "put it on an entity type, on an attribute of one, or on a member of a record in such an attribute";

const MUST_EXIST_HELP: &str = "put it on an attribute, or a member of a context, that refers to entities";

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
    let parameters = PLUGINS.iter().flat_map(|plugin| plugin.parameters().iter().copied());
    KNOWN.iter().map(|known| known.key).chain(parameters).chain(USUAL)
}

fn is_parameter(key: &str) -> bool {
    PLUGINS.iter().any(|plugin| plugin.parameters().contains(&key))
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
    if is_parameter(key) {
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
    let mut problems = Vec::new();
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
        declared.records.iter().for_each(|record| members(file, record, &mut problems));
    }
    problems
}

fn members(file: &SourceFile, all: &[Member], problems: &mut Vec<Problem>) {
    for member in all {
        check(file, &member.annotations, Holder::Attribute, &member.name.text, problems);
        members(file, &member.members, problems);
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
                let problem = Problem::error(format!("{message} `{}`", statement.id)).in_file(&statement.file);
                problems.push(problem.at(statement.find(&format!("@{key}")), "").with_help(help));
            }
        }
    }
    problems
}

/// `@stored` and `@must_exist` where the store, or who looks whether something is stored, does not come: found in the types, since a common type
/// may be used at several places.
pub(super) fn of_types(types: &Types) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut entities: Vec<&EntityType> = types.entities.values().map(AsRef::as_ref).collect();
    entities.sort_by_key(|entity| &entity.full_name);
    for entity in entities {
        let owner = format!("entity type `{}`", entity.full_name);
        if entity.parents_from_caller && entity.parents.is_empty() {
            problems.push(nowhere(PARENTS_FROM, &format!("{owner}, which is in no other"), PARENTS_HELP));
        }
        let mut walk = Walk { types, owner, problems: &mut problems };
        walk.record(&entity.attributes, "", Stands::Plainly);
        if let Some(tags) = &entity.tags {
            walk.shape(tags, "its tags", Stands::Tags);
        }
    }
    for environment in &types.environments {
        let owner = format!("the context of action `{}`", environment.action.id().escaped());
        let before = problems.len();
        Walk { types, owner, problems: &mut problems }.record(&environment.context, "", Stands::Context);
        // An action has an environment for each pair of types.
        let (said, new) = problems.split_at(before);
        let new: Vec<Problem> =
            new.iter().filter(|new| said.iter().all(|said| said.message != new.message)).cloned().collect();
        problems.truncate(before);
        problems.extend(new);
    }
    problems
}

fn nowhere(key: &str, place: &str, help: &str) -> Problem {
    Problem::error(format!("`@{key}` means nothing on {place}")).with_help(help)
}

/// Where a field stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// In the attributes of an entity type, or in records in them.
    Plainly,
    /// There, but in the elements of a set.
    Set,
    Tags,
    Context,
}

struct Walk<'a> {
    types: &'a Types,
    owner: String,
    problems: &'a mut Vec<Problem>,
}

impl Walk<'_> {
    fn record(&mut self, RecordShape(fields): &RecordShape, path: &str, stands: Stands) {
        for (name, field) in fields {
            let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
            self.field(field, &path, stands);
            self.shape(&field.shape, &path, stands);
        }
    }

    fn shape(&mut self, shape: &Shape, path: &str, stands: Stands) {
        match shape {
            Shape::Record(record) => self.record(record, path, stands),
            Shape::Set(element) => {
                self.shape(element, path, if stands == Stands::Plainly { Stands::Set } else { stands });
            }
            _ => {}
        }
    }

    fn field(&mut self, field: &FieldShape, path: &str, stands: Stands) {
        let place = |what: &str| format!("`{path}` of {}{what}", self.owner);
        if field.stored && stands != Stands::Plainly {
            let what = match stands {
                Stands::Set => ", which is in a set that callers say whole",
                Stands::Tags => ", which is in tags: put it on the type, and all of its tags are for the store to say",
                _ => ", which no store says",
            };
            self.problems.push(nowhere(STORED, &place(what), STORED_HELP));
        }
        let refers = refers_to_stored(&field.shape, self.types);
        if field.must_exist && (!refers || stands == Stands::Tags) {
            let what = if refers { ", which is in tags" } else { ", which refers to nothing that is stored" };
            self.problems.push(nowhere(MUST_EXIST, &place(what), MUST_EXIST_HELP));
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
