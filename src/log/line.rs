//! The form of a line: numbered, and chained to the line before.
//!
//! ```text
//! {"sequence":17,"type":"decision",<members>,"chain":"<64 hexadecimal digits>"}
//! ```
//!
//! The chain is the SHA-256 of the chain of the line before (32 bytes, zeros before the first line) and of what stands
//! before `,"chain"`. Both ends of a line have a fixed form, so that a reader finds its parts without reading the JSON
//! between them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What ties a line to all lines before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Chain([u8; 32]);

/// A line of a log: its number, and its chain. Whoever keeps one elsewhere can later tell whether the log still holds
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Lines are counted from 1, over all segments; 0 is the place before the first.
    pub sequence: u64,
    /// The chain of that line.
    pub chain: Chain,
}

/// What is not the text of a chain or of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a place in a log is SEQUENCE:CHAIN, a number and 64 hexadecimal digits in small letters")]
pub struct NoPosition;

/// A line whose form is right; whether its chain is, only the line before can tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Framed<'l> {
    pub(super) position: Position,
    /// The word after `"type":`.
    pub(super) kind: &'l str,
    /// What the chain covers.
    pub(super) content: &'l [u8],
}

/// No log has so many lines, segments or decisions. What claims more is none of its lines, so that counting on never overflows.
pub(super) const MOST: u64 = 1 << 62;

const OPENING: &[u8] = br#"{"sequence":"#;
const TYPE: &[u8] = br#","type":""#;
const CHAIN: &[u8] = br#","chain":""#;
const CLOSING: &[u8] = br#""}"#;
const DIGITS: usize = 64;

impl Chain {
    /// What stands for the chain of the line before the first.
    pub const START: Self = Self([0; 32]);

    /// The chain of a line with that content, if this is the chain of the line before.
    pub(super) fn next(&self, content: &[u8]) -> Self {
        Self(Sha256::new().chain_update(self.0).chain_update(content).finalize().into())
    }

    fn digits(self) -> [u8; DIGITS] {
        let mut digits = [0; DIGITS];
        // There is room for exactly these.
        let _ = hex::encode_to_slice(self.0, &mut digits);
        digits
    }

    /// Only small letters: one chain has one text.
    fn read(digits: &[u8]) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).ok()?;
        Some(Self(bytes)).filter(|_| !digits.iter().any(u8::is_ascii_uppercase))
    }
}

impl Default for Position {
    fn default() -> Self {
        Self::START
    }
}

impl Position {
    /// The place before the first line.
    pub const START: Self = Self { sequence: 0, chain: Chain::START };
}

/// Writes one line after the one at `end`, which then is this one. `write` writes the members, which begin with
/// `"type":"…"`, and gets the chain of the line before with the buffer and the place at which the line begins.
pub(super) fn write_line(buffer: &mut Vec<u8>, end: &mut Position, write: impl FnOnce(&mut Vec<u8>, Chain, usize)) {
    let start = buffer.len();
    let sequence = end.sequence + 1;
    buffer.extend_from_slice(OPENING);
    buffer.extend_from_slice(itoa::Buffer::new().format(sequence).as_bytes());
    buffer.push(b',');
    write(buffer, end.chain, start);
    let chain = end.chain.next(buffer.get(start..).unwrap_or_default());
    buffer.extend_from_slice(CHAIN);
    buffer.extend(chain.digits());
    buffer.extend_from_slice(CLOSING);
    buffer.push(b'\n');
    *end = Position { sequence, chain };
}

/// The parts of a line, without its line break; `None` if it has not the form of one.
pub(super) fn framed(line: &[u8]) -> Option<Framed<'_>> {
    let (content, chain) = unchained(line)?;
    let rest = content.strip_prefix(OPENING)?;
    let digits = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    let (digits, rest) = rest.split_at(digits);
    let sequence = std::str::from_utf8(digits).ok()?.parse().ok().filter(|sequence| *sequence <= MOST)?;
    let rest = rest.strip_prefix(TYPE)?;
    let kind = rest.get(..rest.iter().position(|byte| *byte == b'"')?)?;
    Some(Framed { position: Position { sequence, chain }, kind: std::str::from_utf8(kind).ok()?, content })
}

/// What the chain of a line covers, and the chain: also of a line that begins in no way that makes sense.
pub(super) fn unchained(line: &[u8]) -> Option<(&[u8], Chain)> {
    let line = line.strip_suffix(CLOSING)?;
    let (content, digits) = line.split_at_checked(line.len().checked_sub(DIGITS)?)?;
    Some((content.strip_suffix(CHAIN)?, Chain::read(digits)?))
}

impl fmt::Display for Chain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Chain({self})")
    }
}

impl From<Chain> for String {
    fn from(chain: Chain) -> Self {
        chain.to_string()
    }
}

impl TryFrom<String> for Chain {
    type Error = NoPosition;

    fn try_from(text: String) -> Result<Self, NoPosition> {
        Self::read(text.as_bytes()).ok_or(NoPosition)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.sequence, self.chain)
    }
}

impl FromStr for Position {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Self, NoPosition> {
        let (sequence, chain) = text.split_once(':').ok_or(NoPosition)?;
        let sequence = sequence.parse().map_err(|_| NoPosition)?;
        Ok(Self { sequence, chain: Chain::read(chain.as_bytes()).ok_or(NoPosition)? })
    }
}
