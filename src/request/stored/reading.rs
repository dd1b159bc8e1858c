//! Reading stored entities, with every mistake in its place.

use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use hashbrown::{HashMap, HashSet};
use miette::SourceSpan;

use super::{NotStored, StoredEntities, StoredEntity, Table, id};
use crate::request::InvalidRequest;
use crate::request::facts::{Roots, read_facts, read_tags};
use crate::request::json::{DEEPEST, Json};
use crate::request::place::{Part, Place, Way, leads_into};
use crate::request::value::{Decoder, Facts, Record, Speaker, lost_references};
use crate::store::masks::{Sensitive, element};
use crate::store::schema::{EntityType, RecordShape, Shape, Types};
use crate::store::{LONGEST_LINE, Problem, SourceFile};

/// So many mistakes of one kind are told: who mends the first of a hundred thousand entities mends the others.
const TOLD: usize = 10;

impl StoredEntities {
    /// Reads `files`, each an array of `{"uid": {"type", "id"}, "attrs": {…}, "parents": […], "tags": {…}}`, with values
    /// written as in requests.
    ///
    /// # Errors
    ///
    /// What is not of that form or does not conform to the schema, a uid that is stored twice, a parent that is not stored,
    /// and cycles: the first ten of each, with file and entity.
    pub fn read<'f>(
        files: impl IntoIterator<Item = &'f SourceFile> + Clone,
        types: &Types,
    ) -> Result<Self, Vec<Problem>> {
        let mut read = Read::default();
        let mut problems = Vec::new();
        for file in files.clone() {
            problems.extend(read_file(file, types, &mut read));
        }
        let Read { mut tables, floored } = read;
        tables.values_mut().for_each(Table::finish);
        let entities = Self { tables: Arc::new(tables), floored: Arc::new(floored), ..Self::default() };
        if problems.is_empty() {
            problems =
                entities.broken_hierarchy(types).map(|(uid, problem)| located(problem, &uid, files.clone())).collect();
        }
        // A line holds a whole entity, and often its neighbours.
        if !Sensitive::of(types).is_empty() {
            problems = problems.into_iter().map(Problem::without_text).collect();
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

    /// Whether an entity of that form could be stored, beside what it refers to.
    pub fn can_store(json: &Json<'_>, types: &Types, facts: Facts) -> bool {
        read_entity(json, types, facts).is_ok()
    }

    /// Every entity whose ancestors are not what they must be, with the problem.
    fn broken_hierarchy(&self, types: &Types) -> impl Iterator<Item = (EntityUid, Problem)> {
        let is_there = |parent: &EntityUid| {
            let enumerated = types.entity_of(parent.type_name()).is_some_and(|known| known.ids.is_some());
            enumerated || self.get(parent).is_some()
        };
        let mut orphans: Vec<(EntityUid, EntityUid)> = self
            .iter()
            .flat_map(|(uid, stored)| stored.parents().map(move |parent| (uid.clone(), parent)))
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
        orphans.into_iter().chain(cycle.collect::<Vec<_>>()).chain(self.lost_references(types))
    }

    /// Every entity that refers to one that must be stored and is not, with the problem.
    fn lost_references(&self, types: &Types) -> Vec<(EntityUid, Problem)> {
        let mut problems = Vec::new();
        let way = Way::Part(Part::Resource);
        for (uid, stored) in self.iter() {
            let Some(known) = types.entity_of(uid.type_name()).filter(|known| known.has_must_exist) else { continue };
            let (raw, mut lost) = (stored.raw(), Vec::new());
            lost_references(&known.attributes, &raw, types, self, &way, &mut lost);
            problems.extend(lost.into_iter().map(|(place, referred)| {
                let at = place.path.trim_start_matches('.').to_owned();
                let referred = match is_masked(&known.attributes, &place) {
                    true => "something that is masked".to_owned(),
                    false => format!("`{referred}`"),
                };
                let problem =
                    Problem::error(format!("`{uid}`: `{at}` refers to {referred}, which must exist and is not stored"));
                (uid.clone(), problem.with_help("store it too, if only with its uid"))
            }));
        }
        problems.sort_by(|(uid, _), (other, _)| uid.cmp(other));
        problems.truncate(TOLD);
        problems
    }
}

/// The entities of the files that were read.
#[derive(Default)]
struct Read {
    tables: HashMap<EntityTypeName, Table>,
    floored: HashSet<EntityUid>,
}

fn read_file(file: &SourceFile, types: &Types, all: &mut Read) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut index = 0;
    let mut more = 0;
    let read = Json::elements(file.text.as_bytes(), DEEPEST, |element| {
        let problem = match read_entity(&element, types, Facts::FromPlugins) {
            Ok((uid, entity)) => store(&uid, entity, types, all).err().map(|why| not_stored(&uid, why)),
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
        Err(error) => problems.push(Problem::not_json("the file", &error.to_string(), file)),
    }
    problems
}

fn store(uid: &EntityUid, entity: StoredEntity, types: &Types, all: &mut Read) -> Result<(), NotStored> {
    let entity_type = types.shared_entity(&uid.type_name().to_string()).ok_or(NotStored::Misshapen)?;
    let table = all.tables.entry(uid.type_name().clone()).or_insert_with(|| Table::new(entity_type));
    table.insert(id(uid), &entity)?;
    if entity.floored {
        all.floored.insert(uid.clone());
    }
    Ok(())
}

fn not_stored(uid: &EntityUid, why: NotStored) -> Problem {
    match why {
        NotStored::Twice => twice(uid),
        why => Problem::error(format!("the entity `{uid}` cannot be stored: {why}")),
    }
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
    match id.and_then(|id| span_in(&file.text, id)).filter(|span| file.line_length(span.offset()) <= LONGEST_LINE) {
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
    let entity_type = types.entity_of(uid.type_name());
    let entity_type = entity_type.ok_or_else(|| format!("the schema has no entity type `{}`", uid.type_name()))?;
    if !entity_type.has_id(uid.id().as_ref()) {
        return Err(format!("`{uid}` is not one of the ids of the enumerated type"));
    }
    let mut floored = false;
    let raw = attributes(json.get("attrs"), &uid, entity_type, types, facts, &mut floored)?;
    let roots = Roots::of_entity(&raw);
    let attributes = read_facts(&entity_type.attributes, &raw, &roots);
    let raw_tags = tags(json.get("tags"), &uid, entity_type, types, facts, &mut floored)?;
    let tags = entity_type.tags.as_ref().map(|shape| read_tags(shape, &raw_tags, &roots)).unwrap_or_default();
    let parents = parents(json.get("parents"), &uid, entity_type, types)?;
    Ok((uid, StoredEntity { raw, attributes, raw_tags, tags, parents, floored }))
}

fn read_uid(json: &Json<'_>) -> Result<EntityUid, String> {
    let is_plain = matches!(json, Json::Object(members) if members.len() == 2);
    let (Some(name), Some(id), true) =
        (json.get("type").and_then(Json::as_str), json.get("id").and_then(Json::as_str), is_plain)
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
    floored: &mut bool,
) -> Result<Record, String> {
    let members = match json {
        None => &[][..],
        Some(Json::Object(members)) => members,
        Some(other) => return Err(format!("`attrs` of `{uid}` is {}, not an object", other.kind())),
    };
    let mut decoder = Decoder::new(types, facts, Speaker::Store);
    let way = Way::Part(Part::Resource);
    let record = decoder.members(&entity_type.attributes, members, &way);
    let record = record.inspect(|record| decoder.require(&entity_type.attributes, record, &way));
    let record = whole(record, &decoder, "attribute", |place| is_masked(&entity_type.attributes, place));
    *floored |= !decoder.floored.is_empty();
    record.map_err(|why| format!("`{uid}`: {why}"))
}

/// What was read, if nothing of it was dropped or is missing. A caller's undeclared properties are dropped, and what is missing is denied;
/// an author's are mistakes. `what` they are, a message says, but not what stands where something is masked.
fn whole(
    record: Result<Record, InvalidRequest>,
    decoder: &Decoder<'_>,
    what: &str,
    is_masked: impl Fn(&Place) -> bool,
) -> Result<Record, String> {
    let at = |place: &Place| place.path.trim_start_matches('.').to_owned();
    let record = record.map_err(|error| {
        if is_masked(&error.place) { error.without_value().in_words(at) } else { error.in_words(at) }
    })?;
    // A time that was floored stands among what was dropped, but is declared.
    let is_floored = |place: &&Place| decoder.floored.contains(place);
    if let Some(place) = decoder.dropped.named.iter().find(|place| !is_floored(place)) {
        return Err(format!("the schema declares no {what} `{}`", at(place)));
    }
    if decoder.dropped.named.len() + decoder.dropped.more > decoder.floored.len() {
        return Err(format!("the schema does not declare every {what}"));
    }
    match decoder.missing.named.first() {
        Some(place) => Err(format!("the required {what} `{}` is missing", at(place))),
        None => Ok(record),
    }
}

/// Whether what stands at a path of a record is `@sensitive`, or lies in what is, or is read by a plugin from a string that the log masks.
fn is_masked(shape: &RecordShape, place: &Place) -> bool {
    masks(shape, &Place::new(Part::Context), &place.path_without_elements())
}

fn masks(shape: &RecordShape, within: &Place, path: &str) -> bool {
    shape.0.iter().any(|(name, field)| {
        let place = within.member(name);
        (field.sensitive && leads_into(path, &place.path)) || masks_in(&field.shape, &place, path)
    })
}

fn masks_in(shape: &Shape, place: &Place, path: &str) -> bool {
    leads_into(path, &place.path)
        && match element(shape) {
            Shape::Record(record) => masks(record, place, path),
            Shape::Parsed(_) => true,
            _ => false,
        }
}

/// The tags as they are written.
fn tags(
    json: Option<&Json<'_>>,
    uid: &EntityUid,
    entity_type: &EntityType,
    types: &Types,
    facts: Facts,
    floored: &mut bool,
) -> Result<Record, String> {
    let (members, shape) = match (json, &entity_type.tags) {
        (None, _) => return Ok(Record::new()),
        (Some(Json::Object(members)), Some(shape)) => (members, shape),
        (Some(_), None) => return Err(format!("`{uid}`: the schema declares no tags for this type")),
        (Some(other), _) => return Err(format!("`tags` of `{uid}` is {}, not an object", other.kind())),
    };
    let mut decoder = Decoder::new(types, facts, Speaker::Store);
    let way = Way::Part(Part::ResourceTags);
    let masks_tag = |found: &Place| {
        let path = found.path_without_elements();
        members.iter().any(|(key, _)| masks_in(shape, &Way::Member(&way, key).place(), &path))
    };
    let record = whole(decoder.tags(shape, members, &way), &decoder, "field", masks_tag);
    *floored |= !decoder.floored.is_empty();
    record.map_err(|why| format!("`{uid}`: among its tags, {why}"))
}

fn parents(
    json: Option<&Json<'_>>,
    uid: &EntityUid,
    entity_type: &EntityType,
    types: &Types,
) -> Result<Vec<EntityUid>, String> {
    let elements = match json {
        None => return Ok(Vec::new()),
        Some(Json::Array(elements)) => elements,
        Some(other) => return Err(format!("`parents` of `{uid}` is {}, not an array", other.kind())),
    };
    let parents = elements.iter().map(|element| {
        let parent = read_uid(element)?;
        let (of, name) = (uid.type_name(), parent.type_name());
        if !entity_type.parents.contains(name) {
            return Err(format!("`{uid}`: the schema lets no `{name}` be a parent of a `{of}`"));
        }
        match types.entity_of(name).filter(|known| !known.has_id(parent.id().as_ref())) {
            Some(known) => Err(format!("the parent `{parent}` of `{uid}` must be {}", known.expected())),
            None => Ok(parent),
        }
    });
    parents.collect()
}
