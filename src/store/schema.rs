//! The schema as the request layer needs it: what shape each attribute has, and which plugin reads it.
//!
//! Cedar's own [`Schema`] has forgotten, once it is resolved, under which name a type was declared and what was annotated on
//! an attribute. So bindings are read from the fragments' JSON, in which both still stand.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, RequestEnv, Schema, SchemaFragment};
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;

use super::problem::{Problem, SourceFile};
use crate::plugin::{self, Plugin};

/// What the schema says about the values of requests and entities.
#[derive(Debug)]
pub struct Types {
    /// The entity types, by their full Cedar names.
    pub entities: HashMap<SmolStr, Arc<EntityType>>,
    /// Every (principal type, action, resource type) that the schema allows, in a stable order.
    pub environments: Vec<Environment>,
    by_action: HashMap<SmolStr, Vec<usize>>,
}

/// An entity type of the schema.
#[derive(Debug)]
pub struct EntityType {
    /// Its full Cedar name.
    pub name: EntityTypeName,
    /// The ids of an enumerated type, in the order of their declaration; `None` for any other type.
    pub ids: Option<Vec<SmolStr>>,
    /// The attributes; empty for an enumerated type.
    pub attributes: RecordShape,
    /// The type of the tags, if the type has tags.
    pub tags: Option<Shape>,
    /// The types whose entities can be its parents.
    pub parents: Vec<EntityTypeName>,
}

impl EntityType {
    /// Whether an entity of that id can exist: any id, but for an enumerated type.
    pub fn has_id(&self, id: &str) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.iter().any(|known| known == id))
    }

    /// What a reference to such an entity is in JSON, as an error message says it.
    pub fn expected(&self) -> String {
        match &self.ids {
            Some(ids) => {
                let ids: Vec<_> = ids.iter().map(|id| format!("`{id}`")).collect();
                format!("the id of a {}: {}", self.name, ids.join(", "))
            }
            None => format!("the plain id of a {}, a string", self.name),
        }
    }
}

/// One combination of types that a request may have.
#[derive(Debug)]
pub struct Environment {
    /// The type of the principal.
    pub principal: EntityTypeName,
    /// The action.
    pub action: EntityUid,
    /// The type of the resource.
    pub resource: EntityTypeName,
    /// The members of the context.
    pub context: RecordShape,
}

impl Environment {
    /// Whether it is the same combination of types as `other`, of another schema perhaps.
    pub fn is(&self, other: &Self) -> bool {
        (&self.principal, &self.action, &self.resource) == (&other.principal, &other.action, &other.resource)
    }

    /// Whether it is that environment of Cedar's schema.
    pub fn is_that_of(&self, known: &RequestEnv) -> bool {
        (&self.principal, &self.action, &self.resource) == (known.principal(), known.action(), known.resource())
    }
}

impl std::fmt::Display for Environment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} · {} · {}", self.principal, self.action.id().escaped(), self.resource)
    }
}

/// The shape of a value.
#[derive(Clone, Debug)]
pub enum Shape {
    /// `Bool`
    Bool,
    /// `Long`
    Long,
    /// `String`
    String,
    /// A reference to an entity of that type.
    Entity(EntityTypeName),
    /// `Set<…>`
    Set(Box<Shape>),
    /// A record.
    Record(RecordShape),
    /// A value of one of Cedar's extension types, written as a string.
    Extension(Extension),
    /// A record of facts that a plugin reads out of a string.
    Parsed(Parsed),
}

/// The fields of a record, in the order of their names.
#[derive(Clone, Debug, Default)]
pub struct RecordShape(pub BTreeMap<SmolStr, FieldShape>);

/// A field of a record.
#[derive(Clone, Debug)]
pub struct FieldShape {
    /// Whether the field must be there.
    pub required: bool,
    /// The shape of its value.
    pub shape: Shape,
}

/// One of Cedar's extension types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Extension {
    /// `ipaddr`
    Ip,
    /// `decimal`
    Decimal,
    /// `datetime`
    Datetime,
    /// `duration`
    Duration,
}

impl Extension {
    const NAMES: [(&'static str, Self); 4] =
        [("ipaddr", Self::Ip), ("decimal", Self::Decimal), ("datetime", Self::Datetime), ("duration", Self::Duration)];

    /// The name of the type in a schema.
    pub fn cedar_name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, extension)| *extension == self).map_or("", |(name, _)| name)
    }

    /// A value of the type, as Cedar reads it, for where any will do.
    pub fn plain(self) -> &'static str {
        match self {
            Self::Ip => "192.0.2.1",
            Self::Decimal => "0.0",
            Self::Datetime => "1970-01-01",
            Self::Duration => "0ms",
        }
    }
}

/// A type that is bound to a plugin.
#[derive(Clone)]
pub struct Parsed {
    /// What reads the string.
    pub plugin: &'static dyn Plugin,
    /// For each of the plugin's parameters, the path that gives it; `None` where the attribute is not annotated.
    pub arguments: Vec<Option<AttributePath>>,
    /// The record that the plugin fills.
    pub facts: RecordShape,
}

impl std::fmt::Debug for Parsed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Parsed")
            .field("plugin", &self.plugin.name())
            .field("arguments", &self.arguments)
            .finish()
    }
}

/// A path to an attribute, as an annotation writes it: `resource.market`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributePath {
    /// Where it starts.
    pub root: PathRoot,
    /// The attributes, at least one.
    pub attributes: Vec<SmolStr>,
}

/// Where an [`AttributePath`] starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathRoot {
    /// The principal of the request.
    Principal,
    /// The resource of the request.
    Resource,
    /// The context of the request.
    Context,
    /// The entity that holds the attribute.
    This,
}

impl AttributePath {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(str::trim);
        let root = match parts.next()? {
            "principal" => PathRoot::Principal,
            "resource" => PathRoot::Resource,
            "context" => PathRoot::Context,
            "this" => PathRoot::This,
            _ => return None,
        };
        let attributes: Vec<SmolStr> = parts.map(SmolStr::from).collect();
        (!attributes.is_empty() && attributes.iter().all(|part| !part.is_empty())).then_some(Self { root, attributes })
    }
}

impl Types {
    /// The entity type of that full Cedar name.
    pub fn entity(&self, name: &str) -> Option<&EntityType> {
        self.entities.get(name).map(Arc::as_ref)
    }

    /// The same, for who keeps it.
    pub fn shared_entity(&self, name: &str) -> Option<Arc<EntityType>> {
        self.entities.get(name).cloned()
    }

    /// The environment of the same types as one of another schema perhaps.
    pub fn environment_like(&self, other: &Environment) -> Option<(usize, &Environment)> {
        self.environments.iter().enumerate().find(|(_, own)| own.is(other))
    }

    /// The environments of an action: by its id (`read`), or by its whole name (`Docs::Action::"read"`).
    pub fn environments_of(&self, action: &str) -> impl Iterator<Item = (usize, &Environment)> {
        let indices = self.by_action.get(action).map(Vec::as_slice).unwrap_or_default();
        indices.iter().filter_map(|index| Some((*index, self.environments.get(*index)?)))
    }

    /// The name by which a request names the action of an environment: its id; its whole name where another action has the same id.
    pub fn name_of_action(&self, environment: &Environment) -> String {
        let id: &str = environment.action.id().as_ref();
        let unique = self.environments_of(id).all(|(_, other)| other.action == environment.action);
        if unique { id.to_owned() } else { environment.action.to_string() }
    }

    /// Reads the shapes and the bindings of a schema.
    ///
    /// # Errors
    ///
    /// Every binding that is wrong: no such plugin, other fields than the plugin fills, a path that cannot exist.
    pub fn read(fragments: &[(SourceFile, SchemaFragment)], schema: &Schema) -> Result<Self, Vec<Problem>> {
        let reader = Reader::new(fragments)?;
        let entities = reader.entity_types();
        let environments = reader.environments(schema);
        let types = Self { by_action: by_action(&environments), entities, environments };
        let problems = super::bindings::check(&reader, &types);
        if problems.is_empty() { Ok(types) } else { Err(problems) }
    }
}

fn by_action(environments: &[Environment]) -> HashMap<SmolStr, Vec<usize>> {
    let mut by_action: HashMap<SmolStr, Vec<usize>> = HashMap::new();
    for (index, environment) in environments.iter().enumerate() {
        let names = BTreeSet::from([
            SmolStr::from(AsRef::<str>::as_ref(environment.action.id())),
            SmolStr::from(environment.action.to_string()),
        ]);
        for name in names {
            by_action.entry(name).or_default().push(index);
        }
    }
    by_action
}

/// A declaration, with the namespace in which it stands.
pub(super) struct Declaration {
    pub(super) namespace: String,
    pub(super) json: Json,
    pub(super) file: SourceFile,
}

/// The declarations of all fragments, by their full names.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) common: BTreeMap<String, Declaration>,
    pub(super) entities: BTreeMap<String, Declaration>,
    pub(super) actions: BTreeMap<String, Declaration>,
}

impl Reader {
    fn new(fragments: &[(SourceFile, SchemaFragment)]) -> Result<Self, Vec<Problem>> {
        let mut reader = Self::default();
        for (file, fragment) in fragments {
            let json = fragment.clone().to_json_value().map_err(|error| Problem::from_cedar(&error, file))?;
            reader.collect(&json, file);
        }
        Ok(reader)
    }

    fn collect(&mut self, fragment: &Json, file: &SourceFile) {
        for (namespace, content) in members(fragment) {
            let lists = [
                ("commonTypes", &mut self.common),
                ("entityTypes", &mut self.entities),
                ("actions", &mut self.actions),
            ];
            for (key, declarations) in lists {
                for (name, json) in content.get(key).into_iter().flat_map(members) {
                    let name = if key == "actions" { action_name(namespace, name) } else { qualified(namespace, name) };
                    let declaration =
                        Declaration { namespace: namespace.clone(), json: json.clone(), file: file.clone() };
                    declarations.insert(name, declaration);
                }
            }
        }
    }

    fn entity_types(&self) -> HashMap<SmolStr, Arc<EntityType>> {
        let types = self.entities.iter().filter_map(|(name, declaration)| {
            let Declaration { namespace, json, .. } = declaration;
            let ids = json.get("enum").and_then(Json::as_array);
            let parents = json.get("memberOfTypes").and_then(Json::as_array).into_iter().flatten();
            let entity = EntityType {
                name: EntityTypeName::from_str(name).ok()?,
                ids: ids.map(|ids| ids.iter().filter_map(Json::as_str).map(SmolStr::from).collect()),
                attributes: json.get("shape").map(|shape| self.record(shape, namespace)).unwrap_or_default(),
                tags: json.get("tags").map(|tags| self.shape(tags, namespace, &Map::new())),
                parents: parents
                    .filter_map(|parent| self.resolve(parent.as_str()?, namespace, &self.entities))
                    .filter_map(|parent| EntityTypeName::from_str(&parent).ok())
                    .collect(),
            };
            Some((SmolStr::from(name.as_str()), Arc::new(entity)))
        });
        types.collect()
    }

    /// The environments that Cedar's resolved schema has, with the context as the fragments declare it.
    fn environments(&self, schema: &Schema) -> Vec<Environment> {
        let mut environments: Vec<Environment> = schema
            .request_envs()
            .map(|env| {
                let declared = self.actions.get(&env.action().to_string());
                let context = declared.and_then(|declaration| {
                    let context = declaration.json.get("appliesTo")?.get("context")?;
                    Some(self.record(context, &declaration.namespace))
                });
                Environment {
                    principal: env.principal().clone(),
                    action: env.action().clone(),
                    resource: env.resource().clone(),
                    context: context.unwrap_or_default(),
                }
            })
            .collect();
        environments.sort_by_cached_key(ToString::to_string);
        environments
    }

    /// A type that must be a record (Cedar has checked that it is).
    fn record(&self, json: &Json, namespace: &str) -> RecordShape {
        match self.shape(json, namespace, &Map::new()) {
            Shape::Record(record) => record,
            _ => RecordShape::default(),
        }
    }

    /// The shape of a type. `annotations` are those of the attribute that has it: they give a plugin its arguments.
    pub(super) fn shape(&self, json: &Json, namespace: &str, annotations: &Map<String, Json>) -> Shape {
        let word = json.get("type").and_then(Json::as_str).unwrap_or_default();
        match word {
            "Record" => Shape::Record(self.fields(json, namespace)),
            "Set" => {
                let element = json.get("element").unwrap_or(&Json::Null);
                Shape::Set(Box::new(self.shape(element, namespace, annotations)))
            }
            "EntityOrCommon" | "Entity" | "Extension" | "CommonRef" => {
                let name = json.get("name").and_then(Json::as_str).unwrap_or_default();
                self.named(name, namespace, annotations)
            }
            name => self.named(name, namespace, annotations),
        }
    }

    fn fields(&self, json: &Json, namespace: &str) -> RecordShape {
        let attributes = json.get("attributes").into_iter().flat_map(members);
        let fields = attributes.map(|(name, json)| {
            let annotations = json.get("annotations").and_then(Json::as_object).cloned().unwrap_or_default();
            let shape = self.shape(json, namespace, &annotations);
            (SmolStr::from(name.as_str()), FieldShape { required: is_required(json), shape })
        });
        RecordShape(fields.collect())
    }

    /// A type by its name: a common type before an entity type, in the same namespace before the empty one, and Cedar's own
    /// last (RFC 24 and RFC 70 of Cedar).
    fn named(&self, name: &str, namespace: &str, annotations: &Map<String, Json>) -> Shape {
        for scope in [namespace, ""] {
            let full = if name.contains("::") { name.to_owned() } else { qualified(scope, name) };
            if let Some(declaration) = self.common.get(&full) {
                return self.common_type(declaration, annotations);
            }
            if self.entities.contains_key(&full)
                && let Ok(entity) = EntityTypeName::from_str(&full)
            {
                return Shape::Entity(entity);
            }
        }
        let own = name.strip_prefix("__cedar::").unwrap_or(name);
        match own {
            "Bool" | "Boolean" => Shape::Bool,
            "Long" => Shape::Long,
            "String" => Shape::String,
            _ => {
                let extension = Extension::NAMES.iter().find(|(name, _)| *name == own);
                extension.map_or_else(
                    || Shape::Record(RecordShape::default()),
                    |(_, extension)| Shape::Extension(*extension),
                )
            }
        }
    }

    fn common_type(&self, declaration: &Declaration, annotations: &Map<String, Json>) -> Shape {
        let shape = self.shape(&declaration.json, &declaration.namespace, annotations);
        let plugin = annotation(&declaration.json, "parsed_by").and_then(plugin::find);
        match (plugin, shape) {
            (Some(plugin), Shape::Record(facts)) => {
                let path = |parameter: &&str| AttributePath::parse(annotations.get(*parameter)?.as_str()?);
                Shape::Parsed(Parsed { plugin, arguments: plugin.parameters().iter().map(path).collect(), facts })
            }
            (_, shape) => shape,
        }
    }

    /// Every declaration, with its full name.
    pub(super) fn declarations(&self) -> impl Iterator<Item = (&str, &Declaration)> {
        let all = self.common.iter().chain(&self.entities).chain(&self.actions);
        all.map(|(name, declaration)| (name.as_str(), declaration))
    }

    fn resolve(&self, name: &str, namespace: &str, among: &BTreeMap<String, Declaration>) -> Option<String> {
        [qualified(namespace, name), name.to_owned()].into_iter().find(|full| among.contains_key(full))
    }
}

/// How the description of a [`Parsed`] shape starts.
pub(super) const READ: &str = "a string that";

impl std::fmt::Display for Shape {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool => formatter.write_str("Bool"),
            Self::Long => formatter.write_str("Long"),
            Self::String => formatter.write_str("String"),
            Self::Entity(name) => write!(formatter, "{name}"),
            Self::Set(element) => write!(formatter, "Set<{element}>"),
            Self::Record(_) => formatter.write_str("a record"),
            Self::Extension(extension) => formatter.write_str(extension.cedar_name()),
            Self::Parsed(parsed) => {
                write!(formatter, "{READ} `{}` reads", parsed.plugin.name())?;
                let arguments = parsed.plugin.parameters().iter().zip(&parsed.arguments);
                arguments
                    .filter_map(|(name, path)| Some((name, path.as_ref()?)))
                    .try_for_each(|(name, path)| write!(formatter, ", @{name}({path})"))
            }
        }
    }
}

impl std::fmt::Display for AttributePath {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let root = match self.root {
            PathRoot::Principal => "principal",
            PathRoot::Resource => "resource",
            PathRoot::Context => "context",
            PathRoot::This => "this",
        };
        write!(formatter, "{root}.{}", self.attributes.join("."))
    }
}

pub(super) fn members(json: &Json) -> impl Iterator<Item = (&String, &Json)> {
    json.as_object().into_iter().flatten()
}

pub(super) fn annotation<'a>(json: &'a Json, name: &str) -> Option<&'a str> {
    json.get("annotations")?.get(name)?.as_str()
}

pub(super) fn is_required(json: &Json) -> bool {
    json.get("required").and_then(Json::as_bool).unwrap_or(true)
}

fn qualified(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}::{name}") }
}

fn action_name(namespace: &str, id: &str) -> String {
    let type_name = EntityTypeName::from_str(&qualified(namespace, "Action"));
    type_name.map(|name| EntityUid::from_type_name_and_id(name, EntityId::new(id)).to_string()).unwrap_or_default()
}
