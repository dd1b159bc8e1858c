//! What of a line decides what comes of it, as it is written: lines that are the same but for their number, time, ids, caller, masks and
//! duration need to be read only once.
//!
//! This looks for the names of members in the bytes of the line. Within a string of JSON a quotation mark has a backslash before it, so
//! what is found is a member; and the log writes members in one order.

use memchr::memmem;

use crate::request::value::MASKED;

/// The essence of a line is written into `essence`. `None` where it has none: the line is then to be read whole.
pub(super) fn of<'l>(line: &'l [u8], essence: &mut Vec<u8>) -> Option<&'l str> {
    let time = between(line, br#","time":""#, b'"')?;
    let endpoint = memmem::find(line, br#","endpoint":"evaluation"#)?;
    let start = endpoint + memmem::find(line.get(endpoint..)?, br#","principal":{"#)?;
    let end = memmem::rfind(line, br#","durationMicros":"#)?;
    let mut rest = line.get(start..end)?;
    essence.clear();
    let mask = format!("\"{MASKED}\":\"");
    while let Some(found) = memmem::find(rest, mask.as_bytes()) {
        let (before, after) = rest.split_at_checked(found + mask.len())?;
        essence.extend_from_slice(before);
        rest = after.get(memchr::memchr(b'"', after)?..)?;
    }
    essence.extend_from_slice(rest);
    std::str::from_utf8(time).ok()
}

fn between<'l>(line: &'l [u8], before: &[u8], end: u8) -> Option<&'l [u8]> {
    let rest = line.get(memmem::find(line, before)? + before.len()..)?;
    rest.get(..memchr::memchr(end, rest)?)
}

#[cfg(test)]
mod tests {
    use super::of;

    fn essence(line: &str) -> Option<String> {
        let mut essence = Vec::new();
        of(line.as_bytes(), &mut essence).map(|time| format!("{time}{}", String::from_utf8(essence).unwrap()))
    }

    #[test]
    fn the_essence_is_what_decides_without_masks() {
        let line = r#"{"sequence":3,"type":"decision","time":"T","requestId":"a\",\"principal\":{","endpoint":"evaluations","item":1,"caller":null,"principal":{"id":"x","attributes":{"a":{"gatepost:masked":"00ff"},"b":1}},"decision":"allow","revision":"r","durationMicros":84,"chain":"c"}"#;
        let expected = r#"T,"principal":{"id":"x","attributes":{"a":{"gatepost:masked":""},"b":1}},"decision":"allow","revision":"r""#;
        assert_eq!(essence(line).as_deref(), Some(expected));
        assert_eq!(essence(&line.replace("evaluations", "subjectSearch")), None);
        assert_eq!(essence(&line.replace(",\"principal\":{\"id\"", ",\"p\":{\"id\"")), None);
        for length in 0..line.len() {
            let _ = essence(&line[..length]);
        }
    }
}
