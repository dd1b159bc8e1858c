//! The lines that the log writes about itself, and their signatures.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

use super::line::{Chain, MOST, Position, write_line};
use crate::store::keys::{Signature, SigningKey, VerifyingKey};

/// A line that holds no decision. `time` is when it was written (RFC 3339, UTC).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[expect(missing_docs, reason = "each variant says what its members are")]
pub enum Note {
    /// The first line of a segment: the version of the format, the number of the segment, the last line before it, the
    /// version of Gatepost, and the fingerprint of the key that signs.
    Opened {
        time: String,
        format: u32,
        segment: u64,
        previous_sequence: u64,
        previous_chain: Chain,
        version: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// All lines up to here are as they were written. Signed, where there is a key.
    Checkpoint { time: String },
    /// The last line of a segment that was closed by rotation, or because the service stopped. Signed, where there is a
    /// key.
    Closed { time: String },
    /// The segments up to that number, with their last line, are about to be removed by the rules of retention. Signed,
    /// where there is a key.
    Pruned { time: String, segment: u64, last_sequence: u64, last_chain: Chain },
    /// So many decisions are not in the log, because its queue was full (`lossy`): since the last such line, and since
    /// the start.
    Dropped { time: String, decisions: u64, total: u64 },
    /// From `since` to `time`, the log could not be written, all the time or again and again, and so many requests were
    /// answered 503 for it.
    Refused { time: String, requests: u64, since: String, reason: String },
    /// What the start found, or what writing the log had to give up: a torn line at the end, which was cut off; lines
    /// that the head of the log knows, but that are not there; a head that is missing, that cannot be read, or that does
    /// not know the last segment; lines for which nothing vouches.
    Recovered {
        time: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        torn: Option<Torn>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lost: Option<Lost>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        head: Option<HeadFound>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unvouched: Option<Unvouched>,
    },
    /// About here, this revision of the store began to decide; each record names its own revision.
    Revision { time: String, revision: String },
}

/// The bytes of a line that was not written to its end.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Torn {
    /// How many there were.
    pub bytes: u64,
    /// Their SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// Lines that are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Lost {
    /// The number of the first.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
}

/// Lines that a start found after all that the head and (where there is a key) its signatures vouch for: they were
/// written just before a crash, or by somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Unvouched {
    /// The number of the first.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
}

/// Why the head of a log says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadFound {
    /// There is no such file.
    Missing,
    /// It holds something else.
    Unreadable,
    /// Another file was put in its place while the log was written.
    Replaced,
    /// It does not know the last segment.
    Older,
}

/// The version of the format of a log.
pub(super) const FORMAT: u32 = 1;

/// The most decisions between two checkpoints.
pub(super) const CHECKPOINT_DECISIONS: u64 = 1000;

/// The types of lines that are signed, where there is a key.
pub(super) const SIGNED: [&str; 3] = ["checkpoint", "closed", "pruned"];

/// The types of lines with which a segment can be opened, before the head knows of it.
pub(super) const OPENING: [&str; 4] = ["opened", "recovered", "refused", "dropped"];

const LINE_PURPOSE: &str = "gatepost log line v1";
const SIGNATURE: &[u8] = br#","signature":""#;
/// The characters of a signature in Base64.
const SIGNATURE_TEXT: usize = 88;

impl Note {
    /// Reads a line; `None` if it is a decision, or nothing that this version knows.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok().filter(Self::can_be)
    }

    /// Whether it counts no further than a log can.
    fn can_be(&self) -> bool {
        match self {
            Self::Opened { segment, previous_sequence: sequence, .. }
            | Self::Pruned { segment, last_sequence: sequence, .. } => *segment <= MOST && *sequence <= MOST,
            Self::Dropped { decisions: count, .. } | Self::Refused { requests: count, .. } => *count <= MOST,
            _ => true,
        }
    }

    /// Writes this as a line, with a signature if there is a key.
    pub(super) fn write(&self, buffer: &mut Vec<u8>, end: &mut Position, key: Option<&SigningKey>) {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let members = json.strip_prefix(b"{").and_then(|json| json.strip_suffix(b"}")).unwrap_or_default();
        write_line(buffer, end, |buffer, previous, start| {
            buffer.extend_from_slice(members);
            if let Some(key) = key {
                let message = message(previous, buffer.get(start..).unwrap_or_default());
                let signature = key.sign(LINE_PURPOSE, &message).to_string();
                buffer.extend_from_slice(SIGNATURE);
                buffer.extend_from_slice(signature.as_bytes());
                buffer.push(b'"');
            }
        });
    }
}

/// Whether the line with that content, after one with that chain, is signed by one of these keys; `None` if it is not
/// signed at all.
pub(super) fn is_signed(content: &[u8], previous: Chain, keys: &[VerifyingKey]) -> Option<bool> {
    let rest = content.strip_suffix(b"\"")?;
    let (rest, text) = rest.split_at_checked(rest.len().checked_sub(SIGNATURE_TEXT)?)?;
    let message = message(previous, rest.strip_suffix(SIGNATURE)?);
    let signature: Signature = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(keys.iter().any(|key| key.verifies(LINE_PURPOSE, &message, &signature)))
}

/// What is signed: the line as far as it goes before its signature, and all that came before it.
fn message(previous: Chain, content: &[u8]) -> Vec<u8> {
    [previous.to_string().as_bytes(), b"\n", content].concat()
}

/// The time, in RFC 3339.
pub(super) fn now() -> String {
    rfc3339(SystemTime::now())
}

/// A time in RFC 3339 (UTC, milliseconds); what lies outside of its years is its beginning.
pub fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let time = i64::try_from(since.as_millis()).ok().and_then(DateTime::from_timestamp_millis).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The time of such a text.
pub(super) fn read_time(text: &str) -> Option<SystemTime> {
    let millis = DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis();
    Some(UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).ok()?))
}
