//! The annotations that bind a schema to plugins: what they name must exist, and they must stand where they are read.

use std::collections::BTreeMap;

use cedar_policy::EntityTypeName;
use miette::SourceSpan;
use regex::Regex;
use serde_json::{Map, Value as Json};

use super::problem::{Problem, SourceFile};
use super::schema::{
    AttributePath, Declaration, Environment, FieldShape, Parsed, PathRoot, Reader, RecordShape, Shape, Types,
    annotation, is_required, members,
};
use crate::plugin::{self, FactKind, PLUGINS, Plugin, VALID};

/// The annotation that binds a type to a plugin.
const BINDING: &str = "parsed_by";

const PATH_HELP: &str =
    "write a path to a String: from `principal`, `resource` or `context` in a context, from `this` in an entity type";

/// Every binding that is wrong: no such plugin, other fields than the plugin fills, an annotation where it means nothing, a
/// path that cannot exist.
pub(super) fn check(reader: &Reader, types: &Types) -> Vec<Problem> {
    let mut problems = bound_types(reader);
    problems.extend(misplaced(reader));
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
        let problem = |message: String| {
            Annotation { key: BINDING, value: bound }.problem(reader, name, &stands_on(name), message)
        };
        let Some(plugin) = plugin::find(bound) else {
            let known: Vec<_> = PLUGINS.iter().map(|plugin| format!("`{}`", plugin.name())).collect();
            problems.push(
                problem(format!("type `{name}` is bound to the plugin `{bound}`, which does not exist"))
                    .with_help(format!("the plugins are {}", known.join(" and "))),
            );
            continue;
        };
        if !fields_match(reader, declaration, plugin) {
            problems.push(
                problem(format!("the fields of type `{name}` are not what the plugin `{bound}` fills"))
                    .with_help(format!("declare it as `type {name} = {{ {} }};`", fields_of(plugin))),
            );
        }
    }
    problems
}

fn fields_match(reader: &Reader, declaration: &Declaration, plugin: &dyn Plugin) -> bool {
    let expected = plugin.facts().iter().map(|field| (field.name, field.kind)).chain([(VALID, FactKind::Bool)]);
    let expected: BTreeMap<&str, &str> = expected.map(|(name, kind)| (name, kind.cedar_name())).collect();
    let Some(Json::Object(attributes)) = declaration.json.get("attributes") else { return false };
    attributes.len() == expected.len()
        && attributes.iter().all(|(name, json)| {
            let shape = reader.shape(json, &declaration.namespace, &Map::new());
            is_required(json) && expected.get(name.as_str()).copied() == scalar_name(&shape)
        })
}

/// Annotations for plugins on declarations that they say nothing about.
fn misplaced(reader: &Reader) -> Vec<Problem> {
    let lists = [("type", &reader.common), ("entity type", &reader.entities), ("action", &reader.actions)];
    let mut problems = Vec::new();
    for (what, name, declaration) in
        lists.into_iter().flat_map(|(what, list)| list.iter().map(move |(name, declaration)| (what, name, declaration)))
    {
        for (key, value) in annotations(&declaration.json) {
            let help = match key {
                BINDING if what != "type" => "it binds common types: `type … = { … };`",
                key if is_parameter(key) => "put it on an attribute whose type is bound to a plugin",
                _ => continue,
            };
            let message = format!("`@{key}` means nothing on {what} `{name}`");
            let simple = simple_name(name);
            problems
                .push(Annotation { key, value }.problem(reader, name, &stands_on(&simple), message).with_help(help));
        }
    }
    problems
}

/// Annotations for plugins on attributes: the type must be bound, and the value a path.
fn attributes(reader: &Reader) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (owner, declaration) in reader.declarations() {
        each_attribute(&declaration.json, &mut |name, attribute| {
            let shape = reader.shape(attribute, &declaration.namespace, &Map::new());
            for (key, value) in annotations(attribute) {
                let (message, help) = match key {
                    BINDING => {
                        (format!("`@{key}` stands on attribute `{name}`"), "it binds common types: `type … = { … };`")
                    }
                    key if !is_parameter(key) => continue,
                    key if parsed_within(&shape).is_none() => (
                        format!("`@{key}` stands on attribute `{name}`, which no plugin reads"),
                        "remove it, or give the attribute a type that is bound with `@parsed_by`",
                    ),
                    key if AttributePath::parse(value).is_none() => {
                        (format!("`@{key}(\"{value}\")` on attribute `{name}` is not a path"), PATH_HELP)
                    }
                    _ => continue,
                };
                let problem = Annotation { key, value }.problem(reader, owner, &stands_on_attribute(name), message);
                problems.push(problem.with_help(help));
            }
        });
    }
    problems
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
        let owner = Owner { name: entity.name.to_string(), shown: format!("entity type `{}`", entity.name) };
        check_record(&entity.attributes, &roots, &owner, &mut broken);
    }
    for environment in &types.environments {
        let roots = Roots { types, this: None, environment: Some(environment) };
        let shown = format!("the context of action `{}`", environment.action.id().escaped());
        let owner = Owner { name: environment.action.to_string(), shown };
        check_record(&environment.context, &roots, &owner, &mut broken);
    }
    let mut problems: Vec<Problem> = Vec::new();
    for Broken { owner, key, path, attribute } in broken {
        let message = format!("the path `{path}` in {} does not lead to a String", owner.shown);
        // An action has an environment for each pair of types.
        if problems.iter().all(|problem| problem.message != message) {
            let annotation = Annotation { key, value: &path.to_string() };
            let problem = annotation.problem(reader, &owner.name, &stands_on_attribute(&attribute), message);
            problems.push(problem.with_help(PATH_HELP));
        }
    }
    problems
}

/// What holds attributes, by its full name, and as a message says it.
#[derive(Clone)]
struct Owner {
    name: String,
    shown: String,
}

/// A path that leads nowhere.
struct Broken {
    owner: Owner,
    key: &'static str,
    path: AttributePath,
    attribute: String,
}

/// What a path may start from at some place of the schema.
struct Roots<'a> {
    types: &'a Types,
    this: Option<&'a RecordShape>,
    environment: Option<&'a Environment>,
}

fn check_record(record: &RecordShape, roots: &Roots<'_>, owner: &Owner, broken: &mut Vec<Broken>) {
    for (name, field) in &record.0 {
        check_shape(&field.shape, name, roots, owner, broken);
    }
}

fn check_shape(shape: &Shape, attribute: &str, roots: &Roots<'_>, owner: &Owner, broken: &mut Vec<Broken>) {
    match shape {
        Shape::Record(record) => check_record(record, roots, owner, broken),
        Shape::Set(element) => check_shape(element, attribute, roots, owner, broken),
        Shape::Parsed(parsed) => {
            let arguments = parsed.plugin.parameters().iter().zip(&parsed.arguments);
            for (key, path) in arguments.filter_map(|(key, path)| Some((*key, path.as_ref()?))) {
                if !leads_to_string(path, roots) {
                    let (owner, attribute) = (owner.clone(), attribute.to_owned());
                    broken.push(Broken { owner, key, path: path.clone(), attribute });
                }
            }
        }
        _ => {}
    }
}

fn leads_to_string(path: &AttributePath, roots: &Roots<'_>) -> bool {
    let entity = |name: &EntityTypeName| roots.types.entity(&name.to_string()).map(|entity| &entity.attributes);
    let start = match path.root {
        PathRoot::This => roots.this,
        PathRoot::Principal => roots.environment.and_then(|environment| entity(&environment.principal)),
        PathRoot::Resource => roots.environment.and_then(|environment| entity(&environment.resource)),
        PathRoot::Context => roots.environment.map(|environment| &environment.context),
    };
    let Some((last, before)) = path.attributes.split_last() else { return false };
    let record = before.iter().try_fold(start, |record, attribute| match &record?.0.get(attribute)?.shape {
        Shape::Record(inner) => Some(Some(inner)),
        _ => None,
    });
    let end = record.flatten().and_then(|record| record.0.get(last));
    matches!(end, Some(FieldShape { shape: Shape::String, .. }))
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

/// The annotations of a declaration or an attribute.
fn annotations(json: &Json) -> impl Iterator<Item = (&str, &str)> {
    let annotations = json.get("annotations").into_iter().flat_map(members);
    annotations.map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
}

/// Whether some plugin takes an argument from the annotation of that name.
fn is_parameter(key: &str) -> bool {
    PLUGINS.iter().any(|plugin| plugin.parameters().contains(&key))
}

/// An annotation, to be found in the text: Cedar's JSON of a schema has no places.
struct Annotation<'a> {
    key: &'a str,
    value: &'a str,
}

impl Annotation<'_> {
    /// A problem with this annotation, which stands before `what` (a pattern), preferably in the declaration of `owner`.
    fn problem(&self, reader: &Reader, owner: &str, what: &str, message: String) -> Problem {
        let problem = Problem::error(message);
        match self.find(reader, owner, what) {
            Some((file, span)) => problem.in_file(file).at(span, ""),
            None => problem,
        }
    }

    fn find<'r>(&self, reader: &'r Reader, owner: &str, what: &str) -> Option<(&'r SourceFile, SourceSpan)> {
        let escaped = regex::escape(self.value);
        let others = r#"(?:\s*@\w+(?:\s*\(\s*"[^"]*"\s*\))?)*"#;
        let pattern = format!(r#"(@{}\s*\(\s*"{escaped}"\s*\)){others}\s*{what}"#, self.key);
        let annotation = Regex::new(&pattern).ok()?;
        let declared =
            Regex::new(&format!(r"\b(?:entity|action|type)\b[^;{{=]*{}[^;]*", regex::escape(&simple_name(owner))));
        let declared = declared.ok()?;
        let mut elsewhere = None;
        let mut files: Vec<&SourceFile> = reader.declarations().map(|(_, declaration)| &declaration.file).collect();
        files.sort_by_key(|file| &file.path);
        files.dedup();
        for file in files {
            let declarations: Vec<_> = declared.find_iter(&file.text).collect();
            for found in annotation.captures_iter(&file.text).filter_map(|found| found.get(1)) {
                let span = SourceSpan::from((found.start(), found.len()));
                if declarations.iter().any(|declaration| declaration.range().contains(&found.start())) {
                    return Some((file, span));
                }
                elsewhere.get_or_insert((file, span));
            }
        }
        elsewhere
    }
}

/// The pattern of a declaration of that simple name.
fn stands_on(name: &str) -> String {
    format!(r"(?:entity|action|type)\b[^;{{=]*{}", regex::escape(&simple_name(name)))
}

/// The pattern of an attribute of that name.
fn stands_on_attribute(name: &str) -> String {
    format!(r#""?{}"?\s*\??\s*:"#, regex::escape(name))
}

/// A full name without its namespace, an action's without quotation marks: as its declaration writes it.
fn simple_name(name: &str) -> String {
    name.rsplit("::").next().unwrap_or(name).trim_matches('"').to_owned()
}
