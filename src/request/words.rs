//! A request in words, for who reads it beside the JSON: there, an empty text is easily taken for one that is not there.

use serde_json::Value as Json;

/// A request, as `gatepost decide --facts` takes it, in one line: who asks for what, with everything that is said of them.
pub fn in_words(request: &Json) -> String {
    let part = |name: &str| request.get(name).unwrap_or(&Json::Null);
    let entity = |name: &str| named(part(name), part(name).get("properties"), Vec::new());
    let action = part("action");
    let mut words = format!("{} asks for {} on {}", entity("subject"), text(action.get("name")), entity("resource"));
    let mut said = Vec::new();
    action.get("properties").iter().for_each(|json| members("action", json, &mut said));
    members("context", part("context"), &mut said);
    if !said.is_empty() {
        words.push_str(&format!("; {}", said.join(", ")));
    }
    let stored = part("entities").as_array().into_iter().flatten().map(stored);
    let stored: Vec<String> = stored.collect();
    if !stored.is_empty() {
        words.push_str(&format!("; stored: {}", stored.join(", ")));
    }
    words
}

fn stored(entity: &Json) -> String {
    let mut more = Vec::new();
    entity.get("tags").iter().for_each(|json| members("its tag", json, &mut more));
    let parents = entity.get("parents").and_then(Json::as_array).into_iter().flatten();
    more.extend(parents.map(|parent| format!("in {}", named(parent, None, Vec::new()))));
    named(entity.get("uid").unwrap_or(&Json::Null), entity.get("attrs"), more)
}

/// An entity: `User "ada" (age is 7)`, and more that is said of it.
fn named(uid: &Json, attributes: Option<&Json>, more: Vec<String>) -> String {
    let name = uid.get("type").and_then(Json::as_str).unwrap_or_default().escape_debug();
    let mut said = Vec::new();
    attributes.iter().for_each(|json| members("", json, &mut said));
    said.extend(more);
    let said = if said.is_empty() { String::new() } else { format!(" ({})", said.join(", ")) };
    match uid.get("id").and_then(Json::as_str) {
        Some("") => format!("{name} with an empty id{said}"),
        id => format!("{name} {:?}{said}", id.unwrap_or_default()),
    }
}

/// What is said of each member, of those of records in it by their paths.
fn members(path: &str, json: &Json, said: &mut Vec<String>) {
    let Json::Object(record) = json else { return };
    for (name, value) in record {
        let dot = if path.is_empty() { "" } else { "." };
        let path = format!("{path}{dot}{}", name.escape_debug());
        match value {
            Json::Object(inner) if !inner.is_empty() => members(&path, value, said),
            value => said.push(format!("{path} is {}", text(Some(value)))),
        }
    }
}

fn text(json: Option<&Json>) -> String {
    match json {
        None | Some(Json::Null) => "nothing".to_owned(),
        Some(Json::String(text)) if text.is_empty() => "an empty text".to_owned(),
        Some(Json::String(text)) => format!("{text:?}"),
        Some(Json::Array(elements)) if elements.is_empty() => "an empty set".to_owned(),
        Some(Json::Array(elements)) => {
            let elements: Vec<String> = elements.iter().map(|element| text(Some(element))).collect();
            format!("the set of {}", elements.join(" and "))
        }
        Some(Json::Object(record)) if record.is_empty() => "an empty record".to_owned(),
        Some(record @ Json::Object(_)) => {
            let mut said = Vec::new();
            members("", record, &mut said);
            format!("a record ({})", said.join(", "))
        }
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::in_words;

    #[test]
    fn what_is_empty_is_said_to_be_empty() {
        let request = json!({
            "subject": { "type": "Person", "id": "p", "properties": { "email": { "address": "", "valid": false }, "roles": [] } },
            "action": { "name": "read", "properties": { "much": true } },
            "resource": { "type": "Note", "id": "" },
            "context": { "reason": "a \"b\"", "tags": ["", "x"] },
            "entities": [{ "uid": { "type": "Team", "id": "t" }, "attrs": { "meta": {} }, "parents": [{ "type": "Team", "id": "u" }], "tags": { "k": "v" } }],
        });
        assert_eq!(
            in_words(&request),
            r#"Person "p" (email.address is an empty text, email.valid is false, roles is an empty set) asks for "read" on Note with an empty id; action.much is true, context.reason is "a \"b\"", context.tags is the set of an empty text and "x"; stored: Team "t" (meta is an empty record, its tag.k is "v", in Team "u")"#
        );
    }
}
