//! The start of a log: its lock, and its end, repaired where a crash tore it.
//!
//! Only the last segment is read (and the one before, if the last is empty). A line that was not written to its end is
//! cut off; everything else that is wrong with the last segment is no trace of a crash, and the log is not written on.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::head::Head;
use super::line::{Chain, Framed, Position, framed};
use super::note::{self, HeadFound, Lost, Note, Torn, Unvouched, is_signed};
use super::segment::{
    self, Forms, RawLine, SegmentReader, UNFINISHED, is_found, make_private_folder, private, sync_folder,
};
use super::{LogError, LogSettings};
use crate::regular;
use crate::store::Problem;
use crate::store::keys::VerifyingKey;

/// The name of the file that is locked.
pub(super) const LOCK: &str = "lock";

/// How a log was found.
#[derive(Debug)]
pub(super) struct Found {
    /// Locked for as long as it is open.
    pub(super) lock: File,
    /// The segments that are there.
    pub(super) segments: BTreeMap<u64, Forms>,
    /// The last line: the next one has the next number, and its chain follows this one's.
    pub(super) end: Position,
    /// The segment to go on with.
    pub(super) segment: u64,
    /// What is in it; `None` if it is to be opened.
    pub(super) content: Option<Content>,
    /// What happened, if anything did.
    pub(super) recovered: Option<Note>,
    /// Whether there is no head, or one that says nothing.
    pub(super) head_is_new: bool,
}

/// What an open segment holds.
#[derive(Debug)]
pub(super) struct Content {
    /// The bytes up to the end of its last line.
    pub(super) size: u64,
    /// When it was opened.
    pub(super) opened: SystemTime,
    /// Decisions since its last checkpoint.
    pub(super) unsigned: u64,
    /// Whether its last line has no line break yet.
    pub(super) unbroken: bool,
}

impl Found {
    /// The segment to go on with, if it was made, but not opened with its first line.
    pub(super) fn unfinished(&self) -> Option<u64> {
        (self.content.is_none() && self.segments.contains_key(&self.segment)).then_some(self.segment)
    }
}

/// Takes the lock of a log, and looks for its end. Changes nothing but files that were left unfinished.
pub(super) fn find(settings: &LogSettings) -> Result<(Found, Vec<Problem>), LogError> {
    let folder = settings.folder.as_path();
    make(folder).map_err(|error| LogError::Io { folder: folder.to_owned(), done: "read", error })?;
    find_locked(settings, lock(folder)?)
}

/// The same, where the lock is taken already.
pub(super) fn find_locked(settings: &LogSettings, lock: File) -> Result<(Found, Vec<Problem>), LogError> {
    let folder = settings.folder.as_path();
    let read = |error| LogError::Io { folder: folder.to_owned(), done: "read", error };
    remove_unfinished(folder).map_err(read)?;
    let segments = segment::list(folder).map_err(read)?;
    let head = Head::read(folder).map_err(read)?;
    let keys = settings.signing_key.iter().map(|key| key.verifying_key()).collect();
    let search = Search { folder, head: head.ok(), segments: &segments, keys };
    let ending = search.end()?;
    let unvouched = search.unvouched(&ending);
    let Ending { position: end, segment, scan, is_beyond_head, .. } = ending;
    let torn = scan.as_ref().and_then(|scan| scan.torn.clone());
    let lost = search.head.filter(|head| head.position.sequence > end.sequence);
    let lost = lost.map(|head| Lost { first: end.sequence + 1, last: head.position.sequence });
    let head_found = match head {
        Err(found) => Some(found).filter(|_| !segments.is_empty()),
        Ok(_) => is_beyond_head.then_some(HeadFound::Older),
    };
    // Numbers that were in use are not used again.
    let end = Position { sequence: lost.map_or(end.sequence, |lost| lost.last), ..end };
    let mut problems = problems(folder, torn.as_ref(), lost, head_found, unvouched);
    let recovered =
        (!problems.is_empty()).then(|| Note::Recovered { time: note::now(), torn, lost, head: head_found, unvouched });
    if segments.is_empty() && head == Err(HeadFound::Missing) && holds_other_files(folder).map_err(read)? {
        let what = format!("`{}` holds files, but no decision log: a new one begins there", folder.display());
        problems.push(Problem::warning(what).with_help(
            "if another folder was meant, stop the service, name that folder with `--log`, and remove this log (0000000001.jsonl, head.json, lock)",
        ));
    }
    let content = scan.filter(|scan| scan.size > 0).map(|scan| Content {
        size: scan.size,
        opened: scan.opened,
        unsigned: scan.unsigned,
        unbroken: scan.unbroken,
    });
    Ok((Found { lock, segments, end, segment, content, recovered, head_is_new: head.is_err() }, problems))
}

/// Makes the folder, and those above it that are not there; a loss of power takes none of them.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    let missing: Vec<_> =
        folder.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).collect();
    make_private_folder(folder)?;
    for made in missing {
        let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync_folder(parent.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// Takes the lock of the log in that folder.
pub(super) fn lock(folder: &Path) -> Result<File, LogError> {
    let failed = |error| LogError::Io { folder: folder.to_owned(), done: "locked", error };
    let file =
        regular::open_with(private().write(true).create(true).truncate(false), &folder.join(LOCK)).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LogError::Taken(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Whether a process writes the log in that folder.
pub(super) fn is_being_written(folder: &Path) -> bool {
    let lock = regular::open(&folder.join(LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Whether it is this lock that is found there.
pub(super) fn is_lock_of(lock: &File, folder: &Path) -> bool {
    is_found(lock, &folder.join(LOCK))
}

/// Whether there is anything beside the lock.
fn holds_other_files(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        if entry?.file_name() != LOCK {
            return Ok(true);
        }
    }
    Ok(false)
}

fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(UNFINISHED) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn problems(
    folder: &Path,
    torn: Option<&Torn>,
    lost: Option<Lost>,
    head: Option<HeadFound>,
    unvouched: Option<Unvouched>,
) -> Vec<Problem> {
    let shown = folder.display();
    let mut problems = Vec::new();
    if let Some(Torn { bytes, .. }) = torn {
        let what = format!("the log in `{shown}` ended in the middle of a line, of which {bytes} byte(s) were cut off");
        problems.push(Problem::warning(what).with_help("a crash leaves such a line; no whole line was lost"));
    }
    if let Some(Lost { first, last }) = lost {
        let what = format!("the log in `{shown}` lacks the lines {first} to {last}, which its head knows");
        problems.push(Problem::warning(what).with_help(
            "they were cut off, or the machine lost power before they were on disk (`strict` loses none); the log says so from now on",
        ));
    }
    if let Some(head) = head {
        let how = match head {
            HeadFound::Missing => "is missing, so lines at its end could be missing, too",
            HeadFound::Unreadable => "cannot be read, so lines at its end could be missing, too",
            HeadFound::Replaced => "is another one, so lines at its end could be missing, too",
            HeadFound::Older => "does not know its last segment, which somebody else may have added",
        };
        let what = format!("the head of the log in `{shown}` {how}");
        problems.push(Problem::warning(what).with_help("the log says so from now on, and has a new head"));
    }
    if let Some(Unvouched { first, last }) = unvouched {
        let what = format!("nothing vouches for the lines {first} to {last} of the log in `{shown}`");
        problems.push(Problem::warning(what).with_help(
            "the service was killed before its head knew them, or its key is a new one, or somebody else has written them; the log names them from now on",
        ));
    }
    problems
}

struct Search<'f> {
    folder: &'f Path,
    head: Option<Head>,
    segments: &'f BTreeMap<u64, Forms>,
    /// The key that signs from now on, if there is one.
    keys: Vec<VerifyingKey>,
}

/// Where a log ends.
struct Ending {
    /// The last line.
    position: Position,
    /// The segment to go on with.
    segment: u64,
    /// What is in it, if it is open.
    scan: Option<Scan>,
    /// The last line that the key has signed; 0 if none was read.
    signed: u64,
    /// Whether there is more after the segment that the head knows than a crash leaves (see [`super::head`]).
    is_beyond_head: bool,
}

/// What was read of a segment.
struct Scan {
    end: Position,
    size: u64,
    opened: SystemTime,
    unsigned: u64,
    signed: u64,
    closed: bool,
    /// Whether it holds more than its opening.
    begun: bool,
    unbroken: bool,
    torn: Option<Torn>,
}

impl Search<'_> {
    fn end(&self) -> Result<Ending, LogError> {
        let mut backwards = self.segments.iter().rev();
        let Some((&last, &forms)) = backwards.next() else {
            let head = self.head.unwrap_or(Head::new(0, Position::START, None));
            // Where lines are known, but none is there, nothing can be gone on with.
            let position = Position { sequence: 0, chain: head.position.chain };
            return Ok(Ending { position, segment: head.segment + 1, scan: None, signed: 0, is_beyond_head: false });
        };
        let after = last.max(self.head.map_or(0, |head| head.segment)) + 1;
        let scan = self.scan(last, forms)?;
        let is_beyond_head = self.head.is_some_and(|head| head.is_left_behind_by(last, scan.begun));
        if scan.size == 0 {
            // It was opened, but its first line was not written to its end.
            let (position, signed) = match backwards.next() {
                Some((&before, &forms)) => self.scan(before, forms).map(|before| (before.end, before.signed))?,
                None => (Position::START, 0),
            };
            return Ok(Ending { position, segment: last, scan: Some(scan), signed, is_beyond_head });
        }
        // A segment that is packed, or after which there was another one, is not gone on with.
        let open = forms.plain && !scan.closed && after == last + 1;
        let (position, signed) = (scan.end, scan.signed);
        let segment = if open { last } else { after };
        Ok(Ending { position, segment, scan: open.then_some(scan), signed, is_beyond_head })
    }

    /// The lines after all that is vouched for: by the head, which the key must have signed if there is one, or by a
    /// line that it has signed.
    fn unvouched(&self, ending: &Ending) -> Option<Unvouched> {
        let head = self.head?;
        let vouches = self.keys.is_empty() || head.is_signed(&self.keys) == Some(true);
        let known = if vouches { head.position.sequence } else { 0 };
        let unvouched = Unvouched { first: known.max(ending.signed) + 1, last: ending.position.sequence };
        (unvouched.first <= unvouched.last).then_some(unvouched)
    }

    fn scan(&self, number: u64, forms: Forms) -> Result<Scan, LogError> {
        let name = forms.name(number);
        let path = self.folder.join(&name);
        let failed = |error| LogError::Io { folder: self.folder.to_owned(), done: "read", error };
        let mut reader = SegmentReader::open(&path).map_err(failed)?;
        let mut scan = Scan {
            end: Position::START,
            size: 0,
            opened: SystemTime::now(),
            unsigned: 0,
            signed: 0,
            closed: false,
            begun: false,
            unbroken: false,
            torn: None,
        };
        while reader.advance().map_err(failed)? {
            let RawLine { bytes, complete } = reader.line();
            let length = bytes.len() as u64 + 1;
            let follows = framed(bytes).is_some_and(|framed| scan.follow(&framed, bytes, &self.keys));
            if !follows {
                if framed(bytes).is_none() && forms.plain && !scan.closed {
                    scan.torn = torn(&path, scan.size).map_err(failed)?;
                }
                if scan.torn.is_some() {
                    break;
                }
                return Err(self.altered(format!("line {} of `{name}` is not what was written", reader.number)));
            }
            scan.size += length;
            scan.unbroken = !complete;
            if self.head.is_some_and(|head| head.position.sequence == scan.end.sequence && head.position != scan.end) {
                return Err(
                    self.altered(format!("line {} of `{name}` is not the one that its head knows", reader.number))
                );
            }
        }
        Ok(scan)
    }

    fn altered(&self, what: String) -> LogError {
        LogError::Altered { folder: self.folder.to_owned(), what }
    }
}

impl Scan {
    /// Takes the next line, if it is the next. Nothing comes after the one that closes the segment.
    fn follow(&mut self, line: &Framed<'_>, bytes: &[u8], keys: &[VerifyingKey]) -> bool {
        if self.closed {
            return false;
        }
        let mut previous = self.end;
        if self.size == 0 {
            let Some(Note::Opened { previous_sequence, previous_chain, time, .. }) = Note::read(bytes) else {
                return false;
            };
            previous = Position { sequence: previous_sequence, chain: previous_chain };
            self.opened = note::read_time(&time).unwrap_or(self.opened);
        }
        let next = previous.sequence + 1;
        // Where lines had been lost, their numbers were passed over.
        let numbered = line.position.sequence == next || (line.kind == "recovered" && line.position.sequence > next);
        if !numbered || previous.chain.next(line.content) != line.position.chain {
            return false;
        }
        self.end = line.position;
        self.closed = line.kind == "closed";
        self.begun |= !note::OPENING.contains(&line.kind);
        match line.kind {
            "decision" => self.unsigned += 1,
            kind if note::SIGNED.contains(&kind) => {
                self.unsigned = 0;
                if is_signed(line.content, previous.chain, keys) == Some(true) {
                    self.signed = line.position.sequence;
                }
            }
            _ => {}
        }
        true
    }
}

/// What stands in a file from there on, if it can be what a crash left: the beginning of a line, or blocks that never
/// got to the disk (zeros), without a whole line after them.
fn torn(path: &Path, from: u64) -> io::Result<Option<Torn>> {
    let mut file = regular::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut rest = Vec::new();
    file.read_to_end(&mut rest)?;
    let whole_lines = rest.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    let whole_lines = || whole_lines.clone();
    let is_torn =
        whole_lines().next().is_none() || (rest.contains(&0) && whole_lines().all(|line| framed(line).is_none()));
    Ok(is_torn.then(|| Torn { bytes: rest.len() as u64, sha256: hex::encode(Sha256::digest(&rest)) }))
}

/// The chain of the last of these lines, if each follows the one before, and the first one follows `from`.
pub(super) fn end_of(lines: &[u8], from: Chain) -> Option<Chain> {
    lines.split_inclusive(|byte| *byte == b'\n').try_fold(from, |chain, line| {
        let line = framed(line.strip_suffix(b"\n")?)?;
        (chain.next(line.content) == line.position.chain).then_some(line.position.chain)
    })
}
