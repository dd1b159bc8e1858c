//! A record of the decision log, read.

use std::borrow::Cow;

use cedar_policy::EntityUid;

use crate::request::json::{Json, Members, member};
use crate::request::place::{Part, Participant, Place, leads_into};
use crate::request::value::RESERVED;
use crate::request::{Named, Question};
use crate::store::schema::{Environment, RecordShape, Shape};

/// A record of a decision, or of a page of a search.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recorded<'a>(Members<'a>);

impl<'a> Recorded<'a> {
    /// Nothing, if the line is no such record but one of the log itself.
    pub(super) fn of(line: &'a Json<'a>) -> Option<Self> {
        let Json::Object(members) = line else { return None };
        (text(members, "type") == Some("decision")).then_some(Self(members))
    }

    pub(super) fn sequence(self) -> i64 {
        self.number("sequence").unwrap_or_default()
    }

    /// A member that is a whole number.
    pub(super) fn number(self, name: &str) -> Option<i64> {
        match member(self.0, name) {
            Some(Json::Long(number)) => Some(*number),
            _ => None,
        }
    }

    /// A member that is a string.
    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        text(self.0, name)
    }

    /// The strings of a member that is an array of them.
    pub(super) fn texts(self, name: &str) -> impl Iterator<Item = &'a str> {
        elements(self.0, name).filter_map(Json::as_str)
    }

    /// A member that is a number of things; 0 where it is not there.
    pub(super) fn count(self, name: &str) -> usize {
        match member(self.0, name) {
            Some(Json::Long(count)) => usize::try_from(*count).unwrap_or(0),
            _ => 0,
        }
    }

    pub(super) fn is_search(self) -> bool {
        matches!(self.text("endpoint"), Some("subjectSearch" | "resourceSearch"))
    }

    pub(super) fn has(self, name: &str) -> bool {
        member(self.0, name).is_some()
    }

    /// Whether it was allowed.
    pub(super) fn allowed(self) -> bool {
        self.text("decision") == Some("allow")
    }

    /// The ids of the policies that determined it, in their order; of very many the first.
    pub(super) fn determining(self) -> impl Iterator<Item = &'a str> {
        elements(self.0, "determining").filter_map(|policy| policy.get("policy")?.as_str())
    }

    /// What was asked, as it was logged; nothing, if that is not there.
    pub(super) fn question(self) -> Option<Question<'a>> {
        let context = members(self.0, "context");
        Some(Question {
            principal: named(member(self.0, "principal")?)?,
            action: self.text("action")?,
            // What the caller said of the action stands in the context.
            action_attributes: &[],
            resource: named(member(self.0, "resource")?)?,
            context,
        })
    }

    /// Whether it is about the action of that id, or of that whole name.
    pub(super) fn is_about(self, action: &str) -> bool {
        let whole = self.text("action").unwrap_or_default();
        let is_id = || whole.parse().is_ok_and(|uid: EntityUid| AsRef::<str>::as_ref(uid.id()) == action);
        whole == action || (whole.contains(action) && is_id())
    }

    /// Whether an entity was stored, where the record says so.
    pub(super) fn stored(self, participant: Participant) -> Option<bool> {
        let name = if participant == Participant::Principal { "principal" } else { "resource" };
        match member(self.0, name)?.get("stored")? {
            Json::Bool(stored) => Some(*stored),
            _ => None,
        }
    }

    /// What the caller sent and the schema of then did not declare, but this one does, or may; so it would now be taken, but its value is
    /// not in the log. Times that were `floored` stand there too, but are declared.
    pub(super) fn dropped_then_declared_now(self, environment: &Environment, floored: &[Place]) -> Option<&'a str> {
        let mut dropped =
            self.texts("dropped").filter(|dropped| !floored.iter().any(|place| place.to_string() == **dropped));
        dropped.find(|dropped| {
            let shown = Place { part: Part::Context, path: (*dropped).into() }.path_without_elements();
            let sides = [
                (Participant::Principal, &environment.principal_type),
                (Participant::Resource, &environment.resource_type),
            ];
            let of_entities = sides.iter().any(|(participant, entity_type)| {
                let tags = Place::new(participant.tags()).to_string();
                declares(&entity_type.attributes, &Place::new(participant.attributes()), &shown)
                    || (entity_type.tags.is_some() && leads_into(&shown, &tags))
            });
            // Of a place that is cut off, nobody knows where it lies.
            of_entities || shown.ends_with('…') || declares(&environment.context, &Place::new(Part::Context), &shown)
        })
    }
}

/// Whether a shape declares a member at a place, as [`Place`] shows it, but for which elements of sets it lies in.
fn declares(shape: &RecordShape, place: &Place, shown: &str) -> bool {
    shape.0.iter().any(|(name, field)| {
        let place = place.member(name);
        let text = place.to_string();
        if text == shown {
            return true;
        }
        let mut inner = &field.shape;
        while let Shape::Set(element) = inner {
            inner = element;
        }
        match inner {
            Shape::Record(record) => leads_into(shown, &text) && declares(record, &place, shown),
            _ => false,
        }
    })
}

/// Gives the tags in a record their names: those that start as the names of the log itself are written with that start twice.
pub(super) fn name_tags(line: &mut Json<'_>) {
    let Json::Object(members) = line else { return };
    let entities = members.iter_mut().filter(|(name, _)| matches!(&**name, "principal" | "resource"));
    for (_, entity) in entities {
        let Json::Object(entity) = entity else { continue };
        for (_, tags) in entity.iter_mut().filter(|(name, _)| name == "tags") {
            let Json::Object(tags) = tags else { continue };
            for (name, _) in tags.iter_mut() {
                if let Some(own) = name.strip_prefix(RESERVED).filter(|own| own.starts_with(RESERVED)) {
                    *name = Cow::Owned(own.to_owned());
                }
            }
            tags.sort_by(|(left, _), (right, _)| left.cmp(right));
        }
    }
}

fn named<'a>(entity: &'a Json<'a>) -> Option<Named<'a>> {
    let Json::Object(entity) = entity else { return None };
    let id = text(entity, "id").unwrap_or_default();
    Some(Named {
        type_name: text(entity, "type")?,
        id,
        attributes: members(entity, "attributes"),
        tags: members(entity, "tags"),
        parents: member(entity, "parents").map(Json::array).unwrap_or_default(),
    })
}

fn members<'a>(object: Members<'a>, name: &str) -> Members<'a> {
    match member(object, name) {
        Some(Json::Object(members)) => members,
        _ => &[],
    }
}

fn text<'a>(object: Members<'a>, name: &str) -> Option<&'a str> {
    member(object, name)?.as_str()
}

fn elements<'a>(object: Members<'a>, name: &str) -> impl Iterator<Item = &'a Json<'a>> {
    let elements = match member(object, name) {
        Some(Json::Array(elements)) => elements.as_slice(),
        _ => &[],
    };
    elements.iter()
}
