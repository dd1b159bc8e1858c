//! Why a request cannot be decided: what it states cannot be meant.

use super::place::{Place, Way};
use super::value::shortened;
use crate::store::schema::EntityType;

/// Something that a caller states and that cannot be meant: the caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.in_words(Place::to_string))]
pub struct InvalidRequest {
    /// Where it stands.
    pub place: Place,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with something that a caller states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is of another type than the schema declares, or no value of that type.
    Type {
        /// What the schema expects.
        expected: String,
        /// What was sent.
        found: String,
    },
    /// Another value stands at that place for the same thing.
    Contradicts(Place),
    /// The schema lets only the store say it.
    OnlyStored,
    /// It is a time that differs from another only below Cedar's millisecond.
    TooFine([Time; 2]),
    /// It is a parent that the entity cannot have.
    Parent(String),
}

/// A time that a request has, or leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Time {
    /// It was sent, there.
    Sent(Place),
    /// It is stored of the principal or of the resource, and stands there.
    Stored(Place),
    /// It is stored of something that is only referred to.
    Elsewhere,
}

impl Time {
    fn in_words(&self, place: impl Fn(&Place) -> String) -> String {
        match self {
            Self::Sent(at) => format!("`{}`", place(at)),
            Self::Stored(at) => format!("the stored `{}`", place(at)),
            Self::Elsewhere => "a stored time".to_owned(),
        }
    }
}

/// Two times that differ only below the millisecond, and what can be done about it.
fn too_fine(times: &[Time; 2], place: impl Fn(&Place) -> String) -> String {
    let two = match times {
        [Time::Elsewhere, Time::Elsewhere] => "two stored times that the request leads to".to_owned(),
        [one, other] => format!("{} and {}", one.in_words(&place), other.in_words(&place)),
    };
    let advice = match times.each_ref().map(|time| matches!(time, Time::Sent(_))) {
        [true, true] => "send",
        [false, false] => "store",
        [true, false] | [false, true] => "send and store",
    };
    format!("{two} differ only below the millisecond, where times are not compared: {advice} whole milliseconds")
}

impl InvalidRequest {
    pub(super) fn new(way: &Way<'_>, expected: String, found: String) -> Self {
        Self { place: way.place(), fault: Fault::Type { expected, found } }
    }

    pub(super) fn unknown_id(entity_type: &EntityType, id: &str, way: &Way<'_>) -> Self {
        Self::new(way, entity_type.expected(), format!("`{}`", shortened(id)))
    }

    pub(super) fn only_stored(way: &Way<'_>) -> Self {
        Self { place: way.place(), fault: Fault::OnlyStored }
    }

    pub(super) fn contradiction(way: &Way<'_>, other: &Way<'_>) -> Self {
        Self { place: way.place(), fault: Fault::Contradicts(other.place()) }
    }

    pub(super) fn parent(way: &Way<'_>, why: String) -> Self {
        Self { place: way.place(), fault: Fault::Parent(why) }
    }

    /// Whether it is a time to which policies lead, so that others may not lead there.
    pub fn is_led_to(&self) -> bool {
        matches!(&self.fault, Fault::TooFine(times) if times.contains(&Time::Elsewhere))
    }

    /// The same, without what was found there.
    pub(super) fn without_value(self) -> Self {
        let fault = match self.fault {
            Fault::Type { expected, .. } => {
                Fault::Type { expected, found: "something else, which is masked".to_owned() }
            }
            other => other,
        };
        Self { fault, ..self }
    }

    /// The mistake in words, with each place as `place` says it.
    pub fn in_words(&self, place: impl Fn(&Place) -> String) -> String {
        let at = place(&self.place);
        match &self.fault {
            Fault::Type { expected, found } => format!("`{at}` must be {expected}, but is {found}"),
            Fault::Contradicts(other) => {
                format!("`{at}` and `{}` contradict each other: send one of them, or the same value", place(other))
            }
            Fault::OnlyStored => format!("`{at}` is for the store alone to say: leave it out"),
            Fault::TooFine(times) => too_fine(times, place),
            Fault::Parent(why) => format!("`{at}` {why}"),
        }
    }

    /// What is wrong, without anything that was sent: for a log.
    pub fn expected(&self) -> &str {
        match &self.fault {
            Fault::Type { expected, .. } => expected,
            Fault::Contradicts(_) => "the same value wherever it is sent",
            Fault::OnlyStored => "nothing: it is for the store alone to say",
            Fault::TooFine(_) => "a time that differs from others by whole milliseconds",
            Fault::Parent(_) => "a parent that the entity can have",
        }
    }
}
