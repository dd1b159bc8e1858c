//! What is told in the headers of an answer: names of what was not read, or was missing.

use axum::http::HeaderValue;

/// So many names are told at most,
const NAMES: usize = 20;

/// in so many bytes.
const BYTES: usize = 1000;

/// The longest of them, percent-encoded, in bytes; a longer one is cut off.
const LONGEST: usize = 240;

/// Names for a header, each once: the first of them, and how many more there are.
#[derive(Debug, Default)]
pub(super) struct Names {
    encoded: Vec<String>,
    bytes: usize,
    more: usize,
}

impl Names {
    /// Adds a name, if it is not there.
    pub(super) fn add(&mut self, name: &str) {
        let encoded = encoded(name);
        if self.encoded.contains(&encoded) {
            return;
        }
        let bytes = self.bytes + encoded.len() + SEPARATOR.len();
        if self.encoded.len() == NAMES || bytes > BYTES {
            self.more += 1;
        } else {
            self.bytes = bytes;
            self.encoded.push(encoded);
        }
    }

    /// Adds names that are only counted.
    pub(super) fn add_more(&mut self, count: usize) {
        self.more = self.more.saturating_add(count);
    }

    /// `context.phonee, subject.properties[%22a%20b%22]; more=3`: nothing where there are no names.
    pub(super) fn value(&self) -> Option<HeaderValue> {
        if self.encoded.is_empty() {
            return None;
        }
        let mut value = self.encoded.join(SEPARATOR);
        if self.more > 0 {
            value.push_str(&format!("; more={}", self.more));
        }
        // What is percent-encoded can stand in a header.
        HeaderValue::try_from(value).ok()
    }
}

const SEPARATOR: &str = ", ";

/// The name with every byte percent-encoded but letters, digits, and those by which places are written.
fn encoded(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for character in name.chars() {
        let before = encoded.len();
        let mut bytes = [0; 4];
        for byte in character.encode_utf8(&mut bytes).bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'[' | b']' => encoded.push(byte.into()),
                other => encoded.push_str(&format!("%{other:02X}")),
            }
        }
        if encoded.len() > LONGEST {
            encoded.truncate(before);
            encoded.push_str("...");
            break;
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(names: impl IntoIterator<Item = impl AsRef<str>>) -> Option<String> {
        let mut told = Names::default();
        names.into_iter().for_each(|name| told.add(name.as_ref()));
        told.value().map(|value| value.to_str().unwrap().to_owned())
    }

    /// "A response header with the names (percent-encoded, at most 20 and 1 kB, then a count)."
    #[test]
    fn names_are_told_once_percent_encoded_and_bounded() {
        assert_eq!(told([""; 0]), None);
        assert_eq!(told(["context.a", "context.b", "context.a"]).unwrap(), "context.a, context.b");
        assert_eq!(
            told(["context[\"a, b\r\n\"]", "subject.é☃"]).unwrap(),
            "context[%22a%2C%20b%0D%0A%22], subject.%C3%A9%E2%98%83"
        );
        let many = told((0..1000).map(|number| format!("context.n{number}"))).unwrap();
        assert_eq!(many.matches(", ").count(), 19);
        assert!(many.ends_with("context.n19; more=980"), "{many}");
        let long = told((0..1000).map(|number| format!("context.{}{number}", "x".repeat(100)))).unwrap();
        assert!(long.len() < 1024 && long.contains("; more="), "{long}");
        let longest = told(["☃".repeat(1000)]).unwrap();
        assert!(longest.len() <= LONGEST + 3 && longest.ends_with("%83..."), "{longest}");
    }
}
