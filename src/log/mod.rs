//! The decision log: what was decided, line by line, as durable as configured, and chained so that no line can be
//! changed or taken away without notice.
//!
//! A log is a folder. It holds numbered segments (`0000000001.jsonl`, or `.jsonl.gz` once they are packed), its head
//! (`head.json`), and a lock. One thread writes it ([`Log`]); [`read`] and [`verify`] need no service.
//!
//! What the chain shows, and what it does not: a line that is altered, removed or moved breaks it. Who can write the
//! folder can make a new log, with a chain and a head of its own; that shows with a signing key, which they must not
//! have, or by a [`Position`] that was kept elsewhere. An older copy of the whole folder, put in its place, shows by
//! such a position alone.
//!
//! While the service runs, nobody else's line gets in: the file is seen to have grown. Where it was killed, the last
//! write may be in the log, but not yet in its head, and after a loss of power, all since the last signed line. Nothing
//! tells such lines from lines that somebody has added before the next start. So this start writes their numbers down
//! (`recovered`, `unvouched`) before it signs anything, and [`verify`] names them for ever, though the log is whole.
//! After the line that closes a segment, nothing belongs into it.

mod flusher;
mod head;
mod json;
mod limits;
mod line;
pub mod mask;
mod note;
mod queue;
pub mod read;
pub mod record;
mod segment;
mod start;
mod upkeep;
pub mod verify;
mod writer;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

pub use limits::survive_file_size_limit;
pub use line::{Chain, NoPosition, Position};
pub use note::{HeadFound, Lost, Note, Torn, Unvouched, rfc3339};
use queue::{Item, Queue};
use record::Recorder;
use writer::Writer;

use crate::store::keys::SigningKey;
use crate::store::{Problem, Revision};

/// A log that is being written. A clone is the same log.
#[derive(Clone, Debug)]
pub struct Log(Arc<Handle>);

/// Decisions that go into the log together. Each is members of a JSON object, without its braces and without a line break. What
/// stands before and after them in a line is the log's: `sequence`, `type`, `chain`.
#[derive(Clone, Default)]
pub struct Entries {
    /// Each with a line break behind it.
    bytes: Vec<u8>,
    count: usize,
}

/// Few records with some attributes have more bytes.
const USUAL: usize = 768;

impl Entries {
    /// Adds one, which is written behind what is there.
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.reserve(USUAL);
        let start = self.bytes.len();
        write(&mut self.bytes);
        debug_assert!(self.bytes.get(start..).is_some_and(|entry| !entry.contains(&b'\n')), "it would be two");
        self.bytes.push(b'\n');
        self.count += 1;
    }

    /// The members of each.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        memchr::memchr_iter(b'\n', &self.bytes).map(move |end| {
            let entry = self.bytes.get(start..end).unwrap_or_default();
            start = end + 1;
            entry
        })
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<E: AsRef<[u8]>> FromIterator<E> for Entries {
    fn from_iter<I: IntoIterator<Item = E>>(all: I) -> Self {
        let mut entries = Self::default();
        all.into_iter().for_each(|entry| entries.push(|bytes| bytes.extend_from_slice(entry.as_ref())));
        entries
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter().map(String::from_utf8_lossy)).finish()
    }
}

/// A log, and what makes its records.
#[derive(Clone, Debug)]
pub struct DecisionLog {
    /// Where they are written.
    pub log: Log,
    /// What makes them.
    pub recorder: Recorder,
}

/// How a log is written.
#[derive(Debug)]
pub struct LogSettings {
    /// The folder. It is made if it is not there.
    pub folder: PathBuf,
    /// When a decision counts as logged.
    pub durability: Durability,
    /// The most bytes that wait to be written; at least [`FEWEST_QUEUE_BYTES`], at most [`MOST_QUEUE_BYTES`].
    pub queue_bytes: usize,
    /// A segment with more bytes is closed.
    pub segment_bytes: u64,
    /// An older segment is closed.
    pub segment_age: Option<Duration>,
    /// Whether closed segments are packed (gzip).
    pub compress: bool,
    /// The most closed segments that are kept.
    pub keep_segments: Option<usize>,
    /// The age of the last line in a segment from which on it is no longer kept.
    pub keep_age: Option<Duration>,
    /// What signs.
    pub signing_key: Option<SigningKey>,
}

/// When a decision counts as logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it is on disk: many are synced at once.
    Strict,
    /// When it is in the queue, from which it is written within some milliseconds and synced within a second. What
    /// finds the queue full waits; nothing is dropped.
    #[default]
    Buffered,
    /// The same, but what finds the queue full is dropped and counted.
    Lossy,
}

/// The fewest bytes of a queue.
pub const FEWEST_QUEUE_BYTES: usize = 64 * 1024;
/// The most bytes of a queue.
pub const MOST_QUEUE_BYTES: usize = 1 << 31;

/// The log cannot be written, so nothing may be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the decision log cannot be written, and nothing is decided without it: try again in a second")]
pub struct Unwritable;

/// Why a log cannot be opened or closed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Another process writes it.
    #[error("the log in `{}` is being written by another process", .0.display())]
    Taken(PathBuf),
    /// Its last lines are not what was written.
    #[error("the log in `{}` was altered: {what}", .folder.display())]
    Altered {
        /// The folder of the log.
        folder: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
    /// A file cannot be read or written.
    #[error("the log in `{}` cannot be {}: {error}", .folder.display(), .done)]
    Io {
        /// The folder of the log.
        folder: PathBuf,
        /// What should have been done with it.
        done: &'static str,
        /// Why it cannot.
        error: std::io::Error,
    },
    /// It was closed while it could not be written.
    #[error("{decisions} decision(s) that were answered could not be written to the log: {reason}")]
    Unwritten {
        /// How many decisions are missing in it.
        decisions: u64,
        /// Why.
        reason: String,
    },
}

impl LogError {
    /// What to do.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Taken(_) => Some("two services need two logs: name another folder with `--log`"),
            Self::Altered { .. } => Some(
                "`gatepost log verify` names all that is wrong; to begin a new log, move this one away and keep it as evidence",
            ),
            Self::Io { .. } | Self::Unwritten { .. } => None,
        }
    }
}

/// How a log is doing. Counts are since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFigures {
    /// Decisions that wait to be written.
    pub queued: u64,
    /// The bytes of the queue that they take.
    pub queued_bytes: u64,
    /// Decisions that were written.
    pub written: u64,
    /// Decisions that were dropped (`lossy`).
    pub dropped: u64,
    /// Requests that were refused because the log could not be written.
    pub refused: u64,
    /// Why it cannot be written, while it cannot.
    pub failing: Option<String>,
    /// The number of its last line.
    pub sequence: u64,
    /// The number of its last segment.
    pub segment: u64,
    /// When what had been written was last known to be on disk.
    pub last_sync: Option<SystemTime>,
}

#[derive(Debug)]
struct Handle {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<Result<(), LogError>>>>,
}

impl Log {
    /// Takes the lock of a log, repairs what a crash left of its last line, and starts the thread that writes it. Gives
    /// the log, and what its operator should know: what was repaired, and what is lost.
    ///
    /// Only the end of the log is read. A whole line is never taken away.
    ///
    /// # Errors
    ///
    /// A log that another process writes; one whose last lines were altered; a folder that cannot be read or written.
    pub fn open(settings: LogSettings) -> Result<(Self, Vec<Problem>), LogError> {
        let folder = settings.folder.clone();
        let failed = |done| {
            let folder = folder.clone();
            move |error| LogError::Io { folder, done, error }
        };
        let capacity = settings.queue_bytes.clamp(FEWEST_QUEUE_BYTES, MOST_QUEUE_BYTES);
        let queue = Arc::new(Queue::new(settings.durability, capacity));
        let (found, problems) = start::find(&settings)?;
        let mut writer = Writer::new(settings, Arc::clone(&queue), found).map_err(failed("written"))?;
        writer.begin().map_err(failed("written"))?;
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.run());
        let thread = Mutex::new(Some(thread.map_err(failed("written"))?));
        Ok((Self(Arc::new(Handle { queue, thread })), problems))
    }

    /// Whether requests may be decided: asked before each. While the log cannot be written, they may not, unless it is
    /// lossy; who is told so is counted.
    ///
    /// # Errors
    ///
    /// The sentence for who asked; the answer is 503.
    pub fn admit(&self) -> Result<(), Unwritable> {
        self.0.queue.check().inspect_err(|_| self.0.queue.refuse())
    }

    /// The same, counting nothing.
    pub fn is_writable(&self) -> bool {
        self.0.queue.check().is_ok()
    }

    /// Logs decisions, in this order, without other decisions between them; done when the answer may go out. If this
    /// future is dropped before it is done, the decisions are in the log all together, or not at all.
    ///
    /// # Errors
    ///
    /// The log cannot be written (or is closed): the decisions must not be answered. They are not in the log, unless
    /// the disk keeps what it said it could not. `Lossy` never fails.
    pub async fn append(&self, entries: Entries) -> Result<(), Unwritable> {
        if entries.is_empty() { Ok(()) } else { self.0.queue.append(entries).await }
    }

    /// Logs that about here, this revision began to decide; each record names its own revision.
    pub fn note_revision(&self, revision: &Revision) {
        // A log that is closed is told nothing any more.
        let _ = self.0.queue.push(Item::Revision(revision.as_str().to_owned()));
    }

    /// How the log is doing.
    pub fn figures(&self) -> LogFigures {
        self.0.queue.figures()
    }

    /// Writes what waits, closes the segment, and ends the thread; for all clones. Blocks until this is done. A log
    /// whose last clone is dropped is closed, too.
    ///
    /// # Errors
    ///
    /// What waits cannot be written.
    pub fn close(self) -> Result<(), LogError> {
        self.0.end()
    }
}

impl Handle {
    fn end(&self) -> Result<(), LogError> {
        self.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A thread that has panicked has said so; there is nothing to add.
        thread.map_or(Ok(()), |thread| thread.join().unwrap_or(Ok(())))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Who wants to know closes it.
        let _ = self.end();
    }
}
