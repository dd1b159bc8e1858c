//! Brings what was written to the disk little by little, beside the log: a sync of all that a second of decisions takes would keep the
//! log from writing meanwhile, and what had waited would be written in one go, on the processors of those who decide.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::regular;

/// The thread. It ends when this is dropped, with what it is at.
#[derive(Debug)]
pub(super) struct Flusher {
    segments: Option<SyncSender<PathBuf>>,
    thread: Option<JoinHandle<()>>,
}

impl Flusher {
    pub(super) fn start() -> io::Result<Self> {
        let (segments, received) = sync_channel(1);
        let thread = std::thread::Builder::new().name("log flush".to_owned()).spawn(move || work(&received))?;
        Ok(Self { segments: Some(segments), thread: Some(thread) })
    }

    /// Has the file brought to the disk, as far as it was written. Where the disk is busy with the file before, nothing is done.
    pub(super) fn ask(&self, segment: PathBuf) {
        let _ = self.segments.as_ref().map(|segments| segments.try_send(segment));
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.segments = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn work(segments: &Receiver<PathBuf>) {
    while let Ok(segment) = segments.recv() {
        // What goes wrong here goes wrong again when the log itself syncs the file: each who has opened it is told.
        let _ = regular::open(&segment).and_then(|file| file.sync_data());
    }
}
