//! How the types of requests read a body: what a member is read as, and what is said of one that is wrong.

use std::fmt;

use serde::Deserialize;
use serde::de::value::StrDeserializer;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::BadRequest;
use super::unread::UnreadMembers;
use crate::request::json::{Json, Members, member};
use crate::request::value::shortened;

/// Defines a type that is read from the members of an object, and described in the OpenAPI document: the name of each member
/// stands here, and nowhere else. Members of other names are not read, and noted as such, but for nulls, which are as if absent. Those that
/// are `passed_over` the standard has, and says that they mean nothing here: the function behind one notes what in it could mean something.
macro_rules! object {
    ($(#[$about:meta])* pub struct $object:ident $(<$life:lifetime>)? $(passed_over [$($passed:literal => $noted:path),*])? {
        $($(#[$about_member:meta])* $name:literal => $visibility:vis $member:ident: $type:ty,)*
    }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, utoipa::ToSchema)]
        pub struct $object $(<$life>)? {
            $($(#[$about_member])* #[schema(rename = $name)] $visibility $member: $type,)*
        }

        impl $(<$life>)? $object $(<$life>)? {
            /// The names of the members that are read.
            pub const NAMES: &'static [&'static str] = &[$($name,)*];
        }

        impl<'a> $crate::http::authzen::reading::FromMembers<'a> for $object $(<$life>)? {
            fn from_members(
                members: $crate::request::json::Members<'a>,
                object: &'static str,
            ) -> Result<Self, $crate::http::authzen::BadRequest> {
                Ok(Self { $($member: $crate::http::authzen::reading::read_member(members, object, $name)?,)* })
            }

            fn note_unread(
                members: $crate::request::json::Members<'a>,
                object: &'static str,
                unread: &mut $crate::http::authzen::unread::UnreadMembers,
            ) {
                for (name, json) in $crate::request::json::said(members) {
                    match name.as_ref() {
                        $($name => {
                            <$type as $crate::http::authzen::reading::FromMember<'a>>::note_unread_in(json, $name, unread);
                        })*
                        $($($passed => $noted(json, unread),)*)?
                        other => unread.note(other, object, Self::NAMES),
                    }
                }
            }
        }

        impl<'a> $crate::http::authzen::reading::FromMember<'a> for $object $(<$life>)? {
            fn from_member(
                json: &'a $crate::request::json::Json<'a>,
                at: $crate::http::authzen::reading::At,
            ) -> Result<Self, $crate::http::authzen::BadRequest> {
                $crate::http::authzen::reading::read_object(json, at)
            }

            fn absent(at: $crate::http::authzen::reading::At) -> Result<Self, $crate::http::authzen::BadRequest> {
                $crate::http::authzen::reading::absent_object(at)
            }

            fn note_unread_in(
                json: &'a $crate::request::json::Json<'a>,
                name: &'static str,
                unread: &mut $crate::http::authzen::unread::UnreadMembers,
            ) {
                if let $crate::request::json::Json::Object(members) = json {
                    <Self as $crate::http::authzen::reading::FromMembers<'a>>::note_unread(members, name, unread);
                }
            }
        }
    };
}
pub(super) use object;

/// What is read from the members of an object.
pub(super) trait FromMembers<'a>: Sized {
    /// `object` is the name of the member that the object is; empty for the body itself.
    fn from_members(members: Members<'a>, object: &'static str) -> Result<Self, BadRequest>;

    /// Notes the members that are not read, in it and in the objects that it holds.
    fn note_unread(members: Members<'a>, object: &'static str, unread: &mut UnreadMembers);
}

/// What a member is read as.
pub(super) trait FromMember<'a>: Sized {
    /// The member, which is there.
    fn from_member(json: &'a Json<'a>, at: At) -> Result<Self, BadRequest>;

    /// What an object has that lacks the member.
    fn absent(at: At) -> Result<Self, BadRequest> {
        Err(missing(at))
    }

    /// What a null is: as if absent, where the member may be that; else a value of a wrong type.
    fn from_null(null: &'a Json<'a>, at: At) -> Result<Self, BadRequest> {
        Self::absent(at).or_else(|_| Self::from_member(null, at))
    }

    /// Notes the members inside it that are not read.
    fn note_unread_in(_: &'a Json<'a>, _: &'static str, _: &mut UnreadMembers) {}
}

/// Where a member stands in a body, shown as `` `subject` `` or `` `subject.id` ``.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    /// The object that has it; empty for the body itself.
    pub(super) object: &'static str,
    /// Its name.
    pub(super) name: &'static str,
}

impl fmt::Display for At {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.object.is_empty() { "" } else { "." };
        write!(formatter, "`{}{dot}{}`", self.object, self.name)
    }
}

/// The member of that name, read as what the type of the field says.
pub(super) fn read_member<'a, T: FromMember<'a>>(
    members: Members<'a>,
    object: &'static str,
    name: &'static str,
) -> Result<T, BadRequest> {
    let at = At { object, name };
    match member(members, name) {
        None => T::absent(at),
        Some(null @ Json::Null) => T::from_null(null, at),
        Some(json) => T::from_member(json, at),
    }
}

/// The object that a member is, of a body in which no object has two members of one name ([`read_whole`]).
pub(super) fn read_object<'a, T: FromMembers<'a>>(json: &'a Json<'a>, at: At) -> Result<T, BadRequest> {
    T::from_members(members(json, at)?, at.name)
}

/// An object that needs no member may be absent itself.
pub(super) fn absent_object<'a, T: FromMembers<'a>>(at: At) -> Result<T, BadRequest> {
    T::from_members(&[], at.name).map_err(|_| missing(at))
}

/// A whole body, in which no object may have two members of one name.
pub(super) fn read_whole<'a, T: FromMembers<'a>>(body: Members<'a>) -> Result<T, BadRequest> {
    without_repeated(body)?;
    match body.iter().find(|(_, value)| value.has_duplicates()) {
        Some((name, _)) => Err(two_of_one_name(name)),
        None => T::from_members(body, ""),
    }
}

/// The members themselves must have different names; what lies in them is not looked at.
pub(super) fn without_repeated(members: Members<'_>) -> Result<(), BadRequest> {
    match Json::repeated(members) {
        Some(name) => Err(shape(format!("two members have the name `{}`", visible(name)))),
        None => Ok(()),
    }
}

/// The members of an object; `what` says in a message what must be one.
pub(in crate::http) fn members<'a>(json: &'a Json<'a>, what: impl fmt::Display) -> Result<Members<'a>, BadRequest> {
    match json {
        Json::Object(members) => Ok(members),
        other => Err(wrong_type(what, "an object", other)),
    }
}

pub(super) fn shape(message: impl Into<String>) -> BadRequest {
    BadRequest::Shape(message.into())
}

fn missing(at: At) -> BadRequest {
    shape(format!("{at} is missing"))
}

pub(super) fn two_of_one_name(name: &str) -> BadRequest {
    shape(format!("`{}` has an object with two members of one name", visible(name)))
}

/// What a caller sent, as much of it as can be shown.
pub(super) fn visible(text: &str) -> String {
    shortened(text).escape_debug().to_string()
}

pub(super) fn wrong_type(what: impl fmt::Display, expected: &str, found: &Json<'_>) -> BadRequest {
    shape(format!("{what} must be {expected}, but is {}", found.kind()))
}

/// An object of any members: what the caller says of an entity, of the action, or of the circumstances.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonObject<'a>(
    /// Its members.
    pub Members<'a>,
);

impl<'a> FromMember<'a> for JsonObject<'a> {
    fn from_member(json: &'a Json<'a>, at: At) -> Result<Self, BadRequest> {
        members(json, at).map(Self)
    }

    fn absent(_: At) -> Result<Self, BadRequest> {
        Ok(Self::default())
    }
}

impl PartialSchema for JsonObject<'_> {
    fn schema() -> RefOr<Schema> {
        let any = Some(AdditionalProperties::FreeForm(true));
        ObjectBuilder::new().schema_type(Type::Object).additional_properties(any).into()
    }
}

impl ToSchema for JsonObject<'_> {}

impl<'a> FromMember<'a> for &'a str {
    fn from_member(json: &'a Json<'a>, at: At) -> Result<Self, BadRequest> {
        json.as_str().ok_or_else(|| wrong_type(at, "a string", json))
    }
}

impl<'a> FromMember<'a> for bool {
    fn from_member(json: &'a Json<'a>, at: At) -> Result<Self, BadRequest> {
        match json {
            Json::Bool(value) => Ok(*value),
            other => Err(wrong_type(at, "a Boolean", other)),
        }
    }
}

impl<'a, T: FromMember<'a>> FromMember<'a> for Option<T> {
    fn from_member(json: &'a Json<'a>, at: At) -> Result<Self, BadRequest> {
        T::from_member(json, at).map(Some)
    }

    fn absent(_: At) -> Result<Self, BadRequest> {
        Ok(None)
    }
}

/// One of a few words: the variants of a type, by their names in `serde`.
pub(super) fn one_of<'a, T: Deserialize<'a>>(json: &'a Json<'a>, at: At) -> Result<T, BadRequest> {
    let words = |Words(words): Words| match words.split_last() {
        Some((last, others)) => {
            let others: Vec<_> = others.iter().map(|word| format!("`{word}`")).collect();
            shape(format!("{at} must be one of {} and `{last}`", others.join(", ")))
        }
        None => shape(format!("{at} must be another word")),
    };
    // What is no string is answered like a word that is none of them.
    T::deserialize(StrDeserializer::new(json.as_str().unwrap_or_default())).map_err(words)
}

/// The words that would have been right.
#[derive(Debug, thiserror::Error)]
#[error("none of {0:?}")]
struct Words(&'static [&'static str]);

impl serde::de::Error for Words {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(&[])
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self(expected)
    }
}
