//! Why something was dropped: what the schema declares in its place.

use super::ACTION_MEMBER;
use super::place::{Part, Place};
use crate::store::nearest::nearest;
use crate::store::schema::{Environment, RecordShape, Shape};

/// Why something was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undeclared<'a> {
    /// The schema does not declare it.
    Unknown {
        /// The name that was probably meant.
        nearest: Option<&'a str>,
    },
    /// It is declared, and was read but for what is finer than it can say: a time below the millisecond.
    TooFine,
}

impl<'a> Undeclared<'a> {
    /// What is the matter with what was dropped at that place of a request of that environment.
    pub fn at(place: &Place, environment: &'a Environment) -> Self {
        let names = place.names();
        let Some((last, before)) = names.split_last() else { return Self::Unknown { nearest: None } };
        let record = start(place.part, environment).and_then(|start| {
            before.iter().try_fold(start, |record, name| within(&record.0.get(name.as_str())?.shape))
        });
        match record {
            Some(record) if record.0.contains_key(last.as_str()) => Self::TooFine,
            Some(record) => Self::Unknown { nearest: nearest(last, record.0.keys().map(smol_str::SmolStr::as_str)) },
            None if before.is_empty() && is_of_tags(place.part, environment) => Self::TooFine,
            None => Self::Unknown { nearest: None },
        }
    }
}

/// Whether it is a tag of an entity that has some: whatever its name is, it is declared.
fn is_of_tags(part: Part, environment: &Environment) -> bool {
    match part {
        Part::PrincipalTags => environment.principal_type.tags.is_some(),
        Part::ResourceTags => environment.resource_type.tags.is_some(),
        _ => false,
    }
}

fn start(part: Part, environment: &Environment) -> Option<&RecordShape> {
    match part {
        Part::Principal => Some(&environment.principal_type.attributes),
        Part::Resource => Some(&environment.resource_type.attributes),
        Part::Context => Some(&environment.context),
        Part::Action => within(&environment.context.0.get(ACTION_MEMBER)?.shape),
        _ => None,
    }
}

/// The record that a value of that shape is, or is made of.
fn within(shape: &Shape) -> Option<&RecordShape> {
    match shape {
        Shape::Record(record) => Some(record),
        Shape::Set(element) => within(element),
        _ => None,
    }
}
