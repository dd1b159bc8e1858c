//! The annotations that bind a schema to plugins: what they name must exist, and they must stand where they are read.

use std::collections::BTreeMap;

use cedar_policy::EntityTypeName;
use miette::SourceSpan;
use serde_json::{Map, Value as Json};

use super::annotations::parameters;
use super::problem::{Problem, Severity, SourceFile};
use super::schema::{
    AttributePath, BINDING, Declaration, Environment, FieldShape, Parsed, PathRoot, Reader, RecordShape, Shape, Types,
    annotation, is_required, members,
};
use super::written::{Annotation, Kind};
use crate::plugin::{self, FactKind, PLUGINS, Plugin, VALID};

const PATH_HELP: &str =
    "write a path to a String: from `principal`, `resource` or `context` in a context, from `this` in an entity type";

/// Every binding that is wrong: no such plugin, other fields than the plugin fills, an annotation that no plugin reads, a path that cannot
/// exist.
pub(super) fn check(reader: &Reader, types: &Types) -> Vec<Problem> {
    let mut problems = bound_types(reader);
    // What hangs on a binding says nothing while the binding itself is wrong.
    if problems.is_empty() {
        problems.extend(attributes(reader));
        problems.extend(paths(reader, types));
    }
    problems
}

/// Every `@parsed_by` on a type must name a plugin, and the type have the very fields that it fills.
fn bound_types(reader: &Reader) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, declaration) in &reader.common {
        let Some(bound) = annotation(&declaration.json, BINDING) else { continue };
        let problem = |message: String| declaration.problem_with(BINDING, &[], message);
        let Some(plugin) = plugin::find(bound) else {
            let known: Vec<_> = PLUGINS.iter().map(|plugin| format!("`{}`", plugin.name())).collect();
            problems.push(
                problem(format!("type `{name}` is bound to the plugin `{bound}`, which does not exist"))
                    .with_help(format!("the plugins are {}", known.join(" and "))),
            );
            continue;
        };
        if !fields_match(reader, &declaration.json, &declaration.namespace, plugin) {
            problems.push(
                problem(format!("the fields of type `{name}` are not what the plugin `{bound}` fills"))
                    .with_help(format!("declare it as `type {name} = {{ {} }};`", fields_of(plugin))),
            );
        }
    }
    problems
}

/// Every type, and every record without a name, that looks as if a plugin read it, and is not bound: callers then say its facts themselves.
pub(super) fn unbound(reader: &Reader) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut warn = |declaration: &Declaration, json: &Json, what: String, todo: &str| {
        let plugin = PLUGINS.iter().find(|plugin| fields_match(reader, json, &declaration.namespace, **plugin));
        if let Some(plugin) = plugin {
            let name = plugin.name();
            let message = format!(
                "{what} has the fields that the plugin `{name}` fills, and is not bound to it: callers say what they are"
            );
            let help = format!("{todo} `@{BINDING}(\"{name}\")` before it, or give it other fields");
            problems.push(Problem { severity: Severity::Warning, ..declaration.problem(message) }.with_help(help));
        }
    };
    for (name, declaration) in reader.declarations() {
        if declaration.kind == Kind::CommonType && annotation(&declaration.json, BINDING).is_none() {
            warn(declaration, &declaration.json, format!("type `{name}`"), "write");
        }
        let json = &declaration.json;
        for (whole, json) in
            [("attributes", json.get("shape")), ("tags", json.get("tags")), ("context", declaration.context())]
        {
            if let Some(json) = json {
                warn(
                    declaration,
                    element_of(json),
                    format!("the record of the {whole} of `{name}`"),
                    "give it an attribute whose type has",
                );
            }
        }
        each_attribute(&declaration.json, &mut |attribute, json| {
            let json = element_of(json);
            warn(declaration, json, format!("attribute `{attribute}` in `{name}`"), "give it a type of its own, with");
        });
    }
    problems
}

/// What is in a type of sets, in sets perhaps.
fn element_of(mut json: &Json) -> &Json {
    while let Some(element) = json.get("element") {
        json = element;
    }
    json
}

fn fields_match(reader: &Reader, json: &Json, namespace: &str, plugin: &dyn Plugin) -> bool {
    let expected = plugin.facts().iter().map(|field| (field.name, field.kind)).chain([(VALID, FactKind::Bool)]);
    let expected: BTreeMap<&str, &str> = expected.map(|(name, kind)| (name, kind.cedar_name())).collect();
    let Some(Json::Object(attributes)) = json.get("attributes") else { return false };
    attributes.len() == expected.len()
        && attributes.iter().all(|(name, json)| {
            let shape = reader.shape(json, namespace, &Map::new());
            is_required(json) && expected.get(name.as_str()).copied() == scalar_name(&shape)
        })
}

/// Annotations for plugins on attributes: the type must be bound to a plugin that takes them, and the value be a path.
fn attributes(reader: &Reader) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (_, declaration) in reader.declarations() {
        each_attribute(&declaration.json, &mut |name, attribute| {
            let parameters = parameters().filter_map(|key| Some((key, annotations(attribute)?.get(key)?)));
            for (key, value) in parameters {
                let shape = reader.shape(attribute, &declaration.namespace, &Map::new());
                let value = value.as_str().unwrap_or("");
                let plugin = parsed_within(&shape).map(|parsed| parsed.plugin.as_ref());
                let (message, help) = match plugin {
                    None => (
                        format!("`@{key}` stands on attribute `{name}`, which no plugin reads"),
                        "remove it, or give the attribute a type that is bound with `@parsed_by`",
                    ),
                    Some(plugin) if !plugin.parameters().contains(&key) => (
                        format!(
                            "`@{key}` means nothing on attribute `{name}`: the plugin `{}` does not ask for it",
                            plugin.name()
                        ),
                        "remove it",
                    ),
                    Some(_) if AttributePath::parse(value).is_none() => (
                        format!("`@{key}(\"{}\")` on attribute `{name}` is not a path", value.escape_debug()),
                        PATH_HELP,
                    ),
                    Some(_) => continue,
                };
                problems.push(declaration.problem_with(key, &[name], message).with_help(help));
            }
        });
    }
    problems
}

fn annotations(json: &Json) -> Option<&Map<String, Json>> {
    json.get("annotations")?.as_object()
}

fn each_attribute(json: &Json, visit: &mut dyn FnMut(&str, &Json)) {
    for (name, attribute) in json.get("attributes").into_iter().flat_map(members) {
        visit(name, attribute);
        each_attribute(attribute, visit);
    }
    for inner in ["shape", "element", "appliesTo", "context", "tags"].into_iter().filter_map(|inner| json.get(inner)) {
        each_attribute(inner, visit);
    }
}

/// Every path must lead to a String, from everywhere its type is used.
fn paths(reader: &Reader, types: &Types) -> Vec<Problem> {
    let mut broken = Vec::new();
    let mut entities: Vec<_> = types.entities.values().collect();
    entities.sort_by_cached_key(|entity| entity.name.to_string());
    for entity in entities {
        let roots = Roots { types, this: Some(&entity.attributes), environment: None };
        let declaration = reader.entities.get(entity.full_name.as_str());
        let owner = Owner { declaration, shown: format!("entity type `{}`", entity.name) };
        check_record(&entity.attributes, false, &roots, &owner, &mut broken);
        if let Some(tags) = &entity.tags {
            check_shape(tags, "tags", entity.stored, &roots, &owner, &mut broken);
        }
    }
    for environment in &types.environments {
        let roots = Roots { types, this: None, environment: Some(environment) };
        let shown = format!("the context of action `{}`", environment.action.id().escaped());
        let owner = Owner { declaration: reader.actions.get(environment.action_name.as_str()), shown };
        check_record(&environment.context, false, &roots, &owner, &mut broken);
    }
    let mut problems: Vec<Problem> = Vec::new();
    for Broken { owner, key, path, attribute, fault } in broken {
        let (message, help) = match fault {
            Fault::NoString => (format!("the path `{path}` in {} does not lead to a String", owner.shown), PATH_HELP),
            Fault::CallersSayIt => (
                format!(
                    "`{attribute}` in {} is said by the store alone, and is read by `{path}`, which callers may say",
                    owner.shown
                ),
                "write `@stored` on what the path leads to as well: who says it changes what is read",
            ),
        };
        // An action has an environment for each pair of types.
        if problems.iter().all(|problem| problem.message != message) {
            let problem = Problem::error(message).with_help(help);
            problems.push(match find(reader, &owner, &attribute, key, &path) {
                Some((file, span)) => problem.in_file(file).at(span, ""),
                None => problem,
            });
        }
    }
    problems
}

/// Where an argument is written: in the declaration that has it, or in a type that this one uses.
fn find<'r>(
    reader: &'r Reader,
    owner: &Owner<'r>,
    attribute: &str,
    key: &str,
    path: &AttributePath,
) -> Option<(&'r SourceFile, SourceSpan)> {
    let is_it = |annotation: &Annotation| {
        annotation.key.text == key && annotation.value.as_deref().and_then(AttributePath::parse).as_ref() == Some(path)
    };
    let place = |declaration: &'r Declaration| {
        let span = declaration.written()?.annotation_on(&[attribute], &is_it)?.span();
        Some((&declaration.file, span))
    };
    owner.declaration.into_iter().chain(reader.common.values()).find_map(place)
}

/// What holds attributes, and as a message says it.
#[derive(Clone)]
struct Owner<'r> {
    declaration: Option<&'r Declaration>,
    shown: String,
}

/// A path that leads nowhere.
struct Broken<'r> {
    owner: Owner<'r>,
    key: &'static str,
    path: AttributePath,
    attribute: String,
    fault: Fault,
}

/// What is wrong with a path.
#[derive(Clone, Copy)]
enum Fault {
    NoString,
    CallersSayIt,
}

/// What a path may start from at some place of the schema.
struct Roots<'a> {
    types: &'a Types,
    this: Option<&'a RecordShape>,
    environment: Option<&'a Environment>,
}

fn check_record<'r>(
    record: &RecordShape,
    is_stored: bool,
    roots: &Roots<'_>,
    owner: &Owner<'r>,
    broken: &mut Vec<Broken<'r>>,
) {
    for (name, field) in &record.0 {
        check_shape(&field.shape, name, is_stored || field.stored, roots, owner, broken);
    }
}

/// `is_stored`: whether only the store may say what has the shape.
fn check_shape<'r>(
    shape: &Shape,
    attribute: &str,
    is_stored: bool,
    roots: &Roots<'_>,
    owner: &Owner<'r>,
    broken: &mut Vec<Broken<'r>>,
) {
    match shape {
        Shape::Record(record) => check_record(record, is_stored, roots, owner, broken),
        Shape::Set(element) => check_shape(element, attribute, is_stored, roots, owner, broken),
        Shape::Parsed(parsed) => {
            let arguments = parsed.plugin.parameters().iter().zip(&parsed.arguments);
            for (key, path) in arguments.filter_map(|(key, path)| Some((*key, path.as_ref()?))) {
                let fault = match leads_to_string(path, roots) {
                    None => Fault::NoString,
                    Some(false) if is_stored => Fault::CallersSayIt,
                    Some(_) => continue,
                };
                let (owner, attribute) = (owner.clone(), attribute.to_owned());
                broken.push(Broken { owner, key, path: path.clone(), attribute, fault });
            }
        }
        _ => {}
    }
}

/// Whether only the store may say the String to which a path leads; `None` where it leads to none.
fn leads_to_string(path: &AttributePath, roots: &Roots<'_>) -> Option<bool> {
    let entity = |name: &EntityTypeName| roots.types.entity_of(name).map(|entity| &entity.attributes);
    let start = match path.root {
        PathRoot::This => roots.this,
        PathRoot::Principal => roots.environment.and_then(|environment| entity(&environment.principal)),
        PathRoot::Resource => roots.environment.and_then(|environment| entity(&environment.resource)),
        PathRoot::Context => roots.environment.map(|environment| &environment.context),
    };
    let (last, before) = path.attributes.split_last()?;
    let record = before.iter().try_fold(start, |record, attribute| match &record?.0.get(attribute)?.shape {
        Shape::Record(inner) => Some(Some(inner)),
        _ => None,
    });
    let end = record.flatten()?.0.get(last)?;
    matches!(end, FieldShape { shape: Shape::String, .. })
        .then(|| start.is_some_and(|start| start.stored_on(&path.attributes).is_some()))
}

/// The bound type in a shape that an attribute's annotations reach: itself, or the elements of a set.
fn parsed_within(shape: &Shape) -> Option<&Parsed> {
    match shape {
        Shape::Parsed(parsed) => Some(parsed),
        Shape::Set(element) => parsed_within(element),
        _ => None,
    }
}

fn scalar_name(shape: &Shape) -> Option<&'static str> {
    match shape {
        Shape::Bool => Some("Bool"),
        Shape::Long => Some("Long"),
        Shape::String => Some("String"),
        _ => None,
    }
}

fn fields_of(plugin: &dyn Plugin) -> String {
    let facts = plugin.facts().iter().map(|field| format!("{}: {}", field.name, field.kind.cedar_name()));
    std::iter::once(format!("{VALID}: Bool")).chain(facts).collect::<Vec<_>>().join(", ")
}
