//! Random schemas, and on a schema, random or not, what stands on it: [`policies`], and entities and requests ([`world`]).

pub mod policies;
pub mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use gatepost::store::schema::{EntityType, Environment, Extension, FieldShape, RecordShape, Shape, Types};
use smol_str::SmolStr;

use crate::random::Random;

/// What a schema says, and the ids and texts that are used with it.
#[derive(Default)]
pub struct Model {
    pub entities: BTreeMap<EntityTypeName, Arc<EntityType>>,
    pub environments: Vec<Environment>,
    /// Every action, with itself and all that it is in.
    pub actions: BTreeMap<EntityUid, BTreeSet<EntityUid>>,
    /// The ids of each type that are stored.
    pub ids: BTreeMap<EntityTypeName, Vec<String>>,
    pub strings: Vec<String>,
    /// Whether requests take every form that a caller may choose, and are such that none is refused; else they take the plainest.
    pub every_form: bool,
}

impl Model {
    /// The model of a schema that was read. Of its actions' groups it knows nothing.
    pub fn of(types: &Types) -> Self {
        let entities: BTreeMap<_, _> =
            types.entities.values().map(|entity| (entity.name.clone(), Arc::clone(entity))).collect();
        let environments = types.environments.iter().map(|environment| Environment {
            principal: environment.principal.clone(),
            principal_type: Arc::clone(&environment.principal_type),
            action: environment.action.clone(),
            action_name: environment.action_name.clone(),
            resource: environment.resource.clone(),
            resource_type: Arc::clone(&environment.resource_type),
            context: environment.context.clone(),
            context_has_raw: environment.context_has_raw,
        });
        let ids = entities.keys().map(|name| (name.clone(), Vec::new())).collect();
        let environments = environments.collect();
        Self { entities, environments, ids, ..Self::default() }
    }

    /// A type and all that its entities can be in.
    pub fn above(&self, name: &EntityTypeName) -> BTreeSet<EntityTypeName> {
        let mut found = BTreeSet::new();
        let mut open = vec![name.clone()];
        while let Some(next) = open.pop() {
            let parents = self.entities.get(&next).map(|entity| entity.parents.clone()).unwrap_or_default();
            if found.insert(next) {
                open.extend(parents);
            }
        }
        found
    }
}

/// A shape as a schema writes it, every name in full: two shapes are the same type where this is the same.
pub fn written(shape: &Shape) -> String {
    match shape {
        Shape::Set(element) => format!("Set<{}>", written(element)),
        Shape::Record(RecordShape(fields)) => {
            let field = |(name, field): (&SmolStr, &FieldShape)| {
                format!("{name:?}{}: {}", if field.required { "" } else { "?" }, written(&field.shape))
            };
            format!("{{ {} }}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        plain => plain.to_string(),
    }
}

const NAMES: [&str; 6] = ["User", "Team", "Doc", "Kind", "Box", "Node"];
const NAMESPACES: [&[&str]; 5] = [&[""], &["Acme"], &["Acme", "Acme::Sub"], &["Acme", "Zoo"], &["", "Acme"]];

/// What is required nowhere has another name than what is required somewhere: `has` on the latter is refused, also where the types of the
/// principal differ.
const REQUIRED: [&str; 6] = ["r0", "r1", "type", "principal", "two words", "id"];
const OPTIONAL: [&str; 6] = ["o0", "o1", "o2", "if", "x-y", "action"];

const STRINGS: [&str; 6] = ["", "a", "ab", "b*", "k0", "é\"\\"];
const IDS: [&str; 5] = ["a", "b", "two words", "\"é\\", ""];

/// A name and the namespace in which it stands.
#[derive(Clone, PartialEq)]
struct Name {
    namespace: &'static str,
    name: String,
}

impl Name {
    fn full(&self) -> String {
        if self.namespace.is_empty() { self.name.clone() } else { format!("{}::{}", self.namespace, self.name) }
    }

    /// As it can be written in a namespace.
    fn within(&self, namespace: &str) -> String {
        if self.namespace == namespace { self.name.clone() } else { self.full() }
    }

    fn entity_type(&self) -> EntityTypeName {
        self.full().parse().unwrap()
    }
}

struct Action {
    name: Name,
    uid: EntityUid,
    /// Itself, and all that it is in.
    within: BTreeSet<EntityUid>,
    /// What it is declared to be in, as it is written.
    groups: Vec<String>,
}

/// Writes a schema, and notes what it says.
struct Writer<'r> {
    random: &'r mut Random,
    namespaces: &'static [&'static str],
    types: Vec<Name>,
    common: Vec<(Name, Shape)>,
    actions: Vec<Action>,
    /// The declarations of each namespace.
    text: BTreeMap<&'static str, Vec<String>>,
    model: Model,
}

/// A random schema.
pub fn schema(random: &mut Random) -> (String, Model) {
    let namespaces = random.pick(&NAMESPACES);
    let model = Model { strings: STRINGS.map(str::to_owned).to_vec(), ..Model::default() };
    let (types, common, actions, text) = (Vec::new(), Vec::new(), Vec::new(), BTreeMap::new());
    let mut writer = Writer { random, namespaces, types, common, actions, text, model };
    writer.name_types();
    (0..3 + writer.random.below(4)).for_each(|index| writer.name_action(index));
    writer.types_of_actions();
    (0..writer.random.below(3)).for_each(|index| writer.common_type(index));
    (0..writer.types.len()).for_each(|index| writer.entity_type(index));
    (0..writer.actions.len()).for_each(|index| writer.action(index));
    let within = writer.actions.iter().map(|action| (action.uid.clone(), action.within.clone()));
    writer.model.actions = within.collect();
    (writer.whole(), writer.model)
}

impl Writer<'_> {
    fn whole(&self) -> String {
        let parts = self.text.iter().map(|(namespace, declarations)| {
            let declarations = declarations.join("\n");
            if namespace.is_empty() { declarations } else { format!("namespace {namespace} {{\n{declarations}\n}}") }
        });
        parts.collect::<Vec<_>>().join("\n")
    }

    fn declare(&mut self, namespace: &'static str, text: String) {
        self.text.entry(namespace).or_default().push(text);
    }

    fn name_types(&mut self) {
        // Where one namespace is the empty one, no other may have a name of it.
        let repeats = !self.namespaces.contains(&"");
        let count = 2 + self.random.below(5);
        for name in &NAMES[..count] {
            let name = if repeats && self.random.chance(30) { NAMES[0] } else { name };
            let name = Name { namespace: self.random.pick(self.namespaces), name: name.to_owned() };
            if !self.types.contains(&name) {
                self.types.push(name);
            }
        }
    }

    fn common_type(&mut self, index: usize) {
        let name = Name { namespace: self.random.pick(self.namespaces), name: format!("Common{index}") };
        let (shape, text) = match self.random.chance(60) {
            true => self.record(name.namespace, 1),
            false => self.shape(name.namespace, 1),
        };
        self.declare(name.namespace, format!("type {} = {text};", name.name));
        self.common.push((name, shape));
    }

    fn entity_type(&mut self, index: usize) {
        let name = self.types[index].clone();
        let enumerated = index > 0 && self.random.chance(20);
        let (text, entity) = if enumerated { self.enumerated(&name) } else { self.structured(&name) };
        self.declare(name.namespace, text);
        let ids = match &entity.ids {
            Some(ids) => ids.iter().map(ToString::to_string).collect(),
            None => IDS[..2 + self.random.below(4)].iter().map(ToString::to_string).collect(),
        };
        self.model.ids.insert(entity.name.clone(), ids);
        self.model.entities.insert(entity.name.clone(), Arc::new(entity));
    }

    fn enumerated(&mut self, name: &Name) -> (String, EntityType) {
        let ids = &IDS[..1 + self.random.below(4)];
        let ids: Vec<SmolStr> = ids.iter().map(SmolStr::new).collect();
        let written: Vec<String> = ids.iter().map(|id| literal(id)).collect();
        let text = format!("entity {} enum [{}];", name.name, written.join(", "));
        let entity = EntityType { ids: Some(ids), ..plain_type(name) };
        (text, entity)
    }

    fn structured(&mut self, name: &Name) -> (String, EntityType) {
        let parents: Vec<Name> = self.types.clone().into_iter().filter(|_| self.random.chance(35)).collect();
        let written: Vec<String> = parents.iter().map(|parent| parent.within(name.namespace)).collect();
        let (Shape::Record(attributes), shape) = self.record(name.namespace, 2) else { unreachable!() };
        let tags = self.random.chance(40).then(|| self.shape(name.namespace, 1));
        let (tags, tagged) = tags.map(|(tags, text)| (tags, format!(" tags {text}"))).unzip();
        let parents = parents.iter().map(Name::entity_type).collect();
        let tagged = tagged.unwrap_or_default();
        let text = format!("entity {}{} = {shape}{tagged};", name.name, in_all(&written));
        (text, EntityType { attributes, tags, parents, ..plain_type(name) })
    }

    /// A type, and how it is written in a namespace.
    fn shape(&mut self, namespace: &str, depth: usize) -> (Shape, String) {
        if self.random.chance(10) && !self.common.is_empty() {
            let (name, shape) = &self.common[self.random.below(self.common.len())];
            return (shape.clone(), name.within(namespace));
        }
        let plain = |shape: Shape| (shape.clone(), shape.to_string());
        match self.random.below(if depth == 0 { 11 } else { 14 }) {
            0 | 1 => plain(Shape::Long),
            2 => plain(Shape::Bool),
            3 | 4 => plain(Shape::String),
            5..=8 => {
                if let Some(action) = self.action_type(namespace) {
                    return action;
                }
                let name = &self.types[self.random.below(self.types.len())];
                (Shape::Entity(name.entity_type()), name.within(namespace))
            }
            9 | 10 => {
                let all = [Extension::Ip, Extension::Decimal, Extension::Datetime, Extension::Duration];
                plain(Shape::Extension(self.random.pick(&all)))
            }
            11 | 12 => {
                let (element, text) = self.shape(namespace, depth - 1);
                (Shape::Set(Box::new(element)), format!("Set<{text}>"))
            }
            _ => self.record(namespace, depth - 1),
        }
    }

    fn record(&mut self, namespace: &str, depth: usize) -> (Shape, String) {
        let mut fields = BTreeMap::new();
        let mut text = Vec::new();
        let names = REQUIRED.map(|name| (name, true)).into_iter().chain(OPTIONAL.map(|name| (name, false)));
        for (name, required) in names {
            if self.random.chance(35) {
                let (shape, written) = self.shape(namespace, depth);
                text.push(format!("{}{}: {written}", literal(name), if required { "" } else { "?" }));
                fields.insert(
                    name.into(),
                    FieldShape { required, sensitive: false, stored: false, must_exist: false, shape },
                );
            }
        }
        (Shape::Record(RecordShape(fields)), format!("{{ {} }}", text.join(", ")))
    }

    /// The type of some actions: their values are references as any other.
    fn action_type(&mut self, namespace: &str) -> Option<(Shape, String)> {
        if !self.random.chance(15) {
            return None;
        }
        let action = &self.actions[self.random.below(self.actions.len())];
        let of = action.name.namespace;
        let kind = Name { namespace: of, name: "Action".to_owned() };
        let shadowed = || self.actions.iter().any(|other| other.name.namespace == namespace);
        if of.is_empty() && !namespace.is_empty() && shadowed() {
            return None;
        }
        let written = if self.random.chance(50) { kind.full() } else { kind.within(namespace) };
        Some((Shape::Entity(kind.entity_type()), written))
    }

    /// The actions of each namespace are a type with ids of its own.
    fn types_of_actions(&mut self) {
        for namespace in self.namespaces {
            let own = self.actions.iter().filter(|action| action.name.namespace == *namespace);
            let ids: Vec<SmolStr> = own.map(|action| SmolStr::new(&action.name.name)).collect();
            if ids.is_empty() {
                continue;
            }
            let kind = Name { namespace, name: "Action".to_owned() };
            self.model.ids.insert(kind.entity_type(), ids.iter().map(ToString::to_string).collect());
            let entity = EntityType { ids: Some(ids), ..plain_type(&kind) };
            self.model.entities.insert(kind.entity_type(), Arc::new(entity));
        }
    }

    /// An action, or a group of actions.
    fn name_action(&mut self, index: usize) {
        let id = if self.random.chance(30) { "go on".to_owned() } else { format!("act{}", index / 2) };
        let name = Name { namespace: self.random.pick(self.namespaces), name: id };
        // Of actions as of types, none may have the name of one in the empty namespace.
        let repeats = !self.namespaces.contains(&"");
        let is_taken = |other: &Action| other.name == name || !repeats && other.name.name == name.name;
        if self.actions.iter().any(is_taken) {
            return;
        }
        let mut within = BTreeSet::new();
        let mut groups = Vec::new();
        for group in &self.actions {
            // From elsewhere, the empty namespace cannot be named.
            let can_be_named = group.name.namespace == name.namespace || !group.name.namespace.is_empty();
            if can_be_named && self.random.chance(40) {
                within.extend(group.within.iter().cloned());
                let of_this = group.name.namespace == name.namespace;
                groups.push(if of_this { literal(&group.name.name) } else { group.uid.to_string() });
            }
        }
        let kind = Name { namespace: name.namespace, name: "Action".to_owned() };
        let uid = EntityUid::from_type_name_and_id(kind.entity_type(), EntityId::new(&name.name));
        within.insert(uid.clone());
        self.actions.push(Action { name, uid, within, groups });
    }

    fn action(&mut self, index: usize) {
        let Action { name, uid, groups, .. } = &self.actions[index];
        let (name, uid, groups) = (name.clone(), uid.clone(), in_all(groups));
        let is_last = index + 1 == self.actions.len();
        let applies = self.random.chance(70) || is_last && self.model.environments.is_empty();
        let applies = if applies { self.applies_to(&name, &uid) } else { String::new() };
        self.declare(name.namespace, format!("action {}{groups}{applies};", literal(&name.name)));
    }

    fn applies_to(&mut self, name: &Name, action: &EntityUid) -> String {
        let (principals, resources) = (self.some_types(), self.some_types());
        let (context, text) = match self.common_record() {
            Some((common, shape)) => (shape, common.within(name.namespace)),
            None => self.record(name.namespace, 2),
        };
        let Shape::Record(context) = context else { unreachable!() };
        let entity = |name: &Name| Arc::clone(&self.model.entities[&name.entity_type()]);
        let all = principals.iter().flat_map(|principal| resources.iter().map(move |resource| (principal, resource)));
        let environments = all.map(|(principal, resource)| Environment {
            principal: principal.entity_type(),
            principal_type: entity(principal),
            action: action.clone(),
            action_name: action.to_string().into(),
            resource: resource.entity_type(),
            resource_type: entity(resource),
            context: context.clone(),
            context_has_raw: false,
        });
        let environments: Vec<_> = environments.collect();
        self.model.environments.extend(environments);
        let list = |types: &[Name]| types.iter().map(|of| of.within(name.namespace)).collect::<Vec<_>>().join(", ");
        let (principals, resources) = (list(&principals), list(&resources));
        format!(" appliesTo {{ principal: [{principals}], resource: [{resources}], context: {text} }}")
    }

    fn common_record(&mut self) -> Option<(Name, Shape)> {
        let is_record = |(_, shape): &&(Name, Shape)| matches!(shape, Shape::Record(_));
        self.common.iter().find(is_record).cloned().filter(|_| self.random.chance(30))
    }

    fn some_types(&mut self) -> Vec<Name> {
        let first = self.random.below(self.types.len());
        let others = self.types.iter().enumerate().filter(|(index, _)| *index == first || self.random.chance(25));
        others.map(|(_, name)| name.clone()).collect()
    }
}

fn in_all(groups: &[String]) -> String {
    if groups.is_empty() { String::new() } else { format!(" in [{}]", groups.join(", ")) }
}

fn plain_type(name: &Name) -> EntityType {
    EntityType::new(name.entity_type())
}

/// A string as Cedar writes it.
pub fn literal(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}
