//! The thread that writes a log: it takes all that waits, writes it at once, and mends what went wrong.
//!
//! What is in the open segment is known at every moment: up to `end` it was written, up to `synced` it is on disk.
//! Lines are drafted after `end`, and `end` moves only when all of a draft is written (`strict`: and synced); otherwise
//! the file is cut back to it.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::flusher::Flusher;
use super::head::{self, Head, HeadFile};
use super::line::{Position, write_line};
use super::note::{self, CHECKPOINT_DECISIONS, FORMAT, HeadFound, Lost, Note};
use super::queue::{Item, Queue};
use super::segment::{self, is_found, opening, plain_path, private, sync_folder};
use super::start::{self, Content, Found, end_of};
use super::upkeep::{Job, Upkeep};
use super::{Durability, LogError, LogSettings, Unwritable};
use crate::regular;
use crate::store::keys::SigningKey;

/// Writes one log.
pub(super) struct Writer {
    settings: LogSettings,
    queue: Arc<Queue>,
    /// What has been taken from the queue, and is not written.
    pending: VecDeque<Item>,
    /// What is to be said with the next lines.
    news: Vec<Note>,
    /// The number of the open segment; while none is open, of the next.
    segment: u64,
    open: Option<Open>,
    end: End,
    synced: End,
    /// Whether a sync has failed: then what was written after the last one may never get to the disk.
    doubtful: bool,
    /// A segment that was made, but not opened with its first line.
    unfinished: Option<u64>,
    head: HeadFile,
    /// Whether the head has to be made anew, because there was none.
    head_is_new: bool,
    /// Whether a segment was opened of which the head does not know yet.
    head_is_behind: bool,
    /// Whether the log is being closed.
    closing: bool,
    failing: bool,
    failure: Option<Failure>,
    retry: Instant,
    ticked: Instant,
    pruned: Option<Instant>,
    flusher: Flusher,
    upkeep: Upkeep,
    /// Let go when all else is done.
    lock: File,
}

/// The open segment.
struct Open {
    file: File,
    path: PathBuf,
    opened: SystemTime,
    /// The count of decisions when it was opened; `None` if that was before the start.
    written_before: Option<u64>,
}

/// The end of what was written.
#[derive(Clone, Copy, Default)]
struct End {
    position: Position,
    /// The bytes of the open segment.
    size: u64,
    /// Decisions since the last checkpoint.
    unsigned: u64,
    /// Whether there are lines since the last checkpoint.
    unchecked: bool,
    /// How many dropped decisions the log speaks of.
    dropped: u64,
    /// How many refused requests the log speaks of.
    refused: u64,
    /// When it last spoke of a time in which it could not be written.
    told: Option<Instant>,
    /// How many decisions were written since the start.
    written: u64,
}

/// What kept the log from being written, last.
struct Failure {
    since: SystemTime,
    reason: String,
    /// When the log was last found not to be writable.
    found: Instant,
}

/// Lines that are to be written together.
struct Draft {
    bytes: Vec<u8>,
    end: End,
}

/// How long the writer waits before it tries again.
const RETRY: Duration = Duration::from_millis(250);

/// How often lines get a checkpoint and are synced, where nothing syncs them at once.
const TICK: Duration = Duration::from_secs(1);

/// After so many bytes what was written is brought to the disk, where nothing waits for it.
const FLUSHED: u64 = 2 << 20;

/// The bytes for which a draft has room at first.
const DRAFT: usize = 64 << 10;

/// How often the log says at most that it could not be written.
const TELL: Duration = Duration::from_secs(1);

/// How often segments that have become too old are looked for.
const PRUNE: Duration = Duration::from_secs(60);

/// With so many bytes, a draft is written before more is added.
const MOST_DRAFTED: usize = 4 << 20;

/// The open segment, after its last line, whose line break is added if it has none.
fn reopened(path: PathBuf, content: &Content) -> io::Result<Open> {
    let mut file = regular::open_with(OpenOptions::new().write(true), &path)?;
    if content.unbroken {
        file.seek(SeekFrom::Start(content.size - 1))?;
        file.write_all(b"\n")?;
    }
    file.set_len(content.size)?;
    file.sync_all()?;
    file.seek(SeekFrom::Start(content.size))?;
    Ok(Open { file, path, opened: content.opened, written_before: None })
}

impl End {
    /// The end of a log as it was found; what was written and told since the start stays.
    fn of(found: &Found, since_start: Self) -> Self {
        let content = found.content.as_ref();
        Self {
            position: found.end,
            size: content.map_or(0, |content| content.size),
            unsigned: content.map_or(0, |content| content.unsigned),
            unchecked: content.is_some_and(|content| content.unsigned > 0),
            ..since_start
        }
    }
}

impl Writer {
    /// A writer that goes on from where a log was found to end. It has written nothing but the end of a last line.
    pub(super) fn new(settings: LogSettings, queue: Arc<Queue>, found: Found) -> io::Result<Self> {
        let folder = settings.folder.clone();
        let content = found.content.as_ref();
        let end = End::of(&found, End::default());
        let path = plain_path(&folder, found.segment);
        let open = content.map(|content| reopened(path, content)).transpose()?;
        let mut head = HeadFile::open(&folder)?;
        if found.head_is_new && found.segments.is_empty() {
            // So that there is a head whenever there is a segment.
            head.renew(&Head::new(0, Position::START, settings.signing_key.as_ref()))?;
            sync_folder(&folder)?;
        }
        let (flusher, upkeep) = (Flusher::start()?, Upkeep::start(folder)?);
        for (number, forms) in found.segments.iter().filter(|(number, _)| **number < found.segment) {
            if forms.plain && (settings.compress || forms.packed) {
                upkeep.ask(Job::Pack(*number));
            }
        }
        let unfinished = found.unfinished();
        let now = Instant::now();
        Ok(Self {
            queue,
            pending: VecDeque::new(),
            news: found.recovered.into_iter().collect(),
            segment: found.segment,
            open,
            end,
            synced: end,
            doubtful: false,
            unfinished,
            head,
            head_is_new: found.head_is_new,
            head_is_behind: false,
            closing: false,
            failing: false,
            failure: None,
            retry: now,
            ticked: now,
            pruned: None,
            flusher,
            upkeep,
            lock: found.lock,
            settings,
        })
    }

    /// Writes what the start has to say, so that it is known whether the log can be written.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        self.write()?;
        self.sync()?;
        self.write_head()?;
        self.head.sync()
    }

    /// Writes until the queue is closed.
    pub(super) fn run(mut self) -> Result<(), LogError> {
        loop {
            let deadline = self.ticked + TICK;
            let (items, closing) = self.queue.take(if self.failing { self.retry } else { deadline });
            self.pending.extend(items);
            if closing {
                return self.finish();
            }
            let outcome = match (self.failing, Instant::now() < self.retry) {
                (true, true) => {
                    self.reject();
                    Ok(())
                }
                (true, false) => self.recover(),
                (false, _) => self.work(),
            };
            if let Err(error) = outcome {
                self.fail(&error);
            }
        }
    }

    fn work(&mut self) -> io::Result<()> {
        self.write()?;
        if self.ticked.elapsed() < TICK {
            return Ok(());
        }
        self.ticked = Instant::now();
        self.look_at_files()?;
        if self.end.unchecked {
            let mut draft = self.draft();
            draft.signed(&Note::Checkpoint { time: note::now() }, self.settings.signing_key.as_ref());
            self.commit(draft, true)?;
        }
        self.sync()?;
        if self.is_old() {
            self.rotate()?;
        }
        if self.settings.keep_age.is_some() && self.pruned.is_none_or(|pruned| pruned.elapsed() >= PRUNE) {
            self.prune()?;
        }
        Ok(())
    }

    /// Writes all that is pending, in as many segments as it takes.
    fn write(&mut self) -> io::Result<()> {
        self.open_if_none()?;
        while !self.pending.is_empty() || self.has_news() {
            let mut draft = self.draft();
            self.draft_news(&mut draft);
            let most = usize::try_from(self.settings.segment_bytes.saturating_sub(self.end.size)).unwrap_or(usize::MAX);
            let mut drafted = 0;
            for item in &self.pending {
                draft.item(item, self.settings.signing_key.as_ref());
                drafted += 1;
                if draft.bytes.len() >= most.min(MOST_DRAFTED) {
                    break;
                }
            }
            self.commit(draft, self.settings.durability == Durability::Strict)?;
            self.is_told();
            self.queue.done(self.pending.drain(..drafted), Ok(()));
            if self.end.size >= self.settings.segment_bytes {
                self.rotate()?;
            }
        }
        Ok(())
    }

    fn has_news(&self) -> bool {
        !self.news.is_empty()
            || self.untold_failure().is_some()
            || self.queue.counts.dropped.load(Relaxed) > self.end.dropped
    }

    /// What kept the log from being written, if it is to be told now: a disk that is full time and again would fill
    /// itself with that.
    fn untold_failure(&self) -> Option<&Failure> {
        let is_due = self.closing || self.end.told.is_none_or(|told| told.elapsed() >= TELL);
        let refused = self.queue.counts.refused.load(Relaxed);
        self.failure.as_ref().filter(|failure| is_due && (!self.is_told_of(failure) || refused > self.end.refused))
    }

    fn is_told_of(&self, failure: &Failure) -> bool {
        self.end.told.is_some_and(|told| told >= failure.found)
    }

    fn draft(&mut self) -> Draft {
        Draft { bytes: Vec::with_capacity(DRAFT), end: self.end }
    }

    fn draft_news(&self, draft: &mut Draft) {
        for note in &self.news {
            draft.note(note);
        }
        if let Some(failure) = self.untold_failure() {
            let refused = self.queue.counts.refused.load(Relaxed);
            draft.note(&Note::Refused {
                time: note::now(),
                requests: refused - self.end.refused,
                since: note::rfc3339(failure.since),
                reason: failure.reason.clone(),
            });
            (draft.end.refused, draft.end.told) = (refused, Some(Instant::now()));
        }
        let dropped = self.queue.counts.dropped.load(Relaxed);
        if dropped > self.end.dropped {
            let decisions = dropped - self.end.dropped;
            draft.note(&Note::Dropped { time: note::now(), decisions, total: dropped });
            draft.end.dropped = dropped;
        }
    }

    /// There is no news any more.
    fn is_told(&mut self) {
        self.news.clear();
    }

    /// Writes a draft, all of it or nothing.
    fn commit(&mut self, draft: Draft, sync: bool) -> io::Result<()> {
        let end = self.end.position;
        self.keep_lock()?;
        if self.end.position != end {
            return Err(io::Error::other("another process has written it meanwhile"));
        }
        self.settle_head()?;
        let Some(open) = &mut self.open else { return Err(io::Error::other("no segment is open")) };
        open.is_as_left(self.end.size)?;
        open.file.write_all(&draft.bytes)?;
        if sync {
            open.file.sync_data().inspect_err(|_| self.doubtful = true)?;
        }
        // The next sync then has little left to wait for.
        if !sync && self.end.size / FLUSHED != draft.end.size / FLUSHED {
            self.flusher.ask(open.path.clone());
        }
        self.accept(draft.end, sync);
        if let Err(error) = self.write_head() {
            // The lines are there; the next ones bring the next head.
            tracing::warn!(%error, "the head of the decision log cannot be written");
        }
        Ok(())
    }

    /// Nothing is written into a segment before the head knows of it, whatever happens then: see [`head`].
    fn settle_head(&mut self) -> io::Result<()> {
        if self.head_is_behind {
            self.write_head()?;
            self.head.sync()?;
            self.head_is_behind = false;
        }
        Ok(())
    }

    fn write_head(&mut self) -> io::Result<()> {
        let head = Head::new(self.segment, self.end.position, self.settings.signing_key.as_ref());
        if self.head_is_new {
            self.head.renew(&head)?;
            self.head_is_new = false;
            return Ok(());
        }
        self.head.write(&head)
    }

    /// From now on, that is the end.
    fn accept(&mut self, end: End, synced: bool) {
        self.end = end;
        let counts = &self.queue.counts;
        if synced {
            self.synced = end;
            *counts.last_sync.lock().unwrap_or_else(PoisonError::into_inner) = Some(SystemTime::now());
        }
        counts.sequence.store(end.position.sequence, Relaxed);
        counts.segment.store(self.segment, Relaxed);
        counts.written.store(end.written, Relaxed);
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Some(open) = self.open.as_ref().filter(|_| self.synced.position != self.end.position) {
            open.file.sync_data().inspect_err(|_| self.doubtful = true)?;
            self.synced = self.end;
            *self.queue.counts.last_sync.lock().unwrap_or_else(PoisonError::into_inner) = Some(SystemTime::now());
        }
        Ok(())
    }
}

/// Segments: opened, closed, pruned.
impl Writer {
    fn open_if_none(&mut self) -> io::Result<()> {
        if self.open.is_some() {
            return Ok(());
        }
        self.keep_lock()?;
        if self.open.is_some() {
            return Ok(());
        }
        let path = plain_path(&self.settings.folder, self.segment);
        let mut options = private();
        // What was begun here may be begun again; what somebody else has put there is not touched.
        match self.unfinished == Some(self.segment) {
            true => options.write(true).create(true).truncate(true),
            false => options.write(true).create_new(true),
        };
        let mut file = regular::open_with(&mut options, &path)?;
        self.unfinished = Some(self.segment);
        let mut draft = Draft { bytes: Vec::new(), end: End { size: 0, ..self.end } };
        let opened = SystemTime::now();
        draft.note(&Note::Opened {
            time: note::rfc3339(opened),
            format: FORMAT,
            segment: self.segment,
            previous_sequence: self.end.position.sequence,
            previous_chain: self.end.position.chain,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            key: self.settings.signing_key.as_ref().map(|key| key.verifying_key().fingerprint()),
        });
        let has_news = self.has_news();
        // What was found is said before a head or a checkpoint vouches for it.
        self.draft_news(&mut draft);
        file.write_all(&draft.bytes)?;
        file.sync_all()?;
        sync_folder(&self.settings.folder)?;
        self.unfinished = None;
        self.open = Some(Open { file, path, opened, written_before: Some(draft.end.written) });
        // A first line alone needs no checkpoint.
        draft.end.unchecked = self.end.unchecked || has_news;
        self.accept(draft.end, true);
        self.is_told();
        self.head_is_behind = true;
        self.settle_head()?;
        self.prune()
    }

    fn is_old(&self) -> bool {
        let (Some(open), Some(age)) = (&self.open, self.settings.segment_age) else { return false };
        // One without a decision is not worth closing.
        let decided = open.written_before.is_none_or(|before| self.end.written > before);
        decided && open.opened.elapsed().is_ok_and(|elapsed| elapsed >= age)
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.close_segment()?;
        self.open_if_none()
    }

    fn close_segment(&mut self) -> io::Result<()> {
        let mut draft = self.draft();
        draft.signed(&Note::Closed { time: note::now() }, self.settings.signing_key.as_ref());
        self.commit(draft, true)?;
        if let Err(error) = self.head.sync() {
            // It does not vouch for the last lines, if the power is lost now.
            tracing::warn!(%error, "the head of the decision log cannot be synced");
        }
        self.open = None;
        if self.settings.compress {
            self.upkeep.ask(Job::Pack(self.segment));
        }
        self.segment += 1;
        Ok(())
    }

    /// Has the segments removed that need not be kept; the log says so before.
    fn prune(&mut self) -> io::Result<()> {
        self.pruned = Some(Instant::now());
        let (last, before) = match self.prunable() {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(()),
            // The log itself is not the worse for it.
            Err(error) => {
                tracing::warn!(%error, "old segments of the decision log cannot be looked at, and are not removed");
                return Ok(());
            }
        };
        let mut draft = self.draft();
        let note =
            Note::Pruned { time: note::now(), segment: last, last_sequence: before.sequence, last_chain: before.chain };
        draft.signed(&note, self.settings.signing_key.as_ref());
        self.commit(draft, true)?;
        self.upkeep.ask(Job::RemoveUpTo(last));
        Ok(())
    }

    /// The last segment that need not be kept, and its last line.
    fn prunable(&self) -> io::Result<Option<(u64, Position)>> {
        let LogSettings { folder, keep_segments, keep_age, .. } = &self.settings;
        if keep_segments.is_none() && keep_age.is_none() {
            return Ok(None);
        }
        let segments = segment::list(folder)?;
        let closed: Vec<_> = segments.range(..self.segment).collect();
        let too_many = keep_segments.map_or(0, |most| closed.len().saturating_sub(most));
        let mut too_old = 0;
        if let Some(age) = *keep_age {
            // A segment is as old as the opening of the next one, which is chained: anybody can set the time of a file.
            for (number, forms) in segments.range(..=self.segment).skip(1) {
                let opened = opening(&folder.join(forms.name(*number)))?.and_then(|(_, time)| note::read_time(&time));
                if !opened.is_some_and(|time| time.elapsed().is_ok_and(|elapsed| elapsed >= age)) {
                    break;
                }
                too_old += 1;
            }
        }
        let last = too_many.max(too_old).checked_sub(1).and_then(|index| closed.get(index));
        let Some(last) = last.map(|(number, _)| **number) else { return Ok(None) };
        // The segment after it says where it ended.
        let Some((&next, forms)) = segments.range(last + 1..).next() else { return Ok(None) };
        match opening(&folder.join(forms.name(next)))? {
            Some((before, _)) => Ok(Some((last, before))),
            None => Err(io::Error::other(format!("segment {next} does not begin as it should"))),
        }
    }
}

/// What goes wrong, and how it is mended.
impl Writer {
    /// Nothing can be written: what was begun is cut back, and who waits is told.
    fn fail(&mut self, error: &io::Error) {
        let reason = error.to_string();
        if !self.failing {
            tracing::error!(%reason, "the decision log cannot be written");
            self.failing = true;
            let untold = self.failure.as_ref().filter(|failure| !self.is_told_of(failure));
            let since = untold.map_or_else(SystemTime::now, |failure| failure.since);
            self.failure = Some(Failure { since, reason: reason.clone(), found: Instant::now() });
        }
        self.queue.set_failing(Some(reason));
        self.retry = Instant::now() + RETRY;
        // Without the lock, what is there may be another's.
        if let Some(open) = self.open.as_mut().filter(|_| start::is_lock_of(&self.lock, &self.settings.folder)) {
            // What cannot be cut back now is cut back before anything else is written.
            let _ = open.cut_back(self.end.size);
        }
        self.reject();
    }

    /// `strict`: nobody waits for a log that cannot be written. Otherwise, what is pending is kept.
    fn reject(&mut self) {
        if self.settings.durability != Durability::Strict {
            return;
        }
        let is_entries = |item: &Item| matches!(item, Item::Entries { .. });
        let (rejected, kept): (VecDeque<_>, VecDeque<_>) = self.pending.drain(..).partition(is_entries);
        self.pending = kept;
        self.queue.done(rejected, Err(Unwritable));
    }

    /// Tries to write again; where that succeeds, the log says what happened, and goes on.
    fn recover(&mut self) -> io::Result<()> {
        self.keep_lock()?;
        self.mend()?;
        self.write()?;
        self.sync()?;
        tracing::warn!("the decision log can be written again");
        self.failing = false;
        self.queue.set_failing(None);
        Ok(())
    }

    /// Opens the segment again, with exactly what is known to be in it; where it is not there, or holds something else,
    /// the next segment takes its place.
    fn mend(&mut self) -> io::Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        let mended = open.again(&self.end, &self.synced, self.doubtful)?;
        self.doubtful = false;
        match mended {
            Some(file) => {
                if let Some(open) = &mut self.open {
                    open.file = file;
                }
            }
            None => {
                let (synced, end) = (self.synced.position.sequence, self.end.position.sequence);
                let lost = (synced < end).then_some(Lost { first: synced + 1, last: end });
                self.news.push(Note::Recovered { time: note::now(), torn: None, lost, head: None, unvouched: None });
                self.open = None;
                self.segment += 1;
            }
        }
        Ok(())
    }

    /// Takes the lock again where it is no longer the one that is found by its name: it was removed, or the folder is
    /// another one. Where another process has written the log meanwhile, it is gone on with after those lines.
    fn keep_lock(&mut self) -> io::Result<()> {
        let folder = &self.settings.folder;
        if start::is_lock_of(&self.lock, folder) {
            return Ok(());
        }
        let failed = |error: LogError| io::Error::other(error.to_string());
        start::make(folder)?;
        let lock = start::lock(folder).map_err(failed)?;
        if self.open.as_ref().is_some_and(|open| open.is_found() && open.is_as_left(self.end.size).is_ok()) {
            self.lock = lock;
        } else {
            let (found, _) = start::find_locked(&self.settings, lock).map_err(failed)?;
            match found.segments.is_empty() {
                true => {
                    self.move_on(found.lock)?;
                    return Err(io::Error::other("its folder was replaced"));
                }
                // What lacks lines that were written here is another log.
                false if found.end.sequence < self.end.position.sequence => {
                    return Err(io::Error::other("another log was put in its place"));
                }
                false => self.go_on(found)?,
            }
        }
        tracing::warn!("the lock of the decision log was removed, or its folder replaced; it is locked again");
        Ok(())
    }

    /// Goes on in an empty folder. What was written stays where it is now, whole, and with the head that knows it.
    fn move_on(&mut self, lock: File) -> io::Result<()> {
        // What cannot be synced there is lost, if the power is lost.
        let is_synced = self.sync().is_ok() && self.head.sync().is_ok();
        let (synced, end) = (self.synced.position.sequence, self.end.position.sequence);
        let lost = (!is_synced && synced < end).then_some(Lost { first: synced + 1, last: end });
        self.head = HeadFile::open(&self.settings.folder)?;
        self.head_is_new = true;
        let head = Some(HeadFound::Missing);
        self.news.push(Note::Recovered { time: note::now(), torn: None, lost, head, unvouched: None });
        self.open = None;
        self.doubtful = false;
        self.segment += 1;
        self.lock = lock;
        tracing::warn!("the folder of the decision log was replaced by an empty one; the log goes on there");
        Ok(())
    }

    /// Goes on with a log as it was found.
    fn go_on(&mut self, found: Found) -> io::Result<()> {
        let path = plain_path(&self.settings.folder, found.segment);
        let head = HeadFile::open(&self.settings.folder)?;
        self.open = found.content.as_ref().map(|content| reopened(path, content)).transpose()?;
        self.head = head;
        self.end = End::of(&found, self.end);
        self.synced = self.end;
        self.segment = found.segment;
        self.unfinished = found.unfinished();
        self.head_is_new = found.head_is_new;
        self.lock = found.lock;
        self.news.extend(found.recovered);
        if self.open.is_some() {
            // What was found is said before the head vouches for it.
            let mut draft = self.draft();
            self.draft_news(&mut draft);
            self.commit(draft, true)?;
            self.is_told();
            self.head.sync()?;
        }
        Ok(())
    }

    /// Whether the files that are written are still those which are found by their names.
    fn look_at_files(&mut self) -> io::Result<()> {
        self.keep_lock()?;
        if let Some(open) = &self.open
            && !open.is_found()
        {
            return Err(io::Error::other("its file was removed, or another was put in its place"));
        }
        let path = self.settings.folder.join(head::NAME);
        if !self.head.is_found(&path) {
            let found = if path.exists() { HeadFound::Replaced } else { HeadFound::Missing };
            self.head = HeadFile::open(&self.settings.folder)?;
            self.news.push(Note::Recovered {
                time: note::now(),
                torn: None,
                lost: None,
                head: Some(found),
                unvouched: None,
            });
            self.write()?;
            // What was put there may have been longer.
            return self.head.renew(&Head::new(self.segment, self.end.position, self.settings.signing_key.as_ref()));
        }
        Ok(())
    }

    /// Writes what is left, and the last line.
    fn finish(mut self) -> Result<(), LogError> {
        self.closing = true;
        let written = if self.failing { self.recover() } else { self.write() };
        let Err(error) = written.and_then(|()| self.close_segment()) else { return Ok(()) };
        self.fail(&error);
        let waiting = |item: &Item| match item {
            Item::Entries { entries, .. } => entries.len() as u64,
            Item::Revision(_) => 0,
        };
        match self.pending.iter().map(waiting).sum() {
            0 => Err(LogError::Io { folder: self.settings.folder.clone(), done: "closed", error }),
            decisions => Err(LogError::Unwritten { decisions, reason: error.to_string() }),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.end();
    }
}

impl Draft {
    fn item(&mut self, item: &Item, key: Option<&SigningKey>) {
        match item {
            Item::Revision(revision) => {
                self.note(&Note::Revision { time: note::now(), revision: revision.clone() });
            }
            Item::Entries { entries, .. } => {
                for entry in entries.iter() {
                    self.decision(entry);
                    if self.end.unsigned >= CHECKPOINT_DECISIONS {
                        self.signed(&Note::Checkpoint { time: note::now() }, key);
                    }
                }
            }
        }
    }

    /// `entry` is its members.
    fn decision(&mut self, entry: &[u8]) {
        let before = self.bytes.len();
        write_line(&mut self.bytes, &mut self.end.position, |buffer, _, _| {
            buffer.extend_from_slice(br#""type":"decision","#);
            match entry {
                // Without members, there is nothing to set apart.
                [] => _ = buffer.pop(),
                members => buffer.extend_from_slice(members),
            }
        });
        self.end.unsigned += 1;
        self.end.written += 1;
        self.grown(before);
    }

    fn note(&mut self, note: &Note) {
        self.line(note, None);
    }

    /// A line that vouches for all before it.
    fn signed(&mut self, note: &Note, key: Option<&SigningKey>) {
        self.line(note, key);
        self.end.unsigned = 0;
        self.end.unchecked = false;
    }

    fn line(&mut self, note: &Note, key: Option<&SigningKey>) {
        let before = self.bytes.len();
        note.write(&mut self.bytes, &mut self.end.position, key);
        self.grown(before);
    }

    fn grown(&mut self, before: usize) {
        self.end.size += (self.bytes.len() - before) as u64;
        self.end.unchecked = true;
    }
}

impl Open {
    /// Whether the file is as it was left, as far as that is quickly told.
    fn is_as_left(&self, size: u64) -> io::Result<()> {
        let metadata = self.file.metadata()?;
        #[cfg(unix)]
        if std::os::unix::fs::MetadataExt::nlink(&metadata) == 0 {
            return Err(io::Error::other("its file was removed"));
        }
        if metadata.len() == size { Ok(()) } else { Err(io::Error::other("its file was changed by another process")) }
    }

    /// Whether it is this file that is found by its name.
    fn is_found(&self) -> bool {
        is_found(&self.file, &self.path)
    }

    fn cut_back(&mut self, size: u64) -> io::Result<()> {
        if self.file.metadata()?.len() > size {
            self.file.set_len(size)?;
        }
        self.file.seek(SeekFrom::Start(size)).map(drop)
    }

    /// The file, opened again and cut back to its end; `None` if it is not there, or lacks some of what was written.
    fn again(&self, end: &End, synced: &End, doubtful: bool) -> io::Result<Option<File>> {
        let mut file = match regular::open_with(OpenOptions::new().read(true).write(true), &self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        if !self.is_found() || file.metadata()?.len() < end.size {
            return Ok(None);
        }
        file.set_len(end.size)?;
        if doubtful {
            // After a sync that failed, the system takes for written what is not: it is written once more.
            let mut lines = Vec::new();
            file.seek(SeekFrom::Start(synced.size))?;
            file.read_to_end(&mut lines)?;
            if end_of(&lines, synced.position.chain) != Some(end.position.chain) {
                file.set_len(synced.size)?;
                return Ok(None);
            }
            file.seek(SeekFrom::Start(synced.size))?;
            file.write_all(&lines)?;
            file.sync_all()?;
        }
        file.seek(SeekFrom::Start(end.size))?;
        Ok(Some(file))
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A segment with three lines; the ends of its first line, which was synced, and of its last.
    fn segment(folder: &TempDir) -> (Open, End, End) {
        let mut draft = Draft { bytes: Vec::new(), end: End::default() };
        draft.decision(br#""number":1"#);
        let synced = draft.end;
        draft.decision(br#""number":2"#);
        draft.decision(br#""number":3"#);
        let path = plain_path(folder.path(), 1);
        std::fs::write(&path, &draft.bytes).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        (Open { file, path, opened: SystemTime::now(), written_before: None }, synced, draft.end)
    }

    /// After a sync that failed, what was written since the last one is read, and written once more if it is all there.
    #[test]
    fn what_was_written_before_a_failed_sync_is_written_again() {
        let folder = TempDir::new().unwrap();
        let (open, synced, end) = segment(&folder);
        let before = std::fs::read(&open.path).unwrap();
        // What was begun after it is cut off.
        std::fs::write(&open.path, [&before[..], b"half a li"].concat()).unwrap();
        for doubtful in [true, false] {
            let mut file = open.again(&end, &synced, doubtful).unwrap().unwrap();
            assert_eq!(std::fs::read(&open.path).unwrap(), before);
            // The next line comes after it.
            assert_eq!(file.stream_position().unwrap(), end.size);
        }
    }

    /// What the system has given up after a sync that failed is not taken for written: the segment ends where it was synced.
    #[test]
    fn what_was_lost_with_a_failed_sync_is_given_up() {
        let folder = TempDir::new().unwrap();
        let (open, synced, end) = segment(&folder);
        let before = std::fs::read(&open.path).unwrap();
        let at = usize::try_from(synced.size).unwrap();
        let mut lost = before.clone();
        lost[at..].fill(0);
        let changed = String::from_utf8(before.clone()).unwrap().replace("\"number\":3", "\"number\":4").into_bytes();
        for content in [lost, changed] {
            std::fs::write(&open.path, &content).unwrap();
            assert!(open.again(&end, &synced, true).unwrap().is_none());
            assert_eq!(std::fs::read(&open.path).unwrap(), before[..at]);
        }
        // Less than was written, or another file.
        assert!(open.again(&end, &synced, false).unwrap().is_none());
        std::fs::remove_file(&open.path).unwrap();
        assert!(open.again(&end, &synced, true).unwrap().is_none());
    }
}
