//! What is done with closed segments beside the log: they are packed, and removed. One thread does this, one after the
//! other.

use std::fs;
use std::io::{self, BufReader, BufWriter, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::segment::{self, UNFINISHED, Unpacked, packed_name, plain_name, plain_path, private, sync_folder};
use crate::regular;

/// The thread. It ends when this is dropped, with what it is at.
#[derive(Debug)]
pub(super) struct Upkeep {
    jobs: Option<Sender<Job>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What is done with closed segments.
#[derive(Clone, Copy, Debug)]
pub(super) enum Job {
    /// Packs that segment; if it is there both packed and not, and the two are the same, removes the one that is not.
    Pack(u64),
    /// Removes all segments up to that one.
    RemoveUpTo(u64),
}

impl Upkeep {
    pub(super) fn start(folder: PathBuf) -> io::Result<Self> {
        let (jobs, received) = channel();
        let stopping = Arc::<AtomicBool>::default();
        let stop = Arc::clone(&stopping);
        let work = move || work(&folder, &received, &stop);
        let thread = std::thread::Builder::new().name("log upkeep".to_owned()).spawn(work)?;
        Ok(Self { jobs: Some(jobs), stopping, thread: Some(thread) })
    }

    pub(super) fn ask(&self, job: Job) {
        // A thread that has ended is asked again by the next start.
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(job));
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.stopping.store(true, Relaxed);
        self.jobs = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn work(folder: &Path, jobs: &Receiver<Job>, stopping: &AtomicBool) {
    while let Ok(job) = jobs.recv() {
        let (done, number, error) = match job {
            // Packing takes its time; the next start asks for it again.
            Job::Pack(_) if stopping.load(Relaxed) => continue,
            Job::Pack(number) => ("packed", number, pack(folder, number).err()),
            Job::RemoveUpTo(number) => ("removed", number, remove_up_to(folder, number).err()),
        };
        if let Some(error) = error {
            tracing::warn!(segment = number, %error, "a closed segment of the decision log cannot be {done}");
        }
    }
}

fn pack(folder: &Path, number: u64) -> io::Result<()> {
    let (plain, packed) = (plain_path(folder, number), folder.join(packed_name(number)));
    if !plain.exists() {
        return Ok(());
    }
    if packed.exists() {
        return if is_packed_as(&plain, &packed)? {
            fs::remove_file(&plain)
        } else {
            Err(io::Error::other("it is there twice, with different lines"))
        };
    }
    let unfinished = folder.join(format!("{number:010}{UNFINISHED}"));
    let mut from = regular::open(&plain)?;
    let file = regular::open_with(private().write(true).create(true).truncate(true), &unfinished)?;
    let mut encoder = GzEncoder::new(BufWriter::new(file), Compression::default());
    io::copy(&mut from, &mut encoder)?;
    let file = encoder.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    fs::rename(&unfinished, &packed)?;
    sync_folder(folder)?;
    fs::remove_file(&plain)
}

/// Whether that packed file holds the bytes of that other one.
pub(super) fn is_packed_as(plain: &Path, packed: &Path) -> io::Result<bool> {
    let mut one = BufReader::new(regular::open(plain)?);
    let mut other = Unpacked::new(regular::open(packed)?);
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        left.clear();
        right.clear();
        (&mut one).take(1 << 16).read_to_end(&mut left)?;
        (&mut other).take(1 << 16).read_to_end(&mut right)?;
        if left != right || left.is_empty() {
            return Ok(left == right);
        }
    }
}

fn remove_up_to(folder: &Path, last: u64) -> io::Result<()> {
    // The oldest goes first: what is left is always one piece.
    for (number, forms) in segment::list(folder)?.range(..=last) {
        for (is_there, name) in [(forms.plain, plain_name(*number)), (forms.packed, packed_name(*number))] {
            if is_there {
                fs::remove_file(folder.join(name))?;
            }
        }
    }
    sync_folder(folder)
}
