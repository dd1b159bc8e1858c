//! Replay: every request of a decision log, decided again under a store, and what would be decided otherwise.
//!
//! A request is decided as it was logged: with the facts that plugins read then, over what is stored now. Requests that look alike to the
//! policies are decided once ([`crate::matrix::sight::Sight::key`]), and lines that say the same are read once (`essence`). What the log does not hold (masked values, what was dropped, records that were too large)
//! cannot be decided on again, where it could make a difference: that is counted, never guessed.

mod essence;
mod plugins;
mod recorded;
mod tally;
mod worker;

use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::Snapshot;
pub use tally::{Changed, Group, Replay};
use worker::{Sights, Worker};

/// Which records are replayed.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Those of that time or later: RFC 3339, in UTC, with microseconds, as it is in the log.
    pub since: Option<String>,
    /// Those about the action of that id or whole name.
    pub action: Option<String>,
    /// Of these, so many at most: the first.
    pub limit: Option<usize>,
}

/// So many bytes of lines are handed to a worker at once.
pub const CHUNK: usize = 256 << 10;

/// Replays lines of a log. `fill` adds whole lines, each with its newline, to what it is given, [`CHUNK`] bytes or so; it says whether there
/// may be more.
///
/// # Errors
///
/// What `fill` reports.
pub fn replay<E>(
    snapshot: &Snapshot,
    selection: &Selection,
    mut fill: impl FnMut(&mut Vec<u8>) -> Result<bool, E>,
) -> Result<Replay, E> {
    // A limit counts in the order of the log, so that only one can count.
    let all = std::thread::available_parallelism().map_or(1, NonZero::get);
    let workers = if selection.limit.is_some() { 1 } else { all };
    let sights = Sights::of(snapshot);
    std::thread::scope(|scope| {
        let (send, receive) = sync_channel::<Vec<u8>>(2 * workers);
        // Held by the workers alone, so that nothing is sent when none is left.
        let receive = Arc::new(Mutex::new(receive));
        let sights = &sights;
        let spawn = |receive: Arc<Mutex<Receiver<Vec<u8>>>>| {
            scope.spawn(move || work(Worker::new(snapshot, selection, sights), &receive))
        };
        let running: Vec<_> = std::iter::repeat_n(receive, workers).map(spawn).collect();
        let read = hand_out(&send, &mut fill);
        drop(send);
        let mut replay = Replay::default();
        for worker in running {
            match worker.join() {
                Ok(part) => replay.add(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        read.map(|()| replay.sorted())
    })
}

fn hand_out<E>(send: &SyncSender<Vec<u8>>, fill: &mut impl FnMut(&mut Vec<u8>) -> Result<bool, E>) -> Result<(), E> {
    loop {
        let mut chunk = Vec::with_capacity(CHUNK + (CHUNK >> 2));
        let more = fill(&mut chunk)?;
        // There is nobody to send to only where all workers have panicked, or need no more.
        if send.send(chunk).is_err() || !more {
            return Ok(());
        }
    }
}

fn work(mut worker: Worker<'_>, receive: &Mutex<Receiver<Vec<u8>>>) -> Replay {
    loop {
        let next = receive.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(chunk) = next else { return worker.done() };
        chunk.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).for_each(|line| worker.take(line));
        if worker.has_enough() {
            return worker.done();
        }
    }
}
