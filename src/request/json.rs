//! JSON as a caller sent it: numbers as they were written, strings borrowed, duplicate member names kept.
//!
//! I-JSON (RFC 7493) forbids duplicate member names. They are kept here instead of refused while reading, because a broken
//! item of a batch must not break the others: whoever looks at an object asks [`Json::has_duplicates`].

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::str::{self, Utf8Error};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A whole number within 64 bits, written without a fraction or an exponent.
    Long(i64),
    /// Any other number, as it was written: what it is exactly, [`super::number`] says.
    Number(&'a str),
    /// A string.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object, its members in the order of their names, those that are null behind the others: [`member`] finds one among many at once,
    /// and [`said`] those that say something.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// The members of a JSON object, in the order of their names, those that are null behind the others; empty where there is none.
pub type Members<'a> = &'a [(Cow<'a, str>, Json<'a>)];

/// The member of that name.
#[inline]
pub fn member<'a>(members: Members<'a>, name: &str) -> Option<&'a Json<'a>> {
    if members.len() > FEW {
        return member_of_many(members, name);
    }
    // Whether names are equal is told at once by their lengths, and which comes first is not.
    members.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn member_of_many<'a>(members: Members<'a>, name: &str) -> Option<&'a Json<'a>> {
    let (said, nulls) = members.split_at(said(members).len());
    let place = |among: Members<'a>| among.binary_search_by(|(key, _)| key.as_ref().cmp(name)).ok();
    let found = place(said).or_else(|| place(nulls).map(|place| said.len() + place))?;
    members.get(found).map(|(_, value)| value)
}

/// The members that say something: one that is null is as if absent (I-JSON has none). What this costs does not grow with their number:
/// that is the caller's choice.
#[inline]
pub fn said(members: Members<'_>) -> Members<'_> {
    let is_said = |(_, value): &(Cow<'_, str>, Json<'_>)| !matches!(value, Json::Null);
    match members.last() {
        Some(last) if !is_said(last) => members.split_at(members.partition_point(is_said)).0,
        _ => members,
    }
}

/// So many members are looked at one by one.
const FEW: usize = 8;

/// The deepest nesting that can be configured: serde_json itself refuses more than 127 levels.
pub const DEEPEST: usize = 120;

/// Why bytes are not a JSON value that is accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON at all.
    #[error("not JSON: {0}")]
    Malformed(String),
    /// JSON, but with something that I-JSON does not have (RFC 7493): a number beyond IEEE 754, half of a character.
    #[error("no I-JSON: {0}")]
    NotInterchangeable(String),
    /// Nested more deeply than allowed.
    #[error("nested more than {0} levels deep")]
    TooDeep(usize),
}

impl JsonError {
    fn of(error: &serde_json::Error, deepest: usize) -> Self {
        let message = error.to_string();
        let is_beyond_i_json = BEYOND_I_JSON.iter().any(|start| message.starts_with(start));
        match message {
            _ if message.starts_with(TOO_DEEP) => Self::TooDeep(deepest),
            message if is_beyond_i_json => Self::NotInterchangeable(message),
            message => Self::Malformed(message),
        }
    }
}

/// What serde_json says of a number beyond IEEE 754, and of half of a character.
const BEYOND_I_JSON: [&str; 3] = ["number out of range", "lone leading surrogate", "unexpected end of hex escape"];

impl<'a> Json<'a> {
    /// Reads one JSON value, in which arrays and objects are nested at most `deepest` levels (up to [`DEEPEST`]).
    ///
    /// # Errors
    ///
    /// What is not JSON (RFC 8259) in UTF-8, numbers beyond IEEE 754, and what is nested too deeply.
    pub fn parse(bytes: &'a [u8], deepest: usize) -> Result<Self, JsonError> {
        let (deepest, numbers) = (deepest.min(DEEPEST), Numbers::of(bytes));
        read(Nested { left: deepest, numbers: &numbers }, bytes, numbers.text)
            .map_err(|error| JsonError::of(&error, deepest))
    }

    /// Reads a JSON array element by element, so that a large one is never held whole; `false` where the bytes are another
    /// value.
    ///
    /// # Errors
    ///
    /// As [`Json::parse`]. What came before the error has been taken.
    pub fn elements(bytes: &'a [u8], deepest: usize, take: impl FnMut(Json<'a>)) -> Result<bool, JsonError> {
        let (deepest, numbers) = (deepest.min(DEEPEST), Numbers::of(bytes));
        read(Elements { take, left: deepest, numbers: &numbers }, bytes, numbers.text)
            .map_err(|error| JsonError::of(&error, deepest))
    }

    /// The member of that name, in an object.
    pub fn get(&'a self, name: &str) -> Option<&'a Json<'a>> {
        match self {
            Self::Object(members) => member(members, name),
            _ => None,
        }
    }

    /// The elements of an array; none of any other value.
    pub fn array(&self) -> &[Self] {
        match self {
            Self::Array(elements) => elements,
            _ => &[],
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
    #[inline]
    pub fn repeated<'m>(members: &'m [(Cow<'a, str>, Json<'a>)]) -> Option<&'m str> {
        if members.len() < 2 {
            return None;
        }
        let mut neighbours = members.iter().zip(members.iter().skip(1));
        let repeated = neighbours.find(|((name, _), (next, _))| name == next);
        if let Some(((name, _), _)) = repeated {
            return Some(name);
        }
        // One that is null may stand far from one that is not.
        let (said, nulls) = members.split_at(said(members).len());
        nulls.iter().find(|(name, _)| member(said, name).is_some()).map(|(name, _)| name.as_ref())
    }

    /// What kind of value it is, as an error message says it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a Boolean",
            Self::Long(_) => "a number",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

const TOO_DEEP: &str = "nested too deeply";

/// Reads bytes that are one value; `text` is what of them is UTF-8, up to the first that are not.
fn read<'de, S: DeserializeSeed<'de>>(seed: S, bytes: &'de [u8], text: &'de str) -> serde_json::Result<S::Value> {
    // Text that is known to be some is not looked at string by string; what is none gets an error that says where.
    if text.len() == bytes.len() {
        read_all(seed, serde_json::Deserializer::from_str(text))
    } else {
        read_all(seed, serde_json::Deserializer::from_slice(bytes))
    }
}

fn read_all<'de, S: DeserializeSeed<'de>>(
    seed: S,
    mut deserializer: serde_json::Deserializer<impl serde_json::de::Read<'de>>,
) -> serde_json::Result<S::Value> {
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end().map(|()| value)
}

/// The numbers of a text that are no [`Json::Long`], one after the other. serde_json gives them as binary fractions, so each is looked
/// up in the text when serde_json comes to it; a text that has none is not looked at.
struct Numbers<'de> {
    text: &'de str,
    at: Cell<usize>,
}

impl<'de> Numbers<'de> {
    fn of(bytes: &'de [u8]) -> Self {
        // What is not UTF-8 is refused where that begins, and numbers stand before it.
        let before = |error: Utf8Error| str::from_utf8(bytes.get(..error.valid_up_to()).unwrap_or_default());
        let text = str::from_utf8(bytes).or_else(before).unwrap_or_default();
        Self { text, at: Cell::new(0) }
    }

    fn next<E: serde::de::Error>(&self) -> Result<&'de str, E> {
        let mut at = self.at.get();
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => at = end_of_string(bytes, at),
                b'-' | b'0'..=b'9' => {
                    let rest = bytes.get(at..).unwrap_or_default();
                    let len = rest.iter().take_while(|byte| is_of_number(**byte)).count();
                    let number = self.text.get(at..at + len).unwrap_or_default();
                    at += len;
                    if number == "-0" || number.parse::<i64>().is_err() {
                        self.at.set(at);
                        return Ok(number);
                    }
                }
                _ => at += 1,
            }
        }
        Err(E::custom("a number is not where it was read"))
    }
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E')
}

/// Behind the closing quotation mark of the string that opens at `start`.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        match memchr::memchr2(b'"', b'\\', rest) {
            None => return bytes.len(),
            Some(found) if rest.get(found) == Some(&b'"') => return at + found + 1,
            Some(found) => at += found + 2,
        }
    }
}

/// Reads a value that may hold `left` more levels of arrays and objects.
struct Nested<'n, 'de> {
    left: usize,
    numbers: &'n Numbers<'de>,
}

impl<'de> DeserializeSeed<'de> for Nested<'_, 'de> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Nested<'_, '_> {
    fn inner<E: serde::de::Error>(&self) -> Result<Self, E> {
        let left = self.left.checked_sub(1).ok_or_else(|| E::custom(TOO_DEEP))?;
        Ok(Self { left, numbers: self.numbers })
    }

    fn again(&self) -> Self {
        Self { left: self.left, numbers: self.numbers }
    }
}

impl<'de> Visitor<'de> for Nested<'_, 'de> {
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

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
        i64::try_from(value).map_or_else(|_| self.numbers.next().map(Json::Number), |value| Ok(Json::Long(value)))
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Self::Value, E> {
        self.numbers.next().map(Json::Number)
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
        let inner = self.inner()?;
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element_seed(inner.again())? {
            elements.push(element);
        }
        Ok(Json::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let inner = self.inner()?;
        let (mut members, mut has_null) = (Vec::new(), false);
        while let Some(name) = map.next_key_seed(Name)? {
            let value = map.next_value_seed(inner.again())?;
            has_null |= matches!(value, Json::Null);
            members.push((name, value));
        }
        members.sort_by(|(name, _): &(Cow<'de, str>, Json<'de>), (other, _)| name.cmp(other));
        if has_null {
            // Those of one kind stay in their order.
            members.sort_by_key(|(_, value)| matches!(value, Json::Null));
        }
        Ok(Json::Object(members))
    }
}

/// Reads an array and hands over each element; any other value is read and thrown away.
struct Elements<'n, 'de, F> {
    take: F,
    left: usize,
    numbers: &'n Numbers<'de>,
}

impl<'de, F: FnMut(Json<'de>)> DeserializeSeed<'de> for Elements<'_, 'de, F> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(Json<'de>)> Visitor<'de> for Elements<'_, 'de, F> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let inner = Nested { left: self.left, numbers: self.numbers }.inner()?;
        while let Some(element) = sequence.next_element_seed(inner.again())? {
            (self.take)(element);
        }
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Nested { left: self.left, numbers: self.numbers }.visit_map(map).map(|_| false)
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
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a member, a string")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
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
            (r#"{"a":1,"b":2,"a":null}"#, true),
            (r#"{"a":null,"b":2,"a":null}"#, true),
            (r#"{"a":null,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"a":2}"#, true),
            (r#"{"a":null,"b":2,"c":null}"#, false),
        ] {
            assert_eq!(Json::parse(text.as_bytes(), 64).unwrap().has_duplicates(), expected, "{text}");
        }
    }

    #[test]
    fn rule_14_a_number_is_a_long_or_keeps_its_text() {
        for text in ["7.0", "7e0", "-0", "7.5", "1E+2", "-1.25e-3", "9223372036854775808", "-9223372036854775809"] {
            assert_eq!(Json::parse(text.as_bytes(), 64), Ok(Json::Number(text)), "{text}");
        }
        for (text, expected) in [("7", 7), ("9223372036854775807", i64::MAX), ("-9223372036854775808", i64::MIN)] {
            assert_eq!(Json::parse(text.as_bytes(), 1), Ok(Json::Long(expected)));
        }
    }

    #[test]
    fn rule_14_what_i_json_does_not_have_is_not_called_no_json() {
        for text in ["1e999", "-1e400", r#""\ud800""#, r#""\udc00""#, r#""\ud800\u0041""#] {
            let error = Json::parse(text.as_bytes(), 1).unwrap_err();
            assert!(matches!(&error, JsonError::NotInterchangeable(_)), "{text}: {error}");
            assert!(error.to_string().starts_with("no I-JSON: "), "{error}");
        }
    }

    /// "A member that is null is as if absent": told from the others without looking at each, however many there are.
    #[test]
    fn rule_14_members_that_are_null_stand_behind_the_others() {
        let named: Vec<String> =
            (0..40).map(|n| format!(r#""m{n:02}":{}"#, if n % 3 == 0 { "null" } else { "1" })).collect();
        for count in [0, 1, 2, 4, 8, 9, 40] {
            let text = format!("{{{}}}", named[..count].join(","));
            let Json::Object(members) = Json::parse(text.as_bytes(), 2).unwrap() else { panic!("{text}") };
            assert_eq!(said(&members).len(), (0..count).filter(|n| n % 3 != 0).count(), "{text}");
            assert!(said(&members).is_sorted_by_key(|(name, _)| name.clone()), "{text}");
            for n in 0..40 {
                let expected = (n < count).then_some(if n % 3 == 0 { Json::Null } else { Json::Long(1) });
                assert_eq!(member(&members, &format!("m{n:02}")), expected.as_ref(), "{text}");
            }
        }
    }

    /// "Numbers are read from their text, exactly": whatever stands around them, and in whatever order members are kept.
    #[test]
    fn rule_14_each_number_has_its_own_text() {
        let text = r#"{"z 1.5":9007199254740993.0,"a\\":"2.5 \" 3.5","b":[1,-0,18446744073709551615,{"c":0.1}],"":"4.5\\","m":1e0}"#;
        let read = Json::parse(text.as_bytes(), 64).unwrap();
        assert_eq!(read.get("z 1.5"), Some(&Json::Number("9007199254740993.0")));
        assert_eq!(read.get("m"), Some(&Json::Number("1e0")));
        let Some(Json::Array(elements)) = read.get("b") else { panic!("{read:?}") };
        assert_eq!(elements[1..3], [Json::Number("-0"), Json::Number("18446744073709551615")]);
        assert_eq!(elements[3].get("c"), Some(&Json::Number("0.1")));
        let mut seen = Vec::new();
        Json::elements(br#"[1.0, {"a": 2.0}, "3.0", [4.0]]"#, 64, |element| seen.push(format!("{element:?}"))).unwrap();
        assert_eq!(seen.iter().map(|text| text.matches("Number").count()).collect::<Vec<_>>(), [1, 1, 0, 1]);
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
        for text in ["", "{", "{} {}", "\"\u{1}\"", "nul", "[1,]"] {
            assert!(matches!(Json::parse(text.as_bytes(), 64), Err(JsonError::Malformed(_))), "{text}");
        }
        assert!(matches!(Json::parse(b"\"\xff\"", 64), Err(JsonError::Malformed(_))));
    }
}
