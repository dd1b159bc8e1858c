//! The schema as the request layer needs it: what shape each attribute has, and which plugin reads it.
//!
//! Cedar's own [`Schema`] has forgotten, once it is resolved, under which name a type was declared and what was annotated on
//! an attribute. So bindings are read from the fragments' JSON, in which both still stand.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, RequestEnv, Schema, SchemaFragment};
use hashbrown::HashMap;
use miette::SourceSpan;
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;

use super::problem::{Problem, SourceFile};
use super::written::{Annotation, Declared, Kind};
use crate::plugin::{self, PLUGINS, Plugin};

/// What the schema says about the values of requests and entities.
#[derive(Debug)]
pub struct Types {
    /// The entity types, by their full Cedar names.
    pub entities: HashMap<SmolStr, Arc<EntityType>>,
    /// Every (principal type, action, resource type) that the schema allows, in a stable order.
    pub environments: Vec<Environment>,
    /// The plugins that read anything in them, in the order of all plugins.
    pub plugins: Vec<&'static dyn Plugin>,
    by_name: HashMap<EntityTypeName, Arc<EntityType>>,
    /// The full Cedar names of the types that have an alias, by that.
    by_alias: HashMap<SmolStr, SmolStr>,
    by_action: HashMap<SmolStr, Vec<usize>>,
}

/// An entity type of the schema.
#[derive(Debug)]
pub struct EntityType {
    /// Its full Cedar name.
    pub name: EntityTypeName,
    /// The same as text.
    pub full_name: SmolStr,
    /// The ids of an enumerated type, in the order of their declaration; `None` for any other type.
    pub ids: Option<Vec<SmolStr>>,
    /// The attributes; empty for an enumerated type.
    pub attributes: RecordShape,
    /// Whether plugins read any of them.
    pub has_raw: bool,
    /// The type of the tags, if the type has tags.
    pub tags: Option<Shape>,
    /// Whether plugins read anything in the tags.
    pub tags_have_raw: bool,
    /// `@stored`: only the store may say anything of such an entity.
    pub stored: bool,
    /// Whether there is something inside its records that only the store may say.
    pub stores_within: bool,
    /// Whether anything in its attributes refers to entities that must be stored.
    pub has_must_exist: bool,
    /// `@parents_from("caller")`: a caller may say what a stored entity is in, beside what is stored.
    pub parents_from_caller: bool,
    /// The types whose entities can be its parents.
    pub parents: Vec<EntityTypeName>,
    /// `@alias`: the names beside its own by which a caller may name it.
    pub aliases: Vec<SmolStr>,
}

/// So many ids of an enumerated type are listed in a message.
const LISTED: usize = 20;

impl EntityType {
    /// A type of which entities have no attributes, tags and parents.
    pub fn new(name: EntityTypeName) -> Self {
        Self {
            full_name: name.to_string().into(),
            name,
            ids: None,
            attributes: RecordShape::default(),
            has_raw: false,
            tags: None,
            tags_have_raw: false,
            stored: false,
            stores_within: false,
            has_must_exist: false,
            parents_from_caller: false,
            parents: Vec::new(),
            aliases: Vec::new(),
        }
    }

    /// Whether there is anything of such an entity that only the store may say.
    pub fn has_only_stored(&self) -> bool {
        self.stored || self.stores_within || self.attributes.0.values().any(|field| field.stored)
    }

    /// Whether an entity of that id can exist: any id, but for an enumerated type.
    pub fn has_id(&self, id: &str) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.iter().any(|known| known == id))
    }

    /// What a reference to such an entity is in JSON, as an error message says it.
    pub fn expected(&self) -> String {
        let name = &self.full_name;
        let article = if name.starts_with(['A', 'E', 'I', 'O', 'a', 'e', 'i', 'o']) { "an" } else { "a" };
        match &self.ids {
            Some(ids) => {
                let listed: Vec<_> = ids.iter().take(LISTED).map(|id| format!("`{id}`")).collect();
                let more = ids.len().checked_sub(LISTED).filter(|more| *more > 0);
                let more = more.map(|more| format!(" and {more} more")).unwrap_or_default();
                format!("the id of {article} {name}: {}{more}", listed.join(", "))
            }
            None => format!("the plain id of {article} {name}, a string"),
        }
    }
}

/// One combination of types that a request may have.
#[derive(Debug)]
pub struct Environment {
    /// The type of the principal.
    pub principal: EntityTypeName,
    /// What the schema says of it.
    pub principal_type: Arc<EntityType>,
    /// The action.
    pub action: EntityUid,
    /// Its whole name as text.
    pub action_name: SmolStr,
    /// The type of the resource.
    pub resource: EntityTypeName,
    /// What the schema says of it.
    pub resource_type: Arc<EntityType>,
    /// The members of the context.
    pub context: RecordShape,
    /// Whether plugins read any of them.
    pub context_has_raw: bool,
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

impl RecordShape {
    /// Whether plugins read strings in it, at any depth.
    fn has_raw(&self) -> bool {
        PLUGINS.iter().any(|plugin| self.is_read_by(*plugin))
    }

    /// Whether anything in it refers to entities that must be stored.
    pub fn has_must_exist(&self) -> bool {
        self.0.values().any(|field| field.must_exist || field.shape.has_must_exist())
    }

    /// Whether a record in it has a field that only the store may say.
    fn stores_within(&self) -> bool {
        self.0.values().any(|field| field.shape.has_stored())
    }

    /// Whether it, or a record in it, has a field that only the store may say.
    pub fn has_stored(&self) -> bool {
        self.0.values().any(|field| field.stored || field.shape.has_stored())
    }

    fn is_read_by(&self, plugin: &dyn Plugin) -> bool {
        self.0.values().any(|field| field.shape.is_read_by(plugin))
    }
}

impl Shape {
    /// Whether plugins read strings in it, at any depth.
    fn has_raw(&self) -> bool {
        PLUGINS.iter().any(|plugin| self.is_read_by(*plugin))
    }

    /// Whether it is a record with a field, at any depth, that only the store may say.
    pub fn has_stored(&self) -> bool {
        matches!(self, Self::Record(record) if record.has_stored())
    }

    fn has_must_exist(&self) -> bool {
        match self {
            Self::Record(record) => record.has_must_exist(),
            Self::Set(element) => element.has_must_exist(),
            _ => false,
        }
    }

    fn is_read_by(&self, plugin: &dyn Plugin) -> bool {
        match self {
            Self::Parsed(parsed) => parsed.plugin.name() == plugin.name(),
            Self::Record(record) => record.is_read_by(plugin),
            Self::Set(element) => element.is_read_by(plugin),
            Self::Bool | Self::Long | Self::String | Self::Entity(_) | Self::Extension(_) => false,
        }
    }
}

/// A field of a record.
#[derive(Clone, Debug)]
pub struct FieldShape {
    /// Whether the field must be there.
    pub required: bool,
    /// `@sensitive`: the decision log masks its value.
    pub sensitive: bool,
    /// `@stored`: only the store may say it.
    pub stored: bool,
    /// `@must_exist`: the entities that it refers to must be stored.
    pub must_exist: bool,
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
    const ALL: [Self; 4] = [Self::Ip, Self::Decimal, Self::Datetime, Self::Duration];

    /// The name of the type in a schema.
    pub fn cedar_name(self) -> &'static str {
        match self {
            Self::Ip => "ipaddr",
            Self::Decimal => "decimal",
            Self::Datetime => "datetime",
            Self::Duration => "duration",
        }
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
#[derive(Clone, Debug)]
pub struct Parsed {
    /// What reads the string.
    pub plugin: &'static dyn Plugin,
    /// For each of the plugin's parameters, the path that gives it; `None` where the attribute is not annotated.
    pub arguments: Vec<Option<AttributePath>>,
    /// The record that the plugin fills; what repeats the string is sensitive.
    pub facts: RecordShape,
}

impl Parsed {
    /// Whether the decision log masks the fact of that name: it repeats the string, or is marked `@sensitive`.
    pub fn masks(&self, fact: &str) -> bool {
        self.facts.0.get(fact).is_some_and(|field| field.sensitive)
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

    /// The full Cedar name of the entity type that a caller names so: that name itself, where it is no alias.
    pub fn cedar_name<'n>(&'n self, name: &'n str) -> &'n str {
        // Most schemas have none.
        if self.by_alias.is_empty() { name } else { self.by_alias.get(name).map_or(name, SmolStr::as_str) }
    }

    /// The entity type of that name.
    pub fn entity_of(&self, name: &EntityTypeName) -> Option<&EntityType> {
        self.by_name.get(name).map(Arc::as_ref)
    }

    /// Every type that a value can refer to: the entity types, and those of the actions.
    pub fn referable(&self) -> impl Iterator<Item = &EntityType> {
        self.by_name.values().map(Arc::as_ref)
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
        if unique { id.to_owned() } else { environment.action_name.to_string() }
    }

    /// Reads the shapes and the bindings of a schema.
    ///
    /// # Errors
    ///
    /// Every binding that is wrong: no such plugin, other fields than the plugin fills, a path that cannot exist.
    pub(super) fn read(reader: &Reader, schema: &Schema) -> Result<Self, Vec<Problem>> {
        let problems = super::names::check(reader);
        if !problems.is_empty() {
            return Err(problems);
        }
        let one = |problem| vec![problem];
        let entities = reader.entity_types().map_err(one)?;
        let environments = reader.environments(schema, &entities).map_err(one)?;
        let actions = reader.action_types().map_err(one)?;
        let by_name = entities.values().cloned().chain(actions.into_iter().map(Arc::new));
        let by_name = by_name.map(|entity| (entity.name.clone(), entity)).collect();
        let plugins = PLUGINS.iter().copied().filter(|plugin| {
            let of_entity = |entity: &EntityType| {
                entity.attributes.is_read_by(*plugin)
                    || entity.tags.as_ref().is_some_and(|tags| tags.is_read_by(*plugin))
            };
            entities.values().any(|entity| of_entity(entity))
                || environments.iter().any(|found| found.context.is_read_by(*plugin))
        });
        let by_alias = entities
            .values()
            .flat_map(|entity| entity.aliases.iter().map(|alias| (alias.clone(), entity.full_name.clone())));
        let types = Self {
            plugins: plugins.collect(),
            by_action: by_action(&environments),
            by_name,
            by_alias: by_alias.collect(),
            entities,
            environments,
        };
        let mut problems = super::bindings::check(reader, &types);
        problems.extend(super::aliases::check(reader));
        problems.extend(super::annotations::of_types(reader, &types));
        if problems.is_empty() { Ok(types) } else { Err(problems) }
    }
}

fn by_action(environments: &[Environment]) -> HashMap<SmolStr, Vec<usize>> {
    let mut by_action: HashMap<SmolStr, Vec<usize>> = HashMap::new();
    for (index, environment) in environments.iter().enumerate() {
        let names = BTreeSet::from([
            SmolStr::from(AsRef::<str>::as_ref(environment.action.id())),
            environment.action_name.clone(),
        ]);
        for name in names {
            by_action.entry(name).or_default().push(index);
        }
    }
    by_action
}

/// A declaration, with the namespace in which it stands.
pub(super) struct Declaration {
    pub(super) kind: Kind,
    pub(super) namespace: String,
    /// Its name without the namespace, or the id of an action.
    pub(super) name: String,
    pub(super) json: Json,
    pub(super) file: SourceFile,
    /// Everything that is declared in that file.
    beside: Arc<[Declared]>,
}

/// A file of a schema that Cedar has read.
pub(super) struct Fragment {
    pub(super) file: SourceFile,
    /// What it declares, as it is written.
    pub(super) declared: Arc<[Declared]>,
    pub(super) cedar: SchemaFragment,
}

impl Declaration {
    /// The type of the context, of an action that declares one.
    pub(super) fn context(&self) -> Option<&Json> {
        self.json.get("appliesTo")?.get("context")
    }

    /// Its name with the namespace.
    pub(super) fn full_name(&self) -> String {
        qualified(&self.namespace, &self.name)
    }

    /// The declaration as it is written.
    pub(super) fn written(&self) -> Option<&Declared> {
        self.beside.iter().find(|declared| {
            (declared.kind, &declared.namespace) == (self.kind, &self.namespace) && declared.name(&self.name).is_some()
        })
    }

    /// A problem with what is declared, its name underlined.
    pub(super) fn problem(&self, message: String) -> Problem {
        let problem = Problem::error(message).in_file(&self.file);
        match self.place() {
            Some(name) => problem.at(name, ""),
            None => problem,
        }
    }

    /// Where its name stands.
    pub(super) fn place(&self) -> Option<SourceSpan> {
        Some(self.written()?.name(&self.name)?.span)
    }

    /// A problem with an annotation of the declaration, or of the member at the end of those names.
    pub(super) fn problem_with(&self, key: &str, path: &[&str], message: String) -> Problem {
        let Some(declared) = self.written() else { return self.problem(message) };
        let has_key = |annotation: &Annotation| annotation.key.text == key;
        let found = match path {
            [] => declared.annotations.iter().find(|annotation| has_key(annotation)),
            _ => declared.annotation_on(path, &has_key),
        };
        match found {
            Some(annotation) => Problem::error(message).in_file(&self.file).at(annotation.span(), ""),
            None => self.problem(message),
        }
    }
}

/// What a name in a schema stands for.
pub(super) enum Meaning<'r> {
    /// A common type, with its full name.
    Common(&'r str, &'r Declaration),
    Entity(EntityTypeName),
    /// One of Cedar's own types.
    Own(Shape),
}

/// What a name can stand for where it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameKind {
    Common,
    Entity,
    /// A common type or an entity type.
    Any,
    /// One of Cedar's own types alone.
    Own,
}

/// A type, as Cedar's JSON of schemas has it.
pub(super) enum TypeJson<'j> {
    Record,
    Set(&'j Json),
    Named(NameKind, &'j str),
}

impl<'j> TypeJson<'j> {
    /// `None` where it is none.
    pub(super) fn of(json: &'j Json) -> Option<Self> {
        let name = || json.get("name").and_then(Json::as_str);
        Some(match json.get("type")?.as_str()? {
            "Record" => Self::Record,
            "Set" => Self::Set(json.get("element")?),
            "EntityOrCommon" => Self::Named(NameKind::Any, name()?),
            "Entity" => Self::Named(NameKind::Entity, name()?),
            "Extension" => Self::Named(NameKind::Own, name()?),
            own @ ("Boolean" | "Long" | "String") => Self::Named(NameKind::Own, own),
            common => Self::Named(NameKind::Common, common),
        })
    }
}

/// The full names that a name can be, the first first.
fn possible_names(name: &str, namespace: &str) -> impl Iterator<Item = String> {
    let in_namespace = (!name.contains("::") && !namespace.is_empty()).then(|| qualified(namespace, name));
    in_namespace.into_iter().chain([name.to_owned()])
}

/// One of Cedar's own types: `String`, or `__cedar::String`.
fn own_type(name: &str) -> Option<Shape> {
    match name.strip_prefix("__cedar::").unwrap_or(name) {
        "Bool" | "Boolean" => Some(Shape::Bool),
        "Long" => Some(Shape::Long),
        "String" => Some(Shape::String),
        own => Extension::ALL.into_iter().find(|extension| extension.cedar_name() == own).map(Shape::Extension),
    }
}

/// The declarations of all fragments, by their full names.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) common: BTreeMap<String, Declaration>,
    pub(super) entities: BTreeMap<String, Declaration>,
    pub(super) actions: BTreeMap<String, Declaration>,
}

impl Reader {
    pub(super) fn new(fragments: &[Fragment]) -> Result<Self, Vec<Problem>> {
        let mut reader = Self::default();
        for fragment in fragments {
            let json = fragment.cedar.clone().to_json_value();
            let json = json.map_err(|error| Problem::from_cedar(&error, &fragment.file))?;
            reader.collect(&json, fragment).map_err(|problem| vec![problem])?;
        }
        Ok(reader)
    }

    fn collect(&mut self, json: &Json, Fragment { file, declared, .. }: &Fragment) -> Result<(), Problem> {
        for (namespace, content) in members(json) {
            let lists = [
                ("commonTypes", &mut self.common),
                ("entityTypes", &mut self.entities),
                ("actions", &mut self.actions),
            ];
            for (key, declarations) in lists {
                for (name, json) in content.get(key).into_iter().flat_map(members) {
                    let kind = match key {
                        "commonTypes" => Kind::CommonType,
                        "entityTypes" if json.get("enum").is_some() => Kind::EnumeratedType,
                        "entityTypes" => Kind::EntityType,
                        _ => Kind::Action,
                    };
                    let full = match kind {
                        Kind::Action => {
                            action_name(namespace, name).ok_or_else(|| Problem::error(not_read(name)).in_file(file))?
                        }
                        _ => qualified(namespace, name),
                    };
                    let (namespace, name, json, file) = (namespace.clone(), name.clone(), json.clone(), file.clone());
                    let beside = Arc::clone(declared);
                    declarations.insert(full, Declaration { kind, namespace, name, json, file, beside });
                }
            }
        }
        Ok(())
    }

    fn entity_types(&self) -> Result<HashMap<SmolStr, Arc<EntityType>>, Problem> {
        let types = self.entities.iter().map(|(name, declaration)| {
            let entity = self.entity_type(name, declaration).ok_or_else(|| declaration.problem(not_read(name)))?;
            Ok((SmolStr::from(name.as_str()), Arc::new(entity)))
        });
        types.collect()
    }

    /// `None` where something in it cannot be read.
    fn entity_type(&self, name: &str, declaration: &Declaration) -> Option<EntityType> {
        let Declaration { namespace, json, .. } = declaration;
        let id = |id: &Json| id.as_str().map(SmolStr::from);
        let ids = json.get("enum").map(|ids| ids.as_array()?.iter().map(id).collect::<Option<Vec<_>>>());
        // A type without a shape has no attributes.
        let mut attributes = json.get("shape").map_or_else(RecordShape::default, |shape| self.record(shape, namespace));
        let stored = has_annotation(json, STORED);
        attributes.0.values_mut().for_each(|field| field.stored |= stored);
        let tags = json.get("tags").map(|tags| self.shape(tags, namespace, &Map::new()));
        let parents = self.parents_of_entity(declaration).map(|parent| EntityTypeName::from_str(&parent).ok());
        Some(EntityType {
            name: EntityTypeName::from_str(name).ok()?,
            full_name: SmolStr::from(name),
            ids: match ids {
                Some(ids) => Some(ids?),
                None => None,
            },
            has_raw: attributes.has_raw(),
            stores_within: attributes.stores_within(),
            has_must_exist: attributes.has_must_exist(),
            attributes,
            tags_have_raw: tags.as_ref().is_some_and(Shape::has_raw),
            tags,
            stored,
            parents_from_caller: annotation(json, PARENTS_FROM) == Some(CALLER),
            parents: parents.collect::<Option<_>>()?,
            aliases: annotation(json, ALIAS).map(SmolStr::from).into_iter().collect(),
        })
    }

    /// The types of the actions, one for each namespace that has any: a value may refer to an action as to an entity of an enumerated
    /// type.
    fn action_types(&self) -> Result<Vec<EntityType>, Problem> {
        let mut ids: BTreeMap<EntityTypeName, Vec<SmolStr>> = BTreeMap::new();
        for (name, declaration) in &self.actions {
            let of_type = action_type(&declaration.namespace).ok_or_else(|| declaration.problem(not_read(name)))?;
            ids.entry(of_type).or_default().push(SmolStr::from(declaration.name.as_str()));
        }
        Ok(ids.into_iter().map(|(name, ids)| EntityType { ids: Some(ids), ..EntityType::new(name) }).collect())
    }

    /// Whether that is the full name of the type of actions.
    fn is_action_type(&self, full: &str) -> bool {
        let (namespace, name) = full.rsplit_once("::").unwrap_or(("", full));
        name == "Action" && self.actions.values().any(|declaration| declaration.namespace == namespace)
    }

    /// The environments that Cedar's resolved schema has, with the context as the fragments declare it.
    fn environments(
        &self,
        schema: &Schema,
        entities: &HashMap<SmolStr, Arc<EntityType>>,
    ) -> Result<Vec<Environment>, Problem> {
        let environments = schema.request_envs().map(|env| {
            let what = format!("{}, {}, {}", env.principal(), env.action(), env.resource());
            self.environment(&env, entities).ok_or_else(|| Problem::error(not_read(&what)))
        });
        let mut environments: Vec<Environment> = environments.collect::<Result<_, _>>()?;
        // Two actions may have one id, in namespaces of their own.
        environments.sort_by_cached_key(|environment| (environment.to_string(), environment.action_name.clone()));
        Ok(environments)
    }

    /// `None` where the fragments do not declare what it names.
    fn environment(&self, env: &RequestEnv, entities: &HashMap<SmolStr, Arc<EntityType>>) -> Option<Environment> {
        let of_name = |name: &EntityTypeName| entities.get(name.to_string().as_str()).cloned();
        let action_name = SmolStr::from(env.action().to_string());
        let declaration = self.actions.get(action_name.as_str())?;
        // An action without a context has an empty one.
        let context = declaration.context().map(|context| self.record(context, &declaration.namespace));
        let context = context.unwrap_or_else(RecordShape::default);
        Some(Environment {
            principal: env.principal().clone(),
            principal_type: of_name(env.principal())?,
            action: env.action().clone(),
            action_name,
            resource: env.resource().clone(),
            resource_type: of_name(env.resource())?,
            context_has_raw: context.has_raw(),
            context,
        })
    }

    /// A type that must be a record.
    #[expect(clippy::unreachable, reason = "names::check refuses a schema in which it is none")]
    fn record(&self, json: &Json, namespace: &str) -> RecordShape {
        match self.shape(json, namespace, &Map::new()) {
            Shape::Record(record) => record,
            other => unreachable!("a record is {other}"),
        }
    }

    /// The shape of a type. `annotations` are those of the attribute that has it: they give a plugin its arguments.
    #[expect(clippy::unreachable, reason = "names::check refuses a schema with a type that is not known")]
    pub(super) fn shape(&self, json: &Json, namespace: &str, annotations: &Map<String, Json>) -> Shape {
        match TypeJson::of(json) {
            Some(TypeJson::Record) => Shape::Record(self.fields(json, namespace)),
            Some(TypeJson::Set(element)) => Shape::Set(Box::new(self.shape(element, namespace, annotations))),
            Some(TypeJson::Named(kind, name)) => match self.named(kind, name, namespace) {
                Some(Meaning::Common(_, declaration)) => self.common_type(declaration, annotations),
                Some(Meaning::Entity(entity)) => Shape::Entity(entity),
                Some(Meaning::Own(shape)) => shape,
                None => unreachable!("the type `{name}` is not known"),
            },
            None => unreachable!("`{json}` is no type"),
        }
    }

    fn fields(&self, json: &Json, namespace: &str) -> RecordShape {
        let attributes = json.get("attributes").into_iter().flat_map(members);
        let fields = attributes.map(|(name, json)| {
            let annotations = annotations_of(json);
            let shape = self.shape(json, namespace, &annotations);
            let field = FieldShape {
                required: is_required(json),
                sensitive: annotations.contains_key(SENSITIVE),
                stored: annotations.contains_key(STORED),
                must_exist: annotations.contains_key(MUST_EXIST),
                shape,
            };
            (SmolStr::from(name.as_str()), field)
        });
        RecordShape(fields.collect())
    }

    /// What the name of a type stands for, as Cedar resolves it (RFC 24 and RFC 70 of Cedar): in its own namespace before the empty one,
    /// there a common type before an entity type, and Cedar's own types last. A name that has a namespace itself is whole.
    pub(super) fn named(&self, kind: NameKind, name: &str, namespace: &str) -> Option<Meaning<'_>> {
        let (common, entity) = match kind {
            NameKind::Common => (true, false),
            NameKind::Entity => (false, true),
            NameKind::Any => (true, true),
            NameKind::Own => (false, false),
        };
        let found = possible_names(name, namespace).find_map(|full| match self.common.get_key_value(&full) {
            Some((full, declaration)) if common => Some(Meaning::Common(full, declaration)),
            _ if entity && (self.entities.contains_key(&full) || self.is_action_type(&full)) => {
                EntityTypeName::from_str(&full).ok().map(Meaning::Entity)
            }
            _ => None,
        });
        found.or_else(|| (kind != NameKind::Entity).then(|| own_type(name).map(Meaning::Own))?)
    }

    /// The full name of the common type that a name stands for, if it stands for one.
    pub(super) fn common_type_named(&self, name: &str, namespace: &str) -> Option<&str> {
        match self.named(NameKind::Any, name, namespace) {
            Some(Meaning::Common(full, _)) => Some(full),
            _ => None,
        }
    }

    fn common_type(&self, declaration: &Declaration, annotations: &Map<String, Json>) -> Shape {
        let shape = self.shape(&declaration.json, &declaration.namespace, annotations);
        let plugin = annotation(&declaration.json, BINDING).and_then(plugin::find);
        match (plugin, shape) {
            (Some(plugin), Shape::Record(mut facts)) => {
                for fact in plugin.facts().iter().filter(|fact| fact.repeats) {
                    if let Some(field) = facts.0.get_mut(fact.name) {
                        field.sensitive = true;
                    }
                }
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

    /// The full names of the types that an entity type is declared to be in.
    pub(super) fn parents_of_entity(&self, declaration: &Declaration) -> impl Iterator<Item = String> {
        written_parents(declaration).filter_map(|parent| self.entity_named(parent, &declaration.namespace))
    }

    /// Those of the types that an entity type is declared to be in that are none.
    pub(super) fn unknown_parents(&self, declaration: &Declaration) -> impl Iterator<Item = String> {
        let unknown =
            written_parents(declaration).filter(|parent| self.entity_named(parent, &declaration.namespace).is_none());
        unknown.map(str::to_owned)
    }

    fn entity_named(&self, name: &str, namespace: &str) -> Option<String> {
        possible_names(name, namespace).find(|full| self.entities.contains_key(full))
    }

    /// The full names of the actions that an action is declared to be in.
    pub(super) fn parents_of_action(&self, declaration: &Declaration) -> impl Iterator<Item = String> {
        let parents = declaration.json.get("memberOf").and_then(Json::as_array).into_iter().flatten();
        parents.filter_map(|parent| {
            let id = parent.get("id")?.as_str()?;
            let full = match parent.get("type").and_then(Json::as_str) {
                Some(name) => possible_names(name, &declaration.namespace).find(|full| self.is_action_type(full))?,
                None => qualified(&declaration.namespace, "Action"),
            };
            let name = action_name(full.rsplit_once("::").map_or("", |(namespace, _)| namespace), id)?;
            self.actions.contains_key(&name).then_some(name)
        })
    }
}

/// The annotation that binds a common type to a plugin.
pub(super) const BINDING: &str = "parsed_by";

/// The annotation on an attribute whose value the decision log masks.
pub(super) const SENSITIVE: &str = "sensitive";

/// The annotation on what only the store may say: an attribute of an entity type, or all of the type.
pub(super) const STORED: &str = "stored";

/// The annotation on an attribute whose entities must be stored.
pub(super) const MUST_EXIST: &str = "must_exist";

/// The annotation on an entity type that gives it another name, by which a caller may name it.
pub(super) const ALIAS: &str = "alias";

/// The annotation on an entity type that says who may say what a stored entity is in, beside the store.
pub(super) const PARENTS_FROM: &str = "parents_from";

/// The one value that it takes.
pub(super) const CALLER: &str = "caller";

impl Shape {
    /// The type of what is sent for it: a string for what a plugin reads.
    pub fn sent_as(&self) -> String {
        match self {
            Self::Parsed(_) => Self::String.to_string(),
            Self::Set(element) => format!("Set<{}>", element.sent_as()),
            other => other.to_string(),
        }
    }

    /// Whether what is sent for it is, or has in it, a record.
    pub fn holds_record(&self) -> bool {
        match self {
            Self::Record(_) => true,
            Self::Set(element) => element.holds_record(),
            _ => false,
        }
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

fn written_parents(declaration: &Declaration) -> impl Iterator<Item = &str> {
    let parents = declaration.json.get("memberOfTypes").and_then(Json::as_array).into_iter().flatten();
    parents.filter_map(Json::as_str)
}

pub(super) fn members(json: &Json) -> impl Iterator<Item = (&String, &Json)> {
    json.as_object().into_iter().flatten()
}

pub(super) fn annotation<'a>(json: &'a Json, name: &str) -> Option<&'a str> {
    json.get("annotations")?.get(name)?.as_str()
}

fn annotations_of(json: &Json) -> Map<String, Json> {
    json.get("annotations").and_then(Json::as_object).cloned().unwrap_or_default()
}

pub(super) fn has_annotation(json: &Json, name: &str) -> bool {
    json.get("annotations").is_some_and(|annotations| annotations.get(name).is_some())
}

pub(super) fn is_required(json: &Json) -> bool {
    json.get("required").and_then(Json::as_bool).unwrap_or(true)
}

fn qualified(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}::{name}") }
}

fn action_type(namespace: &str) -> Option<EntityTypeName> {
    EntityTypeName::from_str(&qualified(namespace, "Action")).ok()
}

fn action_name(namespace: &str, id: &str) -> Option<String> {
    Some(EntityUid::from_type_name_and_id(action_type(namespace)?, EntityId::new(id)).to_string())
}

/// What no schema that Cedar takes comes to.
fn not_read(name: &str) -> String {
    format!("the name `{name}` cannot be read")
}
