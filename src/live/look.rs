//! What the files of a store look like from outside: enough to tell that one of them has changed.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest, Sha256};

use crate::regular;
use crate::store::{Origin, Source, watched_paths};

/// Time enough between two looks for an edit to be in force within a second.
const LOOK: Duration = Duration::from_millis(250);

/// How long the files must look the same before they are read: who writes several is given the time for it.
pub(super) const SETTLE: Duration = Duration::from_millis(100);

/// For so long they are waited for, at most: a file that is written again and again must not keep out an edit to another.
const MOST_SETTLING: Duration = Duration::from_millis(500);

/// For so long, a file can be changed again without its times telling: the clocks of file systems are coarse.
const YOUNG: Duration = Duration::from_secs(2);

/// Looks at the files of a store again and again, by their names: an editor may have put another file in the place of the old one,
/// Kubernetes another folder, and git another branch. Nothing of the operating system tells of all of these, over networks too.
#[derive(Debug)]
pub struct Watcher {
    source: Source,
    last: Look,
    /// Since when something changes that was not yet said to be settled.
    moving: Option<Instant>,
}

/// What a look showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// All is as it was.
    Same,
    /// Something changed since the last look: it may just be being written.
    Moving,
    /// Something had changed, and nothing has since; or it changes on and on, and has been waited for long enough.
    Settled,
}

impl Watcher {
    /// A watcher of the files of a store, to which all later looks are compared. Create it before the store is read.
    pub fn new(source: &Source) -> Self {
        Self { source: source.clone(), last: Look::at(source), moving: None }
    }

    /// Looks at the files.
    pub fn look(&mut self) -> Seen {
        let look = Look::at(&self.source);
        let is_like = look.is_like(&self.last);
        self.last = look;
        let Some(since) = self.moving.or_else(|| (!is_like).then(Instant::now)) else { return Seen::Same };
        let is_settled = is_like || since.elapsed() >= MOST_SETTLING;
        self.moving = (!is_settled).then_some(since);
        if is_settled { Seen::Settled } else { Seen::Moving }
    }

    /// When to look the next time.
    pub fn pause(&self) -> Duration {
        if self.moving.is_some() { SETTLE } else { LOOK }
    }

    /// Waits until something has changed, and has settled.
    pub fn wait(&mut self) {
        loop {
            std::thread::sleep(self.pause());
            if self.look() == Seen::Settled {
                return;
            }
        }
    }
}

/// Every file of a store as it is found; `None` for one that is not there.
#[derive(Debug)]
pub(super) struct Look(Vec<(PathBuf, Option<Stamp>)>);

impl Look {
    pub(super) fn at(source: &Source) -> Self {
        let mut paths = match &source.origin {
            Origin::Folder(folder) => watched_paths(folder),
            // These do not change.
            Origin::BuiltIn | Origin::Commit(_) => Vec::new(),
        };
        paths.extend(source.entities.iter().chain(&source.phone_metadata).cloned());
        let stamped = paths.into_iter().map(|path| {
            let stamp = Stamp::of(&path);
            (path, stamp)
        });
        Self(stamped.collect())
    }

    /// Whether both show the same files, unchanged.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let alike = |left: &Option<Stamp>, right: &Option<Stamp>| match (left, right) {
            (Some(left), Some(right)) => left.is_like(right),
            (left, right) => left.is_none() && right.is_none(),
        };
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|(left, right)| left.0 == right.0 && alike(&left.1, &right.1))
    }
}

#[derive(Debug)]
struct Stamp {
    about: About,
    /// The SHA-256 of a young file: nothing else tells its changes with certainty.
    content: Option<[u8; 32]>,
}

/// What changes with a file: times, length, and which file it is, behind whatever links.
#[derive(Debug, PartialEq, Eq)]
struct About {
    modified: Option<SystemTime>,
    length: u64,
    #[cfg(unix)]
    inode: [u64; 2],
    #[cfg(unix)]
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        let is_young = metadata.is_file() && last_change(&metadata).is_none_or(is_young);
        let content = is_young.then(|| regular::read(path).ok()).flatten();
        Some(Self { about: About::of(&metadata), content: content.map(|bytes| Sha256::digest(bytes).into()) })
    }

    fn is_like(&self, other: &Self) -> bool {
        let same_content = match (&self.content, &other.content) {
            (Some(content), Some(other)) => content == other,
            _ => true,
        };
        self.about == other.about && same_content
    }
}

impl About {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;
        Self {
            // A folder in the place of a file is a problem, whatever is in it.
            modified: metadata.modified().ok().filter(|_| metadata.is_file()),
            length: if metadata.is_file() { metadata.len() } else { 0 },
            #[cfg(unix)]
            inode: [metadata.dev(), metadata.ino()],
            #[cfg(unix)]
            changed: if metadata.is_file() { (metadata.ctime(), metadata.ctime_nsec()) } else { (0, 0) },
        }
    }
}

/// When a file was last changed: on Unix by the clock that nobody can set for it.
fn last_change(metadata: &Metadata) -> Option<SystemTime> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let seconds = u64::try_from(metadata.ctime()).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }
    #[cfg(not(unix))]
    metadata.modified().ok()
}

/// A time ahead of this clock is young too, but not for ever: another machine's clock may be wrong.
fn is_young(changed: SystemTime) -> bool {
    let young = YOUNG + Duration::from_secs(1);
    match SystemTime::now().duration_since(changed) {
        Ok(age) => age <= young,
        Err(ahead) => ahead.duration() <= young,
    }
}
