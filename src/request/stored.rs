//! Stored entities: what `entities/*.json` says about subjects and resources before a caller says anything.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use smol_str::SmolStr;

use super::facts::{Roots, read_facts};
use super::json::Json;
use super::place::{Part, Place};
use super::value::{Decoder, Facts, Record, Value};
use crate::store::schema::{EntityType, FieldShape, RecordShape, Types};
use crate::store::{Problem, SourceFile};

/// The stored entities of a store, by their uid.
#[derive(Clone, Debug, Default)]
pub struct StoredEntities(HashMap<EntityUid, StoredEntity>);

/// One stored entity.
#[derive(Clone, Debug)]
pub struct StoredEntity {
    /// The attributes as they were written: raw strings are not read yet, because a caller's attributes may change what a
    /// plugin reads in them.
    pub raw: Record,
    /// The attributes with the facts that the plugins read, for where no caller says otherwise.
    pub attributes: Record,
    /// The tags.
    pub tags: Record,
    /// The direct parents.
    pub parents: Vec<EntityUid>,
}

impl StoredEntity {
    /// An entity whose attributes are facts, without tags and parents.
    pub fn new(attributes: Record) -> Self {
        Self { raw: attributes.clone(), attributes, tags: Record::new(), parents: Vec::new() }
    }
}

impl StoredEntities {
    /// The stored entity of that uid.
    pub fn get(&self, uid: &EntityUid) -> Option<&StoredEntity> {
        self.0.get(uid)
    }

    /// How many are stored.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is stored.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads `files`, each an array of `{"uid": {"type", "id"}, "attrs": {…}, "parents": […], "tags": {…}}`, with values
    /// written as in requests.
    ///
    /// # Errors
    ///
    /// What is not of that form or does not conform to the schema, a uid that is stored twice, a parent that is not stored,
    /// and cycles.
    pub fn read(files: &[SourceFile], types: &Types, facts: Facts) -> Result<Self, Vec<Problem>> {
        let mut entities = Self::default();
        let mut problems = Vec::new();
        for file in files {
            if let Err(found) = entities.read_file(file, types, facts) {
                problems.extend(found.into_iter().map(|problem| problem.in_file(file)));
            }
        }
        if problems.is_empty() {
            problems.extend(entities.broken_hierarchy(types).into_iter().map(|(uid, problem)| {
                let quoted = serde_json::Value::from(AsRef::<str>::as_ref(uid.id())).to_string();
                let file = files.iter().find(|file| file.text.contains(&quoted));
                match file {
                    Some(file) => problem.in_file(file),
                    None => problem,
                }
            }));
        }
        if problems.is_empty() { Ok(entities) } else { Err(problems) }
    }

    /// Reads one array of such entities.
    ///
    /// # Errors
    ///
    /// As for files.
    pub fn from_json(json: &Json<'_>, types: &Types, facts: Facts) -> Result<Self, Vec<Problem>> {
        let mut entities = Self::default();
        entities.read_array(json, types, facts)?;
        let problems: Vec<Problem> = entities.broken_hierarchy(types).into_iter().map(|(_, problem)| problem).collect();
        if problems.is_empty() { Ok(entities) } else { Err(problems) }
    }

    /// These entities; `None` where one is its own ancestor.
    pub fn acyclic(entities: impl IntoIterator<Item = (EntityUid, StoredEntity)>) -> Option<Self> {
        let all = Self(entities.into_iter().collect());
        all.0.keys().all(|uid| !all.ancestors(uid).contains(uid)).then_some(all)
    }

    /// Every entity, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&EntityUid, &StoredEntity)> {
        self.0.iter()
    }

    /// These, and over them the entities of `others`.
    #[must_use]
    pub fn with(&self, others: &Self) -> Self {
        let mut all = self.clone();
        all.0.extend(others.0.iter().map(|(uid, entity)| (uid.clone(), entity.clone())));
        all
    }

    fn read_file(&mut self, file: &SourceFile, types: &Types, facts: Facts) -> Result<(), Vec<Problem>> {
        let json = Json::parse(file.text.as_bytes(), super::json::DEEPEST);
        let json = json.map_err(|error| vec![Problem::error(format!("the file is {error}"))])?;
        self.read_array(&json, types, facts)
    }

    fn read_array(&mut self, json: &Json<'_>, types: &Types, facts: Facts) -> Result<(), Vec<Problem>> {
        if json.has_duplicates() {
            return Err(vec![Problem::error("an object has two members of one name")]);
        }
        let Json::Array(elements) = json else {
            return Err(vec![Problem::error("entities are written as an array").with_help(FORM)]);
        };
        let mut problems = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            match read_entity(element, types, facts) {
                Ok((uid, _)) if self.0.contains_key(&uid) => {
                    problems.push(Problem::error(format!("the entity `{uid}` is stored twice")));
                }
                Ok((uid, entity)) => {
                    self.0.insert(uid, entity);
                }
                Err(message) => problems.push(Problem::error(format!("entity {index}: {message}")).with_help(FORM)),
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// Every entity whose ancestors are not what they must be, with the problem.
    fn broken_hierarchy(&self, types: &Types) -> Vec<(&EntityUid, Problem)> {
        let mut problems = Vec::new();
        let mut uids: Vec<_> = self.0.keys().collect();
        uids.sort();
        for uid in uids {
            for parent in self.0.get(uid).into_iter().flat_map(|entity| &entity.parents) {
                let enumerated = types.entity(&parent.type_name().to_string()).is_some_and(|known| known.ids.is_some());
                if !self.0.contains_key(parent) && !enumerated {
                    let problem = Problem::error(format!("the parent `{parent}` of the entity `{uid}` is not stored"));
                    problems.push((uid, problem.with_help("store it too, if only with its uid")));
                }
            }
            if self.ancestors(uid).contains(uid) {
                problems.push((uid, Problem::error(format!("the entity `{uid}` is its own ancestor"))));
            }
        }
        problems
    }

    fn ancestors<'a>(&'a self, uid: &EntityUid) -> HashSet<&'a EntityUid> {
        let mut found = HashSet::new();
        let mut open: Vec<&EntityUid> = self.0.get(uid).into_iter().flat_map(|entity| &entity.parents).collect();
        while let Some(next) = open.pop() {
            if found.insert(next) {
                open.extend(self.0.get(next).into_iter().flat_map(|entity| &entity.parents));
            }
        }
        found
    }
}

const FORM: &str = "an entity is written {\"uid\": {\"type\": …, \"id\": …}, \"attrs\": {…}, \"parents\": [{\"type\": …, \"id\": …}]}, \
                    its attributes as in requests: plain ids, raw strings";

fn read_entity(json: &Json<'_>, types: &Types, facts: Facts) -> Result<(EntityUid, StoredEntity), String> {
    let Json::Object(members) = json else { return Err(format!("expected an object, found {}", json.kind())) };
    for (name, _) in members {
        if !["uid", "attrs", "parents", "tags"].contains(&name.as_ref()) {
            return Err(format!("`{name}` is not a member of an entity"));
        }
    }
    let uid = read_uid(json.get("uid").ok_or("`uid` is missing")?)?;
    let entity_type = types.entity(&uid.type_name().to_string());
    let entity_type = entity_type.ok_or_else(|| format!("the schema has no entity type `{}`", uid.type_name()))?;
    if !entity_type.has_id(uid.id().as_ref()) {
        return Err(format!("`{uid}` is not one of the ids of the enumerated type"));
    }
    let raw = attributes(json.get("attrs"), &uid, entity_type, types, facts)?;
    let attributes = read_facts(&entity_type.attributes, &raw, &Roots::of_entity(&raw));
    let tags = tags(json.get("tags"), &uid, entity_type, types, facts)?;
    let parents = parents(json.get("parents"), &uid, entity_type)?;
    Ok((uid, StoredEntity { raw, attributes, tags, parents }))
}

fn read_uid(json: &Json<'_>) -> Result<EntityUid, String> {
    let (Some(name), Some(id)) = (json.get("type").and_then(Json::as_str), json.get("id").and_then(Json::as_str))
    else {
        return Err("a uid is written {\"type\": \"…\", \"id\": \"…\"}".to_owned());
    };
    let name = EntityTypeName::from_str(name).map_err(|_| format!("`{name}` is not the name of an entity type"))?;
    Ok(EntityUid::from_type_name_and_id(name, EntityId::new(id)))
}

fn attributes(
    json: Option<&Json<'_>>,
    uid: &EntityUid,
    entity_type: &EntityType,
    types: &Types,
    facts: Facts,
) -> Result<Record, String> {
    let members = match json {
        None => &[][..],
        Some(Json::Object(members)) => members,
        Some(other) => return Err(format!("`attrs` of `{uid}` is {}, not an object", other.kind())),
    };
    let place = Place::new(Part::Resource);
    let mut decoder = Decoder::new(types, facts);
    let record = decoder.members(&entity_type.attributes, members, &place);
    let at = |place: &Place| place.path.trim_start_matches('.').to_owned();
    let record = record.map_err(|error| {
        format!("`{uid}`: `{}` must be {}, but is {}", at(&error.place), error.expected, error.found)
    })?;
    decoder.require(&entity_type.attributes, &record, &place);
    // A caller's undeclared properties are dropped; an author's are a mistake.
    if let Some(place) = decoder.dropped.named.first() {
        return Err(format!("`{uid}`: the schema declares no attribute `{}`", at(place)));
    }
    match decoder.missing.named.first() {
        Some(place) => Err(format!("`{uid}`: the required attribute `{}` is missing", at(place))),
        None => Ok(record),
    }
}

fn tags(
    json: Option<&Json<'_>>,
    uid: &EntityUid,
    entity_type: &EntityType,
    types: &Types,
    facts: Facts,
) -> Result<Record, String> {
    let members = match (json, &entity_type.tags) {
        (None, _) => return Ok(Record::new()),
        (Some(Json::Object(members)), Some(_)) => members,
        (Some(_), None) => return Err(format!("`{uid}`: the schema declares no tags for this type")),
        (Some(other), _) => return Err(format!("`tags` of `{uid}` is {}, not an object", other.kind())),
    };
    let Some(shape) = &entity_type.tags else { return Ok(Record::new()) };
    let field = |name: &str| (SmolStr::from(name), FieldShape { required: false, shape: shape.clone() });
    let shape = RecordShape(members.iter().map(|(name, _)| field(name)).collect());
    let mut decoder = Decoder::new(types, facts);
    let record = decoder.members(&shape, members, &Place::new(Part::Resource));
    let record = record.map_err(|error| {
        format!("`{uid}`: the tag `{}` must be {}, but is {}", error.place.path, error.expected, error.found)
    })?;
    Ok(read_facts(&shape, &record, &Roots::default()))
}

fn parents(json: Option<&Json<'_>>, uid: &EntityUid, entity_type: &EntityType) -> Result<Vec<EntityUid>, String> {
    let elements = match json {
        None => return Ok(Vec::new()),
        Some(Json::Array(elements)) => elements,
        Some(other) => return Err(format!("`parents` of `{uid}` is {}, not an array", other.kind())),
    };
    let parents = elements.iter().map(|element| {
        let parent = read_uid(element)?;
        if entity_type.parents.contains(parent.type_name()) {
            Ok(parent)
        } else {
            Err(format!("`{uid}`: the schema lets no `{}` be a parent of a `{}`", parent.type_name(), uid.type_name()))
        }
    });
    parents.collect()
}

/// Every entity that a value refers to.
pub fn references<'a>(value: &'a Value, found: &mut Vec<&'a EntityUid>) {
    match value {
        Value::Entity(uid) => found.push(uid),
        Value::Set(elements) => elements.iter().for_each(|element| references(element, found)),
        Value::Record(record) => record.values().for_each(|value| references(value, found)),
        _ => {}
    }
}
