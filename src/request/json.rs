//! JSON as a caller sent it: numbers as they were written, strings borrowed, duplicate member names kept.
//!
//! I-JSON (RFC 7493) forbids duplicate member names. They are kept here instead of refused while reading, because a broken
//! item of a batch must not break the others: whoever looks at an object asks [`Json::has_duplicates`].

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A whole number within 64 bits, written without a fraction or an exponent.
    Long(i64),
    /// Any other number, as near as IEEE 754 comes to it.
    Number(f64),
    /// A string.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object, its members in the order of their names: [`member`] finds one among many at once.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// The members of a JSON object, in the order of their names; empty where there is none.
pub type Members<'a> = &'a [(Cow<'a, str>, Json<'a>)];

/// The member of that name.
pub fn member<'a>(members: Members<'a>, name: &str) -> Option<&'a Json<'a>> {
    let found = members.binary_search_by(|(key, _)| key.as_ref().cmp(name)).ok()?;
    members.get(found).map(|(_, value)| value)
}

/// The deepest nesting that can be configured: serde_json itself refuses more than 127 levels.
pub const DEEPEST: usize = 120;

/// Why bytes are not a JSON value that is accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON at all.
    #[error("not JSON: {0}")]
    Malformed(String),
    /// Nested more deeply than allowed.
    #[error("nested more than {0} levels deep")]
    TooDeep(usize),
}

impl JsonError {
    fn of(error: &serde_json::Error, deepest: usize) -> Self {
        let message = error.to_string();
        if message.starts_with(TOO_DEEP) { Self::TooDeep(deepest) } else { Self::Malformed(message) }
    }
}

impl<'a> Json<'a> {
    /// Reads one JSON value, in which arrays and objects are nested at most `deepest` levels (up to [`DEEPEST`]).
    ///
    /// # Errors
    ///
    /// What is not JSON (RFC 8259) in UTF-8, numbers beyond IEEE 754, and what is nested too deeply.
    pub fn parse(bytes: &'a [u8], deepest: usize) -> Result<Self, JsonError> {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let deepest = deepest.min(DEEPEST);
        let parsed = Nested { left: deepest }.deserialize(&mut deserializer);
        let parsed = parsed.and_then(|json| deserializer.end().map(|()| json));
        parsed.map_err(|error| JsonError::of(&error, deepest))
    }

    /// Reads a JSON array element by element, so that a large one is never held whole; `false` where the bytes are another
    /// value.
    ///
    /// # Errors
    ///
    /// As [`Json::parse`]. What came before the error has been taken.
    pub fn elements(bytes: &'a [u8], deepest: usize, take: impl FnMut(Json<'a>)) -> Result<bool, JsonError> {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let deepest = deepest.min(DEEPEST);
        let read = Elements { take, left: deepest }.deserialize(&mut deserializer);
        let read = read.and_then(|read| deserializer.end().map(|()| read));
        read.map_err(|error| JsonError::of(&error, deepest))
    }

    /// The member of that name, in an object.
    pub fn get(&'a self, name: &str) -> Option<&'a Json<'a>> {
        match self {
            Self::Object(members) => member(members, name),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Whether an object in it, at any depth, has two members of one name.
    pub fn has_duplicates(&self) -> bool {
        match self {
            Self::Array(elements) => elements.iter().any(Self::has_duplicates),
            Self::Object(members) => {
                Self::repeated(members).is_some() || members.iter().any(|(_, value)| value.has_duplicates())
            }
            _ => false,
        }
    }

    /// A name that two of the members have.
    pub fn repeated<'m>(members: &'m [(Cow<'a, str>, Json<'a>)]) -> Option<&'m str> {
        let mut neighbours = members.iter().zip(members.iter().skip(1));
        neighbours.find(|((name, _), (next, _))| name == next).map(|((name, _), _)| name.as_ref())
    }

    /// What kind of value it is, as an error message says it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a Boolean",
            Self::Long(_) => "a number",
            Self::Number(_) => "a number with a fraction, an exponent or more than 64 bits",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

const TOO_DEEP: &str = "nested too deeply";

/// Reads a value that may hold `left` more levels of arrays and objects.
struct Nested {
    left: usize,
}

impl<'de> DeserializeSeed<'de> for Nested {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Nested {
    fn inner<E: serde::de::Error>(&self) -> Result<usize, E> {
        self.left.checked_sub(1).ok_or_else(|| E::custom(TOO_DEEP))
    }
}

impl<'de> Visitor<'de> for Nested {
    type Value = Json<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Json::Long(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(value).map_or(Json::Number(value as f64), Json::Long))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Json::Number(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Json::String(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Json::String(Cow::Owned(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Self::Value, E> {
        Ok(Json::String(Cow::Owned(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let left = self.inner()?;
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element_seed(Nested { left })? {
            elements.push(element);
        }
        Ok(Json::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let left = self.inner()?;
        let mut members = Vec::new();
        while let Some(name) = map.next_key_seed(Name)? {
            members.push((name, map.next_value_seed(Nested { left })?));
        }
        members.sort_by(|(name, _): &(Cow<'de, str>, Json<'de>), (other, _)| name.cmp(other));
        Ok(Json::Object(members))
    }
}

/// Reads an array and hands over each element; any other value is read and thrown away.
struct Elements<F> {
    take: F,
    left: usize,
}

impl<'de, F: FnMut(Json<'de>)> DeserializeSeed<'de> for Elements<F> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(Json<'de>)> Visitor<'de> for Elements<F> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let left = (Nested { left: self.left }).inner()?;
        while let Some(element) = sequence.next_element_seed(Nested { left })? {
            (self.take)(element);
        }
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        (Nested { left: self.left }).visit_map(map).map(|_| false)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(false)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(false)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(false)
    }
}

/// Reads the name of a member, borrowed where it holds no escape.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match (Nested { left: 0 }).deserialize(deserializer)? {
            Json::String(name) => Ok(name),
            _ => Err(D::Error::custom("a member name must be a string")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicate_member_names_are_seen_at_any_depth() {
        for (text, expected) in [
            (r#"{"a":1,"b":{"c":1}}"#, false),
            (r#"{"a":1,"a":1}"#, true),
            (r#"{"a":1,"\u0061":1}"#, true),
            (r#"[{"x":{"c":1,"c":2}}]"#, true),
            (r#"{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"a":2}"#, true),
        ] {
            assert_eq!(Json::parse(text.as_bytes(), 64).unwrap().has_duplicates(), expected, "{text}");
        }
    }

    #[test]
    fn a_number_is_a_long_only_as_it_is_written() {
        let kinds = [
            ("7", Json::Long(7)),
            ("7.0", Json::Number(7.0)),
            ("7e0", Json::Number(7.0)),
            ("-0", Json::Number(-0.0)),
            ("7.5", Json::Number(7.5)),
        ];
        for (text, expected) in kinds {
            // serde_json reads `-0` as the float that it is.
            assert_eq!(Json::parse(text.as_bytes(), 64), Ok(expected), "{text}");
        }
        assert_eq!(Json::parse(b"9223372036854775807", 1), Ok(Json::Long(i64::MAX)));
        assert_eq!(Json::parse(b"-9223372036854775808", 1), Ok(Json::Long(i64::MIN)));
        assert_eq!(Json::parse(b"9223372036854775808", 1), Ok(Json::Number(9_223_372_036_854_775_808.0)));
        assert!(matches!(Json::parse(b"1e999", 1), Err(JsonError::Malformed(_))));
    }

    #[test]
    fn depth_is_bounded_and_counts_arrays_and_objects() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(Json::parse(nested(64).as_bytes(), 64).is_ok());
        assert_eq!(Json::parse(nested(65).as_bytes(), 64), Err(JsonError::TooDeep(64)));
        assert_eq!(Json::parse(nested(100_000).as_bytes(), 1000), Err(JsonError::TooDeep(DEEPEST)));
    }

    #[test]
    fn what_is_no_json_is_said_with_its_place() {
        for text in ["", "{", "{} {}", "\"\u{1}\"", r#""\ud800""#, "nul", "[1,]"] {
            assert!(matches!(Json::parse(text.as_bytes(), 64), Err(JsonError::Malformed(_))), "{text}");
        }
        assert!(matches!(Json::parse(b"\"\xff\"", 64), Err(JsonError::Malformed(_))));
    }
}
