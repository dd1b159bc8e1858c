//! The queue between those who decide and the thread that writes: bounded in bytes, emptied at once.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Semaphore, oneshot, watch};

use super::{Durability, Entries, LogFigures, Unwritable};

/// What all hands on a log share.
#[derive(Debug)]
pub(super) struct Queue {
    durability: Durability,
    capacity: usize,
    /// The bytes that are still free.
    room: Semaphore,
    inbox: Mutex<Inbox>,
    filled: Condvar,
    /// Why the log cannot be written, while it cannot.
    failing: watch::Sender<Option<String>>,
    pub(super) counts: Counts,
}

#[derive(Debug, Default)]
struct Inbox {
    items: Vec<Item>,
    /// The bytes of the queue that they take.
    bytes: usize,
    closing: bool,
    /// Whether the writer sleeps until something comes.
    asleep: bool,
}

/// What waits to be written.
#[derive(Debug)]
pub(super) enum Item {
    /// Decisions that one caller handed over.
    Entries {
        entries: Entries,
        /// The bytes of the queue that they take.
        room: u32,
        /// Who waits until they are on disk.
        written: Option<oneshot::Sender<Result<(), Unwritable>>>,
    },
    /// A revision that came into force.
    Revision(String),
}

/// What has happened since the start.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) queued: AtomicU64,
    pub(super) written: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) sequence: AtomicU64,
    pub(super) segment: AtomicU64,
    pub(super) last_sync: Mutex<Option<SystemTime>>,
}

/// Bytes of the queue that an entry takes beside its own: what holds it, and its frame in the file.
const OVERHEAD: usize = 160;

/// With so many bytes, the writer no longer waits for more.
const ENOUGH: usize = 64 * 1024;

/// Nor with a queue that is so full: the part of it.
const FULL_ENOUGH: usize = 4;

/// How long the writer waits for more, where nobody waits for it.
const LINGER: Duration = Duration::from_millis(5);

impl Queue {
    pub(super) fn new(durability: Durability, capacity: usize) -> Self {
        Self {
            durability,
            capacity,
            room: Semaphore::new(capacity),
            inbox: Mutex::default(),
            filled: Condvar::new(),
            failing: watch::Sender::new(None),
            counts: Counts::default(),
        }
    }

    /// Hands entries over, and waits for as long as the durability asks for. When this future is dropped, either none
    /// of the entries is in the queue, or all are.
    pub(super) async fn append(&self, entries: Entries) -> Result<(), Unwritable> {
        let bytes = entries.bytes.len() + entries.len() * OVERHEAD;
        // What is larger than the queue waits until it is empty.
        let room = u32::try_from(bytes.min(self.capacity)).unwrap_or(u32::MAX);
        let appended = match self.durability {
            Durability::Lossy => {
                self.append_or_drop(entries, room);
                Ok(())
            }
            Durability::Buffered => match self.take_room(room).await {
                Ok(()) => self.push(Item::Entries { entries, room, written: None }),
                refused => refused,
            },
            Durability::Strict => self.append_and_wait(entries, room).await,
        };
        appended.inspect_err(|_| self.refuse())
    }

    fn append_or_drop(&self, entries: Entries, room: u32) {
        let count = entries.len() as u64;
        let taken = self.room.try_acquire_many(room).map(|permits| permits.forget());
        if taken.is_err() || self.push(Item::Entries { entries, room, written: None }).is_err() {
            self.counts.dropped.fetch_add(count, Relaxed);
        }
    }

    async fn append_and_wait(&self, entries: Entries, room: u32) -> Result<(), Unwritable> {
        self.check()?;
        self.take_room(room).await?;
        let (written, outcome) = oneshot::channel();
        self.push(Item::Entries { entries, room, written: Some(written) })?;
        outcome.await.unwrap_or(Err(Unwritable))
    }

    /// Waits until so many bytes are free, for as long as the log can be written.
    async fn take_room(&self, room: u32) -> Result<(), Unwritable> {
        if let Ok(permits) = self.room.try_acquire_many(room) {
            permits.forget();
            return Ok(());
        }
        let mut failing = self.failing.subscribe();
        tokio::select! {
            permits = self.room.acquire_many(room) => permits.map(|permits| permits.forget()).map_err(|_| Unwritable),
            _ = failing.wait_for(Option::is_some) => Err(Unwritable),
        }
    }

    /// Puts something into the queue; its bytes have been taken.
    pub(super) fn push(&self, item: Item) -> Result<(), Unwritable> {
        let mut inbox = self.inbox();
        if inbox.closing {
            return Err(Unwritable);
        }
        let had_enough = self.is_enough(&inbox);
        if let Item::Entries { entries, room, .. } = &item {
            self.counts.queued.fetch_add(entries.len() as u64, Relaxed);
            inbox.bytes += *room as usize;
        }
        inbox.items.push(item);
        let is_enough = !had_enough && self.is_enough(&inbox);
        let wakes = std::mem::take(&mut inbox.asleep) || is_enough;
        drop(inbox);
        // To wake somebody costs a call of the system, whether anybody waits or not.
        if wakes {
            self.filled.notify_one();
        }
        // Where the writer has no core of its own, it would get this one when there is much more to write, and keep it for long.
        if is_enough {
            thread::yield_now();
        }
        Ok(())
    }

    /// Takes all that is there, soon after there is something, or soon after `deadline` at the latest; and says whether the log
    /// is to be closed. Where somebody waits for it (`strict`), soon is at once, else when it is enough, or after some milliseconds.
    pub(super) fn take(&self, deadline: Instant) -> (Vec<Item>, bool) {
        let mut inbox = self.gathered(self.inbox());
        while inbox.items.is_empty() && !inbox.closing {
            let Some(patience) = deadline.checked_duration_since(Instant::now()) else { break };
            inbox.asleep = true;
            inbox = self.wait(inbox, patience);
            inbox.asleep = false;
            inbox = self.gathered(inbox);
        }
        inbox.bytes = 0;
        (std::mem::take(&mut inbox.items), inbox.closing)
    }

    /// What has come for as long as the writer waits for more. Nobody wakes it for less than enough.
    fn gathered<'q>(&self, mut inbox: MutexGuard<'q, Inbox>) -> MutexGuard<'q, Inbox> {
        let end = Instant::now() + LINGER;
        while self.durability != Durability::Strict && !inbox.closing && !self.is_enough(&inbox) {
            let patience = end.saturating_duration_since(Instant::now());
            if patience.is_zero() {
                break;
            }
            inbox = self.wait(inbox, patience);
        }
        inbox
    }

    fn wait<'q>(&self, inbox: MutexGuard<'q, Inbox>, patience: Duration) -> MutexGuard<'q, Inbox> {
        self.filled.wait_timeout(inbox, patience).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Lets go of what these took, and of who waits for them.
    pub(super) fn done(&self, items: impl IntoIterator<Item = Item>, outcome: Result<(), Unwritable>) {
        let (mut freed, mut count, mut waiting) = (0, 0, Vec::new());
        for item in items {
            let Item::Entries { entries, room, written } = item else { continue };
            freed += room as usize;
            count += entries.len() as u64;
            waiting.extend(written);
        }
        self.room.add_permits(freed);
        self.counts.queued.fetch_sub(count, Relaxed);
        for written in waiting {
            // Who no longer waits has gone away.
            let _ = written.send(outcome);
        }
    }

    /// Says that the log cannot be written, and why; or that it can.
    pub(super) fn set_failing(&self, reason: Option<String>) {
        self.failing.send_replace(reason);
    }

    /// Whether the log can be written, as far as is known.
    pub(super) fn check(&self) -> Result<(), Unwritable> {
        // What is lossy goes on without the log.
        let failing = self.durability != Durability::Lossy && self.failing.borrow().is_some();
        if failing { Err(Unwritable) } else { Ok(()) }
    }

    /// Counts a request that is refused because the log cannot be written.
    pub(super) fn refuse(&self) {
        self.counts.refused.fetch_add(1, Relaxed);
    }

    /// Takes nothing more; the writer ends when it has written what is there.
    pub(super) fn close(&self) {
        self.inbox().closing = true;
        self.filled.notify_all();
    }

    /// There is no writer any more: nobody may wait for it.
    pub(super) fn end(&self) {
        self.close();
        self.room.close();
        self.failing.send_if_modified(|reason| {
            let was_writable = reason.is_none();
            reason.get_or_insert_with(|| "the log is closed".to_owned());
            was_writable
        });
        let items = std::mem::take(&mut self.inbox().items);
        self.done(items, Err(Unwritable));
    }

    pub(super) fn figures(&self) -> LogFigures {
        let counts = &self.counts;
        LogFigures {
            queued: counts.queued.load(Relaxed),
            queued_bytes: self.queued_bytes() as u64,
            written: counts.written.load(Relaxed),
            dropped: counts.dropped.load(Relaxed),
            refused: counts.refused.load(Relaxed),
            failing: self.failing.borrow().clone(),
            sequence: counts.sequence.load(Relaxed),
            segment: counts.segment.load(Relaxed),
            last_sync: *counts.last_sync.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    fn is_enough(&self, inbox: &Inbox) -> bool {
        inbox.bytes >= ENOUGH.min(self.capacity / FULL_ENOUGH)
    }

    fn queued_bytes(&self) -> usize {
        self.capacity.saturating_sub(self.room.available_permits())
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
