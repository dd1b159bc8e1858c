//! `head.json`: how far a log goes, kept beside its lines, so that lines which are missing at its end are missed.
//!
//! It has always the same length, and is written over in its place after each write of lines. These are not synced: where
//! lines are synced before they count (`strict`), it is never ahead of them.
//!
//! It is synced when a segment is closed, and when one is opened: after the lines that open it are on disk, and before
//! anything else is written into it; so it is at each start, too. Whatever takes the service or the power away meanwhile,
//! a segment that the head does not know is the next one, and holds nothing but its opening: no decision, and no
//! checkpoint. One that holds more was added by somebody else, or the head is an older one, as in a copy that was made
//! file by file of a log that was written meanwhile.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::Deserialize;

use super::line::{Chain, MOST, Position};
use super::note::HeadFound;
use super::segment::{is_found, private};
use crate::regular;
use crate::store::keys::{Signature, SigningKey, VerifyingKey};

/// The name of the file.
pub(super) const NAME: &str = "head.json";

const PURPOSE: &str = "gatepost log head v1";

/// How often a head is read that is never twice the same.
const READINGS: u32 = 100;

/// Far more than a head has.
const MOST_BYTES: u64 = 4096;

/// How far a log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The number of the segment in which its last line is.
    pub(super) segment: u64,
    /// Its last line.
    pub(super) position: Position,
    /// What signs all of this.
    signature: Option<Signature>,
}

/// The file, open.
#[derive(Debug)]
pub(super) struct HeadFile(File);

#[derive(Deserialize)]
struct Text {
    segment: u64,
    sequence: u64,
    chain: Chain,
    signature: Option<String>,
}

impl Head {
    /// A head, signed if there is a key.
    pub(super) fn new(segment: u64, position: Position, key: Option<&SigningKey>) -> Self {
        let head = Self { segment, position, signature: None };
        Self { signature: key.map(|key| key.sign(PURPOSE, head.heading().as_bytes())), ..head }
    }

    /// Reads the head of the log in that folder.
    ///
    /// # Errors
    ///
    /// A file that cannot be read; what is not exactly a head is a result.
    pub(super) fn read(folder: &Path) -> io::Result<Result<Self, HeadFound>> {
        let mut text = String::new();
        match regular::open(&folder.join(NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Err(HeadFound::Missing)),
            Err(error) => return Err(error),
            Ok(file) => match file.take(MOST_BYTES).read_to_string(&mut text) {
                Err(error) if error.kind() != io::ErrorKind::InvalidData => return Err(error),
                _ => {}
            },
        }
        Ok(Self::parsed(&text).ok_or(HeadFound::Unreadable))
    }

    /// The same while it may be written: what is read at that moment can be half of one head and half of the next.
    pub(super) fn read_settled(folder: &Path) -> io::Result<Result<Self, HeadFound>> {
        let mut head = Self::read(folder)?;
        for _ in 0..READINGS {
            let again = Self::read(folder)?;
            if again == head {
                break;
            }
            head = again;
        }
        Ok(head)
    }

    fn parsed(text: &str) -> Option<Self> {
        let read: Text = serde_json::from_str(text).ok()?;
        let signature = match read.signature {
            Some(text) => Some(text.parse().ok()?),
            None => None,
        };
        let position = Position { sequence: read.sequence, chain: read.chain };
        let head = Self { segment: read.segment, position, signature };
        // One head has one text: every byte of it counts.
        (head.text() == text && head.segment <= MOST && head.position.sequence <= MOST).then_some(head)
    }

    /// Whether it is signed by one of these keys; `None` if it is not signed.
    pub(super) fn is_signed(&self, keys: &[VerifyingKey]) -> Option<bool> {
        let signature = self.signature?;
        Some(keys.iter().any(|key| key.verifies(PURPOSE, self.heading().as_bytes(), &signature)))
    }

    /// Whether a segment with that number, which holds more than its opening if it has `begun`, is none that a crash
    /// leaves beyond this head.
    pub(super) fn is_left_behind_by(&self, segment: u64, begun: bool) -> bool {
        segment > self.segment && (begun || segment > self.segment + 1)
    }

    /// What is signed.
    fn heading(&self) -> String {
        let Self { segment, position: Position { sequence, chain }, .. } = self;
        format!(r#"{{"format":1,"segment":{segment:20},"sequence":{sequence:20},"chain":"{chain}""#)
    }

    fn text(&self) -> String {
        let signature = self.signature.map_or("null".to_owned(), |signature| format!("\"{signature}\""));
        format!("{},\"signature\":{signature:90}}}\n", self.heading())
    }
}

impl HeadFile {
    /// Opens the head of the log in that folder, and makes it if there is none.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        regular::open_with(private().write(true).create(true).truncate(false), &folder.join(NAME)).map(Self)
    }

    /// Whether it is this file that is found there.
    pub(super) fn is_found(&self, path: &Path) -> bool {
        is_found(&self.0, path)
    }

    /// Writes over what was there.
    pub(super) fn write(&mut self, head: &Head) -> io::Result<()> {
        let text = head.text();
        self.0.seek(SeekFrom::Start(0))?;
        self.0.write_all(text.as_bytes())
    }

    /// Waits until what was written is on disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    /// Writes over what was there, which may have been longer, and waits for the disk.
    pub(super) fn renew(&mut self, head: &Head) -> io::Result<()> {
        self.0.set_len(0)?;
        self.write(head)?;
        self.0.sync_all()
    }
}
