//! Reading stored entities, with every mistake in its place.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use miette::SourceSpan;
use smol_str::SmolStr;

use super::{StoredEntities, StoredEntity, Table, id};
use crate::request::facts::{Roots, read_facts};
use crate::request::json::{DEEPEST, Json};
use crate::request::place::{Part, Place};
use crate::request::value::{Decoder, Facts, Record};
use crate::store::schema::{EntityType, FieldShape, RecordShape, Types};
use crate::store::{Problem, SourceFile};

/// So many mistakes of one kind are told: who mends the first of a hundred thousand entities mends the others.
const TOLD: usize = 50;

impl StoredEntities {
    /// Reads `files`, each an array of `{"uid": {"type", "id"}, "attrs": {…}, "parents": […], "tags": {…}}`, with values
    /// written as in requests.
    ///
    /// # Errors
    ///
    /// What is not of that form or does not conform to the schema, a uid that is stored twice, a parent that is not stored,
    /// and cycles: the first fifty of each, with file and entity.
    pub fn read<'f>(
        files: impl IntoIterator<Item = &'f SourceFile> + Clone,
        types: &Types,
    ) -> Result<Self, Vec<Problem>> {
        let mut tables = BTreeMap::new();
        let mut problems = Vec::new();
        for file in files.clone() {
            problems.extend(read_file(file, types, &mut tables));
        }
        tables.values_mut().for_each(Table::finish);
        let entities = Self { tables: Arc::new(tables), ..Self::default() };
        if problems.is_empty() {
            problems =
                entities.broken_hierarchy(types).map(|(uid, problem)| located(problem, &uid, files.clone())).collect();
        }
        if problems.is_empty() { Ok(entities) } else { Err(problems) }
    }

    /// Reads one array of such entities.
    ///
    /// # Errors
    ///
    /// As for files.
    pub fn from_json(json: &Json<'_>, types: &Types, facts: Facts) -> Result<Self, Vec<Problem>> {
        let Json::Array(elements) = json else { return Err(vec![no_array()]) };
        let mut entities = Self::default();
        let mut problems = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            match read_entity(element, types, facts) {
                Ok((uid, _)) if entities.own.contains_key(&uid) => problems.push(twice(&uid)),
                Ok((uid, entity)) => drop(entities.own.insert(uid, entity)),
                Err(message) => problems.push(broken(index, &message)),
            }
        }
        if problems.is_empty() {
            problems = entities.broken_hierarchy(types).map(|(_, problem)| problem).collect();
        }
        if problems.is_empty() { Ok(entities) } else { Err(problems) }
    }

    /// Every entity whose ancestors are not what they must be, with the problem.
    fn broken_hierarchy(&self, types: &Types) -> impl Iterator<Item = (EntityUid, Problem)> {
        let is_there = |parent: &EntityUid| {
            let enumerated = types.entity(&parent.type_name().to_string()).is_some_and(|known| known.ids.is_some());
            enumerated || self.get(parent).is_some()
        };
        let mut orphans: Vec<(EntityUid, &EntityUid)> = self
            .iter()
            .flat_map(|(uid, stored)| stored.parents().iter().map(move |parent| (uid.clone(), parent)))
            .filter(|(_, parent)| !is_there(parent))
            .collect();
        orphans.sort();
        let orphans = orphans.into_iter().take(TOLD).map(|(uid, parent)| {
            let problem = Problem::error(format!("the parent `{parent}` of the entity `{uid}` is not stored"));
            (uid, problem.with_help("store it too, if only with its uid"))
        });
        let orphans: Vec<_> = orphans.collect();
        let cycle = self.cycle().into_iter().map(|cycle| {
            let way: Vec<String> = cycle.iter().chain(cycle.first()).map(|uid| format!("`{uid}`")).collect();
            let problem = Problem::error(format!("entities are their own ancestors: {}", way.join(" in ")));
            (cycle.into_iter().next(), problem.with_help("take one of these parents away"))
        });
        let cycle = cycle.filter_map(|(first, problem)| Some((first?, problem)));
        orphans.into_iter().chain(cycle.collect::<Vec<_>>())
    }
}

fn read_file(file: &SourceFile, types: &Types, tables: &mut BTreeMap<EntityTypeName, Table>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut index = 0;
    let mut more = 0;
    let read = Json::elements(file.text.as_bytes(), DEEPEST, |element| {
        let problem = match read_entity(&element, types, Facts::FromPlugins) {
            Ok((uid, entity)) => (!store(&uid, &entity, types, tables)).then(|| twice(&uid)),
            Err(message) => Some(broken(index, &message)),
        };
        index += 1;
        match problem {
            Some(problem) if problems.len() < TOLD => problems.push(at(problem, &element, file)),
            Some(_) => more += 1,
            None => {}
        }
    });
    if more > 0 {
        problems.push(Problem::error(format!("{more} more entities are wrong")).in_file(file));
    }
    match read {
        Ok(true) => {}
        Ok(false) => problems.push(no_array().in_file(file)),
        Err(error) => problems.push(Problem::error(format!("the file is {error}")).in_file(file)),
    }
    problems
}

fn store(uid: &EntityUid, entity: &StoredEntity, types: &Types, tables: &mut BTreeMap<EntityTypeName, Table>) -> bool {
    let Some(entity_type) = types.shared_entity(&uid.type_name().to_string()) else { return false };
    let table = tables.entry(uid.type_name().clone()).or_insert_with(|| Table::new(entity_type));
    table.insert(id(uid), entity)
}

fn no_array() -> Problem {
    Problem::error("entities are written as an array").with_help(FORM)
}

fn twice(uid: &EntityUid) -> Problem {
    Problem::error(format!("the entity `{uid}` is stored twice")).with_help("keep one of the two")
}

fn broken(index: usize, message: &str) -> Problem {
    Problem::error(format!("entity {index}: {message}")).with_help(FORM)
}

/// The problem where the entity of that uid stands.
fn located<'f>(problem: Problem, uid: &EntityUid, files: impl IntoIterator<Item = &'f SourceFile>) -> Problem {
    for file in files {
        let mut found = None;
        // The files have been read before.
        let _ = Json::elements(file.text.as_bytes(), DEEPEST, |element| {
            if element.get("uid").is_some_and(|json| read_uid(json).is_ok_and(|read| read == *uid)) {
                found.get_or_insert(at(problem.clone(), &element, file));
            }
        });
        if let Some(found) = found {
            return found;
        }
    }
    problem
}

/// The problem where the id of that element stands.
fn at(problem: Problem, element: &Json<'_>, file: &SourceFile) -> Problem {
    let problem = problem.in_file(file);
    let id = element.get("uid").and_then(|uid| uid.get("id")).and_then(Json::as_str);
    match id.and_then(|id| span_in(&file.text, id)) {
        Some(span) => problem.at(span, ""),
        None => problem,
    }
}

/// Where a string stands in the text from which it was borrowed; `None` where it was copied, because it holds an escape.
fn span_in(text: &str, part: &str) -> Option<SourceSpan> {
    let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    (text.get(start..start + part.len())? == part).then(|| (start, part.len()).into())
}

const FORM: &str = "an entity is written {\"uid\": {\"type\": …, \"id\": …}, \"attrs\": {…}, \"parents\": [{\"type\": …, \"id\": …}]}, \
                    its attributes as in requests: plain ids, raw strings";

fn read_entity(json: &Json<'_>, types: &Types, facts: Facts) -> Result<(EntityUid, StoredEntity), String> {
    let Json::Object(members) = json else { return Err(format!("expected an object, found {}", json.kind())) };
    if json.has_duplicates() {
        return Err("an object in it has two members of one name".to_owned());
    }
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
