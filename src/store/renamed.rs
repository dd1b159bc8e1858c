//! A store in which values of enumerated types have other names, as its author states.

use std::str::FromStr;

use cedar_policy::EntityUid;
use cedar_policy_core::parser::unescape::to_unescaped_string;
use regex::{Captures, Regex};
use serde_json::{Map, Value as Json};

use super::Store;
use super::files::StoreFiles;
use super::problem::{Problem, SourceFile};
use super::schema::{RecordShape, Shape, Types};
use super::written;

/// That a value of an enumerated type has another name now: `Level::"low"=Level::"minor"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// As the older store calls it.
    pub old: EntityUid,
    /// As the newer store calls it.
    pub new: EntityUid,
}

impl FromStr for Renamed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A name may hold the sign, too.
        let pairs = text.match_indices('=').filter_map(|(place, _)| {
            let (old, new) = (text.get(..place)?.trim(), text.get(place + 1..)?.trim());
            Some(Self { old: old.parse().ok()?, new: new.parse().ok()? })
        });
        let found: Vec<Self> = pairs.collect();
        let [renamed] = found.as_slice() else {
            return Err("write the old name and the new one: Level::\"low\"=Level::\"minor\"".to_owned());
        };
        if renamed.old.type_name() != renamed.new.type_name() {
            return Err("the old name and the new one are of two types".to_owned());
        }
        Ok(renamed.clone())
    }
}

impl std::fmt::Display for Renamed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} = {}", self.old, self.new)
    }
}

/// The files of a store, with the new names everywhere in place of the old ones. `store` is what they hold.
///
/// # Errors
///
/// An old name that the store does not have, or a new one that it has.
pub fn renamed(mut files: StoreFiles, store: &Store, names: &[Renamed]) -> Result<StoreFiles, Problem> {
    for renamed in names {
        let ids = store.types.entity_of(renamed.old.type_name()).and_then(|found| found.ids.as_ref());
        let has = |uid: &EntityUid| ids.is_some_and(|ids| ids.iter().any(|id| id == id_of(uid)));
        if !has(&renamed.old) {
            return Err(Problem::error(format!(
                "`{}` is renamed, and is no value of an enumerated type in {}",
                renamed.old, store.origin
            )));
        }
        let is_renamed_too = names.iter().any(|other| other.old == renamed.new);
        let is_taken = names.iter().any(|other| other.old != renamed.old && other.new == renamed.new);
        if (has(&renamed.new) && !is_renamed_too) || is_taken {
            return Err(Problem::error(format!(
                "`{}` is renamed to `{}`, which is another value in {}",
                renamed.old, renamed.new, store.origin
            )));
        }
    }
    for file in files.schema.iter_mut() {
        *file = in_schema(file, names);
    }
    for file in files.policies.iter_mut().chain(&mut files.matrix) {
        *file = in_policies(file, names)?;
    }
    for file in files.entities.iter_mut().chain(&mut files.further_entities) {
        *file = in_entities(file, &store.types, names)?;
    }
    // What was signed are the old names.
    files.signature = None;
    Ok(files)
}

fn id_of(uid: &EntityUid) -> &str {
    uid.id().as_ref()
}

fn in_schema(file: &SourceFile, names: &[Renamed]) -> SourceFile {
    let mut places = Vec::new();
    for declared in written::read(&file.text) {
        for word in &declared.ids {
            let is_of = |uid: &EntityUid| {
                let of = uid.type_name();
                of.namespace() == declared.namespace && declared.name(of.basename()).is_some()
            };
            let found = names.iter().find(|renamed| id_of(&renamed.old) == word.text && is_of(&renamed.old));
            places.extend(found.map(|renamed| (word.span, format!("{:?}", id_of(&renamed.new)))));
        }
    }
    let mut text = file.text.to_string();
    places.sort_by_key(|(span, _)| std::cmp::Reverse(span.offset()));
    for (span, new) in places {
        text.replace_range(span.offset()..span.offset() + span.len(), &new);
    }
    SourceFile { path: file.path.clone(), text: text.into() }
}

fn in_policies(file: &SourceFile, names: &[Renamed]) -> Result<SourceFile, Problem> {
    let literal = Regex::new(r#"((?:\b[A-Za-z_]\w*\s*::\s*)+)("(?:[^"\\]|\\.)*")"#);
    let literal = literal.map_err(|error| Problem::error(error.to_string()))?;
    let text = literal.replace_all(&file.text, |found: &Captures<'_>| {
        let part = |index| found.get(index).map(|part| part.as_str()).unwrap_or_default();
        let of: String = part(1).chars().filter(|character| !character.is_whitespace()).collect();
        let id = part(2).trim_matches('"');
        let id = to_unescaped_string(id).map(|id| id.to_string()).unwrap_or_default();
        let is_old = |uid: &EntityUid| id_of(uid) == id && format!("{}::", uid.type_name()) == of;
        match names.iter().find(|renamed| is_old(&renamed.old)) {
            Some(renamed) => renamed.new.to_string(),
            None => part(0).to_owned(),
        }
    });
    Ok(SourceFile { path: file.path.clone(), text: text.into_owned().into() })
}

fn in_entities(file: &SourceFile, types: &Types, names: &[Renamed]) -> Result<SourceFile, Problem> {
    let unreadable = |error| Problem::error(format!("`{}` cannot be read: {error}", file.path));
    let mut entities: Json = serde_json::from_str(&file.text).map_err(unreadable)?;
    for entity in entities.as_array_mut().into_iter().flatten() {
        let of = entity.get("uid").and_then(|uid| uid.get("type")).and_then(Json::as_str);
        let Some(of) = of.and_then(|of| types.entity(of)) else { continue };
        if let Some(attributes) = entity.get_mut("attrs").and_then(Json::as_object_mut) {
            in_record(attributes, &of.attributes, names);
        }
        if let (Some(tags), Some(shape)) = (entity.get_mut("tags").and_then(Json::as_object_mut), &of.tags) {
            tags.values_mut().for_each(|tag| in_value(tag, shape, names));
        }
        let parents = entity.get_mut("parents").and_then(Json::as_array_mut).into_iter().flatten();
        let uids = parents.collect::<Vec<_>>();
        uids.into_iter().for_each(|uid| in_uid(uid, names));
    }
    Ok(SourceFile { path: file.path.clone(), text: entities.to_string().into() })
}

fn in_record(record: &mut Map<String, Json>, shape: &RecordShape, names: &[Renamed]) {
    for (name, value) in record {
        if let Some(field) = shape.0.get(name.as_str()) {
            in_value(value, &field.shape, names);
        }
    }
}

fn in_value(value: &mut Json, shape: &Shape, names: &[Renamed]) {
    match (shape, value) {
        (Shape::Set(element), Json::Array(elements)) => {
            elements.iter_mut().for_each(|found| in_value(found, element, names));
        }
        (Shape::Record(shape), Json::Object(members)) => in_record(members, shape, names),
        (Shape::Entity(of), Json::String(id)) => {
            let found = names.iter().find(|renamed| renamed.old.type_name() == of && id_of(&renamed.old) == id);
            if let Some(renamed) = found {
                id_of(&renamed.new).clone_into(id);
            }
        }
        (Shape::Entity(_), uid @ Json::Object(_)) => in_uid(uid, names),
        _ => {}
    }
}

fn in_uid(uid: &mut Json, names: &[Renamed]) {
    let part = |name: &str| uid.get(name).and_then(Json::as_str);
    let (Some(of), Some(id)) = (part("type"), part("id")) else { return };
    let is_old = |old: &EntityUid| old.type_name().to_string() == of && id_of(old) == id;
    if let Some(renamed) = names.iter().find(|renamed| is_old(&renamed.old)) {
        uid["id"] = id_of(&renamed.new).into();
    }
}
