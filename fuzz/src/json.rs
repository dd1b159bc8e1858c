//! The reader of JSON: it agrees with `serde_json` on every text, but for what it keeps and what is nested too deeply.

use gatepost::request::json::{DEEPEST, Json, JsonError, member};
use serde_json::Value;

/// Any bytes.
pub fn hold(input: &[u8]) {
    let reference = serde_json::from_slice::<Value>(input).ok();
    for deepest in [DEEPEST, 2] {
        let parsed = Json::parse(input, deepest);
        match (&reference, &parsed) {
            (Some(value), Ok(json)) => {
                assert!(depth(input) <= deepest, "it is nested more deeply than is allowed");
                assert!(is(json, value), "{json:?} is not {value}");
                looked_up(json);
            }
            (Some(_), Err(JsonError::TooDeep(limit))) => assert!(depth(input) > deepest && *limit == deepest),
            (Some(_), Err(error)) => panic!("serde_json reads it: {error}"),
            (None, Ok(_)) => panic!("serde_json does not read it"),
            (None, Err(_)) => {}
        }
        read_by_elements(input, deepest, &parsed);
    }
}

/// The levels of arrays and objects in a text that is JSON; `serde_json` forgets one of two members of one name.
fn depth(input: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in input {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Whether they are one value. Of two members of one name `serde_json` keeps one.
fn is(json: &Json<'_>, value: &Value) -> bool {
    match (json, value) {
        (Json::Null, Value::Null) => true,
        (Json::Bool(json), Value::Bool(value)) => json == value,
        (Json::Long(json), Value::Number(value)) => value.as_i64() == Some(*json),
        (Json::Number(json), Value::Number(value)) => {
            value.as_i64().is_none()
                && serde_json::from_str::<Value>(json).ok().as_ref() == Some(&Value::Number(value.clone()))
        }
        (Json::String(json), Value::String(value)) => json == value,
        (Json::Array(json), Value::Array(value)) => {
            json.len() == value.len() && json.iter().zip(value).all(|(json, value)| is(json, value))
        }
        (Json::Object(json), Value::Object(value)) => {
            json.iter().all(|(name, _)| value.contains_key(name.as_ref()))
                && value.iter().all(|(name, value)| json.iter().any(|(other, json)| other == name && is(json, value)))
        }
        _ => false,
    }
}

/// Every member is found by its name, and duplicates are seen.
fn looked_up(json: &Json<'_>) {
    let mut repeated = false;
    let mut inner: Vec<&Json<'_>> = Vec::new();
    match json {
        Json::Array(elements) => inner.extend(elements),
        Json::Object(members) => {
            for (name, value) in members {
                let same = members.iter().filter(|(other, _)| other == name);
                repeated |= same.clone().count() > 1;
                let found = member(members, name).expect("a member is found by its name");
                assert!(same.into_iter().any(|(_, value)| std::ptr::eq(value, found)));
                inner.push(value);
            }
            assert_eq!(Json::repeated(members).is_some(), repeated);
        }
        _ => {}
    }
    inner.iter().for_each(|json| looked_up(json));
    assert_eq!(json.has_duplicates(), repeated || inner.iter().any(|json| json.has_duplicates()));
}

/// What is read element by element is what is read at once.
fn read_by_elements(input: &[u8], deepest: usize, whole: &Result<Json<'_>, JsonError>) {
    let mut elements = Vec::new();
    let read = Json::elements(input, deepest, |element| elements.push(element));
    match whole {
        Ok(Json::Array(expected)) => assert_eq!((read, &elements), (Ok(true), expected)),
        Ok(_) => assert_eq!((read, elements.len()), (Ok(false), 0)),
        Err(error) => assert_eq!(read.as_ref(), Err(error)),
    }
}
