//! JSON, written straight into bytes: what stands in a record is known where it is written, and goes through nothing between.

use serde::Serializer as _;

use super::mask::Digest;

/// Bytes that JSON is added to: values one after the other, with commas between those of one object or array.
#[derive(Debug)]
pub(super) struct Json<'b>(&'b mut Vec<u8>);

impl<'b> Json<'b> {
    /// Behind what is there, which is nothing, or ends with a line break.
    pub(super) fn behind(bytes: &'b mut Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The name of a member, in which nothing has to be escaped; its value comes next.
    pub(super) fn member(&mut self, name: &'static str) -> &mut Self {
        self.quoted(name);
        self.0.push(b':');
        self
    }

    /// Any name of a member; its value comes next.
    pub(super) fn named(&mut self, name: &str) -> &mut Self {
        self.text(name);
        self.0.push(b':');
        self
    }

    pub(super) fn text(&mut self, text: &str) {
        let is_escaped = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        // To look at all bytes is faster than to stop at the first, which is hardly ever there.
        if text.bytes().fold(false, |any, byte| any | is_escaped(byte)) {
            self.separate();
            // A string always serializes.
            let _ = serde_json::Serializer::new(&mut *self.0).serialize_str(text);
        } else {
            self.quoted(text);
        }
    }

    /// A text in which nothing has to be escaped.
    pub(super) fn digest(&mut self, digest: &Digest) {
        self.separate();
        self.0.push(b'"');
        digest.write(self.0);
        self.0.push(b'"');
    }

    pub(super) fn number(&mut self, number: impl itoa::Integer) {
        self.word(itoa::Buffer::new().format(number));
    }

    pub(super) fn boolean(&mut self, value: bool) {
        self.word(if value { "true" } else { "false" });
    }

    pub(super) fn null(&mut self) {
        self.word("null");
    }

    /// An object of the members that are written in it.
    pub(super) fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.word("{");
        members(self);
        self.0.push(b'}');
    }

    /// An array of the values that are written in it.
    pub(super) fn array(&mut self, elements: impl FnOnce(&mut Self)) {
        self.word("[");
        elements(self);
        self.0.push(b']');
    }

    /// An array of strings.
    pub(super) fn texts<'t>(&mut self, texts: impl IntoIterator<Item = &'t str>) {
        self.array(|json| texts.into_iter().for_each(|text| json.text(text)));
    }

    fn quoted(&mut self, text: &str) {
        self.word("\"");
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'"');
    }

    fn word(&mut self, word: &str) {
        self.separate();
        self.0.extend_from_slice(word.as_bytes());
    }

    /// No string ends with any of these bytes, but with its quotation mark.
    fn separate(&mut self) {
        if !matches!(self.0.last(), None | Some(b'{' | b'[' | b':' | b'\n')) {
            self.0.push(b',');
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::Json;

    fn write(json: &mut Json<'_>, value: &Value) {
        match value {
            Value::Null => json.null(),
            Value::Bool(value) => json.boolean(*value),
            Value::Number(number) => json.number(number.as_i64().unwrap()),
            Value::String(text) => json.text(text),
            Value::Array(elements) => json.array(|json| elements.iter().for_each(|element| write(json, element))),
            Value::Object(members) => json.object(|json| {
                members.iter().for_each(|(name, value)| write(json.named(name), value));
            }),
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[{}\\[\\]:,\"\\\\\n\u{1}a]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[{}:,\"a\n]{0,2}", inner, 0..4).prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        /// What is written here is what `serde_json` writes.
        #[test]
        fn values_are_written_as_serde_json_writes_them(values in proptest::collection::vec(value(), 1..4)) {
            let mut bytes = b"before\n".to_vec();
            let mut json = Json::behind(&mut bytes);
            values.iter().for_each(|value| write(json.member("name"), value));
            let members: Vec<_> = values.iter().map(|value| format!("\"name\":{value}")).collect();
            prop_assert_eq!(String::from_utf8(bytes).unwrap(), format!("before\n{}", members.join(",")));
        }
    }
}
