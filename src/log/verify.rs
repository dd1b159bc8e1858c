//! Whether a log is whole and unaltered; and if not, what is wrong with it, and where.
//!
//! Every line is held against the one before it. After a line that does not follow, the reader goes on with what that
//! line says of itself, and with what it should have said, so that one change is reported once, and the next change as
//! well.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::head::Head;
use super::line::{Chain, Framed, Position, framed, unchained};
use super::note::{self, CHECKPOINT_DECISIONS, HeadFound, Note, Unvouched, is_signed};
use super::segment::{self, Forms, RawLine, SegmentReader, packed_name, plain_name};
use super::start::is_being_written;
use super::upkeep::is_packed_as;
use crate::store::keys::VerifyingKey;

/// What is asked of a log, beside that it is whole.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The keys by one of which each checkpoint must be signed; none: signatures are not looked at.
    pub keys: Vec<VerifyingKey>,
    /// A line that it must hold.
    pub contains: Option<Position>,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// What is wrong: the first [`MOST_FINDINGS`].
    pub findings: Vec<Finding>,
    /// How much more is wrong.
    pub further: u64,
    /// What a reader should know, though nothing is wrong.
    pub notes: Vec<String>,
    /// The last line.
    pub end: Position,
    /// How many segments there are.
    pub segments: u64,
    /// How many lines there are.
    pub lines: u64,
    /// How many of them are decisions.
    pub decisions: u64,
    /// How many decisions no signature vouches for, at the end of the log; `None` where signatures were not looked at.
    pub unsigned: Option<u64>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub file: Option<String>,
    /// The line in this file, from 1.
    pub line: Option<u64>,
    /// The number in the log, as the line has it.
    pub sequence: Option<u64>,
    /// What is wrong, with the place.
    pub what: String,
}

/// Why nothing can be said of a log.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// There is none.
    #[error("`{}` is no decision log: it holds neither segments (`0000000001.jsonl`) nor a head", .0.display())]
    NoLog(PathBuf),
    /// A file cannot be read.
    #[error("`{}` cannot be read: {error}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why it cannot.
        error: io::Error,
    },
}

/// The most findings that are told one by one.
pub const MOST_FINDINGS: usize = 20;

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Reads a whole log, in constant memory. It may be written meanwhile.
///
/// # Errors
///
/// A folder that is no log, and files that cannot be read.
pub fn verify(folder: &Path, question: &Question) -> Result<Verdict, VerifyError> {
    for _ in 0..ATTEMPTS {
        let (verdict, is_settled) = attempt(folder, question)?;
        if is_settled {
            return Ok(verdict);
        }
        std::thread::sleep(PAUSE);
    }
    // What is missing time and again is missing.
    attempt(folder, question).map(|(verdict, _)| verdict)
}

/// How often a log is read again in which segments were packed or removed meanwhile.
const ATTEMPTS: u32 = 10;

const PAUSE: Duration = Duration::from_millis(20);

/// Reads a log; and says whether the names of its files stayed the same meanwhile.
fn attempt(folder: &Path, question: &Question) -> Result<(Verdict, bool), VerifyError> {
    let failed = |error| VerifyError::Io { path: folder.to_owned(), error };
    let written = is_being_written(folder);
    let mut reading = Reading::new(folder, question, written);
    // The head first: lines that are written meanwhile are only more than it knows.
    let head = Head::read_settled(folder).map_err(failed)?;
    reading.look_at_head(head);
    let segments = segment::list(folder).map_err(failed)?;
    if segments.is_empty() && reading.head == Err(HeadFound::Missing) {
        return Err(VerifyError::NoLog(folder.to_owned()));
    }
    let last = segments.keys().next_back().copied();
    let mut is_settled = segments.keys().zip(segments.keys().skip(1)).all(|(one, next)| one + 1 == *next);
    // A log that begins at this moment: its head is read again.
    is_settled &= segments.is_empty() || !reading.head_is_first();
    for (number, forms) in segments {
        is_settled &= reading.segment(number, forms, Some(number) == last)?;
    }
    // Where nobody seemed to write it, a service may have been started meanwhile.
    is_settled |= !written && Head::read_settled(folder).map_err(failed)? == head;
    Ok((reading.verdict(), is_settled))
}

struct Reading<'q> {
    folder: &'q Path,
    question: &'q Question,
    /// Whether it is being written.
    written: bool,
    head: Result<Head, HeadFound>,
    /// Whether the head is signed as it should be.
    head_vouches: bool,
    head_seen: bool,
    /// Whether a segment was found that the head should know, and does not.
    head_left_behind: bool,
    contained: bool,
    verdict: Verdict,
    /// What the next line must be.
    next: Next,
    /// The line with the highest number so far, with the chains that one after it may follow.
    highest: (u64, Vec<Chain>),
    /// The first segment, and what it says came before it.
    beginning: Option<(u64, Position)>,
    /// What was removed by the rules of retention, as far as the log says.
    pruned: Option<(u64, Position)>,
    /// The segment that was read last.
    segment: Option<u64>,
    /// Whether its last line was the one that closes it.
    closed: bool,
    /// The last line that was signed by one of the keys.
    signed: u64,
    /// Lines for which nothing vouched when they were found.
    unvouched: Vec<Unvouched>,
    unsigned: u64,
    dropped: u64,
    refused: u64,
}

/// What is expected of a line; nothing where the list is empty.
#[derive(Default)]
struct Next {
    sequences: Vec<u64>,
    /// What its chain may follow.
    chains: Vec<Chain>,
}

/// Where a line stands.
#[derive(Clone, Copy)]
struct Place<'p> {
    file: &'p str,
    line: u64,
}

impl<'q> Reading<'q> {
    fn new(folder: &'q Path, question: &'q Question, written: bool) -> Self {
        Self {
            folder,
            question,
            written,
            head: Err(HeadFound::Missing),
            head_vouches: false,
            head_seen: false,
            head_left_behind: false,
            contained: false,
            verdict: Verdict::default(),
            next: Next::default(),
            highest: (0, Vec::new()),
            beginning: None,
            pruned: None,
            segment: None,
            closed: false,
            signed: 0,
            unvouched: Vec::new(),
            unsigned: 0,
            dropped: 0,
            refused: 0,
        }
    }

    fn look_at_head(&mut self, head: Result<Head, HeadFound>) {
        self.head = head;
        let keys = &self.question.keys;
        match self.head {
            Err(HeadFound::Missing) => {
                self.find(
                    None,
                    None,
                    "the head of the log (head.json) is missing: lines at its end could be, too".to_owned(),
                );
            }
            Err(_) => {
                self.find(None, None, "the head of the log (head.json) was altered: it cannot be read".to_owned());
            }
            Ok(_) if keys.is_empty() => {}
            Ok(head) => match head.is_signed(keys) {
                Some(true) => self.head_vouches = true,
                Some(false) => self.find(None, None, "the signature of head.json is not by that key".to_owned()),
                None => self.find(None, None, "head.json is not signed".to_owned()),
            },
        }
    }

    /// Whether the head is that of a log into which nothing was written yet.
    fn head_is_first(&self) -> bool {
        self.head.is_ok_and(|head| (head.segment, head.position) == (0, Position::START))
    }

    /// Reads one segment; false if it is not there any more.
    fn segment(&mut self, number: u64, forms: Forms, is_last: bool) -> Result<bool, VerifyError> {
        let failed = |name: &str, error| VerifyError::Io { path: self.folder.join(name), error };
        let (mut reader, file) = match SegmentReader::open_segment(self.folder, number, forms) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            opened => opened.map_err(|error| failed(&forms.name(number), error))?,
        };
        self.compare_forms(number, forms);
        self.closed = false;
        self.verdict.segments += 1;
        let missing = self.segment.replace(number).filter(|before| before + 1 < number);
        let mut missing = missing.map(|before| (before + 1, number - 1));
        loop {
            match reader.advance() {
                Ok(false) => break,
                Err(error) if is_content(&error) => {
                    let what = format!(
                        "{file} cannot be read to its end (after line {}): it was altered or cut off, or something was added",
                        reader.number
                    );
                    self.find(Some(Place { file: &file, line: reader.number + 1 }), None, what);
                    self.next = Next::default();
                    break;
                }
                Err(error) => return Err(failed(&file, error)),
                Ok(true) => {}
            }
            let place = Place { file: &file, line: reader.number };
            let line = reader.line();
            if std::mem::take(&mut self.closed) {
                let what = format!("line {} of {file} comes after the line that closes the segment", place.line);
                self.find(Some(place), framed(line.bytes).map(|framed| framed.position.sequence), what);
            }
            // What is packed was closed before.
            if !line.complete && is_last && file != packed_name(number) {
                // One that is there up to its end lacks nothing but its line break.
                if !self.written {
                    let what = format!(
                        "line {} of {file} was not written to its end: the next start of the service repairs it",
                        place.line
                    );
                    self.note(what);
                }
                break;
            }
            if place.line == 1 {
                self.first_line(place, number, missing.take(), &line);
            }
            self.line(place, number, &line);
        }
        if reader.number == 0 && !is_last {
            self.find(Some(Place { file: &file, line: 1 }), None, format!("{file} is empty: its lines were removed"));
        }
        // Nor does a segment without a whole line come after a gap, or after one that the head does not know.
        if let Some(missing) = missing {
            self.missing(missing, None);
        }
        self.beyond_head(&file, number, false);
        Ok(true)
    }

    /// A segment that is there twice must be there twice the same.
    fn compare_forms(&mut self, number: u64, forms: Forms) {
        if !forms.plain || !forms.packed {
            return;
        }
        let (plain, packed) = (plain_name(number), packed_name(number));
        let same = is_packed_as(&self.folder.join(&plain), &self.folder.join(&packed));
        // The plain one may have been removed meanwhile.
        if same.as_ref().is_ok_and(|same| !same) || same.is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
            self.find(
                Some(Place { file: &packed, line: 1 }),
                None,
                format!("{plain} and {packed} are one segment, but differ"),
            );
        }
    }

    /// The line that opens a segment: where nothing came before, it says what did.
    fn first_line(&mut self, place: Place<'_>, number: u64, missing: Option<(u64, u64)>, line: &RawLine<'_>) {
        let opened = match Note::read(line.bytes) {
            Some(Note::Opened { segment, previous_sequence, previous_chain, .. }) => {
                Some((segment, Position { sequence: previous_sequence, chain: previous_chain }))
            }
            _ => None,
        };
        if let Some(missing) = missing {
            self.missing(missing, framed(line.bytes).map(|framed| framed.position.sequence));
            self.next = Next::default();
        }
        if self.beginning.is_none() {
            let before = if number == 1 { Some(Position::START) } else { opened.map(|(_, before)| before) };
            self.beginning = Some((number, before.unwrap_or(Position::START)));
            self.next = before.map_or(Next::default(), Next::after);
        }
        if framed(line.bytes).is_some() && opened.is_none_or(|(segment, _)| segment != number) {
            let what = format!(
                "line 1 of {} does not open segment {number}: the file is another one, or its beginning was removed",
                place.file
            );
            self.find(Some(place), None, what);
        }
    }

    /// Segments that are not there, before a line with that number.
    fn missing(&mut self, (first, last): (u64, u64), sequence: Option<u64>) {
        let sequences = match (self.next.sequences.first(), sequence) {
            (Some(from), Some(to)) if *from < to => format!(" ({})", range("sequence", *from, to - 1)),
            _ => String::new(),
        };
        let what = format!("{}{sequences} {} missing", range("segment", first, last), are(first, last));
        self.find(None, None, what);
    }

    fn line(&mut self, place: Place<'_>, segment: u64, line: &RawLine<'_>) {
        self.verdict.lines += 1;
        let Some(framed) = framed(line.bytes).filter(|_| line.complete) else {
            let what = match line.complete {
                true => format!("line {} of {} was altered: it is no line of a log", place.line, place.file),
                false => format!("line {} of {} is cut off", place.line, place.file),
            };
            self.find(Some(place), None, what);
            let (sequences, mut chains) = (Vec::new(), Vec::new());
            if let Some((content, stated)) = unchained(line.bytes) {
                chains = self.next.chains.iter().map(|chain| chain.next(content)).collect();
                chains.push(stated);
            }
            self.next = Next { sequences, chains };
            return;
        };
        let position = framed.position;
        let previous = self.next.chains.iter().find(|chain| chain.next(framed.content) == position.chain).copied();
        let follows = previous.is_some() || self.next.chains.is_empty();
        let is_next = self.next.sequences.is_empty() || self.next.sequences.contains(&position.sequence);
        if !is_next {
            self.out_of_place(place, &framed, line.bytes, previous.is_some());
        } else if !follows {
            let what = format!("line {} of {} (sequence {}) was altered", place.line, place.file, position.sequence);
            self.find(Some(place), Some(position.sequence), what);
        }
        self.closed = framed.kind == "closed";
        self.content(place, &framed, line.bytes, previous);
        self.known(place, segment, position);
        self.beyond_head(place.file, segment, !note::OPENING.contains(&framed.kind));
        self.go_on(&framed, is_next, follows);
    }

    fn out_of_place(&mut self, place: Place<'_>, line: &Framed<'_>, bytes: &[u8], follows: bool) {
        let sequence = line.position.sequence;
        let expected = self.next.sequences.first().copied().unwrap_or(sequence);
        let Place { file, line: number } = place;
        if sequence < expected {
            let before = self.verdict.end.sequence;
            let what = format!("line {number} of {file} is out of order: sequence {sequence} comes after {before}");
            return self.find(Some(place), Some(sequence), what);
        }
        let (lost, are) = (range("sequence", expected, sequence - 1), are(expected, sequence - 1));
        let what = match Note::read(bytes) {
            Some(Note::Recovered { time, lost: Some(_), .. }) if follows => format!(
                "{lost} {are} missing before line {number} of {file}: at {time}, the service found them cut off, or lost with the power"
            ),
            _ if number == 1 => format!("{lost} {are} missing before {file}: the segment before it was cut off"),
            _ => format!("{lost} {are} missing before line {number} of {file}"),
        };
        self.find(Some(place), Some(sequence), what);
    }

    /// What a line says, and who vouches for it.
    fn content(&mut self, place: Place<'_>, line: &Framed<'_>, bytes: &[u8], previous: Option<Chain>) {
        let keys = &self.question.keys;
        if line.kind == "decision" {
            self.verdict.decisions += 1;
            self.unsigned += 1;
            if self.unsigned == CHECKPOINT_DECISIONS + 1 && !keys.is_empty() {
                let what = format!(
                    "line {} of {} comes after {CHECKPOINT_DECISIONS} decisions without a checkpoint: one was removed",
                    place.line, place.file
                );
                self.find(Some(place), Some(line.position.sequence), what);
            }
            return;
        }
        let signed = previous.and_then(|previous| is_signed(line.content, previous, keys));
        if note::SIGNED.contains(&line.kind) {
            let Place { line: number, file } = place;
            let sequence = line.position.sequence;
            match signed {
                _ if keys.is_empty() => {}
                Some(true) => (self.unsigned, self.signed) = (0, sequence),
                Some(false) => {
                    let what =
                        format!("the signature of line {number} of {file} (sequence {sequence}) is not by that key");
                    self.find(Some(place), Some(sequence), what);
                }
                None if previous.is_some() => {
                    let what = format!("line {number} of {file} (sequence {sequence}), a {}, is not signed", line.kind);
                    self.find(Some(place), Some(sequence), what);
                }
                None => {}
            }
        }
        match Note::read(bytes) {
            Some(Note::Pruned { segment, last_sequence, last_chain, .. })
                if keys.is_empty() || signed == Some(true) =>
            {
                self.pruned = Some((segment, Position { sequence: last_sequence, chain: last_chain }));
            }
            Some(Note::Opened { previous_sequence, previous_chain, .. })
                if previous.is_some_and(|previous| {
                    (previous_sequence + 1, previous_chain) != (line.position.sequence, previous)
                }) =>
            {
                let what = format!("line {} of {} names another line before it than there is", place.line, place.file);
                self.find(Some(place), Some(line.position.sequence), what);
            }
            Some(Note::Dropped { decisions, .. }) => self.dropped = self.dropped.saturating_add(decisions),
            Some(Note::Refused { requests, .. }) => self.refused = self.refused.saturating_add(requests),
            Some(Note::Recovered { time, torn, head, unvouched, .. }) => {
                self.recovered(place, &time, torn.map(|torn| torn.bytes), head);
                if let Some(Unvouched { first, last }) = unvouched {
                    self.unvouched(first, last);
                }
            }
            _ => {}
        }
    }

    fn recovered(&mut self, place: Place<'_>, time: &str, torn: Option<u64>, head: Option<HeadFound>) {
        let Place { line, file } = place;
        if let Some(bytes) = torn {
            self.note(format!("before line {line} of {file}, {bytes} byte(s) of a torn line were cut off at {time}"));
        }
        if let Some(head) = head {
            let (was, could) = match head {
                HeadFound::Missing => ("was missing", "be missing"),
                HeadFound::Unreadable => ("was unreadable", "be missing"),
                HeadFound::Replaced => ("was another one", "be missing"),
                HeadFound::Older => ("did not know the last segment", "have been added by somebody else"),
            };
            let what =
                format!("at {time}, the head of the log {was}: lines before line {line} of {file} could {could}");
            self.find(Some(place), None, what);
        }
    }

    /// Remembers those of these lines that were not signed before they were found.
    fn unvouched(&mut self, first: u64, last: u64) {
        let first = first.max(self.signed.saturating_add(1));
        if first <= last {
            self.unvouched.push(Unvouched { first, last });
        }
    }

    /// A line that is known from elsewhere.
    fn known(&mut self, place: Place<'_>, segment: u64, position: Position) {
        let Position { sequence, chain } = position;
        if let Ok(head) = self.head
            && head.position.sequence == sequence
        {
            self.head_seen = true;
            if head.position.chain != chain || head.segment != segment {
                self.find(
                    Some(place),
                    Some(sequence),
                    format!("the head of the log knows another line {sequence}, or was altered"),
                );
            } else if self.head_vouches {
                self.unsigned = 0;
            }
        }
        if let Some(contained) = self.question.contains
            && contained.sequence == sequence
        {
            self.contained = true;
            if contained.chain != chain {
                let what = format!("the log holds another line {sequence} than {contained}: it was written anew");
                self.find(Some(place), Some(sequence), what);
            }
        }
    }

    /// A line in a segment that the head does not know. While the log is written, the head was read before that segment
    /// was opened; otherwise [`super::head`] says why nobody but a forger leaves such a segment. A first head knows no line:
    /// that is told anyway.
    fn beyond_head(&mut self, file: &str, segment: u64, begun: bool) {
        let Ok(head) = self.head else { return };
        if self.written || self.head_is_first() || self.head_left_behind || !head.is_left_behind_by(segment, begun) {
            return;
        }
        self.head_left_behind = true;
        let what = format!(
            "the head of the log knows no segment after {}, but there is {file}: somebody has added it, or head.json is an older one",
            head.segment
        );
        self.find(Some(Place { file, line: 1 }), None, what);
    }

    fn go_on(&mut self, line: &Framed<'_>, is_next: bool, follows: bool) {
        let Position { sequence, chain } = line.position;
        self.verdict.end = line.position;
        if is_next && follows {
            self.next.sequences.clear();
            self.next.sequences.push(sequence + 1);
            self.next.chains.clear();
            self.next.chains.push(chain);
        } else {
            // By what the line says, by what it should have said, and by the line that should have been there.
            let mut chains: Vec<_> = self.next.chains.iter().map(|known| known.next(line.content)).collect();
            chains.push(chain);
            let mut sequences = vec![sequence + 1];
            if !is_next {
                sequences.extend(self.next.sequences.first().map(|expected| expected + 1));
            }
            if sequence < self.highest.0 {
                sequences.push(self.highest.0 + 1);
                chains.extend(&self.highest.1);
            }
            self.next = Next { sequences, chains };
        }
        if sequence >= self.highest.0 {
            self.highest = (sequence, vec![chain]);
        }
    }

    fn verdict(mut self) -> Verdict {
        self.look_at_beginning();
        let removed = self.beginning.is_some_and(|(first, before)| {
            first > 1 && self.head.is_ok_and(|head| head.position.sequence <= before.sequence)
        });
        // The first head of every log with that key is the same: it is in order before anything was decided.
        let begins = self.head_is_first() && self.segment.is_none_or(|last| last == 1) && self.verdict.lines <= 1;
        if let Ok(head) = self.head
            && !self.head_seen
            && !begins
            // The segment that it knew may have been removed since it was read.
            && !(self.written && removed)
        {
            let (end, known) = (self.verdict.end.sequence, head.position.sequence);
            let what = match end < known {
                true => {
                    format!("the log ends at sequence {end}, but its head says {known}: lines at its end are missing")
                }
                false => format!("the head of the log knows sequence {known}, which is not there"),
            };
            self.find(None, None, what);
        }
        if let Ok(head) = self.head
            && self.head_seen
            && !self.written
        {
            self.unvouched(head.position.sequence.saturating_add(1), self.verdict.end.sequence);
        }
        self.name_unvouched();
        if let Some(contained) = self.question.contains.filter(|_| !self.contained) {
            let before = self.beginning.is_some_and(|(_, before)| contained.sequence <= before.sequence);
            let why = match (before, contained.sequence > self.verdict.end.sequence) {
                (true, _) => "it begins after it".to_owned(),
                (_, true) => format!("it ends at sequence {}", self.verdict.end.sequence),
                _ => "it is missing".to_owned(),
            };
            self.find(None, None, format!("the log does not hold sequence {}: {why}", contained.sequence));
        }
        let (dropped, refused) = (self.dropped, self.refused);
        if dropped > 0 {
            self.note(format!("{dropped} decision(s) were dropped because the queue was full, and are not in the log"));
        }
        if refused > 0 {
            self.note(format!("{refused} request(s) were refused while the log could not be written"));
        }
        match self.question.keys.is_empty() {
            true => self.note("signatures were not looked at; `--public-key FILE` has them verified".to_owned()),
            false => self.verdict.unsigned = Some(self.unsigned),
        }
        self.verdict
    }

    /// All of them, however many: nothing else shows lines that somebody else has added.
    fn name_unvouched(&mut self) {
        let shown = |Unvouched { first, last }: &Unvouched| match first == last {
            true => first.to_string(),
            false => format!("{first} to {last}"),
        };
        let lines: Vec<_> = self.unvouched.iter().map(shown).collect();
        if !lines.is_empty() {
            let lines = lines.join(", ");
            self.verdict.notes.push(format!(
                "when the service was killed, or the machine lost power, nothing vouched yet for the sequences {lines}: somebody else could have written them"
            ));
        }
    }

    /// A log begins with its first segment, or after what the log says was removed.
    fn look_at_beginning(&mut self) {
        let Some((first, before)) = self.beginning.filter(|(first, _)| *first > 1) else { return };
        let covered = self.pruned.is_some_and(|(last, end)| first <= last || (first == last + 1 && before == end));
        if covered {
            return self.note(format!("{} removed by the rules of retention", were(1, first - 1)));
        }
        let what = format!(
            "{} {} missing, and the log does not say that they were removed by the rules of retention",
            range("segment", 1, first - 1),
            are(1, first - 1)
        );
        self.find(None, None, what);
    }

    fn find(&mut self, place: Option<Place<'_>>, sequence: Option<u64>, what: String) {
        if self.verdict.findings.len() < MOST_FINDINGS {
            let (file, line) = (place.map(|place| place.file.to_owned()), place.map(|place| place.line));
            self.verdict.findings.push(Finding { file, line, sequence, what });
        } else {
            self.verdict.further += 1;
        }
    }

    fn note(&mut self, what: String) {
        if self.verdict.notes.len() < MOST_FINDINGS {
            self.verdict.notes.push(what);
        }
    }
}

impl Next {
    fn after(position: Position) -> Self {
        Self { sequences: vec![position.sequence + 1], chains: vec![position.chain] }
    }
}

/// Whether a file can be read, but what it holds cannot.
fn is_content(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof)
}

fn range(what: &str, first: u64, last: u64) -> String {
    if first == last { format!("{what} {first}") } else { format!("{what}s {first} to {last}") }
}

fn are(first: u64, last: u64) -> &'static str {
    if first == last { "is" } else { "are" }
}

fn were(first: u64, last: u64) -> String {
    let were = if first == last { "was" } else { "were" };
    format!("{} {were}", range("segment", first, last))
}
